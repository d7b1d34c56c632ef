internal import CGymProtocol
internal import CProtobufC
import GymCore

// The messages of a usual step, written and read without protobuf-c.
//
// protobuf-c looks every field up in a description of its message, several times over, which costs a step over the
// socket more than anything else in this process. What is written here has the same bytes; what is read here is what
// every writer of steps writes, and whatever looks otherwise is left to protobuf-c.

// MARK: Writing

/// Sizes in protobuf's wire format.
enum WireSize {
    static func varint(_ value: UInt64) -> Int { (70 - (value | 1).leadingZeroBitCount) / 7 }

    /// A field of the given length, with its tag of one byte.
    static func delimited(_ length: Int) -> Int { 1 + varint(UInt64(length)) + length }

    /// A field that is left out when it is empty.
    static func optional(_ length: Int) -> Int { length == 0 ? 0 : delimited(length) }

    /// A number, with its tag of one byte; 0 is left out.
    static func number(_ value: UInt64) -> Int { value == 0 ? 0 : 1 + varint(value) }

    /// The extents of a batch's leaf.
    static func shape(_ layout: TensorLayout, count: Int) -> Int {
        layout.shape.reduce(varint(UInt64(count))) { $0 + varint(UInt64($1)) }
    }

    static func tensor(_ layout: TensorLayout, count: Int) -> Int {
        number(UInt64(layout.dtype.rawValue)) + delimited(shape(layout, count: count))
            + optional(count * layout.byteCount)
    }

    /// A batch's leaves, each with its tag; `nil` when one is ragged.
    static func leaves(of batch: BatchBuffer) -> Int? {
        var total = 0
        for leaf in batch.leaves {
            guard case .tensor(let layout) = leaf else { return nil }
            total += delimited(delimited(tensor(layout, count: batch.count)))
        }
        return total
    }
}

extension FrameWriter {
    /// Sends a request for a step.
    ///
    /// - Returns: whether it was sent; not when protobuf-c has to do it.
    func sendStep(
        _ actions: BatchBuffer, wantsInfo: Bool, id: UInt64, handle: UInt32, maxBody: Int
    ) throws -> Bool {
        guard let leaves = WireSize.leaves(of: actions) else { return false }
        let step = leaves + (wantsInfo ? 2 : 0)
        let envelope = WireSize.number(id) + WireSize.number(UInt64(handle))
        try send(.request, bodySize: envelope + WireSize.delimited(step), maxBody: maxBody) { output in
            output.envelope(id: id, handle: handle, step: step)
            output.leaves(of: actions, field: 1)
            output.number(wantsInfo ? 1 : 0, field: 2)
        }
        return true
    }

    /// Sends the response to a step, of all rows and without `info`.
    ///
    /// - Returns: whether it was sent; not when protobuf-c has to do it.
    func sendStep(
        _ buffers: StepBuffers, hasFinalObservations: Bool, id: UInt64, handle: UInt32, maxBody: Int
    ) throws -> Bool {
        guard let leaves = WireSize.leaves(of: buffers.observation) else { return false }
        let count = buffers.count
        func hasEnded(_ row: Int) -> Bool { buffers.terminated[row] | buffers.truncated[row] != 0 }
        var ended = 0
        var indices = 0
        for row in 0..<count where hasEnded(row) {
            ended += 1
            indices += WireSize.varint(UInt64(row))
        }
        if ended > 0 && hasFinalObservations { return false }
        let step =
            leaves + WireSize.optional(count * MemoryLayout<Double>.size) + 2 * WireSize.optional(count)
            + WireSize.optional(indices) + WireSize.optional(ended * MemoryLayout<Double>.size)
            + WireSize.optional(ended * MemoryLayout<Int64>.size)
        let envelope = WireSize.number(id) + WireSize.number(UInt64(handle))
        try send(.response, bodySize: envelope + WireSize.delimited(step), maxBody: maxBody) { output in
            output.envelope(id: id, handle: handle, step: step)
            output.leaves(of: buffers.observation, field: 1)
            output.bytes(UnsafeRawBufferPointer(buffers.rewards), field: 2)
            output.bytes(UnsafeRawBufferPointer(buffers.terminated), field: 3)
            output.bytes(UnsafeRawBufferPointer(buffers.truncated), field: 4)
            if ended == 0 { return }
            output.begin(field: 5, length: indices)
            for row in 0..<count where hasEnded(row) { output.varint(UInt64(row)) }
            output.begin(field: 7, length: ended * MemoryLayout<Double>.size)
            for row in 0..<count where hasEnded(row) { output.element(buffers.episodeReturns[row]) }
            output.begin(field: 8, length: ended * MemoryLayout<Int64>.size)
            for row in 0..<count where hasEnded(row) { output.element(buffers.episodeLengths[row]) }
        }
        return true
    }
}

