import GymCore
import NeuralNetwork

/// Advantage actor–critic (Mnih et al. 2016, arXiv 1602.01783, in its synchronous form): a short rollout of each
/// environment, one step along the policy gradient and the value's, and the next rollout.
///
/// The defaults are Stable-Baselines3's.
public enum A2C: Method {
    public static let name = "a2c"
    public static let summary = "advantage actor-critic: on-policy, discrete and continuous actions"

    // MARK: Hyperparameters

    /// How much of what followed an action is taken from the rewards, and how much from the critic.
    public enum Advantage: String, Sendable, CaseIterable, SettingValue {
        /// r + γ V(s′) − V(s).
        case oneStep = "one-step"
        /// `advantage_steps` rewards, then the critic; no more than the rollout has.
        case nStep = "n-step"
        /// All rewards of whole episodes: a rollout is an episode of each environment.
        case monteCarlo = "monte-carlo"
        /// All of them, weighted by λ: `gae_lambda`.
        case generalised = "gae"
    }

    /// What A2C can be told: Stable-Baselines3's defaults under rl-baselines3-zoo's keys.
    public final class Settings: OnPolicySettings, DeclaredSettings, @unchecked Sendable {
        public static let declared = Settings()
        public static var method: any Method.Type { A2C.self }

        /// `advantage`
        public let advantage = Setting<Advantage>(
            "advantage", .generalised,
            "how advantages are made; monte-carlo: from whole episodes, whatever n_steps says")
        /// `advantage_steps`
        public let advantageSteps = Setting<Int>(
            "advantage_steps", 5, in: 1...1_000_000, "with advantage: n-step, the rewards before the critic's value")
        /// `use_rms_prop`
        public let usesRMSProp = Setting<Bool>(
            "use_rms_prop", true, "whether RMSProp makes the steps; else Adam")
        /// `optimizer_class`
        public let optimiser = Setting<OptimiserKind?>(
            "optimizer_class", nil, "what makes the steps, if not what use_rms_prop says")
        /// `rms_prop_eps`
        public let rmsPropEpsilon = Setting<Double>(
            "rms_prop_eps", 1e-5, in: 0...1, "with RMSProp: added to the denominator")

        private init() {
            super.init(
                rolloutSteps: 5, lambda: 1, learningRate: 7e-4, normalizesAdvantages: false, adamEpsilon: 1e-5)
        }
    }

    public static var presetFile: [UInt8] { PackageResources.a2c_yml }

    // MARK: The run

    public static func learner(
        on batch: any EnvironmentBatch, _ c: Configuration, _ options: LearnerOptions
    ) throws -> any Learner {
        let context = options.context(Parts(count: c.parts, slices: 1))
        let model = try ActorCritic(
            c, observationSpace: batch.observationSpace, actionSpace: batch.actionSpace, seed: options.seed)
        if c.advantage != .monteCarlo {
            try requireRolloutMemory(
                model, rows: c.rolloutRows(environments: batch.count, context.parts))
        }
        return try OnPolicyLearner(c, Update(c, model, context), on: batch, seed: options.seed, context)
    }

    // MARK: Learning

