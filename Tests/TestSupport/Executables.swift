import Foundation

/// A built executable of the package: beside the tests, or in the folder that `SWIFT_GYM_BIN` names.
public struct Executable: Sendable {
    /// The program's path.
    public let path: String

    /// The executable of the given name.
    public init(_ name: String) {
        let beside = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent().path
        path = (ProcessInfo.processInfo.environment["SWIFT_GYM_BIN"] ?? beside) + "/" + name
    }

    /// Starts the program with its output going to files that are read when it has ended.
    public func start(_ arguments: [String], through wrapper: [String] = []) throws -> RunningProcess {
        try RunningProcess(wrapper + [path] + arguments)
    }

    /// Runs the program to its end.
    ///
    /// - Parameter wrapper: a program and its arguments that run it, such as `taskset -c 0`.
    public func run(_ arguments: [String], through wrapper: [String] = []) throws -> FinishedProcess {
        try start(arguments, through: wrapper).finish()
    }
}

/// What a process left.
public struct FinishedProcess: Sendable {
    /// Its exit code; minus the signal's number when one ended it.
    public let status: Int32
    /// Its standard output.
    public let output: String
    /// Its standard error.
    public let errors: String
}

/// A process under way.
public final class RunningProcess {
    private let process = Process()
    private let input = Pipe()
    private let folder: URL

    /// Seconds after which a process that does not end is killed: many times what any test's takes.
    private static let patience = 300.0

    /// Starts `command[0]`, found on `PATH` unless it is a path, with the rest as its arguments.
    public init(_ command: [String]) throws {
        folder = try temporaryFolder()
        for name in ["output", "errors"] {
            _ = FileManager.default.createFile(atPath: folder.appendingPathComponent(name).path, contents: nil)
        }
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = command
        process.standardInput = input
        process.standardOutput = try FileHandle(forWritingTo: folder.appendingPathComponent("output"))
        process.standardError = try FileHandle(forWritingTo: folder.appendingPathComponent("errors"))
        try process.run()
    }

    /// Starts a shell's command on a terminal of its own.
    public convenience init(onTerminal command: String) throws {
        // `script` takes the shell that the environment names, whatever that is.
        try self.init(["SHELL=/bin/sh", "script", "-qec", command, "/dev/null"])
    }

    deinit { try? FileManager.default.removeItem(at: folder) }

    /// Its process id.
    public var identifier: Int32 { process.processIdentifier }

    /// What it has printed so far.
    public var output: String { text("output") }

    /// What it has written to standard error so far.
    public var errors: String { text("errors") }

    /// Writes to its standard input.
    ///
    /// - Throws: when it has ended: without the signal that would end this process, too.
    public func write(_ text: String) throws {
        try withoutBrokenPipes { try input.fileHandleForWriting.write(contentsOf: Data(text.utf8)) }
    }

    /// Sends it a signal.
    public func signal(_ number: Int32) { kill(process.processIdentifier, number) }

    /// Waits until it ends.
    public func finish() throws -> FinishedProcess {
        let deadline = Date().addingTimeInterval(RunningProcess.patience)
        while process.isRunning {
            if Date() > deadline { kill(process.processIdentifier, SIGKILL) }
            usleep(5_000)
        }
        process.waitUntilExit()
        let wasKilled = process.terminationReason == .uncaughtSignal
        return FinishedProcess(
            status: wasKilled ? -process.terminationStatus : process.terminationStatus, output: text("output"),
            errors: text("errors"))
    }

    private func text(_ name: String) -> String {
        (try? String(contentsOf: folder.appendingPathComponent(name), encoding: .utf8)) ?? ""
    }
}

private func withoutBrokenPipes(_ body: () throws -> Void) rethrows {
    let before = signal(SIGPIPE, SIG_IGN)
    defer { signal(SIGPIPE, before) }
    try body()
}

/// A new folder with a path short enough for a socket in it.
public func temporaryFolder() throws -> URL {
    var template = Array("/tmp/swift-gym-test-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO) }
    return URL(fileURLWithPath: String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self))
}

/// Waits until something is so.
///
/// - Returns: whether it became so within the given seconds.
public func eventually(within seconds: Double = 60, _ condition: () -> Bool) -> Bool {
    let deadline = Date().addingTimeInterval(seconds)
    while Date() < deadline {
        if condition() { return true }
        usleep(5_000)
    }
    return condition()
}
