// SPDX-License-Identifier: Apache-2.0
#include "int4_cases.h"

#include "number.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void *allocate(size_t size_bytes)
{
    void *memory = malloc(size_bytes != 0 ? size_bytes : 1);
    assert_non_null(memory);
    return memory;
}

static uint32_t random_word(uint64_t *state)
{
    // xorshift64*, the upper half of it.
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return (uint32_t)(*state * 0x2545F4914F6CDD1Du >> 32);
}

double int4_random(uint64_t *state)
{
    return (double)random_word(state) / 2147483648.0 - 1.0;
}

double int4_load(const void *array, enum segue_quant_type type, size_t i)
{
    return (double)quant_load(array, type, i);
}

void int4_store(void *array, enum segue_quant_type type, size_t i, double value)
{
    quant_store(array, type, i, (float)value);
}

static double draw_scale(struct int4_case *test, enum int4_flavour flavour)
{
    const double uniform = (int4_random(&test->random) + 2.0) / 3.0;
    if (flavour != INT4_DENORMAL_SCALES)
        return uniform / 200.0;
    return uniform * (test->matrix.scale_type == SEGUE_QUANT_F16 ? 0x1p-16 : 0x1p-128);
}

bool int4_flavour_fits(const struct segue_quant_gemv_params *params, enum int4_flavour flavour)
{
    const bool pairs = (params->flags & SEGUE_QUANT_SILU_MUL) != 0;
    if (flavour == INT4_OUTLIER)
        return !pairs && params->matrix.rows < 100 && params->matrix.columns >= 512;
    return flavour != INT4_DENORMAL_SCALES || !pairs;
}

void int4_case_make(struct int4_case *test, const struct segue_quant_matrix *matrix,
                    enum int4_flavour flavour, uint64_t seed)
{
    *test = (struct int4_case){.matrix = *matrix, .random = seed + 1};
    segue_quant_get_plain_sizes(matrix, matrix->rows, &test->sizes);
    uint8_t *weights = allocate(test->sizes.weights_bytes);
    for (uint64_t i = 0; i < test->sizes.weights_bytes; i++)
        weights[i] = (uint8_t)random_word(&test->random);
    const size_t groups = (size_t)matrix->rows * (matrix->columns / matrix->group_size);
    test->plain.weights = weights;
    test->plain.scales = allocate(test->sizes.scales_bytes);
    for (size_t i = 0; i < groups; i++)
        int4_store(test->plain.scales, matrix->scale_type, i, draw_scale(test, flavour));
    if (test->sizes.zeros_bytes == 0)
        return;
    test->plain.zeros = allocate(test->sizes.zeros_bytes);
    for (size_t i = 0; i < groups; i++) {
        if (matrix->zero == SEGUE_QUANT_ZERO_POINTS)
            ((uint8_t *)test->plain.zeros)[i] =
                (uint8_t)(random_word(&test->random) % (matrix->bits == 8 ? 256 : 17));
        else
            int4_store(test->plain.zeros, matrix->scale_type, i,
                       8.0 * int4_random(&test->random) * draw_scale(test, flavour));
    }
}

void int4_case_free(struct int4_case *test)
{
    free(test->plain.weights);
    free(test->plain.scales);
    free(test->plain.zeros);
}

double int4_case_weight(const struct int4_case *test, uint32_t row, uint32_t column)
{
    const struct segue_quant_matrix *matrix = &test->matrix;
    const uint8_t *weights = test->plain.weights;
    const size_t index = (size_t)row * matrix->columns + column;
    const size_t group = index / matrix->group_size;
    const double scale = int4_load(test->plain.scales, matrix->scale_type, group);
    const bool wide = matrix->bits == 8;
    const double q = wide             ? (double)(int8_t)weights[index]
                     : index % 2 != 0 ? weights[index / 2] >> 4
                                      : weights[index / 2] & 15;
    const uint8_t *points = test->plain.zeros;
    switch (matrix->zero) {
    case SEGUE_QUANT_ZERO_POINTS:
        return (q - (wide ? (double)(int8_t)points[group] : points[group])) * scale;
    case SEGUE_QUANT_ZERO_OFFSETS:
        return q * scale + int4_load(test->plain.zeros, matrix->scale_type, group);
    case SEGUE_QUANT_ZERO_MIDDLE_OFFSETS:
        return (q - 8.0) * scale + int4_load(test->plain.zeros, matrix->scale_type, group);
    default:
        return wide ? q * scale : (q - 8.0) * scale;
    }
}

