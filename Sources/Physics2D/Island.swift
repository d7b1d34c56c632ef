/// Bodies that touch or are joined, with their constraints: what has to be solved together.
struct Island: ~Copyable {
    var bodies = Pool<Int32>()
    var contacts = Pool<Int32>(capacity: 32)
    var joints = Pool<Int32>()
    var positions = Pool<BodyPosition>()
    var velocities = Pool<BodyVelocity>()
    var contactConstraints = Pool<ContactConstraint>(capacity: 32)
    var jointConstraints = Pool<JointConstraint>()
    var stack = Pool<Int32>()
    /// What the velocity iterations worked on a period ago.
    var snapshot = Pool<UInt32>(capacity: 64)
    /// What the last iterations added to the joints' anchor impulses, which decide nothing but have to be kept.
    var additions = Pool<Vec2>(capacity: 64)
    /// A cycle is noticed when its length divides this.
    static let period = 12
    /// How far the search for islands is in the list of bodies.
    var seed = 0

    /// Compares all that decides the next velocity iteration with what it was at the last call.
    mutating func hasChangedSinceSnapshot(isFirst: Bool) -> Bool {
        let count = 3 * bodies.count + 2 * jointConstraints.count + 4 * contactConstraints.count
        snapshot.reserve(count)
        let words = snapshot.base
        var differences: UInt32 = isFirst ? 1 : 0
        var next = 0
        @inline(__always)
        func note(_ value: Float) {
            differences |= words[next] ^ value.bitPattern
            words[next] = value.bitPattern
            next += 1
        }
        if isFirst { words.initialize(repeating: 0, count: count) }
        for i in 0..<bodies.count {
            note(velocities.base[i].v.x)
            note(velocities.base[i].v.y)
            note(velocities.base[i].w)
        }
        for i in 0..<jointConstraints.count {
            let joint = jointConstraints.base + i
            note(joint.pointee.impulse.z)
            note(joint.pointee.motorImpulse)
        }
        for i in 0..<contactConstraints.count {
            let contact = contactConstraints.base + i
            note(contact.pointee.first.normalImpulse)
            note(contact.pointee.first.tangentImpulse)
            note(contact.pointee.second.normalImpulse)
            note(contact.pointee.second.tangentImpulse)
        }
        return differences != 0
    }

    mutating func clear() {
        bodies.truncate(to: 0)
        contacts.truncate(to: 0)
        joints.truncate(to: 0)
    }
}

extension World {
    /// Adds a body to the island.
    mutating func addToIsland(_ body: Int32) {
        bodies.base[Int(body)].islandIndex = Int32(island.bodies.append(body))
    }

    /// Starts the search for islands.
    mutating func startIslands() {
        clearIslandFlags()
        island.seed = 0
    }

    /// Builds the next island of bodies that are awake; false when there is none left.
    mutating func nextIsland() -> Bool {
        while island.seed < movable.count {
            let body = movable.base[island.seed]
            island.seed += 1
            if bodies.base[Int(body)].isInIsland || !bodies.base[Int(body)].isAwake { continue }
            buildIsland(from: body)
            return true
        }
        return false
    }

    /// Moves the boxes of all bodies that were in an island.
    mutating func synchronizeMovedFixtures() {
        for i in 0..<movable.count where bodies.base[Int(movable.base[i])].isInIsland {
            let index = Int(movable.base[i])
            synchronizeFixtures(of: index, from: bodies.base[index].startTransform)
        }
    }

    private func clearIslandFlags() {
        for i in 0..<movable.count { bodies.base[Int(movable.base[i])].isInIsland = false }
        var index = firstContact
        while index != -1 {
            contacts.base[Int(index)].isInIsland = false
            index = contacts.base[Int(index)].next
        }
        for i in 0..<joints.count { joints.base[i].isInIsland = false }
    }

