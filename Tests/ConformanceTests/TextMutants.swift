import Conformance

/// Wrong about strings, and about how deep messages are nested.
func addTextMutants(to list: inout MutantList) {
    list.request(
        "text-ends-at-nul", "reads strings up to their first U+0000", caughtBy: "robustness.text-with-nul",
        "robustness.text-is-looked-at-first", "robustness.text-in-actions"
    ) { request, _ in
        request.change("make") { make in
            for field in ["id", "render_mode"] where make.has(field) {
                make.set(field, .text(String(make.text(field).prefix { $0 != "\0" })))
            }
        }
        changeTexts(&request) { String($0.prefix { $0 != "\0" }) }
        return .forward
    }
    list.request(
        "text-in-utf-16", "counts text in units of UTF-16", caughtBy: "space.text-beyond-the-first-plane"
    ) { request, _ in
        var longest = 0
        changeTexts(&request) { text in
            longest = max(longest, text.utf16.count)
            return text
        }
        return longest > 4 && longest < 9 && request.has("step")
            ? answer(to: request, "error", [("code", 23), ("message", "the text is too long")]) : .forward
    }
    nesting(&list, "nesting-of-20", "takes messages that are nested 20 deep at most", most: 20, "robustness.nested")
    nesting(
        &list, "nesting-of-63", "takes messages that are nested 63 deep at most", most: 63,
        "robustness.nested-at-the-limit")
    list.response(
        "nesting-of-100", "takes messages that are nested 100 deep", caughtBy: "robustness.nested",
        "robustness.nested-at-the-limit"
    ) { response, link in
        guard response.number("id") == 0, response.message("error")?.number("code") == 16,
            let step = link.requests.values.first(where: { depth($0) > 64 })
        else { return }
        response.set("id", .number(step.number("id")))
        response.set("handle", .number(step.number("handle")))
        response.change("error") { $0.set("code", 23) }
    }
}

private func nesting(
    _ list: inout MutantList, _ name: String, _ summary: String, most: Int, _ check: String
) {
    list.request(name, summary, caughtBy: check) { request, _ in
        depth(request) <= most
            ? .forward
            : .answer(Message("Response", [("error", ["code": 16, "message": "nested too deep"])]))
    }
}

/// How deep messages are nested in this one.
private func depth(_ message: Message) -> Int {
    message.fields.reduce(0) { deepest, field in
        if case .message(let part) = field.value { max(deepest, 1 + depth(part)) } else { deepest }
    }
}

/// Changes the texts of a step's action.
private func changeTexts(_ request: inout Message, _ change: (String) -> String) {
    request.change("step") {
        $0.change("action") {
            $0.change("values") {
                $0.change("values") { value in
                    if value.has("text") { value.set("text", .text(change(value.text("text")))) }
                }
            }
        }
    }
}
