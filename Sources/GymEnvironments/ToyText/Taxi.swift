public import GymCore

/// Taxi-v4: fetch a passenger at one of four stops and bring them to another, in a town with walls.
///
/// | action | meaning |
/// |---|---|
/// | 0 | drive south (down) |
/// | 1 | drive north (up) |
/// | 2 | drive east (right) |
/// | 3 | drive west (left) |
/// | 4 | take the passenger in |
/// | 5 | let the passenger out |
///
/// With `is_rainy` the taxi drives where it is meant to with probability `rainy_probability`, and otherwise to the left
/// or the right of it, each as likely as the other; where the way that is meant is barred, it stays.
///
/// Observation: ((row · 5 + column) · 5 + passenger) · 4 + destination, of `Discrete(500)`. The passenger waits at stop
/// 0 red, 1 green, 2 yellow, 3 blue, or is 4 in the taxi; destinations are numbered alike.
///
/// Reward: −1 for each step, 20 for letting the passenger out at the destination, −10 for taking in or letting out where
/// that cannot be done.
///
/// Start: the taxi anywhere, the passenger at a stop, the destination another one; all 300 states are equally likely.
///
/// End: the passenger is out at the destination.
///
/// With `fickle_passenger` a passenger chooses, with probability `fickle_probability`, another destination when the taxi
/// first moves with them.
///
/// Info: `prob`, the probability of what happened; `action_mask`, int8 of 6: 1 for the actions that would do something.
///
/// Source: T. Dietterich, "Hierarchical Reinforcement Learning with the MAXQ Value Function Decomposition" (2000);
/// probabilities and order of draws as Gymnasium's Taxi-v4.
public struct Taxi: RestorableEnvironment, Sendable {
    static let side = 5
    static let inTaxi = 4
    private static let actionCount = 6

    /// The town as it is shown in text: what is no colon between two places is a wall.
    static let map = [
        "+---------+", "|R: | : :G|", "| : | : : |", "| : : : : |", "| | : | : |", "|Y| : |B: |", "+---------+",
    ]

    /// Where the stops are, row · 5 + column: red, green, yellow, blue.
    static let stops: InlineArray<4, Int> = [0, 4, 20, 23]

    /// For each place and each of the four directions, the place one drives to: the same where a wall bars the way.
    private static let neighbours: [Int8] = {
        let tiles = map.map { Array($0.utf8) }
        let opening = UInt8(ascii: ":")
        return (0..<side * side).flatMap { place in
            let (row, column) = place.quotientAndRemainder(dividingBy: side)
            let east = tiles[row + 1][2 * column + 2] == opening
            let west = tiles[row + 1][2 * column] == opening
            return [
                row + 1 < side ? place + side : place, row > 0 ? place - side : place, east ? place + 1 : place,
                west ? place - 1 : place,
            ].map(Int8.init)
        }
    }()

    /// What lies to the left and to the right of each direction.
    private static let left: InlineArray<4, Int> = [2, 3, 1, 0]
    private static let right: InlineArray<4, Int> = [3, 2, 0, 1]

    /// States in which an episode may start: 25 places, 4 stops, 3 destinations.
    private static let startCount = 300
    /// The probability of each start or one before it, summed in the order of the reference: the last bits decide.
    private static let cumulativeStarts: [Double] = {
        var sum = 0.0
        return (0..<startCount).map { _ in
            sum += 1 / Double(startCount)
            return sum
        }
    }()

    /// Whether one cannot drive east from a place.
    static func hasWall(eastOf place: Int) -> Bool { neighbour(of: place, direction: 2) == place }

    public static let spec = EnvironmentSpec(
        id: "Taxi-v4", summary: "Fetch a passenger and bring them where they want to go.", maxEpisodeSteps: 200,
        rewardThreshold: 8, renderModes: ["ansi", "rgb_array"], renderFPS: 4,
        options: [
            OptionSpec(
                "is_rainy", .bool, default: .bool(false), "The taxi may drive to either side of where it is meant to."),
            OptionSpec(
                "fickle_passenger", .bool, default: .bool(false),
                "Passengers may choose another destination once they are on their way."),
            OptionSpec(
                "rainy_probability", .real(0...1), default: .real(0.8),
                "The probability that the taxi drives where it is meant to, in the rain."),
            OptionSpec(
                "fickle_probability", .real(0...1), default: .real(0.3),
                "The probability that a fickle passenger chooses another destination."),
        ])

    public let observationSpace = Space.discrete(count: side * side * 5 * 4)
    public let actionSpace = Space.discrete(count: actionCount)

    /// Straight on, to the left, to the right.
    private let outcomes: Outcomes
    private let ficklePassenger: Bool
    private let fickleProbability: Double

    /// What the observation tells.
    struct State: Hashable {
        /// Row · 5 + column.
        var place = 0
        /// A stop, or ``Taxi/inTaxi``.
        var passenger = 0
        var destination = 0

        var number: Int { (place * 5 + passenger) * 4 + destination }
    }

    private(set) var state = State()
    /// Whether the destination changes with the first move of the passenger.
    private var isFickle = false
    private var probability = 1.0
    /// `nil` after a reset.
    private(set) var lastAction: Int?
    /// The direction the taxi last drove in.
    private(set) var heading = 0

