internal import CProtobufC

/// Memory for one message at a time: handed out piece by piece, taken back all at once.
///
/// protobuf-c allocates every part of a message that it decodes. From an arena that costs a pointer's move, and nothing
/// at all is left to free; once the arena has grown to the size of a connection's usual messages, the heap is not
/// touched any more.
final class Arena {
    private struct Block {
        let start: UnsafeMutableRawPointer
        let size: Int
    }

    private var blocks: [Block] = []
    private var used = 0
    private var total = 0
    /// Bytes that were handed out and not taken back.
    var size: Int { total }
    /// The most that one message may take, so that a small frame cannot ask for a large amount of memory.
    var limit: Int

    /// protobuf-c's view of this arena.
    let allocator: UnsafeMutablePointer<ProtobufCAllocator>

    /// What is kept between messages; larger blocks go back to the heap.
    private static let keptBytes = 1 << 20

    /// The most that decoding a frame may take.
    ///
    /// protobuf-c turns two bytes of an empty part into over a hundred. So that every message within the default limits
    /// can be decoded (seeds for 65,536 environments are the worst, with some 10 MB out of 0.2), small ones are allowed
    /// a fixed amount, and large ones, which are mostly tensors, a multiple of their size.
    static func decodingLimit(bodySize: Int) -> Int { 16 * bodySize + (16 << 20) }

    init(limit: Int = .max) {
        self.limit = limit
        allocator = .allocate(capacity: 1)
        allocator.initialize(
            to: ProtobufCAllocator(
                alloc: { arena, size in
                    Unmanaged<Arena>.fromOpaque(arena!).takeUnretainedValue().allocate(size)
                },
                free: { _, _ in },
                allocator_data: nil))
        allocator.pointee.allocator_data = Unmanaged.passUnretained(self).toOpaque()
    }

    deinit {
        for block in blocks { block.start.deallocate() }
        allocator.deallocate()
    }

    /// Takes everything back.
    func reset() {
        if blocks.count > 1 || (blocks.first?.size ?? 0) > Arena.keptBytes {
            for block in blocks { block.start.deallocate() }
            let size = min(max(total, 4096), Arena.keptBytes)
            blocks = [Block(start: .allocate(byteCount: size, alignment: 16), size: size)]
        }
        used = 0
        total = 0
    }

    /// Memory of the given size, aligned to 16 bytes; `nil` past the limit.
    func allocate(_ size: Int) -> UnsafeMutableRawPointer? {
        let rounded = (size &+ 15) & ~15
        guard size >= 0, rounded >= size, rounded <= limit - total else { return nil }
        if blocks.isEmpty || used + rounded > blocks[blocks.count - 1].size {
            let blockSize = max(rounded, max(4096, 2 * (blocks.last?.size ?? 0)))
            blocks.append(Block(start: .allocate(byteCount: blockSize, alignment: 16), size: blockSize))
            used = 0
        }
        defer {
            used += rounded
            total += rounded
        }
        return blocks[blocks.count - 1].start + used
    }

    // MARK: Building messages

    /// An array of `count` elements, zeroed.
    func array<T>(_ type: T.Type, count: Int) -> UnsafeMutablePointer<T> {
        // What is counted here is in memory already: it cannot be too much to be counted in bytes.
        let bytes = max(count, 1) * MemoryLayout<T>.stride
        guard let memory = allocate(bytes) else { preconditionFailure("an arena for building has no limit") }
        memory.initializeMemory(as: UInt8.self, repeating: 0, count: bytes)
        return memory.assumingMemoryBound(to: type)
    }

    /// A message, initialised by protobuf-c's function for its type.
    func message<T>(_ initialize: (UnsafeMutablePointer<T>?) -> Void) -> UnsafeMutablePointer<T> {
        let message = array(T.self, count: 1)
        initialize(message)
        return message
    }

    /// A copy of a text, ended with a zero byte. U+0000 within it, which strings of the protocol cannot hold, is replaced.
    func string(_ text: String) -> UnsafeMutablePointer<CChar> {
        var text = text.utf8.contains(0) ? String(text.map { $0 == "\0" ? "\u{FFFD}" : $0 }) : text
        return text.withUTF8 { utf8 in
            let copy = array(CChar.self, count: utf8.count + 1)
            UnsafeMutableRawPointer(copy).copyMemory(
                from: UnsafeRawPointer(utf8.baseAddress ?? UnsafePointer(bitPattern: 1)!), byteCount: utf8.count)
            return copy
        }
    }

    /// A copy of bytes.
    func data(_ bytes: [UInt8]) -> ProtobufCBinaryData {
        let copy = array(UInt8.self, count: bytes.count)
        bytes.withUnsafeBytes { source in
            if let start = source.baseAddress {
                UnsafeMutableRawPointer(copy).copyMemory(from: start, byteCount: bytes.count)
            }
        }
        return ProtobufCBinaryData(len: bytes.count, data: copy)
    }

    /// An array of pointers to messages, as protobuf-c wants repeated ones.
    func pointers<T>(_ messages: [UnsafeMutablePointer<T>]) -> UnsafeMutablePointer<UnsafeMutablePointer<T>?> {
        let pointers = array(UnsafeMutablePointer<T>?.self, count: messages.count)
        for (index, message) in messages.enumerated() { pointers[index] = message }
        return pointers
    }

    /// An array of numbers.
    func numbers<Number: BitwiseCopyable>(_ values: [Number]) -> UnsafeMutablePointer<Number> {
        let numbers = array(Number.self, count: values.count)
        for (index, value) in values.enumerated() { numbers[index] = value }
        return numbers
    }
}
