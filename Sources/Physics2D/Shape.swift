/// The outline of a fixture, in its body's frame.
public enum Shape: Sendable, Hashable {
    /// The convex hull of 3 to 16 points.
    case polygon([Vec2])
    /// A box around the body's origin, by half its width and half its height.
    case box(halfWidth: Float, halfHeight: Float)
    /// A circle.
    case circle(center: Vec2, radius: Float)
    /// A line segment. It has no mass and collides from both sides.
    case edge(Vec2, Vec2)
}

/// What a shape is, for the choice of the collision routine.
enum ShapeKind: UInt8, BitwiseCopyable {
    case circle
    case edge
    case polygon
}

/// A shape as the collision routines read it: pointers into the world's vertices.
struct Outline: BitwiseCopyable {
    var kind: ShapeKind
    var count: Int
    var vertices: UnsafePointer<Vec2>
    /// Outward normals: normal i belongs to the side from vertex i to the next. Polygons only.
    var normals: UnsafePointer<Vec2>
    var centroid: Vec2
    /// A circle's radius; the skin of everything else.
    var radius: Float

    /// The vertex farthest in direction `d`.
    @inline(__always)
    func support(_ d: Vec2) -> Int {
        var best = 0
        var bestValue = dot(vertices[0], d)
        var i = 1
        while i < count {
            let value = dot(vertices[i], d)
            if value > bestValue {
                best = i
                bestValue = value
            }
            i += 1
        }
        return best
    }

    /// The box around the shape.
    @inline(__always)
    func box(_ transform: Transform) -> Box {
        var lower = transform.apply(vertices[0])
        var upper = lower
        var i = 1
        while i < count {
            let v = transform.apply(vertices[i])
            lower = lesser(lower, v)
            upper = greater(upper, v)
            i += 1
        }
        let r = Vec2(radius, radius)
        return Box(lower: lower - r, upper: upper + r)
    }
}

/// Mass, centre of mass and moment of inertia about the body's origin.
struct MassData {
    var mass: Float = 0
    var center = Vec2.zero
    var inertia: Float = 0
}

/// A shape's vertices and normals in the order in which the collision routines want them.
struct ShapeGeometry {
    var kind: ShapeKind
    var vertices: [Vec2]
    var normals: [Vec2]
    var centroid: Vec2
    var radius: Float

    init(_ shape: Shape) {
        switch shape {
        case .circle(let center, let radius):
            precondition(radius > 0, "a circle's radius is to be positive, not \(radius)")
            self.init(kind: .circle, vertices: [center], normals: [.zero], centroid: center, radius: radius)
        case .edge(let a, let b):
            self.init(
                kind: .edge, vertices: [a, b], normals: [.zero, .zero], centroid: 0.5 * (a + b),
                radius: Settings.polygonRadius)
        case .box(let halfWidth, let halfHeight):
            self.init(
                kind: .polygon,
                vertices: [
                    Vec2(-halfWidth, -halfHeight), Vec2(halfWidth, -halfHeight), Vec2(halfWidth, halfHeight),
                    Vec2(-halfWidth, halfHeight),
                ],
                normals: [Vec2(0, -1), Vec2(1, 0), Vec2(0, 1), Vec2(-1, 0)],
                centroid: .zero, radius: Settings.polygonRadius)
        case .polygon(let points):
            let vertices = ShapeGeometry.hull(of: points)
            var normals: [Vec2] = []
            for i in vertices.indices {
                let side = vertices[i + 1 < vertices.count ? i + 1 : 0] - vertices[i]
                var normal = cross(side, 1)
                normal.normalize()
                normals.append(normal)
            }
            self.init(
                kind: .polygon, vertices: vertices, normals: normals,
                centroid: ShapeGeometry.centroid(of: vertices), radius: Settings.polygonRadius)
        }
    }

    private init(kind: ShapeKind, vertices: [Vec2], normals: [Vec2], centroid: Vec2, radius: Float) {
        self.kind = kind
        self.vertices = vertices
        self.normals = normals
        self.centroid = centroid
        self.radius = radius
    }

    /// The convex hull by gift wrapping, counter-clockwise from the rightmost point (the lower one of two).
    private static func hull(of points: [Vec2]) -> [Vec2] {
        precondition(
            (3...Settings.maxPolygonVertices).contains(points.count),
            "a polygon takes 3 to \(Settings.maxPolygonVertices) points, not \(points.count)")
        var first = 0
        for i in points.indices.dropFirst() {
            let p = points[i]
            if p.x > points[first].x || (p.x == points[first].x && p.y < points[first].y) { first = i }
        }
        var hull: [Int] = []
        var current = first
        repeat {
            precondition(hull.count < points.count, "the points of a polygon are to span an area")
            hull.append(current)
            var next = 0
            for j in points.indices.dropFirst() {
                if next == current {
                    next = j
                    continue
                }
                let r = points[next] - points[current]
                let v = points[j] - points[current]
                let turn = cross(r, v)
                if turn < 0 || (turn == 0 && v.lengthSquared > r.lengthSquared) { next = j }
            }
            current = next
        } while current != first
        precondition(hull.count >= 3, "the points of a polygon are to span an area")
        return hull.map { points[$0] }
    }

    private static func centroid(of vertices: [Vec2]) -> Vec2 {
        var sum = Vec2.zero
        var area: Float = 0
        let third: Float = 1 / 3
        for i in vertices.indices {
            let p2 = vertices[i]
            let p3 = vertices[i + 1 < vertices.count ? i + 1 : 0]
            let triangle = 0.5 * cross(p2, p3)
            area += triangle
            sum += triangle * third * (p2 + p3)
        }
        let inverse = 1 / area
        return Vec2(sum.x * inverse, sum.y * inverse)
    }

    /// Mass and inertia at `density` kg/m².
    func mass(density: Float) -> MassData {
        switch kind {
        case .circle:
            let mass = density * Settings.pi * radius * radius
            let center = vertices[0]
            return MassData(
                mass: mass, center: center, inertia: mass * (0.5 * radius * radius + dot(center, center)))
        case .edge:
            return MassData(mass: 0, center: centroid, inertia: 0)
        case .polygon:
            return polygonMass(density: density)
        }
    }

    /// Sums the integrals over the triangles between each side and a reference point inside.
    private func polygonMass(density: Float) -> MassData {
        var reference = Vec2.zero
        for vertex in vertices { reference += vertex }
        let share = 1 / Float(vertices.count)
        reference = Vec2(reference.x * share, reference.y * share)

        var center = Vec2.zero
        var area: Float = 0
        var inertia: Float = 0
        let third: Float = 1 / 3
        for i in vertices.indices {
            let e1 = vertices[i] - reference
            let e2 = vertices[i + 1 < vertices.count ? i + 1 : 0] - reference
            let d = cross(e1, e2)
            let triangle = 0.5 * d
            area += triangle
            center += triangle * third * (e1 + e2)
            let squaresX = e1.x * e1.x + e2.x * e1.x + e2.x * e2.x
            let squaresY = e1.y * e1.y + e2.y * e1.y + e2.y * e2.y
            inertia += (0.25 * third * d) * (squaresX + squaresY)
        }
        let inverse = 1 / area
        center = Vec2(center.x * inverse, center.y * inverse)
        let mass = density * area
        let shifted = center + reference
        return MassData(
            mass: mass, center: shifted,
            inertia: density * inertia + mass * (dot(shifted, shifted) - dot(center, center)))
    }
}
