/// Position of a body while its island is solved: centre of mass and angle.
struct BodyPosition: BitwiseCopyable {
    var c: Vec2
    var a: Float
    /// The rotation by `a`, or by what `a` was before it changed.
    private(set) var rotation: Rotation
    private var rotationAngle: Float

    init(c: Vec2, a: Float, rotation: Rotation) {
        self.c = c
        self.a = a
        self.rotation = rotation
        rotationAngle = a
    }

    /// Recomputes the rotation if the angle has changed: sines cost more than all the rest of an iteration.
    @inline(__always)
    mutating func updateRotation() {
        if rotationAngle.bitPattern == a.bitPattern { return }
        rotation = Rotation(angle: a)
        rotationAngle = a
    }
}

/// Velocity of a body while its island is solved.
struct BodyVelocity: BitwiseCopyable {
    var v: Vec2
    var w: Float
}

/// One point of a contact, as the velocity solver needs it.
struct ContactPointConstraint: BitwiseCopyable {
    var rA = Vec2.zero
    var rB = Vec2.zero
    var normalImpulse: Float = 0
    var tangentImpulse: Float = 0
    var normalMass: Float = 0
    var tangentMass: Float = 0
    var velocityBias: Float = 0
}

/// A contact as the solver sees it: everything an iteration reads, in one place.
struct ContactConstraint: BitwiseCopyable {
    var contact: Int32
    var indexA: Int
    var indexB: Int
    var inverseMassA: Float
    var inverseMassB: Float
    var inverseInertiaA: Float
    var inverseInertiaB: Float
    var friction: Float
    var restitution: Float
    /// Points the velocity solver uses; the position solver uses all of the manifold's.
    var pointCount: Int32
    var normal = Vec2.zero
    var first = ContactPointConstraint()
    var second = ContactPointConstraint()
    /// The mass matrix of both normal impulses, and its inverse.
    var k = Mat22()
    var inverseK = Mat22()

    // For positions.
    var localCenterA: Vec2
    var localCenterB: Vec2
    var radiusA: Float
    var radiusB: Float
    var kind: Manifold.Kind
    var manifoldCount: Int32
    var localNormal: Vec2
    var localPoint: Vec2
    var localPoint1: Vec2
    var localPoint2: Vec2
}

extension ContactConstraint {
    /// Where the shapes touch, from the bodies' positions.
    mutating func prepare(
        _ positions: UnsafeMutablePointer<BodyPosition>, _ velocities: UnsafePointer<BodyVelocity>
    ) {
        positions[indexA].updateRotation()
        positions[indexB].updateRotation()
        let pA = positions[indexA]
        let pB = positions[indexB]
        let qA = pA.rotation
        let qB = pB.rotation
        let xfA = Transform(position: pA.c - qA.apply(localCenterA), rotation: qA)
        let xfB = Transform(position: pB.c - qB.apply(localCenterB), rotation: qB)

        var point1 = Vec2.zero
        var point2 = Vec2.zero
        switch kind {
        case .circles:
            let pointA = xfA.apply(localPoint)
            let pointB = xfB.apply(localPoint1)
            normal = Vec2(1, 0)
            let d = pointA - pointB
            if dot(d, d) > Settings.epsilon * Settings.epsilon {
                normal = pointB - pointA
                normal.normalize()
            }
            point1 = 0.5 * ((pointA + radiusA * normal) + (pointB - radiusB * normal))
        case .faceA:
            normal = xfA.rotation.apply(localNormal)
            let plane = xfA.apply(localPoint)
            let normal = normal
            let (radiusA, radiusB) = (radiusA, radiusB)
            func touch(_ local: Vec2) -> Vec2 {
                let clipped = xfB.apply(local)
                let onA = clipped + (radiusA - dot(clipped - plane, normal)) * normal
                let onB = clipped - radiusB * normal
                return 0.5 * (onA + onB)
            }
            point1 = touch(localPoint1)
            if manifoldCount > 1 { point2 = touch(localPoint2) }
        case .faceB:
            let normalB = xfB.rotation.apply(localNormal)
            let plane = xfB.apply(localPoint)
            let (radiusA, radiusB) = (radiusA, radiusB)
            func touch(_ local: Vec2) -> Vec2 {
                let clipped = xfA.apply(local)
                let onB = clipped + (radiusB - dot(clipped - plane, normalB)) * normalB
                let onA = clipped - radiusA * normalB
                return 0.5 * (onA + onB)
            }
            point1 = touch(localPoint1)
            if manifoldCount > 1 { point2 = touch(localPoint2) }
            normal = -normalB
        }

        let velocityA = velocities[indexA]
        let velocityB = velocities[indexB]
        prepare(&first, at: point1, pA.c, pB.c, velocityA, velocityB)
        if pointCount == 2 {
            prepare(&second, at: point2, pA.c, pB.c, velocityA, velocityB)
            prepareBlock()
        }
    }

