import Agents
import ArgumentParser
import CommandLineSupport
import Foundation
import RunFiles

/// `gym-agent export`: a trained policy for other programs.
struct ExportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export", abstract: "Writes a trained policy as an ONNX model.",
        discussion: """
            The model takes a batch of observations as the environment gives them and returns the greedy action of \
            each as the environment takes it: normalisation and action scaling are part of it.
            """)

    @Argument(help: "A run folder.")
    var folder: String

    @Option(help: "The model's file.")
    var onnx: String

    @OptionGroup var server: ServerOptions

    func run() throws { try reporting(export) }

    private func export() throws {
        let run = try TrainedRun(folder)
        let configuration = run.configuration
        let server = try server.connect()
        defer { server.embedded?.end() }
        let environment = try run.makeEnvironment(server)
        let model = try ONNXModel.encode(
            run.policy(for: environment), observationSpace: environment.observationSpace,
            metadata: [
                ("environment", configuration.environment), ("algorithm", configuration.algorithm.rawValue),
                ("seed", String(configuration.seed)),
            ])
        try DurableFile.write(model, to: onnx)
        StandardStreams.print("wrote \(onnx): \(model.count) bytes")
    }
}
