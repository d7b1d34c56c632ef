import GymCore
import GymProtocol
import Synchronization

/// Threads of a batch that step ranges of its rows beside each other.
///
/// A batch has a team of its own, so that no client's slow environments take the threads of another's. Nothing is
/// allocated for a range once the team is there.
final class StepTeam {
    /// Steps some rows; returns those that failed.
    typealias Work = @Sendable (_ rows: Range<Int>, _ target: StepBuffers) -> [EnvironmentFault]

    /// Looks, in about 200 µs, for others to finish what they have begun. Shorter, and threads sleep in the middle of a
    /// step because one got the environments that take longest.
    private static let mostSpinsInStep = 8000
    /// Looks, in about 30 µs, for the client to ask for the next step: twice what a wake-up costs. Longer keeps the
    /// client waiting where it was put on the processor of the thread that spins.
    private static let mostSpinsBetweenSteps = 1200

    /// With fewer than a team has threads, who spins is in the way of those who work.
    static let processors = Processors.count

    private let state: State
    private var threads: [WaitingThread] = []
    /// How often each thread had taken rows by the end of the last step, and the steps since it last took any.
    private var attendance: [(takes: UInt32, missed: Int)]

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
        let doneBell: Doorbell
        /// How often it was rung. Each ring shows another number, or who waits could take two for none.
        private let doneRings = Atomic<UInt32>(0)
        /// The rows of a step that threads take together.
        let share: RowShare
        private let mostSpinsInStep: Int
        /// How many of them are not done yet.
        private let remaining = Atomic(0)
        /// Where results go. It changes only while no rows are to be had: who has got some may look at it.
        var target: StepBuffers?
        // Guarded by the monitor. Each row is in one place at most, so none of these outgrows the batch.
        var waiting: RangeQueue
        var done: RangeQueue
        var faults: [EnvironmentFault] = []
        var isEnding = false
        /// How often some threads were rung for, by the one who gives them work.
        var rings: UInt32 = 0

        init(threads: Int, capacity: Int, groupSize: Int, work: @escaping Work) {
            self.work = work
            mostSpinsInStep = threads <= StepTeam.processors ? StepTeam.mostSpinsInStep : 0
            doneBell = Doorbell(mostSpins: mostSpinsInStep)
            bells = (0..<threads).map { _ in Doorbell(mostSpins: StepTeam.mostSpinsBetweenSteps) }
            share = RowShare(threads: threads + 1, groupSize: groupSize)
            waiting = RangeQueue(capacity: capacity)
            done = RangeQueue(capacity: capacity)
        }

        deinit {
            waiting.deallocate()
            done.deallocate()
        }

        /// What the thread with this number does until the team ends.
        func run(_ thread: Int) {
            var patience = AdaptiveSpin(most: mostSpinsInStep)
            while true {
                // Read before looking around: what is rung after that ends the wait at once.
                let shown = bells[thread].value
                stepShare(ofThread: thread + 1)
                stepWaiting()
                if monitor.withLock({ isEnding }) { return }
                // As long as others step what they have begun, the client sleeps and has no use for this processor.
                _ = patience.spin { remaining.load(ordering: .relaxed) == 0 || bells[thread].value != shown }
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
            }
            ringDone()
        }

        private func ringDone() {
            doneBell.ring(doneRings.wrappingAdd(1, ordering: .relaxed).newValue)
        }

        /// Hands rows out to the caller, as thread 0 of the share, and to some of the threads.
        func begin(_ rows: Range<Int>, parts: Int, into target: StepBuffers) {
            // Whoever takes rows sees these.
            self.target = target
            remaining.store(rows.count, ordering: .relaxed)
            share.share(rows, among: parts)
            ring(parts - 1)
        }

        /// Steps what is left to take, under a thread's number in the share.
        func stepShare(ofThread thread: Int) {
            while let rows = share.take(thread) {
                let faults = work(rows, target!)
                if !faults.isEmpty { monitor.withLock { self.faults += faults } }
                if remaining.subtract(rows.count, ordering: .acquiringAndReleasing).newValue == 0 { ringDone() }
            }
        }

        /// Waits until all that was handed out is done.
        func waitUntilShareIsDone() {
            while true {
                let shown = doneBell.value
                if remaining.load(ordering: .acquiring) == 0 { return }
                _ = doneBell.wait(whileShowing: shown)
            }
        }

        /// Wakes some of the threads.
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
    /// - Parameters:
    ///   - capacity: the most ranges that are under way at a time.
    ///   - groupSize: rows that are best stepped together.
    /// - Throws: ``ThreadError``.
    init(threads count: Int, capacity: Int, groupSize: Int, work: @escaping Work) throws {
        state = State(threads: count, capacity: capacity, groupSize: groupSize, work: work)
        attendance = Array(repeating: (0, 0), count: count)
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
        state.begin(rows, parts: parts, into: target)
        // On a busy machine the others may not come before all is done.
        state.stepShare(ofThread: 0)
        state.waitUntilShareIsDone()
        noteAttendance(ofThreads: parts - 1)
        return state.monitor.withLock {
            defer { state.faults = [] }
            return state.faults.sorted { $0.index < $1.index }
        }
    }

    /// Moves threads that do not come to work.
    ///
    /// A scheduler that finds no idle processor has a thread wait for the one that woke it, even where another runs
    /// nothing but work of the lowest priority. Then one of two threads steps everything while the other waits for it.
    private func noteAttendance(ofThreads count: Int) {
        for thread in 0..<count {
            let takes = state.share.takes(of: thread + 1)
            attendance[thread].missed = takes == attendance[thread].takes ? attendance[thread].missed + 1 : 0
            attendance[thread].takes = takes
            let missed = attendance[thread].missed
            // Ever more seldom, where it is of no use.
            if missed > 1 && missed & (missed - 1) == 0 { threads[thread].moveElsewhere() }
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
}
