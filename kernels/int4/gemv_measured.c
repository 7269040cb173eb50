// SPDX-License-Identifier: Apache-2.0
// Settings that measured best within whole decode steps of Llama 3.2 1B and 3B and 3.1 8B, of one
// vector and groups of 32, on an H200: there a product stands between others of other shapes, and
// what is best is not what is best in a chain of its own kind (docs/performance.md).
#include "gemv_plan.h"

/** Settings of fewer multiprocessors, or of more, are other ones. */
#define PROCESSORS 132
#define SHARED_BYTES (227u << 10)

/** Flags that say which product of a layer it is. */
#define KIND_FLAGS (SEGUE_QUANT_RESIDUAL | SEGUE_QUANT_SILU_MUL | SEGUE_QUANT_ROPE_KV)

/** A product and its settings. */
struct measured {
    uint32_t rows;
    uint32_t columns;
    /** Of KIND_FLAGS. */
    uint32_t flags;
    struct gemv_settings settings;
};

static const struct measured products[] = {
    // q, k, v; o; gate and up; down: rows, columns, flags, warps, ring in KiB, blocks each and
    // fitting, blocks of a slot, trigger, tiles at a time.
    {3072, 2048, SEGUE_QUANT_ROPE_KV, {8, 48, 1, 2, 0, GEMV_TRIGGER_AT_START, 0}},
    {2048, 2048, SEGUE_QUANT_RESIDUAL, {16, 28, 1, 0, 4, GEMV_TRIGGER_AT_START, 0}},
    {16384, 2048, SEGUE_QUANT_SILU_MUL, {16, 126, 1, 0, 0, GEMV_TRIGGER_AFTER_X, 2}},
    {2048, 8192, SEGUE_QUANT_RESIDUAL, {8, 56, 1, 0, 0, GEMV_TRIGGER_AT_START, 0}},
    {5120, 3072, SEGUE_QUANT_ROPE_KV, {12, 72, 1, 0, 4, GEMV_TRIGGER_AT_START, 0}},
    {3072, 3072, SEGUE_QUANT_RESIDUAL, {8, 36, 2, 0, 4, GEMV_TRIGGER_AT_START, 0}},
    {16384, 3072, SEGUE_QUANT_SILU_MUL, {8, 64, 2, 0, 4, GEMV_TRIGGER_AFTER_X, 0}},
    {3072, 8192, SEGUE_QUANT_RESIDUAL, {8, 130, 1, 0, 4, GEMV_TRIGGER_AT_START, 0}},
    {6144, 4096, SEGUE_QUANT_ROPE_KV, {4, 72, 1, 0, 4, GEMV_TRIGGER_AFTER_WAIT, 0}},
    {4096, 4096, SEGUE_QUANT_RESIDUAL, {8, 48, 2, 0, 0, GEMV_TRIGGER_AT_START, 0}},
    {28672, 4096, SEGUE_QUANT_SILU_MUL, {8, 76, 2, 0, 4, GEMV_TRIGGER_AFTER_X, 0}},
    {4096, 14336, SEGUE_QUANT_RESIDUAL, {8, 68, 2, 0, 0, GEMV_TRIGGER_AT_START, 0}},
};

const struct gemv_settings *
segue_quant_gemv_measured(const struct segue_quant_gemv_constants *constants,
                          const struct segue_device_info *device)
{
    if (constants->batch != 1 || constants->bits != 4 || constants->group_size != 32 ||
        constants->zero != SEGUE_QUANT_ZERO_MIDDLE || constants->scale_type == SEGUE_QUANT_F32 ||
        constants->activation_type != SEGUE_QUANT_BF16 || device->compute_capability_major != 9 ||
        device->multiprocessor_count != PROCESSORS ||
        device->max_shared_memory_bytes != SHARED_BYTES)
        return NULL;
    for (size_t i = 0; i < sizeof(products) / sizeof(products[0]); i++) {
        if (products[i].rows == constants->rows && products[i].columns == constants->columns &&
            products[i].flags == (constants->flags & KIND_FLAGS))
            return &products[i].settings;
    }
    return NULL;
}
