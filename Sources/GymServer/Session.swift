import Glibc
import GymCore
import GymProtocol
import Logging
import Synchronization

/// One connection: hears requests, has them answered, and owns the handles that were made over it.
// Sendable although most of it is not guarded: one thread at a time listens, and only that one touches it. A thread that
// listens and begins something long says so in `longWorkSince`; it still listens when it can take that back, and does
// not when another thread has taken it from there (``TakeOver``). Both are an exchange of one atomic word, which shows
// the new listener all that the old one has written.
final class Session: PooledWork, @unchecked Sendable {
    let link: ClientLink
    let server: Server

    private let socket: UnixSocket
    private let reader: FrameReader
    private let decoder = RequestDecoder()
    private let startSeconds = monotonicSeconds()
    /// When the listening thread began something that does not need it to listen, in nanoseconds; 0: it listens.
    private let longWorkSince = Atomic<UInt64>(0)
    private let watch: SlowRequestWatch

    // Touched by the thread that listens.
    var hasGreeted = false
    var capabilities: Set<String> = []
    var handles: [UInt32: HandleExecutor] = [:]
    var nextHandle: UInt32 = 1
    private var countedBytes: UInt64 = 0
    /// Memory of what was read that is counted.
    private var countedMemory = 0

    /// After an error that ends the connection, seconds for which the rest of what the client says is thrown away, so
    /// that it gets to read why.
    private static let lingerSeconds = 0.25
    /// The most bytes of a frame before the hello.
    private static let firstFrameLimit = 64 << 10
    /// What reading a request may take however much memory the connection uses: it has to be able to close something.
    private static let leastDecoderMemory = 1 << 20
    /// Memory of what was read that is not worth counting.
    private static let uncountedMemory = 64 << 10

    init(_ socket: UnixSocket, id: UInt64, server: Server, watch: SlowRequestWatch) {
        self.server = server
        self.socket = socket
        self.watch = watch
        link = ClientLink(socket, id: id, server: server)
        reader = FrameReader(
            socket, accepting: [.request], maxBody: min(server.limits.maxFrameBytes, Session.firstFrameLimit))
    }

    /// Serves the connection until it ends, or until another thread does.
    func run() { listen() }

    private func listen() {
        do {
            guard try hear() else { return }
        } catch let error as WireError {
            link.log.info("closing the connection", metadata: ["error": "\(quoted("\(error)"))"])
            link.answer(error, .init(id: 0, handle: 0))
            linger()
        } catch {
            link.log.info("the connection failed", metadata: ["error": "\(quoted("\(error)"))"])
        }
        finish()
    }

    private func finish() {
        for executor in handles.values { executor.end() }
        handles = [:]
        if link.isStopping { link.sayShuttingDown() }
        socket.discardReceived()
        socket.shutdown()
        link.memory.give(countedMemory)
        server.remove(self)
    }

    // MARK: Hearing

    /// Hears requests until there are no more.
    ///
    /// - Returns: whether this thread is still the one that listens.
    private func hear() throws -> Bool {
        while !link.isStopping {
            let frame: FrameReader.Frame?
            do {
                decoder.release()
                frame = try reader.next(until: deadline)
            } catch let error as SystemError where error.number == EAGAIN {
                try reapIfIdle()
                continue
            } catch is WireError where link.isStopping {
                // The stream ended where this side has stopped to listen, which may be within a frame.
                return true
            }
            guard let frame else { return true }
            link.noteActivity()
            server.counters.bytesReceived.add(reader.bytesReceived - countedBytes, ordering: .relaxed)
            countedBytes = reader.bytesReceived
            do throws(RequestError) {
                decoder.maxMemory = max(link.memory.available, Session.leastDecoderMemory)
                let request = try decoder.decode(frame.body)
                countMemory()
                guard try handle(request, frame.body) else { return false }
            } catch {
                let envelope = ResponseWriter.Envelope(id: error.id, handle: error.handle)
                guard hasGreeted || error.error.isFatal else {
                    link.answer(Session.helloExpected, envelope)
                    linger()
                    return true
                }
                link.answer(error.error, envelope)
                if error.error.isFatal {
                    linger()
                    return true
                }
            }
        }
        return true
    }

    /// Counts what the last frame and what was decoded of it take.
    private func countMemory() {
        let inUse = reader.memoryInUse + decoder.memoryInUse
        let counted = inUse > Session.uncountedMemory ? inUse : 0
        if counted != countedMemory {
            link.memory.note(counted - countedMemory)
            countedMemory = counted
        }
    }

