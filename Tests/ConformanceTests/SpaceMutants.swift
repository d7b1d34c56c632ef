import Conformance

/// Wrong about members of spaces, where a rule is easily forgotten.
func addSpaceMutants(to list: inout MutantList) {
    list.part(
        "make", "spec-with-default-spaces", "says default spaces in the spec of what it made",
        caughtBy: "make.spec-with-the-options"
    ) {
        $0.change("spec") { spec in
            guard spec.text("id") == "conformance/Echo-v0" else { return }
            for field in ["observation_space", "action_space"] {
                spec.set(field, .message(Message("Space", [("multi_binary", ["shape": [2, 3]])])))
            }
        }
    }
    list.part("step", "negative-zeros-lost", "sends zeros for negative zeros", caughtBy: "space.negative-zeros") {
        $0.change("observation") {
            $0.change("tensor") { tensor in
                let sizes: [UInt64: Int] = [10: 2, 11: 4, 12: 8]
                guard let size = sizes[tensor.number("dtype")] else { return }
                var data = tensor.bytes("data")
                for end in stride(from: size, through: data.count, by: size) where data[end - 1] == 0x80 {
                    if data[(end - size)..<(end - 1)].allSatisfy({ $0 == 0 }) { data[end - 1] = 0 }
                }
                tensor.set("data", .bytes(data))
            }
        }
    }
    list.request("any-truth", "takes any byte that is not 0 for true", caughtBy: "space.bool-bytes") { request, _ in
        request.change("step") {
            $0.change("action") {
                $0.change("tensor") { tensor in
                    guard tensor.number("dtype") == 1 else { return }
                    tensor.set("data", .bytes(tensor.bytes("data").map { min($0, 1) }))
                }
            }
        }
        return .forward
    }
    list.response(
        "ragged-out-of-bounds-passed", "takes whatever ragged values hold", caughtBy: "space.ragged-out-of-bounds",
        "space.graph-without-edge-space"
    ) { response, link in
        guard response.message("error")?.number("code") == 23,
            link.request(of: response)?.message("step")?.message("action")?.has("values") == true
        else { return }
        response.remove("error")
        response.append("step", [:])
    }
    list.request(
        "no-edges-refused", "takes no graph whose edges are there and none", caughtBy: "space.graph-with-no-edges"
    ) { request, _ in
        let values = request.message("step")?.message("action")?.message("values")?.messages("values") ?? []
        let hasEmpty = values.contains { value in
            guard let edges = value.message("graph")?.message("edges") else { return false }
            return edges.numbers("shape").first == 0
        }
        return hasEmpty ? answer(to: request, "error", [("code", 23), ("message", "no edges")]) : .forward
    }
    list.response(
        "masked-resets-beside-pending", "resets rows while others are pending",
        caughtBy: "async.pending-refuses-a-mask"
    ) { response, link in
        guard response.message("error")?.number("code") == 30,
            link.request(of: response)?.message("reset")?.has("mask") == true
        else { return }
        response.remove("error")
        response.append("reset", [:])
    }
    list.response(
        "rows-as-they-were-sent", "names rows in the order of the request", caughtBy: "async.rows-are-named-in-order"
    ) { response, link in
        guard link.request(of: response)?.has("send") == true else { return }
        response.change("error") { $0.set("details", .messages($0.messages("details").reversed())) }
    }
}
