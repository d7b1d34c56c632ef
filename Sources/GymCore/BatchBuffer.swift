#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// Where one leaf of a batch lies: row i of n holds the leaf of environment i.
public struct LeafColumn {
    /// The first row; `nil` for ragged leaves.
    public let base: UnsafeMutableRawPointer?
    /// Bytes from one row to the next.
    public let rowBytes: Int
    /// Elements in a row.
    public let rowCount: Int
    /// The element type.
    public let dtype: DType
    @usableFromInline let values: Unmanaged<RaggedColumn>?
}

/// The rows of a ragged leaf. Not an array: threads that step different rows write to them at the same time.
@usableFromInline
final class RaggedColumn {
    @usableFromInline let rows: UnsafeMutableBufferPointer<Value>

    init(count: Int) {
        rows = .allocate(capacity: count)
        rows.initialize(repeating: .list([]))
    }

    deinit {
        rows.deinitialize()
        rows.deallocate()
    }
}

/// Members of a space for n environments, one contiguous array a leaf (structure of arrays).
///
/// Observations are written here by the environments and sent from here; actions are read from here. The memory
/// is either the buffer's own, aligned to 64 bytes, or a part of a mapping that the creator keeps alive.
// Sendable although it holds memory that changes: where the columns lie never changes, and a row is written and read by
// one thread at a time. Whoever owns the batch sees to that (``VectorEnvironment/step(rows:actions:wantsInfo:into:)``).
public final class BatchBuffer: @unchecked Sendable {
    /// The number of rows.
    public let count: Int
    /// The leaves, as ``Space/leaves`` orders them.
    public let leaves: [Leaf]
    /// One column a leaf.
    public let columns: UnsafeMutableBufferPointer<LeafColumn>
    private let owned: [UnsafeMutableRawPointer]

    /// Bytes that `count` members of leaves take; `nil` when they are too many to be counted.
    ///
    /// A ragged leaf is taken for 1 KiB a member: what it really takes depends on its members.
    public static func byteCount(of leaves: [Leaf], count: Int) -> Int? {
        var total = 0
        for leaf in leaves {
            let bytes = if case .tensor(let layout) = leaf { layout.byteCount } else { 1024 }
            let (product, isTooLarge) = bytes.multipliedReportingOverflow(by: count)
            let (sum, isTooMuch) = total.addingReportingOverflow(product)
            if isTooLarge || isTooMuch { return nil }
            total = sum
        }
        return total
    }

    /// A buffer of zeros for `count` members of a space with the given leaves.
    ///
    /// - Precondition: ``byteCount(of:count:)`` is not `nil`, and so much memory can be had.
    /// - Parameter memory: where the tensor leaves are to lie, in order, when the caller provides the memory; it has
    ///   to outlive the buffer, be aligned for its dtype and hold `count` rows. Ragged leaves take no place in it.
    public init(leaves: [Leaf], count: Int, memory: [UnsafeMutableRawPointer]? = nil) {
        self.leaves = leaves
        self.count = count
        columns = .allocate(capacity: leaves.count)
        var owned: [UnsafeMutableRawPointer] = []
        var provided = memory?.makeIterator()
        for (index, leaf) in leaves.enumerated() {
            let column: LeafColumn
            switch leaf {
            case .tensor(let layout):
                let base: UnsafeMutableRawPointer
                if let next = provided?.next() {
                    base = next
                } else {
                    let memory = BatchBuffer.zeros(layout.byteCount * count)
                    base = memory.alignedUp(toMultipleOf: BatchBuffer.alignment)
                    owned.append(memory)
                }
                column = LeafColumn(
                    base: base, rowBytes: layout.byteCount, rowCount: layout.count, dtype: layout.dtype, values: nil)
            case .ragged:
                column = LeafColumn(
                    base: nil, rowBytes: 0, rowCount: 0, dtype: .uint8,
                    values: .passRetained(RaggedColumn(count: count)))
            }
            columns.initializeElement(at: index, to: column)
        }
        self.owned = owned
    }

    private static let alignment = 64

    /// Zeros with room to align them. The system's own, which take no memory before they are written to: how much it is
    /// may be another process's to say.
    private static func zeros(_ byteCount: Int) -> UnsafeMutableRawPointer {
        guard let memory = calloc(byteCount + alignment, 1) else {
            preconditionFailure("there is no memory for \(byteCount) bytes")
        }
        return memory
    }

    /// A buffer for `count` members of a space.
    public convenience init(space: Space, count: Int) {
        self.init(leaves: space.leaves.map(\.leaf), count: count)
    }

