import Foundation
import Physics2D
import Testing

/// Hinges: pendulums against an integrator, motors, limits.
@Suite struct JointTests {
    private static let g = 10.0

    /// A rod hanging from the origin's frame at `anchor`, 1 m long, turned by `angle` from straight down.
    private func addRod(_ world: inout World, at anchor: Vec2, angle: Float) -> Int {
        let direction = Vec2(sinf(angle), -cosf(angle))
        var definition = BodyDefinition(.dynamic, position: anchor + 0.5 * direction, angle: angle)
        definition.allowsSleep = false
        let rod = world.addBody(definition)
        world.addFixture(
            FixtureDefinition(
                .box(halfWidth: 0.05, halfHeight: 0.5), density: 2, filter: CollisionFilter(mask: 0)), to: rod)
        return rod
    }

    private func addHinge(_ world: inout World, _ a: Int, _ b: Int, _ anchorA: Vec2, _ anchorB: Vec2) -> Int {
        var definition = RevoluteJointDefinition(a, b, localAnchorA: anchorA, localAnchorB: anchorB)
        definition.referenceAngle = 0
        return world.addRevoluteJoint(definition)
    }

    /// The fourth-order method of Runge and Kutta.
    private func integrate(
        _ state: [Double], _ dt: Double, _ steps: Int, _ f: ([Double]) -> [Double]
    ) -> [Double] {
        var y = state
        func moved(_ k: [Double], _ h: Double) -> [Double] { zip(y, k).map { $0 + h * $1 } }
        for _ in 0..<steps {
            let k1 = f(y)
            let k2 = f(moved(k1, dt / 2))
            let k3 = f(moved(k2, dt / 2))
            let k4 = f(moved(k3, dt))
            y = y.indices.map { y[$0] + dt / 6 * (k1[$0] + 2 * k2[$0] + 2 * k3[$0] + k4[$0]) }
        }
        return y
    }

    @Test func aPendulumSwingsAsTheIntegratorSays() {
        var world = World(gravity: Vec2(0, Float(-Self.g)))
        let pivot = world.addBody(BodyDefinition(.fixed))
        let rod = addRod(&world, at: .zero, angle: 1)
        let hinge = addHinge(&world, pivot, rod, .zero, Vec2(0, 0.5))
        let (m, i) = (Double(world.mass(of: rod)), Double(world.inertia(of: rod)))
        for _ in 0..<2000 { world.step(0.001, velocityIterations: 20, positionIterations: 10) }
        let expected = integrate([1, 0], 0.001, 2000) { y in
            [y[1], -m * Self.g * 0.5 / (i + m * 0.25) * sin(y[0])]
        }
        #expect(abs(Double(world.jointAngle(hinge)) - expected[0]) < 0.01)
        #expect(abs(Double(world.jointSpeed(hinge)) - expected[1]) < 0.03)
        #expect(abs((world.centerOfMass(of: rod)).length - 0.5) < 0.005)
    }

    @Test func aDoublePendulumSwingsAsTheIntegratorSays() {
        var world = World(gravity: Vec2(0, Float(-Self.g)))
        let pivot = world.addBody(BodyDefinition(.fixed))
        let upper = addRod(&world, at: .zero, angle: 1)
        let lower = addRod(&world, at: Vec2(sinf(1), -cosf(1)), angle: 0.3)
        _ = addHinge(&world, pivot, upper, .zero, Vec2(0, 0.5))
        _ = addHinge(&world, upper, lower, Vec2(0, -0.5), Vec2(0, 0.5))
        let (m, i) = (Double(world.mass(of: upper)), Double(world.inertia(of: upper)))
        for _ in 0..<3000 { world.step(0.0005, velocityIterations: 40, positionIterations: 10) }
        // Rods of length 1: T = ½(I + m/4 + m)ω₁² + ½(I + m/4)ω₂² + ½m·cos(θ₁−θ₂)ω₁ω₂
        let expected = integrate([1, 0.3, 0, 0], 0.0005, 3000) { y in
            let difference = y[0] - y[1]
            let m11 = i + 1.25 * m
            let m22 = i + 0.25 * m
            let m12 = 0.5 * m * cos(difference)
            let r1 = -0.5 * m * sin(difference) * y[3] * y[3] - 1.5 * m * Self.g * sin(y[0])
            let r2 = 0.5 * m * sin(difference) * y[2] * y[2] - 0.5 * m * Self.g * sin(y[1])
            let determinant = m11 * m22 - m12 * m12
            return [y[2], y[3], (m22 * r1 - m12 * r2) / determinant, (m11 * r2 - m12 * r1) / determinant]
        }
        #expect(abs(Double(world.angle(of: upper)) - expected[0]) < 0.03)
        #expect(abs(Double(world.angle(of: lower)) - expected[1]) < 0.03)
    }

