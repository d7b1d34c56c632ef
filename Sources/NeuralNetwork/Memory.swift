import Glibc

/// Memory that vectors, matrices and rows look into, and keep alive: zeros at first, aligned to cache lines, and readable
/// up to a whole number of them.
///
/// Large memory takes no place before it is written to: room for a million transitions is asked for at once.
final class Memory: @unchecked Sendable {
    // Sendable: the address never changes. What lies there is written by one thread at a time, which is up to whoever
    // divides the work (``Workers``).
    private let allocation: UnsafeMutableRawPointer
    let base: UnsafeMutableRawPointer

    private static let line = 64

    init(byteCount: Int) {
        let size = max(1, byteCount) + 2 * Memory.line
        guard let allocation = calloc(1, size) else {
            fatalError("there is no memory for \(byteCount) bytes")
        }
        self.allocation = allocation
        base = UnsafeMutableRawPointer(
            bitPattern: (UInt(bitPattern: allocation) + UInt(Memory.line) - 1) & ~UInt(Memory.line - 1))!
    }

    deinit { free(allocation) }
}
