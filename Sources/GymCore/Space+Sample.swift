extension Space {
    /// A random member, drawn as Gymnasium draws it.
    ///
    /// With `NumPyGenerator(seed: s)` this is what `space.seed(s); space.sample()` returns, draw for draw. Composite
    /// spaces seed a generator of its own for each part; to go on as further calls of `space.sample()` do, keep a
    /// ``SpaceSampler``.
    ///
    /// Where Gymnasium's own arithmetic overflows (integer boxes that reach the end of 64 bits) members are drawn
    /// correctly instead, and differ from it.
    public func sample(generator: inout NumPyGenerator) -> Value {
        var sampler = SpaceSampler(self, generator: generator)
        defer { generator = sampler.generator }
        return sampler.sample()
    }
}

/// Draws members of a space, one after the other, as a seeded space of Gymnasium does.
public struct SpaceSampler: Sendable {
    /// The space drawn from.
    public let space: Space
    fileprivate var generator: NumPyGenerator
    /// Of the parts of a composite space, in order.
    private var parts: [SpaceSampler] = []

    /// A sampler in the state that `space.seed(seed)` brings about.
    public init(_ space: Space, seed: UInt64) {
        self.init(space, generator: NumPyGenerator(seed: seed))
    }

    fileprivate init(_ space: Space, generator: NumPyGenerator) {
        self.space = space
        self.generator = generator
        switch space {
        case .box, .discrete, .multiDiscrete, .multiBinary, .text: break
        case .dict(let entries): seedParts(entries.map(\.space))
        case .tuple(let spaces): seedParts(spaces)
        // These draw from their own generator too, so it starts over once the parts have their seeds.
        case .sequence(let element, _): seedParts([element], startingOver: true)
        case .graph(let node, let edge): seedParts([node] + (edge.map { [$0] } ?? []), startingOver: true)
        case .oneOf(let spaces): seedParts(spaces, startingOver: true)
        }
    }

    private mutating func seedParts(_ spaces: [Space], startingOver: Bool = false) {
        let start = generator
        parts = spaces.map { SpaceSampler($0, seed: UInt64(generator.integer(in: 0..<Int(Int32.max)))) }
        if startingOver { generator = start }
    }

    /// The next member.
    public mutating func sample() -> Value {
        switch space {
        case .box(let box):
            return .tensor(box.sample(generator: &generator))
        case .discrete(let count, let start):
            return .tensor(Tensor(scalar: Int64(start + generator.integer(in: 0..<count))))
        case .multiDiscrete(let counts, let starts, let shape):
            let values = zip(counts, starts).map { count, start in
                Int64(generator.random() * Double(count)) + Int64(start)
            }
            return .tensor(Tensor(values, shape: shape))
        case .multiBinary(let shape):
            let bits = generator.bits(Tensor.count(of: shape))
            return .tensor(Tensor(dtype: .int8, shape: shape, bytes: bits))
        case .text(let minLength, let maxLength, let characters):
            return .text(sampleText(length: minLength...maxLength, of: characters))
        case .dict, .tuple:
            return .list(parts.indices.map { parts[$0].sample() })
        case .sequence:
            let count = generator.geometric(0.25)
            return .list((0..<count).map { _ in parts[0].sample() })
        case .graph(_, let edge):
            return sampleGraph(hasEdges: edge != nil)
        case .oneOf(let spaces):
            let index = generator.integer(in: 0..<spaces.count)
            return .oneOf(index: index, parts[index].sample())
        }
    }

    /// As `choice(characters, size=length, p=uniform)`: one double a character, looked up in the summed probabilities.
    private mutating func sampleText(length: ClosedRange<Int>, of characters: String) -> String {
        let length = generator.integer(in: length)
        var seen: Set<Unicode.Scalar> = []
        let alphabet = characters.unicodeScalars.filter { seen.insert($0).inserted }
        let letters = Array(alphabet)
        var sums: [Double] = []
        var sum = 0.0
        for _ in letters {
            sum += 1 / Double(letters.count)
            sums.append(sum)
        }
        var text = String.UnicodeScalarView()
        for _ in 0..<length {
            let draw = generator.random()
            let index = sums.firstIndex { $0 / sum > draw } ?? letters.count - 1
            text.append(letters[index])
        }
        return String(text)
    }

