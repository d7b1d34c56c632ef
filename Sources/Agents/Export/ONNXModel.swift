public import GymCore

/// A policy as an ONNX model: from a batch of observations to the greedy action of each.
///
/// Written as protobuf by hand, after `onnx.proto3`, of which seven messages are used; operators of version 13, which
/// every runtime since 2021 has, and with layer normalisation of version 17 (2022), which brought it. The input is `observation` (batch, …), the output `action` (batch, …), both of the
/// spaces' own types: what goes into the model is what the environment gives, what comes out is what it takes.
/// Normalisation is frozen as it is when the policy acts.
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
        writer.finish(
            input: (observation.type, observation.shape), output: action,
            name: metadata.first { $0.key == "environment" }?.value ?? "policy")

        var model = ProtobufMessage()
        let versions = versions(graph)
        model.add(field: 1, integer: versions.format)
        model.add(field: 2, text: "swift-gym")
        model.add(field: 3, text: RunFolder.version)
        model.add(field: 7, message: writer.graph.bytes)
        var operators = ProtobufMessage()
        operators.add(field: 1, text: "")
        operators.add(field: 2, integer: versions.operators)
        model.add(field: 8, message: operators.bytes)
        for (key, value) in metadata {
            var entry = ProtobufMessage()
            entry.add(field: 1, text: key)
            entry.add(field: 2, text: value)
            model.add(field: 14, message: entry.bytes)
        }
        return model.bytes
    }

    /// `TensorProto.DataType`.
    static func code(of type: DType) -> UInt64 {
        switch type {
        case .float32: 1
        case .uint8: 2
        case .int8: 3
        case .uint16: 4
        case .int16: 5
        case .int32: 6
        case .int64: 7
        case .bool: 9
        case .float16: 10
        case .float64: 11
        case .uint32: 12
        case .uint64: 13
        }
    }
}

/// A `GraphProto` being written: each operator takes the value that the one before it gave.
private struct GraphWriter {
    private(set) var graph = ProtobufMessage()
    private var current = "observation"
    private var names: [String: Int] = [:]

    /// Writes all of a policy.
    ///
    /// - Returns: the type and shape of its action.
    mutating func write(_ policy: PolicyGraph, observationType: DType) -> (type: DType, shape: [Int]) {
        if observationType != .float32 { cast(to: .float32) }
        if policy.convolutions.isEmpty { node("Flatten", attributes: [("axis", 1)]) }
        if policy.factor != 1 { node("Mul", with: [constant("factor", [policy.factor], shape: [])]) }
        convolve(policy.convolutions)
        if let normalisation = policy.normalisation {
            node("Sub", with: [constant("normalisation.mean", normalisation.shift)])
            node("Mul", with: [constant("normalisation.scale", normalisation.scale)])
            hold(within: normalisation.clip, name: "normalisation.clip")
        }
        for (index, layer) in policy.layers.dropLast().enumerated() { dense(layer, name: "policy.\(index)") }
        let last = policy.layers[policy.layers.count - 1]
        let name = "policy.\(policy.layers.count - 1)"
        switch policy.action {
        case .choices(let counts, let starts):
            return choose(last, name: name, counts: counts, starts: starts, codec: policy.codec)
        case .reals(let squashing, let scale, let middle):
            dense(last, name: name)
            switch squashing {
            case .none: break
            case .tanh: node("Tanh")
            case .tanhWithin(let limit):
                hold(within: limit, name: "action.limit")
                node("Tanh")
            }
            return bound(scale: scale, middle: middle, codec: policy.codec)
        }
    }

    /// Holds every number within ± the limit.
    private mutating func hold(within limit: Float, name: String) {
        node(
            "Clip",
            with: [
                constant("\(name).low", [-limit], shape: []), constant("\(name).high", [limit], shape: []),
            ])
    }

