// SPDX-License-Identifier: Apache-2.0
// The same calls, right and wrong ones, on the software driver and on a real one: both must give
// the same result codes. What is expected was measured on an H200 with driver 580. Usage:
// unit_driver_rules soft|cuda
#include "soft_driver.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

enum { SKIPPED = 77 };

static int failures;
static int rules;
static CUcontext context;
static CUstream stream;
static CUdeviceptr small;
static CUdeviceptr large;
static void *pinned;
static CUfunction empty;
static CUfunction store;
static CUfunction other_store;
static CUfunction bounded;
static CUfunction required;

// Valid PTX that a real compiler takes, too.
#define STORE_BODY                                                                              \
    "{\n.reg .b64 %rd<3>;\n.reg .b32 %r<2>;\nld.param.u64 %rd1, [a];\nld.param.u32 %r1, [v];\n" \
    "cvta.to.global.u64 %rd2, %rd1;\nst.global.u32 [%rd2], %r1;\nret;\n}\n"
static const char ptx[] =
    ".version 8.0\n.target sm_80\n.address_size 64\n"
    ".visible .entry r_empty()\n{\nret;\n}\n"
    ".visible .entry r_store(.param .u64 a, .param .u32 v)\n" STORE_BODY
    ".visible .entry r_other(.param .u64 a, .param .u32 v)\n" STORE_BODY
    ".visible .entry r_bounded()\n.maxntid 64, 1, 1\n{\nret;\n}\n"
    ".visible .entry r_required()\n.reqntid 32, 1, 1\n{\nret;\n}\n"
    ".visible .entry r_blob(.param .u8 a, .param .align 8 .b8 b[24], .param .align 64 .b8 c[128], "
    ".param .u16 d)\n{\nret;\n}\n";

static void check(int line, const char *text, CUresult expected, CUresult result)
{
    ++rules;
    if (expected != result) {
        fprintf(stderr, "line %d: %s gives %d, not %d\n", line, text, (int)result, (int)expected);
        ++failures;
    }
}

static void check_value(int line, const char *text, long long expected, long long value)
{
    ++rules;
    if (expected != value) {
        fprintf(stderr, "line %d: %s is %lld, not %lld\n", line, text, value, expected);
        ++failures;
    }
}

#define OK(call) check(__LINE__, #call, CUDA_SUCCESS, (call))
#define BAD(call) check(__LINE__, #call, CUDA_ERROR_INVALID_VALUE, (call))
#define RULE(result, call) check(__LINE__, #call, CUDA_ERROR_##result, (call))
#define VALUE(expected, value) check_value(__LINE__, #value, (expected), (value))

static CUresult launch(CUfunction function, unsigned grid, unsigned block, unsigned shared_bytes,
                       void **parameters)
{
    CUlaunchConfig config = {grid, 1, 1, block, 1, 1, shared_bytes, stream, NULL, 0};
    return cu.cuLaunchKernelEx(&config, function, parameters, NULL);
}

static CUresult launch_with(CUfunction function, unsigned grid, unsigned block, unsigned cluster,
                            bool cooperative)
{
    CUlaunchAttribute attributes[2] = {{.id = CU_LAUNCH_ATTRIBUTE_COOPERATIVE},
                                       {.id = CU_LAUNCH_ATTRIBUTE_IGNORE}};
    attributes[0].value.cooperative = cooperative;
    if (cluster > 0) {
        attributes[1].id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION;
        attributes[1].value.clusterDim.x = cluster;
        attributes[1].value.clusterDim.y = attributes[1].value.clusterDim.z = 1;
    }
    CUlaunchConfig config = {grid, 1, 1, block, 1, 1, 0, stream, attributes, 2};
    return cu.cuLaunchKernelEx(&config, function, NULL, NULL);
}

static CUresult load(const char *image)
{
    CUmodule module = NULL;
    CUresult result = cu.cuModuleLoadDataEx(&module, image, 0, NULL, NULL);
    if (result == CUDA_SUCCESS) {
        cu.cuModuleUnload(module);
    }
    return result;
}

