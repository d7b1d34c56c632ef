import Foundation
import GymCore
import TestSupport
import Testing

/// Compares with draws that were recorded from NumPy (`Tests/Fixtures/record-draws.py`).
@Suite struct NumPyGeneratorTests {
    private struct Golden: Decodable {
        struct Stream: Decodable {
            let seed: UInt64
            let uint64: [String]
            let random: [Double]
            let integers: [Int]
            let uniform: [Double]
            let normal: [Double]

            private enum CodingKeys: String, CodingKey {
                case seed, uint64, random
                case integers = "integers_1_5"
                case uniform = "uniform_-5_5"
                case normal = "standard_normal"
            }
        }
        let streams: [Stream]
    }

    @Test func goldenStreamsAreDrawn() throws {
        let golden = try JSONDecoder().decode(Golden.self, from: Fixtures.unpack("golden/rng.json.gz"))
        #expect(golden.streams.count > 20)
        for stream in golden.streams {
            func drawn<T>(_ count: Int, _ draw: (inout NumPyGenerator) -> T) -> [T] {
                var generator = NumPyGenerator(seed: stream.seed)
                return (0..<count).map { _ in draw(&generator) }
            }
            #expect(drawn(stream.uint64.count) { String($0.next()) } == stream.uint64)
            #expect(drawn(stream.random.count) { $0.random() } == stream.random)
            #expect(drawn(stream.integers.count) { $0.integer(in: 1..<5) } == stream.integers)
            #expect(drawn(stream.uniform.count) { $0.uniform(-5, 5) } == stream.uniform)
            #expect(drawn(stream.normal.count) { $0.standardNormal() } == stream.normal)
        }
    }

    private struct Recorded: Decodable {
        struct Program: Decodable {
            let seed: UInt64
            let steps: [Step]
        }
        struct Step: Decodable {
            let kind: String
            let arguments: [String]
            let results: [String]

            init(from decoder: any Decoder) throws {
                var fields = try decoder.unkeyedContainer()
                kind = try fields.decode(String.self)
                arguments = try fields.decode([String].self)
                results = try fields.decode([String].self)
            }
        }
        struct Long: Decodable {
            let seed: UInt64
            let count: Int
            let normal: String
            let exponential: String
        }
        struct Shuffle: Decodable {
            let seed: UInt64
            let list: [Int]
            let array: [Int]
        }
        let programs: [Program]
        let long: [Long]
        let shuffles: [Shuffle]
    }

    private static let recorded = Result {
        try JSONDecoder().decode(Recorded.self, from: Fixtures.unpack("numpy-draws.json.gz"))
    }

    private func hexadecimal(_ value: Double) -> String { hexadecimal(value.bitPattern) }

    private func hexadecimal(_ word: UInt64) -> String {
        let digits = String(word, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    /// Draws of all kinds after each other; 32-bit draws leave half a word behind for the next one.
    @Test func interleavedDrawsFollowNumPy() throws {
        for program in try NumPyGeneratorTests.recorded.get().programs {
            var generator = NumPyGenerator(seed: program.seed)
            for (index, step) in program.steps.enumerated() {
                let bounds = step.arguments.compactMap { Int($0) }
                let drawn =
                    switch step.kind {
                    case "random": [hexadecimal(generator.random())]
                    case "normal": [hexadecimal(generator.normal(0.5, 2))]
                    case "exponential": [hexadecimal(generator.standardExponential())]
                    case "integer": [String(generator.integer(in: bounds[0]..<bounds[1]))]
                    case "full": [String(generator.integer(in: Int.min...Int.max))]
                    case "permutation": generator.permutation(bounds[0]).map { String($0) }
                    default: ["\(step.kind) is not known"]
                    }
                try #require(drawn == step.results, "seed \(program.seed), draw \(index): \(step.kind) \(bounds)")
            }
        }
    }

    /// Enough draws to visit every layer of the ziggurat, its edges and its tail.
    @Test func longStreamsFollowNumPy() throws {
        for long in try NumPyGeneratorTests.recorded.get().long {
            func folded(_ draw: (inout NumPyGenerator) -> Double) -> String {
                var generator = NumPyGenerator(seed: long.seed)
                var digest: UInt64 = 0xCBF2_9CE4_8422_2325
                for _ in 0..<long.count {
                    digest = (digest ^ draw(&generator).bitPattern) &* 0x100_0000_01B3
                }
                return hexadecimal(digest)
            }
            #expect(folded { $0.standardNormal() } == long.normal)
            #expect(folded { $0.standardExponential() } == long.exponential)
        }
    }

    @Test func shufflesFollowNumPy() throws {
        for shuffle in try NumPyGeneratorTests.recorded.get().shuffles {
            var generator = NumPyGenerator(seed: shuffle.seed)
            var elements = Array(0..<shuffle.list.count)
            generator.shuffle(&elements)
            #expect(elements == shuffle.list)
            #expect(elements == shuffle.array)
        }
    }

    @Test func aRangeOfOneDrawsNothing() {
        var generator = NumPyGenerator(seed: 7)
        let untouched = generator
        #expect(generator.integer(in: 4..<5) == 4)
        #expect(generator.integer(in: Int.max...Int.max) == Int.max)
        #expect(generator == untouched)
    }

    /// Saved between the halves of a word, where a state without its buffered half would go astray.
    @Test func aSavedGeneratorGoesOnExactly() throws {
        var generator = NumPyGenerator(seed: 11)
        for draws in 0..<4 {
            for _ in 0..<draws { _ = generator.next32() }
            var writer = StateWriter()
            generator.save(to: &writer)
            var reader = StateReader(writer.bytes)
            var restored = try NumPyGenerator(from: &reader)
            try reader.finish()
            #expect(restored == generator)
            var original = generator
            for _ in 0..<5 {
                #expect(restored.next32() == original.next32())
                #expect(restored.random() == original.random())
            }
        }
    }

    @Test func aDamagedStateIsRefused() throws {
        var writer = StateWriter()
        NumPyGenerator(seed: 1).save(to: &writer)
        let bytes = writer.bytes
        #expect(throws: StateError.self) {
            var reader = StateReader(Array(bytes.dropLast()))
            _ = try NumPyGenerator(from: &reader)
        }
        #expect(throws: StateError("the generator's increment is even")) {
            var reader = StateReader(bytes.enumerated().map { $0 == 16 ? $1 & 0xFE : $1 })
            _ = try NumPyGenerator(from: &reader)
        }
        #expect(throws: StateError("the generator's flag is 9, not 0 or 1")) {
            var reader = StateReader(bytes.enumerated().map { $0 == 32 ? 9 : $1 })
            _ = try NumPyGenerator(from: &reader)
        }
    }
}
