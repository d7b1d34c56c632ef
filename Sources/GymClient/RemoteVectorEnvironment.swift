public import GymCore
public import GymProtocol

/// A batch of environments that lives in a server.
///
/// Actions are written to ``actions``, results are read from ``results``; both are memory that is used again for every
/// step, so a step allocates nothing. With shared memory they are the server's own.
///
/// A step can be taken in two halves, ``sendStep(wantsInfo:)`` and ``receiveStep()``: between them the client does
/// something else, such as thinking about another batch.
public final class RemoteVectorEnvironment {
    /// What was made, with the spaces of one environment.
    public let description: EnvironmentDescription
    /// The number of environments.
    public let count: Int
    /// What happens when an episode ends.
    public let autoreset: AutoresetMode
    /// Steps after which an episode is truncated.
    public let maxEpisodeSteps: Int?
    /// How actions and results travel.
    public let transport: Transport
    /// The observation space of one environment.
    public var observationSpace: Space { description.observationSpace }
    /// The action space of one environment.
    public var actionSpace: Space { description.actionSpace }

    /// The actions of the next step, one row an environment; the client writes them.
    public let actions: BatchBuffer
    /// The results of the last reset or step. They stay what they are until the step after the next; with the socket,
    /// until the next.
    public var results: StepBuffers { buffers[current] }
    /// `info` of the last reset or step, when it was wanted.
    public private(set) var info: [InfoColumn] = []
    /// Under same-step autoreset, `info` of the steps that ended an episode, one row for each of them.
    public private(set) var finalInfo: [InfoColumn] = []

    private let handle: UInt32
    private let connection: Connection
    private let memory: SharedMemory?
    private let buffers: [StepBuffers]
    private var current = 0
    private var sequence: UInt32 = 0
    private var isStepPending = false
    private var pendingFaults: [EnvironmentFault] = []
    private var pendingError: WireError?
    private var received: [UInt32] = []
    private var isClosed = false
    private var completeStep: ((ReceivedResponse) throws -> Void)!

    /// Seconds between looks whether the server still lives, while waiting in shared memory.
    private static let livenessInterval = 0.1

    init(_ made: MadeEnvironment, memory: SharedMemory?, connection: Connection) {
        description = made.description
        count = made.count
        autoreset = made.autoreset
        maxEpisodeSteps = made.maxEpisodeSteps
        transport = made.transport
        handle = made.handle
        self.connection = connection
        self.memory = memory
        let observationSpace = made.description.observationSpace
        let actionSpace = made.description.actionSpace
        if let memory {
            actions = memory.actions(of: actionSpace, count: made.count)
            buffers = (0..<2).map { memory.results($0, observationSpace: observationSpace, count: made.count) }
        } else {
            actions = BatchBuffer(space: actionSpace, count: made.count)
            buffers = [StepBuffers(observationSpace: observationSpace, count: made.count)]
        }
        // Made once, so that a step does not allocate a closure.
        completeStep = { [unowned self] response in try take(response) }
    }

    deinit {
        if !isClosed && !isStepPending { try? close() }
    }

    // MARK: Episodes

    /// Starts new episodes.
    ///
    /// - Parameters:
    ///   - seeds: none; one, of which environment i gets i more; or one for each environment, where `nil` lets the
    ///     generator go on as it stands.
    ///   - mask: which environments; `nil`: all.
    ///   - options: the environment's reset options.
    /// - Returns: for each environment, the seed that its generator was last given.
    /// - Throws: ``GymError``.
    @discardableResult
    public func reset(
        seeds: [UInt64?] = [], mask: [Bool]? = nil, options: [String: OptionValue] = [:], wantsInfo: Bool = false
    ) throws -> [UInt64] {
        var parameters = ResetParameters()
        parameters.seeds = seeds
        parameters.mask = mask
        parameters.options = options
        parameters.wantsInfo = wantsInfo
        guard case .reset(let reset) = try exchange(.reset(parameters)) else { throw connection.unexpected("reset") }
        if memory == nil {
            try violation {
                try reset.observation.copy(
                    into: results.observation, field: "observation", code: .malformedMessage)
            }
        }
        for row in 0..<count where mask?[row] ?? true {
            results.rewards[row] = 0
            results.terminated[row] = 0
            results.truncated[row] = 0
        }
        info = reset.info
        if !reset.faults.isEmpty { throw GymError.environmentFaults(reset.faults) }
        return reset.effectiveSeeds
    }

    /// Steps all environments with ``actions`` and waits for the results.
    ///
    /// - Throws: ``GymError``. After ``GymError/environmentFaults(_:)`` the results hold for the other environments;
    ///   after ``GymError/refused(_:)`` nothing was stepped.
    public func step(wantsInfo: Bool = false) throws {
        try sendStep(wantsInfo: wantsInfo)
        try receiveStep()
    }

    /// Sends ``actions`` without waiting for the results.
    public func sendStep(wantsInfo: Bool = false) throws {
        if isClosed { throw GymError.closed }
        precondition(!isStepPending, "a step of this batch is already under way; receive it first")
        if let memory {
            sequence &+= 1
            memory.wantsInfo = wantsInfo
            memory.request.ring(sequence)
        } else {
            try connection.send(.step(actions, wantsInfo: wantsInfo), handle: handle, completion: completeStep)
        }
        isStepPending = true
    }

