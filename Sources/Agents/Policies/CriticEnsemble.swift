import GymCore
import NeuralNetwork

/// Value functions side by side, with slowly following targets: the twin Q-functions that TD3 and SAC learn from, or the
/// one of a state that SAC's first form has besides.
///
/// The smaller of two values errs to the safe side (Fujimoto et al. 2018, arXiv 1802.09477).
package final class CriticEnsemble: @unchecked Sendable {
    // Sendable: each piece of an update works in a space of its own.

    package let networks: [MultiLayerPerceptron]
    package let parameters: ParameterStore
    package let target: ParameterStore
    private let observationSize: Int
    private let actionSize: Int
    private let workspaces: [Workspace]

    /// What one piece of a minibatch needs.
    private struct Workspace {
        let networks: [MultiLayerPerceptron.Workspace]
        let least: Vector<Float>
        /// Which network gave the least value, (rows).
        let leastNetwork: Vector<Int32>
        /// The rows of one network, ascending.
        let chosen: Vector<Int32>
        /// The gradient by the action, of those rows and of all.
        let chosenByAction: Matrix
        let byAction: Matrix
    }

    /// - Parameters:
    ///   - name: what the parameters' names start with.
    ///   - actionSize: the numbers of an action; 0 for values of a state.
    ///   - pieces: pieces of a minibatch that are worked on at the same time.
    ///   - rows: the rows of the largest of them.
    package init(
        _ name: String = "qf", count: Int = 2, observationSize: Int, actionSize: Int, hidden: [Int],
        activation: Activation, layerNorm: Bool, pieces: Int, rows: Int, generator: inout NumPyGenerator
    ) {
        self.observationSize = observationSize
        self.actionSize = actionSize
        func network(_ name: String, _ layout: inout ParameterLayout) -> MultiLayerPerceptron {
            MultiLayerPerceptron(
                name, sizes: [observationSize + actionSize] + hidden + [1], activation: activation,
                layerNorm: layerNorm, layout: &layout)
        }
        var layout = ParameterLayout()
        networks = (0..<count).map { network("\(name)\($0)", &layout) }
        parameters = ParameterStore(layout)
        for network in networks {
            network.initialise(parameters, hidden: .uniform, output: .uniform, generator: &generator)
        }
        var targetLayout = ParameterLayout()
        for index in 0..<count { _ = network("\(name)\(index)_target", &targetLayout) }
        target = ParameterStore(targetLayout)
        target.parameters.copy(parameters.parameters)
        let networks = networks
        workspaces = (0..<pieces).map { _ in
            Workspace(
                networks: networks.map { MultiLayerPerceptron.Workspace(for: $0, capacity: rows) },
                least: Vector(count: rows), leastNetwork: Vector(count: rows), chosen: Vector(count: rows),
                chosenByAction: Matrix(rows: rows, columns: actionSize),
                byAction: Matrix(rows: rows, columns: actionSize))
        }
    }

    /// The least of the target networks' values of some inputs.
    ///
    /// - Parameter inputs: (rows, observation + action).
    /// - Returns: (rows), until the piece's next pass.
    package func leastTarget(_ inputs: Matrix, piece: Int) -> Vector<Float> {
        let space = workspaces[piece]
        let least = space.least.prefix(inputs.rows)
        for (index, network) in networks.enumerated() {
            let values = network.forward(target, inputs, space.networks[index])
            for row in 0..<inputs.rows {
                least[row] = index == 0 ? values[row, 0] : min(least[row], values[row, 0])
            }
        }
        return least
    }

    /// The gradient of Σ weight · Σ_rows (Q − y)² over the networks, for one piece of a minibatch.
    ///
    /// - Parameter gradient: overwritten.
    /// - Returns: Σ (Q − y)² over rows and networks.
    package func regress(
        _ inputs: Matrix, towards y: Vector<Float>, weight: Float, piece: Int, gradient: Vector<Float>
    ) -> Double {
        var loss = 0.0
        for (index, network) in networks.enumerated() {
            let workspace = workspaces[piece].networks[index]
            let values = network.forward(parameters, inputs, workspace)
            let slopes = workspace.outputGradients(rows: inputs.rows)
            for row in 0..<inputs.rows {
                let error = values[row, 0] - y[row]
                loss += Double(error * error)
                slopes[row, 0] = 2 * weight * error
            }
            network.backward(parameters, inputs, workspace, gradient: gradient)
        }
        return loss
    }

    /// The least of the networks' values, and its gradient by the action times `slope`; of the first network only with
    /// `onlyFirst`. No gradient by the critics' parameters is computed.
    ///
    /// - Returns: the values (rows) and the gradient (rows, action), until the piece's next pass.
    package func ascend(
        _ inputs: Matrix, slope: Float, onlyFirst: Bool, piece: Int
    ) -> (values: Vector<Float>, byAction: Matrix) {
        let space = workspaces[piece]
        let rows = inputs.rows
        let used = onlyFirst ? 1 : networks.count
        let (least, leastNetwork, byAction) = (space.least, space.leastNetwork, space.byAction)
        for index in 0..<used {
            let values = networks[index].forward(parameters, inputs, space.networks[index])
            for row in 0..<rows where index == 0 || values[row, 0] < least[row] {
                least[row] = values[row, 0]
                leastNetwork[row] = Int32(index)
            }
        }
        let columns = observationSize..<observationSize + actionSize
        for index in 0..<used {
            // A row goes back through the network that gave its least value, and through no other.
            var count = 0
            for row in 0..<rows where leastNetwork[row] == Int32(index) {
                space.chosen[count] = Int32(row)
                count += 1
            }
            guard count > 0 else { continue }
            let (network, workspace) = (networks[index], space.networks[index])
            let chosen = space.chosen.prefix(count)
            network.keep(chosen, workspace)
            workspace.outputGradients(rows: count).fill(slope)
            network.backward(
                parameters, inputs.prefix(count), workspace, gradient: nil, inputGradient: space.chosenByAction,
                inputColumns: columns)
            for position in 0..<count {
                byAction.copyRow(Int(chosen[position]), from: space.chosenByAction, row: position)
            }
        }
        return (least.prefix(rows), byAction.prefix(rows))
    }
}
