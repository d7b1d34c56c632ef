/// A saved motion that cannot be taken over, and why.
public struct WorldStateError: Error, Hashable, CustomStringConvertible {
    /// What is wrong with it.
    public let description: String
}

/// What changes of a body as it moves.
private struct Motion: BitwiseCopyable {
    var position: Vec2
    var rotation: Rotation
    var center: Vec2
    var angle: Float
    var velocity: Vec2
    var angularVelocity: Float
    var force: Vec2
    var torque: Float
    var sleepTime: Float
    var isAwake: UInt32
}

/// What changes of a joint.
private struct JointMotion: BitwiseCopyable {
    var impulse: Vec3
    var motorImpulse: Float
    var motorSpeed: Float
    var maxMotorTorque: Float
    var limitState: UInt32
}

/// A contact without what can be looked up.
private struct ContactMotion: BitwiseCopyable {
    var fixtureA: Int32
    var fixtureB: Int32
    /// Bits: enabled, touching, to be filtered.
    var flags: UInt32
    var kind: UInt32
    var count: Int32
    var localPoint: Vec2
    var localNormal: Vec2
    var first: ManifoldPoint
    var second: ManifoldPoint
}

/// Reads plain values from bytes and never past their end.
private struct ByteReader {
    let bytes: [UInt8]
    var offset = 0

    mutating func read<T: BitwiseCopyable>(_ type: T.Type) throws(WorldStateError) -> T {
        let size = MemoryLayout<T>.size
        guard size <= bytes.count - offset else { throw WorldStateError(description: "the motion ends early") }
        defer { offset += size }
        return bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: T.self) }
    }
}

private func append<T: BitwiseCopyable>(_ value: T, to bytes: inout [UInt8]) {
    withUnsafeBytes(of: value) { bytes.append(contentsOf: $0) }
}

extension World {
    /// Writes what changes as the world moves: bodies, joints, contacts in their order, boxes in the tree.
    ///
    /// A world that was built in the same way and has restored this goes on exactly as this one does.
    public func saveMotion(to bytes: inout [UInt8]) {
        append(UInt32(bodies.count), to: &bytes)
        append(UInt32(fixtures.count), to: &bytes)
        append(UInt32(joints.count), to: &bytes)
        append(lastInverseDt, to: &bytes)
        for i in 0..<movable.count {
            let body = bodies.base[Int(movable.base[i])]
            append(
                Motion(
                    position: body.transform.position, rotation: body.transform.rotation,
                    center: body.sweep.center, angle: body.sweep.angle, velocity: body.linearVelocity,
                    angularVelocity: body.angularVelocity, force: body.force, torque: body.torque,
                    sleepTime: body.sleepTime, isAwake: body.isAwake ? 1 : 0), to: &bytes)
            var next = body.firstFixture
            while next != -1 {
                append(tree.nodes.base[Int(fixtures.base[Int(next)].proxy)].box, to: &bytes)
                next = fixtures.base[Int(next)].next
            }
        }
        for i in 0..<joints.count {
            let joint = joints.base[i]
            append(
                JointMotion(
                    impulse: joint.impulse, motorImpulse: joint.motorImpulse, motorSpeed: joint.motorSpeed,
                    maxMotorTorque: joint.maxMotorTorque, limitState: UInt32(joint.limitState.rawValue)),
                to: &bytes)
        }
        append(UInt32(moved.count), to: &bytes)
        for i in 0..<moved.count { append(tree.nodes.base[Int(moved.base[i])].value, to: &bytes) }

        // Oldest first: restoring adds them in this order.
        var last = firstContact
        var count: UInt32 = 0
        while last != -1 {
            count += 1
            if contacts.base[Int(last)].next == -1 { break }
            last = contacts.base[Int(last)].next
        }
        append(count, to: &bytes)
        while last != -1 {
            let contact = contacts.base[Int(last)]
            let manifold = contact.manifold
            append(
                ContactMotion(
                    fixtureA: contact.fixtureA, fixtureB: contact.fixtureB,
                    flags: (contact.isEnabled ? 1 : 0) | (contact.isTouching ? 2 : 0)
                        | (contact.needsFiltering ? 4 : 0),
                    kind: UInt32(manifold.kind.rawValue), count: manifold.count,
                    localPoint: manifold.localPoint, localNormal: manifold.localNormal,
                    first: manifold.first, second: manifold.second), to: &bytes)
            last = contact.previous
        }
    }

    /// Takes over what ``saveMotion(to:)`` wrote of a world that was built in the same way.
    ///
    /// - Throws: ``WorldStateError`` when the bytes are not such a motion; the world is to be built anew then.
    public mutating func restoreMotion(from bytes: [UInt8]) throws(WorldStateError) {
        var reader = ByteReader(bytes: bytes)
        guard try reader.read(UInt32.self) == bodies.count, try reader.read(UInt32.self) == fixtures.count,
            try reader.read(UInt32.self) == joints.count
        else { throw WorldStateError(description: "the motion is of another world") }
        lastInverseDt = try reader.read(Float.self)
        guard lastInverseDt >= 0 && lastInverseDt.isFinite else {
            throw WorldStateError(description: "the motion has a time step of 1/\(lastInverseDt) s")
        }
        for i in 0..<movable.count { try restoreBody(Int(movable.base[i]), from: &reader) }
        for i in 0..<joints.count { try restoreJoint(i, from: &reader) }
        moved.truncate(to: 0)
        for _ in 0..<(try count(of: "moved leaves", from: &reader)) {
            moved.append(fixtures.base[try fixtureIndex(reader.read(Int32.self))].proxy)
        }

        contacts.truncate(to: 0)
        firstContact = -1
        firstFreeContact = -1
        for i in 0..<bodies.count { bodies.base[i].firstContactEdge = -1 }
        for _ in 0..<(try count(of: "contacts", from: &reader)) { try restoreContact(from: &reader) }
        guard reader.offset == bytes.count else { throw WorldStateError(description: "the motion is too long") }
    }

