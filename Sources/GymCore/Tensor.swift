/// A dense array of numbers: element type, shape, and the elements' bytes, little-endian and row-major.
///
/// Tensors describe bounds, states and single values. The step path does not use them: there, environments read and
/// write memory that belongs to the batch (``ActionReader``, ``ObservationWriter``).
public struct Tensor: Sendable, Hashable {
    /// The element type.
    public let dtype: DType
    /// The extent of each axis, outermost first; empty for a scalar.
    public let shape: [Int]
    /// The elements, `shape` multiplied out times `dtype.size` bytes.
    public private(set) var bytes: [UInt8]

    /// The number of elements of a shape.
    @inlinable
    public static func count(of shape: [Int]) -> Int { shape.reduce(1, *) }

    /// The number of elements.
    public var count: Int { bytes.count / dtype.size }

    /// A tensor of the given bytes.
    ///
    /// - Precondition: `bytes` holds exactly the elements that `shape` asks for.
    public init(dtype: DType, shape: [Int], bytes: [UInt8]) {
        precondition(
            bytes.count == Tensor.count(of: shape) * dtype.size,
            "a \(dtype.name) tensor of shape \(shape) takes \(Tensor.count(of: shape) * dtype.size) bytes, not \(bytes.count)"
        )
        self.dtype = dtype
        self.shape = shape
        self.bytes = bytes
    }

    /// A tensor of zeros.
    public init(zeros shape: [Int], dtype: DType) {
        self.init(dtype: dtype, shape: shape, bytes: [UInt8](repeating: 0, count: Tensor.count(of: shape) * dtype.size))
    }

    /// A tensor of the given elements; a vector when no shape is given.
    ///
    /// - Precondition: `shape`, when given, has as many elements as `elements`.
    public init<Element: TensorElement>(_ elements: [Element], shape: [Int]? = nil) {
        self.init(
            dtype: Element.dtype, shape: shape ?? [elements.count],
            bytes: elements.withUnsafeBytes { Array($0) })
    }

    /// A tensor of truth values, one byte each.
    public init(_ flags: [Bool], shape: [Int]? = nil) {
        self.init(dtype: .bool, shape: shape ?? [flags.count], bytes: flags.map { $0 ? 1 : 0 })
    }

    /// A tensor without axes that holds one number.
    public init<Element: TensorElement>(scalar: Element) {
        self.init([scalar], shape: [])
    }

    /// The elements, as the Swift type they are stored as.
    ///
    /// - Precondition: `Element` is the type that ``dtype`` names (`UInt8` for booleans too).
    public func elements<Element: TensorElement>(as type: Element.Type = Element.self) -> [Element] {
        precondition(
            Element.dtype == dtype || (dtype == .bool && Element.dtype == .uint8),
            "a \(dtype.name) tensor cannot be read as \(Element.self)")
        return bytes.withUnsafeBytes { raw in
            [Element](unsafeUninitializedCapacity: count) { buffer, initialized in
                UnsafeMutableRawBufferPointer(buffer).copyMemory(
                    from: UnsafeRawBufferPointer(rebasing: raw[..<(count * dtype.size)]))
                initialized = count
            }
        }
    }

    /// The element at `index` in row-major order as a double; 64-bit integers beyond 2⁵³ lose their last bits.
    public func double(at index: Int) -> Double {
        precondition(index >= 0 && index < count, "index \(index) in a tensor of \(count) elements")
        return bytes.withUnsafeBytes { dtype.double(in: $0.baseAddress!, at: index) }
    }

    /// All elements as doubles, in row-major order.
    public var doubles: [Double] { (0..<count).map(double(at:)) }
}

extension DType {
    /// Reads element `index` of memory that holds elements of this type, as a double.
    public func double(in memory: UnsafeRawPointer, at index: Int) -> Double {
        func load<Element: TensorElement>(_: Element.Type) -> Element {
            memory.loadUnaligned(fromByteOffset: index * MemoryLayout<Element>.stride, as: Element.self)
        }
        return switch self {
        case .bool, .uint8: Double(load(UInt8.self))
        case .int8: Double(load(Int8.self))
        case .int16: Double(load(Int16.self))
        case .int32: Double(load(Int32.self))
        case .int64: Double(load(Int64.self))
        case .uint16: Double(load(UInt16.self))
        case .uint32: Double(load(UInt32.self))
        case .uint64: Double(load(UInt64.self))
        case .float16: Double(load(Float16.self))
        case .float32: Double(load(Float.self))
        case .float64: load(Double.self)
        }
    }
}
