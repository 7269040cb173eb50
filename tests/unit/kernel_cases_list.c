// SPDX-License-Identifier: Apache-2.0
#include "kernel_cases_build.h"

#include "decode/philox.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/** Shape and peculiarities of a case; what the numbers mean is up to the kernel. */
struct variant {
    enum segue_decode_kernel kernel;
    const char *what;
    uint32_t a, b, c, d, e;
};

static double nibble(const struct kernel_case *test, uint32_t index, size_t i)
{
    const uint8_t byte = test->bindings[index].data[i / 2];
    return (double)(i % 2 ? byte >> 4 : byte & 15) - 8.0;
}

/** a: vocabulary, b: hidden, c: token. */
static void make_embed(struct kernel_case *test, const struct variant *v)
{
    const uint32_t token = kernel_case_bind(test, KERNEL_CASE_U32, 1);
    const uint32_t table = kernel_case_bind(test, KERNEL_CASE_U8, (size_t)v->a * v->b / 2);
    const uint32_t scales = kernel_case_bind(test, KERNEL_CASE_BF16, (size_t)v->a * v->b / 32);
    const uint32_t out = kernel_case_bind(test, KERNEL_CASE_F32, v->b);
    kernel_case_set(test, token, 0, v->c);
    kernel_case_constant(test, v->a);
    kernel_case_constant(test, v->b);
    test->grid = (v->b + 255) / 256;
    const size_t row = v->c < v->a ? v->c : v->a - 1;
    double *expected = kernel_case_expect(test, out);
    for (size_t i = 0; i < v->b; i++)
        expected[i] = nibble(test, table, row * v->b + i) *
                      kernel_case_get(test, scales, (row * v->b + i) / 32);
}

/** a: count, b: x is all zeros. */
static void make_rms_norm(struct kernel_case *test, const struct variant *v)
{
    const uint32_t x = kernel_case_bind(test, KERNEL_CASE_F32, v->a);
    const uint32_t weight = kernel_case_bind(test, KERNEL_CASE_BF16, v->a);
    const uint32_t out = kernel_case_bind(test, KERNEL_CASE_BF16, v->a);
    kernel_case_constant(test, v->a);
    kernel_case_constant_f32(test, 1e-5f);
    test->grid = 1;
    double sum = 0.0;
    for (size_t i = 0; i < v->a; i++) {
        if (v->b)
            kernel_case_set(test, x, i, 0.0);
        sum += pow(kernel_case_get(test, x, i), 2.0);
    }
    double *expected = kernel_case_expect(test, out);
    for (size_t i = 0; i < v->a; i++)
        expected[i] = kernel_case_get(test, x, i) / sqrt(sum / v->a + 1e-5) *
                      kernel_case_get(test, weight, i);
}

/** a: rows, b: columns, c: grid (0: the best). */
static void make_linear(struct kernel_case *test, const struct variant *v)
{
    const bool wide = v->kernel == SEGUE_DECODE_LINEAR_INT4_F32;
    const uint32_t x = kernel_case_bind(test, KERNEL_CASE_BF16, v->b);
    const uint32_t weights = kernel_case_bind(test, KERNEL_CASE_U8, (size_t)v->a * v->b / 2);
    const uint32_t scales = kernel_case_bind(test, KERNEL_CASE_BF16, (size_t)v->a * v->b / 32);
    const uint32_t out = kernel_case_bind(test, wide ? KERNEL_CASE_F32 : KERNEL_CASE_BF16, v->a);
    kernel_case_constant(test, v->a);
    kernel_case_constant(test, v->b);
    test->grid = v->c ? v->c : (v->a + 7) / 8;
    double *expected = kernel_case_expect(test, out);
    for (size_t row = 0; row < v->a; row++) {
        expected[row] = 0.0;
        for (size_t i = row * v->b; i < (row + 1) * v->b; i++)
            expected[row] += nibble(test, weights, i) * kernel_case_get(test, scales, i / 32) *
                             kernel_case_get(test, x, i % v->b);
    }
}

/** How values are rounded to bf16, whose unit at 1 is 1/128: to nearest, and to even from half way;
 * NaN stays NaN. a: rows (6), b: columns (32). */
