import Agents
import Foundation
import GymCore
import NeuralNetwork
import RunFiles
import Testing

@Suite struct CheckpointTests {
    /// Small runs, with the parts switched on that have a state of their own.
    private static let runs: [(Algorithm, String, [(key: String, value: String)])] = [
        (.ppo, "CartPole-v1", [("n_envs", "3"), ("n_steps", "50"), ("normalize", "true")]),
        (.ppo, "Pendulum-v1", [("n_envs", "2"), ("n_steps", "64"), ("normalize", "true"), ("layer_norm", "true")]),
        (
            .dqn, "CartPole-v1",
            [
                ("learning_starts", "200"), ("buffer_size", "700"), ("n_steps", "3"), ("prioritized_replay", "true"),
                ("net_arch", "[16]"), ("double", "true"), ("dueling", "true"),
            ]
        ),
        (
            .td3, "Pendulum-v1",
            [
                ("learning_starts", "200"), ("buffer_size", "700"), ("noise_type", "ornstein-uhlenbeck"),
                ("net_arch", "[16]"),
            ]
        ),
        (
            .ddpg, "Pendulum-v1",
            [
                ("learning_starts", "200"), ("buffer_size", "700"), ("net_arch", "[16]"), ("policy_delay", "2"),
                ("target_update_interval", "3"), ("n_envs", "2"), ("noise_type", "ornstein-uhlenbeck"),
            ]
        ),
        (
            .ppo, "PongDifference-v1",
            [
                ("policy", "CnnPolicy"), ("cnn_arch", "[[4, 8, 8]]"), ("features_dim", "8"), ("frame_stack", "2"),
                ("n_envs", "2"), ("n_steps", "32"), ("n_epochs", "2"),
            ]
        ),
        (
            .dqn, "PongDifference-v1",
            [
                ("policy", "CnnPolicy"), ("cnn_arch", "[[4, 8, 8]]"), ("features_dim", "8"), ("frame_stack", "3"),
                ("n_envs", "2"), ("n_steps", "2"), ("learning_starts", "200"), ("buffer_size", "700"),
                ("train_freq", "16"), ("prioritized_replay", "true"),
            ]
        ),
        (
            .sac, "Pendulum-v1",
            [("learning_starts", "200"), ("buffer_size", "700"), ("net_arch", "[16]"), ("layer_norm", "true")]
        ),
        (
            .sac, "Pendulum-v1",
            [
                ("learning_starts", "200"), ("buffer_size", "700"), ("net_arch", "[16]"), ("use_sde", "true"),
                ("value_network", "true"), ("train_freq", "8"), ("sde_sample_freq", "4"),
                ("act_ahead", "true"),
            ]
        ),
        (.a2c, "CartPole-v1", [("n_envs", "3"), ("normalize", "true")]),
        (.a2c, "Pendulum-v1", [("n_envs", "2"), ("use_sde", "true"), ("sde_sample_freq", "2")]),
        (.a2c, "CartPole-v1", [("n_envs", "2"), ("advantage", "monte-carlo"), ("optimizer_class", "sgd")]),
        // Four parts of everything.
        (.ppo, "Pendulum-v1", [("n_envs", "8"), ("n_steps", "32"), ("normalize", "true"), ("parts", "4")]),
        (.a2c, "CartPole-v1", [("n_envs", "8"), ("parts", "4")]),
        (
            .dqn, "CartPole-v1",
            [
                ("n_envs", "4"), ("parts", "4"), ("learning_starts", "200"), ("buffer_size", "700"), ("n_steps", "3"),
                ("prioritized_replay", "true"), ("net_arch", "[16]"),
            ]
        ),
        (
            .td3, "Pendulum-v1",
            [
                ("n_envs", "4"), ("parts", "4"), ("learning_starts", "200"), ("buffer_size", "700"),
                ("noise_type", "ornstein-uhlenbeck"), ("net_arch", "[16]"), ("normalize", "true"),
            ]
        ),
        (
            .sac, "Pendulum-v1",
            [
                ("n_envs", "4"), ("parts", "4"), ("learning_starts", "200"), ("buffer_size", "700"),
                ("net_arch", "[16]"), ("use_sde", "true"), ("frame_stack", "2"),
            ]
        ),
    ]

