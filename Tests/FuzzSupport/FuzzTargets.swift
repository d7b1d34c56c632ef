package import Conversations
import Glibc
import GymProtocol
import GymServer
import TestSupport

/// A server to which conversations are played by a hostile client.
package final class FuzzedServer: Sendable {
    private let server: Server
    private static let patience = Conversation.Patience(answer: 0.02, silence: 0.005)

    /// A server with small limits, and all environments.
    package init() throws { server = try FuzzEnvironments.server() }

    /// Serves one connection on which the client's part of the conversation is played; returns when it is over.
    ///
    /// - Throws: ``Leftover`` when the server keeps something of it, ``SystemError``.
    package func run(_ conversation: Conversation) throws {
        let (client, served) = try UnixSocket.pair()
        let descriptor = dup(client.descriptor)
        let attacker = try JoinableThread {
            let peer = Peer(owning: descriptor)
            conversation.attack(peer, patience: FuzzedServer.patience)
            peer.drain(within: 60)
        }
        server.serve(served)
        attacker.join()
        let status = server.status
        guard status.connections == 0, status.environments == 0 else {
            throw Leftover(
                description: "\(status.connections) connections, \(status.environments) environments are left")
        }
    }

    /// Something of a connection that is over.
    package struct Leftover: Error, CustomStringConvertible {
        /// What it is.
        package let description: String
    }
}

/// The Swift client, to which conversations are played by a hostile server.
package final class FuzzedClient: Sendable {
    private let folder: String
    private let listener: Int32
    private static let patience = Conversation.Patience(answer: 0.02, silence: 0.005)

    /// A socket to which the client will connect.
    package init() throws {
        folder = try temporaryFolder().path
        guard let listener = listeningSocket(at: folder + "/socket") else { throw SystemError("listen") }
        self.listener = listener
    }

    deinit {
        close(listener)
        unlink(folder + "/socket")
        rmdir(folder)
    }

    /// Has the client do all that it can, while the server's part of the conversation is played to it.
    ///
    /// - Throws: what the client throws and does not document.
    package func run(_ conversation: Conversation) throws {
        let (listener, patience) = (listener, FuzzedClient.patience)
        let attacker = try JoinableThread {
            HostileServer(conversation, patience: patience).serve(Peer(owning: accept(listener, nil, nil)))
        }
        defer { attacker.join() }
        try ClientScript(of: conversation).run(path: folder + "/socket")
    }
}
