extension Space {
    /// Whether `value` is a member, by Gymnasium's rules: exact shape and dtype, inside the bounds, no NaN.
    public func contains(_ value: Value) -> Bool {
        switch (self, value) {
        case (.box, .tensor(let tensor)), (.discrete, .tensor(let tensor)), (.multiDiscrete, .tensor(let tensor)),
            (.multiBinary, .tensor(let tensor)):
            guard let layout = tensorLayouts?.first, tensor.dtype == layout.dtype, tensor.shape == layout.shape else {
                return false
            }
            return tensor.bytes.withUnsafeBytes { LeafChecker(self)!.firstViolation(in: $0.baseAddress!) == nil }
        case (.text(let minLength, let maxLength, let characters), .text(let text)):
            // Code points, as Python counts them: a Swift character can be several.
            let letters = text.unicodeScalars
            return letters.count >= minLength && letters.count <= maxLength
                && letters.allSatisfy(characters.unicodeScalars.contains)
        case (.dict(let entries), .list(let values)):
            return entries.count == values.count && zip(entries, values).allSatisfy { $0.space.contains($1) }
        case (.tuple(let spaces), .list(let values)):
            return spaces.count == values.count && zip(spaces, values).allSatisfy { $0.contains($1) }
        case (.sequence(let space, _), .list(let values)):
            return values.allSatisfy(space.contains)
        case (.graph(let node, let edge), .graph(let nodes, let edges, let links)):
            return Space.containsRows(of: nodes, in: node)
                && Space.containsGraphEdges(edges, links: links, in: edge, nodeCount: nodes.shape.first ?? 0)
        case (.oneOf(let spaces), .oneOf(let index, let value)):
            return spaces.indices.contains(index) && spaces[index].contains(value)
        default:
            return false
        }
    }

    private static func containsGraphEdges(_ edges: Tensor?, links: [Int64], in space: Space?, nodeCount: Int) -> Bool {
        guard links.count % 2 == 0, links.allSatisfy({ $0 >= 0 && $0 < nodeCount }) else { return false }
        // Edges of no rows are none, with an edge space or without.
        guard let edges, edges.shape.first != 0 else { return links.isEmpty }
        guard let space else { return false }
        return (edges.shape.first ?? 0) == links.count / 2 && containsRows(of: edges, in: space)
    }

    /// Whether each row of `tensor` (its first axis taken off) is a member of the fixed space `space`.
    private static func containsRows(of tensor: Tensor, in space: Space) -> Bool {
        guard let layout = space.tensorLayouts?.first, let checker = LeafChecker(space),
            tensor.dtype == layout.dtype, tensor.shape.count == layout.shape.count + 1,
            Array(tensor.shape.dropFirst()) == layout.shape
        else { return false }
        return tensor.bytes.withUnsafeBytes { raw in
            (0..<tensor.shape[0]).allSatisfy { row in
                checker.firstViolation(in: raw.baseAddress! + row * layout.byteCount) == nil
            }
        }
    }
}
