/// Memory for solving islands of several worlds together; grows with the first use.
struct LockstepMemory: ~Copyable {
    var joints = Pool<LaneJoint>(capacity: 0)
    var contacts = Pool<LaneContact>(capacity: 0)
    var velocities = Pool<LaneVelocity>(capacity: 0)
    /// What the last iterations added to the anchors' impulses.
    var additions = Pool<LaneVector>(capacity: 0)
    /// What the iterations worked on a period ago.
    var snapshot = Pool<Lanes>(capacity: 0)
}

/// Worlds that are stepped together, by address.
@usableFromInline
typealias WorldGroup = UnsafeMutableBufferPointer<UnsafeMutablePointer<World>>

extension World {
    /// How many worlds are solved at a time, for what one of them costs.
    public static let groupSize = Lanes.scalarCount

    /// Advances several worlds by `dt` seconds, with the results that ``step(_:velocityIterations:positionIterations:)``
    /// has for each, in much less time if they are alike.
    ///
    /// - Parameter world: where world i of `count` lies.
    @inlinable
    public static func step(
        count: Int, _ world: (Int) -> UnsafeMutablePointer<World>, _ dt: Float, velocityIterations: Int,
        positionIterations: Int
    ) {
        withUnsafeTemporaryAllocation(of: UnsafeMutablePointer<World>.self, capacity: groupSize) { lanes in
            var start = 0
            while start < count {
                let group = min(groupSize, count - start)
                for i in 0..<group { lanes.initializeElement(at: i, to: world(start + i)) }
                stepLanes(
                    WorldGroup(rebasing: lanes[..<group]), dt, velocityIterations: velocityIterations,
                    positionIterations: positionIterations)
                start += group
            }
        }
    }

    /// Advances as many worlds as there are lanes, or fewer.
    @usableFromInline
    static func stepLanes(
        _ worlds: WorldGroup, _ dt: Float, velocityIterations: Int, positionIterations: Int
    ) {
        func step(_ world: UnsafeMutablePointer<World>) -> TimeStep {
            TimeStep(
                dt: dt, dtRatio: world.pointee.lastInverseDt * dt, velocityIterations: velocityIterations,
                positionIterations: positionIterations)
        }
        for world in worlds { world.pointee.beginStep() }
        withUnsafeTemporaryAllocation(
            of: UnsafeMutablePointer<World>.self, capacity: groupSize
        ) { memory in
            while true {
                // One island of each world that has one left.
                var count = 0
                for world in worlds where world.pointee.nextIsland() {
                    world.pointee.beginIsland(step(world))
                    memory.initializeElement(at: count, to: world)
                    count += 1
                }
                if count == 0 { break }
                let active = WorldGroup(rebasing: memory[..<count])
                if count == 1 || !solveVelocitiesTogether(active, velocityIterations) {
                    for world in active { world.pointee.solveVelocities(velocityIterations) }
                }
                for world in active { world.pointee.endIsland(step(world)) }
            }
        }
        for world in worlds { world.pointee.endStep(step(world)) }
    }

    /// The velocity iterations of one island of each world, in lanes; false, and nothing done, if they do not match.
    private static func solveVelocitiesTogether(_ worlds: WorldGroup, _ iterations: Int) -> Bool {
        for world in worlds where !world.pointee.matches(worlds[0]) { return false }
        let first = worlds[0]
        let jointCount = first.pointee.island.jointConstraints.count
        first.pointee.prepareLanes()
        for (lane, world) in worlds.enumerated() { first.pointee.loadLane(lane, of: world) }
        first.pointee.iterateLanes(iterations, jointCount)
        for (lane, world) in worlds.enumerated() { first.pointee.storeLane(lane, to: world) }
        return true
    }

    /// Whether the island has the joints that the other world's island has, and no contacts between moving bodies.
    private func matches(_ other: UnsafeMutablePointer<World>) -> Bool {
        let count = island.jointConstraints.count
        if count != other.pointee.island.jointConstraints.count || movable.count != other.pointee.movable.count {
            return false
        }
        for j in 0..<count {
            let mine = island.jointConstraints.base + j
            let theirs = other.pointee.island.jointConstraints.base + j
            let (a, b) = (order(mine.pointee.indexA), order(mine.pointee.indexB))
            if a < 0 || b < 0 || a != other.pointee.order(theirs.pointee.indexA)
                || b != other.pointee.order(theirs.pointee.indexB) || mine.pointee.hasMotor != theirs.pointee.hasMotor
            {
                return false
            }
        }
        for c in 0..<island.contactConstraints.count {
            let contact = island.contactConstraints.base + c
            if order(contact.pointee.indexA) >= 0 || order(contact.pointee.indexB) < 0 { return false }
        }
        return true
    }

    /// Which of the bodies that can move an island's body is; −1 for a fixed one.
    @inline(__always)
    private func order(_ islandIndex: Int) -> Int {
        Int(bodies.base[Int(island.bodies.base[islandIndex])].order)
    }

