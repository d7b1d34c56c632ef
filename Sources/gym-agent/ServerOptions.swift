import Agents
import ArgumentParser
import Foundation
import GymClient
import GymCore
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
            return ServerConnection(embedded: nil, connection: try Connection(path: server, name: "gym-agent"))
        }
        let embedded = try ServerProcess()
        return ServerConnection(
            embedded: embedded, connection: try Connection(path: embedded.path, name: "gym-agent"))
    }

    /// Makes environments for an agent.
    ///
    /// - Throws: `ValidationError` with the nearest ids when the server has none of that id.
    func make(
        _ id: String, count: Int, on server: ServerConnection, autoreset: AutoresetMode = .sameStep,
        renderMode: String = ""
    ) throws -> RemoteVectorEnvironment {
        let ids = try server.connection.environments().map(\.id)
        guard ids.contains(id) else {
            throw ValidationError(
                "there is no environment '\(id)'" + suggestion(for: id, in: ids)
                    + "; the server has \(ids.joined(separator: ", "))")
        }
        return try server.connection.make(
            id, count: count, autoreset: autoreset, transport: transport.transport, renderMode: renderMode)
    }
}

/// A connection, and the server that was started for it, if one was.
struct ServerConnection {
    let embedded: ServerProcess?
    let connection: Connection
}

/// Plays greedy episodes, at most 100 side by side, the i-th seeded with `seed` + i.
func playEpisodes(
    _ policy: any Policy, _ id: String, episodes: Int, seed: UInt64, options: ServerOptions, on server: ServerConnection
) throws -> Evaluation {
    var returns: [Double] = []
    var lengths: [Int] = []
    while returns.count < episodes {
        let batch = try options.make(id, count: min(100, episodes - returns.count), on: server)
        let evaluation = try evaluate(policy, on: batch, seed: seed &+ UInt64(returns.count))
        returns += evaluation.returns
        lengths += evaluation.lengths
        try batch.close()
    }
    return Evaluation(returns: returns, lengths: lengths)
}
