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
        _ method: String, _ configuration: MethodConfiguration<Declared>, observationSpace: Space,
        actionSpace: Space, environments: Int
    ) throws {
        codec = try ActionCodec(scaling: actionSpace, method: method)
        input = try NetworkInput(numbersOf: configuration, observationSpace: observationSpace, method: method)
        self.environments = environments
    }
}

/// What a method with real actions learns from: environments, the collector that steps them, and the parts' buffers.
struct BoxExperience<Declared: OffPolicySettings & DeclaredSettings> {
    private let configuration: MethodConfiguration<Declared>
    private let options: LearnerOptions
    private let collector: Collector
    let shape: BoxShape
    let replays: [Replay]
    let parts: Parts
    let context: UpdateContext

    /// - Throws: ``UnsupportedSpaceError``, ``HyperparameterError``.
    init(
        _ method: String, on batch: any EnvironmentBatch, _ configuration: MethodConfiguration<Declared>,
        _ options: LearnerOptions
    ) throws {
        self.configuration = configuration
        self.options = options
        context = options.context
        parts = try configuration.offPolicyParts()
        shape = try BoxShape(
            method, configuration, observationSpace: batch.observationSpace, actionSpace: batch.actionSpace,
            environments: batch.count)
        let encoder = shape.input.encoder
        collector = try Collector(
            batch, encoder: encoder, codec: shape.codec,
            normalisation: Normalisation(configuration, size: encoder.size, environments: batch.count),
            parts: parts, seed: options.seed)
        replays = try configuration.replays(
            environments: batch.count, encoder: encoder, actionSize: shape.actionSize, parts: parts)
    }

    /// The learner of a method.
    ///
    /// - Parameter actsBeforeLearning: whether the policy acts from the first step on.
    func learner<Learning: OffPolicyMethod>(
        actsBeforeLearning: Bool = false, _ make: (BoxExperience) -> Learning
    ) -> OffPolicyLearner<Learning> {
        OffPolicyLearner(
            configuration, make(self), collector: collector, replays: replays, parts: parts,
            workers: context.workers, overlaps: options.overlaps, actsBeforeLearning: actsBeforeLearning)
    }
}
