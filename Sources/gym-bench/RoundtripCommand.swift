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

    @Option(parsing: .unconditional, help: "Rounds of a bare round trip and a step in turns; medians are reported.")
    var rounds = 21

    func validate() throws {
        guard (1...10_000).contains(rounds) else {
            throw ValidationError("--rounds is \(rounds); it has to be from 1 to 10000")
        }
    }

    private struct Report: Encodable {
        let transport: String
        /// Of both processes together: on one they take turns, on two one wakes the other.
        let processors: Int
        let bareUs: Double
        let stepUs: Double
        let ratio: Double
    }

    func run() throws {
        let reports = try overSocket() + overSharedMemory()
        if json { return StandardStreams.print(try jsonText(reports)) }
        for report in reports {
            StandardStreams.print(
                "\(report.transport), \(report.processors == 1 ? "one processor" : "two processors"): "
                    + "bare \(format(report.bareUs, 2)) µs, a step of one CartPole \(format(report.stepUs, 2)) µs, "
                    + "\(format(report.ratio, 2)) times bare")
        }
    }

    /// On one processor, and on two: left to itself, each pair of processes would choose by chance.
    private func overSocket() throws -> [Report] {
        let allowed = Processors.allowed
        defer { Processors.allowed = allowed }
        Processors.allowed = Array(allowed.prefix(1))
        let bare = try BarePingPong.SocketPeer()
        let server = try ServerProcess()
        let environment = try cartPole(try Connection(path: server.path, name: "gym-bench"), .socket)
        return try allowed.prefix(2).enumerated().map { index, processor in
            Processors.allowed = [processor]
            return try report(
                "socket", processors: index + 1,
                bare: { microseconds(over: 1000) { bare.roundTrip() } },
                step: { try microseconds(over: 1000) { try environment.step() } })
        }
    }

    /// On two processors: both sides spin.
    private func overSharedMemory() throws -> [Report] {
        guard Processors.allowed.count > 1 else {
            StandardStreams.error("shared memory is left out: it wants a processor for each process")
            return []
        }
        let server = try ServerProcess()
        let environment = try cartPole(try Connection(path: server.path, name: "gym-bench"), .sharedMemory)
        return [
            try report(
                "shared memory", processors: 2,
                bare: {
                    // It spins, so it lives for its own measurement only.
                    try withExtendedLifetime(BarePingPong.SharedMemoryPeer()) { bare in
                        microseconds(over: 20_000) { bare.roundTrip() }
                    }
                },
                step: { try microseconds(over: 20_000) { try environment.step() } })
        ]
    }

    /// Both measured in turns.
    private func report(
        _ transport: String, processors: Int, bare: () throws -> Double, step: () throws -> Double
    ) throws -> Report {
        var samples: [(bare: Double, step: Double)] = []
        for round in 0...rounds {
            let sample = (try bare(), try step())
            // The first round warms up.
            if round > 0 { samples.append(sample) }
        }
        let (bareUs, stepUs) = (median(samples.map(\.bare)), median(samples.map(\.step)))
        return Report(
            transport: transport, processors: processors, bareUs: bareUs, stepUs: stepUs, ratio: stepUs / bareUs)
    }

    private func cartPole(_ connection: Connection, _ transport: Transport) throws -> RemoteVectorEnvironment {
        let environment = try connection.make("CartPole-v1", transport: transport)
        try environment.reset(seeds: [0])
        fill(environment.actions, from: environment.actionSpace, seed: 0)
        return environment
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
