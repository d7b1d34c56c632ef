import GymCore
import GymProtocol
import Synchronization

/// A batch of environments that a connection has made, and what is done with it.
///
/// All of this runs on one thread at a time. Requests come one after the other; ``monitor`` keeps them apart from steps
/// in shared memory.
final class EnvironmentHandle: @unchecked Sendable {
    let id: UInt32
    let environment: any VectorEnvironment
    let renderMode: String
    /// Bytes of its buffers, as estimated when it was made.
    let estimatedBytes: Int
    /// The actions as received, or copied from shared memory: nobody else can write here.
    let actions: BatchBuffer
    let sharedMemory: SharedMemory?
    /// Keeps requests apart from steps in shared memory.
    let monitor = Monitor()
    /// Requests in a row that were answered quickly; whoever carries one out keeps count.
    let quickRequests = Atomic(0)
    /// Whether the last step was made on all processors.
    let isCrowded = Atomic(false)
    /// The results of the last reset or step.
    private(set) var buffers: StepBuffers

    /// Where steps in shared memory go, in turns.
    private let sharedSets: [StepBuffers]
    /// Where resets go: with shared memory, not to a set that the client may still be reading.
    private let ownBuffers: StepBuffers
    private let sharedActions: BatchBuffer?
    private let actionCheckers: [(leaf: Int, checker: LeafChecker)]
    private let raggedActionSpaces: [(leaf: Int, space: Space)]
    /// Whether threads can step rows of one batch at the same time: not where results are kept in one array.
    private let canSplit: Bool
    /// Whether, moreover, actions of some rows can be taken over while others step.
    private let stepsApart: Bool
    private let threads: Int
    private var secondsPerRow = 0.0
    private var samplers: [SpaceKind: SpaceSampler] = [:]
    private var team: StepTeam?
    /// Which rows were sent an action and not received yet; empty until something is sent.
    private var isPending: [Bool] = []
    private var pendingCount = 0
    /// Where rows cannot be stepped beside each other, those that were sent; they are stepped when received.
    private var deferredRows: [Int] = []

    /// From this much work on, a batch is divided among threads. Below it waking them costs more than they bring.
    private static let splitSeconds = 200e-6

