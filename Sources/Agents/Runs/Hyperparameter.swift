import Foundation
import GymCore
import NeuralNetwork

/// A setting of an algorithm: its key (rl-baselines3-zoo's), what it may be, and what it is when nothing is said.
public struct Hyperparameter: Sendable {
    /// rl-baselines3-zoo's name of it.
    public let key: String
    /// What it may be.
    public let kind: Kind
    /// What it is by default.
    public let defaultValue: Value
    /// What it does, in a line.
    public let summary: String

    /// What a setting may be.
    public indirect enum Kind: Sendable, Hashable {
        case bool
        case integer(ClosedRange<Int>)
        case real(ClosedRange<Double>)
        /// A number, or `lin_x`.
        case schedule(ClosedRange<Double>)
        case choice([String])
        /// A number that stays, or `auto` or `auto_0.5`: found while learning, from 0.5 on.
        case automatic(ClosedRange<Double>)
        /// Widths of hidden layers: `[64, 64]`, or `dict(pi=[64, 64], vf=[64, 64])` with `qf` in place of `vf` for
        /// off-policy critics.
        case networks
        /// Filters, kernel and stride of convolutions: `[[32, 8, 4], [64, 4, 2]]`.
        case convolutions
        /// How often to learn: a number of steps, also as `(8, "step")`, or of whole episodes, `(1, "episode")`.
        case frequency(ClosedRange<Int>)
        /// Options of an environment: `dict(g=9.8)`.
        case options
        /// The same, or `null`.
        case optional(Kind)

        /// What would be right, for messages and listings.
        public var description: String {
            switch self {
            case .bool: "true or false"
            case .integer(let range):
                range.upperBound == .max
                    ? "a whole number of at least \(range.lowerBound)"
                    : "a whole number from \(range.lowerBound) to \(range.upperBound)"
            case .real(let range): "a number from \(range.lowerBound) to \(range.upperBound)"
            case .schedule(let range):
                "a number from \(range.lowerBound) to \(range.upperBound), or lin_ before one: falling to 0 in a line"
            case .automatic(let range):
                "a number from \(range.lowerBound) to \(range.upperBound), auto, or auto_ before a number to start from"
            case .choice(let names): "one of " + names.joined(separator: ", ")
            case .networks:
                "the widths of the hidden layers, as [64, 64] or dict(pi=[64, 64], vf=[64, 64]); layers that actor and "
                    + "critic share, as in [64, dict(…)], there are none"
            case .convolutions:
                "filters, kernel and stride of one to eight convolutions, as [[32, 8, 4], [64, 4, 2]]"
            case .frequency(let range):
                "a whole number of steps from \(range.lowerBound) to \(range.upperBound), or of episodes, as (1, \"episode\")"
            case .options: "options of the environment, as dict(g=9.8)"
            case .optional(let kind): kind.description + "; or null"
            }
        }
    }

    /// What a setting is.
    public enum Value: Sendable, Hashable {
        case none
        case bool(Bool)
        case integer(Int)
        case real(Double)
        case schedule(Schedule)
        case text(String)
        case networks(actor: [Int], critic: [Int])
        case convolutions([ConvolutionSize])
        case frequency(Int, FrequencyUnit)
        case options([EnvironmentOption])

        /// What a frequency counts.
        public enum FrequencyUnit: String, Sendable {
            case step
            case episode
        }

        /// As it is written in a preset.
        public var text: String {
            switch self {
            case .none: "null"
            case .bool(let value): value ? "true" : "false"
            case .integer(let value): String(value)
            case .real(let value): String(value)
            case .schedule(let schedule): schedule.text
            case .text(let text): text
            case .networks(let actor, let critic):
                actor == critic ? "\(actor)" : "dict(pi=\(actor), vf=\(critic))"
            case .frequency(let count, .step): String(count)
            case .frequency(let count, .episode): "(\(count), episode)"
            case .options(let options):
                "dict(" + options.map { "\($0.key)=\($0.value)" }.joined(separator: ", ") + ")"
            case .convolutions(let sizes): "\(sizes.map { [$0.filters, $0.kernel, $0.stride] })"
            }
        }
    }

