import Glibc
public import GymCore
public import GymProtocol
import Logging
import Synchronization

/// Serves the environments of a registry over a Unix socket.
///
/// ```swift
/// let server = try Server(registry: GymEnvironments.registry, path: "/tmp/gym.sock")
/// server.run()  // until stop(reason:)
/// ```
///
/// Each connection has a thread of its own, and what it makes dies with it: no client can keep another one waiting.
public final class Server: @unchecked Sendable {
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

    let counters = Counters()
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
        var sessions: [UInt64: Session] = [:]
        var isStopping = false
        var stopReason = ""
        var descriptions: [EnvironmentDescription]?
    }

    private let listener: UnixSocket
    private let file: SocketFile
    private let state = Mutex(State())
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

    /// Listens at `path`; clients can connect from here on, and are served by ``run()``.
    ///
    /// - Throws: ``ServerStartError``, ``SystemError``, ``SocketPathError``.
    public init(registry: EnvironmentRegistry, path: String, configuration: ServerConfiguration = .init()) throws {
        self.registry = registry
        self.configuration = configuration
        (listener, file) = try SocketFile.listen(at: path)
        reserve = Mutex(Server.openReserve())
    }

    deinit {
        reserve.withLock { if $0 >= 0 { close($0) } }
        file.remove()
    }

    private static func openReserve() -> Int32 { open("/dev/null", O_RDONLY | O_CLOEXEC) }

    /// Accepts and serves until ``stop(reason:)``; returns when all connections have ended and the socket is removed.
    public func run() {
        while !state.withLock({ $0.isStopping }) {
            do {
                try admit(try listener.accept())
            } catch let error as SystemError where [EMFILE, ENFILE, ENOBUFS, ENOMEM].contains(error.number) {
                turnAwayOne()
            } catch is SystemError where state.withLock({ $0.isStopping }) {
                break
            } catch {
                configuration.logger.error("cannot accept", metadata: ["error": "\(error)"])
                usleep(10_000)
            }
        }
        finish()
    }

    /// Ends ``run()``: steps in flight are finished, clients are told, the socket file is removed. From any thread.
    public func stop(reason: String) {
        state.withLock { state in
            if !state.isStopping { state.stopReason = reason }
            state.isStopping = true
        }
        listener.shutdown()
    }

    // MARK: Connections

    /// Serves one connection that came from elsewhere, such as one end of a pair; returns when it is over.
    public func serve(_ socket: UnixSocket) {
        let id = counters.connections.add(1, ordering: .relaxed).newValue
        let session = Session(socket, id: id, server: self)
        state.withLock { $0.sessions[id] = session }
        session.run()
        remove(id)
    }

    private func admit(_ socket: UnixSocket) throws {
        let id = counters.connections.add(1, ordering: .relaxed).newValue
        let user = socket.peerUser
        guard let user, configuration.allowedUsers.contains(user) else {
            configuration.logger.warning("refused a connection", metadata: ["user": "\(user.map(Int.init) ?? -1)"])
            return turnAway(socket, WireError(.unauthorized, "this server is not for user \(user.map(Int.init) ?? -1)"))
        }
        let session = Session(socket, id: id, server: self)
        let isAdmitted = state.withLock { state in
            guard !state.isStopping, state.sessions.count < configuration.limits.maxConnections else { return false }
            state.sessions[id] = session
            return true
        }
        guard isAdmitted else {
            return turnAway(
                socket,
                WireError(
                    .tooManyConnections, "the server has \(configuration.limits.maxConnections) connections, its limit")
            )
        }
        do {
            try WaitingThread { [self] in
                session.run()
                remove(id)
            }.detach()
        } catch {
            remove(id)
            turnAway(socket, WireError(.tooManyConnections, "the server has no thread left for another connection"))
        }
    }

    private func remove(_ id: UInt64) {
        state.withLock { $0.sessions[id] = nil }
    }

    private func turnAway(_ socket: UnixSocket, _ error: WireError) {
        counters.errors.add(1, ordering: .relaxed)
        try? ResponseWriter(socket, maxBody: configuration.limits.maxFrameBytes).error(error, .init(id: 0, handle: 0))
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

    private func finish() {
        file.remove()
        let sessions = state.withLock { Array($0.sessions.values) }
        for session in sessions { session.stop() }
        let deadline = monotonicSeconds() + Server.graceSeconds
        while state.withLock({ !$0.sessions.isEmpty }), monotonicSeconds() < deadline { usleep(2_000) }
        for session in state.withLock({ Array($0.sessions.values) }) { session.abort() }
        while state.withLock({ !$0.sessions.isEmpty }), monotonicSeconds() < deadline + Server.abortSeconds {
            usleep(2_000)
        }
        let left = state.withLock { $0.sessions.count }
        if left > 0 {
            configuration.logger.error(
                "gave up on environments that did not finish a step", metadata: ["connections": "\(left)"])
        }
    }

    // MARK: What it tells of itself

    /// Figures about the server since it started.
    public var status: ServerStatus {
        var status = ServerStatus()
        status.uptimeSeconds = monotonicSeconds() - startSeconds
        let sessions = state.withLock { Array($0.sessions.values) }
        status.connections = UInt64(sessions.count)
        status.environments = UInt64(sessions.reduce(0) { $0 + $1.environmentCount })
        status.steps = counters.steps.load(ordering: .relaxed)
        status.bytesReceived = counters.bytesReceived.load(ordering: .relaxed)
        status.bytesSent = counters.bytesSent.load(ordering: .relaxed)
        status.errors = counters.errors.load(ordering: .relaxed)
        status.connectionsTotal = counters.connections.load(ordering: .relaxed)
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
