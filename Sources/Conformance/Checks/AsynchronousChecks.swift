/// H5, M24, M25: environments of a batch that step by themselves.
func addAsynchronousChecks(to list: inout CheckList) {
    let async = Requirement.capability("async.v1")
    list.add("async.send-and-receive", .vector, ["M24", "M25", "H7"], needs: [async]) { context in
        let client = try context.connect()
        try context.forEach(try context.deterministicEnvironments()) { id in
            let batch = try client.make(id, count: 3)
            guard batch.observationSpace.isFixed else { return }
            let together = try client.make(id, count: 3)
            try batch.reset(seeds: [1])
            try together.reset(seeds: [1])
            var sampler = batch.sampler()
            for round in 0..<3 {
                let actions = batch.actions(&sampler)
                let expected = try together.step(actions)
                try batch.send([2, 0, 1], [actions[2], actions[0], actions[1]])
                let step = try batch.receive(3)
                try expect(step.environments.sorted(), [0, 1, 2], "environments received")
                for (position, row) in step.environments.enumerated() {
                    try expect(
                        describe(step.observation[position]), describe(expected.observation[row]),
                        "round \(round): the observation of environment \(row)")
                    try expect(
                        step.rewards[position], expected.rewards[row], "round \(round): the reward of \(row)")
                }
            }
        }
    }
    list.add("async.first-ready", .vector, ["M25"], needs: [async, .environment(slow)]) { context in
        try context.withGrowingTimes { milliseconds in
            let batch = try context.connect().make(slow, count: 3)
            try batch.reset(seeds: [1])
            try batch.send([0, 1, 2], [.integer(milliseconds), .integer(0), .integer(milliseconds / 2)])
            try expect(try batch.receive(1).environments, [1], "the first that is ready")
            try expect(
                try batch.receive(2).environments, [2, 0], "the other two, in the order in which they became ready")
        }
    }
    list.add("async.send-answers-at-once", .vector, ["M24"], needs: [async, .environment(slow)]) { context in
        try context.withGrowingTimes { milliseconds in
            let batch = try context.connect().make(slow)
            try batch.reset(seeds: [1])
            let start = now()
            try batch.send([0], [.integer(milliseconds)])
            try require(
                now() - start < 0.8e-3 * Double(milliseconds), "the answer to send",
                expected: "before the step of \(milliseconds) ms is done", got: "after \(now() - start) s")
            _ = try batch.receive(1)
        }
    }
    list.add("async.some-rows", .vector, ["M24", "A8"], needs: [async, .environment(counter)]) { context in
        let batch = try context.connect().make(counter, count: 3, options: [("limit", 50)])
        try batch.reset(seeds: [1])
        try batch.send([1], [.integer(0)])
        let step = try batch.receive(1)
        try expect(step.environments, [1], "environments received")
        try expect(try step.observation.map(count), [1], "its count")
        try expect(try batch.step(0).observation.map(count), [1, 2, 1], "counts of a step of all after it")
    }
    list.add("async.pending-refuses-others", .vector, ["H5"], needs: [async, .environment(counter)]) { context in
        let batch = try context.connect().make(counter, count: 2)
        try batch.reset(seeds: [1])
        try batch.send([1], [.integer(0)])
        try batch.expectError(.alreadyPending, "step", batch.stepFields(repeated(batch)))
        try batch.expectError(.alreadyPending, "reset")
        if context.capabilities.contains("state.v1") { try batch.expectError(.alreadyPending, "get_state") }
        if context.capabilities.contains("spaces.v1") { try batch.call("sample") }
        try expect(try count(batch.receive(1).observation[0]), 1, "the count of what was pending")
        try expect(try batch.step(0).observation.map(count), [1, 2], "counts of the step after it")
    }
    list.add("async.pending-refuses-a-mask", .vector, ["H5"], needs: [async, .environment(counter)]) { context in
        let batch = try context.connect().make(counter, count: 3, options: [("limit", 50)])
        try batch.reset(seeds: [1])
        try batch.send([1], [.integer(0)])
        try batch.expectError(
            .alreadyPending, "reset", Batch.resetFields(mask: [1, 0, 0]), "a reset of row 0 while row 1 is pending")
        try batch.expectError(
            .alreadyPending, "reset", Batch.resetFields(mask: [0, 1, 0]), "a reset of row 1, which is pending")
        try expect(try batch.receive(1).observation.map(count), [1], "the count of what was pending")
        try expect(try batch.reset(mask: [1, 0, 0]).observation.map(count), [0, 1, 0], "counts of a reset after it")
    }
    list.add("async.last-sent", .vector, ["M18", "M25"], needs: [async, .environment(counter)]) { context in
        let batch = try context.connect().make(counter, count: 3, options: [("limit", 50)])
        try batch.reset(seeds: [1])
        for _ in 0..<2 {
            try batch.send([2, 1], [.integer(0), .integer(0)])
            _ = try batch.receive(2)
        }
        try expect(
            try batch.reset(mask: [1, 0, 0]).observation.map(count), [0, 2, 2],
            "counts of a reset of row 0, the others as receive last sent them")
    }
    list.add("async.rows-are-named-in-order", .vector, ["E3", "M24"], needs: [async, .environment(counter)]) {
        context in
        let batch = try context.connect().make(counter, count: 4)
        try batch.reset(seeds: [1])
        let error = try batch.expectError(
            .invalidAction, "send", batch.sendFields([3, 0, 1], [.integer(7), .integer(0), .integer(9)]),
            "a send to rows 3, 0 and 1, of which 3 and 1 are wrong")
        try expect(rowsNamed(error), [1, 3], "rows that the details name, ascending")
    }
    list.add("async.step-time", .vector, ["M34", "M25"], needs: [async, .environment(slow)], since: 1) { context in
        let batch = try context.connect().make(slow, count: 2, extra: [("want_step_time", true)])
        try batch.reset(seeds: [1])
        try batch.send([1, 0], [.integer(0), .integer(60)])
        let step = try batch.receive(2)
        try expect(step.nanoseconds.count, 2, "number of step_nanoseconds of two rows received")
        let position = step.environments.firstIndex(of: 0) ?? 0
        try require(
            step.nanoseconds[position] >= 60_000_000, "step_nanoseconds of the row that took 60 ms",
            expected: "at least 60000000", got: "\(step.nanoseconds[position])")
    }
    list.add("async.sent-twice", .vector, ["M24", "H5"], needs: [async, .environment(counter)]) { context in
        let batch = try context.connect().make(counter, count: 2)
        try batch.reset(seeds: [1])
        try batch.send([0], [.integer(0)])
        try batch.expectError(.alreadyPending, "send", batch.sendFields([0], [.integer(0)]))
        try batch.expectError(.alreadyPending, "send", batch.sendFields([1, 0], [.integer(0), .integer(0)]))
        try batch.send([1], [.integer(0)])
        try expect(try batch.receive(2).environments.sorted(), [0, 1], "environments received")
    }
    list.add("async.indices", .vector, ["M24"], needs: [async, .environment(counter)]) { context in
        let batch = try context.connect().make(counter, count: 2)
        try batch.reset(seeds: [1])
        for bad in [[], [2], [0, 0], [0, 1, 0], [Int(UInt32.max)]] {
            try batch.expectError(
                .invalidArgument, "send", batch.sendFields(bad, bad.map { _ in .integer(0) }), "send to \(bad)")
        }
    }
    list.add("async.actions", .vector, ["M24", "M20"], needs: [async, .environment(counter)]) { context in
        let batch = try context.connect().make(counter, count: 2)
        try batch.reset(seeds: [1])
        try batch.expectError(.invalidAction, "send", batch.sendFields([0, 1], [.integer(0)]), "one action for two")
        let error = try batch.expectError(
            .invalidAction, "send", batch.sendFields([0, 1], [.integer(0), .integer(5)]), "an action outside its space")
        try expect(
            error.messages("details").filter { $0.has("environment_index") }.map { $0.integer("environment_index") },
            [1], "rows that the details name")
        try expect(try batch.step(0).observation.map(count), [1, 1], "counts of the step after refused sends")
    }
    list.add("async.needs-reset", .vector, ["M24", "H2"], needs: [async, .environment(counter)]) { context in
        let batch = try context.connect().make(counter, count: 2)
        try batch.reset(seeds: [1], mask: [1, 0])
        let error = try batch.expectError(
            .needsReset, "send", batch.sendFields([0, 1], [.integer(0), .integer(0)]))
        try expect(error.messages("details").map { $0.integer("environment_index") }, [1], "rows in need of reset")
        try batch.expectError(.nothingPending, "receive", [("count", 1)])
    }
    list.add("async.nothing-pending", .vector, ["M25"], needs: [async, .environment(counter)]) { context in
        let batch = try context.connect().make(counter, count: 3)
        try batch.reset(seeds: [1])
        try batch.expectError(.nothingPending, "receive", [("count", 1)])
        try batch.send([0, 1], [.integer(0), .integer(0)])
        for bad in [0, 3, 1000] {
            try batch.expectError(.nothingPending, "receive", [("count", .integer(bad))], "receive \(bad) of 2")
        }
        try expect(try batch.receive(2).environments.sorted(), [0, 1], "environments received")
    }
    list.add("async.autoreset", .vector, ["M25", "A4", "A5"], needs: [async, .environment(counter)]) { context in
        for mode in [Autoreset.nextStep, .sameStep] {
            let batch = try context.connect().make(counter, count: 2, options: [("limit", 1)], autoreset: mode)
            try batch.reset(seeds: [1])
            try batch.send([1], [.integer(0)])
            let step = try batch.receive(1)
            try expect(step.finalIndex, [0], "\(mode): final_index, which counts rows of the response")
            try expect(step.returns, [1], "\(mode): returns")
            if mode == .sameStep { try expect(try step.finalObservation.map(count), [1], "final observations") }
        }
    }
    list.add("async.fault", .vector, ["M25", "A9"], needs: [async, .environment(fault)]) { context in
        let batch = try context.connect().make(fault, count: 3)
        try batch.reset(seeds: [1])
        try batch.send([2], [.integer(1)])
        let step = try batch.receive(1)
        try expect(step.faults.map(\.index), [2], "the environment of the fault, by its own number")
        try expect(step.truncated, [1], "truncated")
    }
    list.add("async.close-while-pending", .vector, ["H5", "M32"], needs: [async, .environment(slow)]) { context in
        let client = try context.connect()
        let batch = try client.make(slow)
        try batch.reset(seeds: [1])
        try batch.send([0], [.integer(50)])
        try batch.call("close")
        try batch.expectError(.unknownHandle, "receive", [("count", 1)])
    }
    list.add("async.ragged", .vector, ["M24", "V8"], needs: [async, .environment(echo)]) { context in
        let batch = try context.connect().make(echo, count: 3, options: [("space", "text")])
        try batch.reset(seeds: [1])
        let actions: [Member] = [.text("a"), .text("bb"), .text("ccc")]
        try batch.send([0, 1, 2], actions)
        let step = try batch.receive(3)
        try expect(step.environments.sorted(), [0, 1, 2], "environments received")
        for (position, row) in step.environments.enumerated() {
            try expect(step.observation[position], [actions[row]], "the echo of environment \(row)")
        }
    }
}
