import Foundation
public import GymCore
import Raster

extension BipedalWalker: RenderableEnvironment {
    /// 600×400: the walker a fifth from the left, on its ground, with one of the lidar's rays now and then.
    public mutating func render(mode: String) throws -> Rendering {
        try requireColors(mode, of: isHardcore ? BipedalWalker.hardcoreSpec.id : BipedalWalker.spec.id)
        return simulation.picture()
    }
}

extension BipedalWalker.Simulation {
    /// The present state.
    func picture() -> Rendering {
        let (width, height) = (BipedalWalker.Simulation.viewportWidth, BipedalWalker.Simulation.viewportHeight)
        let scale = BipedalWalker.Simulation.scale
        let position = world.pointee.position(of: hull)
        let scroll = Double(position.x) - width / scale / 5
        // The reference's picture grows with the way and shows its last 600 columns.
        let shift = (max(0, scroll) * scale).rounded(.down)
        func moved(_ points: [Point]) -> [Point] { points.map { Point($0.x - shift, $0.y) } }
        lidarFrame = (lidarFrame + 1) % 100

        return Stage.picture(width: Int(width), height: Int(height), background: .black) { stage in
            // Left of x = 4 m the reference's sky ends before the picture does.
            stage.shape(
                rectangle(left: -1, right: min(0, scroll) * scale + width, height: height), Color(215, 215, 255))
            drawClouds(stage, scroll: scroll, moved)
            drawGround(stage, scroll: scroll, moved)
            drawLidar(stage, moved)
            drawTerrain(stage, scroll: scroll, moved)
            for (index, leg) in [legs[0], legs[1], legs[2], legs[3]].enumerated() {
                let shade: UInt8 = index < 2 ? 0 : 50
                let corners = moved(world.pointee.corners(of: leg, scale: scale))
                stage.polygon(
                    corners, Color(178 - shade, 101 - shade, 152 - shade),
                    outline: Color(127 - shade, 76 - shade, 101 - shade))
            }
            let corners = moved(world.pointee.corners(of: hull, scale: scale))
            stage.polygon(corners, Color(127, 51, 229), outline: Color(76, 76, 127))
            let foot = Point(BipedalWalker.Terrain.step * 3 * scale, BipedalWalker.Terrain.height * scale)
            flag(
                at: moved([foot])[0], on: stage, pole: .black, cloth: Color(230, 51, 0), outline: .black)
        }
    }

    private func rectangle(left: Double, right: Double, height: Double) -> [Point] {
        [Point(left, -1), Point(right, -1), Point(right, height), Point(left, height)]
    }

    /// Far away: they move at half the walker's speed.
    private func drawClouds(_ stage: Stage, scroll: Double, _ moved: ([Point]) -> [Point]) {
        let scale = BipedalWalker.Simulation.scale
        let clouds = terrain.clouds
        for start in stride(from: 0, to: clouds.count, by: 10) {
            let xs = (0..<5).map { clouds[start + 2 * $0] }
            if xs.max()! < scroll / 2 { continue }
            if xs.min()! > scroll / 2 + BipedalWalker.Simulation.viewportWidth / scale { continue }
            let corners = (0..<5).map {
                Point(xs[$0] * scale + scroll * scale / 2, clouds[start + 2 * $0 + 1] * scale)
            }
            stage.polygon(moved(corners), .white)
        }
    }

    /// Whether the segment from point `i` of the ground is in the picture.
    private func isVisible(_ i: Int, scroll: Double) -> Bool {
        let scale = BipedalWalker.Simulation.scale
        let step = BipedalWalker.Terrain.step
        return Double(i + 1) * step >= scroll
            && Double(i) * step <= scroll + BipedalWalker.Simulation.viewportWidth / scale
    }

    private func groundPoint(_ i: Int) -> Point {
        let scale = BipedalWalker.Simulation.scale
        return Point(Double(i) * BipedalWalker.Terrain.step * scale, terrain.heights[i] * scale)
    }

    private func drawGround(_ stage: Stage, scroll: Double, _ moved: ([Point]) -> [Point]) {
        for i in 0..<max(0, terrain.heights.count - 1) where isVisible(i, scroll: scroll) {
            let (a, b) = (groundPoint(i), groundPoint(i + 1))
            stage.polygon(moved([a, b, Point(b.x, 0), Point(a.x, 0)]), Color(102, 153, 76))
        }
    }

    /// The edge of the grass and the obstacles.
    private func drawTerrain(_ stage: Stage, scroll: Double, _ moved: ([Point]) -> [Point]) {
        for i in 0..<max(0, terrain.heights.count - 1) where isVisible(i, scroll: scroll) {
            stage.lines(
                moved([groundPoint(i), groundPoint(i + 1)]), Color(76, i.isMultiple(of: 2) ? 255 : 204, 76))
        }
        let scale = BipedalWalker.Simulation.scale
        let obstacles = terrain.obstacles
        for start in stride(from: 0, to: obstacles.count, by: 8) {
            let corners = moved(
                (0..<4).map {
                    Point(obstacles[start + 2 * $0] * scale, obstacles[start + 2 * $0 + 1] * scale)
                })
            stage.polygon(corners, .white, outline: Color(gray: 153))
        }
    }

    /// One ray a picture, up and down the fan, twenty pictures in a hundred.
    private func drawLidar(_ stage: Stage, _ moved: ([Point]) -> [Point]) {
        let count = BipedalWalker.Simulation.lidarCount
        guard lidarFrame < 2 * count else { return }
        let ray = lidarFrame < count ? lidarFrame : 2 * count - 1 - lidarFrame
        let start = world.pointee.position(of: hull)
        let end = BipedalWalker.Simulation.lidarEnd(ray, from: start)
        let hit =
            world.pointee.castRay(from: start, to: end, categories: BipedalWalker.Simulation.groundCategory)?
            .point ?? end
        let scale = BipedalWalker.Simulation.scale
        stage.lines(
            moved([start, hit].map { Point(Double($0.x) * scale, Double($0.y) * scale) }), Color(255, 0, 0))
    }
}
