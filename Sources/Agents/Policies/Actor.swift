import GymCore
import NeuralNetwork

/// A policy that draws its actions: a network, its parameters, and the head that makes actions of its outputs.
package final class Actor: Sendable {
    package let network: Network
    /// The network's, and behind them the head's.
    package let parameters: ParameterStore
    package let head: any StochasticHead
    /// The head, where gradients go through its actions.
    private let reparameterised: (any ReparameterisedHead)?

    /// - Parameter layout: of the network's parameters and the head's.
    package init(_ network: Network, _ layout: ParameterLayout, head: any StochasticHead) {
        self.network = network
        parameters = ParameterStore(layout)
        self.head = head
        reparameterised = head as? any ReparameterisedHead
    }

    /// An actor with the values of some parameters, and not those themselves.
    init(_ network: Network, copying parameters: ParameterStore, head: any StochasticHead) {
        self.network = network
        self.parameters = ParameterStore(copying: parameters)
        self.head = head
        reparameterised = head as? any ReparameterisedHead
    }

    /// Memory for passes of up to `rows` rows.
    package func makePass(rows: Int) -> ActorPass { ActorPass(network, head, rows: rows) }

    /// Draws an action for each row, and writes its log-probability.
    ///
    /// - Parameters:
    ///   - maps: of noise that lasts, one for all rows or one a row; of no columns for other heads.
    ///   - actions: (rows, action).
    ///   - logProbabilities: (rows).
    package func act(
        _ observations: Rows, maps: Matrix, generator: inout NumPyGenerator, _ pass: ActorPass, into actions: Matrix,
        logProbabilities: Vector<Float>
    ) {
        pass.forward(network, parameters, observations)
        head.sample(
            parameters, pass, maps: maps, generator: &generator, into: actions, logProbabilities: logProbabilities)
    }

    /// log π(a|s) and the entropy of each row.
    package func evaluate(
        _ observations: Rows, actions: Matrix, _ pass: ActorPass, logProbabilities: Vector<Float>,
        entropies: Vector<Float>
    ) {
        pass.forward(network, parameters, observations)
        head.evaluate(
            parameters, pass, actions: actions, logProbabilities: logProbabilities, entropies: entropies)
    }

    /// The gradient of a loss whose derivatives by each row's log π(a|s) and by its entropy are given; after
    /// ``evaluate(_:actions:_:logProbabilities:entropies:)`` of the same rows.
    package func backward(
        _ pass: ActorPass, actions: Matrix, byLogProbability: Vector<Float>, byEntropy: Float, gradient: Vector<Float>
    ) {
        head.backward(
            parameters, pass, actions: actions, byLogProbability: byLogProbability, byEntropy: byEntropy,
            gradient: gradient)
        network.backward(parameters, pass.input, pass.workspace, gradient: gradient)
    }

    /// The gradient of a loss whose derivatives by the drawn actions and by log π are given, the noise being what it was;
    /// after ``act(_:maps:generator:_:into:logProbabilities:)`` of the same rows with one map for all.
    ///
    /// - Precondition: the head is reparameterised.
    package func backward(
        _ pass: ActorPass, drawn actions: Matrix, maps: Matrix, byAction: Matrix, byLogProbability: Float,
        gradient: Vector<Float>
    ) {
        guard let reparameterised else { preconditionFailure("no gradient goes through the actions of \(head)") }
        let byLatents = reparameterised.backward(
            parameters, pass, drawn: actions, maps: maps, byAction: byAction, byLogProbability: byLogProbability,
            gradient: gradient)
        network.backward(
            parameters, pass.input, pass.workspace, gradient: gradient, latentGradient: byLatents)
    }
}

/// A pass of an actor over some rows: what its network computes, and what its head keeps for the way back.
package final class ActorPass: @unchecked Sendable {
    // Sendable: one thread works with it at a time.
    package let workspace: Network.Workspace
    let scratch: HeadScratch
    /// The rows of the pass.
    private(set) var input: Rows

    init(_ network: Network, _ head: any Head, rows: Int) {
        workspace = Network.Workspace(for: network, capacity: rows)
        scratch = head.makeScratch(rows: rows)
        input = Rows(network.input, count: 0)
    }

    fileprivate func forward(_ network: Network, _ parameters: ParameterStore, _ input: Rows) {
        self.input = input
        network.forward(parameters, input, workspace)
    }

    var rows: Int { input.count }
    /// The network's outputs, (rows, outputs).
    package var outputs: Matrix { workspace.dense.outputs(rows: rows) }
    /// The gradient by them, (rows, outputs).
    package var outputGradients: Matrix { workspace.dense.outputGradients(rows: rows) }
    /// The last hidden layer's output, (rows, features).
    var latents: Matrix { workspace.dense.latents(of: input) }
}
