import NeuralNetwork

/// Mean and variance of a stream of vectors, merged batch by batch (Chan et al. 1979), as Stable-Baselines3's
/// `RunningMeanStd`.
public struct RunningStatistics: Sendable {
    /// The mean of each element.
    public internal(set) var mean: [Double]
    /// The variance of each element.
    public internal(set) var variance: [Double]
    /// The rows seen, with the small start that keeps the first variance from being zero.
    public internal(set) var count: Double

    /// Statistics of nothing: mean 0, variance 1, weight 10⁻⁴.
    public init(size: Int) {
        mean = [Double](repeating: 0, count: size)
        variance = [Double](repeating: 1, count: size)
        count = 1e-4
    }

    /// Takes in a batch.
    ///
    /// - Parameter batch: (rows, size).
    public mutating func update(_ batch: Matrix) {
        precondition(batch.columns == mean.count)
        update(rows: batch.rows) { Double(batch[$0, $1]) }
    }

    /// Takes in single numbers.
    ///
    /// - Precondition: the size is 1.
    public mutating func update(_ values: [Double]) {
        precondition(mean.count == 1)
        values.withUnsafeBufferPointer { values in update(rows: values.count) { row, _ in values[row] } }
    }

    @inline(__always)
    private mutating func update(rows: Int, _ value: (_ row: Int, _ element: Int) -> Double) {
        guard rows > 0 else { return }
        let total = count + Double(rows)
        for element in mean.indices {
            var sum = 0.0
            for row in 0..<rows { sum += value(row, element) }
            let batchMean = sum / Double(rows)
            var squares = 0.0
            for row in 0..<rows {
                let deviation = value(row, element) - batchMean
                squares += deviation * deviation
            }
            let delta = batchMean - mean[element]
            let merged = variance[element] * count + squares + delta * delta * count * Double(rows) / total
            mean[element] += delta * Double(rows) / total
            variance[element] = merged / total
        }
        count = total
    }

    mutating func code(_ state: inout StateCoder) throws {
        try state(&mean)
        try state(&variance)
        try state(&count)
    }
}
