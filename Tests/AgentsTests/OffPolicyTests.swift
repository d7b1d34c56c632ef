import Agents
import Foundation
import GymCore
import NeuralNetwork
import RunFiles
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

    @Test(arguments: Algorithm.allCases) func presetsAreTaken(algorithm: Algorithm) throws {
        for entry in try algorithm.presets().entries {
            _ = try algorithm.hyperparameters(environment: entry.name)
        }
    }

    /// With train_freq 256 and gradient_steps 128 the target is copied every 10 steps, not every 10 updates.
    @Test(arguments: [(1, 51), (4, 64)]) func targetsAreCountedInSteps(environments: Int, copies: Int) throws {
        let h = try small(.dqn, [("n_timesteps", "512"), ("train_freq", "256"), ("target_update_interval", "10")])
        let dqn = try Inner.dqn(LocalBatch("CartPole-v1", count: environments), h)
        while dqn.steps < 512 { _ = try dqn.iterate() }
        // With four environments, every 10 / 4 = 2 calls, each of 4 steps; the run ends on a multiple of train_freq.
        #expect(dqn.method.targetUpdates == (environments == 1 ? copies : dqn.steps / 8))
    }

    @Test func minusOneIsAnUpdateForEachStep() throws {
        let h = try small(.sac, [("gradient_steps", "-1"), ("train_freq", "2"), ("learning_starts", "60")])
        let sac = try Inner.sac(LocalBatch("Pendulum-v1", count: 3), h)
        while sac.steps < sac.totalSteps { _ = try sac.iterate() }
        // Rounds of 6 steps; learning begins with the first that ends past 60.
        #expect(sac.steps == 600 && sac.updates == (600 - 60))
    }

    /// Pendulum only ever ends by its time limit: no transition may say that it terminated, and the last one of an
    /// episode leads to its own last observation, not to the next episode's first.
    @Test func aTimeLimitIsNoEnd() throws {
        let td3 = try Inner.td3(LocalBatch("Pendulum-v1", count: 1), small(.td3, [("buffer_size", "1000")]))
        while td3.steps < 600 { _ = try td3.iterate() }
        let replay = td3.replays[0]
        #expect(replay.count == 600 && replay.available == 600)
        let steps = (0..<600).map { replay.transition($0) }
        for row in 0..<599 {
            #expect(steps[row].discount == 0.99)
            #expect((steps[row].next == steps[row + 1].observation) == (row % 200 != 199))
            #expect(replay.isCut(row) == (row % 200 == 199) && replay.successor(of: row) == row + 1)
            // Speed changes by at most 0.05 · (15 + 3 · 2) in a step, and a new episode starts elsewhere.
            #expect(abs(steps[row].next[2] - steps[row].observation[2]) < 1.2)
        }
        #expect(replay.successor(of: 599) == nil)
        // Explored, and clipped: a third or so lie on a bound.
        #expect(Set(steps.map { $0.action[0] }).count > 300)
        #expect(steps.allSatisfy { abs($0.action[0]) <= 1 })
    }

    @Test func failureIsAnEnd() throws {
        let batch = try LocalBatch("CartPole-v1", count: 1)
        var ends: [Bool] = []
        batch.onStep = { [unowned batch] in ends.append(batch.results.terminated[0] != 0) }
        let dqn = try Inner.dqn(batch, small(.dqn, [("buffer_size", "1000")]))
        while dqn.steps < 600 { _ = try dqn.iterate() }
        #expect(ends.contains(true))
        for row in 0..<600 { #expect(dqn.replays[0].transition(row).discount == (ends[row] ? 0 : 0.99)) }
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
        return try algorithm.learner(on: batch, hyperparameters: h, seed: 3, threads: threads)
    }

    @Test(arguments: variants.indices) func sameSeedSameWeightsWhateverTheThreads(variant: Int) throws {
        let learners = try [1, 2, 3, 8].map { try learner(variant, threads: $0) }
        for learner in learners {
            while learner.steps < learner.totalSteps { _ = try learner.iterate() }
        }
        for learner in learners {
            #expect(learner.updates > 200 && learner.updates == learners[0].updates)
            #expect(learner.policy.tensors == learners[0].policy.tensors)
        }
    }

    @Test(arguments: Algorithm.allCases.filter { ![.ppo, .a2c].contains($0) }) func policiesReadBack(
        algorithm: Algorithm
    ) throws {
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
        let sac = try Inner.sac(batch, h)
        while sac.steps < 600 { _ = try sac.iterate() }
        let steps = (0..<600).map { sac.replays[0].transition($0) }
        // Nothing was learnt: what the policy would do without noise is what it did, but for the noise.
        let policy = sac.method.policy
        let workspace = Network.Workspace(for: policy.network, capacity: 1)
        var signs = 0
        for row in 0..<599 where (row + 1) % 4 != 0 && steps[row].next == steps[row + 1].observation {
            func noise(_ row: Int) -> Float {
                let observation = Rows(Matrix(rows: 1, columns: 3, steps[row].observation))
                let mean = policy.network.forward(policy.parameters, observation, workspace)[0, 0]
                return atanh(min(max(steps[row].action[0], -0.999_999), 0.999_999)) - mean
            }
            // Neighbouring states have neighbouring latents: under one map the noise hardly changes.
            if (noise(row) < 0) == (noise(row + 1) < 0) { signs += 1 }
        }
        #expect(sac.updates == 0 && signs > 400)
        // Under 150 maps the noise takes both signs, about as often.
        let explored = stride(from: 0, to: 600, by: 4).count { steps[$0].action[0] > 0 }
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
        var h = try small(reference.algorithm, [("learning_starts", "0"), ("net_arch", "[16, 16]")])
        if reference.algorithm == .dqn { try h.set("max_grad_norm", "null", source: "test") }
        let replay = try Replay(
            capacity: 30,
            (0..<30).map { index in
                let sign: Float = index % 2 == 0 ? 1 : -1
                return MadeUpStep(
                    observation: [sign * reference.observation, 1], action: [0], reward: reference.reward,
                    next: [1, sign], terminated: true)
            })
        let made = try Networks(reference.algorithm, h, [replay], threads: threads)
        let before = made.values
        let error = #expect(throws: NotFinite.self) {
            for _ in 0..<3 {
                try made.method.update(
                    learningRate: 1e-3, progress: Progress(steps: 0, of: 1), normalisation: made.normalisation)
            }
        }
        #expect(error?.term == reference.term && made.method.updates == 0)
        #expect(made.values == before)
    }

    /// The actor's own failure: it, its target and the critics' targets stay as they are.
    @Test func anActorThatIsNotFiniteIsNotApplied() throws {
        let h = try small(.td3, [("policy_delay", "1")])
        let replay = try Replay(
            capacity: 30,
            (0..<30).map {
                MadeUpStep(observation: [Float($0), 1], action: [0], reward: 1, next: [1, 0], truncated: true)
            })
        let made = try Networks(.td3, h, [replay], threads: 2)
        let td3 = try #require(made.method as? TD3.Networks)
        td3.parameters.parameters[0] = .nan
        let kept = [td3.target, td3.critic.target]
        let before = kept.map(\.parameters.elements)
        let error = #expect(throws: NotFinite.self) {
            try td3.update(learningRate: 1e-3, progress: Progress(steps: 0, of: 1), normalisation: made.normalisation)
        }
        #expect(error?.term == "the actor's loss" && kept.map(\.parameters.elements) == before)
        #expect(td3.parameters.parameters[1].isFinite)
    }

    // MARK: DDPG

    /// TD3 with one critic, no delay and no noise on its target actions is DDPG: the same weights to the bit.
    @Test(arguments: ["normal", "ornstein-uhlenbeck"]) func ddpgIsTD3WithoutItsAdditions(noise: String) throws {
        func tensors(_ algorithm: Algorithm, _ more: [(String, String)]) throws -> [NamedTensor] {
            let h = try small(algorithm, [("noise_type", noise), ("n_envs", "2")] + more)
            let learner = try algorithm.learner(
                on: LocalBatch("Pendulum-v1", count: 2), hyperparameters: h, seed: 4)
            while learner.steps < learner.totalSteps { _ = try learner.iterate() }
            #expect(learner.updates > 100)
            return learner.policy.tensors
        }
        let plain = [("n_critics", "1"), ("policy_delay", "1"), ("target_policy_noise", "0")]
        #expect(try tensors(.ddpg, []) == tensors(.td3, plain))
        #expect(try tensors(.ddpg, [("target_update_interval", "2")]) != tensors(.td3, plain))
    }

    /// The targets move on every third update, and the actor on every second; the critic on each.
    @Test func ddpgMovesWhatItsIntervalsSay() throws {
        let h = try small(
            .ddpg, [("policy_delay", "2"), ("target_update_interval", "3"), ("learning_starts", "0"), ("tau", "0.5")])
        let ddpg = try Inner.ddpg(LocalBatch("Pendulum-v1", count: 1), h)
        _ = try ddpg.iterate()
        let (networks, normalisation) = (ddpg.method, ddpg.collector.normalisation)
        let stores = [networks.parameters, networks.critic.parameters, networks.target, networks.critic.target]
        for _ in 0..<6 {
            let before = stores.map(\.parameters.elements)
            try networks.update(
                learningRate: 1e-3, progress: Progress(steps: 0, of: 1), normalisation: normalisation)
            let moved = zip(stores, before).map { $0.parameters.elements != $1 }
            let (actor, target) = (networks.updates % 2 == 0, networks.updates % 3 == 0)
            #expect(moved == [actor, true, target, target])
            guard target else { continue }
            // θ⁻ ← θ⁻ + τ (θ − θ⁻), towards where the networks stand after the update.
            for (store, old) in zip(stores[2...], before[2...]) {
                let source = store === networks.target ? networks.parameters : networks.critic.parameters
                for index in old.indices {
                    let expected = old[index] + 0.5 * (source.parameters[index] - old[index])
                    #expect(abs(store.parameters[index] - expected) < 1e-6)
                }
            }
        }
    }

    // MARK: Spaces and bounds

    /// Bounds of doubles that no float is equal to: what is sent lies within them all the same.
    @Test func actionsStayWithinBoundsOfDoubles() throws {
        let space = Space.box(Box(low: -0.1, high: 0.1, shape: [3]))
        for codec in [try ActionCodec(space), try ActionCodec(scaling: space, method: "sac")] {
            let batch = BatchBuffer(space: space, count: 1)
            codec.write(Matrix(rows: 1, columns: 3, [1, -1, 0.5]), to: batch)
            let sent = Array(batch.elements(as: Double.self))
            #expect(sent[0] <= 0.1 && sent[0] > 0.099_999 && sent[1] >= -0.1 && sent[2] <= 0.1, "\(sent)")
        }
    }

    @Test(arguments: Algorithm.allCases) func spacesOfNoNumbersAreRefused(algorithm: Algorithm) throws {
        let box = Space.box(Box(low: Float(-1), high: Float(1), shape: [2]))
        let nothing = Space.box(Box(low: Float(-1), high: Float(1), shape: [0]))
        let actions: Space = algorithm == .dqn ? .discrete(count: 2) : box
        for observations in [nothing, .tuple([])] {
            let error = #expect(throws: UnsupportedSpaceError.self) {
                try algorithm.policy(
                    Hyperparameters(algorithm.schema), observationSpace: observations, actionSpace: actions)
            }
            #expect(error?.description.contains("nothing to learn from") == true)
        }
        guard algorithm != .dqn else { return }
        let error = #expect(throws: UnsupportedSpaceError.self) {
            try algorithm.policy(Hyperparameters(algorithm.schema), observationSpace: box, actionSpace: nothing)
        }
        #expect(error?.description.contains("nothing to choose") == true)
    }
}

