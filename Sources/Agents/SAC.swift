import GymCore

/// Soft actor–critic (Haarnoja et al. 2018, arXiv 1801.01290 and 1812.05905): off-policy, with a policy that is as
/// random as it can afford to be.
///
/// Two forms: today's, whose critics learn from their own slowly following targets, and the first one
/// (`value_network: true`), in which a network for the value of a state stands between them. The temperature α is
/// found while learning or given, in both.
public final class SAC: ActorCriticLearner {

    // MARK: Hyperparameters

    /// What SAC knows, with Stable-Baselines3's defaults under rl-baselines3-zoo's keys.
    public static let schema: [Hyperparameter] =
        [Hyperparameter.rowsPolicy]
        + Hyperparameter.offPolicy(batchSize: 256, learningRate: 3e-4, trainFrequency: 1, network: [256, 256])
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
            .init("use_sde", .bool, .bool(false), "state-dependent exploration (gSDE)"),
            .init(
                "sde_sample_freq", .integer(-1...1_000_000), .integer(-1),
                "steps after which gSDE's noise is drawn anew, besides after each update; -1: only then"),
            .init(
                "use_sde_at_warmup", .bool, .bool(false),
                "with gSDE: whether the policy acts before learning_starts, in place of uniform choice"),
            .init("log_std_init", .real(-20...5), .real(-3), "with gSDE: logarithm of its deviations at the start"),
        ]

    // MARK: The run

    /// A run that has not started.
    ///
    /// - Parameters:
    ///   - batch: environments with same-step autoreset.
    ///   - threads: 1 or 2; the result is the same. By default what the machine has.
    ///   - overlaps: with `act_ahead`, whether the environments step during updates; the result is the same.
    /// - Throws: ``UnsupportedSpaceError``.
    public init(
        batch: any EnvironmentBatch, hyperparameters h: Hyperparameters, seed: UInt64, threads: Int? = nil,
        overlaps: Bool = false
    ) throws {
        let isStateDependent = h.bool("use_sde")
        try super.init(
            .sac, batch: batch, hyperparameters: h, seed: seed, threads: threads, overlaps: overlaps,
            lastingNoise: (
                isStateDependent ? h.integer("sde_sample_freq") : 0, isStateDependent && h.bool("use_sde_at_warmup")
            )
        ) {
            SACUpdate(h, replay: $0, environments: $1, seed: seed)
        }
    }

    /// A policy of the shape that a run with these hyperparameters learns, for weights to be loaded into.
    ///
    /// - Throws: ``UnsupportedSpaceError``.
    public static func policy(
        _ h: Hyperparameters, observationSpace: Space, actionSpace: Space
    ) throws -> any Policy {
        try policy(.sac, h, observationSpace: observationSpace, actionSpace: actionSpace) {
            SACUpdate(h, replay: $0, seed: 0)
        }
    }
}
