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
/// The gradient lies flat beside the parameters. After `backward` and before ``Adam/step(_:learningRate:maxNorm:)``
/// it is complete and not yet applied: that is the place to clip it, to look at it, or to sum it over several learners.
/// The gaps between arrays hold zeros in both, and stay zero.
public final class ParameterStore: @unchecked Sendable {
    /// The arrays, in the order they lie.
    public let views: [ParameterView]
    /// The floats that all arrays take, gaps included.
    public let count: Int
    /// The parameters.
    public let values: UnsafeMutablePointer<Float>
    /// The gradient of the loss by each parameter.
    public let gradient: UnsafeMutablePointer<Float>

    /// Memory for the given arrays, all zeros.
    public init(_ layout: ParameterLayout) {
        views = layout.views
        count = layout.count
        values = allocateFloats(2 * layout.count)
        gradient = values + layout.count
    }

    deinit {
        values.deallocate()
    }

    /// The elements of an array, row-major.
    public subscript(view: ParameterView) -> UnsafeMutableBufferPointer<Float> {
        UnsafeMutableBufferPointer(start: values + view.offset, count: view.count)
    }

    /// The gradient of an array, row-major.
    public func gradient(_ view: ParameterView) -> UnsafeMutableBufferPointer<Float> {
        UnsafeMutableBufferPointer(start: gradient + view.offset, count: view.count)
    }

    /// The squared Euclidean norm of the gradient.
    public func squaredGradientNorm() -> Double {
        vector_kernels_sum_of_squares(count, gradient)
    }

    /// Takes over the values of a store of the same layout.
    public func copy(from other: ParameterStore) {
        precondition(other.views == views, "parameters are copied between models of one layout")
        values.update(from: other.values, count: count)
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

    /// Adds a gradient that was computed from other rows.
    ///
    /// - Parameter range: which elements.
    public func addGradient(_ other: UnsafePointer<Float>, _ range: Range<Int>) {
        vector_kernels_add(range.count, other + range.lowerBound, gradient + range.lowerBound)
    }

    /// The squared Euclidean norm of a part of the gradient.
    public func squaredGradientNorm(_ range: Range<Int>) -> Double {
        vector_kernels_sum_of_squares(range.count, gradient + range.lowerBound)
    }

    /// Whether every value is a finite number.
    public var isFinite: Bool {
        (0..<count).allSatisfy { values[$0].isFinite }
    }
}

/// The sum of the squares of an array, in double precision.
public func sumOfSquares(_ values: UnsafePointer<Float>, count: Int) -> Double {
    vector_kernels_sum_of_squares(count, values)
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
