/// The value of a keyword option: of an environment when it is made, or of a reset.
public enum OptionValue: Sendable, Hashable {
    case bool(Bool)
    case integer(Int)
    case real(Double)
    case text(String)
    case list([OptionValue])

    /// The value as a user would write it.
    public var description: String {
        switch self {
        case .bool(let value): value ? "true" : "false"
        case .integer(let value): String(value)
        case .real(let value): String(value)
        case .text(let value): "\"\(value)\""
        case .list(let values): "[" + values.map(\.description).joined(separator: ", ") + "]"
        }
    }
}

/// What an option may be.
public enum OptionKind: Sendable, Hashable {
    case bool
    case integer(ClosedRange<Int>)
    case real(ClosedRange<Double>)
    /// One of these texts.
    case choice([String])
    /// A whole number, or a list `[low, high]` of two, both in the range.
    case integerOrRange(ClosedRange<Int>)
    /// Any text of at most so many characters.
    case text(maxLength: Int)
    /// A list of so many values of one kind.
    indirect case list(of: OptionKind, count: ClosedRange<Int>)

    /// What would be right, for messages and listings.
    public var description: String {
        switch self {
        case .bool: "true or false"
        case .integer(let range): "a whole number from \(range.lowerBound) to \(range.upperBound)"
        case .real(let range):
            if range.upperBound < .greatestFiniteMagnitude / 2 {
                "a number from \(range.lowerBound) to \(range.upperBound)"
            } else if range.lowerBound > -.greatestFiniteMagnitude / 2 {
                "a finite number of at least \(range.lowerBound)"
            } else {
                "a finite number"
            }
        case .choice(let texts): "one of " + texts.joined(separator: ", ")
        case .integerOrRange(let range):
            "a whole number from \(range.lowerBound) to \(range.upperBound), or a list [low, high] of two of them"
        case .text(let maxLength): "a text of at most \(maxLength) characters"
        case .list(let kind, let count):
            "a list of \(count.lowerBound)"
                + (count.lowerBound < count.upperBound ? " to \(count.upperBound)" : "")
                + " values, each \(kind.description)"
        }
    }

    /// Any finite number.
    public static var anyReal: OptionKind { .real(-Double.greatestFiniteMagnitude...Double.greatestFiniteMagnitude) }

    /// The value in the form the kind asks for, or `nil` when it is not one; whole numbers are taken for reals.
    func normalized(_ value: OptionValue) -> OptionValue? {
        switch (self, value) {
        case (.bool, .bool): value
        case (.integer(let range), .integer(let number)), (.integerOrRange(let range), .integer(let number)):
            range.contains(number) ? value : nil
        case (.real(let range), .real(let number)): range.contains(number) ? value : nil
        case (.real(let range), .integer(let number)): range.contains(Double(number)) ? .real(Double(number)) : nil
        case (.choice(let texts), .text(let text)): texts.contains(text) ? value : nil
        case (.text(let maxLength), .text(let text)): text.count <= maxLength ? value : nil
        case (.list(let kind, let count), .list(let values)):
            if count.contains(values.count) {
                // Nothing when one of the values is not of the kind.
                values.lazy.map(kind.normalized).reduce(into: [] as [OptionValue]?) { all, value in
                    if let value { all?.append(value) } else { all = nil }
                }.map(OptionValue.list)
            } else {
                nil
            }
        case (.integerOrRange(let range), .list(let values)):
            if values.count == 2, case .integer(let low) = values[0], case .integer(let high) = values[1],
                low <= high, range.contains(low), range.contains(high)
            {
                value
            } else {
                nil
            }
        default: nil
        }
    }
}

/// An option that an environment declares.
public struct OptionSpec: Sendable, Hashable {
    /// Its name, as Gymnasium spells it.
    public let name: String
    /// What it may be.
    public let kind: OptionKind
    /// What it is when not given.
    public let defaultValue: OptionValue
    /// What it does, in a sentence.
    public let summary: String

