import GymCore
import NeuralNetwork

/// An actor–critic that acts greedily, with its normalisation frozen.
final class ActorCriticPolicy: Policy {
    private let model: ActorCritic
    private var normalisation: Normalisation
    private var observations: UnsafeMutablePointer<Float>
    private var actions: UnsafeMutablePointer<Float>
    private var capacity = 0

    init(_ model: ActorCritic, _ normalisation: Normalisation) {
        self.model = model
        self.normalisation = normalisation
        observations = allocateFloats(1)
        actions = allocateFloats(1)
    }

    deinit {
        observations.deallocate()
        actions.deallocate()
    }

    func act(on batch: BatchBuffer, count: Int, actions target: BatchBuffer) {
        if capacity < count {
            observations.deallocate()
            actions.deallocate()
            observations = allocateFloats(count * model.encoder.size)
            actions = allocateFloats(count * model.codec.size)
            capacity = count
        }
        model.encoder.encode(batch, rows: 0..<count, into: observations)
        normalisation.apply(observations, rows: count)
        for start in stride(from: 0, to: count, by: model.capacity) {
            model.mode(
                observations + start * model.encoder.size, rows: min(model.capacity, count - start),
                actions: actions + start * model.codec.size)
        }
        model.write(actions, rows: count, to: target)
    }

    var tensors: [NamedTensor] {
        model.actorStore.tensors + model.criticStore.tensors + normalisation.tensors
    }

    func load(_ tensors: [NamedTensor]) throws {
        let named = Dictionary(tensors.map { ($0.name, $0.tensor) }, uniquingKeysWith: { first, _ in first })
        try model.actorStore.load(named)
        try model.criticStore.load(named)
        try normalisation.load(named)
    }
}

extension ParameterStore {
    /// The arrays as PyTorch lays them out: weights as (outputs, inputs).
    var tensors: [NamedTensor] {
        views.map { view in
            let values = self[view]
            guard view.name.hasSuffix(".weight") else {
                return NamedTensor(view.name, Tensor(Array(values), shape: view.shape))
            }
            let (inputs, outputs) = (view.shape[0], view.shape[1])
            let transposed = (0..<view.count).map { values[$0 % inputs * outputs + $0 / inputs] }
            return NamedTensor(view.name, Tensor(transposed, shape: [outputs, inputs]))
        }
    }

    /// Takes over arrays of the same names.
    func load(_ tensors: [String: Tensor]) throws {
        for view in views {
            let isWeight = view.name.hasSuffix(".weight")
            let elements: [Float] = try tensors.required(
                view.name, shape: isWeight ? view.shape.reversed() : view.shape)
            let values = self[view]
            let (inputs, outputs) = isWeight ? (view.shape[0], view.shape[1]) : (1, 1)
            for index in 0..<view.count {
                values[isWeight ? index % inputs * outputs + index / inputs : index] = elements[index]
            }
        }
    }
}

extension Normalisation {
    /// The statistics.
    var tensors: [NamedTensor] {
        func arrays(_ prefix: String, _ statistics: RunningStatistics?) -> [NamedTensor] {
            guard let statistics else { return [] }
            return [
                NamedTensor(prefix + ".mean", Tensor(statistics.mean)),
                NamedTensor(prefix + ".variance", Tensor(statistics.variance)),
                NamedTensor(prefix + ".count", Tensor([statistics.count])),
            ]
        }
        return arrays("normalisation.observation", observations) + arrays("normalisation.return", returns)
    }

    /// Takes over the statistics that ``tensors`` gave.
    mutating func load(_ tensors: [String: Tensor]) throws {
        func statistics(_ prefix: String, size: Int) throws -> RunningStatistics {
            var statistics = RunningStatistics(size: size)
            statistics.mean = try tensors.required(prefix + ".mean", shape: [size])
            statistics.variance = try tensors.required(prefix + ".variance", shape: [size])
            statistics.count = try tensors.required(prefix + ".count", shape: [1])[0]
            return statistics
        }
        if let observations {
            self.observations = try statistics("normalisation.observation", size: observations.mean.count)
        }
        if returns != nil { returns = try statistics("normalisation.return", size: 1) }
        refresh()
    }
}

extension [String: Tensor] {
    /// The elements of the array of a name.
    ///
    /// - Throws: ``PolicyError`` when it is missing or of another type or shape.
    fileprivate func required<Element: TensorElement>(_ name: String, shape: [Int]) throws -> [Element] {
        guard let tensor = self[name] else { throw PolicyError("the weights lack '\(name)'") }
        guard tensor.shape == shape, tensor.dtype == Element.dtype else {
            throw PolicyError(
                "'\(name)' is \(tensor.dtype.name) of shape \(tensor.shape); the network takes "
                    + "\(Element.dtype.name) of shape \(shape)")
        }
        return tensor.elements()
    }
}
