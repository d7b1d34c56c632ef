import CVectorKernels
import GymCore

/// Convolutions, if there are any, and the fully connected layers after them.
///
/// Rows of bytes stay bytes until a pass reads them: pictures become floats one at a time, and flat rows that are
/// mostly zeros never do.
public struct Network: Sendable {
    /// How the rows lie that come in.
    public let input: InputFormat
    package let convolutions: [Convolution]
    /// The layers after the convolutions.
    public let dense: MultiLayerPerceptron
    /// The length of an output row.
    public var outputs: Int { dense.outputs }

    /// A network on rows of numbers, or with `convolutions` on pictures.
    ///
    /// - Parameters:
    ///   - name: what its parameters' names start with; they go on `.0.weight`, and with convolutions `.cnn.0.weight`.
    ///   - image: the shape of a picture, as many numbers as a row has; only with `convolutions`.
    ///   - sizes: widths of the hidden layers and of the output.
    ///   - firstActivation: what follows the first hidden layer, if not what follows the others.
    ///   - layerNorm: whether each fully connected hidden layer is normalised before its activation.
    ///   - layout: where the parameters are reserved.
    /// - Precondition: the convolutions fit into the picture.
    public init(
        _ name: String, input: InputFormat, image: ImageShape? = nil, convolutions: [ConvolutionSize] = [],
        sizes: [Int], activation: Activation, firstActivation: Activation? = nil,
        outputActivation: Activation = .identity, layerNorm: Bool = false, layout: inout ParameterLayout
    ) {
        self.input = input
        var layers: [Convolution] = []
        if let image, !convolutions.isEmpty {
            precondition(image.count == input.count, "a picture of \(image.count) numbers in rows of \(input.count)")
            var shape = image
            for (index, size) in convolutions.enumerated() {
                let layer = Convolution("\(name).cnn.\(index)", input: shape, size: size, layout: &layout)
                layers.append(layer)
                shape = layer.output
            }
        }
        self.convolutions = layers
        dense = MultiLayerPerceptron(
            name, sizes: [layers.last?.output.count ?? input.count] + sizes, activation: activation,
            firstActivation: firstActivation, outputActivation: outputActivation, layerNorm: layerNorm, layout: &layout)
    }

    /// A network of fully connected layers on floats.
    public init(_ dense: MultiLayerPerceptron) {
        input = InputFormat(.float32, count: dense.inputs)
        convolutions = []
        self.dense = dense
    }

    /// What the passes of a network compute. One a thread.
    public final class Workspace: @unchecked Sendable {
        /// Of the fully connected layers.
        public let dense: MultiLayerPerceptron.Workspace
        /// After `forward`: each convolution's output, (rows, positions, filters).
        fileprivate let activations: [UnsafeMutablePointer<Float>]
        /// The gradient by the last convolution's output, (rows, …).
        fileprivate let flatGradient: UnsafeMutablePointer<Float>
        /// One picture as floats; without convolutions all rows.
        fileprivate let floats: UnsafeMutablePointer<Float>
        fileprivate let patches: UnsafeMutablePointer<Float>
        fileprivate let patchGradient: UnsafeMutablePointer<Float>
        /// The gradient by one convolution's output for one picture, of each but the last.
        fileprivate let deltas: [UnsafeMutablePointer<Float>]
        /// Each convolution's weights as (filters, patch), but the first's.
        fileprivate let transposed: [UnsafeMutablePointer<Float>]
        fileprivate let sparse: SparseRows?
        /// Whether the last `forward` found its rows sparse.
        fileprivate var isSparse = false

        /// Memory for passes of up to `capacity` rows.
        public init(for network: Network, capacity: Int) {
            let layers = network.convolutions
            dense = MultiLayerPerceptron.Workspace(for: network.dense, capacity: capacity)
            activations = layers.map { allocateFloats(capacity * $0.output.count) }
            flatGradient = allocateFloats(layers.last.map { capacity * $0.output.count } ?? 0)
            let isBytes = network.input.element != .float32 || network.input.scale != 1
            floats = allocateFloats(
                !layers.isEmpty ? network.input.count : isBytes ? capacity * network.input.count : 0)
            patches = allocateFloats(layers.map { $0.positions * $0.patch }.max() ?? 0)
            patchGradient = allocateFloats(layers.dropFirst().map { $0.positions * $0.patch }.max() ?? 0)
            deltas = layers.dropLast().map { allocateFloats($0.output.count) }
            transposed = layers.map { allocateFloats($0.weight.count) }
            sparse =
                layers.isEmpty && network.input.element != .float32
                ? SparseRows(network.input, capacity: capacity) : nil
        }

        deinit {
            for memory in activations + [flatGradient, floats, patches, patchGradient] + deltas + transposed {
                memory.deallocate()
            }
        }

        /// After `forward`: the network's output, (rows, outputs).
        public var output: UnsafeMutablePointer<Float> { dense.output }
        /// Where the gradient of the loss by the output goes before `backward`; (rows, outputs).
        public var outputGradient: UnsafeMutablePointer<Float> { dense.outputGradient }
    }

