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
    /// What these were copied from.
    private let sources: [ParameterStore]
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
    ///   - parameters: what the network acts by; copied, as are `others`.
    ///   - others: what is saved with the policy besides.
    package init(
        _ network: Network, _ parameters: ParameterStore, others: [ParameterStore], head: any Head,
        codec: ActionCodec, encoder: ObservationEncoder, normalisation: Normalisation
    ) {
        self.network = network
        self.head = head
        if let head = head as? any StochasticHead {
            let actor = Actor(network, copying: parameters, head: head)
            stochastic = (actor, actor.makePass(rows: GreedyPolicy.rows))
            self.parameters = actor.parameters
        } else {
            stochastic = nil
            self.parameters = ParameterStore(copying: parameters)
        }
        self.others = others.map { ParameterStore(copying: $0) }
        sources = [parameters] + others
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

    package func act(
        on batch: BatchBuffer, count: Int, actions target: BatchBuffer, generators: inout [NumPyGenerator]
    ) {
        guard let (actor, pass) = stochastic else { return act(on: batch, count: count, actions: target) }
        let maps = Matrix(rows: 1, columns: actor.head.mapSize)
        // Row by row, so that what one environment draws depends on no other.
        self.pass(over: batch, count: count, atATime: 1, to: target) { rows, actions, range in
            let index = range.lowerBound
            actor.head.drawMaps(parameters, generator: &generators[index], into: maps)
            actor.act(
                rows, maps: maps, generator: &generators[index], pass, into: actions,
                logProbabilities: logProbabilities[range])
        }
    }

    /// Takes in the observations, has `act` choose the actions of a few rows at a time, and writes them.
    private func pass(
        over batch: BatchBuffer, count: Int, atATime most: Int = GreedyPolicy.rows, to target: BatchBuffer,
        act: (_ rows: Rows, _ actions: Matrix, _ range: Range<Int>) -> Void
    ) {
        if actions.rows < count {
            actions = Matrix(rows: count, columns: codec.size)
            logProbabilities = Vector(count: count)
        }
        let rows = observations.take(batch, count: count, normalisation)
        for start in stride(from: 0, to: count, by: most) {
            let range = start..<min(start + most, count)
            act(rows[range], actions[rows: range], range)
        }
        codec.write(actions.prefix(count), to: target)
    }

    /// Has the networks that the policy was copied from be what it is now: for a run that starts with another's policy.
    package func overwriteSources() {
        for (source, own) in zip(sources, [parameters] + others) { source.parameters.copy(own.parameters) }
    }

    package var tensors: [NamedTensor] {
        parameters.tensors + others.flatMap(\.tensors) + normalisation.tensors
    }

    package func load(_ tensors: [NamedTensor]) throws {
        let named = Dictionary(tensors.map { ($0.name, $0.tensor) }, uniquingKeysWith: { first, _ in first })
        for store in [parameters] + others { try store.load(named) }
        try normalisation.load(named)
    }
}
