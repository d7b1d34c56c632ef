import Conformance
import ConformanceEnvironments
import Foundation
import GymCore
import GymEnvironments
import GymServer
import ServerTestSupport
import TestSupport
import Testing

/// The suite itself under test: servers that are wrong in one way each are found out, one that is right passes.
@Suite("Mutation", .serialized)
struct MutationTests {
    /// Seconds that an answer may take: enough on the busiest machine. Only mutants that are silent come near it, and
    /// they say how long is worth waiting for (``Mutant/timeout``).
    private static let timeout = 60.0
    /// Mutants that are tried at a time.
    private static let atATime = 2

    /// With these in the environment docs/conformance-mutants.md is written anew, or compared with what the run gives.
    private static let isWriting = ProcessInfo.processInfo.environment["GYM_WRITE_MUTANTS"] != nil
    private static let isComparing = ProcessInfo.processInfo.environment["GYM_COMPARE_MUTANTS"] != nil
    private static let document = Fixtures.repository.appendingPathComponent("docs/conformance-mutants.md")

    @Test("a right server passes every check through the proxy")
    func identity() throws {
        let report = try MutationTests.report(through: { Mutation() })
        for outcome in report.outcomes where !outcome.isPassed && !MutationTests.isElsewhere(outcome) {
            Issue.record("\(Report.line(outcome))")
        }
    }

    @Test("a right server passes what only one of short life can show")
    func shortLife() throws {
        let server = try MutationTests.server(isOfShortLife: true)
        var suite = MutationTests.suite(server.path)
        suite.names = MutationTests.ofShortLife
        suite.mayEnd = true
        for outcome in try suite.run().outcomes where !outcome.isPassed && outcome.check.since <= MutationTests.minor {
            Issue.record("\(Report.line(outcome))")
        }
    }

    @Test("a client of 1.0 finds a right server right")
    func olderClient() throws {
        let server = try MutationTests.server()
        var suite = MutationTests.suite(server.path)
        suite.minor = 0
        let report = try suite.run()
        #expect(report.version == "1.0")
        for outcome in report.outcomes
        where !outcome.isPassed && outcome.check.since == 0 && !MutationTests.isElsewhere(outcome) {
            Issue.record("\(Report.line(outcome))")
        }
    }

    @Test("a right server passes through a memory that is kept the same")
    func memoryIdentity() throws {
        let report = try MutationTests.report(levels: [.sharedMemory]) {
            let mutation = Mutation()
            mutation.memory = MemoryMutation()
            return mutation
        }
        for outcome in report.outcomes where !outcome.isPassed && !MutationTests.isElsewhere(outcome) {
            Issue.record("\(Report.line(outcome))")
        }
    }

