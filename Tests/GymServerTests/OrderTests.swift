import Foundation
import GymClient
import GymCore
import GymProtocol
import ServerTestSupport
import Testing

/// What goes on at the same time, and what does not.
@Suite(.serialized) struct OrderTests {
    private func slow(_ connection: Connection, milliseconds: Int64, count: Int = 1, _ transport: Transport = .socket)
        throws -> RemoteVectorEnvironment
    {
        let batch = try connection.make("test/Slow-v0", count: count, transport: transport)
        try batch.reset()
        batch.actions.elements(as: Int64.self).update(repeating: milliseconds)
        return batch
    }

    private func seconds(_ body: () throws -> Void) rethrows -> Double {
        let start = Date()
        try body()
        return -start.timeIntervalSinceNow
    }

    @Test("O4: two slow handles take the time of one", arguments: Transport.allCases)
    func overlap(transport: Transport) throws {
        let running = try RunningServer()
        let connection = try running.connect()
        let batches = try (0..<2).map { _ in try slow(connection, milliseconds: 500, transport) }
        let taken = try seconds {
            for batch in batches { try batch.sendStep() }
            for batch in batches.reversed() { try batch.receiveStep() }
        }
        #expect(taken >= 0.5 && taken < 0.95, "\(taken) s")
    }

    @Test("O2, O4: requests of a busy handle wait in order, and hold up nobody else") func pipelining() throws {
        let running = try RunningServer()
        let raw = try running.raw()
        let slow = try raw.make("test/Slow-v0")
        let fast = try raw.make("test/Counting-v0")
        for handle in [slow, fast] {
            guard case .reset = try raw.ask(.reset(ResetParameters()), handle: handle) else {
                Issue.record("no reset"); return
            }
        }
        let wait = BatchBuffer(space: .discrete(count: 5001), count: 1)
        wait.elements(as: Int64.self)[0] = 100
        for id in 101...103 as ClosedRange<UInt64> { try raw.send(.step(wait, wantsInfo: false), handle: slow, id: id) }
        try raw.send(.getState(environments: [5]), handle: slow, id: 104)
        try raw.send(.step(BatchBuffer(space: .discrete(count: 2), count: 1), wantsInfo: false), handle: fast, id: 201)
        try raw.send(.ping, id: 202)
        let order = try (0..<6).map { _ in try raw.response().id }
        #expect(order.filter { $0 < 200 } == [101, 102, 103, 104])
        #expect(Set(order.prefix(2)) == [201, 202], "the slow handle held the others up: \(order)")
    }

    @Test("O4: a handle that is slow does not hold up a ping, also when it is the only one") func pingBesideSlow()
        throws
    {
        let running = try RunningServer()
        let raw = try running.raw()
        let slow = try raw.make("test/Slow-v0")
        guard case .reset = try raw.ask(.reset(ResetParameters()), handle: slow) else {
            Issue.record("no reset"); return
        }
        let wait = BatchBuffer(space: .discrete(count: 5001), count: 1)
        wait.elements(as: Int64.self)[0] = 100
        guard case .step = try raw.ask(.step(wait, wantsInfo: false), handle: slow) else {
            Issue.record("no step"); return
        }
        // The server has learnt that its steps take long.
        try raw.send(.step(wait, wantsInfo: false), handle: slow, id: 1001)
        try raw.send(.ping, id: 1002)
        #expect(try raw.response().id == 1002)
        #expect(try raw.response().id == 1001)
    }

    @Test("X4, C10: a slow client's environments take no time from others'") func slowNeighbour() throws {
        let running = try RunningServer()
        let busy = try running.connect()
        let batch = try slow(busy, milliseconds: 400, count: 16)
        try batch.send(environments: Array(0..<16))
        let taken = try seconds {
            let other = try slow(try running.connect(), milliseconds: 20, count: 2)
            try other.send(environments: [0, 1])
            _ = try other.receive(2)
        }
        #expect(taken < 1.5, "\(taken) s")
    }

    @Test("M24, M25: send and receive, in the order in which they become ready") func sendAndReceive() throws {
        let running = try RunningServer { $0.threads = 3 }
        let connection = try running.connect()
        let batch = try slow(connection, milliseconds: 0, count: 3)
        batch.actions.elements(as: Int64.self)[0] = 800
        batch.actions.elements(as: Int64.self)[1] = 10
        batch.actions.elements(as: Int64.self)[2] = 300
        let sending = try seconds { try batch.send(environments: [0, 1, 2]) }
        #expect(sending < 0.25)
        #expect(throws: GymError.self) { try batch.step() }
        #expect(throws: GymError.self) { try batch.reset() }
        #expect(throws: GymError.self) { try batch.send(environments: [0]) }
        #expect(throws: GymError.self) { _ = try batch.receive(4) }
        #expect(try batch.receive(2) == [1, 2])
        #expect(Array(batch.results.observation.elements(as: Int64.self)) == [0, 1, 1])
        batch.actions.elements(as: Int64.self)[1] = 0
        try batch.send(environments: [1])
        #expect(try Set(batch.receive(2)) == [0, 1])
        #expect(Array(batch.results.observation.elements(as: Int64.self)) == [1, 2, 1])
        try batch.step()
        #expect(Array(batch.results.observation.elements(as: Int64.self)) == [2, 3, 2])
        // What is pending goes with a close.
        try batch.send(environments: [0, 1, 2])
        try batch.close()
    }

    @Test("M24: environments with ragged spaces, too") func sendRagged() throws {
        let running = try RunningServer()
        let batch = try running.connect().make("test/Echo-v0", count: 3, options: ["space": .text("text")])
        try batch.reset(seeds: [1])
        batch.actions[raggedLeaf: 0] = [.text("a"), .text("b"), .text("ß")]
        try batch.send(environments: [2, 0])
        #expect(try batch.receive(1) == [2])
        #expect(batch.results.observation[raggedLeaf: 0][2] == .text("ß"))
        #expect(try batch.receive(1) == [0])
        #expect(batch.results.observation[raggedLeaf: 0][0] == .text("a"))
    }

    @Test("H7: results do not depend on the number of threads") func threads() throws {
        func play(threads: Int) throws -> [Int64] {
            let running = try RunningServer { $0.threads = threads }
            // Steps that take time, so that they are divided.
            let batch = try slow(try running.connect(), milliseconds: 1, count: 6)
            for _ in 0..<4 { try batch.step() }
            return Array(batch.results.observation.elements(as: Int64.self))
                + Array(batch.results.rewards).map { Int64($0) }
        }
        let one = try play(threads: 1)
        #expect(try play(threads: 2) == one)
        #expect(try play(threads: 5) == one)
    }

    @Test("Threads make large batches faster") func threadsHelp() throws {
        let running = try RunningServer { $0.threads = 4 }
        let batch = try slow(try running.connect(), milliseconds: 10, count: 8)
        try batch.step()
        let taken = try seconds { try batch.step() }
        #expect(taken < 0.06, "eight steps of 10 ms on four threads took \(taken) s")
    }
}
