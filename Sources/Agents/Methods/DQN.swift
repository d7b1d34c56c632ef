import GymCore
import NeuralNetwork

/// Deep Q-learning (Mnih et al. 2015, doi 10.1038/nature14236): the values of all choices by one network, learnt from a
/// target network's that stays behind, and a falling share of random choices.
///
/// Double (arXiv 1509.06461), dueling (1511.06581), n-step and prioritised (1511.05952) are switches.
public enum DQN: Method {
    public static let name = "dqn"
    public static let summary = "deep Q-learning: off-policy, discrete actions"

    // MARK: Hyperparameters

    /// What DQN can be told: Stable-Baselines3's defaults under rl-baselines3-zoo's keys.
    public final class Settings: OffPolicySettings, DeclaredSettings, @unchecked Sendable {
        public static let declared = Settings()
        public static var method: any Method.Type { DQN.self }

        /// `target_update_interval`
        public let targetInterval = Setting<Int>(
            "target_update_interval", 10_000, in: 1...Int.max,
            "steps, all environments together, after which the target network follows")
        /// `tau`
        public let tau = Setting<Double>("tau", 1, in: 0...1, "how far it follows; 1: a copy")
        /// `exploration_fraction`
        public let explorationFraction = Setting<Double>(
            "exploration_fraction", 0.1, in: 0...1,
            "the part of the run over which the share of random choices falls")
        /// `exploration_initial_eps`
        public let initialExploration = Setting<Double>(
            "exploration_initial_eps", 1, in: 0...1, "the share of random choices at the start")
        /// `exploration_final_eps`
        public let finalExploration = Setting<Double>(
            "exploration_final_eps", 0.05, in: 0...1, "and from then on")
        /// `max_grad_norm`
        public let maxGradientNorm = Setting<Double?>(
            "max_grad_norm", 10, in: 0...1e6, "the gradient is scaled down to this norm; null: never")
        /// `double`
        public let isDouble = Setting<Bool>(
            "double", false, "the network chooses the next action and the target network values it (arXiv 1509.06461)")
        /// `dueling`
        public let isDueling = Setting<Bool>(
            "dueling", false,
            "the last layer gives the state's value and the choices' advantages (arXiv 1511.06581)")
        /// `prioritized_replay`
        public let isPrioritised = Setting<Bool>(
            "prioritized_replay", false, "surprising transitions are drawn more often")
        /// `prioritized_replay_alpha`
        public let priorityExponent = Setting<Double>(
            "prioritized_replay_alpha", 0.6, in: 0...10, "how much more; 0: no more")
        /// `prioritized_replay_beta0`
        public let initialBeta = Setting<Double>(
            "prioritized_replay_beta0", 0.4, in: 0...1,
            "how much of that bias the weights undo at the start; all of it at the end")

        private init() {
            super.init(batchSize: 32, learningRate: 1e-4, trainFrequency: 4, hiddenLayers: [64, 64])
        }
    }

    public static var presetFile: [UInt8] { PackageResources.dqn_yml }

    // MARK: The run

    public static func learner(
        on batch: any EnvironmentBatch, _ c: Configuration, _ options: LearnerOptions
    ) throws -> any Learner {
        let context = options.context(try c.offPolicyParts())
        let codec = try codec(batch.actionSpace)
        let input = try NetworkInput(c, observationSpace: batch.observationSpace)
        let collector = try Collector(
            batch, encoder: input.encoder, codec: codec,
            normalisation: Normalisation(c, size: input.encoder.size, environments: batch.count),
            parts: context.parts, seed: options.seed)
        let replays = try c.replays(
            environments: batch.count, encoder: input.encoder, actionSize: 1, parts: context.parts
        ) { capacity in
            c.isPrioritised ? PrioritisedSampler(capacity: capacity, alpha: c.priorityExponent) : nil
        }
        let networks = Networks(
            c, input, codec, environments: batch.count, replays: replays, seed: options.seed, context)
        return OffPolicyLearner(
            c, networks, collector: collector, replays: replays, context, overlaps: options.overlaps)
    }

