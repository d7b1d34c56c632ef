import GymCore

// The messages of a usual step, written and read without protobuf-c.
//
// protobuf-c looks every field up in a description of its message, several times over, which costs a step over the
// socket more than anything else in this process. What is written here has the same bytes; what is read here is what
// every writer of steps writes, and whatever looks otherwise is left to protobuf-c.

// MARK: Writing

/// Sizes in protobuf's wire format.
enum WireSize {
    static func varint(_ value: UInt64) -> Int { (70 - (value | 1).leadingZeroBitCount) / 7 }

    /// A field of the given length, with its tag of one byte.
    static func delimited(_ length: Int) -> Int { 1 + varint(UInt64(length)) + length }

    /// A field that is left out when it is empty.
    static func optional(_ length: Int) -> Int { length == 0 ? 0 : delimited(length) }

    /// A number, with its tag of one byte; 0 is left out.
    static func number(_ value: UInt64) -> Int { value == 0 ? 0 : 1 + varint(value) }

    /// The extents of a batch's leaf.
    static func shape(_ layout: TensorLayout, count: Int) -> Int {
        layout.shape.reduce(varint(UInt64(count))) { $0 + varint(UInt64($1)) }
    }

    /// A leaf that is a tensor of the given number of rows, with its tag.
    static func leaf(_ layout: TensorLayout, count: Int) -> Int { delimited(delimited(tensor(layout, count: count))) }

    static func tensor(_ layout: TensorLayout, count: Int) -> Int {
        number(UInt64(layout.dtype.rawValue)) + delimited(shape(layout, count: count))
            + optional(count * layout.byteCount)
    }

    /// A batch's leaves, each with its tag; `nil` when one is ragged.
    ///
    /// - Parameter count: rows of it.
    static func leaves(of batch: BatchBuffer, count: Int) -> Int? {
        var total = 0
        for leaf in batch.leaves {
            guard case .tensor(let layout) = leaf else { return nil }
            total += self.leaf(layout, count: count)
        }
        return total
    }
}

extension FrameWriter {
    /// Sends a request for a step.
    ///
    /// - Returns: whether it was sent; not when protobuf-c has to do it.
    func sendStep(
        _ actions: BatchBuffer, wantsInfo: Bool, id: UInt64, handle: UInt32, maxBody: Int
    ) throws -> Bool {
        guard let leaves = WireSize.leaves(of: actions, count: actions.count) else { return false }
        let step = leaves + (wantsInfo ? 2 : 0)
        let envelope = WireSize.number(id) + WireSize.number(UInt64(handle))
        try send(.request, bodySize: envelope + WireSize.delimited(step), maxBody: maxBody) { output in
            output.envelope(id: id, handle: handle, step: step)
            output.leaves(of: actions, field: 1)
            output.number(wantsInfo ? 1 : 0, field: 2)
        }
        return true
    }

    /// Sends the response to a step, of all rows and without `info`.
    ///
    /// - Returns: whether it was sent; not when protobuf-c has to do it.
    func sendStep(
        _ buffers: StepBuffers, hasFinalObservations: Bool, id: UInt64, handle: UInt32, maxBody: Int
    ) throws -> Bool {
        let count = buffers.count
        guard let observation = WireSize.leaves(of: buffers.observation, count: count) else { return false }
        let ended = endedRows(of: buffers)
        let finals = hasFinalObservations && !ended.isEmpty
        // Field 5; and field 6, whose leaves are those of the observation.
        let indices = ended.reduce(0) { $0 + WireSize.varint(UInt64($1)) }
        var step = observation + WireSize.optional(indices)
        if finals { step += WireSize.leaves(of: buffers.finalObservation, count: ended.count) ?? 0 }
        for (leaf, field) in buffers.fields.enumerated() {
            let rows = field.rows == .all ? count : ended.count
            step += WireSize.optional(rows * buffers.results.columns[leaf].rowBytes)
        }
        let envelope = WireSize.number(id) + WireSize.number(UInt64(handle))
        try send(.response, bodySize: envelope + WireSize.delimited(step), maxBody: maxBody) { output in
            output.envelope(id: id, handle: handle, step: step)
            output.leaves(of: buffers.observation, field: 1)
            var hasIndices = ended.isEmpty
            for (leaf, field) in buffers.fields.enumerated() {
                // Fields go out by their numbers.
                if field.number > 5, !hasIndices {
                    hasIndices = true
                    output.begin(field: 5, length: indices)
                    for row in ended { output.varint(UInt64(row)) }
                    if finals { output.leaves(of: buffers.finalObservation, rows: ended, field: 6) }
                }
                switch field.rows {
                case .all:
                    output.bytes(UnsafeRawBufferPointer(buffers.results.bytes(ofLeaf: leaf)), field: field.number)
                case .ended:
                    output.bytes(of: buffers.results.columns[leaf], rows: ended, field: field.number)
                }
            }
        }
        return true
    }
}

extension FrameWriter.Output {
    /// Everything before the contents of the step, which is field 3 of requests and responses.
    fileprivate mutating func envelope(id: UInt64, handle: UInt32, step: Int) {
        number(id, field: 1)
        number(UInt64(handle), field: 2)
        begin(field: 3, length: step)
    }

    /// Writes the leaves of a batch.
    ///
    /// - Parameter rows: which of its rows; `nil`: all of them.
    fileprivate mutating func leaves(of batch: BatchBuffer, rows: UnsafeBufferPointer<UInt32>? = nil, field: UInt8) {
        let count = rows?.count ?? batch.count
        for index in batch.leaves.indices {
            guard case .tensor(let layout) = batch.leaves[index] else { preconditionFailure("its size was asked for") }
            let tensor = WireSize.tensor(layout, count: count)
            begin(field: field, length: WireSize.delimited(tensor))
            begin(field: 1, length: tensor)
            number(UInt64(layout.dtype.rawValue), field: 1)
            begin(field: 2, length: WireSize.shape(layout, count: count))
            varint(UInt64(count))
            for extent in layout.shape { varint(UInt64(extent)) }
            if let rows {
                bytes(of: batch.columns[index], rows: rows, field: 3)
            } else {
                bytes(UnsafeRawBufferPointer(batch.bytes(ofLeaf: index)), field: 3)
            }
        }
    }

    /// Writes a field of bytes: some rows of a column, side by side.
    fileprivate mutating func bytes(of column: LeafColumn, rows: UnsafeBufferPointer<UInt32>, field: UInt8) {
        let size = column.rowBytes
        guard rows.count * size > 0, let base = column.base else { return }
        begin(field: field, length: rows.count * size)
        for row in rows { raw(UnsafeRawBufferPointer(start: base + Int(row) * size, count: size)) }
    }
}
