import Foundation
import GymCore
import RunFiles
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
}
