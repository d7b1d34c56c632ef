import Foundation
import TestSupport
import Testing

/// What is asked for on the command line, and what comes of it.
@Suite struct CommandTests {
    /// Options of the environment change the task, stand in config.yaml, and belong to the run.
    @Test func environmentOptionsBelongToTheRun() throws {
        let agent = try Agent()
        let settings = "ppo Pendulum-v1 --steps 2000 --set n_steps=128 --set n_timesteps=2000 --quiet"
        let hash = try #require(agent.train(settings, run: "usual").summary).weightsSha256
        #expect(try agent.train(settings + " --option g=10", run: "same").summary?.weightsSha256 == hash)
        let light = try agent.train(settings + " --option g=3", run: "light")
        #expect(try #require(light.summary, "\(light.process.errors)").weightsSha256 != hash)
        #expect(agent.text("light/config.yaml").contains("env_kwargs: \"dict(g=3)\""))
        // The same by a preset of the zoo's form.
        try
            "Pendulum-v1: {env_kwargs: {g: 3}, n_envs: 4, n_steps: 128, gae_lambda: 0.95, gamma: 0.9, n_epochs: 20, ent_coef: 0.0, learning_rate: lin_1e-3, clip_range: 0.1, use_sde: True, sde_sample_freq: 4}"
            .write(toFile: agent.path("zoo.yml"), atomically: false, encoding: .utf8)
        let zoo = try agent.train(settings + " --preset \(agent.path("zoo.yml"))", run: "zoo")
        #expect(try zoo.summary?.weightsSha256 == #require(light.summary).weightsSha256, "\(zoo.process.errors)")
        // The policy is evaluated in the environment that it was trained in.
        let report = try Agent.program.run(["evaluate", agent.path("light"), "--json"])
        let mean = try #require(light.summary).finalMeanReturn
        #expect(report.output.contains("\"mean_return\":\(mean)"), "\(report.output), not \(mean)")
        let changed = agent.text("light/config.yaml").replacing("dict(g=3)", with: "dict(g=4)")
        try changed.write(toFile: agent.path("light/config.yaml"), atomically: false, encoding: .utf8)
        let resumed = try Agent.program.run(["resume", agent.path("light"), "--steps", "4000"])
        #expect(resumed.status == 1 && resumed.errors.contains("env_kwargs is dict(g=4) now, and was dict(g=3)"))
    }

    @Test(arguments: [
        ("g", "--option is 'g'; it has to be KEY=VALUE"), ("gg=1", "Pendulum-v1 has no option 'gg' (did you mean g?)"),
        ("g=heavy", "the option g is 'heavy'; it has to be a finite number"),
    ]) func wrongOptionsAreNamed(option: String, message: String) throws {
        let agent = try Agent()
        let process = try agent.train("ppo Pendulum-v1 --option \(option)", run: "run").process
        #expect(process.status == 2 && process.errors.contains(message), "\(process.errors)")
        #expect(!FileManager.default.fileExists(atPath: agent.path("run")))
    }

    /// Two that are started together without a folder's name each get one.
    @Test func runsWithoutANameDoNotMeet() throws {
        let agent = try Agent()
        let inFolder = ["sh", "-c", "cd \(agent.folder.path) && exec \"$0\" \"$@\""]
        let command = ["train", "ppo", "CartPole-v1", "--steps", "512", "--quiet"]
        let running = try (0..<4).map { seed in
            try Agent.program.start(command + ["--seed", "\(seed)"], through: inFolder)
        }
        for process in running {
            let finished = try process.finish()
            #expect(finished.status == 0, "\(finished.errors)")
        }
        let seeds = (1...4).compactMap { agent.summary(of: "runs/ppo-CartPole-v1-\($0)")?.seed }
        #expect(Set(seeds) == [0, 1, 2, 3])
    }

    @Test func aFinishedRunSaysSo() throws {
        let agent = try Agent()
        _ = try agent.train("ppo CartPole-v1 --steps 512 --quiet", run: "run")
        let before = agent.text("run/progress.csv")
        let process = try Agent.program.run(["resume", agent.path("run")])
        #expect(process.status == 0 && process.output.contains("is already finished, with 512 steps; --steps N"))
        #expect(agent.text("run/progress.csv") == before)
        // One that was killed in its last episodes plays them.
        try FileManager.default.removeItem(atPath: agent.path("run/summary.json"))
        #expect(try Agent.program.run(["resume", agent.path("run"), "--quiet"]).status == 0)
        #expect(agent.summary(of: "run")?.steps == 512)
    }

    @Test func runsStartWithAnothersPolicy() throws {
        let agent = try Agent()
        _ = try agent.train("ppo CartPole-v1 --steps 30000 --quiet", run: "first")
        let settings = "ppo CartPole-v1 --steps 256 --set learning_rate=0 --quiet --from \(agent.path("first"))"
        let second = try agent.train(settings, run: "second")
        // Nothing is learnt: it is the first one's policy that is played.
        #expect(try #require(second.summary, "\(second.process.errors)").finalMeanReturn > 300)
        let other = try agent.train("ppo Acrobot-v1 --from \(agent.path("first"))", run: "other").process
        #expect(other.status == 2 && other.errors.contains("--from: 'policy.0.weight' is"), "\(other.errors)")
        let none = try agent.train("ppo CartPole-v1 --from \(agent.path("none"))", run: "other").process
        #expect(none.status == 2 && none.errors.contains("is no run's folder"), "\(none.errors)")
    }

    @Test func threadsChangeNothing() throws {
        let agent = try Agent()
        let settings = "td3 Pendulum-v1 --steps 700 --set learning_starts=300 --set net_arch=[16] --quiet --threads "
        let hash = try #require(agent.train(settings + "1", run: "one").summary).weightsSha256
        #expect(try agent.train(settings + "2", run: "two").summary?.weightsSha256 == hash)
        let none = try agent.train(settings + "0", run: "none").process
        #expect(none.status == 2 && none.errors.contains("--threads is 0; it has to be from 1"), "\(none.errors)")
    }

    @Test func oneAlgorithmIsListedAlone() throws {
        let process = try Agent.program.run(["list", "td3"])
        #expect(process.status == 0 && process.output.contains("policy_delay = 2"))
        #expect(process.output.hasPrefix("td3: ") && !process.output.contains("\nppo: "))
        let wrong = try Agent.program.run(["list", "td4"])
        #expect(wrong.status == 2 && wrong.errors.contains("there is no algorithm 'td4' (did you mean td3?)"))
    }
}
