import Conformance
import ConformanceEnvironments
import Foundation
import FoundationXML
import GymCore
import GymEnvironments
import ServerTestSupport
import TestSupport
import Testing

/// The command as a stranger meets it: with servers that are right, gone, silent or out of their mind.
@Suite("gym-conformance", .serialized)
struct CommandTests {
    private static let command = Executable("gym-conformance")

    @Test("a right server: exit code 0, a line a check, and the same in JSON and JUnit's XML")
    func passes() throws {
        let server = try RunningServer(registry: CommandTests.registry) { $0.limits.maxConnections = 64 }
        let folder = try temporaryFolder()
        defer { try? FileManager.default.removeItem(at: folder) }
        let (xml, json) = (folder.appendingPathComponent("xml"), folder.appendingPathComponent("json"))
        let done = try CommandTests.run(
            ["--server", "unix:\(server.path)", "--level", "core", "--level", "Vector", "--environment", "CartPole-v1"]
                + ["--timeout", "60", "--junit", xml.path, "--json", json.path])
        #expect(done.status == 0, "\(done.errors)")
        let checks = Check.all.filter { [.core, .vector].contains($0.level) }
        let lines = done.output.split(separator: "\n")
        #expect(lines.count == checks.count + 1)
        #expect(lines.dropLast().allSatisfy { $0.hasPrefix("ok    ") || $0.hasPrefix("skip  ") })
        #expect(lines.last?.hasPrefix("\(checks.count) checks of ") == true, "\(lines.last ?? "")")
        let report = try JSONSerialization.jsonObject(with: Data(contentsOf: json)) as? [String: Any]
        #expect((report?["checks"] as? [Any])?.count == checks.count)
        #expect(report?["failed"] as? Int == 0)
        let counts = try JUnitCounts(contentsOf: xml)
        #expect((counts.tests, counts.failures, counts.isWellFormed) == (checks.count, 0, true))
        #expect(counts.skipped == report?["skipped"] as? Int)
    }

