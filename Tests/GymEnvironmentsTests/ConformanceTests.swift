import Dispatch
import GymCore
import GymEnvironments
import Testing

/// What every environment has to keep to. The checks run over the registry: a new environment adds nothing here.
@Suite struct ConformanceTests {
    static let ids = GymEnvironments.registry.specs.map(\.id)

    /// Some environments with random actions, the same for the same seed.
    private struct Rollout {
        let batch: any VectorEnvironment
        let buffers: StepBuffers
        let actions: BatchBuffer
        var sampler: SpaceSampler

        init(_ id: String, count: Int = 3, autoreset: AutoresetMode = .sameStep) throws {
            let settings = VectorEnvironmentSettings(count: count, autoreset: autoreset, checksObservations: true)
            batch = try GymEnvironments.registry.make(id, settings)
            buffers = StepBuffers(observationSpace: batch.observationSpace, count: count)
            actions = BatchBuffer(space: batch.actionSpace, count: count)
            sampler = SpaceSampler(batch.actionSpace, seed: 99)
        }

        func reset(seed: UInt64?, options: [String: OptionValue] = [:]) throws -> ResetReport {
            let seeds = seed.map { seed in (0..<UInt64(batch.count)).map { Optional(seed + $0) } } ?? []
            let rows = Array(0..<batch.count)
            return try batch.reset(rows: rows, seeds: seeds, options: options, wantsInfo: true, into: buffers)
        }

        mutating func drawActions() {
            for row in 0..<batch.count { actions.store(sampler.sample(), of: batch.actionSpace, row: row) }
        }

        mutating func step() -> [EnvironmentFault] {
            drawActions()
            return batch.step(rows: 0..<batch.count, actions: actions, wantsInfo: true, into: buffers)
        }

        /// All that a reset or step wrote.
        var snapshot: [Snapshot] {
            (0..<batch.count).map { row in
                Snapshot(
                    observation: buffers.observation.leaves.indices.map {
                        buffers.observation.value(row: row, leaf: $0)
                    }, reward: buffers.rewards[row],
                    ends: [buffers.terminated[row], buffers.truncated[row]], info: buffers.infos[row])
            }
        }
    }

    private struct Snapshot: Equatable {
        let observation: [Value]
        let reward: Double
        let ends: [UInt8]
        let info: [InfoEntry]
    }

