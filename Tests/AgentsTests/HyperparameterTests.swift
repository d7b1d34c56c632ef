import Agents
import Foundation
import TestSupport
import Testing

@Suite struct HyperparameterTests {
    @Test func zooPresetsAreTaken() throws {
        for entry in try Algorithm.ppo.presets().entries {
            _ = try Algorithm.ppo.hyperparameters(environment: entry.name)
        }
        let cartPole = try Algorithm.ppo.hyperparameters(environment: "CartPole-v1")
        #expect(cartPole.integer("n_timesteps") == 100_000)
        #expect(cartPole.schedule("learning_rate") == .linear(from: 0.001))
        #expect(cartPole.real("gae_lambda") == 0.8)
        #expect(cartPole.real("vf_coef") == 0.5)  // not in the preset: the default
        let car = try Algorithm.ppo.hyperparameters(environment: "MountainCarContinuous-v0")
        #expect(car.real("log_std_init") == -3.29 && !car.bool("ortho_init") && car.bool("normalize"))
    }

    @Test func settingsWinOverPresets() throws {
        let h = try Algorithm.ppo.hyperparameters(
            environment: "CartPole-v1",
            settings: [
                ("gamma", "0.5"), ("gamma", "0.6"), ("policy_kwargs", "dict(net_arch=dict(pi=[8], vf=[9, 10]))"),
                ("normalize", "{'norm_obs': True, 'norm_reward': False}"), ("activation_fn", "nn.ReLU"),
                ("target_kl", "0.03"), ("clip_range", "None"),
            ])
        #expect(h.real("gamma") == 0.6)
        #expect(h.networks("net_arch") == ([8], [9, 10]))
        #expect(h.bool("normalize") && h.bool("norm_obs") && !h.bool("norm_reward"))
        #expect(h.text("activation_fn") == "relu")
        #expect(h.optionalReal("target_kl") == 0.03 && h.optionalSchedule("clip_range") == nil)
    }

    /// What is written into `config.yaml` reads back as itself.
    @Test func resolvedValuesReadBack() throws {
        let h = try Algorithm.ppo.hyperparameters(environment: "BipedalWalkerHardcore-v3")
        var again = Hyperparameters(PPO.schema)
        for (key, value) in h.resolved { try again.set(key, value, source: "config.yaml") }
        for (key, _) in h.resolved { #expect(h[key] == again[key], "\(key)") }
    }

    @Test(arguments: [
        ("gama", "0.9", "gamma"), ("learning_rte", "1", "learning_rate"), ("gamma", "1.5", "from 0.0 to 1.0"),
        ("gamma", "nan", "from 0.0 to 1.0"), ("n_steps", "2.5", "whole number"), ("n_steps", "0", "from 1 to"),
        ("n_envs", "many", "whole number"), ("use_sde", "perhaps", "true or false"),
        ("net_arch", "[64, 0]", "widths"), ("net_arch", "64", "widths"), ("learning_rate", "lin_x", "lin_"),
        ("policy", "CnnLstmPolicy", "MlpPolicy"), ("max_grad_norm", "-1", "null"),
        ("policy_kwargs", "dict(net_arc=[1])", "net_arch"),
    ]) func badSettingsAreNamed(key: String, value: String, hint: String) throws {
        let error = #expect(throws: HyperparameterError.self) {
            try Algorithm.ppo.hyperparameters(environment: "CartPole-v1", settings: [(key, value)])
        }
        #expect(error?.description.contains(hint) == true, "\(String(describing: error))")
        #expect(error?.description.contains("--set \(key)") == true)
    }

