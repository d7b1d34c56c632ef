import Agents
import ArgumentParser
import CommandLineSupport

/// `gym-agent list`: what can be trained and set.
struct ListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Lists algorithms, their presets, and their hyperparameters with defaults.")

    func run() throws {
        try reporting {
            for algorithm in Algorithm.allCases {
                StandardStreams.print("\(algorithm.rawValue): \(algorithm.summary)")
                let presets = try algorithm.presets().entries.map(\.name)
                StandardStreams.print("  presets: \(presets.joined(separator: ", "))")
                StandardStreams.print("  hyperparameters:")
                for parameter in Hyperparameters(algorithm.schema).schema {
                    StandardStreams.print(
                        "    \(parameter.key) = \(parameter.defaultValue.text): \(parameter.summary) "
                            + "(\(parameter.kind.description))")
                }
            }
        }
    }
}
