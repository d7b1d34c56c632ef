internal import CGymProtocol
import GymCore

typealias CSpace = Gym__V1__Space

extension Arena {
    /// The space of `count` members side by side. Boxes of images have the same bounds everywhere, and are sent without
    /// writing these out for all members.
    func batchedSpace(_ space: Space, _ count: Int) -> UnsafeMutablePointer<CSpace> {
        guard case .box(let box) = space, let low = box.low.uniformScalar, let high = box.high.uniformScalar else {
            return self.space(space.batched(count))
        }
        let message = self.space(.box(Box(low: low, high: high)))
        let shape = [count] + box.shape
        message.pointee.box.pointee.n_shape = shape.count
        message.pointee.box.pointee.shape = numbers(shape.map(UInt32.init))
        return message
    }

    func space(_ space: Space) -> UnsafeMutablePointer<CSpace> {
        let message = message(gym__v1__space__init)
        func dimensions(_ shape: [Int]) -> (Int, UnsafeMutablePointer<UInt32>) {
            (shape.count, numbers(shape.map(UInt32.init)))
        }
        switch space {
        case .box(let box):
            let part = self.message(gym__v1__box_space__init)
            (part.pointee.n_shape, part.pointee.shape) = dimensions(box.shape)
            part.pointee.low = tensor(box.low.uniformScalar ?? box.low)
            part.pointee.high = tensor(box.high.uniformScalar ?? box.high)
            message.pointee.space_case = GYM__V1__SPACE__SPACE_BOX
            message.pointee.box = part
        case .discrete(let count, let start):
            let part = self.message(gym__v1__discrete_space__init)
            part.pointee.n = Int64(count)
            part.pointee.start = Int64(start)
            message.pointee.space_case = GYM__V1__SPACE__SPACE_DISCRETE
            message.pointee.discrete = part
        case .multiDiscrete(let counts, let starts, let shape):
            let part = self.message(gym__v1__multi_discrete_space__init)
            (part.pointee.n_shape, part.pointee.shape) = dimensions(shape)
            part.pointee.n_nvec = counts.count
            part.pointee.nvec = numbers(counts.map(Int64.init))
            if starts.contains(where: { $0 != 0 }) {
                part.pointee.n_start = starts.count
                part.pointee.start = numbers(starts.map(Int64.init))
            }
            message.pointee.space_case = GYM__V1__SPACE__SPACE_MULTI_DISCRETE
            message.pointee.multi_discrete = part
        case .multiBinary(let shape):
            let part = self.message(gym__v1__multi_binary_space__init)
            (part.pointee.n_shape, part.pointee.shape) = dimensions(shape)
            message.pointee.space_case = GYM__V1__SPACE__SPACE_MULTI_BINARY
            message.pointee.multi_binary = part
        case .text(let minLength, let maxLength, let characters):
            let part = self.message(gym__v1__text_space__init)
            part.pointee.min_length = UInt32(minLength)
            part.pointee.max_length = UInt32(maxLength)
            part.pointee.charset = string(characters)
            message.pointee.space_case = GYM__V1__SPACE__SPACE_TEXT
            message.pointee.text = part
        case .dict(let entries):
            let part = self.message(gym__v1__dict_space__init)
            part.pointee.n_entries = entries.count
            part.pointee.entries = pointers(
                entries.map { entry in
                    let member = self.message(gym__v1__dict_entry__init)
                    member.pointee.key = string(entry.key)
                    member.pointee.space = self.space(entry.space)
                    return member
                })
            message.pointee.space_case = GYM__V1__SPACE__SPACE_DICT
            message.pointee.dict = part
        case .tuple(let spaces):
            let part = self.message(gym__v1__tuple_space__init)
            part.pointee.n_spaces = spaces.count
            part.pointee.spaces = pointers(spaces.map(self.space))
            message.pointee.space_case = GYM__V1__SPACE__SPACE_TUPLE
            message.pointee.tuple = part
        case .sequence(let member, let stacked):
            let part = self.message(gym__v1__sequence_space__init)
            part.pointee.space = self.space(member)
            part.pointee.stack = stacked ? 1 : 0
            message.pointee.space_case = GYM__V1__SPACE__SPACE_SEQUENCE
            message.pointee.sequence = part
        case .graph(let node, let edge):
            let part = self.message(gym__v1__graph_space__init)
            part.pointee.node_space = self.space(node)
            if let edge { part.pointee.edge_space = self.space(edge) }
            message.pointee.space_case = GYM__V1__SPACE__SPACE_GRAPH
            message.pointee.graph = part
        case .oneOf(let spaces):
            let part = self.message(gym__v1__one_of_space__init)
            part.pointee.n_spaces = spaces.count
            part.pointee.spaces = pointers(spaces.map(self.space))
            message.pointee.space_case = GYM__V1__SPACE__SPACE_ONE_OF
            message.pointee.one_of = part
        }
        return message
    }
}

