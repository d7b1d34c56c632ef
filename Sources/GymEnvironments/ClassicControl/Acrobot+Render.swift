import Foundation
public import GymCore
import Raster

extension Acrobot: RenderableEnvironment {
    /// 500×500: two links below the line that the tip has to reach.
    public func render(mode: String) throws -> Rendering {
        try requireColors(mode, of: Acrobot.spec.id)
        let scale = 500 / 4.4  // pixels a meter
        let first = state[0] - Double.pi / 2
        let second = first + state[1]
        let top = Point(250, 250)
        let joint = turned(Point(scale, 0), angle: first, about: top)
        return Stage.picture(width: 500, height: 500) { stage in
            stage.horizontal(y: Int(scale + 250), .black)
            for (origin, angle) in [(top, first), (joint, second)] {
                stage.polygon(
                    turnedBox(left: 0, right: scale, bottom: -0.1 * scale, top: 0.1 * scale, angle: angle, at: origin),
                    Color(0, 204, 204))
                stage.disc(x: origin.x, y: origin.y, radius: 0.1 * scale, Color(204, 204, 0))
            }
        }
    }
}
