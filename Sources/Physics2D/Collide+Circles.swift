/// The contact of two circles.
func collideCircles(_ manifold: inout Manifold, _ a: Outline, _ xfA: Transform, _ b: Outline, _ xfB: Transform) {
    manifold.count = 0
    let d = xfB.apply(b.vertices[0]) - xfA.apply(a.vertices[0])
    let radius = a.radius + b.radius
    if dot(d, d) > radius * radius { return }
    manifold.kind = .circles
    manifold.localPoint = a.vertices[0]
    manifold.localNormal = .zero
    manifold.append(ManifoldPoint(localPoint: b.vertices[0]))
}

/// The contact of a convex polygon and a circle.
func collidePolygonAndCircle(
    _ manifold: inout Manifold, _ polygon: Outline, _ xfA: Transform, _ circle: Outline, _ xfB: Transform
) {
    manifold.count = 0
    let center = xfA.applyInverse(xfB.apply(circle.vertices[0]))
    let radius = polygon.radius + circle.radius
    var side = 0
    var separation = -Float.greatestFiniteMagnitude
    for i in 0..<polygon.count {
        let s = dot(polygon.normals[i], center - polygon.vertices[i])
        if s > radius { return }
        if s > separation {
            separation = s
            side = i
        }
    }
    let v1 = polygon.vertices[side]
    let v2 = polygon.vertices[side + 1 < polygon.count ? side + 1 : 0]

    func touch(at point: Vec2, normal: Vec2) {
        manifold.kind = .faceA
        manifold.localNormal = normal
        manifold.localPoint = point
        manifold.append(ManifoldPoint(localPoint: circle.vertices[0]))
    }
    func touchCorner(_ corner: Vec2) {
        var normal = center - corner
        if dot(normal, normal) > radius * radius { return }
        normal.normalize()
        touch(at: corner, normal: normal)
    }
    // The centre is inside.
    if separation < Settings.epsilon { return touch(at: 0.5 * (v1 + v2), normal: polygon.normals[side]) }
    if dot(center - v1, v2 - v1) <= 0 { return touchCorner(v1) }
    if dot(center - v2, v1 - v2) <= 0 { return touchCorner(v2) }
    let middle = 0.5 * (v1 + v2)
    if dot(center - middle, polygon.normals[side]) > radius { return }
    touch(at: middle, normal: polygon.normals[side])
}
