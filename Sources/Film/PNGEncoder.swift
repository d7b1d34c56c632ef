public import Raster

/// Writes a picture as PNG (RFC 2083): eight bits a channel, red, green, blue.
///
/// Each row is stored as its difference from the one above, so that what is drawn with lines and areas becomes mostly
/// zeros; runs of one byte are all that the compression looks for. That takes a chart to a few hundredths of its size
/// without a search for repetitions.
public enum PNGEncoder {
    /// The bytes of a file.
    public static func encode(_ picture: Picture) -> [UInt8] {
        var file: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]
        // Eight bits, colour type 2 (red, green, blue), deflate, adaptive filters, not interlaced.
        append(
            "IHDR", bigEndian(UInt32(picture.width)) + bigEndian(UInt32(picture.height)) + [8, 2, 0, 0, 0], to: &file)
        append("IDAT", zlib(filtered(picture)), to: &file)
        append("IEND", [], to: &file)
        return file
    }

    /// The rows, each after the number of its filter: 2, the difference from the row above.
    private static func filtered(_ picture: Picture) -> [UInt8] {
        let rowBytes = picture.width * 3
        var rows: [UInt8] = []
        rows.reserveCapacity((rowBytes + 1) * picture.height)
        for row in 0..<picture.height {
            rows.append(2)
            for index in row * rowBytes..<(row + 1) * rowBytes {
                rows.append(picture.bytes[index] &- (row == 0 ? 0 : picture.bytes[index - rowBytes]))
            }
        }
        return rows
    }

    private static func append(_ type: String, _ content: [UInt8], to file: inout [UInt8]) {
        let body = Array(type.utf8) + content
        file += bigEndian(UInt32(content.count)) + body + bigEndian(crc32(body))
    }

    /// A zlib stream (RFC 1950) of one deflate block with the fixed codes (RFC 1951).
    private static func zlib(_ bytes: [UInt8]) -> [UInt8] {
        // A window of 32 KiB, and the check bits of the two bytes together.
        var stream = BitWriter(bytes: [0x78, 0x01])
        // The last block; fixed codes.
        stream.write(1, bits: 1)
        stream.write(1, bits: 2)
        var index = 0
        while index < bytes.count {
            stream.write(literal: bytes[index])
            var run = 0
            while index + 1 + run < bytes.count, bytes[index + 1 + run] == bytes[index] { run += 1 }
            index += 1 + run
            while run >= 3 {
                // What is left after the longest repetition has to be none, or long enough for another.
                let length = run >= 258 ? (run - 258 == 1 || run - 258 == 2 ? 255 : 258) : run
                stream.write(repetition: length)
                run -= length
            }
            for _ in 0..<run { stream.write(literal: bytes[index - 1]) }
        }
        stream.write(symbol: 256)
        stream.flush()
        return stream.bytes + bigEndian(adler32(bytes))
    }

    private static func adler32(_ bytes: [UInt8]) -> UInt32 {
        var (a, b): (UInt32, UInt32) = (1, 0)
        for byte in bytes {
            a = (a + UInt32(byte)) % 65521
            b = (b + a) % 65521
        }
        return b << 16 | a
    }

    private static func crc32(_ bytes: [UInt8]) -> UInt32 {
        var crc = UInt32.max
        for byte in bytes { crc = crc >> 8 ^ crcTable[Int((crc ^ UInt32(byte)) & 0xFF)] }
        return ~crc
    }

    private static let crcTable: [UInt32] = (0..<256).map { byte in
        (0..<8).reduce(UInt32(byte)) { crc, _ in crc & 1 == 1 ? crc >> 1 ^ 0xEDB8_8320 : crc >> 1 }
    }

    private static func bigEndian(_ value: UInt32) -> [UInt8] {
        withUnsafeBytes(of: value.bigEndian) { Array($0) }
    }
}

/// Bits packed from the lowest of each byte on, as deflate wants them.
private struct BitWriter {
    var bytes: [UInt8]
    private var pending: UInt32 = 0
    private var count = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    mutating func write(_ value: UInt32, bits: Int) {
        pending |= value << UInt32(count)
        count += bits
        while count >= 8 {
            bytes.append(UInt8(truncatingIfNeeded: pending))
            pending >>= 8
            count -= 8
        }
    }

    mutating func flush() {
        if count > 0 { write(0, bits: 8 - count) }
    }

    mutating func write(literal: UInt8) { write(symbol: Int(literal)) }

    /// A symbol by its fixed code. Codes are packed from their highest bit on.
    mutating func write(symbol: Int) {
        let (code, length) =
            switch symbol {
            case 0...143: (0x30 + symbol, 8)
            case 144...255: (0x190 + symbol - 144, 9)
            case 256...279: (symbol - 256, 7)
            default: (0xC0 + symbol - 280, 8)
            }
        for bit in stride(from: length - 1, through: 0, by: -1) { write(UInt32(code >> bit & 1), bits: 1) }
    }

    /// The byte before, 3 to 258 times again.
    mutating func write(repetition length: Int) {
        if length == 258 {
            write(symbol: 285)
        } else {
            // Lengths from 3 on: groups of four symbols, each group with one bit more than the one before.
            var base = 3
            var symbol = 257
            var extra = 0
            while length >= base + 1 << extra {
                base += 1 << extra
                symbol += 1
                extra = max(0, (symbol - 261) / 4)
            }
            write(symbol: symbol)
            write(UInt32(length - base), bits: extra)
        }
        // A distance of 1: code 0 of five bits.
        write(0, bits: 5)
    }
}
