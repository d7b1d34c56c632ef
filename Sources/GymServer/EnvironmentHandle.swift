import Dispatch
import GymCore
import GymProtocol

/// A batch of environments that a connection has made, and what is done with it.
///
/// All of this runs on one thread at a time; the session and the shared-memory worker see to that with ``monitor``.
final class EnvironmentHandle: @unchecked Sendable {
    let id: UInt32
    let environment: any VectorEnvironment
    let renderMode: String
    /// Bytes of its buffers, as estimated when it was made.
    let estimatedBytes: Int
    /// The actions as received, or copied from shared memory: nobody else can write here.
    let actions: BatchBuffer
    let sharedMemory: SharedMemory?
    /// Guards the batch between the session's thread and the handle's own.
    let monitor = Monitor()

    /// The results of the last reset or step.
    var buffers: StepBuffers { bufferSets[currentSet] }

    private let bufferSets: [StepBuffers]
    private var currentSet = 0
    private let sharedActions: BatchBuffer?
    private let actionCheckers: [(leaf: Int, checker: LeafChecker)]
    private let raggedActionSpaces: [(leaf: Int, space: Space)]
    private let canSplit: Bool
    private let threads: Int
    private var secondsPerRow = 0.0
    private var samplers: [SpaceKind: SpaceSampler] = [:]
    private lazy var asynchronous = AsynchronousSteps(self)
    private var usesAsynchronous = false

    /// From this much work on, a batch is divided among threads. Below it waking them costs more than they bring.
    private static let splitSeconds = 200e-6

    init(
        id: UInt32, environment: any VectorEnvironment, parameters: MakeParameters, sharedMemory: SharedMemory?,
        threads: Int, estimatedBytes: Int
    ) {
        self.id = id
        self.environment = environment
        self.renderMode = parameters.renderMode
        self.estimatedBytes = estimatedBytes
        self.sharedMemory = sharedMemory
        self.threads = threads
        let observationSpace = environment.observationSpace
        let actionSpace = environment.actionSpace
        let count = environment.count
        actions = BatchBuffer(space: actionSpace, count: count)
        if let sharedMemory {
            sharedActions = sharedMemory.actions(of: actionSpace, count: count)
            bufferSets = (0..<2).map { sharedMemory.results($0, observationSpace: observationSpace, count: count) }
        } else {
            sharedActions = nil
            bufferSets = [StepBuffers(observationSpace: observationSpace, count: count)]
        }
        let leaves = actionSpace.leaves.enumerated()
        actionCheckers = leaves.compactMap { index, leaf in
            (parameters.passesOutOfBounds ? LeafChecker(finiteMembersOf: leaf.space) : LeafChecker(leaf.space))
                .map { (index, $0) }
        }
        raggedActionSpaces = leaves.compactMap { index, leaf in
            if case .ragged(let space) = leaf.leaf { (index, space) } else { nil }
        }
        canSplit = observationSpace.tensorLayouts != nil
    }

    // MARK: Resetting

    /// Starts episodes; returns what the answer says beside the observations.
    func reset(_ parameters: ResetParameters) throws -> ResetReport {
        try requireNothingPending()
        let count = environment.count
        if let mask = parameters.mask {
            guard mask.count == count, mask.contains(true) else {
                throw WireError(
                    .invalidMask,
                    "the mask has \(mask.count) bytes, \(mask.count { $0 }) of them 1; "
                        + "it needs \(count), at least one of them 1",
                    details: [.init(field: "mask", expected: "\(count) bytes", got: "\(mask.count) bytes")])
            }
        }
        let seeds: [UInt64?]
        switch parameters.seeds.count {
        case 0: seeds = []
        case 1 where count > 1: seeds = (0..<count).map { index in parameters.seeds[0].map { $0 &+ UInt64(index) } }
        case count: seeds = parameters.seeds
        default:
            throw WireError(
                .invalidArgument, "there are \(parameters.seeds.count) seeds; give none, one, or \(count)",
                details: [.init(field: "seeds", expected: "0, 1 or \(count)", got: "\(parameters.seeds.count)")])
        }
        let rows = (0..<count).filter { parameters.mask?[$0] ?? true }
        if parameters.wantsInfo {
            // Environments that are not reset have nothing to tell.
            for row in 0..<count { buffers.infos[row] = [] }
        }
        do {
            return try environment.reset(
                rows: rows, seeds: seeds.isEmpty ? [] : rows.map { seeds[$0] }, options: parameters.options,
                wantsInfo: parameters.wantsInfo, into: buffers)
        } catch let error as OptionError {
            throw WireError(
                .invalidOption, error.description,
                details: [.init(field: "options.\(error.option)", expected: "", got: "")])
        }
    }

    // MARK: Stepping