/* ---- Products -------------------------------------------------------------------------------- */

static uint8_t *draw(struct int4_case *test, enum segue_quant_type type, size_t count, double mean,
                     double spread, size_t *out_bytes)
{
    const size_t size_bytes = count * quant_type_bytes(type);
    uint8_t *array = allocate(size_bytes);
    for (size_t i = 0; i < count; i++)
        int4_store(array, type, i, mean + spread * int4_random(&test->random));
    if (out_bytes)
        *out_bytes = size_bytes;
    return array;
}

/** x as it is multiplied: what the kernel rounds is rounded here, too. */
static double *multiplied_x(const struct int4_product *product)
{
    const struct segue_quant_gemv_params *params = &product->params;
    const size_t columns = params->matrix.columns;
    const bool norm = (params->flags & SEGUE_QUANT_NORM) != 0;
    double *x = allocate(params->batch * columns * sizeof(double));
    for (size_t m = 0; m < params->batch; m++) {
        double squares = 0.0;
        for (size_t k = 0; k < columns; k++) {
            x[m * columns + k] = int4_load(
                product->x, norm ? SEGUE_QUANT_F32 : params->activation_type, m * columns + k);
            squares += pow(x[m * columns + k], 2.0);
        }
        for (size_t k = 0; norm && k < columns; k++)
            x[m * columns + k] *= int4_load(product->norm, SEGUE_QUANT_BF16, k) /
                                  sqrt(squares / (double)columns + (double)params->epsilon);
    }
    return x;
}

static double multiply(const struct int4_case *test, const double *x, uint32_t row)
{
    double sum = 0.0;
    for (uint32_t k = 0; k < test->matrix.columns; k++)
        sum += int4_case_weight(test, row, k) * x[k];
    return sum;
}

/** What a row comes to, bias and all. */
static double row_value(const struct int4_product *product, const struct int4_case *test,
                        const double *x, uint32_t row)
{
    const double bias = product->bias ? int4_load(product->bias, SEGUE_QUANT_F32, row) : 0.0;
    return multiply(test, x, row) + bias;
}

/** A vector's q, k and v. */
static void expect_heads(struct int4_product *product, const struct int4_case *test,
                         const double *x, size_t m)
{
    const struct segue_quant_heads *heads = &product->params.heads;
    const size_t half = test->matrix.pair_stride, size = 2 * half;
    const uint32_t position = product->positions[m];
    for (uint32_t head = 0; head < heads->heads + 2 * heads->kv_heads; head++) {
        const bool turns = head < heads->heads + heads->kv_heads;
        for (uint32_t i = 0; i < half; i++) {
            const uint32_t row = (uint32_t)(head * size + i);
            const double angle = turns ? (double)((float)position * product->frequencies[i]) : 0.0;
            const double first = row_value(product, test, x, row);
            const double second = row_value(product, test, x, row + (uint32_t)half);
            double *to = product->expected + m * heads->heads * size + row;
            if (head >= heads->heads) {
                if (position >= heads->capacity)
                    continue;
                const uint32_t kv_head = (head - heads->heads) % heads->kv_heads;
                to = product->expected_caches[turns ? 0 : 1] +
                     (position * heads->kv_heads + kv_head) * size + i;
            }
            to[0] = first * cos(angle) - second * sin(angle);
            to[half] = second * cos(angle) + first * sin(angle);
        }
    }
}

static void expect_rows(struct int4_product *product, const struct int4_case *test, const double *x,
                        size_t m)
{
    const struct segue_quant_gemv_params *params = &product->params;
    const bool silu = (params->flags & SEGUE_QUANT_SILU_MUL) != 0;
    const uint32_t out_rows = silu ? params->matrix.rows / 2 : params->matrix.rows;
    for (uint32_t row = 0; row < out_rows; row++) {
        const size_t at = m * out_rows + row;
        double value = row_value(product, test, x, row);
        if (silu)
            value *= multiply(test, x, row + out_rows) / (1.0 + exp(-value));
        if (product->residual)
            value += int4_load(product->residual, params->result_type, at);
        product->expected[at] = value;
    }
}

