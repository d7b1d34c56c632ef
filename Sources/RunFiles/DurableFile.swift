import Glibc

/// Files that survive a crash at any moment.
public enum DurableFile {
    /// Writes a side file, has it on the disk, and renames it: under `path` there is the old file or the whole new one.
    ///
    /// - Throws: ``RunFileError``; the side file is removed then, and the old one stays.
    public static func write(_ bytes: [UInt8], to path: String) throws {
        try write(to: path) { descriptor in bytes.withUnsafeBytes { writeAll($0, to: descriptor) } }
    }

    /// The same for what is written piece by piece.
    ///
    /// - Parameter body: writes to the side file, and returns whether it could, with `errno` set when not.
    /// - Throws: ``RunFileError``.
    public static func write(to path: String, _ body: (Int32) -> Bool) throws {
        if isSpecial(path) {
            // No file to put in the place of a device or a pipe.
            let descriptor = open(path, O_WRONLY | O_CLOEXEC)
            guard descriptor >= 0 else { throw failure(path) }
            defer { Glibc.close(descriptor) }
            guard body(descriptor) else { throw failure(path) }
            return
        }
        let side = path + ".part"
        let descriptor = open(side, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw failure(path) }
        var failed = !body(descriptor)
        if !failed && fsync(descriptor) != 0 { failed = true }
        let error = errno
        Glibc.close(descriptor)
        errno = error
        if failed || rename(side, path) != 0 {
            let error = errno
            unlink(side)
            throw failure(path, error)
        }
        // The name is on the disk once its folder is.
        let slash = path.lastIndex(of: "/")
        synchronise(folder: slash.map { String(path[..<$0]) } ?? ".")
    }

    /// Whether there is something other than a file: a device, a pipe, a folder.
    private static func isSpecial(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT != S_IFREG
    }

    /// Writes everything, however often it takes; `false` with `errno` set when it cannot.
    public static func writeAll(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32) -> Bool {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = Glibc.write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress!, rest.count)
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { return false }
            rest = rest.dropFirst(count)
        }
        return true
    }

    /// What to throw when a file cannot be written.
    public static func failure(_ path: String, _ number: Int32 = errno) -> RunFileError {
        RunFileError("cannot write \(path): \(String(cString: strerror(number)))")
    }

    private static func synchronise(folder: String) {
        let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        fsync(descriptor)
        Glibc.close(descriptor)
    }
}
