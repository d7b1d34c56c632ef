import ArgumentParser
import CommandLineSupport
import GymClient
import GymCore
import GymProtocol

/// `gym-bench roundtrip`: a step of one CartPole beside the bare round trip of the same transport.
struct RoundtripCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "roundtrip",
        abstract: "A step of one CartPole in another process, beside the bare round trip of the same transport.")

    @Flag(help: "Print JSON.")
    var json = false

    @Option(parsing: .unconditional, help: "Rounds; each measures all four, and medians are reported.")
    var rounds = 21

    func validate() throws {
        guard (1...10_000).contains(rounds) else {
            throw ValidationError("--rounds is \(rounds); it has to be from 1 to 10000")
        }
    }

    private struct Report: Encodable {
        let bareSocketUs: Double
        let stepSocketUs: Double
        let socketRatio: Double
        let bareSharedMemoryUs: Double
        let stepSharedMemoryUs: Double
    }

    func run() throws {
        let server = try ServerProcess()
        let connection = try Connection(path: server.path, name: "gym-bench")
        let bareSocket = try BarePingPong.SocketPeer()
        let socket = try cartPole(connection, .socket)
        let shared = try cartPole(try Connection(path: server.path, name: "gym-bench"), .sharedMemory)
        var samples = [[Double]](repeating: [], count: 4)
        for round in 0...rounds {
            let measured = [
                microseconds(over: 1000) { bareSocket.roundTrip() },
                try microseconds(over: 1000) { try socket.step() },
                // It spins, so it lives for its own measurement only.
                try withExtendedLifetime(BarePingPong.SharedMemoryPeer()) { bare in
                    microseconds(over: 20_000) { bare.roundTrip() }
                },
                try microseconds(over: 20_000) { try shared.step() },
            ]
            // The first round warms up.
            if round > 0 { for index in samples.indices { samples[index].append(measured[index]) } }
        }
        let medians = samples.map(median)
        let report = Report(
            bareSocketUs: medians[0], stepSocketUs: medians[1], socketRatio: medians[1] / medians[0],
            bareSharedMemoryUs: medians[2], stepSharedMemoryUs: medians[3])
        StandardStreams.print(try json ? jsonText(report) : text(report))
    }

    private func cartPole(_ connection: Connection, _ transport: Transport) throws -> RemoteVectorEnvironment {
        let environment = try connection.make("CartPole-v1", transport: transport)
        try environment.reset(seeds: [0])
        fill(environment.actions, from: environment.actionSpace, seed: 0)
        return environment
    }

    private func text(_ report: Report) -> String {
        func row(_ name: String, _ value: Double) -> String {
            name + String(repeating: " ", count: 36 - name.count) + format(value, 2)
        }
        return [
            row("socket, bare round trip", report.bareSocketUs) + " µs",
            row("socket, step of one CartPole", report.stepSocketUs)
                + " µs, \(format(report.socketRatio, 2)) times bare",
            row("shared memory, bare round trip", report.bareSharedMemoryUs) + " µs",
            row("shared memory, step of one CartPole", report.stepSharedMemoryUs) + " µs",
        ].joined(separator: "\n")
    }
}

/// A number with the given decimals.
func format(_ value: Double, _ decimals: Int) -> String {
    let scale = (0..<decimals).reduce(1.0) { product, _ in product * 10 }
    let rounded = Int((value * scale).rounded())
    guard decimals > 0 else { return "\(rounded)" }
    let fraction = String(rounded % Int(scale))
    return "\(rounded / Int(scale))." + String(repeating: "0", count: decimals - fraction.count) + fraction
}
