import GymCore
import Testing

/// Autoreset, resets of single rows, seeds and time limits, step by step.
@Suite struct VectorEnvironmentTests {
    private func counters(
        _ autoreset: AutoresetMode, timeLimit: VectorEnvironmentSettings.TimeLimitSetting = .registered
    ) throws -> CounterBatch {
        try CounterBatch(
            [CounterEnvironment(length: 2), CounterEnvironment(length: 3)],
            .init(autoreset: autoreset, timeLimit: timeLimit))
    }

    @Test func nextStepAutoreset() throws {
        let counters = try counters(.nextStep)
        #expect(counters.batch.rowsNeedingReset(in: 0..<2) == [0, 1])
        #expect(!counters.batch.hasStarted(row: 0))
        try counters.reset()
        #expect(counters.batch.hasStarted(row: 0))
        #expect(!counters.batch.ignoresNextAction(row: 0))
        var table = [counters.rows]
        for _ in 0..<7 {
            #expect(counters.batch.rowsNeedingReset(in: 0..<2).isEmpty)
            #expect(counters.step().isEmpty)
            table.append(counters.rows)
        }
        #expect(
            table == [
                ["1.0 0", "1.0 0"],
                ["1.1 1", "1.1 1"],
                ["1.2 2T <3 in 2", "1.2 2"],
                ["2.0 0", "1.3 3T <6 in 3"],
                ["2.1 1", "2.0 0"],
                ["2.2 2T <3 in 2", "2.1 1"],
                ["3.0 0", "2.2 2"],
                ["3.1 1", "2.3 3T <6 in 3"],
            ])
    }

    @Test func sameStepAutoreset() throws {
        let counters = try counters(.sameStep)
        try counters.reset()
        var table = [counters.rows]
        for _ in 0..<6 {
            #expect(counters.step().isEmpty)
            table.append(counters.rows)
        }
        #expect(
            table == [
                ["1.0 0", "1.0 0"],
                ["1.1 1", "1.1 1"],
                ["2.0 2T <1.2 3 in 2", "1.2 2"],
                ["2.1 1", "2.0 3T <1.3 6 in 3"],
                ["3.0 2T <2.2 3 in 2", "2.1 1"],
                ["3.1 1", "2.2 2"],
                ["4.0 2T <3.2 3 in 2", "3.0 3T <2.3 6 in 3"],
            ])
    }

    @Test func withoutAutoresetRowsWait() throws {
        let counters = try counters(.disabled)
        try counters.reset()
        counters.step()
        counters.step()
        #expect(counters.rows == ["1.2 2T <3 in 2", "1.2 2"])
        #expect(counters.batch.rowsNeedingReset(in: 0..<2) == [0])
        // The other row goes on alone; the first one's results stay.
        counters.step(1..<2)
        #expect(counters.rows == ["1.2 2T <3 in 2", "1.3 3T <6 in 3"])
        #expect(counters.batch.rowsNeedingReset(in: 0..<2) == [0, 1])
        try counters.reset(rows: [1])
        #expect(counters.rows == ["1.2 2T <3 in 2", "2.0 0"])
        #expect(counters.batch.rowsNeedingReset(in: 0..<2) == [0])
        try counters.reset(rows: [0])
        counters.step()
        #expect(counters.rows == ["2.1 1", "2.1 1"])
    }

    @Test func actionsAreIgnoredWhereAutoresetComes() throws {
        let counters = try counters(.nextStep)
        try counters.reset()
        counters.step()
        counters.step()
        #expect((0..<2).map(counters.batch.ignoresNextAction) == [true, false])
        counters.step()
        #expect((0..<2).map(counters.batch.ignoresNextAction) == [false, true])
    }

    /// A reset in mid-episode starts a new one in that row alone.
    @Test func aRowIsResetInMidEpisode() throws {
        let counters = try counters(.nextStep)
        try counters.reset()
        counters.step()
        try counters.reset(rows: [1])
        #expect(counters.rows == ["1.1 1", "2.0 0"])
        counters.step()
        #expect(counters.rows == ["1.2 2T <3 in 2", "2.1 1"])
    }

    @Test func aTimeLimitTruncates() throws {
        let counters = try counters(.nextStep, timeLimit: .steps(2))
        try counters.reset()
        counters.step()
        counters.step()
        #expect(counters.rows == ["1.2 2TL <3 in 2", "1.2 2L <3 in 2"], "terminated and truncated are told apart")
        counters.step()
        #expect(counters.rows == ["2.0 0", "2.0 0"])
        counters.step()
        counters.step()
        #expect(counters.rows == ["2.2 2TL <3 in 2", "2.2 2L <3 in 2"], "the limit counts each episode anew")
    }

    @Test func aTimeLimitTruncatesUnderSameStepAutoreset() throws {
        let counters = try counters(.sameStep, timeLimit: .steps(1))
        try counters.reset()
        for episode in 1...3 {
            counters.step()
            #expect(counters.rows == [String](repeating: "\(episode + 1).0 1L <\(episode).1 1 in 1", count: 2))
        }
    }

    @Test func theLimitIsTheRegistrationsUnlessSaid() throws {
        let spec = EnvironmentSpec(id: "Limited-v0", summary: "Counts.", maxEpisodeSteps: 7)
        func limit(_ setting: VectorEnvironmentSettings.TimeLimitSetting) throws -> Int? {
            var registry = EnvironmentRegistry()
            registry.register(spec) { _ in CounterWithoutOptions() }
            return try registry.make("Limited-v0", .init(timeLimit: setting)).maxEpisodeSteps
        }
        #expect(try limit(.registered) == 7)
        #expect(try limit(.unlimited) == nil)
        #expect(try limit(.steps(3)) == 3)
        #expect(throws: OptionError.self) { try limit(.steps(0)) }
    }

    // MARK: Seeds

    @Test func seedsAreReportedAndReproduce() throws {
        let counters = try counters(.nextStep)
        let report = try counters.reset(seeds: [0, nil])
        #expect(report.effectiveSeeds[0] == 0)
        let first = counters.drawn
        #expect(first[0] == Double(seededDraws(0)[0]), "0 is a seed like any other")
        // Whatever seed the system gave, it can be given again.
        let again = try self.counters(.nextStep)
        #expect(try again.reset(seeds: report.effectiveSeeds).effectiveSeeds == report.effectiveSeeds)
        #expect(again.drawn == first)
        // Without seeds the generators go on; the seeds reported stay those that they run on.
        #expect(try counters.reset().effectiveSeeds == report.effectiveSeeds)
        #expect(counters.drawn == report.effectiveSeeds.map { Double(seededDraws($0)[1]) })
        #expect(try counters.reset(rows: [1], seeds: [9]).effectiveSeeds == [0, 9])
        #expect(counters.drawn[1] == Double(seededDraws(9)[0]))
    }

    @Test func autoresetGoesOnWithTheGenerator() throws {
        for mode in [AutoresetMode.nextStep, .sameStep] {
            let counters = try counters(mode, timeLimit: .steps(1))
            try counters.reset(seeds: [3, 4])
            counters.step()
            if mode == .nextStep { counters.step() }
            #expect(counters.drawn == [Double(seededDraws(3)[1]), Double(seededDraws(4)[1])])
        }
    }

    @Test func unseededRowsDiffer() throws {
        let counters = try CounterBatch((0..<8).map { _ in CounterEnvironment(length: 3) })
        #expect(Set(try counters.reset().effectiveSeeds).count == 8)
    }

    private func seededDraws(_ seed: UInt64) -> [Int] {
        var generator = NumPyGenerator(seed: seed)
        return (0..<2).map { _ in generator.integer(in: 0..<1000) }
    }

    // MARK: Reset options and info

    @Test func resetOptionsReachTheEnvironment() throws {
        let counters = try counters(.nextStep)
        try counters.reset(options: ["first": .integer(1)])
        #expect(counters.rows == ["1.1 0", "1.1 0"])
        counters.step()
        counters.step()
        #expect(counters.rows == ["2.0 0", "1.3 3T <5 in 2"], "autoreset takes the defaults")
        try counters.batch.setAutoresetOptions(["first": .integer(1)])
        counters.step()
        #expect(counters.rows == ["2.1 1", "2.1 0"], "unless it is told others")
    }

    @Test func optionsThatDoNotGoTogetherResetNothing() throws {
        let counters = try counters(.nextStep)
        try counters.reset()
        counters.step()
        let bad: [String: OptionValue] = ["first": .integer(5), "last": .integer(4)]
        #expect(throws: OptionError.self) { try counters.reset(options: bad) }
        #expect(throws: OptionError.self) { try counters.batch.setAutoresetOptions(bad) }
        counters.step()
        #expect(counters.rows == ["1.2 2T <3 in 2", "1.2 2"])
    }

    @Test func infoComesWhenAskedFor() throws {
        let counters = try counters(.sameStep)
        func info(_ count: Int64) -> [InfoEntry] { [InfoEntry("count", .tensor(Tensor(scalar: count)))] }
        try counters.reset(wantsInfo: true)
        #expect(Array(counters.buffers.infos) == [info(0), info(0)])
        counters.step()
        #expect(Array(counters.buffers.infos) == [info(0), info(0)])
        counters.step(wantsInfo: true)
        #expect(Array(counters.buffers.infos) == [info(0), info(2)])
        #expect(counters.buffers.finalInfos[0] == info(2))
    }
}

/// The least that an environment can be.
private struct CounterWithoutOptions: Environment {
    let observationSpace = Space.discrete(count: 1)
    let actionSpace = Space.discrete(count: 1)

    mutating func reset(options: OptionValues, generator: inout NumPyGenerator, observation: ObservationWriter) throws {
        observation.store([Int64(0)])
    }

    mutating func step(
        action: ActionReader, generator: inout NumPyGenerator, observation: ObservationWriter
    ) throws -> StepResult {
        observation.store([Int64(0)])
        return StepResult(reward: 0, terminated: false)
    }
}
