import GymCore
import NeuralNetwork

/// The networks of an algorithm whose actor gives real actions.
package protocol ActorUpdateWithCritics: OffPolicyUpdate {
    /// From observations to what the policy acts by.
    var actor: MultiLayerPerceptron { get }
    /// The actor's parameters.
    var store: ParameterStore { get }
    /// What is saved with the policy besides the actor.
    var others: [ParameterStore] { get }
    /// What a row of the actor's outputs means, as a greedy action.
    var squashing: OffPolicyPolicy.Squashing { get }

    /// Draws anew what stays the same over several steps of the environments, where there is such a thing.
    func resetNoise(environments: Int, generator: inout NumPyGenerator)
    /// The actions that the policy explores by, from −1 to 1.
    ///
    /// - Parameters:
    ///   - observations: (rows, observation), a row an environment.
    ///   - actions: (rows, action).
    func act(
        _ observations: UnsafePointer<Float>, rows: Int, generator: inout NumPyGenerator,
        actions: UnsafeMutablePointer<Float>)
}

/// What SAC and TD3 share: real actions within bounds, random ones before learning starts, noise on those of the policy.
public class ActorCriticLearner: OffPolicyLearner {
    private let box: BoxActions
    package let networks: any ActorUpdateWithCritics
    private let scratch: UnsafeMutablePointer<Float>
    private var noiseGenerator: NumPyGenerator
    private var noise: ExplorationNoise
    /// Whether the policy acts from the first step on.
    private let actsBeforeLearning: Bool
    /// Steps after which the policy's lasting noise is drawn anew, besides after each update; 0 or less: never.
    private let noiseInterval: Int

    public final override var policy: any Policy {
        ActorCriticLearner.policy(
            networks, box, encoder: collector.encoder, normalisation: collector.normalisation)
    }

    private static func policy(
        _ networks: any ActorUpdateWithCritics, _ box: BoxActions, encoder: ObservationEncoder,
        normalisation: Normalisation
    ) -> any Policy {
        OffPolicyPolicy(
            Network(networks.actor), networks.store, others: networks.others, head: .actions(box, networks.squashing),
            encoder: encoder, normalisation: normalisation)
    }

    /// - Parameters:
    ///   - lastingNoise: steps after which the policy's lasting noise is drawn anew besides, and whether the policy acts
    ///     from the first step on.
    ///   - make: the algorithm's networks, for a replay buffer and a number of environments.
    /// - Throws: ``UnsupportedSpaceError``.
    init(
        _ algorithm: Algorithm, batch: any EnvironmentBatch, hyperparameters h: Hyperparameters, seed: UInt64,
        threads: Int?, overlaps: Bool, lastingNoise: (interval: Int, actsBeforeLearning: Bool) = (0, false),
        make: (ReplayBuffer, Int) -> any ActorUpdateWithCritics
    ) throws {
        box = try BoxActions(batch.actionSpace, algorithm: algorithm.rawValue)
        let collector = try TransitionCollector(batch: batch, h, actionSize: box.size)
        networks = make(collector.replay, batch.count)
        scratch = allocateFloats(batch.count * box.size)
        noiseGenerator = RandomStream.exploration.generator(seed: seed)
        noise = ExplorationNoise(h, environments: batch.count, size: box.size)
        (noiseInterval, actsBeforeLearning) = lastingNoise
        super.init(h, collector: collector, update: networks, seed: seed, threads: threads, overlaps: overlaps)
        collector.onEnd = { [unowned self] in noise.reset(environment: $0) }
    }

    deinit { scratch.deallocate() }

    /// A policy of the shape that a run with these hyperparameters learns, for weights to be loaded into.
    ///
    /// - Throws: ``UnsupportedSpaceError``.
    static func policy(
        _ algorithm: Algorithm, _ h: Hyperparameters, observationSpace: Space, actionSpace: Space,
        make: (ReplayBuffer) -> any ActorUpdateWithCritics
    ) throws -> any Policy {
        let box = try BoxActions(actionSpace, algorithm: algorithm.rawValue)
        let encoder = try ObservationEncoder(observationSpace)
        let networks = make(ReplayBuffer(capacity: 1, observationSize: encoder.size, actionSize: box.size))
        return policy(
            networks, box, encoder: encoder,
            normalisation: Normalisation(h, size: encoder.size, environments: 1))
    }

    // MARK: Acting

    /// Chooses the next actions: at random before learning starts, then as the policy does, with noise, within bounds.
    final override func act(step: Int) {
        if step == 0 || (noiseInterval > 0 && step % noiseInterval == 0) {
            networks.resetNoise(environments: collector.count, generator: &noiseGenerator)
        }
        if isBeforeLearning && !actsBeforeLearning {
            for index in 0..<collector.count * box.size {
                collector.actions[index] = Float(actionGenerator.uniform(-1, 1))
            }
            return
        }
        networks.act(
            collector.floatObservations, rows: collector.count, generator: &actionGenerator, actions: collector.actions)
        noise.advance(progressRemaining: progressRemaining, generator: &noiseGenerator)
        noise.add(to: collector.actions)
    }

    final override func write(_ actions: UnsafeMutablePointer<Float>, rows: Int, to batch: BatchBuffer) {
        box.write(actions, rows: rows, scratch: scratch, to: batch)
    }

    final override func saveActing(to writer: inout StateWriter) {
        noiseGenerator.save(to: &writer)
        noise.save(to: &writer)
    }

    final override func restoreActing(from reader: inout StateReader) throws {
        noiseGenerator = try NumPyGenerator(from: &reader)
        try noise.restore(from: &reader)
    }
}
