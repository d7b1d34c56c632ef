/// A space of gym.v1, and what T2 to T6 say of it. The suite's own: it shares nothing with the servers that it judges.
indirect enum Space: Sendable, Hashable {
    case box(Box)
    case discrete(count: Int, start: Int)
    case multiDiscrete(counts: [Int], starts: [Int], shape: [Int])
    case multiBinary(shape: [Int])
    case text(minLength: Int, maxLength: Int, characters: String)
    case dict([Entry])
    case tuple([Space])
    case sequence(Space, stacked: Bool)
    case graph(node: Space, edge: Space?)
    case oneOf([Space])

    struct Entry: Sendable, Hashable {
        let key: String
        let space: Space

        init(_ key: String, _ space: Space) { (self.key, self.space) = (key, space) }
    }
}

/// Bounds, inclusive, of one dtype and shape.
struct Box: Sendable, Hashable {
    let low: Tensor
    let high: Tensor

    var dtype: DType { low.dtype }
    var shape: [Int] { low.shape }
}

/// A member of a space, as a tree (T3).
indirect enum Member: Sendable, Hashable {
    case tensor(Tensor)
    case text(String)
    case list([Member])
    case graph(nodes: Tensor, edges: Tensor?, edgeLinks: [Int64])
    case oneOf(index: Int, Member)

    /// A scalar of a discrete space.
    static func integer(_ value: Int) -> Member { .tensor(Tensor(scalar: Int64(value))) }
}

/// What a fixed leaf is: dtype, and shape without the rows.
struct TensorLayout: Sendable, Hashable {
    let dtype: DType
    let shape: [Int]

    var count: Int { Tensor.count(of: shape) }
    var byteCount: Int { count * dtype.size }
}

// MARK: Leaves (T2, T4)

extension Space {
    /// The leaves in order; the layout is `nil` where one is ragged.
    var leaves: [(space: Space, layout: TensorLayout?)] {
        switch self {
        case .box(let box): [(self, TensorLayout(dtype: box.dtype, shape: box.shape))]
        case .discrete: [(self, TensorLayout(dtype: .int64, shape: []))]
        case .multiDiscrete(_, _, let shape): [(self, TensorLayout(dtype: .int64, shape: shape))]
        case .multiBinary(let shape): [(self, TensorLayout(dtype: .int8, shape: shape))]
        case .text, .sequence, .graph, .oneOf: [(self, nil)]
        case .dict(let entries): entries.flatMap(\.space.leaves)
        case .tuple(let spaces): spaces.flatMap(\.leaves)
        }
    }

    /// The leaves' layouts; `nil` where one of them is ragged.
    var tensorLayouts: [TensorLayout]? {
        let layouts = leaves.compactMap(\.layout)
        return layouts.count == leaves.count ? layouts : nil
    }

    /// Whether members can lie in shared memory.
    var isFixed: Bool { tensorLayouts != nil }

    /// The leaves of a member.
    func leaves(of member: Member) -> [Member] {
        switch (self, member) {
        case (.dict(let entries), .list(let values)): zip(entries, values).flatMap { $0.space.leaves(of: $1) }
        case (.tuple(let spaces), .list(let values)): zip(spaces, values).flatMap { $0.leaves(of: $1) }
        default: [member]
        }
    }
}

// MARK: Membership (T5)

extension Space {
    /// Whether it is a member.
    func contains(_ member: Member) -> Bool {
        switch (self, member) {
        case (.box(let box), .tensor(let tensor)): return tensor.isInside(box.low, box.high)
        case (.discrete(let count, let start), .tensor(let tensor)):
            return tensor.dtype == .int64 && tensor.shape.isEmpty
                && Space.isInside(tensor.elements(), [count], [start])
        case (.multiDiscrete(let counts, let starts, let shape), .tensor(let tensor)):
            return tensor.dtype == .int64 && tensor.shape == shape
                && Space.isInside(tensor.elements(), counts, starts)
        case (.multiBinary(let shape), .tensor(let tensor)):
            return tensor.dtype == .int8 && tensor.shape == shape && tensor.bytes.allSatisfy { $0 <= 1 }
        case (.text(let least, let most, let characters), .text(let text)):
            let known = Set(characters.unicodeScalars)
            return (least...most).contains(text.unicodeScalars.count) && text.unicodeScalars.allSatisfy(known.contains)
        case (.dict(let entries), .list(let values)):
            return entries.count == values.count && zip(entries, values).allSatisfy { $0.space.contains($1) }
        case (.tuple(let spaces), .list(let values)):
            return spaces.count == values.count && zip(spaces, values).allSatisfy { $0.contains($1) }
        case (.sequence(let space, _), .list(let values)): return values.allSatisfy(space.contains)
        case (.graph(let node, let edge), .graph(let nodes, let edges, let links)):
            guard nodes.shape.count >= 1, nodes.rows.allSatisfy({ node.contains(.tensor($0)) }) else { return false }
            guard let edge else { return (edges?.shape.first ?? 0) == 0 && links.isEmpty }
            guard let edges else { return links.isEmpty }
            return edges.shape.first == links.count / 2 && links.count % 2 == 0
                && edges.rows.allSatisfy { edge.contains(.tensor($0)) }
                && links.allSatisfy { $0 >= 0 && $0 < nodes.shape[0] }
        case (.oneOf(let spaces), .oneOf(let index, let value)):
            return spaces.indices.contains(index) && spaces[index].contains(value)
        default: return false
        }
    }

