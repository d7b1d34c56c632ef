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
    /// A step was sent and its results are still to be taken in.
    private(set) var isStepPending = false

    /// Where the replay buffer keeps frames, those that the environments stand at.
    private var frames: [Int32]
    /// The observations that the environments stand at, as they gave them; (environments, observation).
    private var current: UnsafeMutablePointer<Float>
    private var following: UnsafeMutablePointer<Float>
    /// ``current`` normalised: what the policy acts on; (environments, row).
    let observations: UnsafeMutableRawPointer
    /// ``observations``, where they are floats.
    var floatObservations: UnsafePointer<Float> { UnsafePointer(observations.assumingMemoryBound(to: Float.self)) }
    /// The actions of the next step as the replay buffer keeps them; (environments, action).
    let actions: UnsafeMutablePointer<Float>
    private let finalObservation: UnsafeMutablePointer<Float>
    private let rewards: UnsafeMutablePointer<Float>

    /// Where a transition came to lie in the replay buffer.
    var onAdd: ((Int) -> Void)?
    /// The environment whose episode ended.
    var onEnd: ((Int) -> Void)?

    var count: Int { batch.count }

    /// - Parameter encoder: by default one to single rows of floats.
    init(
        batch: any EnvironmentBatch, _ h: Hyperparameters, actionSize: Int, encoder: ObservationEncoder? = nil
    ) throws {
        self.batch = batch
        self.actionSize = actionSize
        self.encoder = try encoder ?? ObservationEncoder(batch.observationSpace)
        let encoder = self.encoder
        gamma = Float(h.real("gamma"))
        normalisation = Normalisation(h, size: encoder.size, environments: batch.count)
        let capacity = max(h.integer("buffer_size"), batch.count)
        let length = h.integer("n_steps")
        let keepsFrames = encoder.frames > 1 || encoder.format.element != .float32
        // Frames lie in the replay buffer, and nowhere else.
        let size = keepsFrames ? 0 : encoder.size
        try requireMemory(
            4 * Double(capacity) * Double(2 * size + actionSize + 2), for: "buffer_size",
            "the buffer_size = \(capacity) transitions of a replay buffer")
        replay =
            keepsFrames
            ? ReplayBuffer(
                capacity: capacity, encoder: encoder, span: (length + 1) * batch.count, actionSize: actionSize)
            : ReplayBuffer(capacity: capacity, observationSize: size, actionSize: actionSize)
        frames = [Int32](repeating: -1, count: batch.count)
        window =
            length == 1
            ? nil
            : NStepWindow(
                length: length, gamma: gamma, environments: batch.count, observationSize: size, actionSize: actionSize)
        current = allocateFloats(batch.count * size)
        following = allocateFloats(batch.count * size)
        observations = allocateRows(encoder.format, count: batch.count)
        actions = allocateFloats(batch.count * actionSize)
        finalObservation = allocateFloats(size)
        rewards = allocateFloats(batch.count)
    }

    deinit {
        observations.deallocate()
        for memory in [current, following, actions, finalObservation, rewards] { memory.deallocate() }
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
        if let pool = replay.frames {
            for index in 0..<count { frames[index] = add(batch.results.observation, index, after: -1, to: pool) }
            showFrames()
        }
    }

    /// Sends ``actions`` off. Until ``receive()`` the environments step while the learner learns.
    ///
    /// - Parameter write: writes the actions where the environments read them.
    func send(write: (UnsafeMutablePointer<Float>, Int, BatchBuffer) -> Void) throws {
        write(actions, count, batch.actions)
        try batch.sendActions()
        isStepPending = true
    }

    /// Waits for the step that was sent, and takes in what it brought.
    func receive() throws {
        isStepPending = false
        try batch.receiveResults()
        steps += count
        let results = batch.results
        let size = replay.observationSize
        for index in 0..<count {
            rewards[index] = Float(results.rewards[index])
            guard rewards[index].isFinite else { throw NotFiniteError.reward(results.rewards[index], step: steps) }
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
            var frames = (now: self.frames[index], next: Int32(-1))
            // CRUCIAL and easy to overlook: at an end, what follows is the next episode's first observation. This
            // transition leads to its own episode's last one.
            let ends = terminated || truncated
            if let pool = replay.frames {
                if ends { frames.next = add(results.finalObservation, index, after: frames.now, to: pool) }
                self.frames[index] = add(results.observation, index, after: ends ? -1 : frames.now, to: pool)
                if !ends { frames.next = self.frames[index] }
            } else if ends {
                encoder.encode(results.finalObservation, rows: index..<index + 1, into: finalObservation)
                try check(finalObservation, numbers: size)
                next = UnsafePointer(finalObservation)
            }
            let observation = current + index * size
            let action = actions + index * actionSize
            if let window {
                window.add(
                    environment: index, observation: observation, action: action, reward: Float(reward),
                    nextObservation: next, terminated: terminated, truncated: truncated, frames: frames, to: replay
                ) { onAdd?($0) }
            } else {
                let row = replay.add(
                    observation: observation, action: action, reward: Float(reward), nextObservation: next,
                    terminated: terminated, discount: gamma, frames: frames)
                onAdd?(row)
            }
            if ends {
                episodes.add(return: results.episodeReturns[index], length: results.episodeLengths[index])
                onEnd?(index)
            }
        }
        swap(&current, &following)
        showFrames()
    }

    /// Takes in one environment's frame.
    private func add(_ batch: BatchBuffer, _ index: Int, after previous: Int32, to pool: FramePool) -> Int32 {
        pool.add(after: previous) { encoder.encodeFrames(batch, rows: index..<index + 1, into: $0) }
    }

    /// Puts together what the policy acts on, where frames are kept.
    private func showFrames() {
        guard let pool = replay.frames else { return }
        for index in 0..<count {
            pool.copyRow(frames[index], into: observations + index * encoder.format.rowBytes)
        }
    }

    /// Takes in the observations that the environments stand at; frames are taken in one by one.
    private func observe(into target: UnsafeMutablePointer<Float>) throws {
        if replay.frames != nil {
            guard encoder.format.element == .float32 else { return }
            // A stack of floats: looked through here, kept as frames.
            encoder.encodeFrames(batch.results.observation, rows: 0..<count, into: observations)
            try check(
                observations.assumingMemoryBound(to: Float.self), numbers: count * encoder.frameBytes / 4)
            return
        }
        encoder.encode(batch.results.observation, rows: 0..<count, into: target)
        try check(target, numbers: count * encoder.size)
        normalisation.update(target, rows: count)
        let observations = observations.assumingMemoryBound(to: Float.self)
        observations.update(from: target, count: count * encoder.size)
        normalisation.apply(observations, rows: count)
    }

    /// Throws where one of `numbers` numbers is not finite.
    private func check(_ values: UnsafePointer<Float>, numbers: Int) throws {
        for index in 0..<numbers where !values[index].isFinite {
            throw NotFiniteError.observation(in: batch.results, step: steps)
        }
    }

    func save(to writer: inout StateWriter) {
        writer.write(hasStarted)
        writer.write(UInt64(steps))
        if replay.frames == nil {
            writer.write(current, count: count * encoder.size)
            writer.write(rows: observations, count: count, encoder.format)
        } else {
            writer.write(array: frames)
        }
        normalisation.save(to: &writer)
        episodes.save(to: &writer)
        window?.save(to: &writer)
        replay.save(to: &writer)
    }

    func restore(from reader: inout StateReader) throws {
        hasStarted = try reader.read(UInt8.self) != 0
        steps = try reader.readCount()
        if replay.frames == nil {
            try reader.read(into: current, count: count * encoder.size)
            try reader.read(rows: observations, count: count, encoder.format)
        } else {
            frames = try reader.readArray(of: Int32.self)
        }
        try normalisation.restore(from: &reader)
        try episodes.restore(from: &reader)
        try window?.restore(from: &reader)
        try replay.restore(from: &reader)
        if let pool = replay.frames {
            guard frames.count == count, !hasStarted || frames.allSatisfy(pool.contains) else {
                throw StateError("the environments' frames are not in the replay buffer")
            }
            if hasStarted { showFrames() }
        }
    }
}