static void rules_of_lookup(void)
{
    void *function = NULL;
    CUdriverProcAddressQueryResult status;
    OK(cu.get_proc_address("cuNoSuchCall", &function, 12040, 0, &status));
    VALUE(CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND, status);
    VALUE(1, function == NULL);
    OK(cu.get_proc_address("cuGraphInstantiateWithParams", &function, 11000, 0, &status));
    VALUE(CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT, status);
    BAD(cu.get_proc_address("cuMemAlloc", &function, 99000, 0, &status));
    BAD(cu.get_proc_address("cuMemAlloc", &function, 12040, 64, &status));
}

static void rules_of_memory(void)
{
    CUdeviceptr address;
    void *host;
    static char bytes[8192];
    BAD(cu.cuMemAlloc(&address, 0));
    RULE(OUT_OF_MEMORY, cu.cuMemAlloc(&address, (size_t)1 << 50));
    RULE(OUT_OF_MEMORY, cu.cuMemAlloc(&address, SIZE_MAX));
    OK(cu.cuMemFree(0));
    BAD(cu.cuMemFree(large + 256));
    BAD(cu.cuMemFree((CUdeviceptr)(uintptr_t)pinned));
    BAD(cu.cuMemFreeHost((void *)(uintptr_t)large));
    OK(cu.cuMemFreeHost(NULL));
    OK(cu.cuMemHostAlloc(&host, 0, 0));
    BAD(cu.cuMemHostAlloc(&host, 64, 0x100));
    OK(cu.cuMemHostGetDevicePointer(&address, (char *)pinned + 8, 0));
    VALUE((long long)(uintptr_t)pinned + 8, (long long)address);
    BAD(cu.cuMemHostGetDevicePointer(&address, pinned, 1));
    BAD(cu.cuMemHostGetDevicePointer(&address, bytes, 0));
    OK(cu.cuMemcpyHtoD(0, NULL, 0));
    BAD(cu.cuMemcpyHtoD(small, NULL, 4));
    BAD(cu.cuMemcpyHtoD(0, bytes, 4));
    BAD(cu.cuMemcpyHtoD(large + 4000, bytes, 8192));
    OK(cu.cuMemcpyDtoD(large + 1, large, 64));
    OK(cu.cuMemsetD8(large, 1, 0));
    BAD(cu.cuMemsetD8(large, 1, (size_t)1 << 22));
    BAD(cu.cuMemsetD8((CUdeviceptr)(uintptr_t)bytes, 1, 4));
    OK(cu.cuMemsetD8((CUdeviceptr)(uintptr_t)pinned, 1, 4));
    BAD(cu.cuMemsetD32Async(large + 2, 1, 1, stream));
    BAD(cu.cuMemsetD16Async(large + 1, 1, 1, stream));
}

static void rules_of_events(void)
{
    CUevent timed;
    CUevent untimed;
    CUevent event;
    CUstream other;
    float elapsed;
    BAD(cu.cuStreamCreate(&other, 8));
    BAD(cu.cuEventCreate(&event, 0x80));
    BAD(cu.cuEventCreate(&event, CU_EVENT_INTERPROCESS));
    OK(cu.cuEventCreate(&timed, 0));
    OK(cu.cuEventCreate(&untimed, CU_EVENT_DISABLE_TIMING));
    OK(cu.cuEventQuery(timed));
    OK(cu.cuStreamWaitEvent(stream, timed, 0));
    BAD(cu.cuStreamWaitEvent(stream, timed, 2));
    RULE(ILLEGAL_STATE, cu.cuStreamWaitEvent(stream, timed, 1));
    RULE(INVALID_HANDLE, cu.cuEventElapsedTime(&elapsed, timed, timed));
    OK(cu.cuEventRecord(timed, stream));
    OK(cu.cuEventRecord(untimed, stream));
    OK(cu.cuEventSynchronize(untimed));
    OK(cu.cuEventElapsedTime(&elapsed, timed, timed));
    RULE(INVALID_HANDLE, cu.cuEventElapsedTime(&elapsed, timed, untimed));
    RULE(INVALID_HANDLE, cu.cuEventQuery(NULL));
    RULE(INVALID_HANDLE, cu.cuEventRecord(NULL, stream));
    OK(cu.cuEventDestroy(timed));
    OK(cu.cuEventDestroy(untimed));
}

