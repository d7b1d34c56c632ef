import GymCore

/// How an affine map starts.
public enum Initialisation: Sendable, Hashable {
    /// Weights (semi-)orthogonal times the gain, bias zero: `torch.nn.init.orthogonal_`, from the QR decomposition
    /// of a matrix of standard normals (Saxe et al. 2014, arXiv 1312.6120).
    case orthogonal(gain: Float)
    /// Weights and bias uniform in ±1/√inputs: what `torch.nn.Linear` does by default.
    case uniform
}

extension MultiLayerPerceptron {
    /// Draws the parameters.
    ///
    /// - Parameters:
    ///   - hidden: for every layer but the last.
    ///   - output: for the last layer.
    public func initialise(
        _ store: ParameterStore, hidden: Initialisation, output: Initialisation,
        generator: inout NumPyGenerator
    ) {
        for (index, layer) in layers.enumerated() {
            let weight = store[layer.weight]
            let bias = store[layer.bias]
            switch index == layers.count - 1 ? output : hidden {
            case .orthogonal(let gain):
                let columns = orthogonal(layer.inputs, layer.outputs, generator: &generator)
                for element in 0..<weight.count { weight[element] = gain * Float(columns[element]) }
                bias.update(repeating: 0)
            case .uniform:
                let bound = 1 / Double(layer.inputs).squareRoot()
                for element in 0..<weight.count { weight[element] = Float(generator.uniform(-bound, bound)) }
                for element in 0..<bias.count { bias[element] = Float(generator.uniform(-bound, bound)) }
            }
        }
    }
}

/// A (rows, columns) matrix, row-major, whose shorter axis is orthonormal, uniform among all such.
private func orthogonal(_ rows: Int, _ columns: Int, generator: inout NumPyGenerator) -> [Double] {
    // Gram–Schmidt on `short` vectors of `long` normals, twice over (that is enough for full precision). It gives the
    // Q of the QR decomposition whose R has a positive diagonal, which is what PyTorch's multiplication of Q by
    // sign(diag R) makes of it.
    let short = min(rows, columns)
    let long = max(rows, columns)
    var vectors: [[Double]] = []
    for _ in 0..<short {
        var vector = (0..<long).map { _ in generator.standardNormal() }
        for _ in 0..<2 {
            for other in vectors {
                let overlap = zip(vector, other).reduce(0) { $0 + $1.0 * $1.1 }
                for index in 0..<long { vector[index] -= overlap * other[index] }
            }
        }
        let norm = vector.reduce(0) { $0 + $1 * $1 }.squareRoot()
        for index in 0..<long { vector[index] /= norm }
        vectors.append(vector)
    }
    return (0..<rows * columns).map { element in
        let (row, column) = element.quotientAndRemainder(dividingBy: columns)
        return rows < columns ? vectors[row][column] : vectors[column][row]
    }
}
