/// What is known of an environment before it is made: its registration.
public struct EnvironmentSpec: Sendable, Hashable {
    /// `Name-vN` or `namespace/Name-vN`.
    public let id: String
    /// What it is, in a sentence.
    public let summary: String
    /// Steps after which an episode is truncated, unless the client says otherwise; `nil`: never.
    public let maxEpisodeSteps: Int?
    /// The mean return at which the task counts as solved.
    public let rewardThreshold: Double?
    /// Whether the same seed can give different episodes.
    public let nondeterministic: Bool
    /// `rgb_array`, `ansi`, or none.
    public let renderModes: [String]
    /// Pictures a second when watched at natural speed.
    public let renderFPS: Int
    /// What may be given when it is made.
    public let options: [OptionSpec]
    /// What may be given when it is reset.
    public let resetOptions: [OptionSpec]

    /// A registration.
    public init(
        id: String, summary: String, maxEpisodeSteps: Int? = nil, rewardThreshold: Double? = nil,
        nondeterministic: Bool = false, renderModes: [String] = [], renderFPS: Int = 30,
        options: [OptionSpec] = [], resetOptions: [OptionSpec] = []
    ) {
        self.id = id
        self.summary = summary
        self.maxEpisodeSteps = maxEpisodeSteps
        self.rewardThreshold = rewardThreshold
        self.nondeterministic = nondeterministic
        self.renderModes = renderModes
        self.renderFPS = renderFPS
        self.options = options
        self.resetOptions = resetOptions
    }
}
