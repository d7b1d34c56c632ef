import Glibc

/// A choice among a few for each of several dimensions, from unnormalised log-probabilities (logits).
///
/// A discrete action is one dimension; a multi-discrete one has several, independent of each other.
public struct Categorical: Sendable {
    /// The number of choices of each dimension.
    public let choices: [Int]
    /// The logits of a row, all dimensions after each other.
    public let width: Int

    /// A distribution over the given numbers of choices.
    public init(choices: [Int]) {
        self.choices = choices
        width = choices.reduce(0, +)
    }

    /// The choice among `count` in which a number of 0 ..< 1 falls.
    @inlinable
    @inline(__always)
    static func choice(
        _ logits: UnsafePointer<Float>, _ count: Int, top: Float, total: Double, uniform: Double
    ) -> Int {
        var remaining = uniform * total
        var choice = 0
        while choice < count - 1 {
            remaining -= Double(expf(logits[choice] - top))
            if remaining < 0 { break }
            choice += 1
        }
        return choice
    }

    /// log π(action), summed over the dimensions.
    @inlinable
    public func logProbability(_ logits: UnsafePointer<Float>, action: UnsafePointer<Float>) -> Float {
        var sum: Float = 0
        var start = 0
        for (dimension, count) in choices.enumerated() {
            let row = logits + start
            let (top, total) = Categorical.normaliser(row, count)
            sum += row[Int(action[dimension])] - top - Float(log(total))
            start += count
        }
        return sum
    }

    /// −Σ p log p, summed over the dimensions.
    @inlinable
    public func entropy(_ logits: UnsafePointer<Float>) -> Float {
        var sum: Float = 0
        var start = 0
        for count in choices {
            let row = logits + start
            let (top, total) = Categorical.normaliser(row, count)
            let logTotal = Float(log(total))
            for choice in 0..<count {
                let logP = row[choice] - top - logTotal
                sum -= expf(logP) * logP
            }
            start += count
        }
        return sum
    }

    /// The gradient by the logits of a loss whose derivatives by log π(action) and by the entropy are given:
    /// ∂logπ/∂zⱼ = [j = action] − pⱼ and ∂H/∂zⱼ = −pⱼ (log pⱼ + H).
    @inlinable
    public func gradient(
        _ logits: UnsafePointer<Float>, action: UnsafePointer<Float>, byLogProbability: Float,
        byEntropy: Float,
        into gradient: UnsafeMutablePointer<Float>
    ) {
        var start = 0
        for (dimension, count) in choices.enumerated() {
            let row = logits + start
            let out = gradient + start
            let (top, total) = Categorical.normaliser(row, count)
            let logTotal = Float(log(total))
            var entropy: Float = 0
            for choice in 0..<count {
                let logP = row[choice] - top - logTotal
                let p = expf(logP)
                out[choice] = p
                entropy -= p * logP
            }
            for choice in 0..<count {
                let p = out[choice]
                let logP = row[choice] - top - logTotal
                out[choice] = -byLogProbability * p - byEntropy * p * (logP + entropy)
            }
            out[Int(action[dimension])] += byLogProbability
            start += count
        }
    }

    /// The largest logit, and Σ exp(logit − largest).
    @inlinable
    @inline(__always)
    static func normaliser(_ row: UnsafePointer<Float>, _ count: Int) -> (top: Float, total: Double) {
        var top = row[0]
        for choice in 1..<max(1, count) { top = max(top, row[choice]) }
        var total = 0.0
        for choice in 0..<count { total += Double(expf(row[choice] - top)) }
        return (top, total)
    }
}

/// Independent normals, one a dimension, from their means and the logarithms of their deviations.
public enum DiagonalGaussian {
    /// ½ log 2π.
    public static let halfLogTwoPi: Float = 0.918_938_533_204_672_74

    /// log π(action), summed over the dimensions.
    @inlinable
    public static func logProbability(
        mean: UnsafePointer<Float>, logDeviation: UnsafePointer<Float>, action: UnsafePointer<Float>,
        count: Int
    ) -> Float {
        var sum: Float = 0
        for index in 0..<count {
            let z = (action[index] - mean[index]) * expf(-logDeviation[index])
            sum -= 0.5 * z * z + logDeviation[index] + halfLogTwoPi
        }
        return sum
    }

    /// Σ (½ + ½ log 2π + log σ).
    @inlinable
    public static func entropy(logDeviation: UnsafePointer<Float>, count: Int) -> Float {
        var sum: Float = 0
        for index in 0..<count { sum += 0.5 + halfLogTwoPi + logDeviation[index] }
        return sum
    }

    /// The gradients of a loss whose derivative by log π(action) is given: ∂logπ/∂μ = (a − μ) / σ² overwrites
    /// `meanGradient`, ∂logπ/∂log σ = ((a − μ) / σ)² − 1 is added to `logDeviationGradient`.
    @inlinable
    public static func gradient(
        mean: UnsafePointer<Float>, logDeviation: UnsafePointer<Float>, action: UnsafePointer<Float>,
        count: Int,
        byLogProbability: Float, meanGradient: UnsafeMutablePointer<Float>,
        logDeviationGradient: UnsafeMutablePointer<Float>
    ) {
        for index in 0..<count {
            let inverse = expf(-logDeviation[index])
            let z = (action[index] - mean[index]) * inverse
            meanGradient[index] = byLogProbability * z * inverse
            logDeviationGradient[index] += byLogProbability * (z * z - 1)
        }
    }
}
