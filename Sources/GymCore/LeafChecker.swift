/// Checks members of one fixed leaf of a space where they lie in memory, without allocating.
///
/// This is what guards every environment against every client, so it looks at each element of each action: numbers
/// that are not in the space, NaN among them, are found here.
public struct LeafChecker: Sendable {
    /// How a member lies in memory.
    public let layout: TensorLayout
    /// The bounds of each element; this checker owns what they point to.
    var bounds: ElementBounds { memory.bounds(layout) }
    private let memory: BoundsMemory

    /// A checker for a box, discrete, multi-discrete or multi-binary space; `nil` for the others.
    public init?(_ space: Space) {
        let layout: TensorLayout
        let memory: BoundsMemory
        switch space {
        case .box(let box):
            layout = TensorLayout(dtype: box.dtype, shape: box.shape)
            switch box.dtype {
            case .float32: memory = BoundsMemory(box.low.elements(as: Float.self), box.high.elements())
            case .float16, .float64: memory = BoundsMemory(box.low.doubles, box.high.doubles)
            case .uint64: memory = BoundsMemory(box.low.elements(as: UInt64.self), box.high.elements())
            case .int64: memory = BoundsMemory(box.low.elements(as: Int64.self), box.high.elements())
            default: memory = BoundsMemory(box.low.doubles.map { Int64($0) }, box.high.doubles.map { Int64($0) })
            }
        case .discrete(let count, let start):
            layout = TensorLayout(dtype: .int64, shape: [])
            memory = BoundsMemory([Int64(start)], [Int64(start + count - 1)])
        case .multiDiscrete(let counts, let starts, let shape):
            layout = TensorLayout(dtype: .int64, shape: shape)
            memory = BoundsMemory(starts.map(Int64.init), zip(starts, counts).map { Int64($0 + $1 - 1) })
        case .multiBinary(let shape):
            layout = TensorLayout(dtype: .int8, shape: shape)
            let count = Tensor.count(of: shape)
            memory = BoundsMemory([Int64](repeating: 0, count: count), [Int64](repeating: 1, count: count))
        default:
            return nil
        }
        self.init(layout: layout, memory: memory)
    }

    /// A checker that lets every finite number pass where the space is a box of floating-point numbers.
    ///
    /// Environments that clip their actions, as most of Gymnasium's do, take numbers outside the bounds; NaN and
    /// infinity would poison their state for good.
    public init?(finiteMembersOf space: Space) {
        guard case .box(let box) = space, box.dtype.isFloatingPoint else {
            self.init(space)
            return
        }
        func numbers<Number: BinaryFloatingPoint & BitwiseCopyable>(upTo most: Number) -> BoundsMemory {
            let count = Tensor.count(of: box.shape)
            return BoundsMemory([Number](repeating: -most, count: count), [Number](repeating: most, count: count))
        }
        self.init(
            layout: TensorLayout(dtype: box.dtype, shape: box.shape),
            memory: box.dtype == .float32
                ? numbers(upTo: Float.greatestFiniteMagnitude) : numbers(upTo: Double.greatestFiniteMagnitude))
    }

    private init(layout: TensorLayout, memory: BoundsMemory) {
        self.layout = layout
        self.memory = memory
    }

    /// The index of the first element that is outside the space, or `nil` when the member is in it.
    ///
    /// - Parameter memory: one member, `layout.byteCount` bytes, of any alignment.
    public func firstViolation(in memory: UnsafeRawPointer) -> Int? { bounds.firstViolation(in: memory) }

    /// The first row that is not a member, and its first element that is outside the space; `nil` when all are members.
    ///
    /// - Parameter memory: members one after the other from row 0 on, of any alignment.
    public func firstViolation(in memory: UnsafeRawPointer, rows: Range<Int>) -> (row: Int, element: Int)? {
        let size = layout.byteCount
        let bounds = bounds
        for row in rows {
            if let element = bounds.firstViolation(in: memory + row * size) { return (row, element) }
        }
        return nil
    }
}

/// The memory that the bounds of a leaf lie in: numbers of the type that ``ElementBounds`` asks for.
private struct BoundsMemory: Sendable {
    private let low: ConstantMemory<UInt8>
    private let high: ConstantMemory<UInt8>

    init<Number: BitwiseCopyable>(_ low: [Number], _ high: [Number]) {
        self.low = ConstantMemory(low.withUnsafeBytes { Array($0) })
        self.high = ConstantMemory(high.withUnsafeBytes { Array($0) })
    }

    func bounds(_ layout: TensorLayout) -> ElementBounds {
        ElementBounds(
            dtype: layout.dtype, count: layout.count, low: UnsafeRawPointer(low.elements.baseAddress!),
            high: UnsafeRawPointer(high.elements.baseAddress!))
    }
}

/// The smallest and the largest value of each element of a leaf.
///
/// Plain pointers, because counting references would cost more than the comparisons: whoever holds the leaf's
/// ``LeafChecker`` may use them.
struct ElementBounds: BitwiseCopyable {
    /// The type of the elements. Bounds are of the same type for `float32`, `int64` and `uint64`; they are doubles for
    /// other floating-point types, and 64-bit integers for the rest.
    let dtype: DType
    let count: Int
    let low: UnsafeRawPointer
    let high: UnsafeRawPointer

    /// As ``LeafChecker/firstViolation(in:)``.
    func firstViolation(in memory: UnsafeRawPointer) -> Int? {
        switch dtype {
        case .float32: firstViolation { memory.loadUnaligned(fromByteOffset: $0 * 4, as: Float.self) }
        case .float16, .float64: firstViolation { dtype.double(in: memory, at: $0) }
        case .uint64: firstViolation { memory.loadUnaligned(fromByteOffset: $0 * 8, as: UInt64.self) }
        case .int64: firstViolation { memory.loadUnaligned(fromByteOffset: $0 * 8, as: Int64.self) }
        case .bool, .uint8: firstViolation { Int64(memory.load(fromByteOffset: $0, as: UInt8.self)) }
        default: firstViolation { Int64(dtype.double(in: memory, at: $0)) }
        }
    }

    @inline(__always)
    private func firstViolation<Number: Comparable & BitwiseCopyable>(_ element: (Int) -> Number) -> Int? {
        let low = low.assumingMemoryBound(to: Number.self)
        let high = high.assumingMemoryBound(to: Number.self)
        for index in 0..<count {
            let value = element(index)
            // Written so that NaN fails.
            if !(value >= low[index] && value <= high[index]) { return index }
        }
        return nil
    }
}
