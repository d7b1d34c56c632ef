internal import CSystemCalls
import Glibc

/// Shared memory as somebody sees it who keeps to nothing: bytes, anywhere.
package final class MappedMemory: @unchecked Sendable {
    // Checked: the pointer and the size never change, and what lies there is other processes' to change anyway; nothing
    // is ever read from it but single bytes and words.
    private let base: UnsafeMutableRawPointer
    /// Bytes of it.
    package let size: Int

    /// Where the words lie that the sides wait on (PROTOCOL.md, S4).
    package static let requestWord = 0
    /// The same, of the server's answer.
    package static let responseWord = 64
    /// More is not made, whatever a conversation says.
    private static let largest = 64 << 20

    /// Maps all that is behind a descriptor, which stays the caller's.
    package init?(descriptor: Int32) {
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_size >= 128 else { return nil }
        size = Int(status.st_size)
        guard let mapped = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0), mapped != MAP_FAILED
        else { return nil }
        base = mapped
    }

    deinit { munmap(base, size) }

    /// New memory, sealed, and its descriptor, which is the caller's.
    static func make(size: UInt32) -> (MappedMemory, descriptor: Int32)? {
        let descriptor = gym_sealed_memory("conversation", UInt64(min(max(Int(size), 128), largest)))
        guard descriptor >= 0 else { return nil }
        guard let memory = MappedMemory(descriptor: descriptor) else {
            close(descriptor)
            return nil
        }
        return (memory, descriptor)
    }

    /// All of it, as it is now.
    package var bytes: [UInt8] { Array(UnsafeRawBufferPointer(start: base, count: size)) }

    /// Writes as much as lies inside.
    package func write(_ bytes: [UInt8], at offset: Int) {
        guard offset < size else { return }
        let count = min(bytes.count, size - offset)
        bytes.withUnsafeBytes { source in
            // A word that somebody waits on is stored as one.
            if count == 4 && offset % 4 == 0 {
                gym_store(word(offset), source.loadUnaligned(as: UInt32.self))
            } else if count > 0 {
                memcpy(base + offset, source.baseAddress!, count)
            }
        }
    }

    /// Reads a word of the control block.
    package func load(_ offset: Int) -> UInt32 { gym_load(word(offset)) }

    /// Wakes whoever sleeps on a word.
    package func wake(_ offset: Int) { gym_futex_wake(word(offset)) }

    private func word(_ offset: Int) -> UnsafeMutablePointer<UInt32> {
        (base + offset).assumingMemoryBound(to: UInt32.self)
    }
}
