// SPDX-License-Identifier: Apache-2.0
#include "raw.h"

#include "device.h"
#include "harness.h"

#include <stdlib.h>
#include <string.h>

const char segue_bench_kernel_ptx[] = ".version 7.0\n"
                                      ".target sm_70\n"
                                      ".address_size 64\n"
                                      ".visible .entry " SEGUE_BENCH_KERNEL_NAME "(\n"
                                      "    .param .u64 a, .param .u64 b,\n"
                                      "    .param .u64 c, .param .u64 d,\n"
                                      "    .param .align 4 .b8 e[16])\n"
                                      "{\n"
                                      "    ret;\n"
                                      "}\n"
                                      ".visible .entry " SEGUE_BENCH_INDIRECT_NAME "(\n"
                                      "    .param .u64 table, .param .u64 b,\n"
                                      "    .param .u64 c, .param .u64 d,\n"
                                      "    .param .align 4 .b8 e[16])\n"
                                      "{\n"
                                      "    ret;\n"
                                      "}\n";
const size_t segue_bench_kernel_ptx_bytes = sizeof(segue_bench_kernel_ptx);

/** Calls the driver; on failure leaves the name of the call. */
#define RAW(call) (*out_step = #call, raw->driver.call)

static CUresult load(struct segue_bench_raw *raw, const char *uri, int *out_ordinal)
{
    struct segue_device_uri parsed;
    const struct segue_device_params none = {0};
    if (segue_device_parse_uri(uri, &parsed) != SEGUE_OK)
        return CUDA_ERROR_INVALID_VALUE;
    const struct segue_backend_open_params params = {
        .params = &none,
        .soft = parsed.soft,
        .soft_profile = parsed.soft_profile,
        .soft_seed = parsed.soft_seed,
    };
    if (segue_driver_load(&params, &raw->driver) != SEGUE_OK)
        return CUDA_ERROR_SHARED_OBJECT_INIT_FAILED;
    raw->loaded = true;
    *out_ordinal = (int)parsed.ordinal;
    return CUDA_SUCCESS;
}

CUresult segue_bench_raw_open(struct segue_bench_raw *raw, const char *uri, const char **out_step)
{
    int ordinal = 0;
    *out_step = "loading the driver";
    CUresult result = load(raw, uri, &ordinal);
    if (result == CUDA_SUCCESS)
        result = RAW(cuInit(0));
    if (result == CUDA_SUCCESS)
        result = RAW(cuDeviceGet(&raw->device, ordinal));
    CUcontext context = NULL;
    if (result == CUDA_SUCCESS)
        result = RAW(cuDevicePrimaryCtxRetain(&context, raw->device));
    if (result != CUDA_SUCCESS)
        return result;
    raw->context = context;
    result = RAW(cuCtxPushCurrent(context));
    if (result == CUDA_SUCCESS)
        result = RAW(cuModuleLoadDataEx(&raw->module, segue_bench_kernel_ptx, 0, NULL, NULL));
    if (result == CUDA_SUCCESS)
        result = RAW(cuModuleGetFunction(&raw->function, raw->module, SEGUE_BENCH_KERNEL_NAME));
    if (result == CUDA_SUCCESS)
        result = RAW(cuStreamCreate(&raw->stream, CU_STREAM_NON_BLOCKING));
    if (result == CUDA_SUCCESS)
        result = RAW(cuEventCreate(&raw->event, CU_EVENT_DISABLE_TIMING));
    return result;
}

void segue_bench_raw_close(struct segue_bench_raw *raw)
{
    // The process ends after this: a failure here has nobody left to tell.
    if (raw->event)
        (void)raw->driver.cuEventDestroy(raw->event);
    if (raw->stream)
        (void)raw->driver.cuStreamDestroy(raw->stream);
    if (raw->module)
        (void)raw->driver.cuModuleUnload(raw->module);
    if (raw->context) {
        CUcontext context;
        (void)raw->driver.cuCtxPopCurrent(&context);
        (void)raw->driver.cuDevicePrimaryCtxRelease(raw->device);
    }
    if (raw->loaded)
        segue_driver_unload(&raw->driver);
    *raw = (struct segue_bench_raw){0};
}

bool segue_bench_shape_create(const struct segue_graph_view *view,
                              struct segue_bench_shape *out_shape)
{
    struct segue_bench_shape shape = {.node_count = view->node_count};
    shape.first = calloc((size_t)view->node_count + 1, sizeof(*shape.first));
    shape.dependencies = calloc((size_t)view->edge_count + 1, sizeof(*shape.dependencies));
    shape.listed = calloc((size_t)view->edge_count + 1, sizeof(CUgraphNode));
    shape.nodes = calloc((size_t)view->node_count + 1, sizeof(CUgraphNode));
    if (!shape.first || !shape.dependencies || !shape.listed || !shape.nodes) {
        segue_bench_shape_destroy(&shape);
        return false;
    }
    // Edges are sorted by the node that they lead to.
    for (uint32_t i = 0; i < view->edge_count; i++) {
        shape.dependencies[i] = view->edges[i].from;
        shape.first[view->edges[i].to + 1]++;
    }
    for (uint32_t i = 0; i < view->node_count; i++)
        shape.first[i + 1] += shape.first[i];
    *out_shape = shape;
    return true;
}

void segue_bench_shape_destroy(struct segue_bench_shape *shape)
{
    free(shape->first);
    free(shape->dependencies);
    free(shape->listed);
    free(shape->nodes);
    *shape = (struct segue_bench_shape){0};
}

