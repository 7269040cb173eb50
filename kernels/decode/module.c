// SPDX-License-Identifier: Apache-2.0
// The declarations of all decode kernels: for the device (entry points) and for the software driver
// (references). Both lists are in the order of segue_decode_kernel.
#include "decode.h"
#include "source.h"

#include <segue/kernels.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

#define READ(align)                                         \
    {                                                       \
        .access = SEGUE_ACCESS_READ, .align_bytes = (align) \
    }
#define WRITE(align)                                         \
    {                                                        \
        .access = SEGUE_ACCESS_WRITE, .align_bytes = (align) \
    }
#define READ_WRITE(align)                                         \
    {                                                             \
        .access = SEGUE_ACCESS_READ_WRITE, .align_bytes = (align) \
    }
#define CONSTANT(align)                                         \
    {                                                           \
        .access = SEGUE_ACCESS_CONSTANT, .align_bytes = (align) \
    }
#define WORD                                              \
    {                                                     \
        .kind = SEGUE_PARAMETER_CONSTANT, .size_bytes = 4 \
    }

static const struct segue_parameter embed_int4_parameters[] = {
    READ(4), CONSTANT(4), CONSTANT(2), WRITE(16), WORD, WORD,
};
static const uint32_t embed_int4_sizes[] = {8, 8, 8, 8, 4, 4};

static const struct segue_parameter rms_norm_parameters[] = {
    READ(16), CONSTANT(8), WRITE(8), WORD, WORD,
};
static const uint32_t rms_norm_sizes[] = {8, 8, 8, 4, 4};

static const struct segue_parameter linear_int4_parameters[] = {
    READ(16), CONSTANT(16), CONSTANT(2), WRITE(2), WORD, WORD,
};
static const struct segue_parameter linear_int4_f32_parameters[] = {
    READ(16), CONSTANT(16), CONSTANT(2), WRITE(4), WORD, WORD,
};
static const uint32_t linear_int4_sizes[] = {8, 8, 8, 8, 4, 4};

static const struct segue_parameter rope_kv_parameters[] = {
    READ_WRITE(2), READ(2), READ(2), CONSTANT(4), READ(4), WRITE(2),
    WRITE(2),      WORD,    WORD,    WORD,        WORD,
};
static const uint32_t rope_kv_sizes[] = {8, 8, 8, 8, 8, 8, 8, 4, 4, 4, 4};

static const struct segue_parameter rope_kv_fp8_parameters[] = {
    READ_WRITE(2), READ(2),  READ(2), CONSTANT(4), CONSTANT(4), READ(4),
    WRITE(1),      WRITE(1), WORD,    WORD,        WORD,        WORD,
};
static const uint32_t rope_kv_fp8_sizes[] = {8, 8, 8, 8, 8, 8, 8, 8, 4, 4, 4, 4};

static const struct segue_parameter gqa_decode_parameters[] = {
    READ(16), READ(16), READ(16), READ(4), WRITE(2), READ_WRITE(4), READ_WRITE(8),
    WORD,     WORD,     WORD,     WORD,    WORD,     WORD,
};
static const uint32_t gqa_decode_sizes[] = {8, 8, 8, 8, 8, 8, 8, 4, 4, 4, 4, 4, 4};
static const struct segue_parameter gqa_decode_fp8_parameters[] = {
    READ(16),      READ(16), READ(16), CONSTANT(4), READ(4), WRITE(2), READ_WRITE(4),
    READ_WRITE(8), WORD,     WORD,     WORD,        WORD,    WORD,     WORD,
};
// More of `partials` is read at a time.
static const struct segue_parameter gqa_long_parameters[] = {
    READ(16), READ(16), READ(16), READ(4), WRITE(2), READ_WRITE(4), READ_WRITE(16),
    WORD,     WORD,     WORD,     WORD,    WORD,     WORD,
};
static const struct segue_parameter gqa_long_fp8_parameters[] = {
    READ(16),       READ(16), READ(16), CONSTANT(4), READ(4), WRITE(2), READ_WRITE(4),
    READ_WRITE(16), WORD,     WORD,     WORD,        WORD,    WORD,     WORD,
};
static const uint32_t gqa_decode_fp8_sizes[] = {8, 8, 8, 8, 8, 8, 8, 8, 4, 4, 4, 4, 4, 4};

static const struct segue_parameter silu_mul_parameters[] = {READ(8), READ(8), WRITE(8), WORD};
static const uint32_t silu_mul_sizes[] = {8, 8, 8, 4};

static const struct segue_parameter residual_add_parameters[] = {READ_WRITE(16), READ(8), WORD};
static const uint32_t residual_add_sizes[] = {8, 8, 4};

