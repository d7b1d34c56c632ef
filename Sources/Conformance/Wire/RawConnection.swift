internal import CSystemCalls
import Glibc

/// The server did not do in time what it had to.
package struct Timeout: Error, CustomStringConvertible {
    /// What was waited for, and for how long.
    package let description: String
}

/// A system call that failed where it should not have.
package struct SystemFailure: Error, CustomStringConvertible {
    /// The call and the system's explanation.
    package let description: String
    /// The system's number for it.
    package let number: Int32

    package init(_ operation: String, _ number: Int32 = errno) {
        self.number = number
        description = "\(operation): \(String(cString: strerror(number)))"
    }
}

/// Bytes to and from a server, any bytes at all. Nothing here waits longer than ``timeout``, nor past ``deadline``.
package final class RawConnection {
    /// A frame as it came.
    package struct Frame: Sendable {
        /// The header's eight bytes.
        package var header: [UInt8]
        /// The body.
        package var body: [UInt8]
        /// The header's kind.
        package var kind: UInt8 { header[4] }
        /// All bytes.
        package var bytes: [UInt8] { header + body }
    }

    /// Seconds that a single wait may take.
    package var timeout: Double
    /// The moment, as ``now()`` tells it, after which nothing is waited for any more.
    package var deadline = Double.infinity
    /// Descriptors that came with what was received, the oldest first, for whoever takes them.
    private var passedDescriptors: [Int32] = []
    /// The file descriptor; -1 once closed.
    package private(set) var descriptor: Int32
    private var received: [UInt8] = []

    /// A longer body is none, but noise read as a header: 256 MiB, many times what any answer to the suite takes.
    private static let largestBody = 256 << 20

    /// Connects to the socket at `path`.
    package init(path: String, timeout: Double) throws {
        self.timeout = timeout
        descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw SystemFailure("socket") }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else {
            throw SystemFailure("connect \(path)", ENAMETOOLONG)
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let status = withUnsafePointer(to: address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard status == 0 else {
            let failure = SystemFailure("connect \(path)")
            close()
            throw failure
        }
    }

    /// Takes over a connected socket.
    package init(owning descriptor: Int32, timeout: Double) {
        self.descriptor = descriptor
        self.timeout = timeout
    }

    deinit { close() }

    /// Closes the socket; closing again does nothing.
    package func close() {
        if descriptor >= 0 { Glibc.close(descriptor) }
        descriptor = -1
        for passed in passedDescriptors { Glibc.close(passed) }
        passedDescriptors = []
    }

    /// Ends sending; receiving goes on.
    package func endSending() { shutdown(descriptor, Int32(SHUT_WR)) }

    /// Gives away the oldest descriptor that came; -1: none did. That is the next answer's, also where it came with the
    /// last bytes of the frame before (S1).
    package func takeDescriptor() -> Int32 { passedDescriptors.isEmpty ? -1 : passedDescriptors.removeFirst() }

    // MARK: Sending

    /// Sends bytes; a server that has closed meanwhile is not an error here, since its answer says more.
    package func send(_ bytes: [UInt8], passing passed: Int32 = -1) throws {
        var offset = 0
        var passed = passed
        let deadline = min(now() + timeout, self.deadline)
        while offset < bytes.count {
            let left = deadline - now()
            guard left > 0, wait(for: Int16(POLLOUT), seconds: left) else {
                throw Timeout(description: "the server took only \(offset) of \(bytes.count) bytes in \(timeout) s")
            }
            let sent = bytes.withUnsafeBytes { raw in
                var piece = iovec(
                    iov_base: UnsafeMutableRawPointer(mutating: raw.baseAddress! + offset),
                    iov_len: min(bytes.count - offset, 1 << 16))
                return gym_send(descriptor, &piece, 1, passed)
            }
            if sent == -Int(EINTR) || sent == -Int(EAGAIN) { continue }
            if sent == -Int(EPIPE) || sent == -Int(ECONNRESET) { return }
            guard sent >= 0 else { throw SystemFailure("send", Int32(-sent)) }
            passed = -1
            offset += sent
        }
    }

    /// A frame's bytes.
    package static func frame(_ body: [UInt8], kind: UInt8 = 1, flags: UInt8 = 0, reserved: UInt16 = 0) -> [UInt8] {
        header(length: UInt32(body.count), kind: kind, flags: flags, reserved: reserved) + body
    }

    /// A header's bytes.
    package static func header(length: UInt32, kind: UInt8 = 1, flags: UInt8 = 0, reserved: UInt16 = 0) -> [UInt8] {
        (0..<4).map { UInt8(truncatingIfNeeded: length >> (8 * UInt32($0))) } + [
            kind, flags, UInt8(reserved & 0xFF), UInt8(reserved >> 8),
        ]
    }

    /// Sends a message in a frame.
    package func send(_ message: Message, kind: UInt8 = 1) throws {
        try send(RawConnection.frame(message.encoded, kind: kind))
    }

    // MARK: Receiving

    /// The next frame, or `nil` when the server closed between two.
    package func receiveFrame(within seconds: Double? = nil) throws -> Frame? {
        let start = now()
        guard start < self.deadline else {
            throw Timeout(description: "the server still sends after all the time that this check has")
        }
        let deadline = min(start + (seconds ?? timeout), self.deadline)
        guard try fill(to: 8, deadline: deadline) else { return nil }
        let length = (0..<4).reduce(0) { $0 | Int(received[$1]) << (8 * $1) }
        guard length <= RawConnection.largestBody else {
            throw DecodingError(
                description: "a frame of \(length) bytes, more than anything that was asked for can take: "
                    + hexadecimal(received.prefix(8)))
        }
        guard try fill(to: 8 + length, deadline: deadline) else { return nil }
        let frame = Frame(header: Array(received[..<8]), body: Array(received[8..<(8 + length)]))
        received.removeFirst(8 + length)
        return frame
    }

    /// Whether something has come, or the server has closed, within the time.
    package func hasInput(within seconds: Double) -> Bool {
        !received.isEmpty || wait(for: Int16(POLLIN), seconds: seconds)
    }

    private func fill(to count: Int, deadline: Double) throws -> Bool {
        while received.count < count {
            let left = deadline - now()
            guard left > 0, wait(for: Int16(POLLIN), seconds: left) else {
                throw Timeout(
                    description: "no answer in time: \(received.count) bytes came, \(count) were waited for"
                        + (received.isEmpty ? "" : ": \(hexadecimal(received))"))
            }
            var passed: Int32 = -1
            let size = max(1 << 16, min(count - received.count, 1 << 20))
            var count = 0
            received.append(
                contentsOf: [UInt8](unsafeUninitializedCapacity: size) { buffer, initialized in
                    count = gym_receive(descriptor, buffer.baseAddress!, size, Int32(MSG_DONTWAIT), &passed)
                    initialized = max(count, 0)
                })
            if passed >= 0 { passedDescriptors.append(passed) }
            if count == -Int(EINTR) || count == -Int(EAGAIN) { continue }
            if count == 0 || count == -Int(ECONNRESET) {
                guard received.isEmpty else {
                    throw DecodingError(description: "the stream ended inside a frame: \(hexadecimal(received))")
                }
                return false
            }
            guard count > 0 else { throw SystemFailure("receive", Int32(-count)) }
        }
        return true
    }

    private func wait(for events: Int16, seconds: Double) -> Bool {
        var request = pollfd(fd: descriptor, events: events, revents: 0)
        return poll(&request, 1, Int32((seconds * 1000).rounded(.up))) > 0
    }
}

/// Seconds on a clock that never goes back.
package func now() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
}
