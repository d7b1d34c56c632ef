import GymCore
import GymEnvironments
import Raster
import Testing

/// One Pong environment and what it is stepped through.
final class PongPlayer {
    let batch: any VectorEnvironment
    let buffers: StepBuffers
    let actions: BatchBuffer

    init(_ options: [String: OptionValue], id: String = "Pong-v1", seed: UInt64 = 7) throws {
        batch = try GymEnvironments.registry.make(
            id, .init(options: options, autoreset: .disabled, checksObservations: true))
        buffers = StepBuffers(observationSpace: batch.observationSpace, count: 1)
        actions = BatchBuffer(space: batch.actionSpace, count: 1)
        try reset(seed: seed)
    }

    func reset(seed: UInt64?) throws {
        let report = try batch.reset(rows: [0], seeds: [seed], options: [:], wantsInfo: true, into: buffers)
        #expect(report.faults.isEmpty)
    }

    /// Steps, and starts again where an episode ended.
    func step(_ action: Int) throws {
        actions.elements(as: Int64.self)[0] = Int64(action)
        #expect(batch.step(rows: 0..<1, actions: actions, wantsInfo: true, into: buffers).isEmpty)
    }

    var hasEnded: Bool { buffers.terminated[0] == 1 || buffers.truncated[0] == 1 }
    var bytes: [UInt8] { Array(buffers.observation.bytes(ofLeaf: 0)) }
    var signed: [Int8] { Array(buffers.observation.elements(as: Int8.self)) }
    var state: [Float] { Array(buffers.observation.elements(as: Float.self)) }

    func info(_ name: String) -> Int {
        guard case .tensor(let tensor)? = buffers.infos[0].first(where: { $0.name == name })?.value else { return -1 }
        return Int(tensor.double(at: 0))
    }
}

/// Actions that hold for some steps each.
func heldActions(_ count: Int, hold: Int = 5, seed: UInt64 = 3) -> [Int] {
    var generator = NumPyGenerator(seed: seed)
    var actions: [Int] = []
    while actions.count < count {
        actions += [Int](repeating: generator.integer(in: 0..<6), count: hold)
    }
    return Array(actions.prefix(count))
}

@Suite struct PongTests {
    static let everyFrame: [String: OptionValue] = [
        "frameskip": .integer(1), "repeat_action_probability": .integer(0),
    ]

    static func options(_ observation: String, _ more: [String: OptionValue] = [:]) -> [String: OptionValue] {
        ["obs_type": .text(observation)].merging(more) { $1 }
    }

