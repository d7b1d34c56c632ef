/// Two fixtures whose boxes overlap.
struct Contact: BitwiseCopyable {
    var fixtureA: Int32
    var fixtureB: Int32
    var bodyA: Int32
    var bodyB: Int32
    /// Neighbours in the world's list, -1 at the ends. A free contact's `next` is the next free one.
    var previous: Int32 = -1
    var next: Int32 = -1
    /// Neighbours in the lists of both bodies. An edge is named by twice its contact, plus 1 on body B's side.
    var previousEdgeA: Int32 = -1
    var nextEdgeA: Int32 = -1
    var previousEdgeB: Int32 = -1
    var nextEdgeB: Int32 = -1

    var isEnabled = true
    var isTouching = false
    var isSensor: Bool
    var isInIsland = false
    /// Whether joints that were added since may forbid it.
    var needsFiltering = false
    /// Whether `impactTime` is still true.
    var hasImpactTime = false

    /// Sub-steps of continuous collision it has caused in this step.
    var impactCount: Int32 = 0
    var impactTime: Float = 1
    var friction: Float
    var restitution: Float
    var manifold = Manifold()
}

/// A contact that began or ended.
public struct ContactEvent: BitwiseCopyable, Hashable, Sendable {
    /// Whether it began; otherwise it ended.
    public var began: Bool
    /// The bodies.
    public var bodyA: Int
    /// The other body.
    public var bodyB: Int

    /// Whether `body` is one of both.
    @inlinable
    public func involves(_ body: Int) -> Bool { bodyA == body || bodyB == body }
}
