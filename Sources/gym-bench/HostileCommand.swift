import ArgumentParser
import CommandLineSupport
import Conversations
import Foundation
import GymClient
import GymCore
import Synchronization

/// `gym-bench hostile`: whether a server that is attacked serves an honest client as if it were alone with it.
struct HostileCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "hostile",
        abstract: "Attacks a server with recorded conversations while an agent trains on it.",
        discussion: """
            First the agent trains on a server of its own. Then it trains again, over and over, on a server that \
            hostile clients connect to, each of which plays an attack that is chosen at random. Fails when the weights \
            are not the same each time, when memory, threads or descriptors of the server grow, or when it ends. \
            Everything goes over a Unix socket in a folder of this user's own.
            """)

    @Option(parsing: .unconditional, help: "Hostile connections in all, evenly over the time.")
    var connections = 10_000

    @Option(parsing: .unconditional, help: "Seconds that the attack takes.")
    var seconds = 3600.0

    @Option(parsing: .unconditional, help: "Hostile connections at a time, at the most.")
    var attackers = 8

    @Option(parsing: .unconditional, help: "What chooses the attacks.")
    var seed: UInt64 = 0

    @Option(
        help: "A folder of attacks; may be given several times. (default: Fuzz/corpus/server, Fuzz/regressions/server)")
    var attacks: [String] = []

    @Option(parsing: .unconditional, help: "Steps of each of the agent's runs: PPO on CartPole-v1.")
    var steps = 500_000

    @Flag(help: "Print JSON.")
    var json = false

    /// Looks at the server, evenly over the time; the first quarter of them is for warming up.
    private static let samples = 40
    /// Growth that is put down to chance: what attacks under way hold at the moment.
    private static let allowedMebibytes = 8.0
    /// The same, of threads and of descriptors.
    private static let allowedNumber = 4.0
    private static let patience = Conversation.Patience(answer: 0.5, silence: 0.05)
    /// Seconds that the server has to let go of the last attackers.
    private static let settleSeconds = 60.0

    func validate() throws {
        guard (1...10_000_000).contains(connections) else {
            throw ValidationError("--connections is \(connections); it has to be from 1 to 10000000")
        }
        guard seconds > 0 else { throw ValidationError("--seconds is \(seconds); it has to be above 0") }
        guard (1...256).contains(attackers) else {
            throw ValidationError("--attackers is \(attackers); it has to be from 1 to 256")
        }
        guard steps > 0 else { throw ValidationError("--steps is \(steps); it has to be at least 1") }
    }

    private struct Report: Encodable {
        let connections: Int
        let seconds: Double
        let weightsAlone: String
        let weightsUnderAttack: [String]
        let idleBefore: ProcessFigures
        let idleAfter: ProcessFigures?
        let underAttack: [ProcessFigures]
        let failures: [String]
    }

    func run() throws {
        signal(SIGPIPE, SIG_IGN)
        raiseDescriptorLimit()
        let attacks = try readAttacks()
        say("\(attacks.count) attacks")
        let alone: String
        do {
            let server = try ServerProcess()
            alone = try train(on: server.path)
        }
        say("alone: \(alone)")

        let server = try ServerProcess(arguments: ["--conformance", "--max-frame-bytes", "\(1 << 20)"])
        let process = "\(server.processIdentifier)"
        let observer = try Connection(path: server.path, name: "gym-bench")
        try observer.ping()
        let idleBefore = try ProcessFigures(of: process)
        let siege = Siege(
            attacks, path: server.path, connections: connections, seconds: seconds, seed: seed,
            patience: HostileCommand.patience)
        let start = ContinuousClock.now
        siege.begin(attackers: attackers)

        var failures: [String] = []
        let samples = Mutex<[ProcessFigures]>([])
        let sampler = Thread { [seconds] in
            for _ in 0..<HostileCommand.samples {
                Thread.sleep(forTimeInterval: seconds / Double(HostileCommand.samples))
                guard let figures = try? ProcessFigures(of: process) else { return }
                samples.withLock { $0.append(figures) }
            }
        }
        sampler.start()
        var weights: [String] = []
        repeat {
            do {
                weights.append(try train(on: server.path))
                say("\(siege.played) attacks played: \(weights.last!)")
            } catch {
                failures.append("the honest client failed after \(siege.played) attacks: \(error)")
            }
        } while !siege.isOver && failures.isEmpty
        siege.end()
        let elapsed = start.duration(to: .now) / .seconds(1)
        if weights.contains(where: { $0 != alone }) {
            failures.append("the weights differ from those of the run alone")
        }

        let idleAfter = settled(observer, process)
        if let idleAfter {
            failures += grown([idleBefore.threads, idleAfter.threads].map(Double.init), "threads, idle")
            failures += grown([idleBefore.descriptors, idleAfter.descriptors].map(Double.init), "descriptors, idle")
        } else {
            failures.append("the server did not let go of the attackers within \(HostileCommand.settleSeconds) s")
        }
        let figures = samples.withLock { $0 }
        failures += growing(figures.map(\.residentMib), "MiB", HostileCommand.allowedMebibytes)
        failures += growing(figures.map { Double($0.threads) }, "threads", HostileCommand.allowedNumber)
        failures += growing(figures.map { Double($0.descriptors) }, "descriptors", HostileCommand.allowedNumber)

        let report = Report(
            connections: siege.played, seconds: elapsed, weightsAlone: alone, weightsUnderAttack: weights,
            idleBefore: idleBefore, idleAfter: idleAfter, underAttack: figures, failures: failures)
        if json { StandardStreams.print(try jsonText(report)) }
        say(
            "\(siege.played) hostile connections in \(format(elapsed, 0)) s beside \(weights.count) honest runs; the "
                + "server: \(describe(idleBefore)) before, \(idleAfter.map(describe) ?? "gone") after")
        say(failures.isEmpty ? "the honest client was not harmed, and nothing grew" : failures.joined(separator: "\n"))
        if !failures.isEmpty { throw ExitCode(1) }
    }

    private func readAttacks() throws -> [Conversation] {
        let folders = attacks.isEmpty ? ["Fuzz/corpus/server", "Fuzz/regressions/server"] : attacks
        let read = try folders.flatMap { folder -> [Conversation] in
            guard let names = try? FileManager.default.contentsOfDirectory(atPath: folder) else {
                throw ValidationError("--attacks: there is no folder \(folder)")
            }
            return try names.sorted().map {
                Conversation(decoding: try Data(contentsOf: URL(fileURLWithPath: folder).appendingPathComponent($0)))
            }
        }
        guard !read.isEmpty else { throw ValidationError("--attacks: there is nothing in \(folders)") }
        return read
    }

    /// Trains an agent; returns the hash of its weights.
    private func train(on path: String) throws -> String {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("gym-bench-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
            .deletingLastPathComponent().appendingPathComponent("gym-agent")
        process.arguments =
            [
                "train", "ppo", "CartPole-v1", "--steps", "\(steps)", "--seed", "1", "--server", "unix:\(path)",
                "--run",
                folder.path,
            ]
        process.standardOutput = FileHandle.nullDevice
        let errors = Pipe()
        process.standardError = errors
        try process.run()
        let said = try errors.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw TrainingFailure(description: String(decoding: said, as: UTF8.self))
        }
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        let summary = try Data(contentsOf: folder.appendingPathComponent("summary.json"))
        return try decoder.decode(Summary.self, from: summary).weightsSha256
    }

    private struct Summary: Decodable {
        let weightsSha256: String
    }

    private struct TrainingFailure: Error, CustomStringConvertible {
        let description: String
    }

    /// The server's figures once it has no other connection and no environment any more; `nil` when it does not come to
    /// that, or is not there.
    private func settled(_ observer: Connection, _ process: String) -> ProcessFigures? {
        let deadline = Date().addingTimeInterval(HostileCommand.settleSeconds)
        while Date() < deadline {
            guard let status = try? observer.status() else { return nil }
            if status.connections == 1 && status.environments == 0 { return try? ProcessFigures(of: process) }
            Thread.sleep(forTimeInterval: 0.1)
        }
        return nil
    }

    private func grown(_ values: [Double], _ what: String) -> [String] {
        values[1] - values[0] > HostileCommand.allowedNumber
            ? ["the server went from \(format(values[0], 0)) to \(format(values[1], 0)) \(what)"] : []
    }

    private func growing(_ values: [Double], _ what: String, _ allowed: Double) -> [String] {
        growth(values, allowed: allowed).map { ["the server grew from \(format($0, 1)) to \(format($1, 1)) \(what)"] }
            ?? []
    }

    private func describe(_ figures: ProcessFigures) -> String {
        "\(format(figures.residentMib, 1)) MiB, \(figures.threads) threads, \(figures.descriptors) descriptors"
    }

    private func say(_ line: String) {
        if !json { StandardStreams.print(line) }
    }
}

