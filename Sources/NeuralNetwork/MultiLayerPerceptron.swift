import CVectorKernels
import GymCore

/// What follows a layer's affine map.
public enum Activation: String, Sendable, Hashable, CaseIterable {
    case identity
    case tanh
    case relu

    /// y = f(x), in place.
    @inline(__always)
    func forward(_ values: UnsafeMutablePointer<Float>, count: Int) {
        switch self {
        case .identity: break
        case .tanh: vector_kernels_tanh(count, values, values)
        case .relu: vector_kernels_relu(count, values, values)
        }
    }

    /// From the gradient by y to the gradient by x, in place, given y.
    @inline(__always)
    func backward(_ gradient: UnsafeMutablePointer<Float>, values: UnsafePointer<Float>, count: Int) {
        switch self {
        case .identity: break
        case .tanh: vector_kernels_tanh_backward(count, values, gradient)
        case .relu: vector_kernels_relu_backward(count, values, gradient)
        }
    }
}

/// Fully connected layers, one after the other: y = f(… f(x W₀ + b₀) W₁ + b₁ …); with layer normalisation, what a
/// hidden layer's f sees is normalised first.
///
/// The value says where the parameters lie and how they combine; the parameters themselves are passed in, so that one
/// network runs with its own and with a target's. What a pass computes goes into a ``Workspace``.
public struct MultiLayerPerceptron: Sendable {
    /// One affine map and what follows it.
    public struct Layer: Sendable {
        /// The numbers that come in.
        public let inputs: Int
        /// The numbers that go out.
        public let outputs: Int
        /// What follows the affine map.
        public let activation: Activation
        /// (inputs, outputs).
        public let weight: ParameterView
        /// (outputs).
        public let bias: ParameterView
        /// What stands between affine map and activation, if anything does.
        public let norm: LayerNorm?
    }

    /// The layers, first to last.
    public let layers: [Layer]
    /// The length of an input row.
    public var inputs: Int { layers[0].inputs }
    /// The length of an output row.
    public var outputs: Int { layers[layers.count - 1].outputs }
    /// The multiplications of a pass forward for one row.
    public var multiplications: Double { layers.reduce(0) { $0 + Double($1.weight.count) } }

    /// A network with the given widths, `sizes[0]` the inputs and the last one the outputs.
    ///
    /// - Parameters:
    ///   - name: what its parameters' names start with; they go on `.0.weight`, `.0.bias`, `.1.weight`, …
    ///   - layerNorm: whether each hidden layer is normalised before its activation; parameters `.0.norm.weight`, ….
    ///   - layout: where the parameters are reserved.
    /// - Precondition: there are at least two sizes, all positive.
    public init(
        _ name: String, sizes: [Int], activation: Activation, firstActivation: Activation? = nil,
        outputActivation: Activation = .identity, layerNorm: Bool = false, layout: inout ParameterLayout
    ) {
        precondition(
            sizes.count >= 2 && sizes.allSatisfy { $0 > 0 }, "a network's sizes are positive: \(sizes)")
        var layers: [Layer] = []
        for index in 0..<sizes.count - 1 {
            layers.append(
                Layer(
                    inputs: sizes[index], outputs: sizes[index + 1],
                    activation: index == sizes.count - 2
                        ? outputActivation : index == 0 ? firstActivation ?? activation : activation,
                    weight: layout.add("\(name).\(index).weight", shape: [sizes[index], sizes[index + 1]]),
                    bias: layout.add("\(name).\(index).bias", shape: [sizes[index + 1]]),
                    norm: layerNorm && index < sizes.count - 2
                        ? LayerNorm("\(name).\(index).norm", size: sizes[index + 1], layout: &layout) : nil))
        }
        self.layers = layers
    }

    /// What the passes of a network compute: activations, the gradients by them, and scratch. One a thread.
    public final class Workspace: @unchecked Sendable {
        /// The most rows a pass may have.
        public let capacity: Int
        /// After `forward`: layer l's output, (rows, outputs of l).
        public let activations: [UnsafeMutablePointer<Float>]
        /// Layer l's gradient by its output, and after `backward` by its affine map's; (rows, outputs of l).
        fileprivate let gradients: [UnsafeMutablePointer<Float>]
        /// A transposed weight, or its gradient.
        fileprivate let scratch: UnsafeMutablePointer<Float>
        /// Of the layers that are normalised.
        fileprivate let norms: [LayerNorm.Workspace?]
        /// The outputs of each layer.
        let widths: [Int]

