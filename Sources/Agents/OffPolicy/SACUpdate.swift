import Foundation
import GymCore
import NeuralNetwork

/// One update of SAC's networks from a minibatch, in the order of the losses that makes a difference: the temperature
/// that the critics and the actor see is the one from before the update, and the actor sees the critics after theirs.
package final class SACUpdate: HalvedWork {
    package let actor: MultiLayerPerceptron
    package let store: ParameterStore
    private let critic: CriticEnsemble
    private let value: CriticEnsemble?
    private let batch: Minibatch
    private let actionSize: Int
    private let targetEntropy: Double
    private let tunesTemperature: Bool

    /// log α; learnt where the temperature is.
    package private(set) var logTemperature: Double
    private var temperatureAdam: ScalarAdam
    private var actorAdam: Adam
    private var criticAdam: Adam
    private var valueAdam: Adam
    private var drawGenerator: NumPyGenerator
    /// The noise of each half's actions.
    private var noiseGenerators: [NumPyGenerator]

    private let secondGradient: UnsafeMutablePointer<Float>
    private let halves: [Half]

    // What holds for the updates at hand.
    private var normalisation: Normalisation
    private var learningRate = 0.0
    private var tau: Float = 0
    private var targetInterval = 1
    private var updates = 0
    private var temperature: Float = 1
    private var steps: (critic: Adam.Step, actor: Adam.Step, value: Adam.Step)?
    private var hasStopped = false

    /// What went out of the finite numbers, if anything did.
    package private(set) var notFinite: String?
    private var losses = (actor: RunningMean(), critic: RunningMean(), value: RunningMean(), temperature: RunningMean())

    /// What one half of a minibatch needs.
    private final class Half {
        /// The pass over observations, kept for going back.
        let now: MultiLayerPerceptron.Workspace
        /// The pass over the next observations.
        let next: MultiLayerPerceptron.Workspace
        /// Normal noise and the action it gave, for the observations; (rows, action).
        let noise: UnsafeMutablePointer<Float>
        let actions: UnsafeMutablePointer<Float>
        /// The same for the next observations, one row of them.
        let nextNoise: UnsafeMutablePointer<Float>
        let nextAction: UnsafeMutablePointer<Float>
        /// (rows).
        let targets: UnsafeMutablePointer<Float>
        let logProbabilities: UnsafeMutablePointer<Float>
        var criticLoss = 0.0
        var actorLoss = 0.0
        var valueLoss = 0.0

        init(_ actor: MultiLayerPerceptron, rows: Int, actions count: Int) {
            now = MultiLayerPerceptron.Workspace(for: actor, capacity: rows)
            next = MultiLayerPerceptron.Workspace(for: actor, capacity: rows)
            noise = allocateFloats(rows * count)
            actions = allocateFloats(rows * count)
            nextNoise = allocateFloats(count)
            nextAction = allocateFloats(count)
            targets = allocateFloats(rows)
            logProbabilities = allocateFloats(rows)
        }

        deinit {
            for memory in [noise, actions, nextNoise, nextAction, targets, logProbabilities] { memory.deallocate() }
        }
    }

    package init(
        _ h: Hyperparameters, actor: MultiLayerPerceptron, store: ParameterStore, replay: ReplayBuffer, seed: UInt64,
        generator: inout NumPyGenerator
    ) {
        self.actor = actor
        self.store = store
        actionSize = replay.actionSize
        batch = Minibatch(size: h.integer("batch_size"), replay: replay)
        let rows = half(0, of: batch.size).count
        let activation = Activation(rawValue: h.text("activation_fn"))!
        critic = CriticEnsemble(
            observationSize: replay.observationSize, actionSize: replay.actionSize,
            hidden: h.networks("net_arch").critic, activation: activation, rows: rows, generator: &generator)
        value =
            h.bool("value_network")
            ? CriticEnsemble(
                "vf", count: 1, observationSize: replay.observationSize, actionSize: 0,
                hidden: h.networks("net_arch").critic, activation: activation, rows: rows, generator: &generator) : nil
        valueAdam = Adam(count: value?.store.count ?? 0, epsilon: h.real("adam_epsilon"))
        let temperature = h.automatic("ent_coef")
        tunesTemperature = temperature.isAutomatic
        logTemperature = log(temperature.value)
        let entropy = h.automatic("target_entropy")
        targetEntropy = entropy.isAutomatic ? -Double(replay.actionSize) : entropy.value
        temperatureAdam = ScalarAdam(epsilon: h.real("adam_epsilon"))
        actorAdam = Adam(count: store.count, epsilon: h.real("adam_epsilon"))
        criticAdam = Adam(count: critic.store.count, epsilon: h.real("adam_epsilon"))
        drawGenerator = RandomStream.minibatches.generator(seed: seed)
        noiseGenerators = (0..<2).map { RandomStream.targets.generator(seed: seed, part: $0) }
        secondGradient = allocateFloats(store.count)
        halves = (0..<2).map { _ in Half(actor, rows: rows, actions: replay.actionSize) }
        normalisation = Normalisation(h, size: replay.observationSize, environments: 1)
    }

    deinit { secondGradient.deallocate() }

    /// What is saved with the policy besides the actor.
    package var critics: [ParameterStore] {
        [critic.store] + (value.map { [$0.store, $0.target] } ?? [critic.target])
    }

    /// The critics' networks.
    package var criticNetworks: [MultiLayerPerceptron] { critic.networks }

    /// Floating-point operations of an update's matrix products, about.
    package var operations: Double {
        let weights = { (network: MultiLayerPerceptron) in network.layers.reduce(0.0) { $0 + Double($1.weight.count) } }
        return 2 * Double(batch.size) * (4 * weights(actor) + 14 * weights(critic.networks[0]))
    }

    /// Begins a series of updates.
    package func begin(
        updates: Int, learningRate: Double, tau: Float, targetInterval: Int, normalisation: Normalisation
    ) {
        self.updates = updates
        self.learningRate = learningRate
        self.tau = tau
        self.targetInterval = targetInterval
        self.normalisation = normalisation
    }

    // MARK: The stages

    /// The stages of an update.
    package static let stages = 5

    package func run(stage: Int, half: Int) {
        let stage = stage % SACUpdate.stages
        if stage == 0 {
            if half == 0 { prepare() }
            return
        }
        // What is read here was written in an earlier stage: both halves see the same and stop together.
        if hasStopped || (stage > 1 && !lossesAreFinite) { return }
        switch stage {
        case 1:
            batch.gather(half: half, normalisation: normalisation)
            act(half)
            evaluateTargets(half)
            halves[half].criticLoss = critic.regress(
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

    private var lossesAreFinite: Bool {
        halves.allSatisfy { $0.criticLoss.isFinite && $0.actorLoss.isFinite && $0.valueLoss.isFinite }
    }

    /// What one thread does for both: takes the last update's losses in and draws the next minibatch.
    private func prepare() {
        if hasStopped || !finish() { return }
        temperature = Float(exp(logTemperature))
        batch.draw(generator: &drawGenerator)
        steps = (
            criticAdam.begin(learningRate: learningRate), actorAdam.begin(learningRate: learningRate),
            valueAdam.begin(learningRate: learningRate)
        )
    }

    /// Takes in the losses of the update that was made, if one was, and returns whether they are finite.
    @discardableResult
    package func finish() -> Bool {
        guard steps != nil else { return true }
        steps = nil
        guard lossesAreFinite else {
            hasStopped = true
            let critic = halves.allSatisfy { $0.criticLoss.isFinite }
            notFinite = critic ? "the actor's loss" : "the critics' loss"
            return false
        }
        let count = Double(batch.size)
        losses.critic.add(0.5 * (halves[0].criticLoss + halves[1].criticLoss) / count)
        losses.actor.add((halves[0].actorLoss + halves[1].actorLoss) / count)
        if value != nil { losses.value.add(0.5 * (halves[0].valueLoss + halves[1].valueLoss) / count) }
        updates += 1
        return true
    }

    /// Draws the policy's actions for the half's observations, which are kept for ``improve(_:)``, and for the next.
    private func act(_ index: Int) {
        let half = halves[index]
        let range = batch.half(index)
        let size = actionSize
        let output = actor.forward(
            store.values, batch.observations + range.lowerBound * batch.observationSize, rows: range.count, half.now)
        for element in 0..<range.count * size {
            half.noise[element] = Float(noiseGenerators[index].standardNormal())
        }
        for row in 0..<range.count {
            half.logProbabilities[row] = SquashedGaussian.act(
                output + row * 2 * size, noise: half.noise + row * size, count: size,
                action: half.actions + row * size)
        }
    }

    /// y = r + γ (1 − terminated) (min Q⁻(s′, a′) − α log π(a′|s′)) with a′ drawn anew; with a value network,
    /// y = r + γ (1 − terminated) V⁻(s′).
    private func evaluateTargets(_ index: Int) {
        let half = halves[index]
        let range = batch.half(index)
        let start = range.lowerBound
        let size = actionSize
        let observations = batch.nextObservations + start * batch.observationSize
        let rewards = batch.rewards + start
        let discounts = batch.discounts + start
        if let value {
            let values = value.leastTarget(observations, rows: range.count, half: index)
            for row in 0..<range.count { half.targets[row] = rewards[row] + discounts[row] * values[row] }
            return
        }
        let output = actor.forward(store.values, observations, rows: range.count, half.next)
        for row in 0..<range.count {
            for element in 0..<size { half.nextNoise[element] = Float(noiseGenerators[index].standardNormal()) }
            half.targets[row] = SquashedGaussian.act(
                output + row * 2 * size, noise: half.nextNoise, count: size, action: half.nextAction)
            batch.setAction(half.nextAction, row: start + row, of: batch.nextInputs)
        }
        let values = critic.leastTarget(
            batch.nextInputs + start * batch.inputSize, rows: range.count, half: index)
        for row in 0..<range.count {
            half.targets[row] = rewards[row] + discounts[row] * (values[row] - temperature * half.targets[row])
        }
    }

    /// The temperature's own loss, −log α (log π + target entropy): it rises while the policy is less random than it
    /// is to be. log π is a constant in it.
    private func tuneTemperature() {
        guard tunesTemperature else { return }
        var sum = 0.0
        for index in 0..<2 {
            for row in 0..<batch.half(index).count { sum += Double(halves[index].logProbabilities[row]) }
        }
        let excess = sum / Double(batch.size) + targetEntropy
        losses.temperature.add(-logTemperature * excess)
        logTemperature += temperatureAdam.step(gradient: -excess, learningRate: learningRate)
    }

    /// The gradient of the mean of α log π(a|s) − min Q(s, a) through the action; with a value network, that of its
    /// loss ½ (V(s) − (min Q(s, a) − α log π))² too.
    private func improve(_ index: Int) {
        let half = halves[index]
        let range = batch.half(index)
        let size = actionSize
        let inputs = batch.inputs + range.lowerBound * batch.inputSize
        let observations = batch.observations + range.lowerBound * batch.observationSize
        for row in 0..<range.count {
            batch.setAction(half.actions + row * size, row: range.lowerBound + row, of: batch.inputs)
        }
        let share = 1 / Float(batch.size)
        let (values, byAction) = critic.ascend(
            inputs, rows: range.count, slope: -share, onlyFirst: false, half: index)
        let output = UnsafePointer(half.now.output)
        let gradient = half.now.outputGradient
        var loss = 0.0
        for row in 0..<range.count {
            let entropyTerm = temperature * half.logProbabilities[row]
            loss += Double(entropyTerm - values[row])
            half.targets[row] = values[row] - entropyTerm
            SquashedGaussian.gradient(
                output + row * 2 * size, noise: half.noise + row * size, action: half.actions + row * size,
                count: size, byAction: byAction + row * size, byLogProbability: temperature * share,
                into: gradient + row * 2 * size)
        }
        half.actorLoss = loss
        actor.backward(
            store.values, observations, rows: range.count, half.now,
            gradient: index == 0 ? store.gradient : secondGradient)
        if let value {
            half.valueLoss = value.regress(
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
        for generator in noiseGenerators { generator.save(to: &writer) }
    }

    package func restore(from reader: inout StateReader) throws {
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
        for index in noiseGenerators.indices { noiseGenerators[index] = try NumPyGenerator(from: &reader) }
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
