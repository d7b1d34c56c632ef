import ArgumentParser
import CommandLineSupport
import ConformanceEnvironments
import Foundation
import GymEnvironments
import GymProtocol
import GymServer
import Logging

/// `gym-server serve`: serves until it is told to end.
struct ServeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Serves until SIGINT, SIGTERM or SIGHUP.",
        discussion: "Prints 'listening on unix:PATH' on standard output once clients can connect.")

    @Option(help: "The socket to listen on. A file that an ended server left behind is replaced.")
    var socket: String

    @Option(
        parsing: .unconditional,
        help: "Threads that step a large batch together. Results do not depend on it. (default: all cores)")
    var threads: Int?

    @Option(parsing: .unconditional, help: "Connections at a time.")
    var maxConnections = Limits().maxConnections

    @Option(parsing: .unconditional, help: "Handles of a connection.")
    var maxHandles = Limits().maxHandles

    @Option(parsing: .unconditional, help: "Environments of a connection.")
    var maxEnvironments = Limits().maxEnvironments

    @Option(parsing: .unconditional, help: "Bytes of a frame's body.")
    var maxFrameBytes = Limits().maxFrameBytes

    @Option(parsing: .unconditional, help: "Requests of a connection that may wait for their answers.")
    var maxPendingRequests = Limits().maxPendingRequests

    @Option(
        parsing: .unconditional,
        help: "Bytes that a connection has the server keep: environments, buffers, requests and answers that wait.")
    var maxMemoryBytes = Limits().maxMemoryBytes

    @Option(
        parsing: .unconditional,
        help: "The same, of all connections together. (default: three quarters of the machine's memory)")
    var maxServerMemoryBytes: Int?

    @Option(
        parsing: .unconditional,
        help: """
            Threads of the server, at least as many as connections and --threads need. (default: those and a thousand \
            more)
            """)
    var maxThreads: Int?

    @Option(
        parsing: .unconditional, help: "Seconds after which a connection that asks for nothing is closed; 0: never.")
    var idleTimeout = 0

    @Option(
        help: """
            Another user id that may connect; may be given several times. The socket can then be reached by everybody, \
            or by --socket-group, and who is not allowed is refused. (default: the server's own user alone)
            """)
    var allowUser: [UInt32] = []

    @Option(help: "The group that the socket is given to, by name or number, so that its members can reach it.")
    var socketGroup: String?

    @Option(help: "A file whose first line is a token that clients have to present.")
    var tokenFile: String?

    @Flag(help: "Let clients end the server.")
    var allowShutdown = false

    @Flag(help: "Serve the environments of the conformance suite as well.")
    var conformance = false

    @Flag(help: "End when standard input ends: with whoever started the server.")
    var untilEof = false

    @Flag(help: "Remove the socket's folder too when the server ends, if it is empty then.")
    var removeFolder = false

    @Option(help: "How much to log to standard error: trace, debug, info, notice, warning, error, critical.")
    var logLevel: Logger.Level = .warning

    func validate() throws {
        func require(_ value: Int, _ range: ClosedRange<Int>, _ option: String) throws {
            guard range.contains(value) else {
                throw ValidationError(
                    "--\(option) is \(value); it has to be from \(range.lowerBound) to \(range.upperBound)")
            }
        }
        try require(threads ?? 1, 1...1024, "threads")
        try require(maxConnections, 1...1_000_000, "max-connections")
        try require(maxHandles, 1...1_000_000, "max-handles")
        try require(maxEnvironments, 1...Int(UInt32.max), "max-environments")
        try require(maxFrameBytes, 4096...Int(UInt32.max), "max-frame-bytes")
        try require(maxPendingRequests, 1...1_000_000, "max-pending-requests")
        try require(maxMemoryBytes, 1 << 20...Int.max, "max-memory-bytes")
        try require(maxServerMemoryBytes ?? 1 << 20, 1 << 20...Int.max, "max-server-memory-bytes")
        try require(maxThreads ?? 1, 1...1_000_000, "max-threads")
        try require(idleTimeout, 0...Int(Int32.max), "idle-timeout")
    }

    func run() throws {
        // Writing to a client that has gone is an error to handle, not a reason to end.
        signal(SIGPIPE, SIG_IGN)
        raiseDescriptorLimit()
        // Before there are other threads: they leave the signals to the one that waits for them.
        let signals = EndSignals()
        let server: Server
        var registry = GymEnvironments.registry
        if conformance { ConformanceEnvironments.register(in: &registry) }
        do {
            server = try Server(
                registry: registry, path: socket, configuration: try serverConfiguration())
        } catch let error as SocketPathError {
            throw ValidationError("--socket: \(error)")
        } catch let error as ValidationError {
            throw error
        } catch {
            StandardStreams.error("gym-server: \(error)")
            throw ExitCode(1)
        }
        signals.wait { server.stop(reason: $0, waits: false) }
        if untilEof { stopAtEndOfInput(server) }
        StandardStreams.print("listening on unix:\(socket)")
        server.run()
        if removeFolder { rmdir(URL(fileURLWithPath: socket).deletingLastPathComponent().path) }
    }

    private func serverConfiguration() throws -> ServerConfiguration {
        var logger = Logger(label: "gym-server") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = logLevel
        var configuration = ServerConfiguration(logger: logger)
        if let threads { configuration.threads = threads }
        configuration.limits.maxConnections = maxConnections
        configuration.limits.maxHandles = maxHandles
        configuration.limits.maxEnvironments = maxEnvironments
        configuration.limits.maxFrameBytes = maxFrameBytes
        configuration.limits.maxPendingRequests = maxPendingRequests
        configuration.limits.maxMemoryBytes = maxMemoryBytes
        configuration.limits.idleTimeoutSeconds = idleTimeout
        configuration.limits.maxServerMemoryBytes = maxServerMemoryBytes ?? 0
        configuration.limits.maxThreads = maxThreads ?? 0
        configuration.allowedUsers.formUnion(allowUser)
        configuration.socketGroup = try socketGroup.map(ServeCommand.group)
        configuration.allowsShutdown = allowShutdown
        if let tokenFile {
            guard let text = try? String(contentsOfFile: tokenFile, encoding: .utf8) else {
                throw ValidationError("--token-file: \(tokenFile) cannot be read")
            }
            // With an empty one everybody would be let in.
            guard let token = text.split(whereSeparator: \.isNewline).first else {
                throw ValidationError("--token-file: \(tokenFile) is empty; its first line is the token")
            }
            configuration.token = String(token)
        }
        return configuration
    }

    private static func group(_ name: String) throws -> UInt32 {
        if let number = UInt32(name) { return number }
        guard let entry = getgrnam(name) else {
            throw ValidationError("--socket-group: there is no group \(name)")
        }
        return entry.pointee.gr_gid
    }

    private func stopAtEndOfInput(_ server: Server) {
        // A thread of its own: it waits for as long as the server runs.
        Thread.detachNewThread {
            while let data = try? FileHandle.standardInput.read(upToCount: 4096), !data.isEmpty {}
            server.stop(reason: "standard input ended", waits: false)
        }
    }
}