    /// Pictures as ONNX has them, (batch, channels, height, width), through the convolutions, and back to rows of numbers
    /// in the order that the layers after them know.
    private mutating func convolve(_ convolutions: [PolicyGraph.Convolution]) {
        guard let input = convolutions.first?.input else { return }
        if input.channels > 1 {
            node("Transpose", lists: [("perm", [0, 3, 1, 2])])
        } else if input.planes == 1 {
            let shape = [-1, 1, Int64(input.height), Int64(input.width)]
            node("Reshape", with: [constant("picture.shape", shape)])
        }
        for (index, layer) in convolutions.enumerated() {
            let (name, kernel) = ("policy.cnn.\(index)", layer.size.kernel)
            let channels = layer.input.planes * layer.input.channels
            let weight = constant(
                "\(name).weight", layer.weight, shape: [layer.size.filters, channels, kernel, kernel])
            let stride = Int64(layer.size.stride)
            node("Conv", with: [weight, constant("\(name).bias", layer.bias)], lists: [("strides", [stride, stride])])
            node("Relu")
        }
        node("Transpose", lists: [("perm", [0, 2, 3, 1])])
        node("Flatten", attributes: [("axis", 1)])
    }

    private mutating func dense(_ layer: PolicyGraph.Layer, name: String) {
        let weight = constant("\(name).weight", layer.weight, shape: [layer.inputs, layer.outputs])
        node("Gemm", with: [weight, constant("\(name).bias", layer.bias)])
        if let norm = layer.norm {
            // Without attributes: over the last axis, with PyTorch's epsilon.
            node(
                "LayerNormalization",
                with: [constant("\(name).norm.weight", norm.weight), constant("\(name).norm.bias", norm.bias)])
        }
        switch layer.activation {
        case .identity: break
        case .tanh: node("Tanh")
        case .relu: node("Relu")
        }
    }

    /// The largest of each dimension's numbers: a product of its own for each, as each looks at its own columns.
    private mutating func choose(
        _ layer: PolicyGraph.Layer, name: String, counts: [Int], starts: [Int], codec: ActionCodec
    ) -> (type: DType, shape: [Int]) {
        let shape: [Int]
        let type: DType
        switch codec.space {
        case .multiDiscrete(_, _, let extents): (shape, type) = (extents, .int64)
        case .multiBinary(let binary): (shape, type) = (binary, .int8)
        default: (shape, type) = ([], .int64)
        }
        let latents = current
        var chosen: [String] = []
        var start = 0
        for (dimension, count) in counts.enumerated() {
            current = latents
            let dimensionName = counts.count == 1 ? name : "\(name).\(dimension)"
            dense(layer.columns(start..<start + count), name: dimensionName)
            node("ArgMax", attributes: [("axis", 1), ("keepdims", shape.isEmpty ? 0 : 1)])
            chosen.append(current)
            start += count
        }
        if chosen.count > 1 {
            current = chosen[0]
            node("Concat", with: Array(chosen.dropFirst()), attributes: [("axis", 1)])
        }
        if starts.contains(where: { $0 != 0 }) {
            node("Add", with: [constant("action.start", starts.map { Int64($0) }, shape: shape.isEmpty ? [] : nil)])
        }
        if type != .int64 { cast(to: type) }
        // One number is a row already, and a few of them too.
        if shape.count > 1 { reshape(to: shape) }
        return (type, shape)
    }

    /// Real actions within their bounds.
    private mutating func bound(
        scale: [Float], middle: [Float], codec: ActionCodec
    ) -> (type: DType, shape: [Int]) {
        if scale.contains(where: { $0 != 1 }) { node("Mul", with: [constant("action.scale", scale)]) }
        if middle.contains(where: { $0 != 0 }) { node("Add", with: [constant("action.middle", middle)]) }
        if codec.low.contains(where: { $0.isFinite }) { node("Max", with: [constant("action.low", codec.low)]) }
        if codec.high.contains(where: { $0.isFinite }) { node("Min", with: [constant("action.high", codec.high)]) }
        guard case .box(let box) = codec.space else { return (.float32, [codec.size]) }
        if box.dtype != .float32 { cast(to: box.dtype) }
        if box.shape.count != 1 { reshape(to: box.shape) }
        return (box.dtype, box.shape)
    }

