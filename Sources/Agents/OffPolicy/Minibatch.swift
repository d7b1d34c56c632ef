import GymCore
import NeuralNetwork

/// A minibatch of transitions, drawn from a replay buffer and normalised; two halves, each worked on by one thread.
final class Minibatch {
    let size: Int
    private let replay: ReplayBuffer
    let observationSize: Int
    let actionSize: Int
    /// Which transitions.
    let rows: UnsafeMutableBufferPointer<Int32>
    /// (size, observation); where the replay buffer keeps frames, none.
    let observations: UnsafeMutablePointer<Float>
    /// (size, observation).
    let nextObservations: UnsafeMutablePointer<Float>
    /// (size, observation + action): a critic's input for what was done.
    let inputs: UnsafeMutablePointer<Float>
    /// (size, observation + action): a critic's input for the next observation and what a policy does there.
    let nextInputs: UnsafeMutablePointer<Float>
    /// (size).
    let rewards: UnsafeMutablePointer<Float>
    /// (size): what the next observation's value counts.
    let discounts: UnsafeMutablePointer<Float>

    /// Where the replay buffer keeps frames: (size, row) of the observations and of the next ones.
    private let frameRows: (now: UnsafeMutableRawPointer, next: UnsafeMutableRawPointer)?

    /// Floats of a critic's input.
    var inputSize: Int { observationSize + actionSize }

    init(size: Int, replay: ReplayBuffer) {
        self.size = size
        self.replay = replay
        observationSize = replay.observationSize
        actionSize = replay.actionSize
        rows = .allocate(capacity: size)
        rows.initialize(repeating: 0)
        observations = allocateFloats(size * observationSize)
        nextObservations = allocateFloats(size * observationSize)
        inputs = allocateFloats(size * (observationSize + actionSize))
        nextInputs = allocateFloats(size * (observationSize + actionSize))
        rewards = allocateFloats(size)
        discounts = allocateFloats(size)
        frameRows =
            replay.frames == nil
            ? nil : (allocateRows(replay.format, count: size), allocateRows(replay.format, count: size))
    }

    deinit {
        rows.deallocate()
        for memory in [observations, nextObservations, inputs, nextInputs, rewards, discounts] { memory.deallocate() }
        frameRows?.now.deallocate()
        frameRows?.next.deallocate()
    }

    /// The observations from a position on, or the next ones, as a network takes them in.
    func networkRows(from position: Int, next: Bool) -> UnsafeRawPointer {
        if let frameRows {
            return UnsafeRawPointer((next ? frameRows.next : frameRows.now) + position * replay.format.rowBytes)
        }
        return UnsafeRawPointer((next ? nextObservations : observations) + position * observationSize)
    }

    /// The rows of one half.
    func half(_ index: Int) -> Range<Int> { Agents.half(index, of: size) }

    /// Draws transitions, each as likely as the others, with replacement.
    func draw(generator: inout NumPyGenerator) {
        let count = replay.count
        for index in 0..<size { rows[index] = Int32(truncatingIfNeeded: generator.integer(in: 0..<count)) }
    }

    /// Copies the drawn transitions of one half.
    func gather(half index: Int, normalisation: Normalisation) {
        let range = half(index)
        let drawn = UnsafeBufferPointer(rebasing: rows[range])
        let start = range.lowerBound
        let count = range.count
        replay.gather(
            drawn, of: replay.observations, width: observationSize, stride: observationSize,
            into: observations + start * observationSize)
        replay.gather(
            drawn, of: replay.nextObservations, width: observationSize, stride: observationSize,
            into: nextObservations + start * observationSize)
        replay.gather(
            drawn, of: replay.actions, width: actionSize, stride: inputSize,
            into: inputs + start * inputSize + observationSize)
        replay.gather(drawn, of: replay.rewards, width: 1, stride: 1, into: rewards + start)
        replay.gather(drawn, of: replay.discounts, width: 1, stride: 1, into: discounts + start)
        if let frameRows {
            let offset = start * replay.format.rowBytes
            replay.gatherRows(drawn, next: false, into: frameRows.now + offset)
            replay.gatherRows(drawn, next: true, into: frameRows.next + offset)
            normalisation.apply(rewards: rewards + start, rows: count)
            return
        }
        normalisation.apply(observations + start * observationSize, rows: count)
        normalisation.apply(nextObservations + start * observationSize, rows: count)
        normalisation.apply(rewards: rewards + start, rows: count)
        for row in range {
            (inputs + row * inputSize).update(from: observations + row * observationSize, count: observationSize)
            (nextInputs + row * inputSize).update(
                from: nextObservations + row * observationSize, count: observationSize)
        }
    }

    /// Puts a policy's action into a row of critic's inputs.
    @inline(__always)
    func setAction(_ action: UnsafePointer<Float>, row: Int, of inputs: UnsafeMutablePointer<Float>) {
        (inputs + row * inputSize + observationSize).update(from: action, count: actionSize)
    }
}