    private struct Run {
        let configuration: RunConfiguration
        let batch: LocalBatch
        let learner: any Learner

        init(_ algorithm: Algorithm, _ environment: String, _ settings: [(key: String, value: String)]) throws {
            let h = try algorithm.hyperparameters(
                environment: environment, settings: settings + [("n_timesteps", "20000")])
            configuration = RunConfiguration(
                algorithm: algorithm, environment: environment, seed: 5, hyperparameters: h)
            batch = try LocalBatch(environment, count: h.integer("n_envs"))
            learner = try algorithm.learner(on: batch, hyperparameters: h, seed: 5)
        }

        func checkpoint(hasStates: Bool = true) throws -> Checkpoint {
            Checkpoint(
                configuration, observationSpace: batch.observationSpace, actionSpace: batch.actionSpace,
                learner: learner, environmentStates: hasStates ? try batch.states() : nil)
        }

        var hash: String { sha256(Safetensors.encode(learner.policy.tensors)) }
    }

    /// A learner that was saved and restored in another object goes on as the one that was not.
    @Test(arguments: runs.indices) func restoredRunsGoOnExactly(index: Int) throws {
        let (algorithm, environment, settings) = CheckpointTests.runs[index]
        let whole = try Run(algorithm, environment, settings)
        for _ in 0..<2 { _ = try whole.learner.iterate() }
        var checkpoint = try whole.checkpoint()
        checkpoint.bestReturn = -3.5
        let read = try Checkpoint(bytes: checkpoint.bytes)
        #expect(read.bytes == checkpoint.bytes && read.bestReturn == -3.5 && read.steps == whole.learner.steps)

        let second = try Run(algorithm, environment, settings)
        try read.check(
            second.configuration, observationSpace: second.batch.observationSpace,
            actionSpace: second.batch.actionSpace)
        // The batch needs episodes before it can be given others.
        try second.batch.startEpisodes(seeds: (0..<second.batch.count).map { UInt64($0) })
        try read.restore(second.learner)
        try second.batch.restore(try #require(read.environmentStates))
        #expect(second.hash == whole.hash)
        for _ in 0..<2 {
            let one = try whole.learner.iterate()
            let other = try second.learner.iterate()
            for ((name, value), (_, again)) in zip(one.values, other.values) { #expect(value == again, "\(name)") }
        }
        #expect(second.hash == whole.hash && second.learner.updates == whole.learner.updates)
        #expect(second.learner.steps == whole.learner.steps && second.learner.steps > read.steps)
    }

    /// A run fails in the middle of an update, when the critics' step is made already. Nothing of that is in the
    /// checkpoint before it: from there the same learner goes on as if nothing had happened.
    @Test(
        arguments: [
            (Algorithm.ppo, [(key: "n_steps", value: "64")]), (.a2c, []), (.td3, [("policy_delay", "1")]), (.sac, []),
            (.ddpg, []), (.sac, [("act_ahead", "true")]),
            (.td3, [("act_ahead", "true"), ("parts", "2"), ("n_envs", "2")]),
        ])
    func runsThatFailedGoOnExactly(algorithm: Algorithm, more: [(key: String, value: String)]) throws {
        let isOnPolicy = [Algorithm.ppo, .a2c].contains(algorithm)
        let settings =
            (isOnPolicy
                ? [] : [("learning_starts", "200"), ("buffer_size", "700"), ("n_steps", "3")]) + [("net_arch", "[16]")]
            + more
        let (whole, failed) = (
            try Run(algorithm, "Pendulum-v1", settings), try Run(algorithm, "Pendulum-v1", settings)
        )
        for run in [whole, failed] { for _ in 0..<2 { _ = try run.learner.iterate() } }
        let saved = try failed.checkpoint().bytes
        let (actor, critic) = try networks(failed.learner)
        let before = critic.parameters.elements
        // After acting, as the NaN would otherwise be in the observations first.
        failed.batch.onStep = { actor.parameters[0] = Float.nan }
        let error = #expect(throws: NotFiniteError.self) { while true { _ = try failed.learner.iterate() } }
        if algorithm == .td3 && more.count == 1 {
            #expect(error?.term == "the actor's loss")
            #expect(before != critic.parameters.elements)
        }
        failed.batch.onStep = {}
        let checkpoint = try Checkpoint(bytes: saved)
        try checkpoint.restore(failed.learner)
        try failed.batch.restore(try #require(checkpoint.environmentStates))
        #expect(failed.hash == whole.hash)
        for run in [whole, failed] { for _ in 0..<2 { _ = try run.learner.iterate() } }
        #expect(failed.hash == whole.hash && failed.learner.updates == whole.learner.updates)
    }

    /// A learner's actor and critics.
    private func networks(_ learner: any Learner) throws -> (actor: ParameterStore, critic: ParameterStore) {
        switch learner {
        case let learner as OnPolicyLearner<PPO.Update>:
            (learner.method.model.actor.parameters, learner.method.model.criticParameters)
        case let learner as OnPolicyLearner<A2C.Update>:
            (learner.method.model.actor.parameters, learner.method.model.criticParameters)
        case let learner as OffPolicyLearner<TD3.Networks>:
            (learner.method.parameters, learner.method.critic.parameters)
        case let learner as OffPolicyLearner<DDPG.Networks>:
            (learner.method.parameters, learner.method.critic.parameters)
        default:
            try {
                let sac = try #require(learner as? OffPolicyLearner<SAC.Networks>).method
                return (sac.policy.parameters, sac.critic.parameters)
            }()
        }
    }

    /// Without its environments a run goes on with what it learnt, in other episodes than it began with.
    @Test(arguments: runs.indices) func freshEpisodesKeepWhatWasLearnt(index: Int) throws {
        let (algorithm, environment, settings) = CheckpointTests.runs[index]
        let whole = try Run(algorithm, environment, settings)
        for _ in 0..<2 { _ = try whole.learner.iterate() }
        let second = try Run(algorithm, environment, settings)
        try whole.checkpoint(hasStates: false).restore(second.learner)
        #expect(second.hash == whole.hash)
        second.learner.startFreshEpisodes()
        _ = try whole.learner.iterate()
        _ = try second.learner.iterate()
        // Where a rollout is whole episodes, each starts afresh anyway.
        let areFreshAnyway = settings.contains { $0.value == "monte-carlo" }
        #expect(second.learner.steps == whole.learner.steps && (second.hash == whole.hash) == areFreshAnyway)
    }

    @Test(arguments: [
        (Algorithm.ppo, "CartPole-v1", [(key: "n_envs", value: "2"), (key: "n_steps", value: "8")]),
        (.dqn, "CartPole-v1", [(key: "buffer_size", value: "20")]), (.td3, "Pendulum-v1", [("buffer_size", "20")]),
        (.sac, "Pendulum-v1", [("buffer_size", "20")]),
    ])
    func brokenCheckpointsAreRefused(
        algorithm: Algorithm, environment: String, settings: [(key: String, value: String)]
    ) throws {
        let run = try Run(algorithm, environment, settings + [("net_arch", "[2]")])
        _ = try run.learner.iterate()
        let bytes = try run.checkpoint().bytes
        for count in stride(from: 0, to: bytes.count, by: 13) {
            let error = #expect(throws: CheckpointError.self) { try Checkpoint(bytes: Array(bytes[..<count])) }
            #expect(error?.description.contains("cut short") == true, "\(count): \(error!)")
        }
        for index in stride(from: 0, to: bytes.count, by: 11) {
            var changed = bytes
            changed[index] ^= 0x10
            #expect(throws: CheckpointError.self) { try Checkpoint(bytes: changed) }
        }
        var later = bytes
        later[8] = 9
        let error = #expect(throws: CheckpointError.self) { try Checkpoint(bytes: later) }
        #expect(error?.description.hasPrefix("it is of version 9, this program reads version 3") == true)
        #expect(throws: CheckpointError("it is no checkpoint")) { try Checkpoint(bytes: Array("PNG".utf8) + bytes) }
    }

    /// A run cannot go on as another: what has changed is named.
    @Test(arguments: [
        (Algorithm.ppo, [(key: "n_envs", value: "2"), (key: "n_steps", value: "8")]),
        (.dqn, [("buffer_size", "50"), ("net_arch", "[5]")]),
    ])
    func changesAreNamed(algorithm: Algorithm, settings: [(key: String, value: String)]) throws {
        let run = try Run(algorithm, "CartPole-v1", settings)
        _ = try run.learner.iterate()
        let checkpoint = try run.checkpoint()
        func message(_ configuration: RunConfiguration, _ observation: Space, _ action: Space) -> String {
            let error = #expect(throws: CheckpointError.self) {
                try checkpoint.check(configuration, observationSpace: observation, actionSpace: action)
            }
            return error?.description ?? ""
        }
        let (observation, action) = (run.batch.observationSpace, run.batch.actionSpace)
        #expect(
            message(run.configuration, observation, .discrete(count: 3))
                == "the action space is Discrete(3) now, and was Discrete(2) when the checkpoint was written")
        #expect(
            message(run.configuration, .discrete(count: 3), action).hasPrefix("the observation space is Discrete(3)"))
        let other = try Run(algorithm, "CartPole-v1", settings + [("gamma", "0.5")])
        #expect(
            message(other.configuration, observation, action).hasPrefix("the hyperparameter gamma is 0.5 now, and was ")
        )
        try checkpoint.check(run.configuration.withSteps(77), observationSpace: observation, actionSpace: action)
        // A checkpoint from before there was the hyperparameter.
        var earlier = checkpoint
        earlier.hyperparameters["layer_norm"] = nil
        try earlier.check(run.configuration, observationSpace: observation, actionSpace: action)
        let normalised = try Run(algorithm, "CartPole-v1", settings + [("layer_norm", "true")])
        #expect(throws: CheckpointError.self) {
            try earlier.check(normalised.configuration, observationSpace: observation, actionSpace: action)
        }
        // A learner of another shape is refused.
        let larger = try Run(algorithm, "CartPole-v1", settings + [("net_arch", "[40]")])
        #expect(throws: CheckpointError.self) { try checkpoint.restore(larger.learner) }
    }

    @Test func theNewestWholeCheckpointIsFound() throws {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString).path
        defer { try? FileManager.default.removeItem(atPath: path) }
        let folder = CheckpointFolder(of: try RunFolder(creating: path))
        let none = try folder.newest { _ in }
        #expect(none?.path == nil)
        let run = try Run(.ppo, "CartPole-v1", [("n_envs", "2"), ("n_steps", "8")])
        for _ in 0..<4 {
            _ = try run.learner.iterate()
            let checkpoint = try run.checkpoint()
            let file = try folder.write(checkpoint)
            #expect(FileManager.default.contents(atPath: file) == Data(checkpoint.bytes))
        }
        let names = try FileManager.default.contentsOfDirectory(atPath: path + "/checkpoints").sorted()
        #expect(names == ["48.checkpoint", "64.checkpoint"])
        #expect(try folder.newest { _ in }?.checkpoint.steps == 64)
        let newest = path + "/checkpoints/64.checkpoint"
        try FileManager.default.contents(atPath: newest)!.prefix(1000).write(to: URL(fileURLWithPath: newest))
        // What a crash leaves of a file that was being written is not looked at.
        try Data("x".utf8).write(to: URL(fileURLWithPath: path + "/checkpoints/80.checkpoint.part"))
        var faults: [String] = []
        #expect(try folder.newest { faults.append($0) }?.checkpoint.steps == 48)
        #expect(faults.count == 1 && faults[0].contains("64.checkpoint cannot be taken: it is cut short"))
        try Data().write(to: URL(fileURLWithPath: path + "/checkpoints/48.checkpoint"))
        let error = #expect(throws: CheckpointError.self) { try folder.newest { _ in } }
        #expect(error?.description.contains("48.checkpoint cannot be taken") == true)
    }
}
