/// A box with sides along the axes.
struct Box: BitwiseCopyable {
    var lower = Vec2.zero
    var upper = Vec2.zero

    @inline(__always)
    func union(_ other: Box) -> Box {
        Box(lower: lesser(lower, other.lower), upper: greater(upper, other.upper))
    }

    @inline(__always)
    func contains(_ other: Box) -> Bool {
        lower.x <= other.lower.x && lower.y <= other.lower.y && other.upper.x <= upper.x
            && other.upper.y <= upper.y
    }

    @inline(__always)
    func overlaps(_ other: Box) -> Bool {
        !(other.lower.x - upper.x > 0 || other.lower.y - upper.y > 0 || lower.x - other.upper.x > 0
            || lower.y - other.upper.y > 0)
    }

    @inline(__always)
    var perimeter: Float { 2 * ((upper.x - lower.x) + (upper.y - lower.y)) }
}

/// A balanced tree of boxes: finds what overlaps a box or a ray without looking at everything.
///
/// Leaves hold enlarged boxes, so that a body that moves a little does not move in the tree. Indices of leaves stay
/// the same as long as the leaf exists and grow in the order of insertion.
struct DynamicTree: ~Copyable {
    struct Node: BitwiseCopyable {
        var box = Box()
        /// The parent, or the next free node.
        var parent: Int32 = -1
        var left: Int32 = -1
        var right: Int32 = -1
        /// 0 for a leaf, -1 for a free node.
        var height: Int32 = 0
        /// What the leaf stands for.
        var value: Int32 = 0

        @inline(__always)
        var isLeaf: Bool { left == -1 }
    }

    var nodes = Pool<Node>(capacity: 64)
    private(set) var root: Int32 = -1
    private var firstFree: Int32 = -1

    mutating func removeAll() {
        nodes.truncate(to: 0)
        root = -1
        firstFree = -1
    }

    private mutating func allocate() -> Int32 {
        if firstFree == -1 { return Int32(nodes.append(Node())) }
        let index = firstFree
        firstFree = nodes.base[Int(index)].parent
        nodes.base[Int(index)] = Node()
        return index
    }

    private mutating func free(_ index: Int32) {
        nodes.base[Int(index)].parent = firstFree
        nodes.base[Int(index)].height = -1
        firstFree = index
    }

    /// Adds a leaf for `box`, enlarged, and returns its index.
    mutating func insert(_ box: Box, value: Int32) -> Int32 {
        let leaf = allocate()
        let margin = Vec2(Settings.boxExtension, Settings.boxExtension)
        nodes.base[Int(leaf)].box = Box(lower: box.lower - margin, upper: box.upper + margin)
        nodes.base[Int(leaf)].value = value
        insert(leaf: leaf)
        return leaf
    }

    /// Moves a leaf if `box` has left its enlarged box; says whether it did.
    mutating func move(_ leaf: Int32, to box: Box, displacement: Vec2) -> Bool {
        if nodes.base[Int(leaf)].box.contains(box) { return false }
        remove(leaf: leaf)
        let margin = Vec2(Settings.boxExtension, Settings.boxExtension)
        var enlarged = Box(lower: box.lower - margin, upper: box.upper + margin)
        let ahead = Settings.boxMultiplier * displacement
        if ahead.x < 0 { enlarged.lower.x += ahead.x } else { enlarged.upper.x += ahead.x }
        if ahead.y < 0 { enlarged.lower.y += ahead.y } else { enlarged.upper.y += ahead.y }
        nodes.base[Int(leaf)].box = enlarged
        insert(leaf: leaf)
        return true
    }

    /// Gives a leaf this box, as it is.
    mutating func place(_ leaf: Int32, at box: Box) {
        remove(leaf: leaf)
        nodes.base[Int(leaf)].box = box
        insert(leaf: leaf)
    }

    private mutating func insert(leaf: Int32) {
        if root == -1 {
            root = leaf
            nodes.base[Int(leaf)].parent = -1
            return
        }
        let box = nodes.base[Int(leaf)].box
        let sibling = bestSibling(for: box)

        // The sibling's place is taken by a new parent of both.
        let oldParent = nodes.base[Int(sibling)].parent
        let newParent = allocate()
        let nodes = nodes.base
        nodes[Int(newParent)].parent = oldParent
        nodes[Int(newParent)].box = box.union(nodes[Int(sibling)].box)
        nodes[Int(newParent)].height = nodes[Int(sibling)].height + 1
        nodes[Int(newParent)].left = sibling
        nodes[Int(newParent)].right = leaf
        nodes[Int(sibling)].parent = newParent
        nodes[Int(leaf)].parent = newParent
        replaceChild(of: oldParent, sibling, with: newParent)
        refit(from: newParent)
    }

    /// The node beside which a leaf with this box adds least to the perimeters.
    private func bestSibling(for box: Box) -> Int32 {
        let nodes = nodes.base
        var index = root
        while !nodes[Int(index)].isLeaf {
            let node = nodes[Int(index)]
            let combined = node.box.union(box).perimeter
            let here = 2 * combined
            let inherited = 2 * (combined - node.box.perimeter)
            func cost(_ child: Int32) -> Float {
                let childBox = nodes[Int(child)].box
                let grown = box.union(childBox).perimeter
                return nodes[Int(child)].isLeaf
                    ? grown + inherited : (grown - childBox.perimeter) + inherited
            }
            let left = cost(node.left)
            let right = cost(node.right)
            if here < left && here < right { break }
            index = left < right ? node.left : node.right
        }
        return index
    }

