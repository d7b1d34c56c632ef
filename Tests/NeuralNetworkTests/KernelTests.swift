import CVectorKernels
import Foundation
import GymCore
import Testing

/// The variants that this machine has.
private let variants = [VECTOR_KERNELS_BASELINE, VECTOR_KERNELS_AVX2, VECTOR_KERNELS_AVX512].filter {
    let current = vector_kernels_current()
    defer { _ = vector_kernels_select(current) }
    return vector_kernels_select($0) != 0
}

/// Runs `body` on this thread with each variant of the kernels, then puts back the one that was in use.
private func withEachVariant(_ body: (vector_kernels_level) -> Void) {
    let current = vector_kernels_current()
    for variant in variants {
        _ = vector_kernels_select(variant)
        body(variant)
    }
    _ = vector_kernels_select(current)
}

private func randoms(_ count: Int, _ generator: inout NumPyGenerator) -> [Float] {
    (0..<count).map { _ in Float(generator.uniform(-2, 2)) }
}

@Suite struct KernelTests {
    @Test(arguments: [
        (1, 1, 1), (3, 5, 7), (6, 64, 64), (7, 65, 3), (256, 64, 4), (13, 2, 300), (8, 100, 513),
        (64, 33, 64), (12, 15, 3), (11, 48, 20), (13, 80, 300), (5, 129, 7),
    ]) func matrixProduct(m: Int, n: Int, k: Int) {
        var generator = NumPyGenerator(seed: UInt64(m * n * k))
        let a = randoms(m * k, &generator)
        let b = randoms(k * n, &generator)
        let bias = randoms(n, &generator)
        let before = randoms(m * n, &generator)
        for transposed in [false, true] {
            let (aRow, aColumn) = transposed ? (1, m) : (k, 1)
            var exact = [Double](repeating: 0, count: m * n)
            for i in 0..<m {
                for p in 0..<k {
                    let left = Double(a[i * aRow + p * aColumn])
                    for j in 0..<n { exact[i * n + j] += left * Double(b[p * n + j]) }
                }
            }
            var fused: [[Float]] = []
            withEachVariant { variant in
                var plain = before
                vector_kernels_gemm(m, n, k, a, aRow, aColumn, b, n, nil, &plain, n, 0)
                var biased = before
                vector_kernels_gemm(m, n, k, a, aRow, aColumn, b, n, bias, &biased, n, 0)
                var added = before
                vector_kernels_gemm(m, n, k, a, aRow, aColumn, b, n, nil, &added, n, 1)
                let tolerance = 1e-6 * Double(k) + 1e-6
                for index in 0..<m * n {
                    #expect(abs(Double(plain[index]) - exact[index]) < tolerance)
                    #expect(abs(Double(biased[index]) - exact[index] - Double(bias[index % n])) < tolerance)
                    #expect(abs(Double(added[index]) - exact[index] - Double(before[index])) < tolerance)
                }
                if variant != VECTOR_KERNELS_BASELINE { fused.append(plain + biased + added) }
            }
            // The wider variants promise the same bits.
            for other in fused.dropFirst() { #expect(other == fused[0]) }
        }
    }

    @Test func hyperbolicTangent() {
        // Every 4,099th float from 2⁻⁴⁰ to 32, both signs, and the special values.
        var x: [Float] = [0, -0.0, .infinity, -.infinity, .greatestFiniteMagnitude, .leastNonzeroMagnitude]
        for pattern in stride(from: Float(0x1p-40).bitPattern, to: Float(32).bitPattern, by: 4_099) {
            x.append(Float(bitPattern: pattern))
            x.append(-Float(bitPattern: pattern))
        }
        withEachVariant { _ in
            var y = [Float](repeating: .nan, count: x.count + 1)
            vector_kernels_tanh(x.count + 1, x + [.nan], &y)
            #expect(y[x.count].isNaN)
            var worst = 0.0
            for (argument, value) in zip(x, y) {
                let exact = tanh(Double(argument))
                let unit = max(Double(Float(abs(exact)).nextDown.ulp), Double(Float.leastNonzeroMagnitude))
                worst = max(worst, abs(Double(value) - exact) / unit)
            }
            #expect(worst <= 2)
        }
    }

    @Test func adamMovesEveryElementAlike() {
        // 37 is no multiple of any vector: an element's result must not depend on where it stands.
        withEachVariant { _ in
            var parameters = [Float](repeating: 1, count: 37)
            let gradient = [Float](repeating: 0.25, count: 37)
            var first = [Float](repeating: 0.5, count: 37)
            var second = [Float](repeating: 0.125, count: 37)
            vector_kernels_adam(37, &parameters, gradient, &first, &second, 2, 0.9, 0.99, 0.1, 1.5, 1e-5)
            #expect(Set(parameters).count == 1 && Set(first).count == 1 && Set(second).count == 1)
            #expect(abs(first[0] - 0.5) < 1e-7)
            #expect(abs(second[0] - (0.125 * 0.99 + 0.25 * 0.01)) < 1e-7)
            let expected = 1 - 0.1 * 0.5 / (Double(second[0]).squareRoot() * 1.5 + 1e-5)
            #expect(abs(Double(parameters[0]) - expected) < 1e-6)
        }
    }

    @Test func sums() {
        var generator = NumPyGenerator(seed: 3)
        let x = randoms(71 * 13, &generator)
        withEachVariant { _ in
            let exact = x.reduce(0.0) { (sum: Double, value: Float) in sum + Double(value) * Double(value) }
            #expect(abs(vector_kernels_sum_of_squares(x.count, x) - exact) < 1e-9 * exact)
            var sums = [Float](repeating: 1, count: 71)
            vector_kernels_column_sums(13, 71, x, &sums, 1)
            for column in 0..<71 {
                let exact = (0..<13).reduce(1.0) { (sum: Double, row: Int) in
                    sum + Double(x[row * 71 + column])
                }
                #expect(abs(Double(sums[column]) - exact) < 1e-5)
            }
        }
    }

    /// Blocks that fill vectors, blocks that end at an edge, and less than a block.
    @Test(arguments: [(13, 71), (71, 13), (16, 16), (17, 33), (48, 20), (5, 9), (1, 40)])
    func transpose(rows: Int, columns: Int) {
        let x = (0..<rows * columns).map(Float.init)
        withEachVariant { _ in
            var transposed = [Float](repeating: -1, count: x.count)
            vector_kernels_transpose(rows, columns, x, &transposed)
            for row in 0..<rows {
                for column in 0..<columns { #expect(transposed[column * rows + row] == x[row * columns + column]) }
            }
        }
    }

    /// Rows that fill vectors and rows that do not, far from 0: what is taken away must not swallow what is left.
    @Test(arguments: [1, 5, 16, 37, 64, 300]) func layerNormalisation(width: Int) {
        var generator = NumPyGenerator(seed: UInt64(width))
        let rows = 3
        let x = randoms(rows * width, &generator).map { $0 + 10 }
        let (gain, bias) = (randoms(width, &generator), randoms(width, &generator))
        let slopes = randoms(rows * width, &generator)
        var fused: [[Float]] = []
        withEachVariant { variant in
            var (y, normalised, scales) = (x, x, [Float](repeating: 0, count: rows))
            vector_kernels_layer_norm(rows, width, 1e-5, gain, bias, &y, &normalised, &scales)
            var gradient = slopes
            vector_kernels_layer_norm_backward(rows, width, gain, normalised, scales, &gradient)
            var sums = [Float](repeating: 1, count: width)
            vector_kernels_product_sums(rows, width, slopes, normalised, &sums, 1)
            for row in 0..<rows {
                let values = (0..<width).map { Double(x[row * width + $0]) }
                let mean = values.reduce(0, +) / Double(width)
                let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(width)
                let scale = 1 / (variance + 1e-5).squareRoot()
                let hats = values.map { ($0 - mean) * scale }
                let g = (0..<width).map { Double(slopes[row * width + $0]) * Double(gain[$0]) }
                let meanSlope = g.reduce(0, +) / Double(width)
                let slope = zip(g, hats).reduce(0) { $0 + $1.0 * $1.1 } / Double(width)
                // The mean is known to 1e-5 or so; a row of one number is all rounding, and so is its normalised one.
                let tolerance = 3e-5 * scale
                for index in 0..<width {
                    let expected = hats[index] * Double(gain[index]) + Double(bias[index])
                    #expect(abs(Double(y[row * width + index]) - expected) < tolerance)
                    let expectedSlope = scale * (g[index] - meanSlope - hats[index] * slope)
                    #expect(abs(Double(gradient[row * width + index]) - expectedSlope) < tolerance * max(1, scale))
                }
            }
            for column in 0..<width {
                let exact = (0..<rows).reduce(1.0) { sum, row in
                    sum + Double(slopes[row * width + column]) * Double(normalised[row * width + column])
                }
                #expect(abs(Double(sums[column]) - exact) < 1e-5)
            }
            if variant != VECTOR_KERNELS_BASELINE { fused.append(y + normalised + scales + gradient + sums) }
        }
        for other in fused.dropFirst() { #expect(other == fused[0]) }
    }

    @Test func rectifier() {
        let x: [Float] = [-1, 0, 2, .nan, -.infinity, .infinity, 3] + [Float](repeating: -2, count: 17)
        withEachVariant { _ in
            var y = x
            vector_kernels_relu(x.count, x, &y)
            #expect(
                y[0] == 0 && y[1] == 0 && y[2] == 2 && y[3].isNaN && y[4] == 0 && y[5] == .infinity
                    && y[23] == 0)
            var gradient = [Float](repeating: 5, count: x.count)
            vector_kernels_relu_backward(x.count, y, &gradient)
            #expect(
                gradient[0] == 0 && gradient[1] == 0 && gradient[2] == 5 && gradient[6] == 5
                    && gradient[20] == 0)
        }
    }
}
