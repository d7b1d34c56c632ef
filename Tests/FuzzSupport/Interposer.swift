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
    private let proxy: JoinableThread
    private let serving: JoinableThread

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
        proxy = try JoinableThread {
            let accepted = accept(listener, nil, nil)
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
            client.end()
            server.end()
        }
        serving = try JoinableThread { server.serve(UnixSocket(owning: farEnd)) }
    }

    /// Ends the connection on both sides. From any thread.
    func cut() {
        shutdown(listener, Int32(SHUT_RDWR))
        link.shutdown()
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
