import Foundation
import GymCore
import NeuralNetwork

/// Proximal policy optimisation (Schulman et al. 2017, arXiv 1707.06347): rollouts under a fixed policy, then several
/// epochs of minibatch ascent on an objective that gains nothing from moving the policy far.
///
/// Every part can be switched by its hyperparameter; the defaults are Stable-Baselines3's.
public final class PPO: Learner {

    // MARK: Hyperparameters

    /// What PPO knows, with Stable-Baselines3's defaults under rl-baselines3-zoo's keys.
    public static let schema: [Hyperparameter] = Hyperparameter.pictures + others

    private static let others: [Hyperparameter] = [
        .init("n_timesteps", .integer(1...Int.max), .integer(1_000_000), "steps of the run, all environments together"),
        .init("n_envs", .integer(1...65_536), .integer(1), "environments stepped together"),
        .init("n_steps", .integer(1...1_000_000), .integer(2048), "steps of each environment in a rollout"),
        .init("batch_size", .integer(1...10_000_000), .integer(64), "rows of a minibatch"),
        .init("n_epochs", .integer(1...1000), .integer(10), "times that each rollout is gone through"),
        .init("learning_rate", .schedule(0...1), .schedule(.constant(3e-4)), "step size of Adam"),
        .init("gamma", .real(0...1), .real(0.99), "discount"),
        .init(
            "gae_lambda", .real(0...1), .real(0.95),
            "advantages: 0 trusts the critic (one step), 1 the returns (Monte Carlo)"),
        .init(
            "clip_range", .optional(.schedule(0...10)), .schedule(.constant(0.2)),
            "the ratio of probabilities gains nothing outside 1 ± this; null: no clipping"),
        .init(
            "clip_range_vf", .optional(.schedule(0...1e6)), .none,
            "the value gains nothing by leaving the old one by more than this; null: no clipping"),
        .init(
            "normalize_advantage", .bool, .bool(true),
            "whether advantages have mean 0 and deviation 1 in each minibatch"),
        .init("ent_coef", .real(0...10), .real(0), "weight of the entropy bonus"),
        .init("vf_coef", .real(0...1e3), .real(0.5), "weight of the mean squared error of the values (without a half)"),
        .init("kl_coef", .real(0...1e3), .real(0), "weight of a penalty on the divergence from the old policy"),
        .init(
            "max_grad_norm", .optional(.real(0...1e6)), .real(0.5),
            "the gradient of actor and critic together is scaled down to this norm; null: never"),
        .init(
            "target_kl", .optional(.real(0...1e3)), .none,
            "the epochs end when the divergence from the old policy passes 1.5 times this; null: never"),
        .init("use_sde", .bool, .bool(false), "state-dependent exploration (gSDE)"),
        .init(
            "sde_sample_freq", .integer(-1...1_000_000), .integer(-1),
            "steps after which gSDE's noise is drawn anew; -1: once a rollout"),
        .init("normalize", .bool, .bool(false), "running normalisation; norm_obs and norm_reward say of what"),
        .init("norm_obs", .bool, .bool(true), "with normalize: observations by their mean and deviation"),
        .init("norm_reward", .bool, .bool(true), "with normalize: rewards by the deviation of the discounted return"),
        .init("clip_obs", .real(0...1e6), .real(10), "with normalize: observations stay within ± this"),
        .init("clip_reward", .real(0...1e6), .real(10), "with normalize: rewards stay within ± this"),
        .init(
            "net_arch", .networks, .networks(actor: [64, 64], critic: [64, 64]), "widths of the hidden layers"),
        .init("activation_fn", .choice(["tanh", "relu", "identity"]), .text("tanh"), "what follows a hidden layer"),
        .layerNorm,
        .init("ortho_init", .bool, .bool(true), "orthogonal initialisation; else PyTorch's default"),
        .init("log_std_init", .real(-20...5), .real(0), "logarithm of the actions' deviation at the start"),
        .init("adam_epsilon", .real(0...1), .real(1e-5), "added to the root of Adam's second moment"),
    ]

    private let gamma: Float
    private let lambda: Float
    private let epochs: Int
    private let batchSize: Int
    private let learningRate: Schedule
    private let noiseInterval: Int
    private let seed: UInt64

