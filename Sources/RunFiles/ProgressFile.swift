import Foundation

/// `progress.csv`: a row a log line. It holds whole rows only, also after a disk was full.
public final class ProgressFile {
    private let path: String
    private let descriptor: Int32
    private static let lineFeed = UInt8(ascii: "\n")
    /// The names of the columns.
    public let columns: [String]
    /// The bytes of the rows so far.
    private var length: Int

    /// A file that is to be made, with these columns.
    ///
    /// - Throws: ``RunFileError``.
    public init(creating path: String, columns: [String]) throws {
        self.path = path
        self.columns = columns
        length = 0
        descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw DurableFile.failure(path) }
        try write(columns.joined(separator: ","))
    }

    /// A file that a run wrote, to go on after the last row whose number in `column` is at most `step`; what came later
    /// is taken away.
    ///
    /// - Returns: `nil` where there is no log to go on with: none was written yet, or somebody removed it.
    /// - Throws: ``RunFileError``.
    public init?(continuing path: String, through step: Int, of column: String) throws {
        guard let data = FileManager.default.contents(atPath: path) else {
            if access(path, F_OK) != 0 { return nil }
            throw DurableFile.failure(path)
        }
        func cells(_ line: Data) -> [Substring] {
            String(decoding: line, as: UTF8.self).split(separator: ",", omittingEmptySubsequences: false)
        }
        guard let headerEnd = data.firstIndex(of: ProgressFile.lineFeed) else { return nil }
        let columns = cells(data[..<headerEnd]).map(String.init)
        guard let place = columns.firstIndex(of: column) else { return nil }
        var kept = headerEnd + 1
        while let end = data[kept...].firstIndex(of: ProgressFile.lineFeed) {
            let row = cells(data[kept..<end])
            guard row.count == columns.count, let number = Double(row[place]), number <= Double(step) else { break }
            kept = end + 1
        }
        self.path = path
        self.columns = columns
        length = kept
        descriptor = open(path, O_WRONLY | O_CLOEXEC)
        guard descriptor >= 0, ftruncate(descriptor, length) == 0, lseek(descriptor, 0, SEEK_END) >= 0 else {
            throw DurableFile.failure(path)
        }
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// Adds a row: a number for each column, nothing for those that have none.
    ///
    /// - Throws: ``RunFileError``; the file then holds the rows before this one.
    public func append(_ values: [(name: String, value: Double?)]) throws {
        try write(
            columns.map { column in
                (values.first { $0.name == column }?.value).map(ProgressFile.number) ?? ""
            }.joined(separator: ","))
    }

    /// Has the rows so far on the disk.
    public func synchronise() { fsync(descriptor) }

    private func write(_ row: String) throws {
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
