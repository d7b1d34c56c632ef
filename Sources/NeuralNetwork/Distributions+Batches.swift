import Glibc
import GymCore

/// Distributions over the rows of a batch: what heads are made of. Parameters come as the rows of a network's output,
/// actions as numbers (a choice's index is a number, too).

/// A distribution over whole numbers in several independent dimensions, from unnormalised log-probabilities.
public protocol LogitDistribution: Sendable {
    /// Logits of a row.
    var logits: Int { get }
    /// Numbers of an action.
    var dimensions: Int { get }
    /// For each dimension, among how many numbers it chooses, by a logit each; `nil`: between 0 and 1, by one.
    var choiceCounts: [Int]? { get }

    /// Draws a number for each dimension of each row.
    ///
    /// - Parameters:
    ///   - logits: (rows, ``logits``).
    ///   - actions: (rows, ``dimensions``).
    ///   - logProbabilities: log π of what was drawn, (rows).
    func sample(
        _ logits: Matrix, generator: inout NumPyGenerator, into actions: Matrix, logProbabilities: Vector<Float>)
    /// The likeliest number of each dimension of each row, the first among equals.
    func mode(_ logits: Matrix, into actions: Matrix)
    /// log π(action) of each row, summed over the dimensions.
    func logProbabilities(_ logits: Matrix, actions: Matrix, into result: Vector<Float>)
    /// The entropy of each row, summed over the dimensions.
    func entropies(_ logits: Matrix, into result: Vector<Float>)
    /// The gradient by the logits of a loss whose derivatives by each row's log π(action) and, the same for all rows, by
    /// its entropy are given.
    func gradient(
        _ logits: Matrix, actions: Matrix, byLogProbability: Vector<Float>, byEntropy: Float, into gradient: Matrix)
    /// KL(old ‖ new) of each row, summed over the dimensions.
    func divergences(from old: Matrix, to logits: Matrix, into result: Vector<Float>)
    /// Adds `weight` times the gradient of each row's KL(old ‖ new) by the new logits: p_new − p_old.
    func addDivergenceGradient(from old: Matrix, to logits: Matrix, weight: Float, into gradient: Matrix)
}

extension Categorical: LogitDistribution {
    public var logits: Int { width }
    public var dimensions: Int { choices.count }
    public var choiceCounts: [Int]? { choices }

    public func sample(
        _ logits: Matrix, generator: inout NumPyGenerator, into actions: Matrix, logProbabilities: Vector<Float>
    ) {
        check(logits, actions, logProbabilities)
        for row in 0..<logits.rows {
            var start = 0
            var sum: Float = 0
            for (dimension, count) in choices.enumerated() {
                let z = logits.base + row * logits.stride + start
                let (top, total) = Categorical.normaliser(z, count)
                let choice = Categorical.choice(z, count, top: top, total: total, uniform: generator.random())
                actions[row, dimension] = Float(choice)
                sum += z[choice] - top - Float(log(total))
                start += count
            }
            logProbabilities[row] = sum
        }
    }

    public func mode(_ logits: Matrix, into actions: Matrix) {
        check(logits, actions)
        for row in 0..<logits.rows {
            var start = 0
            for (dimension, count) in choices.enumerated() {
                actions[row, dimension] = Float(
                    indexOfLargest(logits.base + row * logits.stride + start, count: count))
                start += count
            }
        }
    }

    public func logProbabilities(_ logits: Matrix, actions: Matrix, into result: Vector<Float>) {
        check(logits, actions, result)
        for row in 0..<logits.rows {
            result[row] = logProbability(
                logits.base + row * logits.stride, action: actions.base + row * actions.stride)
        }
    }

    /// −Σ p log p.
    public func entropies(_ logits: Matrix, into result: Vector<Float>) {
        precondition(logits.columns == width && result.count >= logits.rows)
        for row in 0..<logits.rows { result[row] = entropy(logits.base + row * logits.stride) }
    }

    public func gradient(
        _ logits: Matrix, actions: Matrix, byLogProbability: Vector<Float>, byEntropy: Float, into gradient: Matrix
    ) {
        check(logits, actions, byLogProbability)
        precondition(gradient.rows >= logits.rows && gradient.columns == width)
        for row in 0..<logits.rows {
            self.gradient(
                logits.base + row * logits.stride, action: actions.base + row * actions.stride,
                byLogProbability: byLogProbability[row], byEntropy: byEntropy,
                into: gradient.base + row * gradient.stride)
        }
    }

    /// Σ p_old (log p_old − log p_new).
    public func divergences(from old: Matrix, to logits: Matrix, into result: Vector<Float>) {
        precondition(old.columns == width && logits.columns == width && old.rows >= logits.rows)
        for row in 0..<logits.rows {
            var start = 0
            var sum: Float = 0
            for count in choices {
                let (before, now) = (old.base + row * old.stride + start, logits.base + row * logits.stride + start)
                let (oldTop, oldTotal) = Categorical.normaliser(before, count)
                let (top, total) = Categorical.normaliser(now, count)
                let (oldLog, newLog) = (oldTop + Float(log(oldTotal)), top + Float(log(total)))
                for choice in 0..<count {
                    let logP = before[choice] - oldLog
                    sum += expf(logP) * (logP - (now[choice] - newLog))
                }
                start += count
            }
            result[row] = sum
        }
    }