    // MARK: State

    private let batch: any EnvironmentBatch
    package let model: ActorCritic
    private var normalisation: Normalisation
    package let rollout: RolloutBuffer
    private let actorUpdate: ActorUpdate
    private let criticUpdate: CriticUpdate
    private let pair: PairedUpdates
    private let minibatches: Minibatches
    private let permutations: UnsafeMutablePointer<Int32>
    private var actionGenerator: NumPyGenerator
    private var minibatchGenerator: NumPyGenerator
    private var noiseGenerator: NumPyGenerator
    private var episodes = EpisodeStatistics()
    private var hasStarted = false
    /// Truncated episodes of this rollout: the row they ended in, and their last observations.
    private var truncations: [Int] = []
    private var lastObservations: UnsafeMutableRawPointer
    private var lastValues: UnsafeMutablePointer<Float>
    private var lastCapacity = 16

    public private(set) var steps = 0
    public let totalSteps: Int
    public private(set) var updates = 0
    private var epochsDone = 0

    /// The progress of a run, 1 at its start, 0 at its end.
    private var progressRemaining: Double { max(0, 1 - Double(steps) / Double(totalSteps)) }

    /// A run that has not started.
    ///
    /// - Parameters:
    ///   - batch: environments with same-step autoreset.
    ///   - threads: 1 or 2; the result is the same. By default what the machine has.
    /// - Throws: ``UnsupportedSpaceError``, or ``HyperparameterError`` for values that do not go together.
    public init(
        batch: any EnvironmentBatch, hyperparameters: Hyperparameters, seed: UInt64, threads: Int? = nil
    ) throws {
        let h = hyperparameters
        self.batch = batch
        self.seed = seed
        let stepsEach = h.integer("n_steps")
        let rows = stepsEach * batch.count
        batchSize = min(h.integer("batch_size"), rows)
        if rows < 2 && h.bool("normalize_advantage") {
            throw HyperparameterError(
                key: "n_steps",
                description: "n_steps × n_envs is 1; with normalize_advantage a rollout needs at least 2 steps")
        }
        epochs = h.integer("n_epochs")
        gamma = Float(h.real("gamma"))
        lambda = Float(h.real("gae_lambda"))
        learningRate = h.schedule("learning_rate")
        totalSteps = h.integer("n_timesteps")
        noiseInterval = h.bool("use_sde") ? h.integer("sde_sample_freq") : -1
        var generator = RandomStream.initialisation.generator(seed: seed)
        (model, normalisation) = try PPO.networks(
            h, observationSpace: batch.observationSpace, actionSpace: batch.actionSpace, environments: batch.count,
            capacity: batchSize, generator: &generator)
        rollout = RolloutBuffer(
            steps: stepsEach, environments: batch.count, observations: model.encoder.format,
            actionSize: model.codec.size)
        permutations = .allocate(capacity: epochs * rows)
        permutations.initialize(repeating: 0, count: epochs * rows)
        minibatches = Minibatches(
            rollout: rollout, order: permutations, size: batchSize, maxGradientNorm: h.optionalReal("max_grad_norm"))
        actorUpdate = ActorUpdate(
            model, minibatches, clipRange: h.optionalSchedule("clip_range"),
            normalisesAdvantages: h.bool("normalize_advantage"), entropyWeight: Float(h.real("ent_coef")),
            divergenceWeight: Float(h.real("kl_coef")), targetDivergence: h.optionalReal("target_kl"),
            adam: Adam(count: model.actorStore.count, epsilon: h.real("adam_epsilon")))
        criticUpdate = CriticUpdate(
            model, minibatches, clipRange: h.optionalSchedule("clip_range_vf"), weight: Float(h.real("vf_coef")),
            adam: Adam(count: model.criticStore.count, epsilon: h.real("adam_epsilon")))
        pair = PairedUpdates(threads: threads)
        actionGenerator = RandomStream.actions.generator(seed: seed)
        minibatchGenerator = RandomStream.minibatches.generator(seed: seed)
        noiseGenerator = RandomStream.exploration.generator(seed: seed)
        lastObservations = allocateRows(model.encoder.format, count: lastCapacity)
        lastValues = allocateFloats(lastCapacity)
    }

