import GymCore

/// Twin delayed deep deterministic policy gradient (Fujimoto et al. 2018, arXiv 1802.09477): a policy without any
/// randomness of its own, critics that take the smaller of two values at a blurred action, and an actor that waits.
public final class TD3: ActorCriticLearner {

    // MARK: Hyperparameters

    /// What TD3 knows, with Stable-Baselines3's defaults under rl-baselines3-zoo's keys, but for the exploration noise,
    /// which is Stable-Baselines3's to be given and here the paper's.
    public static let schema: [Hyperparameter] =
        [Hyperparameter.rowsPolicy]
        + Hyperparameter.offPolicy(batchSize: 256, learningRate: 1e-3, trainFrequency: 1, network: [400, 300])
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

    // MARK: The run

    /// A run that has not started.
    ///
    /// - Parameters:
    ///   - batch: environments with same-step autoreset.
    ///   - threads: 1 or 2; the result is the same. By default what the machine has.
    ///   - overlaps: whether the environments step during updates that the next actions do not depend on: those that
    ///     leave the actor as it is, and with `act_ahead` all; the result is the same.
    /// - Throws: ``UnsupportedSpaceError``.
    public init(
        batch: any EnvironmentBatch, hyperparameters h: Hyperparameters, seed: UInt64, threads: Int? = nil,
        overlaps: Bool = false
    ) throws {
        try super.init(.td3, batch: batch, hyperparameters: h, seed: seed, threads: threads, overlaps: overlaps) {
            TD3Update(h, replay: $0, environments: $1, seed: seed)
        }
    }

    /// A policy of the shape that a run with these hyperparameters learns, for weights to be loaded into.
    ///
    /// - Throws: ``UnsupportedSpaceError``.
    public static func policy(
        _ h: Hyperparameters, observationSpace: Space, actionSpace: Space
    ) throws -> any Policy {
        try policy(.td3, h, observationSpace: observationSpace, actionSpace: actionSpace) {
            TD3Update(h, replay: $0, seed: 0)
        }
    }
}
