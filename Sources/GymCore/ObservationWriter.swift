/// Where an environment writes its observation: one row of a batch that the caller owns.
///
/// A space without dictionaries or tuples has one leaf, number 0. For composite spaces leaves are numbered as
/// ``Space/leaves`` orders them. Every leaf has to be written on every reset and step.
public struct ObservationWriter {
    @usableFromInline let columns: UnsafeMutablePointer<LeafColumn>
    @usableFromInline let row: Int

    /// A writer to a row of a batch.
    @inlinable
    public init(_ batch: BatchBuffer, row: Int) {
        columns = batch.columns.baseAddress!
        self.row = row
    }

    /// The leaf's elements, for `body` to write.
    ///
    /// - Precondition: the leaf holds elements of that type.
    @inlinable
    public func write<Element: TensorElement, Result>(
        leaf: Int = 0, as type: Element.Type = Element.self,
        _ body: (inout MutableSpan<Element>) throws -> Result
    ) rethrows -> Result {
        let column = columns[leaf]
        column.expect(Element.self)
        let start = (column.base! + row * column.rowBytes).assumingMemoryBound(to: Element.self)
        let buffer = UnsafeMutableBufferPointer(start: start, count: column.rowCount)
        var span = MutableSpan(_unsafeElements: buffer)
        return try body(&span)
    }

    /// Writes a leaf of exactly `n` elements: `observation.store([x, y])`.
    @inlinable
    public func store<let n: Int, Element: TensorElement>(_ values: InlineArray<n, Element>, leaf: Int = 0) {
        let column = columns[leaf]
        column.expect(Element.self)
        precondition(column.rowCount == n, "the leaf takes another number of elements")
        let start = (column.base! + row * column.rowBytes).assumingMemoryBound(to: Element.self)
        for index in 0..<n { start[index] = values[index] }
    }

    /// Writes a leaf of a ragged space: text, a sequence, a graph, one-of.
    public func store(_ value: Value, leaf: Int = 0) {
        columns[leaf].values!.takeUnretainedValue().rows[row] = value
    }
}

/// The action an environment is stepped with: one row of a batch.
///
/// What is read here is a member of the action space; the caller has checked it. The one exception is an environment
/// whose client asked for box actions out of bounds to be passed on, so environments clip as their reference does.
public struct ActionReader {
    @usableFromInline let columns: UnsafeMutablePointer<LeafColumn>
    @usableFromInline let row: Int

    /// A reader of a row of a batch.
    @inlinable
    public init(_ batch: BatchBuffer, row: Int) {
        columns = batch.columns.baseAddress!
        self.row = row
    }

    /// A discrete leaf.
    @inlinable
    public func integer(leaf: Int = 0) -> Int { Int(element(0, leaf: leaf, as: Int64.self)) }

    /// An element of a leaf.
    ///
    /// - Precondition: the leaf holds elements of that type, and more than `index` of them.
    @inlinable
    public func element<Element: TensorElement>(
        _ index: Int = 0, leaf: Int = 0, as type: Element.Type = Element.self
    ) -> Element {
        let column = columns[leaf]
        column.expect(Element.self)
        precondition(index >= 0 && index < column.rowCount, "the leaf has fewer elements")
        return (column.base! + row * column.rowBytes).assumingMemoryBound(to: Element.self)[index]
    }

    /// The leaf's elements, for `body` to read.
    @inlinable
    public func read<Element: TensorElement, Result>(
        leaf: Int = 0, as type: Element.Type = Element.self, _ body: (Span<Element>) throws -> Result
    ) rethrows -> Result {
        let column = columns[leaf]
        column.expect(Element.self)
        let start = (column.base! + row * column.rowBytes).assumingMemoryBound(to: Element.self)
        let span = Span(_unsafeElements: UnsafeBufferPointer(start: start, count: column.rowCount))
        return try body(span)
    }

    /// A leaf of a ragged space.
    public func value(leaf: Int = 0) -> Value { columns[leaf].values!.takeUnretainedValue().rows[row] }
}
