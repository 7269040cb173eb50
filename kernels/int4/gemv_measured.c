// SPDX-License-Identifier: Apache-2.0
// Settings that measured best within whole decode steps of Llama 3.2 1B and 3B and 3.1 8B, of one
// vector and groups of 32, on an H200: there a product stands between others of other shapes, and
// what is best is not what is best in a chain of its own kind (docs/performance.md).
#include "gemv_plan.h"

/** Multiprocessors from which on the settings are taken: shares of fewer are other ones. */
#define LEAST_PROCESSORS 132

static const struct gemv_measured settings[] = {
    // q, k, v; o; gate and up; down: rows, columns, warps, ring in KiB, blocks each, late trigger.
    {3072, 2048, 4, 48, 2, true},   {2048, 2048, 8, 48, 1, true},   {16384, 2048, 8, 110, 1, true},
    {2048, 8192, 8, 110, 1, true},  {5120, 3072, 8, 36, 2, false},  {3072, 3072, 12, 48, 2, false},
    {16384, 3072, 12, 76, 2, true}, {3072, 8192, 8, 130, 1, false}, {6144, 4096, 8, 130, 1, false},
    {4096, 4096, 8, 76, 1, false},  {28672, 4096, 4, 96, 2, false}, {4096, 14336, 8, 72, 2, false},
};

const struct gemv_measured *
segue_quant_gemv_measured(const struct segue_quant_gemv_constants *constants,
                          const struct segue_device_info *device)
{
    if (constants->batch != 1 || constants->bits != 4 || constants->group_size != 32 ||
        device->multiprocessor_count < LEAST_PROCESSORS)
        return NULL;
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
        if (settings[i].rows == constants->rows && settings[i].columns == constants->columns)
            return &settings[i];
    }
    return NULL;
}
