import Foundation
import TestSupport
import Testing

/// Runs that are interrupted and go on.
@Suite struct ResumeTests {
    private static let command = "ppo CartPole-v1 --steps 40000 --seed 11 --checkpoint-every 2000 --quiet"
    /// Short runs of every algorithm, the replay buffers of which have gone round.
    private static let commands =
        [command]
        + [
            "dqn CartPole-v1 --set prioritized_replay=true --set n_steps=3 --set train_freq=8 --set gradient_steps=4",
            "td3 Pendulum-v1 --set noise_type=ornstein-uhlenbeck --set train_freq=4 --envs 2",
            "sac Pendulum-v1 --set use_sde=true --set train_freq=8 --set gradient_steps=2",
        ].map {
            $0 + " --steps 12000 --seed 11 --checkpoint-every 1000 --quiet --set buffer_size=5000"
                + " --set learning_starts=1000 --set batch_size=32 --set net_arch=[32,32]"
        }

    /// The same in four parts of everything, and A2C.
    private static let inParts = [
        "ppo Pendulum-v1 --envs 8 --steps 24000 --set n_steps=64 --set normalize=true --set parts=4",
        "a2c CartPole-v1 --steps 24000", "a2c CartPole-v1 --steps 24000 --set parts=4",
        "dqn CartPole-v1 --envs 4 --steps 12000 --set learning_starts=500 --set n_steps=3 --set parts=4",
        "td3 Pendulum-v1 --envs 4 --steps 6000 --set learning_starts=500 --set net_arch=[32,32] --set parts=4",
        "sac Pendulum-v1 --envs 4 --steps 6000 --set learning_starts=500 --set net_arch=[32,32] --set parts=4",
    ].map { $0 + " --checkpoint-every 1000 --quiet --set eval_freq=0" }

    /// Killed at random moments, again and again, a run ends with the weights and the log of one that was not.
    @Test(arguments: commands + commands + inParts) func killedRunsEndTheSame(command: String) throws {
        let agent = try Agent()
        let whole = try agent.train(command, run: "whole")
        let hash = try #require(whole.summary, "\(whole.process.errors)").weightsSha256
        let words = ["train"] + command.split(separator: " ").map(String.init)
        var running = try Agent.program.start(words + ["--run", agent.path("killed")])
        #expect(eventually { agent.text("killed/config.yaml").count > 0 })
        var kills = 0
        while kills < 4 {
            usleep(.random(in: 10_000...200_000))
            running.signal(SIGKILL)
            if try running.finish().status == -SIGKILL { kills += 1 } else { break }
            running = try resume(agent.path("killed"))
        }
        let last = try running.finish()
        #expect(last.status == 0, "\(last.errors)")
        #expect(agent.summary(of: "killed")?.weightsSha256 == hash, "after \(kills) kills")
        #expect(agent.summary(of: "killed")?.steps == whole.summary?.steps)
        #expect(log(agent, "killed") == log(agent, "whole"))
    }

    /// Ctrl-C, then resume: as if nothing had happened.
    @Test func interruptedRunsEndTheSame() throws {
        let agent = try Agent()
        let hash = try #require(agent.train(ResumeTests.command, run: "whole").summary).weightsSha256
        let words = ["train"] + ResumeTests.command.split(separator: " ").map(String.init)
        let running = try Agent.program.start(words + ["--run", agent.path("run")])
        #expect(eventually { agent.text("run/progress.csv").count > 1000 })
        running.signal(SIGINT)
        #expect(try running.finish().status == 0)
        #expect(agent.summary(of: "run") != nil)
        #expect(try resume(agent.path("run")).finish().status == 0)
        #expect(agent.summary(of: "run")?.weightsSha256 == hash)
    }

    /// A run that has ended can be trained further; going back is refused.
    @Test func runsGoOnPastTheirEnd() throws {
        let agent = try Agent()
        _ = try agent.train("ppo CartPole-v1 --steps 4000 --quiet", run: "run")
        let further = try Agent.program.run(["resume", agent.path("run"), "--steps", "8000"])
        #expect(further.status == 0 && further.output.contains("going on at step 4096"), "\(further.errors)")
        #expect(agent.summary(of: "run")?.steps == 8192)
        #expect(agent.text("run/config.yaml").contains("n_timesteps: 8000"))
        // A log that somebody removed is begun anew.
        try FileManager.default.removeItem(atPath: agent.path("run/progress.csv"))
        let anew = try Agent.program.run(["resume", agent.path("run"), "--steps", "8400", "--quiet"])
        #expect(anew.status == 0 && agent.text("run/progress.csv").hasPrefix("time/iterations,"), "\(anew.errors)")
        let back = try Agent.program.run(["resume", agent.path("run"), "--steps", "100"])
        #expect(back.status == 2 && back.errors.contains("--steps is 100; the run has 8448 steps already"))
    }

    /// Checkpoints that are broken are named. With one that is whole the run goes on; with none nothing is touched.
    @Test(arguments: commands) func brokenCheckpointsAreNamed(command: String) throws {
        let agent = try Agent()
        _ = try agent.train(command, run: "run")
        let hash = try #require(agent.summary(of: "run")).weightsSha256
        let folder = agent.path("run/checkpoints")
        let names = try FileManager.default.contentsOfDirectory(atPath: folder)
        #expect(names.count == 2)
        let newest = try #require(names.max { Int($0.prefix { $0.isNumber })! < Int($1.prefix { $0.isNumber })! })
        try change("\(folder)/\(newest)") { $0[$0.count / 2] ^= 1 }
        let second = try resume(agent.path("run")).finish()
        #expect(
            second.status == 0 && second.errors.contains("\(newest) cannot be taken: it is cut short or was changed"))
        #expect(agent.summary(of: "run")?.weightsSha256 == hash)

