import GymCore
import NeuralNetwork

/// Steps the environments of an off-policy run and fills its replay buffer.
package final class TransitionCollector {
    private let batch: any EnvironmentBatch
    let encoder: ObservationEncoder
    package let replay: ReplayBuffer
    private let window: NStepWindow?
    private let gamma: Float
    private let actionSize: Int
    private(set) var normalisation: Normalisation
    private(set) var episodes = EpisodeStatistics()
    private(set) var steps = 0
    private var hasStarted = false

    /// The observations that the environments stand at, as they gave them; (environments, observation).
    private var current: UnsafeMutablePointer<Float>
    private var following: UnsafeMutablePointer<Float>
    /// ``current`` normalised: what the policy acts on.
    let observations: UnsafeMutablePointer<Float>
    /// The actions of the next step as the replay buffer keeps them; (environments, action).
    let actions: UnsafeMutablePointer<Float>
    private let finalObservation: UnsafeMutablePointer<Float>
    private let rewards: UnsafeMutablePointer<Float>

    /// Where a transition came to lie in the replay buffer.
    var onAdd: ((Int) -> Void)?
    /// The environment whose episode ended.
    var onEnd: ((Int) -> Void)?

    var count: Int { batch.count }

    init(batch: any EnvironmentBatch, _ h: Hyperparameters, actionSize: Int) throws {
        self.batch = batch
        self.actionSize = actionSize
        encoder = try ObservationEncoder(batch.observationSpace)
        gamma = Float(h.real("gamma"))
        normalisation = Normalisation(h, size: encoder.size, environments: batch.count)
        let size = encoder.size
        replay = ReplayBuffer(
            capacity: max(h.integer("buffer_size"), batch.count), observationSize: size, actionSize: actionSize)
        let length = h.integer("n_steps")
        window =
            length == 1
            ? nil
            : NStepWindow(
                length: length, gamma: gamma, environments: batch.count, observationSize: size, actionSize: actionSize)
        current = allocateFloats(batch.count * size)
        following = allocateFloats(batch.count * size)
        observations = allocateFloats(batch.count * size)
        actions = allocateFloats(batch.count * actionSize)
        finalObservation = allocateFloats(size)
        rewards = allocateFloats(batch.count)
    }

    deinit {
        for memory in [current, following, observations, actions, finalObservation, rewards] { memory.deallocate() }
    }

    /// Has the next ``start(seed:)`` start new episodes. Steps that wait for those after them are forgotten.
    func startFreshEpisodes() {
        hasStarted = false
        window?.removeAll()
        normalisation.startFreshEpisodes()
        for environment in 0..<count { onEnd?(environment) }
    }

    /// Starts the first episodes; later calls do nothing.
    func start(seed: UInt64) throws {
        if hasStarted { return }
        hasStarted = true
        try batch.startEpisodes(seeds: RandomStream.episodeSeeds(seed: seed, steps: steps, count: count))
        try observe(into: current)
    }

    /// Takes one step of every environment with ``actions``.
    ///
    /// - Parameter write: writes the actions where the environments read them.
    func step(write: (UnsafeMutablePointer<Float>, Int, BatchBuffer) -> Void) throws {
        write(actions, count, batch.actions)
        try batch.sendActions()
        try batch.receiveResults()
        steps += count
        let results = batch.results
        let size = encoder.size
        for index in 0..<count {
            rewards[index] = Float(results.rewards[index])
            guard rewards[index].isFinite else { throw NotFiniteError(term: "a reward", step: steps) }
        }
        // The statistics move on; what the replay buffer keeps is the plain reward.
        normalisation.normaliseRewards(rewards, raw: results.rewards.baseAddress!) {
            results.terminated[$0] != 0 || results.truncated[$0] != 0
        }
        try observe(into: following)
        for index in 0..<count {
            let terminated = results.terminated[index] != 0
            let truncated = results.truncated[index] != 0
            let reward = results.rewards[index]
            var next = UnsafePointer(following + index * size)
            if terminated || truncated {
                // CRUCIAL and easy to overlook: what follows is the next episode's first observation. This
                // transition leads to its own episode's last one.
                encoder.encode(results.finalObservation, rows: index..<index + 1, into: finalObservation)
                try check(finalObservation, rows: 1)
                next = UnsafePointer(finalObservation)
            }
            let observation = current + index * size
            let action = actions + index * actionSize
            if let window {
                window.add(
                    environment: index, observation: observation, action: action, reward: Float(reward),
                    nextObservation: next, terminated: terminated, truncated: truncated, to: replay
                ) { onAdd?($0) }
            } else {
                let row = replay.add(
                    observation: observation, action: action, reward: Float(reward), nextObservation: next,
                    terminated: terminated, discount: gamma)
                onAdd?(row)
            }
            if terminated || truncated {
                episodes.add(return: results.episodeReturns[index], length: results.episodeLengths[index])
                onEnd?(index)
            }
        }
        swap(&current, &following)
    }

    /// Takes in the observations that the environments stand at.
    private func observe(into target: UnsafeMutablePointer<Float>) throws {
        encoder.encode(batch.results.observation, rows: 0..<count, into: target)
        try check(target, rows: count)
        normalisation.update(target, rows: count)
        observations.update(from: target, count: count * encoder.size)
        normalisation.apply(observations, rows: count)
    }

    private func check(_ observations: UnsafePointer<Float>, rows: Int) throws {
        for index in 0..<rows * encoder.size where !observations[index].isFinite {
            throw NotFiniteError(term: "an observation", step: steps)
        }
    }

    func save(to writer: inout StateWriter) {
        writer.write(hasStarted)
        writer.write(UInt64(steps))
        writer.write(current, count: count * encoder.size)
        writer.write(observations, count: count * encoder.size)
        normalisation.save(to: &writer)
        episodes.save(to: &writer)
        window?.save(to: &writer)
        replay.save(to: &writer)
    }

    func restore(from reader: inout StateReader) throws {
        hasStarted = try reader.read(UInt8.self) != 0
        steps = try reader.readCount()
        try reader.read(into: current, count: count * encoder.size)
        try reader.read(into: observations, count: count * encoder.size)
        try normalisation.restore(from: &reader)
        try episodes.restore(from: &reader)
        try window?.restore(from: &reader)
        try replay.restore(from: &reader)
    }
}
