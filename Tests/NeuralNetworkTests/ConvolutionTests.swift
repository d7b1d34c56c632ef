import Foundation
import GymCore
import NeuralNetwork
import TestSupport
import Testing

/// Numbers that `Tests/Fixtures/pytorch/dump_convolution.py` took from PyTorch.
private struct Reference: Decodable {
    struct Summary: Decodable {
        let norm: Double
        let sum: Double
        let stride: Int
        let elements: [Float]
    }
    struct Case: Decodable {
        let name: String
        let rows: Int
        let planes: Int
        let height: Int
        let width: Int
        let channels: Int
        let isSigned: Bool
        let convolutions: [[Int]]
        let sizes: [Int]
        let output: [Float]
        let gradients: [Summary]
    }
    let cases: [Case]

    static let numbers = Result {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return try decoder.decode(
            Reference.self, from: Data(contentsOf: Fixtures.folder.appendingPathComponent("pytorch/convolution.json")))
    }
}

/// The script's hash of a place and a seed.
private func noise(_ place: Int, _ seed: Int) -> UInt32 {
    var x = UInt32(place) &+ UInt32(seed) &* 0x9E37_79B9
    x ^= x >> 16
    x = x &* 0x7FEB_352D
    x ^= x >> 15
    x = x &* 0x846C_A68B
    return x ^ x >> 16
}

private func reals(_ count: Int, _ seed: Int, _ scale: Double) -> [Float] {
    (0..<count).map { Float((Double(noise($0, seed)) / 4_294_967_296 - 0.5) * (2 * scale)) }
}

/// A store of a network on small pictures, and rows of bytes for it.
private struct Small {
    let network: Network
    let store: ParameterStore
    let workspace: Network.Workspace
    let rows: Int
    var pixels: [Int8]

    init(
        planes: Int = 2, height: Int = 6, width: Int = 7, rows: Int = 3, convolutions: [ConvolutionSize], sizes: [Int],
        zeros: Bool = false
    ) {
        var layout = ParameterLayout()
        let image = ImageShape(planes: planes, height: height, width: width, channels: 1)
        network = Network(
            "net", input: InputFormat(.int8, count: image.count, scale: 0.01), image: image,
            convolutions: convolutions, sizes: sizes, activation: .tanh, layout: &layout)
        store = ParameterStore(layout)
        self.rows = rows
        var generator = NumPyGenerator(seed: 3)
        network.initialise(store, hidden: .orthogonal(gain: 1.4), output: .uniform, generator: &generator)
        workspace = Network.Workspace(for: network, capacity: rows)
        pixels = (0..<rows * image.count).map {
            zeros && noise($0, 5) % 24 != 0 ? 0 : Int8(truncatingIfNeeded: Int(noise($0, 6) % 200) - 100)
        }
    }

    /// Half the sum of the squared outputs.
    func loss() -> Double {
        network.forward(store.values, pixels, rows: rows, workspace)
        return (0..<rows * network.outputs).reduce(0) {
            $0 + 0.5 * Double(workspace.output[$1] * workspace.output[$1])
        }
    }

    func computeGradient() {
        _ = loss()
        workspace.outputGradient.update(from: workspace.output, count: rows * network.outputs)
        network.backward(store.values, pixels, rows: rows, workspace, gradient: store.gradient)
    }
}

@Suite struct ConvolutionTests {
    @Test(arguments: 0..<4) func agreesWithPyTorch(index: Int) throws {
        let reference = try Reference.numbers.get().cases[index]
        let image = ImageShape(
            planes: reference.planes, height: reference.height, width: reference.width, channels: reference.channels)
        var layout = ParameterLayout()
        let network = Network(
            "net",
            input: InputFormat(
                reference.isSigned ? .int8 : .uint8, count: image.count, scale: reference.isSigned ? 1 : 1 / 255),
            image: image,
            convolutions: reference.convolutions.map { ConvolutionSize(filters: $0[0], kernel: $0[1], stride: $0[2]) },
            sizes: reference.sizes, activation: .relu, layout: &layout)
        let store = ParameterStore(layout)
        for (index, view) in store.views.enumerated() {
            let inputs = view.count / view.shape[view.shape.count - 1]
            let scale = index % 2 == 0 ? pow(Double(inputs), -0.5) : 0.1
            _ = store[view].update(fromContentsOf: reals(view.count, 10 + index, scale))
        }
        let bytes = (0..<reference.rows * image.count).map { place in
            let number = noise(place, 1)
            guard reference.isSigned else { return UInt8(number % 256) }
            return UInt8(bitPattern: number % 20 == 0 ? 1 : number % 20 == 1 ? -1 : 0)
        }
        // Twice, the first time with other rows before them: nothing of a pass may be left in the next.
        let workspace = Network.Workspace(for: network, capacity: reference.rows + 1)
        network.forward(store.values, Array(bytes.reversed()), rows: reference.rows, workspace)
        workspace.outputGradient.update(repeating: 1, count: reference.output.count)
        network.backward(
            store.values, Array(bytes.reversed()), rows: reference.rows, workspace, gradient: store.gradient)
        network.forward(store.values, bytes, rows: reference.rows, workspace)
        for (place, theirs) in reference.output.enumerated() {
            #expect(abs(workspace.output[place] - theirs) < 2e-5, "output \(place)")
        }
        workspace.outputGradient.update(from: reals(reference.output.count, 2, 1), count: reference.output.count)
        network.backward(store.values, bytes, rows: reference.rows, workspace, gradient: store.gradient)
        #expect(store.views.count == reference.gradients.count)
        for (view, theirs) in zip(store.views, reference.gradients) {
            let gradient = store.gradient(view)
            let norm = gradient.reduce(0) { $0 + Double($1) * Double($1) }.squareRoot()
            #expect(abs(norm - theirs.norm) < 1e-4 * theirs.norm, "\(view.name)")
            #expect(abs(gradient.reduce(0) { $0 + Double($1) } - theirs.sum) < 1e-3 * theirs.norm, "\(view.name)")
            for (place, element) in theirs.elements.enumerated() {
                #expect(abs(gradient[place * theirs.stride] - element) < 1e-4 * Float(theirs.norm), "\(view.name)")
            }
        }
    }

