import Foundation
import GymProtocol

/// A length-delimited field of a protobuf message.
func field(_ number: Int, _ body: [UInt8]) -> [UInt8] {
    varint(UInt64(number << 3 | 2)) + varint(UInt64(body.count)) + body
}

/// A number as a field of a protobuf message.
func field(_ number: Int, varint value: UInt64) -> [UInt8] { varint(UInt64(number << 3)) + varint(value) }

private func varint(_ value: UInt64) -> [UInt8] {
    var bytes: [UInt8] = []
    var rest = value
    while rest > 0x7F {
        bytes.append(UInt8(rest & 0x7F) | 0x80)
        rest >>= 7
    }
    return bytes + [UInt8(rest)]
}

/// The bytes of memory that this process has resident.
func residentBytes() throws -> Int {
    let fields = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8).split(separator: " ")
    return Int(fields[1])! * sysconf(Int32(_SC_PAGESIZE))
}

/// The number of descriptors that this process has open.
func openDescriptors() throws -> Int { try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count }

/// Sends bytes, and a descriptor with the first of them.
func passDescriptor(_ descriptor: Int32, over socket: UnixSocket, frame: [UInt8]) throws {
    // A control message: length (8 bytes), level, type, the descriptor, padding.
    var control = [UInt8](repeating: 0, count: 24)
    control.withUnsafeMutableBytes { bytes in
        bytes.storeBytes(of: 20, as: Int.self)
        bytes.storeBytes(of: SOL_SOCKET, toByteOffset: 8, as: Int32.self)
        bytes.storeBytes(of: 1, toByteOffset: 12, as: Int32.self)  // SCM_RIGHTS
        bytes.storeBytes(of: descriptor, toByteOffset: 16, as: Int32.self)
    }
    var frame = frame
    let sent = frame.withUnsafeMutableBytes { frame in
        control.withUnsafeMutableBytes { control in
            var piece = iovec(iov_base: frame.baseAddress, iov_len: frame.count)
            return withUnsafeMutablePointer(to: &piece) { piece in
                var message = msghdr()
                message.msg_iov = piece
                message.msg_iovlen = 1
                message.msg_control = control.baseAddress
                message.msg_controllen = control.count
                return sendmsg(socket.descriptor, &message, 0)
            }
        }
    }
    guard sent == frame.count else { throw SystemError("sendmsg", errno) }
}
