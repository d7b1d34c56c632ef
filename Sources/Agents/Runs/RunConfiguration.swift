import GymCore

/// What identifies a run, and with the version all that is needed to repeat it.
public struct RunConfiguration: Sendable {
    /// The algorithm.
    public let algorithm: Algorithm
    /// The environment's id.
    public let environment: String
    /// The seed that everything random comes from.
    public let seed: UInt64
    /// Every hyperparameter as resolved.
    public private(set) var hyperparameters: Hyperparameters
    /// The SHA-256 of the policy that the run starts with; `nil`: a fresh one.
    public var initialWeightsSha256: String?

    /// A run of the given algorithm.
    public init(algorithm: Algorithm, environment: String, seed: UInt64, hyperparameters: Hyperparameters) {
        self.algorithm = algorithm
        self.environment = environment
        self.seed = seed
        self.hyperparameters = hyperparameters
    }
}

extension RunConfiguration {
    /// A run with the environment's preset, and over it what is set by hand.
    ///
    /// - Parameters:
    ///   - preset: another preset's name, or the path of a YAML file.
    ///   - settings: hyperparameters by their keys, as text.
    /// - Throws: ``PresetError`` or ``HyperparameterError``.
    public init(
        _ algorithm: Algorithm, on environment: String, seed: UInt64 = 0, preset: String? = nil,
        settings: KeyValuePairs<String, String> = [:]
    ) throws {
        self.init(
            algorithm: algorithm, environment: environment, seed: seed,
            hyperparameters: try algorithm.hyperparameters(
                environment: environment, preset: preset, settings: settings.map { ($0.key, $0.value) }))
    }

    /// A run of the method whose configuration it is: `RunConfiguration(SAC.Configuration(gamma: 0.98), on: "Pendulum-v1")`.
    public init<Declared>(
        _ configuration: MethodConfiguration<Declared>, on environment: String, seed: UInt64 = 0
    ) {
        self.init(
            algorithm: Algorithm(Declared.method), environment: environment, seed: seed,
            hyperparameters: configuration.hyperparameters)
    }

    /// The same run with another number of steps.
    public func withSteps(_ steps: Int) -> RunConfiguration {
        var changed = self
        changed.hyperparameters["n_timesteps"] = .integer(steps)
        return changed
    }

    // MARK: What it makes: the one place that knows how a learner and its policy come from a name.

    /// The run's learner, before its first step.
    ///
    /// - Throws: `UnsupportedSpaceError`, ``UnsuitableBatchError``, or ``HyperparameterError`` for values that do not go
    ///   together.
    func learner(on batch: any EnvironmentBatch, _ execution: Execution) throws -> any Learner {
        try batch.require(count: hyperparameters.integer("n_envs"))
        return try algorithm.learner(
            on: batch, hyperparameters: hyperparameters, seed: seed, threads: execution.threads,
            overlaps: execution.overlaps)
    }

    /// A policy of the shape that the run learns, for weights to be loaded into.
    ///
    /// - Throws: `UnsupportedSpaceError`.
    public func policy(observationSpace: Space, actionSpace: Space) throws -> any Policy {
        try algorithm.policy(hyperparameters, observationSpace: observationSpace, actionSpace: actionSpace)
    }

    /// Plays episodes of the run's environment.
    public func evaluator(on source: any EnvironmentSource, like batch: any EnvironmentBatch) -> Evaluator {
        Evaluator(
            environment, options: hyperparameters.environmentOptions, observationSpace: batch.observationSpace,
            actionSpace: batch.actionSpace, from: source)
    }

    /// The seed of the first of the episodes by which a run's result is measured: the run's own, so that the results of
    /// several runs are not of the same few starts.
    public var finalEpisodesSeed: UInt64 {
        var generator = RandomStream.finalEpisodes.generator(seed: seed)
        return generator.next()
    }
}

/// How a run's work is done. None of it changes what comes out.
public struct Execution: Sendable {
    /// Whether the learner works while environments step, where it can.
    public var overlaps = true
    /// Threads of the learner; `nil`: as many as the process may run on.
    public var threads: Int?

    /// The usual way.
    public init() {}
}
