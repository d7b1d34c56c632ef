import Foundation
import GymCore
import Physics2D

extension LunarLander {
    /// Moon, lander and what has happened to them.
    final class Simulation: @unchecked Sendable {
        static let framesPerSecond = 50.0
        static let scale = 30.0  // pixels a metre
        static let width = 600 / scale  // m
        static let height = 400 / scale  // m
        private static let mainEnginePower = 13.0
        private static let sideEnginePower = 0.6
        private static let initialForce = 1000.0  // N a direction, at most
        private static let outline = [
            (-14.0, 17.0), (-17.0, 0.0), (-17.0, -10.0), (17.0, -10.0), (17.0, 0.0), (14.0, 17.0),
        ]  // pixels
        private static let legAway = 20 / scale  // m. The legs' hinges are so far from the lander's middle,
        private static let legDown = 18 / scale  // m, and so far above the legs' middles.
        private static let legHalfWidth = 2 / scale  // m
        private static let legHalfHeight = 8 / scale  // m
        private static let legTorque: Float = 40  // Nm, of the spring that spreads the legs
        private static let sideEngineAway = 12 / scale  // m
        private static let mainEngineDown = 4 / scale  // m
        static let chunks = 11

        private let settings: Settings
        /// At a place of its own, so that several can be stepped together.
        let world: UnsafeMutablePointer<World>
        /// Heights of the moon at x = 0, 2, …, 20 m.
        private(set) var ground = InlineArray<11, Double>(repeating: 0)
        /// Bodies.
        private(set) var moon = 0
        private(set) var lander = 0
        private(set) var legs: InlineArray<2, Int> = [0, 0]
        /// What the engines threw out lately, for pictures alone: not part of a saved state.
        var exhaust = InlineArray<16, Exhaust>(repeating: Exhaust())
        var nextExhaust = 0
        private var touchesGround: InlineArray<2, Bool> = [false, false]
        /// What the engines do in the step being taken.
        private var throttle = Throttle()
        private var hasCrashed = false
        private var windIndex = 0
        private var torqueIndex = 0
        /// The potential that the reward is the gain of; nil before the first step.
        private var potential: Double?

        /// The pad's height.
        static let padHeight = height / 4

        init(_ settings: Settings) {
            self.settings = settings
            world = .allocate(capacity: 1)
            world.initialize(to: World(gravity: Vec2(0, Float(settings.gravity))))
        }

        deinit {
            world.deinitialize(count: 1)
            world.deallocate()
        }

        /// Starts an episode: draws the ground, puts the lander above it and pushes it.
        func reset(_ generator: inout NumPyGenerator, _ observation: ObservationWriter) {
            drawGround(&generator)
            build()
            let force = Simulation.initialForce
            let x = generator.uniform(-force, force)
            let y = generator.uniform(-force, force)
            world.pointee.applyForce(Vec2(Float(x), Float(y)), toCenterOf: lander)
            if settings.isWindy {
                windIndex = generator.integer(in: -9999..<9999)
                torqueIndex = generator.integer(in: -9999..<9999)
            }
            touchesGround = [false, false]
            hasCrashed = false
            exhaust = InlineArray(repeating: Exhaust())
            potential = nil
            // The first observation is that of a step without engines.
            begin(Throttle(), &generator)
            Simulation.advance(1) { _ in world }
            _ = end(observation)
        }

        /// Draws the moon's heights: random at the sides, flat at the pad, smoothed.
        private func drawGround(_ generator: inout NumPyGenerator) {
            var heights = InlineArray<12, Double>(repeating: 0)
            for i in 0..<12 { heights[i] = generator.uniform(0, Simulation.height / 2) }
            let middle = Simulation.chunks / 2
            for i in middle - 2...middle + 2 { heights[i] = Simulation.padHeight }
            for i in 0..<Simulation.chunks {
                // The first one's left neighbour is the last one, as Python counts; 0.33 is not a third.
                ground[i] = 0.33 * (heights[i == 0 ? 11 : i - 1] + heights[i] + heights[i + 1])
            }
        }

        /// Where a point of the ground is.
        static func groundX(_ i: Int) -> Double { width / Double(chunks - 1) * Double(i) }

