import Agents
import GymCore
import GymEnvironments
import RunFiles
import Testing

/// Episodes that are played to see what a policy is worth.
@Suite struct EvaluationTests {
    private func policy(for batch: any EnvironmentBatch) throws -> any Policy {
        try PPO.policy(
            Hyperparameters(PPO.schema), observationSpace: batch.observationSpace, actionSpace: batch.actionSpace)
    }

    @Test func evaluationsStopWhenTheyAreTold() throws {
        let batch = try LocalBatch("Pendulum-v1", count: 3)
        let policy = try policy(for: batch)
        var asked = 0
        let cut = try evaluate(policy, on: batch, seed: 1) {
            asked += 1
            return asked > 50
        }
        #expect(cut.wasStopped && cut.cutEpisodes == 3 && cut.lengths == [50, 50, 50] && asked == 51)
        let whole = try evaluate(policy, on: batch, seed: 1)
        #expect(!whole.wasStopped && whole.cutEpisodes == 0 && whole.lengths == [200, 200, 200])
        #expect(zip(cut.returns, whole.returns).allSatisfy { $0 > $1 && $0 < 0 })
        #expect(try evaluate(policy, on: batch, seed: 1).returns == whole.returns)
    }

    /// An environment without a time limit that never ends: each episode counts as far as it got, and it is said how many.
    @Test func episodesWithoutAnEndAreCut() throws {
        let source = LocalSource(timeLimit: .unlimited)
        let batch = try source.make("Pendulum-v1", count: 2, options: [])
        let policy = try policy(for: batch)
        let cut = try evaluate(policy, on: batch, seed: 1, mostSteps: 200)
        #expect(cut.cutEpisodes == 2 && !cut.wasStopped && cut.lengths == [200, 200])
        // The reward does not depend on the limit.
        let limited = try evaluate(policy, on: LocalBatch("Pendulum-v1", count: 2), seed: 1)
        #expect(zip(cut.returns, limited.returns).allSatisfy { abs($0 - $1) < 1e-9 })
        #expect(try evaluate(policy, on: batch, seed: 1).lengths == [Evaluation.mostSteps, Evaluation.mostSteps])
    }

    /// How many episodes a server takes at a time changes nothing of what they bring.
    @Test(arguments: [false, true]) func episodesAreTheSameInBatchesOfAnySize(isStochastic: Bool) throws {
        let batch = try LocalBatch("CartPole-v1", count: 1)
        let policy = DrawingPolicy(try policy(for: batch))
        var sizes: [Int] = []
        func play(widest: Int) throws -> Evaluation {
            let source = LocalSource(widest: widest)
            source.onMake = { sizes.append($0.count) }
            let evaluator = Evaluator(
                "CartPole-v1", options: [], observationSpace: batch.observationSpace, actionSpace: batch.actionSpace,
                from: source)
            return try evaluator.play(policy, episodes: 7, seed: 3, isStochastic: isStochastic)
        }
        let together = try play(widest: .max)
        #expect(Set(together.returns).count > 1)
        for widest in [1, 3] {
            let apart = try play(widest: widest)
            #expect(apart.returns == together.returns && apart.lengths == together.lengths)
        }
        #expect(sizes == [7, 1, 3, 1])
    }

    /// Drawn actions are drawn: not the greedy ones, and from the episode's seed alone.
    @Test func drawnActionsAreTheSeeds() throws {
        let batch = try LocalBatch("CartPole-v1", count: 5)
        let policy = DrawingPolicy(try policy(for: batch))
        func returns(_ seed: UInt64, _ isStochastic: Bool) throws -> [Double] {
            try evaluate(policy, on: batch, seed: seed, isStochastic: isStochastic).returns
        }
        let drawn = try returns(1, true)
        #expect(try drawn == returns(1, true))
        #expect(try drawn != returns(1, false))
        #expect(try Array(drawn.dropFirst()) == Array(returns(2, true).dropLast()))
    }

    /// Next-step autoreset trains and evaluates without a sign of it, and with wrong numbers.
    @Test func otherBatchesAreRefused() throws {
        let batch = LocalBatch(
            try GymEnvironments.registry.make("CartPole-v1", .init(count: 2, autoreset: .nextStep)))
        let policy = try policy(for: batch)
        let error = #expect(throws: UnsuitableBatchError.self) { try evaluate(policy, on: batch, seed: 1) }
        #expect(error?.description.contains("nextStep") == true && error?.description.contains(".sameStep") == true)
        let two = try LocalBatch("CartPole-v1", count: 2)
        #expect(throws: UnsuitableBatchError.self) { try two.require(count: 3) }
    }
}

/// A policy that draws from all actions alike.
private final class DrawingPolicy: Policy {
    private let base: any Policy

    init(_ base: any Policy) { self.base = base }

    var drawsActions: Bool { true }
    var tensors: [NamedTensor] { base.tensors }
    func load(_ tensors: [NamedTensor]) throws { try base.load(tensors) }
    func startEpisode(_ row: Int) { base.startEpisode(row) }

    func act(on observations: BatchBuffer, count: Int, actions: BatchBuffer) {
        base.act(on: observations, count: count, actions: actions)
    }

    func act(on observations: BatchBuffer, count: Int, actions: BatchBuffer, generators: inout [NumPyGenerator]) {
        let values = actions.elements(as: Int64.self)
        for row in 0..<count { values[row] = Int64(generators[row].integer(in: 0..<2)) }
    }
}
