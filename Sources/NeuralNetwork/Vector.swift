import CVectorKernels

/// Numbers one after the other: a view of memory, which it keeps alive.
///
/// Copies of a vector are views of the same numbers. Stretches are checked where they are taken; single elements are not
/// (but in debug builds), so that loops over them cost what loops over a pointer do.
public struct Vector<Element: BitwiseCopyable & Sendable>: @unchecked Sendable {
    // Sendable: as Memory is.
    @usableFromInline let memory: AnyObject
    @usableFromInline let base: UnsafeMutablePointer<Element>
    /// The number of elements.
    public let count: Int

    @usableFromInline
    init(memory: AnyObject, base: UnsafeMutablePointer<Element>, count: Int) {
        self.memory = memory
        self.base = base
        self.count = count
    }

    /// `count` zeros.
    public init(count: Int) {
        let memory = Memory(byteCount: count * MemoryLayout<Element>.stride)
        self.init(memory: memory, base: memory.base.bindMemory(to: Element.self, capacity: count), count: count)
    }

    /// The given numbers.
    public init(_ elements: some Collection<Element>) {
        self.init(count: elements.count)
        for (index, element) in elements.enumerated() { base[index] = element }
    }

    /// The element at an index.
    @inlinable
    public subscript(index: Int) -> Element {
        @inline(__always) get {
            assert(index >= 0 && index < count)
            return base[index]
        }
        @inline(__always) nonmutating set {
            assert(index >= 0 && index < count)
            base[index] = newValue
        }
    }

    /// A stretch of the elements.
    ///
    /// - Precondition: it lies within the vector.
    @inlinable
    public subscript(range: Range<Int>) -> Vector {
        precondition(range.lowerBound >= 0 && range.upperBound <= count, "\(range) of a vector of \(count)")
        return Vector(memory: memory, base: base + range.lowerBound, count: range.count)
    }

    /// The first elements.
    ///
    /// - Precondition: there are so many.
    @inlinable
    public func prefix(_ count: Int) -> Vector { self[0..<count] }

    /// The places of the elements.
    @inlinable
    public var indices: Range<Int> { 0..<count }

    /// The elements as an array.
    public var elements: [Element] { Array(UnsafeBufferPointer(start: base, count: count)) }

    /// Sets every element to one number.
    @inlinable
    public func fill(_ value: Element) { base.update(repeating: value, count: count) }

    /// Takes over the elements of another vector.
    ///
    /// - Precondition: they are as many.
    @inlinable
    public func copy(_ other: Vector) {
        precondition(other.count == count, "\(other.count) numbers into a vector of \(count)")
        base.update(from: other.base, count: count)
    }

    /// Takes over elements that lie elsewhere: those of a batch of environments.
    ///
    /// - Precondition: they are as many.
    public func copy(_ other: UnsafeMutableBufferPointer<Element>) {
        precondition(other.count == count, "\(other.count) numbers into a vector of \(count)")
        if let start = other.baseAddress { base.update(from: start, count: count) }
    }

    /// The elements while `body` runs, for what takes buffers.
    public func withElements<Result>(
        _ body: (UnsafeMutableBufferPointer<Element>) throws -> Result
    ) rethrows -> Result {
        defer { withExtendedLifetime(memory) {} }
        return try body(UnsafeMutableBufferPointer(start: base, count: count))
    }
}

extension Vector where Element == Float {
    /// Adds the elements of another vector.
    ///
    /// - Precondition: they are as many.
    public func add(_ other: Vector) {
        precondition(other.count == count, "\(other.count) numbers added to a vector of \(count)")
        vector_kernels_add(count, other.base, base)
    }

    /// The sum of the squares, in double precision.
    public func sumOfSquares() -> Double { vector_kernels_sum_of_squares(count, base) }

    /// The sum, in double precision, from the first to the last.
    @inlinable
    public func sum() -> Double {
        var sum = 0.0
        for index in 0..<count { sum += Double(base[index]) }
        return sum
    }

    /// Whether every element is a finite number.
    @inlinable
    public var isFinite: Bool {
        for index in 0..<count where !base[index].isFinite { return false }
        return true
    }
}
