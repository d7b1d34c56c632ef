import Conformance
import ConformanceEnvironments
import Foundation
import GymCore
import GymEnvironments
import ServerTestSupport
import Synchronization
import TestSupport
import Testing

@Suite("Suite")
struct SuiteTests {
    @Test("checks have names of their own, and clauses of the specification")
    func names() throws {
        #expect(Check.all.count >= 120)
        #expect(Set(Check.all.map(\.name)).count == Check.all.count)
        for level in Level.allCases { #expect(Check.all.contains { $0.level == level }, "\(level)") }
        let text = try String(
            contentsOf: Fixtures.repository.appendingPathComponent("Proto/PROTOCOL.md"), encoding: .utf8)
        for check in Check.all {
            for clause in check.clauses {
                let exists = text.contains("| \(clause) |") || ["M", "E"].contains(clause)
                #expect(exists, "\(check.name) cites \(clause)")
            }
        }
    }

    @Test("without the suite's environments, only what needs them is skipped, and the report says so")
    func ownEnvironmentsOnly() throws {
        let server = try RunningServer(registry: classicControl) { $0.limits.maxConnections = 64 }
        let report = try Conformance.Suite(path: server.path).run()
        for outcome in report.outcomes {
            switch outcome.result {
            case .passed: break
            case .failed, .notTried: Issue.record("\(Report.line(outcome))")
            case .skipped(let reason): #expect(!reason.isEmpty, "\(outcome.check.name)")
            }
        }
        #expect(report.outcomes.count { $0.isPassed } > 100)
    }

    @Test("a server that stops to answer fails the checks, and does not hang the suite")
    func silentServer() throws {
        let server = try RunningServer(registry: classicControl)
        let proxy = try MutatingProxy(path: server.path + ".proxy", upstream: server.path) {
            let mutation = Mutation()
            // The suite's first connection gets its answers, no other does.
            mutation.request = { request, link in
                !answered.withLock({ $0 }) || request.has("list") ? .forward : .drop
            }
            mutation.response = { response, _ in
                if response.has("list") { answered.withLock { $0 = true } }
                return .forward
            }
            return mutation
        }
        defer { proxy.end() }
        var suite = Conformance.Suite(path: proxy.path)
        suite.timeout = 0.1
        suite.environments = ["CartPole-v1"]
        let start = Date()
        let report = try suite.run()
        #expect(!report.isPassed)
        #expect(Date().timeIntervalSince(start) < 60)
    }

    @Test("reports in JSON and XML hold every check")
    func reports() throws {
        let server = try RunningServer(registry: classicControl)
        var suite = Conformance.Suite(path: server.path)
        suite.levels = [.core]
        suite.environments = ["CartPole-v1"]
        let report = try suite.run()
        let json = try JSONSerialization.jsonObject(with: Data(try report.json().utf8)) as? [String: Any]
        #expect((json?["checks"] as? [Any])?.count == report.outcomes.count)
        #expect(report.junit.components(separatedBy: "<testcase ").count - 1 == report.outcomes.count)
        #expect(report.junit.hasSuffix("</testsuites>\n"))
    }

    private var classicControl: EnvironmentRegistry {
        var registry = EnvironmentRegistry()
        registry.register(CartPole.spec) { CartPole(options: $0) }
        registry.register(Pendulum.spec) { Pendulum(options: $0) }
        return registry
    }
}

private let answered = Mutex(false)
