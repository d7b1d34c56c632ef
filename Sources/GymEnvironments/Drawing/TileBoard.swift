import GymCore
import Raster

/// A picture of equal tiles in rows and columns, with the figures that walk on them.
struct TileBoard {
    private let canvas: Canvas
    private let cellWidth: Int
    private let cellHeight: Int
    private let left: Int
    private let top: Int

    /// Draws on a picture of the given size, whose first tile has its top left corner at the given pixel.
    static func picture(
        width: Int, height: Int, cellWidth: Int, cellHeight: Int, left: Int = 0, top: Int = 0,
        background: Color = .black, _ body: (TileBoard) -> Void
    ) -> Rendering {
        var picture = Picture(width: width, height: height, background)
        picture.draw { canvas in
            body(TileBoard(canvas: canvas, cellWidth: cellWidth, cellHeight: cellHeight, left: left, top: top))
        }
        return .image(Tensor(dtype: .uint8, shape: [height, width, 3], bytes: picture.bytes))
    }

    /// The tile in a row and column, or so many rows and columns away from the first.
    func tile(row: Int, column: Int) -> Tile {
        Tile(
            canvas: canvas, left: left + column * cellWidth, top: top + row * cellHeight, width: cellWidth,
            height: cellHeight)
    }

    /// A tile, or a part of one. Places in it are fractions of its sides from the top left; radii and the width of
    /// lines are fractions of its shorter side.
    struct Tile {
        let canvas: Canvas
        let left: Int
        let top: Int
        let width: Int
        let height: Int

        private var side: Double { Double(min(width, height)) }

        private func place(_ x: Double, _ y: Double) -> Point {
            Point(Double(left) + x * Double(width), Double(top) + y * Double(height))
        }

        /// The largest square in the middle.
        var square: Tile {
            let side = min(width, height)
            return Tile(
                canvas: canvas, left: left + (width - side) / 2, top: top + (height - side) / 2, width: side,
                height: side)
        }

        func fill(_ color: Color) { canvas.fill(x: left, y: top, width: width, height: height, color) }

        /// Draws the tile's edge, one pixel wide.
        func frame(_ color: Color) {
            canvas.fill(x: left, y: top, width: width, height: 1, color)
            canvas.fill(x: left, y: top + height - 1, width: width, height: 1, color)
            canvas.fill(x: left, y: top, width: 1, height: height, color)
            canvas.fill(x: left + width - 1, y: top, width: 1, height: height, color)
        }

        func box(left: Double, top: Double, right: Double, bottom: Double, _ color: Color) {
            polygon([(left, top), (right, top), (right, bottom), (left, bottom)], color)
        }

        func disc(x: Double, y: Double, radius: Double, _ color: Color) {
            canvas.fillCircle(center: place(x, y), radius: radius * side, color)
        }

        func polygon(_ corners: [(Double, Double)], _ color: Color) {
            canvas.fillPolygon(corners.map(place), color)
        }

        func line(_ points: [(Double, Double)], width: Double = 0.03, _ color: Color) {
            canvas.polyline(points.map(place), width: max(width * side, 1), color)
        }

        /// A capital letter in the top left corner, that far from the edges.
        func letter(_ letter: Character, inset: Double = 0.08, _ color: Color) {
            let cell = max(Int(side) / 16, 1)
            let start = Int(inset * side)
            canvas.draw(letter, x: left + start, y: top + start, cellWidth: cell, cellHeight: cell, color)
        }

        /// A flag on its pole, in the right half of the tile.
        func flag() {
            line([(0.62, 0.3), (0.62, 0.86)], width: 0.05, Color(90, 74, 60))
            polygon([(0.64, 0.28), (0.92, 0.4), (0.64, 0.52)], Color(214, 62, 58))
        }

        /// The one who walks: a head in a hood, a coat, two feet.
        func figure() {
            let coat = Color(74, 96, 168)
            let dark = Color(44, 52, 84)
            disc(x: 0.42, y: 0.79, radius: 0.06, dark)
            disc(x: 0.58, y: 0.79, radius: 0.06, dark)
            polygon([(0.4, 0.46), (0.6, 0.46), (0.7, 0.78), (0.3, 0.78)], coat)
            line([(0.41, 0.52), (0.29, 0.66)], width: 0.07, coat)
            line([(0.59, 0.52), (0.71, 0.66)], width: 0.07, coat)
            disc(x: 0.5, y: 0.36, radius: 0.16, dark)
            disc(x: 0.5, y: 0.38, radius: 0.11, Color(244, 206, 170))
            disc(x: 0.46, y: 0.37, radius: 0.02, dark)
            disc(x: 0.54, y: 0.37, radius: 0.02, dark)
        }
    }
}
