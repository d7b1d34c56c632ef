internal import CProtobufC
import Glibc
import GymCore

/// Encodes messages and sends them as frames, large parts from where they lie.
///
/// protobuf-c hands over an encoded message piece by piece. Small pieces are gathered in one buffer; the bytes of large
/// tensors are not copied but sent from the memory that the environments wrote them into.
final class FrameWriter {
    /// Parts of a message being built live here until the frame is sent.
    let arena = Arena()
    /// Bytes sent since the start.
    private(set) var bytesSent: UInt64 = 0

    private let socket: UnixSocket
    private let sink: UnsafeMutablePointer<Sink>
    /// Rows that ended with the step being sent.
    private var ended = UnsafeMutableBufferPointer<UInt32>(start: nil, count: 0)

    /// What protobuf-c writes to. Its first member is what protobuf-c knows of it.
    fileprivate struct Sink {
        var base = ProtobufCBuffer()
        var scratch: UnsafeMutableRawPointer
        var scratchCapacity: Int
        var scratchCount = 0
        var total = 0
        var segments: UnsafeMutablePointer<Segment>
        var segmentCapacity: Int
        var segmentCount = 0
    }

    /// A run of the frame: from the scratch buffer, or from elsewhere.
    fileprivate struct Segment {
        var external: UnsafeRawPointer?
        var offset: Int
        var count: Int
    }

    /// From this size on, bytes are sent from where they lie. Copying less is cheaper than another piece to send.
    private static let externalSize = 1024
    private static let initialCapacity = 4 << 10
    /// What is kept between frames; a connection that once sent a large frame does not hold its memory for ever.
    private static let keptCapacity = 1 << 20

    init(_ socket: UnixSocket) {
        self.socket = socket
        sink = .allocate(capacity: 1)
        sink.initialize(
            to: Sink(
                scratch: .allocate(byteCount: FrameWriter.initialCapacity, alignment: 16),
                scratchCapacity: FrameWriter.initialCapacity,
                segments: .allocate(capacity: 16), segmentCapacity: 16))
        sink.pointee.base.append = { buffer, count, bytes in
            guard count > 0 else { return }
            FrameWriter.append(bytes!, count, to: UnsafeMutableRawPointer(buffer!).assumingMemoryBound(to: Sink.self))
        }
    }

    deinit {
        sink.pointee.scratch.deallocate()
        sink.pointee.segments.deallocate()
        sink.deallocate()
        ended.deallocate()
    }

    /// The rows whose episode ended with the step, until the next are asked for.
    func endedRows(of buffers: StepBuffers) -> UnsafeBufferPointer<UInt32> {
        if ended.count < buffers.count {
            ended.deallocate()
            ended = .allocate(capacity: buffers.count)
        }
        let count = buffers.collectEnded(into: ended.baseAddress!)
        return UnsafeBufferPointer(rebasing: ended[..<count])
    }

    /// Encodes a message and sends it; the arena is empty after it.
    ///
    /// - Parameter descriptor: a file descriptor to pass along, or -1.
    /// - Throws: ``WireError`` when the message is larger than `maxBody` (nothing was sent), ``SystemError``.
    func send(
        _ kind: FrameKind, _ message: UnsafeMutableRawPointer, maxBody: Int, passing descriptor: Int32 = -1
    ) throws {
        defer { arena.reset() }
        begin(kind)
        protobuf_c_message_pack_to_buffer(
            message.assumingMemoryBound(to: ProtobufCMessage.self),
            UnsafeMutableRawPointer(sink).assumingMemoryBound(to: ProtobufCBuffer.self))
        try finish(length: sink.pointee.total - FrameHeader.size, maxBody: maxBody, passing: descriptor)
    }

