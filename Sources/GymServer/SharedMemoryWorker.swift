import Glibc
import GymProtocol
import Synchronization

/// The thread that answers a handle's doorbell.
final class SharedMemoryWorker {
    private let memory: SharedMemory
    private let state: State
    private let thread: WaitingThread

    /// What is shared with the thread, which does not hold on to the worker: its end is the thread's.
    private final class State: Sendable {
        let isStepping = Atomic(false)
        let isEnding = Atomic(false)
        let hasEnded = Atomic(false)
    }

    /// Seconds of a sleep at most, should the client have spoilt the word that says that somebody sleeps.
    private static let longestSleep = 1.0
    /// Microseconds between attempts to wake the thread: it may be about to sleep when it is told to end.
    private static let wakeInterval: UInt32 = 50

    /// Starts to answer.
    ///
    /// - Parameters:
    ///   - isCrowded: whether the last step was made on all processors.
    ///   - step: steps the handle's environments, and sends what has to be said on the socket.
    /// - Throws: ``ThreadError``.
    init(
        _ memory: SharedMemory, isCrowded: @escaping @Sendable () -> Bool,
        step: @escaping @Sendable (_ sequence: UInt32) -> SharedMemory.Status
    ) throws {
        let state = State()
        self.memory = memory
        self.state = state
        thread = try WaitingThread {
            var sequence: UInt32 = 0
            var spins = true
            while !state.isEnding.load(ordering: .acquiring) {
                let requested = memory.request.wait(
                    whileShowing: sequence, seconds: SharedMemoryWorker.longestSleep, spins: spins)
                guard requested != sequence else { continue }
                state.isStepping.store(true, ordering: .relaxed)
                sequence = requested
                memory.status = step(sequence)
                // A client that sleeps through steps and the thread that steps for it take turns: they need one processor
                // between them, and the others stay with those who step along. Were all to spin, the client would wait
                // for one of them to give up.
                let hasWoken = memory.response.ring(sequence)
                spins = !(hasWoken && isCrowded())
                state.isStepping.store(false, ordering: .relaxed)
            }
            // Whoever waits for a step that will not be made is told. Otherwise the answer to the last step stands: the
            // client may not have looked at it yet.
            let requested = memory.request.value
            if requested != sequence {
                memory.status = .closed
                memory.response.ring(requested)
            }
            state.hasEnded.store(true, ordering: .releasing)
        }
    }

    /// Lets a step in flight finish, and tells the client.
    deinit {
        state.isEnding.store(true, ordering: .releasing)
        while !state.hasEnded.load(ordering: .acquiring) {
            memory.request.wakeSleepers()
            usleep(SharedMemoryWorker.wakeInterval)
        }
        thread.join()
    }

    /// Whether a step is under way.
    var isStepping: Bool { state.isStepping.load(ordering: .relaxed) }
}
