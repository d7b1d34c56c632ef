/// One of the results that a step brings for each environment beside its observation.
///
/// ``all`` is where these are listed: ``StepBuffers`` gets its memory from it, shared memory its regions, the codec of
/// steps its fields, and whoever copies results the list of what to copy. A new one is added here, gets a typed name in
/// ``StepBuffers``, and is written by ``SyncVectorEnvironment``.
public struct ResultField: Sendable, Hashable {
    /// Which rows have it.
    public enum Rows: Sendable, Hashable {
        /// Every row of a step.
        case all
        /// Rows whose episode ended with the step.
        case ended
    }

    /// Its name in `gym.proto`.
    public let name: String
    /// Its number in `gym.v1.StepResponse`; at most 15.
    public let number: UInt8
    /// Its number in `gym.v1.ResultRegions`.
    public let regionNumber: UInt32
    /// The type of its element, of which a row has one.
    public let dtype: DType
    /// Which rows have it.
    public let rows: Rows
    /// Whether it is there only where it was asked for when the environments were made.
    public let isOptional: Bool

    init(
        _ name: String, number: UInt8, regionNumber: UInt32, _ dtype: DType, _ rows: Rows = .all,
        isOptional: Bool = false
    ) {
        self.name = name
        self.number = number
        self.regionNumber = regionNumber
        self.dtype = dtype
        self.rows = rows
        self.isOptional = isOptional
    }

    /// The reward.
    public static let rewards = ResultField("rewards", number: 2, regionNumber: 3, .float64)
    /// 1 where the task ended, else 0.
    public static let terminated = ResultField("terminated", number: 3, regionNumber: 4, .bool)
    /// 1 where the episode was cut off, else 0.
    public static let truncated = ResultField("truncated", number: 4, regionNumber: 5, .bool)
    /// The sum of the episode's rewards.
    public static let episodeReturns = ResultField("episode_returns", number: 7, regionNumber: 6, .float64, .ended)
    /// The number of the episode's steps.
    public static let episodeLengths = ResultField("episode_lengths", number: 8, regionNumber: 7, .int64, .ended)
    /// How long the step took, in nanoseconds.
    public static let stepNanoseconds = ResultField(
        "step_nanoseconds", number: 13, regionNumber: 8, .int64, isOptional: true)

    /// All of them, by ascending ``number``.
    public static let all = [rewards, terminated, truncated, episodeReturns, episodeLengths, stepNanoseconds]

    /// Those that the results of a batch have.
    ///
    /// - Parameter isTimed: whether the time of steps was asked for.
    public static func present(isTimed: Bool) -> [ResultField] { isTimed ? all : all.filter { !$0.isOptional } }
}
