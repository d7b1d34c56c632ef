import Conformance

/// Wrong about frames, hellos, versions, errors and limits.
func addConnectionMutants(to list: inout MutantList) {
    list.proxy("flags-in-header", "its frames' flags are not 0", caughtBy: "framing.response-header") {
        let mutation = Mutation()
        mutation.header = { header, link in if link.number > 0 { header[1] = 1 } }
        return mutation
    }
    list.proxy("kind-of-response", "its responses are frames of kind 1", caughtBy: "framing.response-header") {
        let mutation = Mutation()
        mutation.header = { header, link in if link.number > 0 { header[0] = 1 } }
        return mutation
    }
    list.request("unknown-fields-refused", "refuses fields of newer versions", caughtBy: "framing.unknown-fields") {
        request, _ in
        guard request.fields.contains(where: { $0.number >= 3000 }) else { return .forward }
        return answer(to: request, "error", [("code", 16), ("message", "unknown field")])
    }
    list.proxy(
        "answers-after-a-fatal-error", "answers what comes after a fatal error",
        caughtBy: "connection.nothing-after-fatal", "connection.nothing-after-fatal-of-a-handle"
    ) {
        let mutation = Mutation()
        mutation.response = { response, _ in
            response.message("error")?.flag("fatal") == true
                ? .forwardThen(Message("Response", [("id", 2), ("ping", [:])])) : .forward
        }
        return mutation
    }
    list.proxy(
        "fatal-does-not-close", "does not close after a fatal error", caughtBy: ["framing.kind-unknown"], silence: 2
    ) {
        let mutation = Mutation()
        mutation.passesEnd = false
        return mutation
    }
    list.part("error", "fatal-flag-lost", "does not mark fatal errors", caughtBy: "framing.kind-unknown") {
        $0.remove("fatal")
    }
    list.part(
        "error", "every-error-fatal", "marks every error as fatal", caughtBy: "make.unknown-environment",
        "connection.errors"
    ) {
        $0.set("fatal", true)
    }
    list.part("error", "errors-without-message", "explains no error", caughtBy: "make.unknown-handle") {
        $0.remove("message")
    }
    list.part(
        "error", "errors-without-details", "errors name no field and no row", caughtBy: "step.needs-reset",
        "state.of-another-environment-is-named", "state.of-other-options"
    ) {
        $0.remove("details")
    }
    list.part("error", "first-row-only", "names only the first row at fault", caughtBy: "step.invalid-rows-are-named") {
        $0.set("details", .messages(Array($0.messages("details").prefix(1))))
    }
    list.part("error", "one-code-for-all", "every refusal is INVALID_ARGUMENT", caughtBy: "make.unknown-handle") {
        if $0.number("code") >= 16 { $0.set("code", 21) }
    }
    list.response("id-not-echoed", "answers errors with id 0", caughtBy: "make.unknown-environment") { response, _ in
        if response.has("error") { response.remove("id") }
    }
    list.response(
        "handle-not-echoed", "answers with handle 0", caughtBy: "reset.mask", "connection.handle-ignored-and-echoed"
    ) { response, _ in
        response.remove("handle")
    }
    list.response("id-cut-to-32-bits", "echoes the lower half of ids", caughtBy: "connection.ids-echoed") {
        response, _ in
        response.set("id", .number(response.number("id") & 0xFFFF_FFFF))
    }
    list.request("other-major-accepted", "speaks to clients of any major version", caughtBy: "version.other-major") {
        request, _ in
        request.change("hello") { $0.set("major", 1) }
        return .forward
    }
    list.response("minor-of-the-client", "claims the client's minor version", caughtBy: "version.minor-in-force") {
        response, link in
        let asked = link.request(of: response)?.message("hello")?.number("minor") ?? 0
        response.change("hello") { $0.set("minor", .number(asked)) }
    }
    list.request("unknown-message-as-ping", "takes unknown messages for pings", caughtBy: "version.unknown-message") {
        request, _ in
        request.messageCase == nil ? answer(to: request, "ping") : .forward
    }
    list.request("second-hello-accepted", "answers a second hello", caughtBy: "connection.second-hello") {
        request, link in
        guard request.has("hello"), link.requests.count > 1 else { return .forward }
        return answer(to: request, "hello", [("major", 1)])
    }
    list.proxy("hello-not-needed", "serves clients without hello", caughtBy: "connection.hello-first") {
        let mutation = Mutation()
        mutation.request = { request, link in
            if link.requests.count == 1, request.has("ping") || request.has("list") || request.has("status") {
                let asked = request
                request = Message(
                    "Request",
                    [("id", 4_000_000), ("hello", .fields([("major", 1), ("token", .text(MutationTests.token))]))])
                return .forwardThen(asked)
            }
            return .forward
        }
        mutation.response = { response, _ in response.number("id") == 4_000_000 ? .drop : .forward }
        return mutation
    }
    list.request(
        "all-capabilities-in-force", "ignores which capabilities are asked for",
        caughtBy: "version.capabilities-asked-for"
    ) { request, _ in
        request.change("hello") { $0.remove("capabilities") }
        return .forward
    }
    list.response(
        "capabilities-echoed", "announces whatever is asked for", caughtBy: "version.capabilities-unknown"
    ) { response, link in
        guard let asked = link.request(of: response)?.message("hello")?.texts("capabilities"), !asked.isEmpty else {
            return
        }
        response.change("hello") { $0.set("capabilities", .list(asked.map(Message.Value.text))) }
    }
    list.part("hello", "one-session-id", "gives each connection the same id", caughtBy: "connection.session-ids") {
        $0.set("session_id", 1)
    }
    list.part("hello", "limits-hidden", "announces no limits", caughtBy: "connection.limits-announced") {
        $0.remove("limits")
    }
    limit(&list, "max_handles", "limit.handles")
    limit(&list, "max_environments", "limit.environments")
    limit(&list, "max_connections", "limit.connections")
    limit(&list, "max_pending_requests", "limit.pending-requests")
    limit(&list, "max_frame_bytes", "robustness.length-above-limit", silence: 2)
    list.request(
        "frame-limit-of-the-client-ignored", "sends frames larger than the client takes",
        caughtBy: "limit.response-too-large", "limit.step-response-too-large"
    ) { request, _ in
        request.change("hello") { $0.remove("max_frame_bytes") }
        return .forward
    }
    list.proxy(
        "end-inside-a-frame-unanswered", "says nothing of a frame cut short",
        caughtBy: ["robustness.ends-inside-body"], silence: 5
    ) {
        let mutation = Mutation()
        mutation.response = { response, _ in
            response.message("error")?.text("message").contains("inside a frame") == true ? .drop : .forward
        }
        return mutation
    }
    list.part("status", "steps-not-counted", "counts no steps", caughtBy: "connection.status") { $0.remove("steps") }
    list.proxy("closed-still-counted", "counts environments that are closed", caughtBy: "make.close-frees") {
        let mutation = Mutation()
        var most: UInt64 = 0
        mutation.response = { response, _ in
            response.change("status") { status in
                most = max(most, status.number("environments"))
                status.set("environments", .number(most))
            }
            return .forward
        }
        return mutation
    }
    list.part("list", "listed-twice", "lists an environment twice", caughtBy: "list.ids-differ") {
        $0.append("environments", .messages(Array($0.messages("environments").prefix(1))))
    }
    list.part("list", "spaces-not-listed", "lists environments without spaces", caughtBy: "list.specs") {
        $0.change("environments") { $0.remove("observation_space") }
    }
    list.request("shutdown-by-anyone", "lets any client end it", caughtBy: "shutdown.not-allowed") { request, _ in
        request.has("shutdown") ? answer(to: request, "shutdown") : .forward
    }
    list.proxy(
        "replies-out-of-order", "answers a handle's pipelined requests in another order",
        caughtBy: "order.within-a-handle"
    ) {
        let mutation = Mutation()
        var held: Message?
        mutation.response = { response, _ in
            // Every fourth answer waits for the next.
            if let kept = held {
                held = nil
                return .forwardThen(kept)
            }
            let id = response.number("id")
            guard response.has("step"), id % 4 == 0 else { return .forward }
            held = response
            return .drop
        }
        return mutation
    }
}