    /// Sends a message that `write` writes; it has to write as many bytes as are said here.
    ///
    /// - Throws: ``WireError`` when the message is larger than `maxBody` (nothing was sent), ``SystemError``.
    func send(_ kind: FrameKind, bodySize: Int, maxBody: Int, _ write: (inout Output) -> Void) throws {
        try FrameWriter.require(bodySize, atMost: maxBody)
        begin(kind)
        var output = Output(sink)
        write(&output)
        output.note()
        assert(sink.pointee.total == FrameHeader.size + bodySize, "the size of a message is known before it is written")
        try finish(length: bodySize, maxBody: maxBody, passing: -1)
    }

    private func begin(_ kind: FrameKind) {
        sink.pointee.scratchCount = 0
        sink.pointee.segmentCount = 0
        sink.pointee.total = 0
        let header: (UInt32, UInt8, UInt8, UInt16) = (0, kind.rawValue, 0, 0)
        withUnsafeBytes(of: header) { FrameWriter.append($0.baseAddress!, FrameHeader.size, to: sink) }
    }

    private static func require(_ length: Int, atMost maxBody: Int) throws {
        guard length <= min(maxBody, Int(UInt32.max)) else {
            throw WireError(
                .responseTooLarge,
                "the message takes \(length) bytes; frames on this connection have at most \(maxBody)")
        }
    }

    private func finish(length: Int, maxBody: Int, passing descriptor: Int32) throws {
        try FrameWriter.require(length, atMost: maxBody)
        sink.pointee.scratch.storeBytes(of: UInt32(length).littleEndian, as: UInt32.self)
        if descriptor < 0 && sink.pointee.segmentCount == 1 {
            try socket.send(UnsafeRawBufferPointer(start: sink.pointee.scratch, count: sink.pointee.total))
        } else {
            try sendPieces(passing: descriptor)
        }
        bytesSent += UInt64(length + FrameHeader.size)
        if sink.pointee.scratchCapacity > FrameWriter.keptCapacity {
            sink.pointee.scratch.deallocate()
            sink.pointee.scratch = .allocate(byteCount: FrameWriter.initialCapacity, alignment: 16)
            sink.pointee.scratchCapacity = FrameWriter.initialCapacity
        }
    }

    private func sendPieces(passing descriptor: Int32) throws {
        try withUnsafeTemporaryAllocation(of: iovec.self, capacity: sink.pointee.segmentCount) { pieces in
            for index in 0..<sink.pointee.segmentCount {
                let segment = sink.pointee.segments[index]
                let start = segment.external ?? UnsafeRawPointer(sink.pointee.scratch + segment.offset)
                pieces.initializeElement(
                    at: index, to: iovec(iov_base: UnsafeMutableRawPointer(mutating: start), iov_len: segment.count))
            }
            try socket.send(pieces, passing: descriptor)
        }
    }

    private static func append(_ bytes: UnsafeRawPointer, _ count: Int, to sink: UnsafeMutablePointer<Sink>) {
        sink.pointee.total += count
        if count >= externalSize {
            addSegment(Segment(external: bytes, offset: 0, count: count), to: sink)
            return
        }
        reserve(count, in: sink)
        (sink.pointee.scratch + sink.pointee.scratchCount).copyMemory(from: bytes, byteCount: count)
        sink.pointee.scratchCount += count
        addScratch(count, to: sink)
    }

