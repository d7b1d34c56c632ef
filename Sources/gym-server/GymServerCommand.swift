import ArgumentParser
import CommandLineSupport

/// `gym-server`: serves environments to whoever connects.
@main
struct GymServerCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gym-server",
        abstract: "Serves reinforcement-learning environments over a Unix socket (protocol gym.v1).",
        subcommands: [ServeCommand.self, ListCommand.self, PlayCommand.self])

    static func main() { runMain() }
}
