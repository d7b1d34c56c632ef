import GymCore
import NeuralNetwork

/// What the networks of a run take in: rows of numbers (`MlpPolicy`) or pictures (`CnnPolicy`).
package struct NetworkInput: Sendable {
    let encoder: ObservationEncoder
    /// The shape of a row as a picture, and the convolutions that look at it; none with `MlpPolicy`.
    let image: ImageShape?
    let convolutions: [ConvolutionSize]
    /// Units of the layer between the convolutions and the rest.
    private let features: Int

    /// What the hyperparameters ask for.
    ///
    /// - Parameter needsFloats: whether rows of bytes are floats all the same.
    /// - Throws: ``UnsupportedSpaceError`` for observations that cannot be convolved, ``HyperparameterError`` for values
    ///   that do not go together.
    package init(_ h: Hyperparameters, observationSpace space: Space, needsFloats: Bool = false) throws {
        let isConvolutional = h.text("policy") == "CnnPolicy"
        let normalises = h.bool("normalize") && h.bool("norm_obs")
        if normalises && (isConvolutional || h.integer("frame_stack") > 1) {
            throw HyperparameterError(
                key: "norm_obs",
                description: "normalize goes with neither CnnPolicy nor frame_stack while norm_obs is true; "
                    + "norm_obs=false normalises rewards alone")
        }
        encoder = try ObservationEncoder(
            space, keepsBytes: !normalises && !needsFloats, frames: h.integer("frame_stack"))
        convolutions = isConvolutional ? h.convolutions("cnn_arch") : []
        features = h.integer("features_dim")
        image =
            isConvolutional
            ? try NetworkInput.image(space, frames: encoder.frames, convolutions: convolutions) : nil
    }

    /// Rows of floats.
    ///
    /// - Throws: ``UnsupportedSpaceError``.
    package init(floatsOf space: Space) throws {
        encoder = try ObservationEncoder(space)
        image = nil
        convolutions = []
        features = 0
    }

    /// A network from these rows.
    ///
    /// - Parameter layerNorm: whether each fully connected hidden layer is normalised before its activation.
    package func network(
        _ name: String, hidden: [Int], outputs: Int, activation: Activation, layerNorm: Bool = false,
        layout: inout ParameterLayout
    ) -> Network {
        Network(
            name, input: encoder.format, image: image, convolutions: convolutions,
            sizes: (image == nil ? [] : [features]) + hidden + [outputs], activation: activation,
            // The units after the convolutions have a ReLU whatever follows the others, as in the DQN network.
            firstActivation: image == nil ? nil : .relu, layerNorm: layerNorm, layout: &layout)
    }

    private static func image(_ space: Space, frames: Int, convolutions: [ConvolutionSize]) throws -> ImageShape {
        guard case .box(let box) = space, (2...3).contains(box.shape.count), box.shape.allSatisfy({ $0 > 0 }) else {
            throw UnsupportedSpaceError(
                "CnnPolicy needs pictures: observations from one Box of shape (height, width), (height, width, channels) "
                    + "or (channels, height, width), not \(space); policy=MlpPolicy learns with it")
        }
        let shape = box.shape
        let image: ImageShape
        if shape.count == 2 {
            image = ImageShape(planes: frames, height: shape[0], width: shape[1], channels: 1)
        } else if shape[0] < min(shape[1], shape[2]) {
            image = ImageShape(planes: frames * shape[0], height: shape[1], width: shape[2], channels: 1)
        } else {
            image = ImageShape(planes: frames, height: shape[0], width: shape[1], channels: shape[2])
        }
        let smallest = ConvolutionSize.smallestSide(convolutions)
        if min(image.height, image.width) < smallest {
            throw UnsupportedSpaceError(
                "the convolutions of cnn_arch need pictures of at least \(smallest) by \(smallest) pixels, and these "
                    + "have \(image.height) by \(image.width); smaller ones, as cnn_arch=[[16, 3, 1], [32, 3, 1]] from "
                    + "5 by 5 pixels on, or policy=MlpPolicy would work")
        }
        return image
    }
}

extension Hyperparameter {
    /// For every algorithm.
    static let layerNorm = Hyperparameter(
        "layer_norm", .bool, .bool(false), "layer normalisation of each hidden layer before its activation")

    /// What the networks look at, for the algorithms that learn from pictures.
    static let pictures: [Hyperparameter] = [
        .init(
            "policy", .choice(["MlpPolicy", "CnnPolicy"]), .text("MlpPolicy"),
            "fully connected networks, or convolutions before them; CnnPolicy has net_arch [] unless told otherwise"),
        .init(
            "frame_stack", .integer(1...64), .integer(1),
            "the last observations that the networks look at together, zeros before an episode's first"),
        .init(
            "cnn_arch", .convolutions, .convolutions(ConvolutionSize.dqn),
            "with CnnPolicy: filters, kernel and stride of each convolution"),
        .init(
            "features_dim", .integer(1...65_536), .integer(512),
            "with CnnPolicy: units between the convolutions and net_arch"),
    ]
}
