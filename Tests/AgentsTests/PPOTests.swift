import Agents
import Foundation
import GymCore
import NeuralNetwork
import RunFiles
import Testing

@Suite struct PPOTests {
    /// The sign of the advantage, and where the ratio stands: whether there is a gradient.
    @Test(arguments: [
        // ratio, advantage, slope
        (1.0, 2.0, 2.0), (1.0, -2.0, -2.0), (1.1, 2.0, 2.0), (0.9, -2.0, -2.0),
        (1.3, 2.0, 0.0), (1.3, -2.0, -2.0), (0.7, 2.0, 2.0), (0.7, -2.0, 0.0),
    ]) func clippingTable(ratio: Float, advantage: Float, slope: Float) {
        let term = clippedSurrogate(ratio: ratio, advantage: advantage, epsilon: 0.2)
        #expect(term.slope == slope)
        #expect(term.value == min(ratio * advantage, min(max(ratio, 0.8), 1.2) * advantage))
        #expect(clippedSurrogate(ratio: ratio, advantage: advantage, epsilon: .infinity).slope == advantage)
    }

    @Test(arguments: [
        // value, old value, target, loss, slope; ε = 0.2
        (1.0, 1.0, 3.0, 4.0, -4.0), (1.1, 1.0, 3.0, 3.61, -3.8), (2.0, 1.0, 3.0, 3.24, 0.0), (2.0, 1.0, 0.0, 4.0, 4.0),
    ]) func clippedValueLoss(value: Float, old: Float, target: Float, loss: Float, slope: Float) {
        let term = valueLoss(value: value, oldValue: old, target: target, epsilon: 0.2)
        #expect(abs(term.value - loss) < 1e-5 && abs(term.slope - slope) < 1e-5)
        let plain = valueLoss(value: value, oldValue: old, target: target, epsilon: nil)
        #expect(plain.value == (value - target) * (value - target) && plain.slope == 2 * (value - target))
    }

