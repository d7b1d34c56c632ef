import Foundation
import GymCore
import Physics2D

extension BipedalWalker {
    /// Ground, walker and what has happened to them.
    final class Simulation: @unchecked Sendable {
        static let framesPerSecond = 50.0
        static let scale = 30.0  // pixels a metre
        private static let motorTorque: Float = 80  // Nm
        private static let hipSpeed: Float = 4  // rad/s
        private static let kneeSpeed: Float = 6  // rad/s
        private static let lidarRange = 160 / scale  // m
        static let lidarCount = 10
        private static let initialForce = 5.0  // N, at most
        private static let hullOutline = [(-30.0, 9.0), (6.0, 9.0), (34.0, 1.0), (34.0, -8.0), (-30.0, -8.0)]  // pixels
        private static let legDown = -8 / scale  // m. Where the hips are, in the hull's frame.
        private static let legWidth = 8 / scale  // m
        private static let legHeight = 34 / scale  // m
        static let viewportWidth = 600.0  // pixels
        static let viewportHeight = 400.0  // pixels

        /// The walker's parts collide with the ground and not with each other.
        private static let walkerFilter = CollisionFilter(category: 0x0020, mask: 0x0001)
        static let groundCategory: UInt16 = 0x0001

        private let isHardcore: Bool
        /// At a place of its own, so that several can be stepped together.
        let world: UnsafeMutablePointer<World>
        var terrain = Terrain()
        /// Bodies: the hull, then upper and lower leg of each side.
        private(set) var hull = 0
        private(set) var legs: InlineArray<4, Int> = [0, 0, 0, 0]
        /// Which of a hundred pictures is the next: it decides whether a ray is shown. Not part of a saved state.
        var lidarFrame = 0
        private var touchesGround: InlineArray<2, Bool> = [false, false]
        /// What the motors may use of their torque in the step being taken.
        private var effort: InlineArray<4, Float> = [0, 0, 0, 0]
        private var hasFallen = false
        /// The potential that progress is measured by; nil before the first step.
        private var potential: Double?

        init(isHardcore: Bool) {
            self.isHardcore = isHardcore
            world = .allocate(capacity: 1)
            world.initialize(to: World(gravity: Vec2(0, -10)))
        }

        deinit {
            world.deinitialize(count: 1)
            world.deallocate()
        }

        /// Starts an episode: draws the ground, puts the walker onto it and pushes it.
        func reset(_ generator: inout NumPyGenerator, _ observation: ObservationWriter) {
            terrain = Terrain(isHardcore: isHardcore, generator: &generator)
            build()
            let push = generator.uniform(-Simulation.initialForce, Simulation.initialForce)
            world.pointee.applyForce(Vec2(Float(push), 0), toCenterOf: hull)
            touchesGround = [false, false]
            hasFallen = false
            lidarFrame = 0
            potential = nil
            // The first observation is that of a step without torque.
            begin([0, 0, 0, 0])
            Simulation.advance(1) { _ in world }
            _ = end(observation)
        }

        /// Puts ground and walker into an empty world.
        private func build() {
            world.pointee.removeAll()
            terrain.add(to: &world.pointee, category: Simulation.groundCategory)

            let scale = Simulation.scale
            let (down, width, height) = (Simulation.legDown, Simulation.legWidth, Simulation.legHeight)
            let x = Terrain.step * Double(Terrain.startPad) / 2
            let y = Terrain.height + 2 * height
            hull = world.pointee.addBody(BodyDefinition(.dynamic, position: Vec2(Float(x), Float(y))))
            world.pointee.addFixture(
                FixtureDefinition(
                    .polygon(Simulation.hullOutline.map { Vec2(Float($0.0 / scale), Float($0.1 / scale)) }),
                    density: 5, friction: 0.1, filter: Simulation.walkerFilter), to: hull)
            for (index, side) in [-1.0, 1.0].enumerated() {
                let angle = Float(side * 0.05)
                let upper = world.pointee.addBody(
                    BodyDefinition(.dynamic, position: Vec2(Float(x), Float(y - height / 2 - down)), angle: angle))
                world.pointee.addFixture(
                    FixtureDefinition(
                        .box(halfWidth: Float(width / 2), halfHeight: Float(height / 2)), density: 1,
                        filter: Simulation.walkerFilter), to: upper)
                // The angles of the joints count from where the legs start, ±0.05 rad, not from the hull's axis.
                var hip = RevoluteJointDefinition(
                    hull, upper, localAnchorA: Vec2(0, Float(down)), localAnchorB: Vec2(0, Float(height / 2)))
                hip.limits = -0.8...1.1
                hip.motorSpeed = Float(side)
                hip.maxMotorTorque = Simulation.motorTorque
                world.pointee.addRevoluteJoint(hip)

                let lower = world.pointee.addBody(
                    BodyDefinition(
                        .dynamic, position: Vec2(Float(x), Float(y - height * 3 / 2 - down)), angle: angle))
                world.pointee.addFixture(
                    FixtureDefinition(
                        .box(halfWidth: Float(0.8 * width / 2), halfHeight: Float(height / 2)), density: 1,
                        filter: Simulation.walkerFilter), to: lower)
                var knee = RevoluteJointDefinition(
                    upper, lower, localAnchorA: Vec2(0, Float(-height / 2)),
                    localAnchorB: Vec2(0, Float(height / 2)))
                knee.limits = -1.6 ... -0.1
                knee.motorSpeed = 1
                knee.maxMotorTorque = Simulation.motorTorque
                world.pointee.addRevoluteJoint(knee)
                legs[2 * index] = upper
                legs[2 * index + 1] = lower
            }
        }

