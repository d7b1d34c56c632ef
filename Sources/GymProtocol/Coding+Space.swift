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
}
