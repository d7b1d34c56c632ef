internal import CSystemCalls
import Glibc

/// A stream socket that is closed when its owner lets go of it.
///
/// Safe to use from several threads as long as no two of them send, or receive, at the same time.
public final class UnixSocket: Sendable {
    /// The descriptor; valid as long as this object lives.
    public let descriptor: Int32

    /// Takes over an open descriptor.
    public init(owning descriptor: Int32) { self.descriptor = descriptor }

    deinit { Glibc.close(descriptor) }

    /// Two sockets connected to each other.
    public static func pair() throws -> (UnixSocket, UnixSocket) {
        var descriptors: [Int32] = [-1, -1]
        guard socketpair(AF_UNIX, streamType, 0, &descriptors) == 0 else { throw SystemError("socketpair") }
        return (UnixSocket(owning: descriptors[0]), UnixSocket(owning: descriptors[1]))
    }

    /// A connection to the server at `path`.
    ///
    /// - Throws: ``SystemError``; `ENOENT` and `ECONNREFUSED` mean that no server is there.
    public static func connect(to path: String) throws -> UnixSocket {
        let socket = try open()
        let status = try withAddress(path) { address, length in
            retryingInterrupts { Int(Glibc.connect(socket.descriptor, address, length)) }
        }
        guard status == 0 else { throw SystemError("connect \(path)") }
        return socket
    }

    /// Who may connect to a socket that listens, by its file.
    public enum Access: Sendable, Hashable {
        /// Its owner.
        case owner
        /// Its owner, and the members of a group.
        case group(UInt32)
        /// Everybody: whoever accepts has to look at ``UnixSocket/peerUser``.
        case everybody

        fileprivate var mode: UInt32 {
            switch self {
            case .owner: 0o600
            case .group: 0o660
            case .everybody: 0o666
            }
        }
    }

    /// Whether somebody listens at `path`, found out without waiting.
    ///
    /// - Throws: ``SystemError`` when it cannot be found out.
    public static func isServed(_ path: String) throws -> Bool {
        let socket = try open(flags: Int32(SOCK_NONBLOCK.rawValue))
        let status = try withAddress(path) { address, length in
            retryingInterrupts { Int(Glibc.connect(socket.descriptor, address, length)) }
        }
        // With EAGAIN, so many wait to be accepted that no more can.
        if status == 0 || errno == EAGAIN { return true }
        if errno == ECONNREFUSED || errno == ENOENT { return false }
        throw SystemError("connect \(path)")
    }

    /// A socket at `path` that listens; by default, open to its owner only.
    ///
    /// - Throws: ``SystemError``, also when the group is none that its owner may give it to.
    public static func listen(
        at path: String, access: Access = .owner, backlog: Int32 = 1024
    ) throws -> UnixSocket {
        let socket = try open()
        // The file takes over the socket's own mode at bind; setting it after would leave a moment in which others can
        // connect, and the process's umask is not this function's to change.
        guard fchmod(socket.descriptor, 0o600) == 0 else { throw SystemError("fchmod of a socket") }
        let status = try withAddress(path) { address, length in bind(socket.descriptor, address, length) }
        guard status == 0 else { throw SystemError("bind \(path)") }
        do {
            // Nobody can connect before it listens.
            if case .group(let group) = access, chown(path, uid_t.max, group) != 0 {
                throw SystemError("give \(path) to group \(group)")
            }
            if access != .owner, chmod(path, access.mode) != 0 { throw SystemError("chmod \(path)") }
        } catch {
            unlink(path)
            throw error
        }
        guard Glibc.listen(socket.descriptor, backlog) == 0 else { throw SystemError("listen \(path)") }
        return socket
    }

    /// The next connection.
    public func accept() throws -> UnixSocket {
        let accepted = gym_accept(descriptor)
        guard accepted >= 0 else { throw SystemError("accept", -accepted) }
        return UnixSocket(owning: accepted)
    }

    /// Whether a connection waits to be accepted, or bytes to be received, within the given time.
    public func isReadable(within seconds: Double) -> Bool {
        var poller = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return poll(&poller, 1, Int32(seconds * 1000)) > 0
    }

    /// Waits until there are bytes to be received, or the end, but not longer than until `deadline` on the clock of
    /// ``monotonicSeconds()``; returns whether there are. With nothing left of the time, there are none.
    package func isReadable(until deadline: Double) -> Bool {
        while true {
            let seconds = deadline - monotonicSeconds()
            guard seconds > 0 else { return false }
            var poller = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            let count = poll(&poller, 1, Int32(min(seconds * 1000, 1e6).rounded(.up)))
            if count > 0 || (count < 0 && errno != EINTR) { return true }
        }
    }

    /// Ends both directions; whoever waits on either end wakes.
    public func shutdown() { _ = Glibc.shutdown(descriptor, Int32(SHUT_RDWR)) }

    /// Ends sending only: the other end sees that nothing more will come.
    public func shutdownSending() { _ = Glibc.shutdown(descriptor, Int32(SHUT_WR)) }

    /// Ends receiving only: what waits here wakes, and what was sent still arrives.
    public func shutdownReceiving() { _ = Glibc.shutdown(descriptor, Int32(SHUT_RD)) }

