import Foundation
import GymCore
import NeuralNetwork

/// Twin delayed deep deterministic policy gradient (Fujimoto et al. 2018, arXiv 1802.09477): a policy without any
/// randomness of its own, critics that take the smaller of two values at a blurred action, and an actor that waits.
public final class TD3: Learner {

    // MARK: Hyperparameters

    /// What TD3 knows, with Stable-Baselines3's defaults under rl-baselines3-zoo's keys, but for the exploration noise,
    /// which is Stable-Baselines3's to be given and here the paper's.
    public static let schema: [Hyperparameter] =
        Hyperparameter.offPolicy(batchSize: 256, learningRate: 1e-3, trainFrequency: 1, network: [400, 300])
        + Hyperparameter.explorationNoise(.normal) + [
            .init("tau", .real(0...1), .real(0.005), "how far the targets follow each time"),
            .init(
                "policy_delay", .integer(1...1_000_000), .integer(2),
                "updates of the critics for one of the actor and of all targets"),
            .init(
                "target_policy_noise", .real(0...10), .real(0.2),
                "deviation of the noise on the target's actions, scaled to -1 ... 1"),
            .init("target_noise_clip", .real(0...10), .real(0.5), "that noise stays within ± this"),
            .init("n_critics", .integer(1...2), .integer(2), "Q-functions; with 1, no noise and no delay it is DDPG"),
        ]

    private let rhythm: TrainingRhythm
    private let learningRate: Schedule
    private let seed: UInt64

    // MARK: State

    package let collector: TransitionCollector
    private let box: BoxActions
    package let update: TD3Update
    private let runner: HalfRunner
    private let actingWorkspace: MultiLayerPerceptron.Workspace
    private let scratch: UnsafeMutablePointer<Float>
    private var actionGenerator: NumPyGenerator
    private var noiseGenerator: NumPyGenerator
    private var noise: ExplorationNoise

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
        box = try BoxActions(batch.actionSpace, algorithm: "td3")
        collector = try TransitionCollector(batch: batch, h, actionSize: box.size)
        update = TD3Update(h, replay: collector.replay, seed: seed)
        runner = HalfRunner(
            threads: threads, operations: Double(rhythm.updates(environments: batch.count)) * update.operations)
        actingWorkspace = MultiLayerPerceptron.Workspace(for: update.actor, capacity: batch.count)
        scratch = allocateFloats(batch.count * box.size)
        actionGenerator = RandomStream.actions.generator(seed: seed)
        noiseGenerator = RandomStream.exploration.generator(seed: seed)
        noise = ExplorationNoise(h, environments: batch.count, size: box.size)
        collector.onEnd = { [unowned self] in noise.reset(environment: $0) }
    }

    deinit { scratch.deallocate() }

    public var policy: any Policy {
        OffPolicyPolicy(
            update.actor, update.store, others: update.others, head: .actions(box), encoder: collector.encoder,
            normalisation: collector.normalisation)
    }

    /// A policy of the shape that a run with these hyperparameters learns, for weights to be loaded into.
    ///
    /// - Throws: ``UnsupportedSpaceError``.
    public static func policy(
        _ h: Hyperparameters, observationSpace: Space, actionSpace: Space
    ) throws -> any Policy {
        let box = try BoxActions(actionSpace, algorithm: "td3")
        let encoder = try ObservationEncoder(observationSpace)
        let replay = ReplayBuffer(capacity: 1, observationSize: encoder.size, actionSize: box.size)
        let update = TD3Update(h, replay: replay, seed: 0)
        return OffPolicyPolicy(
            update.actor, update.store, others: update.others, head: .actions(box), encoder: encoder,
            normalisation: Normalisation(h, size: encoder.size, environments: 1))
    }

    // MARK: The loop

    public func iterate() throws -> Metrics {
        try collector.start(seed: seed)
        let end = min(totalSteps, steps + TrainingRhythm.reportInterval)
        repeat {
            for _ in 0..<rhythm.trainFrequency {
                act()
                try collector.step { box.write($0, rows: $1, scratch: scratch, to: $2) }
            }
            if steps > rhythm.learningStarts && collector.replay.count > 0 { try train() }
        } while steps < end
        var metrics = Metrics()
        metrics["rollout/ep_rew_mean"] = collector.episodes.meanReturn
        metrics["rollout/ep_len_mean"] = collector.episodes.meanLength
        update.report(to: &metrics)
        metrics["train/learning_rate"] = learningRate.value(progressRemaining: progressRemaining)
        metrics["train/n_updates"] = Double(updates)
        return metrics
    }

    /// Chooses the next actions: at random before learning starts, then the policy's with noise, kept within bounds.
    private func act() {
        let count = collector.count * box.size
        if steps < rhythm.learningStarts {
            for index in 0..<count { collector.actions[index] = Float(actionGenerator.uniform(-1, 1)) }
            return
        }
        let output = update.actor.forward(
            update.store.values, collector.observations, rows: collector.count, actingWorkspace)
        collector.actions.update(from: output, count: count)
        noise.advance(generator: &noiseGenerator)
        noise.add(to: collector.actions)
    }

    private func train() throws {
        let count = rhythm.updates(environments: collector.count)
        if count == 0 { return }
        update.begin(
            learningRate: learningRate.value(progressRemaining: progressRemaining),
            normalisation: collector.normalisation)
        runner.run(update, stages: count * TD3Update.stages)
        update.finish()
        if let term = update.notFinite { throw NotFiniteError(term: term, step: steps) }
    }
}

extension TD3 {
    /// Writes everything that the run needs to go on exactly, but for the environments' own state.
    public func save(to writer: inout StateWriter) {
        actionGenerator.save(to: &writer)
        noiseGenerator.save(to: &writer)
        noise.save(to: &writer)
        update.save(to: &writer)
        collector.save(to: &writer)
    }

    /// Has the next iteration start new episodes.
    public func startFreshEpisodes() { collector.startFreshEpisodes() }

    /// Goes on where the run stood that wrote this.
    ///
    /// - Throws: ``StateError`` when it is of another run's shape.
    public func restore(from reader: inout StateReader) throws {
        actionGenerator = try NumPyGenerator(from: &reader)
        noiseGenerator = try NumPyGenerator(from: &reader)
        try noise.restore(from: &reader)
        try update.restore(from: &reader)
        try collector.restore(from: &reader)
    }
}
