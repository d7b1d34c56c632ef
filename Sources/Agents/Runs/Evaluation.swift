import GymCore

/// What episodes that were played to see what a policy is worth brought.
public struct Evaluation: Sendable {
    /// The return of each episode; of one that was cut, as far as it got.
    public private(set) var returns: [Double]
    /// The steps of each episode.
    public private(set) var lengths: [Int]
    /// How many of them had not ended: they came to the most steps allowed, or were stopped.
    public private(set) var cutEpisodes: Int
    /// Whether somebody asked to stop before all had ended.
    public private(set) var wasStopped: Bool

    /// Steps after which an episode is cut unless something else is said: as many as Atari's longest have, 108,000 frames
    /// at four a step. An environment without a time limit may have episodes without an end.
    public static let mostSteps = 27_000

    /// What episodes with these returns and lengths brought.
    public init(returns: [Double], lengths: [Int], cutEpisodes: Int = 0, wasStopped: Bool = false) {
        self.returns = returns
        self.lengths = lengths
        self.cutEpisodes = cutEpisodes
        self.wasStopped = wasStopped
    }

    /// Takes in further episodes.
    mutating func add(_ other: Evaluation) {
        returns += other.returns
        lengths += other.lengths
        cutEpisodes += other.cutEpisodes
        wasStopped = wasStopped || other.wasStopped
    }

    /// The mean return; of at least one episode.
    public var meanReturn: Double { returns.reduce(0, +) / Double(returns.count) }
    /// The population standard deviation of the returns.
    public var returnDeviation: Double {
        let mean = meanReturn
        return (returns.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(returns.count)).squareRoot()
    }
    /// The mean number of steps.
    public var meanLength: Double { Double(lengths.reduce(0, +)) / Double(lengths.count) }
}

/// Plays an episode in each environment of a batch, the i-th seeded with `seed` + i.
///
/// Every environment's *first* episode counts: taking the first n that end would favour short ones.
///
/// - Parameters:
///   - mostSteps: steps after which an episode is cut, and counts as far as it got.
///   - isStochastic: whether actions are drawn from the policy's distribution; else they are greedy. What an episode
///     draws depends on its seed alone.
///   - shouldStop: asked before every step; the episodes under way are cut then.
/// - Throws: what the environments throw, or ``UnsuitableBatchError``.
public func evaluate(
    _ policy: any Policy, on batch: any EnvironmentBatch, seed: UInt64, mostSteps: Int = Evaluation.mostSteps,
    isStochastic: Bool = false, shouldStop: () -> Bool = { false }
) throws -> Evaluation {
    try batch.require()
    let seeds = (0..<batch.count).map { seed &+ UInt64($0) }
    var returns = [Double](repeating: 0, count: batch.count)
    var lengths = [Int](repeating: 0, count: batch.count)
    var hasEnded = [Bool](repeating: false, count: batch.count)
    var generators = isStochastic ? seeds.map { RandomStream.drawnActions.generator(seed: $0) } : []
    try batch.startEpisodes(seeds: seeds)
    for index in 0..<batch.count { policy.startEpisode(index) }
    var steps = 0
    var isStopped = false
    while hasEnded.contains(false) && steps < mostSteps {
        if shouldStop() {
            isStopped = true
            break
        }
        if isStochastic {
            policy.act(
                on: batch.results.observation, count: batch.count, actions: batch.actions, generators: &generators)
        } else {
            policy.act(on: batch.results.observation, count: batch.count, actions: batch.actions)
        }
        try batch.sendActions()
        try batch.receiveResults()
        steps += 1
        let results = batch.results
        for index in 0..<batch.count {
            let ends = results.terminated[index] != 0 || results.truncated[index] != 0
            if ends { policy.startEpisode(index) }
            guard !hasEnded[index] else { continue }
            returns[index] = ends ? results.episodeReturns[index] : returns[index] + results.rewards[index]
            lengths[index] = steps
            hasEnded[index] = ends
        }
    }
    return Evaluation(
        returns: returns, lengths: lengths, cutEpisodes: hasEnded.count { !$0 }, wasStopped: isStopped)
}

/// Plays any number of episodes of an environment, as many side by side as its source allows.
///
/// The batches that it makes stay for the next time.
public final class Evaluator {
    private let environment: String
    private let options: [EnvironmentOption]
    private let source: any EnvironmentSource
    private let widest: Int
    private var batches: [Int: any EnvironmentBatch] = [:]

    /// More side by side bring nothing, and take memory.
    private static let mostSideBySide = 100

    /// - Parameters:
    ///   - observationSpace: of one environment with these options, as its batches have it.
    ///   - actionSpace: the same.
    public init(
        _ environment: String, options: [EnvironmentOption], observationSpace: Space, actionSpace: Space,
        from source: any EnvironmentSource
    ) {
        self.environment = environment
        self.options = options
        self.source = source
        widest = min(
            Evaluator.mostSideBySide,
            source.largestBatch(observationSpace: observationSpace, actionSpace: actionSpace))
    }

    /// Plays episodes, the i-th seeded with `seed` + i. How many are played at a time changes nothing of what they bring.
    ///
    /// - Parameters: those of ``evaluate(_:on:seed:mostSteps:isStochastic:shouldStop:)``.
    /// - Returns: when it was stopped, what there was by then: the episodes that were begun.
    public func play(
        _ policy: any Policy, episodes: Int, seed: UInt64, mostSteps: Int = Evaluation.mostSteps,
        isStochastic: Bool = false, shouldStop: () -> Bool = { false }
    ) throws -> Evaluation {
        var evaluation = Evaluation(returns: [], lengths: [])
        while evaluation.returns.count < episodes && !evaluation.wasStopped {
            let count = min(widest, episodes - evaluation.returns.count)
            let batch = try batches[count] ?? source.make(environment, count: count, options: options)
            batches[count] = batch
            evaluation.add(
                try evaluate(
                    policy, on: batch, seed: seed &+ UInt64(evaluation.returns.count), mostSteps: mostSteps,
                    isStochastic: isStochastic, shouldStop: shouldStop))
        }
        return evaluation
    }

    /// Gives the batches back.
    public func close() throws {
        for batch in batches.values { try batch.close() }
        batches = [:]
    }
}
