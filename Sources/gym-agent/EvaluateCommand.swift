import Agents
import ArgumentParser
import CommandLineSupport
import Foundation

/// `gym-agent evaluate`: greedy episodes of a trained policy.
struct EvaluateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "evaluate", abstract: "Plays greedy episodes with a trained policy.")

    @Argument(help: "A run folder.")
    var folder: String

    @Option(parsing: .unconditional, help: "Episodes to play.")
    var episodes = 20

    @Option(parsing: .unconditional, help: "Episode i is seeded with this + i.")
    var seed: UInt64 = 0

    @OptionGroup var server: ServerOptions

    @Flag(help: "Print JSON.")
    var json = false

    @Flag(help: "With --json: the return and the length of each episode, too.")
    var each = false

    func validate() throws {
        guard (1...1_000_000).contains(episodes) else {
            throw ValidationError("--episodes is \(episodes); it has to be from 1 to 1000000")
        }
        guard json || !each else { throw ValidationError("--each needs --json") }
    }

    func run() throws { try reporting(play) }

    private func play() throws {
        let run = try TrainedRun(folder)
        let configuration = run.configuration
        let connection = try server.connect()
        defer { connection.embedded?.end() }
        let evaluation = try playEpisodes(
            run.policy(server, on: connection).policy, configuration.environment, episodes: episodes, seed: seed,
            options: server, on: connection)
        let report = Report(
            environment: configuration.environment, episodes: episodes, meanReturn: evaluation.meanReturn,
            stdReturn: evaluation.returnDeviation, meanLength: evaluation.meanLength,
            returns: each ? evaluation.returns : nil,
            lengths: each ? evaluation.lengths : nil)
        if json {
            let encoder = JSONEncoder()
            encoder.keyEncodingStrategy = .convertToSnakeCase
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            StandardStreams.print(String(decoding: try encoder.encode(report), as: UTF8.self))
        } else {
            StandardStreams.print(
                "\(report.environment), \(episodes) episodes: "
                    + String(
                        format: "return %.1f ± %.1f, length %.1f", report.meanReturn, report.stdReturn,
                        report.meanLength))
        }
    }

    private struct Report: Encodable {
        let environment: String
        let episodes: Int
        let meanReturn: Double
        let stdReturn: Double
        let meanLength: Double
        let returns: [Double]?
        let lengths: [Int]?
    }
}
