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
    public mutating func update<Element: BinaryFloatingPoint>(_ batch: UnsafePointer<Element>, rows: Int) {
        guard rows > 0 else { return }
        let size = mean.count
        let total = count + Double(rows)
        for element in 0..<size {
            var sum = 0.0
            for row in 0..<rows { sum += Double(batch[row * size + element]) }
            let batchMean = sum / Double(rows)
            var squares = 0.0
            for row in 0..<rows {
                let deviation = Double(batch[row * size + element]) - batchMean
                squares += deviation * deviation
            }
            let delta = batchMean - mean[element]
            let merged = variance[element] * count + squares + delta * delta * count * Double(rows) / total
            mean[element] += delta * Double(rows) / total
            variance[element] = merged / total
        }
        count = total
    }
}