    /// Gives rows of numbers the shape of the space.
    private mutating func reshape(to shape: [Int]) {
        node("Reshape", with: [constant("action.shape", [-1] + shape.map { Int64($0) })])
    }

    private mutating func cast(to type: DType) {
        node("Cast", attributes: [("to", Int64(ONNXModel.code(of: type)))])
    }

    /// Adds an operator on the current value and further ones.
    private mutating func node(
        _ kind: String, with inputs: [String] = [], attributes: [(String, Int64)] = [], lists: [(String, [Int64])] = []
    ) {
        names[kind, default: 0] += 1
        let output = "\(kind).\(names[kind]!)"
        var node = ProtobufMessage()
        for input in [current] + inputs { node.add(field: 1, text: input) }
        node.add(field: 2, text: output)
        node.add(field: 3, text: output)
        node.add(field: 4, text: kind)
        for (name, value) in attributes {
            var attribute = ProtobufMessage()
            attribute.add(field: 1, text: name)
            attribute.add(field: 3, integer: UInt64(bitPattern: value))
            // INT.
            attribute.add(field: 20, integer: 2)
            node.add(field: 5, message: attribute.bytes)
        }
        for (name, values) in lists {
            var attribute = ProtobufMessage()
            attribute.add(field: 1, text: name)
            for value in values { attribute.add(field: 8, integer: UInt64(bitPattern: value)) }
            // INTS.
            attribute.add(field: 20, integer: 7)
            node.add(field: 5, message: attribute.bytes)
        }
        graph.add(field: 1, message: node.bytes)
        current = output
    }

    /// Adds numbers that the model brings with it.
    ///
    /// - Parameter shape: `nil`: one axis.
    /// - Returns: `name`.
    private mutating func constant<Element: TensorElement>(
        _ name: String, _ values: [Element], shape: [Int]? = nil
    ) -> String {
        var tensor = ProtobufMessage()
        for extent in shape ?? [values.count] { tensor.add(field: 1, integer: UInt64(extent)) }
        tensor.add(field: 2, integer: ONNXModel.code(of: Element.dtype))
        tensor.add(field: 8, text: name)
        tensor.add(field: 9, message: values.withUnsafeBytes { Array($0) })
        graph.add(field: 5, message: tensor.bytes)
        return name
    }

    /// Names the last value `action`, and says what goes in and comes out.
    mutating func finish(
        input: (type: DType, shape: [Int]), output: (type: DType, shape: [Int]), name: String
    ) {
        var node = ProtobufMessage()
        node.add(field: 1, text: current)
        node.add(field: 2, text: "action")
        node.add(field: 3, text: "action")
        node.add(field: 4, text: "Identity")
        graph.add(field: 1, message: node.bytes)
        graph.add(field: 2, text: name)
        graph.add(field: 11, message: value("observation", input))
        graph.add(field: 12, message: value("action", output))
    }

    /// A `ValueInfoProto`: a batch of elements of the given type and shape.
    private func value(_ name: String, _ described: (type: DType, shape: [Int])) -> [UInt8] {
        var shape = ProtobufMessage()
        var batch = ProtobufMessage()
        batch.add(field: 2, text: "batch")
        shape.add(field: 1, message: batch.bytes)
        for extent in described.shape {
            var dimension = ProtobufMessage()
            dimension.add(field: 1, integer: UInt64(extent))
            shape.add(field: 1, message: dimension.bytes)
        }
        var tensor = ProtobufMessage()
        tensor.add(field: 1, integer: ONNXModel.code(of: described.type))
        tensor.add(field: 2, message: shape.bytes)
        var type = ProtobufMessage()
        type.add(field: 1, message: tensor.bytes)
        var value = ProtobufMessage()
        value.add(field: 1, text: name)
        value.add(field: 2, message: type.bytes)
        return value.bytes
    }
}
