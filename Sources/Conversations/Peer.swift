internal import CSystemCalls
import Glibc

/// One end of a stream socket, for whoever sends anything at all over it. Nothing here waits without end, and what comes
/// is taken while something is sent: two ends that both want to be heard do not wait for each other.
package final class Peer {
    private let descriptor: Int32
    private var received: [UInt8] = []
    private var passed: Int32 = -1
    /// Whether nothing more will come.
    package private(set) var hasEnded = false

    /// Seconds that the other side has to take what is sent.
    private static let sendPatience = 10.0
    /// A longer body is none, but noise read as a header.
    private static let largestFrame = 256 << 20

    /// Takes over a connected socket.
    package init(owning descriptor: Int32) { self.descriptor = descriptor }

    /// Connects to the socket at `path`.
    package convenience init?(path: String) {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return nil }
        self.init(owning: descriptor)
        let status = withSocketAddress(path) { connect(descriptor, $0, $1) }
        guard status == 0 else { return nil }
    }

    deinit {
        close(descriptor)
        if passed >= 0 { close(passed) }
    }

    /// The descriptor that came along with what was received; the caller closes it.
    package func takeDescriptor() -> Int32? {
        guard passed >= 0 else { return nil }
        defer { passed = -1 }
        return passed
    }

    /// Ends sending; the other side sees that nothing more will come.
    package func endSending() { shutdown(descriptor, Int32(SHUT_WR)) }

    /// Ends both directions.
    package func end() { shutdown(descriptor, Int32(SHUT_RDWR)) }

    /// Sends bytes.
    ///
    /// - Parameter passing: a descriptor that goes along with the first of them.
    /// - Returns: whether the other side took them all.
    @discardableResult
    package func send(_ bytes: [UInt8], passing: Int32 = -1) -> Bool {
        var offset = 0
        var passing = passing
        while offset < bytes.count {
            let events = wait(for: Int16(POLLIN) | Int16(POLLOUT), seconds: Peer.sendPatience)
            if events == 0 { return false }
            if events & Int16(POLLIN) != 0 { receive() }
            guard events & Int16(POLLOUT) != 0 else {
                if hasEnded { return false }
                continue
            }
            let sent = bytes.withUnsafeBytes { raw in
                // In pieces that a socket takes at once: a longer one would wait, and nothing be taken meanwhile.
                var piece = iovec(
                    iov_base: UnsafeMutableRawPointer(mutating: raw.baseAddress! + offset),
                    iov_len: min(bytes.count - offset, 4096))
                return gym_send(descriptor, &piece, 1, passing)
            }
            if sent == -Int(EINTR) || sent == -Int(EAGAIN) { continue }
            guard sent >= 0 else { return false }
            passing = -1
            offset += sent
        }
        return true
    }

    /// The next frame, header included; `nil` when none came in time, or nothing more will come.
    package func frame(within seconds: Double) -> [UInt8]? {
        let deadline = monotonicSeconds() + seconds
        while true {
            if received.count >= 8 {
                let length = (0..<4).reduce(8) { $0 + Int(received[$1]) << (8 * $1) }
                if length > Peer.largestFrame { return nil }
                if received.count >= length {
                    defer { received.removeFirst(length) }
                    return Array(received.prefix(length))
                }
            }
            if hasEnded { return nil }
            // What is there already is taken also when the time is over.
            let left = max(0, deadline - monotonicSeconds())
            if wait(for: Int16(POLLIN), seconds: left) == 0 { return nil }
            receive()
        }
    }

    /// Throws away what comes, until nothing more will or the time is over.
    ///
    /// - Returns: whether the other side has ended.
    @discardableResult
    package func drain(within seconds: Double) -> Bool {
        let deadline = monotonicSeconds() + seconds
        while !hasEnded {
            let left = deadline - monotonicSeconds()
            if left <= 0 || wait(for: Int16(POLLIN), seconds: left) == 0 { return false }
            receive()
            received = []
        }
        return true
    }

    /// Waits until one of two has something to say.
    package static func wait(_ left: Peer, _ right: Peer, seconds: Double) {
        var pollers = [left, right].map { pollfd(fd: $0.descriptor, events: Int16(POLLIN), revents: 0) }
        poll(&pollers, 2, Int32((seconds * 1000).rounded(.up)))
    }

    private func wait(for events: Int16, seconds: Double) -> Int16 {
        var poller = pollfd(fd: descriptor, events: events, revents: 0)
        while true {
            let count = poll(&poller, 1, Int32((seconds * 1000).rounded(.up)))
            if count < 0 && errno == EINTR { continue }
            return count > 0 ? poller.revents : 0
        }
    }

    private func receive() {
        withUnsafeTemporaryAllocation(byteCount: 1 << 16, alignment: 16) { piece in
            var descriptor: Int32 = -1
            let count = gym_receive(self.descriptor, piece.baseAddress!, piece.count, 0, &descriptor)
            if descriptor >= 0 {
                if passed >= 0 { close(passed) }
                passed = descriptor
            }
            if count > 0 {
                received += piece[..<count]
            } else if count != -Int(EINTR) {
                hasEnded = true
            }
        }
    }
}

/// A socket that listens at a path; `nil` when it cannot be made.
package func listeningSocket(at path: String) -> Int32? {
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { return nil }
    unlink(path)
    guard withSocketAddress(path, { bind(descriptor, $0, $1) }) == 0, listen(descriptor, 16) == 0 else {
        close(descriptor)
        return nil
    }
    return descriptor
}

private func withSocketAddress<Result>(
    _ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
) -> Result {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8).prefix($0.count - 1)) }
    return withUnsafePointer(to: address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
        }
    }
}

func monotonicSeconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
}
