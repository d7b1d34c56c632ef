/// O: ordering and pipelining, with E2's promise that an error stands in its place.
func addOrderChecks(to list: inout CheckList) {
    list.add("order.within-a-handle", .core, ["O1", "O2"], needs: [.environment(counter)]) { context in
        let client = try context.connect()
        let batch = try client.make(counter, options: [("limit", 1000)])
        try batch.reset(seeds: [1])
        let ids = try (0..<20).map { _ in try client.send("step", batch.stepFields([.integer(0)]), handle: batch.handle)
        }
        for (index, id) in ids.enumerated() {
            let step = try batch.decodeStep(client.answer("step", to: id, handle: batch.handle), count: 1)
            try expect(try count(step.observation[0]), index + 1, "the count of pipelined step \(index)")
        }
    }
    list.add("order.error-in-its-place", .core, ["O1", "O2", "E2"], needs: [.environment(counter)]) { context in
        let client = try context.connect()
        let batch = try client.make(counter, options: [("limit", 1000)])
        try batch.reset(seeds: [1])
        let good = batch.stepFields([.integer(0)])
        let first = try client.send("step", good, handle: batch.handle)
        let bad = try client.send("step", batch.stepFields([.integer(9)]), handle: batch.handle)
        let last = try client.send("step", good, handle: batch.handle)
        try client.answer("step", to: first, handle: batch.handle)
        try client.receiveError(.invalidAction, id: bad, handle: batch.handle, "the second of three requests")
        let step = try batch.decodeStep(client.answer("step", to: last, handle: batch.handle), count: 1)
        try expect(try count(step.observation[0]), 2, "the count of the step after the refused one")
    }
    list.add("order.connection-requests", .core, ["O3"]) { context in
        let client = try context.connect()
        let messages = ["ping", "status", "list", "ping", "status"]
        let ids = try messages.map { try client.send($0) }
        for (message, id) in zip(messages, ids) { try client.answer(message, to: id) }
    }
    list.add("order.ping-after-make-and-close", .core, ["O3"]) { context in
        let client = try context.connect()
        let make = try client.send("make", Client.makeFields(context.environments[0]))
        let ping = try client.send("ping")
        let batch = try Batch(client.answer("make", to: make), client: client)
        try client.answer("ping", to: ping)
        let close = try client.send("close", handle: batch.handle)
        let status = try client.send("status")
        try client.answer("close", to: close, handle: batch.handle)
        try client.answer("status", to: status)
    }
    list.add("order.close-after-steps", .core, ["O1", "O2"], needs: [.environment(counter)]) { context in
        let client = try context.connect()
        let batch = try client.make(counter)
        let reset = try client.send("reset", handle: batch.handle)
        let step = try client.send("step", batch.stepFields([.integer(0)]), handle: batch.handle)
        let close = try client.send("close", handle: batch.handle)
        let late = try client.send("step", batch.stepFields([.integer(0)]), handle: batch.handle)
        try client.answer("reset", to: reset, handle: batch.handle)
        try client.answer("step", to: step, handle: batch.handle)
        try client.answer("close", to: close, handle: batch.handle)
        try client.receiveError(.unknownHandle, id: late, handle: batch.handle, "a step sent after a close")
    }
    addSlowOrderChecks(to: &list)
    list.add("order.handles-overlap", .core, ["O4"], needs: [.environment(slow), .environment(counter)]) { context in
        try context.withGrowingTimes { milliseconds in
            let (client, sleeper) = try slowBatch(context)
            let other = try client.make(counter)
            try other.reset(seeds: [1])
            let long = try client.send("step", sleeper.stepFields([.integer(milliseconds)]), handle: sleeper.handle)
            let short = try client.send("step", other.stepFields([.integer(0)]), handle: other.handle)
            try expectFirst(client, short, "a step of one handle while another's takes \(milliseconds) ms")
            try client.answer("step", to: long, handle: sleeper.handle)
        }
    }
    list.add(
        "order.handles-overlap-when-pipelined", .core, ["O4"],
        needs: [.environment(slow), .environment(counter)]
    ) { context in
        try context.withGrowingTimes { milliseconds in
            let (client, sleeper) = try slowBatch(context)
            let other = try client.make(counter)
            try other.reset(seeds: [1])
            let fields = sleeper.stepFields([.integer(milliseconds / 2)])
            let long = try (0..<2).map { _ in try client.send("step", fields, handle: sleeper.handle) }
            let short = try client.send("step", other.stepFields([.integer(0)]), handle: other.handle)
            try expectFirst(
                client, short, "a step of one handle while another has two of \(milliseconds / 2) ms before it")
            for id in long { try client.answer("step", to: id, handle: sleeper.handle) }
        }
    }
    list.add("order.ping-overtakes-step", .core, ["O4"], needs: [.environment(slow)]) { context in
        try context.withGrowingTimes { milliseconds in
            let (client, sleeper) = try slowBatch(context)
            let long = try client.send("step", sleeper.stepFields([.integer(milliseconds)]), handle: sleeper.handle)
            let ping = try client.send("ping")
            try expectFirst(client, ping, "a ping while a handle's step takes \(milliseconds) ms")
            try client.answer("step", to: long, handle: sleeper.handle)
        }
    }
    list.add("order.connections-overlap", .core, ["O4", "X4"], needs: [.environment(slow)]) { context in
        try context.withGrowingTimes { milliseconds in
            let first = try context.connect()
            let sleeper = try first.make(slow)
            try sleeper.reset(seeds: [1])
            let long = try first.send("step", sleeper.stepFields([.integer(milliseconds)]), handle: sleeper.handle)
            try context.connect().expectAlive("another connection's step")
            try require(
                !first.raw.hasInput(within: 0),
                "a hello and a ping while another connection steps for \(milliseconds) ms",
                expected: "answers before the step's", got: "answers after it")
            try first.answer("step", to: long, handle: sleeper.handle)
        }
    }
    list.add("order.connections-do-not-mix", .core, ["O1", "W1"], needs: [.environment(counter)]) { context in
        let clients = try (0..<3).map { _ in try context.connect() }
        let batches = try clients.map { try $0.make(counter, options: [("limit", 1000)]) }
        for (index, batch) in batches.enumerated() {
            try batch.reset(seeds: [1], options: [("start", .integer(10 * index))])
        }
        for step in 1...5 {
            for (index, batch) in batches.enumerated() {
                try expect(
                    try count(batch.step(0).observation[0]), 10 * index + step, "the count of connection \(index)")
            }
        }
    }
}

