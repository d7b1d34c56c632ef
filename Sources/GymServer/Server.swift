import Glibc
public import GymCore
public import GymProtocol
import Logging
import Synchronization

/// Serves the environments of a registry over a Unix socket.
///
/// On the calling thread, until another one stops it:
///
/// ```swift
/// let server = try Server(registry: GymEnvironments.registry, path: "/tmp/gym.sock")
/// server.run()
/// ```
///
/// Or beside its clients in the same process, on threads of its own and at a socket that nobody else can reach:
///
/// ```swift
/// let server = try Server(registry: GymEnvironments.registry)
/// try server.start()
/// defer { server.stop(reason: "done") }
/// let connection = try Connection(path: server.path)
/// ```
///
/// Each connection has a thread that listens to it, and what it makes dies with it: no client can keep another one
/// waiting.
public final class Server: Sendable {
    /// The version of this package.
    public static let version = "0.1.0"
    /// What this server offers beside the core of the protocol.
    public static let capabilities = [
        ProtocolVersion.sharedMemory, ProtocolVersion.asynchronous, ProtocolVersion.state, ProtocolVersion.render,
        ProtocolVersion.spaces,
    ]

    /// What is served.
    public let registry: EnvironmentRegistry
    /// How it behaves.
    public let configuration: ServerConfiguration
    /// Where it listens.
    public var path: String { file.path }

    /// What it allows.
    let limits: Limits
    let counters = Counters()
    /// Memory that all connections together have it keep.
    let memory: MemoryBudget
    let pool: ThreadPool
    let stepPool: StepPool
    var stopReason: String { state.withLock { $0.stopReason } }

    /// What status reports.
    final class Counters: Sendable {
        let steps = Atomic<UInt64>(0)
        let bytesReceived = Atomic<UInt64>(0)
        let bytesSent = Atomic<UInt64>(0)
        let errors = Atomic<UInt64>(0)
        let connections = Atomic<UInt64>(0)
    }

    private struct State {
        var isStopping = false
        var stopReason = ""
        var isRunning = false
        var descriptions: [EnvironmentDescription]?
    }

    private let listener: UnixSocket
    private let file: SocketFile
    private let state = Guarded(State())
    private let watch: SlowRequestWatch
    private let startSeconds = monotonicSeconds()
    /// A descriptor kept in reserve: given up for a moment when there are no more, to tell a client so.
    private let reserve: Mutex<Int32>

    /// Seconds to wait for a connection before looking whether there are descriptors again.
    private static let exhaustionSeconds = 0.05
    /// Seconds that connections have to finish what they do when the server ends.
    private static let graceSeconds = 5.0
    /// Further seconds that they have once their sockets are gone. An environment that never comes back from a step must
    /// not keep the server from ending.
    private static let abortSeconds = 1.0

    /// Listens; clients can connect from here on, and are served by ``run()`` or ``start()``.
    ///
    /// - Parameter path: where; `nil`, a socket in a new folder that only this user can enter.
    /// - Throws: ``ServerStartError``, ``SystemError``, ``SocketPathError``.
    public init(
        registry: EnvironmentRegistry, path: String? = nil, configuration: ServerConfiguration = .init()
    ) throws {
        self.registry = registry
        self.configuration = configuration
        limits = configuration.resolvedLimits
        memory = MemoryBudget(limit: limits.maxServerMemoryBytes)
        pool = ThreadPool(
            limit: limits.maxThreads, mostConnections: limits.maxConnections, stepThreads: configuration.threads + 1)
        stepPool = StepPool(threads: configuration.threads)
        watch = SlowRequestWatch(patience: configuration.slowRequestSeconds, pool: pool)
        (listener, file) =
            if let path {
                try SocketFile.listen(at: path, access: configuration.access)
            } else {
                try SocketFile.listenPrivately(access: configuration.access)
            }
        reserve = Mutex(Server.openReserve())
    }

    deinit {
        reserve.withLock { if $0 >= 0 { close($0) } }
        file.remove()
        watch.end()
        stepPool.end()
        pool.end()
    }

    private static func openReserve() -> Int32 { open("/dev/null", O_RDONLY | O_CLOEXEC) }

    // MARK: Serving

    /// Accepts and serves until ``stop(reason:waits:)``; returns when all connections have ended and the socket is
    /// removed.
    public func run() {
        state.withLock { $0.isRunning = true }
        while !isStopping {
            do {
                admit(try listener.accept())
            } catch let error as SystemError where [EMFILE, ENFILE, ENOBUFS, ENOMEM].contains(error.number) {
                turnAwayOne()
            } catch is SystemError where isStopping {
                break
            } catch {
                configuration.logger.error("cannot accept", metadata: ["error": "\(quoted("\(error)"))"])
                usleep(10_000)
            }
        }
        finish()
        state.withLock { $0.isRunning = false }
        state.signal()
    }

    /// Serves on a thread of its own until ``stop(reason:waits:)``.
    ///
    /// - Throws: an error that says so, when the system has no thread left.
    public func start() throws {
        // Before the thread has begun, so that a stop right after this waits for it.
        state.withLock { $0.isRunning = true }
        do {
            try WaitingThread { [self] in run() }.detach()
        } catch {
            state.withLock { $0.isRunning = false }
            throw error
        }
    }

    /// Ends ``run()`` and ``start()``: steps in flight are finished, clients are told, the socket file is removed. From
    /// any thread but one that steps an environment of this server.
    ///
    /// - Parameter waits: whether to return only when all that has happened, at most some seconds later. When not, the
    ///   file is gone all the same.
    public func stop(reason: String, waits: Bool = true) {
        beginToStop(reason: reason)
        if waits { state.withLock(when: { !$0.isRunning }) { _ in } }
    }

