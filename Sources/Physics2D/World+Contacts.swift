extension World {
    /// Calls `visit` with each contact of a body, newest first.
    @inline(__always)
    func forEachContact(of body: Int, _ visit: (UnsafeMutablePointer<Contact>) -> Void) {
        var edge = bodies.base[body].firstContactEdge
        while edge != -1 {
            let contact = contacts.base + Int(edge >> 1)
            let next = edge & 1 == 0 ? contact.pointee.nextEdgeA : contact.pointee.nextEdgeB
            visit(contact)
            edge = next
        }
    }

    /// Makes contacts of the fixtures whose boxes have come to overlap.
    ///
    /// New contacts come first in every list and the solver goes through the lists in their order, so pairs are
    /// added in the order of their leaves.
    mutating func findNewContacts() {
        if moved.count == 0 { return }
        pairs.truncate(to: 0)
        for i in 0..<moved.count {
            let leaf = moved.base[i]
            let box = tree.nodes.base[Int(leaf)].box
            tree.forEachOverlap(box) { other in
                if other == leaf { return }
                pairs.append(UInt64(min(leaf, other)) << 32 | UInt64(max(leaf, other)))
            }
        }
        moved.truncate(to: 0)
        var sorted = UnsafeMutableBufferPointer(start: pairs.base, count: pairs.count)
        sorted.sort()
        var previous = UInt64.max
        for i in 0..<pairs.count {
            let pair = pairs.base[i]
            if pair == previous { continue }
            previous = pair
            addContact(
                tree.nodes.base[Int(pair >> 32)].value, tree.nodes.base[Int(pair & 0xFFFF_FFFF)].value)
        }
    }

    /// Makes a contact of two fixtures if they may collide and have none.
    private mutating func addContact(_ one: Int32, _ other: Int32) {
        let (bodyOne, bodyOther) = (fixtures.base[Int(one)].body, fixtures.base[Int(other)].body)
        if bodyOne == bodyOther { return }
        var exists = false
        forEachContact(of: Int(bodyOther)) { contact in
            let (a, b) = (contact.pointee.fixtureA, contact.pointee.fixtureB)
            if (a == one && b == other) || (a == other && b == one) { exists = true }
        }
        if exists || !mayCollide(Int(bodyOne), Int(bodyOther)) { return }
        if !fixtures.base[Int(one)].filter.collides(with: fixtures.base[Int(other)].filter) { return }

        // A is the one with faces: an edge before a polygon before a circle.
        var (fixtureA, fixtureB) = (one, other)
        let (kindOne, kindOther) = (fixtures.base[Int(one)].kind, fixtures.base[Int(other)].kind)
        switch (kindOne, kindOther) {
        case (.edge, .edge): return
        case (.polygon, .edge), (.circle, .edge), (.circle, .polygon): (fixtureA, fixtureB) = (other, one)
        default: break
        }
        _ = link(fixtureA: fixtureA, fixtureB: fixtureB)
    }

    /// Makes a contact and puts it first in the lists of the world and of both bodies.
    mutating func link(fixtureA: Int32, fixtureB: Int32) -> Int32 {
        let a = fixtures.base[Int(fixtureA)]
        let b = fixtures.base[Int(fixtureB)]
        let contact = Contact(
            fixtureA: fixtureA, fixtureB: fixtureB, bodyA: a.body, bodyB: b.body, next: firstContact,
            nextEdgeA: bodies.base[Int(a.body)].firstContactEdge,
            nextEdgeB: bodies.base[Int(b.body)].firstContactEdge, isSensor: a.isSensor || b.isSensor,
            friction: (a.friction * b.friction).squareRoot(),
            restitution: a.restitution > b.restitution ? a.restitution : b.restitution)
        let index: Int32
        if firstFreeContact == -1 {
            index = Int32(contacts.append(contact))
        } else {
            index = firstFreeContact
            firstFreeContact = contacts.base[Int(index)].next
            contacts.base[Int(index)] = contact
        }
        if firstContact != -1 { contacts.base[Int(firstContact)].previous = index }
        firstContact = index
        setPreviousEdge(of: contact.nextEdgeA, to: 2 * index)
        bodies.base[Int(a.body)].firstContactEdge = 2 * index
        setPreviousEdge(of: contact.nextEdgeB, to: 2 * index + 1)
        bodies.base[Int(b.body)].firstContactEdge = 2 * index + 1
        return index
    }

    private func setPreviousEdge(of edge: Int32, to previous: Int32) {
        if edge == -1 { return }
        let contact = contacts.base + Int(edge >> 1)
        if edge & 1 == 0 { contact.pointee.previousEdgeA = previous } else { contact.pointee.previousEdgeB = previous }
    }

    private func setNextEdge(of edge: Int32, to next: Int32) {
        let contact = contacts.base + Int(edge >> 1)
        if edge & 1 == 0 { contact.pointee.nextEdgeA = next } else { contact.pointee.nextEdgeB = next }
    }

    /// Whether two bodies may collide: one moves, and no joint forbids it.
    private func mayCollide(_ one: Int, _ other: Int) -> Bool {
        let bodies = bodies.base
        if bodies[one].kind != .dynamic && bodies[other].kind != .dynamic { return false }
        var edge = bodies[other].firstJointEdge
        while edge != -1 {
            let joint = joints.base[Int(edge >> 1)]
            let isSideA = edge & 1 == 0
            if (isSideA ? joint.bodyB : joint.bodyA) == Int32(one) && !joint.collidesConnected { return false }
            edge = isSideA ? joint.nextEdgeA : joint.nextEdgeB
        }
        return true
    }

    private mutating func removeContact(_ index: Int32) {
        let contact = contacts.base[Int(index)]
        if contact.isTouching { report(contact, began: false) }
        if contact.previous != -1 { contacts.base[Int(contact.previous)].next = contact.next }
        if contact.next != -1 { contacts.base[Int(contact.next)].previous = contact.previous }
        if firstContact == index { firstContact = contact.next }

        if contact.previousEdgeA != -1 {
            setNextEdge(of: contact.previousEdgeA, to: contact.nextEdgeA)
        } else {
            bodies.base[Int(contact.bodyA)].firstContactEdge = contact.nextEdgeA
        }
        setPreviousEdge(of: contact.nextEdgeA, to: contact.previousEdgeA)
        if contact.previousEdgeB != -1 {
            setNextEdge(of: contact.previousEdgeB, to: contact.nextEdgeB)
        } else {
            bodies.base[Int(contact.bodyB)].firstContactEdge = contact.nextEdgeB
        }
        setPreviousEdge(of: contact.nextEdgeB, to: contact.previousEdgeB)

        if contact.manifold.count > 0 && !contact.isSensor {
            bodies.base[Int(contact.bodyA)].wake()
            bodies.base[Int(contact.bodyB)].wake()
        }
        contacts.base[Int(index)].next = firstFreeContact
        firstFreeContact = index
    }

    /// Recomputes where shapes touch, and removes contacts of fixtures that have parted.
    mutating func updateContacts() {
        var index = firstContact
        while index != -1 {
            let contact = contacts.base + Int(index)
            let next = contact.pointee.next
            let (bodyA, bodyB) = (Int(contact.pointee.bodyA), Int(contact.pointee.bodyB))
            let (fixtureA, fixtureB) = (
                fixtures.base + Int(contact.pointee.fixtureA), fixtures.base + Int(contact.pointee.fixtureB)
            )
            if contact.pointee.needsFiltering {
                if !mayCollide(bodyA, bodyB)
                    || !fixtureA.pointee.filter.collides(with: fixtureB.pointee.filter)
                {
                    removeContact(index)
                    index = next
                    continue
                }
                contact.pointee.needsFiltering = false
            }
            if bodies.base[bodyA].isActive || bodies.base[bodyB].isActive {
                let nodes = tree.nodes.base
                if nodes[Int(fixtureA.pointee.proxy)].box.overlaps(nodes[Int(fixtureB.pointee.proxy)].box) {
                    update(index)
                } else {
                    removeContact(index)
                }
            }
            index = next
        }
    }

    /// Recomputes one contact's manifold, keeps the impulses of points that persist, and reports begin and end.
    mutating func update(_ index: Int32) {
        let contact = contacts.base + Int(index)
        let old = contact.pointee.manifold
        contact.pointee.isEnabled = true
        let (a, b) = (Int(contact.pointee.bodyA), Int(contact.pointee.bodyB))
        let shapeA = outline(Int(contact.pointee.fixtureA))
        let shapeB = outline(Int(contact.pointee.fixtureB))
        collide(
            &contact.pointee.manifold, shapeA, bodies.base[a].transform, shapeB, bodies.base[b].transform)
        let manifold = contact.pointee.manifold
        if manifold.count > 0 {
            keepImpulses(&contact.pointee.manifold.first, of: old)
            if manifold.count > 1 { keepImpulses(&contact.pointee.manifold.second, of: old) }
        }
        let isTouching = manifold.count > 0
        let wasTouching = contact.pointee.isTouching
        contact.pointee.isTouching = isTouching
        if isTouching != wasTouching {
            if !contact.pointee.isSensor {
                bodies.base[a].wake()
                bodies.base[b].wake()
            }
            report(contact.pointee, began: isTouching)
        }
        // A sensor is not solid: its points are forgotten.
        if contact.pointee.isSensor { contact.pointee.manifold.count = 0 }
    }

    private func keepImpulses(_ point: inout ManifoldPoint, of old: Manifold) {
        if old.count > 0 && old.first.key == point.key {
            point.normalImpulse = old.first.normalImpulse
            point.tangentImpulse = old.first.tangentImpulse
        } else if old.count > 1 && old.second.key == point.key {
            point.normalImpulse = old.second.normalImpulse
            point.tangentImpulse = old.second.tangentImpulse
        }
    }

    private mutating func report(_ contact: Contact, began: Bool) {
        events.append(ContactEvent(began: began, bodyA: Int(contact.bodyA), bodyB: Int(contact.bodyB)))
    }
}

/// Where two shapes touch, by the routine for their kinds. The first one has the faces.
@inline(__always)
private func collide(_ manifold: inout Manifold, _ a: Outline, _ xfA: Transform, _ b: Outline, _ xfB: Transform) {
    switch (a.kind, b.kind) {
    case (.edge, .polygon): collideEdgeAndPolygon(&manifold, a, xfA, b, xfB)
    case (.polygon, .polygon): collidePolygons(&manifold, a, xfA, b, xfB)
    case (.edge, .circle): collideEdgeAndCircle(&manifold, a, xfA, b, xfB)
    case (.polygon, .circle): collidePolygonAndCircle(&manifold, a, xfA, b, xfB)
    default: collideCircles(&manifold, a, xfA, b, xfB)
    }
}
