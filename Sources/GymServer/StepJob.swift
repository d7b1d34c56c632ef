import GymCore
import GymProtocol
import Synchronization

/// The rows of one batch that are to be stepped by several threads: all at once, or some that a client does not wait for.
///
/// Nothing is allocated for a step once it is there.
final class StepJob: Sendable {
    /// Steps some rows; returns those that failed.
    typealias Work = @Sendable (_ rows: Range<Int>, _ target: StepBuffers) -> [EnvironmentFault]

    /// Looks, in about 200 µs, for others to finish what they have begun. Shorter, and threads sleep in the middle of a
    /// step because one got the environments that take longest.
    static let mostSpins = 8000
    /// Seconds after which who waits for rows looks whether there still is a thread to step them.
    private static let lookInterval = 1e-3
    /// So many times it is believed that a free thread is about to come.
    private static let mostLooks = 20

    private let pool: StepPool
    private let work: Work
    /// The rows of a step that threads take together; the caller is number 0, the pool's threads follow.
    private let share: RowShare
    /// How many of them are not done yet.
    private let remaining = Atomic(0)
    /// Rung when something is done.
    private let doneBell: Doorbell
    /// How often it was rung. Each ring shows another number, or who waits could take two for none.
    private let doneRings = Atomic<UInt32>(0)

    private struct State {
        /// Where results go. It changes only while no rows are to be had: who has got some may look at it.
        var target: StepBuffers?
        // Each row is in one place at most, so none of these outgrows the batch.
        var waiting: RowQueue
        var done: RowQueue
        /// Rows that a thread steps now.
        var underWay = 0
        var faults: [EnvironmentFault] = []
        /// How often each of the pool's threads had taken rows by the end of the last step, and the steps since it last
        /// took any.
        var attendance: [(takes: UInt32, missed: Int)]
    }

    private let state: Guarded<State>

    /// A job for a batch.
    ///
    /// - Parameters:
    ///   - capacity: the rows of the batch.
    ///   - groupSize: rows that are best stepped together.
    /// - Throws: ``ThreadError``.
    init(pool: StepPool, capacity: Int, groupSize: Int, work: @escaping Work) throws {
        try pool.start()
        self.pool = pool
        self.work = work
        share = RowShare(threads: pool.size + 1, groupSize: groupSize)
        doneBell = Doorbell(mostSpins: pool.size <= StepPool.processors ? StepJob.mostSpins : 0)
        state = Guarded(
            State(
                waiting: RowQueue(capacity: capacity), done: RowQueue(capacity: capacity),
                attendance: Array(repeating: (0, 0), count: pool.size)))
    }

    /// Whether all rows of the step that threads take together are done.
    var isDone: Bool { remaining.load(ordering: .acquiring) == 0 }

    /// Drops what was not begun, and waits for what was.
    func end() {
        let begun = state.withLock { state in
            defer { state.waiting.removeAll() }
            return state.done.count + state.underWay
        }
        waitUntilDone(begun)
        pool.withdraw(self)
    }

    // MARK: All rows at once

    /// Steps rows in the given number of parts, on the caller's thread too; returns when all are done.
    ///
    /// - Precondition: nothing is pending.
    func stepAll(_ rows: Range<Int>, parts: Int, into target: StepBuffers) -> [EnvironmentFault] {
        // Whoever takes rows sees these.
        state.withLock { $0.target = target }
        remaining.store(rows.count, ordering: .relaxed)
        share.share(rows, among: parts)
        pool.offer(self, to: parts - 1)
        // On a busy machine the others may not come before all is done.
        _ = stepShare(ofThread: 0)
        while true {
            let shown = doneBell.value
            if isDone { break }
            _ = doneBell.wait(whileShowing: shown)
        }
        pool.withdraw(self)
        noteAttendance(ofThreads: parts - 1)
        return state.withLock { state in
            defer { state.faults = [] }
            return state.faults.sorted { $0.index < $1.index }
        }
    }

    /// Steps what is left to take, under a thread's number in the share.
    ///
    /// - Returns: whether there was anything.
    private func stepShare(ofThread thread: Int) -> Bool {
        var hasStepped = false
        while let rows = share.take(thread) {
            hasStepped = true
            let faults = work(rows, state.withLock { $0.target! })
            if !faults.isEmpty { state.withLock { $0.faults += faults } }
            if remaining.subtract(rows.count, ordering: .acquiringAndReleasing).newValue == 0 { ringDone() }
        }
        return hasStepped
    }

