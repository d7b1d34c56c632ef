import Agents
import Foundation
import GymCore
import NeuralNetwork
import TestSupport
import Testing

/// Numbers that `Tests/Fixtures/pytorch/dump_off_policy.py` took from PyTorch.
private struct Reference: Decodable {
    struct Shape: Decodable {
        let observation: Int
        let action: Int
        let hidden: [Int]
        let count: Int
        let batch: Int
        let seed: UInt64
        let updates: Int
        let gamma: Float
        let tau: Float
        let rate: Double
    }
    struct Case: Decodable {
        let observations: [Float]
        let nextObservations: [Float]
        let actions: [Float]
        let rewards: [Float]
        let terminated: [Float]
        let start: [String: [Float]]
        let end: [String: [Float]]
        let loss: Double?
        let actorLoss: Double?
        let criticLoss: Double?
        let valueLoss: Double?
        let entCoef: Double?
        let entCoefLoss: Double?
        let double: Bool?
        let dueling: Bool?
        let prioritised: Bool?
        let valueNetwork: Bool?
    }
    let shape: Shape
    let dqn: [Case]
    let td3: Case
    let sac: [Case]

    static let numbers = Result { try read(Reference.self, "off-policy") }

    /// Reads a file of numbers.
    static func read<Numbers: Decodable>(_ type: Numbers.Type, _ name: String) throws -> Numbers {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .custom { path in
            // Names of arrays (`qf0_target.0.weight`) stay as they are.
            let name = path.last!.stringValue
            guard !name.contains("."), path.last!.intValue == nil else { return path.last! }
            let words = name.split(separator: "_")
            return Key(words[0] + words.dropFirst().map(\.capitalized).joined())
        }
        return try decoder.decode(
            type, from: Data(contentsOf: Fixtures.folder.appendingPathComponent("pytorch/\(name).json")))
    }

    private struct Key: CodingKey {
        let stringValue: String
        let intValue: Int? = nil
        init(_ name: String) { stringValue = name }
        init?(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { return nil }
    }
}

/// Numbers that `Tests/Fixtures/pytorch/dump_sac_sde.py` took from Stable-Baselines3.
private struct StateDependentReference: Decodable {
    struct Acting: Decodable {
        let observations: [Float]
        let explored: [Float]
        let greedy: [Float]
    }
    let shape: Reference.Shape
    let sac: Reference.Case
    let acting: Acting
}

/// Whole updates, minibatches and noise drawn as in a run, against PyTorch's automatic differentiation.
@Suite struct OffPolicyPyTorchTests {
    private let shape: Reference.Shape

    init() throws { shape = try Reference.numbers.get().shape }

    /// Steps that lead wherever the reference says: each is an episode of its own.
    private func replay(_ reference: Reference.Case, sampler: PrioritisedSampler? = nil) throws -> Replay {
        let width = reference.actions.count / shape.count
        func row(_ values: [Float], _ index: Int, _ width: Int) -> [Float] {
            Array(values[index * width..<(index + 1) * width])
        }
        return try Replay(
            capacity: 20,
            (0..<shape.count).map { index in
                let terminated = reference.terminated[index] == 1
                return MadeUpStep(
                    observation: row(reference.observations, index, shape.observation),
                    action: row(reference.actions, index, width), reward: reference.rewards[index],
                    next: row(reference.nextObservations, index, shape.observation), terminated: terminated,
                    truncated: !terminated)
            }, gamma: shape.gamma, sampler: sampler)
    }

    private func hyperparameters(
        _ schema: [Hyperparameter], _ settings: [(String, String)] = []
    ) throws -> Hyperparameters {
        var h = Hyperparameters(schema)
        let all =
            [("batch_size", "\(shape.batch)"), ("net_arch", "\(shape.hidden)"), ("tau", "\(shape.tau)")] + settings
        for (key, value) in all { try h.set(key, value, source: "test") }
        return h
    }

    /// Makes the reference's updates.
    private func run(_ method: any OffPolicyMethod) throws {
        let normalisation = Normalisation(
            observations: false, rewards: false, size: shape.observation, environments: 1, gamma: 0)
        for _ in 0..<shape.updates {
            try method.update(
                learningRate: shape.rate, progress: Progress(steps: 1, of: 2), normalisation: normalisation)
        }
        #expect(method.updates == shape.updates)
    }

    private var observations: Space { .box(Box(low: Float(-1), high: 1, shape: [shape.observation])) }

    private func context(_ threads: Int) -> UpdateContext {
        UpdateContext(Parts(slices: 2), workers: Workers(threads: threads))
    }

