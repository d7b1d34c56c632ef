/// H2, M19 to M23, A1 to A3: steps.
func addStepChecks(to list: inout CheckList) {
    list.add("step.needs-reset", .core, ["H2", "E3"]) { context in
        let client = try context.connect()
        try context.forEach(context.environments) { id in
            let batch = try client.make(id, count: 2)
            let error = try batch.expectError(.needsReset, "step", batch.stepFields(repeated(batch)))
            try expect(
                error.messages("details").map { $0.integer("environment_index") }, [0, 1],
                "rows that the details name")
            try batch.reset(seeds: [1])
            try batch.step(repeated(batch))
        }
    }
    list.add("step.observation-in-space", .core, ["M22", "T1", "T5"]) { context in
        let client = try context.connect()
        try context.forEach(context.environments) { id in
            let batch = try client.make(id, count: 4)
            try batch.expectMembers(try batch.reset(seeds: [1]).observation, "the first observation")
            var sampler = batch.sampler()
            for step in 0..<50 {
                try batch.expectMembers(
                    try batch.step(batch.actions(&sampler)).observation, "the observation of step \(step)")
            }
        }
    }
    list.add("step.action-leaves", .core, ["M19"]) { context in
        try expectBadActions(context) { batch, good in
            [("no leaf", []), ("a leaf too many", good + [good.last!])]
        }
    }
    list.add("step.action-dtype", .core, ["M19"]) { context in
        try expectBadActions(context) { batch, good in
            guard let tensor = good[0].message("tensor") else { return [] }
            return (0...13).filter { $0 != tensor.integer("dtype") }.map { dtype in
                let size = DType(rawValue: UInt64(dtype))?.size ?? 1
                let elements = tensor.numbers("shape").reduce(1) { $0 * Int($1) }
                var changed = tensor
                changed.set("dtype", .integer(dtype))
                changed.set("data", .bytes([UInt8](repeating: 0, count: elements * size)))
                return ("dtype \(dtype)", replacing(good, changed))
            }
        }
    }
    list.add("step.action-shape", .core, ["M19"]) { context in
        try expectBadActions(context) { batch, good in
            guard let tensor = good[0].message("tensor") else { return [] }
            let shape = tensor.numbers("shape").map { Int(clamping: $0) }
            let shapes = [[], [1] + shape, shape + [1], [shape[0] + 1] + shape.dropFirst(), [0] + shape.dropFirst()]
            return shapes.map { other in
                var changed = tensor
                changed.set("shape", .integers(other))
                let size = DType(rawValue: tensor.number("dtype"))!.size
                changed.set("data", .bytes([UInt8](repeating: 0, count: other.reduce(size, *))))
                return ("shape \(other)", replacing(good, changed))
            }
        }
    }
    list.add("step.action-size", .core, ["M19", "T1"]) { context in
        try expectBadActions(context) { batch, good in
            guard let tensor = good[0].message("tensor") else { return [] }
            let data = tensor.bytes("data")
            return [("no data", []), ("a byte short", Array(data.dropLast())), ("a byte more", data + [0])].map {
                var changed = tensor
                changed.set("data", .bytes($0.1))
                return ($0.0, replacing(good, changed))
            }
        }
    }
    list.add("step.action-of-the-wrong-kind", .core, ["M19", "T4"]) { context in
        try expectBadActions(context) { batch, good in
            [
                ("values in place of a tensor", [Message("Leaf", [("values", .fields([]))])]),
                ("an empty leaf", [Message("Leaf")]),
            ]
        }
    }
    list.add("step.action-outside-discrete", .core, ["M20", "H6"]) { context in
        let client = try context.connect()
        let ids = try context.environments("of discrete actions") {
            $0.message("action_space")?.has("discrete") == true
        }
        try context.forEach(ids) { id in
            let batch = try client.make(id, count: 3)
            guard case .discrete(let count, let start) = batch.actionSpace else { return }
            try batch.reset(seeds: [1])
            for bad in [start - 1, start + count, Int.max, Int.min] {
                try expectInvalidRow(batch, 1, .integer(bad), "the action \(bad)")
            }
        }
    }
    list.add("step.action-outside-box", .core, ["M20"]) { context in
        try forBoxActions(context) { batch, box in
            for (row, delta) in [(0, 1.5), (2, -1.5)] {
                try expectInvalidRow(batch, row, .tensor(outside(box, by: delta)), "an action outside its bounds")
            }
        }
    }
    list.add("step.action-nan", .core, ["M20", "T5"]) { context in
        try forBoxActions(context) { batch, box in
            try expectInvalidRow(batch, 1, .tensor(filled(box, .nan)), "an action of NaN")
        }
    }
    list.add("step.action-infinite", .core, ["M20", "T5"]) { context in
        try forBoxActions(context) { batch, box in
            for value in [Double.infinity, -.infinity] where !box.high.doubles.contains(value) {
                try expectInvalidRow(batch, 1, .tensor(filled(box, value)), "an action of \(value)")
            }
        }
    }
    list.add("step.pass-out-of-bounds", .core, ["M20"]) { context in
        try forBoxActions(context, extra: [("pass_out_of_bounds", true)]) { batch, box in
            let actions = [1.5, -1.5, 1.5].map { Member.tensor(outside(box, by: $0)) }
            try batch.step(actions)
        }
    }
    list.add("step.pass-out-of-bounds-is-finite", .core, ["M20"]) { context in
        try forBoxActions(context, extra: [("pass_out_of_bounds", true)]) { batch, box in
            for value in [Double.nan, .infinity, -.infinity] {
                try expectInvalidRow(batch, 1, .tensor(filled(box, value)), "an action of \(value), passed on")
            }
        }
    }
    list.add("step.pass-out-of-bounds-not-for-discrete", .core, ["M20"], needs: [.environment(counter)]) { context in
        let batch = try context.connect().make(counter, count: 2, extra: [("pass_out_of_bounds", true)])
        try batch.reset(seeds: [1])
        try expectInvalidRow(batch, 1, .integer(2), "the action 2 of Discrete(2)")
    }
    list.add("step.refused-changes-nothing", .core, ["M20", "H6"]) { context in
        let client = try context.connect()
        try context.forEach(try context.deterministicEnvironments()) { id in
            let batch = try client.make(id, count: 2)
            let expected = try trajectory(batch, seed: 9, steps: 3)
            try batch.reset(seeds: [9])
            var sampler = batch.sampler(seed: 9)
            for step in 1...3 {
                try batch.expectError(.invalidAction, "step", [("action", .list([]))])
                try expect(
                    try batch.step(batch.actions(&sampler)), expected[step], "step \(step) after a refused one")
            }
        }
    }
    list.add("step.invalid-rows-are-named", .core, ["M20", "E3"], needs: [.environment(counter)]) { context in
        let batch = try context.connect().make(counter, count: 4)
        try batch.reset(seeds: [1])
        let actions: [Member] = [.integer(0), .integer(7), .integer(1), .integer(-1)]
        let error = try batch.expectError(.invalidAction, "step", batch.stepFields(actions))
        try expect(
            error.messages("details").map { $0.integer("environment_index") }, [1, 3], "rows that the details name")
        try expect(try batch.step(0).observation.map(count), [1, 1, 1, 1], "counts of the step after it")
    }
    list.add("step.reward-of-this-step", .core, ["M22", "A3"], needs: [.environment(counter)]) { context in
        let batch = try context.connect().make(counter, options: [("limit", 50), ("rewards", "count")])
        try batch.reset(seeds: [1])
        for step in 1...5 { try expect(try batch.step(0).rewards, [Double(step)], "the reward of step \(step)") }
    }
    list.add("step.terminated", .core, ["A1", "A3"], needs: [.environment(counter)]) { context in
        let batch = try context.connect().make(counter, options: [("limit", 2)])
        try batch.reset(seeds: [1])
        let first = try batch.step(0)
        try expect(first.terminated + first.truncated, [0, 0], "flags of the first step")
        let last = try batch.step(0)
        try expect(last.terminated + last.truncated, [1, 0], "terminated and truncated of the step that ends the task")
    }
    list.add("step.truncated-by-environment", .core, ["A1"], needs: [.environment(counter)]) { context in
        let batch = try context.connect().make(counter, options: [("limit", 9), ("cut", 2)])
        try batch.reset(seeds: [1])
        try batch.step(0)
        let last = try batch.step(0)
        try expect(last.terminated + last.truncated, [0, 1], "terminated and truncated of a step that is cut off")
    }
    list.add("step.truncated-by-environment-before-the-limit", .core, ["A1", "A2"], needs: [.environment(counter)]) {
        context in
        let batch = try context.connect().make(counter, options: [("limit", 9), ("cut", 2)], limit: 5)
        try batch.reset(seeds: [1])
        try batch.step(0)
        let last = try batch.step(0)
        try expect(
            last.terminated + last.truncated, [0, 1],
            "terminated and truncated of step 2, which the environment cuts off, with a limit of 5")
        try expect(last.lengths, [2], "the episode's length")
    }
    list.add("step.truncated-by-limit", .core, ["A2", "M9"]) { context in
        let client = try context.connect()
        try context.forEach(context.environments) { id in
            let batch = try client.make(id, limit: 3)
            // An episode that ends before its third step by itself says nothing of the limit.
            for seed in UInt64(1)...20 {
                try batch.reset(seeds: [seed])
                var sampler = batch.sampler(seed: seed)
                let steps = try (0..<3).map { _ in try batch.step(batch.actions(&sampler)) }
                if steps.dropLast().contains(where: { $0.finalIndex == [0] }) { continue }
                try expect(steps[2].truncated, [1], "truncated at step 3 of at most 3")
                try expect(steps[2].lengths, [3], "the episode's length")
                return
            }
        }
    }
    list.add("step.both-flags", .core, ["A1", "A2"], needs: [.environment(counter)]) { context in
        let batch = try context.connect().make(counter, options: [("limit", 2)], limit: 2)
        try batch.reset(seeds: [1])
        try batch.step(0)
        let last = try batch.step(0)
        try expect(last.terminated + last.truncated, [1, 1], "both flags, when the task ends at its time limit")
    }
    list.add("step.no-limit", .core, ["M9"], needs: [.environment(counter)]) { context in
        let batch = try context.connect().make(counter, options: [("limit", 100_000)], limit: 0)
        try batch.reset(seeds: [1])
        for _ in 0..<600 { try expect(try batch.step(0).finalIndex, [], "rows that ended without any limit") }
    }
    list.add("step.limit-does-not-count-resets", .core, ["A2"], needs: [.environment(counter)]) { context in
        let batch = try context.connect().make(counter, options: [("limit", 100)], limit: 2)
        try batch.reset(seeds: [1])
        for episode in 0..<3 {
            try expect(try batch.step(0).truncated, [0], "episode \(episode), step 1: truncated")
            try expect(try batch.step(0).truncated, [1], "episode \(episode), step 2: truncated")
            let reset = try batch.step(0)
            try expect(reset.truncated + reset.terminated, [0, 0], "episode \(episode), the reset: flags")
        }
    }
    list.add("step.returns-and-lengths", .core, ["A3"], needs: [.environment(counter)]) { context in
        let batch = try context.connect().make(counter, options: [("limit", 4), ("rewards", "count")])
        try batch.reset(seeds: [1])
        for _ in 0..<3 { try expect(try batch.step(0).returns, [], "returns of a step that ends nothing") }
        let last = try batch.step(0)
        try expect(last.returns, [10], "the return of the rewards 1, 2, 3 and 4")
        try expect(last.lengths, [4], "the length")
    }
    list.add("step.returns-in-float64", .core, ["A3"], needs: [.environment(counter)]) { context in
        let batch = try context.connect().make(counter, options: [("limit", 10), ("scale", .real(0.1))])
        try batch.reset(seeds: [1])
        let steps = try (0..<10).map { _ in try batch.step(0) }
        let sum = steps.reduce(0.0) { $0 + $1.rewards[0] }
        try expect(steps[0].rewards[0], 0.1, "a reward of 0.1, in FLOAT64")
        try expect(steps[9].returns, [sum], "the sum of ten rewards of 0.1, in order")
    }
    addStepTimeChecks(to: &list)
    list.add("step.info", .core, ["M23"], needs: [.environment(counter)]) { context in
        let batch = try context.connect().make(counter, count: 2, options: [("limit", 50)])
        try batch.reset(seeds: [1])
        try batch.reset(mask: [0, 1], options: [("start", 1)])
        try expect(try batch.step(1).info, [], "info that nobody asked for")
        let info = try batch.step([.integer(0), .integer(1)], wantsInfo: true).info
        func column(_ name: String) -> [Member?]? { info.first { $0.name == name }?.values }
        try expect(column("count"), [.integer(2), .integer(3)], "info 'count'")
        try expect(column("action"), [.integer(0), .integer(1)], "info 'action'")
        try expect(column("even"), [.text("2 is even"), nil], "info 'even', which the odd row does not have")
    }
    list.add("step.action-of-each-row", .core, ["M19"], needs: [.environment(echo)]) { context in
        let batch = try context.connect().make(echo, count: 3, options: [("space", "discrete")])
        try batch.reset(seeds: [1])
        let actions: [Member] = [.integer(4), .integer(0), .integer(2)]
        try expect(
            try batch.step(actions).observation.map { describe($0) }, actions.map { describe([$0]) },
            "what each row was given as action")
    }
}

