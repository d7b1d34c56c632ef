import GymCore
import NeuralNetwork

/// Value functions side by side, with slowly following targets: the twin Q-functions that TD3 and SAC learn from, or the
/// one of a state that SAC's first form has besides.
///
/// The smaller of two values errs to the safe side (Fujimoto et al. 2018, arXiv 1802.09477).
final class CriticEnsemble {
    let networks: [MultiLayerPerceptron]
    let store: ParameterStore
    let target: ParameterStore
    let observationSize: Int
    let actionSize: Int
    /// The gradient that the second half of a minibatch gives.
    private let secondGradient: UnsafeMutablePointer<Float>
    private let halves: [Half]

    /// What one half of a minibatch needs.
    private struct Half {
        let workspaces: [MultiLayerPerceptron.Workspace]
        let least: UnsafeMutablePointer<Float>
        /// Which network gave the least value, (rows).
        let leastNetwork: UnsafeMutablePointer<Int32>
        /// The rows of one network, ascending.
        let chosen: UnsafeMutablePointer<Int32>
        /// The gradient by the action, of those rows and of all.
        let chosenByAction: UnsafeMutablePointer<Float>
        let byAction: UnsafeMutablePointer<Float>
    }

    /// - Parameters:
    ///   - name: what the parameters' names start with.
    ///   - actionSize: the numbers of an action; 0 for values of a state.
    ///   - rows: the rows of a minibatch's larger half.
    init(
        _ h: Hyperparameters, _ name: String = "qf", count: Int = 2, observationSize: Int, actionSize: Int, rows: Int,
        generator: inout NumPyGenerator
    ) {
        self.observationSize = observationSize
        self.actionSize = actionSize
        func network(_ name: String, _ layout: inout ParameterLayout) -> MultiLayerPerceptron {
            MultiLayerPerceptron(
                name, sizes: [observationSize + actionSize] + h.networks("net_arch").critic + [1],
                activation: Activation(rawValue: h.text("activation_fn"))!, layerNorm: h.bool("layer_norm"),
                layout: &layout)
        }
        var layout = ParameterLayout()
        networks = (0..<count).map { network("\(name)\($0)", &layout) }
        store = ParameterStore(layout)
        for network in networks {
            network.initialise(store, hidden: .uniform, output: .uniform, generator: &generator)
        }
        var targetLayout = ParameterLayout()
        for index in 0..<count { _ = network("\(name)\(index)_target", &targetLayout) }
        target = ParameterStore(targetLayout)
        target.values.update(from: store.values, count: store.count)
        secondGradient = allocateFloats(store.count)
        let networks = networks
        halves = (0..<2).map { _ in
            func indices() -> UnsafeMutablePointer<Int32> {
                let memory = UnsafeMutablePointer<Int32>.allocate(capacity: rows)
                memory.initialize(repeating: 0, count: rows)
                return memory
            }
            return Half(
                workspaces: networks.map { MultiLayerPerceptron.Workspace(for: $0, capacity: rows) },
                least: allocateFloats(rows), leastNetwork: indices(), chosen: indices(),
                chosenByAction: allocateFloats(rows * actionSize), byAction: allocateFloats(rows * actionSize))
        }
    }

    deinit {
        secondGradient.deallocate()
        for half in halves {
            for memory in [half.least, half.chosenByAction, half.byAction] { memory.deallocate() }
            for memory in [half.leastNetwork, half.chosen] { memory.deallocate() }
        }
    }

    /// The least of the target networks' values of `rows` inputs, (rows).
    func leastTarget(_ inputs: UnsafePointer<Float>, rows: Int, half: Int) -> UnsafePointer<Float> {
        let memory = halves[half]
        for (index, network) in networks.enumerated() {
            let values = network.forward(target.values, inputs, rows: rows, memory.workspaces[index])
            for row in 0..<rows {
                memory.least[row] = index == 0 ? values[row] : min(memory.least[row], values[row])
            }
        }
        return UnsafePointer(memory.least)
    }

    /// The gradient of Σ weight · Σ_rows (Q − y)² over the networks, for one half of a minibatch.
    ///
    /// - Returns: Σ (Q − y)² over rows and networks, and the gradient's size.
    func regress(
        _ inputs: UnsafePointer<Float>, towards y: UnsafePointer<Float>, rows: Int, weight: Float, half: Int
    ) -> LossPart {
        let gradient = half == 0 ? store.gradient : secondGradient
        var loss = LossPart()
        for (index, network) in networks.enumerated() {
            let workspace = halves[half].workspaces[index]
            let values = network.forward(store.values, inputs, rows: rows, workspace)
            let outputGradient = workspace.outputGradient
            for row in 0..<rows {
                let error = values[row] - y[row]
                loss.sum += Double(error * error)
                outputGradient[row] = 2 * weight * error
            }
            network.backward(store.values, inputs, rows: rows, workspace, gradient: gradient)
        }
        loss.measure(gradient, count: store.count)
        return loss
    }

    /// Sums the halves' gradients and applies them, for the parameters of a range.
    func apply(_ step: Adam.Step, _ range: Range<Int>) {
        store.addGradient(secondGradient, range)
        step.apply(store, range)
    }

    /// The least of the networks' values, and its gradient by the action times `slope`; of the first network only
    /// with `onlyFirst`. No gradient by the critics' parameters is computed.
    ///
    /// - Returns: the values (rows), the gradient (rows, action).
    func ascend(
        _ inputs: UnsafePointer<Float>, rows: Int, slope: Float, onlyFirst: Bool, half: Int
    ) -> (values: UnsafePointer<Float>, byAction: UnsafePointer<Float>) {
        let memory = halves[half]
        let used = onlyFirst ? 1 : networks.count
        let (least, leastNetwork) = (memory.least, memory.leastNetwork)
        for index in 0..<used {
            let values = networks[index].forward(store.values, inputs, rows: rows, memory.workspaces[index])
            for row in 0..<rows where index == 0 || values[row] < least[row] {
                least[row] = values[row]
                leastNetwork[row] = Int32(index)
            }
        }
        let columns = observationSize..<observationSize + actionSize
        for index in 0..<used {
            // A row goes back through the network that gave its least value, and through no other.
            var count = 0
            for row in 0..<rows where leastNetwork[row] == Int32(index) {
                memory.chosen[count] = Int32(row)
                count += 1
            }
            guard count > 0 else { continue }
            let (network, workspace) = (networks[index], memory.workspaces[index])
            let chosen = UnsafeBufferPointer(start: memory.chosen, count: count)
            network.keep(chosen, workspace)
            workspace.outputGradient.update(repeating: slope, count: count)
            network.backward(
                store.values, inputs, rows: count, workspace, gradient: nil, inputGradient: memory.chosenByAction,
                inputColumns: columns)
            for (position, row) in chosen.enumerated() {
                (memory.byAction + Int(row) * actionSize).update(
                    from: memory.chosenByAction + position * actionSize, count: actionSize)
            }
        }
        return (UnsafePointer(least), UnsafePointer(memory.byAction))
    }

    /// Moves the targets towards the networks, for the parameters of a range.
    func follow(rate: Float, _ range: Range<Int>) { target.polyak(towards: store, rate: rate, range) }
}
