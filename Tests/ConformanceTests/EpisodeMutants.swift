import Conformance

/// Wrong about seeds, masks and options of resets.
func addResetMutants(to list: inout MutantList) {
    list.proxy("seed-zero-ignored", "takes seed 0 for no seed", caughtBy: "reset.seed-zero-is-a-seed") {
        ownSeeds { $0.number("value") == 0 }
    }
    list.proxy("seeds-ignored", "takes seeds of its own", caughtBy: "reset.same-seed-same-episode") {
        ownSeeds { _ in true }
    }
    list.request("same-seed-for-all-rows", "gives each row the one seed", caughtBy: "reset.one-seed-for-all") {
        request, link in
        let count = link.counts[UInt32(request.number("handle"))] ?? 1
        request.change("reset") { reset in
            if let seed = reset.messages("seeds").first, reset.messages("seeds").count == 1 {
                reset.set("seeds", .messages([Message](repeating: seed, count: count)))
            }
        }
        return .forward
    }
    list.request(
        "reseeded-by-every-reset", "gives resets without seed always the same one",
        caughtBy: "reset.unseeded-does-not-reseed"
    ) { request, _ in
        request.change("reset") { if !$0.has("seeds") { $0.append("seeds", ["value": 42]) } }
        return .forward
    }
    list.request("number-of-seeds-unchecked", "takes any number of seeds", caughtBy: "reset.number-of-seeds") {
        request, link in
        let count = link.counts[UInt32(request.number("handle"))] ?? 1
        request.change("reset") { reset in
            if ![0, 1, count].contains(reset.messages("seeds").count) {
                reset.set("seeds", .messages(Array(reset.messages("seeds").prefix(1))))
            }
        }
        return .forward
    }
    list.part(
        "reset", "effective-seeds-missing", "does not say which seeds are in force",
        caughtBy: "reset.drawn-seed-is-told"
    ) { $0.remove("effective_seeds") }
    list.response(
        "effective-seeds-of-the-mask", "tells the seeds of rows in the mask alone",
        caughtBy: "reset.mask-and-seeds"
    ) { response, link in
        guard let mask = link.request(of: response)?.message("reset")?.bytes("mask"), !mask.isEmpty else { return }
        response.change("reset") { reset in
            let seeds = reset.numbers("effective_seeds")
            reset.set("effective_seeds", .list(zip(seeds, mask).map { .number($1 == 1 ? $0 : 0) }))
        }
    }
    list.request(
        "mask-ignored", "resets all rows whatever the mask", caughtBy: "reset.mask", "autoreset.reset-of-an-ended-row"
    ) { request, link in
        let count = link.counts[UInt32(request.number("handle"))] ?? 1
        request.change("reset") { reset in
            if reset.bytes("mask").count == count, reset.bytes("mask").contains(1) { reset.remove("mask") }
        }
        return .forward
    }
    list.request("mask-inverted", "resets the rows outside of the mask", caughtBy: "reset.mask") { request, _ in
        request.change("reset") { reset in
            let mask = reset.bytes("mask")
            if mask.contains(0), mask.contains(1) { reset.set("mask", .bytes(mask.map { $0 == 0 ? 1 : 0 })) }
        }
        return .forward
    }
    list.request("mask-of-zeros-is-all", "takes a mask of zeros for none", caughtBy: "reset.mask-without-a-row") {
        request, _ in
        request.change("reset") { reset in
            if reset.bytes("mask").allSatisfy({ $0 == 0 }) { reset.remove("mask") }
        }
        return .forward
    }
    list.request("mask-of-any-bytes", "takes any byte that is not 0 for 1", caughtBy: "reset.mask-of-other-bytes") {
        request, _ in
        request.change("reset") { reset in
            if reset.has("mask") { reset.set("mask", .bytes(reset.bytes("mask").map { min($0, 1) })) }
        }
        return .forward
    }
    list.request("short-mask-padded", "pads masks that are too short", caughtBy: "reset.mask-wrong-length") {
        request, link in
        let count = link.counts[UInt32(request.number("handle"))] ?? 1
        request.change("reset") { reset in
            let mask = reset.bytes("mask")
            if !mask.isEmpty, mask.count < count {
                reset.set("mask", .bytes(mask + [UInt8](repeating: 0, count: count - mask.count)))
            }
        }
        return .forward
    }
    list.response(
        "rows-outside-the-mask-zeroed", "sends zeros for rows outside of the mask", caughtBy: "reset.mask",
        "state.observations-stay", "async.last-sent"
    ) {
        response, link in
        guard let mask = link.request(of: response)?.message("reset")?.bytes("mask"), mask.contains(0) else { return }
        response.change("reset") {
            $0.change("observation") {
                $0.change("tensor") { tensor in
                    var data = tensor.bytes("data")
                    let size = data.count / max(mask.count, 1)
                    for (row, byte) in mask.enumerated() where byte == 0 {
                        for index in (row * size)..<((row + 1) * size) { data[index] = 0 }
                    }
                    tensor.set("data", .bytes(data))
                }
            }
        }
    }
    list.proxy(
        "reset-options-stick", "keeps reset options for later resets",
        caughtBy: "reset.option-for-this-reset-alone"
    ) {
        let mutation = Mutation()
        var kept: [UInt64: [Message]] = [:]
        mutation.request = { request, _ in
            let handle = request.number("handle")
            request.change("reset") { reset in
                let names = reset.messages("options").map { $0.text("name") }
                if names == ["start"] { kept[handle] = reset.messages("options") }
                if names.isEmpty { reset.set("options", .messages(kept[handle] ?? [])) }
            }
            return .forward
        }
        return mutation
    }
    list.request(
        "reset-options-unchecked", "ignores reset options that it does not know",
        caughtBy: "reset.option-unknown"
    ) { request, _ in
        request.change("reset") { reset in
            reset.set("options", .messages(reset.messages("options").filter { $0.text("name") != "no_such" }))
        }
        return .forward
    }
    list.request("reset-without-info", "forgets the info of resets", caughtBy: "reset.info") { request, _ in
        request.change("reset") { $0.remove("want_info") }
        return .forward
    }
}