    /// Fixtures are near each other, and have moved, only so often: more would make each step take for ever.
    private func count(of what: String, from reader: inout ByteReader) throws(WorldStateError) -> Int {
        let count = Int(try reader.read(UInt32.self))
        guard count <= 16 * fixtures.count else {
            throw WorldStateError(description: "the motion has \(count) \(what) of \(fixtures.count) fixtures")
        }
        return count
    }

    private mutating func restoreBody(_ index: Int, from reader: inout ByteReader) throws(WorldStateError) {
        let motion = try reader.read(Motion.self)
        let numbers = [
            motion.position.x, motion.position.y, motion.rotation.sine, motion.rotation.cosine,
            motion.center.x, motion.center.y, motion.angle, motion.velocity.x, motion.velocity.y,
            motion.angularVelocity, motion.force.x, motion.force.y, motion.torque, motion.sleepTime,
        ]
        guard numbers.allSatisfy(\.isFinite) else {
            throw WorldStateError(description: "the motion of body \(index) is not finite")
        }
        let body = bodies.base + index
        body.pointee.transform = Transform(position: motion.position, rotation: motion.rotation)
        body.pointee.sweep.center = motion.center
        body.pointee.sweep.center0 = motion.center
        body.pointee.sweep.angle = motion.angle
        body.pointee.sweep.angle0 = motion.angle
        body.pointee.linearVelocity = motion.velocity
        body.pointee.angularVelocity = motion.angularVelocity
        body.pointee.force = motion.force
        body.pointee.torque = motion.torque
        body.pointee.sleepTime = motion.sleepTime
        body.pointee.isAwake = motion.isAwake != 0
        var next = body.pointee.firstFixture
        while next != -1 {
            let box = try reader.read(Box.self)
            guard box.lower.x <= box.upper.x && box.lower.y <= box.upper.y && (box.upper - box.lower).length.isFinite
            else { throw WorldStateError(description: "a box of body \(index) is turned inside out") }
            tree.place(fixtures.base[Int(next)].proxy, at: box)
            next = fixtures.base[Int(next)].next
        }
    }

    private mutating func restoreJoint(_ index: Int, from reader: inout ByteReader) throws(WorldStateError) {
        let motion = try reader.read(JointMotion.self)
        let numbers = [
            motion.impulse.x, motion.impulse.y, motion.impulse.z, motion.motorImpulse, motion.motorSpeed,
            motion.maxMotorTorque,
        ]
        guard numbers.allSatisfy(\.isFinite), motion.limitState < 4,
            let limitState = RevoluteJoint.LimitState(rawValue: UInt8(motion.limitState))
        else { throw WorldStateError(description: "the motion of joint \(index) is not one") }
        let joint = joints.base + index
        joint.pointee.impulse = motion.impulse
        joint.pointee.motorImpulse = motion.motorImpulse
        joint.pointee.motorSpeed = motion.motorSpeed
        joint.pointee.maxMotorTorque = motion.maxMotorTorque
        joint.pointee.limitState = limitState
    }

    private mutating func restoreContact(from reader: inout ByteReader) throws(WorldStateError) {
        let motion = try reader.read(ContactMotion.self)
        let a = fixtures.base[try fixtureIndex(motion.fixtureA)]
        let b = fixtures.base[try fixtureIndex(motion.fixtureB)]
        let numbers = [
            motion.localPoint.x, motion.localPoint.y, motion.localNormal.x, motion.localNormal.y,
            motion.first.localPoint.x, motion.first.localPoint.y, motion.first.normalImpulse,
            motion.first.tangentImpulse, motion.second.localPoint.x, motion.second.localPoint.y,
            motion.second.normalImpulse, motion.second.tangentImpulse,
        ]
        let hasFacesFirst = a.kind == b.kind ? a.kind != .edge : a.kind == .edge || b.kind == .circle
        guard a.body != b.body, hasFacesFirst, (0...2).contains(motion.count), motion.kind < 3,
            numbers.allSatisfy(\.isFinite), let kind = Manifold.Kind(rawValue: UInt8(motion.kind))
        else { throw WorldStateError(description: "the motion has a contact that cannot be") }
        let index = link(fixtureA: motion.fixtureA, fixtureB: motion.fixtureB)
        let contact = contacts.base + Int(index)
        contact.pointee.isEnabled = motion.flags & 1 != 0
        contact.pointee.isTouching = motion.flags & 2 != 0 && motion.count > 0
        contact.pointee.needsFiltering = motion.flags & 4 != 0
        contact.pointee.manifold = Manifold(
            kind: kind, count: motion.count, localPoint: motion.localPoint, localNormal: motion.localNormal,
            first: motion.first, second: motion.second)
    }

    private func fixtureIndex(_ index: Int32) throws(WorldStateError) -> Int {
        guard index >= 0 && index < fixtures.count else {
            throw WorldStateError(description: "the motion names fixture \(index) of \(fixtures.count)")
        }
        return Int(index)
    }
}