    /// An environment with the options of ``spec``.
    public init(options: OptionValues) {
        let straight = options.real("rainy_probability")
        let aside = (1 - straight) / 2
        outcomes = options.bool("is_rainy") ? Outcomes(straight, aside, aside) : Outcomes(1, 0, 0)
        ficklePassenger = options.bool("fickle_passenger")
        fickleProbability = options.real("fickle_probability")
    }

    public mutating func reset(
        options: OptionValues, generator: inout NumPyGenerator, observation: ObservationWriter
    ) throws {
        state = Taxi.start(generator.random())
        isFickle = ficklePassenger && generator.random() < fickleProbability
        probability = 1
        lastAction = nil
        heading = 0
        observation.store([Int64(state.number)])
    }

    /// The start that a number from 0 to 1 chooses.
    private static func start(_ number: Double) -> State {
        // The sums are off by rounding only, so that it is this one or a neighbour.
        var index = max(Int(number * Double(startCount)) - 1, 0)
        while index < startCount, cumulativeStarts[index] <= number { index += 1 }
        guard index < startCount else { return State() }
        let (place, rest) = index.quotientAndRemainder(dividingBy: 12)
        let (stop, other) = rest.quotientAndRemainder(dividingBy: 3)
        return State(place: place, passenger: stop, destination: another(other, than: stop))
    }

    /// The stop of the given number among the three others.
    private static func another(_ number: Int, than stop: Int) -> Int { number < stop ? number : number + 1 }

    private static func neighbour(of place: Int, direction: Int) -> Int { Int(neighbours[4 * place + direction]) }

    public mutating func step(
        action: ActionReader, generator: inout NumPyGenerator, observation: ObservationWriter
    ) throws -> StepResult {
        let action = action.integer()
        lastAction = action
        probability = 1
        var result = StepResult(reward: -1, terminated: false)
        switch action {
        case 0..<4:
            heading = action
            drive(action, outcome: outcomes.draw(&generator), generator: &generator)
        case 4:
            _ = generator.random()
            if state.passenger != Taxi.inTaxi, state.place == Taxi.stops[state.passenger] {
                state.passenger = Taxi.inTaxi
            } else {
                result.reward = -10
            }
        default:
            _ = generator.random()
            if state.passenger == Taxi.inTaxi, let stop = Taxi.stop(at: state.place) {
                state.passenger = stop
                if stop == state.destination { result = StepResult(reward: 20, terminated: true) }
            } else {
                result.reward = -10
            }
        }
        observation.store([Int64(state.number)])
        return result
    }

    private mutating func drive(_ direction: Int, outcome: Int, generator: inout NumPyGenerator) {
        probability = outcomes.probabilities[outcome]
        let place = state.place
        let ahead = Taxi.neighbour(of: place, direction: direction)
        if ahead == place { return }
        switch outcome {
        case 0: state.place = ahead
        case 1: state.place = Taxi.neighbour(of: place, direction: Taxi.left[direction])
        default: state.place = Taxi.neighbour(of: place, direction: Taxi.right[direction])
        }
        if isFickle, state.passenger == Taxi.inTaxi, state.place != place {
            isFickle = false
            state.destination = Taxi.another(generator.integer(in: 0..<3), than: state.destination)
        }
    }

    /// The stop at a place, if there is one.
    private static func stop(at place: Int) -> Int? {
        stops.indices.first { stops[$0] == place }
    }

    public var info: [InfoEntry] {
        var mask = (0..<4).map { Taxi.neighbour(of: state.place, direction: $0) != state.place }
        mask.append(state.passenger != Taxi.inTaxi && state.place == Taxi.stops[state.passenger])
        mask.append(state.passenger == Taxi.inTaxi && Taxi.stop(at: state.place) != nil)
        return [
            InfoEntry("prob", .tensor(Tensor(scalar: probability))),
            InfoEntry("action_mask", .tensor(Tensor(mask.map { $0 ? Int8(1) : 0 }))),
        ]
    }

    // MARK: Saving

    public static let stateVersion = 1

    public func save(to writer: inout StateWriter) {
        writer.write(UInt8(state.place))
        writer.write(UInt8(state.passenger))
        writer.write(UInt8(state.destination))
        writer.write(UInt8(isFickle ? 1 : 0))
        writer.write(probability)
        writer.write(Int8(lastAction ?? -1))
        writer.write(UInt8(heading))
    }

    public mutating func restore(from reader: inout StateReader) throws {
        var restored = self
        restored.state.place = try reader.read(UInt8.self, in: 0..<Taxi.side * Taxi.side, "place")
        restored.state.passenger = try reader.read(UInt8.self, in: 0..<Taxi.inTaxi + 1, "passenger")
        restored.state.destination = try reader.read(UInt8.self, in: 0..<4, "destination")
        restored.isFickle = try reader.read(UInt8.self, in: 0..<2, "fickleness") == 1
        restored.probability = try reader.readProbability()
        let action = try reader.read(Int8.self, in: -1..<Taxi.actionCount, "last action")
        restored.lastAction = action < 0 ? nil : action
        restored.heading = try reader.read(UInt8.self, in: 0..<4, "heading")
        self = restored
    }
}