extension FrameWriter.Output {
    /// Everything before the contents of the step, which is field 3 of requests and responses.
    fileprivate mutating func envelope(id: UInt64, handle: UInt32, step: Int) {
        number(id, field: 1)
        number(UInt64(handle), field: 2)
        begin(field: 3, length: step)
    }

    fileprivate mutating func leaves(of batch: BatchBuffer, field: UInt8) {
        for index in batch.leaves.indices {
            guard case .tensor(let layout) = batch.leaves[index] else { preconditionFailure("its size was asked for") }
            let tensor = WireSize.tensor(layout, count: batch.count)
            begin(field: field, length: WireSize.delimited(tensor))
            begin(field: 1, length: tensor)
            number(UInt64(layout.dtype.rawValue), field: 1)
            begin(field: 2, length: WireSize.shape(layout, count: batch.count))
            varint(UInt64(batch.count))
            for extent in layout.shape { varint(UInt64(extent)) }
            bytes(UnsafeRawBufferPointer(batch.bytes(ofLeaf: index)), field: 3)
        }
    }
}

// MARK: Reading

/// Reads a message in protobuf's wire format from its start to its end.
private struct WireInput {
    private var position: UnsafePointer<UInt8>
    private let end: UnsafePointer<UInt8>
    /// Something that is not as expected was found; what was read then is not to be used.
    private(set) var hasFailed = false

    init(_ bytes: UnsafeRawBufferPointer) {
        position = bytes.baseAddress!.assumingMemoryBound(to: UInt8.self)
        end = position + bytes.count
    }

    private init(_ start: UnsafePointer<UInt8>, count: Int) {
        position = start
        end = start + count
    }

    var isAtEnd: Bool { position == end }

    mutating func fail() {
        hasFailed = true
        position = end
    }

    /// A number; at the end of the message, and for one that is too long, it fails.
    mutating func varint() -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while position < end, shift < 64 {
            let byte = position.pointee
            position += 1
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
            shift += 7
        }
        fail()
        return 0
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
    mutating func part() -> WireInput {
        let start = position
        let length = varint()
        // protobuf-c takes lengths of at most five bytes.
        guard !hasFailed, position - start <= 5, length <= UInt64(end - position) else {
            fail()
            return WireInput(end, count: 0)
        }
        defer { position += Int(length) }
        return WireInput(position, count: Int(length))
    }

    /// A field of packed numbers; returns how many there are, 0 when another field comes next.
    mutating func numbers(field: UInt8, into target: UnsafeMutablePointer<UInt32>, capacity: Int) -> Int {
        guard takes(field: field, wireType: 2) else { return 0 }
        var numbers = part()
        var count = 0
        while !numbers.isAtEnd {
            guard count < capacity, let number = UInt32(exactly: numbers.varint()) else {
                fail()
                return 0
            }
            target[count] = number
            count += 1
        }
        if numbers.hasFailed { fail() }
        return count
    }

    /// A field's bytes, or none when another field comes next.
    mutating func bytes(field: UInt8) -> ProtobufCBinaryData {
        guard takes(field: field, wireType: 2) else { return ProtobufCBinaryData() }
        let part = part()
        return ProtobufCBinaryData(len: part.end - part.position, data: UnsafeMutablePointer(mutating: part.position))
    }
}

/// Steps that were read, as the structures that protobuf-c makes of them, in memory that is used again for each.
final class StepReader {
    /// Messages with more leaves, or leaves with more axes, are left to protobuf-c.
    private static let mostLeaves = 16
    private static let mostAxes = 8
    /// Responses in which more episodes ended, too.
    private static let mostEnded = 64

    private let leaves: UnsafeMutablePointer<CLeaf>
    private let tensors: UnsafeMutablePointer<CTensor>
    private let shapes: UnsafeMutablePointer<UInt32>
    private let pointers: UnsafeMutablePointer<UnsafeMutablePointer<CLeaf>?>
    private let response: UnsafeMutablePointer<Gym__V1__StepResponse>
    private let ended: UnsafeMutablePointer<UInt32>

