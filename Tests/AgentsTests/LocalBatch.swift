import Agents
import GymCore
import GymEnvironments

/// Environments in this process, for tests of the algorithms alone.
final class LocalBatch: EnvironmentBatch {
    let environments: any VectorEnvironment
    let actions: BatchBuffer
    let results: StepBuffers
    /// Called when actions are sent.
    var onSend: () -> Void = {}
    /// Called when a step was taken, before its results are looked at.
    var onStep: () -> Void = {}

    var count: Int { environments.count }
    var observationSpace: Space { environments.observationSpace }
    var actionSpace: Space { environments.actionSpace }

    init(_ environments: any VectorEnvironment) {
        precondition(environments.autoreset == .sameStep, "learners take same-step autoreset")
        self.environments = environments
        actions = BatchBuffer(space: environments.actionSpace, count: environments.count)
        results = StepBuffers(observationSpace: environments.observationSpace, count: environments.count)
    }

    convenience init(_ id: String, count: Int) throws {
        self.init(try GymEnvironments.registry.make(id, .init(count: count, autoreset: .sameStep)))
    }

    func startEpisodes(seeds: [UInt64]) throws {
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
