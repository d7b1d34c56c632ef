import NeuralNetwork

/// Target networks, which follow others slowly: θ⁻ ← θ⁻ + τ (θ − θ⁻).
package final class TargetNetworks: @unchecked Sendable {
    // Sendable: as GradientStep.

    private let pairs: [(target: ParameterStore, source: ParameterStore)]
    private let workers: Workers
    private let isDivided: Bool

    package init(_ pairs: [(target: ParameterStore, source: ParameterStore)], workers: Workers) {
        self.pairs = pairs
        isDivided = pairs.reduce(0) { $0 + $1.target.count } >= GradientStep.worthwhile
        self.workers = workers
    }

    /// Moves the targets.
    ///
    /// - Parameter rate: τ; 1 is a copy.
    package func follow(rate: Float) {
        guard isDivided else {
            for (target, source) in pairs { target.polyak(towards: source, rate: rate) }
            return
        }
        workers.run(2 * pairs.count) { piece in
            let (target, source) = pairs[piece / 2]
            target.polyak(towards: source, rate: rate, share(piece % 2, of: 2, count: target.count, multiple: 16))
        }
    }
}
