import Foundation
import GymClient
import GymCore
import GymProtocol
import GymServer
import ServerTestSupport
import TestSupport
import Testing

/// Every message over both transports, through the client library.
@Suite struct MessagesTests {
    private let running: RunningServer
    private let connection: Connection

    init() throws {
        running = try RunningServer { $0.allowsShutdown = true }
        connection = try running.connect()
    }

    @Test("M1 to M4: hello, ping, status, list") func connectionMessages() throws {
        #expect(connection.server.serverName == "swift-gym")
        #expect(connection.server.capabilities == Server.capabilities)
        var limits = connection.server.limits
        #expect(limits.maxThreads > limits.maxConnections && limits.maxServerMemoryBytes > 0)
        (limits.maxThreads, limits.maxServerMemoryBytes) = (0, 0)
        #expect(limits == Limits())
        try connection.ping()
        let environments = try connection.environments()
        #expect(environments.map(\.id) == TestEnvironments.registry.specs.map(\.id))
        let counting = try #require(environments.first { $0.id == "test/Counting-v0" })
        #expect(counting.options.map(\.name) == ["limit"])
        #expect(counting.options[0].defaultValue == .integer(2))
        #expect(counting.resetOptions.map(\.name) == ["start"])
        #expect(counting.isRestorable)
        #expect(counting.autoresetModes == AutoresetMode.allCases)
        let made = try connection.make("test/Counting-v0", count: 3)
        try made.reset()
        try made.step()
        let status = try connection.status()
        #expect(status.connections == 1)
        #expect(status.environments == 3)
        #expect(status.steps == 3)
        #expect(status.bytesReceived > 0 && status.bytesSent > 0)
        try made.close()
        #expect(try connection.status().environments == 0)
    }

    @Test("M33, C8: shutdown, when it is allowed") func shutdown() throws {
        try connection.shutdown()
        #expect(running.end())
        #expect(throws: GymError.self) { try connection.ping() }
    }

