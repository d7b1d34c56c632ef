import Foundation
import Glibc

/// A `gym-server` of one's own: started on a private socket, and ended with its owner.
///
/// The server lives in another process. It ends when this object goes, and also when this process dies in any way: it
/// watches the pipe that is its standard input.
public final class ServerProcess {
    /// The server's socket.
    public let path: String

    private let process: Process
    private let input: Pipe
    private let folder: URL

    /// Seconds a server has to say that it listens.
    private static let startTimeout = 20.0
    /// Seconds a server has to end when told to, before it is killed.
    private static let endTimeout = 10.0

    /// Starts a server and waits until clients can connect.
    ///
    /// - Parameters:
    ///   - executable: the server's program; `nil`: the `gym-server` beside this program, or on `PATH`.
    ///   - arguments: further arguments of `gym-server serve`.
    /// - Throws: ``ServerProcessError``.
    public init(executable: URL? = nil, arguments: [String] = []) throws {
        guard let program = executable ?? ServerProcess.find("gym-server") else {
            throw ServerProcessError.notFound(besides: ServerProcess.ownFolder.path)
        }
        // A path in a private folder: nobody else can put a socket there first.
        var template = Array((NSTemporaryDirectory() + "/gym-XXXXXX").utf8CString)
        guard mkdtemp(&template) != nil else { throw ServerProcessError.failed("no temporary folder can be made") }
        folder = URL(fileURLWithPath: template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) })
        path = folder.appendingPathComponent("socket").path
        process = Process()
        input = Pipe()
        let output = Pipe()
        process.executableURL = program
        process.arguments = ["serve", "--socket", path, "--until-eof"] + arguments
        process.standardInput = input
        process.standardOutput = output
        do {
            try process.run()
        } catch {
            try? FileManager.default.removeItem(at: folder)
            throw ServerProcessError.failed("\(program.path) cannot be started: \(error.localizedDescription)")
        }
        guard ServerProcess.waitForLine("listening on unix:\(path)", from: output) else {
            end()
            throw ServerProcessError.failed(
                "\(program.path) ended, or did not say within \(Int(ServerProcess.startTimeout)) seconds that it listens"
            )
        }
    }

    deinit { end() }

    /// Ends the server and waits until it is gone. Ending again does nothing.
    public func end() {
        guard process.isRunning || FileManager.default.fileExists(atPath: folder.path) else { return }
        try? input.fileHandleForWriting.close()
        if process.isRunning { process.terminate() }
        let deadline = Date().addingTimeInterval(ServerProcess.endTimeout)
        while process.isRunning && deadline.timeIntervalSinceNow > 0 { usleep(1_000) }
        if process.isRunning { kill(process.processIdentifier, SIGKILL) }
        process.waitUntilExit()
        try? FileManager.default.removeItem(at: folder)
    }

    /// The server's process id.
    public var processIdentifier: Int32 { process.processIdentifier }

    /// The folder of this program's executable.
    public static var ownFolder: URL {
        URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
    }

    /// The program of that name beside this one, or on `PATH`.
    public static func find(_ name: String) -> URL? {
        let folders =
            [ownFolder.path]
            + (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").map(String.init)
        return folders.lazy.map { URL(fileURLWithPath: $0).appendingPathComponent(name) }
            .first { FileManager.default.isExecutableFile(atPath: $0.path) }
    }

    private static func waitForLine(_ line: String, from pipe: Pipe) -> Bool {
        let descriptor = pipe.fileHandleForReading.fileDescriptor
        let deadline = Date().addingTimeInterval(startTimeout)
        var text = ""
        var buffer = [UInt8](repeating: 0, count: 1024)
        while deadline.timeIntervalSinceNow > 0 {
            var poller = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard poll(&poller, 1, Int32(deadline.timeIntervalSinceNow * 1000)) > 0 else { continue }
            let count = read(descriptor, &buffer, buffer.count)
            if count <= 0 { return false }
            text += String(decoding: buffer[..<count], as: UTF8.self)
            if text.contains(line + "\n") { return true }
        }
        return false
    }
}

/// Why a server of one's own could not be started.
public enum ServerProcessError: Error, CustomStringConvertible {
    /// There is no `gym-server`.
    case notFound(besides: String)
    /// It did not come up.
    case failed(String)

    /// What is wrong, and what to do.
    public var description: String {
        switch self {
        case .notFound(let folder):
            "no gym-server in \(folder) or on PATH; build it with 'make build', or name a running server with --server"
        case .failed(let reason): reason
        }
    }
}
