// SPDX-License-Identifier: Apache-2.0
// Compiled with -ffp-contract=off: a fused multiply-add would change bits between machines.
#include "content.h"

#include "dtype.h"
#include "error.h"

#include <inttypes.h>
#include <math.h>

#define GOLDEN_GAMMA 0x9e3779b97f4a7c15u
/** 1 / standard deviation of the sum of four uniform 16-bit values: sqrt(3 / (2^32 - 1)). */
#define IRWIN_HALL_SCALE 0x1.bb67ae86627e8p-16
/** Largest magnitude that a NORMAL value has, in standard deviations, rounded up. */
#define NORMAL_REACH 3.4642

__extension__ typedef unsigned __int128 uint128;

/** What a content's parameters come down to. */
struct generator {
    uint64_t key;
    /** Floats: value = base + scale * variate, UNIFORM ones kept in [lowest, highest]. */
    double base;
    double scale;
    double lowest;
    double highest;
    /** Integers: first + a number below count, 0 standing for 2^64. */
    uint64_t first;
    uint64_t count;
};

/** The finaliser of splitmix64. */
static inline uint64_t mix(uint64_t value)
{
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
    return value ^ (value >> 31);
}

static inline uint64_t hash(const struct generator *generator, uint64_t index)
{
    return mix(generator->key + index * GOLDEN_GAMMA);
}

static inline double normal(const struct generator *generator, uint64_t index)
{
    uint64_t bits = hash(generator, index);
    int32_t sum =
        (int32_t)((bits & 0xffff) + (bits >> 16 & 0xffff) + (bits >> 32 & 0xffff) + (bits >> 48));
    return generator->base + generator->scale * (double)(sum - 2 * 0xffff);
}

static inline double uniform(const struct generator *generator, uint64_t index)
{
    double value = generator->base +
                   generator->scale * ((double)(int64_t)(hash(generator, index) >> 11) * 0x1p-53);
    value = value > generator->lowest ? value : generator->lowest;
    return value < generator->highest ? value : generator->highest;
}

static inline uint64_t uniform_integer(const struct generator *generator, uint64_t index)
{
    uint64_t bits = hash(generator, index);
    if (generator->count == 0) {
        return bits;
    }
    return generator->first + (uint64_t)((uint128)bits * generator->count >> 64);
}

static inline uint16_t to_f16(double value)
{
    return segue_f16_from_f32((float)value);
}

static inline uint16_t to_bf16(double value)
{
    return segue_bf16_from_f32((float)value);
}

static inline float to_f32(double value)
{
    return (float)value;
}

static inline double to_f64(double value)
{
    return value;
}

#define DEFINE_FILL(name, type, expression)                                                       \
    static void name(const struct generator *generator, uint64_t first, size_t count, void *data) \
    {                                                                                             \
        for (size_t i = 0; i < count; i++) {                                                      \
            type value = (type)(expression);                                                      \
            memcpy((unsigned char *)data + i * sizeof(value), &value, sizeof(value));             \
        }                                                                                         \
    }

DEFINE_FILL(normal_f16, uint16_t, to_f16(normal(generator, first + i)))
DEFINE_FILL(normal_bf16, uint16_t, to_bf16(normal(generator, first + i)))
DEFINE_FILL(normal_f32, float, to_f32(normal(generator, first + i)))
DEFINE_FILL(normal_f64, double, to_f64(normal(generator, first + i)))
DEFINE_FILL(uniform_f16, uint16_t, to_f16(uniform(generator, first + i)))
DEFINE_FILL(uniform_bf16, uint16_t, to_bf16(uniform(generator, first + i)))
DEFINE_FILL(uniform_f32, float, to_f32(uniform(generator, first + i)))
DEFINE_FILL(uniform_f64, double, to_f64(uniform(generator, first + i)))
DEFINE_FILL(uniform_8, uint8_t, uniform_integer(generator, first + i))
DEFINE_FILL(uniform_16, uint16_t, uniform_integer(generator, first + i))
DEFINE_FILL(uniform_32, uint32_t, uniform_integer(generator, first + i))
DEFINE_FILL(uniform_64, uint64_t, uniform_integer(generator, first + i))
DEFINE_FILL(nibble_words, uint64_t, hash(generator, first + i))

typedef void (*fill_fn)(const struct generator *, uint64_t first, size_t count, void *data);