    deinit {
        permutations.deallocate()
        lastObservations.deallocate()
        lastValues.deallocate()
    }

    public var policy: any Policy { ActorCriticPolicy(model, normalisation) }

    private static func networks(
        _ h: Hyperparameters, observationSpace: Space, actionSpace: Space, environments: Int, capacity: Int,
        generator: inout NumPyGenerator
    ) throws -> (ActorCritic, Normalisation) {
        let (actor, critic) = h.networks("net_arch")
        let usesNoise = h.bool("use_sde")
        let model = try ActorCritic(
            input: NetworkInput(h, observationSpace: observationSpace, needsFloats: usesNoise),
            actionSpace: actionSpace,
            architecture: .init(
                actor: actor, critic: critic, activation: Activation(rawValue: h.text("activation_fn"))!,
                usesLayerNorm: h.bool("layer_norm"), isOrthogonal: h.bool("ortho_init"),
                logDeviation: Float(h.real("log_std_init")),
                usesStateDependentNoise: usesNoise),
            environments: environments, capacity: capacity, generator: &generator)
        let normalises = h.bool("normalize")
        let normalisation = Normalisation(
            observations: normalises && h.bool("norm_obs"), rewards: normalises && h.bool("norm_reward"),
            size: model.encoder.size, environments: environments, gamma: h.real("gamma"),
            observationClip: h.real("clip_obs"), rewardClip: h.real("clip_reward"))
        return (model, normalisation)
    }

    /// A policy of the shape that a run with these hyperparameters learns, for weights to be loaded into.
    ///
    /// - Throws: ``UnsupportedSpaceError``.
    public static func policy(
        _ hyperparameters: Hyperparameters, observationSpace: Space, actionSpace: Space
    ) throws -> any Policy {
        var generator = RandomStream.initialisation.generator(seed: 0)
        let (model, normalisation) = try networks(
            hyperparameters, observationSpace: observationSpace, actionSpace: actionSpace, environments: 1,
            capacity: 128, generator: &generator)
        return ActorCriticPolicy(model, normalisation)
    }

    // MARK: The loop

    public func iterate() throws -> Metrics {
        try collect()
        estimateAdvantages()
        var metrics = Metrics()
        metrics["rollout/ep_rew_mean"] = episodes.meanReturn
        metrics["rollout/ep_len_mean"] = episodes.meanLength
        try update(&metrics)
        return metrics
    }

    /// Fills the rollout with steps of the current policy.
    private func collect() throws {
        let count = batch.count
        let rowBytes = model.encoder.format.rowBytes
        if !hasStarted {
            hasStarted = true
            try batch.startEpisodes(seeds: RandomStream.episodeSeeds(seed: seed, steps: steps, count: count))
            try observe(into: rollout.observations) { _ in nil }
        } else {
            // The observations that the last rollout ended with are the first of this one.
            rollout.observations.copyMemory(
                from: rollout.observations + rollout.rows * rowBytes, byteCount: count * rowBytes)
        }
        truncations.removeAll(keepingCapacity: true)
        model.resetNoise(environments: count, generator: &noiseGenerator)
        for step in 0..<rollout.steps {
            if noiseInterval > 0 && step > 0 && step % noiseInterval == 0 {
                model.resetNoise(environments: count, generator: &noiseGenerator)
            }
            let row = step * count
            let actions = rollout.actions + row * rollout.actionSize
            model.act(
                rollout.observations + row * rowBytes, rows: count, generator: &actionGenerator, actions: actions,
                logProbabilities: rollout.logProbabilities + row)
            // The rollout keeps the action as drawn: log π(a|s) is that of the unclipped one. Only the environment
            // gets it clipped.
            model.write(actions, rows: count, to: batch.actions)
            try batch.sendActions()
            try batch.receiveResults()
            steps += count
            let results = batch.results
            try observe(into: rollout.observations + (row + count) * rowBytes) { index in
                results.terminated[index] != 0 || results.truncated[index] != 0
                    ? nil : UnsafeRawPointer(rollout.observations + (row + index) * rowBytes)
            }
            record(row: row)
        }
    }

