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

    let server: Server
    let pendingRequests = Atomic(0)
    let environments = Atomic(0)

    private let socket: UnixSocket
    private let reader: FrameReader
    private let decoder = RequestDecoder()
    /// Several threads answer on one connection, one frame at a time.
    private let writer = Monitor()
    private let unguardedWriter: ResponseWriter
    private let isStopping = Atomic(false)
    private let lastActivity = Atomic<UInt64>(0)

    // Set by the session's own thread, at the hello, before other threads see them.
    private var hasGreeted = false
    private var capabilities: Set<String> = []
    private(set) var log: Logger

    // Used by the session's own thread only.
    var handles: [UInt32: Entry] = [:]
    var nextHandle: UInt32 = 1
    var ownedBytes = 0
    private var countedBytes: UInt64 = 0

    /// A handle with the threads that work for it. These end when the entry goes, the worker after the thread.
    struct Entry {
        let handle: EnvironmentHandle
        var worker: SharedMemoryWorker?
        var thread: HandleThread?
    }

    /// The largest body that the client takes.
    var maxAnswerBytes: Int { unguardedWriter.maxBody }

    /// After an error that ends the connection, seconds for which the rest of what the client says is thrown away, so
    /// that it gets to read why.
    private static let lingerSeconds = 0.25
    /// Seconds that a client has for its hello.
    private static let helloSeconds = 10.0
    /// What a client may limit frames to: below it not even an error would fit.
    private static let smallestFrameLimit = 4096
    /// The most bytes of a frame before the hello.
    private static let firstFrameLimit = 64 << 10
    /// Letters of an error that are sent when all of it does not fit: what clients sent in is quoted in errors.
    private static let shortMessage = 512

    init(_ socket: UnixSocket, id: UInt64, server: Server) {
        self.id = id
        self.server = server
        self.socket = socket
        let limits = server.configuration.limits
        reader = FrameReader(socket, accepting: [.request], maxBody: min(limits.maxFrameBytes, Session.firstFrameLimit))
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
            server.counters.bytesReceived.add(reader.bytesReceived - countedBytes, ordering: .relaxed)
            countedBytes = reader.bytesReceived
            defer { decoder.release() }
            do throws(RequestError) {
                try handle(try decoder.decode(frame.body), frame.body)
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

    private func handle(_ request: ReceivedRequest, _ body: UnsafeRawBufferPointer) throws(RequestError) {
        do {
            guard hasGreeted else {
                guard case .hello(let hello) = request.message else { throw Session.helloExpected }
                try greet(hello, request.envelope)
                return
            }
            switch request.message {
            case .hello, .ping, .status, .list, .make, .shutdown: try handleForConnection(request)
            case .unknown:
                throw WireError(
                    .unknownMessage,
                    "the request's message is not one of gym.v1 \(ProtocolVersion.major).\(ProtocolVersion.minor)")
            default: try handleForHandle(request, body)
            }
        } catch {
            throw RequestError(
                id: request.id, handle: request.handle,
                error: error as? WireError ?? WireError(.internal, "\(error)"))
        }
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
        if let token = server.configuration.token, !isSameToken(token, hello.token) {
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
        reader.maxBody = server.configuration.limits.maxFrameBytes
        hasGreeted = true
        capabilities = Set(reply.capabilities)
        setReceiveTimeout()
        log[metadataKey: "client"] = "\(hello.clientName.prefix(64))"
        log.info("connected")
        try write { try $0.hello(reply, envelope) }
    }

    private func handleForConnection(_ request: ReceivedRequest) throws {
        let envelope = request.envelope
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
            server.stop(reason: "a client asked for it")
        default: preconditionFailure("a request for a handle")
        }
    }

    private static let helloExpected = WireError(
        .helloExpected, "the first message of a connection has to be a hello")

    /// - Throws: ``WireError`` unless the hellos agreed on the capability.
    func require(capability: String) throws {
        guard capabilities.contains(capability) else {
            throw WireError(
                .unsupportedCapability, "the capability \(capability) is not in force on this connection",
                details: [.init(field: "capabilities", expected: capability)])
        }
    }

    // MARK: Answering

    /// Sends something, whoever else wants to.
    ///
    /// - Throws: ``WireError`` when it is too large; nothing was sent. ``SystemError`` when the socket failed: a part may
    ///   have been sent, so the connection is over.
    func write(_ body: (ResponseWriter) throws -> Void) throws {
        try writer.withLock {
            let before = unguardedWriter.bytesSent
            do {
                try body(unguardedWriter)
            } catch let error as SystemError {
                socket.shutdown()
                throw error
            }
            server.counters.bytesSent.add(unguardedWriter.bytesSent - before, ordering: .relaxed)
        }
    }

    /// Answers with an error, cut short when it would not fit otherwise.
    func answer(_ error: WireError, _ envelope: ResponseWriter.Envelope) {
        server.counters.errors.add(1, ordering: .relaxed)
        log.debug("refused", metadata: ["error": "\(error)"])
        do {
            try write { try $0.error(error, envelope) }
        } catch is WireError {
            let short = WireError(error.code, String(error.message.prefix(Session.shortMessage)) + " …")
            try? write { try $0.error(short, envelope) }
        } catch {
            // The socket failed; its reader finds out by itself.
        }
    }

    func countSteps(_ count: Int, _ faults: [EnvironmentFault]) {
        noteActivity()
        server.counters.steps.add(UInt64(count), ordering: .relaxed)
        for fault in faults {
            server.counters.errors.add(1, ordering: .relaxed)
            log.info(
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
        // Who waits for an answer is not idle.
        guard pendingRequests.load(ordering: .acquiring) == 0, !handles.values.contains(where: \.isStepping) else {
            return
        }
        let timeout = server.configuration.limits.idleTimeoutSeconds
        let idle = monotonicSeconds() - Double(lastActivity.load(ordering: .relaxed)) * 1e-3
        guard idle >= Double(timeout) * 0.99 else { return }
        try? write { try $0.reaped(idleSeconds: Int(idle.rounded())) }
        throw SystemError("nothing heard for \(Int(idle.rounded())) seconds", ETIMEDOUT)
    }

    /// Throws away what the client still says, for a moment: closing with bytes unread would take the error from it.
    private func linger() {
        socket.shutdownSending()
        socket.setTimeouts(receive: Session.lingerSeconds, send: nil)
        let deadline = monotonicSeconds() + Session.lingerSeconds
        withUnsafeTemporaryAllocation(byteCount: 16 << 10, alignment: 16) { buffer in
            while monotonicSeconds() < deadline, let count = try? socket.receive(into: buffer), count > 0 {}
        }
    }
}

extension Session.Entry {
    /// Whether a step in shared memory is under way.
    var isStepping: Bool { worker?.isStepping ?? false }
}

/// Whether two tokens are the same, in time that does not depend on where they differ.
private func isSameToken(_ own: String, _ given: String) -> Bool {
    let own = Array(own.utf8)
    let given = Array(given.utf8)
    var difference = own.count == given.count ? 0 : 1
    for (index, byte) in given.enumerated() {
        difference |= Int(byte ^ (own.isEmpty ? 0 : own[index % own.count]))
    }
    return difference == 0
}
