import Agents
import ArgumentParser
import CommandLineSupport
import GymCore
import NeuralNetwork

/// `gym-bench update`: what one update of each algorithm takes, beside its matrix products alone.
struct UpdateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "update",
        abstract: "Times one update of each algorithm, and what its matrix products alone take on this machine.",
        discussion: """
            Both run on as many threads as the learner uses, in turns. share is the part of an update that its matrix \
            products make up.
            """)

    @Option(parsing: .unconditional, help: "Seconds of each of the \(windows) windows whose median is reported.")
    var seconds = 0.1

    @Option(parsing: .unconditional, help: "Only this algorithm's. (default: all)")
    var algorithm: Algorithm?

    @Option(parsing: .unconditional, help: "Threads of the learner. (default: what it chooses)")
    var threads: Int?

    @Flag(help: "Print JSON.")
    var json = false

    func validate() throws {
        guard seconds > 0, seconds <= 3600 else {
            throw ValidationError("--seconds is \(seconds); it has to be above 0, at most 3600")
        }
        if let threads, threads < 1 { throw ValidationError("--threads is \(threads); it has to be at least 1") }
    }

    private struct Row: Encodable {
        let algorithm: String
        let network: String
        let batch: Int
        let updateMs: Double
        let matrixProductMs: Double
        let share: Double
    }

    /// Sizes of an update to be timed.
    private struct Sizes {
        let hidden: [Int]
        let batch: Int
        let observation: Int
        /// Choices, or dimensions.
        let actions: Int
        /// Whether observations are the DQN paper's pictures, 84 × 84 × 4 bytes, and `hidden` what follows its
        /// convolutions.
        var isPicture = false

        /// The DQN network's case.
        static func pictures(batch: Int) -> Sizes {
            Sizes(hidden: [512], batch: batch, observation: 84 * 84 * 4, actions: 6, isPicture: true)
        }

        var space: Space {
            isPicture
                ? .box(Box(low: UInt8(0), high: 255, shape: [84, 84, 4]))
                : .box(Box(low: Float(-10), high: Float(10), shape: [observation]))
        }

        var name: String { (isPicture ? "cnn-" : "") + hidden.map(String.init).joined(separator: "x") }

        var settings: [(String, String)] {
            [("batch_size", "\(batch)")]
                + (isPicture
                    ? [("policy", "CnnPolicy"), ("features_dim", "\(hidden[0])")] : [("net_arch", "\(hidden)")])
        }
    }

    func run() throws {
        let walker = { (hidden: [Int], batch: Int) in Sizes(hidden: hidden, batch: batch, observation: 24, actions: 4) }
        let pendulum = Sizes(hidden: [64, 64], batch: 100, observation: 3, actions: 1)
        let (ppo, dqn, td3, sac) = (Algorithm(PPO.self), Algorithm(DQN.self), Algorithm(TD3.self), Algorithm(SAC.self))
        let cases: [(Algorithm, Sizes, (Sizes) throws -> (update: () -> Void, products: () -> Void))] = [
            (dqn, Sizes(hidden: [256, 256], batch: 64, observation: 4, actions: 2), timeDQN),
            (dqn, Sizes(hidden: [256, 256], batch: 128, observation: 8, actions: 4), timeDQN),
            (dqn, .pictures(batch: 32), timeDQN),
            (td3, walker([400, 300], 256), timeTD3), (sac, pendulum, timeSAC), (sac, walker([256, 256], 256), timeSAC),
            (sac, walker([400, 300], 256), timeSAC),
        ]
        if !json { StandardStreams.print("algorithm  network     batch  update ms  products ms  share") }
        var rows: [Row] = []
        for sizes in [
            Sizes(hidden: [64, 64], batch: 256, observation: 4, actions: 2), walker([64, 64], 64),
            .pictures(batch: 256),
        ] where algorithm ?? ppo == ppo { rows.append(report(try timePPO(sizes), ppo, sizes)) }
        for (name, sizes, make) in cases where algorithm ?? name == name {
            let (update, products) = try make(sizes)
            let times = milliseconds([update, products])
            rows.append(report((times[0], times[1]), name, sizes))
        }
        if json { StandardStreams.print(try jsonText(rows)) }
    }

    private func report(_ times: (update: Double, products: Double), _ algorithm: Algorithm, _ sizes: Sizes) -> Row {
        let row = Row(
            algorithm: algorithm.rawValue, network: sizes.name, batch: sizes.batch,
            updateMs: times.update, matrixProductMs: times.products, share: times.products / times.update)
        func padded(_ text: String, _ width: Int) -> String {
            text + String(repeating: " ", count: max(1, width - text.count))
        }
        if !json {
            StandardStreams.print(
                padded(row.algorithm, 11) + padded(row.network, 12) + padded("\(row.batch)", 7)
                    + padded(format(row.updateMs, 4), 11) + padded(format(row.matrixProductMs, 4), 13)
                    + format(row.share, 2))
        }
        return row
    }

    /// Updates, or their products, done in one go: as many as a learner does between steps of a typical recipe.
    private static let together = 16
    /// Stretches of time that are measured of each.
    private static let windows = 15

    /// Milliseconds of one update by each of `bodies`, which do ``together`` of them, in turns: what slows the machine
    /// down for a while slows down all.
    private func milliseconds(_ bodies: [() -> Void]) -> [Double] {
        func window(_ body: () -> Void) -> Double {
            var elapsed = 0.0
            var count = 0
            while elapsed < seconds {
                elapsed += gym_bench.seconds(body)
                count += UpdateCommand.together
            }
            return elapsed / Double(count) * 1e3
        }
        for body in bodies { _ = window(body) }
        let rounds = (0..<UpdateCommand.windows).map { _ in bodies.map(window) }
        return bodies.indices.map { body in median(rounds.map { $0[body] }) }
    }

    // MARK: Off-policy updates

    private func hyperparameters(_ algorithm: any Method.Type, _ sizes: Sizes) throws -> Hyperparameters {
        var h = Hyperparameters(Algorithm(algorithm).schema)
        for (key, value) in sizes.settings { try h.set(key, value, source: "bench") }
        return h
    }

    /// A learner that has seen random transitions, more of them than fit in the caches, and learnt nothing.
    private func collected<Learning>(
        _ h: Hyperparameters, _ sizes: Sizes, choices: Bool,
        _ run: (any EnvironmentBatch, Hyperparameters, LearnerOptions) throws -> OffPolicyLearner<Learning>
    ) throws -> OffPolicyLearner<Learning> {
        var h = h
        let transitions = sizes.isPicture ? 1000 : 100_000
        for (key, value) in [
            ("buffer_size", transitions), ("learning_starts", 1_000_000_000), ("n_timesteps", transitions),
        ] {
            try h.set(key, "\(value)", source: "bench")
        }
        let space: Space =
            choices
            ? .discrete(count: sizes.actions) : .box(Box(low: Float(-1), high: Float(1), shape: [sizes.actions]))
        let learner = try run(
            RandomBatch(sizes.space, actions: space), h, LearnerOptions(seed: 0, threads: threads))
        while learner.steps < transitions { _ = try learner.iterate() }
        return learner
    }

    /// What makes ``together`` updates as a learner runs them, and what computes both halves' products of as many.
    ///
    /// - Parameter products: lists the products of one update of so many rows.
    private func timed(
        _ method: any OffPolicyMethod, _ sizes: Sizes, products: (MatrixProductList, Int) -> Void
    ) -> (update: () -> Void, products: () -> Void) {
        let lists = [MatrixProductList(), MatrixProductList()]
        products(lists[0], (sizes.batch + 1) / 2)
        products(lists[1], sizes.batch / 2)
        let normalisation = Normalisation(
            observations: false, rewards: false, size: sizes.observation, environments: 1, gamma: 0.99)
        let progress = Progress(steps: 0, of: 1)
        let workers = Workers(threads: threads)
        workers.expect(operations: method.operations * Double(UpdateCommand.together))
        return (
            {
                for _ in 0..<UpdateCommand.together {
                    try! method.update(learningRate: 1e-4, progress: progress, normalisation: normalisation)
                }
            },
            { for _ in 0..<UpdateCommand.together { workers.run(2) { lists[$0].run() } } }
        )
    }

    private func timeDQN(_ sizes: Sizes) throws -> (update: () -> Void, products: () -> Void) {
        let learner = try collected(hyperparameters(DQN.self, sizes), sizes, choices: true) {
            try DQN.learner(on: $0, .init($1), $2) as! OffPolicyLearner<DQN.Networks>
        }
        let network = learner.method.network
        learner.expectUpdates(UpdateCommand.together)
        return timed(learner.method, sizes) { list, rows in
            for _ in 0..<2 { list.addForward(network, rows: rows) }
            list.addBackward(network, rows: rows)
        }
    }

    private func timeTD3(_ sizes: Sizes) throws -> (update: () -> Void, products: () -> Void) {
        let learner = try collected(hyperparameters(TD3.self, sizes), sizes, choices: false) {
            try TD3.learner(on: $0, .init($1), $2) as! OffPolicyLearner<TD3.Networks>
        }
        let (actor, critic) = (learner.method.actor.dense, learner.method.critic.networks)
        learner.expectUpdates(UpdateCommand.together)
        let timed = timed(learner.method, sizes) { list, rows in
            for _ in 0..<2 {
                list.addForward(actor, rows: rows)
                for network in critic + critic { list.addForward(network, rows: rows) }
                for network in critic { list.addBackward(network, rows: rows, gradient: true) }
            }
            list.addForward(actor, rows: rows)
            list.addForward(critic[0], rows: rows)
            list.addBackward(critic[0], rows: rows, gradient: false, inputColumns: sizes.actions)
            list.addBackward(actor, rows: rows, gradient: true)
        }
        // Two updates of the critics for one of the actor: the list is of two.
        return (timed.update, halved(timed.products))
    }

    private func timeSAC(_ sizes: Sizes) throws -> (update: () -> Void, products: () -> Void) {
        let learner = try collected(hyperparameters(SAC.self, sizes), sizes, choices: false) {
            try SAC.learner(on: $0, .init($1), $2) as! OffPolicyLearner<SAC.Networks>
        }
        let (actor, critic) = (learner.method.policy.network.dense, learner.method.critic.networks)
        learner.expectUpdates(UpdateCommand.together)
        return timed(learner.method, sizes) { list, rows in
            for _ in 0..<2 { list.addForward(actor, rows: rows) }
            for network in critic + critic + critic { list.addForward(network, rows: rows) }
            for network in critic { list.addBackward(network, rows: rows, gradient: true) }
            // A row's action gets its gradient from one of the critics: from either for half of them.
            for (network, share) in zip(critic, [(rows + 1) / 2, rows / 2]) {
                list.addBackward(network, rows: share, gradient: false, inputColumns: sizes.actions)
            }
            list.addBackward(actor, rows: rows, gradient: true)
        }
    }

    // MARK: PPO

    /// Milliseconds of a minibatch, from the difference between many epochs and few over the same rollout.
    private func timePPO(_ sizes: Sizes) throws -> (update: Double, products: Double) {
        let minibatches = sizes.isPicture ? 2 : 16
        func seconds(epochs: Int) throws -> Double {
            var h = try hyperparameters(PPO.self, sizes)
            let settings = [("n_steps", "\(sizes.batch * minibatches)"), ("n_epochs", "\(epochs)")]
            for (key, value) in settings { try h.set(key, value, source: "bench") }
            let learner = try PPO.learner(
                on: RandomBatch(sizes.space, actions: .discrete(count: sizes.actions)), .init(h),
                LearnerOptions(seed: 0, threads: threads))
            _ = try learner.iterate()
            return median(
                try (0..<(sizes.isPicture ? 1 : 5)).map { _ in try gym_bench.seconds { _ = try learner.iterate() } })
        }
        let (few, many) = sizes.isPicture ? (1, 3) : (2, 22)
        let update = try (seconds(epochs: many) - seconds(epochs: few)) / Double((many - few) * minibatches) * 1e3
        let input = try NetworkInput(
            PPO.Configuration(hyperparameters(PPO.self, sizes)), observationSpace: sizes.space)
        var layout = ParameterLayout()
        let networks = [sizes.actions, 1].map {
            input.network(
                "net", hidden: sizes.isPicture ? [] : sizes.hidden, outputs: $0, activation: .tanh, layout: &layout)
        }
        // One thread has the actor, the other the critic.
        let lists = networks.map { network in
            let list = MatrixProductList()
            list.addForward(network, rows: sizes.batch)
            list.addBackward(network, rows: sizes.batch)
            return list
        }
        let each = milliseconds(
            lists.map { list in { for _ in 0..<UpdateCommand.together { list.run() } } })
        return (update, threads == 1 ? each[0] + each[1] : max(each[0], each[1]))
    }
}

