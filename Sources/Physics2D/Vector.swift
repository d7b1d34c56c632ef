#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

// Single precision throughout, every operation in the order in which the reference (Box2D 2.3) does it: results are
// the same to the bit as long as no operation is reordered or fused.

/// A vector of the plane, in metres unless noted.
public struct Vec2: BitwiseCopyable, Hashable, Sendable {
    /// To the right.
    public var x: Float
    /// Up.
    public var y: Float

    /// The vector (x, y).
    @inlinable @inline(__always)
    public init(_ x: Float, _ y: Float) {
        self.x = x
        self.y = y
    }

    /// (0, 0)
    @inlinable public static var zero: Vec2 { Vec2(0, 0) }

    /// The sum.
    @inlinable @inline(__always)
    public static func + (a: Vec2, b: Vec2) -> Vec2 { Vec2(a.x + b.x, a.y + b.y) }
    /// The difference.
    @inlinable @inline(__always)
    public static func - (a: Vec2, b: Vec2) -> Vec2 { Vec2(a.x - b.x, a.y - b.y) }
    /// The opposite vector.
    @inlinable @inline(__always)
    public static prefix func - (a: Vec2) -> Vec2 { Vec2(-a.x, -a.y) }
    /// The vector times a number.
    @inlinable @inline(__always)
    public static func * (s: Float, a: Vec2) -> Vec2 { Vec2(s * a.x, s * a.y) }
    /// Adds a vector.
    @inlinable @inline(__always)
    public static func += (a: inout Vec2, b: Vec2) { a = a + b }
    /// Subtracts a vector.
    @inlinable @inline(__always)
    public static func -= (a: inout Vec2, b: Vec2) { a = a - b }

    /// The length squared.
    @inlinable @inline(__always)
    public var lengthSquared: Float { x * x + y * y }

    /// The length.
    @inlinable @inline(__always)
    public var length: Float { lengthSquared.squareRoot() }

    /// Scales to length 1; a vector too short for that stays as it is.
    @inline(__always)
    mutating func normalize() {
        let length = self.length
        if length < Settings.epsilon { return }
        let inverse = 1 / length
        x *= inverse
        y *= inverse
    }
}

/// a·b
@inline(__always)
func dot(_ a: Vec2, _ b: Vec2) -> Float { a.x * b.x + a.y * b.y }

/// The third component of a × b.
@inline(__always)
func cross(_ a: Vec2, _ b: Vec2) -> Float { a.x * b.y - a.y * b.x }

/// a × (0, 0, s): `a` turned right by 90° and scaled.
@inline(__always)
func cross(_ a: Vec2, _ s: Float) -> Vec2 { Vec2(s * a.y, -s * a.x) }

/// (0, 0, s) × a: `a` turned left by 90° and scaled; the velocity of a point at `a` that turns at `s` rad/s.
@inline(__always)
func cross(_ s: Float, _ a: Vec2) -> Vec2 { Vec2(-s * a.y, s * a.x) }

/// The smaller coordinates of both.
@inline(__always)
func lesser(_ a: Vec2, _ b: Vec2) -> Vec2 { Vec2(a.x < b.x ? a.x : b.x, a.y < b.y ? a.y : b.y) }

/// The larger coordinates of both.
@inline(__always)
func greater(_ a: Vec2, _ b: Vec2) -> Vec2 { Vec2(a.x > b.x ? a.x : b.x, a.y > b.y ? a.y : b.y) }

/// `value`, or the bound it exceeds. Written so that it compiles to one minimum and one maximum instruction.
@inline(__always)
func clamp(_ value: Float, _ low: Float, _ high: Float) -> Float {
    let lower = value < high ? value : high
    return low > lower ? low : lower
}

/// The absolute value.
@inline(__always)
func absolute(_ value: Float) -> Float { value > 0 ? value : -value }

/// A rotation, as sine and cosine of its angle.
public struct Rotation: BitwiseCopyable, Hashable, Sendable {
    /// The sine.
    public var sine: Float
    /// The cosine.
    public var cosine: Float

    /// No rotation.
    public static var identity: Rotation { Rotation(sine: 0, cosine: 1) }

    @inline(__always)
    init(sine: Float, cosine: Float) {
        self.sine = sine
        self.cosine = cosine
    }

    /// The rotation by `angle` radians.
    @inline(__always)
    init(angle: Float) {
        sine = sinf(angle)
        cosine = cosf(angle)
    }

    /// The vector, rotated.
    @inline(__always)
    func apply(_ v: Vec2) -> Vec2 { Vec2(cosine * v.x - sine * v.y, sine * v.x + cosine * v.y) }

