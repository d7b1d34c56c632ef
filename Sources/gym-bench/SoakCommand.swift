import ArgumentParser
import CommandLineSupport
import Foundation
import GymClient
import GymCore
import GymProtocol

/// `gym-bench soak`: whether memory stays where it is, the server's and the client's.
struct SoakCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "soak",
        abstract: "Memory with many connections, over many makes and closes, and over a long run of steps.",
        discussion: "Fails when memory grows, or when the connections take too much.")

    @Option(parsing: .unconditional, help: "Connections at a time, each with a CartPole that steps.")
    var connections = 1000

    @Option(parsing: .unconditional, help: "Makes and closes, over both transports in turn.")
    var cycles = 100_000

    @Option(parsing: .unconditional, help: "Seconds of stepping, over both transports in turn.")
    var seconds = 3600.0

    @Flag(help: "Print JSON.")
    var json = false

    /// What a server with 1000 connections may take, in MiB; with more or fewer, in proportion.
    private static let mostMebibytesPerThousand = 200.0
    /// Looks at the memory, evenly over a phase. The first quarter of them is for warming up.
    private static let samples = 20
    /// Growth in MiB between the second quarter and the last that is put down to chance. It lets a leak of 70 bytes a
    /// cycle pass, which is less than any object that a cycle makes.
    private static let allowedGrowth = 2.0

    func validate() throws {
        guard (1...100_000).contains(connections) else {
            throw ValidationError("--connections is \(connections); it has to be from 1 to 100000")
        }
        guard cycles >= SoakCommand.samples else {
            throw ValidationError("--cycles is \(cycles); it has to be at least \(SoakCommand.samples)")
        }
        guard seconds > 0 else { throw ValidationError("--seconds is \(seconds); it has to be above 0") }
    }

    /// Memory at one moment of a phase.
    private struct Sample: Encodable {
        let seconds: Double
        /// Cycles or steps of single environments so far.
        let count: Int
        let serverMib: Double
        let clientMib: Double
    }

    private struct Report: Encodable {
        let connections: Int
        let connectionsMib: Double
        let cycles: [Sample]
        let steps: [Sample]
        let failures: [String]
    }

    func run() throws {
        raiseDescriptorLimit()
        let withMany = try serveMany()
        say("\(connections) connections with a CartPole each: the server takes \(mebibytes(withMany))")
        let cycleSamples = try makeAndClose()
        let stepSamples = try stepOn()
        var failures = [growth(cycleSamples, of: "makes and closes"), growth(stepSamples, of: "steps")].flatMap { $0 }
        if withMany > SoakCommand.mostMebibytesPerThousand * max(Double(connections) / 1000, 1) {
            failures.append("\(connections) connections take \(mebibytes(withMany))")
        }
        let report = Report(
            connections: connections, connectionsMib: withMany, cycles: cycleSamples, steps: stepSamples,
            failures: failures)
        if json { StandardStreams.print(try jsonText(report)) }
        say(failures.isEmpty ? "memory is flat" : failures.joined(separator: "\n"))
        if !failures.isEmpty { throw ExitCode(1) }
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
        return try residentMebibytes("\(server.processIdentifier)")
    }

    private func makeAndClose() throws -> [Sample] {
        say("makes and closes")
        let server = try ServerProcess()
        let connection = try Connection(path: server.path, name: "gym-bench")
        var samples: [Sample] = []
        let start = ContinuousClock.now
        for cycle in 0..<cycles {
            let environment = try connection.make("CartPole-v1", count: 4, transport: Transport.allCases[cycle % 2])
            // Of each transport one in ten is used, too.
            if cycle % 20 < 2 {
                try environment.reset()
                try environment.step()
            }
            try environment.close()
            if (cycle + 1) * SoakCommand.samples / cycles > samples.count {
                samples.append(try sample(server, start.duration(to: .now) / .seconds(1), cycle + 1))
            }
        }
        return samples
    }

    private func stepOn() throws -> [Sample] {
        say("steps")
        let server = try ServerProcess()
        let connection = try Connection(path: server.path, name: "gym-bench")
        let environments = try Transport.allCases.map { transport in
            let environment = try connection.make("CartPole-v1", count: 16, autoreset: .sameStep, transport: transport)
            try environment.reset(seeds: [0])
            return environment
        }
        var steps = 0
        var samples: [Sample] = []
        let start = ContinuousClock.now
        while samples.count < SoakCommand.samples {
            for environment in environments {
                try environment.step()
                steps += environment.count
            }
            let elapsed = start.duration(to: .now) / .seconds(1)
            if elapsed * Double(SoakCommand.samples) >= seconds * Double(samples.count + 1) {
                samples.append(try sample(server, elapsed, steps))
            }
        }
        return samples
    }

    private func sample(_ server: ServerProcess, _ seconds: Double, _ count: Int) throws -> Sample {
        let sample = Sample(
            seconds: seconds, count: count, serverMib: try residentMebibytes("\(server.processIdentifier)"),
            clientMib: try residentMebibytes("self"))
        say(
            "\(format(seconds, 0)) s, \(count): server \(mebibytes(sample.serverMib)), "
                + "client \(mebibytes(sample.clientMib))")
        return sample
    }

    /// What grew of both sides between the warm-up and the end.
    private func growth(_ samples: [Sample], of what: String) -> [String] {
        [("server", \Sample.serverMib), ("client", \Sample.clientMib)].compactMap { side, memory in
            let values = samples.map { $0[keyPath: memory] }
            guard let (before, after) = gym_bench.growth(values, allowed: SoakCommand.allowedGrowth) else { return nil }
            return "the \(side) grew from \(mebibytes(before)) to \(mebibytes(after)) over \(what)"
        }
    }

    /// A line for people, at once: a long run is watched.
    private func say(_ line: String) {
        if !json { StandardStreams.print(line) }
    }

    private func mebibytes(_ value: Double) -> String { format(value, 1) + " MiB" }
}
