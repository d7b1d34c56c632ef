import CSystemCalls
import Conformance
import Foundation

/// What a proxy does with a message that it has looked at, and perhaps changed.
enum Verdict {
    /// Sends it on.
    case forward
    /// Sends it on, then this one.
    case forwardThen(Message)
    /// Keeps it to itself.
    case drop
    /// Sends these responses in its place.
    case send([Message])
    /// Answers a request in the server's place.
    case answer(Message)
}

/// One wrong behaviour on one connection. The proxy calls it under a lock.
final class Mutation {
    /// Changes a request on its way to the server.
    var request: (inout Message, Link) -> Verdict = { _, _ in .forward }
    /// Changes a response on its way to the client.
    var response: (inout Message, Link) -> Verdict = { _, _ in .forward }
    /// Changes the header's kind, flags and reserved bytes of a response.
    var header: (inout [UInt8], Link) -> Void = { _, _ in }
    /// Changes all bytes of a response's frame.
    var bytes: (inout [UInt8]) -> Void = { _ in }
    /// Changes the header's kind, flags and reserved bytes of a request.
    var requestHeader: (inout [UInt8]) -> Void = { _ in }
    /// Whether bytes that come with a frame, and after it, are kept for the next one.
    var keepsRest = true
    /// What is said when the client ends its stream.
    var farewell: Message?
    /// Whether descriptors are passed on.
    var passesDescriptors = true
    /// What is done to the shared memory, which then is another one on the client's side.
    var memory: MemoryMutation?
    /// The mode of the proxy's socket.
    var socketMode: mode_t = 0o600
    /// Whether the client hears of the server's closing.
    var passesEnd = true
    /// Whether descriptors that the client passes stay open.
    var keepsDescriptors = false
    /// Whether the client hears of notices.
    var passesNotices = true
    /// Whether the server hears a ping for each piece of a frame that comes.
    var pingsForPieces = false
}

/// What a mutation can know of its connection.
final class Link {
    /// Requests that are not answered yet, by id.
    fileprivate(set) var requests: [UInt64: Message] = [:]
    /// The number of environments of each handle.
    fileprivate(set) var counts: [UInt32: Int] = [:]
    /// The autoreset mode that was asked for at make, by handle.
    fileprivate(set) var modes: [UInt32: UInt64] = [:]

    /// How many connections there were before it: the suite itself begins with one.
    let number: Int
    /// Of the request that is on its way: how many came before it in one read.
    fileprivate(set) var placeInRead = 0
    /// Whether its body is what the suite's own encoder makes of it.
    fileprivate(set) var isCanonical = true
    /// The length of its body.
    fileprivate(set) var length = 0
    /// Whether a descriptor came with it.
    fileprivate(set) var hasDescriptor = false

    fileprivate init(number: Int) { self.number = number }

    /// The request that a response answers.
    func request(of response: Message) -> Message? { requests[response.number("id")] }

    fileprivate func note(request: Message) { requests[request.number("id")] = request }

    fileprivate func note(response: Message) {
        guard let made = response.message("make") else { return }
        let handle = UInt32(made.number("handle"))
        counts[handle] = made.integer("num_envs")
        modes[handle] = request(of: response)?.message("make")?.number("autoreset") ?? 0
    }
}

/// Stands between the suite and a server that keeps to the protocol, and makes it break one rule.
///
/// Frames that are none, and bodies that cannot be decoded, go through as they are.
final class MutatingProxy: @unchecked Sendable {
    /// Where it listens.
    let path: String

    private let upstream: String
    private let mutation: @Sendable () -> Mutation
    private let listener: Int32
    private let lock = NSLock()
    private var sockets: Set<Int32> = []
    private var isEnding = false
    private var served = 0
    /// Those whose client is not to hear that the server has closed.
    private var kept: [Relay] = []

    /// Listens at `path`, for a server at `upstream`; each connection gets a mutation of its own.
    init(path: String, upstream: String, mutation: @escaping @Sendable () -> Mutation) throws {
        self.path = path
        self.upstream = upstream
        self.mutation = mutation
        listener = try MutatingProxy.listen(path, mode: mutation().socketMode)
        Thread.detachNewThread { [self] in
            while true {
                let accepted = accept(listener, nil, nil)
                guard accepted >= 0 else { break }
                serve(accepted)
            }
            // Not before: its number could be that of another proxy's listener by then.
            close(listener)
        }
    }

    /// Ends all connections.
    func end() {
        shutdown(listener, Int32(SHUT_RDWR))
        lock.withLock {
            isEnding = true
            for socket in sockets { shutdown(socket, Int32(SHUT_RDWR)) }
            for relay in kept { relay.close() }
            kept = []
        }
        unlink(path)
    }

