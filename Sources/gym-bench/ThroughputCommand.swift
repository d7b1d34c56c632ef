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
        /// What happens at an episode's end, where that is compared.
        var autoreset: String?
        /// Batches on the connection that are stepped in turns, where that is compared.
        var handles: Int?
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
        var rows: [Row] = []
        // They end with the objects.
        try withExtendedLifetime(own) { rows = try report(on: Array(zip(addresses, counts))) }
        if environment.isEmpty && server == nil { rows += try compare() }
        if json { StandardStreams.print(try jsonText(rows)) }
    }

    // MARK: What a way of stepping costs

    /// CartPoles whose episodes end in the step itself beside those that wait for the next, and a connection with several
    /// batches beside one with a single one.
    private func compare() throws -> [Row] {
        let id = "CartPole-v1"
        let server = try ServerProcess()
        var ends = try [AutoresetMode.nextStep, .sameStep].map { mode in
            try way(server.path, id, count: 1024, .sharedMemory, mode)
        }
        try measure(&ends, count: 1024)
        // On one processor: left to itself, each pair of processes would choose by chance.
        let allowed = Processors.allowed
        defer { Processors.allowed = allowed }
        Processors.allowed = Array(allowed.prefix(1))
        let pinned = try ServerProcess()
        var handles = try [1, 8].map { count in try inTurns(pinned.path, id, handles: count) }
        try measure(&handles, count: 1)
        let (endRates, handleRates) = (ends.map { median($0.rates) }, handles.map { median($0.rates) })
        if !json {
            StandardStreams.print(
                "1024 \(id) over shared memory, same-step: \(format(endRates[0], 0)) steps/s next-step, "
                    + "\(format(endRates[1], 0)) same-step, \(format(endRates[1] / endRates[0], 2)) times the rate")
            StandardStreams.print(
                "a step of one \(id) over the socket: \(format(1e6 / handleRates[0], 2)) µs with one handle, "
                    + "\(format(1e6 / handleRates[1], 2)) µs with 8 in turns, "
                    + "\(format(handleRates[0] / handleRates[1], 2)) times as long")
        }
        return zip(["next-step", "same-step"], endRates).map { mode, rate in
            Row(
                environment: id, numEnvs: 1024, transport: "shared-memory", threads: nil, stepsPerSecond: rate,
                speedup: nil, autoreset: mode)
        }
            + zip([1, 8], handleRates).map { count, rate in
                Row(
                    environment: id, numEnvs: 1, transport: "socket", threads: nil, stepsPerSecond: rate, speedup: nil,
                    handles: count)
            }
    }

    private func measure(_ ways: inout [Way], count: Int) throws {
        for way in ways { _ = try rate(count, window: seconds / 4, way.step) }
        for _ in 0..<3 {
            for index in ways.indices { ways[index].rates.append(try rate(count, window: seconds, ways[index].step)) }
        }
    }

    private func way(
        _ address: String, _ id: String, count: Int, _ transport: Transport, _ autoreset: AutoresetMode = .nextStep
    ) throws -> Way {
        let connection = try Connection(path: address, name: "gym-bench")
        let remote = try connection.make(id, count: count, autoreset: autoreset, transport: transport)
        let script = ActionScript(remote.actionSpace, count: count)
        try remote.reset(seeds: [0])
        return Way(transport: "\(transport)", threads: nil) {
            script.next(into: remote.actions)
            try remote.step()
        }
    }

    /// Batches of one environment on one connection, of which each step takes the next.
    private func inTurns(_ address: String, _ id: String, handles: Int) throws -> Way {
        let connection = try Connection(path: address, name: "gym-bench")
        let batches = try (0..<handles).map { _ in try connection.make(id, transport: .socket) }
        for batch in batches { try batch.reset(seeds: [0]) }
        var next = 0
        return Way(transport: "socket", threads: nil) {
            try batches[next].step()
            next = (next + 1) % batches.count
        }
    }

    private func startServers() throws -> [ServerProcess] {
        if server != nil { return [] }
        if threads.isEmpty { return [try ServerProcess()] }
        return try threads.map { try ServerProcess(arguments: ["--threads", "\($0)"]) }
    }

    private func report(on servers: [(String, Int?)]) throws -> [Row] {
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
        return rows
    }

    /// The rates of all ways to reach a batch. They take turns, so that what else the machine does meets them alike.
    private func measure(_ id: String, _ count: Int, _ servers: [(String, Int?)]) throws -> [Row] {
        var ways = try ways(id, count, servers)
        try measure(&ways, count: count)
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
