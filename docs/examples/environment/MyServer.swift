import Dispatch
import Foundation
import GymCore
import GymServer

@main
enum MyServer {
    static func main() throws {
        var registry = EnvironmentRegistry()  // or GymEnvironments.registry, and yours beside those of swift-gym
        registry.register(Thermostat.spec) { Thermostat(options: $0) }
        let path = CommandLine.arguments[1]
        let server = try Server(registry: registry, path: path)
        let signals = stopOnSignals(server)
        print("listening on unix:\(path)")
        fflush(nil)
        server.run()
        withExtendedLifetime(signals) {}
    }
}

/// Ends as gym-server does: steps under way are finished, clients are told, the socket's file is removed.
func stopOnSignals(_ server: Server) -> [any DispatchSourceSignal] {
    signal(SIGPIPE, SIG_IGN)
    return [SIGINT, SIGTERM].map { number in
        signal(number, SIG_IGN)
        let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
        source.setEventHandler { server.stop(reason: "a signal") }
        source.resume()
        return source
    }
}
