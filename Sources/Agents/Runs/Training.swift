import Foundation
import GymCore
import RunFiles

/// A run: a learner goes on until its steps are done, is evaluated now and then, and leaves what it learnt.
///
/// ```swift
/// let server = try Connection(path: "/tmp/gym.sock")
/// let configuration = try RunConfiguration(.ppo, on: "CartPole-v1", seed: 1)
/// let training = try Training(configuration, on: RemoteEnvironments(server), savingTo: .folder("runs/mine"))
/// training.onMetrics = { metrics, step in print(step, metrics["rollout/ep_rew_mean"] ?? 0) }
/// training.returnToReach = 475
/// print(try training.run().finalMeanReturn)
/// ```
///
/// For one thread, that of ``run()``, which calls everything that it is given.
public final class Training {
    /// What is trained on what.
    public let configuration: RunConfiguration
    /// Where the run is saved; `nil`: nowhere.
    public let folder: RunFolder?

    /// Where log lines go besides the run's folder.
    public var sinks: [any MetricSink] = []
    /// Called with every log line and its step.
    public var onMetrics: (Metrics, _ step: Int) throws -> Void = { _, _ in }
    /// Called after every evaluation during training (`eval_freq`) with its step, and whether its policy is the best so
    /// far.
    public var onEvaluation: (Evaluation, _ step: Int, _ isBest: Bool) throws -> Void = { _, _, _ in }
    /// Called with what somebody should know and no error is.
    public var onNotice: (String) -> Void = { _ in }
    /// The run ends early when an evaluation during training has this mean return, or, without evaluations
    /// (`eval_freq` 0), the last hundred episodes. `nil`: it does not.
    public var returnToReach: Double?
    /// The run ends early, as whole as otherwise, when this is so: asked after every iteration, and before every step of
    /// an evaluation, which is then cut.
    public var shouldStop: () -> Bool = { false }
    /// Steps between checkpoints; by default a tenth of the run, at least 100,000.
    public var checkpointInterval: Int
    /// Steps after which an episode of an evaluation is cut.
    public var mostEvaluationSteps = Evaluation.mostSteps

    private let batch: any EnvironmentBatch
    private let learner: any Learner
    private let evaluator: Evaluator
    private let checkpoints: CheckpointWriter?
    private var iterations = 0
    /// Seconds of training before this program took over.
    private var secondsBefore = 0.0
    /// Seconds since then that evaluations took: they are no part of the training.
    private var evaluationSeconds = 0.0
    private var start = ContinuousClock.now
    private var bestReturn: Double?
    private var latestCheckpoint: (steps: Int, path: String)?
    private var isEnding = false
    /// Why an evaluation may not have been as it should be; said when there is somebody to hear it.
    private var notices: [String] = []

    /// Greedy episodes after training.
    public static let finalEpisodes = 20
    /// Seconds that the last evaluation may take after the run was told to stop, by Ctrl-C for one.
    private static let patience = 5.0
    /// A checkpoint for each tenth of a run, but not more often than this many steps.
    private static let leastCheckpointInterval = 100_000

    /// Where a new run is saved.
    public enum Destination: Sendable, Hashable {
        /// Nowhere: it is trained and gone.
        case nowhere
        /// A folder, new or empty.
        case folder(String)
        /// The first of `BASE-1`, `BASE-2`, … that is not there.
        case numbered(base: String)

        fileprivate func makeFolder() throws -> RunFolder? {
            switch self {
            case .nowhere: nil
            case .folder(let path): try RunFolder(creating: path)
            case .numbered(let base): try RunFolder(numbering: base)
            }
        }
    }

    /// A run that is to start from its beginning.
    ///
    /// - Parameters:
    ///   - policy: another run's, to start with; `nil`: a fresh one.
    ///   - destination: made once it is known that the environment can be learnt.
    /// - Throws: `UnsupportedSpaceError`, ``HyperparameterError``, ``EnvironmentChoiceError``, ``PolicyError``,
    ///   ``RunFolderError``, and what the source throws.
    public convenience init(
        _ configuration: RunConfiguration, on source: any EnvironmentSource, startingWith policy: [NamedTensor]? = nil,
        savingTo destination: Destination = .nowhere, execution: Execution = Execution()
    ) throws {
        var configuration = configuration
        configuration.initialWeightsSha256 = policy.map { sha256(Safetensors.encode($0)) }
        try self.init(configuration, on: source, execution, policy) { configuration in
            guard let folder = try destination.makeFolder() else { return nil }
            try folder.lock()
            if let policy { try folder.write(initial: policy) }
            try folder.write(configuration)
            return folder
        }
    }

