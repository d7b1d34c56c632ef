import Agents
import CommandLineSupport
import Foundation
import GymClient
import GymCore
import GymProtocol

/// A run under way: goes on with its learner, logs, evaluates, and keeps checkpoints.
final class Training {
    private let configuration: RunConfiguration
    private let folder: RunFolder
    private let checkpoints: CheckpointFolder
    private let options: TrainingOptions
    private let connection: ServerConnection
    private let batch: RemoteVectorEnvironment
    private let learner: any Learner
    private let checkpointInterval: Int
    private let interruption: Interruption

    private var iterations = 0
    /// Seconds of training before this program took over.
    private var secondsBefore = 0.0
    /// Seconds since then that evaluations took: they are no part of the training.
    private var evaluationSeconds = 0.0
    private var start = ContinuousClock.now
    private var bestReturn: Double?
    private var evaluationBatch: RemoteVectorEnvironment?
    private var latestCheckpoint: (steps: Int, path: String)?

    /// Greedy episodes after training.
    private static let finalEpisodes = 20
    /// Seeds far from the training's own, which are drawn from the whole range.
    private static let finalSeedOffset: UInt64 = 10_000
    private static let evaluationSeedOffset: UInt64 = 20_000
    /// A checkpoint for each tenth of a run, but not more often than this many steps.
    private static let leastCheckpointInterval = 100_000

    /// A run that is to start from its beginning.
    ///
    /// - Parameter folder: makes the run's folder, once it is known that the environment can be learnt.
    init(
        _ configuration: RunConfiguration, options: TrainingOptions, connection: ServerConnection,
        interruption: Interruption, folder: () throws -> RunFolder
    ) throws {
        self.configuration = configuration
        self.options = options
        self.connection = connection
        self.interruption = interruption
        let h = configuration.hyperparameters
        batch = try options.server.make(configuration.environment, count: h.integer("n_envs"), on: connection)
        learner = try configuration.algorithm.learner(
            on: batch, hyperparameters: h, seed: configuration.seed, overlaps: options.overlap != .off)
        checkpointInterval =
            options.checkpointEvery ?? max(learner.totalSteps / 10, Training.leastCheckpointInterval)
        self.folder = try folder()
        checkpoints = CheckpointFolder(of: self.folder)
    }

    // MARK: Going on

    /// Takes over where a checkpoint stands.
    ///
    /// - Throws: `CheckpointError` when it is of another run.
    func resume(from checkpoint: Checkpoint, at path: String) throws {
        do {
            try checkpoint.check(
                configuration, observationSpace: batch.observationSpace, actionSpace: batch.actionSpace)
            try checkpoint.restore(learner)
        } catch let error as CheckpointError {
            throw CheckpointError("the checkpoint \(path) cannot be taken: \(error)")
        }
        if let obstacle = try obstacle(toRestoring: checkpoint.environmentStates) {
            StandardStreams.error(
                "the environments' states \(obstacle): "
                    + "the run goes on with fresh episodes, and not exactly as it would have")
            learner.startFreshEpisodes()
        }
        iterations = checkpoint.iterations
        secondsBefore = checkpoint.elapsedSeconds
        bestReturn = checkpoint.bestReturn
        latestCheckpoint = (checkpoint.steps, path)
        try folder.continueProgress(length: checkpoint.progressLength, step: checkpoint.steps)
    }

    /// Has the environments go on where they stood; says why they cannot, as the end of a sentence.
    private func obstacle(toRestoring states: [[UInt8]]?) throws -> String? {
        guard canSaveEnvironments else { return "are not the server's to set" }
        guard let states else { return "are not in the checkpoint" }
        do {
            try batch.restore(states)
            return nil
        } catch GymError.refused(let error) where error.code == .invalidState {
            // A server of another version, or one that seals its states and was started anew.
            return "are not taken by the server (\(error.message))"
        }
    }

    private var canSaveEnvironments: Bool {
        connection.connection.server.capabilities.contains(ProtocolVersion.state) && batch.description.isRestorable
    }

    private func writeCheckpoint() throws {
        if latestCheckpoint?.steps == learner.steps { return }
        var checkpoint = Checkpoint(
            configuration, observationSpace: batch.observationSpace, actionSpace: batch.actionSpace, learner: learner,
            environmentStates: canSaveEnvironments ? try batch.states() : nil)
        checkpoint.iterations = iterations
        checkpoint.elapsedSeconds = elapsed
        checkpoint.bestReturn = bestReturn
        checkpoint.progressLength = folder.synchroniseProgress()
        latestCheckpoint = (learner.steps, try checkpoints.write(checkpoint))
    }

