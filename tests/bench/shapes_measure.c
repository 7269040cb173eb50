// SPDX-License-Identifier: Apache-2.0
#include "shapes.h"

#include "command_buffer.h"

#include <stdlib.h>

#define MAX_REPEATS 25
#define INSTANTIATE_REPEATS 3
#define WARMUPS 2
#define MIN_REPEATS 5
/** Launches of one lowering in its turn, as long as these take less than a few milliseconds: the
 *  first finds the caches full of the other lowerings, and does not count. */
#define TURN_LAUNCHES 4
#define TURN_NS 3e6
/** For all lowerings of one case together, unless the options say otherwise. */
#define BUDGET_NS 200e6

/** Calls the driver; on failure leaves the name of the call. */
#define RAW(call) (*out_call = #call, bench->raw.driver.call)

/** One case, in all lowerings, ready to be launched. */
struct contest {
    const struct segue_shapes_case *owner;
    void *state;
    segue_command_buffer *command_buffer;
    struct segue_shapes_work work;
    CUgraphExec execs[SEGUE_SHAPES_COUNT];
    double launch_ns[SEGUE_SHAPES_COUNT][MAX_REPEATS];
    double done_ns[SEGUE_SHAPES_COUNT][MAX_REPEATS];
    uint32_t repeats;
};

/** Instantiates, some times over, and uploads. */
static CUresult instantiate(struct segue_bench *bench, CUgraph graph, uint32_t repeats,
                            double *out_median_ns, CUgraphExec *out_exec, const char **out_call)
{
    double times[INSTANTIATE_REPEATS];
    CUgraphExec exec = NULL;
    CUresult result = CUDA_SUCCESS;
    for (uint32_t i = 0; i < repeats && result == CUDA_SUCCESS; i++) {
        if (exec)
            result = RAW(cuGraphExecDestroy(exec));
        exec = NULL;
        CUDA_GRAPH_INSTANTIATE_PARAMS params = {.flags = 0};
        const double start_ns = segue_bench_now_ns();
        if (result == CUDA_SUCCESS)
            result = RAW(cuGraphInstantiateWithParams(&exec, graph, &params));
        times[i] = segue_bench_now_ns() - start_ns;
    }
    if (result == CUDA_SUCCESS)
        result = RAW(cuGraphUpload(exec, bench->raw.stream));
    if (result == CUDA_SUCCESS)
        result = RAW(cuStreamSynchronize(bench->raw.stream));
    if (result == CUDA_SUCCESS) {
        *out_median_ns = segue_bench_summarise(times, repeats).median;
        *out_exec = exec;
    } else if (exec) {
        (void)bench->raw.driver.cuGraphExecDestroy(exec);
    }
    return result;
}

static bool prepare_graph(struct segue_bench *bench, struct contest *contest,
                          segue_command_buffer *command_buffer, enum segue_shapes_lowering lowering,
                          struct segue_shapes_figures *figures)
{
    struct segue_shapes_graph shape = {0};
    CUgraph graph = NULL;
    const char *call = "";
    bool good = segue_shapes_graph_create(bench, &contest->work, command_buffer, lowering, &shape,
                                          &figures->left_out);
    if (good && !figures->left_out) {
        figures->node_count = shape.node_count;
        figures->edge_count = shape.edge_count;
        CUresult result =
            segue_shapes_work_build(bench, &contest->work, &shape, &graph, NULL, &call);
        if (result == CUDA_SUCCESS)
            result = instantiate(bench, graph, bench->options.quick ? 1 : INSTANTIATE_REPEATS,
                                 &figures->instantiate_ns, &contest->execs[lowering], &call);
        good = segue_bench_check_raw(bench, result, call);
    }
    if (graph)
        (void)bench->raw.driver.cuGraphDestroy(graph);
    segue_shapes_graph_destroy(&shape);
    return good;
}

