import Foundation
import GymCore
import RunFiles
import TestSupport
import Testing

@Suite struct FileFormatTests {
    /// The examples of FIPS 180-4 and lengths around the padding's edges, compared with `sha256sum`.
    @Test(arguments: [
        ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
        ),
    ]) func digests(text: String, digest: String) {
        #expect(sha256(Array(text.utf8)) == digest)
    }

    @Test(arguments: [55, 56, 63, 64, 65, 1000]) func digestsOfAnyLength(count: Int) throws {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try Data(repeating: 7, count: count).write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        let tool = Process()
        tool.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        tool.arguments = ["sha256sum", file.path]
        let output = Pipe()
        tool.standardOutput = output
        try tool.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        #expect(text.hasPrefix(sha256([UInt8](repeating: 7, count: count))))
    }

    /// With the processor's own instructions and without, whole or in pieces of any length.
    @Test func digestsAreTheSameEitherWay() {
        var generator = NumPyGenerator(seed: 1)
        let bytes = (0..<3000).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
        for count in [0, 1, 63, 64, 65, 128, 1000, 3000] {
            var pieces = SHA256()
            var portable = SHA256(isPortable: true)
            bytes[..<count].withUnsafeBytes { portable.update($0) }
            var rest = bytes[..<count]
            while !rest.isEmpty {
                let piece = rest.prefix(generator.integer(in: 1...200))
                piece.withUnsafeBytes { pieces.update($0) }
                rest = rest.dropFirst(piece.count)
            }
            let digest = portable.digest()
            #expect(sha256(Array(bytes[..<count])) == digest && pieces.digest() == digest, "\(count) bytes")
        }
    }

    /// The examples of RFC 3720, B.4.
    @Test func checksumsOfRecords() {
        #expect(crc32c([UInt8](repeating: 0, count: 32)) == 0x8a91_36aa)
        #expect(crc32c([UInt8](repeating: 0xff, count: 32)) == 0x62a8_ab43)
        #expect(crc32c((0..<32).map { UInt8($0) }) == 0x46dd_794e)
    }

    private let tensors = [
        NamedTensor("b", Tensor([1.5, -2, 3] as [Float], shape: [3, 1])),
        NamedTensor("a", Tensor([1e300, 2] as [Double])),
        NamedTensor("empty", Tensor([] as [Float], shape: [0, 2])),
    ]

    @Test func safetensorsReadBack() throws {
        let bytes = Safetensors.encode(tensors, metadata: ["algorithm": "ppo"])
        let decoded = try Safetensors.decode(bytes)
        #expect(decoded.tensors == tensors.sorted { $0.name < $1.name })
        #expect(decoded.metadata == ["algorithm": "ppo"])
        #expect(Safetensors.encode(tensors.reversed(), metadata: ["algorithm": "ppo"]) == bytes)
    }

    /// Cut short anywhere, or with a byte of the header changed, a file is refused and nothing else happens.
    @Test func brokenSafetensorsAreRefused() throws {
        let bytes = Safetensors.encode(tensors)
        for count in 0..<bytes.count {
            #expect(throws: RunFileError.self) { try Safetensors.decode(Array(bytes[..<count])) }
        }
        for index in 0..<bytes.count {
            var changed = bytes
            changed[index] ^= 0x15
            _ = try? Safetensors.decode(changed)
        }
    }

    /// TensorBoard takes away what earlier files of a folder say of the step at which a later one starts, and of all after
    /// it: the start has to lie after the last step that is valid.
    @Test func eventFilesGoOnAfterTheLastValidStep() throws {
        let folder = try temporaryFolder().path
        defer { try? FileManager.default.removeItem(atPath: folder) }
        for step in [0, 40] {
            let file = try TensorBoardFile(in: folder + "/tensorboard", after: step)
            try file.append([("a", 1), ("b", nil)], step: step + 20)
        }
        let names = try FileManager.default.contentsOfDirectory(atPath: folder + "/tensorboard").sorted()
        let records = try names.map { try events(of: folder + "/tensorboard/" + $0) }
        try #require(records.map(\.count) == [2, 3])
        #expect(records.flatMap { $0 }.map(\.step) == [0, 20, 0, 41, 60])
        // Field 7, session_log {status: START}.
        #expect(records[1][1].rest == [0x3A, 2, 0x08, 1])
    }

    /// The events of a file: step, and what follows it. Each starts with its time, then its step.
    private func events(of path: String) throws -> [(step: Int, rest: [UInt8])] {
        let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
        var records: [(step: Int, rest: [UInt8])] = []
        var offset = 0
        while offset < bytes.count {
            let length = (0..<8).reduce(0) { $0 | Int(bytes[offset + $1]) << (8 * $1) }
            let event = Array(bytes[offset + 12..<offset + 12 + length])
            #expect(TensorBoardFile.record(event) == Array(bytes[offset..<offset + 16 + length]))
            try #require(event[0] == 0x09 && event[9] == 0x10 && event[10] < 0x80)
            records.append((Int(event[10]), Array(event[11...])))
            offset += 16 + length
        }
        return records
    }
}