/// Hostile clients, one after the other on each of a few threads.
private final class Siege: Sendable {
    private struct State {
        var next = 0
        var played = 0
        var generator: NumPyGenerator
        var isEnding = false
        var running = 0
    }

    private let attacks: [Conversation]
    private let path: String
    private let connections: Int
    private let seconds: Double
    private let patience: Conversation.Patience
    private let start = ContinuousClock.now
    private let state: Mutex<State>

    init(
        _ attacks: [Conversation], path: String, connections: Int, seconds: Double, seed: UInt64,
        patience: Conversation.Patience
    ) {
        self.attacks = attacks
        self.path = path
        self.connections = connections
        self.seconds = seconds
        self.patience = patience
        state = Mutex(State(generator: NumPyGenerator(seed: seed)))
    }

    /// How many attacks are over.
    var played: Int { state.withLock { $0.played } }

    /// Whether all are.
    var isOver: Bool { state.withLock { $0.played >= connections } }

    func begin(attackers: Int) {
        state.withLock { $0.running = attackers }
        for _ in 0..<attackers {
            Thread.detachNewThread { [self] in
                while let (number, attack) = next() { play(attack, number: number) }
                state.withLock { $0.running -= 1 }
            }
        }
    }

    /// Begins no other attack, and waits for those under way.
    func end() {
        state.withLock { $0.isEnding = true }
        while state.withLock({ $0.running > 0 }) { Thread.sleep(forTimeInterval: 0.01) }
    }

    private func next() -> (number: Int, Conversation)? {
        state.withLock { state -> (number: Int, Conversation)? in
            guard state.next < connections, !state.isEnding else { return nil }
            defer { state.next += 1 }
            return (state.next, attacks[state.generator.integer(in: 0..<attacks.count)])
        }
    }

    private func play(_ attack: Conversation, number: Int) {
        let due = seconds * Double(number) / Double(connections)
        let wait = due - start.duration(to: .now) / .seconds(1)
        if wait > 0 { Thread.sleep(forTimeInterval: wait) }
        if let server = Peer(path: path) {
            attack.attack(server, patience: patience)
            // Some take what is said to them, some leave at once.
            if number % 2 == 0 { server.drain(within: 1) }
        }
        state.withLock { $0.played += 1 }
    }
}
