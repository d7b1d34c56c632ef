import GymCore
import NeuralNetwork

/// The rows that a policy acts on after training: encoded, stacked within each episode, and normalised.
struct PolicyObservations: ~Copyable {
    private let encoder: ObservationEncoder
    private var rows: UnsafeMutableRawPointer
    private var capacity = 0
    /// Whether an environment's next row is its episode's first.
    private var starts: [Bool] = []

    init(_ encoder: ObservationEncoder) {
        self.encoder = encoder
        rows = allocateRows(encoder.format, count: 0)
    }

    deinit { rows.deallocate() }

    /// The next row of an environment is its episode's first.
    mutating func startEpisode(_ row: Int) {
        if row < starts.count { starts[row] = true }
    }

    /// Takes in the observations of `count` environments.
    ///
    /// - Returns: (count, row), until the next call.
    mutating func take(
        _ batch: BatchBuffer, count: Int, _ normalisation: borrowing Normalisation
    ) -> UnsafeMutableRawPointer {
        if capacity < count {
            rows.deallocate()
            rows = allocateRows(encoder.format, count: count)
            starts = [Bool](repeating: true, count: count)
            capacity = count
        }
        let rows = rows
        let format = encoder.format
        encoder.encode(batch, rows: 0..<count, into: rows) { index in
            starts[index] ? nil : UnsafeRawPointer(rows + index * format.rowBytes)
        }
        for index in 0..<count { starts[index] = false }
        if format.element == .float32 {
            normalisation.apply(rows.assumingMemoryBound(to: Float.self), rows: count)
        }
        return rows
    }
}
