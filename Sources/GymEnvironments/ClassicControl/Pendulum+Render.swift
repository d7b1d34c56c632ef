import Foundation
public import GymCore
import Raster

extension Pendulum: RenderableEnvironment {
    /// 500×500: the rod about the middle, and an arrow whose size is the last torque's.
    public func render(mode: String) throws -> Rendering {
        try requireColors(mode, of: Pendulum.spec.id)
        let scale = 500 / 4.4  // pixels a meter
        let rodColor = Color(204, 77, 77)
        let middle = Point(250, 250)
        let angle = state.angle + Double.pi / 2
        let rodEnd = turned(Point(scale, 0), angle: angle, about: middle)
        return Stage.picture(width: 500, height: 500) { stage in
            stage.polygon(
                turnedBox(left: 0, right: scale, bottom: -0.1 * scale, top: 0.1 * scale, angle: angle, at: middle),
                rodColor)
            stage.disc(x: middle.x, y: middle.y, radius: 0.1 * scale, rodColor)
            stage.disc(x: rodEnd.x, y: rodEnd.y, radius: 0.1 * scale, rodColor)
            if let torque = lastTorque { Pendulum.drawArrow(torque: Double(torque), scale: scale, middle, on: stage) }
            stage.disc(x: middle.x, y: middle.y, radius: 0.05 * scale, .black)
        }
    }

    /// Three quarters of a circle about the middle, with a head that shows the way; clockwise for negative torques.
    private static func drawArrow(torque: Double, scale: Double, _ middle: Point, on stage: Stage) {
        let size = scale * abs(torque) / 2
        guard size >= 1 else { return }
        let side = torque > 0 ? -1.0 : 1.0
        func place(_ x: Double, _ y: Double) -> Point { Point(middle.x + side * size * x, middle.y + size * y) }
        let (centerX, radiusX, radiusY) = (0.03, 0.457, 0.48)
        let halfWidth = max(0.016, 0.5 / size)
        // From the top over the far side to the near one, and back.
        let steps = 48
        func edge(_ offset: Double) -> [Point] {
            (0...steps).map { step in
                let angle = Double.pi / 2 - 1.5 * Double.pi * Double(step) / Double(steps)
                return place(centerX + (radiusX + offset) * cos(angle), (radiusY + offset) * sin(angle))
            }
        }
        stage.shape(edge(halfWidth) + edge(-halfWidth).reversed(), .black)
        let head = centerX - radiusX
        stage.shape(
            [place(head, 0.135), place(head + 0.065, -0.045), place(head, 0), place(head - 0.065, -0.045)], .black)
    }
}
