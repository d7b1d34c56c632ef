internal import CGymProtocol
internal import CProtobufC
import GymCore

typealias CTensor = Gym__V1__Tensor
typealias CValue = Gym__V1__Value
typealias CLeaf = Gym__V1__Leaf

// MARK: Encoding

extension Arena {
    /// A tensor message whose data stay where they are.
    func tensor(dtype: DType, shape: [Int], data: UnsafeRawPointer?, byteCount: Int) -> UnsafeMutablePointer<CTensor> {
        let message = message(gym__v1__tensor__init)
        message.pointee.dtype = Gym__V1__DType(rawValue: UInt32(dtype.rawValue))
        message.pointee.n_shape = shape.count
        message.pointee.shape = numbers(shape.map(UInt32.init))
        message.pointee.data = ProtobufCBinaryData(
            len: byteCount, data: UnsafeMutableRawPointer(mutating: data)?.assumingMemoryBound(to: UInt8.self))
        return message
    }

    /// A tensor message with a copy of the tensor's data.
    func tensor(_ tensor: Tensor) -> UnsafeMutablePointer<CTensor> {
        let data = data(tensor.bytes)
        return self.tensor(dtype: tensor.dtype, shape: tensor.shape, data: data.data, byteCount: data.len)
    }

    func value(_ value: Value) -> UnsafeMutablePointer<CValue> {
        let message = message(gym__v1__value__init)
        switch value {
        case .tensor(let tensor):
            message.pointee.value_case = GYM__V1__VALUE__VALUE_TENSOR
            message.pointee.tensor = self.tensor(tensor)
        case .text(let text):
            message.pointee.value_case = GYM__V1__VALUE__VALUE_TEXT
            message.pointee.text = string(text)
        case .list(let values):
            message.pointee.value_case = GYM__V1__VALUE__VALUE_LIST
            message.pointee.list = list(values)
        case .graph(let nodes, let edges, let links):
            let graph = self.message(gym__v1__graph_value__init)
            graph.pointee.nodes = tensor(nodes)
            if let edges { graph.pointee.edges = tensor(edges) }
            if !links.isEmpty { graph.pointee.edge_links = tensor(Tensor(links, shape: [links.count / 2, 2])) }
            message.pointee.value_case = GYM__V1__VALUE__VALUE_GRAPH
            message.pointee.graph = graph
        case .oneOf(let index, let member):
            let oneOf = self.message(gym__v1__one_of_value__init)
            oneOf.pointee.index = UInt32(index)
            oneOf.pointee.value = self.value(member)
            message.pointee.value_case = GYM__V1__VALUE__VALUE_ONE_OF
            message.pointee.one_of = oneOf
        }
        return message
    }

    func list(_ values: [Value]) -> UnsafeMutablePointer<Gym__V1__ValueList> {
        let list = message(gym__v1__value_list__init)
        list.pointee.n_values = values.count
        list.pointee.values = pointers(values.map(value))
        return list
    }

    /// A copy of some rows of a tensor leaf, side by side.
    func gathered(_ batch: BatchBuffer, leaf: Int, rows: UnsafeBufferPointer<UInt32>) -> UnsafeMutableRawPointer {
        let column = batch.columns[leaf]
        let gathered = UnsafeMutableRawPointer(array(UInt8.self, count: rows.count * column.rowBytes))
        for (position, row) in rows.enumerated() {
            (gathered + position * column.rowBytes).copyMemory(
                from: column.base! + Int(row) * column.rowBytes, byteCount: column.rowBytes)
        }
        return gathered
    }

    /// The leaves of a batch, tensors sent from the batch's own memory.
    ///
    /// - Parameter rows: the rows to send, gathered by a copy; `nil`: all of them, from where they lie.
    func leaves(
        of batch: BatchBuffer, rows: UnsafeBufferPointer<UInt32>? = nil
    ) -> UnsafeMutablePointer<UnsafeMutablePointer<CLeaf>?> {
        let count = rows?.count ?? batch.count
        let messages = array(UnsafeMutablePointer<CLeaf>?.self, count: batch.leaves.count)
        for index in batch.leaves.indices {
            let leaf = message(gym__v1__leaf__init)
            messages[index] = leaf
            let column = batch.columns[index]
            switch batch.leaves[index] {
            case .ragged:
                let all = batch[raggedLeaf: index]
                leaf.pointee.leaf_case = GYM__V1__LEAF__LEAF_VALUES
                leaf.pointee.values = list(rows.map { rows in rows.map { all[Int($0)] } } ?? all)
            case .tensor(let layout):
                // Built by hand and not through `tensor(…)`, which would allocate an array for the shape.
                let tensor = message(gym__v1__tensor__init)
                tensor.pointee.dtype = Gym__V1__DType(rawValue: UInt32(layout.dtype.rawValue))
                let shape = array(UInt32.self, count: layout.shape.count + 1)
                shape[0] = UInt32(count)
                for axis in layout.shape.indices { shape[axis + 1] = UInt32(layout.shape[axis]) }
                tensor.pointee.n_shape = layout.shape.count + 1
                tensor.pointee.shape = shape
                let data = rows.map { gathered(batch, leaf: index, rows: $0) } ?? column.base!
                tensor.pointee.data = ProtobufCBinaryData(
                    len: count * column.rowBytes, data: data.assumingMemoryBound(to: UInt8.self))
                leaf.pointee.leaf_case = GYM__V1__LEAF__LEAF_TENSOR
                leaf.pointee.tensor = tensor
            }
        }
        return messages
    }
}

