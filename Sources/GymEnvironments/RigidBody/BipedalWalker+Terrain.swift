import Foundation
import GymCore
import Physics2D

extension BipedalWalker {
    /// The ground: 200 points with segments between them, obstacles on and in it, and the clouds above.
    ///
    /// Draws and arithmetic are Gymnasium's, in double precision, so that a seed gives the same ground.
    struct Terrain {
        static let step = 14 / Simulation.scale  // m from point to point
        static let length = 200  // points
        static let height = Simulation.viewportHeight / Simulation.scale / 4  // m, of the plain
        static let grass = 10  // points of plain between obstacles, at most
        static let startPad = 20  // points of flat ground at the start
        static let goal = Double(length - grass) * step  // m. Beyond it the episode ends.
        private static let friction: Float = 2.5
        private static let cloudCount = length / 20

        /// Heights of the points; point i is at x = i · `step`.
        private(set) var heights: [Double] = []
        /// Corners of the obstacles, four each.
        private(set) var obstacles: [Double] = []
        /// Corners of the clouds, five each.
        private(set) var clouds: [Double] = []

        init() {}

        private enum Section: Int {
            case grass
            case stump
            case stairs
            case pit
        }

        /// Draws a ground.
        init(isHardcore: Bool, generator: inout NumPyGenerator) {
            var section = Section.grass
            var velocity = 0.0
            var y = Terrain.height
            var counter = Terrain.startPad
            /// Whether a section starts here.
            var isStart = false
            var (stairSteps, stairWidth, stairHeight) = (0, 0, 0)
            var originalY = 0.0
            let step = Terrain.step
            for i in 0..<Terrain.length {
                let x = Double(i) * step
                switch (section, isStart) {
                case (.grass, false):
                    let difference = Terrain.height - y
                    let direction = difference > 0 ? 1.0 : difference < 0 ? -1.0 : 0.0
                    velocity = 0.8 * velocity + 0.01 * direction
                    if i > Terrain.startPad { velocity += generator.uniform(-1, 1) / Simulation.scale }
                    y += velocity
                case (.grass, true):
                    // The first point after an obstacle, or after the counter ran out, keeps its height.
                    break
                case (.pit, true):
                    counter = generator.integer(in: 3..<5)
                    let wall = [
                        (x, y), (x + step, y), (x + step, y - 4 * step), (x, y - 4 * step),
                    ]
                    addObstacle(wall)
                    addObstacle(wall.map { ($0.0 + step * Double(counter), $0.1) })
                    counter += 2
                    originalY = y
                case (.pit, false):
                    y = originalY
                    if counter > 1 { y -= 4 * step }
                case (.stump, true):
                    counter = generator.integer(in: 1..<3)
                    let size = Double(counter) * step
                    addObstacle([(x, y), (x + size, y), (x + size, y + size), (x, y + size)])
                case (.stump, false):
                    break
                case (.stairs, true):
                    stairHeight = generator.random() > 0.5 ? 1 : -1
                    stairWidth = 4
                    stairSteps = generator.integer(in: 3..<5)
                    originalY = y
                    for s in 0..<stairSteps {
                        let left = x + Double(s * stairWidth) * step
                        let right = x + Double((1 + s) * stairWidth) * step
                        let top = y + Double(s * stairHeight) * step
                        let bottom = y + Double(-1 + s * stairHeight) * step
                        addObstacle([(left, top), (right, top), (right, bottom), (left, bottom)])
                    }
                    counter = stairSteps * stairWidth
                case (.stairs, false):
                    let s = stairSteps * stairWidth - counter - stairHeight
                    let n = Double(s) / Double(stairWidth)
                    y = originalY + (n * Double(stairHeight)) * step
                }
                isStart = false
                heights.append(y)
                counter -= 1
                if counter == 0 {
                    counter = generator.integer(in: Terrain.grass / 2..<Terrain.grass)
                    section =
                        section == .grass && isHardcore
                        ? Section(rawValue: generator.integer(in: 1..<4))! : .grass
                    isStart = true
                }
            }
            addClouds(&generator)
        }

        private mutating func addObstacle(_ corners: [(Double, Double)]) {
            for (x, y) in corners { obstacles += [x, y] }
        }

        /// The clouds are drawn even when nobody looks: they move the generator on.
        private mutating func addClouds(_ generator: inout NumPyGenerator) {
            let step = Terrain.step
            let y = Simulation.viewportHeight / Simulation.scale * 3 / 4
            for _ in 0..<Terrain.cloudCount {
                let x = generator.uniform(0, Double(Terrain.length)) * step
                for corner in 0..<5 {
                    // The reference rounds π to 3.14 here.
                    let angle = 3.14 * 2 * Double(corner) / 5
                    clouds.append(x + 15 * step * sin(angle) + generator.uniform(0, 5 * step))
                    clouds.append(y + 5 * step * cos(angle) + generator.uniform(0, 5 * step))
                }
            }
        }

        /// Adds obstacles and segments as fixed bodies, in the reference's order: it decides in which order contacts
        /// are solved.
        func add(to world: inout World, category: UInt16) {
            let filter = CollisionFilter(category: category)
            for start in stride(from: 0, to: obstacles.count, by: 8) {
                let corners = stride(from: start, to: start + 8, by: 2).map {
                    Vec2(Float(obstacles[$0]), Float(obstacles[$0 + 1]))
                }
                let body = world.addBody(BodyDefinition(.fixed))
                world.addFixture(
                    FixtureDefinition(.polygon(corners), friction: Terrain.friction, filter: filter), to: body)
            }
            for i in 0..<heights.count - 1 {
                let body = world.addBody(BodyDefinition(.fixed))
                world.addFixture(
                    FixtureDefinition(
                        .edge(point(i), point(i + 1)), friction: Terrain.friction, filter: filter), to: body)
            }
        }

        private func point(_ i: Int) -> Vec2 {
            Vec2(Float(Double(i) * Terrain.step), Float(heights[i]))
        }

        func save(to writer: inout StateWriter) {
            writer.write(array: heights)
            writer.write(array: obstacles)
            writer.write(array: clouds)
        }

        init(from reader: inout StateReader) throws {
            heights = try reader.readArray()
            obstacles = try reader.readArray()
            clouds = try reader.readArray()
            guard
                heights.count == Terrain.length && obstacles.count % 8 == 0 && obstacles.count < 8 * Terrain.length
                    && clouds.count == 10 * Terrain.cloudCount
                    && (heights + obstacles + clouds).allSatisfy({ abs($0) < 1000 })
            else { throw StateError("the state has no ground of this environment") }
        }
    }
}
