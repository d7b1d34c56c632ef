import Foundation
import GymCore
import NeuralNetwork

/// Proximal policy optimisation (Schulman et al. 2017, arXiv 1707.06347): rollouts under a fixed policy, then several
/// epochs of minibatch ascent on an objective that gains nothing from moving the policy far.
///
/// Every part can be switched by its hyperparameter; the defaults are Stable-Baselines3's.
public final class PPO: Learner {
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
        // Of a step: observation, action, permutations, and five numbers.
        let rowBytes = model.encoder.format.rowBytes + 4 * (model.codec.size + epochs + 5)
        try requireMemory(
            Double(rowBytes) * Double(rows), for: "n_steps",
            "the n_steps × n_envs = \(rows) steps of a rollout, gone through n_epochs = \(epochs) times,")
        rollout = RolloutBuffer(
            steps: stepsEach, environments: batch.count, observations: model.encoder.format,
            actionSize: model.codec.size)
        permutations = .allocate(capacity: epochs * rows)
        permutations.initialize(repeating: 0, count: epochs * rows)
        minibatches = Minibatches(
            rollout: rollout, order: permutations, size: batchSize, maxGradientNorm: h.optionalReal("max_grad_norm"))
        actorUpdate = ActorUpdate(
            model, minibatches, clipRange: h.optionalSchedule("clip_range"),
            normalisesAdvantages: h.bool("normalize_advantage"), entropyWeight: h.schedule("ent_coef"),
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
            try record(row: row)
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
            throw NotFiniteError.observation(in: batch.results, step: steps)
        }
        normalisation.update(floats, rows: batch.count)
        normalisation.apply(floats, rows: batch.count)
    }

    /// Takes in the rewards and ends of a step.
    private func record(row: Int) throws {
        let results = batch.results
        let count = batch.count
        for index in 0..<count {
            let truncated = results.truncated[index] != 0
            let terminated = results.terminated[index] != 0
            rollout.rewards[row + index] = Float(results.rewards[index])
            guard rollout.rewards[row + index].isFinite else {
                throw NotFiniteError.reward(results.rewards[index], step: steps)
            }
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
