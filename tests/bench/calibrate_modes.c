// SPDX-License-Identifier: Apache-2.0
/*
 * Measures what the host takes to run a command buffer once, by node count: on a stream, and as a
 * graph that is built for it, that is kept from before, or that was kept and is written all over.
 * All of it by Segue itself, in chains of kernels that do nothing. Recording is the same in all
 * ways and left out; giving up what was made for the step before is not.
 */
#include "calibrate.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define REPEATS 20

/** How the commands come to run. */
enum way {
    /** On a stream. */
    STREAM,
    /** As a graph that nobody has seen before and that nobody keeps; the same where eight commands
     *  at a time may run side by side, so that there are more edges. */
    FRESH,
    FRESH_WIDE,
    /** As one that the cache has, of which every node is written, or none. */
    WRITTEN,
    KEPT,
    /** An ended command buffer once more: the launch alone. */
    READY,
    WAY_COUNT,
};

/** Between which of them a node's cost is taken, and the first at which what is left is a step's.
 */
static const uint32_t counts[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024};
#define COUNT_COUNT (sizeof(counts) / sizeof(counts[0]))
#define LOW_PLACE 6
#define BASE_PLACE 3
#define WIDTH 8

/** The least of all repeats: what disturbs a measurement only ever adds to it. */
struct times {
    double host_ns[WAY_COUNT][COUNT_COUNT];
    double done_ns[WAY_COUNT][COUNT_COUNT];
    /** Of the graphs. */
    uint32_t edge_counts[WAY_COUNT][COUNT_COUNT];
};

static bool record(struct segue_bench *bench, segue_command_buffer *command_buffer, uint32_t count,
                   uint32_t width, uint32_t first)
{
    segue_status status = segue_command_buffer_begin(command_buffer);
    for (uint32_t i = 0; i < count && status == SEGUE_OK; i++) {
        status = segue_bench_dispatch(&bench->fixture, command_buffer, first + i);
        if (status == SEGUE_OK && (i + 1) % width == 0)
            status = segue_cmd_barrier(command_buffer, NULL);
    }
    return segue_bench_check(bench, status);
}

static bool step(struct segue_bench *bench, segue_command_buffer *command_buffer, enum way way,
                 uint32_t count, uint32_t repeat, double *out_host_ns, double *out_done_ns)
{
    const bool records = way != READY || repeat == 0;
    double host_ns = 0;
    if (records) {
        const double start_ns = segue_bench_now_ns();
        if (!segue_bench_check(bench, segue_command_buffer_reset(command_buffer)))
            return false;
        host_ns = segue_bench_now_ns() - start_ns;
        if (!record(bench, command_buffer, count, way == FRESH_WIDE ? WIDTH : 1,
                    way == WRITTEN ? repeat + 1 : 0))
            return false;
    }
    const double start_ns = segue_bench_now_ns();
    if ((records && !segue_bench_check(bench, segue_command_buffer_end(command_buffer))) ||
        !segue_bench_check(bench, segue_bench_submit(&bench->fixture, command_buffer)))
        return false;
    host_ns += segue_bench_now_ns() - start_ns;
    if (!segue_bench_check(bench, segue_queue_wait_idle(bench->fixture.queue)))
        return false;
    *out_host_ns = host_ns;
    *out_done_ns = segue_bench_now_ns() - start_ns;
    return true;
}

static bool measure(struct segue_bench *bench, enum way way, size_t place, struct times *times)
{
    const struct segue_command_buffer_params params = {
        .mode = way == STREAM ? SEGUE_EXECUTION_STREAM : SEGUE_EXECUTION_GRAPH};
    segue_command_buffer *command_buffer = NULL;
    const bool keeps = way != FRESH && way != FRESH_WIDE;
    segue_device_set_cache_budget(bench->fixture.device,
                                  keeps ? NULL : &(struct segue_cache_budget){0});
    bool good = segue_bench_check(
        bench, segue_command_buffer_create(bench->fixture.device, &params, &command_buffer));
    // The first two only prepare: nothing was kept, and nothing was given up.
    for (uint32_t repeat = 0; repeat < REPEATS + 2 && good; repeat++) {
        double host_ns;
        double done_ns;
        good = step(bench, command_buffer, way, counts[place], repeat, &host_ns, &done_ns);
        if (!good || repeat < 2)
            continue;
        if (repeat == 2 || host_ns < times->host_ns[way][place])
            times->host_ns[way][place] = host_ns;
        if (repeat == 2 || done_ns < times->done_ns[way][place])
            times->done_ns[way][place] = done_ns;
    }
    struct segue_command_buffer_stats stats;
    good = good && segue_bench_check(bench, segue_command_buffer_get_stats(command_buffer, &stats));
    if (good)
        times->edge_counts[way][place] = stats.edge_count;
    segue_command_buffer_destroy(command_buffer);
    segue_device_set_cache_budget(bench->fixture.device, NULL);
    return good;
}