/// A server that announces less than it enforces.
private func limit(_ list: inout MutantList, _ field: String, _ check: String, silence: Double? = nil) {
    list.proxy(
        "limit-\(field.dropFirst(4).replacing("_", with: "-"))-not-enforced", "does not enforce \(field)",
        caughtBy: [check], silence: silence
    ) {
        let mutation = Mutation()
        mutation.response = { response, _ in
            response.change("hello") {
                $0.change("limits") { limits in limits.set(field, .number(limits.number(field) / 2)) }
            }
            return .forward
        }
        return mutation
    }
}

/// Wrong about making and closing.
func addMakeMutants(to list: inout MutantList) {
    list.request(
        "unknown-options-ignored", "ignores options that it does not know",
        caughtBy: "make.option-unknown"
    ) { request, _ in
        request.change("make") { make in
            make.set("options", .messages(make.messages("options").filter { $0.text("name") != "no_such_option" }))
        }
        return .forward
    }
    list.request("last-option-counts", "takes the last of an option given twice", caughtBy: "make.option-twice") {
        request, _ in
        request.change("make") { make in
            if Set(make.messages("options").map { $0.text("name") }).count < make.messages("options").count {
                make.remove("options")
            }
        }
        return .forward
    }
    list.request("options-dropped", "makes everything with default options", caughtBy: "make.option-taken") {
        request, _ in
        request.change("make") { make in
            let known = ["limit", "rewards"]
            make.set("options", .messages(make.messages("options").filter { !known.contains($0.text("name")) }))
        }
        return .forward
    }
    list.request(
        "whole-numbers-refused", "takes no whole number for a real one",
        caughtBy: "make.option-whole-number-for-real"
    ) { request, _ in
        let options = request.message("make")?.messages("options") ?? []
        guard options.contains(where: { $0.text("name") == "scale" && $0.message("value")?.has("integer") == true })
        else { return .forward }
        return answer(to: request, "error", [("code", 22), ("message", "scale is a real number")])
    }
    list.request(
        "unknown-mode-is-default", "takes unknown autoreset modes for the default",
        caughtBy: "make.autoreset-unknown"
    ) { request, _ in
        request.change("make") { if $0.number("autoreset") > 3 { $0.remove("autoreset") } }
        return .forward
    }
    list.request("default-mode-same-step", "resets in the same step by default", caughtBy: "make.autoreset-default") {
        request, _ in
        request.change("make") { if $0.number("autoreset") == 0 { $0.set("autoreset", 2) } }
        return .forward
    }
    list.request("one-environment-only", "makes one environment whatever is asked", caughtBy: "make.number") {
        request, _ in
        request.change("make") { if $0.number("num_envs") < 5000 { $0.set("num_envs", 1) } }
        return .forward
    }
    list.part(
        "make", "batched-space-is-single", "calls the single space the batched one",
        caughtBy: "make.batched-spaces", "make.batched-spaces-of-all-kinds"
    ) { made in
        if let space = made.message("observation_space") { made.set("batched_observation_space", .message(space)) }
    }
    list.part("make", "spaces-without-bounds", "sends boxes with wrong bounds", caughtBy: "list.spec-is-what-is-made") {
        $0.change("observation_space") { $0.change("box") { box in box.set("high", .messages(box.messages("low"))) } }
    }
    list.request("time-limit-ignored", "ignores the time limit of make", caughtBy: "make.time-limit") { request, _ in
        request.change("make") { $0.remove("max_episode_steps") }
        return .forward
    }
    list.proxy("time-limit-off-by-one", "truncates one step late", caughtBy: "step.truncated-by-limit") {
        let mutation = Mutation()
        mutation.request = { request, _ in
            request.change("make") { make in
                let limit = make.number("max_episode_steps")
                if limit > 0, limit < 1_000_000 { make.set("max_episode_steps", .number(limit + 1)) }
            }
            return .forward
        }
        mutation.response = { response, link in
            guard let asked = link.request(of: response)?.message("make"), asked.number("max_episode_steps") > 0 else {
                return .forward
            }
            response.change("make") { $0.set("max_episode_steps", .number(asked.number("max_episode_steps"))) }
            return .forward
        }
        return mutation
    }
    list.request("limit-zero-is-registered", "takes the limit 0 for none given", caughtBy: "make.time-limit") {
        request, _ in
        request.change("make") { if $0.number("max_episode_steps") == 0 { $0.remove("max_episode_steps") } }
        return .forward
    }
    list.proxy("close-does-nothing", "answers close and keeps the environments", caughtBy: "make.close-twice") {
        let mutation = Mutation()
        mutation.request = { request, _ in request.has("close") ? answer(to: request, "close") : .forward }
        return mutation
    }
    list.part("error", "no-nearest-names", "does not say which ids are near", caughtBy: "make.unknown-environment") {
        if $0.number("code") == 19 { $0.set("message", "no such environment") }
    }
    list.request(
        "autoreset-options-unchecked", "does not check autoreset options",
        caughtBy: "make.autoreset-options-checked"
    ) { request, _ in
        request.change("make") { make in
            make.set(
                "autoreset_options",
                .messages(make.messages("autoreset_options").filter { $0.text("name") != "no_such_option" }))
        }
        return .forward
    }
}
