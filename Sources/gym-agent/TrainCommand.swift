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
        let configuration = try self.configuration()
        let path = try unusedFolder()
        let connection = try options.server.connect()
        defer { connection.embedded?.end() }
        let training: Training
        do {
            training = try Training(
                configuration, options: options, connection: connection, interruption: Interruption()
            ) {
                let folder = try RunFolder(creating: path)
                try folder.lock()
                try folder.write(configuration)
                return folder
            }
        } catch let error as UnsupportedSpaceError {
            throw ValidationError("\(algorithm) cannot learn \(environment): \(error)")
        } catch let error as HyperparameterError {
            throw ValidationError(error.description)
        }
        _ = try training.run()
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
