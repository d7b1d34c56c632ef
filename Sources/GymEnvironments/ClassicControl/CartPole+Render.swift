public import GymCore
import Raster

extension CartPole: RenderableEnvironment {
    /// 600×400: the cart on its line, the pole on its axle.
    public func render(mode: String) throws -> Rendering {
        try requireColors(mode, of: CartPole.spec.id)
        let scale = 600 / 4.8  // pixels a meter: the limits of ±2.4 m from edge to edge
        let poleWidth = 10.0
        let poleLength = scale
        let ground = 100.0
        let axle = Point(state.position * scale + 300, ground + 7.5)
        return Stage.picture(width: 600, height: 400) { stage in
            stage.polygon(
                turnedBox(left: -25, right: 25, bottom: -15, top: 15, angle: 0, at: Point(axle.x, ground)), .black)
            stage.polygon(
                turnedBox(
                    left: -poleWidth / 2, right: poleWidth / 2, bottom: -poleWidth / 2,
                    top: poleLength - poleWidth / 2, angle: -state.angle, at: axle),
                Color(202, 152, 101))
            stage.disc(x: axle.x, y: axle.y, radius: poleWidth / 2, Color(129, 132, 203))
            stage.horizontal(y: Int(ground), .black)
        }
    }
}
