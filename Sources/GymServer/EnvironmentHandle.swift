import GymCore
import GymProtocol

/// A batch of environments that a connection has made, and what is done with it.
///
/// For one thread at a time: ``HandleExecutor`` sees to that.
final class EnvironmentHandle {
    let environment: any VectorEnvironment
    let renderMode: String
    /// The actions as received, or copied from shared memory: nobody else can write here.
    let actions: BatchBuffer
    let sharedMemory: SharedMemory?
    /// The results of the last reset or step.
    var buffers: StepBuffers
    /// Whether the last step was made on all processors.
    var isCrowded = false

    /// Where steps in shared memory go, in turns.
    let sharedSets: [StepBuffers]
    /// Where resets go: with shared memory, not to a set that the client may still be reading.
    let ownBuffers: StepBuffers
    let sharedActions: BatchBuffer?
    let actionCheckers: [(leaf: Int, checker: LeafChecker)]
    let raggedActionSpaces: [(leaf: Int, space: Space)]
    /// Whether threads can step rows of one batch at the same time: not where results are kept in one array.
    let canSplit: Bool
    /// Whether, moreover, actions of some rows can be taken over while others step.
    let stepsApart: Bool
    let threads: Int
    var secondsPerRow = 0.0
    var samplers: [SpaceKind: SpaceSampler] = [:]
    /// Which rows were sent an action and not received yet; empty until something is sent.
    var isPending: [Bool] = []
    var pendingCount = 0
    /// Where rows cannot be stepped beside each other, those that were sent; they are stepped when received.
    var deferredRows: [Int] = []

    /// Reads requests that had to wait.
    lazy var decoder = RequestDecoder()

    private let pool: StepPool
    private var job: StepJob?

    /// Of so many rows at most an error gives details.
    static let mostDetails = 64

    init(
        environment: any VectorEnvironment, parameters: MakeParameters, isTimed: Bool, sharedMemory: SharedMemory?,
        threads: Int, pool: StepPool
    ) {
        self.environment = environment
        self.renderMode = parameters.renderMode
        self.sharedMemory = sharedMemory
        self.threads = threads
        self.pool = pool
        let observationSpace = environment.observationSpace
        let actionSpace = environment.actionSpace
        let count = environment.count
        actions = BatchBuffer(space: actionSpace, count: count)
        ownBuffers = StepBuffers(observationSpace: observationSpace, count: count, isTimed: isTimed)
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

    /// Waits for steps that have begun; those that have not are not made.
    deinit { job?.end() }

    /// Bytes that the buffers of a batch take; `nil` when they are too many to be counted.
    static func bufferBytes(of environment: any VectorEnvironment, count: Int, _ parameters: MakeParameters) -> Int? {
        let observation = environment.observationSpace.leaves.map(\.leaf)
        let action = environment.actionSpace.leaves.map(\.leaf)
        let fields = ResultField.all.map { Leaf.tensor(TensorLayout(dtype: $0.dtype, shape: [])) }
        // A set of results has two observations; with shared memory there are two sets more, and the actions once more.
        let isShared = parameters.transport == .sharedMemory
        let infos = 2 * MemoryLayout<[InfoEntry]>.stride
        guard
            let one = BatchBuffer.byteCount(of: observation + observation + fields, count: count),
            let actions = BatchBuffer.byteCount(of: action, count: count),
            let own = BatchBuffer.byteCount(
                of: [.tensor(TensorLayout(dtype: .uint8, shape: [infos + environment.bytesPerEnvironment]))],
                count: count)
        else { return nil }
        let (sets, tooManySets) = one.multipliedReportingOverflow(by: isShared ? 3 : 1)
        let (batches, tooManyActions) = actions.multipliedReportingOverflow(by: isShared ? 2 : 1)
        let (buffers, tooMuch) = sets.addingReportingOverflow(batches)
        let (all, tooLarge) = buffers.addingReportingOverflow(own)
        return tooManySets || tooManyActions || tooMuch || tooLarge ? nil : all
    }

    /// The job by which the pool's threads help with this batch.
    func startedJob() throws -> StepJob {
        if let job { return job }
        let started = try StepJob(pool: pool, capacity: environment.count, groupSize: environment.groupSize) {
            [environment, actions] rows, target in
            environment.step(rows: rows, actions: actions, wantsInfo: false, into: target)
        }
        job = started
        return started
    }

    /// That by which they help already.
    var runningJob: StepJob? { job }

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
}