    /// Makes room for so many bytes in the scratch buffer.
    private static func reserve(_ count: Int, in sink: UnsafeMutablePointer<Sink>) {
        let needed = sink.pointee.scratchCount + count
        guard needed > sink.pointee.scratchCapacity else { return }
        let capacity = max(needed, 2 * sink.pointee.scratchCapacity)
        let larger = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 16)
        larger.copyMemory(from: sink.pointee.scratch, byteCount: sink.pointee.scratchCount)
        sink.pointee.scratch.deallocate()
        sink.pointee.scratch = larger
        sink.pointee.scratchCapacity = capacity
    }

    /// Notes that the last `count` bytes of the scratch buffer are the next ones of the frame.
    private static func addScratch(_ count: Int, to sink: UnsafeMutablePointer<Sink>) {
        let last = sink.pointee.segmentCount - 1
        if last >= 0, sink.pointee.segments[last].external == nil {
            sink.pointee.segments[last].count += count
        } else {
            addSegment(Segment(external: nil, offset: sink.pointee.scratchCount - count, count: count), to: sink)
        }
    }

    private static func addSegment(_ segment: Segment, to sink: UnsafeMutablePointer<Sink>) {
        if sink.pointee.segmentCount == sink.pointee.segmentCapacity {
            let capacity = 2 * sink.pointee.segmentCapacity
            let larger = UnsafeMutablePointer<Segment>.allocate(capacity: capacity)
            larger.initialize(from: sink.pointee.segments, count: sink.pointee.segmentCount)
            sink.pointee.segments.deallocate()
            sink.pointee.segments = larger
            sink.pointee.segmentCapacity = capacity
        }
        sink.pointee.segments[sink.pointee.segmentCount] = segment
        sink.pointee.segmentCount += 1
    }

    /// Where the fields of a message are written, in protobuf's wire format.
    struct Output {
        private let sink: UnsafeMutablePointer<Sink>
        // In the scratch buffer: from where on bytes are not noted as the frame's yet, where the next goes, and the end.
        private var start: UnsafeMutableRawPointer
        private var next: UnsafeMutableRawPointer
        private var end: UnsafeMutableRawPointer

        /// The most bytes of a number.
        private static let mostVarint = 10

        fileprivate init(_ sink: UnsafeMutablePointer<Sink>) {
            self.sink = sink
            start = sink.pointee.scratch + sink.pointee.scratchCount
            next = start
            end = sink.pointee.scratch + sink.pointee.scratchCapacity
        }

        /// Makes room for so many bytes.
        @inline(__always)
        private mutating func reserve(_ count: Int) {
            if end - next >= count { return }
            note()
            FrameWriter.reserve(count, in: sink)
            self = Output(sink)
        }

        /// Notes what was written as the frame's.
        fileprivate mutating func note() {
            let count = next - start
            guard count > 0 else { return }
            sink.pointee.total += count
            sink.pointee.scratchCount += count
            FrameWriter.addScratch(count, to: sink)
            start = next
        }

        @inline(__always)
        private mutating func put(_ byte: UInt8) {
            next.storeBytes(of: byte, as: UInt8.self)
            next += 1
        }

        @inline(__always)
        private mutating func putVarint(_ value: UInt64) {
            var rest = value
            while rest >= 0x80 {
                put(UInt8(truncatingIfNeeded: rest) | 0x80)
                rest >>= 7
            }
            put(UInt8(truncatingIfNeeded: rest))
        }

        /// Writes a number.
        mutating func varint(_ value: UInt64) {
            reserve(Output.mostVarint)
            putVarint(value)
        }

        /// Writes a field that is a number; 0 is left out.
        ///
        /// - Parameter field: its number, at most 15.
        mutating func number(_ value: UInt64, field: UInt8) {
            if value == 0 { return }
            reserve(1 + Output.mostVarint)
            put(field << 3)
            putVarint(value)
        }

        /// Writes the beginning of a field of which `length` bytes follow.
        mutating func begin(field: UInt8, length: Int) {
            reserve(1 + Output.mostVarint)
            put(field << 3 | 2)
            putVarint(UInt64(length))
        }

        /// Writes a field of bytes, large ones as they lie there when the frame is sent; none are left out.
        mutating func bytes(_ bytes: UnsafeRawBufferPointer, field: UInt8) {
            guard bytes.count > 0 else { return }
            begin(field: field, length: bytes.count)
            raw(bytes)
        }

        /// Writes bytes of a field whose beginning was written, large ones as they lie there when the frame is sent.
        mutating func raw(_ bytes: UnsafeRawBufferPointer) {
            if bytes.count >= FrameWriter.externalSize {
                note()
                FrameWriter.append(bytes.baseAddress!, bytes.count, to: sink)
            } else {
                reserve(bytes.count)
                next.copyMemory(from: bytes.baseAddress!, byteCount: bytes.count)
                next += bytes.count
            }
        }
    }
}
