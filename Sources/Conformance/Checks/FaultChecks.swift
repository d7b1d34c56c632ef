/// A9 to A11, M11: environments that fail.
func addFaultChecks(to list: inout CheckList) {
    list.add("fault.step", .vector, ["A9", "A8"], needs: [.environment(fault)]) { context in
        let batch = try context.connect().make(fault, count: 3)
        try batch.reset(seeds: [1])
        try batch.step(0)
        let step = try batch.step([.integer(0), .integer(1), .integer(0)])
        try expectFault(step, row: 1, others: [2, 0, 2])
        try expect(step.returns, [1], "the return, of the steps before the failing one")
        try expect(step.lengths, [1], "the length, of the steps before the failing one")
    }
    list.add("fault.at-step-k", .vector, ["A9"], needs: [.environment(fault)]) { context in
        for k in [1, 4] {
            let batch = try context.connect().make(fault, options: [("at", .integer(k))])
            try batch.reset(seeds: [1])
            for _ in 1..<k { try expect(try batch.step(0).faults, [], "faults before step \(k)") }
            let step = try batch.step(0)
            try expect(step.faults.map(\.index), [0], "rows that failed at step \(k)")
            try expect(step.lengths, [k - 1], "the length")
        }
    }
    list.add("fault.next-step-resets", .vector, ["A10"], needs: [.environment(fault)]) { context in
        for mode in [Autoreset.nextStep, .sameStep] {
            let batch = try context.connect().make(fault, count: 2, autoreset: mode)
            try batch.reset(seeds: [1])
            try batch.step([.integer(1), .integer(0)])
            let reset = try batch.step([.integer(0), .integer(0)])
            try expect(try reset.observation.map(integers), [[0], [2]], "\(mode): observations of the next step")
            try expect(reset.rewards, [0, 1], "\(mode): rewards of the next step")
            try expect(reset.terminated + reset.truncated, [0, 0, 0, 0], "\(mode): flags of the next step")
            try expect(try batch.step(0).observation.map(integers), [[1], [3]], "\(mode): the step after it")
        }
    }
    list.add("fault.reset-ignores-action", .vector, ["A10", "M21"], needs: [.environment(fault)]) { context in
        for mode in [Autoreset.nextStep, .sameStep] {
            let batch = try context.connect().make(fault, count: 2, autoreset: mode)
            try batch.reset(seeds: [1])
            try batch.step([.integer(1), .integer(0)])
            let reset = try batch.step([.integer(77), .integer(0)])
            try expect(try reset.observation.map(integers), [[0], [2]], "\(mode): observations of the next step")
        }
    }
    list.add("fault.disabled-needs-reset", .vector, ["A10", "H3"], needs: [.environment(fault)]) { context in
        let batch = try context.connect().make(fault, count: 2, autoreset: .disabled)
        try batch.reset(seeds: [1])
        try batch.step([.integer(1), .integer(0)])
        let error = try batch.expectError(.needsReset, "step", batch.stepFields(repeated(batch)))
        try expect(error.messages("details").map { $0.integer("environment_index") }, [0], "rows in need of reset")
        try batch.reset(mask: [1, 0])
        try expect(try batch.step(0).observation.map(integers), [[1], [2]], "observations after a reset")
    }
    list.add("fault.same-step-final-observation", .vector, ["A9", "A5"], needs: [.environment(fault)]) { context in
        let batch = try context.connect().make(
            fault, count: 2, options: [("limit", 2)], autoreset: .sameStep)
        try batch.reset(seeds: [1])
        try batch.step(0)
        let step = try batch.step([.integer(1), .integer(0)])
        try expect(step.finalIndex, [0, 1], "rows that ended: one by a fault")
        try expect(step.terminated, [0, 1], "terminated")
        try expect(step.truncated, [1, 0], "truncated")
        try expect(try step.finalObservation.map(integers), [[0], [2]], "final observations")
        try expect(step.lengths, [1, 2], "lengths")
    }
    list.add("fault.same-step-info", .vector, ["M23", "A9"], needs: [.environment(fault)]) { context in
        // Columns of final_info have a row for each that ended, also for one that failed.
        let batch = try context.connect().make(fault, count: 2, options: [("limit", 2)], autoreset: .sameStep)
        try batch.reset(seeds: [1])
        try batch.step(0)
        let step = try batch.step([.integer(1), .integer(0)], wantsInfo: true)
        try expect(step.faults.map(\.index), [0], "rows that failed")
        let column = step.finalInfo.first { $0.name == "count" }?.values
        try expect(column?.count, 2, "rows of final_info 'count'")
        try expect(column?.last, .integer(2), "final_info 'count' of the row that did not fail")
    }
    list.add("fault.no-info", .vector, ["M23", "A9"], needs: [.environment(fault)], since: 1) { context in
        for mode in [Autoreset.nextStep, .sameStep] {
            let batch = try context.connect().make(fault, count: 2, options: [("limit", 9)], autoreset: mode)
            try batch.reset(seeds: [1])
            let step = try batch.step([.integer(1), .integer(0)], wantsInfo: true)
            try expect(
                step.info.first { $0.name == "count" }?.values, [nil, .integer(1)],
                "\(mode): info 'count', which the row that failed does not have")
            try expect(
                step.finalInfo.flatMap(\.values).compactMap { $0 }, [],
                "\(mode): final_info, of which the row that failed has none")
        }
    }
    list.add("fault.reset-without-info", .vector, ["M23", "A11"], needs: [.environment(fault)], since: 1) { context in
        let batch = try context.connect().make(fault, count: 2)
        try batch.reset(seeds: [1])
        let reset = try batch.reset(mask: [0, 1], options: [("fail", Client.yes)], wantsInfo: true)
        try expect(reset.faults.map(\.index), [1], "rows that failed to reset")
        try expect(
            reset.info.flatMap(\.values).compactMap { $0 }, [], "info of a reset that failed in the only row it was for"
        )
    }
    list.add(
        "fault.reset-outside-observation-space", .vector, ["M11", "A11"], needs: [.environment(fault)], since: 1
    ) { context in
        for isChecked in [true, false] {
            let batch = try context.connect().make(
                fault, count: 2, extra: isChecked ? [("check_observations", true)] : [])
            try batch.reset(seeds: [1])
            let reset = try batch.reset(mask: [0, 1], options: [("outside", Client.yes)])
            try expect(
                reset.faults.map(\.index), isChecked ? [1] : [],
                "rows whose first observation is outside, with check_observations \(isChecked)")
            try expect(try reset.observation.map(integers), [[0], [isChecked ? 0 : -1]], "observations")
        }
    }
    list.add("fault.outside-observation-space", .vector, ["M11", "A9"], needs: [.environment(fault)]) { context in
        let batch = try context.connect().make(fault, count: 2, extra: [("check_observations", true)])
        try batch.reset(seeds: [1])
        try expectFault(try batch.step([.integer(0), .integer(2)]), row: 1, others: [1, 0])
    }
    list.add("fault.observations-unchecked", .vector, ["M11"], needs: [.environment(fault)]) { context in
        let batch = try context.connect().make(fault)
        try batch.reset(seeds: [1])
        let step = try batch.step(2)
        try expect(step.faults, [], "faults when observations are not checked")
        try expect(try step.observation.map(integers), [[-1]], "the observation, outside of its space")
    }
    list.add("fault.reset", .vector, ["A11"], needs: [.environment(fault)]) { context in
        let batch = try context.connect().make(fault, count: 2)
        try batch.reset(seeds: [1])
        try batch.step(0)
        let reset = try batch.reset(mask: [0, 1], options: [("fail", Client.yes)])
        try expect(reset.faults.map(\.index), [1], "rows that failed to reset")
        try expect(try reset.observation.map(integers), [[1], [0]], "observations")
        let step = try batch.step(0)
        try expect(try step.observation.map(integers), [[2], [0]], "observations of the next step, which resets row 1")
        try expect(step.rewards, [1, 0], "rewards of it")
    }
    list.add("fault.reset-disabled", .vector, ["A11", "A10", "H3"], needs: [.environment(fault)]) { context in
        let batch = try context.connect().make(fault, autoreset: .disabled)
        let reset = try batch.reset(seeds: [1], options: [("fail", Client.yes)])
        try expect(reset.faults.map(\.index), [0], "rows that failed to reset")
        try batch.expectError(.needsReset, "step", batch.stepFields(repeated(batch)), "a step after a failed reset")
        try batch.reset()
        try batch.step(0)
    }
    list.add("fault.autoreset", .vector, ["A11"], needs: [.environment(fault)]) { context in
        for mode in [Autoreset.nextStep, .sameStep] {
            let batch = try context.connect().make(
                fault, options: [("limit", 2)], autoreset: mode,
                extra: [("autoreset_options", Client.options([("fail", Client.yes)]))])
            try batch.reset(seeds: [1])
            try batch.step(0)
            try expect(try batch.step(0).terminated, [1], "\(mode): terminated of the ending step")
            let step = try batch.step(0)
            try expectFault(step, row: 0, others: [0])
            try expect(step.returns, [0], "\(mode): the return of an episode that did not start")
            try expect(step.lengths, [0], "\(mode): its length")
        }
    }
    list.add("fault.same-step-autoreset", .vector, ["A11", "A5"], needs: [.environment(fault)]) { context in
        let batch = try context.connect().make(
            fault, options: [("limit", 2)], autoreset: .sameStep,
            extra: [("autoreset_options", Client.options([("fail", Client.yes)]))])
        try batch.reset(seeds: [1])
        try batch.step(0)
        let step = try batch.step(0, wantsInfo: true)
        try expect(step.faults.map(\.index), [0], "rows in faults")
        try expect(try step.observation.map(integers), [[0]], "observations, of an episode that did not start")
        try expect(step.rewards, [1], "the last reward of the episode before")
        try expect(step.terminated + step.truncated, [1, 0], "its flags")
        try expect(step.finalIndex, [0], "rows that ended")
        try expect(try step.finalObservation.map(integers), [[2]], "its last observation")
        try expect(step.returns, [2], "its return")
        try expect(step.lengths, [2], "its length")
        try expect(step.finalInfo.first { $0.name == "count" }?.values.last, .integer(2), "its final_info 'count'")
    }
    list.add("fault.others-keep-their-episodes", .vector, ["A8", "A9"], needs: [.environment(fault)]) { context in
        let batch = try context.connect().make(fault, count: 3, options: [("limit", 3)])
        try batch.reset(seeds: [1])
        try batch.step([.integer(1), .integer(0), .integer(0)])
        try batch.step(0)
        let step = try batch.step(0)
        try expect(step.finalIndex, [1, 2], "rows that ended with step 3")
        try expect(step.returns, [3, 3], "their returns")
        try expect(step.faults, [], "faults of step 3")
    }
    list.add("fault.connection-goes-on", .vector, ["A9", "E2"], needs: [.environment(fault)]) { context in
        let client = try context.connect()
        let batch = try client.make(fault)
        let other = try client.make(fault)
        try batch.reset(seeds: [1])
        try other.reset(seeds: [1])
        for _ in 0..<3 { try batch.step(1) }
        try expect(try other.step(0).observation.map(integers), [[1]], "another handle's step")
        try client.expectAlive("faults")
    }
}

/// Judges a row that failed; `others` are the observations, 0 in the row that failed.
private func expectFault(_ step: Step, row: Int, others: [Int]) throws {
    try expect(step.faults.map(\.index), [row], "rows in faults")
    try require(!step.faults[0].message.isEmpty, "the fault's message", expected: "an explanation", got: "none")
    try expect(try step.observation.map { try integers($0)[0] }, others, "observations")
    try expect(step.rewards[row], 0, "the reward of the row that failed")
    try expect(step.terminated[row], 0, "terminated of the row that failed")
    try expect(step.truncated[row], 1, "truncated of the row that failed")
    try require(
        step.finalIndex.contains(row), "final_index", expected: "with row \(row)", got: "\(step.finalIndex)")
}
