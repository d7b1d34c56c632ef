import GymCore
import NeuralNetwork

/// The greedy policy of an off-policy learner, its normalisation frozen: a network, and what its outputs mean.
final class OffPolicyPolicy: Policy {
    /// How a row of outputs becomes an action.
    enum Head {
        /// The choice whose value is largest; the values are the row's last numbers.
        case largest(ActionCodec, choices: Int)
        /// The row's first numbers, from −1 to 1.
        case actions(BoxActions)
        /// tanh of the row's first numbers.
        case squashed(BoxActions)
    }

    private let network: MultiLayerPerceptron
    private let store: ParameterStore
    private let others: [ParameterStore]
    private let head: Head
    private let encoder: ObservationEncoder
    private var normalisation: Normalisation
    private let workspace: MultiLayerPerceptron.Workspace
    private var observations = allocateFloats(1)
    private var outputs = allocateFloats(1)
    private var actions = allocateFloats(1)
    private var scratch = allocateFloats(1)
    private var capacity = 0

    /// Rows of a pass.
    private static let rows = 128

    /// - Parameters:
    ///   - others: what is saved with the policy besides: critics and targets.
    init(
        _ network: MultiLayerPerceptron, _ store: ParameterStore, others: [ParameterStore], head: Head,
        encoder: ObservationEncoder, normalisation: Normalisation
    ) {
        self.network = network
        self.store = store
        self.others = others
        self.head = head
        self.encoder = encoder
        self.normalisation = normalisation
        workspace = MultiLayerPerceptron.Workspace(for: network, capacity: OffPolicyPolicy.rows)
    }

    deinit {
        for memory in [observations, outputs, actions, scratch] { memory.deallocate() }
    }

    func act(on batch: BatchBuffer, count: Int, actions target: BatchBuffer) {
        if capacity < count { grow(to: count) }
        encoder.encode(batch, rows: 0..<count, into: observations)
        normalisation.apply(observations, rows: count)
        for start in stride(from: 0, to: count, by: OffPolicyPolicy.rows) {
            let rows = min(OffPolicyPolicy.rows, count - start)
            let output = network.forward(store.values, observations + start * encoder.size, rows: rows, workspace)
            (outputs + start * network.outputs).update(from: output, count: rows * network.outputs)
        }
        head.write(outputs, width: network.outputs, rows: count, actions: actions, scratch: scratch, to: target)
    }

    private func grow(to count: Int) {
        for memory in [observations, outputs, actions, scratch] { memory.deallocate() }
        observations = allocateFloats(count * encoder.size)
        outputs = allocateFloats(count * network.outputs)
        actions = allocateFloats(count * network.outputs)
        scratch = allocateFloats(count * network.outputs)
        capacity = count
    }

    var tensors: [NamedTensor] {
        store.tensors + others.flatMap(\.tensors) + normalisation.tensors
    }

    func load(_ tensors: [NamedTensor]) throws {
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
        case .actions(let box):
            for row in 0..<rows { (actions + row * box.size).update(from: outputs + row * width, count: box.size) }
            box.write(actions, rows: rows, scratch: scratch, to: batch)
        case .squashed(let box):
            for row in 0..<rows {
                for index in 0..<box.size {
                    actions[row * box.size + index] = SquashedGaussian.squash(outputs[row * width + index]).action
                }
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
