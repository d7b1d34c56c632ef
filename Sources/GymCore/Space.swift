/// The set that observations or actions come from, as Gymnasium defines its spaces.
///
/// A space is *fixed* when each of its members takes the same number of bytes: boxes, discrete and multi-binary spaces
/// and dictionaries and tuples of them. The rest (text, sequences, graphs, one-of) is *ragged*: their members travel
/// as ``Value``.
public indirect enum Space: Sendable, Hashable {
    /// Arrays of numbers between bounds.
    case box(Box)
    /// The integers from `start` to `start + count - 1`.
    case discrete(count: Int, start: Int = 0)
    /// An array of integers, element i from `starts[i]` to `starts[i] + counts[i] - 1`; both row-major of `shape`.
    case multiDiscrete(counts: [Int], starts: [Int], shape: [Int])
    /// An array of zeros and ones.
    case multiBinary(shape: [Int])
    /// Strings of `minLength` to `maxLength` characters from `characters`.
    case text(minLength: Int, maxLength: Int, characters: String)
    /// Named members, in the order given (Gymnasium sorts plain dictionaries by key).
    case dict([Entry])
    /// Members by position.
    case tuple([Space])
    /// Any number of members of one space; `stacked` when they travel as one array.
    case sequence(Space, stacked: Bool = false)
    /// A graph with members of `node` at its nodes and of `edge`, if any, at its edges.
    case graph(node: Space, edge: Space?)
    /// One member of any of the spaces, with the index of which.
    case oneOf([Space])

    /// A named member of a ``Space/dict(_:)``.
    public struct Entry: Sendable, Hashable {
        /// The member's key.
        public let key: String
        /// The member's space.
        public let space: Space

        /// A member of the given key and space.
        public init(_ key: String, _ space: Space) {
            self.key = key
            self.space = space
        }
    }
}

/// Arrays of numbers, each element between its own bounds; infinite bounds are allowed for floating-point types.
public struct Box: Sendable, Hashable {
    /// The smallest value of each element; of the box's own dtype and shape.
    public let low: Tensor
    /// The largest value of each element, inclusive; of the box's own dtype and shape.
    public let high: Tensor

    /// The element type.
    public var dtype: DType { low.dtype }
    /// The extent of each axis.
    public var shape: [Int] { low.shape }

    /// A box with bounds of its own for each element.
    ///
    /// - Precondition: `low` and `high` have the same dtype and shape.
    public init(low: Tensor, high: Tensor) {
        precondition(
            low.dtype == high.dtype && low.shape == high.shape,
            "the bounds of a box are of one dtype and shape: \(low.dtype.name)\(low.shape), \(high.dtype.name)\(high.shape)"
        )
        self.low = low
        self.high = high
    }

    /// A box whose elements all have the same bounds.
    public init<Element: TensorElement>(low: Element, high: Element, shape: [Int]) {
        let count = Tensor.count(of: shape)
        self.init(
            low: Tensor([Element](repeating: low, count: count), shape: shape),
            high: Tensor([Element](repeating: high, count: count), shape: shape))
    }

    /// A vector box with the given bounds.
    public init<Element: TensorElement>(low: [Element], high: [Element]) {
        self.init(low: Tensor(low), high: Tensor(high))
    }
}

extension Space {
    /// A discrete multi-dimensional space that starts at 0 everywhere.
    public static func multiDiscrete(_ counts: [Int]) -> Space {
        .multiDiscrete(counts: counts, starts: [Int](repeating: 0, count: counts.count), shape: [counts.count])
    }

    /// Gymnasium's name of the space's class: `Box`, `Discrete`, …
    public var typeName: String {
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
}

extension Space: CustomStringConvertible {
    /// As Gymnasium prints it: `Box(-2.0, 2.0, (1,), float32)`, `Discrete(2)`.
    public var description: String {
        switch self {
        case .box(let box): box.description
        case .discrete(let count, let start): start == 0 ? "Discrete(\(count))" : "Discrete(\(count), start=\(start))"
        case .multiDiscrete(let counts, let starts, let shape):
            "MultiDiscrete(\(numPyArray(counts, shape: shape))"
                + (starts.allSatisfy { $0 == 0 } ? ")" : ", start=\(numPyArray(starts, shape: shape)))")
        case .multiBinary(let shape):
            shape.count == 1 ? "MultiBinary(\(shape[0]))" : "MultiBinary(\(pythonTuple(shape)))"
        case .text(let minLength, let maxLength, let characters):
            "Text(\(minLength), \(maxLength), charset=\(String(characters.sorted())))"
        case .dict(let entries): "Dict(" + entries.map { "'\($0.key)': \($0.space)" }.joined(separator: ", ") + ")"
        case .tuple(let spaces): "Tuple(" + spaces.map(\.description).joined(separator: ", ") + ")"
        case .sequence(let space, let stacked): "Sequence(\(space), stack=\(stacked ? "True" : "False"))"
        case .graph(let node, let edge): "Graph(\(node), \(edge.map(\.description) ?? "None"))"
        case .oneOf(let spaces): "OneOf(" + spaces.map(\.description).joined(separator: ", ") + ")"
        }
    }
}

extension Box: CustomStringConvertible {
    /// As Gymnasium prints it; bounds that differ between elements are printed in full.
    public var description: String {
        func bound(_ tensor: Tensor) -> String {
            func number(_ value: Double) -> String {
                if value.isInfinite { return value < 0 ? "-inf" : "inf" }
                switch dtype {
                case .float32: return "\(Float(value))"
                case .float16: return "\(Float16(value))"
                case .float64: return "\(value)"
                case .bool: return value == 0 ? "False" : "True"
                default: return "\(Int(value))"
                }
            }
            // Not all whole numbers of 64 bits are doubles.
            let texts =
                switch dtype {
                case .int64: tensor.elements(as: Int64.self).map { "\($0)" }
                case .uint64: tensor.elements(as: UInt64.self).map { "\($0)" }
                default: tensor.doubles.map(number)
                }
            if let first = texts.first, texts.allSatisfy({ $0 == first }) { return first }
            return "[" + texts.joined(separator: " ") + "]"
        }
        return "Box(\(bound(low)), \(bound(high)), \(pythonTuple(shape)), \(dtype.name))"
    }
}

/// A shape as Python prints it: `(4,)`, `(210, 160, 3)`, `()`.
func pythonTuple(_ shape: [Int]) -> String {
    "(" + shape.map(String.init).joined(separator: ", ") + (shape.count == 1 ? ",)" : ")")
}

/// Whole numbers as NumPy prints an array of them: `[3 5]`, rows below each other and columns aligned.
private func numPyArray(_ values: [Int], shape: [Int]) -> String {
    let texts = values.map(String.init)
    let width = texts.map(\.count).max() ?? 0
    func rows(_ texts: ArraySlice<String>, _ shape: ArraySlice<Int>, indent: Int) -> String {
        guard let extent = shape.first, shape.count > 1, extent > 0 else {
            return "[" + texts.map { String(repeating: " ", count: width - $0.count) + $0 }.joined(separator: " ") + "]"
        }
        let size = texts.count / extent
        let separator = String(repeating: "\n", count: shape.count - 1) + String(repeating: " ", count: indent)
        return "["
            + (0..<extent).map { index in
                let start = texts.startIndex + index * size
                return rows(texts[start..<start + size], shape.dropFirst(), indent: indent + 1)
            }.joined(separator: separator) + "]"
    }
    return rows(texts[...], shape[...], indent: 1)
}
