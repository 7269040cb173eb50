// SPDX-License-Identifier: Apache-2.0
// Changes of executable graphs, as an H200 with driver 580 takes or refuses them.
#include "soft_driver.h"

#include <stdlib.h>

enum { WORDS = 64 };

static CUdeviceptr memory;
static CUgraph graph;
static CUgraphExec exec;
static CUgraphNode nodes[4];

/** A graph like the one of the exec, with the parts that tests change. */
struct variant {
    CUfunction first_function;
    CUfunction last_function;
    uint32_t value;
    CUdeviceptr copy_source;
    CUmemorytype copy_source_type;
    size_t set_height;
    unsigned set_element_bytes;
    bool kernel_for_copy;
    bool set_first;
    bool last_depends_on_first_too;
    bool last_without_set;
    bool last_swapped;
    bool set_after_copy;
    bool without_last;
    bool one_more;
    bool cooperative;
    unsigned cluster;
};

static CUdeviceptr word(uint32_t index)
{
    return memory + index * 4;
}

static struct variant plain(void)
{
    return (struct variant){
        .first_function = soft_store,
        .last_function = soft_nothing,
        .value = 1,
        .copy_source = word(0),
        .copy_source_type = CU_MEMORYTYPE_DEVICE,
        .set_height = 1,
        .set_element_bytes = 4,
    };
}

static void add_copy(const struct variant *variant, CUgraph target, CUgraphNode out[4])
{
    CUDA_MEMCPY3D copy = soft_copy(word(1), variant->copy_source, 4);
    copy.srcMemoryType = variant->copy_source_type;
    copy.srcHost = (const void *)(uintptr_t)variant->copy_source;
    if (variant->kernel_for_copy) {
        out[1] = soft_add(target, soft_nothing, NULL, out, 1);
    } else {
        assert_ok(cu.cuGraphAddMemcpyNode(&out[1], target, out, 1, &copy, NULL));
    }
}

static void add_set(const struct variant *variant, CUgraph target, CUgraphNode out[4])
{
    CUDA_MEMSET_NODE_PARAMS set = soft_set(word(2), variant->value, 1);
    set.height = variant->set_height;
    set.pitch = 16;
    set.elementSize = variant->set_element_bytes;
    assert_ok(cu.cuGraphAddMemsetNode(&out[2], target, variant->set_after_copy ? &out[1] : &out[0],
                                      1, &set, NULL));
}

// 0: kernel; 1: copy and 2: memset behind it; 3: kernel behind both.
static void build(const struct variant *variant, CUgraph target, CUgraphNode out[4])
{
    CUdeviceptr address = word(0);
    uint32_t value = variant->value;
    uint32_t one = 1;
    void *parameters[] = {
        &address, variant->first_function == soft_step ? (void *)&address : (void *)&value, &one};
    out[0] = soft_add(target, variant->first_function, parameters, NULL, 0);
    if (variant->set_first) {
        add_set(variant, target, out);
        add_copy(variant, target, out);
    } else {
        add_copy(variant, target, out);
        add_set(variant, target, out);
    }
    if (!variant->without_last) {
        CUgraphNode dependencies[3] = {out[1], out[2], out[0]};
        if (variant->last_swapped) {
            dependencies[0] = out[2];
            dependencies[1] = out[1];
        }
        size_t count = variant->last_without_set ? 1 : variant->last_depends_on_first_too ? 3 : 2;
        CUDA_KERNEL_NODE_PARAMS_v2 params = soft_node(variant->last_function, NULL);
        params.gridDimX = 4;
        assert_ok(cu.cuGraphAddKernelNode(&out[3], target, dependencies, count, &params));
        CUkernelNodeAttrValue attribute = {.cooperative = variant->cooperative};
        assert_ok(
            cu.cuGraphKernelNodeSetAttribute(out[3], CU_LAUNCH_ATTRIBUTE_COOPERATIVE, &attribute));
        memset(&attribute, 0, sizeof(attribute));
        attribute.clusterDim.x = variant->cluster > 0 ? variant->cluster : 1;
        attribute.clusterDim.y = attribute.clusterDim.z = 1;
        assert_ok(cu.cuGraphKernelNodeSetAttribute(out[3], CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION,
                                                   &attribute));
    }
    if (variant->one_more) {
        soft_add(target, soft_nothing, NULL, NULL, 0);
    }
}

