import Agents
import GymCore
import NeuralNetwork
import RunFiles
import Testing

/// Learning from pictures, and what is kept of them.
@Suite struct PictureTests {
    private func hyperparameters(
        _ algorithm: Algorithm, _ settings: [(String, String)]
    ) throws -> Hyperparameters {
        try algorithm.hyperparameters(environment: "none", settings: settings.map { (key: $0.0, value: $0.1) })
    }

    private static let small = [
        ("policy", "CnnPolicy"), ("cnn_arch", "[[8, 3, 2], [8, 3, 1]]"), ("features_dim", "32"),
    ]

    /// Random play brings 0, as does always going one way.
    private func greedyReturn(_ algorithm: Algorithm, _ settings: [(String, String)], seed: UInt64) throws -> Double {
        let h = try hyperparameters(algorithm, PictureTests.small + settings)
        let learner = try algorithm.learner(
            on: PictureEnvironments.batch("test/Dot-v0", count: h.integer("n_envs")), hyperparameters: h, seed: seed)
        while learner.steps < learner.totalSteps { _ = try learner.iterate() }
        return try evaluate(learner.policy, on: PictureEnvironments.batch("test/Dot-v0", count: 100), seed: 1000)
            .meanReturn
    }

    @Test func ppoLearnsToMoveTheDot() throws {
        let total = try greedyReturn(
            .ppo,
            [
                ("n_timesteps", "12000"), ("n_envs", "8"), ("n_steps", "64"), ("batch_size", "128"), ("n_epochs", "4"),
                ("learning_rate", "2e-3"),
            ], seed: 0)
        #expect(total >= 0.8)
    }

    @Test func dqnLearnsToMoveTheDot() throws {
        let total = try greedyReturn(
            .dqn,
            [
                ("n_timesteps", "20000"), ("n_envs", "4"), ("learning_rate", "1e-3"), ("learning_starts", "500"),
                ("buffer_size", "5000"), ("train_freq", "2"), ("gradient_steps", "2"),
                ("target_update_interval", "200"), ("exploration_fraction", "0.4"), ("frame_stack", "2"),
            ], seed: 0)
        #expect(total >= 0.4)
    }

    @Test(arguments: [Algorithm.ppo, .dqn]) func sameSeedSameWeightsWhateverTheThreads(algorithm: Algorithm) throws {
        let h = try hyperparameters(
            algorithm,
            PictureTests.small + [
                ("n_timesteps", "1500"), ("n_envs", "4"), ("frame_stack", "3"),
                algorithm == .ppo ? ("n_steps", "64") : ("learning_starts", "200"),
            ])
        func tensors(threads: Int, seed: UInt64) throws -> [NamedTensor] {
            let batch = try PictureEnvironments.batch("test/Dot-v0", count: 4)
            let learner = try algorithm.learner(on: batch, hyperparameters: h, seed: seed, threads: threads)
            while learner.steps < learner.totalSteps { _ = try learner.iterate() }
            #expect(learner.updates > 0)
            return learner.policy.tensors
        }
        let one = try tensors(threads: 1, seed: 3)
        #expect(try tensors(threads: 2, seed: 3) == one)
        #expect(try tensors(threads: 2, seed: 4) != one)
        // Convolutions are saved as PyTorch has them: (filters, channels, height, width).
        #expect(one.contains { $0.name.hasSuffix("cnn.0.weight") && $0.tensor.shape == [8, 3, 3, 3] })
    }

    /// Every stack that replay gives holds the last frames of one episode, the newest last and zeros before its first;
    /// every transition leads n steps on, or to its own episode's end. Over many rounds of a small buffer.
    @Test(arguments: [1, 3], [1, 4]) func replayedStacksAreOfOneEpisode(steps: Int, frames: Int) throws {
        let h = try hyperparameters(
            .dqn,
            [
                ("n_timesteps", "5000"), ("n_envs", "3"), ("buffer_size", "50"), ("n_steps", "\(steps)"),
                ("frame_stack", "\(frames)"), ("learning_starts", "100000"), ("net_arch", "[4]"),
            ])
        let dqn = try Inner.dqn(PictureEnvironments.batch("test/Label-v0", count: 3), h, seed: 1, threads: 1)
        let replay = dqn.replays[0]
        var (ends, longest) = (0, 0)
        for _ in 0..<3 {
            _ = try dqn.iterate()
            #expect(replay.count == 50)
            // The newest steps' targets are still to be seen whole.
            for position in 0..<replay.available {
                let row = (dqn.steps + position) % replay.capacity
                let transition = replay.transition(row)
                let (now, next) = (transition.observation.map { UInt8($0) }, transition.next.map { UInt8($0) })
                let newest = Array(now.suffix(4))
                let (episode, step, length) = (newest[0], Int(newest[1]), Int(newest[2]))
                let reached = min(step + steps, length + 1)
                let terminated = reached == length + 1 && episode % 2 == 0
                // What follows the end of a task counts nothing, and is not kept.
                for (stack, last) in terminated ? [(now, step)] : [(now, step), (next, reached)] {
                    for position in 0..<frames {
                        let label = last - (frames - 1 - position)
                        let expected = label >= 1 ? [episode, UInt8(label), UInt8(length), 7] : [0, 0, 0, 0]
                        #expect(Array(stack[position * 4..<position * 4 + 4]) == expected)
                    }
                }
                #expect((transition.discount == 0) == terminated)
                ends += reached == length + 1 ? 1 : 0
                longest = max(longest, step)
            }
        }
        #expect(ends > 10 && longest == 6)
    }

