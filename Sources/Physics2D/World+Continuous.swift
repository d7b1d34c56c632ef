extension World {
    /// Keeps moving bodies from passing through fixed ones: finds the first impact of the step, puts the body there,
    /// solves its contacts for the rest of the step, and so on until there is no impact left.
    mutating func solveImpacts(_ step: TimeStep) {
        for i in 0..<movable.count {
            let body = bodies.base + Int(movable.base[i])
            body.pointee.isInIsland = false
            body.pointee.sweep.alpha0 = 0
        }
        var index = firstContact
        while index != -1 {
            let contact = contacts.base + Int(index)
            bodies.base[Int(contact.pointee.bodyA)].sweep.alpha0 = 0
            bodies.base[Int(contact.pointee.bodyB)].sweep.alpha0 = 0
            contact.pointee.isInIsland = false
            contact.pointee.hasImpactTime = false
            contact.pointee.impactCount = 0
            contact.pointee.impactTime = 1
            index = contact.pointee.next
        }
        while let (contact, time) = firstImpact() {
            resolveImpact(contact, at: time, step)
        }
    }

    /// The contact that touches first in the rest of the step, and when.
    private func firstImpact() -> (contact: Int32, time: Float)? {
        var first: Int32 = -1
        var least: Float = 1
        var index = firstContact
        while index != -1 {
            let contact = contacts.base + Int(index)
            if contact.pointee.isEnabled && contact.pointee.impactCount <= Settings.maxSubSteps,
                let time = impactTime(contact), time < least
            {
                first = index
                least = time
            }
            index = contact.pointee.next
        }
        return first == -1 || 1 - 10 * Settings.epsilon < least ? nil : (first, least)
    }

    /// When a contact's fixtures touch in the rest of the step (1 if they do not), or nil if it does not matter.
    @inline(__always)
    private func impactTime(_ contact: UnsafeMutablePointer<Contact>) -> Float? {
        if contact.pointee.hasImpactTime { return contact.pointee.impactTime }
        if contact.pointee.isSensor { return nil }
        let a = bodies.base + Int(contact.pointee.bodyA)
        let b = bodies.base + Int(contact.pointee.bodyB)
        if !a.pointee.isActive && !b.pointee.isActive { return nil }
        let isSolidA = a.pointee.isBullet || a.pointee.kind != .dynamic
        let isSolidB = b.pointee.isBullet || b.pointee.kind != .dynamic
        if !isSolidA && !isSolidB { return nil }

        // Both motions start at the same time.
        var alpha0 = a.pointee.sweep.alpha0
        if a.pointee.sweep.alpha0 < b.pointee.sweep.alpha0 {
            alpha0 = b.pointee.sweep.alpha0
            a.pointee.sweep.advance(to: alpha0)
        } else if b.pointee.sweep.alpha0 < a.pointee.sweep.alpha0 {
            b.pointee.sweep.advance(to: alpha0)
        }
        var time: Float = 1
        let shapeA = outline(Int(contact.pointee.fixtureA))
        let shapeB = outline(Int(contact.pointee.fixtureB))
        let isApart =
            shapeA.kind == .edge && a.pointee.kind == .fixed && b.pointee.sweep.alpha0 == 0
            && staysApart(
                shapeA, a.pointee.transform, shapeB, from: b.pointee.startTransform, to: b.pointee.transform,
                turn: b.pointee.sweep.angle - b.pointee.sweep.angle0,
                center: b.pointee.sweep.localCenter)
        if !isApart, let beta = timeOfImpact(shapeA, a.pointee.sweep, shapeB, b.pointee.sweep) {
            time = alpha0 + (1 - alpha0) * beta
            if !(time < 1) { time = 1 }
        }
        contact.pointee.impactTime = time
        contact.pointee.hasImpactTime = true
        return time
    }

    private mutating func resolveImpact(_ index: Int32, at time: Float, _ step: TimeStep) {
        let contact = contacts.base + Int(index)
        let (indexA, indexB) = (contact.pointee.bodyA, contact.pointee.bodyB)
        let a = bodies.base + Int(indexA)
        let b = bodies.base + Int(indexB)
        let (backupA, backupB) = (a.pointee.sweep, b.pointee.sweep)
        a.pointee.advance(to: time)
        b.pointee.advance(to: time)
        update(index)
        contact.pointee.hasImpactTime = false
        contact.pointee.impactCount += 1
        if !contact.pointee.isTouching {
            contact.pointee.isEnabled = false
            a.pointee.sweep = backupA
            b.pointee.sweep = backupB
            a.pointee.synchronizeTransform()
            b.pointee.synchronizeTransform()
            return
        }
        a.pointee.wake()
        b.pointee.wake()
        buildImpactIsland(index, at: time)
        solveImpactIsland(
            TimeStep(
                dt: (1 - time) * step.dt, dtRatio: 1, velocityIterations: step.velocityIterations,
                positionIterations: Settings.impactPositionIterations))
        for i in 0..<island.bodies.count {
            let body = Int(island.bodies.base[i])
            bodies.base[body].isInIsland = false
            if bodies.base[body].kind != .dynamic { continue }
            let sweep = bodies.base[body].sweep
            let rotation = Rotation(angle: sweep.angle0)
            synchronizeFixtures(
                of: body,
                from: Transform(
                    position: sweep.center0 - rotation.apply(sweep.localCenter), rotation: rotation))
            forEachContact(of: body) { contact in
                contact.pointee.hasImpactTime = false
                contact.pointee.isInIsland = false
            }
        }
        findNewContacts()
    }

    /// The impact's bodies and what else they touch at that time.
    private mutating func buildImpactIsland(_ index: Int32, at time: Float) {
        let (indexA, indexB) = (contacts.base[Int(index)].bodyA, contacts.base[Int(index)].bodyB)
        island.clear()
        addToIsland(indexA)
        addToIsland(indexB)
        island.contacts.append(index)
        bodies.base[Int(indexA)].isInIsland = true
        bodies.base[Int(indexB)].isInIsland = true
        contacts.base[Int(index)].isInIsland = true
        addTouched(by: indexA, at: time)
        addTouched(by: indexB, at: time)
    }

    private mutating func addTouched(by index: Int32, at time: Float) {
        let body = bodies.base + Int(index)
        if body.pointee.kind != .dynamic { return }
        var edge = body.pointee.firstContactEdge
        while edge != -1 {
            if island.bodies.count == 2 * Settings.maxImpactContacts
                || island.contacts.count == Settings.maxImpactContacts
            {
                return
            }
            let contactIndex = edge >> 1
            let contact = contacts.base + Int(contactIndex)
            let isSideA = edge & 1 == 0
            let otherIndex = isSideA ? contact.pointee.bodyB : contact.pointee.bodyA
            edge = isSideA ? contact.pointee.nextEdgeA : contact.pointee.nextEdgeB
            let other = bodies.base + Int(otherIndex)
            if contact.pointee.isInIsland || contact.pointee.isSensor { continue }
            if other.pointee.kind == .dynamic && !body.pointee.isBullet && !other.pointee.isBullet { continue }

            let backup = other.pointee.sweep
            if !other.pointee.isInIsland { other.pointee.advance(to: time) }
            update(contactIndex)
            if !contact.pointee.isEnabled || !contact.pointee.isTouching {
                other.pointee.sweep = backup
                other.pointee.synchronizeTransform()
                continue
            }
            contact.pointee.isInIsland = true
            island.contacts.append(contactIndex)
            if other.pointee.isInIsland { continue }
            other.pointee.isInIsland = true
            if other.pointee.kind != .fixed { other.pointee.wake() }
            addToIsland(otherIndex)
        }
    }

    /// Separates the impact's bodies, then solves velocities for the rest of the step. Joints are left to the next
    /// step, and the impulses, which may be large, do not start it.
    private mutating func solveImpactIsland(_ step: TimeStep) {
        island.positions.truncate(to: 0)
        island.velocities.truncate(to: 0)
        for i in 0..<island.bodies.count {
            let body = bodies.base + Int(island.bodies.base[i])
            island.positions.append(
                BodyPosition(
                    c: body.pointee.sweep.center, a: body.pointee.sweep.angle,
                    rotation: body.pointee.transform.rotation))
            island.velocities.append(
                BodyVelocity(v: body.pointee.linearVelocity, w: body.pointee.angularVelocity))
        }
        island.jointConstraints.truncate(to: 0)
        prepareContacts(dtRatio: 0)
        let constraints = island.contactConstraints.base
        let count = island.contactConstraints.count
        let positions = island.positions.base
        for _ in 0..<step.positionIterations {
            var least: Float = 0
            for i in 0..<count {
                // Bodies 0 and 1 are those of the impact.
                let separation = constraints[i].solvePosition(
                    positions, baumgarte: Settings.impactBaumgarte, movesA: constraints[i].indexA < 2,
                    movesB: constraints[i].indexB < 2)
                if separation < least { least = separation }
            }
            if least >= -1.5 * Settings.linearSlop { break }
        }
        for i in 0..<2 {
            let body = bodies.base + Int(island.bodies.base[i])
            body.pointee.sweep.center0 = positions[i].c
            body.pointee.sweep.angle0 = positions[i].a
        }
        for i in 0..<count { constraints[i].prepare(positions, island.velocities.base) }
        solveVelocities(step.velocityIterations)
        integratePositions(step.dt)
        for i in 0..<island.bodies.count {
            let body = bodies.base + Int(island.bodies.base[i])
            body.pointee.finish(&positions[i], island.velocities.base[i])
        }
    }
}