    /// At ρ = 1 the gradient of the surrogate is the policy gradient, the mean of  ∇ log π: checked against finite
    /// differences of the mean of  log π + c · entropy, for each kind of policy.
    @Test(arguments: ["choices", "several", "coins", "reals", "gSDE"]) func gradientIsThePolicyGradient(kind: String)
        throws
    {
        let space: Space =
            switch kind {
            case "choices": .discrete(count: 3)
            case "several": .multiDiscrete([2, 4])
            case "coins": .multiBinary(shape: [3])
            default: .box(Box(low: Float(-1), high: Float(1), shape: [2]))
            }
        var generator = NumPyGenerator(seed: 11)
        let rows = 6
        var c = PPO.Configuration()
        c.hiddenLayers = HiddenLayers(actor: [10], critic: [4])
        c.isOrthogonal = false
        c.logDeviation = -0.5
        c.usesStateDependentNoise = kind == "gSDE"
        let model = try ActorCritic(
            c, observationSpace: .box(Box(low: Float(-1), high: Float(1), shape: [3])), actionSpace: space, seed: 11)
        let (actor, parameters) = (model.actor, model.actor.parameters)
        let pass = actor.makePass(rows: rows)
        let observations = Rows(
            Matrix(rows: rows, columns: 3, (0..<rows * 3).map { _ in Float(generator.uniform(-1, 1)) }))
        let actions = Matrix(rows: rows, columns: model.codec.size)
        let maps = Matrix(rows: rows, columns: actor.head.mapSize)
        let (old, now, entropies) = (Vector<Float>(count: rows), Vector<Float>(count: rows), Vector<Float>(count: rows))
        actor.head.drawMaps(parameters, generator: &generator, into: maps)
        actor.act(observations, maps: maps, generator: &generator, pass, into: actions, logProbabilities: old)
        let advantages = (0..<rows).map { _ in Float(generator.uniform(-2, 2)) }
        let entropyWeight: Float = 0.3

        func objective() -> Double {
            actor.evaluate(observations, actions: actions, pass, logProbabilities: now, entropies: entropies)
            return (0..<rows).reduce(0) { sum, row in
                sum + Double(advantages[row] * now[row] + entropyWeight * entropies[row]) / Double(rows)
            }
        }
        _ = objective()
        // What act said of an action is what evaluate says: the ratio starts at 1.
        for row in 0..<rows { #expect(abs(now[row] - old[row]) < 1e-5) }
        let slopes = advantages.map {
            clippedSurrogate(ratio: 1, advantage: $0, epsilon: 0.2).slope / Float(rows)
        }
        actor.backward(
            pass, actions: actions, byLogProbability: Vector(slopes), byEntropy: entropyWeight / Float(rows),
            gradient: parameters.gradients)
        let h: Float = 2e-3
        // gSDE's deviations give the hidden layer no gradient, by design: there the difference quotient is another.
        for view in parameters.views where kind != "gSDE" || !view.name.hasPrefix("policy.0") {
            let values = parameters.elements(view)
            for element in 0..<view.count {
                let before = values[element]
                values[element] = before + h
                let above = objective()
                values[element] = before - h
                let below = objective()
                values[element] = before
                let numeric = (above - below) / (2 * Double(h))
                let difference = abs(numeric - Double(parameters.gradients[view.offset + element]))
                #expect(difference < 2e-3, "\(view.name) \(element)")
            }
        }
    }

    @Test func standardisedAdvantages() {
        // In one stretch or in two, as parts have them.
        let values = Vector<Float>([1, 2, 3, 4])
        standardise(1) { _ in values }
        let halves = [Vector<Float>([1, 2]), Vector<Float>([3, 4])]
        standardise(2) { halves[$0] }
        #expect(halves.flatMap(\.elements) == values.elements)
        // Sample deviation √(5/3).
        #expect(abs(values[0] + 1.161_895) < 1e-5 && abs(values[3] - 1.161_895) < 1e-5)
    }

    /// An episode that is cut off is worth what its own last observation is worth; one that ends by its task, nothing.
    @Test(arguments: [true, false]) func truncationIsBootstrapped(truncates: Bool) throws {
        let batch = ScriptedBatch(episode: 3, truncates: truncates)
        var h = Hyperparameters(PPO.schema)
        for (key, value) in [("n_steps", "7"), ("n_epochs", "1"), ("gamma", "0.5"), ("learning_rate", "0")] {
            try h.set(key, value, source: "test")
        }
        let ppo = try Inner.ppo(batch, h)
        _ = try ppo.iterate()
        let (rollout, model) = (ppo.rollouts[0], ppo.method.model)
        // The learning rate is 0: the critic is still the one that made the values.
        let value = Vector<Float>(count: 1)
        model.values(
            Rows(Matrix(rows: 1, columns: 1, [ScriptedBatch.lastObservation])),
            Network.Workspace(for: model.critic, capacity: 1), into: value)
        #expect(abs(value[0]) > 0.01)
        let expected: [Float] = (0..<7).map { $0 % 3 == 2 && truncates ? 1 + 0.5 * value[0] : 1 }
        for row in 0..<7 {
            #expect(abs(rollout.rewards[row] - expected[row]) < 1e-6)
            #expect(rollout.ended[row] == (row % 3 == 2 ? 1 : 0))
        }
        let observations = rollout.observations.floats
        // After an end the rollout goes on from the next episode's first observation.
        #expect(observations[3, 0] == 0 && observations[2, 0] == 2)
    }

    private func run(
        _ settings: [(String, String)], seed: UInt64, threads: Int, count: Int
    ) throws -> OnPolicyLearner<PPO.Update> {
        let h = try Algorithm.ppo.hyperparameters(environment: "CartPole-v1", settings: settings)
        let ppo = try Inner.ppo(LocalBatch("CartPole-v1", count: count), h, seed: seed, threads: threads)
        while ppo.steps < ppo.totalSteps { _ = try ppo.iterate() }
        return ppo
    }

    @Test func sameSeedSameWeightsWhateverTheThreads() throws {
        let settings = [
            ("n_timesteps", "2000"), ("batch_size", "50"), ("n_epochs", "3"), ("normalize", "true"),
            ("target_kl", "0.01"), ("clip_range_vf", "0.2"), ("ent_coef", "0.01"),
        ]
        let one = try run(settings, seed: 3, threads: 1, count: 8)
        let two = try run(settings, seed: 3, threads: 2, count: 8)
        #expect(one.policy.tensors == two.policy.tensors)
        #expect(one.updates == two.updates && one.updates > 0)
        #expect(try run(settings, seed: 4, threads: 2, count: 8).policy.tensors != one.policy.tensors)
    }

    /// A single rollout is the whole run: at its update nothing of the run remains.
    @Test func theEntropyBonusFallsWithItsSchedule() throws {
        func weights(_ coefficient: String, steps: String) throws -> [NamedTensor] {
            let settings = [
                ("n_steps", "32"), ("n_timesteps", steps), ("ent_coef", coefficient), ("learning_rate", "1e-3"),
            ]
            return try run(settings, seed: 3, threads: 1, count: 8).policy.tensors
        }
        #expect(try weights("lin_0.5", steps: "256") == weights("0", steps: "256"))
        #expect(try weights("0.5", steps: "256") != weights("0", steps: "256"))
        #expect(try weights("lin_0.5", steps: "512") != weights("0", steps: "512"))
    }

    @Test func learnsCartPole() throws {
        let ppo = try run([], seed: 0, threads: 2, count: 8)
        let evaluation = try evaluate(ppo.policy, on: try LocalBatch("CartPole-v1", count: 20), seed: 1000)
        #expect(evaluation.meanReturn >= 475)
        #expect(evaluation.meanLength == evaluation.meanReturn)
    }

    @Test func policiesReadBack() throws {
        let settings = [("n_timesteps", "300"), ("normalize", "true")]
        let trained = try run(settings, seed: 5, threads: 1, count: 8)
        let fresh = try run(settings, seed: 6, threads: 1, count: 8)
        let policy = fresh.policy
        try policy.load(trained.policy.tensors)
        #expect(policy.tensors == trained.policy.tensors)
        #expect(throws: PolicyError.self) { try policy.load(Array(trained.policy.tensors.dropFirst())) }
        let wrong = trained.policy.tensors.map { NamedTensor($0.name, Tensor(zeros: [1], dtype: .float32)) }
        #expect(throws: PolicyError.self) { try policy.load(wrong) }
    }

    @Test func observationsThatAreNotFiniteStopTheRun() throws {
        let batch = ScriptedBatch(episode: 3, truncates: true, breaksAt: 5)
        var h = Hyperparameters(PPO.schema)
        try h.set("n_steps", "8", source: "test")
        let ppo = try Inner.ppo(batch, h)
        let error = #expect(throws: NotFiniteError.self) { try ppo.iterate() }
        #expect(error?.step == 5)
    }

    @Test func spacesWithoutAFixedSizeAreRefused() {
        #expect(throws: UnsupportedSpaceError.self) {
            try ObservationEncoder(.text(minLength: 0, maxLength: 3, characters: "ab"))
        }
        #expect(throws: UnsupportedSpaceError.self) { try ActionCodec(.sequence(.discrete(count: 2))) }
    }
}

