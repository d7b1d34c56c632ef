import Agents
import GymCore
import NeuralNetwork
import Testing

@Suite struct RolloutTests {
    /// Two environments, four steps; the second environment's episode ends at step 1.
    private let rewards = Vector<Float>((0..<8).map { Float($0) - 2.5 })
    private let values = Vector<Float>((0..<10).map { 0.5 * Float($0 % 4) + 1 })
    private let ended = Vector<UInt8>([0, 0, 0, 1, 0, 0, 0, 0])

    private func advantages(lambda: Float) -> [Float] {
        let result = Vector<Float>(count: 8)
        Returns.generalisedAdvantages(
            rewards: rewards, values: values, ended: ended, environments: 2, gamma: 0.9, lambda: lambda, into: result)
        return result.elements
    }

    private func nStep(_ steps: Int) -> [Float] {
        let result = Vector<Float>(count: 8)
        Returns.nStepAdvantages(
            rewards: rewards, values: values, ended: ended, environments: 2, gamma: 0.9, steps: steps, into: result)
        return result.elements
    }

    @Test func lambdaZeroIsTheOneStepError() {
        let one = advantages(lambda: 0)
        for row in 0..<8 {
            let next = ended[row] == 1 ? 0 : 0.9 * values[row + 2]
            #expect(one[row] == rewards[row] + next - values[row])
        }
        #expect(zip(one, nStep(1)).allSatisfy { abs($0 - $1) < 1e-6 })
    }

    @Test func lambdaOneIsMonteCarlo() {
        let all = advantages(lambda: 1)
        for environment in 0..<2 {
            // The discounted return to the end of the episode, or to the end of the rows and its value.
            var total = values[8 + environment]
            for step in [3, 2, 1, 0] {
                let row = step * 2 + environment
                total = rewards[row] + (ended[row] == 1 ? 0 : 0.9 * total)
                #expect(abs(all[row] - (total - values[row])) < 1e-5)
            }
        }
        // More steps than there are: the sum ends with the episode or with the rows.
        #expect(zip(all, nStep(100)).allSatisfy { abs($0 - $1) < 1e-5 })
    }

    /// The N-step error is the discounted sum of N one-step errors, and GAE their (γλ)-weighted sum.
    @Test func advantagesAreWeightedSumsOfErrors() {
        let errors = advantages(lambda: 0)
        func sum(from row: Int, weight: Float, steps: Int = 8) -> Float {
            var (sum, factor): (Float, Float) = (0, 1)
            for later in stride(from: row, to: min(8, row + 2 * steps), by: 2) {
                sum += factor * errors[later]
                factor *= ended[later] == 1 ? 0 : weight
            }
            return sum
        }
        let (generalised, three) = (advantages(lambda: 0.7), nStep(3))
        for row in 0..<8 {
            #expect(abs(generalised[row] - sum(from: row, weight: 0.9 * 0.7)) < 1e-5)
            #expect(abs(three[row] - sum(from: row, weight: 0.9, steps: 3)) < 1e-5)
        }
    }

    /// Whole episodes: the discounted return of each row to its episode's end.
    @Test func discountedReturns() {
        let ends = Vector<UInt8>([0, 0, 0, 1, 0, 0, 1, 1])
        let result = Vector<Float>(count: 8)
        Returns.discountedReturns(rewards: rewards, ended: ends, environments: 2, gamma: 0.5, into: result)
        let expected: [Float] = [-1.9375, -1.25, 1.125, 0.5, 3.25, 4.75, 3.5, 4.5]
        #expect(result.elements == expected)
    }

    @Test func permutationsAreUniform() {
        // Where 0 lands among four, over 4,000 draws: 1,000 each, with a deviation of 27.
        var counts = [0, 0, 0, 0]
        var generator = NumPyGenerator(seed: 2)
        let order = Vector<Int32>(count: 4)
        for _ in 0..<4000 {
            generator.permutation(into: order)
            #expect(order.elements.sorted() == [0, 1, 2, 3])
            counts[(0..<4).first { order[$0] == 0 }!] += 1
        }
        #expect(counts.allSatisfy { abs($0 - 1000) < 5 * 27 })
    }
}
