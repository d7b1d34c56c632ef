import Agents
import ArgumentParser
import CommandLineSupport

/// What `train` and `resume` are both told of how to go about it. None of it changes what comes out.
struct TrainingOptions: ParsableArguments {
    @Option(parsing: .unconditional, help: "Steps between checkpoints. (default: a tenth of the run, at least 100000)")
    var checkpointEvery: Int?

    @Option(
        help: "auto, on or off: whether the learner works while environments step. Results do not depend on it.")
    var overlap = OverlapChoice.auto

    @Option(
        parsing: .unconditional,
        help: "Threads of the learner. Results do not depend on it. (default: as many as it may run on)")
    var threads: Int?

    @OptionGroup var server: ServerOptions

    @Flag(help: "Print nothing but errors.")
    var quiet = false

    func validate() throws {
        if let checkpointEvery, checkpointEvery < 1 {
            throw ValidationError("--checkpoint-every is \(checkpointEvery); it has to be at least 1")
        }
        if let threads, !(1...1024).contains(threads) {
            throw ValidationError("--threads is \(threads); it has to be from 1 to 1024")
        }
    }

    var execution: Execution {
        var execution = Execution()
        execution.overlaps = overlap != .off
        execution.threads = threads
        return execution
    }

    /// Runs a training to its end, shows how it goes, and prints what came of it.
    func run(_ training: Training, _ interruption: Interruption) throws {
        if let checkpointEvery { training.checkpointInterval = checkpointEvery }
        if !quiet { training.sinks.append(TerminalSink(training.configuration.hyperparameters)) }
        training.shouldStop = { interruption.isRequested }
        training.onNotice = { StandardStreams.error("gym-agent: \($0)") }
        let summary = try training.run()
        if quiet { return }
        StandardStreams.print(
            String(
                format: "%d steps in %.2f s; greedy return %.1f over %d episodes", summary.steps, summary.wallSeconds,
                summary.finalMeanReturn, Training.finalEpisodes))
        guard let folder = training.folder?.url.path else { return }
        StandardStreams.print(folder)
        if training.steps < training.totalSteps { StandardStreams.print("go on with: gym-agent resume \(folder)") }
    }
}

/// Whether the learner works while its environments step.
enum OverlapChoice: String, ExpressibleByArgument, CaseIterable {
    case auto
    case on
    case off
}
