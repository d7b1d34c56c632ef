import Glibc
import GymCore
import GymProtocol
import Logging
import Synchronization

/// One connection: hears requests, answers them, and owns the environments that were made over it.
final class Session: @unchecked Sendable {
    let id: UInt64
    /// Environments it owns now.
    var environmentCount: Int { environments.load(ordering: .relaxed) }

    private let server: Server
    private let socket: UnixSocket
    private let reader: FrameReader
    private let decoder = RequestDecoder()
    /// Several threads answer on one connection, one frame at a time.
    private let writer: Monitor
    private let unguardedWriter: ResponseWriter
    private let isStopping = Atomic(false)
    private let lastActivity = Atomic<UInt64>(0)
    private let environments = Atomic(0)
    private let pendingRequests = Atomic(0)

    // Used by the session's own thread only.
    private var hasGreeted = false
    private var capabilities: Set<String> = []
    private var handles: [UInt32: Entry] = [:]
    private var nextHandle: UInt32 = 1
    private var ownedBytes = 0
    private var log: Logger

    /// A handle with the threads that work for it.
    private struct Entry {
        let handle: EnvironmentHandle
        var thread: HandleThread?
        var worker: SharedMemoryWorker?
    }

    /// After an error that ends the connection, seconds for which the rest of what the client says is thrown away, so
    /// that it gets to read why.
    private static let lingerSeconds = 0.25
    private static let lingerBytes = 1 << 20
    /// Seconds that a client has for its hello.
    private static let helloSeconds = 10.0
    /// What a client may limit frames to: below it not even an error would fit.
    private static let smallestFrameLimit = 4096

    init(_ socket: UnixSocket, id: UInt64, server: Server) {
        self.id = id
        self.server = server
        self.socket = socket
        let limits = server.configuration.limits
        reader = FrameReader(socket, accepting: [.request], maxBody: limits.maxFrameBytes)
        writer = Monitor()
        unguardedWriter = ResponseWriter(socket, maxBody: limits.maxFrameBytes)
        log = server.configuration.logger
        log[metadataKey: "session"] = "\(id)"
    }

    /// Serves the connection until it ends.
    func run() {
        setReceiveTimeout()
        noteActivity()
        do {
            try serve()
        } catch let error as WireError {
            log.info("closing the connection", metadata: ["error": "\(error)"])
            answer(error, .init(id: 0, handle: 0))
            linger()
        } catch {
            log.info("the connection failed", metadata: ["error": "\(error)"])
        }
        for (_, entry) in handles { end(entry) }
        handles = [:]
        if isStopping.load(ordering: .acquiring) {
            try? write { try $0.shuttingDown(reason: server.stopReason) }
        }
        environments.store(0, ordering: .relaxed)
        socket.shutdown()
    }

    /// Until the hello the clock always runs; after it only where idle connections are reaped.
    private func setReceiveTimeout() {
        let idle = server.configuration.limits.idleTimeoutSeconds
        let seconds = hasGreeted ? (idle > 0 ? Double(idle) : nil) : Session.helloSeconds
        socket.setTimeouts(receive: seconds, send: server.configuration.sendTimeoutSeconds)
    }

    /// Ends the connection from another thread: what is being stepped is finished, nothing new is begun.
    func stop() {
        isStopping.store(true, ordering: .releasing)
        socket.shutdownReceiving()
    }

    /// Ends the connection at once, whoever waits for whom.
    func abort() { socket.shutdown() }

    private func serve() throws {
        var received: UInt64 = 0
        while !isStopping.load(ordering: .acquiring) {
            let frame: FrameReader.Frame?
            do {
                frame = try reader.next()
            } catch let error as SystemError where error.number == EAGAIN {
                try reapIfIdle()
                continue
            }
            guard let frame else { return }
            noteActivity()
            server.counters.bytesReceived.add(reader.bytesReceived - received, ordering: .relaxed)
            received = reader.bytesReceived
            if reader.passedDescriptor >= 0 {
                // Nobody asked for it, and it must not stay open.
                _ = UnixSocket(owning: reader.passedDescriptor)
                reader.passedDescriptor = -1
            }
            do throws(RequestError) {
                try handle(try decoder.decode(frame.body))
            } catch {
                let envelope = ResponseWriter.Envelope(id: error.id, handle: error.handle)
                guard hasGreeted || error.error.isFatal else {
                    answer(Session.helloExpected, envelope)
                    return linger()
                }
                answer(error.error, envelope)
                if error.error.isFatal { return linger() }
            }
        }
    }