/** Segue's graph of the same commands, recorded again without hints. */
static bool prepare_unhinted(struct segue_shapes *shapes, struct contest *contest,
                             struct segue_shapes_figures *figures)
{
    const struct segue_shapes_maker *maker = contest->owner->maker;
    if (!maker->has_hints) {
        figures->left_out = "there are no hints in it";
        return true;
    }
    void *state = NULL;
    segue_command_buffer *command_buffer = NULL;
    const bool good =
        maker->make(shapes, contest->owner, false, &state, &command_buffer) &&
        prepare_graph(shapes->bench, contest, command_buffer, SEGUE_SHAPES_UNHINTED, figures);
    maker->close(shapes, state);
    return good;
}

static bool prepare(struct segue_shapes *shapes, struct contest *contest,
                    struct segue_shapes_result *result)
{
    struct segue_bench *bench = shapes->bench;
    struct segue_command_buffer_stats stats;
    if (!contest->owner->maker->make(shapes, contest->owner, true, &contest->state,
                                     &contest->command_buffer) ||
        !segue_bench_check(bench,
                           segue_command_buffer_get_stats(contest->command_buffer, &stats)) ||
        !segue_shapes_work_create(bench, contest->command_buffer, &contest->work))
        return false;
    result->lower_ns = (double)stats.lower_ns;
    struct segue_shapes_figures *submit = &result->figures[SEGUE_SHAPES_SUBMIT];
    submit->node_count = stats.node_count;
    submit->edge_count = stats.edge_count;
    submit->instantiate_ns = (double)stats.instantiate_ns;
    for (uint32_t i = 0; i <= SEGUE_SHAPES_LAST_GRAPH; i++) {
        const enum segue_shapes_lowering lowering = (enum segue_shapes_lowering)i;
        struct segue_shapes_figures *figures = &result->figures[i];
        if (lowering == SEGUE_SHAPES_UNHINTED
                ? !prepare_unhinted(shapes, contest, figures)
                : !prepare_graph(bench, contest, contest->command_buffer, lowering, figures))
            return false;
    }
    result->figures[SEGUE_SHAPES_STREAM].node_count = contest->work.operation_count;
    return true;
}

/** One launch on an idle device. */
static bool launch(struct segue_shapes *shapes, struct contest *contest, uint32_t lowering,
                   double *out_launch_ns, double *out_done_ns)
{
    struct segue_bench *bench = shapes->bench;
    const struct segue_shapes_maker *maker = contest->owner->maker;
    const char *call = "cuGraphLaunch";
    CUresult result = CUDA_SUCCESS;
    bool good = true;
    const double start_ns = segue_bench_now_ns();
    if (lowering == SEGUE_SHAPES_SUBMIT)
        good = maker->submit(shapes, contest->state);
    else if (lowering == SEGUE_SHAPES_STREAM)
        result = segue_shapes_work_issue(bench, &contest->work, &call);
    else
        result = bench->raw.driver.cuGraphLaunch(contest->execs[lowering], bench->raw.stream);
    const double launched_ns = segue_bench_now_ns();
    if (!good || !segue_bench_check_raw(bench, result, call))
        return false;
    if (lowering == SEGUE_SHAPES_SUBMIT)
        good = maker->wait(shapes, contest->state);
    else
        good = segue_bench_check_raw(
            bench, bench->raw.driver.cuStreamSynchronize(bench->raw.stream), "cuStreamSynchronize");
    *out_done_ns = segue_bench_now_ns() - start_ns;
    *out_launch_ns = launched_ns - start_ns;
    return good;
}

/** One sample: medians of the launches in a turn but the first. */
static bool take_turn(struct segue_shapes *shapes, struct contest *contest, uint32_t lowering,
                      double *out_launch_ns, double *out_done_ns)
{
    double launch_ns[TURN_LAUNCHES];
    double done_ns[TURN_LAUNCHES];
    uint32_t count = 0;
    const double start_ns = segue_bench_now_ns();
    do {
        if (!launch(shapes, contest, lowering, &launch_ns[count], &done_ns[count]))
            return false;
        count++;
    } while (count < (shapes->bench->options.quick ? 1 : TURN_LAUNCHES) &&
             segue_bench_now_ns() - start_ns < TURN_NS);
    const uint32_t first = count > 1;
    *out_launch_ns = segue_bench_summarise(launch_ns + first, count - first).median;
    *out_done_ns = segue_bench_summarise(done_ns + first, count - first).median;
    return true;
}

