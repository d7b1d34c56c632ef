import Foundation
import GymCore
import NeuralNetwork

/// Soft actor–critic (Haarnoja et al. 2018, arXiv 1801.01290 and 1812.05905): off-policy, with a policy that is as random as
/// it can afford to be.
///
/// Two forms: today's, whose critics learn from their own slowly following targets, and the first one
/// (`value_network: true`), in which a network for the value of a state stands between them. The temperature α is found
/// while learning or given, in both.
public enum SAC: Method {
    public static let name = "sac"
    public static let summary = "soft actor-critic: off-policy, continuous actions"

    // MARK: Hyperparameters

    /// What SAC can be told: Stable-Baselines3's defaults under rl-baselines3-zoo's keys.
    public final class Settings: ExplorationSettings, DeclaredSettings, @unchecked Sendable {
        public static let declared = Settings()
        public static var method: any Method.Type { SAC.self }

        /// `tau`
        public let tau = Setting<Double>("tau", 0.005, in: 0...1, "how far the targets follow with each update")
        /// `target_update_interval`
        public let targetInterval = Setting<Int>(
            "target_update_interval", 1, in: 1...1_000_000, "updates after which the targets follow")
        /// `ent_coef`
        public let temperature = Setting<Automatic>(
            "ent_coef", .automatic, in: 0...1e6, "the temperature: what a nat of entropy is worth in rewards")
        /// `target_entropy`
        public let targetEntropy = Setting<Automatic>(
            "target_entropy", .automatic, in: -1e6...1e6,
            "the entropy that an automatic temperature aims at; auto: minus the dimensions of an action")
        /// `value_network`
        public let valueNetwork = Setting<Bool>(
            "value_network", false, "the first form, with a network for the value of a state")
        /// `use_sde`
        public let usesStateDependentNoise = Setting<Bool>("use_sde", false, "state-dependent exploration (gSDE)")
        /// `sde_sample_freq`
        public let noiseInterval = Setting<Int>(
            "sde_sample_freq", -1, in: -1...1_000_000,
            "steps after which gSDE's noise is drawn anew, besides after each update; -1: only then")
        /// `use_sde_at_warmup`
        public let actsBeforeLearning = Setting<Bool>(
            "use_sde_at_warmup", false,
            "with gSDE: whether the policy acts before learning_starts, in place of uniform choice")
        /// `log_std_init`
        public let logDeviation = Setting<Double>(
            "log_std_init", -3, in: -20...5, "with gSDE: logarithm of its deviations at the start")

        private init() {
            super.init(noise: nil, batchSize: 256, learningRate: 3e-4, trainFrequency: 1, hiddenLayers: [256, 256])
        }
    }

    public static var presetFile: [UInt8] { PackageResources.sac_yml }

    // MARK: The run

    public static func learner(
        on batch: any EnvironmentBatch, _ c: Configuration, _ options: LearnerOptions
    ) throws -> any Learner {
        try BoxExperience(name, on: batch, c, options).learner(
            actsBeforeLearning: c.usesStateDependentNoise && c.actsBeforeLearning, Networks.init)
    }

    public static func policy(
        _ c: Configuration, observationSpace: Space, actionSpace: Space
    ) throws -> any Policy {
        try BoxShape(name, c, observationSpace, actionSpace).policy(c, Networks.init)
    }

    // MARK: Networks