    @Test("a wrong server: exit code 1, what was expected, what came, and the clause")
    func fails() throws {
        let server = try RunningServer(registry: CommandTests.registry)
        let proxy = try MutatingProxy(path: server.path + ".proxy", upstream: server.path) {
            let mutation = Mutation()
            mutation.response = { response, _ in
                response.change("error") { $0.set("message", "\u{1B}[31m<\"&") }
                return .forward
            }
            return mutation
        }
        defer { proxy.end() }
        let folder = try temporaryFolder()
        defer { try? FileManager.default.removeItem(at: folder) }
        let xml = folder.appendingPathComponent("xml")
        let done = try CommandTests.run(
            ["--server", "unix:\(proxy.path)", "--check", "make.unknown-environment", "--timeout", "60"]
                + ["--junit", xml.path])
        #expect(done.status == 1)
        #expect(
            done.output.hasPrefix(
                "FAIL  Core make.unknown-environment (M5): the message for 'CartPole-v': expected the nearest id, "
                    + "CartPole-v1, got "), "\(done.output)")
        #expect(done.output.contains("\n          came Response { "))
        let counts = try JUnitCounts(contentsOf: xml)
        #expect((counts.tests, counts.failures, counts.isWellFormed) == (1, 1, true))
    }

    @Test(
        "wrong usage: exit code 2, and the argument is named",
        arguments: [
            (["--level", "Core"], "--server"), (["--server", "/tmp/socket"], "--server"),
            (["--list", "--level", "Kernel"], "--level"), (["--list", "--check", "step.nothing"], "--check"),
            (["--list", "--check", "step.info", "--level", "State"], "--check"),
            (["--list", "--timeout", "-1"], "--timeout"), (["--list", "--colour"], "--colour"),
        ])
    func usage(arguments: [String], name: String) throws {
        let done = try CommandTests.run(arguments)
        #expect(done.status == 2)
        #expect(done.errors.contains(name), "\(done.errors)")
    }

    @Test("an environment that the server does not have is wrong usage, and those that it has are named")
    func unknownEnvironment() throws {
        let server = try RunningServer(registry: CommandTests.registry)
        let done = try CommandTests.run(["--server", "unix:\(server.path)", "--environment", "CartPole-v9"])
        #expect(done.status == 2)
        #expect(done.errors.contains("--environment") && done.errors.contains("CartPole-v1"), "\(done.errors)")
    }

    @Test("an environment that is slow for a purpose is not for all checks: exit code 2, and why")
    func slowEnvironment() throws {
        let server = try RunningServer(registry: CommandTests.registry)
        let done = try CommandTests.run(["--server", "unix:\(server.path)", "--environment", "conformance/Slow-v0"])
        #expect(done.status == 2)
        #expect(done.errors.contains("conformance/Slow-v0 takes as long as its actions say"), "\(done.errors)")
    }

    @Test("a version that the suite does not speak: exit code 2, and which it does", arguments: ["1.2", "2.0", "x"])
    func unknownVersion(version: String) throws {
        let done = try CommandTests.run(["--server", "unix:/nowhere", "--protocol", version])
        #expect(done.status == 2)
        #expect(done.errors.contains("--protocol is '\(version)'; it has to be 1.0 to 1.1"), "\(done.errors)")
    }

    @Test("--list names every check with its level and clauses")
    func list() throws {
        let done = try CommandTests.run(["--list"])
        #expect(done.status == 0)
        #expect(done.output.split(separator: "\n").count == Check.all.count)
        #expect(done.output.contains("Core reset.seed-zero-is-a-seed (M15)\n"))
    }

    @Test("no server: exit code 1 at once, and reports in which nothing has passed")
    func nobody() throws {
        let folder = try temporaryFolder()
        defer { try? FileManager.default.removeItem(at: folder) }
        let xml = folder.appendingPathComponent("xml")
        let done = try CommandTests.run(["--server", "unix:\(folder.path)/nobody", "--junit", xml.path, "--json", "-"])
        #expect(done.status == 1)
        #expect(done.errors.contains("connect \(folder.path)/nobody: No such file or directory"), "\(done.errors)")
        let counts = try JUnitCounts(contentsOf: xml)
        #expect((counts.tests, counts.failures) == (Check.all.count, Check.all.count))
        let report = try JSONSerialization.jsonObject(with: Data(done.output.utf8)) as? [String: Any]
        #expect(report?["failed"] as? Int == Check.all.count)
    }

    @Test("a server that never answers: exit code 1, and it says what was waited for")
    func silent() throws {
        let server = try FakeServer { _ in true }
        let done = try CommandTests.run(["--server", "unix:\(server.path)", "--timeout", "0.2"])
        #expect(done.status == 1)
        #expect(done.errors.contains("does not answer a hello"), "\(done.errors)")
    }

    @Test("a server that sends noise, much of it: exit code 1, and it says what came")
    func noise() throws {
        var random = NumPyGenerator(seed: 5)
        let noise = (0..<(1 << 16)).map { _ in UInt8(random.integer(in: 0..<256)) }
        let server = try FakeServer { connection in
            noise.withUnsafeBytes { send(connection, $0.baseAddress!, $0.count, Int32(MSG_NOSIGNAL)) >= 0 }
        }
        let done = try CommandTests.run(["--server", "unix:\(server.path)", "--timeout", "1"])
        #expect(done.status == 1)
        #expect(done.errors.hasPrefix("gym-conformance: unix:\(server.path): "), "\(done.errors)")
        #expect(done.errors.contains("F2") || done.errors.contains("bytes"), "\(done.errors)")
    }

    @Test("a server that sends notices without end is not listened to for ever")
    func notices() throws {
        let notice = [UInt8](Conformance.RawConnection.frame([], kind: 3))
        let notices = (0..<1000).flatMap { _ in notice }
        let server = try FakeServer { connection in
            notices.withUnsafeBytes { send(connection, $0.baseAddress!, $0.count, Int32(MSG_NOSIGNAL)) >= 0 }
        }
        let done = try CommandTests.run(["--server", "unix:\(server.path)", "--timeout", "0.1"])
        #expect(done.status == 1)
        #expect(done.errors.contains("does not answer a hello"), "\(done.errors)")
    }

    @Test("a server that dies in the middle: the rest is not tried, and the report says so")
    func dies() throws {
        let server = try RunningServer(registry: CommandTests.registry)
        let served = Counter()
        let proxy = try MutatingProxy(path: server.path + ".proxy", upstream: server.path) {
            let mutation = Mutation()
            mutation.request = { _, _ in
                // In the middle of a check: no answer, and nobody there any more.
                if served.next() == 100 { Thread.detachNewThread { _ = server.end() } }
                return .forward
            }
            return mutation
        }
        defer { proxy.end() }
        let done = try CommandTests.run(["--server", "unix:\(proxy.path)", "--timeout", "20"])
        #expect(done.status == 1)
        #expect(done.output.contains("after it, the server does not even answer a hello"), "\(done.output.suffix(500))")
        #expect(done.output.contains("not tried, since the server did not answer a hello any more"))
        #expect(done.output.split(separator: "\n").last?.contains(" of them not tried)") == true)
    }

    @Test("a server that answers hellos alone: the time that is spent on it is bounded")
    func hellosOnly() throws {
        let server = try RunningServer(registry: CommandTests.registry)
        let proxy = try MutatingProxy(path: server.path + ".proxy", upstream: server.path) {
            let mutation = Mutation()
            mutation.request = { request, _ in request.has("hello") || request.has("list") ? .forward : .drop }
            return mutation
        }
        defer { proxy.end() }
        let done = try CommandTests.run(["--server", "unix:\(proxy.path)", "--timeout", "0.5"])
        #expect(done.status == 1)
        // On a machine that is too busy for hellos as well, that is what is said.
        #expect(
            done.output.contains("not tried, since ") || done.errors.contains("does not answer a hello"),
            "\(done.output.suffix(500))")
    }

    @Test(
        "a server whose answers have bytes that are wrong: failures, and no crash",
        arguments: 1...4 as ClosedRange<UInt64>)
    func spoilt(seed: UInt64) throws {
        let server = try RunningServer(registry: CommandTests.registry)
        let random = RandomBytes(seed: seed)
        let proxy = try MutatingProxy(path: server.path + ".proxy", upstream: server.path) {
            let mutation = Mutation()
            mutation.bytes = random.spoil
            return mutation
        }
        defer { proxy.end() }
        let done = try CommandTests.run(
            ["--server", "unix:\(proxy.path)", "--timeout", "0.2", "--environment", "conformance/Counter-v0"]
                + ["vector", "state", "render", "sharedmemory"].flatMap { ["--level", $0] })
        #expect(done.status == 1, "\(done.errors.suffix(2000))")
    }

    private static func run(_ arguments: [String]) throws -> FinishedProcess { try command.run(arguments) }

    private static var registry: EnvironmentRegistry {
        var registry = EnvironmentRegistry()
        registry.register(CartPole.spec) { CartPole(options: $0) }
        ConformanceEnvironments.register(in: &registry)
        return registry
    }
}

