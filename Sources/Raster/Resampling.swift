/// Turns colors into gray by the weights of ITU-R BT.601, as video encoders and image libraries do.
///
/// - Parameters:
///   - colors: `count` pixels of three bytes.
///   - gray: `count` bytes, written.
public func grayscale(_ colors: UnsafePointer<UInt8>, into gray: UnsafeMutablePointer<UInt8>, count: Int) {
    for index in 0..<max(count, 0) {
        let pixel = colors + 3 * index
        // 0.299, 0.587 and 0.114 in units of 2⁻¹⁶, rounded.
        let sum = 19595 * UInt32(pixel[0]) + 38470 * UInt32(pixel[1]) + 7471 * UInt32(pixel[2]) + 32768
        gray[index] = UInt8(sum >> 16)
    }
}

/// Shrinks pictures: each new pixel is the mean of the area of the old picture that it covers.
///
/// The weights are prepared once. As OpenCV's `INTER_AREA`, which Gymnasium's Atari preprocessing uses, it computes in
/// float32 and rounds halves to even.
public struct AreaResize: Sendable {
    private struct Axis: Sendable {
        /// The first old pixel that each new one covers.
        var starts: [Int32] = []
        /// Where its weights begin in `weights`; one more than there are new pixels.
        var offsets: [Int32] = [0]
        var weights: [Float] = []

        init(from old: Int, to new: Int) {
            let scale = Double(old) / Double(new)
            for index in 0..<new {
                let low = Double(index) * scale
                let high = min(low + scale, Double(old))
                let first = Int(low)
                let last = min(Int(high.rounded(.up)), old) - 1
                starts.append(Int32(first))
                for pixel in first...max(first, last) {
                    let covered = min(Double(pixel + 1), high) - max(Double(pixel), low)
                    // Less than a thousandth of a pixel is rounding error of `scale`.
                    weights.append(covered > 1e-3 ? Float(covered / (high - low)) : 0)
                }
                offsets.append(Int32(weights.count))
            }
        }
    }

    private let oldWidth: Int
    private let oldHeight: Int
    private let newWidth: Int
    private let newHeight: Int
    private let channels: Int
    private let columns: Axis
    private let rows: Axis

    /// Weights for a change of size.
    ///
    /// - Precondition: the new size is at least 1×1 and in no direction larger than the old one.
    public init(from old: (width: Int, height: Int), to new: (width: Int, height: Int), channels: Int = 1) {
        precondition(
            new.width >= 1 && new.height >= 1 && new.width <= old.width && new.height <= old.height,
            "area resizing shrinks")
        oldWidth = old.width
        oldHeight = old.height
        newWidth = new.width
        newHeight = new.height
        self.channels = channels
        columns = Axis(from: old.width, to: new.width)
        rows = Axis(from: old.height, to: new.height)
    }

    /// Shrinks a whole picture.
    public func apply(_ source: UnsafePointer<UInt8>, into target: UnsafeMutablePointer<UInt8>) {
        apply(source, into: target, columns: 0..<newWidth, rows: 0..<newHeight)
    }

    /// Computes the given new pixels only.
    ///
    /// - Precondition: they are inside the new picture.
    public func apply(
        _ source: UnsafePointer<UInt8>, into target: UnsafeMutablePointer<UInt8>, columns newColumns: Range<Int>,
        rows newRows: Range<Int>
    ) {
        columns.weights.withUnsafeBufferPointer { columnWeights in
            rows.weights.withUnsafeBufferPointer { rowWeights in
                for y in newRows {
                    let rowStart = Int(rows.starts[y])
                    let rowOffset = Int(rows.offsets[y])
                    let rowCount = Int(rows.offsets[y + 1]) - rowOffset
                    for x in newColumns {
                        let columnOffset = Int(columns.offsets[x])
                        let columnCount = Int(columns.offsets[x + 1]) - columnOffset
                        for channel in 0..<channels {
                            var corner =
                                source + (rowStart * oldWidth + Int(columns.starts[x])) * channels + channel
                            var sum: Float = 0
                            for row in 0..<rowCount {
                                var line: Float = 0
                                for column in 0..<columnCount {
                                    line += Float(corner[column * channels]) * columnWeights[columnOffset + column]
                                }
                                sum += line * rowWeights[rowOffset + row]
                                corner += oldWidth * channels
                            }
                            target[(y * newWidth + x) * channels + channel] = UInt8(
                                min(max(sum.rounded(.toNearestOrEven), 0), 255))
                        }
                    }
                }
            }
        }
    }

    /// The new pixels that cover any of the old ones in a rectangle.
    public func covering(x: Int, y: Int, width: Int, height: Int) -> (columns: Range<Int>, rows: Range<Int>) {
        (
            AreaResize.covering(x, width, from: oldWidth, to: newWidth),
            AreaResize.covering(y, height, from: oldHeight, to: newHeight)
        )
    }

    private static func covering(_ start: Int, _ count: Int, from old: Int, to new: Int) -> Range<Int> {
        let low = min(max(start, 0), old)
        let high = min(max(start.addingClipped(count), low), old)
        guard low < high else { return 0..<0 }
        return low * new / old..<min((high * new + old - 1) / old, new)
    }
}
