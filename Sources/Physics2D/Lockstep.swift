// Islands of several worlds solved together, one lane each.
//
// An iteration of the velocity solver is a chain of operations that wait for each other: a processor spends most of it
// idle. Worlds do not wait for each other, so the same operations on eight of them take little longer than on one. Every
// lane does exactly the arithmetic of the scalar solver, in its order; what a lane does not take part in leaves its
// bits alone. Worlds that do not match (other joints, contacts between bodies that both move) are solved one by one.

/// A joint of each lane. Bodies are named by the order in which they were added to their world.
struct LaneJoint: BitwiseCopyable {
    var bodyA = 0
    var bodyB = 0
    var hasMotor = false
    /// Whether any lane is at a limit.
    var isLimited = false
    var isAtLower = LaneMask.zero
    var isAtUpper = LaneMask.zero
    var isFree = LaneMask.zero
    var mA = Lanes.zero
    var mB = Lanes.zero
    var iA = Lanes.zero
    var iB = Lanes.zero
    var rA = LaneVector()
    var rB = LaneVector()
    var exx = Lanes.zero
    var exy = Lanes.zero
    var exz = Lanes.zero
    var eyy = Lanes.zero
    var eyz = Lanes.zero
    var ezz = Lanes.zero
    var inverse22 = Lanes.zero
    var inverse33 = Lanes.zero
    var eyCrossEzX = Lanes.zero
    var eyCrossEzY = Lanes.zero
    var eyCrossEzZ = Lanes.zero
    var motorMass = Lanes.zero
    var motorSpeed = Lanes.zero
    var maxMotorImpulse = Lanes.zero
    var motorImpulse = Lanes.zero
    var impulse = LaneVector()
    var limitImpulse = Lanes.zero

    mutating func load(_ joint: JointConstraint, lane: Int) {
        isLimited = isLimited || joint.limitState != .inactive
        isAtLower[lane] = joint.limitState == .atLower ? .max : 0
        isAtUpper[lane] = joint.limitState == .atUpper ? .max : 0
        isFree[lane] = joint.limitState == .inactive ? .max : 0
        mA[lane] = joint.inverseMassA
        mB[lane] = joint.inverseMassB
        iA[lane] = joint.inverseInertiaA
        iB[lane] = joint.inverseInertiaB
        rA[lane] = joint.rA
        rB[lane] = joint.rB
        exx[lane] = joint.ex.x
        exy[lane] = joint.ex.y
        exz[lane] = joint.ex.z
        eyy[lane] = joint.ey.y
        eyz[lane] = joint.ey.z
        ezz[lane] = joint.ez.z
        inverse22[lane] = joint.inverseDeterminant22
        inverse33[lane] = joint.inverseDeterminant33
        eyCrossEzX[lane] = joint.eyCrossEz.x
        eyCrossEzY[lane] = joint.eyCrossEz.y
        eyCrossEzZ[lane] = joint.eyCrossEz.z
        motorMass[lane] = joint.motorMass
        motorSpeed[lane] = joint.motorSpeed
        maxMotorImpulse[lane] = joint.maxMotorImpulse
        motorImpulse[lane] = joint.motorImpulse
        impulse[lane] = Vec2(joint.impulse.x, joint.impulse.y)
        limitImpulse[lane] = joint.impulse.z
    }

    func store(_ joint: inout JointConstraint, lane: Int) {
        joint.motorImpulse = motorImpulse[lane]
        joint.impulse = Vec3(x: impulse.x[lane], y: impulse.y[lane], z: limitImpulse[lane])
    }

