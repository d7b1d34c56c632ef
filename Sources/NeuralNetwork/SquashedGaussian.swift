import Glibc
import GymCore

/// Independent normals pressed into (−1, 1): a = tanh(u), u = μ + σ ε. What SAC acts by (Haarnoja et al. 2018,
/// arXiv 1801.01290, appendix C).
///
/// A network gives a row of 2 · count numbers: the means, then the logarithms of the deviations, which are kept within
/// ``logDeviationRange``. u itself is kept beside a: it cannot be had back from an action that rounds to ±1.
public enum SquashedGaussian {
    /// The logarithms of the deviations that are let through; outside, they are held and have no gradient.
    public static let logDeviationRange: ClosedRange<Float> = -20...2

    /// Computes the actions of given noise, and log π(a) summed over the dimensions.
    ///
    /// - Parameters:
    ///   - output: (2 · count): means, then logarithms of deviations.
    ///   - noise: ε, (count).
    ///   - action: where tanh(u) goes, (count).
    /// - Returns: log π(a) = Σ log N(u; μ, σ) − log(1 − tanh² u).
    @inlinable
    public static func act(
        _ output: UnsafePointer<Float>, noise: UnsafePointer<Float>, count: Int, action: UnsafeMutablePointer<Float>
    ) -> Float {
        var sum: Float = 0
        for index in 0..<count {
            let logDeviation = held(output[count + index])
            let u = output[index] + expf(logDeviation) * noise[index]
            let squashed = squash(u)
            action[index] = squashed.action
            sum -= 0.5 * noise[index] * noise[index] + logDeviation + DiagonalGaussian.halfLogTwoPi
            sum -= squashed.logSlope
        }
        return sum
    }

    /// log π of the action tanh(u), summed over the dimensions.
    @inlinable
    public static func logProbability(_ output: UnsafePointer<Float>, u: UnsafePointer<Float>, count: Int) -> Float {
        var sum: Float = 0
        for index in 0..<count {
            let logDeviation = held(output[count + index])
            let z = (u[index] - output[index]) * expf(-logDeviation)
            sum -= 0.5 * z * z + logDeviation + DiagonalGaussian.halfLogTwoPi + squash(u[index]).logSlope
        }
        return sum
    }

    /// The gradient by the network's row of a loss whose derivatives by the action and by log π(a) are given, the noise
    /// being what it was (reparameterisation): ∂a/∂u = 1 − a², ∂log π/∂u = 2 a, ∂log π/∂log σ = −1 besides.
    ///
    /// - Parameters:
    ///   - byAction: (count).
    ///   - gradient: (2 · count), overwritten.
    @inlinable
    public static func gradient(
        _ output: UnsafePointer<Float>, noise: UnsafePointer<Float>, action: UnsafePointer<Float>, count: Int,
        byAction: UnsafePointer<Float>, byLogProbability: Float, into gradient: UnsafeMutablePointer<Float>
    ) {
        for index in 0..<count {
            let a = action[index]
            let byU = byAction[index] * (1 - a * a) + byLogProbability * 2 * a
            gradient[index] = byU
            let raw = output[count + index]
            gradient[count + index] =
                logDeviationRange.contains(raw) ? byU * expf(raw) * noise[index] - byLogProbability : 0
        }
    }

    /// tanh(u), and log(1 − tanh² u) = 2 (log 2 − |u| − log(1 + e^(−2|u|))).
    ///
    /// The plain form is the logarithm of 0 from |u| = 9 on, where tanh u rounds to 1; the added 10⁻⁶ that is often
    /// used instead is off by 25 at |u| = 20.
    @inlinable
    @inline(__always)
    public static func squash(_ u: Float) -> (action: Float, logSlope: Float) {
        let size = abs(u)
        let e = expf(-2 * size)
        let action = (1 - e) / (1 + e)
        return (u < 0 ? -action : action, 2 * (0.693_147_180_559_945_3 - size - log1pf(e)))
    }

    /// The logarithm of a deviation, held within ``logDeviationRange``.
    @inlinable
    @inline(__always)
    public static func held(_ logDeviation: Float) -> Float {
        min(max(logDeviation, logDeviationRange.lowerBound), logDeviationRange.upperBound)
    }
}

// MARK: Actions that were kept

extension SquashedGaussian {
    /// The largest size of an action that u is had back from: beyond, floats are too far apart to tell.
    @usableFromInline static let largest: Float = 1 - 1e-6

    /// u of an action, atanh(a): to within its own rounding up to |u| of about 7, and held there.
    @inlinable
    @inline(__always)
    public static func unsquash(_ action: Float) -> Float { atanhf(min(max(action, -largest), largest)) }

    /// log π(a) of one dimension.
    ///
    /// - Parameter rawLogDeviation: as the network gives it.
    @inlinable
    @inline(__always)
    public static func logProbability(mean: Float, rawLogDeviation: Float, action: Float) -> Float {
        let logDeviation = held(rawLogDeviation)
        let u = unsquash(action)
        let z = (u - mean) * expf(-logDeviation)
        return -(0.5 * z * z + logDeviation + DiagonalGaussian.halfLogTwoPi + squash(u).logSlope)
    }
}

// MARK: Batches

extension SquashedGaussian {
    /// Draws noise, and computes the actions and log π of each row.
    ///
    /// - Parameters:
    ///   - outputs: (rows, 2 · dimensions): means, then logarithms of deviations.
    ///   - noise: where ε goes, (rows, dimensions).
    ///   - actions: where tanh(u) goes, (rows, dimensions); another matrix than `noise`.
    ///   - logProbabilities: (rows).
    public static func draw(
        _ outputs: Matrix, generator: inout NumPyGenerator, noise: Matrix, actions: Matrix,
        logProbabilities: Vector<Float>
    ) {
        let size = outputs.columns / 2
        precondition(
            noise.rows >= outputs.rows && noise.columns == size && actions.rows >= outputs.rows
                && actions.columns == size && logProbabilities.count >= outputs.rows)
        for row in 0..<outputs.rows {
            for index in 0..<size { noise[row, index] = Float(generator.standardNormal()) }
        }
        for row in 0..<outputs.rows {
            logProbabilities[row] = act(
                outputs.base + row * outputs.stride, noise: noise.base + row * noise.stride, count: size,
                action: actions.base + row * actions.stride)
        }
    }

    /// The gradient by the outputs of a loss whose derivatives by the actions and, the same for all rows, by log π are
    /// given, the noise being what it was.
    ///
    /// - Parameters:
    ///   - byAction: (rows, dimensions).
    ///   - gradient: (rows, 2 · dimensions), overwritten.
    public static func gradient(
        _ outputs: Matrix, noise: Matrix, actions: Matrix, byAction: Matrix, byLogProbability: Float,
        into gradient: Matrix
    ) {
        let size = outputs.columns / 2
        precondition(
            noise.columns == size && actions.columns == size && byAction.columns == size
                && min(noise.rows, actions.rows, byAction.rows, gradient.rows) >= outputs.rows
                && gradient.columns == outputs.columns)
        for row in 0..<outputs.rows {
            self.gradient(
                outputs.base + row * outputs.stride, noise: noise.base + row * noise.stride,
                action: actions.base + row * actions.stride, count: size,
                byAction: byAction.base + row * byAction.stride, byLogProbability: byLogProbability,
                into: gradient.base + row * gradient.stride)
        }
    }
}
