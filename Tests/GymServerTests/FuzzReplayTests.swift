import FuzzSupport
import Testing

/// What the fuzzer found worth keeping, once more; and a little of what it would do.
@Suite struct FuzzReplayTests {
    @Test("No conversation of the corpus brings the server down, or leaves anything behind") func corpus() throws {
        let server = try FuzzedServer()
        for (name, conversation) in try FuzzCorpus.conversations(for: .client) {
            do { try server.run(conversation) } catch { Issue.record("\(name): \(error)") }
        }
    }

    @Test("Nor do conversations that are changed at random") func mutations() throws {
        let server = try FuzzedServer()
        try FuzzCorpus.changed(by: .client, count: 200) { seed, conversation in
            do { try server.run(conversation) } catch { Issue.record("seed \(seed): \(error)") }
        }
    }

    @Test("A file holds any conversation, and any file is one") func files() throws {
        try FuzzCorpus.changed(by: .server, count: 100) { _, conversation in
            let bytes = conversation.encoded
            #expect(FuzzCorpus.conversation(bytes) == conversation)
            // Cut anywhere, what there is of it is still taken.
            let cut = FuzzCorpus.conversation(Array(bytes.prefix(bytes.count / 2)))
            #expect(cut.parts.count <= conversation.parts.count)
        }
    }

    /// Counters, times, lengths and places in states are the client's to write.
    @Test("A state with a number at its limit is refused, or gone on from", arguments: StateSweep.environments)
    func states(id: String) throws {
        // Large states have much of one kind: a few hundred of their places say as much as all.
        let result = try StateSweep.run(id, mostOffsets: 400)
        #expect(result.taken + result.refused > 0 || !result.isRestorable)
    }

    @Test(
        "Memory that somebody writes to at random harms neither side, nor a neighbour",
        arguments: 0..<6 as Range<UInt64>)
    func memory(seed: UInt64) throws { try MemorySiege().run(seed: seed) }
}
