import Foundation
import Physics2D
import Testing

/// Bodies against what mechanics says in closed form or through an integrator.
@Suite struct MotionTests {
    static let g: Float = 10

    /// A box with half extents `w` and `h`.
    static func box(
        _ world: inout World, at position: Vec2, _ w: Float, _ h: Float, angle: Float = 0, friction: Float = 0.2,
        restitution: Float = 0
    ) -> Int {
        let body = world.addBody(BodyDefinition(.dynamic, position: position, angle: angle))
        world.addFixture(
            FixtureDefinition(
                .box(halfWidth: w, halfHeight: h), density: 1, friction: friction, restitution: restitution),
            to: body)
        return body
    }

    /// A fixed line.
    static func ground(_ world: inout World, _ a: Vec2, _ b: Vec2, friction: Float = 0.2, restitution: Float = 0) {
        let body = world.addBody(BodyDefinition(.fixed))
        world.addFixture(FixtureDefinition(.edge(a, b), friction: friction, restitution: restitution), to: body)
    }

    @Test func massOfShapes() {
        var world = World(gravity: .zero)
        let box = Self.box(&world, at: .zero, 0.5, 1)
        #expect(abs(world.mass(of: box) - 2) < 1e-6)
        #expect(abs(world.inertia(of: box) - 2 * (1 + 4) / 12) < 1e-6)
        let disc = world.addBody(BodyDefinition(.dynamic))
        world.addFixture(FixtureDefinition(.circle(center: .zero, radius: 0.5), density: 2), to: disc)
        #expect(abs(world.mass(of: disc) - 2 * .pi * 0.25) < 1e-5)
        #expect(abs(world.inertia(of: disc) - 0.5 * world.mass(of: disc) * 0.25) < 1e-5)
        let triangle = world.addBody(BodyDefinition(.dynamic))
        world.addFixture(FixtureDefinition(.polygon([Vec2(0, 0), Vec2(3, 0), Vec2(0, 3)]), density: 1), to: triangle)
        #expect(abs(world.mass(of: triangle) - 4.5) < 1e-5)
        #expect((world.centerOfMass(of: triangle) - Vec2(1, 1)).length < 1e-5)
        // Right triangle with legs a: I = m a² / 9 about its centroid.
        #expect(abs(world.inertia(of: triangle) - 4.5 * 9 / 9) < 1e-4)
    }

    @Test func fallsAsSemiImplicitEulerSays() {
        var world = World(gravity: Vec2(0, -Self.g))
        let body = Self.box(&world, at: Vec2(3, 100), 0.5, 0.5)
        let dt: Float = 0.01
        for n in 1...200 {
            world.step(dt, velocityIterations: 8, positionIterations: 3)
            // v = −g·n·dt, y = y₀ − g·dt²·n(n+1)/2
            let v = -Self.g * Float(n) * dt
            let y = 100 - Self.g * dt * dt * Float(n * (n + 1)) / 2
            #expect(abs(world.linearVelocity(of: body).y - v) < 1e-4 * Float(n))
            #expect(abs(world.position(of: body).y - y) < 1e-3)
        }
        #expect(world.position(of: body).x == 3 && world.angle(of: body) == 0)
    }

    @Test func forceTorqueAndImpulseChangeMomentum() {
        var world = World(gravity: .zero)
        let body = Self.box(&world, at: .zero, 0.5, 0.5)
        world.applyForce(Vec2(3, 0), toCenterOf: body)
        world.applyTorque(2, to: body)
        world.step(0.1, velocityIterations: 1, positionIterations: 1)
        #expect(abs(world.linearVelocity(of: body).x - 0.3) < 1e-6)
        #expect(abs(world.angularVelocity(of: body) - 0.2 * 6) < 1e-5)
        world.step(0.1, velocityIterations: 1, positionIterations: 1)
        #expect(abs(world.linearVelocity(of: body).x - 0.3) < 1e-6, "a force lasts one step")
        world.applyImpulse(Vec2(0, 1), to: body, at: world.centerOfMass(of: body) + Vec2(0.5, 0))
        #expect(abs(world.linearVelocity(of: body).y - 1) < 1e-6)
        #expect(abs(world.angularVelocity(of: body) - (1.2 + 0.5 * 6)) < 1e-4)
    }

