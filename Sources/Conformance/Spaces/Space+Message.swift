/// Fails for shapes that no environment has: what a server says is input from outside.
private func requireReasonable(_ shape: [Int], _ what: String) throws {
    let most = 1 << 26
    var product = 1
    for extent in shape {
        let (next, overflow) = product.multipliedReportingOverflow(by: max(extent, 1))
        try require(
            !overflow && next <= most, "\(what): shape", expected: "at most \(most) elements", got: "\(shape)")
        product = next
    }
}

extension Tensor {
    /// A tensor from its message.
    init(_ message: Message?, _ what: String) throws {
        guard let message else { throw CheckFailure(what: what, expected: "a tensor", got: "nothing") }
        guard let dtype = DType(rawValue: message.number("dtype")) else {
            throw CheckFailure(what: "\(what): dtype (T1)", expected: "1 to 12", got: "\(message.number("dtype"))")
        }
        let shape = message.numbers("shape").map { Int(clamping: $0) }
        let data = message.bytes("data")
        try requireReasonable(shape, what)
        let count = shape.reduce(dtype.size, *)
        try require(
            data.count == count, "\(what): bytes of a \(dtype.name) tensor of shape \(shape) (T1)",
            expected: "\(count)", got: "\(data.count)")
        self.init(dtype: dtype, shape: shape, bytes: data)
    }

    /// The tensor as a message.
    var message: Message {
        Message(
            "Tensor",
            [("dtype", .integer(dtype.rawValue)), ("shape", .integers(shape)), ("data", .bytes(bytes))])
    }

    /// The scalar or tensor, repeated to the shape.
    fileprivate func broadcast(to shape: [Int], _ what: String) throws -> Tensor {
        if self.shape == shape { return self }
        try require(
            self.shape.isEmpty, "\(what): shape of a bound (T5)", expected: "\(shape), or a scalar",
            got: "\(self.shape)")
        return Tensor(
            dtype: dtype, shape: shape, bytes: Array(repeatElement(bytes, count: Tensor.count(of: shape)).joined()))
    }
}

extension Space {
    /// A space from its message.
    init(_ message: Message?, _ what: String) throws {
        guard let message, let kind = message.messageCase, let part = message.message(kind) else {
            throw CheckFailure(what: what, expected: "a space", got: "nothing")
        }
        let shape =
            ["box", "multi_discrete", "multi_binary"].contains(kind)
            ? part.numbers("shape").map { Int(clamping: $0) } : []
        try requireReasonable(shape, what)
        func signed(_ field: String) -> [Int] { part.numbers(field).map { Int(Int64(bitPattern: $0)) } }
        switch kind {
        case "box":
            let low = try Tensor(part.message("low"), "\(what): low")
            let high = try Tensor(part.message("high"), "\(what): high")
            try expect(high.dtype, low.dtype, "\(what): dtypes of a box's bounds")
            self = .box(
                Box(low: try low.broadcast(to: shape, what), high: try high.broadcast(to: shape, what)))
        case "discrete":
            try require(
                signed("n").last ?? 0 > 0, "\(what): n of a Discrete", expected: "at least 1", got: "\(signed("n"))")
            self = .discrete(count: signed("n").last!, start: signed("start").last ?? 0)
        case "multi_discrete":
            let counts = signed("nvec")
            let starts = part.has("start") ? signed("start") : counts.map { _ in 0 }
            try require(
                counts.count == Tensor.count(of: shape) && starts.count == counts.count && counts.allSatisfy { $0 > 0 },
                "\(what): nvec and start of a MultiDiscrete of shape \(shape) (T5)",
                expected: "as many as elements, nvec above 0", got: "nvec \(counts), start \(starts)")
            self = .multiDiscrete(counts: counts, starts: starts, shape: shape)
        case "multi_binary": self = .multiBinary(shape: shape)
        case "text":
            self = .text(
                minLength: part.integer("min_length"), maxLength: part.integer("max_length"),
                characters: part.text("charset"))
        case "dict":
            let entries = part.messages("entries")
            try expect(
                Set(entries.map { $0.text("key") }).count, entries.count, "\(what): number of different keys (T7)")
            self = .dict(
                try entries.map {
                    Entry($0.text("key"), try Space($0.message("space"), "\(what)/\($0.text("key"))"))
                })
        case "tuple":
            self = .tuple(try part.messages("spaces").enumerated().map { try Space($1, "\(what)/\($0)") })
        case "sequence":
            self = .sequence(try Space(part.message("space"), "\(what)/[]"), stacked: part.flag("stack"))
        case "graph":
            self = .graph(
                node: try Space(part.message("node_space"), "\(what)/nodes"),
                edge: part.has("edge_space") ? try Space(part.message("edge_space"), "\(what)/edges") : nil)
        case "one_of":
            self = .oneOf(try part.messages("spaces").enumerated().map { try Space($1, "\(what)/\($0)") })
        default: throw CheckFailure(what: what, expected: "a space of this version", got: kind)
        }
        try require(hasMembers, what, expected: "a space that can have members", got: "\(kind): \(part)")
    }

