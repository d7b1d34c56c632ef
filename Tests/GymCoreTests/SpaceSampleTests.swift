import Foundation
import GymCore
import TestSupport
import Testing

/// Compares with what Gymnasium's spaces sample and print (`Tests/Fixtures/record-draws.py`).
@Suite struct SpaceSampleTests {
    private static let mixed = Box(
        low: [-Float.infinity, -1, -.infinity, 0, -.infinity, 2], high: [.infinity, .infinity, 3, 1, .infinity, 2.5])
    private static let oneOf = Space.oneOf([
        .discrete(count: 3), .box(Box(low: Float(-1), high: 1, shape: [2])),
        .text(minLength: 1, maxLength: 4, characters: "ab"),
    ])
    private static let unit = Space.box(Box(low: Float(0), high: 1, shape: [2]))
    private static let flags = Box(
        low: Tensor([Bool](repeating: false, count: 9)), high: Tensor([Bool](repeating: true, count: 9)))

    private static let spaces: [String: Space] = [
        "box-float32": .box(Box(low: Float(-2), high: 2, shape: [3])),
        "box-float64": .box(Box(low: -1.5, high: 7, shape: [2, 2])),
        "box-float16": .box(Box(low: Float16(-1), high: 1, shape: [5])),
        "box-mixed": .box(mixed),
        "box-uint8": .box(Box(low: UInt8.min, high: .max, shape: [4, 3])),
        "box-int8": .box(Box(low: Int8.min, high: .max, shape: [7])),
        "box-int32": .box(Box(low: Int32(-5), high: 5, shape: [6])),
        "box-int64": .box(Box(low: Int64(-1_000_000), high: 1_000_000, shape: [4])),
        "box-uint16": .box(Box(low: UInt16(3), high: 60000, shape: [4])),
        "box-bool": .box(flags),
        "discrete": .discrete(count: 6),
        "discrete-start": .discrete(count: 5, start: -2),
        "discrete-one": .discrete(count: 1),
        "multidiscrete": .multiDiscrete([3, 5, 2]),
        "multidiscrete-matrix": .multiDiscrete(counts: [3, 5, 2, 9], starts: [1, 0, -4, 2], shape: [2, 2]),
        "multibinary": .multiBinary(shape: [11]),
        "multibinary-matrix": .multiBinary(shape: [2, 3]),
        "text": .text(minLength: 0, maxLength: 12, characters: "abcde"),
        "text-digits": .text(minLength: 6, maxLength: 6, characters: "9876543210"),
        "dict": .dict([.init("a", unit), .init("b", .discrete(count: 9)), .init("c", .multiBinary(shape: [3]))]),
        "tuple": .tuple([.discrete(count: 9), .tuple([unit, .discrete(count: 4)])]),
        "sequence": .sequence(.discrete(count: 7)),
        "sequence-stacked": .sequence(unit, stacked: true),
        "sequence-dict": .sequence(
            .dict([.init("x", .discrete(count: 3)), .init("y", .box(Box(low: Float(-1), high: 1, shape: [1])))])),
        "graph": .graph(node: .box(Box(low: Float(-1), high: 1, shape: [2])), edge: .discrete(count: 4)),
        "graph-without-edges": .graph(node: .discrete(count: 5), edge: nil),
        "oneof": oneOf,
    ]

    private struct Recorded: Decodable {
        struct Case: Decodable {
            let name: String
            let description: String
            let runs: [Run]
        }
        struct Run: Decodable {
            let seed: UInt64
            let samples: [Sample]
        }
        let cases: [Case]
    }

    /// A recorded sample.
    private struct Sample: Decodable {
        let value: Value

        private enum Key: String, CodingKey {
            case text, list, nodes, edges, links, index, value, dtype, shape, bytes
        }

