import GymCore
import NeuralNetwork

/// Deep Q-learning (Mnih et al. 2015, doi 10.1038/nature14236): the value of each choice, learnt from replayed
/// transitions towards a target network that stands still between copies.
///
/// Double, dueling, n-step returns and prioritised replay are switches; without them it is Stable-Baselines3's.
public final class DQN: OffPolicyLearner {

    // MARK: Hyperparameters

    /// What DQN knows, with Stable-Baselines3's defaults under rl-baselines3-zoo's keys.
    public static let schema: [Hyperparameter] =
        Hyperparameter.pictures
        + Hyperparameter.offPolicy(batchSize: 32, learningRate: 1e-4, trainFrequency: 4, network: [64, 64])
        + [
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

    // MARK: The run

    private let targetInterval: Int
    private let exploration: LinearExploration
    private let codec: ActionCodec
    private let choices: Int
    package let update: DQNUpdate
    private let actingWorkspace: Network.Workspace
    /// The next choices; -1 where the network is to make one.
    private let chosen: UnsafeMutablePointer<Int32>
    /// Whether it is drawn already which of the next choices are random.
    private var hasDrawn = false
    /// Steps of the batch so far, which is what the target's copies are counted in.
    private var calls = 0
    /// Copies of the network to its target so far.
    package private(set) var targetUpdates = 0

    /// A run that has not started.
    ///
    /// - Parameters:
    ///   - batch: environments with same-step autoreset.
    ///   - threads: 1 or 2; the result is the same. By default what the machine has.
    ///   - overlaps: whether the environments step during updates that the next actions do not depend on: where all
    ///     explore, and with `act_ahead` during all; the result is the same.
    /// - Throws: ``UnsupportedSpaceError``.
    public init(
        batch: any EnvironmentBatch, hyperparameters h: Hyperparameters, seed: UInt64, threads: Int? = nil,
        overlaps: Bool = false
    ) throws {
        targetInterval = max(1, h.integer("target_update_interval") / batch.count)
        exploration = LinearExploration(
            initial: h.real("exploration_initial_eps"), final: h.real("exploration_final_eps"),
            fraction: h.real("exploration_fraction"))
        (codec, choices) = try DQN.actions(batch.actionSpace)
        let input = try NetworkInput(h, observationSpace: batch.observationSpace)
        let collector = try TransitionCollector(batch: batch, h, actionSize: 1, encoder: input.encoder)
        update = DQNUpdate(h, input: input, choices: choices, replay: collector.replay, seed: seed)
        actingWorkspace = Network.Workspace(for: update.network, capacity: batch.count)
        chosen = .allocate(capacity: batch.count)
        chosen.initialize(repeating: 0, count: batch.count)
        super.init(h, collector: collector, update: update, seed: seed, threads: threads, overlaps: overlaps)
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

    public override var policy: any Policy {
        DQN.policy(
            update, codec, choices: choices, encoder: collector.encoder, normalisation: collector.normalisation)
    }

    private static func policy(
        _ update: DQNUpdate, _ codec: ActionCodec, choices: Int, encoder: ObservationEncoder,
        normalisation: Normalisation
    ) -> any Policy {
        OffPolicyPolicy(
            update.network, update.store, others: [update.target], head: .largest(codec, choices: choices),
            encoder: encoder, normalisation: normalisation)
    }

    /// A policy of the shape that a run with these hyperparameters learns, for weights to be loaded into.
    ///
    /// - Throws: ``UnsupportedSpaceError``.
    public static func policy(
        _ h: Hyperparameters, observationSpace: Space, actionSpace: Space
    ) throws -> any Policy {
        let (codec, choices) = try actions(actionSpace)
        let input = try NetworkInput(h, observationSpace: observationSpace)
        let replay = ReplayBuffer(capacity: 1, encoder: input.encoder, span: 1, actionSize: 1)
        return policy(
            DQNUpdate(h, input: input, choices: choices, replay: replay, seed: 0), codec, choices: choices,
            encoder: input.encoder, normalisation: Normalisation(h, size: input.encoder.size, environments: 1))
    }

    // MARK: Acting

    /// Chooses the next actions: at random before learning starts, then greedily but for a falling share.
    override func act(step: Int) {
        if !actsWithoutPolicy() {
            let network = update.network
            let output = UnsafePointer(
                network.forward(update.store.values, collector.observations, rows: collector.count, actingWorkspace))
            for row in 0..<collector.count where chosen[row] < 0 {
                chosen[row] = Int32(indexOfLargest(output + (row + 1) * network.outputs - choices, count: choices))
            }
        }
        hasDrawn = false
        for row in 0..<collector.count { collector.actions[row] = Float(chosen[row]) }
    }

    /// Draws which of the next choices are random, and those.
    override func actsWithoutPolicy() -> Bool {
        if !hasDrawn {
            hasDrawn = true
            let rate = isBeforeLearning ? 1 : exploration.rate(progress: progress)
            for row in 0..<collector.count {
                chosen[row] =
                    actionGenerator.random() < rate ? Int32(actionGenerator.integer(in: 0..<choices)) : -1
            }
        }
        return (0..<collector.count).allSatisfy { chosen[$0] >= 0 }
    }

    override func write(_ actions: UnsafeMutablePointer<Float>, rows: Int, to batch: BatchBuffer) {
        for row in 0..<rows { chosen[row] = Int32(actions[row]) }
        codec.write(choices: chosen, rows: rows, to: batch)
    }

    override func stepped() {
        calls += 1
        // CRUCIAL and easy to overlook: copies are counted in steps, not in updates. With train_freq 256 and
        // gradient_steps 128, all 128 updates in a row see one target, however short the interval.
        guard calls % targetInterval == 0 else { return }
        update.followTarget()
        targetUpdates += 1
    }

    override func report(to metrics: inout Metrics) {
        metrics["rollout/exploration_rate"] = exploration.rate(progress: progress)
    }

    override func saveActing(to writer: inout StateWriter) {
        writer.write(UInt64(calls))
        writer.write(UInt64(targetUpdates))
    }

    override func restoreActing(from reader: inout StateReader) throws {
        calls = try reader.readCount()
        targetUpdates = try reader.readCount()
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
