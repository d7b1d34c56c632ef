import Agents
import Foundation
import GymCore
import NeuralNetwork
import Testing

/// What every head has to be, whichever it is.
@Suite struct HeadTests {
    static let heads = ["categorical", "several", "coins", "gaussian", "gSDE", "squashed", "squashed gSDE"]

    private let rows = 5
    private let inputs = 3

    /// An actor with one hidden layer and the head of a name, its outputs and own parameters all over the place.
    private func actor(_ name: String, seed: UInt64 = 4) -> Actor {
        var layout = ParameterLayout()
        func network(_ outputs: Int) -> Network {
            Network(
                "actor", input: InputFormat(.float32, count: inputs), sizes: [6, outputs], activation: .tanh,
                layout: &layout)
        }
        let (whole, head): (Network, any StochasticHead)
        switch name {
        case "categorical":
            head = CategoricalHead(Categorical(choices: [4]))
            whole = network(head.outputs)
        case "several":
            head = CategoricalHead(Categorical(choices: [2, 3]))
            whole = network(head.outputs)
        case "coins":
            head = BernoulliHead(Bernoulli(count: 3))
            whole = network(head.outputs)
        case "gaussian":
            whole = network(2)
            head = GaussianHead(actionSize: 2, start: -0.4, layout: &layout)
        case "gSDE":
            whole = network(2)
            head = StateDependentHead(features: 6, actionSize: 2, start: -0.4, layout: &layout)
        case "squashed":
            head = SquashedGaussianHead(actionSize: 2)
            whole = network(head.outputs)
        default:
            whole = network(2)
            head = SquashedStateDependentHead(features: 6, actionSize: 2, start: -0.4, layout: &layout)
        }
        let actor = Actor(whole, layout, head: head)
        var generator = NumPyGenerator(seed: seed)
        whole.initialise(
            actor.parameters, hidden: .uniform, output: .orthogonal(gain: 1.5), generator: &generator)
        head.initialise(actor.parameters)
        return actor
    }

    private func observations(seed: UInt64 = 9) -> Rows {
        var generator = NumPyGenerator(seed: seed)
        return Rows(
            Matrix(rows: rows, columns: inputs, (0..<rows * inputs).map { _ in Float(generator.uniform(-2, 2)) }))
    }

    private func draw(_ actor: Actor, _ pass: ActorPass, seed: UInt64 = 2) -> (actions: Matrix, log: Vector<Float>) {
        var generator = NumPyGenerator(seed: seed)
        let maps = Matrix(rows: 1, columns: actor.head.mapSize)
        actor.head.drawMaps(actor.parameters, generator: &generator, into: maps)
        let (actions, log) = (Matrix(rows: rows, columns: actor.head.actionSize), Vector<Float>(count: rows))
        actor.act(observations(), maps: maps, generator: &generator, pass, into: actions, logProbabilities: log)
        return (actions, log)
    }

