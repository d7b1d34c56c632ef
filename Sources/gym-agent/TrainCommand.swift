import Agents
import ArgumentParser
import CommandLineSupport
import Foundation
import GymCore

/// `gym-agent train`: from nothing to a policy and its run folder.
struct TrainCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "train", abstract: "Trains an agent.",
        discussion: """
            Ctrl-C ends the run early, with everything written, and gym-agent resume goes on with it; a second one \
            ends at once. The run folder holds config.yaml, progress.csv, tensorboard/, checkpoints/, \
            policy.safetensors, summary.json, and best/ when the run evaluates (eval_freq).
            """)

    @Argument(help: "The algorithm; gym-agent list shows them.")
    var algorithm: String

    @Argument(help: "The environment's id; gym-server list shows them.")
    var environment: String

    @Option(parsing: .unconditional, help: "Steps of all environments together. (default: the preset's)")
    var steps: Int?

    @Option(parsing: .unconditional, help: "The seed that everything random comes from.")
    var seed: UInt64 = 0

    @Option(parsing: .unconditional, help: "Environments stepped together. (default: the preset's)")
    var envs: Int?

    @Option(name: .customLong("run"), help: "The run folder; new or empty. (default: runs/ALGORITHM-ENVIRONMENT-N)")
    var runFolder: String?

    @Option(help: "A preset's name, or a YAML file with an entry for the environment. (default: the environment's)")
    var preset: String?

    @Option(help: ArgumentHelp("A hyperparameter; may be given several times.", valueName: "key=value"))
    var set: [String] = []

    @Option(help: ArgumentHelp("An option of the environment; may be given several times.", valueName: "key=value"))
    var option: [String] = []

    @Option(help: "A run folder: start with the policy that this run ended with. (default: a fresh policy)")
    var from: String?

    @OptionGroup var options: TrainingOptions

    func validate() throws {
        if let steps, steps < 1 { throw ValidationError("--steps is \(steps); it has to be at least 1") }
        if runFolder?.isEmpty == true { throw ValidationError("--run is empty; it has to be a folder's path") }
        if let envs, !(1...65_536).contains(envs) {
            throw ValidationError("--envs is \(envs); it has to be from 1 to 65536")
        }
    }

    func run() throws { try reporting(train) }

    private func train() throws {
        do {
            try trainOrThrow()
        } catch let error as UnsupportedSpaceError {
            throw ValidationError("\(algorithm) cannot learn \(environment): \(error)")
        } catch let error as PolicyError {
            throw ValidationError("--from: \(error)")
        }
    }

    private func trainOrThrow() throws {
        let configuration = try self.configuration()
        if let runFolder, let obstacle = RunFolder.obstacle(at: runFolder) {
            throw ValidationError("--run: \(obstacle)")
        }
        let first = try from.map { try TrainedRun($0) }
        let server = try options.server.connect()
        defer { server.embedded?.end() }
        let training = try Training(
            configuration, on: server.environments, startingWith: first?.tensors,
            savingTo: runFolder.map { .folder($0) }
                ?? .numbered(base: "runs/" + "\(algorithm)-\(environment)".replacing("/", with: "-")),
            execution: options.execution)
        try options.run(training, Interruption())
    }

    private func configuration() throws -> RunConfiguration {
        let known = try Algorithm(named: algorithm)
        var settings = try set.map { try pair($0, of: "--set") }
        if let steps { settings.append(("n_timesteps", String(steps))) }
        if let envs { settings.append(("n_envs", String(envs))) }
        var hyperparameters = try known.hyperparameters(environment: environment, preset: preset, settings: settings)
        for (key, value) in try option.map({ try pair($0, of: "--option") }) { hyperparameters.setOption(key, value) }
        return RunConfiguration(
            algorithm: known, environment: environment, seed: seed, hyperparameters: hyperparameters)
    }

    private func pair(_ text: String, of option: String) throws -> (key: String, value: String) {
        guard let middle = text.firstIndex(of: "="), middle != text.startIndex else {
            throw ValidationError("\(option) is '\(text)'; it has to be KEY=VALUE")
        }
        return (key: String(text[..<middle]), value: String(text[text.index(after: middle)...]))
    }
}
