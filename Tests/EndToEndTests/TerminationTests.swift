import Conformance
import Conversations
import Foundation
import TestSupport
import Testing

/// `kill -TERM` while a server has much to do.
@Suite struct TerminationTests {
    private static let connections = 50
    private static let stepsEach = 20
    /// Seconds after which a test that waits for what never comes fails.
    private static let patience = 60.0

    @Test("SIGTERM among 1,000 steps in flight: each is answered or its client told; nobody is called malformed")
    func stepsInFlight() throws {
        let folder = try temporaryFolder()
        defer { try? FileManager.default.removeItem(at: folder) }
        let path = folder.appendingPathComponent("socket").path
        let server = try Executable("gym-server").start(["serve", "--socket", path, "--conformance"])
        defer { server.signal(SIGKILL) }
        let deadline = Date().addingTimeInterval(TerminationTests.patience)
        while !server.output.contains("listening"), Date() < deadline { usleep(2_000) }

        let clients = try (0..<TerminationTests.connections).map { _ in try TerminationTests.client(path) }
        let action: Message.Value = .fields([
            ("tensor", .fields([("dtype", 5), ("shape", 1), ("data", .bytes([20, 0, 0, 0, 0, 0, 0, 0]))]))
        ])
        for client in clients {
            for step in 0..<TerminationTests.stepsEach {
                client.send(TerminationTests.frame(id: 10 + step, "step", [("action", action)]))
            }
            // The beginning of one more: what is cut off is not the client's fault.
            client.send(Array(TerminationTests.frame(id: 99, "ping").prefix(11)))
        }
        // One step is done, and with it 999 are not.
        let first = try #require(clients[0].frame(within: TerminationTests.patience))
        server.signal(SIGTERM)

        for (index, client) in clients.enumerated() {
            var frames = index == 0 ? [first] : []
            while let frame = client.frame(within: TerminationTests.patience) { frames.append(frame) }
            #expect(client.hasEnded, "client \(index) is neither answered nor let go")
            var answered = 0
            for frame in frames where frame[4] == 2 {
                let response = try Message("Response", decoding: frame.dropFirst(8))
                answered += 1
                if let error = response.message("error") {
                    #expect(error.number("code") == 34, "client \(index): \(response)")
                } else {
                    #expect(response.message("step") != nil, "client \(index): \(response)")
                }
            }
            let notice = frames.last.flatMap { try? Message("Notice", decoding: $0.dropFirst(8)) }
            let isTold = frames.last?[4] == 3 && notice?.message("shutting_down") != nil
            #expect(isTold, "client \(index) got \(answered) answers and no notice at the end")
        }
        let end = try server.finish()
        #expect(end.status == 0, "\(end.errors)")
    }

    /// A connection with one environment that takes its time.
    private static func client(_ path: String) throws -> Peer {
        let client = try #require(Peer(path: path))
        for request in [
            frame(id: 1, "hello", [("major", 1)]), frame(id: 2, "make", [("id", "conformance/Slow-v0")]),
            frame(id: 3, handle: 1, "reset"),
        ] {
            client.send(request)
            let answer = try #require(client.frame(within: patience))
            let response = try Message("Response", decoding: answer.dropFirst(8))
            try #require(response.message("error") == nil, "\(response)")
        }
        return client
    }

    private static func frame(
        id: Int, handle: Int? = nil, _ request: String, _ fields: [(String, Message.Value)] = []
    ) -> [UInt8] {
        let envelope = Message(
            "Request",
            [
                ("id", .integer(id)), ("handle", .integer(handle ?? (request == "step" ? 1 : 0))),
                (request, .fields(fields)),
            ])
        return RawConnection.frame(envelope.encoded)
    }
}
