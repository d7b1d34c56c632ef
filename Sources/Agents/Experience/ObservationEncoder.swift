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
        if size == 0 {
            throw UnsupportedSpaceError("observations from \(space) have no numbers: there is nothing to learn from")
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
    ///   - output: (rows, ``format``).
    ///   - previous: where frames are stacked, the rows that the episodes had a step before; they may be `output` itself.
    ///   - goesOn: whether the episode at a position among the rows has such a row: not at its start.
    public func encode(
        _ batch: BatchBuffer, rows: Range<Int>, into output: Rows, after previous: Rows, goesOn: (Int) -> Bool
    ) {
        precondition(output.format == format && output.count == rows.count && rows.upperBound <= batch.count)
        if frames > 1 {
            for position in 0..<rows.count {
                if goesOn(position) {
                    output.copyStretch(
                        row: position, at: 0, from: previous, row: position, at: frameBytes,
                        byteCount: format.rowBytes - frameBytes)
                } else {
                    output.clearRow(position, butLast: frameBytes)
                }
            }
        }
        if format.element == .float32 {
            encode(batch, rows: rows, into: output.floats[columns: size - frameSize..<size])
            return
        }
        guard case .numbers(let leaf, _, let count, _) = parts[0] else { return }
        let source = UnsafeRawBufferPointer(batch.bytes(ofLeaf: leaf))
        for (position, row) in rows.enumerated() {
            output.write(
                UnsafeRawBufferPointer(rebasing: source[row * count..<(row + 1) * count]), row: position,
                at: format.rowBytes - frameBytes)
        }
    }

    /// Writes the newest frame of the given rows as floats, (rows, frame).
    func encode(_ batch: BatchBuffer, rows: Range<Int>, into output: Matrix) {
        precondition(output.columns == frameSize && output.rows == rows.count)
        var column = 0
        for part in parts {
            switch part {
            case .numbers(let leaf, .float32, let count, 1) where count == frameSize && output.isContiguous:
                let source = batch.elements(ofLeaf: leaf, as: Float.self)
                output.vector.copy(.init(rebasing: source[rows.lowerBound * count..<rows.upperBound * count]))
                column += count
            case .numbers(let leaf, let dtype, let count, let scale):
                let (source, rowBytes) = (batch.bytes(ofLeaf: leaf), batch.columns[leaf].rowBytes)
                for (position, row) in rows.enumerated() {
                    let numbers = UnsafeRawBufferPointer(rebasing: source[row * rowBytes..<(row + 1) * rowBytes])
                    for element in 0..<count {
                        output[position, column + element] =
                            Float(dtype.double(in: numbers.baseAddress!, at: element)) * scale
                    }
                }
                column += count
            case .choices(let leaf, let counts, let starts):
                let source = batch.elements(ofLeaf: leaf, as: Int64.self)
                for (position, row) in rows.enumerated() {
                    var first = column
                    for (dimension, count) in counts.enumerated() {
                        for choice in 0..<count { output[position, first + choice] = 0 }
                        let choice = Int(source[row * counts.count + dimension]) - starts[dimension]
                        if choice >= 0 && choice < count { output[position, first + choice] = 1 }
                        first += count
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
