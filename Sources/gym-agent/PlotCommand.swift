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
            highest of them. Without --out the chart is drawn in the terminal.
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
        var curves: [[(x: Double, y: Double)]]

        func holds(_ other: RunConfiguration) -> Bool {
            configuration.algorithm == other.algorithm && configuration.environment == other.environment
                && configuration.hyperparameters.resolved.map(\.value) == other.hyperparameters.resolved.map(\.value)
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
            if let index = groups.firstIndex(where: { $0.holds(configuration) }) {
                groups[index].curves.append(curve)
            } else {
                let name = run.url.lastPathComponent
                groups.append(Group(configuration: configuration, folder: name, curves: [curve]))
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
        let names = groups.map { group in
            (environments.count == 1 ? "" : group.configuration.environment + " ")
                + group.configuration.algorithm.rawValue
        }
        let series = zip(groups, names).map { group, name in
            // Other recipes of one algorithm are told apart by their folders.
            var label = names.filter { $0 == name }.count == 1 ? name : group.folder
            if group.curves.count > 1 { label += " (\(group.curves.count) seeds)" }
            return Series(label, of: group.curves)
        }
        return Chart(
            title: environments.sorted().joined(separator: ", "), horizontal: "steps", vertical: metric,
            series: series)
    }

    /// Characters of the terminal on standard output, if there is one.
    private func terminalSize() -> (columns: Int, rows: Int)? {
        var size = winsize()
        guard isatty(STDOUT_FILENO) == 1, ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else {
            return nil
        }
        return (Int(size.ws_col), Int(size.ws_row))
    }
}
