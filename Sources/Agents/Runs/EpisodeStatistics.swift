import GymCore

/// Returns and lengths of the last hundred episodes, as Stable-Baselines3's monitor reports them.
public struct EpisodeStatistics: Sendable {
    private var returns: [Double] = []
    private var lengths: [Double] = []
    private var next = 0

    private static let window = 100

    /// No episodes yet.
    public init() {}

    /// Takes in an episode that ended.
    public mutating func add(return total: Double, length: Int64) {
        if returns.count < EpisodeStatistics.window {
            returns.append(total)
            lengths.append(Double(length))
        } else {
            returns[next] = total
            lengths[next] = Double(length)
            next = (next + 1) % EpisodeStatistics.window
        }
    }

    /// The mean return of the window; `nil` before an episode ended.
    public var meanReturn: Double? { returns.isEmpty ? nil : returns.reduce(0, +) / Double(returns.count) }
    /// The mean length of the window; `nil` before an episode ended.
    public var meanLength: Double? { lengths.isEmpty ? nil : lengths.reduce(0, +) / Double(lengths.count) }
}

extension EpisodeStatistics {
    /// Writes or reads the window.
    mutating func code(_ state: inout StateCoder) throws {
        try state(anyLength: &returns)
        try state(anyLength: &lengths)
        try state(&next)
        guard returns.count == lengths.count, returns.count <= EpisodeStatistics.window,
            (0...returns.count).contains(next)
        else { throw StateError("the episodes' statistics do not go together") }
    }
}
