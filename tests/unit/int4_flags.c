// SPDX-License-Identifier: Apache-2.0
#include "int4_flags.h"

bool int4_flags_fit(uint32_t flags)
{
    static const struct {
        uint32_t flag;
        uint32_t goes_with;
    } rules[] = {
        {SEGUE_QUANT_SILU_MUL, SEGUE_QUANT_NORM},
        {SEGUE_QUANT_ROPE_KV, SEGUE_QUANT_NORM | SEGUE_QUANT_BIAS | SEGUE_QUANT_KV_FP8},
    };
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        if ((flags & rules[i].flag) && (flags & ~(rules[i].flag | rules[i].goes_with)))
            return false;
    }
    if ((flags & SEGUE_QUANT_KV_FP8) && !(flags & SEGUE_QUANT_ROPE_KV))
        return false;
    return !(flags & SEGUE_QUANT_ADVANCE) || (flags & SEGUE_QUANT_ARGMAX);
}

struct segue_quant_gemv_params int4_flags_shape(uint32_t flags)
{
    const bool turns = (flags & SEGUE_QUANT_ROPE_KV) != 0;
    struct segue_quant_gemv_params params = {
        .matrix = {.name = "flags",
                   .rows = turns || (flags & SEGUE_QUANT_SILU_MUL) ? 96 : 91,
                   .columns = 160,
                   .bits = 4,
                   .group_size = 32},
        .batch = 1 + flags % 3,
        .activation_type = flags % 5 < 3 ? SEGUE_QUANT_BF16 : SEGUE_QUANT_F16,
        .result_type = (enum segue_quant_type)(flags % 7 % 3),
        .flags = flags,
        .epsilon = 1e-5f,
    };
    // The largest results of tests are none in f16.
    if ((flags & SEGUE_QUANT_ARGMAX) && params.result_type == SEGUE_QUANT_F16)
        params.result_type = SEGUE_QUANT_F32;
    if (flags & SEGUE_QUANT_SILU_MUL)
        params.matrix.pair_stride = 48;
    if (!turns)
        return params;
    params.matrix.pair_stride = 8;
    params.heads = (struct segue_quant_heads){.heads = 2, .kv_heads = 2, .capacity = 24};
    if (params.result_type == SEGUE_QUANT_F32)
        params.result_type = SEGUE_QUANT_F16;
    return params;
}
