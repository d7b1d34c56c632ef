// The distance of two convex shapes by the algorithm of Gilbert, Johnson and Keerthi, with barycentric coordinates.

/// The simplex that a search ended with; a later search of the same shapes starts from it.
struct SimplexCache: BitwiseCopyable {
    var metric: Float = 0
    var count = 0
    var indexA0 = 0
    var indexA1 = 0
    var indexA2 = 0
    var indexB0 = 0
    var indexB1 = 0
    var indexB2 = 0
}

private struct SimplexVertex: BitwiseCopyable {
    /// Support points in the world.
    var wA = Vec2.zero
    var wB = Vec2.zero
    /// wB − wA
    var w = Vec2.zero
    /// Barycentric coordinate of the point closest to the origin.
    var a: Float = 1
    var indexA = 0
    var indexB = 0

    init() {}

    @inline(__always)
    init(_ indexA: Int, _ indexB: Int, _ a: Outline, _ xfA: Transform, _ b: Outline, _ xfB: Transform) {
        self.indexA = indexA
        self.indexB = indexB
        wA = xfA.apply(a.vertices[indexA])
        wB = xfB.apply(b.vertices[indexB])
        w = wB - wA
    }

    @inline(__always)
    func isSame(as other: SimplexVertex) -> Bool { indexA == other.indexA && indexB == other.indexB }
}

private struct Simplex: BitwiseCopyable {
    var v1 = SimplexVertex()
    var v2 = SimplexVertex()
    var v3 = SimplexVertex()
    var count = 0

    /// Length or area: what tells whether a cached simplex still has its form.
    var metric: Float {
        switch count {
        case 2: (v1.w - v2.w).length
        case 3: cross(v2.w - v1.w, v3.w - v1.w)
        default: 0
        }
    }

    @inline(__always)
    var searchDirection: Vec2 {
        if count == 1 { return -v1.w }
        let e12 = v2.w - v1.w
        return cross(e12, -v1.w) > 0 ? cross(1, e12) : cross(e12, 1)
    }

    @inline(__always)
    mutating func solve2() {
        let e12 = v2.w - v1.w
        let d2 = -dot(v1.w, e12)
        if d2 <= 0 {
            v1.a = 1
            count = 1
            return
        }
        let d1 = dot(v2.w, e12)
        if d1 <= 0 {
            v2.a = 1
            count = 1
            v1 = v2
            return
        }
        let inverse = 1 / (d1 + d2)
        v1.a = d1 * inverse
        v2.a = d2 * inverse
        count = 2
    }

    mutating func solve3() {
        let w1 = v1.w
        let w2 = v2.w
        let w3 = v3.w
        let e12 = w2 - w1
        let d12a = dot(w2, e12)
        let d12b = -dot(w1, e12)
        let e13 = w3 - w1
        let d13a = dot(w3, e13)
        let d13b = -dot(w1, e13)
        let e23 = w3 - w2
        let d23a = dot(w3, e23)
        let d23b = -dot(w2, e23)
        let n = cross(e12, e13)
        let d1 = n * cross(w2, w3)
        let d2 = n * cross(w3, w1)
        let d3 = n * cross(w1, w2)

        if d12b <= 0 && d13b <= 0 {
            v1.a = 1
            count = 1
        } else if d12a > 0 && d12b > 0 && d3 <= 0 {
            let inverse = 1 / (d12a + d12b)
            v1.a = d12a * inverse
            v2.a = d12b * inverse
            count = 2
        } else if d13a > 0 && d13b > 0 && d2 <= 0 {
            let inverse = 1 / (d13a + d13b)
            v1.a = d13a * inverse
            v3.a = d13b * inverse
            count = 2
            v2 = v3
        } else if d12a <= 0 && d23b <= 0 {
            v2.a = 1
            count = 1
            v1 = v2
        } else if d13a <= 0 && d23a <= 0 {
            v3.a = 1
            count = 1
            v1 = v3
        } else if d23a > 0 && d23b > 0 && d1 <= 0 {
            let inverse = 1 / (d23a + d23b)
            v2.a = d23a * inverse
            v3.a = d23b * inverse
            count = 2
            v1 = v3
        } else {
            let inverse = 1 / (d1 + d2 + d3)
            v1.a = d1 * inverse
            v2.a = d2 * inverse
            v3.a = d3 * inverse
            count = 3
        }
    }
}

/// The distance between the cores of two shapes, without their radii. 0 if they overlap.
func distance(
    _ a: Outline, _ xfA: Transform, _ b: Outline, _ xfB: Transform, cache: inout SimplexCache
) -> Float {
    var simplex = Simplex()
    simplex.count = cache.count
    if cache.count > 0 {
        simplex.v1 = SimplexVertex(cache.indexA0, cache.indexB0, a, xfA, b, xfB)
        if cache.count > 1 { simplex.v2 = SimplexVertex(cache.indexA1, cache.indexB1, a, xfA, b, xfB) }
        if cache.count > 2 { simplex.v3 = SimplexVertex(cache.indexA2, cache.indexB2, a, xfA, b, xfB) }
        if cache.count > 1 {
            let metric = simplex.metric
            if metric < 0.5 * cache.metric || 2 * cache.metric < metric || metric < Settings.epsilon {
                simplex.count = 0
            }
        }
    }
    if simplex.count == 0 {
        simplex.v1 = SimplexVertex(0, 0, a, xfA, b, xfB)
        simplex.count = 1
    }

    var iterations = 0
    while iterations < 20 {
        let saved1 = simplex.v1
        let saved2 = simplex.v2
        let saved3 = simplex.v3
        let savedCount = simplex.count
        if simplex.count == 2 { simplex.solve2() } else if simplex.count == 3 { simplex.solve3() }
        if simplex.count == 3 { break }

        let d = simplex.searchDirection
        if d.lengthSquared < Settings.epsilon * Settings.epsilon { break }
        let vertex = SimplexVertex(
            a.support(xfA.rotation.applyInverse(-d)), b.support(xfB.rotation.applyInverse(d)), a, xfA, b, xfB)
        iterations += 1
        if vertex.isSame(as: saved1) || (savedCount > 1 && vertex.isSame(as: saved2))
            || (savedCount > 2 && vertex.isSame(as: saved3))
        {
            break
        }
        if simplex.count == 1 { simplex.v2 = vertex } else { simplex.v3 = vertex }
        simplex.count += 1
    }

    cache = SimplexCache(
        metric: simplex.metric, count: simplex.count, indexA0: simplex.v1.indexA, indexA1: simplex.v2.indexA,
        indexA2: simplex.v3.indexA, indexB0: simplex.v1.indexB, indexB1: simplex.v2.indexB,
        indexB2: simplex.v3.indexB)
    switch simplex.count {
    case 1:
        return (simplex.v1.wA - simplex.v1.wB).length
    case 2:
        let pointA = simplex.v1.a * simplex.v1.wA + simplex.v2.a * simplex.v2.wA
        let pointB = simplex.v1.a * simplex.v1.wB + simplex.v2.a * simplex.v2.wB
        return (pointA - pointB).length
    default:
        return 0
    }
}
