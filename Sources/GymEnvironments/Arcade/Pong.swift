public import GymCore
import Raster

/// Pong-v1: Atari's Pong for one person against the console, first to 21, without an emulator.
///
/// | action | meaning |
/// |---|---|
/// | 0 | NOOP: let the paddle coast |
/// | 1 | FIRE: a touch in the next frame makes the ball faster |
/// | 2 | RIGHT: paddle up |
/// | 3 | LEFT: paddle down |
/// | 4 | RIGHTFIRE |
/// | 5 | LEFTFIRE |
///
/// | observation | dtype, shape | what |
/// |---|---|---|
/// | `rgb` | uint8 (210, 160, 3) | the screen |
/// | `grayscale` | uint8 (210, 160) | the screen in the emulator's gray levels |
/// | `stack` | uint8 (84, 84, 4) | the last four steps, each the maximum of its last two frames, shrunk |
/// | `difference` | int8 (80, 80) | the field at half size, this step minus the one before: −1, 0, 1 |
/// | `state` | float32 (8) | ball x, y, their speeds; player's top, speed; opponent's top, speed (pixels, frames) |
///
/// Reward: the player's points minus the opponent's in the frames of the step, −1, 0 or 1; a return from −21 to 21.
///
/// Start: 0 to 0, serve after 59 frames, after up to `noop_max` frames without action.
///
/// End: terminated at 21 points; truncated after `max_num_frames_per_episode` frames.
///
/// The rules replay recorded games of the Arcade Learning Environment (game mode 0) frame by frame; options are those
/// of its `ALE/Pong-v5`. Random draws, where an option asks for them, are NumPy's in this order: no-ops at a reset; in
/// a step the frameskip, then one for each frame's sticky action.
public struct Pong: RestorableEnvironment, RenderableEnvironment, Sendable {
    public static let spec = makeSpec(
        id: "Pong-v1", summary: "Atari's Pong against the console's player, first to 21 points.", observation: .rgb,
        frameskip: .integer(4), stickiness: 0.25)

    /// Pong as the policy-gradient lecture plays it: differences of frames, 2 to 4 frames a step, no sticky actions.
    public static let differenceSpec = makeSpec(
        id: "PongDifference-v1",
        summary: "Pong seen as the difference of two frames at 80 by 80, as policy-gradient lectures train on it.",
        observation: .difference, frameskip: .list([.integer(2), .integer(5)]), stickiness: 0)

    private static func makeSpec(
        id: String, summary: String, observation: PongObservation, frameskip: OptionValue, stickiness: Double
    ) -> EnvironmentSpec {
        EnvironmentSpec(
            id: id, summary: summary, renderModes: ["rgb_array"], renderFPS: 15,
            options: [
                OptionSpec(
                    "obs_type", .choice(PongObservation.allCases.map(\.rawValue)), default: .text(observation.rawValue),
                    "What is observed: the screen, or what preprocessing makes of it, or positions and speeds."),
                OptionSpec(
                    "frameskip", .integerOrRange(1...100), default: frameskip,
                    "Frames a step; [low, high] draws from low to high - 1 in each step."),
                OptionSpec(
                    "repeat_action_probability", .real(0...1), default: .real(stickiness),
                    "How likely a frame is to repeat the last frame's action whatever the action is."),
                OptionSpec(
                    "difficulty", .integer(0...3), default: .integer(0),
                    "1 and 3 halve the opponent's paddle, 2 and 3 the player's."),
                OptionSpec(
                    "maxpool", .bool, default: .bool(false),
                    "Show the brighter of a step's last two frames; obs_type stack always does."),
                OptionSpec(
                    "noop_max", .integer(0...10_000), default: .integer(0),
                    "An episode starts with 1 to so many frames without action; 0: none."),
                OptionSpec(
                    "max_num_frames_per_episode", .integer(1...Int(Int32.max)), default: .integer(108_000),
                    "Frames after which an episode is truncated."),
            ])
    }

    public let observationSpace: Space
    public let actionSpace = Space.discrete(count: PongControls.actionMeanings.count)

    private let observation: PongObservation
    /// The frames of a step, the upper bound inclusive.
    private let frameskip: ClosedRange<Int>
    private let stickiness: Double
    private let opponentSmall: Bool
    private let playerSmall: Bool
    private let pools: Bool
    private let maxNoops: Int
    private let maxFrames: Int

    private var game = PongGame()
    /// The game one frame earlier.
    private var earlier = PongGame()
    private var lastAction = 0
    private var episodeFrames = 0
    private var stack: PongStack?
    private var pool: PongPool?

    /// An environment with the options of ``spec``.
    public init(options: OptionValues) {
        let kind = PongObservation(rawValue: options.text("obs_type"))!
        let skips = options.range("frameskip")
        if skips.lowerBound < skips.upperBound {
            frameskip = skips.lowerBound...(skips.upperBound - 1)
        } else {
            frameskip = skips
        }
        observation = kind
        observationSpace = kind.space
        stickiness = options.real("repeat_action_probability")
        opponentSmall = options.integer("difficulty") & 1 != 0
        playerSmall = options.integer("difficulty") & 2 != 0
        pools = options.bool("maxpool")
        maxNoops = options.integer("noop_max")
        maxFrames = options.integer("max_num_frames_per_episode")
        if kind == .stack { stack = PongStack() }
        if pools && (kind == .rgb || kind == .grayscale) { pool = PongPool(channels: kind == .rgb ? 3 : 1) }
    }

