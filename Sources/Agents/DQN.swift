import Foundation
import GymCore
import NeuralNetwork

/// Deep Q-learning (Mnih et al. 2015, doi 10.1038/nature14236): the value of each choice, learnt from replayed
/// transitions towards a target network that stands still between copies.
///
/// Double, dueling, n-step returns and prioritised replay are switches; without them it is Stable-Baselines3's.
public final class DQN: Learner {

    // MARK: Hyperparameters

    /// What DQN knows, with Stable-Baselines3's defaults under rl-baselines3-zoo's keys.
    public static let schema: [Hyperparameter] =
        Hyperparameter.offPolicy(batchSize: 32, learningRate: 1e-4, trainFrequency: 4, network: [64, 64]) + [
            .init(
                "target_update_interval", .integer(1...Int.max), .integer(10_000),
                "steps, all environments together, after which the target network follows"),
            .init("tau", .real(0...1), .real(1), "how far it follows; 1: a copy"),
            .init(
                "exploration_fraction", .real(0...1), .real(0.1),
                "the part of the run over which the share of random choices falls"),
            .init("exploration_initial_eps", .real(0...1), .real(1), "the share of random choices at the start"),
            .init("exploration_final_eps", .real(0...1), .real(0.05), "and from then on"),
            .init(
                "max_grad_norm", .optional(.real(0...1e6)), .real(10),
                "the gradient is scaled down to this norm; null: never"),
            .init(
                "double", .bool, .bool(false),
                "the network chooses the next action and the target network values it (arXiv 1509.06461)"),
            .init(
                "dueling", .bool, .bool(false),
                "the last layer gives the state's value and the choices' advantages (arXiv 1511.06581)"),
            .init("prioritized_replay", .bool, .bool(false), "surprising transitions are drawn more often"),
            .init("prioritized_replay_alpha", .real(0...10), .real(0.6), "how much more; 0: no more"),
            .init(
                "prioritized_replay_beta0", .real(0...1), .real(0.4),
                "how much of that bias the weights undo at the start; all of it at the end"),
        ]

    private let rhythm: TrainingRhythm
    private let learningRate: Schedule
    private let targetInterval: Int
    private let exploration: LinearExploration
    private let prioritisedBeta: Double
    private let seed: UInt64

    // MARK: State

    package let collector: TransitionCollector
    private let codec: ActionCodec
    private let choices: Int
    package let update: DQNUpdate
    private let runner: HalfRunner
    private let actingWorkspace: MultiLayerPerceptron.Workspace
    private let chosen: UnsafeMutablePointer<Int32>
    private var actionGenerator: NumPyGenerator
    /// Steps of the batch so far, which is what the target's copies are counted in.
    private var calls = 0
    /// Copies of the network to its target so far.
    package private(set) var targetUpdates = 0

    public var steps: Int { collector.steps }
    public let totalSteps: Int
    public var updates: Int { update.updates }

    /// The progress of a run, 1 at its start, 0 at its end.
    private var progressRemaining: Double { max(0, 1 - Double(steps) / Double(totalSteps)) }

    /// A run that has not started.
    ///
    /// - Parameters:
    ///   - batch: environments with same-step autoreset.
    ///   - threads: 1 or 2; the result is the same. By default what the machine has.
    /// - Throws: ``UnsupportedSpaceError``.
    public init(
        batch: any EnvironmentBatch, hyperparameters h: Hyperparameters, seed: UInt64, threads: Int? = nil
    ) throws {
        self.seed = seed
        rhythm = TrainingRhythm(h)
        learningRate = h.schedule("learning_rate")
        totalSteps = h.integer("n_timesteps")
        targetInterval = max(1, h.integer("target_update_interval") / batch.count)
        exploration = LinearExploration(
            initial: h.real("exploration_initial_eps"), final: h.real("exploration_final_eps"),
            fraction: h.real("exploration_fraction"))
        prioritisedBeta = h.real("prioritized_replay_beta0")
        (codec, choices) = try DQN.actions(batch.actionSpace)
        collector = try TransitionCollector(batch: batch, h, actionSize: 1)
        update = DQNUpdate(h, choices: choices, replay: collector.replay, seed: seed)
        runner = HalfRunner(
            threads: threads, operations: Double(rhythm.updates(environments: batch.count)) * update.operations)
        actingWorkspace = MultiLayerPerceptron.Workspace(for: update.network, capacity: batch.count)
        chosen = .allocate(capacity: batch.count)
        chosen.initialize(repeating: 0, count: batch.count)
        actionGenerator = RandomStream.actions.generator(seed: seed)
        if h.bool("prioritized_replay") { collector.onAdd = { [unowned self] in update.added($0) } }
    }

    deinit { chosen.deallocate() }

    private static func actions(_ space: Space) throws -> (ActionCodec, choices: Int) {
        guard case .discrete(let count, _) = space else {
            let other =
                if case .box = space { "sac, td3 or ppo learn with it" } else { "ppo learns with it" }
            throw UnsupportedSpaceError("dqn needs actions from a Discrete space, not \(space); \(other)")
        }
        return (try ActionCodec(space), count)
    }