    /// Takes in the observations that the environments stand at.
    ///
    /// - Parameter previous: an environment's row of the step before, `nil` where an episode starts.
    private func observe(
        into observations: UnsafeMutableRawPointer, after previous: (Int) -> UnsafeRawPointer?
    ) throws {
        model.encoder.encode(
            batch.results.observation, rows: 0..<batch.count, into: observations, after: previous)
        guard model.encoder.format.element == .float32 else { return }
        let floats = observations.assumingMemoryBound(to: Float.self)
        for index in 0..<batch.count * model.encoder.size where !floats[index].isFinite {
            throw NotFiniteError(term: "an observation", step: steps)
        }
        normalisation.update(floats, rows: batch.count)
        normalisation.apply(floats, rows: batch.count)
    }

    /// Takes in the rewards and ends of a step.
    private func record(row: Int) {
        let results = batch.results
        let count = batch.count
        for index in 0..<count {
            let truncated = results.truncated[index] != 0
            let terminated = results.terminated[index] != 0
            rollout.rewards[row + index] = Float(results.rewards[index])
            rollout.ended[row + index] = truncated || terminated ? 1 : 0
            guard truncated || terminated else { continue }
            episodes.add(return: results.episodeReturns[index], length: results.episodeLengths[index])
            // CRUCIAL and easy to overlook: an episode that was cut off, and did not end by its task, would have gone
            // on. What it would have brought is the value of its own last observation, not of the next episode's first.
            if truncated && !terminated {
                if truncations.count == lastCapacity { growTruncations() }
                let rowBytes = model.encoder.format.rowBytes
                let last = lastObservations + truncations.count * rowBytes
                model.encoder.encode(results.finalObservation, rows: index..<index + 1, into: last) { _ in
                    UnsafeRawPointer(rollout.observations + (row + index) * rowBytes)
                }
                if model.encoder.format.element == .float32 {
                    normalisation.apply(last.assumingMemoryBound(to: Float.self), rows: 1)
                }
                truncations.append(row + index)
            }
        }
        normalisation.normaliseRewards(rollout.rewards + row, raw: results.rewards.baseAddress!) {
            results.terminated[$0] != 0 || results.truncated[$0] != 0
        }
    }

    private func growTruncations() {
        let format = model.encoder.format
        let larger = allocateRows(format, count: 2 * lastCapacity)
        larger.copyMemory(from: lastObservations, byteCount: lastCapacity * format.rowBytes)
        lastObservations.deallocate()
        lastObservations = larger
        lastValues.deallocate()
        lastValues = allocateFloats(2 * lastCapacity)
        lastCapacity *= 2
    }

    /// Values of everything the rollout saw, and from them the advantages.
    private func estimateAdvantages() {
        // The critic did not change during the rollout, so all its values come from one pass.
        model.values(rollout.observations, rows: rollout.rows + rollout.environments, into: rollout.values)
        model.values(lastObservations, rows: truncations.count, into: lastValues)
        for (index, row) in truncations.enumerated() { rollout.rewards[row] += gamma * lastValues[index] }
        rollout.computeAdvantages(gamma: gamma, lambda: lambda)
    }

    /// Goes through the rollout several times, in minibatches of another random order each time.
    private func update(_ metrics: inout Metrics) throws {
        let progress = progressRemaining
        let rate = learningRate.value(progressRemaining: progress)
        for epoch in 0..<epochs {
            minibatchGenerator.permutation(into: permutations + epoch * rollout.rows, count: rollout.rows)
        }
        actorUpdate.begin(learningRate: rate, progressRemaining: progress)
        criticUpdate.begin(learningRate: rate, progressRemaining: progress)
        let perEpoch = minibatches.perEpoch
        let applied = pair.run(actorUpdate, criticUpdate, minibatches: epochs * perEpoch)
        updates += applied
        epochsDone += (applied + perEpoch - 1) / perEpoch
        if let term = actorUpdate.notFinite ?? criticUpdate.notFinite {
            throw NotFiniteError(term: term, step: steps)
        }
        actorUpdate.report(to: &metrics, minibatchesAnEpoch: perEpoch)
        criticUpdate.report(to: &metrics)
        metrics["train/explained_variance"] = explainedVariance
        metrics["train/learning_rate"] = rate
        metrics["train/n_updates"] = Double(epochsDone)
        metrics["train/std"] = model.meanDeviation
    }

