import GymCore
import NeuralNetwork
import RunFiles

/// What an on-policy method says to the loop that all of them share.
package protocol OnPolicyMethod: AnyObject {
    var model: ActorCritic { get }
    /// Gradients applied so far.
    var updates: Int { get }
    /// Whether a rollout is an episode of each environment, from its start to its end; else so many steps of each.
    var wholeEpisodes: Bool { get }

    /// Learns from a rollout of each part, and says what there is to log.
    ///
    /// - Throws: ``NotFinite``.
    func learn(from rollouts: [Rollout], progress: Progress, _ metrics: inout Metrics) throws
    /// Writes or reads everything that the method keeps.
    func code(_ state: inout StateCoder) throws
}

extension OnPolicyMethod {
    package var wholeEpisodes: Bool { false }
}

/// The loop of every on-policy method: rollouts under a fixed policy, each learnt from and thrown away.
package final class OnPolicyLearner<Learning: OnPolicyMethod>: CodedLearner {
    package let method: Learning
    package let collector: Collector
    /// A rollout for each part.
    package let rollouts: [Rollout]
    private let parts: Parts
    private let workers: Workers
    /// Steps after which noise that lasts is drawn anew; 0 or less: once a rollout.
    private let noiseInterval: Int
    private let acting: [Acting]
    /// Noise that lasts, a map an environment.
    private let maps: Matrix

    /// What a part acts with.
    private final class Acting {
        let pass: ActorPass
        /// Draws actions.
        var generator: NumPyGenerator
        /// Draws noise that lasts.
        var noise: NumPyGenerator

        init(_ pass: ActorPass, generator: NumPyGenerator, noise: NumPyGenerator) {
            self.pass = pass
            self.generator = generator
            self.noise = noise
        }
    }

    package let totalSteps: Int
    package var steps: Int { collector.steps }
    package var updates: Int { method.updates }
    package var policy: any Policy { method.model.policy(normalisation: collector.normalisation) }

    /// - Throws: ``HyperparameterError`` when there is no memory for the rollouts.
    package init<Declared: OnPolicySettings>(
        _ c: MethodConfiguration<Declared>, _ method: Learning, on batch: any EnvironmentBatch, seed: UInt64,
        _ context: UpdateContext
    ) throws {
        self.method = method
        let parts = context.parts
        self.parts = parts
        workers = context.workers
        let (model, format) = (method.model, method.model.input.encoder.format)
        noiseInterval = c.usesStateDependentNoise ? c.noiseInterval : -1
        totalSteps = c.steps
        collector = try Collector(
            batch, encoder: model.input.encoder, codec: model.codec,
            normalisation: Normalisation(c, size: model.input.encoder.size, environments: batch.count), parts: parts,
            seed: seed)
        let share = batch.count / parts.count
        rollouts = (0..<parts.count).map { _ in
            Rollout(
                steps: method.wholeEpisodes ? nil : c.rolloutSteps, environments: share, format: format,
                actionSize: model.codec.size)
        }
        acting = (0..<parts.count).map {
            Acting(
                model.actor.makePass(rows: share), generator: parts.generator(.actions, seed: seed, part: $0),
                noise: parts.generator(.exploration, seed: seed, part: $0))
        }
        maps = Matrix(rows: batch.count, columns: model.actor.head.mapSize)
    }

    package func iterate() throws -> Metrics {
        try collect()
        var metrics = Metrics()
        metrics["rollout/ep_rew_mean"] = collector.episodes.meanReturn
        metrics["rollout/ep_len_mean"] = collector.episodes.meanLength
        do {
            try method.learn(from: rollouts, progress: Progress(steps: steps, of: totalSteps), &metrics)
        } catch let error as NotFinite {
            throw NotFiniteError(term: error.term, step: steps)
        }
        return metrics
    }

    /// Fills the rollouts with steps of the current policy.
    private func collect() throws {
        if method.wholeEpisodes { collector.startFreshEpisodes() }
        try collector.start()
        for rollout in rollouts { rollout.clear() }
        // An update's worth of acting is little: one after the other, unless networks are large.
        workers.expect(operations: 2 * Double(collector.count) * method.model.actor.network.multiplications)
        var step = 0
        while !rollouts.allSatisfy(\.isFull) {
            if step == 0 || (noiseInterval > 0 && step % noiseInterval == 0) { drawMaps() }
            act()
            try collector.send()
            let collected = try collector.receive()
            for (part, rollout) in rollouts.enumerated() { try rollout.add(collected, rows(part)) }
            step += 1
        }
        for (part, rollout) in rollouts.enumerated() { rollout.end(at: collector.observations[rows(part)]) }
    }

    private func rows(_ part: Int) -> Range<Int> { parts.range(part, of: collector.count) }

    private func drawMaps() {
        let actor = method.model.actor
        for part in 0..<parts.count {
            actor.head.drawMaps(actor.parameters, generator: &acting[part].noise, into: maps[rows: rows(part)])
        }
    }

    private func act() {
        let (actor, collector) = (method.model.actor, collector)
        workers.run(parts.count) { part in
            let (acting, rows) = (acting[part], rows(part))
            actor.act(
                collector.observations[rows], maps: maps[rows: rows], generator: &acting.generator, acting.pass,
                into: collector.actions[rows: rows], logProbabilities: collector.logProbabilities[rows])
        }
    }

    // MARK: State

    package func startFreshEpisodes() { collector.startFreshEpisodes() }

    package func start(from tensors: [NamedTensor]) throws {
        try method.model.stores.load(tensors)
        try collector.start(from: tensors)
    }

    /// The rollouts are not needed: they were learnt from, and are thrown away.
    package func code(_ state: inout StateCoder) throws {
        try method.code(&state)
        for part in acting {
            try state(&part.generator)
            try state(&part.noise)
        }
        try collector.code(&state)
    }
}
