/// M8, M26: pictures.
func addRenderChecks(to list: inout CheckList) {
    let render = Requirement.capability("render.v1")
    list.add("render.every-mode", .render, ["M26"], needs: [render]) { context in
        let client = try context.connect()
        let ids = try context.environments("renderable") { $0.has("render_modes") }
        try context.forEach(ids) { id in
            for mode in context.specs[id]!.texts("render_modes") {
                let batch = try client.make(id, extra: [("render_mode", .text(mode))])
                try batch.reset(seeds: [1])
                let first = try frames(batch, [])
                try expect(first.count, 1, "\(mode): number of frames")
                try expectFrame(first[0], mode)
                try batch.step(repeated(batch))
                try expectFrame(try frames(batch, [0])[0], mode)
                try batch.call("close")
            }
        }
    }
    list.add("render.unknown-mode", .render, ["M8"], needs: [render]) { context in
        let client = try context.connect()
        try client.expectError(
            .renderUnavailable, "make", Client.makeFields(context.environments[0], extra: [("render_mode", "smell")]))
    }
    list.add("render.made-without-mode", .render, ["M26"], needs: [render]) { context in
        let batch = try context.connect().make(context.environments[0])
        try batch.reset(seeds: [1])
        try batch.expectError(.renderUnavailable, "render")
    }
    list.add("render.needs-reset", .render, ["H2"], needs: [render]) { context in
        let client = try context.connect()
        let id = try context.environments("renderable") { $0.has("render_modes") }[0]
        let batch = try client.make(
            id, extra: [("render_mode", .text(context.specs[id]!.texts("render_modes")[0]))])
        try batch.expectError(.needsReset, "render")
    }
    list.add("render.indices", .render, ["M26"], needs: [render, .environment(counter)]) { context in
        let batch = try context.connect().make(counter, count: 3, extra: [("render_mode", "ansi")])
        try batch.reset(seeds: [1])
        try batch.reset(mask: [0, 1, 0], options: [("start", 5)])
        let texts = try frames(batch, [1, 0, 2]).map { $0.text("text") }
        try require(
            texts.count == 3 && texts[0].hasPrefix("count 5 ") && texts[1].hasPrefix("count 0 ")
                && texts[2].hasPrefix("count 0 ") && texts[2] != texts[1],
            "frames of the environments 1, 0 and 2", expected: "counts 5, 0 and 0, of different draws",
            got: "\(texts)")
        for bad in [[3], [0, 99]] {
            try batch.expectError(.invalidArgument, "render", [("environment_index", .integers(bad))])
        }
    }
    list.add("render.index-twice", .render, ["M26", "X4"], needs: [render, .environment(counter)], since: 1) {
        context in
        let batch = try context.connect().make(counter, count: 3, extra: [("render_mode", "ansi")])
        try batch.reset(seeds: [1])
        for bad in [[1, 0, 1], [Int](repeating: 0, count: 300)] {
            try batch.expectError(
                .invalidArgument, "render", [("environment_index", .integers(bad))],
                "render of \(bad.count) rows, one of them twice")
        }
        _ = try frames(batch, [2, 1, 0])
    }
    list.add("render.pixels", .render, ["M26", "T1"], needs: [render, .environment(counter)]) { context in
        let batch = try context.connect().make(counter, options: [("limit", 9)], extra: [("render_mode", "rgb_array")])
        let drawn = try draw(batch.reset(seeds: [1]).observation[0])
        try batch.step(0)
        let image = try Tensor(frames(batch, [])[0].message("image"), "the image")
        try expect(image.dtype, .uint8, "the image's dtype")
        try expect(image.shape, [2, 3, 3], "the image's shape: height, width, 3")
        try expect(image.bytes, (0..<6).flatMap { [1, UInt8(drawn & 0xFF), UInt8($0)] }, "the image's pixels")
    }
    list.add("render.changes-nothing", .render, ["M26"], needs: [render]) { context in
        let client = try context.connect()
        let ids = try context.environments("renderable and deterministic") {
            $0.has("render_modes") && !$0.flag("nondeterministic")
        }
        try context.forEach(ids) { id in
            let mode = context.specs[id]!.texts("render_modes")[0]
            let batch = try client.make(id, extra: [("render_mode", .text(mode))])
            let expected = try trajectory(batch, seed: 4, steps: 8)
            var sampler = batch.sampler(seed: 4)
            try batch.reset(seeds: [4])
            for step in 1...8 {
                _ = try frames(batch, [])
                try expectSame(
                    [try batch.step(batch.actions(&sampler))], [expected[step]], "step \(step), after rendering")
            }
            try batch.call("close")
        }
    }
    list.add("render.ended-without-autoreset", .render, ["H3"], needs: [render, .environment(counter)]) { context in
        let batch = try context.connect().make(
            counter, options: [("limit", 1)], autoreset: .disabled, extra: [("render_mode", "ansi")])
        try batch.reset(seeds: [1])
        try batch.step(0)
        let text = try frames(batch, [])[0].text("text")
        try require(text.hasPrefix("count 1 "), "the frame of an ended episode", expected: "count 1", got: text)
    }
    list.add("render.fails", .render, ["E", "M26"], needs: [render, .environment(fault)]) { context in
        let batch = try context.connect().make(
            fault, count: 2, options: [("render", Client.yes)], extra: [("render_mode", "rgb_array")])
        try batch.reset(seeds: [1])
        let error = try batch.expectError(.environmentFault, "render", [("environment_index", .integers([1]))])
        try expect(
            error.messages("details").filter { $0.has("environment_index") }.map { $0.integer("environment_index") },
            [1], "rows that the details name")
        try expect(try batch.step(0).faults, [], "faults of the next step")
    }
}

private func frames(_ batch: Batch, _ environments: [Int]) throws -> [Message] {
    let frames = try batch.call("render", [("environment_index", .integers(environments))]).messages("frames")
    try expect(frames.count, max(environments.count, 1), "number of frames")
    return frames
}

private func expectFrame(_ frame: Message, _ mode: String) throws {
    switch mode {
    case "rgb_array":
        let image = try Tensor(frame.message("image"), "the image")
        try require(
            image.dtype == .uint8 && image.shape.count == 3 && image.shape[2] == 3 && image.count > 0, "the image",
            expected: "UINT8 of shape (height, width, 3)", got: "\(image.dtype.name) of shape \(image.shape)")
    case "ansi":
        try require(frame.has("text"), "the frame", expected: "text", got: "\(frame)")
    default: break
    }
}
