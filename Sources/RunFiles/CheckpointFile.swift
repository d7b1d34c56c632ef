public import Foundation
public import GymCore

/// A file that is whole or refused: `gymckpt` and a line feed, the version of what follows (u32), its SHA-256 as 64
/// hexadecimal digits, and what follows.
public enum CheckpointFile {
    private static let magic = Array("gymckpt\n".utf8)
    private static let headerSize = 8 + 4 + 64

    /// Writes a file piece by piece, whole or not at all.
    ///
    /// - Parameter next: the next piece of what follows the header; `nil` after the last.
    /// - Throws: ``RunFileError``.
    public static func write(to path: String, version: UInt32, next: () -> [UInt8]?) throws {
        try DurableFile.write(to: path) { descriptor in
            // The checksum stands before what it is of: its place is kept, and filled in at the end.
            let space = [UInt8](repeating: 0, count: headerSize)
            guard space.withUnsafeBytes({ DurableFile.writeAll($0, to: descriptor) }) else { return false }
            var hash = SHA256()
            while let piece = next() {
                let isWritten = piece.withUnsafeBytes {
                    hash.update($0)
                    return DurableFile.writeAll($0, to: descriptor)
                }
                if !isWritten { return false }
            }
            guard lseek(descriptor, 0, SEEK_SET) == 0 else { return false }
            return header(version: version, digest: hash.digest()).withUnsafeBytes {
                DurableFile.writeAll($0, to: descriptor)
            }
        }
    }

    /// The bytes of such a file.
    public static func bytes(version: UInt32, _ body: (inout StateWriter) -> Void) -> [UInt8] {
        var writer = StateWriter()
        body(&writer)
        return header(version: version, digest: sha256(writer.bytes)) + writer.bytes
    }

    private static func header(version: UInt32, digest: String) -> [UInt8] {
        var writer = StateWriter()
        writer.write(version)
        return magic + writer.bytes + Array(digest.utf8)
    }

    /// What follows the header: a part of `data`, whose checksum holds.
    ///
    /// - Parameter version: the one that the caller reads.
    /// - Throws: ``RunFileError`` that says what is wrong with the file.
    public static func body(of data: Data, version: UInt32) throws -> Data {
        let header = Array(data.prefix(headerSize))
        guard header.count == headerSize, Array(header[..<8]) == magic else {
            throw RunFileError(
                header.count < headerSize && magic.starts(with: header.prefix(8))
                    ? "it is cut short" : "it is no checkpoint")
        }
        var versionReader = StateReader(Array(header[8..<12]))
        let found = try versionReader.read(UInt32.self)
        guard found == version else {
            throw RunFileError(
                "it is of version \(found), this program reads version \(version); "
                    + "resume it with the release that wrote it")
        }
        let body = data.dropFirst(headerSize)
        var hash = SHA256()
        body.withUnsafeBytes { hash.update($0) }
        guard Array(hash.digest().utf8) == Array(header[12...]) else {
            throw RunFileError("it is cut short or was changed: its checksum does not hold")
        }
        return body
    }
}
