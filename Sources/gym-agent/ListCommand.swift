import Agents
import ArgumentParser
import CommandLineSupport
import GymCore

/// `gym-agent list`: what can be trained and set.
struct ListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Lists algorithms, their presets, and their hyperparameters with defaults.")

    @Argument(help: "One algorithm alone.")
    var algorithm: String?

    func run() throws { try reporting(list) }

    private func list() throws {
        for algorithm in try algorithm.map({ [try Algorithm(named: $0)] }) ?? Algorithm.allCases {
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

extension Algorithm {
    /// The algorithm that a user names.
    ///
    /// - Throws: `ValidationError` with the nearest names when there is none.
    init(named name: String) throws {
        guard let known = Algorithm(rawValue: name) else {
            let names = Algorithm.allCases.map(\.rawValue)
            throw ValidationError(
                "there is no algorithm '\(name)'" + suggestion(for: name, in: names)
                    + "; there is \(names.joined(separator: ", "))")
        }
        self = known
    }
}
