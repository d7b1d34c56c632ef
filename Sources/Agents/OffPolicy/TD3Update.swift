import GymCore
import NeuralNetwork

/// One update of TD3's critics from a minibatch, and every so often one of its actor and of all targets.
package final class TD3Update: ActorUpdateWithCritics {
    package let actor: MultiLayerPerceptron
    package let store: ParameterStore
    package let target: ParameterStore
    let critic: CriticEnsemble
    private let batch: Minibatch
    private let tau: Float
    private let delay: Int
    private let noiseDeviation: Double
    private let noiseClip: Float

    private var actorAdam: Adam
    private var criticAdam: Adam
    private var drawGenerator: NumPyGenerator
    private let secondGradient: UnsafeMutablePointer<Float>
    private let halves: [Half]
    private let actingWorkspace: MultiLayerPerceptron.Workspace

    // What holds for the updates at hand.
    private var normalisation: Normalisation
    private var learningRate = 0.0
    private var steps: (critic: Adam.Step, actor: Adam.Step?)?

    /// Updates of the critics so far.
    package private(set) var updates = 0
    package private(set) var notFinite: String?
    private var losses = (actor: RunningMean(), critic: RunningMean())

    /// What one half of a minibatch needs.
    private final class Half {
        let workspace: MultiLayerPerceptron.Workspace
        /// (rows).
        let targets: UnsafeMutablePointer<Float>
        /// The noise of the target actions.
        var generator: NumPyGenerator
        var critic = LossPart()
        var actor = LossPart()

        init(_ actor: MultiLayerPerceptron, rows: Int, generator: NumPyGenerator) {
            self.generator = generator
            workspace = MultiLayerPerceptron.Workspace(for: actor, capacity: rows)
            targets = allocateFloats(rows)
        }

        deinit { targets.deallocate() }
    }

    /// - Parameter environments: rows that act at a time.
    package init(_ h: Hyperparameters, replay: ReplayBuffer, environments: Int = 1, seed: UInt64) {
        let activation = Activation(rawValue: h.text("activation_fn"))!
        let hidden = h.networks("net_arch").actor
        let layerNorm = h.bool("layer_norm")
        tau = Float(h.real("tau"))
        delay = h.integer("policy_delay")
        noiseDeviation = h.real("target_policy_noise")
        noiseClip = Float(h.real("target_noise_clip"))
        batch = Minibatch(size: h.integer("batch_size"), replay: replay)
        let rows = half(0, of: batch.size).count
        let sizes = [replay.observationSize] + hidden + [replay.actionSize]
        var layout = ParameterLayout()
        actor = MultiLayerPerceptron(
            "actor", sizes: sizes, activation: activation, outputActivation: .tanh, layerNorm: layerNorm,
            layout: &layout)
        store = ParameterStore(layout)
        var generator = RandomStream.initialisation.generator(seed: seed)
        actor.initialise(store, hidden: .uniform, output: .uniform, generator: &generator)
        var targetLayout = ParameterLayout()
        _ = MultiLayerPerceptron(
            "actor_target", sizes: sizes, activation: activation, layerNorm: layerNorm, layout: &targetLayout)
        target = ParameterStore(targetLayout)
        target.values.update(from: store.values, count: store.count)
        critic = CriticEnsemble(
            h, count: h.integer("n_critics"), observationSize: replay.observationSize, actionSize: replay.actionSize,
            rows: rows, generator: &generator)
        actorAdam = Adam(count: store.count, epsilon: h.real("adam_epsilon"))
        criticAdam = Adam(count: critic.store.count, epsilon: h.real("adam_epsilon"))
        drawGenerator = RandomStream.minibatches.generator(seed: seed)
        secondGradient = allocateFloats(store.count)
        let actor = actor
        halves = (0..<2).map {
            Half(actor, rows: rows, generator: RandomStream.targets.generator(seed: seed, part: $0))
        }
        actingWorkspace = MultiLayerPerceptron.Workspace(for: actor, capacity: environments)
        normalisation = Normalisation(h, size: replay.observationSize, environments: 1)
    }

    deinit { secondGradient.deallocate() }

    package var others: [ParameterStore] { [target, critic.store, critic.target] }

    /// The critics' networks.
    package var criticNetworks: [MultiLayerPerceptron] { critic.networks }

    package var operations: Double {
        2 * Double(batch.size) * (3 * actor.multiplications + 9 * critic.networks[0].multiplications)
    }

    package var squashing: OffPolicyPolicy.Squashing { .none }

    // MARK: Acting

    /// There is none that lasts.
    package func resetNoise(environments: Int, generator: inout NumPyGenerator) {}

    package func act(
        _ observations: UnsafePointer<Float>, rows: Int, generator: inout NumPyGenerator,
        actions: UnsafeMutablePointer<Float>
    ) {
        let output = actor.forward(store.values, observations, rows: rows, actingWorkspace)
        actions.update(from: output, count: rows * actor.outputs)
    }

    /// Whether that many further updates leave the actor as it is: those between two of its own.
    package func leavesActor(updates count: Int) -> Bool { updates / delay == (updates + count) / delay }

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
            evaluateTargets(half)
            halves[half].critic = critic.regress(
                batch.inputs + batch.half(half).lowerBound * batch.inputSize, towards: halves[half].targets,
                rows: batch.half(half).count, weight: 1 / Float(batch.size), half: half)
        case 2:
            critic.apply(steps!.critic, Agents.half(half, of: critic.store.count, multiple: 16))
        case 3:
            if steps!.actor != nil { improve(half) }
        default:
            // CRUCIAL and easy to overlook: the delay holds for the critics' targets as well as for the actor.
            guard let step = steps!.actor else { return }
            let range = Agents.half(half, of: store.count, multiple: 16)
            store.addGradient(secondGradient, range)
            step.apply(store, range)
            target.polyak(towards: store, rate: tau, range)
            critic.follow(rate: tau, Agents.half(half, of: critic.store.count, multiple: 16))
        }
    }

    package func fault(before stage: Int) -> String? {
        if stage > 1, let fault = LossPart.fault("the critics'", halves[0].critic, halves[1].critic) { return fault }
        return stage > 3 ? LossPart.fault("the actor's", halves[0].actor, halves[1].actor) : nil
    }

    package func prepare() {
        batch.draw(generator: &drawGenerator)
        for half in halves { half.actor = LossPart() }
        let movesActor = (updates + 1) % delay == 0
        steps = (
            criticAdam.begin(learningRate: learningRate),
            movesActor ? actorAdam.begin(learningRate: learningRate) : nil
        )
    }

    @discardableResult
    package func finish() -> Bool {
        guard let steps else { return true }
        self.steps = nil
        notFinite = fault(before: TD3Update.stages)
        guard notFinite == nil else { return false }
        let count = Double(batch.size)
        losses.critic.add((halves[0].critic.sum + halves[1].critic.sum) / count)
        if steps.actor != nil { losses.actor.add((halves[0].actor.sum + halves[1].actor.sum) / count) }
        updates += 1
        return true
    }

    /// y = r + γ (1 − terminated) min Q⁻(s′, clip(π⁻(s′) + clip(ε, ±c), ±1)), ε ~ N(0, σ²).
    private func evaluateTargets(_ index: Int) {
        let half = halves[index]
        let range = batch.half(index)
        let start = range.lowerBound
        let output = actor.forward(
            target.values, batch.nextObservations + start * batch.observationSize, rows: range.count, half.workspace)
        // Actions are from -1 to 1 here, and so is the noise: it needs no scaling by the bounds of the space.
        for element in 0..<range.count * batch.actionSize {
            let noise =
                noiseDeviation == 0 ? 0 : Float(noiseDeviation * half.generator.standardNormal())
            output[element] = min(max(output[element] + min(max(noise, -noiseClip), noiseClip), -1), 1)
        }
        for row in 0..<range.count {
            batch.setAction(output + row * batch.actionSize, row: start + row, of: batch.nextInputs)
        }
        let values = critic.leastTarget(
            batch.nextInputs + start * batch.inputSize, rows: range.count, half: index)
        for row in 0..<range.count {
            half.targets[row] = batch.rewards[start + row] + batch.discounts[start + row] * values[row]
        }
    }

    /// The gradient of the mean of −Q₁(s, π(s)) through the action.
    private func improve(_ index: Int) {
        let half = halves[index]
        let range = batch.half(index)
        let observations = batch.observations + range.lowerBound * batch.observationSize
        let output = actor.forward(store.values, observations, rows: range.count, half.workspace)
        for row in 0..<range.count {
            batch.setAction(output + row * batch.actionSize, row: range.lowerBound + row, of: batch.inputs)
        }
        let (values, byAction) = critic.ascend(
            batch.inputs + range.lowerBound * batch.inputSize, rows: range.count, slope: -1 / Float(batch.size),
            onlyFirst: true, half: index)
        for row in 0..<range.count { half.actor.sum -= Double(values[row]) }
        half.workspace.outputGradient.update(from: byAction, count: range.count * batch.actionSize)
        let gradient = index == 0 ? store.gradient : secondGradient
        actor.backward(store.values, observations, rows: range.count, half.workspace, gradient: gradient)
        half.actor.measure(gradient, count: store.count)
    }

    // MARK: Reports and state

    package func report(to metrics: inout Metrics) {
        metrics["train/actor_loss"] = losses.actor.take()
        metrics["train/critic_loss"] = losses.critic.take()
    }

    package func save(to writer: inout StateWriter) {
        writer.write(UInt64(updates))
        for store in [store, target, critic.store, critic.target] { writer.write(store) }
        writer.write(criticAdam)
        writer.write(actorAdam)
        drawGenerator.save(to: &writer)
        for half in halves { half.generator.save(to: &writer) }
    }

    package func restore(from reader: inout StateReader) throws {
        (steps, notFinite) = (nil, nil)
        updates = try reader.readCount()
        for store in [store, target, critic.store, critic.target] { try reader.read(into: store) }
        try reader.read(into: &criticAdam)
        try reader.read(into: &actorAdam)
        drawGenerator = try NumPyGenerator(from: &reader)
        for half in halves { half.generator = try NumPyGenerator(from: &reader) }
    }
}
