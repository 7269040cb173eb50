// SPDX-License-Identifier: Apache-2.0
/*
 * Recording a command buffer again, with some of its dispatches changed, and launching it: reset,
 * begin, record, end, submit. Beside it, for a graph of the very same nodes and edges:
 *
 *   launch    cuGraphLaunch alone: what is above it is the cost of recording again
 *   rebuild   create, add, instantiate, upload, wait, launch, destroy (what IREE and XLA do)
 *   update    add all to a new graph, cuGraphExecUpdate, launch (llama.cpp, MLX)
 *   all       cuGraphExecKernelNodeSetParams of every node, launch (tinygrad)
 *   stream    a launch for every kernel
 *   nodes     cuGraphExecKernelNodeSetParams of what has changed, launch: the driver's own share
 *
 * What changes is a constant of dispatches at even distances; in `moved` every dispatch uses other
 * buffers. The device is idle when a step begins, and has finished before the next one; that time
 * is not part of it. A sample is the shortest of three steps in a row.
 *
 * Floors: recording writes and comparing reads 200 bytes a dispatch with its barrier: 34 and 10 ns
 * in cache. Writing a node is the driver's: 0.17 us. Predictions for 1000: 60 to 80 us above a
 * launch unchanged, 2 us more for ten changed, 200 us more for all; rebuilding takes 2.8 ms.
 */
#include "cache_case.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/** Sets of buffers that `moved` takes in turns. */
#define SET_COUNT 2
#define BUFFER_BYTES 4096

struct state {
    struct segue_bench_cache_case base;
    uint32_t count;
    /** Dispatches between barriers. */
    uint32_t width;
    bool moved;
    /** Which dispatches change, ascending. */
    uint32_t *changed;
    uint32_t changed_count;
    segue_buffer *others[SEGUE_BENCH_BINDING_COUNT];
    struct segue_bench_plain_parts plain;
};

static segue_status record(const struct segue_bench *bench,
                           const struct segue_bench_cache_case *base)
{
    const struct state *state = (const struct state *)base;
    const struct segue_bench_fixture *fixture = &bench->fixture;
    segue_buffer *const *buffers =
        state->moved && base->step % SET_COUNT != 0 ? state->others : fixture->buffers;
    struct segue_buffer_ref bindings[SEGUE_BENCH_BINDING_COUNT];
    for (uint32_t i = 0; i < SEGUE_BENCH_BINDING_COUNT; i++)
        bindings[i] = (struct segue_buffer_ref){.buffer = buffers[i], .length_bytes = BUFFER_BYTES};
    uint32_t constants[SEGUE_BENCH_CONSTANTS_BYTES / 4] = {0};
    const struct segue_dispatch dispatch = {
        .executable = fixture->executable,
        .grid = {SEGUE_BENCH_GRID_SIZE, 1, 1},
        .bindings = bindings,
        .binding_count = SEGUE_BENCH_BINDING_COUNT,
        .constants = constants,
        .constants_size_bytes = sizeof(constants),
    };
    uint32_t next = 0;
    segue_status status = segue_command_buffer_begin(base->command_buffer);
    for (uint32_t i = 0; i < state->count && status == SEGUE_OK; i++) {
        const bool is_changed = next < state->changed_count && state->changed[next] == i;
        next += is_changed;
        constants[0] = i;
        constants[1] = is_changed ? base->step : 0;
        status = segue_cmd_dispatch(base->command_buffer, &dispatch);
        if (status == SEGUE_OK && (i + 1) % state->width == 0)
            status = segue_cmd_barrier(base->command_buffer, NULL);
    }
    if (status == SEGUE_OK)
        status = segue_command_buffer_end(base->command_buffer);
    return status;
}

static bool create_others(struct segue_bench *bench, struct state *state)
{
    const struct segue_buffer_params params = {.size_bytes = BUFFER_BYTES};
    for (uint32_t i = 0; i < SEGUE_BENCH_BINDING_COUNT; i++) {
        struct segue_buffer_info info;
        if (!segue_bench_check(
                bench, segue_buffer_create(bench->fixture.device, &params, &state->others[i])))
            return false;
        segue_buffer_get_info(state->others[i], &info);
        state->plain.others[i] = state->moved ? info.device_address : 0;
    }
    return true;
}