    /// Ten nodes, as Gymnasium draws unless told otherwise, and fewer than 90 edges between them.
    private mutating func sampleGraph(hasEdges: Bool) -> Value {
        let nodeCount = 10
        let edgeCount = generator.integer(in: 0..<nodeCount * (nodeCount - 1))
        let nodes = parts[0].sampleRows(nodeCount)
        guard hasEdges, edgeCount > 0 else { return .graph(nodes: nodes, edges: nil, edgeLinks: []) }
        let edges = parts[1].sampleRows(edgeCount)
        let links = (0..<2 * edgeCount).map { _ in Int64(generator.integer(in: 0..<nodeCount)) }
        return .graph(nodes: nodes, edges: edges, edgeLinks: links)
    }

    /// Members side by side. Gymnasium draws them from a copy of the generator and moves the generator itself on by
    /// one draw.
    private mutating func sampleRows(_ count: Int) -> Tensor {
        var copy = generator
        _ = generator.random()
        guard case .tensor(let rows) = space.batched(count).sample(generator: &copy) else {
            preconditionFailure("nodes and edges of a graph are members of boxes or discrete spaces, not of \(space)")
        }
        return rows
    }
}

extension Box {
    /// A random member: uniform between finite bounds, exponential from a single one, normal without any.
    ///
    /// All elements of one kind are drawn before the next kind: unbounded, bounded below, bounded above, bounded.
    fileprivate func sample(generator: inout NumPyGenerator) -> Tensor {
        let lows = low.doubles
        let highs = high.doubles
        var values = [Double](repeating: 0, count: lows.count)
        let isFloating = dtype.isFloatingPoint
        for index in values.indices where lows[index] == -.infinity && highs[index] == .infinity {
            values[index] = generator.normal(0, 1)
        }
        for index in values.indices where lows[index] != -.infinity && highs[index] == .infinity {
            values[index] = generator.standardExponential() + lows[index]
        }
        for index in values.indices where lows[index] == -.infinity && highs[index] != .infinity {
            values[index] = -generator.standardExponential() + highs[index]
        }
        for index in values.indices where lows[index] != -.infinity && highs[index] != .infinity {
            // Integers: the upper bound is a member, so the interval ends one above it and is rounded down.
            let draw = generator.uniform(lows[index], isFloating ? highs[index] : highs[index] + 1)
            values[index] = isFloating ? draw : draw.rounded(.down)
        }
        return Tensor(values: values, within: self)
    }
}

extension Tensor {
    /// The values in the box's dtype; whole numbers that rounding pushed out of their bounds are pulled back.
    fileprivate init(values: [Double], within box: Box) {
        func integers<Element: FixedWidthInteger & TensorElement>(_: Element.Type) -> Tensor {
            let lows: [Element] = box.low.elements()
            let highs: [Element] = box.high.elements()
            let elements = values.indices.map { index in
                let value = Element(exactly: values[index]) ?? (values[index] < 0 ? .min : .max)
                return Swift.min(Swift.max(value, lows[index]), highs[index])
            }
            let tensor = Tensor(elements, shape: box.shape)
            return Tensor(dtype: box.dtype, shape: box.shape, bytes: tensor.bytes)
        }
        switch box.dtype {
        case .float64: self = Tensor(values, shape: box.shape)
        case .float32: self = Tensor(values.map { Float($0) }, shape: box.shape)
        case .float16: self = Tensor(values.map { Float16($0) }, shape: box.shape)
        case .bool, .uint8: self = integers(UInt8.self)
        case .int8: self = integers(Int8.self)
        case .int16: self = integers(Int16.self)
        case .int32: self = integers(Int32.self)
        case .int64: self = integers(Int64.self)
        case .uint16: self = integers(UInt16.self)
        case .uint32: self = integers(UInt32.self)
        case .uint64: self = integers(UInt64.self)
        }
    }
}
