import Film
import Foundation
import Raster
import Testing

/// Just enough of a GIF reader to see what was written.
struct GIFReader {
    var frames: [Picture] = []
    /// Hundredths of a second that each frame stands.
    var delays: [Int] = []

    struct Broken: Error {}

    init(_ bytes: [UInt8]) throws {
        var position = 0
        func byte() throws -> Int {
            guard position < bytes.count else { throw Broken() }
            position += 1
            return Int(bytes[position - 1])
        }
        func word() throws -> Int { try byte() + 256 * byte() }
        guard bytes.starts(with: Array("GIF89a".utf8)) else { throw Broken() }
        position = 6
        let width = try word()
        let height = try word()
        position += 3
        var screen = Picture(width: width, height: height)
        while true {
            switch try byte() {
            case 0x21:
                if try byte() == 0xF9 {
                    position += 2
                    delays.append(try word())
                    position += 1
                } else {
                    position += try byte()
                }
                var length = try byte()
                while length > 0 {
                    position += length
                    length = try byte()
                }
            case 0x2C:
                let (x, y, columns, rows) = (try word(), try word(), try word(), try word())
                let count = 2 << (try byte() & 7)
                let palette = try (0..<count).map { _ in
                    Color(UInt8(try byte()), UInt8(try byte()), UInt8(try byte()))
                }
                let bits = try byte()
                var data: [UInt8] = []
                var length = try byte()
                while length > 0 {
                    guard position + length <= bytes.count else { throw Broken() }
                    data += bytes[position..<position + length]
                    position += length
                    length = try byte()
                }
                let indices = try GIFReader.expand(data, bits: bits)
                guard indices.count == columns * rows else { throw Broken() }
                screen.draw { canvas in
                    for (index, value) in indices.enumerated() {
                        canvas.set(x: x + index % columns, y: y + index / columns, palette[value])
                    }
                }
                frames.append(screen)
            case 0x3B: return
            default: throw Broken()
            }
        }
    }

    private static func expand(_ data: [UInt8], bits: Int) throws -> [Int] {
        let clear = 1 << bits
        var strings: [[Int]] = []
        var width = bits + 1
        var last: [Int]?
        var out: [Int] = []
        var position = 0
        func reset() {
            strings = (0..<clear).map { [$0] } + [[], []]
            width = bits + 1
            last = nil
        }
        reset()
        while position + width <= data.count * 8 {
            var code = 0
            for bit in 0..<width where data[(position + bit) / 8] >> ((position + bit) % 8) & 1 == 1 {
                code |= 1 << bit
            }
            position += width
            if code == clear {
                reset()
                continue
            }
            if code == clear + 1 { return out }
            let string: [Int]
            if code < strings.count {
                string = strings[code]
            } else if code == strings.count, let last {
                string = last + [last[0]]
            } else {
                throw Broken()
            }
            out += string
            if let last, strings.count < 4096 { strings.append(last + [string[0]]) }
            if strings.count == 1 << width && width < 12 { width += 1 }
            last = string
        }
        throw Broken()
    }
}

@Suite struct GIFTests {
    private func noise(_ width: Int, _ height: Int, colors: Int, seed: UInt64) -> Picture {
        var state = seed
        var bytes: [UInt8] = []
        for _ in 0..<width * height {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            let color = Int(state >> 33) % colors
            bytes += [UInt8(color & 0xFF), UInt8(color * 7 & 0xFF), UInt8(color >> 8)]
        }
        return Picture(width: width, height: height, bytes: bytes)
    }

    @Test(arguments: [1, 2, 3, 4, 5, 16, 17, 255, 256])
    func filmsOfFewColorsAreExact(colors: Int) throws {
        // Noise fills the code table many times over.
        let pictures = (0..<4).map { noise(97, 61, colors: colors, seed: UInt64($0 * 31 + 5)) }
        var encoder = GIFEncoder(width: 97, height: 61, framesPerSecond: 30)
        for picture in pictures { encoder.add(picture) }
        encoder.finish()
        let reader = try GIFReader(encoder.bytes)
        #expect(reader.frames == pictures)
        #expect(reader.delays == [3, 4, 3, 3])
    }

    @Test func onlyWhatChangedIsWritten() throws {
        var picture = Picture(width: 600, height: 400)
        var encoder = GIFEncoder(width: 600, height: 400, framesPerSecond: 50)
        var pictures: [Picture] = []
        for step in 0..<50 {
            picture.draw {
                $0.clear(.white)
                $0.fillCircle(center: Point(100 + Double(step / 2), 200), radius: 20, .black)
            }
            pictures.append(picture)
            encoder.add(picture)
        }
        encoder.finish()
        #expect(try GIFReader(encoder.bytes).frames == pictures)
        #expect(encoder.bytes.count < 60_000)
    }

    @Test func manyColorsAreReducedToNearOnes() throws {
        var bytes: [UInt8] = []
        for y in 0..<128 {
            for x in 0..<128 { bytes += [UInt8(2 * x), UInt8(2 * y), UInt8(x + y)] }
        }
        let picture = Picture(width: 128, height: 128, bytes: bytes)
        var encoder = GIFEncoder(width: 128, height: 128, framesPerSecond: 10)
        encoder.add(picture)
        encoder.finish()
        let shown = try GIFReader(encoder.bytes).frames[0]
        let errors = zip(shown.bytes, picture.bytes).map { abs(Int($0) - Int($1)) }
        #expect(errors.max()! <= 24)
        #expect(Double(errors.reduce(0, +)) / Double(errors.count) < 6)
    }

    @Test func recordersTakeTheKindFromTheName() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("film-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let file = folder.appendingPathComponent("film.GIF").path
        let recorder = try FilmRecorder(file: file, width: 8, height: 6, framesPerSecond: 20)
        let picture = noise(8, 6, colors: 9, seed: 1)
        try recorder.add(picture)
        #expect(throws: FilmError.self) { try recorder.add(Picture(width: 6, height: 8)) }
        try recorder.add(picture)
        try recorder.finish()
        let reader = try GIFReader(Array(Data(contentsOf: URL(fileURLWithPath: file))))
        #expect(reader.frames == [picture, picture])
        #expect(reader.delays == [5, 5])
        func message(_ name: String, width: Int = 8, fps: Double = 20) -> String {
            do {
                _ = try FilmRecorder(file: name, width: width, height: 6, framesPerSecond: fps)
                return ""
            } catch {
                return "\(error)"
            }
        }
        #expect(message("film.avi").contains(".gif or .mp4"))
        #expect(message("film").contains(".gif or .mp4"))
        #expect(message(folder.path + "/missing/film.gif").contains("cannot be written"))
        #expect(message(file, width: 0).contains("0×6"))
        #expect(message(file, fps: 0).contains("frames a second"))
    }
}
