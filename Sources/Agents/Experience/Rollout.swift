import NeuralNetwork

/// What a part's environments did under one policy, learnt from and then thrown away: some steps of each, or one episode of
/// each from its start to its end.
///
/// Time comes first: the row of step t of environment e is t · environments + e. Where whole episodes are kept, an
/// environment whose episode has ended goes on until the last has; what it does then is not ``used``.
package final class Rollout {
    /// Steps of each environment; `nil`: as many as the episodes have.
    private let fixedSteps: Int?
    /// The number of environments.
    package let environments: Int
    private let actionSize: Int
    private let format: InputFormat
    private var memory: Memory
    /// Steps taken in so far.
    private(set) var steps = 0

    /// Truncated episodes: the rows they ended in, and their last observations.
    private var truncations: [Int] = []
    private var lastObservations: Rows
    private var lastValues = Vector<Float>(count: 0)

    /// Where whole episodes are kept, which environments' have not ended.
    private var isRunning: [Bool]
    private var usedRows: [Int32] = []
    /// The rows to learn from.
    package private(set) var used = Vector<Int32>(count: 0)

    /// Memory for so many steps of each environment, and one observation more.
    private struct Memory {
        let steps: Int
        let observations: Rows
        let actions: Matrix
        let logProbabilities: Vector<Float>
        let rewards: Vector<Float>
        let ended: Vector<UInt8>
        let values: Vector<Float>
        let advantages: Vector<Float>
        let returns: Vector<Float>

        init(steps: Int, environments: Int, format: InputFormat, actionSize: Int) {
            self.steps = steps
            let rows = steps * environments
            observations = Rows(format, count: rows + environments)
            actions = Matrix(rows: rows, columns: actionSize)
            logProbabilities = Vector(count: rows)
            rewards = Vector(count: rows)
            ended = Vector(count: rows)
            values = Vector(count: rows + environments)
            advantages = Vector(count: rows)
            returns = Vector(count: rows)
        }
    }

    /// Steps · environments.
    package var rows: Int { steps * environments }
    /// What the policy saw; one step more than the rest: the last rows are the observations that the rollout ended with.
    package var observations: Rows { memory.observations.prefix(rows + environments) }
    /// As the policy drew them, before any clipping: the ratio of probabilities needs those. (rows, action)
    package var actions: Matrix { memory.actions.prefix(rows) }
    /// log π_old(a|s).
    package var logProbabilities: Vector<Float> { memory.logProbabilities.prefix(rows) }
    /// As the learner sees them: normalised, and at a truncation with the value of what was cut off.
    package var rewards: Vector<Float> { memory.rewards.prefix(rows) }
    /// 1 where the episode ended with this step, by its task or by truncation.
    package var ended: Vector<UInt8> { memory.ended.prefix(rows) }
    /// V_old(s), with one step more, as the observations.
    package var values: Vector<Float> { memory.values.prefix(rows + environments) }
    /// Â.
    package var advantages: Vector<Float> { memory.advantages.prefix(rows) }
    /// Â + V_old: what the critic learns (the λ-return, not the discounted return).
    package var returns: Vector<Float> { memory.returns.prefix(rows) }

    /// Steps of an episode that are too many to be kept until it ends.
    private static let longestEpisode = 1_000_000

    /// An empty rollout.
    ///
    /// - Parameter steps: of each environment; `nil`: an episode of each.
    package init(steps: Int?, environments: Int, format: InputFormat, actionSize: Int) {
        fixedSteps = steps
        self.environments = environments
        self.actionSize = actionSize
        self.format = format
        memory = Memory(steps: steps ?? 64, environments: environments, format: format, actionSize: actionSize)
        lastObservations = Rows(format, count: 0)
        isRunning = [Bool](repeating: true, count: environments)
        if let steps { used = Vector((0..<Int32(steps * environments)).map { $0 }) }
    }

    /// Bytes of a row.
    static func rowBytes(format: InputFormat, actionSize: Int) -> Int { format.rowBytes + 4 * (actionSize + 5) + 1 }

    /// Forgets what it holds.
    package func clear() {
        steps = 0
        truncations.removeAll(keepingCapacity: true)
        if fixedSteps == nil {
            usedRows.removeAll(keepingCapacity: true)
            for environment in isRunning.indices { isRunning[environment] = true }
        }
    }

    /// Whether nothing more is to be taken in.
    package var isFull: Bool { fixedSteps.map { steps == $0 } ?? !isRunning.contains(true) }

    /// Takes in what a step brought.
    ///
    /// - Parameter part: which of the step's environments are this rollout's.
    package func add(_ step: CollectedStep, _ part: Range<Int>) throws {
        precondition(part.count == environments && (fixedSteps == nil || !isFull))
        if steps == memory.steps { try grow() }
        let rows = steps * environments..<(steps + 1) * environments
        memory.observations[rows].copy(step.observations[part])
        memory.actions[rows: rows].copy(step.actions[rows: part])
        memory.logProbabilities[rows].copy(step.logProbabilities[part])
        memory.rewards[rows].copy(step.normalisedRewards[part])
        memory.ended[rows].copy(step.ended[part])
        if fixedSteps == nil {
            for (row, environment) in zip(rows, isRunning.indices) where isRunning[environment] {
                usedRows.append(Int32(row))
                if memory.ended[row] != 0 { isRunning[environment] = false }
            }
        }
        // CRUCIAL and easy to overlook: an episode that was cut off, and did not end by its task, would have gone on. What
        // it would have brought is the value of its own last observation, not of the next episode's first.
        for (row, index) in zip(rows, part) where step.truncated[index] != 0 && step.terminated[index] == 0 {
            if truncations.count == lastObservations.count { growTruncations() }
            lastObservations.copyRow(truncations.count, from: step.normalisedLastObservations, row: index)
            truncations.append(row)
        }
        steps += 1
    }

    /// Takes in the observations that the environments stand at after the last step.
    package func end(at observations: Rows) {
        precondition(isFull)
        memory.observations[rows..<rows + environments].copy(observations)
        if fixedSteps == nil { used = Vector(usedRows) }
    }

    private func grow() throws {
        guard steps < Rollout.longestEpisode else {
            throw HyperparameterError(
                key: "advantage",
                description: "an episode has not ended after \(steps) steps, and whole episodes are learnt from; "
                    + "another advantage than monte-carlo, or an environment with a time limit, would do")
        }
        let larger = Memory(steps: 2 * memory.steps, environments: environments, format: format, actionSize: actionSize)
        larger.observations.prefix(rows).copy(observations.prefix(rows))
        larger.actions.prefix(rows).copy(actions)
        larger.logProbabilities.prefix(rows).copy(logProbabilities)
        larger.rewards.prefix(rows).copy(rewards)
        larger.ended.prefix(rows).copy(ended)
        memory = larger
    }

    private func growTruncations() {
        lastObservations = lastObservations.grown()
        lastValues = Vector(count: lastObservations.count)
    }

    /// The values of everything that the rollout saw. Where an episode was cut off, the reward takes in the value of its
    /// last observation.
    package func takeValues(gamma: Float, _ value: (_ observations: Rows, _ values: Vector<Float>) -> Void) {
        // The critic did not change during the rollout, so all its values come from one pass.
        value(observations, values)
        let rewards = rewards
        let (last, count) = (lastValues, truncations.count)
        value(lastObservations.prefix(count), last.prefix(count))
        for (index, row) in truncations.enumerated() { rewards[row] += gamma * last[index] }
    }

    /// What the critic is to learn, from the advantages.
    package func takeReturns() {
        let (returns, advantages, values) = (returns, advantages, values)
        for row in 0..<rows { returns[row] = advantages[row] + values[row] }
    }
}