    /// - Returns: whether this thread is still the one that listens.
    private func handle(_ request: ReceivedRequest, _ body: UnsafeRawBufferPointer) throws(RequestError) -> Bool {
        do {
            guard hasGreeted else {
                guard case .connection(.hello(let hello)) = request.message else { throw Session.helloExpected }
                try greet(hello, request.envelope)
                reader.maxBody = server.limits.maxFrameBytes
                return true
            }
            switch request.message {
            case .connection(let message):
                try answer(message, request.envelope)
                return true
            case .handle(let message): return try answer(message, request.envelope, body)
            case .unknown:
                throw WireError(
                    .unknownMessage,
                    "the request's message is not one of gym.v1 \(ProtocolVersion.major).\(ProtocolVersion.minor)")
            }
        } catch {
            throw RequestError(id: request.id, handle: request.handle, error: WireError(answering: error))
        }
    }

    private func answer(
        _ request: HandleRequest<ReceivedLeaves>, _ envelope: ResponseWriter.Envelope, _ body: UnsafeRawBufferPointer
    ) throws -> Bool {
        guard let executor = handles[envelope.handle] else {
            throw WireError(
                .unknownHandle,
                "there is no handle \(envelope.handle) on this connection: it was never made, or is closed")
        }
        try link.countRequest()
        if case .close = request {
            link.answering(envelope) {
                executor.close()
                handles[envelope.handle] = nil
                try link.reply { try $0.closed(envelope) }
            }
            return true
        }
        do {
            return try executor.submit(request, envelope, body, reader: self)
        } catch {
            link.pendingRequests.subtract(1, ordering: .releasing)
            throw error
        }
    }

    static let helloExpected = WireError(.helloExpected, "the first message of a connection has to be a hello")

    // MARK: Work that takes long

    /// What a thread that listens has begun.
    enum Turn {
        /// Nothing.
        case none
        /// Something, at this time.
        case since(UInt64)
    }

    /// The thread that listens begins something that may take long and needs nothing of what was heard.
    func beginLongWork(at seconds: Double) -> Turn {
        let since = UInt64(seconds * 1e9)
        longWorkSince.store(since, ordering: .sequentiallyConsistent)
        watch.noteWork()
        return .since(since)
    }

    /// The thread is done with it.
    ///
    /// - Returns: whether it still is the one that listens.
    func endLongWork(_ turn: Turn) -> Bool {
        guard case .since(let since) = turn else { return true }
        return longWorkSince.compareExchange(expected: since, desired: 0, ordering: .acquiringAndReleasing).exchanged
    }

    /// When the listening thread began what it does now; 0 when it listens.
    var workingSince: UInt64 { longWorkSince.load(ordering: .sequentiallyConsistent) }

    /// Listens in place of a thread that works for too long.
    final class TakeOver: PooledWork {
        private let session: Session
        private let since: UInt64

        init(_ session: Session, since: UInt64) {
            self.session = session
            self.since = since
        }

        func run() {
            let isTaken = session.longWorkSince.compareExchange(
                expected: since, desired: 0, ordering: .acquiringAndReleasing
            ).exchanged
            if isTaken { session.listen() }
        }
    }

    // MARK: Ending

    /// When a connection that says nothing more is over. Bytes do not count, only whole requests.
    private var deadline: Double? {
        guard hasGreeted else { return startSeconds + server.configuration.helloTimeoutSeconds }
        let idle = server.limits.idleTimeoutSeconds
        return idle > 0 ? link.lastActivitySeconds + Double(idle) : nil
    }

    /// - Throws: ``SystemError`` when the connection did nothing for as long as the server allows.
    private func reapIfIdle() throws {
        guard let deadline, monotonicSeconds() >= deadline else { return }
        // Who waits for an answer is not idle.
        if hasGreeted,
            link.pendingRequests.load(ordering: .acquiring) > 0 || handles.values.contains(where: \.isStepping)
        {
            return link.noteActivity()
        }
        let idle = monotonicSeconds() - (hasGreeted ? link.lastActivitySeconds : startSeconds)
        link.sayReaped(idle)
        throw SystemError("nothing heard for \(Int(idle.rounded())) seconds", ETIMEDOUT)
    }

    /// Throws away what the client still says, for a moment: closing with bytes unread would take the error from it.
    private func linger() {
        socket.shutdownSending()
        let deadline = monotonicSeconds() + Session.lingerSeconds
        withUnsafeTemporaryAllocation(byteCount: 16 << 10, alignment: 16) { buffer in
            while socket.isReadable(until: deadline), let count = try? socket.receive(into: buffer), count > 0 {}
        }
    }
}
