import GymCore
import NeuralNetwork

/// The minibatches of an update: each part draws from its replay, each piece copies its slice.
package final class Minibatches: @unchecked Sendable {
    // Sendable: parts are drawn between forks; a piece writes to its own batch.

    private let parts: Parts
    private let replays: [Replay]
    /// The drawn rows of each part, and how much each counts.
    private let rows: [Vector<Int32>]
    private let weights: [Vector<Float>]
    private var generators: [NumPyGenerator]
    /// A batch a piece.
    package let pieces: [TransitionBatch]
    /// Transitions of the whole minibatch.
    package let count: Int

    /// - Parameters:
    ///   - count: transitions of a minibatch, all parts together.
    ///   - replays: a part's each.
    package init(
        count: Int, replays: [Replay], format: InputFormat, actionSize: Int, parts: Parts, seed: UInt64
    ) {
        self.count = count
        self.parts = parts
        self.replays = replays
        let each = count / parts.count
        rows = (0..<parts.count).map { _ in Vector(count: each) }
        weights = (0..<parts.count).map { _ in
            let weights = Vector<Float>(count: each)
            weights.fill(1)
            return weights
        }
        generators = (0..<parts.count).map { parts.generator(.minibatches, seed: seed, part: $0) }
        pieces = (0..<parts.pieces).map { piece in
            TransitionBatch(
                count: share(piece % parts.slices, of: parts.slices, count: each).count, format: format,
                actionSize: actionSize)
        }
    }

    /// Rows of the largest piece.
    package var largest: Int { pieces[0].count }

    /// Draws the next minibatch.
    package func draw(beta: Double = 1) {
        for part in 0..<parts.count {
            replays[part].draw(into: rows[part], weights: weights[part], beta: beta, generator: &generators[part])
        }
    }

    /// Copies a piece's transitions.
    package func gather(_ piece: Int, normalisation: Normalisation) -> TransitionBatch {
        let (part, range) = place(piece)
        let batch = pieces[piece]
        replays[part].gather(rows[part][range], into: batch, normalisation: normalisation)
        return batch
    }

    /// How much each transition of a piece counts: 1 without priorities.
    package func weights(_ piece: Int) -> Vector<Float> {
        let (part, range) = place(piece)
        return weights[part][range]
    }

    /// Takes in how wrong the network was about each transition of a piece.
    package func update(_ piece: Int, errors: Vector<Float>) {
        let (part, range) = place(piece)
        for (position, index) in range.enumerated() {
            replays[part].update(row: Int(rows[part][index]), error: errors[position])
        }
    }

    private func place(_ piece: Int) -> (part: Int, range: Range<Int>) {
        let part = parts.part(ofPiece: piece)
        return (part, share(piece % parts.slices, of: parts.slices, count: rows[part].count))
    }

    /// Writes or reads the generators.
    package func code(_ state: inout StateCoder) throws {
        for part in generators.indices { try state(&generators[part]) }
    }
}
