public import ArgumentParser
import Foundation

extension ParsableCommand {
    /// Parses the arguments and runs the command: exit code 0 when done, 1 when it failed while running, 2 for wrong
    /// usage, with a message that names the argument.
    public static func runMain() -> Never {
        do {
            var command = try parseAsRoot()
            try command.run()
            Foundation.exit(0)
        } catch {
            guard exitCode(for: error) == .validationFailure else { exit(withError: error) }
            StandardStreams.error(fullMessage(for: error))
            Foundation.exit(2)
        }
    }
}
