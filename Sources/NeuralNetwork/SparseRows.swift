import CVectorKernels

/// Rows of bytes that are mostly zeros, as the places and values of those that are not.
///
/// A picture's difference from the one before it has a few dozen such bytes among thousands: a layer that looks at
/// those alone is done in a tenth of the time of the matrix product, with the same result.
final class SparseRows: @unchecked Sendable {
    private let format: InputFormat
    /// Places and values that there is memory for.
    private let limit: Int
    /// Row r's places and values begin here.
    private let starts: UnsafeMutablePointer<Int>
    private let indices: UnsafeMutablePointer<Int32>
    private let values: UnsafeMutablePointer<Float>

    /// Above this share of elements that are not 0, one in this many, the matrix product is faster.
    private static let densest = 16

    /// Memory for up to `capacity` rows.
    init(_ format: InputFormat, capacity: Int) {
        precondition(format.element != .float32, "floats are taken as they are")
        self.format = format
        limit = max(capacity * format.count / SparseRows.densest, 1)
        starts = .allocate(capacity: capacity + 1)
        starts.initialize(repeating: 0, count: capacity + 1)
        indices = .allocate(capacity: limit + MemoryLayout<UInt64>.size)
        indices.initialize(repeating: 0, count: limit + MemoryLayout<UInt64>.size)
        values = allocateFloats(limit + MemoryLayout<UInt64>.size)
    }

    deinit {
        starts.deallocate()
        indices.deallocate()
        values.deallocate()
    }

    /// Takes in rows, and returns whether they are sparse enough; if not, nothing here holds.
    func read(_ input: UnsafeRawPointer, stride: Int, rows: Int) -> Bool {
        let most = max(rows * format.count / SparseRows.densest, 1)
        let isSigned = format.element == .int8
        let wordBytes = MemoryLayout<UInt64>.size
        let blockBytes = MemoryLayout<SIMD8<UInt64>>.size
        var count = 0
        for row in 0..<rows {
            starts[row] = count
            let bytes = input + row * stride
            var place = 0
            while place < format.count {
                if place + blockBytes <= format.count,
                    isZero(bytes.loadUnaligned(fromByteOffset: place, as: SIMD8<UInt64>.self))
                {
                    place += blockBytes
                    continue
                }
                if place + wordBytes <= format.count,
                    bytes.loadUnaligned(fromByteOffset: place, as: UInt64.self) == 0
                {
                    place += wordBytes
                    continue
                }
                if count > most - 1 { return false }
                for place in place..<min(place + wordBytes, format.count) {
                    let byte = bytes.load(fromByteOffset: place, as: UInt8.self)
                    if byte == 0 { continue }
                    indices[count] = Int32(truncatingIfNeeded: place)
                    values[count] = (isSigned ? Float(Int8(bitPattern: byte)) : Float(byte)) * format.scale
                    count += 1
                }
                place += wordBytes
            }
        }
        starts[rows] = count
        return true
    }

    /// Whether all of the block's bytes are 0; in few instructions, as most blocks are.
    @inline(__always)
    private func isZero(_ block: SIMD8<UInt64>) -> Bool {
        let half = block.lowHalf | block.highHalf
        let quarter = half.lowHalf | half.highHalf
        return quarter[0] | quarter[1] == 0
    }

    /// y = x W + b.
    func product(
        _ weight: UnsafePointer<Float>, bias: UnsafePointer<Float>, rows: Int, outputs: Int,
        into target: UnsafeMutablePointer<Float>
    ) {
        for row in 0..<rows {
            let start = starts[row]
            vector_kernels_sparse_product(
                starts[row + 1] - start, indices + start, values + start, weight, outputs, bias,
                target + row * outputs)
        }
    }

    /// dW = xᵀ dy, summed over the rows.
    func weightGradient(
        _ delta: UnsafePointer<Float>, rows: Int, outputs: Int, into gradient: UnsafeMutablePointer<Float>
    ) {
        gradient.update(repeating: 0, count: format.count * outputs)
        for row in 0..<rows {
            let start = starts[row]
            vector_kernels_sparse_outer(
                starts[row + 1] - start, indices + start, values + start, delta + row * outputs, outputs, gradient)
        }
    }
}