    private static func isInside(_ values: [Int64], _ counts: [Int], _ starts: [Int]) -> Bool {
        zip(values, zip(counts, starts)).allSatisfy { $0 >= $1.1 && $0 - Int64($1.1) < $1.0 }
    }

    /// Whether leaves are those of a member.
    func contains(leaves members: [Member]) -> Bool {
        let spaces = leaves.map(\.space)
        return spaces.count == members.count && zip(spaces, members).allSatisfy { $0.contains($1) }
    }
}

// MARK: Batched spaces (T6)

extension Space {
    /// The space of `count` members side by side.
    func batched(_ count: Int) -> Space {
        func repeated(_ tensor: Tensor) -> Tensor {
            Tensor(
                dtype: tensor.dtype, shape: [count] + tensor.shape,
                bytes: [[UInt8]](repeating: tensor.bytes, count: count).flatMap { $0 })
        }
        func repeated(_ numbers: [Int]) -> [Int] { [[Int]](repeating: numbers, count: count).flatMap { $0 } }
        switch self {
        case .box(let box): return .box(Box(low: repeated(box.low), high: repeated(box.high)))
        case .discrete(let n, let start):
            return .multiDiscrete(counts: repeated([n]), starts: repeated([start]), shape: [count])
        case .multiDiscrete(let counts, let starts, let shape):
            let lowest = starts.map(Int64.init)
            let highest = zip(starts, counts).map { Int64($0 + ($1 - 1)) }
            return .box(
                Box(low: repeated(Tensor(lowest, shape: shape)), high: repeated(Tensor(highest, shape: shape))))
        case .multiBinary(let shape):
            let elements = Tensor.count(of: shape)
            func bound(_ value: Int8) -> Tensor { Tensor([Int8](repeating: value, count: elements), shape: shape) }
            return .box(Box(low: repeated(bound(0)), high: repeated(bound(1))))
        case .dict(let entries): return .dict(entries.map { Entry($0.key, $0.space.batched(count)) })
        case .tuple(let spaces): return .tuple(spaces.map { $0.batched(count) })
        case .text, .sequence, .graph, .oneOf: return .tuple([Space](repeating: self, count: count))
        }
    }
}

// MARK: For people

extension Space: CustomStringConvertible, Readable {
    /// The name of its kind: `MultiDiscrete`.
    var typeName: String {
        switch self {
        case .box: "Box"
        case .discrete: "Discrete"
        case .multiDiscrete: "MultiDiscrete"
        case .multiBinary: "MultiBinary"
        case .text: "Text"
        case .dict: "Dict"
        case .tuple: "Tuple"
        case .sequence: "Sequence"
        case .graph: "Graph"
        case .oneOf: "OneOf"
        }
    }

    var description: String {
        switch self {
        case .box(let box):
            "Box(\(Space.bound(box.low)), \(Space.bound(box.high)), \(box.shape), \(box.dtype.name))"
        case .discrete(let count, let start): "Discrete(\(count)\(start == 0 ? "" : ", start=\(start)"))"
        case .multiDiscrete(let counts, let starts, let shape):
            "MultiDiscrete(\(counts)" + (starts.allSatisfy { $0 == 0 } ? "" : ", start=\(starts)")
                + (shape.count == 1 ? ")" : ", shape=\(shape))")
        case .multiBinary(let shape): "MultiBinary(\(shape))"
        case .text(let least, let most, let characters): "Text(\(least), \(most), charset=\"\(characters)\")"
        case .dict(let entries): "Dict(" + entries.map { "'\($0.key)': \($0.space)" }.joined(separator: ", ") + ")"
        case .tuple(let spaces): "Tuple(" + spaces.map(\.description).joined(separator: ", ") + ")"
        case .sequence(let space, let isStacked): "Sequence(\(space)\(isStacked ? ", stacked" : ""))"
        case .graph(let node, let edge): "Graph(\(node), \(edge?.description ?? "no edge space"))"
        case .oneOf(let spaces): "OneOf(" + spaces.map(\.description).joined(separator: ", ") + ")"
        }
    }

    var readable: String { description }

    private static func bound(_ tensor: Tensor) -> String {
        let values = tensor.doubles
        func text(_ value: Double) -> String {
            guard !tensor.dtype.isFloatingPoint, let whole = Int(exactly: value) else { return "\(value)" }
            return "\(whole)"
        }
        if let first = values.first, values.allSatisfy({ $0 == first }) { return text(first) }
        return "[" + values.prefix(16).map(text).joined(separator: " ") + (values.count > 16 ? " …]" : "]")
    }
}
