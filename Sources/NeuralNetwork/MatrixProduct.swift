import COpenBLAS
import CVectorKernels

/// c (m,n) = a (m,k) · b (k,n), plus bias (n) on every row, all row-major and contiguous; with `transposedA`, a lies
/// as (k,m); with `accumulate`, c is added to what it held. Rows of a are `strideA` floats apart, by default without gaps.
///
/// Two implementations: our own kernels and OpenBLAS on one thread. OpenBLAS 0.3.21 (the distribution's) has no
/// AVX-512 kernels for AMD and pays about 0.4 µs a call. Measured on one EPYC 9005 core, whose AVX-512 does 225 with no
/// memory in the way, GFLOP/s:
///
///     m × n × k      OpenBLAS   own AVX-512   own AVX2   own baseline
///     8 × 64 × 64          65           206         88             30
///     256 × 64 × 4         43           134         72             29
///     256 × 64 × 64       104           217        110             30
///     256 × 300 × 400     109           211        107             28
///     256 × 400 × 300     111           215        108             28
///     1024³                85           183         60             20
///
/// So: ours with AVX-512, ours for small products with AVX2, OpenBLAS for the rest. An element is one chain of fused
/// multiply-adds in both of ours, so that they agree to the bit.
@inline(__always)
func matrixProduct(
    m: Int, n: Int, k: Int, _ a: UnsafePointer<Float>, transposedA: Bool = false, strideA: Int? = nil,
    _ b: UnsafePointer<Float>, bias: UnsafePointer<Float>? = nil, into c: UnsafeMutablePointer<Float>,
    accumulate: Bool = false
) {
    let strideA = strideA ?? (transposedA ? m : k)
    let level = vector_kernels_current()
    if level == VECTOR_KERNELS_AVX512 || (level == VECTOR_KERNELS_AVX2 && m * n * k <= 1 << 20) {
        vector_kernels_gemm(
            m, n, k, a, transposedA ? 1 : strideA, transposedA ? strideA : 1, b, n, bias, c, n, accumulate ? 1 : 0)
    } else {
        OpenBLAS.product(
            m: m, n: n, k: k, a, transposedA: transposedA, strideA: strideA, b, bias: bias, into: c,
            accumulate: accumulate)
    }
}

/// The only door to OpenBLAS.
enum OpenBLAS {
    /// Pins OpenBLAS to the calling thread: its threads cost more than they give below products of about 256³, and
    /// the learner has its own. Evaluated once, before the first product.
    private static let pinned: Void = openblas_set_num_threads(1)

    /// As ``matrixProduct(m:n:k:_:transposedA:strideA:_:bias:into:accumulate:)``, by `cblas_sgemm`.
    static func product(
        m: Int, n: Int, k: Int, _ a: UnsafePointer<Float>, transposedA: Bool, strideA: Int,
        _ b: UnsafePointer<Float>, bias: UnsafePointer<Float>?, into c: UnsafeMutablePointer<Float>, accumulate: Bool
    ) {
        _ = pinned
        if let bias, !accumulate {
            for row in 0..<m { (c + row * n).update(from: bias, count: n) }
        }
        cblas_sgemm(
            CblasRowMajor, transposedA ? CblasTrans : CblasNoTrans, CblasNoTrans, Int32(m), Int32(n),
            Int32(k), 1, a,
            Int32(strideA), b, Int32(n), accumulate || bias != nil ? 1 : 0, c, Int32(n))
    }
}
