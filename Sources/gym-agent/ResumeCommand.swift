import Agents
import ArgumentParser
import CommandLineSupport

/// `gym-agent resume`: goes on with a run that was interrupted, or trains one further.
struct ResumeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "resume", abstract: "Goes on with a run from its newest whole checkpoint.",
        discussion: """
            The run ends as it would have without the interruption: with the same weights, to the bit. Against a \
            server that cannot set its environments' states, it goes on with fresh episodes, and says so.
            """)

    @Argument(help: "A run folder.")
    var folder: String

    @Option(
        parsing: .unconditional,
        help: "Steps that the whole run is to have; falling schedules then fall until there. (default: as before)")
    var steps: Int?

    @OptionGroup var options: TrainingOptions

    func validate() throws {
        if let steps, steps < 1 { throw ValidationError("--steps is \(steps); it has to be at least 1") }
    }

    func run() throws { try reporting(resume) }

    private func resume() throws {
        let existing = try ExistingRun(folder)
        let run = existing.folder
        var configuration = existing.configuration
        try run.lock()
        let newest = try CheckpointFolder(of: run).newest { StandardStreams.error("gym-agent: \($0)") }
        if newest == nil, let obstacle = run.resultWithoutCheckpoint {
            throw ValidationError("\(run.url.path) has no checkpoint, but \(obstacle): there is nothing to go on from")
        }
        if let steps {
            if let newest, steps < newest.checkpoint.steps {
                throw ValidationError("--steps is \(steps); the run has \(newest.checkpoint.steps) steps already")
            }
            configuration = configuration.withSteps(steps)
        }
        let connection = try options.server.connect()
        defer { connection.embedded?.end() }
        let training = try Training(
            configuration, options: options, connection: connection, interruption: Interruption()
        ) { run }
        if let newest {
            try training.resume(from: newest.checkpoint, at: newest.path)
            if !options.quiet { StandardStreams.print("going on at step \(newest.checkpoint.steps)") }
        } else if !options.quiet {
            StandardStreams.print("the run has no checkpoint yet: it starts again from its beginning")
        }
        if steps != nil { try run.write(configuration) }
        _ = try training.run()
    }
}
