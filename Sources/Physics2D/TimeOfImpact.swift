/// The axis along which two moving shapes are separated, and their separation along it as they move.
private struct SeparationFunction {
    enum Kind {
        case points
        case faceA
        case faceB
    }

    let a: Outline
    let b: Outline
    let sweepA: Sweep
    let sweepB: Sweep
    var kind: Kind
    var localPoint = Vec2.zero
    var axis: Vec2

    init(_ cache: SimplexCache, _ a: Outline, _ sweepA: Sweep, _ b: Outline, _ sweepB: Sweep, at time: Float) {
        self.a = a
        self.b = b
        self.sweepA = sweepA
        self.sweepB = sweepB
        let xfA = sweepA.transform(at: time)
        let xfB = sweepB.transform(at: time)
        if cache.count == 1 {
            kind = .points
            axis = xfB.apply(b.vertices[cache.indexB0]) - xfA.apply(a.vertices[cache.indexA0])
            axis.normalize()
        } else if cache.indexA0 == cache.indexA1 {
            // Two points on B, one on A.
            kind = .faceB
            let b1 = b.vertices[cache.indexB0]
            let b2 = b.vertices[cache.indexB1]
            axis = cross(b2 - b1, 1)
            axis.normalize()
            localPoint = 0.5 * (b1 + b2)
            let side = dot(
                xfA.apply(a.vertices[cache.indexA0]) - xfB.apply(localPoint), xfB.rotation.apply(axis))
            if side < 0 { axis = -axis }
        } else {
            // Two points on A, one or two on B.
            kind = .faceA
            let a1 = a.vertices[cache.indexA0]
            let a2 = a.vertices[cache.indexA1]
            axis = cross(a2 - a1, 1)
            axis.normalize()
            localPoint = 0.5 * (a1 + a2)
            let side = dot(
                xfB.apply(b.vertices[cache.indexB0]) - xfA.apply(localPoint), xfA.rotation.apply(axis))
            if side < 0 { axis = -axis }
        }
    }

    /// The least separation at `time`, and the vertices that have it.
    func least(at time: Float) -> (separation: Float, indexA: Int, indexB: Int) {
        let xfA = sweepA.transform(at: time)
        let xfB = sweepB.transform(at: time)
        switch kind {
        case .points:
            let indexA = a.support(xfA.rotation.applyInverse(axis))
            let indexB = b.support(xfB.rotation.applyInverse(-axis))
            return (dot(xfB.apply(b.vertices[indexB]) - xfA.apply(a.vertices[indexA]), axis), indexA, indexB)
        case .faceA:
            let normal = xfA.rotation.apply(axis)
            let indexB = b.support(xfB.rotation.applyInverse(-normal))
            return (dot(xfB.apply(b.vertices[indexB]) - xfA.apply(localPoint), normal), 0, indexB)
        case .faceB:
            let normal = xfB.rotation.apply(axis)
            let indexA = a.support(xfA.rotation.applyInverse(-normal))
            return (dot(xfA.apply(a.vertices[indexA]) - xfB.apply(localPoint), normal), indexA, 0)
        }
    }

    /// The separation of the given vertices at `time`.
    func evaluate(_ indexA: Int, _ indexB: Int, at time: Float) -> Float {
        let xfA = sweepA.transform(at: time)
        let xfB = sweepB.transform(at: time)
        switch kind {
        case .points:
            return dot(xfB.apply(b.vertices[indexB]) - xfA.apply(a.vertices[indexA]), axis)
        case .faceA:
            let normal = xfA.rotation.apply(axis)
            return dot(xfB.apply(b.vertices[indexB]) - xfA.apply(localPoint), normal)
        case .faceB:
            let normal = xfB.rotation.apply(axis)
            return dot(xfA.apply(a.vertices[indexA]) - xfB.apply(localPoint), normal)
        }
    }
}

