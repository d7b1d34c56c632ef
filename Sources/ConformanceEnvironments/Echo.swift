public import GymCore

/// conformance/Echo-v0: its observation is the last action, byte for byte, in any space there is.
///
/// The option `space` names the space of both; each dtype has its box, each kind of space one or two of its own.
///
/// Reward: the number of steps of the episode. Start: a member drawn from the space. End: none of its own.
public struct Echo: RestorableEnvironment, Sendable {
    public static let spec = EnvironmentSpec(
        id: "conformance/Echo-v0", summary: "Observes the last action, in any space and dtype.",
        options: [
            OptionSpec(
                "space", .choice(spaces.map(\.name)), default: .text("float32"),
                "The space of actions and observations.")
        ])

    /// The spaces by name.
    static let spaces: [(name: String, space: Space)] = [
        ("bool", .box(Box(low: Tensor([false, false, true]), high: Tensor([true, false, true])))),
        ("int8", integers(Int8.self)), ("int16", integers(Int16.self)), ("int32", integers(Int32.self)),
        ("int64", integers(Int64.self)), ("uint8", integers(UInt8.self)), ("uint16", integers(UInt16.self)),
        ("uint32", integers(UInt32.self)), ("uint64", integers(UInt64.self)),
        ("float16", .box(Box(low: Float16(-1), high: Float16(1), shape: [2, 3]))),
        ("float32", .box(Box(low: Float(-1), high: Float(1), shape: [2, 3]))),
        ("float64", .box(Box(low: -1.0, high: 1.0, shape: [2, 3]))),
        ("unbounded", .box(Box(low: [-Double.infinity, 0, -.infinity], high: [Double.infinity, .infinity, 0]))),
        ("element-bounds", .box(Box(low: [Float(-1), 0, 5], high: [Float(1), 0, 6]))),
        ("scalar", .box(Box(low: Float(-2), high: 2, shape: []))),
        ("discrete", .discrete(count: 5)), ("discrete-start", .discrete(count: 4, start: -2)),
        ("multi-discrete", .multiDiscrete(counts: [2, 3, 4, 5], starts: [0, -1, 10, 0], shape: [2, 2])),
        ("multi-binary", .multiBinary(shape: [2, 3])),
        ("text", .text(minLength: 1, maxLength: 8, characters: "abcäß日本")),
        // Beyond the first plane, and one that combines: what counts is code points.
        ("text-wide", .text(minLength: 1, maxLength: 4, characters: "a😀𝄞e\u{301}")),
        (
            "dict",
            .dict([.init("speed", .box(Box(low: Float(0), high: 1, shape: [2]))), .init("gear", .discrete(count: 3))])
        ),
        (
            "tuple",
            .tuple([.discrete(count: 2), .box(Box(low: Int8(-5), high: 5, shape: [3])), .multiBinary(shape: [4])])
        ),
        ("nested", nested),
        ("sequence", .sequence(.box(Box(low: Float(0), high: 1, shape: [2])))),
        ("graph", .graph(node: .box(Box(low: Float(-1), high: 1, shape: [2])), edge: .discrete(count: 3))),
        ("graph-plain", .graph(node: .discrete(count: 4), edge: nil)),
        (
            "one-of",
            .oneOf([
                .discrete(count: 3), .box(Box(low: 0.0, high: 1, shape: [2])),
                .text(minLength: 0, maxLength: 3, characters: "xyz"),
            ])
        ),
        (
            "mixed",
            .dict([
                .init("number", .discrete(count: 3)),
                .init("name", .text(minLength: 0, maxLength: 4, characters: "ab")),
            ])
        ),
    ]

    private static var nested: Space {
        .tuple([
            .dict([
                .init("b", .discrete(count: 2)), .init("a", .tuple([.multiBinary(shape: [2]), .discrete(count: 3)])),
            ]),
            .box(Box(low: UInt8(0), high: 255, shape: [2, 2, 3])),
        ])
    }

