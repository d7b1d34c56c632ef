/// A tensor as T1 has it.
struct Tensor: Sendable, Hashable {
    let dtype: DType
    /// Extents, outermost first; empty for a scalar.
    let shape: [Int]
    /// Elements, little-endian and row-major.
    let bytes: [UInt8]

    /// The number of elements of a shape.
    static func count(of shape: [Int]) -> Int { shape.reduce(1, *) }

    /// The number of elements.
    var count: Int { bytes.count / dtype.size }

    /// - Precondition: there are as many bytes as dtype and shape ask for.
    init(dtype: DType, shape: [Int], bytes: [UInt8]) {
        precondition(bytes.count == Tensor.count(of: shape) * dtype.size, "\(bytes.count) bytes for \(shape)")
        (self.dtype, self.shape, self.bytes) = (dtype, shape, bytes)
    }

    /// A tensor of elements; a vector when no shape is given.
    init<E: Element>(_ elements: [E], shape: [Int]? = nil) {
        self.init(
            dtype: E.dtype, shape: shape ?? [elements.count], bytes: elements.withUnsafeBytes { Array($0) })
    }

    /// A vector of truth values.
    init(_ flags: [Bool]) { self.init(dtype: .bool, shape: [flags.count], bytes: flags.map { $0 ? 1 : 0 }) }

    /// A tensor without axes.
    init(scalar: some Element) { self.init([scalar], shape: []) }

    /// The elements.
    ///
    /// - Precondition: `E` is what ``DType/element`` says.
    func elements<E: Element>(as _: E.Type = E.self) -> [E] {
        precondition(ObjectIdentifier(E.self) == ObjectIdentifier(dtype.element), "\(dtype.name) is not \(E.self)")
        return bytes.withUnsafeBytes { raw in
            (0..<count).map { raw.loadUnaligned(fromByteOffset: $0 * MemoryLayout<E>.stride, as: E.self) }
        }
    }

    /// The elements as doubles, for messages and for bounds to be doubled up from; 64 bits may lose their last.
    var doubles: [Double] {
        func numbers<E: Element>(_: E.Type) -> [Double] { elements(as: E.self).map(asDouble) }
        return numbers(dtype.element)
    }

    /// Whether every element is at least that of `low` and at most that of `high`; NaN never is.
    func isInside(_ low: Tensor, _ high: Tensor) -> Bool {
        guard dtype == low.dtype, dtype == high.dtype, shape == low.shape, shape == high.shape else { return false }
        if dtype == .bool, bytes.contains(where: { $0 > 1 }) { return false }
        func compare<E: Element>(_: E.Type) -> Bool {
            zip(elements(as: E.self), zip(low.elements(as: E.self), high.elements(as: E.self)))
                .allSatisfy { $1.0 <= $0 && $0 <= $1.1 }
        }
        return compare(dtype.element)
    }

    /// The rows along the first axis.
    var rows: [Tensor] {
        let inner = Array(shape.dropFirst())
        let size = Tensor.count(of: inner) * dtype.size
        return (0..<(shape.first ?? 0)).map {
            Tensor(dtype: dtype, shape: inner, bytes: Array(bytes[($0 * size)..<(($0 + 1) * size)]))
        }
    }
}

private func asDouble(_ element: some Element) -> Double {
    switch element {
    case let value as any BinaryInteger: Double(value)
    case let value as Float16: Double(value)
    case let value as Float: Double(value)
    case let value as Double: value
    default: .nan
    }
}
