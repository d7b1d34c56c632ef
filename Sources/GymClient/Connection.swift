import Glibc
public import GymCore
public import GymProtocol

/// A connection to a server of environments.
///
/// ```swift
/// let connection = try Connection(path: "/tmp/gym.sock")
/// let environments = try connection.make("CartPole-v1", count: 8)
/// try environments.reset(seeds: [42])
/// environments.actions.elements(as: Int64.self).update(repeating: 1)
/// try environments.step()
/// print(environments.results.rewards[0])
/// ```
///
/// For one thread at a time. The environments made over a connection end with it.
public final class Connection {
    /// Where the server listens.
    public let path: String
    /// What the server said of itself.
    public private(set) var server = HelloReply()

    private let socket: UnixSocket
    private let reader: FrameReader
    private let writer: RequestWriter
    private let decoder = ResponseDecoder()
    private var nextID: UInt64 = 1
    /// Answers that will come. There are few, and they come mostly in order.
    private var awaited: [Awaited] = []
    /// Batches that step in shared memory, by handle. What the server has to say of their steps comes with id 0.
    private var sharedBatches: [UInt32: Unmanaged<RemoteVectorEnvironment>] = [:]
    /// The answer that somebody waits for in ``exchange(_:handle:)``.
    private var answer: (id: UInt64, message: Response)?
    /// Why nothing more will come.
    private var lossReason: String?

    private struct Awaited {
        let id: UInt64
        var taker: Taker
    }

    /// Who takes an answer.
    private enum Taker {
        /// Who waits in ``exchange(_:handle:)``.
        case caller
        /// A batch whose step it is; it takes itself out of the list when it goes.
        case environment(Unmanaged<RemoteVectorEnvironment>)
        case nobody
    }

    /// Bytes of a batch's observations and actions that are believed to fit into memory.
    private static let mostBatchBytes = 1 << 36
    /// Seconds a server has for its first answer. One that needs longer is not a server of environments.
    private static let helloTimeout = 10.0

    /// Connects and exchanges hellos.
    ///
    /// - Parameters:
    ///   - path: the server's socket; `unix:` before it is allowed.
    ///   - name: what the server's log and status call this client.
    /// - Throws: ``GymError/serverNotFound(path:reason:)``, ``GymError/notAServer(path:reason:)``,
    ///   ``GymError/versionMismatch(path:message:)``, ``GymError/refused(_:)``.
    public init(path address: String, name: String = "swift-gym", token: String = "") throws {
        let path = address.hasPrefix("unix:") ? String(address.dropFirst(5)) : address
        self.path = path
        do {
            socket = try UnixSocket.connect(to: path)
        } catch {
            let reason = (error as? SystemError).map { String(cString: strerror($0.number)) } ?? "\(error)"
            throw GymError.serverNotFound(path: path, reason: reason)
        }
        let mostBytes = Int(UInt32.max)
        reader = FrameReader(socket, accepting: [.response, .notice], maxBody: mostBytes)
        writer = RequestWriter(socket, maxBody: mostBytes)
        var hello = Hello()
        hello.clientName = name
        hello.token = token
        socket.setTimeouts(receive: Connection.helloTimeout, send: Connection.helloTimeout)
        do {
            guard case .hello(let reply) = try exchange(.hello(hello)) else {
                throw GymError.notAServer(path: path, reason: "it answered the hello with something else")
            }
            server = reply
        } catch let error as WireError where error.code == .unsupportedVersion {
            throw GymError.versionMismatch(path: path, message: error.message)
        } catch let error as WireError {
            throw GymError.notAServer(path: path, reason: error.message)
        } catch GymError.refused(let error) where error.code == .unsupportedVersion {
            throw GymError.versionMismatch(path: path, message: error.message)
        } catch GymError.connectionLost(let reason) {
            throw GymError.notAServer(path: path, reason: reason)
        } catch GymError.protocolViolation(let reason) {
            throw GymError.notAServer(path: path, reason: reason)
        }
        guard server.major == ProtocolVersion.major else {
            throw GymError.versionMismatch(
                path: path, message: "it is \(server.major).\(server.minor), this is \(ProtocolVersion.major)")
        }
        socket.setTimeouts(receive: nil, send: nil)
        writer.maxBody = server.limits.maxFrameBytes
    }

    // MARK: Requests

    /// Waits until the server answers.
    public func ping() throws {
        guard case .ping = try exchange(.ping) else { throw unexpected("ping") }
    }

    /// What the server tells of itself.
    public func status() throws -> ServerStatus {
        guard case .status(let status) = try exchange(.status) else { throw unexpected("status") }
        return status
    }

