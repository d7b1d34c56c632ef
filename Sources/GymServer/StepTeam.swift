import GymCore
import GymProtocol

/// Threads of a batch that step ranges of its rows beside each other.
///
/// A batch has a team of its own, so that no client's slow environments take the threads of another's. Nothing is
/// allocated for a range once the team is there.
final class StepTeam {
    /// Steps some rows; returns those that failed.
    typealias Work = @Sendable (_ rows: Range<Int>, _ target: StepBuffers) -> [EnvironmentFault]

    private let state: State
    private var threads: [WaitingThread] = []

    /// What the team's threads share. They hold on to this and not to the team, whose end is theirs.
    ///
    /// Threads wait at doorbells: they spin for a moment before they sleep, because a batch that is divided is over in
    /// some hundred microseconds, of which two wake-ups by the kernel would be a good part.
    private final class State: @unchecked Sendable {
        let monitor = Monitor()
        let work: Work
        /// Rung when there is something to do, one for each thread.
        let bells: [Doorbell]
        /// Rung when something is done.
        let doneBell = Doorbell()
        // Guarded by the monitor. Each row is in one place at most, so none of these outgrows the batch.
        var target: StepBuffers?
        var waiting: RangeQueue
        var done: RangeQueue
        var faults: [EnvironmentFault] = []
        var isEnding = false
        var rings: UInt32 = 0

        init(threads: Int, capacity: Int, work: @escaping Work) {
            self.work = work
            bells = (0..<threads).map { _ in Doorbell() }
            waiting = RangeQueue(capacity: capacity)
            done = RangeQueue(capacity: capacity)
        }

        deinit {
            waiting.deallocate()
            done.deallocate()
        }

        /// What the thread with this number does until the team ends.
        func run(_ thread: Int) {
            while true {
                // Read before looking around: what is rung after that ends the wait at once.
                let shown = bells[thread].value
                stepWaiting()
                if monitor.withLock({ isEnding }) { return }
                _ = bells[thread].wait(whileShowing: shown)
            }
        }

        /// Steps what nobody has begun to step.
        func stepWaiting() {
            while let (rows, target) = next() { step(rows, into: target) }
        }

        private func next() -> (Range<Int>, StepBuffers)? {
            monitor.withLock { isEnding || waiting.count == 0 ? nil : (waiting.removeFirst(), target!) }
        }

        func step(_ rows: Range<Int>, into target: StepBuffers) {
            let faults = work(rows, target)
            monitor.withLock {
                done.append(rows)
                if !faults.isEmpty { self.faults += faults }
                doneBell.ring(doneBell.value &+ 1)
            }
        }

        /// Wakes some of the threads; with the lock held, so that the bells' numbers go up one by one.
        func ring(_ count: Int) {
            rings &+= 1
            for bell in bells.prefix(count) { bell.ring(rings) }
        }

        /// Waits until so many ranges are done. Nobody else waits for that.
        func waitUntilDone(_ count: Int) {
            while true {
                let shown = doneBell.value
                if monitor.withLock({ done.count >= count }) { return }
                _ = doneBell.wait(whileShowing: shown)
            }
        }
    }

    /// Starts the threads.
    ///
    /// - Parameter capacity: the most ranges that are under way at a time.
    /// - Throws: ``ThreadError``.
    init(threads count: Int, capacity: Int, work: @escaping Work) throws {
        state = State(threads: count, capacity: capacity, work: work)
        for thread in 0..<count { threads.append(try WaitingThread { [state] in state.run(thread) }) }
    }

    /// Waits for steps that have begun; those that have not are not made.
    deinit {
        state.monitor.withLock {
            state.isEnding = true
            state.ring(state.bells.count)
        }
        for thread in threads { thread.join() }
    }

    /// Has the rows stepped as soon as a thread is free.
    ///
    /// - Parameter target: where results go; the same for all that are under way.
    func begin(_ rows: Range<Int>, into target: StepBuffers) {
        state.monitor.withLock {
            state.target = target
            state.waiting.append(rows)
            state.ring(state.bells.count)
        }
    }

    /// Takes the first `count` ranges that are done, in the order in which they became so; waits for them.
    func take(_ count: Int) -> (ranges: [Range<Int>], faults: [EnvironmentFault]) {
        state.waitUntilDone(count)
        return state.monitor.withLock {
            let ranges = (0..<count).map { _ in state.done.removeFirst() }
            let faults = state.faults.filter { fault in ranges.contains { $0.contains(fault.index) } }
            state.faults.removeAll { fault in ranges.contains { $0.contains(fault.index) } }
            return (ranges, faults)
        }
    }

    /// Steps rows in the given number of parts, on the caller's thread too; returns when all are done.
    ///
    /// - Precondition: nothing is pending.
    func stepAll(_ rows: Range<Int>, parts: Int, into target: StepBuffers) -> [EnvironmentFault] {
        func part(_ index: Int) -> Range<Int> {
            (rows.lowerBound + rows.count * index / parts)..<(rows.lowerBound + rows.count * (index + 1) / parts)
        }
        state.monitor.withLock {
            state.target = target
            for index in 1..<parts { state.waiting.append(part(index)) }
            state.ring(parts - 1)
        }
        state.step(part(0), into: target)
        // On a busy machine the others may not have come to theirs.
        state.stepWaiting()
        state.waitUntilDone(parts)
        return state.monitor.withLock {
            state.done.removeAll()
            defer { state.faults = [] }
            return state.faults.sorted { $0.index < $1.index }
        }
    }
}

/// Ranges in the order in which they came, in memory of a fixed size.
private struct RangeQueue {
    private let slots: UnsafeMutableBufferPointer<Range<Int>>
    private var first = 0
    private(set) var count = 0

    init(capacity: Int) {
        slots = .allocate(capacity: capacity)
        slots.initialize(repeating: 0..<0)
    }

    func deallocate() { slots.deallocate() }

    mutating func append(_ range: Range<Int>) {
        precondition(count < slots.count, "a row is stepped once at a time")
        slots[(first + count) % slots.count] = range
        count += 1
    }

    mutating func removeFirst() -> Range<Int> {
        defer {
            first = (first + 1) % slots.count
            count -= 1
        }
        return slots[first]
    }

    mutating func removeAll() { count = 0 }
}
