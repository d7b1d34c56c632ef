public import GymCore
import RunFiles

/// A policy as an ONNX model: from a batch of observations to the greedy action of each.
///
/// Operators are of version 13, which every runtime since 2021 has, and with layer normalisation of version 17 (2022),
/// which brought it. The input is `observation` (batch, …), the output `action` (batch, …), both of the spaces' own
/// types: what goes into the model is what the environment gives, what comes out is what it takes. Normalisation is
/// frozen as it is when the policy acts.
public enum ONNXModel {
    /// Versions of the format and of the operators, which belong together.
    private static func versions(_ policy: PolicyGraph) -> (format: UInt64, operators: UInt64) {
        policy.layers.contains { $0.norm != nil } ? (8, 17) : (7, 13)
    }

    /// The bytes of a model.
    ///
    /// - Parameters:
    ///   - observationSpace: the space that the policy was made for.
    ///   - metadata: what the model says of itself, such as the environment's name.
    /// - Throws: ``UnsupportedSpaceError`` for observations that are not one array of numbers and for stacks of frames.
    public static func encode(
        _ policy: any Policy, observationSpace: Space, metadata: [(key: String, value: String)] = []
    ) throws -> [UInt8] {
        guard let exportable = policy as? any ExportablePolicy else {
            throw UnsupportedSpaceError("policies of this kind cannot be exported")
        }
        let observation: (type: DType, shape: [Int])
        switch observationSpace {
        case .box(let box): observation = (box.dtype, box.shape)
        case .multiBinary(let shape): observation = (.int8, shape)
        default: observation = (.float32, [])
        }
        let graph = try exportable.graph()
        var writer = GraphWriter()
        let action = writer.write(graph, observationType: observation.type)
        return writer.graph.model(
            input: (observation.type, observation.shape), output: action,
            name: metadata.first { $0.key == "environment" }?.value ?? "policy", versions: versions(graph),
            producerVersion: RunFolder.version, metadata: metadata)
    }
}

/// A policy being written as a graph.
private struct GraphWriter {
    private(set) var graph = ONNXGraph()

    /// Writes all of a policy.
    ///
    /// - Returns: the type and shape of its action.
    mutating func write(_ policy: PolicyGraph, observationType: DType) -> (type: DType, shape: [Int]) {
        if observationType != .float32 { cast(to: .float32) }
        if policy.convolutions.isEmpty { graph.node("Flatten", attributes: [("axis", 1)]) }
        if policy.factor != 1 { graph.node("Mul", with: [graph.constant("factor", [policy.factor], shape: [])]) }
        convolve(policy.convolutions)
        if let normalisation = policy.normalisation {
            graph.node("Sub", with: [graph.constant("normalisation.mean", normalisation.shift)])
            graph.node("Mul", with: [graph.constant("normalisation.scale", normalisation.scale)])
            hold(within: normalisation.clip, name: "normalisation.clip")
        }
        for (index, layer) in policy.layers.dropLast().enumerated() { dense(layer, name: "policy.\(index)") }
        let last = policy.layers[policy.layers.count - 1]
        let name = "policy.\(policy.layers.count - 1)"
        switch policy.action {
        case .choices(let counts, let starts):
            return choose(last, name: name, counts: counts, starts: starts, codec: policy.codec)
        case .coins:
            dense(last, name: name)
            graph.node("Greater", with: [graph.constant("action.even", [Float(0)], shape: [])])
            cast(to: .int8)
            guard case .multiBinary(let shape) = policy.codec.space else { return (.int8, [policy.codec.size]) }
            if shape.count != 1 { reshape(to: shape) }
            return (.int8, shape)
        case .reals(let squashing):
            dense(last, name: name)
            switch squashing {
            case .none: break
            case .tanh: graph.node("Tanh")
            case .tanhWithin(let limit):
                hold(within: limit, name: "action.limit")
                graph.node("Tanh")
            }
            return bound(policy.codec)
        }
    }

    /// Holds every number within ± the limit.
    private mutating func hold(within limit: Float, name: String) {
        graph.node(
            "Clip",
            with: [
                graph.constant("\(name).low", [-limit], shape: []), graph.constant("\(name).high", [limit], shape: []),
            ])
    }