static fill_fn find_fill(const struct segue_content *content)
{
    static const fill_fn normals[SEGUE_DTYPE_COUNT] = {
        [SEGUE_DTYPE_F16] = normal_f16,
        [SEGUE_DTYPE_BF16] = normal_bf16,
        [SEGUE_DTYPE_F32] = normal_f32,
        [SEGUE_DTYPE_F64] = normal_f64,
    };
    static const fill_fn uniforms[SEGUE_DTYPE_COUNT] = {
        [SEGUE_DTYPE_U8] = uniform_8,    [SEGUE_DTYPE_I8] = uniform_8,
        [SEGUE_DTYPE_U16] = uniform_16,  [SEGUE_DTYPE_I16] = uniform_16,
        [SEGUE_DTYPE_U32] = uniform_32,  [SEGUE_DTYPE_I32] = uniform_32,
        [SEGUE_DTYPE_U64] = uniform_64,  [SEGUE_DTYPE_I64] = uniform_64,
        [SEGUE_DTYPE_F16] = uniform_f16, [SEGUE_DTYPE_BF16] = uniform_bf16,
        [SEGUE_DTYPE_F32] = uniform_f32, [SEGUE_DTYPE_F64] = uniform_f64,
    };
    return content->kind == SEGUE_CONTENT_NORMAL ? normals[content->dtype]
                                                 : uniforms[content->dtype];
}

/** The value of the type nearest to `value`. */
static double round_to(enum segue_dtype dtype, double value)
{
    switch (dtype) {
    case SEGUE_DTYPE_F16:
        return (double)segue_f16_to_f32(to_f16(value));
    case SEGUE_DTYPE_BF16:
        return (double)segue_bf16_to_f32(to_bf16(value));
    case SEGUE_DTYPE_F32:
        return (double)to_f32(value);
    default:
        return value;
    }
}

/** The neighbour of `value`, itself a value of the type: the next above or below. */
static double neighbour(enum segue_dtype dtype, double value, bool above)
{
    if (dtype == SEGUE_DTYPE_F64) {
        return nextafter(value, above ? INFINITY : -INFINITY);
    }
    if (dtype == SEGUE_DTYPE_F32) {
        return (double)nextafterf((float)value, above ? INFINITY : -INFINITY);
    }
    // Sign and magnitude as one integer, so that neighbours differ by 1.
    bool half = dtype == SEGUE_DTYPE_F16;
    uint16_t bits = half ? to_f16(value) : to_bf16(value);
    int32_t rank = bits & 0x8000u ? -(int32_t)(bits & 0x7fffu) : (int32_t)bits;
    rank += above ? 1 : -1;
    bits = (uint16_t)(rank < 0 ? 0x8000u | (uint32_t)-rank : (uint32_t)rank);
    return (double)(half ? segue_f16_to_f32(bits) : segue_bf16_to_f32(bits));
}

static const char *prepare_normal(const struct segue_content *content, struct generator *generator)
{
    if (!segue_dtype_is_float(content->dtype)) {
        return "normal content needs a floating-point dtype";
    }
    double limit = segue_dtype_max_finite(content->dtype);
    if (!isfinite(content->a) || !isfinite(content->b) || content->b < 0) {
        return "mean and standard deviation must be finite, the latter not negative";
    }
    if (fabs(content->a) + NORMAL_REACH * content->b > limit) {
        return "mean and standard deviation lead out of the dtype's range";
    }
    generator->base = content->a;
    generator->scale = content->b * IRWIN_HALL_SCALE;
    return NULL;
}

static const char *prepare_uniform_float(const struct segue_content *content,
                                         struct generator *generator)
{
    double low = content->a;
    double high = content->b;
    double limit = segue_dtype_max_finite(content->dtype);
    if (fabs(low) > limit || fabs(high) > limit || !isfinite(high - low)) {
        return "low and high lead out of the dtype's range";
    }
    generator->lowest = round_to(content->dtype, low);
    if (generator->lowest < low) {
        generator->lowest = neighbour(content->dtype, generator->lowest, true);
    }
    generator->highest = round_to(content->dtype, high);
    if (generator->highest >= high) {
        generator->highest = neighbour(content->dtype, generator->highest, false);
    }
    generator->base = low;
    generator->scale = high - low;
    return generator->lowest <= generator->highest ? NULL
                                                   : "no value of the dtype lies in [low, high)";
}

static const char *prepare_uniform_integer(const struct segue_content *content,
                                           struct generator *generator)
{
    unsigned bits = 8 * (unsigned)segue_dtype_size_bytes(content->dtype);
    bool is_signed = segue_dtype_is_signed(content->dtype);
    double end = ldexp(1.0, (int)(is_signed ? bits - 1 : bits));
    double low = ceil(content->a);
    double high = ceil(content->b);
    if (low < (is_signed ? -end : 0.0) || high > end) {
        return "low and high lead out of the dtype's range";
    }
    if (low >= high) {
        return "no value of the dtype lies in [low, high)";
    }
    // 2^63 and 2^64 wrap to the same 64 bits that two's complement arithmetic gives.
    uint64_t first = low < 0 ? (uint64_t)(int64_t)low : (uint64_t)low;
    uint64_t last = high < 0 ? (uint64_t)(int64_t)high : high >= 0x1p64 ? 0 : (uint64_t)high;
    generator->first = first;
    generator->count = last - first;
    return NULL;
}