    /// The vector, rotated back.
    @inline(__always)
    func applyInverse(_ v: Vec2) -> Vec2 { Vec2(cosine * v.x + sine * v.y, -sine * v.x + cosine * v.y) }
}

/// Where a body is: the position of its origin and its rotation.
public struct Transform: BitwiseCopyable, Hashable, Sendable {
    /// The origin, in the world.
    public var position: Vec2
    /// The rotation.
    public var rotation: Rotation

    /// The frame of the world itself.
    public static var identity: Transform { Transform(position: .zero, rotation: .identity) }

    @inline(__always)
    init(position: Vec2, rotation: Rotation) {
        self.position = position
        self.rotation = rotation
    }

    /// A point of the body, in the world.
    @inline(__always)
    public func apply(_ v: Vec2) -> Vec2 {
        Vec2(
            (rotation.cosine * v.x - rotation.sine * v.y) + position.x,
            (rotation.sine * v.x + rotation.cosine * v.y) + position.y)
    }

    /// A point of the world, in the body's frame.
    @inline(__always)
    func applyInverse(_ v: Vec2) -> Vec2 { rotation.applyInverse(v - position) }

    /// The frame of `other`, seen from this one.
    @inline(__always)
    func inverseTimes(_ other: Transform) -> Transform {
        Transform(
            position: rotation.applyInverse(other.position - position),
            rotation: Rotation(
                sine: rotation.cosine * other.rotation.sine - rotation.sine * other.rotation.cosine,
                cosine: rotation.cosine * other.rotation.cosine + rotation.sine * other.rotation.sine))
    }
}

/// The motion of a body within a step: centre of mass and angle at its start and at its end.
struct Sweep: BitwiseCopyable {
    /// Centre of mass in the body's frame.
    var localCenter = Vec2.zero
    /// Centre of mass in the world at `alpha0` and at the end.
    var center0 = Vec2.zero
    var center = Vec2.zero
    /// Angle at `alpha0` and at the end.
    var angle0: Float = 0
    var angle: Float = 0
    /// The fraction of the step that `center0` and `angle0` belong to.
    var alpha0: Float = 0

    /// The transform at fraction `beta` between start and end.
    @inline(__always)
    func transform(at beta: Float) -> Transform {
        let position = (1 - beta) * center0 + beta * center
        let rotation = Rotation(angle: (1 - beta) * angle0 + beta * angle)
        return Transform(position: position - rotation.apply(localCenter), rotation: rotation)
    }

    /// Moves the start to fraction `alpha` of the step.
    mutating func advance(to alpha: Float) {
        let beta = (alpha - alpha0) / (1 - alpha0)
        center0 = (1 - beta) * center0 + beta * center
        angle0 = (1 - beta) * angle0 + beta * angle
        alpha0 = alpha
    }

    /// Takes whole turns out of the angles: the root finder needs small ones.
    mutating func normalize() {
        let turn = 2 * Settings.pi
        let turns = turn * floorf(angle0 / turn)
        angle0 -= turns
        angle -= turns
    }
}

/// A vector of three, for constraints that couple position and angle.
struct Vec3: BitwiseCopyable {
    var x: Float = 0
    var y: Float = 0
    var z: Float = 0
}

@inline(__always)
func dot(_ a: Vec3, _ b: Vec3) -> Float { a.x * b.x + a.y * b.y + a.z * b.z }

@inline(__always)
func cross(_ a: Vec3, _ b: Vec3) -> Vec3 {
    Vec3(x: a.y * b.z - a.z * b.y, y: a.z * b.x - a.x * b.z, z: a.x * b.y - a.y * b.x)
}

/// A symmetric-by-use 2×2 matrix, by columns.
struct Mat22: BitwiseCopyable {
    var ex = Vec2.zero
    var ey = Vec2.zero

    @inline(__always)
    func apply(_ v: Vec2) -> Vec2 { Vec2(ex.x * v.x + ey.x * v.y, ex.y * v.x + ey.y * v.y) }

    /// The inverse; zero when there is none.
    var inverse: Mat22 {
        let a = ex.x
        let b = ey.x
        let c = ex.y
        let d = ey.y
        var determinant = a * d - b * c
        if determinant != 0 { determinant = 1 / determinant }
        return Mat22(
            ex: Vec2(determinant * d, -determinant * c), ey: Vec2(-determinant * b, determinant * a))
    }

    /// The solution of `self · x = b`.
    @inline(__always)
    func solve(_ b: Vec2) -> Vec2 {
        var determinant = ex.x * ey.y - ey.x * ex.y
        if determinant != 0 { determinant = 1 / determinant }
        return Vec2(determinant * (ey.y * b.x - ey.x * b.y), determinant * (ex.x * b.y - ex.y * b.x))
    }
}
