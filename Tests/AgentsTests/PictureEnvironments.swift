import GymCore

/// Environments whose observations are small pictures.
enum PictureEnvironments {
    static let registry: EnvironmentRegistry = {
        var registry = EnvironmentRegistry()
        registry.register(DotEnvironment.spec) { _ in DotEnvironment() }
        registry.register(LabelEnvironment.spec) { _ in LabelEnvironment() }
        return registry
    }()

    static func batch(_ id: String, count: Int) throws -> LocalBatch {
        LocalBatch(try registry.make(id, .init(count: count, autoreset: .sameStep)))
    }
}

/// A dot on a line, and a lit half of the picture: +1 for reaching that side, −1 for the other.
///
/// Which half is lit cannot be told from one row or column of pixels, nor the dot's place: random play brings 0, and
/// so does always going one way. An episode is truncated after 20 steps.
struct DotEnvironment: RestorableEnvironment, Sendable {
    static let spec = EnvironmentSpec(id: "test/Dot-v0", summary: "Move the dot to the bright side.")
    static let side = 9
    static let stateVersion = 1

    let observationSpace = Space.box(Box(low: UInt8(0), high: 255, shape: [DotEnvironment.side, DotEnvironment.side]))
    let actionSpace = Space.discrete(count: 2)

    private var dot = 0
    private var row = 0
    private var isRightLit = false
    private var steps = 0

    mutating func reset(options: OptionValues, generator: inout NumPyGenerator, observation: ObservationWriter) throws {
        dot = generator.integer(in: 3..<6)
        row = generator.integer(in: 0..<DotEnvironment.side)
        isRightLit = generator.integer(in: 0..<2) == 1
        steps = 0
        draw(observation)
    }

    mutating func step(
        action: ActionReader, generator: inout NumPyGenerator, observation: ObservationWriter
    ) throws -> StepResult {
        dot += action.integer() == 1 ? 1 : -1
        steps += 1
        draw(observation)
        let isAtSide = dot == 0 || dot == DotEnvironment.side - 1
        return StepResult(
            reward: isAtSide ? ((dot > 0) == isRightLit ? 1 : -1) : 0, terminated: isAtSide,
            truncated: !isAtSide && steps >= 20)
    }

    private func draw(_ observation: ObservationWriter) {
        let side = DotEnvironment.side
        observation.write(as: UInt8.self) { pixels in
            for y in 0..<side {
                for x in 0..<side { pixels[y * side + x] = (x > side / 2) == isRightLit && x != side / 2 ? 80 : 0 }
            }
            pixels[row * side + dot] = 255
        }
    }

    func save(to writer: inout StateWriter) {
        for number in [dot, row, isRightLit ? 1 : 0, steps] { writer.write(UInt64(number)) }
    }

    mutating func restore(from reader: inout StateReader) throws {
        dot = Int(try reader.read(UInt64.self))
        row = Int(try reader.read(UInt64.self))
        isRightLit = try reader.read(UInt64.self) == 1
        steps = Int(try reader.read(UInt64.self))
    }
}

/// Pictures that say which episode they are of (its first draw) and which step; episodes of 1 to 6 steps, every other
/// one cut off.
struct LabelEnvironment: Environment, Sendable {
    static let spec = EnvironmentSpec(id: "test/Label-v0", summary: "Labels its frames.")

    let observationSpace = Space.box(Box(low: UInt8(0), high: 255, shape: [2, 2]))
    let actionSpace = Space.discrete(count: 2)

    private var episode: UInt8 = 0
    private var length = 0
    private var steps: UInt8 = 0

    mutating func reset(options: OptionValues, generator: inout NumPyGenerator, observation: ObservationWriter) throws {
        episode = UInt8(generator.integer(in: 1..<256))
        length = generator.integer(in: 1..<7)
        // 0 is what a stack has before an episode's first.
        steps = 1
        draw(observation)
    }

    mutating func step(
        action: ActionReader, generator: inout NumPyGenerator, observation: ObservationWriter
    ) throws -> StepResult {
        steps += 1
        draw(observation)
        let ends = Int(steps) > length
        return StepResult(reward: 1, terminated: ends && episode % 2 == 0, truncated: ends && episode % 2 == 1)
    }

    private func draw(_ observation: ObservationWriter) {
        observation.write(as: UInt8.self) { pixels in
            (pixels[0], pixels[1], pixels[2], pixels[3]) = (episode, steps, UInt8(length), 7)
        }
    }
}
