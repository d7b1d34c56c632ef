internal import Conversations
import Glibc
import GymProtocol
import GymServer
import Synchronization
import TestSupport

/// Stands between one client and a server of this process: passes frames on, and shows them to its owner, the memory that
/// both share included.
final class Interposer: Sendable {
    /// Where the client connects.
    let path: String

    private let folder: String
    private let listener: Int32
    private let link: UnixSocket
    private let client: Accepted
    private let proxy: JoinableThread
    private let serving: JoinableThread

    /// The client's socket, for as long as it is there.
    private final class Accepted: Sendable {
        let descriptor = Mutex<Int32>(-1)
    }

    /// Waits for one client.
    init(
        server: Server, onRequest: @escaping @Sendable ([UInt8]) -> Void,
        onResponse: @escaping @Sendable ([UInt8], MappedMemory?) -> Void
    ) throws {
        folder = try temporaryFolder().path
        path = folder + "/socket"
        guard let listener = listeningSocket(at: path) else { throw SystemError("listen \(path)") }
        self.listener = listener
        let (near, far) = try UnixSocket.pair()
        link = near
        // Both ends get descriptors of their own: different threads close them.
        let (nearEnd, farEnd) = (dup(near.descriptor), dup(far.descriptor))
        let held = Accepted()
        self.client = held
        proxy = try JoinableThread {
            let accepted = accept(listener, nil, nil)
            held.descriptor.withLock { $0 = accepted }
            let (client, server) = (Peer(owning: accepted), Peer(owning: nearEnd))
            while accepted >= 0, !client.hasEnded, !server.hasEnded {
                Peer.wait(client, server, seconds: 1)
                while let frame = client.frame(within: 0) {
                    onRequest(frame)
                    server.send(frame)
                }
                while let frame = server.frame(within: 0) {
                    let descriptor = server.takeDescriptor()
                    onResponse(frame, descriptor.flatMap { MappedMemory(descriptor: $0) })
                    client.send(frame, passing: descriptor ?? -1)
                    if let descriptor { close(descriptor) }
                }
            }
            held.descriptor.withLock { $0 = -1 }
            client.end()
            server.end()
        }
        serving = try JoinableThread { server.serve(UnixSocket(owning: farEnd)) }
    }

    /// Ends the connection on both sides. From any thread.
    func cut() {
        shutdown(listener, Int32(SHUT_RDWR))
        link.shutdown()
        // Also where something is being sent to a client that does not take it.
        client.descriptor.withLock { if $0 >= 0 { shutdown($0, Int32(SHUT_RDWR)) } }
    }

    /// Ends the connection, and waits until nothing of it is left.
    func end() {
        cut()
        proxy.join()
        serving.join()
        close(listener)
        unlink(path)
        rmdir(folder)
    }
}