static bool set_up(struct segue_bench *bench, const struct segue_bench_case *self, void **out_state)
{
    struct state *state = calloc(1, sizeof(*state));
    if (!state)
        return segue_bench_fail(bench, "out of memory");
    *out_state = state;
    state->base.record = record;
    state->count = self->count;
    state->width = self->kind & SEGUE_BENCH_CACHE_KIND;
    state->moved = (self->kind & SEGUE_BENCH_CACHE_MOVED) != 0;
    state->changed_count = self->kind >> SEGUE_BENCH_CACHE_CHANGED;
    state->changed = segue_bench_spread(bench, state->count, state->changed_count);
    segue_device_set_cache_budget(bench->fixture.device, NULL);
    const struct segue_command_buffer_params params = {.mode = SEGUE_EXECUTION_GRAPH};
    if (!state->changed || !create_others(bench, state) ||
        !segue_bench_check(bench, segue_command_buffer_create(bench->fixture.device, &params,
                                                              &state->base.command_buffer)) ||
        !segue_bench_check(bench, record(bench, &state->base)) ||
        !segue_bench_check(bench,
                           segue_bench_take_shape(state->base.command_buffer, &state->plain.shape)))
        return false;
    const struct segue_bench_parts parts = segue_bench_plain_parts(&state->plain);
    return segue_bench_kept_open(bench, &parts, state->moved ? UINT32_MAX : state->changed_count,
                                 &state->base.kept);
}

static void tear_down(struct segue_bench *bench, void *opaque)
{
    struct state *state = opaque;
    if (!state)
        return;
    segue_device_set_cache_budget(bench->fixture.device, &(struct segue_cache_budget){0});
    segue_command_buffer_destroy(state->base.command_buffer);
    for (uint32_t i = 0; i < SEGUE_BENCH_BINDING_COUNT; i++)
        segue_buffer_destroy(state->others[i]);
    segue_bench_kept_close(bench, &state->base.kept);
    segue_bench_shape_destroy(&state->plain.shape);
    free(state->changed);
    free(state);
}

void segue_bench_add_cache(struct segue_bench *bench)
{
    static const uint32_t counts[] = {10, 100, 1000, 10000};
    static const uint32_t widths[] = {1, 8};
    const size_t count_limit = bench->options.quick ? 2 : 4;
    for (size_t w = 0; w < sizeof(widths) / sizeof(widths[0]); w++) {
        const char *name = widths[w] == 1 ? "chain" : "scopes_of_8";
        for (size_t c = 0; c < count_limit; c++) {
            struct segue_bench_cache_plan plan = {
                .count = counts[c],
                .kind = widths[w],
                .set_up = set_up,
                .tear_down = tear_down,
            };
            segue_bench_add_cache_cases(bench, plan, name);
            plan.moved = true;
            segue_bench_add_cache_case(bench, &plan, name);
        }
    }
}

void segue_bench_conclude_cache(struct segue_bench *bench)
{
    struct segue_cache_stats stats;
    segue_device_get_cache_stats(bench->fixture.device, &stats);
    segue_bench_add_note(bench, "cache",
                         "graphs: %" PRIu64 " from the cache (%" PRIu64 " recognised, %" PRIu64
                         " unchanged), %" PRIu64 " built, %" PRIu64 " given up; %" PRIu64
                         " nodes written, %" PRIu64 " updated as a whole",
                         stats.hits, stats.recognised, stats.unchanged, stats.misses + stats.copies,
                         stats.evictions, stats.nodes_written, stats.whole_updates);
    segue_bench_add_note(bench, "cache_falls",
                         "falls: %" PRIu64 " from writing, %" PRIu64 " from updating, %" PRIu64
                         " from instantiating, %" PRIu64 " for memory; peak %.1f MB, %.3f s saved",
                         stats.falls[SEGUE_CACHE_FALL_PATCH], stats.falls[SEGUE_CACHE_FALL_UPDATE],
                         stats.falls[SEGUE_CACHE_FALL_INSTANTIATE],
                         stats.falls[SEGUE_CACHE_FALL_MEMORY], (double)stats.peak_bytes * 1e-6,
                         (double)stats.saved_ns * 1e-9);
}
