import GymCore
import NeuralNetwork

/// Turns observations into the rows that a network takes in: boxes flat, discrete ones one-hot, dictionaries and tuples
/// one after the other, as floats. Bytes of images are divided by 255.
///
/// A row of one box of bytes may stay bytes, which take a quarter of the memory; the network scales them. A row may be
/// a stack of an episode's last frames, the newest last, with zeros before the first.
public struct ObservationEncoder: Sendable {
    private enum Part: Sendable {
        /// Numbers as they are.
        case numbers(leaf: Int, dtype: DType, count: Int, scale: Float)
        /// Integers one-hot: element i from `starts[i]`, among `counts[i]`.
        case choices(leaf: Int, counts: [Int], starts: [Int])
    }

    private let parts: [Part]
    /// The numbers of one frame.
    private let frameSize: Int
    /// The frames of a row.
    public let frames: Int
    /// How rows lie in memory.
    public let format: InputFormat
    /// The numbers of a row.
    public var size: Int { format.count }
    /// The bytes of one frame.
    var frameBytes: Int { frameSize * format.element.size }

    /// An encoder for a space.
    ///
    /// - Parameters:
    ///   - keepsBytes: whether rows of a box of bytes are bytes.
    ///   - frames: the frames that are stacked in a row.
    /// - Throws: ``UnsupportedSpaceError`` when a part of the space has no fixed size.
    public init(_ space: Space, keepsBytes: Bool = false, frames: Int = 1) throws {
        var parts: [Part] = []
        var size = 0
        for (index, leaf) in space.leaves.enumerated() {
            switch leaf.space {
            case .box(let box):
                let count = Tensor.count(of: box.shape)
                let isImage = box.dtype == .uint8 && box.shape.count >= 2
                parts.append(.numbers(leaf: index, dtype: box.dtype, count: count, scale: isImage ? 1 / 255 : 1))
                size += count
            case .multiBinary(let shape):
                let count = Tensor.count(of: shape)
                parts.append(.numbers(leaf: index, dtype: .int8, count: count, scale: 1))
                size += count
            case .discrete(let count, let start):
                parts.append(.choices(leaf: index, counts: [count], starts: [start]))
                size += count
            case .multiDiscrete(let counts, let starts, _):
                parts.append(.choices(leaf: index, counts: counts, starts: starts))
                size += counts.reduce(0, +)
            default:
                throw UnsupportedSpaceError(
                    "observations from \(leaf.space.typeName) spaces have no fixed size; a network takes Box, "
                        + "Discrete, MultiDiscrete, MultiBinary, and Dict or Tuple of them")
            }
        }
        self.parts = parts
        self.frames = frames
        frameSize = size
        if keepsBytes, case .numbers(_, .uint8, _, let scale)? = parts.first, parts.count == 1 {
            format = InputFormat(.uint8, count: frames * size, scale: scale)
        } else if keepsBytes, case .numbers(_, .int8, _, let scale)? = parts.first, parts.count == 1 {
            format = InputFormat(.int8, count: frames * size, scale: scale)
        } else {
            format = InputFormat(.float32, count: frames * size)
        }
    }

    /// What the numbers of an observation are multiplied by, when it is one array of numbers and nothing else.
    var factor: Float? {
        guard parts.count == 1, case .numbers(_, _, _, let scale) = parts[0] else { return nil }
        return scale
    }

    /// Writes the given rows of a batch.
    ///
    /// - Parameters:
    ///   - previous: for a position among the rows, the row that its episode had a step before, `nil` at an episode's
    ///     start; only asked for when frames are stacked. It may lie where the new one goes.
    ///   - output: (rows, ``format``).
    public func encode(
        _ batch: BatchBuffer, rows: Range<Int>, into output: UnsafeMutableRawPointer,
        after previous: (Int) -> UnsafeRawPointer?
    ) {
        if frames == 1 {
            encodeFrames(batch, rows: rows, into: output)
            return
        }
        let older = format.rowBytes - frameBytes
        for (position, row) in rows.enumerated() {
            let target = output + position * format.rowBytes
            if let previous = previous(position) {
                target.copyMemory(from: previous + frameBytes, byteCount: older)
            } else {
                target.initializeMemory(as: UInt8.self, repeating: 0, count: older)
            }
            encodeFrames(batch, rows: row..<row + 1, into: target + older)
        }
    }

    /// Writes the newest frame of each of the given rows, one after the other.
    func encodeFrames(_ batch: BatchBuffer, rows: Range<Int>, into output: UnsafeMutableRawPointer) {
        if format.element == .float32 {
            encode(batch, rows: rows, into: output.assumingMemoryBound(to: Float.self))
            return
        }
        guard case .numbers(let leaf, _, let count, _) = parts[0] else { return }
        let source = batch.columns[leaf]
        for (position, row) in rows.enumerated() {
            (output + position * count).copyMemory(from: source.base! + row * source.rowBytes, byteCount: count)
        }
    }

    /// Writes the newest frame of the given rows as floats, (rows, frame).
    public func encode(_ batch: BatchBuffer, rows: Range<Int>, into output: UnsafeMutablePointer<Float>) {
        var column = 0
        for part in parts {
            switch part {
            case .numbers(let leaf, .float32, let count, 1) where count == frameSize:
                let source = batch.elements(ofLeaf: leaf, as: Float.self).baseAddress!
                output.update(from: source + rows.lowerBound * count, count: rows.count * count)
                column += count
            case .numbers(let leaf, let dtype, let count, let scale):
                let source = batch.columns[leaf]
                for (position, row) in rows.enumerated() {
                    let memory = UnsafeRawPointer(source.base! + row * source.rowBytes)
                    let target = output + position * frameSize + column
                    for element in 0..<count { target[element] = Float(dtype.double(in: memory, at: element)) * scale }
                }
                column += count
            case .choices(let leaf, let counts, let starts):
                let source = batch.elements(ofLeaf: leaf, as: Int64.self)
                for (position, row) in rows.enumerated() {
                    var target = output + position * frameSize + column
                    for (dimension, count) in counts.enumerated() {
                        target.update(repeating: 0, count: count)
                        let choice = Int(source[row * counts.count + dimension]) - starts[dimension]
                        if choice >= 0 && choice < count { target[choice] = 1 }
                        target += count
                    }
                }
                column += counts.reduce(0, +)
            }
        }
    }
}

/// A space that an algorithm cannot learn with, and what would work.
public struct UnsupportedSpaceError: Error, CustomStringConvertible {
    /// What is wrong and what would work.
    public let description: String

    /// An error with the given words.
    public init(_ description: String) { self.description = description }
}