/// A connection with a handle that sleeps. The text of 1.0 lets a server wait for a handle until it was slow once.
private func slowBatch(_ context: Context) throws -> (Client, Batch) {
    let client = try context.connect()
    let batch = try client.make(slow)
    try batch.reset(seeds: [1])
    if context.minor == 0 { try batch.step(50) }
    return (client, batch)
}

/// Fails unless the next answer is that to the request: handles, and pings, do not wait for other handles.
private func expectFirst(_ client: Client, _ id: UInt64, _ what: String) throws {
    let response = try client.receive(what)
    try require(
        response.number("id") == id && !response.has("error"), "\(what): the first answer (O4)",
        expected: "that to the request \(id), since no handle waits for another",
        got: response.has("error")
            ? Client.describe(response) : "that to the request \(response.number("id")), sent before")
}

/// O2, O3: what is slow is waited for, where an order is promised.
private func addSlowOrderChecks(to list: inout CheckList) {
    let make = Client.makeFields(slow, options: [("make_milliseconds", 100)])
    list.add("order.ping-after-slow-make", .core, ["O3"], needs: [.environment(slow)]) { context in
        let client = try context.connect()
        let making = try client.send("make", make)
        let pings = try ["ping", "status"].map { ($0, try client.send($0)) }
        try client.answer("make", to: making)
        for (message, id) in pings { try client.answer(message, to: id) }
    }
    list.add("order.ping-after-slow-close", .core, ["O3"], needs: [.environment(slow)]) { context in
        let client = try context.connect()
        let batch = try client.make(slow)
        try batch.reset(seeds: [1])
        let step = try client.send("step", batch.stepFields([.integer(100)]), handle: batch.handle)
        let close = try client.send("close", handle: batch.handle)
        let ping = try client.send("ping")
        let late = try client.send("close", handle: batch.handle)
        try client.answer("step", to: step, handle: batch.handle)
        try client.answer("close", to: close, handle: batch.handle)
        try client.answer("ping", to: ping)
        try client.receiveError(.unknownHandle, id: late, handle: batch.handle, "a second close, sent behind the first")
    }
    list.add("order.unknown-handle-after-slow-make", .core, ["O3", "H1"], needs: [.environment(slow)]) { context in
        let client = try context.connect()
        let making = try client.send("make", make)
        let unknown = try client.send("reset", handle: 4711)
        try client.answer("make", to: making)
        try client.receiveError(
            .unknownHandle, id: unknown, handle: 4711, "a reset of no handle, sent behind a make that takes 100 ms")
    }
    list.add("order.unread-after-slow-make", .core, ["O3", "F8"], needs: [.environment(slow)], since: 1) { context in
        let client = try context.connect()
        let making = try client.send("make", make)
        try client.send(bytes: RawConnection.frame([0x22, 0x7F, 0x01]))
        try client.answer("make", to: making)
        try client.receiveError(
            .malformedMessage, id: 0, "a body that cannot be decoded, sent behind a make that takes 100 ms")
    }
}
