#include "CVectorKernels.h"

#include <string.h>

#pragma STDC FP_CONTRACT OFF

// Baseline: four floats, multiplied and added in two steps (a fused step without the instruction is a slow call).
#define W 4
#define LOWER_ZIPPED 0, 4, 1, 5
#define UPPER_ZIPPED 2, 6, 3, 7
#define VECTORS 2
#define NAME(x) x##_baseline
#define TARGET
#define FMA(a, b, c) ((a) * (b) + (c))
#define FMA_SCALAR(a, b, c) ((a) * (b) + (c))
#include "Kernels.inc"
#undef W
#undef LOWER_ZIPPED
#undef UPPER_ZIPPED
#undef VECTORS
#undef NAME
#undef TARGET
#undef FMA
#undef FMA_SCALAR

#define FMA(a, b, c) __builtin_elementwise_fma(a, b, c)
#define FMA_SCALAR(a, b, c) __builtin_fmaf(a, b, c)

// The widest variant that the processor has.
static vector_kernels_level widest = VECTOR_KERNELS_BASELINE;
// The variant chosen for this thread, plus 1; 0: the widest.
static _Thread_local int chosen = 0;

vector_kernels_level vector_kernels_current(void) { return chosen ? (vector_kernels_level)(chosen - 1) : widest; }

#ifdef __x86_64__

#define W 8
#define LOWER_ZIPPED 0, 8, 1, 9, 2, 10, 3, 11
#define UPPER_ZIPPED 4, 12, 5, 13, 6, 14, 7, 15
#define VECTORS 2
#define NAME(x) x##_avx2
#define TARGET __attribute__((target("avx2,fma")))
#include "Kernels.inc"
#undef W
#undef LOWER_ZIPPED
#undef UPPER_ZIPPED
#undef VECTORS
#undef NAME
#undef TARGET

#define W 16
#define LOWER_ZIPPED 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define UPPER_ZIPPED 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#define VECTORS 4
#define NAME(x) x##_avx512
#define TARGET __attribute__((target("avx512f,avx512dq,avx512vl,fma")))
#include "Kernels.inc"
#undef W
#undef LOWER_ZIPPED
#undef UPPER_ZIPPED
#undef VECTORS
#undef NAME
#undef TARGET

static int supported(vector_kernels_level wanted) {
    switch (wanted) {
    case VECTOR_KERNELS_BASELINE: return 1;
    case VECTOR_KERNELS_AVX2: return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    case VECTOR_KERNELS_AVX512:
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq")
            && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma");
    }
    return 0;
}

__attribute__((constructor)) static void choose(void) {
    __builtin_cpu_init();
    widest = supported(VECTOR_KERNELS_AVX512) ? VECTOR_KERNELS_AVX512
        : supported(VECTOR_KERNELS_AVX2)     ? VECTOR_KERNELS_AVX2
                                             : VECTOR_KERNELS_BASELINE;
}

#define DISPATCH(call)                                                                                               \
    switch (vector_kernels_current()) {                                                                              \
    case VECTOR_KERNELS_AVX512: return CALL(call, avx512);                                                           \
    case VECTOR_KERNELS_AVX2: return CALL(call, avx2);                                                               \
    case VECTOR_KERNELS_BASELINE: return CALL(call, baseline);                                                       \
    }                                                                                                                \
    __builtin_unreachable()

#else

static int supported(vector_kernels_level wanted) { return wanted == VECTOR_KERNELS_BASELINE; }

#define DISPATCH(call) return CALL(call, baseline)

#endif

#define CALL(name, variant) name##_##variant ARGUMENTS

int vector_kernels_select(vector_kernels_level wanted) {
    if (!supported(wanted)) return 0;
    chosen = (int)wanted + 1;
    return 1;
}

void vector_kernels_gemm(
    ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, const float *a, ptrdiff_t a_row, ptrdiff_t a_column, const float *b,
    ptrdiff_t ldb, const float *bias, float *c, ptrdiff_t ldc, int accumulate) {
#define ARGUMENTS (m, n, k, a, a_row, a_column, b, ldb, bias, c, ldc, accumulate)
    DISPATCH(gemm);
#undef ARGUMENTS
}

void vector_kernels_transpose(ptrdiff_t rows, ptrdiff_t columns, const float *in, float *out) {
#define ARGUMENTS (rows, columns, in, out)
    DISPATCH(transpose);
#undef ARGUMENTS
}