/// Takes other seeds than it is given: the next number each time, so that a report of it is the same in each run.
private func ownSeeds(_ isIgnored: @escaping (Message) -> Bool) -> Mutation {
    let mutation = Mutation()
    var next: UInt64 = 1000
    mutation.request = { request, _ in
        request.change("reset") { reset in
            let seeds = reset.messages("seeds").map { seed in
                guard seed.has("value"), isIgnored(seed) else { return seed }
                next += 1
                return Message("Seed", [("value", .number(next))])
            }
            reset.set("seeds", .messages(seeds))
        }
        return .forward
    }
    return mutation
}

/// Wrong about steps.
func addStepMutants(to list: inout MutantList) {
    list.part(
        "step", "flags-swapped", "swaps terminated and truncated", caughtBy: "step.terminated", "autoreset.truncation",
        "step.limit-does-not-count-resets"
    ) { step in
        let (terminated, truncated) = (step.bytes("terminated"), step.bytes("truncated"))
        step.set("terminated", .bytes(truncated))
        step.set("truncated", .bytes(terminated))
    }
    list.part(
        "step", "limit-terminates", "calls the time limit's end a termination",
        caughtBy: "step.truncated-by-limit"
    ) { step in
        let ended = zip(step.bytes("terminated"), step.bytes("truncated")).map { $0 | $1 }
        step.set("terminated", .bytes(ended))
        step.set("truncated", .bytes(ended.map { _ in 0 }))
    }
    list.part("step", "one-flag-at-most", "never sends both flags", caughtBy: "step.both-flags") { step in
        let truncated = zip(step.bytes("terminated"), step.bytes("truncated")).map { $0 == 1 ? 0 : $1 }
        step.set("truncated", .bytes(truncated))
    }
    list.proxy("reward-of-the-step-before", "sends the rewards a step late", caughtBy: "step.reward-of-this-step") {
        let mutation = Mutation()
        var before: [UInt64: [UInt8]] = [:]
        mutation.response = { response, _ in
            let handle = response.number("handle")
            response.change("step") { step in
                let rewards = step.bytes("rewards")
                step.set("rewards", .bytes(before[handle] ?? [UInt8](repeating: 0, count: rewards.count)))
                before[handle] = rewards
            }
            return .forward
        }
        return mutation
    }
    list.part("step", "rewards-in-float32", "rounds rewards to float32", caughtBy: "step.returns-in-float64") { step in
        step.set("rewards", bytes(doubles(step.bytes("rewards")).map { Double(Float($0)) }))
    }
    list.part("step", "rewards-as-floats", "sends rewards of four bytes each", caughtBy: "step.reward-of-this-step") {
        $0.set("rewards", bytes(doubles($0.bytes("rewards")).map { Float($0) }))
    }
    list.part(
        "step", "returns-without-the-last-reward", "leaves the last reward out of returns",
        caughtBy: "step.returns-and-lengths", "fault.others-keep-their-episodes"
    ) { step in
        let rewards = doubles(step.bytes("rewards"))
        let rows = step.numbers("final_index").map { Int($0) }
        let returns = zip(rows, doubles(step.bytes("episode_returns"))).map { $1 - rewards[$0] }
        step.set("episode_returns", bytes(returns))
    }
    list.part("step", "lengths-off-by-one", "counts the reset as a step", caughtBy: "step.returns-and-lengths") {
        step in
        let lengths = step.bytes("episode_lengths")
        let longer = lengths.enumerated().map { $0.offset % 8 == 0 ? $0.element &+ 1 : $0.element }
        step.set("episode_lengths", .bytes(longer))
    }
    list.part("step", "final-index-missing", "does not say which rows ended", caughtBy: "vector.final-index") {
        $0.remove("final_index")
    }
    list.part(
        "step", "final-index-descending", "lists the rows that ended backwards",
        caughtBy: "vector.large-batch"
    ) { $0.set("final_index", .integers($0.numbers("final_index").reversed())) }
    list.part(
        "step", "shape-without-rows", "leaves the axis of rows out of shapes",
        caughtBy: "step.observation-in-space"
    ) { step in
        step.change("observation") {
            $0.change("tensor") { tensor in
                tensor.set("shape", .integers(tensor.numbers("shape").dropFirst()))
            }
        }
    }
    list.part("step", "dtype-wrong", "calls float32 float64 and int64 uint64", caughtBy: "space.dtype-float32") {
        step in
        let other: [UInt64: UInt64] = [11: 12, 12: 11, 5: 9, 9: 5]
        step.change("observation") {
            $0.change("tensor") { tensor in
                let dtype = tensor.number("dtype")
                tensor.set("dtype", .number(other[dtype] ?? dtype))
            }
        }
    }
    list.part("step", "big-endian", "sends elements in big-endian order", caughtBy: "space.dtype-int16") { step in
        step.change("observation") {
            $0.change("tensor") { tensor in
                guard [3, 7, 10].contains(tensor.number("dtype")) else { return }
                var data = tensor.bytes("data")
                for index in stride(from: 0, to: data.count - 1, by: 2) { data.swapAt(index, index + 1) }
                tensor.set("data", .bytes(data))
            }
        }
    }
    list.request("nan-accepted", "takes NaN as an action", caughtBy: "step.action-nan") { request, _ in
        request.change("step") {
            $0.change("action") {
                $0.change("tensor") { tensor in
                    guard tensor.number("dtype") == 11 else { return }
                    let values = tensor.bytes("data").withUnsafeBytes { raw in
                        (0..<(raw.count / 4)).map { raw.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self) }
                    }
                    if values.contains(where: \.isNaN) { tensor.set("data", bytes(values.map { $0.isNaN ? 0 : $0 })) }
                }
            }
        }
        return .forward
    }
    list.request("bounds-unchecked", "clips actions outside of their bounds", caughtBy: "step.action-outside-box") {
        request, _ in
        request.change("make") { $0.set("pass_out_of_bounds", true) }
        return .forward
    }
    list.request("out-of-bounds-never-passed", "ignores pass_out_of_bounds", caughtBy: "step.pass-out-of-bounds") {
        request, _ in
        request.change("make") { $0.remove("pass_out_of_bounds") }
        return .forward
    }
    list.request(
        "discrete-wraps-around", "takes discrete actions modulo their number",
        caughtBy: "step.action-outside-discrete"
    ) { request, _ in
        request.change("step") {
            $0.change("action") {
                $0.change("tensor") { tensor in
                    guard tensor.number("dtype") == 5, tensor.numbers("shape").count == 1 else { return }
                    let values = tensor.bytes("data").withUnsafeBytes { raw in
                        (0..<(raw.count / 8)).map { raw.loadUnaligned(fromByteOffset: 8 * $0, as: Int64.self) }
                    }
                    tensor.set("data", bytes(values.map { $0 & 1 }))
                }
            }
        }
        return .forward
    }
    list.request("info-always", "sends info that nobody asked for", caughtBy: "step.info") { request, _ in
        request.change("step") { $0.set("want_info", true) }
        return .forward
    }
    list.part(
        "step", "info-mask-of-ones", "claims info that a row does not have", caughtBy: "step.info",
        "fault.no-info"
    ) {
        $0.change("info") { info in info.set("mask", .bytes(info.bytes("mask").map { _ in 1 })) }
    }
    list.request("needs-reset-forgotten", "resets fresh environments by itself", caughtBy: "step.needs-reset") {
        request, link in
        let handle = request.number("handle")
        let wasReset = link.requests.values.contains { $0.number("handle") == handle && $0.has("reset") }
        guard request.has("step"), !wasReset else { return .forward }
        let step = request
        request = Message("Request", [("id", 9_000_000), ("handle", .number(handle)), ("reset", [:])])
        return .forwardThen(step)
    }
}

