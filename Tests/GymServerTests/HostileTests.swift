import Foundation
import GymClient
import GymCore
import GymProtocol
import GymServer
import Logging
import ServerTestSupport
import Synchronization
import TestSupport
import Testing

/// What clients that one does not trust try: memory, threads, time, the log, the socket's file.
@Suite(.serialized) struct HostileTests {
    @Test("X4, L2: an answer that is too large is not built") func largeAnswers() throws {
        let bulky = Bulky()
        let running = try RunningServer(registry: bulky.registry) { $0.limits.maxFrameBytes = 8 << 20 }
        let raw = try running.raw()
        let handle = try raw.make("test/Bulky-v0", count: 64) { $0.renderMode = "rgb_array" }
        _ = try raw.ask(.reset(ResetParameters()), handle: handle)
        try raw.send(.getState(environments: []), handle: handle)
        #expect(try raw.error().code == .responseTooLarge)
        #expect(bulky.count.load(ordering: .relaxed) <= 9, "states of 1 MiB each for a frame of 8")
        bulky.count.store(0, ordering: .relaxed)
        try raw.send(.render(environments: (0..<64).map { UInt32($0) }), handle: handle)
        #expect(try raw.error().code == .responseTooLarge)
        #expect(bulky.count.load(ordering: .relaxed) <= 1, "pictures of one batch are alike")
        for request in [Request<BatchBuffer>.render(environments: [0, 0]), .getState(environments: [1, 1])] {
            try raw.send(request, handle: handle)
            #expect(try raw.error().code == .invalidArgument)
        }
        guard case .states(let states) = try raw.ask(.getState(environments: [3, 5]), handle: handle) else {
            Issue.record("no states"); return
        }
        #expect(states.count == 2 && states.allSatisfy { $0.count > Bulky.size })
        guard case .render(let pictures) = try raw.ask(.render(environments: [7, 1]), handle: handle) else {
            Issue.record("no pictures"); return
        }
        #expect(pictures.count == 2 && pictures[0] == pictures[1])
        #expect(running.server.status.serverUse.first { $0.resource == "memory_bytes" }!.used < 200 << 20)
    }

    @Test("X4: handles that send do not start threads of their own") func threads() throws {
        let running = try RunningServer {
            $0.threads = 16
            $0.slowRequestSeconds = .infinity
        }
        let raw = try running.raw()
        let actions = BatchBuffer(space: .discrete(count: 2), count: 1)
        for _ in 0..<40 {
            let handle = try raw.make("test/Counting-v0")
            _ = try raw.ask(.reset(ResetParameters()), handle: handle)
            _ = try raw.ask(.send(environments: [0], actions), handle: handle)
            guard case .receive = try raw.ask(.receive(count: 1), handle: handle) else {
                Issue.record("nothing came"); return
            }
        }
        let threads = try #require(running.server.status.serverUse.first { $0.resource == "threads" })
        #expect(threads.used <= 16 + 4)
        #expect(threads.used <= threads.limit)
    }

    @Test("M35: what is used, against what may be used") func uses() throws {
        let running = try RunningServer { $0.limits.maxMemoryBytes = 64 << 20 }
        let connection = try running.connect()
        func use(_ uses: [ResourceUse], _ name: String) -> ResourceUse? { uses.first { $0.resource == name } }
        let before = try connection.status()
        let batch = try connection.make("test/Counting-v0", count: 100, transport: .socket)
        let after = try connection.status()
        #expect(use(after.connectionUse, "handles") == ResourceUse("handles", used: 1, limit: 256))
        #expect(use(after.connectionUse, "environments") == ResourceUse("environments", used: 100, limit: 65_536))
        #expect(use(after.connectionUse, "pending_requests") == ResourceUse("pending_requests", used: 1, limit: 256))
        let memory = try #require(use(after.connectionUse, "memory_bytes"))
        #expect(memory.limit == 64 << 20 && memory.used > 100 * 50 && memory.used < 100 * 2000)
        #expect(use(after.serverUse, "memory_bytes")!.used >= memory.used)
        try batch.close()
        #expect(try connection.status().connectionUse == before.connectionUse)
        #expect(use(after.serverUse, "connections") == ResourceUse("connections", used: 1, limit: 1024))
        let threads = try #require(use(after.serverUse, "threads"))
        #expect(threads.used >= 1 && threads.limit > 1024)
    }

