import GymCore
import NeuralNetwork

/// One update of DQN's network from a minibatch.
package final class DQNUpdate: OffPolicyUpdate {
    package let network: Network
    package let store: ParameterStore
    package let target: ParameterStore
    private let choices: Int
    private let isDouble: Bool
    private let isDueling: Bool
    private let tau: Float
    private let maxGradientNorm: Double?
    private let batch: Minibatch
    private let replay: ReplayBuffer
    private var sampler: PrioritisedSampler?
    private var adam: Adam
    private var drawGenerator: NumPyGenerator

    private let secondGradient: UnsafeMutablePointer<Float>
    private let halves: [Half]
    /// (size): how much each transition of the minibatch counts.
    private let weights: UnsafeMutablePointer<Float>
    /// (size): Q − y.
    private let errors: UnsafeMutablePointer<Float>

    // What holds for the updates at hand.
    private var normalisation: Normalisation
    private var learningRate = 0.0
    /// How much of the bias of priorities the weights undo: at the start, and now.
    private let initialBeta: Double
    private var beta = 1.0
    private var step: Adam.Step?

    /// Updates so far.
    package private(set) var updates = 0
    package private(set) var notFinite: String?
    private var losses = RunningMean()

    /// What one half of a minibatch needs.
    private final class Half {
        let workspace: Network.Workspace
        /// (rows): the next action, where the network chooses it.
        let next: UnsafeMutablePointer<Int32>
        /// (rows).
        let targets: UnsafeMutablePointer<Float>
        /// One row of values.
        let values: UnsafeMutablePointer<Float>
        var loss = 0.0
        /// Of a half of the parameters, not of the rows.
        var squaredNorm = 0.0

        init(_ network: Network, rows: Int) {
            workspace = Network.Workspace(for: network, capacity: rows)
            next = .allocate(capacity: rows)
            next.initialize(repeating: 0, count: rows)
            targets = allocateFloats(rows)
            values = allocateFloats(network.outputs)
        }

        deinit {
            next.deallocate()
            targets.deallocate()
            values.deallocate()
        }
    }

    package init(_ h: Hyperparameters, input: NetworkInput, choices: Int, replay: ReplayBuffer, seed: UInt64) {
        self.choices = choices
        self.replay = replay
        isDouble = h.bool("double")
        isDueling = h.bool("dueling")
        tau = Float(h.real("tau"))
        maxGradientNorm = h.optionalReal("max_grad_norm")
        batch = Minibatch(size: h.integer("batch_size"), replay: replay)
        func network(_ name: String, _ layout: inout ParameterLayout) -> Network {
            input.network(
                name, hidden: h.networks("net_arch").critic, outputs: choices + (h.bool("dueling") ? 1 : 0),
                activation: Activation(rawValue: h.text("activation_fn"))!, layerNorm: h.bool("layer_norm"),
                layout: &layout)
        }
        var layout = ParameterLayout()
        self.network = network("q_net", &layout)
        store = ParameterStore(layout)
        var generator = RandomStream.initialisation.generator(seed: seed)
        self.network.initialise(store, hidden: .uniform, output: .uniform, generator: &generator)
        var targetLayout = ParameterLayout()
        _ = network("q_net_target", &targetLayout)
        target = ParameterStore(targetLayout)
        target.values.update(from: store.values, count: store.count)
        initialBeta = h.real("prioritized_replay_beta0")
        sampler =
            h.bool("prioritized_replay")
            ? PrioritisedSampler(capacity: replay.capacity, alpha: h.real("prioritized_replay_alpha")) : nil
        adam = Adam(count: store.count, epsilon: h.real("adam_epsilon"))
        drawGenerator = RandomStream.minibatches.generator(seed: seed)
        secondGradient = allocateFloats(store.count)
        let whole = self.network
        let rows = half(0, of: batch.size).count
        halves = (0..<2).map { _ in Half(whole, rows: rows) }
        weights = allocateFloats(batch.size)
        weights.update(repeating: 1, count: batch.size)
        errors = allocateFloats(batch.size)
        normalisation = Normalisation(h, size: replay.format.count, environments: 1)
    }

    deinit {
        for memory in [secondGradient, weights, errors] { memory.deallocate() }
    }

    package var operations: Double {
        2 * Double(batch.size) * network.multiplications * (isDouble ? 5 : 4)
    }

    /// A transition came into the replay buffer.
    package func added(_ row: Int) { sampler?.add(row) }

    /// Moves the target network towards the network.
    package func followTarget() { target.polyak(towards: store, rate: tau) }

    // MARK: The stages

    package static let stages = 4

    package func begin(learningRate: Double, progress: Double, normalisation: Normalisation) {
        self.learningRate = learningRate
        beta = initialBeta + (1 - initialBeta) * progress
        self.normalisation = normalisation
    }

    package func perform(stage: Int, half: Int) {
        let range = Agents.half(half, of: store.count, multiple: 16)
        switch stage {
        case 1:
            batch.gather(half: half, normalisation: normalisation)
            evaluateTargets(half)
            regress(half)
        case 2:
            store.addGradient(secondGradient, range)
            halves[half].squaredNorm = store.squaredGradientNorm(range)
        default:
            step!.apply(store, range, scale: gradientScale)
        }
    }

    package func fault(before stage: Int) -> String? {
        if stage > 1 && !halves.allSatisfy(\.loss.isFinite) { return "the loss" }
        return stage > 2 && !gradientIsFinite ? "the gradient" : nil
    }

    /// What the gradient is multiplied by before it is applied.
    private var gradientScale: Float {
        let norm = (halves[0].squaredNorm + halves[1].squaredNorm).squareRoot()
        return maxGradientNorm.map { clippingScale(norm: norm, maxNorm: $0) } ?? 1
    }

    /// Whether the gradient is finite, and also its square as Adam keeps it.
    private var gradientIsFinite: Bool {
        let squaredNorm = halves[0].squaredNorm + halves[1].squaredNorm
        return squaredNorm.isFinite && Float(squaredNorm * Double(gradientScale * gradientScale)).isFinite
    }

    package func prepare() {
        if sampler != nil {
            sampler!.sample(
                batch.rows, weights: weights, count: replay.count, beta: beta, generator: &drawGenerator)
        } else {
            batch.draw(generator: &drawGenerator)
        }
        step = adam.begin(learningRate: learningRate)
    }

    @discardableResult
    package func finish() -> Bool {
        guard step != nil else { return true }
        step = nil
        notFinite = fault(before: DQNUpdate.stages)
        guard notFinite == nil else { return false }
        losses.add((halves[0].loss + halves[1].loss) / Double(batch.size))
        if sampler != nil {
            for (index, row) in batch.rows.enumerated() { sampler!.update(Int(row), error: errors[index]) }
        }
        updates += 1
        return true
    }

    /// The values of the choices in a row of outputs: the row itself, or with dueling V + A − mean A.
    private func values(
        _ row: UnsafePointer<Float>, scratch: UnsafeMutablePointer<Float>
    ) -> UnsafePointer<Float> {
        guard isDueling else { return row }
        var mean: Float = 0
        for choice in 0..<choices { mean += row[1 + choice] }
        mean /= Float(choices)
        for choice in 0..<choices { scratch[choice] = row[0] + row[1 + choice] - mean }
        return UnsafePointer(scratch)
    }

    /// y = r + γ (1 − terminated) max Q⁻(s′, ·); with `double`, Q⁻ at the choice that Q would make.
    private func evaluateTargets(_ index: Int) {
        let half = halves[index]
        let range = batch.half(index)
        let observations = batch.networkRows(from: range.lowerBound, next: true)
        let width = network.outputs
        if isDouble {
            let output = network.forward(store.values, observations, rows: range.count, half.workspace)
            for row in 0..<range.count {
                // Dueling's mean and V are the same for all choices of a row.
                half.next[row] = Int32(indexOfLargest(output + (row + 1) * width - choices, count: choices))
            }
        }
        let output = network.forward(target.values, observations, rows: range.count, half.workspace)
        for row in 0..<range.count {
            let values = values(output + row * width, scratch: half.values)
            let best = isDouble ? Int(half.next[row]) : indexOfLargest(values, count: choices)
            let position = range.lowerBound + row
            half.targets[row] = batch.rewards[position] + batch.discounts[position] * values[best]
        }
    }

    /// The gradient of the mean of the Huber losses of Q(s, a) − y.
    private func regress(_ index: Int) {
        let half = halves[index]
        let range = batch.half(index)
        let observations = batch.networkRows(from: range.lowerBound, next: false)
        let width = network.outputs
        let output = network.forward(store.values, observations, rows: range.count, half.workspace)
        let gradient = half.workspace.outputGradient
        gradient.update(repeating: 0, count: range.count * width)
        var loss = 0.0
        for row in 0..<range.count {
            let position = range.lowerBound + row
            let action = Int(batch.inputs[position * batch.inputSize + batch.observationSize])
            let error = values(output + row * width, scratch: half.values)[action] - half.targets[row]
            errors[position] = error
            let term = huberLoss(error)
            loss += Double(weights[position] * term.value)
            let slope = weights[position] * term.slope / Float(batch.size)
            let target = gradient + row * width
            if isDueling {
                // Qₐ = V + Aₐ − mean A.
                target[0] = slope
                for choice in 0..<choices { target[1 + choice] = -slope / Float(choices) }
                target[1 + action] += slope
            } else {
                target[action] = slope
            }
        }
        half.loss = loss
        network.backward(
            store.values, observations, rows: range.count, half.workspace,
            gradient: index == 0 ? store.gradient : secondGradient)
    }

    // MARK: Reports and state

    package func report(to metrics: inout Metrics) { metrics["train/loss"] = losses.take() }

    package func save(to writer: inout StateWriter) {
        writer.write(UInt64(updates))
        writer.write(store)
        writer.write(target)
        writer.write(adam)
        drawGenerator.save(to: &writer)
        sampler?.save(to: &writer)
    }

    package func restore(from reader: inout StateReader) throws {
        (step, notFinite) = (nil, nil)
        updates = try reader.readCount()
        try reader.read(into: store)
        try reader.read(into: target)
        try reader.read(into: &adam)
        drawGenerator = try NumPyGenerator(from: &reader)
        try sampler?.restore(from: &reader)
    }
}

/// ½ e² where |e| < 1, |e| − ½ beyond, and its derivative by e: PyTorch's `smooth_l1_loss`.
@inline(__always)
public func huberLoss(_ error: Float) -> (value: Float, slope: Float) {
    abs(error) < 1 ? (0.5 * error * error, error) : (abs(error) - 0.5, error < 0 ? -1 : 1)
}