    private func prepare(
        _ point: inout ContactPointConstraint, at world: Vec2, _ centerA: Vec2, _ centerB: Vec2,
        _ velocityA: BodyVelocity, _ velocityB: BodyVelocity
    ) {
        point.rA = world - centerA
        point.rB = world - centerB
        let masses = inverseMassA + inverseMassB
        let rnA = cross(point.rA, normal)
        let rnB = cross(point.rB, normal)
        let kNormal = masses + inverseInertiaA * rnA * rnA + inverseInertiaB * rnB * rnB
        point.normalMass = kNormal > 0 ? 1 / kNormal : 0
        let tangent = cross(normal, 1)
        let rtA = cross(point.rA, tangent)
        let rtB = cross(point.rB, tangent)
        let kTangent = masses + inverseInertiaA * rtA * rtA + inverseInertiaB * rtB * rtB
        point.tangentMass = kTangent > 0 ? 1 / kTangent : 0
        // A bounce: only what approaches fast enough gives speed back.
        let approach = dot(
            normal, velocityB.v + cross(velocityB.w, point.rB) - velocityA.v - cross(velocityA.w, point.rA))
        point.velocityBias = approach < -Settings.velocityThreshold ? -restitution * approach : 0
    }

    private mutating func prepareBlock() {
        let masses = inverseMassA + inverseMassB
        let rn1A = cross(first.rA, normal)
        let rn1B = cross(first.rB, normal)
        let rn2A = cross(second.rA, normal)
        let rn2B = cross(second.rB, normal)
        let k11 = masses + inverseInertiaA * rn1A * rn1A + inverseInertiaB * rn1B * rn1B
        let k22 = masses + inverseInertiaA * rn2A * rn2A + inverseInertiaB * rn2B * rn2B
        let k12 = masses + inverseInertiaA * rn1A * rn2A + inverseInertiaB * rn1B * rn2B
        if k11 * k11 < Settings.maxConditionNumber * (k11 * k22 - k12 * k12) {
            k = Mat22(ex: Vec2(k11, k12), ey: Vec2(k12, k22))
            inverseK = k.inverse
        } else {
            // The points are redundant.
            pointCount = 1
        }
    }

    /// Applies the impulses of the last step.
    func warmStart(_ velocities: UnsafeMutablePointer<BodyVelocity>) {
        var (vA, wA) = (velocities[indexA].v, velocities[indexA].w)
        var (vB, wB) = (velocities[indexB].v, velocities[indexB].w)
        let tangent = cross(normal, 1)
        func apply(_ point: ContactPointConstraint) {
            let p = point.normalImpulse * normal + point.tangentImpulse * tangent
            wA -= inverseInertiaA * cross(point.rA, p)
            vA -= inverseMassA * p
            wB += inverseInertiaB * cross(point.rB, p)
            vB += inverseMassB * p
        }
        apply(first)
        if pointCount == 2 { apply(second) }
        velocities[indexA] = BodyVelocity(v: vA, w: wA)
        velocities[indexB] = BodyVelocity(v: vB, w: wB)
    }

