import Glibc

/// `progress.csv`: a row a log line. It holds whole rows only, also after a disk was full.
public final class ProgressFile {
    private let path: String
    private let descriptor: Int32
    /// The names of the columns.
    public let columns: [String]
    /// The bytes of the rows so far.
    public private(set) var length: Int

    /// A file that is to be made, with these columns.
    ///
    /// - Throws: ``RunFileError``.
    public init(creating path: String, columns: [String]) throws {
        self.path = path
        self.columns = columns
        length = 0
        descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw DurableFile.failure(path) }
        try append(columns.joined(separator: ","))
    }

    /// A file that a run wrote, to go on after its first `length` bytes; what came later is taken away.
    ///
    /// - Returns: `nil` where there is no log to go on with: none was written yet, or somebody removed it.
    /// - Throws: ``RunFileError``.
    public init?(continuing path: String, length: Int) throws {
        self.path = path
        descriptor = open(path, O_RDWR | O_CLOEXEC)
        if descriptor < 0 && errno == ENOENT || length == 0 { return nil }
        guard descriptor >= 0 else { throw DurableFile.failure(path) }
        let size = Int(lseek(descriptor, 0, SEEK_END))
        self.length = min(size, length)
        var text = [UInt8](repeating: 0, count: self.length)
        let count = pread(descriptor, &text, text.count, 0)
        guard count == text.count else { throw DurableFile.failure(path) }
        guard let end = text.firstIndex(of: UInt8(ascii: "\n")) else { return nil }
        let header = text[..<end]
        columns = String(decoding: header, as: UTF8.self).split(separator: ",").map(String.init)
        guard ftruncate(descriptor, self.length) == 0, lseek(descriptor, 0, SEEK_END) >= 0 else {
            throw DurableFile.failure(path)
        }
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// Adds a row: a number for each column, nothing for those that have none.
    ///
    /// - Throws: ``RunFileError``; the file then holds the rows before this one.
    public func log(_ values: [(name: String, value: Double?)]) throws {
        try append(
            columns.map { column in
                (values.first { $0.name == column }?.value).map(ProgressFile.number) ?? ""
            }.joined(separator: ","))
    }

    /// Has the rows so far on the disk.
    public func synchronise() { fsync(descriptor) }

    private func append(_ row: String) throws {
        let bytes = Array((row + "\n").utf8)
        guard bytes.withUnsafeBytes({ DurableFile.writeAll($0, to: descriptor) }) else {
            let error = errno
            ftruncate(descriptor, length)
            throw DurableFile.failure(path, error)
        }
        length += bytes.count
    }

    private static func number(_ value: Double) -> String {
        Int(exactly: value).map { String($0) } ?? String(value)
    }
}