    public static func policy(
        _ c: Configuration, observationSpace: Space, actionSpace: Space
    ) throws -> any Policy {
        let input = try NetworkInput(c, observationSpace: observationSpace)
        return Networks(c, input, try codec(actionSpace)).policy(
            normalisation: Normalisation(c, size: input.encoder.size, environments: 1))
    }

    private static func codec(_ space: Space) throws -> ActionCodec {
        guard case .discrete = space else {
            let other = if case .box = space { "sac, td3 or ppo learn with it" } else { "ppo learns with it" }
            throw UnsupportedSpaceError("dqn needs actions from a Discrete space, not \(space); \(other)")
        }
        return try ActionCodec(space)
    }

    // MARK: Networks

    /// A network and the target that stays behind it.
    package final class Networks: OffPolicyMethod {
        package let network: Network
        package let parameters: ParameterStore
        package let target: ParameterStore
        private let following: TargetNetworks
        private let step: GradientStep

        private let input: NetworkInput
        private let codec: ActionCodec
        private let choices: Int
        private let isDouble: Bool
        private let isDueling: Bool
        private let isPrioritised: Bool
        private let tau: Float
        /// Steps of the batch between two copies.
        private let targetInterval: Int
        private let initialBeta: Double
        private let exploration: LinearExploration

        private let minibatches: Minibatches
        private let context: UpdateContext
        private let environments: Int
        private let pieces: [Piece]
        private let actingWorkspace: Network.Workspace
        /// The next choices; −1 where the network is to make one.
        private let chosen: Vector<Int32>
        /// Whether it is drawn already which of the next choices are random.
        private var hasDrawn = false
        private var generators: [NumPyGenerator]
        /// Steps of the batch so far, which is what the target's copies are counted in.
        private var calls = 0
        /// Copies of the network to its target so far.
        package private(set) var targetUpdates = 0
        package private(set) var updates = 0
        private var losses = RunningMean()

        /// What one piece of a minibatch needs.
        private final class Piece {
            let workspace: Network.Workspace
            /// The next actions, where the network chooses them, (rows).
            let next: Vector<Int32>
            /// y, (rows).
            let targets: Vector<Float>
            /// Q − y, (rows).
            let errors: Vector<Float>
            var loss = 0.0

            init(_ network: Network, rows: Int) {
                workspace = Network.Workspace(for: network, capacity: rows)
                next = Vector(count: rows)
                targets = Vector(count: rows)
                errors = Vector(count: rows)
            }
        }

        /// Networks of the given shape; without replays, for weights to be loaded into.
        package init(
            _ c: Configuration, _ input: NetworkInput, _ codec: ActionCodec, environments: Int = 1,
            replays: [Replay] = [], seed: UInt64 = 0, _ context: UpdateContext = UpdateContext(Parts(slices: 2))
        ) {
            guard case .choices(let counts) = codec.kind else { preconditionFailure("DQN makes choices") }
            let choices = counts[0]
            self.choices = choices
            self.input = input
            self.codec = codec
            self.context = context
            let parts = context.parts
            self.environments = environments
            isDouble = c.isDouble
            isDueling = c.isDueling
            isPrioritised = c.isPrioritised
            tau = Float(c.tau)
            targetInterval = max(1, c.targetInterval / environments)
            initialBeta = c.initialBeta
            exploration = LinearExploration(
                initial: c.initialExploration, final: c.finalExploration, fraction: c.explorationFraction)

            func network(_ name: String, _ layout: inout ParameterLayout) -> Network {
                input.network(
                    name, hidden: c.hiddenLayers.critic, outputs: choices + (c.isDueling ? 1 : 0),
                    activation: c.activation, layerNorm: c.layerNorm, layout: &layout)
            }
            var layout = ParameterLayout()
            let whole = network("q_net", &layout)
            self.network = whole
            parameters = ParameterStore(layout)
            var generator = RandomStream.initialisation.generator(seed: seed)
            whole.initialise(parameters, hidden: .uniform, output: .uniform, generator: &generator)
            var targetLayout = ParameterLayout()
            _ = network("q_net_target", &targetLayout)
            target = ParameterStore(targetLayout)
            target.parameters.copy(parameters.parameters)
            following = TargetNetworks([(target, parameters)], workers: context.workers)
            step = GradientStep([("the", parameters)], maxNorm: c.maxGradientNorm, context) {
                Adam(count: $0, epsilon: c.adamEpsilon)
            }
            minibatches = Minibatches(
                count: c.batchSize, replays: replays, format: input.encoder.format, actionSize: 1, parts: parts,
                seed: seed)
            let rows = minibatches.largest
            pieces = (0..<parts.pieces).map { _ in Piece(whole, rows: rows) }
            actingWorkspace = Network.Workspace(for: whole, capacity: environments)
            chosen = Vector(count: environments)
            generators = (0..<parts.count).map { parts.generator(.actions, seed: seed, part: $0) }
        }

        package var operations: Double {
            2 * Double(minibatches.count) * network.multiplications * (isDouble ? 5 : 4)
        }

        package var stores: [ParameterStore] { [parameters, target] }

        package func policy(normalisation: Normalisation) -> any Policy {
            GreedyPolicy(
                network, stores, head: LargestValueHead(choices: choices, isDueling: isDueling), codec: codec,
                encoder: input.encoder, normalisation: normalisation)
        }

        // MARK: Acting

        /// At random before learning starts, then greedily but for a falling share.
        package func act(
            on observations: Rows, step: Int, isRandom: Bool, progress: Progress, into actions: Matrix,
            logProbabilities: Vector<Float>
        ) {
            if !drawChoices(isRandom: isRandom, progress: progress) {
                let output = network.forward(parameters, observations, actingWorkspace)
                let values = output[columns: output.columns - choices..<output.columns]
                for row in chosen.indices where chosen[row] < 0 {
                    chosen[row] = Int32(values.indexOfLargest(row: row))
                }
            }
            hasDrawn = false
            for row in chosen.indices { actions[row, 0] = Float(chosen[row]) }
        }

        /// Draws which of the next choices are random, and those.
        ///
        /// - Returns: whether all are.
        private func drawChoices(isRandom: Bool, progress: Progress) -> Bool {
            if !hasDrawn {
                hasDrawn = true
                let rate = isRandom ? 1 : exploration.rate(progress: progress.passed)
                for part in generators.indices {
                    for row in context.parts.range(part, of: environments) {
                        chosen[row] =
                            generators[part].random() < rate
                            ? Int32(generators[part].integer(in: 0..<choices)) : -1
                    }
                }
            }
            return chosen.indices.allSatisfy { chosen[$0] >= 0 }
        }

        /// What is chosen at random does not wait for updates.
        package func leavesActions(updates: Int, isRandom: Bool, progress: Progress) -> Bool {
            updates == 0 || drawChoices(isRandom: isRandom, progress: progress)
        }

        package func stepped() {
            calls += 1
            // CRUCIAL and easy to overlook: copies are counted in steps, not in updates. With train_freq 256 and
            // gradient_steps 128, all 128 updates in a row see one target, however short the interval.
            guard calls % targetInterval == 0 else { return }
            followTarget()
        }

        /// Moves the target network towards the network.
        package func followTarget() {
            following.follow(rate: tau)
            targetUpdates += 1
        }

        // MARK: Learning

        package func update(learningRate: Double, progress: Progress, normalisation: Normalisation) throws {
            minibatches.draw(beta: initialBeta + (1 - initialBeta) * progress.passed)
            context.workers.run(pieces.count) { index in
                let (piece, batch) = (pieces[index], minibatches.gather(index, normalisation: normalisation))
                evaluateTargets(piece, batch)
                regress(piece, batch, weights: minibatches.weights(index), gradient: step.gradient(piece: index))
            }
            let loss = pieces.reduce(0) { $0 + $1.loss } / Double(minibatches.count)
            try NotFinite.check(loss, "the loss")
            try step.apply(learningRate: learningRate)
            if isPrioritised {
                for (index, piece) in pieces.enumerated() { minibatches.update(index, errors: piece.errors) }
            }
            losses.add(loss)
            updates += 1
        }

        /// The value of a choice in a row of outputs: the number itself, or with dueling V + A − mean A.
        private func value(_ output: Matrix, _ row: Int, _ choice: Int) -> Float {
            guard isDueling else { return output[row, choice] }
            return output[row, 0] + output[row, 1 + choice] - meanAdvantage(output, row)
        }

        private func meanAdvantage(_ output: Matrix, _ row: Int) -> Float {
            var mean: Float = 0
            for choice in 0..<choices { mean += output[row, 1 + choice] }
            return mean / Float(choices)
        }

        /// y = r + γ (1 − terminated) max Q⁻(s′, ·); with `double`, Q⁻ at the choice that Q would make.
        private func evaluateTargets(_ piece: Piece, _ batch: TransitionBatch) {
            // Dueling's mean and V are the same for all choices of a row: the largest is where A is.
            let columns = network.outputs - choices..<network.outputs
            if isDouble {
                let output = network.forward(parameters, batch.nextObservationRows, piece.workspace)[columns: columns]
                for row in 0..<batch.count { piece.next[row] = Int32(output.indexOfLargest(row: row)) }
            }
            let output = network.forward(target, batch.nextObservationRows, piece.workspace)
            for row in 0..<batch.count {
                let best = isDouble ? Int(piece.next[row]) : output[columns: columns].indexOfLargest(row: row)
                piece.targets[row] = batch.rewards[row] + batch.discounts[row] * value(output, row, best)
            }
        }

        /// The gradient of the mean of the Huber losses of Q(s, a) − y.
        private func regress(
            _ piece: Piece, _ batch: TransitionBatch, weights: Vector<Float>, gradient: Vector<Float>
        ) {
            let output = network.forward(parameters, batch.observationRows, piece.workspace)
            let slopes = piece.workspace.dense.outputGradients(rows: batch.count)
            slopes.fill(0)
            var loss = 0.0
            for row in 0..<batch.count {
                let action = Int(batch.actions[row, 0])
                let error = value(output, row, action) - piece.targets[row]
                piece.errors[row] = error
                let term = huberLoss(error)
                loss += Double(weights[row] * term.value)
                let slope = weights[row] * term.slope / Float(minibatches.count)
                if isDueling {
                    // Qₐ = V + Aₐ − mean A.
                    slopes[row, 0] = slope
                    for choice in 0..<choices { slopes[row, 1 + choice] = -slope / Float(choices) }
                    slopes[row, 1 + action] += slope
                } else {
                    slopes[row, action] = slope
                }
            }
            piece.loss = loss
            network.backward(parameters, batch.observationRows, piece.workspace, gradient: gradient)
        }

        // MARK: Reports and state

        package func report(_ metrics: inout Metrics, progress: Progress) {
            metrics["rollout/exploration_rate"] = exploration.rate(progress: progress.passed)
            metrics["train/loss"] = losses.take()
        }

        package func code(_ state: inout StateCoder) throws {
            if state.isReading { hasDrawn = false }
            try state(&updates)
            try state(&calls)
            try state(&targetUpdates)
            try state(target)
            try step.code(&state)
            try minibatches.code(&state)
            for part in generators.indices { try state(&generators[part]) }
        }
    }
}

/// ½ e² where |e| < 1, |e| − ½ beyond, and its derivative by e: PyTorch's `smooth_l1_loss`.
@inline(__always)
public func huberLoss(_ error: Float) -> (value: Float, slope: Float) {
    abs(error) < 1 ? (0.5 * error * error, error) : (abs(error) - 0.5, error < 0 ? -1 : 1)
}

/// The share of random choices: from `initial` to `final` in a line over the first `fraction` of the run.
public struct LinearExploration: Sendable {
    private let initial: Double
    private let final: Double
    private let fraction: Double

    /// A share that falls, or stays where `fraction` is 0.
    public init(initial: Double, final: Double, fraction: Double) {
        self.initial = initial
        self.final = final
        self.fraction = fraction
    }

    /// The share when `progress` of the run (0 at the start, 1 at the end) has passed.
    public func rate(progress: Double) -> Double {
        progress > fraction || fraction == 0 ? final : initial + progress / fraction * (final - initial)
    }
}

extension Algorithm {
    /// ``DQN``.
    public static let dqn = Algorithm(DQN.self)
}