static int begin(void **state)
{
    int result = soft_driver_begin(state);
    struct variant variant = plain();
    memory = soft_allocate(WORDS * 4);
    assert_ok(cu.cuMemsetD32Async(memory, 0, WORDS, NULL));
    assert_ok(cu.cuCtxSynchronize());
    assert_ok(cu.cuGraphCreate(&graph, 0));
    variant = plain();
    build(&variant, graph, nodes);
    exec = soft_instantiate(graph);
    return result;
}

static int end(void **state)
{
    assert_ok(cu.cuGraphExecDestroy(exec));
    assert_ok(cu.cuGraphDestroy(graph));
    assert_ok(cu.cuMemFree(memory));
    return soft_driver_end(state);
}

static void run(void)
{
    assert_ok(cu.cuGraphLaunch(exec, NULL));
    assert_ok(cu.cuStreamSynchronize(NULL));
}

// `node` and `from` are numbers of nodes of the new graph, -1 for none.
static void assert_update(struct variant variant, CUgraphExecUpdateResult expected, int node,
                          int from)
{
    CUgraph other;
    CUgraphNode others[4] = {NULL, NULL, NULL, NULL};
    CUgraphExecUpdateResultInfo info;
    memset(&info, 0x55, sizeof(info));
    assert_ok(cu.cuGraphCreate(&other, 0));
    build(&variant, other, others);
    CUresult result = cu.cuGraphExecUpdate(exec, other, &info);
    assert_int_equal(expected == CU_GRAPH_EXEC_UPDATE_SUCCESS
                         ? CUDA_SUCCESS
                         : CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE,
                     result);
    assert_int_equal(expected, info.result);
    assert_ptr_equal(node >= 0 ? others[node] : NULL, info.errorNode);
    assert_ptr_equal(from >= 0 ? others[from] : NULL, info.errorFromNode);
    assert_ok(cu.cuGraphDestroy(other));
}

static void test_updates_that_work(void **state)
{
    (void)state;
    struct variant variant = plain();
    const CUgraphExecUpdateResult good = CU_GRAPH_EXEC_UPDATE_SUCCESS;
    assert_update(variant, good, -1, -1);
    variant.value = 9;
    assert_update(variant, good, -1, -1);
    run();
    assert_int_equal(9, soft_word(word(0)));
    assert_int_equal(9, soft_word(word(1)));
    assert_int_equal(9, soft_word(word(2)));
    variant.copy_source = word(2);
    assert_update(variant, good, -1, -1);
    variant = plain();
    variant.first_function = soft_step;
    assert_update(variant, good, -1, -1);
    run();
    assert_int_equal(28, soft_word(word(0)));
    variant = plain();
    variant.last_function = soft_broken;
    assert_update(variant, good, -1, -1);
    variant = plain();
    variant.set_element_bytes = 1;
    assert_update(variant, good, -1, -1);
    variant = plain();
    variant.cluster = 2;
    assert_update(variant, good, -1, -1);
    variant.cluster = 4;
    assert_update(variant, good, -1, -1);
}

// The order in which nodes were made does not count: pairs are found along the edges.
static void test_other_creation_order(void **state)
{
    (void)state;
    struct variant variant = plain();
    variant.set_first = true;
    variant.value = 6;
    assert_update(variant, CU_GRAPH_EXEC_UPDATE_SUCCESS, -1, -1);
    run();
    assert_int_equal(6, soft_word(word(1)));
    assert_int_equal(6, soft_word(word(2)));
    // The exec's nodes are still those of its own graph.
    CUDA_MEMSET_NODE_PARAMS set = soft_set(word(2), 8, 1);
    assert_ok(cu.cuGraphExecMemsetNodeSetParams(exec, nodes[2], &set, NULL));
    run();
    assert_int_equal(8, soft_word(word(2)));
}

