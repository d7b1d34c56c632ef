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
    public var leaves: [(space: Space, leaf: Leaf)] {
        var found: [(space: Space, leaf: Leaf)] = []
        collectLeaves(into: &found)
        return found
    }

    private func collectLeaves(into found: inout [(space: Space, leaf: Leaf)]) {
        switch self {
        case .box(let box): found.append((self, .tensor(TensorLayout(dtype: box.dtype, shape: box.shape))))
        case .discrete: found.append((self, .tensor(TensorLayout(dtype: .int64, shape: []))))
        case .multiDiscrete(_, _, let shape):
            found.append((self, .tensor(TensorLayout(dtype: .int64, shape: shape))))
        case .multiBinary(let shape): found.append((self, .tensor(TensorLayout(dtype: .int8, shape: shape))))
        case .text, .sequence, .graph, .oneOf: found.append((self, .ragged(self)))
        case .dict(let entries):
            for entry in entries { entry.space.collectLeaves(into: &found) }
        case .tuple(let spaces):
            for space in spaces { space.collectLeaves(into: &found) }
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

    /// Bytes of heap memory that the space takes.
    public var heapBytes: Int {
        // An array, or a case of an indirect enum, has its own allocation.
        let allocation = 48
        func array(_ bytes: Int) -> Int { bytes == 0 ? 0 : allocation + bytes }
        switch self {
        case .box(let box):
            return allocation + 2 * (array(box.low.bytes.count) + array(8 * box.shape.count))
        case .discrete: return allocation
        case .multiDiscrete(let counts, let starts, let shape):
            return allocation + array(8 * counts.count) + array(8 * starts.count) + array(8 * shape.count)
        case .multiBinary(let shape): return allocation + array(8 * shape.count)
        case .text(_, _, let characters): return allocation + array(characters.utf8.count)
        case .dict(let entries): return allocation + entries.reduce(allocation) { $0 + 24 + $1.space.heapBytes }
        case .tuple(let spaces), .oneOf(let spaces):
            return allocation + spaces.reduce(allocation) { $0 + 8 + $1.heapBytes }
        case .sequence(let space, _): return allocation + space.heapBytes
        case .graph(let node, let edge): return allocation + node.heapBytes + (edge?.heapBytes ?? 0)
        }
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
