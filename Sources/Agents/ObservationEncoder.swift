import GymCore

/// Turns observations into rows of floats: boxes flat, discrete ones one-hot, dictionaries and tuples one after the
/// other. Bytes of images are divided by 255.
public struct ObservationEncoder: Sendable {
    private enum Part: Sendable {
        /// Numbers as they are.
        case numbers(leaf: Int, dtype: DType, count: Int, scale: Float)
        /// Integers one-hot: element i from `starts[i]`, among `counts[i]`.
        case choices(leaf: Int, counts: [Int], starts: [Int])
    }

    private let parts: [Part]
    /// The floats of a row.
    public let size: Int

    /// An encoder for a space.
    ///
    /// - Throws: ``UnsupportedSpaceError`` when a part of the space has no fixed size.
    public init(_ space: Space) throws {
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
        self.size = size
    }

    /// Writes the given rows of a batch, (rows, ``size``).
    public func encode(_ batch: BatchBuffer, rows: Range<Int>, into output: UnsafeMutablePointer<Float>) {
        var column = 0
        for part in parts {
            switch part {
            case .numbers(let leaf, .float32, let count, 1) where count == size:
                let source = batch.elements(ofLeaf: leaf, as: Float.self).baseAddress!
                output.update(from: source + rows.lowerBound * count, count: rows.count * count)
                column += count
            case .numbers(let leaf, let dtype, let count, let scale):
                let source = batch.columns[leaf]
                for (position, row) in rows.enumerated() {
                    let memory = UnsafeRawPointer(source.base! + row * source.rowBytes)
                    let target = output + position * size + column
                    for element in 0..<count { target[element] = Float(dtype.double(in: memory, at: element)) * scale }
                }
                column += count
            case .choices(let leaf, let counts, let starts):
                let source = batch.elements(ofLeaf: leaf, as: Int64.self)
                for (position, row) in rows.enumerated() {
                    var target = output + position * size + column
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
