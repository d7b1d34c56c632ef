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
    public private(set) var results: StepBuffers
    /// `info` of the last reset or step, when it was wanted.
    public private(set) var info: [InfoColumn] = []
    /// Under same-step autoreset, `info` of the steps that ended an episode, one row for each of them.
    public private(set) var finalInfo: [InfoColumn] = []

    private let handle: UInt32
    private let connection: Connection
    private let memory: SharedMemory?
    /// Where steps in shared memory leave their results, in turns.
    private let sharedSets: [StepBuffers]
    /// Where results go that come by socket: those of resets, with shared memory too.
    private let ownBuffers: StepBuffers
    private var sequence: UInt32 = 0
    /// A step was sent and not received yet.
    private var isStepPending = false
    /// Its answer is still to come. Whoever reads from the connection may take it, before the step is received.
    private var awaitsAnswer = false
    private var pendingError: GymError?
    private var isClosed = false

    /// Seconds between looks whether the server still lives, while waiting in shared memory.
    private static let livenessInterval = 0.1

    init(_ made: MadeEnvironment, isTimed: Bool, memory: SharedMemory?, connection: Connection) {
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
        actions =
            memory?.actions(of: actionSpace, count: made.count) ?? BatchBuffer(space: actionSpace, count: made.count)
        sharedSets =
            memory.map { memory in
                (0..<2).map { memory.results($0, observationSpace: observationSpace, count: made.count) }
            } ?? []
        ownBuffers = StepBuffers(observationSpace: observationSpace, count: made.count, isTimed: isTimed)
        results = ownBuffers
        if memory != nil { connection.registerShared(self, handle: handle) }
    }

    deinit { connection.abandon(self, handle: handle, isClosed: isClosed) }

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
        try violation {
            try reset.observation.copy(into: ownBuffers.observation, field: "observation", code: .malformedMessage)
            guard reset.effectiveSeeds.count == count, reset.faults.allSatisfy({ $0.index < count }) else {
                throw WireError(.malformedMessage, "the answer to a reset is not one of \(count) environments")
            }
            try requireRows(of: reset.info, count)
        }
        for row in 0..<count {
            let isReset = mask?[row] ?? true
            ownBuffers.rewards[row] = isReset ? 0 : results.rewards[row]
            ownBuffers.terminated[row] = isReset ? 0 : results.terminated[row]
            ownBuffers.truncated[row] = isReset ? 0 : results.truncated[row]
        }
        results = ownBuffers
        info = reset.info
        if !reset.faults.isEmpty { throw GymError.environmentFaults(reset.faults) }
        return reset.effectiveSeeds
    }

    /// Steps all environments with ``actions`` and waits for the results.
    ///
    /// - Throws: ``GymError``. After ``GymError/environmentFaults(_:)`` the results hold for the other environments, and
    ///   for an episode whose end came before the reset that failed; after ``GymError/refused(_:)`` nothing was stepped.
    public func step(wantsInfo: Bool = false) throws {
        try sendStep(wantsInfo: wantsInfo)
        try receiveStep()
    }

    /// Sends ``actions`` without waiting for the results.
    ///
    /// - Throws: ``GymError``; ``GymError/misuse(_:)`` when the last step that was sent was not received yet.
    public func sendStep(wantsInfo: Bool = false) throws {
        if isClosed { throw GymError.closed }
        if isStepPending {
            throw GymError.misuse("a step of this batch is already under way; receive it with receiveStep() first")
        }
        if let memory {
            try connection.requireOpen()
            sequence &+= 1
            memory.wantsInfo = wantsInfo
            memory.request.ring(sequence)
        } else {
            try connection.send(.step(actions, wantsInfo: wantsInfo), of: self, handle: handle)
        }
        isStepPending = true
        awaitsAnswer = true
    }

    /// Waits for the results of the step that ``sendStep(wantsInfo:)`` began.
    ///
    /// - Throws: as ``step(wantsInfo:)``; ``GymError/misuse(_:)`` when there is none.
    public func receiveStep() throws {
        guard isStepPending else {
            throw GymError.misuse("no step of this batch is under way; send one with sendStep() first")
        }
        isStepPending = false
        if let memory { try waitForSharedResults(in: memory) }
        while awaitsAnswer { try connection.readFrame() }
        try throwPending()
    }

    private func waitForSharedResults(in memory: SharedMemory) throws {
        var shown = memory.response.value
        while shown != sequence {
            let now = memory.response.wait(whileShowing: shown, seconds: RemoteVectorEnvironment.livenessInterval)
            if now == shown { try connection.checkAlive() }
            shown = now
        }
        let status = memory.status
        switch status {
        case .done:
            results = sharedSets[Int(sequence &- 1) & 1]
            if !info.isEmpty { info = [] }
            if !finalInfo.isEmpty { finalInfo = [] }
            awaitsAnswer = false
        case .frameFollows: results = sharedSets[Int(sequence &- 1) & 1]
        case .failed: break
        case .closed:
            isClosed = true
            try connection.checkAlive()
            throw GymError.connectionLost(reason: "the server closed the environments")
        }
    }

    /// Takes the answer to a step, or what follows a step in shared memory. What is wrong with it is for whoever
    /// receives the step, who need not be the one who reads now.
    func take(_ response: ReceivedResponse) {
        awaitsAnswer = false
        do {
            switch response.message {
            case .step(let step):
                if memory == nil {
                    try violation { try step.copy(into: results, hasFinalObservations: autoreset == .sameStep) }
                }
                try takeExtras(of: step)
            case .error(let error): pendingError = .refused(error)
            default: pendingError = connection.unexpected("step")
            }
        } catch {
            pendingError = error as? GymError ?? .protocolViolation("\(error)")
        }
    }

    private func takeExtras(of step: ReceivedStep) throws {
        guard step.hasExtras else {
            if !info.isEmpty { info = [] }
            if !finalInfo.isEmpty { finalInfo = [] }
            return
        }
        let faults = try violation {
            info = try step.info()
            finalInfo = try step.finalInfo()
            try requireRows(of: info, count)
            return try step.faults(of: count)
        }
        if !faults.isEmpty { pendingError = .environmentFaults(faults) }
    }

    /// - Throws: ``WireError`` unless each column has so many rows.
    private func requireRows(of columns: [InfoColumn], _ count: Int) throws {
        if let bad = columns.first(where: { $0.values.count != count }) {
            throw WireError(
                .malformedMessage, "the info column \(bad.name) has \(bad.values.count) rows in place of \(count)")
        }
    }

    private func throwPending() throws {
        guard let error = pendingError else { return }
        pendingError = nil
        throw error
    }

    // MARK: Some environments at a time

    /// Steps some environments without waiting; their rows of ``actions`` are sent.
    public func send(environments: [Int]) throws {
        guard case .sent = try exchange(.send(environments: try indices(environments), actions)) else {
            throw connection.unexpected("send")
        }
    }

    /// Waits for the first `count` environments that are ready.
    ///
    /// - Returns: which ones; their rows of ``results`` are new.
    public func receive(_ count: Int) throws -> [Int] {
        guard (0...Int(UInt32.max)).contains(count) else {
            throw GymError.misuse("\(count) environments cannot be received; ask for 1 or more")
        }
        guard case .receive(let step) = try exchange(.receive(count: count)) else {
            throw connection.unexpected("receive")
        }
        let environments = step.environments.map(Int.init)
        try violation {
            guard environments.count == count else {
                throw WireError(.malformedMessage, "\(environments.count) environments came in place of \(count)")
            }
            try step.copy(into: results, hasFinalObservations: autoreset == .sameStep)
        }
        try takeExtras(of: step)
        try throwPending()
        return environments
    }

    // MARK: Everything else

    /// Pictures of the given environments, in the mode that they were made with.
    public func render(environments: [Int] = [0]) throws -> [Rendering] {
        guard case .render(let renderings) = try exchange(.render(environments: try indices(environments))) else {
            throw connection.unexpected("render")
        }
        try require(renderings.count, max(environments.count, 1), "pictures")
        return renderings
    }

    /// Whether server and environment can save states.
    public var canSaveStates: Bool {
        connection.server.capabilities.contains(ProtocolVersion.state) && description.isRestorable
    }

    /// The state of environments, generators included: opaque bytes of the server's own format.
    ///
    /// - Parameter environments: which ones; empty: all.
    public func states(of environments: [Int] = []) throws -> [[UInt8]] {
        guard case .states(let states) = try exchange(.getState(environments: try indices(environments))) else {
            throw connection.unexpected("get state")
        }
        try require(states.count, environments.isEmpty ? count : environments.count, "states")
        return states
    }

    /// Puts environments into states that ``states(of:)`` returned; they go on exactly.
    public func restore(_ states: [[UInt8]], environments: [Int] = []) throws {
        let request = HandleRequest<BatchBuffer>.setState(environments: try indices(environments), states: states)
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
        try require(flags.count, count, "members")
        return flags
    }

    /// Ends the environments. Closing again does nothing.
    public func close() throws {
        if isClosed { return }
        if isStepPending { try? receiveStep() }
        if isClosed { return }
        isClosed = true
        guard case .closed = try connection.exchange(.close, handle: handle) else {
            throw connection.unexpected("close")
        }
    }

    /// - Throws: ``GymError/refused(_:)`` for environments that there are not: their rows could not even be read here.
    private func indices(_ environments: [Int]) throws -> [UInt32] {
        if let bad = environments.first(where: { !(0..<count).contains($0) }) {
            throw GymError.refused(
                WireError(.invalidArgument, "environment \(bad) does not exist; there are \(count), from 0 on"))
        }
        return environments.map(UInt32.init)
    }

    /// - Throws: ``GymError/protocolViolation(_:)`` when another number of things came than was asked for.
    private func require(_ came: Int, _ wanted: Int, _ what: String) throws {
        guard came == wanted else { throw GymError.protocolViolation("\(came) \(what) came in place of \(wanted)") }
    }

    private func exchange(_ request: HandleRequest<BatchBuffer>) throws -> Response {
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
