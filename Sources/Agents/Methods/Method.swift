import GymCore

/// A method as the registry knows it: from a configuration to a learner, and to a policy that its weights fit into.
public protocol Method: SendableMetatype {
    /// What it can be told.
    associatedtype Settings: DeclaredSettings
    /// Its hyperparameters, each with its type.
    typealias Configuration = MethodConfiguration<Settings>

    /// What users type: `sac`.
    static var name: String { get }
    /// A line about it.
    static var summary: String { get }
    /// Its presets, as YAML.
    static var presetFile: [UInt8] { get }

    /// A run that has not started.
    ///
    /// - Parameter batch: as many environments as `n_envs` says, with same-step autoreset.
    /// - Throws: ``UnsupportedSpaceError``, or ``HyperparameterError`` for values that do not go together.
    static func learner(
        on batch: any EnvironmentBatch, _ configuration: Configuration, _ options: LearnerOptions
    ) throws -> any Learner
    /// A policy of the shape that a run with this configuration learns, for weights to be loaded into.
    ///
    /// - Throws: ``UnsupportedSpaceError``, ``HyperparameterError``.
    static func policy(
        _ configuration: Configuration, observationSpace: Space, actionSpace: Space
    ) throws -> any Policy
}

extension Method {
    /// Its hyperparameters, as files and listings know them.
    public static var schema: [Hyperparameter] { Settings.declared.hyperparameters }

    static func learner(
        on batch: any EnvironmentBatch, _ hyperparameters: Hyperparameters, _ options: LearnerOptions
    ) throws -> any Learner {
        try learner(on: batch, Configuration(hyperparameters), options)
    }

    /// As the other, from hyperparameters by their keys.
    public static func policy(
        _ hyperparameters: Hyperparameters, observationSpace: Space, actionSpace: Space
    ) throws -> any Policy {
        try policy(Configuration(hyperparameters), observationSpace: observationSpace, actionSpace: actionSpace)
    }
}

/// What a learner is told besides its hyperparameters. Of these, only the seed bears on the result.
public struct LearnerOptions: Sendable {
    /// The seed that everything random comes from.
    public var seed: UInt64
    /// Threads of the learner; `nil`: as many as the process may run on, where there is enough to do.
    public var threads: Int?
    /// Whether environments step during updates that the next actions do not depend on.
    public var overlaps: Bool
    /// The processes of the run.
    public var communicator: any Communicator

    /// The given options.
    public init(
        seed: UInt64 = 0, threads: Int? = nil, overlaps: Bool = false,
        communicator: any Communicator = SingleProcess()
    ) {
        self.seed = seed
        self.threads = threads
        self.overlaps = overlaps
        self.communicator = communicator
    }

    /// What updates of a run with so many parts work with.
    func context(_ parts: Parts) -> UpdateContext {
        UpdateContext(parts, workers: Workers(threads: threads), communicator: communicator)
    }
}

/// How far a run is.
package struct Progress: Sendable {
    /// Steps of all environments so far.
    package let steps: Int
    /// The part that has passed: 0 at the start, 1 at the end.
    package var passed: Double { 1 - remaining }
    /// The part that is left: 1 at the start, 0 at the end.
    package let remaining: Double

    package init(steps: Int, of total: Int) {
        self.steps = steps
        remaining = max(0, 1 - Double(steps) / Double(total))
    }
}

/// The mean of what was added since it was last taken.
package struct RunningMean {
    private var sum = 0.0
    private var count = 0

    package init() {}

    package mutating func add(_ value: Double) {
        sum += value
        count += 1
    }

    /// The mean, `nil` of nothing; forgets what was added.
    package mutating func take() -> Double? {
        defer { (sum, count) = (0, 0) }
        return count == 0 ? nil : sum / Double(count)
    }
}