static void compute_expected(struct int4_product *product, const struct int4_case *test)
{
    const struct segue_quant_gemv_params *params = &product->params;
    const bool rope = (params->flags & SEGUE_QUANT_ROPE_KV) != 0;
    const bool silu = (params->flags & SEGUE_QUANT_SILU_MUL) != 0;
    const uint32_t out_rows = rope   ? params->heads.heads * params->matrix.pair_stride * 2
                              : silu ? params->matrix.rows / 2
                                     : params->matrix.rows;
    double *x = multiplied_x(product);
    product->out_count = (size_t)params->batch * out_rows;
    product->expected = allocate(product->out_count * sizeof(double));
    for (size_t which = 0; which < 2; which++) {
        product->expected_caches[which] = allocate(product->cache_count * sizeof(double));
        for (size_t i = 0; i < product->cache_count; i++)
            product->expected_caches[which][i] = NAN;
    }
    for (size_t m = 0; m < params->batch; m++) {
        const double *vector = x + m * params->matrix.columns;
        if (rope)
            expect_heads(product, test, vector, m);
        else
            expect_rows(product, test, vector, m);
    }
    free(x);
}

/** Rotation, caches and positions: any that differ, the last of several beyond the capacity. */
static void draw_heads(struct int4_product *product, struct int4_case *test)
{
    const struct segue_quant_gemv_params *params = &product->params;
    const struct segue_quant_heads *heads = &params->heads;
    const uint32_t half = params->matrix.pair_stride;
    product->positions = allocate(params->batch * sizeof(uint32_t));
    for (uint32_t m = 0; m < params->batch; m++)
        product->positions[m] = m != 0 && m + 1 == params->batch ? 130003 : 7 + 2 * m;
    if (!(params->flags & SEGUE_QUANT_ROPE_KV))
        return;
    product->frequencies = allocate(half * sizeof(float));
    for (uint32_t i = 0; i < half; i++)
        product->frequencies[i] = powf(5e5f, -(float)i / (float)half);
    product->cache_count = (size_t)heads->capacity * heads->kv_heads * half * 2;
    for (size_t which = 0; which < 2; which++)
        product->caches[which] =
            draw(test, params->result_type, product->cache_count, 0.0, 1.0, NULL);
    if (!(params->flags & SEGUE_QUANT_KV_FP8))
        return;
    // Units that differ, and some so small that numbers are beyond the largest.
    product->kv_scales = allocate(2 * heads->kv_heads * sizeof(float));
    for (uint32_t i = 0; i < 2 * heads->kv_heads; i++)
        product->kv_scales[i] = 0.0005f * (float)(1 + i * i);
}

void int4_product_make(struct int4_product *product, struct int4_case *test,
                       const struct segue_quant_gemv_params *params, enum int4_flavour flavour)
{
    *product = (struct int4_product){.params = *params, .flavour = flavour};
    product->params.matrix = test->matrix;
    const size_t columns = test->matrix.columns;
    const bool norm = (params->flags & SEGUE_QUANT_NORM) != 0;
    const enum segue_quant_type x_type = norm ? SEGUE_QUANT_F32 : params->activation_type;
    const double mean = flavour == INT4_LARGE_MEAN ? 100.0 : 0.0;
    const double spread = flavour == INT4_DENORMAL_SCALES ? 1000.0 : 1.0;
    product->x = draw(test, x_type, params->batch * columns, mean, spread, &product->x_bytes);
    // Just above a power of two, where units of it are largest.
    for (size_t m = 0; m < params->batch && flavour == INT4_OUTLIER; m++)
        int4_store(product->x, x_type, m * columns + columns / 3, 130.0);
    if (norm)
        product->norm = draw(test, SEGUE_QUANT_BF16, columns, 1.0, 0.5, NULL);
    if (params->flags & SEGUE_QUANT_BIAS)
        product->bias = draw(test, SEGUE_QUANT_F32, test->matrix.rows, 0.0, 0.1, NULL);
    if (params->flags & SEGUE_QUANT_RESIDUAL)
        product->residual = draw(test, params->result_type,
                                 (size_t)params->batch * test->matrix.rows, 0.0, 0.1, NULL);
    if (params->flags & SEGUE_QUANT_ARGMAX && product->bias) {
        // Two that are the largest, beside which the sums are lost.
        int4_store(product->bias, SEGUE_QUANT_F32, test->matrix.rows / 3, 0x1p20);
        int4_store(product->bias, SEGUE_QUANT_F32, test->matrix.rows / 2, 0x1p20);
    }
    draw_heads(product, test);
    compute_expected(product, test);
}