/** All lowerings once, each time beginning with another one, so that none always finds what one and
 *  the same left behind. */
static bool run_round(struct segue_shapes *shapes, struct contest *contest,
                      const struct segue_shapes_result *result, uint32_t round, uint32_t place)
{
    for (uint32_t i = 0; i < SEGUE_SHAPES_COUNT; i++) {
        const uint32_t lowering = (i + round) % SEGUE_SHAPES_COUNT;
        if (!result->figures[lowering].left_out &&
            !take_turn(shapes, contest, lowering, &contest->launch_ns[lowering][place],
                       &contest->done_ns[lowering][place]))
            return false;
    }
    return true;
}

static bool run_rounds(struct segue_shapes *shapes, struct contest *contest,
                       const struct segue_shapes_result *result)
{
    const struct segue_bench_options *options = &shapes->bench->options;
    const bool quick = options->quick;
    const double budget_ns = options->time_ms > 0 ? options->time_ms * 1e6 : BUDGET_NS;
    for (uint32_t i = 0; i < (quick ? 0 : WARMUPS); i++) {
        if (!run_round(shapes, contest, result, i, 0))
            return false;
    }
    const double start_ns = segue_bench_now_ns();
    const uint32_t least = quick ? 1 : MIN_REPEATS;
    while (contest->repeats < MAX_REPEATS &&
           (contest->repeats < least || (!quick && segue_bench_now_ns() - start_ns < budget_ns))) {
        if (!run_round(shapes, contest, result, contest->repeats, contest->repeats))
            return false;
        contest->repeats++;
    }
    return true;
}

/** Median over the rounds of what Segue's shape takes as a part of what another takes. */
static double find_ratio(double samples[SEGUE_SHAPES_COUNT][MAX_REPEATS], uint32_t other,
                         uint32_t count)
{
    double ratios[MAX_REPEATS];
    for (uint32_t i = 0; i < count; i++)
        ratios[i] = samples[other][i] > 0 ? samples[SEGUE_SHAPES_SEGUE][i] / samples[other][i] : 0;
    return segue_bench_summarise(ratios, count).median;
}

static void summarise(struct contest *contest, struct segue_shapes_result *result)
{
    // Before the samples are sorted.
    for (uint32_t i = 0; i < SEGUE_SHAPES_COUNT; i++) {
        struct segue_shapes_figures *figures = &result->figures[i];
        if (figures->left_out)
            continue;
        figures->launch_ratio = find_ratio(contest->launch_ns, i, contest->repeats);
        figures->done_ratio = find_ratio(contest->done_ns, i, contest->repeats);
    }
    for (uint32_t i = 0; i < SEGUE_SHAPES_COUNT; i++) {
        struct segue_shapes_figures *figures = &result->figures[i];
        if (figures->left_out)
            continue;
        const struct segue_bench_summary done =
            segue_bench_summarise(contest->done_ns[i], contest->repeats);
        figures->launch_ns = segue_bench_summarise(contest->launch_ns[i], contest->repeats).median;
        figures->done_ns = done.median;
        figures->done_p10_ns = done.p10;
        figures->done_p90_ns = done.p90;
        figures->repeats = contest->repeats;
    }
}

bool segue_shapes_measure(struct segue_shapes *shapes, const struct segue_shapes_case *owner,
                          struct segue_shapes_result *out_result)
{
    struct segue_bench *bench = shapes->bench;
    struct contest *contest = calloc(1, sizeof(*contest));
    if (!contest)
        return segue_bench_fail(bench, "out of memory");
    contest->owner = owner;
    *out_result = (struct segue_shapes_result){.owner = owner};
    const bool good =
        prepare(shapes, contest, out_result) && run_rounds(shapes, contest, out_result);
    if (good)
        summarise(contest, out_result);
    for (uint32_t i = 0; i < SEGUE_SHAPES_COUNT; i++) {
        if (contest->execs[i])
            (void)bench->raw.driver.cuGraphExecDestroy(contest->execs[i]);
    }
    segue_shapes_work_destroy(bench, &contest->work);
    owner->maker->close(shapes, contest->state);
    free(contest);
    return good;
}