    public func addDivergenceGradient(from old: Matrix, to logits: Matrix, weight: Float, into gradient: Matrix) {
        precondition(old.columns == width && logits.columns == width && gradient.columns == width)
        for row in 0..<logits.rows {
            var start = 0
            for count in choices {
                let (before, now) = (old.base + row * old.stride + start, logits.base + row * logits.stride + start)
                let (oldTop, oldTotal) = Categorical.normaliser(before, count)
                let (top, total) = Categorical.normaliser(now, count)
                for choice in 0..<count {
                    let p = expf(now[choice] - top) / Float(total)
                    let q = expf(before[choice] - oldTop) / Float(oldTotal)
                    gradient[row, start + choice] += weight * (p - q)
                }
                start += count
            }
        }
    }

    private func check(_ logits: Matrix, _ actions: Matrix, _ rows: Vector<Float>? = nil) {
        precondition(
            logits.columns == width && actions.columns == choices.count && actions.rows >= logits.rows
                && rows.map { $0.count >= logits.rows } ?? true,
            "logits of \(logits.columns) numbers and actions of \(actions.columns) for \(choices)")
    }
}

/// Independent coins, one a dimension, from the logarithms of their odds: what Stable-Baselines3 draws MultiBinary
/// actions from.
public struct Bernoulli: LogitDistribution {
    /// The number of coins.
    public let count: Int

    /// A distribution over so many coins.
    public init(count: Int) { self.count = count }

    public var logits: Int { count }
    public var dimensions: Int { count }
    public var choiceCounts: [Int]? { nil }

    /// log p of the side that is up: −log(1 + e^−z) for heads, −log(1 + e^z) for tails.
    @inline(__always)
    private static func logProbability(_ z: Float, isHeads: Bool) -> Float {
        let x = isHeads ? -z : z
        return -(max(x, 0) + log1pf(expf(-abs(x))))
    }

    @inline(__always)
    private static func probability(_ z: Float) -> Float { 1 / (1 + expf(-z)) }

    public func sample(
        _ logits: Matrix, generator: inout NumPyGenerator, into actions: Matrix, logProbabilities: Vector<Float>
    ) {
        for row in 0..<logits.rows {
            for index in 0..<count {
                actions[row, index] = generator.random() < Double(Bernoulli.probability(logits[row, index])) ? 1 : 0
            }
        }
        self.logProbabilities(logits, actions: actions, into: logProbabilities)
    }

    public func mode(_ logits: Matrix, into actions: Matrix) {
        for row in 0..<logits.rows {
            for index in 0..<count { actions[row, index] = logits[row, index] > 0 ? 1 : 0 }
        }
    }

    public func logProbabilities(_ logits: Matrix, actions: Matrix, into result: Vector<Float>) {
        for row in 0..<logits.rows {
            var sum: Float = 0
            for index in 0..<count {
                sum += Bernoulli.logProbability(logits[row, index], isHeads: actions[row, index] == 1)
            }
            result[row] = sum
        }
    }

    public func entropies(_ logits: Matrix, into result: Vector<Float>) {
        for row in 0..<logits.rows {
            var sum: Float = 0
            for index in 0..<count {
                let z = logits[row, index]
                let p = Bernoulli.probability(z)
                sum -= p * Bernoulli.logProbability(z, isHeads: true)
                sum -= (1 - p) * Bernoulli.logProbability(z, isHeads: false)
            }
            result[row] = sum
        }
    }

    /// The gradient by the logits: ∂log π/∂z = a − p, ∂H/∂z = −z p (1 − p).
    public func gradient(
        _ logits: Matrix, actions: Matrix, byLogProbability: Vector<Float>, byEntropy: Float, into gradient: Matrix
    ) {
        for row in 0..<logits.rows {
            for index in 0..<count {
                let z = logits[row, index]
                let p = Bernoulli.probability(z)
                gradient[row, index] =
                    byLogProbability[row] * (actions[row, index] - p) - byEntropy * z * p * (1 - p)
            }
        }
    }

    public func divergences(from old: Matrix, to logits: Matrix, into result: Vector<Float>) {
        for row in 0..<logits.rows {
            var sum: Float = 0
            for index in 0..<count {
                let (before, now) = (old[row, index], logits[row, index])
                for isHeads in [true, false] {
                    let logQ = Bernoulli.logProbability(before, isHeads: isHeads)
                    sum += expf(logQ) * (logQ - Bernoulli.logProbability(now, isHeads: isHeads))
                }
            }
            result[row] = sum
        }
    }