/// M34: how long steps took, where make asks for it.
private func addStepTimeChecks(to list: inout CheckList) {
    let asked: [(String, Message.Value)] = [("want_step_time", true)]
    list.add("step.time", .core, ["M34"], since: 1) { context in
        let client = try context.connect()
        try context.forEach(context.environments) { id in
            let batch = try client.make(id, count: 3, extra: asked)
            try batch.reset(seeds: [1])
            for _ in 0..<2 {
                let times = try batch.step(repeated(batch)).nanoseconds
                try expect(times.count, 3, "number of step_nanoseconds of three rows")
                try require(
                    times.allSatisfy { $0 >= 0 }, "step_nanoseconds", expected: "no number below 0", got: "\(times)")
            }
        }
    }
    list.add("step.time-unasked", .core, ["M34"], since: 1) { context in
        let batch = try context.connect().make(context.environments[0])
        try batch.reset(seeds: [1])
        try expect(try batch.step(repeated(batch)).nanoseconds, [], "step_nanoseconds that nobody asked for")
    }
    list.add("step.time-of-each-row", .core, ["M34"], needs: [.environment(slow)], since: 1) { context in
        // A step never takes less than it sleeps. That the other row's is shorter, a busy machine may hide for a while.
        try context.withGrowingTimes { milliseconds in
            let batch = try context.connect().make(slow, count: 2, extra: asked)
            try batch.reset(seeds: [1])
            for row in 0..<2 {
                let actions = (0..<2).map { Member.integer($0 == row ? milliseconds : 0) }
                let times = try batch.step(actions).nanoseconds
                try require(
                    times.count == 2 && times[row] >= Int64(milliseconds) * 1_000_000
                        && times[1 - row] < times[row] / 2,
                    "step_nanoseconds where row \(row) takes \(milliseconds) ms",
                    expected: "at least that of row \(row), less than half of it of the other", got: "\(times)")
            }
        }
    }
}