    /// What is said of an action when it is drawn is what is said of it afterwards.
    @Test(arguments: heads) func drawnProbabilitiesAreEvaluated(name: String) {
        let actor = actor(name)
        let pass = actor.makePass(rows: rows)
        let (actions, log) = draw(actor, pass)
        let (again, entropies) = (Vector<Float>(count: rows), Vector<Float>(count: rows))
        actor.evaluate(observations(), actions: actions, pass, logProbabilities: again, entropies: entropies)
        for row in 0..<rows { #expect(abs(again[row] - log[row]) < 2e-4 * max(1, abs(log[row])), "\(log[row])") }
    }

    /// Each row's own map, or one for all: the same where the maps are the same.
    @Test(arguments: ["gSDE", "squashed gSDE"]) func mapsAreOneForAllOrOneARow(name: String) {
        let actor = actor(name)
        let pass = actor.makePass(rows: rows)
        let (actions, log) = draw(actor, pass)
        var generator = NumPyGenerator(seed: 2)
        let (one, all) = (
            Matrix(rows: 1, columns: actor.head.mapSize), Matrix(rows: rows, columns: actor.head.mapSize)
        )
        actor.head.drawMaps(actor.parameters, generator: &generator, into: one)
        for row in 0..<rows { all.copyRow(row, from: one, row: 0) }
        let (again, logs) = (Matrix(rows: rows, columns: actor.head.actionSize), Vector<Float>(count: rows))
        actor.act(observations(), maps: all, generator: &generator, pass, into: again, logProbabilities: logs)
        for (first, second) in zip(actions.elements + log.elements, again.elements + logs.elements) {
            #expect(abs(first - second) < 1e-4)
        }
    }

    /// The gradient of Σ wᵣ log π(aᵣ|sᵣ) + ½ Σ KL(older self ‖ this one) against differences.
    @Test(arguments: heads) func gradientsAgreeWithDifferences(name: String) {
        let actor = actor(name)
        let (pass, parameters) = (actor.makePass(rows: rows), actor.parameters)
        let (actions, _) = draw(actor, pass)
        // The older self: another network.
        let older = self.actor(name, seed: 5)
        let olderPass = older.makePass(rows: rows)
        _ = draw(older, olderPass)
        let old = Matrix(rows: rows, columns: older.head.descriptionSize)
        older.head.describe(older.parameters, olderPass, into: old)

        let weights = Vector<Float>([0.5, -1, 0.25, 2, -0.75])
        let (log, entropies, divergences) = (
            Vector<Float>(count: rows), Vector<Float>(count: rows), Vector<Float>(count: rows)
        )
        func objective() -> Double {
            actor.evaluate(observations(), actions: actions, pass, logProbabilities: log, entropies: entropies)
            actor.head.divergences(from: old, parameters, pass, into: divergences)
            return (0..<rows).reduce(0) { $0 + Double(weights[$1] * log[$1]) + 0.5 * Double(divergences[$1]) }
        }
        _ = objective()
        for row in 0..<rows { #expect(divergences[row] > 0) }
        let gradient = parameters.gradients
        actor.head.backward(
            parameters, pass, actions: actions, byLogProbability: weights, byEntropy: 0, gradient: gradient)
        actor.head.addDivergenceGradient(from: old, weight: 0.5, parameters, pass, gradient: gradient)
        actor.network.backward(parameters, observations(), pass.workspace, gradient: gradient)
        // Deviations that depend on the hidden layer give it no gradient, by design.
        for view in parameters.views where !name.contains("gSDE") || !view.name.hasPrefix("actor.0") {
            let values = parameters.elements(view)
            let scale = (0..<view.count).map { abs(gradient[view.offset + $0]) }.max()!
            for element in stride(from: 0, to: view.count, by: 2) {
                let (before, h) = (values[element], Float(2e-3))
                values[element] = before + h
                let above = objective()
                values[element] = before - h
                let below = objective()
                values[element] = before
                let difference = abs(Float((above - below) / Double(2 * h)) - gradient[view.offset + element])
                #expect(difference < 0.02 * max(scale, 0.3), "\(view.name) \(element)")
            }
        }
    }

    /// An older self that is this one: nothing to diverge from; and the divergence is what drawing shows it to be.
    @Test(arguments: heads) func divergencesAreMeansOfLogRatios(name: String) {
        let (actor, other) = (actor(name), actor(name, seed: 6))
        let (pass, otherPass) = (actor.makePass(rows: rows), other.makePass(rows: rows))
        _ = draw(actor, pass)
        let old = Matrix(rows: rows, columns: actor.head.descriptionSize)
        actor.head.describe(actor.parameters, pass, into: old)
        let divergences = Vector<Float>(count: rows)
        actor.head.divergences(from: old, actor.parameters, pass, into: divergences)
        for row in 0..<rows { #expect(abs(divergences[row]) < 1e-5) }

        // Heads whose draws are independent of each other: the mean of log π − log π′ over what π draws.
        guard actor.head.mapSize == 0 else { return }
        let draws = 4000
        var generator = NumPyGenerator(seed: 8)
        let maps = Matrix(rows: 1, columns: 0)
        let (actions, log, otherLog, entropies) = (
            Matrix(rows: rows, columns: actor.head.actionSize), Vector<Float>(count: rows), Vector<Float>(count: rows),
            Vector<Float>(count: rows)
        )
        var sums = [Double](repeating: 0, count: rows)
        for _ in 0..<draws {
            actor.act(observations(), maps: maps, generator: &generator, pass, into: actions, logProbabilities: log)
            other.evaluate(
                observations(), actions: actions, otherPass, logProbabilities: otherLog, entropies: entropies)
            for row in 0..<rows { sums[row] += Double(log[row] - otherLog[row]) / Double(draws) }
        }
        other.head.divergences(from: old, other.parameters, otherPass, into: divergences)
        for row in 0..<rows {
            #expect(abs(sums[row] - Double(divergences[row])) < 0.05 + 0.1 * Double(divergences[row]), "row \(row)")
        }
    }

    /// The entropy is the mean of −log π over what is drawn.
    @Test(arguments: ["categorical", "several", "coins", "gaussian"]) func entropiesAreMeans(name: String) {
        let actor = actor(name)
        let pass = actor.makePass(rows: rows)
        var generator = NumPyGenerator(seed: 8)
        let (actions, log, entropies) = (
            Matrix(rows: rows, columns: actor.head.actionSize), Vector<Float>(count: rows), Vector<Float>(count: rows)
        )
        var sums = [Double](repeating: 0, count: rows)
        for _ in 0..<4000 {
            actor.act(
                observations(), maps: Matrix(rows: 1, columns: 0), generator: &generator, pass, into: actions,
                logProbabilities: log)
            for row in 0..<rows { sums[row] -= Double(log[row]) / 4000 }
        }
        actor.evaluate(observations(), actions: actions, pass, logProbabilities: log, entropies: entropies)
        for row in 0..<rows { #expect(abs(sums[row] - Double(entropies[row])) < 0.06) }
    }

    /// −log π grows without bound at the edges of a squashed action, and stays a number.
    @Test func squashedActionsAtTheEdge() {
        for u: Float in [-20, -9, -3, 0, 2, 8, 20] {
            let action = SquashedGaussian.squash(u).action
            let value = SquashedGaussian.logProbability(mean: u, rawLogDeviation: 0, action: action)
            #expect(value.isFinite)
            if abs(u) < 5 { #expect(abs(SquashedGaussian.unsquash(action) - u) < 1e-2) }
        }
    }
}
