public import GymCore
import Raster

/// CliffWalking-v1: walk along a cliff from one end to the other, by the short way on its edge or a longer safe one.
///
/// | action | meaning |
/// |---|---|
/// | 0 | up |
/// | 1 | right |
/// | 2 | down |
/// | 3 | left |
///
/// With `is_slippery` the move is the one meant, or one of the two at a right angle to it, each with probability 1/3.
/// Off the edge of the map one stays where one is.
///
/// Observation: the tile one stands on, row · 12 + column, of `Discrete(48)`; there are 4 rows and 12 columns.
///
/// Reward: −1 for each step, and −100 for one over the cliff, which lies between start and goal; it leads back to the
/// start.
///
/// Start: at the bottom left, tile 36.
///
/// End: at the bottom right, tile 47. There is no time limit.
///
/// Info: `prob`, the probability of what happened; 1 after a reset.
///
/// Source: example 6.6 of R. Sutton, A. Barto, "Reinforcement Learning: An Introduction" (2nd edition, 2018);
/// probabilities and order of draws as Gymnasium's CliffWalking-v1.
public struct CliffWalking: RestorableEnvironment, Sendable {
    private static let rows = 4
    private static let columns = 12
    private static let start = 36
    private static let goal = 47
    private static let cliff = 37..<47
    private static let cliffReward = -100.0  // A hundred steps' worth.

    public static let spec = makeSpec("CliffWalking-v1", isSlippery: false)

    /// CliffWalkingSlippery-v1.
    public static let slipperySpec = makeSpec("CliffWalkingSlippery-v1", isSlippery: true)

    private static func makeSpec(_ id: String, isSlippery: Bool) -> EnvironmentSpec {
        EnvironmentSpec(
            id: id,
            summary: "Walk from one end of a\(isSlippery ? " slippery" : "") cliff to the other without falling.",
            renderModes: ["ansi", "rgb_array"], renderFPS: 4,
            options: [
                OptionSpec(
                    "is_slippery", .bool, default: .bool(isSlippery),
                    "Moves may go to either side of where they are meant, with probability 1/3 each.")
            ])
    }

    public let observationSpace = Space.discrete(count: rows * columns)
    public let actionSpace = Space.discrete(count: 4)

    /// To one side, straight on, to the other side.
    private let outcomes: Outcomes

    private(set) var place = start
    private var probability = 1.0

    /// An environment with the options of ``spec``.
    public init(options: OptionValues) {
        let third = 1.0 / 3.0
        outcomes = options.bool("is_slippery") ? Outcomes(third, third, third) : Outcomes(0, 1, 0)
    }

    public mutating func reset(
        options: OptionValues, generator: inout NumPyGenerator, observation: ObservationWriter
    ) throws {
        // The reference draws a number here, too, though there is one start only.
        _ = generator.random()
        place = CliffWalking.start
        probability = 1
        observation.store([Int64(place)])
    }

    public mutating func step(
        action: ActionReader, generator: inout NumPyGenerator, observation: ObservationWriter
    ) throws -> StepResult {
        let outcome = outcomes.draw(&generator)
        probability = outcomes.probabilities[outcome]
        place = CliffWalking.neighbour(of: place, move: (action.integer() + outcome + 3) & 3)
        let falls = CliffWalking.cliff.contains(place)
        if falls { place = CliffWalking.start }
        observation.store([Int64(place)])
        return StepResult(reward: falls ? CliffWalking.cliffReward : -1, terminated: place == CliffWalking.goal)
    }

    /// The tile one move away: up, right, down, left. At the edge it is the tile itself.
    private static func neighbour(of place: Int, move: Int) -> Int {
        let (row, column) = place.quotientAndRemainder(dividingBy: columns)
        switch move {
        case 0: return row > 0 ? place - columns : place
        case 1: return column + 1 < columns ? place + 1 : place
        case 2: return row + 1 < rows ? place + columns : place
        default: return column > 0 ? place - 1 : place
        }
    }

    public var info: [InfoEntry] { [InfoEntry("prob", .tensor(Tensor(scalar: probability)))] }

    // MARK: Saving

    public static let stateVersion = 1

    public func save(to writer: inout StateWriter) {
        writer.write(UInt8(place))
        writer.write(probability)
    }

    public mutating func restore(from reader: inout StateReader) throws {
        let place = try reader.read(UInt8.self, in: 0..<CliffWalking.rows * CliffWalking.columns, "tile")
        guard !CliffWalking.cliff.contains(place) else { throw StateError("the state is on the cliff, tile \(place)") }
        probability = try reader.readProbability()
        self.place = place
    }
}

extension CliffWalking: RenderableEnvironment {
    /// `ansi`: the map, `x` where one stands, `C` the cliff, `T` the goal. `rgb_array`: tiles of 64×64 pixels.
    public func render(mode: String) throws -> Rendering { mode == "ansi" ? .text(text) : picture }

    private var text: String {
        (0..<CliffWalking.rows).map { row in
            (0..<CliffWalking.columns).map { column in
                let index = row * CliffWalking.columns + column
                if index == place { return "x" }
                if index == CliffWalking.goal { return "T" }
                return CliffWalking.cliff.contains(index) ? "C" : "o"
            }.joined(separator: "  ") + "\n"
        }.joined() + "\n"
    }

    private var picture: Rendering {
        let side = 64
        return TileBoard.picture(
            width: CliffWalking.columns * side, height: CliffWalking.rows * side, cellWidth: side, cellHeight: side
        ) { board in
            for index in 0..<CliffWalking.rows * CliffWalking.columns {
                let (row, column) = index.quotientAndRemainder(dividingBy: CliffWalking.columns)
                let tile = board.tile(row: row, column: column)
                tile.fill(Color(172, 202, 122))
                if (row * 5 + column * 3) % 7 < 2 { grass(on: tile) }
                tile.frame(Color(150, 182, 104))
                if CliffWalking.cliff.contains(index) { cliff(on: tile, column: column) }
                if index == CliffWalking.start { tile.letter("S", Color(72, 92, 48)) }
                if index == CliffWalking.goal {
                    tile.letter("G", Color(72, 92, 48))
                    tile.flag()
                }
                if index == place { tile.figure() }
            }
        }
    }

    private func grass(on tile: TileBoard.Tile) {
        let blade = Color(130, 168, 84)
        for x in [0.68, 0.74, 0.8] { tile.line([(x, 0.86), (x + 0.03, 0.74)], width: 0.03, blade) }
    }

    /// The edge, and the rock that falls away below it.
    private func cliff(on tile: TileBoard.Tile, column: Int) {
        tile.fill(Color(64, 54, 60))
        tile.polygon([(0, 0), (1, 0), (1, 0.2), (0.72, 0.3), (0.45, 0.22), (0.2, 0.32), (0, 0.2)], Color(128, 100, 76))
        let crack = Color(44, 36, 42)
        if column.isMultiple(of: 2) {
            tile.line([(0.3, 0.4), (0.38, 0.62), (0.28, 0.88)], crack)
            tile.line([(0.7, 0.5), (0.78, 0.8)], crack)
        } else {
            tile.line([(0.62, 0.38), (0.54, 0.66), (0.66, 0.9)], crack)
            tile.line([(0.22, 0.56), (0.16, 0.82)], crack)
        }
    }
}