    @Test("L5: requests that wait are counted") func queuedMemory() throws {
        let gates = Gates()
        let running = try RunningServer(registry: gates.registry) { $0.limits.maxMemoryBytes = 4 << 20 }
        let raw = try running.raw()
        let handle = try raw.make("test/Gated-v0")
        _ = try raw.ask(.reset(ResetParameters()), handle: handle)
        let actions = BatchBuffer(space: .discrete(count: 4), count: 1)
        actions.elements(as: Int64.self)[0] = 1
        try raw.send(.step(actions, wantsInfo: false), handle: handle, id: 1)
        #expect(gates.waitForArrivals(1))
        let state = [UInt8](repeating: 0, count: 1 << 20)
        for id in 10...20 as ClosedRange<UInt64> {
            try raw.send(.setState(environments: [0], states: [state]), handle: handle, id: id)
        }
        // Those that found no room are refused at once.
        let refused = try raw.response()
        guard case .error(let error) = refused.message else { Issue.record("\(refused.message)"); return }
        #expect(error.code == .limitExceeded && refused.id > 10)
        gates.open(1)
        while try raw.response().id != 20 {}
    }

    @Test("C8: a part of a request is none when the server ends") func stopWithinFrame() throws {
        let running = try RunningServer()
        let raw = try running.raw()
        try raw.send(bytes: [100, 0, 0, 0, 1, 0, 0, 0, 1, 2, 3])
        guard case .ping = try running.raw().ask(.ping) else { Issue.record("no answer"); return }
        running.server.stop(reason: "enough")
        guard case .notice(.shuttingDown(let reason)) = try raw.next() else { Issue.record("no notice"); return }
        #expect(reason == "enough")
        #expect(try raw.isClosed())
        #expect(!FileManager.default.fileExists(atPath: running.path))
    }

