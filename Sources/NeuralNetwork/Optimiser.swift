/// What turns a gradient into a change of parameters.
///
/// A step is begun once, and then applied stretch by stretch, by any thread, each parameter once. What it remembers of
/// earlier gradients lies in ``moments``, which a checkpoint keeps beside ``steps``.
public protocol Optimiser: AnyObject, Sendable {
    /// The number of parameters, a store's gaps included.
    var count: Int { get }
    /// The steps taken.
    var steps: Int { get }
    /// What it remembers of earlier gradients; empty where it remembers nothing.
    var moments: Vector<Float> { get }

    /// Begins a step.
    func begin(learningRate: Double)
    /// Applies the step that was begun to the parameters of a range.
    ///
    /// - Parameters:
    ///   - gradient: of all parameters.
    ///   - scale: what the gradient is multiplied by first.
    func apply(_ gradient: Vector<Float>, to store: ParameterStore, _ range: Range<Int>, scale: Float)
    /// Goes on after `steps` steps; the moments are written to ``moments``.
    func restore(steps: Int)
}

extension Optimiser {
    /// Applies a whole step.
    public func step(
        _ store: ParameterStore, gradient: Vector<Float>? = nil, learningRate: Double, scale: Float = 1
    ) {
        begin(learningRate: learningRate)
        apply(gradient ?? store.gradients, to: store, 0..<count, scale: scale)
    }

    func check(_ gradient: Vector<Float>, _ store: ParameterStore, _ range: Range<Int>) {
        precondition(
            store.count == count && gradient.count == count,
            "an optimiser for \(count) parameters given \(store.count), and a gradient of \(gradient.count)")
        precondition(range.lowerBound >= 0 && range.upperBound <= count, "\(range) of \(count) parameters")
    }
}

/// The optimisers by the names that settings give them.
public enum OptimiserKind: String, Sendable, CaseIterable {
    case adam
    case rmsProp = "rmsprop"
    case rmsPropTensorFlow = "rmsprop-tf"
    case sgd

    /// An optimiser that has taken no step.
    ///
    /// - Parameters:
    ///   - epsilon: added to the denominator; unused by SGD.
    ///   - decay: of RMSProp's mean of squares.
    public func make(count: Int, epsilon: Double, decay: Double = 0.99) -> any Optimiser {
        switch self {
        case .adam: Adam(count: count, epsilon: epsilon)
        case .rmsProp: RMSProp(count: count, form: .pyTorch, decay: decay, epsilon: epsilon)
        case .rmsPropTensorFlow: RMSProp(count: count, form: .tensorFlow, decay: decay, epsilon: epsilon)
        case .sgd: SGD(count: count)
        }
    }
}

/// Plain gradient descent.
public final class SGD: Optimiser, @unchecked Sendable {
    // Sendable: as Adam.

    public let count: Int
    public private(set) var steps = 0
    public let moments = Vector<Float>(count: 0)
    private var rate: Float = 0

    /// An optimiser that has taken no step.
    public init(count: Int) { self.count = count }

    public func begin(learningRate: Double) {
        steps += 1
        rate = Float(learningRate)
    }

    public func apply(_ gradient: Vector<Float>, to store: ParameterStore, _ range: Range<Int>, scale: Float) {
        check(gradient, store, range)
        let (values, g, rate) = (store.values, gradient.base, rate)
        for index in range { values[index] -= rate * (g[index] * scale) }
    }

    public func restore(steps: Int) { self.steps = steps }
}

/// What a gradient is multiplied by so that its norm is at most `maxNorm`, as `torch.nn.utils.clip_grad_norm_`.
public func clippingScale(norm: Double, maxNorm: Double) -> Float {
    Float(min(1, maxNorm / (norm + 1e-6)))
}
