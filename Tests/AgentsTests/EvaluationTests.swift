import Agents
import GymCore
import Testing

/// Greedy episodes after and during training.
@Suite struct EvaluationTests {
    @Test func evaluationsStopWhenTheyAreTold() throws {
        let batch = try LocalBatch("Pendulum-v1", count: 3)
        let policy = try PPO.policy(
            Hyperparameters(PPO.schema), observationSpace: batch.observationSpace, actionSpace: batch.actionSpace)
        var asked = 0
        let cut = try evaluate(policy, on: batch, seed: 1) {
            asked += 1
            return asked > 50
        }
        #expect(cut == nil && asked == 51)
        let whole = try evaluate(policy, on: batch, seed: 1) { false }
        #expect(whole?.lengths == [200, 200, 200])
        #expect(try evaluate(policy, on: batch, seed: 1).returns == whole?.returns)
    }
}
