import Foundation
import GymCore
import NeuralNetwork

/// Proximal policy optimisation (Schulman et al. 2017, arXiv 1707.06347): rollouts under a fixed policy, then several epochs
/// of minibatch ascent on an objective that gains nothing from moving the policy far.
///
/// Every part can be switched by its hyperparameter; the defaults are Stable-Baselines3's.
public enum PPO: Method {
    public static let name = "ppo"
    public static let summary = "proximal policy optimisation: on-policy, discrete and continuous actions"

    // MARK: Hyperparameters

    /// What PPO can be told: Stable-Baselines3's defaults under rl-baselines3-zoo's keys.
    public final class Settings: OnPolicySettings, DeclaredSettings, @unchecked Sendable {
        public static let declared = Settings()
        public static var method: any Method.Type { PPO.self }

        /// `batch_size`
        public let batchSize = Setting<Int>("batch_size", 64, in: 1...10_000_000, "rows of a minibatch")
        /// `n_epochs`
        public let epochs = Setting<Int>("n_epochs", 10, in: 1...1000, "times that each rollout is gone through")
        /// `clip_range`
        public let clipRange = Setting<Schedule?>(
            "clip_range", .constant(0.2), in: 0...10,
            "the ratio of probabilities gains nothing outside 1 ± this; null: no clipping")
        /// `clip_range_vf`
        public let valueClipRange = Setting<Schedule?>(
            "clip_range_vf", nil, in: 0...1e6,
            "the value gains nothing by leaving the old one by more than this; null: no clipping")
        /// `kl_coef`
        public let divergenceWeight = Setting<Double>(
            "kl_coef", 0, in: 0...1000, "weight of a penalty on the divergence from the old policy")
        /// `target_kl`
        public let targetDivergence = Setting<Double?>(
            "target_kl", nil, in: 0...1000,
            "the epochs end when the divergence from the old policy passes 1.5 times this; null: never")

        private init() {
            super.init(
                rolloutSteps: 2048, lambda: 0.95, learningRate: 3e-4, normalizesAdvantages: true, adamEpsilon: 1e-5)
        }
    }

    public static var presetFile: [UInt8] { PackageResources.ppo_yml }

    // MARK: The run

    public static func learner(
        on batch: any EnvironmentBatch, _ c: Configuration, _ options: LearnerOptions
    ) throws -> any Learner {
        let context = options.context(Parts(count: c.parts, slices: 1))
        let rows = try c.rolloutRows(environments: batch.count, context.parts)
        if c.batchSize < 2 && c.normalizesAdvantages {
            throw HyperparameterError(
                key: "batch_size",
                description:
                    "batch_size is 1, and one advantage has no deviation to be normalised by; a larger one, or "
                    + "normalize_advantage=false would do")
        }
        let model = try ActorCritic(
            c, observationSpace: batch.observationSpace, actionSpace: batch.actionSpace, seed: options.seed)
        // Each epoch has an order of the rows.
        try requireRolloutMemory(
            model, rows: rows, more: 4 * c.epochs, ", gone through n_epochs = \(c.epochs) times,")
        return try OnPolicyLearner(
            c, Update(c, model, rows: rows, seed: options.seed, context), on: batch, seed: options.seed, context)
    }

    // MARK: Learning

