// SPDX-License-Identifier: Apache-2.0
/**
 * @file decode.h
 * What the C references of the decode kernels share. A reference stands beside its kernel under the
 * same file name, computes in f32 and rounds where the kernel rounds; only the order of sums may
 * differ.
 */
#ifndef SEGUE_KERNELS_DECODE_H
#define SEGUE_KERNELS_DECODE_H

#include "../fp8.h"

#include <segue/soft.h>

#include <string.h>

/** Weights that share one scale, and the bytes that they take. */
#define GROUP 32
#define GROUP_BYTES (GROUP / 2)

static inline float bf16_to_float(uint16_t value)
{
    const uint32_t bits = (uint32_t)value << 16;
    float result;
    memcpy(&result, &bits, sizeof(result));
    return result;
}

/** To nearest even; NaN stays NaN. */
static inline uint16_t bf16_from_float(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    if ((bits & 0x7FFFFFFFu) > 0x7F800000u)
        return (uint16_t)((bits >> 16) | 0x40);
    return (uint16_t)((bits + 0x7FFFu + ((bits >> 16) & 1)) >> 16);
}

/** Which attention a reference is: segue_reference_kernel.user. */
struct segue_decode_attention {
    uint32_t head_size;
    bool fp8;
    bool is_long;
};

/** Parameter `index` of a launch. */
static inline uint64_t parameter_u64(const struct segue_reference_launch *launch, uint32_t index)
{
    uint64_t value;
    memcpy(&value, launch->parameters[index], sizeof(value));
    return value;
}

static inline uint32_t parameter_u32(const struct segue_reference_launch *launch, uint32_t index)
{
    uint32_t value;
    memcpy(&value, launch->parameters[index], sizeof(value));
    return value;
}

static inline float parameter_f32(const struct segue_reference_launch *launch, uint32_t index)
{
    float value;
    memcpy(&value, launch->parameters[index], sizeof(value));
    return value;
}

/** No memory is as long. */
#define SIZE_BEYOND UINT64_MAX
/** More values than the kernels that look at all of them count, with room for their strides. */
#define MAX_VALUES INT32_MAX

/** A product of sizes; SIZE_BEYOND where it does not fit in 64 bits. */
static inline uint64_t product_bytes(uint64_t a, uint64_t b, uint64_t c)
{
    uint64_t product;
    if (a == SIZE_BEYOND || __builtin_mul_overflow(a, b, &product) ||
        __builtin_mul_overflow(product, c, &product))
        return SIZE_BEYOND;
    return product;
}

/** A range that starts at the address in parameter `index`. */
struct binding_range {
    uint32_t index;
    uint64_t size_bytes;
    bool read;
    bool write;
};

/** Reports the ranges; one of length 0 is left out, and none goes beyond 64 bits. */
void segue_decode_add_ranges(const struct segue_reference_launch *launch,
                             struct segue_reference_ranges *ranges,
                             const struct binding_range *bindings, uint32_t binding_count);

/** Host memory of `size_bytes` bytes from the address in parameter `index`; NULL where that is not
 *  valid memory. */
static inline void *binding_memory(const struct segue_reference_launch *launch,
                                   segue_reference_translate translate, uint32_t index,
                                   uint64_t size_bytes)
{
    return translate(launch, parameter_u64(launch, index), size_bytes);
}

/** A kernel's reference: runs it, and states its ranges. */
#define SEGUE_DECODE_REFERENCE(name)                                             \
    bool segue_decode_run_##name(const struct segue_reference_launch *launch,    \
                                 segue_reference_translate translate);           \
    void segue_decode_ranges_##name(const struct segue_reference_launch *launch, \
                                    struct segue_reference_ranges *ranges)

SEGUE_DECODE_REFERENCE(embed_int4);
SEGUE_DECODE_REFERENCE(rms_norm);
SEGUE_DECODE_REFERENCE(linear_int4);
SEGUE_DECODE_REFERENCE(linear_int4_f32);
SEGUE_DECODE_REFERENCE(rope_kv);
SEGUE_DECODE_REFERENCE(rope_kv_fp8);
SEGUE_DECODE_REFERENCE(gqa_decode);
SEGUE_DECODE_REFERENCE(silu_mul);
SEGUE_DECODE_REFERENCE(residual_add);
SEGUE_DECODE_REFERENCE(argmax);
SEGUE_DECODE_REFERENCE(sample_top_k);

#endif // SEGUE_KERNELS_DECODE_H
