import Foundation
import GymCore
import NeuralNetwork

/// Soft actor–critic (Haarnoja et al. 2018, arXiv 1801.01290 and 1812.05905): off-policy, with a policy that is as
/// random as it can afford to be.
///
/// Two forms: today's, whose critics learn from their own slowly following targets, and the first one
/// (`value_network: true`), in which a network for the value of a state stands between them. The temperature α is
/// found while learning or given, in both.
public final class SAC: Learner {

    // MARK: Hyperparameters

    /// What SAC knows, with Stable-Baselines3's defaults under rl-baselines3-zoo's keys.
    public static let schema: [Hyperparameter] =
        Hyperparameter.offPolicy(batchSize: 256, learningRate: 3e-4, trainFrequency: 1, network: [256, 256])
        + Hyperparameter.explorationNoise(nil) + [
            .init("tau", .real(0...1), .real(0.005), "how far the targets follow with each update"),
            .init(
                "target_update_interval", .integer(1...1_000_000), .integer(1), "updates after which the targets follow"
            ),
            .init(
                "ent_coef", .automatic(0...1e6), .text("auto"),
                "the temperature: what a nat of entropy is worth in rewards"),
            .init(
                "target_entropy", .automatic(-1e6...1e6), .text("auto"),
                "the entropy that an automatic temperature aims at; auto: minus the dimensions of an action"),
            .init("value_network", .bool, .bool(false), "the first form, with a network for the value of a state"),
        ]

    private let rhythm: TrainingRhythm
    private let learningRate: Schedule
    private let tau: Float
    private let targetInterval: Int
    private let seed: UInt64

    // MARK: State

    package let collector: TransitionCollector
    private let box: BoxActions
    package let actor: MultiLayerPerceptron
    package let actorStore: ParameterStore
    package let update: SACUpdate
    private let runner: HalfRunner
    private let actingWorkspace: MultiLayerPerceptron.Workspace
    private let scratch: UnsafeMutablePointer<Float>
    private var actionGenerator: NumPyGenerator
    private var noiseGenerator: NumPyGenerator
    private var noise: ExplorationNoise

    public var steps: Int { collector.steps }
    public let totalSteps: Int
    public private(set) var updates = 0

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
        tau = Float(h.real("tau"))
        targetInterval = h.integer("target_update_interval")
        box = try BoxActions(batch.actionSpace, algorithm: "sac")
        collector = try TransitionCollector(batch: batch, h, actionSize: box.size)
        var generator = RandomStream.initialisation.generator(seed: seed)
        (actor, actorStore) = SAC.actor(h, inputs: collector.encoder.size, actions: box.size, generator: &generator)
        update = SACUpdate(
            h, actor: actor, store: actorStore, replay: collector.replay, seed: seed, generator: &generator)
        runner = HalfRunner(
            threads: threads,
            operations: Double(rhythm.updates(environments: batch.count)) * update.operations)
        actingWorkspace = MultiLayerPerceptron.Workspace(for: actor, capacity: batch.count)
        scratch = allocateFloats(batch.count * box.size)
        actionGenerator = RandomStream.actions.generator(seed: seed)
        noiseGenerator = RandomStream.exploration.generator(seed: seed)
        noise = ExplorationNoise(h, environments: batch.count, size: box.size)
        collector.onEnd = { [unowned self] in noise.reset(environment: $0) }
    }

    deinit { scratch.deallocate() }

    package static func actor(
        _ h: Hyperparameters, inputs: Int, actions: Int, generator: inout NumPyGenerator
    ) -> (MultiLayerPerceptron, ParameterStore) {
        var layout = ParameterLayout()
        let actor = MultiLayerPerceptron(
            "actor", sizes: [inputs] + h.networks("net_arch").actor + [2 * actions],
            activation: Activation(rawValue: h.text("activation_fn"))!, layout: &layout)
        let store = ParameterStore(layout)
        actor.initialise(store, hidden: .uniform, output: .uniform, generator: &generator)
        return (actor, store)
    }

    public var policy: any Policy {
        OffPolicyPolicy(
            actor, actorStore, others: update.critics, head: .squashed(box), encoder: collector.encoder,
            normalisation: collector.normalisation)
    }

    /// A policy of the shape that a run with these hyperparameters learns, for weights to be loaded into.
    ///
    /// - Throws: ``UnsupportedSpaceError``.
    public static func policy(
        _ h: Hyperparameters, observationSpace: Space, actionSpace: Space
    ) throws -> any Policy {
        let box = try BoxActions(actionSpace, algorithm: "sac")
        let encoder = try ObservationEncoder(observationSpace)
        let replay = ReplayBuffer(capacity: 1, observationSize: encoder.size, actionSize: box.size)
        var generator = RandomStream.initialisation.generator(seed: 0)
        let (actor, store) = SAC.actor(h, inputs: encoder.size, actions: box.size, generator: &generator)
        let update = SACUpdate(h, actor: actor, store: store, replay: replay, seed: 0, generator: &generator)
        return OffPolicyPolicy(
            actor, store, others: update.critics, head: .squashed(box), encoder: encoder,
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

    /// Chooses the next actions: at random before learning starts, then as the policy draws them.
    private func act() {
        let size = box.size
        if steps < rhythm.learningStarts {
            for index in 0..<collector.count * size {
                collector.actions[index] = Float(actionGenerator.uniform(-1, 1))
            }
            return
        }
        let output = actor.forward(
            actorStore.values, collector.observations, rows: collector.count, actingWorkspace)
        for row in 0..<collector.count {
            for index in 0..<size { scratch[index] = Float(actionGenerator.standardNormal()) }
            _ = SquashedGaussian.act(
                output + row * 2 * size, noise: scratch, count: size, action: collector.actions + row * size)
        }
        noise.advance(generator: &noiseGenerator)
        noise.add(to: collector.actions)
    }

    private func train() throws {
        let count = rhythm.updates(environments: collector.count)
        if count == 0 { return }
        update.begin(
            updates: updates, learningRate: learningRate.value(progressRemaining: progressRemaining), tau: tau,
            targetInterval: targetInterval, normalisation: collector.normalisation)
        runner.run(update, stages: count * SACUpdate.stages)
        update.finish()
        if let term = update.notFinite { throw NotFiniteError(term: term, step: steps) }
        updates += count
    }
}

extension SAC {
    /// Writes everything that the run needs to go on exactly, but for the environments' own state.
    public func save(to writer: inout StateWriter) {
        writer.write(UInt64(updates))
        actionGenerator.save(to: &writer)
        noiseGenerator.save(to: &writer)
        noise.save(to: &writer)
        writer.write(actorStore)
        update.save(to: &writer)
        collector.save(to: &writer)
    }

    /// Has the next iteration start new episodes.
    public func startFreshEpisodes() { collector.startFreshEpisodes() }

    /// Goes on where the run stood that wrote this.
    ///
    /// - Throws: ``StateError`` when it is of another run's shape.
    public func restore(from reader: inout StateReader) throws {
        updates = try reader.readCount()
        actionGenerator = try NumPyGenerator(from: &reader)
        noiseGenerator = try NumPyGenerator(from: &reader)
        try noise.restore(from: &reader)
        try reader.read(into: actorStore)
        try update.restore(from: &reader)
        try collector.restore(from: &reader)
    }
}