    public mutating func reset(
        options: OptionValues, generator: inout NumPyGenerator, observation: ObservationWriter
    ) throws {
        game = PongGame()
        earlier = game
        lastAction = 0
        episodeFrames = 0
        if maxNoops > 0 {
            for _ in 0..<generator.integer(in: 1..<(maxNoops + 1)) where !game.isOver { _ = playFrame(0) }
        }
        let first = scene(game)
        stack?.start(first)
        observe(since: nil, pooledWith: game, observation)
    }

    public mutating func step(
        action: ActionReader, generator: inout NumPyGenerator, observation: ObservationWriter
    ) throws -> StepResult {
        let action = action.integer()
        let before = game
        let frames =
            frameskip.lowerBound == frameskip.upperBound
            ? frameskip.lowerBound : generator.integer(in: frameskip.lowerBound..<(frameskip.upperBound + 1))
        var reward: Int32 = 0
        for _ in 0..<frames {
            if stickiness == 0 || generator.random() >= stickiness { lastAction = action }
            reward += playFrame(lastAction)
            if game.isOver || episodeFrames >= maxFrames { break }
        }
        let pooled = frames > 1 ? earlier : game
        let (newer, older) = (scene(game), scene(pooled))
        stack?.show(newer: newer, older: older)
        observe(since: before, pooledWith: pooled, observation)
        return StepResult(
            reward: Double(reward), terminated: game.isOver, truncated: !game.isOver && episodeFrames >= maxFrames)
    }

    private mutating func playFrame(_ action: Int) -> Int32 {
        earlier = game
        episodeFrames += 1
        return game.advance(PongControls(action: action), opponentSmall: opponentSmall, playerSmall: playerSmall)
    }

    public var info: [InfoEntry] {
        func entry(_ name: String, _ value: Int) -> InfoEntry {
            InfoEntry(name, .tensor(Tensor(scalar: Int64(value))))
        }
        return [
            entry("lives", 0), entry("episode_frame_number", episodeFrames), entry("frame_number", episodeFrames),
        ]
    }

    public var heapBytes: Int { actionSpace.heapBytes + (stack?.heapBytes ?? 0) + (pool?.heapBytes ?? 0) }

    // MARK: Observing

    private func scene(_ game: PongGame) -> PongScene {
        PongScene(game, opponentSmall: opponentSmall, playerSmall: playerSmall)
    }

    /// - Parameter before: the game at the step before, if there was one.
    /// - Parameter pooled: the game at the step's last frame but one.
    private mutating func observe(
        since before: PongGame?, pooledWith pooled: PongGame, _ writer: ObservationWriter
    ) {
        let scene = scene(game)
        switch observation {
        case .rgb: draw(scene, pooledWith: pooled, channels: 3, to: writer)
        case .grayscale: draw(scene, pooledWith: pooled, channels: 1, to: writer)
        case .stack: stack?.write(to: writer)
        case .difference: PongDifference.write(newer: scene, older: before.map(self.scene), to: writer)
        case .state:
            let hasBall = game.hasBall
            writer.store([
                Float(hasBall ? game.ballX - 49 : 0), Float(hasBall ? game.ballY - 14 : 0),
                Float(hasBall ? game.ballSpeedX : 0), Float(hasBall ? game.ballSpeedY : 0),
                Float(game.playerY - 14), Float(game.playerY - earlier.playerY),
                Float(game.opponentY - 15), Float(game.opponentY - earlier.opponentY),
            ])
        }
    }

    private mutating func draw(
        _ scene: PongScene, pooledWith pooled: PongGame, channels: Int, to writer: ObservationWriter
    ) {
        let older = self.scene(pooled)
        writer.write(as: UInt8.self) { span in
            span.withUnsafeMutableBufferPointer { buffer in
                guard pool == nil else {
                    _ = pool!.show(newer: scene, older: older)
                    pool!.pixels.withUnsafeBufferPointer {
                        buffer.baseAddress!.update(from: $0.baseAddress!, count: $0.count)
                    }
                    return
                }
                scene.draw(
                    on: Canvas(
                        buffer.baseAddress!, width: PongScene.width, height: PongScene.height, channels: channels))
            }
        }
    }

    public mutating func render(mode: String) throws -> Rendering {
        var picture = Picture(width: PongScene.width, height: PongScene.height)
        let scene = scene(game)
        picture.draw { scene.draw(on: $0) }
        return .image(Tensor(dtype: .uint8, shape: [PongScene.height, PongScene.width, 3], bytes: picture.bytes))
    }

    // MARK: Saving

    public static let stateVersion = 2

    public func save(to writer: inout StateWriter) {
        game.save(to: &writer)
        earlier.save(to: &writer)
        writer.write(Int32(lastAction))
        writer.write(Int64(episodeFrames))
        writer.write(array: stack?.history ?? [])
    }

    public mutating func restore(from reader: inout StateReader) throws {
        var restored = self
        restored.game = try PongGame(from: &reader)
        restored.earlier = try PongGame(from: &reader)
        let action = Int(try reader.read(Int32.self))
        guard (0..<PongControls.actionMeanings.count).contains(action) else {
            throw StateError("the state's last action is \(action)")
        }
        restored.lastAction = action
        restored.episodeFrames = try reader.readCount("number of the episode's frames")
        let history = try reader.readArray(of: UInt32.self)
        if restored.stack != nil {
            guard history.count == PongStack.side * PongStack.side else {
                throw StateError("the state's stack has \(history.count) pixels")
            }
            restored.stack!.restore(history: history)
        }
        self = restored
    }
}
