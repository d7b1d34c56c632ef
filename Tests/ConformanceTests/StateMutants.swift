import Conformance

/// Wrong about what a state is of, and about rows that are named twice.
func addStateMutants(to list: inout MutantList) {
    list.response(
        "states-of-others-taken", "takes states of other environments and other options",
        caughtBy: "state.of-another-environment-is-named", "state.of-other-options", "state.of-another-environment"
    ) { response, _ in
        guard response.message("error")?.number("code") == 36 else { return }
        response.remove("error")
        response.append("set_state", [:])
    }
    list.part(
        "error", "states-of-others-invalid", "says of a whole state of something else that it is none",
        caughtBy: "state.of-other-options"
    ) { if $0.number("code") == 36 { $0.set("code", 25) } }
    list.proxy(
        "options-as-they-were-written", "takes states of the same options only where they were written alike",
        caughtBy: "state.of-the-same-options"
    ) {
        let mutation = Mutation()
        var written: Set<UInt64> = []
        mutation.request = { request, _ in
            request.has("set_state") && written.contains(request.number("handle"))
                ? answer(to: request, "error", [("code", 36), ("message", "other options")]) : .forward
        }
        mutation.response = { response, link in
            if let made = response.message("make"), link.request(of: response)?.message("make")?.has("options") == true
            {
                written.insert(made.number("handle"))
            }
            return .forward
        }
        return mutation
    }
    list.proxy(
        "limit-of-the-state", "goes on with the time limit of whoever the state was taken from",
        caughtBy: "state.time-limit-is-the-handles"
    ) {
        let mutation = Mutation()
        var hasRestored = false
        mutation.request = { request, _ in
            if request.has("set_state") { hasRestored = true }
            return .forward
        }
        mutation.response = { response, _ in
            if hasRestored { response.change("step", goOn) }
            return .forward
        }
        return mutation
    }
    for message in ["render", "get_state"] {
        list.request(
            "\(message)-of-a-row-twice", "answers \(message) of a row as often as it is named",
            caughtBy: message == "render" ? "render.index-twice" : "state.index-twice"
        ) { request, _ in
            request.change(message) { part in
                var seen: Set<UInt64> = []
                let rows = part.numbers("environment_index").filter { seen.insert($0).inserted }
                part.set("environment_index", .integers(rows))
            }
            return .forward
        }
    }
}
