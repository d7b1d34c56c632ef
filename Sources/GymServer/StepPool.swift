import GymProtocol
import Synchronization

/// The threads that step large batches together, of the whole server.
///
/// They help: whoever wants rows stepped steps them too, and waits for nobody who has not begun. So no client's slow
/// environments keep another's waiting, even when all of these threads stand in them.
final class StepPool: Sendable {
    /// With fewer than a pool has threads, who spins is in the way of those who work.
    static let processors = Processors.count
    /// Looks, in about 30 µs, for the client to ask for the next step: twice what a wake-up costs. Longer keeps the
    /// client waiting where it was put on the processor of the thread that spins.
    private static let mostSpinsBetweenSteps = 1200

    /// How many threads there are, once any batch is large enough to be divided.
    let size: Int
    /// Rung when there is something to do, one for each thread. They spin for a moment before they sleep, because a batch
    /// that is divided is over in some hundred microseconds, of which two wake-ups by the kernel would be a good part.
    private let bells: [Doorbell]
    /// Threads that are not in an environment's step.
    private let free: Atomic<Int>

    private struct State {
        var threads: [WaitingThread] = []
        /// What threads may help with.
        var jobs: [StepJob] = []
        var isEnding = false
        /// How often threads were rung for.
        var rings: UInt32 = 0
    }

    private let state = Guarded(State())

    init(threads size: Int) {
        self.size = size
        bells = (0..<size).map { _ in Doorbell(mostSpins: StepPool.mostSpinsBetweenSteps) }
        free = Atomic(size)
    }

    /// Threads that have been started.
    var count: Int { state.withLock { $0.threads.count } }

    /// Whether a thread is at hand that is not in an environment's step.
    var hasFreeThread: Bool { free.load(ordering: .relaxed) > 0 }

    /// Starts the threads, unless there are some.
    ///
    /// - Throws: ``ThreadError``; those that could be started stay.
    func start() throws {
        try state.withLock { state in
            while state.threads.count < size {
                let thread = state.threads.count
                state.threads.append(try WaitingThread { [self] in help(as: thread) })
            }
        }
    }

    /// Ends the threads; nothing is under way any more.
    func end() {
        let threads = state.withLock { state in
            state.isEnding = true
            ring(size, &state)
            defer { state.threads = [] }
            return state.threads
        }
        for thread in threads { thread.join() }
    }

    /// Has threads help with a job.
    ///
    /// - Parameter count: how many are rung for, at the most.
    func offer(_ job: StepJob, to count: Int) {
        state.withLock { state in
            if !state.jobs.contains(where: { $0 === job }) { state.jobs.append(job) }
            ring(min(count, size), &state)
        }
    }

    /// Nothing of the job is left to be begun.
    func withdraw(_ job: StepJob) {
        state.withLock { state in
            if let index = state.jobs.firstIndex(where: { $0 === job }) { state.jobs.remove(at: index) }
        }
    }

    private func ring(_ count: Int, _ state: inout State) {
        state.rings &+= 1
        for bell in bells.prefix(count) { bell.ring(state.rings) }
    }

    /// Moves a thread that does not come to work.
    func move(_ thread: Int) {
        state.withLock { if thread < $0.threads.count { $0.threads[thread].moveElsewhere() } }
    }

    /// What a thread does until the pool ends.
    private func help(as thread: Int) {
        var patience = AdaptiveSpin(most: size <= StepPool.processors ? StepJob.mostSpins : 0)
        while true {
            // Read before looking around: what is rung after that ends the wait at once.
            let shown = bells[thread].value
            var last: StepJob?
            var hasHelped = true
            while hasHelped {
                hasHelped = false
                for job in state.withLock({ $0.jobs }) {
                    free.subtract(1, ordering: .relaxed)
                    if job.help(as: thread) { (last, hasHelped) = (job, true) }
                    free.add(1, ordering: .relaxed)
                }
            }
            if state.withLock({ $0.isEnding }) { return }
            // As long as others step what they have begun, the client sleeps and has no use for this processor.
            if let last { _ = patience.spin { last.isDone || bells[thread].value != shown } }
            last = nil
            _ = bells[thread].wait(whileShowing: shown)
        }
    }
}