extension Tensor {
    /// The one value of all elements as a scalar, when there is one: bounds of images are sent so.
    fileprivate var uniformScalar: Tensor? {
        let size = dtype.size
        guard count > 1 else { return nil }
        let first = bytes[..<size]
        for start in stride(from: size, to: bytes.count, by: size) where bytes[start..<(start + size)] != first {
            return nil
        }
        return Tensor(dtype: dtype, shape: [], bytes: Array(first))
    }

    /// The tensor itself, or a scalar repeated, so that it has the given shape.
    fileprivate func broadcast(to shape: [Int]) throws -> Tensor {
        if self.shape == shape { return self }
        guard self.shape.isEmpty else {
            throw WireError.malformed("a box of shape \(shape) has a bound of shape \(self.shape)")
        }
        return Tensor(
            dtype: dtype, shape: shape, bytes: Array(repeatElement(bytes, count: Tensor.count(of: shape)).joined()))
    }
}

extension Space {
    init(_ message: UnsafePointer<CSpace>?) throws {
        guard let message else { throw WireError.malformed("a space is missing") }
        func dimensions(_ count: Int, _ extents: UnsafePointer<UInt32>?) throws -> [Int] {
            let shape = (0..<count).map { Int(extents![$0]) }
            // Bounds are expanded to the shape, so a shape is believed only within reason.
            var product = 1
            for extent in shape {
                product = product.multipliedReportingOverflow(by: extent).partialValue
                guard product >= 0, product <= 1 << 28 else {
                    throw WireError.malformed("a space's shape \(shape) is too large")
                }
            }
            return shape
        }
        switch message.pointee.space_case {
        case GYM__V1__SPACE__SPACE_BOX:
            let part = message.pointee.box.pointee
            let shape = try dimensions(part.n_shape, part.shape)
            let low = try Tensor(part.low).broadcast(to: shape)
            let high = try Tensor(part.high).broadcast(to: shape)
            guard low.dtype == high.dtype else { throw WireError.malformed("a box's bounds differ in dtype") }
            self = .box(Box(low: low, high: high))
        case GYM__V1__SPACE__SPACE_DISCRETE:
            let part = message.pointee.discrete.pointee
            guard part.n >= 1, !part.start.addingReportingOverflow(part.n).overflow else {
                throw WireError.malformed("a discrete space has \(part.n) members from \(part.start)")
            }
            self = .discrete(count: Int(part.n), start: Int(part.start))
        case GYM__V1__SPACE__SPACE_MULTI_DISCRETE:
            let part = message.pointee.multi_discrete.pointee
            let shape = try dimensions(part.n_shape, part.shape)
            let counts = (0..<part.n_nvec).map { Int(part.nvec[$0]) }
            let starts =
                part.n_start == 0
                ? [Int](repeating: 0, count: counts.count) : (0..<part.n_start).map { Int(part.start[$0]) }
            guard counts.count == Tensor.count(of: shape), starts.count == counts.count,
                zip(counts, starts).allSatisfy({ $0 >= 1 && !$0.addingReportingOverflow($1).overflow })
            else { throw WireError.malformed("a multi-discrete space's parts do not fit its shape \(shape)") }
            self = .multiDiscrete(counts: counts, starts: starts, shape: shape)
        case GYM__V1__SPACE__SPACE_MULTI_BINARY:
            let part = message.pointee.multi_binary.pointee
            self = .multiBinary(shape: try dimensions(part.n_shape, part.shape))
        case GYM__V1__SPACE__SPACE_TEXT:
            let part = message.pointee.text.pointee
            self = .text(
                minLength: Int(part.min_length), maxLength: Int(part.max_length),
                characters: String(cString: part.charset))
        case GYM__V1__SPACE__SPACE_DICT:
            let part = message.pointee.dict.pointee
            self = .dict(
                try (0..<part.n_entries).map { index in
                    let entry = part.entries[index]!.pointee
                    return Entry(String(cString: entry.key), try Space(entry.space))
                })
        case GYM__V1__SPACE__SPACE_TUPLE:
            let part = message.pointee.tuple.pointee
            self = .tuple(try (0..<part.n_spaces).map { try Space(part.spaces[$0]) })
        case GYM__V1__SPACE__SPACE_SEQUENCE:
            let part = message.pointee.sequence.pointee
            self = .sequence(try Space(part.space), stacked: part.stack != 0)
        case GYM__V1__SPACE__SPACE_GRAPH:
            let part = message.pointee.graph.pointee
            self = .graph(
                node: try Space(part.node_space), edge: part.edge_space == nil ? nil : try Space(part.edge_space))
        case GYM__V1__SPACE__SPACE_ONE_OF:
            let part = message.pointee.one_of.pointee
            self = .oneOf(try (0..<part.n_spaces).map { try Space(part.spaces[$0]) })
        default: throw WireError.malformed("a space is empty, or of a kind that this version does not know")
        }
    }
}
