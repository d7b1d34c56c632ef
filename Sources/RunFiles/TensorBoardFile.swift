import Foundation
import Glibc

/// An event file that TensorBoard shows: a record for each log line, each a protobuf `Event` with a checksum.
///
/// The format: TensorFlow's `event.proto` and `summary.proto`, of which four messages are used, and `record_writer.h`:
/// the length (u64), its masked CRC-32C (u32), the event, its masked CRC-32C (u32), all little-endian.
public final class TensorBoardFile {
    private let path: String
    private let descriptor: Int32

    /// A new event file in the folder `tensorboard/` of a run.
    ///
    /// - Parameter step: where the run goes on; 0 at its beginning. TensorBoard forgets what the folder's earlier files
    ///   say of the steps after it.
    /// - Throws: ``RunFileError``.
    public init(in folder: String, after step: Int) throws {
        guard mkdir(folder, 0o755) == 0 || errno == EEXIST else { throw DurableFile.failure(folder) }
        let isFirst = try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty
        // TensorBoard reads a folder's files in the order of their names, which are as long as each other.
        let now = Date().timeIntervalSince1970
        path = folder + "/events.out.tfevents.\(String(format: "%017.6f", now)).\(getpid())"
        descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw DurableFile.failure(path) }
        try append(event(step: 0) { $0.add(field: 3, text: "brain.Event:2") })
        if !isFirst {
            // SessionLog {status: START}: what was said of this step, too, would be forgotten.
            try append(event(step: step + 1) { $0.add(field: 7, message: [0x08, 1]) })
        }
    }

    deinit { close(descriptor) }

    /// Writes an event with each value that there is.
    ///
    /// - Throws: ``RunFileError``.
    public func append(_ values: [(name: String, value: Double?)], step: Int) throws {
        var summary = ProtobufMessage()
        for (name, value) in values {
            guard let value else { continue }
            var entry = ProtobufMessage()
            entry.add(field: 1, text: name)
            entry.add(field: 2, float: Float(value))
            summary.add(field: 1, message: entry.bytes)
        }
        try append(event(step: step) { $0.add(field: 5, message: summary.bytes) })
    }

    private func event(step: Int, _ content: (inout ProtobufMessage) -> Void) -> [UInt8] {
        var event = ProtobufMessage()
        event.add(field: 1, double: Date().timeIntervalSince1970)
        event.add(field: 2, integer: UInt64(step))
        content(&event)
        return event.bytes
    }

    private func append(_ event: [UInt8]) throws {
        let record = TensorBoardFile.record(event)
        guard record.withUnsafeBytes({ DurableFile.writeAll($0, to: descriptor) }) else {
            throw DurableFile.failure(path)
        }
    }

    /// An event as it stands in the file.
    package static func record(_ event: [UInt8]) -> [UInt8] {
        let length = withUnsafeBytes(of: UInt64(event.count).littleEndian) { Array($0) }
        func checksum(_ bytes: [UInt8]) -> [UInt8] {
            // Masked, so that a checksum over data that holds checksums stays sound.
            let crc = crc32c(bytes)
            let masked = (crc >> 15 | crc << 17) &+ 0xa282_ead8
            return withUnsafeBytes(of: masked.littleEndian) { Array($0) }
        }
        return length + checksum(length) + event + checksum(event)
    }
}

/// The CRC-32C (Castagnoli, RFC 3720) of some bytes.
package func crc32c(_ bytes: [UInt8]) -> UInt32 {
    var crc = UInt32.max
    for byte in bytes { crc = crc >> 8 ^ crcTable[Int((crc ^ UInt32(byte)) & 0xff)] }
    return ~crc
}

/// What each byte does to the CRC: division by the reflected polynomial 0x82F63B78, bit by bit.
private let crcTable: [UInt32] = (0..<256).map { byte in
    (0..<8).reduce(UInt32(byte)) { crc, _ in crc & 1 == 1 ? crc >> 1 ^ 0x82f6_3b78 : crc >> 1 }
}
