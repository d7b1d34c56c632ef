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
    /// Mutants that are tried at a time: they wait more than they work.
    private static let atATime = 6
    /// Seconds without an answer after which a check has failed. The right server needs a hundredth of that.
    private static let timeout = 1.0

    @Test("a right server passes through the proxy")
    func identity() throws {
        let server = try MutationTests.server()
        let proxy = try MutatingProxy(path: server.path + ".proxy", upstream: server.path) { Mutation() }
        defer { proxy.end() }
        var suite = MutationTests.suite(proxy.path)
        suite.timeout = 5
        let report = try suite.run()
        for outcome in report.outcomes where !outcome.isPassed { Issue.record("\(Report.line(outcome))") }
    }

    @Test("each wrong server is caught by the check that is named for it")
    func mutants() throws {
        #expect(Mutant.all.count >= 40)
        let names = Set(Check.all.map(\.name))
        for mutant in Mutant.all where !names.contains(mutant.check) {
            Issue.record("mutant \(mutant.name): there is no check \(mutant.check)")
        }
        let results = MutationTests.runAll()
        for (mutant, result) in zip(Mutant.all, results) {
            switch result {
            case .success(let failed) where failed.contains(mutant.check): break
            case .success(let failed):
                Issue.record(
                    "\(mutant.name) is not caught by \(mutant.check), but by \(failed.joined(separator: ", "))")
            case .failure(let error): Issue.record("\(mutant.name): the suite did not start: \(error)")
            }
        }
        let table = MutationTests.table(results)
        let path = Fixtures.repository.appendingPathComponent("docs/conformance-mutants.md")
        if ProcessInfo.processInfo.environment["GYM_WRITE_MUTANTS"] != nil {
            try table.write(to: path, atomically: true, encoding: .utf8)
        }
        // Which checks fail beside the named one may depend on timing; mutants and their checks do not.
        let written = MutationTests.firstColumns(try String(contentsOf: path, encoding: .utf8))
        #expect(
            written == MutationTests.firstColumns(table), "docs/conformance-mutants.md: run scripts/conformance-mutants"
        )
    }

    // MARK: Running

    private static func server(
        _ register: (inout EnvironmentRegistry) -> Void = ConformanceEnvironments.register
    ) throws -> RunningServer {
        var registry = EnvironmentRegistry()
        registry.register(CartPole.spec) { CartPole(options: $0) }
        registry.register(Pendulum.spec) { Pendulum(options: $0) }
        register(&registry)
        return try RunningServer(registry: registry) { configuration in
            // Small enough to be reached quickly.
            configuration.limits.maxConnections = 64
            configuration.limits.maxHandles = 16
            configuration.limits.maxEnvironments = 6000
            configuration.limits.maxPendingRequests = 32
            configuration.limits.maxFrameBytes = 4 << 20
        }
    }

    private static func suite(_ path: String) -> Conformance.Suite {
        var suite = Conformance.Suite(path: path)
        suite.environments = ["CartPole-v1", "Pendulum-v1", "conformance/Counter-v0"]
        suite.timeout = timeout
        return suite
    }

    /// For each mutant the checks that failed.
    private static func runAll() -> [Result<[String], any Error>] {
        let mutants = Mutant.all
        nonisolated(unsafe) var results = [Result<[String], any Error>](repeating: .success([]), count: mutants.count)
        let lock = NSLock()
        nonisolated(unsafe) var next = 0
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
                    let result = Result { try failures(of: mutants[index]) }
                    lock.withLock { results[index] = result }
                }
                done.leave()
            }
        }
        done.wait()
        return results
    }

    private static func failures(of mutant: Mutant) throws -> [String] {
        switch mutant.kind {
        case .environments(let register):
            let server = try server(register)
            return try failures(suite(server.path))
        case .proxy(let mutation):
            let server = try server()
            let proxy = try MutatingProxy(path: server.path + ".proxy", upstream: server.path, mutation: mutation)
            defer { proxy.end() }
            return try failures(suite(proxy.path))
        }
    }

    private static func failures(_ suite: Conformance.Suite) throws -> [String] {
        try suite.run().outcomes.filter(\.isFailed).map(\.check.name)
    }

    // MARK: The table

    private static func table(_ results: [Result<[String], any Error>]) -> String {
        let clauses = Dictionary(uniqueKeysWithValues: Check.all.map { ($0.name, $0.clauses.joined(separator: ", ")) })
        var lines = [
            "# The conformance suite under test", "",
            "Servers that are wrong in one way each, and the checks of `gym-conformance` that find them out. Written by",
            "`scripts/conformance-mutants`, which runs the suite against every one of them; the tests do the same each time.",
            "",
            "\(Mutant.all.count) mutants, \(Check.all.count) checks. *Caught by* is the check that has to fail; *in all* is "
                + "how many did.", "", "| mutant | what the server does | caught by | clauses | in all | others |",
            "|---|---|---|---|---|---|",
        ]
        for (mutant, result) in zip(Mutant.all, results) {
            let failed = (try? result.get()) ?? []
            let others = failed.filter { $0 != mutant.check }
            let shown = others.prefix(5).map { "`\($0)`" }.joined(separator: ", ") + (others.count > 5 ? ", …" : "")
            lines.append(
                "| `\(mutant.name)` | \(mutant.summary) | `\(mutant.check)` | \(clauses[mutant.check] ?? "") "
                    + "| \(failed.count) | \(shown) |")
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func firstColumns(_ table: String) -> [String] {
        table.split(separator: "\n").filter { $0.hasPrefix("| `") }.map {
            $0.split(separator: "|").prefix(4).joined(separator: "|")
        }
    }
}
