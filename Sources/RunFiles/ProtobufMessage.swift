/// A protobuf message being written: fields in the order they are added.
public struct ProtobufMessage {
    /// The message so far.
    public private(set) var bytes: [UInt8] = []

    /// A message without fields.
    public init() {}

    /// A varint.
    public mutating func add(field: UInt64, integer: UInt64) {
        varint(field << 3)
        varint(integer)
    }

    /// A 64-bit number.
    public mutating func add(field: UInt64, double: Double) {
        varint(field << 3 | 1)
        withUnsafeBytes(of: double.bitPattern.littleEndian) { bytes += $0 }
    }

    /// A 32-bit number.
    public mutating func add(field: UInt64, float: Float) {
        varint(field << 3 | 5)
        withUnsafeBytes(of: float.bitPattern.littleEndian) { bytes += $0 }
    }

    /// A message, or bytes.
    public mutating func add(field: UInt64, message: [UInt8]) {
        varint(field << 3 | 2)
        varint(UInt64(message.count))
        bytes += message
    }

    /// A string.
    public mutating func add(field: UInt64, text: String) { add(field: field, message: Array(text.utf8)) }

    private mutating func varint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }
}
