import GymCore
import NeuralNetwork

/// What the networks of a method with real actions look at and give.
package struct BoxShape: Sendable {
    let input: NetworkInput
    let codec: ActionCodec
    /// Rows that act at a time.
    let environments: Int
    /// The numbers of an observation, stacked frames included.
    var observationSize: Int { input.encoder.size }
    /// The numbers of an action.
    var actionSize: Int { codec.size }

    /// The shape for the given spaces.
    ///
    /// - Throws: ``UnsupportedSpaceError``, ``HyperparameterError``.
    package init<Declared: NetworkSettings>(
        _ method: String, _ configuration: MethodConfiguration<Declared>, _ observationSpace: Space,
        _ actionSpace: Space, environments: Int = 1
    ) throws {
        codec = try ActionCodec(scaling: actionSpace, method: method)
        input = try NetworkInput(numbersOf: configuration, observationSpace: observationSpace, method: method)
        self.environments = environments
    }

    /// The policy of networks of this shape, for weights to be loaded into.
    ///
    /// - Parameter make: the networks of a method.
    func policy<Declared: OffPolicySettings, Learning: OffPolicyMethod>(
        _ configuration: MethodConfiguration<Declared>,
        _ make: (MethodConfiguration<Declared>, BoxWork) -> Learning
    ) -> any Policy {
        let work = BoxWork(configuration, self, replays: [], seed: 0, UpdateContext(Parts(slices: 2)))
        return make(configuration, work).policy(
            normalisation: Normalisation(configuration, size: input.encoder.size, environments: 1))
    }
}

/// What a method with real actions works with besides its networks: its shape, minibatches, exploration, and who does
/// what.
package struct BoxWork {
    let shape: BoxShape
    let minibatches: Minibatches
    let context: UpdateContext
    let seed: UInt64

    var parts: Parts { context.parts }
    var workers: Workers { context.workers }

    /// - Parameter replays: a buffer a part; none where nothing is to be learnt.
    package init<Declared: OffPolicySettings>(
        _ configuration: MethodConfiguration<Declared>, _ shape: BoxShape, replays: [Replay], seed: UInt64,
        _ context: UpdateContext
    ) {
        self.shape = shape
        self.context = context
        self.seed = seed
        minibatches = Minibatches(
            count: configuration.batchSize, replays: replays, format: shape.input.encoder.format,
            actionSize: shape.actionSize, parts: context.parts, seed: seed)
    }
}

/// What a method with real actions learns from: environments, the collector that steps them, and the parts' buffers.
struct BoxExperience<Declared: OffPolicySettings & DeclaredSettings> {
    private let configuration: MethodConfiguration<Declared>
    private let overlaps: Bool
    private let collector: Collector
    private let replays: [Replay]
    private let work: BoxWork

    /// - Throws: ``UnsupportedSpaceError``, ``HyperparameterError``.
    init(
        _ method: String, on batch: any EnvironmentBatch, _ configuration: MethodConfiguration<Declared>,
        _ options: LearnerOptions
    ) throws {
        self.configuration = configuration
        overlaps = options.overlaps
        let context = options.context(try configuration.offPolicyParts())
        let shape = try BoxShape(
            method, configuration, batch.observationSpace, batch.actionSpace, environments: batch.count)
        let encoder = shape.input.encoder
        collector = try Collector(
            batch, encoder: encoder, codec: shape.codec,
            normalisation: Normalisation(configuration, size: encoder.size, environments: batch.count),
            parts: context.parts, seed: options.seed)
        replays = try configuration.replays(
            environments: batch.count, encoder: encoder, actionSize: shape.actionSize, parts: context.parts)
        work = BoxWork(configuration, shape, replays: replays, seed: options.seed, context)
    }

    /// The learner of a method.
    ///
    /// - Parameters:
    ///   - actsBeforeLearning: whether the policy acts from the first step on.
    ///   - make: the networks of the method.
    func learner<Learning: OffPolicyMethod>(
        actsBeforeLearning: Bool = false, _ make: (MethodConfiguration<Declared>, BoxWork) -> Learning
    ) -> OffPolicyLearner<Learning> {
        OffPolicyLearner(
            configuration, make(configuration, work), collector: collector, replays: replays, work.context,
            overlaps: overlaps, actsBeforeLearning: actsBeforeLearning)
    }
}