    /// What the zoo's own files are written with: anchors and merge keys, tuples, the older form of `net_arch`.
    @Test func zooFilesAreTaken() throws {
        let yaml = """
            Base-v1: &base
              gamma: 0.9
              n_envs: 4
              env_wrapper: null
              policy_kwargs: "dict(net_arch=[dict(pi=[8], vf=[9, 10])], activation_fn=nn.ReLU)"
            Other: &other
              gamma: 0.8
              n_steps: 7
            CartPole-v1:
              n_envs: 2
              <<: [*base, *other]
              env_kwargs:
                gravity: 9.8
                kind: hard
            Acrobot-v1:
              <<: *other
              net_arch:
                - pi: [3]
                  vf: [4]
            LunarLander-v2:
              gamma: 0.5
            """
        let folder = try temporaryFolder()
        defer { try? FileManager.default.removeItem(at: folder) }
        let path = folder.appendingPathComponent("zoo.yml").path
        try yaml.write(toFile: path, atomically: false, encoding: .utf8)
        let merged = try Algorithm.ppo.hyperparameters(environment: "CartPole-v1", preset: path)
        #expect(merged.real("gamma") == 0.9 && merged.integer("n_envs") == 2 && merged.integer("n_steps") == 7)
        #expect(merged.networks("net_arch") == ([8], [9, 10]) && merged.text("activation_fn") == "relu")
        #expect(merged.environmentOptions == [.init("gravity", "9.8"), .init("kind", "hard")])
        let other = try Algorithm.ppo.hyperparameters(environment: "Acrobot-v1", preset: path)
        #expect(other.networks("net_arch") == ([3], [4]) && other.real("gamma") == 0.8)
        let error = #expect(throws: PresetError.self) {
            try Algorithm.ppo.hyperparameters(environment: "LunarLander-v3", preset: path)
        }
        #expect(
            error?.description
                == "\(path) has no entry for LunarLander-v3, but one for LunarLander-v2; rename it to LunarLander-v3 if "
                + "that is meant")
        #expect(throws: PresetError.self) { try Presets(yaml: "a: {<<: 3}", source: "x.yml") }
    }

    @Test(arguments: [
        ("8", 8), ("1e1", 10), ("(8, \"step\")", 8), ("[8, 'step']", 8), ("[8, step]", 8),
    ]) func frequenciesAreTaken(text: String, count: Int) throws {
        let h = try Algorithm.dqn.hyperparameters(
            environment: "CartPole-v1", settings: [("train_freq", text)])
        #expect(h.frequency("train_freq") == (count, .step))
    }

    @Test func frequenciesAreParsed() {
        let kind = Hyperparameter.Kind.frequency(1...100)
        for text in ["(1, \"episode\")", "[1, 'episode']", "(1, episode)"] {
            #expect(kind.parse(text) == .frequency(1, .episode), "\(text)")
        }
        #expect(kind.parse("7") == .frequency(7, .step))
        for text in ["(7)", "(7, 'epoch')", "(0, 'episode')", "7.5", "(7, 'step', 1)", "episode", ""] {
            #expect(kind.parse(text) == nil, "\(text)")
        }
        for value in [Hyperparameter.Value.frequency(7, .step), .frequency(1, .episode)] {
            #expect(kind.parse(value.text) == value)
        }
    }

    /// What the zoo has and is done otherwise here is refused by name, with what to do instead.
    @Test(arguments: [
        ("train_freq", "(1, \"episode\")", "gradient_steps=-1"),
        ("env_wrapper", "gym_minigrid.wrappers.FlatObsWrapper", "python -m swift_gym.serve"),
        ("env_wrapper", "[a.B, {c.D: {e: 1}}]", "frame_stack"), ("callback", "x.Y", "train-from-swift"),
        ("net_arch", "[64, dict(pi=[3], vf=[4])]", "share"),
    ]) func whatIsDoneOtherwiseIsSaid(key: String, value: String, hint: String) throws {
        let error = #expect(throws: HyperparameterError.self) {
            try Algorithm.dqn.hyperparameters(environment: "CartPole-v1", settings: [(key, value)])
        }
        #expect(error?.description.contains("--set \(key): \(key)") == true, "\(error!)")
        #expect(error?.description.contains(hint) == true, "\(error!)")
    }

    @Test func environmentOptionsAreHyperparameters() throws {
        var h = try Algorithm.ppo.hyperparameters(
            environment: "Pendulum-v1", settings: [("env_kwargs", "{'g': 9.8, 'sizes': [1, 2]}")])
        #expect(h.environmentOptions == [.init("g", "9.8"), .init("sizes", "[1, 2]")])
        h.setOption("g", "5")
        #expect(h["env_kwargs"].text == "dict(sizes=[1, 2], g=5)")
        var again = Hyperparameters(PPO.schema)
        for (key, value) in h.resolved { try again.set(key, value, source: "config.yaml") }
        #expect(again.environmentOptions == h.environmentOptions)
        #expect(Hyperparameters(PPO.schema)["env_kwargs"].text == "null")
    }

    @Test func badPresetsAreNamed() throws {
        #expect(throws: PresetError.self) { try Presets(yaml: "- a\n- b", source: "x.yml") }
        #expect(throws: PresetError.self) { try Presets(yaml: "a: {b: ", source: "x.yml") }
        #expect(throws: PresetError.self) { try Presets(yaml: "a: 1", source: "x.yml") }
        #expect(throws: PresetError.self) {
            try Algorithm.ppo.hyperparameters(environment: "CartPole-v1", preset: "/does/not/exist.yml")
        }
        let error = #expect(throws: PresetError.self) {
            try Algorithm.ppo.hyperparameters(environment: "CartPole-v1", preset: "CartPole-v0")
        }
        #expect(error?.description.contains("did you mean CartPole-v1") == true)
    }

    @Test func schedules() {
        #expect(Schedule.constant(2).value(progressRemaining: 0.25) == 2)
        #expect(Schedule.linear(from: 2).value(progressRemaining: 1) == 2)
        #expect(Schedule.linear(from: 2).value(progressRemaining: 0.25) == 0.5)
        #expect(Schedule.linear(from: 2).value(progressRemaining: -0.1) == 0)
    }
}
