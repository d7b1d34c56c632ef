import GymCore
import NeuralNetwork

/// Twin delayed deep deterministic policy gradient (Fujimoto et al. 2018, arXiv 1802.09477): a policy without any
/// randomness of its own, critics that take the smaller of two values at a blurred action, and an actor that waits.
public enum TD3: Method {
    public static let name = "td3"
    public static let summary = "twin delayed deterministic policy gradient: off-policy, continuous actions"

    // MARK: Hyperparameters

    /// What TD3 can be told: Stable-Baselines3's defaults under rl-baselines3-zoo's keys, but for the exploration noise,
    /// which is Stable-Baselines3's to be given and here the paper's.
    public final class Settings: ExplorationSettings, DeclaredSettings, @unchecked Sendable {
        public static let declared = Settings()
        public static var method: any Method.Type { TD3.self }

        /// `tau`
        public let tau = Setting<Double>("tau", 0.005, in: 0...1, "how far the targets follow each time")
        /// `policy_delay`
        public let policyDelay = Setting<Int>(
            "policy_delay", 2, in: 1...1_000_000, "updates of the critics for one of the actor and of all targets")
        /// `target_policy_noise`
        public let targetNoise = Setting<Double>(
            "target_policy_noise", 0.2, in: 0...10,
            "deviation of the noise on the target's actions, scaled to -1 ... 1")
        /// `target_noise_clip`
        public let targetNoiseClip = Setting<Double>(
            "target_noise_clip", 0.5, in: 0...10, "that noise stays within ± this")
        /// `n_critics`
        public let critics = Setting<Int>(
            "n_critics", 2, in: 1...2, "Q-functions; with 1, no noise and no delay it is DDPG")

        private init() {
            super.init(
                noise: .normal, batchSize: 256, learningRate: 1e-3, trainFrequency: 1, hiddenLayers: [400, 300])
        }
    }

    /// TD3's hyperparameters, each with its type.
    public typealias Configuration = MethodConfiguration<Settings>
    public static var settings: Agents.Settings { Settings.declared }
    public static var presetFile: [UInt8] { PackageResources.td3_yml }

    // MARK: The run

    public static func learner(
        on batch: any EnvironmentBatch, _ hyperparameters: Hyperparameters, options: LearnerOptions
    ) throws -> any Learner {
        try run(on: batch, Configuration(hyperparameters), options)
    }

    package static func run(
        on batch: any EnvironmentBatch, _ configuration: Configuration, _ options: LearnerOptions
    ) throws -> OffPolicyLearner<Networks> {
        try BoxExperience(name, on: batch, configuration, options).learner { experience in
            Networks(
                configuration, experience.shape, replays: experience.replays, parts: experience.parts,
                seed: options.seed, experience.context)
        }
    }

    public static func policy(
        _ hyperparameters: Hyperparameters, observationSpace: Space, actionSpace: Space
    ) throws -> any Policy {
        let configuration = Configuration(hyperparameters)
        let shape = try BoxShape(
            name, configuration, observationSpace: observationSpace, actionSpace: actionSpace, environments: 1)
        return Networks(configuration, shape).policy(
            normalisation: Normalisation(configuration, size: shape.input.encoder.size, environments: 1))
    }

    // MARK: Networks

