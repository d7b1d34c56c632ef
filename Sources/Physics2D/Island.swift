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

    /// Finds the islands and solves each.
    mutating func solveIslands(_ step: TimeStep) {
        clearIslandFlags()
        for i in 0..<movable.count {
            let seed = movable.base[i]
            if bodies.base[Int(seed)].isInIsland || !bodies.base[Int(seed)].isAwake { continue }
            buildIsland(from: seed)
            solveIsland(step)
            // Fixed bodies take part in any number of islands.
            for j in 0..<island.bodies.count {
                let body = bodies.base + Int(island.bodies.base[j])
                if body.pointee.kind == .fixed { body.pointee.isInIsland = false }
            }
        }
        for i in 0..<movable.count where bodies.base[Int(movable.base[i])].isInIsland {
            synchronizeFixtures(of: Int(movable.base[i]))
        }
        findNewContacts()
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

    /// Velocities, positions, sleep.
    private mutating func solveIsland(_ step: TimeStep) {
        integrateVelocities(step.dt)
        prepareContacts(dtRatio: step.dtRatio)
        for i in 0..<island.contactConstraints.count {
            island.contactConstraints.base[i].prepare(island.positions.base, island.velocities.base)
        }
        for i in 0..<island.contactConstraints.count {
            island.contactConstraints.base[i].warmStart(island.velocities.base)
        }
        prepareJoints(step)
        solveVelocities(step.velocityIterations)
        storeImpulses()
        integratePositions(step.dt)
        let isSolved = solvePositions(step.positionIterations)
        for i in 0..<island.bodies.count {
            let body = bodies.base + Int(island.bodies.base[i])
            body.pointee.sweep.center = island.positions.base[i].c
            body.pointee.sweep.angle = island.positions.base[i].a
            body.pointee.linearVelocity = island.velocities.base[i].v
            body.pointee.angularVelocity = island.velocities.base[i].w
            if body.pointee.kind == .dynamic { body.pointee.synchronizeTransform() }
        }
        if allowsSleep { updateSleep(step.dt, isSolved: isSolved) }
    }

    private mutating func integrateVelocities(_ dt: Float) {
        let count = island.bodies.count
        island.positions.truncate(to: 0)
        island.velocities.truncate(to: 0)
        for i in 0..<count {
            let body = bodies.base + Int(island.bodies.base[i])
            body.pointee.sweep.center0 = body.pointee.sweep.center
            body.pointee.sweep.angle0 = body.pointee.sweep.angle
            var v = body.pointee.linearVelocity
            var w = body.pointee.angularVelocity
            if body.pointee.kind == .dynamic {
                v += dt * (body.pointee.gravityScale * gravity + body.pointee.inverseMass * body.pointee.force)
                w += dt * body.pointee.inverseInertia * body.pointee.torque
                // Padé's approximation of exp(−damping · dt).
                v = 1 / (1 + dt * body.pointee.linearDamping) * v
                w *= 1 / (1 + dt * body.pointee.angularDamping)
            }
            island.positions.append(BodyPosition(c: body.pointee.sweep.center, a: body.pointee.sweep.angle))
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

    private mutating func solveVelocities(_ iterations: Int) {
        let joints = island.jointConstraints.base
        let jointCount = island.jointConstraints.count
        let contacts = island.contactConstraints.base
        let contactCount = island.contactConstraints.count
        let velocities = island.velocities.base
        for _ in 0..<iterations {
            for j in 0..<jointCount { joints[j].solveVelocity(velocities) }
            for c in 0..<contactCount { contacts[c].solveVelocity(velocities) }
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

    /// Moves a body's boxes in the tree to cover its motion in this step.
    mutating func synchronizeFixtures(of index: Int) {
        let body = bodies.base + index
        let rotation = Rotation(angle: body.pointee.sweep.angle0)
        let start = Transform(
            position: body.pointee.sweep.center0 - rotation.apply(body.pointee.sweep.localCenter),
            rotation: rotation)
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
