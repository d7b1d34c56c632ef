import Agents
import GymCore
import GymEnvironments

/// Environments in this process, for tests of the algorithms alone.
final class LocalBatch: RestorableBatch {
    let environments: any VectorEnvironment
    let actions: BatchBuffer
    let results: StepBuffers
    let isRestorable = true
    /// The seeds of the last episodes that were started together.
    private(set) var seeds: [UInt64] = []
    /// Called when actions are sent.
    var onSend: () -> Void = {}
    /// Called when a step was taken, before its results are looked at.
    var onStep: () -> Void = {}

    var count: Int { environments.count }
    var observationSpace: Space { environments.observationSpace }
    var actionSpace: Space { environments.actionSpace }
    var autoreset: AutoresetMode { environments.autoreset }

    init(_ environments: any VectorEnvironment) {
        self.environments = environments
        actions = BatchBuffer(space: environments.actionSpace, count: environments.count)
        results = StepBuffers(observationSpace: environments.observationSpace, count: environments.count)
    }

    convenience init(_ id: String, count: Int) throws {
        self.init(try GymEnvironments.registry.make(id, .init(count: count, autoreset: .sameStep)))
    }

    func startEpisodes(seeds: [UInt64]) throws {
        self.seeds = seeds
        _ = try environments.reset(
            rows: Array(0..<count), seeds: seeds, options: [:], wantsInfo: false, into: results)
    }

    func states() throws -> [[UInt8]] { try (0..<count).map { try environments.saveState(row: $0) } }

    func restore(_ states: [[UInt8]]) throws {
        for (row, state) in states.enumerated() { try environments.restoreState(state, row: row) }
    }

    func sendActions() throws { onSend() }

    func receiveResults() throws {
        let faults = environments.step(rows: 0..<count, actions: actions, wantsInfo: false, into: results)
        if let fault = faults.first { throw fault }
        onStep()
    }
}

/// Environments in this process, as a run is given them.
final class LocalSource: EnvironmentSource {
    private let timeLimit: VectorEnvironmentSettings.TimeLimitSetting
    private let widest: Int
    /// Called with every batch that is made.
    var onMake: (LocalBatch) -> Void = { _ in }

    init(timeLimit: VectorEnvironmentSettings.TimeLimitSetting = .registered, widest: Int = .max) {
        self.timeLimit = timeLimit
        self.widest = widest
    }

    func make(_ id: String, count: Int, options: [EnvironmentOption]) throws -> any EnvironmentBatch {
        let batch = LocalBatch(
            try GymEnvironments.registry.make(
                id, .init(count: count, autoreset: .sameStep, timeLimit: timeLimit)))
        onMake(batch)
        return batch
    }

    func largestBatch(observationSpace: Space, actionSpace: Space) -> Int { widest }
}