    private static func integers<Element: FixedWidthInteger & TensorElement>(_: Element.Type) -> Space {
        .box(Box(low: Element.min, high: Element.max, shape: [2, 3]))
    }

    public let observationSpace: Space
    public var actionSpace: Space { observationSpace }

    private let leaves: [Leaf]
    private var steps: Int64 = 0

    /// An echo of the space that the options name.
    public init(options: OptionValues) {
        let name = options.text("space")
        observationSpace = Echo.spaces.first { $0.name == name }!.space
        leaves = observationSpace.leaves.map(\.leaf)
    }

    public mutating func reset(
        options: OptionValues, generator: inout NumPyGenerator, observation: ObservationWriter
    ) throws {
        steps = 0
        var members: [Value] = []
        Echo.flatten(observationSpace.sample(generator: &generator), of: observationSpace, into: &members)
        for (index, member) in members.enumerated() {
            switch (leaves[index], member) {
            case (.tensor(let layout), .tensor(let tensor)):
                Echo.withElements(of: layout.dtype) { element in
                    Echo.store(tensor, as: element, leaf: index, in: observation)
                }
            default: observation.store(member, leaf: index)
            }
        }
    }

    public mutating func step(
        action: ActionReader, generator: inout NumPyGenerator, observation: ObservationWriter
    ) throws -> StepResult {
        steps += 1
        for (index, leaf) in leaves.enumerated() {
            switch leaf {
            case .tensor(let layout):
                Echo.withElements(of: layout.dtype) { element in
                    Echo.copy(element, leaf: index, from: action, to: observation)
                }
            case .ragged: observation.store(action.value(leaf: index), leaf: index)
            }
        }
        return StepResult(reward: Double(steps), terminated: false)
    }

    /// The members of a space's leaves, in their order.
    private static func flatten(_ value: Value, of space: Space, into members: inout [Value]) {
        switch (space, value) {
        case (.dict(let entries), .list(let values)):
            for (entry, value) in zip(entries, values) { flatten(value, of: entry.space, into: &members) }
        case (.tuple(let spaces), .list(let values)):
            for (space, value) in zip(spaces, values) { flatten(value, of: space, into: &members) }
        default: members.append(value)
        }
    }

    private static func withElements(of dtype: DType, _ body: (any TensorElement.Type) -> Void) {
        let elements: [DType: any TensorElement.Type] = [
            .bool: UInt8.self, .int8: Int8.self, .int16: Int16.self, .int32: Int32.self, .int64: Int64.self,
            .uint8: UInt8.self, .uint16: UInt16.self, .uint32: UInt32.self, .uint64: UInt64.self,
            .float16: Float16.self, .float32: Float.self, .float64: Double.self,
        ]
        body(elements[dtype]!)
    }

    private static func copy<Element: TensorElement>(
        _: Element.Type, leaf: Int, from action: ActionReader, to observation: ObservationWriter
    ) {
        action.read(leaf: leaf, as: Element.self) { source in
            observation.write(leaf: leaf, as: Element.self) { target in
                for index in source.indices { target[index] = source[index] }
            }
        }
    }

    private static func store<Element: TensorElement>(
        _ tensor: Tensor, as _: Element.Type, leaf: Int, in observation: ObservationWriter
    ) {
        let elements: [Element] = tensor.elements()
        observation.write(leaf: leaf, as: Element.self) { target in
            for index in elements.indices { target[index] = elements[index] }
        }
    }

    /// Spaces are shared by all.
    public var heapBytes: Int { leaves.count * MemoryLayout<Leaf>.stride + 64 }

    public static let stateVersion = 1

    public func save(to writer: inout StateWriter) { writer.write(steps) }

    public mutating func restore(from reader: inout StateReader) throws {
        steps = Int64(try reader.readCount("number of steps"))
    }
}
