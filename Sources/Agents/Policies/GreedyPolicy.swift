import GymCore
import NeuralNetwork
import RunFiles

/// A network that acts by its head: greedily, or drawing as it does in training. Its parameters and its normalisation are
/// its own, as they were when it was made; a learner that goes on does not change them.
package final class GreedyPolicy: Policy {
    let network: Network
    /// What the network acts by.
    let parameters: ParameterStore
    /// What is saved with the policy besides: critics and targets.
    private let others: [ParameterStore]
    let head: any Head
    /// The head, where it draws.
    private let stochastic: (actor: Actor, pass: ActorPass)?
    let codec: ActionCodec
    let encoder: ObservationEncoder
    private(set) var normalisation: Normalisation
    private let workspace: Network.Workspace
    private var observations: PolicyObservations
    private var actions: Matrix
    private var logProbabilities = Vector<Float>(count: 0)

    /// Rows of a pass.
    private static let rows = 128

    /// - Parameters:
    ///   - stores: what the network acts by, then what is saved with the policy besides; copied.
    package init(
        _ network: Network, _ stores: [ParameterStore], head: any Head,
        codec: ActionCodec, encoder: ObservationEncoder, normalisation: Normalisation
    ) {
        self.network = network
        self.head = head
        if let head = head as? any StochasticHead {
            let actor = Actor(network, copying: stores[0], head: head)
            stochastic = (actor, actor.makePass(rows: GreedyPolicy.rows))
            self.parameters = actor.parameters
        } else {
            stochastic = nil
            self.parameters = ParameterStore(copying: stores[0])
        }
        others = stores.dropFirst().map { ParameterStore(copying: $0) }
        self.codec = codec
        self.encoder = encoder
        self.normalisation = normalisation
        workspace = Network.Workspace(for: network, capacity: GreedyPolicy.rows)
        observations = PolicyObservations(encoder)
        actions = Matrix(rows: 0, columns: codec.size)
    }

    package func startEpisode(_ row: Int) { observations.startEpisode(row) }

    package func act(on batch: BatchBuffer, count: Int, actions target: BatchBuffer) {
        pass(over: batch, count: count, to: target) { rows, actions, _ in
            head.greedy(network.forward(parameters, rows, workspace), into: actions)
        }
    }

    package var drawsActions: Bool { stochastic != nil }

    /// Noise that lasts is drawn anew each step.
    package func act(
        on batch: BatchBuffer, count: Int, actions target: BatchBuffer, generators: inout [NumPyGenerator]
    ) {
        guard let (actor, pass) = stochastic else { return act(on: batch, count: count, actions: target) }
        let maps = Matrix(rows: 1, columns: actor.head.mapSize)
        var environment = 0
        self.pass(over: batch, count: count, to: target) { rows, actions, logProbabilities in
            for row in 0..<rows.count {
                actor.head.drawMaps(parameters, generator: &generators[environment], into: maps)
                actor.act(
                    rows[row..<row + 1], maps: maps, generator: &generators[environment], pass,
                    into: actions[rows: row..<row + 1], logProbabilities: logProbabilities[row..<row + 1])
                environment += 1
            }
        }
    }

    /// Takes in the observations, has `act` choose the actions of a few rows at a time, and writes them.
    private func pass(
        over batch: BatchBuffer, count: Int, to target: BatchBuffer,
        act: (_ rows: Rows, _ actions: Matrix, _ logProbabilities: Vector<Float>) -> Void
    ) {
        if actions.rows < count {
            actions = Matrix(rows: count, columns: codec.size)
            logProbabilities = Vector(count: count)
        }
        let rows = observations.take(batch, count: count, normalisation)
        for start in stride(from: 0, to: count, by: GreedyPolicy.rows) {
            let range = start..<min(start + GreedyPolicy.rows, count)
            act(rows[range], actions[rows: range], logProbabilities[range])
        }
        codec.write(actions.prefix(count), to: target)
    }

    package var tensors: [NamedTensor] {
        parameters.tensors + others.flatMap(\.tensors) + normalisation.tensors
    }

    package func load(_ tensors: [NamedTensor]) throws {
        try ([parameters] + others).load(tensors)
        try normalisation.load(tensors.byName)
    }
}
