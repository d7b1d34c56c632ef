import GymCore
import NeuralNetwork
import RunFiles

/// What one step of all environments brought. Every array has a row an environment, and holds until the next step.
package struct CollectedStep {
    /// What the policy saw: normalised.
    package let observations: Rows
    /// The same as the environments gave it.
    package let rawObservations: Rows
    /// What the policy did, (environments, action).
    package let actions: Matrix
    /// log μ(a|s), where the policy gives it.
    package let logProbabilities: Vector<Float>
    /// As the environments gave them.
    package let rewards: Vector<Float>
    /// The same, normalised.
    package let normalisedRewards: Vector<Float>
    /// 1 where the task ended.
    package let terminated: Vector<UInt8>
    /// 1 where the episode was cut off.
    package let truncated: Vector<UInt8>
    /// 1 where either is.
    package let ended: Vector<UInt8>
    /// Where the episode ended, its own last observation: CRUCIAL and easy to overlook, what follows the step is the next
    /// episode's first.
    package let lastObservations: Rows
    /// The same, normalised.
    package let normalisedLastObservations: Rows
    /// What follows the step: the next observation, or the next episode's first; as the environments gave it.
    package let following: Rows

    package init(
        observations: Rows, rawObservations: Rows, actions: Matrix, logProbabilities: Vector<Float>,
        rewards: Vector<Float>, normalisedRewards: Vector<Float>, terminated: Vector<UInt8>,
        truncated: Vector<UInt8>, ended: Vector<UInt8>, lastObservations: Rows, normalisedLastObservations: Rows,
        following: Rows
    ) {
        self.observations = observations
        self.rawObservations = rawObservations
        self.actions = actions
        self.logProbabilities = logProbabilities
        self.rewards = rewards
        self.normalisedRewards = normalisedRewards
        self.terminated = terminated
        self.truncated = truncated
        self.ended = ended
        self.lastObservations = lastObservations
        self.normalisedLastObservations = normalisedLastObservations
        self.following = following
    }
}

