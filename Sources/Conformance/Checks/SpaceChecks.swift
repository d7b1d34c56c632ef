/// T, M30, M31: every space and dtype on the wire.
func addSpaceChecks(to list: inout CheckList) {
    let dtypes = [
        "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32",
        "float64",
    ]
    for name in dtypes {
        list.add("space.dtype-\(name)", .core, ["T1", "T2", "V8"], needs: [.environment(echo)]) { context in
            try expectEcho(context, name)
            let batch = try context.connect().make(echo, options: [("space", .text(name))])
            guard case .box(let box) = batch.observationSpace else {
                throw CheckFailure(what: "the space", expected: "Box", got: "\(batch.observationSpace)")
            }
            try expect(box.dtype.name, name, "the box's dtype")
        }
    }
    let kinds: [(name: String, type: String)] = [
        ("unbounded", "Box"), ("element-bounds", "Box"), ("scalar", "Box"), ("discrete", "Discrete"),
        ("discrete-start", "Discrete"), ("multi-discrete", "MultiDiscrete"), ("multi-binary", "MultiBinary"),
        ("text", "Text"), ("dict", "Dict"), ("tuple", "Tuple"), ("nested", "Tuple"), ("sequence", "Sequence"),
        ("graph", "Graph"), ("graph-plain", "Graph"), ("one-of", "OneOf"), ("mixed", "Dict"),
    ]
    for (name, type) in kinds {
        list.add("space.\(name)", .core, ["T2", "T3", "T4", "V8"], needs: [.environment(echo)]) { context in
            try expectEcho(context, name)
            let batch = try context.connect().make(echo, options: [("space", .text(name))])
            try expect(batch.observationSpace.typeName, type, "the kind of space")
        }
    }
    list.add("space.extremes", .core, ["T1", "T5"], needs: [.environment(echo)]) { context in
        let client = try context.connect()
        for name in dtypes {
            let batch = try client.make(echo, count: 2, options: [("space", .text(name))])
            guard case .box(let box) = batch.actionSpace else { continue }
            try batch.reset(seeds: [1])
            let actions = [Member.tensor(box.low), .tensor(box.high)]
            try expect(
                try batch.step(actions).observation, actions.map { [$0] }, "\(name): lowest and highest member")
        }
    }
    list.add("space.infinities", .core, ["T1", "T5"], needs: [.environment(echo)]) { context in
        let batch = try context.connect().make(echo, options: [("space", "unbounded")])
        try batch.reset(seeds: [1])
        let action = Member.tensor(Tensor([-Double.infinity, .infinity, -.infinity]))
        try expect(try batch.step([action]).observation, [[action]], "infinities, where there is no bound")
        let negativeZero = Member.tensor(Tensor([-0.0, 0, -0.0]))
        try expect(try batch.step([negativeZero]).observation, [[negativeZero]], "negative zeros, bit for bit")
    }
    list.add("space.negative-zeros", .core, ["T1"], needs: [.environment(echo)]) { context in
        let client = try context.connect()
        for (name, zeros) in [
            ("float16", Tensor([Float16](repeating: -0.0, count: 6), shape: [2, 3])),
            ("float32", Tensor([Float](repeating: -0.0, count: 6), shape: [2, 3])),
            ("float64", Tensor([Double](repeating: -0.0, count: 6), shape: [2, 3])),
            ("scalar", Tensor(scalar: -Float(0))),
        ] {
            let batch = try client.make(echo, count: 2, options: [("space", .text(name))])
            try batch.reset(seeds: [1])
            let echoed = try batch.step([.tensor(zeros), .tensor(zeros)]).observation
            guard case .tensor(let tensor)? = echoed.last?.first else { continue }
            try expect(hexadecimal(tensor.bytes), hexadecimal(zeros.bytes), "\(name): the bytes of negative zeros")
        }
    }
    list.add("space.bool-bytes", .core, ["T1", "M19"], needs: [.environment(echo)]) { context in
        let batch = try context.connect().make(echo, options: [("space", "bool")])
        try batch.reset(seeds: [1])
        let bad = Member.tensor(Tensor(dtype: .bool, shape: [3], bytes: [2, 0, 1]))
        try batch.expectError(.invalidAction, "step", batch.stepFields([bad]), "a truth value of 2")
        let good = Member.tensor(Tensor([true, false, true]))
        try expect(try batch.step([good]).observation, [[good]], "the echo after it")
    }
    list.add("space.ragged-out-of-bounds", .core, ["M20"], needs: [.environment(echo)]) { context in
        let client = try context.connect()
        for (name, bad) in [
            ("sequence", Member.list([.tensor(Tensor([Float(0), 2]))])),
            ("one-of", .oneOf(index: 1, .tensor(Tensor([0.0, 1.5])))),
            ("graph", .graph(nodes: Tensor([Float(0), 7], shape: [1, 2]), edges: nil, edgeLinks: [])),
        ] {
            let batch = try client.make(
                echo, count: 2, options: [("space", .text(name))], extra: [("pass_out_of_bounds", true)])
            try batch.reset(seeds: [1])
            let error = try batch.expectError(
                .invalidAction, "step", batch.stepFields([batch.actionSpace.sample(), bad]),
                "\(name): the action \(describe([bad])), with pass_out_of_bounds")
            try expect(rowsNamed(error), [1], "\(name): rows that the details name")
        }
    }
    list.add("space.graph-without-edge-space", .core, ["T3"], needs: [.environment(echo)], since: 1) { context in
        let batch = try context.connect().make(echo, options: [("space", "graph-plain")])
        try batch.reset(seeds: [1])
        let nodes = Tensor([Int64(1), 2])
        try batch.expectError(
            .invalidAction, "step", batch.stepFields([.graph(nodes: nodes, edges: nil, edgeLinks: [0, 1])]),
            "links in a graph whose space has no edges")
        try batch.step([.graph(nodes: nodes, edges: nil, edgeLinks: [])])
    }
    list.add("space.graph-with-no-edges", .core, ["T3"], needs: [.environment(echo)], since: 1) { context in
        let batch = try context.connect().make(echo, options: [("space", "graph")])
        try batch.reset(seeds: [1])
        let nodes = Tensor([Float(0), 0, 1, -1], shape: [2, 2])
        let expected = [[Member.graph(nodes: nodes, edges: nil, edgeLinks: [])]]
        for (what, edges) in [
            ("absent", []),
            ("of no rows", [("edges", Tensor([Int64]())), ("edge_links", Tensor([Int64](), shape: [0, 2]))]),
        ] {
            let graph = [("nodes", nodes)] + edges
            let value = Message("Value", [("graph", .fields(graph.map { ($0.0, .message($0.1.message)) }))])
            let action = Message("Leaf", [("values", .fields([("values", .messages([value]))]))])
            let step = try batch.decodeStep(batch.call("step", [("action", .messages([action]))]), count: 1)
            try expect(
                step.observation.map { $0.map(normalized) }, expected, "the echo of a graph whose edges are \(what)")
        }
    }
    list.add("space.bounds-of-each-element", .core, ["T5", "M20"], needs: [.environment(echo)]) { context in
        let batch = try context.connect().make(echo, options: [("space", "element-bounds")])
        try batch.reset(seeds: [1])
        for bad: [Float] in [[1.5, 0, 5], [0, 0.5, 5], [0, 0, 4]] {
            try batch.expectError(
                .invalidAction, "step", batch.stepFields([.tensor(Tensor(bad))]), "the action \(bad)")
        }
        try batch.step([.tensor(Tensor([Float(-1), 0, 6]))])
    }
    list.add("space.not-a-member", .core, ["T5", "M20"], needs: [.environment(echo)]) { context in
        let client = try context.connect()
        for (name, bad) in nonMembers {
            let batch = try client.make(echo, count: 2, options: [("space", .text(name))])
            try batch.reset(seeds: [1])
            let good = batch.actionSpace.sample()
            let error = try batch.expectError(
                .invalidAction, "step", batch.stepFields([good, bad]), "\(name): the action \(describe([bad]))")
            try expect(rowsNamed(error), [1], "\(name): rows that the details name")
        }
    }
    list.add("space.text-counts-code-points", .core, ["T5"], needs: [.environment(echo)]) { context in
        let batch = try context.connect().make(echo, options: [("space", "text")])
        try batch.reset(seeds: [1])
        let eight = Member.text("日本äß日本äß")
        try expect(try batch.step([eight]).observation, [[eight]], "eight characters of two or three bytes")
        try batch.expectError(.invalidAction, "step", batch.stepFields([.text("日本äß日本äßa")]), "nine characters")
    }
    list.add("space.text-beyond-the-first-plane", .core, ["T5"], needs: [.environment(echo)], since: 1) { context in
        // Each takes two units of UTF-16, and four bytes; the last is a letter and a mark, which people see as one.
        let batch = try context.connect().make(echo, options: [("space", "text-wide")])
        try batch.reset(seeds: [1])
        for text in ["😀𝄞😀𝄞", "e\u{301}e\u{301}"] {
            try expect(try batch.step([.text(text)]).observation, [[.text(text)]], "four code points")
        }
        for text in ["😀𝄞😀𝄞a", "e\u{301}e\u{301}a"] {
            try batch.expectError(
                .invalidAction, "step", batch.stepFields([.text(text)]), "five code points, '\(text)'")
        }
    }
    list.add("space.sample", .core, ["M30"], needs: [.capability("spaces.v1")]) { context in
        let client = try context.connect()
        try context.forEach(context.environments) { id in
            let batch = try client.make(id, count: 3)
            for (kind, space) in [(0, batch.actionSpace), (1, batch.observationSpace)] {
                for row in try sample(batch, kind, space, seed: 1) {
                    try require(
                        space.contains(leaves: row), "a sample", expected: "a member of \(space)", got: describe(row))
                }
            }
        }
    }
    list.add(
        "space.sample-of-all-kinds", .core, ["M30", "T5"],
        needs: [.environment(echo), .capability("spaces.v1")]
    ) { context in
        let client = try context.connect()
        try forEachEchoSpace(context) { name in
            let batch = try client.make(echo, count: 3, options: [("space", .text(name))])
            for row in try sample(batch, 0, batch.actionSpace, seed: 3) {
                try require(
                    batch.actionSpace.contains(leaves: row), "a sample",
                    expected: "a member of \(batch.actionSpace)", got: describe(row))
            }
            try batch.call("close")
        }
    }
    list.add("space.sample-seed", .core, ["M30"], needs: [.capability("spaces.v1")]) { context in
        let batch = try context.connect().make(context.environments[0], count: 16)
        let space = batch.actionSpace
        let first = try sample(batch, 0, space, seed: 0)
        let second = try sample(batch, 0, space, seed: nil)
        try require(second != first, "the next sample", expected: "another than before", got: "the same 16 members")
        try expect(try sample(batch, 0, space, seed: 0), first, "the sample of seed 0, again")
        try expect(try sample(batch, 0, space, seed: nil), second, "the sample after it, again")
    }
    list.add("space.sample-leaves-environments-alone", .core, ["M30"], needs: [.capability("spaces.v1")]) { context in
        let client = try context.connect()
        let id = try context.deterministicEnvironments()[0]
        let batch = try client.make(id)
        try batch.reset(seeds: [2])
        let expected = try batch.reset().observation
        try batch.reset(seeds: [2])
        _ = try sample(batch, 0, batch.actionSpace, seed: 5)
        _ = try sample(batch, 1, batch.observationSpace, seed: nil)
        try expect(try batch.reset().observation, expected, "the next episode, after samples")
    }
    list.add("space.kind-unknown", .core, ["V5"], needs: [.capability("spaces.v1")]) { context in
        let batch = try context.connect().make(context.environments[0])
        try batch.expectError(.invalidArgument, "sample", [("space", 2)])
    }
    list.add("space.contains", .core, ["M31"], needs: [.environment(echo), .capability("spaces.v1")]) { context in
        let client = try context.connect()
        for (name, bad) in nonMembers {
            let batch = try client.make(echo, count: 2, options: [("space", .text(name))])
            let good = batch.actionSpace.sample()
            let rows = [good, bad].map(batch.actionSpace.leaves(of:))
            let part = try batch.call("contains", [("members", Leaves.encode(rows, of: batch.actionSpace))])
            try expect(
                part.bytes("contained"), [1, 0],
                "\(name): whether \(describe([good])) and \(describe([bad])) are members")
            try batch.call("close")
        }
    }
    list.add(
        "space.contains-keeps-bounds", .core, ["M31"], needs: [.environment(echo), .capability("spaces.v1")]
    ) { context in
        let batch = try context.connect().make(
            echo, count: 2, options: [("space", "float32")], extra: [("pass_out_of_bounds", true)])
        let inside = Member.tensor(Tensor([Float](repeating: 1, count: 6), shape: [2, 3]))
        let outside = Member.tensor(Tensor([Float](repeating: 1.5, count: 6), shape: [2, 3]))
        let part = try batch.call(
            "contains", [("members", Leaves.encode([[inside], [outside]], of: batch.actionSpace))])
        try expect(
            part.bytes("contained"), [1, 0], "whether 1 and 1.5 are from -1 to 1, made with pass_out_of_bounds")
    }
    list.add("space.contains-wrong-form", .core, ["M31"], needs: [.capability("spaces.v1")]) { context in
        let batch = try context.connect().make(context.environments[0], count: 2)
        try batch.expectError(.invalidArgument, "contains", [("members", .list([]))], "no leaf")
        let one = Leaves.encode([batch.actionSpace.leaves(of: batch.actionSpace.sample())], of: batch.actionSpace)
        try batch.expectError(.invalidArgument, "contains", [("members", one)], "one member for two rows")
    }
}