static const struct segue_parameter argmax_parameters[] = {READ(4), WRITE(4), READ_WRITE(8), WORD};
static const uint32_t argmax_sizes[] = {8, 8, 8, 4};

static const struct segue_parameter sample_top_k_parameters[] = {
    READ(4), READ(4), READ(4), WRITE(4), READ_WRITE(4), READ_WRITE(8), WORD,
};
static const uint32_t sample_top_k_sizes[] = {8, 8, 8, 8, 8, 8, 4};

/** All of them wait for what they depend on themselves. */
#define ENTRY_POINT(name_, parameters_, threads)                                              \
    {                                                                                         \
        .name = "segue_" #name_, .parameters = parameters_##_parameters,                      \
        .parameter_count = COUNT_OF(parameters_##_parameters), .block_size = {threads, 1, 1}, \
        .flags = SEGUE_ENTRY_GRID_DEPENDENCY                                                  \
    }
/** Threads, and dynamic shared memory, as gqa_ring.cu and gqa_slots.cu have them. */
#define ATTENTION_ENTRY(name_, parameters_, threads, shared_bytes)                            \
    {                                                                                         \
        .name = "segue_" #name_, .parameters = parameters_##_parameters,                      \
        .parameter_count = COUNT_OF(parameters_##_parameters), .block_size = {threads, 1, 1}, \
        .dynamic_shared_bytes = (shared_bytes), .flags = SEGUE_ENTRY_GRID_DEPENDENCY          \
    }
#define ATTENTION(size) ATTENTION_ENTRY(gqa_decode_##size, gqa_decode, 128, 65536)
#define ATTENTION_FP8(size) ATTENTION_ENTRY(gqa_decode_fp8_##size, gqa_decode_fp8, 128, 65536)
#define ATTENTION_LONG(size, threads) ATTENTION_ENTRY(gqa_long_##size, gqa_long, threads, 99328)
#define ATTENTION_LONG_FP8(size, threads) \
    ATTENTION_ENTRY(gqa_long_fp8_##size, gqa_long_fp8, threads, 99328)

static const struct segue_entry_point entry_points[SEGUE_DECODE_KERNEL_COUNT] = {
    [SEGUE_DECODE_EMBED_INT4] = ENTRY_POINT(embed_int4, embed_int4, 256),
    [SEGUE_DECODE_RMS_NORM] = ENTRY_POINT(rms_norm, rms_norm, 256),
    [SEGUE_DECODE_LINEAR_INT4] = ENTRY_POINT(linear_int4, linear_int4, 256),
    [SEGUE_DECODE_LINEAR_INT4_F32] = ENTRY_POINT(linear_int4_f32, linear_int4_f32, 256),
    [SEGUE_DECODE_ROPE_KV] = ENTRY_POINT(rope_kv, rope_kv, 128),
    [SEGUE_DECODE_GQA_64] = ATTENTION(64),
    [SEGUE_DECODE_GQA_128] = ATTENTION(128),
    [SEGUE_DECODE_GQA_256] = ATTENTION(256),
    [SEGUE_DECODE_GQA_FP8_64] = ATTENTION_FP8(64),
    [SEGUE_DECODE_GQA_FP8_128] = ATTENTION_FP8(128),
    [SEGUE_DECODE_GQA_FP8_256] = ATTENTION_FP8(256),
    [SEGUE_DECODE_ROPE_KV_FP8] = ENTRY_POINT(rope_kv_fp8, rope_kv_fp8, 128),
    [SEGUE_DECODE_SILU_MUL] = ENTRY_POINT(silu_mul, silu_mul, 256),
    [SEGUE_DECODE_RESIDUAL_ADD] = ENTRY_POINT(residual_add, residual_add, 256),
    [SEGUE_DECODE_ARGMAX] = ENTRY_POINT(argmax, argmax, 256),
    [SEGUE_DECODE_SAMPLE_TOP_K] = ENTRY_POINT(sample_top_k, sample_top_k, 256),
    [SEGUE_DECODE_GQA_LONG_64] = ATTENTION_LONG(64, 544),
    [SEGUE_DECODE_GQA_LONG_128] = ATTENTION_LONG(128, 288),
    [SEGUE_DECODE_GQA_LONG_256] = ATTENTION_LONG(256, 160),
    [SEGUE_DECODE_GQA_LONG_FP8_64] = ATTENTION_LONG_FP8(64, 544),
    [SEGUE_DECODE_GQA_LONG_FP8_128] = ATTENTION_LONG_FP8(128, 288),
    [SEGUE_DECODE_GQA_LONG_FP8_256] = ATTENTION_LONG_FP8(256, 160),
};

#define REFERENCE(name_, sizes)                                              \
    {                                                                        \
        "segue_" #name_, (sizes), COUNT_OF(sizes), segue_decode_run_##name_, \
            segue_decode_ranges_##name_, NULL, NULL                          \
    }

#define ATTENTION_REFERENCE_OF(name_, sizes, size, fp8, is_long)                \
    {                                                                           \
        "segue_" #name_, (sizes), COUNT_OF(sizes), segue_decode_run_gqa_decode, \
            segue_decode_ranges_gqa_decode,                                     \
            &(struct segue_decode_attention){(size), fp8, is_long}, NULL        \
    }
#define ATTENTION_REFERENCE(size) \
    ATTENTION_REFERENCE_OF(gqa_decode_##size, gqa_decode_sizes, size, false, false)
#define ATTENTION_FP8_REFERENCE(size) \
    ATTENTION_REFERENCE_OF(gqa_decode_fp8_##size, gqa_decode_fp8_sizes, size, true, false)
#define ATTENTION_LONG_REFERENCE(size) \
    ATTENTION_REFERENCE_OF(gqa_long_##size, gqa_decode_sizes, size, false, true)
#define ATTENTION_LONG_FP8_REFERENCE(size) \
    ATTENTION_REFERENCE_OF(gqa_long_fp8_##size, gqa_decode_fp8_sizes, size, true, true)

static const struct segue_reference_kernel references[SEGUE_DECODE_KERNEL_COUNT] = {
    [SEGUE_DECODE_EMBED_INT4] = REFERENCE(embed_int4, embed_int4_sizes),
    [SEGUE_DECODE_RMS_NORM] = REFERENCE(rms_norm, rms_norm_sizes),
    [SEGUE_DECODE_LINEAR_INT4] = REFERENCE(linear_int4, linear_int4_sizes),
    [SEGUE_DECODE_LINEAR_INT4_F32] = REFERENCE(linear_int4_f32, linear_int4_sizes),
    [SEGUE_DECODE_ROPE_KV] = REFERENCE(rope_kv, rope_kv_sizes),
    [SEGUE_DECODE_GQA_64] = ATTENTION_REFERENCE(64),
    [SEGUE_DECODE_GQA_128] = ATTENTION_REFERENCE(128),
    [SEGUE_DECODE_GQA_256] = ATTENTION_REFERENCE(256),
    [SEGUE_DECODE_GQA_FP8_64] = ATTENTION_FP8_REFERENCE(64),
    [SEGUE_DECODE_GQA_FP8_128] = ATTENTION_FP8_REFERENCE(128),
    [SEGUE_DECODE_GQA_FP8_256] = ATTENTION_FP8_REFERENCE(256),
    [SEGUE_DECODE_ROPE_KV_FP8] = REFERENCE(rope_kv_fp8, rope_kv_fp8_sizes),
    [SEGUE_DECODE_SILU_MUL] = REFERENCE(silu_mul, silu_mul_sizes),
    [SEGUE_DECODE_RESIDUAL_ADD] = REFERENCE(residual_add, residual_add_sizes),
    [SEGUE_DECODE_ARGMAX] = REFERENCE(argmax, argmax_sizes),
    [SEGUE_DECODE_SAMPLE_TOP_K] = REFERENCE(sample_top_k, sample_top_k_sizes),
    [SEGUE_DECODE_GQA_LONG_64] = ATTENTION_LONG_REFERENCE(64),
    [SEGUE_DECODE_GQA_LONG_128] = ATTENTION_LONG_REFERENCE(128),
    [SEGUE_DECODE_GQA_LONG_256] = ATTENTION_LONG_REFERENCE(256),
    [SEGUE_DECODE_GQA_LONG_FP8_64] = ATTENTION_LONG_FP8_REFERENCE(64),
    [SEGUE_DECODE_GQA_LONG_FP8_128] = ATTENTION_LONG_FP8_REFERENCE(128),
    [SEGUE_DECODE_GQA_LONG_FP8_256] = ATTENTION_LONG_FP8_REFERENCE(256),
};

void segue_kernels_get_decode(struct segue_executable_params *out_params)
{
    *out_params = (struct segue_executable_params){
        .format = SEGUE_EXECUTABLE_CUDA_SOURCE,
        .data = segue_decode_source,
        .size_bytes = strlen(segue_decode_source),
        .entry_points = entry_points,
        .entry_point_count = SEGUE_DECODE_KERNEL_COUNT,
        .label = "decode",
    };
}

const struct segue_reference_kernel *segue_kernels_get_references(uint32_t *out_count)
{
    *out_count = SEGUE_DECODE_KERNEL_COUNT;
    return references;
}

segue_status segue_kernels_register(segue_device *device)
{
    return segue_device_register_reference_kernels(device, references, SEGUE_DECODE_KERNEL_COUNT);
}
