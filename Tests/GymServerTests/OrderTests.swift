import Foundation
import GymClient
import GymCore
import GymProtocol
import ServerTestSupport
import TestSupport
import Testing

/// What goes on at the same time, and what does not.
@Suite(.serialized) struct OrderTests {
    private let gates = Gates()

    private func gated(_ connection: Connection, count: Int = 1, _ transport: Transport = .socket) throws
        -> RemoteVectorEnvironment
    {
        let batch = try connection.make("test/Gated-v0", count: count, transport: transport)
        try batch.reset()
        return batch
    }

    /// Makes a batch of one without the client library, and resets it.
    private func gated(_ raw: RawConnection, _ id: String = "test/Gated-v0") throws -> UInt32 {
        let handle = try raw.make(id)
        guard case .reset = try raw.ask(.reset(ResetParameters()), handle: handle) else {
            throw Unexpected(what: "no reset")
        }
        return handle
    }

    private func step(through gate: Int64) -> Request<BatchBuffer> {
        let actions = BatchBuffer(space: .discrete(count: 4), count: 1)
        actions.elements(as: Int64.self)[0] = gate
        return .step(actions, wantsInfo: false)
    }

    @Test("O4: steps of two handles are under way at the same time", arguments: Transport.allCases)
    func overlap(transport: Transport) throws {
        let running = try RunningServer(registry: gates.registry)
        let connection = try running.connect()
        let batches = try (0..<2).map { _ in try gated(connection, transport) }
        for batch in batches {
            batch.actions.elements(as: Int64.self)[0] = 1
            try batch.sendStep()
        }
        #expect(gates.waitForArrivals(2))
        gates.open(1)
        for batch in batches.reversed() { try batch.receiveStep() }
    }

    @Test("O2, O4: requests of a busy handle wait in order, and hold up nobody else") func pipelining() throws {
        let running = try RunningServer(registry: gates.registry)
        let raw = try running.raw()
        let slow = try gated(raw)
        let fast = try gated(raw, "test/Counting-v0")
        for id in 101...103 as ClosedRange<UInt64> { try raw.send(step(through: 1), handle: slow, id: id) }
        try raw.send(.getState(environments: [5]), handle: slow, id: 104)
        try raw.send(.step(BatchBuffer(space: .discrete(count: 2), count: 1), wantsInfo: false), handle: fast, id: 201)
        try raw.send(.ping, id: 202)
        // The slow handle stands before its gate: what comes now is the others'.
        #expect(try Set((0..<2).map { _ in try raw.response().id }) == [201, 202])
        gates.open(1)
        #expect(try (0..<4).map { _ in try raw.response().id } == [101, 102, 103, 104])
    }

    @Test("O4: a handle that has become slow does not hold up a ping, also when it is the only one")
    func pingBesideSlow() throws {
        let running = try RunningServer(registry: gates.registry)
        let raw = try running.raw()
        let handle = try gated(raw)
        // The server has learnt that its steps are quick; the next is not.
        for _ in 0..<100 { _ = try raw.ask(step(through: 0), handle: handle) }
        try raw.send(step(through: 1), handle: handle, id: 1001)
        try raw.send(.ping, id: 1002)
        #expect(try raw.response().id == 1002)
        gates.open(1)
        #expect(try raw.response().id == 1001)
        // Now it knows that they may not be.
        try raw.send(step(through: 2), handle: handle, id: 1003)
        try raw.send(step(through: 0), handle: handle, id: 1004)
        try raw.send(.ping, id: 1005)
        #expect(try raw.response().id == 1005)
        gates.open(2)
        #expect(try (0..<2).map { _ in try raw.response().id } == [1003, 1004])
    }

    @Test("X4, C10: a slow client's environments keep no others waiting") func slowNeighbour() throws {
        let running = try RunningServer(registry: gates.registry)
        let busy = try gated(try running.connect(), count: 16)
        busy.actions.elements(as: Int64.self).update(repeating: 1)
        try busy.send(environments: Array(0..<16))
        let other = try gated(try running.connect(), count: 2)
        try other.send(environments: [0, 1])
        #expect(try Set(other.receive(2)) == [0, 1])
        try other.step()
        gates.open(1)
        #expect(try Set(busy.receive(16)) == Set(0..<16))
    }

    @Test("M24, M25: send and receive, in the order in which they become ready") func sendAndReceive() throws {
        let running = try RunningServer(registry: gates.registry) { $0.threads = 3 }
        let batch = try gated(try running.connect(), count: 3)
        let (actions, observations) = (batch.actions.elements(as: Int64.self), batch.results.observation)
        for (row, gate) in [1, 0, 2].enumerated() { actions[row] = Int64(gate) }
        // It answers at once: nobody has opened a gate.
        try batch.send(environments: [0, 1, 2])
        #expect(throws: GymError.self) { try batch.step() }
        #expect(throws: GymError.self) { try batch.reset() }
        #expect(throws: GymError.self) { try batch.send(environments: [0]) }
        #expect(throws: GymError.self) { _ = try batch.receive(4) }
        #expect(try batch.receive(1) == [1])
        gates.open(2)
        #expect(try batch.receive(1) == [2])
        #expect(Array(observations.elements(as: Int64.self)) == [0, 1, 1])
        try batch.send(environments: [1])
        gates.open(1)
        #expect(try Set(batch.receive(2)) == [0, 1])
        #expect(Array(observations.elements(as: Int64.self)) == [1, 2, 1])
        try batch.step()
        #expect(Array(observations.elements(as: Int64.self)) == [2, 3, 2])
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
            let batch = try running.connect().make("test/Slow-v0", count: 6)
            try batch.reset()
            // Steps that take a millisecond, so that they are divided.
            batch.actions.elements(as: Int64.self).update(repeating: 1)
            for _ in 0..<4 { try batch.step() }
            return Array(batch.results.observation.elements(as: Int64.self))
                + Array(batch.results.rewards).map { Int64($0) }
        }
        let one = try play(threads: 1)
        #expect(try play(threads: 2) == one)
        #expect(try play(threads: 5) == one)
    }

    @Test("Threads step the rows of a batch at the same time") func threadsHelp() throws {
        let running = try RunningServer(registry: gates.registry) { $0.threads = 4 }
        let connection = try running.connect()
        let batch = try gated(connection, count: 8)
        let actions = batch.actions.elements(as: Int64.self)
        // A batch is divided once it has shown to take long: the server's own answers tell that this step has.
        actions[0] = 1
        try batch.sendStep()
        #expect(gates.waitForArrivals(1))
        for _ in 0..<200 { try connection.ping() }
        gates.open(1)
        try batch.receiveStep()
        actions.update(repeating: 2)
        try batch.sendStep()
        #expect(gates.waitForArrivals(1 + 4))
        gates.open(2)
        try batch.receiveStep()
        #expect(batch.results.observation.elements(as: Int64.self).allSatisfy { $0 == 2 })
    }
}
