import GymCore
import NeuralNetwork

/// Steps of the past of a part's environments, the oldest overwritten by the newest.
///
/// Single steps are kept, in the order in which they came, and each observation once: what follows a step is the
/// observation of the same environment's next step. So stretches can be read off it: the sum of n rewards and the
/// observation n steps on, or whole sequences (``successor(of:)``, ``isCut(_:)``). Observations and rewards are kept as the
/// environments gave them; normalisation, which changes as it learns, is applied when they are drawn.
///
/// That an episode was cut off is no end of its task: the step then keeps the episode's own last observation, whose value
/// counts. Where the task ended, what followed counts nothing, and is not kept.
package final class Replay {
    /// The most steps kept.
    package let capacity: Int
    /// The environments whose steps these are.
    package let environments: Int
    package let format: InputFormat
    package let actionSize: Int
    private let gamma: Float
    /// Rewards that a target sums.
    private let length: Int

    /// Steps taken in, ever.
    private var added = 0
    /// For each place an observation, and behind it the action: a critic's input. Where frames are kept, actions alone.
    private let inputs: Matrix
    /// Where frames are kept: for each place its newest frame.
    private let frames: (pool: FramePool, newest: Vector<Int32>)?
    private let rewards: Vector<Float>
    /// For each place: 0 where the episode goes on, 1 where its task ended, 2 where it was cut off.
    private let ends: Vector<UInt8>
    /// The behaviour's log μ(a|s), where a method asks for it.
    private let logProbabilities: Vector<Float>?
    /// Last observations of episodes that were cut off, and for each place where among them; −1: none.
    private var lasts: Lasts
    private let last: Vector<Int32>
    package private(set) var sampler: PrioritisedSampler?

    private static let goesOn: UInt8 = 0
    private static let terminated: UInt8 = 1
    private static let truncated: UInt8 = 2

    /// An empty buffer.
    ///
    /// - Parameters:
    ///   - capacity: at least as many steps as there are environments.
    ///   - length: rewards that a target sums.
    ///   - keepsLogProbabilities: whether the behaviour's are kept.
    package init(
        capacity: Int, environments: Int, encoder: ObservationEncoder, actionSize: Int, gamma: Float, length: Int,
        keepsLogProbabilities: Bool = false, sampler: PrioritisedSampler? = nil
    ) {
        self.capacity = capacity
        self.environments = environments
        self.actionSize = actionSize
        self.gamma = gamma
        self.length = length
        self.sampler = sampler
        format = encoder.format
        let places = capacity + environments
        let keepsFrames = Replay.keepsFrames(encoder)
        inputs = Matrix(rows: places, columns: (keepsFrames ? 0 : format.count) + actionSize)
        frames =
            keepsFrames
            ? (FramePool(frameBytes: encoder.frameBytes, frames: encoder.frames), Vector(count: places)) : nil
        rewards = Vector(count: places)
        ends = Vector(count: places)
        logProbabilities = keepsLogProbabilities ? Vector(count: places) : nil
        lasts = Lasts(format)
        last = Vector(count: places)
        last.fill(-1)
        // Each step may bring two frames of an environment, its episode's last and the next one's first.
        margin = 2 * (encoder.frames + 1) * (length + 1) * environments
    }

    /// Frames that came before a step's own and may be part of its stack or of a later step's.
    private let margin: Int

    /// Stacks and bytes are kept as frames, each once.
    private static func keepsFrames(_ encoder: ObservationEncoder) -> Bool {
        encoder.frames > 1 || encoder.format.element != .float32
    }

    /// Bytes that a buffer takes when it is full, about; frames included.
    static func bytes(capacity: Int, encoder: ObservationEncoder, actionSize: Int) -> Double {
        let capacity = Double(capacity)
        return keepsFrames(encoder)
            ? capacity * Double(4 * actionSize + 13) + FramePool.bytes(frames: capacity, frameBytes: encoder.frameBytes)
            : capacity * Double(4 * (encoder.size + actionSize) + 9)
    }

    /// The numbers of an observation in ``inputs``; 0 where frames are kept.
    private var observationSize: Int { inputs.columns - actionSize }
    /// The newest steps whose targets are still to be seen whole.
    private var unripe: Int { (length - 1) * environments }

    /// The steps kept.
    package var count: Int { min(added, capacity) }
    /// The steps that may be drawn: all but those whose targets are still to be seen whole.
    package var available: Int { max(0, count - unripe) }

    // MARK: Taking in

    /// Takes in the first observations of new episodes in all environments.
    ///
    /// - Parameter rows: which of the rows are this part's.
    package func begin(_ observations: Rows, _ rows: Range<Int>) {
        if added > 0 { cutAll() }
        for (position, row) in rows.enumerated() { place(observations, row: row, at: added + position, after: -1) }
    }

    /// The episodes of the newest steps do not go on: whatever follows is of others.
    private func cutAll() {
        for sequence in max(0, added - environments)..<added where ends[place(sequence)] == Replay.goesOn {
            keepLast(of: sequence) { self.copyObservation(at: place(sequence + environments), into: $0, row: $1) }
            ends[place(sequence)] = Replay.truncated
        }
    }

    /// Takes in what a step brought.
    ///
    /// - Parameter part: which of the step's environments are this buffer's.
    package func add(_ step: CollectedStep, _ part: Range<Int>) {
        precondition(part.count == environments)
        for index in part {
            let (sequence, at) = (added, place(added))
            let row = Int(sequence % capacity)
            for column in 0..<actionSize { inputs[at, observationSize + column] = step.actions[index, column] }
            rewards[at] = step.rewards[index]
            logProbabilities?[at] = step.logProbabilities[index]
            if last[at] >= 0 {
                lasts.free(last[at])
                last[at] = -1
            }
            let frame = frames.map { $0.newest[at] } ?? -1
            if step.terminated[index] != 0 {
                ends[at] = Replay.terminated
            } else if step.truncated[index] != 0 {
                ends[at] = Replay.truncated
                if let frames {
                    last[at] = frames.pool.add(step.lastObservations, row: index, after: frame)
                } else {
                    keepLast(of: sequence) { $0.copyRow($1, from: step.lastObservations, row: index) }
                }
            } else {
                ends[at] = Replay.goesOn
            }
            place(
                step.following, row: index, at: sequence + environments,
                after: step.ended[index] != 0 ? -1 : frame)
            added += 1
            if sampler != nil {
                // A step may be drawn once its target can be seen whole.
                if unripe > 0 { sampler!.remove(row) }
                if added > unripe { sampler!.add((added - 1 - unripe) % capacity) }
            }
            if let frames, added >= capacity {
                frames.pool.release(before: frames.newest[place(added - capacity)], margin: margin)
            }
        }
    }

    /// Where the step of a number lies: numbers count all steps ever taken in.
    @inline(__always)
    private func place(_ sequence: Int) -> Int { sequence % (capacity + environments) }

    /// Writes an observation into the place of the step that will start from it.
    private func place(_ rows: Rows, row: Int, at sequence: Int, after previous: Int32) {
        let at = place(sequence)
        if let frames {
            frames.newest[at] = frames.pool.add(rows, row: row, after: previous)
        } else {
            observations.copyRow(at, from: rows, row: row)
        }
    }

    /// The observations of all places, where they are numbers.
    private var observations: Rows { Rows(inputs[columns: 0..<observationSize]) }

    private func keepLast(of sequence: Int, _ write: (_ rows: Rows, _ row: Int) -> Void) {
        let at = place(sequence)
        if let frames {
            // What the episodes stood at is a frame already.
            last[at] = frames.newest[place(sequence + environments)]
            return
        }
        let slot = lasts.take()
        last[at] = slot
        write(lasts.rows, Int(slot))
    }

    private func copyObservation(at place: Int, into rows: Rows, row: Int) {
        if let frames {
            frames.pool.copyRow(frames.newest[place], into: rows, row: row)
        } else {
            rows.copyRow(row, from: observations, row: place)
        }
    }

    // MARK: Drawing

    /// Draws steps, each as likely as the others, with replacement; or by their priorities, with the weights that undo the
    /// bias of that.
    ///
    /// - Parameters:
    ///   - rows: where the drawn rows go.
    ///   - weights: where priorities' weights go.
    ///   - beta: how much of the priorities' bias the weights undo.
    package func draw(
        into rows: Vector<Int32>, weights: Vector<Float>, beta: Double, generator: inout NumPyGenerator
    ) {
        if let sampler {
            sampler.sample(rows, weights: weights, count: available, beta: beta, generator: &generator)
            return
        }
        let available = available
        for index in rows.indices {
            let drawn = generator.integer(in: 0..<available)
            // Where some may not be drawn and the buffer is full, counted from the oldest on.
            let row = unripe > 0 && added > capacity ? (added + drawn) % capacity : drawn
            rows[index] = Int32(truncatingIfNeeded: row)
        }
    }

    /// Takes in how wrong the network was about a step; nothing without priorities.
    package func update(row: Int, error: Float) { sampler?.update(row, error: error) }

    /// The number of the step in a row.
    private func sequence(_ row: Int) -> Int {
        if added <= capacity { return row }
        let next = added % capacity
        return row < next ? added - next + row : added - next - capacity + row
    }

    /// The row of the same environment's next step; `nil` for its newest.
    package func successor(of row: Int) -> Int? {
        let next = sequence(row) + environments
        return next < added ? next % capacity : nil
    }

    /// Whether the episode ends with a step, by its task or by being cut off.
    package func isCut(_ row: Int) -> Bool { ends[place(sequence(row))] != Replay.goesOn }

    /// The behaviour's log μ(a|s) of a step, where they are kept.
    package func logProbability(_ row: Int) -> Float? { logProbabilities?[place(sequence(row))] }

    /// What a transition comes to: the sum of its rewards, what the value of the observation after them counts, and where
    /// that is.
    private func transition(
        _ row: Int, rewardScale: (scale: Float, clip: Float)?
    ) -> (reward: Float, discount: Float, next: Int, last: Int32) {
        var sequence = sequence(row)
        var (sum, weight): (Float, Float) = (0, 1)
        for _ in 0..<length {
            let at = place(sequence)
            var reward = rewards[at]
            if let (scale, clip) = rewardScale { reward = min(max(reward * scale, -clip), clip) }
            sum += weight * reward
            weight *= gamma
            sequence += environments
            if ends[at] == Replay.terminated { return (sum, 0, place(sequence), -1) }
            if ends[at] == Replay.truncated { return (sum, weight, place(sequence), last[at]) }
        }
        return (sum, weight, place(sequence), -1)
    }

    /// Copies drawn steps side by side.
    package func gather(_ rows: Vector<Int32>, into batch: TransitionBatch, normalisation: Normalisation) {
        let rewardScale = normalisation.pastRewards
        for (position, row) in rows.indices.lazy.map({ ($0, Int(rows[$0])) }) {
            precondition(row >= 0 && row < count)
            let (reward, discount, next, last) = transition(row, rewardScale: rewardScale)
            let at = place(sequence(row))
            batch.rewards[position] = reward
            batch.discounts[position] = discount
            if let frames {
                for column in 0..<actionSize {
                    batch.inputs[position, batch.observationSize + column] = inputs[at, column]
                }
                frames.pool.copyRow(frames.newest[at], into: batch.observationRows, row: position)
                frames.pool.copyRow(
                    last >= 0 ? last : frames.newest[next], into: batch.nextObservationRows, row: position)
            } else {
                batch.inputs.copyRow(position, from: inputs, row: at)
                if last >= 0 {
                    batch.nextObservationRows.copyRow(position, from: lasts.rows, row: Int(last))
                } else {
                    batch.nextObservationRows.copyRow(position, from: observations, row: next)
                }
            }
        }
        if format.element == .float32 {
            normalisation.apply(batch.observationRows.floats)
            normalisation.apply(batch.nextObservationRows.floats)
        }
    }

    // MARK: State

    /// Writes or reads every step.
    package func code(_ state: inout StateCoder) throws {
        let capacity = capacity
        var size = capacity
        try state(&size)
        guard size == capacity else {
            throw StateError("the replay buffer was of another size than \(capacity): \(size)")
        }
        try state(&added)
        guard added >= 0 else { throw StateError("the replay buffer took in \(added) steps") }
        let used = min(added + environments, capacity + environments)
        try state(inputs.prefix(used))
        try state(rewards.prefix(used))
        try state(ends.prefix(used))
        if let logProbabilities { try state(logProbabilities.prefix(used)) }
        try state(last.prefix(used))
        if let frames {
            try state(frames.newest.prefix(used))
            try frames.pool.code(&state)
            guard added == 0 || frames.newest.prefix(used).elements.allSatisfy(frames.pool.contains),
                last.prefix(used).elements.allSatisfy({ $0 == -1 || frames.pool.contains($0) })
            else { throw StateError("the replay buffer's frames are of other steps") }
        } else {
            try lasts.code(&state)
            guard last.prefix(used).elements.allSatisfy({ (-1..<Int32(lasts.rows.count)).contains($0) }) else {
                throw StateError("the replay buffer's last observations are of other steps")
            }
        }
        try sampler?.code(&state)
    }
}

/// Observations that episodes ended with when they were cut off: few beside all the others.
private struct Lasts {
    private(set) var rows: Rows
    private var freed: [Int32] = []

    init(_ format: InputFormat) { rows = Rows(format, count: 0) }

    /// A slot for one.
    mutating func take() -> Int32 {
        if let slot = freed.popLast() { return slot }
        let count = Int32(rows.count)
        rows = rows.grown()
        freed = (count..<Int32(rows.count)).reversed()
        return freed.removeLast()
    }

    /// A slot's observation is not needed any more.
    mutating func free(_ slot: Int32) { freed.append(slot) }

    mutating func code(_ state: inout StateCoder) throws {
        var count = rows.count
        try state(&count)
        try state(anyLength: &freed)
        if state.isReading {
            guard (0...Int(Int32.max)).contains(count), freed.allSatisfy({ (0..<Int32(count)).contains($0) }) else {
                throw StateError("the replay buffer's last observations do not go together")
            }
            rows = Rows(rows.format, count: count)
        }
        try state(rows)
    }
}
