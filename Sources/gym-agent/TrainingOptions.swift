import ArgumentParser

/// What `train` and `resume` are both told of how to go about it. None of it changes what comes out.
struct TrainingOptions: ParsableArguments {
    @Option(parsing: .unconditional, help: "Steps between checkpoints. (default: a tenth of the run, at least 100000)")
    var checkpointEvery: Int?

    @Option(
        help: "auto, on or off: whether the learner works while environments step. Results do not depend on it.")
    var overlap = OverlapChoice.auto

    @OptionGroup var server: ServerOptions

    @Flag(help: "Print nothing but errors.")
    var quiet = false

    func validate() throws {
        if let checkpointEvery, checkpointEvery < 1 {
            throw ValidationError("--checkpoint-every is \(checkpointEvery); it has to be at least 1")
        }
    }
}

/// Whether the learner works while its environments step.
enum OverlapChoice: String, ExpressibleByArgument, CaseIterable {
    case auto
    case on
    case off
}