        init(from decoder: any Decoder) throws {
            let fields = try decoder.container(keyedBy: Key.self)
            if let text = try fields.decodeIfPresent(String.self, forKey: .text) {
                value = .text(text)
            } else if let list = try fields.decodeIfPresent([Sample].self, forKey: .list) {
                value = .list(list.map(\.value))
            } else if let index = try fields.decodeIfPresent(Int.self, forKey: .index) {
                value = .oneOf(index: index, try fields.decode(Sample.self, forKey: .value).value)
            } else if let nodes = try fields.decodeIfPresent(Sample.self, forKey: .nodes) {
                let edges = try fields.decodeIfPresent(Sample.self, forKey: .edges)
                value = .graph(
                    nodes: try #require(nodes.tensor), edges: edges?.tensor,
                    edgeLinks: try fields.decode([Int64].self, forKey: .links))
            } else {
                let name = try fields.decode(String.self, forKey: .dtype)
                let digits = Array(try fields.decode(String.self, forKey: .bytes))
                let bytes = try stride(from: 0, to: digits.count, by: 2).map {
                    try #require(UInt8(String(digits[$0...$0 + 1]), radix: 16))
                }
                value = .tensor(
                    Tensor(
                        dtype: try #require(DType.allCases.first { $0.name == name }),
                        shape: try fields.decode([Int].self, forKey: .shape), bytes: bytes))
            }
        }

        var tensor: Tensor? {
            if case .tensor(let tensor) = value { tensor } else { nil }
        }
    }

    private static let recorded = Result {
        try JSONDecoder().decode(Recorded.self, from: Fixtures.unpack("space-samples.json.gz")).cases
    }

    @Test func seededSpacesSampleAsGymnasium() throws {
        let cases = try SpaceSampleTests.recorded.get()
        #expect(Set(cases.map(\.name)) == Set(SpaceSampleTests.spaces.keys))
        for recorded in cases {
            let space = try #require(SpaceSampleTests.spaces[recorded.name])
            for run in recorded.runs {
                var sampler = SpaceSampler(space, seed: run.seed)
                for (index, sample) in run.samples.enumerated() {
                    let value = sampler.sample()
                    #expect(value == sample.value, "\(recorded.name), seed \(run.seed), sample \(index)")
                    #expect(space.contains(value), "\(recorded.name)")
                }
                var generator = NumPyGenerator(seed: run.seed)
                #expect(space.sample(generator: &generator) == run.samples[0].value, "\(recorded.name)")
            }
        }
    }

    @Test func spacesDescribeThemselvesAsGymnasium() throws {
        for recorded in try SpaceSampleTests.recorded.get() where recorded.name != "box-mixed" {
            #expect(SpaceSampleTests.spaces[recorded.name]?.description == recorded.description)
        }
        #expect(
            Space.box(SpaceSampleTests.mixed).description
                == "Box([-inf -1.0 -inf 0.0 -inf 2.0], [inf inf 3.0 1.0 inf 2.5], (6,), float32)")
        // Bounds that are no doubles.
        #expect(
            "\(Space.box(Box(low: Int64.min, high: .max, shape: [1])))"
                == "Box(-9223372036854775808, 9223372036854775807, (1,), int64)")
        #expect(
            "\(Space.box(Box(low: UInt64.min, high: .max, shape: [])))" == "Box(0, 18446744073709551615, (), uint64)")
    }

    /// Gymnasium's arithmetic overflows here; members are drawn all the same, and from both halves.
    @Test func boxesOfAllOf64BitsAreSampled() throws {
        var generator = NumPyGenerator(seed: 3)
        for space in [
            Space.box(Box(low: Int64.min, high: .max, shape: [64])),
            .box(Box(low: UInt64.min, high: .max, shape: [64])),
            .box(Box(low: UInt64.max - 1, high: .max, shape: [64])),
        ] {
            let value = space.sample(generator: &generator)
            #expect(space.contains(value), "\(space)")
            guard case .tensor(let tensor) = value else { throw StateError("a box's member is a tensor") }
            let middle = (space.bounds.low + space.bounds.high) / 2
            if space.bounds.low != space.bounds.high {
                #expect(tensor.doubles.contains { $0 < middle } && tensor.doubles.contains { $0 > middle }, "\(space)")
            }
        }
    }
}

extension Space {
    /// The bounds of a box's first element.
    fileprivate var bounds: (low: Double, high: Double) {
        guard case .box(let box) = self else { return (0, 0) }
        return (box.low.double(at: 0), box.high.double(at: 0))
    }
}
