internal import CProtobufC

/// The deepest nesting of messages that is decoded.
private let deepestNesting = 64

/// What is wrong with an encoded message that protobuf-c would not see.
enum MessageCheck: Equatable {
    /// Nothing.
    case sound
    /// Lengths do not fit, or messages are nested too deeply: protobuf-c recurses without a limit, so a few kilobytes of
    /// nested lists would overflow the stack.
    case malformed
    /// A string is not UTF-8 or holds U+0000 (F10): protobuf-c makes C strings, which end there.
    case badText

    /// Looks at a message before protobuf-c decodes it.
    init(_ bytes: UnsafeRawBufferPointer, as descriptor: UnsafePointer<ProtobufCMessageDescriptor>) {
        self = MessageCheck.check(bytes, as: descriptor, depth: 0)
    }

    private static func check(
        _ bytes: UnsafeRawBufferPointer, as descriptor: UnsafePointer<ProtobufCMessageDescriptor>, depth: Int
    ) -> MessageCheck {
        if depth > deepestNesting { return .malformed }
        var found = MessageCheck.sound
        var input = WireInput(bytes)
        while !input.isAtEnd {
            let tag = input.varint()
            switch tag & 7 {
            case 0: _ = input.varint()
            case 1: input.skip(8)
            case 5: input.skip(4)
            case 2:
                let part = input.part(mostLengthBytes: WireInput.mostVarint)
                let field = protobuf_c_message_descriptor_get_field(descriptor, UInt32(truncatingIfNeeded: tag >> 3))
                guard !input.hasFailed, let field else { break }
                if field.pointee.type == PROTOBUF_C_TYPE_MESSAGE {
                    let nested = field.pointee.descriptor.assumingMemoryBound(to: ProtobufCMessageDescriptor.self)
                    switch check(part.rest, as: nested, depth: depth + 1) {
                    case .sound: break
                    case .malformed: return .malformed
                    case .badText: found = .badText
                    }
                } else if field.pointee.type == PROTOBUF_C_TYPE_STRING, !isText(part.rest) {
                    found = .badText
                }
            default: return .malformed
            }
            if input.hasFailed { return .malformed }
        }
        return found
    }

    private static func isText(_ bytes: UnsafeRawBufferPointer) -> Bool {
        !bytes.contains(0) && String(validating: bytes, as: UTF8.self) != nil
    }
}
