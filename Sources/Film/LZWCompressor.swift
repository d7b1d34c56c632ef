/// The variable-length LZW code of GIF: codes of up to 12 bits, packed from the lowest bit on, in blocks of up to 255
/// bytes.
struct LZWCompressor {
    private static let maxCode = 4095
    /// Entries of the hash table; a power of two well above the number of codes.
    private static let capacity = 16_384
    /// For each slot the string it stands for (code of its start, then a byte), or `empty`.
    private var keys = [UInt32](repeating: LZWCompressor.empty, count: LZWCompressor.capacity)
    private var codes = [UInt16](repeating: 0, count: LZWCompressor.capacity)
    private static let empty = UInt32.max

    /// Appends the compressed indices as a GIF holds them: the code's bits, the blocks, an empty block.
    ///
    /// - Parameter bits: bits of an index, from 2 to 8.
    mutating func compress(_ indices: [UInt8], bits: Int, into bytes: inout [UInt8]) {
        bytes.append(UInt8(bits))
        var packer = BitPacker()
        let clear = 1 << bits
        var width = bits + 1
        var next = clear + 2
        forget()
        packer.append(clear, width: width, to: &bytes)
        var prefix: Int?
        for index in indices {
            guard let start = prefix else {
                prefix = Int(index)
                continue
            }
            let key = UInt32(start) << 8 | UInt32(index)
            var slot = Int((key &* 2_654_435_761) >> 18)
            while keys[slot] != LZWCompressor.empty && keys[slot] != key {
                slot = (slot + 1) & (LZWCompressor.capacity - 1)
            }
            if keys[slot] == key {
                prefix = Int(codes[slot])
                continue
            }
            packer.append(start, width: width, to: &bytes)
            if next <= LZWCompressor.maxCode {
                keys[slot] = key
                codes[slot] = UInt16(next)
                // The reader learns a code one code later than the writer, so the width grows only now.
                if next == 1 << width { width += 1 }
                next += 1
            } else {
                packer.append(clear, width: width, to: &bytes)
                forget()
                width = bits + 1
                next = clear + 2
            }
            prefix = Int(index)
        }
        if let prefix { packer.append(prefix, width: width, to: &bytes) }
        // The reader has learnt one more code by now, which may widen the next one.
        if next == 1 << width && width < 12 { width += 1 }
        packer.append(clear + 1, width: width, to: &bytes)
        packer.finish(to: &bytes)
    }

    private mutating func forget() {
        for slot in keys.indices { keys[slot] = LZWCompressor.empty }
    }
}

/// Packs codes into blocks.
private struct BitPacker {
    private var pending: UInt32 = 0
    private var count = 0
    private var block: [UInt8] = []

    mutating func append(_ code: Int, width: Int, to bytes: inout [UInt8]) {
        pending |= UInt32(code) << UInt32(count)
        count += width
        while count >= 8 {
            block.append(UInt8(truncatingIfNeeded: pending))
            pending >>= 8
            count -= 8
            if block.count == 255 { flush(to: &bytes) }
        }
    }

    mutating func finish(to bytes: inout [UInt8]) {
        if count > 0 { block.append(UInt8(truncatingIfNeeded: pending)) }
        flush(to: &bytes)
        bytes.append(0)
    }

    private mutating func flush(to bytes: inout [UInt8]) {
        guard !block.isEmpty else { return }
        bytes.append(UInt8(block.count))
        bytes += block
        block.removeAll(keepingCapacity: true)
    }
}
