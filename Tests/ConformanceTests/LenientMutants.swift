import Conformance

/// Servers that say done where they have to refuse: one for each error that is not fatal.
func addLenientMutants(to list: inout MutantList) {
    lenient(
        &list, 16, "malformed-taken", "takes messages that contradict themselves", "make.option-without-value",
        "make.option-twice", "framing.body-undecodable", "robustness.nested-too-deep", "robustness.many-empty-parts")
    lenient(&list, 17, "unknown-messages-taken", "takes messages without a meaning", "version.empty-request")
    lenient(
        &list, 18, "unsupported-taken", "takes what no capability in force allows", "state.not-restorable",
        "capability.async-not-in-force", "capability.state-not-in-force", "capability.render-not-in-force",
        "capability.spaces-not-in-force", "capability.shared-memory-not-in-force",
        "capability.render-mode-not-in-force", "make.ragged-in-shared-memory")
    lenient(
        &list, 20, "unknown-handles-taken", "takes requests for handles that are not there",
        "make.handle-of-another-connection", "make.unknown-handle", "make.close-twice", "order.close-after-steps",
        "async.close-while-pending", "shared.close", "connection.status-counts-errors")
    lenient(
        &list, 21, "invalid-arguments-taken", "takes arguments that make no sense", "state.indices", "async.indices",
        "space.kind-unknown", "space.contains-wrong-form", "make.transport-unknown", "make.autoreset-unknown",
        "reset.number-of-seeds", "reset.refused-changes-nothing", "render.indices",
        "connection.second-hello-changes-nothing")
    lenient(
        &list, 22, "invalid-options-taken", "takes options that do not exist, or have wrong values",
        "make.option-wrong-type", "make.option-out-of-range", "make.option-unknown", "make.autoreset-options-checked",
        "reset.option-unknown", "reset.option-out-of-range")
    lenient(
        &list, 23, "invalid-actions-taken", "takes actions of a wrong form, and outside of their space",
        "step.action-leaves", "step.action-dtype", "step.action-shape", "step.action-size",
        "step.action-of-the-wrong-kind", "step.action-infinite", "step.pass-out-of-bounds-is-finite",
        "step.pass-out-of-bounds-not-for-discrete", "step.action-outside-box", "step.action-outside-discrete",
        "step.refused-changes-nothing", "space.not-a-member", "space.bounds-of-each-element",
        "space.text-counts-code-points", "order.error-in-its-place", "autoreset.next-step-ignores-action",
        "autoreset.next-step-needs-the-right-form", "async.actions")
    lenient(
        &list, 25, "invalid-states-taken", "takes any bytes for a state, and says that it went on from them",
        "state.all-or-none", "state.garbage")
    lenient(
        &list, 26, "unreset-taken", "takes steps of environments that were not reset", "step.needs-reset",
        "reset.mask-of-fresh-rows", "render.needs-reset", "async.needs-reset", "state.of-fresh-rows",
        "shared.needs-reset", "autoreset.disabled-table", "fault.disabled-needs-reset", "fault.reset-disabled")
    lenient(
        &list, 27, "renders-without-a-mode", "renders what was made without a mode", "render.made-without-mode",
        "render.unknown-mode")
    lenient(
        &list, 28, "limits-forgotten", "says done where a limit is reached", "robustness.extreme-numbers",
        "limit.handles", "limit.environments")
    lenient(
        &list, 30, "pending-forgotten", "takes requests while environments are pending",
        "async.pending-refuses-others", "async.sent-twice")
    lenient(
        &list, 32, "socket-steps-beside-memory", "takes steps by socket where they go through memory",
        "shared.steps-by-socket-refused", "shutdown.not-allowed")
    lenient(
        &list, 33, "failures-hidden", "says done when a make or a picture failed", "make.fails", "render.fails")
    list.response("says-nothing", "refuses with an empty response", caughtBy: "robustness.mutated-requests") {
        response, _ in response.remove("error")
    }
    list.response("text-of-any-bytes", "makes what is not UTF-8", caughtBy: "robustness.text-not-utf8") {
        response, link in
        // The proxy cannot read these requests, so that it does not know them.
        if link.request(of: response) == nil, response.has("error") {
            response.remove("error")
            response.append("make", [:])
        }
    }
}

private func lenient(
    _ list: inout MutantList, _ code: UInt64, _ name: String, _ summary: String, _ checks: String...
) {
    list.proxy(name, summary, caughtBy: checks) {
        let mutation = Mutation()
        mutation.response = { response, link in
            guard response.message("error")?.number("code") == code else { return .forward }
            // Of what could not be read nobody knows what it was.
            let done = link.request(of: response)?.messageCase ?? "ping"
            response.remove("error")
            response.append(done, [:])
            return .forward
        }
        return mutation
    }
}