        /// Memory for passes of up to `capacity` rows.
        public init(for network: MultiLayerPerceptron, capacity: Int) {
            self.capacity = capacity
            widths = network.layers.map(\.outputs)
            activations = network.layers.map { allocateFloats(capacity * $0.outputs) }
            gradients = network.layers.map { allocateFloats(capacity * $0.outputs) }
            scratch = allocateFloats(network.layers.map(\.weight.count).max()!)
            norms = network.layers.map {
                $0.norm == nil ? nil : LayerNorm.Workspace(size: $0.outputs, capacity: capacity)
            }
        }

        deinit {
            for memory in activations + gradients + [scratch] { memory.deallocate() }
        }

        /// After `forward`: the network's output, (rows, outputs).
        public var output: UnsafeMutablePointer<Float> { activations[activations.count - 1] }
        /// After `forward`: the last hidden layer's output; `nil` where there is no hidden layer.
        public var latents: UnsafePointer<Float>? {
            activations.count > 1 ? UnsafePointer(activations[activations.count - 2]) : nil
        }
        /// Where the gradient of the loss by the output goes before `backward`; (rows, outputs).
        public var outputGradient: UnsafeMutablePointer<Float> { gradients[gradients.count - 1] }
    }

    /// Computes the output of `rows` inputs.
    ///
    /// - Parameters:
    ///   - parameters: a store's values, or its like.
    ///   - input: (rows, inputs).
    /// - Returns: (rows, outputs), in the workspace until the next pass.
    @discardableResult
    public func forward(
        _ parameters: UnsafePointer<Float>, _ input: UnsafePointer<Float>, rows: Int, _ workspace: Workspace
    ) -> UnsafeMutablePointer<Float> {
        forward(parameters, .dense(input, stride: inputs), rows: rows, workspace)
    }

    /// As ``forward(_:_:rows:_:)``, of rows that may be sparse.
    @discardableResult
    func forward(
        _ parameters: UnsafePointer<Float>, _ input: InputRows, rows: Int, _ workspace: Workspace
    ) -> UnsafeMutablePointer<Float> {
        precondition(rows <= workspace.capacity, "\(rows) rows in a workspace for \(workspace.capacity)")
        var input = input
        for (index, layer) in layers.enumerated() {
            let y = workspace.activations[index]
            switch input {
            case .dense(let x, let stride):
                matrixProduct(
                    m: rows, n: layer.outputs, k: layer.inputs, x, strideA: stride, parameters + layer.weight.offset,
                    bias: parameters + layer.bias.offset, into: y)
            case .sparse(let x):
                x.product(
                    parameters + layer.weight.offset, bias: parameters + layer.bias.offset, rows: rows,
                    outputs: layer.outputs, into: y)
            }
            layer.norm?.forward(parameters, y, rows: rows, workspace.norms[index]!)
            layer.activation.forward(y, count: rows * layer.outputs)
            input = .dense(UnsafePointer(y), stride: layer.outputs)
        }
        return workspace.output
    }

    /// Moves some rows of the pass that `forward` made to the front, for a way back through them alone.
    ///
    /// The parameters' gradient is not to be had of them: it wants the rows of the input, too.
    ///
    /// - Parameter rows: which, ascending.
    public func keep(_ rows: UnsafeBufferPointer<Int32>, _ workspace: Workspace) {
        for (index, layer) in layers.enumerated() {
            let values = workspace.activations[index]
            for (position, row) in rows.enumerated() where position != Int(row) {
                let size = layer.outputs
                (values + position * size).update(from: values + Int(row) * size, count: size)
                layer.norm?.move(row: Int(row), to: position, workspace.norms[index]!)
            }
        }
    }

