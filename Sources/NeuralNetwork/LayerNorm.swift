import CVectorKernels

/// Layer normalisation (Ba et al. 2016, arXiv 1607.06450) with a gain and a bias for each number: `torch.nn.LayerNorm`.
///
/// y = x̂ · weight + bias, x̂ = (x − mean) / √(variance + ε), mean and variance being those of the row.
public struct LayerNorm: Sendable {
    /// PyTorch's ε, added to the variance: a row of equal numbers becomes zeros and not NaN.
    public static let epsilon: Float = 1e-5

    /// (numbers of a row): the gain.
    public let weight: ParameterView
    /// (numbers of a row).
    public let bias: ParameterView

    init(_ name: String, size: Int, layout: inout ParameterLayout) {
        weight = layout.add("\(name).weight", shape: [size])
        bias = layout.add("\(name).bias", shape: [size])
    }

    /// Gain 1, bias 0.
    func initialise(_ store: ParameterStore) {
        store[weight].update(repeating: 1)
        store[bias].update(repeating: 0)
    }

    /// What a pass keeps for the way back.
    final class Workspace {
        /// x̂, (rows, numbers).
        let normalised: UnsafeMutablePointer<Float>
        /// 1 / √(variance + ε), (rows).
        let scales: UnsafeMutablePointer<Float>

        init(size: Int, capacity: Int) {
            normalised = allocateFloats(capacity * size)
            scales = allocateFloats(capacity)
        }

        deinit {
            normalised.deallocate()
            scales.deallocate()
        }
    }

    /// y from x, in place; (rows, numbers).
    func forward(
        _ parameters: UnsafePointer<Float>, _ x: UnsafeMutablePointer<Float>, rows: Int, _ workspace: Workspace
    ) {
        vector_kernels_layer_norm(
            rows, weight.count, LayerNorm.epsilon, parameters + weight.offset, parameters + bias.offset, x,
            workspace.normalised, workspace.scales)
    }

    /// Moves a row of what `forward` kept to another place.
    func move(row: Int, to position: Int, _ workspace: Workspace) {
        let size = weight.count
        (workspace.normalised + position * size).update(from: workspace.normalised + row * size, count: size)
        workspace.scales[position] = workspace.scales[row]
    }

    /// From the gradient by y to the gradient by x, in place; (rows, numbers).
    ///
    /// - Parameter gradient: where the gradient by the parameters goes; `nil`: not wanted.
    func backward(
        _ parameters: UnsafePointer<Float>, _ delta: UnsafeMutablePointer<Float>, rows: Int, _ workspace: Workspace,
        gradient: UnsafeMutablePointer<Float>?
    ) {
        let size = weight.count
        if let gradient {
            vector_kernels_product_sums(rows, size, delta, workspace.normalised, gradient + weight.offset, 0)
            vector_kernels_column_sums(rows, size, delta, gradient + bias.offset, 0)
        }
        vector_kernels_layer_norm_backward(
            rows, size, parameters + weight.offset, workspace.normalised, workspace.scales, delta)
    }
}
