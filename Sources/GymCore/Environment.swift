/// A single environment: what a user implements to have it served, batched, limited in time and restarted by itself.
///
/// The environment knows its task and nothing else. It says ``StepResult/terminated``; the time limit of its
/// registration says `truncated`. It does not own its random generator: each call is lent the generator of its place
/// in the batch, so that seeds work as in Gymnasium. It keeps no reference to what it is lent.
///
/// ```swift
/// struct Coin: Environment {
///     var side = 0
///     let observationSpace = Space.discrete(count: 2)
///     let actionSpace = Space.discrete(count: 2)
///
///     mutating func reset(
///         options: OptionValues, generator: inout NumPyGenerator, observation: ObservationWriter
///     ) throws {
///         side = generator.integer(in: 0..<2)
///         observation.store([Int64(side)])
///     }
///
///     mutating func step(
///         action: ActionReader, generator: inout NumPyGenerator, observation: ObservationWriter
///     ) throws -> StepResult {
///         let reward = action.integer() == side ? 1.0 : 0.0
///         side = generator.integer(in: 0..<2)
///         observation.store([Int64(side)])
///         return StepResult(reward: reward, terminated: false)
///     }
/// }
/// ```
public protocol Environment {
    /// What observations come from; the same for the environment's whole life.
    var observationSpace: Space { get }
    /// What actions come from; the same for the environment's whole life.
    var actionSpace: Space { get }

    /// Checks reset options that are each in range but may not go together, before anything is reset.
    ///
    /// - Throws: ``OptionError``.
    func validate(resetOptions options: OptionValues) throws

    /// Starts an episode and writes its first observation.
    ///
    /// Nothing of an earlier episode may show, other than through the generator.
    ///
    /// - Parameter options: the reset options that the registration declares, each with a value.
    /// - Throws: when no episode can be started; only this environment's place in the batch is faulted.
    mutating func reset(options: OptionValues, generator: inout NumPyGenerator, observation: ObservationWriter) throws

    /// Takes one step and writes the observation after it.
    ///
    /// - Throws: when the environment cannot go on; only its own place in the batch is faulted.
    mutating func step(
        action: ActionReader, generator: inout NumPyGenerator, observation: ObservationWriter
    ) throws -> StepResult

    /// What Gymnasium returns as `info` with the last reset or step. Asked for only when a client wants it.
    var info: [InfoEntry] { get }

    /// Bytes of heap memory that it keeps once it runs, beside its own value: arrays, classes, spaces. A server holds a
    /// client's environments to its limit by it, before they are made. Within a factor of 1.5 is near enough.
    var heapBytes: Int { get }
}

extension Environment {
    /// Every combination of the declared options is good.
    public func validate(resetOptions options: OptionValues) throws {}

    /// No information beside observation and reward.
    public var info: [InfoEntry] { [] }

    /// Its spaces, and nothing else.
    public var heapBytes: Int { observationSpace.heapBytes + actionSpace.heapBytes }
}

/// What a step brings beside its observation.
public struct StepResult: Sendable, Equatable {
    /// The reward, finite.
    public var reward: Double
    /// Whether the task itself ended: nothing is to be gained any more.
    public var terminated: Bool
    /// Whether the episode is cut off for a reason outside the task. Time limits are not the environment's business.
    public var truncated: Bool

    /// The given reward and end.
    @inlinable
    public init(reward: Double, terminated: Bool, truncated: Bool = false) {
        self.reward = reward
        self.terminated = terminated
        self.truncated = truncated
    }
}

/// A named piece of `info`.
public struct InfoEntry: Sendable, Hashable {
    /// Its key.
    public let name: String
    /// Its value.
    public let value: Value

    /// A named value.
    public init(_ name: String, _ value: Value) {
        self.name = name
        self.value = value
    }
}

/// An environment that can be saved in mid-episode and goes on exactly.
public protocol RestorableEnvironment: Environment {
    /// Raised whenever what ``save(to:)`` writes changes; older states are then refused by name, not misread.
    static var stateVersion: Int { get }
    /// Writes all that the environment's future depends on, its generator and its options left out.
    func save(to writer: inout StateWriter)
    /// Takes over what ``save(to:)`` wrote from an environment made with the same options.
    mutating func restore(from reader: inout StateReader) throws
}

/// An environment that can be looked at.
public protocol RenderableEnvironment: Environment {
    /// A picture of the present state in one of the render modes that the registration names.
    mutating func render(mode: String) throws -> Rendering
}

/// What rendering brings.
public enum Rendering: Sendable, Hashable {
    /// `rgb_array`: `uint8` of shape (height, width, 3).
    case image(Tensor)
    /// `ansi`: text for a terminal.
    case text(String)
}
