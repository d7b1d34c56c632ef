import Agents
import AllocationCounter
import GymCore
import Testing

/// After warm-up an update allocates nothing.
@Suite(.enabled(if: allocations_are_counted())) struct AllocationTests {
    private func hyperparameters(_ algorithm: Algorithm, layerNorm: Bool) throws -> Hyperparameters {
        try algorithm.hyperparameters(
            environment: "none",
            settings: [("net_arch", "[16, 16]"), ("batch_size", "20"), ("layer_norm", layerNorm ? "true" : "false")])
    }

    @Test(arguments: [Algorithm.dqn, .td3, .sac], [false, true])
    func updatesAllocateNothing(algorithm: Algorithm, layerNorm: Bool) throws {
        let h = try hyperparameters(algorithm, layerNorm: layerNorm)
        let replay = ReplayBuffer(capacity: 30, observationSize: 2, actionSize: 1)
        for index in 0..<30 {
            let place = Float(index) / 30
            replay.add(
                observation: [place, 1], action: [0], reward: place, nextObservation: [1, place], terminated: false,
                discount: 0.9)
        }
        let update: any OffPolicyUpdate =
            switch algorithm {
            case .dqn:
                DQNUpdate(
                    h, input: try NetworkInput(floatsOf: .box(Box(low: Float(-1), high: 1, shape: [2]))), choices: 2,
                    replay: replay, seed: 1)
            case .td3: TD3Update(h, replay: replay, seed: 1)
            default: SACUpdate(h, replay: replay, seed: 1)
            }
        let runner = HalfRunner(threads: 1, operations: 0)
        func allocations() -> UInt64 {
            update.begin(
                learningRate: 1e-3, progress: 0, normalisation: Normalisation(h, size: 2, environments: 1))
            let before = allocations_of_this_thread()
            runner.run(update, stages: 10 * type(of: update).stages)
            update.finish()
            return allocations_of_this_thread() - before
        }
        _ = allocations()
        #expect(allocations() == 0 && update.updates == 20 && update.notFinite == nil)
    }

    /// Of an iteration of PPO the updates are one part: more of them allocate no more.
    @Test(arguments: [false, true]) func epochsAllocateNothing(layerNorm: Bool) throws {
        func allocations(epochs: Int) throws -> UInt64 {
            var h = try hyperparameters(.ppo, layerNorm: layerNorm)
            for (key, value) in [("n_steps", "40"), ("n_epochs", "\(epochs)")] {
                try h.set(key, value, source: "test")
            }
            let ppo = try PPO(batch: LocalBatch("Pendulum-v1", count: 1), hyperparameters: h, seed: 0, threads: 1)
            // Iterations in which an episode ends, the fifth, tenth …, are left out.
            for _ in 0..<6 { _ = try ppo.iterate() }
            let before = allocations_of_this_thread()
            _ = try ppo.iterate()
            return allocations_of_this_thread() - before
        }
        #expect(try allocations(epochs: 20) == allocations(epochs: 2))
    }
}