    @Test("each check can fail: there is a wrong server for it")
    func everyCheck() {
        let all = Set(Check.all.map(\.name))
        let caught = Set(Mutant.all.flatMap(\.checks))
        #expect(caught.subtracting(all).sorted() == [], "mutants name checks that do not exist")
        #expect(
            all.subtracting(caught).sorted() == MutationTests.withoutMutant.keys.sorted(), "checks without a mutant")
    }

    @Test("each wrong server is caught by the checks that are named for it, which say what is wrong")
    func mutants() throws {
        let mutants = MutationTests.ofItsVersion
        let results = MutationTests.run(mutants)
        for (mutant, result) in zip(mutants, results) {
            switch result {
            case .failure(let error): Issue.record("\(mutant.name): the suite did not start: \(error)")
            case .success(let outcomes):
                for outcome in outcomes {
                    // A connection that only breaks says nothing about what the check is for.
                    let isEvidence = outcome.failure.map(MutationTests.isEvidence) ?? false
                    if !outcome.isFailed || (mutant.silence == nil && !isEvidence) {
                        Issue.record("\(mutant.name): \(Report.line(outcome))")
                    }
                }
            }
        }
        let table = MutationTests.table(results)
        if MutationTests.isWriting {
            try table.write(to: MutationTests.document, atomically: true, encoding: .utf8)
        } else if MutationTests.isComparing {
            let committed = try String(contentsOf: MutationTests.document, encoding: .utf8)
            for (new, old) in zip(table.split(separator: "\n"), committed.split(separator: "\n")) where new != old {
                Issue.record("docs/conformance-mutants.md has\n\(old)\nand this run gives\n\(new)")
            }
            #expect(table == committed, "docs/conformance-mutants.md: scripts/conformance-mutants writes it anew")
        }
    }

    /// Checks that no mutant is written for, since whether it were caught would depend on how the machine cuts time.
    private static let withoutMutant = [
        "framing.byte-by-byte": "which bytes a server reads at a time is not for the client to say",
        "neighbour.half-a-frame": "when half a frame has been read cannot be seen from outside",
    ]

    /// Checks that need a server which reaps connections, and which ends.
    private static let ofShortLife = [
        "connection.reaped", "connection.reaped-though-it-trickles", "connection.active-is-kept", "ending.shutdown",
        "ending.socket-removed",
    ]

    /// Checks that the server at hand gives no occasion for; their mutants do.
    private static let withoutOccasion = ["make.autoreset-not-listed"]

    /// The minor version of the server that everything is checked with.
    private static let minor: Int = {
        guard let server = try? server() else { return 0 }
        var ping = suite(server.path)
        ping.names = ["connection.ping"]
        let version = try? ping.run().version
        return version.flatMap { Int($0.dropFirst(2)) } ?? 0
    }()

    /// The mutants with those of their checks that are about this version.
    private static var ofItsVersion: [Mutant] {
        let since = Dictionary(uniqueKeysWithValues: Check.all.map { ($0.name, $0.since) })
        return Mutant.all.compactMap { mutant in
            var mutant = mutant
            mutant.checks.removeAll { since[$0] ?? 0 > minor }
            return mutant.checks.isEmpty ? nil : mutant
        }
    }

    /// Whether it is shown by another server than the one that everything is checked with.
    private static func isElsewhere(_ outcome: Outcome) -> Bool {
        guard case .skipped = outcome.result else { return false }
        return (ofShortLife + withoutOccasion).contains(outcome.check.name) || outcome.check.since > minor
    }

    /// What clients have to say.
    static let token = "sesame"

    /// The largest frame that the server takes.
    static let maxFrameBytes = 4 << 20

    // MARK: Running

    private static func server(
        isOfShortLife: Bool = false,
        _ register: (inout EnvironmentRegistry) -> Void = ConformanceEnvironments.register
    ) throws -> RunningServer {
        var registry = EnvironmentRegistry()
        registry.register(CartPole.spec) { CartPole(options: $0) }
        registry.register(Pendulum.spec) { Pendulum(options: $0) }
        // So that a list is longer than the smallest frame that a client may ask for.
        registry.register(Acrobot.spec) { _ in Acrobot() }
        registry.register(LunarLander.spec) { try LunarLander(options: $0) }
        registry.register(LunarLander.continuousSpec) { try LunarLander(options: $0) }
        registry.register(MountainCar.spec) { MountainCar(options: $0) }
        registry.register(MountainCarContinuous.spec) { MountainCarContinuous(options: $0) }
        // Large enough for its pictures to reach the limit of memory.
        registry.register(Pong.spec) { Pong(options: $0) }
        register(&registry)
        return try RunningServer(registry: registry) { configuration in
            // Small enough to be reached quickly.
            configuration.limits.maxConnections = 64
            configuration.limits.maxHandles = 16
            configuration.limits.maxEnvironments = 6000
            configuration.limits.maxPendingRequests = 32
            configuration.limits.maxFrameBytes = maxFrameBytes
            configuration.limits.maxMemoryBytes = 64 << 20
            configuration.token = token
            if isOfShortLife {
                configuration.limits.idleTimeoutSeconds = 1
                configuration.allowsShutdown = true
            }
        }
    }

    private static func suite(_ path: String) -> Conformance.Suite {
        var suite = Conformance.Suite(path: path)
        suite.environments = ["CartPole-v1", "Pendulum-v1", "conformance/Counter-v0"]
        suite.timeout = timeout
        suite.token = token
        return suite
    }

    private static func report(
        levels: [Level] = [], through mutation: @escaping @Sendable () -> Mutation
    ) throws -> Report {
        let server = try server()
        let proxy = try MutatingProxy(path: server.path + ".proxy", upstream: server.path, mutation: mutation)
        defer { proxy.end() }
        var suite = suite(proxy.path)
        suite.levels = levels
        return try suite.run()
    }

    /// For each mutant what became of the checks that are named for it.
    private static func run(_ mutants: [Mutant]) -> [Result<[Outcome], any Error>] {
        nonisolated(unsafe) var results: [Int: Result<[Outcome], any Error>] = [:]
        nonisolated(unsafe) var next = 0
        let lock = NSLock()
        let done = DispatchGroup()
        for _ in 0..<atATime {
            done.enter()
            Thread.detachNewThread {
                while true {
                    let index = lock.withLock {
                        defer { next += 1 }
                        return next
                    }
                    guard index < mutants.count else { break }
                    let result = Result { try run(mutants[index]) }
                    lock.withLock { results[index] = result }
                }
                done.leave()
            }
        }
        done.wait()
        return mutants.indices.map { results[$0]! }
    }

    private static func run(_ mutant: Mutant) throws -> [Outcome] {
        switch mutant.kind {
        case .environments(let register):
            let server = try server(isOfShortLife: mutant.isOfShortLife, register)
            return try run(mutant, at: server.path)
        case .proxy(let mutation):
            let server = try server(isOfShortLife: mutant.isOfShortLife)
            let proxy = try MutatingProxy(path: server.path + ".proxy", upstream: server.path, mutation: mutation)
            defer { proxy.end() }
            return try run(mutant, at: proxy.path)
        }
    }

    private static func run(_ mutant: Mutant, at path: String) throws -> [Outcome] {
        var suite = suite(path)
        // What is waited for here never comes.
        suite.settling = 1
        if let silence = mutant.silence { suite.timeout = silence }
        suite.mayEnd = mutant.isOfShortLife
        // One after the other, the first by itself: what it says is in the table, and must not depend on others.
        return try mutant.checks.flatMap { name in
            suite.names = [name]
            return try suite.run().outcomes
        }
    }

    /// Whether a failure is about what came, and not about something that did not come, or came no more.
    private static func isEvidence(_ failure: any Error) -> Bool {
        (failure as? CheckFailure)?.kind == .wrong
    }

    // MARK: The table

    private static func table(_ results: [Result<[Outcome], any Error>]) -> String {
        let caught = Set(Mutant.all.flatMap(\.checks)).count
        var lines = [
            "# The conformance suite under test", "",
            "\(Mutant.all.count) servers that are wrong in one way each, and the checks of `gym-conformance` that have "
                + "to find them out: \(caught) of the suite's \(Check.all.count). The right server, behind the same "
                + "proxy, passes every one. Written by `scripts/conformance-mutants` from a run; `make test` runs it "
                + "again and fails when a mutant is not caught by each check that is named for it, or when a check says "
                + "no more than that the connection broke.", "",
            "Without a mutant of its own, since whether it were caught would depend on how the machine cuts time:", "",
        ]
        lines += withoutMutant.sorted { $0.key < $1.key }.map { "- `\($0.key)`: \($0.value)." }
        lines += ["", "| mutant | what the server does | clauses | caught by | what the check says | and by |"]
        lines += ["|---|---|---|---|---|---|"]
        let clauses = Dictionary(uniqueKeysWithValues: Check.all.map { ($0.name, $0.clauses.joined(separator: ", ")) })
        for (mutant, result) in zip(ofItsVersion, results) {
            var said = "nothing"
            if case .failed(let what, _) = (try? result.get().first)?.result { said = what }
            let others = mutant.checks.dropFirst().map { "`\($0)`" }.joined(separator: ", ")
            lines.append(
                "| `\(mutant.name)` | \(mutant.summary) | \(clauses[mutant.checks[0]] ?? "") | `\(mutant.checks[0])` "
                    + "| \(cell(said)) | \(others) |")
        }
        return lines.joined(separator: "\n") + "\n"
    }

    /// Text that fits in a table's cell, and is the same in each run: without what a clock has shown.
    private static func cell(_ text: String) -> String {
        let text = text.replacing("|", with: "\\|").replacing("\n", with: " ").replacing("`", with: "'")
            .replacing(/[0-9]+\.[0-9]+(e-[0-9]+)? s\b/, with: "… s")
        return text.count > longestCell ? text.prefix(longestCell) + " …" : text
    }

    private static let longestCell = 240
}