    /// A policy, critics with their targets, in the first form a value with its target, and the temperature.
    package final class Networks: OffPolicyMethod {
        package let policy: Actor
        package let critic: CriticEnsemble
        package let value: CriticEnsemble?
        private let targets: TargetNetworks
        private let criticStep: GradientStep
        private let actorStep: GradientStep
        private let valueStep: GradientStep?
        /// log α; learnt where the temperature is.
        package private(set) var logTemperature: Double
        private var temperatureAdam: ScalarAdam

        private let work: BoxWork
        private let exploration: Exploration
        private let tau: Float
        private let targetInterval: Int
        private let targetEntropy: Double
        private let tunesTemperature: Bool
        private let noiseInterval: Int

        /// gSDE's map for each part's minibatch, and those that the environments act by.
        private let maps: [Matrix]
        private var mapGenerators: [NumPyGenerator]
        private let actingMaps: Matrix
        private let actingPass: ActorPass
        private let pieces: [Piece]
        package private(set) var updates = 0
        private var losses = (
            actor: RunningMean(), critic: RunningMean(), value: RunningMean(), temperature: RunningMean()
        )

        /// What one piece of a minibatch needs.
        private final class Piece {
            /// Actions for the observations, kept for going back, and for the next ones.
            let now: ActorPass
            let next: ActorPass
            let actions: Matrix
            let nextActions: Matrix
            let logProbabilities: Vector<Float>
            let nextLogProbabilities: Vector<Float>
            /// y, (rows).
            let targets: Vector<Float>
            /// The noise of the actions.
            var generator: NumPyGenerator
            var loss = 0.0
            var valueLoss = 0.0
            var logProbability = 0.0

            init(_ policy: Actor, rows: Int, generator: NumPyGenerator) {
                now = policy.makePass(rows: rows)
                next = policy.makePass(rows: rows)
                actions = Matrix(rows: rows, columns: policy.head.actionSize)
                nextActions = Matrix(rows: rows, columns: policy.head.actionSize)
                logProbabilities = Vector(count: rows)
                nextLogProbabilities = Vector(count: rows)
                targets = Vector(count: rows)
                self.generator = generator
            }
        }

        package init(_ c: Configuration, _ work: BoxWork) {
            self.work = work
            let (shape, parts) = (work.shape, work.parts)
            tau = Float(c.tau)
            targetInterval = c.targetInterval
            tunesTemperature = c.temperature.isAutomatic
            logTemperature = log(c.temperature.value(standard: 1))
            temperatureAdam = ScalarAdam(epsilon: c.adamEpsilon)
            targetEntropy = c.targetEntropy.value(standard: -Double(shape.actionSize))
            noiseInterval = c.usesStateDependentNoise ? c.noiseInterval : 0

            var generator = RandomStream.initialisation.generator(seed: work.seed)
            policy = SAC.makePolicy(c, shape, generator: &generator)
            let rows = work.minibatches.largest
            func critics(_ name: String, count: Int, actionSize: Int) -> CriticEnsemble {
                CriticEnsemble(
                    name, count: count, observationSize: shape.observationSize, actionSize: actionSize,
                    hidden: c.hiddenLayers.critic, activation: c.activation, layerNorm: c.layerNorm,
                    pieces: parts.pieces, rows: rows, generator: &generator)
            }
            critic = critics("qf", count: 2, actionSize: shape.actionSize)
            value = c.valueNetwork ? critics("vf", count: 1, actionSize: 0) : nil

            func step(_ name: String, _ parameters: ParameterStore) -> GradientStep {
                GradientStep([(name, parameters)], work.context) { Adam(count: $0, epsilon: c.adamEpsilon) }
            }
            criticStep = step("the critics'", critic.parameters)
            actorStep = step("the actor's", policy.parameters)
            valueStep = value.map { step("the value's", $0.parameters) }
            let following = value ?? critic
            targets = TargetNetworks([(following.target, following.parameters)], workers: work.workers)

            exploration = Exploration(c, work)
            let mapSize = policy.head.mapSize
            maps = (0..<parts.count).map { _ in Matrix(rows: 1, columns: mapSize) }
            mapGenerators = (0..<parts.count).map {
                // The third stream of a part, after those of its two slices.
                Parts(count: parts.count, slices: 3).generator(.targets, seed: work.seed, piece: 3 * $0 + 2)
            }
            actingMaps = Matrix(rows: shape.environments, columns: mapSize)
            actingPass = policy.makePass(rows: shape.environments)
            let policy = policy
            pieces = (0..<parts.pieces).map {
                Piece(policy, rows: rows, generator: parts.generator(.targets, seed: work.seed, piece: $0))
            }
        }

        package var operations: Double {
            2 * Double(work.minibatches.count)
                * (4 * policy.network.multiplications + 13 * critic.networks[0].multiplications)
        }

        package var stores: [ParameterStore] {
            [policy.parameters, critic.parameters] + (value.map { [$0.parameters, $0.target] } ?? [critic.target])
        }

        package func policy(normalisation: Normalisation) -> any Policy {
            GreedyPolicy(
                policy.network, stores, head: policy.head, codec: work.shape.codec, encoder: work.shape.input.encoder,
                normalisation: normalisation)
        }

        // MARK: Acting

        package func act(
            on observations: Rows, step: Int, isRandom: Bool, progress: Progress, into actions: Matrix,
            logProbabilities: Vector<Float>
        ) {
            if step == 0 || (noiseInterval > 0 && step % noiseInterval == 0) {
                exploration.eachPart { _, rows, _, noise in
                    policy.head.drawMaps(policy.parameters, generator: &noise, into: actingMaps[rows: rows])
                }
            }
            if isRandom { return exploration.chooseAtRandom(into: actions) }
            exploration.eachPart { _, rows, generator, _ in
                policy.act(
                    observations[rows], maps: actingMaps[rows: rows], generator: &generator, actingPass,
                    into: actions[rows: rows], logProbabilities: logProbabilities[rows])
            }
            exploration.addNoise(to: actions, progress: progress)
        }

        package func episodeEnded(_ environment: Int) { exploration.reset(environment: environment) }

        // MARK: Learning

        /// In the order of the losses that makes a difference: the temperature that the critics and the actor see is the
        /// one from before the update, and the actor sees the critics after theirs.
        package func update(learningRate: Double, progress: Progress, normalisation: Normalisation) throws {
            let temperature = Float(exp(logTemperature))
            let (minibatches, workers) = (work.minibatches, work.workers)
            minibatches.draw()
            for part in maps.indices {
                policy.head.drawMaps(policy.parameters, generator: &mapGenerators[part], into: maps[part])
            }
            workers.run(pieces.count) { index in
                let (piece, batch) = (pieces[index], minibatches.gather(index, normalisation: normalisation))
                // Kept for ``improve``: the actor's loss is at the same actions as the temperature's.
                policy.act(
                    batch.observationRows, maps: maps[work.parts.part(ofPiece: index)], generator: &piece.generator,
                    piece.now, into: piece.actions, logProbabilities: piece.logProbabilities)
                piece.logProbability = piece.logProbabilities.prefix(batch.count).sum()
                evaluateTargets(piece, batch, temperature: temperature, index)
                piece.loss = critic.regress(
                    batch.inputs, towards: piece.targets.prefix(batch.count),
                    weight: 0.5 / Float(work.minibatches.count),
                    piece: index, gradient: criticStep.gradient(piece: index))
            }
            let count = Double(work.minibatches.count)
            let criticLoss = 0.5 * pieces.reduce(0) { $0 + $1.loss } / count
            let logProbability = pieces.reduce(0) { $0 + $1.logProbability } / count
            try NotFinite.check(criticLoss, "the critics' loss")
            try NotFinite.check(logProbability, "the actions' log-probability")
            try criticStep.apply(learningRate: learningRate)
            tuneTemperature(logProbability, learningRate: learningRate)

            workers.run(pieces.count) { index in
                improve(pieces[index], minibatches.pieces[index], temperature: temperature, index)
            }
            let actorLoss = pieces.reduce(0) { $0 + $1.loss } / count
            let valueLoss = 0.5 * pieces.reduce(0) { $0 + $1.valueLoss } / count
            try NotFinite.check(actorLoss, "the actor's loss")
            try NotFinite.check(valueLoss, "the value's loss")
            try actorStep.apply(learningRate: learningRate)
            try valueStep?.apply(learningRate: learningRate)
            if (updates + 1) % targetInterval == 0 { targets.follow(rate: tau) }

            losses.critic.add(criticLoss)
            losses.actor.add(actorLoss)
            if value != nil { losses.value.add(valueLoss) }
            updates += 1
        }

        /// y = r + γ (1 − terminated) (min Q⁻(s′, a′) − α log π(a′|s′)) with a′ drawn anew; with a value network,
        /// y = r + γ (1 − terminated) V⁻(s′).
        private func evaluateTargets(_ piece: Piece, _ batch: TransitionBatch, temperature: Float, _ index: Int) {
            if let value {
                let values = value.leastTarget(
                    batch.nextInputs[columns: 0..<batch.observationSize], piece: index)
                for row in 0..<batch.count {
                    piece.targets[row] = batch.rewards[row] + batch.discounts[row] * values[row]
                }
                return
            }
            policy.act(
                batch.nextObservationRows, maps: maps[work.parts.part(ofPiece: index)], generator: &piece.generator,
                piece.next, into: piece.nextActions, logProbabilities: piece.nextLogProbabilities)
            batch.nextActions.copy(piece.nextActions.prefix(batch.count))
            let values = critic.leastTarget(batch.nextInputs, piece: index)
            for row in 0..<batch.count {
                let soft = values[row] - temperature * piece.nextLogProbabilities[row]
                piece.targets[row] = batch.rewards[row] + batch.discounts[row] * soft
            }
        }

        /// The temperature's own loss, −log α (log π + target entropy): it rises while the policy is less random than it
        /// is to be. log π is a constant in it.
        private func tuneTemperature(_ logProbability: Double, learningRate: Double) {
            guard tunesTemperature else { return }
            let excess = logProbability + targetEntropy
            losses.temperature.add(-logTemperature * excess)
            logTemperature += temperatureAdam.step(gradient: -excess, learningRate: learningRate)
        }

        /// The gradient of the mean of α log π(a|s) − min Q(s, a) through the action; with a value network, that of its
        /// loss ½ (V(s) − (min Q(s, a) − α log π))² too.
        private func improve(_ piece: Piece, _ batch: TransitionBatch, temperature: Float, _ index: Int) {
            let actions = piece.actions.prefix(batch.count)
            batch.actions.copy(actions)
            let share = 1 / Float(work.minibatches.count)
            let (values, byAction) = critic.ascend(batch.inputs, slope: -share, onlyFirst: false, piece: index)
            piece.loss = 0
            for row in 0..<batch.count {
                let entropyTerm = temperature * piece.logProbabilities[row]
                piece.loss += Double(entropyTerm - values[row])
                piece.targets[row] = values[row] - entropyTerm
            }
            policy.backward(
                piece.now, drawn: actions, maps: maps[work.parts.part(ofPiece: index)], byAction: byAction,
                byLogProbability: temperature * share, gradient: actorStep.gradient(piece: index))
            if let value, let valueStep {
                piece.valueLoss = value.regress(
                    batch.inputs[columns: 0..<batch.observationSize], towards: piece.targets.prefix(batch.count),
                    weight: 0.5 * share, piece: index, gradient: valueStep.gradient(piece: index))
            }
        }

        // MARK: Reports and state

        package func report(_ metrics: inout Metrics, progress: Progress) {
            metrics["train/actor_loss"] = losses.actor.take()
            metrics["train/critic_loss"] = losses.critic.take()
            if value != nil { metrics["train/value_loss"] = losses.value.take() }
            metrics["train/ent_coef"] = exp(logTemperature)
            if tunesTemperature { metrics["train/ent_coef_loss"] = losses.temperature.take() }
        }

        package func code(_ state: inout StateCoder) throws {
            try state(&updates)
            try state(critic.target)
            try criticStep.code(&state)
            try actorStep.code(&state)
            if let value, let valueStep {
                try state(value.target)
                try valueStep.code(&state)
            }
            try state(&logTemperature)
            try state(&temperatureAdam)
            try work.minibatches.code(&state)
            for piece in pieces { try state(&piece.generator) }
            for part in mapGenerators.indices { try state(&mapGenerators[part]) }
            try exploration.code(&state)
        }
    }

    /// The policy's network and head.
    private static func makePolicy(
        _ c: Configuration, _ shape: BoxShape, generator: inout NumPyGenerator
    ) -> Actor {
        var layout = ParameterLayout()
        func network(outputs: Int) -> Network {
            shape.input.network(
                "actor", hidden: c.hiddenLayers.actor, outputs: outputs, activation: c.activation,
                layerNorm: c.layerNorm, layout: &layout)
        }
        let (policy, head): (Network, any StochasticHead)
        if c.usesStateDependentNoise {
            policy = network(outputs: shape.actionSize)
            head = SquashedStateDependentHead(
                features: policy.dense.layers.last!.inputs, actionSize: shape.actionSize,
                start: Float(c.logDeviation), layout: &layout)
        } else {
            head = SquashedGaussianHead(actionSize: shape.actionSize)
            policy = network(outputs: head.outputs)
        }
        let actor = Actor(policy, layout, head: head)
        policy.initialise(actor.parameters, hidden: .uniform, output: .uniform, generator: &generator)
        head.initialise(actor.parameters)
        return actor
    }
}

extension Algorithm {
    /// ``SAC``.
    public static let sac = Algorithm(SAC.self)
}
