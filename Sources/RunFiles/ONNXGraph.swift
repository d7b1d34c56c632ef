public import GymCore

/// An ONNX model being written: a chain of operators from `observation` to `action`, each of which takes the value that
/// the one before it gave.
///
/// Written as protobuf by hand, after `onnx.proto3`, of which seven messages are used.
public struct ONNXGraph {
    private var graph = ProtobufMessage()
    /// The name of the last operator's value.
    public var current = "observation"
    private var names: [String: Int] = [:]

    /// A graph without operators.
    public init() {}

    /// Adds an operator on the current value and further ones.
    public mutating func node(
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
    public mutating func constant<Element: TensorElement>(
        _ name: String, _ values: [Element], shape: [Int]? = nil
    ) -> String {
        var tensor = ProtobufMessage()
        for extent in shape ?? [values.count] { tensor.add(field: 1, integer: UInt64(extent)) }
        tensor.add(field: 2, integer: ONNXGraph.code(of: Element.dtype))
        tensor.add(field: 8, text: name)
        tensor.add(field: 9, message: values.withUnsafeBytes { Array($0) })
        graph.add(field: 5, message: tensor.bytes)
        return name
    }

    /// Names the last value `action`, and says what goes in and comes out.
    private mutating func finish(
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
        tensor.add(field: 1, integer: ONNXGraph.code(of: described.type))
        tensor.add(field: 2, message: shape.bytes)
        var type = ProtobufMessage()
        type.add(field: 1, message: tensor.bytes)
        var value = ProtobufMessage()
        value.add(field: 1, text: name)
        value.add(field: 2, message: type.bytes)
        return value.bytes
    }

    /// The bytes of the model, with nothing to be added any more.
    ///
    /// - Parameters:
    ///   - input: the type and the shape of one observation.
    ///   - output: the same of one action.
    ///   - name: of the graph.
    ///   - versions: of the format and of the operators, which belong together.
    ///   - producerVersion: of this program.
    ///   - metadata: what the model says of itself.
    public consuming func model(
        input: (type: DType, shape: [Int]), output: (type: DType, shape: [Int]), name: String,
        versions: (format: UInt64, operators: UInt64), producerVersion: String,
        metadata: [(key: String, value: String)]
    ) -> [UInt8] {
        finish(input: input, output: output, name: name)
        var model = ProtobufMessage()
        model.add(field: 1, integer: versions.format)
        model.add(field: 2, text: "swift-gym")
        model.add(field: 3, text: producerVersion)
        model.add(field: 7, message: graph.bytes)
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
    public static func code(of type: DType) -> UInt64 {
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
