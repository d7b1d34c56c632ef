import ArgumentParser
import CommandLineSupport
import Foundation
import GymCore
import GymEnvironments
import GymProtocol
import GymServer

/// `gym-server list`: the environments, for people or as JSON.
struct ListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Lists the environments: id, spaces, time limit, reward threshold, options.")

    @Flag(help: "Print JSON.")
    var json = false

    func run() throws {
        let environments = try GymEnvironments.registry.descriptions()
        if json {
            let encoder = JSONEncoder()
            encoder.keyEncodingStrategy = .convertToSnakeCase
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
            let data = try encoder.encode(environments.map(ListedEnvironment.init))
            StandardStreams.print(String(decoding: data, as: UTF8.self))
        } else {
            StandardStreams.print(environments.map(describe).joined(separator: "\n\n"))
        }
    }

    private func describe(_ environment: EnvironmentDescription) -> String {
        var lines = [environment.id, "  \(environment.summary)"]
        lines.append("  observations      \(environment.observationSpace)")
        lines.append("  actions           \(environment.actionSpace)")
        lines.append("  time limit        \(environment.maxEpisodeSteps.map { "\($0) steps" } ?? "none")")
        if let threshold = environment.rewardThreshold { lines.append("  reward threshold  \(threshold)") }
        if !environment.renderModes.isEmpty {
            lines.append("  render modes      \(environment.renderModes.joined(separator: ", "))")
        }
        func add(_ title: String, _ options: [EnvironmentDescription.Option]) {
            for option in options {
                lines.append(
                    "  \(title)\(option.name) = \(option.defaultValue.description): \(option.summary) (\(option.allowed))"
                )
            }
        }
        add("option            ", environment.options)
        add("reset option      ", environment.resetOptions)
        return lines.joined(separator: "\n")
    }
}

/// An environment as `list --json` prints it.
private struct ListedEnvironment: Encodable {
    struct Option: Encodable {
        let name: String
        let `default`: String
        let allowed: String
        let summary: String
    }

    let id: String
    let summary: String
    let observationSpace: String
    let actionSpace: String
    let maxEpisodeSteps: Int?
    let rewardThreshold: Double?
    let nondeterministic: Bool
    let renderModes: [String]
    let restorable: Bool
    let options: [Option]
    let resetOptions: [Option]

    init(_ environment: EnvironmentDescription) {
        func listed(_ options: [EnvironmentDescription.Option]) -> [Option] {
            options.map {
                Option(name: $0.name, default: $0.defaultValue.description, allowed: $0.allowed, summary: $0.summary)
            }
        }
        id = environment.id
        summary = environment.summary
        observationSpace = environment.observationSpace.description
        actionSpace = environment.actionSpace.description
        maxEpisodeSteps = environment.maxEpisodeSteps
        rewardThreshold = environment.rewardThreshold
        nondeterministic = environment.nondeterministic
        renderModes = environment.renderModes
        restorable = environment.isRestorable
        options = listed(environment.options)
        resetOptions = listed(environment.resetOptions)
    }
}
