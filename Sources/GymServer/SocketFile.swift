import Glibc
import GymProtocol

/// The file by which a server's socket is found.
struct SocketFile {
    let path: String
    private let identity: (device: UInt64, inode: UInt64)
    /// A folder that was made for it alone, and goes with it.
    private let folder: String?

    /// How long another server that starts in the same folder is waited for. Anybody can hold the lock of a folder such
    /// as /tmp; whoever does must not keep servers from starting.
    private static let lockSeconds = 1.0
    private static let lockInterval: UInt32 = 10_000

    /// Listens at `path`. A file that an ended server left behind is replaced; a server that still listens is not.
    ///
    /// - Throws: ``ServerStartError``.
    static func listen(at path: String, access: UnixSocket.Access) throws -> (UnixSocket, SocketFile) {
        // Of servers that start at the same time, one looks at the file after the other: between a look and the removal
        // of a stale file, none can have made a new one.
        let folder = open(
            path.lastIndex(of: "/").map { String(path[...$0]) } ?? ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        if folder >= 0 { lock(folder) }
        defer { if folder >= 0 { close(folder) } }
        do {
            let socket = try UnixSocket.listen(at: path, access: access)
            return (socket, SocketFile(path: path))
        } catch let error as SystemError where error.number == EADDRINUSE {
            try removeStale(path)
            return (try UnixSocket.listen(at: path, access: access), SocketFile(path: path))
        }
    }

    /// Listens at a path of its own, in a new folder that only this user can enter.
    static func listenPrivately(access: UnixSocket.Access) throws -> (UnixSocket, SocketFile) {
        let wanted = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        // A socket's path may have about a hundred bytes.
        let base = wanted.hasPrefix("/") && wanted.utf8.count <= 60 ? wanted : "/tmp"
        var template = Array("\(base)/swift-gym-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw SystemError("make a folder in \(base)") }
        let folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        do {
            let path = folder + "/socket"
            return (try UnixSocket.listen(at: path, access: access), SocketFile(path: path, folder: folder))
        } catch {
            rmdir(folder)
            throw error
        }
    }

    private init(path: String, folder: String? = nil) {
        self.path = path
        self.folder = folder
        identity = SocketFile.identity(of: path) ?? (0, 0)
    }

    private static func lock(_ folder: Int32) {
        let deadline = monotonicSeconds() + lockSeconds
        while flock(folder, LOCK_EX | LOCK_NB) != 0, errno == EWOULDBLOCK || errno == EINTR,
            monotonicSeconds() < deadline
        { usleep(lockInterval) }
    }

    private static func removeStale(_ path: String) throws {
        var status = stat()
        guard lstat(path, &status) == 0 else { return }
        guard status.st_mode & S_IFMT == S_IFSOCK else { throw ServerStartError.notASocket(path) }
        guard try !UnixSocket.isServed(path) else { throw ServerStartError.alreadyServed(path) }
        // Where the lock could not be had, it may be another one by now.
        guard let now = identity(of: path), now == (UInt64(status.st_dev), UInt64(status.st_ino)) else { return }
        guard unlink(path) == 0 || errno == ENOENT else { throw SystemError("remove \(path)") }
    }

    /// Removes the file, if it is still the one that this server made.
    func remove() {
        if let now = SocketFile.identity(of: path), now == identity { unlink(path) }
        if let folder { rmdir(folder) }
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
