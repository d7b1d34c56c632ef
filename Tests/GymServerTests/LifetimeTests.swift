import Foundation
import GymClient
import GymCore
import GymProtocol
import GymServer
import ServerTestSupport
import TestSupport
import Testing

/// What ends, and what goes with it.
@Suite(.serialized) struct LifetimeTests {
    @Test("W1, W2: environments go with their connection, whatever they were doing", arguments: Transport.allCases)
    func connectionGoes(transport: Transport) throws {
        let running = try RunningServer()
        do {
            let connection = try running.connect()
            let batch = try connection.make("test/Slow-v0", count: 2, transport: transport)
            try batch.reset()
            batch.actions.elements(as: Int64.self).update(repeating: 100)
            try batch.sendStep()
            let other = try connection.make("test/Slow-v0", count: 3, transport: .socket)
            try other.reset()
            other.actions.elements(as: Int64.self).update(repeating: 50)
            try other.send(environments: [0, 2])
            #expect(running.server.status.environments == 5)
        }
        #expect(running.waits { $0.environments == 0 && $0.connections == 0 })
    }

    @Test("A batch that goes with a step under way leaves its connection whole", arguments: Transport.allCases)
    func batchGoes(transport: Transport) throws {
        let running = try RunningServer()
        let connection = try running.connect()
        for _ in 0..<20 {
            do {
                let batch = try connection.make("test/Counting-v0", transport: transport)
                try batch.reset()
                try batch.sendStep()
            }
            try connection.ping()
        }
        #expect(running.server.status.environments == 0)
    }

    @Test("M32: a close right after a step does not wait", arguments: Transport.allCases)
    func closeAtOnce(transport: Transport) throws {
        let running = try RunningServer()
        let connection = try running.connect()
        let start = Date()
        for _ in 0..<50 {
            let batch = try connection.make("test/Counting-v0", transport: transport)
            try batch.reset()
            try batch.step()
            try batch.close()
            try batch.close()
            #expect(throws: GymError.self) { try batch.step() }
        }
        // Each wait would be one of a second.
        #expect(-start.timeIntervalSinceNow < 25)
    }

    @Test("Memory, descriptors and threads stay flat over many makes and closes") func flat() throws {
        let running = try RunningServer()
        let connection = try running.connect()
        func cycle(_ count: Int) throws {
            for index in 0..<count {
                let transport = Transport.allCases[index % 2]
                let batch = try connection.make("test/Counting-v0", count: 4, transport: transport)
                try batch.reset()
                try batch.step()
                if index.isMultiple(of: 3) { try batch.close() }
            }
            try connection.ping()
        }
        try cycle(200)
        let memory = try residentBytes()
        let descriptors = try openDescriptors()
        try cycle(2000)
        #expect(try residentBytes() - memory < 8 << 20)
        #expect(try openDescriptors() <= descriptors + 2)
        #expect(try FileManager.default.contentsOfDirectory(atPath: "/proc/self/task").count < 100)
    }

    @Test("C8: a stop finishes the step in flight, tells clients, removes the socket", arguments: Transport.allCases)
    func gracefulEnd(transport: Transport) throws {
        let gates = Gates()
        let running = try RunningServer(registry: gates.registry)
        let connection = try running.connect()
        let batch = try connection.make("test/Gated-v0", transport: transport)
        try batch.reset()
        batch.actions.elements(as: Int64.self)[0] = 1
        let idle = try running.raw()
        try batch.sendStep()
        #expect(gates.waitForArrivals(1))
        running.server.stop(reason: "enough", waits: false)
        gates.open(1)
        try batch.receiveStep()
        #expect(batch.results.observation.elements(as: Int64.self)[0] == 1)
        guard case .notice(.shuttingDown(let reason)) = try idle.next() else { Issue.record("no notice"); return }
        #expect(reason == "enough")
        #expect(try idle.isClosed())
        #expect(running.end())
        #expect(!FileManager.default.fileExists(atPath: running.path))
        let error = #expect(throws: GymError.self) { try batch.step() }
        guard case .connectionLost(let text)? = error else { Issue.record("\(String(describing: error))"); return }
        #expect(text.contains("enough"))
    }

