import NeuralNetwork

/// What steps were worth, as functions of their rewards, values and ends.
///
/// Rows are time-major: the row of step t of environment e is t · environments + e, and values have one step more than
/// rewards. `ended` is not 0 where an episode ended with the step, by its task or by truncation: nothing flows from one
/// episode into the next, and what the cut-off rest of an episode is worth has to be in the reward already.
public enum Returns {
    /// Generalised advantage estimation (Schulman et al. 2016, arXiv 1506.02438):
    ///
    ///     δ_t = r_t + γ V(s_{t+1}) (1 − ended_t) − V(s_t)
    ///     Â_t = δ_t + γ λ (1 − ended_t) Â_{t+1}
    ///
    /// λ = 0 is the one-step error, λ = 1 the return to the episode's end, or to the last row and its value, less V(s_t).
    public static func generalisedAdvantages(
        rewards: Vector<Float>, values: Vector<Float>, ended: Vector<UInt8>, environments: Int, gamma: Float,
        lambda: Float, into advantages: Vector<Float>
    ) {
        check(rewards, values, ended, environments, advantages)
        for environment in 0..<environments {
            var advantage: Float = 0
            for row in stride(from: rewards.count - environments + environment, through: 0, by: -environments) {
                let goesOn: Float = ended[row] == 0 ? 1 : 0
                let delta = rewards[row] + gamma * values[row + environments] * goesOn - values[row]
                advantage = delta + gamma * lambda * goesOn * advantage
                advantages[row] = advantage
            }
        }
    }

    /// N-step advantages: Σ_{i<N} γⁱ r_{t+i} + γᴺ V(s_{t+N}) − V(s_t), the sum ending early with the episode, or with the
    /// rows and their last value.
    public static func nStepAdvantages(
        rewards: Vector<Float>, values: Vector<Float>, ended: Vector<UInt8>, environments: Int, gamma: Float,
        steps: Int, into advantages: Vector<Float>
    ) {
        check(rewards, values, ended, environments, advantages)
        precondition(steps >= 1)
        for row in rewards.indices {
            var sum: Float = 0
            var weight: Float = 1
            var at = row
            for _ in 0..<steps {
                sum += weight * rewards[at]
                weight = ended[at] == 0 ? weight * gamma : 0
                at += environments
                if weight == 0 || at >= rewards.count { break }
            }
            advantages[row] = sum + (weight == 0 ? 0 : weight * values[at]) - values[row]
        }
    }

    /// The discounted return of each row to its episode's end, which has to be among the rows.
    public static func discountedReturns(
        rewards: Vector<Float>, ended: Vector<UInt8>, environments: Int, gamma: Float, into returns: Vector<Float>
    ) {
        precondition(rewards.count == ended.count && returns.count == rewards.count && environments >= 1)
        for environment in 0..<environments {
            var total: Float = 0
            for row in stride(from: rewards.count - environments + environment, through: 0, by: -environments) {
                total = rewards[row] + (ended[row] == 0 ? gamma * total : 0)
                returns[row] = total
            }
        }
    }

    private static func check(
        _ rewards: Vector<Float>, _ values: Vector<Float>, _ ended: Vector<UInt8>, _ environments: Int,
        _ result: Vector<Float>
    ) {
        precondition(
            environments >= 1 && rewards.count % environments == 0 && ended.count == rewards.count
                && values.count == rewards.count + environments && result.count == rewards.count,
            "rewards, values and ends are of other rows")
    }
}

/// Brings numbers to mean 0 and (sample) deviation 1, all stretches together.
///
/// - Parameter stretch: the numbers, stretch by stretch; at least two in all.
package func standardise(_ stretches: Int, _ stretch: (Int) -> Vector<Float>) {
    var count = 0
    var sum = 0.0
    for index in 0..<stretches {
        let values = stretch(index)
        for element in values.indices { sum += Double(values[element]) }
        count += values.count
    }
    let mean = sum / Double(count)
    var squares = 0.0
    for index in 0..<stretches {
        let values = stretch(index)
        for element in values.indices { squares += (Double(values[element]) - mean) * (Double(values[element]) - mean) }
    }
    let scale = 1 / ((squares / Double(count - 1)).squareRoot() + 1e-8)
    for index in 0..<stretches {
        let values = stretch(index)
        for element in values.indices { values[element] = Float((Double(values[element]) - mean) * scale) }
    }
}

/// 1 − Var(returns − values) / Var(returns): 1 for a perfect critic, 0 for one that says nothing; `nil` where all returns
/// are equal.
package func explainedVariance(_ rollouts: [Rollout]) -> Double? {
    func variance(_ value: (Rollout, Int) -> Float) -> Double {
        var (sum, squares, rows) = (0.0, 0.0, 0)
        for rollout in rollouts {
            for index in rollout.used.indices {
                let value = Double(value(rollout, Int(rollout.used[index])))
                sum += value
                squares += value * value
            }
            rows += rollout.used.count
        }
        let mean = sum / Double(rows)
        return squares / Double(rows) - mean * mean
    }
    let total = variance { $0.returns[$1] }
    return total > 0 ? 1 - variance { $0.returns[$1] - $0.values[$1] } / total : nil
}
