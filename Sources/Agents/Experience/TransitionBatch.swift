import GymCore
import NeuralNetwork

/// The transitions of one piece of a minibatch, side by side and normalised.
package final class TransitionBatch: @unchecked Sendable {
    // Sendable: one thread works with it at a time.

    /// The transitions.
    package let count: Int
    /// The numbers of an observation as part of ``inputs``; 0 where observations are bytes.
    package let observationSize: Int
    /// (rows, observation + action): a critic's input for what was done.
    package let inputs: Matrix
    /// (rows, observation + action): a critic's input for the next observation and what a policy does there.
    package let nextInputs: Matrix
    /// The observations as a network takes them in.
    package let observationRows: Rows
    /// The next observations.
    package let nextObservationRows: Rows
    /// (rows): the reward, or the discounted sum of several.
    package let rewards: Vector<Float>
    /// (rows): what the next observation's value counts: γ, γⁿ, 0 where the task ended.
    package let discounts: Vector<Float>

    /// The actions that were done, (rows, action).
    package var actions: Matrix { inputs[columns: observationSize..<inputs.columns] }
    /// Where the policy's actions at the next observations go, (rows, action).
    package var nextActions: Matrix { nextInputs[columns: observationSize..<nextInputs.columns] }

    /// Memory for so many transitions.
    package init(count: Int, format: InputFormat, actionSize: Int) {
        self.count = count
        let isFloat = format.element == .float32
        observationSize = isFloat ? format.count : 0
        inputs = Matrix(rows: count, columns: observationSize + actionSize)
        nextInputs = Matrix(rows: count, columns: observationSize + actionSize)
        observationRows = isFloat ? Rows(inputs[columns: 0..<observationSize]) : Rows(format, count: count)
        nextObservationRows = isFloat ? Rows(nextInputs[columns: 0..<observationSize]) : Rows(format, count: count)
        rewards = Vector(count: count)
        discounts = Vector(count: count)
    }
}
