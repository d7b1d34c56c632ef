import Glibc
import GymProtocol

/// The file by which a server's socket is found.
struct SocketFile {
    let path: String
    private let identity: (device: UInt64, inode: UInt64)

    /// Listens at `path`. A file that an ended server left behind is replaced; a server that still listens is not.
    ///
    /// - Throws: ``ServerStartError``.
    static func listen(at path: String) throws -> (UnixSocket, SocketFile) {
        // Of servers that start at the same time, one looks at the file after the other: between a look and the removal
        // of a stale file, none can have made a new one.
        let folder = open(
            path.lastIndex(of: "/").map { String(path[...$0]) } ?? ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        if folder >= 0 { flock(folder, LOCK_EX) }
        defer { if folder >= 0 { close(folder) } }
        do {
            let socket = try UnixSocket.listen(at: path)
            return (socket, SocketFile(path: path))
        } catch let error as SystemError where error.number == EADDRINUSE {
            try removeStale(path)
            return (try UnixSocket.listen(at: path), SocketFile(path: path))
        }
    }

    private init(path: String) {
        self.path = path
        identity = SocketFile.identity(of: path) ?? (0, 0)
    }

    private static func removeStale(_ path: String) throws {
        var status = stat()
        guard lstat(path, &status) == 0 else { return }
        guard status.st_mode & S_IFMT == S_IFSOCK else { throw ServerStartError.notASocket(path) }
        do {
            _ = try UnixSocket.connect(to: path)
        } catch let error as SystemError where error.number == ECONNREFUSED {
            guard unlink(path) == 0 || errno == ENOENT else { throw SystemError("remove \(path)") }
            return
        }
        throw ServerStartError.alreadyServed(path)
    }

    /// Removes the file, if it is still the one that this server made.
    func remove() {
        if let now = SocketFile.identity(of: path), now == identity { unlink(path) }
    }

    private static func identity(of path: String) -> (device: UInt64, inode: UInt64)? {
        var status = stat()
        return lstat(path, &status) == 0 ? (UInt64(status.st_dev), UInt64(status.st_ino)) : nil
    }
}

/// Why a server could not be started.
public enum ServerStartError: Error, Hashable, CustomStringConvertible {
    /// Another server listens at the path.
    case alreadyServed(String)
    /// A file that is not a socket is in the way.
    case notASocket(String)

    /// What is wrong, and what to do.
    public var description: String {
        switch self {
        case .alreadyServed(let path): "a server already listens at unix:\(path); end it, or choose another --socket"
        case .notASocket(let path): "\(path) exists and is not a socket; it was left alone, choose another --socket"
        }
    }
}
