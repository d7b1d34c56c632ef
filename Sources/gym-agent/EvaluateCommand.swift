import Agents
import ArgumentParser
import CommandLineSupport
import Foundation

/// `gym-agent evaluate`: greedy episodes of a trained policy.
struct EvaluateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "evaluate", abstract: "Plays episodes with a trained policy.",
        discussion: "Without --seed these are the episodes by which the run's result was measured, and more of them.")

    @Argument(help: "A run folder.")
    var folder: String

    @Option(parsing: .unconditional, help: "Episodes to play.")
    var episodes = 20

    @Option(parsing: .unconditional, help: "Episode i is seeded with this + i. (default: of the run's own seed)")
    var seed: UInt64?

    @Option(parsing: .unconditional, help: "Steps after which an episode is cut, and counts as far as it got.")
    var maxSteps = Evaluation.mostSteps

    @Flag(help: "Draw actions from the policy's distribution, as in training; else they are greedy.")
    var stochastic = false

    @OptionGroup var server: ServerOptions

    @Flag(help: "Print JSON.")
    var json = false

    @Flag(help: "With --json: the return and the length of each episode, too.")
    var each = false

    func validate() throws {
        guard (1...1_000_000).contains(episodes) else {
            throw ValidationError("--episodes is \(episodes); it has to be from 1 to 1000000")
        }
        guard maxSteps >= 1 else { throw ValidationError("--max-steps is \(maxSteps); it has to be at least 1") }
        guard json || !each else { throw ValidationError("--each needs --json") }
    }

    func run() throws { try reporting(play) }

    private func play() throws {
        let run = try TrainedRun(folder)
        let configuration = run.configuration
        let server = try server.connect()
        defer { server.embedded?.end() }
        let environment = try run.makeEnvironment(server)
        let policy = try run.policy(for: environment)
        if stochastic && !policy.drawsActions {
            throw ValidationError(
                "--stochastic: a policy of \(configuration.algorithm.rawValue) has no distribution to draw from")
        }
        let evaluation = try configuration.evaluator(on: server.environments, like: environment).play(
            policy, episodes: episodes, seed: seed ?? configuration.finalEpisodesSeed, mostSteps: maxSteps,
            isStochastic: stochastic)
        if evaluation.cutEpisodes > 0 {
            StandardStreams.error(
                "gym-agent: \(evaluation.cutEpisodes) of \(episodes) episodes had not ended after \(maxSteps) steps, "
                    + "and count as far as they got; --max-steps gives them more")
        }
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
