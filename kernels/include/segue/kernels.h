// SPDX-License-Identifier: Apache-2.0
/**
 * @file kernels.h
 * Kernels for one decode step of a Llama-like transformer, as CUDA source with declared entry
 * points, and their C references for the software driver. A library of its own (libsegue_kernels)
 * on top of the public API.
 *
 * Conventions. Activations are bf16; the residual stream is f32, because two ways to add up the
 * same sums, rounded to bf16 after each of many layers, end as far apart as their roundings are.
 * Every kernel computes in f32 and rounds once, to nearest even, when it stores. int4 weights are
 * symmetric: the value is (q - 8) * scale, q in 0..15, two to a byte with the lower index in the
 * low nibble, one bf16 scale for 32 values along a row. Which token and which position are taken is
 * read from memory, so that one recording serves every step.
 *
 * Bindings are listed as "name: access, content", constants with their type, both in parameter
 * order; all bindings come before all constants. "Grid" is the best one: except where it says that
 * one block works, any other gives the same result. All of them are declared with
 * SEGUE_ENTRY_GRID_DEPENDENCY: they touch constant memory only before they wait (attention more, if
 * it is told that it may). On a GPU they need compute capability 8.0.
 */
#ifndef SEGUE_KERNELS_H
#define SEGUE_KERNELS_H

#include <segue/base.h>
#include <segue/command_buffer.h>
#include <segue/executable.h>
#include <segue/soft.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Values that share a scale in int4 tensors. */
#define SEGUE_INT4_GROUP_SIZE 32

