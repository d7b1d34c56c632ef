import GymCore

/// Normalisation of observations and rewards, with the meaning of Stable-Baselines3's `VecNormalize`.
///
/// Observations: (x − mean) / √(variance + 10⁻⁸) by element, clipped. Rewards: divided by the running deviation of the
/// *discounted return*, without subtracting a mean (that would change the task), and clipped. It is part of the policy:
/// saved with it, and frozen when it is evaluated.
public struct Normalisation: Sendable {
    /// Observations' statistics; `nil` when they are not normalised.
    public internal(set) var observations: RunningStatistics?
    /// The discounted returns' statistics; `nil` when rewards are not normalised.
    public internal(set) var returns: RunningStatistics?
    /// Normalised observations stay within ± this.
    public let observationClip: Float
    /// Normalised rewards stay within ± this.
    public let rewardClip: Double
    /// The discount of the returns.
    public let gamma: Double
    /// The discounted return of each environment so far.
    private var discounted: [Double]
    /// What the statistics come to, as floats for the loop over observations.
    private(set) var shift: [Float] = []
    private(set) var scale: [Float] = []

    private static let epsilon = 1e-8

    /// Normalisation for `environments` environments with observations of `size` numbers.
    public init(
        observations: Bool, rewards: Bool, size: Int, environments: Int, gamma: Double, observationClip: Double = 10,
        rewardClip: Double = 10
    ) {
        self.observations = observations ? RunningStatistics(size: size) : nil
        returns = rewards ? RunningStatistics(size: 1) : nil
        self.observationClip = Float(observationClip)
        self.rewardClip = rewardClip
        self.gamma = gamma
        discounted = [Double](repeating: 0, count: environments)
        refresh()
    }

    /// Takes fresh observations into the statistics; not in evaluation.
    public mutating func update(_ batch: UnsafePointer<Float>, rows: Int) {
        guard observations != nil else { return }
        observations!.update(batch, rows: rows)
        refresh()
    }

    /// Recomputes what ``apply(_:rows:)`` uses.
    mutating func refresh() {
        guard let observations else { return }
        shift = observations.mean.map { Float($0) }
        scale = observations.variance.map { Float(1 / ($0 + Normalisation.epsilon).squareRoot()) }
    }

    /// Normalises observations in place, (rows, size).
    public func apply(_ batch: UnsafeMutablePointer<Float>, rows: Int) {
        guard observations != nil else { return }
        let size = shift.count
        shift.withUnsafeBufferPointer { shift in
            scale.withUnsafeBufferPointer { scale in
                for row in 0..<rows {
                    let x = batch + row * size
                    for element in 0..<size {
                        let value = (x[element] - shift[element]) * scale[element]
                        x[element] = min(max(value, -observationClip), observationClip)
                    }
                }
            }
        }
    }

    /// Takes the rewards of a step into the statistics and normalises them in place.
    ///
    /// - Parameter ended: 1 where the episode ended with this step; its return starts again from 0.
    public mutating func normaliseRewards(
        _ rewards: UnsafeMutablePointer<Float>, raw: UnsafePointer<Double>, ended: (Int) -> Bool
    ) {
        guard returns != nil else { return }
        for index in discounted.indices { discounted[index] = discounted[index] * gamma + raw[index] }
        returns!.update(discounted, rows: discounted.count)
        let deviation = (returns!.variance[0] + Normalisation.epsilon).squareRoot()
        for index in discounted.indices {
            rewards[index] = Float(min(max(raw[index] / deviation, -rewardClip), rewardClip))
            if ended(index) { discounted[index] = 0 }
        }
    }

    /// Normalises rewards of the past in place, without taking them into the statistics.
    func apply(rewards: UnsafeMutablePointer<Float>, rows: Int) {
        guard let returns else { return }
        let scale = Float(1 / (returns.variance[0] + Normalisation.epsilon).squareRoot())
        let clip = Float(rewardClip)
        for row in 0..<rows { rewards[row] = min(max(rewards[row] * scale, -clip), clip) }
    }
}

extension Normalisation {
    /// Starts the discounted returns again: all episodes are new.
    mutating func startFreshEpisodes() {
        for index in discounted.indices { discounted[index] = 0 }
    }

    /// Writes the statistics and the returns so far.
    func save(to writer: inout StateWriter) {
        writer.write(array: discounted)
        for statistics in [observations, returns].compactMap(\.self) {
            writer.write(array: statistics.mean)
            writer.write(array: statistics.variance)
            writer.write(statistics.count)
        }
    }

    /// Takes over what ``save(to:)`` wrote.
    mutating func restore(from reader: inout StateReader) throws {
        func read(_ size: Int, _ reader: inout StateReader) throws -> RunningStatistics {
            var statistics = RunningStatistics(size: size)
            statistics.mean = try reader.readArray(of: Double.self)
            statistics.variance = try reader.readArray(of: Double.self)
            statistics.count = try reader.read()
            guard statistics.mean.count == size, statistics.variance.count == size else {
                throw StateError("the normalisation is of observations of another size")
            }
            return statistics
        }
        let discounted = try reader.readArray(of: Double.self)
        guard discounted.count == self.discounted.count else {
            throw StateError("the normalisation is of \(discounted.count) environments, not \(self.discounted.count)")
        }
        self.discounted = discounted
        if let observations { self.observations = try read(observations.mean.count, &reader) }
        if returns != nil { returns = try read(1, &reader) }
        refresh()
    }
}
