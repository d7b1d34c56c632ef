import Conformance
import Foundation
import Synchronization

/// Wrong about headers, bytes, and connections that end.
func addFrameMutants(to list: inout MutantList) {
    list.proxy(
        "header-unchecked", "reads nothing but the length of a header", caughtBy: "framing.kind-zero",
        "framing.kind-unknown", "framing.kind-of-the-server", "framing.flags", "framing.reserved",
        "framing.header-before-length"
    ) {
        let mutation = Mutation()
        mutation.requestHeader = { $0 = [1, 0, 0, 0] }
        return mutation
    }
    list.proxy(
        "rest-of-a-read-forgotten", "forgets what comes in one piece with a frame", caughtBy: "framing.cut-across"
    ) {
        let mutation = Mutation()
        mutation.keepsRest = false
        return mutation
    }
    list.request(
        "one-frame-a-read", "refuses all but the first of several frames in one piece",
        caughtBy: "framing.several-in-one"
    ) { request, link in
        link.placeInRead == 0 ? .forward : answer(to: request, "error", [("code", 28), ("message", "too many")])
    }
    list.request(
        "own-encoding-only", "takes nothing that its own encoder would have written otherwise",
        caughtBy: "framing.repeated-unpacked"
    ) { request, link in
        link.isCanonical ? .forward : answer(to: request, "error", [("code", 16), ("message", "not packed")])
    }
    list.request(
        "first-frame-of-a-kibibyte", "takes no first frame above 1 KiB", caughtBy: "framing.first-frame-of-60-kib"
    ) { request, link in
        guard request.has("hello"), link.length > 1024 else { return .forward }
        return answer(to: request, "error", [("code", 2), ("message", "too large"), ("fatal", true)])
    }
    list.request(
        "frames-of-64-kib", "takes no frame above 64 KiB, whatever it announces", caughtBy: "robustness.large-frame"
    ) { request, link in
        link.length <= 1 << 16
            ? .forward : answer(to: request, "error", [("code", 28), ("message", "too large")])
    }
    list.proxy("end-is-an-error", "has something to say to a client that leaves", caughtBy: "connection.regular-end") {
        let mutation = Mutation()
        mutation.farewell = Message("Response", [("error", ["code": 35, "message": "why do you leave?"])])
        return mutation
    }
    list.part(
        "error", "cut-short-is-not-fatal", "goes on reading after a frame cut short",
        caughtBy: "robustness.ends-inside-header", "robustness.ends-inside-body", "robustness.length-without-body"
    ) { error in
        if error.number("code") == 1 {
            error.set("code", 16)
            error.remove("fatal")
        }
    }
    list.part(
        "error", "too-large-is-malformed", "calls frames that are too large malformed",
        caughtBy: "robustness.length-above-limit-at-first", "robustness.length-above-limit"
    ) { if $0.number("code") == 2 { $0.set("code", 1) } }
    list.part(
        "error", "no-hello-is-not-fatal", "goes on without hello", caughtBy: "connection.hello-first-undecodable",
        "connection.hello-first"
    ) { error in
        if error.number("code") == 4 {
            error.set("code", 21)
            error.remove("fatal")
        }
    }
    list.proxy("noise-keeps-it-open", "keeps connections of noise open", caughtBy: ["robustness.noise"], silence: 2) {
        let mutation = Mutation()
        mutation.passesEnd = false
        return mutation
    }
    list.request(
        "descriptors-refused", "refuses requests with a descriptor", caughtBy: "robustness.descriptors-passed"
    ) { request, link in
        link.hasDescriptor
            ? answer(to: request, "error", [("code", 21), ("message", "a descriptor")]) : .forward
    }
    list.proxy(
        "descriptors-kept", "keeps descriptors that come with requests", caughtBy: "robustness.descriptors-passed"
    ) {
        let mutation = Mutation()
        mutation.keepsDescriptors = true
        return mutation
    }
    list.request("first-of-two-messages", "takes the first of two messages", caughtBy: "robustness.two-messages-in-one")
    { request, _ in
        if request.has("ping") { request.remove("status") }
        return .forward
    }
    list.part(
        "status", "gone-still-counted", "counts who is gone", caughtBy: "neighbour.gone-with-environments",
        "neighbour.gone-in-a-step", "neighbour.gone-in-a-make", "shared.end-of-the-connection",
        "robustness.closed-at-once"
    ) { status in
        for field in ["environments", "connections"] {
            status.set(field, .number(status.number(field) + status.number("bytes_received")))
        }
    }
    list.part("status", "errors-not-counted", "counts no errors", caughtBy: "connection.status-counts-errors") {
        $0.remove("errors")
    }
    list.part("hello", "capability-twice", "announces a capability twice", caughtBy: "version.capabilities-all") {
        hello in
        if let first = hello.texts("capabilities").first { hello.append("capabilities", .text(first)) }
    }
    list.proxy("makes-run-out", "makes twenty times a connection", caughtBy: "neighbour.made-and-closed") {
        let mutation = Mutation()
        var makes = 0
        mutation.request = { request, _ in
            makes += request.has("make") ? 1 : 0
            return request.has("make") && makes > 20
                ? answer(to: request, "error", [("code", 28), ("message", "no more")]) : .forward
        }
        return mutation
    }
    list.proxy("socket-for-all", "lets everyone connect", caughtBy: "neighbour.socket-mode") {
        let mutation = Mutation()
        mutation.socketMode = 0o666
        return mutation
    }
    list.proxy(
        "waits-for-who-does-not-read", "makes others wait for a client that does not read",
        caughtBy: ["neighbour.never-reads"], silence: 2
    ) {
        let mutation = Mutation()
        mutation.request = { request, link in
            let handle = UInt32(request.number("handle"))
            if request.has("step"), link.counts[handle] ?? 0 > 1000 { isBusy.withLock { $0 = true } }
            let waits = request.message("make")?.integer("num_envs") == 1 && isBusy.withLock { $0 }
            return waits ? .drop : .forward
        }
        return mutation
    }
}

private let isBusy = Mutex(false)
