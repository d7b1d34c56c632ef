import ArgumentParser
import CommandLineSupport

/// `gym-bench`: how fast the parts are, beside what the machine allows.
@main
struct GymBenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gym-bench",
        abstract: "Measures the project beside the bare limits of this machine, in one run.",
        discussion: "Build in release, and let nothing else run meanwhile.",
        subcommands: [
            RoundtripCommand.self, ThroughputCommand.self, UpdateCommand.self, SoakCommand.self, HostileCommand.self,
            WanderCommand.self, PeerCommand.self,
        ])

    static func main() { runMain() }
}