/// What JUnit's XML says.
private final class JUnitCounts: NSObject, XMLParserDelegate {
    var tests = 0
    var failures = 0
    var skipped = 0
    var isWellFormed = false

    init(contentsOf url: URL) throws {
        super.init()
        let parser = XMLParser(data: try Data(contentsOf: url))
        parser.delegate = self
        isWellFormed = parser.parse()
    }

    func parser(
        _: XMLParser, didStartElement name: String, namespaceURI _: String?, qualifiedName _: String?,
        attributes _: [String: String]
    ) {
        switch name {
        case "testcase": tests += 1
        case "failure": failures += 1
        case "skipped": skipped += 1
        default: break
        }
    }
}

/// Spoils a byte or two in every tenth frame after the first ones, hardly ever in its header.
private final class RandomBytes: Sendable {
    private let lock = NSLock()
    nonisolated(unsafe) private var random: NumPyGenerator
    nonisolated(unsafe) private var frames = 0

    init(seed: UInt64) { random = NumPyGenerator(seed: seed) }

    func spoil(_ frame: inout [UInt8]) {
        lock.lock()
        defer { lock.unlock() }
        frames += 1
        guard frames > 2, random.integer(in: 0..<10) == 0, frame.count > 8 else { return }
        for _ in 0..<random.integer(in: 1..<3) {
            let first = random.integer(in: 0..<50) == 0 ? 0 : 8
            frame[random.integer(in: first..<frame.count)] = UInt8(random.integer(in: 0..<256))
        }
    }
}

/// Counts over all connections.
private final class Counter: Sendable {
    private let lock = NSLock()
    nonisolated(unsafe) private var count = 0

    func next() -> Int {
        lock.withLock {
            count += 1
            return count
        }
    }
}

/// Takes connections, and does one thing with each again and again for as long as that says so.
private final class FakeServer: @unchecked Sendable {
    let path: String
    private let folder: URL
    private let listener: Int32

    init(_ act: @escaping @Sendable (Int32) -> Bool) throws {
        folder = try temporaryFolder()
        path = folder.appendingPathComponent("socket").path
        listener = try MutatingProxy.listen(path, mode: 0o600)
        let listener = listener
        Thread.detachNewThread {
            while true {
                let accepted = accept(listener, nil, nil)
                guard accepted >= 0 else { break }
                Thread.detachNewThread {
                    while act(accepted) {
                        var request = pollfd(fd: accepted, events: Int16(POLLIN), revents: 0)
                        var byte: UInt8 = 0
                        // Until the client has gone.
                        if poll(&request, 1, 1) > 0, recv(accepted, &byte, 1, 0) <= 0 { break }
                    }
                    close(accepted)
                }
            }
            // Not before: its number could be another's by then.
            close(listener)
        }
    }

    deinit {
        shutdown(listener, Int32(SHUT_RDWR))
        try? FileManager.default.removeItem(at: folder)
    }
}