    func beginToStop(reason: String) {
        state.withLock { state in
            if !state.isStopping { state.stopReason = reason }
            state.isStopping = true
        }
        file.remove()
        listener.shutdown()
    }

    private var isStopping: Bool { state.withLock { $0.isStopping } }

    private func finish() {
        file.remove()
        // Those that still wait to be accepted see the end of the stream.
        for session in watch.sessions { session.link.stop() }
        let deadline = monotonicSeconds() + Server.graceSeconds
        while watch.count > 0, monotonicSeconds() < deadline { usleep(2_000) }
        for session in watch.sessions { session.link.abort() }
        while watch.count > 0, monotonicSeconds() < deadline + Server.abortSeconds { usleep(2_000) }
        let left = watch.count
        guard left == 0 else {
            return configuration.logger.error(
                "gave up on environments that did not finish a step", metadata: ["connections": "\(left)"])
        }
        watch.end()
        stepPool.end()
        pool.end()
    }

    // MARK: Connections

    /// Serves one connection that came from elsewhere, such as one end of a pair; returns when it is over, or when it has
    /// begun something that takes long and is served by another thread.
    public func serve(_ socket: UnixSocket) {
        pool.beginConnection()
        makeSession(socket).run()
    }

    private func makeSession(_ socket: UnixSocket) -> Session {
        let id = counters.connections.add(1, ordering: .relaxed).newValue
        let session = Session(socket, id: id, server: self, watch: watch)
        watch.add(session)
        return session
    }

    private func admit(_ socket: UnixSocket) {
        let user = socket.peerUser
        guard let user, configuration.allowedUsers.contains(user) else {
            counters.connections.add(1, ordering: .relaxed)
            configuration.logger.warning("refused a connection", metadata: ["user": "\(user.map(Int.init) ?? -1)"])
            return turnAway(socket, WireError(.unauthorized, "this server is not for user \(user.map(Int.init) ?? -1)"))
        }
        // Only this thread adds connections: there are not more afterwards.
        guard watch.count < limits.maxConnections else {
            counters.connections.add(1, ordering: .relaxed)
            return turnAway(
                socket,
                WireError(.tooManyConnections, "the server has \(limits.maxConnections) connections, its limit"))
        }
        let session = makeSession(socket)
        if isStopping { session.link.stop() }
        guard pool.runConnection(session) else {
            watch.remove(session)
            return turnAway(
                socket, WireError(.tooManyConnections, "the server has no thread left for another connection"))
        }
    }

    /// A connection is over.
    func remove(_ session: Session) {
        watch.remove(session)
        pool.endConnection()
    }

    private func turnAway(_ socket: UnixSocket, _ error: WireError) {
        counters.errors.add(1, ordering: .relaxed)
        // Nobody waits for a client that takes nothing.
        socket.setTimeouts(receive: nil, send: Server.exhaustionSeconds)
        try? ResponseWriter(socket, maxBody: limits.maxFrameBytes).error(error, .init(id: 0, handle: 0))
        socket.discardReceived()
        socket.shutdown()
    }

    /// There are no descriptors left: gives up the reserve to take one connection and tell it so.
    private func turnAwayOne() {
        // The system says so even when nobody connects. Whoever does later may find descriptors again.
        guard listener.isReadable(within: Server.exhaustionSeconds) else { return }
        configuration.logger.error("no descriptors left for another connection")
        let hadReserve = reserve.withLock { descriptor in
            guard descriptor >= 0 else { return false }
            close(descriptor)
            descriptor = -1
            return true
        }
        if hadReserve, let socket = try? listener.accept() {
            turnAway(
                socket, WireError(.tooManyConnections, "the server has no descriptors left for another connection"))
        } else {
            usleep(10_000)
        }
        reserve.withLock { if $0 < 0 { $0 = Server.openReserve() } }
    }

    // MARK: What it tells of itself

    /// Figures about the server since it started.
    public var status: ServerStatus {
        var status = ServerStatus()
        status.uptimeSeconds = monotonicSeconds() - startSeconds
        let sessions = watch.sessions
        let environments = sessions.reduce(0) { $0 + $1.link.environments.load(ordering: .relaxed) }
        let handles = sessions.reduce(0) { $0 + $1.link.handles.load(ordering: .relaxed) }
        status.connections = UInt64(sessions.count)
        status.environments = UInt64(environments)
        status.steps = counters.steps.load(ordering: .relaxed)
        status.bytesReceived = counters.bytesReceived.load(ordering: .relaxed)
        status.bytesSent = counters.bytesSent.load(ordering: .relaxed)
        status.errors = counters.errors.load(ordering: .relaxed)
        status.connectionsTotal = counters.connections.load(ordering: .relaxed)
        let threads = pool.count + stepPool.count + (watch.hasThread ? 1 : 0)
        status.serverUse = [
            ResourceUse("connections", used: sessions.count, limit: limits.maxConnections),
            ResourceUse("environments", used: environments, limit: 0),
            ResourceUse("handles", used: handles, limit: 0),
            ResourceUse("memory_bytes", used: memory.used, limit: limits.maxServerMemoryBytes),
            ResourceUse("threads", used: threads, limit: limits.maxThreads),
        ]
        return status
    }

    /// What is served, with the spaces of each environment; made once.
    func descriptions() throws -> [EnvironmentDescription] {
        if let known = state.withLock({ $0.descriptions }) { return known }
        let descriptions = try registry.descriptions()
        state.withLock { $0.descriptions = descriptions }
        return descriptions
    }
}

extension EnvironmentRegistry {
    /// What is registered, with the spaces that each environment has with its default options.
    public func descriptions() throws -> [EnvironmentDescription] {
        try specs.map { spec in EnvironmentDescription(spec, of: try make(spec.id)) }
    }
}
