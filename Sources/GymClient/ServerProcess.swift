public import Foundation
import Glibc

/// A `gym-server` of one's own: another process, on a socket in a folder that only this user can enter.
///
/// It ends when this object goes, and also when this process ends in any way, `kill -9` included: it watches the pipe
/// that is its standard input, and removes socket and folder itself.
public final class ServerProcess {
    /// The server's socket.
    public let path: String

    private let process = Process()
    private let input = Pipe()
    private let folder: String
    private var hasEnded = false
    /// What the server writes to its standard error: a file without a name, which goes with its last descriptor.
    private let errors: FileHandle

    /// Seconds a server has to say that it listens.
    private static let startTimeout = 20.0
    /// Seconds a server has to end when told to, before it is killed.
    private static let endTimeout = 10.0
    /// Bytes that the path of the folder for the socket may have: a socket's path may have about a hundred.
    private static let mostFolderBytes = 60
    /// Bytes of standard error that are shown.
    private static let mostErrorBytes = 4096

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
        folder = try ServerProcess.privateFolder()
        path = folder + "/socket"
        errors = try ServerProcess.namelessFile(in: folder)
        let output = Pipe()
        process.executableURL = program
        process.arguments = ["serve", "--socket", path, "--until-eof", "--remove-folder"] + arguments
        process.standardInput = input
        process.standardOutput = output
        process.standardError = errors
        do {
            try process.run()
        } catch {
            hasEnded = true
            rmdir(folder)
            throw ServerProcessError.failed("\(program.path) cannot be started: \(error.localizedDescription)")
        }
        guard ServerProcess.waitForLine("listening on unix:\(path)", from: output) else {
            let isEnded = ServerProcess.endsSoon(process)
            end()
            let what =
                isEnded
                ? "\(program.path) ended with exit code \(process.terminationStatus) before it served"
                : "\(program.path) did not say within \(Int(ServerProcess.startTimeout)) seconds that it listens"
            throw ServerProcessError.failed(what + (errorOutput.isEmpty ? "" : "; it wrote:\n\(errorOutput)"))
        }
    }

    deinit { end() }

    /// Ends the server and waits until it is gone. Ending again does nothing.
    public func end() {
        if hasEnded { return }
        hasEnded = true
        try? input.fileHandleForWriting.close()
        if process.isRunning { process.terminate() }
        let deadline = Date().addingTimeInterval(ServerProcess.endTimeout)
        while process.isRunning && deadline.timeIntervalSinceNow > 0 { usleep(1_000) }
        if process.isRunning { kill(process.processIdentifier, SIGKILL) }
        process.waitUntilExit()
        // A server that was killed could not do it.
        unlink(path)
        rmdir(folder)
    }

    /// The server's process id.
    public var processIdentifier: Int32 { process.processIdentifier }

    /// The last of what the server wrote to its standard error.
    public var errorOutput: String {
        var status = stat()
        guard fstat(errors.fileDescriptor, &status) == 0 else { return "" }
        let count = min(Int(status.st_size), ServerProcess.mostErrorBytes)
        var bytes = [UInt8](repeating: 0, count: count)
        let read = pread(errors.fileDescriptor, &bytes, count, Int(status.st_size) - count)
        return String(decoding: bytes.prefix(max(0, read)), as: UTF8.self)
            .trimmingCharacters(in: .whitespacesAndNewlines)
    }

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

    /// A new folder for its owner only: nobody else can put a socket there first.
    private static func privateFolder() throws -> String {
        let wanted = ProcessInfo.processInfo.environment["TMPDIR"] ?? "/tmp"
        let base = wanted.utf8.count <= mostFolderBytes && wanted.hasPrefix("/") ? wanted : "/tmp"
        var template = Array("\(base)/swift-gym-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else {
            throw ServerProcessError.failed(
                "no folder for a socket can be made in \(base): \(String(cString: strerror(errno)))")
        }
        return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    private static func namelessFile(in folder: String) throws -> FileHandle {
        let name = folder + "/errors"
        let descriptor = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_APPEND, 0o600)
        guard descriptor >= 0 else {
            let reason = String(cString: strerror(errno))
            rmdir(folder)
            throw ServerProcessError.failed("no file can be made in \(folder): \(reason)")
        }
        unlink(name)
        return FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
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

    /// Whether a process whose output has ended ends as well: between the two there is a moment.
    private static func endsSoon(_ process: Process) -> Bool {
        for _ in 0..<100 where process.isRunning { usleep(10_000) }
        return !process.isRunning
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
