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

    /// What the configuration asks for.
    ///
    /// - Parameter needsFloats: whether rows of bytes are floats all the same.
    /// - Throws: ``UnsupportedSpaceError`` for observations that cannot be convolved, ``HyperparameterError`` for values
    ///   that do not go together.
    package init<Declared: NetworkSettings>(
        _ configuration: MethodConfiguration<Declared>, observationSpace space: Space, needsFloats: Bool = false
    ) throws {
        let isConvolutional = configuration.networkKind == .convolutional
        let normalises = configuration.normalize && configuration.normalizeObservations
        if normalises && (isConvolutional || configuration.frameStack > 1) {
            throw HyperparameterError(
                key: "norm_obs",
                description: "normalize goes with neither CnnPolicy nor frame_stack while norm_obs is true; "
                    + "norm_obs=false normalises rewards alone")
        }
        encoder = try ObservationEncoder(
            space, keepsBytes: !normalises && !needsFloats, frames: configuration.frameStack)
        convolutions = isConvolutional ? configuration.convolutions : []
        features = configuration.features
        image =
            isConvolutional
            ? try NetworkInput.image(space, frames: encoder.frames, convolutions: convolutions) : nil
    }

    /// What the configuration asks for, for a method that takes rows of numbers alone.
    ///
    /// - Throws: as the other; also for pictures.
    package init<Declared: NetworkSettings>(
        numbersOf configuration: MethodConfiguration<Declared>, observationSpace space: Space, method: String
    ) throws {
        if configuration.networkKind == .convolutional {
            throw HyperparameterError(
                key: "policy",
                description:
                    "policy is CnnPolicy, and \(method)'s critics take an observation and an action as one row of "
                    + "numbers; ppo, a2c and dqn learn from pictures")
        }
        try self.init(configuration, observationSpace: space, needsFloats: true)
    }

    /// A network from these rows.
    ///
    /// - Parameter layerNorm: whether each fully connected hidden layer is normalised before its activation.
    package func network(
        _ name: String, hidden: [Int], outputs: Int, activation: Activation, layerNorm: Bool = false,
        outputActivation: Activation = .identity, layout: inout ParameterLayout
    ) -> Network {
        Network(
            name, input: encoder.format, image: image, convolutions: convolutions,
            sizes: (image == nil ? [] : [features]) + hidden + [outputs], activation: activation,
            // The units after the convolutions have a ReLU whatever follows the others, as in the DQN network.
            firstActivation: image == nil ? nil : .relu, outputActivation: outputActivation, layerNorm: layerNorm,
            layout: &layout)
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

/// What looks at observations first, by Stable-Baselines3's names.
public enum NetworkKind: String, Sendable, CaseIterable, SettingValue {
    /// Fully connected layers.
    case fullyConnected = "MlpPolicy"
    /// Convolutions before them.
    case convolutional = "CnnPolicy"
}

/// What every method with networks can be told.
open class NetworkSettings: Settings, @unchecked Sendable {
    /// `policy`
    public let networkKind = Setting<NetworkKind>(
        "policy", .fullyConnected,
        "fully connected networks, or convolutions before them; CnnPolicy has net_arch [] unless told otherwise")
    /// `frame_stack`
    public let frameStack = Setting<Int>(
        "frame_stack", 1, in: 1...64,
        "the last observations that the networks look at together, zeros before an episode's first")
    /// `cnn_arch`
    public let convolutions = Setting<[ConvolutionSize]>(
        "cnn_arch", ConvolutionSize.dqn, "with CnnPolicy: filters, kernel and stride of each convolution")
    /// `features_dim`
    public let features = Setting<Int>(
        "features_dim", 512, in: 1...65_536, "with CnnPolicy: units between the convolutions and net_arch")
    /// `net_arch`
    public let hiddenLayers: Setting<HiddenLayers>
    /// `activation_fn`
    public let activation: Setting<Activation>
    /// `layer_norm`
    public let layerNorm = Setting<Bool>(
        "layer_norm", false, "layer normalisation of each hidden layer before its activation")
    /// `adam_epsilon`
    public let adamEpsilon: Setting<Double>
    /// `normalize`
    public let normalize = Setting<Bool>(
        "normalize", false, "running normalisation; norm_obs and norm_reward say of what")
    /// `norm_obs`
    public let normalizeObservations = Setting<Bool>(
        "norm_obs", true, "with normalize: observations by their mean and deviation")
    /// `norm_reward`
    public let normalizeRewards = Setting<Bool>(
        "norm_reward", true, "with normalize: rewards by the deviation of the discounted return")
    /// `clip_obs`
    public let observationClip = Setting<Double>(
        "clip_obs", 10, in: 0...1e6, "with normalize: observations stay within ± this")
    /// `clip_reward`
    public let rewardClip = Setting<Double>(
        "clip_reward", 10, in: 0...1e6, "with normalize: rewards stay within ± this")

    /// The settings with a method's own defaults.
    public init(learningRate: Schedule, hiddenLayers: HiddenLayers, activation: Activation, adamEpsilon: Double) {
        self.hiddenLayers = Setting("net_arch", hiddenLayers, "widths of the hidden layers")
        self.activation = Setting("activation_fn", activation, "what follows a hidden layer")
        self.adamEpsilon = Setting("adam_epsilon", adamEpsilon, in: 0...1, "added to the root of Adam's second moment")
        super.init(learningRate: learningRate)
    }
}

extension Normalisation {
    /// What the configuration asks for.
    package init<Declared: NetworkSettings>(
        _ configuration: MethodConfiguration<Declared>, size: Int, environments: Int
    ) {
        let normalises = configuration.normalize
        self.init(
            observations: normalises && configuration.normalizeObservations,
            rewards: normalises && configuration.normalizeRewards, size: size, environments: environments,
            gamma: configuration.gamma, observationClip: configuration.observationClip,
            rewardClip: configuration.rewardClip)
    }
}