static void rules_of_modules(CUmodule module)
{
    CUfunction function;
    size_t offset;
    size_t size;
    int value = 0;
    static const size_t expected[4][2] = {{0, 1}, {8, 24}, {48, 128}, {176, 2}};
    RULE(INVALID_IMAGE, load("this is no ptx"));
    RULE(INVALID_IMAGE, load(".target sm_80\n"));
    RULE(INVALID_PTX, load(".version 8.0\n.target sm_80\n.address_size 64\n.visible .entry f(\n"
                           ".param .u64 a,,)\n{ ret; }\n"));
    RULE(INVALID_PTX, load(".version 8.0\n.target sm_80\n.address_size 64\n.entry f()\n{ ret;"));
    RULE(UNSUPPORTED_PTX_VERSION, load(".version 99.0\n.target sm_80\n.address_size 64\n"));
    OK(load(".version 8.0\n.target sm_80\n.address_size 64\n"));
    RULE(NOT_FOUND, cu.cuModuleGetFunction(&function, module, "nope"));
    BAD(cu.cuModuleGetFunction(&function, module, ""));
    OK(cu.cuModuleGetFunction(&function, module, "r_blob"));
    for (size_t i = 0; i < 4; ++i) {
        OK(cu.cuFuncGetParamInfo(function, i, &offset, &size));
        VALUE((long long)expected[i][0], (long long)offset);
        VALUE((long long)expected[i][1], (long long)size);
    }
    BAD(cu.cuFuncGetParamInfo(function, 4, &offset, &size));
    OK(cu.cuFuncGetAttribute(&value, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, bounded));
    VALUE(64, value);
    OK(cu.cuFuncGetAttribute(&value, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, empty));
    VALUE(49152, value);
    const CUfunction_attribute dynamic = CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
    OK(cu.cuFuncSetAttribute(empty, dynamic, 232448));
    BAD(cu.cuFuncSetAttribute(empty, dynamic, 232449));
    BAD(cu.cuFuncSetAttribute(empty, dynamic, -1));
    BAD(cu.cuFuncSetAttribute(empty, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, 5));
    OK(cu.cuOccupancyMaxActiveBlocksPerMultiprocessor(&value, empty, 256, 0));
    VALUE(8, value);
    OK(cu.cuOccupancyMaxActiveBlocksPerMultiprocessor(&value, empty, 32, 100000));
    VALUE(2, value);
    OK(cu.cuOccupancyMaxActiveBlocksPerMultiprocessor(&value, empty, 2048, 0));
    VALUE(0, value);
}

static void rules_of_launches(void)
{
    uint32_t word = 7;
    void *parameters[] = {&small, &word};
    OK(launch(empty, 1, 1, 0, NULL));
    OK(launch(store, 1, 1, 0, parameters));
    BAD(launch(store, 1, 1, 0, NULL));
    RULE(INVALID_HANDLE, launch(NULL, 1, 1, 0, NULL));
    BAD(launch(empty, 0, 1, 0, NULL));
    BAD(launch(empty, 1, 0, 0, NULL));
    BAD(launch(empty, 1, 1025, 0, NULL));
    BAD(launch(empty, 0x80000000u, 1, 0, NULL));
    OK(launch(bounded, 1, 64, 0, NULL));
    BAD(launch(bounded, 1, 65, 0, NULL));
    BAD(launch(required, 1, 16, 0, NULL));
    OK(launch(required, 1, 32, 0, NULL));
    OK(launch(store, 1, 1, 49152, parameters));
    BAD(launch(store, 1, 1, 49153, parameters));
    OK(launch(empty, 1, 1, 232448, NULL));
    OK(launch_with(empty, 132, 64, 0, true));
    RULE(COOPERATIVE_LAUNCH_TOO_LARGE, launch_with(empty, 132 * 32 + 1, 64, 0, true));
    OK(launch_with(empty, 4, 32, 2, false));
    RULE(INVALID_CLUSTER_SIZE, launch_with(empty, 4, 32, 3, false));
    OK(launch_with(empty, 8, 32, 8, false));
    RULE(INVALID_CLUSTER_SIZE, launch_with(empty, 18, 32, 9, false));
    OK(cu.cuStreamSynchronize(stream));
}

