import GymCore
import NeuralNetwork

/// The random streams of a run, each from a seed of its own, so that drawing more from one changes no other.
enum RandomStream: UInt32 {
    case initialisation = 0
    case actions = 1
    case minibatches = 2
    case environments = 3
    case exploration = 4
    case targets = 5
    case evaluations = 6
    case finalEpisodes = 7
    case drawnActions = 8

    /// The stream's generator for a run's seed.
    func generator(seed: UInt64) -> NumPyGenerator {
        NumPyGenerator(SeedSequence(seed: seed, spawnKey: [rawValue]))
    }

    /// The stream's generator at a step of the run, which is 0 where it begins.
    private func generator(seed: UInt64, at steps: Int) -> NumPyGenerator {
        if steps == 0 { return generator(seed: seed) }
        let key = [rawValue, UInt32(truncatingIfNeeded: steps), UInt32(truncatingIfNeeded: steps >> 32)]
        return NumPyGenerator(SeedSequence(seed: seed, spawnKey: key))
    }

    /// Seeds of the episodes that a run starts with at the given step: 0, or where it went on without its environments.
    static func episodeSeeds(seed: UInt64, steps: Int, count: Int) -> [UInt64] {
        var generator = RandomStream.environments.generator(seed: seed, at: steps)
        return (0..<count).map { _ in generator.next() }
    }

    /// The seed of the evaluation at the given step: others each time, so that the best of a run's policies is not the
    /// one that was lucky with the same few starts again and again.
    static func evaluationSeed(seed: UInt64, steps: Int) -> UInt64 {
        var generator = RandomStream.evaluations.generator(seed: seed, at: steps)
        return generator.next()
    }

    /// A part of the stream, for work that is divided.
    func generator(seed: UInt64, part: Int) -> NumPyGenerator { generator(seed: seed, path: [UInt32(part)]) }

    /// A stream within the stream.
    func generator(seed: UInt64, path: [UInt32]) -> NumPyGenerator {
        NumPyGenerator(SeedSequence(seed: seed, spawnKey: [rawValue] + path))
    }
}

extension NumPyGenerator {
    /// Writes 0, 1, …, count − 1 in random order.
    package mutating func permutation(into indices: Vector<Int32>) {
        for position in indices.indices {
            // Fisher–Yates, inside out.
            let other = integer(in: 0...position)
            indices[position] = indices[other]
            indices[other] = Int32(position)
        }
    }
}
