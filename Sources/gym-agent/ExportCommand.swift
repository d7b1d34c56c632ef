import Agents
import ArgumentParser
import CommandLineSupport
import Foundation

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
        // The server knows the spaces.
        let connection = try server.connect()
        defer { connection.embedded?.end() }
        let probe = try server.make(configuration.environment, count: 1, on: connection)
        let policy = try run.policy(for: probe)
        try probe.close()
        let model = try ONNXModel.encode(
            policy, observationSpace: probe.observationSpace,
            metadata: [
                ("environment", configuration.environment), ("algorithm", configuration.algorithm.rawValue),
                ("seed", String(configuration.seed)),
            ])
        try DurableFile.write(model, to: onnx)
        StandardStreams.print("wrote \(onnx): \(model.count) bytes")
    }
}
