import Foundation
import TestSupport
import Testing

/// Training through a server in another process, from the command line.
@Suite struct TrainingTests {
    @Test(arguments: [0, 3]) func ppoLearnsCartPole(seed: Int) throws {
        let agent = try Agent()
        let (process, summary) = try agent.train("ppo CartPole-v1 --seed \(seed)", run: "run")
        #expect(process.status == 0, "\(process.errors)")
        let found = try #require(summary)
        #expect(found.finalMeanReturn >= 475)
        #expect(found.algorithm == "ppo" && found.environment == "CartPole-v1" && found.seed == UInt64(seed))
        #expect(found.steps >= 100_000 && found.updates > 0 && found.wallSeconds > 0 && found.stepsPerSecond > 0)
        let report = try evaluation(agent.path("run"), "--episodes", "20", "--seed", "5")
        #expect(Set(report.keys) == ["environment", "episodes", "mean_return", "std_return", "mean_length"])
        #expect(try #require(report["mean_return"] as? Double) >= 475)
        #expect(report["environment"] as? String == "CartPole-v1" && report["episodes"] as? Int == 20)
    }

    @Test func ppoLearnsPendulum() throws {
        let agent = try Agent()
        let (process, summary) = try agent.train("ppo Pendulum-v1 --seed 1", run: "run")
        #expect(process.status == 0, "\(process.errors)")
        #expect(try #require(summary).finalMeanReturn >= -200)
    }

    /// Same seed, same weights: again, on one core, and over either transport. Another seed: others.
    @Test(arguments: ["CartPole-v1", "Pendulum-v1"]) func sameSeedSameWeights(environment: String) throws {
        let agent = try Agent()
        let command = "ppo \(environment) --steps 20000 --seed 7"
        let first = try agent.train(command + " --transport socket", run: "a")
        let hash = try #require(first.summary).weightsSha256
        #expect(hash.count == 64)
        #expect(try agent.train(command + " --transport socket", run: "b").summary?.weightsSha256 == hash)
        #expect(try agent.train(command + " --transport shared-memory", run: "c").summary?.weightsSha256 == hash)
        let pinned = try agent.train(command, run: "d", through: ["taskset", "-c", firstCore()])
        #expect(pinned.summary?.weightsSha256 == hash, "\(pinned.process.errors)")
        let other = try agent.train("ppo \(environment) --steps 20000 --seed 8", run: "e")
        #expect(try #require(other.summary).weightsSha256 != hash)
    }

    /// The learner at work while environments step, or not: the same weights, over either transport, and a run that was
    /// begun one way goes on the other.
    @Test func overlapChangesNothing() throws {
        let command = "td3 Pendulum-v1 --steps 1200 --set learning_starts=300 --set net_arch=[32,32]"
        let agent = try Agent()
        let first = try agent.train(command + " --overlap off", run: "off")
        let hash = try #require(first.summary, "\(first.process.errors)").weightsSha256
        for transport in ["socket", "shared-memory"] {
            let other = try agent.train(command + " --overlap on --transport \(transport)", run: transport)
            #expect(other.summary?.weightsSha256 == hash, "\(other.process.errors)")
        }
        // The later --steps counts.
        let half = try agent.train(command + " --overlap on --steps 600", run: "half")
        #expect(half.process.status == 0, "\(half.process.errors)")
        let steps = try #require(first.summary).steps
        let resumed = try Agent.program.run(
            ["resume", agent.path("half"), "--steps", String(steps), "--overlap", "off", "--quiet"])
        #expect(resumed.status == 0, "\(resumed.errors)")
        #expect(agent.summary(of: "half")?.steps == steps && agent.summary(of: "half")?.weightsSha256 == hash)
    }

    @Test func runFoldersHoldWhatTheyPromise() throws {
        let agent = try Agent()
        let (process, summary) = try agent.train("ppo CartPole-v1 --steps 2000 --set gamma=0.97 --quiet", run: "run")
        #expect(process.status == 0 && process.output.isEmpty && process.errors.isEmpty)
        let configuration = agent.text("run/config.yaml")
        for line in [
            "algorithm: ppo", "environment: CartPole-v1", "seed: 0", "version:", "  gamma: 0.97", "  n_envs: 8",
        ] { #expect(configuration.contains(line), "config.yaml lacks '\(line)'") }
        let rows = agent.text("run/progress.csv").split(separator: "\n")
            .map { $0.split(separator: ",", omittingEmptySubsequences: false) }
        for name in [
            "time/total_timesteps", "time/fps", "rollout/ep_rew_mean", "rollout/ep_len_mean", "train/value_loss",
            "train/approx_kl", "train/learning_rate",
        ] { #expect(rows[0].contains(Substring(name)), "progress.csv lacks \(name)") }
        #expect(rows.allSatisfy { $0.count == rows[0].count })
        // 8 environments of 32 steps a row.
        #expect(rows.count == 1 + 8 && Double(rows.last![2]) == 2048)
        #expect(try #require(summary).steps == 2048)
        let tool = try RunningProcess(["sha256sum", agent.path("run/policy.safetensors")]).finish()
        #expect(tool.output.hasPrefix(try #require(summary).weightsSha256))
    }

    @Test func listNamesAlgorithmsPresetsAndDefaults() throws {
        let process = try Agent.program.run(["list"])
        #expect(process.status == 0)
        for text in ["ppo: ", "presets: CartPole-v1, Pendulum-v1", "gamma = 0.99: ", "clip_range = 0.2: "] {
            #expect(process.output.contains(text), "list lacks '\(text)'")
        }
    }

    /// Not a terminal: plain lines. A terminal: a bar that redraws itself.
    @Test func progressFitsWhereItIsShown() throws {
        let agent = try Agent()
        let plain = try agent.train("ppo CartPole-v1 --steps 20000", run: "plain").process
        #expect(!plain.output.contains("\r") && !plain.output.contains("\u{1B}"))
        #expect(plain.output.split(separator: "\n").filter { $0.contains("steps/s") }.count == 10)
        #expect(plain.output.contains("100%  20224/20000 steps"))
        let command = "\(Agent.program.path) train ppo CartPole-v1 --steps 20000 --run \(agent.path("bar"))"
        let terminal = try RunningProcess(onTerminal: command).finish()
        #expect(terminal.status == 0)
        #expect(terminal.output.contains("\r\u{1B}[K") && terminal.output.contains("█"))
        #expect(terminal.output.contains("left  mean return "))
    }

    private func evaluation(_ arguments: String...) throws -> [String: Any] {
        let process = try Agent.program.run(["evaluate"] + arguments + ["--json"])
        #expect(process.status == 0, "\(process.errors)")
        return try #require(JSONSerialization.jsonObject(with: Data(process.output.utf8)) as? [String: Any])
    }

    /// The first core that this process may use.
    private func firstCore() throws -> String {
        let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
        let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("Cpus_allowed_list:") })
        return String(try #require(line.split(separator: "\t").last).prefix { $0.isNumber })
    }
}