static void make_rounding(struct kernel_case *test, const struct variant *v)
{
    static const double x_values[] = {1.0, 1.0 / 128, 1.0 / 256, 1.0 / 4096};
    static const struct {
        int weights[COUNT_OF(x_values)];
        double scale;
        double rounded;
    } rows[] = {
        {{1, 0, 1, 0}, 1.0, 1.0},
        {{1, 1, 1, 0}, 1.0, 1.0 + 2.0 / 128},
        {{1, 0, 1, 1}, 1.0, 1.0 + 1.0 / 128},
        {{1, 1, 1, 0}, -1.0, -1.0 - 2.0 / 128},
        {{2, -1, 1, 0}, 1.0, 2.0},
        {{1, 0, 0, 0}, NAN, NAN},
    };
    make_linear(test, v);
    test->exact = true;
    memset(test->bindings[1].data, 0x88, test->bindings[1].size_bytes); // All weights 0.
    for (size_t i = 0; i < v->b; i++)
        kernel_case_set(test, 0, i, i < COUNT_OF(x_values) ? x_values[i] : 0.0);
    for (size_t row = 0; row < COUNT_OF(rows); row++) {
        uint8_t *packed = test->bindings[1].data + row * v->b / 2;
        for (size_t i = 0; i < COUNT_OF(x_values); i++)
            packed[i / 2] = (uint8_t)(packed[i / 2] + rows[row].weights[i] * (i % 2 ? 16 : 1));
        kernel_case_set(test, 2, row, rows[row].scale);
        test->bindings[3].expected[row] = rows[row].rounded;
    }
}

static void rotate(const struct kernel_case *test, uint32_t from, size_t first, size_t half_size,
                   uint32_t frequencies, uint32_t position, double *to)
{
    for (size_t i = 0; i < half_size; i++) {
        // The angle is a product in f32 by definition; what follows is not rounded here.
        const float frequency = (float)kernel_case_get(test, frequencies, i);
        const double angle = (double)((float)position * frequency);
        const double a = kernel_case_get(test, from, first + i);
        const double b = kernel_case_get(test, from, first + i + half_size);
        to[i] = a * cos(angle) - b * sin(angle);
        to[i + half_size] = b * cos(angle) + a * sin(angle);
    }
}

/** Scales of k and v, [2][kv_heads]; returns their binding. */
static uint32_t bind_scales(struct kernel_case *test, uint32_t kv_heads)
{
    const uint32_t scales = kernel_case_bind(test, KERNEL_CASE_F32, 2 * (size_t)kv_heads);
    for (uint32_t i = 0; i < 2 * kv_heads; i++)
        kernel_case_set(test, scales, i, 0.03 + 0.01 * (kernel_case_get(test, scales, i) + 1.0));
    return scales;
}

/** Divides what goes into an fp8 cache by its head's scale; the format ends at 448. */
static void to_units(double *row, const struct kernel_case *test, uint32_t scales, size_t first,
                     size_t heads, size_t head_size)
{
    for (size_t i = 0; i < heads * head_size; i++) {
        const double value = row[i] / kernel_case_get(test, scales, first + i / head_size);
        row[i] = fmax(-448.0, fmin(448.0, value));
    }
}

/** a: heads, b: kv heads, c: head size, d: capacity, e: position. */
static void make_rope(struct kernel_case *test, const struct variant *v)
{
    const bool fp8 = v->kernel == SEGUE_DECODE_ROPE_KV_FP8;
    const enum kernel_case_type type = fp8 ? KERNEL_CASE_E4M3 : KERNEL_CASE_BF16;
    const size_t cache_count = (size_t)v->b * v->c * v->d;
    const size_t kv_count = (size_t)v->b * v->c;
    const uint32_t q = kernel_case_bind(test, KERNEL_CASE_BF16, (size_t)v->a * v->c);
    const uint32_t k = kernel_case_bind(test, KERNEL_CASE_BF16, kv_count);
    const uint32_t value = kernel_case_bind(test, KERNEL_CASE_BF16, kv_count);
    const uint32_t frequencies = kernel_case_bind(test, KERNEL_CASE_F32, v->c / 2);
    const uint32_t scales = fp8 ? bind_scales(test, v->b) : 0;
    const uint32_t position = kernel_case_bind(test, KERNEL_CASE_U32, 1);
    const uint32_t k_cache = kernel_case_bind(test, type, cache_count);
    const uint32_t v_cache = kernel_case_bind(test, type, cache_count);
    kernel_case_set(test, position, 0, v->e);
    const uint32_t constants[] = {v->a, v->b, v->c, v->d};
    for (size_t i = 0; i < COUNT_OF(constants); i++)
        kernel_case_constant(test, constants[i]);
    test->grid = ((v->a + v->b) * v->c / 2 + 127) / 128;

    double *expected_q = kernel_case_expect(test, q);
    for (size_t head = 0; head < v->a; head++)
        rotate(test, q, head * v->c, v->c / 2, frequencies, v->e, expected_q + head * v->c);
    if (v->e >= v->d)
        return; // The caches stay as they are.
    double *expected_k = kernel_case_expect(test, k_cache) + v->e * kv_count;
    double *expected_v = kernel_case_expect(test, v_cache) + v->e * kv_count;
    for (size_t head = 0; head < v->b; head++)
        rotate(test, k, head * v->c, v->c / 2, frequencies, v->e, expected_k + head * v->c);
    for (size_t i = 0; i < kv_count; i++)
        expected_v[i] = kernel_case_get(test, value, i);
    if (fp8) {
        to_units(expected_k, test, scales, 0, v->b, v->c);
        to_units(expected_v, test, scales, v->b, v->b, v->c);
    }
}

