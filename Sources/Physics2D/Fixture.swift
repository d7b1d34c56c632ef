/// Which fixtures collide with each other.
///
/// Two fixtures of the same non-zero group collide if it is positive. All others collide if the category of each is
/// in the mask of the other.
public struct CollisionFilter: BitwiseCopyable, Hashable, Sendable {
    /// What the fixture is: one bit.
    public var category: UInt16
    /// What the fixture collides with: bits of categories.
    public var mask: UInt16
    /// The group, or 0 for none.
    public var group: Int16

    /// A filter; the default collides with everything that has not restricted itself.
    public init(category: UInt16 = 0x0001, mask: UInt16 = 0xFFFF, group: Int16 = 0) {
        self.category = category
        self.mask = mask
        self.group = group
    }

    /// Whether fixtures with these filters collide.
    @inline(__always)
    func collides(with other: CollisionFilter) -> Bool {
        if group == other.group && group != 0 { return group > 0 }
        return mask & other.category != 0 && category & other.mask != 0
    }
}

/// A shape with its material, to be attached to a body.
public struct FixtureDefinition: Sendable, Hashable {
    /// The outline in the body's frame.
    public var shape: Shape
    /// kg/m². Zero adds no mass.
    public var density: Float
    /// Coulomb's coefficient; that of a contact is the geometric mean of both.
    public var friction: Float
    /// The part of the approach speed that a collision gives back; that of a contact is the larger of both.
    public var restitution: Float
    /// What it collides with.
    public var filter: CollisionFilter
    /// A sensor reports contacts and is not solid.
    public var isSensor: Bool

    /// A fixture of the given shape and material.
    public init(
        _ shape: Shape, density: Float = 0, friction: Float = 0.2, restitution: Float = 0,
        filter: CollisionFilter = CollisionFilter(), isSensor: Bool = false
    ) {
        self.shape = shape
        self.density = density
        self.friction = friction
        self.restitution = restitution
        self.filter = filter
        self.isSensor = isSensor
    }
}

/// A shape attached to a body.
struct Fixture: BitwiseCopyable {
    var body: Int32
    /// The next fixture of the body, or -1.
    var next: Int32
    /// The leaf of the tree that holds its box.
    var proxy: Int32
    var kind: ShapeKind
    var isSensor: Bool
    var filter: CollisionFilter
    /// Where vertices and normals start in the world's pools, and how many there are.
    var firstVertex: Int32
    var vertexCount: Int32
    var centroid: Vec2
    var radius: Float
    var friction: Float
    var restitution: Float
    var mass: Float
    var massCenter: Vec2
    /// About the body's origin.
    var inertia: Float
}
