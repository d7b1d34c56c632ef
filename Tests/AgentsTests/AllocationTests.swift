import Agents
import AllocationCounter
import GymCore
import Testing

/// After warm-up an update allocates nothing.
@Suite(.enabled(if: allocations_are_counted())) struct AllocationTests {
    /// Updates of a learner that has seen a few steps, without the steps.
    private func allocations<Learning>(
        _ algorithm: Algorithm, _ environment: String, _ settings: [(key: String, value: String)],
        _ run: (any EnvironmentBatch, Hyperparameters, UInt64, Int?) throws -> OffPolicyLearner<Learning>
    ) throws -> UInt64 {
        let h = try algorithm.hyperparameters(
            environment: "none",
            settings: [
                ("net_arch", "[16, 16]"), ("batch_size", "20"), ("learning_starts", "100000"), ("n_timesteps", "1000"),
                ("n_envs", "2"),
            ] + settings)
        let learner = try run(LocalBatch(environment, count: 2), h, 1, 1)
        _ = try learner.iterate()
        let normalisation = learner.collector.normalisation
        func allocations() throws -> UInt64 {
            let before = allocations_of_this_thread()
            for _ in 0..<10 {
                try learner.method.update(
                    learningRate: 1e-3, progress: Progress(steps: 0, of: 1), normalisation: normalisation)
            }
            return allocations_of_this_thread() - before
        }
        _ = try allocations()
        let count = try allocations()
        #expect(learner.updates == 20)
        return count
    }

    @Test(
        arguments: [
            [], [(key: "layer_norm", value: "true"), ("n_steps", "3")], [("parts", "2")], [("normalize", "true")],
        ] as [[(key: String, value: String)]])
    func updatesAllocateNothing(settings: [(key: String, value: String)]) throws {
        #expect(try allocations(.dqn, "CartPole-v1", settings, Inner.dqn) == 0)
        #expect(
            try allocations(
                .dqn, "CartPole-v1",
                settings + [("prioritized_replay", "true"), ("double", "true"), ("dueling", "true")],
                Inner.dqn) == 0)
        #expect(try allocations(.td3, "Pendulum-v1", settings, Inner.td3) == 0)
        #expect(try allocations(.ddpg, "Pendulum-v1", settings, Inner.ddpg) == 0)
        for more in [[], [(key: "use_sde", value: "true")], [("value_network", "true")]] {
            #expect(try allocations(.sac, "Pendulum-v1", settings + more, Inner.sac) == 0)
        }
    }

    /// Of an iteration of PPO the updates are one part: more of them allocate no more.
    @Test(arguments: [false, true]) func epochsAllocateNothing(layerNorm: Bool) throws {
        func allocations(epochs: Int) throws -> UInt64 {
            let h = try Algorithm.ppo.hyperparameters(
                environment: "none",
                settings: [
                    ("net_arch", "[16, 16]"), ("batch_size", "20"), ("layer_norm", "\(layerNorm)"), ("n_steps", "40"),
                    ("n_epochs", "\(epochs)"),
                ])
            let ppo = try Inner.ppo(LocalBatch("Pendulum-v1", count: 1), h, threads: 1)
            // Iterations in which an episode ends, the fifth, tenth …, are left out.
            for _ in 0..<6 { _ = try ppo.iterate() }
            let before = allocations_of_this_thread()
            _ = try ppo.iterate()
            return allocations_of_this_thread() - before
        }
        #expect(try allocations(epochs: 20) == allocations(epochs: 2))
    }
}
