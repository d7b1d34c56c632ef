public import GymCore
import Raster

extension Taxi: RenderableEnvironment {
    /// `ansi`: the town, the taxi in yellow or, with its passenger, in green, the passenger in blue, the destination in
    /// magenta, and the last action. `rgb_array`: the town in 536×456 pixels.
    public func render(mode: String) throws -> Rendering { mode == "ansi" ? .text(text) : picture }

    private var text: String {
        var rows = Taxi.map.map { $0.map(String.init) }
        func mark(_ place: Int, _ change: (String) -> String) {
            let (row, column) = place.quotientAndRemainder(dividingBy: Taxi.side)
            rows[row + 1][2 * column + 1] = change(rows[row + 1][2 * column + 1])
        }
        if state.passenger == Taxi.inTaxi {
            mark(state.place) { colored($0 == " " ? "_" : $0, .green, highlight: true) }
        } else {
            mark(state.place) { colored($0, .yellow, highlight: true) }
            mark(Taxi.stops[state.passenger]) { colored($0, .blue, bold: true) }
        }
        mark(Taxi.stops[state.destination]) { colored($0, .magenta) }
        let actions = ["South", "North", "East", "West", "Pickup", "Dropoff"]
        return rows.map { $0.joined() + "\n" }.joined() + (lastAction.map { "  (\(actions[$0]))\n" } ?? "\n")
    }

    private static let stopColors = [
        Color(206, 94, 88), Color(140, 182, 108), Color(232, 196, 88), Color(112, 150, 204),
    ]
    private static let ink = Color(56, 56, 68)

    private var picture: Rendering {
        let (left, top, cellWidth, cellHeight) = (48, 128, 88, 56)
        return TileBoard.picture(
            width: 536, height: 456, cellWidth: cellWidth, cellHeight: cellHeight, left: left, top: top,
            background: Color(250, 250, 246)
        ) { board in
            func tile(_ place: Int) -> TileBoard.Tile {
                board.tile(row: place / Taxi.side, column: place % Taxi.side)
            }
            for place in 0..<Taxi.side * Taxi.side {
                tile(place).fill(Color(232, 231, 226))
                tile(place).frame(Color(208, 206, 198))
            }
            for (index, letter) in "RGYB".enumerated() {
                let stop = tile(Taxi.stops[index])
                stop.box(left: 0.04, top: 0.06, right: 0.96, bottom: 0.94, Taxi.stopColors[index])
                if index == state.destination { drawDestination(stop) }
                stop.letter(letter, inset: 0.2, .white)
            }
            drawWalls(tile)
            if state.passenger != Taxi.inTaxi { tile(Taxi.stops[state.passenger]).square.figure() }
            drawTaxi(on: tile(state.place).square)
        }
    }

    private func drawWalls(_ tile: (Int) -> TileBoard.Tile) {
        let half = 0.05
        for place in 0..<Taxi.side * Taxi.side {
            let (row, column) = place.quotientAndRemainder(dividingBy: Taxi.side)
            let here = tile(place)
            if column == 0 { here.box(left: -half, top: -half, right: half / 2, bottom: 1 + half, Taxi.ink) }
            if Taxi.hasWall(eastOf: place) {
                here.box(left: 1 - half / 2, top: -half, right: 1 + half / 2, bottom: 1 + half, Taxi.ink)
            }
            if row == 0 { here.box(left: -half, top: -half, right: 1 + half, bottom: 0, Taxi.ink) }
            if row == Taxi.side - 1 { here.box(left: -half, top: 1, right: 1 + half, bottom: 1 + half, Taxi.ink) }
        }
    }

    /// A frame around the stop.
    private func drawDestination(_ stop: TileBoard.Tile) {
        stop.line(
            [(0.08, 0.12), (0.92, 0.12), (0.92, 0.88), (0.08, 0.88), (0.08, 0.12)], width: 0.09, Taxi.ink)
    }

    /// A car from the side for east and west, from above for south and north, its roof green when it has a passenger.
    private func drawTaxi(on tile: TileBoard.Tile) {
        let yellow = Color(236, 190, 62)
        let roof = state.passenger == Taxi.inTaxi ? Color(84, 160, 92) : yellow
        let glass = Color(186, 214, 232)
        func draw(_ x: Double) -> Double { heading == 3 ? 1 - x : x }
        if heading < 2 {
            func along(_ y: Double) -> Double { heading == 1 ? 1 - y : y }
            tile.box(left: 0.26, top: 0.08, right: 0.74, bottom: 0.92, Taxi.ink)
            tile.box(left: 0.3, top: 0.11, right: 0.7, bottom: 0.89, yellow)
            tile.box(left: 0.33, top: 0.34, right: 0.67, bottom: 0.66, roof)
            tile.polygon([(0.33, along(0.64)), (0.67, along(0.64)), (0.63, along(0.76)), (0.37, along(0.76))], glass)
            tile.box(left: 0.42, top: 0.46, right: 0.58, bottom: 0.54, Taxi.ink)
            for x in [0.35, 0.65] { tile.disc(x: x, y: along(0.86), radius: 0.04, .white) }
        } else {
            tile.polygon([(draw(0.24), 0.42), (draw(0.34), 0.22), (draw(0.64), 0.22), (draw(0.76), 0.42)], Taxi.ink)
            tile.polygon([(draw(0.28), 0.42), (draw(0.37), 0.26), (draw(0.62), 0.26), (draw(0.72), 0.42)], roof)
            tile.polygon([(draw(0.53), 0.41), (draw(0.53), 0.28), (draw(0.61), 0.28), (draw(0.68), 0.41)], glass)
            tile.box(left: 0.06, top: 0.4, right: 0.94, bottom: 0.7, Taxi.ink)
            tile.box(left: 0.09, top: 0.43, right: 0.91, bottom: 0.67, yellow)
            tile.box(left: 0.42, top: 0.13, right: 0.54, bottom: 0.22, Taxi.ink)
            tile.disc(x: draw(0.88), y: 0.51, radius: 0.04, .white)
            for x in [0.27, 0.73] {
                tile.disc(x: x, y: 0.72, radius: 0.12, Taxi.ink)
                tile.disc(x: x, y: 0.72, radius: 0.05, Color(190, 190, 190))
            }
        }
    }
}
