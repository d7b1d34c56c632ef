import Foundation
import GymProtocol

/// Two threads that do one piece of work after the other together: the caller's, side 0, and one of the pair's, side 1.
///
/// Whoever comes first to where they meet spins for a moment and then sleeps, so that a busy machine gets the core. (Giving
/// the core away with `sched_yield` gives away a whole slice of time, and the wait comes to milliseconds.)
final class ThreadPair: Sendable {
    private let state: State

    /// What is shared with the thread, which does not hold on to the pair: its end is the thread's.
    private final class State: @unchecked Sendable {
        let work: @Sendable (_ side: Int) -> Void
        // Written by side 0 while side 1 waits.
        var hasThread = false
        var isEnding = false
        /// How often each side has come; each writes its own.
        private let meetings: UnsafeMutablePointer<UInt32>
        private let bells = (Doorbell(), Doorbell())

        init(work: @escaping @Sendable (_ side: Int) -> Void) {
            self.work = work
            meetings = .allocate(capacity: 2)
            meetings.initialize(repeating: 0, count: 2)
        }

        deinit { meetings.deallocate() }

        func meet(_ side: Int) {
            let (own, other) = side == 0 ? (bells.0, bells.1) : (bells.1, bells.0)
            let meeting = meetings[side] &+ 1
            meetings[side] = meeting
            own.ring(meeting)
            // The other may be on its way to the next meeting already.
            var shown = other.value
            while Int32(bitPattern: shown &- meeting) < 0 { shown = other.wait(whileShowing: shown) }
        }

        func serve() {
            while true {
                meet(1)
                if isEnding { return }
                work(1)
                meet(1)
            }
        }
    }

    /// - Parameter work: what each of the two does in a run; called on both threads at the same time.
    init(work: @escaping @Sendable (_ side: Int) -> Void) { state = State(work: work) }

    deinit {
        guard state.hasThread else { return }
        state.isEnding = true
        state.meet(0)
    }

    /// Does the work on both threads; returns when both are done.
    func run() {
        if !state.hasThread {
            state.hasThread = true
            let thread = Thread { [state] in state.serve() }
            thread.name = "learner"
            thread.stackSize = 1 << 20
            thread.start()
        }
        state.meet(0)
        state.work(0)
        state.meet(0)
    }

    /// Within the work: returns when the other side has come as far. Both have to call it equally often.
    func meet(_ side: Int) { state.meet(side) }
}
