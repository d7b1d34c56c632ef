import Dispatch
import Foundation
import Synchronization

/// One of two models that learn from the same minibatches and share only the norm of their gradients.
protocol PairedModel: AnyObject {
    /// Computes the gradient of minibatch `index`, complete and not yet applied, and returns its squared norm; `nil`
    /// to end the update before this minibatch is applied.
    func computeGradient(minibatch index: Int) -> Double?
    /// Applies the gradient; `totalNorm` is the norm of both models' gradients together.
    func applyGradient(totalNorm: Double)
}

/// Runs two models through their minibatches in step, on two threads where the machine has two cores.
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
    private let start = DispatchSemaphore(value: 0)
    private let done = DispatchSemaphore(value: 0)
    private let reports: UnsafeMutablePointer<Report>
    private let firstProgress = Atomic<Int>(0)
    private let secondProgress = Atomic<Int>(0)
    private var second: (any PairedModel)?
    private var minibatches = 0
    private var hasThread = false

    /// Spins before giving the processor away: about 10 µs, ten times what waiting for the other model usually takes.
    private static let spins = 4_000

    /// - Parameter threads: 1 or 2; by default as many as the process may use.
    init(threads: Int? = nil) {
        usesTwoThreads = (threads ?? ProcessInfo.processInfo.activeProcessorCount) >= 2
        reports = .allocate(capacity: 4)
        reports.initialize(repeating: Report(), count: 4)
    }

    deinit {
        if hasThread {
            // An update without a model ends the thread.
            second = nil
            start.signal()
            done.wait()
        }
        reports.deallocate()
    }

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
        if !hasThread {
            hasThread = true
            let thread = Thread { [unowned self] in serve() }
            thread.name = "critic"
            thread.stackSize = 1 << 20
            thread.start()
        }
        self.second = second
        self.minibatches = minibatches
        firstProgress.store(0, ordering: .relaxed)
        secondProgress.store(0, ordering: .relaxed)
        start.signal()
        let applied = walk(first, minibatches, slot: 0, mine: firstProgress, other: secondProgress)
        done.wait()
        self.second = nil
        return applied
    }

    /// The second thread: one update after the other until there is none.
    private func serve() {
        while true {
            start.wait()
            guard let second else { break }
            _ = walk(second, minibatches, slot: 1, mine: secondProgress, other: firstProgress)
            done.signal()
        }
        done.signal()
    }

    private func walk(
        _ model: any PairedModel, _ minibatches: Int, slot: Int, mine: borrowing Atomic<Int>,
        other: borrowing Atomic<Int>
    ) -> Int {
        for index in 0..<minibatches {
            let norm = model.computeGradient(minibatch: index)
            let pair = reports + (index & 1) * 2
            pair[slot] = Report(squaredNorm: norm ?? 0, ends: norm == nil)
            mine.store(index + 1, ordering: .releasing)
            var spins = 0
            while other.load(ordering: .acquiring) <= index {
                spins += 1
                // The other thread may have lost its core to someone else: waiting must not keep one busy.
                if spins > PairedUpdates.spins { sched_yield() }
            }
            if pair[0].ends || pair[1].ends { return index }
            model.applyGradient(totalNorm: (pair[0].squaredNorm + pair[1].squaredNorm).squareRoot())
        }
        return minibatches
    }
}
