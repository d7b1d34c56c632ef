import Foundation
import GymCore

/// Transitions of the past, the oldest overwritten by the newest.
///
/// A transition keeps whether its task *ended* (`terminated`). That an episode was cut off is no part of it: the next
/// observation is then the episode's own last one, and its value counts. Observations and rewards are kept as the
/// environment gave them; normalisation, which changes as it learns, is applied when they are drawn.
public final class ReplayBuffer {
    /// The most transitions kept.
    public let capacity: Int
    /// The floats of an observation.
    public let observationSize: Int
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
        observations = ReplayBuffer.memory(capacity * observationSize)
        nextObservations = ReplayBuffer.memory(capacity * observationSize)
        actions = ReplayBuffer.memory(capacity * actionSize)
        rewards = ReplayBuffer.memory(capacity)
        discounts = ReplayBuffer.memory(capacity)
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
    /// - Returns: where it lies.
    @discardableResult
    public func add(
        observation: UnsafePointer<Float>, action: UnsafePointer<Float>, reward: Float,
        nextObservation: UnsafePointer<Float>, terminated: Bool, discount: Float
    ) -> Int {
        let row = next
        (observations + row * observationSize).update(from: observation, count: observationSize)
        (nextObservations + row * observationSize).update(from: nextObservation, count: observationSize)
        (actions + row * actionSize).update(from: action, count: actionSize)
        rewards[row] = reward
        discounts[row] = terminated ? 0 : discount
        next = (next + 1) % capacity
        count = min(count + 1, capacity)
        return row
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
