import GymCore

/// The map of a frozen lake: where one starts, holes, goals.
struct LakeMap: Sendable {
    enum Tile: UInt8 {
        case start = 0x53  // S
        case frozen = 0x46  // F
        case hole = 0x48  // H
        case goal = 0x47  // G

        /// Whether the episode ends there.
        var isEnd: Bool { self == .hole || self == .goal }
    }

    /// Rows and columns that a map may have.
    static let extent = 1...512

    let rows: Int
    let columns: Int
    /// Row by row from the top left.
    let tiles: [Tile]
    /// Where an episode may start.
    let starts: [Int]

    /// A map of the given rows of tiles.
    ///
    /// - Throws: ``OptionError`` that names `option` when it is none.
    init(_ lines: [String], option: String = "desc") throws {
        let tiles = try lines.flatMap { line in
            try line.map { character in
                guard let tile = character.asciiValue.flatMap(Tile.init) else {
                    throw OptionError(
                        option: option,
                        "option '\(option)' has a tile '\(character)'; tiles are S (start), F (frozen), H (hole), G (goal)"
                    )
                }
                return tile
            }
        }
        let columns = lines.first?.count ?? 0
        guard LakeMap.extent.contains(columns), lines.allSatisfy({ $0.count == columns }) else {
            throw OptionError(
                option: option,
                "option '\(option)' has rows of \(lines.map(\.count).min() ?? 0) to \(lines.map(\.count).max() ?? 0) tiles; "
                    + "all have to have the same number, from 1 to \(LakeMap.extent.upperBound)")
        }
        self.init(rows: lines.count, columns: columns, tiles: tiles)
        guard !starts.isEmpty else {
            throw OptionError(option: option, "option '\(option)' has no start; one tile at least has to be S")
        }
    }

    private init(rows: Int, columns: Int, tiles: [Tile]) {
        self.rows = rows
        self.columns = columns
        self.tiles = tiles
        starts = tiles.indices.filter { tiles[$0] == .start }
    }

    static let small = try! LakeMap(["SFFF", "FHFH", "FFFH", "HFFG"])
    static let large = try! LakeMap([
        "SFFFFFFF", "FFFFFFFF", "FFFHFFFF", "FFFFFHFF", "FFFHFFFF", "FHHFFFHF", "FHFFHFHF", "FFFHFFFG",
    ])

    /// Maps tried before one with a way to its goal is given up.
    private static let mostTries = 10_000

    /// The square map that Gymnasium's `generate_random_map(size, p, seed)` makes: the first of those drawn that has a
    /// way from start to goal.
    ///
    /// - Parameter frozen: the probability that a tile is no hole.
    /// - Throws: ``OptionError`` when none of many has.
    static func random(size: Int, frozen: Double, seed: Int) throws -> LakeMap {
        var generator = NumPyGenerator(seed: UInt64(seed))
        // NumPy scales the cumulative probabilities so that the last is 1.
        let bound = frozen / (frozen + (1 - frozen))
        for _ in 0..<mostTries {
            var tiles = (0..<size * size).map { _ in generator.random() < bound ? Tile.frozen : .hole }
            tiles[0] = .start
            tiles[tiles.count - 1] = .goal
            let map = LakeMap(rows: size, columns: size, tiles: tiles)
            if map.hasWay { return map }
        }
        throw OptionError(
            option: "map_p",
            "none of \(mostTries) maps of \(size)×\(size) tiles, each frozen with probability \(frozen), has a way to its "
                + "goal; a larger map_p or a smaller map_size has to be given")
    }

    /// Whether the goal at the bottom right can be reached from the top left.
    private var hasWay: Bool {
        var isSeen = [Bool](repeating: false, count: tiles.count)
        var frontier = [0]
        isSeen[0] = true
        while let place = frontier.popLast() {
            if tiles[place] == .goal { return true }
            for next in 0..<4 {
                let neighbour = self.neighbour(of: place, move: next)
                if !isSeen[neighbour], tiles[neighbour] != .hole {
                    isSeen[neighbour] = true
                    frontier.append(neighbour)
                }
            }
        }
        return false
    }

    /// The tile one move away: left, down, right, up. At the edge it is the tile itself.
    @inline(__always)
    func neighbour(of place: Int, move: Int) -> Int {
        let (row, column) = place.quotientAndRemainder(dividingBy: columns)
        switch move {
        case 0: return column > 0 ? place - 1 : place
        case 1: return row + 1 < rows ? place + columns : place
        case 2: return column + 1 < columns ? place + 1 : place
        default: return row > 0 ? place - columns : place
        }
    }
}
