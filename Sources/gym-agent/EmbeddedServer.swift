import Foundation

/// A `gym-server` of the agent's own: another process, on a socket in a folder that only this user can enter.
///
/// It ends when its standard input does, so it never outlives the agent, however that ends.
final class EmbeddedServer {
    /// Where it listens.
    let socket: String
    private let process = Process()
    private let input = Pipe()
    private let folder: String

    /// Starts the server and waits until it listens.
    ///
    /// - Throws: ``EmbeddedServerError``.
    init() throws {
        let executable = try EmbeddedServer.executable()
        folder = try EmbeddedServer.privateFolder()
        socket = folder + "/socket"
        let output = Pipe()
        process.executableURL = URL(fileURLWithPath: executable)
        process.arguments = ["serve", "--socket", socket, "--until-eof"]
        process.standardInput = input
        process.standardOutput = output
        do {
            try process.run()
        } catch {
            rmdir(folder)
            throw EmbeddedServerError("\(executable) cannot be started: \(error.localizedDescription)")
        }
        var line = Data()
        while line.last != UInt8(ascii: "\n") {
            let data = output.fileHandleForReading.availableData
            if data.isEmpty { break }
            line += data
        }
        guard String(decoding: line, as: UTF8.self).hasPrefix("listening on ") else {
            end()
            throw EmbeddedServerError("\(executable) did not start to serve (exit code \(process.terminationStatus))")
        }
    }

    deinit { end() }

    /// Ends the server and waits for it.
    func end() {
        try? input.fileHandleForWriting.close()
        process.waitUntilExit()
        removeFolder()
    }

    /// Removes what would be left behind when the agent exits at once; the server then ends by itself.
    func removeFolder() {
        unlink(socket)
        rmdir(folder)
    }

    /// `gym-server` beside this executable, else the first on `PATH`.
    private static func executable() throws -> String {
        let name = "gym-server"
        let own = URL(fileURLWithPath: Bundle.main.executablePath ?? CommandLine.arguments[0])
            .resolvingSymlinksInPath().deletingLastPathComponent().path
        let path = ProcessInfo.processInfo.environment["PATH"] ?? ""
        for folder in [own] + path.split(separator: ":").map(String.init) {
            let candidate = folder + "/" + name
            if FileManager.default.isExecutableFile(atPath: candidate) { return candidate }
        }
        throw EmbeddedServerError(
            "there is no gym-server beside this program (\(own)) or on PATH; build it, or give a server with --server")
    }

    private static func privateFolder() throws -> String {
        // A socket's path may have about a hundred bytes: a long TMPDIR does not do.
        let base = ProcessInfo.processInfo.environment["TMPDIR"].map { $0.utf8.count < 60 ? $0 : "/tmp" } ?? "/tmp"
        var template = Array("\(base)/swift-gym-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else {
            throw EmbeddedServerError(
                "no folder for a socket can be made in \(base): \(String(cString: strerror(errno)))")
        }
        return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

/// The embedded server could not be started.
struct EmbeddedServerError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
