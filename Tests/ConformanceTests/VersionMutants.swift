import Conformance
import Synchronization

/// Wrong about what came with 1.1, about status, and about what protobuf leaves to its decoders.
func addVersionMutants(to list: inout MutantList) {
    list.response(
        "newer-limits-for-older-clients", "tells a client of 1.0 of limits that came later",
        caughtBy: "version.older-client"
    ) { response, link in
        guard link.request(of: response)?.message("hello")?.number("minor") == 0 else { return }
        response.change("hello") { $0.change("limits") { $0.set("max_threads", 4) } }
    }
    list.proxy(
        "newer-codes-for-older-clients", "answers a client of 1.0 with a code that came later",
        caughtBy: "version.older-client-states"
    ) {
        let mutation = Mutation()
        mutation.response = { response, link in
            response.change("error") { if $0.number("code") == 25 { $0.set("code", 36) } }
            return .forward
        }
        return mutation
    }
    list.response(
        "hello-before-headers", "asks for a hello where a header is wrong", caughtBy: "framing.header-before-hello"
    ) { response, link in
        guard link.requests.isEmpty else { return }
        response.change("error") { if $0.number("code") == 1 { $0.set("code", 4) } }
    }
    list.request(
        "fields-in-order-only", "takes no fields but in the order of their numbers",
        caughtBy: "framing.fields-in-any-order"
    ) { request, _ in
        let numbers = request.fields.map(\.number)
        return numbers == numbers.sorted()
            ? .forward : answer(to: request, "error", [("code", 16), ("message", "out of order")])
    }
    list.request("first-value-counts", "takes the first of several values", caughtBy: "framing.last-value-counts") {
        request, _ in
        if let first = request.numbers("handle").first, request.numbers("handle").count > 1 {
            request.set("handle", .number(first))
        }
        return .forward
    }
    list.request("last-message-counts", "does not merge messages", caughtBy: "framing.messages-are-merged") {
        request, _ in
        request.change("sample") { sample in
            if let last = sample.messages("seed").last { sample.set("seed", .message(last)) }
        }
        return .forward
    }
    list.part("ping", "ping-with-contents", "answers ping with a status", caughtBy: "connection.ping") {
        $0.fields.append((number: 1, value: .varint(9)))
    }
    list.part(
        "status", "half-the-steps", "counts no steps that reset", caughtBy: "connection.status-counts-resets"
    ) { $0.set("steps", .number($0.number("steps") / 2)) }
    list.request("tokens-ignored", "lets everybody in", caughtBy: "connection.token") { request, _ in
        request.change("hello") { $0.set("token", .text(MutationTests.token)) }
        return .forward
    }
    list.part("status", "use-without-memory", "does not say how much memory is used", caughtBy: "status.use") {
        status in
        status.set(
            "connection_use",
            .messages(status.messages("connection_use").filter { $0.text("resource") != "memory_bytes" }))
    }
    list.part("status", "use-without-limits", "does not say what use is held against", caughtBy: "status.use") {
        $0.change("connection_use") { $0.remove("limit") }
    }
    list.part(
        "status", "use-of-the-connection-alone", "does not say what all connections use",
        caughtBy: "status.use-of-the-server", "limit.threads"
    ) { $0.remove("server_use") }
    list.part(
        "status", "threads-without-limit", "has more threads than it announces", caughtBy: "limit.threads",
        "status.use-of-the-server"
    ) {
        $0.change("server_use") { use in
            if use.text("resource") == "threads" { use.set("used", .number(use.number("used") + 100_000)) }
        }
    }
    list.proxy("use-only-grows", "counts as used what was closed", caughtBy: "status.use-ends-with-close") {
        let mutation = Mutation()
        var most: [String: UInt64] = [:]
        mutation.response = { response, _ in
            response.change("status") {
                $0.change("connection_use") { use in
                    let name = use.text("resource")
                    most[name] = max(most[name] ?? 0, use.number("used"))
                    use.set("used", .number(most[name] ?? 0))
                }
            }
            return .forward
        }
        return mutation
    }
    list.part("list", "no-frames-a-second", "does not say how fast pictures are", caughtBy: "list.frames-a-second") {
        $0.change("environments") { $0.remove("render_fps") }
    }
    list.part(
        "list", "modes-not-listed", "takes modes that it does not list", caughtBy: "make.autoreset-not-listed"
    ) { $0.change("environments") { $0.set("autoreset_modes", .integers([1, 2])) } }
    list.part("step", "step-times-missing", "tells no step times", caughtBy: "step.time") {
        $0.remove("step_nanoseconds")
    }
    list.part("receive", "received-times-missing", "tells no times of what is received", caughtBy: "async.step-time") {
        $0.remove("step_nanoseconds")
    }
    list.part("step", "step-times-unasked", "tells step times that nobody asked for", caughtBy: "step.time-unasked") {
        step in
        step.set("step_nanoseconds", .bytes([UInt8](repeating: 0, count: step.bytes("rewards").count)))
    }
    list.part(
        "step", "step-times-together", "tells each row the time of all", caughtBy: "step.time-of-each-row"
    ) { step in
        let data = step.bytes("step_nanoseconds")
        let times = data.withUnsafeBytes { raw in
            (0..<(raw.count / 8)).map { raw.loadUnaligned(fromByteOffset: 8 * $0, as: Int64.self) }
        }
        step.set("step_nanoseconds", bytes([Int64](repeating: times.reduce(0, +), count: times.count)))
    }
    list.part("make", "step-times-not-shared", "has no region for step times", caughtBy: "shared.step-time") {
        $0.change("shared_memory") { $0.change("results") { $0.remove("step_nanoseconds") } }
    }
    list.part(
        "reset", "info-of-failed-resets", "claims info of a reset that failed", caughtBy: "fault.reset-without-info"
    ) { reset in
        guard reset.has("faults") else { return }
        let rows = reset.numbers("effective_seeds").count
        let counts: [(String, Message.Value)] = [
            ("dtype", 5), ("shape", .integers([rows])), ("data", bytes([Int64](repeating: 0, count: rows))),
        ]
        reset.set(
            "info",
            .fields([
                ("name", "count"), ("tensor", .fields(counts)), ("mask", .bytes([UInt8](repeating: 1, count: rows))),
            ]))
    }
    list.proxy(
        "limit-hides-truncation", "does not pass on an environment's own truncation where there is a limit",
        caughtBy: "step.truncated-by-environment-before-the-limit"
    ) {
        let mutation = Mutation()
        var isLimited = false
        mutation.request = { request, _ in
            if request.message("make")?.number("max_episode_steps") == 5 { isLimited = true }
            return .forward
        }
        mutation.response = { response, _ in
            if isLimited { response.change("step", goOn) }
            return .forward
        }
        return mutation
    }
}

/// Makes an episode's end look as if it went on.
func goOn(_ step: inout Message) {
    step.set("truncated", .bytes(step.bytes("truncated").map { _ in 0 }))
    for field in ["final_index", "episode_returns", "episode_lengths"] { step.remove(field) }
}