    /// Steps all environments with ``actions``.
    ///
    /// - Returns: the environments that failed.
    /// - Throws: ``WireError``; nothing was stepped.
    func step(wantsInfo: Bool) throws -> [EnvironmentFault] {
        try requireNothingPending()
        let rows = 0..<environment.count
        try requireReset(of: rows)
        try checkActions(of: rows)
        let start = monotonicSeconds()
        let faults =
            canSplit && !wantsInfo && threads > 1 && secondsPerRow * Double(rows.count) > EnvironmentHandle.splitSeconds
            ? stepInParts() : environment.step(rows: rows, actions: actions, wantsInfo: wantsInfo, into: buffers)
        // Work is what all threads did together; a smoothed figure does not flap between the two ways.
        let seconds = (monotonicSeconds() - start) / Double(rows.count)
        secondsPerRow = secondsPerRow == 0 ? seconds : 0.9 * secondsPerRow + 0.1 * seconds
        return faults
    }

    /// Divides the rows among threads. Each row is one environment with a generator of its own, so that the results
    /// are the same however they are divided.
    private func stepInParts() -> [EnvironmentFault] {
        let count = environment.count
        let parts = min(threads, count)
        nonisolated(unsafe) var faults = [[EnvironmentFault]](repeating: [], count: parts)
        faults.withUnsafeMutableBufferPointer { slots in
            nonisolated(unsafe) let slots = slots
            DispatchQueue.concurrentPerform(iterations: parts) { part in
                slots[part] = environment.step(
                    rows: (count * part / parts)..<(count * (part + 1) / parts), actions: actions, wantsInfo: false,
                    into: buffers)
            }
        }
        return Array(faults.joined())
    }

    /// Takes the actions from shared memory, steps, and says which set of results to look at.
    ///
    /// The actions are copied before they are looked at: the client could change them at any time.
    func stepShared(_ memory: SharedMemory, sequence: UInt32, wantsInfo: Bool) throws -> [EnvironmentFault] {
        for leaf in actions.leaves.indices {
            actions.bytes(ofLeaf: leaf).copyMemory(from: UnsafeRawBufferPointer(sharedActions!.bytes(ofLeaf: leaf)))
        }
        let previousSet = currentSet
        currentSet = Int(sequence &- 1) & 1
        do {
            return try step(wantsInfo: wantsInfo)
        } catch {
            currentSet = previousSet
            throw error
        }
    }

    private func requireReset(of rows: Range<Int>) throws {
        let waiting = environment.rowsNeedingReset(in: rows)
        guard waiting.isEmpty else {
            let named = waiting.prefix(8).map(String.init).joined(separator: ", ") + (waiting.count > 8 ? ", …" : "")
            throw WireError(
                .needsReset, "environments have to be reset before they are stepped: \(named)",
                details: waiting.prefix(64).map {
                    .init(field: "action", environmentIndex: $0, expected: "a reset first")
                })
        }
    }

    private func checkActions(of rows: Range<Int>) throws {
        for (leaf, checker) in actionCheckers {
            var from = rows.lowerBound
            let column = actions.columns[leaf]
            while from < rows.upperBound,
                let violation = checker.firstViolation(in: column.base!, rows: from..<rows.upperBound)
            {
                from = violation.row + 1
                if environment.ignoresNextAction(row: violation.row) { continue }
                let value = column.dtype.double(
                    in: column.base! + violation.row * column.rowBytes, at: violation.element)
                throw invalidAction(
                    row: violation.row, leaf: leaf, got: "\(value) at element \(violation.element)")
            }
        }
        for (leaf, space) in raggedActionSpaces {
            for row in rows where !space.contains(actions.value(row: row, leaf: leaf)) {
                if environment.ignoresNextAction(row: row) { continue }
                throw invalidAction(row: row, leaf: leaf, got: "a value outside it")
            }
        }
    }

    private func invalidAction(row: Int, leaf: Int, got: String) -> WireError {
        let space = environment.actionSpace.leaves[leaf].space
        return WireError(
            .invalidAction,
            "the action of environment \(row) is not in its space: \(got); the space is \(space)",
            details: [.init(field: "action", environmentIndex: row, expected: space.description, got: got)])
    }

    // MARK: Stepping some environments without waiting

    func requireNothingPending() throws {
        guard usesAsynchronous, asynchronous.pendingCount > 0 else { return }
        throw WireError(
            .alreadyPending, "\(asynchronous.pendingCount) environments were sent actions and not received yet")
    }

    /// - Throws: ``WireError`` for environments that step through shared memory.
    func requireSocketTransport() throws {
        guard sharedMemory == nil else {
            throw WireError(
                .notAllowed,
                "the environments step together, through shared memory: ring the doorbell there, "
                    + "or make them with the socket transport")
        }
    }

    /// Takes over the actions for some environments; theirs only, since others may be stepping with their own.
    func copyActions(_ received: ReceivedLeaves, rows: UnsafeBufferPointer<UInt32>) throws {
        if usesAsynchronous { try asynchronous.requireIdle(Array(rows)) }
        try received.copy(into: actions, rows: rows, field: "action", code: .invalidAction)
    }

