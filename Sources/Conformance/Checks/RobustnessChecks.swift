import Glibc

/// F, E5, L, W and X, as far as a client can see: broken, hostile and greedy clients harm nobody but themselves.
func addRobustnessChecks(to list: inout CheckList) {
    addBrokenFrameChecks(to: &list)
    addBrokenMessageChecks(to: &list)
    addLimitChecks(to: &list)
    addNeighbourChecks(to: &list)
}

private func addBrokenFrameChecks(to list: inout CheckList) {
    list.add("robustness.ends-inside-header", .robustness, ["F7"]) { context in
        for count in [1, 7] {
            try expectEndInside(context, Array(RawConnection.frame([8, 1]).prefix(count)))
        }
    }
    list.add("robustness.ends-inside-body", .robustness, ["F7"]) { context in
        try expectEndInside(context, RawConnection.header(length: 100) + [8, 1])
        try expectEndInside(context, RawConnection.header(length: 1))
    }
    list.add("robustness.length-above-limit", .robustness, ["F5"]) { context in
        let most = context.limit("max_frame_bytes")
        let lengths = [most + 1, Int(UInt32.max)].filter { $0 > most && $0 <= Int(UInt32.max) }
        if lengths.isEmpty { throw Skip(reason: "max_frame_bytes is \(most); no header can say more") }
        for length in lengths {
            let client = try context.connect()
            try client.send(bytes: RawConnection.header(length: UInt32(length)))
            try client.receiveError(.frameTooLarge, id: nil, "a header that says \(length) bytes, \(most) are taken")
            try client.expectEnd("after FRAME_TOO_LARGE")
        }
    }
    list.add("robustness.length-above-limit-at-first", .robustness, ["F5"]) { context in
        if context.limit("max_frame_bytes") == Int(UInt32.max) { throw Skip(reason: "no length is above the limit") }
        let client = try context.connectWithoutHello()
        try client.send(bytes: RawConnection.header(length: .max))
        try client.receiveError(.frameTooLarge, id: nil, "a first header that says 4 GiB")
        try client.expectEnd("after FRAME_TOO_LARGE")
    }
    list.add("robustness.length-without-body", .robustness, ["F6", "X4", "F7"]) { context in
        let clients = try (0..<4).map { _ in try context.connect() }
        let length = min(1_000_000, context.limit("max_frame_bytes"))
        for client in clients { try client.send(bytes: RawConnection.header(length: UInt32(length))) }
        try context.connect().expectAlive("four clients that promise a million bytes each")
        for client in clients {
            client.raw.endSending()
            try client.receiveError(.malformedFrame, id: nil, "the end of the stream inside a frame")
        }
    }
    list.add("robustness.large-frame", .robustness, ["F5", "F6"]) { context in
        let client = try context.connect()
        var ping = client.request("ping")
        let size = max(min(1 << 20, context.limit("max_frame_bytes") - 64), 0)
        ping.fields.append((number: 3000, value: .bytes([UInt8](repeating: 7, count: size))))
        try client.send(bytes: RawConnection.frame(ping.encoded))
        try client.answer("ping", to: ping.number("id"))
    }
    list.add("robustness.noise", .robustness, ["E5"]) { context in
        var random = Random(seed: 1)
        for _ in 0..<40 {
            let client = try context.connectWithoutHello()
            let bytes = (0..<random.integer(in: 1..<200)).map { _ in UInt8(random.integer(in: 0..<256)) }
            try client.send(bytes: bytes)
            client.raw.endSending()
            try drain(client)
        }
        try context.connect().expectAlive("forty connections of noise")
    }
    list.add("robustness.closed-at-once", .robustness, ["C6", "W2"]) { context in
        let watcher = try context.connect()
        let before = try watcher.call("status").number("connections")
        for _ in 0..<100 { try context.connectRaw().close() }
        try context.expectEventually(
            "connections after a hundred that were closed at once", expected: "no more than before"
        ) {
            try watcher.call("status").number("connections") <= before
        }
    }
    list.add("robustness.descriptors-passed", .robustness, ["W4"]) { context in
        // The reading end of a pipe ends when the last writing end is closed: the server's own are the last.
        let client = try context.connect()
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0, fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0 else { throw SystemFailure("pipe") }
        defer { close(ends[0]) }
        do {
            defer { close(ends[1]) }
            for _ in 0..<50 {
                let ping = client.request("ping")
                try client.raw.send(RawConnection.frame(ping.encoded), passing: ends[1])
                try client.answer("ping", to: ping.number("id"))
            }
        }
        try context.expectEventually(
            "fifty descriptors that were passed with requests", expected: "to be closed by the server (W4)"
        ) {
            var byte: UInt8 = 0
            return read(ends[0], &byte, 1) == 0
        }
    }
    list.add("robustness.frame-of-the-limit", .robustness, ["F5"]) { context in
        let most = context.limit("max_frame_bytes")
        if most > 256 << 20 { throw Skip(reason: "max_frame_bytes is \(most); frames above 256 MiB are not tried") }
        let client = try context.connect()
        var ping = client.request("ping")
        let fixed = ping.encoded.count
        // Of the padding's field, tag and length take up to seven bytes: the rest is what they leave.
        for header in 3...9 {
            var padded = ping
            padded.fields.append(
                (number: 3000, value: .bytes([UInt8](repeating: 7, count: max(most - fixed - header, 0)))))
            if padded.encoded.count == most { ping = padded }
        }
        try require(ping.encoded.count == most, "max_frame_bytes", expected: "enough for a ping", got: "\(most)")
        try client.raw.send(RawConnection.frame(ping.encoded))
        let answer = try client.receive("the answer to a frame of just max_frame_bytes, \(most)")
        try require(
            answer.has("ping"), "the answer to a frame of just max_frame_bytes, \(most)", expected: "ping",
            got: Client.describe(answer))
    }
}

