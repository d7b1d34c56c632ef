import GymProtocol

/// One of two models that learn from the same minibatches and share only the norm of their gradients.
protocol PairedModel: AnyObject {
    /// Computes the gradient of minibatch `index`, complete and not yet applied, and returns its squared norm; `nil`
    /// to end the update before this minibatch is applied.
    func computeGradient(minibatch index: Int) -> Double?
    /// Applies the gradient; `totalNorm` is the norm of both models' gradients together.
    func applyGradient(totalNorm: Double)
}

/// Runs two models through their minibatches in step, on two threads where the process may run on two processors.
///
/// What is computed does not depend on the threads: each model's arithmetic is its own, and the two norms are added in
/// the same order.
final class PairedUpdates: @unchecked Sendable {
    /// What a model says of a minibatch; two of them in turn, so that one is not overwritten while it is read.
    private struct Report {
        var squaredNorm = 0.0
        var ends = false
    }

    private let usesTwoThreads: Bool
    private let reports: UnsafeMutablePointer<Report>
    private lazy var pair = ThreadPair { [unowned self] side in walk(side) }
    // Of the run under way; written while the pair rests.
    private var first: (any PairedModel)?
    private var second: (any PairedModel)?
    private var minibatches = 0
    private var applied = 0

    /// - Parameter threads: 1 or 2; by default as many as it may run on.
    init(threads: Int? = nil) {
        usesTwoThreads = (threads ?? Processors.count) >= 2
        reports = .allocate(capacity: 4)
        reports.initialize(repeating: Report(), count: 4)
    }

    deinit { reports.deallocate() }

    /// Computes and applies up to `minibatches` gradients.
    ///
    /// - Returns: the number that were applied.
    func run(_ first: any PairedModel, _ second: any PairedModel, minibatches: Int) -> Int {
        guard usesTwoThreads else {
            for index in 0..<minibatches {
                let one = first.computeGradient(minibatch: index)
                let other = second.computeGradient(minibatch: index)
                guard let one, let other else { return index }
                let norm = (one + other).squareRoot()
                first.applyGradient(totalNorm: norm)
                second.applyGradient(totalNorm: norm)
            }
            return minibatches
        }
        self.first = first
        self.second = second
        self.minibatches = minibatches
        pair.run()
        self.first = nil
        self.second = nil
        return applied
    }

    /// One side's minibatches.
    private func walk(_ side: Int) {
        guard let model = side == 0 ? first : second else { return }
        for index in 0..<minibatches {
            let norm = model.computeGradient(minibatch: index)
            let both = reports + (index & 1) * 2
            both[side] = Report(squaredNorm: norm ?? 0, ends: norm == nil)
            pair.meet(side)
            if both[0].ends || both[1].ends {
                if side == 0 { applied = index }
                return
            }
            model.applyGradient(totalNorm: (both[0].squaredNorm + both[1].squaredNorm).squareRoot())
        }
        if side == 0 { applied = minibatches }
    }
}
