import GymCore
import NeuralNetwork

/// A policy without any randomness of its own, the critics that it climbs, and the targets of both: what deterministic
/// policy gradients (Silver et al. 2014) learn with.
package final class DeterministicActorCritic: @unchecked Sendable {
    // Sendable: each piece of an update works in a space of its own.

    package let actor: Network
    package let parameters: ParameterStore
    package let target: ParameterStore
    package let critic: CriticEnsemble
    let targets: TargetNetworks
    let exploration: Exploration
    private let minibatches: Minibatches
    private let criticStep: GradientStep
    private let actorStep: GradientStep
    private let shape: BoxShape

    private let actingWorkspace: Network.Workspace
    private let pieces: [Piece]
    private var losses = (actor: RunningMean(), critic: RunningMean())

    /// What one piece of a minibatch needs.
    private final class Piece {
        let workspace: Network.Workspace
        /// y, (rows).
        let targets: Vector<Float>
        var loss = 0.0

        init(_ actor: Network, rows: Int) {
            workspace = Network.Workspace(for: actor, capacity: rows)
            targets = Vector(count: rows)
        }
    }

    init<Declared: ExplorationSettings>(
        _ c: MethodConfiguration<Declared>, _ work: BoxWork, critics: Int
    ) {
        let (shape, parts) = (work.shape, work.parts)
        self.shape = shape
        minibatches = work.minibatches

        func network(_ name: String, _ layout: inout ParameterLayout) -> Network {
            shape.input.network(
                name, hidden: c.hiddenLayers.actor, outputs: shape.actionSize, activation: c.activation,
                layerNorm: c.layerNorm, outputActivation: .tanh, layout: &layout)
        }
        var layout = ParameterLayout()
        actor = network("actor", &layout)
        parameters = ParameterStore(layout)
        var generator = RandomStream.initialisation.generator(seed: work.seed)
        actor.initialise(parameters, hidden: .uniform, output: .uniform, generator: &generator)
        var targetLayout = ParameterLayout()
        _ = network("actor_target", &targetLayout)
        target = ParameterStore(targetLayout)
        target.parameters.copy(parameters.parameters)
        critic = CriticEnsemble(
            count: critics, observationSize: shape.observationSize, actionSize: shape.actionSize,
            hidden: c.hiddenLayers.critic, activation: c.activation, layerNorm: c.layerNorm, pieces: parts.pieces,
            rows: minibatches.largest, generator: &generator)

        criticStep = GradientStep([("the critics'", critic.parameters)], work.context) {
            Adam(count: $0, epsilon: c.adamEpsilon)
        }
        actorStep = GradientStep([("the actor's", parameters)], work.context) {
            Adam(count: $0, epsilon: c.adamEpsilon)
        }
        targets = TargetNetworks(
            [(target, parameters), (critic.target, critic.parameters)], workers: work.workers)
        exploration = Exploration(c, work)
        actingWorkspace = Network.Workspace(for: actor, capacity: shape.environments)
        let (actor, rows) = (actor, minibatches.largest)
        pieces = (0..<parts.pieces).map { _ in Piece(actor, rows: rows) }
    }

    /// Floating-point operations of an update's matrix products, about.
    var operations: Double {
        2 * Double(minibatches.count) * (3 * actor.multiplications + 9 * critic.networks[0].multiplications)
    }

    var stores: [ParameterStore] { [parameters, target, critic.parameters, critic.target] }

    func policy(normalisation: Normalisation) -> any Policy {
        GreedyPolicy(
            actor, stores, head: DeterministicHead(actionSize: shape.actionSize), codec: shape.codec,
            encoder: shape.input.encoder, normalisation: normalisation)
    }

    /// π(s) and exploration noise, or actions at random.
    func act(on observations: Rows, isRandom: Bool, progress: Progress, into actions: Matrix) {
        if isRandom { return exploration.chooseAtRandom(into: actions) }
        actions.copy(actor.forward(parameters, observations, actingWorkspace))
        exploration.addNoise(to: actions, progress: progress)
    }

    // MARK: An update, piece by piece

    /// π⁻(s′) of a piece's transitions, (rows, action), until its next pass.
    func targetActions(_ batch: TransitionBatch, _ index: Int) -> Matrix {
        actor.forward(target, batch.nextObservationRows, pieces[index].workspace)
    }

    /// The gradient of the mean of (Q(s, a) − y)², summed over the critics: y = r + γ (1 − terminated) min Q⁻(s′, a′), with
    /// the next actions a′ that the batch holds.
    func regress(_ batch: TransitionBatch, _ index: Int) {
        let piece = pieces[index]
        let values = critic.leastTarget(batch.nextInputs, piece: index)
        for row in 0..<batch.count {
            piece.targets[row] = batch.rewards[row] + batch.discounts[row] * values[row]
        }
        piece.loss = critic.regress(
            batch.inputs, towards: piece.targets.prefix(batch.count), weight: 1 / Float(minibatches.count),
            piece: index, gradient: criticStep.gradient(piece: index))
    }

    /// The gradient of the mean of −Q₁(s, π(s)) through the action.
    func improve(_ index: Int) {
        let (piece, batch) = (pieces[index], minibatches.pieces[index])
        batch.actions.copy(actor.forward(parameters, batch.observationRows, piece.workspace))
        let (values, byAction) = critic.ascend(
            batch.inputs, slope: -1 / Float(minibatches.count), onlyFirst: true, piece: index)
        piece.loss = -values.sum()
        piece.workspace.dense.outputGradients(rows: batch.count).copy(byAction)
        actor.backward(
            parameters, batch.observationRows, piece.workspace, gradient: actorStep.gradient(piece: index))
    }

    // MARK: … and its steps

    /// Moves the critics along what ``regress(_:_:)`` found.
    func stepCritics(learningRate: Double) throws {
        losses.critic.add(try meanLoss("the critics' loss"))
        try criticStep.apply(learningRate: learningRate)
    }

    /// Moves the actor along what ``improve(_:)`` found.
    func stepActor(learningRate: Double) throws {
        losses.actor.add(try meanLoss("the actor's loss"))
        try actorStep.apply(learningRate: learningRate)
    }

    private func meanLoss(_ name: String) throws -> Double {
        let loss = pieces.reduce(0) { $0 + $1.loss } / Double(minibatches.count)
        try NotFinite.check(loss, name)
        return loss
    }

    // MARK: Reports and state

    func report(_ metrics: inout Metrics) {
        metrics["train/actor_loss"] = losses.actor.take()
        metrics["train/critic_loss"] = losses.critic.take()
    }

    /// Writes or reads networks, optimisers and the minibatches' generators; the exploration has a state of its own.
    func code(_ state: inout StateCoder) throws {
        for store in [target, critic.target] { try state(store) }
        try criticStep.code(&state)
        try actorStep.code(&state)
        try minibatches.code(&state)
    }
}

