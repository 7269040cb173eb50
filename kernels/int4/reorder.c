// SPDX-License-Identifier: Apache-2.0
// Reordering the columns of vectors: recording, and the reference.
#include "launch.h"
#include "layout.h"
#include "pack.h"

#include <inttypes.h>

#define BLOCK_THREADS 128
#define MAX_BLOCKS 1024

enum { X, ORDER, OUT, BINDING_COUNT };

static void get_sizes(const struct segue_quant_reorder_constants *c,
                      uint64_t out_sizes[BINDING_COUNT])
{
    const uint64_t vectors_bytes = (uint64_t)c->batch * c->columns * c->element_bytes;
    out_sizes[X] = vectors_bytes;
    out_sizes[ORDER] = (uint64_t)c->columns * 4;
    out_sizes[OUT] = vectors_bytes;
}

/* ---- Recording ------------------------------------------------------------------------------- */

static segue_status check_constants(const struct segue_quant_reorder_constants *c)
{
    if (c->columns == 0 || c->columns > QUANT_MAX_COLUMNS)
        return quant_fail(NULL, SEGUE_INVALID_ARGUMENT, "reordering: columns is %u; use 1 to %u",
                          c->columns, QUANT_MAX_COLUMNS);
    if (c->batch == 0 || c->batch > SEGUE_QUANT_MAX_BATCH)
        return quant_fail(NULL, SEGUE_INVALID_ARGUMENT, "reordering: batch is %u; use 1 to %u",
                          c->batch, SEGUE_QUANT_MAX_BATCH);
    if (c->element_bytes != 2 && c->element_bytes != 4)
        return quant_fail(NULL, SEGUE_INVALID_ARGUMENT,
                          "reordering: element_bytes is %u; use 2 or 4", c->element_bytes);
    return SEGUE_OK;
}

segue_status segue_quant_cmd_reorder(segue_command_buffer *command_buffer,
                                     segue_executable *executable,
                                     const struct segue_quant_reorder_constants *constants,
                                     const struct segue_quant_reorder_buffers *buffers)
{
    static const char *const names[BINDING_COUNT] = {"x", "order", "out"};
    if (!constants || !buffers)
        return quant_fail(NULL, SEGUE_INVALID_ARGUMENT, "reordering: %s is NULL",
                          constants ? "buffers" : "constants");
    const segue_status status = check_constants(constants);
    if (status != SEGUE_OK)
        return status;
    struct segue_buffer_ref bindings[BINDING_COUNT] = {buffers->x, buffers->order, buffers->out};
    uint64_t sizes[BINDING_COUNT];
    get_sizes(constants, sizes);
    for (uint32_t i = 0; i < BINDING_COUNT; i++) {
        if (bindings[i].length_bytes < sizes[i])
            return quant_fail(NULL, SEGUE_OUT_OF_RANGE,
                              "reordering: %s has %" PRIu64 " bytes; it needs %" PRIu64, names[i],
                              bindings[i].length_bytes, sizes[i]);
        bindings[i].length_bytes = sizes[i];
    }
    const uint32_t blocks =
        (constants->batch * constants->columns + BLOCK_THREADS - 1) / BLOCK_THREADS;
    const struct segue_dispatch dispatch = {
        .executable = executable,
        .entry_point = SEGUE_QUANT_REORDER,
        .grid = {blocks < MAX_BLOCKS ? blocks : MAX_BLOCKS, 1, 1},
        .bindings = bindings,
        .binding_count = BINDING_COUNT,
        .constants = constants,
        .constants_size_bytes = sizeof(*constants),
    };
    return segue_cmd_dispatch(command_buffer, &dispatch);
}

/* ---- The reference --------------------------------------------------------------------------- */

/** False where the constants describe no vectors. */
static bool read_work(const struct segue_reference_launch *launch,
                      struct segue_quant_reorder_constants *out_constants,
                      struct launch_range out_ranges[BINDING_COUNT])
{
    struct segue_quant_reorder_constants c;
    uint64_t sizes[BINDING_COUNT];
    memcpy(&c, launch->parameters[BINDING_COUNT], sizeof(c));
    if (c.columns == 0 || c.columns > QUANT_MAX_COLUMNS || c.batch == 0 ||
        c.batch > SEGUE_QUANT_MAX_BATCH || (c.element_bytes != 2 && c.element_bytes != 4))
        return false;
    get_sizes(&c, sizes);
    for (uint32_t i = 0; i < BINDING_COUNT; i++)
        out_ranges[i] = (struct launch_range){i, sizes[i], i != OUT, i == OUT};
    *out_constants = c;
    return true;
}

bool segue_quant_run_reorder(const struct segue_reference_launch *launch,
                             segue_reference_translate translate)
{
    struct segue_quant_reorder_constants c;
    struct launch_range ranges[BINDING_COUNT];
    void *memory[BINDING_COUNT];
    if (!read_work(launch, &c, ranges) ||
        !launch_translate(launch, translate, ranges, BINDING_COUNT, memory))
        return false;
    for (uint32_t m = 0; m < c.batch; m++) {
        const uint64_t row = (uint64_t)m * c.columns;
        for (uint32_t column = 0; column < c.columns; column++) {
            uint32_t from;
            memcpy(&from, (const uint8_t *)memory[ORDER] + (size_t)column * 4, sizeof(from));
            if (from >= c.columns)
                return false;
            memcpy((uint8_t *)memory[OUT] + (row + column) * c.element_bytes,
                   (const uint8_t *)memory[X] + (row + from) * c.element_bytes, c.element_bytes);
        }
    }
    return true;
}

void segue_quant_add_reorder_ranges(const struct segue_reference_launch *launch,
                                    struct segue_reference_ranges *ranges)
{
    struct segue_quant_reorder_constants c;
    struct launch_range work[BINDING_COUNT];
    if (read_work(launch, &c, work))
        launch_add_ranges(launch, ranges, work, BINDING_COUNT);
}