    /// 1 − Var(returns − values) / Var(returns): 1 for a perfect critic, 0 for one that says nothing.
    private var explainedVariance: Double? {
        func variance(_ value: (Int) -> Float) -> Double {
            var (sum, squares) = (0.0, 0.0)
            for row in 0..<rollout.rows {
                sum += Double(value(row))
                squares += Double(value(row)) * Double(value(row))
            }
            let mean = sum / Double(rollout.rows)
            return squares / Double(rollout.rows) - mean * mean
        }
        let total = variance { rollout.returns[$0] }
        return total > 0 ? 1 - variance { rollout.returns[$0] - rollout.values[$0] } / total : nil
    }
}

extension PPO {
    /// The observations that the environments stand at, which the next rollout starts from.
    private var latestObservations: UnsafeMutableRawPointer {
        rollout.observations + rollout.rows * rollout.format.rowBytes
    }

    /// Writes everything that the run needs to go on exactly, but for the environments' own state. The rollout itself
    /// is not needed: it was learnt from, and is thrown away.
    public func save(to writer: inout StateWriter) {
        writer.write(UInt8(hasStarted ? 1 : 0))
        for count in [steps, updates, epochsDone] { writer.write(UInt64(count)) }
        for generator in [actionGenerator, minibatchGenerator, noiseGenerator] { generator.save(to: &writer) }
        writer.write(model.actorStore)
        writer.write(model.criticStore)
        actorUpdate.save(to: &writer)
        criticUpdate.save(to: &writer)
        normalisation.save(to: &writer)
        episodes.save(to: &writer)
        writer.write(rows: latestObservations, count: batch.count, rollout.format)
    }

    /// Goes on where the run stood that wrote this.
    ///
    /// - Throws: ``StateError`` when it is of another run's shape.
    public func restore(from reader: inout StateReader) throws {
        hasStarted = try reader.read(UInt8.self) != 0
        steps = try reader.readCount()
        updates = try reader.readCount()
        epochsDone = try reader.readCount()
        actionGenerator = try NumPyGenerator(from: &reader)
        minibatchGenerator = try NumPyGenerator(from: &reader)
        noiseGenerator = try NumPyGenerator(from: &reader)
        try reader.read(into: model.actorStore)
        try reader.read(into: model.criticStore)
        try actorUpdate.restore(from: &reader)
        try criticUpdate.restore(from: &reader)
        try normalisation.restore(from: &reader)
        try episodes.restore(from: &reader)
        try reader.read(rows: latestObservations, count: batch.count, rollout.format)
    }

    /// Has the next iteration start new episodes.
    public func startFreshEpisodes() {
        hasStarted = false
        normalisation.startFreshEpisodes()
    }
}

// MARK: - The two losses

/// How a rollout is cut into minibatches; each epoch's last may be shorter.
package struct Minibatches {
    let rollout: RolloutBuffer
    /// For each epoch, the rows in random order.
    let order: UnsafeMutablePointer<Int32>
    let size: Int
    let maxGradientNorm: Double?

    /// Minibatches of up to `size` rows.
    package init(rollout: RolloutBuffer, order: UnsafeMutablePointer<Int32>, size: Int, maxGradientNorm: Double?) {
        self.rollout = rollout
        self.order = order
        self.size = size
        self.maxGradientNorm = maxGradientNorm
    }

    /// Minibatches of an epoch.
    package var perEpoch: Int { (rollout.rows + size - 1) / size }

    /// The rows of minibatch `index`, counted over all epochs. Each row is in one minibatch of each epoch.
    package func rows(_ index: Int) -> UnsafeBufferPointer<Int32> {
        let (epoch, position) = index.quotientAndRemainder(dividingBy: perEpoch)
        let start = position * size
        return UnsafeBufferPointer(
            start: order + epoch * rollout.rows + start, count: min(size, rollout.rows - start))
    }

    /// Copies the given rows' observations side by side.
    func gatherObservations(_ rows: UnsafeBufferPointer<Int32>, into target: UnsafeMutableRawPointer) {
        let rowBytes = rollout.format.rowBytes
        for (position, row) in rows.enumerated() {
            (target + position * rowBytes).copyMemory(
                from: rollout.observations + Int(row) * rowBytes, byteCount: rowBytes)
        }
    }

    /// Copies the given rows of an array side by side.
    func gather(
        _ rows: UnsafeBufferPointer<Int32>, of source: UnsafeMutablePointer<Float>, width: Int,
        into target: UnsafeMutablePointer<Float>
    ) {
        for (position, row) in rows.enumerated() {
            (target + position * width).update(from: source + Int(row) * width, count: width)
        }
    }

    /// What a gradient of that norm is multiplied by.
    func scale(norm: Double) -> Float {
        maxGradientNorm.map { clippingScale(norm: norm, maxNorm: $0) } ?? 1
    }
}

