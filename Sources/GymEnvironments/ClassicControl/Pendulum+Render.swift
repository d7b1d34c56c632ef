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
        let radius = 0.47
        // From the top over the far side to the near one.
        let arc = (0...48).map { step in
            let angle = Double.pi / 2 - 1.5 * Double.pi * Double(step) / 48
            return place(0.02 + radius * cos(angle), radius * sin(angle))
        }
        stage.lines(arc, width: max(0.034 * size, 1), .black)
        let head = 0.02 - radius
        stage.polygon(
            [place(head, 0.14), place(head + 0.066, -0.04), place(head, 0), place(head - 0.066, -0.04)], .black)
    }
}
