import GymCore
import NeuralNetwork

/// A policy that draws and a value function, each a network of its own: what on-policy methods learn.
///
/// The two share nothing, so that two threads can work on them at the same time.
package final class ActorCritic: Sendable {
    package let input: NetworkInput
    package let codec: ActionCodec
    package let actor: Actor
    package let critic: Network
    package let criticParameters: ParameterStore

    /// - Throws: ``UnsupportedSpaceError``, ``HyperparameterError``.
    package init<Declared: OnPolicySettings>(
        _ c: MethodConfiguration<Declared>, observationSpace: Space, actionSpace: Space, seed: UInt64
    ) throws {
        input = try NetworkInput(
            c, observationSpace: observationSpace, needsFloats: c.usesStateDependentNoise)
        codec = try ActionCodec(actionSpace)
        var layout = ParameterLayout()
        let (network, head) = try ActorCritic.actor(c, input, codec, layout: &layout)
        actor = Actor(network, layout, head: head)
        var criticLayout = ParameterLayout()
        critic = input.network(
            "value", hidden: c.hiddenLayers.critic, outputs: 1, activation: c.activation, layerNorm: c.layerNorm,
            layout: &criticLayout)
        criticParameters = ParameterStore(criticLayout)

        func start(_ gain: Float) -> Initialisation { c.isOrthogonal ? .orthogonal(gain: gain) : .uniform }
        let hidden = start(Float(2).squareRoot())
        var generator = RandomStream.initialisation.generator(seed: seed)
        // The policy starts close to uniform, so that no action is favoured before anything is learnt.
        network.initialise(actor.parameters, hidden: hidden, output: start(0.01), generator: &generator)
        critic.initialise(criticParameters, hidden: hidden, output: start(1), generator: &generator)
        head.initialise(actor.parameters)
    }

    /// The actor's network, and the head that suits the action space.
    private static func actor<Declared: OnPolicySettings>(
        _ c: MethodConfiguration<Declared>, _ input: NetworkInput, _ codec: ActionCodec, layout: inout ParameterLayout
    ) throws -> (Network, any StochasticHead) {
        func network(outputs: Int) -> Network {
            input.network(
                "policy", hidden: c.hiddenLayers.actor, outputs: outputs, activation: c.activation,
                layerNorm: c.layerNorm, layout: &layout)
        }
        switch codec.kind {
        case .choices, .coins:
            if c.usesStateDependentNoise {
                throw UnsupportedSpaceError(
                    "state-dependent exploration (use_sde) needs actions from a Box, not \(codec.space)")
            }
            let head: any StochasticHead =
                if case .choices(let counts) = codec.kind {
                    CategoricalHead(Categorical(choices: counts))
                } else {
                    BernoulliHead(Bernoulli(count: codec.size))
                }
            return (network(outputs: head.outputs), head)
        case .reals(let count):
            let network = network(outputs: count)
            let start = Float(c.logDeviation)
            guard c.usesStateDependentNoise else {
                return (network, GaussianHead(actionSize: count, start: start, layout: &layout))
            }
            let features = network.dense.layers.last!.inputs
            return (
                network, StateDependentHead(features: features, actionSize: count, start: start, layout: &layout)
            )
        }
    }

    /// The greedy policy as it stands.
    package func policy(normalisation: Normalisation) -> any Policy {
        GreedyPolicy(
            actor.network, stores, head: actor.head, codec: codec, encoder: input.encoder,
            normalisation: normalisation)
    }

    /// All parameters that are saved with the policy.
    package var stores: [ParameterStore] { [actor.parameters, criticParameters] }

    /// V(s) of any number of rows.
    ///
    /// - Parameter workspace: for some rows at a time.
    package func values(_ observations: Rows, _ workspace: Network.Workspace, into values: Vector<Float>) {
        for start in stride(from: 0, to: observations.count, by: workspace.dense.capacity) {
            let range = start..<min(start + workspace.dense.capacity, observations.count)
            values[range].copy(critic.forward(criticParameters, observations[range], workspace).vector)
        }
    }
}