    public var policy: any Policy {
        OffPolicyPolicy(
            update.network, update.store, others: [update.target], head: .largest(codec, choices: choices),
            encoder: collector.encoder, normalisation: collector.normalisation)
    }

    /// A policy of the shape that a run with these hyperparameters learns, for weights to be loaded into.
    ///
    /// - Throws: ``UnsupportedSpaceError``.
    public static func policy(
        _ h: Hyperparameters, observationSpace: Space, actionSpace: Space
    ) throws -> any Policy {
        let (codec, choices) = try actions(actionSpace)
        let encoder = try ObservationEncoder(observationSpace)
        let replay = ReplayBuffer(capacity: 1, observationSize: encoder.size, actionSize: 1)
        let update = DQNUpdate(h, choices: choices, replay: replay, seed: 0)
        return OffPolicyPolicy(
            update.network, update.store, others: [update.target], head: .largest(codec, choices: choices),
            encoder: encoder, normalisation: Normalisation(h, size: encoder.size, environments: 1))
    }

    // MARK: The loop

    public func iterate() throws -> Metrics {
        try collector.start(seed: seed)
        let end = min(totalSteps, steps + TrainingRhythm.reportInterval)
        repeat {
            for _ in 0..<rhythm.trainFrequency {
                act()
                try collector.step { actions, rows, target in
                    for row in 0..<rows { chosen[row] = Int32(actions[row]) }
                    codec.write(choices: chosen, rows: rows, to: target)
                }
                calls += 1
                // CRUCIAL and easy to overlook: copies are counted in steps, not in updates. With train_freq 256 and
                // gradient_steps 128, all 128 updates in a row see one target, however short the interval.
                if calls % targetInterval == 0 {
                    update.followTarget()
                    targetUpdates += 1
                }
            }
            if steps > rhythm.learningStarts && collector.replay.count > 0 { try train() }
        } while steps < end
        var metrics = Metrics()
        metrics["rollout/ep_rew_mean"] = collector.episodes.meanReturn
        metrics["rollout/ep_len_mean"] = collector.episodes.meanLength
        metrics["rollout/exploration_rate"] = exploration.rate(progress: 1 - progressRemaining)
        metrics["train/loss"] = update.loss.take()
        metrics["train/learning_rate"] = learningRate.value(progressRemaining: progressRemaining)
        metrics["train/n_updates"] = Double(updates)
        return metrics
    }

    /// Chooses the next actions: at random before learning starts, then greedily but for a falling share.
    private func act() {
        let rate = steps < rhythm.learningStarts ? 1 : exploration.rate(progress: 1 - progressRemaining)
        let network = update.network
        let output = UnsafePointer(
            network.forward(update.store.values, collector.observations, rows: collector.count, actingWorkspace))
        for row in 0..<collector.count {
            let explores = actionGenerator.random() < rate
            let choice =
                explores
                ? actionGenerator.integer(in: 0..<choices)
                : indexOfLargest(output + (row + 1) * network.outputs - choices, count: choices)
            collector.actions[row] = Float(choice)
        }
    }

    private func train() throws {
        let count = rhythm.updates(environments: collector.count)
        if count == 0 { return }
        update.begin(
            learningRate: learningRate.value(progressRemaining: progressRemaining),
            beta: prioritisedBeta + (1 - prioritisedBeta) * (1 - progressRemaining),
            normalisation: collector.normalisation)
        runner.run(update, stages: count * DQNUpdate.stages)
        update.finish()
        if let term = update.notFinite { throw NotFiniteError(term: term, step: steps) }
    }
}

extension DQN {
    /// Writes everything that the run needs to go on exactly, but for the environments' own state.
    public func save(to writer: inout StateWriter) {
        writer.write(UInt64(calls))
        writer.write(UInt64(targetUpdates))
        actionGenerator.save(to: &writer)
        update.save(to: &writer)
        collector.save(to: &writer)
    }

    /// Has the next iteration start new episodes.
    public func startFreshEpisodes() { collector.startFreshEpisodes() }

    /// Goes on where the run stood that wrote this.
    ///
    /// - Throws: ``StateError`` when it is of another run's shape.
    public func restore(from reader: inout StateReader) throws {
        calls = try reader.readCount()
        targetUpdates = try reader.readCount()
        actionGenerator = try NumPyGenerator(from: &reader)
        try update.restore(from: &reader)
        try collector.restore(from: &reader)
    }
}

/// The share of random choices: from `initial` to `final` in a line over the first `fraction` of the run.
public struct LinearExploration: Sendable {
    private let initial: Double
    private let final: Double
    private let fraction: Double

    /// A share that falls, or stays where `fraction` is 0.
    public init(initial: Double, final: Double, fraction: Double) {
        self.initial = initial
        self.final = final
        self.fraction = fraction
    }

    /// The share when `progress` of the run (0 at the start, 1 at the end) has passed.
    public func rate(progress: Double) -> Double {
        progress > fraction || fraction == 0 ? final : initial + progress / fraction * (final - initial)
    }
}
