import NeuralNetwork

/// What one half of a minibatch gave to a loss, and how large the gradient is that came of it.
struct LossPart {
    /// The sum over the half's rows.
    var sum = 0.0
    /// The squared norm of the half's gradient.
    var squaredNorm = 0.0

    /// Takes in the gradient that lies in an array.
    mutating func measure(_ gradient: UnsafePointer<Float>, count: Int) {
        squaredNorm = sumOfSquares(gradient, count: count)
    }

    /// What of a loss, by its name, is not a finite number; `nil` when all is well.
    ///
    /// The square of the gradient has to be finite as a float, too: Adam keeps it, and a parameter whose second moment
    /// is infinite would never move again.
    static func fault(_ name: String, _ first: LossPart, _ second: LossPart) -> String? {
        if !(first.sum + second.sum).isFinite { return "\(name) loss" }
        return Float(first.squaredNorm + second.squaredNorm).isFinite ? nil : "\(name) gradient"
    }
}
