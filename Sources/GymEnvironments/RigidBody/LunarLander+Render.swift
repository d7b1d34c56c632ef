import Foundation
public import GymCore
import Physics2D
import Raster

extension LunarLander: RenderableEnvironment {
    /// 600×400: the lander above the moon, flags beside the pad, puffs behind the engines that burn.
    public func render(mode: String) throws -> Rendering {
        try requireColors(mode, of: LunarLander.spec.id)
        let simulation = simulation
        let scale = Simulation.scale
        let height = Simulation.height * scale
        return Stage.picture(width: 600, height: 400) { stage in
            // The moon is what the sky leaves white.
            for i in 0..<Simulation.chunks - 1 {
                let (left, right) = (Simulation.groundX(i) * scale, Simulation.groundX(i + 1) * scale)
                stage.polygon(
                    [
                        Point(left, simulation.ground[i] * scale), Point(right, simulation.ground[i + 1] * scale),
                        Point(right, height), Point(left, height),
                    ], .black)
            }
            LunarLander.drawPuffs(simulation, on: stage)
            let world = simulation.world
            let leg = boxCorners(
                halfWidth: Simulation.legHalfWidth * scale, halfHeight: Simulation.legHalfHeight * scale)
            for (body, corners) in [
                (simulation.lander, Simulation.outline), (simulation.legs[0], leg), (simulation.legs[1], leg),
            ] {
                stage.polygon(
                    world.pointee.outline(body, corners, scale: scale), Color(128, 102, 230),
                    outline: Color(77, 77, 128))
            }
            // The pad reaches over two of the ground's segments.
            for side in [-1, 1] {
                flag(
                    at: Point(Simulation.groundX(Simulation.chunks / 2 + side) * scale, Simulation.padHeight * scale),
                    on: stage, pole: .white, cloth: Color(204, 204, 0))
            }
        }
    }

    /// Three puffs behind each engine that burnt in the last step, cooling with their distance.
    private static func drawPuffs(_ simulation: Simulation, on stage: Stage) {
        let throttle = simulation.throttle
        let world = simulation.world
        let origin = Point(
            Double(world.pointee.position(of: simulation.lander).x) * Simulation.scale,
            Double(world.pointee.position(of: simulation.lander).y) * Simulation.scale)
        let angle = Double(world.pointee.angle(of: simulation.lander))
        let colors = [Color(255, 128, 128), Color(217, 102, 102), Color(166, 64, 64)]
        for (index, color) in colors.enumerated() {
            let distance = 8 + 9 * Double(index)
            if throttle.main > 0 {
                let place = turned(Point(0, -10 - distance * throttle.main), angle: angle, about: origin)
                stage.disc(x: place.x, y: place.y, radius: 3, color)
            }
            if throttle.side > 0 {
                let place = turned(
                    Point(-throttle.direction * (14 + 0.7 * distance * throttle.side), 14), angle: angle, about: origin)
                stage.disc(x: place.x, y: place.y, radius: 2, color)
            }
        }
    }
}
