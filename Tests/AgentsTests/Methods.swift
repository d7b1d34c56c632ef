import Agents
import GymCore
import NeuralNetwork

/// A learner that is looked into: with its collector, its memory and its networks.
enum Inner {
    static func ppo(
        _ batch: any EnvironmentBatch, _ h: Hyperparameters, seed: UInt64 = 0, threads: Int? = nil
    ) throws -> OnPolicyLearner<PPO.Update> {
        try PPO.learner(on: batch, .init(h), LearnerOptions(seed: seed, threads: threads))
            as! OnPolicyLearner<PPO.Update>
    }

    static func dqn(
        _ batch: any EnvironmentBatch, _ h: Hyperparameters, seed: UInt64 = 0, threads: Int? = nil
    ) throws -> OffPolicyLearner<DQN.Networks> {
        try DQN.learner(on: batch, .init(h), LearnerOptions(seed: seed, threads: threads))
            as! OffPolicyLearner<DQN.Networks>
    }

    static func td3(
        _ batch: any EnvironmentBatch, _ h: Hyperparameters, seed: UInt64 = 0, threads: Int? = nil
    ) throws -> OffPolicyLearner<TD3.Networks> {
        try TD3.learner(on: batch, .init(h), LearnerOptions(seed: seed, threads: threads))
            as! OffPolicyLearner<TD3.Networks>
    }

    static func ddpg(
        _ batch: any EnvironmentBatch, _ h: Hyperparameters, seed: UInt64 = 0, threads: Int? = nil
    ) throws -> OffPolicyLearner<DDPG.Networks> {
        try DDPG.learner(on: batch, .init(h), LearnerOptions(seed: seed, threads: threads))
            as! OffPolicyLearner<DDPG.Networks>
    }

    static func sac(
        _ batch: any EnvironmentBatch, _ h: Hyperparameters, seed: UInt64 = 0, threads: Int? = nil
    ) throws -> OffPolicyLearner<SAC.Networks> {
        try SAC.learner(on: batch, .init(h), LearnerOptions(seed: seed, threads: threads))
            as! OffPolicyLearner<SAC.Networks>
    }
}

/// A step as a test makes it up: one environment, observations of floats.
struct MadeUpStep {
    var observation: [Float]
    var action: [Float]
    var reward: Float
    var next: [Float]
    var terminated = false
    /// Whether the episode ends here: `next` is then its last observation, and the next step's observation anything.
    var truncated = false
}

extension Replay {
    /// A buffer of one environment's steps, filled with the given ones.
    convenience init(
        capacity: Int, _ steps: [MadeUpStep], gamma: Float = 0.9, length: Int = 1, sampler: PrioritisedSampler? = nil
    ) throws {
        let size = steps[0].observation.count
        let encoder = try ObservationEncoder(.box(Box(low: Float(-1), high: Float(1), shape: [size])))
        self.init(
            capacity: capacity, environments: 1, encoder: encoder, actionSize: steps[0].action.count, gamma: gamma,
            length: length, sampler: sampler)
        begin(Rows(Matrix(rows: 1, columns: size, steps[0].observation)), 0..<1)
        for (index, step) in steps.enumerated() {
            let following = index + 1 < steps.count ? steps[index + 1].observation : step.next
            func rows(_ numbers: [Float]) -> Rows { Rows(Matrix(rows: 1, columns: size, numbers)) }
            add(
                CollectedStep(
                    observations: rows(step.observation), rawObservations: rows(step.observation),
                    actions: Matrix(rows: 1, columns: step.action.count, step.action),
                    logProbabilities: Vector([-1]), rewards: Vector([step.reward]),
                    normalisedRewards: Vector([step.reward]), terminated: Vector([step.terminated ? 1 : 0]),
                    truncated: Vector([step.truncated ? 1 : 0]),
                    ended: Vector([step.terminated || step.truncated ? 1 : 0]), lastObservations: rows(step.next),
                    normalisedLastObservations: rows(step.next), following: rows(following)), 0..<1)
        }
    }

    /// What is drawn of one row: the observation, the action, the reward, what the next observation counts, and that.
    func transition(
        _ row: Int
    ) -> (observation: [Float], action: [Float], reward: Float, discount: Float, next: [Float]) {
        let batch = TransitionBatch(count: 1, format: format, actionSize: actionSize)
        let none = Normalisation(observations: false, rewards: false, size: format.count, environments: 1, gamma: 0)
        gather(Vector([Int32(row)]), into: batch, normalisation: none)
        func numbers(_ rows: Rows) -> [Float] {
            format.element == .float32
                ? rows.floats.elements : rows.withBytes { $0.map { Float($0) } }
        }
        return (
            numbers(batch.observationRows), batch.actions.elements, batch.rewards[0], batch.discounts[0],
            numbers(batch.nextObservationRows)
        )
    }
}
