public import GymCore
import Raster

/// FrozenLake-v1: cross a frozen lake to the goal without falling into a hole, on ice that lets one slip.
///
/// | action | meaning |
/// |---|---|
/// | 0 | left |
/// | 1 | down |
/// | 2 | right |
/// | 3 | up |
///
/// On slippery ice the move is the one meant with probability `success_rate`, and otherwise one of the two at a right
/// angle to it, each as likely as the other. Off the edge one stays where one is.
///
/// Observation: the tile one stands on, row · columns + column, of `Discrete(rows · columns)`.
///
/// Reward: `reward_schedule` has that for reaching the goal, a hole, and any other tile; by default 1, 0, 0.
///
/// Start: on a tile S, each as likely as the others.
///
/// End: on the goal or in a hole.
///
/// Info: `prob`, the probability of what happened; 1 after a reset.
///
/// Source: maps, probabilities and order of draws as Gymnasium's FrozenLake-v1.
public struct FrozenLake: RestorableEnvironment, Sendable {
    public static let spec = makeSpec("FrozenLake-v1", "a lake of 4×4 tiles", map: "4x4", steps: 100, threshold: 0.70)

    /// FrozenLake8x8-v1.
    public static let largeSpec = makeSpec(
        "FrozenLake8x8-v1", "a lake of 8×8 tiles", map: "8x8", steps: 200, threshold: 0.85)

    private static func makeSpec(
        _ id: String, _ lake: String, map: String, steps: Int, threshold: Double
    ) -> EnvironmentSpec {
        EnvironmentSpec(
            id: id, summary: "Cross \(lake), slipping on the ice and round its holes.", maxEpisodeSteps: steps,
            rewardThreshold: threshold, renderModes: ["ansi", "rgb_array"], renderFPS: 4,
            options: [
                OptionSpec(
                    "desc",
                    .list(of: .text(maxLength: LakeMap.extent.upperBound), count: 0...LakeMap.extent.upperBound),
                    default: .list([]),
                    "The map's rows, from the letters S (start), F (frozen), H (hole), G (goal); none: map_name's."),
                OptionSpec(
                    "map_name", .choice(["4x4", "8x8", "random"]), default: .text(map),
                    "The map where desc has none; random: that of Gymnasium's generate_random_map(map_size, map_p, map_seed)."
                ),
                OptionSpec("map_size", .integer(2...128), default: .integer(8), "Rows and columns of a random map."),
                OptionSpec(
                    "map_p", .real(0...1), default: .real(0.8),
                    "The probability that a tile of a random map is frozen."),
                OptionSpec("map_seed", .integer(0...Int.max), default: .integer(0), "Seeds a random map."),
                OptionSpec(
                    "is_slippery", .bool, default: .bool(true), "Moves may go to either side of where they are meant."),
                OptionSpec(
                    "success_rate", .real(0...1), default: .real(1.0 / 3.0),
                    "The probability that a move on slippery ice goes where it is meant."),
                OptionSpec(
                    "reward_schedule", .list(of: .anyReal, count: 3...3),
                    default: .list([.real(1), .real(0), .real(0)]),
                    "The rewards for reaching the goal, a hole, and any other tile."),
            ])
    }

    public let observationSpace: Space
    public let actionSpace = Space.discrete(count: 4)

    private let map: LakeMap
    /// To one side, straight on, to the other side.
    private let outcomes: Outcomes
    private let goalReward: Double
    private let holeReward: Double
    private let iceReward: Double

    private(set) var place = 0
    /// `nil` after a reset.
    private var lastAction: Int?
    private var probability = 1.0

    /// An environment with the options of ``spec``.
    ///
    /// - Throws: ``OptionError`` when there is no map as the options say.
    public init(options: OptionValues) throws {
        let rows = options.texts("desc")
        map =
            if !rows.isEmpty {
                try LakeMap(rows)
            } else {
                switch options.text("map_name") {
                case "4x4": .small
                case "8x8": .large
                default:
                    try .random(
                        size: options.integer("map_size"), frozen: options.real("map_p"),
                        seed: options.integer("map_seed"))
                }
            }
        let success = options.real("success_rate")
        let aside = (1 - success) / 2
        outcomes = options.bool("is_slippery") ? Outcomes(aside, success, aside) : Outcomes(0, 1, 0)
        let rewards = options.reals("reward_schedule")
        (goalReward, holeReward, iceReward) = (rewards[0], rewards[1], rewards[2])
        observationSpace = .discrete(count: map.tiles.count)
    }

