import Agents
import Foundation
import GymCore
import NeuralNetwork
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
        (.sac, [("use_sde", "true"), ("sde_sample_freq", "4"), ("train_freq", "8"), ("gradient_steps", "8")]),
        (.dqn, [("n_steps", "3"), ("double", "true"), ("dueling", "true"), ("prioritized_replay", "true")]),
        (.td3, [("normalize", "true"), ("noise_type", "ornstein-uhlenbeck")]), (.sac, []),
        (.sac, [("value_network", "true"), ("n_steps", "2"), ("ent_coef", "0.1"), ("layer_norm", "true")]),
        (.td3, [("layer_norm", "true")]), (.dqn, [("layer_norm", "true"), ("activation_fn", "tanh")]),
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
        let h = try small(algorithm, [("normalize", "true"), ("layer_norm", "true")])
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

    /// With gSDE the noise stays the same between two updates, and is drawn anew after each and every so often.
    @Test func lastingNoiseIsDrawnAnew() throws {
        let h = try small(
            .sac,
            [
                ("use_sde", "true"), ("use_sde_at_warmup", "true"), ("train_freq", "8"), ("sde_sample_freq", "4"),
                ("learning_starts", "1000000"), ("log_std_init", "0"), ("buffer_size", "1000"),
            ])
        let batch = try LocalBatch("Pendulum-v1", count: 1)
        let sac = try SAC(batch: batch, hyperparameters: h, seed: 0)
        while sac.steps < 600 { _ = try sac.iterate() }
        let replay = sac.collector.replay
        // Nothing was learnt: what the policy would do without noise is what it did, but for the noise.
        let actor = sac.networks.actor
        let workspace = MultiLayerPerceptron.Workspace(for: actor, capacity: 1)
        var signs = 0
        for row in 0..<599 where (row + 1) % 4 != 0 && replay.nextObservation(row) == replay.observation(row + 1) {
            func noise(_ row: Int) -> Float {
                let mean = actor.forward(sac.networks.store.values, replay.observation(row), rows: 1, workspace)[0]
                return atanh(min(max(replay.action(row)[0], -0.999_999), 0.999_999)) - mean
            }
            // Neighbouring states have neighbouring latents: under one map the noise hardly changes.
            if (noise(row) < 0) == (noise(row + 1) < 0) { signs += 1 }
        }
        #expect(sac.updates == 0 && signs > 400)
        // Under 150 maps the noise takes both signs, about as often.
        let explored = stride(from: 0, to: 600, by: 4).count { replay.action($0)[0] > 0 }
        #expect((30...120).contains(explored))
    }

    // MARK: What is not finite

    @Test(arguments: [Algorithm.dqn, .td3, .sac], ["observation", "reward", "large reward", "final observation"])
    func whatIsNotFiniteStopsTheRun(algorithm: Algorithm, what: String) throws {
        let batch = try LocalBatch(algorithm == .dqn ? "CartPole-v1" : "Pendulum-v1", count: 2)
        var steps = 0
        batch.onStep = { [unowned batch] in
            steps += 1
            guard steps == 37 else { return }
            switch what {
            case "observation": batch.results.observation.elements(as: Float.self)[1] = .nan
            case "reward": batch.results.rewards[1] = -.infinity
            // A number, but none as the replay buffer keeps it.
            case "large reward": batch.results.rewards[1] = 1e300
            default:
                batch.results.truncated[0] = 1
                batch.results.finalObservation.elements(as: Float.self)[1] = .infinity
            }
        }
        let learner = try algorithm.learner(on: batch, hyperparameters: small(algorithm), seed: 0)
        let term = what.contains("reward") ? "a reward" : "an observation"
        let error = #expect(throws: NotFiniteError.self) { try learner.iterate() }
        #expect(error?.term == term && error?.step == 74)
        guard case .environment? = error?.cause else { Issue.record("\(String(describing: error))"); return }
    }

    /// Transitions that drive a loss or a gradient out of the finite numbers: nothing is applied to any weight.
    @Test(
        arguments: [
            (Algorithm.dqn, Float.nan, Float(0), "the loss"), (.dqn, 1e30, 0, "the gradient"),
            (.td3, 0, 1e38, "the critics' loss"), (.td3, 0, 1.5e19, "the critics' gradient"),
            (.td3, 1e38, 0, "the critics' loss"), (.sac, 0, 1e38, "the critics' loss"),
            (.sac, 0, 1.5e19, "the critics' gradient"), (.sac, 1e38, 0, "the critics' loss"),
        ], [1, 2])
    func nothingIsAppliedThatIsNotFinite(
        reference: (algorithm: Algorithm, observation: Float, reward: Float, term: String), threads: Int
    ) throws {
        var h = try small(reference.algorithm)
        if reference.algorithm == .dqn { try h.set("max_grad_norm", "null", source: "test") }
        let replay = ReplayBuffer(capacity: 30, observationSize: 2, actionSize: 1)
        for index in 0..<30 {
            let sign: Float = index % 2 == 0 ? 1 : -1
            replay.add(
                observation: [sign * reference.observation, 1], action: [0], reward: reference.reward,
                nextObservation: [1, sign], terminated: true, discount: 0.9)
        }
        let (update, stores): (any OffPolicyUpdate, [ParameterStore])
        switch reference.algorithm {
        case .dqn:
            let dqn = DQNUpdate(
                h,
                input: try NetworkInput(floatsOf: .box(Box(low: Float(-1), high: 1, shape: [replay.observationSize]))),
                choices: 2, replay: replay, seed: 1)
            (update, stores) = (dqn, [dqn.store, dqn.target])
        case .td3:
            let td3 = TD3Update(h, replay: replay, seed: 1)
            (update, stores) = (td3, [td3.store] + td3.others)
        default:
            let sac = SACUpdate(h, replay: replay, seed: 1)
            (update, stores) = (sac, [sac.store] + sac.others)
        }
        func values() -> [[Float]] { stores.map { Array(UnsafeBufferPointer(start: $0.values, count: $0.count)) } }
        let before = values()
        update.begin(
            learningRate: 1e-3, progress: 0, normalisation: Normalisation(h, size: 2, environments: 1))
        HalfRunner(threads: threads, operations: 0).run(update, stages: 3 * type(of: update).stages)
        #expect(!update.finish() || update.notFinite != nil)
        #expect(update.notFinite == reference.term && update.updates == 0)
        #expect(values() == before)
    }

    /// The actor's own failure: it, its target and the critics' targets stay as they are.
    @Test func anActorThatIsNotFiniteIsNotApplied() throws {
        let h = try small(.td3, [("policy_delay", "1")])
        let replay = ReplayBuffer(capacity: 30, observationSize: 2, actionSize: 1)
        for index in 0..<30 {
            replay.add(
                observation: [Float(index), 1], action: [0], reward: 1, nextObservation: [1, 0], terminated: false,
                discount: 0.9)
        }
        let update = TD3Update(h, replay: replay, seed: 1)
        update.store.values[0] = .nan
        let kept = [update.target] + [update.others[2]]
        func values() -> [[Float]] { kept.map { Array(UnsafeBufferPointer(start: $0.values, count: $0.count)) } }
        let before = values()
        update.begin(
            learningRate: 1e-3, progress: 0, normalisation: Normalisation(h, size: 2, environments: 1))
        HalfRunner(threads: 2, operations: 0).run(update, stages: 2 * TD3Update.stages)
        #expect(!update.finish() || update.notFinite != nil)
        #expect(update.notFinite == "the actor's loss" && values() == before)
        #expect(update.store.values[1].isFinite)
    }
}
