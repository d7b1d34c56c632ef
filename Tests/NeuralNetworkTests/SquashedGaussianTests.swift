import Foundation
import GymCore
import NeuralNetwork
import Testing

@Suite struct SquashedGaussianTests {
    /// log N(u) − log(1 − tanh² u) in double precision: log(1 − tanh² u) = 2 log 2 − 2 log(eᵘ + e⁻ᵘ).
    private func reference(mean: Double, logDeviation: Double, u: Double) -> Double {
        let z = (u - mean) * exp(-logDeviation)
        let normal = -0.5 * z * z - logDeviation - 0.5 * log(2 * Double.pi)
        return normal - (2 * log(2) - 2 * log(exp(u) + exp(-u)))
    }

    @Test(arguments: [-20, -9.1, -3, -0.5, -1e-4, 0, 1e-4, 0.5, 3, 9.1, 20])
    func logProbabilityIsStable(u: Float) {
        let ours = SquashedGaussian.logProbability([u * 0.95, -0.7], u: [u], count: 1)
        let theirs = reference(mean: Double(u * 0.95), logDeviation: Double(Float(-0.7)), u: Double(u))
        #expect(abs(Double(ours) - theirs) <= 2e-6 * max(1, abs(theirs)))
        #expect(abs(SquashedGaussian.squash(u).action - tanh(u)) < 1.2e-7)
    }

    @Test func actionsAndProbabilitiesGoTogether() {
        let output: [Float] = [0.3, -1.2, -0.5, 0.4]
        let noise: [Float] = [0.7, -1.1]
        var action: [Float] = [0, 0]
        let logProbability = SquashedGaussian.act(output, noise: noise, count: 2, action: &action)
        let u = [0.3 + 0.7 * exp(Float(-0.5)), -1.2 - 1.1 * exp(Float(0.4))]
        #expect(abs(SquashedGaussian.logProbability(output, u: u, count: 2) - logProbability) < 1e-5)
        #expect(zip(action, u).allSatisfy { abs($0 - tanh($1)) < 1e-6 })
    }

    /// Against finite differences of f · a + c · log π, also where a deviation is held at its bounds.
    @Test(arguments: [-0.5, 3, -25]) func gradient(logDeviation: Float) {
        let noise: [Float] = [0.7, -1.1]
        let byAction: [Float] = [1.5, -0.8]
        let weight: Float = 0.4
        var output: [Float] = [0.3, -0.2, logDeviation, 0.2]
        var action: [Float] = [0, 0]
        func objective() -> Double {
            let logProbability = SquashedGaussian.act(output, noise: noise, count: 2, action: &action)
            return Double(byAction[0] * action[0] + byAction[1] * action[1] + weight * logProbability)
        }
        _ = objective()
        var gradient = [Float](repeating: 0, count: 4)
        SquashedGaussian.gradient(
            output, noise: noise, action: action, count: 2, byAction: byAction, byLogProbability: weight,
            into: &gradient)
        let h: Float = 1e-2
        for index in 0..<4 {
            let before = output[index]
            output[index] = before + h
            let above = objective()
            output[index] = before - h
            let below = objective()
            output[index] = before
            #expect(abs((above - below) / (2 * Double(h)) - Double(gradient[index])) < 2e-3, "\(index)")
        }
    }
}
