import Foundation

/// Files under `Tests/Fixtures`, found from where this source file stands.
public enum Fixtures {
    /// The repository's root.
    public static let repository = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    /// The folder of fixtures.
    public static let folder = repository.appendingPathComponent("Tests/Fixtures")

    /// The contents of a gzip-compressed fixture, unpacked by the system's `gzip`.
    ///
    /// - Throws: what starting `gzip` throws, or ``FixtureError`` when it fails.
    public static func unpack(_ path: String) throws -> Data {
        let gzip = Process()
        gzip.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        gzip.arguments = ["gzip", "-dc", folder.appendingPathComponent(path).path]
        let output = Pipe()
        gzip.standardOutput = output
        try gzip.run()
        let data = output.fileHandleForReading.readDataToEndOfFile()
        gzip.waitUntilExit()
        guard gzip.terminationStatus == 0 else { throw FixtureError(path: path, status: gzip.terminationStatus) }
        return data
    }
}

/// A fixture that could not be unpacked.
public struct FixtureError: Error {
    /// The fixture, relative to `Tests/Fixtures`.
    public let path: String
    /// What `gzip` exited with.
    public let status: Int32
}
