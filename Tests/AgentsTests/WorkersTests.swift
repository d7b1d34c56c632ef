import Agents
import GymCore
import NeuralNetwork
import Synchronization
import Testing

/// Work that is divided: among threads, slices and parts.
@Suite struct WorkersTests {
    @Test(arguments: [1, 2, 3, 8]) func everyPieceIsDoneOnceAndSeen(threads: Int) {
        let workers = Workers(threads: threads)
        for count in [0, 1, 2, 5, 17] {
            let done = Vector<Int32>(count: count)
            for round in 1...200 {
                workers.run(count) { done[$0] += 1 }
                // After the join the caller sees all of it.
                for piece in 0..<count { #expect(done[piece] == Int32(round)) }
            }
        }
    }

    /// Threads end with the workers, whether or not they ever worked.
    @Test func workersComeAndGo() {
        for _ in 0..<50 {
            let workers = Workers(threads: 4)
            let sum = Atomic(0)
            workers.run(4) { _ = sum.add($0, ordering: .relaxed) }
            #expect(sum.load(ordering: .relaxed) == 6)
        }
        for _ in 0..<50 { #expect(Workers(threads: 4).threads == 4) }
    }

    @Test(arguments: [(10, 2, 1), (7, 2, 1), (33, 2, 16), (100, 3, 16), (5, 8, 1), (0, 3, 1)])
    func sharesCoverAllOnce(count: Int, shares: Int, multiple: Int) {
        let ranges = (0..<shares).map { share($0, of: shares, count: count, multiple: multiple) }
        #expect(ranges.flatMap { Array($0) } == Array(0..<count))
        for range in ranges.dropLast() where !range.isEmpty {
            #expect(range.upperBound % multiple == 0 || range.upperBound == count)
        }
    }

    private func store(_ count: Int) -> ParameterStore {
        var layout = ParameterLayout()
        _ = layout.add("x", shape: [count])
        return ParameterStore(layout)
    }

    /// Pieces are summed slice by slice and part by part, whatever the threads; then clipped by the norm of all together.
    @Test(arguments: [1, 3], [20, 100_000]) func gradientsAreSummedInOrder(threads: Int, count: Int) throws {
        let stores = [store(count), store(48)]
        let parts = Parts(count: 3, slices: 2)
        let step = GradientStep(
            stores.map { ("a", $0) }, maxNorm: 0.5, UpdateContext(parts, workers: Workers(threads: threads))
        ) { SGD(count: $0) }
        var generator = NumPyGenerator(seed: 7)
        for (index, store) in stores.enumerated() {
            for piece in 0..<6 {
                let gradient = step.gradient(index, piece: piece)
                for element in 0..<store.count { gradient[element] = Float(generator.uniform(-1, 1)) }
            }
        }
        func expected(_ store: Int, _ element: Int) -> Float {
            let piece = (0..<6).map { step.gradient(store, piece: $0)[element] }
            return ((piece[0] + piece[1]) + (piece[2] + piece[3])) + (piece[4] + piece[5])
        }
        let sums = stores.indices.map { store in (0..<stores[store].count).map { expected(store, $0) } }
        try step.apply(learningRate: 1)
        let norm = sums.joined().reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
        #expect(abs(step.norm - norm) < 1e-6 * norm)
        let scale = clippingScale(norm: step.norm, maxNorm: 0.5)
        for (store, sums) in zip(stores, sums) {
            for (element, sum) in sums.enumerated() { #expect(store.parameters[element] == -(sum * scale)) }
        }
    }

    @Test func whatIsNotFiniteIsNamedAndNotApplied() throws {
        let stores = [store(20), store(48)]
        let step = GradientStep(
            [("the policy's", stores[0]), ("the value's", stores[1])], UpdateContext(Parts(count: 2, slices: 1))
        ) { Adam(count: $0, epsilon: 1e-5) }
        // Its square is no float.
        step.gradient(1, piece: 1)[5] = 1e20
        let error = #expect(throws: NotFinite.self) { try step.apply(learningRate: 1) }
        #expect(error?.term == "the value's gradient")
        #expect(stores.allSatisfy { $0.parameters.elements.allSatisfy { $0 == 0 } })
    }

    // MARK: Runs

    private static let runs: [(Algorithm, String, [(key: String, value: String)])] = [
        (.ppo, "Pendulum-v1", [("n_steps", "32"), ("batch_size", "64"), ("normalize", "true"), ("n_epochs", "3")]),
        (.a2c, "CartPole-v1", []),
        (.dqn, "CartPole-v1", [("learning_starts", "100"), ("train_freq", "8"), ("gradient_steps", "2")]),
        (.td3, "Pendulum-v1", [("learning_starts", "100"), ("batch_size", "32")]),
        (.ddpg, "Pendulum-v1", [("learning_starts", "100"), ("batch_size", "32"), ("target_update_interval", "3")]),
        (.sac, "Pendulum-v1", [("learning_starts", "100"), ("batch_size", "32"), ("n_steps", "2")]),
    ]

    private func weights(_ index: Int, parts: Int, threads: Int) throws -> [Float] {
        let (algorithm, environment, settings) = WorkersTests.runs[index]
        let h = try algorithm.hyperparameters(
            environment: "none",
            settings: settings + [
                ("n_envs", "8"), ("n_timesteps", "1600"), ("net_arch", "[16, 16]"), ("parts", "\(parts)"),
            ])
        let learner = try algorithm.learner(
            on: LocalBatch(environment, count: 8), hyperparameters: h, seed: 3, threads: threads)
        while learner.steps < learner.totalSteps { _ = try learner.iterate() }
        #expect(learner.updates > 2)
        return learner.policy.tensors.flatMap { tensor -> [Float] in
            tensor.tensor.dtype == .float32 ? tensor.tensor.elements() : []
        }
    }

    /// The result depends on the parts, a hyperparameter, and not on the threads.
    @Test(arguments: runs.indices, [1, 4]) func threadsChangeNothing(index: Int, parts: Int) throws {
        let one = try weights(index, parts: parts, threads: 1)
        for threads in [2, 3, 8] { #expect(try weights(index, parts: parts, threads: threads) == one) }
        if parts == 4 { #expect(try weights(index, parts: 1, threads: 1) != one) }
    }

    @Test func partsThatDoNotDivideAreRefused() throws {
        for (settings, key) in [
            ([(key: "parts", value: "3"), ("n_envs", "4"), ("batch_size", "30")], "n_envs"),
            ([("parts", "4"), ("n_envs", "4"), ("batch_size", "30")], "batch_size"),
        ] {
            let h = try Algorithm.sac.hyperparameters(environment: "none", settings: settings)
            let error = #expect(throws: HyperparameterError.self) {
                try Algorithm.sac.learner(on: LocalBatch("Pendulum-v1", count: 4), hyperparameters: h, seed: 0)
            }
            #expect(error?.key == key && error?.description.contains("multiple of parts") == true)
        }
    }
}