private func addBrokenMessageChecks(to list: inout CheckList) {
    list.add("robustness.nested-too-deep", .robustness, ["F8", "X4"]) { context in
        let client = try context.connect()
        // Values in lists in values: two messages a level.
        var value: [UInt8] = []
        for _ in 0..<5000 {
            var list = WireWriter()
            list.lengthPrefixed(value, number: 1)
            var outer = WireWriter()
            outer.lengthPrefixed(list.bytes, number: 3)
            value = outer.bytes
        }
        var members = WireWriter()
        members.lengthPrefixed(value, number: 1)
        var leaf = WireWriter()
        leaf.lengthPrefixed(members.bytes, number: 2)
        var request = Message("Request", [("id", 5)])
        request.append("contains", .fields([("members", .list([.bytes(leaf.bytes)]))]))
        try client.send(bytes: RawConnection.frame(request.encoded))
        try client.receiveError(.malformedMessage, id: nil, "values nested ten thousand deep")
        try client.expectAlive("deep nesting")
    }
    list.add("robustness.nested", .robustness, ["F8"]) { context in
        // Far from the limit of 64 on both sides: the text of 1.0 does not say where counting begins.
        try expectNesting(context, 58, isTaken: true)
        try expectNesting(context, 70, isTaken: false)
    }
    list.add("robustness.nested-at-the-limit", .robustness, ["F8"], since: 1) { context in
        try expectNesting(context, 64, isTaken: true)
        try expectNesting(context, 65, isTaken: false)
    }
    list.add("robustness.many-empty-parts", .robustness, ["X4", "E5"]) { context in
        let client = try context.connect()
        var options = WireWriter()
        for _ in 0..<200_000 { options.lengthPrefixed([], number: 3) }
        var make = WireWriter()
        make.varint(1 << 3)
        make.varint(9)
        make.lengthPrefixed(options.bytes, number: 20)
        try client.send(bytes: RawConnection.frame(make.bytes))
        let response = try client.receive()
        try require(
            response.message("error") != nil, "the answer to 200,000 empty options", expected: "an error",
            got: Client.describe(response))
        try client.expectAlive("200,000 empty options")
    }
    list.add("robustness.mutated-requests", .robustness, ["E5", "O1"]) { context in
        var random = Random(seed: 2)
        let client = try context.connect()
        let batch = try client.make(context.environments[0], count: 2)
        try batch.reset(seeds: [1])
        let requests = [
            client.request("step", batch.stepFields(repeated(batch)), handle: batch.handle),
            client.request("reset", Batch.resetFields(seeds: [1], mask: [1, 1]), handle: batch.handle),
            client.request("make", Client.makeFields(context.environments[0], count: 2, limit: 5)),
            client.request("render", [("environment_index", .integers([0]))], handle: batch.handle),
        ].map(\.encoded)
        for round in 0..<300 {
            var bytes = requests[round % requests.count]
            for _ in 0..<random.integer(in: 1..<4) {
                bytes[random.integer(in: 0..<bytes.count)] = UInt8(random.integer(in: 0..<256))
            }
            try client.send(bytes: RawConnection.frame(bytes))
            let response = try client.receive()
            try require(
                response.messageCase != nil, "the answer to a spoilt request", expected: "a message", got: "\(response)"
            )
        }
        try client.expectAlive("three hundred spoilt requests")
    }
    list.add("robustness.text-not-utf8", .robustness, ["F10", "E5"]) { context in
        let client = try context.connect()
        for id: [UInt8] in [[0xFF, 0xFE], [0xC0, 0x80], [0x43, 0x00, 0x44]] {
            try client.send(client.request("make", [("id", .bytes(id))]))
            let response = try client.receive(
                "the answer to an id of the bytes \(hexadecimal(id))", expected: "an error")
            try require(
                response.message("error") != nil, "the answer to an id of the bytes \(hexadecimal(id))",
                expected: "an error", got: Client.describe(response))
        }
        try client.expectAlive("text that is not UTF-8")
    }
    list.add("robustness.text-with-nul", .robustness, ["F10"]) { context in
        // An id that is there up to the zero: who stops reading there makes it.
        let client = try context.connect()
        let id = context.environments[0]
        let make = Client.makeFields(id + "\0junk")
        let codes: [ErrorCode] =
            context.minor == 0 ? [.malformedMessage, .unknownEnvironment, .invalidArgument] : [.malformedMessage]
        try client.expectError(codes, "make", make, "a make of '\(id)', U+0000 and more")
        try client.make(id).reset(seeds: [1])
    }
    list.add("robustness.text-is-looked-at-first", .robustness, ["F10"], since: 1) { context in
        // What would be taken if it were not for the text: a name in a hello that nobody looks at, an option's value.
        let client = try context.connect()
        let id = context.environments[0]
        for text: [UInt8] in [Array("x\0y".utf8), [0x78, 0xFF]] {
            var make = client.request("make", Client.makeFields(id))
            make.change("make") { $0.append("render_mode", .bytes(text)) }
            try client.send(make)
            let what = "a render_mode of the bytes \(hexadecimal(text))"
            let answer = try client.receive(what, expected: "an error")
            try require(
                answer.message("error")?.number("code") == ErrorCode.malformedMessage.rawValue, what,
                expected: "the error \(ErrorCode.malformedMessage)", got: Client.describe(answer))
            if text.contains(0) { try expect(answer.number("id"), make.number("id"), "\(what): the error's id") }
        }
        try client.expectAlive("text that is none")
    }
    list.add("robustness.text-in-actions", .robustness, ["F10"], needs: [.environment(echo)], since: 1) { context in
        let batch = try context.connect().make(echo, options: [("space", "text")])
        try batch.reset(seeds: [1])
        try batch.expectError(
            .malformedMessage, "step", batch.stepFields([.text("ab\0cd")]), "an action of 'ab', U+0000 and 'cd'")
        try expect(try batch.step([.text("ab")]).observation, [[.text("ab")]], "the echo after it")
    }
    list.add("robustness.extreme-numbers", .robustness, ["E5", "L8"]) { context in
        let client = try context.connect()
        let id = context.environments[0]
        if context.limit("max_environments") < Int(UInt32.max) {
            try client.expectError(.limitExceeded, "make", Client.makeFields(id, count: Int(UInt32.max)))
        }
        try client.make(id, limit: Int.max).call("close")
        let batch = try client.make(id, count: 2)
        try batch.reset(seeds: [.max, .max])
        try batch.expectError(
            .invalidArgument, "reset", Batch.resetFields(seeds: [UInt64?](repeating: nil, count: 100_000)))
        try batch.expectError(.invalidMask, "reset", Batch.resetFields(mask: [UInt8](repeating: 1, count: 1 << 20)))
        let indices = [Int](repeating: 0, count: 100_000)
        if context.capabilities.contains("async.v1") {
            try batch.expectError(
                .invalidArgument, "send", [("environment_index", .integers(indices))], "a send to row 0, 100,000 times")
        }
        try client.expectAlive("extreme numbers")
    }
    list.add("robustness.two-messages-in-one", .robustness, ["E5", "O1"]) { context in
        // In protobuf the last member of a oneof counts; here is one answer, whichever.
        let client = try context.connect()
        var request = client.request("ping")
        request.append("status", .fields([]))
        try client.send(request)
        let response = try client.receive(answerTo: request.number("id"), handle: 0)
        try require(
            response.messageCase == "status" || response.message("error") != nil, "the answer to a ping and a status",
            expected: "that to the last, or an error", got: Client.describe(response))
        try client.expectAlive("two messages in one request")
    }
}