        /// Sets the motors for the coming step.
        func begin(_ action: InlineArray<4, Float>) {
            for joint in 0..<4 {
                let speed = joint & 1 == 0 ? Simulation.hipSpeed : Simulation.kneeSpeed
                let direction: Float = action[joint] > 0 ? 1 : action[joint] < 0 ? -1 : 0
                effort[joint] = min(abs(action[joint]), 1)
                world.pointee.setMotor(
                    of: joint, speed: speed * direction, maxTorque: Simulation.motorTorque * effort[joint])
            }
        }

        /// Observes the step that was taken.
        func end(_ observation: ObservationWriter) -> StepResult {
            noteContacts()
            let position = world.pointee.position(of: hull)
            let angle = Double(world.pointee.angle(of: hull))
            observe(observation, position: position, angle: angle)

            let newPotential = 130 * Double(position.x) / Simulation.scale - 5 * abs(angle)
            // Single precision from here on, as NumPy has it with float32 actions.
            var reward = Float(potential.map { newPotential - $0 } ?? 0)
            potential = newPotential
            for joint in 0..<4 { reward -= 0.028 * effort[joint] }
            if hasFallen || position.x < 0 { return StepResult(reward: -100, terminated: true) }
            return StepResult(reward: Double(reward), terminated: Double(position.x) > Terrain.goal)
        }

        /// Takes over what began and ended to touch in the step.
        private func noteContacts() {
            let (hull, first, second) = (hull, legs[1], legs[3])
            world.pointee.forEachContactEvent { event in
                if event.began && event.involves(hull) { hasFallen = true }
                // The end of any contact clears the flag, even while the leg still stands on the next segment.
                if event.involves(first) { touchesGround[0] = event.began }
                if event.involves(second) { touchesGround[1] = event.began }
            }
        }

        private func observe(_ observation: ObservationWriter, position: Vec2, angle: Double) {
            let frames = Simulation.framesPerSecond
            let velocity = world.pointee.linearVelocity(of: hull)
            observation.write(as: Float.self) { row in
                row[0] = Float(angle)
                row[1] = Float(2 * Double(world.pointee.angularVelocity(of: hull)) / frames)
                row[2] = Float(
                    0.3 * Double(velocity.x) * (Simulation.viewportWidth / Simulation.scale) / frames)
                row[3] = Float(
                    0.3 * Double(velocity.y) * (Simulation.viewportHeight / Simulation.scale) / frames)
                for leg in 0..<2 {
                    let (hip, knee) = (2 * leg, 2 * leg + 1)
                    row[4 + 5 * leg] = world.pointee.jointAngle(hip)
                    row[5 + 5 * leg] = Float(Double(world.pointee.jointSpeed(hip)) / Double(Simulation.hipSpeed))
                    row[6 + 5 * leg] = Float(Double(world.pointee.jointAngle(knee)) + 1)
                    row[7 + 5 * leg] = Float(Double(world.pointee.jointSpeed(knee)) / Double(Simulation.kneeSpeed))
                    row[8 + 5 * leg] = touchesGround[leg] ? 1 : 0
                }
                for ray in 0..<Simulation.lidarCount {
                    row[14 + ray] =
                        world.pointee.castRay(
                            from: position, to: Simulation.lidarEnd(ray, from: position),
                            categories: Simulation.groundCategory)?.fraction ?? 1
                }
            }
        }

        /// Where a lidar ray ends that meets nothing.
        static func lidarEnd(_ ray: Int, from position: Vec2) -> Vec2 {
            Vec2(
                Float(Double(position.x) + lidarDirections[ray].0), Float(Double(position.y) - lidarDirections[ray].1))
        }

        /// Offsets of the rays' ends, down positive.
        private static let lidarDirections = (0..<lidarCount).map { ray in
            let angle = 1.5 * Double(ray) / 10
            return (sin(angle) * lidarRange, cos(angle) * lidarRange)
        }

        static let groupSize = World.groupSize

        /// Advances worlds by a step of 20 ms.
        static func advance(_ count: Int, world: (Int) -> UnsafeMutablePointer<World>) {
            World.step(
                count: count, world, Float(1 / framesPerSecond), velocityIterations: 180, positionIterations: 60)
        }

        // MARK: Saving

        func save(to writer: inout StateWriter) {
            terrain.save(to: &writer)
            var motion: [UInt8] = []
            world.pointee.saveMotion(to: &motion)
            writer.write(array: motion)
            writer.write(UInt8(touchesGround[0] ? 1 : 0))
            writer.write(UInt8(touchesGround[1] ? 1 : 0))
            writer.write(UInt8(hasFallen ? 1 : 0))
            writer.write(UInt8(potential == nil ? 0 : 1))
            writer.write(potential ?? 0)
        }

        convenience init(isHardcore: Bool, from reader: inout StateReader) throws {
            self.init(isHardcore: isHardcore)
            terrain = try Terrain(from: &reader)
            build()
            try world.pointee.restore(motion: reader.readArray(of: UInt8.self))
            touchesGround[0] = try reader.read(UInt8.self) != 0
            touchesGround[1] = try reader.read(UInt8.self) != 0
            hasFallen = try reader.read(UInt8.self) != 0
            let hasPotential = try reader.read(UInt8.self) != 0
            let value = try reader.read(Double.self)
            potential = hasPotential && value.isFinite ? value : nil
        }
    }
}
