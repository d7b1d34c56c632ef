/// The numbers of a run that ended.
public struct RunSummary: Codable, Sendable {
    /// The algorithm's name.
    public var algorithm: String
    /// The environment's id.
    public var environment: String
    /// The run's seed.
    public var seed: UInt64
    /// Steps of all environments together.
    public var steps: Int
    /// Seconds that the training took, without the final evaluation.
    public var wallSeconds: Double
    /// `steps` by `wallSeconds`.
    public var stepsPerSecond: Double
    /// Gradients applied.
    public var updates: Int
    /// The mean return of the final greedy episodes.
    public var finalMeanReturn: Double
    /// How many of them had not ended, and count as far as they got.
    public var finalEpisodesCut: Int
    /// The SHA-256 of `policy.safetensors`.
    public var weightsSha256: String

    /// The given numbers.
    public init(
        algorithm: String, environment: String, seed: UInt64, steps: Int, wallSeconds: Double, updates: Int,
        finalMeanReturn: Double, finalEpisodesCut: Int, weightsSha256: String
    ) {
        self.algorithm = algorithm
        self.environment = environment
        self.seed = seed
        self.steps = steps
        self.wallSeconds = wallSeconds
        stepsPerSecond = wallSeconds > 0 ? Double(steps) / wallSeconds : 0
        self.updates = updates
        self.finalMeanReturn = finalMeanReturn
        self.finalEpisodesCut = finalEpisodesCut
        self.weightsSha256 = weightsSha256
    }
}
