import CVectorKernels

/// A named array among a model's parameters.
public struct ParameterView: Sendable, Hashable {
    /// As PyTorch would name it: `policy.0.weight`.
    public let name: String
    /// The extent of each axis. A weight is (inputs, outputs): the transpose of PyTorch's.
    public let shape: [Int]
    /// The place of the first element in the store.
    public let offset: Int
    /// The number of elements.
    public var count: Int { shape.reduce(1, *) }
}

/// Collects the arrays of a model before their memory is allocated.
public struct ParameterLayout {
    /// The arrays so far, in order.
    public private(set) var views: [ParameterView] = []
    /// The floats that all of them take, gaps included.
    public private(set) var count = 0

    /// No arrays yet.
    public init() {}

    /// Reserves an array; its place starts on a cache line, so that vectors never straddle one.
    public mutating func add(_ name: String, shape: [Int]) -> ParameterView {
        let view = ParameterView(name: name, shape: shape, offset: count)
        views.append(view)
        count += (view.count + 15) & ~15
        return view
    }
}

/// A model's parameters and their gradient: one allocation, arrays by name.
///
/// A gradient lies as the parameters do, flat, the gaps between arrays included; those hold zeros in both, and stay zero.
public final class ParameterStore: @unchecked Sendable {
    /// The arrays, in the order they lie.
    public let views: [ParameterView]
    /// The floats that all arrays take, gaps included.
    public let count: Int
    /// The parameters.
    public let parameters: Vector<Float>
    /// The gradient of the loss by each parameter, where only one thread computes it.
    public let gradients: Vector<Float>
    /// The parameters, for kernels.
    public var values: UnsafeMutablePointer<Float> { parameters.base }
    /// The gradient, for kernels.
    public var gradient: UnsafeMutablePointer<Float> { gradients.base }

    /// Memory for the given arrays, all zeros.
    public init(_ layout: ParameterLayout) {
        views = layout.views
        count = layout.count
        let both = Vector<Float>(count: 2 * layout.count)
        parameters = both[0..<layout.count]
        gradients = both[layout.count..<2 * layout.count]
    }

    /// Parameters of their own with the values of another's.
    public init(copying other: ParameterStore) {
        views = other.views
        count = other.count
        parameters = Vector(count: other.count)
        gradients = Vector(count: 0)
        parameters.copy(other.parameters)
    }

    /// The elements of an array, row-major.
    public subscript(view: ParameterView) -> UnsafeMutableBufferPointer<Float> {
        UnsafeMutableBufferPointer(start: values + view.offset, count: view.count)
    }

    /// The gradient of an array, row-major.
    public func gradient(_ view: ParameterView) -> UnsafeMutableBufferPointer<Float> {
        UnsafeMutableBufferPointer(start: gradient + view.offset, count: view.count)
    }

    /// The elements of an array, row-major.
    public func elements(_ view: ParameterView) -> Vector<Float> {
        parameters[view.offset..<view.offset + view.count]
    }

    /// Moves values towards another store's: value += rate · (other - value).
    ///
    /// - Parameter range: which values; by default all.
    public func polyak(towards other: ParameterStore, rate: Float, _ range: Range<Int>? = nil) {
        precondition(other.count == count, "parameters are averaged between models of one layout")
        let range = range ?? 0..<count
        vector_kernels_polyak(
            range.count, rate, other.values + range.lowerBound, values + range.lowerBound)
    }
}

/// Zeroed memory that starts on a cache line and may be read and written up to a whole number of cache lines.
public func allocateFloats(_ count: Int) -> UnsafeMutablePointer<Float> {
    let padded = max(16, (count + 15) & ~15)
    let memory = UnsafeMutableRawPointer.allocate(
        byteCount: padded * MemoryLayout<Float>.stride, alignment: 64
    )
    .bindMemory(to: Float.self, capacity: padded)
    memory.initialize(repeating: 0, count: padded)
    return memory
}
