import Conformance

/// Wrong about handles, seeds, spaces and pictures, where a rule is easily forgotten.
func addHandleMutants(to list: inout MutantList) {
    list.request("zero-is-none", "refuses to make 0 environments", caughtBy: "make.number-zero-is-one") { request, _ in
        guard let make = request.message("make"), make.number("num_envs") == 0 else { return .forward }
        return answer(to: request, "error", [("code", 21), ("message", "num_envs is 0")])
    }
    list.part("make", "handle-used-again", "gives a handle's number to another one", caughtBy: "make.handles") {
        if $0.number("handle") == 3 { $0.set("handle", 2) }
    }
    list.part("make", "mode-not-echoed", "echoes the default mode", caughtBy: "make.autoreset-echoed") {
        $0.set("autoreset", 1)
    }
    list.part("make", "transport-not-echoed", "does not say which transport it is", caughtBy: "make.transport-default")
    {
        $0.remove("transport")
    }
    list.request(
        "ragged-falls-back", "falls back to the socket for ragged spaces", caughtBy: "make.ragged-in-shared-memory"
    ) { request, _ in
        let ragged = ["text", "graph", "mixed"]
        let option = request.message("make")?.messages("options").first { $0.text("name") == "space" }
        if ragged.contains(option?.message("value")?.text("text") ?? "") {
            request.change("make") { $0.remove("transport") }
        }
        return .forward
    }
    list.request("no-limit-is-500", "takes the limit 0 for 500 steps", caughtBy: "step.no-limit") { request, _ in
        request.change("make") { make in
            if make.has("max_episode_steps"), make.number("max_episode_steps") == 0 {
                make.set("max_episode_steps", 500)
            }
        }
        return .forward
    }
    list.part(
        "reset", "first-observation-without-rows", "leaves the axis of rows out of first observations",
        caughtBy: "reset.observation-in-space"
    ) {
        $0.change("observation") {
            $0.change("tensor") { tensor in
                tensor.set("shape", .integers(tensor.numbers("shape").dropFirst()))
            }
        }
    }
    list.request(
        "absent-seed-is-zero", "takes an absent seed for 0", caughtBy: "reset.some-seeds-absent",
        "reset.generator-goes-on"
    ) { request, _ in
        request.change("reset") { reset in
            reset.set(
                "seeds",
                .messages(reset.messages("seeds").map { $0.has("value") ? $0 : Message("Seed", [("value", 0)]) }))
        }
        return .forward
    }
    list.request(
        "seeds-of-other-rows", "gives each row the seed of the next", caughtBy: "reset.seed-for-each",
        "reset.mask-and-seeds"
    ) { request, _ in
        request.change("reset") { reset in
            let seeds = reset.messages("seeds")
            if seeds.count > 1 { reset.set("seeds", .messages(Array(seeds.dropFirst() + seeds.prefix(1)))) }
        }
        return .forward
    }
    list.response("seed-does-not-wrap", "holds 2^64 - 1 for the last seed", caughtBy: "reset.one-seed-wraps") {
        response, _ in
        response.change("reset") { reset in
            let seeds = reset.numbers("effective_seeds")
            if seeds.first == .max { reset.set("effective_seeds", .integers(seeds.map { _ in UInt64.max })) }
        }
    }
    list.proxy(
        "refused-reset-reseeds", "takes the seeds of a reset that it refuses",
        caughtBy: "reset.refused-changes-nothing"
    ) {
        let mutation = Mutation()
        mutation.request = { request, _ in
            guard let reset = request.message("reset"), reset.has("options"), reset.has("seeds") else {
                return .forward
            }
            var seeds = Message("ResetRequest")
            seeds.set("seeds", .messages(reset.messages("seeds")))
            return .forwardThen(
                Message(
                    "Request",
                    [("id", secret), ("handle", .number(request.number("handle"))), ("reset", .message(seeds))]))
        }
        mutation.response = hidingSecret
        return mutation
    }
    list.proxy(
        "refused-step-steps", "steps, as before, where it refuses to", caughtBy: "step.refused-changes-nothing"
    ) {
        let mutation = Mutation()
        var last: Message?
        mutation.request = { request, link in
            guard let step = request.message("step") else { return .forward }
            if step.has("action") { last = step }
            guard !step.has("action"), let last else { return .forward }
            return .forwardThen(
                Message(
                    "Request",
                    [("id", secret), ("handle", .number(request.number("handle"))), ("step", .message(last))]))
        }
        mutation.response = hidingSecret
        return mutation
    }
    list.part(
        "step", "observation-garbled", "sends the last byte of each observation wrong",
        caughtBy: fixedSpaces.map { "space.\($0)" }
    ) {
        $0.change("observation") {
            $0.change("tensor") { tensor in
                var data = tensor.bytes("data")
                if let last = data.last { data[data.count - 1] = last ^ 1 }
                tensor.set("data", .bytes(data))
            }
        }
    }
    list.part(
        "step", "values-in-reverse", "sends the rows of ragged observations in reverse",
        caughtBy: raggedSpaces.map { "space.\($0)" }
    ) {
        $0.change("observation") {
            $0.change("values") { list in list.set("values", .messages(list.messages("values").reversed())) }
        }
    }
    list.part(
        "receive", "received-values-in-reverse", "sends what is received in another order than it names it",
        caughtBy: "async.ragged"
    ) {
        $0.change("observation") {
            $0.change("values") { list in
                let values = list.messages("values")
                list.set("values", .messages(Array(values.dropFirst() + values.prefix(1))))
            }
        }
    }
    list.request("action-of-another-row", "gives each row the action of another", caughtBy: "step.action-of-each-row") {
        request, _ in
        request.change("step") {
            $0.change("action") {
                $0.change("tensor") { tensor in
                    let data = tensor.bytes("data")
                    if tensor.number("dtype") == 5, tensor.numbers("shape").count == 1 {
                        tensor.set("data", .bytes(Array(data.dropFirst(8) + data.prefix(8))))
                    }
                }
            }
        }
        return .forward
    }
    list.proxy(
        "sample-draws-from-the-environment", "samples with the generator of the environments",
        caughtBy: "space.sample-leaves-environments-alone"
    ) {
        let mutation = Mutation()
        mutation.request = { request, _ in
            guard request.has("sample") else { return .forward }
            return .forwardThen(
                Message("Request", [("id", secret), ("handle", .number(request.number("handle"))), ("reset", [:])]))
        }
        mutation.response = hidingSecret
        return mutation
    }
    list.proxy(
        "second-hello-starts-anew", "forgets its handles at a second hello",
        caughtBy: "connection.second-hello-changes-nothing"
    ) {
        let mutation = Mutation()
        mutation.request = { request, link in
            guard request.has("hello"), let handle = link.counts.keys.first else { return .forward }
            return .forwardThen(
                Message("Request", [("id", secret), ("handle", .integer(handle)), ("close", [:])]))
        }
        mutation.response = hidingSecret
        return mutation
    }
    list.part("step", "final-info-lost", "does not send the info of episodes that ended", caughtBy: "autoreset.info") {
        $0.remove("final_info")
    }
    list.part("render", "pictures-flat", "sends pictures without their last axis", caughtBy: "render.every-mode") {
        $0.change("frames") {
            $0.change("image") { image in
                let shape = image.numbers("shape")
                if shape.count == 3 { image.set("shape", .integers([shape[0], shape[1] * shape[2]])) }
            }
        }
    }
    list.proxy(
        "ended-not-rendered", "renders no episode that has ended", caughtBy: "render.ended-without-autoreset"
    ) {
        let mutation = Mutation()
        var hasEnded = false
        mutation.request = { request, _ in
            request.has("render") && hasEnded
                ? answer(to: request, "error", [("code", 26), ("message", "it has ended")]) : .forward
        }
        mutation.response = { response, _ in
            if response.message("step")?.has("final_index") == true { hasEnded = true }
            return .forward
        }
        return mutation
    }
}

/// The id of requests that a mutation makes on its own.
let secret: Message.Value = 9_000_000

/// Keeps the answers to a mutation's own requests from the client.
func hidingSecret(_ response: inout Message, _: Link) -> Verdict {
    response.number("id") == 9_000_000 ? .drop : .forward
}

/// What checks of spaces are called after.
private let fixedSpaces = [
    "dtype-float32", "dtype-float64", "dtype-float16", "dtype-bool", "dtype-int8", "dtype-int16", "dtype-int32",
    "dtype-int64", "dtype-uint8", "dtype-uint16", "dtype-uint32", "dtype-uint64", "unbounded", "element-bounds",
    "scalar",
    "discrete", "discrete-start", "multi-discrete", "multi-binary", "dict", "tuple", "nested", "extremes", "infinities",
]
private let raggedSpaces = ["text", "sequence", "graph", "graph-plain", "one-of", "mixed"]
