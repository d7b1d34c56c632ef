/// A hinge between two bodies, to be added to a world.
public struct RevoluteJointDefinition: Sendable, Hashable {
    /// The bodies.
    public var bodyA: Int
    /// The other body.
    public var bodyB: Int
    /// The hinge in body A's frame.
    public var localAnchorA: Vec2
    /// The hinge in body B's frame.
    public var localAnchorB: Vec2
    /// The angle of body B less that of body A at which the joint's angle is zero; nil takes what they have now.
    public var referenceAngle: Float?
    /// The range of the joint's angle, or nil for none.
    public var limits: ClosedRange<Float>?
    /// The speed in rad/s that the motor aims for, or nil for no motor.
    public var motorSpeed: Float?
    /// The torque in Nm that the motor may use for that.
    public var maxMotorTorque: Float
    /// Whether the bodies collide with each other.
    public var collidesConnected: Bool

    /// A hinge without limits and motor.
    public init(_ bodyA: Int, _ bodyB: Int, localAnchorA: Vec2, localAnchorB: Vec2) {
        self.bodyA = bodyA
        self.bodyB = bodyB
        self.localAnchorA = localAnchorA
        self.localAnchorB = localAnchorB
        maxMotorTorque = 0
        collidesConnected = false
    }
}

/// A hinge.
struct RevoluteJoint: BitwiseCopyable {
    enum LimitState: UInt8, BitwiseCopyable {
        case inactive
        case atLower
        case atUpper
        case equal
    }

    var bodyA: Int32
    var bodyB: Int32
    /// Neighbours in the lists of both bodies. An edge is named by twice its joint, plus 1 on body B's side.
    var nextEdgeA: Int32 = -1
    var nextEdgeB: Int32 = -1
    var collidesConnected: Bool
    var isInIsland = false
    var isMotorEnabled: Bool
    var isLimitEnabled: Bool
    var limitState = LimitState.inactive

    var localAnchorA: Vec2
    var localAnchorB: Vec2
    var referenceAngle: Float
    var lowerAngle: Float
    var upperAngle: Float
    var motorSpeed: Float
    var maxMotorTorque: Float

    /// Impulses of the last step, which the next one starts with: the anchor's force, the limit's torque, the motor's.
    var impulse = Vec3()
    var motorImpulse: Float = 0
}

/// A hinge as the solver sees it: everything an iteration reads, in one place.
struct JointConstraint: BitwiseCopyable {
    var joint: Int32
    var indexA: Int
    var indexB: Int
    var inverseMassA: Float
    var inverseMassB: Float
    var inverseInertiaA: Float
    var inverseInertiaB: Float
    var hasMotor: Bool
    var limitState: RevoluteJoint.LimitState
    var rA: Vec2
    var rB: Vec2
    /// The mass matrix by columns.
    var ex: Vec3
    var ey: Vec3
    var ez: Vec3
    /// 1 over the determinants of the upper 2×2 block and of the whole; 0 if there is none.
    var inverseDeterminant22: Float
    var inverseDeterminant33: Float
    var eyCrossEz: Vec3
    var motorMass: Float
    var motorSpeed: Float
    var maxMotorImpulse: Float
    var impulse: Vec3
    var motorImpulse: Float

    // For positions.
    var localA: Vec2
    var localB: Vec2
    var referenceAngle: Float
    var lowerAngle: Float
    var upperAngle: Float
}

