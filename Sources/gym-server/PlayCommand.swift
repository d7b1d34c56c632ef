import ArgumentParser
import CommandLineSupport
import Film
import Foundation
import GymCore
import GymEnvironments
import Raster

/// `gym-server play`: an environment in the terminal, played by a person or by chance, or on film.
struct PlayCommand: ParsableCommand {
    enum Policy: String, ExpressibleByArgument, CaseIterable {
        case keyboard
        case random
        /// The action that a person who touches no key takes.
        case still
    }

    static let configuration = CommandConfiguration(
        commandName: "play",
        abstract: "Plays an environment in the terminal, and records it.",
        discussion: """
            Keys: those of the environment, shown below the picture; p pauses, r starts again, q ends. A terminal with \
            24-bit colors and a small font shows most. To watch a trained policy, use 'gym-agent record'.
            """)

    @Argument(help: "The environment's id, as 'gym-server list' has it.")
    var environment: String

    @Option(help: "Who plays: keyboard, random, still. (default: keyboard in a terminal, else random)")
    var policy: Policy?

    @Option(parsing: .unconditional, help: "Steps after which to end. (default: none; 500 when nothing is shown)")
    var steps: Int?

    @Option(parsing: .unconditional, help: "The seed of the first episode and of random actions.")
    var seed: UInt64 = 0

    @Option(parsing: .unconditional, help: "Steps a second. (default: the environment's own)")
    var fps: Double?

    @Option(name: .customLong("option"), help: "KEY=VALUE, an option of the environment; may be given several times.")
    var options: [String] = []

    @Option(help: "Also write a film: .gif, or .mp4 through ffmpeg.")
    var record: String?

    @Option(parsing: .unconditional, help: "The film's width in pixels, if less than the picture's.")
    var width: Int?

    func validate() throws {
        do {
            if let record { try FilmRecorder.check(file: record) }
        } catch {
            throw ValidationError("--record: \(error)")
        }
        if let width, width < 1 { throw ValidationError("--width is \(width); it has to be at least 1") }
        if let steps, steps < 1 { throw ValidationError("--steps is \(steps); it has to be at least 1") }
        if let fps, !(fps > 0 && fps <= 1000) {
            throw ValidationError("--fps is \(fps); it has to be above 0 and at most 1000")
        }
        for option in options where !option.dropFirst().contains("=") {
            throw ValidationError("--option is '\(option)'; it has to be KEY=VALUE")
        }
        if policy == .keyboard && !Terminal.isInteractive {
            throw ValidationError("--policy keyboard needs a terminal")
        }
    }

    func run() throws {
        // An ffmpeg that has gone is an error to report.
        signal(SIGPIPE, SIG_IGN)
        do {
            try play()
        } catch let error as UnknownEnvironmentError {
            throw ValidationError("\(error)")
        } catch let error as OptionError {
            throw ValidationError("\(error)")
        } catch let error as ExitCode {
            throw error
        } catch {
            StandardStreams.error("gym-server: \(error)")
            throw ExitCode(1)
        }
    }

    private func play() throws {
        let registry = GymEnvironments.registry
        let spec = try registry.spec(environment)
        var given: [String: OptionValue] = [:]
        for option in options {
            let parts = option.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            given[String(parts[0])] = OptionValue(argument: String(parts[1]))
        }
        let plain = try registry.make(environment, .init(options: given))
        let controls = PlayControls(environment, actionSpace: plain.actionSpace)
        let isShown = Terminal.isInteractive
        let policy = self.policy ?? (isShown ? .keyboard : .random)
        guard isShown || record != nil else {
            throw ValidationError("play needs a terminal, or --record FILE")
        }
        guard plain.isRenderable, spec.renderModes.contains("rgb_array") else {
            throw StateError("\(environment) has no pictures")
        }
        let batch = try registry.make(
            environment, .init(options: controls.options.merging(given) { $1 }))
        var game = try Game(batch: batch, controls: controls, policy: policy, seed: seed)
        let stepsPerSecond = fps ?? controls.stepsPerSecond ?? Double(spec.renderFPS)
        var recorder: FilmRecorder?
        if let record {
            let picture = try film(game.picture())
            let started = try FilmRecorder(
                file: record, width: picture.width, height: picture.height, framesPerSecond: stepsPerSecond)
            try started.add(picture)
            recorder = started
        }
        let frames: Int
        if isShown {
            let terminal = Terminal()
            defer { terminal.restore() }
            frames = try show(&game, on: terminal, stepsPerSecond: stepsPerSecond, recorder: recorder)
        } else {
            frames = steps ?? 500
            for _ in 0..<frames {
                try game.step(keys: [])
                try recorder?.add(film(game.picture()))
            }
        }
        if let recorder, let record {
            try recorder.finish()
            StandardStreams.print("wrote \(record): \(frames + 1) frames, \(game.summary)")
        }
    }

    /// A picture as it goes onto film.
    private func film(_ picture: Picture) -> Picture { width.map(picture.shrunk(toWidth:)) ?? picture }

