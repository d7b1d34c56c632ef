/// A4 to A7: the exact tables of each autoreset mode.
func addAutoresetChecks(to list: inout CheckList) {
    list.add("autoreset.next-step-table", .vector, ["A4", "A3"], needs: [.environment(counter)]) { context in
        // Counters to 2 and, starting from 1, to 2: rows that end at different times.
        try expectTable(
            context, .nextStep,
            [
                Expected(counts: [1, 2], rewards: [1, 2], terminated: [0, 1]),
                Expected(counts: [2, 0], rewards: [2, 0], terminated: [1, 0]),
                Expected(counts: [0, 1], rewards: [0, 1], terminated: [0, 0]),
                Expected(counts: [1, 2], rewards: [1, 2], terminated: [0, 1]),
                Expected(counts: [2, 0], rewards: [2, 0], terminated: [1, 0]),
            ], returns: [[2], [3], [], [3], [3]], lengths: [[1], [2], [], [2], [2]])
    }
    list.add("autoreset.same-step-table", .vector, ["A5", "A3"], needs: [.environment(counter)]) { context in
        try expectTable(
            context, .sameStep,
            [
                Expected(counts: [1, 0], rewards: [1, 2], terminated: [0, 1], final: [2]),
                Expected(counts: [0, 1], rewards: [2, 1], terminated: [1, 0], final: [2]),
                Expected(counts: [1, 0], rewards: [1, 2], terminated: [0, 1], final: [2]),
                Expected(counts: [0, 1], rewards: [2, 1], terminated: [1, 0], final: [2]),
            ], returns: [[2], [3], [3], [3]], lengths: [[1], [2], [2], [2]])
    }
    list.add("autoreset.disabled-table", .vector, ["A6", "A3", "H3"], needs: [.environment(counter)]) { context in
        let batch = try counters(context, .disabled)
        let first = try batch.step(0)
        try expect(try first.observation.map(count), [1, 2], "counts of step 1")
        try expect(first.terminated, [0, 1], "terminated of step 1")
        let error = try batch.expectError(.needsReset, "step", batch.stepFields(repeated(batch)), "step 2")
        try expect(error.messages("details").map { $0.integer("environment_index") }, [1], "rows in need of reset")
        try expect(
            try batch.reset(mask: [0, 1]).observation.map(count), [1, 0], "counts after a reset of row 1 alone")
        let second = try batch.step(0)
        try expect(try second.observation.map(count), [2, 1], "counts of the step after it")
        try expect(second.terminated, [1, 0], "terminated of the step after it")
    }
    list.add("autoreset.disabled-needs-reset", .vector, ["A6", "H3"], needs: [.environment(counter)]) { context in
        let batch = try context.connect().make(counter, options: [("limit", 2)], autoreset: .disabled)
        try batch.reset(seeds: [1])
        try batch.step(0)
        try batch.step(0)
        for step in 3...4 {
            try batch.expectError(.needsReset, "step", batch.stepFields(repeated(batch)), "step \(step)")
        }
        try expect(try count(batch.reset().observation[0]), 0, "the count after a reset")
    }
    list.add("autoreset.next-step-ignores-action", .vector, ["A4", "M21"], needs: [.environment(counter)]) { context in
        let batch = try counters(context, .nextStep)
        try batch.step(0)
        // Row 1 is reset by this step: its action may be anything of the right form.
        let step = try batch.step([.integer(1), .integer(999)])
        try expect(try step.observation.map(count), [2, 0], "counts of the step that resets row 1")
        try batch.expectError(.invalidAction, "step", batch.stepFields([.integer(9), .integer(9)]), "the next step")
    }
    list.add("autoreset.next-step-needs-the-right-form", .vector, ["M21", "M19"], needs: [.environment(counter)]) {
        context in
        let batch = try counters(context, .nextStep)
        try batch.step(0)
        try batch.expectError(.invalidAction, "step", [("action", .list([]))], "a step without action")
    }
    list.add("autoreset.truncation", .vector, ["A2", "A4", "A5"], needs: [.environment(counter)]) { context in
        for mode in Autoreset.allCases {
            let batch = try context.connect().make(counter, options: [("limit", 100)], autoreset: mode, limit: 2)
            try batch.reset(seeds: [1])
            try expect(try batch.step(0).truncated, [0], "\(mode), step 1: truncated")
            let last = try batch.step(0)
            try expect(last.truncated + last.terminated, [1, 0], "\(mode), step 2: truncated and terminated")
            let observed = mode == .sameStep ? last.finalObservation : last.observation
            try expect(try observed.map(count), [2], "\(mode): the count of the last observation")
            if mode == .sameStep { try expect(try last.observation.map(count), [0], "\(mode): the first count") }
        }
    }
    list.add("autoreset.draws", .vector, ["A7"], needs: [.environment(counter)]) { context in
        let client = try context.connect()
        let manual = try client.make(counter)
        try manual.reset(seeds: [6])
        let expected = try (0..<3).map { _ in try draw(manual.reset().observation[0]) }
        for mode in [Autoreset.nextStep, .sameStep] {
            let batch = try client.make(counter, options: [("limit", 1)], autoreset: mode)
            try batch.reset(seeds: [6])
            var draws: [Int] = []
            for _ in 0..<3 {
                let step = try batch.step(0)
                draws.append(try draw(mode == .sameStep ? step.observation[0] : batch.step(0).observation[0]))
            }
            try expect(draws, expected, "\(mode): the draws of the episodes after the one of seed 6")
        }
    }
    list.add("autoreset.options", .vector, ["A7", "M7"], needs: [.environment(counter)]) { context in
        for mode in [Autoreset.nextStep, .sameStep] {
            let batch = try context.connect().make(
                counter, options: [("limit", 5)], autoreset: mode,
                extra: [("autoreset_options", Client.options([("start", 3)]))])
            try expect(try count(batch.reset(seeds: [1]).observation[0]), 0, "\(mode): the start of a reset")
            for _ in 0..<5 { try batch.step(0) }
            let next = try batch.step(0)
            let expected = mode == .nextStep ? 3 : 4
            try expect(try count(next.observation[0]), expected, "\(mode): the count of step 6, started anew from 3")
        }
    }
    list.add("autoreset.not-the-options-of-the-last-reset", .vector, ["A7"], needs: [.environment(counter)]) {
        context in
        for mode in [Autoreset.nextStep, .sameStep] {
            let batch = try context.connect().make(counter, options: [("limit", 3)], autoreset: mode)
            try batch.reset(seeds: [1], options: [("start", 2)])
            let last = try batch.step(0)
            let first = mode == .sameStep ? last : try batch.step(0)
            try expect(try count(first.observation[0]), 0, "\(mode): the start that autoreset makes")
        }
    }
    list.add("autoreset.reset-of-an-ended-row", .vector, ["H4", "A4"], needs: [.environment(counter)]) { context in
        let batch = try counters(context, .nextStep)
        try batch.step(0)
        try batch.reset(mask: [0, 1])
        // Reset by hand, the row does not skip its next step.
        let step = try batch.step(0)
        try expect(try step.observation.map(count), [2, 1], "counts of the step after a reset by hand")
        try expect(step.rewards, [2, 1], "rewards")
    }
    list.add("autoreset.info", .vector, ["M23", "A5"], needs: [.environment(counter)]) { context in
        let batch = try counters(context, .sameStep)
        let step = try batch.step([.integer(0), .integer(1)], wantsInfo: true)
        func column(_ columns: [InfoColumn], _ name: String) -> [Member?]? {
            columns.first { $0.name == name }?.values
        }
        try expect(column(step.info, "count"), [.integer(1), .integer(0)], "info 'count', of the new episode")
        try expect(column(step.finalInfo, "count"), [.integer(2)], "final_info 'count', of the old one")
        try expect(column(step.finalInfo, "action"), [.integer(1)], "final_info 'action'")
    }
    list.add("autoreset.modes-agree", .vector, ["A3", "A4", "A5", "A6"]) { context in
        let client = try context.connect()
        try context.forEach(try context.deterministicEnvironments()) { id in
            let expected = try episodes(try client.make(id, autoreset: .disabled, limit: 6), seed: 3)
            for mode in [Autoreset.nextStep, .sameStep] {
                try expect(
                    try episodes(try client.make(id, autoreset: mode, limit: 6), seed: 3), expected,
                    "\(mode): rewards, flags, returns and lengths of three episodes, as with autoreset disabled")
            }
        }
    }
}

