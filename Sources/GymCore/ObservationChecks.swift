/// Checks observations against their space, row by row; without a space it checks nothing.
@usableFromInline
final class ObservationChecks: Sendable {
    /// Keeps what ``bounds`` points to.
    private let checkers: [(leaf: Int, checker: LeafChecker)]
    /// For each tensor leaf, its number and its bounds.
    private let bounds: ConstantMemory<LeafBounds>

    private struct LeafBounds: BitwiseCopyable {
        let leaf: Int
        let bounds: ElementBounds
    }

    /// Whether there is nothing to check.
    @usableFromInline let isEmpty: Bool

    @usableFromInline
    init(_ space: Space?) {
        checkers =
            space?.leaves.enumerated().compactMap { index, leaf in
                LeafChecker(leaf.space).map { (index, $0) }
            } ?? []
        isEmpty = checkers.isEmpty
        bounds = ConstantMemory(checkers.map { LeafBounds(leaf: $0.leaf, bounds: $0.checker.bounds) })
    }

    /// - Throws: ``StateError`` that names the leaf and the element which left the space.
    @inlinable
    @inline(__always)
    func check(row: Int, of observation: BatchBuffer) throws {
        if !isEmpty { try checkLeaves(row: row, of: observation.columns) }
    }

    @usableFromInline
    func checkLeaves(row: Int, of columns: UnsafeMutableBufferPointer<LeafColumn>) throws {
        for checked in bounds.elements {
            let (leaf, bounds) = (checked.leaf, checked.bounds)
            let column = columns.baseAddress! + leaf
            let memory = UnsafeRawPointer(column.pointee.base! + row * column.pointee.rowBytes)
            if let element = bounds.firstViolation(in: memory) {
                throw StateError(
                    "the observation left its space: element \(element) of leaf \(leaf) is "
                        + "\(bounds.dtype.double(in: memory, at: element))")
            }
        }
    }
}
