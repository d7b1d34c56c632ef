import GymCore
import NeuralNetwork

/// What every off-policy method can be told.
open class OffPolicySettings: NetworkSettings, @unchecked Sendable {
    /// `buffer_size`
    public let bufferSize = Setting<Int>("buffer_size", 1_000_000, in: 1...100_000_000, "transitions kept")
    /// `learning_starts`
    public let learningStarts = Setting<Int>(
        "learning_starts", 100, in: 0...Int.max, "steps at random before learning")
    /// `batch_size`
    public let batchSize: Setting<Int>
    /// `train_freq`
    public let trainFrequency: Setting<Int>
    /// `gradient_steps`
    public let gradientSteps = Setting<Int>(
        "gradient_steps", 1, in: -1...1_000_000,
        "updates each time; -1: as many as steps of all environments since the last")
    /// `act_ahead`
    public let actAhead = Setting<Bool>(
        "act_ahead", false,
        "whether the actions after an update are chosen before it, so that environments can step during it")
    /// `n_steps`
    public let nSteps = Setting<Int>(
        "n_steps", 1, in: 1...1000, "rewards that a target sums before it trusts the critic")

    /// The settings with a method's own defaults.
    public init(batchSize: Int, learningRate: Schedule, trainFrequency: Int, hiddenLayers: HiddenLayers) {
        self.batchSize = Setting("batch_size", batchSize, in: 1...1_000_000, "transitions of an update")
        self.trainFrequency = Setting(
            "train_freq", trainFrequency, in: 1...1_000_000, "steps of each environment between updates")
        super.init(
            learningRate: learningRate, hiddenLayers: hiddenLayers, activation: .relu, adamEpsilon: 1e-8)
    }
}

extension MethodConfiguration where Declared: OffPolicySettings {
    /// How the work is divided: two slices of each part's minibatch.
    func offPolicyParts() throws -> Parts {
        let parts = Parts(count: self.parts, slices: 2)
        try parts.require(self.batchSize, "batch_size")
        return parts
    }

    /// A replay buffer for each part, for steps of so many environments in all.
    ///
    /// - Throws: ``HyperparameterError`` when there is no memory for them.
    func replays(
        environments: Int, encoder: ObservationEncoder, actionSize: Int, parts: Parts,
        sampler: (_ capacity: Int) -> PrioritisedSampler? = { _ in nil }
    ) throws -> [Replay] {
        let share = environments / parts.count
        let capacity = max(self.bufferSize / parts.count, share * self.nSteps)
        try requireMemory(
            Double(parts.count) * Replay.bytes(capacity: capacity, encoder: encoder, actionSize: actionSize),
            for: "buffer_size", "the buffer_size = \(self.bufferSize) transitions of a replay buffer")
        return (0..<parts.count).map { _ in
            Replay(
                capacity: capacity, environments: share, encoder: encoder, actionSize: actionSize,
                gamma: Float(self.gamma), length: self.nSteps, sampler: sampler(capacity))
        }
    }
}
