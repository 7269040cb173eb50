// SPDX-License-Identifier: Apache-2.0
// What a product does with its sums, in C: see gemv_epilogue.cu.
#include "../fp8.h"
#include "gemv.h"
#include "layout.h"
#include "number.h"

#include <math.h>

static float silu(float value)
{
    return value / (1.0f + expf(-value));
}

/** An element of a cache; `scale`: its unit, of fp8. NULL: it has the results' type. */
static void store_cached(void *cache, enum segue_quant_type type, const float *scale, uint64_t at,
                         float value)
{
    if (scale)
        ((uint8_t *)cache)[at] = e4m3_from_float(value / *scale);
    else
        quant_store(cache, type, at, value);
}

/** Puts a pair of a head of q, k or v where it belongs; `row` is the first one's. */
static void store_head_pair(const struct segue_quant_gemv_constants *c, uint32_t m, uint32_t row,
                            float first, float second, void *const memory[GEMV_BINDING_COUNT])
{
    const enum segue_quant_type type = (enum segue_quant_type)c->result_type;
    const uint32_t half = c->pair_stride;
    const uint32_t head_size = 2 * half;
    const uint32_t head = row / head_size;
    const uint32_t heads = c->heads.heads, kv_heads = c->heads.kv_heads;
    const uint32_t position = ((const uint32_t *)memory[GEMV_POSITION])[m];
    if (head < heads + kv_heads) {
        const float frequency = ((const float *)memory[GEMV_FREQUENCIES])[row % head_size];
        const float angle = (float)position * frequency;
        const float turned = first * cosf(angle) - second * sinf(angle);
        second = second * cosf(angle) + first * sinf(angle);
        first = turned;
    }
    if (head < heads) {
        const uint64_t at = (uint64_t)m * heads * head_size + row;
        quant_store(memory[GEMV_OUT], type, at, first);
        quant_store(memory[GEMV_OUT], type, at + half, second);
        return;
    }
    if (position >= c->heads.capacity)
        return;
    const bool is_k = head < heads + kv_heads;
    const uint32_t skipped = (is_k ? heads : heads + kv_heads) * head_size;
    const uint64_t at = (uint64_t)position * kv_heads * head_size + (row - skipped);
    void *cache = memory[is_k ? GEMV_K_CACHE : GEMV_V_CACHE];
    const float *scale = memory[GEMV_KV_SCALES];
    if (scale)
        scale += head - heads;
    store_cached(cache, type, scale, at, first);
    store_cached(cache, type, scale, at + half, second);
}

/** Rows `i` and `i` + 8 of a tile. */
static void store_pair(const struct segue_quant_gemv_constants *c, uint32_t m, uint32_t packed_row,
                       float first, float second, void *const memory[GEMV_BINDING_COUNT])
{
    const uint32_t row = quant_plain_row(packed_row, c->pair_stride);
    if (c->flags & SEGUE_QUANT_SILU_MUL) {
        quant_store(memory[GEMV_OUT], (enum segue_quant_type)c->result_type,
                    (uint64_t)m * (c->rows / 2) + row, silu(first) * second);
        return;
    }
    if (memory[GEMV_BIAS]) {
        first += quant_load(memory[GEMV_BIAS], SEGUE_QUANT_F32, row);
        second += quant_load(memory[GEMV_BIAS], SEGUE_QUANT_F32, row + c->pair_stride);
    }
    store_head_pair(c, m, row, first, second, memory);
}

static void store_row(const struct segue_quant_gemv_constants *c, uint32_t m, uint32_t packed_row,
                      float value, void *const memory[GEMV_BINDING_COUNT])
{
    const enum segue_quant_type type = (enum segue_quant_type)c->result_type;
    const uint32_t row = quant_plain_row(packed_row, c->pair_stride ? c->pair_stride : 8);
    const uint64_t out = (uint64_t)m * c->rows + row;
    if (memory[GEMV_BIAS])
        value += quant_load(memory[GEMV_BIAS], SEGUE_QUANT_F32, row);
    if (memory[GEMV_RESIDUAL])
        value += quant_load(memory[GEMV_RESIDUAL], type, out);
    quant_store(memory[GEMV_OUT], type, out, value);
}

void segue_quant_gemv_store_tile(const struct segue_quant_gemv_constants *constants, uint32_t tile,
                                 const float *sums, void *const memory[GEMV_BINDING_COUNT])
{
    const bool pairs = (constants->flags & (SEGUE_QUANT_SILU_MUL | SEGUE_QUANT_ROPE_KV)) != 0;
    for (uint32_t m = 0; m < constants->batch; m++) {
        const float *of_vector = sums + (size_t)m * TILE_ROWS;
        for (uint32_t i = 0; i < (pairs ? TILE_ROWS / 2u : TILE_ROWS); i++) {
            const uint32_t packed_row = tile * TILE_ROWS + i;
            if (packed_row >= constants->rows)
                break;
            if (pairs)
                store_pair(constants, m, packed_row, of_vector[i], of_vector[i + TILE_ROWS / 2],
                           memory);
            else
                store_row(constants, m, packed_row, of_vector[i], memory);
        }
    }
}

/** Index of the largest of `count` values from `first` on; 0 where all are NaN. */
static uint32_t largest(const void *values, enum segue_quant_type type, uint64_t first,
                        uint32_t count)
{
    // The first number wins even if it is minus infinity: NaN before it does not.
    float best = -INFINITY;
    uint32_t index = UINT32_MAX;
    for (uint32_t i = 0; i < count; i++) {
        const float value = quant_load(values, type, first + i);
        if (value > best || (value == best && index == UINT32_MAX)) {
            best = value;
            index = i;
        }
    }
    return index == UINT32_MAX ? 0 : index;
}

void segue_quant_gemv_finish(const struct segue_quant_gemv_constants *constants,
                             void *const memory[GEMV_BINDING_COUNT])
{
    if (!(constants->flags & SEGUE_QUANT_ARGMAX))
        return;
    const enum segue_quant_type type = (enum segue_quant_type)constants->result_type;
    for (uint32_t m = 0; m < constants->batch; m++) {
        ((uint32_t *)memory[GEMV_TOKEN])[m] =
            largest(memory[GEMV_OUT], type, (uint64_t)m * constants->rows, constants->rows);
        if (constants->flags & SEGUE_QUANT_ADVANCE)
            ((uint32_t *)memory[GEMV_POSITION])[m]++;
    }
}