/// The networks of a method over buffers that a test made.
private struct Networks {
    let method: any OffPolicyMethod
    private let stores: [ParameterStore]
    let normalisation = Normalisation(observations: false, rewards: false, size: 2, environments: 1, gamma: 0.9)

    init(_ algorithm: Algorithm, _ h: Hyperparameters, _ replays: [Replay], threads: Int) throws {
        let observations = Space.box(Box(low: Float(-1), high: Float(1), shape: [2]))
        let actions = Space.box(Box(low: Float(-1), high: Float(1), shape: [1]))
        let context = UpdateContext(Parts(slices: 2), workers: Workers(threads: threads))
        switch algorithm {
        case .dqn:
            let dqn = DQN.Networks(
                .init(h), try NetworkInput(DQN.Configuration(h), observationSpace: observations),
                try ActionCodec(.discrete(count: 2)), replays: replays, seed: 1, context)
            (method, stores) = (dqn, [dqn.parameters, dqn.target])
        case .td3:
            let c = TD3.Configuration(h)
            let td3 = TD3.Networks(
                c, BoxWork(c, try BoxShape("td3", c, observations, actions), replays: replays, seed: 1, context))
            (method, stores) = (td3, [td3.parameters, td3.target, td3.critic.parameters, td3.critic.target])
        default:
            let c = SAC.Configuration(h)
            let sac = SAC.Networks(
                c, BoxWork(c, try BoxShape("sac", c, observations, actions), replays: replays, seed: 1, context))
            (method, stores) = (sac, [sac.policy.parameters, sac.critic.parameters, sac.critic.target])
        }
    }

    var values: [[Float]] { stores.map(\.parameters.elements) }
}