    @Test func thereAreEnvironments() {
        #expect(
            Set(ConformanceTests.ids).isSuperset(of: ["CartPole-v1", "Pendulum-v1", "MountainCar-v0", "Acrobot-v1"]))
    }

    @Test(arguments: ids) func theRegistrationIsWhole(id: String) throws {
        let spec = try GymEnvironments.registry.spec(id)
        #expect(id.contains(/^([\w:-]+\/)?[\w:.-]+-v\d+$/))
        #expect(spec.summary.hasSuffix("."))
        #expect(spec.maxEpisodeSteps ?? 1 > 0)
        #expect(spec.renderFPS > 0)
        for option in spec.options + spec.resetOptions { #expect(option.summary.hasSuffix("."), "\(option.name)") }
        let names = (spec.options + spec.resetOptions).map(\.name)
        #expect(Set(names).count == names.count)
        let batch = try GymEnvironments.registry.make(id)
        #expect(batch.isRenderable == !spec.renderModes.isEmpty)
        #expect(batch.spec == spec)
    }

    /// Observations stay in their space (out of it, they fault), rewards and flags are sound.
    @Test(arguments: ids) func resultsAreMembersOfTheirSpaces(id: String) throws {
        var rollout = try Rollout(id)
        #expect(try rollout.reset(seed: 1).faults.isEmpty)
        for _ in 0..<300 {
            #expect(rollout.step().isEmpty)
            for row in 0..<3 {
                #expect(rollout.buffers.rewards[row].isFinite)
                #expect(rollout.buffers.terminated[row] <= 1 && rollout.buffers.truncated[row] <= 1)
            }
        }
    }

    @Test(arguments: ids) func theSameSeedGivesTheSameEpisodes(id: String) throws {
        var left = try Rollout(id)
        var right = try Rollout(id)
        _ = try left.reset(seed: 123)
        // What came before a seeded reset does not show after it.
        _ = try right.reset(seed: 5)
        for _ in 0..<20 {
            _ = right.batch.step(rows: 0..<3, actions: right.actions, wantsInfo: false, into: right.buffers)
        }
        _ = try right.reset(seed: 123)
        #expect(left.snapshot == right.snapshot)
        for step in 0..<200 {
            _ = left.step()
            _ = right.step()
            try #require(left.snapshot == right.snapshot, "step \(step)")
        }
    }

    /// Environments in which nothing is left to chance, so that only a saved state shows the generator.
    static let deterministicIDs: Set = ["CliffWalking-v1"]

    /// An unseeded reset goes on with the generator: neither the first episode again nor an arbitrary one. Some start
    /// every episode alike and draw later, so that the same actions are played for a while.
    @Test(arguments: ids) func anUnseededResetGoesOn(id: String) throws {
        struct Episode: Equatable {
            var snapshots: [[Snapshot]]
            var start: [UInt8]
        }
        func episode(_ rollout: inout Rollout) throws -> Episode {
            rollout.sampler = SpaceSampler(rollout.batch.actionSpace, seed: 3)
            var episode = Episode(snapshots: [rollout.snapshot], start: try rollout.batch.saveState(row: 0))
            for _ in 0..<60 {
                _ = rollout.step()
                episode.snapshots.append(rollout.snapshot)
            }
            return episode
        }
        let episodes = try (0..<2).map { _ in
            var rollout = try Rollout(id)
            _ = try rollout.reset(seed: 123)
            let first = try episode(&rollout)
            let report = try rollout.reset(seed: nil)
            #expect(report.effectiveSeeds == [123, 124, 125])
            return [first, try episode(&rollout)]
        }
        let goesOnAlike = episodes[0] == episodes[1]
        let isAlwaysTheSame =
            ConformanceTests.deterministicIDs.contains(id)
            ? episodes[0][0].start == episodes[0][1].start
            : episodes[0][0].snapshots == episodes[0][1].snapshots
        #expect(goesOnAlike && !isAlwaysTheSame)
    }

    /// Saved in mid-episode and restored into another batch, generator included, an environment goes on exactly.
    @Test(arguments: ids) func aSavedEnvironmentGoesOnExactly(id: String) throws {
        var original = try Rollout(id)
        #expect(original.batch.isRestorable, "every environment of this package can be saved")
        var restored = try Rollout(id)
        _ = try original.reset(seed: 7)
        _ = try restored.reset(seed: 1000)
        for _ in 0..<25 {
            _ = original.step()
            restored.drawActions()
        }
        for row in 0..<3 {
            let state = try original.batch.saveState(row: row)
            try restored.batch.restoreState(state, row: row)
            #expect(try restored.batch.saveState(row: row) == state)
            #expect(throws: StateError.self) { try restored.batch.restoreState(Array(state.dropLast()), row: row) }
            #expect(throws: StateError.self) { try restored.batch.restoreState(state + [0], row: row) }
        }
        for step in 0..<300 {
            _ = original.step()
            _ = restored.step()
            try #require(original.snapshot == restored.snapshot, "step \(step)")
        }
    }

    /// Rows stepped in ranges, by several threads at once, give what one call gives.
    @Test(arguments: ids) func threadsMayShareABatch(id: String) throws {
        let count = 12
        var whole = try Rollout(id, count: count)
        var divided = try Rollout(id, count: count)
        _ = try whole.reset(seed: 3)
        _ = try divided.reset(seed: 3)
        for step in 0..<120 {
            _ = whole.step()
            divided.drawActions()
            let (batch, actions, buffers) = (divided.batch, divided.actions, divided.buffers)
            DispatchQueue.concurrentPerform(iterations: 4) { part in
                _ = batch.step(rows: 3 * part..<3 * (part + 1), actions: actions, wantsInfo: true, into: buffers)
            }
            try #require(whole.snapshot == divided.snapshot, "step \(step)")
        }
    }

    @Test(arguments: ids) func renderModesAreTheOnesNamed(id: String) throws {
        let rollout = try Rollout(id, count: 1)
        _ = try rollout.reset(seed: 1)
        for mode in rollout.batch.spec.renderModes {
            switch (mode, try rollout.batch.render(row: 0, mode: mode)) {
            case ("rgb_array", .image(let picture)):
                #expect(picture.dtype == .uint8 && picture.shape.count == 3 && picture.shape[2] == 3)
                #expect(Set(picture.bytes).count > 1, "something is to be seen")
            case ("ansi", .text(let text)): #expect(!text.isEmpty)
            default: Issue.record("\(mode) renders another kind of picture")
            }
        }
        #expect(throws: (any Error).self) { try rollout.batch.render(row: 0, mode: "hologram") }
    }

    /// Names that are not declared, and bounds in the wrong order, are refused before anything happens.
    @Test(arguments: ids) func badOptionsAreRefused(id: String) throws {
        #expect(throws: OptionError.self) {
            try GymEnvironments.registry.make(id, .init(options: ["no_such_option": .integer(1)]))
        }
        let rollout = try Rollout(id)
        _ = try rollout.reset(seed: 4)
        let before = rollout.snapshot
        var bad: [[String: OptionValue]] = [["no_such_option": .real(1)]]
        for option in rollout.batch.spec.resetOptions { bad.append([option.name: .list([])]) }
        let names = rollout.batch.spec.resetOptions.map(\.name)
        if names.contains("low") && names.contains("high") {
            bad += [["low": .real(0.2), "high": .real(0.1)], ["low": .real(.nan)], ["high": .real(.infinity)]]
            bad.append(["low": .real(-1.7e308), "high": .real(1.7e308)])
        }
        for options in bad {
            #expect(throws: OptionError.self, "\(options)") { try rollout.reset(seed: 1, options: options) }
        }
        #expect(rollout.snapshot == before)
    }
}