    /// A setting.
    public init(_ key: String, _ kind: Kind, _ defaultValue: Value, _ summary: String) {
        self.key = key
        self.kind = kind
        self.defaultValue = defaultValue
        self.summary = summary
    }
}

extension Hyperparameter.Kind {
    /// The value that a text stands for, or `nil` when it is not of this kind or out of range.
    public func parse(_ text: String) -> Hyperparameter.Value? {
        let text = text.trimmingCharacters(in: .whitespaces)
        switch self {
        case .bool:
            switch text {
            case "true", "True": return .bool(true)
            case "false", "False": return .bool(false)
            default: return nil
            }
        case .integer(let range):
            // The zoo writes 1e5 for 100000.
            guard let number = Double(text), let whole = Int(exactly: number), range.contains(whole) else { return nil }
            return .integer(whole)
        case .real(let range):
            guard let number = Double(text), range.contains(number) else { return nil }
            return .real(number)
        case .schedule(let range):
            let isLinear = text.hasPrefix("lin_")
            guard let number = Double(isLinear ? String(text.dropFirst(4)) : text), range.contains(number) else {
                return nil
            }
            return .schedule(Schedule(initial: number, isLinear: isLinear))
        case .choice(let names):
            return names.contains(text) ? .text(text) : nil
        case .automatic(let range):
            if text == "auto" { return .text(text) }
            let isStart = text.hasPrefix("auto_")
            guard let number = Double(isStart ? String(text.dropFirst(5)) : text), range.contains(number) else {
                return nil
            }
            return isStart ? (number > 0 ? .text(text) : nil) : .real(number)
        case .networks:
            if let widths = parseWidths(text) { return .networks(actor: widths, critic: widths) }
            // Stable-Baselines3 before 1.8 had the dictionary in a list.
            let isInList = text.hasPrefix("[") && text.hasSuffix("]")
            guard let entries = parsePythonDict(isInList ? String(text.dropFirst().dropLast()) : text),
                entries.count == 2,
                let actor = entries.first(where: { $0.key == "pi" }).flatMap({ parseWidths($0.value) }),
                let critic = entries.first(where: { $0.key == "vf" || $0.key == "qf" }).flatMap({
                    parseWidths($0.value)
                })
            else { return nil }
            return .networks(actor: actor, critic: critic)
        case .convolutions: return parseConvolutions(text).map { .convolutions($0) }
        case .frequency(let range):
            guard let (count, unit) = parseFrequency(text), range.contains(count) else { return nil }
            return .frequency(count, unit)
        case .options: return parsePythonDict(text).map { .options($0.map { EnvironmentOption($0.key, $0.value) }) }
        case .optional(let kind):
            return ["null", "None", "none", "~", ""].contains(text) ? Hyperparameter.Value.none : kind.parse(text)
        }
    }
}

/// `[64, 64]` as numbers; at most eight layers of at most 65,536.
private func parseWidths(_ text: String) -> [Int]? {
    let text = text.trimmingCharacters(in: .whitespaces)
    guard text.hasPrefix("["), text.hasSuffix("]") else { return nil }
    let inner = text.dropFirst().dropLast().trimmingCharacters(in: .whitespaces)
    if inner.isEmpty { return [] }
    let widths = inner.split(separator: ",", omittingEmptySubsequences: false).map {
        Int($0.trimmingCharacters(in: .whitespaces))
    }
    guard widths.count <= 8, widths.allSatisfy({ $0 != nil && (1...65_536).contains($0!) }) else { return nil }
    return widths.map { $0! }
}