/// The fraction of the motion after which two shapes touch, or nil if they do not touch on the way.
///
/// Conservative advancement: on the axis that separates the shapes now, the time is found at which they are a small
/// distance apart; from there on, with a new axis.
func timeOfImpact(_ a: Outline, _ motionA: Sweep, _ b: Outline, _ motionB: Sweep) -> Float? {
    var sweepA = motionA
    var sweepB = motionB
    sweepA.normalize()
    sweepB.normalize()
    let radius = a.radius + b.radius
    let skin = radius - 3 * Settings.linearSlop
    let target = Settings.linearSlop > skin ? Settings.linearSlop : skin
    let tolerance = 0.25 * Settings.linearSlop

    var t1: Float = 0
    var cache = SimplexCache()
    for _ in 0..<20 {
        let gap = distance(a, sweepA.transform(at: t1), b, sweepB.transform(at: t1), cache: &cache)
        // Overlapping already: left to the position solver.
        if gap <= 0 { return nil }
        if gap < target + tolerance { return t1 }

        let function = SeparationFunction(cache, a, sweepA, b, sweepB, at: t1)
        // The deepest point is resolved first; each resolution may leave another one deepest.
        var t2: Float = 1
        for _ in 0..<Settings.maxPolygonVertices {
            var (s2, indexA, indexB) = function.least(at: t2)
            if s2 > target + tolerance { return nil }
            if s2 > target - tolerance {
                t1 = t2
                break
            }
            var s1 = function.evaluate(indexA, indexB, at: t1)
            if s1 < target - tolerance { return nil }
            if s1 <= target + tolerance { return t1 }

            // The root of separation(t) = target, by bisection and secant in turn.
            var low = t1
            var high = t2
            for iteration in 0..<50 {
                let t =
                    iteration & 1 != 0 ? low + (target - s1) * (high - low) / (s2 - s1) : 0.5 * (low + high)
                let s = function.evaluate(indexA, indexB, at: t)
                if absolute(s - target) < tolerance {
                    t2 = t
                    break
                }
                if s > target {
                    low = t
                    s1 = s
                } else {
                    high = t
                    s2 = s
                }
            }
        }
    }
    return nil
}

/// Whether a moving shape is certain to stay farther from a resting edge than ``timeOfImpact(_:_:_:_:)`` cares for.
///
/// A vertex at distance r from the centre leaves the chord of its path by at most r·turn²/8. So the shape stays on one
/// side of the edge's line, or beyond one of its ends, if all vertices are so at start and end by that much more. Cheap,
/// and true of most contacts: their boxes overlap, but the shapes do not come close.
func staysApart(
    _ edge: Outline, _ frame: Transform, _ shape: Outline, from start: Transform, to end: Transform, turn: Float,
    center: Vec2
) -> Bool {
    let v1 = frame.apply(edge.vertices[0])
    var along = frame.apply(edge.vertices[1]) - v1
    let length = along.length
    along.normalize()
    let normal = Vec2(-along.y, along.x)
    var lower = Vec2(.greatestFiniteMagnitude, .greatestFiniteMagnitude)
    var upper = -lower
    var reach: Float = 0
    for i in 0..<shape.count {
        let vertex = shape.vertices[i]
        let arm = (vertex - center).lengthSquared
        if arm > reach { reach = arm }
        let a = start.apply(vertex) - v1
        let b = end.apply(vertex) - v1
        let pointA = Vec2(dot(a, along), dot(a, normal))
        let pointB = Vec2(dot(b, along), dot(b, normal))
        lower = lesser(lower, lesser(pointA, pointB))
        upper = greater(upper, greater(pointA, pointB))
    }
    // 2 mm more than the distance at which the search would stop.
    let radius = edge.radius + shape.radius
    let skin = radius - 3 * Settings.linearSlop
    let target = Settings.linearSlop > skin ? Settings.linearSlop : skin
    let margin = target + 0.002 + 0.25 * Settings.linearSlop + reach.squareRoot() * turn * turn * 0.125
    return lower.y > margin || upper.y < -margin || upper.x < -margin || lower.x > length + margin
}