    // MARK: The loop

    /// Runs to the end, or until the user interrupts, and leaves a whole run folder.
    func run() throws -> RunSummary {
        var display = ProgressDisplay(total: learner.totalSteps, done: learner.steps, isQuiet: options.quiet)
        start = .now
        var meanReturn: Double?
        while learner.steps < learner.totalSteps && !interruption.isRequested {
            let before = learner.steps
            let metrics = try iterate()
            meanReturn = metrics["rollout/ep_rew_mean"]
            try folder.log(row(metrics, evaluation: evaluateIfDue(since: before)), step: learner.steps)
            display.show(steps: learner.steps, meanReturn: meanReturn)
            // The first early: whatever goes wrong later, there is one before it.
            if before / checkpointInterval != learner.steps / checkpointInterval || latestCheckpoint == nil {
                try writeCheckpoint()
            }
        }
        let seconds = elapsed
        display.finish(steps: learner.steps, meanReturn: meanReturn)
        try writeCheckpoint()
        let hash = try folder.write(learner.policy)
        let evaluation = try playEpisodes(
            learner.policy, configuration.environment, episodes: Training.finalEpisodes,
            seed: configuration.seed &+ Training.finalSeedOffset, options: options.server, on: connection)
        let summary = RunSummary(
            algorithm: configuration.algorithm.rawValue, environment: configuration.environment,
            seed: configuration.seed, steps: learner.steps, wallSeconds: seconds, updates: learner.updates,
            finalMeanReturn: evaluation.meanReturn, weightsSha256: hash)
        try folder.write(summary)
        report(summary)
        return summary
    }

    private func iterate() throws -> Metrics {
        do {
            let metrics = try learner.iterate()
            iterations += 1
            return metrics
        } catch let error as NotFiniteError {
            // Checkpoints are of the ends of iterations: whatever the failed one applied is in none.
            guard let latestCheckpoint else {
                throw RunFolderError("\(error)\nno checkpoint was written before it")
            }
            throw RunFolderError("\(error)\nthe newest checkpoint before it: \(latestCheckpoint.path)")
        }
    }

    private var elapsed: Double { secondsBefore + seconds(.now - start) - evaluationSeconds }

    private func row(_ metrics: Metrics, evaluation: Evaluation?) -> Metrics {
        let elapsed = self.elapsed
        var row = Metrics()
        row["time/iterations"] = Double(iterations)
        row["time/time_elapsed"] = elapsed
        row["time/total_timesteps"] = Double(learner.steps)
        row["time/fps"] = (Double(learner.steps) / elapsed).rounded()
        row["eval/mean_reward"] = evaluation?.meanReturn
        row["eval/mean_ep_length"] = evaluation?.meanLength
        for (name, value) in metrics.values { row[name] = value }
        return row
    }

    private func report(_ summary: RunSummary) {
        if options.quiet { return }
        StandardStreams.print(
            String(
                format: "%d steps in %.2f s; greedy return %.1f over %d episodes", summary.steps, summary.wallSeconds,
                summary.finalMeanReturn, Training.finalEpisodes) + "\n\(folder.url.path)")
        if interruption.isRequested && learner.steps < learner.totalSteps {
            StandardStreams.print("go on with: gym-agent resume \(folder.url.path)")
        }
    }

    // MARK: Evaluation

    /// Greedy episodes when as many steps have passed as `eval_freq` says; the best policy is kept in `best/`.
    private func evaluateIfDue(since before: Int) throws -> Evaluation? {
        let interval = configuration.hyperparameters.integer("eval_freq")
        guard interval > 0, before / interval != learner.steps / interval else { return nil }
        let start = ContinuousClock.now
        defer { evaluationSeconds += seconds(.now - start) }
        let evaluationBatch =
            try self.evaluationBatch
            ?? options.server.make(
                configuration.environment, count: configuration.hyperparameters.integer("eval_episodes"), on: connection
            )
        self.evaluationBatch = evaluationBatch
        // The user's wish to end is not kept waiting by long episodes; the log line then goes without.
        guard
            let evaluation = try evaluate(
                learner.policy, on: evaluationBatch, seed: configuration.seed &+ Training.evaluationSeedOffset,
                shouldStop: { interruption.isRequested })
        else { return nil }
        if evaluation.meanReturn > bestReturn ?? -.infinity {
            bestReturn = evaluation.meanReturn
            try folder.writeBest(configuration, learner.policy)
        }
        return evaluation
    }
}
