/// H7, M22 with several rows: what a row does depends on itself alone.
func addVectorChecks(to list: inout CheckList) {
    list.add("vector.rows-are-single-environments", .vector, ["H7", "A8"]) { context in
        let client = try context.connect()
        try context.forEach(try context.deterministicEnvironments()) { id in
            for mode in Autoreset.allCases {
                let batch = try client.make(id, count: 3, autoreset: mode, limit: 5)
                let singles = try (0..<3).map { _ in try client.make(id, autoreset: mode, limit: 5) }
                try batch.reset(seeds: [20])
                for (row, single) in singles.enumerated() { try single.reset(seeds: [20 + UInt64(row)]) }
                var sampler = batch.sampler()
                for step in 0..<12 {
                    let actions = batch.actions(&sampler)
                    let together = try batch.step(actions)
                    var ended: [Int] = []
                    for (row, single) in singles.enumerated() {
                        let alone = try single.step([actions[row]])
                        try expectRow(together, row, alone, "\(mode), step \(step), row \(row)")
                        if alone.finalIndex == [0] {
                            ended.append(row)
                            if mode == .disabled { try single.reset() }
                        }
                    }
                    if mode == .disabled, !ended.isEmpty {
                        try batch.reset(mask: (0..<3).map { ended.contains($0) ? 1 : 0 })
                    }
                }
                for used in [batch] + singles { try used.call("close") }
            }
        }
    }
    list.add("vector.place-does-not-matter", .vector, ["H7"]) { context in
        let client = try context.connect()
        try context.forEach(try context.deterministicEnvironments()) { id in
            let batch = try client.make(id, count: 4)
            try batch.reset(seeds: [8, 1, 2, 8])
            var sampler = batch.sampler()
            for step in 0..<10 {
                var actions = batch.actions(&sampler)
                actions[3] = actions[0]
                let result = try batch.step(actions)
                try expect(
                    describe(result.observation[3]), describe(result.observation[0]),
                    "step \(step): rows 3 and 0, of the same seed and actions")
            }
        }
    }
    list.add("vector.number-does-not-matter", .vector, ["H7"]) { context in
        let client = try context.connect()
        try context.forEach(try context.deterministicEnvironments()) { id in
            let small = try client.make(id, count: 2)
            // Pictures of 300 environments would take longer than they tell.
            let count = small.observationSpace.tensorLayouts?.contains { $0.byteCount > 10_000 } == true ? 20 : 300
            let large = try client.make(id, count: count)
            try small.reset(seeds: [1])
            try large.reset(seeds: [1])
            var sampler = small.sampler()
            for step in 0..<5 {
                let actions = small.actions(&sampler)
                let padded = actions + [Member](repeating: actions[0], count: count - 2)
                let two = try small.step(actions)
                let many = try large.step(padded)
                for row in 0..<2 {
                    try expect(
                        describe(many.observation[row]), describe(two.observation[row]),
                        "step \(step), row \(row) of \(count) and of 2")
                }
            }
        }
    }
    list.add("vector.large-batch", .vector, ["M22", "H7"], needs: [.environment(counter)]) { context in
        let count = min(5000, context.limit("max_environments"))
        let batch = try context.connect().make(counter, count: count, options: [("limit", 2)], autoreset: .sameStep)
        let reset = try batch.reset(seeds: [0])
        try expect(reset.effectiveSeeds, (0..<count).map(UInt64.init), "effective_seeds")
        try batch.step(0)
        let last = try batch.step(0)
        try expect(last.finalIndex, Array(0..<count), "final_index")
        try expect(last.returns, [Double](repeating: 2, count: count), "returns")
    }
    list.add("vector.final-index", .vector, ["M22", "A8"], needs: [.environment(counter)]) { context in
        let batch = try context.connect().make(counter, count: 4, options: [("limit", 3)])
        try batch.reset(seeds: [1])
        try batch.reset(mask: [0, 1, 0, 1], options: [("start", 1)])
        try expect(try batch.step(0).finalIndex, [], "rows that ended with step 1")
        let second = try batch.step(0)
        try expect(second.finalIndex, [1, 3], "rows that ended with step 2")
        try expect(second.terminated, [0, 1, 0, 1], "terminated")
        try expect(second.returns, [2, 2], "returns of these rows")
        try expect(second.lengths, [2, 2], "lengths of these rows")
        try expect(try batch.step(0).finalIndex, [0, 2], "rows that ended with step 3")
    }
    list.add("vector.autoreset-goes-on-with-the-generator", .vector, ["A7", "M16"]) { context in
        let client = try context.connect()
        try context.forEach(try context.deterministicEnvironments()) { id in
            let manual = try client.make(id, autoreset: .disabled, limit: 4)
            let expected = try episodeStarts(manual, seed: 77)
            for mode in [Autoreset.nextStep, .sameStep] {
                let batch = try client.make(id, autoreset: mode, limit: 4)
                try expect(
                    try episodeStarts(batch, seed: 77), expected,
                    "\(mode): the starts of three episodes, as by reset without seed")
            }
        }
    }
    list.add("vector.last-observation", .vector, ["A4", "A5", "A6"]) { context in
        let client = try context.connect()
        try context.forEach(try context.deterministicEnvironments()) { id in
            let expected = try lastObservations(try client.make(id, autoreset: .disabled, limit: 4), seed: 31)
            for mode in [Autoreset.nextStep, .sameStep] {
                try expect(
                    try lastObservations(try client.make(id, autoreset: mode, limit: 4), seed: 31), expected,
                    "\(mode): the last observations of three episodes, as with autoreset disabled")
            }
        }
    }
}

