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

    public static var presetFile: [UInt8] { PackageResources.ddpg_yml }

    // MARK: The run

    public static func learner(
        on batch: any EnvironmentBatch, _ c: Configuration, _ options: LearnerOptions
    ) throws -> any Learner {
        try BoxExperience(name, on: batch, c, options).learner(Networks.init)
    }

    public static func policy(
        _ c: Configuration, observationSpace: Space, actionSpace: Space
    ) throws -> any Policy {
        try BoxShape(name, c, observationSpace, actionSpace).policy(c, Networks.init)
    }

    // MARK: Learning

    /// An actor, a critic, and the targets of both.
    package final class Networks: DeterministicMethod {
        package let model: DeterministicActorCritic
        package let delay: Int
        private let work: BoxWork
        private let tau: Float
        private let targetInterval: Int
        package private(set) var updates = 0

        package init(_ c: Configuration, _ work: BoxWork) {
            self.work = work
            delay = c.policyDelay
            tau = Float(c.tau)
            targetInterval = c.targetInterval
            model = DeterministicActorCritic(c, work, critics: 1)
        }

        package func update(learningRate: Double, progress: Progress, normalisation: Normalisation) throws {
            work.minibatches.draw()
            work.workers.run(work.parts.pieces) { piece in
                let batch = work.minibatches.gather(piece, normalisation: normalisation)
                batch.nextActions.copy(model.targetActions(batch, piece))
                model.regress(batch, piece)
            }
            try model.stepCritics(learningRate: learningRate)
            if (updates + 1) % delay == 0 {
                work.workers.run(work.parts.pieces) { piece in model.improve(piece) }
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
