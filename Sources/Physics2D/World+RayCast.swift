/// Where a ray meets a fixture.
public struct RayHit: BitwiseCopyable, Hashable, Sendable {
    /// The body it meets.
    public var body: Int
    /// The part of the ray's length before it.
    public var fraction: Float
    /// Where.
    public var point: Vec2
    /// The normal of the surface there, towards the ray's start.
    public var normal: Vec2
}

extension World {
    /// The first fixture on the segment from `start` to `end`, among those of the given categories.
    ///
    /// A ray that starts inside a polygon or circle does not meet it.
    public func castRay(from start: Vec2, to end: Vec2, categories: UInt16 = 0xFFFF) -> RayHit? {
        var hit: RayHit?
        tree.castRay(from: start, to: end) { index, limit in
            let fixture = fixtures.base + Int(index)
            if fixture.pointee.filter.category & categories == 0 { return limit }
            let body = Int(fixture.pointee.body)
            guard
                let (fraction, normal) = outline(Int(index)).castRay(
                    from: start, to: end, limit: limit, bodies.base[body].transform)
            else { return limit }
            hit = RayHit(
                body: body, fraction: fraction, point: (1 - fraction) * start + fraction * end, normal: normal)
            return fraction
        }
        return hit
    }
}

extension Outline {
    /// Where a ray meets the shape, as a fraction of its length up to `limit`, and the surface's normal.
    @inline(__always)
    fileprivate func castRay(
        from start: Vec2, to end: Vec2, limit: Float, _ transform: Transform
    ) -> (fraction: Float, normal: Vec2)? {
        switch kind {
        case .edge: castRayAtEdge(from: start, to: end, limit: limit, transform)
        case .polygon: castRayAtPolygon(from: start, to: end, limit: limit, transform)
        case .circle: castRayAtCircle(from: start, to: end, limit: limit, transform)
        }
    }

    private func castRayAtEdge(
        from start: Vec2, to end: Vec2, limit: Float, _ transform: Transform
    ) -> (fraction: Float, normal: Vec2)? {
        let p1 = transform.applyInverse(start)
        let d = transform.applyInverse(end) - p1
        let v1 = vertices[0]
        let e = vertices[1] - v1
        var normal = Vec2(e.y, -e.x)
        normal.normalize()
        let numerator = dot(normal, v1 - p1)
        let denominator = dot(normal, d)
        if denominator == 0 { return nil }
        let t = numerator / denominator
        if t < 0 || limit < t { return nil }
        let q = p1 + t * d
        let rr = dot(e, e)
        if rr == 0 { return nil }
        let s = dot(q - v1, e) / rr
        if s < 0 || 1 < s { return nil }
        return (t, transform.rotation.apply(numerator > 0 ? -normal : normal))
    }

    private func castRayAtPolygon(
        from start: Vec2, to end: Vec2, limit: Float, _ transform: Transform
    ) -> (fraction: Float, normal: Vec2)? {
        let p1 = transform.applyInverse(start)
        let d = transform.applyInverse(end) - p1
        var lower: Float = 0
        var upper = limit
        var side = -1
        for i in 0..<count {
            let numerator = dot(normals[i], vertices[i] - p1)
            let denominator = dot(normals[i], d)
            if denominator == 0 {
                if numerator < 0 { return nil }
            } else if denominator < 0 && numerator < lower * denominator {
                lower = numerator / denominator
                side = i
            } else if denominator > 0 && numerator < upper * denominator {
                upper = numerator / denominator
            }
            if upper < lower { return nil }
        }
        return side >= 0 ? (lower, transform.rotation.apply(normals[side])) : nil
    }

    private func castRayAtCircle(
        from start: Vec2, to end: Vec2, limit: Float, _ transform: Transform
    ) -> (fraction: Float, normal: Vec2)? {
        let s = start - transform.apply(vertices[0])
        let b = dot(s, s) - radius * radius
        let r = end - start
        let c = dot(s, r)
        let rr = dot(r, r)
        let sigma = c * c - rr * b
        if sigma < 0 || rr < Settings.epsilon { return nil }
        let a = -(c + sigma.squareRoot())
        if a < 0 || limit * rr < a { return nil }
        let fraction = a / rr
        var normal = s + fraction * r
        normal.normalize()
        return (fraction, normal)
    }
}
