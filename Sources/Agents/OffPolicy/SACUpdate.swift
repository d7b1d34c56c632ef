import Foundation
import GymCore
import NeuralNetwork

/// One update of SAC's networks from a minibatch, in the order of the losses that makes a difference: the temperature
/// that the critics and the actor see is the one from before the update, and the actor sees the critics after theirs.
package final class SACUpdate: ActorUpdateWithCritics {
    private let policy: SquashedActor
    private let critic: CriticEnsemble
    private let value: CriticEnsemble?
    private let batch: Minibatch
    private let tau: Float
    private let targetInterval: Int
    private let targetEntropy: Double
    private let tunesTemperature: Bool

    /// log α; learnt where the temperature is.
    package private(set) var logTemperature: Double
    private var temperatureAdam: ScalarAdam
    private var actorAdam: Adam
    private var criticAdam: Adam
    private var valueAdam: Adam
    private var drawGenerator: NumPyGenerator
    private var mapGenerator: NumPyGenerator

    private let secondGradient: UnsafeMutablePointer<Float>
    private let halves: [Half]
    /// gSDE's map for a minibatch.
    private let map: UnsafeMutablePointer<Float>
    /// The environments' maps, and the pass that they act by.
    private let actingMaps: UnsafeMutablePointer<Float>
    private let actingWorkspace: MultiLayerPerceptron.Workspace

    // What holds for the updates at hand.
    private var normalisation: Normalisation
    private var learningRate = 0.0
    private var temperature: Float = 1
    private var steps: (critic: Adam.Step, actor: Adam.Step, value: Adam.Step)?

    /// Updates so far.
    package private(set) var updates = 0
    package private(set) var notFinite: String?
    private var losses = (actor: RunningMean(), critic: RunningMean(), value: RunningMean(), temperature: RunningMean())

    /// What one half of a minibatch needs.
    private final class Half {
        /// Actions for the observations, kept for going back, and for the next ones.
        let now: SquashedActor.Draw
        let next: SquashedActor.Draw
        /// (rows).
        let targets: UnsafeMutablePointer<Float>
        /// The noise of the actions.
        var generator: NumPyGenerator
        var logProbability = 0.0
        var critic = LossPart()
        var actor = LossPart()
        var value = LossPart()

        init(_ policy: SquashedActor, rows: Int, generator: NumPyGenerator) {
            self.generator = generator
            now = SquashedActor.Draw(policy, rows: rows)
            next = SquashedActor.Draw(policy, rows: rows)
            targets = allocateFloats(rows)
        }

        deinit { targets.deallocate() }
    }

    /// - Parameter environments: rows that act at a time.
    package init(_ h: Hyperparameters, replay: ReplayBuffer, environments: Int = 1, seed: UInt64) {
        var generator = RandomStream.initialisation.generator(seed: seed)
        let policy = SquashedActor(
            h, inputs: replay.observationSize, actions: replay.actionSize, generator: &generator)
        self.policy = policy
        batch = Minibatch(size: h.integer("batch_size"), replay: replay)
        let rows = half(0, of: batch.size).count
        critic = CriticEnsemble(
            h, observationSize: replay.observationSize, actionSize: replay.actionSize, rows: rows,
            generator: &generator)
        value =
            h.bool("value_network")
            ? CriticEnsemble(
                h, "vf", count: 1, observationSize: replay.observationSize, actionSize: 0, rows: rows,
                generator: &generator) : nil
        tau = Float(h.real("tau"))
        targetInterval = h.integer("target_update_interval")
        let temperature = h.automatic("ent_coef")
        tunesTemperature = temperature.isAutomatic
        logTemperature = log(temperature.value)
        let entropy = h.automatic("target_entropy")
        targetEntropy = entropy.isAutomatic ? -Double(replay.actionSize) : entropy.value
        let epsilon = h.real("adam_epsilon")
        temperatureAdam = ScalarAdam(epsilon: epsilon)
        actorAdam = Adam(count: policy.store.count, epsilon: epsilon)
        criticAdam = Adam(count: critic.store.count, epsilon: epsilon)
        valueAdam = Adam(count: value?.store.count ?? 0, epsilon: epsilon)
        drawGenerator = RandomStream.minibatches.generator(seed: seed)
        mapGenerator = RandomStream.targets.generator(seed: seed, part: 2)
        secondGradient = allocateFloats(policy.store.count)
        halves = (0..<2).map {
            Half(policy, rows: rows, generator: RandomStream.targets.generator(seed: seed, part: $0))
        }
        map = allocateFloats(policy.mapSize)
        actingMaps = allocateFloats(environments * policy.mapSize)
        actingWorkspace = MultiLayerPerceptron.Workspace(for: policy.network, capacity: environments)
        normalisation = Normalisation(h, size: replay.observationSize, environments: 1)
    }

    deinit {
        for memory in [secondGradient, map, actingMaps] { memory.deallocate() }
    }

    package var actor: MultiLayerPerceptron { policy.network }
    package var store: ParameterStore { policy.store }
    package var squashing: OffPolicyPolicy.Squashing { policy.squashing }

    package var others: [ParameterStore] {
        [critic.store] + (value.map { [$0.store, $0.target] } ?? [critic.target])
    }

    /// The critics' networks.
    package var criticNetworks: [MultiLayerPerceptron] { critic.networks }

    package var operations: Double {
        2 * Double(batch.size) * (4 * actor.multiplications + 13 * critic.networks[0].multiplications)
    }

    // MARK: Acting

    package func resetNoise(environments: Int, generator: inout NumPyGenerator) {
        for environment in 0..<environments {
            policy.drawMap(generator: &generator, into: actingMaps + environment * policy.mapSize)
        }
    }

    package func act(
        _ observations: UnsafePointer<Float>, rows: Int, generator: inout NumPyGenerator,
        actions: UnsafeMutablePointer<Float>
    ) {
        policy.explore(
            observations, rows: rows, maps: actingMaps, generator: &generator, actingWorkspace, into: actions)
    }

    // MARK: The stages

    package static let stages = 5

    package func begin(learningRate: Double, progress: Double, normalisation: Normalisation) {
        self.learningRate = learningRate
        self.normalisation = normalisation
    }

    package func perform(stage: Int, half: Int) {
        switch stage {
        case 1:
            batch.gather(half: half, normalisation: normalisation)
            draw(half)
            evaluateTargets(half)
            halves[half].critic = critic.regress(
                batch.inputs + batch.half(half).lowerBound * batch.inputSize, towards: halves[half].targets,
                rows: batch.half(half).count, weight: 0.5 / Float(batch.size), half: half)
        case 2:
            critic.apply(steps!.critic, Agents.half(half, of: critic.store.count, multiple: 16))
            if half == 0 { tuneTemperature() }
        case 3:
            improve(half)
        default:
            let range = Agents.half(half, of: store.count, multiple: 16)
            store.addGradient(secondGradient, range)
            steps!.actor.apply(store, range)
            if let value { value.apply(steps!.value, Agents.half(half, of: value.store.count, multiple: 16)) }
            if (updates + 1) % targetInterval == 0 {
                let following = value ?? critic
                following.follow(rate: tau, Agents.half(half, of: following.store.count, multiple: 16))
            }
        }
    }

    package func fault(before stage: Int) -> String? {
        if stage > 1 {
            if let fault = LossPart.fault("the critics'", halves[0].critic, halves[1].critic) { return fault }
            if !(halves[0].logProbability + halves[1].logProbability).isFinite { return "the actions' log-probability" }
        }
        guard stage > 3 else { return nil }
        return LossPart.fault("the actor's", halves[0].actor, halves[1].actor)
            ?? LossPart.fault("the value's", halves[0].value, halves[1].value)
    }

    package func prepare() {
        temperature = Float(exp(logTemperature))
        batch.draw(generator: &drawGenerator)
        policy.drawMap(generator: &mapGenerator, into: map)
        for half in halves { (half.actor, half.value) = (LossPart(), LossPart()) }
        steps = (
            criticAdam.begin(learningRate: learningRate), actorAdam.begin(learningRate: learningRate),
            valueAdam.begin(learningRate: learningRate)
        )
    }

    @discardableResult
    package func finish() -> Bool {
        guard steps != nil else { return true }
        steps = nil
        notFinite = fault(before: SACUpdate.stages)
        guard notFinite == nil else { return false }
        let count = Double(batch.size)
        losses.critic.add(0.5 * (halves[0].critic.sum + halves[1].critic.sum) / count)
        losses.actor.add((halves[0].actor.sum + halves[1].actor.sum) / count)
        if value != nil { losses.value.add(0.5 * (halves[0].value.sum + halves[1].value.sum) / count) }
        updates += 1
        return true
    }

    /// Draws the policy's actions for the half's observations, which are kept for ``improve(_:)``.
    private func draw(_ index: Int) {
        let half = halves[index]
        let range = batch.half(index)
        policy.draw(
            batch.observations + range.lowerBound * batch.observationSize, rows: range.count, map: map,
            generator: &half.generator, into: half.now)
        half.logProbability = (0..<range.count).reduce(0.0) { $0 + Double(half.now.logProbabilities[$1]) }
    }

    /// y = r + γ (1 − terminated) (min Q⁻(s′, a′) − α log π(a′|s′)) with a′ drawn anew; with a value network,
    /// y = r + γ (1 − terminated) V⁻(s′).
    private func evaluateTargets(_ index: Int) {
        let half = halves[index]
        let range = batch.half(index)
        let start = range.lowerBound
        let observations = batch.nextObservations + start * batch.observationSize
        let rewards = batch.rewards + start
        let discounts = batch.discounts + start
        if let value {
            let values = value.leastTarget(observations, rows: range.count, half: index)
            for row in 0..<range.count { half.targets[row] = rewards[row] + discounts[row] * values[row] }
            return
        }
        policy.draw(
            observations, rows: range.count, map: map, generator: &half.generator, into: half.next)
        for row in 0..<range.count {
            batch.setAction(half.next.actions + row * batch.actionSize, row: start + row, of: batch.nextInputs)
        }
        let values = critic.leastTarget(
            batch.nextInputs + start * batch.inputSize, rows: range.count, half: index)
        for row in 0..<range.count {
            let soft = values[row] - temperature * half.next.logProbabilities[row]
            half.targets[row] = rewards[row] + discounts[row] * soft
        }
    }

    /// The temperature's own loss, −log α (log π + target entropy): it rises while the policy is less random than it
    /// is to be. log π is a constant in it.
    private func tuneTemperature() {
        guard tunesTemperature else { return }
        let sum = halves[0].logProbability + halves[1].logProbability
        let excess = sum / Double(batch.size) + targetEntropy
        losses.temperature.add(-logTemperature * excess)
        logTemperature += temperatureAdam.step(gradient: -excess, learningRate: learningRate)
    }

    /// The gradient of the mean of α log π(a|s) − min Q(s, a) through the action; with a value network, that of its
    /// loss ½ (V(s) − (min Q(s, a) − α log π))² too.
    private func improve(_ index: Int) {
        let half = halves[index]
        let range = batch.half(index)
        let inputs = batch.inputs + range.lowerBound * batch.inputSize
        let observations = batch.observations + range.lowerBound * batch.observationSize
        for row in 0..<range.count {
            batch.setAction(half.now.actions + row * batch.actionSize, row: range.lowerBound + row, of: batch.inputs)
        }
        let share = 1 / Float(batch.size)
        let (values, byAction) = critic.ascend(
            inputs, rows: range.count, slope: -share, onlyFirst: false, half: index)
        for row in 0..<range.count {
            let entropyTerm = temperature * half.now.logProbabilities[row]
            half.actor.sum += Double(entropyTerm - values[row])
            half.targets[row] = values[row] - entropyTerm
        }
        let gradient = index == 0 ? store.gradient : secondGradient
        policy.backward(
            observations, rows: range.count, map: map, half.now, byAction: byAction,
            byLogProbability: temperature * share, gradient: gradient)
        half.actor.measure(gradient, count: store.count)
        if let value {
            half.value = value.regress(
                observations, towards: half.targets, rows: range.count, weight: 0.5 * share, half: index)
        }
    }

    // MARK: Reports and state

    package func report(to metrics: inout Metrics) {
        metrics["train/actor_loss"] = losses.actor.take()
        metrics["train/critic_loss"] = losses.critic.take()
        if value != nil { metrics["train/value_loss"] = losses.value.take() }
        metrics["train/ent_coef"] = exp(logTemperature)
        if tunesTemperature { metrics["train/ent_coef_loss"] = losses.temperature.take() }
    }

    package func save(to writer: inout StateWriter) {
        writer.write(UInt64(updates))
        writer.write(store)
        writer.write(critic.store)
        writer.write(critic.target)
        writer.write(criticAdam)
        writer.write(actorAdam)
        if let value {
            writer.write(value.store)
            writer.write(value.target)
            writer.write(valueAdam)
        }
        writer.write(logTemperature)
        writer.write(temperatureAdam)
        drawGenerator.save(to: &writer)
        for generator in halves.map(\.generator) + [mapGenerator] { generator.save(to: &writer) }
    }

    package func restore(from reader: inout StateReader) throws {
        (steps, notFinite) = (nil, nil)
        updates = try reader.readCount()
        try reader.read(into: store)
        try reader.read(into: critic.store)
        try reader.read(into: critic.target)
        try reader.read(into: &criticAdam)
        try reader.read(into: &actorAdam)
        if let value {
            try reader.read(into: value.store)
            try reader.read(into: value.target)
            try reader.read(into: &valueAdam)
        }
        logTemperature = try reader.read()
        temperatureAdam = try reader.read()
        drawGenerator = try NumPyGenerator(from: &reader)
        for half in halves { half.generator = try NumPyGenerator(from: &reader) }
        mapGenerator = try NumPyGenerator(from: &reader)
    }
}

/// Adam for a single number.
struct ScalarAdam: BitwiseCopyable {
    private let epsilon: Double
    private var steps = 0
    private var first = 0.0
    private var second = 0.0

    init(epsilon: Double) { self.epsilon = epsilon }

    /// What the number changes by.
    mutating func step(gradient: Double, learningRate: Double) -> Double {
        steps += 1
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient * gradient
        let t = Double(steps)
        return -learningRate * first / (1 - pow(0.9, t)) / ((second / (1 - pow(0.999, t))).squareRoot() + epsilon)
    }
}
