import Foundation
public import GymCore
import Physics2D
import Raster

extension LunarLander: RenderableEnvironment {
    /// 600×400: the lander with its exhaust above the moon, the pad between the flags.
    public func render(mode: String) throws -> Rendering {
        try requireColors(mode, of: LunarLander.spec.id)
        return simulation.picture()
    }
}

extension LunarLander.Simulation {
    /// What an engine threw out in a step: decoration, which flies on its own and meets nothing.
    struct Exhaust {
        var position = (0.0, 0.0)  // m
        var velocity = (0.0, 0.0)  // m/s
        /// From 1 to 0 as it cools; gone below.
        var heat = -1.0

        /// What is lost of the heat in a step.
        static let cooling = 0.15
    }

    /// Adds the exhaust of an engine: a disc of 2 pixels that takes the impulse which pushes the lander back.
    func addExhaust(at position: (Double, Double), impulse: (Double, Double), density: Double, heat: Double) {
        let radius = 2 / LunarLander.Simulation.scale
        let mass = density * Double.pi * radius * radius
        exhaust[nextExhaust] = Exhaust(
            position: position, velocity: (impulse.0 / mass, impulse.1 / mass), heat: heat)
        nextExhaust = (nextExhaust + 1) % exhaust.count
    }

    /// Lets the exhaust fly for a step.
    func moveExhaust(gravity: Double) {
        let dt = 1 / LunarLander.Simulation.framesPerSecond
        for i in exhaust.indices where exhaust[i].heat >= 0 {
            exhaust[i].velocity.1 += gravity * dt
            exhaust[i].position.0 += exhaust[i].velocity.0 * dt
            exhaust[i].position.1 += exhaust[i].velocity.1 * dt
            exhaust[i].heat -= Exhaust.cooling
        }
    }

    /// The present state.
    func picture() -> Rendering {
        let scale = LunarLander.Simulation.scale
        let (width, height) = (LunarLander.Simulation.width * scale, LunarLander.Simulation.height * scale)
        return Stage.picture(width: Int(width), height: Int(height.rounded())) { stage in
            for i in 0..<LunarLander.Simulation.chunks - 1 {
                let left = LunarLander.Simulation.groundX(i) * scale
                let right = LunarLander.Simulation.groundX(i + 1) * scale
                stage.polygon(
                    [
                        Point(left, ground[i] * scale), Point(right, ground[i + 1] * scale), Point(right, height),
                        Point(left, height),
                    ], .black)
            }
            drawExhaust(stage)
            for body in [lander, legs[0], legs[1]] {
                let corners = world.pointee.corners(of: body, scale: scale)
                stage.polygon(corners, Color(128, 102, 230), outline: Color(77, 77, 128))
            }
            // The pad's ends are points 4 and 6 of the ground.
            for i in [4, 6] {
                let foot = Point(
                    LunarLander.Simulation.groundX(i) * scale, LunarLander.Simulation.padHeight * scale)
                flag(at: foot, on: stage, pole: .white, cloth: Color(204, 204, 0))
            }
        }
    }

    private func drawExhaust(_ stage: Stage) {
        let scale = LunarLander.Simulation.scale
        for i in exhaust.indices where exhaust[i].heat >= 0 {
            let heat = exhaust[i].heat
            let red = UInt8(min(max(0.2, 0.15 + heat), 1) * 255)
            let other = UInt8(min(max(0.2, 0.5 * heat), 1) * 255)
            stage.disc(
                x: exhaust[i].position.0 * scale, y: exhaust[i].position.1 * scale, radius: 2,
                Color(red, other, other))
        }
    }
}