    /// Steps and draws in time until the person has had enough; returns the number of steps.
    private func show(
        _ game: inout Game, on terminal: Terminal, stepsPerSecond: Double, recorder: FilmRecorder?
    ) throws -> Int {
        let clock = ContinuousClock()
        let interval = Duration.seconds(1 / stepsPerSecond)
        var next = clock.now
        var count = 0
        var isPaused = false
        while count < steps ?? .max {
            let keys = terminal.keys()
            if keys.contains(.escape) || keys.contains(.character("q")) { break }
            if keys.contains(.character("p")) { isPaused.toggle() }
            if keys.contains(.character("r")) { try game.restart() }
            if !isPaused {
                try game.step(keys: keys)
                count += 1
            }
            let picture = try game.picture()
            if !isPaused { try recorder?.add(film(picture)) }
            // A terminal that draws more slowly than the game goes misses frames.
            if clock.now < next + interval {
                let size = terminal.size
                terminal.show(
                    picture.halfBlocks(columns: size.columns, rows: size.rows - 1),
                    status: "\(game.summary)  |  \(game.help)  p pause  r restart  q quit")
            }
            next += interval
            if clock.now > next + .seconds(1) { next = clock.now }
            let wait = next - clock.now
            if wait > .zero {
                Thread.sleep(
                    forTimeInterval: Double(wait.components.seconds) + Double(wait.components.attoseconds) * 1e-18)
            }
        }
        return count
    }
}

/// One environment being played.
private struct Game {
    /// Terminals tell when a key is pressed, not when it is let go; while it is held they repeat it, the first time
    /// after about half a second. So a press counts for so many seconds.
    private static let held = Duration.milliseconds(300)

    private let batch: any VectorEnvironment
    private let buffers: StepBuffers
    private let actions: BatchBuffer
    private let controls: PlayControls
    private let policy: PlayCommand.Policy
    private var generator: NumPyGenerator
    private var action: PlayControls.Action
    private var pressed = ContinuousClock.now
    private var episode = 1
    private var stepCount = 0
    private var sum = 0.0
    private var hasEnded = false

    init(batch: any VectorEnvironment, controls: PlayControls, policy: PlayCommand.Policy, seed: UInt64) throws {
        self.batch = batch
        self.controls = controls
        self.policy = policy
        buffers = StepBuffers(observationSpace: batch.observationSpace, count: 1)
        actions = BatchBuffer(space: batch.actionSpace, count: 1)
        generator = NumPyGenerator(seed: seed)
        guard let first = PlayControls.Action(batch.actionSpace, random: &generator) else {
            throw StateError("\(batch.spec.id) has actions of \(batch.actionSpace), which cannot be played")
        }
        action = controls.rest ?? first
        try reset(seed: seed)
    }

    var help: String { policy == .keyboard ? controls.help : "policy \(policy.rawValue)" }

    var summary: String {
        let total = sum == sum.rounded() && abs(sum) < 1e9 ? "\(Int(sum))" : String(format: "%.2f", sum)
        return "episode \(episode)  step \(stepCount)  return \(total)"
    }

    mutating func restart() throws {
        episode += 1
        stepCount = 0
        sum = 0
        try reset(seed: nil)
    }

    private func reset(seed: UInt64?) throws {
        let report = try batch.reset(rows: [0], seeds: [seed], options: [:], wantsInfo: false, into: buffers)
        if let fault = report.faults.first { throw StateError(fault.message) }
    }

    mutating func step(keys: [Key]) throws {
        if hasEnded {
            hasEnded = false
            episode += 1
            stepCount = 0
            sum = 0
        }
        choose(keys)
        action.store(in: actions)
        for fault in batch.step(rows: 0..<1, actions: actions, wantsInfo: false, into: buffers) {
            throw StateError(fault.message)
        }
        stepCount += 1
        sum += buffers.rewards[0]
        // The step after the end is the reset: the last picture of an episode stands for one step.
        hasEnded = buffers.terminated[0] == 1 || buffers.truncated[0] == 1
    }

    private mutating func choose(_ keys: [Key]) {
        switch policy {
        case .random: action = PlayControls.Action(batch.actionSpace, random: &generator) ?? action
        case .still: action = controls.rest ?? action
        case .keyboard:
            if let key = keys.last(where: { controls.keys[$0] != nil }), let chosen = controls.keys[key] {
                action = chosen
                pressed = .now
            } else if let rest = controls.rest, ContinuousClock.now - pressed > Game.held {
                action = rest
            }
        }
    }

    func picture() throws -> Picture {
        guard case .image(let image) = try batch.render(row: 0, mode: "rgb_array"), image.shape.count == 3 else {
            throw StateError("\(batch.spec.id) drew no picture")
        }
        return Picture(width: image.shape[1], height: image.shape[0], bytes: image.bytes)
    }
}

extension OptionValue {
    /// The value that a user typed: `true`, `3`, `0.5`, `[2, 5]`, or else a text.
    init(argument: String) {
        let text = argument.trimmingCharacters(in: .whitespaces)
        if text == "true" || text == "false" {
            self = .bool(text == "true")
        } else if let number = Int(text) {
            self = .integer(number)
        } else if let number = Double(text) {
            self = .real(number)
        } else if text.hasPrefix("["), text.hasSuffix("]") {
            self = .list(text.dropFirst().dropLast().split(separator: ",").map { OptionValue(argument: String($0)) })
        } else {
            self = .text(text)
        }
    }
}
