import Glibc
import GymClient
import GymCore
import GymProtocol

// fault-client SOCKET MOMENT [TRANSPORT]: a client that comes to a certain moment, says so on standard output, and stays
// there until it is killed.
//
// Of the moments, `step` and `make` are within something that takes the server two seconds, `send` has environments that
// step one by one, and `spin` steps as fast as it can.

/// What the environments of the moments `step`, `make` and `send` take, in milliseconds.
private let patience = 2000

@main
enum FaultClient {
    static func main() throws {
        let arguments = CommandLine.arguments
        let connection = try Connection(path: arguments[1], name: "fault-client")
        let transport: Transport = arguments.last == "shared-memory" ? .sharedMemory : .socket
        switch arguments[2] {
        case "make":
            announce()
            _ = try connection.make(
                "conformance/Slow-v0", count: 2, options: ["make_milliseconds": .integer(patience)],
                transport: transport)
        case "step":
            let batch = try slow(connection, transport)
            try batch.sendStep()
            announce()
            try batch.receiveStep()
        case "send":
            let batch = try slow(connection, .socket)
            try batch.send(environments: [0, 1])
            announce()
            _ = try batch.receive(2)
        default:
            let batch = try connection.make("CartPole-v1", count: 64, transport: transport)
            try batch.reset()
            try batch.step()
            announce()
            while true { try batch.step() }
        }
    }

    private static func slow(_ connection: Connection, _ transport: Transport) throws -> RemoteVectorEnvironment {
        let batch = try connection.make("conformance/Slow-v0", count: 2, transport: transport)
        try batch.reset()
        batch.actions.elements(as: Int64.self).update(repeating: Int64(patience))
        return batch
    }

    private static func announce() {
        print("ready")
        fflush(nil)
    }
}