    private func handle(_ request: ReceivedRequest) throws(RequestError) {
        do {
            guard hasGreeted else {
                guard case .hello(let hello) = request.message else { throw Session.helloExpected }
                try greet(hello, envelope(request))
                return
            }
            switch request.message {
            case .hello, .ping, .status, .list, .make, .shutdown: try handleForConnection(request)
            case .unknown:
                throw WireError(
                    .unknownMessage,
                    "the request's message is not one of gym.v1 \(ProtocolVersion.major).\(ProtocolVersion.minor)")
            default: try handleForHandle(request)
            }
        } catch {
            throw RequestError(
                id: request.id, handle: request.handle,
                error: error as? WireError ?? WireError(.internal, "\(error)"))
        }
    }

    private func envelope(_ request: ReceivedRequest) -> ResponseWriter.Envelope {
        .init(id: request.id, handle: request.handle)
    }

    // MARK: The connection's own requests

    private func greet(_ hello: Hello, _ envelope: ResponseWriter.Envelope) throws {
        guard hello.major == ProtocolVersion.major else {
            throw WireError(
                .unsupportedVersion,
                "the client speaks gym.v1 \(hello.major).\(hello.minor), "
                    + "this server \(ProtocolVersion.major).\(ProtocolVersion.minor)",
                details: [
                    .init(
                        field: "major", expected: "\(ProtocolVersion.major).\(ProtocolVersion.minor)",
                        got: "\(hello.major).\(hello.minor)")
                ])
        }
        if let token = server.configuration.token, token != hello.token {
            throw WireError(.unauthorized, "the token is not this server's")
        }
        var reply = HelloReply()
        reply.minor = min(hello.minor, ProtocolVersion.minor)
        reply.serverName = "swift-gym"
        reply.serverVersion = Server.version
        let own = Server.capabilities
        reply.capabilities = hello.capabilities.isEmpty ? own : own.filter(hello.capabilities.contains)
        reply.limits = server.configuration.limits
        reply.sessionID = id
        if hello.maxFrameBytes > 0 {
            unguardedWriter.maxBody = min(
                unguardedWriter.maxBody, max(hello.maxFrameBytes, Session.smallestFrameLimit))
        }
        hasGreeted = true
        capabilities = Set(reply.capabilities)
        setReceiveTimeout()
        log[metadataKey: "client"] = "\(hello.clientName.prefix(64))"
        log.info("connected")
        try write { try $0.hello(reply, envelope) }
    }

    private func handleForConnection(_ request: ReceivedRequest) throws {
        let envelope = envelope(request)
        switch request.message {
        case .hello: throw WireError(.invalidArgument, "the connection has had its hello")
        case .ping: try write { try $0.ping(envelope) }
        case .status:
            let status = server.status
            try write { try $0.status(status, envelope) }
        case .list:
            let descriptions = try server.descriptions()
            try write { try $0.list(descriptions, envelope) }
        case .make(let parameters): try make(parameters, envelope)
        case .shutdown:
            guard server.configuration.allowsShutdown else {
                throw WireError(.notAllowed, "this server was not started with clients allowed to end it")
            }
            try write { try $0.shutdown(envelope) }
            server.requestStop(reason: "a client asked for it")
        default: preconditionFailure("a request for a handle")
        }
    }

    private static let helloExpected = WireError(
        .helloExpected, "the first message of a connection has to be a hello")

    /// - Throws: ``WireError`` unless the hellos agreed on the capability.
    private func require(capability: String) throws {
        guard capabilities.contains(capability) else {
            throw WireError(
                .unsupportedCapability, "the capability \(capability) is not in force on this connection",
                details: [.init(field: "capabilities", expected: capability)])
        }
    }

    // MARK: Making and closing

