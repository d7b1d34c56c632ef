internal import CGymProtocol
internal import CProtobufC
import GymCore

/// Steps that were read, as the structures that protobuf-c makes of them, in memory that is used again for each.
final class StepReader {
    /// Messages with more leaves, or leaves with more axes, are left to protobuf-c.
    private static let mostLeaves = 16
    private static let mostAxes = 8
    /// Of rows that ended there is room for so many at first; there is more as responses bring more.
    private static let initialEnded = 64

    /// Those of the action or the observation.
    private let leaves = LeafStorage()
    /// Those of the final observation.
    private let finalLeaves = LeafStorage()
    private let response: UnsafeMutablePointer<Gym__V1__StepResponse>
    private var ended: UnsafeMutableBufferPointer<UInt32>

    /// Leaves of one batch.
    private final class LeafStorage {
        let leaves: UnsafeMutablePointer<CLeaf>
        let tensors: UnsafeMutablePointer<CTensor>
        let shapes: UnsafeMutablePointer<UInt32>
        let pointers: UnsafeMutablePointer<UnsafeMutablePointer<CLeaf>?>

        init() {
            leaves = .allocate(capacity: StepReader.mostLeaves)
            tensors = .allocate(capacity: StepReader.mostLeaves)
            shapes = .allocate(capacity: StepReader.mostLeaves * StepReader.mostAxes)
            pointers = .allocate(capacity: StepReader.mostLeaves)
            for index in 0..<StepReader.mostLeaves {
                gym__v1__tensor__init(tensors + index)
                tensors[index].shape = shapes + index * StepReader.mostAxes
                gym__v1__leaf__init(leaves + index)
                leaves[index].leaf_case = GYM__V1__LEAF__LEAF_TENSOR
                leaves[index].tensor = tensors + index
                pointers[index] = leaves + index
            }
        }

        deinit {
            leaves.deallocate()
            tensors.deallocate()
            shapes.deallocate()
            pointers.deallocate()
        }
    }

    init() {
        response = .allocate(capacity: 1)
        ended = .allocate(capacity: StepReader.initialEnded)
        gym__v1__step_response__init(response)
        response.pointee.observation = leaves.pointers
        response.pointee.final_observation = finalLeaves.pointers
    }

    deinit {
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
        let count = readLeaves(into: leaves, from: &envelope.step, field: 1)
        let wantsInfo = envelope.step.number(field: 2)
        guard envelope.step.isAtEnd, !envelope.step.hasFailed, wantsInfo <= 1 else { return nil }
        return ReceivedRequest(
            id: envelope.id, handle: envelope.handle,
            message: .handle(.step(ReceivedLeaves(leaves.pointers, count), wantsInfo: wantsInfo != 0)))
    }

    /// A usual response to a step; `nil` for whatever else the bytes may be.
    func response(_ body: UnsafeRawBufferPointer) -> ReceivedResponse? {
        guard var envelope = Envelope(body) else { return nil }
        response.pointee.n_observation = readLeaves(into: leaves, from: &envelope.step, field: 1)
        response.pointee.n_final_index = 0
        response.pointee.n_final_observation = 0
        var hasIndices = false
        for field in ResultField.all {
            // Fields come by their numbers, or it is not a usual response.
            if field.number > 5, !hasIndices {
                hasIndices = true
                response.pointee.n_final_index = readEnded(from: &envelope.step)
                response.pointee.n_final_observation = readLeaves(into: finalLeaves, from: &envelope.step, field: 6)
            }
            ResultFieldAccess.data(of: field, in: response).pointee = envelope.step.bytes(field: field.number)
        }
        guard envelope.step.isAtEnd, !envelope.step.hasFailed else { return nil }
        return ReceivedResponse(
            id: envelope.id, handle: envelope.handle, message: .step(ReceivedStep(response)))
    }

    /// Reads the rows that ended; returns how many.
    private func readEnded(from step: inout WireInput) -> Int {
        var count = 0
        step.numbers(field: 5) { row in
            if count == ended.count {
                let larger = UnsafeMutableBufferPointer<UInt32>.allocate(capacity: 2 * count)
                _ = larger.update(fromContentsOf: ended)
                ended.deallocate()
                ended = larger
            }
            ended[count] = row
            count += 1
            return true
        }
        response.pointee.final_index = ended.baseAddress
        return step.hasFailed ? 0 : count
    }

    /// Reads leaves that are tensors; returns how many.
    private func readLeaves(into storage: LeafStorage, from step: inout WireInput, field: UInt8) -> Int {
        var count = 0
        while step.takes(field: field, wireType: 2) {
            var leaf = step.part()
            guard count < StepReader.mostLeaves, leaf.takes(field: 1, wireType: 2) else {
                step.fail()
                break
            }
            var tensor = leaf.part()
            read(&tensor, into: storage.tensors + count)
            if leaf.hasFailed || !leaf.isAtEnd || tensor.hasFailed || !tensor.isAtEnd { step.fail() }
            count += 1
        }
        return count
    }

    private func read(_ input: inout WireInput, into tensor: UnsafeMutablePointer<CTensor>) {
        let dtype = input.number(field: 1)
        var axes = 0
        input.numbers(field: 2) { extent in
            guard axes < StepReader.mostAxes else { return false }
            tensor.pointee.shape[axes] = extent
            axes += 1
            return true
        }
        tensor.pointee.n_shape = axes
        tensor.pointee.data = input.bytes(field: 3)
        guard dtype <= UInt64(Int32.max) else { return input.fail() }
        tensor.pointee.dtype = Gym__V1__DType(rawValue: UInt32(dtype))
    }
}