/** How values are rounded to fp8: all that bf16 has below 1024, at position 0 with scales of 1,
 * must come to the nearest code exactly. */
static void make_fp8_rounding(struct kernel_case *test, const struct variant *v)
{
    make_rope(test, v);
    test->exact = true;
    const size_t count = (size_t)v->b * v->c;
    for (uint32_t i = 0; i < 2 * v->b; i++)
        kernel_case_set(test, 4, i, 1.0);
    for (uint32_t i = 0; i < v->c / 2; i++)
        kernel_case_set(test, 3, i, 0.0);
    for (size_t i = 0; i < count; i++) {
        // From 2^-13 on, 64 values for each power of two, of both signs.
        const double size = ldexp(1.0 + (double)(i / 2 % 64) / 64, (int)(i / 128) - 13);
        for (uint32_t of = 0; of < 2; of++) {
            kernel_case_set(test, 1 + of, i, i % 2 ? -size : size);
            struct kernel_case_binding *cache = &test->bindings[6 + of];
            const uint8_t before = cache->data[0];
            // Through the case's own conversion, which tries all codes.
            kernel_case_set(test, 6 + of, 0, fmax(-448.0, fmin(448.0, i % 2 ? -size : size)));
            cache->expected[i] = kernel_case_e4m3(cache->data[0]);
            cache->data[0] = before;
        }
    }
    double *q = test->bindings[0].expected;
    for (size_t i = 0; i < (size_t)v->a * v->c; i++)
        q[i] = kernel_case_get(test, 0, i);
}

/** What an attention kernel is, by its name. */
struct attention {
    uint32_t head_size;
    bool fp8;
    bool is_long;
};

static struct attention attention_of(enum segue_decode_kernel kernel)
{
    struct segue_executable_params params;
    segue_kernels_get_decode(&params);
    const char *name = params.entry_points[kernel].name;
    return (struct attention){(uint32_t)atoi(strrchr(name, '_') + 1), strstr(name, "_fp8_") != NULL,
                              strstr(name, "_long_") != NULL};
}

/** What one query head comes to: of elements `query` and on, with the kv head's scales. */
static void expect_head(const struct kernel_case *test, const struct segue_gqa_decode_constants *c,
                        uint32_t head_size, uint32_t head, size_t context, const double scales[2],
                        double *out)
{
    double largest = -INFINITY, sum = 0.0;
    memset(out, 0, head_size * sizeof(*out));
    // Twice: for the largest score, and for the sums.
    for (int pass = 0; pass < 2; pass++) {
        for (size_t row = 0; row < context; row++) {
            const size_t at = (row * c->kv_heads + head / (c->heads / c->kv_heads)) * head_size;
            double score = 0.0;
            for (size_t i = 0; i < head_size; i++)
                score += kernel_case_get(test, 0, (size_t)head * head_size + i) *
                         kernel_case_get(test, 1, at + i);
            score *= (double)c->scale * scales[0];
            largest = pass == 0 ? fmax(largest, score) : largest;
            const double weight = exp(score - largest);
            for (size_t i = 0; pass == 1 && i < head_size; i++)
                out[i] += weight * kernel_case_get(test, 2, at + i);
            sum += pass == 1 ? weight : 0.0;
        }
    }
    for (size_t i = 0; i < head_size; i++)
        out[i] *= scales[1] / sum;
}