    /// Begins to step the given environments.
    func send(_ environments: [UInt32]) throws {
        try requireIndices(environments)
        guard Set(environments).count == environments.count, !environments.isEmpty else {
            throw WireError(.invalidArgument, "environment_index has to name at least one environment, and none twice")
        }
        guard canSplit else {
            throw WireError(.unsupportedCapability, "environments with ragged observations step together only")
        }
        usesAsynchronous = true
        try asynchronous.requireIdle(environments)
        for row in environments {
            try requireReset(of: Int(row)..<(Int(row) + 1))
            try checkActions(of: Int(row)..<(Int(row) + 1))
        }
        asynchronous.start(environments)
    }

    /// Waits for the first environments that are ready.
    func receive(_ count: Int) throws -> (rows: [UInt32], faults: [EnvironmentFault]) {
        let pending = usesAsynchronous ? asynchronous.pendingCount : 0
        guard count >= 1, count <= pending else {
            throw WireError(
                .nothingPending,
                "\(count) environments are asked for; \(pending) were sent actions and not received yet")
        }
        return asynchronous.wait(count)
    }

    /// Waits for all that was sent, so that nothing runs any more.
    func drain() {
        if usesAsynchronous { asynchronous.drain() }
    }

    // MARK: Everything else

    func requireIndices(_ indices: [UInt32]) throws {
        if let bad = indices.first(where: { Int($0) >= environment.count }) {
            throw WireError(
                .invalidArgument, "environment \(bad) does not exist; there are \(environment.count), from 0 on",
                details: [.init(field: "environment_index", environmentIndex: Int(bad))])
        }
    }

    func render(_ indices: [UInt32]) throws -> [Rendering] {
        try requireNothingPending()
        try requireIndices(indices)
        guard !renderMode.isEmpty else {
            throw WireError(.renderUnavailable, "the environments were made without a render mode")
        }
        let rows = indices.isEmpty ? [0] : indices.map { Int($0) }
        // One that has ended can still be looked at.
        guard rows.allSatisfy(environment.hasStarted) else {
            throw WireError(.needsReset, "environments have to be reset before they are rendered")
        }
        return try rows.map { row in
            do {
                return try environment.render(row: row, mode: renderMode)
            } catch {
                throw WireError(.environmentFault, "environment \(row) cannot be rendered: \(error)")
            }
        }
    }

    func states(_ indices: [UInt32]) throws -> [[UInt8]] {
        try requireNothingPending()
        try requireRestorable()
        try requireIndices(indices)
        return try rows(indices).map { row in
            do {
                return try environment.saveState(row: row)
            } catch {
                throw WireError(.invalidState, "environment \(row) cannot be saved: \(error)")
            }
        }
    }

    func setStates(_ states: [[UInt8]], _ indices: [UInt32]) throws {
        try requireNothingPending()
        try requireRestorable()
        try requireIndices(indices)
        guard Set(indices).count == indices.count else {
            throw WireError(.invalidArgument, "environment_index names an environment twice")
        }
        let rows = rows(indices)
        guard rows.count == states.count else {
            throw WireError(.invalidState, "there are \(states.count) states for \(rows.count) environments")
        }
        // All or nothing: what was taken over before an error is put back.
        var before: [(row: Int, state: [UInt8])] = []
        do {
            for (row, state) in zip(rows, states) {
                before.append((row, try environment.saveState(row: row)))
                try environment.restoreState(state, row: row)
            }
        } catch {
            for (row, state) in before.reversed() { try? environment.restoreState(state, row: row) }
            throw WireError(
                .invalidState, "the state of environment \(rows[before.count - 1]) cannot be taken over: \(error)")
        }
    }

    private func requireRestorable() throws {
        guard environment.isRestorable else {
            throw WireError(.unsupportedCapability, "\(environment.spec.id) cannot be saved and restored")
        }
    }

    private func rows(_ indices: [UInt32]) -> [Int] {
        indices.isEmpty ? Array(0..<environment.count) : indices.map(Int.init)
    }

    private func space(_ kind: SpaceKind) -> Space {
        kind == .action ? environment.actionSpace : environment.observationSpace
    }

    /// Draws a member for each environment.
    func sample(_ kind: SpaceKind, seed: UInt64?) throws -> BatchBuffer {
        let space = space(kind)
        var sampler =
            seed.map { SpaceSampler(space, seed: $0) } ?? samplers[kind]
            ?? SpaceSampler(space, seed: UInt64.random(in: 0...UInt64.max))
        let sample = BatchBuffer(space: space, count: environment.count)
        for row in 0..<environment.count { sample.store(sampler.sample(), of: space, row: row) }
        samplers[kind] = sampler
        return sample
    }

    /// Whether each row of the batch is a member of the space.
    func contains(_ kind: SpaceKind, _ members: ReceivedLeaves) throws -> [Bool] {
        let space = space(kind)
        let batch = BatchBuffer(space: space, count: environment.count)
        try members.copy(into: batch, field: "members", code: .invalidArgument)
        let leaves = space.leaves.map(\.space)
        return (0..<environment.count).map { row in
            leaves.indices.allSatisfy { leaves[$0].contains(batch.value(row: row, leaf: $0)) }
        }
    }
}