// MARK: Decoding

extension WireError {
    static func malformed(_ message: String) -> WireError { WireError(.malformedMessage, message) }
}

extension DType {
    init(_ wire: Gym__V1__DType) throws {
        guard let dtype = DType(rawValue: Int32(truncatingIfNeeded: wire.rawValue)) else {
            throw WireError.malformed("a tensor's dtype is \(wire.rawValue); dtypes are 1 (BOOL) to 12 (FLOAT64)")
        }
        self = dtype
    }
}

/// Whether each byte is 0 or 1, as those of booleans are.
private func areTruthValues(_ bytes: UnsafeRawBufferPointer) -> Bool { bytes.allSatisfy { $0 <= 1 } }

extension Tensor {
    init(_ message: UnsafePointer<CTensor>?) throws {
        guard let message else { throw WireError.malformed("a tensor is missing") }
        let dtype = try DType(message.pointee.dtype)
        let shape = (0..<message.pointee.n_shape).map { Int(message.pointee.shape[$0]) }
        // Extents of 0 are left out at first: what is counted over a part of the shape must not overflow either.
        var bytes = dtype.size
        for extent in shape where extent > 0 {
            let (product, overflow) = bytes.multipliedReportingOverflow(by: extent)
            if overflow { throw WireError.malformed("a tensor's shape \(shape) is too large") }
            bytes = product
        }
        if shape.contains(0) { bytes = 0 }
        guard message.pointee.data.len == bytes else {
            throw WireError.malformed(
                "a \(dtype.name) tensor of shape \(shape) takes \(bytes) bytes, \(message.pointee.data.len) came")
        }
        let data = UnsafeRawBufferPointer(start: message.pointee.data.data, count: bytes)
        guard dtype != .bool || areTruthValues(data) else { throw WireError.malformed("a bool is 0 or 1") }
        self.init(dtype: dtype, shape: shape, bytes: Array(data))
    }
}

extension Value {
    init(_ message: UnsafePointer<CValue>?) throws {
        guard let message else { throw WireError.malformed("a value is missing") }
        switch message.pointee.value_case {
        case GYM__V1__VALUE__VALUE_TENSOR: self = .tensor(try Tensor(message.pointee.tensor))
        case GYM__V1__VALUE__VALUE_TEXT: self = .text(String(cString: message.pointee.text))
        case GYM__V1__VALUE__VALUE_LIST: self = .list(try Value.list(message.pointee.list))
        case GYM__V1__VALUE__VALUE_GRAPH:
            guard let graph = message.pointee.graph else { throw WireError.malformed("a graph is missing") }
            let edges = graph.pointee.edges == nil ? nil : try Tensor(graph.pointee.edges)
            let links = graph.pointee.edge_links == nil ? nil : try Tensor(graph.pointee.edge_links)
            if let links, links.dtype != .int64 || links.shape.count != 2 || links.shape[1] != 2 {
                throw WireError.malformed("a graph's edge_links have to be INT64 of shape (edges, 2)")
            }
            self = .graph(nodes: try Tensor(graph.pointee.nodes), edges: edges, edgeLinks: links?.elements() ?? [])
        case GYM__V1__VALUE__VALUE_ONE_OF:
            guard let oneOf = message.pointee.one_of else { throw WireError.malformed("a one_of is missing") }
            self = .oneOf(index: Int(oneOf.pointee.index), try Value(oneOf.pointee.value))
        default: throw WireError.malformed("a value is empty")
        }
    }

    static func list(_ message: UnsafePointer<Gym__V1__ValueList>?) throws -> [Value] {
        guard let message else { return [] }
        return try (0..<message.pointee.n_values).map { try Value(message.pointee.values[$0]) }
    }
}
