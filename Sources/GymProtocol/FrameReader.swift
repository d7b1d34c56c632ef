import Glibc

/// What a frame carries.
public enum FrameKind: UInt8, Sendable {
    case request = 1
    case response = 2
    case notice = 3
}

/// The eight bytes before each message: length of the body (u32, little-endian), kind (u8), flags (u8), reserved (u16).
enum FrameHeader {
    static let size = 8

    /// - Throws: ``WireError`` when the header is not one of this version.
    static func parse(
        _ bytes: UnsafeRawPointer, accepting kinds: [FrameKind], maxBody: Int
    ) throws(WireError) -> (kind: FrameKind, length: Int) {
        let length = Int(UInt32(littleEndian: bytes.loadUnaligned(as: UInt32.self)))
        let kind = bytes.load(fromByteOffset: 4, as: UInt8.self)
        let rest = bytes.loadUnaligned(fromByteOffset: 5, as: UInt8.self)
        let reserved = bytes.loadUnaligned(fromByteOffset: 6, as: UInt16.self)
        guard let kind = FrameKind(rawValue: kind), kinds.contains(kind) else {
            let known = kinds.map { "\($0.rawValue) (\($0))" }.joined(separator: " or ")
            throw WireError(.malformedFrame, "the frame's kind is \(kind); it has to be \(known)")
        }
        guard rest == 0, reserved == 0 else {
            throw WireError(.malformedFrame, "the frame's flags and reserved bytes have to be 0")
        }
        guard length <= maxBody else {
            throw WireError(
                .frameTooLarge, "the frame's body is said to have \(length) bytes; at most \(maxBody) are taken")
        }
        return (kind, length)
    }
}

/// Reads frames from a socket into memory that it uses again for each.
///
/// What a peer says about sizes is believed only as far as its bytes arrive: the buffer grows with them.
public final class FrameReader {
    /// A frame; its body is valid until the next one is read.
    public struct Frame {
        /// What it carries.
        public let kind: FrameKind
        /// The encoded message.
        public let body: UnsafeRawBufferPointer
    }

    /// The largest body that is taken.
    public var maxBody: Int
    /// Bytes read since the start.
    public private(set) var bytesReceived: UInt64 = 0
    /// Whether a descriptor may come with the next frames; when not, the system closes what comes.
    public var expectsDescriptor = false
    /// Bytes of memory that it holds.
    public var memoryInUse: Int { buffer.count }

    /// Descriptors that came and were not taken yet, in their order. More than a few are nobody's that keeps to the
    /// protocol.
    private var passedDescriptors: [OwnedDescriptor] = []
    private static let mostDescriptors = 64
    private let socket: UnixSocket
    private let kinds: [FrameKind]
    private var buffer: UnsafeMutableRawBufferPointer
    private var start = 0
    private var end = 0

    private static let initialCapacity = 8 << 10
    private static let roundingMask = 4095
    /// What is kept between frames; a connection that once sent a large frame does not hold its memory for ever.
    private static let keptCapacity = 1 << 20

    /// A reader of the given socket.
    ///
    /// - Parameter kinds: what frames may carry; others are no frames.
    public init(_ socket: UnixSocket, accepting kinds: [FrameKind], maxBody: Int) {
        self.socket = socket
        self.kinds = kinds
        self.maxBody = maxBody
        buffer = .allocate(byteCount: FrameReader.initialCapacity, alignment: 64)
    }

    deinit { buffer.deallocate() }

    /// The first descriptor that came with the frames read so far and was not taken yet.
    public func takeDescriptor() -> OwnedDescriptor? {
        passedDescriptors.isEmpty ? nil : passedDescriptors.removeFirst()
    }

    /// The next frame, or `nil` when the peer has closed between two frames.
    ///
    /// - Parameter deadline: when to give up, on the clock of ``monotonicSeconds()``; what came of a frame until then is
    ///   kept, so that the next call goes on with it. However slowly bytes trickle in, they do not move it.
    /// - Throws: ``WireError`` for what is not a frame, ``SystemError`` when the socket fails; with `EAGAIN`, when time
    ///   is over.
    public func next(until deadline: Double? = nil) throws -> Frame? {
        self.deadline = deadline
        if start == end {
            start = 0
            end = 0
            if buffer.count > FrameReader.keptCapacity { resize(to: FrameReader.initialCapacity) }
        }
        guard try fill(to: FrameHeader.size, atBoundary: true) else { return nil }
        let (kind, length) = try FrameHeader.parse(buffer.baseAddress! + start, accepting: kinds, maxBody: maxBody)
        _ = try fill(to: FrameHeader.size + length, atBoundary: false)
        let body = UnsafeRawBufferPointer(start: buffer.baseAddress! + start + FrameHeader.size, count: length)
        start += FrameHeader.size + length
        return Frame(kind: kind, body: body)
    }

    private var deadline: Double?

    /// Receives until `count` bytes lie at `start`; `false` when the peer closed before the first of them.
    private func fill(to count: Int, atBoundary: Bool) throws -> Bool {
        while end - start < count {
            if end == buffer.count { makeRoom(for: count) }
            if let deadline, !socket.isReadable(until: deadline) { throw SystemError("receive", EAGAIN) }
            let free = UnsafeMutableRawBufferPointer(rebasing: buffer[end...])
            let received = try receive(into: free)
            if received == 0 {
                if atBoundary && end == start { return false }
                throw WireError(
                    .malformedFrame, "the connection ended inside a frame: \(end - start) of \(count) bytes came")
            }
            bytesReceived += UInt64(received)
            end += received
        }
        return true
    }

    private func receive(into free: UnsafeMutableRawBufferPointer) throws -> Int {
        guard expectsDescriptor else { return try socket.receive(into: free) }
        var passed: Int32 = -1
        let received = try socket.receive(into: free, passedDescriptor: &passed)
        if passed >= 0 {
            let owner = OwnedDescriptor(owning: passed)
            if passedDescriptors.count < FrameReader.mostDescriptors { passedDescriptors.append(owner) }
        }
        return received
    }

    private func makeRoom(for count: Int) {
        if start > 0 {
            buffer.baseAddress!.copyMemory(from: buffer.baseAddress! + start, byteCount: end - start)
            end -= start
            start = 0
        }
        guard end == buffer.count else { return }
        // Rounded up: frames of one kind differ by a few bytes, as request ids grow, and should all fit.
        let enough = (max(count, buffer.count + 1) + FrameReader.roundingMask) & ~FrameReader.roundingMask
        resize(to: min(enough, 2 * buffer.count))
    }

    private func resize(to capacity: Int) {
        let larger = UnsafeMutableRawBufferPointer.allocate(byteCount: capacity, alignment: 64)
        larger.baseAddress!.copyMemory(from: buffer.baseAddress! + start, byteCount: end - start)
        end -= start
        start = 0
        buffer.deallocate()
        buffer = larger
    }
}
