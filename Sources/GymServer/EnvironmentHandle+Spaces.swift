import GymCore
import GymProtocol

/// Drawing members of spaces, and looking whether something is one.
extension EnvironmentHandle {
    private func space(_ kind: SpaceKind) -> Space {
        kind == .action ? environment.actionSpace : environment.observationSpace
    }

    /// Draws a member for each environment, and hands them to `send`; when that fails, they were not drawn.
    ///
    /// - Parameter budget: what the answer may take; nothing is drawn that could not be sent.
    func sample(
        _ kind: SpaceKind, seed: UInt64?, _ budget: inout ReplyBudget, send: (BatchBuffer) throws -> Void
    ) throws {
        let space = space(kind)
        let leaves = space.leaves.map(\.leaf)
        try budget.add(BatchBuffer.byteCount(of: leaves.filter(\.isTensor), count: environment.count) ?? .max)
        var sampler =
            seed.map { SpaceSampler(space, seed: $0) } ?? samplers[kind]
            ?? SpaceSampler(space, seed: UInt64.random(in: 0...UInt64.max))
        let sample = BatchBuffer(space: space, count: environment.count)
        for row in 0..<environment.count { sample.store(sampler.sample(), of: space, row: row) }
        try send(sample)
        samplers[kind] = sampler
    }

    /// Takes over a batch of what may be members of a space.
    func members(of kind: SpaceKind, _ members: ReceivedLeaves) throws -> BatchBuffer {
        let batch = BatchBuffer(space: space(kind), count: environment.count)
        try members.copy(into: batch, field: "members", code: .invalidArgument)
        return batch
    }

    /// Whether each row of the batch is a member of the space.
    func contains(_ kind: SpaceKind, _ batch: BatchBuffer) -> [Bool] {
        let leaves = space(kind).leaves.map(\.space)
        let checkers = leaves.map { LeafChecker($0) }
        return (0..<environment.count).map { row in
            leaves.indices.allSatisfy { leaf in
                guard let checker = checkers[leaf] else {
                    return leaves[leaf].contains(batch.value(row: row, leaf: leaf))
                }
                let column = batch.columns[leaf]
                return checker.firstViolation(in: column.base! + row * column.rowBytes) == nil
            }
        }
    }
}

extension Leaf {
    /// Whether its members take the same number of bytes each.
    fileprivate var isTensor: Bool { if case .tensor = self { true } else { false } }
}
