import Agents
import ArgumentParser
import CommandLineSupport
import Film
import Foundation
import GymClient
import GymCore
import Raster

/// `gym-agent record`: a film of a trained policy.
struct RecordCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "record", abstract: "Films greedy episodes of a trained policy.")

    @Argument(help: "A run folder.")
    var folder: String

    @Option(help: "The film: .gif needs nothing else installed, .mp4 needs ffmpeg.")
    var out: String

    @Option(parsing: .unconditional, help: "Episodes to film, one after the other.")
    var episodes = 1

    @Option(
        parsing: .unconditional,
        help: "Episode i is seeded with this + i. (default: of the run's own seed, as for evaluate)")
    var seed: UInt64?

    @Option(parsing: .unconditional, help: "Steps after which to end an episode.")
    var maxSteps = 2000

    @Option(parsing: .unconditional, help: "Pictures a second. (default: the environment's own)")
    var fps: Double?

    @Option(parsing: .unconditional, help: "The film's width in pixels, if less than the picture's.")
    var width: Int?

    @OptionGroup var server: ServerOptions

    func validate() throws {
        do {
            try FilmRecorder.check(file: out)
        } catch {
            throw ValidationError("--out: \(error)")
        }
        if let width, width < 1 { throw ValidationError("--width is \(width); it has to be at least 1") }
        guard (1...1000).contains(episodes) else {
            throw ValidationError("--episodes is \(episodes); it has to be from 1 to 1000")
        }
        guard (1...1_000_000).contains(maxSteps) else {
            throw ValidationError("--max-steps is \(maxSteps); it has to be from 1 to 1000000")
        }
        if let fps, !(fps > 0 && fps <= 1000) {
            throw ValidationError("--fps is \(fps); it has to be above 0 and at most 1000")
        }
    }

    func run() throws { try reporting(record) }

    private func record() throws {
        let run = try TrainedRun(folder)
        let configuration = run.configuration
        let server = try server.connect()
        defer { server.embedded?.end() }
        let seed = seed ?? configuration.finalEpisodesSeed
        // Not restarted by itself: the picture of an episode's end would be the next one's beginning.
        let batch = try server.environments.make(
            configuration.environment, count: 1, options: configuration.hyperparameters.environmentOptions,
            autoreset: .disabled, renderMode: "rgb_array")
        let policy = try run.policy(for: batch)
        var film: FilmRecorder?
        var frames = 0
        func shoot() throws {
            guard case .image(let image)? = try batch.render().first, image.shape.count == 3, image.shape[2] == 3,
                image.dtype == .uint8
            else { throw GymError.protocolViolation("the server's picture is not of shape (height, width, 3)") }
            let whole = Picture(width: image.shape[1], height: image.shape[0], bytes: image.bytes)
            let picture = width.map(whole.shrunk(toWidth:)) ?? whole
            if film == nil {
                film = try FilmRecorder(
                    file: out, width: picture.width, height: picture.height,
                    framesPerSecond: fps ?? max(batch.description.renderFPS, 1))
            }
            try film!.add(picture)
            frames += 1
        }
        var returns: [Double] = []
        for episode in 0..<episodes {
            try batch.reset(seeds: [seed &+ UInt64(episode)])
            policy.startEpisode(0)
            try shoot()
            var sum = 0.0
            for _ in 0..<maxSteps {
                policy.act(on: batch.results.observation, count: 1, actions: batch.actions)
                try batch.step()
                sum += batch.results.rewards[0]
                try shoot()
                if batch.results.terminated[0] != 0 || batch.results.truncated[0] != 0 { break }
            }
            returns.append(sum)
        }
        try film?.finish()
        StandardStreams.print(
            "wrote \(out): \(frames) frames, return "
                + returns.map { String(format: "%.1f", $0) }.joined(separator: ", "))
        try batch.close()
    }
}
