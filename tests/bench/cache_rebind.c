// SPDX-License-Identifier: Apache-2.0
/*
 * Submitting a chain of dispatches with another table: one slot, named by some of them, stands for
 * another buffer at every step. Beside it, for a graph of the very same nodes and edges:
 *
 *   launch    cuGraphLaunch alone: what is above it is the cost of the table
 *   nodes     cuGraphExecKernelNodeSetParams of the nodes that change, launch
 *   all       the same of every node, launch (tinygrad)
 *
 *   cache/rebind/1000/10        10 of 1000 dispatches name the slot; at 1000 all of them do
 *   cache/rebind/1000/10/ahead  the step before is not waited for: two graphs in turns
 *   cache/rebind/1000/10/indirect  kernels find what the slot stands for in memory: one copy, no
 * node is written. The other side's nodes have it as a parameter
 *
 * The device is idle when a step begins, but for `ahead`. A sample is the shortest of three steps.
 *
 * Floor: the driver's 0.17 us a node (0.3 us in graphs of 10,000). Own share, on the software
 * driver: 840 instructions or 0.06 us a node for checking, comparing, lowering and writing it down;
 * 1000 instructions a submission. Predictions above a launch: 0.3 us for an equal table; 2.6 to 2.9
 * us for 10 nodes, 24 us for 100, 230 us for 1000.
 */
#include "cache_raw.h"

#include <stdlib.h>
#include <string.h>

enum metric { LAUNCH, NODES, ALL };

/** segue_bench_case.kind: how many dispatches name the slot, whether steps are ahead, and whether
 *  the kernels find their first pointer in memory. */
enum { AHEAD = 1, INDIRECT = 2, CHANGED_SHIFT = 8 };

#define TABLE_COUNT 2
#define BUFFER_BYTES 4096

struct state {
    uint32_t count;
    /** Which dispatches name the slot, ascending. */
    uint32_t *changed;
    uint32_t changed_count;
    bool ahead;
    bool indirect;
    segue_command_buffer *command_buffer;
    segue_buffer *tables[TABLE_COUNT];
    /** Which table is next. */
    uint32_t step;
    struct segue_bench_plain_parts plain;
    struct segue_bench_kept kept;
};

static segue_status record(const struct segue_bench_fixture *fixture, const struct state *state)
{
    struct segue_buffer_ref bindings[SEGUE_BENCH_BINDING_COUNT];
    uint32_t constants[SEGUE_BENCH_CONSTANTS_BYTES / 4] = {0};
    const struct segue_dispatch dispatch = {
        .executable = fixture->executable,
        .entry_point = state->indirect,
        .grid = {SEGUE_BENCH_GRID_SIZE, 1, 1},
        .bindings = bindings,
        .binding_count = SEGUE_BENCH_BINDING_COUNT,
        .constants = constants,
        .constants_size_bytes = sizeof(constants),
    };
    for (uint32_t i = 0; i < SEGUE_BENCH_BINDING_COUNT; i++)
        bindings[i] =
            (struct segue_buffer_ref){.buffer = fixture->buffers[i], .length_bytes = BUFFER_BYTES};
    uint32_t next = 0;
    segue_status status = segue_command_buffer_begin(state->command_buffer);
    for (uint32_t i = 0; i < state->count && status == SEGUE_OK; i++) {
        const bool is_changed = next < state->changed_count && state->changed[next] == i;
        next += is_changed;
        constants[0] = i;
        bindings[0].buffer = is_changed ? NULL : fixture->buffers[0];
        status = segue_cmd_dispatch(state->command_buffer, &dispatch);
        if (status == SEGUE_OK)
            status = segue_cmd_barrier(state->command_buffer, NULL);
    }
    return status == SEGUE_OK ? segue_command_buffer_end(state->command_buffer) : status;
}

static segue_status submit(struct segue_bench_fixture *fixture, const struct state *state)
{
    const struct segue_buffer_ref table = {.buffer = state->tables[state->step % TABLE_COUNT],
                                           .length_bytes = SEGUE_WHOLE_SIZE};
    const struct segue_execution execution = {
        .command_buffer = state->command_buffer, .bindings = &table, .binding_count = 1};
    const struct segue_semaphore_value signal = {fixture->done, ++fixture->done_value};
    const struct segue_submission submission = {
        .executions = &execution,
        .execution_count = 1,
        .signals = &signal,
        .signal_count = 1,
    };
    return segue_queue_submit(fixture->queue, &submission);
}

static bool set_up(struct segue_bench *bench, const struct segue_bench_case *self, void **out_state)
{
    struct state *state = calloc(1, sizeof(*state));
    if (!state)
        return segue_bench_fail(bench, "out of memory");
    *out_state = state;
    state->count = self->count;
    state->ahead = (self->kind & AHEAD) != 0;
    state->indirect = (self->kind & INDIRECT) != 0;
    state->changed_count = self->kind >> CHANGED_SHIFT;
    state->changed = segue_bench_spread(bench, state->count, state->changed_count);
    segue_device_set_cache_budget(bench->fixture.device, NULL);
    const struct segue_command_buffer_params params = {.mode = SEGUE_EXECUTION_GRAPH,
                                                       .slot_count = 1};
    const struct segue_buffer_params buffer = {.size_bytes = BUFFER_BYTES};
    bool good = state->changed &&
                segue_bench_check(bench, segue_command_buffer_create(bench->fixture.device, &params,
                                                                     &state->command_buffer));
    for (uint32_t i = 0; i < TABLE_COUNT && good; i++)
        good = segue_bench_check(
            bench, segue_buffer_create(bench->fixture.device, &buffer, &state->tables[i]));
    if (!good || !segue_bench_check(bench, record(&bench->fixture, state)) ||
        !segue_bench_check(bench, submit(&bench->fixture, state)) ||
        !segue_bench_check(bench, segue_queue_wait_idle(bench->fixture.queue)) ||
        !segue_bench_check(bench,
                           segue_bench_take_shape(state->command_buffer, &state->plain.shape)))
        return false;
    const struct segue_bench_parts parts = segue_bench_plain_parts(&state->plain);
    return segue_bench_kept_open(bench, &parts, state->changed_count, &state->kept);
}