    /// The environments that the server offers.
    public func environments() throws -> [EnvironmentDescription] {
        guard case .list(let environments) = try exchange(.list) else { throw unexpected("list") }
        return environments
    }

    /// Asks the server to end; it has to have been started so that clients may.
    public func shutdown() throws {
        guard case .shutdown = try exchange(.shutdown) else { throw unexpected("shutdown") }
    }

    /// Makes a batch of environments.
    ///
    /// - Throws: ``GymError/refused(_:)`` for unknown environments, options that cannot be taken, and limits;
    ///   ``GymError/misuse(_:)`` for numbers that cannot be.
    public func make(_ parameters: MakeParameters) throws -> RemoteVectorEnvironment {
        guard (1...Int(UInt32.max)).contains(parameters.settings.count) else {
            throw GymError.misuse("a batch cannot have \(parameters.settings.count) environments; ask for 1 or more")
        }
        if case .steps(let steps) = parameters.settings.timeLimit, steps < 1 {
            throw GymError.misuse("a time limit cannot be \(steps) steps; use .unlimited, or 1 step or more")
        }
        // What an older server does not know of, it does not do.
        let isTimed = parameters.wantsStepTime && server.minor >= 1
        reader.expectsDescriptor = parameters.transport == .sharedMemory
        defer { reader.expectsDescriptor = false }
        guard case .make(let made) = try exchange(.make(parameters)) else { throw unexpected("make") }
        guard made.count == parameters.settings.count, made.autoreset == parameters.settings.autoreset,
            made.transport == parameters.transport
        else { throw violation("the server made other environments than it was asked for") }
        // Before any memory is taken: it is the server that says how much.
        let leaves = (made.description.observationSpace.leaves + made.description.actionSpace.leaves).map(\.leaf)
        guard let bytes = BatchBuffer.byteCount(of: leaves, count: made.count), bytes <= Connection.mostBatchBytes
        else {
            throw violation("a batch of \(made.count) environments with these spaces does not fit into memory")
        }
        var memory: SharedMemory?
        if made.transport == .sharedMemory {
            guard let layout = made.sharedMemory, let descriptor = reader.takeDescriptor() else {
                throw violation("the shared memory's layout, or its descriptor, did not come with the answer")
            }
            guard
                layout.fits(
                    observationSpace: made.description.observationSpace, actionSpace: made.description.actionSpace,
                    count: made.count, autoreset: made.autoreset, isTimed: isTimed)
            else { throw violation("the shared memory's layout does not fit the spaces") }
            memory = try decoded { try SharedMemory(passed: descriptor, layout) }
        }
        return RemoteVectorEnvironment(made, isTimed: isTimed, memory: memory, connection: self)
    }

    /// Makes a batch of environments, with the most common choices as arguments.
    ///
    /// - Parameters:
    ///   - transport: `nil`, the default, takes shared memory where the server and the spaces allow it. Results do not
    ///     depend on it.
    public func make(
        _ id: String, count: Int = 1, options: [String: OptionValue] = [:], autoreset: AutoresetMode = .nextStep,
        timeLimit: VectorEnvironmentSettings.TimeLimitSetting = .registered, transport: Transport? = nil,
        renderMode: String = ""
    ) throws -> RemoteVectorEnvironment {
        let settings = VectorEnvironmentSettings(
            count: count, options: options, autoreset: autoreset, timeLimit: timeLimit)
        var parameters = MakeParameters(id: id, settings: settings)
        parameters.renderMode = renderMode
        parameters.transport =
            transport ?? (server.capabilities.contains(ProtocolVersion.sharedMemory) ? .sharedMemory : .socket)
        do {
            return try make(parameters)
        } catch GymError.refused(let error)
            where transport == nil && parameters.transport == .sharedMemory
            && [.unsupportedCapability, .limitExceeded].contains(error.code)
        {
            parameters.transport = .socket
            return try make(parameters)
        }
    }

    // MARK: Exchange

    func unexpected(_ request: String) -> GymError {
        .protocolViolation("the answer to \(request) is of another kind")
    }

    /// Sends a request about the connection and waits for its answer.
    func exchange(_ request: ConnectionRequest) throws -> Response { try exchange(.connection(request), handle: 0) }

    /// Sends a request about a handle and waits for its answer. What that points to is valid until the next exchange.
    func exchange(_ request: HandleRequest<BatchBuffer>, handle: UInt32) throws -> Response {
        try exchange(.handle(request), handle: handle)
    }

    private func exchange(_ request: Request<BatchBuffer>, handle: UInt32) throws -> Response {
        let id = try send(request, handle: handle, taker: .caller)
        while answer?.id != id { try readFrame() }
        defer { answer = nil }
        if case .error(let error) = answer!.message { throw GymError.refused(error) }
        return answer!.message
    }

