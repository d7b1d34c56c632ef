import Foundation
import GymCore
import NeuralNetwork

/// Transitions of the past, the oldest overwritten by the newest.
///
/// A transition keeps whether its task *ended* (`terminated`). That an episode was cut off is no part of it: the next
/// observation is then the episode's own last one, and its value counts. Observations and rewards are kept as the
/// environment gave them; normalisation, which changes as it learns, is applied when they are drawn.
///
/// Observations of bytes and stacks of observations are kept as frames, each once.
public final class ReplayBuffer {
    /// The most transitions kept.
    public let capacity: Int
    /// The floats of an observation; 0 where frames are kept.
    public let observationSize: Int
    /// How observations lie when they are drawn.
    let format: InputFormat
    /// What keeps the observations, if they are not rows of floats.
    let frames: FramePool?
    /// Frames that came before a transition's own and may be part of its stack or of a later transition's.
    private let margin: Int
    /// Of each transition the frame of its observation and that of its next one.
    private var transitions: [(now: Int32, next: Int32)] = []
    /// The numbers of an action.
    public let actionSize: Int
    /// (capacity, observation).
    let observations: UnsafeMutablePointer<Float>
    /// (capacity, observation).
    let nextObservations: UnsafeMutablePointer<Float>
    /// (capacity, action).
    let actions: UnsafeMutablePointer<Float>
    /// The reward; with n-step returns, the discounted sum of n.
    package let rewards: UnsafeMutablePointer<Float>
    /// What the value of the next observation counts: γ, with n-step returns γⁿ, 0 where the task ended.
    package let discounts: UnsafeMutablePointer<Float>
    /// The transitions kept.
    public private(set) var count = 0
    /// Where the next transition goes.
    public private(set) var next = 0

    /// An empty buffer.
    public init(capacity: Int, observationSize: Int, actionSize: Int) {
        self.capacity = capacity
        self.observationSize = observationSize
        self.actionSize = actionSize
        format = InputFormat(.float32, count: observationSize)
        frames = nil
        margin = 0
        observations = ReplayBuffer.memory(capacity * observationSize)
        nextObservations = ReplayBuffer.memory(capacity * observationSize)
        actions = ReplayBuffer.memory(capacity * actionSize)
        rewards = ReplayBuffer.memory(capacity)
        discounts = ReplayBuffer.memory(capacity)
    }

    /// An empty buffer that keeps frames.
    ///
    /// - Parameter span: the environments, times the steps that lie between an observation and its transition's being
    ///   added.
    init(capacity: Int, encoder: ObservationEncoder, span: Int, actionSize: Int) {
        self.capacity = capacity
        observationSize = 0
        self.actionSize = actionSize
        format = encoder.format
        frames = FramePool(frameBytes: encoder.frameBytes, frames: encoder.frames)
        // Each step may bring two frames of an environment, its episode's last and the next one's first.
        margin = 2 * (encoder.frames + 1) * span
        observations = ReplayBuffer.memory(0)
        nextObservations = ReplayBuffer.memory(0)
        actions = ReplayBuffer.memory(capacity * actionSize)
        rewards = ReplayBuffer.memory(capacity)
        discounts = ReplayBuffer.memory(capacity)
        transitions = [(Int32, Int32)](repeating: (-1, -1), count: capacity)
    }

    deinit {
        for memory in [observations, nextObservations, actions, rewards, discounts] { free(memory) }
    }

    /// Zeros that take no place until they are written to: a buffer for a million transitions is asked for at once.
    private static func memory(_ count: Int) -> UnsafeMutablePointer<Float> {
        guard let memory = calloc(max(count, 1), MemoryLayout<Float>.stride) else {
            fatalError("there is no memory for \(count) numbers of a replay buffer; a smaller buffer_size would fit")
        }
        return memory.bindMemory(to: Float.self, capacity: max(count, 1))
    }

