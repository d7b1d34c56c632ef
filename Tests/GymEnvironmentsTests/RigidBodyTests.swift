import AllocationCounter
import GymCore
import GymEnvironments
import TestSupport
import Testing

/// What holds of all rigid-body environments.
@Suite struct RigidBodyTests {
    private static let ids = [
        "BipedalWalker-v3", "BipedalWalkerHardcore-v3", "LunarLander-v3", "LunarLanderContinuous-v3",
    ]

    /// A batch with actions from a generator of its own.
    private struct Run {
        let batch: any VectorEnvironment
        let buffers: StepBuffers
        let actions: BatchBuffer
        var generator = NumPyGenerator(seed: 99)

        init(_ id: String, count: Int, seed: UInt64, options: [String: OptionValue] = [:]) throws {
            batch = try GymEnvironments.registry.make(
                id, .init(count: count, options: options, autoreset: .sameStep, checksObservations: true))
            buffers = StepBuffers(observationSpace: batch.observationSpace, count: count)
            actions = BatchBuffer(space: batch.actionSpace, count: count)
            _ = try batch.reset(
                rows: Array(0..<count), seeds: (0..<count).map { seed + UInt64($0) }, options: [:],
                wantsInfo: false, into: buffers)
        }

        mutating func step() -> [EnvironmentFault] {
            drawActions()
            return stepOn()
        }

        mutating func drawActions() {
            switch batch.actionSpace {
            case .discrete(let choices, _):
                let elements = actions.elements(as: Int64.self)
                for i in elements.indices { elements[i] = Int64(generator.integer(in: 0..<choices)) }
            default:
                let elements = actions.elements(as: Float.self)
                for i in elements.indices { elements[i] = Float(generator.uniform(-1, 1)) }
            }
        }

        func stepOn() -> [EnvironmentFault] {
            batch.step(rows: 0..<batch.count, actions: actions, wantsInfo: false, into: buffers)
        }

        var observation: [Float] { Array(buffers.observation.elements(as: Float.self)) }
    }

    @Test(arguments: ids)
    func randomStepsStayInTheSpace(id: String) throws {
        var run = try Run(id, count: 8, seed: 1)
        var ends = 0
        for _ in 0..<400 {
            let faults = run.step()
            #expect(faults.isEmpty)
            for i in 0..<8 {
                #expect(run.buffers.rewards[i].isFinite)
                ends += Int(run.buffers.terminated[i])
            }
        }
        #expect(ends > 5)
    }

    @Test(arguments: ids)
    func aSavedStateGoesOnExactly(id: String) throws {
        var run = try Run(id, count: 1, seed: 3, options: id.hasPrefix("Lunar") ? ["enable_wind": .bool(true)] : [:])
        var other = try Run(id, count: 1, seed: 8, options: id.hasPrefix("Lunar") ? ["enable_wind": .bool(true)] : [:])
        for round in 0..<6 {
            for _ in 0..<17 { _ = run.step() }
            let state = try run.batch.saveState(row: 0)
            for _ in 0..<round { _ = other.step() }
            try other.batch.restoreState(state, row: 0)
            #expect(try other.batch.saveState(row: 0) == state)
            other.generator = run.generator
            for _ in 0..<40 {
                _ = run.step()
                _ = other.step()
                #expect(run.observation == other.observation)
                #expect(run.buffers.rewards[0] == other.buffers.rewards[0])
            }
        }
    }

    @Test(arguments: ids)
    func aBrokenStateIsRefusedAndChangesNothing(id: String) throws {
        var run = try Run(id, count: 1, seed: 3)
        for _ in 0..<20 { _ = run.step() }
        let earlier = try run.batch.saveState(row: 0)
        for _ in 0..<20 { _ = run.step() }
        let state = try run.batch.saveState(row: 0)
        #expect(throws: StateError.self) { try run.batch.restoreState(Array(earlier.dropLast()), row: 0) }
        #expect(throws: StateError.self) { try run.batch.restoreState(earlier + [1], row: 0) }
        #expect(try run.batch.saveState(row: 0) == state)
    }

    @Test(arguments: ids)
    func theSameSeedGivesTheSameEpisodeWhateverCameBefore(id: String) throws {
        var first = try Run(id, count: 1, seed: 5)
        var second = try Run(id, count: 1, seed: 6)
        for _ in 0..<150 { _ = second.step() }
        _ = try second.batch.reset(rows: [0], seeds: [5], options: [:], wantsInfo: false, into: second.buffers)
        second.generator = first.generator
        #expect(first.observation == second.observation)
        for _ in 0..<200 {
            _ = first.step()
            _ = second.step()
            #expect(first.observation == second.observation)
        }
    }

