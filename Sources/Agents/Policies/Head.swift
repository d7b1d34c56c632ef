import GymCore
import NeuralNetwork

/// What the numbers of a network's last layer mean as actions.
///
/// A method asks a head and never which head it has. Parameters that are a head's own (deviations) lie behind the
/// network's in one store.
package protocol Head: Sendable {
    /// Numbers of the last layer.
    var outputs: Int { get }
    /// Numbers of an action.
    var actionSize: Int { get }

    /// Memory for passes of up to `rows` rows.
    func makeScratch(rows: Int) -> HeadScratch
    /// The likeliest or best action of each row.
    func greedy(_ outputs: Matrix, into actions: Matrix)
    /// The same as data, for other programs: which of the outputs count, and what becomes of them.
    func exported(by codec: ActionCodec) -> (columns: Range<Int>, action: PolicyGraph.Action)
}

extension Head {
    package func makeScratch(rows: Int) -> HeadScratch { HeadScratch() }
}

/// A head that draws: the last layer's numbers are the parameters of a distribution over actions.
package protocol StochasticHead: Head {
    /// Writes the starting values of the head's own parameters, where it has some.
    func initialise(_ parameters: ParameterStore)

    /// Numbers of a map that stays the same over several steps; 0 where noise is drawn anew each step.
    var mapSize: Int { get }
    /// Draws such maps, one a row.
    func drawMaps(_ parameters: ParameterStore, generator: inout NumPyGenerator, into maps: Matrix)

    /// Draws an action for each row of a pass, and writes its log-probability.
    ///
    /// - Parameters:
    ///   - maps: one for all rows, or one a row; of no columns where there are none.
    ///   - actions: (rows, action).
    ///   - logProbabilities: (rows).
    func sample(
        _ parameters: ParameterStore, _ pass: ActorPass, maps: Matrix, generator: inout NumPyGenerator,
        into actions: Matrix, logProbabilities: Vector<Float>)

    /// log π(a|s) and the entropy of each row of a pass.
    func evaluate(
        _ parameters: ParameterStore, _ pass: ActorPass, actions: Matrix, logProbabilities: Vector<Float>,
        entropies: Vector<Float>)
    /// The gradient by the outputs, into the pass, and by the head's own parameters, of a loss whose derivatives by each
    /// row's log π(a|s) and, the same for all rows, by its entropy are given; after ``evaluate(_:_:actions:logProbabilities:entropies:)``
    /// of the same rows.
    ///
    /// - Parameter gradient: laid out as the parameters; only the head's own part is written.
    func backward(
        _ parameters: ParameterStore, _ pass: ActorPass, actions: Matrix, byLogProbability: Vector<Float>,
        byEntropy: Float, gradient: Vector<Float>)

    /// Numbers that describe a row's distribution, for comparing an older self with this one.
    var descriptionSize: Int { get }
    /// Describes the distributions of a pass, (rows, ``descriptionSize``).
    func describe(_ parameters: ParameterStore, _ pass: ActorPass, into description: Matrix)
    /// KL(older self ‖ this one) of each row of a pass.
    func divergences(
        from old: Matrix, _ parameters: ParameterStore, _ pass: ActorPass, into result: Vector<Float>)
    /// Adds `weight` times the gradient of each row's KL(older self ‖ this one) to the pass's gradient by the outputs and
    /// to that by the head's own parameters; after `backward` of the same rows.
    func addDivergenceGradient(
        from old: Matrix, weight: Float, _ parameters: ParameterStore, _ pass: ActorPass, gradient: Vector<Float>)

    /// The mean of the deviations, or `nil` where there are none that do not depend on the state.
    func meanDeviation(_ parameters: ParameterStore) -> Double?
}

extension StochasticHead {
    package func initialise(_ parameters: ParameterStore) {}
    package var mapSize: Int { 0 }
    package func drawMaps(_ parameters: ParameterStore, generator: inout NumPyGenerator, into maps: Matrix) {}
    package func meanDeviation(_ parameters: ParameterStore) -> Double? { nil }
}

/// A head whose actions are a function of the outputs and of noise, so that gradients go through them.
package protocol ReparameterisedHead: StochasticHead {
    /// The gradient by the outputs, into the pass, and by the head's own parameters, of a loss whose derivatives by the
    /// drawn actions and, the same for all rows, by log π are given, the noise being what it was; after
    /// ``sample(_:_:maps:generator:into:logProbabilities:)`` of the same rows with one map for all.
    ///
    /// - Returns: the gradient by the last hidden layer's output that comes through the noise, (rows, …); `nil`: none.
    func backward(
        _ parameters: ParameterStore, _ pass: ActorPass, drawn actions: Matrix, maps: Matrix, byAction: Matrix,
        byLogProbability: Float, gradient: Vector<Float>
    ) -> Matrix?
}

/// What a head keeps of a pass for the way back.
package class HeadScratch: @unchecked Sendable {
    // Sendable: of one pass, which one thread works with at a time.
    init() {}
}
