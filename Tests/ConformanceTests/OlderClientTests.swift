import Conformance
import ConformanceEnvironments
import Foundation
import GymCore
import GymEnvironments
import ServerTestSupport
import TestSupport
import Testing

/// What a client of 1.0 once said, and what a server of 1.0 answered: it is kept as frames, and goes on to be answered so.
@Suite("Older clients")
struct OlderClientTests {
    @Test("a client of 1.0 is answered as it was by a server of 1.0")
    func recorded() throws {
        var registry = EnvironmentRegistry()
        registry.register(CartPole.spec) { CartPole(options: $0) }
        ConformanceEnvironments.register(in: &registry)
        let server = try RunningServer(registry: registry)
        let connection = try Conformance.RawConnection(path: server.path, timeout: 60)
        defer { connection.close() }
        let frames = try OlderClientTests.frames("python-client")
        #expect(frames.count > 60)
        var requests: [UInt64: Message] = [:]
        // States are the server's own: those that it gave take the place of those that were given then.
        var states: [[UInt8]: [UInt8]] = [:]
        for (isRequest, bytes) in frames {
            let body = Array(bytes.dropFirst(8))
            if isRequest {
                var request = try Message("Request", decoding: body)
                requests[request.number("id")] = request
                request.change("set_state") { part in
                    part.set("states", .list(part.byteStrings("states").map { .bytes(states[$0] ?? []) }))
                }
                try connection.send(request)
                continue
            }
            let expected = try Message("Response", decoding: body)
            let frame = try #require(try connection.receiveFrame())
            let answer = try Message("Response", decoding: frame.body)
            if let old = expected.message("get_state"), let new = answer.message("get_state") {
                for (old, new) in zip(old.byteStrings("states"), new.byteStrings("states")) { states[old] = new }
            }
            #expect(comparable(answer) == comparable(expected), "\(requests[expected.number("id")]?.description ?? "")")
            #expect(!answer.hasWhatIsNewer, "\(answer)")
        }
        #expect(!states.isEmpty)
    }

    @Test("the frames in hex of PROTOCOL.md are what they say, for the suite's own codec")
    func pageOfFrames() throws {
        let page = try String(
            contentsOf: Fixtures.repository.appendingPathComponent("Proto/PROTOCOL.md"), encoding: .utf8)
        let names: [UInt8: String] = [1: "Request", 2: "Response", 3: "Notice"]
        var count = 0
        for block in page.components(separatedBy: "```hex\n").dropFirst() {
            let digits = block.components(separatedBy: "```")[0]
            let bytes = digits.split(whereSeparator: \.isWhitespace).compactMap { UInt8($0, radix: 16) }
            let length = (0..<4).reduce(0) { $0 | Int(bytes[$1]) << (8 * $1) }
            #expect(bytes.count == 8 + length)
            #expect(bytes[5...7].allSatisfy { $0 == 0 })
            let name = try #require(names[bytes[4]])
            let message = try Message(name, decoding: bytes.dropFirst(8))
            // Fields that are known, and encoded again the same bytes.
            #expect(message.encoded == Array(bytes.dropFirst(8)), "\(message)")
            #expect(!message.description.contains("field "), "\(message)")
            count += 1
        }
        #expect(count >= 12)
    }

    /// The frames of a recording, in their order, and whether the client sent them.
    private static func frames(_ name: String) throws -> [(isRequest: Bool, bytes: [UInt8])] {
        let path = Fixtures.repository.appendingPathComponent("Tests/Fixtures/protocol-1.0/\(name).frames")
        return try String(contentsOf: path, encoding: .utf8).split(separator: "\n").map { line in
            let digits = Array(line.dropFirst(2))
            let bytes = try stride(from: 0, to: digits.count, by: 2).map { index in
                try #require(UInt8(String(digits[index...(index + 1)]), radix: 16))
            }
            return (line.hasPrefix(">"), bytes)
        }
    }

    /// The response without what may differ from server to server, and from release to release.
    private func comparable(_ response: Message) -> Message {
        var response = response
        response.change("hello") { hello in
            for field in ["limits", "server_name", "server_version", "session_id"] { hello.remove(field) }
        }
        // Environments may have got more options; spaces and episodes have to be what they were.
        response.change("make") { $0.remove("spec") }
        // 1.0 says nothing about the info of a row that failed; since 1.1 it has none (M23).
        response.change("step") { step in if step.has("faults") { step.remove("info") } }
        response.change("get_state") { part in
            part.set("states", .list(part.byteStrings("states").map { _ in .bytes([1]) }))
        }
        response.change("error") { error in
            error.remove("message")
            error.change("details") { detail in
                for field in ["expected", "got"] { detail.remove(field) }
            }
        }
        return response
    }
}
