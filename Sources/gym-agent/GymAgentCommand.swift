import Agents
import ArgumentParser
import CommandLineSupport
import Foundation

/// `gym-agent`: trains agents on any server of environments.
@main
struct GymAgentCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gym-agent",
        abstract: "Trains reinforcement-learning agents on environments that a server offers (protocol gym.v1).",
        subcommands: [
            TrainCommand.self, ResumeCommand.self, EvaluateCommand.self, RecordCommand.self, PlotCommand.self,
            ExportCommand.self, ListCommand.self,
        ])

    static func main() {
        // A server that has gone is an error to report, not a reason to end without a word.
        signal(SIGPIPE, SIG_IGN)
        // So is a file that reached the size that the user's limits allow.
        signal(SIGXFSZ, SIG_IGN)
        runMain()
    }
}

/// Runs a command's body: what goes wrong becomes a line on standard error and exit code 1, except wrong usage.
func reporting(_ body: () throws -> Void) throws {
    do {
        try body()
    } catch let error as ValidationError {
        throw error
    } catch let error as ExitCode {
        throw error
    } catch let error as any WrongUsage {
        throw ValidationError(error.description)
    } catch {
        StandardStreams.error("gym-agent: \(error)")
        throw ExitCode(1)
    }
}

/// What is wrong with what the user asked for, and not with how it went.
private protocol WrongUsage: Error, CustomStringConvertible {}
extension HyperparameterError: WrongUsage {}
extension PresetError: WrongUsage {}
extension EnvironmentChoiceError: WrongUsage {}
extension ResumeError: WrongUsage {}