void int4_product_free(struct int4_product *product)
{
    free(product->x);
    free(product->norm);
    free(product->bias);
    free(product->residual);
    free(product->frequencies);
    free(product->kv_scales);
    free(product->positions);
    for (size_t which = 0; which < 2; which++) {
        free(product->caches[which]);
        free(product->expected_caches[which]);
    }
    free(product->expected);
}

double int4_product_error(const struct int4_product *product, const uint8_t *out)
{
    double difference = 0.0, whole = 0.0;
    for (size_t i = 0; i < product->out_count; i++) {
        const double actual = int4_load(out, product->params.result_type, i);
        difference += pow(actual - product->expected[i], 2.0);
        whole += pow(product->expected[i], 2.0);
    }
    if (isnan(difference))
        return INFINITY;
    return whole > 0.0 ? sqrt(difference / whole) : sqrt(difference);
}

double int4_product_tolerance(const struct int4_product *product)
{
    const struct segue_quant_gemv_params *params = &product->params;
    // Half a unit of the type's last place for the one rounding of the result; normalised vectors
    // are rounded once more on the way in, and gate and up take both their share of it.
    double tolerance = 2e-5;
    if (product->flavour == INT4_OUTLIER) // What quant.h allows.
        tolerance = params->activation_type == SEGUE_QUANT_BF16 ? 2e-3 : 5e-4;
    else if (params->result_type == SEGUE_QUANT_BF16)
        tolerance = product->out_count < 50 ? 4e-3 : 2e-3; // Few numbers may all round badly.
    else if (params->result_type == SEGUE_QUANT_F16)
        tolerance = 5e-4;
    if (params->flags & SEGUE_QUANT_NORM) {
        const double rounding = params->activation_type == SEGUE_QUANT_BF16 ? 2e-3 : 5e-4;
        tolerance = hypot(tolerance, rounding);
        if (params->flags & SEGUE_QUANT_SILU_MUL)
            tolerance = hypot(tolerance, rounding);
    }
    return tolerance;
}

void int4_product_check(const struct int4_product *product, const uint8_t *out)
{
    const double error = int4_product_error(product, out);
    if (!(error <= int4_product_tolerance(product)))
        fail_msg("%s: error %.3g, allowed %.3g", int4_product_name(&product->params), error,
                 int4_product_tolerance(product));
}

/** What e4m3 stands for. */
static double load_fp8(uint8_t bits)
{
    const int exponent = bits >> 3 & 15, fraction = bits & 7;
    const double size = exponent == 0 ? ldexp(fraction, -9) : ldexp(8 + fraction, exponent - 10);
    return bits & 0x80 ? -size : size;
}

/** Each element is the nearest one, but for the error of the product. */
static void check_fp8_cache(const struct int4_product *product, uint32_t which,
                            const uint8_t *cache)
{
    const struct segue_quant_gemv_params *params = &product->params;
    const double *expected = product->expected_caches[which];
    const size_t size = 2 * (size_t)params->matrix.pair_stride;
    double squares = 0.0, count = 0.0;
    for (size_t i = 0; i < product->cache_count; i++) {
        squares += isnan(expected[i]) ? 0.0 : pow(expected[i], 2.0);
        count += isnan(expected[i]) ? 0.0 : 1.0;
    }
    for (size_t i = 0; i < product->cache_count; i++) {
        if (isnan(expected[i])) {
            if (cache[i] != product->caches[which][i])
                fail_msg("%s: element %zu of cache %u has changed", int4_product_name(params), i,
                         which);
            continue;
        }
        const size_t head = i / size % params->heads.kv_heads;
        const double unit = product->kv_scales[which * params->heads.kv_heads + head];
        const double sought = fmin(fmax(expected[i] / unit, -448.0), 448.0);
        const double off = 4.0 * int4_product_tolerance(product) * sqrt(squares / count) / unit;
        if (!(fabs(load_fp8(cache[i]) - sought) <= fmax(fabs(sought) / 16.0, 0x1p-10) + off))
            fail_msg("%s: element %zu of cache %u is %g units, not %g", int4_product_name(params),
                     i, which, load_fp8(cache[i]), sought);
    }
}

