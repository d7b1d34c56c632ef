internal import CProtobufC

/// The deepest nesting of messages that is decoded.
private let deepestNesting = 64

/// Finds out how deeply an encoded message is nested before protobuf-c decodes it.
///
/// protobuf-c recurses without a limit, so a few kilobytes of nested lists would otherwise overflow the stack.
///
/// - Returns: whether the message is well-formed as far as lengths go, and nested no deeper than is decoded.
func isSafelyNested(_ bytes: UnsafeRawBufferPointer, as descriptor: UnsafePointer<ProtobufCMessageDescriptor>) -> Bool {
    isSafelyNested(bytes, as: descriptor, depth: 0)
}

private func isSafelyNested(
    _ bytes: UnsafeRawBufferPointer, as descriptor: UnsafePointer<ProtobufCMessageDescriptor>, depth: Int
) -> Bool {
    if depth > deepestNesting { return false }
    var offset = 0
    func varint() -> UInt64? {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while offset < bytes.count, shift < 70 {
            let byte = bytes[offset]
            offset += 1
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
            shift += 7
        }
        return nil
    }
    while offset < bytes.count {
        guard let tag = varint() else { return false }
        switch tag & 7 {
        case 0:
            guard varint() != nil else { return false }
        case 1:
            offset += 8
        case 5:
            offset += 4
        case 2:
            guard let length = varint(), length <= UInt64(bytes.count - offset) else { return false }
            let field = protobuf_c_message_descriptor_get_field(descriptor, UInt32(truncatingIfNeeded: tag >> 3))
            if let field, field.pointee.type == PROTOBUF_C_TYPE_MESSAGE {
                let part = UnsafeRawBufferPointer(rebasing: bytes[offset..<(offset + Int(length))])
                let nested = field.pointee.descriptor.assumingMemoryBound(to: ProtobufCMessageDescriptor.self)
                guard isSafelyNested(part, as: nested, depth: depth + 1) else { return false }
            }
            offset += Int(length)
        default:
            return false
        }
        if offset > bytes.count { return false }
    }
    return true
}
