/// The matrix products that passes of networks consist of, without anything between them: what an update would take if
/// all the rest were free. For benchmarks.
package final class MatrixProductList: @unchecked Sendable {
    private struct Product {
        let m: Int
        let n: Int
        let k: Int
        let transposedA: Bool
        let a: UnsafeMutablePointer<Float>
        let b: UnsafeMutablePointer<Float>
        let c: UnsafeMutablePointer<Float>
        let times: Int
    }

    private var products: [Product] = []

    /// No products yet.
    package init() {}

    deinit {
        for product in products {
            for memory in [product.a, product.b, product.c] { memory.deallocate() }
        }
    }

    private func add(m: Int, n: Int, k: Int, transposedA: Bool = false, times: Int = 1) {
        if m == 0 || n == 0 || k == 0 { return }
        let (a, b, c) = (allocateFloats(m * k), allocateFloats(k * n), allocateFloats(m * n))
        // Numbers as in a network: zeros would be no slower, denormals would be.
        for index in 0..<m * k { a[index] = Float(index % 17) / 16 - 0.5 }
        for index in 0..<k * n { b[index] = Float(index % 13) / 12 - 0.5 }
        products.append(Product(m: m, n: n, k: k, transposedA: transposedA, a: a, b: b, c: c, times: times))
    }

    /// Adds those of a pass forward.
    package func addForward(_ network: MultiLayerPerceptron, rows: Int) {
        for layer in network.layers { add(m: rows, n: layer.outputs, k: layer.inputs) }
    }

    /// Adds those of a pass back.
    ///
    /// - Parameters:
    ///   - gradient: whether the gradient by the parameters is wanted.
    ///   - inputColumns: the elements of an input row that the gradient is wanted by.
    package func addBackward(_ network: MultiLayerPerceptron, rows: Int, gradient: Bool, inputColumns: Int = 0) {
        for (index, layer) in network.layers.enumerated().reversed() {
            if gradient {
                // As MultiLayerPerceptron does: the narrow side goes to the rows.
                let isNarrow = layer.outputs < 16 && layer.inputs >= 16
                add(
                    m: isNarrow ? layer.outputs : layer.inputs, n: isNarrow ? layer.inputs : layer.outputs, k: rows,
                    transposedA: true)
            }
            add(m: rows, n: index > 0 ? layer.inputs : inputColumns, k: layer.outputs)
        }
    }

    /// Adds those of a pass forward, convolutions included.
    package func addForward(_ network: Network, rows: Int) {
        for layer in network.convolutions {
            add(m: layer.positions, n: layer.size.filters, k: layer.patch, times: rows)
        }
        addForward(network.dense, rows: rows)
    }

    /// Adds those of a pass back to the parameters, convolutions included.
    package func addBackward(_ network: Network, rows: Int) {
        let layers = network.convolutions
        addBackward(
            network.dense, rows: rows, gradient: true, inputColumns: layers.last?.output.count ?? 0)
        for (index, layer) in layers.enumerated() {
            add(m: layer.patch, n: layer.size.filters, k: layer.positions, transposedA: true, times: rows)
            if index > 0 { add(m: layer.positions, n: layer.patch, k: layer.size.filters, times: rows) }
        }
    }

    /// Computes them all, once.
    package func run() {
        for product in products {
            for _ in 0..<product.times {
                matrixProduct(
                    m: product.m, n: product.n, k: product.k, product.a, transposedA: product.transposedA, product.b,
                    into: product.c)
            }
        }
    }
}