    /// A declared option.
    ///
    /// - Precondition: the default is a value of the kind.
    public init(_ name: String, _ kind: OptionKind, default defaultValue: OptionValue, _ summary: String) {
        guard let normalized = kind.normalized(defaultValue) else {
            preconditionFailure("the default of option \(name) has to be \(kind.description)")
        }
        self.name = name
        self.kind = kind
        self.defaultValue = normalized
        self.summary = summary
    }
}

/// Values for all the options that were declared: those given, and the defaults of the rest.
public struct OptionValues: Sendable, Hashable, CustomStringConvertible {
    private let values: [String: OptionValue]

    /// No options.
    public static let none = OptionValues(values: [:])

    private init(values: [String: OptionValue]) { self.values = values }

    /// Checks what was given against what is declared and fills in the defaults.
    ///
    /// - Throws: ``OptionError`` that names the option and says what would be right.
    public init(_ given: [String: OptionValue], for specs: [OptionSpec]) throws {
        var values: [String: OptionValue] = [:]
        for spec in specs { values[spec.name] = spec.defaultValue }
        for (name, value) in given.sorted(by: { $0.key < $1.key }) {
            guard let spec = specs.first(where: { $0.name == name }) else {
                let known = specs.map(\.name)
                throw OptionError(
                    option: name,
                    known.isEmpty
                        ? "there is no option '\(name)', nor any other"
                        : "there is no option '\(name)'" + suggestion(for: name, in: known)
                            + "; the options are \(known.joined(separator: ", "))")
            }
            guard let normalized = spec.kind.normalized(value) else {
                throw OptionError(
                    option: name, "option '\(name)' is \(value.description); it has to be \(spec.kind.description)")
            }
            values[name] = normalized
        }
        self.values = values
    }

    /// All options by name, as a user would write them: the same text for the same options, whichever were given.
    public var description: String {
        values.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value.description)" }.joined(separator: ", ")
    }

    /// A declared option that is true or false.
    public func bool(_ name: String) -> Bool {
        guard case .bool(let value) = values[name] else {
            preconditionFailure("option \(name) is not declared as a bool")
        }
        return value
    }

    /// A declared option that is a whole number.
    public func integer(_ name: String) -> Int {
        guard case .integer(let value) = values[name] else {
            preconditionFailure("option \(name) is not declared as an integer")
        }
        return value
    }

    /// A declared option that is a number.
    public func real(_ name: String) -> Double {
        guard case .real(let value) = values[name] else {
            preconditionFailure("option \(name) is not declared as a real")
        }
        return value
    }

    /// A declared option that is a text, or one of several.
    public func text(_ name: String) -> String {
        guard case .text(let value) = values[name] else {
            preconditionFailure("option \(name) is not declared as a choice")
        }
        return value
    }

    /// A declared option that is a list of texts.
    public func texts(_ name: String) -> [String] {
        list(name).map {
            guard case .text(let text) = $0 else { preconditionFailure("option \(name) is not declared as texts") }
            return text
        }
    }

    /// A declared option that is a list of numbers.
    public func reals(_ name: String) -> [Double] {
        list(name).map {
            guard case .real(let number) = $0 else { preconditionFailure("option \(name) is not declared as reals") }
            return number
        }
    }

    private func list(_ name: String) -> [OptionValue] {
        guard case .list(let values) = values[name] else {
            preconditionFailure("option \(name) is not declared as a list")
        }
        return values
    }

    /// A declared option that is a whole number or a range of them.
    public func range(_ name: String) -> ClosedRange<Int> {
        switch values[name] {
        case .integer(let value): return value...value
        case .list(let bounds):
            if case .integer(let low) = bounds[0], case .integer(let high) = bounds[1] { return low...high }
            fallthrough
        default: preconditionFailure("option \(name) is not declared as an integer or a range")
        }
    }
}

/// An option that cannot be taken, and what would be right.
public struct OptionError: Error, Hashable, CustomStringConvertible {
    /// The option's name.
    public let option: String
    /// What is wrong, and what would be right.
    public let description: String

    /// An error about the given option.
    public init(option: String, _ description: String) {
        self.option = option
        self.description = description
    }
}
