import Agents
import GymCore
import RunFiles
import Testing

/// Learning while environments step gives what learning one after the other gives, to the bit.
@Suite struct OverlapTests {
    private func weights(
        _ algorithm: Algorithm, _ settings: [(key: String, value: String)], overlaps: Bool
    ) throws -> [NamedTensor] {
        let h = try algorithm.hyperparameters(
            environment: "none", settings: OverlapTests.small + [("n_envs", "2")] + settings)
        let batch = try LocalBatch(algorithm == .dqn ? "CartPole-v1" : "Pendulum-v1", count: 2)
        let learner = try algorithm.learner(on: batch, hyperparameters: h, seed: 3, overlaps: overlaps)
        while learner.steps < learner.totalSteps { _ = try learner.iterate() }
        return learner.policy.tensors
    }

    private static let small = [
        (key: "n_timesteps", value: "1500"), ("learning_starts", "100"), ("net_arch", "[16, 16]"), ("batch_size", "20"),
    ]

    /// Delays and rhythms that put updates of the actor at other places; noise that belongs to episodes.
    @Test(arguments: [("2", "1", "1"), ("3", "2", "1"), ("5", "1", "3"), ("1", "1", "1"), ("4", "3", "-1")])
    func updatesDuringStepsChangeNothing(delay: String, frequency: String, gradients: String) throws {
        let settings = [
            (key: "policy_delay", value: delay), ("train_freq", frequency), ("gradient_steps", gradients),
            ("noise_type", "ornstein-uhlenbeck"),
        ]
        #expect(try weights(.td3, settings, overlaps: true) == weights(.td3, settings, overlaps: false))
    }

    /// DQN's random choices do not wait for updates; with `act_ahead` nothing does.
    @Test(
        arguments: [
            (.dqn, [("train_freq", "1"), ("exploration_fraction", "1")]),
            (.dqn, [("train_freq", "4"), ("gradient_steps", "2"), ("target_update_interval", "7"), ("n_steps", "3")]),
            (.dqn, [("train_freq", "1"), ("act_ahead", "true"), ("learning_rate", "0.01")]),
            (.sac, [("act_ahead", "true")]), (.td3, [("act_ahead", "true"), ("noise_type", "ornstein-uhlenbeck")]),
            (.sac, [("act_ahead", "true"), ("use_sde", "true"), ("train_freq", "8"), ("sde_sample_freq", "3")]),
        ] as [(Algorithm, [(key: String, value: String)])])
    func stepsDuringUpdatesChangeNothing(algorithm: Algorithm, settings: [(key: String, value: String)]) throws {
        let alone = try weights(algorithm, settings, overlaps: false)
        #expect(try weights(algorithm, settings, overlaps: true) == alone)
        // Acting ahead is another way to learn.
        if settings.contains(where: { $0.key == "act_ahead" }) {
            #expect(try weights(algorithm, settings + [("act_ahead", "false")], overlaps: false) != alone)
        }
    }

    /// A step is sent before an update that the actions do not depend on, and received after; otherwise it waits.
    ///
    /// 300 updates each: every second one leaves TD3's actor; a rate of exploration of 1 leaves nothing to DQN's
    /// network, one of 0 everything; of those that all steps could overlap with the last has no step after it.
    @Test(
        arguments: [
            (.td3, [], 150), (.dqn, [("exploration_final_eps", "1")], 299),
            (.dqn, [("exploration_initial_eps", "0"), ("exploration_final_eps", "0")], 0), (.sac, [], 0),
            (.sac, [("act_ahead", "true")], 299), (.td3, [("act_ahead", "true")], 299),
        ] as [(Algorithm, [(key: String, value: String)], Int)])
    func stepsAreSentBeforeUpdates(
        algorithm: Algorithm, settings: [(key: String, value: String)], overlapped: Int
    ) throws {
        let h = try algorithm.hyperparameters(
            environment: "none",
            settings: OverlapTests.small + [("n_timesteps", "400"), ("train_freq", "1")] + settings)
        let batch = try LocalBatch(algorithm == .dqn ? "CartPole-v1" : "Pendulum-v1", count: 1)
        let learner = try algorithm.learner(on: batch, hyperparameters: h, seed: 0, overlaps: true)
        var updatesWhenSent = 0
        var stepsWithUpdates = 0
        batch.onSend = { [unowned learner] in updatesWhenSent = learner.updates }
        batch.onStep = { [unowned learner] in stepsWithUpdates += learner.updates > updatesWhenSent ? 1 : 0 }
        while learner.steps < 400 { _ = try learner.iterate() }
        #expect(learner.updates == 300 && stepsWithUpdates == overlapped)
    }
}
