// SPDX-License-Identifier: Apache-2.0
// Attention as a caller asks for it: what may be asked for, which kernel does it, and its bindings.
#include "gqa_plan.h"

#include "layout.h"

/** Rows of a cache from which on the kernels for long contexts read it. */
#define LONG_CAPACITY 16384u
/** All bindings in order, and the one that only fp8 has. */
#define MAX_BINDINGS 8
#define SCALES 3

static segue_status check(const struct segue_gqa_decode_constants *constants, uint32_t head_size,
                          bool fp8)
{
    if (segue_gqa_decode_kernel(head_size, fp8) == SEGUE_DECODE_KERNEL_COUNT)
        return quant_fail(NULL, SEGUE_INVALID_ARGUMENT,
                          "attention: head_size is %u; use 64, 128 or 256", head_size);
    if (constants->heads == 0 || constants->kv_heads == 0)
        return quant_fail(NULL, SEGUE_INVALID_ARGUMENT, "attention: %s is 0; use 1 or more",
                          constants->heads == 0 ? "heads" : "kv_heads");
    if (constants->heads % constants->kv_heads != 0)
        return quant_fail(NULL, SEGUE_INVALID_ARGUMENT,
                          "attention: heads is %u; use a multiple of kv_heads, which is %u",
                          constants->heads, constants->kv_heads);
    if (constants->capacity == 0)
        return quant_fail(NULL, SEGUE_INVALID_ARGUMENT,
                          "attention: capacity is 0; use the rows that the caches have");
    if (constants->settled > 1)
        return quant_fail(NULL, SEGUE_INVALID_ARGUMENT, "attention: settled is %u; use 0 or 1",
                          constants->settled);
    if (segue_gqa_cache_bytes(constants, head_size, fp8) == SIZE_BEYOND)
        return quant_fail(
            NULL, SEGUE_OUT_OF_RANGE,
            "attention: %u rows of %u kv_heads of %u elements have more bytes than 64 "
            "bits count",
            constants->capacity, constants->kv_heads, head_size);
    return SEGUE_OK;
}

segue_status segue_gqa_decode_choose(const struct segue_gqa_decode_constants *constants,
                                     uint32_t head_size, bool fp8, uint32_t multiprocessor_count,
                                     struct segue_gqa_decode *out_attention)
{
    if (!constants || !out_attention)
        return quant_fail(NULL, SEGUE_INVALID_ARGUMENT, "attention: %s is NULL",
                          constants ? "out_attention" : "constants");
    const segue_status status = check(constants, head_size, fp8);
    if (status != SEGUE_OK)
        return status;
    struct segue_gqa_decode attention = {
        .constants = *constants, .head_size = head_size, .fp8 = fp8};
    const bool is_long = constants->capacity >= LONG_CAPACITY;
    attention.kernel =
        is_long ? segue_gqa_long_kernel(head_size, fp8) : segue_gqa_decode_kernel(head_size, fp8);
    if (constants->splits == 0)
        attention.constants.splits = (is_long ? segue_gqa_long_splits : segue_gqa_decode_splits)(
            constants, head_size, multiprocessor_count);
    else if (constants->splits > GQA_MAX_SPLITS)
        return quant_fail(NULL, SEGUE_OUT_OF_RANGE,
                          "attention: splits is %u; use at most %u, or 0 for what is best",
                          constants->splits, GQA_MAX_SPLITS);
    (is_long ? segue_gqa_long_get_sizes : segue_gqa_decode_get_sizes)(&attention.constants,
                                                                      head_size, &attention.sizes);
    *out_attention = attention;
    return SEGUE_OK;
}

static segue_status fit_all(const struct segue_gqa_decode *attention,
                            const struct segue_gqa_decode_buffers *buffers,
                            struct segue_buffer_ref refs[MAX_BINDINGS], uint32_t *out_count)
{
    const struct segue_gqa_decode_constants *constants = &attention->constants;
    const uint64_t cache_bytes =
        segue_gqa_cache_bytes(constants, attention->head_size, attention->fp8);
    const uint64_t q_bytes = (uint64_t)constants->heads * attention->head_size * 2;
    const struct {
        const char *name;
        struct segue_buffer_ref ref;
        uint64_t size_bytes;
    } given[MAX_BINDINGS] = {
        {"q", buffers->q, q_bytes},
        {"k_cache", buffers->k_cache, cache_bytes},
        {"v_cache", buffers->v_cache, cache_bytes},
        [SCALES] = {"scales", buffers->scales, (uint64_t)constants->kv_heads * 8},
        {"position", buffers->position, sizeof(uint32_t)},
        {"out", buffers->out, q_bytes},
        {"arrived", buffers->arrived, attention->sizes.arrived_bytes},
        {"partials", buffers->partials, attention->sizes.partials_bytes},
    };
    uint32_t count = 0;
    for (uint32_t i = 0; i < MAX_BINDINGS; i++) {
        if (i == SCALES && !attention->fp8)
            continue;
        const segue_status status = segue_quant_fit("attention", given[i].name, given[i].ref,
                                                    given[i].size_bytes, &refs[count]);
        if (status != SEGUE_OK)
            return status;
        count++;
    }
    *out_count = count;
    return SEGUE_OK;
}

segue_status segue_cmd_gqa_decode(segue_command_buffer *command_buffer, segue_executable *decode,
                                  const struct segue_gqa_decode *attention,
                                  const struct segue_gqa_decode_buffers *buffers)
{
    if (!attention || !buffers)
        return quant_fail(NULL, SEGUE_INVALID_ARGUMENT, "attention: %s is NULL",
                          attention ? "buffers" : "attention");
    if (attention->constants.splits == 0)
        return quant_fail(NULL, SEGUE_INVALID_ARGUMENT,
                          "attention: splits is 0; use what segue_gqa_decode_choose gives");
    // Whatever has been changed since then.
    struct segue_gqa_decode same;
    struct segue_buffer_ref refs[MAX_BINDINGS];
    uint32_t count = 0;
    segue_status status = segue_gqa_decode_choose(&attention->constants, attention->head_size,
                                                  attention->fp8, 0, &same);
    if (status == SEGUE_OK)
        status = fit_all(&same, buffers, refs, &count);
    if (status != SEGUE_OK)
        return status;
    const struct segue_dispatch dispatch = {
        .executable = decode,
        .entry_point = (uint32_t)same.kernel,
        .grid = {same.sizes.grid, 1, 1},
        .bindings = refs,
        .binding_count = count,
        .constants = &same.constants,
        .constants_size_bytes = sizeof(same.constants),
    };
    return segue_cmd_dispatch(command_buffer, &dispatch);
}
