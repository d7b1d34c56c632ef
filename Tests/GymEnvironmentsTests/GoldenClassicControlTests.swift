import GymCore
import GymEnvironments
import TestSupport
import Testing

/// Replays what Gymnasium's environments of classic control did.
@Suite struct GoldenClassicControlTests {
    @Test(arguments: [
        ("cartpole", "CartPole-v1"), ("pendulum", "Pendulum-v1"), ("mountaincar", "MountainCar-v0"),
        ("mountaincarcontinuous", "MountainCarContinuous-v0"), ("acrobot", "Acrobot-v1"),
    ])
    func goldenEpisodesReplay(file: String, id: String) throws {
        let version = id.split(separator: "-")[1]
        let golden = try GoldenTrajectories<NoWorld>("golden/\(file)-\(version).json.gz")
        let figures = try replay(golden.episodes, id: id)
        #expect(figures.unequalStarts.isEmpty)
    }

    /// Every option, episodes that reach their goal, and seeds beyond 63 bits. Far from where it hangs, the acrobot's
    /// first observation can differ by a last bit: NumPy has a float32 cosine of its own, accurate to 1.5 of them.
    @Test(arguments: ["CartPole-v1", "Pendulum-v1", "MountainCar-v0", "MountainCarContinuous-v0", "Acrobot-v1"])
    func optionsAndEndsReplay(id: String) throws {
        let golden = try GoldenTrajectories<NoWorld>("classic-control.json.gz")
        let figures = try replay(golden.episodes.filter { $0.id == id }, id: id)
        #expect(id == "Acrobot-v1" || figures.unequalStarts.isEmpty)
    }

    private func replay(_ episodes: [GoldenEpisode<NoWorld>], id: String) throws -> ReplayFigures {
        #expect(!episodes.isEmpty)
        var figures = ReplayFigures()
        for episode in episodes {
            let batch = try GymEnvironments.registry.make(id, .init(options: episode.kwargs, autoreset: .disabled))
            try episode.replay(in: batch, figures: &figures)
        }
        print("\(id), \(episodes.count) episodes: \(figures)")
        #expect(figures.mismatches.isEmpty)
        #expect(figures.equalShare >= 0.999)
        #expect(figures.largestRelativeError <= 1e-6)
        #expect(figures.largestRewardError <= 1e-9)
        return figures
    }
}
