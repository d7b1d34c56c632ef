import GymCore

extension Hyperparameter {
    /// The networks of the algorithms that learn from rows of numbers alone.
    static let rowsPolicy = Hyperparameter(
        "policy", .choice(["MlpPolicy"]), .text("MlpPolicy"), "fully connected networks")

    /// What every off-policy algorithm knows, but for `policy`, under rl-baselines3-zoo's keys.
    static func offPolicy(
        batchSize: Int, learningRate: Double, trainFrequency: Int, network: [Int]
    ) -> [Hyperparameter] {
        [
            .init(
                "n_timesteps", .integer(1...Int.max), .integer(1_000_000),
                "steps of the run, all environments together"),
            .init("n_envs", .integer(1...65_536), .integer(1), "environments stepped together"),
            .init("buffer_size", .integer(1...100_000_000), .integer(1_000_000), "transitions kept"),
            .init("learning_starts", .integer(0...Int.max), .integer(100), "steps at random before learning"),
            .init("batch_size", .integer(1...1_000_000), .integer(batchSize), "transitions of an update"),
            .init("learning_rate", .schedule(0...1), .schedule(.constant(learningRate)), "step size of Adam"),
            .init("gamma", .real(0...1), .real(0.99), "discount"),
            .init(
                "train_freq", .integer(1...1_000_000), .integer(trainFrequency),
                "steps of each environment between updates"),
            .init(
                "gradient_steps", .integer(-1...1_000_000), .integer(1),
                "updates each time; -1: as many as steps of all environments since the last"),
            .init(
                "act_ahead", .bool, .bool(false),
                "whether the actions after an update are chosen before it, so that environments can step during it"),
            .init("n_steps", .integer(1...1000), .integer(1), "rewards that a target sums before it trusts the critic"),
            .init("normalize", .bool, .bool(false), "running normalisation; norm_obs and norm_reward say of what"),
            .init("norm_obs", .bool, .bool(true), "with normalize: observations by their mean and deviation"),
            .init(
                "norm_reward", .bool, .bool(true), "with normalize: rewards by the deviation of the discounted return"),
            .init("clip_obs", .real(0...1e6), .real(10), "with normalize: observations stay within ± this"),
            .init("clip_reward", .real(0...1e6), .real(10), "with normalize: rewards stay within ± this"),
            .init("net_arch", .networks, .networks(actor: network, critic: network), "widths of the hidden layers"),
            .init("activation_fn", .choice(["relu", "tanh"]), .text("relu"), "what follows a hidden layer"),
            .layerNorm,
            .init("adam_epsilon", .real(0...1), .real(1e-8), "added to the root of Adam's second moment"),
        ]
    }

    /// Exploration by noise that is added to the actions.
    static func explorationNoise(_ kind: ExplorationNoise.Kind?) -> [Hyperparameter] {
        [
            .init(
                "noise_type", .optional(.choice(ExplorationNoise.Kind.allCases.map(\.rawValue))),
                kind.map { .text($0.rawValue) } ?? .none, "noise on the actions; null: none"),
            .init(
                "noise_std", .schedule(0...10), .schedule(.constant(0.1)),
                "its deviation, actions being scaled to -1 ... 1"),
        ]
    }
}

extension Normalisation {
    /// What the hyperparameters ask for.
    package init(_ h: Hyperparameters, size: Int, environments: Int) {
        let normalises = h.bool("normalize")
        self.init(
            observations: normalises && h.bool("norm_obs"), rewards: normalises && h.bool("norm_reward"), size: size,
            environments: environments, gamma: h.real("gamma"), observationClip: h.real("clip_obs"),
            rewardClip: h.real("clip_reward"))
    }
}

/// When an off-policy learner learns, with the meaning of Stable-Baselines3's `train_freq` and `gradient_steps`.
struct TrainingRhythm {
    let learningStarts: Int
    let trainFrequency: Int
    let gradientSteps: Int

    init(_ h: Hyperparameters) {
        learningStarts = h.integer("learning_starts")
        trainFrequency = h.integer("train_freq")
        gradientSteps = h.integer("gradient_steps")
    }

    /// Updates after `trainFrequency` steps of that many environments.
    func updates(environments: Int) -> Int {
        gradientSteps >= 0 ? gradientSteps : trainFrequency * environments
    }

    /// Steps after which a learner reports: a line in the log every so often, not every step.
    static let reportInterval = 1000
}

/// The mean of what was added since it was last taken.
package struct RunningMean {
    private var sum = 0.0
    private var count = 0

    package mutating func add(_ value: Double) {
        sum += value
        count += 1
    }

    /// The mean, `nil` of nothing; forgets what was added.
    package mutating func take() -> Double? {
        defer { (sum, count) = (0, 0) }
        return count == 0 ? nil : sum / Double(count)
    }
}