/// A method that learns a ``DeterministicActorCritic``: what it does besides learning.
package protocol DeterministicMethod: OffPolicyMethod {
    var model: DeterministicActorCritic { get }
    /// Updates of the critics for one of the actor.
    var delay: Int { get }
}

extension DeterministicMethod {
    package var actor: Network { model.actor }
    package var parameters: ParameterStore { model.parameters }
    package var target: ParameterStore { model.target }
    package var critic: CriticEnsemble { model.critic }
    package var operations: Double { model.operations }
    package var stores: [ParameterStore] { model.stores }

    package func policy(normalisation: Normalisation) -> any Policy { model.policy(normalisation: normalisation) }

    package func act(
        on observations: Rows, step: Int, isRandom: Bool, progress: Progress, into actions: Matrix,
        logProbabilities: Vector<Float>
    ) {
        model.act(on: observations, isRandom: isRandom, progress: progress, into: actions)
    }

    package func episodeEnded(_ environment: Int) { model.exploration.reset(environment: environment) }

    /// Between two updates of the actor its actions do not change.
    package func leavesActions(updates count: Int, isRandom: Bool, progress: Progress) -> Bool {
        updates / delay == (updates + count) / delay
    }

    package func report(_ metrics: inout Metrics, progress: Progress) { model.report(&metrics) }
}
