import GymCore
import GymProtocol
import Logging
import Synchronization

/// One client, as whoever works for it sees it: what it is sent, what it may have, what is counted of it.
///
/// For any thread. What the client says is heard by its ``Session`` alone.
final class ClientLink: Sendable {
    let id: UInt64
    let server: Server
    /// Memory that it has the server keep.
    let memory: MemoryBudget
    /// Environments it owns now.
    let environments = Atomic(0)
    /// Handles it owns now.
    let handles = Atomic(0)
    /// Requests that were received and not answered yet.
    let pendingRequests = Atomic(0)
    /// The minor version in force.
    let minorVersion = Atomic(ProtocolVersion.minor)

    private let socket: UnixSocket
    /// Several threads answer on one connection, one frame at a time.
    private let output: Guarded<Output>
    private let logger: Mutex<Logger>
    private let stopping = Atomic(false)
    private let lastActivity = Atomic<UInt64>(0)

    /// There is nobody to be answered any more.
    struct Gone: Error {}

    private struct Output {
        let writer: ResponseWriter
        /// After an error that ends the connection, or a notice that does, nothing more is sent.
        var isOver = false
    }

    /// What a client may limit frames to: below it not even an error would fit.
    private static let smallestFrameLimit = 4096
    /// Letters of an error that are sent when all of it does not fit: what clients sent in is quoted in errors.
    private static let shortMessage = 512

    init(_ socket: UnixSocket, id: UInt64, server: Server) {
        self.id = id
        self.server = server
        self.socket = socket
        memory = MemoryBudget(limit: server.limits.maxMemoryBytes, within: server.memory)
        output = Guarded(Output(writer: ResponseWriter(socket, maxBody: server.limits.maxFrameBytes)))
        var logger = server.configuration.logger
        logger[metadataKey: "session"] = "\(id)"
        self.logger = Mutex(logger)
        socket.setTimeouts(receive: nil, send: server.configuration.sendTimeoutSeconds)
        noteActivity()
    }

    /// The largest body that the client takes.
    var maxAnswerBytes: Int { output.withLock { $0.writer.maxBody } }

    /// Takes in what a hello says. Nothing is limited to less than an error takes.
    func greet(clientName: String, maxFrameBytes: Int, minorVersion: Int) {
        self.minorVersion.store(minorVersion, ordering: .relaxed)
        if maxFrameBytes > 0 {
            output.withLock {
                $0.writer.maxBody = min($0.writer.maxBody, max(maxFrameBytes, ClientLink.smallestFrameLimit))
            }
        }
        logger.withLock { $0[metadataKey: "client"] = "\(quoted(clientName, most: 64))" }
    }

    /// Its log.
    var log: Logger { logger.withLock { $0 } }

    // MARK: Answering

    /// Sends something, whoever else wants to.
    ///
    /// - Throws: ``WireError`` when it is too large; nothing was sent. ``Gone`` when the socket failed, so that a part may
    ///   have been sent, or when nothing is to be sent any more: the connection is over.
    func write(_ body: (ResponseWriter) throws -> Void) throws { try write(isLast: false, body) }

    private func write(isLast: Bool, _ body: (ResponseWriter) throws -> Void) throws {
        try output.withLock { output in
            guard !output.isOver else { throw Gone() }
            output.isOver = isLast
            let before = output.writer.bytesSent
            do {
                try body(output.writer)
            } catch let error as SystemError {
                output.isOver = true
                socket.shutdown()
                log.debug("cannot answer", metadata: ["error": "\(quoted("\(error)"))"])
                throw Gone()
            }
            server.counters.bytesSent.add(output.writer.bytesSent - before, ordering: .relaxed)
        }
    }

    /// Answers with an error, cut short when it would not fit otherwise. One that is fatal is the last that is sent.
    func answer(_ error: WireError, _ envelope: ResponseWriter.Envelope) {
        var error = error
        // An older client does not know of it.
        if error.code == .incompatibleState, minorVersion.load(ordering: .relaxed) < 1 { error.code = .invalidState }
        server.counters.errors.add(1, ordering: .relaxed)
        log.debug("refused", metadata: ["error": "\(quoted("\(error)"))"])
        // When the socket has failed, its reader finds out by itself.
        try? write(isLast: error.isFatal) { writer in
            do {
                try writer.error(error, envelope)
            } catch is WireError {
                let short = String(error.message.prefix(ClientLink.shortMessage)) + " …"
                var cut = WireError(error.code, short)
                cut.isFatal = error.isFatal
                try writer.error(cut, envelope)
            }
        }
    }