    @Test("C8: of many steps in flight, each is answered or told that the server ends") func stopUnderLoad() throws {
        let running = try RunningServer()
        let raws = try (0..<8).map { _ in try running.raw() }
        let handles = try raws.map { raw in
            let handle = try raw.make("test/Counting-v0")
            _ = try raw.ask(.reset(ResetParameters()), handle: handle)
            return handle
        }
        let actions = BatchBuffer(space: .discrete(count: 2), count: 1)
        for (raw, handle) in zip(raws, handles) {
            for id in 1...125 as ClosedRange<UInt64> {
                try raw.send(.step(actions, wantsInfo: false), handle: handle, id: id)
            }
        }
        running.server.stop(reason: "enough")
        for raw in raws {
            var isTold = false
            loop: while true {
                switch try raw.next() {
                case .response(let response):
                    if case .error(let error) = response.message { #expect(error.code == .shuttingDown) }
                case .notice(.shuttingDown): isTold = true
                case .notice: Issue.record("another notice")
                case .end: break loop
                }
            }
            #expect(isTold)
        }
    }

    @Test("C7: bytes that trickle in are no request") func trickle() throws {
        let running = try RunningServer { $0.helloTimeoutSeconds = 0.3 }
        let raw = try running.raw(hello: false)
        // It would take a minute.
        try raw.send(bytes: [0, 0xEA, 0, 0, 1, 0, 0, 0])
        var sent = 0
        while sent < 60_000, (try? raw.send(bytes: [0])) != nil {
            sent += 1
            usleep(1_000)
        }
        #expect(sent < 60_000)
        #expect(running.waits { $0.connections == 0 })
    }

    @Test("C3: after a fatal error nothing is sent, from no thread") func silence() throws {
        let gates = Gates()
        let running = try RunningServer(registry: gates.registry)
        let raw = try running.raw()
        let handle = try raw.make("test/Gated-v0")
        _ = try raw.ask(.reset(ResetParameters()), handle: handle)
        let actions = BatchBuffer(space: .discrete(count: 4), count: 1)
        actions.elements(as: Int64.self)[0] = 1
        try raw.send(.step(actions, wantsInfo: false), handle: handle)
        #expect(gates.waitForArrivals(1))
        try raw.send(body: [], kind: 9)
        #expect(try raw.error().code == .malformedFrame)
        gates.open(1)
        guard case .end = try raw.next() else { Issue.record("something came after the error"); return }
    }

    @Test("F10: strings with U+0000, and bytes that are no UTF-8") func strings() throws {
        let running = try RunningServer()
        let raw = try running.raw()
        let id = Array("test/Counting-v0".utf8)
        for (bytes, number) in [(id + [0] + Array("junk".utf8), UInt64(41)), (id + [0xFF], 42)] {
            try raw.send(body: field(1, varint: number) + field(20, field(1, bytes)))
            let response = try raw.response()
            guard case .error(let error) = response.message else { Issue.record("\(response.message)"); return }
            #expect(error.code == .malformedMessage && !error.isFatal)
            #expect(response.id == number || response.id == 0)
        }
        let handle = try raw.make("test/Echo-v0") { $0.settings.options = ["space": .text("text")] }
        _ = try raw.ask(.reset(ResetParameters()), handle: handle)
        let value = field(2, [UInt8(ascii: "a"), 0, UInt8(ascii: "b")])
        let step = field(1, field(2, field(1, value)))
        try raw.send(body: field(1, varint: 43) + field(2, varint: UInt64(handle)) + field(3, step))
        #expect(try raw.error().code == .malformedMessage)
    }

    @Test("Log lines quote what clients say") func log() throws {
        let lines = Lines()
        let running = try RunningServer {
            $0.logger = Logger(label: "test") { _ in lines }
            $0.logger.logLevel = .trace
        }
        let raw = try running.raw(hello: false)
        var hello = Hello()
        hello.clientName = "evil\n2026-11-28 error: all is lost\u{1B}[2J\u{202E}"
        _ = try raw.ask(.hello(hello))
        try raw.send(.make(MakeParameters(id: "no\nsuch\r\u{7}", settings: .init())))
        _ = try raw.error()
        let written = lines.all
        #expect(written.contains { $0.contains("evil") } && written.contains { $0.contains("such") })
        #expect(!written.contains { line in line.unicodeScalars.contains { $0.value < 0x20 || $0.value == 0x202E } })
    }

    // MARK: The socket's file

    @Test("X1: who may reach the socket") func access() throws {
        func mode(_ configure: (inout ServerConfiguration) -> Void) throws -> Int? {
            let running = try RunningServer(configure)
            return try FileManager.default.attributesOfItem(atPath: running.path)[.posixPermissions] as? Int
        }
        #expect(try mode { _ in } == 0o600)
        #expect(try mode { $0.allowedUsers.insert(geteuid() + 1) } == 0o666)
        #expect(try mode { $0.socketGroup = getegid() } == 0o660)
    }

    @Test("A lock that somebody holds does not keep a server from starting") func heldLock() throws {
        let folder = try temporaryFolder()
        defer { try? FileManager.default.removeItem(at: folder) }
        let held = open(folder.path, O_RDONLY | O_DIRECTORY)
        defer { close(held) }
        #expect(flock(held, LOCK_EX) == 0)
        let path = folder.appendingPathComponent("socket").path
        let server = try Server(registry: EnvironmentRegistry(), path: path)
        #expect(FileManager.default.fileExists(atPath: path))
        server.stop(reason: "done")
        #expect(!FileManager.default.fileExists(atPath: path))
    }

    @Test("A server that accepts nobody is there all the same") func fullBacklog() throws {
        let folder = try temporaryFolder()
        defer { try? FileManager.default.removeItem(at: folder) }
        let path = folder.appendingPathComponent("socket").path
        let listener = try UnixSocket.listen(at: path, backlog: 0)
        var waiting: [UnixSocket] = []
        waiting.append(try UnixSocket.connect(to: path))
        // The next one could not even wait; whoever looks must not either.
        #expect(try UnixSocket.isServed(path))
        #expect(throws: ServerStartError.alreadyServed(path)) {
            _ = try Server(registry: EnvironmentRegistry(), path: path)
        }
        withExtendedLifetime((listener, waiting)) {}
    }

    @Test("A server beside its clients in one process starts, stops, and leaves nothing") func embedded() throws {
        for _ in 0..<8 {
            let server = try Server(registry: TestEnvironments.registry)
            try server.start()
            let path = server.path
            let connection = try Connection(path: path)
            let batch = try connection.make("test/Counting-v0", count: 2)
            #expect(batch.transport == .sharedMemory)
            try batch.reset()
            try batch.step()
            server.stop(reason: "done")
            #expect(!FileManager.default.fileExists(atPath: path))
            #expect(!FileManager.default.fileExists(atPath: (path as NSString).deletingLastPathComponent))
            #expect(throws: GymError.self) { try connection.ping() }
        }
    }

    // MARK: The time of steps