private func replacing(_ leaves: [Message], _ tensor: Message) -> [Message] {
    [Message("Leaf", [("tensor", .message(tensor))])] + leaves.dropFirst()
}

/// Steps with actions of a wrong form, made from good ones; each is refused, and names the field.
private func expectBadActions(
    _ context: Context, _ make: (Batch, [Message]) -> [(String, [Message])]
) throws {
    let client = try context.connect()
    try context.forEach(context.environments) { id in
        let batch = try client.make(id, count: 3)
        guard batch.actionSpace.isFixed else { return }
        try batch.reset(seeds: [1])
        guard case .list(let values) = batch.stepFields(repeated(batch))[0].1 else { return }
        let good = values.compactMap { if case .message(let message) = $0 { message } else { nil } }
        for (what, leaves) in make(batch, good) {
            // The text of 1.0 can be read so that a tensor which contradicts itself, or a dtype of no meaning, goes first.
            let codes: [ErrorCode] =
                context.minor == 0 ? [.invalidAction, .malformedMessage, .invalidArgument] : [.invalidAction]
            let error = try batch.expectError(codes, "step", [("action", .messages(leaves))], "an action of \(what)")
            if context.minor > 0 { try expectField("action", error) }
        }
        try batch.step(repeated(batch))
    }
}

