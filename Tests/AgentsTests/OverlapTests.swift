import Agents
import GymCore
import Testing

/// Learning while environments step gives what learning one after the other gives, to the bit.
@Suite struct OverlapTests {
    private func weights(
        _ algorithm: Algorithm, _ settings: [(String, String)], overlaps: Bool
    ) throws -> [NamedTensor] {
        var h = Hyperparameters(algorithm.schema)
        for (key, value) in settings + [("n_envs", "2")] { try h.set(key, value, source: "test") }
        let batch = try LocalBatch("Pendulum-v1", count: 2)
        let learner = try algorithm.learner(on: batch, hyperparameters: h, seed: 3, overlaps: overlaps)
        while learner.steps < learner.totalSteps { _ = try learner.iterate() }
        return learner.policy.tensors
    }

    /// Delays and rhythms that put updates of the actor at other places; noise that belongs to episodes.
    @Test(arguments: [("2", "1", "1"), ("3", "2", "1"), ("5", "1", "3"), ("1", "1", "1"), ("4", "3", "-1")])
    func updatesDuringStepsChangeNothing(delay: String, frequency: String, gradients: String) throws {
        let settings = [
            ("n_timesteps", "1500"), ("learning_starts", "100"), ("net_arch", "[16, 16]"), ("batch_size", "20"),
            ("policy_delay", delay), ("train_freq", frequency), ("gradient_steps", gradients),
            ("noise_type", "ornstein-uhlenbeck"),
        ]
        #expect(try weights(.td3, settings, overlaps: true) == weights(.td3, settings, overlaps: false))
    }

    /// Between two updates of the actor the step is sent first, and received after; otherwise it waits for the update.
    @Test func stepsAreSentBeforeUpdatesThatLeaveTheActor() throws {
        var h = Hyperparameters(TD3.schema)
        for (key, value) in [
            ("n_timesteps", "400"), ("learning_starts", "100"), ("net_arch", "[8]"), ("batch_size", "10"),
        ] { try h.set(key, value, source: "test") }
        let batch = WatchedBatch(try LocalBatch("Pendulum-v1", count: 1))
        let td3 = try TD3(batch: batch, hyperparameters: h, seed: 0, overlaps: true)
        batch.updates = { td3.updates }
        while td3.steps < 400 { _ = try td3.iterate() }
        // 300 updates, every second one of the actor.
        #expect(td3.updates == 300 && batch.overlapped == 150)
    }
}

/// A batch that counts the steps during which its learner learnt.
private final class WatchedBatch: EnvironmentBatch {
    private let batch: LocalBatch
    private var updatesWhenSent = 0
    var updates: () -> Int = { 0 }
    private(set) var overlapped = 0

    init(_ batch: LocalBatch) { self.batch = batch }

    var count: Int { batch.count }
    var observationSpace: Space { batch.observationSpace }
    var actionSpace: Space { batch.actionSpace }
    var actions: BatchBuffer { batch.actions }
    var results: StepBuffers { batch.results }

    func startEpisodes(seeds: [UInt64]) throws { try batch.startEpisodes(seeds: seeds) }

    func sendActions() throws {
        updatesWhenSent = updates()
        try batch.sendActions()
    }

    func receiveResults() throws {
        if updates() > updatesWhenSent { overlapped += 1 }
        try batch.receiveResults()
    }
}
