import GymCore
import NeuralNetwork

/// Twin delayed deep deterministic policy gradient (Fujimoto et al. 2018, arXiv 1802.09477): a policy without any
/// randomness of its own, critics that take the smaller of two values at a blurred action, and an actor that waits.
public enum TD3: Method {
    public static let name = "td3"
    public static let summary = "twin delayed deterministic policy gradient: off-policy, continuous actions"

    // MARK: Hyperparameters

    /// What TD3 can be told: Stable-Baselines3's defaults under rl-baselines3-zoo's keys, but for the exploration noise,
    /// which is Stable-Baselines3's to be given and here the paper's.
    public final class Settings: ExplorationSettings, DeclaredSettings, @unchecked Sendable {
        public static let declared = Settings()
        public static var method: any Method.Type { TD3.self }

        /// `tau`
        public let tau = Setting<Double>("tau", 0.005, in: 0...1, "how far the targets follow each time")
        /// `policy_delay`
        public let policyDelay = Setting<Int>(
            "policy_delay", 2, in: 1...1_000_000, "updates of the critics for one of the actor and of all targets")
        /// `target_policy_noise`
        public let targetNoise = Setting<Double>(
            "target_policy_noise", 0.2, in: 0...10,
            "deviation of the noise on the target's actions, scaled to -1 ... 1")
        /// `target_noise_clip`
        public let targetNoiseClip = Setting<Double>(
            "target_noise_clip", 0.5, in: 0...10, "that noise stays within ± this")
        /// `n_critics`
        public let critics = Setting<Int>(
            "n_critics", 2, in: 1...2, "Q-functions; with 1, no noise and no delay it is ddpg")

        private init() {
            super.init(
                noise: .normal, batchSize: 256, learningRate: 1e-3, trainFrequency: 1, hiddenLayers: [400, 300])
        }
    }

    public static var presetFile: [UInt8] { PackageResources.td3_yml }

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

    /// An actor, critics, and the targets of both.
    package final class Networks: DeterministicMethod {
        package let model: DeterministicActorCritic
        package let delay: Int
        private let work: BoxWork
        private let tau: Float
        private let noiseDeviation: Double
        private let noiseClip: Float
        private let noises: [Noise]
        package private(set) var updates = 0

        /// The noise of the target actions, of one piece of a minibatch.
        private final class Noise {
            var generator: NumPyGenerator
            init(_ generator: NumPyGenerator) { self.generator = generator }
        }

        package init(_ c: Configuration, _ work: BoxWork) {
            self.work = work
            delay = c.policyDelay
            tau = Float(c.tau)
            noiseDeviation = c.targetNoise
            noiseClip = Float(c.targetNoiseClip)
            noises = (0..<work.parts.pieces).map {
                Noise(work.parts.generator(.targets, seed: work.seed, piece: $0))
            }
            model = DeterministicActorCritic(c, work, critics: c.critics)
        }

        package func update(learningRate: Double, progress: Progress, normalisation: Normalisation) throws {
            work.minibatches.draw()
            work.workers.run(noises.count) { piece in
                let batch = work.minibatches.gather(piece, normalisation: normalisation)
                chooseNextActions(batch, piece)
                model.regress(batch, piece)
            }
            try model.stepCritics(learningRate: learningRate)

            // CRUCIAL and easy to overlook: the delay holds for the critics' targets as well as for the actor.
            if (updates + 1) % delay == 0 {
                work.workers.run(noises.count) { piece in model.improve(piece) }
                try model.stepActor(learningRate: learningRate)
                model.targets.follow(rate: tau)
            }
            updates += 1
        }

        /// a′ = clip(π⁻(s′) + clip(ε, ±c), ±1), ε ~ N(0, σ²).
        private func chooseNextActions(_ batch: TransitionBatch, _ piece: Int) {
            let (output, noises) = (model.targetActions(batch, piece), noises[piece])
            // Actions are from -1 to 1 here, and so is the noise: it needs no scaling by the bounds of the space.
            let actions = batch.nextActions
            for row in 0..<batch.count {
                for column in 0..<actions.columns {
                    let noise = noiseDeviation == 0 ? 0 : Float(noiseDeviation * noises.generator.standardNormal())
                    actions[row, column] = min(max(output[row, column] + min(max(noise, -noiseClip), noiseClip), -1), 1)
                }
            }
        }

        package func code(_ state: inout StateCoder) throws {
            try state(&updates)
            try model.code(&state)
            for noise in noises { try state(&noise.generator) }
            try model.exploration.code(&state)
        }
    }
}

extension Algorithm {
    /// ``TD3``.
    public static let td3 = Algorithm(TD3.self)
}
