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
    list.add("order.handles-overlap", .core, ["O4"], needs: [.environment(slow), .environment(counter)]) { context in
        try context.withGrowingTimes { milliseconds in
            let client = try context.connect()
            let sleeper = try client.make(slow)
            let other = try client.make(counter)
            try sleeper.reset(seeds: [1])
            try other.reset(seeds: [1])
            let long = try client.send("step", sleeper.stepFields([.integer(milliseconds)]), handle: sleeper.handle)
            try expect(try other.step(0).rewards, [1], "a step while another handle's takes \(milliseconds) ms")
            try client.answer("step", to: long, handle: sleeper.handle)
        }
    }
    list.add(
        "order.handles-overlap-when-pipelined", .core, ["O4"],
        needs: [.environment(slow), .environment(counter)]
    ) { context in
        try context.withGrowingTimes { milliseconds in
            let client = try context.connect()
            let sleeper = try client.make(slow)
            let other = try client.make(counter)
            try sleeper.reset(seeds: [1])
            try other.reset(seeds: [1])
            let fields = sleeper.stepFields([.integer(milliseconds / 2)])
            let long = try (0..<2).map { _ in try client.send("step", fields, handle: sleeper.handle) }
            try expect(
                try other.step(0).rewards, [1],
                "a step while another handle has two of \(milliseconds / 2) ms before it")
            for id in long { try client.answer("step", to: id, handle: sleeper.handle) }
        }
    }
    list.add("order.ping-overtakes-step", .core, ["O4"], needs: [.environment(slow)]) { context in
        try context.withGrowingTimes { milliseconds in
            let client = try context.connect()
            let sleeper = try client.make(slow)
            try sleeper.reset(seeds: [1])
            let long = try client.send("step", sleeper.stepFields([.integer(milliseconds)]), handle: sleeper.handle)
            let ping = try client.send("ping")
            try client.answer("ping", to: ping)
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