/// The policy's loss: −mean of min(ρ Â, clip(ρ, 1−ε, 1+ε) Â) − entropy bonus + divergence penalty.
final class ActorUpdate: PairedModel {
    private let model: ActorCritic
    private let minibatches: Minibatches
    private let clipRange: Schedule?
    private let normalisesAdvantages: Bool
    private let entropyWeight: Float
    private let divergenceWeight: Float
    private let targetDivergence: Double?
    private var adam: Adam
    private var learningRate = 0.0
    private var epsilon: Float = .infinity

    private let observations: UnsafeMutableRawPointer
    private let actions: UnsafeMutablePointer<Float>
    private let oldLogProbabilities: UnsafeMutablePointer<Float>
    private let advantages: UnsafeMutablePointer<Float>
    private let logProbabilities: UnsafeMutablePointer<Float>
    private let entropies: UnsafeMutablePointer<Float>
    private let slopes: UnsafeMutablePointer<Float>

    /// What went out of the finite numbers, if anything did.
    private(set) var notFinite: String?
    /// Sums over the minibatches of this update, each the mean of its minibatch.
    private var sums = (count: 0, loss: 0.0, clipped: 0.0, entropy: 0.0)
    /// The divergence of each minibatch.
    private var divergences: [Double] = []

    init(
        _ model: ActorCritic, _ minibatches: Minibatches, clipRange: Schedule?, normalisesAdvantages: Bool,
        entropyWeight: Float, divergenceWeight: Float, targetDivergence: Double?, adam: consuming Adam
    ) {
        self.model = model
        self.minibatches = minibatches
        self.clipRange = clipRange
        self.normalisesAdvantages = normalisesAdvantages
        self.entropyWeight = entropyWeight
        self.divergenceWeight = divergenceWeight
        self.targetDivergence = targetDivergence
        self.adam = adam
        observations = allocateRows(model.encoder.format, count: minibatches.size)
        actions = allocateFloats(minibatches.size * model.codec.size)
        oldLogProbabilities = allocateFloats(minibatches.size)
        advantages = allocateFloats(minibatches.size)
        logProbabilities = allocateFloats(minibatches.size)
        entropies = allocateFloats(minibatches.size)
        slopes = allocateFloats(minibatches.size)
    }

    deinit {
        observations.deallocate()
        for memory in [actions, oldLogProbabilities, advantages, logProbabilities, entropies, slopes] {
            memory.deallocate()
        }
    }

    func begin(learningRate: Double, progressRemaining: Double) {
        self.learningRate = learningRate
        epsilon = clipRange.map { Float($0.value(progressRemaining: progressRemaining)) } ?? .infinity
        sums = (0, 0, 0, 0)
        divergences.removeAll(keepingCapacity: true)
    }