    /// Waits for the results of the step that ``sendStep(wantsInfo:)`` began.
    public func receiveStep() throws {
        precondition(isStepPending, "no step of this batch is under way; send one first")
        if let memory {
            try waitForSharedResults(in: memory)
        } else {
            while isStepPending { try connection.readFrame() }
        }
        try throwPending()
    }

    private func waitForSharedResults(in memory: SharedMemory) throws {
        let previous = sequence &- 1
        while memory.response.wait(whileShowing: previous, seconds: RemoteVectorEnvironment.livenessInterval)
            == previous
        {
            try connection.checkAlive()
        }
        let status = memory.status
        if status != .failed { current = Int(sequence &- 1) & 1 }
        switch status {
        case .done:
            isStepPending = false
            info = []
            finalInfo = []
        case .frameFollows, .failed:
            connection.awaitSharedStep(handle: handle, completion: completeStep)
            while isStepPending { try connection.readFrame() }
        case .closed:
            isStepPending = false
            isClosed = true
            throw GymError.connectionLost(reason: "the server closed the environments")
        }
    }

    /// Takes the answer to a step, or what follows a step in shared memory.
    private func take(_ response: ReceivedResponse) throws {
        isStepPending = false
        switch response.message {
        case .step(let step):
            if memory == nil {
                try violation { try step.copy(into: results, hasFinalObservations: autoreset == .sameStep) }
            }
            try takeExtras(of: step)
        case .error(let error): pendingError = error
        default: throw connection.unexpected("step")
        }
    }

    private func takeExtras(of step: ReceivedStep) throws {
        info = try step.info()
        finalInfo = try step.finalInfo()
        pendingFaults = step.faults
    }

    private func throwPending() throws {
        if let error = pendingError {
            pendingError = nil
            throw GymError.refused(error)
        }
        if !pendingFaults.isEmpty {
            defer { pendingFaults = [] }
            throw GymError.environmentFaults(pendingFaults)
        }
    }

    // MARK: Some environments at a time

    /// Steps some environments without waiting; their rows of ``actions`` are sent.
    public func send(environments: [Int]) throws {
        guard case .sent = try exchange(.send(environments: environments.map(UInt32.init), actions)) else {
            throw connection.unexpected("send")
        }
    }

    /// Waits for the first `count` environments that are ready.
    ///
    /// - Returns: which ones; their rows of ``results`` are new.
    public func receive(_ count: Int) throws -> [Int] {
        guard case .receive(let step) = try exchange(.receive(count: count)) else {
            throw connection.unexpected("receive")
        }
        try violation { try step.copy(into: results, hasFinalObservations: autoreset == .sameStep) }
        let environments = step.environments.map(Int.init)
        try takeExtras(of: step)
        try throwPending()
        return environments
    }

    // MARK: Everything else

    /// Pictures of the given environments, in the mode that they were made with.
    public func render(environments: [Int] = [0]) throws -> [Rendering] {
        guard case .render(let renderings) = try exchange(.render(environments: environments.map(UInt32.init))) else {
            throw connection.unexpected("render")
        }
        return renderings
    }

    /// The state of environments, generators included: opaque bytes of the server's own format.
    ///
    /// - Parameter environments: which ones; empty: all.
    public func states(of environments: [Int] = []) throws -> [[UInt8]] {
        guard case .states(let states) = try exchange(.getState(environments: environments.map(UInt32.init))) else {
            throw connection.unexpected("get state")
        }
        return states
    }

    /// Puts environments into states that ``states(of:)`` returned; they go on exactly.
    public func restore(_ states: [[UInt8]], environments: [Int] = []) throws {
        let request = Request<BatchBuffer>.setState(environments: environments.map(UInt32.init), states: states)
        guard case .stateSet = try exchange(request) else { throw connection.unexpected("set state") }
    }

    /// Draws a member of the action or observation space for each environment.
    public func sample(_ kind: SpaceKind = .action, seed: UInt64? = nil) throws -> BatchBuffer {
        guard case .sample(let leaves) = try exchange(.sample(kind, seed: seed)) else {
            throw connection.unexpected("sample")
        }
        let sample = BatchBuffer(space: kind == .action ? actionSpace : observationSpace, count: count)
        try violation { try leaves.copy(into: sample, field: "sample", code: .malformedMessage) }
        return sample
    }

    /// Whether each row is a member of the action or observation space.
    public func contains(_ kind: SpaceKind = .action, _ members: BatchBuffer) throws -> [Bool] {
        guard case .contained(let flags) = try exchange(.contains(kind, members)) else {
            throw connection.unexpected("contains")
        }
        return flags
    }

    /// Ends the environments. Closing again does nothing.
    public func close() throws {
        if isClosed { return }
        if isStepPending { try? receiveStep() }
        isClosed = true
        guard case .closed = try connection.exchange(.close, handle: handle) else {
            throw connection.unexpected("close")
        }
    }

    private func exchange(_ request: Request<BatchBuffer>) throws -> Response {
        if isClosed { throw GymError.closed }
        return try connection.exchange(request, handle: handle)
    }

    private func violation<Result>(_ body: () throws -> Result) throws -> Result {
        do {
            return try body()
        } catch let error as WireError {
            throw GymError.protocolViolation(error.message)
        }
    }
}