extension JointConstraint {
    /// Prepares a joint for a step of `dt` seconds: mass matrix, limit state, impulses of the last step scaled.
    init(
        _ index: Int32, _ joint: RevoluteJoint, _ a: Body, _ b: Body, _ positions: UnsafeMutablePointer<BodyPosition>,
        dt: Float, dtRatio: Float
    ) {
        self.joint = index
        indexA = Int(a.islandIndex)
        indexB = Int(b.islandIndex)
        (inverseMassA, inverseMassB) = (a.inverseMass, b.inverseMass)
        (inverseInertiaA, inverseInertiaB) = (a.inverseInertia, b.inverseInertia)
        let (mA, mB, iA, iB) = (inverseMassA, inverseMassB, inverseInertiaA, inverseInertiaB)
        localA = joint.localAnchorA - a.sweep.localCenter
        localB = joint.localAnchorB - b.sweep.localCenter
        let (angleA, angleB) = (positions[indexA].a, positions[indexB].a)
        positions[indexA].updateRotation()
        positions[indexB].updateRotation()
        rA = positions[indexA].rotation.apply(localA)
        rB = positions[indexB].rotation.apply(localB)

        // J = [-1 -skew(rA) 1 skew(rB); 0 -1 0 1], K = J·M⁻¹·Jᵀ
        ex = Vec3(
            x: mA + mB + rA.y * rA.y * iA + rB.y * rB.y * iB, y: -rA.y * rA.x * iA - rB.y * rB.x * iB,
            z: -rA.y * iA - rB.y * iB)
        ey = Vec3(
            x: ex.y, y: mA + mB + rA.x * rA.x * iA + rB.x * rB.x * iB, z: rA.x * iA + rB.x * iB)
        ez = Vec3(x: ex.z, y: ey.z, z: iA + iB)
        let det22 = ex.x * ey.y - ey.x * ex.y
        inverseDeterminant22 = det22 != 0 ? 1 / det22 : 0
        eyCrossEz = cross(ey, ez)
        let det33 = dot(ex, eyCrossEz)
        inverseDeterminant33 = det33 != 0 ? 1 / det33 : 0
        motorMass = iA + iB
        if motorMass > 0 { motorMass = 1 / motorMass }

        let isFixed = iA + iB == 0
        motorSpeed = joint.motorSpeed
        maxMotorImpulse = dt * joint.maxMotorTorque
        impulse = joint.impulse
        motorImpulse = joint.isMotorEnabled && !isFixed ? joint.motorImpulse : 0
        (referenceAngle, lowerAngle, upperAngle) = (joint.referenceAngle, joint.lowerAngle, joint.upperAngle)
        limitState = .inactive
        if joint.isLimitEnabled && !isFixed {
            let angle = angleB - angleA - referenceAngle
            if absolute(upperAngle - lowerAngle) < 2 * Settings.angularSlop {
                limitState = .equal
            } else if angle <= lowerAngle {
                limitState = .atLower
            } else if angle >= upperAngle {
                limitState = .atUpper
            }
            if limitState != joint.limitState && limitState != .equal { impulse.z = 0 }
            if limitState == .inactive { impulse.z = 0 }
        }
        hasMotor = joint.isMotorEnabled && !isFixed && limitState != .equal

        impulse = Vec3(x: impulse.x * dtRatio, y: impulse.y * dtRatio, z: impulse.z * dtRatio)
        motorImpulse *= dtRatio
    }

    /// Applies the impulses of the last step.
    func warmStart(_ velocities: UnsafeMutablePointer<BodyVelocity>) {
        let p = Vec2(impulse.x, impulse.y)
        velocities[indexA].v -= inverseMassA * p
        velocities[indexA].w -= inverseInertiaA * (cross(rA, p) + motorImpulse + impulse.z)
        velocities[indexB].v += inverseMassB * p
        velocities[indexB].w += inverseInertiaB * (cross(rB, p) + motorImpulse + impulse.z)
    }

    @inline(__always)
    private func solve22(_ b: Vec2) -> Vec2 {
        Vec2(
            inverseDeterminant22 * (ey.y * b.x - ey.x * b.y), inverseDeterminant22 * (ex.x * b.y - ex.y * b.x))
    }

    @inline(__always)
    private func solve33(_ b: Vec3) -> Vec3 {
        Vec3(
            x: inverseDeterminant33 * dot(b, eyCrossEz), y: inverseDeterminant33 * dot(ex, cross(b, ez)),
            z: inverseDeterminant33 * dot(ex, cross(ey, b)))
    }

