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
                // "M" and "E" alone are what their sections say of all messages, and of all codes.
                let exists = text.contains("| \(clause) |") || ["M", "E"].contains(clause)
                #expect(exists, "\(check.name) cites \(clause)")
            }
        }
    }

    @Test("every clause is cited by a check, or the page says why no check can see it; and never both")
    func coverage() throws {
        let text = try String(
            contentsOf: Fixtures.repository.appendingPathComponent("Proto/PROTOCOL.md"), encoding: .utf8)
        let unseen = text.components(separatedBy: "No check can see whether a server keeps to these")
        let table = try #require(unseen.last).components(separatedBy: "\n## ")[0]
        func clauses(_ text: String) -> Set<String> {
            Set(text.matches(of: /(?m)^\| ([A-Z][0-9]+) \|/).map { String($0.1) })
        }
        let marked = clauses(table)
        let all = clauses(text)
        let cited = Set(Check.all.flatMap(\.clauses))
        #expect(all.count > 120)
        #expect(all.subtracting(cited).subtracting(marked).sorted() == [], "no check cites these")
        #expect(cited.intersection(marked).sorted() == [], "no check is said to see these, and some cite them")
        for clause in marked { #expect(text.contains("| \(clause) | "), "\(clause)") }
    }

    @Test("what a check is asked for since a version stands behind that version's mark, in a clause that it cites")
    func versions() throws {
        let text = try String(
            contentsOf: Fixtures.repository.appendingPathComponent("Proto/PROTOCOL.md"), encoding: .utf8)
        let lines = text.split(separator: "\n")
        for check in Check.all where check.since > 0 {
            let marked = check.clauses.contains { clause in
                lines.contains { $0.hasPrefix("| \(clause) |") && $0.contains("(1.\(check.since))") }
            }
            #expect(marked, "\(check.name) is about 1.\(check.since), and cites \(check.clauses)")
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
        let report = try suite.run()
        #expect(!report.isPassed)
        // Waiting for each would take as many times a tenth of a second as there are checks, or more.
        #expect(report.outcomes.count { $0.isNotTried } > report.outcomes.count * 9 / 10)
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
