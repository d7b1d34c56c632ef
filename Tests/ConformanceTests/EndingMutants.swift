import Conformance

/// Wrong about how connections, and the server itself, end.
func addEndingMutants(to list: inout MutantList) {
    list.proxy(
        "ends-without-a-word", "sends no notices", caughtBy: ["connection.reaped", "ending.shutdown"], silence: 5,
        isOfShortLife: true
    ) {
        let mutation = Mutation()
        mutation.passesNotices = false
        return mutation
    }
    list.proxy(
        "any-byte-is-activity", "takes bytes that trickle in for requests",
        caughtBy: ["connection.reaped-though-it-trickles"], silence: 2, isOfShortLife: true
    ) {
        let mutation = Mutation()
        mutation.pingsForPieces = true
        mutation.response = hidingSecret
        return mutation
    }
    list.proxy(
        "requests-are-no-activity", "reaps connections however much is said on them",
        caughtBy: ["connection.active-is-kept"], silence: 5, isOfShortLife: true
    ) {
        let mutation = Mutation()
        mutation.request = { request, _ in request.has("ping") ? answer(to: request, "ping") : .forward }
        return mutation
    }
    // The proxy's own socket stays when the server behind it has ended.
    list.proxy(
        "socket-left-behind", "leaves its socket's file behind", caughtBy: ["ending.socket-removed"],
        isOfShortLife: true
    ) { Mutation() }
}
