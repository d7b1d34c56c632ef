public import GymCore

extension BatchBuffer {
    /// Writes a member of the space that the buffer was made for into a row.
    public func store(_ value: Value, row: Int) {
        var leaf = 0
        store(value, row: row, leaf: &leaf)
        precondition(leaf == leaves.count, "the value has another number of leaves than the buffer")
    }

    private func store(_ value: Value, row: Int, leaf: inout Int) {
        switch (leaves[leaf], value) {
        case (.tensor(let layout), .tensor(let tensor)):
            precondition(tensor.dtype == layout.dtype && tensor.shape == layout.shape, "the leaf is of another layout")
            let size = layout.byteCount
            let target = UnsafeMutableRawBufferPointer(rebasing: bytes(ofLeaf: leaf)[row * size..<(row + 1) * size])
            target.copyBytes(from: tensor.bytes)
            leaf += 1
        case (.tensor, .list(let parts)):
            for part in parts { store(part, row: row, leaf: &leaf) }
        default:
            self[raggedLeaf: leaf][row] = value
            leaf += 1
        }
    }
}