    /// Tells the client that the server ends; the last that is sent.
    func sayShuttingDown() { try? write(isLast: true) { try $0.shuttingDown(reason: server.stopReason) } }

    /// Tells the client that it was idle for too long; the last that is sent.
    func sayReaped(_ seconds: Double) {
        try? write(isLast: true) { try $0.reaped(idleSeconds: Int(seconds.rounded())) }
    }

    /// Answers a request that counts among the pending ones. It is counted out before: who has the answer may send the
    /// next one at once.
    func reply(_ body: (ResponseWriter) throws -> Void) throws {
        pendingRequests.subtract(1, ordering: .releasing)
        do {
            try write(body)
        } catch {
            pendingRequests.add(1, ordering: .relaxed)
            throw error
        }
    }

    /// Carries out a request that counts among the pending ones, and answers with the error when that fails.
    func answering(_ envelope: ResponseWriter.Envelope, _ body: () throws -> Void) {
        do {
            try body()
        } catch {
            pendingRequests.subtract(1, ordering: .releasing)
            // Whoever reads from the socket finds out by itself.
            if error is Gone { return }
            answer(WireError(answering: error), envelope)
        }
    }

    // MARK: Counting

    /// Counts a request among the pending ones.
    ///
    /// - Throws: ``WireError`` when there are as many as may be.
    func countRequest() throws {
        let limit = server.limits.maxPendingRequests
        guard pendingRequests.load(ordering: .relaxed) < limit else {
            throw WireError(
                .limitExceeded, "\(limit) requests wait for their answers already; receive some first",
                details: [.init(field: "pending_requests", expected: "at most \(limit)", got: "\(limit + 1)")])
        }
        pendingRequests.add(1, ordering: .relaxed)
    }

    func countSteps(_ count: Int, _ faults: [EnvironmentFault]) {
        noteActivity()
        server.counters.steps.add(UInt64(count), ordering: .relaxed)
        if !faults.isEmpty { countFaults(faults) }
    }

    func countFaults(_ faults: [EnvironmentFault]) {
        let log = log
        for fault in faults {
            server.counters.errors.add(1, ordering: .relaxed)
            log.info(
                "an environment failed",
                metadata: ["environment": "\(fault.index)", "message": "\(quoted(fault.message))"])
        }
    }

    /// What it uses, against what it may use.
    var use: [ResourceUse] {
        let limits = server.limits
        return [
            ResourceUse("handles", used: handles.load(ordering: .relaxed), limit: limits.maxHandles),
            ResourceUse("environments", used: environments.load(ordering: .relaxed), limit: limits.maxEnvironments),
            ResourceUse("memory_bytes", used: memory.used, limit: limits.maxMemoryBytes),
            ResourceUse(
                "pending_requests", used: pendingRequests.load(ordering: .relaxed), limit: limits.maxPendingRequests),
        ]
    }

    // MARK: Ending

    /// Ends the connection: what is being stepped is finished, nothing new is begun.
    func stop() {
        stopping.store(true, ordering: .sequentiallyConsistent)
        socket.shutdownReceiving()
    }

    /// Ends the connection at once, whoever waits for whom.
    func abort() { socket.shutdown() }

    /// Whether it is being ended from this side.
    var isStopping: Bool { stopping.load(ordering: .sequentiallyConsistent) }

    func noteActivity() {
        guard server.limits.idleTimeoutSeconds > 0 else { return }
        lastActivity.store(UInt64(monotonicSeconds() * 1e3), ordering: .relaxed)
    }

    /// When it last did something, on the clock of ``monotonicSeconds()``.
    var lastActivitySeconds: Double { Double(lastActivity.load(ordering: .relaxed)) * 1e-3 }
}

extension WireError {
    /// What a client is told when a request has failed.
    init(answering error: any Error) { self = error as? WireError ?? WireError(.internal, "\(error)") }
}

extension ReceivedRequest {
    /// The envelope of its answer.
    var envelope: ResponseWriter.Envelope { .init(id: id, handle: handle) }
}