    @Test func spacesAreThoseOfTheOptions() throws {
        func space(_ observation: String) throws -> String {
            try PongPlayer(PongTests.options(observation)).batch.observationSpace.description
        }
        #expect(try space("rgb") == "Box(0, 255, (210, 160, 3), uint8)")
        #expect(try space("grayscale") == "Box(0, 255, (210, 160), uint8)")
        #expect(try space("stack") == "Box(0, 255, (84, 84, 4), uint8)")
        #expect(try space("difference") == "Box(-1, 1, (80, 80), int8)")
        #expect(
            try PongPlayer([:], id: "PongDifference-v1").batch.observationSpace.description
                == "Box(-1, 1, (80, 80), int8)")
        #expect(throws: OptionError.self) { try PongPlayer(["difficulty": .integer(4)]) }
        #expect(throws: OptionError.self) { try PongPlayer(["obs_type": .text("ram")]) }
    }

    @Test func theScreenShowsFieldPaddlesBallAndScore() throws {
        let player = try PongPlayer(PongTests.options("rgb", PongTests.everyFrame))
        for _ in 0..<100 { try player.step(0) }
        let picture = Picture(width: 160, height: 210, bytes: player.bytes)
        #expect(picture[80, 100] == Color(144, 72, 17))
        #expect(picture[80, 30] == Color(236, 236, 236))
        #expect(picture[80, 200] == Color(236, 236, 236))
        #expect(picture[141, 100] == Color(92, 186, 92))
        // "0" in the opponent's color: its ring, not its inside.
        #expect(picture[36, 1] == Color(213, 130, 74))
        #expect(picture[42, 10] == Color(144, 72, 17))
        // Two by four pixels of ball, where the state says.
        let state = try PongPlayer(PongTests.options("state", PongTests.everyFrame))
        for _ in 0..<100 { try state.step(0) }
        let (x, y) = (Int(state.state[0]), Int(state.state[1]))
        for row in y - 1...y + 4 {
            for column in x - 1...x + 2 {
                let inside = (y..<y + 4).contains(row) && (x..<x + 2).contains(column)
                #expect(picture[column, row] == (inside ? Color(236, 236, 236) : Color(144, 72, 17)))
            }
        }
    }

    @Test func renderingShowsTheScreen() throws {
        let player = try PongPlayer(PongTests.options("rgb"))
        for action in heldActions(80) { try player.step(action) }
        #expect(
            try player.batch.render(row: 0, mode: "rgb_array")
                == .image(Tensor(dtype: .uint8, shape: [210, 160, 3], bytes: player.bytes)))
    }

    @Test func differencesAreThoseOfThePreprocessedScreens() throws {
        let colors = try PongPlayer(PongTests.options("rgb"), seed: 11)
        let differences = try PongPlayer(PongTests.options("difference"), seed: 11)
        #expect(differences.signed.allSatisfy { $0 == 0 })
        func preprocess(_ screen: [UInt8]) -> [Int8] {
            var cells: [Int8] = []
            for row in stride(from: 35, to: 195, by: 2) {
                for column in stride(from: 0, to: 160, by: 2) {
                    let red = screen[(row * 160 + column) * 3]
                    cells.append(red == 144 || red == 109 ? 0 : 1)
                }
            }
            return cells
        }
        var before = preprocess(colors.bytes)
        for action in heldActions(600) {
            try colors.step(action)
            try differences.step(action)
            let now = preprocess(colors.bytes)
            #expect(differences.signed == zip(now, before).map { $0 - $1 })
            before = now
        }
    }

    @Test(arguments: ["rgb", "grayscale"])
    func poolingTakesTheBrighterOfTheLastTwoFrames(observation: String) throws {
        let frames = try PongPlayer(PongTests.options(observation, PongTests.everyFrame))
        let pooled = try PongPlayer(
            PongTests.options(
                observation,
                ["maxpool": .bool(true), "frameskip": .integer(3), "repeat_action_probability": .integer(0)]))
        for action in heldActions(120) {
            try frames.step(action)
            try frames.step(action)
            let older = frames.bytes
            try frames.step(action)
            try pooled.step(action)
            #expect(pooled.bytes == zip(frames.bytes, older).map { max($0, $1) })
        }
    }

    @Test func stacksHoldFourShrunkPooledScreens() throws {
        let frames = try PongPlayer(PongTests.options("grayscale", PongTests.everyFrame))
        let stacked = try PongPlayer(PongTests.options("stack", ["repeat_action_probability": .integer(0)]))
        let resize = AreaResize(from: (160, 210), to: (84, 84))
        func shrink(_ screen: [UInt8]) -> [UInt8] {
            var small = [UInt8](repeating: 0, count: 84 * 84)
            resize.apply(screen, into: &small)
            return small
        }
        var history = [[UInt8]](repeating: shrink(frames.bytes), count: 4)
        func expected() -> [UInt8] { (0..<84 * 84).flatMap { pixel in history.map { $0[pixel] } } }
        #expect(stacked.bytes == expected())
        for action in heldActions(200) {
            for _ in 0..<3 { try frames.step(action) }
            let older = frames.bytes
            try frames.step(action)
            try stacked.step(action)
            history = history.dropFirst() + [shrink(zip(frames.bytes, older).map { max($0, $1) })]
            #expect(stacked.bytes == expected())
        }
    }

    @Test func stickyActionsRepeatTheLastOne() throws {
        // Every frame repeats the one before, back to the start: the paddle never moves.
        let stuck = try PongPlayer(PongTests.options("state", ["repeat_action_probability": .integer(1)]))
        for _ in 0..<50 {
            try stuck.step(3)
            #expect(stuck.state[4] == 109 - 14)
        }
        // A quarter of frames repeat: one frame of LEFT is lost to the rest before it in a quarter of games.
        var unmoved = 0
        let player = try PongPlayer(
            PongTests.options("state", ["frameskip": .integer(1), "repeat_action_probability": .real(0.25)]))
        for seed in 0..<400 {
            try player.reset(seed: UInt64(seed))
            try player.step(3)
            for _ in 0..<12 { try player.step(0) }
            if player.state[4] == 109 - 14 { unmoved += 1 }
        }
        #expect((70...130).contains(unmoved))
    }

    @Test func frameskipIsFixedOrDrawn() throws {
        let fixed = try PongPlayer(PongTests.options("state", ["frameskip": .integer(7)]))
        for _ in 0..<5 { try fixed.step(0) }
        #expect(fixed.info("episode_frame_number") == 35)
        #expect(fixed.info("lives") == 0)
        let drawn = try PongPlayer(PongTests.options("state", ["frameskip": .list([.integer(2), .integer(5)])]))
        var counts: [Int: Int] = [:]
        var before = 0
        for _ in 0..<600 {
            try drawn.step(0)
            counts[drawn.info("episode_frame_number") - before, default: 0] += 1
            before = drawn.info("episode_frame_number")
        }
        // The upper bound is excluded, as ALE does.
        #expect(Set(counts.keys) == [2, 3, 4])
        #expect(counts.values.allSatisfy { (150...250).contains($0) })
        #expect(throws: OptionError.self) {
            try PongPlayer(["frameskip": .list([.integer(5), .integer(2)])])
        }
        #expect(throws: OptionError.self) { try PongPlayer(["frameskip": .integer(0)]) }
    }

    @Test func episodesEndAt21PointsOrAtTheirFrames() throws {
        let still = try PongPlayer(PongTests.options("state", ["repeat_action_probability": .integer(0)]))
        var sum = 0.0
        var steps = 0
        while !still.hasEnded {
            try still.step(0)
            sum += still.buffers.rewards[0]
            steps += 1
        }
        // 3,056 frames.
        #expect(sum == -21 && steps == 764)
        #expect(still.buffers.terminated[0] == 1 && still.buffers.truncated[0] == 0)
        let short = try PongPlayer(
            PongTests.options("state", ["max_num_frames_per_episode": .integer(10), "frameskip": .integer(4)]))
        for step in 1...3 {
            try short.step(0)
            #expect(short.buffers.truncated[0] == (step == 3 ? 1 : 0))
        }
        #expect(short.info("episode_frame_number") == 10)
    }

    @Test func noOpStartsAreDrawn() throws {
        let player = try PongPlayer(PongTests.options("state", ["noop_max": .integer(30)]))
        var seen: Set<Int> = []
        for seed in 0..<300 {
            try player.reset(seed: UInt64(seed))
            seen.insert(player.info("episode_frame_number"))
        }
        #expect(seen == Set(1...30))
    }

    @Test(arguments: ["rgb", "grayscale", "stack", "difference", "state"], [false, true])
    func aRestoredGameGoesOnExactly(observation: String, maxpool: Bool) throws {
        let options = PongTests.options(
            observation,
            [
                "maxpool": .bool(maxpool), "frameskip": .list([.integer(1), .integer(5)]),
                "noop_max": .integer(10), "difficulty": .integer(1),
            ])
        let original = try PongPlayer(options, seed: 5)
        for action in heldActions(150) { try original.step(action) }
        let state = try original.batch.saveState(row: 0)
        let restored = try PongPlayer(options, seed: 99)
        for action in heldActions(30, seed: 8) { try restored.step(action) }
        try restored.batch.restoreState(state, row: 0)
        #expect(try restored.batch.saveState(row: 0) == state)
        for action in heldActions(200, seed: 4) {
            try original.step(action)
            try restored.step(action)
            #expect(original.bytes == restored.bytes)
            #expect(original.buffers.rewards[0] == restored.buffers.rewards[0])
        }
    }

    @Test(arguments: ["rgb", "stack", "difference"], [false, true])
    func damagedStatesAreRefusedOrHarmless(observation: String, maxpool: Bool) throws {
        let player = try PongPlayer(PongTests.options(observation, ["maxpool": .bool(maxpool)]))
        for action in heldActions(60) { try player.step(action) }
        let state = try player.batch.saveState(row: 0)
        for length in 0..<state.count {
            #expect(throws: StateError.self) {
                try player.batch.restoreState(Array(state.prefix(length)), row: 0)
            }
        }
        var generator = NumPyGenerator(seed: 2)
        for _ in 0..<2000 {
            var damaged = state
            for _ in 0..<3 { damaged[generator.integer(in: 0..<damaged.count)] = UInt8(generator.integer(in: 0..<256)) }
            guard (try? player.batch.restoreState(damaged, row: 0)) != nil else { continue }
            guard player.batch.rowsNeedingReset(in: 0..<1).isEmpty else {
                try player.reset(seed: 1)
                continue
            }
            for action in 0..<6 where !player.hasEnded { try player.step(action) }
            if player.hasEnded { try player.reset(seed: 1) }
        }
    }
}