    /// Of so many rows at most an error gives details.
    private static let mostDetails = 64

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
        ownBuffers = StepBuffers(observationSpace: observationSpace, count: count)
        buffers = ownBuffers
        sharedActions = sharedMemory?.actions(of: actionSpace, count: count)
        sharedSets =
            sharedMemory.map { memory in
                (0..<2).map { memory.results($0, observationSpace: observationSpace, count: count) }
            } ?? []
        let leaves = actionSpace.leaves.enumerated()
        actionCheckers = leaves.compactMap { index, leaf in
            (parameters.passesOutOfBounds ? LeafChecker(finiteMembersOf: leaf.space) : LeafChecker(leaf.space))
                .map { (index, $0) }
        }
        raggedActionSpaces = leaves.compactMap { index, leaf in
            if case .ragged(let space) = leaf.leaf { (index, space) } else { nil }
        }
        canSplit = observationSpace.tensorLayouts != nil
        stepsApart = canSplit && actionSpace.tensorLayouts != nil
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
            for row in 0..<count { ownBuffers.infos[row] = [] }
        }
        do {
            let report = try environment.reset(
                rows: rows, seeds: seeds.isEmpty ? [] : rows.map { seeds[$0] }, options: parameters.options,
                wantsInfo: parameters.wantsInfo, into: ownBuffers)
            if buffers !== ownBuffers, let mask = parameters.mask {
                for row in 0..<count where !mask[row] {
                    ownBuffers.observation.copyRow(row, from: buffers.observation, row: row)
                }
            }
            buffers = ownBuffers
            return report
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
        isCrowded.store(false, ordering: .relaxed)
        guard canSplit && threads > 1 && rows.count > 1 && !wantsInfo else {
            return environment.step(rows: rows, actions: actions, wantsInfo: wantsInfo, into: buffers)
        }
        let parts = secondsPerRow * Double(rows.count) > EnvironmentHandle.splitSeconds ? min(threads, rows.count) : 1
        isCrowded.store(parts > 1 && parts >= StepTeam.processors, ordering: .relaxed)
        let start = monotonicSeconds()
        // Each row is one environment with a generator of its own, so the results do not depend on the division.
        let faults =
            parts > 1
            ? try startedTeam().stepAll(rows, parts: parts, into: buffers)
            : environment.step(rows: rows, actions: actions, wantsInfo: false, into: buffers)
        // Work is what all threads did together; a smoothed figure does not flap between the two ways.
        let seconds = (monotonicSeconds() - start) * Double(parts) / Double(rows.count)
        secondsPerRow = secondsPerRow == 0 ? seconds : 0.9 * secondsPerRow + 0.1 * seconds
        return faults
    }

    private func startedTeam() throws -> StepTeam {
        if let team { return team }
        let started = try StepTeam(threads: threads, capacity: environment.count, groupSize: environment.groupSize) {
            [environment, actions] rows, target in
            environment.step(rows: rows, actions: actions, wantsInfo: false, into: target)
        }
        team = started
        return started
    }

    /// Takes the actions from shared memory, steps, and says which set of results to look at.
    ///
    /// The actions are copied before they are looked at: the client could change them at any time.
    func stepShared(sequence: UInt32, wantsInfo: Bool) throws -> [EnvironmentFault] {
        for leaf in actions.leaves.indices {
            actions.bytes(ofLeaf: leaf).copyMemory(from: UnsafeRawBufferPointer(sharedActions!.bytes(ofLeaf: leaf)))
        }
        let previous = buffers
        buffers = sharedSets[Int(sequence &- 1) & 1]
        do {
            return try step(wantsInfo: wantsInfo)
        } catch {
            buffers = previous
            throw error
        }
    }

    private func requireReset(of rows: Range<Int>) throws { try requireReset(environment.rowsNeedingReset(in: rows)) }

    private func requireReset(_ waiting: [Int]) throws {
        guard waiting.isEmpty else {
            let named = waiting.prefix(8).map(String.init).joined(separator: ", ") + (waiting.count > 8 ? ", …" : "")
            throw WireError(
                .needsReset, "environments have to be reset before they are stepped: \(named)",
                details: waiting.prefix(EnvironmentHandle.mostDetails).map {
                    .init(field: "action", environmentIndex: $0, expected: "a reset first")
                })
        }
    }

    private func checkActions(of rows: [Int]) throws {
        var details: [WireError.Detail] = []
        for row in rows where !environment.ignoresNextAction(row: row) {
            if let detail = violation(row: row) { details.append(detail) }
            if details.count == EnvironmentHandle.mostDetails { break }
        }
        try refuseActions(details)
    }

    private func checkActions(of rows: Range<Int>) throws {
        var suspects: Set<Int> = []
        for (leaf, checker) in actionCheckers {
            var from = rows.lowerBound
            let memory = actions.columns[leaf].base!
            while from < rows.upperBound, suspects.count < EnvironmentHandle.mostDetails,
                let violation = checker.firstViolation(in: memory, rows: from..<rows.upperBound)
            {
                from = violation.row + 1
                if !environment.ignoresNextAction(row: violation.row) { suspects.insert(violation.row) }
            }
        }
        for (leaf, space) in raggedActionSpaces {
            for row in rows where !space.contains(actions.value(row: row, leaf: leaf)) {
                if !environment.ignoresNextAction(row: row) { suspects.insert(row) }
            }
        }
        if suspects.isEmpty { return }
        try refuseActions(suspects.sorted().prefix(EnvironmentHandle.mostDetails).compactMap(violation))
    }

    /// What is wrong with a row's action; `nil` when it is in its space.
    private func violation(row: Int) -> WireError.Detail? {
        func detail(leaf: Int, got: String) -> WireError.Detail {
            let space = environment.actionSpace.leaves[leaf].space
            return .init(field: "action", environmentIndex: row, expected: space.description, got: got)
        }
        for (leaf, checker) in actionCheckers {
            let column = actions.columns[leaf]
            let memory = column.base! + row * column.rowBytes
            if let element = checker.firstViolation(in: memory) {
                return detail(
                    leaf: leaf, got: "\(column.dtype.double(in: memory, at: element)) at element \(element)")
            }
        }
        for (leaf, space) in raggedActionSpaces where !space.contains(actions.value(row: row, leaf: leaf)) {
            return detail(leaf: leaf, got: "a value outside it")
        }
        return nil
    }

    /// - Throws: ``WireError`` that names every row of the details, unless there are none.
    private func refuseActions(_ details: [WireError.Detail]) throws {
        guard let first = details.first else { return }
        let more = details.count > 1 ? " (and those of \(details.count - 1) more)" : ""
        throw WireError(
            .invalidAction,
            "the action of environment \(first.environmentIndex ?? 0)\(more) is not in its space: \(first.got); "
                + "the space is \(first.expected)",
            details: details)
    }

    // MARK: Stepping some environments without waiting

    func requireNothingPending() throws {
        guard pendingCount > 0 else { return }
        throw WireError(
            .alreadyPending, "\(pendingCount) environments were sent actions and not received yet; receive them first")
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

    /// Checks actions for some environments, so that ``send(_:)`` can begin to step them.
    ///
    /// - Throws: ``WireError``; nothing changed for environments that are pending.
    func prepareToSend(_ environments: [UInt32], _ received: ReceivedLeaves) throws {
        try requireIndices(environments)
        guard Set(environments).count == environments.count, !environments.isEmpty else {
            throw WireError(.invalidArgument, "environment_index has to name at least one environment, and none twice")
        }
        if isPending.isEmpty { isPending = [Bool](repeating: false, count: environment.count) }
        if let busy = environments.first(where: { isPending[Int($0)] }) {
            throw WireError(
                .alreadyPending, "environment \(busy) was sent an action and not received yet; receive it first",
                details: [.init(field: "environment_index", environmentIndex: Int(busy))])
        }
        try environments.withUnsafeBufferPointer {
            try received.copy(into: actions, rows: $0, field: "action", code: .invalidAction)
        }
        let rows = environments.map(Int.init).sorted()
        try requireReset(rows.filter { !environment.rowsNeedingReset(in: $0..<($0 + 1)).isEmpty })
        try checkActions(of: rows)
    }

    /// Begins to step environments that ``prepareToSend(_:_:)`` found fit for it.
    func send(_ environments: [UInt32]) throws {
        let team = stepsApart ? try startedTeam() : nil
        for row in environments {
            isPending[Int(row)] = true
            pendingCount += 1
            if let team {
                team.begin(Int(row)..<(Int(row) + 1), into: buffers)
            } else {
                deferredRows.append(Int(row))
            }
        }
    }

    /// Waits for the first environments that are ready.
    func receive(_ count: Int) throws -> (rows: [UInt32], faults: [EnvironmentFault]) {
        guard count >= 1, count <= pendingCount else {
            throw WireError(
                .nothingPending,
                "\(count) environments are asked for; \(pendingCount) were sent actions and not received yet")
        }
        var rows: [UInt32] = []
        var faults: [EnvironmentFault] = []
        if stepsApart, let team {
            let taken = team.take(count)
            rows = taken.ranges.map { UInt32($0.lowerBound) }
            faults = taken.faults
        } else {
            for row in deferredRows.prefix(count) {
                rows.append(UInt32(row))
                faults += environment.step(rows: row..<(row + 1), actions: actions, wantsInfo: false, into: buffers)
            }
            deferredRows.removeFirst(count)
        }
        for row in rows { isPending[Int(row)] = false }
        pendingCount -= count
        return (rows, faults)
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
        let fresh = rows.filter { !environment.hasStarted(row: $0) }
        guard fresh.isEmpty else {
            throw WireError(
                .needsReset, "environments have to be reset before they are rendered",
                details: fresh.prefix(EnvironmentHandle.mostDetails).map {
                    .init(field: "environment_index", environmentIndex: $0, expected: "a reset first")
                })
        }
        return try rows.map { row in
            do {
                return try environment.render(row: row, mode: renderMode)
            } catch {
                throw WireError(
                    .environmentFault, "environment \(row) cannot be rendered: \(error)",
                    details: [.init(field: "environment_index", environmentIndex: row)])
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
                throw WireError(
                    .environmentFault, "environment \(row) cannot be saved: \(error)",
                    details: [.init(field: "environment_index", environmentIndex: row)])
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
            throw WireError(
                .invalidArgument, "there are \(states.count) states for \(rows.count) environments; give one for each",
                details: [.init(field: "states", expected: "\(rows.count)", got: "\(states.count)")])
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
            let row = rows[before.count - 1]
            throw WireError(
                .invalidState, "the state of environment \(row) cannot be taken over: \(error)",
                details: [.init(field: "states", environmentIndex: row)])
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

    /// Takes over a batch of what may be members of a space.
    func members(of kind: SpaceKind, _ members: ReceivedLeaves) throws -> BatchBuffer {
        let batch = BatchBuffer(space: space(kind), count: environment.count)
        try members.copy(into: batch, field: "members", code: .invalidArgument)
        return batch
    }

    /// Whether each row of the batch is a member of the space.
    func contains(_ kind: SpaceKind, _ batch: BatchBuffer) -> [Bool] {
        let leaves = space(kind).leaves.map(\.space)
        return (0..<environment.count).map { row in
            leaves.indices.allSatisfy { leaves[$0].contains(batch.value(row: row, leaf: $0)) }
        }
    }
}