/** a: heads, b: kv heads, c: splits, d: capacity, e: position. */
static void make_gqa(struct kernel_case *test, const struct variant *v)
{
    const struct attention kind = attention_of(v->kernel);
    const uint32_t head_size = kind.head_size;
    const bool fp8 = kind.fp8;
    const struct segue_gqa_decode_constants constants = {
        v->a, v->b, v->d, 0.25f, v->c, strncmp(v->what, "settled", 7) == 0};
    const enum kernel_case_type type = fp8 ? KERNEL_CASE_E4M3 : KERNEL_CASE_BF16;
    const size_t cache_count = (size_t)v->b * head_size * v->d;
    struct segue_gqa_decode_sizes sizes;
    (kind.is_long ? segue_gqa_long_get_sizes : segue_gqa_decode_get_sizes)(&constants, head_size,
                                                                           &sizes);
    const uint32_t q = kernel_case_bind(test, KERNEL_CASE_BF16, (size_t)v->a * head_size);
    kernel_case_bind(test, type, cache_count);
    kernel_case_bind(test, type, cache_count);
    const uint32_t scales = fp8 ? bind_scales(test, v->b) : 0;
    const uint32_t position = kernel_case_bind(test, KERNEL_CASE_U32, 1);
    const uint32_t out = kernel_case_bind(test, KERNEL_CASE_BF16, (size_t)v->a * head_size);
    const uint32_t arrived = kernel_case_bind(test, KERNEL_CASE_U32, sizes.arrived_bytes / 4);
    const uint32_t partials = kernel_case_bind(test, KERNEL_CASE_F32, sizes.partials_bytes / 4);
    memset(test->bindings[arrived].data, 0, sizes.arrived_bytes);
    test->bindings[partials].is_scratch = true;
    kernel_case_set(test, position, 0, v->e);
    memcpy(test->constants, &constants, sizeof(constants));
    test->constant_count = sizeof(constants) / 4;
    test->grid = sizes.grid;
    // Scores so far apart that all but few weights are nothing, and their exponentials beyond f32.
    for (size_t i = 0; strcmp(v->what, "large scores") == 0 && i < (size_t)v->a * head_size; i++)
        kernel_case_set(test, q, i, 100.0 * kernel_case_get(test, q, i));
    if (constants.settled) {
        const size_t row_bytes = cache_count / v->d * kernel_case_type_size(type);
        test->bindings[1].is_settled = test->bindings[2].is_settled = true;
        test->bindings[1].late_offset = test->bindings[2].late_offset = v->e * row_bytes;
        test->bindings[1].late_bytes = test->bindings[2].late_bytes = v->e < v->d ? row_bytes : 0;
        test->bindings[position].is_settled = true;
    }

    const size_t context = v->e < v->d ? v->e + 1 : v->d;
    double *expected = kernel_case_expect(test, out);
    for (uint32_t head = 0; head < v->a; head++) {
        const uint32_t kv_head = head / (v->a / v->b);
        const double of_head[2] = {
            fp8 ? kernel_case_get(test, scales, kv_head) : 1.0,
            fp8 ? kernel_case_get(test, scales, v->b + kv_head) : 1.0,
        };
        expect_head(test, &constants, head_size, head, context, of_head,
                    expected + (size_t)head * head_size);
    }
}

/** a: count, b: factor on the gate. */
static void make_silu_mul(struct kernel_case *test, const struct variant *v)
{
    const uint32_t gate = kernel_case_bind(test, KERNEL_CASE_BF16, v->a);
    const uint32_t up = kernel_case_bind(test, KERNEL_CASE_BF16, v->a);
    const uint32_t out = kernel_case_bind(test, KERNEL_CASE_BF16, v->a);
    kernel_case_constant(test, v->a);
    test->grid = (v->a + 255) / 256;
    double *expected = kernel_case_expect(test, out);
    for (size_t i = 0; i < v->a; i++) {
        kernel_case_set(test, gate, i, v->b * kernel_case_get(test, gate, i));
        const double x = kernel_case_get(test, gate, i);
        expected[i] = x / (1.0 + exp(-x)) * kernel_case_get(test, up, i);
    }
}

/** a: count. */
static void make_residual_add(struct kernel_case *test, const struct variant *v)
{
    const uint32_t x = kernel_case_bind(test, KERNEL_CASE_F32, v->a);
    const uint32_t y = kernel_case_bind(test, KERNEL_CASE_BF16, v->a);
    kernel_case_constant(test, v->a);
    test->grid = (v->a + 255) / 256;
    double *expected = kernel_case_expect(test, x);
    for (size_t i = 0; i < v->a; i++)
        expected[i] += kernel_case_get(test, y, i);
}

enum argmax_content {
    ARGMAX_RANDOM,
    /** The largest value twice, at d and e. */
    ARGMAX_TIE,
    ARGMAX_ALL_EQUAL,
    ARGMAX_ALL_MINUS_INFINITY,
    ARGMAX_ALL_NAN,
    /** NaN but for minus infinity at d. */
    ARGMAX_NAN_AND_MINUS_INFINITY,
};

/** a: count, c: content, d, e: indices; b: the answer, where the content is not random. */
static void make_argmax(struct kernel_case *test, const struct variant *v)
{
    const uint32_t values = kernel_case_bind(test, KERNEL_CASE_F32, v->a);
    const uint32_t out = kernel_case_bind(test, KERNEL_CASE_U32, 1);
    const uint32_t state = kernel_case_bind(test, KERNEL_CASE_U32, 4);
    memset(test->bindings[state].data, 0, test->bindings[state].size_bytes);
    kernel_case_constant(test, v->a);
    test->grid = strcmp(v->what, "small grid") == 0 ? 2 : (v->a + 2047) / 2048;
    for (uint32_t i = 0; i < v->a; i++) {
        if (v->c == ARGMAX_ALL_EQUAL)
            kernel_case_set(test, values, i, -3.0);
        else if (v->c == ARGMAX_ALL_MINUS_INFINITY)
            kernel_case_set(test, values, i, -INFINITY);
        else if (v->c == ARGMAX_ALL_NAN || v->c == ARGMAX_NAN_AND_MINUS_INFINITY)
            kernel_case_set(test, values, i, NAN);
    }
    if (v->c == ARGMAX_TIE) {
        kernel_case_set(test, values, v->d, 2.0);
        kernel_case_set(test, values, v->e, 2.0);
    } else if (v->c == ARGMAX_NAN_AND_MINUS_INFINITY) {
        kernel_case_set(test, values, v->d, -INFINITY);
    }
    uint32_t best = v->b;
    for (uint32_t i = 0; v->c == ARGMAX_RANDOM && i < v->a; i++) {
        if (i == 0 || kernel_case_get(test, values, i) > kernel_case_get(test, values, best))
            best = i;
    }
    kernel_case_set(test, out, 0, 77777);
    kernel_case_expect(test, out)[0] = best;
}

