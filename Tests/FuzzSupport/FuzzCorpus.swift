package import Conversations
import Foundation
import TestSupport

/// The conversations that are kept: Fuzz/corpus, which covers what the fuzzer has come to, and Fuzz/regressions, each of
/// which once did harm and is named for what is in it.
package enum FuzzCorpus {
    /// The conversations in which this side is hostile, with their files' names.
    package static func conversations(for side: Mutator.Side) throws -> [(name: String, Conversation)] {
        // Named for whom they are played to.
        let folder = side == .client ? "server" : "client"
        return try ["corpus", "regressions"].flatMap { kind in
            let folder = Fixtures.repository.appendingPathComponent("Fuzz/\(kind)/\(folder)")
            // A folder without files is not there.
            let files =
                (try? FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)) ?? []
            return try files.sorted { $0.path < $1.path }.map {
                ($0.lastPathComponent, Conversation(decoding: try Data(contentsOf: $0)))
            }
        }
    }

    /// Recorded conversations that are changed at random, the same ones each time.
    package static func changed(
        by side: Mutator.Side, count: Int, _ body: (_ seed: UInt64, Conversation) throws -> Void
    ) throws {
        let recorded = try Recorder.conversations()
        let mutator = Mutator(side, donors: recorded)
        for index in 0..<count {
            var generator = FuzzGenerator(seed: UInt64(index))
            try body(UInt64(index), mutator.mutated(recorded[index % recorded.count], &generator))
        }
    }

    /// A file's conversation.
    package static func conversation(_ bytes: [UInt8]) -> Conversation { Conversation(decoding: bytes) }
}