static CUresult add_kernel(CUgraph graph, CUfunction function, unsigned grid, unsigned block,
                           unsigned shared_bytes, void **parameters)
{
    CUgraphNode node;
    CUDA_KERNEL_NODE_PARAMS_v2 params = soft_node(function, parameters);
    params.gridDimX = grid;
    params.blockDimX = block;
    params.sharedMemBytes = shared_bytes;
    return cu.cuGraphAddKernelNode(&node, graph, NULL, 0, &params);
}

static CUresult add_copy(CUgraph graph, CUDA_MEMCPY3D copy)
{
    CUgraphNode node;
    return cu.cuGraphAddMemcpyNode(&node, graph, NULL, 0, &copy, NULL);
}

static CUresult add_set(CUgraph graph, CUdeviceptr target, unsigned element_bytes, size_t width,
                        size_t height, size_t pitch)
{
    CUgraphNode node;
    CUDA_MEMSET_NODE_PARAMS set = {.dst = target,
                                   .pitch = pitch,
                                   .value = 1,
                                   .elementSize = element_bytes,
                                   .width = width,
                                   .height = height};
    return cu.cuGraphAddMemsetNode(&node, graph, NULL, 0, &set, context);
}

static void rules_of_nodes(void)
{
    CUgraph graph;
    char pageable[64];
    uint32_t word = 7;
    void *parameters[] = {&small, &word};
    OK(cu.cuGraphCreate(&graph, 0));
    OK(add_kernel(graph, store, 1, 1, 0, parameters));
    BAD(add_kernel(graph, store, 1, 1, 0, NULL));
    BAD(add_kernel(graph, empty, 0, 1, 0, NULL));
    BAD(add_kernel(graph, empty, 1, 2000, 0, NULL));
    BAD(add_kernel(graph, store, 1, 1, 60000, parameters));
    BAD(add_kernel(graph, bounded, 1, 65, 0, NULL));
    RULE(INVALID_HANDLE, add_kernel(graph, NULL, 1, 1, 0, NULL));
    OK(add_copy(graph, soft_copy(large, small, 64)));
    OK(add_copy(graph, soft_copy(large + 4, large, 64)));
    BAD(add_copy(graph, soft_copy(large, small, 0)));
    BAD(add_copy(graph, soft_copy(large, small, (size_t)1 << 22)));
    BAD(add_copy(graph, soft_copy(large, 0, 4)));
    BAD(add_copy(graph, soft_copy(large, (CUdeviceptr)(uintptr_t)pageable, 4)));
    CUDA_MEMCPY3D copy = soft_copy(large, small, 16);
    copy.Height = 4;
    copy.srcPitch = 32;
    copy.dstPitch = 64;
    OK(add_copy(graph, copy));
    copy.srcPitch = 8;
    BAD(add_copy(graph, copy));
    OK(add_set(graph, large, 4, 16, 1, 0));
    OK(add_set(graph, large, 4, 4, 4, 32));
    BAD(add_set(graph, large, 4, 4, 4, 8));
    BAD(add_set(graph, large, 3, 16, 1, 0));
    BAD(add_set(graph, large, 4, 0, 1, 0));
    BAD(add_set(graph, large, 4, 4, 0, 0));
    BAD(add_set(graph, large + 2, 4, 4, 1, 0));
    BAD(add_set(graph, large, 4, (size_t)1 << 22, 1, 0));
    OK(cu.cuGraphDestroy(graph));
    BAD(cu.cuGraphDestroy(NULL));
}

