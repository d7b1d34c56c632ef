import GymCore
import NeuralNetwork
import RunFiles

extension ParameterStore {
    /// The arrays as PyTorch lays them out: weights as (outputs, inputs), those of convolutions as (filters, channels,
    /// height, width). What follows a convolution has its inputs in the order (height, width, filters).
    var tensors: [NamedTensor] {
        views.map { view in
            let values = elements(view)
            let places = view.placesInPyTorch
            var elements = [Float](repeating: 0, count: view.count)
            for (index, place) in places.enumerated() { elements[place] = values[index] }
            return NamedTensor(view.name, Tensor(elements, shape: view.shapeInPyTorch))
        }
    }

    /// Takes over arrays of the same names.
    func load(_ tensors: [String: Tensor]) throws {
        for view in views {
            let elements: [Float] = try tensors.required(view.name, shape: view.shapeInPyTorch)
            let values = self.elements(view)
            for (index, place) in view.placesInPyTorch.enumerated() { values[index] = elements[place] }
        }
    }
}

extension [NamedTensor] {
    /// The arrays by their names.
    var byName: [String: Tensor] {
        Dictionary(map { ($0.name, $0.tensor) }, uniquingKeysWith: { first, _ in first })
    }
}

extension [ParameterStore] {
    /// Takes over arrays of the same names.
    ///
    /// - Throws: ``PolicyError``.
    func load(_ tensors: [NamedTensor]) throws {
        let named = tensors.byName
        for store in self { try store.load(named) }
    }
}

extension ParameterView {
    private var isWeight: Bool { name.hasSuffix(".weight") }

    /// The shape that PyTorch gives such an array.
    fileprivate var shapeInPyTorch: [Int] {
        guard isWeight else { return shape }
        // A convolution's is (planes, height, width, channels, filters).
        return shape.count == 5 ? [shape[4], shape[0] * shape[3], shape[1], shape[2]] : shape.reversed()
    }

    /// Where PyTorch has each of the elements.
    fileprivate var placesInPyTorch: [Int] {
        guard isWeight else { return Array(0..<count) }
        let outputs = shape[shape.count - 1]
        let inputs = count / outputs
        return (0..<count).map { index in
            let (input, output) = index.quotientAndRemainder(dividingBy: outputs)
            guard shape.count == 5 else { return output * inputs + input }
            let (pixel, channel) = input.quotientAndRemainder(dividingBy: shape[3])
            let (plane, place) = pixel.quotientAndRemainder(dividingBy: shape[1] * shape[2])
            return output * inputs + (plane * shape[3] + channel) * shape[1] * shape[2] + place
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