static void test_pinned_operand(void **state)
{
    (void)state;
    uint32_t *pinned;
    struct variant variant = plain();
    assert_ok(cu.cuMemHostAlloc((void **)&pinned, 4, 0));
    *pinned = 55;
    variant.copy_source = (CUdeviceptr)(uintptr_t)pinned;
    assert_update(variant, CU_GRAPH_EXEC_UPDATE_SUCCESS, -1, -1);
    run();
    assert_int_equal(55, soft_word(word(1)));
    variant.copy_source_type = CU_MEMORYTYPE_HOST;
    assert_update(variant, CU_GRAPH_EXEC_UPDATE_ERROR_PARAMETERS_CHANGED, 1, -1);
    assert_ok(cu.cuMemFreeHost(pinned));
}

static void test_topology_changes(void **state)
{
    (void)state;
    const CUgraphExecUpdateResult changed = CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED;
    struct variant variant = plain();
    variant.value = 50;
    variant.without_last = true;
    assert_update(variant, changed, -1, -1);
    variant.without_last = false;
    variant.one_more = true;
    assert_update(variant, changed, -1, -1);
    variant.one_more = false;
    variant.last_without_set = true;
    assert_update(variant, changed, 2, -1);
    variant.last_without_set = false;
    variant.last_depends_on_first_too = true;
    assert_update(variant, changed, 3, -1);
    variant.last_depends_on_first_too = false;
    variant.set_after_copy = true;
    assert_update(variant, changed, 2, 1);
    // A failed update changes nothing.
    run();
    assert_int_equal(1, soft_word(word(0)));
}

static void test_type_changes(void **state)
{
    (void)state;
    struct variant variant = plain();
    variant.kernel_for_copy = true;
    assert_update(variant, CU_GRAPH_EXEC_UPDATE_ERROR_NODE_TYPE_CHANGED, 1, -1);
    // Dependencies in another order pair a copy with a memset.
    variant = plain();
    variant.last_swapped = true;
    assert_update(variant, CU_GRAPH_EXEC_UPDATE_ERROR_NODE_TYPE_CHANGED, 2, -1);
}

static void test_parameter_changes(void **state)
{
    (void)state;
    struct variant variant = plain();
    variant.set_height = 2;
    assert_update(variant, CU_GRAPH_EXEC_UPDATE_ERROR_PARAMETERS_CHANGED, 2, -1);
    variant = plain();
    variant.cooperative = true;
    assert_update(variant, CU_GRAPH_EXEC_UPDATE_ERROR_ATTRIBUTES_CHANGED, 3, -1);
}

static void test_exec_set_kernel(void **state)
{
    (void)state;
    CUdeviceptr target = word(20);
    uint32_t value = 21;
    void *parameters[] = {&target, &value};
    CUDA_KERNEL_NODE_PARAMS_v2 params = soft_node(soft_store, parameters);
    assert_ok(cu.cuGraphExecKernelNodeSetParams(exec, nodes[0], &params));
    params.gridDimX = 0;
    assert_cuda(CUDA_ERROR_INVALID_VALUE,
                cu.cuGraphExecKernelNodeSetParams(exec, nodes[0], &params));
    params.gridDimX = 1;
    params.sharedMemBytes = 60000;
    assert_cuda(CUDA_ERROR_INVALID_VALUE,
                cu.cuGraphExecKernelNodeSetParams(exec, nodes[0], &params));
    params = soft_node(soft_store, NULL);
    assert_cuda(CUDA_ERROR_INVALID_VALUE,
                cu.cuGraphExecKernelNodeSetParams(exec, nodes[0], &params));
    params = soft_node(soft_nothing, NULL);
    assert_cuda(CUDA_ERROR_INVALID_VALUE,
                cu.cuGraphExecKernelNodeSetParams(exec, nodes[1], &params));
    assert_ok(cu.cuGraphExecKernelNodeSetParams(exec, nodes[3], &params));
    run();
    assert_int_equal(21, soft_word(word(20)));
    assert_int_equal(0, soft_word(word(0)));
    // The graph itself is as it was.
    CUDA_KERNEL_NODE_PARAMS_v2 kept;
    assert_ok(cu.cuGraphKernelNodeGetParams(nodes[0], &kept));
    assert_int_equal(1, *(uint32_t *)kept.kernelParams[1]);
}