void int4_product_check_cache(const struct int4_product *product, uint32_t which,
                              const uint8_t *cache)
{
    const enum segue_quant_type type = product->params.result_type;
    const double *expected = product->expected_caches[which];
    double difference = 0.0, whole = 0.0;
    if (product->params.flags & SEGUE_QUANT_KV_FP8) {
        check_fp8_cache(product, which, cache);
        return;
    }
    for (size_t i = 0; i < product->cache_count; i++) {
        const double actual = int4_load(cache, type, i);
        if (isnan(expected[i])) {
            if (actual != int4_load(product->caches[which], type, i))
                fail_msg("%s: element %zu of cache %u has changed",
                         int4_product_name(&product->params), i, which);
            continue;
        }
        difference += pow(actual - expected[i], 2.0);
        whole += pow(expected[i], 2.0);
    }
    if (product->cache_count != 0 && !(sqrt(difference / whole) <= int4_product_tolerance(product)))
        fail_msg("%s: error of cache %u is %.3g", int4_product_name(&product->params), which,
                 sqrt(difference / whole));
}

void int4_product_check_tokens(const struct int4_product *product, const uint8_t *out,
                               const uint32_t *tokens)
{
    const size_t rows = product->params.matrix.rows;
    for (size_t m = 0; m < product->params.batch; m++) {
        size_t largest = 0;
        for (size_t row = 1; row < rows; row++) {
            if (int4_load(out, product->params.result_type, m * rows + row) >
                int4_load(out, product->params.result_type, m * rows + largest))
                largest = row;
        }
        if (tokens[m] != largest)
            fail_msg("%s: token %u of vector %zu, not %zu", int4_product_name(&product->params),
                     tokens[m], m, largest);
    }
}

const char *int4_product_name(const struct segue_quant_gemv_params *params)
{
    static char name[160];
    const struct segue_quant_matrix *matrix = &params->matrix;
    snprintf(name, sizeof(name),
             "%ux%u bits %u group %u scales %d zero %d pairs %u batch %u types %d>%d flags %u",
             matrix->rows, matrix->columns, matrix->bits, matrix->group_size,
             (int)matrix->scale_type, (int)matrix->zero, matrix->pair_stride, params->batch,
             (int)params->activation_type, (int)params->result_type, params->flags);
    return name;
}

#define BF16 SEGUE_QUANT_BF16
#define F16 SEGUE_QUANT_F16
#define F32 SEGUE_QUANT_F32
#define MIDDLE SEGUE_QUANT_ZERO_MIDDLE
#define POINTS SEGUE_QUANT_ZERO_POINTS
#define OFFSETS SEGUE_QUANT_ZERO_OFFSETS
#define MIDDLE_OFFSETS SEGUE_QUANT_ZERO_MIDDLE_OFFSETS

/** Rows, columns, bits, group, scales, zero, pairs; batch, activations, results, flags. */
#define SHAPE(r, c, b, g, s, z, p, m, a, o, f)                     \
    {                                                              \
        {NULL, r, c, b, g, s, z, p}, m, a, o, f, 1e-5f, {0, 0, 0}, \
    }
/** Heads, heads of k and v, elements of a head; columns, group; batch, type, more flags. */
#define HEADS_SHAPE(h, k, e, c, g, m, t, f)                                     \
    {                                                                           \
        {NULL, ((h) + 2 * (k)) * (e), c, 4, g, BF16, MIDDLE, (e) / 2}, m, t, t, \
            SEGUE_QUANT_ROPE_KV | (f), 1e-5f, {h, k, 24},                       \
    }