    /// Searches the graph of touching contacts and joints depth first.
    private mutating func buildIsland(from seed: Int32) {
        island.clear()
        island.stack.truncate(to: 0)
        island.stack.append(seed)
        bodies.base[Int(seed)].isInIsland = true
        while island.stack.count > 0 {
            let index = island.stack.base[island.stack.count - 1]
            island.stack.truncate(to: island.stack.count - 1)
            addToIsland(index)
            let body = bodies.base + Int(index)
            body.pointee.wake()
            // Islands do not spread across fixed bodies.
            if body.pointee.kind == .fixed { continue }

            var edge = body.pointee.firstContactEdge
            while edge != -1 {
                let contact = contacts.base + Int(edge >> 1)
                let isSideA = edge & 1 == 0
                let other = isSideA ? contact.pointee.bodyB : contact.pointee.bodyA
                edge = isSideA ? contact.pointee.nextEdgeA : contact.pointee.nextEdgeB
                if contact.pointee.isInIsland || !contact.pointee.isEnabled || !contact.pointee.isTouching
                    || contact.pointee.isSensor
                {
                    continue
                }
                island.contacts.append(Int32(contact - contacts.base))
                contact.pointee.isInIsland = true
                visit(other)
            }
            edge = body.pointee.firstJointEdge
            while edge != -1 {
                let joint = joints.base + Int(edge >> 1)
                let isSideA = edge & 1 == 0
                let other = isSideA ? joint.pointee.bodyB : joint.pointee.bodyA
                edge = isSideA ? joint.pointee.nextEdgeA : joint.pointee.nextEdgeB
                if joint.pointee.isInIsland { continue }
                island.joints.append(Int32(joint - joints.base))
                joint.pointee.isInIsland = true
                visit(other)
            }
        }
    }

    private mutating func visit(_ body: Int32) {
        if bodies.base[Int(body)].isInIsland { return }
        bodies.base[Int(body)].isInIsland = true
        island.stack.append(body)
    }

    /// All that comes before the velocity iterations.
    mutating func beginIsland(_ step: TimeStep) {
        integrateVelocities(step.dt)
        prepareContacts(dtRatio: step.dtRatio)
        for i in 0..<island.contactConstraints.count {
            island.contactConstraints.base[i].prepare(island.positions.base, island.velocities.base)
        }
        for i in 0..<island.contactConstraints.count {
            island.contactConstraints.base[i].warmStart(island.velocities.base)
        }
        prepareJoints(step)
    }

    /// All that comes after the velocity iterations: positions, sleep.
    mutating func endIsland(_ step: TimeStep) {
        storeImpulses()
        integratePositions(step.dt)
        let isSolved = solvePositions(step.positionIterations)
        for i in 0..<island.bodies.count {
            let body = bodies.base + Int(island.bodies.base[i])
            if body.pointee.kind == .fixed { continue }
            body.pointee.finish(&island.positions.base[i], island.velocities.base[i])
        }
        if allowsSleep { updateSleep(step.dt, isSolved: isSolved) }
        // Fixed bodies take part in any number of islands.
        for i in 0..<island.bodies.count {
            let body = bodies.base + Int(island.bodies.base[i])
            if body.pointee.kind == .fixed { body.pointee.isInIsland = false }
        }
    }

    private mutating func integrateVelocities(_ dt: Float) {
        let count = island.bodies.count
        island.positions.truncate(to: 0)
        island.velocities.truncate(to: 0)
        for i in 0..<count {
            let body = bodies.base + Int(island.bodies.base[i])
            body.pointee.sweep.center0 = body.pointee.sweep.center
            body.pointee.sweep.angle0 = body.pointee.sweep.angle
            body.pointee.rotation0 = body.pointee.transform.rotation
            var v = body.pointee.linearVelocity
            var w = body.pointee.angularVelocity
            if body.pointee.kind == .dynamic {
                v += dt * (body.pointee.gravityScale * gravity + body.pointee.inverseMass * body.pointee.force)
                w += dt * body.pointee.inverseInertia * body.pointee.torque
                // Padé's approximation of exp(−damping · dt).
                v = 1 / (1 + dt * body.pointee.linearDamping) * v
                w *= 1 / (1 + dt * body.pointee.angularDamping)
            }
            island.positions.append(
                BodyPosition(
                    c: body.pointee.sweep.center, a: body.pointee.sweep.angle,
                    rotation: body.pointee.transform.rotation))
            island.velocities.append(BodyVelocity(v: v, w: w))
        }
    }