/// What every on-policy method with an actor and a critic can be told.
open class OnPolicySettings: NetworkSettings, @unchecked Sendable {
    /// `n_steps`
    public let rolloutSteps: Setting<Int>
    /// `gae_lambda`
    public let lambda: Setting<Double>
    /// `normalize_advantage`
    public let normalizesAdvantages: Setting<Bool>
    /// `ent_coef`
    public let entropyWeight = Setting<Schedule>("ent_coef", 0.0, in: 0...10, "weight of the entropy bonus")
    /// `vf_coef`
    public let valueWeight = Setting<Double>(
        "vf_coef", 0.5, in: 0...1000, "weight of the mean squared error of the values (without a half)")
    /// `max_grad_norm`
    public let maxGradientNorm = Setting<Double?>(
        "max_grad_norm", 0.5, in: 0...1e6,
        "the gradient of actor and critic together is scaled down to this norm; null: never")
    /// `use_sde`
    public let usesStateDependentNoise = Setting<Bool>("use_sde", false, "state-dependent exploration (gSDE)")
    /// `sde_sample_freq`
    public let noiseInterval = Setting<Int>(
        "sde_sample_freq", -1, in: -1...1_000_000,
        "steps after which gSDE's noise is drawn anew; -1: once a rollout")
    /// `ortho_init`
    public let isOrthogonal = Setting<Bool>(
        "ortho_init", true, "orthogonal initialisation; else PyTorch's default")
    /// `log_std_init`
    public let logDeviation = Setting<Double>(
        "log_std_init", 0, in: -20...5, "logarithm of the actions' deviation at the start")

    /// The settings with a method's own defaults.
    public init(
        rolloutSteps: Int, lambda: Double, learningRate: Schedule, normalizesAdvantages: Bool, adamEpsilon: Double
    ) {
        self.rolloutSteps = Setting(
            "n_steps", rolloutSteps, in: 1...1_000_000, "steps of each environment in a rollout")
        self.lambda = Setting(
            "gae_lambda", lambda, in: 0...1,
            "advantages: 0 trusts the critic (one step), 1 the returns (Monte Carlo)")
        self.normalizesAdvantages = Setting(
            "normalize_advantage", normalizesAdvantages,
            "whether advantages have mean 0 and deviation 1 in each minibatch")
        super.init(
            learningRate: learningRate, hiddenLayers: [64, 64], activation: .tanh, adamEpsilon: adamEpsilon)
    }
}

extension MethodConfiguration where Declared: OnPolicySettings {
    /// The rows of a rollout, all parts together.
    ///
    /// - Throws: ``HyperparameterError`` when they are too few, or cannot be shared out.
    func rolloutRows(environments: Int, _ parts: Parts) throws -> Int {
        try parts.require(environments, "n_envs")
        let rows = self.rolloutSteps * environments
        if rows < 2 && self.normalizesAdvantages {
            throw HyperparameterError(
                key: "n_steps",
                description: "n_steps × n_envs is 1; with normalize_advantage a rollout needs at least 2 steps")
        }
        return rows
    }
}

extension Method where Settings: OnPolicySettings {
    /// An actor and a critic, of which the actor acts.
    public static func policy(
        _ configuration: Configuration, observationSpace: Space, actionSpace: Space
    ) throws -> any Policy {
        let model = try ActorCritic(
            configuration, observationSpace: observationSpace, actionSpace: actionSpace, seed: 0)
        return model.policy(
            normalisation: Normalisation(configuration, size: model.input.encoder.size, environments: 1))
    }
}

/// Refuses rollouts that there is no memory for.
///
/// - Parameters:
///   - more: bytes of a row that a method needs besides.
///   - words: what it needs them for.
/// - Throws: ``HyperparameterError``.
func requireRolloutMemory(_ model: ActorCritic, rows: Int, more: Int = 0, _ words: String = "") throws {
    let rowBytes = Rollout.rowBytes(format: model.input.encoder.format, actionSize: model.codec.size) + more
    try requireMemory(
        Double(rowBytes) * Double(rows), for: "n_steps",
        "the n_steps × n_envs = \(rows) steps of a rollout" + words)
}
