import Foundation
import GymCore
import NeuralNetwork
import Testing

@Suite struct NetworkTests {
    /// The loss whose gradients are checked: half the sum of the squared outputs.
    private func loss(_ network: MultiLayerPerceptron, _ store: ParameterStore, _ x: [Float], rows: Int)
        -> Double
    {
        let workspace = MultiLayerPerceptron.Workspace(for: network, capacity: rows)
        network.forward(store.values, x, rows: rows, workspace)
        return (0..<rows * network.outputs).reduce(0) {
            $0 + 0.5 * Double(workspace.output[$1] * workspace.output[$1])
        }
    }

    @Test(
        arguments: [
            (Activation.tanh, false), (.relu, false), (.identity, false), (.tanh, true), (.identity, true),
        ])
    func gradientAgreesWithFiniteDifferences(activation: Activation, layerNorm: Bool) {
        let rows = 9
        var layout = ParameterLayout()
        let network = MultiLayerPerceptron(
            "net", sizes: [3, 20, 18, 2], activation: activation, layerNorm: layerNorm, layout: &layout)
        let store = ParameterStore(layout)
        var generator = NumPyGenerator(seed: 5)
        network.initialise(store, hidden: .orthogonal(gain: 1.2), output: .uniform, generator: &generator)
        // Gains and biases that can be told from those that training starts with.
        for norm in network.layers.compactMap(\.norm) {
            for view in [norm.weight, norm.bias] {
                for element in 0..<view.count { store[view][element] += Float(generator.uniform(-0.5, 0.5)) }
            }
        }
        var x = (0..<rows * 3).map { _ in Float(generator.uniform(-1, 1)) }
        let workspace = MultiLayerPerceptron.Workspace(for: network, capacity: rows)
        network.forward(store.values, x, rows: rows, workspace)
        workspace.outputGradient.update(from: workspace.output, count: rows * 2)
        var inputGradient = [Float](repeating: 0, count: x.count)
        network.backward(
            store.values, x, rows: rows, workspace, gradient: store.gradient, inputGradient: &inputGradient)

        // Central differences in float32: an error of about 1e-3 of the largest slope.
        let h: Float = 2e-3
        func slope(_ value: UnsafeMutablePointer<Float>, _ x: [Float]) -> Double {
            let old = value.pointee
            value.pointee = old + h
            let above = loss(network, store, x, rows: rows)
            value.pointee = old - h
            let below = loss(network, store, x, rows: rows)
            value.pointee = old
            return (above - below) / (2 * Double(h))
        }
        for view in store.views {
            let scale = store.gradient(view).map { Double(abs($0)) }.max()!
            #expect(scale > 0)
            for element in stride(from: 0, to: view.count, by: 3) {
                let numeric = slope(store.values + view.offset + element, x)
                #expect(
                    abs(numeric - Double(store.gradient(view)[element])) < 0.01 * scale,
                    "\(view.name) \(element)")
            }
        }
        for element in x.indices {
            let old = x[element]
            x[element] = old + h
            let above = loss(network, store, x, rows: rows)
            x[element] = old - h
            let below = loss(network, store, x, rows: rows)
            x[element] = old
            let numeric = (above - below) / (2 * Double(h))
            #expect(abs(numeric - Double(inputGradient[element])) < 0.01)
        }
    }

    @Test func backwardSkipsWhatIsNotWanted() {
        var layout = ParameterLayout()
        let network = MultiLayerPerceptron("net", sizes: [2, 17, 1], activation: .tanh, layout: &layout)
        let store = ParameterStore(layout)
        var generator = NumPyGenerator(seed: 6)
        network.initialise(store, hidden: .uniform, output: .uniform, generator: &generator)
        let x: [Float] = [1, 2, -1, 0.5]
        let workspace = MultiLayerPerceptron.Workspace(for: network, capacity: 2)
        network.forward(store.values, x, rows: 2, workspace)
        workspace.outputGradient.update(repeating: 1, count: 2)
        network.backward(store.values, x, rows: 2, workspace, gradient: store.gradient)
        // Only the input's gradient is wanted: the parameters' stays as it is.
        let before = (0..<store.count).map { store.gradient[$0] }
        workspace.outputGradient.update(repeating: 1, count: 2)
        var inputGradient: [Float] = [0, 0, 0, 0]
        network.backward(store.values, x, rows: 2, workspace, gradient: nil, inputGradient: &inputGradient)
        #expect((0..<store.count).allSatisfy { store.gradient[$0] == before[$0] })
        #expect(inputGradient.contains { $0 != 0 })
    }

    /// Rows that are kept go back as if the others had no gradient: to the bit.
    @Test(arguments: [[], [0], [6], [0, 1, 2], [1, 4, 5], [0, 1, 2, 3, 4, 5, 6]], [false, true])
    func rowsThatAreKept(chosen: [Int32], layerNorm: Bool) {
        let rows = 7
        var layout = ParameterLayout()
        let network = MultiLayerPerceptron(
            "net", sizes: [3, 20, 33, 2], activation: .relu, outputActivation: .tanh, layerNorm: layerNorm,
            layout: &layout)
        let store = ParameterStore(layout)
        var generator = NumPyGenerator(seed: 6)
        network.initialise(store, hidden: .uniform, output: .uniform, generator: &generator)
        let x = (0..<rows * 3).map { _ in Float(generator.uniform(-1, 1)) }
        let slopes = (0..<rows * 2).map { _ in Float(generator.uniform(-1, 1)) }
        let workspace = MultiLayerPerceptron.Workspace(for: network, capacity: rows)

        network.forward(store.values, x, rows: rows, workspace)
        workspace.outputGradient.update(from: slopes, count: rows * 2)
        var all = [Float](repeating: 0, count: x.count)
        network.backward(store.values, x, rows: rows, workspace, gradient: nil, inputGradient: &all)

        network.forward(store.values, x, rows: rows, workspace)
        chosen.withUnsafeBufferPointer { network.keep($0, workspace) }
        for (position, row) in chosen.enumerated() {
            (workspace.outputGradient + position * 2).update(
                from: Array(slopes[Int(row) * 2..<Int(row) * 2 + 2]), count: 2)
        }
        var kept = [Float](repeating: 0, count: x.count)
        network.backward(store.values, x, rows: chosen.count, workspace, gradient: nil, inputGradient: &kept)
        for (position, row) in chosen.enumerated() {
            let part = Int(row) * 3..<Int(row) * 3 + 3
            #expect(Array(kept[position * 3..<position * 3 + 3]) == Array(all[part]))
            #expect(all[part].contains { $0 != 0 })
        }
    }

    @Test(arguments: [[8, 3], [3, 8], [16, 16]]) func orthogonalInitialisation(sizes: [Int]) {
        var layout = ParameterLayout()
        let network = MultiLayerPerceptron("net", sizes: sizes, activation: .tanh, layout: &layout)
        let store = ParameterStore(layout)
        var generator = NumPyGenerator(seed: 7)
        network.initialise(store, hidden: .uniform, output: .orthogonal(gain: 2), generator: &generator)
        let weight = Array(store[network.layers[0].weight])
        let (rows, columns) = (sizes[0], sizes[1])
        func entry(_ short: Int, _ long: Int) -> Float {
            rows < columns ? weight[short * columns + long] : weight[long * columns + short]
        }
        for i in 0..<min(rows, columns) {
            for j in 0..<min(rows, columns) {
                let product = (0..<max(rows, columns)).reduce(Float(0)) { $0 + entry(i, $1) * entry(j, $1) }
                #expect(abs(product - (i == j ? 4 : 0)) < 1e-5)
            }
        }
        #expect(store[network.layers[0].bias].allSatisfy { $0 == 0 })
    }

    @Test func uniformInitialisationFillsItsRange() {
        var layout = ParameterLayout()
        let network = MultiLayerPerceptron("net", sizes: [25, 40], activation: .relu, layout: &layout)
        let store = ParameterStore(layout)
        var generator = NumPyGenerator(seed: 8)
        network.initialise(store, hidden: .uniform, output: .uniform, generator: &generator)
        let values = store[network.layers[0].weight]
        #expect(values.allSatisfy { abs($0) <= 0.2 })
        #expect(values.max()! > 0.19 && values.min()! < -0.19)
        #expect(store[network.layers[0].bias].contains { $0 != 0 })
    }

    @Test func categoricalSamplesByProbability() {
        let distribution = Categorical(choices: [3, 2])
        // Probabilities 0.5, 0.25, 0.25 and 0.9, 0.1.
        let logits: [Float] = [0, -0.693_147_2, -0.693_147_2, 2.197_224_6, 0]
        let rows = 20_000
        let all = Matrix(rows: rows, columns: 5, (0..<rows).flatMap { _ in logits })
        let (actions, logProbabilities) = (Matrix(rows: rows, columns: 2), Vector<Float>(count: rows))
        var generator = NumPyGenerator(seed: 3)
        distribution.sample(all, generator: &generator, into: actions, logProbabilities: logProbabilities)
        func share(_ dimension: Int, _ choice: Float) -> Double {
            Double((0..<rows).count { actions[$0, dimension] == choice }) / Double(rows)
        }
        // Deviations of a share: at most 0.0036.
        for (choice, p) in [(Float(0), 0.5), (1, 0.25), (2, 0.25)] { #expect(abs(share(0, choice) - p) < 0.015) }
        #expect(abs(share(1, 0) - 0.9) < 0.015)
        for row in 0..<50 {
            let p = (actions[row, 0] == 0 ? 0.5 : 0.25) * (actions[row, 1] == 0 ? 0.9 : 0.1)
            #expect(abs(Double(logProbabilities[row]) - log(p)) < 1e-5)
        }
        let mode = Matrix(rows: 1, columns: 2)
        distribution.mode(all.prefix(1), into: mode)
        #expect(mode.elements == [0, 0])
        let total = [Float(0), 1, 2].reduce(Float(0)) { sum, first in
            sum
                + [Float(0), 1].reduce(Float(0)) {
                    $0 + exp(distribution.logProbability(logits, action: [first, $1]))
                }
        }
        #expect(abs(total - 1) < 1e-6)
    }

    @Test func polyakAveraging() {
        var layout = ParameterLayout()
        _ = layout.add("x", shape: [19])
        let (source, target) = (ParameterStore(layout), ParameterStore(layout))
        for index in 0..<19 { source.values[index] = 1 }
        target.polyak(towards: source, rate: 0.25)
        target.polyak(towards: source, rate: 0.25)
        #expect((0..<19).allSatisfy { target.values[$0] == 0.4375 })
        target.parameters.copy(source.parameters)
        #expect((0..<19).allSatisfy { target.values[$0] == 1 })
    }
}