    /// One iteration; returns what it added to the anchor's impulse. As ``JointConstraint/solveVelocity(_:)``.
    @inline(__always)
    mutating func solveVelocity(_ velocities: UnsafeMutablePointer<LaneVelocity>) -> LaneVector {
        var (vA, wA) = (velocities[bodyA].v, velocities[bodyA].w)
        var (vB, wB) = (velocities[bodyB].v, velocities[bodyB].w)
        if hasMotor {
            let lambda = -motorMass * (wB - wA - motorSpeed)
            let total = clamp(motorImpulse + lambda, -maxMotorImpulse, maxMotorImpulse)
            let change = total - motorImpulse
            motorImpulse = total
            wA -= iA * change
            wB += iB * change
        }
        let speed = vB + cross(wB, rB) - vA - cross(wA, rA)
        var b = -speed
        var p: LaneVector
        if isLimited {
            let cz = wB - wA
            let x = inverse33 * (speed.x * eyCrossEzX + speed.y * eyCrossEzY + cz * eyCrossEzZ)
            let y =
                inverse33
                * (exx * (speed.y * ezz - cz * eyz) + exy * (cz * exz - speed.x * ezz)
                    + exz * (speed.x * eyz - speed.y * exz))
            let z =
                inverse33
                * (exx * (eyy * cz - eyz * speed.y) + exy * (eyz * speed.x - exy * cz)
                    + exz * (exy * speed.y - eyy * speed.x))
            let total = limitImpulse - z
            // The limit may push, not pull.
            let pulls =
                isFree | (isAtLower & total.isBelow(.zero)) | (isAtUpper & Lanes.zero.isBelow(total))
            b = b + limitImpulse * LaneVector(x: exz, y: eyz)
            p = solve22(b)
            p = LaneVector(x: select(pulls, p.x, -x), y: select(pulls, p.y, -y))
            let change = select(pulls, -limitImpulse, -z)
            limitImpulse = Lanes(bits: total.bits & ~pulls)
            wA -= iA * (cross(rA, p) + change)
            wB += iB * (cross(rB, p) + change)
        } else {
            p = solve22(b)
            wA -= iA * cross(rA, p)
            wB += iB * cross(rB, p)
        }
        impulse = impulse + p
        vA = vA - mA * p
        vB = vB + mB * p
        velocities[bodyA] = LaneVelocity(v: vA, w: wA)
        velocities[bodyB] = LaneVelocity(v: vB, w: wB)
        return p
    }

    @inline(__always)
    private func solve22(_ b: LaneVector) -> LaneVector {
        LaneVector(x: inverse22 * (eyy * b.x - exy * b.y), y: inverse22 * (exx * b.y - exy * b.x))
    }
}

/// A body's velocity in each lane.
struct LaneVelocity: BitwiseCopyable {
    var v = LaneVector()
    var w = Lanes.zero
}

/// A point of a contact in each lane.
struct LanePoint: BitwiseCopyable {
    var r = LaneVector()
    var normalImpulse = Lanes.zero
    var tangentImpulse = Lanes.zero
    var normalMass = Lanes.zero
    var tangentMass = Lanes.zero
    var velocityBias = Lanes.zero

    mutating func load(_ point: ContactPointConstraint, lane: Int) {
        r[lane] = point.rB
        normalImpulse[lane] = point.normalImpulse
        tangentImpulse[lane] = point.tangentImpulse
        normalMass[lane] = point.normalMass
        tangentMass[lane] = point.tangentMass
        velocityBias[lane] = point.velocityBias
    }

    func store(_ point: inout ContactPointConstraint, lane: Int) {
        point.normalImpulse = normalImpulse[lane]
        point.tangentImpulse = tangentImpulse[lane]
    }
}

/// The n-th contact of one body with fixed ones, in each lane that has so many. All zeros elsewhere: masses of zero
/// change nothing.
struct LaneContact: BitwiseCopyable {
    var body = 0
    /// Whether any lane has one point, two points.
    var hasSingle = false
    var hasDouble = false
    var isDouble = LaneMask.zero
    var normal = LaneVector()
    var friction = Lanes.zero
    var m = Lanes.zero
    var i = Lanes.zero
    var first = LanePoint()
    var second = LanePoint()
    var k11 = Lanes.zero
    var k12 = Lanes.zero
    var k22 = Lanes.zero
    var inverse11 = Lanes.zero
    var inverse12 = Lanes.zero
    var inverse21 = Lanes.zero
    var inverse22 = Lanes.zero
    /// How many contacts of the same body come before.
    var ordinal = 0
    /// The contact constraint in its island, or −1.
    var constraint = SIMD8<Int32>(repeating: -1)