/** Checks the parameters; returns what is wrong, or NULL with the generator filled in. */
static const char *prepare(const struct segue_content *content, struct generator *generator)
{
    *generator = (struct generator){.key = mix(content->seed + GOLDEN_GAMMA)};
    switch (content->kind) {
    case SEGUE_CONTENT_ZERO:
    case SEGUE_CONTENT_FILL:
    case SEGUE_CONTENT_NIBBLES:
        return NULL;
    case SEGUE_CONTENT_NORMAL:
    case SEGUE_CONTENT_UNIFORM:
        break;
    default:
        return "unknown kind of content";
    }
    if (segue_dtype_size_bytes(content->dtype) == 0) {
        return "unknown dtype";
    }
    if (content->kind == SEGUE_CONTENT_NORMAL) {
        return prepare_normal(content, generator);
    }
    if (!isfinite(content->a) || !isfinite(content->b) || content->a >= content->b) {
        return "low and high must be finite, and low below high";
    }
    return segue_dtype_is_float(content->dtype) ? prepare_uniform_float(content, generator)
                                                : prepare_uniform_integer(content, generator);
}

const char *segue_content_problem(const struct segue_content *content)
{
    struct generator generator;
    return prepare(content, &generator);
}

size_t segue_content_unit_bytes(const struct segue_content *content)
{
    switch (content->kind) {
    case SEGUE_CONTENT_FILL:
        return 4;
    case SEGUE_CONTENT_NORMAL:
    case SEGUE_CONTENT_UNIFORM:
        return segue_dtype_size_bytes(content->dtype);
    default:
        return 1;
    }
}

/** Nibbles come in words of 8 bytes; ranges may begin and end inside one. */
static void generate_nibbles(const struct generator *generator, uint64_t offset_bytes,
                             uint64_t length_bytes, unsigned char *data)
{
    uint64_t word = offset_bytes / 8;
    size_t skip = (size_t)(offset_bytes % 8);
    if (skip != 0 || length_bytes < 8) {
        uint64_t bits = hash(generator, word++);
        size_t count = 8 - skip < length_bytes ? 8 - skip : (size_t)length_bytes;
        memcpy(data, (const unsigned char *)&bits + skip, count);
        data += count;
        length_bytes -= count;
    }
    nibble_words(generator, word, (size_t)(length_bytes / 8), data);
    if (length_bytes % 8 != 0) {
        uint64_t bits = hash(generator, word + length_bytes / 8);
        memcpy(data + length_bytes / 8 * 8, &bits, (size_t)(length_bytes % 8));
    }
}

segue_status segue_content_generate(const struct segue_content *content, uint64_t offset_bytes,
                                    uint64_t length_bytes, void *data)
{
    struct generator generator;
    if (content == NULL || (data == NULL && length_bytes != 0)) {
        return segue_trace_fail(SEGUE_INVALID_ARGUMENT, "content and data must not be NULL");
    }
    const char *problem = prepare(content, &generator);
    if (problem != NULL) {
        return segue_trace_fail(SEGUE_INVALID_ARGUMENT, "%s", problem);
    }
    size_t unit_bytes = segue_content_unit_bytes(content);
    if (offset_bytes % unit_bytes != 0 || length_bytes % unit_bytes != 0 ||
        offset_bytes > UINT64_MAX - length_bytes) {
        return segue_trace_fail(SEGUE_INVALID_ARGUMENT,
                                "offset %" PRIu64 " and length %" PRIu64
                                " must be multiples of the element size %zu",
                                offset_bytes, length_bytes, unit_bytes);
    }
    switch (content->kind) {
    case SEGUE_CONTENT_ZERO:
        if (length_bytes != 0) {
            memset(data, 0, (size_t)length_bytes);
        }
        break;
    case SEGUE_CONTENT_FILL:
        for (size_t i = 0; i < length_bytes; i += sizeof(content->pattern)) {
            memcpy((unsigned char *)data + i, &content->pattern, sizeof(content->pattern));
        }
        break;
    case SEGUE_CONTENT_NIBBLES:
        generate_nibbles(&generator, offset_bytes, length_bytes, data);
        break;
    default:
        find_fill(content)(&generator, offset_bytes / unit_bytes,
                           (size_t)(length_bytes / unit_bytes), data);
    }
    return SEGUE_OK;
}