/// Steps with one row's action outside of the space.
private func expectInvalidRow(_ batch: Batch, _ row: Int, _ bad: Member, _ what: String) throws {
    var actions = repeated(batch)
    actions[row] = bad
    let error = try batch.expectError(.invalidAction, "step", batch.stepFields(actions), what)
    try expect(rowsNamed(error), [row], "\(what): rows that the details name")
}

/// Does something with each environment whose action is one box of floats, and with the echo's.
private func forBoxActions(
    _ context: Context, extra: [(String, Message.Value)] = [], _ body: (Batch, Box) throws -> Void
) throws {
    var cases: [(id: String, options: [(String, Message.Value)])] = context.environments.filter {
        guard let space = try? Space(context.specs[$0]!.message("action_space"), ""), case .box(let box) = space else {
            return false
        }
        return box.dtype.isFloatingPoint
    }.map { ($0, []) }
    if context.specs[echo] != nil {
        cases += ["float16", "float32", "float64"].map { (echo, [("space", .text($0))]) }
    }
    if cases.isEmpty { throw Skip(reason: "no environment to check with has boxes of floats as actions") }
    let client = try context.connect()
    for (id, options) in cases {
        try context.forEach([id]) { id in
            let batch = try client.make(id, count: 3, options: options, extra: extra)
            guard case .box(let box) = batch.actionSpace else { return }
            try batch.reset(seeds: [1])
            try body(batch, box)
        }
    }
}

/// A tensor of the box's form that is `by` outside of its bounds: above when positive.
private func outside(_ box: Box, by: Double) -> Tensor {
    let bound = by > 0 ? box.high.doubles[0] : box.low.doubles[0]
    return filled(box, (bound.isFinite ? bound : 0) + by)
}

/// A tensor of the box's form with the value everywhere.
func filled(_ box: Box, _ value: Double) -> Tensor {
    let count = Tensor.count(of: box.shape)
    switch box.dtype {
    case .float16: return Tensor([Float16](repeating: Float16(value), count: count), shape: box.shape)
    case .float32: return Tensor([Float](repeating: Float(value), count: count), shape: box.shape)
    default: return Tensor([Double](repeating: value, count: count), shape: box.shape)
    }
}
