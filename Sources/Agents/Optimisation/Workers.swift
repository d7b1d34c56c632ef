import Foundation
import GymProtocol

/// Threads that do pieces of work side by side: a fork and a join within straight-line code.
///
///     workers.run(4) { piece in … }     // four pieces, on as many threads as there are; the next line sees all of it
///
/// What a piece computes must not depend on who does it: pieces write to memory of their own, and what they found is put
/// together after the join, in the order of the pieces. Then the result is the same for any number of threads.
public final class Workers: @unchecked Sendable {
    // Sendable: `work`, `pieces` and `isEngaged` are written by the thread that calls `run`, while the helpers wait;
    // ringing their bells orders that before what they read.

    /// The threads, the caller's included.
    public let threads: Int
    /// Whether threads are used however little there is to do.
    private let isForced: Bool
    private var helpers: [Helper] = []
    private var isEngaged = false
    private var work: ((Int) -> Void)?
    private var pieces = 0
    private var stride = 1

    /// Floating-point operations below which waking another thread (about 50 µs) costs more than it gives.
    private static let worthwhile = 30e6

    /// A thread beside the caller's. It does not hold on to the workers: its end is theirs.
    private final class Helper: Sendable {
        /// Rung by the caller: the next number, for work to do; and by the helper, when it is done.
        let start = Doorbell()
        let done = Doorbell()
    }

    /// - Parameter threads: at least 1; by default as many as the process may run on, and then only where there is enough
    ///   to do.
    public init(threads: Int? = nil) {
        precondition(threads ?? 1 >= 1, "work needs at least one thread")
        self.threads = threads ?? Processors.count
        isForced = threads != nil
        isEngaged = isForced
    }

    deinit {
        for helper in helpers {
            // 0 is rung for the end and for nothing else.
            helper.start.ring(0)
        }
    }

    /// Says how much there is to do until the next call: whether it is worth waking threads for.
    ///
    /// - Parameter operations: floating-point operations, about.
    public func expect(operations: Double) { isEngaged = isForced || operations > Workers.worthwhile }

    /// Does `work` for the pieces 0 ..< `count`, piece i on thread i mod ``threads``, and returns when all are done.
    public func run(_ count: Int, _ work: (_ piece: Int) -> Void) {
        let threads = min(threads, count)
        guard threads > 1, isEngaged else {
            for piece in 0..<count { work(piece) }
            return
        }
        while helpers.count < threads - 1 { addHelper() }
        withoutActuallyEscaping(work) { work in
            self.work = work
            pieces = count
            stride = threads
            for index in 0..<threads - 1 {
                let helper = helpers[index]
                // Never 0; the number itself says nothing.
                helper.start.ring(helper.start.value == 1 ? 2 : 1)
            }
            for piece in Swift.stride(from: 0, to: count, by: threads) { work(piece) }
            for index in 0..<threads - 1 {
                let helper = helpers[index]
                let goal = helper.start.value
                var shown = helper.done.value
                while shown != goal { shown = helper.done.wait(whileShowing: shown) }
            }
            self.work = nil
        }
    }

    private func addHelper() {
        let helper = Helper()
        let index = helpers.count + 1
        helper.start.ring(1)
        helper.done.ring(1)
        helpers.append(helper)
        let thread = Thread { [weak self] in
            var shown: UInt32 = 1
            while true {
                var next = helper.start.value
                while next == shown { next = helper.start.wait(whileShowing: shown) }
                if next == 0 { return }
                shown = next
                // The caller waits, so the workers are there.
                self?.perform(index)
                helper.done.ring(next)
            }
        }
        thread.name = "learner"
        thread.stackSize = 1 << 20
        thread.start()
    }

    private func perform(_ thread: Int) {
        guard let work else { return }
        for piece in Swift.stride(from: thread, to: pieces, by: stride) { work(piece) }
    }
}

/// One half of `count` things, or another share: where share `index` of `shares` begins and ends, cut at multiples of
/// `multiple`; earlier shares are never smaller than later ones.
package func share(_ index: Int, of shares: Int, count: Int, multiple: Int = 1) -> Range<Int> {
    func end(_ index: Int) -> Int {
        let cut = (count * index + shares - 1) / shares
        return min(count, (cut + multiple - 1) / multiple * multiple)
    }
    return end(index)..<end(index + 1)
}
