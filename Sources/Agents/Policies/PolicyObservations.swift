import GymCore
import NeuralNetwork

/// The rows that a policy acts on after training: encoded, stacked within each episode, and normalised.
struct PolicyObservations {
    private let encoder: ObservationEncoder
    private var rows: Rows
    /// Whether an environment's next row is its episode's first.
    private var starts: [Bool] = []

    init(_ encoder: ObservationEncoder) {
        self.encoder = encoder
        rows = Rows(encoder.format, count: 0)
    }

    /// The next row of an environment is its episode's first.
    mutating func startEpisode(_ row: Int) {
        if row < starts.count { starts[row] = true }
    }

    /// Takes in the observations of `count` environments.
    ///
    /// - Returns: (count, row), until the next call.
    mutating func take(_ batch: BatchBuffer, count: Int, _ normalisation: Normalisation) -> Rows {
        if rows.count < count {
            rows = Rows(encoder.format, count: count)
            starts = [Bool](repeating: true, count: count)
        }
        let rows = rows.prefix(count)
        encoder.encode(batch, rows: 0..<count, into: rows, after: rows) { !starts[$0] }
        for index in 0..<count { starts[index] = false }
        if encoder.format.element == .float32 { normalisation.apply(rows.floats) }
        return rows
    }
}