static void rules_of_edges(void)
{
    CUgraph graph;
    CUgraph other;
    CUgraphNode nodes[2];
    CUgraphNode node;
    CUgraphExec exec;
    CUDA_GRAPH_INSTANTIATE_PARAMS instantiate = {.flags = 0};
    CUDA_KERNEL_NODE_PARAMS_v2 params = soft_node(empty, NULL);
    OK(cu.cuGraphCreate(&graph, 0));
    OK(cu.cuGraphCreate(&other, 0));
    OK(cu.cuGraphAddKernelNode(&nodes[0], graph, NULL, 0, &params));
    OK(cu.cuGraphAddKernelNode(&nodes[1], graph, nodes, 1, &params));
    CUgraphNode twice[] = {nodes[0], nodes[0]};
    BAD(cu.cuGraphAddKernelNode(&node, graph, twice, 2, &params));
    BAD(cu.cuGraphAddKernelNode(&node, other, nodes, 1, &params));
    BAD(cu.cuGraphAddDependencies(graph, &nodes[0], &nodes[1], 1));
    BAD(cu.cuGraphAddDependencies(graph, &nodes[0], &nodes[0], 1));
    OK(cu.cuGraphAddDependencies(graph, &nodes[1], &nodes[0], 1));
    BAD(cu.cuGraphInstantiateWithParams(&exec, graph, &instantiate));
    VALUE(CUDA_GRAPH_INSTANTIATE_INVALID_STRUCTURE, instantiate.result_out);
    VALUE(1, instantiate.hErrNode_out != NULL);
    OK(cu.cuGraphInstantiateWithParams(&exec, other, &instantiate));
    OK(cu.cuGraphLaunch(exec, stream));
    OK(cu.cuGraphExecDestroy(exec));
    CUkernelNodeAttrValue value;
    memset(&value, 0, sizeof(value));
    value.clusterDim.x = 3;
    value.clusterDim.y = value.clusterDim.z = 1;
    OK(cu.cuGraphAddKernelNode(&node, other, NULL, 0, &params));
    RULE(INVALID_CLUSTER_SIZE,
         cu.cuGraphKernelNodeSetAttribute(node, CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION, &value));
    OK(cu.cuGraphDestroy(graph));
    OK(cu.cuGraphDestroy(other));
    OK(cu.cuStreamSynchronize(stream));
}

/** A graph of a kernel, a copy and a memset behind it, and a kernel behind both. */
struct diamond {
    CUgraph graph;
    CUgraphNode nodes[4];
};

enum variation {
    SAME,
    OTHER_FUNCTION,
    OTHER_ORDER_OF_CREATION,
    OTHER_ORDER_OF_EDGES,
    PINNED_SOURCE,
    ONE_EDGE_LESS,
    EDGE_MOVED,
    TALL_SET,
    NARROW_SET,
    COOPERATIVE,
    KERNEL_FOR_COPY,
};

static void add_middle(struct diamond *diamond, enum variation variation, bool copy_turn)
{
    CUDA_MEMCPY3D copy =
        soft_copy(large, variation == PINNED_SOURCE ? (CUdeviceptr)(uintptr_t)pinned : small, 64);
    CUDA_MEMSET_NODE_PARAMS set = soft_set(large + 1024, 1, 8);
    CUDA_KERNEL_NODE_PARAMS_v2 params = soft_node(empty, NULL);
    CUgraphNode *nodes = diamond->nodes;
    if (copy_turn && variation == KERNEL_FOR_COPY) {
        OK(cu.cuGraphAddKernelNode(&nodes[1], diamond->graph, nodes, 1, &params));
    } else if (copy_turn) {
        OK(cu.cuGraphAddMemcpyNode(&nodes[1], diamond->graph, nodes, 1, &copy, context));
    } else {
        set.height = variation == TALL_SET ? 2 : 1;
        set.pitch = 64;
        set.elementSize = variation == NARROW_SET ? 1 : 4;
        OK(cu.cuGraphAddMemsetNode(&nodes[2], diamond->graph,
                                   variation == EDGE_MOVED ? &nodes[1] : &nodes[0], 1, &set,
                                   context));
    }
}

static void build(struct diamond *diamond, enum variation variation)
{
    uint32_t word = 7;
    void *parameters[] = {&small, &word};
    CUgraphNode *nodes = diamond->nodes;
    CUDA_KERNEL_NODE_PARAMS_v2 first =
        soft_node(variation == OTHER_FUNCTION ? other_store : store, parameters);
    CUDA_KERNEL_NODE_PARAMS_v2 last = soft_node(empty, NULL);
    OK(cu.cuGraphCreate(&diamond->graph, 0));
    OK(cu.cuGraphAddKernelNode(&nodes[0], diamond->graph, NULL, 0, &first));
    add_middle(diamond, variation, variation != OTHER_ORDER_OF_CREATION);
    add_middle(diamond, variation, variation == OTHER_ORDER_OF_CREATION);
    CUgraphNode dependencies[2] = {nodes[1], nodes[2]};
    if (variation == OTHER_ORDER_OF_EDGES) {
        dependencies[0] = nodes[2];
        dependencies[1] = nodes[1];
    }
    OK(cu.cuGraphAddKernelNode(&nodes[3], diamond->graph, dependencies,
                               variation == ONE_EDGE_LESS ? 1 : 2, &last));
    CUkernelNodeAttrValue value = {.cooperative = variation == COOPERATIVE};
    OK(cu.cuGraphKernelNodeSetAttribute(nodes[3], CU_LAUNCH_ATTRIBUTE_COOPERATIVE, &value));
}

