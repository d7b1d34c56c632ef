/// A message of gym.v1 as a list of fields, known and unknown, in the order in which they came.
///
/// The suite looks at what is on the wire, and so has a decoder of its own: it shares no code with the servers and
/// clients that it judges, it can write messages that no library would, and a frame that it has read and written again
/// differs only where it was changed.
package struct Message: Sendable, Hashable {
    /// One field as it is on the wire.
    package enum Wire: Sendable, Hashable {
        case varint(UInt64)
        case fixed64(UInt64)
        case fixed32(UInt32)
        case bytes([UInt8])
        case message(Message)
    }

    /// What a field is given as.
    package indirect enum Value: Sendable {
        case number(UInt64)
        case real(Double)
        case text(String)
        case bytes([UInt8])
        case message(Message)
        case fields([(String, Value)])
        case list([Value])
    }

    /// The message's name without its package: `StepRequest`.
    package let name: String
    /// The fields by number.
    package var fields: [(number: UInt32, value: Wire)] = []

    /// An empty message.
    package init(_ name: String) {
        _ = Schema.named(name)
        self.name = name
    }

    /// A message with the given fields.
    package init(_ name: String, _ fields: [(String, Value)]) {
        self.init(name)
        for (field, value) in fields { append(field, value) }
    }

    package static func == (left: Message, right: Message) -> Bool {
        left.name == right.name
            && left.fields.elementsEqual(right.fields) { $0.number == $1.number && $0.value == $1.value }
    }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(name)
        for field in fields { hasher.combine(field.number) }
    }

    // MARK: Writing fields

    /// Adds a value, or several, to a field.
    package mutating func append(_ field: String, _ value: Value) {
        guard let known = Schema.named(name).byName[field] else { preconditionFailure("\(name) has no field \(field)") }
        append(known, value)
    }

    private mutating func append(_ field: Schema.Field, _ value: Value) {
        switch (field.kind, value) {
        case (_, .list(let values)): for value in values { append(field, value) }
        case (.varint, .number(let number)), (.signedVarint, .number(let number)):
            fields.append((field.number, .varint(number)))
        case (.double, .real(let number)): fields.append((field.number, .fixed64(number.bitPattern)))
        case (.double, .number(let number)):
            fields.append((field.number, .fixed64(Double(Int64(bitPattern: number)).bitPattern)))
        case (.text, .text(let text)): fields.append((field.number, .bytes(Array(text.utf8))))
        case (.text, .bytes(let bytes)), (.bytes, .bytes(let bytes)): fields.append((field.number, .bytes(bytes)))
        case (.message, .bytes(let bytes)): fields.append((field.number, .bytes(bytes)))
        case (.message(let type), .message(let message)):
            precondition(message.name == type, "\(name).\(field.name) is a \(type), not a \(message.name)")
            fields.append((field.number, .message(message)))
        case (.message(let type), .fields(let parts)): fields.append((field.number, .message(Message(type, parts))))
        default: preconditionFailure("\(name).\(field.name) cannot be \(value)")
        }
    }

    /// Gives a field a value in place of what it had; an empty list removes it.
    package mutating func set(_ field: String, _ value: Value) {
        remove(field)
        append(field, value)
    }

    /// Removes a field.
    package mutating func remove(_ field: String) {
        let number = self.number(of: field)
        fields.removeAll { $0.number == number }
    }

    /// Changes a message that is a field of this one, where it is there.
    package mutating func change(_ field: String, _ body: (inout Message) -> Void) {
        let number = self.number(of: field)
        for index in fields.indices where fields[index].number == number {
            if case .message(var message) = fields[index].value {
                body(&message)
                fields[index].value = .message(message)
            }
        }
    }

    private func number(of field: String) -> UInt32 {
        guard let known = Schema.named(name).byName[field] else { preconditionFailure("\(name) has no field \(field)") }
        return known.number
    }

    // MARK: Reading fields

    private func values(_ field: String) -> [Wire] {
        let number = number(of: field)
        return fields.compactMap { $0.number == number ? $0.value : nil }
    }

    /// Whether the field is there.
    package func has(_ field: String) -> Bool {
        let number = number(of: field)
        return fields.contains { $0.number == number }
    }

    /// Values of a field of whole numbers, truth values or enumerations.
    package func numbers(_ field: String) -> [UInt64] {
        values(field).compactMap { if case .varint(let number) = $0 { number } else { nil } }
    }

    /// The last value of such a field; 0 when it is not there.
    package func number(_ field: String) -> UInt64 { numbers(field).last ?? 0 }
    /// The same as an `Int`.
    package func integer(_ field: String) -> Int { Int(clamping: number(field)) }
    /// The same as a truth value.
    package func flag(_ field: String) -> Bool { number(field) != 0 }

    /// The value of a field of doubles; 0 when it is not there.
    package func real(_ field: String) -> Double {
        if case .fixed64(let bits)? = values(field).last { Double(bitPattern: bits) } else { 0 }
    }

    /// The value of a field of bytes; empty when it is not there.
    package func bytes(_ field: String) -> [UInt8] {
        if case .bytes(let bytes)? = values(field).last { bytes } else { [] }
    }

    /// Values of a repeated field of bytes.
    package func byteStrings(_ field: String) -> [[UInt8]] {
        values(field).compactMap { if case .bytes(let bytes) = $0 { bytes } else { nil } }
    }

    /// The value of a field of text.
    package func text(_ field: String) -> String { String(decoding: bytes(field), as: UTF8.self) }
    /// Values of a repeated field of texts.
    package func texts(_ field: String) -> [String] { byteStrings(field).map { String(decoding: $0, as: UTF8.self) } }

    /// Values of a repeated field of messages.
    package func messages(_ field: String) -> [Message] {
        values(field).compactMap { if case .message(let message) = $0 { message } else { nil } }
    }

    /// The value of a field of messages.
    package func message(_ field: String) -> Message? { messages(field).last }

    /// What it, or a message in it, has that came with a minor version above this one; `nil`: nothing.
    func newest(above minor: Int) -> String? {
        let schema = Schema.named(name)
        for field in fields {
            guard let known = schema.byNumber[field.number] else { continue }
            if known.since > minor { return "\(name).\(known.name), which is of 1.\(known.since)" }
            if case .message(let message) = field.value, let newer = message.newest(above: minor) { return newer }
            if case .varint(let value) = field.value, let since = known.sinceOfValues[value], since > minor {
                return "\(known.names[value] ?? "") in \(name).\(known.name), which is of 1.\(since)"
            }
        }
        return nil
    }

    /// Whether it, or a message in it, has anything that came after 1.0.
    package var hasWhatIsNewer: Bool { newest(above: 0) != nil }

    /// The name of the first field that is a message: which case an envelope, a space or a value is.
    package var messageCase: String? {
        for field in fields {
            if case .message = field.value, let known = Schema.named(name).byNumber[field.number] { return known.name }
        }
        return nil
    }
}