/// `8`, `(8, "step")` or `[1, episode]` as a number of steps or episodes.
private func parseFrequency(_ text: String) -> (count: Int, unit: Hyperparameter.Value.FrequencyUnit)? {
    let parts = text.trimmingCharacters(in: CharacterSet(charactersIn: "()[] ")).split(separator: ",").map {
        $0.trimmingCharacters(in: CharacterSet(charactersIn: " '\""))
    }
    // The zoo writes 1e5 for 100000.
    guard let first = parts.first, let number = Double(first), let count = Int(exactly: number), parts.count <= 2 else {
        return nil
    }
    if parts.count == 1 { return text.contains("(") || text.contains("[") ? nil : (count, .step) }
    return Hyperparameter.Value.FrequencyUnit(rawValue: parts[1]).map { (count, $0) }
}

/// `[[32, 8, 4], [64, 4, 2]]` as sizes; one to eight of them.
private func parseConvolutions(_ text: String) -> [ConvolutionSize]? {
    let parts = text.filter { !$0.isWhitespace }.split(separator: "],", omittingEmptySubsequences: false)
    let lists = parts.enumerated().map { index, part in
        // The outer brackets belong to the first and the last; the separator took an inner one from all but the last.
        let opened = index == 0 ? (part.hasPrefix("[[") ? part.dropFirst() : "") : part
        return index < parts.count - 1 ? opened + "]" : (opened.hasSuffix("]]") ? opened.dropLast() : "")
    }
    let sizes = lists.map { parseWidths(String($0)) }
    guard (1...8).contains(sizes.count), sizes.allSatisfy({ $0?.count == 3 }) else { return nil }
    return sizes.map { ConvolutionSize(filters: $0![0], kernel: $0![1], stride: $0![2]) }
}

/// The entries of a Python dictionary as the zoo writes them, `dict(a=1, b=[2, 3])` or `{'a': 1}`, values as text;
/// `nil` when the text is not one.
func parsePythonDict(_ text: String) -> [(key: String, value: String)]? {
    let text = text.trimmingCharacters(in: .whitespaces)
    let inner: Substring
    let separator: Character
    if text.hasPrefix("dict("), text.hasSuffix(")") {
        (inner, separator) = (text.dropFirst(5).dropLast(), "=")
    } else if text.hasPrefix("{"), text.hasSuffix("}") {
        (inner, separator) = (text.dropFirst().dropLast(), ":")
    } else {
        return nil
    }
    var entries: [(key: String, value: String)] = []
    var depth = 0
    var part = ""
    for character in inner + "," {
        if "([{".contains(character) { depth += 1 }
        if ")]}".contains(character) { depth -= 1 }
        guard character == ",", depth == 0 else {
            part.append(character)
            continue
        }
        if part.allSatisfy(\.isWhitespace) { continue }
        guard let middle = part.firstIndex(of: separator) else { return nil }
        let key = part[..<middle].trimmingCharacters(in: CharacterSet(charactersIn: " '\"\t\n"))
        entries.append((key, part[part.index(after: middle)...].trimmingCharacters(in: .whitespaces)))
        part = ""
    }
    return depth == 0 ? entries : nil
}

/// A hyperparameter that cannot be taken, and what would be right.
public struct HyperparameterError: Error, Hashable, CustomStringConvertible {
    /// The key that was given.
    public let key: String
    /// What is wrong, and what would be right.
    public let description: String
}

/// Values for every hyperparameter of an algorithm.
public struct Hyperparameters: Sendable {
    /// What the algorithm knows.
    public let schema: [Hyperparameter]
    private var values: [String: Hyperparameter.Value]
    /// The keys that were set.
    private var wereSet: Set<String> = []

    /// What every algorithm knows: evaluation during training, with the zoo's defaults.
    static let common: [Hyperparameter] = [
        .init(
            "eval_freq", .integer(0...Int.max), .integer(25_000),
            "steps after which greedy episodes are played, and the best policy kept in best/; 0: never"),
        .init("eval_episodes", .integer(1...10_000), .integer(5), "greedy episodes of such an evaluation"),
        .init(
            "env_kwargs", .optional(.options), .none,
            "options of the environment; --option KEY=VALUE sets one of them"),
    ]

