import ArgumentParser
import CommandLineSupport
import Foundation
import GymClient
import GymCore
import GymProtocol

/// `gym-bench soak`: whether a server's memory stays where it is.
struct SoakCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "soak",
        abstract: "A server's memory with many connections, over many makes and closes, and over a long run of steps.")

    @Option(help: "Connections at a time, each with a CartPole that steps.")
    var connections = 1000

    @Option(help: "Makes and closes, over both transports in turn.")
    var cycles = 100_000

    @Option(help: "Seconds of stepping, over both transports in turn.")
    var seconds = 60.0

    @Flag(help: "Print JSON.")
    var json = false

    func validate() throws {
        guard (1...100_000).contains(connections) else {
            throw ValidationError("--connections is \(connections); it has to be from 1 to 100000")
        }
        guard cycles >= 1 else { throw ValidationError("--cycles is \(cycles); it has to be at least 1") }
        guard seconds > 0 else { throw ValidationError("--seconds is \(seconds); it has to be above 0") }
    }

    private struct Report: Encodable {
        let connections: Int
        let connectionsMib: Double
        let cycles: Int
        let cyclesFirstMib: Double
        let cyclesLastMib: Double
        let seconds: Double
        let steps: Int
        let stepsFirstMib: Double
        let stepsLastMib: Double
    }

    func run() throws {
        raiseDescriptorLimit()
        let withMany = try serveMany()
        let (cyclesFirst, cyclesLast) = try makeAndClose()
        let (steps, stepsFirst, stepsLast) = try stepOn()
        let report = Report(
            connections: connections, connectionsMib: withMany, cycles: cycles, cyclesFirstMib: cyclesFirst,
            cyclesLastMib: cyclesLast, seconds: seconds, steps: steps, stepsFirstMib: stepsFirst,
            stepsLastMib: stepsLast)
        StandardStreams.print(try json ? jsonText(report) : text(report))
    }

    /// Memory with all connections open, each stepped a few times.
    private func serveMany() throws -> Double {
        let server = try ServerProcess(arguments: ["--max-connections", "\(connections)"])
        let environments = try (0..<connections).map { index in
            let environment = try Connection(path: server.path, name: "gym-bench").make("CartPole-v1")
            try environment.reset(seeds: [UInt64(index)])
            return environment
        }
        for _ in 0..<20 {
            for environment in environments { try environment.step() }
        }
        return try residentMebibytes(server)
    }

    /// Memory after a tenth of the cycles, and after all.
    private func makeAndClose() throws -> (first: Double, last: Double) {
        let server = try ServerProcess()
        let connection = try Connection(path: server.path, name: "gym-bench")
        var first = 0.0
        for cycle in 0..<cycles {
            if cycle == cycles / 10 { first = try residentMebibytes(server) }
            let environment = try connection.make("CartPole-v1", count: 4, transport: Transport.allCases[cycle % 2])
            if cycle % 10 < 2 {
                try environment.reset()
                try environment.step()
            }
            try environment.close()
        }
        return (first, try residentMebibytes(server))
    }

    /// Steps made, and memory after a tenth of the time and after all of it.
    private func stepOn() throws -> (steps: Int, first: Double, last: Double) {
        let server = try ServerProcess()
        let connection = try Connection(path: server.path, name: "gym-bench")
        let environments = try Transport.allCases.map { transport in
            let environment = try connection.make("CartPole-v1", count: 16, autoreset: .sameStep, transport: transport)
            try environment.reset(seeds: [0])
            return environment
        }
        var steps = 0
        var first: Double?
        let start = Date()
        while -start.timeIntervalSinceNow < seconds {
            for _ in 0..<1000 {
                for environment in environments { try environment.step() }
            }
            steps += 1000 * 16 * environments.count
            if first == nil && -start.timeIntervalSinceNow > seconds / 10 { first = try residentMebibytes(server) }
        }
        let last = try residentMebibytes(server)
        return (steps, first ?? last, last)
    }

    private func residentMebibytes(_ server: ServerProcess) throws -> Double {
        let path = "/proc/\(server.processIdentifier)/statm"
        let pages = try String(contentsOfFile: path, encoding: .utf8).split(separator: " ")[1]
        return Double(Int(pages)! * sysconf(Int32(_SC_PAGESIZE))) / Double(1 << 20)
    }

    private func text(_ report: Report) -> String {
        func mebibytes(_ value: Double) -> String { format(value, 1) + " MiB" }
        return [
            "\(report.connections) connections with a CartPole each: the server takes \(mebibytes(report.connectionsMib))",
            "\(report.cycles) makes and closes: \(mebibytes(report.cyclesFirstMib)) after a tenth of them, "
                + "\(mebibytes(report.cyclesLastMib)) after all",
            "\(report.steps) steps in \(format(report.seconds, 0)) s: \(mebibytes(report.stepsFirstMib)) after a tenth of "
                + "the time, \(mebibytes(report.stepsLastMib)) after all of it",
        ].joined(separator: "\n")
    }
}