    /// Computes the output of `rows` inputs.
    ///
    /// - Parameters:
    ///   - parameters: a store's values, or its like.
    ///   - input: (rows, input).
    ///   - stride: bytes from one row to the next; by default there are no gaps.
    /// - Returns: (rows, outputs), in the workspace until the next pass.
    @discardableResult
    public func forward(
        _ parameters: UnsafePointer<Float>, _ input: UnsafeRawPointer, stride: Int? = nil, rows: Int,
        _ workspace: Workspace
    ) -> UnsafeMutablePointer<Float> {
        let stride = stride ?? self.input.rowBytes
        precondition(
            rows <= workspace.dense.capacity, "\(rows) rows in a workspace for \(workspace.dense.capacity)")
        if convolutions.isEmpty {
            workspace.isSparse = workspace.sparse?.read(input, stride: stride, rows: rows) ?? false
            if !workspace.isSparse && !isPlain {
                for row in 0..<rows {
                    self.input.read(input + row * stride, into: workspace.floats + row * self.input.count)
                }
            }
        } else {
            for row in 0..<rows { convolve(parameters, input + row * stride, row: row, workspace) }
        }
        return dense.forward(parameters, denseRows(input, stride, workspace), rows: rows, workspace.dense)
    }

    /// Carries the gradient in `workspace.outputGradient` back through the pass that `forward` made of the same rows,
    /// down to the parameters; none by the input is computed.
    ///
    /// - Parameters:
    ///   - stride: bytes from one row to the next; by default there are no gaps.
    ///   - gradient: where the gradient by the parameters goes, laid out as they are.
    ///   - latentGradient: a gradient by the last hidden layer's output that is added to that from the network's own
    ///     output; `nil`: none is.
    public func backward(
        _ parameters: UnsafePointer<Float>, _ input: UnsafeRawPointer, stride: Int? = nil, rows: Int,
        _ workspace: Workspace, gradient: UnsafeMutablePointer<Float>, latentGradient: UnsafePointer<Float>? = nil
    ) {
        let stride = stride ?? self.input.rowBytes
        dense.backward(
            parameters, denseRows(input, stride, workspace), rows: rows, workspace.dense, gradient: gradient,
            inputGradient: convolutions.isEmpty ? nil : workspace.flatGradient, latentGradient: latentGradient)
        if convolutions.isEmpty { return }
        for (index, layer) in convolutions.enumerated() {
            (gradient + layer.weight.offset).update(repeating: 0, count: layer.weight.count)
            (gradient + layer.bias.offset).update(repeating: 0, count: layer.bias.count)
            if index > 0 {
                vector_kernels_transpose(
                    layer.patch, layer.size.filters, parameters + layer.weight.offset, workspace.transposed[index])
            }
        }
        for row in 0..<rows {
            goBack(input + row * stride, row: row, workspace, gradient: gradient)
        }
    }

    /// Whether rows can be read as they are.
    private var isPlain: Bool { input.element == .float32 && input.scale == 1 }

    /// What the first fully connected layer reads.
    private func denseRows(_ input: UnsafeRawPointer, _ stride: Int, _ workspace: Workspace) -> InputRows {
        if let last = workspace.activations.last {
            return .dense(UnsafePointer(last), stride: dense.inputs)
        }
        if workspace.isSparse, let sparse = workspace.sparse { return .sparse(sparse) }
        return isPlain
            ? .dense(input.assumingMemoryBound(to: Float.self), stride: stride / MemoryLayout<Float>.stride)
            : .dense(UnsafePointer(workspace.floats), stride: self.input.count)
    }

    /// The convolutions of one picture.
    private func convolve(
        _ parameters: UnsafePointer<Float>, _ picture: UnsafeRawPointer, row: Int, _ workspace: Workspace
    ) {
        for (index, layer) in convolutions.enumerated() {
            gatherPatches(layer, index, picture, row: row, workspace)
            layer.forward(
                parameters, patches: workspace.patches,
                into: workspace.activations[index] + row * layer.output.count)
        }
    }

    /// The patches of one picture that a convolution looks at.
    private func gatherPatches(
        _ layer: Convolution, _ index: Int, _ picture: UnsafeRawPointer, row: Int, _ workspace: Workspace
    ) {
        if index == 0 {
            input.read(picture, into: workspace.floats)
            layer.gatherPatches(workspace.floats, into: workspace.patches)
        } else {
            layer.gatherPatches(
                workspace.activations[index - 1] + row * layer.input.count, into: workspace.patches)
        }
    }

    /// Adds the gradients of one picture.
    private func goBack(
        _ picture: UnsafeRawPointer, row: Int, _ workspace: Workspace, gradient: UnsafeMutablePointer<Float>
    ) {
        for (index, layer) in convolutions.enumerated().reversed() {
            let count = layer.output.count
            let delta =
                index == convolutions.count - 1 ? workspace.flatGradient + row * count : workspace.deltas[index]
            vector_kernels_relu_backward(count, workspace.activations[index] + row * count, delta)
            gatherPatches(layer, index, picture, row: row, workspace)
            layer.addGradient(delta, patches: workspace.patches, into: gradient)
            if index == 0 { break }
            matrixProduct(
                m: layer.positions, n: layer.patch, k: layer.size.filters, delta, workspace.transposed[index],
                into: workspace.patchGradient)
            layer.addPatches(workspace.patchGradient, into: workspace.deltas[index - 1])
        }
    }

    /// Draws the parameters.
    ///
    /// - Parameters:
    ///   - hidden: for every layer but the last.
    ///   - output: for the last layer.
    public func initialise(
        _ store: ParameterStore, hidden: Initialisation, output: Initialisation, generator: inout NumPyGenerator
    ) {
        for layer in convolutions {
            hidden.fill(store, layer.weight, layer.bias, inputs: layer.patch, generator: &generator)
        }
        dense.initialise(store, hidden: hidden, output: output, generator: &generator)
    }

    /// The multiplications of a pass forward for one row, about.
    public var multiplications: Double {
        convolutions.reduce(0) { $0 + Double($1.positions * $1.weight.count) }
            + dense.multiplications
    }
}
