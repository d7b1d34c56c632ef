import Foundation
import GymClient
import GymCore
import GymProtocol
import ServerTestSupport
import TestSupport
import Testing

/// What goes wrong between a client and a server is told by type, and in words that say what to do.
@Suite final class ClientErrorTests {
    private let folder: URL

    init() throws { folder = try temporaryFolder() }

    deinit { try? FileManager.default.removeItem(at: folder) }

    private func path() -> String { folder.appendingPathComponent("socket").path }

    /// A server that takes one connection, hands it to `answer`, and closes it.
    private func fakeServer(_ answer: @escaping @Sendable (UnixSocket) -> Void) throws -> String {
        let path = path()
        let listener = try UnixSocket.listen(at: path)
        Thread.detachNewThread {
            guard let socket = try? listener.accept() else { return }
            answer(socket)
            // Closing with the hello unread could take the answer from the client.
            socket.shutdownSending()
            withUnsafeTemporaryAllocation(byteCount: 4096, alignment: 16) { buffer in
                while let count = try? socket.receive(into: buffer), count > 0 {}
            }
        }
        return path
    }

    @Test func noServer() throws {
        let path = path()
        let error = try #require(throws: GymError.self) { try Connection(path: "unix:" + path) }
        guard case .serverNotFound(path, _) = error else { Issue.record("\(error)"); return }
        #expect(error.description.contains("gym-server serve --socket \(path)"))
        _ = try UnixSocket.listen(at: path)
        let stale = try #require(throws: GymError.self) { try Connection(path: path) }
        guard case .serverNotFound = stale else { Issue.record("\(stale)"); return }
    }

    @Test(
        "Something else listens",
        arguments: ["HTTP/1.1 400 Bad Request\r\n\r\n", "", "\u{0}\u{0}\u{0}\u{0}\u{2}\u{0}\u{0}\u{0}"])
    func notAServer(reply: String) throws {
        let path = try fakeServer { socket in
            _ = reply.withCString { send(socket.descriptor, $0, reply.utf8.count, Int32(MSG_NOSIGNAL)) }
        }
        let error = try #require(throws: GymError.self) { try Connection(path: path) }
        guard case .notAServer = error else { Issue.record("\(error)"); return }
        #expect(error.description.contains("is not a gym.v1 server"))
    }

    @Test func otherVersion() throws {
        let path = try fakeServer { socket in
            let writer = ResponseWriter(socket, maxBody: 1 << 20)
            try? writer.error(
                WireError(.unsupportedVersion, "the client speaks 1.0, this server 2.0"), .init(id: 1, handle: 0))
        }
        let error = try #require(throws: GymError.self) { try Connection(path: path) }
        guard case .versionMismatch = error else { Issue.record("\(error)"); return }
        #expect(error.description.contains("same release"))
    }

    @Test("A server that goes in the middle of a step: a typed error", arguments: Transport.allCases)
    func serverGoes(transport: Transport) throws {
        let gates = Gates()
        let running = try RunningServer(registry: gates.registry)
        let batch = try running.connect().make("test/Gated-v0", transport: transport)
        try batch.reset()
        batch.actions.elements(as: Int64.self)[0] = 1
        try batch.sendStep()
        // What was begun is finished and answered.
        #expect(gates.waitForArrivals(1))
        running.server.stop(reason: "enough", waits: false)
        gates.open(1)
        #expect(throws: Never.self) { try batch.receiveStep() }
        #expect(running.end())
        #expect(throws: GymError.self) { try batch.step() }
        #expect(throws: GymError.self) { try batch.step() }
    }

    @Test func refusals() throws {
        let running = try RunningServer()
        let connection = try running.connect()
        func text(_ body: () throws -> Void) -> String {
            do { try body() } catch { return "\(error)" }
            return ""
        }
        #expect(text { _ = try connection.make("test/Countin-v0") }.contains("did you mean test/Counting-v0"))
        #expect(
            text { _ = try connection.make("test/Counting-v0", options: ["limt": .integer(1)]) }.contains(
                "did you mean limit"))
        #expect(
            text { _ = try connection.make("test/Counting-v0", options: ["limit": .integer(-1)]) }.contains(
                "from 1 to 1000"))
        let batch = try connection.make("test/Counting-v0", count: 2, transport: .socket)
        #expect(text { try batch.step() }.contains("reset"))
        try batch.reset()
        batch.actions.elements(as: Int64.self)[1] = 9
        let wrong = text { try batch.step() }
        #expect(wrong.contains("environment 1") && wrong.contains("Discrete(2)") && wrong.contains("9"))
        #expect(text { _ = try batch.render(environments: [0]) }.contains("without a render mode"))
        #expect(text { _ = try batch.states(of: [2]) }.contains("there are 2"))
        #expect(text { _ = try batch.send(environments: [-1]) }.contains("there are 2"))
        #expect(text { _ = try batch.receive(1) }.contains("0 were sent"))
        #expect(text { try batch.reset(seeds: [1, 2, 3]) }.contains("none, one, or 2"))
        try batch.close()
        #expect(text { try batch.step() }.contains("make new ones"))
        #expect(text { try connection.shutdown() }.contains("not started with clients allowed"))
    }

    @Test("Transport nil takes shared memory where it goes, the socket where not") func transports() throws {
        let connection = try RunningServer().connectKeeping()
        #expect(try connection.connection.make("test/Counting-v0", transport: nil).transport == .sharedMemory)
        #expect(
            try connection.connection.make("test/Echo-v0", options: ["space": .text("graph")], transport: nil).transport
                == .socket)
    }

    @Test("Answers are taken by whose they are") func interleaved() throws {
        let running = try RunningServer()
        let connection = try running.connect()
        let batches = try (0..<4).map {
            try connection.make(
                "test/Counting-v0", options: ["limit": .integer(1000)],
                transport: $0.isMultiple(of: 2) ? .socket : .sharedMemory)
        }
        for batch in batches { try batch.reset() }
        for round in 1...50 {
            for batch in batches { try batch.sendStep(wantsInfo: round.isMultiple(of: 5)) }
            try connection.ping()
            for batch in batches.shuffled() {
                try batch.receiveStep()
                #expect(batch.results.observation.elements(as: Int64.self)[0] == Int64(round))
                #expect(batch.info.isEmpty == !round.isMultiple(of: 5))
            }
        }
    }
}

extension RunningServer {
    /// A connection that keeps its server.
    fileprivate func connectKeeping() throws -> (server: RunningServer, connection: Connection) {
        (self, try connect())
    }
}