    /// One iteration over motor, limit and anchor; returns what it added to the anchor's impulse.
    @inline(__always)
    mutating func solveVelocity(_ velocities: UnsafeMutablePointer<BodyVelocity>) -> Vec2 {
        var (vA, wA) = (velocities[indexA].v, velocities[indexA].w)
        var (vB, wB) = (velocities[indexB].v, velocities[indexB].w)
        let (mA, mB, iA, iB) = (inverseMassA, inverseMassB, inverseInertiaA, inverseInertiaB)

        if hasMotor {
            let lambda = -motorMass * (wB - wA - motorSpeed)
            let total = clamp(motorImpulse + lambda, -maxMotorImpulse, maxMotorImpulse)
            let change = total - motorImpulse
            motorImpulse = total
            wA -= iA * change
            wB += iB * change
        }

        let speed = vB + cross(wB, rB) - vA - cross(wA, rA)
        let p: Vec2
        if limitState == .inactive {
            p = solve22(-speed)
            impulse.x += p.x
            impulse.y += p.y
            vA -= mA * p
            wA -= iA * cross(rA, p)
            vB += mB * p
            wB += iB * cross(rB, p)
        } else {
            let solution = solve33(Vec3(x: speed.x, y: speed.y, z: wB - wA))
            var change = Vec3(x: -solution.x, y: -solution.y, z: -solution.z)
            let total = impulse.z + change.z
            if (limitState == .atLower && total < 0) || (limitState == .atUpper && total > 0) {
                // The limit may push, not pull: solve the anchor alone.
                let reduced = solve22(-speed + impulse.z * Vec2(ez.x, ez.y))
                change = Vec3(x: reduced.x, y: reduced.y, z: -impulse.z)
                impulse.x += reduced.x
                impulse.y += reduced.y
                impulse.z = 0
            } else {
                impulse = Vec3(x: impulse.x + change.x, y: impulse.y + change.y, z: impulse.z + change.z)
            }
            p = Vec2(change.x, change.y)
            vA -= mA * p
            wA -= iA * (cross(rA, p) + change.z)
            vB += mB * p
            wB += iB * (cross(rB, p) + change.z)
        }
        velocities[indexA] = BodyVelocity(v: vA, w: wA)
        velocities[indexB] = BodyVelocity(v: vB, w: wB)
        return p
    }

    /// One iteration that closes the gap at the anchor and turns the bodies back into the limits; returns whether
    /// both were within tolerance.
    func solvePosition(_ positions: UnsafeMutablePointer<BodyPosition>) -> Bool {
        let pA = positions + indexA
        let pB = positions + indexB
        let (mA, mB, iA, iB) = (inverseMassA, inverseMassB, inverseInertiaA, inverseInertiaB)
        var angularError: Float = 0

        if limitState != .inactive {
            let angle = pB.pointee.a - pA.pointee.a - referenceAngle
            var correction: Float
            switch limitState {
            case .equal:
                correction = clamp(
                    angle - lowerAngle, -Settings.maxAngularCorrection, Settings.maxAngularCorrection)
                angularError = absolute(correction)
            case .atLower:
                correction = angle - lowerAngle
                angularError = -correction
                correction = clamp(correction + Settings.angularSlop, -Settings.maxAngularCorrection, 0)
            default:
                correction = angle - upperAngle
                angularError = correction
                correction = clamp(correction - Settings.angularSlop, 0, Settings.maxAngularCorrection)
            }
            let limitImpulse = -motorMass * correction
            pA.pointee.a -= iA * limitImpulse
            pB.pointee.a += iB * limitImpulse
        }

        pA.pointee.updateRotation()
        pB.pointee.updateRotation()
        let rA = pA.pointee.rotation.apply(localA)
        let rB = pB.pointee.rotation.apply(localB)
        let gap = pB.pointee.c + rB - pA.pointee.c - rA
        let offDiagonal = -iA * rA.x * rA.y - iB * rB.x * rB.y
        let k = Mat22(
            ex: Vec2(mA + mB + iA * rA.y * rA.y + iB * rB.y * rB.y, offDiagonal),
            ey: Vec2(offDiagonal, mA + mB + iA * rA.x * rA.x + iB * rB.x * rB.x))
        let p = -k.solve(gap)
        pA.pointee.c -= mA * p
        pA.pointee.a -= iA * cross(rA, p)
        pB.pointee.c += mB * p
        pB.pointee.a += iB * cross(rB, p)
        return gap.length <= Settings.linearSlop && angularError <= Settings.angularSlop
    }
}