    private func make(_ parameters: MakeParameters, _ envelope: ResponseWriter.Envelope) throws {
        let limits = server.configuration.limits
        let count = parameters.settings.count
        if parameters.transport == .sharedMemory { try require(capability: ProtocolVersion.sharedMemory) }
        if !parameters.renderMode.isEmpty { try require(capability: ProtocolVersion.render) }
        try require(handles.count + 1, atMost: limits.maxHandles, "handles")
        try require(environments.load(ordering: .relaxed) + count, atMost: limits.maxEnvironments, "environments")
        let environment = try makeEnvironment(parameters)
        let estimate = try estimateBytes(environment, parameters)
        try require(ownedBytes + estimate, atMost: limits.maxMemoryBytes, "bytes of buffers")
        var memory: (SharedMemory, descriptor: UnixSocket)?
        if parameters.transport == .sharedMemory {
            guard
                let layout = SharedMemoryLayout(
                    observationSpace: environment.observationSpace, actionSpace: environment.actionSpace, count: count,
                    autoreset: parameters.settings.autoreset)
            else {
                throw WireError(
                    .unsupportedCapability,
                    "spaces whose members differ in size do not fit shared memory; use the socket")
            }
            memory = try SharedMemory.create(layout)
        }
        let id = nextHandle
        let handle = EnvironmentHandle(
            id: id, environment: environment, parameters: parameters, sharedMemory: memory?.0,
            threads: server.configuration.threads, estimatedBytes: estimate)
        let entry = try entry(for: handle)
        var description = EnvironmentDescription(environment.spec, of: environment)
        description.maxEpisodeSteps = environment.spec.maxEpisodeSteps
        let made = MadeEnvironment(
            handle: id, count: count, description: description, autoreset: environment.autoreset,
            maxEpisodeSteps: environment.maxEpisodeSteps, transport: parameters.transport,
            sharedMemory: memory?.0.layout)
        do {
            try write { try $0.made(made, descriptor: memory?.descriptor.descriptor ?? -1, envelope) }
        } catch {
            end(entry)
            throw error
        }
        nextHandle += 1
        handles[id] = entry
        ownedBytes += estimate
        environments.add(count, ordering: .relaxed)
        log.debug("made", metadata: ["environment": "\(parameters.id)", "count": "\(count)", "handle": "\(id)"])
    }

    private func makeEnvironment(_ parameters: MakeParameters) throws -> any VectorEnvironment {
        do {
            let spec = try server.registry.spec(parameters.id)
            guard parameters.renderMode.isEmpty || spec.renderModes.contains(parameters.renderMode) else {
                let modes = spec.renderModes.isEmpty ? "none" : spec.renderModes.joined(separator: ", ")
                throw WireError(
                    .renderUnavailable, "\(spec.id) has no render mode '\(parameters.renderMode)'; it has: \(modes)",
                    details: [.init(field: "render_mode", expected: modes, got: parameters.renderMode)])
            }
            let environment = try server.registry.make(parameters.id, parameters.settings)
            try environment.setAutoresetOptions(parameters.autoresetOptions)
            return environment
        } catch let error as UnknownEnvironmentError {
            throw WireError(.unknownEnvironment, error.description, details: [.init(field: "id", got: parameters.id)])
        } catch let error as OptionError {
            throw WireError(.invalidOption, error.description, details: [.init(field: "options.\(error.option)")])
        } catch let error as WireError {
            throw error
        } catch {
            throw WireError(.environmentFault, "\(parameters.id) cannot be made: \(error)")
        }
    }

    private func require(_ value: Int, atMost limit: Int, _ what: String) throws {
        guard value <= limit else {
            throw WireError(
                .limitExceeded, "that would be \(value) \(what) on this connection; the limit is \(limit)",
                details: [.init(field: what, expected: "at most \(limit)", got: "\(value)")])
        }
    }

    /// The bytes that a batch's buffers take, and whether a step's answer fits a frame.
    private func estimateBytes(_ environment: any VectorEnvironment, _ parameters: MakeParameters) throws -> Int {
        let count = environment.count
        func bytes(_ space: Space) -> Int {
            space.leaves.reduce(0) { total, leaf in
                if case .tensor(let layout) = leaf.leaf { total + layout.byteCount } else { total + 1024 }
            }
        }
        let observation = bytes(environment.observationSpace)
        let action = bytes(environment.actionSpace)
        if parameters.transport == .socket {
            let answer = count * (2 * observation + 32) + 4096
            guard answer <= unguardedWriter.maxBody else {
                throw WireError(
                    .limitExceeded,
                    "a step's answer may take \(answer) bytes; frames on this connection have at most \(unguardedWriter.maxBody). "
                        + "Use fewer environments, or shared memory")
            }
        }
        // Two sets of results with last observations, actions twice, and what the environment itself keeps.
        return count * (4 * observation + 2 * action + 2048)
    }

    /// Gives a handle the threads that it needs. With a second handle, each gets a thread of its own, so that one can
    /// step while another is asked; a single one runs on the connection's thread, which saves a wake-up for every step.
    private func entry(for handle: EnvironmentHandle) throws -> Entry {
        var entry = Entry(handle: handle)
        if let memory = handle.sharedMemory {
            entry.worker = try SharedMemoryWorker(memory) { [unowned self] sequence in
                stepShared(handle, memory, sequence)
            }
        }
        if !handles.isEmpty {
            entry.thread = try HandleThread()
            for (id, other) in handles where other.thread == nil { handles[id]!.thread = try HandleThread() }
        }
        return entry
    }

