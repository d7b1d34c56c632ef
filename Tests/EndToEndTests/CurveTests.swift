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

    /// A copy of a run is no second seed, and neither is what it was before it went on.
    @Test func copiesAreNoSeeds() throws {
        try FileManager.default.copyItem(atPath: agent.path("a-0"), toPath: agent.path("copy"))
        #expect(try Agent.program.run(["resume", agent.path("copy"), "--steps", "1024", "--quiet"]).status == 0)
        let shown = try Agent.program.run(["plot"] + ["a-0", "a-1", "copy"].map { agent.path($0) })
        #expect(shown.status == 0 && shown.output.contains("━━ ppo (2 seeds)"), "\(shown.output)")
        #expect(shown.errors.contains("\(agent.path("copy")) has the recipe and the seed of a run before it"))
        #expect(shown.errors.contains("\(agent.path("a-0")) counts for both"))
    }

    /// Runs are told apart by what differs between them, by their folders only when that is much.
    @Test func runsAreNamedByWhatDiffers() throws {
        for (run, settings) in [
            ("b", "--set gamma=0.5"), ("c", "--set gamma=0.5 --set n_epochs=2"),
            ("d", "--set gamma=0.4 --set n_epochs=1 --set clip_range=0.1 --set ent_coef=0.1"),
        ] {
            _ = try agent.train("ppo CartPole-v1 --steps 1024 --quiet " + settings, run: run)
        }
        func labels(_ runs: String...) throws -> [String] {
            try Agent.program.run(["plot"] + runs.map { agent.path($0) }).output.split(separator: "\n")
                .compactMap { line in line.range(of: "━━ ").map { String(line[$0.upperBound...]) } }
        }
        #expect(try labels("a-0", "a-1", "b") == ["ppo gamma=0.98 (2 seeds)", "ppo gamma=0.5"])
        #expect(
            try labels("a-0", "b", "c")
                == ["ppo n_epochs=20 gamma=0.98", "ppo n_epochs=20 gamma=0.5", "ppo n_epochs=2 gamma=0.5"])
        #expect(try labels("a-0", "d") == ["a-0", "d"])
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
