import Foundation
import GymClient
import TestSupport
import Testing

/// Evaluations that would not end, or would not fit.
@Suite struct EvaluationTests {
    /// A counter that nobody waits for.
    private static let endless = ["conformance/Counter-v0", "--option", "limit=2000000000"]

    private func train(_ server: ServerProcess, _ arguments: [String], run: String) throws -> RunningProcess {
        try Agent.program.start(
            ["train", "ppo"] + arguments + ["--steps", "256", "--envs", "1", "--set", "n_steps=256"]
                + ["--server", "unix:\(server.path)", "--run", run])
    }

    /// After its last step a run whose episodes never end plays them. One signal, as a cluster or a container sends it,
    /// ends that, and the run is whole.
    @Test(arguments: [SIGTERM, SIGINT]) func oneSignalEndsTheLastEpisodes(signal: Int32) throws {
        let agent = try Agent()
        let server = try ServerProcess(arguments: ["--conformance"])
        let running = try train(server, EvaluationTests.endless, run: agent.path("run"))
        // The policy is written before the last episodes are played.
        #expect(eventually { FileManager.default.fileExists(atPath: agent.path("run/policy.safetensors")) })
        running.signal(signal)
        let process = try running.finish()
        #expect(process.status == 0, "\(process.errors)")
        #expect(process.errors.contains("the last evaluation was cut short: 20 of its episodes had not ended"))
        let summary = try #require(agent.summary(of: "run"))
        #expect(summary.steps == 256 && agent.text("run/summary.json").contains("\"final_episodes_cut\" : 20"))
    }

    /// Without a signal they are cut after the most steps, and it is said.
    @Test func episodesWithoutAnEndAreCut() throws {
        let agent = try Agent()
        let server = try ServerProcess(arguments: ["--conformance"])
        let process = try train(server, EvaluationTests.endless, run: agent.path("run")).finish()
        #expect(process.status == 0 && process.errors.contains("20 of 20 episodes had not ended after 27000 steps"))
        let address = ["--server", "unix:\(server.path)"]
        let report = try Agent.program.run(
            ["evaluate", agent.path("run"), "--episodes", "3", "--max-steps", "70", "--json"] + address)
        #expect(report.status == 0 && report.output.contains("\"mean_length\":70"), "\(report.output)")
        #expect(report.errors.contains("3 of 3 episodes had not ended after 70 steps"), "\(report.errors)")
        #expect(report.errors.contains("--max-steps gives them more"))
        #expect(try Agent.program.run(["evaluate", agent.path("run"), "--max-steps", "0"]).status == 2)
    }

    /// Twenty environments side by side have more to say than a frame of this server holds.
    @Test func largeObservationsAreEvaluatedInPieces() throws {
        let agent = try Agent()
        let settings = "ppo PongDifference-v1 --steps 64 --envs 1 --set n_steps=32 --set net_arch=[4] --quiet"
        let server = try ServerProcess(arguments: ["--max-frame-bytes", "300000"])
        let small = try agent.train(settings + " --transport socket --server unix:\(server.path)", run: "small")
        #expect(small.process.status == 0, "\(small.process.errors)")
        let whole = try agent.train(settings, run: "whole")
        #expect(try #require(small.summary).finalMeanReturn == whole.summary?.finalMeanReturn)
        let report = try Agent.program.run(
            ["evaluate", agent.path("small"), "--transport", "socket", "--server", "unix:\(server.path)", "--json"])
        #expect(report.status == 0, "\(report.errors)")
    }

    /// What a run is evaluated by is its own, and evaluating it again gives the same number.
    @Test func evaluatingAgainGivesTheSummarysReturn() throws {
        let agent = try Agent()
        let summary = try agent.train("ppo CartPole-v1 --steps 2000 --quiet", run: "run").summary
        let report = try Agent.program.run(["evaluate", agent.path("run"), "--json"])
        let mean = try #require(summary).finalMeanReturn
        #expect(
            report.output.contains("\"mean_return\":\(mean == mean.rounded() ? String(Int(mean)) : String(mean))"),
            "\(report.output), not \(mean)")
        let other = try Agent.program.run(["evaluate", agent.path("run"), "--json", "--seed", "0"])
        #expect(other.output != report.output)
    }

    @Test func policiesWithoutADistributionAreNotDrawnFrom() throws {
        let agent = try Agent()
        _ = try agent.train("dqn CartPole-v1 --steps 500 --set net_arch=[4] --quiet", run: "run")
        let process = try Agent.program.run(["evaluate", agent.path("run"), "--stochastic"])
        #expect(process.status == 2 && process.errors.contains("has no distribution to draw from"), "\(process.errors)")
    }
}