    private mutating func remove(leaf: Int32) {
        if leaf == root {
            root = -1
            return
        }
        let nodes = nodes.base
        let parent = nodes[Int(leaf)].parent
        let grandparent = nodes[Int(parent)].parent
        let sibling = nodes[Int(parent)].left == leaf ? nodes[Int(parent)].right : nodes[Int(parent)].left
        nodes[Int(sibling)].parent = grandparent
        replaceChild(of: grandparent, parent, with: sibling)
        free(parent)
        refit(from: grandparent)
    }

    private mutating func replaceChild(of parent: Int32, _ old: Int32, with new: Int32) {
        if parent == -1 {
            root = new
        } else if nodes.base[Int(parent)].left == old {
            nodes.base[Int(parent)].left = new
        } else {
            nodes.base[Int(parent)].right = new
        }
    }

    /// Rebalances and recomputes boxes and heights from a node up to the root.
    private mutating func refit(from start: Int32) {
        var index = start
        while index != -1 {
            index = balance(index)
            update(index)
            index = nodes.base[Int(index)].parent
        }
    }

    @inline(__always)
    private func update(_ index: Int32) {
        let nodes = nodes.base
        let left = nodes[Int(nodes[Int(index)].left)]
        let right = nodes[Int(nodes[Int(index)].right)]
        nodes[Int(index)].height = 1 + max(left.height, right.height)
        nodes[Int(index)].box = left.box.union(right.box)
    }

    /// Rotates the higher child up if the heights of both differ by more than one; returns the subtree's new root.
    private mutating func balance(_ a: Int32) -> Int32 {
        let node = nodes.base[Int(a)]
        if node.isLeaf || node.height < 2 { return a }
        let difference = nodes.base[Int(node.right)].height - nodes.base[Int(node.left)].height
        if difference > 1 { return rotateUp(node.right, over: a) }
        if difference < -1 { return rotateUp(node.left, over: a) }
        return a
    }

    private mutating func rotateUp(_ child: Int32, over a: Int32) -> Int32 {
        let nodes = nodes.base
        let first = nodes[Int(child)].left
        let second = nodes[Int(child)].right
        replaceChild(of: nodes[Int(a)].parent, a, with: child)
        nodes[Int(child)].parent = nodes[Int(a)].parent
        nodes[Int(child)].left = a
        nodes[Int(a)].parent = child

        let stays = nodes[Int(first)].height > nodes[Int(second)].height ? first : second
        let moves = stays == first ? second : first
        nodes[Int(child)].right = stays
        if nodes[Int(a)].left == child { nodes[Int(a)].left = moves } else { nodes[Int(a)].right = moves }
        nodes[Int(moves)].parent = a
        update(a)
        update(child)
        return child
    }

    /// Calls `body` for every leaf whose box overlaps `box`, with the leaf's index.
    @inline(__always)
    func forEachOverlap(_ box: Box, _ body: (Int32) -> Void) {
        if root == -1 { return }
        let nodes = nodes.base
        withUnsafeTemporaryAllocation(of: Int32.self, capacity: 256) { stack in
            stack[0] = root
            var count = 1
            while count > 0 {
                count -= 1
                let index = stack[count]
                if !nodes[Int(index)].box.overlaps(box) { continue }
                if nodes[Int(index)].isLeaf {
                    body(index)
                } else {
                    stack[count] = nodes[Int(index)].left
                    stack[count + 1] = nodes[Int(index)].right
                    count += 2
                }
            }
        }
    }

    /// Walks along the segment from `p1` to `p2`. `body` gets a leaf's value and the fraction of the segment that
    /// still matters, and returns the fraction to go on with.
    @inline(__always)
    func castRay(from p1: Vec2, to p2: Vec2, _ body: (Int32, Float) -> Float) {
        if root == -1 { return }
        let nodes = nodes.base
        var direction = p2 - p1
        direction.normalize()
        let v = cross(1, direction)
        let absV = Vec2(absolute(v.x), absolute(v.y))
        var fraction: Float = 1
        func segment(_ fraction: Float) -> Box {
            let end = p1 + fraction * (p2 - p1)
            return Box(lower: lesser(p1, end), upper: greater(p1, end))
        }
        var swept = segment(fraction)
        withUnsafeTemporaryAllocation(of: Int32.self, capacity: 256) { stack in
            stack[0] = root
            var count = 1
            while count > 0 {
                count -= 1
                let index = stack[count]
                let box = nodes[Int(index)].box
                if !box.overlaps(swept) { continue }
                // The distance of the box's centre from the line against the box's extent across it.
                let center = 0.5 * (box.lower + box.upper)
                let half = 0.5 * (box.upper - box.lower)
                if absolute(dot(v, p1 - center)) - dot(absV, half) > 0 { continue }
                if nodes[Int(index)].isLeaf {
                    let value = body(nodes[Int(index)].value, fraction)
                    if value < fraction {
                        fraction = value
                        swept = segment(fraction)
                    }
                } else {
                    stack[count] = nodes[Int(index)].left
                    stack[count + 1] = nodes[Int(index)].right
                    count += 2
                }
            }
        }
    }
}
