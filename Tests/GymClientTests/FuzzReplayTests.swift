import FuzzSupport
import Testing

/// What the fuzzer found worth keeping of hostile servers, once more; and a little of what it would do.
@Suite struct FuzzReplayTests {
    @Test("No conversation of the corpus makes the client do more than throw what it says it throws")
    func corpus() throws {
        let client = try FuzzedClient()
        for (name, conversation) in try FuzzCorpus.conversations(for: .server) {
            do { try client.run(conversation) } catch { Issue.record("\(name): \(error)") }
        }
    }

    @Test("Nor do conversations that are changed at random") func mutations() throws {
        let client = try FuzzedClient()
        try FuzzCorpus.changed(by: .server, count: 200) { seed, conversation in
            do { try client.run(conversation) } catch { Issue.record("seed \(seed): \(error)") }
        }
    }
}
