import GymCore
import NeuralNetwork

/// The networks of an off-policy algorithm, and how one update changes them.
package protocol OffPolicyUpdate: HalvedWork {
    /// The stages of an update.
    static var stages: Int { get }
    /// Updates so far.
    var updates: Int { get }
    /// Floating-point operations of an update's matrix products, about.
    var operations: Double { get }
    /// What went out of the finite numbers, if anything did.
    var notFinite: String? { get }

    /// Whether that many further updates leave what the policy acts by as it is.
    func leavesActor(updates: Int) -> Bool
    /// Draws the next minibatch: what one thread does for both, in stage 0.
    func prepare()
    /// Does half 0 or 1 of a later stage.
    func perform(stage: Int, half: Int)
    /// What went out of the finite numbers in the stages before this one; `nil` when nothing did.
    func fault(before stage: Int) -> String?
    /// Begins a series of updates.
    ///
    /// - Parameter progress: the part of the run that has passed, 0 … 1.
    func begin(learningRate: Double, progress: Double, normalisation: Normalisation)
    /// Takes in the update that was made, if one was, and returns whether it came out finite.
    @discardableResult func finish() -> Bool
    /// What there is to log of the updates since the last report.
    func report(to metrics: inout Metrics)
    func save(to writer: inout StateWriter)
    func restore(from reader: inout StateReader) throws
}

extension OffPolicyUpdate {
    package func leavesActor(updates: Int) -> Bool { updates == 0 }

    package func run(stage: Int, half: Int) {
        let stage = stage % Self.stages
        if stage == 0 {
            if half == 0 && notFinite == nil && finish() { prepare() }
            return
        }
        // What is read here was written in an earlier stage: both halves see the same and stop together.
        if notFinite != nil || fault(before: stage) != nil { return }
        perform(stage: stage, half: half)
    }
}

/// The outer shape of every off-policy algorithm: steps of the environments into a replay buffer, then updates from it.
///
/// An algorithm says by overriding how it acts; what an update does is in its ``OffPolicyUpdate``.
public class OffPolicyLearner: Learner {
    private let rhythm: TrainingRhythm
    private let learningRate: Schedule
    private let seed: UInt64
    private let updating: any OffPolicyUpdate
    private let runner: HalfRunner
    package let collector: TransitionCollector
    /// Draws what is done at random.
    final var actionGenerator: NumPyGenerator
    /// Whether the environments step during updates that the next actions do not depend on.
    private let overlaps: Bool
    /// Whether the actions after an update are chosen before it.
    private let actsAhead: Bool
    /// Whether the actions of the next step are chosen already.
    private var hasActed = false

    public final var steps: Int { collector.steps }
    public final let totalSteps: Int
    public final var updates: Int { updating.updates }
    /// The policy as it stands.
    public var policy: any Policy { fatalError("every algorithm has a policy") }

    /// The part of the run that has passed: 0 at its start, 1 at its end.
    final var progress: Double { 1 - progressRemaining }
    final var progressRemaining: Double { max(0, 1 - Double(steps) / Double(totalSteps)) }
    /// Whether actions are still drawn without the policy.
    final var isBeforeLearning: Bool { steps < rhythm.learningStarts }

    /// A run that has not started.
    ///
    /// - Parameters:
    ///   - threads: 1 or 2; the result is the same. By default what the machine has.
    ///   - overlaps: whether the environments step during updates, where the next actions do not depend on them; the
    ///     result is the same.
    init(
        _ h: Hyperparameters, collector: TransitionCollector, update: any OffPolicyUpdate, seed: UInt64, threads: Int?,
        overlaps: Bool
    ) {
        self.overlaps = overlaps
        actsAhead = h.bool("act_ahead")
        self.collector = collector
        self.seed = seed
        updating = update
        rhythm = TrainingRhythm(h)
        learningRate = h.schedule("learning_rate")
        totalSteps = h.integer("n_timesteps")
        runner = HalfRunner(
            threads: threads, operations: Double(rhythm.updates(environments: collector.count)) * update.operations)
        actionGenerator = RandomStream.actions.generator(seed: seed)
    }

