import Glibc
import GymProtocol
import Synchronization

/// Answers a handle's doorbell, on a thread of the pool.
final class SharedMemoryWorker: PooledWork {
    /// Steps the handle's environments, sends what has to be said on the socket, and says whether the step was made on
    /// all processors.
    typealias Step = @Sendable (_ sequence: UInt32) -> (status: SharedMemory.Status, isCrowded: Bool)

    private let memory: SharedMemory
    private let step: Step
    private let stepping = Atomic(false)
    private let isEnding = Atomic(false)
    private let hasEnded = Atomic(false)

    /// Seconds of a sleep at most, should the client have spoilt the word that says that somebody sleeps.
    private static let longestSleep = 1.0
    /// Microseconds between attempts to wake the thread: it may be about to sleep when it is told to end.
    private static let wakeInterval: UInt32 = 50

    init(_ memory: SharedMemory, step: @escaping Step) {
        self.memory = memory
        self.step = step
    }

    /// Whether a step is under way.
    var isStepping: Bool { stepping.load(ordering: .relaxed) }

    /// Answers until ``end()``.
    func run() {
        var sequence: UInt32 = 0
        var spins = true
        while !isEnding.load(ordering: .acquiring) {
            let requested = memory.request.wait(
                whileShowing: sequence, seconds: SharedMemoryWorker.longestSleep, spins: spins)
            guard requested != sequence else { continue }
            stepping.store(true, ordering: .relaxed)
            sequence = requested
            let (status, isCrowded) = step(sequence)
            memory.status = status
            // A client that sleeps through steps and the thread that steps for it take turns: they need one processor
            // between them, and the others stay with those who step along. Were all to spin, the client would wait for
            // one of them to give up.
            let hasWoken = memory.response.ring(sequence)
            spins = !(hasWoken && isCrowded)
            stepping.store(false, ordering: .relaxed)
        }
        // Whoever waits for a step that will not be made is told. Otherwise the answer to the last step stands: the
        // client may not have looked at it yet.
        let requested = memory.request.value
        if requested != sequence {
            memory.status = .closed
            memory.response.ring(requested)
        }
        hasEnded.store(true, ordering: .releasing)
    }

    /// Lets a step in flight finish, and tells the client.
    func end() {
        isEnding.store(true, ordering: .releasing)
        while !hasEnded.load(ordering: .acquiring) {
            memory.request.wakeSleepers()
            usleep(SharedMemoryWorker.wakeInterval)
        }
    }
}