    /// Carries the gradient in `workspace.outputGradient` back through the pass that `forward` made.
    ///
    /// - Parameters:
    ///   - gradient: where the gradient by the parameters goes, laid out as they are; `nil`: not wanted.
    ///   - inputGradient: where the gradient by the input goes, (rows, elements of `inputColumns`); `nil`: not wanted.
    ///   - inputColumns: the part of an input row that the gradient is wanted by; `nil`: all of it.
    ///   - latentGradient: a gradient by the last hidden layer's output that comes from elsewhere and is added to that
    ///     from the network's own output, (rows, outputs of that layer); `nil`: none does.
    public func backward(
        _ parameters: UnsafePointer<Float>, _ input: UnsafePointer<Float>, rows: Int, _ workspace: Workspace,
        gradient: UnsafeMutablePointer<Float>?, inputGradient: UnsafeMutablePointer<Float>? = nil,
        inputColumns: Range<Int>? = nil, latentGradient: UnsafePointer<Float>? = nil
    ) {
        backward(
            parameters, .dense(input, stride: inputs), rows: rows, workspace, gradient: gradient,
            inputGradient: inputGradient,
            inputColumns: inputColumns, latentGradient: latentGradient)
    }

    /// As the other, of rows that may be sparse.
    func backward(
        _ parameters: UnsafePointer<Float>, _ input: InputRows, rows: Int, _ workspace: Workspace,
        gradient: UnsafeMutablePointer<Float>?, inputGradient: UnsafeMutablePointer<Float>? = nil,
        inputColumns: Range<Int>? = nil, latentGradient: UnsafePointer<Float>? = nil
    ) {
        for index in stride(from: layers.count - 1, through: 0, by: -1) {
            let layer = layers[index]
            let x =
                index == 0 ? input : .dense(UnsafePointer(workspace.activations[index - 1]), stride: layer.inputs)
            let delta = workspace.gradients[index]
            layer.activation.backward(
                delta, values: workspace.activations[index], count: rows * layer.outputs)
            layer.norm?.backward(parameters, delta, rows: rows, workspace.norms[index]!, gradient: gradient)
            if let gradient {
                switch x {
                case .dense(let x, let stride):
                    weightGradient(
                        layer, x, stride: stride, delta, rows: rows, into: gradient + layer.weight.offset,
                        workspace.scratch)
                case .sparse(let x):
                    x.weightGradient(
                        delta, rows: rows, outputs: layer.outputs, into: gradient + layer.weight.offset)
                }
                vector_kernels_column_sums(rows, layer.outputs, delta, gradient + layer.bias.offset, 0)
            }
            guard let next = index > 0 ? workspace.gradients[index - 1] : inputGradient else { continue }
            // dx = dy Wᵀ
            let columns = index == 0 ? inputColumns ?? 0..<layer.inputs : 0..<layer.inputs
            vector_kernels_transpose(
                columns.count, layer.outputs,
                parameters + layer.weight.offset + columns.lowerBound * layer.outputs, workspace.scratch)
            matrixProduct(m: rows, n: columns.count, k: layer.outputs, delta, workspace.scratch, into: next)
            if let latentGradient, index == layers.count - 1, index > 0 {
                vector_kernels_add(rows * layer.inputs, latentGradient, next)
            }
        }
    }

    /// dW = xᵀ dy, summed over the rows.
    private func weightGradient(
        _ layer: Layer, _ x: UnsafePointer<Float>, stride: Int, _ delta: UnsafePointer<Float>, rows: Int,
        into gradient: UnsafeMutablePointer<Float>, _ scratch: UnsafeMutablePointer<Float>
    ) {
        if layer.outputs < 16 && layer.inputs >= 16 && stride == layer.inputs {
            // A vector across two columns would be mostly empty: dWᵀ = dyᵀ x fills it (0.6 instead of 4.3 µs for
            // 64 × 2 from 256 rows).
            matrixProduct(
                m: layer.outputs, n: layer.inputs, k: rows, delta, transposedA: true, x, into: scratch)
            vector_kernels_transpose(layer.outputs, layer.inputs, scratch, gradient)
        } else {
            matrixProduct(
                m: layer.inputs, n: layer.outputs, k: rows, x, transposedA: true, strideA: stride, delta,
                into: gradient)
        }
    }
}
