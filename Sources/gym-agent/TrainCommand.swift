import Agents
import ArgumentParser
import CommandLineSupport
import Foundation
import GymClient
import GymCore

/// `gym-agent train`: from nothing to a policy and its run folder.
struct TrainCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "train", abstract: "Trains an agent.",
        discussion: """
            Ctrl-C ends the run early, with everything written; a second one ends at once. The run folder holds \
            config.yaml, progress.csv, policy.safetensors and summary.json.
            """)

    @Argument(help: "The algorithm; gym-agent list shows them.")
    var algorithm: String

    @Argument(help: "The environment's id; gym-server list shows them.")
    var environment: String

    @Option(help: "Steps of all environments together. (default: the preset's)")
    var steps: Int?

    @Option(help: "The seed that everything random comes from.")
    var seed: UInt64 = 0

    @Option(help: "Environments stepped together. (default: the preset's)")
    var envs: Int?

    @Option(name: .customLong("run"), help: "The run folder; new or empty. (default: runs/ALGORITHM-ENVIRONMENT-N)")
    var runFolder: String?

    @Option(help: "A preset's name, or a YAML file with an entry for the environment. (default: the environment's)")
    var preset: String?

    @Option(help: ArgumentHelp("A hyperparameter; may be given several times.", valueName: "key=value"))
    var set: [String] = []

    @OptionGroup var server: ServerOptions

    @Flag(help: "Print nothing but errors.")
    var quiet = false

    /// Greedy episodes after training.
    private static let evaluationEpisodes = 20

    func validate() throws {
        if let steps, steps < 1 { throw ValidationError("--steps is \(steps); it has to be at least 1") }
        if let envs, !(1...65_536).contains(envs) {
            throw ValidationError("--envs is \(envs); it has to be from 1 to 65536")
        }
    }

    func run() throws { try reporting(train) }

    private func train() throws {
        let configuration = try self.configuration()
        let path = try unusedFolder()
        let connection = try server.connect()
        defer { connection.embedded?.end() }
        let interruption = Interruption()
        let h = configuration.hyperparameters
        let batch = try server.make(environment, count: h.integer("n_envs"), on: connection)
        let learner: any Learner
        do {
            learner = try configuration.algorithm.learner(on: batch, hyperparameters: h, seed: seed)
        } catch let error as UnsupportedSpaceError {
            throw ValidationError("\(algorithm) cannot learn \(environment): \(error)")
        } catch let error as HyperparameterError {
            throw ValidationError(error.description)
        }
        let folder = try RunFolder(creating: path)
        try folder.write(configuration)
        let summary = try learn(learner, folder, interruption, connection)
        try folder.write(summary)
        if !quiet {
            StandardStreams.print(
                String(
                    format: "%d steps in %.2f s; greedy return %.1f over %d episodes", summary.steps,
                    summary.wallSeconds, summary.finalMeanReturn, TrainCommand.evaluationEpisodes)
                    + "\n\(folder.url.path)")
        }
    }

    private func learn(
        _ learner: any Learner, _ folder: RunFolder, _ interruption: Interruption, _ connection: ServerConnection
    ) throws -> RunSummary {
        var display = ProgressDisplay(total: learner.totalSteps, isQuiet: quiet)
        let start = ContinuousClock.now
        var iterations = 0
        var meanReturn: Double?
        while learner.steps < learner.totalSteps && !interruption.isRequested {
            let metrics = try learner.iterate()
            iterations += 1
            meanReturn = metrics["rollout/ep_rew_mean"]
            let elapsed = seconds(.now - start)
            var row = Metrics()
            row["time/iterations"] = Double(iterations)
            row["time/time_elapsed"] = elapsed
            row["time/total_timesteps"] = Double(learner.steps)
            row["time/fps"] = (Double(learner.steps) / elapsed).rounded()
            for (name, value) in metrics.values { row[name] = value }
            try folder.log(row)
            display.show(steps: learner.steps, meanReturn: meanReturn)
        }
        let elapsed = seconds(.now - start)
        display.finish(steps: learner.steps, meanReturn: meanReturn)
        let hash = try folder.write(learner.policy)
        // Seeds far from the training's own, which are drawn from the whole range.
        let evaluation = try playEpisodes(
            learner.policy, environment, episodes: TrainCommand.evaluationEpisodes, seed: seed &+ 10_000,
            options: server, on: connection)
        return RunSummary(
            algorithm: algorithm, environment: environment, seed: seed, steps: learner.steps, wallSeconds: elapsed,
            updates: learner.updates, finalMeanReturn: evaluation.meanReturn, weightsSha256: hash)
    }

    private func configuration() throws -> RunConfiguration {
        guard let known = Algorithm(rawValue: algorithm) else {
            let names = Algorithm.allCases.map(\.rawValue)
            throw ValidationError(
                "there is no algorithm '\(algorithm)'" + suggestion(for: algorithm, in: names)
                    + "; there is \(names.joined(separator: ", "))")
        }
        var settings = try set.map { setting in
            guard let middle = setting.firstIndex(of: "="), middle != setting.startIndex else {
                throw ValidationError("--set is '\(setting)'; it has to be KEY=VALUE")
            }
            return (key: String(setting[..<middle]), value: String(setting[setting.index(after: middle)...]))
        }
        if let steps { settings.append(("n_timesteps", String(steps))) }
        if let envs { settings.append(("n_envs", String(envs))) }
        do {
            let hyperparameters = try known.hyperparameters(
                environment: environment, preset: preset, settings: settings)
            return RunConfiguration(
                algorithm: known, environment: environment, seed: seed, hyperparameters: hyperparameters)
        } catch let error as HyperparameterError {
            throw ValidationError(error.description)
        } catch let error as PresetError {
            throw ValidationError(error.description)
        }
    }

    /// The run folder's path, before anything is made: a folder that is there has to be empty.
    private func unusedFolder() throws -> String {
        let name = "\(algorithm)-\(environment)".replacing("/", with: "-")
        let path = runFolder ?? RunFolder.unused("runs/\(name)")
        if let obstacle = RunFolder.obstacle(at: path) { throw ValidationError("--run: \(obstacle)") }
        return path
    }
}
