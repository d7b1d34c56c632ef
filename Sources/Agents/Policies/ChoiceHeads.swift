import GymCore
import NeuralNetwork

/// A choice among a few in each of several dimensions; a Discrete space has one dimension.
package typealias CategoricalHead = LogitHead<Categorical>

/// Coins, one a dimension: for MultiBinary spaces.
package typealias BernoulliHead = LogitHead<Bernoulli>

/// A distribution over whole numbers whose parameters are the network's outputs as they are.
package struct LogitHead<Distribution: LogitDistribution>: StochasticHead {
    private let distribution: Distribution

    package init(_ distribution: Distribution) { self.distribution = distribution }

    package var outputs: Int { distribution.logits }
    package var actionSize: Int { distribution.dimensions }
    package var descriptionSize: Int { distribution.logits }

    package func greedy(_ outputs: Matrix, into actions: Matrix) { distribution.mode(outputs, into: actions) }

    package func exported(by codec: ActionCodec) -> (columns: Range<Int>, action: PolicyGraph.Action) {
        (
            0..<outputs,
            distribution.choiceCounts.map { .choices(counts: $0, starts: codec.starts) } ?? .coins
        )
    }

    package func sample(
        _ parameters: ParameterStore, _ pass: ActorPass, maps: Matrix, generator: inout NumPyGenerator,
        into actions: Matrix, logProbabilities: Vector<Float>
    ) {
        distribution.sample(pass.outputs, generator: &generator, into: actions, logProbabilities: logProbabilities)
    }

    package func evaluate(
        _ parameters: ParameterStore, _ pass: ActorPass, actions: Matrix, logProbabilities: Vector<Float>,
        entropies: Vector<Float>
    ) {
        distribution.logProbabilities(pass.outputs, actions: actions, into: logProbabilities)
        distribution.entropies(pass.outputs, into: entropies)
    }

    package func backward(
        _ parameters: ParameterStore, _ pass: ActorPass, actions: Matrix, byLogProbability: Vector<Float>,
        byEntropy: Float, gradient: Vector<Float>
    ) {
        distribution.gradient(
            pass.outputs, actions: actions, byLogProbability: byLogProbability, byEntropy: byEntropy,
            into: pass.outputGradients)
    }

    package func describe(_ parameters: ParameterStore, _ pass: ActorPass, into description: Matrix) {
        description.copy(pass.outputs)
    }

    package func divergences(
        from old: Matrix, _ parameters: ParameterStore, _ pass: ActorPass, into result: Vector<Float>
    ) {
        distribution.divergences(from: old, to: pass.outputs, into: result)
    }

    package func addDivergenceGradient(
        from old: Matrix, weight: Float, _ parameters: ParameterStore, _ pass: ActorPass, gradient: Vector<Float>
    ) {
        distribution.addDivergenceGradient(
            from: old, to: pass.outputs, weight: weight, into: pass.outputGradients)
    }
}