    /// One iteration over friction and normal impulses.
    @inline(__always)
    mutating func solveVelocity(_ velocities: UnsafeMutablePointer<BodyVelocity>) {
        var (vA, wA) = (velocities[indexA].v, velocities[indexA].w)
        var (vB, wB) = (velocities[indexB].v, velocities[indexB].w)
        let (mA, mB, iA, iB) = (inverseMassA, inverseMassB, inverseInertiaA, inverseInertiaB)
        let normal = normal
        let tangent = cross(normal, 1)
        let friction = friction

        // Friction first: not penetrating is more important, so it has the last word.
        @inline(__always)
        func rub(_ point: inout ContactPointConstraint) {
            let dv = vB + cross(wB, point.rB) - vA - cross(wA, point.rA)
            let lambda = point.tangentMass * -dot(dv, tangent)
            let limit = friction * point.normalImpulse
            let impulse = clamp(point.tangentImpulse + lambda, -limit, limit)
            let p = (impulse - point.tangentImpulse) * tangent
            point.tangentImpulse = impulse
            vA -= mA * p
            wA -= iA * cross(point.rA, p)
            vB += mB * p
            wB += iB * cross(point.rB, p)
        }
        rub(&first)
        if pointCount == 2 {
            rub(&second)

            // Both normal impulses at once: find x ≥ 0 with normal velocities K·x + b ≥ 0, one of each pair zero,
            // by trying the four combinations. b is shifted so that x is the accumulated impulse.
            let a = Vec2(first.normalImpulse, second.normalImpulse)
            let dv1 = vB + cross(wB, first.rB) - vA - cross(wA, first.rA)
            let dv2 = vB + cross(wB, second.rB) - vA - cross(wA, second.rA)
            let b =
                Vec2(dot(dv1, normal) - first.velocityBias, dot(dv2, normal) - second.velocityBias)
                - k.apply(a)

            var x = -inverseK.apply(b)
            if !(x.x >= 0 && x.y >= 0) {
                x = Vec2(-first.normalMass * b.x, 0)
                if !(x.x >= 0 && k.ex.y * x.x + b.y >= 0) {
                    x = Vec2(0, -second.normalMass * b.y)
                    if !(x.y >= 0 && k.ey.x * x.y + b.x >= 0) {
                        x = .zero
                        // No combination fits: leave it to the next iteration.
                        if !(b.x >= 0 && b.y >= 0) { x = a }
                    }
                }
            }
            let d = x - a
            let p1 = d.x * normal
            let p2 = d.y * normal
            vA -= mA * (p1 + p2)
            wA -= iA * (cross(first.rA, p1) + cross(second.rA, p2))
            vB += mB * (p1 + p2)
            wB += iB * (cross(first.rB, p1) + cross(second.rB, p2))
            first.normalImpulse = x.x
            second.normalImpulse = x.y
        } else {
            let dv = vB + cross(wB, first.rB) - vA - cross(wA, first.rA)
            let lambda = -first.normalMass * (dot(dv, normal) - first.velocityBias)
            let sum = first.normalImpulse + lambda
            let impulse = sum > 0 ? sum : 0
            let p = (impulse - first.normalImpulse) * normal
            first.normalImpulse = impulse
            vA -= mA * p
            wA -= iA * cross(first.rA, p)
            vB += mB * p
            wB += iB * cross(first.rB, p)
        }
        velocities[indexA] = BodyVelocity(v: vA, w: wA)
        velocities[indexB] = BodyVelocity(v: vB, w: wB)
    }

    /// One iteration that pushes overlapping bodies apart; returns the least separation found.
    ///
    /// `movesA` and `movesB` say whether the bodies may move: in a sub-step only those of the impact do.
    func solvePosition(
        _ positions: UnsafeMutablePointer<BodyPosition>, baumgarte: Float, movesA: Bool, movesB: Bool
    ) -> Float {
        let (mA, iA) = movesA ? (inverseMassA, inverseInertiaA) : (0, 0)
        let (mB, iB) = movesB ? (inverseMassB, inverseInertiaB) : (0, 0)
        let pA = positions + indexA
        let pB = positions + indexB
        var least: Float = 0
        for index in 0..<manifoldCount {
            pA.pointee.updateRotation()
            pB.pointee.updateRotation()
            let (cA, cB) = (pA.pointee.c, pB.pointee.c)
            let (qA, qB) = (pA.pointee.rotation, pB.pointee.rotation)
            let xfA = Transform(position: cA - qA.apply(localCenterA), rotation: qA)
            let xfB = Transform(position: cB - qB.apply(localCenterB), rotation: qB)
            let local = index == 0 ? localPoint1 : localPoint2
            var normal: Vec2
            let point: Vec2
            let separation: Float
            switch kind {
            case .circles:
                let pointA = xfA.apply(localPoint)
                let pointB = xfB.apply(local)
                normal = pointB - pointA
                normal.normalize()
                point = 0.5 * (pointA + pointB)
                separation = dot(pointB - pointA, normal) - radiusA - radiusB
            case .faceA:
                normal = xfA.rotation.apply(localNormal)
                point = xfB.apply(local)
                separation = dot(point - xfA.apply(localPoint), normal) - radiusA - radiusB
            case .faceB:
                normal = xfB.rotation.apply(localNormal)
                point = xfA.apply(local)
                separation = dot(point - xfB.apply(localPoint), normal) - radiusA - radiusB
                normal = -normal
            }
            let rA = point - cA
            let rB = point - cB
            if separation < least { least = separation }
            // Leave some overlap, so that the contact persists, and do not correct too much at once.
            let c = clamp(baumgarte * (separation + Settings.linearSlop), -Settings.maxLinearCorrection, 0)
            let rnA = cross(rA, normal)
            let rnB = cross(rB, normal)
            let k = mA + mB + iA * rnA * rnA + iB * rnB * rnB
            let impulse = k > 0 ? -c / k : 0
            let p = impulse * normal
            pA.pointee.c = cA - mA * p
            pA.pointee.a -= iA * cross(rA, p)
            pB.pointee.c = cB + mB * p
            pB.pointee.a += iB * cross(rB, p)
        }
        return least
    }
}
