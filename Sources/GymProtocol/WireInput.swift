internal import CProtobufC

/// Reads a message in protobuf's wire format from its start to its end.
struct WireInput {
    private var position: UnsafePointer<UInt8>
    private let end: UnsafePointer<UInt8>
    /// Something that is not as expected was found; what was read then is not to be used.
    private(set) var hasFailed = false

    /// The most bytes of a number.
    static let mostVarint = 10
    /// The most bytes of a length that protobuf-c takes.
    private static let mostLengthBytes = 5
    init(_ bytes: UnsafeRawBufferPointer) {
        self.init(
            bytes.baseAddress?.assumingMemoryBound(to: UInt8.self) ?? UnsafePointer(bitPattern: 1)!, count: bytes.count)
    }

    private init(_ start: UnsafePointer<UInt8>, count: Int) {
        position = start
        end = start + count
    }

    var isAtEnd: Bool { position == end }

    /// What was not read yet.
    var rest: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: position, count: end - position) }

    mutating func fail() {
        hasFailed = true
        position = end
    }

    /// A number; at the end of the message, and for one that is too long, it fails.
    mutating func varint() -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while position < end, shift < 70 {
            let byte = position.pointee
            position += 1
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
            shift += 7
        }
        fail()
        return 0
    }

    mutating func skip(_ count: Int) {
        if end - position < count { fail() } else { position += count }
    }

    /// The tag that comes next, when it is that of the given field.
    mutating func takes(field: UInt8, wireType: UInt8) -> Bool {
        guard position < end, position.pointee == field << 3 | wireType else { return false }
        position += 1
        return true
    }

    /// A field's number, or 0 when another field comes next.
    mutating func number(field: UInt8) -> UInt64 { takes(field: field, wireType: 0) ? varint() : 0 }

    /// The part of the message that a field's length covers.
    mutating func part(mostLengthBytes: Int = WireInput.mostLengthBytes) -> WireInput {
        let start = position
        let length = varint()
        guard !hasFailed, position - start <= mostLengthBytes, length <= UInt64(end - position) else {
            fail()
            return WireInput(end, count: 0)
        }
        defer { position += Int(length) }
        return WireInput(position, count: Int(length))
    }

    /// A field of packed numbers, each given to `take`, which returns whether it has room for it.
    mutating func numbers(field: UInt8, _ take: (UInt32) -> Bool) {
        guard takes(field: field, wireType: 2) else { return }
        var numbers = part()
        while !numbers.isAtEnd {
            guard let number = UInt32(exactly: numbers.varint()), take(number) else { return fail() }
        }
        if numbers.hasFailed { fail() }
    }

    /// A field's bytes, or none when another field comes next.
    mutating func bytes(field: UInt8) -> ProtobufCBinaryData {
        guard takes(field: field, wireType: 2) else { return ProtobufCBinaryData() }
        let part = part()
        return ProtobufCBinaryData(len: part.end - part.position, data: UnsafeMutablePointer(mutating: part.position))
    }
}
