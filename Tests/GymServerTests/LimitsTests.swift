import Foundation
import GymClient
import GymCore
import GymProtocol
import ServerTestSupport
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
        _ = try connection.make("test/Counting-v0", count: 10)
        #expect(running.server.status.environments == 10)
        let tight = try RunningServer { $0.limits.maxMemoryBytes = 1 << 20 }
        #expect(refusal { _ = try tight.connect().make("test/Counting-v0", count: 1000) }?.code == .limitExceeded)
    }

    @Test("L6: pending requests") func pending() throws {
        let running = try RunningServer { $0.limits.maxPendingRequests = 2 }
        let raw = try running.raw()
        let slow = try raw.make("test/Slow-v0")
        _ = try raw.make("test/Slow-v0")
        guard case .reset = try raw.ask(.reset(ResetParameters()), handle: slow) else {
            Issue.record("no reset"); return
        }
        let wait = BatchBuffer(space: .discrete(count: 5001), count: 1)
        wait.elements(as: Int64.self)[0] = 100
        for id in 11...14 as ClosedRange<UInt64> { try raw.send(.step(wait, wantsInfo: false), handle: slow, id: id) }
        var answered: [UInt64] = []
        var refused: [UInt64] = []
        for _ in 0..<4 {
            let response = try raw.response()
            if case .error(let error) = response.message {
                #expect(error.code == .limitExceeded)
                refused.append(response.id)
            } else {
                answered.append(response.id)
            }
        }
        #expect(answered == [11, 12])
        #expect(refused == [13, 14])
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
        #expect(refusal { _ = try connection.make("test/Counting-v0", count: 300) }?.code == .limitExceeded)
        let shared = try connection.make("test/Slow-v0", count: 1200, transport: .sharedMemory)
        #expect(refusal { try shared.reset() }?.code == .responseTooLarge)
        try connection.ping()
        // A client that takes little.
        let little = try running.raw(hello: false)
        var hello = Hello()
        hello.maxFrameBytes = 1
        _ = try little.ask(.hello(hello))
        guard case .error(let error) = try little.ask(.list) else { return }
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
        let running = try RunningServer { $0.limits.idleTimeoutSeconds = 1 }
        let idle = try running.raw()
        let working = try running.connect()
        let batch = try working.make("test/Slow-v0", transport: .sharedMemory)
        try batch.reset()
        batch.actions.elements(as: Int64.self)[0] = 2500
        let waiting = try running.raw()
        let slow = try waiting.make("test/Slow-v0")
        _ = try waiting.make("test/Slow-v0")
        _ = try waiting.ask(.reset(ResetParameters()), handle: slow)
        let wait = BatchBuffer(space: .discrete(count: 5001), count: 1)
        wait.elements(as: Int64.self)[0] = 2500
        try waiting.send(.step(wait, wantsInfo: false), handle: slow)
        try batch.step()
        guard case .notice(.reaped(let seconds)) = try idle.next() else { Issue.record("no notice"); return }
        #expect(seconds >= 1)
        #expect(try idle.isClosed())
        guard case .step = try waiting.response().message else { Issue.record("no step"); return }
        try working.ping()
    }
}