static const struct segue_quant_gemv_params shapes[] = {
    // Groups and scales.
    SHAPE(64, 512, 4, 32, BF16, MIDDLE, 0, 1, BF16, BF16, 0),
    SHAPE(64, 512, 4, 64, F16, MIDDLE, 0, 1, F16, F16, 0),
    SHAPE(64, 512, 4, 128, F32, MIDDLE, 0, 1, BF16, F32, 0),
    SHAPE(64, 512, 4, 512, BF16, MIDDLE, 0, 1, BF16, F32, 0),
    SHAPE(64, 512, 4, 512, F16, POINTS, 0, 3, F16, F32, 0),
    SHAPE(64, 512, 4, 512, F32, OFFSETS, 0, 1, BF16, F32, 0),
    // Zeros.
    SHAPE(48, 768, 4, 32, F16, POINTS, 0, 1, F16, F32, 0),
    SHAPE(48, 768, 4, 128, BF16, POINTS, 0, 2, BF16, F32, 0),
    SHAPE(48, 768, 4, 32, F16, OFFSETS, 0, 1, F16, F32, 0),
    SHAPE(48, 768, 4, 64, BF16, MIDDLE_OFFSETS, 0, 4, BF16, F32, 0),
    SHAPE(48, 768, 4, 128, F32, POINTS, 0, 1, BF16, BF16, 0),
    // Tails of rows and of columns.
    SHAPE(1, 32, 4, 32, BF16, MIDDLE, 0, 1, BF16, F32, 0),
    SHAPE(7, 64, 4, 64, BF16, MIDDLE, 0, 8, BF16, F32, 0),
    SHAPE(37, 416, 4, 32, F16, OFFSETS, 0, 5, F16, F32, 0),
    SHAPE(21, 896, 4, 128, BF16, POINTS, 0, 1, BF16, F32, 0),
    SHAPE(100, 1032, 4, 1032, F32, POINTS, 0, 2, F16, F32, 0),
    SHAPE(17, 40, 4, 40, BF16, MIDDLE_OFFSETS, 0, 1, BF16, BF16, 0),
    // 8 bits.
    SHAPE(64, 512, 8, 512, BF16, MIDDLE, 0, 1, BF16, F32, 0),
    SHAPE(35, 416, 8, 32, F16, MIDDLE, 0, 3, F16, F32, 0),
    SHAPE(48, 640, 8, 128, F32, MIDDLE, 0, 8, BF16, BF16, 0),
    // Batches.
    SHAPE(80, 512, 4, 32, BF16, MIDDLE, 0, 9, BF16, F32, 0),
    SHAPE(80, 512, 4, 128, F16, MIDDLE, 0, 16, F16, F32, 0),
    SHAPE(33, 544, 4, 32, BF16, OFFSETS, 0, 27, BF16, F32, 0),
    SHAPE(32, 512, 4, 128, BF16, POINTS, 0, 64, BF16, BF16, 0),
    // Epilogues and the prologue.
    SHAPE(50, 512, 4, 32, BF16, MIDDLE, 0, 2, BF16, F32, SEGUE_QUANT_BIAS),
    SHAPE(50, 512, 4, 32, BF16, MIDDLE, 0, 3, BF16, F32, SEGUE_QUANT_RESIDUAL),
    SHAPE(50, 512, 4, 64, F16, MIDDLE, 0, 9, F16, F16, SEGUE_QUANT_BIAS | SEGUE_QUANT_RESIDUAL),
    SHAPE(64, 544, 4, 32, BF16, MIDDLE, 0, 1, BF16, F32, SEGUE_QUANT_NORM),
    SHAPE(64, 512, 4, 128, BF16, MIDDLE, 0, 4, F16, F32, SEGUE_QUANT_NORM | SEGUE_QUANT_BIAS),
    SHAPE(96, 512, 4, 32, BF16, MIDDLE, 48, 1, BF16, BF16, SEGUE_QUANT_SILU_MUL),
    SHAPE(96, 512, 4, 32, BF16, MIDDLE, 48, 5, BF16, F32, SEGUE_QUANT_SILU_MUL | SEGUE_QUANT_NORM),
    SHAPE(96, 512, 4, 128, F16, POINTS, 16, 2, F16, F32, 0),
    // Large enough for several blocks a warp, several tiles a thread block, and a long K.
    SHAPE(4608, 512, 4, 32, BF16, MIDDLE, 0, 1, BF16, F32, 0),
    SHAPE(64, 14336, 4, 128, BF16, MIDDLE, 0, 1, BF16, F32, 0),
    SHAPE(64, 14336, 4, 32, BF16, POINTS, 0, 8, BF16, F32, 0),
    SHAPE(2200, 2304, 4, 32, BF16, MIDDLE, 0, 8, BF16, F32, 0),
    // So many tiles that a multiprocessor gets two thread blocks.
    SHAPE(16912, 160, 4, 32, BF16, MIDDLE, 0, 6, BF16, F32, 0),
    SHAPE(16920, 512, 4, 128, F16, POINTS, 0, 3, F16, F32, 0),
    // 8 bits with zeros.
    SHAPE(51, 768, 8, 128, BF16, POINTS, 0, 1, BF16, F32, 0),
    SHAPE(64, 416, 8, 32, F16, POINTS, 16, 9, F16, F32, 0),
    SHAPE(64, 520, 8, 520, F32, POINTS, 0, 10, BF16, F32, 0),
    SHAPE(48, 512, 8, 64, F16, OFFSETS, 0, 2, F16, F32, 0),
    // Rotation into caches.
    HEADS_SHAPE(3, 1, 16, 512, 32, 1, BF16, SEGUE_QUANT_NORM),
    HEADS_SHAPE(4, 2, 64, 160, 32, 3, F16, SEGUE_QUANT_BIAS),
    // The largest result, in several rounds; equal ones.
    SHAPE(1045, 160, 4, 32, BF16, MIDDLE, 0, 1, BF16, F32,
          SEGUE_QUANT_NORM | SEGUE_QUANT_ARGMAX | SEGUE_QUANT_ADVANCE),
    SHAPE(300, 160, 4, 32, BF16, MIDDLE, 0, 5, BF16, BF16, SEGUE_QUANT_BIAS | SEGUE_QUANT_ARGMAX),
    // More results of a round than threads, and several rounds on a small device.
    SHAPE(277, 1024, 4, 32, BF16, MIDDLE, 0, 8, BF16, F32, SEGUE_QUANT_BIAS | SEGUE_QUANT_RESIDUAL),
    // Several pieces of a normalised vector for each lane, and warps with unequal parts.
    SHAPE(32, 4736, 4, 32, BF16, MIDDLE, 0, 2, BF16, F32, SEGUE_QUANT_NORM),
    // Rotation into caches of fp8.
    HEADS_SHAPE(3, 1, 16, 512, 32, 1, BF16, SEGUE_QUANT_NORM | SEGUE_QUANT_KV_FP8),
    HEADS_SHAPE(4, 2, 64, 160, 32, 3, F16, SEGUE_QUANT_BIAS | SEGUE_QUANT_KV_FP8),
    // Batches that are whole parts of eight, in other formats.
    SHAPE(72, 640, 4, 32, BF16, MIDDLE, 0, 32, BF16, F32, SEGUE_QUANT_RESIDUAL),
    SHAPE(40, 416, 4, 32, F16, OFFSETS, 0, 64, F16, F32, SEGUE_QUANT_BIAS),
    SHAPE(96, 384, 4, 128, BF16, MIDDLE, 48, 17, F16, F32, SEGUE_QUANT_SILU_MUL | SEGUE_QUANT_NORM),
    SHAPE(57, 264, 8, 264, F16, MIDDLE, 0, 40, F16, F16, 0),
    // Many columns a warp of f16, which bytes would not be exact enough for.
    SHAPE(48, 10240, 4, 128, BF16, MIDDLE, 0, 1, F16, F32, 0),
    // So many numbers of x that warps take several tiles at a time, with unequal parts of them.
    SHAPE(71, 8576, 4, 128, BF16, MIDDLE, 0, 8, BF16, F32, SEGUE_QUANT_BIAS | SEGUE_QUANT_RESIDUAL),
    SHAPE(70, 4736, 4, 32, F16, POINTS, 0, 14, F16, F16, 0),
    SHAPE(80, 2208, 4, 32, BF16, MIDDLE, 40, 30, BF16, BF16, 0),
    SHAPE(530, 1088, 4, 64, BF16, MIDDLE_OFFSETS, 0, 33, BF16, F32, SEGUE_QUANT_ARGMAX),
    SHAPE(70, 4352, 8, 128, F16, POINTS, 0, 16, F16, F32, 0),
};

uint32_t int4_shape_count(void)
{
    return sizeof(shapes) / sizeof(shapes[0]);
}

struct segue_quant_gemv_params int4_shape(uint32_t index)
{
    return shapes[index];
}