    deinit {
        for column in columns { column.values?.release() }
        for memory in owned { free(memory) }
        columns.deallocate()
    }

    /// The bytes of all rows of a tensor leaf.
    public func bytes(ofLeaf leaf: Int) -> UnsafeMutableRawBufferPointer {
        let column = columns[leaf]
        return UnsafeMutableRawBufferPointer(start: column.base, count: column.rowBytes * count)
    }

    /// The elements of all rows of a tensor leaf.
    ///
    /// - Precondition: the leaf holds elements of that type.
    @inlinable
    public func elements<Element: TensorElement>(
        ofLeaf leaf: Int = 0, as type: Element.Type = Element.self
    ) -> UnsafeMutableBufferPointer<Element> {
        let column = columns[leaf]
        column.expect(Element.self)
        return UnsafeMutableBufferPointer(
            start: column.base!.assumingMemoryBound(to: Element.self), count: column.rowCount * count)
    }

    /// The rows of a ragged leaf.
    public subscript(raggedLeaf leaf: Int) -> [Value] {
        get { Array(columns[leaf].values!.takeUnretainedValue().rows) }
        set {
            precondition(newValue.count == count, "a ragged leaf of \(count) rows takes \(count) values")
            _ = columns[leaf].values!.takeUnretainedValue().rows.update(fromContentsOf: newValue)
        }
    }

    /// Copies one row of every leaf from a buffer of the same leaves.
    public func copyRow(_ row: Int, from source: BatchBuffer, row sourceRow: Int) {
        for index in leaves.indices {
            let target = columns[index]
            let origin = source.columns[index]
            if let values = target.values {
                values.takeUnretainedValue().rows[row] = origin.values!.takeUnretainedValue().rows[sourceRow]
            } else {
                (target.base! + row * target.rowBytes).copyMemory(
                    from: origin.base! + sourceRow * origin.rowBytes, byteCount: target.rowBytes)
            }
        }
    }

    /// Sets one row of every leaf to zeros, or to an empty list where it is ragged.
    public func clearRow(_ row: Int) {
        for column in columns {
            if let values = column.values {
                values.takeUnretainedValue().rows[row] = .list([])
            } else {
                (column.base! + row * column.rowBytes).initializeMemory(
                    as: UInt8.self, repeating: 0, count: column.rowBytes)
            }
        }
    }

    /// Stores a member of the batch's space in a row.
    ///
    /// - Precondition: `value` is a member of `space`, whose leaves are the buffer's.
    public func store(_ value: Value, of space: Space, row: Int) {
        var leaf = 0
        store(value, of: space, row: row, leaf: &leaf)
    }

    private func store(_ value: Value, of space: Space, row: Int, leaf: inout Int) {
        switch (space, value) {
        case (.dict(let entries), .list(let values)):
            for (entry, value) in zip(entries, values) { store(value, of: entry.space, row: row, leaf: &leaf) }
        case (.tuple(let spaces), .list(let values)):
            for (space, value) in zip(spaces, values) { store(value, of: space, row: row, leaf: &leaf) }
        default:
            let column = columns[leaf]
            if let rows = column.values {
                rows.takeUnretainedValue().rows[row] = value
            } else if case .tensor(let tensor) = value {
                precondition(tensor.bytes.count == column.rowBytes, "the value is not a member of the leaf's space")
                (column.base! + row * column.rowBytes).copyMemory(from: tensor.bytes, byteCount: column.rowBytes)
            } else {
                preconditionFailure("the value is not a member of the leaf's space")
            }
            leaf += 1
        }
    }

    /// The row's member of the space as one tree per leaf.
    public func value(row: Int, leaf: Int) -> Value {
        let column = columns[leaf]
        if let values = column.values { return values.takeUnretainedValue().rows[row] }
        guard case .tensor(let layout) = leaves[leaf] else { preconditionFailure("a tensor leaf has a layout") }
        let bytes = UnsafeRawBufferPointer(start: column.base! + row * column.rowBytes, count: column.rowBytes)
        return .tensor(Tensor(dtype: layout.dtype, shape: layout.shape, bytes: Array(bytes)))
    }
}

extension LeafColumn {
    /// Stops when elements of this column are not of the type asked for: a mistake in the environment's own code.
    @inlinable
    func expect<Element: TensorElement>(_: Element.Type) {
        precondition(
            dtype == Element.dtype || (dtype == .bool && Element.dtype == .uint8),
            "the leaf's elements are of another type")
    }
}
