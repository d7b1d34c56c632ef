let counter = "conformance/Counter-v0"
let echo = "conformance/Echo-v0"
let fault = "conformance/Fault-v0"
let slow = "conformance/Slow-v0"

/// H1, M5 to M12, M32: making and closing.
func addMakeChecks(to list: inout CheckList) {
    list.add("make.unknown-environment", .core, ["M5"]) { context in
        let client = try context.connect()
        let id = context.environments[0]
        // One letter short, so that the id is not in the message by being in the question.
        let misspelt = String(id.dropLast())
        let error = try client.expectError(.unknownEnvironment, "make", Client.makeFields(misspelt))
        try require(
            error.text("message").contains(id), "the message for '\(misspelt)'", expected: "the nearest id, \(id)",
            got: error.text("message"))
        try client.expectError(.unknownEnvironment, "make", Client.makeFields(""))
        try client.expectAlive("an unknown environment")
    }
    list.add("make.number-zero-is-one", .core, ["M5"]) { context in
        let batch = try context.connect().make(context.environments[0], count: 0)
        try expect(batch.count, 1, "num_envs of the answer")
    }
    list.add("make.number", .core, ["M5"]) { context in
        let client = try context.connect()
        for count in [1, 2, 7] {
            let batch = try client.make(context.environments[0], count: count)
            try expect(batch.count, count, "num_envs of the answer")
            try batch.reset(seeds: [1])
        }
    }
    list.add("make.handles", .core, ["H1"]) { context in
        let client = try context.connect()
        var handles: [UInt32] = []
        for _ in 0..<4 {
            let batch = try client.make(context.environments[0])
            handles.append(batch.handle)
            if handles.count % 2 == 0 { try batch.call("close") }
        }
        try expect(Set(handles).count, 4, "number of different handles of \(handles), two of them closed")
    }
    list.add("make.unknown-handle", .core, ["H1", "E4"]) { context in
        let client = try context.connect()
        let batch = try client.make(context.environments[0])
        let messages = ["step", "reset", "close", "sample", "contains", "render", "get_state", "set_state", "receive"]
        for handle in [UInt32(0), batch.handle + 1000, .max] {
            for message in messages { try client.expectError(.unknownHandle, message, handle: handle) }
        }
    }
    list.add("make.handle-of-another-connection", .core, ["W1", "H1"]) { context in
        let first = try context.connect()
        let second = try context.connect()
        let batch = try first.make(context.environments[0])
        try second.expectError(.unknownHandle, "reset", handle: batch.handle)
        try second.expectError(.unknownHandle, "close", handle: batch.handle)
        try batch.reset(seeds: [1])
    }
    list.add("make.close-twice", .core, ["H1", "M32"]) { context in
        let client = try context.connect()
        let batch = try client.make(context.environments[0])
        try batch.call("close")
        try batch.expectError(.unknownHandle, "close", [], "a second close")
        try batch.expectError(.unknownHandle, "reset", [], "a reset after close")
    }
    list.add("make.close-frees", .core, ["M32", "M3"]) { context in
        let client = try context.connect()
        let batch = try client.make(context.environments[0], count: 5)
        let before = try client.call("status").integer("environments")
        try require(before >= 5, "environments after a make of 5", expected: "at least 5", got: "\(before)")
        try batch.call("close")
        // Those of connections that have just ended may go as well.
        let after = try client.call("status").integer("environments")
        try require(
            after <= before - 5, "environments after close", expected: "5 less than \(before)", got: "\(after)")
    }
    list.add("make.option-unknown", .core, ["M6"]) { context in
        let client = try context.connect()
        let error = try client.expectError(
            .invalidOption, "make", Client.makeFields(context.environments[0], options: [("no_such_option", 1)]))
        try expectField("options.no_such_option", error)
    }
    list.add("make.option-wrong-type", .core, ["M6"]) { context in
        let client = try context.connect()
        let ids = try context.environments("with options") { $0.has("options") }
        try context.forEach(ids) { id in
            for option in context.specs[id]!.messages("options") {
                // A list of lists is a value of no option.
                var fields = Client.makeFields(id)
                fields.append(
                    ("options", .list([.fields([("name", .text(option.text("name"))), ("value", badValue)])])))
                let error = try client.expectError(.invalidOption, "make", fields, "option \(option.text("name"))")
                try expectField("options.\(option.text("name"))", error)
            }
        }
    }
    list.add("make.option-out-of-range", .core, ["M6"], needs: [.environment(counter)]) { context in
        let client = try context.connect()
        for options: [(String, Message.Value)] in [[("limit", 0)], [("rewards", "both")], [("scale", .real(.nan))]] {
            let error = try client.expectError(.invalidOption, "make", Client.makeFields(counter, options: options))
            try expectField("options.\(options[0].0)", error)
        }
    }
    list.add("make.option-whole-number-for-real", .core, ["M6"], needs: [.environment(counter)]) { context in
        let batch = try context.connect().make(counter, options: [("scale", 2)])
        try batch.reset(seeds: [1])
        try expect(try batch.step(0).rewards, [2], "the reward scaled by the whole number 2")
    }
    list.add("make.option-taken", .core, ["M6"], needs: [.environment(counter)]) { context in
        let batch = try context.connect().make(counter, options: [("limit", 2), ("rewards", "count")])
        try batch.reset(seeds: [1])
        try expect(try batch.step(0).rewards, [1], "the first reward")
        let last = try batch.step(0)
        try expect(last.rewards, [2], "the second reward")
        try expect(last.terminated, [1], "terminated at the option's limit")
    }
    list.add("make.option-twice", .core, ["M6"]) { context in
        let client = try context.connect()
        try client.expectError(
            .malformedMessage, "make", Client.makeFields(context.environments[0], options: [("a", 1), ("a", 1)]),
            "an option given twice")
        try client.expectAlive("an option given twice")
    }
    list.add("make.option-without-value", .core, ["M6"]) { context in
        let client = try context.connect()
        for value: [(String, Message.Value)] in [[], [("value", .fields([]))]] {
            var fields = Client.makeFields(context.environments[0])
            fields.append(("options", .list([.fields([("name", "a")] + value)])))
            try client.expectError(.malformedMessage, "make", fields, "an option without value")
        }
    }
    list.add("make.autoreset-default", .core, ["M7"]) { context in
        let batch = try context.connect().make(context.environments[0])
        try expect(batch.autoreset, .nextStep, "the mode when none is asked for")
    }
    list.add("make.autoreset-echoed", .core, ["M7", "V8"]) { context in
        let client = try context.connect()
        try context.forEach(context.environments) { id in
            for mode in context.specs[id]!.numbers("autoreset_modes") {
                let batch = try client.make(id, autoreset: Autoreset(rawValue: mode))
                try expect(batch.autoreset.rawValue, mode, "the mode that the answer echoes")
                try batch.call("close")
            }
        }
    }
    list.add("make.autoreset-unknown", .core, ["V5", "M7"]) { context in
        let client = try context.connect()
        for mode in [4, 99] {
            try client.expectError(
                .invalidArgument, "make",
                Client.makeFields(context.environments[0], extra: [("autoreset", .integer(mode))]))
        }
    }
    list.add("make.autoreset-not-listed", .core, ["M7"]) { context in
        let client = try context.connect()
        var tried = 0
        for id in context.specs.keys.sorted() {
            let listed = context.specs[id]!.numbers("autoreset_modes")
            for mode in Autoreset.allCases where !listed.contains(mode.rawValue) {
                tried += 1
                try client.expectError(
                    .invalidArgument, "make", Client.makeFields(id, autoreset: mode),
                    "\(id), which lists the modes \(listed): a make with mode \(mode.rawValue)")
            }
        }
        if tried == 0 { throw Skip(reason: "every environment lists every mode") }
    }
    list.add("make.autoreset-options-checked", .core, ["M7", "M14"]) { context in
        let client = try context.connect()
        let extra = [("autoreset_options", Client.options([("no_such_option", 1)]))]
        let error = try client.expectError(
            .invalidOption, "make", Client.makeFields(context.environments[0], extra: extra))
        try expectField("autoreset_options.no_such_option", error)
    }
    list.add("make.transport-unknown", .core, ["V5"]) { context in
        let client = try context.connect()
        try client.expectError(
            .invalidArgument, "make", Client.makeFields(context.environments[0], extra: [("transport", 9)]))
    }
    list.add("make.transport-default", .core, ["M10"]) { context in
        let batch = try context.connect().make(context.environments[0])
        try expect(batch.made.number("transport"), 1, "the transport when none is asked for")
        try expect(batch.made.message("shared_memory"), nil, "shared_memory of the answer")
    }
    list.add(
        "make.ragged-in-shared-memory", .core, ["M10"],
        needs: [.environment(echo), .capability("shared-memory.v1")]
    ) { context in
        let client = try context.connect()
        for space in ["text", "graph", "mixed"] {
            try client.expectError(
                .unsupportedCapability, "make",
                Client.makeFields(echo, options: [("space", .text(space))], extra: [("transport", 2)]))
        }
    }
    list.add("make.time-limit", .core, ["M9", "A2"]) { context in
        let client = try context.connect()
        try context.forEach(context.environments) { id in
            let registered = context.specs[id]!.number("max_episode_steps")
            try expect(
                try client.make(id).made.number("max_episode_steps"), registered, "the limit when none is given")
            try expect(try client.make(id, limit: 0).made.number("max_episode_steps"), 0, "the limit 0: none")
            try expect(try client.make(id, limit: 7).made.number("max_episode_steps"), 7, "the limit 7")
        }
    }
    list.add("make.batched-spaces", .core, ["M12", "T6"]) { context in
        let client = try context.connect()
        try context.forEach(context.environments) { try expectBatched(try client.make($0, count: 3)) }
    }
    list.add("make.batched-spaces-of-all-kinds", .core, ["T6", "V8"], needs: [.environment(echo)]) { context in
        let client = try context.connect()
        try forEachEchoSpace(context) { space in
            let batch = try client.make(echo, count: 2, options: [("space", .text(space))])
            try expectBatched(batch)
            try batch.call("close")
        }
    }
    list.add("make.spec-with-the-options", .core, ["M12"], needs: [.environment(echo)]) { context in
        let client = try context.connect()
        for space in ["discrete", "text", "nested"] {
            let batch = try client.make(echo, options: [("space", .text(space))])
            for (field, expected) in [
                ("observation_space", batch.observationSpace), ("action_space", batch.actionSpace),
            ] {
                try expect(
                    try Space(batch.made.message("spec")?.message(field), "spec.\(field)"), expected,
                    "\(field) of the spec in the answer to a make with space=\(space)")
            }
        }
    }
    list.add("make.fails", .core, ["E"], needs: [.environment(fault)]) { context in
        let client = try context.connect()
        try client.expectError(.environmentFault, "make", Client.makeFields(fault, options: [("make", Client.yes)]))
        try client.expectAlive("a make that failed")
    }
}

