let knownCapabilities = ["shared-memory.v1", "async.v1", "state.v1", "render.v1", "spaces.v1"]

/// V and C, and the requests about a connection: hello, ping, status, list, shutdown.
func addConnectionChecks(to list: inout CheckList) {
    list.add("version.other-major", .core, ["V2", "C3"]) { context in
        for major in [0, 2, 4_000_000_000] {
            let client = try context.connectWithoutHello()
            let error = try client.expectError(
                .unsupportedVersion, "hello", client.hello(major: major, minor: 3), "the answer to major \(major)")
            let text = error.text("message")
            try require(
                text.contains("\(major).3") && text.contains("1."), "the error's message",
                expected: "both versions, \(major).3 and 1.x", got: text)
            let detail = error.messages("details").first { $0.text("field") == "major" }
            try require(
                detail?.text("expected").hasPrefix("1") == true
                    && detail?.text("got").hasPrefix("\(major)") == true,
                "the detail of field 'major'", expected: "expected 1…, got \(major)…",
                got: detail.map { "\($0)" } ?? "none")
            try client.expectEnd("after UNSUPPORTED_VERSION")
        }
    }
    list.add("version.minor-in-force", .core, ["V1", "V3"]) { context in
        let own = try context.connectWithoutHello().greet(minor: 4_000_000)
        try expect(own.number("major"), 1, "the major version")
        try require(
            own.number("minor") < 4_000_000, "the minor version in force", expected: "the server's own",
            got: "\(own.number("minor"))")
        try expect(try context.connectWithoutHello().greet(minor: 0).number("minor"), 0, "the minor version in force")
    }
    list.add("version.unknown-message", .core, ["V5", "E2"]) { context in
        let client = try context.connect()
        var request = Message("Request", [("id", 77)])
        request.fields.append((number: 900, value: .bytes([8, 1])))
        try client.send(request)
        try client.receiveError(.unknownMessage, id: 77, "the answer to a message of a newer minor version")
        try client.expectAlive("an unknown message")
    }
    list.add("version.empty-request", .core, ["V5"]) { context in
        let client = try context.connect()
        try client.send(Message("Request", [("id", 5)]))
        try client.receiveError(.unknownMessage, id: 5, "the answer to a request without message")
        try client.send(bytes: RawConnection.frame([]))
        try client.receiveError(.unknownMessage, id: 0, "the answer to an empty body")
    }
    list.add("version.capabilities-all", .core, ["V6", "V7"]) { context in
        let announced = context.hello.texts("capabilities")
        try expect(Set(announced).count, announced.count, "number of different capabilities")
        for name in announced where knownCapabilities.contains(name) {
            let client = try context.connect(capabilities: [name])
            try client.expectAlive("a hello with \(name)")
        }
    }
    list.add("version.capabilities-asked-for", .core, ["V6"]) { context in
        let some = Array(context.capabilities.sorted().prefix(2))
        if some.isEmpty { throw Skip(reason: "the server has no capabilities") }
        let client = try context.connectWithoutHello()
        let hello = try client.greet(capabilities: some)
        try expect(hello.texts("capabilities").sorted(), some, "capabilities in force")
    }
    list.add("version.capabilities-unknown", .core, ["V6"]) { context in
        let client = try context.connectWithoutHello()
        let hello = try client.greet(capabilities: ["teleport.v9"])
        try expect(hello.texts("capabilities"), [], "capabilities in force, of none that the server knows")
        try client.expectAlive("an unknown capability")
    }
    list.add("version.older-client", .core, ["V1", "V9", "V10", "L1", "M35"], since: 1) { context in
        // A client of 1.0 is told nothing that it cannot know: the suite looks at each message for that.
        let client = try context.connectWithoutHello()
        try client.greet(minor: 0)
        try client.call("status")
        try client.call("list")
        let batch = try client.make(context.environments[0], extra: [("want_step_time", true)])
        try batch.reset(seeds: [1])
        let step = try batch.call("step", batch.stepFields(repeated(batch)))
        try expect(step.bytes("step_nanoseconds").count, 0, "bytes of step_nanoseconds for a client of 1.0")
    }
    list.add(
        "version.older-client-states", .core, ["V9", "M36"],
        needs: [.capability("state.v1"), .environment(counter)], since: 1
    ) { context in
        let client = try context.connectWithoutHello()
        try client.greet(minor: 0)
        let batch = try client.make(counter)
        try batch.reset(seeds: [1])
        let other = try client.make(counter, options: [("limit", 77)])
        try other.reset(seeds: [1])
        try batch.expectError(
            .invalidState, "set_state", Batch.stateFields(try other.states()),
            "a state of other options, from a client of 1.0")
    }
    addCapabilityChecks(to: &list)

    list.add("connection.hello-first", .core, ["C1"]) { context in
        for message in ["ping", "list", "status"] {
            let client = try context.connectWithoutHello()
            try client.expectError(.helloExpected, message, [], "\(message) before hello")
            try client.expectEnd("after HELLO_EXPECTED")
        }
    }
    list.add("connection.hello-first-undecodable", .core, ["C1"]) { context in
        for body: [UInt8] in [[0xFF, 0xFF, 0xFF], []] {
            let client = try context.connectWithoutHello()
            try client.send(bytes: RawConnection.frame(body))
            try client.receiveError(.helloExpected, id: nil, "a first frame that is no hello")
            try client.expectEnd("after HELLO_EXPECTED")
        }
    }
    list.add("connection.second-hello", .core, ["C2"]) { context in
        let client = try context.connect()
        try client.expectError(.invalidArgument, "hello", client.hello(), "a second hello")
        try client.expectAlive("a second hello")
    }
    list.add("connection.second-hello-changes-nothing", .core, ["C2", "H6"]) { context in
        let client = try context.connect()
        let handle = try client.make(context.environments[0])
        try client.expectError(.invalidArgument, "hello", client.hello(capabilities: ["teleport.v9"]))
        try handle.reset(seeds: [1])
    }
    list.add("connection.nothing-after-fatal", .core, ["C3"]) { context in
        let client = try context.connect()
        let ping = client.request("ping")
        try client.send(bytes: RawConnection.frame([], kind: 9) + RawConnection.frame(ping.encoded))
        try client.receiveError(.malformedFrame, id: nil, "the answer to a frame of kind 9")
        try client.expectEnd("after a fatal error, with a request behind it")
    }
    list.add("connection.nothing-after-fatal-of-a-handle", .core, ["C3"], needs: [.environment(slow)], since: 1) {
        context in
        for _ in 0..<3 {
            let client = try context.connect()
            let batch = try client.make(slow)
            try batch.reset(seeds: [1])
            try client.send("step", batch.stepFields([.integer(20)]), handle: batch.handle)
            try client.send(bytes: RawConnection.frame([], kind: 9))
            var response = try client.receive("the answer to a frame of kind 9", expected: "MALFORMED_FRAME")
            if response.has("step") { response = try client.receive("the answer to a frame of kind 9") }
            try require(
                response.message("error")?.number("code") == ErrorCode.malformedFrame.rawValue,
                "the answer to a frame of kind 9", expected: "\(ErrorCode.malformedFrame)",
                got: Client.describe(response))
            try client.expectEnd("after a fatal error, with a step under way")
        }
    }
    list.add("connection.token", .core, ["C5"], needs: [.token]) { context in
        for token in ["", context.greeting.token + "x", String(context.greeting.token.dropLast())] {
            let client = try context.connectWithoutHello()
            try client.expectError(.unauthorized, "hello", client.hello(token: token), "a hello with another token")
            try client.expectEnd("after UNAUTHORIZED")
        }
        try context.connect().expectAlive("a hello with the token")
    }
    list.add("connection.ping", .core, ["M2", "O1"]) { context in
        let client = try context.connect()
        let answer = try client.call("ping")
        try require(answer.fields.isEmpty, "the answer to ping", expected: "an empty message", got: "\(answer)")
    }
    list.add("connection.errors", .core, ["E1"]) { context in
        // What every check looks at where an error is due, once more by itself: code, message, and the flag.
        let client = try context.connect()
        try client.expectError(.unknownHandle, "close", handle: 4711, "a close of a handle that is not there")
        try client.expectError(.unknownEnvironment, "make", Client.makeFields("no such environment"))
        try client.send(bytes: RawConnection.frame([], kind: 9))
        try client.receiveError(.malformedFrame, id: nil, "the answer to a frame of kind 9")
    }
    list.add("connection.regular-end", .core, ["C6", "F7"]) { context in
        let client = try context.connect()
        client.raw.endSending()
        try client.expectEnd("after the client's stream ended between frames")
    }
    list.add("connection.session-ids", .core, ["M1"]) { context in
        let ids = try (0..<3).map { _ in try context.connectWithoutHello().greet().number("session_id") }
        try expect(Set(ids).count, 3, "number of different session_id of \(ids)")
    }
    list.add("connection.limits-announced", .core, ["L1", "M1"]) { context in
        guard let limits = context.hello.message("limits") else {
            throw CheckFailure(what: "limits of the hello", expected: "limits", got: "none")
        }
        let names = [
            "max_frame_bytes", "max_connections", "max_handles", "max_environments", "max_pending_requests",
            "max_memory_bytes",
        ]
        for name in names {
            try require(limits.number(name) > 0, "the limit \(name)", expected: "above 0", got: "0")
        }
        try require(
            limits.number("max_frame_bytes") >= 4096, "max_frame_bytes", expected: "at least 4096",
            got: "\(limits.number("max_frame_bytes"))")
    }
    list.add("connection.ids-echoed", .core, ["M", "O1"]) { context in
        let client = try context.connect()
        for id in [UInt64(1), 1, .max, 1 << 40] {
            try client.send(client.request("ping", id: id))
            try client.answer("ping", to: id)
        }
    }
    list.add("connection.handle-ignored-and-echoed", .core, ["M"]) { context in
        let client = try context.connect()
        for message in ["ping", "status", "list"] { try client.call(message, handle: 4711) }
    }
    list.add("connection.status", .core, ["M3"]) { context in
        let client = try context.connect()
        let before = try client.call("status")
        let batch = try client.make(context.environments[0], count: 3)
        try batch.reset(seeds: [1])
        var sampler = batch.sampler()
        try batch.step(batch.actions(&sampler))
        let after = try client.call("status")
        try require(
            before.number("connections") >= 1, "connections", expected: "this one counted",
            got: "\(before.number("connections"))")
        try require(
            after.number("environments") >= 3, "environments", expected: "these 3 counted",
            got: "\(after.number("environments"))")
        try require(
            after.number("steps") >= before.number("steps") + 3, "steps",
            expected: "at least 3 more than \(before.number("steps"))", got: "\(after.number("steps"))")
        for field in ["bytes_received", "bytes_sent", "connections_total"] {
            try require(after.number(field) > 0, field, expected: "above 0", got: "0")
        }
        try require(
            after.real("uptime_seconds") >= before.real("uptime_seconds") && after.real("uptime_seconds") > 0,
            "uptime_seconds", expected: "not less than before", got: "\(after.real("uptime_seconds"))")
    }
    list.add("connection.status-counts-resets", .core, ["M3"], needs: [.environment(counter)], since: 1) { context in
        // Others may step meanwhile, so at least: a server that leaves out the step that resets counts four.
        let client = try context.connect()
        let batch = try client.make(counter, count: 2, options: [("limit", 1)])
        try batch.reset(seeds: [1])
        let before = try client.call("status").number("steps")
        for _ in 0..<4 { try batch.step(0) }
        let after = try client.call("status").number("steps")
        try require(
            after >= before + 8, "steps after four of two rows, half of which only reset",
            expected: "at least 8 more than \(before)", got: "\(after)")
    }
    addUseChecks(to: &list)
    list.add("connection.status-counts-errors", .core, ["M3"]) { context in
        let client = try context.connect()
        let before = try client.call("status").number("errors")
        try client.expectError(.unknownHandle, "close", handle: 999)
        let after = try client.call("status").number("errors")
        try require(after > before, "errors", expected: "more than \(before)", got: "\(after)")
    }
    list.add("list.ids-differ", .core, ["M4"]) { context in
        let ids = try context.connect().call("list").messages("environments").map { $0.text("id") }
        try require(!ids.isEmpty, "environments", expected: "at least one", got: "none")
        try expect(Set(ids).count, ids.count, "number of different ids of \(ids)")
    }
    list.add("list.specs", .core, ["M4", "T7"]) { context in
        for (id, spec) in context.specs.sorted(by: { $0.key < $1.key }) {
            _ = try Space(spec.message("observation_space"), "\(id): observation_space")
            _ = try Space(spec.message("action_space"), "\(id): action_space")
            let modes = spec.numbers("autoreset_modes")
            try require(
                !modes.isEmpty && modes.allSatisfy { (1...3).contains($0) }, "\(id): autoreset_modes",
                expected: "some of 1 to 3", got: "\(modes)")
            for option in spec.messages("options") + spec.messages("reset_options") {
                try require(
                    !option.text("name").isEmpty && option.message("default_value") != nil,
                    "\(id): an option's name and default_value", expected: "both", got: "\(option)")
            }
        }
    }
    list.add("list.frames-a-second", .core, ["M4"], since: 1) { context in
        for (id, spec) in context.specs.sorted(by: { $0.key < $1.key }) where spec.has("render_modes") {
            try require(
                spec.real("render_fps") > 0, "\(id): render_fps of an environment with render modes",
                expected: "above 0", got: "\(spec.real("render_fps"))")
        }
    }
    list.add("list.spec-is-what-is-made", .core, ["M12"]) { context in
        let client = try context.connect()
        try context.forEach(context.environments) { id in
            let batch = try client.make(id)
            guard let made = batch.made.message("spec"), let listed = context.specs[id] else {
                throw CheckFailure(what: "spec of the answer to make", expected: "a spec", got: "none")
            }
            for field in ["id", "summary"] { try expect(made.text(field), listed.text(field), field) }
            try expect(made.texts("render_modes"), listed.texts("render_modes"), "render_modes")
            try expect(made.number("max_episode_steps"), listed.number("max_episode_steps"), "max_episode_steps")
            try expect(made.messages("options"), listed.messages("options"), "options")
            try expect(made.flag("restorable"), listed.flag("restorable"), "restorable")
            try expect(
                batch.observationSpace, try Space(listed.message("observation_space"), "listed"), "observation_space")
            try expect(batch.actionSpace, try Space(listed.message("action_space"), "listed"), "action_space")
            try batch.call("close")
        }
    }
    list.add("shutdown.not-allowed", .core, ["M33"]) { context in
        // With it allowed this would end the server; a suite is not run against one that others use.
        let client = try context.connect()
        try client.expectError(.notAllowed, "shutdown")
        try client.expectAlive("a refused shutdown")
    }
}

