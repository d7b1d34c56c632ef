import Foundation
import NeuralNetwork
import TestSupport
import Testing

/// Numbers that `Tests/Fixtures/pytorch/dump.py` took from PyTorch.
private struct Reference: Decodable {
    struct Network: Decodable {
        let activation: String
        let sizes: [Int]
        let rows: Int
        let input: [Float]
        let outputGradient: [Float]
        let parameters: [[[Float]]]
        let norms: [[[Float]]]
        let output: [Float]
        let inputGradient: [Float]
        let gradient: [[[Float]]]
        let normsGradient: [[[Float]]]
        let gradientNorm: Double
        let afterThreeSteps: [[[Float]]]
        let normsAfterThreeSteps: [[[Float]]]
    }
    struct Choice: Decodable {
        let choices: Int
        let logits: [Float]
        let actions: [Int32]
        let logProbability: [Float]
        let entropy: [Float]
        let gradient: [Float]
    }
    struct Gaussian: Decodable {
        let count: Int
        let mean: [Float]
        let logDeviation: [Float]
        let actions: [Float]
        let logProbability: [Float]
        let entropy: [Float]
        let meanGradient: [Float]
        let logDeviationGradient: [Float]
    }
    let networks: [Network]
    let categorical: Choice
    let gaussian: Gaussian

    static let numbers = Result {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return try decoder.decode(
            Reference.self, from: Data(contentsOf: Fixtures.folder.appendingPathComponent("pytorch/network.json")))
    }
}

/// Whether two arrays agree to a few units in the last place of their largest elements.
private func agree(
    _ ours: some Sequence<Float>, _ theirs: [Float], tolerance: Float = 2e-6,
    sourceLocation: SourceLocation = #_sourceLocation
) {
    let ours = Array(ours)
    #expect(ours.count == theirs.count, sourceLocation: sourceLocation)
    let scale = max(1, theirs.map(abs).max() ?? 1)
    for (mine, reference) in zip(ours, theirs) {
        #expect(abs(mine - reference) <= tolerance * scale, sourceLocation: sourceLocation)
    }
}

@Suite struct PyTorchTests {
    /// Two networks, and two with layer normalisation.
    @Test(arguments: 0..<4) func networkAndAdam(index: Int) throws {
        let reference = try Reference.numbers.get().networks[index]
        var layout = ParameterLayout()
        let network = MultiLayerPerceptron(
            "net", sizes: reference.sizes,
            activation: try #require(Activation(rawValue: reference.activation)), layerNorm: !reference.norms.isEmpty,
            layout: &layout)
        let norms = network.layers.compactMap(\.norm)
        #expect(norms.count == (index < 2 ? 0 : reference.sizes.count - 2))
        let store = ParameterStore(layout)
        for (layer, arrays) in zip(network.layers, reference.parameters) {
            _ = store[layer.weight].update(fromContentsOf: arrays[0])
            _ = store[layer.bias].update(fromContentsOf: arrays[1])
        }
        for (norm, arrays) in zip(norms, reference.norms) {
            _ = store[norm.weight].update(fromContentsOf: arrays[0])
            _ = store[norm.bias].update(fromContentsOf: arrays[1])
        }
        let workspace = MultiLayerPerceptron.Workspace(for: network, capacity: reference.rows)
        let inputGradient = UnsafeMutableBufferPointer(
            start: allocateFloats(reference.input.count), count: reference.input.count)
        defer { inputGradient.baseAddress?.deallocate() }
        let adam = Adam(count: store.count, epsilon: 1e-5)
        for step in 0..<3 {
            network.forward(store.values, reference.input, rows: reference.rows, workspace)
            let output = UnsafeBufferPointer(start: workspace.output, count: reference.output.count)
            if step == 0 { agree(output, reference.output) }
            workspace.outputGradient.update(from: reference.outputGradient, count: reference.output.count)
            network.backward(
                store.values, reference.input, rows: reference.rows, workspace, gradient: store.gradient,
                inputGradient: inputGradient.baseAddress)
            let norm = store.gradients.sumOfSquares().squareRoot()
            if step == 0 {
                agree(inputGradient, reference.inputGradient)
                for (layer, arrays) in zip(network.layers, reference.gradient) {
                    agree(store.gradient(layer.weight), arrays[0])
                    agree(store.gradient(layer.bias), arrays[1])
                }
                for (norm, arrays) in zip(norms, reference.normsGradient) {
                    agree(store.gradient(norm.weight), arrays[0])
                    agree(store.gradient(norm.bias), arrays[1])
                }
                #expect(abs(norm - reference.gradientNorm) < 1e-5 * norm)
            }
            adam.step(store, learningRate: 0.01, scale: clippingScale(norm: norm, maxNorm: 0.5))
        }
        for (layer, arrays) in zip(network.layers, reference.afterThreeSteps) {
            agree(store[layer.weight], arrays[0])
            agree(store[layer.bias], arrays[1])
        }
        for (norm, arrays) in zip(norms, reference.normsAfterThreeSteps) {
            agree(store[norm.weight], arrays[0])
            agree(store[norm.bias], arrays[1])
        }
    }

    @Test func categorical() throws {
        let reference = try Reference.numbers.get().categorical
        let distribution = Categorical(choices: [reference.choices])
        var gradient = [Float](repeating: 0, count: reference.choices)
        for row in reference.actions.indices {
            let logits = Array(reference.logits[row * reference.choices..<(row + 1) * reference.choices])
            let action = [Float(reference.actions[row])]
            agree([distribution.logProbability(logits, action: action)], [reference.logProbability[row]])
            agree([distribution.entropy(logits)], [reference.entropy[row]])
            distribution.gradient(
                logits, action: action, byLogProbability: 1.5, byEntropy: -0.25, into: &gradient)
            agree(
                gradient, Array(reference.gradient[row * reference.choices..<(row + 1) * reference.choices]))
        }
    }

    @Test func diagonalGaussian() throws {
        let reference = try Reference.numbers.get().gaussian
        var logDeviationGradient = [Float](repeating: 0, count: reference.count)
        var meanGradient = logDeviationGradient
        for row in reference.logProbability.indices {
            let range = row * reference.count..<(row + 1) * reference.count
            let mean = Array(reference.mean[range])
            let action = Array(reference.actions[range])
            agree(
                [
                    DiagonalGaussian.logProbability(
                        mean: mean, logDeviation: reference.logDeviation, action: action,
                        count: reference.count)
                ], [reference.logProbability[row]])
            agree(
                [DiagonalGaussian.entropy(logDeviation: reference.logDeviation, count: reference.count)],
                [reference.entropy[row]])
            DiagonalGaussian.gradient(
                mean: mean, logDeviation: reference.logDeviation, action: action, count: reference.count,
                byLogProbability: 1.5, meanGradient: &meanGradient,
                logDeviationGradient: &logDeviationGradient)
            agree(meanGradient, Array(reference.meanGradient[range]))
        }
        agree(logDeviationGradient, reference.logDeviationGradient, tolerance: 1e-5)
    }
}
