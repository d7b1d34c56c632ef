import GymCore
import GymProtocol
import Synchronization

/// The thread that answers a handle's doorbell.
final class SharedMemoryWorker: @unchecked Sendable {
    private let memory: SharedMemory
    private let isEnding = Atomic(false)
    private var thread: WaitingThread!

    /// Seconds between looks whether to end, should the client have spoilt the doorbell that says so.
    private static let checkInterval = 1.0

    /// Starts to answer.
    ///
    /// - Parameter step: steps the handle's environments, and sends what has to be said on the socket.
    /// - Throws: ``ThreadError``.
    init(_ memory: SharedMemory, step: @escaping @Sendable (_ sequence: UInt32) -> SharedMemory.Status) throws {
        self.memory = memory
        thread = try WaitingThread { [self] in
            var sequence: UInt32 = 0
            while !isEnding.load(ordering: .acquiring) {
                let requested = memory.request.wait(
                    whileShowing: sequence, seconds: SharedMemoryWorker.checkInterval)
                if isEnding.load(ordering: .acquiring) { break }
                guard requested != sequence else { continue }
                sequence = requested
                memory.status = step(sequence)
                memory.response.ring(sequence)
            }
            memory.status = .closed
            memory.response.ring(memory.response.value &+ 1)
        }
    }

    /// Lets a step in flight finish, tells the client, and ends.
    func end() {
        isEnding.store(true, ordering: .releasing)
        memory.request.wakeSleepers()
        thread.join()
    }
}