        /// Puts moon and lander into an empty world.
        private func build() {
            world.pointee.removeAll()
            moon = world.pointee.addBody(BodyDefinition(.fixed))
            world.pointee.addFixture(FixtureDefinition(.edge(.zero, Vec2(Float(Simulation.width), 0))), to: moon)
            for i in 0..<Simulation.chunks - 1 {
                let a = Vec2(Float(Simulation.groundX(i)), Float(ground[i]))
                let b = Vec2(Float(Simulation.groundX(i + 1)), Float(ground[i + 1]))
                world.pointee.addFixture(FixtureDefinition(.edge(a, b), friction: 0.1), to: moon)
            }

            let (x, y) = (Simulation.width / 2, Simulation.height)
            let scale = Simulation.scale
            lander = world.pointee.addBody(BodyDefinition(.dynamic, position: Vec2(Float(x), Float(y))))
            world.pointee.addFixture(
                FixtureDefinition(
                    .polygon(Simulation.outline.map { Vec2(Float($0.0 / scale), Float($0.1 / scale)) }), density: 5,
                    friction: 0.1, filter: CollisionFilter(category: 0x0010, mask: 0x0001)), to: lander)
            for (index, side) in [-1.0, 1.0].enumerated() {
                let leg = world.pointee.addBody(
                    BodyDefinition(
                        .dynamic, position: Vec2(Float(x - side * Simulation.legAway), Float(y)),
                        angle: Float(side * 0.05)))
                world.pointee.addFixture(
                    FixtureDefinition(
                        .box(
                            halfWidth: Float(Simulation.legHalfWidth), halfHeight: Float(Simulation.legHalfHeight)),
                        density: 1, filter: CollisionFilter(category: 0x0020, mask: 0x0001)), to: leg)
                // The joint's angle counts from where the leg starts, ±0.05 rad.
                var hinge = RevoluteJointDefinition(
                    lander, leg, localAnchorA: .zero,
                    localAnchorB: Vec2(Float(side * Simulation.legAway), Float(Simulation.legDown)))
                hinge.motorSpeed = Float(0.3 * side)
                hinge.maxMotorTorque = Simulation.legTorque
                hinge.limits = side < 0 ? 0.4...0.9 : -0.9 ... -0.4
                world.pointee.addRevoluteJoint(hinge)
                legs[index] = leg
            }
        }

        /// Lets wind and engines act for the coming step.
        func begin(_ throttle: Throttle, _ generator: inout NumPyGenerator) {
            self.throttle = throttle
            if settings.isWindy && !touchesGround[0] && !touchesGround[1] { blow() }
            fire(throttle, &generator)
        }

        /// Observes the step that was taken.
        func end(_ observation: ObservationWriter) -> StepResult {
            noteContacts()
            moveExhaust(gravity: settings.gravity)

            let frames = Simulation.framesPerSecond
            let (halfWidth, halfHeight) = (Simulation.width / 2, Simulation.height / 2)
            let position = world.pointee.position(of: lander)
            let velocity = world.pointee.linearVelocity(of: lander)
            let x = (Double(position.x) - halfWidth) / halfWidth
            let y = (Double(position.y) - (Simulation.padHeight + Simulation.legDown)) / halfHeight
            let vx = Double(velocity.x) * halfWidth / frames
            let vy = Double(velocity.y) * halfHeight / frames
            let angle = Double(world.pointee.angle(of: lander))
            let left = touchesGround[0] ? 1.0 : 0.0
            let right = touchesGround[1] ? 1.0 : 0.0
            observation.store([
                Float(x), Float(y), Float(vx), Float(vy), Float(angle),
                Float(20 * Double(world.pointee.angularVelocity(of: lander)) / frames), Float(left), Float(right),
            ])

            let newPotential =
                -100 * (x * x + y * y).squareRoot() - 100 * (vx * vx + vy * vy).squareRoot() - 100 * abs(angle)
                + 10 * left + 10 * right
            var reward = potential.map { newPotential - $0 } ?? 0
            potential = newPotential
            reward -= throttle.main * 0.30
            reward -= throttle.side * 0.03
            // Rest counts even where the lander crashed or left.
            if !world.pointee.isAwake(lander) { return StepResult(reward: 100, terminated: true) }
            if hasCrashed || abs(x) >= 1 { return StepResult(reward: -100, terminated: true) }
            return StepResult(reward: reward, terminated: false)
        }

        /// Applies wind and turbulence: tanh(sin(0.02 k) + sin(0.01 π k)), which never repeats.
        private func blow() {
            func gust(_ index: Int) -> Double {
                tanh(sin(0.02 * Double(index)) + sin(Double.pi * 0.01 * Double(index)))
            }
            world.pointee.applyForce(Vec2(Float(gust(windIndex) * settings.windPower), 0), toCenterOf: lander)
            windIndex += 1
            world.pointee.applyTorque(Float(gust(torqueIndex) * settings.turbulencePower), to: lander)
            torqueIndex += 1
        }