    private func set(_ stores: [ParameterStore], _ values: [String: [Float]]) throws {
        for store in stores {
            for view in store.views { _ = store[view].update(fromContentsOf: try #require(values[view.name])) }
        }
    }

    private func agree(_ stores: [ParameterStore], _ reference: Reference.Case) throws {
        #expect(stores.reduce(0) { $0 + $1.views.count } == reference.end.count)
        for store in stores {
            for view in store.views {
                let expected = try #require(reference.end[view.name])
                for (ours, theirs) in zip(store[view], expected) {
                    #expect(abs(ours - theirs) < 2e-5, "\(view.name)")
                }
            }
        }
    }

    private func agree(_ ours: Double?, _ theirs: Double?) throws {
        #expect(abs(try #require(ours) - (try #require(theirs))) < 1e-5)
    }

    @Test(arguments: 0..<3, [1, 2]) func dqn(index: Int, threads: Int) throws {
        let reference = try Reference.numbers.get().dqn[index]
        let h = try hyperparameters(
            DQN.schema,
            [
                ("double", "\(reference.double!)"), ("dueling", "\(reference.dueling!)"), ("max_grad_norm", "0.5"),
                ("prioritized_replay", "\(reference.prioritised!)"),
            ])
        let sampler =
            reference.prioritised! ? PrioritisedSampler(capacity: 20, alpha: h.real("prioritized_replay_alpha")) : nil
        let dqn = DQN.Networks(
            .init(h), try NetworkInput(DQN.Configuration(h), observationSpace: observations),
            try ActionCodec(.discrete(count: 3)), replays: [try replay(reference, sampler: sampler)],
            seed: shape.seed, context(threads))
        let stores = [dqn.parameters, dqn.target]
        try set(stores, reference.start)
        try run(dqn)
        dqn.followTarget()
        try agree(stores, reference)
        var metrics = Metrics()
        dqn.report(&metrics, progress: Progress(steps: 0, of: 1))
        try agree(metrics["train/loss"], reference.loss)
    }

    /// Makes the reference's updates, and compares the parameters after them and the metrics that it has.
    private func compare(
        _ method: any OffPolicyMethod, _ stores: [ParameterStore], _ reference: Reference.Case
    ) throws {
        try set(stores, reference.start)
        try run(method)
        try agree(stores, reference)
        var metrics = Metrics()
        method.report(&metrics, progress: Progress(steps: 0, of: 1))
        try agree(metrics["train/critic_loss"], reference.criticLoss)
        try agree(metrics["train/actor_loss"], reference.actorLoss)
        #expect((metrics["train/value_loss"] != nil) == (reference.valueNetwork == true))
        for (name, theirs) in [
            ("ent_coef", reference.entCoef), ("ent_coef_loss", reference.entCoefLoss),
            ("value_loss", reference.valueLoss),
        ] where theirs != nil { try agree(metrics["train/\(name)"], theirs) }
    }

    private func work<Declared: OffPolicySettings>(
        _ c: MethodConfiguration<Declared>, _ reference: Reference.Case, threads: Int
    ) throws -> BoxWork {
        let boxShape = try BoxShape(
            "test", c, observations, .box(Box(low: Float(-1), high: 1, shape: [shape.action])), environments: 3)
        return BoxWork(c, boxShape, replays: [try replay(reference)], seed: shape.seed, context(threads))
    }

    private func sac(_ h: Hyperparameters, _ reference: Reference.Case, threads: Int) throws -> SAC.Networks {
        let c = SAC.Configuration(h)
        return SAC.Networks(c, try work(c, reference, threads: threads))
    }

    private func stores(_ sac: SAC.Networks) -> [ParameterStore] {
        [sac.policy.parameters, sac.critic.parameters]
            + (sac.value.map { [$0.parameters, $0.target] } ?? [sac.critic.target])
    }

    @Test(arguments: [1, 2]) func td3(threads: Int) throws {
        let reference = try Reference.numbers.get().td3
        let c = TD3.Configuration(try hyperparameters(TD3.schema, [("target_policy_noise", "0.6")]))
        let td3 = TD3.Networks(c, try work(c, reference, threads: threads))
        try compare(td3, [td3.parameters, td3.target, td3.critic.parameters, td3.critic.target], reference)
    }

    @Test(arguments: 0..<2, [1, 2]) func sac(index: Int, threads: Int) throws {
        let reference = try Reference.numbers.get().sac[index]
        let h = try hyperparameters(
            SAC.schema, [("value_network", "\(reference.valueNetwork!)"), ("ent_coef", "auto_0.5")])
        let sac = try sac(h, reference, threads: threads)
        try #require(reference.entCoef != nil && reference.entCoefLoss != nil)
        try compare(sac, stores(sac), reference)
    }

    /// gSDE, against Stable-Baselines3's own training step, and acting with a map an environment.
    @Test(arguments: [1, 2]) func stateDependentSAC(threads: Int) throws {
        let numbers = try Reference.read(StateDependentReference.self, "sac-sde")
        let reference = numbers.sac
        let h = try hyperparameters(SAC.schema, [("use_sde", "true"), ("ent_coef", "auto_0.5")])
        let sac = try sac(h, reference, threads: threads)
        try #require(reference.entCoef != nil && reference.entCoefLoss != nil)
        try compare(sac, stores(sac), reference)

        let policy = sac.policy
        var generator = NumPyGenerator(SeedSequence(seed: shape.seed, spawnKey: [4]))
        let maps = Matrix(rows: 3, columns: policy.head.mapSize)
        policy.head.drawMaps(policy.parameters, generator: &generator, into: maps)
        let actions = Matrix(rows: 3, columns: shape.action)
        let observations = Rows(Matrix(rows: 3, columns: shape.observation, numbers.acting.observations))
        let pass = policy.makePass(rows: 3)
        policy.act(
            observations, maps: maps, generator: &generator, pass, into: actions,
            logProbabilities: Vector(count: 3))
        for (ours, theirs) in zip(actions.elements, numbers.acting.explored) { #expect(abs(ours - theirs) < 2e-5) }
        // What is explored beside the means; the greedy actions are the squashed means.
        policy.head.greedy(pass.outputs, into: actions)
        for (ours, theirs) in zip(actions.elements, numbers.acting.greedy) { #expect(abs(ours - theirs) < 2e-5) }
    }
}