    mutating func load(_ contact: ContactConstraint, index: Int, lane: Int) {
        constraint[lane] = Int32(index)
        normal[lane] = contact.normal
        friction[lane] = contact.friction
        m[lane] = contact.inverseMassB
        i[lane] = contact.inverseInertiaB
        first.load(contact.first, lane: lane)
        if contact.pointCount == 2 {
            hasDouble = true
            isDouble[lane] = .max
            second.load(contact.second, lane: lane)
            k11[lane] = contact.k.ex.x
            k12[lane] = contact.k.ex.y
            k22[lane] = contact.k.ey.y
            inverse11[lane] = contact.inverseK.ex.x
            inverse12[lane] = contact.inverseK.ey.x
            inverse21[lane] = contact.inverseK.ex.y
            inverse22[lane] = contact.inverseK.ey.y
        } else {
            hasSingle = true
        }
    }

    /// One iteration. As ``ContactConstraint/solveVelocity(_:)`` with a body A that does not move.
    @inline(__always)
    mutating func solveVelocity(_ velocities: UnsafeMutablePointer<LaneVelocity>) {
        var (v, w) = (velocities[body].v, velocities[body].w)
        let normal = normal
        let tangent = LaneVector(x: normal.y, y: -normal.x)
        rub(&first, tangent, &v, &w)
        if hasDouble { rub(&second, tangent, &v, &w) }

        let vn1 = dot(v + cross(w, first.r), normal) - first.velocityBias
        var impulse1 = first.normalImpulse
        if hasSingle {
            let sum = first.normalImpulse + -first.normalMass * vn1
            impulse1 = select(Lanes.zero.isBelow(sum), sum, .zero)
        }
        if hasDouble {
            let vn2 = dot(v + cross(w, second.r), normal) - second.velocityBias
            let impulses = solveBlock(vn1, vn2)
            impulse1 = select(isDouble, impulses.x, impulse1)
            let p1 = (impulse1 - first.normalImpulse) * normal
            let p2 = (impulses.y - second.normalImpulse) * normal
            first.normalImpulse = impulse1
            second.normalImpulse = impulses.y
            v = v + m * (p1 + p2)
            w += i * (cross(first.r, p1) + cross(second.r, p2))
        } else {
            let p = (impulse1 - first.normalImpulse) * normal
            first.normalImpulse = impulse1
            v = v + m * p
            w += i * cross(first.r, p)
        }
        velocities[body] = LaneVelocity(v: v, w: w)
    }

    /// Both normal impulses at once, from the normal velocities; the second is zero in lanes with one point.
    @inline(__always)
    private func solveBlock(_ vn1: Lanes, _ vn2: Lanes) -> LaneVector {
        let a = LaneVector(x: first.normalImpulse, y: second.normalImpulse)
        let bx = vn1 - (k11 * a.x + k12 * a.y)
        let by = vn2 - (k12 * a.x + k22 * a.y)
        // The four combinations, the last one first: each overrides those after it where it fits.
        let zero = Lanes.zero
        let rests = bx.isAtLeast(zero) & by.isAtLeast(zero)
        var x = LaneVector(x: select(rests, zero, a.x), y: select(rests, zero, a.y))
        let only2 = -second.normalMass * by
        let fits2 = only2.isAtLeast(zero) & (k12 * only2 + bx).isAtLeast(zero)
        x = LaneVector(x: select(fits2, zero, x.x), y: select(fits2, only2, x.y))
        let only1 = -first.normalMass * bx
        let fits1 = only1.isAtLeast(zero) & (k12 * only1 + by).isAtLeast(zero)
        x = LaneVector(x: select(fits1, only1, x.x), y: select(fits1, zero, x.y))
        let both1 = -(inverse11 * bx + inverse12 * by)
        let both2 = -(inverse21 * bx + inverse22 * by)
        let fits = both1.isAtLeast(zero) & both2.isAtLeast(zero)
        return LaneVector(
            x: select(fits, both1, x.x), y: Lanes(bits: select(fits, both2, x.y).bits & isDouble))
    }

    @inline(__always)
    private func rub(
        _ point: inout LanePoint, _ tangent: LaneVector, _ v: inout LaneVector, _ w: inout Lanes
    ) {
        let lambda = point.tangentMass * -dot(v + cross(w, point.r), tangent)
        let limit = friction * point.normalImpulse
        let impulse = clamp(point.tangentImpulse + lambda, -limit, limit)
        let p = (impulse - point.tangentImpulse) * tangent
        point.tangentImpulse = impulse
        v = v + m * p
        w += i * cross(point.r, p)
    }
}
