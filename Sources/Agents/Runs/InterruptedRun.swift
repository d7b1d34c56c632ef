/// A run in a folder that is to go on.
public struct InterruptedRun {
    /// The run's folder, which no other process trains in as long as this is kept.
    public let folder: RunFolder
    /// What is trained on what.
    public let configuration: RunConfiguration
    /// The newest checkpoint that is whole; `nil` when none was written yet.
    public let newest: (checkpoint: Checkpoint, path: String)?
    /// Whether the run is to have another number of steps than was said before.
    public let hasOtherSteps: Bool

    /// Looks for where to go on.
    ///
    /// - Parameters:
    ///   - steps: that the whole run is to have; `nil`: as before.
    ///   - skipped: called with what is wrong with each checkpoint that is passed over.
    /// - Throws: ``ResumeError`` when there is nothing to go on from, ``CheckpointError`` when no checkpoint can be taken,
    ///   ``RunFolderError`` when another process trains in the folder.
    public init(_ path: String, steps: Int? = nil, skipped: (String) -> Void = { _ in }) throws {
        folder = RunFolder(existing: path)
        let before: RunConfiguration
        do {
            before = try folder.configuration()
        } catch let error as RunFolderError {
            throw ResumeError(error.description)
        }
        try folder.lock()
        newest = try CheckpointFolder(of: folder).newest(skipped: skipped)
        if newest == nil, let obstacle = folder.resultWithoutCheckpoint {
            throw ResumeError("\(folder.url.path) has no checkpoint, but \(obstacle): there is nothing to go on from")
        }
        if let steps, let newest, steps < newest.checkpoint.steps {
            throw ResumeError("--steps is \(steps); the run has \(newest.checkpoint.steps) steps already")
        }
        configuration = steps.map(before.withSteps) ?? before
        hasOtherSteps = steps != nil
    }

    /// The steps of a run that has nothing left to do; `nil` when there is something, if only to say that it is no longer
    /// what it was.
    public var finishedSteps: Int? {
        guard let checkpoint = newest?.checkpoint, let summary = folder.summary(),
            checkpoint.steps >= configuration.hyperparameters.integer("n_timesteps"),
            checkpoint.steps == summary.steps, (try? checkpoint.check(configuration)) != nil
        else { return nil }
        return checkpoint.steps
    }
}

/// A run that cannot go on as it was asked for, and why.
public struct ResumeError: Error, Hashable, CustomStringConvertible {
    /// What is wrong, and what would be right.
    public let description: String

    /// An error with the given words.
    public init(_ description: String) { self.description = description }
}