    /// A run that goes on from its newest checkpoint, or starts again when there is none yet.
    ///
    /// - Throws: ``CheckpointError`` when it is of another run, and what the source throws.
    public convenience init(
        resuming run: InterruptedRun, on source: any EnvironmentSource, execution: Execution = Execution()
    ) throws {
        let startsAnew = run.newest == nil && run.configuration.initialWeightsSha256 != nil
        try self.init(
            run.configuration, on: source, execution, startsAnew ? try run.folder.initialTensors() : nil
        ) { _ in run.folder }
        if let newest = run.newest { try resume(from: newest.checkpoint, at: newest.path) }
        if run.hasOtherSteps { try run.folder.write(configuration) }
    }

    private init(
        _ configuration: RunConfiguration, on source: any EnvironmentSource, _ execution: Execution,
        _ policy: [NamedTensor]?, folder: (RunConfiguration) throws -> RunFolder?
    ) throws {
        self.configuration = configuration
        let h = configuration.hyperparameters
        batch = try source.make(
            configuration.environment, count: h.integer("n_envs"), options: h.environmentOptions)
        learner = try configuration.learner(on: batch, execution)
        if let policy { try learner.start(from: policy) }
        evaluator = configuration.evaluator(on: source, like: batch)
        checkpointInterval = max(learner.totalSteps / 10, Training.leastCheckpointInterval)
        self.folder = try folder(configuration)
        checkpoints = self.folder.map { CheckpointWriter(CheckpointFolder(of: $0)) }
    }

    /// Steps of all environments together so far.
    public var steps: Int { learner.steps }
    /// Steps that the run is to have.
    public var totalSteps: Int { learner.totalSteps }
    /// The policy as it stands.
    public var policy: any Policy { learner.policy }

    /// Ends the run, as whole as otherwise, after the iteration under way: for callbacks.
    public func stop() { isEnding = true }

    // MARK: Saving, and going on

    /// Takes over where a checkpoint stands.
    private func resume(from checkpoint: Checkpoint, at path: String) throws {
        do {
            try checkpoint.check(
                configuration, observationSpace: batch.observationSpace, actionSpace: batch.actionSpace)
            try checkpoint.restore(learner)
        } catch let error as CheckpointError {
            throw CheckpointError("the checkpoint \(path) cannot be taken: \(error)")
        }
        if let obstacle = try obstacle(toRestoring: checkpoint.environmentStates) {
            notices.append(
                "the environments' states \(obstacle): "
                    + "the run goes on with fresh episodes, and not exactly as it would have")
            learner.startFreshEpisodes()
        }
        iterations = checkpoint.iterations
        secondsBefore = checkpoint.elapsedSeconds
        bestReturn = checkpoint.bestReturn
        latestCheckpoint = (checkpoint.steps, path)
    }

    /// Has the environments go on where they stood; says why they cannot, as the end of a sentence.
    private func obstacle(toRestoring states: [[UInt8]]?) throws -> String? {
        guard let restorable else { return "are not the server's to set" }
        guard let states else { return "are not in the checkpoint" }
        do {
            try restorable.restore(states)
            return nil
        } catch let error as StatesRefusedError {
            return "are not taken by the server (\(error))"
        }
    }

    private var restorable: (any RestorableBatch)? {
        (batch as? any RestorableBatch).flatMap { $0.isRestorable ? $0 : nil }
    }

    /// Writes a checkpoint of where the run stands, unless there is one or the run is not saved: to be called between
    /// iterations, from a callback for one. What is to be written is copied; ``run()`` waits for the disk at its end.
    ///
    /// - Throws: ``RunFileError``, also of the checkpoint before.
    public func save() throws {
        guard let checkpoints, latestCheckpoint?.steps != learner.steps else { return }
        var checkpoint = Checkpoint(
            configuration, observationSpace: batch.observationSpace, actionSpace: batch.actionSpace, learner: learner,
            environmentStates: try restorable?.states())
        checkpoint.iterations = iterations
        checkpoint.elapsedSeconds = elapsed
        checkpoint.bestReturn = bestReturn
        // The log that belongs to it is on the disk before it is.
        let log = Log(allSinks)
        latestCheckpoint = (learner.steps, try checkpoints.write(checkpoint) { log.synchronise() })
    }

    // MARK: The loop

    /// Runs to the end, or until it is told to stop, and leaves a whole run folder, which is then free for others.
    ///
    /// - Throws: what the environments throw, ``NotFiniteError`` (with the checkpoint to go back to where the run is
    ///   saved: ``RunFolderError``), ``RunFileError`` when the disk is full, and what callbacks throw.
    @discardableResult
    public func run() throws -> RunSummary {
        try folder?.lock()
        defer { folder?.unlock() }
        notices.forEach(onNotice)
        notices = []
        let sinks = allSinks
        for sink in sinks { try sink.start(at: learner.steps, of: learner.totalSteps) }
        // Also where the run fails: what was begun to be written is there when it has ended.
        defer { try? checkpoints?.wait() }
        start = .now
        while learner.steps < learner.totalSteps && !isEnding && !shouldStop() {
            let before = learner.steps
            let metrics = try iterate()
            let evaluation = try evaluateIfDue(since: before)
            try record(row(metrics, evaluation: evaluation), sinks)
            // The first early: whatever goes wrong later, there is one before it.
            if before / checkpointInterval != learner.steps / checkpointInterval || latestCheckpoint == nil {
                try save()
            }
            try checkpoints?.check()
            if let returnToReach, let reached = reached(metrics, evaluation), reached >= returnToReach { stop() }
        }
        let seconds = elapsed
        for sink in sinks { sink.finish() }
        try save()
        try checkpoints?.wait()
        return try finish(seconds: seconds)
    }

