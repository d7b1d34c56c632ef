import Agents
import GymCore
import Testing

@Suite struct OffPolicyTests {
    private func hyperparameters(
        _ algorithm: Algorithm, _ settings: [(String, String)]
    ) throws -> Hyperparameters {
        var h = Hyperparameters(algorithm.schema)
        for (key, value) in settings { try h.set(key, value, source: "test") }
        return h
    }

    private func small(_ algorithm: Algorithm, _ more: [(String, String)] = []) throws -> Hyperparameters {
        try hyperparameters(
            algorithm,
            [
                ("n_timesteps", "600"), ("learning_starts", "50"), ("net_arch", "[16, 16]"), ("batch_size", "20"),
                ("buffer_size", "300"),
            ] + more)
    }

    @Test(arguments: [Algorithm.dqn, .td3, .sac]) func presetsAreTaken(algorithm: Algorithm) throws {
        for entry in try algorithm.presets().entries {
            _ = try algorithm.hyperparameters(environment: entry.name)
        }
    }

    /// With train_freq 256 and gradient_steps 128 the target is copied every 10 steps, not every 10 updates.
    @Test(arguments: [(1, 51), (4, 64)]) func targetsAreCountedInSteps(environments: Int, copies: Int) throws {
        let h = try small(.dqn, [("n_timesteps", "512"), ("train_freq", "256"), ("target_update_interval", "10")])
        let dqn = try DQN(batch: LocalBatch("CartPole-v1", count: environments), hyperparameters: h, seed: 0)
        while dqn.steps < 512 { _ = try dqn.iterate() }
        // With four environments, every 10 / 4 = 2 calls, each of 4 steps; the run ends on a multiple of train_freq.
        #expect(dqn.targetUpdates == (environments == 1 ? copies : dqn.steps / 8))
    }

    @Test func minusOneIsAnUpdateForEachStep() throws {
        let h = try small(.sac, [("gradient_steps", "-1"), ("train_freq", "2"), ("learning_starts", "60")])
        let sac = try SAC(batch: LocalBatch("Pendulum-v1", count: 3), hyperparameters: h, seed: 0)
        while sac.steps < sac.totalSteps { _ = try sac.iterate() }
        // Rounds of 6 steps; learning begins with the first that ends past 60.
        #expect(sac.steps == 600 && sac.updates == (600 - 60))
    }

    /// Pendulum only ever ends by its time limit: no transition may say that it terminated, and the last one of an
    /// episode leads to its own last observation, not to the next episode's first.
    @Test func aTimeLimitIsNoEnd() throws {
        let td3 = try TD3(
            batch: LocalBatch("Pendulum-v1", count: 1), hyperparameters: small(.td3, [("buffer_size", "1000")]),
            seed: 0)
        while td3.steps < 600 { _ = try td3.iterate() }
        let replay = td3.collector.replay
        #expect(replay.count == 600)
        for row in 0..<599 {
            #expect(replay.discounts[row] == 0.99)
            #expect((replay.nextObservation(row) == replay.observation(row + 1)) == (row % 200 != 199))
            // Speed changes by at most 0.05 · (15 + 3 · 2) in a step, and a new episode starts elsewhere.
            #expect(abs(replay.nextObservation(row)[2] - replay.observation(row)[2]) < 1.2)
        }
        // Explored, and clipped: a third or so lie on a bound.
        #expect(Set((0..<600).map { replay.action($0)[0] }).count > 300)
        #expect((0..<600).allSatisfy { abs(replay.action($0)[0]) <= 1 })
    }

    @Test func failureIsAnEnd() throws {
        let dqn = try DQN(
            batch: LocalBatch("CartPole-v1", count: 1), hyperparameters: small(.dqn, [("buffer_size", "1000")]), seed: 0
        )
        while dqn.steps < 600 { _ = try dqn.iterate() }
        let replay = dqn.collector.replay
        for row in 0..<599 {
            let ends = replay.nextObservation(row) != replay.observation(row + 1)
            #expect(replay.discounts[row] == (ends ? 0 : 0.99))
        }
    }

    private static let variants: [(Algorithm, [(String, String)])] = [
        (.dqn, [("n_steps", "3"), ("double", "true"), ("dueling", "true"), ("prioritized_replay", "true")]),
        (.td3, [("normalize", "true"), ("noise_type", "ornstein-uhlenbeck")]), (.sac, []),
        (.sac, [("value_network", "true"), ("n_steps", "2"), ("ent_coef", "0.1")]),
    ]

    private func learner(_ variant: Int, threads: Int) throws -> any Learner {
        let (algorithm, settings) = OffPolicyTests.variants[variant]
        let h = try small(algorithm, settings + [("n_timesteps", "2400")])
        let batch = try LocalBatch(algorithm == .dqn ? "CartPole-v1" : "Pendulum-v1", count: 2)
        switch algorithm {
        case .dqn: return try DQN(batch: batch, hyperparameters: h, seed: 3, threads: threads)
        case .td3: return try TD3(batch: batch, hyperparameters: h, seed: 3, threads: threads)
        default: return try SAC(batch: batch, hyperparameters: h, seed: 3, threads: threads)
        }
    }

    @Test(arguments: variants.indices) func sameSeedSameWeightsWhateverTheThreads(variant: Int) throws {
        let learners = try [1, 2].map { try learner(variant, threads: $0) }
        for learner in learners {
            while learner.steps < learner.totalSteps { _ = try learner.iterate() }
        }
        #expect(learners[0].updates > 200 && learners[0].updates == learners[1].updates)
        #expect(learners[0].policy.tensors == learners[1].policy.tensors)
    }

    @Test(arguments: Algorithm.allCases.filter { $0 != .ppo }) func policiesReadBack(algorithm: Algorithm) throws {
        let batch = try LocalBatch(algorithm == .dqn ? "CartPole-v1" : "Pendulum-v1", count: 2)
        let h = try small(algorithm, [("normalize", "true")])
        let learner = try algorithm.learner(on: batch, hyperparameters: h, seed: 0)
        _ = try learner.iterate()
        let fresh = try algorithm.policy(
            h, observationSpace: batch.observationSpace, actionSpace: batch.actionSpace)
        #expect(fresh.tensors != learner.policy.tensors)
        try fresh.load(learner.policy.tensors)
        #expect(fresh.tensors == learner.policy.tensors)
        #expect(throws: PolicyError.self) { try fresh.load(Array(learner.policy.tensors.dropFirst())) }
    }

    @Test func otherSpacesAreRefusedWithWhatWouldWork() throws {
        func refusal(_ algorithm: Algorithm, _ id: String) throws -> String? {
            let batch = try LocalBatch(id, count: 1)
            let error = #expect(throws: UnsupportedSpaceError.self) {
                try algorithm.learner(on: batch, hyperparameters: Hyperparameters(algorithm.schema), seed: 0)
            }
            return error?.description
        }
        #expect(try refusal(.dqn, "Pendulum-v1")?.contains("sac, td3 or ppo") == true)
        #expect(try refusal(.sac, "CartPole-v1")?.contains("dqn or ppo") == true)
        #expect(try refusal(.td3, "CartPole-v1")?.contains("dqn or ppo") == true)
    }
}
