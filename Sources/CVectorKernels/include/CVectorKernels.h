// The inner loops of NeuralNetwork that need vectors wider than the baseline's.
//
// Swift and C alike are compiled for baseline x86-64 (128-bit vectors, no fused multiply-add) so that one binary runs
// everywhere. Each kernel here is compiled three times, for the baseline, for AVX2 with FMA, and for AVX-512, and the
// widest that the processor has is chosen once, at load time.
//
// Order of operations is fixed: an element of a matrix product is one chain of fused multiply-adds in order of k, a
// sum has sixteen lanes in every variant. So AVX2 and AVX-512 give the same bits; the baseline differs from them only
// in having no fused multiply-add.
#ifndef C_VECTOR_KERNELS_H
#define C_VECTOR_KERNELS_H

#include <stddef.h>

#pragma clang assume_nonnull begin

// Which variant runs.
typedef enum {
    VECTOR_KERNELS_BASELINE = 0,
    VECTOR_KERNELS_AVX2 = 1,
    VECTOR_KERNELS_AVX512 = 2,
} vector_kernels_level;

// The variant that the calling thread uses.
vector_kernels_level vector_kernels_current(void);

// Chooses a variant for the calling thread, for tests and benchmarks. Returns 0, and changes nothing, where the
// processor has no such vectors.
int vector_kernels_select(vector_kernels_level level);

// c (m,n) = a (m,k) · b (k,n), plus `bias` (n) on every row when it is not null, plus what c held when `accumulate`
// is not 0. Element (i,p) of a is a[i * a_row + p * a_column], so that a transpose costs nothing; b and c are
// row-major with rows ldb and ldc apart.
void vector_kernels_gemm(
    ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, const float *a, ptrdiff_t a_row, ptrdiff_t a_column, const float *b,
    ptrdiff_t ldb, const float *_Nullable bias, float *c, ptrdiff_t ldc, int accumulate);

// out (columns,rows) = transpose of in (rows,columns), both contiguous.
void vector_kernels_transpose(ptrdiff_t rows, ptrdiff_t columns, const float *in, float *out);

// Copies `stretches` stretches of n floats, the starts `in_stride` and `out_stride` floats apart. For stretches so short
// that a call of memcpy for each would cost more than the copy.
void vector_kernels_copy_stretches(
    ptrdiff_t stretches, ptrdiff_t n, const float *in, ptrdiff_t in_stride, float *out, ptrdiff_t out_stride);

// out (columns) = sums over the rows of in (rows,columns), added to what out held when `accumulate` is not 0.
void vector_kernels_column_sums(ptrdiff_t rows, ptrdiff_t columns, const float *in, float *out, int accumulate);

// y = tanh(x), within 2 units in the last place; may work in place.
void vector_kernels_tanh(ptrdiff_t count, const float *x, float *y);

// gradient *= 1 - y², where y = tanh(x): from the gradient by y to the gradient by x, in place.
void vector_kernels_tanh_backward(ptrdiff_t count, const float *y, float *gradient);

// y = max(x, 0); NaN stays NaN. May work in place.
void vector_kernels_relu(ptrdiff_t count, const float *x, float *y);

// gradient = 0 where y ≤ 0, in place.
void vector_kernels_relu_backward(ptrdiff_t count, const float *y, float *gradient);

// The sum of squares, in double precision.
double vector_kernels_sum_of_squares(ptrdiff_t count, const float *x);

// target += source.
void vector_kernels_add(ptrdiff_t count, const float *source, float *target);

// target += rate · (source - target).
void vector_kernels_polyak(ptrdiff_t count, float rate, const float *source, float *target);

// Layer normalisation of the rows of x (rows,n), in place: x = x̂ · gain + bias with x̂ = (x − mean) · scale and
// scale = 1 / √(variance + epsilon), the variance being that of the row itself (divided by n). Writes x̂ (rows,n) and
// the scales (rows).
void vector_kernels_layer_norm(
    ptrdiff_t rows, ptrdiff_t n, float epsilon, const float *gain, const float *bias, float *x, float *normalised,
    float *scales);

// From the gradient by the normalised and scaled rows to that by the rows before, in place.
void vector_kernels_layer_norm_backward(
    ptrdiff_t rows, ptrdiff_t n, const float *gain, const float *normalised, const float *scales, float *gradient);

// out (columns) = sums over the rows of a · b, both (rows,columns), added to what out held when `accumulate` is not 0.
void vector_kernels_product_sums(
    ptrdiff_t rows, ptrdiff_t columns, const float *a, const float *b, float *out, int accumulate);

// One step of Adam in one pass over parameters, gradient (multiplied by `scale` first) and both moments, as PyTorch:
//   m = beta1 m + (1-beta1) g,  v = beta2 v + (1-beta2) g²,
//   parameter -= step · m / (√v · root_correction + epsilon)
// where step = learning rate / (1 - beta1^t) and root_correction = 1 / √(1 - beta2^t).
void vector_kernels_adam(
    ptrdiff_t count, float *parameters, const float *gradient, float *first_moment, float *second_moment, float scale,
    float beta1, float beta2, float step, float root_correction, float epsilon);

// out (n) = bias (n) + the sum of values[p] · row indices[p] of weights (…,n): a row of a matrix product whose left side
// has only `count` elements that are not 0.
void vector_kernels_sparse_product(
    ptrdiff_t count, const int *indices, const float *values, const float *weights, ptrdiff_t n, const float *bias,
    float *out);

// Row indices[p] of gradient (…,n) += values[p] · delta (n), for each p < count.
void vector_kernels_sparse_outer(
    ptrdiff_t count, const int *indices, const float *values, const float *delta, ptrdiff_t n, float *gradient);

#pragma clang assume_nonnull end

#endif