    public func addDivergenceGradient(from old: Matrix, to logits: Matrix, weight: Float, into gradient: Matrix) {
        for row in 0..<logits.rows {
            for index in 0..<count {
                gradient[row, index] +=
                    weight * (Bernoulli.probability(logits[row, index]) - Bernoulli.probability(old[row, index]))
            }
        }
    }
}

extension DiagonalGaussian {
    /// Σ (½ + ½ log 2π + log σ).
    public static func entropy(logDeviations: Vector<Float>) -> Float {
        entropy(logDeviation: logDeviations.base, count: logDeviations.count)
    }

    /// Draws an action for each row: mean + σ ε.
    ///
    /// - Parameters:
    ///   - means: (rows, dimensions).
    ///   - logDeviations: log σ of each dimension.
    ///   - logProbabilities: log π of what was drawn, (rows).
    public static func sample(
        _ means: Matrix, logDeviations: Vector<Float>, generator: inout NumPyGenerator, into actions: Matrix,
        logProbabilities: Vector<Float>
    ) {
        for row in 0..<means.rows {
            for index in 0..<means.columns {
                let deviation = exp(Double(logDeviations[index]))
                actions[row, index] = means[row, index] + Float(deviation * generator.standardNormal())
            }
        }
        self.logProbabilities(means, logDeviations: logDeviations, actions: actions, into: logProbabilities)
    }

    /// log π(action) of each row, summed over the dimensions.
    public static func logProbabilities(
        _ means: Matrix, logDeviations: Vector<Float>, actions: Matrix, into result: Vector<Float>
    ) {
        precondition(
            actions.rows >= means.rows && actions.columns == means.columns && logDeviations.count == means.columns
                && result.count >= means.rows)
        for row in 0..<means.rows {
            result[row] = logProbability(
                mean: means.base + row * means.stride, logDeviation: logDeviations.base,
                action: actions.base + row * actions.stride, count: means.columns)
        }
    }

    /// The gradients of a loss whose derivatives by each row's log π(action) are given.
    ///
    /// - Parameters:
    ///   - meanGradient: overwritten.
    ///   - logDeviationGradient: added to, over all rows.
    public static func gradient(
        _ means: Matrix, logDeviations: Vector<Float>, actions: Matrix, byLogProbability: Vector<Float>,
        meanGradient: Matrix, logDeviationGradient: Vector<Float>
    ) {
        precondition(
            actions.rows >= means.rows && meanGradient.rows >= means.rows && meanGradient.columns == means.columns
                && byLogProbability.count >= means.rows && logDeviationGradient.count == means.columns)
        for row in 0..<means.rows {
            gradient(
                mean: means.base + row * means.stride, logDeviation: logDeviations.base,
                action: actions.base + row * actions.stride, count: means.columns,
                byLogProbability: byLogProbability[row], meanGradient: meanGradient.base + row * meanGradient.stride,
                logDeviationGradient: logDeviationGradient.base)
        }
    }
}

/// Independent normals from their means and deviations, a row each: KL and log π where deviations differ by row.
public enum Normal {
    /// log π(action) of each row, summed over the dimensions.
    ///
    /// - Parameter deviations: σ, (rows, dimensions).
    public static func logProbabilities(
        _ means: Matrix, deviations: Matrix, actions: Matrix, into result: Vector<Float>
    ) {
        for row in 0..<means.rows {
            var sum: Float = 0
            for index in 0..<means.columns {
                let deviation = deviations[row, index]
                let z = (actions[row, index] - means[row, index]) / deviation
                sum -= 0.5 * z * z + Float(log(Double(deviation))) + DiagonalGaussian.halfLogTwoPi
            }
            result[row] = sum
        }
    }

    /// The entropy of each row, summed over the dimensions.
    public static func entropies(deviations: Matrix, rows: Int, into result: Vector<Float>) {
        for row in 0..<rows {
            var sum: Float = 0
            for index in 0..<deviations.columns {
                sum += 0.5 + DiagonalGaussian.halfLogTwoPi + Float(log(Double(deviations[row, index])))
            }
            result[row] = sum
        }
    }

    /// KL(old ‖ new) of one dimension: log(σ/σ_old) + (σ_old² + (μ_old − μ)²) / (2σ²) − ½.
    @inline(__always)
    public static func divergence(
        fromMean oldMean: Float, deviation oldDeviation: Float, toMean mean: Float, deviation: Float
    ) -> Float {
        let error = oldMean - mean
        return logf(deviation / oldDeviation)
            + (oldDeviation * oldDeviation + error * error) / (2 * deviation * deviation) - 0.5
    }
}

/// Where the largest of a few values stands, the first among equals.
@inline(__always)
func indexOfLargest(_ values: UnsafePointer<Float>, count: Int) -> Int {
    var best = 0
    for index in 1..<max(1, count) where values[index] > values[best] { best = index }
    return best
}

extension Matrix {
    /// Where the largest of a row's numbers stands, the first among equals.
    public func indexOfLargest(row: Int) -> Int {
        precondition(row >= 0 && row < rows && columns > 0)
        return NeuralNetwork.indexOfLargest(base + row * stride, count: columns)
    }
}
