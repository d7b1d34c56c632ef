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

    private func replay(_ reference: Reference.Case) -> ReplayBuffer {
        let width = reference.actions.count / shape.count
        let replay = ReplayBuffer(capacity: 20, observationSize: shape.observation, actionSize: width)
        func row(_ values: [Float], _ index: Int, _ width: Int) -> [Float] {
            Array(values[index * width..<(index + 1) * width])
        }
        for index in 0..<shape.count {
            replay.add(
                observation: row(reference.observations, index, shape.observation),
                action: row(reference.actions, index, width), reward: reference.rewards[index],
                nextObservation: row(reference.nextObservations, index, shape.observation),
                terminated: reference.terminated[index] == 1, discount: shape.gamma)
        }
        return replay
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

    private func begin(_ update: any OffPolicyUpdate, _ h: Hyperparameters) {
        update.begin(
            learningRate: shape.rate, progress: 0.5,
            normalisation: Normalisation(h, size: shape.observation, environments: 1))
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
        let input = try NetworkInput(floatsOf: .box(Box(low: Float(-1), high: 1, shape: [shape.observation])))
        let update = DQNUpdate(h, input: input, choices: 3, replay: replay(reference), seed: shape.seed)
        try set([update.store, update.target], reference.start)
        for row in 0..<shape.count { update.added(row) }
        begin(update, h)
        HalfRunner(threads: threads, operations: 0).run(update, stages: shape.updates * DQNUpdate.stages)
        #expect(update.finish() && update.updates == shape.updates)
        update.followTarget()
        try agree([update.store, update.target], reference)
        var metrics = Metrics()
        update.report(to: &metrics)
        try agree(metrics["train/loss"], reference.loss)
    }

    /// Makes the reference's updates, and compares the parameters after them and the metrics that it has.
    private func compare(
        _ update: any ActorUpdateWithCritics, _ h: Hyperparameters, _ reference: Reference.Case, threads: Int
    ) throws {
        let stores = [update.store] + update.others
        try set(stores, reference.start)
        begin(update, h)
        HalfRunner(threads: threads, operations: 0).run(update, stages: shape.updates * type(of: update).stages)
        #expect(update.finish() && update.updates == shape.updates)
        try agree(stores, reference)
        var metrics = Metrics()
        update.report(to: &metrics)
        try agree(metrics["train/critic_loss"], reference.criticLoss)
        try agree(metrics["train/actor_loss"], reference.actorLoss)
        #expect((metrics["train/value_loss"] != nil) == (reference.valueNetwork == true))
        for (name, theirs) in [
            ("ent_coef", reference.entCoef), ("ent_coef_loss", reference.entCoefLoss),
            ("value_loss", reference.valueLoss),
        ] where theirs != nil { try agree(metrics["train/\(name)"], theirs) }
    }

    @Test(arguments: [1, 2]) func td3(threads: Int) throws {
        let reference = try Reference.numbers.get().td3
        let h = try hyperparameters(TD3.schema, [("target_policy_noise", "0.6")])
        let update = TD3Update(h, replay: replay(reference), seed: shape.seed)
        try compare(update, h, reference, threads: threads)
    }

    @Test(arguments: 0..<2, [1, 2]) func sac(index: Int, threads: Int) throws {
        let reference = try Reference.numbers.get().sac[index]
        let h = try hyperparameters(
            SAC.schema, [("value_network", "\(reference.valueNetwork!)"), ("ent_coef", "auto_0.5")])
        let update = SACUpdate(h, replay: replay(reference), seed: shape.seed)
        try #require(reference.entCoef != nil && reference.entCoefLoss != nil)
        try compare(update, h, reference, threads: threads)
    }

    /// gSDE, against Stable-Baselines3's own training step, and acting with a map an environment.
    @Test(arguments: [1, 2]) func stateDependentSAC(threads: Int) throws {
        let numbers = try Reference.read(StateDependentReference.self, "sac-sde")
        let reference = numbers.sac
        let h = try hyperparameters(SAC.schema, [("use_sde", "true"), ("ent_coef", "auto_0.5")])
        let update = SACUpdate(h, replay: replay(reference), environments: 3, seed: shape.seed)
        try #require(reference.entCoef != nil && reference.entCoefLoss != nil)
        try compare(update, h, reference, threads: threads)

        var generator = NumPyGenerator(SeedSequence(seed: shape.seed, spawnKey: [4]))
        update.resetNoise(environments: 3, generator: &generator)
        var actions = [Float](repeating: 0, count: 3 * shape.action)
        update.act(numbers.acting.observations, rows: 3, generator: &generator, actions: &actions)
        for (ours, theirs) in zip(actions, numbers.acting.explored) { #expect(abs(ours - theirs) < 2e-5) }
        // What is explored beside the means; the greedy actions are the squashed means.
        let workspace = MultiLayerPerceptron.Workspace(for: update.actor, capacity: 3)
        let means = update.actor.forward(update.store.values, numbers.acting.observations, rows: 3, workspace)
        for index in actions.indices {
            #expect(abs(update.squashing(means[index]) - numbers.acting.greedy[index]) < 2e-5)
        }
    }
}