/** How much longer a way takes for each further node. */
static double node_ns(const struct times *times, enum way way)
{
    const double *host_ns = times->host_ns[way];
    return (host_ns[COUNT_COUNT - 1] - host_ns[LOW_PLACE]) /
           (counts[COUNT_COUNT - 1] - counts[LOW_PLACE]);
}

/** How much longer building takes for each further edge. */
static double edge_ns(const struct times *times)
{
    const size_t last = COUNT_COUNT - 1;
    const double more =
        (double)times->edge_counts[FRESH_WIDE][last] - times->edge_counts[FRESH][last];
    return more > 0 ? (times->host_ns[FRESH_WIDE][last] - times->host_ns[FRESH][last]) / more : 0;
}

/** What a way takes besides its nodes. */
static double base_ns(const struct times *times, enum way way)
{
    return times->host_ns[way][BASE_PLACE] - counts[BASE_PLACE] * node_ns(times, way);
}

static uint32_t figure(double value)
{
    return value < 1 ? 1 : value < UINT32_MAX ? (uint32_t)(value + 0.5) : UINT32_MAX;
}

/** The fewest nodes from which on a way always beats the stream; 0 if there are none. */
static uint32_t crossover(const double ns[WAY_COUNT][COUNT_COUNT], enum way way)
{
    uint32_t count = 0;
    for (size_t i = COUNT_COUNT; i-- > 0 && ns[way][i] < ns[STREAM][i];)
        count = counts[i];
    return count;
}

static void print(const struct times *times)
{
    static const char *const names[] = {
        [STREAM] = "stream",         [FRESH] = "built",     [FRESH_WIDE] = "built, wide",
        [WRITTEN] = "kept, written", [KEPT] = "kept, same", [READY] = "launch only",
    };
    puts("# Host time (until done) in us of a command buffer, by how it runs:");
    printf("# %-6s", "nodes");
    for (uint32_t way = 0; way < WAY_COUNT; way++)
        printf(" %20s", names[way]);
    putchar('\n');
    for (size_t i = 0; i < COUNT_COUNT; i++) {
        printf("# %-6" PRIu32, counts[i]);
        for (uint32_t way = 0; way < WAY_COUNT; way++)
            printf(" %9.1f (%8.1f)", times->host_ns[way][i] * 1e-3, times->done_ns[way][i] * 1e-3);
        putchar('\n');
    }
    for (enum way way = FRESH; way <= KEPT; way++)
        printf("# %s beats the stream from %" PRIu32 " nodes on in host time, from %" PRIu32
               " until done\n",
               names[way], crossover(times->host_ns, way), crossover(times->done_ns, way));
}

bool segue_bench_calibrate_modes(struct segue_bench *bench, struct segue_cost_model *model)
{
    struct times *times = calloc(1, sizeof(*times));
    if (!times)
        return segue_bench_fail(bench, "out of memory");
    bool good = true;
    for (size_t place = 0; place < COUNT_COUNT; place++) {
        for (uint32_t way = 0; way < WAY_COUNT && good; way++)
            good = measure(bench, way, place, times);
    }
    if (good) {
        print(times);
        // Signalling and the like is in both, and no reason for either.
        const double submit_ns = base_ns(times, STREAM) > 0 ? base_ns(times, STREAM) : 0;
        model->stream_launch_ns = figure(node_ns(times, STREAM));
        model->graph_launch_ns = figure(times->host_ns[READY][0] - submit_ns);
        model->graph_write_node_ns = figure(node_ns(times, WRITTEN));
        model->graph_build_node_ns = figure(node_ns(times, FRESH));
        model->graph_build_edge_ns = figure(edge_ns(times));
        model->graph_build_ns = figure(base_ns(times, FRESH) - times->host_ns[READY][0]);
    }
    free(times);
    return good;
}
