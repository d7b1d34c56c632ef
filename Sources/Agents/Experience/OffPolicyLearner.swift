import GymCore
import NeuralNetwork
import RunFiles

/// What an off-policy method says to the loop that all of them share.
package protocol OffPolicyMethod: AnyObject {
    /// Updates so far.
    var updates: Int { get }
    /// Floating-point operations of an update's matrix products, about.
    var operations: Double { get }
    /// All parameters that are saved with the policy: first what it acts by, then critics and targets.
    var stores: [ParameterStore] { get }
    /// The greedy policy as it stands.
    func policy(normalisation: Normalisation) -> any Policy

    /// Chooses the next actions.
    ///
    /// - Parameters:
    ///   - observations: what the environments stand at, normalised; (environments, row).
    ///   - step: 0 for the first step after an update.
    ///   - isRandom: whether the policy is not asked yet.
    ///   - actions: (environments, action).
    ///   - logProbabilities: log μ(a|s) goes there, where the replay keeps it.
    func act(
        on observations: Rows, step: Int, isRandom: Bool, progress: Progress, into actions: Matrix,
        logProbabilities: Vector<Float>)
    /// Whether so many updates leave what ``act(on:step:isRandom:progress:into:logProbabilities:)`` would choose next as
    /// it is.
    func leavesActions(updates: Int, isRandom: Bool, progress: Progress) -> Bool
    /// A step of all environments was taken.
    func stepped()
    /// The episode of an environment ended.
    func episodeEnded(_ environment: Int)

    /// Learns from one minibatch.
    ///
    /// - Throws: ``NotFinite``.
    func update(learningRate: Double, progress: Progress, normalisation: Normalisation) throws
    /// What there is to log of the updates since the last report.
    func report(_ metrics: inout Metrics, progress: Progress)
    /// Writes or reads everything that the method keeps besides its replay.
    func code(_ state: inout StateCoder) throws
}

extension OffPolicyMethod {
    package func leavesActions(updates: Int, isRandom: Bool, progress: Progress) -> Bool { updates == 0 }
    package func stepped() {}
    package func episodeEnded(_ environment: Int) {}
}

/// The loop of every off-policy method: steps of the environments into the parts' replay buffers, then updates from them.
package final class OffPolicyLearner<Learning: OffPolicyMethod>: CodedLearner {
    package let method: Learning
    package let collector: Collector
    /// A buffer for each part.
    package let replays: [Replay]
    private let parts: Parts
    private let rhythm: TrainingRhythm
    private let learningRate: Schedule
    private let workers: Workers
    /// Whether the environments step during updates that the next actions do not depend on.
    private let overlaps: Bool
    /// Whether the actions after an update are chosen before it.
    private let actsAhead: Bool
    /// Whether the policy acts from the first step on.
    private let actsBeforeLearning: Bool
    /// Whether the actions of the next step are chosen already.
    private var hasActed = false

    package let totalSteps: Int
    package var steps: Int { collector.steps }
    package var updates: Int { method.updates }
    package var policy: any Policy { method.policy(normalisation: collector.normalisation) }

    private var progress: Progress { Progress(steps: steps, of: totalSteps) }
    /// Whether actions are still drawn without the policy.
    private var isRandom: Bool { steps < rhythm.learningStarts && !actsBeforeLearning }

    package init<Declared: OffPolicySettings>(
        _ configuration: MethodConfiguration<Declared>, _ method: Learning, collector: Collector, replays: [Replay],
        _ context: UpdateContext, overlaps: Bool, actsBeforeLearning: Bool = false
    ) {
        self.method = method
        self.collector = collector
        self.replays = replays
        parts = context.parts
        workers = context.workers
        self.overlaps = overlaps
        self.actsBeforeLearning = actsBeforeLearning
        actsAhead = configuration.actAhead
        learningRate = configuration.learningRate
        totalSteps = configuration.steps
        rhythm = TrainingRhythm(
            learningStarts: configuration.learningStarts, trainFrequency: configuration.trainFrequency,
            gradientSteps: configuration.gradientSteps)
    }

    // MARK: The loop

    package func iterate() throws -> Metrics {
        try start()
        let end = min(totalSteps, steps + TrainingRhythm.reportInterval)
        repeat {
            for step in 0..<rhythm.trainFrequency {
                if !collector.isStepPending { try send(step: step) }
                try receive()
            }
            if steps > rhythm.learningStarts && replays.allSatisfy({ $0.available > 0 }) {
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
        method.report(&metrics, progress: progress)
        metrics["train/learning_rate"] = learningRate.value(progressRemaining: progress.remaining)
        metrics["train/n_updates"] = Double(updates)
        return metrics
    }

    private func start() throws {
        guard try collector.start() else { return }
        for (part, replay) in replays.enumerated() {
            replay.begin(collector.current, parts.range(part, of: collector.count))
        }
    }

    private func choose(step: Int) {
        if !hasActed {
            method.act(
                on: collector.observations, step: step, isRandom: isRandom, progress: progress,
                into: collector.actions, logProbabilities: collector.logProbabilities)
        }
        hasActed = true
    }

    private func send(step: Int) throws {
        choose(step: step)
        hasActed = false
        try collector.send()
    }

    private func receive() throws {
        let step = try collector.receive()
        for (part, replay) in replays.enumerated() { replay.add(step, parts.range(part, of: collector.count)) }
        for environment in step.ended.indices where step.ended[environment] != 0 { method.episodeEnded(environment) }
        method.stepped()
    }

    /// Whether the updates that are due leave the next actions as they are.
    private func isNextStepFixed() -> Bool {
        method.leavesActions(
            updates: rhythm.updates(environments: collector.count), isRandom: isRandom, progress: progress)
    }

    private func train() throws {
        let count = rhythm.updates(environments: collector.count)
        let rate = learningRate.value(progressRemaining: progress.remaining)
        expectUpdates(count)
        do {
            for _ in 0..<count {
                try method.update(learningRate: rate, progress: progress, normalisation: collector.normalisation)
            }
        } catch let error as NotFinite {
            throw NotFiniteError(term: error.term, step: steps)
        }
    }

    /// Says that so many updates follow each other: whether threads are worth waking for them.
    package func expectUpdates(_ count: Int) { workers.expect(operations: Double(count) * method.operations) }

    // MARK: State

    package func startFreshEpisodes() {
        collector.startFreshEpisodes()
        hasActed = false
        for environment in 0..<collector.count { method.episodeEnded(environment) }
    }

    package func start(from tensors: [NamedTensor]) throws {
        try method.stores.load(tensors)
        try collector.start(from: tensors)
    }

    package func code(_ state: inout StateCoder) throws {
        if state.isReading { hasActed = false }
        try method.code(&state)
        try collector.code(&state)
        for replay in replays { try replay.code(&state) }
    }
}

/// When an off-policy learner learns, with the meaning of Stable-Baselines3's `train_freq` and `gradient_steps`.
package struct TrainingRhythm {
    let learningStarts: Int
    let trainFrequency: Int
    let gradientSteps: Int

    /// Updates after `trainFrequency` steps of that many environments.
    func updates(environments: Int) -> Int {
        gradientSteps >= 0 ? gradientSteps : trainFrequency * environments
    }

    /// Steps after which a learner reports: a line in the log every so often, not every step.
    static let reportInterval = 1000
}
