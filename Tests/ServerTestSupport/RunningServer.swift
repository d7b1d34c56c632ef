import Foundation
public import GymClient
public import GymCore
public import GymProtocol
public import GymServer
import Logging
import Synchronization
import TestSupport

/// A server in this process, on a thread of its own, with a socket in a temporary folder; it ends with its owner.
public final class RunningServer: Sendable {
    /// The server.
    public let server: Server
    /// Its socket.
    public var path: String { server.path }

    private let folder: URL
    private let done = DispatchSemaphore(value: 0)

    /// Starts to serve.
    ///
    /// - Parameter configure: changes the configuration before the start.
    public init(
        registry: EnvironmentRegistry = TestEnvironments.registry,
        _ configure: (inout ServerConfiguration) -> Void = { _ in }
    ) throws {
        folder = try temporaryFolder()
        var logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        logger.logLevel = .trace
        var configuration = ServerConfiguration(logger: logger)
        configure(&configuration)
        server = try Server(
            registry: registry, path: folder.appendingPathComponent("socket").path, configuration: configuration)
        let (server, done) = (server, done)
        Thread.detachNewThread {
            server.run()
            done.signal()
        }
    }

    deinit {
        end()
        try? FileManager.default.removeItem(at: folder)
    }

    /// Stops the server and waits until it has ended, at most a minute. Ending again does nothing.
    ///
    /// - Returns: whether it has ended.
    @discardableResult
    public func end() -> Bool {
        server.stop(reason: "the test is over", waits: false)
        guard done.wait(timeout: .now() + 60) == .success else { return false }
        done.signal()
        return true
    }

    /// A connection of the client library.
    public func connect(token: String = "") throws -> Connection { try Connection(path: path, token: token) }

    /// A connection that says what it is told to, byte by byte; hello is exchanged unless told otherwise.
    public func raw(hello: Bool = true) throws -> RawConnection {
        let connection = try RawConnection(path: path)
        if hello { _ = try connection.ask(.hello(Hello())) }
        return connection
    }

    /// Waits until the condition holds of the server's status.
    ///
    /// - Returns: whether it did within the given time.
    public func waits(seconds: Double = 60, until isMet: (ServerStatus) -> Bool) -> Bool {
        let deadline = Date().addingTimeInterval(seconds)
        while !isMet(server.status) {
            if deadline.timeIntervalSinceNow < 0 { return false }
            usleep(2_000)
        }
        return true
    }
}

/// A connection below the client library: frames, right ones and wrong ones.
public final class RawConnection {
    /// The socket.
    public let socket: UnixSocket
    private let writer: RequestWriter
    private let reader: FrameReader
    private let decoder = ResponseDecoder()
    private var nextID: UInt64 = 1

    /// Connects, and says nothing.
    public init(path: String) throws {
        socket = try UnixSocket.connect(to: path)
        // A test that waits for what never comes fails instead.
        socket.setTimeouts(receive: 60, send: 60)
        writer = RequestWriter(socket, maxBody: Int(UInt32.max))
        reader = FrameReader(socket, accepting: [.response, .notice], maxBody: Int(UInt32.max))
        reader.expectsDescriptor = true
    }

    /// What came.
    public enum Arrival {
        /// An answer.
        case response(ReceivedResponse)
        /// A notice.
        case notice(Notice)
        /// The end of the stream.
        case end
    }

    /// Sends bytes as they are.
    public func send(bytes: [UInt8]) throws {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes {
                Foundation.send(socket.descriptor, $0.baseAddress! + sent, bytes.count - sent, Int32(MSG_NOSIGNAL))
            }
            guard count >= 0 else { throw SystemError("send", errno) }
            sent += count
        }
    }

    /// Sends a frame with the given body.
    public func send(body: [UInt8], kind: UInt8 = 1, flags: UInt8 = 0, reserved: UInt16 = 0, length: Int? = nil) throws
    {
        var header = withUnsafeBytes(of: UInt32(length ?? body.count).littleEndian) { Array($0) } + [kind, flags]
        header += withUnsafeBytes(of: reserved.littleEndian) { Array($0) }
        try send(bytes: header + body)
    }

    /// Sends a request; returns its id.
    @discardableResult
    public func send(_ request: Request<BatchBuffer>, handle: UInt32 = 0, id: UInt64? = nil) throws -> UInt64 {
        let id = id ?? nextID
        nextID += 1
        try writer.send(request, id: id, handle: handle)
        return id
    }

    /// What comes next; valid until the one after it.
    public func next() throws -> Arrival {
        guard let frame = try reader.next() else { return .end }
        return frame.kind == .notice
            ? .notice(try decoder.decodeNotice(frame.body)) : .response(try decoder.decode(frame.body))
    }

    /// Sends a request and waits for an answer.
    public func ask(_ request: Request<BatchBuffer>, handle: UInt32 = 0) throws -> Response {
        try send(request, handle: handle)
        return try response().message
    }

    /// The next answer.
    public func response() throws -> ReceivedResponse {
        switch try next() {
        case .response(let response): return response
        case let other: throw Unexpected(what: "\(other)")
        }
    }

    /// The next answer, which has to be an error.
    public func error() throws -> WireError {
        let message = try response().message
        guard case .error(let error) = message else { throw Unexpected(what: "\(message)") }
        return error
    }

    /// Whether the stream ends, after whatever else comes.
    public func isClosed() throws -> Bool {
        while true {
            if case .end = try next() { return true }
        }
    }

    /// Makes environments; returns their handle.
    public func make(_ id: String, count: Int = 1, _ change: (inout MakeParameters) -> Void = { _ in }) throws -> UInt32
    {
        var parameters = MakeParameters(id: id, settings: VectorEnvironmentSettings(count: count))
        change(&parameters)
        let answer = try ask(.make(parameters))
        guard case .make(let made) = answer else { throw Unexpected(what: "\(answer)") }
        return made.handle
    }
}

/// Something came that a test did not ask for.
public struct Unexpected: Error, CustomStringConvertible {
    /// What came.
    public let what: String
    /// What came.
    public var description: String { "unexpected: \(what)" }

    /// Something came that is described.
    public init(what: String) { self.what = what }
}
