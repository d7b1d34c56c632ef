import GymCore
import GymEnvironments
import TestSupport
import Testing

/// Replays what Gymnasium's Box2D environments did.
///
/// The solver repeats Box2D's arithmetic, so every float32 is the same: on this platform. Where the C library's sines
/// differ in a last bit, episodes drift apart like any chaotic motion; hence the tolerances, which are those of a
/// policy that transfers: the first 60 steps of nine episodes in ten within 2e-3, and the same ends.
@Suite struct GoldenRigidBodyTests {
    private static let files = [
        ("bipedalwalker-v3", "BipedalWalker-v3"), ("bipedalwalkerhardcore-v3", "BipedalWalkerHardcore-v3"),
        ("lunarlander-v3", "LunarLander-v3"),
    ]

    @Test(arguments: files)
    func goldenEpisodesReplay(file: String, id: String) throws {
        let golden = try GoldenTrajectories<NoWorld>("golden/\(file).json.gz")
        var close = 0
        for episode in golden.episodes {
            var figures = ReplayFigures()
            let batch = try GymEnvironments.registry.make(id, .init(options: episode.kwargs, autoreset: .disabled))
            try episode.replay(in: batch, figures: &figures)
            if figures.largestError <= 2e-3 { close += 1 }
            #expect(figures.mismatches.isEmpty)
            #if os(Linux)
            #expect(figures.unequalStarts.isEmpty)
            #expect(figures.equalShare == 1)
            #expect(figures.largestRewardError <= 1e-9)
            #endif
        }
        #expect(Double(close) >= 0.9 * Double(golden.episodes.count))
    }
}
