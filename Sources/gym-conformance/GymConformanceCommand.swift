import ArgumentParser
import CommandLineSupport
import Conformance
import Foundation

/// `gym-conformance`: checks any server of gym.v1.
@main
struct GymConformanceCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gym-conformance",
        abstract: "Checks whether a server keeps to the protocol gym.v1, clause by clause.",
        discussion: """
            Prints a line a check. Exit code 0: every check passed or was skipped for a reason that is printed; \
            1: a check failed, or the server could not be checked at all; 2: wrong usage.
            """)

    @Option(help: ArgumentHelp("The server: unix:PATH.", valueName: "unix:PATH"))
    var server: String?

    @Option(help: "A level to check; may be given several times. (default: all)")
    var level: [Level] = []

    @Option(
        help: ArgumentHelp("A check to do, by its name; may be given several times. (default: all)", valueName: "NAME"))
    var check: [String] = []

    @Option(
        help: ArgumentHelp(
            "An environment to check with; may be given several times. (default: all but conformance/…)",
            valueName: "ID"))
    var environment: [String] = []

    @Option(help: ArgumentHelp("Write the report as JUnit XML.", valueName: "FILE"))
    var junit: String?

    @Option(help: ArgumentHelp("Write the report as JSON; '-' prints it in place of the lines.", valueName: "FILE"))
    var json: String?

    @Option(parsing: .unconditional, help: "Seconds that a server may take for any single answer.")
    var timeout = 5.0

    @Option(
        name: .customLong("protocol"),
        help: ArgumentHelp("The version that the suite says it speaks.", valueName: "1.MINOR"))
    var version = "1.\(Suite.newestMinor)"

    @Option(help: ArgumentHelp("The token that the server was started with.", valueName: "TEXT"))
    var token = ""

    @Flag(help: "Also check how the server ends; it has to be one that clients may end.")
    var endServer = false

    @Flag(help: "List the checks with their levels and clauses.")
    var list = false

    static func main() { runMain() }

    func validate() throws {
        if !list {
            guard let server else { throw ValidationError("--server is missing; it has to be unix:PATH") }
            guard server.hasPrefix("unix:"), server.count > 5 else {
                throw ValidationError("--server is '\(server)'; it has to be unix:PATH")
            }
        }
        let names = Set(Check.all.map(\.name))
        if let unknown = check.first(where: { !names.contains($0) }) {
            throw ValidationError("--check is '\(unknown)'; --list prints the names of all checks")
        }
        guard minor != nil else {
            throw ValidationError("--protocol is '\(version)'; it has to be 1.0 to 1.\(Suite.newestMinor)")
        }
        guard timeout > 0, timeout <= 3600 else {
            throw ValidationError("--timeout is \(timeout); it has to be above 0 and at most 3600")
        }
    }

    private var minor: Int? { (0...Suite.newestMinor).first { "1.\($0)" == version } }

    func run() throws {
        signal(SIGPIPE, SIG_IGN)
        var suite = Suite(path: String(server?.dropFirst(5) ?? ""))
        suite.levels = level
        suite.names = check
        suite.environments = environment
        suite.timeout = timeout
        suite.minor = minor ?? Suite.newestMinor
        suite.token = token
        suite.mayEnd = endServer
        if suite.checks.isEmpty {
            StandardStreams.error("gym-conformance: --check: none of these checks is of the levels of --level")
            throw ExitCode(2)
        }
        if list { return suite.checks.forEach(printEntry) }
        let report: Report
        do {
            report = try suite.run { if json != "-" { StandardStreams.print(Report.line($0)) } }
        } catch let error as UsageError {
            StandardStreams.error("gym-conformance: --environment: \(error)")
            throw ExitCode(2)
        } catch {
            StandardStreams.error("gym-conformance: \(server ?? ""): \(error)")
            try write(suite.unstarted(error))
            throw ExitCode(1)
        }
        try write(report)
        if json != "-" { StandardStreams.print(report.summary) }
        if !report.isPassed { throw ExitCode(1) }
    }

    private func printEntry(_ check: Check) {
        StandardStreams.print("\(check.level.rawValue) \(check.name) (\(check.clauses.joined(separator: ", ")))")
    }

    private func write(_ report: Report) throws {
        if let junit { try write(report.junit, to: junit) }
        if let json {
            if json == "-" { StandardStreams.print(try report.json()) } else { try write(try report.json(), to: json) }
        }
    }

    private func write(_ text: String, to path: String) throws {
        do {
            try text.write(toFile: path, atomically: true, encoding: .utf8)
        } catch {
            StandardStreams.error("gym-conformance: cannot write \(path): \(error.localizedDescription)")
            throw ExitCode(1)
        }
    }
}

extension Level: ExpressibleByArgument {
    /// A level by its name, in any case.
    public init?(argument: String) {
        guard let level = Level.allCases.first(where: { $0.rawValue.lowercased() == argument.lowercased() }) else {
            return nil
        }
        self = level
    }
}
