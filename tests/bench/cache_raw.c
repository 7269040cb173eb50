// SPDX-License-Identifier: Apache-2.0
#include "cache_raw.h"

#include <stdlib.h>
#include <string.h>

/** Calls the driver; on failure leaves the name of the call. */
#define RAW(call) (*out_call = #call, bench->raw.driver.call)

uint32_t *segue_bench_spread(struct segue_bench *bench, uint32_t count, uint32_t changed)
{
    uint32_t *indices = calloc((size_t)changed + 1, sizeof(*indices));
    if (!indices) {
        (void)segue_bench_fail(bench, "out of memory");
        return NULL;
    }
    // The last of each of `changed` equal parts.
    for (uint32_t i = 0; i < changed; i++)
        indices[i] = (uint32_t)(((uint64_t)i + 1) * count / changed) - 1;
    return indices;
}

static CUresult instantiate(struct segue_bench *bench, CUgraph graph, CUgraphExec *out_exec,
                            const char **out_call)
{
    CUDA_GRAPH_INSTANTIATE_PARAMS params = {.flags = 0};
    CUresult result = RAW(cuGraphInstantiateWithParams(out_exec, graph, &params));
    if (result == CUDA_SUCCESS)
        result = RAW(cuGraphUpload(*out_exec, bench->raw.stream));
    if (result == CUDA_SUCCESS)
        result = RAW(cuStreamSynchronize(bench->raw.stream));
    return result;
}

bool segue_bench_kept_open(struct segue_bench *bench, const struct segue_bench_parts *parts,
                           uint32_t changed_count, struct segue_bench_kept *kept)
{
    const char *call = "";
    *kept = (struct segue_bench_kept){.parts = *parts};
    kept->nodes = calloc((size_t)parts->node_count + 1, sizeof(CUgraphNode));
    kept->changed_count = changed_count < parts->node_count ? changed_count : parts->node_count;
    kept->changed = segue_bench_spread(bench, parts->node_count, kept->changed_count);
    if (!kept->nodes || !kept->changed)
        return segue_bench_fail(bench, "out of memory");
    CUresult result = parts->build(bench, parts->context, &kept->graph, kept->nodes, &call);
    if (result == CUDA_SUCCESS)
        result = instantiate(bench, kept->graph, &kept->written, &call);
    if (result == CUDA_SUCCESS)
        result = instantiate(bench, kept->graph, &kept->updated, &call);
    return segue_bench_check_raw(bench, result, call);
}

void segue_bench_kept_close(struct segue_bench *bench, struct segue_bench_kept *kept)
{
    if (kept->written)
        (void)bench->raw.driver.cuGraphExecDestroy(kept->written);
    if (kept->updated)
        (void)bench->raw.driver.cuGraphExecDestroy(kept->updated);
    if (kept->graph)
        (void)bench->raw.driver.cuGraphDestroy(kept->graph);
    free(kept->nodes);
    free(kept->changed);
    *kept = (struct segue_bench_kept){0};
}

static bool finish(struct segue_bench *bench, CUresult result, const char *call)
{
    return segue_bench_check_raw(bench, result, call) &&
           segue_bench_check_raw(bench, bench->raw.driver.cuStreamSynchronize(bench->raw.stream),
                                 "cuStreamSynchronize");
}

static bool rebuild(struct segue_bench *bench, struct segue_bench_kept *kept, double *out_ns)
{
    const char *call = "";
    const char **out_call = &call;
    CUgraph graph = NULL;
    CUgraphExec exec = NULL;
    double start_ns = segue_bench_now_ns();
    CUresult result = kept->parts.build(bench, kept->parts.context, &graph, NULL, &call);
    if (result == CUDA_SUCCESS)
        result = instantiate(bench, graph, &exec, &call);
    // The executable graph does not need it any more.
    if (graph)
        (void)bench->raw.driver.cuGraphDestroy(graph);
    if (result == CUDA_SUCCESS)
        result = RAW(cuGraphLaunch(exec, bench->raw.stream));
    *out_ns = segue_bench_now_ns() - start_ns;
    const bool good = finish(bench, result, call);
    start_ns = segue_bench_now_ns();
    result = exec ? bench->raw.driver.cuGraphExecDestroy(exec) : CUDA_SUCCESS;
    *out_ns += segue_bench_now_ns() - start_ns;
    return good && segue_bench_check_raw(bench, result, "cuGraphExecDestroy");
}

