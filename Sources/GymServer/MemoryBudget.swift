import GymProtocol
import Synchronization

/// How much memory is in use for a connection, or for all, and how much may be.
final class MemoryBudget: Sendable {
    /// Bytes there may be; `Int.max`: any number.
    let limit: Int
    private let bytes = Atomic(0)
    /// That of all connections together, which is held to as well.
    private let whole: MemoryBudget?

    init(limit: Int, within whole: MemoryBudget? = nil) {
        self.limit = limit
        self.whole = whole
    }

    /// Bytes in use.
    var used: Int { bytes.load(ordering: .relaxed) }

    /// Bytes that may still be taken.
    var available: Int { max(min(limit - used, whole?.available ?? .max), 0) }

    /// Takes so many bytes, when there are so many left.
    ///
    /// - Returns: whether they were taken.
    func take(_ count: Int) -> Bool {
        let (now, overflow) = bytes.load(ordering: .relaxed).addingReportingOverflow(count)
        guard !overflow, now <= limit, bytes.add(count, ordering: .relaxed).newValue <= limit else {
            if !overflow && now <= limit { bytes.subtract(count, ordering: .relaxed) }
            return false
        }
        if let whole, !whole.take(count) {
            bytes.subtract(count, ordering: .relaxed)
            return false
        }
        return true
    }

    /// Counts what has been taken already, limit or not.
    func note(_ count: Int) {
        bytes.add(count, ordering: .relaxed)
        whole?.note(count)
    }

    /// Gives bytes back.
    func give(_ count: Int) {
        bytes.subtract(count, ordering: .relaxed)
        whole?.give(count)
    }
}

/// What an answer takes that is put together piece by piece: nothing is built that could not be sent.
struct ReplyBudget: ~Copyable {
    private let mostBytes: Int
    private let memory: MemoryBudget
    private var bytes = 0

    init(mostBytes: Int, memory: MemoryBudget) {
        self.mostBytes = mostBytes
        self.memory = memory
    }

    deinit { memory.give(bytes) }

    /// Takes so many bytes more.
    ///
    /// - Throws: ``WireError`` when there are more than may be sent, or than the connection may have the server keep.
    mutating func add(_ count: Int) throws {
        guard count <= mostBytes - bytes else {
            throw WireError(
                .responseTooLarge,
                "the answer takes more than \(mostBytes) bytes, the most of a frame on this connection")
        }
        guard memory.take(count) else {
            throw WireError(
                .limitExceeded, "the answer takes more memory than the connection has left",
                details: [.init(field: "memory_bytes", expected: "at most \(memory.limit)")])
        }
        bytes += count
    }
}
