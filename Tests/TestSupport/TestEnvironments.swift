import Glibc
public import GymCore

/// Environments that do what a test needs: count, echo, fail, take their time.
public enum TestEnvironments {
    /// All of them.
    public static let registry: EnvironmentRegistry = {
        var registry = quickRegistry
        registry.register(SlowEnvironment.spec) { _ in SlowEnvironment() }
        return registry
    }()

    /// Those that take no time.
    public static let quickRegistry: EnvironmentRegistry = {
        var registry = EnvironmentRegistry()
        registry.register(CountingEnvironment.spec) { CountingEnvironment(limit: $0.integer("limit")) }
        registry.register(EchoEnvironment.spec) { EchoEnvironment(space: EchoEnvironment.spaces[$0.text("space")]!) }
        registry.register(FaultyEnvironment.spec) { _ in FaultyEnvironment() }
        return registry
    }()
}

/// test/Counting-v0: an episode ends when it has counted to `limit`. Observation: the count, and a number drawn at reset.
public struct CountingEnvironment: RestorableEnvironment, RenderableEnvironment, Sendable {
    static let spec = EnvironmentSpec(
        id: "test/Counting-v0", summary: "Counts its steps.", renderModes: ["rgb_array", "ansi"],
        options: [OptionSpec("limit", .integer(1...1000), default: .integer(2), "The last step of an episode.")],
        resetOptions: [OptionSpec("start", .integer(0...1000), default: .integer(0), "The count at first.")])

    public let observationSpace = Space.box(Box(low: [Int64(0), 0], high: [Int64(2000), 999_999]))
    public let actionSpace = Space.discrete(count: 2)
    public static let stateVersion = 1

    private let limit: Int
    private var count: Int64 = 0
    private var drawn: Int64 = 0

    init(limit: Int) { self.limit = limit }

    public mutating func reset(
        options: OptionValues, generator: inout NumPyGenerator, observation: ObservationWriter
    ) throws {
        count = Int64(options.integer("start"))
        drawn = Int64(generator.integer(in: 0..<1_000_000))
        observation.store([count, drawn])
    }

    public mutating func step(
        action: ActionReader, generator: inout NumPyGenerator, observation: ObservationWriter
    ) throws -> StepResult {
        count += 1
        observation.store([count, drawn])
        return StepResult(reward: Double(action.integer()) + 0.5, terminated: count >= limit)
    }

    public var info: [InfoEntry] { [InfoEntry("count", .tensor(Tensor(scalar: count)))] }

    public mutating func render(mode: String) throws -> Rendering {
        mode == "ansi"
            ? .text("\(count)") : .image(Tensor([UInt8](repeating: UInt8(count), count: 6), shape: [1, 2, 3]))
    }

    public func save(to writer: inout StateWriter) {
        writer.write(count)
        writer.write(drawn)
    }

    public mutating func restore(from reader: inout StateReader) throws {
        count = Int64(try reader.readCount("count", atMost: 2000))
        drawn = try reader.read()
    }
}

/// test/Echo-v0: observes its action. Both spaces are the one that the option names.
public struct EchoEnvironment: Environment, Sendable {
    /// The spaces that it is there for, by name.
    public static let spaces: [String: Space] = [
        "box": .box(Box(low: [Float(-1), -1, 0], high: [Float(1), 1, .infinity])),
        "bytes": .box(Box(low: UInt8(0), high: 255, shape: [4, 3])),
        "discrete": .discrete(count: 5, start: -2),
        "dict": .dict([
            .init("a", .discrete(count: 3)), .init("b", .tuple([.multiBinary(shape: [2]), .discrete(count: 2)])),
        ]),
        "text": .text(minLength: 0, maxLength: 4, characters: "abcß"),
        "sequence": .sequence(.box(Box(low: Float(0), high: 1, shape: [2]))),
        "graph": .graph(node: .box(Box(low: Float(-1), high: 1, shape: [2])), edge: .discrete(count: 3)),
        "oneOf": .oneOf([.discrete(count: 3), .text(minLength: 0, maxLength: 2, characters: "xy")]),
    ]

