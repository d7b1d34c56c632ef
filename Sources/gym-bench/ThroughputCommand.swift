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

    @Option(parsing: .unconditional, help: "Seconds of each of the three windows whose median is reported.")
    var seconds = 0.5

    @Option(
        help: """
            Threads of the server; may be given several times, and the rates with the others are then compared with \
            the first. (default: one for each processor)
            """)
    var threads: [Int] = []

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
        if let bad = threads.first(where: { !(1...1024).contains($0) }) {
            throw ValidationError("--threads is \(bad); it has to be from 1 to 1024")
        }
        guard threads.isEmpty || server == nil else {
            throw ValidationError("--threads is for a server of gym-bench's own; --server names another one")
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
        /// Of the server; `nil` where it has one for each processor, or is not asked.
        let threads: Int?
        let stepsPerSecond: Double
        /// Times the rate with the first number of threads.
        let speedup: Double?
    }

    /// A way to step a batch.
    private struct Way {
        let transport: String
        let threads: Int?
        let step: () throws -> Void
        var rates: [Double] = []
    }

    func run() throws {
        let own = try startServers()
        let addresses = server.map { [$0] } ?? own.map(\.path)
        let counts = threads.isEmpty ? [nil] : threads.map(Optional.some)
        // They end with the objects.
        try withExtendedLifetime(own) { try report(on: Array(zip(addresses, counts))) }
    }

    private func startServers() throws -> [ServerProcess] {
        if server != nil { return [] }
        if threads.isEmpty { return [try ServerProcess()] }
        return try threads.map { try ServerProcess(arguments: ["--threads", "\($0)"]) }
    }

    private func report(on servers: [(String, Int?)]) throws {
        var rows: [Row] = []
        if !json { StandardStreams.print("environment                    envs  transport      threads  steps/s") }
        for id in environment.isEmpty ? ["CartPole-v1", "Pendulum-v1"] : environment {
            for count in envs.isEmpty ? [1, 64, 1024] : envs {
                for row in try measure(id, count, servers) {
                    rows.append(row)
                    if !json { StandardStreams.print(text(row)) }
                }
            }
        }
        if json { StandardStreams.print(try jsonText(rows)) }
    }

    /// The rates of all ways to reach a batch. They take turns, so that what else the machine does meets them alike.
    private func measure(_ id: String, _ count: Int, _ servers: [(String, Int?)]) throws -> [Row] {
        var ways = try ways(id, count, servers)
        for way in ways { _ = try rate(count, window: seconds / 4, way.step) }
        for _ in 0..<3 {
            for index in ways.indices { ways[index].rates.append(try rate(count, window: seconds, ways[index].step)) }
        }
        return ways.map { way in
            let first = ways.first { $0.transport == way.transport }!
            return Row(
                environment: id, numEnvs: count, transport: way.transport, threads: way.threads,
                stepsPerSecond: median(way.rates),
                speedup: threads.count > 1 && way.threads != nil ? median(way.rates) / median(first.rates) : nil)
        }
    }

    private func ways(_ id: String, _ count: Int, _ servers: [(String, Int?)]) throws -> [Way] {
        let batch = try GymEnvironments.registry.make(id, VectorEnvironmentSettings(count: count))
        let buffers = StepBuffers(observationSpace: batch.observationSpace, count: count)
        let actions = BatchBuffer(space: batch.actionSpace, count: count)
        let script = ActionScript(batch.actionSpace, count: count)
        _ = try batch.reset(
            rows: Array(0..<count), seeds: (0..<count).map(UInt64.init), options: [:], wantsInfo: false, into: buffers)
        var ways = [
            Way(transport: "in-process", threads: nil) {
                script.next(into: actions)
                _ = batch.step(rows: 0..<count, actions: actions, wantsInfo: false, into: buffers)
            }
        ]
        for (name, transport) in [("shared-memory", Transport.sharedMemory), ("socket", .socket)] {
            for (address, threads) in servers {
                let connection = try Connection(path: address, name: "gym-bench")
                let remote = try connection.make(id, count: count, transport: transport)
                let script = ActionScript(remote.actionSpace, count: count)
                try remote.reset(seeds: [0])
                ways.append(
                    Way(transport: name, threads: threads) {
                        script.next(into: remote.actions)
                        try remote.step()
                    })
            }
        }
        return ways
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
            + padded(row.threads.map(String.init) ?? "", 9) + padded(format(row.stepsPerSecond, 0), 12)
            + (row.speedup.map { format($0, 2) + " times the first" } ?? "")
    }
}

/// Batches of random actions, in turns: the same ones over and over would have bodies lie still.
private final class ActionScript {
    private let batches: [BatchBuffer]
    private var position = 0

    private static let length = 50

    init(_ space: Space, count: Int) {
        var sampler = SpaceSampler(space, seed: 0)
        batches = (0..<ActionScript.length).map { _ in
            let batch = BatchBuffer(space: space, count: count)
            for row in 0..<count { batch.store(sampler.sample(), of: space, row: row) }
            return batch
        }
    }

    /// Copies the next batch.
    func next(into actions: BatchBuffer) {
        let batch = batches[position]
        position = (position + 1) % batches.count
        for leaf in batch.leaves.indices {
            let source = batch.bytes(ofLeaf: leaf)
            actions.bytes(ofLeaf: leaf).copyMemory(from: UnsafeRawBufferPointer(source))
        }
    }
}
