import Agents
import ArgumentParser
import Charts
import CommandLineSupport
import Film
import Foundation
import GymCore
import RunFiles

/// `gym-agent plot`: the learning curves of runs.
struct PlotCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "plot", abstract: "Draws the learning curves of runs.",
        discussion: """
            Runs that differ in their seed alone become one line, their mean, in a band from the lowest to the \
            highest of them; others are told apart by what differs between them. Without --out the chart is drawn in the terminal.
            """)

    @Argument(help: "Run folders.")
    var folders: [String]

    @Option(help: "The picture: .png or .svg. (default: none, the terminal)")
    var out: String?

    @Option(help: "The column of progress.csv to show.")
    var metric = "rollout/ep_rew_mean"

    @Option(help: "The picture's width in pixels.")
    var width = Chart.defaultWidth

    @Option(help: "The picture's height in pixels.")
    var height = Chart.defaultHeight

    func validate() throws {
        if folders.isEmpty { throw ValidationError("there is no run to plot; name at least one folder") }
        if let out, !["png", "svg"].contains(URL(fileURLWithPath: out).pathExtension.lowercased()) {
            throw ValidationError("--out is '\(out)'; it has to end in .png or .svg")
        }
        for (name, value) in [("--width", width), ("--height", height)] where !(300...10_000).contains(value) {
            throw ValidationError("\(name) is \(value); it has to be from 300 to 10000")
        }
    }

    func run() throws { try reporting(plot) }

    /// Runs that differ in nothing but their seed.
    private struct Group {
        let configuration: RunConfiguration
        let folder: String
        var runs: [(seed: UInt64, folder: String, curve: [(x: Double, y: Double)])]

        func holds(_ other: RunConfiguration) -> Bool {
            configuration.algorithm == other.algorithm && configuration.environment == other.environment
                && configuration.initialWeightsSha256 == other.initialWeightsSha256
                && configuration.hyperparameters.resolved.map(\.value) == other.hyperparameters.resolved.map(\.value)
        }

        /// Takes in a run. The same recipe with the same seed is the same run, a copy or one that went on further, and
        /// no second seed.
        ///
        /// - Returns: the folder that counts for both, where there was one of that seed.
        mutating func add(_ seed: UInt64, _ folder: String, _ curve: [(x: Double, y: Double)]) -> String? {
            guard let index = runs.firstIndex(where: { $0.seed == seed }) else {
                runs.append((seed, folder, curve))
                return nil
            }
            if curve.count > runs[index].curve.count { runs[index] = (seed, folder, curve) }
            return runs[index].folder
        }
    }

    private func plot() throws {
        var groups: [Group] = []
        for folder in folders {
            let run = RunFolder(existing: folder)
            let configuration: RunConfiguration
            let table: ProgressTable
            do {
                configuration = try run.configuration()
                table = try ProgressTable(of: run)
            } catch let error as RunFolderError {
                throw ValidationError(error.description)
            }
            guard let curve = table.curve(metric) else {
                throw ValidationError(
                    "--metric: \(folder)/progress.csv has no column '\(metric)'"
                        + suggestion(for: metric, in: table.columns)
                        + "; it has \(table.columns.joined(separator: ", "))")
            }
            let name = run.url.lastPathComponent
            guard let index = groups.firstIndex(where: { $0.holds(configuration) }) else {
                let first = (seed: configuration.seed, folder: folder, curve: curve)
                groups.append(Group(configuration: configuration, folder: name, runs: [first]))
                continue
            }
            if let counted = groups[index].add(configuration.seed, folder, curve) {
                StandardStreams.error(
                    "gym-agent: \(folder) has the recipe and the seed of a run before it, and is no second seed: "
                        + "\(counted) counts for both")
            }
        }
        let chart = chart(of: groups)
        guard let out else {
            let size = terminalSize()
            StandardStreams.print(
                chart.text(columns: size?.columns ?? 100, rows: min(20, (size?.rows ?? 30) - 8), isColored: size != nil)
                    .trimmingCharacters(in: .newlines))
            return
        }
        let isVector = URL(fileURLWithPath: out).pathExtension.lowercased() == "svg"
        let bytes =
            isVector
            ? Array(chart.svg(width: width, height: height).utf8)
            : PNGEncoder.encode(chart.picture(width: width, height: height))
        try DurableFile.write(bytes, to: out)
        StandardStreams.print("wrote \(out)")
    }

    private func chart(of groups: [Group]) -> Chart {
        let environments = Set(groups.map(\.configuration.environment))
        let series = groups.map { group in
            var label = label(of: group, among: groups, namesEnvironment: environments.count > 1)
            if group.runs.count > 1 { label += " (\(group.runs.count) seeds)" }
            return Series(label, of: group.runs.map(\.curve))
        }
        return Chart(
            title: environments.sorted().joined(separator: ", "), horizontal: "steps", vertical: metric,
            series: series)
    }

    /// What a group is, and what tells it from others of the same algorithm; its folder when that is much.
    private func label(of group: Group, among groups: [Group], namesEnvironment: Bool) -> String {
        let mine = group.configuration
        let name = (namesEnvironment ? mine.environment + " " : "") + mine.algorithm.rawValue
        let others = groups.map(\.configuration).filter {
            $0.algorithm == mine.algorithm && $0.environment == mine.environment
        }
        var differences = mine.hyperparameters.resolved.filter { key, value in
            others.contains { $0.hyperparameters[key].text != value }
        }.map { "\($0.key)=\($0.value)" }
        if others.contains(where: { $0.initialWeightsSha256 != mine.initialWeightsSha256 }) {
            differences.append(mine.initialWeightsSha256.map { "from \($0.prefix(8))" } ?? "from scratch")
        }
        if differences.count > PlotCommand.mostDifferences { return group.folder }
        return ([name] + differences).joined(separator: " ")
    }

    /// More in a label nobody reads.
    private static let mostDifferences = 3

    /// Characters of the terminal on standard output, if there is one.
    private func terminalSize() -> (columns: Int, rows: Int)? {
        var size = winsize()
        guard isatty(STDOUT_FILENO) == 1, ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else {
            return nil
        }
        return (Int(size.ws_col), Int(size.ws_row))
    }
}
