/// The contact of a free-standing line segment and a convex polygon. Works in the segment's frame.
func collideEdgeAndPolygon(
    _ manifold: inout Manifold, _ edge: Outline, _ xfA: Transform, _ polygon: Outline, _ xfB: Transform
) {
    manifold.count = 0
    let xf = xfA.inverseTimes(xfB)
    let centroid = xf.apply(polygon.centroid)
    let v1 = edge.vertices[0]
    let v2 = edge.vertices[1]
    var direction = v2 - v1
    direction.normalize()
    let normal1 = Vec2(direction.y, -direction.x)
    let isInFront = dot(normal1, centroid - v1) >= 0
    let normal = isInFront ? normal1 : -normal1
    let radius = 2 * Settings.polygonRadius
    let count = polygon.count

    withUnsafeTemporaryAllocation(of: Vec2.self, capacity: 2 * count) { buffer in
        let vertices = buffer.baseAddress!
        let normals = vertices + count
        for i in 0..<count {
            vertices[i] = xf.apply(polygon.vertices[i])
            normals[i] = xf.rotation.apply(polygon.normals[i])
        }

        // The edge's normal as separating axis.
        var edgeSeparation = Float.greatestFiniteMagnitude
        for i in 0..<count {
            let s = dot(normal, vertices[i] - v1)
            if s < edgeSeparation { edgeSeparation = s }
        }
        if edgeSeparation > radius { return }

        // The polygon's normals.
        var side = -1
        var polygonSeparation = -Float.greatestFiniteMagnitude
        for i in 0..<count {
            let n = -normals[i]
            let s1 = dot(n, vertices[i] - v1)
            let s2 = dot(n, vertices[i] - v2)
            let s = s1 < s2 ? s1 : s2
            if s > radius { return }
            if s > polygonSeparation {
                polygonSeparation = s
                side = i
            }
        }

        // The bias towards the edge keeps the reference face from flickering between two equal ones.
        let usesPolygon = polygonSeparation > 0.98 * edgeSeparation + 0.001
        let incident1: ClipVertex
        let incident2: ClipVertex
        let r1: Vec2
        let r2: Vec2
        let i1: Int
        let i2: Int
        let reference: Vec2
        if usesPolygon {
            manifold.kind = .faceB
            let feature = ContactFeature(
                indexA: 0, indexB: UInt8(truncatingIfNeeded: side), kindA: ContactFeature.vertex,
                kindB: ContactFeature.face)
            incident1 = ClipVertex(point: v1, feature: feature)
            incident2 = ClipVertex(point: v2, feature: feature)
            i1 = side
            i2 = side + 1 < count ? side + 1 : 0
            r1 = vertices[i1]
            r2 = vertices[i2]
            reference = normals[i1]
        } else {
            manifold.kind = .faceA
            // The polygon's side that faces the edge most.
            var best = 0
            var bestValue = dot(normal, normals[0])
            for i in 1..<count {
                let value = dot(normal, normals[i])
                if value < bestValue {
                    bestValue = value
                    best = i
                }
            }
            let next = best + 1 < count ? best + 1 : 0
            func end(_ i: Int) -> ClipVertex {
                ClipVertex(
                    point: vertices[i],
                    feature: ContactFeature(
                        indexA: 0, indexB: UInt8(truncatingIfNeeded: i), kindA: ContactFeature.face,
                        kindB: ContactFeature.vertex))
            }
            incident1 = end(best)
            incident2 = end(next)
            i1 = isInFront ? 0 : 1
            i2 = isInFront ? 1 : 0
            r1 = isInFront ? v1 : v2
            r2 = isInFront ? v2 : v1
            reference = normal
        }

        let sideNormal1 = Vec2(reference.y, -reference.x)
        let sideNormal2 = -sideNormal1
        guard
            let once = clip(
                incident1, incident2, normal: sideNormal1, offset: dot(sideNormal1, r1), vertexA: i1),
            let twice = clip(once.0, once.1, normal: sideNormal2, offset: dot(sideNormal2, r2), vertexA: i2)
        else { return }

        manifold.localNormal = usesPolygon ? polygon.normals[i1] : reference
        manifold.localPoint = usesPolygon ? polygon.vertices[i1] : r1
        func add(_ vertex: ClipVertex) {
            if dot(reference, vertex.point - r1) > radius { return }
            manifold.append(
                usesPolygon
                    ? ManifoldPoint(localPoint: vertex.point, key: vertex.feature.swapped.key)
                    : ManifoldPoint(localPoint: xf.applyInverse(vertex.point), key: vertex.feature.key))
        }
        add(twice.0)
        add(twice.1)
    }
}

/// The contact of a free-standing line segment and a circle.
func collideEdgeAndCircle(
    _ manifold: inout Manifold, _ edge: Outline, _ xfA: Transform, _ circle: Outline, _ xfB: Transform
) {
    manifold.count = 0
    let center = circle.vertices[0]
    let q = xfA.applyInverse(xfB.apply(center))
    let a = edge.vertices[0]
    let b = edge.vertices[1]
    let e = b - a
    let u = dot(e, b - q)
    let v = dot(e, q - a)
    let radius = edge.radius + circle.radius

    func touchEnd(_ end: Vec2, index: UInt8) {
        let d = q - end
        if dot(d, d) > radius * radius { return }
        manifold.kind = .circles
        manifold.localNormal = .zero
        manifold.localPoint = end
        let feature = ContactFeature(
            indexA: index, indexB: 0, kindA: ContactFeature.vertex, kindB: ContactFeature.vertex)
        manifold.append(ManifoldPoint(localPoint: center, key: feature.key))
    }
    if v <= 0 { return touchEnd(a, index: 0) }
    if u <= 0 { return touchEnd(b, index: 1) }

    let p = (1 / dot(e, e)) * (u * a + v * b)
    let d = q - p
    if dot(d, d) > radius * radius { return }
    var normal = Vec2(-e.y, e.x)
    if dot(normal, q - a) < 0 { normal = -normal }
    normal.normalize()
    manifold.kind = .faceA
    manifold.localNormal = normal
    manifold.localPoint = a
    let feature = ContactFeature(
        indexA: 0, indexB: 0, kindA: ContactFeature.face, kindB: ContactFeature.vertex)
    manifold.append(ManifoldPoint(localPoint: center, key: feature.key))
}
