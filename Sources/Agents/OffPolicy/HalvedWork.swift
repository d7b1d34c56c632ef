import Dispatch
import Foundation
import Synchronization

/// Work in stages, each of two halves that touch nothing in common.
package protocol HalvedWork: AnyObject {
    /// Does half 0 or 1 of a stage; every earlier stage is done by then.
    func run(stage: Int, half: Int)
}

/// Runs halved work, on two threads where the machine has two cores.
///
/// What is computed does not depend on the threads: a minibatch is always cut in two, and the halves' gradients are
/// added in the same order.
package final class HalfRunner: @unchecked Sendable {
    private let usesTwoThreads: Bool
    private let start = DispatchSemaphore(value: 0)
    private let done = DispatchSemaphore(value: 0)
    private let firstProgress = Atomic<Int>(0)
    private let secondProgress = Atomic<Int>(0)
    private var work: (any HalvedWork)?
    private var stages = 0
    private var hasThread = false

    /// Spins before giving the processor away: about 10 µs.
    private static let spins = 4_000
    /// Floating-point operations below which waking the other thread (about 50 µs) costs more than it gives.
    private static let worthwhile = 30e6

    /// - Parameters:
    ///   - threads: 1 or 2; by default as many as the process may use.
    ///   - operations: floating-point operations that a run takes.
    package init(threads: Int? = nil, operations: Double) {
        usesTwoThreads =
            threads.map { $0 >= 2 }
            ?? (ProcessInfo.processInfo.activeProcessorCount >= 2 && operations > HalfRunner.worthwhile)
    }

    deinit {
        if hasThread {
            // A run without work ends the thread.
            work = nil
            start.signal()
            done.wait()
        }
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
        if !hasThread {
            hasThread = true
            let thread = Thread { [unowned self] in serve() }
            thread.name = "learner"
            thread.stackSize = 1 << 20
            thread.start()
        }
        self.work = work
        self.stages = stages
        firstProgress.store(0, ordering: .relaxed)
        secondProgress.store(0, ordering: .relaxed)
        start.signal()
        walk(work, stages, half: 0, mine: firstProgress, other: secondProgress)
        done.wait()
        self.work = nil
    }

    /// The second thread: one run after the other until there is none.
    private func serve() {
        while true {
            start.wait()
            guard let work else { break }
            walk(work, stages, half: 1, mine: secondProgress, other: firstProgress)
            done.signal()
        }
        done.signal()
    }

    private func walk(
        _ work: any HalvedWork, _ stages: Int, half: Int, mine: borrowing Atomic<Int>, other: borrowing Atomic<Int>
    ) {
        for stage in 0..<stages {
            work.run(stage: stage, half: half)
            mine.store(stage + 1, ordering: .releasing)
            var spins = 0
            while other.load(ordering: .acquiring) <= stage {
                spins += 1
                // The other thread may have lost its core to someone else: waiting must not keep one busy.
                if spins > HalfRunner.spins { sched_yield() }
            }
        }
    }
}

/// One half of `count` things, the first half being the larger when they are odd; cut at a multiple of `multiple`.
func half(_ half: Int, of count: Int, multiple: Int = 1) -> Range<Int> {
    let middle = min(count, ((count + 1) / 2 + multiple - 1) / multiple * multiple)
    return half == 0 ? 0..<middle : middle..<count
}
