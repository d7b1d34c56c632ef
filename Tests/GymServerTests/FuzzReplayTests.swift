import Foundation
import ServerTestSupport
import TestSupport
import Testing

/// What the fuzzer found worth keeping, once more.
@Suite struct FuzzReplayTests {
    @Test("No input of the corpus brings the server down") func corpus() throws {
        let session = try FuzzSession()
        let folder = Fixtures.repository.appendingPathComponent("Fuzz/corpus")
        let files = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
        let inputs = try files.map { Array(try Data(contentsOf: $0)) } + FuzzSession.seeds()
        #expect(inputs.count >= 12)
        for input in inputs { try input.withUnsafeBytes { try session.run($0) } }
    }
}