    /// Nine: one full set of lanes and one that is not.
    @Test(arguments: ids)
    func aBatchDoesWhatItsEnvironmentsDoAlone(id: String) throws {
        var batch = try Run(id, count: 9, seed: 40)
        let size = batch.observation.count / 9
        let alone = try (0..<9).map { try Run(id, count: 1, seed: 40 + UInt64($0)) }
        for _ in 0..<150 {
            _ = batch.step()
            for (row, run) in alone.enumerated() {
                run.actions.copyRow(0, from: batch.actions, row: row)
                _ = run.batch.step(rows: 0..<1, actions: run.actions, wantsInfo: false, into: run.buffers)
                #expect(run.observation == Array(batch.observation[row * size..<(row + 1) * size]))
                #expect(run.buffers.rewards[0] == batch.buffers.rewards[row])
                #expect(run.buffers.terminated[0] == batch.buffers.terminated[row])
            }
        }
    }

    /// FNV-1a over all observations, rewards and ends of random episodes: the same bits in debug and release builds. A
    /// change here means that every trajectory has changed.
    @Test(
        arguments: zip(
            ids,
            [
                5_260_371_144_354_757_979, 14_118_601_104_697_230_477, 8_552_963_600_483_026_335,
                9_195_208_472_906_505_286,
            ] as [UInt64]))
    func randomEpisodesArePinned(id: String, expected: UInt64) throws {
        var run = try Run(id, count: 4, seed: 7)
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        func mix(_ bytes: UnsafeRawBufferPointer) {
            for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        }
        for _ in 0..<300 {
            _ = run.step()
            mix(UnsafeRawBufferPointer(run.buffers.observation.bytes(ofLeaf: 0)))
            for row in 0..<4 {
                withUnsafeBytes(of: run.buffers.rewards[row]) { mix($0) }
                withUnsafeBytes(of: run.buffers.terminated[row]) { mix($0) }
            }
        }
        #expect(hash == expected)
    }

    /// Nine: one full set of lanes and one that is not.
    @Test(.enabled(if: allocations_are_counted(), "the allocator is not ours to count"), arguments: ids)
    func aStepAllocatesNothing(id: String) throws {
        var run = try Run(id, count: 9, seed: 17)
        for _ in 0..<400 { _ = run.step() }
        var counted = 0
        for _ in 0..<400 {
            run.drawActions()
            let before = allocations_of_this_thread()
            _ = run.stepOn()
            let found = allocations_of_this_thread() - before
            // Where an episode ends another one starts, and its ground is drawn into new memory.
            if (0..<9).contains(where: { run.buffers.terminated[$0] != 0 || run.buffers.truncated[$0] != 0 }) {
                continue
            }
            counted += 1
            #expect(found == 0)
        }
        #expect(counted > 200)
    }

    /// Where the reference draws what: sky, ground and hull of the walker; sky, moon and lander.
    @Test(arguments: ids)
    func picturesShowTheScene(id: String) throws {
        var run = try Run(id, count: 1, seed: 4)
        _ = run.step()
        guard case .image(let image) = try run.batch.render(row: 0, mode: "rgb_array") else {
            Issue.record("no image")
            return
        }
        #expect(image.shape == [400, 600, 3] && image.dtype == .uint8)
        func pixel(_ x: Int, _ y: Int) -> [UInt8] { Array(image.bytes[(y * 600 + x) * 3..<(y * 600 + x) * 3 + 3]) }
        if id.hasPrefix("Bipedal") {
            #expect(pixel(300, 250) == [215, 215, 255])
            #expect(pixel(300, 390) == [102, 153, 76])
            // The hull's origin is a fifth from the left, 5.6 m up.
            #expect(pixel(115, 400 - 171) == [127, 51, 229])
        } else {
            #expect(pixel(590, 60) == [0, 0, 0])
            #expect(pixel(300, 395) == [255, 255, 255])
            #expect(image.bytes.count == 720_000 && pixel(242, 253) == [204, 204, 0])
        }
        #expect(throws: StateError.self) { try run.batch.render(row: 0, mode: "human") }
    }

    @Test func gravityHasToBeInRange() throws {
        for gravity in [-12.0, 0, 3, -20] {
            #expect(throws: OptionError.self) {
                try GymEnvironments.registry.make("LunarLander-v3", .init(options: ["gravity": .real(gravity)]))
            }
        }
        var light = try Run("LunarLander-v3", count: 1, seed: 1, options: ["gravity": .real(-1)])
        var heavy = try Run("LunarLander-v3", count: 1, seed: 1)
        for _ in 0..<10 {
            _ = light.step()
            _ = heavy.step()
        }
        #expect(light.observation[3] > heavy.observation[3] + 0.1)
    }
}
