public import GymCore

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// conformance/Slow-v0: takes its time, so that order and overlap can be seen.
///
/// Actions: the milliseconds that the step takes, 0 to 2000.
///
/// | observation (int64) | meaning | min | max |
/// |---|---|---|---|
/// | 0 | steps of the episode | 0 | 2³¹ − 1 |
///
/// Reward: 1. Start: 0, after the milliseconds of the reset option `milliseconds`. End: none of its own.
///
/// With the option `make_milliseconds`, making it takes that long.
public struct Slow: Environment, Sendable {
    public static let spec = EnvironmentSpec(
        id: "conformance/Slow-v0", summary: "Takes the milliseconds that it is told to take.",
        options: [
            OptionSpec("make_milliseconds", milliseconds, default: .integer(0), "How long making it takes.")
        ],
        resetOptions: [OptionSpec("milliseconds", milliseconds, default: .integer(0), "How long the reset takes.")])

    private static let longest = 2000
    private static let milliseconds = OptionKind.integer(0...longest)

    public let observationSpace = Space.box(Box(low: [Int64(0)], high: [Int64(Int32.max)]))
    public let actionSpace = Space.discrete(count: longest + 1)

    private var count: Int64 = 0

    /// An environment, after the time that the options ask for.
    public init(options: OptionValues) { Slow.sleep(options.integer("make_milliseconds")) }

    public mutating func reset(
        options: OptionValues, generator: inout NumPyGenerator, observation: ObservationWriter
    ) throws {
        Slow.sleep(options.integer("milliseconds"))
        count = 0
        observation.store([count])
    }

    public mutating func step(
        action: ActionReader, generator: inout NumPyGenerator, observation: ObservationWriter
    ) throws -> StepResult {
        Slow.sleep(action.integer())
        count += 1
        observation.store([count])
        return StepResult(reward: 1, terminated: false)
    }

    private static func sleep(_ milliseconds: Int) {
        if milliseconds > 0 { usleep(UInt32(milliseconds) * 1000) }
    }
}
