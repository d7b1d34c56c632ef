import Foundation
import GymClient
import GymCore
import GymProtocol
import ServerTestSupport
import TestSupport
import Testing

/// Each limit: the typed error at once, and what was refused is counted nowhere.
@Suite(.serialized) struct LimitsTests {
    private func refusal(_ body: () throws -> Void) -> WireError? {
        do {
            try body()
        } catch GymError.refused(let error) {
            return error
        } catch {
            Issue.record("\(error)")
        }
        return nil
    }

    @Test("L3 to L5, L8: handles, environments, memory") func makes() throws {
        let running = try RunningServer {
            $0.limits.maxHandles = 2
            $0.limits.maxEnvironments = 10
            $0.limits.maxMemoryBytes = 1 << 20
        }
        let connection = try running.connect()
        #expect(connection.server.limits.maxHandles == 2)
        #expect(refusal { _ = try connection.make("test/Counting-v0", count: 11) }?.code == .limitExceeded)
        #expect(refusal { _ = try connection.make("test/Counting-v0", count: Int(UInt32.max)) }?.code == .limitExceeded)
        let first = try connection.make("test/Counting-v0", count: 6)
        let error = try #require(refusal { _ = try connection.make("test/Counting-v0", count: 5) })
        #expect(error.code == .limitExceeded)
        #expect(error.message.contains("10"))
        #expect(!error.isFatal)
        let second = try connection.make("test/Counting-v0", count: 4)
        #expect(refusal { _ = try connection.make("test/Counting-v0") }?.code == .limitExceeded)
        try first.close()
        try second.close()
        let third = try connection.make("test/Counting-v0", count: 10)
        #expect(running.server.status.environments == 10)
        withExtendedLifetime(third) {}
        let tight = try RunningServer { $0.limits.maxMemoryBytes = 1 << 20 }
        #expect(refusal { _ = try tight.connect().make("test/Counting-v0", count: 10_000) }?.code == .limitExceeded)
    }

    @Test("L6: pending requests") func pending() throws {
        let gates = Gates()
        let running = try RunningServer(registry: gates.registry) { $0.limits.maxPendingRequests = 2 }
        let raw = try running.raw()
        let handle = try raw.make("test/Gated-v0")
        guard case .reset = try raw.ask(.reset(ResetParameters()), handle: handle) else {
            Issue.record("no reset"); return
        }
        let actions = BatchBuffer(space: .discrete(count: 4), count: 1)
        actions.elements(as: Int64.self)[0] = 1
        for id in 11...14 as ClosedRange<UInt64> {
            try raw.send(.step(actions, wantsInfo: false), handle: handle, id: id)
        }
        for id in [13, 14] as [UInt64] {
            let response = try raw.response()
            guard case .error(let error) = response.message else { Issue.record("\(response.message)"); return }
            #expect(response.id == id && error.code == .limitExceeded)
        }
        gates.open(1)
        for id in [11, 12] as [UInt64] {
            let response = try raw.response()
            guard case .step = response.message else { Issue.record("\(response.message)"); return }
            #expect(response.id == id)
        }
    }

    @Test("L7, C4: connections") func connections() throws {
        let running = try RunningServer { $0.limits.maxConnections = 2 }
        let first = try running.connect()
        let second = try running.connect()
        let error = try #require(refusal { _ = try running.connect() })
        #expect(error.code == .tooManyConnections)
        #expect(error.isFatal)
        try first.ping()
        try second.ping()
        let raw = try RawConnection(path: running.path)
        let response = try raw.response()
        #expect(response.id == 0)
        #expect(try raw.isClosed())
    }

    @Test("F5, L2: frames, both ways") func frames() throws {
        let running = try RunningServer { $0.limits.maxFrameBytes = 8192 }
        let raw = try running.raw()
        try raw.send(body: [], length: 8193)
        #expect(try raw.error().code == .frameTooLarge)
        // What would not fit is refused when it is made.
        let connection = try running.connect()
        #expect(
            refusal { _ = try connection.make("test/Counting-v0", count: 300, transport: .socket) }?.code
                == .limitExceeded)
        let shared = try connection.make("test/Slow-v0", count: 1200, transport: .sharedMemory)
        #expect(refusal { try shared.reset() }?.code == .responseTooLarge)
        try connection.ping()
        // A client that takes little.
        let little = try running.raw(hello: false)
        var hello = Hello()
        hello.maxFrameBytes = 1
        _ = try little.ask(.hello(hello))
        let many = try little.make("test/Echo-v0", count: 1000) {
            $0.settings.options = ["space": .text("bytes")]
            $0.transport = .sharedMemory
        }
        // What is too large to send was not drawn.
        func sample(_ raw: RawConnection, _ handle: UInt32, seed: UInt64?) throws -> Response {
            try raw.ask(.sample(.action, seed: seed), handle: handle)
        }
        guard case .error(let error) = try sample(little, many, seed: 1) else { Issue.record("no error"); return }
        #expect(error.code == .responseTooLarge)
    }

    @Test("E1: an error that quotes too much is cut short") func longErrors() throws {
        let running = try RunningServer()
        let raw = try running.raw(hello: false)
        var hello = Hello()
        hello.maxFrameBytes = 4096
        _ = try raw.ask(.hello(hello))
        var parameters = MakeParameters(id: String(repeating: "x", count: 100_000), settings: .init())
        try raw.send(.make(parameters))
        #expect(try raw.error().code == .unknownEnvironment)
        parameters.id = "test/Counting-v0"
        parameters.settings.options = [String(repeating: "y", count: 100_000): .integer(1)]
        try raw.send(.make(parameters))
        #expect(try raw.error().code == .invalidOption)
    }

    @Test("C5, X2: token and user id") func admission() throws {
        let running = try RunningServer { $0.token = "open sesame" }
        for token in ["", "open sesamo", "open sesame!", "open"] {
            #expect(refusal { _ = try running.connect(token: token) }?.code == .unauthorized)
        }
        try running.connect(token: "open sesame").ping()
        let others = try RunningServer { $0.allowedUsers = [geteuid() + 1] }
        #expect(refusal { _ = try others.connect() }?.code == .unauthorized)
    }

    @Test("C7: idle connections are reaped, those at work are not") func reaping() throws {
        let gates = Gates()
        let running = try RunningServer(registry: gates.registry) { $0.limits.idleTimeoutSeconds = 2 }
        let working = try running.connect()
        let batch = try working.make("test/Gated-v0", transport: .sharedMemory)
        try batch.reset()
        batch.actions.elements(as: Int64.self)[0] = 1
        try batch.sendStep()
        let waiting = try running.raw()
        let handle = try waiting.make("test/Gated-v0")
        _ = try waiting.ask(.reset(ResetParameters()), handle: handle)
        let actions = BatchBuffer(space: .discrete(count: 4), count: 1)
        actions.elements(as: Int64.self)[0] = 1
        try waiting.send(.step(actions, wantsInfo: false), handle: handle)
        #expect(gates.waitForArrivals(2))
        // It says nothing for less long than they do.
        let idle = try running.raw()
        guard case .notice(.reaped(let seconds)) = try idle.next() else { Issue.record("no notice"); return }
        #expect(seconds >= 2)
        #expect(try idle.isClosed())
        gates.open(1)
        try batch.receiveStep()
        guard case .step = try waiting.response().message else { Issue.record("no step"); return }
    }
}