    public mutating func reset(
        options: OptionValues, generator: inout NumPyGenerator, observation: ObservationWriter
    ) throws {
        place = start(generator.random())
        lastAction = nil
        probability = 1
        observation.store([Int64(place)])
    }

    /// The start that a number from 0 to 1 chooses, by the reference's sums.
    private func start(_ number: Double) -> Int {
        let share = 1 / Double(map.starts.count)
        var sum = 0.0
        for start in map.starts {
            sum += share
            if sum > number { return start }
        }
        return 0
    }

    public mutating func step(
        action: ActionReader, generator: inout NumPyGenerator, observation: ObservationWriter
    ) throws -> StepResult {
        let action = action.integer()
        let outcome = outcomes.draw(&generator)
        guard !map.tiles[place].isEnd else {
            probability = 1
            lastAction = action
            observation.store([Int64(place)])
            return StepResult(reward: 0, terminated: true)
        }
        place = map.neighbour(of: place, move: (action + outcome + 3) & 3)
        lastAction = action
        probability = outcomes.probabilities[outcome]
        observation.store([Int64(place)])
        return switch map.tiles[place] {
        case .goal: StepResult(reward: goalReward, terminated: true)
        case .hole: StepResult(reward: holeReward, terminated: true)
        case .start, .frozen: StepResult(reward: iceReward, terminated: false)
        }
    }

    public var info: [InfoEntry] { [InfoEntry("prob", .tensor(Tensor(scalar: probability)))] }

    // MARK: Saving

    public static let stateVersion = 1

    public func save(to writer: inout StateWriter) {
        writer.write(Int32(place))
        writer.write(Int8(lastAction ?? -1))
        writer.write(probability)
    }

    public mutating func restore(from reader: inout StateReader) throws {
        let place = try reader.read(Int32.self, in: 0..<map.tiles.count, "tile")
        let action = try reader.read(Int8.self, in: -1..<4, "last action")
        probability = try reader.readProbability()
        self.place = place
        lastAction = action < 0 ? nil : action
    }
}

extension FrozenLake: RenderableEnvironment {
    /// `ansi`: the last action and the map, where one stands in red. `rgb_array`: tiles of 64×64 pixels, smaller ones
    /// where a side would be longer than 512.
    public func render(mode: String) throws -> Rendering { mode == "ansi" ? .text(text) : picture }

    private var text: String {
        var text = lastAction.map { "  (\(["Left", "Down", "Right", "Up"][$0]))\n" } ?? "\n"
        for (index, tile) in map.tiles.enumerated() {
            let letter = String(UnicodeScalar(tile.rawValue))
            text += index == place ? colored(letter, .red, highlight: true) : letter
            if (index + 1) % map.columns == 0 { text += "\n" }
        }
        return text
    }

    private var picture: Rendering {
        let width = min(64 * map.columns, 512)
        let height = min(64 * map.rows, 512)
        return TileBoard.picture(
            width: width, height: height, cellWidth: width / map.columns, cellHeight: height / map.rows
        ) { board in
            for (index, kind) in map.tiles.enumerated() {
                draw(kind, on: board.tile(row: index / map.columns, column: index % map.columns), index: index)
            }
            if map.tiles[place] != .hole {
                board.tile(row: place / map.columns, column: place % map.columns).figure()
            }
        }
    }

    private func draw(_ kind: LakeMap.Tile, on tile: TileBoard.Tile, index: Int) {
        tile.fill(Color(222, 238, 250))
        switch kind {
        case .hole:
            tile.disc(x: 0.5, y: 0.5, radius: 0.42, Color(164, 200, 228))
            tile.disc(x: 0.5, y: 0.53, radius: 0.36, Color(26, 62, 104))
            tile.disc(x: 0.5, y: 0.58, radius: 0.28, Color(16, 42, 78))
        case .frozen:
            let crack = Color(176, 206, 230)
            switch (index % map.columns * 3 + index / map.columns * 5) % 7 {
            case 0: tile.line([(0.15, 0.3), (0.4, 0.42), (0.48, 0.68), (0.7, 0.8)], crack)
            case 1: tile.line([(0.85, 0.2), (0.6, 0.35), (0.62, 0.6), (0.35, 0.75)], crack)
            default: break
            }
        case .start: tile.letter("S", Color(92, 120, 150))
        case .goal:
            tile.letter("G", Color(92, 120, 150))
            tile.flag()
        }
        tile.frame(Color(180, 200, 230))
    }
}
