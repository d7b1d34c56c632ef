import GymCore
import NeuralNetwork
import RunFiles

/// The greedy policy of an off-policy learner, its normalisation frozen: a network, and what its outputs mean.
package final class OffPolicyPolicy: Policy {
    /// How a row of outputs becomes an action.
    enum Head {
        /// The choice whose value is largest; the values are the row's last numbers.
        case largest(ActionCodec, choices: Int)
        /// The row's first numbers, brought between −1 and 1.
        case actions(BoxActions, Squashing)
    }

    /// How a number of a row comes between −1 and 1.
    package enum Squashing: Sendable {
        /// It is there already.
        case none
        /// tanh.
        case tanh
        /// tanh, once the number is within ± the limit.
        case tanhWithin(Float)

        /// The number that comes of one, with what noise adds to it before it is squashed.
        package func callAsFunction(_ value: Float, noise: Float = 0) -> Float {
            switch self {
            case .none: value + noise
            case .tanh: SquashedGaussian.squash(value + noise).action
            case .tanhWithin(let limit): SquashedGaussian.squash(min(max(value, -limit), limit) + noise).action
            }
        }
    }

    let network: Network
    let store: ParameterStore
    private let others: [ParameterStore]
    let head: Head
    let encoder: ObservationEncoder
    private(set) var normalisation: Normalisation
    private let workspace: Network.Workspace
    private var observations: PolicyObservations
    private var outputs = allocateFloats(1)
    private var actions = allocateFloats(1)
    private var scratch = allocateFloats(1)
    private var capacity = 0

    /// Rows of a pass.
    private static let rows = 128

    /// - Parameters:
    ///   - others: what is saved with the policy besides: critics and targets.
    init(
        _ network: Network, _ store: ParameterStore, others: [ParameterStore], head: Head,
        encoder: ObservationEncoder, normalisation: Normalisation
    ) {
        self.network = network
        self.store = store
        self.others = others
        self.head = head
        self.encoder = encoder
        observations = PolicyObservations(encoder)
        self.normalisation = normalisation
        workspace = Network.Workspace(for: network, capacity: OffPolicyPolicy.rows)
    }

    deinit {
        for memory in [outputs, actions, scratch] { memory.deallocate() }
    }

    package func startEpisode(_ row: Int) { observations.startEpisode(row) }

    package func act(on batch: BatchBuffer, count: Int, actions target: BatchBuffer) {
        if capacity < count { grow(to: count) }
        let input = observations.take(batch, count: count, normalisation)
        for start in stride(from: 0, to: count, by: OffPolicyPolicy.rows) {
            let rows = min(OffPolicyPolicy.rows, count - start)
            let output = network.forward(store.values, input + start * encoder.format.rowBytes, rows: rows, workspace)
            (outputs + start * network.outputs).update(from: output, count: rows * network.outputs)
        }
        head.write(outputs, width: network.outputs, rows: count, actions: actions, scratch: scratch, to: target)
    }

    private func grow(to count: Int) {
        for memory in [outputs, actions, scratch] { memory.deallocate() }
        outputs = allocateFloats(count * network.outputs)
        actions = allocateFloats(count * network.outputs)
        scratch = allocateFloats(count * network.outputs)
        capacity = count
    }

    package var tensors: [NamedTensor] {
        store.tensors + others.flatMap(\.tensors) + normalisation.tensors
    }

    package func load(_ tensors: [NamedTensor]) throws {
        let named = Dictionary(tensors.map { ($0.name, $0.tensor) }, uniquingKeysWith: { first, _ in first })
        for store in [store] + others { try store.load(named) }
        try normalisation.load(named)
    }
}

extension OffPolicyPolicy.Head {
    /// Writes the greedy actions of rows of outputs where the environments read them.
    func write(
        _ outputs: UnsafePointer<Float>, width: Int, rows: Int, actions: UnsafeMutablePointer<Float>,
        scratch: UnsafeMutablePointer<Float>, to batch: BatchBuffer
    ) {
        switch self {
        case .largest(let codec, let choices):
            actions.withMemoryRebound(to: Int32.self, capacity: rows) { chosen in
                for row in 0..<rows {
                    chosen[row] = Int32(indexOfLargest(outputs + row * width + width - choices, count: choices))
                }
                codec.write(choices: chosen, rows: rows, to: batch)
            }
        case .actions(let box, let squashing):
            for row in 0..<rows {
                for index in 0..<box.size { actions[row * box.size + index] = squashing(outputs[row * width + index]) }
            }
            box.write(actions, rows: rows, scratch: scratch, to: batch)
        }
    }
}

/// Where the largest of a few values stands, the first among equals.
@inline(__always)
func indexOfLargest(_ values: UnsafePointer<Float>, count: Int) -> Int {
    var best = 0
    for index in 1..<max(1, count) where values[index] > values[best] { best = index }
    return best
}
