/// A point where two shapes touch.
struct ManifoldPoint: BitwiseCopyable {
    /// In the frame of the body that does not have the reference face.
    var localPoint = Vec2.zero
    /// Impulses of the last step, which the next one starts with.
    var normalImpulse: Float = 0
    var tangentImpulse: Float = 0
    /// Which features touch: equal keys in successive steps are the same point.
    var key: UInt32 = 0
}

/// The region where two shapes touch: up to two points and a normal, in the frames of the bodies, so that it can be
/// evaluated anew as they move.
struct Manifold: BitwiseCopyable {
    enum Kind: UInt8, BitwiseCopyable {
        case circles
        /// The reference face is on shape A.
        case faceA
        case faceB
    }

    var kind = Kind.circles
    var count: Int32 = 0
    /// A point of the reference face, or circle A's centre.
    var localPoint = Vec2.zero
    var localNormal = Vec2.zero
    var first = ManifoldPoint()
    var second = ManifoldPoint()

    mutating func append(_ point: ManifoldPoint) {
        if count == 0 { first = point } else { second = point }
        count += 1
    }
}

/// The features whose meeting makes a contact point, packed into a manifold point's key.
struct ContactFeature: BitwiseCopyable {
    static let vertex: UInt8 = 0
    static let face: UInt8 = 1

    var indexA: UInt8
    var indexB: UInt8
    var kindA: UInt8
    var kindB: UInt8

    @inline(__always)
    var key: UInt32 {
        UInt32(indexA) | UInt32(indexB) << 8 | UInt32(kindA) << 16 | UInt32(kindB) << 24
    }

    @inline(__always)
    var swapped: ContactFeature {
        ContactFeature(indexA: indexB, indexB: indexA, kindA: kindB, kindB: kindA)
    }
}

/// An end of the incident face while it is being clipped.
struct ClipVertex: BitwiseCopyable {
    var point: Vec2
    var feature: ContactFeature
}

/// Cuts a segment off at the line `normal · x = offset`, keeping what is below. Nil unless two points are left.
@inline(__always)
func clip(
    _ a: ClipVertex, _ b: ClipVertex, normal: Vec2, offset: Float, vertexA: Int
) -> (ClipVertex, ClipVertex)? {
    let distanceA = dot(normal, a.point) - offset
    let distanceB = dot(normal, b.point) - offset
    if distanceA <= 0 && distanceB <= 0 { return (a, b) }
    if distanceA * distanceB < 0 {
        let fraction = distanceA / (distanceA - distanceB)
        let cut = ClipVertex(
            point: a.point + fraction * (b.point - a.point),
            feature: ContactFeature(
                indexA: UInt8(truncatingIfNeeded: vertexA), indexB: a.feature.indexB,
                kindA: ContactFeature.vertex, kindB: ContactFeature.face))
        return (distanceA <= 0 ? a : b, cut)
    }
    return nil
}
