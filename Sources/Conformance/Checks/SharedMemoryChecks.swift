/// S: steps through shared memory.
func addSharedMemoryChecks(to list: inout CheckList) {
    let shared = Requirement.capability("shared-memory.v1")
    list.add("shared.layout", .sharedMemory, ["S1", "S3", "S4"], needs: [shared]) { context in
        let client = try context.connect()
        try context.forEach(try context.fixedEnvironments()) { id in
            for mode in Autoreset.allCases {
                let memory = try SharedBatch(client, id, count: 3, autoreset: mode)
                try require(memory.isZero, "the memory at first (S3)", expected: "zeros", got: "other bytes")
                try memory.batch.call("close")
            }
        }
    }
    list.add("shared.layout-of-all-spaces", .sharedMemory, ["S3", "T1"], needs: [shared, .environment(echo)]) {
        context in
        let client = try context.connect()
        try forEachEchoSpace(context) { name in
            let socket = try client.make(echo, options: [("space", .text(name))])
            try socket.call("close")
            guard socket.actionSpace.isFixed else { return }
            let memory = try SharedBatch(client, echo, count: 3, options: [("space", .text(name))])
            try memory.batch.reset(seeds: [1])
            var sampler = memory.batch.sampler()
            for _ in 0..<3 {
                let actions = memory.batch.actions(&sampler)
                try expect(
                    try memory.step(actions).observation, actions.map(memory.batch.actionSpace.leaves(of:)),
                    "\(name): the echo")
            }
            try memory.batch.call("close")
        }
    }
    list.add("shared.same-bits-as-by-socket", .sharedMemory, ["S9", "H7"], needs: [shared]) { context in
        let client = try context.connect()
        try context.forEach(try context.fixedEnvironments().filter { !context.specs[$0]!.flag("nondeterministic") }) {
            id in
            for mode in [Autoreset.nextStep, .sameStep] {
                let memory = try SharedBatch(client, id, count: 3, autoreset: mode, limit: 5)
                let socket = try client.make(id, count: 3, autoreset: mode, limit: 5)
                try expect(
                    try memory.batch.reset(seeds: [2]).observation, try socket.reset(seeds: [2]).observation,
                    "\(mode): first observations")
                var sampler = socket.sampler()
                for step in 0..<14 {
                    let actions = socket.actions(&sampler)
                    try expectSame(
                        [try memory.step(actions)], [try socket.step(actions)], "\(mode), step \(step)")
                }
                try memory.batch.call("close")
                try socket.call("close")
            }
        }
    }
    list.add("shared.two-sets", .sharedMemory, ["S5", "S8"], needs: [shared, .environment(counter)]) { context in
        let memory = try SharedBatch(try context.connect(), counter, options: [("limit", 100)])
        try memory.batch.reset(seeds: [1])
        for step in 0..<6 {
            try memory.step(0)
            try expect(try count(memory.results(step % 2).observation[0]), step + 1, "the count in set \(step) mod 2")
            if step > 0 {
                try expect(
                    try count(memory.results((step + 1) % 2).observation[0]), step,
                    "the count in the other set, of the step before")
            }
        }
    }
    list.add("shared.response-word", .sharedMemory, ["S5"], needs: [shared, .environment(counter)]) { context in
        let memory = try SharedBatch(try context.connect(), counter)
        try memory.batch.reset(seeds: [1])
        try expect(memory.responseWord, 0, "the response word before any step")
        for step in UInt32(1)...3 {
            try memory.step(0)
            try expect(memory.responseWord, step, "the response word after step \(step)")
        }
    }
    list.add("shared.wraps-around", .sharedMemory, ["S5"], needs: [shared, .environment(counter)]) { context in
        let memory = try SharedBatch(try context.connect(), counter, options: [("limit", 100)])
        try memory.batch.reset(seeds: [1])
        // Any change is one request, answered with the value read.
        for value: UInt32 in [.max, 1, 0] {
            memory.ring(value)
            try memory.waitForAnswer(to: value)
            try expect(memory.status, 0, "the status")
        }
        try expect(try count(memory.results(1).observation[0]), 3, "the count after three rings")
    }
    list.add("shared.wakes-a-sleeper", .sharedMemory, ["S7"], needs: [shared, .environment(slow)]) { context in
        let memory = try SharedBatch(try context.connect(), slow)
        try memory.batch.reset(seeds: [1])
        // A client that was held up for longer than the step takes finds the answer there, and has not slept.
        for milliseconds in [100, 100, 500, 2000] {
            memory.begin([.integer(milliseconds)])
            if try memory.isWoken(by: memory.sequence, within: context.settling) { return }
        }
        throw Skip(reason: "this machine is too busy: four answers came before this process slept")
    }
    list.add("shared.autoreset-table", .sharedMemory, ["A5", "S8"], needs: [shared, .environment(counter)]) { context in
        let memory = try SharedBatch(
            try context.connect(), counter, count: 2, options: [("limit", 2), ("rewards", "count")],
            autoreset: .sameStep)
        try memory.batch.reset(seeds: [1])
        try memory.batch.reset(mask: [0, 1], options: [("start", 1)])
        let first = try memory.step(0)
        try expect(try first.observation.map(count), [1, 0], "counts of step 1")
        try expect(first.terminated, [0, 1], "terminated of step 1")
        try expect(try first.finalObservation.map(count), [2], "counts of final observations of step 1")
        let second = try memory.step(0)
        try expect(try second.observation.map(count), [0, 1], "counts of step 2")
        try expect(second.returns, [3], "returns of step 2")
        try expect(second.lengths, [2], "lengths of step 2")
    }
    list.add("shared.invalid-action", .sharedMemory, ["S6", "S9", "H6"], needs: [shared, .environment(counter)]) {
        context in
        let memory = try SharedBatch(try context.connect(), counter, count: 2, options: [("limit", 100)])
        try memory.batch.reset(seeds: [1])
        try memory.step(0)
        try memory.step(0)
        let before = [try memory.bytes(ofSet: 0), try memory.bytes(ofSet: 1)]
        let error = try memory.expectError(
            .invalidAction, [.integer(0), .integer(2)], "the action 2 of Discrete(2) in shared memory")
        try expect(
            error.messages("details").filter { $0.has("environment_index") }.map { $0.integer("environment_index") },
            [1], "rows that the details name")
        try expect([try memory.bytes(ofSet: 0), try memory.bytes(ofSet: 1)], before, "the results, untouched")
        try expect(try memory.step(0).observation.map(count), [3, 3], "counts of the next step")
    }
    list.add("shared.needs-reset", .sharedMemory, ["S6", "H2"], needs: [shared]) { context in
        let memory = try SharedBatch(try context.connect(), try context.fixedEnvironments()[0])
        try memory.expectError(.needsReset, repeated(memory.batch), "a step of fresh environments")
        try memory.batch.reset(seeds: [1])
        try memory.step(repeated(memory.batch))
    }
    list.add("shared.info", .sharedMemory, ["S6", "M23"], needs: [shared, .environment(counter)]) { context in
        let memory = try SharedBatch(try context.connect(), counter, count: 2, options: [("limit", 100)])
        try memory.batch.reset(seeds: [1])
        memory.begin([.integer(1), .integer(0)], wantsInfo: true)
        let result = try memory.finish()
        try expect(result.status, 1, "the status of a step with info")
        try expect(result.step.info.first { $0.name == "action" }?.values, [.integer(1), .integer(0)], "info 'action'")
        try expect(try result.step.observation.map(count), [1, 1], "counts")
        memory.begin([.integer(1), .integer(0)])
        try expect(try memory.finish().status, 0, "the status of a step without info")
    }
    list.add("shared.fault", .sharedMemory, ["S6", "A9"], needs: [shared, .environment(fault)]) { context in
        let memory = try SharedBatch(try context.connect(), fault, count: 2)
        try memory.batch.reset(seeds: [1])
        memory.begin([.integer(0), .integer(1)])
        let result = try memory.finish()
        try expect(result.status, 1, "the status of a step with a fault")
        try expect(result.step.faults.map(\.index), [1], "rows in faults")
        try expect(result.step.truncated, [0, 1], "truncated")
        try expect(try result.step.observation.map(integers), [[1], [0]], "observations")
    }
    list.add("shared.steps-by-socket-refused", .sharedMemory, ["S2"], needs: [shared]) { context in
        let memory = try SharedBatch(try context.connect(), try context.fixedEnvironments()[0], count: 2)
        let batch = memory.batch
        try batch.reset(seeds: [1])
        try batch.expectError(.notAllowed, "step", batch.stepFields(repeated(batch)))
        if context.capabilities.contains("async.v1") {
            try batch.expectError(.notAllowed, "send", batch.sendFields([0], [repeated(batch)[0]]))
            try batch.expectError(.notAllowed, "receive", [("count", 1)])
        }
        try memory.step(repeated(batch))
    }
    list.add("shared.others-by-socket", .sharedMemory, ["S2"], needs: [shared, .environment(counter)]) { context in
        let memory = try SharedBatch(
            try context.connect(), counter, count: 2, options: [("limit", 100)],
            extra: context.capabilities.contains("render.v1") ? [("render_mode", "ansi")] : [])
        let batch = memory.batch
        try batch.reset(seeds: [1])
        try memory.step(0)
        if context.capabilities.contains("state.v1") {
            let states = try batch.states()
            try memory.step(0)
            try batch.restore(states)
        }
        if context.capabilities.contains("render.v1") {
            let frames = try batch.call("render").messages("frames")
            try require(
                frames.first?.text("text").hasPrefix("count 1 ") == true, "a frame", expected: "count 1",
                got: "\(frames)")
        }
        if context.capabilities.contains("spaces.v1") { try batch.call("sample") }
        try expect(try batch.reset(mask: [1, 0]).observation.map(count)[0], 0, "the count of a reset by socket")
        try expect(try memory.step(0).observation.map(count), [1, 2], "counts of the step after it")
    }
    list.add("shared.several-handles", .sharedMemory, ["S1", "S5"], needs: [shared, .environment(counter)]) { context in
        let client = try context.connect()
        let first = try SharedBatch(client, counter, options: [("limit", 100)])
        let second = try SharedBatch(client, counter, options: [("limit", 100)])
        try first.batch.reset(seeds: [1])
        try second.batch.reset(seeds: [1], options: [("start", 50)])
        for step in 1...3 {
            first.begin([.integer(0)])
            second.begin([.integer(0)])
            try expect(try count(second.finish().step.observation[0]), 50 + step, "the second handle's count")
            try expect(try count(first.finish().step.observation[0]), step, "the first handle's count")
        }
    }
    list.add("shared.makes-under-way", .sharedMemory, ["S1"], needs: [shared]) { context in
        // Each answer has the descriptor of its own memory: they differ in size, which each memory shows.
        let client = try context.connect()
        let id = try context.fixedEnvironments()[0]
        let counts = [40, 1, 300, 7]
        let ids = try counts.map {
            try client.send("make", Client.makeFields(id, count: $0, extra: [("transport", 2)]))
        }
        let memories = try zip(counts, ids).map { count, request in
            let batch = try Batch(client.answer("make", to: request), client: client)
            try expect(batch.count, count, "num_envs of an answer to make")
            return try SharedBatch(batch)
        }
        for memory in memories {
            try memory.batch.reset(seeds: [1])
            try memory.step(repeated(memory.batch))
        }
    }
    list.add("shared.step-time", .sharedMemory, ["M34", "S3"], needs: [shared, .environment(slow)], since: 1) {
        context in
        let client = try context.connect()
        let memory = try SharedBatch(client, slow, count: 2, extra: [("want_step_time", true)])
        try memory.batch.reset(seeds: [1])
        for row in 0..<2 {
            let times = try memory.step((0..<2).map { Member.integer($0 == row ? 60 : 0) }).nanoseconds
            try require(
                times.count == 2 && times[row] >= 60_000_000, "step_nanoseconds where row \(row) takes 60 ms",
                expected: "at least 60000000 of row \(row)", got: "\(times)")
        }
        let plain = try SharedBatch(client, slow)
        for results in plain.layout.messages("results") {
            try require(
                !results.has("step_nanoseconds"), "results of a make that does not want step times",
                expected: "no region step_nanoseconds", got: "one")
        }
    }
    list.add("shared.close", .sharedMemory, ["S8", "M32"], needs: [shared, .environment(counter)]) { context in
        let memory = try SharedBatch(try context.connect(), counter, options: [("limit", 100)])
        try memory.batch.reset(seeds: [1])
        try memory.step(0)
        try memory.batch.call("close")
        try memory.batch.expectError(.unknownHandle, "reset")
        // The memory is this side's as well: what was answered stays.
        try expect(memory.responseWord, 1, "the response word after close")
        try expect(try count(memory.results(0).observation[0]), 1, "the count of the last step, after close")
    }
    list.add("shared.spoilt-control-block", .sharedMemory, ["S9", "E5"], needs: [shared]) { context in
        let client = try context.connect()
        let memory = try SharedBatch(client, try context.fixedEnvironments()[0])
        try memory.batch.reset(seeds: [1])
        memory.scribble()
        memory.ring(77)
        let ids = [try client.send("ping"), try client.send("close", handle: memory.batch.handle)]
        // What the server says of the step that it was asked for comes with id 0, at any time.
        var answered: [UInt64] = []
        while answered.count < 2 {
            let response = try client.receive()
            if response.number("id") != 0 { answered.append(response.number("id")) }
        }
        try expect(answered, ids, "answers to a ping and a close after a control block full of noise")
        try context.connect().expectAlive("a client that scribbled")
    }
    list.add("shared.end-of-the-connection", .sharedMemory, ["S7", "W2"], needs: [shared]) { context in
        let client = try context.connect()
        let memory = try SharedBatch(client, try context.fixedEnvironments()[0], count: 4)
        try memory.batch.reset(seeds: [1])
        try memory.step(repeated(memory.batch))
        let watcher = try context.connect()
        let before = try watcher.call("status").number("environments")
        client.raw.close()
        try context.expectEventually("environments after a client with shared memory has gone", expected: "4 less") {
            try watcher.call("status").number("environments") + 4 <= before
        }
    }
}

extension SharedBatch {
    /// Fills what the client may not write, and all else, with noise.
    func scribble() {
        for leaf in batch.actionSpace.leaves.indices {
            let count = batch.count * batch.actionSpace.tensorLayouts![leaf].byteCount
            write([UInt8](repeating: 0xA5, count: count), leaf: leaf)
        }
        fillControlBlock(with: 0xA5)
    }
}
