import AllocationCounter
import GymCore
import GymEnvironments
import TestSupport
import Testing

/// What the recordings of toy text do not show: what is refused, and pictures.
@Suite struct ToyTextTests {
    // MARK: Maps

    @Test(arguments: [
        (["SFF", "FG"], "rows of 2 to 3 tiles"), (["", ""], "rows of 0 to 0"), (["SFX", "FFG"], "a tile 'X'"),
        (["FFF", "FFG"], "no start"), (["sffg"], "a tile 's'"),
    ])
    func badMapsAreRefused(rows: [String], reason: String) throws {
        let error = try #require(throws: OptionError.self) {
            try GymEnvironments.registry.make(
                "FrozenLake-v1", .init(options: ["desc": .list(rows.map(OptionValue.text))]))
        }
        #expect(error.option == "desc")
        #expect(error.description.contains(reason), "\(error)")
    }

    @Test(arguments: [
        ("desc", OptionValue.text("SFFG")), ("desc", .list([.integer(1)])),
        ("desc", .list([.text(String(repeating: "S", count: 513))])), ("reward_schedule", .list([.real(1), .real(0)])),
        ("reward_schedule", .list([.real(1), .real(0), .text("0")])),
        ("reward_schedule", .list([.real(1), .real(0), .real(.nan)])), ("success_rate", .real(1.1)),
        ("map_name", .text("5x5")), ("map_seed", .integer(-1)),
    ])
    func valuesOutOfRangeAreRefused(option: String, value: OptionValue) throws {
        let error = try #require(throws: OptionError.self) {
            try GymEnvironments.registry.make("FrozenLake-v1", .init(options: [option: value]))
        }
        #expect(error.option == option)
        #expect(error.description.contains("it has to be"))
    }

    /// A search for a map that does not exist comes to an end.
    @Test func aMapWithoutAWayIsGivenUp() throws {
        let options: [String: OptionValue] = [
            "map_name": .text("random"), "map_size": .integer(6), "map_p": .real(0),
        ]
        let error = try #require(throws: OptionError.self) {
            try GymEnvironments.registry.make("FrozenLake-v1", .init(options: options))
        }
        #expect(error.option == "map_p")
    }

    // MARK: Saved states

    /// States with bytes that were changed are refused, or lead to an environment that can be stepped and drawn.
    @Test(arguments: ["FrozenLake-v1", "CliffWalking-v1", "Taxi-v4", "Blackjack-v1"])
    func damagedStatesAreRefusedOrSound(id: String) throws {
        let environment = try SingleEnvironment(id, options: [:])
        try environment.reset(seed: 3)
        try environment.step(1)
        let state = try environment.batch.saveState(row: 0)
        // What the environment itself wrote is behind generator, limit and return, and differs from case to case.
        var generator = NumPyGenerator(seed: 1)
        var refused = 0
        for _ in 0..<600 {
            var damaged = state
            for _ in 0..<generator.integer(in: 1..<3) {
                let index = state.count - 1 - generator.integer(in: 0..<min(13, state.count))
                damaged[index] = UInt8(generator.integer(in: 0..<256))
            }
            do {
                try environment.batch.restoreState(damaged, row: 0)
            } catch is StateError {
                refused += 1
                continue
            }
            for _ in 0..<20 {
                if !environment.batch.rowsNeedingReset(in: 0..<1).isEmpty { try environment.reset(seed: nil) }
                try environment.step(generator.integer(in: 0..<2))
            }
            for mode in environment.batch.spec.renderModes { _ = try environment.batch.render(row: 0, mode: mode) }
        }
        #expect(refused > 300)
    }

    /// Neither a step nor the start of an episode allocates memory.
    @Test(
        .enabled(if: allocations_are_counted(), "the allocator is not ours to count"),
        arguments: ["FrozenLake-v1", "CliffWalking-v1", "Taxi-v4", "Blackjack-v1"])
    func aStepAllocatesNothing(id: String) throws {
        let batch = try GymEnvironments.registry.make(
            id, .init(count: 8, autoreset: .sameStep, timeLimit: .steps(10)))
        let buffers = StepBuffers(observationSpace: batch.observationSpace, count: 8)
        let actions = BatchBuffer(space: batch.actionSpace, count: 8)
        _ = try batch.reset(rows: Array(0..<8), seeds: [], options: [:], wantsInfo: false, into: buffers)
        var sampler = SpaceSampler(batch.actionSpace, seed: 2)
        var ends = 0
        for _ in 0..<200 {
            for row in 0..<8 { actions.store(sampler.sample(), of: batch.actionSpace, row: row) }
            let before = allocations_of_this_thread()
            _ = batch.step(rows: 0..<8, actions: actions, wantsInfo: false, into: buffers)
            #expect(allocations_of_this_thread() == before)
            ends += (0..<8).count { buffers.terminated[$0] + buffers.truncated[$0] > 0 }
        }
        #expect(ends >= 160)
    }

    // MARK: Pictures

    private struct Pixels: Equatable {
        let width: Int
        let height: Int
        let bytes: [UInt8]

        init(of environment: SingleEnvironment) throws {
            guard case .image(let image) = try environment.batch.render(row: 0, mode: "rgb_array") else {
                throw StateError("there is no picture")
            }
            (height, width, bytes) = (image.shape[0], image.shape[1], image.bytes)
        }

        /// The tiles, row · columns + column, in which two pictures differ.
        func tiles(otherThanIn other: Pixels, cell: (width: Int, height: Int), left: Int = 0, top: Int = 0) -> Set<Int>
        {
            let columns = (width - left) / cell.width
            var tiles: Set<Int> = []
            for index in bytes.indices where bytes[index] != other.bytes[index] {
                let (y, x) = (index / 3).quotientAndRemainder(dividingBy: width)
                tiles.insert((y - top) / cell.height * columns + (x - left) / cell.width)
            }
            return tiles
        }
    }

    /// As large as Gymnasium's.
    @Test func picturesHaveGymnasiumsSizes() throws {
        func size(_ id: String, _ options: [String: OptionValue] = [:]) throws -> [Int] {
            let environment = try SingleEnvironment(id, options: options)
            try environment.reset(seed: 1)
            let pixels = try Pixels(of: environment)
            return [pixels.width, pixels.height]
        }
        #expect(try size("FrozenLake-v1") == [256, 256])
        #expect(try size("FrozenLake8x8-v1") == [512, 512])
        #expect(try size("FrozenLake-v1", ["desc": .list([.text("SFFFFFFFFFFFFFFFFFFG")])]) == [512, 64])
        #expect(try size("CliffWalking-v1") == [768, 256])
        #expect(try size("Taxi-v4") == [536, 456])
        #expect(try size("Blackjack-v1") == [384, 376])
    }

    /// A step changes the tile that was left and the one that was reached, and nothing else.
    @Test func theFigureIsWhereTheObservationSays() throws {
        let cases: [(id: String, options: [String: OptionValue], actions: [Int])] = [
            ("FrozenLake-v1", ["is_slippery": .bool(false)], [2, 2, 1, 1, 0, 1]),
            ("CliffWalking-v1", [:], [0, 1, 1, 0, 3]),
        ]
        for (id, options, actions) in cases {
            let environment = try SingleEnvironment(id, options: options)
            try environment.reset(seed: 1)
            var before = (place: environment.observation[0], pixels: try Pixels(of: environment))
            for action in actions {
                try environment.step(action)
                let after = (place: environment.observation[0], pixels: try Pixels(of: environment))
                let changed = after.pixels.tiles(otherThanIn: before.pixels, cell: (64, 64))
                #expect(changed == [before.place, after.place], "\(id), action \(action)")
                before = after
            }
        }
    }

    /// A hole swallows the figure, as in Gymnasium.
    @Test func nobodyIsSeenInAHole() throws {
        let environment = try SingleEnvironment("FrozenLake-v1", options: ["is_slippery": .bool(false)])
        try environment.reset(seed: 1)
        let start = try Pixels(of: environment)
        try environment.step(2)
        try environment.step(1)
        #expect(environment.terminated)
        #expect(try Pixels(of: environment).tiles(otherThanIn: start, cell: (64, 64)) == [0])
    }

    @Test func theTaxiIsSeenAndItsPassengerLeavesTheStop() throws {
        let environment = try SingleEnvironment("Taxi-v4", options: [:])
        // The passenger waits at the red stop, where the taxi is, two rows and no wall away from its start.
        var seed: UInt64 = 0
        func place() -> (taxi: Int, passenger: Int) {
            (environment.observation[0] / 20, environment.observation[0] / 4 % 5)
        }
        repeat {
            try environment.reset(seed: seed)
            seed += 1
        } while place().taxi != 10 || place().passenger != 0
        var before = try Pixels(of: environment)
        func changes() throws -> Set<Int> {
            let after = try Pixels(of: environment)
            defer { before = after }
            return after.tiles(otherThanIn: before, cell: (88, 56), left: 48, top: 128)
        }
        try environment.step(1)
        #expect(try changes() == [10, 5])
        try environment.step(1)
        #expect(try changes() == [5, 0])
        try environment.step(4)
        #expect(environment.reward == -1)
        #expect(try changes() == [0])
    }
}