enum sample_content {
    SAMPLE_RANDOM,
    /** Quarters, so that many are equal. */
    SAMPLE_COARSE,
    SAMPLE_ALL_EQUAL,
    /** NaN but for minus infinity at 7 and 9. */
    SAMPLE_NAN,
    SAMPLE_ALL_NAN,
    /** Infinity at 5 and 3000, where there is that. */
    SAMPLE_INFINITY,
    /** A temperature of 0. */
    SAMPLE_GREEDY,
    /** The largest are equal, one for each pair of threads. */
    SAMPLE_APART,
};

/** Index of the largest logit that is not taken yet; `count` where there is none. */
static uint32_t find_largest(const struct kernel_case *test, uint32_t count, const bool *taken)
{
    uint32_t best = count;
    for (uint32_t i = 0; i < count; i++) {
        const double value = kernel_case_get(test, 0, i);
        if (!taken[i] && !isnan(value) && (best == count || value > kernel_case_get(test, 0, best)))
            best = i;
    }
    return best;
}

/** What is drawn, in double precision; fails where it is too near to another to be sure. */
static uint32_t expect_drawn(const struct kernel_case *test, uint32_t count, uint32_t top_k,
                             double temperature, uint32_t random)
{
    uint32_t indices[64], found = 0;
    double weights[64], total = 0.0, below = 0.0;
    bool *taken = calloc(count, sizeof(*taken));
    assert_non_null(taken);
    for (; found < top_k; found++) {
        indices[found] = find_largest(test, count, taken);
        if (indices[found] == count)
            break;
        taken[indices[found]] = true;
        const double value = kernel_case_get(test, 0, indices[found]);
        const double first = kernel_case_get(test, 0, indices[0]);
        weights[found] = value == first ? 1.0 : exp((value - first) / temperature);
        total += weights[found];
    }
    free(taken);
    const double target = (random >> 8) / 16777216.0 * total;
    for (uint32_t i = 0; i < found; i++) {
        below += weights[i];
        if (fabs(below - target) < 1e-5 * total && i + 1 < found)
            fail_msg("%s: the number drawn is on an edge", test->name);
        if (below > target)
            return indices[i];
    }
    return 0;
}

/** a: count, b: top_k, c: content, d: position, e: seed. */
static void make_sample(struct kernel_case *test, const struct variant *v)
{
    struct segue_sample_sizes sizes;
    segue_sample_get_sizes(v->a, &sizes);
    const uint32_t logits = kernel_case_bind(test, KERNEL_CASE_F32, v->a);
    const uint32_t sampling = kernel_case_bind(test, KERNEL_CASE_U32, 4);
    const uint32_t position = kernel_case_bind(test, KERNEL_CASE_U32, 1);
    const uint32_t out = kernel_case_bind(test, KERNEL_CASE_U32, 1);
    const uint32_t arrived = kernel_case_bind(test, KERNEL_CASE_U32, 1);
    const uint32_t candidates = kernel_case_bind(test, KERNEL_CASE_U32, sizes.candidates_bytes / 4);
    const struct segue_sampling values = {{v->e, ~v->e}, v->c == SAMPLE_GREEDY ? 0.0f : 0.7f, v->b};
    memcpy(test->bindings[sampling].data, &values, sizeof(values));
    test->bindings[candidates].is_scratch = true;
    kernel_case_set(test, position, 0, v->d);
    kernel_case_set(test, arrived, 0, 0);
    kernel_case_constant(test, v->a);
    test->grid = strcmp(v->what, "small grid") == 0 ? 2 : sizes.grid;
    for (uint32_t i = 0; i < v->a; i++) {
        const double value = kernel_case_get(test, logits, i);
        if (v->c == SAMPLE_COARSE)
            kernel_case_set(test, logits, i, floor(value * 40.0) / 4.0);
        else if (v->c == SAMPLE_ALL_EQUAL)
            kernel_case_set(test, logits, i, i % 2 ? 0.0 : -0.0);
        else if (v->c == SAMPLE_NAN || v->c == SAMPLE_ALL_NAN)
            kernel_case_set(test, logits, i,
                            v->c == SAMPLE_NAN && (i == 7 || i == 9) ? -INFINITY : NAN);
        else if (v->c == SAMPLE_INFINITY && (i == 5 || i == 3000))
            kernel_case_set(test, logits, i, INFINITY);
        else if (v->c == SAMPLE_APART) // One of each pair of threads.
            kernel_case_set(test, logits, i, i % 2 == 0 && i < 128 ? 0.0 : -100.0);
    }
    uint32_t words[4] = {v->d, 0, 0, 0};
    philox4x32_10(values.seed, words);
    const uint32_t top_k = v->c == SAMPLE_GREEDY ? 1 : v->b == 0 || v->b > 64 ? 64 : v->b;
    kernel_case_set(test, out, 0, 77777);
    kernel_case_expect(test, out)[0] = expect_drawn(test, v->a, top_k, 0.7, words[0]);
}