    @Test("T2 to T4: every kind of space echoes", arguments: EchoEnvironment.spaces.keys.sorted())
    func spaces(name: String) throws {
        let space = EchoEnvironment.spaces[name]!
        for transport in space.tensorLayouts == nil ? [Transport.socket] : Transport.allCases {
            let echo = try connection.make(
                "test/Echo-v0", count: 3, options: ["space": .text(name)], transport: transport)
            #expect(echo.observationSpace == space)
            try echo.reset(seeds: [3])
            for round in 0..<5 {
                let sample = try echo.sample(.action, seed: UInt64(round))
                #expect(try echo.contains(.action, sample) == [true, true, true])
                var expected: [[Value]] = []
                for row in 0..<3 {
                    echo.actions.copyRow(row, from: sample, row: row)
                    expected.append(space.leaves.indices.map { sample.value(row: row, leaf: $0) })
                }
                try echo.step()
                for row in 0..<3 {
                    #expect(
                        space.leaves.indices.map { echo.results.observation.value(row: row, leaf: $0) } == expected[row]
                    )
                }
            }
        }
    }

    @Test("M30, M31: samples begin anew with a seed; contains tells what is outside") func samplesAndContains() throws {
        let echo = try connection.make("test/Echo-v0", count: 4)
        func values(_ batch: BatchBuffer) -> [Float] { Array(batch.elements(as: Float.self)) }
        let first = values(try echo.sample(.action, seed: 5))
        let second = values(try echo.sample(.action))
        #expect(first != second)
        #expect(values(try echo.sample(.action, seed: 5)) == first)
        #expect(values(try echo.sample(.action)) == second)
        let members = try echo.sample(.observation, seed: 1)
        members.elements(as: Float.self)[3] = 2
        members.elements(as: Float.self)[8] = .nan
        #expect(try echo.contains(.observation, members) == [true, false, false, true])
    }

    @Test("A4 to A7: autoreset modes", arguments: Transport.allCases, AutoresetMode.allCases)
    func autoreset(transport: Transport, mode: AutoresetMode) throws {
        let batch = try connection.make("test/Counting-v0", count: 2, autoreset: mode, transport: transport)
        try batch.reset(seeds: [1], options: ["start": .integer(0)])
        batch.actions.elements(as: Int64.self).update(repeating: 1)
        func counts(_ batch: BatchBuffer) -> [Int64] {
            [batch.elements(as: Int64.self)[0], batch.elements(as: Int64.self)[2]]
        }
        try batch.step()
        #expect(counts(batch.results.observation) == [1, 1])
        #expect(Array(batch.results.rewards) == [1.5, 1.5])
        #expect(Array(batch.results.terminated) == [0, 0])
        let drawn = batch.results.observation.elements(as: Int64.self)[1]
        try batch.step()
        #expect(Array(batch.results.terminated) == [1, 1])
        #expect(Array(batch.results.truncated) == [0, 0])
        #expect(Array(batch.results.episodeReturns) == [3, 3])
        #expect(Array(batch.results.episodeLengths) == [2, 2])
        switch mode {
        case .nextStep:
            #expect(counts(batch.results.observation) == [2, 2])
            try batch.step()
            #expect(counts(batch.results.observation) == [0, 0])
            #expect(Array(batch.results.rewards) == [0, 0])
            #expect(Array(batch.results.terminated) == [0, 0])
            try batch.step()
            #expect(counts(batch.results.observation) == [1, 1])
        case .sameStep:
            #expect(counts(batch.results.observation) == [0, 0])
            #expect(counts(batch.results.finalObservation) == [2, 2])
            #expect(batch.results.finalObservation.elements(as: Int64.self)[1] == drawn)
            try batch.step()
            #expect(counts(batch.results.observation) == [1, 1])
            #expect(Array(batch.results.terminated) == [0, 0])
        case .disabled:
            #expect(counts(batch.results.observation) == [2, 2])
            let error = #expect(throws: GymError.self) { try batch.step() }
            guard case .refused(let refusal)? = error else { Issue.record("\(String(describing: error))"); return }
            #expect(refusal.code == .needsReset)
            #expect(refusal.details.map(\.environmentIndex) == [0, 1])
            try batch.reset(mask: [true, false])
            #expect(counts(batch.results.observation) == [0, 2])
            #expect(throws: GymError.self) { try batch.step() }
            try batch.reset(mask: [false, true])
            try batch.step()
            #expect(counts(batch.results.observation) == [1, 1])
        }
    }

    @Test("M13 to M18: seeds, masks, options", arguments: Transport.allCases)
    func resets(transport: Transport) throws {
        let batch = try connection.make("test/Counting-v0", count: 3, transport: transport)
        func drawn() -> [Int64] { (0..<3).map { batch.results.observation.elements(as: Int64.self)[2 * $0 + 1] } }
        func counts() -> [Int64] { (0..<3).map { batch.results.observation.elements(as: Int64.self)[2 * $0] } }
        #expect(try batch.reset(seeds: [0]) == [0, 1, 2])
        let first = drawn()
        #expect(try batch.reset() == [0, 1, 2])
        let second = drawn()
        #expect(first != second)
        #expect(try batch.reset(seeds: [0, 1, 2]) == [0, 1, 2])
        #expect(drawn() == first)
        #expect(try batch.reset(seeds: [nil, 0, nil]) == [0, 0, 2])
        #expect(drawn() == [second[0], first[0], second[2]])
        try batch.step()
        #expect(counts() == [1, 1, 1])
        #expect(
            try batch.reset(seeds: [UInt64.max], mask: [false, true, false], options: ["start": .integer(7)]) == [
                0, 0, 2,
            ])
        #expect(counts() == [1, 7, 1])
        try batch.reset(mask: [true, false, false], options: ["start": .integer(5)])
        #expect(counts() == [5, 7, 1])
    }

    @Test("H7, S9: bit for bit the same in process, over the socket and through shared memory")
    func sameBits() throws {
        let settings = VectorEnvironmentSettings(count: 5, options: ["limit": .integer(3)], autoreset: .sameStep)
        let local = try TestEnvironments.registry.make("test/Counting-v0", settings)
        let buffers = StepBuffers(observationSpace: local.observationSpace, count: 5)
        let actions = BatchBuffer(space: local.actionSpace, count: 5)
        _ = try local.reset(
            rows: Array(0..<5), seeds: [9, 10, 11, 12, 13], options: [:], wantsInfo: false, into: buffers)
        let remotes = try Transport.allCases.map { transport in
            let remote = try connection.make(
                "test/Counting-v0", count: 5, options: ["limit": .integer(3)], autoreset: .sameStep,
                transport: transport)
            try remote.reset(seeds: [9])
            return remote
        }
        for remote in remotes { #expect(bytes(remote.results.observation) == bytes(buffers.observation)) }
        var sampler = SpaceSampler(local.actionSpace, seed: 4)
        for _ in 0..<50 {
            for row in 0..<5 { actions.store(sampler.sample(), of: local.actionSpace, row: row) }
            _ = local.step(rows: 0..<5, actions: actions, wantsInfo: false, into: buffers)
            for remote in remotes {
                for row in 0..<5 { remote.actions.copyRow(row, from: actions, row: row) }
                try remote.step()
                #expect(bytes(remote.results.observation) == bytes(buffers.observation))
                #expect(Array(remote.results.rewards) == Array(buffers.rewards))
                #expect(Array(remote.results.terminated) == Array(buffers.terminated))
                #expect(Array(remote.results.truncated) == Array(buffers.truncated))
                for row in 0..<5 where buffers.terminated[row] == 1 {
                    #expect(remote.results.episodeReturns[row] == buffers.episodeReturns[row])
                    #expect(remote.results.episodeLengths[row] == buffers.episodeLengths[row])
                    #expect(
                        remote.results.finalObservation.value(row: row, leaf: 0)
                            == buffers.finalObservation.value(row: row, leaf: 0))
                }
            }
        }
    }

    @Test("S8: results of a step stay until the step after the next, and a reset leaves them alone")
    func doubleBuffering() throws {
        let batch = try connection.make("test/Counting-v0", options: ["limit": .integer(100)], transport: .sharedMemory)
        try batch.reset(seeds: [1])
        try batch.step()
        let first = batch.results
        #expect(first.observation.elements(as: Int64.self)[0] == 1)
        try batch.step()
        #expect(first.observation.elements(as: Int64.self)[0] == 1)
        let second = batch.results
        try batch.reset()
        #expect(first.observation.elements(as: Int64.self)[0] == 1)
        #expect(second.observation.elements(as: Int64.self)[0] == 2)
        #expect(batch.results.observation.elements(as: Int64.self)[0] == 0)
        try batch.step()
        #expect(first.observation.elements(as: Int64.self)[0] == 1)
    }

    @Test("M9, A2: time limits", arguments: Transport.allCases) func timeLimit(transport: Transport) throws {
        let batch = try connection.make(
            "test/Counting-v0", options: ["limit": .integer(1000)], timeLimit: .steps(3), transport: transport)
        #expect(batch.maxEpisodeSteps == 3)
        try batch.reset()
        for step in 1...3 {
            try batch.step()
            #expect(batch.results.truncated[0] == (step == 3 ? 1 : 0))
            #expect(batch.results.terminated[0] == 0)
        }
        #expect(batch.results.episodeLengths[0] == 3)
    }

    @Test("M23: info, and final info", arguments: Transport.allCases) func info(transport: Transport) throws {
        let batch = try connection.make("test/Counting-v0", count: 2, autoreset: .sameStep, transport: transport)
        try batch.reset(mask: [true, true], wantsInfo: true)
        #expect(
            batch.info == [
                InfoColumn(
                    name: "count", values: [.tensor(Tensor(scalar: Int64(0))), .tensor(Tensor(scalar: Int64(0)))])
            ])
        try batch.step()
        #expect(batch.info.isEmpty)
        try batch.step(wantsInfo: true)
        #expect(
            batch.finalInfo == [
                InfoColumn(
                    name: "count", values: [.tensor(Tensor(scalar: Int64(2))), .tensor(Tensor(scalar: Int64(2)))])
            ])
        try batch.reset(mask: [false, true], wantsInfo: true)
        #expect(batch.info == [InfoColumn(name: "count", values: [nil, .tensor(Tensor(scalar: Int64(0)))])])
    }

    @Test("M26: pictures", arguments: Transport.allCases) func render(transport: Transport) throws {
        let pictures = try connection.make("test/Counting-v0", count: 2, transport: transport, renderMode: "rgb_array")
        #expect(throws: GymError.self) { try pictures.render() }
        try pictures.reset()
        try pictures.step()
        #expect(
            try pictures.render(environments: [1, 0])
                == [Rendering](repeating: .image(Tensor([UInt8](repeating: 1, count: 6), shape: [1, 2, 3])), count: 2))
        let texts = try connection.make("test/Counting-v0", transport: transport, renderMode: "ansi")
        try texts.reset()
        #expect(try texts.render() == [.text("0")])
    }

    @Test("M27 to M29: states", arguments: Transport.allCases) func states(transport: Transport) throws {
        let batch = try connection.make(
            "test/Counting-v0", count: 2, options: ["limit": .integer(4)], transport: transport)
        try batch.reset(seeds: [3])
        try batch.step()
        let states = try batch.states()
        func play() throws -> [[UInt8]] {
            try (0..<12).map { _ in
                try batch.step()
                return bytes(batch.results.observation) + batch.results.terminated
            }
        }
        let expected = try play()
        try batch.restore(states)
        #expect(try play() == expected)
        // In another row of another batch.
        let other = try connection.make("test/Counting-v0", options: ["limit": .integer(4)])
        try other.restore([states[1]])
        try batch.restore(states)
        for _ in 0..<12 {
            try batch.step()
            try other.step()
            #expect(
                other.results.observation.value(row: 0, leaf: 0) == batch.results.observation.value(row: 1, leaf: 0))
        }
        // All or none.
        let before = try batch.states()
        #expect(throws: GymError.self) { try batch.restore([states[0], [1, 2, 3]]) }
        #expect(try batch.states() == before)
        #expect(throws: GymError.self) { try connection.make("test/Slow-v0").states() }
    }

    @Test("A9, A10: a fault stays in its row", arguments: Transport.allCases) func faults(transport: Transport) throws {
        let settings = VectorEnvironmentSettings(count: 3, checksObservations: true)
        var parameters = MakeParameters(id: "test/Faulty-v0", settings: settings)
        parameters.transport = transport
        let batch = try connection.make(parameters)
        try batch.reset()
        for action in [1, 2] as [Int64] {
            try batch.step()
            let before = batch.results.observation.elements(as: Float.self)[0]
            batch.actions.elements(as: Int64.self)[1] = action
            let error = #expect(throws: GymError.self) { try batch.step() }
            guard case .environmentFaults(let faults)? = error else {
                Issue.record("\(String(describing: error))"); return
            }
            #expect(faults.map(\.index) == [1])
            #expect(faults[0].message.contains(action == 1 ? "it broke" : "left its space"))
            #expect(Array(batch.results.observation.elements(as: Float.self)) == [before + 1, 0, before + 1])
            #expect(Array(batch.results.truncated) == [0, 1, 0])
            #expect(Array(batch.results.terminated) == [0, 0, 0])
            batch.actions.elements(as: Int64.self)[1] = 0
            try batch.step()
            #expect(Array(batch.results.observation.elements(as: Float.self)) == [before + 2, 0, before + 2])
            #expect(Array(batch.results.truncated) == [0, 0, 0])
        }
        #expect(throws: GymError.self) { try batch.reset(options: ["fail": .bool(true)]) }
        try batch.reset()
        try batch.step()
    }

    @Test("M20: finite actions out of bounds pass when asked for") func outOfBounds() throws {
        var parameters = MakeParameters(id: "test/Echo-v0", settings: .init())
        parameters.passesOutOfBounds = true
        let batch = try connection.make(parameters)
        try batch.reset()
        batch.actions.elements(as: Float.self)[0] = 7
        try batch.step()
        #expect(batch.results.observation.elements(as: Float.self)[0] == 7)
        batch.actions.elements(as: Float.self)[0] = .infinity
        #expect(throws: GymError.self) { try batch.step() }
    }

    private func bytes(_ batch: BatchBuffer) -> [UInt8] {
        batch.leaves.indices.flatMap { Array(batch.bytes(ofLeaf: $0)) }
    }
}
