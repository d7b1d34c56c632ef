import Glibc
import GymCore
public import GymProtocol
import GymServer
import Logging
import Synchronization
import TestSupport

/// Feeds a session with bytes, as a fuzzer makes them up and as its corpus keeps them.
///
/// The first byte chooses: 0, the rest is the stream as it comes; 1, a hello, a few makes and resets go before, and the
/// rest are bodies of requests, each after its length in two bytes (little-endian).
public final class FuzzSession: Sendable {
    private let server: Server
    private let prelude: [UInt8]

    /// Longer inputs are cut; more says nothing new.
    private static let longest = 16 << 10

    /// A server with small limits, and environments that take no time.
    public init() throws {
        let folder = try temporaryFolder().path
        defer { rmdir(folder) }
        var configuration = ServerConfiguration(logger: Logger(label: "fuzz") { _ in SwiftLogNoOpLogHandler() })
        configuration.limits.maxFrameBytes = 64 << 10
        configuration.limits.maxHandles = 8
        configuration.limits.maxEnvironments = 64
        configuration.limits.maxMemoryBytes = 8 << 20
        configuration.limits.maxPendingRequests = 16
        configuration.threads = 2
        server = try Server(
            registry: TestEnvironments.quickRegistry, path: folder + "/socket", configuration: configuration)
        unlink(folder + "/socket")
        prelude = try FuzzSession.recorded { writer in
            try writer.send(.hello(Hello()), id: 1)
            for (id, options, count, transport) in [
                ("test/Counting-v0", [:], 2, Transport.socket), ("test/Echo-v0", ["space": .text("graph")], 1, .socket),
                ("test/Echo-v0", ["space": .text("dict")], 3, .socket), ("test/Faulty-v0", [:], 2, .sharedMemory),
            ] as [(String, [String: OptionValue], Int, Transport)] {
                var make = MakeParameters(
                    id: id,
                    settings: VectorEnvironmentSettings(count: count, options: options, checksObservations: true))
                make.renderMode = id == "test/Counting-v0" ? "ansi" : ""
                make.transport = transport
                try writer.send(.make(make), id: 2)
            }
            var reset = ResetParameters()
            reset.seeds = [1]
            for handle in 1...4 as ClosedRange<UInt32> { try writer.send(.reset(reset), id: 3, handle: handle) }
        }
    }

    /// The bytes that a client sends.
    public static func recorded(_ body: (RequestWriter) throws -> Void) throws -> [UInt8] {
        let (left, right) = try UnixSocket.pair()
        let writer = RequestWriter(left, maxBody: 64 << 10)
        try body(writer)
        left.shutdownSending()
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 4096)
        while case let count = try piece.withUnsafeMutableBytes({ try right.receive(into: $0) }), count > 0 {
            bytes += piece[..<count]
        }
        return bytes
    }

    /// Serves one connection on which these bytes come; returns when it is over.
    public func run(_ input: UnsafeRawBufferPointer) throws {
        guard let mode = input.first else { return }
        var stream: [UInt8] = []
        let rest = UnsafeRawBufferPointer(rebasing: input.dropFirst().prefix(FuzzSession.longest))
        if mode & 1 == 0 {
            stream = Array(rest)
        } else {
            stream = prelude
            var offset = 0
            while offset + 2 <= rest.count {
                let length = min(Int(rest[offset]) | Int(rest[offset + 1]) << 8, rest.count - offset - 2)
                stream += [UInt8(length & 0xFF), UInt8(length >> 8), 0, 0, 1, 0, 0, 0]
                stream += rest[(offset + 2)..<(offset + 2 + length)]
                offset += 2 + length
            }
        }
        let (client, served) = try UnixSocket.pair()
        // All of it goes into the socket's buffer at once: nobody has to wait for anybody.
        var size = Int32(1 << 20)
        setsockopt(client.descriptor, SOL_SOCKET, SO_SNDBUF, &size, 4)
        setsockopt(served.descriptor, SOL_SOCKET, SO_SNDBUF, &size, 4)
        let sent = Glibc.send(client.descriptor, stream, stream.count, Int32(MSG_NOSIGNAL | MSG_DONTWAIT))
        guard sent == stream.count else { throw SystemError("send", errno) }
        client.shutdownSending()
        let drain = try Drain(client)
        server.serve(served)
        drain.join()
    }
}

