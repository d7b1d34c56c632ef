import Foundation
import TestSupport
import Testing

/// The curves of runs.
@Suite struct CurveTests {
    private let agent: Agent

    init() throws {
        agent = try Agent()
        for (run, seed) in [("a-0", 0), ("a-1", 1)] {
            let process = try agent.train("ppo CartPole-v1 --steps 1024 --seed \(seed) --quiet", run: run).process
            try #require(process.status == 0, "\(process.errors)")
        }
    }

    private func agentRun(_ words: String...) throws -> FinishedProcess { try Agent.program.run(words) }

    @Test func curvesBecomePicturesAndText() throws {
        let runs = [agent.path("a-0"), agent.path("a-1")]
        let png = agent.path("curve.png")
        let process = try Agent.program.run(["plot"] + runs + ["--out", png])
        #expect(process.status == 0 && process.output == "wrote \(png)\n", "\(process.errors)")
        let bytes = try Data(contentsOf: URL(fileURLWithPath: png))
        #expect(bytes.starts(with: [0x89, 0x50, 0x4E, 0x47]))
        let svg = agent.path("curve.svg")
        #expect(
            try Agent.program.run(["plot"] + runs + ["--out", svg, "--metric", "train/value_loss"]).status == 0)
        let text = agent.text("curve.svg")
        #expect(text.contains("ppo (2 seeds)") && text.contains("train/value_loss") && text.contains("CartPole-v1"))
        let shown = try Agent.program.run(["plot"] + runs)
        #expect(shown.status == 0 && shown.output.contains("━━ ppo (2 seeds)") && !shown.output.contains("\u{1B}"))
    }

    @Test func wrongCurvesAreNamed() throws {
        let run = agent.path("a-0")
        for (words, message) in [
            (["plot"], "folders"), (["plot", agent.path("none")], "no readable config.yaml"),
            (["plot", run, "--out", "curve.bmp"], ".png or .svg"),
            (["plot", run, "--metric", "train/value_los"], "train/value_loss"),
            (["plot", run, "--out", "x.png", "--width", "0"], "--width is 0"),
        ] {
            let process = try Agent.program.run(words)
            #expect(process.status == 2 && process.errors.contains(message), "\(process.errors)")
        }
        let process = try agentRun("plot", run, "--out", agent.path("none/curve.png"))
        #expect(process.status == 1 && process.errors.contains("cannot write"))
    }
}