        /// Applies the engines' impulses. Their dispersion is drawn whether they fire or not.
        private func fire(_ throttle: Throttle, _ generator: inout NumPyGenerator) {
            let angle = Double(world.pointee.angle(of: lander))
            let tip = (sin(angle), cos(angle))
            let side = (-tip.1, tip.0)
            let dispersion = (
                generator.uniform(-1, 1) / Simulation.scale, generator.uniform(-1, 1) / Simulation.scale
            )
            let position = world.pointee.position(of: lander)
            let (x, y) = (Double(position.x), Double(position.y))
            if throttle.main > 0 {
                let along = Simulation.mainEngineDown + 2 * dispersion.0
                let ox = tip.0 * along + side.0 * dispersion.1
                let oy = -tip.1 * along - side.1 * dispersion.1
                world.pointee.applyImpulse(
                    Vec2(
                        Float(-ox * Simulation.mainEnginePower * throttle.main),
                        Float(-oy * Simulation.mainEnginePower * throttle.main)),
                    to: lander, at: Vec2(Float(x + ox), Float(y + oy)))
                let power = Simulation.mainEnginePower * throttle.main
                addExhaust(
                    at: (x + ox, y + oy), impulse: (ox * power, oy * power), density: 3.5, heat: throttle.main)
            }
            if throttle.side > 0 {
                let across = 3 * dispersion.1 + throttle.direction * Simulation.sideEngineAway
                let ox = tip.0 * dispersion.0 + side.0 * across
                let oy = -tip.1 * dispersion.0 - side.1 * across
                // 17 where the engines' height, 14, is meant: the reference's oddity.
                let at = Vec2(
                    Float(x + ox - tip.0 * 17 / Simulation.scale), Float(y + oy + tip.1 * 14 / Simulation.scale))
                world.pointee.applyImpulse(
                    Vec2(
                        Float(-ox * Simulation.sideEnginePower * throttle.side),
                        Float(-oy * Simulation.sideEnginePower * throttle.side)),
                    to: lander, at: at)
                let power = Simulation.sideEnginePower * throttle.side
                addExhaust(
                    at: (Double(at.x), Double(at.y)), impulse: (ox * power, oy * power), density: 0.7,
                    heat: throttle.side)
            }
        }

        /// Takes over what began and ended to touch in the step.
        private func noteContacts() {
            let (lander, first, second) = (lander, legs[0], legs[1])
            world.pointee.forEachContactEvent { event in
                if event.began && event.involves(lander) { hasCrashed = true }
                // The end of any contact clears the flag, even while the leg still stands on the next segment.
                if event.involves(first) { touchesGround[0] = event.began }
                if event.involves(second) { touchesGround[1] = event.began }
            }
        }

        static let groupSize = World.groupSize

        /// Advances worlds by a step of 20 ms.
        static func advance(_ count: Int, world: (Int) -> UnsafeMutablePointer<World>) {
            World.step(
                count: count, world, Float(1 / framesPerSecond), velocityIterations: 180, positionIterations: 60)
        }

        // MARK: Saving

        func save(to writer: inout StateWriter) {
            for i in 0..<Simulation.chunks { writer.write(ground[i]) }
            var motion: [UInt8] = []
            world.pointee.saveMotion(to: &motion)
            writer.write(array: motion)
            writer.write(UInt8(touchesGround[0] ? 1 : 0))
            writer.write(UInt8(touchesGround[1] ? 1 : 0))
            writer.write(UInt8(hasCrashed ? 1 : 0))
            writer.write(Int64(windIndex))
            writer.write(Int64(torqueIndex))
            writer.write(UInt8(potential == nil ? 0 : 1))
            writer.write(potential ?? 0)
        }

        convenience init(_ settings: Settings, from reader: inout StateReader) throws {
            self.init(settings)
            for i in 0..<Simulation.chunks {
                ground[i] = try reader.read()
                guard abs(ground[i]) < 1000 else {
                    throw StateError("the state has no ground of this environment")
                }
            }
            build()
            try world.pointee.restore(motion: reader.readArray(of: UInt8.self))
            touchesGround[0] = try reader.read(UInt8.self) != 0
            touchesGround[1] = try reader.read(UInt8.self) != 0
            hasCrashed = try reader.read(UInt8.self) != 0
            windIndex = Int(try reader.read(Int64.self))
            torqueIndex = Int(try reader.read(Int64.self))
            guard windIndex.magnitude <= StateReader.mostCounted, torqueIndex.magnitude <= StateReader.mostCounted
            else {
                throw StateError("the state's wind is out of range")
            }
            let hasPotential = try reader.read(UInt8.self) != 0
            let value = try reader.read(Double.self)
            potential = hasPotential && value.isFinite ? value : nil
        }
    }
}
