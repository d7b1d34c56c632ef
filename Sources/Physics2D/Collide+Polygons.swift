/// The separation of polygon B from the side `side` of polygon A.
@inline(__always)
private func separation(_ a: Outline, _ xfA: Transform, side: Int, _ b: Outline, _ xfB: Transform) -> Float {
    let normal = xfA.rotation.apply(a.normals[side])
    let normalB = xfB.rotation.applyInverse(normal)
    var index = 0
    var least = Float.greatestFiniteMagnitude
    for i in 0..<b.count {
        let value = dot(b.vertices[i], normalB)
        if value < least {
            least = value
            index = i
        }
    }
    return dot(xfB.apply(b.vertices[index]) - xfA.apply(a.vertices[side]), normal)
}

/// The side of A from which B is farthest, found by climbing from the side that faces B's centroid.
private func greatestSeparation(
    _ a: Outline, _ xfA: Transform, _ b: Outline, _ xfB: Transform
) -> (side: Int, separation: Float) {
    let towards = xfA.rotation.applyInverse(xfB.apply(b.centroid) - xfA.apply(a.centroid))
    var side = 0
    var greatest = -Float.greatestFiniteMagnitude
    for i in 0..<a.count {
        let value = dot(a.normals[i], towards)
        if value > greatest {
            greatest = value
            side = i
        }
    }
    let here = separation(a, xfA, side: side, b, xfB)
    let previous = side > 0 ? side - 1 : a.count - 1
    let before = separation(a, xfA, side: previous, b, xfB)
    let next = side + 1 < a.count ? side + 1 : 0
    let after = separation(a, xfA, side: next, b, xfB)

    var best: (side: Int, separation: Float)
    let goesBack: Bool
    if before > here && before > after {
        goesBack = true
        best = (previous, before)
    } else if after > here {
        goesBack = false
        best = (next, after)
    } else {
        return (side, here)
    }
    while true {
        side =
            goesBack
            ? (best.side > 0 ? best.side - 1 : a.count - 1) : (best.side + 1 < a.count ? best.side + 1 : 0)
        let value = separation(a, xfA, side: side, b, xfB)
        if value <= best.separation { return best }
        best = (side, value)
    }
}

/// The contact of two convex polygons: the side of greatest separation is the reference face, the side of the other
/// polygon that faces it most is clipped against the reference face's ends.
func collidePolygons(_ manifold: inout Manifold, _ a: Outline, _ xfA: Transform, _ b: Outline, _ xfB: Transform) {
    manifold.count = 0
    let radius = a.radius + b.radius
    let bestA = greatestSeparation(a, xfA, b, xfB)
    if bestA.separation > radius { return }
    let bestB = greatestSeparation(b, xfB, a, xfA)
    if bestB.separation > radius { return }

    // The bias towards A keeps the reference face from flickering between two equal ones.
    let flipped = bestB.separation > 0.98 * bestA.separation + 0.001
    let side = flipped ? bestB.side : bestA.side
    let reference = flipped ? b : a
    let incident = flipped ? a : b
    let xf1 = flipped ? xfB : xfA
    let xf2 = flipped ? xfA : xfB
    manifold.kind = flipped ? .faceB : .faceA

    let normalIncident = xf2.rotation.applyInverse(xf1.rotation.apply(reference.normals[side]))
    var i1 = 0
    var least = Float.greatestFiniteMagnitude
    for i in 0..<incident.count {
        let value = dot(normalIncident, incident.normals[i])
        if value < least {
            least = value
            i1 = i
        }
    }
    let i2 = i1 + 1 < incident.count ? i1 + 1 : 0
    func end(_ i: Int) -> ClipVertex {
        ClipVertex(
            point: xf2.apply(incident.vertices[i]),
            feature: ContactFeature(
                indexA: UInt8(truncatingIfNeeded: side), indexB: UInt8(truncatingIfNeeded: i),
                kindA: ContactFeature.face, kindB: ContactFeature.vertex))
    }

    let iv2 = side + 1 < reference.count ? side + 1 : 0
    let local1 = reference.vertices[side]
    let local2 = reference.vertices[iv2]
    var localTangent = local2 - local1
    localTangent.normalize()
    let localNormal = cross(localTangent, 1)
    let planePoint = 0.5 * (local1 + local2)
    let tangent = xf1.rotation.apply(localTangent)
    let normal = cross(tangent, 1)
    let v1 = xf1.apply(local1)
    let v2 = xf1.apply(local2)
    let frontOffset = dot(normal, v1)
    let sideOffset1 = -dot(tangent, v1) + radius
    let sideOffset2 = dot(tangent, v2) + radius

    guard let once = clip(end(i1), end(i2), normal: -tangent, offset: sideOffset1, vertexA: side),
        let twice = clip(once.0, once.1, normal: tangent, offset: sideOffset2, vertexA: iv2)
    else { return }

    manifold.localNormal = localNormal
    manifold.localPoint = planePoint
    func add(_ vertex: ClipVertex) {
        if dot(normal, vertex.point) - frontOffset <= radius {
            let feature = flipped ? vertex.feature.swapped : vertex.feature
            manifold.append(ManifoldPoint(localPoint: xf2.applyInverse(vertex.point), key: feature.key))
        }
    }
    add(twice.0)
    add(twice.1)
}
