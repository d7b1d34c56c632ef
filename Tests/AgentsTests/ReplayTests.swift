import Agents
import GymCore
import Testing

@Suite struct ReplayTests {
    private func add(_ replay: ReplayBuffer, _ value: Float, terminated: Bool = false) -> Int {
        replay.add(
            observation: [value, -value], action: [value], reward: value, nextObservation: [value + 1, 0],
            terminated: terminated, discount: 0.9)
    }

    @Test func theOldestIsOverwritten() throws {
        let replay = ReplayBuffer(capacity: 3, observationSize: 2, actionSize: 1)
        #expect((0..<5).map { add(replay, Float($0), terminated: $0 == 4) } == [0, 1, 2, 0, 1])
        #expect(replay.count == 3 && replay.next == 2)
        #expect((0..<3).map { replay.rewards[$0] } == [3, 4, 2])
        #expect((0..<3).map { replay.discounts[$0] } == [0.9, 0, 0.9])
        #expect(replay.observation(1) == [4, -4] && replay.nextObservation(1) == [5, 0] && replay.action(1) == [4])
        var writer = StateWriter()
        replay.save(to: &writer)
        let other = ReplayBuffer(capacity: 3, observationSize: 2, actionSize: 1)
        var reader = StateReader(writer.bytes)
        try other.restore(from: &reader)
        try reader.finish()
        #expect(other.next == 2 && (0..<3).allSatisfy { other.observation($0) == replay.observation($0) })
        var small = StateReader(writer.bytes)
        #expect(throws: StateError.self) {
            try ReplayBuffer(capacity: 2, observationSize: 2, actionSize: 1).restore(from: &small)
        }
    }

    /// Five steps of reward 1, 2, 4, 8, 16 with γ = ½ and three of them a transition.
    @Test(arguments: ["goes on", "terminated", "truncated"]) func nStepReturns(end: String) {
        let replay = ReplayBuffer(capacity: 10, observationSize: 1, actionSize: 1)
        let window = NStepWindow(length: 3, gamma: 0.5, environments: 1, observationSize: 1, actionSize: 1)
        var reward: Float = 1
        for step in 0..<5 {
            let isLast = step == 4
            window.add(
                environment: 0, observation: [Float(step)], action: [Float(10 + step)], reward: reward,
                nextObservation: [Float(step + 1)], terminated: isLast && end == "terminated",
                truncated: isLast && end == "truncated", to: replay, added: { _ in })
            reward *= 2
        }
        let goesOn = end == "goes on"
        #expect(replay.count == (goesOn ? 3 : 5))
        // Each reward is twice the last and counts half: n · first.
        let rewards: [Float] = [3, 6, 12, 16, 16]
        for row in 0..<replay.count {
            #expect(replay.rewards[row] == rewards[row])
            #expect(replay.observation(row) == [Float(row)] && replay.action(row) == [Float(10 + row)])
            #expect(replay.nextObservation(row) == [Float(min(row + 3, 5))])
            let full: Float = [0.125, 0.125, 0.125, 0.25, 0.5][row]
            // A time limit leaves the last observation its value, however few steps are left.
            #expect(replay.discounts[row] == (row >= 2 && end == "terminated" ? 0 : full))
        }
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
        let rows = UnsafeMutableBufferPointer<Int32>.allocate(capacity: 9000)
        defer { rows.deallocate() }
        var weights = [Float](repeating: 0, count: 9000)
        sampler.sample(rows, weights: &weights, count: 5, beta: 1, generator: &generator)
        var counts = [0, 0, 0, 0, 0]
        for row in rows { counts[Int(row)] += 1 }
        // One draw from each of 9,000 stretches: each count is within 2 of its share.
        for row in 0..<5 {
            #expect(abs(Double(counts[row]) - 9000 * sampler.priority(row) / sampler.total) <= 2)
        }
        // With β = 1 the weights undo it: weight · priority is the same for all.
        let products = rows.enumerated().map { Double(weights[$0]) * sampler.priority(Int($1)) }
        #expect(products.allSatisfy { abs($0 / products[0] - 1) < 1e-5 })
        #expect(weights.allSatisfy { $0 <= 1 })
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
