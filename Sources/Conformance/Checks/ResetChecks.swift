/// M13 to M18: seeds, masks, options, first observations.
func addResetChecks(to list: inout CheckList) {
    list.add("reset.observation-in-space", .core, ["M18", "T1", "T4"]) { context in
        let client = try context.connect()
        try context.forEach(context.environments) { id in
            let batch = try client.make(id, count: 2)
            for seed in 0..<5 {
                try batch.expectMembers(
                    try batch.reset(seeds: [UInt64(seed)]).observation, "the first observation of seed \(seed)")
            }
            try batch.call("close")
        }
    }
    list.add("reset.same-seed-same-episode", .core, ["M15", "M16", "H7"]) { context in
        let client = try context.connect()
        try context.forEach(try context.deterministicEnvironments()) { id in
            let batch = try client.make(id)
            let first = try trajectory(batch, seed: 123, steps: 20)
            let other = try trajectory(batch, seed: 456, steps: 20)
            try expectSame(try trajectory(batch, seed: 123, steps: 20), first, "the episode of seed 123, played again")
            try expectSame(
                try trajectory(try client.make(id), seed: 456, steps: 20), other,
                "the episode of seed 456 in environments made anew")
        }
    }
    list.add("reset.different-seeds-differ", .core, ["M15"]) { context in
        // The counter draws a number each time. Without it: some environments start the same whatever the seed; that all
        // do would be too much of a coincidence.
        let client = try context.connect()
        for id in try context.specs[counter] == nil ? context.deterministicEnvironments() : [counter] {
            let batch = try client.make(id)
            let starts = try (1...8).map { try batch.reset(seeds: [UInt64($0)]).observation[0] }
            if Set(starts).count > 1 { return }
            try batch.call("close")
        }
        throw CheckFailure(
            what: "first observations of eight seeds", expected: "some that differ",
            got: "the same for each seed")
    }
    list.add("reset.seed-zero-is-a-seed", .core, ["M15"]) { context in
        let client = try context.connect()
        try context.forEach(try context.deterministicEnvironments()) { id in
            let batch = try client.make(id)
            let first = try batch.reset(seeds: [0])
            try expect(first.effectiveSeeds, [0], "effective_seeds of seed 0")
            let second = try batch.reset(seeds: [0])
            try expect(describe(second.observation[0]), describe(first.observation[0]), "seed 0, given twice")
            try batch.reset(seeds: [1])
            try expect(
                describe(try batch.reset(seeds: [0]).observation[0]), describe(first.observation[0]),
                "seed 0 after seed 1")
        }
    }
    list.add("reset.generator-goes-on", .core, ["M16"]) { context in
        let client = try context.connect()
        try context.forEach(try context.deterministicEnvironments()) { id in
            let batch = try client.make(id)
            try batch.reset(seeds: [5])
            let second = try batch.reset()
            let third = try batch.reset(seeds: [nil])
            try batch.reset(seeds: [5])
            try expect(
                describe(try batch.reset().observation[0]), describe(second.observation[0]),
                "the second episode after seed 5, without seed")
            try expect(
                describe(try batch.reset().observation[0]), describe(third.observation[0]),
                "the third episode after seed 5, with an absent seed")
            try expect(second.effectiveSeeds, [5], "effective_seeds of a reset without seed after seed 5")
        }
    }
    list.add("reset.unseeded-does-not-reseed", .core, ["M16"], needs: [.environment(counter)]) { context in
        let batch = try context.connect().make(counter)
        try batch.reset(seeds: [5])
        let draws = try (0..<6).map { _ in try draw(batch.reset().observation[0]) }
        try expect(Set(draws).count, 6, "number of different draws of six resets without seed: \(draws)")
    }
    list.add("reset.drawn-seed-is-told", .core, ["M16", "M17"]) { context in
        let client = try context.connect()
        try context.forEach(try context.deterministicEnvironments()) { id in
            let batch = try client.make(id, count: 2)
            let first = try batch.reset()
            let again = try batch.reset(seeds: first.effectiveSeeds.map { $0 })
            try expect(
                again.observation.map { describe($0) }, first.observation.map { describe($0) },
                "the episodes of the seeds \(first.effectiveSeeds) that the server said it drew")
            try expect(again.effectiveSeeds, first.effectiveSeeds, "effective_seeds")
            let other = try client.make(id, count: 2).reset()
            try require(
                other.effectiveSeeds != first.effectiveSeeds, "seeds that the server draws",
                expected: "others each time", got: "\(other.effectiveSeeds) twice")
        }
    }
    list.add("reset.one-seed-for-all", .core, ["M15"]) { context in
        let client = try context.connect()
        try context.forEach(try context.deterministicEnvironments()) { id in
            let batch = try client.make(id, count: 3)
            let together = try batch.reset(seeds: [10])
            try expect(together.effectiveSeeds, [10, 11, 12], "effective_seeds of the one seed 10")
            let single = try client.make(id)
            for row in 0..<3 {
                try expect(
                    describe(together.observation[row]),
                    describe(try single.reset(seeds: [10 + UInt64(row)]).observation[0]),
                    "row \(row): the first observation of seed \(10 + row)")
            }
        }
    }
    list.add("reset.one-seed-wraps", .core, ["M15"]) { context in
        let batch = try context.connect().make(context.environments[0], count: 2)
        try expect(try batch.reset(seeds: [.max]).effectiveSeeds, [.max, 0], "effective_seeds of the seed 2^64 - 1")
    }
    list.add("reset.seed-for-each", .core, ["M15"]) { context in
        let client = try context.connect()
        try context.forEach(try context.deterministicEnvironments()) { id in
            let batch = try client.make(id, count: 3)
            let reset = try batch.reset(seeds: [7, 0, 7])
            try expect(reset.effectiveSeeds, [7, 0, 7], "effective_seeds")
            try expect(describe(reset.observation[2]), describe(reset.observation[0]), "rows 0 and 2, both of seed 7")
        }
    }
    list.add("reset.some-seeds-absent", .core, ["M15", "M16"], needs: [.environment(counter)]) { context in
        let batch = try context.connect().make(counter, count: 2)
        try batch.reset(seeds: [1, 2])
        let goesOn = try draw(batch.reset().observation[1])
        try batch.reset(seeds: [1, 2])
        let mixed = try batch.reset(seeds: [9, nil])
        try expect(mixed.effectiveSeeds, [9, 2], "effective_seeds of the seeds 9 and none")
        try expect(try draw(mixed.observation[1]), goesOn, "the draw of the row without seed")
    }
    list.add("reset.number-of-seeds", .core, ["M15"]) { context in
        let batch = try context.connect().make(context.environments[0], count: 3)
        for count in [2, 4, 100] {
            let error = try batch.expectError(
                .invalidArgument, "reset", Batch.resetFields(seeds: [UInt64?](repeating: 1, count: count)),
                "\(count) seeds for 3 rows")
            try expectField("seeds", error)
        }
        try batch.expectError(.needsReset, "step", batch.stepFields(repeated(batch)), "a step after refused resets")
    }
    list.add("reset.refused-changes-nothing", .core, ["H6", "E2"]) { context in
        let client = try context.connect()
        try context.forEach(try context.deterministicEnvironments()) { id in
            let batch = try client.make(id, count: 2)
            try batch.reset(seeds: [3])
            let expected = try batch.reset().observation
            try batch.reset(seeds: [3])
            try batch.expectError(.invalidOption, "reset", Batch.resetFields(seeds: [99], options: [("no_such", 1)]))
            try batch.expectError(.invalidMask, "reset", Batch.resetFields(seeds: [99], mask: [1, 1, 1]))
            try batch.expectError(.invalidArgument, "reset", Batch.resetFields(seeds: [9, 9, 9]))
            let reset = try batch.reset()
            try expect(reset.effectiveSeeds, [3, 4], "effective_seeds after refused resets with seed 99")
            try expect(
                reset.observation.map { describe($0) }, expected.map { describe($0) },
                "the next episodes after refused resets")
        }
    }
    list.add("reset.mask-wrong-length", .core, ["M13"]) { try expectInvalidMasks($0, [[1], [1, 1], [1, 1, 1, 1]]) }
    list.add("reset.mask-without-a-row", .core, ["M13"]) { try expectInvalidMasks($0, [[0, 0, 0]]) }
    list.add("reset.mask-of-other-bytes", .core, ["M13"]) { try expectInvalidMasks($0, [[1, 2, 0], [255, 0, 0]]) }
    list.add("reset.mask", .vector, ["M13", "M18", "A8"], needs: [.environment(counter)]) { context in
        let batch = try context.connect().make(counter, count: 3, options: [("limit", 100)])
        let first = try batch.reset(seeds: [1])
        for _ in 0..<2 { try batch.step(0) }
        let reset = try batch.reset(seeds: [50], mask: [0, 1, 0])
        try expect(try reset.observation.map(count), [2, 0, 2], "counts after a reset of row 1 alone")
        try expect(try draw(reset.observation[0]), try draw(first.observation[0]), "the draw of row 0, not reset")
        try expect(try batch.step(0).observation.map(count), [3, 1, 3], "counts one step later")
    }
    list.add("reset.mask-and-seeds", .vector, ["M15", "M17"], needs: [.environment(counter)]) { context in
        let batch = try context.connect().make(counter, count: 3)
        try batch.reset(seeds: [1])
        try expect(
            try batch.reset(seeds: [50], mask: [0, 0, 1]).effectiveSeeds, [1, 2, 52],
            "effective_seeds of the one seed 50 for row 2 alone")
        try expect(
            try batch.reset(seeds: [70, 80, 90], mask: [1, 0, 0]).effectiveSeeds, [70, 2, 52],
            "effective_seeds of the seeds 70, 80 and 90 for row 0 alone")
    }
    list.add("reset.mask-of-fresh-rows", .vector, ["M17", "M18", "H2"], needs: [.environment(counter)]) { context in
        let batch = try context.connect().make(counter, count: 2)
        let reset = try batch.reset(seeds: [4], mask: [0, 1])
        try expect(reset.effectiveSeeds, [0, 5], "effective_seeds when row 0 never had a generator")
        try expect(describe(reset.observation[0]), "int64[2][0.0 0.0]", "the observation of a row that never was reset")
        let error = try batch.expectError(.needsReset, "step", batch.stepFields(repeated(batch)))
        try expect(
            error.messages("details").map { $0.integer("environment_index") }, [0], "rows named as in need of reset")
    }
    list.add("reset.gives-up-running-episode", .core, ["H4"], needs: [.environment(counter)]) { context in
        let batch = try context.connect().make(counter, options: [("limit", 5)])
        try batch.reset(seeds: [1])
        for _ in 0..<3 { try batch.step(0) }
        try expect(try count(batch.reset().observation[0]), 0, "the count after a reset in mid-episode")
        for _ in 0..<4 { try expect(try batch.step(0).terminated, [0], "terminated before the limit") }
        let last = try batch.step(0)
        try expect(last.lengths, [5], "the episode's length, counted from the reset")
        try expect(last.returns, [5], "the episode's return, counted from the reset")
    }
    list.add("reset.option-unknown", .core, ["M14"]) { context in
        let batch = try context.connect().make(context.environments[0])
        let error = try batch.expectError(.invalidOption, "reset", Batch.resetFields(options: [("no_such", 1)]))
        try expectField("options.no_such", error)
    }
    list.add("reset.option-for-this-reset-alone", .core, ["M14"], needs: [.environment(counter)]) { context in
        let batch = try context.connect().make(counter)
        try expect(try count(batch.reset(seeds: [1], options: [("start", 2)]).observation[0]), 2, "the start")
        try expect(try count(batch.reset().observation[0]), 0, "the start of the next reset, without options")
    }
    list.add("reset.option-out-of-range", .core, ["M14"], needs: [.environment(counter)]) { context in
        let batch = try context.connect().make(counter)
        let error = try batch.expectError(.invalidOption, "reset", Batch.resetFields(options: [("start", -1)]))
        try expectField("options.start", error)
    }
    list.add("reset.info", .core, ["M23"], needs: [.environment(counter)]) { context in
        let batch = try context.connect().make(counter, count: 2)
        try expect(try batch.reset(seeds: [1]).info, [], "info that nobody asked for")
        let info = try batch.reset(mask: [0, 1], options: [("start", 2)], wantsInfo: true).info
        try expect(
            info.first { $0.name == "count" }?.values, [nil, .integer(2)], "info 'count' when row 1 alone is reset")
        try expect(
            info.first { $0.name == "even" }?.values, [nil, .text("2 is even")], "info 'even'")
    }
}

