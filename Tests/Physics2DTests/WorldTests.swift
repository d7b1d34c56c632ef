import Physics2D
import Testing

/// What a world reports, and that it does the same every time.
@Suite struct WorldTests {
    @Test func filtersDecideWhatCollides() {
        func collide(_ a: CollisionFilter, _ b: CollisionFilter) -> Bool {
            var world = World(gravity: .zero)
            for (i, filter) in [a, b].enumerated() {
                let body = world.addBody(BodyDefinition(.dynamic, position: Vec2(0.1 * Float(i), 0)))
                world.addFixture(
                    FixtureDefinition(.circle(center: .zero, radius: 0.5), density: 1, filter: filter), to: body)
            }
            world.step(0.02, velocityIterations: 8, positionIterations: 3)
            return world.contactEvents.contains { $0.began }
        }
        #expect(collide(CollisionFilter(), CollisionFilter()))
        #expect(collide(CollisionFilter(category: 2, mask: 4), CollisionFilter(category: 4, mask: 2)))
        #expect(!collide(CollisionFilter(category: 2, mask: 4), CollisionFilter(category: 4, mask: 1)))
        #expect(!collide(CollisionFilter(group: -3), CollisionFilter(group: -3)))
        #expect(collide(CollisionFilter(mask: 0, group: 3), CollisionFilter(mask: 0, group: 3)))
        #expect(collide(CollisionFilter(group: -3), CollisionFilter(group: -4)))
    }

    @Test func contactsBeginOnceAndEndOnce() {
        var world = World(gravity: Vec2(0, -10))
        let ground = world.addBody(BodyDefinition(.fixed))
        world.addFixture(FixtureDefinition(.edge(Vec2(-5, 0), Vec2(5, 0))), to: ground)
        let ball = world.addBody(BodyDefinition(.dynamic, position: Vec2(0, 1)))
        world.addFixture(
            FixtureDefinition(.polygon([Vec2(-0.3, 0), Vec2(0.3, 0), Vec2(0, 0.5)]), density: 1), to: ball)
        var log: [ContactEvent] = []
        for _ in 0..<100 {
            world.step(0.02, velocityIterations: 8, positionIterations: 3)
            log += world.contactEvents
        }
        #expect(log.map(\.began) == [true] && log[0].involves(ground) && log[0].involves(ball))
        world.setVelocity(of: ball, linear: Vec2(0, 5), angular: 0)
        for _ in 0..<20 {
            world.step(0.02, velocityIterations: 8, positionIterations: 3)
            log += world.contactEvents
        }
        #expect(log.map(\.began) == [true, false])
    }

    @Test func sensorsReportAndLetThrough() {
        var world = World(gravity: Vec2(0, -10))
        let gate = world.addBody(BodyDefinition(.fixed))
        world.addFixture(FixtureDefinition(.box(halfWidth: 5, halfHeight: 0.5), isSensor: true), to: gate)
        let ball = world.addBody(BodyDefinition(.dynamic, position: Vec2(0, 3)))
        world.addFixture(FixtureDefinition(.circle(center: .zero, radius: 0.2), density: 1), to: ball)
        var log: [Bool] = []
        for _ in 0..<100 {
            world.step(0.02, velocityIterations: 8, positionIterations: 3)
            log += world.contactEvents.map(\.began)
        }
        #expect(log == [true, false])
        #expect(world.position(of: ball).y < -10)
    }

