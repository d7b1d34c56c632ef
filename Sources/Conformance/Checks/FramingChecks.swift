/// F: frames, as far as every server has to get them right; what only broken clients send is under Robustness.
func addFramingChecks(to list: inout CheckList) {
    list.add("framing.response-header", .core, ["F2", "F3"]) { context in
        let client = try context.connectWithoutHello()
        try client.send("hello", client.hello())
        guard let frame = try client.raw.receiveFrame() else {
            throw CheckFailure(what: "the answer to hello", expected: "a frame", got: "the end of the connection")
        }
        try expect(Array(frame.header[4...]), [2, 0, 0, 0], "kind, flags and reserved of a response's header")
        _ = try Message("Response", decoding: frame.body)
    }
    list.add("framing.byte-by-byte", .core, ["F1", "F9"]) { context in
        let client = try context.connectWithoutHello()
        let hello = client.request("hello", client.hello())
        for byte in RawConnection.frame(hello.encoded) { try client.send(bytes: [byte]) }
        try client.answer("hello", to: hello.number("id"))
    }
    list.add("framing.several-in-one", .core, ["F9", "O1"]) { context in
        let client = try context.connect()
        let pings = (0..<5).map { _ in client.request("ping") }
        try client.send(bytes: pings.flatMap { RawConnection.frame($0.encoded) })
        for ping in pings { try client.answer("ping", to: ping.number("id")) }
    }
    list.add("framing.cut-across", .core, ["F9"]) { context in
        let client = try context.connect()
        let pings = (0..<2).map { _ in client.request("ping") }
        let bytes = pings.flatMap { RawConnection.frame($0.encoded) }
        let middle = RawConnection.frame(pings[0].encoded).count + 4
        try client.send(bytes: Array(bytes[..<middle]))
        try client.answer("ping", to: pings[0].number("id"))
        try client.send(bytes: Array(bytes[middle...]))
        try client.answer("ping", to: pings[1].number("id"))
    }
    list.add("framing.kind-unknown", .core, ["F4"]) { try fatalFrame($0, RawConnection.frame([], kind: 7)) }
    list.add("framing.kind-zero", .core, ["F4"]) { try fatalFrame($0, RawConnection.frame([], kind: 0)) }
    list.add("framing.kind-of-the-server", .core, ["F4"]) { context in
        for kind in [UInt8(2), 3] { try fatalFrame(context, RawConnection.frame([], kind: kind)) }
    }
    list.add("framing.flags", .core, ["F4"]) { try fatalFrame($0, RawConnection.frame([], flags: 1)) }
    list.add("framing.reserved", .core, ["F4"]) { context in
        for reserved in [UInt16(1), 0x100] {
            try fatalFrame(context, RawConnection.frame([], reserved: reserved))
        }
    }
    list.add("framing.header-before-length", .core, ["F4"]) { context in
        try fatalFrame(context, RawConnection.header(length: .max, kind: 9))
    }
    list.add("framing.header-before-hello", .core, ["F4", "C1"], since: 1) { context in
        for bytes in [RawConnection.frame([], kind: 9), RawConnection.frame([], flags: 1)] {
            let client = try context.connectWithoutHello()
            try client.send(bytes: bytes)
            try client.receiveError(
                .malformedFrame, id: nil, "the answer to the first header \(hexadecimal(bytes.prefix(8)))")
            try client.expectEnd("after MALFORMED_FRAME (C3)")
        }
    }
    list.add("framing.body-undecodable", .core, ["F8", "E2"]) { context in
        let client = try context.connect()
        // A length-prefixed field that is longer than what follows.
        try client.send(bytes: RawConnection.frame([0x22, 0x7F, 0x01]))
        try client.receiveError(.malformedMessage, id: 0, "the answer to a body that cannot be decoded")
        try client.expectAlive("a body that cannot be decoded")
    }
    list.add("framing.first-frame-of-60-kib", .core, ["F5"]) { context in
        let client = try context.connectWithoutHello()
        let name = Message.Value.text(String(repeating: "n", count: 60 << 10))
        try client.call("hello", client.hello().map { $0.0 == "client_name" ? ($0.0, name) : $0 })
    }
    list.add("framing.unknown-fields", .core, ["V4"]) { context in
        let client = try context.connect()
        var ping = client.request("ping")
        ping.fields.append((number: 3000, value: .bytes([1, 2, 3])))
        ping.fields.append((number: 3001, value: .varint(7)))
        ping.change("ping") { $0.fields.append((number: 99, value: .fixed64(1))) }
        try client.send(ping)
        try client.answer("ping", to: ping.number("id"))
    }
    list.add("framing.fields-in-any-order", .core, ["F11"], since: 1) { context in
        let client = try context.connect()
        let ping = client.request("ping", handle: 3)
        var reversed = Message("Request")
        reversed.fields = ping.fields.reversed()
        try client.send(reversed)
        try client.answer("ping", to: ping.number("id"), handle: 3)
    }
    list.add("framing.last-value-counts", .core, ["F11"], since: 1) { context in
        let client = try context.connect()
        let batch = try client.make(context.environments[0])
        var reset = client.request("reset", Batch.resetFields(seeds: [4]), handle: batch.handle)
        reset.fields.insert((number: 2, value: .varint(UInt64(batch.handle) + 500)), at: 0)
        reset.change("reset") { $0.change("seeds") { $0.fields.insert((number: 1, value: .varint(9)), at: 0) } }
        try client.send(reset)
        let part = try client.answer("reset", to: reset.number("id"), handle: batch.handle)
        try expect(part.numbers("effective_seeds"), [4], "effective_seeds of a seed that says 9 and then 4")
    }
    list.add(
        "framing.messages-are-merged", .core, ["F11"], needs: [.capability("spaces.v1")], since: 1
    ) { context in
        let batch = try context.connect().make(context.environments[0], count: 4)
        func sample(_ seeds: [(String, Message.Value)]...) throws -> [Message] {
            var part = Message("SampleRequest")
            for seed in seeds { part.append("seed", .fields(seed)) }
            let request = batch.client.request("sample", handle: batch.handle)
            var merged = request
            merged.set("sample", .message(part))
            try batch.client.send(merged)
            return try batch.client.answer("sample", to: request.number("id"), handle: batch.handle).messages("sample")
        }
        // A seed in two parts, the second of which is empty, is the seed of the first.
        let expected = try sample([("value", 11)])
        try expect(try sample([("value", 11)], []), expected, "the sample of the seed 11, in two parts")
        try expect(try sample([("value", 5)], [("value", 11)]), expected, "the sample of the seed 5 and then 11")
    }
    list.add("framing.repeated-unpacked", .core, ["F3"]) { context in
        // proto3 packs repeated numbers, and a decoder takes them unpacked as well.
        let client = try context.connect()
        for id in context.environments.prefix(1) {
            let batch = try client.make(id)
            guard let layout = batch.actionSpace.leaves.first?.layout, batch.actionSpace.isFixed,
                batch.actionSpace.leaves.count == 1
            else { throw Skip(reason: "\(id)'s actions are not one tensor") }
            try batch.reset(seeds: [1])
            var sampler = batch.sampler()
            guard case .tensor(let action) = sampler.sample() else { return }
            var tensor = WireWriter()
            tensor.varint(1 << 3)
            tensor.varint(UInt64(layout.dtype.rawValue))
            for extent in [1] + layout.shape {
                tensor.varint(2 << 3)
                tensor.varint(UInt64(extent))
            }
            tensor.lengthPrefixed(action.bytes, number: 3)
            var leaf = WireWriter()
            leaf.lengthPrefixed(tensor.bytes, number: 1)
            try batch.call("step", [("action", .list([.bytes(leaf.bytes)]))])
        }
    }
}

/// Sends bytes that end a connection with MALFORMED_FRAME.
func fatalFrame(_ context: Context, _ bytes: [UInt8]) throws {
    let client = try context.connect()
    try client.send(bytes: bytes)
    try client.receiveError(.malformedFrame, id: nil, "the answer to the header \(hexadecimal(bytes.prefix(8)))")
    try client.expectEnd("after MALFORMED_FRAME (C3)")
}