static const struct variant variants[] = {
    {SEGUE_DECODE_EMBED_INT4, "first row", 7, 32, 0, 0, 0},
    {SEGUE_DECODE_EMBED_INT4, "last row", 7, 96, 6, 0, 0},
    {SEGUE_DECODE_EMBED_INT4, "beyond the table", 5, 2080, 5, 0, 0},
    {SEGUE_DECODE_RMS_NORM, "one element", 1, 0, 0, 0, 0},
    {SEGUE_DECODE_RMS_NORM, "odd count", 333, 0, 0, 0, 0},
    {SEGUE_DECODE_RMS_NORM, "hidden of 3B", 3072, 0, 0, 0, 0},
    {SEGUE_DECODE_RMS_NORM, "zeros", 64, 1, 0, 0, 0},
    {SEGUE_DECODE_LINEAR_INT4, "one group", 1, 32, 0, 0, 0},
    {SEGUE_DECODE_LINEAR_INT4, "odd shape", 13, 2080, 0, 0, 0},
    {SEGUE_DECODE_LINEAR_INT4, "rounding", 6, 32, 0, 0, 0},
    {SEGUE_DECODE_LINEAR_INT4, "small grid", 33, 96, 2, 0, 0},
    {SEGUE_DECODE_LINEAR_INT4_F32, "one group", 3, 32, 0, 0, 0},
    {SEGUE_DECODE_LINEAR_INT4_F32, "ffn of 8B", 9, 14336, 0, 0, 0},
    {SEGUE_DECODE_ROPE_KV, "position 0", 3, 1, 8, 4, 0},
    {SEGUE_DECODE_ROPE_KV, "last row", 4, 2, 64, 6, 5},
    {SEGUE_DECODE_ROPE_KV, "beyond the capacity", 6, 2, 128, 3, 3},
    {SEGUE_DECODE_ROPE_KV, "far position", 2, 1, 10, 1, 131071},
    {SEGUE_DECODE_ROPE_KV_FP8, "last row", 4, 2, 64, 6, 5},
    {SEGUE_DECODE_ROPE_KV_FP8, "beyond the capacity", 6, 2, 128, 3, 3},
    {SEGUE_DECODE_ROPE_KV_FP8, "fp8 rounding", 1, 24, 128, 1, 0},
    {SEGUE_DECODE_GQA_64, "context 1", 4, 2, 3, 9, 0},
    {SEGUE_DECODE_GQA_64, "shape of 1B", 32, 8, 1, 128, 99},
    {SEGUE_DECODE_GQA_64, "five splits", 8, 2, 5, 700, 690},
    {SEGUE_DECODE_GQA_64, "eight splits", 4, 2, 8, 300, 299},
    {SEGUE_DECODE_GQA_64, "three clusters", 4, 1, 20, 2700, 2600},
    {SEGUE_DECODE_GQA_64, "settled, context 1", 4, 2, 3, 9, 0},
    {SEGUE_DECODE_GQA_64, "settled, one cluster", 8, 2, 8, 700, 690},
    {SEGUE_DECODE_GQA_64, "settled, two clusters", 3, 1, 16, 2200, 2112},
    {SEGUE_DECODE_GQA_64, "settled, beyond the capacity", 2, 1, 1, 5, 9},
    {SEGUE_DECODE_GQA_64, "more splits than rows", 3, 1, 9, 200, 131},
    {SEGUE_DECODE_GQA_64, "large scores", 4, 1, 2, 300, 260},
    {SEGUE_DECODE_GQA_64, "beyond the capacity", 2, 1, 1, 5, 9},
    {SEGUE_DECODE_GQA_64, "nineteen heads a kv head", 38, 2, 2, 140, 130},
    {SEGUE_DECODE_GQA_128, "shape of 3B", 24, 8, 1, 77, 76},
    {SEGUE_DECODE_GQA_128, "three splits", 3, 1, 3, 500, 443},
    {SEGUE_DECODE_GQA_128, "settled, shape of 8B", 32, 8, 8, 66, 64},
    {SEGUE_DECODE_GQA_256, "two splits", 2, 1, 2, 200, 177},
    {SEGUE_DECODE_GQA_256, "settled, one split", 2, 1, 1, 200, 143},
    {SEGUE_DECODE_GQA_FP8_64, "four splits", 8, 2, 4, 600, 513},
    {SEGUE_DECODE_GQA_FP8_64, "context 17", 4, 4, 1, 20, 16},
    {SEGUE_DECODE_GQA_FP8_64, "settled, eight splits", 8, 2, 8, 600, 512},
    {SEGUE_DECODE_GQA_FP8_64, "large scores", 4, 1, 2, 300, 260},
    {SEGUE_DECODE_GQA_FP8_128, "two splits", 4, 1, 2, 300, 290},
    {SEGUE_DECODE_GQA_FP8_128, "settled, nine heads a kv head", 9, 1, 8, 300, 271},
    {SEGUE_DECODE_GQA_FP8_256, "two splits", 2, 1, 2, 200, 177},
    {SEGUE_DECODE_GQA_LONG_64, "context 1", 4, 2, 3, 9, 0},
    {SEGUE_DECODE_GQA_LONG_64, "eight kv heads", 16, 8, 3, 160, 150},
    {SEGUE_DECODE_GQA_LONG_64, "settled, shape of 1B", 32, 8, 2, 100, 64},
    {SEGUE_DECODE_GQA_LONG_64, "one kv head", 2, 1, 12, 900, 800},
    {SEGUE_DECODE_GQA_LONG_64, "settled, six kv heads", 6, 6, 2, 200, 140},
    {SEGUE_DECODE_GQA_LONG_64, "settled, beyond the capacity", 2, 1, 1, 7, 9},
    {SEGUE_DECODE_GQA_LONG_64, "large scores", 4, 1, 2, 300, 260},
    {SEGUE_DECODE_GQA_LONG_64, "nineteen heads a kv head", 19, 1, 2, 100, 90},
    {SEGUE_DECODE_GQA_LONG_64, "sixteen kv heads", 16, 16, 2, 90, 80},
    {SEGUE_DECODE_GQA_LONG_128, "four splits", 3, 1, 4, 300, 243},
    {SEGUE_DECODE_GQA_LONG_128, "settled, shape of 8B", 32, 8, 2, 90, 70},
    {SEGUE_DECODE_GQA_LONG_256, "three splits", 2, 1, 3, 200, 177},
    {SEGUE_DECODE_GQA_LONG_256, "settled, eight kv heads", 8, 8, 1, 70, 64},
    {SEGUE_DECODE_GQA_LONG_FP8_64, "four splits", 4, 2, 4, 300, 256},
    {SEGUE_DECODE_GQA_LONG_FP8_64, "settled, eight kv heads", 16, 8, 8, 200, 199},
    {SEGUE_DECODE_GQA_LONG_FP8_128, "settled, nine heads a kv head", 9, 1, 8, 300, 271},
    {SEGUE_DECODE_GQA_LONG_FP8_256, "two splits", 2, 1, 2, 200, 177},
    {SEGUE_DECODE_SILU_MUL, "one element", 1, 1, 0, 0, 0},
    {SEGUE_DECODE_SILU_MUL, "odd count", 1023, 8, 0, 0, 0},
    {SEGUE_DECODE_SILU_MUL, "large values", 100, 1000, 0, 0, 0},
    {SEGUE_DECODE_RESIDUAL_ADD, "one element", 1, 0, 0, 0, 0},
    {SEGUE_DECODE_RESIDUAL_ADD, "odd count", 2049, 0, 0, 0, 0},
    {SEGUE_DECODE_ARGMAX, "one element", 1, 0, ARGMAX_RANDOM, 0, 0},
    {SEGUE_DECODE_ARGMAX, "vocabulary", 128256, 0, ARGMAX_RANDOM, 0, 0},
    {SEGUE_DECODE_ARGMAX, "small grid", 9000, 0, ARGMAX_RANDOM, 0, 0},
    {SEGUE_DECODE_ARGMAX, "last", 3000, 2999, ARGMAX_TIE, 2999, 2999},
    {SEGUE_DECODE_ARGMAX, "tie of two threads", 5000, 1023, ARGMAX_TIE, 4096, 1023},
    {SEGUE_DECODE_ARGMAX, "tie in one thread", 5000, 40, ARGMAX_TIE, 40, 2088},
    {SEGUE_DECODE_ARGMAX, "all equal", 2500, 0, ARGMAX_ALL_EQUAL, 0, 0},
    {SEGUE_DECODE_ARGMAX, "minus infinity", 50, 0, ARGMAX_ALL_MINUS_INFINITY, 0, 0},
    {SEGUE_DECODE_ARGMAX, "NaN", 50, 0, ARGMAX_ALL_NAN, 0, 0},
    {SEGUE_DECODE_ARGMAX, "NaN first", 50, 31, ARGMAX_NAN_AND_MINUS_INFINITY, 31, 0},
    {SEGUE_DECODE_SAMPLE_TOP_K, "one logit", 1, 5, SAMPLE_RANDOM, 0, 1},
    {SEGUE_DECODE_SAMPLE_TOP_K, "fewer than top_k", 5, 64, SAMPLE_RANDOM, 1, 2},
    {SEGUE_DECODE_SAMPLE_TOP_K, "one item", 2048, 40, SAMPLE_RANDOM, 17, 3},
    {SEGUE_DECODE_SAMPLE_TOP_K, "two items", 2049, 3, SAMPLE_RANDOM, 18, 4},
    {SEGUE_DECODE_SAMPLE_TOP_K, "small grid", 9000, 64, SAMPLE_RANDOM, 19, 5},
    {SEGUE_DECODE_SAMPLE_TOP_K, "vocabulary", 128256, 40, SAMPLE_RANDOM, 4711, 6},
    {SEGUE_DECODE_SAMPLE_TOP_K, "two merges", 140000, 0, SAMPLE_RANDOM, 131071, 7},
    {SEGUE_DECODE_SAMPLE_TOP_K, "too large a top_k", 3000, 1000, SAMPLE_RANDOM, 5, 8},
    {SEGUE_DECODE_SAMPLE_TOP_K, "ties", 6000, 50, SAMPLE_COARSE, 6, 9},
    {SEGUE_DECODE_SAMPLE_TOP_K, "all equal", 5000, 10, SAMPLE_ALL_EQUAL, 7, 10},
    {SEGUE_DECODE_SAMPLE_TOP_K, "NaN", 3000, 10, SAMPLE_NAN, 8, 11},
    {SEGUE_DECODE_SAMPLE_TOP_K, "nothing but NaN", 300, 10, SAMPLE_ALL_NAN, 8, 12},
    {SEGUE_DECODE_SAMPLE_TOP_K, "infinity", 5000, 10, SAMPLE_INFINITY, 9, 13},
    {SEGUE_DECODE_SAMPLE_TOP_K, "greedy", 5000, 10, SAMPLE_GREEDY, 10, 14},
    {SEGUE_DECODE_SAMPLE_TOP_K, "one a pair", 3000, 64, SAMPLE_APART, 12, 15},
    {SEGUE_DECODE_RMS_NORM, "more than is kept", 9003, 0, 0, 0, 0},
};