    private func end(_ entry: Entry) {
        entry.thread?.end()
        entry.worker?.end()
        entry.handle.drain()
    }

    private func close(_ entry: Entry, _ envelope: ResponseWriter.Envelope) throws {
        end(entry)
        handles[entry.handle.id] = nil
        ownedBytes -= entry.handle.estimatedBytes
        environments.subtract(entry.handle.environment.count, ordering: .relaxed)
        try write { try $0.closed(envelope) }
    }

    // MARK: Requests for a handle

    private func handleForHandle(_ request: ReceivedRequest) throws {
        guard let entry = handles[request.handle] else {
            throw WireError(.unknownHandle, "there is no handle \(request.handle) on this connection")
        }
        let handle = entry.handle
        let envelope = envelope(request)
        // One request of a handle after the other; and its actions have one place to go.
        entry.thread?.waitUntilIdle()
        switch request.message {
        case .step(let actions, let wantsInfo):
            try handle.requireSocketTransport()
            try handle.requireNothingPending()
            try actions.copy(into: handle.actions, field: "action", code: .invalidAction)
            try perform(entry, envelope) { try $0.step(handle, wantsInfo: wantsInfo, envelope) }
        case .send(let environments, let actions):
            try require(capability: ProtocolVersion.asynchronous)
            try handle.requireSocketTransport()
            try handle.requireIndices(environments)
            try environments.withUnsafeBufferPointer {
                try handle.copyActions(actions, rows: $0)
            }
            try handle.send(environments)
            try write { try $0.sent(envelope) }
        case .receive(let count):
            try require(capability: ProtocolVersion.asynchronous)
            try handle.requireSocketTransport()
            try perform(entry, envelope) { try $0.receive(handle, count, envelope) }
        case .reset(let parameters): try perform(entry, envelope) { try $0.reset(handle, parameters, envelope) }
        case .render(let environments):
            try require(capability: ProtocolVersion.render)
            try perform(entry, envelope) { session in
                let renderings = try handle.monitor.withLock { try handle.render(environments) }
                try session.write { try $0.render(renderings, envelope) }
            }
        case .getState(let environments):
            try require(capability: ProtocolVersion.state)
            try perform(entry, envelope) { session in
                let states = try handle.monitor.withLock { try handle.states(environments) }
                try session.write { try $0.states(states, envelope) }
            }
        case .setState(let environments, let states):
            try require(capability: ProtocolVersion.state)
            try perform(entry, envelope) { session in
                try handle.monitor.withLock { try handle.setStates(states, environments) }
                try session.write { try $0.stateSet(envelope) }
            }
        case .sample(let kind, let seed):
            try require(capability: ProtocolVersion.spaces)
            let sample = try handle.sample(kind, seed: seed)
            try write { try $0.sample(sample, envelope) }
        case .contains(let kind, let members):
            try require(capability: ProtocolVersion.spaces)
            let flags = try handle.contains(kind, members)
            try write { try $0.contained(flags, envelope) }
        case .close: try close(entry, envelope)
        default: preconditionFailure("a request for the connection")
        }
    }

    /// Does the work here, or on the handle's own thread where it has one.
    private func perform(
        _ entry: Entry, _ envelope: ResponseWriter.Envelope, _ work: @escaping @Sendable (Session) throws -> Void
    ) throws {
        guard let thread = entry.thread else { return try work(self) }
        let limit = server.configuration.limits.maxPendingRequests
        guard pendingRequests.load(ordering: .relaxed) < limit else {
            throw WireError(.limitExceeded, "\(limit) requests wait for their answers already")
        }
        pendingRequests.add(1, ordering: .relaxed)
        thread.run { [unowned self] in
            defer { pendingRequests.subtract(1, ordering: .relaxed) }
            do {
                try work(self)
            } catch let error as WireError {
                answer(error, envelope)
            } catch {
                // The socket failed; its reader finds out by itself.
            }
        }
    }

    private func step(_ handle: EnvironmentHandle, wantsInfo: Bool, _ envelope: ResponseWriter.Envelope) throws {
        let faults = try handle.step(wantsInfo: wantsInfo)
        countSteps(handle.environment.count, faults)
        var contents = ResponseWriter.StepContents()
        contents.wantsInfo = wantsInfo
        contents.hasFinalObservations = handle.environment.autoreset == .sameStep
        contents.faults = faults
        try write { try $0.step(handle.buffers, contents, envelope) }
    }

