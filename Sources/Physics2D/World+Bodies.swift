extension World {
    /// Adds a body and returns its index.
    public mutating func addBody(_ definition: BodyDefinition) -> Int {
        let index = bodies.append(Body(definition))
        if definition.kind == .dynamic {
            bodies.base[index].order = Int32(movable.count)
            movable.append(Int32(index))
            // Newest first.
            let list = movable.base
            for i in stride(from: movable.count - 1, to: 0, by: -1) { list[i] = list[i - 1] }
            list[0] = Int32(index)
        }
        return index
    }

    /// Attaches a fixture to a body and returns its index.
    @discardableResult
    public mutating func addFixture(_ definition: FixtureDefinition, to body: Int) -> Int {
        precondition(body >= 0 && body < bodies.count, "there is no body \(body)")
        let geometry = ShapeGeometry(definition.shape)
        let mass = geometry.mass(density: definition.density)
        let first = vertices.count
        for vertex in geometry.vertices { vertices.append(vertex) }
        for normal in geometry.normals { normals.append(normal) }
        let index = fixtures.append(
            Fixture(
                body: Int32(body), next: bodies.base[body].firstFixture, proxy: -1, kind: geometry.kind,
                isSensor: definition.isSensor, filter: definition.filter, firstVertex: Int32(first),
                vertexCount: Int32(geometry.vertices.count), centroid: geometry.centroid,
                radius: geometry.radius, friction: definition.friction, restitution: definition.restitution,
                mass: mass.mass, massCenter: mass.center, inertia: mass.inertia))
        bodies.base[body].firstFixture = Int32(index)
        let box = outline(index).box(bodies.base[body].transform)
        let proxy = tree.insert(box, value: Int32(index))
        fixtures.base[index].proxy = proxy
        moved.append(proxy)
        if definition.density > 0 { updateMass(of: body) }
        return index
    }

    /// A fixture's shape as the collision routines read it; valid until a fixture is added.
    @inline(__always)
    func outline(_ index: Int) -> Outline {
        let fixture = fixtures.base + index
        let first = Int(fixture.pointee.firstVertex)
        return Outline(
            kind: fixture.pointee.kind, count: Int(fixture.pointee.vertexCount),
            vertices: UnsafePointer(vertices.base + first), normals: UnsafePointer(normals.base + first),
            centroid: fixture.pointee.centroid, radius: fixture.pointee.radius)
    }

    /// Sums mass, centre and inertia over a body's fixtures.
    private mutating func updateMass(of index: Int) {
        let body = bodies.base + index
        if body.pointee.kind == .fixed { return }
        var mass: Float = 0
        var center = Vec2.zero
        var inertia: Float = 0
        var next = body.pointee.firstFixture
        while next != -1 {
            let fixture = fixtures.base[Int(next)]
            mass += fixture.mass
            center += fixture.mass * fixture.massCenter
            inertia += fixture.inertia
            next = fixture.next
        }
        body.pointee.mass = mass > 0 ? mass : 1
        body.pointee.inverseMass = mass > 0 ? 1 / mass : 1
        if mass > 0 { center = Vec2(center.x * (1 / mass), center.y * (1 / mass)) }
        body.pointee.inertia = 0
        body.pointee.inverseInertia = 0
        if inertia > 0 && !body.pointee.hasFixedRotation {
            body.pointee.inertia = inertia - mass * dot(center, center)
            body.pointee.inverseInertia = 1 / body.pointee.inertia
        }
        let oldCenter = body.pointee.sweep.center
        body.pointee.sweep.localCenter = center
        body.pointee.sweep.center = body.pointee.transform.apply(center)
        body.pointee.sweep.center0 = body.pointee.sweep.center
        body.pointee.linearVelocity += cross(
            body.pointee.angularVelocity, body.pointee.sweep.center - oldCenter)
    }

    /// Adds a hinge and returns its index.
    @discardableResult
    public mutating func addRevoluteJoint(_ definition: RevoluteJointDefinition) -> Int {
        let (a, b) = (definition.bodyA, definition.bodyB)
        precondition(
            a >= 0 && a < bodies.count && b >= 0 && b < bodies.count && a != b,
            "a joint takes two bodies, not \(a) and \(b)")
        let index = Int32(
            joints.append(
                RevoluteJoint(
                    bodyA: Int32(a), bodyB: Int32(b), nextEdgeA: bodies.base[a].firstJointEdge,
                    nextEdgeB: bodies.base[b].firstJointEdge,
                    collidesConnected: definition.collidesConnected,
                    isMotorEnabled: definition.motorSpeed != nil,
                    isLimitEnabled: definition.limits != nil, localAnchorA: definition.localAnchorA,
                    localAnchorB: definition.localAnchorB,
                    referenceAngle: definition.referenceAngle
                        ?? bodies.base[b].sweep.angle - bodies.base[a].sweep.angle,
                    lowerAngle: definition.limits?.lowerBound ?? 0,
                    upperAngle: definition.limits?.upperBound ?? 0,
                    motorSpeed: definition.motorSpeed ?? 0, maxMotorTorque: definition.maxMotorTorque)))
        bodies.base[a].firstJointEdge = 2 * index
        bodies.base[b].firstJointEdge = 2 * index + 1
        if !definition.collidesConnected {
            forEachContact(of: b) { contact in
                if contact.pointee.bodyA == Int32(a) || contact.pointee.bodyB == Int32(a) {
                    contact.pointee.needsFiltering = true
                }
            }
        }
        return Int(index)
    }

    /// How many bodies there are.
    public var bodyCount: Int { bodies.count }

    /// Where a body's origin is, and how it is turned.
    public func transform(of body: Int) -> Transform { checked(body).pointee.transform }
    /// Where a body's origin is.
    public func position(of body: Int) -> Vec2 { checked(body).pointee.transform.position }
    /// A body's angle in radians; whole turns count.
    public func angle(of body: Int) -> Float { checked(body).pointee.sweep.angle }
    /// Where a body's centre of mass is.
    public func centerOfMass(of body: Int) -> Vec2 { checked(body).pointee.sweep.center }
    /// The velocity of a body's centre of mass in m/s.
    public func linearVelocity(of body: Int) -> Vec2 { checked(body).pointee.linearVelocity }
    /// A body's angular velocity in rad/s.
    public func angularVelocity(of body: Int) -> Float { checked(body).pointee.angularVelocity }
    /// A body's mass in kg; 0 if it is fixed.
    public func mass(of body: Int) -> Float { checked(body).pointee.mass }
    /// A body's moment of inertia about its centre of mass in kg·m²; 0 if it does not turn.
    public func inertia(of body: Int) -> Float { checked(body).pointee.inertia }
    /// Whether a body is simulated; bodies at rest fall asleep.
    public func isAwake(_ body: Int) -> Bool { checked(body).pointee.isAwake }

    /// Sets the velocities of a body, and wakes it.
    public mutating func setVelocity(of body: Int, linear: Vec2, angular: Float) {
        let body = checked(body)
        body.pointee.wake()
        body.pointee.linearVelocity = linear
        body.pointee.angularVelocity = angular
    }

    /// Pushes a body at its centre of mass for the coming step; N.
    public mutating func applyForce(_ force: Vec2, toCenterOf body: Int) {
        let body = checked(body)
        if body.pointee.kind == .fixed { return }
        body.pointee.wake()
        body.pointee.force += force
    }

    /// Turns a body for the coming step; Nm.
    public mutating func applyTorque(_ torque: Float, to body: Int) {
        let body = checked(body)
        if body.pointee.kind == .fixed { return }
        body.pointee.wake()
        body.pointee.torque += torque
    }

    /// Changes a body's velocities at once, by an impulse in Ns at a point of the world.
    public mutating func applyImpulse(_ impulse: Vec2, to body: Int, at point: Vec2) {
        let body = checked(body)
        if body.pointee.kind == .fixed { return }
        body.pointee.wake()
        body.pointee.linearVelocity += body.pointee.inverseMass * impulse
        body.pointee.angularVelocity +=
            body.pointee.inverseInertia * cross(point - body.pointee.sweep.center, impulse)
    }

    /// Sets a joint's motor: the speed to aim for in rad/s and the torque in Nm it may use. Wakes both bodies.
    public mutating func setMotor(of joint: Int, speed: Float, maxTorque: Float) {
        precondition(joint >= 0 && joint < joints.count, "there is no joint \(joint)")
        let joint = joints.base + joint
        bodies.base[Int(joint.pointee.bodyA)].wake()
        bodies.base[Int(joint.pointee.bodyB)].wake()
        joint.pointee.motorSpeed = speed
        joint.pointee.maxMotorTorque = maxTorque
    }

    /// A joint's angle in radians.
    public func jointAngle(_ joint: Int) -> Float {
        precondition(joint >= 0 && joint < joints.count, "there is no joint \(joint)")
        let joint = joints.base[joint]
        return bodies.base[Int(joint.bodyB)].sweep.angle - bodies.base[Int(joint.bodyA)].sweep.angle
            - joint.referenceAngle
    }

    /// A joint's speed in rad/s.
    public func jointSpeed(_ joint: Int) -> Float {
        precondition(joint >= 0 && joint < joints.count, "there is no joint \(joint)")
        let joint = joints.base[joint]
        return bodies.base[Int(joint.bodyB)].angularVelocity - bodies.base[Int(joint.bodyA)].angularVelocity
    }

    /// The torque in Nm that a joint's motor used in the last step of `dt` seconds.
    public func motorTorque(_ joint: Int, dt: Float) -> Float {
        precondition(joint >= 0 && joint < joints.count, "there is no joint \(joint)")
        return (1 / dt) * joints.base[joint].motorImpulse
    }

    /// The vertices of a body's newest fixture, in the body's frame.
    public func outline(ofBody body: Int) -> [Vec2] {
        let fixture = checked(body).pointee.firstFixture
        if fixture == -1 { return [] }
        let shape = outline(Int(fixture))
        return (0..<shape.count).map { shape.vertices[$0] }
    }

    /// The contacts that began or ended in the last step, in their order.
    public var contactEvents: [ContactEvent] { (0..<events.count).map { events.base[$0] } }

    /// Calls `body` with each contact that began or ended in the last step, in their order, without allocating.
    @inline(__always)
    public func forEachContactEvent(_ body: (ContactEvent) -> Void) {
        for i in 0..<eventCount { body(event(i)) }
    }

    @usableFromInline
    var eventCount: Int { events.count }
    @usableFromInline
    func event(_ index: Int) -> ContactEvent { events.base[index] }

    @inline(__always)
    func checked(_ body: Int) -> UnsafeMutablePointer<Body> {
        precondition(body >= 0 && body < bodies.count, "there is no body \(body)")
        return bodies.base + body
    }
}
