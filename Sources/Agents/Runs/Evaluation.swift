import GymCore

/// What greedy episodes brought.
public struct Evaluation: Sendable {
    /// The return of each episode.
    public let returns: [Double]
    /// The steps of each episode.
    public let lengths: [Int]

    /// What episodes with these returns and lengths brought; at least one.
    public init(returns: [Double], lengths: [Int]) {
        self.returns = returns
        self.lengths = lengths
    }

    /// The mean return.
    public var meanReturn: Double { returns.reduce(0, +) / Double(returns.count) }
    /// The population standard deviation of the returns.
    public var returnDeviation: Double {
        let mean = meanReturn
        return (returns.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(returns.count)).squareRoot()
    }
    /// The mean number of steps.
    public var meanLength: Double { Double(lengths.reduce(0, +)) / Double(lengths.count) }
}

/// Plays greedy episodes, one a environment of the batch, the i-th seeded with `seed` + i.
///
/// Every environment's *first* episode counts: taking the first n that end would favour short ones.
public func evaluate(_ policy: any Policy, on batch: any EnvironmentBatch, seed: UInt64) throws -> Evaluation {
    try evaluate(policy, on: batch, seed: seed) { false }!
}

/// Plays greedy episodes as ``evaluate(_:on:seed:)``, unless it is told to stop before the last of them has ended.
///
/// - Parameter shouldStop: asked before every step.
/// - Returns: `nil` when it was stopped: the episodes that had ended by then would be the short ones.
public func evaluate(
    _ policy: any Policy, on batch: any EnvironmentBatch, seed: UInt64, shouldStop: () -> Bool
) throws -> Evaluation? {
    var returns = [Double?](repeating: nil, count: batch.count)
    var lengths = [Int](repeating: 0, count: batch.count)
    try batch.startEpisodes(seeds: (0..<batch.count).map { seed &+ UInt64($0) })
    for index in 0..<batch.count { policy.startEpisode(index) }
    while returns.contains(where: { $0 == nil }) {
        if shouldStop() { return nil }
        policy.act(on: batch.results.observation, count: batch.count, actions: batch.actions)
        try batch.sendActions()
        try batch.receiveResults()
        let results = batch.results
        for index in returns.indices where results.terminated[index] != 0 || results.truncated[index] != 0 {
            policy.startEpisode(index)
            if returns[index] == nil {
                returns[index] = results.episodeReturns[index]
                lengths[index] = Int(results.episodeLengths[index])
            }
        }
    }
    return Evaluation(returns: returns.map { $0! }, lengths: lengths)
}
