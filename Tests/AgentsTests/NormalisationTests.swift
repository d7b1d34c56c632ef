import Agents
import Foundation
import TestSupport
import Testing

@Suite struct NormalisationTests {
    /// Numbers that `Tests/Fixtures/pytorch/vec_normalize.py` took from NumPy.
    private struct Reference: Decodable {
        let observations: [Float]
        let rewards: [Double]
        let dones: [Bool]
        let normalisedObservations: [Float]
        let normalisedRewards: [Float]
        let mean: [Double]
        let variance: [Double]
        let returnVariance: [Double]
    }

    @Test func agreesWithVecNormalize() throws {
        let reference = try JSONDecoder().decode(
            Reference.self,
            from: Data(contentsOf: Fixtures.folder.appendingPathComponent("pytorch/vec_normalize.json")))
        var normalisation = Normalisation(
            observations: true, rewards: true, size: 2, environments: 3, gamma: 0.9, observationClip: 1.2,
            rewardClip: 1.2)
        for step in 0..<5 {
            var batch = Array(reference.observations[step * 6..<(step + 1) * 6])
            normalisation.update(batch, rows: 3)
            normalisation.apply(&batch, rows: 3)
            for (ours, theirs) in zip(batch, reference.normalisedObservations[(step * 6)...]) {
                #expect(abs(ours - theirs) < 1e-5)
            }
        }
        for step in 0..<4 {
            var rewards: [Float] = [0, 0, 0]
            normalisation.normaliseRewards(&rewards, raw: Array(reference.rewards[step * 3..<(step + 1) * 3])) {
                reference.dones[step * 3 + $0]
            }
            for (ours, theirs) in zip(rewards, reference.normalisedRewards[(step * 3)...]) {
                #expect(abs(ours - theirs) < 1e-5)
            }
        }
        let statistics = try #require(normalisation.observations)
        for element in 0..<2 {
            #expect(abs(statistics.mean[element] - reference.mean[element]) < 1e-6)
            #expect(abs(statistics.variance[element] / reference.variance[element] - 1) < 1e-6)
        }
        #expect(abs(normalisation.returns!.variance[0] / reference.returnVariance[0] - 1) < 1e-8)
    }

    @Test func doesNothingWhenOff() {
        var normalisation = Normalisation(
            observations: false, rewards: false, size: 1, environments: 1, gamma: 0.9)
        var observation: [Float] = [123]
        var reward: [Float] = [456]
        normalisation.update(observation, rows: 1)
        normalisation.apply(&observation, rows: 1)
        normalisation.normaliseRewards(&reward, raw: [456]) { _ in false }
        #expect(observation == [123] && reward == [456])
    }
}
