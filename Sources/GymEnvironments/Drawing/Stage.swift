import Foundation
import GymCore
import Raster

/// A picture whose y grows upwards and whose integer coordinates are the centers of pixels, as the reference draws
/// before it turns its pictures over. Shapes cover the pixels on their outline, as there.
struct Stage {
    private let canvas: Canvas

    /// Draws on a picture of the given size and color.
    static func picture(
        width: Int, height: Int, background: Color = .white, _ body: (Stage) -> Void
    ) -> Rendering {
        var picture = Picture(width: width, height: height, background)
        picture.draw { body(Stage(canvas: $0)) }
        return .image(Tensor(dtype: .uint8, shape: [height, width, 3], bytes: picture.bytes))
    }

    private func place(_ point: Point) -> Point {
        Point(point.x + 0.5, Double(canvas.height) - 0.5 - point.y)
    }

    /// Fills a polygon and its outline.
    func polygon(_ corners: [Point], _ color: Color) {
        let corners = corners.map(place)
        canvas.fillPolygon(corners, color)
        canvas.polyline(corners + corners.prefix(1), color)
    }

    /// Fills a polygon and draws its outline in another color.
    func polygon(_ corners: [Point], _ color: Color, outline: Color) {
        polygon(corners, color)
        lines(corners + corners.prefix(1), outline)
    }

    /// Fills a polygon without its outline.
    func shape(_ corners: [Point], _ color: Color) {
        canvas.fillPolygon(corners.map(place), color)
    }

    /// Fills a disc of whole pixels around a pixel, its rim included.
    func disc(x: Double, y: Double, radius: Double, _ color: Color) {
        let center = place(Point(x.rounded(.towardZero), y.rounded(.towardZero)))
        canvas.fillCircle(center: center, radius: radius.rounded(.towardZero) + 0.5, color)
    }

    /// Draws lines one pixel wide from point to point.
    func lines(_ points: [Point], _ color: Color) {
        canvas.polyline(points.map(place), color)
    }

    /// Fills a row of pixels from edge to edge.
    func horizontal(y: Int, _ color: Color) {
        canvas.fill(x: 0, y: canvas.height - 1 - y, width: canvas.width, height: 1, color)
    }
}

/// A box by its edges, turned about the origin and moved: `left` to `right` along the angle, `bottom` to `top` across.
func turnedBox(
    left: Double, right: Double, bottom: Double, top: Double, angle: Double, at origin: Point
) -> [Point] {
    [(left, bottom), (left, top), (right, top), (right, bottom)].map { corner in
        turned(Point(corner.0, corner.1), angle: angle, about: origin)
    }
}

/// A point turned about the origin, anticlockwise where y grows upwards, then moved.
func turned(_ point: Point, angle: Double, about origin: Point) -> Point {
    Point(
        origin.x + point.x * cos(angle) - point.y * sin(angle), origin.y + point.x * sin(angle) + point.y * cos(angle))
}

/// A flag on a pole of 50 pixels, as it marks goals.
func flag(at foot: Point, on stage: Stage, pole: Color, cloth: Color, outline: Color? = nil) {
    stage.lines([foot, Point(foot.x, foot.y + 50)], pole)
    let corners = [
        Point(foot.x, foot.y + 50), Point(foot.x, foot.y + 40), Point(foot.x + 25, foot.y + 45),
    ]
    stage.polygon(corners, cloth, outline: outline ?? cloth)
}

/// Checks that a render mode is the one there is.
///
/// - Throws: ``StateError`` that names the mode.
func requireColors(_ mode: String, of id: String) throws {
    guard mode == "rgb_array" else { throw StateError("\(id) has no render mode '\(mode)'; it has rgb_array") }
}
