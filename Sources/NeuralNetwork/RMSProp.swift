/// RMSProp (Hinton's lecture 6e of "Neural Networks for Machine Learning", 2012): the gradient by the root of the running
/// mean of its square.
public final class RMSProp: Optimiser, @unchecked Sendable {
    // Sendable: as Adam.

    /// Where ε stands and what the mean starts from: the two forms learn differently at the start of a run.
    public enum Form: Sendable {
        /// g / (√v + ε), v from 0: `torch.optim.RMSprop`.
        case pyTorch
        /// g / √(v + ε), v from 1: TensorFlow 1's, and Stable-Baselines3's `RMSpropTFLike`.
        case tensorFlow
    }

    /// Which form.
    public let form: Form
    /// The decay of the mean of squares.
    public let decay: Double
    /// Added to the denominator.
    public let epsilon: Double
    public let count: Int
    public private(set) var steps = 0
    /// The running mean of the squares, count floats.
    public let moments: Vector<Float>
    private var rate: Float = 0

    /// An optimiser that has taken no step.
    public init(count: Int, form: Form, decay: Double = 0.99, epsilon: Double) {
        self.form = form
        self.decay = decay
        self.epsilon = epsilon
        self.count = count
        moments = Vector(count: count)
        if form == .tensorFlow { moments.fill(1) }
    }

    public func begin(learningRate: Double) {
        steps += 1
        rate = Float(learningRate)
    }

    public func apply(_ gradient: Vector<Float>, to store: ParameterStore, _ range: Range<Int>, scale: Float) {
        check(gradient, store, range)
        let (values, squares, g) = (store.values, moments.base, gradient.base)
        let (decay, rest, epsilon, rate) = (Float(decay), Float(1 - decay), Float(epsilon), rate)
        switch form {
        case .pyTorch:
            for index in range {
                let slope = g[index] * scale
                let square = decay * squares[index] + rest * slope * slope
                squares[index] = square
                values[index] -= rate * slope / (square.squareRoot() + epsilon)
            }
        case .tensorFlow:
            for index in range {
                let slope = g[index] * scale
                let square = decay * squares[index] + rest * slope * slope
                squares[index] = square
                values[index] -= rate * slope / (square + epsilon).squareRoot()
            }
        }
    }

    public func restore(steps: Int) { self.steps = steps }
}