/// Wrong about autoreset, faults and environments that step by themselves.
func addVectorMutants(to list: inout MutantList) {
    list.part(
        "step", "final-observation-lost", "does not send the last observation",
        caughtBy: "autoreset.same-step-table", "vector.last-observation", "fault.same-step-final-observation"
    ) { $0.remove("final_observation") }
    list.part(
        "step", "final-observation-is-the-first", "sends the new episode's first observation as the old one's last",
        caughtBy: "autoreset.same-step-table"
    ) { step in
        guard step.has("final_observation"), let tensor = step.messages("observation").first?.message("tensor") else {
            return
        }
        let data = tensor.bytes("data")
        let size = data.count / max(Int(tensor.numbers("shape").first ?? 1), 1)
        let rows = step.numbers("final_index").map { Int($0) }
        step.change("final_observation") {
            $0.change("tensor") { final in
                final.set("data", .bytes(rows.flatMap { data[($0 * size)..<(($0 + 1) * size)] }))
            }
        }
    }
    modeSwap(&list, "same-step-is-next-step", 2, 1, "autoreset.same-step-table")
    modeSwap(&list, "next-step-is-same-step", 1, 2, "autoreset.next-step-table")
    modeSwap(&list, "disabled-is-next-step", 3, 1, "autoreset.disabled-needs-reset")
    list.request("autoreset-options-dropped", "drops options at autoreset", caughtBy: "autoreset.options") {
        request, _ in
        request.change("make") { make in
            let unknown = make.messages("autoreset_options").filter { $0.text("name") == "no_such_option" }
            make.set("autoreset_options", .messages(unknown))
        }
        return .forward
    }
    list.proxy(
        "reset-step-rewarded", "rewards the step that resets", caughtBy: "autoreset.next-step-table",
        "fault.next-step-resets"
    ) {
        let mutation = Mutation()
        var ended: [UInt64: [Int]] = [:]
        mutation.response = { response, link in
            let handle = response.number("handle")
            let mode = link.modes[UInt32(handle)] ?? 0
            response.change("step") { step in
                var rewards = doubles(step.bytes("rewards"))
                if mode < 2 { for row in ended[handle] ?? [] where row < rewards.count { rewards[row] = 1 } }
                step.set("rewards", bytes(rewards))
                ended[handle] = step.numbers("final_index").map { Int($0) }
            }
            return .forward
        }
        return mutation
    }
    list.part("step", "faults-hidden", "does not tell which rows failed", caughtBy: "fault.step") {
        $0.remove("faults")
    }
    list.part("step", "faults-spread", "faults all rows when one fails", caughtBy: "fault.step") { step in
        if step.has("faults") {
            step.set("rewards", .bytes(step.bytes("rewards").map { _ in 0 }))
            step.change("observation") {
                $0.change("tensor") { tensor in
                    tensor.set("data", .bytes(tensor.bytes("data").map { _ in 0 }))
                }
            }
        }
    }
    list.request(
        "observations-never-checked", "ignores check_observations",
        caughtBy: "fault.outside-observation-space"
    ) { request, _ in
        request.change("make") { $0.remove("check_observations") }
        return .forward
    }
    list.request("observations-always-checked", "checks observations unasked", caughtBy: "fault.observations-unchecked")
    {
        request, _ in
        request.change("make") { $0.set("check_observations", true) }
        return .forward
    }
    list.part(
        "receive", "received-rows-unnamed", "does not say which environments it sends",
        caughtBy: "async.send-and-receive"
    ) { $0.remove("environment_index") }
    list.part(
        "receive", "received-rows-sorted", "sorts the names of what it sends, and not the rows",
        caughtBy: "async.first-ready"
    ) { $0.set("environment_index", .integers($0.numbers("environment_index").sorted())) }
    list.request("receive-too-many", "receives what there is when more is asked for", caughtBy: "async.nothing-pending")
    {
        request, _ in
        request.change("receive") { if $0.number("count") > 2 { $0.set("count", 2) } }
        return .forward
    }
    list.request("send-twice-to-one", "sends once to a row named twice", caughtBy: "async.indices") { request, _ in
        request.change("send") { send in
            if send.numbers("environment_index") == [0, 0] {
                send.set("environment_index", .integers([0, 1]))
            }
        }
        return .forward
    }
}

/// A server that takes one autoreset mode for another and echoes what was asked for.
private func modeSwap(_ list: inout MutantList, _ name: String, _ asked: UInt64, _ used: UInt64, _ check: String) {
    list.proxy(name, "takes autoreset mode \(asked) for \(used)", caughtBy: check) {
        let mutation = Mutation()
        mutation.request = { request, _ in
            request.change("make") { make in
                if make.number("autoreset") == asked || (asked == 1 && make.number("autoreset") == 0) {
                    make.set("autoreset", .number(used))
                }
            }
            return .forward
        }
        mutation.response = { response, link in
            let wanted = link.request(of: response)?.message("make")?.number("autoreset") ?? 0
            response.change("make") { made in
                if wanted == asked || (asked == 1 && wanted == 0) { made.set("autoreset", .number(asked)) }
            }
            return .forward
        }
        return mutation
    }
}