/// Compares a row of a batch with a batch of one.
private func expectRow(_ together: Step, _ row: Int, _ alone: Step, _ what: String) throws {
    try expect(describe(together.observation[row]), describe(alone.observation[0]), "\(what): observation")
    try expect(together.rewards[row], alone.rewards[0], "\(what): reward")
    try expect(together.terminated[row], alone.terminated[0], "\(what): terminated")
    try expect(together.truncated[row], alone.truncated[0], "\(what): truncated")
    guard let position = together.finalIndex.firstIndex(of: row) else { return }
    try expect(together.returns[position], alone.returns[0], "\(what): return")
    try expect(together.lengths[position], alone.lengths[0], "\(what): length")
    if !alone.finalObservation.isEmpty {
        try expect(
            describe(together.finalObservation[position]), describe(alone.finalObservation[0]),
            "\(what): final observation")
    }
}

/// The first observations of three episodes that follow each other, whichever way the mode brings them.
private func episodeStarts(_ batch: Batch, seed: UInt64) throws -> [String] {
    var starts = [describe(try batch.reset(seeds: [seed]).observation[0])]
    var sampler = batch.sampler(seed: seed)
    while starts.count < 3 {
        let step = try batch.step(batch.actions(&sampler))
        guard step.finalIndex == [0] else { continue }
        switch batch.autoreset {
        case .sameStep: starts.append(describe(step.observation[0]))
        case .nextStep: starts.append(describe(try batch.step(repeated(batch)).observation[0]))
        case .disabled: starts.append(describe(try batch.reset().observation[0]))
        }
    }
    return starts
}

/// The last observations of three episodes.
private func lastObservations(_ batch: Batch, seed: UInt64) throws -> [String] {
    try batch.reset(seeds: [seed])
    var sampler = batch.sampler(seed: seed)
    var last: [String] = []
    while last.count < 3 {
        let step = try batch.step(batch.actions(&sampler))
        guard step.finalIndex == [0] else { continue }
        last.append(describe(batch.autoreset == .sameStep ? step.finalObservation[0] : step.observation[0]))
        switch batch.autoreset {
        case .sameStep: break
        case .nextStep: try batch.step(repeated(batch))
        case .disabled: try batch.reset()
        }
    }
    return last
}