/// SIGINT, SIGTERM and SIGHUP, which a thread waits for: all that it needs is there before the server says that it listens,
/// where dispatch sources open descriptors and start threads when they come to it.
private struct EndSignals: Sendable {
    private static let names: [Int32: String] = [SIGINT: "SIGINT", SIGTERM: "SIGTERM", SIGHUP: "SIGHUP"]

    private let set: sigset_t

    /// Keeps the signals back, in this thread and in those that it starts.
    init() {
        var set = sigset_t()
        sigemptyset(&set)
        for number in EndSignals.names.keys {
            var action = sigaction()
            sigaction(number, nil, &action)
            let isIgnored = unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self) == 1
            // Whoever starts a server with nohup wants it to outlive the terminal.
            if number == SIGHUP && isIgnored { continue }
            // What is ignored, as SIGINT is in a shell's background, could not be waited for.
            signal(number, SIG_DFL)
            sigaddset(&set, number)
        }
        pthread_sigmask(SIG_BLOCK, &set, nil)
        self.set = set
    }

    /// Calls `body` with the name of each signal that comes, on a thread of its own.
    func wait(_ body: @escaping @Sendable (String) -> Void) {
        Thread.detachNewThread { [set] in
            var set = set
            var number: Int32 = 0
            while true {
                guard sigwait(&set, &number) == 0 else { continue }
                body(EndSignals.names[number] ?? "a signal")
            }
        }
    }
}

extension Logger.Level: @retroactive ExpressibleByArgument {}