    init() {
        leaves = .allocate(capacity: StepReader.mostLeaves)
        tensors = .allocate(capacity: StepReader.mostLeaves)
        shapes = .allocate(capacity: StepReader.mostLeaves * StepReader.mostAxes)
        pointers = .allocate(capacity: StepReader.mostLeaves)
        response = .allocate(capacity: 1)
        ended = .allocate(capacity: StepReader.mostEnded)
        for index in 0..<StepReader.mostLeaves {
            gym__v1__tensor__init(tensors + index)
            tensors[index].shape = shapes + index * StepReader.mostAxes
            gym__v1__leaf__init(leaves + index)
            leaves[index].leaf_case = GYM__V1__LEAF__LEAF_TENSOR
            leaves[index].tensor = tensors + index
            pointers[index] = leaves + index
        }
        gym__v1__step_response__init(response)
        response.pointee.observation = pointers
        response.pointee.final_index = ended
    }

    deinit {
        leaves.deallocate()
        tensors.deallocate()
        shapes.deallocate()
        pointers.deallocate()
        response.deallocate()
        ended.deallocate()
    }

    /// A message whose field 3, its only other one, is a step.
    private struct Envelope {
        let id: UInt64
        let handle: UInt32
        var step: WireInput

        init?(_ body: UnsafeRawBufferPointer) {
            guard body.count > 0 else { return nil }
            var input = WireInput(body)
            id = input.number(field: 1)
            let number = input.number(field: 2)
            guard input.takes(field: 3, wireType: 2) else { return nil }
            step = input.part()
            guard input.isAtEnd, !input.hasFailed, let handle = UInt32(exactly: number) else { return nil }
            self.handle = handle
        }
    }

    /// A usual request for a step; `nil` for whatever else the bytes may be.
    func request(_ body: UnsafeRawBufferPointer) -> ReceivedRequest? {
        guard var envelope = Envelope(body) else { return nil }
        let count = readLeaves(from: &envelope.step, field: 1)
        let wantsInfo = envelope.step.number(field: 2)
        guard envelope.step.isAtEnd, !envelope.step.hasFailed, wantsInfo <= 1 else { return nil }
        return ReceivedRequest(
            id: envelope.id, handle: envelope.handle,
            message: .step(ReceivedLeaves(pointers, count), wantsInfo: wantsInfo != 0))
    }

    /// A usual response to a step; `nil` for whatever else the bytes may be.
    func response(_ body: UnsafeRawBufferPointer) -> ReceivedResponse? {
        guard var envelope = Envelope(body) else { return nil }
        response.pointee.n_observation = readLeaves(from: &envelope.step, field: 1)
        response.pointee.rewards = envelope.step.bytes(field: 2)
        response.pointee.terminated = envelope.step.bytes(field: 3)
        response.pointee.truncated = envelope.step.bytes(field: 4)
        response.pointee.n_final_index = envelope.step.numbers(field: 5, into: ended, capacity: StepReader.mostEnded)
        response.pointee.episode_returns = envelope.step.bytes(field: 7)
        response.pointee.episode_lengths = envelope.step.bytes(field: 8)
        guard envelope.step.isAtEnd, !envelope.step.hasFailed else { return nil }
        return ReceivedResponse(
            id: envelope.id, handle: envelope.handle, message: .step(ReceivedStep(response)))
    }

    /// Reads leaves that are tensors; returns how many.
    private func readLeaves(from step: inout WireInput, field: UInt8) -> Int {
        var count = 0
        while step.takes(field: field, wireType: 2) {
            var leaf = step.part()
            guard count < StepReader.mostLeaves, leaf.takes(field: 1, wireType: 2) else {
                step.fail()
                break
            }
            var tensor = leaf.part()
            read(&tensor, into: tensors + count)
            if leaf.hasFailed || !leaf.isAtEnd || tensor.hasFailed || !tensor.isAtEnd { step.fail() }
            count += 1
        }
        return count
    }

    private func read(_ input: inout WireInput, into tensor: UnsafeMutablePointer<CTensor>) {
        let dtype = input.number(field: 1)
        tensor.pointee.n_shape = input.numbers(
            field: 2, into: tensor.pointee.shape, capacity: StepReader.mostAxes)
        tensor.pointee.data = input.bytes(field: 3)
        guard dtype <= UInt64(Int32.max) else { return input.fail() }
        tensor.pointee.dtype = Gym__V1__DType(rawValue: UInt32(dtype))
    }
}