    /// The epochs of minibatches that a rollout is learnt from in.
    package final class Update: OnPolicyMethod {
        package let model: ActorCritic
        private let step: GradientStep
        private let context: UpdateContext
        private let gamma: Float
        private let lambda: Float
        private let epochs: Int
        /// Rows of a part's minibatch.
        private let batchSize: Int
        private let learningRate: Schedule
        private let clipRange: Schedule?
        private let valueClipRange: Schedule?
        private let entropyWeight: Schedule
        private let valueWeight: Float
        private let divergenceWeight: Float
        private let targetDivergence: Double?
        private let normalizesAdvantages: Bool

        private let pieces: [Piece]
        package private(set) var updates = 0
        private var epochsDone = 0

        /// What one part's minibatch needs: the actor's side and the critic's.
        private final class Piece {
            let observations: Rows
            let actions: Matrix
            let oldLogProbabilities: Vector<Float>
            let advantages: Vector<Float>
            let logProbabilities: Vector<Float>
            let entropies: Vector<Float>
            let slopes: Vector<Float>
            let actorPass: ActorPass

            let criticObservations: Rows
            let returns: Vector<Float>
            let oldValues: Vector<Float>
            let criticWorkspace: Network.Workspace

            /// For each epoch, the rows in random order.
            let order: Vector<Int32>
            var generator: NumPyGenerator

            init(_ model: ActorCritic, rows: Int, orders: Int, generator: NumPyGenerator) {
                let format = model.input.encoder.format
                observations = Rows(format, count: rows)
                actions = Matrix(rows: rows, columns: model.codec.size)
                oldLogProbabilities = Vector(count: rows)
                advantages = Vector(count: rows)
                logProbabilities = Vector(count: rows)
                entropies = Vector(count: rows)
                slopes = Vector(count: rows)
                actorPass = model.actor.makePass(rows: rows)
                criticObservations = Rows(format, count: rows)
                returns = Vector(count: rows)
                oldValues = Vector(count: rows)
                criticWorkspace = Network.Workspace(for: model.critic, capacity: rows)
                order = Vector(count: orders)
                self.generator = generator
            }
        }

        /// What a part says of a minibatch, as sums over its rows; of all parts, as means.
        fileprivate struct Terms {
            var policy = 0.0
            var clipped = 0.0
            var entropy = 0.0
            var divergence = 0.0
            var value = 0.0
            static let count = 5
        }
        /// (parts, terms): the terms of each part, in the order of their declaration.
        private let partTerms: Vector<Double>
        /// The divergence of each minibatch of the update.
        private var divergences: [Double] = []

        package init(
            _ c: Configuration, _ model: ActorCritic, rows: Int, seed: UInt64, _ context: UpdateContext
        ) throws {
            self.model = model
            self.context = context
            let parts = context.parts
            gamma = Float(c.gamma)
            lambda = Float(c.lambda)
            epochs = c.epochs
            learningRate = c.learningRate
            clipRange = c.clipRange
            valueClipRange = c.valueClipRange
            entropyWeight = c.entropyWeight
            valueWeight = Float(c.valueWeight)
            divergenceWeight = Float(c.divergenceWeight)
            targetDivergence = c.targetDivergence
            normalizesAdvantages = c.normalizesAdvantages
            let batch = min(c.batchSize, rows)
            try parts.require(batch, "batch_size")
            let batchSize = batch / parts.count
            self.batchSize = batchSize
            let (share, epochs) = (rows / parts.count, c.epochs)
            pieces = (0..<parts.count).map {
                Piece(
                    model, rows: batchSize, orders: epochs * share,
                    generator: parts.generator(.minibatches, seed: seed, part: $0))
            }
            step = GradientStep(
                [("the policy's", model.actor.parameters), ("the value's", model.criticParameters)],
                maxNorm: c.maxGradientNorm, context
            ) { Adam(count: $0, epsilon: c.adamEpsilon) }
            partTerms = Vector(count: parts.count * Terms.count)
            divergences.reserveCapacity(epochs * ((share + batchSize - 1) / batchSize))
        }

        package func learn(from rollouts: [Rollout], progress: Progress, _ metrics: inout Metrics) throws {
            let (parts, workers) = (context.parts, context.workers)
            let rows = rollouts[0].rows
            let rate = learningRate.value(progressRemaining: progress.remaining)
            let clip = clipRange.map { Float($0.value(progressRemaining: progress.remaining)) }
            let valueClip = valueClipRange.map { Float($0.value(progressRemaining: progress.remaining)) }
            let entropy = Float(entropyWeight.value(progressRemaining: progress.remaining))
            let perEpoch = (rows + batchSize - 1) / batchSize
            workers.expect(operations: Double(epochs * rows * parts.count) * multiplications)

            workers.run(parts.count) { part in
                estimateAdvantages(rollouts[part], pieces[part])
                for epoch in 0..<epochs {
                    pieces[part].generator.permutation(into: pieces[part].order[epoch * rows..<(epoch + 1) * rows])
                }
            }
            var (sums, applied) = (Terms(), 0)
            divergences.removeAll(keepingCapacity: true)
            for index in 0..<epochs * perEpoch {
                let (epoch, position) = index.quotientAndRemainder(dividingBy: perEpoch)
                let first = epoch * rows + position * batchSize
                let range = first..<min(first + batchSize, (epoch + 1) * rows)
                let count = range.count * parts.count
                gatherAdvantages(rollouts, range)
                workers.run(2 * parts.count) { task in
                    let (part, isActor) = (task / 2, task % 2 == 0)
                    if isActor {
                        ascend(pieces[part], rollouts[part], range, part, of: count, clip: clip, entropy: entropy)
                    } else {
                        regress(pieces[part], rollouts[part], range, part, of: count, clip: valueClip)
                    }
                }
                let means = try means(of: count)
                sums.add(means)
                divergences.append(means.divergence)
                if let targetDivergence, means.divergence > 1.5 * targetDivergence { break }
                try NotFinite.check(means.policy, "the policy's loss")
                try NotFinite.check(means.value, "the value's loss")
                try step.apply(learningRate: rate)
                applied += 1
            }
            updates += applied
            epochsDone += (applied + perEpoch - 1) / perEpoch

            let count = Double(divergences.count)
            metrics["train/policy_gradient_loss"] = sums.policy / count
            metrics["train/entropy_loss"] = -sums.entropy / count
            metrics["train/clip_fraction"] = sums.clipped / count
            // As Stable-Baselines3: the divergence in the last epoch.
            let last = divergences.suffix((divergences.count - 1) % perEpoch + 1)
            metrics["train/approx_kl"] = last.reduce(0, +) / Double(last.count)
            metrics["train/ent_coef"] = Double(entropy)
            metrics["train/clip_range"] = clip.map { Double($0) }
            metrics["train/value_loss"] = sums.value / count
            metrics["train/clip_range_vf"] = valueClip.map { Double($0) }
            metrics["train/explained_variance"] = explainedVariance(rollouts)
            metrics["train/learning_rate"] = rate
            metrics["train/n_updates"] = Double(epochsDone)
            metrics["train/std"] = model.actor.head.meanDeviation(model.actor.parameters)
        }

        /// Multiplications of a row's passes through both networks, forward and back, about.
        private var multiplications: Double {
            6 * (model.actor.network.multiplications + model.critic.multiplications)
        }

        /// The values of everything that a rollout saw, and from them the advantages.
        private func estimateAdvantages(_ rollout: Rollout, _ piece: Piece) {
            rollout.takeValues(gamma: gamma) { model.values($0, piece.criticWorkspace, into: $1) }
            Returns.generalisedAdvantages(
                rewards: rollout.rewards, values: rollout.values, ended: rollout.ended,
                environments: rollout.environments, gamma: gamma, lambda: lambda, into: rollout.advantages)
            rollout.takeReturns()
        }

        /// Copies a minibatch's advantages, normalised over the minibatch and not over the rollout.
        private func gatherAdvantages(_ rollouts: [Rollout], _ range: Range<Int>) {
            for (piece, rollout) in zip(pieces, rollouts) {
                piece.advantages.prefix(range.count).gather(piece.order[range], of: rollout.advantages)
            }
            // A deviation of one number does not exist.
            guard normalizesAdvantages && range.count * pieces.count > 1 else { return }
            standardise(pieces.count) { pieces[$0].advantages.prefix(range.count) }
        }

        /// The gradient of the policy's loss: −mean of min(ρ Â, clip(ρ, 1−ε, 1+ε) Â) − entropy bonus + divergence penalty.
        ///
        /// - Parameter count: rows of the minibatch, all parts together.
        private func ascend(
            _ piece: Piece, _ rollout: Rollout, _ range: Range<Int>, _ part: Int, of count: Int, clip: Float?,
            entropy: Float
        ) {
            let (rows, order) = (range.count, piece.order[range])
            let (observations, actions) = (piece.observations.prefix(rows), piece.actions.prefix(rows))
            observations.gather(order, of: rollout.observations)
            actions.gather(order, of: rollout.actions)
            piece.oldLogProbabilities.prefix(rows).gather(order, of: rollout.logProbabilities)
            model.actor.evaluate(
                observations, actions: actions, piece.actorPass, logProbabilities: piece.logProbabilities,
                entropies: piece.entropies)

            let epsilon = clip ?? .infinity
            var terms = Terms()
            for row in 0..<rows {
                let logRatio = piece.logProbabilities[row] - piece.oldLogProbabilities[row]
                let ratio = exp(logRatio)
                let term = clippedSurrogate(ratio: ratio, advantage: piece.advantages[row], epsilon: epsilon)
                terms.policy -= Double(term.value)
                // ∂ρ/∂log π = ρ.
                piece.slopes[row] = (divergenceWeight * (ratio - 1) - term.slope * ratio) / Float(count)
                if abs(ratio - 1) > epsilon { terms.clipped += 1 }
                terms.entropy += Double(piece.entropies[row])
                // (ρ − 1) − log ρ: an estimate of the divergence that is never negative (Schulman 2020, "Approximating
                // KL divergence").
                terms.divergence += Double((ratio - 1) - logRatio)
            }
            model.actor.backward(
                piece.actorPass, actions: actions, byLogProbability: piece.slopes, byEntropy: -entropy / Float(count),
                gradient: step.gradient(0, piece: part))
            let start = part * Terms.count
            (partTerms[start], partTerms[start + 1]) = (terms.policy, terms.clipped)
            (partTerms[start + 2], partTerms[start + 3]) = (terms.entropy, terms.divergence)
        }

        /// The gradient of the critic's loss: `vf_coef` times the mean of (R − V)², or with clipping of the larger of
        /// (R − V)² and (R − V_old − clip(V − V_old, ±ε))².
        private func regress(
            _ piece: Piece, _ rollout: Rollout, _ range: Range<Int>, _ part: Int, of count: Int, clip: Float?
        ) {
            let (rows, order) = (range.count, piece.order[range])
            let observations = piece.criticObservations.prefix(rows)
            observations.gather(order, of: rollout.observations)
            piece.returns.prefix(rows).gather(order, of: rollout.returns)
            piece.oldValues.prefix(rows).gather(order, of: rollout.values)
            let values = model.critic.forward(model.criticParameters, observations, piece.criticWorkspace)
            let slopes = piece.criticWorkspace.dense.outputGradients(rows: rows)
            var loss = 0.0
            for row in 0..<rows {
                let term = valueLoss(
                    value: values[row, 0], oldValue: piece.oldValues[row], target: piece.returns[row], epsilon: clip)
                loss += Double(term.value)
                slopes[row, 0] = valueWeight * term.slope / Float(count)
            }
            model.critic.backward(
                model.criticParameters, observations, piece.criticWorkspace,
                gradient: step.gradient(1, piece: part))
            partTerms[part * Terms.count + 4] = loss
        }

        /// The parts' terms put together.
        private func means(of count: Int) throws -> Terms {
            let all = try context.communicator.gather(partTerms)
            var means = Terms()
            for start in stride(from: 0, to: all.count, by: Terms.count) {
                means.add(
                    Terms(
                        policy: all[start] / Double(count), clipped: all[start + 1] / Double(count),
                        entropy: all[start + 2] / Double(count), divergence: all[start + 3] / Double(count),
                        value: all[start + 4] / Double(count)))
            }
            return means
        }

        package func code(_ state: inout StateCoder) throws {
            try state(&updates)
            try state(&epochsDone)
            try step.code(&state)
            for piece in pieces { try state(&piece.generator) }
        }
    }
}

extension PPO.Update.Terms {
    fileprivate mutating func add(_ other: Self) {
        policy += other.policy
        clipped += other.clipped
        entropy += other.entropy
        divergence += other.divergence
        value += other.value
    }
}

/// min(ρ Â, clip(ρ, 1−ε, 1+ε) Â) and its derivative by ρ: Â, or 0 where the clipped term is the smaller one.
@inline(__always)
public func clippedSurrogate(ratio: Float, advantage: Float, epsilon: Float) -> (value: Float, slope: Float) {
    let plain = ratio * advantage
    let limited = min(max(ratio, 1 - epsilon), 1 + epsilon) * advantage
    return plain <= limited ? (plain, advantage) : (limited, 0)
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

extension Algorithm {
    /// ``PPO``.
    public static let ppo = Algorithm(PPO.self)
}
