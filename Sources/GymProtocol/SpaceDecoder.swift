internal import CGymProtocol
import GymCore

/// Decodes the spaces of one message.
///
/// A space is a few bytes and says how much memory its bounds and its members take. A client believes that within
/// reason: what a message has it expand is counted over all spaces in it, and bounds that are alike, as those of many
/// environments with pictures are, are had once.
struct SpaceDecoder {
    private struct Repeated: Hashable {
        let element: Tensor
        let shape: [Int]
    }

    private var repeated: [Repeated: Tensor] = [:]
    /// Bytes that may still be expanded.
    private var budget = SpaceDecoder.mostExpanded

    /// Bytes of the bounds of all spaces of a message.
    static let mostExpanded = 64 << 20
    /// Elements of a member of a space.
    private static let mostElements = 1 << 28

    /// The tensor itself, or a scalar repeated, so that it has the given shape.
    private mutating func broadcast(_ tensor: Tensor, to shape: [Int]) throws -> Tensor {
        if tensor.shape == shape { return tensor }
        guard tensor.shape.isEmpty else {
            throw WireError.malformed("a box of shape \(shape) has a bound of shape \(tensor.shape)")
        }
        let key = Repeated(element: tensor, shape: shape)
        if let known = repeated[key] { return known }
        let count = Tensor.count(of: shape)
        budget -= count * tensor.dtype.size
        guard budget >= 0 else {
            throw WireError.malformed(
                "the bounds of the message's spaces take more than \(SpaceDecoder.mostExpanded) bytes")
        }
        let expanded = Tensor(
            dtype: tensor.dtype, shape: shape, bytes: Array(repeatElement(tensor.bytes, count: count).joined()))
        repeated[key] = expanded
        return expanded
    }

    /// A fixed space whose members can lie beside each other as nodes and edges of a graph.
    private mutating func part(of graph: UnsafePointer<CSpace>?) throws -> Space {
        let space = try space(graph)
        switch space {
        case .box, .discrete: return space
        default: throw WireError.malformed("nodes and edges of a graph are of a box or a discrete space")
        }
    }

    /// - Throws: ``WireError`` for what is no space.
    mutating func space(_ message: UnsafePointer<CSpace>?) throws -> Space {
        guard let message else { throw WireError.malformed("a space is missing") }
        func dimensions(_ count: Int, _ extents: UnsafePointer<UInt32>?) throws -> [Int] {
            let shape = (0..<count).map { Int(extents![$0]) }
            // Extents of 0 are left out: what is counted over a part of the shape must not overflow either.
            var product = 1
            for extent in shape where extent > 0 {
                let (next, overflow) = product.multipliedReportingOverflow(by: extent)
                guard !overflow, next <= SpaceDecoder.mostElements else {
                    throw WireError.malformed("a space's shape \(shape) is too large")
                }
                product = next
            }
            return shape
        }
        switch message.pointee.space_case {
        case GYM__V1__SPACE__SPACE_BOX:
            let part = message.pointee.box.pointee
            let shape = try dimensions(part.n_shape, part.shape)
            let low = try broadcast(try Tensor(part.low), to: shape)
            let high = try broadcast(try Tensor(part.high), to: shape)
            guard low.dtype == high.dtype else { throw WireError.malformed("a box's bounds differ in dtype") }
            return .box(Box(low: low, high: high))
        case GYM__V1__SPACE__SPACE_DISCRETE:
            let part = message.pointee.discrete.pointee
            guard part.n >= 1, !part.start.addingReportingOverflow(part.n).overflow else {
                throw WireError.malformed("a discrete space has \(part.n) members from \(part.start)")
            }
            return .discrete(count: Int(part.n), start: Int(part.start))
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
            return .multiDiscrete(counts: counts, starts: starts, shape: shape)
        case GYM__V1__SPACE__SPACE_MULTI_BINARY:
            let part = message.pointee.multi_binary.pointee
            return .multiBinary(shape: try dimensions(part.n_shape, part.shape))
        case GYM__V1__SPACE__SPACE_TEXT:
            let part = message.pointee.text.pointee
            guard part.min_length <= part.max_length, part.min_length == 0 || part.charset.pointee != 0 else {
                throw WireError.malformed("a text space has no members")
            }
            return .text(
                minLength: Int(part.min_length), maxLength: Int(part.max_length),
                characters: String(cString: part.charset))
        case GYM__V1__SPACE__SPACE_DICT:
            let part = message.pointee.dict.pointee
            var keys: Set<String> = []
            return .dict(
                try (0..<part.n_entries).map { index in
                    let entry = part.entries[index]!.pointee
                    let key = String(cString: entry.key)
                    guard keys.insert(key).inserted else {
                        throw WireError.malformed("a dict has the key '\(key)' twice")
                    }
                    return Space.Entry(key, try space(entry.space))
                })
        case GYM__V1__SPACE__SPACE_TUPLE:
            let part = message.pointee.tuple.pointee
            return .tuple(try (0..<part.n_spaces).map { try space(part.spaces[$0]) })
        case GYM__V1__SPACE__SPACE_SEQUENCE:
            let part = message.pointee.sequence.pointee
            return .sequence(try space(part.space), stacked: part.stack != 0)
        case GYM__V1__SPACE__SPACE_GRAPH:
            let part = message.pointee.graph.pointee
            return .graph(
                node: try self.part(of: part.node_space),
                edge: part.edge_space == nil ? nil : try self.part(of: part.edge_space))
        case GYM__V1__SPACE__SPACE_ONE_OF:
            let part = message.pointee.one_of.pointee
            guard part.n_spaces > 0 else { throw WireError.malformed("a one-of has no spaces") }
            return .oneOf(try (0..<part.n_spaces).map { try space(part.spaces[$0]) })
        default: throw WireError.malformed("a space is empty, or of a kind that this version does not know")
        }
    }
}
