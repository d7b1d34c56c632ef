/// What happens to an environment of a batch when its episode has ended. Raw values are those of `gym.v1.AutoresetMode`.
public enum AutoresetMode: Int32, Sendable, Hashable, CaseIterable {
    /// The step after the end ignores its action, resets, and returns the first observation with reward 0.
    case nextStep = 1
    /// The ending step itself resets: its observation is the new episode's first, and the old one's last is in
    /// ``StepBuffers/finalObservation``.
    case sameStep = 2
    /// Nothing: the environment has to be reset before it is stepped again.
    case disabled = 3
}

/// How a batch of environments is made.
public struct VectorEnvironmentSettings: Sendable {
    /// The number of environments.
    public var count: Int
    /// Options of the environment, by name; the rest take their defaults.
    public var options: [String: OptionValue]
    /// What happens when an episode ends.
    public var autoreset: AutoresetMode
    /// Steps after which an episode is truncated.
    public var timeLimit: TimeLimitSetting
    /// Whether every observation is checked against its space; one outside faults its environment.
    public var checksObservations: Bool

    /// A time limit for a batch.
    public enum TimeLimitSetting: Sendable, Hashable {
        /// The limit of the registration.
        case registered
        /// No limit.
        case unlimited
        /// The given number of steps, at least 1.
        case steps(Int)
    }

    /// Settings, by default those of a single environment that resets itself.
    public init(
        count: Int = 1, options: [String: OptionValue] = [:], autoreset: AutoresetMode = .nextStep,
        timeLimit: TimeLimitSetting = .registered, checksObservations: Bool = false
    ) {
        self.count = count
        self.options = options
        self.autoreset = autoreset
        self.timeLimit = timeLimit
        self.checksObservations = checksObservations
    }
}

/// An environment of a batch that failed: it threw, or its observation left its space.
///
/// Its row holds zeros, reward 0 and `truncated`; it goes on after a reset, which autoreset brings by itself.
public struct EnvironmentFault: Error, Sendable, Hashable {
    /// Which environment.
    public let index: Int
    /// What happened.
    public let message: String

    /// A fault of one environment.
    public init(index: Int, message: String) {
        self.index = index
        self.message = message
    }
}

/// Environments of one kind, stepped together; each keeps its own generator and episode.
///
/// Row i of every buffer belongs to environment i. Different threads may step disjoint ranges of rows of one batch at
/// the same time; the results do not depend on how rows are divided.
public protocol VectorEnvironment: AnyObject, Sendable {
    /// The registration it was made from.
    var spec: EnvironmentSpec { get }
    /// The number of environments.
    var count: Int { get }
    /// What happens when an episode ends.
    var autoreset: AutoresetMode { get }
    /// Steps after which episodes are truncated.
    var maxEpisodeSteps: Int? { get }
    /// The observation space of one environment.
    var observationSpace: Space { get }
    /// The action space of one environment.
    var actionSpace: Space { get }
    /// How many rows are stepped together: ranges of rows that are a multiple of it cost least.
    var groupSize: Int { get }
    /// Bytes of memory that each environment takes, buffers of the batch left out; known before the first reset.
    var bytesPerEnvironment: Int { get }
    /// Whether ``saveState(row:to:)`` works.
    var isRestorable: Bool { get }
    /// Whether ``render(row:mode:)`` works.
    var isRenderable: Bool { get }

    /// Starts an episode in each of the given rows.
    ///
    /// - Parameters:
    ///   - rows: the environments to reset.
    ///   - seeds: a seed for each of `rows`, or `nil` to go on with the generator as it stands; a generator that was
    ///     never seeded takes a seed from the system. Empty: none is given.
    ///   - options: values for the options that the registration declares for resets.
    ///   - wantsInfo: whether ``StepBuffers/infos`` is to be filled.
    /// - Returns: the faults, and the seed of every environment of the batch.
    /// - Throws: ``OptionError``; nothing was reset then.
    func reset(
        rows: [Int], seeds: [UInt64?], options: [String: OptionValue], wantsInfo: Bool, into buffers: StepBuffers
    ) throws -> ResetReport

    /// Whether the environment was ever reset.
    func hasStarted(row: Int) -> Bool

    /// Rows that have to be reset before they can be stepped: before the first reset, and ended without autoreset.
    func rowsNeedingReset(in rows: Range<Int>) -> [Int]

    /// Whether the row's next step does not look at its action: autoreset will restart it, after an end or a fault.
    func ignoresNextAction(row: Int) -> Bool

    /// Steps the given rows.
    ///
    /// - Precondition: ``rowsNeedingReset(in:)`` is empty for these rows, and `actions` holds members of the space.
    /// - Returns: the faults; empty, and nothing allocated, when all is well.
    func step(
        rows: Range<Int>, actions: BatchBuffer, wantsInfo: Bool, into buffers: StepBuffers
    ) -> [EnvironmentFault]

    /// A picture of one environment.
    func render(row: Int, mode: String) throws -> Rendering
    /// The options that autoreset passes to the environment, in place of the declared defaults.
    func setAutoresetOptions(_ options: [String: OptionValue]) throws
    /// Writes all of one environment, generator and episode included, and what it is of.
    ///
    /// - Throws: ``StateError`` when the environment cannot be saved.
    func saveState(row: Int, to writer: inout StateWriter) throws
    /// Takes over what ``saveState(row:to:)`` wrote; observations are not part of a state.
    ///
    /// - Throws: ``StateError``, ``ForeignStateError`` for a state of another environment, other options or another
    ///   version; the environment is then as it was.
    func restoreState(_ state: [UInt8], row: Int) throws
}

extension VectorEnvironment {
    /// Each row is stepped by itself.
    public var groupSize: Int { 1 }

    /// All of one environment, as ``saveState(row:to:)`` writes it.
    ///
    /// - Throws: ``StateError`` when the environment cannot be saved.
    public func saveState(row: Int) throws -> [UInt8] {
        var writer = StateWriter()
        try saveState(row: row, to: &writer)
        return writer.bytes
    }
}

/// What a reset reports.
public struct ResetReport: Sendable {
    /// Environments that failed to reset.
    public var faults: [EnvironmentFault]
    /// For each environment of the batch, the seed that its generator was last given; 0 if it never was.
    public var effectiveSeeds: [UInt64]

    /// A report.
    public init(faults: [EnvironmentFault], effectiveSeeds: [UInt64]) {
        self.faults = faults
        self.effectiveSeeds = effectiveSeeds
    }
}
