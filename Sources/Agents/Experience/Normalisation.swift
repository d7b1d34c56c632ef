import GymCore
import NeuralNetwork

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
    ///
    /// - Parameter batch: (rows, size).
    public mutating func update(_ batch: Matrix) {
        guard observations != nil else { return }
        observations!.update(batch)
        refresh()
    }

    /// Recomputes what ``apply(_:rows:)`` uses.
    mutating func refresh() {
        guard let observations else { return }
        shift = observations.mean.map { Float($0) }
        scale = observations.variance.map { Float(1 / ($0 + Normalisation.epsilon).squareRoot()) }
    }

    /// Normalises observations in place, (rows, size).
    public func apply(_ batch: Matrix) {
        guard observations != nil else { return }
        precondition(batch.columns == shift.count)
        shift.withUnsafeBufferPointer { shift in
            scale.withUnsafeBufferPointer { scale in
                for row in 0..<batch.rows {
                    for element in 0..<batch.columns {
                        let value = (batch[row, element] - shift[element]) * scale[element]
                        batch[row, element] = min(max(value, -observationClip), observationClip)
                    }
                }
            }
        }
    }

    /// Takes the rewards of a step into the statistics and normalises them; without normalisation they stay.
    ///
    /// - Parameters:
    ///   - rewards: normalised in place, as floats.
    ///   - raw: the same, as the environments gave them.
    ///   - ended: not 0 where the episode ended with this step; its return starts again from 0.
    public mutating func normaliseRewards(_ rewards: Vector<Float>, raw: Vector<Double>, ended: Vector<UInt8>) {
        guard returns != nil else { return }
        for index in discounted.indices { discounted[index] = discounted[index] * gamma + raw[index] }
        returns!.update(discounted)
        let deviation = (returns!.variance[0] + Normalisation.epsilon).squareRoot()
        for index in discounted.indices {
            rewards[index] = Float(min(max(raw[index] / deviation, -rewardClip), rewardClip))
            if ended[index] != 0 { discounted[index] = 0 }
        }
    }

    /// What a reward of the past is worth now, without taking it into the statistics.
    var pastRewards: (scale: Float, clip: Float)? {
        returns.map { (Float(1 / ($0.variance[0] + Normalisation.epsilon).squareRoot()), Float(rewardClip)) }
    }
}

extension Normalisation {
    /// Starts the discounted returns again: all episodes are new.
    mutating func startFreshEpisodes() {
        for index in discounted.indices { discounted[index] = 0 }
    }

    /// Writes or reads the statistics and the returns so far.
    mutating func code(_ state: inout StateCoder) throws {
        try state(&discounted)
        try observations?.code(&state)
        try returns?.code(&state)
        if state.isReading { refresh() }
    }
}