    @Test func dampingSlowsExponentially() {
        var world = World(gravity: .zero)
        var definition = BodyDefinition(.dynamic)
        definition.linearVelocity = Vec2(1, 0)
        definition.linearDamping = 2
        let body = world.addBody(definition)
        world.addFixture(FixtureDefinition(.circle(center: .zero, radius: 1), density: 1), to: body)
        for _ in 0..<1000 { world.step(0.001, velocityIterations: 1, positionIterations: 1) }
        #expect(abs(world.linearVelocity(of: body).x - Float(exp(-2.0))) < 1e-3)
    }

    @Test(arguments: [0.1, 0.3, 0.5] as [Float])
    func slidesOnASlopeAsCoulombSays(friction: Float) {
        let slope: Float = 0.5
        let along = Vec2(cosf(slope), sinf(slope))
        var world = World(gravity: Vec2(0, -Self.g))
        Self.ground(&world, -100 * along, 100 * along, friction: friction)
        // Resting on the slope: half its height and the skins above the line.
        let normal = Vec2(-along.y, along.x)
        let body = Self.box(&world, at: 0.515 * normal, 0.5, 0.5, angle: slope, friction: friction)
        let dt: Float = 0.005
        for _ in 0..<20 { world.step(dt, velocityIterations: 20, positionIterations: 10) }
        let start = world.linearVelocity(of: body)
        for _ in 0..<200 { world.step(dt, velocityIterations: 20, positionIterations: 10) }
        let gained = world.linearVelocity(of: body) - start
        let acceleration = -(gained.x * along.x + gained.y * along.y) / (200 * dt)
        let expected = Self.g * (sinf(slope) - friction * cosf(slope))
        #expect(abs(acceleration - expected) < 0.02 * Self.g)
        #expect(abs(world.angle(of: body) - slope) < 0.02)
    }

    @Test func sticksToASlopeThatIsNotSteepEnough() {
        let along = Vec2(cosf(0.5), sinf(0.5))
        var world = World(gravity: Vec2(0, -Self.g))
        Self.ground(&world, -100 * along, 100 * along, friction: 0.8)
        let body = Self.box(&world, at: 0.515 * Vec2(-along.y, along.x), 0.5, 0.5, angle: 0.5, friction: 0.8)
        for _ in 0..<50 { world.step(0.02, velocityIterations: 20, positionIterations: 10) }
        let start = world.position(of: body)
        for _ in 0..<200 { world.step(0.02, velocityIterations: 20, positionIterations: 10) }
        #expect((world.position(of: body) - start).length < 0.01)
    }

    @Test func aStackStandsAndFallsAsleep() {
        var world = World(gravity: Vec2(0, -Self.g))
        Self.ground(&world, Vec2(-10, 0), Vec2(10, 0), friction: 0.6)
        let boxes = (0..<6).map { Self.box(&world, at: Vec2(0, 0.6 + 1.1 * Float($0)), 0.5, 0.5, friction: 0.6) }
        for _ in 0..<300 { world.step(0.02, velocityIterations: 30, positionIterations: 10) }
        for (i, body) in boxes.enumerated() {
            let isAwake = world.isAwake(body)
            #expect(!isAwake)
            #expect(abs(world.position(of: body).y - (0.5 + Float(i))) < 0.03 * Float(i + 1))
            #expect(abs(world.position(of: body).x) < 0.02 && abs(world.angle(of: body)) < 0.02)
        }
        world.applyImpulse(Vec2(3, 0), to: boxes[0], at: world.centerOfMass(of: boxes[0]))
        world.step(0.02, velocityIterations: 30, positionIterations: 10)
        let awake = boxes.filter { world.isAwake($0) }
        #expect(awake == boxes, "a push wakes all of the stack")
    }

