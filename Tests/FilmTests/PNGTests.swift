import Film
import Foundation
import Raster
import TestSupport
import Testing

@Suite struct PNGTests {
    /// Pictures that force every length of repetition, literals above 143, and none.
    private static let pictures: [Picture] = {
        var runs: [UInt8] = []
        // Differences from the row above (none in the first row): runs of 1 to 600 of changing bytes.
        for length in [
            1, 2, 3, 4, 10, 11, 18, 19, 34, 35, 66, 67, 114, 115, 130, 131, 227, 257, 258, 259, 260, 261, 600,
        ] {
            runs += [UInt8](repeating: UInt8(truncatingIfNeeded: length * 37), count: length)
        }
        while runs.count % 3 != 0 { runs.append(7) }
        var drawn = Picture(width: 64, height: 40)
        drawn.draw { $0.line(from: Point(1, 2), to: Point(60, 37), width: 3, Color(200, 10, 90)) }
        return [
            Picture(width: 1, height: 1, Color(1, 2, 3)), Picture(width: 300, height: 200),
            Picture(width: runs.count / 3, height: 1, bytes: runs), drawn,
            Picture(
                width: 16, height: 16, bytes: (0..<768).map { UInt8(truncatingIfNeeded: $0 &* $0 &* 31 &+ $0 / 7) }),
        ]
    }()

    /// Python's zlib reads what was written, checks its sums, and gives the picture back.
    @Test(arguments: pictures) func readersGetThePictureBack(picture: Picture) throws {
        let folder = try temporaryFolder()
        defer { try? FileManager.default.removeItem(at: folder) }
        let file = folder.appendingPathComponent("picture.png").path
        try Data(PNGEncoder.encode(picture)).write(to: URL(fileURLWithPath: file))
        let script = """
            import struct, sys, zlib
            data = open(sys.argv[1], "rb").read()
            assert data[:8] == b"\\x89PNG\\r\\n\\x1a\\n"
            at, kinds = 8, []
            while at < len(data):
                size, kind = struct.unpack(">I4s", data[at:at + 8])
                body = data[at + 8:at + 8 + size]
                assert struct.unpack(">I", data[at + 8 + size:at + 12 + size])[0] == zlib.crc32(kind + body), kind
                kinds.append(kind)
                if kind == b"IHDR": width, height, depth, color = struct.unpack(">IIBB", body[:10])
                if kind == b"IDAT": rows = zlib.decompress(body)
                at += 12 + size
            assert kinds == [b"IHDR", b"IDAT", b"IEND"] and (depth, color) == (8, 2)
            above, out = bytes(3 * width), []
            for y in range(height):
                row = rows[y * (3 * width + 1):(y + 1) * (3 * width + 1)]
                assert row[0] == 2
                above = bytes((a + b) & 255 for a, b in zip(above, row[1:]))
                out.append(above)
            assert len(rows) == height * (3 * width + 1)
            print(width, height, b"".join(out).hex())
            """
        let process = try RunningProcess(["python3", "-c", script, file]).finish()
        let expected =
            "\(picture.width) \(picture.height) " + picture.bytes.map { String(format: "%02x", $0) }.joined() + "\n"
        #expect(process.output == expected, "\(process.errors)")
    }

    @Test func chartsBecomeSmall() {
        #expect(PNGEncoder.encode(Picture(width: 800, height: 500)).count < 20_000)
    }
}