/// M35: what is in use, against the limits.
private func addUseChecks(to list: inout CheckList) {
    let limits = [
        "handles": "max_handles", "environments": "max_environments", "memory_bytes": "max_memory_bytes",
        "pending_requests": "max_pending_requests",
    ]
    list.add("status.use", .core, ["M35", "L1"], since: 1) { context in
        let client = try context.connect()
        let batch = try client.make(context.environments[0], count: 3)
        try batch.reset(seeds: [1])
        let use = try uses(client, "connection_use")
        for (resource, limit) in limits.sorted(by: { $0.key < $1.key }) {
            guard let entry = use[resource] else {
                throw CheckFailure(
                    what: "connection_use of status (M35)", expected: "an entry '\(resource)'",
                    got: "\(use.keys.sorted())")
            }
            try expect(
                entry.limit, context.hello.message("limits")?.number(limit) ?? 0,
                "the limit of '\(resource)', which is \(limit) of the hello")
        }
        try expect(use["handles"]?.used, 1, "handles in use, after one make")
        try expect(use["environments"]?.used, 3, "environments in use, after a make of three")
        try expect(use["pending_requests"]?.used, 1, "pending requests, of which status is one")
        try require(
            use["memory_bytes"]!.used > 0, "memory_bytes in use by three environments", expected: "above 0", got: "0")
    }
    list.add("status.use-of-the-server", .core, ["M35", "L1", "L9"], since: 1) { context in
        let client = try context.connect()
        try client.make(context.environments[0], count: 3).reset(seeds: [1])
        let use = try uses(client, "server_use")
        for (resource, limit) in [
            ("connections", "max_connections"), ("memory_bytes", "max_server_memory_bytes"), ("threads", "max_threads"),
        ] {
            guard let entry = use[resource] else {
                throw CheckFailure(
                    what: "server_use of status (M35)", expected: "an entry '\(resource)'",
                    got: "\(use.keys.sorted())")
            }
            let most = context.hello.message("limits")?.number(limit) ?? 0
            try expect(entry.limit, most, "the limit of '\(resource)', which is \(limit) of the hello")
            try require(
                most == 0 || entry.used <= most, "'\(resource)' in use", expected: "at most \(most)",
                got: "\(entry.used)")
        }
        try require(use["connections"]!.used >= 1, "connections in use", expected: "this one", got: "0")
        try require(
            use["environments"]?.used ?? 0 >= 3, "environments in use", expected: "these three at least",
            got: use["environments"].map { "\($0.used)" } ?? "no entry")
        try require(use["memory_bytes"]!.used > 0, "memory_bytes of the server", expected: "above 0", got: "0")
    }
    list.add("status.use-ends-with-close", .core, ["M35", "M32"], since: 1) { context in
        let client = try context.connect()
        let before = try uses(client, "connection_use")
        let batches = try (0..<2).map { _ in try client.make(context.environments[0], count: 5) }
        for batch in batches { try batch.reset(seeds: [1]) }
        let during = try uses(client, "connection_use")
        for batch in batches { try batch.call("close") }
        let after = try uses(client, "connection_use")
        for resource in ["handles", "environments", "memory_bytes"] {
            try require(
                during[resource]?.used ?? 0 > before[resource]?.used ?? 0, "\(resource) after two makes of five",
                expected: "more than before, \(before[resource]?.used ?? 0)", got: "\(during[resource]?.used ?? 0)")
            try expect(after[resource]?.used, before[resource]?.used, "\(resource) after both were closed")
        }
    }
}

