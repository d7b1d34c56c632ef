import Agents
import Foundation
import NeuralNetwork
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
            let batch = Matrix(rows: 3, columns: 2, Array(reference.observations[step * 6..<(step + 1) * 6]))
            normalisation.update(batch)
            normalisation.apply(batch)
            for (ours, theirs) in zip(batch.elements, reference.normalisedObservations[(step * 6)...]) {
                #expect(abs(ours - theirs) < 1e-5)
            }
        }
        for step in 0..<4 {
            let rewards = Vector<Float>(count: 3)
            normalisation.normaliseRewards(
                rewards, raw: Vector(reference.rewards[step * 3..<(step + 1) * 3]),
                ended: Vector(reference.dones[step * 3..<(step + 1) * 3].map { $0 ? 1 : 0 }))
            for (ours, theirs) in zip(rewards.elements, reference.normalisedRewards[(step * 3)...]) {
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
        let (observation, reward) = (Matrix(rows: 1, columns: 1, [123]), Vector<Float>([456]))
        normalisation.update(observation)
        normalisation.apply(observation)
        normalisation.normaliseRewards(reward, raw: Vector([456]), ended: Vector([0]))
        #expect(observation[0, 0] == 123 && reward[0] == 456)
    }
}