static void test_exec_set_copy_and_set(void **state)
{
    (void)state;
    CUDA_MEMCPY3D copy = soft_copy(word(30), word(0), 4);
    CUDA_MEMSET_NODE_PARAMS set = soft_set(word(31), 5, 2);
    assert_ok(cu.cuGraphExecMemcpyNodeSetParams(exec, nodes[1], &copy, soft_context));
    assert_ok(cu.cuGraphExecMemsetNodeSetParams(exec, nodes[2], &set, soft_context));
    run();
    assert_int_equal(1, soft_word(word(30)));
    assert_int_equal(5, soft_word(word(32)));
    const CUresult bad = CUDA_ERROR_INVALID_VALUE;
    assert_cuda(bad, cu.cuGraphExecMemcpyNodeSetParams(exec, nodes[2], &copy, NULL));
    assert_cuda(bad, cu.cuGraphExecMemsetNodeSetParams(exec, nodes[1], &set, NULL));
    copy.Height = 2;
    copy.srcPitch = copy.dstPitch = 8;
    assert_cuda(bad, cu.cuGraphExecMemcpyNodeSetParams(exec, nodes[1], &copy, NULL));
    copy = soft_copy(word(30), word(0), 0);
    assert_cuda(bad, cu.cuGraphExecMemcpyNodeSetParams(exec, nodes[1], &copy, NULL));
    set.height = 2;
    set.pitch = 16;
    assert_cuda(bad, cu.cuGraphExecMemsetNodeSetParams(exec, nodes[2], &set, NULL));
    assert_cuda(CUDA_ERROR_INVALID_CONTEXT,
                cu.cuGraphExecMemcpyNodeSetParams(exec, nodes[1], &copy, (CUcontext)&copy));
}

static void test_nodes_that_are_not_of_the_exec(void **state)
{
    (void)state;
    CUgraph other;
    assert_ok(cu.cuGraphCreate(&other, 0));
    CUgraphNode late = soft_add(graph, soft_nothing, NULL, NULL, 0);
    CUgraphNode foreign = soft_add(other, soft_nothing, NULL, NULL, 0);
    CUDA_KERNEL_NODE_PARAMS_v2 params = soft_node(soft_nothing, NULL);
    assert_ok(cu.cuGraphExecKernelNodeSetParams(exec, nodes[3], &params));
    assert_int_equal(0, soft_report().misuse_count);
    assert_cuda(CUDA_ERROR_INVALID_VALUE, cu.cuGraphExecKernelNodeSetParams(exec, late, &params));
    assert_cuda(CUDA_ERROR_INVALID_VALUE,
                cu.cuGraphExecKernelNodeSetParams(exec, foreign, &params));
    assert_cuda(CUDA_ERROR_INVALID_VALUE, cu.cuGraphNodeSetEnabled(exec, foreign, 0));
    assert_int_equal(3, soft_report().misuse_count);
    assert_ok(cu.cuGraphDestroy(other));
}

