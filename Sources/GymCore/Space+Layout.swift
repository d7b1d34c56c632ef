/// One array of a fixed space's members: its element type and shape.
public struct TensorLayout: Sendable, Hashable {
    /// The element type.
    public let dtype: DType
    /// The shape of one member, without the batch axis.
    public let shape: [Int]
    /// The number of elements of one member.
    public let count: Int
    /// The bytes of one member.
    @inlinable public var byteCount: Int { count * dtype.size }

    /// A layout of the given element type and shape.
    public init(dtype: DType, shape: [Int]) {
        self.dtype = dtype
        self.shape = shape
        self.count = Tensor.count(of: shape)
    }
}

/// What a leaf of a space travels as.
public enum Leaf: Sendable, Hashable {
    /// The same number of bytes each time.
    case tensor(TensorLayout)
    /// As ``Value``: text, sequences, graphs, one-of.
    case ragged(Space)
}

extension Space {
    /// The space's leaves in order: dictionaries and tuples are taken apart, depth first; everything else is a leaf.
    public var leaves: [(path: String, space: Space, leaf: Leaf)] {
        var found: [(path: String, space: Space, leaf: Leaf)] = []
        collectLeaves(path: "", into: &found)
        return found
    }

    private func collectLeaves(path: String, into found: inout [(path: String, space: Space, leaf: Leaf)]) {
        switch self {
        case .box(let box): found.append((path, self, .tensor(TensorLayout(dtype: box.dtype, shape: box.shape))))
        case .discrete: found.append((path, self, .tensor(TensorLayout(dtype: .int64, shape: []))))
        case .multiDiscrete(_, _, let shape):
            found.append((path, self, .tensor(TensorLayout(dtype: .int64, shape: shape))))
        case .multiBinary(let shape): found.append((path, self, .tensor(TensorLayout(dtype: .int8, shape: shape))))
        case .text, .sequence, .graph, .oneOf: found.append((path, self, .ragged(self)))
        case .dict(let entries):
            for entry in entries { entry.space.collectLeaves(path: path + "/" + entry.key, into: &found) }
        case .tuple(let spaces):
            for (index, space) in spaces.enumerated() { space.collectLeaves(path: path + "/\(index)", into: &found) }
        }
    }

    /// The arrays that a member of the space is made of, or `nil` when a part of it is ragged.
    public var tensorLayouts: [TensorLayout]? {
        var layouts: [TensorLayout] = []
        for leaf in leaves {
            guard case .tensor(let layout) = leaf.leaf else { return nil }
            layouts.append(layout)
        }
        return layouts
    }

    /// The space of `count` members side by side, by Gymnasium's rules of batching (`batch_space`).
    public func batched(_ count: Int) -> Space {
        switch self {
        case .box(let box):
            func repeated(_ bound: Tensor) -> Tensor {
                Tensor(
                    dtype: bound.dtype, shape: [count] + bound.shape,
                    bytes: Array(repeatElement(bound.bytes, count: count).joined()))
            }
            return .box(Box(low: repeated(box.low), high: repeated(box.high)))
        case .discrete(let values, let start):
            return .multiDiscrete(
                counts: [Int](repeating: values, count: count), starts: [Int](repeating: start, count: count),
                shape: [count])
        case .multiDiscrete(let counts, let starts, let shape):
            let low = starts.map(Int64.init)
            let high = zip(starts, counts).map { Int64($0 + $1 - 1) }
            return .box(
                Box(
                    low: Tensor(Array(repeatElement(low, count: count).joined()), shape: [count] + shape),
                    high: Tensor(Array(repeatElement(high, count: count).joined()), shape: [count] + shape)))
        case .multiBinary(let shape):
            return .box(Box(low: Int8(0), high: Int8(1), shape: [count] + shape))
        case .dict(let entries): return .dict(entries.map { Entry($0.key, $0.space.batched(count)) })
        case .tuple(let spaces): return .tuple(spaces.map { $0.batched(count) })
        case .text, .sequence, .graph, .oneOf: return .tuple([Space](repeating: self, count: count))
        }
    }
}
