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
            (index == layers.count - 1 ? output : hidden).fill(
                store, layer.weight, layer.bias, inputs: layer.inputs, generator: &generator)
            layer.norm?.initialise(store)
        }
    }
}

extension Initialisation {
    /// Draws the parameters of one affine map from `inputs` numbers.
    func fill(
        _ store: ParameterStore, _ weight: ParameterView, _ bias: ParameterView, inputs: Int,
        generator: inout NumPyGenerator
    ) {
        let weight = store[weight]
        let bias = store[bias]
        switch self {
        case .orthogonal(let gain):
            let columns = orthogonalMatrix(inputs, bias.count, generator: &generator)
            for element in 0..<weight.count { weight[element] = gain * Float(columns[element]) }
            bias.update(repeating: 0)
        case .uniform:
            let bound = 1 / Double(inputs).squareRoot()
            for element in 0..<weight.count { weight[element] = Float(generator.uniform(-bound, bound)) }
            for element in 0..<bias.count { bias[element] = Float(generator.uniform(-bound, bound)) }
        }
    }
}

/// A (rows, columns) matrix, row-major, whose shorter axis is orthonormal, uniform among all such.
private func orthogonalMatrix(_ rows: Int, _ columns: Int, generator: inout NumPyGenerator) -> [Double] {
    // Gram–Schmidt on `short` vectors of `long` normals, twice over (that is enough for full precision). It gives the
    // Q of the QR decomposition whose R has a positive diagonal, which is what PyTorch's multiplication of Q by
    // sign(diag R) makes of it.
    let short = min(rows, columns)
    let long = max(rows, columns)
    var vectors = [Double](repeating: 0, count: short * long)
    vectors.withUnsafeMutableBufferPointer { buffer in
        let vectors = buffer.baseAddress!
        for index in 0..<short {
            let vector = vectors + index * long
            for element in 0..<long { vector[element] = generator.standardNormal() }
            for _ in 0..<2 {
                for other in 0..<index {
                    let other = vectors + other * long
                    let overlap = dot(vector, other, count: long)
                    for element in 0..<long { vector[element] -= overlap * other[element] }
                }
            }
            let norm = dot(vector, vector, count: long).squareRoot()
            for element in 0..<long { vector[element] /= norm }
        }
    }
    return (0..<rows * columns).map { element in
        let (row, column) = element.quotientAndRemainder(dividingBy: columns)
        return rows < columns ? vectors[row * long + column] : vectors[column * long + row]
    }
}

/// Σ aᵢ bᵢ, in eight sums: one is as slow as its chain of additions.
private func dot(_ a: UnsafePointer<Double>, _ b: UnsafePointer<Double>, count: Int) -> Double {
    var sums = SIMD8<Double>.zero
    var index = 0
    while index + 8 <= count {
        var (x, y) = (SIMD8<Double>.zero, SIMD8<Double>.zero)
        for lane in 0..<8 { (x[lane], y[lane]) = (a[index + lane], b[index + lane]) }
        sums += x * y
        index += 8
    }
    var sum = sums.sum()
    while index < count {
        sum += a[index] * b[index]
        index += 1
    }
    return sum
}
