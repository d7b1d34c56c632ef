import Agents
import Foundation
import GymCore
import RunFiles
import Testing

/// Exported models, read back and computed by an interpreter of their own: the same actions as the policy's.
@Suite struct ONNXTests {
    private static let small = [("net_arch", "[16, 8]"), ("n_timesteps", "400"), ("learning_starts", "100")]

    @Test(
        arguments: [
            (Algorithm.ppo, "CartPole-v1", []),
            (.ppo, "Pendulum-v1", [("normalize", "true"), ("activation_fn", "relu")]),
            (.ppo, "Pendulum-v1", [("use_sde", "true"), ("net_arch", "[]")]), (.dqn, "CartPole-v1", small),
            (.dqn, "MountainCar-v0", small + [("dueling", "true")]),
            (.td3, "Pendulum-v1", small + [("normalize", "true")]),
            (.ddpg, "Pendulum-v1", small + [("normalize", "true")]),
            (.sac, "MountainCarContinuous-v0", small),
            (.sac, "Pendulum-v1", small + [("use_sde", "true")]),
            (.sac, "Pendulum-v1", small + [("layer_norm", "true")]),
            (.ppo, "CartPole-v1", [("layer_norm", "true")]),
        ] as [(Algorithm, String, [(String, String)])])
    func modelsActAsTheirPolicies(algorithm: Algorithm, id: String, settings: [(String, String)]) throws {
        var h = Hyperparameters(algorithm.schema)
        for (key, value) in settings {
            try h.set(key, value, source: "test")
        }
        if algorithm == .ppo {
            for (key, value) in [("n_timesteps", "600"), ("n_steps", "100")] { try h.set(key, value, source: "test") }
        }
        let batch = try LocalBatch(id, count: 3)
        let learner = try algorithm.learner(on: batch, hyperparameters: h, seed: 1)
        while learner.steps < learner.totalSteps { _ = try learner.iterate() }
        try compare(learner.policy, batch.observationSpace, batch.actionSpace)
    }

    /// Actions that start elsewhere than at 0, of several dimensions, as bits, as arrays, in double precision.
    @Test(
        arguments: [
            .discrete(count: 3, start: -1), .multiDiscrete(counts: [3, 2, 4], starts: [0, 5, 0], shape: [3]),
            .multiDiscrete(counts: [3, 2, 4, 2], starts: [1, 0, 0, 0], shape: [2, 2]), .multiBinary(shape: [2, 2]),
            .box(Box(low: Tensor([-1.0, -2, -3, -4], shape: [2, 2]), high: Tensor([1.0, 2, 3, 4], shape: [2, 2]))),
            .box(Box(low: Float(-0.01), high: Float(0.01), shape: [2])),
        ] as [Space])
    func everyActionSpace(actions: Space) throws {
        let h = Hyperparameters(PPO.schema)
        for observations in [
            Space.box(Box(low: -1.0, high: 1.0, shape: [2, 3])),
            .box(Box(low: UInt8(0), high: UInt8(255), shape: [4, 4, 1])), .multiBinary(shape: [5]),
        ] {
            let policy = try PPO.policy(h, observationSpace: observations, actionSpace: actions)
            // An untrained policy's last layer is close to zero, and so are its actions: larger ones reach the bounds.
            try enlarge("policy.2.weight", of: policy)
            try compare(policy, observations, actions)
        }
    }

    @Test func observationsOfSeveralPartsAreRefused() throws {
        let space = Space.dict([.init("a", .discrete(count: 3)), .init("b", .discrete(count: 2))])
        let policy = try PPO.policy(
            Hyperparameters(PPO.schema), observationSpace: space, actionSpace: .discrete(count: 2))
        #expect(throws: UnsupportedSpaceError.self) { try ONNXModel.encode(policy, observationSpace: space) }
    }

    /// Pictures of every shape, through convolutions of a stride and of none; bytes and floats.
    @Test(arguments: [[12, 10], [12, 10, 3], [2, 12, 10]], [Algorithm.ppo, .dqn])
    func picturesAreConvolved(shape: [Int], algorithm: Algorithm) throws {
        let settings = [
            (key: "policy", value: "CnnPolicy"), ("cnn_arch", "[[4, 4, 2], [3, 2, 1]]"), ("features_dim", "7"),
        ]
        for space in [
            Space.box(Box(low: UInt8(0), high: UInt8(255), shape: shape)),
            .box(Box(low: Float(-2), high: Float(2), shape: shape)),
        ] {
            let h = try algorithm.hyperparameters(environment: "none", settings: settings)
            let actions = Space.discrete(count: 5)
            let policy = try algorithm.policy(h, observationSpace: space, actionSpace: actions)
            // PPO's last layer starts close to zero: rounding would choose.
            try enlarge("policy.1.weight", of: policy)
            try compare(policy, space, actions)
        }
    }

