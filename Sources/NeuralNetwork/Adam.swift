import CVectorKernels
import Glibc

/// Adam (Kingma and Ba 2015, arXiv 1412.6980), as `torch.optim.Adam` computes it, in one pass over the parameters.
public final class Adam: Optimiser, @unchecked Sendable {
    // Sendable: what changes is written by `begin` and `restore`, when no other thread works with it.

    /// The decay of the first moment.
    public let beta1: Double
    /// The decay of the second moment.
    public let beta2: Double
    /// Added to the root of the second moment. PPO uses 1e-5, the off-policy methods 1e-8.
    public let epsilon: Double
    public let count: Int
    public private(set) var steps = 0
    /// The running mean of the gradient, then that of its square: 2 · count floats.
    public let moments: Vector<Float>
    private var rate: Float = 0
    private var rootCorrection: Float = 1

    /// An optimiser that has taken no step.
    public init(count: Int, beta1: Double = 0.9, beta2: Double = 0.999, epsilon: Double) {
        self.count = count
        self.beta1 = beta1
        self.beta2 = beta2
        self.epsilon = epsilon
        moments = Vector(count: 2 * count)
    }

    public func begin(learningRate: Double) {
        steps += 1
        let t = Double(steps)
        rate = Float(learningRate / (1 - pow(beta1, t)))
        rootCorrection = Float(1 / (1 - pow(beta2, t)).squareRoot())
    }

    public func apply(_ gradient: Vector<Float>, to store: ParameterStore, _ range: Range<Int>, scale: Float) {
        check(gradient, store, range)
        let start = range.lowerBound
        vector_kernels_adam(
            range.count, store.values + start, gradient.base + start, moments.base + start,
            moments.base + count + start, scale, Float(beta1), Float(beta2), rate, rootCorrection, Float(epsilon))
    }

    public func restore(steps: Int) { self.steps = steps }
}

/// Adam for a single number.
public struct ScalarAdam: BitwiseCopyable, Sendable {
    private let epsilon: Double
    private var steps = 0
    private var first = 0.0
    private var second = 0.0

    /// One that has taken no step.
    public init(epsilon: Double) { self.epsilon = epsilon }

    /// What the number changes by.
    public mutating func step(gradient: Double, learningRate: Double) -> Double {
        steps += 1
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient * gradient
        let t = Double(steps)
        return -learningRate * first / (1 - pow(0.9, t)) / ((second / (1 - pow(0.999, t))).squareRoot() + epsilon)
    }
}
