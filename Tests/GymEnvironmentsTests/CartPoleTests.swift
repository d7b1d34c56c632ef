import GymCore
import GymEnvironments
import Testing

@Suite struct CartPoleTests {
    @Test func seed42StartsAsInGymnasium() throws {
        let batch = try GymEnvironments.registry.make("CartPole-v1")
        let buffers = StepBuffers(observationSpace: batch.observationSpace, count: 1)
        _ = try batch.reset(rows: [0], seeds: [42], options: [:], wantsInfo: false, into: buffers)
        let expected: [Float] = [0.02739560417830944, -0.006112155970185995, 0.03585979342460632, 0.019736802205443382]
        #expect(Array(buffers.observation.elements(as: Float.self)) == expected)
    }
}