/// A value that no option takes: a list in a list.
private let badValue = Message.Value.fields([
    ("list", .fields([("values", .list([.fields([("list", .fields([]))])]))]))
])

/// The names of the echo's spaces, as PROTOCOL.md has them, with the minor version that asks for each.
private let spacesOfEcho: [(name: String, since: Int)] =
    [
        "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32",
        "float64",
        "unbounded", "element-bounds", "scalar", "discrete", "discrete-start", "multi-discrete", "multi-binary", "text",
        "dict", "tuple", "nested", "sequence", "graph", "graph-plain", "one-of", "mixed",
    ].map { ($0, 0) } + [("text-wide", 1)]

/// Does the rest of a check with each space of the echo, and says with which it failed.
func forEachEchoSpace(_ context: Context, _ body: (String) throws -> Void) throws {
    for space in spacesOfEcho where space.since <= context.minor {
        do {
            try body(space.name)
        } catch let failure as CheckFailure {
            throw CheckFailure(
                what: "\(echo) with space=\(space.name): \(failure.what)", expected: failure.expected, got: failure.got,
                kind: failure.kind)
        }
    }
}

/// Fails unless one of the details names the field.
func expectField(_ field: String, _ error: Message) throws {
    let fields = error.messages("details").map { $0.text("field") }
    try require(
        fields.contains(field), "the fields that the error's details name", expected: field, got: "\(fields)")
}

private func expectBatched(_ batch: Batch) throws {
    for (name, single) in [("observation", batch.observationSpace), ("action", batch.actionSpace)] {
        let batched = try Space(batch.made.message("batched_\(name)_space"), "batched_\(name)_space")
        try expect(batched, single.batched(batch.count), "batched_\(name)_space of \(batch.count)")
    }
}