extension Message.Value: ExpressibleByIntegerLiteral, ExpressibleByStringLiteral, ExpressibleByBooleanLiteral,
    ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    package init(integerLiteral value: Int64) { self = .number(UInt64(bitPattern: value)) }
    package init(stringLiteral value: String) { self = .text(value) }
    package init(booleanLiteral value: Bool) { self = .number(value ? 1 : 0) }
    package init(arrayLiteral elements: Message.Value...) { self = .list(elements) }
    package init(dictionaryLiteral elements: (String, Message.Value)...) { self = .fields(elements) }

    /// A whole number.
    package static func integer(_ value: some BinaryInteger) -> Message.Value {
        .number(UInt64(truncatingIfNeeded: value))
    }
    /// Whole numbers.
    package static func integers(_ values: some Sequence<some BinaryInteger>) -> Message.Value {
        .list(values.map { Message.Value.number(UInt64(truncatingIfNeeded: $0)) })
    }
    /// A truth value.
    package static func flag(_ value: Bool) -> Message.Value { .number(value ? 1 : 0) }
    /// Messages.
    package static func messages(_ values: [Message]) -> Message.Value { .list(values.map(Message.Value.message)) }
}

extension Message: CustomStringConvertible {
    /// The message as protobuf's text format writes it, long fields cut.
    package var description: String { "\(name) { \(fields.map(describe).joined(separator: ", ")) }" }

    private func describe(_ field: (number: UInt32, value: Wire)) -> String {
        let known = Schema.named(name).byNumber[field.number]
        let value =
            switch field.value {
            case .varint(let number):
                if let name = known?.names[number] {
                    name
                } else if known?.kind == .signedVarint {
                    "\(Int64(bitPattern: number))"
                } else {
                    "\(number)"
                }
            case .fixed64(let bits): "\(Double(bitPattern: bits))"
            case .fixed32(let bits): "\(bits)"
            case .bytes(let bytes):
                known?.kind == .text
                    ? String(decoding: bytes.prefix(200), as: UTF8.self).debugDescription : hexadecimal(bytes)
            case .message(let message): String(message.description.dropFirst(message.name.count + 1))
            }
        return "\(known?.name ?? "field \(field.number)"): \(value)"
    }
}

/// Bytes as people read them: pairs of digits, cut after 64 bytes.
package func hexadecimal(_ bytes: some Collection<UInt8>) -> String {
    let digits = Array("0123456789abcdef")
    let shown = bytes.prefix(64).map { String([digits[Int($0 >> 4)], digits[Int($0 & 15)]]) }.joined(separator: " ")
    return bytes.count > 64 ? "\(shown) … (\(bytes.count) bytes)" : shown
}
