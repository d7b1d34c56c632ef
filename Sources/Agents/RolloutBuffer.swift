import NeuralNetwork

/// What the environments did under one policy: `steps` steps of `environments` environments, then thrown away.
///
/// Time comes first: the row of step t of environment e is t · environments + e.
public final class RolloutBuffer: @unchecked Sendable {
    /// Steps of each environment.
    public let steps: Int
    /// The number of environments.
    public let environments: Int
    /// How observations lie.
    public let format: InputFormat
    /// Four-byte numbers of an action.
    public let actionSize: Int
    /// steps · environments.
    public var rows: Int { steps * environments }

    /// One step more than the rest: the last rows are the observations that the rollout ended with.
    public let observations: UnsafeMutableRawPointer
    /// As the policy drew them, before any clipping: the ratio of probabilities needs those.
    public let actions: UnsafeMutablePointer<Float>
    /// log π_old(a|s).
    public let logProbabilities: UnsafeMutablePointer<Float>
    /// As the learner sees them: normalised, and at a truncation with the value of what was cut off.
    public let rewards: UnsafeMutablePointer<Float>
    /// 1 where the episode ended with this step, by its task or by truncation.
    public let ended: UnsafeMutablePointer<UInt8>
    /// V_old(s), with one step more, as the observations.
    public let values: UnsafeMutablePointer<Float>
    /// Â.
    public let advantages: UnsafeMutablePointer<Float>
    /// Â + V_old: what the critic learns (the λ-return, not the discounted return).
    public let returns: UnsafeMutablePointer<Float>

    /// An empty rollout of the given size.
    public init(steps: Int, environments: Int, observations format: InputFormat, actionSize: Int) {
        self.steps = steps
        self.environments = environments
        self.format = format
        self.actionSize = actionSize
        let rows = steps * environments
        observations = allocateRows(format, count: rows + environments)
        actions = allocateFloats(rows * actionSize)
        logProbabilities = allocateFloats(rows)
        rewards = allocateFloats(rows)
        ended = .allocate(capacity: rows)
        ended.initialize(repeating: 0, count: rows)
        values = allocateFloats(rows + environments)
        advantages = allocateFloats(rows)
        returns = allocateFloats(rows)
    }

    deinit {
        observations.deallocate()
        for memory in [actions, logProbabilities, rewards, values, advantages, returns] {
            memory.deallocate()
        }
        ended.deallocate()
    }

    /// Generalised advantage estimation (Schulman et al. 2016, arXiv 1506.02438), from the rewards, values and ends:
    ///
    ///     δ_t = r_t + γ V(s_{t+1}) (1 − ended_t) − V(s_t)
    ///     Â_t = δ_t + γ λ (1 − ended_t) Â_{t+1}
    ///
    /// `ended` covers truncation as well, since neither advantage nor value flows from one episode into the next; what
    /// the cut-off rest of an episode is worth has to be in the reward already.
    public func computeAdvantages(gamma: Float, lambda: Float) {
        for environment in 0..<environments {
            var advantage: Float = 0
            for step in stride(from: steps - 1, through: 0, by: -1) {
                let row = step * environments + environment
                let goesOn: Float = ended[row] == 0 ? 1 : 0
                let delta = rewards[row] + gamma * values[row + environments] * goesOn - values[row]
                advantage = delta + gamma * lambda * goesOn * advantage
                advantages[row] = advantage
                returns[row] = advantage + values[row]
            }
        }
    }
}