    /// All defaults.
    public init(_ schema: [Hyperparameter]) {
        let schema = schema + Hyperparameters.common.filter { common in !schema.contains { $0.key == common.key } }
        self.schema = schema
        values = Dictionary(uniqueKeysWithValues: schema.map { ($0.key, $0.defaultValue) })
    }

    /// Keys of the zoo whose values are dictionaries of further keys.
    private static let groups = ["policy_kwargs", "features_extractor_kwargs", "normalize"]

    /// Keys of the zoo that ask for something that is done otherwise here, and how.
    private static let elsewhere = [
        "env_wrapper":
            "wrappers belong to whoever serves the environment: wrap it there (python -m swift_gym.serve serves what "
            + "Gymnasium makes), or set frame_stack for stacks of frames and normalize for running normalisation",
        "vec_env_wrapper":
            "wrappers belong to whoever serves the environment; frame_stack and normalize are hyperparameters here",
        "callback":
            "callbacks of Stable-Baselines3 are Python; eval_freq evaluates, and a program of one's own has callbacks "
            + "in Swift (docs/train-from-swift.md)",
        "replay_buffer_class": "there is one replay buffer; prioritized_replay is a hyperparameter of dqn",
        "replay_buffer_kwargs": "there is one replay buffer, and it has no options",
        "monitor_kwargs": "episodes' returns and lengths come from the server, and nothing is to be set",
    ]

    /// Sets a value from its text.
    ///
    /// - Parameter source: where it was said, for messages: `--set`, `preset CartPole-v1`.
    /// - Throws: ``HyperparameterError`` with the nearest keys, or with what the value may be.
    public mutating func set(_ key: String, _ text: String, source: String) throws {
        if let instead = Hyperparameters.elsewhere[key] {
            if Hyperparameter.Kind.optional(.bool).parse(text) == Hyperparameter.Value.none { return }
            throw HyperparameterError(key: key, description: "\(source): \(key) is not supported: \(instead)")
        }
        if Hyperparameters.groups.contains(key), let entries = parsePythonDict(text) {
            if key == "normalize" { try set(key, "true", source: source) }
            for entry in entries { try set(entry.key, entry.value, source: source) }
            return
        }
        let unquoted = text.trimmingCharacters(in: CharacterSet(charactersIn: " '\""))
        guard let known = schema.first(where: { $0.key == key }) else {
            let keys = schema.map(\.key)
            throw HyperparameterError(
                key: key,
                description: "\(source): there is no hyperparameter '\(key)'" + suggestion(for: key, in: keys)
                    + "; there are \(keys.joined(separator: ", "))")
        }
        // PyTorch's classes by their last name: nn.ReLU, torch.nn.ReLU.
        let value = key == "activation_fn" ? String(unquoted.split(separator: ".").last ?? "").lowercased() : unquoted
        if key == "train_freq", case .integer(let range) = known.kind, let (count, unit) = parseFrequency(value) {
            guard unit == .step else {
                throw HyperparameterError(
                    key: key,
                    description: "\(source): train_freq is '\(text)': learning after whole episodes is not supported; "
                        + "a number of steps is, such as train_freq=64 with gradient_steps=-1 for as many updates")
            }
            if range.contains(count) {
                values[key] = .integer(count)
                wereSet.insert(key)
                return
            }
        }
        guard let parsed = known.kind.parse(value) else {
            throw HyperparameterError(
                key: key, description: "\(source): \(key) is '\(text)'; it has to be \(known.kind.description)")
        }
        values[key] = parsed
        wereSet.insert(key)
        // As Stable-Baselines3: after the DQN network's 512 units come no others, unless they are asked for.
        if key == "policy" && !wereSet.contains("net_arch") {
            let standard = schema.first { $0.key == "net_arch" }?.defaultValue
            values["net_arch"] = parsed == .text("CnnPolicy") ? .networks(actor: [], critic: []) : standard
        }
    }