/** The entry points' indices in the decode executable. */
enum segue_decode_kernel {
    /**
     * A row of an int4 table. Block 256, grid hidden / 2048.
     * token: read, u32 (beyond the vocabulary: the last row counts); table: constant, int4
     * [vocabulary][hidden], aligned to 4; scales: constant, bf16 [vocabulary][hidden / 32]; out:
     * write, f32 [hidden], aligned to 16. Constants: segue_embed_int4_constants; hidden is a
     * multiple of 32.
     */
    SEGUE_DECODE_EMBED_INT4 = 0,
    /**
     * out = x / sqrt(mean(x * x) + epsilon) * weight. Block 256, one block works.
     * x: read, f32 [count], aligned to 16; weight: constant, bf16 [count], aligned to 8; out:
     * write, bf16 [count], aligned to 8. Constants: segue_rms_norm_constants.
     */
    SEGUE_DECODE_RMS_NORM = 1,
    /**
     * out = weights * x. Block 256, grid rows / 8 (a warp a row).
     * x: read, bf16 [columns], aligned to 16; weights: constant, int4 [rows][columns], aligned to
     * 16; scales: constant, bf16 [rows][columns / 32]; out: write, bf16 [rows].
     * Constants: segue_linear_int4_constants; columns is a multiple of 32.
     */
    SEGUE_DECODE_LINEAR_INT4 = 2,
    /** The same with out: write, f32 [rows]. For logits. */
    SEGUE_DECODE_LINEAR_INT4_F32 = 3,
    /**
     * Rotary embedding of q and k (element i with element i + head_size / 2 of a head, by the angle
     * position * frequencies[i]) and row `position` of both caches. Angles are f32, as in the
     * models' own programs: up to position 131,072 they are off by 0.008 at most. Block 128, grid
     * (heads + kv_heads) * head_size / 2 / 128.
     * q: read_write, bf16 [heads][head_size]; k, v: read, bf16 [kv_heads][head_size]; frequencies:
     * constant, f32 [head_size / 2] (see segue_rope_frequencies); position: read, u32 (beyond the
     * capacity: no row is written); k_cache, v_cache: write, bf16 [capacity][kv_heads][head_size].
     * Constants: segue_rope_kv_constants.
     */
    SEGUE_DECODE_ROPE_KV = 4,
    /**
     * out = softmax(scale * q K) V for every query head over rows 0..position of the caches, for
     * heads of 64; segue_gqa_decode_kernel finds the one for a size. Block 128; grid (that one and
     * no other) and sizes of what it works in: segue_gqa_decode_get_sizes. The same bits each time.
     * q: read, bf16 [heads][head_size]; k_cache, v_cache: read, bf16
     * [capacity][kv_heads][head_size], aligned to 16 as is q; position: read, u32; out: write, bf16
     * [heads][head_size]; arrived: read_write, u32, zeros before and after; partials: read_write,
     * whatever was in it, aligned to 8. Two launches that may run at the same time need both of
     * their own.
     * Constants: segue_gqa_decode_constants; heads is a multiple of kv_heads.
     */
    SEGUE_DECODE_GQA_64 = 5,
    /**
     * out = gate / (1 + exp(-gate)) * up. Block 256, grid count / 1024.
     * gate, up: read, bf16 [count]; out: write, bf16 [count]; all aligned to 8. Constant: count,
     * u32.
     */
    SEGUE_DECODE_SILU_MUL = 6,
    /** x += y. Block 256, grid count / 1024. x: read_write, f32 [count], aligned to 16; y: read,
     * bf16 [count], aligned to 8. Constant: count, u32. */
    SEGUE_DECODE_RESIDUAL_ADD = 7,
    /**
     * The index of the largest value, the lowest one among equals; NaN is never the largest. Block
     * 256, grid count / 2048.
     * values: read, f32 [count]; out: write, u32; state: read_write, u64 [2], zeros before and
     * after. Constant: count, u32, 1 to 2^31 - 1.
     */
    SEGUE_DECODE_ARGMAX = 8,
    /** SEGUE_DECODE_GQA_64 for heads of 128 and 256. */
    SEGUE_DECODE_GQA_128 = 9,
    SEGUE_DECODE_GQA_256 = 10,
    /** The same over caches of fp8 (e4m3; 0x7F counts as 480), with one binding more after them:
     *  scales: constant, f32 [2][kv_heads], what elements of k and of v are multiplied with. */
    SEGUE_DECODE_GQA_FP8_64 = 11,
    SEGUE_DECODE_GQA_FP8_128 = 12,
    SEGUE_DECODE_GQA_FP8_256 = 13,
    /**
     * SEGUE_DECODE_ROPE_KV into caches of fp8 (e4m3, to nearest even, at most 448): elements are
     * divided by their head's scale. One binding more, after frequencies: scales: constant, f32
     * [2][kv_heads].
     */
    SEGUE_DECODE_ROPE_KV_FP8 = 14,
    /**
     * A token drawn from the top_k largest logits (of equal ones the lower indices), with
     * probabilities as exp(logit / temperature). What is drawn depends on the logits, the seed and
     * the position alone. NaN is never drawn. Block 256, grid and size of candidates:
     * segue_sample_get_sizes.
     * logits: read, f32 [count]; sampling: read, segue_sampling; position: read, u32; out: write,
     * u32; arrived: read_write, u32, zero before and after; candidates: read_write, whatever was in
     * it. Constant: count, u32, 1 to 2^31 - 1.
     */
    SEGUE_DECODE_SAMPLE_TOP_K = 15,
    /**
     * SEGUE_DECODE_GQA_64 and the others for caches of many rows: bindings and constants are
     * theirs, but that partials is aligned to 16. Grid and sizes: segue_gqa_long_get_sizes. On
     * compute capability 9.0 and above rows are copied in bulk. Results differ from theirs by the
     * order of sums.
     */
    SEGUE_DECODE_GQA_LONG_64 = 16,
    SEGUE_DECODE_GQA_LONG_128 = 17,
    SEGUE_DECODE_GQA_LONG_256 = 18,
    SEGUE_DECODE_GQA_LONG_FP8_64 = 19,
    SEGUE_DECODE_GQA_LONG_FP8_128 = 20,
    SEGUE_DECODE_GQA_LONG_FP8_256 = 21,
    SEGUE_DECODE_KERNEL_COUNT = 22,
};