    /// The one step that a rollout is learnt from by.
    package final class Update: OnPolicyMethod {
        package let model: ActorCritic
        private let step: GradientStep
        private let context: UpdateContext
        private let gamma: Float
        private let lambda: Float
        private let advantage: Advantage
        private let advantageSteps: Int
        private let learningRate: Schedule
        private let entropyWeight: Schedule
        private let valueWeight: Float
        private let normalizesAdvantages: Bool

        private var pieces: [Piece]
        package private(set) var updates = 0
        /// A part's sums over its rows, (parts, terms): policy loss, entropy, squared error of the values.
        private let partTerms: Vector<Double>
        private static let terms = 3

        /// What a part's rollout needs to be learnt from.
        private final class Piece {
            let rows: Int
            let observations: Rows
            let actions: Matrix
            let advantages: Vector<Float>
            let returns: Vector<Float>
            let logProbabilities: Vector<Float>
            let entropies: Vector<Float>
            let slopes: Vector<Float>
            let pass: ActorPass
            let workspace: Network.Workspace

            init(_ model: ActorCritic, rows: Int) {
                self.rows = rows
                observations = Rows(model.input.encoder.format, count: rows)
                actions = Matrix(rows: rows, columns: model.codec.size)
                advantages = Vector(count: rows)
                returns = Vector(count: rows)
                logProbabilities = Vector(count: rows)
                entropies = Vector(count: rows)
                slopes = Vector(count: rows)
                pass = model.actor.makePass(rows: rows)
                workspace = Network.Workspace(for: model.critic, capacity: rows)
            }
        }

        init(_ c: Configuration, _ model: ActorCritic, _ context: UpdateContext) {
            self.model = model
            self.context = context
            let parts = context.parts
            gamma = Float(c.gamma)
            lambda = Float(c.lambda)
            advantage = c.advantage
            advantageSteps = c.advantageSteps
            learningRate = c.learningRate
            entropyWeight = c.entropyWeight
            valueWeight = Float(c.valueWeight)
            normalizesAdvantages = c.normalizesAdvantages
            let kind = c.optimiser ?? (c.usesRMSProp ? .rmsProp : .adam)
            step = GradientStep(
                [("the policy's", model.actor.parameters), ("the value's", model.criticParameters)],
                maxNorm: c.maxGradientNorm, context
            ) { kind.make(count: $0, epsilon: kind == .adam ? c.adamEpsilon : c.rmsPropEpsilon) }
            pieces = (0..<parts.count).map { _ in Piece(model, rows: 0) }
            partTerms = Vector(count: parts.count * Update.terms)
        }

        package var wholeEpisodes: Bool { advantage == .monteCarlo }

        package func learn(from rollouts: [Rollout], progress: Progress, _ metrics: inout Metrics) throws {
            let (parts, workers) = (context.parts, context.workers)
            let rate = learningRate.value(progressRemaining: progress.remaining)
            let entropy = Float(entropyWeight.value(progressRemaining: progress.remaining))
            let count = rollouts.reduce(0) { $0 + $1.used.count }
            workers.expect(
                operations: 6 * Double(count)
                    * (model.actor.network.multiplications + model.critic.multiplications))
            for (part, rollout) in rollouts.enumerated() where pieces[part].rows < rollout.used.count {
                pieces[part] = Piece(model, rows: rollout.used.count)
            }
            let pieces = pieces

            workers.run(parts.count) { part in
                let (piece, rollout) = (pieces[part], rollouts[part])
                estimateAdvantages(rollout, piece)
                let rows = rollout.used
                piece.observations.prefix(rows.count).gather(rows, of: rollout.observations)
                piece.actions.prefix(rows.count).gather(rows, of: rollout.actions)
                piece.advantages.prefix(rows.count).gather(rows, of: rollout.advantages)
                piece.returns.prefix(rows.count).gather(rows, of: rollout.returns)
            }
            if normalizesAdvantages && count > 1 {
                standardise(parts.count) { pieces[$0].advantages.prefix(rollouts[$0].used.count) }
            }
            workers.run(2 * parts.count) { task in
                let (part, isActor) = (task / 2, task % 2 == 0)
                let (piece, rows) = (pieces[part], rollouts[part].used.count)
                isActor
                    ? ascend(piece, rows, part, of: count, entropyWeight: entropy)
                    : regress(piece, rows, part, of: count)
            }
            let (policy, entropySum, value) = try sums()
            try NotFinite.check(policy, "the policy's loss")
            try NotFinite.check(value, "the value's loss")
            try step.apply(learningRate: rate)
            updates += 1

            metrics["train/policy_loss"] = policy / Double(count)
            metrics["train/entropy_loss"] = -entropySum / Double(count)
            metrics["train/value_loss"] = value / Double(count)
            metrics["train/explained_variance"] = explainedVariance(rollouts)
            metrics["train/learning_rate"] = rate
            metrics["train/n_updates"] = Double(updates)
            metrics["train/std"] = model.actor.head.meanDeviation(model.actor.parameters)
        }

        /// The values of everything that a rollout saw, and from them the advantages and what the critic is to learn.
        private func estimateAdvantages(_ rollout: Rollout, _ piece: Piece) {
            rollout.takeValues(gamma: gamma) { model.values($0, piece.workspace, into: $1) }
            let (rewards, values, ended) = (rollout.rewards, rollout.values, rollout.ended)
            let (environments, advantages) = (rollout.environments, rollout.advantages)
            switch advantage {
            case .nStep:
                Returns.nStepAdvantages(
                    rewards: rewards, values: values, ended: ended, environments: environments, gamma: gamma,
                    steps: advantageSteps, into: advantages)
            case .oneStep, .monteCarlo, .generalised:
                // One step is λ = 0; and with whole episodes, λ = 1 is their return less V(s).
                Returns.generalisedAdvantages(
                    rewards: rewards, values: values, ended: ended, environments: environments, gamma: gamma,
                    lambda: advantage == .oneStep ? 0 : advantage == .monteCarlo ? 1 : lambda, into: advantages)
            }
            rollout.takeReturns()
        }

        /// The gradient of the policy's loss: −mean of Â log π(a|s), less the entropy bonus.
        ///
        /// - Parameter count: rows of all parts together.
        private func ascend(_ piece: Piece, _ rows: Int, _ part: Int, of count: Int, entropyWeight: Float) {
            let actions = piece.actions.prefix(rows)
            model.actor.evaluate(
                piece.observations.prefix(rows), actions: actions, piece.pass,
                logProbabilities: piece.logProbabilities, entropies: piece.entropies)
            var (loss, entropy) = (0.0, 0.0)
            for row in 0..<rows {
                loss -= Double(piece.advantages[row] * piece.logProbabilities[row])
                entropy += Double(piece.entropies[row])
                // The advantage is a constant: no gradient goes into the critic through it.
                piece.slopes[row] = -piece.advantages[row] / Float(count)
            }
            model.actor.backward(
                piece.pass, actions: actions, byLogProbability: piece.slopes,
                byEntropy: -entropyWeight / Float(count), gradient: step.gradient(0, piece: part))
            partTerms[part * Update.terms] = loss
            partTerms[part * Update.terms + 1] = entropy
        }

        /// The gradient of the critic's loss: `vf_coef` times the mean of (R − V)², the return being a constant.
        private func regress(_ piece: Piece, _ rows: Int, _ part: Int, of count: Int) {
            let observations = piece.observations.prefix(rows)
            let values = model.critic.forward(model.criticParameters, observations, piece.workspace)
            let slopes = piece.workspace.dense.outputGradients(rows: rows)
            var loss = 0.0
            for row in 0..<rows {
                let error = values[row, 0] - piece.returns[row]
                loss += Double(error * error)
                slopes[row, 0] = valueWeight * 2 * error / Float(count)
            }
            model.critic.backward(
                model.criticParameters, observations, piece.workspace, gradient: step.gradient(1, piece: part))
            partTerms[part * Update.terms + 2] = loss
        }

        /// The parts' terms put together.
        private func sums() throws -> (policy: Double, entropy: Double, value: Double) {
            let all = try context.communicator.gather(partTerms)
            var sums = (policy: 0.0, entropy: 0.0, value: 0.0)
            for start in stride(from: 0, to: all.count, by: Update.terms) {
                sums.policy += all[start]
                sums.entropy += all[start + 1]
                sums.value += all[start + 2]
            }
            return sums
        }

        package func code(_ state: inout StateCoder) throws {
            try state(&updates)
            try step.code(&state)
        }
    }
}

extension Algorithm {
    /// ``A2C``.
    public static let a2c = Algorithm(A2C.self)
}
