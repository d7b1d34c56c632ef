import Foundation
import GymClient
import GymCore
import GymProtocol
import TestSupport
import Testing

/// `gym-server` as a process: where being one is the point.
@Suite(.serialized) struct ServerProcessTests {
    @Test("Killed: a typed error within a second", arguments: Transport.allCases) func killed(transport: Transport)
        throws
    {
        let process = try ServerProcess()
        let connection = try Connection(path: process.path)
        let batch = try connection.make("CartPole-v1", transport: transport)
        try batch.reset(seeds: [1])
        try batch.step()
        // An unread answer must not hide that the server has gone.
        _ = try? connection.make("CartPole-v1", transport: transport)
        kill(process.processIdentifier, SIGKILL)
        #expect(throws: GymError.self) { while true { try batch.step() } }
        #expect(throws: GymError.self) { try connection.ping() }
    }

    @Test("SIGTERM and SIGINT remove the socket and exit 0", arguments: [SIGTERM, SIGINT]) func signals(number: Int32)
        throws
    {
        let server = try Serving()
        let connection = try Connection(path: server.path)
        let batch = try connection.make("CartPole-v1", transport: .sharedMemory)
        try batch.reset()
        try batch.step()
        kill(server.process.processIdentifier, number)
        #expect(try server.exitCode() == 0)
        #expect(!FileManager.default.fileExists(atPath: server.path))
        let error = #expect(throws: GymError.self) { try connection.ping() }
        #expect("\(error!)".contains("shutting down"))
    }

    @Test("--until-eof ends with standard input") func untilEndOfInput() throws {
        let server = try Serving(["--until-eof"])
        try server.input.fileHandleForWriting.close()
        #expect(try server.exitCode() == 0)
        #expect(!FileManager.default.fileExists(atPath: server.path))
    }

    @Test("The socket: its owner's alone, stale ones replaced, live ones refused with exit code 1") func socketFile()
        throws
    {
        let first = try Serving()
        #expect(try FileManager.default.attributesOfItem(atPath: first.path)[.posixPermissions] as? Int == 0o600)
        let second = try Serving(at: first.path, waits: false)
        #expect(try second.exitCode() == 1)
        #expect(second.errors.contains("a server already listens at unix:\(first.path)"))
        try Connection(path: first.path).ping()
        kill(first.process.processIdentifier, SIGKILL)
        _ = try first.exitCode()
        #expect(FileManager.default.fileExists(atPath: first.path))
        let third = try Serving(at: first.path)
        try Connection(path: third.path).ping()
        third.process.terminate()
        #expect(try third.exitCode() == 0)
        withExtendedLifetime(first) {}
    }

    @Test(
        "Bad arguments: exit code 2, and what would be right",
        arguments: [
            ["--max-connections", "0"], ["--max-frame-bytes", "1"], ["--threads", "x"], ["--frobnicate"],
            ["--threads", "-1"], ["--token-file", "/dev/null"],
        ])
    func badArguments(arguments: [String]) throws {
        let server = try Serving(arguments, waits: false)
        #expect(try server.exitCode() == 2)
        #expect(server.errors.contains(arguments[0]))
    }

    @Test("Descriptors run out: whoever connects is told, whoever is connected goes on") func descriptors() throws {
        let server = try Serving(descriptors: 40)
        let witness = try Connection(path: server.path)
        var others: [Connection] = []
        var refusal: WireError?
        while refusal == nil && others.count < 60 {
            do {
                others.append(try Connection(path: server.path))
            } catch GymError.refused(let error) {
                refusal = error
            }
        }
        #expect(refusal?.code == .tooManyConnections)
        #expect(others.count > 20)
        try witness.ping()
        try witness.make("CartPole-v1").reset()
        others = []
        // The server notices in its own time that they have gone.
        #expect(eventually { (try? Connection(path: server.path).ping()) != nil })
    }
}

/// A `gym-server serve` that is looked at from outside.
private final class Serving {
    let process = Process()
    let input = Pipe()
    let path: String
    /// The socket's, unless it is another one's.
    private let folder: URL?
    private let output = Pipe()
    private let errorOutput = Pipe()

    init(
        _ arguments: [String] = [], at path: String? = nil, waits: Bool = true, descriptors: Int? = nil
    ) throws {
        folder = path == nil ? try temporaryFolder() : nil
        let chosen = path ?? folder!.appendingPathComponent("socket").path
        self.path = chosen
        let program: URL = try #require(ServerProcess.find("gym-server"), "gym-server lies beside the tests")
        process.executableURL = program
        process.arguments = ["serve", "--socket", chosen] + arguments
        if let descriptors {
            process.executableURL = URL(fileURLWithPath: "/bin/sh")
            process.arguments = [
                "-c", "ulimit -n \(descriptors); exec \"$0\" serve --socket \"$1\"", program.path, chosen,
            ]
        }
        process.standardInput = input
        process.standardOutput = output
        process.standardError = errorOutput
        try process.run()
        if waits {
            let line = output.fileHandleForReading.availableData
            #expect(String(decoding: line, as: UTF8.self) == "listening on unix:\(chosen)\n")
        }
    }

    deinit {
        if process.isRunning { kill(process.processIdentifier, SIGKILL) }
        if let folder { try? FileManager.default.removeItem(at: folder) }
    }

    /// The exit code, once it has ended.
    func exitCode() throws -> Int32 {
        try #require(eventually { !process.isRunning }, "the server did not end")
        return process.terminationStatus
    }

    /// What it wrote to standard error, once it has ended.
    lazy var errors = String(decoding: errorOutput.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
}