    /// Takes in a transition.
    ///
    /// - Parameters:
    ///   - terminated: whether the task ended; not whether the episode was cut off.
    ///   - discount: what the value of the next observation counts where it did not.
    ///   - frames: where frames are kept, those of the observation and of the next.
    /// - Returns: where it lies.
    @discardableResult
    public func add(
        observation: UnsafePointer<Float>, action: UnsafePointer<Float>, reward: Float,
        nextObservation: UnsafePointer<Float>, terminated: Bool, discount: Float,
        frames: (now: Int32, next: Int32) = (-1, -1)
    ) -> Int {
        let row = next
        (observations + row * observationSize).update(from: observation, count: observationSize)
        (nextObservations + row * observationSize).update(from: nextObservation, count: observationSize)
        (actions + row * actionSize).update(from: action, count: actionSize)
        rewards[row] = reward
        discounts[row] = terminated ? 0 : discount
        next = (next + 1) % capacity
        count = min(count + 1, capacity)
        if let pool = self.frames {
            transitions[row] = frames
            if count == capacity { pool.release(before: transitions[next].now, margin: margin) }
        }
        return row
    }

    /// Copies the observations of the drawn rows, or the next ones, side by side.
    func gatherRows(_ rows: UnsafeBufferPointer<Int32>, next: Bool, into target: UnsafeMutableRawPointer) {
        for (position, row) in rows.enumerated() {
            let transition = transitions[Int(row)]
            frames!.copyRow(next ? transition.next : transition.now, into: target + position * format.rowBytes)
        }
    }

    /// Copies the drawn rows of an array side by side, `stride` floats apart.
    func gather(
        _ rows: UnsafeBufferPointer<Int32>, of source: UnsafeMutablePointer<Float>, width: Int, stride: Int,
        into target: UnsafeMutablePointer<Float>
    ) {
        for (position, row) in rows.enumerated() {
            (target + position * stride).update(from: source + Int(row) * width, count: width)
        }
    }

    /// The observation of a transition, for tests and for looking at it.
    package func observation(_ row: Int) -> [Float] {
        Array(UnsafeBufferPointer(start: observations + row * observationSize, count: observationSize))
    }

    /// The next observation of a transition.
    package func nextObservation(_ row: Int) -> [Float] {
        Array(UnsafeBufferPointer(start: nextObservations + row * observationSize, count: observationSize))
    }

    /// The bytes of a transition's observation, or of its next one, as they are drawn; where frames are kept.
    package func row(_ row: Int, next: Bool) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: format.rowBytes) { memory, count in
            let number = Int32(row)
            withUnsafePointer(to: number) {
                gatherRows(
                    UnsafeBufferPointer(start: $0, count: 1), next: next,
                    into: UnsafeMutableRawPointer(memory.baseAddress!))
            }
            count = format.rowBytes
        }
    }

    /// The action of a transition.
    package func action(_ row: Int) -> [Float] {
        Array(UnsafeBufferPointer(start: actions + row * actionSize, count: actionSize))
    }
}

extension ReplayBuffer {
    /// Writes every transition.
    public func save(to writer: inout StateWriter) {
        writer.write(UInt64(count))
        writer.write(UInt64(next))
        for (memory, width) in arrays { writer.write(memory, count: count * width) }
        if let frames {
            writer.write(array: transitions[..<count].flatMap { [$0.now, $0.next] })
            frames.save(to: &writer)
        }
    }

    /// Takes over what ``save(to:)`` wrote.
    ///
    /// - Throws: ``StateError`` when it is of a buffer of another size.
    public func restore(from reader: inout StateReader) throws {
        let count = try reader.read(UInt64.self)
        let next = try reader.read(UInt64.self)
        guard count <= UInt64(capacity), next < UInt64(capacity) else {
            throw StateError("the replay buffer was of another size than \(capacity)")
        }
        for (memory, width) in arrays { try reader.read(into: memory, count: Int(count) * width) }
        if let frames {
            let numbers = try reader.readArray(of: Int32.self)
            try frames.restore(from: &reader)
            guard numbers.count == 2 * Int(count), numbers.allSatisfy(frames.contains) else {
                throw StateError("the replay buffer's frames are of other transitions")
            }
            for row in 0..<Int(count) { transitions[row] = (numbers[2 * row], numbers[2 * row + 1]) }
        }
        self.count = Int(count)
        self.next = Int(next)
    }

    private var arrays: [(UnsafeMutablePointer<Float>, Int)] {
        [
            (observations, observationSize), (nextObservations, observationSize), (actions, actionSize), (rewards, 1),
            (discounts, 1),
        ]
    }
}
