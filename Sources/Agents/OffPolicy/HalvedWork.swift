import GymProtocol

/// Work in stages, each of two halves that touch nothing in common.
package protocol HalvedWork: AnyObject {
    /// Does half 0 or 1 of a stage; every earlier stage is done by then.
    func run(stage: Int, half: Int)
}

/// Runs halved work, on two threads where the process may run on two processors.
///
/// What is computed does not depend on the threads: a minibatch is always cut in two, and the halves' gradients are
/// added in the same order.
package final class HalfRunner: @unchecked Sendable {
    private let usesTwoThreads: Bool
    private lazy var pair = ThreadPair { [unowned self] half in walk(half) }
    // Of the run under way; written while the pair rests.
    private var work: (any HalvedWork)?
    private var stages = 0

    /// Floating-point operations below which waking the other thread (about 50 µs) costs more than it gives.
    private static let worthwhile = 30e6

    /// - Parameters:
    ///   - threads: 1 or 2; by default as many as it may run on.
    ///   - operations: floating-point operations that a run takes.
    package init(threads: Int? = nil, operations: Double) {
        usesTwoThreads =
            threads.map { $0 >= 2 }
            ?? (Processors.count >= 2 && operations > HalfRunner.worthwhile)
    }

    /// Does the stages one after the other.
    package func run(_ work: any HalvedWork, stages: Int) {
        guard usesTwoThreads else {
            for stage in 0..<stages {
                work.run(stage: stage, half: 0)
                work.run(stage: stage, half: 1)
            }
            return
        }
        self.work = work
        self.stages = stages
        pair.run()
        self.work = nil
    }

    private func walk(_ half: Int) {
        guard let work else { return }
        for stage in 0..<stages {
            work.run(stage: stage, half: half)
            // At the end of the run they meet anyway.
            if stage + 1 < stages { pair.meet(half) }
        }
    }
}

/// One half of `count` things, the first half being the larger when they are odd; cut at a multiple of `multiple`.
func half(_ half: Int, of count: Int, multiple: Int = 1) -> Range<Int> {
    let middle = min(count, ((count + 1) / 2 + multiple - 1) / multiple * multiple)
    return half == 0 ? 0..<middle : middle..<count
}