void vector_kernels_copy_stretches(
    ptrdiff_t stretches, ptrdiff_t n, const float *in, ptrdiff_t in_stride, float *out, ptrdiff_t out_stride) {
    for (; stretches > 0; stretches--, in += in_stride, out += out_stride) {
        ptrdiff_t i = 0;
        // Of a size that is known here, memcpy becomes a few instructions.
        for (; i + 8 <= n; i += 8) memcpy(out + i, in + i, 8 * sizeof(float));
        for (; i < n; i++) out[i] = in[i];
    }
}

void vector_kernels_column_sums(ptrdiff_t rows, ptrdiff_t columns, const float *in, float *out, int accumulate) {
#define ARGUMENTS (rows, columns, in, out, accumulate)
    DISPATCH(column_sums);
#undef ARGUMENTS
}

void vector_kernels_tanh(ptrdiff_t count, const float *x, float *y) {
#define ARGUMENTS (count, x, y)
    DISPATCH(tanh);
#undef ARGUMENTS
}

void vector_kernels_tanh_backward(ptrdiff_t count, const float *y, float *gradient) {
#define ARGUMENTS (count, y, gradient)
    DISPATCH(tanh_backward);
#undef ARGUMENTS
}

void vector_kernels_relu(ptrdiff_t count, const float *x, float *y) {
#define ARGUMENTS (count, x, y)
    DISPATCH(relu);
#undef ARGUMENTS
}

void vector_kernels_relu_backward(ptrdiff_t count, const float *y, float *gradient) {
#define ARGUMENTS (count, y, gradient)
    DISPATCH(relu_backward);
#undef ARGUMENTS
}

double vector_kernels_sum_of_squares(ptrdiff_t count, const float *x) {
#define ARGUMENTS (count, x)
    DISPATCH(sum_of_squares);
#undef ARGUMENTS
}

void vector_kernels_add(ptrdiff_t count, const float *source, float *target) {
#define ARGUMENTS (count, source, target)
    DISPATCH(add);
#undef ARGUMENTS
}

void vector_kernels_polyak(ptrdiff_t count, float rate, const float *source, float *target) {
#define ARGUMENTS (count, rate, source, target)
    DISPATCH(polyak);
#undef ARGUMENTS
}

void vector_kernels_layer_norm(
    ptrdiff_t rows, ptrdiff_t n, float epsilon, const float *gain, const float *bias, float *x, float *normalised,
    float *scales) {
#define ARGUMENTS (rows, n, epsilon, gain, bias, x, normalised, scales)
    DISPATCH(layer_norm);
#undef ARGUMENTS
}

void vector_kernels_layer_norm_backward(
    ptrdiff_t rows, ptrdiff_t n, const float *gain, const float *normalised, const float *scales, float *gradient) {
#define ARGUMENTS (rows, n, gain, normalised, scales, gradient)
    DISPATCH(layer_norm_backward);
#undef ARGUMENTS
}

void vector_kernels_product_sums(
    ptrdiff_t rows, ptrdiff_t columns, const float *a, const float *b, float *out, int accumulate) {
#define ARGUMENTS (rows, columns, a, b, out, accumulate)
    DISPATCH(product_sums);
#undef ARGUMENTS
}

void vector_kernels_adam(
    ptrdiff_t count, float *parameters, const float *gradient, float *first_moment, float *second_moment, float scale,
    float beta1, float beta2, float step, float root_correction, float epsilon) {
#define ARGUMENTS                                                                                                    \
    (count, parameters, gradient, first_moment, second_moment, scale, beta1, beta2, step, root_correction, epsilon)
    DISPATCH(adam);
#undef ARGUMENTS
}

void vector_kernels_sparse_product(
    ptrdiff_t count, const int *indices, const float *values, const float *weights, ptrdiff_t n, const float *bias,
    float *out) {
#define ARGUMENTS (count, indices, values, weights, n, bias, out)
    DISPATCH(sparse_product);
#undef ARGUMENTS
}

void vector_kernels_sparse_outer(
    ptrdiff_t count, const int *indices, const float *values, const float *delta, ptrdiff_t n, float *gradient) {
#define ARGUMENTS (count, indices, values, delta, n, gradient)
    DISPATCH(sparse_outer);
#undef ARGUMENTS
}
