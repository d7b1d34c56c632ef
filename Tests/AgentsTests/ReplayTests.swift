import Agents
import GymCore
import NeuralNetwork
import Testing

@Suite struct ReplayTests {
    /// Step k: observation (k, −k), action and reward k.
    private func steps(_ count: Int, lastTerminates: Bool = false) -> [MadeUpStep] {
        (0..<count).map { index in
            let value = Float(index)
            return MadeUpStep(
                observation: [value, -value], action: [value], reward: value, next: [value + 1, -value - 1],
                terminated: lastTerminates && index == count - 1)
        }
    }

    private func copied(_ replay: Replay, into other: Replay) throws {
        var writer = StateWriter()
        StateCoder.write(to: &writer) { try! replay.code(&$0) }
        var reader = StateReader(writer.bytes)
        try StateCoder.read(from: &reader) { try other.code(&$0) }
        try reader.finish()
    }

    @Test func theOldestIsOverwritten() throws {
        let replay = try Replay(capacity: 3, steps(5, lastTerminates: true))
        #expect(replay.count == 3 && replay.available == 3)
        #expect((0..<3).map { replay.transition($0).reward } == [3, 4, 2])
        #expect((0..<3).map { replay.transition($0).discount } == [0.9, 0, 0.9])
        let newest = replay.transition(1)
        #expect(newest.observation == [4, -4] && newest.action == [4] && newest.next == [5, -5])
        // What follows a step is its successor's observation, kept once.
        #expect(replay.transition(2).next == replay.transition(0).observation)
        #expect(replay.successor(of: 2) == 0 && replay.successor(of: 0) == 1 && replay.successor(of: 1) == nil)
        #expect(replay.isCut(1) && !replay.isCut(0))

        let other = try Replay(capacity: 3, steps(1))
        try copied(replay, into: other)
        for row in 0..<3 { #expect(other.transition(row) == replay.transition(row)) }
        #expect(throws: StateError.self) { try copied(replay, into: Replay(capacity: 2, steps(1))) }
    }

    /// Five steps of reward 1, 2, 4, 8, 16 with γ = ½ and three of them a transition.
    @Test(arguments: ["goes on", "terminated", "truncated"]) func nStepReturns(end: String) throws {
        let replay = try Replay(
            capacity: 10,
            (0..<5).map { (step: Int) -> MadeUpStep in
                let ends = step == 4
                return MadeUpStep(
                    observation: [Float(step)], action: [Float(10 + step)], reward: Float(1 << step),
                    next: [Float(step + 1)], terminated: ends && end == "terminated",
                    truncated: ends && end == "truncated")
            }, gamma: 0.5, length: 3)
        // Of the newest two it is still to be seen what follows.
        #expect(replay.count == 5 && replay.available == 3)
        // Each reward is twice the last and counts half: n · first.
        let rewards: [Float] = [3, 6, 12, 16, 16]
        for row in 0..<(end == "goes on" ? 3 : 5) {
            let transition = replay.transition(row)
            #expect(transition.reward == rewards[row])
            #expect(transition.observation == [Float(row)] && transition.action == [Float(10 + row)])
            #expect(transition.next == [Float(min(row + 3, 5))])
            let full: Float = [0.125, 0.125, 0.125, 0.25, 0.5][row]
            // A time limit leaves the last observation its value, however few steps are left.
            #expect(transition.discount == (row >= 2 && end == "terminated" ? 0 : full))
        }
    }

    /// Sums of normalised rewards: each is divided and held within the limit, not their sum.
    @Test func rewardsAreNormalisedBeforeTheyAreSummed() throws {
        let rewards: [Float] = [100, -100, 100, 1]
        let replay = try Replay(
            capacity: 10,
            rewards.map { MadeUpStep(observation: [0], action: [0], reward: $0, next: [0]) }, gamma: 0.5, length: 3)
        let normalisation = Normalisation(
            observations: false, rewards: true, size: 1, environments: 1, gamma: 0.5, rewardClip: 2)
        let batch = TransitionBatch(count: 1, format: replay.format, actionSize: 1)
        replay.gather(Vector([0]), into: batch, normalisation: normalisation)
        #expect(batch.rewards[0] == 2 - 0.5 * 2 + 0.25 * 2)
    }

    /// Episodes that were given up lead to what the environment stood at, and never into the next.
    @Test(arguments: [1, 3]) func episodesThatWereGivenUpAreCut(length: Int) throws {
        let replay = try Replay(capacity: 6, steps(4), length: length)
        replay.begin(Rows(Matrix(rows: 1, columns: 2, [77, 77])), 0..<1)
        #expect(replay.isCut(3))
        let last = replay.transition(3)
        #expect(last.next == [4, -4] && last.discount == 0.9 && last.reward == 3)
        if length == 3 {
            let before = replay.transition(2)
            #expect(before.next == [4, -4] && abs(before.discount - 0.81) < 1e-6 && abs(before.reward - 4.7) < 1e-6)
        }
    }

    /// Only steps whose targets can be seen whole are drawn, each as often as the others; by priorities as well.
    @Test(arguments: [false, true], [3, 9]) func newestStepsWaitForTheirTargets(isPrioritised: Bool, count: Int) throws
    {
        let capacity = 6
        let replay = try Replay(
            capacity: capacity, steps(count), length: 2,
            sampler: isPrioritised ? PrioritisedSampler(capacity: capacity, alpha: 1) : nil)
        let (rows, weights) = (Vector<Int32>(count: 600), Vector<Float>(count: 600))
        var generator = NumPyGenerator(seed: 3)
        replay.draw(into: rows, weights: weights, beta: 1, generator: &generator)
        let observed = rows.elements.map { Int(replay.transition(Int($0)).observation[0]) }
        let expected = (max(0, count - capacity)..<count - 1)
        #expect(Set(observed) == Set(expected))
        let share = 600 / expected.count
        for step in expected { #expect(abs(observed.count { $0 == step } - share) < 60) }
    }

    @Test func priorities() {
        var sampler = PrioritisedSampler(capacity: 5, alpha: 0.5)
        for row in 0..<4 { sampler.add(row) }
        #expect(sampler.total == 4)
        for (row, error) in [Float(1), -4, 9, 0].enumerated() { sampler.update(row, error: error) }
        #expect(abs(sampler.total - 6.001) < 1e-5)
        // A new one starts with the largest so far.
        sampler.add(4)
        #expect(abs(sampler.priority(4) - 3) < 1e-6)
        #expect([0.5, 1.5, 2.9, 3.5, 5.9, 6.5].map { sampler.row(at: $0) } == [0, 1, 1, 2, 2, 4])
        var generator = NumPyGenerator(seed: 4)
        let (rows, weights) = (Vector<Int32>(count: 9000), Vector<Float>(count: 9000))
        sampler.sample(rows, weights: weights, count: 5, beta: 1, generator: &generator)
        var counts = [0, 0, 0, 0, 0]
        for row in rows.elements { counts[Int(row)] += 1 }
        // One draw from each of 9,000 stretches: each count is within 2 of its share.
        for row in 0..<5 {
            #expect(abs(Double(counts[row]) - 9000 * sampler.priority(row) / sampler.total) <= 2)
        }
        // With β = 1 the weights undo it: weight · priority is the same for all.
        let products = rows.elements.enumerated().map { Double(weights[$0]) * sampler.priority(Int($1)) }
        #expect(products.allSatisfy { abs($0 / products[0] - 1) < 1e-5 })
        #expect(weights.elements.allSatisfy { $0 <= 1 })
    }

    @Test func explorationFallsInALine() {
        let exploration = LinearExploration(initial: 1, final: 0.2, fraction: 0.5)
        for (progress, rate) in [(0, 1), (0.25, 0.6), (0.5, 0.2), (0.75, 0.2), (1, 0.2)] {
            #expect(abs(exploration.rate(progress: progress) - rate) < 1e-12)
        }
        #expect(LinearExploration(initial: 1, final: 0.2, fraction: 0).rate(progress: 0) == 0.2)
    }

    @Test func ornsteinUhlenbeckNoiseRemembers() {
        var generator = NumPyGenerator(seed: 7)
        var draws = generator
        var noise = ExplorationNoise(.ornsteinUhlenbeck, deviation: .constant(0.5), environments: 2, size: 1)
        var expected = 0.0
        for _ in 0..<50 {
            noise.advance(progressRemaining: 1, generator: &generator)
            expected += -0.15 * expected * 0.01 + 0.5 * 0.1 * draws.standardNormal()
            _ = draws.standardNormal()
            #expect(abs(Double(noise.values[0]) - expected) < 1e-5)
        }
        noise.reset(environment: 0)
        #expect(noise.values[0] == 0 && noise.values[1] != 0)
    }

    @Test func noiseFallsWithItsSchedule() {
        var generator = NumPyGenerator(seed: 7)
        var draws = generator
        var noise = ExplorationNoise(.normal, deviation: .linear(from: 0.4), environments: 1, size: 1)
        for progressRemaining in [1, 0.5, 0] {
            noise.advance(progressRemaining: progressRemaining, generator: &generator)
            #expect(noise.values[0] == Float(0.4 * progressRemaining * draws.standardNormal()))
        }
    }

    @Test(arguments: [(0.5, 0.125, 0.5), (-0.5, 0.125, -0.5), (1, 0.5, 1), (3, 2.5, 1), (-3, 2.5, -1)])
    func huber(error: Float, value: Float, slope: Float) {
        #expect(huberLoss(error) == (value, slope))
    }
}