    @Test(arguments: [
        ("CnnPolicy", Space.box(Box(low: Float(-1), high: 1, shape: [8])), "policy=MlpPolicy learns with it"),
        ("CnnPolicy", Space.discrete(count: 3), "(height, width, channels)"),
        ("CnnPolicy", Space.box(Box(low: UInt8(0), high: 255, shape: [20, 84, 3])), "at least 36 by 36 pixels"),
        ("CnnPolicy", Space.box(Box(low: UInt8(0), high: 255, shape: [20, 84, 3])), "these have 20 by 84"),
    ])
    func whatCannotBeConvolvedIsRefused(policy: String, space: Space, words: String) throws {
        for algorithm in [Algorithm.ppo, .dqn] {
            let h = try hyperparameters(algorithm, [("policy", policy)])
            let error = #expect(throws: UnsupportedSpaceError.self) {
                try algorithm.policy(h, observationSpace: space, actionSpace: .discrete(count: 2))
            }
            #expect(error?.description.contains(words) == true, "\(error!)")
        }
    }

    @Test func normalisedPicturesAreRefused() throws {
        let space = Space.box(Box(low: UInt8(0), high: 255, shape: [40, 40, 3]))
        var h = try hyperparameters(.ppo, [("policy", "CnnPolicy"), ("normalize", "true")])
        #expect(throws: HyperparameterError.self) {
            try Algorithm.ppo.policy(h, observationSpace: space, actionSpace: .discrete(count: 2))
        }
        try h.set("norm_obs", "false", source: "test")
        _ = try Algorithm.ppo.policy(h, observationSpace: space, actionSpace: .discrete(count: 2))
    }

    @Test func settingsOfPictures() throws {
        var h = Hyperparameters(PPO.schema)
        #expect(h.networks("net_arch").actor == [64, 64] && h.convolutions("cnn_arch") == ConvolutionSize.dqn)
        try h.set("policy", "CnnPolicy", source: "test")
        #expect(h.networks("net_arch").actor.isEmpty && h.networks("net_arch").critic.isEmpty)
        try h.set("net_arch", "[32]", source: "test")
        try h.set("policy", "CnnPolicy", source: "test")
        #expect(h.networks("net_arch").critic == [32])
        for text in ["[[16, 3, 2], [8,2,1]]", " [[16,3,2],[8, 2, 1] ] "] {
            try h.set("cnn_arch", text, source: "test")
            #expect(h["cnn_arch"].text == "[[16, 3, 2], [8, 2, 1]]")
        }
        for text in ["[]", "[16, 3, 2]", "[[16, 3]]", "[[16, 3, 2]", "[[16, 3, 0]]", "16", "[[1,1,1],[]]", ""] {
            let error = #expect(throws: HyperparameterError.self, "\(text)") {
                try h.set("cnn_arch", text, source: "test")
            }
            #expect(error?.description.contains("as [[32, 8, 4], [64, 4, 2]]") == true)
        }
        // What is written to a run's folder reads back.
        try h.set("cnn_arch", Hyperparameters(PPO.schema)["cnn_arch"].text, source: "test")
        #expect(h.convolutions("cnn_arch") == ConvolutionSize.dqn)
        // Methods whose critics take an action beside the observation say why they do not look at pictures.
        var pictures = Hyperparameters(SAC.schema)
        try pictures.set("policy", "CnnPolicy", source: "test")
        let error = #expect(throws: HyperparameterError.self) {
            try SAC.policy(
                pictures, observationSpace: .box(Box(low: UInt8(0), high: 255, shape: [84, 84, 3])),
                actionSpace: .box(Box(low: Float(-1), high: Float(1), shape: [2])))
        }
        #expect(error?.description.contains("one row of numbers") == true)
    }
}
