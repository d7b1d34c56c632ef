/// How a body moves.
public enum BodyKind: UInt8, BitwiseCopyable, Sendable {
    /// Never.
    case fixed
    /// By forces.
    case dynamic
}

/// A body to be added to a world.
public struct BodyDefinition: Sendable, Hashable {
    /// How it moves.
    public var kind: BodyKind
    /// Its origin, in the world.
    public var position: Vec2
    /// Its angle in radians, counter-clockwise.
    public var angle: Float
    /// The velocity of its origin's point in m/s at the start; the centre of mass starts with it too.
    public var linearVelocity: Vec2
    /// rad/s at the start.
    public var angularVelocity: Float
    /// Slows the motion down: speed falls by this part a second.
    public var linearDamping: Float
    /// Slows the turning down.
    public var angularDamping: Float
    /// The world's gravity is multiplied by this.
    public var gravityScale: Float
    /// Whether it may fall asleep at rest.
    public var allowsSleep: Bool
    /// Whether it never turns.
    public var hasFixedRotation: Bool
    /// Whether continuous collision keeps it from passing through other dynamic bodies too.
    public var isBullet: Bool

    /// A body at `position`, at rest.
    public init(_ kind: BodyKind, position: Vec2 = .zero, angle: Float = 0) {
        self.kind = kind
        self.position = position
        self.angle = angle
        linearVelocity = .zero
        angularVelocity = 0
        linearDamping = 0
        angularDamping = 0
        gravityScale = 1
        allowsSleep = true
        hasFixedRotation = false
        isBullet = false
    }
}

/// A rigid body.
struct Body: BitwiseCopyable {
    var kind: BodyKind
    var isAwake = true
    var allowsSleep: Bool
    var hasFixedRotation: Bool
    var isBullet: Bool
    /// Whether the island being built has it.
    var isInIsland = false
    /// Which of the bodies that can move it is, in the order in which they were added; -1 for a fixed one.
    var order: Int32 = -1
    /// Its place in the island being solved.
    var islandIndex: Int32 = 0
    /// Heads of its lists, newest first; -1 is the end.
    var firstFixture: Int32 = -1
    var firstJointEdge: Int32 = -1
    var firstContactEdge: Int32 = -1

    var transform: Transform
    var sweep: Sweep
    /// The rotation by the sweep's `angle0`, as long as no impact has moved the sweep's start.
    var rotation0 = Rotation.identity
    var linearVelocity: Vec2
    var angularVelocity: Float
    var force = Vec2.zero
    var torque: Float = 0

    var mass: Float
    var inverseMass: Float
    var inertia: Float = 0
    var inverseInertia: Float = 0

    var linearDamping: Float
    var angularDamping: Float
    var gravityScale: Float
    /// Seconds at rest.
    var sleepTime: Float = 0

    init(_ definition: BodyDefinition) {
        kind = definition.kind
        allowsSleep = definition.allowsSleep
        hasFixedRotation = definition.hasFixedRotation
        isBullet = definition.isBullet
        transform = Transform(position: definition.position, rotation: Rotation(angle: definition.angle))
        sweep = Sweep(
            center0: definition.position, center: definition.position, angle0: definition.angle,
            angle: definition.angle)
        linearVelocity = definition.linearVelocity
        angularVelocity = definition.angularVelocity
        mass = definition.kind == .dynamic ? 1 : 0
        inverseMass = mass
        linearDamping = definition.linearDamping
        angularDamping = definition.angularDamping
        gravityScale = definition.gravityScale
    }

    /// Whether contacts of this body need solving.
    @inline(__always)
    var isActive: Bool { isAwake && kind == .dynamic }

    @inline(__always)
    mutating func wake() {
        if isAwake { return }
        isAwake = true
        sleepTime = 0
    }

    mutating func sleep() {
        isAwake = false
        sleepTime = 0
        linearVelocity = .zero
        angularVelocity = 0
        force = .zero
        torque = 0
    }

    /// Takes over where the solver has put the body.
    @inline(__always)
    mutating func finish(_ position: inout BodyPosition, _ velocity: BodyVelocity) {
        position.updateRotation()
        sweep.center = position.c
        sweep.angle = position.a
        linearVelocity = velocity.v
        angularVelocity = velocity.w
        transform.rotation = position.rotation
        transform.position = sweep.center - transform.rotation.apply(sweep.localCenter)
    }

    /// The transform at the sweep's start.
    @inline(__always)
    var startTransform: Transform {
        Transform(position: sweep.center0 - rotation0.apply(sweep.localCenter), rotation: rotation0)
    }

    /// Recomputes the transform from the sweep's end.
    @inline(__always)
    mutating func synchronizeTransform() {
        transform.rotation = Rotation(angle: sweep.angle)
        transform.position = sweep.center - transform.rotation.apply(sweep.localCenter)
    }

    /// Ends the motion at fraction `alpha` of the step.
    mutating func advance(to alpha: Float) {
        sweep.advance(to: alpha)
        sweep.center = sweep.center0
        sweep.angle = sweep.angle0
        transform.rotation = Rotation(angle: sweep.angle)
        transform.position = sweep.center - transform.rotation.apply(sweep.localCenter)
    }
}
