import GymCore
import NeuralNetwork

/// Turns single steps into transitions over n steps: r₀ + γ r₁ + … + γⁿ⁻¹ rₙ₋₁, and the observation n steps on.
///
/// At an episode's end the shorter transitions that are left follow at once: those of a task that ended with what they
/// earned, those of an episode that was cut off with the value of its last observation.
package final class NStepWindow {
    private let length: Int
    private let gamma: Float
    private let observationSize: Int
    private let actionSize: Int
    /// (environments, length, observation).
    private let observations: UnsafeMutablePointer<Float>
    /// (environments, length, action).
    private let actions: UnsafeMutablePointer<Float>
    /// (environments, length).
    private let rewards: UnsafeMutablePointer<Float>
    private let environments: Int
    /// (environments, length): the frames of the observations, where the replay buffer keeps those.
    private var frames: [Int32]
    /// The oldest step of each environment, and how many there are.
    private var first: [Int]
    private var count: [Int]

    package init(length: Int, gamma: Float, environments: Int, observationSize: Int, actionSize: Int) {
        self.length = length
        self.gamma = gamma
        self.environments = environments
        self.observationSize = observationSize
        self.actionSize = actionSize
        observations = allocateFloats(environments * length * observationSize)
        actions = allocateFloats(environments * length * actionSize)
        rewards = allocateFloats(environments * length)
        frames = [Int32](repeating: -1, count: environments * length)
        first = [Int](repeating: 0, count: environments)
        count = first
    }

    deinit {
        for memory in [observations, actions, rewards] { memory.deallocate() }
    }

    /// Takes in a step of one environment and hands on every transition that it completes.
    package func add(
        environment: Int, observation: UnsafePointer<Float>, action: UnsafePointer<Float>, reward: Float,
        nextObservation: UnsafePointer<Float>, terminated: Bool, truncated: Bool,
        frames: (now: Int32, next: Int32) = (-1, -1), to replay: ReplayBuffer, added: (Int) -> Void
    ) {
        let slot = environment * length + (first[environment] + count[environment]) % length
        (observations + slot * observationSize).update(from: observation, count: observationSize)
        (actions + slot * actionSize).update(from: action, count: actionSize)
        rewards[slot] = reward
        self.frames[slot] = frames.now
        count[environment] += 1
        let ends = terminated || truncated
        while count[environment] == length || (ends && count[environment] > 0) {
            var sum: Float = 0
            var weight: Float = 1
            for step in 0..<count[environment] {
                sum += weight * rewards[environment * length + (first[environment] + step) % length]
                weight *= gamma
            }
            let oldest = environment * length + first[environment]
            added(
                replay.add(
                    observation: observations + oldest * observationSize, action: actions + oldest * actionSize,
                    reward: sum, nextObservation: nextObservation, terminated: terminated, discount: weight,
                    frames: (self.frames[oldest], frames.next)))
            first[environment] = (first[environment] + 1) % length
            count[environment] -= 1
        }
    }

    /// Forgets all steps: what would follow them will not come.
    func removeAll() {
        for environment in 0..<environments { count[environment] = 0 }
    }

    func save(to writer: inout StateWriter) {
        writer.write(array: first)
        writer.write(array: count)
        writer.write(observations, count: environments * length * observationSize)
        writer.write(actions, count: environments * length * actionSize)
        writer.write(rewards, count: environments * length)
        if observationSize == 0 { writer.write(array: frames) }
    }

    func restore(from reader: inout StateReader) throws {
        let first = try reader.readArray(of: Int.self)
        let count = try reader.readArray(of: Int.self)
        guard first.count == environments, count.count == environments,
            first.allSatisfy({ (0..<length).contains($0) }), count.allSatisfy({ (0...length).contains($0) })
        else { throw StateError("the n-step window is of other environments") }
        self.first = first
        self.count = count
        try reader.read(into: observations, count: environments * length * observationSize)
        try reader.read(into: actions, count: environments * length * actionSize)
        try reader.read(into: rewards, count: environments * length)
        if observationSize == 0 {
            let frames = try reader.readArray(of: Int32.self)
            guard frames.count == environments * length else {
                throw StateError("the n-step window is of other environments")
            }
            self.frames = frames
        }
    }
}
