import Conformance

/// Wrong about rendering, states, samples and shared memory.
func addCapabilityMutants(to list: inout MutantList) {
    list.part("render", "pictures-transposed", "sends pictures as (width, height, 3)", caughtBy: "render.pixels") {
        $0.change("frames") {
            $0.change("image") { image in
                let shape = image.numbers("shape")
                image.set("shape", .integers([shape[1], shape[0], shape[2]]))
            }
        }
    }
    list.part("render", "pictures-in-bgr", "sends blue first", caughtBy: "render.pixels") {
        $0.change("frames") {
            $0.change("image") { image in
                var data = image.bytes("data")
                for index in stride(from: 0, to: data.count, by: 3) { data.swapAt(index, index + 2) }
                image.set("data", .bytes(data))
            }
        }
    }
    list.request("renders-row-zero", "renders environment 0 whichever is asked for", caughtBy: "render.indices") {
        request, _ in
        request.change("render") { render in
            let rows = render.numbers("environment_index")
            if rows.allSatisfy({ $0 < 3 }) { render.set("environment_index", .integers(rows.map { _ in 0 })) }
        }
        return .forward
    }
    list.request(
        "unknown-render-mode-ignored", "ignores render modes that it does not know",
        caughtBy: "render.unknown-mode"
    ) { request, _ in
        request.change("make") { if $0.text("render_mode") == "smell" { $0.remove("render_mode") } }
        return .forward
    }
    list.request(
        "state-not-restored", "answers set_state and does nothing", caughtBy: "state.goes-on-exactly",
        "state.any-row-any-handle-any-connection", "state.generator", "state.episode", "state.of-an-ended-row",
        "state.of-fresh-rows"
    ) {
        request, _ in
        request.has("set_state") ? answer(to: request, "set_state") : .forward
    }
    list.part(
        "get_state", "states-of-row-zero", "sends the state of the first row for all",
        caughtBy: "state.goes-on-exactly"
    ) { part in
        let states = part.byteStrings("states")
        if let first = states.first { part.set("states", .list(states.map { _ in .bytes(first) })) }
    }
    list.response("garbage-restored", "takes any bytes for a state", caughtBy: "state.garbage") { response, _ in
        if response.message("error")?.number("code") == 25 {
            response.remove("error")
            response.append("set_state", [:])
        }
    }
    list.request(
        "state-rows-ignored", "puts states to the first rows, whichever are named", caughtBy: "state.some-rows"
    ) {
        request, _ in
        request.change("set_state") { part in
            let rows = part.numbers("environment_index")
            if Set(rows).count == rows.count, rows.allSatisfy({ $0 < 3 }) {
                part.set("environment_index", .integers(rows.indices.map { $0 }))
            }
        }
        return .forward
    }
    list.proxy("sample-seed-ignored", "takes seeds of its own for samples", caughtBy: "space.sample-seed") {
        let mutation = Mutation()
        // The next number each time, so that a report of it is the same in each run.
        var next: UInt64 = 1000
        mutation.request = { request, _ in
            request.change("sample") { sample in
                guard sample.message("seed") != nil else { return }
                next += 1
                sample.set("seed", .message(Message("Seed", [("value", .number(next))])))
            }
            return .forward
        }
        return mutation
    }
    list.part(
        "sample", "samples-outside", "samples outside of the space", caughtBy: "space.sample",
        "space.sample-of-all-kinds"
    ) { part in
        part.change("sample") {
            $0.change("tensor") { tensor in
                tensor.set("data", .bytes(tensor.bytes("data").map { _ in 0x7F }))
            }
        }
    }
    list.part(
        "contains", "contains-everything", "finds everything in every space", caughtBy: "space.contains",
        "space.contains-keeps-bounds"
    ) { part in
        part.set("contained", .bytes(part.bytes("contained").map { _ in 1 }))
    }
    list.proxy(
        "descriptor-forgotten", "does not pass the shared memory", caughtBy: "shared.layout",
        "shared.makes-under-way"
    ) {
        let mutation = Mutation()
        mutation.passesDescriptors = false
        return mutation
    }
    list.part("make", "shared-memory-unaligned", "places regions where they are not aligned", caughtBy: "shared.layout")
    {
        $0.change("shared_memory") {
            $0.change("actions") { region in
                region.set("offset", .number(region.number("offset") + 8))
            }
        }
    }
    list.part("make", "shared-memory-overlaps", "places two regions in one place", caughtBy: "shared.layout") {
        $0.change("shared_memory") {
            $0.change("results") { results in
                if let terminated = results.message("terminated") { results.set("truncated", .message(terminated)) }
            }
        }
    }
    list.part("make", "shared-memory-too-small", "places regions outside of the memory", caughtBy: "shared.layout") {
        $0.change("shared_memory") { memory in memory.set("size", .number(memory.number("size") / 2)) }
    }
    list.part("make", "shared-sets-swapped", "writes each step to the other set", caughtBy: "shared.two-sets") {
        $0.change("shared_memory") { memory in
            memory.set("results", .messages(memory.messages("results").reversed()))
        }
    }
    list.part(
        "make", "shared-flags-swapped", "swaps the places of terminated and truncated",
        caughtBy: "shared.autoreset-table"
    ) {
        $0.change("shared_memory") {
            $0.change("results") { results in
                guard let terminated = results.message("terminated"), let truncated = results.message("truncated")
                else {
                    return
                }
                results.set("terminated", .message(truncated))
                results.set("truncated", .message(terminated))
            }
        }
    }
    list.part("make", "shared-transport-not-echoed", "says socket where it is shared memory", caughtBy: "shared.layout")
    {
        $0.set("transport", 1)
    }
}
