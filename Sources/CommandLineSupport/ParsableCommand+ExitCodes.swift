public import ArgumentParser
import Foundation

extension ParsableCommand {
    /// Parses the arguments and runs the command: exit code 0 when done, 1 when it failed while running, 2 for wrong
    /// usage, with a message that names the argument.
    public static func runMain() -> Never {
        StandardStreams.fillDescriptors()
        do {
            var command = try parseAsRoot()
            do {
                try command.run()
            } catch let error as ValidationError {
                // Each word was right by itself: what they may be is of no help here.
                StandardStreams.error(
                    "Error: \(error.message)\n  See '\(name(of: command)) --help' for more information.")
                Foundation.exit(2)
            }
            if let failure = StandardStreams.failure {
                StandardStreams.error("\(name(of: command)): cannot write to standard output: \(failure)")
                Foundation.exit(1)
            }
            Foundation.exit(0)
        } catch {
            guard exitCode(for: error) == .validationFailure else { exit(withError: error) }
            StandardStreams.error(fullMessage(for: error))
            Foundation.exit(2)
        }
    }

    /// What the user typed to get to the command.
    private static func name(of command: any ParsableCommand) -> String {
        let names = [configuration.commandName, type(of: command).configuration.commandName].compactMap(\.self)
        return names.count == 2 && names[0] == names[1] ? names[0] : names.joined(separator: " ")
    }
}