/// What one step of two counters brings.
private struct Expected {
    let counts: [Int]
    let rewards: [Double]
    let terminated: [UInt8]
    var final: [Int] = []
}

/// Two counters to 2 that are rewarded with their count; row 1 starts from 1.
private func counters(_ context: Context, _ mode: Autoreset) throws -> Batch {
    let batch = try context.connect().make(
        counter, count: 2, options: [("limit", 2), ("rewards", "count")], autoreset: mode)
    try batch.reset(seeds: [1])
    try batch.reset(mask: [0, 1], options: [("start", 1)])
    return batch
}

private func expectTable(
    _ context: Context, _ mode: Autoreset, _ table: [Expected], returns: [[Double]], lengths: [[Int]]
) throws {
    let batch = try counters(context, mode)
    for (index, expected) in table.enumerated() {
        let step = try batch.step(0)
        let what = "\(mode), step \(index + 1)"
        try expect(try step.observation.map(count), expected.counts, "\(what): counts")
        try expect(step.rewards, expected.rewards, "\(what): rewards")
        try expect(step.terminated, expected.terminated, "\(what): terminated")
        try expect(step.truncated, [0, 0], "\(what): truncated")
        try expect(try step.finalObservation.map(count), expected.final, "\(what): counts of final observations")
        try expect(step.returns, returns[index], "\(what): returns")
        try expect(step.lengths, lengths[index], "\(what): lengths")
    }
}

/// Rewards, flags, returns and lengths of three episodes; steps that only reset are left out.
private func episodes(_ batch: Batch, seed: UInt64) throws -> [String] {
    try batch.reset(seeds: [seed])
    var sampler = batch.sampler(seed: seed)
    var lines: [String] = []
    var ended = 0
    while ended < 3 {
        let step = try batch.step(batch.actions(&sampler))
        lines.append("\(step.rewards) \(step.terminated) \(step.truncated) \(step.returns) \(step.lengths)")
        guard step.finalIndex == [0] else { continue }
        ended += 1
        switch batch.autoreset {
        case .sameStep: break
        case .nextStep: try batch.step(repeated(batch))
        case .disabled: try batch.reset()
        }
    }
    return lines
}