/// One environment whose observation counts the steps of its episode, with reward 1, and episodes of a fixed length.
private final class ScriptedBatch: EnvironmentBatch {
    static let lastObservation: Float = 3
    let count = 1
    let observationSpace = Space.box(Box(low: Float(0), high: Float(10), shape: [1]))
    let actionSpace = Space.discrete(count: 2)
    let actions: BatchBuffer
    let results: StepBuffers
    private let episode: Int
    private let truncates: Bool
    private let breaksAt: Int?
    private var step = 0
    private var total = 0

    init(episode: Int, truncates: Bool, breaksAt: Int? = nil) {
        self.episode = episode
        self.truncates = truncates
        self.breaksAt = breaksAt
        actions = BatchBuffer(space: actionSpace, count: 1)
        results = StepBuffers(observationSpace: observationSpace, count: 1)
    }

    func startEpisodes(seeds: [UInt64]) throws {
        step = 0
        results.observation.elements(as: Float.self)[0] = 0
    }

    func sendActions() throws {}

    func receiveResults() throws {
        step += 1
        total += 1
        let ends = step == episode
        results.rewards[0] = 1
        results.terminated[0] = ends && !truncates ? 1 : 0
        results.truncated[0] = ends && truncates ? 1 : 0
        if ends {
            results.finalObservation.elements(as: Float.self)[0] = Float(step)
            results.episodeReturns[0] = Double(step)
            results.episodeLengths[0] = Int64(step)
            step = 0
        }
        results.observation.elements(as: Float.self)[0] = total == breaksAt ? .nan : Float(step)
    }
}
