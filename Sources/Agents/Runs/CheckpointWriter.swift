import Foundation
import GymCore
import RunFiles

/// Writes a run's checkpoints while the run goes on.
///
/// What is saved is copied at once, piece by piece, and a thread of its own computes the checksum and writes. The run
/// waits only for a part of a state that is larger than ``mostBytes``, and for a checkpoint before that is not on the disk
/// yet.
package final class CheckpointWriter {
    private let folder: CheckpointFolder
    private var pending: Job?
    /// Called on the writing thread before a file is begun, for tests of what goes on meanwhile.
    package var willWrite: @Sendable () -> Void = {}

    /// Bytes that wait for the disk: a replay buffer of a million transitions of a walker, but not one of a million
    /// pictures.
    private static let mostBytes = 256 << 20

    package init(_ folder: CheckpointFolder) { self.folder = folder }

    /// Pieces from the thread of the run to the one that writes.
    private final class Job: @unchecked Sendable {
        private let condition = NSCondition()
        private var pieces: [[UInt8]] = []
        private var bytes = 0
        private var isWhole = false
        private var result: Result<Void, any Error>?

        /// Waits for room. After a failure there is always room, as nothing is kept.
        func add(_ piece: UnsafeRawBufferPointer) {
            let copy = [UInt8](piece)
            condition.withLock {
                while bytes >= CheckpointWriter.mostBytes && result == nil { condition.wait() }
                if result != nil { return }
                pieces.append(copy)
                bytes += copy.count
                condition.broadcast()
            }
        }

        func end() {
            condition.withLock {
                isWhole = true
                condition.broadcast()
            }
        }

        /// The next piece; `nil` after the last.
        func next() -> [UInt8]? {
            condition.withLock {
                while pieces.isEmpty && !isWhole { condition.wait() }
                if pieces.isEmpty { return nil }
                let piece = pieces.removeFirst()
                bytes -= piece.count
                condition.broadcast()
                return piece
            }
        }

        func finish(_ result: Result<Void, any Error>) {
            condition.withLock {
                self.result = result
                pieces = []
                condition.broadcast()
            }
        }

        /// What came of it, if it is done.
        var outcome: Result<Void, any Error>? { condition.withLock { result } }

        func wait() throws {
            condition.lock()
            defer { condition.unlock() }
            while result == nil { condition.wait() }
            try result!.get()
        }
    }

    /// Saves a checkpoint and has it written.
    ///
    /// - Parameter before: called on the writing thread before the file is there under its name.
    /// - Returns: the path that it will be under.
    /// - Throws: what the checkpoint before it failed with.
    package func write(_ checkpoint: Checkpoint, before: @escaping @Sendable () -> Void) throws -> String {
        try wait()
        let job = Job()
        let (folder, steps, willWrite) = (folder, checkpoint.steps, willWrite)
        let thread = Thread {
            willWrite()
            job.finish(
                Result {
                    try folder.write(steps: steps) {
                        let piece = job.next()
                        if piece == nil { before() }
                        return piece
                    }
                })
        }
        thread.name = "checkpoint"
        thread.start()
        pending = job
        var writer = StateWriter { job.add($0) }
        checkpoint.write(to: &writer)
        writer.flush()
        job.end()
        return folder.file(steps)
    }

    /// - Throws: what a checkpoint failed with, when that is known.
    package func check() throws { try pending?.outcome?.get() }

    /// Waits until the last checkpoint is on the disk.
    ///
    /// - Throws: what it failed with.
    package func wait() throws { try pending?.wait() }
}