    /// The user id of the process at the other end.
    public var peerUser: UInt32? {
        let user = gym_peer_user(descriptor)
        return user < 0 ? nil : UInt32(user)
    }

    /// Waits at most `seconds` for a single send or receive; `nil`: without end.
    public func setTimeouts(receive: Double?, send: Double?) {
        for (option, seconds) in [(SO_RCVTIMEO, receive), (SO_SNDTIMEO, send)] {
            let seconds = seconds ?? 0
            var limit = timeval(tv_sec: Int(seconds), tv_usec: Int((seconds - seconds.rounded(.down)) * 1e6))
            setsockopt(descriptor, SOL_SOCKET, option, &limit, socklen_t(MemoryLayout<timeval>.size))
        }
    }

    /// Whether the other end has closed, also when bytes that it sent before are still here.
    public var peerHasClosed: Bool { gym_peer_has_closed(descriptor) != 0 }

    /// Throws away what has been received already, without waiting for more: closing a socket with bytes unread would
    /// take from the other end what was sent to it.
    public func discardReceived() {
        withUnsafeTemporaryAllocation(byteCount: 16 << 10, alignment: 16) { buffer in
            while recv(descriptor, buffer.baseAddress!, buffer.count, Int32(MSG_DONTWAIT)) > 0 {}
        }
    }

    /// Receives at most `buffer.count` bytes; 0 when the other end has closed. Descriptors that come along are closed
    /// by the system.
    public func receive(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        while true {
            let received = recv(descriptor, buffer.baseAddress!, buffer.count, 0)
            if received >= 0 { return received }
            let error = errno
            if error != EINTR { throw SystemError("receive", error) }
        }
    }

    /// Receives at most `buffer.count` bytes; 0 when the other end has closed.
    ///
    /// - Parameter passedDescriptor: set when a descriptor came along; the caller closes it.
    public func receive(into buffer: UnsafeMutableRawBufferPointer, passedDescriptor: inout Int32) throws -> Int {
        var passed: Int32 = -1
        while true {
            let received = gym_receive(descriptor, buffer.baseAddress!, buffer.count, 0, &passed)
            if received == -Int(EINTR) { continue }
            if passed >= 0 {
                if passedDescriptor >= 0 { close(passedDescriptor) }
                passedDescriptor = passed
            }
            guard received >= 0 else { throw SystemError("receive", Int32(-received)) }
            return received
        }
    }

    /// Sends all bytes.
    func send(_ bytes: UnsafeRawBufferPointer) throws {
        var start = 0
        while start < bytes.count {
            let sent = Glibc.send(
                descriptor, bytes.baseAddress! + start, bytes.count - start, Int32(MSG_NOSIGNAL))
            let error = errno
            if sent < 0 && error == EINTR { continue }
            guard sent >= 0 else { throw SystemError("send", error) }
            start += sent
        }
    }

    /// Sends all pieces, in order.
    ///
    /// - Parameter passing: a descriptor to pass along with the first byte.
    func send(_ pieces: UnsafeMutableBufferPointer<iovec>, passing descriptor: Int32 = -1) throws {
        // Linux takes at most 1024 pieces a call.
        let mostPieces = 1024
        var first = 0
        var passing = descriptor
        while first < pieces.count {
            let count = min(pieces.count - first, mostPieces)
            let sent = gym_send(self.descriptor, pieces.baseAddress! + first, count, passing)
            if sent == -Int(EINTR) { continue }
            guard sent >= 0 else { throw SystemError("send", Int32(-sent)) }
            passing = -1
            var left = sent
            while first < pieces.count, left >= pieces[first].iov_len {
                left -= pieces[first].iov_len
                first += 1
            }
            if left > 0 {
                pieces[first].iov_base += left
                pieces[first].iov_len -= left
            }
        }
    }

    private static var streamType: Int32 { Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) }

    private static func open(flags: Int32 = 0) throws -> UnixSocket {
        let descriptor = socket(AF_UNIX, streamType | flags, 0)
        guard descriptor >= 0 else { throw SystemError("socket") }
        return UnixSocket(owning: descriptor)
    }

    private static func withAddress<Result>(
        _ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) throws -> Result
    ) throws -> Result {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        let capacity = MemoryLayout.size(ofValue: address.sun_path)
        guard !bytes.isEmpty, bytes.count < capacity, !bytes.contains(0) else {
            throw SocketPathError(path: path, capacity: capacity - 1)
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        return try withUnsafePointer(to: address) { pointer in
            try pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                try body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }
}

/// A path that cannot be that of a socket.
public struct SocketPathError: Error, Hashable, CustomStringConvertible {
    /// The path.
    public let path: String
    /// The longest path the system takes, in bytes.
    public let capacity: Int

    /// What is wrong with it.
    public var description: String {
        path.isEmpty
            ? "the socket's path is empty"
            : "the socket's path has \(path.utf8.count) bytes, the system takes at most \(capacity): \(path)"
    }
}

private func retryingInterrupts(_ call: () -> Int) -> Int {
    while true {
        let result = call()
        if result != -1 || errno != EINTR { return result }
    }
}
