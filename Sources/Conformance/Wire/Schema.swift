/// The fields of a kind of message, as gym.proto has them.
struct Schema: Sendable {
    struct Field: Sendable {
        enum Kind: Sendable, Hashable {
            case varint, signedVarint, double, text, bytes
            case message(String)
        }
        let name: String
        let number: UInt32
        let kind: Kind
        let isRepeated: Bool
        /// Names of the values of an enumeration.
        let names: [UInt64: String]
        /// The minor versions that these came with.
        let sinceOfValues: [UInt64: Int]
        /// The oneof that it is a case of.
        let oneof: String?
        /// The minor version that it came with.
        let since: Int
    }

    /// The message's name without its package.
    let name: String
    let byNumber: [UInt32: Field]
    let byName: [String: Field]

    /// All messages by name.
    static let all = ProtoFile(String(decoding: PackageResources.gym_proto, as: UTF8.self)).schemas

    /// What a message has.
    ///
    /// - Precondition: gym.v1 has the message.
    static func named(_ name: String) -> Schema {
        guard let schema = all[name] else { preconditionFailure("gym.v1 has no message \(name)") }
        return schema
    }
}

/// The source of gym.proto, read by the suite itself: what it judges by is the file that people read, and no code that
/// a server is made of as well.
///
/// It knows the part of the language that gym.proto uses, and stops the program at anything else: the file is built in.
struct ProtoFile {
    /// All messages, with what their fields are.
    let schemas: [String: Schema]

    private struct Token {
        let text: String
        let line: Int
    }

    private struct Declaration {
        let type: String
        let name: String
        let number: UInt32
        let isRepeated: Bool
        let oneof: String?
        let since: Int
    }

    /// Reads a file.
    init(_ source: String) {
        var reader = Reader(source)
        var messages: [(name: String, fields: [Declaration])] = []
        var enumerations: [String: [UInt64: (name: String, since: Int)]] = [:]
        while let word = reader.next() {
            switch word {
            case "syntax", "package": reader.skip(past: ";")
            case "message":
                let since = reader.takeSince()
                let name = reader.expectName()
                messages.append((name, ProtoFile.fields(of: &reader, since: since)))
            case "enum":
                let name = reader.expectName()
                enumerations[name] = ProtoFile.values(of: &reader)
            default: preconditionFailure("gym.proto has '\(word)' where a message or an enumeration is due")
            }
        }
        let names = Set(messages.map(\.name))
        var schemas: [String: Schema] = [:]
        for (name, declarations) in messages {
            let fields = declarations.map { declaration in
                let kind: Schema.Field.Kind =
                    switch declaration.type {
                    case "string": .text
                    case "bytes": .bytes
                    case "double": .double
                    case "int64", "int32": .signedVarint
                    case "uint64", "uint32", "bool": .varint
                    case let type where enumerations[type] != nil: .varint
                    case let type where names.contains(type): .message(type)
                    default: preconditionFailure("gym.proto has no type \(declaration.type)")
                    }
                return Schema.Field(
                    name: declaration.name, number: declaration.number, kind: kind, isRepeated: declaration.isRepeated,
                    names: (enumerations[declaration.type] ?? [:]).mapValues(\.name),
                    sinceOfValues: (enumerations[declaration.type] ?? [:]).mapValues(\.since),
                    oneof: declaration.oneof, since: declaration.since)
            }
            schemas[name] = Schema(
                name: name, byNumber: Dictionary(uniqueKeysWithValues: fields.map { ($0.number, $0) }),
                byName: Dictionary(uniqueKeysWithValues: fields.map { ($0.name, $0) }))
        }
        self.schemas = schemas
    }

    private static func fields(of reader: inout Reader, since: Int, oneof: String? = nil) -> [Declaration] {
        var fields: [Declaration] = []
        reader.expect("{")
        while let word = reader.next(), word != "}" {
            if word == "oneof" {
                let name = reader.expectName()
                fields += self.fields(of: &reader, since: since, oneof: name)
                continue
            }
            let isRepeated = word == "repeated"
            let type = isRepeated ? reader.expectName() : word
            let name = reader.expectName()
            reader.expect("=")
            guard let number = UInt32(reader.expectName()) else { preconditionFailure("\(name) has no number") }
            reader.expect(";")
            fields.append(
                Declaration(
                    type: type, name: name, number: number, isRepeated: isRepeated, oneof: oneof,
                    since: max(since, reader.takeSince())))
        }
        _ = reader.takeSince()
        return fields
    }

    private static func values(of reader: inout Reader) -> [UInt64: (name: String, since: Int)] {
        var values: [UInt64: (name: String, since: Int)] = [:]
        reader.expect("{")
        while let name = reader.next(), name != "}" {
            reader.expect("=")
            guard let number = UInt64(reader.expectName()) else { preconditionFailure("\(name) has no number") }
            reader.expect(";")
            values[number] = (name, reader.takeSince())
        }
        _ = reader.takeSince()
        return values
    }

    /// Words and signs, one after the other, and what the comments between them say of versions.
    private struct Reader {
        private var tokens: [Token] = []
        private var position = 0
        /// By line: the minor version that a comment names there.
        private var marks: [Int: Int] = [:]
        private var read = 0

        init(_ source: String) {
            for (line, text) in source.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
                let parts = text.split(separator: "//", maxSplits: 1, omittingEmptySubsequences: false)
                if parts.count == 2, let mark = parts[1].firstRange(of: "Since 1.") {
                    marks[line] = Int(parts[1][mark.upperBound...].prefix { $0.isNumber }) ?? 0
                }
                var word = ""
                for character in parts[0] + " " {
                    if character.isLetter || character.isNumber || "_.\"".contains(character) {
                        word.append(character)
                        continue
                    }
                    if !word.isEmpty { tokens.append(Token(text: word, line: line)) }
                    word = ""
                    if !character.isWhitespace { tokens.append(Token(text: String(character), line: line)) }
                }
            }
        }

        mutating func next() -> String? {
            guard position < tokens.count else { return nil }
            defer { position += 1 }
            return tokens[position].text
        }

        mutating func expectName() -> String {
            guard let name = next() else { preconditionFailure("gym.proto ends too early") }
            return name
        }

        mutating func expect(_ sign: String) {
            let found = next()
            precondition(found == sign, "gym.proto has '\(found ?? "")' where '\(sign)' is due")
        }

        mutating func skip(past sign: String) { while let found = next(), found != sign {} }

        /// The version that comments name between what was read before and the line that is read now.
        mutating func takeSince() -> Int {
            let line = tokens[max(position - 1, 0)].line
            defer { read = line + 1 }
            return (read..<max(line + 1, read)).compactMap { marks[$0] }.max() ?? 0
        }
    }
}