/** Of SEGUE_DECODE_EMBED_INT4. */
struct segue_embed_int4_constants {
    uint32_t vocabulary;
    uint32_t hidden;
};

/** Of SEGUE_DECODE_RMS_NORM. */
struct segue_rms_norm_constants {
    uint32_t count;
    float epsilon;
};

/** Of SEGUE_DECODE_LINEAR_INT4 and SEGUE_DECODE_LINEAR_INT4_F32. */
struct segue_linear_int4_constants {
    uint32_t rows;
    uint32_t columns;
};

/** Of SEGUE_DECODE_ROPE_KV and SEGUE_DECODE_ROPE_KV_FP8. */
struct segue_rope_kv_constants {
    uint32_t heads;
    uint32_t kv_heads;
    uint32_t head_size;
    uint32_t capacity;
};

/** Of the SEGUE_DECODE_GQA kernels. */
struct segue_gqa_decode_constants {
    uint32_t heads;
    uint32_t kv_heads;
    uint32_t capacity;
    /** What scores are multiplied with: 1 / sqrt(head_size). */
    float scale;
    /** Parts of the context that thread blocks share out among them, 1 or more; see
     *  segue_gqa_decode_splits. Results depend on it by what the order of sums does. */
    uint32_t splits;
    /**
     * 1: nothing that comes before this dispatch in its command buffer writes `position`, nor any
     * row of the caches but that one. Such rows, and `position`, may then be read while earlier
     * kernels still run, which hides most of the time that a short context takes. It holds in a
     * command buffer that does one token, whoever writes `position` before it begins or at its end;
     * it does not where one command buffer does several. 0: nothing is read before all kernels
     * before this one have ended.
     */
    uint32_t settled;
};

/** What a launch of attention needs. */
struct segue_gqa_decode_sizes {
    uint32_t grid;
    uint64_t arrived_bytes;
    uint64_t partials_bytes;
};

/** The attention kernel for heads of that size, 64, 128 or 256; SEGUE_DECODE_KERNEL_COUNT for
 *  others. Thread-safe. */
SEGUE_API enum segue_decode_kernel segue_gqa_decode_kernel(uint32_t head_size, bool fp8);

/** How many splits fill a device of that many multiprocessors (segue_device_info) when the context
 *  is as long as the capacity; `constants->splits` does not count. At least 1. Thread-safe. */
SEGUE_API uint32_t segue_gqa_decode_splits(const struct segue_gqa_decode_constants *constants,
                                           uint32_t head_size, uint32_t multiprocessor_count);

/** Sizes of a launch; all 0 where kv_heads is, or is more than heads. Thread-safe. */
SEGUE_API void segue_gqa_decode_get_sizes(const struct segue_gqa_decode_constants *constants,
                                          uint32_t head_size,
                                          struct segue_gqa_decode_sizes *out_sizes);

/** The same of the SEGUE_DECODE_GQA_LONG kernels; all 0 where there is none for head_size, too.
 *  Thread-safe. */
SEGUE_API void segue_gqa_long_get_sizes(const struct segue_gqa_decode_constants *constants,
                                        uint32_t head_size,
                                        struct segue_gqa_decode_sizes *out_sizes);

/** Attention as it is best on a device; plain data. */
struct segue_gqa_decode {
    /** One of the SEGUE_DECODE_GQA kernels, by the capacity. */
    enum segue_decode_kernel kernel;
    /** With splits. */
    struct segue_gqa_decode_constants constants;
    uint32_t head_size;
    bool fp8;
    struct segue_gqa_decode_sizes sizes;
};