/// By the echo's spaces, what is not in them though its form fits.
private let nonMembers: [(String, Member)] = [
    ("float32", .tensor(Tensor([Float](repeating: 1.5, count: 6), shape: [2, 3]))),
    ("float64", .tensor(Tensor([Double](repeating: .nan, count: 6), shape: [2, 3]))),
    ("float16", .tensor(Tensor([Float16](repeating: -2, count: 6), shape: [2, 3]))),
    ("bool", .tensor(Tensor([true, true, true]))), ("discrete", .integer(5)), ("discrete-start", .integer(-3)),
    ("multi-discrete", .tensor(Tensor([Int64(0), 0, 9, 0], shape: [2, 2]))),
    ("multi-binary", .tensor(Tensor([Int8(0), 1, 2, 0, 0, 0], shape: [2, 3]))),
    ("text", .text("")), ("text", .text("abz")),
    ("sequence", .list([.tensor(Tensor([Float(0), 2]))])),
    ("sequence", .list([.tensor(Tensor([Float(0)]))])),
    ("one-of", .oneOf(index: 3, .integer(0))), ("one-of", .oneOf(index: 0, .integer(3))),
    (
        "graph",
        .graph(
            nodes: Tensor([Float(0), 0], shape: [1, 2]), edges: Tensor([Int64(0)], shape: [1]), edgeLinks: [0, 1])
    ),
]

