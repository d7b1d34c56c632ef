import Agents
import GymCore
import NeuralNetwork
import Testing

@Suite struct RolloutTests {
    /// Two environments, four steps; the second environment's episode ends at step 1.
    private func rollout() -> RolloutBuffer {
        let rollout = RolloutBuffer(
            steps: 4, environments: 2, observations: InputFormat(.float32, count: 1), actionSize: 1)
        for row in 0..<8 { rollout.rewards[row] = Float(row) - 2.5 }
        for row in 0..<10 { rollout.values[row] = 0.5 * Float(row % 4) + 1 }
        rollout.ended[3] = 1
        return rollout
    }

    @Test func lambdaZeroIsTheOneStepError() {
        let rollout = rollout()
        rollout.computeAdvantages(gamma: 0.9, lambda: 0)
        for row in 0..<8 {
            let next = rollout.ended[row] == 1 ? 0 : 0.9 * rollout.values[row + 2]
            #expect(rollout.advantages[row] == rollout.rewards[row] + next - rollout.values[row])
            #expect(rollout.returns[row] == rollout.advantages[row] + rollout.values[row])
        }
    }

    @Test func lambdaOneIsMonteCarlo() {
        let rollout = rollout()
        rollout.computeAdvantages(gamma: 0.9, lambda: 1)
        for environment in 0..<2 {
            // The discounted return to the end of the episode, or to the end of the rollout and its value.
            var total = rollout.values[8 + environment]
            for step in [3, 2, 1, 0] {
                let row = step * 2 + environment
                total = rollout.rewards[row] + (rollout.ended[row] == 1 ? 0 : 0.9 * total)
                #expect(abs(rollout.returns[row] - total) < 1e-5)
                #expect(abs(rollout.advantages[row] - (total - rollout.values[row])) < 1e-5)
            }
        }
    }

    /// The N-step error is the discounted sum of one-step errors, and GAE their (γλ)-weighted sum.
    @Test func advantagesAreWeightedSumsOfErrors() {
        let rollout = rollout()
        rollout.computeAdvantages(gamma: 0.9, lambda: 0)
        let errors = (0..<8).map { rollout.advantages[$0] }
        rollout.computeAdvantages(gamma: 0.9, lambda: 0.7)
        for row in 0..<8 {
            var sum: Float = 0
            var weight: Float = 1
            for later in stride(from: row, to: 8, by: 2) {
                sum += weight * errors[later]
                weight *= rollout.ended[later] == 1 ? 0 : 0.9 * 0.7
            }
            #expect(abs(rollout.advantages[row] - sum) < 1e-5)
        }
    }

    @Test(arguments: [1, 3, 7, 8, 100]) func minibatchesCoverEachRowOnceAnEpoch(size: Int) {
        let rollout = rollout()
        let order = UnsafeMutablePointer<Int32>.allocate(capacity: 24)
        defer { order.deallocate() }
        var generator = NumPyGenerator(seed: 1)
        for epoch in 0..<3 { generator.permutation(into: order + epoch * 8, count: 8) }
        let minibatches = Minibatches(rollout: rollout, order: order, size: min(size, 8), maxGradientNorm: nil)
        var orders: [[Int32]] = []
        for epoch in 0..<3 {
            let rows = (0..<minibatches.perEpoch).flatMap { Array(minibatches.rows(epoch * minibatches.perEpoch + $0)) }
            #expect(rows.sorted() == Array(0..<8))
            orders.append(rows)
        }
        #expect(Set(orders).count == 3)
    }

    @Test func permutationsAreUniform() {
        // Where 0 lands among four, over 4,000 draws: 1,000 each, with a deviation of 27.
        var counts = [0, 0, 0, 0]
        var generator = NumPyGenerator(seed: 2)
        let order = UnsafeMutablePointer<Int32>.allocate(capacity: 4)
        defer { order.deallocate() }
        for _ in 0..<4000 {
            generator.permutation(into: order, count: 4)
            counts[(0..<4).first { order[$0] == 0 }!] += 1
        }
        #expect(counts.allSatisfy { abs($0 - 1000) < 5 * 27 })
    }
}
