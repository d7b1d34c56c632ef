import CommandLineSupport
import Dispatch
import Foundation
import Synchronization

/// Ctrl-C: the first asks the run to end whole, the second ends the program at once.
final class Interruption: Sendable {
    private let count = Atomic<Int>(0)

    /// Whether the run is to end.
    var isRequested: Bool { count.load(ordering: .relaxed) > 0 }

    /// Listens to SIGINT and SIGTERM from now on.
    init() {
        for number in [SIGINT, SIGTERM] {
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler { [self] in
                _ = source
                if count.add(1, ordering: .relaxed).oldValue == 0 {
                    StandardStreams.error("\nending the run; once more ends at once and keeps nothing new")
                } else {
                    // A server of the agent's own sees its standard input end, and cleans up.
                    _exit(130)
                }
            }
            source.resume()
        }
    }
}
