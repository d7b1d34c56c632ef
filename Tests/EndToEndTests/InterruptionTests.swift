import Foundation
import TestSupport
import Testing

/// Runs that end early: by Ctrl-C, by a signal, by `kill -9`; and the server that was started for them.
@Suite struct InterruptionTests {
    /// Far more steps than a test waits for.
    private static let long = ["train", "ppo", "CartPole-v1", "--steps", "1000000000"]

    /// Ctrl-C on a terminal reaches everything in the foreground: the run still ends whole.
    @Test func oneCtrlCLeavesAWholeRun() throws {
        let agent = try Agent()
        // Without `exec` the shell stays, and some shells tell of the Ctrl-C instead of the run's exit code.
        let command = (["exec", Agent.program.path] + InterruptionTests.long + ["--run", agent.path("run")])
            .joined(separator: " ")
        let terminal = try RunningProcess(onTerminal: command)
        #expect(eventually { agent.text("run/progress.csv").count > 2000 })
        try terminal.write("\u{3}")
        let process = try terminal.finish()
        #expect(process.status == 0, "\(process.output.suffix(500))")
        #expect(process.output.contains("ending the run"))
        let summary = try #require(agent.summary(of: "run"))
        #expect(summary.steps > 0 && summary.steps < 1_000_000_000)
        #expect(try Agent.program.run(["evaluate", agent.path("run"), "--episodes", "2"]).status == 0)
    }

    @Test func twiceEndsAtOnce() throws {
        let agent = try Agent()
        // A rollout that takes far longer than the test: the run cannot end whole in time.
        let running = try Agent.program.start(
            InterruptionTests.long + ["--set", "n_steps=1000000", "--envs", "16", "--run", agent.path("run")])
        #expect(eventually { agent.text("run/config.yaml").count > 0 })
        // In the rollout, that is, once the server has worked: before its first step a run still ends whole.
        let server = try #require(ownServer(of: running.identifier)).process
        #expect(eventually { processorTicks(of: server) > 50 })
        running.signal(SIGINT)
        // Two that come before the first is heard are one.
        #expect(eventually { running.errors.contains("ending the run") })
        running.signal(SIGINT)
        #expect(try running.finish().status == 130)
        #expect(agent.summary(of: "run") == nil)
    }

    @Test(arguments: [SIGKILL, SIGINT]) func noServerOutlivesTheAgent(signal: Int32) throws {
        let agent = try Agent()
        let running = try Agent.program.start(InterruptionTests.long + ["--run", agent.path("run")])
        #expect(eventually { agent.text("run/progress.csv").count > 2000 })
        let server = try #require(ownServer(of: running.identifier))
        #expect(FileManager.default.fileExists(atPath: server.folder + "/socket"))
        running.signal(signal)
        #expect(try running.finish().status == (signal == SIGKILL ? -SIGKILL : 0))
        #expect(eventually { kill(server.process, 0) != 0 }, "the server lives on")
        #expect(eventually { !FileManager.default.fileExists(atPath: server.folder) })
    }

    /// A server that dies in the middle of a run is named, with exit code 1.
    @Test func aServerThatDiesIsReported() throws {
        let agent = try Agent()
        let running = try Agent.program.start(InterruptionTests.long + ["--run", agent.path("run")])
        #expect(eventually { agent.text("run/progress.csv").count > 2000 })
        kill(try #require(ownServer(of: running.identifier)).process, SIGKILL)
        let process = try running.finish()
        #expect(process.status == 1 && process.errors.contains("the connection to the server is lost"))
        #expect(agent.summary(of: "run") == nil)
    }
}

/// The processor time that a process has used, in hundredths of a second.
private func processorTicks(of process: Int32) -> Int {
    guard let text = try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8),
        let rest = text.split(separator: ")").last?.split(separator: " "), rest.count > 12
    else { return 0 }
    return (Int(rest[11]) ?? 0) + (Int(rest[12]) ?? 0)
}
