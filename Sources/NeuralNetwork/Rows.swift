/// Rows as a network takes them in, floats or bytes: a view of memory, which it keeps alive.
public struct Rows: @unchecked Sendable {
    // Sendable: as Memory is.
    let memory: AnyObject
    let base: UnsafeMutableRawPointer
    /// How a row lies.
    public let format: InputFormat
    /// The number of rows.
    public let count: Int
    /// Bytes from one row to the next.
    let stride: Int

    private init(memory: AnyObject, base: UnsafeMutableRawPointer, format: InputFormat, count: Int, stride: Int) {
        self.memory = memory
        self.base = base
        self.format = format
        self.count = count
        self.stride = stride
    }

    /// Zeros.
    public init(_ format: InputFormat, count: Int) {
        let memory = Memory(byteCount: count * format.rowBytes)
        self.init(memory: memory, base: memory.base, format: format, count: count, stride: format.rowBytes)
    }

    /// The rows of a matrix.
    public init(_ matrix: Matrix) {
        self.init(
            memory: matrix.memory, base: UnsafeMutableRawPointer(matrix.base),
            format: InputFormat(.float32, count: matrix.columns), count: matrix.rows,
            stride: matrix.stride * MemoryLayout<Float>.stride)
    }

    /// The rows as numbers.
    ///
    /// - Precondition: they are floats.
    public var floats: Matrix {
        precondition(format.element == .float32, "rows of bytes are no matrix of floats")
        return Matrix(
            memory: memory, base: base.assumingMemoryBound(to: Float.self), rows: count, columns: format.count,
            stride: stride / MemoryLayout<Float>.stride)
    }

    /// Some of the rows.
    ///
    /// - Precondition: they are there.
    public subscript(range: Range<Int>) -> Rows {
        precondition(range.lowerBound >= 0 && range.upperBound <= count, "rows \(range) of \(count)")
        return Rows(
            memory: memory, base: base + range.lowerBound * stride, format: format, count: range.count,
            stride: stride)
    }

    /// The first rows.
    ///
    /// - Precondition: there are so many.
    public func prefix(_ count: Int) -> Rows { self[0..<count] }

    /// Takes over another's rows.
    ///
    /// - Precondition: they are as many, and lie alike.
    public func copy(_ other: Rows) {
        precondition(other.count == count && other.format == format, "\(other.count) rows into \(count)")
        if stride == format.rowBytes && other.stride == stride {
            base.copyMemory(from: other.base, byteCount: count * stride)
        } else {
            for row in 0..<count { copyRow(row, from: other, row: row) }
        }
    }

    /// Twice as many rows, and at least 16: first these, then zeros.
    public func grown() -> Rows {
        let larger = Rows(format, count: max(16, 2 * count))
        larger.prefix(count).copy(self)
        return larger
    }

    /// Takes over one of another's rows.
    ///
    /// - Precondition: both rows are there, and lie alike.
    public func copyRow(_ row: Int, from other: Rows, row otherRow: Int) {
        precondition(
            row >= 0 && row < count && otherRow >= 0 && otherRow < other.count
                && other.format.rowBytes == format.rowBytes)
        (base + row * stride).copyMemory(from: other.base + otherRow * other.stride, byteCount: format.rowBytes)
    }

    /// Takes over some of another's rows, in the order of `indices`.
    ///
    /// - Precondition: there are as many rows as indices, and each is the other's.
    public func gather(_ indices: Vector<Int32>, of other: Rows) {
        precondition(indices.count == count && other.format.rowBytes == format.rowBytes)
        for row in 0..<count {
            let source = Int(indices.base[row])
            precondition(source >= 0 && source < other.count, "row \(source) of \(other.count)")
            (base + row * stride).copyMemory(from: other.base + source * other.stride, byteCount: format.rowBytes)
        }
    }

    /// The bytes of some rows, for what is saved.
    ///
    /// - Precondition: they follow each other without a gap.
    public func withBytes<Result>(_ body: (UnsafeMutableRawBufferPointer) throws -> Result) rethrows -> Result {
        precondition(stride == format.rowBytes || count <= 1)
        defer { withExtendedLifetime(memory) {} }
        return try body(UnsafeMutableRawBufferPointer(start: base, count: count * format.rowBytes))
    }

    // MARK: Frames of a row

    /// Takes over a stretch of one of another's rows, which may be this one.
    ///
    /// - Precondition: both rows have such a stretch.
    public func copyStretch(
        row: Int, at offset: Int, from other: Rows, row otherRow: Int, at otherOffset: Int, byteCount: Int
    ) {
        precondition(
            row >= 0 && row < count && otherRow >= 0 && otherRow < other.count && offset >= 0 && otherOffset >= 0
                && byteCount >= 0 && offset + byteCount <= format.rowBytes
                && otherOffset + byteCount <= other.format.rowBytes)
        (base + row * stride + offset).copyMemory(
            from: other.base + otherRow * other.stride + otherOffset, byteCount: byteCount)
    }

    /// Sets all of a row but its last `bytes` to zeros.
    public func clearRow(_ row: Int, butLast bytes: Int = 0) {
        precondition(row < count && bytes <= format.rowBytes)
        (base + row * stride).initializeMemory(as: UInt8.self, repeating: 0, count: format.rowBytes - bytes)
    }

    /// Writes a stretch of a row from bytes that lie elsewhere.
    ///
    /// - Precondition: it fits into the row.
    public func write(_ bytes: UnsafeRawBufferPointer, row: Int, at offset: Int) {
        precondition(row >= 0 && row < count && offset >= 0 && offset + bytes.count <= format.rowBytes)
        if let start = bytes.baseAddress {
            (base + row * stride + offset).copyMemory(from: start, byteCount: bytes.count)
        }
    }
}