/** The buffers of a launch of attention; see SEGUE_DECODE_GQA_64. */
struct segue_gqa_decode_buffers {
    struct segue_buffer_ref q;
    struct segue_buffer_ref k_cache;
    struct segue_buffer_ref v_cache;
    /** With fp8 only. */
    struct segue_buffer_ref scales;
    struct segue_buffer_ref position;
    struct segue_buffer_ref out;
    /** sizes.arrived_bytes, sizes.partials_bytes. */
    struct segue_buffer_ref arrived;
    struct segue_buffer_ref partials;
};

/**
 * Chooses kernel, splits and sizes for a device of that many multiprocessors (segue_device_info).
 * @param constants  splits 0: what is best; other splits are kept.
 * Fails with SEGUE_INVALID_ARGUMENT where heads, kv_heads or capacity is 0, heads is not a multiple
 * of kv_heads, there is no kernel for head_size, or settled is neither 0 nor 1; with
 * SEGUE_OUT_OF_RANGE where 64 bits do not count a cache's bytes, or splits is above 512. The
 * message names what and its value. Thread-safe.
 */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_gqa_decode_choose(
    const struct segue_gqa_decode_constants *constants, uint32_t head_size, bool fp8,
    uint32_t multiprocessor_count, struct segue_gqa_decode *out_attention);

/**
 * Records attention: segue_cmd_dispatch of `decode`, the executable of segue_kernels_get_decode.
 * References may be longer than what is used of them. Fails as segue_gqa_decode_choose does, with
 * SEGUE_OUT_OF_RANGE where a reference is too short, and as segue_cmd_dispatch does.
 */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_cmd_gqa_decode(
    segue_command_buffer *command_buffer, segue_executable *decode,
    const struct segue_gqa_decode *attention, const struct segue_gqa_decode_buffers *buffers);

/** Candidates that SEGUE_DECODE_SAMPLE_TOP_K draws from at most. */
#define SEGUE_SAMPLE_MAX_TOP_K 64

/** What SEGUE_DECODE_SAMPLE_TOP_K reads from memory. */
struct segue_sampling {
    /** The key of the random numbers (Philox4x32-10); the position is the counter. */
    uint32_t seed[2];
    /** 0 or below, or NaN: the largest logit. */
    float temperature;
    /** 0, or above SEGUE_SAMPLE_MAX_TOP_K: that many. */
    uint32_t top_k;
};

/** What a launch of sampling needs. */
struct segue_sample_sizes {
    uint32_t grid;
    uint64_t candidates_bytes;
};

/** Sizes for that many logits. Thread-safe. */
SEGUE_API void segue_sample_get_sizes(uint32_t count, struct segue_sample_sizes *out_sizes);

/** What segue_executable_create needs to make the decode executable: CUDA source, its entry points
 *  (indices: segue_decode_kernel) and a label. All pointers are static. Thread-safe. */
SEGUE_API void segue_kernels_get_decode(struct segue_executable_params *out_params);

/** The references of the same kernels, in the same order. Static. Thread-safe. */
SEGUE_API const struct segue_reference_kernel *segue_kernels_get_references(uint32_t *out_count);

/** Registers all references with the software driver behind `device`; on any other device it does
 *  nothing. Call it before making the executable. Fails as segue_device_register_reference_kernels
 *  does. */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_kernels_register(segue_device *device);

/** Rotary frequencies of Llama 3: theta^(-2i / head_size), and with `factor` above 1 the long ones
 *  divided by it. */
struct segue_rope_scaling {
    double theta;
    /** 1: no scaling, and the fields below do not count. */
    double factor;
    /** Wavelengths above original_context / low_factor are stretched by `factor`, those below
     *  original_context / high_factor are kept, and those between get a mix. */
    double low_factor;
    double high_factor;
    double original_context;
};

/** @param out_frequencies head_size / 2 floats. Computed in double, rounded once. Thread-safe. */
SEGUE_API void segue_rope_frequencies(const struct segue_rope_scaling *scaling, uint32_t head_size,
                                      float *out_frequencies);

#ifdef __cplusplus
}
#endif

#endif // SEGUE_KERNELS_H
