/// M27 to M29: saving and restoring.
func addStateChecks(to list: inout CheckList) {
    let state = Requirement.capability("state.v1")
    list.add("state.goes-on-exactly", .state, ["M28", "M29"], needs: [state]) { context in
        let client = try context.connect()
        try context.forEach(try context.restorableEnvironments()) { id in
            // From the middle of an episode, and from where short ones have just ended.
            for (mode, steps) in [(Autoreset.nextStep, 2), (.nextStep, 3), (.sameStep, 2), (.sameStep, 3)] {
                let batch = try client.make(id, count: 2, autoreset: mode, limit: 7)
                try batch.reset(seeds: [1])
                var sampler = batch.sampler()
                for _ in 0..<steps { try batch.step(batch.actions(&sampler)) }
                let states = try batch.states()
                let actions = (0..<15).map { _ in batch.actions(&sampler) }
                let expected = try actions.map { try batch.step($0) }
                try batch.restore(states)
                try expectSame(
                    try actions.map { try batch.step($0) }, expected,
                    "\(mode): steps after a restore to step \(steps)")
                try batch.call("close")
            }
        }
    }
    list.add("state.any-row-any-handle-any-connection", .state, ["M28", "W3"], needs: [state]) { context in
        let client = try context.connect()
        try context.forEach(try context.restorableEnvironments()) { id in
            let batch = try client.make(id, count: 3)
            try batch.reset(seeds: [40])
            var sampler = batch.sampler()
            for _ in 0..<2 { try batch.step(batch.actions(&sampler)) }
            let state = try batch.states([2])
            let actions = (0..<5).map { _ in batch.actions(&sampler) }
            let expected = try actions.map { try batch.step($0) }.map { describe($0.observation[2]) }
            // Whoever made it may be gone: a state is the client's (W3).
            try batch.call("close")
            let other = try context.connect().make(id, count: 2)
            try other.reset(seeds: [1])
            try other.restore(state, [0])
            let got = try actions.map { try other.step([$0[2], $0[2]]) }.map { describe($0.observation[0]) }
            try expect(got, expected, "observations of row 2 gone on with as row 0 of another connection")
        }
    }
    list.add("state.of-fresh-rows", .state, ["M28", "H2"], needs: [state]) { context in
        let client = try context.connect()
        let id = try context.restorableEnvironments()[0]
        let fresh = try client.make(id).states()
        let batch = try client.make(id)
        try batch.reset(seeds: [1])
        try batch.restore(fresh)
        try batch.expectError(.needsReset, "step", batch.stepFields(repeated(batch)), "a step of a restored fresh row")
        let running = try client.make(id)
        try running.reset(seeds: [3])
        let target = try client.make(id)
        try target.restore(try running.states())
        try target.step(repeated(target))
    }
    list.add("state.generator", .state, ["M28"], needs: [state]) { context in
        let client = try context.connect()
        try context.forEach(try context.restorableEnvironments()) { id in
            let batch = try client.make(id)
            try batch.reset(seeds: [12])
            let state = try batch.states()
            let expected = try (0..<3).map { _ in describe(try batch.reset().observation[0]) }
            try batch.reset(seeds: [99])
            try batch.restore(state)
            let reset = try batch.reset()
            try expect(reset.effectiveSeeds, [12], "effective_seeds after a restore")
            try expect(describe(reset.observation[0]), expected[0], "the next episode after a restore")
            try expect(describe(try batch.reset().observation[0]), expected[1], "the one after it")
        }
    }
    list.add("state.episode", .state, ["M28"], needs: [state, .environment(counter)]) { context in
        let batch = try context.connect().make(counter, options: [("limit", 100), ("rewards", "count")], limit: 4)
        try batch.reset(seeds: [1])
        try batch.step(0)
        try batch.step(0)
        let state = try batch.states()
        try batch.reset()
        try batch.restore(state)
        try expect(try batch.step(0).truncated, [0], "truncated at step 3 of 4, the first after a restore")
        let last = try batch.step(0)
        try expect(last.truncated, [1], "truncated at step 4 of 4")
        try expect(last.lengths, [4], "the length of the whole episode")
        try expect(last.returns, [10], "the return of the whole episode")
    }
    list.add("state.of-an-ended-row", .state, ["M28", "A4"], needs: [state, .environment(counter)]) { context in
        let batch = try context.connect().make(counter, options: [("limit", 2)])
        try batch.reset(seeds: [1])
        try batch.step(0)
        try batch.step(0)
        let state = try batch.states()
        try batch.reset()
        try batch.restore(state)
        let step = try batch.step(0)
        try expect(try count(step.observation[0]), 0, "the count of the step after restoring an ended row")
        try expect(step.rewards, [0], "its reward")
    }
    list.add("state.some-rows", .state, ["M27", "M29"], needs: [state, .environment(counter)]) { context in
        let batch = try context.connect().make(counter, count: 3, options: [("limit", 100)])
        try batch.reset(seeds: [1])
        try batch.step(0)
        let one = try batch.states([1])
        try batch.step(0)
        try batch.step(0)
        try batch.restore(one, [1])
        try expect(try batch.step(0).observation.map(count), [4, 2, 4], "counts after row 1 went back by two steps")
        let order = try batch.states([2, 1])
        try batch.restore(order, [1, 2])
        try expect(try batch.step(0).observation.map(count), [5, 5, 3], "counts after rows 1 and 2 changed places")
    }
    list.add("state.observations-stay", .state, ["M29", "M18"], needs: [state, .environment(counter)]) { context in
        let batch = try context.connect().make(counter, count: 2, options: [("limit", 100)])
        try batch.reset(seeds: [1])
        let state = try batch.states([0])
        for _ in 0..<3 { try batch.step(0) }
        try batch.restore(state, [0])
        try expect(
            try batch.reset(mask: [0, 1]).observation.map(count), [3, 0],
            "counts as last sent, of a row that was restored and one that was reset")
    }
    list.add("state.indices", .state, ["M27", "M29"], needs: [state, .environment(counter)]) { context in
        let batch = try context.connect().make(counter, count: 2)
        try batch.reset(seeds: [1])
        let states = try batch.states()
        try batch.expectError(.invalidArgument, "get_state", [("environment_index", .integers([2]))])
        try batch.expectError(.invalidArgument, "set_state", Batch.stateFields(states, [0, 5]), "rows 0 and 5")
        try batch.expectError(.invalidArgument, "set_state", Batch.stateFields(states, [0, 0]), "row 0 twice")
        try batch.expectError(.invalidArgument, "set_state", Batch.stateFields([states[0]]), "one state for two rows")
        try batch.expectError(.invalidArgument, "set_state", Batch.stateFields([]), "no state")
    }
    list.add("state.garbage", .state, ["M29", "H6"], needs: [state]) { context in
        let client = try context.connect()
        try context.forEach(try context.restorableEnvironments()) { id in
            let batch = try client.make(id, count: 2)
            try batch.reset(seeds: [1])
            let good = try batch.states()
            let bad: [(String, [UInt8])] = [
                ("no bytes", []), ("a byte short", Array(good[1].dropLast())), ("a byte more", good[1] + [0]),
                ("zeros", [UInt8](repeating: 0, count: good[1].count)),
                ("noise", [UInt8](repeating: 0xA5, count: good[1].count)),
            ]
            for (what, state) in bad {
                let error = try batch.expectError(
                    .invalidState, "set_state", Batch.stateFields([good[0], state]), "a state of \(what)")
                try expect(
                    error.messages("details").filter { $0.has("environment_index") }.map {
                        $0.integer("environment_index")
                    }, [1], "\(what): rows that the details name")
            }
        }
    }
    list.add("state.all-or-none", .state, ["M29"], needs: [state, .environment(counter)]) { context in
        let batch = try context.connect().make(counter, count: 2, options: [("limit", 100)])
        try batch.reset(seeds: [1])
        let start = try batch.states()
        for _ in 0..<3 { try batch.step(0) }
        try batch.expectError(.invalidState, "set_state", Batch.stateFields([start[0], [1, 2, 3]]))
        try expect(try batch.step(0).observation.map(count), [4, 4], "counts after a restore that failed in row 1")
    }
    list.add(
        "state.of-another-environment", .state, ["M28", "M29"],
        needs: [state, .environment(counter), .environment(echo)]
    ) { context in
        let client = try context.connect()
        let batch = try client.make(counter)
        try batch.reset(seeds: [1])
        let other = try client.make(echo)
        try other.reset(seeds: [1])
        try batch.expectError(
            context.minor == 0 ? [.invalidState] : [.incompatibleState], "set_state",
            Batch.stateFields(try other.states()), "a state of \(echo), for \(counter)")
    }
    list.add("state.of-another-environment-is-named", .state, ["M36"], needs: [state, .environment(counter)], since: 1)
    {
        context in
        let client = try context.connect()
        let ids = try context.restorableEnvironments().filter { $0 != counter }
        guard let id = ids.first else { throw Skip(reason: "\(counter) alone is restorable") }
        let batch = try client.make(counter, count: 2)
        try batch.reset(seeds: [1])
        let good = try batch.states()
        let other = try client.make(id)
        try other.reset(seeds: [1])
        let error = try batch.expectError(
            .incompatibleState, "set_state", Batch.stateFields([good[0], try other.states()[0]]),
            "a state of \(id), for row 1 of \(counter)")
        let detail = error.messages("details").first { $0.text("field") == "states.environment" }
        try require(
            detail?.has("environment_index") == true && detail?.integer("environment_index") == 1
                && detail?.text("expected") == counter && detail?.text("got") == id,
            "the detail of field 'states.environment'", expected: "environment_index 1, expected \(counter), got \(id)",
            got: detail.map { "\($0)" } ?? "none")
    }
    list.add("state.of-other-options", .state, ["M36", "H6"], needs: [state, .environment(counter)], since: 1) {
        context in
        let client = try context.connect()
        let batch = try client.make(counter, count: 2, options: [("limit", 50)])
        try batch.reset(seeds: [1])
        let good = try batch.states()
        for _ in 0..<3 { try batch.step(0) }
        let other = try client.make(counter, options: [("limit", 51)])
        try other.reset(seeds: [1])
        let error = try batch.expectError(
            .incompatibleState, "set_state", Batch.stateFields([good[0], try other.states()[0]]),
            "a state of limit=51, for row 1 of limit=50")
        try expectField("states.options", error)
        try expect(rowsNamed(error), [1], "rows that the details name")
        try expect(try batch.step(0).observation.map(count), [4, 4], "counts after a restore that was refused")
    }
    list.add("state.of-the-same-options", .state, ["M36", "M28"], needs: [state, .environment(counter)], since: 1) {
        context in
        // To name a default, or to write a real as a whole number, is the same as to leave it out.
        let client = try context.connect()
        let plain = try client.make(counter)
        try plain.reset(seeds: [1])
        for options: [(String, Message.Value)] in [[("limit", 3)], [("rewards", "one"), ("cut", 0)], [("scale", 1)]] {
            let named = try client.make(counter, options: options)
            try named.reset(seeds: [2])
            try named.restore(try plain.states())
            try plain.restore(try named.states())
            try named.call("close")
        }
    }
    list.add(
        "state.time-limit-is-the-handles", .state, ["M28", "A2"], needs: [state, .environment(counter)], since: 1
    ) {
        context in
        let client = try context.connect()
        let long = try client.make(counter, options: [("limit", 100)], limit: 50)
        try long.reset(seeds: [1])
        for _ in 0..<2 { try long.step(0) }
        let short = try client.make(counter, options: [("limit", 100)], limit: 3)
        try short.restore(try long.states())
        try expect(try short.step(0).truncated, [1], "truncated at step 3 of at most 3, two of which lie in the state")
    }
    list.add("state.index-twice", .state, ["M27", "X4"], needs: [state, .environment(counter)], since: 1) { context in
        let batch = try context.connect().make(counter, count: 2)
        try batch.reset(seeds: [1])
        for bad in [[0, 0], [Int](repeating: 1, count: 300)] {
            try batch.expectError(
                .invalidArgument, "get_state", [("environment_index", .integers(bad))],
                "get_state of \(bad.count) rows, one of them twice")
        }
        try expect(try batch.states([1, 0]).count, 2, "number of states of rows 1 and 0")
    }
    list.add("state.not-restorable", .state, ["M27"], needs: [state]) { context in
        let ids = context.specs.keys.sorted().filter { !context.specs[$0]!.flag("restorable") }
        guard let id = ids.first else { throw Skip(reason: "every environment is restorable") }
        let batch = try context.connect().make(id)
        try batch.reset(seeds: [1])
        try batch.expectError(.unsupportedCapability, "get_state")
        try batch.expectError(.unsupportedCapability, "set_state", Batch.stateFields([[1]]))
    }
}