private func addLimitChecks(to list: inout CheckList) {
    list.add("limit.handles", .robustness, ["L3", "L8", "M32"]) { context in
        let client = try context.connect()
        let limit = try context.reachableLimit("max_handles")
        var batches: [Batch] = []
        for _ in 0..<min(limit, context.limit("max_environments")) {
            batches.append(try client.make(context.environments[0]))
        }
        try client.expectError(
            .limitExceeded, "make", Client.makeFields(context.environments[0]), "handle \(limit + 1) of \(limit)")
        try batches.first?.call("close")
        try client.make(context.environments[0]).reset(seeds: [1])
        try client.expectError(.limitExceeded, "make", Client.makeFields(context.environments[0]))
        try context.connect().make(context.environments[0]).reset(seeds: [1])
    }
    list.add("limit.environments", .robustness, ["L4", "L8"]) { context in
        let client = try context.connect()
        let limit = context.limit("max_environments")
        if limit == Int(UInt32.max) { throw Skip(reason: "max_environments is \(limit); num_envs cannot be above it") }
        let id = context.environments[0]
        try client.expectError(
            .limitExceeded, "make", Client.makeFields(id, count: limit + 1), "\(limit + 1) environments of \(limit)")
        let batch = try client.make(id, count: 2)
        try client.expectError(
            .limitExceeded, "make", Client.makeFields(id, count: limit - 1),
            "2 and \(limit - 1) environments of \(limit)")
        try batch.reset(seeds: [1])
    }
    list.add("limit.connections", .robustness, ["L7", "C4"]) { context in
        let limit = try context.reachableLimit("max_connections")
        var files = rlimit()
        getrlimit(__rlimit_resource_t(UInt32(7)), &files)
        files.rlim_cur = files.rlim_max
        setrlimit(__rlimit_resource_t(UInt32(7)), &files)
        try require(
            limit + 64 < Int(files.rlim_cur), "max_connections", expected: "fewer than this process may open files",
            got: "\(limit)")
        let watcher = try context.connect()
        // Those of the last check may not be gone yet; those of others stay.
        try? context.expectEventually("connections", expected: "this one alone") {
            try watcher.call("status").number("connections") <= 1
        }
        let before = try watcher.call("status").integer("connections")
        var clients: [Client] = []
        while clients.count < limit {
            let client = try context.connectWithoutHello()
            do { try client.greet() } catch is CheckFailure { break }
            clients.append(client)
        }
        try require(
            clients.count < limit && clients.count >= limit - before,
            "connections beside \(before) that were there, of \(limit)", expected: "\(limit - before)",
            got: "\(clients.count)")
        try context.connectWithoutHello().receiveError(
            .tooManyConnections, id: 0, "a connection past \(limit), before any hello")
        let last = try context.connectWithoutHello()
        try last.receiveError(.tooManyConnections, id: 0, "another connection past \(limit)")
        try last.expectEnd("after TOO_MANY_CONNECTIONS")
        try clients.first?.expectAlive("others that were refused")
        for client in clients { client.raw.close() }
        try context.expectEventually("connections after these were closed", expected: "no more than before") {
            try watcher.call("status").integer("connections") <= before
        }
        try context.connect().expectAlive("the limit, reached before")
    }
    list.add("limit.pending-requests", .robustness, ["L6", "L8", "O5"], needs: [.environment(slow)]) { context in
        let limit = try context.reachableLimit("max_pending_requests")
        try context.withGrowingTimes { milliseconds in
            let client = try context.connect()
            let batch = try client.make(slow)
            try batch.reset(seeds: [1])
            var waiting: Set<UInt64> = [
                try client.send("step", batch.stepFields([.integer(milliseconds)]), handle: batch.handle)
            ]
            let quick = batch.stepFields([.integer(0)])
            for _ in 0..<(limit + 10) { waiting.insert(try client.send("step", quick, handle: batch.handle)) }
            // Refusals overtake what they were refused for; steps are answered in their order.
            var refusedBefore = 0
            var isStepped = false
            while !waiting.isEmpty {
                let response = try client.receive()
                try require(
                    waiting.remove(response.number("id")) != nil, "an answer's id", expected: "one that is awaited",
                    got: "\(response.number("id"))")
                guard let error = response.message("error") else {
                    isStepped = true
                    continue
                }
                try expect(error.number("code"), ErrorCode.limitExceeded.rawValue, "the error's code")
                if !isStepped { refusedBefore += 1 }
            }
            try expect(
                refusedBefore, 11,
                "requests refused of \(limit + 11), before the first of them, of \(milliseconds) ms, was done: all "
                    + "above the limit of \(limit)")
            try client.expectAlive("too many requests")
        }
    }
    list.add("limit.response-too-large", .robustness, ["L2", "M1", "E2"]) { context in
        let whole = try context.connect()
        try whole.send("list")
        let bytes = try whole.raw.receiveFrame()?.body.count ?? 0
        let client = try context.connect(maxFrameBytes: 1)
        // Where the list is short: the batched space of so many discrete actions has a number for each.
        let isLong = bytes > 4096
        let what = isLong ? "list, of \(bytes) bytes," : "a make of 5000 environments"
        let request =
            isLong
            ? client.request("list") : client.request("make", Client.makeFields(context.environments[0], count: 5000))
        if !isLong, context.limit("max_environments") < 5000 {
            throw Skip(
                reason: "the list takes \(bytes) bytes, and there may not be 5000 environments; no client can ask for "
                    + "less than 4096")
        }
        try client.send(request)
        guard let frame = try client.raw.receiveFrame() else {
            throw CheckFailure(
                what: "the answer to \(what)", expected: "a frame", got: "the end of the connection", kind: .ended)
        }
        try require(
            frame.body.count <= 4096, "the answer to \(what) for a client that takes 4096 bytes",
            expected: "at most 4096 bytes", got: "\(frame.body.count)")
        let response = try Message("Response", decoding: frame.body)
        try expect(response.number("id"), request.number("id"), "its id")
        let codes = isLong ? [ErrorCode.responseTooLarge] : [.responseTooLarge, .limitExceeded]
        try require(
            codes.map(\.rawValue).contains(response.message("error")?.number("code") ?? 0),
            "the answer to \(what) for a client that takes 4096 bytes",
            expected: "the error \(codes.map { "\($0)" }.joined(separator: " or "))", got: Client.describe(response))
        try expect(response.message("error")?.flag("fatal"), false, "whether it is fatal")
        try client.expectAlive("a response that was too large")
    }
    list.add("limit.least-frame", .robustness, ["M1", "L2"]) { context in
        // Whatever it asks for, a client takes 4096 bytes, so that this much is always answered.
        for limit in [1, 100, 4095] {
            let client = try context.connect(maxFrameBytes: limit)
            try client.call("status")
            let batch = try client.make(context.environments[0])
            try batch.reset(seeds: [1])
            try batch.step(repeated(batch))
        }
    }
    list.add("limit.too-large-makes-nothing", .robustness, ["H6", "L2"]) { context in
        let watcher = try context.connect()
        let client = try context.connect(maxFrameBytes: 4096)
        let count = min(5000, context.limit("max_environments"))
        let fields = Client.makeFields(context.environments[0], count: count)
        let before = try watcher.call("status").integer("environments")
        let request = try client.send("make", fields)
        let answer = try client.receive("the answer to a make of \(count) environments")
        if answer.number("id") == request, let made = answer.message("make") {
            throw Skip(
                reason: "the answer to a make of \(made.integer("num_envs")) environments takes under 4096 bytes")
        }
        let after = try watcher.call("status").integer("environments")
        try require(
            after <= before, "environments after a make of \(count) whose answer was too large",
            expected: "no more than \(before)", got: "\(after)")
        for _ in 0..<min(context.limit("max_handles"), 1000) { _ = try client.make(context.environments[0]) }
    }
    list.add(
        "limit.too-large-draws-nothing", .robustness, ["H6", "M30", "E2"],
        needs: [.environment(echo), .capability("spaces.v1")], since: 1
    ) { context in
        // Graphs differ in size. One connection takes whatever is drawn and shows the sizes; another takes too little for
        // some: a sample that it was refused has to be drawn again, and again be refused.
        let most = 6000
        let fields = Client.makeFields(echo, count: 4, options: [("space", "graph")])
        let reference = try context.connect()
        let full = try Batch(reference.call("make", fields), client: reference)
        let client = try context.connect(maxFrameBytes: most)
        let request = try client.send("make", fields)
        let made = try client.receive("the answer to make")
        guard let part = made.message("make"), made.number("id") == request else {
            throw Skip(reason: "four graphs are not made for a client that takes \(most) bytes")
        }
        let small = try Batch(part, client: client)
        func size(_ seed: Int?) throws -> Int {
            let id = try reference.send(
                "sample", seed.map { [("seed", ["value": .integer($0)])] } ?? [], handle: full.handle)
            let bytes = try reference.raw.receiveFrame()?.body ?? []
            try expect(try Message("Response", decoding: bytes).number("id"), id, "the id of the answer to sample")
            return bytes.count
        }
        // Sizes in the two answers may differ by the ids' and handles' lengths.
        for seed in 0..<200 {
            let sizes = [try size(seed), try size(nil), try size(nil)]
            guard sizes[0] < most - 16, sizes[1] > most + 16, sizes[2] < most - 16 else { continue }
            try small.call("sample", [("seed", ["value": .integer(seed)])])
            for again in ["the second", "the second again"] {
                try small.expectError(
                    .responseTooLarge, "sample", [],
                    "\(again) sample of the seed \(seed), of \(sizes[1]) bytes where \(most) are taken")
            }
            return
        }
        throw Skip(reason: "of 200 seeds, none draws what is short, then too large, then short")
    }
    list.add("limit.memory", .robustness, ["L5", "L8"]) { context in
        let limit = context.limit("max_memory_bytes")
        // Whatever a server counts, results and actions of each environment are among it.
        let rows = try context.specs.keys.sorted().compactMap { id -> (id: String, bytes: Int)? in
            let spaces = try ["observation_space", "action_space"].map {
                try Space(context.specs[id]!.message($0), "\(id): \($0)")
            }
            return (id, spaces.flatMap(\.leaves).reduce(8 + 1 + 1) { $0 + ($1.layout?.byteCount ?? 0) })
        }
        guard let (id, bytes) = rows.max(by: { $0.bytes < $1.bytes }) else { return }
        let count = limit / bytes + 1
        guard count <= context.limit("max_environments") else {
            throw Skip(
                reason: "max_memory_bytes is \(limit); no environment is large enough for max_environments of them to "
                    + "take more")
        }
        let client = try context.connect()
        try client.expectError(
            .limitExceeded, "make", Client.makeFields(id, count: count),
            "a make of \(count) \(id), which take \(bytes) bytes each where \(limit) are allowed")
        try client.make(id).reset(seeds: [1])
    }
    list.add("limit.threads", .robustness, ["L9", "M35"], since: 1) { context in
        let most = context.hello.message("limits")?.number("max_threads") ?? 0
        if most == 0 { throw Skip(reason: "the server announces no max_threads") }
        let client = try context.connect()
        let isAsynchronous = context.capabilities.contains("async.v1")
        let handles = min(context.limit("max_handles"), 20)
        var batches: [Batch] = []
        for _ in 0..<handles { batches.append(try client.make(context.environments[0], count: 2)) }
        for batch in batches {
            try batch.reset(seeds: [1])
            if isAsynchronous { try batch.send([0, 1], repeated(batch)) } else { try batch.step(repeated(batch)) }
        }
        let threads = try client.call("status").messages("server_use").first { $0.text("resource") == "threads" }
        let used = threads?.number("used") ?? 0
        try require(
            used >= 1 && used <= most, "threads in use, with \(handles) handles at work",
            expected: "at least 1, at most \(most)", got: threads == nil ? "no entry in server_use" : "\(used)")
        if isAsynchronous { for batch in batches { _ = try batch.receive(2) } }
    }
    list.add("limit.step-response-too-large", .robustness, ["L2", "M1"]) { context in
        let client = try context.connect(maxFrameBytes: 4096)
        let make = try client.send("make", Client.makeFields(context.environments[0], count: 4000))
        let response = try client.receive(answerTo: make, handle: 0)
        if let error = response.message("error") {
            try require(
                [ErrorCode.limitExceeded, .responseTooLarge].map(\.rawValue).contains(error.number("code")),
                "the refusal of 4000 environments to a client that takes 4096 bytes",
                expected: "limitExceeded or responseTooLarge", got: Client.describe(response))
        } else {
            let handle = UInt32(response.message("make")!.number("handle"))
            try client.expectError(.responseTooLarge, "reset", handle: handle)
        }
        try client.expectAlive("4000 environments")
    }
}

