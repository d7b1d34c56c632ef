/// Passes of networks over matrices and rows: what learners call. The passes over pointers, which do the work, are the
/// networks' own.

extension MultiLayerPerceptron {
    /// Computes the output of some rows.
    ///
    /// - Parameters:
    ///   - parameters: the network's, or a target's.
    ///   - input: (rows, inputs); it may be the first columns of a wider matrix.
    /// - Returns: (rows, outputs), in the workspace until the next pass.
    /// - Precondition: rows are as long as the network's inputs, and no more than the workspace holds.
    @discardableResult
    public func forward(_ parameters: ParameterStore, _ input: Matrix, _ workspace: Workspace) -> Matrix {
        precondition(input.columns == inputs, "rows of \(input.columns) numbers for a network of \(inputs) inputs")
        forward(
            parameters.values, .dense(UnsafePointer(input.base), stride: input.stride), rows: input.rows, workspace)
        return workspace.outputs(rows: input.rows)
    }

    /// Carries the gradient in the workspace back through the pass that `forward` made of the same rows.
    ///
    /// - Parameters:
    ///   - gradient: where the gradient by the parameters goes, laid out as they are; `nil`: not wanted.
    ///   - inputGradient: where the gradient by the input goes, (rows, elements of `inputColumns`), without gaps; `nil`:
    ///     not wanted.
    ///   - inputColumns: the part of an input row that the gradient is wanted by; `nil`: all of it.
    ///   - latentGradient: a gradient by the last hidden layer's output that is added to that from the network's own
    ///     output, (rows, outputs of that layer); `nil`: none is.
    public func backward(
        _ parameters: ParameterStore, _ input: Matrix, _ workspace: Workspace, gradient: Vector<Float>?,
        inputGradient: Matrix? = nil, inputColumns: Range<Int>? = nil, latentGradient: Matrix? = nil
    ) {
        precondition(input.columns == inputs, "rows of \(input.columns) numbers for a network of \(inputs) inputs")
        precondition(gradient.map { $0.count == parameters.count } ?? true, "a gradient of another layout")
        precondition(
            inputGradient.map {
                $0.isContiguous && $0.rows >= input.rows && $0.columns == (inputColumns?.count ?? inputs)
            }
                ?? true, "a gradient by the input of another shape")
        backward(
            parameters.values, .dense(UnsafePointer(input.base), stride: input.stride), rows: input.rows, workspace,
            gradient: gradient?.base, inputGradient: inputGradient?.base, inputColumns: inputColumns,
            latentGradient: latentGradient.map { UnsafePointer($0.base) })
    }

    /// Moves some rows of the pass that `forward` made to the front, for a way back through them alone.
    ///
    /// The parameters' gradient is not to be had of them: it wants the rows of the input, too.
    ///
    /// - Parameter rows: which, ascending.
    public func keep(_ rows: Vector<Int32>, _ workspace: Workspace) {
        rows.withElements { keep(UnsafeBufferPointer($0), workspace) }
    }
}

extension MultiLayerPerceptron.Workspace {
    /// After `forward`: the output of so many rows, (rows, outputs).
    public func outputs(rows: Int) -> Matrix { matrix(activations[activations.count - 1], activations.count - 1, rows) }

    /// Where the gradient of the loss by the outputs goes before `backward`; (rows, outputs).
    public func outputGradients(rows: Int) -> Matrix { matrix(outputGradient, activations.count - 1, rows) }

    /// After `forward` of these rows: the last hidden layer's output, (rows, its outputs); the input itself where there
    /// is no hidden layer.
    public func latents(of input: Rows) -> Matrix {
        let layer = activations.count - 2
        return layer < 0 ? input.floats : matrix(activations[layer], layer, input.count)
    }

    private func matrix(_ base: UnsafeMutablePointer<Float>, _ layer: Int, _ rows: Int) -> Matrix {
        precondition(rows <= capacity, "\(rows) rows in a workspace for \(capacity)")
        return Matrix(memory: self, base: base, rows: rows, columns: widths[layer], stride: widths[layer])
    }
}

extension Network {
    /// Computes the output of some rows.
    ///
    /// - Parameter parameters: the network's, or a target's.
    /// - Returns: (rows, outputs), in the workspace until the next pass.
    /// - Precondition: rows are as the network takes them in, and no more than the workspace holds.
    @discardableResult
    public func forward(_ parameters: ParameterStore, _ input: Rows, _ workspace: Workspace) -> Matrix {
        check(input)
        forward(parameters.values, UnsafeRawPointer(input.base), stride: input.stride, rows: input.count, workspace)
        return workspace.dense.outputs(rows: input.count)
    }

    /// Carries the gradient in the workspace back through the pass that `forward` made of the same rows, down to the
    /// parameters; none by the input is computed.
    ///
    /// - Parameters:
    ///   - gradient: where the gradient by the parameters goes, laid out as they are.
    ///   - latentGradient: a gradient by the last hidden layer's output that is added to that from the network's own
    ///     output, (rows, outputs of that layer); `nil`: none is.
    public func backward(
        _ parameters: ParameterStore, _ input: Rows, _ workspace: Workspace, gradient: Vector<Float>,
        latentGradient: Matrix? = nil
    ) {
        check(input)
        precondition(gradient.count == parameters.count, "a gradient of another layout")
        backward(
            parameters.values, UnsafeRawPointer(input.base), stride: input.stride, rows: input.count, workspace,
            gradient: gradient.base, latentGradient: latentGradient.map { UnsafePointer($0.base) })
    }

    private func check(_ input: Rows) {
        precondition(input.format == self.input, "rows of \(input.format) for a network of \(self.input)")
    }
}
