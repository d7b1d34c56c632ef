public import GymCore

/// conformance/Fault-v0: fails when it is told to.
///
/// | action | what the step does |
/// |---|---|
/// | 0 | counts |
/// | 1 | fails |
/// | 2 | leaves the observation space, which only a server that checks observations notices |
///
/// | observation (int64) | meaning | min | max |
/// |---|---|---|---|
/// | 0 | steps of the episode | 0 | 1000 |
///
/// Reward: 1. Start: 0; with the reset option `fail`, the reset fails; with `outside`, it observes −1, which is outside of
/// the observation space. Info: `count`.
///
/// End: terminated at step `limit` (0: never). At step `at` (0: never) the step fails whatever the action. With `make`
/// it cannot even be made; with `render` it can, but not be rendered.
public struct Fault: RenderableEnvironment, Sendable {
    public static let spec = EnvironmentSpec(
        id: "conformance/Fault-v0", summary: "Fails when it is told to.", renderModes: ["rgb_array"],
        options: [
            OptionSpec("at", .integer(0...1000), default: .integer(0), "The step that fails; 0: none."),
            OptionSpec("limit", .integer(0...1000), default: .integer(0), "The step that terminates; 0: none."),
            OptionSpec("make", .bool, default: .bool(false), "Whether making it fails."),
            OptionSpec("render", .bool, default: .bool(false), "Whether rendering it fails."),
        ],
        resetOptions: [
            OptionSpec("fail", .bool, default: .bool(false), "Whether the reset fails."),
            OptionSpec("outside", .bool, default: .bool(false), "Whether it leaves the observation space."),
        ])

    public let observationSpace = Space.box(Box(low: [Int64(0)], high: [Int64(1000)]))
    public let actionSpace = Space.discrete(count: 3)

    private let at: Int64
    private let limit: Int64
    private let failsToRender: Bool
    private var count: Int64 = 0

    /// The failure that was asked for.
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    /// An environment with the options of ``spec``.
    ///
    /// - Throws: when they say so.
    public init(options: OptionValues) throws {
        if options.bool("make") { throw Failure(description: "it was told not to be made") }
        at = Int64(options.integer("at"))
        limit = Int64(options.integer("limit"))
        failsToRender = options.bool("render")
    }

    public mutating func reset(
        options: OptionValues, generator: inout NumPyGenerator, observation: ObservationWriter
    ) throws {
        count = 0
        observation.store([options.bool("outside") ? -1 : count])
        if options.bool("fail") { throw Failure(description: "it was told to fail in reset") }
    }

    public mutating func step(
        action: ActionReader, generator: inout NumPyGenerator, observation: ObservationWriter
    ) throws -> StepResult {
        count += 1
        observation.store([action.integer() == 2 ? -count : count])
        if action.integer() == 1 || count == at { throw Failure(description: "it was told to fail at step \(count)") }
        return StepResult(reward: 1, terminated: limit > 0 && count >= limit)
    }

    public var info: [InfoEntry] { [InfoEntry("count", .tensor(Tensor(scalar: count)))] }

    public mutating func render(mode: String) throws -> Rendering {
        if failsToRender { throw Failure(description: "it was told to fail in render") }
        return .image(Tensor([UInt8](repeating: UInt8(count & 0xFF), count: 3), shape: [1, 1, 3]))
    }
}