private func addNeighbourChecks(to list: inout CheckList) {
    list.add("neighbour.never-reads", .robustness, ["C10", "X4"]) { context in
        let client = try context.connect()
        let count = min(2000, context.limit("max_environments"))
        let batch = try client.make(context.environments[0], count: count)
        try batch.reset(seeds: [1])
        let step = RawConnection.frame(
            client.request("step", batch.stepFields(repeated(batch)), handle: batch.handle).encoded)
        // More than any socket holds, so that the server cannot send its answers.
        client.raw.timeout = 0.05
        for _ in 0..<200 { do { try client.raw.send(step) } catch is Timeout { break } }
        // Who waits for this client to read waits as long as it does not: for ever.
        let other = try context.connect()
        try other.make(context.environments[0]).reset(seeds: [1])
        try other.expectAlive("a client that does not read")
    }
    list.add("neighbour.half-a-frame", .robustness, ["X4", "F9"]) { context in
        let clients = try (0..<8).map { _ in try context.connect() }
        for client in clients { try client.send(bytes: Array(RawConnection.header(length: 50).prefix(5))) }
        try context.connect().expectAlive("eight clients with half a header")
    }
    list.add("neighbour.gone-in-a-step", .robustness, ["C6", "W1", "W2"], needs: [.environment(slow)]) { context in
        let watcher = try context.connect()
        let before = try watcher.call("status").number("environments")
        let client = try context.connect()
        let batch = try client.make(slow, count: 2)
        try batch.reset(seeds: [1])
        try client.send("step", batch.stepFields([.integer(50), .integer(50)]), handle: batch.handle)
        client.raw.close()
        try context.expectEventually("environments after a client left in a step", expected: "no more than before") {
            try watcher.call("status").number("environments") <= before
        }
    }
    list.add("neighbour.gone-in-a-make", .robustness, ["C6", "W2"], needs: [.environment(slow)]) { context in
        let watcher = try context.connect()
        let before = try watcher.call("status")
        let client = try context.connect()
        try client.send("make", Client.makeFields(slow, options: [("make_milliseconds", 100)]))
        client.raw.close()
        for field in ["environments", "connections"] {
            try context.expectEventually(
                "\(field) after a client left in a make", expected: "no more than before, \(before.number(field))"
            ) {
                try watcher.call("status").number(field) <= before.number(field)
            }
        }
    }
    list.add("neighbour.gone-with-environments", .robustness, ["W1", "W2"]) { context in
        let watcher = try context.connect()
        let before = try watcher.call("status").number("environments")
        for _ in 0..<20 {
            let client = try context.connect()
            try client.make(context.environments[0], count: 10).reset(seeds: [1])
            client.raw.close()
        }
        try context.expectEventually("environments after twenty clients left", expected: "no more than before") {
            try watcher.call("status").number("environments") <= before
        }
    }
    list.add("neighbour.made-and-closed", .robustness, ["M32", "L3"]) { context in
        let client = try context.connect()
        for _ in 0..<(min(context.limit("max_handles"), 1000) + 20) {
            try client.make(context.environments[0]).call("close")
        }
        try client.make(context.environments[0]).reset(seeds: [1])
    }
    list.add("neighbour.socket-mode", .robustness, ["X1"]) { context in
        var status = stat()
        guard stat(context.path, &status) == 0 else { throw SystemFailure("stat \(context.path)") }
        try expect(String(status.st_mode & 0o777, radix: 8), "600", "the socket's mode")
    }
}