/// Steps the environments of a run, and hands over what each step brought: one for on- and off-policy methods.
package final class Collector {
    private let batch: any EnvironmentBatch
    package let encoder: ObservationEncoder
    private let codec: ActionCodec
    private let parts: Parts
    private let seed: UInt64
    package private(set) var normalisation: Normalisation
    private(set) var episodes = EpisodeStatistics()
    package private(set) var steps = 0
    private var hasStarted = false
    /// A step was sent and its results are still to be taken in.
    private(set) var isStepPending = false

    /// The environments.
    package var count: Int { batch.count }

    /// The observations that the environments stand at, as they gave them.
    private(set) var current: Rows
    private var following: Rows
    /// ``current`` normalised: what the policy acts on.
    private(set) var observations: Rows
    /// The actions of the next step, (environments, action).
    package let actions: Matrix
    /// Their log-probabilities, where the policy gives them.
    package let logProbabilities: Vector<Float>
    private let last: Rows
    private let normalisedLast: Rows
    private let rewards: Vector<Float>
    private let rawRewards: Vector<Double>
    private let normalisedRewards: Vector<Float>
    private let terminated: Vector<UInt8>
    private let truncated: Vector<UInt8>
    private let ended: Vector<UInt8>

    /// - Throws: ``HyperparameterError`` when the batch is not of as many environments as the run has.
    package init(
        _ batch: any EnvironmentBatch, encoder: ObservationEncoder, codec: ActionCodec, normalisation: Normalisation,
        parts: Parts, seed: UInt64
    ) throws {
        self.batch = batch
        self.encoder = encoder
        self.codec = codec
        self.normalisation = normalisation
        self.parts = parts
        self.seed = seed
        let count = batch.count
        try parts.require(count, "n_envs")
        current = Rows(encoder.format, count: count)
        following = Rows(encoder.format, count: count)
        last = Rows(encoder.format, count: count)
        let normalises = normalisation.observations != nil
        observations = normalises ? Rows(encoder.format, count: count) : current
        normalisedLast = normalises ? Rows(encoder.format, count: count) : last
        actions = Matrix(rows: count, columns: codec.size)
        logProbabilities = Vector(count: count)
        rewards = Vector(count: count)
        rawRewards = Vector(count: count)
        normalisedRewards = Vector(count: count)
        terminated = Vector(count: count)
        truncated = Vector(count: count)
        ended = Vector(count: count)
    }

    /// Starts the first episodes; later calls do nothing.
    ///
    /// - Returns: whether episodes were started.
    @discardableResult
    package func start() throws -> Bool {
        if hasStarted { return false }
        try batch.startEpisodes(seeds: RandomStream.episodeSeeds(seed: seed, steps: steps, count: count))
        hasStarted = true
        encoder.encode(batch.results.observation, rows: 0..<count, into: current, after: current) { _ in false }
        try takeIn(current)
        return true
    }

    /// Has the next ``start()`` start new episodes.
    package func startFreshEpisodes() {
        hasStarted = false
        isStepPending = false
        normalisation.startFreshEpisodes()
    }

    /// Sends ``actions`` off. Until ``receive()`` the environments step while the learner learns.
    package func send() throws {
        codec.write(actions, to: batch.actions)
        try batch.sendActions()
        isStepPending = true
    }

    /// Waits for the step that was sent, and takes in what it brought.
    ///
    /// - Throws: what the environments throw, or ``NotFiniteError``.
    package func receive() throws -> CollectedStep {
        isStepPending = false
        try batch.receiveResults()
        steps += count
        let results = batch.results
        for index in 0..<count {
            rawRewards[index] = results.rewards[index]
            rewards[index] = Float(results.rewards[index])
            guard rewards[index].isFinite else { throw NotFiniteError.reward(results.rewards[index], step: steps) }
            terminated[index] = results.terminated[index]
            truncated[index] = results.truncated[index]
            ended[index] = results.terminated[index] | results.truncated[index]
        }
        encoder.encode(results.observation, rows: 0..<count, into: following, after: current) { ended[$0] == 0 }
        let acted = observations
        // The policy's rows of this step stay as they are until the next.
        if normalisation.observations != nil { observations = spare }
        try takeIn(following)
        spare = acted
        for index in 0..<count where ended[index] != 0 {
            episodes.add(return: results.episodeReturns[index], length: results.episodeLengths[index])
            let row = last[index..<index + 1]
            encoder.encode(
                results.finalObservation, rows: index..<index + 1, into: row, after: current[index..<index + 1]
            ) { _ in true }
            try check(row)
            if normalisation.observations != nil {
                normalisedLast.copyRow(index, from: last, row: index)
                normalisation.apply(normalisedLast[index..<index + 1].floats)
            }
        }
        normalisedRewards.copy(rewards)
        normalisation.normaliseRewards(normalisedRewards, raw: rawRewards, ended: ended)
        let step = CollectedStep(
            observations: acted, rawObservations: current, actions: actions, logProbabilities: logProbabilities,
            rewards: rewards, normalisedRewards: normalisedRewards, terminated: terminated, truncated: truncated,
            ended: ended, lastObservations: last, normalisedLastObservations: normalisedLast, following: following)
        swap(&current, &following)
        if normalisation.observations == nil { observations = current }
        return step
    }

    /// Another memory for ``observations``, where they are normalised.
    private lazy var spare = Rows(encoder.format, count: count)

    /// Looks through what the environments stand at, and normalises it into ``observations``.
    private func takeIn(_ rows: Rows) throws {
        try check(rows)
        guard normalisation.observations != nil else { return }
        // Part by part, so that it is the same whoever has them.
        for part in 0..<parts.count { normalisation.update(rows.floats[rows: parts.range(part, of: count)]) }
        observations.copy(rows)
        normalisation.apply(observations.floats)
    }

    /// Throws where a number is not finite.
    private func check(_ rows: Rows) throws {
        if encoder.format.element == .float32 && !rows.floats.isFinite {
            throw NotFiniteError.observation(in: batch.results, step: steps)
        }
    }

    /// Takes over another run's statistics.
    func start(from tensors: [NamedTensor]) throws { try normalisation.load(tensors.byName) }

    /// Writes or reads where the environments stand and what was seen of them.
    package func code(_ state: inout StateCoder) throws {
        if state.isReading { isStepPending = false }
        try state(&hasStarted)
        try state(&steps)
        try state(current)
        if normalisation.observations != nil { try state(observations) }
        try normalisation.code(&state)
        try episodes.code(&state)
    }
}
