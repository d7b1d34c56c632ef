public import Raster

/// Writes an animated GIF, each frame as the part that changed with colors of its own.
///
/// Source: CompuServe, "Graphics Interchange Format, version 89a" (1990), and Netscape's extension for loops.
public struct GIFEncoder {
    /// The file so far; whole after ``finish()``.
    public private(set) var bytes: [UInt8] = []
    /// Pixels in a row.
    public let width: Int
    /// Rows.
    public let height: Int
    private let framesPerSecond: Double
    private var previous: Picture?
    private var frameCount = 0
    /// Hundredths of a second that the frames so far take.
    private var shownUntil = 0
    private var colors = ColorTable()
    private var compressor = LZWCompressor()

    /// Starts a file. It is played over and over.
    ///
    /// - Parameter framesPerSecond: at most 50; players show faster ones slowly, so frames are timed to that.
    /// - Precondition: width and height are from 1 to 65,535.
    public init(width: Int, height: Int, framesPerSecond: Double) {
        precondition(
            (1...0xFFFF).contains(width) && (1...0xFFFF).contains(height), "a GIF has 1 to 65,535 pixels a side")
        self.width = width
        self.height = height
        self.framesPerSecond = min(max(framesPerSecond, 0.1), 50)
        bytes += Array("GIF89a".utf8)
        append(UInt16(width))
        append(UInt16(height))
        // No common color table.
        bytes += [0x70, 0, 0]
        bytes += [0x21, 0xFF, 11] + Array("NETSCAPE2.0".utf8) + [3, 1, 0, 0, 0]
    }

    /// Adds a frame.
    ///
    /// - Precondition: the picture has the film's size.
    public mutating func add(_ picture: Picture) {
        precondition(picture.width == width && picture.height == height, "frames of a film have one size")
        frameCount += 1
        // Times are whole hundredths; what one frame loses the next one gets.
        let end = Int((Double(frameCount) * 100 / framesPerSecond).rounded())
        let area = changedArea(picture)
        bytes += [0x21, 0xF9, 4, 0x04]
        append(UInt16(min(end - shownUntil, 0xFFFF)))
        bytes += [0, 0]
        shownUntil = end
        bytes.append(0x2C)
        append(UInt16(area.x))
        append(UInt16(area.y))
        append(UInt16(area.width))
        append(UInt16(area.height))
        let indices = colors.index(picture, x: area.x, y: area.y, width: area.width, height: area.height)
        let bits = colors.bits
        bytes.append(0x80 | UInt8(bits - 1))
        for index in 0..<1 << bits {
            let color = index < colors.palette.count ? colors.palette[index] : .black
            bytes += [color.red, color.green, color.blue]
        }
        compressor.compress(indices, bits: max(bits, 2), into: &bytes)
        previous = picture
    }

    /// Ends the file.
    public mutating func finish() { bytes.append(0x3B) }

    private mutating func append(_ number: UInt16) {
        bytes.append(UInt8(truncatingIfNeeded: number))
        bytes.append(UInt8(truncatingIfNeeded: number >> 8))
    }

    /// The smallest rectangle that holds all changed pixels; one pixel when nothing changed.
    private func changedArea(_ picture: Picture) -> (x: Int, y: Int, width: Int, height: Int) {
        guard let previous else { return (0, 0, width, height) }
        var (left, right, top, bottom) = (width, -1, height, -1)
        picture.bytes.withUnsafeBufferPointer { new in
            previous.bytes.withUnsafeBufferPointer { old in
                for y in 0..<height {
                    let row = y * width * 3
                    var first = 0
                    while first < width * 3 && new[row + first] == old[row + first] { first += 1 }
                    guard first < width * 3 else { continue }
                    var last = width * 3 - 1
                    while new[row + last] == old[row + last] { last -= 1 }
                    left = min(left, first / 3)
                    right = max(right, last / 3)
                    top = min(top, y)
                    bottom = y
                }
            }
        }
        return bottom < 0 ? (0, 0, 1, 1) : (left, top, right - left + 1, bottom - top + 1)
    }
}
