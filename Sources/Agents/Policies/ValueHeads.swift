import GymCore
import NeuralNetwork

/// The choice whose value is largest; with dueling, the state's value comes first and the choices' advantages follow.
package struct LargestValueHead: Head {
    private let choices: Int
    package let outputs: Int

    /// - Parameter isDueling: whether the outputs are a value and advantages: V + A is largest where A is.
    package init(choices: Int, isDueling: Bool) {
        self.choices = choices
        outputs = choices + (isDueling ? 1 : 0)
    }

    package var actionSize: Int { 1 }

    package func greedy(_ outputs: Matrix, into actions: Matrix) {
        let values = outputs[columns: self.outputs - choices..<self.outputs]
        for row in 0..<outputs.rows { actions[row, 0] = Float(values.indexOfLargest(row: row)) }
    }

    package func exported(by codec: ActionCodec) -> (columns: Range<Int>, action: PolicyGraph.Action) {
        (outputs - choices..<outputs, .choices(counts: [choices], starts: codec.starts))
    }
}

/// Actions from −1 to 1 as they are: what a deterministic actor gives.
package struct DeterministicHead: Head {
    package let actionSize: Int

    package init(actionSize: Int) { self.actionSize = actionSize }

    package var outputs: Int { actionSize }

    package func greedy(_ outputs: Matrix, into actions: Matrix) { actions.copy(outputs) }

    package func exported(by codec: ActionCodec) -> (columns: Range<Int>, action: PolicyGraph.Action) {
        (0..<actionSize, .reals(.none))
    }
}