    /// Sends a request for a step, whose answer the batch takes when it comes, whoever waits then.
    func send(_ request: HandleRequest<BatchBuffer>, of environment: RemoteVectorEnvironment, handle: UInt32) throws {
        _ = try send(.handle(request), handle: handle, taker: .environment(.passUnretained(environment)))
    }

    /// Has frames about steps of this handle in shared memory handed to the batch, until it is abandoned.
    func registerShared(_ environment: RemoteVectorEnvironment, handle: UInt32) {
        sharedBatches[handle] = .passUnretained(environment)
    }

    /// The batch goes: what still comes for it is for nobody. Its handle is closed without waiting for the answer.
    func abandon(_ environment: RemoteVectorEnvironment, handle: UInt32, isClosed: Bool) {
        for index in awaited.indices {
            if case .environment(let taker) = awaited[index].taker,
                taker.toOpaque() == Unmanaged.passUnretained(environment).toOpaque()
            {
                awaited[index].taker = .nobody
            }
        }
        sharedBatches[handle] = nil
        if !isClosed { _ = try? send(.handle(.close), handle: handle, taker: .nobody) }
    }

    private func send(_ request: Request<BatchBuffer>, handle: UInt32, taker: Taker) throws -> UInt64 {
        if let lossReason { throw GymError.connectionLost(reason: lossReason) }
        let id = nextID
        nextID += 1
        do {
            try writer.send(request, id: id, handle: handle)
        } catch let error as WireError {
            throw GymError.refused(error)
        } catch {
            // What the server said before it closed explains more than the failed send.
            do {
                while lossReason == nil { try readFrame() }
            } catch GymError.refused(let reason) where reason.isFatal {
                throw GymError.refused(reason)
            } catch {}
            throw lost("\(error)")
        }
        awaited.append(Awaited(id: id, taker: taker))
        return id
    }

    /// Reads one frame and hands it to whoever awaits it.
    func readFrame() throws {
        if let lossReason { throw GymError.connectionLost(reason: lossReason) }
        let frame: FrameReader.Frame?
        do {
            frame = try reader.next()
        } catch let error as SystemError where error.number == EAGAIN {
            throw lost("no answer within \(Int(Connection.helloTimeout)) seconds")
        } catch let error as WireError {
            throw lost("what came is not a frame: \(error.message)")
        } catch {
            throw lost("\(error)")
        }
        guard let frame else { throw lost("the server closed it") }
        switch frame.kind {
        case .response:
            let response = try decoded { try decoder.decode(frame.body) }
            if case .error(let error) = response.message, error.isFatal { lossReason = error.message }
            if response.id == 0 && response.handle != 0 {
                // A step in shared memory. Handles are not used again: one that is not here was abandoned in a step.
                sharedBatches[response.handle]?.takeUnretainedValue().take(response)
            } else if let index = awaited.firstIndex(where: { $0.id == response.id }) {
                switch awaited.remove(at: index).taker {
                case .caller: answer = (response.id, response.message)
                case .environment(let taker): taker.takeUnretainedValue().take(response)
                case .nobody: break
                }
            } else if case .error(let error) = response.message {
                throw GymError.refused(error)
            } else {
                throw violation("a response to request \(response.id), which is not awaited")
            }
        case .notice:
            switch try decoded({ try decoder.decodeNotice(frame.body) }) {
            case .shuttingDown(let reason): throw lost("the server is shutting down: \(reason)")
            case .reaped(let seconds): throw lost("the server closed it after \(seconds) idle seconds")
            case .unknown: break
            }
        case .request:
            throw violation("the server sent a request")
        }
    }

    /// - Throws: ``GymError/connectionLost(reason:)`` when it is known that the connection is over.
    func requireOpen() throws {
        if let lossReason { throw GymError.connectionLost(reason: lossReason) }
    }

    /// Finds out whether the server has gone, without waiting: for those who wait on something other than the socket.
    ///
    /// - Throws: ``GymError`` when it has.
    func checkAlive() throws {
        try requireOpen()
        guard socket.peerHasClosed else { return }
        // What it said before it closed explains more. The end of the stream throws.
        while true { try readFrame() }
    }

    private func decoded<Result>(_ decode: () throws -> Result) throws -> Result {
        do {
            return try decode()
        } catch let error as WireError {
            throw violation(error.message)
        }
    }

    /// After a server has broken the protocol, nothing that it says can be relied on.
    private func violation(_ message: String) -> GymError {
        lossReason = lossReason ?? "the server broke the protocol: \(message)"
        return .protocolViolation(message)
    }

    private func lost(_ reason: String) -> GymError {
        lossReason = lossReason ?? reason
        return .connectionLost(reason: lossReason!)
    }
}