    /// Steps a handle whose doorbell rang; says on the socket what does not fit into shared memory.
    private func stepShared(_ handle: EnvironmentHandle, _ memory: SharedMemory, _ sequence: UInt32)
        -> SharedMemory.Status
    {
        let envelope = ResponseWriter.Envelope(id: 0, handle: handle.id)
        let wantsInfo = memory.wantsInfo
        do {
            let faults = try handle.monitor.withLock {
                try handle.stepShared(memory, sequence: sequence, wantsInfo: wantsInfo)
            }
            countSteps(handle.environment.count, faults)
            // Most environments have no info: then its being wanted costs no frame.
            if faults.isEmpty && !(wantsInfo && handle.buffers.hasInfo) { return .done }
            var contents = ResponseWriter.StepContents()
            contents.wantsInfo = wantsInfo
            contents.hasFinalObservations = handle.environment.autoreset == .sameStep
            contents.resultsAreShared = true
            contents.faults = faults
            try write { try $0.step(handle.buffers, contents, envelope) }
            return .frameFollows
        } catch let error as WireError {
            answer(error, envelope)
            return .failed
        } catch {
            return .closed
        }
    }

    private func receive(_ handle: EnvironmentHandle, _ count: Int, _ envelope: ResponseWriter.Envelope) throws {
        let (rows, faults) = try handle.receive(count)
        countSteps(rows.count, faults)
        try rows.withUnsafeBufferPointer { rows in
            var contents = ResponseWriter.StepContents()
            contents.rows = rows
            contents.hasFinalObservations = handle.environment.autoreset == .sameStep
            contents.faults = faults
            try write { try $0.step(handle.buffers, contents, envelope) }
        }
    }

    private func reset(
        _ handle: EnvironmentHandle, _ parameters: ResetParameters, _ envelope: ResponseWriter.Envelope
    ) throws {
        try handle.monitor.withLock {
            let report = try handle.reset(parameters)
            try write {
                try $0.reset(
                    handle.buffers, effectiveSeeds: report.effectiveSeeds, faults: report.faults,
                    wantsInfo: parameters.wantsInfo, envelope)
            }
        }
    }

    // MARK: Answering

    private func write(_ body: (ResponseWriter) throws -> Void) throws {
        try writer.withLock {
            let before = unguardedWriter.bytesSent
            defer { server.counters.bytesSent.add(unguardedWriter.bytesSent - before, ordering: .relaxed) }
            try body(unguardedWriter)
        }
    }

    private func answer(_ error: WireError, _ envelope: ResponseWriter.Envelope) {
        server.counters.errors.add(1, ordering: .relaxed)
        log.debug("refused", metadata: ["error": "\(error)"])
        try? write { try $0.error(error, envelope) }
    }

    private func countSteps(_ count: Int, _ faults: [EnvironmentFault]) {
        noteActivity()
        server.counters.steps.add(UInt64(count), ordering: .relaxed)
        for fault in faults {
            server.counters.errors.add(1, ordering: .relaxed)
            log.warning(
                "an environment failed", metadata: ["environment": "\(fault.index)", "message": "\(fault.message)"])
        }
    }

    // MARK: Ending

    private func noteActivity() {
        guard server.configuration.limits.idleTimeoutSeconds > 0 else { return }
        lastActivity.store(UInt64(monotonicSeconds() * 1e3), ordering: .relaxed)
    }

    /// - Throws: ``SystemError`` when the connection did nothing for as long as the server allows.
    private func reapIfIdle() throws {
        guard hasGreeted else { throw SystemError("no hello within \(Int(Session.helloSeconds)) seconds", ETIMEDOUT) }
        let timeout = server.configuration.limits.idleTimeoutSeconds
        let idle = monotonicSeconds() - Double(lastActivity.load(ordering: .relaxed)) * 1e-3
        guard idle >= Double(timeout) * 0.99 else { return }
        try? write { try $0.reaped(idleSeconds: Int(idle.rounded())) }
        throw SystemError("nothing heard for \(Int(idle.rounded())) seconds", ETIMEDOUT)
    }

    /// Throws away what the client still says, for a moment: closing with bytes unread would take the error from it.
    private func linger() {
        Glibc.shutdown(socket.descriptor, Int32(SHUT_WR))
        socket.setTimeouts(receive: Session.lingerSeconds, send: nil)
        var left = Session.lingerBytes
        var passed: Int32 = -1
        withUnsafeTemporaryAllocation(byteCount: 16 << 10, alignment: 16) { buffer in
            while left > 0, let count = try? socket.receive(into: buffer, passedDescriptor: &passed), count > 0 {
                left -= count
            }
        }
        if passed >= 0 { _ = UnixSocket(owning: passed) }
    }
}