    @Test func stacksAreRefused() throws {
        let space = Space.box(Box(low: UInt8(0), high: UInt8(255), shape: [40, 40, 3]))
        for algorithm in [Algorithm.ppo, .dqn] {
            let h = try algorithm.hyperparameters(environment: "none", settings: [(key: "frame_stack", value: "4")])
            let policy = try algorithm.policy(h, observationSpace: space, actionSpace: .discrete(count: 2))
            let error = #expect(throws: UnsupportedSpaceError.self) {
                try ONNXModel.encode(policy, observationSpace: space)
            }
            #expect(error?.description.contains("frame_stack") == true)
        }
    }

    @Test func modelsSayWhatTheyAre() throws {
        let batch = try LocalBatch("Pendulum-v1", count: 1)
        let policy = try PPO.policy(
            Hyperparameters(PPO.schema), observationSpace: batch.observationSpace, actionSpace: batch.actionSpace)
        let model = try Model(
            ONNXModel.encode(
                policy, observationSpace: batch.observationSpace, metadata: [("environment", "Pendulum-v1")]))
        #expect(model.operatorVersion == 13 && model.graphName == "Pendulum-v1")
        #expect(model.input == "observation" && model.output == "action")
        // Weights and biases, as often as there are layers, and the bounds.
        #expect(model.constants.count == 2 * 3 + 2)
    }

    /// Makes a layer's weights 300 times as large.
    private func enlarge(_ name: String, of policy: any Policy) throws {
        let tensors = policy.tensors.map { entry in
            guard entry.name == name else { return entry }
            let elements: [Float] = entry.tensor.elements()
            return NamedTensor(entry.name, Tensor(elements.map { $0 * 300 }, shape: entry.tensor.shape))
        }
        try policy.load(tensors)
    }

    private func compare(_ policy: any Policy, _ observationSpace: Space, _ actionSpace: Space) throws {
        let model = try Model(ONNXModel.encode(policy, observationSpace: observationSpace))
        let rows = 20
        let observations = BatchBuffer(space: observationSpace, count: rows)
        let actions = BatchBuffer(space: actionSpace, count: rows)
        var generator = NumPyGenerator(seed: 9)
        let column = observations.columns[0]
        let count = column.rowBytes / column.dtype.size
        var input: [Double] = []
        for index in 0..<rows * count {
            switch column.dtype {
            case .uint8:
                let value = UInt8(generator.integer(in: 0..<256))
                observations.elements(ofLeaf: 0, as: UInt8.self)[index] = value
                input.append(Double(value))
            case .int8:
                let value = Int8(generator.integer(in: 0..<2))
                observations.elements(ofLeaf: 0, as: Int8.self)[index] = value
                input.append(Double(value))
            case .float64:
                let value = generator.uniform(-2, 2)
                observations.elements(ofLeaf: 0, as: Double.self)[index] = value
                input.append(value)
            default:
                let value = Float(generator.uniform(-2, 2))
                observations.elements(ofLeaf: 0, as: Float.self)[index] = value
                input.append(Double(value))
            }
        }
        policy.act(on: observations, count: rows, actions: actions)
        let output = try model.run(input, rows: rows)
        let target = actions.columns[0]
        #expect(output.count == rows * target.rowBytes / target.dtype.size)
        for (index, value) in output.enumerated() {
            let expected = target.dtype.double(in: UnsafeRawPointer(target.base!), at: index)
            #expect(abs(value - expected) <= 1e-5 * max(1, abs(expected)), "element \(index)")
        }
    }
}

/// The parts of an ONNX file that a policy consists of.
private struct Model {
    struct Node {
        var inputs: [String] = []
        var output = ""
        var kind = ""
        var attributes: [String: Int64] = [:]
        var lists: [String: [Int]] = [:]
    }

    struct Unreadable: Error {
        let reason: String
    }

    var nodes: [Node] = []
    var constants: [String: (shape: [Int], values: [Double])] = [:]
    var operatorVersion: UInt64 = 0
    var graphName = ""
    var input = ""
    var inputShape: [Int] = []
    var output = ""

    init(_ bytes: [UInt8]) throws {
        for field in try Model.fields(bytes[...]) {
            switch field.number {
            case 7: try read(graph: field.bytes)
            case 8: operatorVersion = try Model.fields(field.bytes).first { $0.number == 2 }?.value ?? 0
            default: break
            }
        }
    }

    private struct Field {
        let number: UInt64
        let value: UInt64
        let bytes: ArraySlice<UInt8>

