import CVectorKernels
import Glibc

/// Adam (Kingma and Ba 2015, arXiv 1412.6980), as `torch.optim.Adam` computes it, in one pass over the parameters.
public struct Adam: ~Copyable {
    /// The decay of the first moment.
    public let beta1: Double
    /// The decay of the second moment.
    public let beta2: Double
    /// Added to the root of the second moment. PPO and A2C use 1e-5, the off-policy methods 1e-8.
    public let epsilon: Double
    /// The number of parameters, a store's gaps included.
    public let count: Int
    /// The steps taken.
    public private(set) var steps = 0
    /// The running mean of the gradient, then that of its square: 2 · count floats.
    public let moments: UnsafeMutablePointer<Float>

    /// An optimiser that has taken no step.
    public init(count: Int, beta1: Double = 0.9, beta2: Double = 0.999, epsilon: Double) {
        self.count = count
        self.beta1 = beta1
        self.beta2 = beta2
        self.epsilon = epsilon
        moments = allocateFloats(2 * count)
    }

    deinit {
        moments.deallocate()
    }

    /// Applies a store's gradient, multiplied by `scale`.
    public mutating func step(_ store: ParameterStore, learningRate: Double, scale: Float = 1) {
        begin(learningRate: learningRate).apply(store, 0..<count, scale: scale)
    }

    /// Begins a step whose parts are applied one by one, on any thread: the same as ``step(_:learningRate:scale:)``.
    public mutating func begin(learningRate: Double) -> Step {
        steps += 1
        let t = Double(steps)
        return Step(
            moments: moments, count: count, beta1: Float(beta1), beta2: Float(beta2),
            rate: Float(learningRate / (1 - pow(beta1, t))),
            rootCorrection: Float(1 / (1 - pow(beta2, t)).squareRoot()), epsilon: Float(epsilon))
    }

    /// A step that was begun.
    public struct Step: @unchecked Sendable {
        fileprivate let moments: UnsafeMutablePointer<Float>
        fileprivate let count: Int
        fileprivate let beta1: Float
        fileprivate let beta2: Float
        fileprivate let rate: Float
        fileprivate let rootCorrection: Float
        fileprivate let epsilon: Float

        /// Applies the gradient, multiplied by `scale`, to the parameters of a range; every parameter once.
        public func apply(_ store: ParameterStore, _ range: Range<Int>, scale: Float = 1) {
            precondition(store.count == count, "an optimiser for \(count) parameters given \(store.count)")
            let start = range.lowerBound
            vector_kernels_adam(
                range.count, store.values + start, store.gradient + start, moments + start, moments + count + start,
                scale, beta1, beta2, rate, rootCorrection, epsilon)
        }
    }

    /// Continues after `steps` steps; the moments are to be written to ``moments``.
    public mutating func restore(steps: Int) {
        self.steps = steps
    }
}

/// What a gradient is multiplied by so that its norm is at most `maxNorm`, as `torch.nn.utils.clip_grad_norm_`.
public func clippingScale(norm: Double, maxNorm: Double) -> Float {
    Float(min(1, maxNorm / (norm + 1e-6)))
}
