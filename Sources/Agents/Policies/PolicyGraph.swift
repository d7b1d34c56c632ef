import GymCore
import NeuralNetwork

/// What a greedy policy computes from an observation, as data: for writing it in formats that other programs read.
package struct PolicyGraph {
    /// y = f(x W + b), or with a norm f(norm(x W + b)).
    struct Layer {
        let inputs: Int
        let outputs: Int
        /// (inputs, outputs), row-major.
        let weight: [Float]
        /// (outputs).
        let bias: [Float]
        /// Layer normalisation, (outputs) each.
        let norm: (weight: [Float], bias: [Float])?
        let activation: Activation
    }

    /// A convolution without padding, and the ReLU after it.
    struct Convolution {
        let input: ImageShape
        let output: ImageShape
        let size: ConvolutionSize
        /// (filters, planes and their channels, kernel, kernel), row-major.
        let weight: [Float]
        /// (filters).
        let bias: [Float]
    }

    /// How a number of the last layer comes between −1 and 1.
    package enum Squashing: Sendable {
        /// It is there already, or anywhere.
        case none
        /// tanh.
        case tanh
        /// tanh, once the number is within ± the limit.
        case tanhWithin(Float)
    }

    /// What the last layer's numbers become.
    package enum Action {
        /// The largest of each dimension's numbers, counted from `starts`.
        case choices(counts: [Int], starts: [Int])
        /// 1 where a number is above 0, else 0.
        case coins
        /// Real numbers: squashed, then scaled and held within the bounds as the codec says.
        case reals(Squashing)
    }

    /// What the observation is multiplied by first: 1/255 for bytes of images.
    let factor: Float
    /// Then, with normalisation: (x − shift) · scale, held within ± clip.
    let normalisation: (shift: [Float], scale: [Float], clip: Float)?
    /// Before the layers, which then take the last one's numbers as (height, width, filters).
    let convolutions: [Convolution]
    let layers: [Layer]
    let action: Action
    let codec: ActionCodec
}

/// A policy that can be written down for other programs.
protocol ExportablePolicy: Policy {
    /// What it computes.
    ///
    /// - Throws: ``UnsupportedSpaceError`` for observations that are not one array of numbers and for stacks of frames.
    func graph() throws -> PolicyGraph
}

extension GreedyPolicy: ExportablePolicy {
    func graph() throws -> PolicyGraph {
        var layers = PolicyGraph.layers(of: network.dense, parameters)
        let last = layers.removeLast()
        let (columns, action) = head.exported(by: codec)
        layers.append(columns.count == last.outputs ? last : last.columns(columns))
        return PolicyGraph(
            factor: try PolicyGraph.factor(of: encoder), normalisation: PolicyGraph.frozen(normalisation),
            convolutions: PolicyGraph.convolutions(of: network, parameters), layers: layers, action: action,
            codec: codec)
    }
}

extension PolicyGraph {
    /// What the observation is multiplied by.
    ///
    /// - Throws: ``UnsupportedSpaceError`` for rows that are not one observation's numbers.
    fileprivate static func factor(of encoder: ObservationEncoder) throws -> Float {
        if encoder.frames > 1 {
            throw UnsupportedSpaceError(
                "export knows policies that look at one observation; this one looks at the last \(encoder.frames) "
                    + "(frame_stack), which whoever runs the model would have to keep")
        }
        guard let factor = encoder.factor else {
            throw UnsupportedSpaceError(
                "a policy is exported for observations from one Box or MultiBinary space; those of several parts, and "
                    + "Discrete ones, would leave their encoding to whoever runs it")
        }
        return factor
    }

    fileprivate static func convolutions(of network: Network, _ store: ParameterStore) -> [Convolution] {
        network.convolutions.map { layer in
            let (planes, kernel, channels, filters) = (
                layer.input.planes, layer.size.kernel, layer.input.channels, layer.size.filters
            )
            // Ours are (planes, kernel, kernel, channels, filters).
            let ours = store[layer.weight]
            var weight: [Float] = []
            weight.reserveCapacity(ours.count)
            for filter in 0..<filters {
                for plane in 0..<planes {
                    for channel in 0..<channels {
                        for place in 0..<kernel * kernel {
                            let row = plane * kernel * kernel + place
                            weight.append(ours[(row * channels + channel) * filters + filter])
                        }
                    }
                }
            }
            return Convolution(
                input: layer.input, output: layer.output, size: layer.size, weight: weight,
                bias: Array(store[layer.bias]))
        }
    }

    fileprivate static func layers(of network: MultiLayerPerceptron, _ store: ParameterStore) -> [Layer] {
        network.layers.map {
            Layer(
                inputs: $0.inputs, outputs: $0.outputs, weight: Array(store[$0.weight]), bias: Array(store[$0.bias]),
                norm: $0.norm.map { (Array(store[$0.weight]), Array(store[$0.bias])) }, activation: $0.activation)
        }
    }

    fileprivate static func frozen(
        _ normalisation: Normalisation
    ) -> (shift: [Float], scale: [Float], clip: Float)? {
        guard normalisation.observations != nil else { return nil }
        return (normalisation.shift, normalisation.scale, normalisation.observationClip)
    }
}

extension PolicyGraph.Layer {
    /// The layer with some of its outputs only.
    ///
    /// - Precondition: it is not normalised, which would mix its outputs.
    func columns(_ range: Range<Int>) -> PolicyGraph.Layer {
        precondition(norm == nil, "outputs of a normalised layer cannot be told apart")
        var part: [Float] = []
        part.reserveCapacity(inputs * range.count)
        for row in 0..<inputs { part += weight[row * outputs + range.lowerBound..<row * outputs + range.upperBound] }
        return PolicyGraph.Layer(
            inputs: inputs, outputs: range.count, weight: part, bias: Array(bias[range]), norm: nil,
            activation: activation)
    }
}