    @Test(arguments: [0, 0.5, 0.9] as [Float])
    func bouncesAsHighAsRestitutionSays(restitution: Float) {
        var world = World(gravity: Vec2(0, -Self.g))
        Self.ground(&world, Vec2(-10, 0), Vec2(10, 0), restitution: restitution)
        let ball = world.addBody(BodyDefinition(.dynamic, position: Vec2(0, 5.26)))
        world.addFixture(
            FixtureDefinition(.circle(center: .zero, radius: 0.25), density: 1, restitution: 0), to: ball)
        var hasTouched = false
        var top: Float = 0
        for _ in 0..<2000 {
            world.step(0.001, velocityIterations: 10, positionIterations: 5)
            if world.contactEvents.contains(where: \.began) { hasTouched = true }
            if hasTouched { top = max(top, world.position(of: ball).y - 0.26) }
        }
        #expect(hasTouched)
        #expect(abs(top - 5 * restitution * restitution) < 0.1)
    }

    @Test(arguments: [0, 1] as [Float])
    func collisionsKeepMomentum(restitution: Float) {
        var world = World(gravity: .zero)
        var bodies: [Int] = []
        for i in 0..<5 {
            var definition = BodyDefinition(.dynamic, position: Vec2(Float(i) * 1.5, 0.2 * Float(i % 2)))
            definition.linearVelocity = Vec2(4 - 2 * Float(i), Float(i) - 2)
            definition.allowsSleep = false
            let body = world.addBody(definition)
            world.addFixture(
                FixtureDefinition(
                    .circle(center: .zero, radius: 0.5), density: 1 + Float(i), friction: 0,
                    restitution: restitution), to: body)
            bodies.append(body)
        }
        func momentum() -> Vec2 {
            bodies.reduce(.zero) { $0 + world.mass(of: $1) * world.linearVelocity(of: $1) }
        }
        func energy() -> Float {
            bodies.reduce(0) { $0 + 0.5 * world.mass(of: $1) * world.linearVelocity(of: $1).lengthSquared }
        }
        let (before, energyBefore) = (momentum(), energy())
        var touched = 0
        for _ in 0..<1000 {
            world.step(0.002, velocityIterations: 40, positionIterations: 5)
            touched += world.contactEvents.count
        }
        #expect(touched > 2)
        #expect((momentum() - before).length < 1e-3)
        if restitution == 1 {
            #expect(abs(energy() - energyBefore) < 0.05 * energyBefore)
        } else {
            #expect(energy() < 0.9 * energyBefore)
        }
    }

    @Test(arguments: [true, false])
    func onlyContinuousCollisionStopsAFastBody(isContinuous: Bool) {
        var world = World(gravity: .zero)
        world.isContinuous = isContinuous
        Self.ground(&world, Vec2(0, -5), Vec2(0, 5))
        var definition = BodyDefinition(.dynamic, position: Vec2(-3.1, 0))
        definition.linearVelocity = Vec2(90, 0)
        definition.angularVelocity = 3
        let body = world.addBody(definition)
        world.addFixture(FixtureDefinition(.box(halfWidth: 0.1, halfHeight: 0.1), density: 1), to: body)
        for _ in 0..<20 { world.step(0.02, velocityIterations: 10, positionIterations: 5) }
        #expect((world.position(of: body).x < 0) == isContinuous)
    }

    @Test func nothingLeavesABoxOfEdges() {
        var world = World(gravity: Vec2(0, -Self.g))
        let corners = [Vec2(-4, -4), Vec2(4, -4), Vec2(4, 4), Vec2(-4, 4)]
        for i in 0..<4 { Self.ground(&world, corners[i], corners[(i + 1) % 4], restitution: 0.8) }
        var bodies: [Int] = []
        for i in 0..<8 {
            var definition = BodyDefinition(.dynamic, position: Vec2(Float(i) - 3.5, 0.3 * Float(i)), angle: Float(i))
            definition.linearVelocity = Vec2(40 - 11 * Float(i), 25 - 7 * Float(i))
            definition.angularVelocity = Float(i) - 4
            let body = world.addBody(definition)
            world.addFixture(FixtureDefinition(.box(halfWidth: 0.2, halfHeight: 0.3), density: 1), to: body)
            bodies.append(body)
        }
        for _ in 0..<1000 { world.step(0.02, velocityIterations: 10, positionIterations: 5) }
        for body in bodies {
            let position = world.position(of: body)
            #expect(abs(position.x) < 4 && abs(position.y) < 4)
        }
    }
}