    func computeGradient(minibatch index: Int) -> Double? {
        let rows = minibatches.rows(index)
        let count = rows.count
        let rollout = minibatches.rollout
        minibatches.gatherObservations(rows, into: observations)
        minibatches.gather(rows, of: rollout.actions, width: rollout.actionSize, into: actions)
        minibatches.gather(rows, of: rollout.logProbabilities, width: 1, into: oldLogProbabilities)
        minibatches.gather(rows, of: rollout.advantages, width: 1, into: advantages)
        // Over the minibatch, not the rollout; a deviation of one number does not exist.
        if normalisesAdvantages && count > 1 { standardise(advantages, count: count) }

        model.evaluate(
            observations, actions: actions, rows: count, logProbabilities: logProbabilities, entropies: entropies)
        let loss = surrogate(rows: count)
        let divergence = loss.divergence / Double(count)
        divergences.append(divergence)
        sums.count += 1
        sums.loss += loss.policy / Double(count)
        sums.clipped += Double(loss.clipped) / Double(count)
        sums.entropy += loss.entropy / Double(count)
        if let targetDivergence, divergence > 1.5 * targetDivergence { return nil }
        model.backward(
            observations, actions: actions, rows: count, byLogProbability: slopes,
            byEntropy: -entropyWeight / Float(count))
        let squaredNorm = model.actorStore.squaredGradientNorm()
        guard squaredNorm.isFinite else {
            notFinite = loss.policy.isFinite ? "the policy's gradient" : "the policy's loss"
            return nil
        }
        return squaredNorm
    }

    /// The loss of the rows at hand, and its derivative by each log-probability in `slopes`.
    private func surrogate(rows: Int) -> (policy: Double, clipped: Int, entropy: Double, divergence: Double) {
        var policy = 0.0
        var clipped = 0
        var entropy = 0.0
        var divergence = 0.0
        for row in 0..<rows {
            let logRatio = logProbabilities[row] - oldLogProbabilities[row]
            let ratio = exp(logRatio)
            let term = clippedSurrogate(ratio: ratio, advantage: advantages[row], epsilon: epsilon)
            policy -= Double(term.value)
            // ∂ρ/∂log π = ρ.
            slopes[row] = (divergenceWeight * (ratio - 1) - term.slope * ratio) / Float(rows)
            if abs(ratio - 1) > epsilon { clipped += 1 }
            entropy += Double(entropies[row])
            // (ρ − 1) − log ρ: an estimate of the divergence that is never negative (Schulman 2020, "Approximating
            // KL divergence").
            divergence += Double((ratio - 1) - logRatio)
        }
        return (policy, clipped, entropy, divergence)
    }

    func applyGradient(totalNorm: Double) {
        adam.step(model.actorStore, learningRate: learningRate, scale: minibatches.scale(norm: totalNorm))
    }

    func save(to writer: inout StateWriter) { writer.write(adam) }

    func restore(from reader: inout StateReader) throws { try reader.read(into: &adam) }

    func report(to metrics: inout Metrics, minibatchesAnEpoch: Int) {
        let count = Double(max(1, sums.count))
        metrics["train/policy_gradient_loss"] = sums.loss / count
        metrics["train/entropy_loss"] = -sums.entropy / count
        metrics["train/clip_fraction"] = sums.clipped / count
        // As Stable-Baselines3: the divergence in the last epoch.
        let last = divergences.suffix((divergences.count - 1) % minibatchesAnEpoch + 1)
        metrics["train/approx_kl"] = last.reduce(0, +) / Double(max(1, last.count))
        metrics["train/clip_range"] = epsilon.isFinite ? Double(epsilon) : nil
    }
}

/// min(ρ Â, clip(ρ, 1−ε, 1+ε) Â) and its derivative by ρ: Â, or 0 where the clipped term is the smaller one.
@inline(__always)
public func clippedSurrogate(ratio: Float, advantage: Float, epsilon: Float) -> (value: Float, slope: Float) {
    let plain = ratio * advantage
    let limited = min(max(ratio, 1 - epsilon), 1 + epsilon) * advantage
    return plain <= limited ? (plain, advantage) : (limited, 0)
}

/// Brings numbers to mean 0 and (sample) deviation 1.
package func standardise(_ values: UnsafeMutablePointer<Float>, count: Int) {
    var sum = 0.0
    for index in 0..<count { sum += Double(values[index]) }
    let mean = sum / Double(count)
    var squares = 0.0
    for index in 0..<count { squares += (Double(values[index]) - mean) * (Double(values[index]) - mean) }
    let scale = 1 / ((squares / Double(count - 1)).squareRoot() + 1e-8)
    for index in 0..<count { values[index] = Float((Double(values[index]) - mean) * scale) }
}

