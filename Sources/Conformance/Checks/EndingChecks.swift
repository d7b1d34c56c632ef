import Glibc

/// C7, C8: how connections end that nobody ends, and how the server does.
func addEndingChecks(to list: inout CheckList) {
    list.add("connection.reaped", .robustness, ["C7", "L1"]) { context in
        let (client, idle) = try idleClient(context)
        try expectReaped(client, within: Double(idle), "a connection on which nothing is said for \(idle) s")
    }
    list.add("connection.reaped-though-it-trickles", .robustness, ["C7", "X4"], since: 1) { context in
        // A byte now and then is no request.
        let (client, idle) = try idleClient(context)
        let ping = RawConnection.frame(client.request("ping").encoded + [UInt8](repeating: 0, count: 200))
        let end = now() + 3 * Double(idle)
        for byte in ping {
            if client.raw.hasInput(within: Double(idle) / 3) || now() >= end { break }
            try client.raw.send([byte])
        }
        // What is reaped only once the bytes have stopped has been kept by them.
        guard client.raw.hasInput(within: 0) else {
            throw CheckFailure(
                what: "a connection on which a byte comes now and then for \(3 * idle) s",
                expected: "the notice reaped", got: "no frame", kind: .silent)
        }
        try expectReaped(client, within: 0, "a connection on which a byte comes now and then")
    }
    list.add("connection.active-is-kept", .robustness, ["C7"]) { context in
        let (client, idle) = try idleClient(context)
        let end = now() + 2.5 * Double(idle)
        while now() < end {
            try client.call("ping")
            usleep(UInt32(Double(idle) * 2e5))
        }
    }
    list.add("ending.shutdown", .robustness, ["C8", "M33"], needs: [.ending]) { context in
        try expectShutdown(context)
    }
    list.add("ending.socket-removed", .robustness, ["C8"], needs: [.ending]) { context in
        // The server has ended by now, or this check ends it.
        if let client = try? context.connect() {
            try client.call("shutdown")
            try client.expectEnd("after shutdown")
        }
        try context.expectEventually("the socket's file after the end of the server", expected: "to be removed") {
            access(context.path, F_OK) != 0
        }
    }
}

/// A connection, where the server reaps those that are idle for a time that can be waited for.
private func idleClient(_ context: Context) throws -> (Client, Int) {
    let idle = context.limit("idle_timeout_seconds")
    if idle == 0 { throw Skip(reason: "idle_timeout_seconds is 0: no connection is reaped") }
    let most = 5
    if idle > most { throw Skip(reason: "idle_timeout_seconds is \(idle); more than \(most) are not waited for") }
    return (try context.connect(), idle)
}

private func expectReaped(_ client: Client, within seconds: Double, _ what: String) throws {
    client.raw.timeout += 3 * seconds
    guard let frame = try client.raw.receiveFrame() else {
        throw CheckFailure(what: what, expected: "the notice reaped", got: "the connection's end", kind: .ended)
    }
    try expect(frame.kind, 3, "\(what): the kind of the frame that comes, of a notice")
    let notice = try Message("Notice", decoding: frame.body)
    try require(notice.has("reaped"), what, expected: "the notice reaped", got: "\(notice)")
    try client.expectEnd("after the notice reaped")
}

/// Ends the server while others have steps under way.
private func expectShutdown(_ context: Context) throws {
    let client = try context.connect()
    let watcher = try context.connect()
    // Half a header: a request that has not come yet, not a stream that ended inside a frame.
    let half = try context.connect()
    try half.send(bytes: Array(RawConnection.header(length: 50).prefix(5)))
    var step: UInt64?
    var handle: UInt32 = 0
    if context.specs[slow] != nil {
        let batch = try client.make(slow)
        try batch.reset(seeds: [1])
        handle = batch.handle
        step = try client.send("step", batch.stepFields([.integer(100)]), handle: handle)
        // The step has begun when its connection answers a later ping.
        try client.answer("ping", to: client.send("ping"))
    }
    try watcher.call("shutdown")
    if let step { try client.answer("step", to: step, handle: handle) }
    for (who, other) in [("with a step under way", client), ("that asked for it", watcher)]
        + (context.minor > 0 ? [("with half a header sent", half)] : [])
    {
        guard let frame = try other.raw.receiveFrame() else {
            throw CheckFailure(
                what: "the connection \(who), when the server ends", expected: "the notice shutting_down",
                got: "its end", kind: .ended)
        }
        let message = try Message(frame.kind == 3 ? "Notice" : "Response", decoding: frame.body)
        try require(
            frame.kind == 3 && message.has("shutting_down"), "the connection \(who), when the server ends",
            expected: "the notice shutting_down", got: "\(message)")
        try other.expectEnd("after the notice shutting_down")
    }
}