    /// Copies what the contact solver needs of the island's contacts.
    mutating func prepareContacts(dtRatio: Float) {
        island.contactConstraints.truncate(to: 0)
        for i in 0..<island.contacts.count {
            let index = island.contacts.base[i]
            let contact = contacts.base + Int(index)
            let bodyA = bodies.base + Int(contact.pointee.bodyA)
            let bodyB = bodies.base + Int(contact.pointee.bodyB)
            let manifold = contact.pointee.manifold
            var constraint = ContactConstraint(
                contact: index, indexA: Int(bodyA.pointee.islandIndex), indexB: Int(bodyB.pointee.islandIndex),
                inverseMassA: bodyA.pointee.inverseMass, inverseMassB: bodyB.pointee.inverseMass,
                inverseInertiaA: bodyA.pointee.inverseInertia, inverseInertiaB: bodyB.pointee.inverseInertia,
                friction: contact.pointee.friction, restitution: contact.pointee.restitution,
                pointCount: manifold.count, localCenterA: bodyA.pointee.sweep.localCenter,
                localCenterB: bodyB.pointee.sweep.localCenter,
                radiusA: fixtures.base[Int(contact.pointee.fixtureA)].radius,
                radiusB: fixtures.base[Int(contact.pointee.fixtureB)].radius, kind: manifold.kind,
                manifoldCount: manifold.count, localNormal: manifold.localNormal,
                localPoint: manifold.localPoint, localPoint1: manifold.first.localPoint,
                localPoint2: manifold.second.localPoint)
            constraint.first.normalImpulse = dtRatio * manifold.first.normalImpulse
            constraint.first.tangentImpulse = dtRatio * manifold.first.tangentImpulse
            if manifold.count > 1 {
                constraint.second.normalImpulse = dtRatio * manifold.second.normalImpulse
                constraint.second.tangentImpulse = dtRatio * manifold.second.tangentImpulse
            }
            island.contactConstraints.append(constraint)
        }
    }

    private mutating func prepareJoints(_ step: TimeStep) {
        island.jointConstraints.truncate(to: 0)
        for i in 0..<island.joints.count {
            let index = island.joints.base[i]
            let joint = joints.base + Int(index)
            let constraint = JointConstraint(
                index, joint.pointee, bodies.base[Int(joint.pointee.bodyA)],
                bodies.base[Int(joint.pointee.bodyB)], island.positions.base, dt: step.dt,
                dtRatio: step.dtRatio)
            joint.pointee.limitState = constraint.limitState
            constraint.warmStart(island.velocities.base)
            island.jointConstraints.append(constraint)
        }
    }

    /// The velocity iterations. They end early only where going on would change nothing: when everything they work on
    /// is, to the bit, what it was one period before. Rounding makes most solutions end in a short cycle.
    mutating func solveVelocities(_ iterations: Int) {
        let joints = island.jointConstraints.base
        let jointCount = island.jointConstraints.count
        let contacts = island.contactConstraints.base
        let contactCount = island.contactConstraints.count
        let velocities = island.velocities.base
        let period = Island.period
        island.additions.reserve(period * jointCount)
        let additions = island.additions.base
        var remaining = iterations
        var isFirst = true
        while remaining > 0 {
            let count = min(period, remaining)
            for n in 0..<count {
                for j in 0..<jointCount {
                    additions[n * jointCount + j] = joints[j].solveVelocity(velocities)
                }
                for c in 0..<contactCount { contacts[c].solveVelocity(velocities) }
            }
            remaining -= count
            let hasChanged = island.hasChangedSinceSnapshot(isFirst: isFirst)
            isFirst = false
            if hasChanged || count < period { continue }
            // Whole periods lead back here, and each adds the same to the anchors' impulses.
            while remaining >= period {
                for n in 0..<period {
                    for j in 0..<jointCount {
                        joints[j].impulse.x += additions[n * jointCount + j].x
                        joints[j].impulse.y += additions[n * jointCount + j].y
                    }
                }
                remaining -= period
            }
        }
    }

