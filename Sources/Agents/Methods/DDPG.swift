import GymCore
import NeuralNetwork

/// Deep deterministic policy gradient (Lillicrap et al. 2016, arXiv 1509.02971): a critic learns the value of what a policy
/// without any randomness of its own does, the policy climbs the critic, and the targets of both follow slowly.
public enum DDPG: Method {
    public static let name = "ddpg"
    public static let summary = "deep deterministic policy gradient: off-policy, continuous actions"

    // MARK: Hyperparameters

    /// What DDPG can be told: Stable-Baselines3's defaults under rl-baselines3-zoo's keys, but for the exploration noise,
    /// which is Stable-Baselines3's to be given and here the paper's.
    public final class Settings: ExplorationSettings, DeclaredSettings, @unchecked Sendable {
        public static let declared = Settings()
        public static var method: any Method.Type { DDPG.self }

        /// `tau`
        public let tau = Setting<Double>("tau", 0.005, in: 0...1, "how far the targets follow each time")
        /// `target_update_interval`
        public let targetInterval = Setting<Int>(
            "target_update_interval", 1, in: 1...1_000_000, "updates of the critic for one of the targets")
        /// `policy_delay`
        public let policyDelay = Setting<Int>(
            "policy_delay", 1, in: 1...1_000_000, "updates of the critic for one of the actor")

        private init() {
            super.init(
                noise: .ornsteinUhlenbeck, batchSize: 256, learningRate: 1e-3, trainFrequency: 1,
                hiddenLayers: [400, 300])
        }
    }

    /// DDPG's hyperparameters, each with its type.
    public typealias Configuration = MethodConfiguration<Settings>
    public static var settings: Agents.Settings { Settings.declared }
    public static var presetFile: [UInt8] { PackageResources.ddpg_yml }

    // MARK: The run

    public static func learner(
        on batch: any EnvironmentBatch, _ hyperparameters: Hyperparameters, options: LearnerOptions
    ) throws -> any Learner {
        try run(on: batch, Configuration(hyperparameters), options)
    }

    package static func run(
        on batch: any EnvironmentBatch, _ configuration: Configuration, _ options: LearnerOptions
    ) throws -> OffPolicyLearner<Networks> {
        try BoxExperience(name, on: batch, configuration, options).learner { experience in
            Networks(
                configuration, experience.shape, replays: experience.replays, parts: experience.parts,
                seed: options.seed, experience.context)
        }
    }

    public static func policy(
        _ hyperparameters: Hyperparameters, observationSpace: Space, actionSpace: Space
    ) throws -> any Policy {
        let configuration = Configuration(hyperparameters)
        let shape = try BoxShape(
            name, configuration, observationSpace: observationSpace, actionSpace: actionSpace, environments: 1)
        return Networks(configuration, shape).policy(
            normalisation: Normalisation(configuration, size: shape.input.encoder.size, environments: 1))
    }

    // MARK: Learning

    /// An actor, a critic, and the targets of both.
    package final class Networks: DeterministicMethod {
        package let model: DeterministicActorCritic
        package let delay: Int
        private let workers: Workers
        private let pieces: Int
        private let tau: Float
        private let targetInterval: Int
        package private(set) var updates = 0

        /// Networks of the given shape; without replays, for weights to be loaded into.
        package init(
            _ c: Configuration, _ shape: BoxShape, replays: [Replay] = [], parts: Parts = Parts(slices: 2),
            seed: UInt64 = 0, _ context: UpdateContext = UpdateContext(workers: Workers(threads: 1))
        ) {
            workers = context.workers
            pieces = parts.pieces
            delay = c.policyDelay
            tau = Float(c.tau)
            targetInterval = c.targetInterval
            model = DeterministicActorCritic(
                c, shape, critics: 1, replays: replays, parts: parts, seed: seed, context)
        }

        package func update(learningRate: Double, progress: Progress, normalisation: Normalisation) throws {
            model.minibatches.draw()
            workers.run(pieces) { piece in
                let batch = model.minibatches.gather(piece, normalisation: normalisation)
                batch.nextActions.copy(model.targetActions(batch, piece))
                model.regress(batch, piece)
            }
            try model.stepCritics(learningRate: learningRate)
            if (updates + 1) % delay == 0 {
                workers.run(pieces) { piece in model.improve(piece) }
                try model.stepActor(learningRate: learningRate)
            }
            if (updates + 1) % targetInterval == 0 { model.targets.follow(rate: tau) }
            updates += 1
        }

        package func code(_ state: inout StateCoder) throws {
            try state(&updates)
            try model.code(&state)
            try model.exploration.code(&state)
        }
    }
}

extension Algorithm {
    /// ``DDPG``.
    public static let ddpg = Algorithm(DDPG.self)
}
