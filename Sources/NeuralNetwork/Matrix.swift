/// Rows of floats: a view of memory, which it keeps alive.
///
/// Copies of a matrix are views of the same numbers. Rows and columns are checked where they are taken; single elements
/// are not (but in debug builds), so that loops over them cost what loops over a pointer do.
public struct Matrix: @unchecked Sendable {
    // Sendable: as Memory is.
    @usableFromInline let memory: AnyObject
    @usableFromInline let base: UnsafeMutablePointer<Float>
    /// The number of rows.
    public let rows: Int
    /// The numbers of a row.
    public let columns: Int
    /// Floats from one row to the next.
    public let stride: Int

    @usableFromInline
    init(memory: AnyObject, base: UnsafeMutablePointer<Float>, rows: Int, columns: Int, stride: Int) {
        self.memory = memory
        self.base = base
        self.rows = rows
        self.columns = columns
        self.stride = stride
    }

    /// Zeros.
    public init(rows: Int, columns: Int) {
        let memory = Memory(byteCount: rows * columns * MemoryLayout<Float>.stride)
        self.init(
            memory: memory, base: memory.base.bindMemory(to: Float.self, capacity: rows * columns), rows: rows,
            columns: columns, stride: columns)
    }

    /// The given numbers, row by row.
    ///
    /// - Precondition: there are `rows` · `columns` of them.
    public init(rows: Int, columns: Int, _ elements: [Float]) {
        precondition(elements.count == rows * columns, "\(elements.count) numbers for \(rows) rows of \(columns)")
        self.init(rows: rows, columns: columns)
        base.update(from: elements, count: elements.count)
    }

    /// Whether rows follow each other without a gap.
    @inlinable
    public var isContiguous: Bool { stride == columns }

    /// An element.
    @inlinable
    public subscript(row: Int, column: Int) -> Float {
        @inline(__always) get {
            assert(row >= 0 && row < rows && column >= 0 && column < columns)
            return base[row &* stride &+ column]
        }
        @inline(__always) nonmutating set {
            assert(row >= 0 && row < rows && column >= 0 && column < columns)
            base[row &* stride &+ column] = newValue
        }
    }

    /// Some of the rows.
    ///
    /// - Precondition: they are the matrix's.
    @inlinable
    public subscript(rows range: Range<Int>) -> Matrix {
        precondition(range.lowerBound >= 0 && range.upperBound <= rows, "rows \(range) of a matrix of \(rows)")
        return Matrix(
            memory: memory, base: base + range.lowerBound * stride, rows: range.count, columns: columns,
            stride: stride)
    }

    /// Some of the columns.
    ///
    /// - Precondition: they are the matrix's.
    @inlinable
    public subscript(columns range: Range<Int>) -> Matrix {
        precondition(
            range.lowerBound >= 0 && range.upperBound <= columns, "columns \(range) of a matrix of \(columns)")
        return Matrix(
            memory: memory, base: base + range.lowerBound, rows: rows, columns: range.count, stride: stride)
    }

    /// One row.
    ///
    /// - Precondition: it is the matrix's.
    @inlinable
    public func row(_ row: Int) -> Vector<Float> {
        precondition(row >= 0 && row < rows, "row \(row) of a matrix of \(rows)")
        return Vector(memory: memory, base: base + row * stride, count: columns)
    }

    /// The first rows.
    ///
    /// - Precondition: there are so many.
    @inlinable
    public func prefix(_ count: Int) -> Matrix { self[rows: 0..<count] }

    /// All elements, row by row.
    ///
    /// - Precondition: rows follow each other without a gap.
    @inlinable
    public var vector: Vector<Float> {
        precondition(isContiguous || rows <= 1, "the rows of a part of a matrix have gaps between them")
        return Vector(memory: memory, base: base, count: rows * columns)
    }

    /// The elements as an array, row by row.
    public var elements: [Float] { (0..<rows).flatMap { row($0).elements } }

    /// Sets every element to one number.
    public func fill(_ value: Float) {
        for row in 0..<rows { (base + row * stride).update(repeating: value, count: columns) }
    }

    /// Takes over another matrix's elements.
    ///
    /// - Precondition: it has as many rows and columns.
    public func copy(_ other: Matrix) {
        precondition(
            other.rows == rows && other.columns == columns,
            "\(other.rows) rows of \(other.columns) into \(rows) rows of \(columns)")
        if isContiguous && other.isContiguous {
            base.update(from: other.base, count: rows * columns)
        } else {
            for row in 0..<rows { (base + row * stride).update(from: other.base + row * other.stride, count: columns) }
        }
    }

    /// Takes over one row of another matrix.
    ///
    /// - Precondition: both rows are there, and as long.
    @inlinable
    public func copyRow(_ row: Int, from other: Matrix, row otherRow: Int) {
        precondition(row >= 0 && row < rows && otherRow >= 0 && otherRow < other.rows && other.columns == columns)
        (base + row * stride).update(from: other.base + otherRow * other.stride, count: columns)
    }

    /// Takes over some rows of another matrix, in the order of `indices`.
    ///
    /// - Precondition: there are as many rows as indices, and each is the other matrix's.
    public func gather(_ indices: Vector<Int32>, of other: Matrix) {
        precondition(indices.count == rows && other.columns == columns)
        if columns == 1 && isContiguous && other.isContiguous { return vector.gather(indices, of: other.vector) }
        for row in 0..<rows {
            let source = Int(indices.base[row])
            precondition(source >= 0 && source < other.rows, "row \(source) of a matrix of \(other.rows)")
            (base + row * stride).update(from: other.base + source * other.stride, count: columns)
        }
    }

    /// Whether every element is a finite number.
    public var isFinite: Bool { (0..<rows).allSatisfy { row($0).isFinite } }
}

extension Vector where Element == Float {
    /// The vector as a matrix of one column.
    public var column: Matrix { Matrix(memory: memory, base: base, rows: count, columns: 1, stride: 1) }

    /// Takes over some elements of another vector, in the order of `indices`.
    ///
    /// - Precondition: there are as many elements as indices, and each is the other vector's.
    public func gather(_ indices: Vector<Int32>, of other: Vector) {
        precondition(indices.count == count)
        for index in 0..<count {
            let source = Int(indices.base[index])
            precondition(source >= 0 && source < other.count, "element \(source) of a vector of \(other.count)")
            base[index] = other.base[source]
        }
    }
}
