import Agents
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