static CUresult update(struct segue_bench *bench, struct segue_bench_kept *kept,
                       const char **out_call)
{
    CUgraphExecUpdateResultInfo info;
    CUgraph graph = NULL;
    CUresult result = kept->parts.build(bench, kept->parts.context, &graph, NULL, out_call);
    if (result == CUDA_SUCCESS)
        result = RAW(cuGraphExecUpdate(kept->updated, graph, &info));
    if (graph)
        (void)bench->raw.driver.cuGraphDestroy(graph);
    if (result == CUDA_SUCCESS)
        result = RAW(cuGraphLaunch(kept->updated, bench->raw.stream));
    return result;
}

/** Writes all nodes, or those that have changed, and launches. */
static CUresult write_nodes(struct segue_bench *bench, struct segue_bench_kept *kept, bool all,
                            const char **out_call)
{
    const struct segue_bench_parts *parts = &kept->parts;
    const uint32_t count = all ? parts->node_count : kept->changed_count;
    CUresult result = CUDA_SUCCESS;
    for (uint32_t i = 0; i < count && result == CUDA_SUCCESS; i++) {
        const uint32_t index = all ? i : kept->changed[i];
        result = parts->write(bench, parts->context, kept->written, kept->nodes[index], index,
                              kept->step, out_call);
    }
    if (result == CUDA_SUCCESS)
        result = RAW(cuGraphLaunch(kept->written, bench->raw.stream));
    return result;
}

static CUresult take_step(struct segue_bench *bench, struct segue_bench_kept *kept,
                          enum segue_bench_way way, const char **out_call)
{
    switch (way) {
    case SEGUE_BENCH_UPDATE:
        return update(bench, kept, out_call);
    case SEGUE_BENCH_ALL:
        return write_nodes(bench, kept, true, out_call);
    case SEGUE_BENCH_NODES:
        return write_nodes(bench, kept, false, out_call);
    case SEGUE_BENCH_STREAM:
        return kept->parts.issue(bench, kept->parts.context, kept->step, out_call);
    default:
        return RAW(cuGraphLaunch(kept->written, bench->raw.stream));
    }
}

bool segue_bench_kept_measure(struct segue_bench *bench, struct segue_bench_kept *kept,
                              enum segue_bench_way way, double *out_ns)
{
    if (way == SEGUE_BENCH_REBUILD)
        return rebuild(bench, kept, out_ns);
    for (uint32_t i = 0; i < SEGUE_BENCH_INNER; i++) {
        const char *call = "";
        kept->step++;
        const double start_ns = segue_bench_now_ns();
        const CUresult result = take_step(bench, kept, way, &call);
        const double taken_ns = segue_bench_now_ns() - start_ns;
        if (!finish(bench, result, call))
            return false;
        if (i == 0 || taken_ns < *out_ns)
            *out_ns = taken_ns;
    }
    return true;
}

/* ---- The fixture's kernel, in a shape -------------------------------------------------------- */

static CUresult build_plain(struct segue_bench *bench, void *context, CUgraph *out_graph,
                            CUgraphNode *out_nodes, const char **out_call)
{
    struct segue_bench_plain_parts *plain = context;
    CUresult result = RAW(cuGraphCreate(out_graph, 0));
    if (result != CUDA_SUCCESS)
        return result;
    *out_call = "cuGraphAddKernelNode";
    result = segue_bench_raw_add(&bench->raw, &plain->shape, bench->fixture.addresses, *out_graph);
    if (result == CUDA_SUCCESS && out_nodes)
        memcpy(out_nodes, plain->shape.nodes, plain->shape.node_count * sizeof(CUgraphNode));
    return result;
}

static CUresult write_plain(struct segue_bench *bench, void *context, CUgraphExec exec,
                            CUgraphNode node, uint32_t index, uint32_t step, const char **out_call)
{
    const struct segue_bench_plain_parts *plain = context;
    const bool is_moved = plain->others[0] != 0 && step % 2 != 0;
    *out_call = "cuGraphExecKernelNodeSetParams";
    return segue_bench_raw_patch(&bench->raw, exec, node, index + step,
                                 is_moved ? plain->others : bench->fixture.addresses);
}

static CUresult issue_plain(struct segue_bench *bench, void *context, uint32_t step,
                            const char **out_call)
{
    const struct segue_bench_plain_parts *plain = context;
    CUresult result = CUDA_SUCCESS;
    *out_call = "cuLaunchKernelEx";
    for (uint32_t i = 0; i < plain->shape.node_count && result == CUDA_SUCCESS; i++)
        result = segue_bench_raw_launch(&bench->raw, i + step, bench->fixture.addresses);
    return result;
}

struct segue_bench_parts segue_bench_plain_parts(struct segue_bench_plain_parts *plain)
{
    return (struct segue_bench_parts){
        .node_count = plain->shape.node_count,
        .context = plain,
        .build = build_plain,
        .write = write_plain,
        .issue = issue_plain,
    };
}
