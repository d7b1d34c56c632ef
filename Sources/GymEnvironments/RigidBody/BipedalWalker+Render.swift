import Foundation
public import GymCore
import Physics2D
import Raster

extension BipedalWalker: RenderableEnvironment {
    /// 600×400: the walker a fifth from the left, the ground it walks on, clouds that move half as fast.
    public func render(mode: String) throws -> Rendering {
        try requireColors(mode, of: BipedalWalker.spec.id)
        let simulation = simulation
        let scale = Simulation.scale
        let width = Simulation.viewportWidth
        let world = simulation.world
        let terrain = simulation.terrain
        // Pixels that the view has moved to the right.
        let scroll = max(Double(world.pointee.position(of: simulation.hull).x) * scale - width / 5, 0)
        func place(_ x: Double, _ y: Double) -> Point { Point(x * scale - scroll, y * scale) }
        return Stage.picture(width: 600, height: 400, background: Color(215, 215, 255)) { stage in
            for start in stride(from: 0, to: terrain.clouds.count, by: 10) {
                stage.polygon(
                    stride(from: start, to: start + 10, by: 2).map {
                        Point(terrain.clouds[$0] * scale - scroll / 2, terrain.clouds[$0 + 1] * scale)
                    }, .white)
            }
            let first = max(Int(scroll / (Terrain.step * scale)), 0)
            let last = min(Int((scroll + width) / (Terrain.step * scale)) + 1, terrain.heights.count - 1)
            for i in first..<max(last, first) {
                let (left, right) = (Double(i) * Terrain.step, Double(i + 1) * Terrain.step)
                stage.polygon(
                    [
                        place(left, terrain.heights[i]), place(right, terrain.heights[i + 1]), place(right, 0),
                        place(left, 0),
                    ], Color(102, 153, 76))
            }
            for i in first..<max(last, first) {
                stage.lines(
                    [
                        place(Double(i) * Terrain.step, terrain.heights[i]),
                        place(Double(i + 1) * Terrain.step, terrain.heights[i + 1]),
                    ], i % 2 == 0 ? Color(76, 255, 76) : Color(76, 204, 76))
            }
            for start in stride(from: 0, to: terrain.obstacles.count, by: 8) {
                stage.polygon(
                    stride(from: start, to: start + 8, by: 2).map {
                        place(terrain.obstacles[$0], terrain.obstacles[$0 + 1])
                    }, .white, outline: Color(gray: 153))
            }
            func draw(_ body: Int, _ corners: [(Double, Double)], _ color: Color, outline: Color) {
                let corners = world.pointee.outline(body, corners, scale: scale).map { Point($0.x - scroll, $0.y) }
                stage.polygon(corners, color, outline: outline)
            }
            let half = (Simulation.legWidth * scale / 2, Simulation.legHeight * scale / 2)
            for leg in 0..<4 {
                // The farther leg is the lighter one; lower legs are thinner.
                let isFar = leg < 2
                draw(
                    simulation.legs[leg],
                    boxCorners(halfWidth: leg % 2 == 0 ? half.0 : 0.8 * half.0, halfHeight: half.1),
                    isFar ? Color(178, 101, 152) : Color(128, 51, 102),
                    outline: isFar ? Color(127, 76, 101) : Color(77, 26, 51))
            }
            draw(simulation.hull, Simulation.hullOutline, Color(127, 51, 229), outline: Color(76, 76, 127))
            flag(
                at: place(3 * Terrain.step, Terrain.height), on: stage, pole: .black, cloth: Color(230, 51, 0),
                outline: .black)
        }
    }
}