    /// An actor, critics, and the targets of both.
    package final class Networks: OffPolicyMethod {
        package let actor: Network
        package let parameters: ParameterStore
        package let target: ParameterStore
        package let critic: CriticEnsemble
        private let targets: TargetNetworks
        private let criticStep: GradientStep
        private let actorStep: GradientStep

        private let shape: BoxShape
        private let exploration: Exploration
        private let minibatches: Minibatches
        private let workers: Workers
        private let parts: Parts
        private let tau: Float
        private let delay: Int
        private let noiseDeviation: Double
        private let noiseClip: Float

        private let actingWorkspace: Network.Workspace
        private let pieces: [Piece]
        package private(set) var updates = 0
        private var losses = (actor: RunningMean(), critic: RunningMean())

        /// What one piece of a minibatch needs.
        private final class Piece {
            let workspace: Network.Workspace
            /// y, (rows).
            let targets: Vector<Float>
            /// The noise of the target actions.
            var generator: NumPyGenerator
            var loss = 0.0

            init(_ actor: Network, rows: Int, generator: NumPyGenerator) {
                workspace = Network.Workspace(for: actor, capacity: rows)
                targets = Vector(count: rows)
                self.generator = generator
            }
        }

        /// Networks of the given shape; without replays, for weights to be loaded into.
        package init(
            _ c: Configuration, _ shape: BoxShape, replays: [Replay] = [], parts: Parts = Parts(slices: 2),
            seed: UInt64 = 0, _ context: UpdateContext = UpdateContext(workers: Workers(threads: 1))
        ) {
            self.shape = shape
            self.parts = parts
            workers = context.workers
            tau = Float(c.tau)
            delay = c.policyDelay
            noiseDeviation = c.targetNoise
            noiseClip = Float(c.targetNoiseClip)
            minibatches = Minibatches(
                count: c.batchSize, replays: replays, format: shape.input.encoder.format,
                actionSize: shape.actionSize, parts: parts, seed: seed)

            func network(_ name: String, _ layout: inout ParameterLayout) -> Network {
                shape.input.network(
                    name, hidden: c.hiddenLayers.actor, outputs: shape.actionSize, activation: c.activation,
                    layerNorm: c.layerNorm, outputActivation: .tanh, layout: &layout)
            }
            var layout = ParameterLayout()
            actor = network("actor", &layout)
            parameters = ParameterStore(layout)
            var generator = RandomStream.initialisation.generator(seed: seed)
            actor.initialise(parameters, hidden: .uniform, output: .uniform, generator: &generator)
            var targetLayout = ParameterLayout()
            _ = network("actor_target", &targetLayout)
            target = ParameterStore(targetLayout)
            target.parameters.copy(parameters.parameters)
            critic = CriticEnsemble(
                count: c.critics, observationSize: shape.observationSize, actionSize: shape.actionSize,
                hidden: c.hiddenLayers.critic, activation: c.activation, layerNorm: c.layerNorm,
                pieces: parts.pieces, rows: minibatches.largest, generator: &generator)

            criticStep = GradientStep([("the critics'", critic.parameters)], parts: parts, context) {
                Adam(count: $0, epsilon: c.adamEpsilon)
            }
            actorStep = GradientStep([("the actor's", parameters)], parts: parts, context) {
                Adam(count: $0, epsilon: c.adamEpsilon)
            }
            targets = TargetNetworks(
                [(target, parameters), (critic.target, critic.parameters)], workers: context.workers)
            exploration = Exploration(c, shape, seed: seed, parts: parts)
            actingWorkspace = Network.Workspace(for: actor, capacity: shape.environments)
            let (actor, rows) = (actor, minibatches.largest)
            pieces = (0..<parts.pieces).map {
                Piece(actor, rows: rows, generator: parts.generator(.targets, seed: seed, piece: $0))
            }
        }

        package var operations: Double {
            2 * Double(minibatches.count)
                * (3 * actor.multiplications + 9 * critic.networks[0].multiplications)
        }

        package var stores: [ParameterStore] { [parameters, target, critic.parameters, critic.target] }

        package func policy(normalisation: Normalisation) -> any Policy {
            GreedyPolicy(
                actor, stores, head: DeterministicHead(actionSize: shape.actionSize), codec: shape.codec,
                encoder: shape.input.encoder, normalisation: normalisation)
        }

        // MARK: Acting

        package func act(
            on observations: Rows, step: Int, isRandom: Bool, progress: Progress, into actions: Matrix,
            logProbabilities: Vector<Float>
        ) {
            if isRandom { return exploration.chooseAtRandom(into: actions) }
            actions.copy(actor.forward(parameters, observations, actingWorkspace))
            exploration.addNoise(to: actions, progress: progress)
        }

        package func episodeEnded(_ environment: Int) { exploration.reset(environment: environment) }

        /// Between two updates of the actor its actions do not change.
        package func leavesActions(updates count: Int, isRandom: Bool, progress: Progress) -> Bool {
            updates / delay == (updates + count) / delay
        }

        // MARK: Learning

        package func update(learningRate: Double, progress: Progress, normalisation: Normalisation) throws {
            minibatches.draw()
            workers.run(pieces.count) { index in
                let (piece, batch) = (pieces[index], minibatches.gather(index, normalisation: normalisation))
                evaluateTargets(piece, batch, index)
                piece.loss = critic.regress(
                    batch.inputs, towards: piece.targets.prefix(batch.count), weight: 1 / Float(minibatches.count),
                    piece: index, gradient: criticStep.gradient(piece: index))
            }
            let criticLoss = pieces.reduce(0) { $0 + $1.loss } / Double(minibatches.count)
            try NotFinite.check(criticLoss, "the critics' loss")
            try criticStep.apply(learningRate: learningRate)

            // CRUCIAL and easy to overlook: the delay holds for the critics' targets as well as for the actor.
            if (updates + 1) % delay == 0 {
                workers.run(pieces.count) { index in improve(pieces[index], minibatches.pieces[index], index) }
                let actorLoss = pieces.reduce(0) { $0 + $1.loss } / Double(minibatches.count)
                try NotFinite.check(actorLoss, "the actor's loss")
                try actorStep.apply(learningRate: learningRate)
                targets.follow(rate: tau)
                losses.actor.add(actorLoss)
            }
            losses.critic.add(criticLoss)
            updates += 1
        }

        /// y = r + γ (1 − terminated) min Q⁻(s′, clip(π⁻(s′) + clip(ε, ±c), ±1)), ε ~ N(0, σ²).
        private func evaluateTargets(_ piece: Piece, _ batch: TransitionBatch, _ index: Int) {
            let output = actor.forward(target, batch.nextObservationRows, piece.workspace)
            // Actions are from -1 to 1 here, and so is the noise: it needs no scaling by the bounds of the space.
            let actions = batch.nextActions
            for row in 0..<batch.count {
                for column in 0..<actions.columns {
                    let noise = noiseDeviation == 0 ? 0 : Float(noiseDeviation * piece.generator.standardNormal())
                    actions[row, column] = min(max(output[row, column] + min(max(noise, -noiseClip), noiseClip), -1), 1)
                }
            }
            let values = critic.leastTarget(batch.nextInputs, piece: index)
            for row in 0..<batch.count {
                piece.targets[row] = batch.rewards[row] + batch.discounts[row] * values[row]
            }
        }

        /// The gradient of the mean of −Q₁(s, π(s)) through the action.
        private func improve(_ piece: Piece, _ batch: TransitionBatch, _ index: Int) {
            batch.actions.copy(actor.forward(parameters, batch.observationRows, piece.workspace))
            let (values, byAction) = critic.ascend(
                batch.inputs, slope: -1 / Float(minibatches.count), onlyFirst: true, piece: index)
            piece.loss = -values.sum()
            piece.workspace.dense.outputGradients(rows: batch.count).copy(byAction)
            actor.backward(
                parameters, batch.observationRows, piece.workspace, gradient: actorStep.gradient(piece: index))
        }

        // MARK: Reports and state

        package func report(_ metrics: inout Metrics, progress: Progress) {
            metrics["train/actor_loss"] = losses.actor.take()
            metrics["train/critic_loss"] = losses.critic.take()
        }

        package func code(_ state: inout StateCoder) throws {
            try state(&updates)
            for store in [target, critic.target] { try state(store) }
            try criticStep.code(&state)
            try actorStep.code(&state)
            try minibatches.code(&state)
            for piece in pieces { try state(&piece.generator) }
            try exploration.code(&state)
        }
    }
}

extension Algorithm {
    /// ``TD3``.
    public static let td3 = Algorithm(TD3.self)
}
