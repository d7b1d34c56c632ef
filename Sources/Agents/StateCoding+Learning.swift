import GymCore
import NeuralNetwork

extension StateWriter {
    /// Writes that many floats, and their number.
    mutating func write(_ values: UnsafeMutablePointer<Float>, count: Int) {
        write(elements: UnsafeBufferPointer(start: values, count: count))
    }

    /// Writes rows of observations, and the number of their elements.
    mutating func write(rows: UnsafeMutableRawPointer, count: Int, _ format: InputFormat) {
        if format.element == .float32 {
            write(rows.assumingMemoryBound(to: Float.self), count: count * format.count)
        } else {
            write(array: Array(UnsafeRawBufferPointer(start: rows, count: count * format.rowBytes)))
        }
    }

    /// Writes a model's parameters.
    mutating func write(_ store: ParameterStore) { write(store.values, count: store.count) }

    /// Writes an optimiser's steps and moments.
    mutating func write(_ adam: borrowing Adam) {
        write(UInt64(adam.steps))
        write(adam.moments, count: 2 * adam.count)
    }
}

extension StateReader {
    /// Reads floats that were written with their number.
    ///
    /// - Throws: ``StateError`` when they are more or fewer.
    mutating func read(into values: UnsafeMutablePointer<Float>, count: Int) throws {
        try readArray(into: UnsafeMutableBufferPointer(start: values, count: count))
    }

    /// Reads rows of observations that were written with the number of their elements.
    mutating func read(rows: UnsafeMutableRawPointer, count: Int, _ format: InputFormat) throws {
        if format.element == .float32 {
            try read(into: rows.assumingMemoryBound(to: Float.self), count: count * format.count)
            return
        }
        let array = try readArray(of: UInt8.self)
        guard array.count == count * format.rowBytes else {
            throw StateError("the state has \(array.count) bytes in place of \(count * format.rowBytes)")
        }
        UnsafeMutableRawBufferPointer(start: rows, count: array.count).copyBytes(from: array)
    }

    /// Takes over a model's parameters.
    mutating func read(into store: ParameterStore) throws { try read(into: store.values, count: store.count) }

    /// Takes over an optimiser's steps and moments.
    mutating func read(into adam: inout Adam) throws {
        let steps = try read(UInt64.self)
        try read(into: adam.moments, count: 2 * adam.count)
        adam.restore(steps: Int(clamping: steps))
    }

    /// Reads a count that was written as 64 bits.
    mutating func readCount() throws -> Int { Int(clamping: try read(UInt64.self)) }
}