    @Test("An environment that never comes back does not keep a server from ending") func stuckEnvironment() throws {
        let gates = Gates()
        let running = try RunningServer(registry: gates.registry)
        let raw = try running.raw()
        let stuck = try raw.make("test/Gated-v0", count: 4)
        _ = try raw.ask(.reset(ResetParameters()), handle: stuck)
        let actions = BatchBuffer(space: .discrete(count: 4), count: 4)
        actions.elements(as: Int64.self).update(repeating: 1)
        try raw.send(.step(actions, wantsInfo: false), handle: stuck)
        #expect(gates.waitForArrivals(1))
        #expect(running.end())
        gates.openAll()
    }

    @Test("C10: a client that never reads holds up nobody, and is given up") func neverReads() throws {
        func deafen(_ running: RunningServer) throws -> RawConnection {
            let deaf = try running.raw()
            let handle = try deaf.make("test/Echo-v0", count: 10_000)
            try deaf.send(.reset(ResetParameters()), handle: handle)
            deaf.socket.setTimeouts(receive: 1, send: 0.2)
            // Answers of 120 kB each, until nothing goes any more.
            var sent = 0
            while sent < 200, (try? deaf.send(.sample(.observation, seed: nil), handle: handle)) != nil { sent += 1 }
            return deaf
        }
        let patient = try RunningServer { $0.sendTimeoutSeconds = 600 }
        let deaf = try deafen(patient)
        guard case .ping = try patient.raw().ask(.ping) else { Issue.record("no answer"); return }
        #expect(patient.server.status.environments == 10_000)
        withExtendedLifetime(deaf) {}
        let strict = try RunningServer { $0.sendTimeoutSeconds = 0.5 }
        let given = try deafen(strict)
        #expect(strict.waits { $0.connections == 0 && $0.environments == 0 })
        withExtendedLifetime(given) {}
    }

    @Test("X1: the socket is its owner's alone; stale ones are replaced, live ones refused") func socketFile() throws {
        let running = try RunningServer()
        let attributes = try FileManager.default.attributesOfItem(atPath: running.path)
        #expect((attributes[.posixPermissions] as? Int) == 0o600)
        let second = #expect(throws: ServerStartError.self) {
            _ = try Server(registry: EnvironmentRegistry(), path: running.path)
        }
        #expect(second == .alreadyServed(running.path))
        try running.connect().ping()
        let stale = running.path + "-stale"
        _ = try UnixSocket.listen(at: stale)
        #expect(FileManager.default.fileExists(atPath: stale))
        let server = try Server(registry: EnvironmentRegistry(), path: stale)
        server.stop(reason: "done")
        #expect(!FileManager.default.fileExists(atPath: stale))
        let file = running.path + "-file"
        _ = FileManager.default.createFile(atPath: file, contents: Data("precious".utf8))
        #expect(throws: ServerStartError.notASocket(file)) {
            _ = try Server(registry: EnvironmentRegistry(), path: file)
        }
        #expect(FileManager.default.contents(atPath: file) == Data("precious".utf8))
        #expect(throws: SocketPathError.self) {
            _ = try Server(registry: EnvironmentRegistry(), path: "/tmp/" + String(repeating: "x", count: 200))
        }
    }

    @Test("Of servers that start at once at a stale socket, one wins") func racingStarts() throws {
        let folder = try temporaryFolder()
        defer { try? FileManager.default.removeItem(at: folder) }
        for number in 0..<20 {
            let path = folder.appendingPathComponent("socket-\(number)").path
            _ = try UnixSocket.listen(at: path)
            let servers = Winners()
            DispatchQueue.concurrentPerform(iterations: 4) { _ in
                if let server = try? Server(registry: EnvironmentRegistry(), path: path) { servers.add(server) }
            }
            #expect(servers.all.count == 1)
            #expect((try? UnixSocket.connect(to: path)) != nil)
        }
    }

    @Test("C7: who says nothing at first is let go, in time") func halfOpen() throws {
        let running = try RunningServer { $0.helloTimeoutSeconds = 0.2 }
        let silent = try (0..<20).map { _ in try RawConnection(path: running.path) }
        for connection in silent {
            guard case .notice(.reaped) = try connection.next() else { Issue.record("no notice"); return }
            #expect(try connection.isClosed())
        }
        #expect(running.waits { $0.connections == 0 })
    }
}

private final class Winners: @unchecked Sendable {
    private let lock = NSLock()
    private(set) var all: [Server] = []
    func add(_ server: Server) { lock.withLock { all.append(server) } }
}