static void tear_down(struct segue_bench *bench, void *opaque)
{
    struct state *state = opaque;
    if (!state)
        return;
    segue_device_set_cache_budget(bench->fixture.device, &(struct segue_cache_budget){0});
    segue_command_buffer_destroy(state->command_buffer);
    for (uint32_t i = 0; i < TABLE_COUNT; i++)
        segue_buffer_destroy(state->tables[i]);
    segue_bench_kept_close(bench, &state->kept);
    segue_bench_shape_destroy(&state->plain.shape);
    free(state->changed);
    free(state);
}

/** Nodes written, or, where none is to be, copies made. */
static uint64_t written_for(const struct segue_bench *bench, const struct state *state)
{
    struct segue_cache_stats stats;
    segue_device_get_cache_stats(bench->fixture.device, &stats);
    return state->indirect ? stats.table_copies + (stats.rebound_nodes << 32) : stats.rebound_nodes;
}

/** The shortest of some steps in a row, each of which writes the nodes that it should. */
static bool measure(struct segue_bench *bench, void *opaque, double *values)
{
    struct state *state = opaque;
    double least_ns = 0;
    for (uint32_t i = 0; i < SEGUE_BENCH_INNER; i++) {
        const uint64_t before = written_for(bench, state);
        state->step++;
        const double start_ns = segue_bench_now_ns();
        if (!segue_bench_check(bench, submit(&bench->fixture, state)))
            return false;
        const double taken_ns = segue_bench_now_ns() - start_ns;
        if (!state->ahead &&
            written_for(bench, state) - before != (state->indirect ? 1 : state->changed_count))
            return segue_bench_fail(bench, "a step has written other nodes than it should");
        if (!state->ahead && !segue_bench_check(bench, segue_queue_wait_idle(bench->fixture.queue)))
            return false;
        if (i == 0 || taken_ns < least_ns)
            least_ns = taken_ns;
    }
    for (uint32_t i = 0; i <= ALL; i++)
        values[i] = least_ns;
    return segue_bench_check(bench, segue_queue_wait_idle(bench->fixture.queue));
}

static bool measure_raw(struct segue_bench *bench, void *opaque, double *values)
{
    struct state *state = opaque;
    return segue_bench_kept_measure(bench, &state->kept, SEGUE_BENCH_LAUNCH, &values[LAUNCH]) &&
           segue_bench_kept_measure(bench, &state->kept, SEGUE_BENCH_NODES, &values[NODES]) &&
           segue_bench_kept_measure(bench, &state->kept, SEGUE_BENCH_ALL, &values[ALL]);
}

static void add(struct segue_bench *bench, uint32_t count, uint32_t changed, uint32_t flags)
{
    static const struct segue_bench_metric metrics[] = {
        [LAUNCH] = {.name = "launch", .baseline = "raw launch alone"},
        [NODES] = {.name = "nodes", .baseline = "raw SetParams of the nodes, launch"},
        [ALL] = {.name = "all", .baseline = "raw SetParams of all, launch"},
    };
    // The tables outlive the benchmark, one for each.
    static struct segue_bench_metric tables[16][ALL + 1];
    static uint32_t table_count;
    struct segue_bench_metric *table = tables[table_count++];
    memcpy(table, metrics, sizeof(metrics));
    // As the issue of the tables asks for: 3 us for one slot of ten nodes; 0.3 us a node.
    if (changed != 0 && flags == 0)
        table[LAUNCH].target = (struct segue_bench_target){
            .ratio = 1, .constant = changed <= 10 ? 3000.0 : 300.0 * changed};
    const struct segue_bench_case added = {
        .metrics = table,
        .metric_count = ALL + 1,
        .count = count,
        .kind = changed << CHANGED_SHIFT | flags,
        .set_up = set_up,
        .sides = {measure, measure_raw},
        .tear_down = tear_down,
    };
    segue_bench_add(bench, &added, "cache/rebind/%u/%u%s%s", count, changed,
                    (flags & INDIRECT) != 0 ? "/indirect" : "",
                    (flags & AHEAD) != 0 ? "/ahead" : "");
}

void segue_bench_add_cache_rebind(struct segue_bench *bench)
{
    add(bench, 100, 1, 0);
    if (bench->options.quick)
        return;
    static const uint32_t changed[] = {1, 10, 100, 1000};
    for (size_t i = 0; i < sizeof(changed) / sizeof(changed[0]); i++)
        add(bench, 1000, changed[i], 0);
    for (size_t i = 1; i < sizeof(changed) / sizeof(changed[0]); i++)
        add(bench, 1000, changed[i], INDIRECT);
    add(bench, 1000, 10, AHEAD);
    add(bench, 1000, 10, INDIRECT | AHEAD);
    add(bench, 10000, 10, 0);
}