        var text: String { String(decoding: bytes, as: UTF8.self) }
    }

    private static func fields(_ bytes: ArraySlice<UInt8>) throws -> [Field] {
        var rest = bytes
        func varint() throws -> UInt64 {
            var value: UInt64 = 0
            var shift: UInt64 = 0
            while let byte = rest.popFirst() {
                value |= UInt64(byte & 0x7F) << shift
                if byte < 0x80 { return value }
                shift += 7
            }
            throw Unreadable(reason: "cut short")
        }
        var fields: [Field] = []
        while !rest.isEmpty {
            let key = try varint()
            switch key & 7 {
            case 0: fields.append(Field(number: key >> 3, value: try varint(), bytes: []))
            case 2:
                let length = Int(try varint())
                guard length <= rest.count else { throw Unreadable(reason: "cut short") }
                fields.append(Field(number: key >> 3, value: 0, bytes: rest.prefix(length)))
                rest = rest.dropFirst(length)
            default: throw Unreadable(reason: "wire type \(key & 7)")
            }
        }
        return fields
    }

    private mutating func read(graph: ArraySlice<UInt8>) throws {
        for field in try Model.fields(graph) {
            switch field.number {
            case 1:
                var node = Node()
                for part in try Model.fields(field.bytes) {
                    switch part.number {
                    case 1: node.inputs.append(part.text)
                    case 2: node.output = part.text
                    case 4: node.kind = part.text
                    case 5:
                        let attribute = try Model.fields(part.bytes)
                        let name = attribute.first { $0.number == 1 }!.text
                        switch attribute.first(where: { $0.number == 20 })?.value {
                        case 2:
                            node.attributes[name] = Int64(bitPattern: attribute.first { $0.number == 3 }!.value)
                        case 7: node.lists[name] = attribute.filter { $0.number == 8 }.map { Int($0.value) }
                        default: throw Unreadable(reason: "an attribute that is neither INT nor INTS")
                        }
                    default: break
                    }
                }
                nodes.append(node)
            case 2: graphName = field.text
            case 5:
                let parts = try Model.fields(field.bytes)
                let raw = parts.first { $0.number == 9 }!.bytes
                let type = parts.first { $0.number == 2 }!.value
                let values: [Double] = try raw.withUnsafeBytes { memory in
                    switch type {
                    case 1:
                        (0..<memory.count / 4).map {
                            Double(memory.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self))
                        }
                    case 7:
                        (0..<memory.count / 8).map {
                            Double(memory.loadUnaligned(fromByteOffset: 8 * $0, as: Int64.self))
                        }
                    case 11:
                        (0..<memory.count / 8).map {
                            memory.loadUnaligned(fromByteOffset: 8 * $0, as: Double.self)
                        }
                    default: throw Unreadable(reason: "a constant of type \(type)")
                    }
                }
                let shape = parts.filter { $0.number == 1 }.map { Int($0.value) }
                guard shape.reduce(1, *) == values.count else { throw Unreadable(reason: "a constant's shape") }
                constants[parts.first { $0.number == 8 }!.text] = (shape, values)
            case 11:
                let parts = try Model.fields(field.bytes)
                input = parts.first { $0.number == 1 }?.text ?? ""
                // ValueInfoProto.type, .tensor_type, .shape, and each .dim's .dim_value; the batch has none.
                var message = parts.first { $0.number == 2 }!
                for number: UInt64 in [1, 2] {
                    message = try Model.fields(message.bytes).first { $0.number == number }!
                }
                inputShape = try Model.fields(message.bytes).dropFirst().map {
                    Int(try Model.fields($0.bytes).first { $0.number == 1 }!.value)
                }
            case 12: output = try Model.fields(field.bytes).first { $0.number == 1 }?.text ?? ""
            default: break
            }
        }
    }

    /// Computes the output of a batch; values are rows of numbers, whatever their shape.
    func run(_ observation: [Double], rows: Int) throws -> [Double] {
        var values = ["observation": observation]
        /// Of each value's rows, where it matters.
        var shapes = ["observation": inputShape]
        for node in nodes {
            guard let x = values[node.inputs[0]] else { throw Unreadable(reason: "no \(node.inputs[0])") }
            let width = x.count / rows
            func constant(_ index: Int) throws -> [Double] {
                guard let found = constants[node.inputs[index]] else {
                    throw Unreadable(reason: "no constant \(node.inputs[index])")
                }
                return found.values
            }
            func rowShape(_ count: Int) throws -> [Int] {
                guard let shape = shapes[node.inputs[0]], shape.count == count else {
                    throw Unreadable(reason: "the shape of \(node.inputs[0])")
                }
                return shape
            }
            // Unless it is said otherwise.
            shapes[node.output] = shapes[node.inputs[0]]
            func elementwise(_ operation: (Double, Double) -> Double) throws -> [Double] {
                let other = try constant(1)
                guard other.count == 1 || other.count == width else { throw Unreadable(reason: node.kind) }
                return x.indices.map { operation(x[$0], other[$0 % other.count]) }
            }
            switch node.kind {
            case "Identity", "Flatten", "Cast": values[node.output] = x
            case "Reshape":
                values[node.output] = x
                shapes[node.output] = try constant(1).dropFirst().map { Int($0) }
            case "Transpose":
                let shape = try rowShape(3)
                let order = node.lists["perm"]!.dropFirst().map { $0 - 1 }
                let (new, strides) = (order.map { shape[$0] }, [shape[1] * shape[2], shape[2], 1])
                shapes[node.output] = new
                values[node.output] = (0..<x.count).map { index in
                    let (row, place) = index.quotientAndRemainder(dividingBy: width)
                    let places = [place / (new[1] * new[2]), place / new[2] % new[1], place % new[2]]
                    return x[row * width + zip(order, places).reduce(0) { $0 + strides[$1.0] * $1.1 }]
                }
            case "Conv":
                let (shape, stride) = (try rowShape(3), node.lists["strides"]![0])
                let (weight, bias) = (constants[node.inputs[1]]!, try constant(2))
                let (filters, kernel) = (weight.shape[0], weight.shape[2])
                guard weight.shape[1] == shape[0] else { throw Unreadable(reason: "Conv") }
                let new = [filters, (shape[1] - kernel) / stride + 1, (shape[2] - kernel) / stride + 1]
                shapes[node.output] = new
                values[node.output] = (0..<rows * new.reduce(1, *)).map { index in
                    let column = index % new[2]
                    let line = index / new[2] % new[1]
                    let filter = index / (new[2] * new[1]) % filters
                    let row = index / (new[2] * new[1] * filters)
                    var sum = bias[filter]
                    for channel in 0..<shape[0] {
                        for y in 0..<kernel {
                            for z in 0..<kernel {
                                let place = (channel * shape[1] + line * stride + y) * shape[2] + column * stride + z
                                sum +=
                                    x[row * width + place]
                                    * weight.values[((filter * shape[0] + channel) * kernel + y) * kernel + z]
                            }
                        }
                    }
                    return sum
                }
            case "Mul": values[node.output] = try elementwise(*)
            case "Add": values[node.output] = try elementwise(+)
            case "Sub": values[node.output] = try elementwise(-)
            case "Max": values[node.output] = try elementwise(max)
            case "Min": values[node.output] = try elementwise(min)
            case "Greater": values[node.output] = try elementwise { $0 > $1 ? 1 : 0 }
            case "Clip":
                let (low, high) = (try constant(1)[0], try constant(2)[0])
                values[node.output] = x.map { min(max($0, low), high) }
            case "Tanh": values[node.output] = x.map { tanh($0) }
            case "Relu": values[node.output] = x.map { max($0, 0) }
            case "Gemm":
                let (weight, bias) = (try constant(1), try constant(2))
                guard weight.count == width * bias.count else { throw Unreadable(reason: "Gemm") }
                values[node.output] = (0..<rows * bias.count).map { index in
                    let (row, column) = index.quotientAndRemainder(dividingBy: bias.count)
                    return (0..<width).reduce(bias[column]) {
                        $0 + x[row * width + $1] * weight[$1 * bias.count + column]
                    }
                }
            case "LayerNormalization":
                let (weight, bias) = (try constant(1), try constant(2))
                guard weight.count == width, bias.count == width, operatorVersion >= 17 else {
                    throw Unreadable(reason: "LayerNormalization")
                }
                values[node.output] = (0..<rows).flatMap { row in
                    let part = x[row * width..<(row + 1) * width]
                    let mean = part.reduce(0, +) / Double(width)
                    let variance = part.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(width)
                    return part.enumerated().map {
                        ($1 - mean) / (variance + 1e-5).squareRoot() * weight[$0] + bias[$0]
                    }
                }
            case "ArgMax":
                values[node.output] = (0..<rows).map { row in
                    let part = x[row * width..<(row + 1) * width]
                    return Double(part.firstIndex(of: part.max()!)! - row * width)
                }
            case "Concat":
                let parts = node.inputs.map { values[$0]! }
                values[node.output] = (0..<rows).flatMap { row in parts.map { $0[row] } }
            default: throw Unreadable(reason: "operator \(node.kind)")
            }
        }
        guard let result = values["action"] else { throw Unreadable(reason: "no action") }
        return result
    }
}
