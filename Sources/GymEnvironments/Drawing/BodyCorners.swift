import Physics2D
import Raster

extension World {
    /// The corners of a body's newest fixture, in pixels.
    func corners(of body: Int, scale: Double) -> [Point] {
        let transform = transform(of: body)
        return outline(ofBody: body).map { vertex in
            let place = transform.apply(vertex)
            return Point(Double(place.x) * scale, Double(place.y) * scale)
        }
    }
}