/// The critic's loss: `vf_coef` times the mean of (R − V)², or with clipping of the larger of (R − V)² and
/// (R − V_old − clip(V − V_old, ±ε))².
final class CriticUpdate: PairedModel {
    private let model: ActorCritic
    private let minibatches: Minibatches
    private let clipRange: Schedule?
    private let weight: Float
    private var adam: Adam
    private var learningRate = 0.0
    private var epsilon: Float?

    private let observations: UnsafeMutableRawPointer
    private let returns: UnsafeMutablePointer<Float>
    private let oldValues: UnsafeMutablePointer<Float>

    /// What went out of the finite numbers, if anything did.
    private(set) var notFinite: String?
    private var sums = (count: 0, loss: 0.0)

    init(
        _ model: ActorCritic, _ minibatches: Minibatches, clipRange: Schedule?, weight: Float, adam: consuming Adam
    ) {
        self.model = model
        self.minibatches = minibatches
        self.clipRange = clipRange
        self.weight = weight
        self.adam = adam
        observations = allocateRows(model.encoder.format, count: minibatches.size)
        returns = allocateFloats(minibatches.size)
        oldValues = allocateFloats(minibatches.size)
    }

    deinit {
        observations.deallocate()
        for memory in [returns, oldValues] { memory.deallocate() }
    }

    func begin(learningRate: Double, progressRemaining: Double) {
        self.learningRate = learningRate
        epsilon = clipRange.map { Float($0.value(progressRemaining: progressRemaining)) }
        sums = (0, 0)
    }

    func computeGradient(minibatch index: Int) -> Double? {
        let rows = minibatches.rows(index)
        let count = rows.count
        let rollout = minibatches.rollout
        minibatches.gatherObservations(rows, into: observations)
        minibatches.gather(rows, of: rollout.returns, width: 1, into: returns)
        minibatches.gather(rows, of: rollout.values, width: 1, into: oldValues)
        let workspace = model.criticWorkspace
        let values = model.critic.forward(model.criticStore.values, observations, rows: count, workspace)
        var loss = 0.0
        for row in 0..<count {
            let term = valueLoss(
                value: values[row], oldValue: oldValues[row], target: returns[row], epsilon: epsilon)
            loss += Double(term.value)
            workspace.outputGradient[row] = weight * term.slope / Float(count)
        }
        sums.count += 1
        sums.loss += loss / Double(count)
        model.critic.backward(
            model.criticStore.values, observations, rows: count, workspace, gradient: model.criticStore.gradient)
        let squaredNorm = model.criticStore.squaredGradientNorm()
        guard squaredNorm.isFinite else {
            notFinite = loss.isFinite ? "the value's gradient" : "the value's loss"
            return nil
        }
        return squaredNorm
    }

    func applyGradient(totalNorm: Double) {
        adam.step(model.criticStore, learningRate: learningRate, scale: minibatches.scale(norm: totalNorm))
    }

    func save(to writer: inout StateWriter) { writer.write(adam) }

    func restore(from reader: inout StateReader) throws { try reader.read(into: &adam) }

    func report(to metrics: inout Metrics) {
        metrics["train/value_loss"] = sums.loss / Double(max(1, sums.count))
        metrics["train/clip_range_vf"] = epsilon.map { Double($0) }
    }
}

/// (R − V)² and its derivative by V; with ε, of the larger of that and (R − V_old − clip(V − V_old, ±ε))².
@inline(__always)
public func valueLoss(
    value: Float, oldValue: Float, target: Float, epsilon: Float?
) -> (value: Float, slope: Float) {
    let error = value - target
    guard let epsilon else { return (error * error, 2 * error) }
    let change = value - oldValue
    let limitedError = oldValue + min(max(change, -epsilon), epsilon) - target
    if error * error >= limitedError * limitedError { return (error * error, 2 * error) }
    return (limitedError * limitedError, abs(change) <= epsilon ? 2 * limitedError : 0)
}
