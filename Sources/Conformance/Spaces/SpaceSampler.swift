/// Numbers that are the same in each run: splitmix64. Which they are matters to nobody.
struct Random: Sendable {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var bits = state
        bits = (bits ^ (bits >> 30)) &* 0xBF58_476D_1CE4_E5B9
        bits = (bits ^ (bits >> 27)) &* 0x94D0_49BB_1331_11EB
        return bits ^ (bits >> 31)
    }

    /// A whole number of the range.
    mutating func integer(in range: Range<Int>) -> Int {
        range.lowerBound &+ Int(truncatingIfNeeded: next() % UInt64(range.count))
    }

    /// A number from 0 up to, and without, 1.
    mutating func unit() -> Double { Double(next() >> 11) * 0x1p-53 }
}

/// Draws members of a space.
struct SpaceSampler: Sendable {
    private let space: Space
    private var random: Random

    init(_ space: Space, seed: UInt64) { (self.space, random) = (space, Random(seed: seed)) }

    /// The next member.
    mutating func sample() -> Member { space.sample(&random) }
}

extension Space {
    /// Some member, always the same.
    func sample() -> Member {
        var sampler = SpaceSampler(self, seed: 7)
        return sampler.sample()
    }

    fileprivate func sample(_ random: inout Random) -> Member {
        switch self {
        case .box(let box): return .tensor(box.sample(&random))
        case .discrete(let count, let start): return .integer(start + random.integer(in: 0..<count))
        case .multiDiscrete(let counts, let starts, let shape):
            let values = zip(counts, starts).map { Int64($1 + random.integer(in: 0..<$0)) }
            return .tensor(Tensor(values, shape: shape))
        case .multiBinary(let shape):
            let values = (0..<Tensor.count(of: shape)).map { _ in Int8(random.integer(in: 0..<2)) }
            return .tensor(Tensor(values, shape: shape))
        case .text(let least, let most, let characters):
            let alphabet = Array(characters.unicodeScalars)
            // Long ones would only make for long reports.
            let length = random.integer(in: least..<(min(most, least + 16) + 1))
            var text = String.UnicodeScalarView()
            for _ in 0..<length { text.append(alphabet[random.integer(in: 0..<alphabet.count)]) }
            return .text(String(text))
        case .dict(let entries): return .list(entries.map { $0.space.sample(&random) })
        case .tuple(let spaces): return .list(spaces.map { $0.sample(&random) })
        case .sequence(let space, _):
            return .list((0..<random.integer(in: 0..<5)).map { _ in space.sample(&random) })
        case .graph(let node, let edge):
            let count = random.integer(in: 1..<6)
            let nodes = Space.rows(of: node, count, &random)
            let edgeCount = edge == nil ? 0 : random.integer(in: 0..<5)
            guard let edge, edgeCount > 0 else { return .graph(nodes: nodes, edges: nil, edgeLinks: []) }
            let links = (0..<(2 * edgeCount)).map { _ in Int64(random.integer(in: 0..<count)) }
            return .graph(nodes: nodes, edges: Space.rows(of: edge, edgeCount, &random), edgeLinks: links)
        case .oneOf(let spaces):
            let index = random.integer(in: 0..<spaces.count)
            return .oneOf(index: index, spaces[index].sample(&random))
        }
    }

    /// Members side by side, along one more first axis.
    private static func rows(of space: Space, _ count: Int, _ random: inout Random) -> Tensor {
        let layout = space.leaves[0].layout ?? TensorLayout(dtype: .int64, shape: [])
        let bytes = (0..<count).flatMap { _ -> [UInt8] in
            if case .tensor(let tensor) = space.sample(&random) { tensor.bytes } else { [] }
        }
        return Tensor(dtype: layout.dtype, shape: [count] + layout.shape, bytes: bytes)
    }
}

extension Box {
    fileprivate func sample(_ random: inout Random) -> Tensor {
        func integers<E: Element & FixedWidthInteger>(_: E.Type) -> Tensor {
            let values = zip(low.elements(as: E.self), high.elements(as: E.self)).map { low, high -> E in
                // The distance of two numbers of 64 bits fits an unsigned one, but for one that is all of them.
                let distance = UInt64(truncatingIfNeeded: high) &- UInt64(truncatingIfNeeded: low)
                let drawn = distance == .max ? random.next() : random.next() % (distance + 1)
                return E(truncatingIfNeeded: UInt64(truncatingIfNeeded: low) &+ drawn)
            }
            return Tensor(dtype: dtype, shape: shape, bytes: values.withUnsafeBytes { Array($0) })
        }
        func reals<E: Element & BinaryFloatingPoint>(_: E.Type) -> Tensor {
            let values = zip(low.elements(as: E.self), high.elements(as: E.self)).map { low, high -> E in
                // Where there is no bound, somewhere near the other one, or near 0.
                let from = low.isFinite ? Double(low) : (high.isFinite ? Double(high) - 1 : -1)
                let to = high.isFinite ? Double(high) : from + 2
                return min(max(E(from + (to - from) * random.unit()), low), high)
            }
            return Tensor(values, shape: shape)
        }
        switch dtype {
        case .bool, .uint8: return integers(UInt8.self)
        case .int8: return integers(Int8.self)
        case .int16: return integers(Int16.self)
        case .int32: return integers(Int32.self)
        case .int64: return integers(Int64.self)
        case .uint16: return integers(UInt16.self)
        case .uint32: return integers(UInt32.self)
        case .uint64: return integers(UInt64.self)
        case .float16: return reals(Float16.self)
        case .float32: return reals(Float.self)
        case .float64: return reals(Double.self)
        }
    }
}