static void test_disabled_nodes(void **state)
{
    (void)state;
    unsigned enabled = 7;
    CUgraphNode empty;
    assert_ok(cu.cuGraphNodeGetEnabled(exec, nodes[2], &enabled));
    assert_int_equal(1, enabled);
    assert_ok(cu.cuGraphNodeSetEnabled(exec, nodes[2], 0));
    assert_ok(cu.cuGraphNodeGetEnabled(exec, nodes[2], &enabled));
    assert_int_equal(0, enabled);
    run();
    assert_int_equal(1, soft_word(word(1)));
    assert_int_equal(0, soft_word(word(2)));
    // Updates leave it so.
    assert_update(plain(), CU_GRAPH_EXEC_UPDATE_SUCCESS, -1, -1);
    run();
    assert_int_equal(0, soft_word(word(2)));
    assert_ok(cu.cuGraphNodeSetEnabled(exec, nodes[2], 5));
    assert_ok(cu.cuGraphNodeGetEnabled(exec, nodes[2], &enabled));
    assert_int_equal(1, enabled);
    run();
    assert_int_equal(1, soft_word(word(2)));
    // Not every kind of node can be disabled.
    CUgraph other;
    assert_ok(cu.cuGraphCreate(&other, 0));
    assert_ok(cu.cuGraphAddEmptyNode(&empty, other, NULL, 0));
    CUgraphExec other_exec = soft_instantiate(other);
    assert_cuda(CUDA_ERROR_INVALID_VALUE, cu.cuGraphNodeSetEnabled(other_exec, empty, 0));
    assert_cuda(CUDA_ERROR_INVALID_VALUE, cu.cuGraphNodeGetEnabled(other_exec, empty, &enabled));
    assert_ok(cu.cuGraphExecDestroy(other_exec));
    assert_ok(cu.cuGraphDestroy(other));
}

// What is in flight keeps the parameters that it was launched with.
static void test_launches_in_flight_keep_theirs(void **state)
{
    (void)state;
    CUdeviceptr target = word(0);
    uint32_t value = 40;
    void *parameters[] = {&target, &value};
    CUDA_KERNEL_NODE_PARAMS_v2 params = soft_node(soft_store, parameters);
    CUDA_MEMCPY3D keep = soft_copy(word(10), word(0), 4);
    CUstream stream;
    assert_ok(cu.cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    cu.api->set_paused(true);
    assert_ok(cu.cuGraphLaunch(exec, stream));
    assert_ok(cu.cuMemcpyDtoDAsync(keep.dstDevice, keep.srcDevice, 4, stream));
    assert_ok(cu.cuGraphExecKernelNodeSetParams(exec, nodes[0], &params));
    assert_ok(cu.cuGraphNodeSetEnabled(exec, nodes[2], 0));
    assert_ok(cu.cuGraphLaunch(exec, stream));
    assert_ok(cu.cuStreamSynchronize(stream));
    assert_int_equal(1, soft_word(word(10)));
    assert_int_equal(40, soft_word(word(0)));
    assert_int_equal(1, soft_word(word(2)));
    // A node disabled before stays so in what replaces a program in flight.
    CUDA_MEMSET_NODE_PARAMS set = soft_set(word(2), 50, 1);
    assert_ok(cu.cuGraphLaunch(exec, stream));
    assert_ok(cu.cuGraphExecMemsetNodeSetParams(exec, nodes[2], &set, NULL));
    assert_ok(cu.cuGraphLaunch(exec, stream));
    assert_ok(cu.cuStreamSynchronize(stream));
    assert_int_equal(1, soft_word(word(2)));
    assert_ok(cu.cuStreamDestroy(stream));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_updates_that_work),
        TEST(test_other_creation_order),
        TEST(test_pinned_operand),
        TEST(test_topology_changes),
        TEST(test_type_changes),
        TEST(test_parameter_changes),
        TEST(test_exec_set_kernel),
        TEST(test_exec_set_copy_and_set),
        TEST(test_nodes_that_are_not_of_the_exec),
        TEST(test_disabled_nodes),
        TEST(test_launches_in_flight_keep_theirs),
    };
    return soft_driver_load() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
