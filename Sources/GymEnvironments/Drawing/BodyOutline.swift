import Physics2D
import Raster

extension World {
    /// A body's corners in a picture.
    ///
    /// - Parameters:
    ///   - corners: in the body's frame, in pixels.
    ///   - scale: pixels a metre.
    func outline(_ body: Int, _ corners: [(Double, Double)], scale: Double) -> [Point] {
        let origin = Point(Double(position(of: body).x) * scale, Double(position(of: body).y) * scale)
        let angle = Double(angle(of: body))
        return corners.map { turned(Point($0.0, $0.1), angle: angle, about: origin) }
    }
}

/// The corners of a box about its middle.
func boxCorners(halfWidth: Double, halfHeight: Double) -> [(Double, Double)] {
    [(-halfWidth, -halfHeight), (halfWidth, -halfHeight), (halfWidth, halfHeight), (-halfWidth, halfHeight)]
}
