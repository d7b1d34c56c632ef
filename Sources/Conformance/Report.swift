import Foundation

/// What became of all checks.
package struct Report: Sendable {
    /// The server's name and version.
    package let server: String
    /// The version in force, which it was judged by.
    package let version: String
    /// The environments that checks for any environment were done with.
    package let environments: [String]
    /// In the order of the checks.
    package let outcomes: [Outcome]

    /// Whether nothing failed.
    package var isPassed: Bool { !outcomes.contains(where: \.isFailed) }

    private var counts: (passed: Int, failed: Int, skipped: Int) {
        let passed = outcomes.count(where: \.isPassed)
        let failed = outcomes.count(where: \.isFailed)
        return (passed, failed, outcomes.count - passed - failed)
    }

    // MARK: Text

    /// An outcome as a line, with more below it when it failed.
    package static func line(_ outcome: Outcome) -> String {
        let check = outcome.check
        let head = "\(check.level.rawValue) \(check.name) (\(check.clauses.joined(separator: ", ")))"
        switch outcome.result {
        case .passed: return "ok    \(head)"
        case .skipped(let reason): return "skip  \(head): \(reason)"
        case .failed(let what, let evidence):
            return (["FAIL  \(head): \(what)"] + evidence.map { "          \($0)" }).joined(separator: "\n")
        case .notTried(let reason): return "FAIL  \(head): not tried, since \(reason)"
        }
    }

    /// The last line: how many passed, failed and were skipped.
    package var summary: String {
        let counts = counts
        let notTried = outcomes.count(where: \.isNotTried)
        return
            "\(outcomes.count) checks of \(server) by gym.v1 \(version): \(counts.passed) passed, \(counts.failed) failed"
            + (notTried > 0 ? " (\(notTried) of them not tried)" : "") + ", \(counts.skipped) skipped"
    }

    // MARK: JSON

    private struct Document: Encodable {
        struct Check: Encodable {
            let name: String
            let level: String
            let clauses: [String]
            let result: String
            let message: String?
            let evidence: [String]
            let seconds: Double
        }
        let server: String
        let version: String
        let environments: [String]
        let passed: Int
        let failed: Int
        let skipped: Int
        let checks: [Check]
    }

    /// The report as JSON: `server`, `version`, `environments`, `passed`, `failed`, `skipped`, and `checks` with `name`, `level`,
    /// `clauses`, `result` (`passed`, `failed`, `skipped`), `message`, `evidence`, `seconds`.
    package func json() throws -> String {
        let checks = outcomes.map { outcome in
            var (result, message, evidence): (String, String?, [String]) = ("passed", nil, [])
            switch outcome.result {
            case .passed: break
            case .skipped(let reason): (result, message) = ("skipped", reason)
            case .failed(let what, let frames): (result, message, evidence) = ("failed", what, frames)
            case .notTried(let reason): (result, message) = ("failed", "not tried, since \(reason)")
            }
            return Document.Check(
                name: outcome.check.name, level: outcome.check.level.rawValue, clauses: outcome.check.clauses,
                result: result, message: message, evidence: evidence, seconds: outcome.seconds)
        }
        let counts = counts
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        let document = Document(
            server: server, version: version, environments: environments, passed: counts.passed, failed: counts.failed,
            skipped: counts.skipped, checks: checks)
        return String(decoding: try encoder.encode(document), as: UTF8.self)
    }

    // MARK: JUnit

    /// The report as JUnit's XML, a suite a level.
    package var junit: String {
        let counts = counts
        var lines = [
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>",
            "<testsuites name=\"gym-conformance\" tests=\"\(outcomes.count)\" failures=\"\(counts.failed)\" "
                + "errors=\"0\" skipped=\"\(counts.skipped)\" time=\"\(seconds(of: outcomes))\">",
        ]
        for level in Level.allCases {
            let outcomes = outcomes.filter { $0.check.level == level }
            if outcomes.isEmpty { continue }
            let failed = outcomes.count(where: \.isFailed)
            let passed = outcomes.count(where: \.isPassed)
            lines.append(
                "  <testsuite name=\"\(level.rawValue)\" tests=\"\(outcomes.count)\" failures=\"\(failed)\" "
                    + "errors=\"0\" skipped=\"\(outcomes.count - failed - passed)\" "
                    + "time=\"\(seconds(of: outcomes))\">")
            lines += outcomes.map(testCase)
            lines.append("  </testsuite>")
        }
        return (lines + ["</testsuites>", ""]).joined(separator: "\n")
    }

    private func seconds(of outcomes: [Outcome]) -> String {
        String(format: "%.4f", outcomes.reduce(0) { $0 + $1.seconds })
    }

    private func testCase(_ outcome: Outcome) -> String {
        let time = seconds(of: [outcome])
        let head =
            "    <testcase classname=\"\(outcome.check.level.rawValue)\" name=\"\(escaped(outcome.check.name))\" "
            + "time=\"\(time)\""
        let clauses = outcome.check.clauses.joined(separator: ", ")
        switch outcome.result {
        case .passed: return head + "/>"
        case .skipped(let reason): return "\(head)><skipped message=\"\(escaped(reason))\"/></testcase>"
        case .failed(let what, let evidence):
            let text = escaped((["clauses: \(clauses)"] + evidence).joined(separator: "\n"))
            return "\(head)><failure message=\"\(escaped(what))\">\(text)</failure></testcase>"
        case .notTried(let reason):
            return "\(head)><failure message=\"\(escaped("not tried, since \(reason)"))\"/></testcase>"
        }
    }

    /// Text inside of XML: markup escaped, and control characters, which XML does not have, left out.
    private func escaped(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            case "\n": result += "&#10;"
            case _ where scalar.value < 0x20 || scalar.value == 0xFFFE || scalar.value == 0xFFFF: result += "?"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}