/** The parameters of kernel `index`, and what they point to. */
struct launch_params {
    uint64_t pointers[SEGUE_BENCH_BINDING_COUNT];
    uint32_t constants[SEGUE_BENCH_CONSTANTS_BYTES / 4];
    void *parameters[SEGUE_BENCH_BINDING_COUNT + 1];
};

static CUDA_KERNEL_NODE_PARAMS make_params(const struct segue_bench_raw *raw, uint32_t index,
                                           const uint64_t *addresses, struct launch_params *kept)
{
    memcpy(kept->pointers, addresses, sizeof(kept->pointers));
    memset(kept->constants, 0, sizeof(kept->constants));
    kept->constants[0] = index;
    for (uint32_t i = 0; i < SEGUE_BENCH_BINDING_COUNT; i++)
        kept->parameters[i] = &kept->pointers[i];
    kept->parameters[SEGUE_BENCH_BINDING_COUNT] = kept->constants;
    return (CUDA_KERNEL_NODE_PARAMS){
        .func = raw->function,
        .gridDimX = SEGUE_BENCH_GRID_SIZE,
        .gridDimY = 1,
        .gridDimZ = 1,
        .blockDimX = SEGUE_BENCH_BLOCK_SIZE,
        .blockDimY = 1,
        .blockDimZ = 1,
        .kernelParams = kept->parameters,
    };
}

CUresult segue_bench_raw_add_kernel(struct segue_bench_raw *raw, CUgraph graph, uint32_t index,
                                    const uint64_t *addresses, const CUgraphNode *dependencies,
                                    size_t dependency_count, CUgraphNode *out_node)
{
    struct launch_params kept;
    const CUDA_KERNEL_NODE_PARAMS params = make_params(raw, index, addresses, &kept);
    return raw->driver.cuGraphAddKernelNode(out_node, graph, dependencies, dependency_count,
                                            &params);
}

CUresult segue_bench_raw_patch(struct segue_bench_raw *raw, CUgraphExec exec, CUgraphNode node,
                               uint32_t index, const uint64_t *addresses)
{
    struct launch_params kept;
    const CUDA_KERNEL_NODE_PARAMS params = make_params(raw, index, addresses, &kept);
    return raw->driver.cuGraphExecKernelNodeSetParams(exec, node, &params);
}

CUresult segue_bench_raw_launch(struct segue_bench_raw *raw, uint32_t index,
                                const uint64_t *addresses)
{
    struct launch_params kept;
    const CUDA_KERNEL_NODE_PARAMS params = make_params(raw, index, addresses, &kept);
    const CUlaunchConfig config = {
        .gridDimX = params.gridDimX,
        .gridDimY = params.gridDimY,
        .gridDimZ = params.gridDimZ,
        .blockDimX = params.blockDimX,
        .blockDimY = params.blockDimY,
        .blockDimZ = params.blockDimZ,
        .hStream = raw->stream,
    };
    return raw->driver.cuLaunchKernelEx(&config, params.func, params.kernelParams, NULL);
}

CUresult segue_bench_raw_add(struct segue_bench_raw *raw, struct segue_bench_shape *shape,
                             const uint64_t *addresses, CUgraph graph)
{
    CUresult result = CUDA_SUCCESS;
    for (uint32_t i = 0; i < shape->node_count && result == CUDA_SUCCESS; i++) {
        const uint32_t begin = shape->first[i];
        const uint32_t count = shape->first[i + 1] - begin;
        for (uint32_t k = 0; k < count; k++)
            shape->listed[k] = shape->nodes[shape->dependencies[begin + k]];
        result = segue_bench_raw_add_kernel(raw, graph, i, addresses, shape->listed, count,
                                            &shape->nodes[i]);
    }
    return result;
}

CUresult segue_bench_raw_make(struct segue_bench_raw *raw, struct segue_bench_shape *shape,
                              const uint64_t *addresses, struct segue_bench_raw_times *out_times,
                              CUgraphExec *out_exec, const char **out_step)
{
    CUgraph graph = NULL;
    CUgraphExec exec = NULL;
    const double start_ns = segue_bench_now_ns();
    CUresult result = RAW(cuGraphCreate(&graph, 0));
    if (result != CUDA_SUCCESS)
        return result;
    *out_step = "cuGraphAddKernelNode";
    result = segue_bench_raw_add(raw, shape, addresses, graph);
    const double added_ns = segue_bench_now_ns();
    CUDA_GRAPH_INSTANTIATE_PARAMS params = {.flags = 0};
    if (result == CUDA_SUCCESS)
        result = RAW(cuGraphInstantiateWithParams(&exec, graph, &params));
    const double instantiated_ns = segue_bench_now_ns();
    if (result == CUDA_SUCCESS)
        result = RAW(cuGraphUpload(exec, raw->stream));
    if (result == CUDA_SUCCESS)
        result = RAW(cuStreamSynchronize(raw->stream));
    *out_times = (struct segue_bench_raw_times){
        .add_ns = added_ns - start_ns,
        .instantiate_ns = instantiated_ns - added_ns,
        .upload_ns = segue_bench_now_ns() - instantiated_ns,
    };
    // Like Segue: the executable graph does not need it any more.
    (void)raw->driver.cuGraphDestroy(graph);
    if (result == CUDA_SUCCESS)
        *out_exec = exec;
    else if (exec)
        (void)raw->driver.cuGraphExecDestroy(exec);
    return result;
}