private func expectInvalidMasks(_ context: Context, _ masks: [[UInt8]]) throws {
    let batch = try context.connect().make(context.environments[0], count: 3)
    for mask in masks {
        try batch.expectError(.invalidMask, "reset", Batch.resetFields(mask: mask), "the mask \(mask) for 3 rows")
    }
    try batch.expectError(.needsReset, "step", batch.stepFields(repeated(batch)), "a step after refused resets")
    try batch.reset(seeds: [1], mask: [1, 1, 1])
}

/// The same member of the action space for each row.
func repeated(_ batch: Batch) -> [Member] { [Member](repeating: batch.actionSpace.sample(), count: batch.count) }

/// What the counter observes: its count.
func count(_ observation: [Member]) throws -> Int { try integers(observation)[0] }

/// What the counter observes: its episode's draw.
func draw(_ observation: [Member]) throws -> Int { try integers(observation)[1] }

func integers(_ observation: [Member]) throws -> [Int] {
    guard case .tensor(let tensor)? = observation.first, tensor.dtype == .int64 else {
        throw CheckFailure(what: "an observation", expected: "int64", got: describe(observation))
    }
    return tensor.elements(as: Int64.self).map(Int.init)
}

/// A reset and the steps after it, with actions that depend on the seed alone; resets where autoreset is off.
func trajectory(_ batch: Batch, seed: UInt64, steps: Int) throws -> [Step] {
    var sampler = batch.sampler(seed: seed)
    var start = Step()
    start.observation = try batch.reset(seeds: [seed]).observation
    var trajectory = [start]
    for _ in 0..<steps {
        let step = try batch.step(batch.actions(&sampler))
        trajectory.append(step)
        if batch.autoreset == .disabled, !step.finalIndex.isEmpty {
            try batch.reset(mask: (0..<batch.count).map { step.finalIndex.contains($0) ? 1 : 0 })
        }
    }
    return trajectory
}

/// Fails at the first step that differs.
func expectSame(_ got: [Step], _ expected: [Step], _ what: String) throws {
    try expect(got.count, expected.count, "\(what): number of steps")
    for (index, (left, right)) in zip(got, expected).enumerated() where left != right {
        throw CheckFailure(what: "\(what), step \(index)", expected: right.readable, got: left.readable)
    }
}
