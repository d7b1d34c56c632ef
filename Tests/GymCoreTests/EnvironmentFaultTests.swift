import GymCore
import Testing

/// An environment that fails harms no other, and goes on after a reset; and states that are damaged are refused.
@Suite struct EnvironmentFaultTests {
    private func counters(
        _ defect: CounterEnvironment.Defect, _ autoreset: AutoresetMode, checks: Bool = false
    ) throws -> CounterBatch {
        try CounterBatch(
            [
                CounterEnvironment(length: 3), CounterEnvironment(length: 3, defect: defect),
                CounterEnvironment(length: 3),
            ], .init(autoreset: autoreset, checksObservations: checks))
    }

    @Test(arguments: [AutoresetMode.nextStep, .sameStep])
    func aThrowingStepFaultsItsRowAlone(autoreset: AutoresetMode) throws {
        let counters = try counters(.throwing(episode: 1, step: 2), autoreset)
        try counters.reset()
        #expect(counters.step().isEmpty)
        #expect(counters.step() == [EnvironmentFault(index: 1, message: "the counter jammed")])
        let ended = autoreset == .sameStep ? "0.0 0L <0.0 1 in 1" : "0.0 0L <1 in 1"
        #expect(counters.rows == ["1.2 2", ended, "1.2 2"])
        #expect((0..<3).map(counters.batch.ignoresNextAction) == [false, true, false])
        #expect(counters.step().isEmpty)
        #expect(counters.row(1) == "2.0 0", "the next step resets it")
        #expect(counters.step().isEmpty)
        #expect(counters.row(1) == "2.1 1")
    }

    @Test func withoutAutoresetAFaultedRowWaits() throws {
        let counters = try counters(.throwing(episode: 1, step: 1), .disabled)
        try counters.reset()
        #expect(counters.step().map(\.index) == [1])
        #expect(counters.batch.rowsNeedingReset(in: 0..<3) == [1])
        #expect(try counters.reset(rows: [1]).faults.isEmpty)
        #expect(counters.step().isEmpty)
        #expect(counters.rows == ["1.2 2", "2.1 1", "1.2 2"])
    }

    @Test func aThrowingResetFaultsItsRowAlone() throws {
        let counters = try counters(.throwing(episode: 1, step: 0), .nextStep)
        let report = try counters.reset(seeds: [1, 2, 3])
        #expect(report.faults == [EnvironmentFault(index: 1, message: "the counter jammed")])
        #expect(report.effectiveSeeds == [1, 2, 3])
        #expect(counters.rows == ["1.0 0", "0.0 0L <0 in 0", "1.0 0"])
        #expect(counters.step().isEmpty)
        #expect(counters.rows == ["1.1 1", "2.0 0", "1.1 1"])
    }

    @Test func aThrowingAutoresetFaultsItsRowAlone() throws {
        let counters = try counters(.throwing(episode: 2, step: 0), .sameStep)
        try counters.reset()
        counters.step()
        counters.step()
        #expect(counters.step().map(\.index) == [1])
        #expect(counters.row(0) == "2.0 3T <1.3 6 in 3")
        #expect(counters.row(1) == "0.0 3T <1.3 6 in 3", "the end of the episode before is not lost")
        #expect(counters.step().isEmpty)
        #expect(counters.row(1) == "3.0 0")
    }

    @Test func observationsAreCheckedWhenAsked() throws {
        let checked = try counters(.notANumber(episode: 1, step: 1), .nextStep, checks: true)
        try checked.reset()
        let faults = checked.step()
        #expect(faults.map(\.index) == [1])
        #expect(faults.first?.message == "the observation left its space: element 1 of leaf 0 is nan")
        #expect(checked.rows == ["1.1 1", "0.0 0L <0 in 0", "1.1 1"])
        #expect(checked.step().isEmpty)
        #expect(checked.row(1) == "2.0 0")

        let unchecked = try counters(.notANumber(episode: 1, step: 1), .nextStep)
        try unchecked.reset()
        #expect(unchecked.step().isEmpty)
    }

    @Test func firstObservationsAreCheckedToo() throws {
        let counters = try counters(.notANumber(episode: 1, step: 0), .nextStep, checks: true)
        #expect(try counters.reset().faults.map(\.index) == [1])
    }

    @Test func damagedStatesAreRefused() throws {
        let counters = try CounterBatch([CounterEnvironment(length: 5)])
        try counters.reset(seeds: [1])
        counters.step()
        let state = try counters.batch.saveState(row: 0)
        counters.step()
        func message(_ state: [UInt8]) -> String {
            do {
                try counters.batch.restoreState(state, row: 0)
                return "taken"
            } catch { return "\(error)" }
        }
        #expect(message(Array(state.dropLast())) == "the state ends 1 bytes early")
        #expect(message(state + [0]) == "the state has 1 bytes too many")
        #expect(message([]) == "the state ends 4 bytes early")
        #expect(message([9] + state.dropFirst()) == "the bytes are not a state of an environment")
        counters.step()
        #expect(counters.row(0) == "1.3 3", "the environment is as it was")
        #expect(message(state) == "taken")
        counters.step()
        #expect(counters.row(0) == "1.2 2")
    }
}
