import NeuralNetwork

/// What a part's environments did under one policy: some steps of each, learnt from and then thrown away.
///
/// Time comes first: the row of step t of environment e is t · environments + e.
package final class Rollout {
    /// Steps of each environment.
    package let steps: Int
    /// The number of environments.
    package let environments: Int
    /// steps · environments.
    package var rows: Int { steps * environments }

    /// What the policy saw; one step more than the rest: the last rows are the observations that the rollout ended with.
    package let observations: Rows
    /// As the policy drew them, before any clipping: the ratio of probabilities needs those. (rows, action)
    package let actions: Matrix
    /// log π_old(a|s).
    package let logProbabilities: Vector<Float>
    /// As the learner sees them: normalised, and at a truncation with the value of what was cut off.
    package let rewards: Vector<Float>
    /// 1 where the episode ended with this step, by its task or by truncation.
    package let ended: Vector<UInt8>
    /// V_old(s), with one step more, as the observations.
    package let values: Vector<Float>
    /// Â.
    package let advantages: Vector<Float>
    /// Â + V_old: what the critic learns (the λ-return, not the discounted return).
    package let returns: Vector<Float>
    /// Steps taken in so far.
    private var filled = 0

    /// Truncated episodes: the rows they ended in, and their last observations.
    private var truncations: [Int] = []
    private var lastObservations: Rows
    private var lastValues = Vector<Float>(count: 0)

    /// An empty rollout of the given size.
    package init(steps: Int, environments: Int, format: InputFormat, actionSize: Int) {
        self.steps = steps
        self.environments = environments
        let rows = steps * environments
        observations = Rows(format, count: rows + environments)
        actions = Matrix(rows: rows, columns: actionSize)
        logProbabilities = Vector(count: rows)
        rewards = Vector(count: rows)
        ended = Vector(count: rows)
        values = Vector(count: rows + environments)
        advantages = Vector(count: rows)
        returns = Vector(count: rows)
        lastObservations = Rows(format, count: 0)
    }

    /// Bytes of a row.
    static func rowBytes(format: InputFormat, actionSize: Int) -> Int { format.rowBytes + 4 * (actionSize + 5) + 1 }

    /// Forgets what it holds.
    package func clear() {
        filled = 0
        truncations.removeAll(keepingCapacity: true)
    }

    /// Takes in what a step brought.
    ///
    /// - Parameter part: which of the step's environments are this rollout's.
    package func add(_ step: CollectedStep, _ part: Range<Int>) {
        precondition(part.count == environments && filled < steps)
        let first = filled * environments
        let rows = first..<first + environments
        observations[rows].copy(step.observations[part])
        actions[rows: rows].copy(step.actions[rows: part])
        logProbabilities[rows].copy(step.logProbabilities[part])
        rewards[rows].copy(step.normalisedRewards[part])
        ended[rows].copy(step.ended[part])
        // CRUCIAL and easy to overlook: an episode that was cut off, and did not end by its task, would have gone on. What
        // it would have brought is the value of its own last observation, not of the next episode's first.
        for (row, index) in zip(rows, part) where step.truncated[index] != 0 && step.terminated[index] == 0 {
            if truncations.count == lastObservations.count { growTruncations() }
            lastObservations.copyRow(truncations.count, from: step.normalisedLastObservations, row: index)
            truncations.append(row)
        }
        filled += 1
    }

    /// Takes in the observations that the environments stand at after the last step.
    package func end(at observations: Rows) {
        precondition(filled == steps)
        self.observations[rows..<rows + environments].copy(observations)
    }

    private func growTruncations() {
        let larger = Rows(lastObservations.format, count: max(16, 2 * lastObservations.count))
        larger.prefix(lastObservations.count).copy(lastObservations)
        lastObservations = larger
        lastValues = Vector(count: larger.count)
    }

    /// The values of everything that the rollout saw. Where an episode was cut off, the reward takes in the value of its
    /// last observation.
    package func takeValues(gamma: Float, _ value: (_ observations: Rows, _ values: Vector<Float>) -> Void) {
        // The critic did not change during the rollout, so all its values come from one pass.
        value(observations, values)
        let (last, count) = (lastValues, truncations.count)
        value(lastObservations.prefix(count), last.prefix(count))
        for (index, row) in truncations.enumerated() { rewards[row] += gamma * last[index] }
    }

    /// What the critic is to learn, from the advantages.
    package func takeReturns() {
        for row in 0..<rows { returns[row] = advantages[row] + values[row] }
    }
}