extension FuzzSession {
    /// Inputs to begin with: each kind of request for each kind of environment, and streams that are wrong.
    public static func seeds() throws -> [[UInt8]] {
        func bodies(_ requests: [(Request<BatchBuffer>, UInt32)]) throws -> [UInt8] {
            var input: [UInt8] = [1]
            for (request, handle) in requests {
                let frame = try recorded { try $0.send(request, id: 9, handle: handle) }
                input += [UInt8((frame.count - 8) & 0xFF), UInt8((frame.count - 8) >> 8)] + frame.dropFirst(8)
            }
            return input
        }
        func sampled(_ space: Space, _ count: Int) -> BatchBuffer {
            var sampler = SpaceSampler(space, seed: 1)
            let batch = BatchBuffer(space: space, count: count)
            for row in 0..<count { batch.store(sampler.sample(), of: space, row: row) }
            return batch
        }
        let count = sampled(.discrete(count: 2), 2)
        let graph = sampled(EchoEnvironment.spaces["graph"]!, 1)
        let dict = sampled(EchoEnvironment.spaces["dict"]!, 3)
        var masked = ResetParameters()
        masked.mask = [true, false]
        masked.seeds = [nil, 0]
        masked.options = ["start": .integer(3)]
        masked.wantsInfo = true
        var make = MakeParameters(
            id: "test/Counting-v0",
            settings: VectorEnvironmentSettings(count: 3, autoreset: .sameStep, timeLimit: .steps(2)))
        make.autoresetOptions = ["start": .integer(1)]
        return [
            try bodies([(.step(count, wantsInfo: true), 1), (.step(count, wantsInfo: false), 1), (.reset(masked), 1)]),
            try bodies([
                (.step(graph, wantsInfo: false), 2), (.contains(.action, graph), 2),
                (.sample(.observation, seed: 0), 2),
            ]),
            try bodies([(.step(dict, wantsInfo: false), 3), (.contains(.observation, dict), 3), (.close, 3)]),
            try bodies([
                (.send(environments: [1], count), 1), (.receive(count: 1), 1), (.send(environments: [0, 1], count), 1),
            ]),
            try bodies([(.send(environments: [0], graph), 2), (.receive(count: 1), 2), (.close, 2)]),
            try bodies([
                (.getState(environments: []), 1), (.setState(environments: [0], states: [[1, 0, 0, 0]]), 1),
                (.render(environments: [1]), 1),
            ]),
            try bodies([
                (.make(make), 0), (.reset(ResetParameters()), 5), (.ping, 0), (.status, 0), (.list, 0), (.close, 5),
                (.shutdown, 0),
            ]),
            try bodies([(.step(count, wantsInfo: false), 4), (.render(environments: []), 4), (.hello(Hello()), 0)]),
            try [0] + recorded { try $0.send(.hello(Hello()), id: 1) } + recorded { try $0.send(.ping, id: 2) },
            [0, 0, 0, 0, 0, 1, 0, 0, 0], [0, 255, 255, 255, 255, 1, 0, 0, 0], [0, 1, 0, 0, 0, 9, 0, 0, 0, 0],
        ]
    }
}

/// A thread that takes what a server says, and throws it away.
private final class Drain {
    private var thread = pthread_t()

    init(_ socket: UnixSocket) throws {
        let argument = Unmanaged.passRetained(socket)
        let status = pthread_create(
            &thread, nil,
            { argument in
                let socket = Unmanaged<UnixSocket>.fromOpaque(argument!).takeRetainedValue()
                withUnsafeTemporaryAllocation(byteCount: 1 << 16, alignment: 16) { buffer in
                    while let count = try? socket.receive(into: buffer), count > 0 {}
                }
                return nil
            }, argument.toOpaque())
        guard status == 0 else { throw SystemError("pthread_create", status) }
    }

    func join() { pthread_join(thread, nil) }
}
