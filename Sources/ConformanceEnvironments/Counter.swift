public import GymCore

/// conformance/Counter-v0: counts its steps, so that each answer in each autoreset mode can be written down beforehand.
///
/// Actions: 0 or 1, which change nothing but `info`.
///
/// | observation (int64) | meaning | min | max |
/// |---|---|---|---|
/// | 0: count | the start, one more for each step | 0 | 2³¹ − 1 |
/// | 1: draw | drawn uniformly when the episode starts | 0 | 2³¹ − 1 |
///
/// Reward: 1 for every step; with `rewards` = `count`, the count after the step.
///
/// Start: the count is the reset option `start`; the draw is the next of the generator.
///
/// End: terminated when the count is `limit` or more, truncated when it is `cut` or more (0: never). Both may be.
///
/// `info`: `count` always, `action` after a step, `even` (a text) where the count is even.
///
/// Rendering: `rgb_array` is 2 × 3 pixels, each with the low bytes of count, draw and `row * 3 + column`; `ansi` is
/// `count C draw D`.
public struct Counter: RestorableEnvironment, RenderableEnvironment, Sendable {
    public static let spec = EnvironmentSpec(
        id: "conformance/Counter-v0", summary: "Counts its steps; every answer is known beforehand.",
        renderModes: ["rgb_array", "ansi"], renderFPS: 10,
        options: [
            OptionSpec("limit", .integer(1...largest), default: .integer(3), "The count that terminates."),
            OptionSpec("cut", .integer(0...largest), default: .integer(0), "The count that truncates; 0: none does."),
            OptionSpec("rewards", .choice(["one", "count"]), default: .text("one"), "What a step is rewarded with."),
            OptionSpec("scale", .real(-100...100), default: .real(1), "What rewards are multiplied by."),
        ],
        resetOptions: [
            OptionSpec("start", .integer(0...largest), default: .integer(0), "The count that the episode starts with.")
        ])

    private static let largest = Int(Int32.max)

    public let observationSpace = Space.box(Box(low: [Int64(0), 0], high: [Int64(largest), Int64(largest)]))
    public let actionSpace = Space.discrete(count: 2)

    private let limit: Int64
    private let cut: Int64
    private let rewardsCount: Bool
    private let scale: Double
    private var count: Int64 = 0
    private var draw: Int64 = 0
    /// −1 before the first step of an episode.
    private var lastAction: Int64 = -1

    /// A counter with the options of ``spec``.
    public init(options: OptionValues) {
        limit = Int64(options.integer("limit"))
        cut = Int64(options.integer("cut"))
        rewardsCount = options.text("rewards") == "count"
        scale = options.real("scale")
    }

    public mutating func reset(
        options: OptionValues, generator: inout NumPyGenerator, observation: ObservationWriter
    ) throws {
        count = Int64(options.integer("start"))
        draw = Int64(generator.integer(in: 0..<Counter.largest))
        lastAction = -1
        observation.store([count, draw])
    }

    public mutating func step(
        action: ActionReader, generator: inout NumPyGenerator, observation: ObservationWriter
    ) throws -> StepResult {
        count += 1
        lastAction = Int64(action.integer())
        observation.store([count, draw])
        return StepResult(
            reward: scale * (rewardsCount ? Double(count) : 1), terminated: count >= limit,
            truncated: cut > 0 && count >= cut)
    }

    public var info: [InfoEntry] {
        var entries = [InfoEntry("count", .tensor(Tensor(scalar: count)))]
        if lastAction >= 0 { entries.append(InfoEntry("action", .tensor(Tensor(scalar: lastAction)))) }
        if count % 2 == 0 { entries.append(InfoEntry("even", .text("\(count) is even"))) }
        return entries
    }

    public mutating func render(mode: String) throws -> Rendering {
        if mode == "ansi" { return .text("count \(count) draw \(draw)") }
        let pixels = (0..<6).flatMap { [UInt8(count & 0xFF), UInt8(draw & 0xFF), UInt8($0)] }
        return .image(Tensor(pixels, shape: [2, 3, 3]))
    }

    public static let stateVersion = 1

    public func save(to writer: inout StateWriter) {
        writer.write(count)
        writer.write(draw)
        writer.write(lastAction)
    }

    public mutating func restore(from reader: inout StateReader) throws {
        count = Int64(try reader.readCount("count", atMost: Counter.largest))
        draw = Int64(try reader.readCount("draw", atMost: Counter.largest))
        lastAction = try reader.read()
        guard (-1...1).contains(lastAction) else { throw StateError("the state's last action is \(lastAction)") }
    }
}
