internal import CGymProtocol
public import GymCore

/// Leaves of a batch as they came in a frame; valid until the next frame is read.
public struct ReceivedLeaves {
    let leaves: UnsafeMutablePointer<UnsafeMutablePointer<CLeaf>?>?
    /// The number of leaves.
    public let count: Int

    init(_ leaves: UnsafeMutablePointer<UnsafeMutablePointer<CLeaf>?>?, _ count: Int) {
        self.leaves = leaves
        self.count = count
    }

    /// Copies the leaves to a batch after checking their number, dtypes, shapes and sizes.
    ///
    /// - Parameters:
    ///   - rows: which row of the batch each received row goes to; `nil`: row i to row i, and all of them.
    ///   - field: the request's field, for the error.
    ///   - code: the error's code when something does not fit.
    /// - Throws: ``WireError``; the batch is then as it was, or partly overwritten.
    public func copy(
        into batch: BatchBuffer, rows: UnsafeBufferPointer<UInt32>? = nil, field: String, code: WireError.Code
    ) throws {
        guard count == batch.leaves.count else {
            throw WireError(
                code, "\(field) has \(count) leaves; the space has \(batch.leaves.count)",
                details: [.init(field: field, expected: "\(batch.leaves.count) leaves", got: "\(count) leaves")])
        }
        let rowCount = rows?.count ?? batch.count
        for index in batch.leaves.indices {
            let leaf = leaves![index]!
            switch batch.leaves[index] {
            case .tensor(let layout):
                guard leaf.pointee.leaf_case == GYM__V1__LEAF__LEAF_TENSOR, let tensor = leaf.pointee.tensor else {
                    throw WireError(
                        code, "leaf \(index) of \(field) has to be a tensor",
                        details: [.init(field: field, expected: "a tensor", got: "another leaf")])
                }
                try ReceivedLeaves.check(tensor, layout, rowCount: rowCount, leaf: index, field: field, code: code)
                let column = batch.columns[index]
                guard tensor.pointee.data.len > 0 else { continue }
                if let rows {
                    for (position, row) in rows.enumerated() {
                        (column.base! + Int(row) * column.rowBytes).copyMemory(
                            from: tensor.pointee.data.data + position * column.rowBytes, byteCount: column.rowBytes)
                    }
                } else {
                    column.base!.copyMemory(from: tensor.pointee.data.data, byteCount: tensor.pointee.data.len)
                }
            case .ragged:
                guard leaf.pointee.leaf_case == GYM__V1__LEAF__LEAF_VALUES else {
                    throw WireError(
                        code, "leaf \(index) of \(field) has to be a list of values",
                        details: [.init(field: field, expected: "values", got: "another leaf")])
                }
                let count = leaf.pointee.values?.pointee.n_values ?? 0
                guard count == rowCount else {
                    throw WireError(
                        code, "leaf \(index) of \(field) has \(count) values; there are \(rowCount) rows",
                        details: [.init(field: field, expected: "\(rowCount) values", got: "\(count)")])
                }
                let values = try (0..<count).map { position in
                    do {
                        return try Value(leaf.pointee.values.pointee.values[position])
                    } catch let error as WireError {
                        let row = rows.map { Int($0[position]) } ?? position
                        throw WireError(
                            code,
                            "the value of environment \(row) in leaf \(index) of \(field) is none: \(error.message)",
                            details: [.init(field: field, environmentIndex: row, expected: "a value")])
                    }
                }
                if let rows {
                    var all = batch[raggedLeaf: index]
                    for (position, row) in rows.enumerated() { all[Int(row)] = values[position] }
                    batch[raggedLeaf: index] = all
                } else {
                    batch[raggedLeaf: index] = values
                }
            }
        }
    }

    private static func check(
        _ tensor: UnsafePointer<CTensor>, _ layout: TensorLayout, rowCount: Int, leaf: Int, field: String,
        code: WireError.Code
    ) throws {
        var fits =
            tensor.pointee.dtype.rawValue == UInt32(layout.dtype.rawValue)
            && tensor.pointee.n_shape == layout.shape.count + 1
        if fits {
            fits = Int(tensor.pointee.shape[0]) == rowCount
            for axis in layout.shape.indices where Int(tensor.pointee.shape[axis + 1]) != layout.shape[axis] {
                fits = false
            }
        }
        guard fits else {
            let got = (try? DType(tensor.pointee.dtype))?.name ?? "dtype \(tensor.pointee.dtype.rawValue)"
            let gotShape = (0..<tensor.pointee.n_shape).map { Int(tensor.pointee.shape[$0]) }
            let expected = "\(layout.dtype.name) of shape \([rowCount] + layout.shape)"
            throw WireError(
                code, "leaf \(leaf) of \(field) is \(got) of shape \(gotShape); it has to be \(expected)",
                details: [.init(field: field, expected: expected, got: "\(got) of shape \(gotShape)")])
        }
        // Of a batch that is in memory: no product of these overflows.
        let expected = rowCount * layout.byteCount
        guard tensor.pointee.data.len == expected else {
            throw WireError(
                code, "leaf \(leaf) of \(field) has \(tensor.pointee.data.len) bytes; its shape takes \(expected)",
                details: [.init(field: field, expected: "\(expected) bytes", got: "\(tensor.pointee.data.len) bytes")])
        }
        let data = UnsafeRawBufferPointer(start: tensor.pointee.data.data, count: expected)
        guard layout.dtype != .bool || data.allSatisfy({ $0 <= 1 }) else {
            throw WireError(
                code, "leaf \(leaf) of \(field) has a bool that is neither 0 nor 1",
                details: [.init(field: field, expected: "0 or 1", got: "another byte")])
        }
    }
}