    /// The value of a key.
    ///
    /// - Precondition: the schema has the key.
    public subscript(key: String) -> Hyperparameter.Value {
        get { values[key]! }
        set {
            precondition(values[key] != nil, "there is no hyperparameter \(key)")
            values[key] = newValue
        }
    }

    /// The value of a boolean key.
    public func bool(_ key: String) -> Bool {
        guard case .bool(let value) = self[key] else { preconditionFailure("\(key) is no bool") }
        return value
    }

    /// The options of the environment.
    public var environmentOptions: [EnvironmentOption] {
        get {
            if case .options(let options) = self["env_kwargs"] { return options }
            return []
        }
        set { self["env_kwargs"] = newValue.isEmpty ? Hyperparameter.Value.none : .options(newValue) }
    }

    /// Sets one option of the environment, and leaves the others.
    public mutating func setOption(_ key: String, _ value: String) {
        var options = environmentOptions.filter { $0.key != key }
        options.append(EnvironmentOption(key, value))
        environmentOptions = options
    }

    /// How often to learn, in steps of each environment or in whole episodes.
    public func frequency(_ key: String) -> (count: Int, unit: Hyperparameter.Value.FrequencyUnit) {
        switch self[key] {
        case .frequency(let count, let unit): return (count, unit)
        case .integer(let count): return (count, .step)
        default: preconditionFailure("\(key) is no frequency")
        }
    }

    /// Whether there is such a key.
    public func has(_ key: String) -> Bool { values[key] != nil }

    /// The value of a key that is a whole number.
    public func integer(_ key: String) -> Int {
        guard case .integer(let value) = self[key] else { preconditionFailure("\(key) is no integer") }
        return value
    }

    /// The value of a key that is a number.
    public func real(_ key: String) -> Double {
        guard case .real(let value) = self[key] else { preconditionFailure("\(key) is no real") }
        return value
    }

    /// The value of a key that is a number, or nothing.
    public func optionalReal(_ key: String) -> Double? {
        if case .real(let value) = self[key] { return value }
        return nil
    }

    /// The value of a key that is a number, or found while learning: then where that starts, by default from 1.
    public func automatic(_ key: String) -> (value: Double, isAutomatic: Bool) {
        switch self[key] {
        case .real(let value): (value, false)
        case .text(let text): (Double(text.dropFirst(5)) ?? 1, true)
        default: preconditionFailure("\(key) is neither a number nor automatic")
        }
    }

    /// The value of a key that is one of several names, or nothing.
    public func optionalText(_ key: String) -> String? {
        if case .text(let value) = self[key] { return value }
        return nil
    }

    /// The value of a key that may change over the run.
    public func schedule(_ key: String) -> Schedule {
        guard case .schedule(let value) = self[key] else { preconditionFailure("\(key) is no schedule") }
        return value
    }

    /// The value of a key that may change over the run, or nothing.
    public func optionalSchedule(_ key: String) -> Schedule? {
        if case .schedule(let value) = self[key] { return value }
        return nil
    }

    /// The value of a key that is one of several names.
    public func text(_ key: String) -> String {
        guard case .text(let value) = self[key] else { preconditionFailure("\(key) is no text") }
        return value
    }

    /// Widths of the hidden layers.
    public func networks(_ key: String) -> (actor: [Int], critic: [Int]) {
        guard case .networks(let actor, let critic) = self[key] else { preconditionFailure("\(key) is no network") }
        return (actor, critic)
    }

    /// The value of a key that describes convolutions.
    public func convolutions(_ key: String) -> [ConvolutionSize] {
        guard case .convolutions(let value) = self[key] else { preconditionFailure("\(key) is no convolutions") }
        return value
    }

    /// Every key with its value as text, in the schema's order.
    public var resolved: [(key: String, value: String)] { schema.map { ($0.key, self[$0.key].text) } }
}