    static let spec = EnvironmentSpec(
        id: "test/Echo-v0", summary: "Observes its action.",
        options: [OptionSpec("space", .choice(spaces.keys.sorted()), default: .text("box"), "Both spaces.")])

    public let observationSpace: Space
    public var actionSpace: Space { observationSpace }
    private let leaves: [Leaf]

    init(space: Space) {
        observationSpace = space
        leaves = space.leaves.map(\.leaf)
    }

    public mutating func reset(
        options: OptionValues, generator: inout NumPyGenerator, observation: ObservationWriter
    ) throws {
        for (index, leaf) in leaves.enumerated() {
            guard case .ragged(let space) = leaf else { continue }
            observation.store(space.sample(generator: &generator), leaf: index)
        }
    }

    public mutating func step(
        action: ActionReader, generator: inout NumPyGenerator, observation: ObservationWriter
    ) throws -> StepResult {
        for (index, leaf) in leaves.enumerated() {
            switch leaf {
            case .ragged: observation.store(action.value(leaf: index), leaf: index)
            case .tensor(let layout):
                switch layout.dtype {
                case .float32: EchoEnvironment.copy(Float.self, index, action, observation)
                case .int64: EchoEnvironment.copy(Int64.self, index, action, observation)
                case .int8: EchoEnvironment.copy(Int8.self, index, action, observation)
                default: EchoEnvironment.copy(UInt8.self, index, action, observation)
                }
            }
        }
        return StepResult(reward: 1, terminated: false)
    }

    private static func copy<Element: TensorElement>(
        _: Element.Type, _ leaf: Int, _ action: ActionReader, _ observation: ObservationWriter
    ) {
        action.read(leaf: leaf, as: Element.self) { source in
            observation.write(leaf: leaf, as: Element.self) { target in
                for index in source.indices { target[index] = source[index] }
            }
        }
    }
}

/// test/Faulty-v0: action 1 throws, action 2 leaves the observation space.
public struct FaultyEnvironment: Environment, Sendable {
    static let spec = EnvironmentSpec(
        id: "test/Faulty-v0", summary: "Fails when told to.",
        resetOptions: [OptionSpec("fail", .bool, default: .bool(false), "Whether the reset fails.")])

    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    public let observationSpace = Space.box(Box(low: [Float(0)], high: [Float(100)]))
    public let actionSpace = Space.discrete(count: 3)
    private var count: Float = 0

    public mutating func reset(
        options: OptionValues, generator: inout NumPyGenerator, observation: ObservationWriter
    ) throws {
        if options.bool("fail") { throw Failure(description: "no start") }
        count = 0
        observation.store([count])
    }

    public mutating func step(
        action: ActionReader, generator: inout NumPyGenerator, observation: ObservationWriter
    ) throws -> StepResult {
        if action.integer() == 1 { throw Failure(description: "it broke") }
        count += 1
        observation.store([action.integer() == 2 ? .nan : count])
        return StepResult(reward: 1, terminated: false)
    }
}

/// test/Slow-v0: a step takes as many milliseconds as its action says. Observation: the steps of the episode.
public struct SlowEnvironment: Environment, Sendable {
    static let spec = EnvironmentSpec(id: "test/Slow-v0", summary: "Takes its time.")

    public let observationSpace = Space.box(Box(low: [Int64(0)], high: [Int64.max]))
    public let actionSpace = Space.discrete(count: 5001)
    private var count: Int64 = 0

    public mutating func reset(
        options: OptionValues, generator: inout NumPyGenerator, observation: ObservationWriter
    ) throws {
        count = 0
        observation.store([count])
    }

    public mutating func step(
        action: ActionReader, generator: inout NumPyGenerator, observation: ObservationWriter
    ) throws -> StepResult {
        usleep(UInt32(action.integer()) * 1000)
        count += 1
        observation.store([count])
        return StepResult(reward: 1, terminated: false)
    }
}