    /// Those of the folder first.
    private var allSinks: [any MetricSink] { folderSinks + sinks }
    private lazy var folderSinks = folder?.sinks() ?? []

    private func iterate() throws -> Metrics {
        do {
            let metrics = try learner.iterate()
            iterations += 1
            return metrics
        } catch let error as NotFiniteError {
            guard folder != nil else { throw error }
            // Checkpoints are of the ends of iterations: whatever the failed one applied is in none.
            guard let latestCheckpoint, (try? checkpoints?.wait()) != nil else {
                throw RunFolderError("\(error)\nno checkpoint was written before it")
            }
            throw RunFolderError("\(error)\nthe newest checkpoint before it: \(latestCheckpoint.path)")
        }
    }

    private func record(_ row: Metrics, _ sinks: [any MetricSink]) throws {
        for sink in sinks { try sink.record(row, at: learner.steps) }
        try onMetrics(row, learner.steps)
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

    /// What counts towards ``returnToReach``.
    private func reached(_ metrics: Metrics, _ evaluation: Evaluation?) -> Double? {
        configuration.hyperparameters.integer("eval_freq") > 0
            ? evaluation?.meanReturn : metrics["rollout/ep_rew_mean"]
    }

    // MARK: Evaluation

    /// Greedy episodes when as many steps have passed as `eval_freq` says; the best policy is kept in `best/`.
    private func evaluateIfDue(since before: Int) throws -> Evaluation? {
        let interval = configuration.hyperparameters.integer("eval_freq")
        guard interval > 0, before / interval != learner.steps / interval else { return nil }
        let start = ContinuousClock.now
        defer { evaluationSeconds += seconds(.now - start) }
        let evaluation = try evaluator.play(
            learner.policy, episodes: configuration.hyperparameters.integer("eval_episodes"),
            seed: RandomStream.evaluationSeed(seed: configuration.seed, steps: learner.steps),
            mostSteps: mostEvaluationSteps, shouldStop: shouldStop)
        // The wish to end is not kept waiting by long episodes; the log line then goes without.
        if evaluation.wasStopped { return nil }
        let isBest = evaluation.meanReturn > bestReturn ?? -.infinity
        if isBest {
            bestReturn = evaluation.meanReturn
            try folder?.writeBest(configuration, learner.policy)
        }
        try onEvaluation(evaluation, learner.steps, isBest)
        return evaluation
    }

    /// The last episodes, and what the run leaves.
    private func finish(seconds trainingSeconds: Double) throws -> RunSummary {
        let policy = learner.policy
        let hash = try folder?.write(policy) ?? sha256(Safetensors.encode(policy.tensors))
        // Who asked the run to end still gets its result, where that does not take long.
        let wasStopped = shouldStop()
        let start = ContinuousClock.now
        let evaluation = try evaluator.play(
            policy, episodes: Training.finalEpisodes, seed: configuration.finalEpisodesSeed,
            mostSteps: mostEvaluationSteps
        ) {
            wasStopped ? seconds(.now - start) > Training.patience : shouldStop()
        }
        if evaluation.cutEpisodes > 0 {
            onNotice(
                evaluation.wasStopped
                    ? "the last evaluation was cut short: \(evaluation.cutEpisodes) of its episodes had not ended, and "
                        + "count as far as they got"
                    : "\(evaluation.cutEpisodes) of \(evaluation.returns.count) episodes had not ended after "
                        + "\(mostEvaluationSteps) steps, and count as far as they got")
        }
        let summary = RunSummary(
            algorithm: configuration.algorithm.rawValue, environment: configuration.environment,
            seed: configuration.seed, steps: learner.steps, wallSeconds: trainingSeconds, updates: learner.updates,
            finalMeanReturn: evaluation.meanReturn, finalEpisodesCut: evaluation.cutEpisodes, weightsSha256: hash)
        try folder?.write(summary)
        return summary
    }

    /// Gives the environments back.
    public func close() throws {
        try evaluator.close()
        try batch.close()
    }
}

/// Sinks on their way to the thread that has their lines written.
private struct Log: @unchecked Sendable {
    private let sinks: [any MetricSink]

    init(_ sinks: [any MetricSink]) { self.sinks = sinks }

    func synchronise() { for sink in sinks { sink.synchronise() } }
}

/// A duration in seconds.
func seconds(_ duration: Duration) -> Double {
    Double(duration.components.seconds) + Double(duration.components.attoseconds) * 1e-18
}