        for name in names { try change("\(folder)/\(name)") { $0[8] = 77 } }
        let before = contents(agent.path("run"))
        let third = try resume(agent.path("run")).finish()
        #expect(third.status == 1)
        for name in names {
            #expect(third.errors.contains("\(name) cannot be taken: it is of version 77"), "\(third.errors)")
        }
        #expect(contents(agent.path("run")) == before)
    }

    @Test(arguments: ["ppo", "dqn"]) func whatHasChangedIsNamed(algorithm: String) throws {
        let agent = try Agent()
        _ = try agent.train("\(algorithm) CartPole-v1 --steps 2000 --quiet", run: "run")
        let configuration = agent.text("run/config.yaml")
        try configuration.replacing("environment: CartPole-v1", with: "environment: Acrobot-v1")
            .write(toFile: agent.path("run/config.yaml"), atomically: false, encoding: .utf8)
        let before = contents(agent.path("run"))
        let process = try resume(agent.path("run")).finish()
        #expect(process.status == 1, "\(process.errors)")
        #expect(process.errors.contains("the environment is Acrobot-v1 now, and was CartPole-v1"), "\(process.errors)")
        #expect(contents(agent.path("run")) == before)
        let none = try resume(agent.path("none")).finish()
        #expect(none.status == 2 && none.errors.contains("is no run's folder"))
    }

    /// A step size that drives the weights out of the finite numbers: the run stops, and names what to go back to.
    @Test(arguments: [
        "ppo Pendulum-v1 --set max_grad_norm=null --set activation_fn=relu --set use_sde=false",
        // Without its epsilon Adam divides 0 by 0 where a unit gives nothing.
        "dqn CartPole-v1 --set adam_epsilon=0 --set learning_starts=1500",
        "td3 Pendulum-v1 --set adam_epsilon=0 --set learning_starts=1500 --set net_arch=[32,32] --set batch_size=32",
        "sac Pendulum-v1 --set tau=1 --set learning_starts=1500 --set net_arch=[32,32] --set batch_size=32",
    ])
    func aRunThatDivergesNamesTheCheckpointBefore(command: String) throws {
        let agent = try Agent()
        let settings = " --set learning_rate=1 --set gamma=1 --set eval_freq=0 --set n_timesteps=1000000 --quiet"
        let (process, summary) = try agent.train(command + settings, run: "run")
        #expect(process.status == 1 && summary == nil)
        #expect(process.errors.contains("is not a finite number at step "), "\(process.errors)")
        let line = try #require(process.errors.split(separator: "\n").last)
        #expect(line.hasPrefix("the newest checkpoint before it: "), "\(process.errors)")
        #expect(FileManager.default.fileExists(atPath: String(line.split(separator: " ").last ?? "")))
    }

    @Test func aFolderInUseIsRefused() throws {
        let agent = try Agent()
        let running = try Agent.program.start(
            ["train", "ppo", "CartPole-v1", "--steps", "1000000000", "--run", agent.path("run")])
        #expect(eventually { agent.text("run/progress.csv").count > 1000 })
        let process = try resume(agent.path("run")).finish()
        #expect(process.status == 1 && process.errors.contains("another process is training in"), "\(process.errors)")
        running.signal(SIGKILL)
        _ = try running.finish()
    }

    /// Evaluations during training are logged, and the best policy can be evaluated by itself.
    @Test func evaluationsKeepTheBestPolicy() throws {
        let agent = try Agent()
        let settings = "ppo CartPole-v1 --steps 20000 --set eval_freq=5000 --set eval_episodes=3 --quiet"
        let hash = try #require(agent.train(settings, run: "run").summary).weightsSha256
        let rows = agent.text("run/progress.csv").split(separator: "\n")
            .map { $0.split(separator: ",", omittingEmptySubsequences: false) }
        let column = try #require(rows[0].firstIndex(of: "eval/mean_reward"))
        let values = rows.dropFirst().compactMap { Double($0[column]) }
        #expect(values.count == 4)
        let report = try Agent.program.run(["evaluate", agent.path("run/best"), "--json"])
        #expect(report.status == 0 && report.output.contains("mean_return"), "\(report.errors)")
        // Looking at the policy does not change what is learnt.
        let without = settings.replacing("eval_freq=5000", with: "eval_freq=0")
        #expect(try agent.train(without, run: "without").summary?.weightsSha256 == hash)
        #expect(!FileManager.default.fileExists(atPath: agent.path("without/best")))
    }

    private func resume(_ path: String) throws -> RunningProcess {
        try Agent.program.start(["resume", path, "--checkpoint-every", "2000", "--quiet"])
    }

    /// The log without what depends on time.
    private func log(_ agent: Agent, _ run: String) -> [String] {
        agent.text("\(run)/progress.csv").split(separator: "\n").map { line in
            let fields = line.split(separator: ",", omittingEmptySubsequences: false)
            // time/iterations, time/time_elapsed, time/total_timesteps, time/fps, …
            return ([fields[0], fields[2]] + fields[4...]).joined(separator: ",")
        }
    }

    private func change(_ path: String, _ body: (inout [UInt8]) -> Void) throws {
        var bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
        body(&bytes)
        try Data(bytes).write(to: URL(fileURLWithPath: path))
    }

    private func contents(_ folder: String) -> [String: Data] {
        let names = FileManager.default.enumerator(atPath: folder)?.compactMap { $0 as? String } ?? []
        return Dictionary(
            uniqueKeysWithValues: names.map { ($0, FileManager.default.contents(atPath: "\(folder)/\($0)") ?? Data()) })
    }
}
