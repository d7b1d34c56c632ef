import Agents
import ArgumentParser
import GymClient
import GymProtocol

/// How observations and actions travel.
enum TransportChoice: String, ExpressibleByArgument, CaseIterable {
    case auto
    case socket
    case sharedMemory = "shared-memory"

    /// What the client asks for; `nil`: what the server allows.
    var transport: Transport? {
        switch self {
        case .auto: nil
        case .socket: .socket
        case .sharedMemory: .sharedMemory
        }
    }
}

/// Where the environments come from.
struct ServerOptions: ParsableArguments {
    @Option(help: "The server's socket, as unix:PATH. (default: a server of its own, ended afterwards)")
    var server: String?

    @Option(help: "auto, socket or shared-memory: how observations and actions travel. Results do not depend on it.")
    var transport = TransportChoice.auto

    /// Connects to the server, after starting one if none was given.
    func connect() throws -> ServerConnection {
        if let server {
            guard server.hasPrefix("unix:"), server != "unix:" else {
                throw ValidationError("--server is '\(server)'; it has to be unix:PATH")
            }
            return try connection(to: server, embedded: nil)
        }
        let embedded = try ServerProcess()
        return try connection(to: embedded.path, embedded: embedded)
    }

    private func connection(to path: String, embedded: ServerProcess?) throws -> ServerConnection {
        let connection = try Connection(path: path, name: "gym-agent")
        return ServerConnection(
            embedded: embedded, environments: RemoteEnvironments(connection, transport: transport.transport))
    }
}

/// A server's environments, and the server that was started for them, if one was.
struct ServerConnection {
    let embedded: ServerProcess?
    let environments: RemoteEnvironments
}
