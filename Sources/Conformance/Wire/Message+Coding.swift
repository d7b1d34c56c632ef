/// Bytes that are no message, and why.
package struct DecodingError: Error, CustomStringConvertible {
    /// What is wrong.
    package let description: String
}

extension Message {
    /// Decodes a message.
    ///
    /// - Throws: ``DecodingError`` for what proto3 does not allow: ends inside of a field, a wire type that the field
    ///   does not have, text that is not UTF-8; and for messages nested deeper than 100, protobuf's own limit.
    package init(_ name: String, decoding bytes: some Collection<UInt8>) throws {
        try self.init(name, decoding: bytes, depth: 1)
    }

    private init(_ name: String, decoding bytes: some Collection<UInt8>, depth: Int) throws {
        self.init(name)
        guard depth <= 100 else { throw DecodingError(description: "messages are nested deeper than 100") }
        var reader = WireReader(bytes: Array(bytes)[...])
        let schema = Schema.named(name)
        while !reader.isAtEnd {
            let tag = try reader.varint()
            let number = UInt32(truncatingIfNeeded: tag >> 3)
            guard number > 0 else { throw DecodingError(description: "\(name) has a field of number 0") }
            let known = schema.byNumber[number]
            switch tag & 7 {
            case 0: fields.append((number, .varint(try reader.varint())))
            case 1: fields.append((number, .fixed64(try reader.fixed(8))))
            case 5: fields.append((number, .fixed32(UInt32(try reader.fixed(4)))))
            case 2: try append(try reader.lengthPrefixed(), number: number, known: known, depth: depth)
            default: throw DecodingError(description: "\(name) has a field of wire type \(tag & 7)")
            }
            try check(fields.last, known)
        }
    }

    private mutating func append(
        _ bytes: [UInt8], number: UInt32, known: Schema.Field?, depth: Int
    ) throws {
        switch known?.kind {
        case .message(let type):
            fields.append((number, .message(try Message(type, decoding: bytes, depth: depth + 1))))
        case .varint, .signedVarint:
            var packed = WireReader(bytes: bytes[...])
            while !packed.isAtEnd { fields.append((number, .varint(try packed.varint()))) }
        case .text:
            guard String(validating: bytes, as: UTF8.self) != nil else {
                throw DecodingError(description: "\(name).\(known!.name) is not UTF-8: \(hexadecimal(bytes))")
            }
            fields.append((number, .bytes(bytes)))
        default: fields.append((number, .bytes(bytes)))
        }
    }

    private func check(_ field: (number: UInt32, value: Wire)?, _ known: Schema.Field?) throws {
        guard let field, let known, field.number == known.number else { return }
        let fits =
            switch (known.kind, field.value) {
            case (.varint, .varint), (.signedVarint, .varint), (.double, .fixed64), (.text, .bytes), (.bytes, .bytes),
                (.message, .message):
                true
            default: false
            }
        if !fits { throw DecodingError(description: "\(name).\(known.name) has the wrong wire type") }
    }

    /// The message's bytes; repeated numbers are packed, as proto3 does.
    package var encoded: [UInt8] {
        var writer = WireWriter()
        let schema = Schema.named(name)
        var packed: Set<UInt32> = []
        for field in fields {
            switch field.value {
            case .varint(let number):
                guard schema.byNumber[field.number]?.isRepeated == true else {
                    writer.varint(UInt64(field.number) << 3)
                    writer.varint(number)
                    continue
                }
                // All values of a repeated field go where its first one stands.
                guard packed.insert(field.number).inserted else { continue }
                var values = WireWriter()
                for other in fields where other.number == field.number {
                    if case .varint(let number) = other.value { values.varint(number) }
                }
                writer.lengthPrefixed(values.bytes, number: field.number)
            case .fixed64(let bits):
                writer.varint(UInt64(field.number) << 3 | 1)
                writer.fixed(bits, count: 8)
            case .fixed32(let bits):
                writer.varint(UInt64(field.number) << 3 | 5)
                writer.fixed(UInt64(bits), count: 4)
            case .bytes(let bytes): writer.lengthPrefixed(bytes, number: field.number)
            case .message(let message): writer.lengthPrefixed(message.encoded, number: field.number)
            }
        }
        return writer.bytes
    }
}

/// Writes protobuf's primitive parts.
package struct WireWriter {
    /// What was written.
    package var bytes: [UInt8] = []

    /// A writer with nothing written.
    package init() {}

    /// A number in groups of seven bits.
    package mutating func varint(_ value: UInt64) {
        var value = value
        while value >= 0x80 {
            bytes.append(UInt8(value & 0x7F) | 0x80)
            value >>= 7
        }
        bytes.append(UInt8(value))
    }

    mutating func fixed(_ bits: UInt64, count: Int) {
        for index in 0..<count { bytes.append(UInt8(truncatingIfNeeded: bits >> UInt64(8 * index))) }
    }

    /// A field of bytes.
    package mutating func lengthPrefixed(_ content: [UInt8], number: UInt32) {
        varint(UInt64(number) << 3 | 2)
        varint(UInt64(content.count))
        bytes += content
    }
}

private struct WireReader {
    var bytes: ArraySlice<UInt8>
    var isAtEnd: Bool { bytes.isEmpty }

    mutating func varint() throws -> UInt64 {
        var value: UInt64 = 0
        for group in 0..<10 {
            guard let byte = bytes.popFirst() else { throw DecodingError(description: "the message ends in a number") }
            value |= UInt64(byte & 0x7F) << UInt64(7 * group)
            if byte < 0x80 { return value }
        }
        throw DecodingError(description: "a number takes more than ten bytes")
    }

    mutating func fixed(_ count: Int) throws -> UInt64 {
        guard bytes.count >= count else { throw DecodingError(description: "the message ends in a number") }
        var value: UInt64 = 0
        for (index, byte) in bytes.prefix(count).enumerated() { value |= UInt64(byte) << UInt64(8 * index) }
        bytes = bytes.dropFirst(count)
        return value
    }

    mutating func lengthPrefixed() throws -> [UInt8] {
        let length = try varint()
        guard length <= UInt64(bytes.count) else {
            throw DecodingError(description: "a field of \(length) bytes in a message that has \(bytes.count) left")
        }
        defer { bytes = bytes.dropFirst(Int(length)) }
        return Array(bytes.prefix(Int(length)))
    }
}
