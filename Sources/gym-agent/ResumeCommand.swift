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
        let run = try InterruptedRun(folder, steps: steps) { StandardStreams.error("gym-agent: \($0)") }
        if let steps = run.finishedSteps {
            if !options.quiet {
                StandardStreams.print(
                    "\(run.folder.url.path) is already finished, with \(steps) steps; --steps N trains it further")
            }
            return
        }
        let server = try options.server.connect()
        defer { server.embedded?.end() }
        let training = try Training(resuming: run, on: server.environments, execution: options.execution)
        if !options.quiet {
            StandardStreams.print(
                run.newest.map { "going on at step \($0.checkpoint.steps)" }
                    ?? "the run has no checkpoint yet: it starts again from its beginning")
        }
        try options.run(training, Interruption())
    }
}