/// Plays with the echo: each observation is the action, byte for byte.
private func expectEcho(_ context: Context, _ name: String) throws {
    let batch = try context.connect().make(echo, count: 3, options: [("space", .text(name))])
    try batch.expectMembers(try batch.reset(seeds: [1]).observation, "the first observation")
    var sampler = batch.sampler(seed: 11)
    for step in 1...4 {
        let actions = batch.actions(&sampler)
        let result = try batch.step(actions)
        let expected = actions.map(batch.actionSpace.leaves(of:)).map { $0.map(normalized) }
        try expect(
            result.observation.map { $0.map(normalized) }, expected, "\(batch.actionSpace): the echo of step \(step)")
        try expect(result.rewards, [Double(step), Double(step), Double(step)], "rewards")
    }
}

/// Graphs without edges have none of their parts, or empty ones (T3).
private func normalized(_ member: Member) -> Member {
    switch member {
    case .graph(let nodes, let edges, let links):
        .graph(nodes: nodes, edges: links.isEmpty ? nil : edges, edgeLinks: links)
    default: member
    }
}

private func sample(_ batch: Batch, _ kind: Int, _ space: Space, seed: UInt64?) throws -> [[Member]] {
    var fields: [(String, Message.Value)] = [("space", .integer(kind))]
    if let seed { fields.append(("seed", .fields([("value", .number(seed))]))) }
    let part = try batch.call("sample", fields)
    return try Leaves.decode(part.messages("sample"), of: space, count: batch.count, "a sample")
}
