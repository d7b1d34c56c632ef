/// Counts the steps of an episode and says when it is to be cut off.
///
/// The limit is no part of the task: reaching it truncates the episode and does not terminate it, and both can be
/// true of one step.
public struct TimeLimit: Sendable, Hashable {
    /// Steps an episode may take; `nil`: any number.
    public let maxEpisodeSteps: Int?
    /// Steps taken since the last reset.
    public private(set) var elapsedSteps = 0

    /// A limit of the given number of steps.
    @inlinable
    public init(maxEpisodeSteps: Int?) { self.init(maxEpisodeSteps: maxEpisodeSteps, elapsedSteps: 0) }

    /// A limit in mid-episode.
    public init(maxEpisodeSteps: Int?, elapsedSteps: Int) {
        self.maxEpisodeSteps = maxEpisodeSteps
        self.elapsedSteps = elapsedSteps
    }

    /// Starts an episode.
    public mutating func reset() { elapsedSteps = 0 }

    /// Counts a step; returns whether the episode has now reached the limit.
    public mutating func step() -> Bool {
        // An episode of so many steps is not to be had, other than from a state that somebody made up.
        elapsedSteps = elapsedSteps == Int.max ? Int.max : elapsedSteps + 1
        guard let maxEpisodeSteps else { return false }
        return elapsedSteps >= maxEpisodeSteps
    }
}