    @Test func raysMeetTheNearestFixtureOfTheirCategories() throws {
        var world = World(gravity: .zero)
        func add(_ shape: Shape, at x: Float, category: UInt16) -> Int {
            let body = world.addBody(BodyDefinition(.fixed, position: Vec2(x, 0)))
            world.addFixture(FixtureDefinition(shape, filter: CollisionFilter(category: category)), to: body)
            return body
        }
        let edge = add(.edge(Vec2(0, -1), Vec2(0, 1)), at: 8, category: 1)
        let box = add(.box(halfWidth: 1, halfHeight: 1), at: 6, category: 2)
        let disc = add(.circle(center: .zero, radius: 1), at: 3, category: 4)
        func cast(_ categories: UInt16, y: Float = 0) -> RayHit? {
            world.castRay(from: Vec2(0, y), to: Vec2(10, y), categories: categories)
        }
        let first = try #require(cast(0xFFFF))
        #expect(first.body == disc && abs(first.fraction - 0.2) < 1e-6 && first.normal == Vec2(-1, 0))
        let second = try #require(cast(3))
        #expect(second.body == box && abs(second.fraction - 0.5) < 1e-6 && second.normal == Vec2(-1, 0))
        let third = try #require(cast(1))
        #expect(third.body == edge && abs(third.point.x - 8) < 1e-5 && third.normal == Vec2(-1, 0))
        #expect(cast(8) == nil)
        #expect(cast(0xFFFF, y: 1.5) == nil)
        // From behind, the edge's other side is met; a ray that is too short meets nothing.
        let backward = world.castRay(from: Vec2(10, 0), to: Vec2(7.5, 0))
        let back = try #require(backward)
        #expect(back.body == edge && back.normal == Vec2(1, 0))
        #expect(world.castRay(from: Vec2(10, 0), to: Vec2(8.5, 0)) == nil)
    }

    @Test func raysFindWhatALookAtEverythingFinds() {
        var world = World(gravity: .zero)
        var edges: [(Vec2, Vec2)] = []
        for i in 0..<150 {
            let a = Vec2(Float(i) * 0.4, Float((i * 37) % 11) * 0.1)
            let b = Vec2(Float(i + 1) * 0.4, Float(((i + 1) * 37) % 11) * 0.1)
            edges.append((a, b))
            let body = world.addBody(BodyDefinition(.fixed))
            world.addFixture(FixtureDefinition(.edge(a, b)), to: body)
        }
        var hits = 0
        for k in 0..<200 {
            let p = Vec2(Float(k) * 0.2971 + 0.0371, 3)
            let q = Vec2(p.x + Float(k % 7) * 0.97 - 3, -2)
            var nearest: Float?
            for (a, b) in edges {
                let (d, e) = (q - p, b - a)
                let denominator = d.x * e.y - d.y * e.x
                let t = ((a.x - p.x) * e.y - (a.y - p.y) * e.x) / denominator
                let s = ((a.x - p.x) * d.y - (a.y - p.y) * d.x) / denominator
                if (0...1).contains(t) && (0...1).contains(s) { nearest = min(nearest ?? 1, t) }
            }
            let found = world.castRay(from: p, to: q)?.fraction
            #expect((found == nil) == (nearest == nil))
            if let found, let nearest {
                hits += 1
                #expect(abs(found - nearest) < 1e-5)
            }
        }
        #expect(hits > 100)
    }

    /// Boxes, discs and hinged rods thrown onto uneven ground.
    static func heap() -> World {
        var world = World(gravity: Vec2(0, -10))
        for i in 0..<40 {
            let ground = world.addBody(BodyDefinition(.fixed))
            let (a, b) = (Float((i * 7) % 5) * 0.05, Float(((i + 1) * 7) % 5) * 0.05)
            world.addFixture(
                FixtureDefinition(.edge(Vec2(Float(i) - 20, a), Vec2(Float(i) - 19, b)), friction: 0.7), to: ground)
        }
        var previous: Int?
        for i in 0..<12 {
            let body = world.addBody(
                BodyDefinition(.dynamic, position: Vec2(0.4 * Float(i) - 2, 2 + 0.3 * Float(i)), angle: 0.2 * Float(i)))
            let shape: Shape =
                i % 3 == 0
                ? .circle(center: Vec2(0.05, 0), radius: 0.3)
                : i % 3 == 1
                    ? .box(halfWidth: 0.4, halfHeight: 0.1)
                    : .polygon([Vec2(-0.3, -0.2), Vec2(0.3, -0.2), Vec2(0.2, 0.2), Vec2(-0.1, 0.3)])
            world.addFixture(FixtureDefinition(shape, density: 1 + 0.1 * Float(i), restitution: 0.2), to: body)
            if i % 3 == 1, let previous {
                var hinge = RevoluteJointDefinition(
                    previous, body, localAnchorA: Vec2(0.35, 0), localAnchorB: Vec2(-0.4, 0))
                hinge.limits = -0.6...0.6
                hinge.motorSpeed = 2
                hinge.maxMotorTorque = 3
                world.addRevoluteJoint(hinge)
            }
            previous = body
        }
        return world
    }