    /// Keeps the impulses for the next step to start with.
    private mutating func storeImpulses() {
        for i in 0..<island.contactConstraints.count {
            let constraint = island.contactConstraints.base + i
            let contact = contacts.base + Int(constraint.pointee.contact)
            contact.pointee.manifold.first.normalImpulse = constraint.pointee.first.normalImpulse
            contact.pointee.manifold.first.tangentImpulse = constraint.pointee.first.tangentImpulse
            if constraint.pointee.pointCount > 1 {
                contact.pointee.manifold.second.normalImpulse = constraint.pointee.second.normalImpulse
                contact.pointee.manifold.second.tangentImpulse = constraint.pointee.second.tangentImpulse
            }
        }
        for i in 0..<island.jointConstraints.count {
            let constraint = island.jointConstraints.base + i
            let joint = joints.base + Int(constraint.pointee.joint)
            joint.pointee.impulse = constraint.pointee.impulse
            joint.pointee.motorImpulse = constraint.pointee.motorImpulse
        }
    }

    /// Moves the island's bodies by their velocities, which are limited first.
    mutating func integratePositions(_ dt: Float) {
        for i in 0..<island.bodies.count {
            var v = island.velocities.base[i].v
            var w = island.velocities.base[i].w
            let translation = dt * v
            if dot(translation, translation) > Settings.maxTranslation * Settings.maxTranslation {
                v = Settings.maxTranslation / translation.length * v
            }
            let rotation = dt * w
            if rotation * rotation > Settings.maxRotation * Settings.maxRotation {
                w *= Settings.maxRotation / absolute(rotation)
            }
            island.positions.base[i].c += dt * v
            island.positions.base[i].a += dt * w
            island.velocities.base[i] = BodyVelocity(v: v, w: w)
        }
    }

    private mutating func solvePositions(_ iterations: Int) -> Bool {
        let joints = island.jointConstraints.base
        let jointCount = island.jointConstraints.count
        let contacts = island.contactConstraints.base
        let contactCount = island.contactConstraints.count
        let positions = island.positions.base
        for _ in 0..<iterations {
            var least: Float = 0
            for c in 0..<contactCount {
                let separation = contacts[c].solvePosition(
                    positions, baumgarte: Settings.baumgarte, movesA: true, movesB: true)
                if separation < least { least = separation }
            }
            var isSolved = least >= -3 * Settings.linearSlop
            for j in 0..<jointCount where !joints[j].solvePosition(positions) { isSolved = false }
            if isSolved { return true }
        }
        return false
    }

    /// Puts the island to sleep when all of it has been at rest for long enough.
    private mutating func updateSleep(_ dt: Float, isSolved: Bool) {
        let linear = Settings.linearSleepTolerance * Settings.linearSleepTolerance
        let angular = Settings.angularSleepTolerance * Settings.angularSleepTolerance
        var least = Float.greatestFiniteMagnitude
        for i in 0..<island.bodies.count {
            let body = bodies.base + Int(island.bodies.base[i])
            if body.pointee.kind == .fixed { continue }
            let v = body.pointee.linearVelocity
            let w = body.pointee.angularVelocity
            if !body.pointee.allowsSleep || w * w > angular || dot(v, v) > linear {
                body.pointee.sleepTime = 0
                least = 0
            } else {
                body.pointee.sleepTime += dt
                if body.pointee.sleepTime < least { least = body.pointee.sleepTime }
            }
        }
        if least >= Settings.timeToSleep && isSolved {
            for i in 0..<island.bodies.count { bodies.base[Int(island.bodies.base[i])].sleep() }
        }
    }

    /// Moves a body's boxes in the tree to cover its motion since it was at `start`.
    mutating func synchronizeFixtures(of index: Int, from start: Transform) {
        let body = bodies.base + index
        let end = body.pointee.transform
        var next = body.pointee.firstFixture
        while next != -1 {
            let shape = outline(Int(next))
            let fixture = fixtures.base + Int(next)
            let box = shape.box(start).union(shape.box(end))
            if tree.move(fixture.pointee.proxy, to: box, displacement: end.position - start.position) {
                moved.append(fixture.pointee.proxy)
            }
            next = fixture.pointee.next
        }
    }
}