    static func listen(_ path: String, mode: mode_t) throws -> Int32 {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
        let status = withUnsafePointer(to: address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard status == 0, Foundation.listen(descriptor, 256) == 0, chmod(path, mode) == 0 else {
            throw SystemFailure("listen \(path)")
        }
        return descriptor
    }

    private func serve(_ accepted: Int32) {
        let forever = 600.0
        let client = Conformance.RawConnection(owning: accepted, timeout: forever)
        guard let server = try? Conformance.RawConnection(path: upstream, timeout: forever) else { return }
        let number = lock.withLock { () -> Int? in
            if isEnding { return nil }
            sockets.formUnion([client.descriptor, server.descriptor])
            served += 1
            return served - 1
        }
        guard let number else { return }
        let relay = Relay(client: client, server: server, mutation: mutation(), number: number)
        let ended = DispatchGroup()
        for direction in [relay.requests, relay.responses] {
            ended.enter()
            Thread.detachNewThread {
                direction()
                ended.leave()
            }
        }
        ended.notify(queue: .global()) { [self] in
            relay.endBridges()
            lock.withLock {
                guard relay.passesEnd || isEnding else {
                    kept.append(relay)
                    return
                }
                sockets.subtract(relay.descriptors)
                relay.close()
            }
        }
    }
}

/// One connection through the proxy.
private final class Relay: @unchecked Sendable {
    private let client: Conformance.RawConnection
    private let server: Conformance.RawConnection
    private let mutation: Mutation
    private let link: Link
    private let lock = NSLock()
    private var bridges: [MemoryBridge] = []
    /// What the server behind it takes; a longer one it has to hear of at once.
    private static let largestFrame = MutationTests.maxFrameBytes

    init(
        client: Conformance.RawConnection, server: Conformance.RawConnection, mutation: Mutation, number: Int
    ) {
        link = Link(number: number)
        self.client = client
        self.server = server
        self.mutation = mutation
    }

    /// From the client to the server, until the client ends its stream.
    func requests() {
        var buffer: [UInt8] = []
        var isRaw = false
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            var passed: Int32 = -1
            let count = gym_receive(client.descriptor, &chunk, chunk.count, 0, &passed)
            if passed >= 0, !mutation.keepsDescriptors { Foundation.close(passed) }
            guard count > 0 else { break }
            lock.withLock {
                link.placeInRead = 0
                link.hasDescriptor = passed >= 0
            }
            buffer += chunk[..<count]
            while !isRaw, buffer.count >= 8 {
                lock.withLock {
                    var header = Array(buffer[4..<8])
                    mutation.requestHeader(&header)
                    buffer.replaceSubrange(4..<8, with: header)
                }
                let length = (0..<4).reduce(0) { $0 | Int(buffer[$1]) << (8 * $1) }
                guard buffer[4] == 1, buffer[5...7].allSatisfy({ $0 == 0 }), length <= Relay.largestFrame else {
                    isRaw = true
                    break
                }
                guard buffer.count >= 8 + length else { break }
                relay(request: Array(buffer[8..<(8 + length)]))
                buffer.removeFirst(8 + length)
                if !mutation.keepsRest { buffer = [] }
            }
            if isRaw {
                try? server.send(buffer)
                buffer = []
            } else if !buffer.isEmpty, mutation.pingsForPieces {
                try? server.send(Message("Request", [("id", secret), ("ping", [:])]))
            }
        }
        if let farewell = mutation.farewell { lock.withLock { try? client.send(farewell, kind: 2) } }
        try? server.send(buffer)
        server.endSending()
    }

    private func relay(request body: [UInt8]) {
        guard var message = try? Message("Request", decoding: body) else {
            try? server.send(Conformance.RawConnection.frame(body))
            return
        }
        let verdict = lock.withLock {
            link.note(request: message)
            link.length = body.count
            link.isCanonical = message.encoded == body
            defer { link.placeInRead += 1 }
            return mutation.request(&message, link)
        }
        switch verdict {
        case .forward: try? server.send(message)
        case .forwardThen(let next):
            try? server.send(message)
            try? server.send(next)
        case .drop: break
        case .answer(let response): lock.withLock { try? client.send(response, kind: 2) }
        case .send(let responses): lock.withLock { for response in responses { try? client.send(response, kind: 2) } }
        }
    }

    /// From the server to the client, until the server ends its stream.
    func responses() {
        while let frame = try? server.receiveFrame() {
            var passed = server.takeDescriptor()
            defer { if passed >= 0 { Foundation.close(passed) } }
            guard frame.kind == 2, var message = try? Message("Response", decoding: frame.body) else {
                lock.withLock { if frame.kind == 2 || mutation.passesNotices { try? client.send(frame.bytes) } }
                continue
            }
            lock.withLock {
                link.note(response: message)
                let verdict = mutation.response(&message, link)
                if case .drop = verdict { return }
                if case .send(let responses) = verdict {
                    for response in responses { try? client.send(response, kind: 2) }
                    return
                }
                if let memory = mutation.memory, let layout = message.message("make")?.message("shared_memory"),
                    let bridge = MemoryBridge(server: passed, layout: layout, mutation: memory)
                {
                    Foundation.close(passed)
                    passed = bridge.takeDescriptor()
                    bridges.append(bridge)
                }
                var header = Array(frame.header[4...])
                mutation.header(&header, link)
                let body = message.encoded
                let length = (0..<4).map { UInt8(truncatingIfNeeded: body.count >> (8 * $0)) }
                var frame = length + header + body
                mutation.bytes(&frame)
                try? client.send(frame, passing: mutation.passesDescriptors ? passed : -1)
                if case .forwardThen(let next) = verdict { try? client.send(next, kind: 2) }
            }
        }
        if mutation.passesEnd { shutdown(client.descriptor, Int32(SHUT_RDWR)) }
    }

    /// Whether the client hears of the server's closing.
    var passesEnd: Bool { mutation.passesEnd }

    /// The sockets of both sides.
    var descriptors: [Int32] { [client.descriptor, server.descriptor] }

    /// Closes both sides; nobody uses them any more.
    func close() {
        client.close()
        server.close()
    }

    func endBridges() { for bridge in bridges { bridge.end() } }
}