extension Algorithm: ExpressibleByArgument {}

/// A benchmark of a pair, as the time of one.
private func halved(_ pair: @escaping () -> Void) -> () -> Void {
    var isSecond = false
    return {
        // Every other call does the work of two.
        if !isSecond { pair() }
        isSecond.toggle()
    }
}

/// One environment of random observations that costs nothing to step.
private final class RandomBatch: EnvironmentBatch {
    let count = 1
    let observationSpace: Space
    let actionSpace: Space
    let actions: BatchBuffer
    let results: StepBuffers
    private var generator = NumPyGenerator(seed: 1)

    init(_ observationSpace: Space, actions actionSpace: Space) {
        self.observationSpace = observationSpace
        self.actionSpace = actionSpace
        actions = BatchBuffer(space: actionSpace, count: 1)
        results = StepBuffers(observationSpace: observationSpace, count: 1)
    }

    func startEpisodes(seeds: [UInt64]) throws {}
    func sendActions() throws {}

    func receiveResults() throws {
        let column = results.observation.columns[0]
        if case .box(let box) = observationSpace, box.dtype == .uint8 {
            let words = column.base!.assumingMemoryBound(to: UInt64.self)
            for index in 0..<column.rowBytes / 8 { words[index] = generator.next() }
        } else {
            let observation = results.observation.elements(as: Float.self)
            for index in observation.indices { observation[index] = Float(generator.uniform(-1, 1)) }
        }
        results.rewards[0] = generator.random()
        results.truncated[0] = 0
    }
}
