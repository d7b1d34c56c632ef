import Synchronization

/// The rows of a step, handed out to the threads that step them.
///
/// Each thread has a range of its own, of which it takes rows from the front; when nothing is left there, it takes from
/// the back of what others have not come to. So a thread steps the same environments most of the time, which its
/// processor then has in its cache, and all the same nobody waits long for one whose environments take longer.
package struct RowShare: ~Copyable, Sendable {
    // All that lies here is atomic, and lasts as long as the share.
    /// A cache line a thread. The first word is its range: in the upper half the first row that nobody took, in the
    /// lower the row after the last of them. The second is how often the thread has taken rows.
    nonisolated(unsafe) private let lines: UnsafeMutableRawPointer
    private let threads: Int
    private let groupSize: Int

    private static let lineSize = 64
    private static let takesOffset = 8

    /// Nothing to hand out yet.
    ///
    /// - Parameter groupSize: how many rows are handed out at the least, as long as there are so many.
    package init(threads: Int, groupSize: Int) {
        self.threads = threads
        self.groupSize = groupSize
        lines = .allocate(byteCount: threads * RowShare.lineSize, alignment: RowShare.lineSize)
        for thread in 0..<threads {
            let line = lines + thread * RowShare.lineSize
            line.initializeMemory(as: Atomic<UInt64>.self, to: Atomic(0))
            (line + RowShare.takesOffset).initializeMemory(as: Atomic<UInt32>.self, to: Atomic(0))
        }
    }

    deinit { lines.deallocate() }

    /// Gives the first `count` threads about as many rows each; any thread may take them.
    ///
    /// - Precondition: all that was handed out before was taken, and there are fewer than 2³² rows.
    package func share(_ rows: Range<Int>, among count: Int) {
        for thread in 0..<count {
            let lower = rows.lowerBound + rows.count * thread / count
            let upper = rows.lowerBound + rows.count * (thread + 1) / count
            range(of: thread).pointee.store(RowShare.packed(lower, upper), ordering: .releasing)
        }
    }

    /// Takes some rows for a thread; `nil` when all are taken.
    package func take(_ thread: Int) -> Range<Int>? {
        for offset in 0..<threads {
            let other = thread + offset < threads ? thread + offset : thread + offset - threads
            if let rows = take(from: other, atFront: offset == 0) {
                takesWord(thread).pointee.wrappingAdd(1, ordering: .relaxed)
                return rows
            }
        }
        return nil
    }

    /// How often a thread has taken rows, from its own range or another's; it wraps around.
    package func takes(of thread: Int) -> UInt32 { takesWord(thread).pointee.load(ordering: .relaxed) }

    /// Takes a quarter of what is left, so that many rows need few words, and whole groups.
    private func take(from thread: Int, atFront: Bool) -> Range<Int>? {
        let word = range(of: thread)
        var seen = word.pointee.load(ordering: .acquiring)
        while true {
            let (lower, upper) = (Int(seen >> 32), Int(seen & 0xffff_ffff))
            guard lower < upper else { return nil }
            let groups = ((upper - lower) / 4 + groupSize - 1) / groupSize
            let count = min(max(groups, 1) * groupSize, upper - lower)
            let taken = atFront ? lower..<(lower + count) : (upper - count)..<upper
            let left = atFront ? taken.upperBound..<upper : lower..<taken.lowerBound
            // Should the same range have been shared anew in between, it is the new one that is taken from.
            let (isDone, now) = word.pointee.weakCompareExchange(
                expected: seen, desired: RowShare.packed(left.lowerBound, left.upperBound),
                ordering: .acquiringAndReleasing)
            if isDone { return taken }
            seen = now
        }
    }

    private func range(of thread: Int) -> UnsafeMutablePointer<Atomic<UInt64>> {
        (lines + thread * RowShare.lineSize).assumingMemoryBound(to: Atomic<UInt64>.self)
    }

    private func takesWord(_ thread: Int) -> UnsafeMutablePointer<Atomic<UInt32>> {
        (lines + thread * RowShare.lineSize + RowShare.takesOffset).assumingMemoryBound(to: Atomic<UInt32>.self)
    }

    private static func packed(_ lower: Int, _ upper: Int) -> UInt64 { UInt64(lower) << 32 | UInt64(upper) }
}