/// Ends the stream inside of a frame.
private func expectEndInside(_ context: Context, _ bytes: [UInt8]) throws {
    let client = try context.connect()
    try client.send(bytes: bytes)
    client.raw.endSending()
    try client.receiveError(.malformedFrame, id: nil, "the end of the stream after \(hexadecimal(bytes))")
    try client.expectEnd("after MALFORMED_FRAME")
}

/// Reads until the server closes: what it says to noise is its own affair, that it stops is not.
private func drain(_ client: Client) throws {
    while try client.raw.receiveFrame() != nil {}
}

/// Sends a request that is nested so deep, the envelope being level 0. What is taken is looked at, and refused for what
/// it says: that it is no member of the handle's space.
private func expectNesting(_ context: Context, _ depth: Int, isTaken: Bool) throws {
    let client = try context.connect()
    let batch = try client.make(context.environments[0])
    try batch.reset(seeds: [1])
    // Request 0, step 1, Leaf 2, ValueList 3, Value 4, and from there ValueList and Value in turns.
    var content: [UInt8] = []
    for level in stride(from: depth, to: 3, by: -1) {
        var outer = WireWriter()
        // A ValueList's values are its field 1; a Value's list is its field 3.
        outer.lengthPrefixed(content, number: level % 2 == 0 ? 1 : 3)
        content = outer.bytes
    }
    var leaf = WireWriter()
    leaf.lengthPrefixed(content, number: 2)
    let step = client.request("step", [("action", .list([.bytes(leaf.bytes)]))], handle: batch.handle)
    try client.send(bytes: RawConnection.frame(step.encoded))
    let what = "a request that is nested \(depth) deep"
    if isTaken {
        let codes: [ErrorCode] = context.minor == 0 ? [.invalidAction, .malformedMessage] : [.invalidAction]
        try client.receiveError(codes, id: step.number("id"), handle: batch.handle, what)
    } else {
        try client.receiveError(.malformedMessage, id: 0, what)
    }
    try client.expectAlive(what)
}