    /// Pictures as ONNX has them, (batch, channels, height, width), through the convolutions, and back to rows of numbers
    /// in the order that the layers after them know.
    private mutating func convolve(_ convolutions: [PolicyGraph.Convolution]) {
        guard let input = convolutions.first?.input else { return }
        if input.channels > 1 {
            graph.node("Transpose", lists: [("perm", [0, 3, 1, 2])])
        } else if input.planes == 1 {
            let shape = [-1, 1, Int64(input.height), Int64(input.width)]
            graph.node("Reshape", with: [graph.constant("picture.shape", shape)])
        }
        for (index, layer) in convolutions.enumerated() {
            let (name, kernel) = ("policy.cnn.\(index)", layer.size.kernel)
            let channels = layer.input.planes * layer.input.channels
            let weight = graph.constant(
                "\(name).weight", layer.weight, shape: [layer.size.filters, channels, kernel, kernel])
            let stride = Int64(layer.size.stride)
            graph.node(
                "Conv", with: [weight, graph.constant("\(name).bias", layer.bias)],
                lists: [("strides", [stride, stride])])
            graph.node("Relu")
        }
        graph.node("Transpose", lists: [("perm", [0, 2, 3, 1])])
        graph.node("Flatten", attributes: [("axis", 1)])
    }

    private mutating func dense(_ layer: PolicyGraph.Layer, name: String) {
        let weight = graph.constant("\(name).weight", layer.weight, shape: [layer.inputs, layer.outputs])
        graph.node("Gemm", with: [weight, graph.constant("\(name).bias", layer.bias)])
        if let norm = layer.norm {
            // Without attributes: over the last axis, with PyTorch's epsilon.
            graph.node(
                "LayerNormalization",
                with: [
                    graph.constant("\(name).norm.weight", norm.weight), graph.constant("\(name).norm.bias", norm.bias),
                ])
        }
        switch layer.activation {
        case .identity: break
        case .tanh: graph.node("Tanh")
        case .relu: graph.node("Relu")
        }
    }

    /// The largest of each dimension's numbers: a product of its own for each, as each looks at its own columns.
    private mutating func choose(
        _ layer: PolicyGraph.Layer, name: String, counts: [Int], starts: [Int], codec: ActionCodec
    ) -> (type: DType, shape: [Int]) {
        let shape: [Int]
        switch codec.space {
        case .multiDiscrete(_, _, let extents): shape = extents
        default: shape = []
        }
        let latents = graph.current
        var chosen: [String] = []
        var start = 0
        for (dimension, count) in counts.enumerated() {
            graph.current = latents
            let dimensionName = counts.count == 1 ? name : "\(name).\(dimension)"
            dense(layer.columns(start..<start + count), name: dimensionName)
            graph.node("ArgMax", attributes: [("axis", 1), ("keepdims", shape.isEmpty ? 0 : 1)])
            chosen.append(graph.current)
            start += count
        }
        if chosen.count > 1 {
            graph.current = chosen[0]
            graph.node("Concat", with: Array(chosen.dropFirst()), attributes: [("axis", 1)])
        }
        if starts.contains(where: { $0 != 0 }) {
            graph.node(
                "Add", with: [graph.constant("action.start", starts.map { Int64($0) }, shape: shape.isEmpty ? [] : nil)]
            )
        }
        // One number is a row already, and a few of them too.
        if shape.count > 1 { reshape(to: shape) }
        return (.int64, shape)
    }

    /// Real actions within their bounds.
    private mutating func bound(_ codec: ActionCodec) -> (type: DType, shape: [Int]) {
        if codec.scale.contains(where: { $0 != 1 }) {
            graph.node("Mul", with: [graph.constant("action.scale", codec.scale)])
        }
        if codec.middle.contains(where: { $0 != 0 }) {
            graph.node("Add", with: [graph.constant("action.middle", codec.middle)])
        }
        guard case .box(let box) = codec.space else { return (.float32, [codec.size]) }
        if box.dtype == .float64 {
            // Bounds as the space has them: rounded to floats they may lie outside.
            cast(to: .float64)
            hold(low: box.low.doubles, high: box.high.doubles)
        } else {
            hold(low: codec.low, high: codec.high)
        }
        if box.shape.count != 1 { reshape(to: box.shape) }
        return (box.dtype, box.shape)
    }

    private mutating func hold<Number: TensorElement & BinaryFloatingPoint>(low: [Number], high: [Number]) {
        if low.contains(where: \.isFinite) { graph.node("Max", with: [graph.constant("action.low", low)]) }
        if high.contains(where: \.isFinite) { graph.node("Min", with: [graph.constant("action.high", high)]) }
    }

    /// Gives rows of numbers the shape of the space.
    private mutating func reshape(to shape: [Int]) {
        graph.node("Reshape", with: [graph.constant("action.shape", [-1] + shape.map { Int64($0) })])
    }

    private mutating func cast(to type: DType) {
        graph.node("Cast", attributes: [("to", Int64(ONNXGraph.code(of: type)))])
    }
}