static void rule_of_update(int line, CUgraphExec exec, enum variation variation,
                           CUgraphExecUpdateResult expected, int node)
{
    struct diamond other;
    CUgraphExecUpdateResultInfo info;
    memset(&info, 0, sizeof(info));
    build(&other, variation);
    CUresult result = cu.cuGraphExecUpdate(exec, other.graph, &info);
    bool good = expected == CU_GRAPH_EXEC_UPDATE_SUCCESS;
    check(line, "cuGraphExecUpdate", good ? CUDA_SUCCESS : CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE,
          result);
    check_value(line, "info.result", expected, info.result);
    check_value(line, "info.errorNode is right", 1,
                info.errorNode == (node >= 0 ? other.nodes[node] : NULL));
    OK(cu.cuGraphDestroy(other.graph));
}

static void rules_of_updates(CUgraphExec exec)
{
#define UPDATE(variation, result, node) \
    rule_of_update(__LINE__, exec, variation, CU_GRAPH_EXEC_UPDATE_##result, node)
    UPDATE(SAME, SUCCESS, -1);
    UPDATE(OTHER_FUNCTION, SUCCESS, -1);
    UPDATE(OTHER_ORDER_OF_CREATION, SUCCESS, -1);
    UPDATE(PINNED_SOURCE, SUCCESS, -1);
    UPDATE(NARROW_SET, SUCCESS, -1);
    UPDATE(OTHER_ORDER_OF_EDGES, ERROR_NODE_TYPE_CHANGED, 2);
    UPDATE(KERNEL_FOR_COPY, ERROR_NODE_TYPE_CHANGED, 1);
    UPDATE(ONE_EDGE_LESS, ERROR_TOPOLOGY_CHANGED, 2);
    UPDATE(EDGE_MOVED, ERROR_TOPOLOGY_CHANGED, 2);
    UPDATE(TALL_SET, ERROR_PARAMETERS_CHANGED, 2);
    UPDATE(COOPERATIVE, ERROR_ATTRIBUTES_CHANGED, 3);
}

static void rules_of_execs(void)
{
    struct diamond diamond;
    CUgraphExec exec;
    CUDA_GRAPH_INSTANTIATE_PARAMS instantiate = {.flags = 0};
    uint32_t word = 9;
    void *parameters[] = {&large, &word};
    unsigned enabled = 7;
    build(&diamond, SAME);
    CUgraphNode *nodes = diamond.nodes;
    OK(cu.cuGraphInstantiateWithParams(&exec, diamond.graph, &instantiate));
    rules_of_updates(exec);
    OK(cu.cuGraphUpload(exec, stream));
    OK(cu.cuGraphLaunch(exec, stream));
    CUDA_KERNEL_NODE_PARAMS_v2 params = soft_node(other_store, parameters);
    OK(cu.cuGraphExecKernelNodeSetParams(exec, nodes[0], &params));
    BAD(cu.cuGraphExecKernelNodeSetParams(exec, nodes[1], &params));
    params.sharedMemBytes = 60000;
    BAD(cu.cuGraphExecKernelNodeSetParams(exec, nodes[0], &params));
    params = soft_node(store, NULL);
    BAD(cu.cuGraphExecKernelNodeSetParams(exec, nodes[0], &params));
    CUDA_MEMCPY3D copy = soft_copy(large, small, 128);
    OK(cu.cuGraphExecMemcpyNodeSetParams(exec, nodes[1], &copy, context));
    OK(cu.cuGraphExecMemcpyNodeSetParams(exec, nodes[1], &copy, NULL));
    BAD(cu.cuGraphExecMemcpyNodeSetParams(exec, nodes[0], &copy, context));
    copy.srcMemoryType = CU_MEMORYTYPE_HOST;
    copy.srcHost = pinned;
    BAD(cu.cuGraphExecMemcpyNodeSetParams(exec, nodes[1], &copy, context));
    CUDA_MEMSET_NODE_PARAMS set = soft_set(large, 7, 32);
    OK(cu.cuGraphExecMemsetNodeSetParams(exec, nodes[2], &set, context));
    set.height = 2;
    set.pitch = 256;
    BAD(cu.cuGraphExecMemsetNodeSetParams(exec, nodes[2], &set, context));
    OK(cu.cuGraphNodeSetEnabled(exec, nodes[0], 0));
    OK(cu.cuGraphNodeGetEnabled(exec, nodes[0], &enabled));
    VALUE(0, enabled);
    OK(cu.cuGraphNodeSetEnabled(exec, nodes[2], 7));
    OK(cu.cuGraphNodeGetEnabled(exec, nodes[2], &enabled));
    VALUE(1, enabled);
    OK(cu.cuGraphDestroy(diamond.graph));
    OK(cu.cuGraphLaunch(exec, stream));
    OK(cu.cuGraphExecDestroy(exec));
    OK(cu.cuStreamSynchronize(stream));
}

static void register_references(void)
{
    static const uint32_t store_sizes[] = {8, 4};
    static const uint32_t blob_sizes[] = {1, 24, 128, 2};
    soft_register("r_empty", NULL, 0);
    soft_register("r_bounded", NULL, 0);
    soft_register("r_required", NULL, 0);
    soft_register("r_store", store_sizes, 2);
    soft_register("r_other", store_sizes, 2);
    soft_register("r_blob", blob_sizes, 4);
}

static int run_all(void)
{
    CUmodule module;
    CUdevice device;
    OK(cu.cuDeviceGet(&device, 0));
    OK(cu.cuDevicePrimaryCtxRetain(&context, device));
    OK(cu.cuCtxSetCurrent(context));
    OK(cu.cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    OK(cu.cuMemAlloc(&small, 1000));
    OK(cu.cuMemAlloc(&large, 4096));
    OK(cu.cuMemHostAlloc(&pinned, 256, CU_MEMHOSTALLOC_DEVICEMAP));
    OK(cu.cuModuleLoadDataEx(&module, ptx, 0, NULL, NULL));
    OK(cu.cuModuleGetFunction(&empty, module, "r_empty"));
    OK(cu.cuModuleGetFunction(&store, module, "r_store"));
    OK(cu.cuModuleGetFunction(&other_store, module, "r_other"));
    OK(cu.cuModuleGetFunction(&bounded, module, "r_bounded"));
    OK(cu.cuModuleGetFunction(&required, module, "r_required"));
    if (failures > 0) {
        return 1;
    }
    rules_of_lookup();
    rules_of_memory();
    rules_of_events();
    rules_of_modules(module);
    rules_of_launches();
    rules_of_nodes();
    rules_of_edges();
    rules_of_execs();
    OK(cu.cuModuleUnload(module));
    OK(cu.cuMemFreeHost(pinned));
    OK(cu.cuMemFree(large));
    OK(cu.cuMemFree(small));
    OK(cu.cuStreamDestroy(stream));
    OK(cu.cuDevicePrimaryCtxRelease(device));
    printf("%d of %d rules hold\n", rules - failures, rules);
    return failures > 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "soft") == 0) {
        if (!soft_driver_load()) {
            return 1;
        }
        register_references();
        return cu.cuInit(0) == CUDA_SUCCESS ? run_all() : 1;
    }
    if (argc != 2 || strcmp(argv[1], "cuda") != 0) {
        fprintf(stderr, "usage: unit_driver_rules soft|cuda\n");
        return 2;
    }
    if (dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL) == NULL) {
        printf("skipped: no libcuda.so.1: %s\n", dlerror());
        return SKIPPED;
    }
    if (!soft_driver_load_from("libcuda.so.1")) {
        return 1;
    }
    CUresult result = cu.cuInit(0);
    if (result != CUDA_SUCCESS) {
        printf("skipped: cuInit gives %d\n", (int)result);
        return SKIPPED;
    }
    return run_all();
}