private func uses(_ client: Client, _ field: String) throws -> [String: (used: UInt64, limit: UInt64)] {
    let entries = try client.call("status").messages(field)
    let names = entries.map { $0.text("resource") }
    try expect(Set(names).count, names.count, "number of different resources of \(field) \(names) (M35)")
    return Dictionary(
        uniqueKeysWithValues: entries.map { ($0.text("resource"), ($0.number("used"), $0.number("limit"))) })
}

/// V7: what is used without being in force is refused.
private func addCapabilityChecks(to list: inout CheckList) {
    let uses: [(capability: String, name: String, use: @Sendable (Batch) throws -> Void)] = [
        (
            "async.v1", "async",
            { batch in
                try batch.expectError(.unsupportedCapability, "receive", [("count", 1)])
                try batch.expectError(
                    .unsupportedCapability, "send",
                    batch.sendFields([0], [batch.actionSpace.sample()]))
            }
        ),
        (
            "state.v1", "state",
            { batch in
                try batch.expectError(.unsupportedCapability, "get_state")
                try batch.expectError(.unsupportedCapability, "set_state", Batch.stateFields([[1]]))
            }
        ),
        ("render.v1", "render", { try $0.expectError(.unsupportedCapability, "render") }),
        (
            "spaces.v1", "spaces",
            { batch in
                try batch.expectError(.unsupportedCapability, "sample")
                try batch.expectError(.unsupportedCapability, "contains")
            }
        ),
    ]
    for (capability, name, use) in uses {
        list.add("capability.\(name)-not-in-force", .core, ["V7"]) { context in
            let others = context.capabilities.subtracting([capability]).sorted()
            let client = try context.connect(capabilities: others.isEmpty ? ["none.v0"] : others)
            let batch = try client.make(context.environments[0])
            try batch.reset(seeds: [1])
            try use(batch)
            try client.expectAlive("a refused capability")
        }
    }
    list.add("capability.shared-memory-not-in-force", .core, ["V7"]) { context in
        let client = try context.connect(capabilities: ["none.v0"])
        try client.expectError(
            .unsupportedCapability, "make",
            Client.makeFields(context.environments[0], extra: [("transport", 2)]))
    }
    list.add("capability.render-mode-not-in-force", .core, ["V7"]) { context in
        let id = try context.environments("renderable") { $0.has("render_modes") }[0]
        let client = try context.connect(capabilities: ["none.v0"])
        try client.expectError(
            .unsupportedCapability, "make",
            Client.makeFields(id, extra: [("render_mode", .text(context.specs[id]!.texts("render_modes")[0]))]))
    }
}