    /// Whether a member can be drawn: bounds in order, numbers that do not overflow, something to choose from.
    private var hasMembers: Bool {
        func isSound(_ count: Int, _ start: Int) -> Bool { !start.addingReportingOverflow(count).overflow }
        return switch self {
        case .box(let box): zip(box.low.doubles, box.high.doubles).allSatisfy { $0 <= $1 }
        case .discrete(let count, let start): isSound(count, start)
        case .multiDiscrete(let counts, let starts, _): zip(counts, starts).allSatisfy { isSound($0, $1) }
        case .text(let shortest, let longest, let characters):
            shortest <= longest && (longest == 0 || !characters.isEmpty)
        case .graph(let node, let edge):
            ([node] + (edge.map { [$0] } ?? [])).allSatisfy { space in
                switch space {
                case .box, .discrete: true
                default: false
                }
            }
        case .oneOf(let spaces): !spaces.isEmpty
        default: true
        }
    }
}

extension Member {
    /// A member from its message.
    init(_ message: Message?, _ what: String) throws {
        guard let message, let kind = message.messageCase ?? (message.has("text") ? "text" : nil) else {
            throw CheckFailure(what: what, expected: "a value", got: "nothing")
        }
        switch kind {
        case "tensor": self = .tensor(try Tensor(message.message("tensor"), what))
        case "list":
            self = .list(try message.message("list")!.messages("values").map { try Member($0, what) })
        case "graph":
            let graph = message.message("graph")!
            let links = try graph.message("edge_links").map { try Tensor($0, "\(what): edge_links") }
            if let links {
                try require(
                    links.dtype == .int64 && links.shape.count == 2 && links.shape[1] == 2,
                    "\(what): edge_links (T3)", expected: "INT64 of shape (edges, 2)",
                    got: "\(links.dtype.name) of shape \(links.shape)")
            }
            self = .graph(
                nodes: try Tensor(graph.message("nodes"), "\(what): nodes"),
                edges: try graph.message("edges").map { try Tensor($0, "\(what): edges") },
                edgeLinks: links?.elements(as: Int64.self) ?? [])
        case "one_of":
            let oneOf = message.message("one_of")!
            self = .oneOf(index: oneOf.integer("index"), try Member(oneOf.message("value"), what))
        default: self = .text(message.text("text"))
        }
    }

    /// The member as a message.
    var message: Message {
        switch self {
        case .tensor(let tensor): Message("Value", [("tensor", .message(tensor.message))])
        case .text(let text): Message("Value", [("text", .text(text))])
        case .list(let values): Message("Value", [("list", .fields([("values", .messages(values.map(\.message)))]))])
        case .graph(let nodes, let edges, let links):
            Message(
                "Value",
                [
                    (
                        "graph",
                        .fields(
                            [("nodes", .message(nodes.message))]
                                + (edges.map { [("edges", .message($0.message))] } ?? [])
                                + (links.isEmpty
                                    ? []
                                    : [("edge_links", .message(Tensor(links, shape: [links.count / 2, 2]).message))]))
                    )
                ])
        case .oneOf(let index, let value):
            Message(
                "Value", [("one_of", .fields([("index", .integer(index)), ("value", .message(value.message))]))])
        }
    }
}

/// A batch of members as leaves (T4).
enum Leaves {
    /// The leaves of a batch; each row is the leaves of a member.
    static func encode(_ rows: [[Member]], of space: Space) -> Message.Value {
        .messages(
            space.leaves.enumerated().map { index, leaf in
                guard let layout = leaf.layout else {
                    return Message(
                        "Leaf", [("values", .fields([("values", .messages(rows.map { $0[index].message }))]))])
                }
                let bytes = rows.flatMap { row -> [UInt8] in
                    if case .tensor(let tensor) = row[index] { tensor.bytes } else { [] }
                }
                let tensor = Message(
                    "Tensor",
                    [
                        ("dtype", .integer(layout.dtype.rawValue)), ("shape", .integers([rows.count] + layout.shape)),
                        ("data", .bytes(bytes)),
                    ])
                return Message("Leaf", [("tensor", .message(tensor))])
            })
    }

    /// The rows of a batch, after its form was judged: number of leaves, dtypes, shapes, sizes.
    static func decode(_ leaves: [Message], of space: Space, count: Int, _ what: String) throws -> [[Member]] {
        let expected = space.leaves
        try expect(leaves.count, expected.count, "\(what): number of leaves (T4)")
        var rows = [[Member]](repeating: [], count: count)
        for (index, leaf) in leaves.enumerated() {
            let what = "\(what), leaf \(index)"
            if let layout = expected[index].layout {
                let tensor = try Tensor(leaf.message("tensor"), what)
                try expect(tensor.dtype, layout.dtype, "\(what): dtype (T2)")
                try expect(tensor.shape, [count] + layout.shape, "\(what): shape (T4)")
                for (row, member) in tensor.rows.enumerated() { rows[row].append(.tensor(member)) }
                continue
            }
            guard let list = leaf.message("values") else {
                throw CheckFailure(what: "\(what) (T4)", expected: "a list of values", got: "\(leaf)")
            }
            let values = list.messages("values")
            try expect(values.count, count, "\(what): number of values (T4)")
            for (row, value) in values.enumerated() {
                // Rows that failed or never were reset hold an empty value (A9, M18).
                rows[row].append(value.fields.isEmpty ? .list([]) : try Member(value, what))
            }
        }
        return rows
    }
}
