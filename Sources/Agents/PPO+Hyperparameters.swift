extension PPO {
    /// What PPO knows, with Stable-Baselines3's defaults under rl-baselines3-zoo's keys.
    public static let schema: [Hyperparameter] = Hyperparameter.pictures + others

    private static let others: [Hyperparameter] = [
        .init("n_timesteps", .integer(1...Int.max), .integer(1_000_000), "steps of the run, all environments together"),
        .init("n_envs", .integer(1...65_536), .integer(1), "environments stepped together"),
        .init("n_steps", .integer(1...1_000_000), .integer(2048), "steps of each environment in a rollout"),
        .init("batch_size", .integer(1...10_000_000), .integer(64), "rows of a minibatch"),
        .init("n_epochs", .integer(1...1000), .integer(10), "times that each rollout is gone through"),
        .init("learning_rate", .schedule(0...1), .schedule(.constant(3e-4)), "step size of Adam"),
        .init("gamma", .real(0...1), .real(0.99), "discount"),
        .init(
            "gae_lambda", .real(0...1), .real(0.95),
            "advantages: 0 trusts the critic (one step), 1 the returns (Monte Carlo)"),
        .init(
            "clip_range", .optional(.schedule(0...10)), .schedule(.constant(0.2)),
            "the ratio of probabilities gains nothing outside 1 ± this; null: no clipping"),
        .init(
            "clip_range_vf", .optional(.schedule(0...1e6)), .none,
            "the value gains nothing by leaving the old one by more than this; null: no clipping"),
        .init(
            "normalize_advantage", .bool, .bool(true),
            "whether advantages have mean 0 and deviation 1 in each minibatch"),
        .init("ent_coef", .schedule(0...10), .schedule(.constant(0)), "weight of the entropy bonus"),
        .init("vf_coef", .real(0...1e3), .real(0.5), "weight of the mean squared error of the values (without a half)"),
        .init("kl_coef", .real(0...1e3), .real(0), "weight of a penalty on the divergence from the old policy"),
        .init(
            "max_grad_norm", .optional(.real(0...1e6)), .real(0.5),
            "the gradient of actor and critic together is scaled down to this norm; null: never"),
        .init(
            "target_kl", .optional(.real(0...1e3)), .none,
            "the epochs end when the divergence from the old policy passes 1.5 times this; null: never"),
        .init("use_sde", .bool, .bool(false), "state-dependent exploration (gSDE)"),
        .init(
            "sde_sample_freq", .integer(-1...1_000_000), .integer(-1),
            "steps after which gSDE's noise is drawn anew; -1: once a rollout"),
        .init("normalize", .bool, .bool(false), "running normalisation; norm_obs and norm_reward say of what"),
        .init("norm_obs", .bool, .bool(true), "with normalize: observations by their mean and deviation"),
        .init("norm_reward", .bool, .bool(true), "with normalize: rewards by the deviation of the discounted return"),
        .init("clip_obs", .real(0...1e6), .real(10), "with normalize: observations stay within ± this"),
        .init("clip_reward", .real(0...1e6), .real(10), "with normalize: rewards stay within ± this"),
        .init(
            "net_arch", .networks, .networks(actor: [64, 64], critic: [64, 64]), "widths of the hidden layers"),
        .init("activation_fn", .choice(["tanh", "relu", "identity"]), .text("tanh"), "what follows a hidden layer"),
        .layerNorm,
        .init("ortho_init", .bool, .bool(true), "orthogonal initialisation; else PyTorch's default"),
        .init("log_std_init", .real(-20...5), .real(0), "logarithm of the actions' deviation at the start"),
        .init("adam_epsilon", .real(0...1), .real(1e-5), "added to the root of Adam's second moment"),
    ]
}