    /// FNV-1a over what a world saves.
    private func hash(_ world: borrowing World) -> UInt64 {
        var bytes: [UInt8] = []
        world.saveMotion(to: &bytes)
        return bytes.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    }

    /// The same bits in debug and release builds. A change here means that every trajectory has changed.
    @Test func theMotionIsPinned() {
        var world = Self.heap()
        for _ in 0..<300 { world.step(0.02, velocityIterations: 20, positionIterations: 8) }
        let hash = hash(world)
        #expect(hash == 8_499_880_498_647_884_303)
    }

    @Test func aClearedWorldIsLikeANewOne() {
        var world = World(gravity: Vec2(0, -10))
        var hashes: [UInt64] = []
        for _ in 0..<2 {
            world.removeAll()
            #expect(world.bodyCount == 0)
            let ground = world.addBody(BodyDefinition(.fixed))
            world.addFixture(FixtureDefinition(.edge(Vec2(-5, 0), Vec2(5, 0))), to: ground)
            let body = world.addBody(BodyDefinition(.dynamic, position: Vec2(0, 1), angle: 0.4))
            world.addFixture(FixtureDefinition(.box(halfWidth: 0.2, halfHeight: 0.2), density: 1), to: body)
            for _ in 0..<100 { world.step(0.02, velocityIterations: 20, positionIterations: 8) }
            hashes.append(hash(world))
        }
        #expect(hashes[0] == hashes[1])
    }

    @Test func aRestoredWorldGoesOnExactly() throws {
        var world = Self.heap()
        for step in 0..<250 {
            if step == 40 || step == 120 {
                var bytes: [UInt8] = []
                world.saveMotion(to: &bytes)
                var copy = Self.heap()
                try copy.restoreMotion(from: bytes)
                var hashes = (hash(copy), hash(world))
                #expect(hashes.0 == hashes.1)
                for _ in 0..<100 {
                    copy.step(0.02, velocityIterations: 20, positionIterations: 8)
                    world.step(0.02, velocityIterations: 20, positionIterations: 8)
                    hashes = (hash(copy), hash(world))
                    #expect(hashes.0 == hashes.1)
                }
            }
            world.step(0.02, velocityIterations: 20, positionIterations: 8)
        }
    }

    @Test func brokenMotionsAreRefused() {
        var world = Self.heap()
        for _ in 0..<60 { world.step(0.02, velocityIterations: 20, positionIterations: 8) }
        var bytes: [UInt8] = []
        world.saveMotion(to: &bytes)
        func refuses(_ bytes: [UInt8]) -> Bool {
            var copy = Self.heap()
            do {
                try copy.restoreMotion(from: bytes)
                // What was not refused has to be harmless.
                for _ in 0..<3 { copy.step(0.02, velocityIterations: 20, positionIterations: 8) }
                return false
            } catch {
                return true
            }
        }
        #expect(!refuses(bytes))
        #expect(refuses([]))
        #expect(refuses(Array(bytes.dropLast())))
        #expect(refuses(bytes + [0]))
        for offset in stride(from: 0, to: bytes.count, by: 4) {
            var broken = bytes
            for i in 0..<4 where offset + i < bytes.count { broken[offset + i] = 0xFF }
            _ = refuses(broken)
        }
    }
}
