import ArgumentParser
import CommandLineSupport
import GymClient
import GymCore
import GymEnvironments
import GymProtocol

/// `gym-bench throughput`: steps a second of batches, in process and through both transports.
struct ThroughputCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "throughput", abstract: "Steps a second of batches of environments, in process and in another one."
    )

    @Option(help: "The environment; may be given several times. (default: CartPole-v1, Pendulum-v1)")
    var environment: [String] = []

    @Option(help: "Environments in the batch; may be given several times. (default: 1, 64, 1024)")
    var envs: [Int] = []

    @Option(help: "Seconds of each of the three windows whose median is reported.")
    var seconds = 0.5

    @Option(help: "A running server, as unix:PATH. (default: one of its own)")
    var server: String?

    @Flag(help: "Print JSON.")
    var json = false

    func validate() throws {
        if let bad = envs.first(where: { !(1...65_536).contains($0) }) {
            throw ValidationError("--envs is \(bad); it has to be from 1 to 65536")
        }
        guard seconds > 0, seconds <= 3600 else {
            throw ValidationError("--seconds is \(seconds); it has to be above 0, at most 3600")
        }
        let known = GymEnvironments.registry.specs.map(\.id)
        for id in environment where !known.contains(id) {
            throw ValidationError("there is no environment '\(id)'" + suggestion(for: id, in: known))
        }
    }

    private struct Row: Encodable {
        let environment: String
        let numEnvs: Int
        let transport: String
        let stepsPerSecond: Double
    }

    func run() throws {
        let own = server == nil ? try ServerProcess() : nil
        let address = server ?? own!.path
        var rows: [Row] = []
        if !json { StandardStreams.print("environment                    envs  transport         steps/s") }
        for id in environment.isEmpty ? ["CartPole-v1", "Pendulum-v1"] : environment {
            for count in envs.isEmpty ? [1, 64, 1024] : envs {
                for (transport, step) in try steppers(id, count, address) {
                    _ = try rate(count, window: seconds / 4, step)
                    let rates = try (0..<3).map { _ in try rate(count, window: seconds, step) }
                    let row = Row(environment: id, numEnvs: count, transport: transport, stepsPerSecond: median(rates))
                    rows.append(row)
                    if !json { StandardStreams.print(text(row)) }
                }
            }
        }
        if json { StandardStreams.print(try jsonText(rows)) }
    }

    /// For each way to reach the environments, something that steps them all once.
    private func steppers(
        _ id: String, _ count: Int, _ address: String
    ) throws -> [(transport: String, step: () throws -> Void)] {
        let batch = try GymEnvironments.registry.make(id, VectorEnvironmentSettings(count: count))
        let buffers = StepBuffers(observationSpace: batch.observationSpace, count: count)
        let actions = BatchBuffer(space: batch.actionSpace, count: count)
        fill(actions, from: batch.actionSpace, seed: 0)
        _ = try batch.reset(rows: Array(0..<count), seeds: [], options: [:], wantsInfo: false, into: buffers)
        var steppers: [(transport: String, step: () throws -> Void)] = [
            ("in-process", { _ = batch.step(rows: 0..<count, actions: actions, wantsInfo: false, into: buffers) })
        ]
        for (name, transport) in [("shared-memory", Transport.sharedMemory), ("socket", .socket)] {
            let connection = try Connection(path: address, name: "gym-bench")
            let remote = try connection.make(id, count: count, transport: transport)
            fill(remote.actions, from: remote.actionSpace, seed: 0)
            try remote.reset(seeds: [0])
            steppers.append((name, { try remote.step() }))
        }
        return steppers
    }

    /// Steps of single environments a second.
    private func rate(_ count: Int, window: Double, _ step: () throws -> Void) throws -> Double {
        var steps = 0
        var elapsed = 0.0
        // Looking at the clock after every step would weigh on the fastest cases.
        var repetitions = 1
        while elapsed < window {
            elapsed += try gym_bench.seconds { for _ in 0..<repetitions { try step() } }
            steps += repetitions * count
            if elapsed < window / 20 { repetitions *= 2 }
        }
        return Double(steps) / elapsed
    }

    private func text(_ row: Row) -> String {
        func padded(_ text: String, _ width: Int) -> String {
            text + String(repeating: " ", count: max(1, width - text.count))
        }
        return padded(row.environment, 31) + padded("\(row.numEnvs)", 6) + padded(row.transport, 15)
            + format(row.stepsPerSecond, 0)
    }
}