    @Test func aMotorReachesItsSpeedAndHoldsItsTorque() {
        var world = World(gravity: .zero)
        let pivot = world.addBody(BodyDefinition(.fixed))
        let rod = addRod(&world, at: .zero, angle: 0)
        var definition = RevoluteJointDefinition(pivot, rod, localAnchorA: .zero, localAnchorB: Vec2(0, 0.5))
        definition.motorSpeed = 2
        definition.maxMotorTorque = 0.05
        let hinge = world.addRevoluteJoint(definition)
        let dt: Float = 0.01
        world.step(dt, velocityIterations: 100, positionIterations: 10)
        // A torque at the hinge turns the rod about the hinge.
        let inertia = world.inertia(of: rod) + world.mass(of: rod) * 0.25
        #expect(abs(world.jointSpeed(hinge) - 0.05 * dt / inertia) < 1e-4)
        #expect(abs(world.motorTorque(hinge, dt: dt) - 0.05) < 1e-5)
        for _ in 0..<1000 { world.step(dt, velocityIterations: 100, positionIterations: 10) }
        #expect(abs(world.jointSpeed(hinge) - 2) < 1e-3)
        #expect(abs(world.motorTorque(hinge, dt: dt)) < 0.01)
        world.setMotor(of: hinge, speed: -1, maxTorque: 100)
        world.step(dt, velocityIterations: 100, positionIterations: 10)
        #expect(abs(world.jointSpeed(hinge) + 1) < 1e-3)
    }

    @Test(arguments: [-1, 1] as [Float])
    func limitsHold(direction: Float) {
        var world = World(gravity: Vec2(0, Float(-Self.g)))
        let pivot = world.addBody(BodyDefinition(.fixed))
        let rod = addRod(&world, at: .zero, angle: 0)
        var definition = RevoluteJointDefinition(pivot, rod, localAnchorA: .zero, localAnchorB: Vec2(0, 0.5))
        definition.limits = -0.5...0.8
        definition.motorSpeed = 5 * direction
        definition.maxMotorTorque = 50
        let hinge = world.addRevoluteJoint(definition)
        for _ in 0..<200 {
            world.step(0.02, velocityIterations: 30, positionIterations: 10)
            // 2° of slop, and what one step of 5 rad/s goes beyond before the limit answers.
            #expect(world.jointAngle(hinge) > -0.5 - 0.15 && world.jointAngle(hinge) < 0.8 + 0.15)
        }
        let limit: Float = direction > 0 ? 0.8 : -0.5
        #expect(abs(world.jointAngle(hinge) - limit) < 0.04)
        #expect(abs(world.jointSpeed(hinge)) < 0.01)
    }

    @Test func theReferenceAngleIsTheOneAtTheStart() {
        var world = World(gravity: .zero)
        let pivot = world.addBody(BodyDefinition(.fixed, angle: 0.2))
        let rod = addRod(&world, at: .zero, angle: 0.5)
        let hinge = world.addRevoluteJoint(
            RevoluteJointDefinition(pivot, rod, localAnchorA: .zero, localAnchorB: Vec2(0, 0.5)))
        #expect(world.jointAngle(hinge) == 0)
    }

    @Test(arguments: [true, false])
    func jointsForbidCollisionsUnlessTold(collides: Bool) {
        var world = World(gravity: .zero)
        var bodies: [Int] = []
        for i in 0..<2 {
            let body = world.addBody(BodyDefinition(.dynamic, position: Vec2(0.5 * Float(i), 0)))
            world.addFixture(FixtureDefinition(.box(halfWidth: 0.5, halfHeight: 0.5), density: 1), to: body)
            bodies.append(body)
        }
        var definition = RevoluteJointDefinition(
            bodies[0], bodies[1], localAnchorA: Vec2(0.25, 0), localAnchorB: Vec2(-0.25, 0))
        definition.collidesConnected = collides
        world.addRevoluteJoint(definition)
        world.step(0.02, velocityIterations: 8, positionIterations: 3)
        #expect(world.contactEvents.isEmpty != collides)
    }
}