uint32_t kernel_case_total(void)
{
    return COUNT_OF(variants);
}

enum segue_decode_kernel kernel_case_kernel(uint32_t index)
{
    return variants[index].kernel;
}

void kernel_case_make(uint32_t index, struct kernel_case *out_case)
{
    static void (*const builders[])(struct kernel_case *, const struct variant *) = {
        [SEGUE_DECODE_EMBED_INT4] = make_embed,     [SEGUE_DECODE_RMS_NORM] = make_rms_norm,
        [SEGUE_DECODE_LINEAR_INT4] = make_linear,   [SEGUE_DECODE_LINEAR_INT4_F32] = make_linear,
        [SEGUE_DECODE_ROPE_KV] = make_rope,         [SEGUE_DECODE_ROPE_KV_FP8] = make_rope,
        [SEGUE_DECODE_GQA_64] = make_gqa,           [SEGUE_DECODE_GQA_128] = make_gqa,
        [SEGUE_DECODE_GQA_256] = make_gqa,          [SEGUE_DECODE_GQA_FP8_64] = make_gqa,
        [SEGUE_DECODE_GQA_FP8_128] = make_gqa,      [SEGUE_DECODE_GQA_FP8_256] = make_gqa,
        [SEGUE_DECODE_SILU_MUL] = make_silu_mul,    [SEGUE_DECODE_RESIDUAL_ADD] = make_residual_add,
        [SEGUE_DECODE_GQA_LONG_64] = make_gqa,      [SEGUE_DECODE_GQA_LONG_128] = make_gqa,
        [SEGUE_DECODE_GQA_LONG_256] = make_gqa,     [SEGUE_DECODE_GQA_LONG_FP8_64] = make_gqa,
        [SEGUE_DECODE_GQA_LONG_FP8_128] = make_gqa, [SEGUE_DECODE_GQA_LONG_FP8_256] = make_gqa,
        [SEGUE_DECODE_ARGMAX] = make_argmax,        [SEGUE_DECODE_SAMPLE_TOP_K] = make_sample,
    };
    const struct variant *v = &variants[index];
    struct segue_executable_params params;
    segue_kernels_get_decode(&params);
    *out_case =
        (struct kernel_case){.kernel = v->kernel, .random_state = 88172645463325252u + index};
    snprintf(out_case->name, sizeof(out_case->name), "%s, %s", params.entry_points[v->kernel].name,
             v->what);
    if (strcmp(v->what, "rounding") == 0)
        make_rounding(out_case, v);
    else if (strcmp(v->what, "fp8 rounding") == 0)
        make_fp8_rounding(out_case, v);
    else
        builders[v->kernel](out_case, v);
}