    /// Moves threads that do not come to work.
    ///
    /// A scheduler that finds no idle processor has a thread wait for the one that woke it, even where another runs
    /// nothing but work of the lowest priority. Then one of two threads steps everything while the other waits for it.
    private func noteAttendance(ofThreads count: Int) {
        state.withLock { state in
            for thread in 0..<min(count, pool.size) {
                let takes = share.takes(of: thread + 1)
                let missed = takes == state.attendance[thread].takes ? state.attendance[thread].missed + 1 : 0
                state.attendance[thread] = (takes, missed)
                // Ever more seldom, where it is of no use.
                if missed > 1 && missed & (missed - 1) == 0 { pool.move(thread) }
            }
        }
    }

    // MARK: Some rows, without waiting

    /// Has the rows stepped as soon as a thread is free.
    ///
    /// - Parameter target: where results go; the same for all that are under way.
    func begin(_ rows: [UInt32], into target: StepBuffers) {
        state.withLock { state in
            state.target = target
            for row in rows { state.waiting.append(Int(row)) }
        }
        pool.offer(self, to: rows.count)
    }

    /// Takes the first `count` rows that are done, in the order in which they became so; waits for them.
    func take(_ count: Int) -> (rows: [UInt32], faults: [EnvironmentFault]) {
        waitUntilDone(count)
        return state.withLock { state in
            let rows = (0..<count).map { _ in UInt32(state.done.removeFirst()) }
            if state.faults.isEmpty { return (rows, []) }
            let taken = Set(rows)
            let faults = state.faults.filter { taken.contains(UInt32($0.index)) }
            state.faults.removeAll { taken.contains(UInt32($0.index)) }
            return (rows, faults)
        }
    }

    /// Waits until so many rows are done. Nobody else waits for that.
    private func waitUntilDone(_ count: Int) {
        var looks = 0
        while true {
            let shown = doneBell.value
            let (isDone, isWaiting) = state.withLock { ($0.done.count >= count, $0.waiting.count > 0) }
            if isDone { return }
            // Where all threads stand in environments, perhaps another client's, rows are stepped here.
            looks += isWaiting ? 1 : 0
            if isWaiting, !pool.hasFreeThread || looks > StepJob.mostLooks, stepWaiting() { continue }
            _ = doneBell.wait(whileShowing: shown, seconds: isWaiting ? StepJob.lookInterval : nil)
        }
    }

    /// Steps one of the rows that nobody has begun to step; returns whether there was one.
    private func stepWaiting() -> Bool {
        let next = state.withLock { state -> (Int, StepBuffers)? in
            guard state.waiting.count > 0 else { return nil }
            state.underWay += 1
            return (state.waiting.removeFirst(), state.target!)
        }
        guard let (row, target) = next else { return false }
        let faults = work(row..<(row + 1), target)
        state.withLock { state in
            state.underWay -= 1
            state.done.append(row)
            if !faults.isEmpty { state.faults += faults }
        }
        ringDone()
        return true
    }

    // MARK: Helping

    /// Steps what there is to step, as one of the pool's threads.
    ///
    /// - Returns: whether there was anything.
    func help(as thread: Int) -> Bool {
        var hasHelped = stepShare(ofThread: thread + 1)
        while stepWaiting() { hasHelped = true }
        // Nothing is left to be begun. What came in between is offered anew.
        pool.withdraw(self)
        if state.withLock({ $0.waiting.count > 0 }) { pool.offer(self, to: 1) }
        return hasHelped
    }

    private func ringDone() { doneBell.ring(doneRings.wrappingAdd(1, ordering: .relaxed).newValue) }
}

/// Rows in the order in which they came, in memory of a fixed size.
private struct RowQueue {
    private var slots: [Int]
    private var first = 0
    private(set) var count = 0

    init(capacity: Int) { slots = Array(repeating: 0, count: capacity) }

    mutating func append(_ row: Int) {
        precondition(count < slots.count, "a row is stepped once at a time")
        slots[(first + count) % slots.count] = row
        count += 1
    }

    mutating func removeFirst() -> Int {
        defer {
            first = (first + 1) % slots.count
            count -= 1
        }
        return slots[first]
    }

    mutating func removeAll() { count = 0 }
}
