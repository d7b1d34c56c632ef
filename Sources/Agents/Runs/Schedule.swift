/// A hyperparameter that may change over a run.
public struct Schedule: Sendable, Hashable {
    /// The value at the start.
    public let initial: Double
    /// Whether it falls in a straight line to 0 at the end; else it stays.
    public let isLinear: Bool

    /// A value that stays.
    public static func constant(_ value: Double) -> Schedule { Schedule(initial: value, isLinear: false) }
    /// rl-baselines3-zoo's `lin_x`: x at the start, 0 at the end.
    public static func linear(from value: Double) -> Schedule { Schedule(initial: value, isLinear: true) }

    /// The value when `progressRemaining` of the run (1 at the start, 0 at the end) is left.
    public func value(progressRemaining: Double) -> Double {
        isLinear ? initial * max(0, progressRemaining) : initial
    }

    /// As it is written in a preset: `0.001`, `lin_0.001`.
    public var text: String { (isLinear ? "lin_" : "") + "\(initial)" }
}