    @Test(arguments: [
        [ConvolutionSize(filters: 3, kernel: 3, stride: 1)],
        [ConvolutionSize(filters: 4, kernel: 2, stride: 2), ConvolutionSize(filters: 3, kernel: 2, stride: 1)], [],
    ])
    func gradientAgreesWithFiniteDifferences(convolutions: [ConvolutionSize]) {
        let small = Small(convolutions: convolutions, sizes: [5, 2])
        let store = small.store
        small.computeGradient()
        let gradient = Array(UnsafeBufferPointer(start: store.gradient, count: store.count))
        let h: Float = 2e-3
        let here = small.loss()
        for view in store.views {
            let scale = store.gradient(view).map { Double(abs($0)) }.max()!
            #expect(scale > 0)
            var largest = 0.0
            var (compared, edges) = (0, 0)
            for element in stride(from: 0, to: view.count, by: max(1, view.count / 40)) {
                let value = store.values + view.offset + element
                let old = value.pointee
                value.pointee = old + h
                let above = small.loss()
                value.pointee = old - h
                let below = small.loss()
                value.pointee = old
                // Where a ReLU's edge lies between the two, there is no gradient to compare with.
                if abs((above - here) - (here - below)) > 0.05 * scale * Double(h) {
                    edges += 1
                    continue
                }
                compared += 1
                let numeric = (above - below) / (2 * Double(h))
                largest = max(largest, abs(numeric - Double(gradient[view.offset + element])))
            }
            #expect(largest < 0.03 * scale, "\(view.name)")
            #expect(compared > 3 * edges, "\(view.name): \(compared) compared, \(edges) left out")
        }
    }

    /// Rows that are mostly zeros go another way, to the same result: here beside the same rows as floats.
    @Test(arguments: [false, true]) func sparseRowsAreTheSameAsFloats(zeros: Bool) {
        // So many places that zeros are passed over by the block, and a last block that is not whole.
        let small = Small(height: 40, width: 70, rows: 5, convolutions: [], sizes: [37, 3], zeros: zeros)
        small.computeGradient()
        var layout = ParameterLayout()
        let count = small.network.input.count
        let other = Network(
            "net", input: InputFormat(.float32, count: count), sizes: [37, 3], activation: .tanh, layout: &layout)
        let store = ParameterStore(layout)
        store.values.update(from: small.store.values, count: store.count)
        let floats = small.pixels.map { Float($0) * 0.01 }
        let workspace = Network.Workspace(for: other, capacity: 5)
        other.forward(store.values, floats, rows: 5, workspace)
        for place in 0..<15 { #expect(abs(workspace.output[place] - small.workspace.output[place]) < 1e-6) }
        workspace.outputGradient.update(from: workspace.output, count: 15)
        other.backward(store.values, floats, rows: 5, workspace, gradient: store.gradient)
        for place in 0..<store.count {
            #expect(abs(store.gradient[place] - small.store.gradient[place]) < 1e-5)
        }
    }

    @Test func theSmallestPictureHasOnePixelLeft() {
        #expect(ConvolutionSize.smallestSide(ConvolutionSize.dqn) == 36)
        #expect(ConvolutionSize.smallestSide([]) == 1)
        #expect(ConvolutionSize.smallestSide([ConvolutionSize(filters: 1, kernel: 3, stride: 5)]) == 3)
        let small = Small(
            height: 7, width: 7,
            convolutions: [
                ConvolutionSize(filters: 2, kernel: 3, stride: 2), ConvolutionSize(filters: 5, kernel: 3, stride: 1),
            ], sizes: [1])
        #expect(small.network.dense.inputs == 5)
    }
}
