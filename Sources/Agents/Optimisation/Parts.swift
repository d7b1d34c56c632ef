import GymCore
import NeuralNetwork

/// How the work of a run is divided.
///
/// A *part* has its share of the environments, of memory and of each minibatch, and generators of its own; whoever does
/// it, a thread here or a process elsewhere, the result is the same. A *slice* is a fixed share of a part's minibatch, so
/// that threads can share it. A *piece* is one slice of one part: what a thread does between a fork and a join.
package struct Parts: Sendable {
    /// The parts of the run.
    package let count: Int
    /// The slices of a part's minibatch.
    package let slices: Int
    /// Slices of all parts.
    package var pieces: Int { count * slices }

    package init(count: Int = 1, slices: Int) {
        self.count = count
        self.slices = slices
    }

    /// The part that a piece belongs to.
    func part(ofPiece piece: Int) -> Int { piece / slices }

    /// A part's share of so many things.
    func range(_ part: Int, of total: Int) -> Range<Int> { share(part, of: count, count: total) }

    /// Checks that what is shared out among the parts is enough for each.
    ///
    /// - Throws: ``HyperparameterError``.
    func require(_ total: Int, _ key: String) throws {
        if total % count != 0 {
            throw HyperparameterError(
                key: key,
                description: "\(key) is \(total), and parts is \(count): each part takes as much as the others, so "
                    + "\(key) has to be a multiple of parts")
        }
    }

    /// The generator of a part's stream; with one part, the run's.
    func generator(_ stream: RandomStream, seed: UInt64, part: Int) -> NumPyGenerator {
        count == 1 ? stream.generator(seed: seed) : stream.generator(seed: seed, path: [Parts.ofParts, UInt32(part)])
    }

    /// The generator of a piece's stream.
    func generator(_ stream: RandomStream, seed: UInt64, piece: Int) -> NumPyGenerator {
        let (part, slice) = piece.quotientAndRemainder(dividingBy: slices)
        return count == 1
            ? stream.generator(seed: seed, part: slice)
            : stream.generator(seed: seed, path: [Parts.ofParts, UInt32(part), UInt32(slice)])
    }

    /// Sets the streams of parts apart from those of a run with one part.
    private static let ofParts: UInt32 = 0x7061_7274
}