    // MARK: The loop

    public final func iterate() throws -> Metrics {
        try collector.start(seed: seed)
        let end = min(totalSteps, steps + TrainingRhythm.reportInterval)
        repeat {
            for step in 0..<rhythm.trainFrequency {
                if !collector.isStepPending { try send(step: step) }
                try collector.receive()
                stepped()
            }
            if steps > rhythm.learningStarts && collector.replay.count > 0 {
                // An iteration ends with nothing chosen and nothing under way: a checkpoint may follow.
                if steps < end {
                    if actsAhead { choose(step: 0) }
                    if overlaps && (hasActed || isNextStepFixed()) { try send(step: 0) }
                }
                try train()
            }
        } while steps < end
        var metrics = Metrics()
        metrics["rollout/ep_rew_mean"] = collector.episodes.meanReturn
        metrics["rollout/ep_len_mean"] = collector.episodes.meanLength
        report(to: &metrics)
        updating.report(to: &metrics)
        metrics["train/learning_rate"] = learningRate.value(progressRemaining: progressRemaining)
        metrics["train/n_updates"] = Double(updates)
        return metrics
    }

    private func choose(step: Int) {
        if !hasActed { act(step: step) }
        hasActed = true
    }

    private func send(step: Int) throws {
        choose(step: step)
        hasActed = false
        try collector.send(write: write)
    }

    /// Whether the updates that are due leave the next actions as they are.
    private func isNextStepFixed() -> Bool {
        updating.leavesActor(updates: rhythm.updates(environments: collector.count)) || actsWithoutPolicy()
    }

    private func train() throws {
        let count = rhythm.updates(environments: collector.count)
        if count == 0 { return }
        updating.begin(
            learningRate: learningRate.value(progressRemaining: progressRemaining), progress: progress,
            normalisation: collector.normalisation)
        runner.run(updating, stages: count * type(of: updating).stages)
        updating.finish()
        if let term = updating.notFinite { throw NotFiniteError(term: term, step: steps) }
    }

    // MARK: What an algorithm says

    /// Chooses the next actions into ``TransitionCollector/actions``.
    ///
    /// - Parameter step: 0 for the first step after an update.
    func act(step: Int) { fatalError("every algorithm acts") }

    /// Whether the next actions are drawn without the policy; what decides it may be drawn by this, ahead of
    /// ``act(step:)``.
    func actsWithoutPolicy() -> Bool { false }

    /// Writes actions as the replay buffer keeps them where the environments read them.
    func write(_ actions: UnsafeMutablePointer<Float>, rows: Int, to batch: BatchBuffer) {
        fatalError("every algorithm acts")
    }

    /// A step of all environments was taken.
    func stepped() {}

    /// What there is to log besides.
    func report(to metrics: inout Metrics) {}

    // MARK: State

    /// Writes everything that the run needs to go on exactly, but for the environments' own state.
    public final func save(to writer: inout StateWriter) {
        actionGenerator.save(to: &writer)
        saveActing(to: &writer)
        updating.save(to: &writer)
        collector.save(to: &writer)
    }

    /// Has the next iteration start new episodes.
    public final func startFreshEpisodes() { collector.startFreshEpisodes() }

    /// Goes on where the run stood that wrote this.
    ///
    /// - Throws: ``StateError`` when it is of another run's shape.
    public final func restore(from reader: inout StateReader) throws {
        actionGenerator = try NumPyGenerator(from: &reader)
        try restoreActing(from: &reader)
        try updating.restore(from: &reader)
        try collector.restore(from: &reader)
    }

    /// Writes what an algorithm acts by besides its networks.
    func saveActing(to writer: inout StateWriter) {}

    /// Takes over what ``saveActing(to:)`` wrote.
    func restoreActing(from reader: inout StateReader) throws {}
}