    @Test("M34: how long steps took, when it was asked for", arguments: Transport.allCases, AutoresetMode.allCases)
    func stepTime(transport: Transport, autoreset: AutoresetMode) throws {
        let running = try RunningServer { $0.threads = 2 }
        let connection = try running.connect()
        var parameters = MakeParameters(
            id: "test/Slow-v0",
            settings: .init(count: 3, autoreset: autoreset, timeLimit: autoreset == .disabled ? .unlimited : .steps(2)))
        parameters.transport = transport
        #expect(try connection.make(parameters).results.stepNanoseconds == nil)
        parameters.wantsStepTime = true
        let batch = try connection.make(parameters)
        try batch.reset()
        for row in 0..<3 { batch.actions.elements(as: Int64.self)[row] = row == 1 ? 3 : 0 }
        for _ in 0..<4 {
            try batch.step()
            let times = try #require(batch.results.stepNanoseconds)
            #expect(times.allSatisfy { $0 >= 0 })
        }
        // Both have slept, but for steps that only reset.
        try batch.reset()
        try batch.step()
        #expect(batch.results.stepNanoseconds![1] >= 3_000_000)
        guard transport == .socket else { return }
        try batch.send(environments: [1])
        #expect(try batch.receive(1) == [1])
        #expect(batch.results.stepNanoseconds![1] >= 0)
    }

    @Test("Misuse of the client library is an error that says what to do") func misuse() throws {
        let running = try RunningServer()
        let connection = try running.connect()
        func text(_ body: () throws -> Void) -> String {
            do { try body() } catch GymError.misuse(let message) { return message } catch { return "other: \(error)" }
            return ""
        }
        #expect(text { _ = try connection.make("test/Counting-v0", count: 0) }.contains("ask for 1"))
        #expect(text { _ = try connection.make("test/Counting-v0", count: -3) }.contains("ask for 1"))
        #expect(text { _ = try connection.make("test/Counting-v0", timeLimit: .steps(0)) }.contains("1 step"))
        for transport in Transport.allCases {
            let batch = try connection.make("test/Counting-v0", transport: transport)
            try batch.reset()
            #expect(text { try batch.receiveStep() }.contains("sendStep()"))
            try batch.sendStep()
            #expect(text { try batch.sendStep() }.contains("receiveStep()"))
            try batch.receiveStep()
            #expect(batch.results.observation.elements(as: Int64.self)[0] == 1)
            #expect(text { _ = try batch.receive(-1) }.contains("1 or more"))
        }
    }
}

/// test/Bulky-v0: its state and its picture take a mebibyte each; it counts how many were asked for.
private final class Bulky: Sendable {
    static let size = 1 << 20
    let count = Atomic(0)

    var registry: EnvironmentRegistry {
        var registry = EnvironmentRegistry()
        registry.register(
            EnvironmentSpec(id: "test/Bulky-v0", summary: "Takes much room.", renderModes: ["rgb_array"])
        ) { [self] _ in BulkyEnvironment(bulky: self) }
        return registry
    }
}

private struct BulkyEnvironment: RestorableEnvironment, RenderableEnvironment, Sendable {
    let bulky: Bulky
    let observationSpace = Space.discrete(count: 2)
    let actionSpace = Space.discrete(count: 2)
    static let stateVersion = 1

    mutating func reset(options: OptionValues, generator: inout NumPyGenerator, observation: ObservationWriter) throws {
        observation.store([Int64(0)])
    }

    mutating func step(
        action: ActionReader, generator: inout NumPyGenerator, observation: ObservationWriter
    ) throws -> StepResult {
        observation.store([Int64(0)])
        return StepResult(reward: 0, terminated: false)
    }

    mutating func render(mode: String) throws -> Rendering {
        bulky.count.add(1, ordering: .relaxed)
        return .image(Tensor(zeros: [Bulky.size / 768, 256, 3], dtype: .uint8))
    }

    func save(to writer: inout StateWriter) {
        bulky.count.add(1, ordering: .relaxed)
        writer.write(array: [UInt8](repeating: 0, count: Bulky.size))
    }

    mutating func restore(from reader: inout StateReader) throws { _ = try reader.readArray(of: UInt8.self) }
}

/// A log that is kept.
private struct Lines: LogHandler {
    private final class Kept: Sendable { let lines = Mutex<[String]>([]) }

    private let kept = Kept()
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.trace

    var all: [String] { kept.lines.withLock { $0 } }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let all = metadata.merging(event.metadata ?? [:]) { $1 }
        kept.lines.withLock { $0.append("\(event.message) \(all.map { "\($0)=\($1)" }.joined(separator: " "))") }
    }
}