    private mutating func prepareLanes() {
        lockstep.velocities.truncate(to: 0)
        for _ in 0..<movable.count { lockstep.velocities.append(LaneVelocity()) }
        lockstep.contacts.truncate(to: 0)
        lockstep.joints.truncate(to: 0)
        for j in 0..<island.jointConstraints.count {
            let joint = island.jointConstraints.base + j
            lockstep.joints.append(
                LaneJoint(
                    bodyA: order(joint.pointee.indexA), bodyB: order(joint.pointee.indexB),
                    hasMotor: joint.pointee.hasMotor))
        }
    }

    private mutating func loadLane(_ lane: Int, of world: UnsafeMutablePointer<World>) {
        for i in 0..<world.pointee.island.bodies.count {
            let order = world.pointee.order(i)
            if order < 0 { continue }
            lockstep.velocities.base[order].v[lane] = world.pointee.island.velocities.base[i].v
            lockstep.velocities.base[order].w[lane] = world.pointee.island.velocities.base[i].w
        }
        for j in 0..<world.pointee.island.jointConstraints.count {
            lockstep.joints.base[j].load(world.pointee.island.jointConstraints.base[j], lane: lane)
        }
        for c in 0..<world.pointee.island.contactConstraints.count {
            let contact = world.pointee.island.contactConstraints.base + c
            let slot = contactSlot(of: world.pointee.order(contact.pointee.indexB), lane: lane)
            lockstep.contacts.base[slot].load(contact.pointee, index: c, lane: lane)
        }
    }

    /// The first slot of a body's contacts that the lane does not use yet. The order of a body's contacts is kept;
    /// contacts of different bodies with fixed ones do not know of each other.
    private mutating func contactSlot(of body: Int, lane: Int) -> Int {
        for i in 0..<lockstep.contacts.count {
            let slot = lockstep.contacts.base + i
            if slot.pointee.body == body && slot.pointee.constraint[lane] < 0 { return i }
        }
        return lockstep.contacts.append(LaneContact(body: body))
    }

    private mutating func iterateLanes(_ iterations: Int, _ jointCount: Int) {
        let joints = lockstep.joints.base
        let contacts = lockstep.contacts.base
        let contactCount = lockstep.contacts.count
        let velocities = lockstep.velocities.base
        let period = Island.period
        lockstep.additions.reserve(period * jointCount)
        let additions = lockstep.additions.base
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
            let hasChanged = lanesHaveChangedSinceSnapshot(isFirst: isFirst)
            isFirst = false
            if hasChanged || count < period { continue }
            // Whole periods lead back here, and each adds the same to the anchors' impulses.
            while remaining >= period {
                for n in 0..<period {
                    for j in 0..<jointCount {
                        joints[j].impulse = joints[j].impulse + additions[n * jointCount + j]
                    }
                }
                remaining -= period
            }
        }
    }

    /// Compares all that decides the next iteration with what it was at the last call.
    private mutating func lanesHaveChangedSinceSnapshot(isFirst: Bool) -> Bool {
        let count =
            3 * lockstep.velocities.count + 2 * lockstep.joints.count + 4 * lockstep.contacts.count
        lockstep.snapshot.reserve(count)
        let words = lockstep.snapshot.base
        if isFirst { words.initialize(repeating: .zero, count: count) }
        var differences = LaneMask(repeating: isFirst ? 1 : 0)
        var next = 0
        @inline(__always)
        func note(_ value: Lanes) {
            differences |= words[next].bits ^ value.bits
            words[next] = value
            next += 1
        }
        for i in 0..<lockstep.velocities.count {
            note(lockstep.velocities.base[i].v.x)
            note(lockstep.velocities.base[i].v.y)
            note(lockstep.velocities.base[i].w)
        }
        for i in 0..<lockstep.joints.count {
            note(lockstep.joints.base[i].motorImpulse)
            note(lockstep.joints.base[i].limitImpulse)
        }
        for i in 0..<lockstep.contacts.count {
            note(lockstep.contacts.base[i].first.normalImpulse)
            note(lockstep.contacts.base[i].first.tangentImpulse)
            note(lockstep.contacts.base[i].second.normalImpulse)
            note(lockstep.contacts.base[i].second.tangentImpulse)
        }
        return differences != .zero
    }

    private func storeLane(_ lane: Int, to world: UnsafeMutablePointer<World>) {
        for i in 0..<world.pointee.island.bodies.count {
            let order = world.pointee.order(i)
            if order < 0 { continue }
            world.pointee.island.velocities.base[i] = BodyVelocity(
                v: lockstep.velocities.base[order].v[lane], w: lockstep.velocities.base[order].w[lane])
        }
        for j in 0..<world.pointee.island.jointConstraints.count {
            lockstep.joints.base[j].store(&world.pointee.island.jointConstraints.base[j], lane: lane)
        }
        for i in 0..<lockstep.contacts.count {
            let slot = lockstep.contacts.base + i
            let index = slot.pointee.constraint[lane]
            if index < 0 { continue }
            let constraint = world.pointee.island.contactConstraints.base + Int(index)
            slot.pointee.first.store(&constraint.pointee.first, lane: lane)
            slot.pointee.second.store(&constraint.pointee.second, lane: lane)
        }
    }
}
