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
        guard let edges else { return links.isEmpty }
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

/// Checks members of one fixed leaf of a space where they lie in memory, without allocating.
///
/// This is what guards every environment against every client, so it looks at each element of each action: numbers
/// that are not in the space, NaN among them, are found here.
public struct LeafChecker: Sendable {
    private enum Rule {
        case float32(low: [Float], high: [Float])
        case floating(low: [Double], high: [Double])
        case integers(low: [Int64], high: [Int64])
        case unsigned(low: [UInt64], high: [UInt64])
    }

    private let rule: Rule
    /// How a member lies in memory.
    public let layout: TensorLayout

    /// A checker for a box, discrete, multi-discrete or multi-binary space; `nil` for the others.
    public init?(_ space: Space) {
        switch space {
        case .box(let box):
            layout = TensorLayout(dtype: box.dtype, shape: box.shape)
            switch box.dtype {
            case .float32: rule = .float32(low: box.low.elements(), high: box.high.elements())
            case .float16, .float64: rule = .floating(low: box.low.doubles, high: box.high.doubles)
            case .uint64: rule = .unsigned(low: box.low.elements(), high: box.high.elements())
            case .int64: rule = .integers(low: box.low.elements(), high: box.high.elements())
            default: rule = .integers(low: box.low.doubles.map { Int64($0) }, high: box.high.doubles.map { Int64($0) })
            }
        case .discrete(let count, let start):
            layout = TensorLayout(dtype: .int64, shape: [])
            rule = .integers(low: [Int64(start)], high: [Int64(start + count - 1)])
        case .multiDiscrete(let counts, let starts, let shape):
            layout = TensorLayout(dtype: .int64, shape: shape)
            rule = .integers(low: starts.map(Int64.init), high: zip(starts, counts).map { Int64($0 + $1 - 1) })
        case .multiBinary(let shape):
            layout = TensorLayout(dtype: .int8, shape: shape)
            let count = Tensor.count(of: shape)
            rule = .integers(low: [Int64](repeating: 0, count: count), high: [Int64](repeating: 1, count: count))
        default:
            return nil
        }
    }

    /// A checker that lets every finite number pass where the space is a box of floating-point numbers.
    ///
    /// Environments that clip their actions, as most of Gymnasium's do, take numbers outside the bounds; NaN and
    /// infinity would poison their state for good.
    public init?(finiteMembersOf space: Space) {
        if case .box(let box) = space, box.dtype.isFloatingPoint {
            // Of the widest finite numbers that the dtype holds; float16 is checked as double.
            let most = box.dtype == .float32 ? Double(Float.greatestFiniteMagnitude) : .greatestFiniteMagnitude
            self.init(layout: TensorLayout(dtype: box.dtype, shape: box.shape), low: -most, high: most)
        } else {
            self.init(space)
        }
    }

    /// A checker of floating-point numbers that all have the same bounds.
    private init(layout: TensorLayout, low: Double, high: Double) {
        self.layout = layout
        func repeated<T>(_ value: T) -> [T] { [T](repeating: value, count: layout.count) }
        rule =
            layout.dtype == .float32
            ? .float32(low: repeated(Float(low)), high: repeated(Float(high)))
            : .floating(low: repeated(low), high: repeated(high))
    }

    /// The index of the first element that is outside the space, or `nil` when the member is in it.
    ///
    /// - Parameter memory: one member, `layout.byteCount` bytes, of any alignment.
    public func firstViolation(in memory: UnsafeRawPointer) -> Int? {
        firstViolation(in: memory, rows: 0..<1)?.element
    }

    /// The first row that is not a member, and its first element that is outside the space; `nil` when all are members.
    ///
    /// - Parameter memory: members one after the other from row 0 on, of any alignment.
    public func firstViolation(in memory: UnsafeRawPointer, rows: Range<Int>) -> (row: Int, element: Int)? {
        switch rule {
        case .float32(let low, let high):
            for row in rows {
                let member = memory + row * layout.byteCount
                for index in low.indices {
                    let value = member.loadUnaligned(fromByteOffset: index * 4, as: Float.self)
                    // Written so that NaN fails.
                    if !(value >= low[index] && value <= high[index]) { return (row, index) }
                }
            }
        case .floating(let low, let high):
            for row in rows {
                for index in low.indices {
                    let value = layout.dtype.double(in: memory + row * layout.byteCount, at: index)
                    if !(value >= low[index] && value <= high[index]) { return (row, index) }
                }
            }
        case .integers(let low, let high):
            for row in rows {
                for index in low.indices {
                    let value = integer(in: memory + row * layout.byteCount, at: index)
                    if value < low[index] || value > high[index] { return (row, index) }
                }
            }
        case .unsigned(let low, let high):
            for row in rows {
                for index in low.indices {
                    let value = (memory + row * layout.byteCount).loadUnaligned(
                        fromByteOffset: index * 8, as: UInt64.self)
                    if value < low[index] || value > high[index] { return (row, index) }
                }
            }
        }
        return nil
    }

    private func integer(in memory: UnsafeRawPointer, at index: Int) -> Int64 {
        layout.dtype == .int64
            ? memory.loadUnaligned(fromByteOffset: index * 8, as: Int64.self)
            : Int64(layout.dtype.double(in: memory, at: index))
    }
}
