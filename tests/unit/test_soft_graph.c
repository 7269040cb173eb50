// SPDX-License-Identifier: Apache-2.0
// Graphs of the software driver: building, instantiating, launching.
#include "soft_driver.h"

#include <stdlib.h>

enum { WORDS = 64 };

static CUdeviceptr memory;
static CUgraph graph;

static int begin(void **state)
{
    int result = soft_driver_begin(state);
    memory = soft_allocate(WORDS * 4);
    assert_ok(cu.cuMemsetD32Async(memory, 0, WORDS, NULL));
    assert_ok(cu.cuCtxSynchronize());
    assert_ok(cu.cuGraphCreate(&graph, 0));
    return result;
}

static int end(void **state)
{
    assert_ok(cu.cuGraphDestroy(graph));
    assert_ok(cu.cuMemFree(memory));
    return soft_driver_end(state);
}

static CUdeviceptr word(uint32_t index)
{
    return memory + index * 4;
}

static void run(CUgraphExec exec)
{
    assert_ok(cu.cuGraphLaunch(exec, NULL));
    assert_ok(cu.cuStreamSynchronize(NULL));
}

static void test_kernel_copy_and_set(void **state)
{
    (void)state;
    CUgraphNode nodes[4];
    CUDA_MEMCPY3D copy = soft_copy(word(1), word(0), 4);
    CUDA_MEMSET_NODE_PARAMS set = soft_set(word(2), 77, 3);
    nodes[0] = soft_add_store(graph, word(0), 5, NULL, 0);
    assert_ok(cu.cuGraphAddMemcpyNode(&nodes[1], graph, nodes, 1, &copy, soft_context));
    assert_ok(cu.cuGraphAddMemsetNode(&nodes[2], graph, &nodes[1], 1, &set, soft_context));
    assert_ok(cu.cuGraphAddEmptyNode(&nodes[3], graph, &nodes[2], 1));
    soft_add_step(graph, word(3), word(1), 1, &nodes[3], 1);
    // All parameters were copied when the nodes were added.
    memset(&copy, 0xff, sizeof(copy));
    memset(&set, 0xff, sizeof(set));
    CUgraphExec exec = soft_instantiate(graph);
    assert_ok(cu.cuGraphUpload(exec, NULL));
    assert_int_equal(0, soft_word(word(0)));
    run(exec);
    assert_int_equal(5, soft_word(word(0)));
    assert_int_equal(5, soft_word(word(1)));
    assert_int_equal(77, soft_word(word(2)));
    assert_int_equal(16, soft_word(word(3)));
    assert_int_equal(77, soft_word(word(4)));
    assert_int_equal(0, soft_word(word(5)));
    assert_int_equal(0, soft_report().hazard_count);
    assert_int_equal(1, soft_report().live_graphs);
    assert_int_equal(1, soft_report().live_graph_execs);
    const CUgraphNodeType expected[] = {CU_GRAPH_NODE_TYPE_KERNEL, CU_GRAPH_NODE_TYPE_MEMCPY,
                                        CU_GRAPH_NODE_TYPE_MEMSET, CU_GRAPH_NODE_TYPE_EMPTY};
    for (int i = 0; i < 4; ++i) {
        CUgraphNodeType type;
        assert_ok(cu.cuGraphNodeGetType(nodes[i], &type));
        assert_int_equal(expected[i], type);
    }
    assert_ok(cu.cuGraphExecDestroy(exec));
}

static void test_two_dimensions(void **state)
{
    (void)state;
    CUgraphNode set_node;
    CUgraphNode copy_node;
    CUDA_MEMSET_NODE_PARAMS set = {
        .dst = word(0), .pitch = 16, .value = 0x1234, .elementSize = 2, .width = 2, .height = 3};
    CUDA_MEMCPY3D copy = soft_copy(word(32), word(0), 8);
    copy.Height = 3;
    copy.srcPitch = 16;
    copy.dstPitch = 8;
    assert_ok(cu.cuGraphAddMemsetNode(&set_node, graph, NULL, 0, &set, NULL));
    assert_ok(cu.cuGraphAddMemcpyNode(&copy_node, graph, &set_node, 1, &copy, NULL));
    CUgraphExec exec = soft_instantiate(graph);
    run(exec);
    for (uint32_t row = 0; row < 3; ++row) {
        assert_int_equal(0x12341234, soft_word(word(row * 4)));
        assert_int_equal(0, soft_word(word(row * 4 + 1)));
        assert_int_equal(0x12341234, soft_word(word(32 + row * 2)));
        assert_int_equal(0, soft_word(word(32 + row * 2 + 1)));
    }
    assert_int_equal(0, soft_word(word(38)));
    assert_ok(cu.cuGraphExecDestroy(exec));
}

static CUresult add_copy(CUDA_MEMCPY3D copy)
{
    CUgraphNode node;
    return cu.cuGraphAddMemcpyNode(&node, graph, NULL, 0, &copy, soft_context);
}

static void test_copy_rules(void **state)
{
    (void)state;
    const CUresult bad = CUDA_ERROR_INVALID_VALUE;
    unsigned char pageable[64];
    CUDA_MEMCPY3D copy = soft_copy(word(0), word(16), 64);
    assert_ok(add_copy(copy));
    assert_cuda(bad, add_copy(soft_copy(word(0), word(16), 0)));
    assert_cuda(bad, add_copy(soft_copy(word(0), word(16), WORDS * 4)));
    assert_cuda(bad, add_copy(soft_copy(word(0), 0, 4)));
    assert_cuda(bad, add_copy(soft_copy(word(0), (CUdeviceptr)(uintptr_t)pageable, 4)));
    copy.Height = 0;
    assert_cuda(bad, add_copy(copy));
    copy.Height = 2;
    copy.srcPitch = copy.dstPitch = 32;
    assert_cuda(bad, add_copy(copy));
    copy.WidthInBytes = 32;
    assert_ok(add_copy(copy));
    copy = soft_copy(0, word(0), 64);
    copy.dstMemoryType = CU_MEMORYTYPE_HOST;
    copy.dstHost = pageable;
    assert_ok(add_copy(copy));
    copy.dstHost = NULL;
    assert_cuda(bad, add_copy(copy));
    copy.dstMemoryType = CU_MEMORYTYPE_ARRAY;
    assert_cuda(CUDA_ERROR_NOT_SUPPORTED, add_copy(copy));
    copy.dstMemoryType = (CUmemorytype)9;
    assert_cuda(bad, add_copy(copy));
}

static CUresult add_set(CUDA_MEMSET_NODE_PARAMS set)
{
    CUgraphNode node;
    return cu.cuGraphAddMemsetNode(&node, graph, NULL, 0, &set, soft_context);
}

static void test_set_rules(void **state)
{
    (void)state;
    const CUresult bad = CUDA_ERROR_INVALID_VALUE;
    CUDA_MEMSET_NODE_PARAMS set = soft_set(word(0), 1, WORDS);
    assert_ok(add_set(set));
    assert_cuda(bad, add_set(soft_set(word(0), 1, WORDS + 1)));
    assert_cuda(bad, add_set(soft_set(word(0), 1, 0)));
    assert_cuda(bad, add_set(soft_set(word(0) + 2, 1, 1)));
    assert_cuda(bad, add_set(soft_set(0, 1, 1)));
    set.elementSize = 3;
    assert_cuda(bad, add_set(set));
    set.elementSize = 1;
    set.value = 256;
    assert_ok(add_set(set));
    set.height = 0;
    assert_cuda(bad, add_set(set));
    set = (CUDA_MEMSET_NODE_PARAMS){
        .dst = word(0), .pitch = 8, .value = 1, .elementSize = 4, .width = 4, .height = 2};
    assert_cuda(bad, add_set(set));
    set.pitch = 16;
    assert_ok(add_set(set));
}

static void test_contexts_of_nodes(void **state)
{
    (void)state;
    CUgraphNode node;
    CUDA_MEMSET_NODE_PARAMS set = soft_set(word(0), 1, 1);
    assert_ok(cu.cuGraphAddMemsetNode(&node, graph, NULL, 0, &set, NULL));
    assert_int_equal(0, soft_report().misuse_count);
    assert_cuda(CUDA_ERROR_INVALID_CONTEXT,
                cu.cuGraphAddMemsetNode(&node, graph, NULL, 0, &set, (CUcontext)&node));
    assert_int_equal(1, soft_report().misuse_count);
}

static void test_nodes_and_edges_are_listed(void **state)
{
    (void)state;
    CUgraphNode nodes[3];
    CUgraphNode from[4];
    CUgraphNode to[4];
    size_t count = 0;
    nodes[0] = soft_add(graph, soft_nothing, NULL, NULL, 0);
    nodes[1] = soft_add(graph, soft_nothing, NULL, NULL, 0);
    nodes[2] = soft_add(graph, soft_nothing, NULL, nodes, 1);
    assert_ok(cu.cuGraphAddDependencies(graph, &nodes[1], &nodes[2], 1));
    assert_ok(cu.cuGraphGetNodes(graph, NULL, &count));
    assert_int_equal(3, count);
    count = 4;
    from[3] = nodes[0];
    assert_ok(cu.cuGraphGetNodes(graph, from, &count));
    assert_int_equal(3, count);
    assert_memory_equal(nodes, from, sizeof(nodes));
    assert_null(from[3]);
    assert_ok(cu.cuGraphGetEdges(graph, NULL, NULL, &count));
    assert_int_equal(2, count);
    count = 4;
    assert_ok(cu.cuGraphGetEdges(graph, from, to, &count));
    assert_int_equal(2, count);
    for (int i = 0; i < 2; ++i) {
        assert_ptr_equal(nodes[i], from[i]);
        assert_ptr_equal(nodes[2], to[i]);
        assert_null(from[2 + i]);
    }
    assert_cuda(CUDA_ERROR_INVALID_VALUE, cu.cuGraphGetEdges(graph, from, NULL, &count));
    // An edge that exists, and one to itself.
    assert_cuda(CUDA_ERROR_INVALID_VALUE,
                cu.cuGraphAddDependencies(graph, &nodes[1], &nodes[2], 1));
    assert_cuda(CUDA_ERROR_INVALID_VALUE, cu.cuGraphAddDependencies(graph, nodes, nodes, 1));
    assert_ok(cu.cuGraphAddDependencies(graph, nodes, &nodes[1], 1));
}

static void test_cycle(void **state)
{
    (void)state;
    CUgraphNode first = soft_add(graph, soft_nothing, NULL, NULL, 0);
    CUgraphNode second = soft_add(graph, soft_nothing, NULL, &first, 1);
    CUgraphExec exec = NULL;
    CUDA_GRAPH_INSTANTIATE_PARAMS params = {.flags = 0};
    assert_ok(cu.cuGraphAddDependencies(graph, &second, &first, 1));
    assert_cuda(CUDA_ERROR_INVALID_VALUE, cu.cuGraphInstantiateWithParams(&exec, graph, &params));
    assert_int_equal(CUDA_GRAPH_INSTANTIATE_INVALID_STRUCTURE, params.result_out);
    assert_non_null(params.hErrNode_out);
    assert_null(exec);
}

static void test_instantiate_flags(void **state)
{
    (void)state;
    CUgraphExec exec = NULL;
    CUDA_GRAPH_INSTANTIATE_PARAMS params = {.flags = CUDA_GRAPH_INSTANTIATE_FLAG_DEVICE_LAUNCH};
    assert_cuda(CUDA_ERROR_NOT_SUPPORTED, cu.cuGraphInstantiateWithParams(&exec, graph, &params));
    params.flags = 1 << 10;
    assert_cuda(CUDA_ERROR_INVALID_VALUE, cu.cuGraphInstantiateWithParams(&exec, graph, &params));
    assert_cuda(CUDA_ERROR_INVALID_VALUE, cu.cuGraphInstantiateWithParams(&exec, NULL, &params));
    assert_null(exec);
    params.flags = CUDA_GRAPH_INSTANTIATE_FLAG_UPLOAD;
    // An empty graph is fine.
    assert_ok(cu.cuGraphInstantiateWithParams(&exec, graph, &params));
    run(exec);
    assert_ok(cu.cuGraphExecDestroy(exec));
}

static void test_edges_with_data(void **state)
{
    (void)state;
    CUgraphNodeParams params = {.type = CU_GRAPH_NODE_TYPE_KERNEL};
    params.kernel.func = soft_nothing;
    params.kernel.gridDimX = params.kernel.gridDimY = params.kernel.gridDimZ = 1;
    params.kernel.blockDimX = params.kernel.blockDimY = params.kernel.blockDimZ = 1;
    CUgraphNode first;
    CUgraphNode second;
    CUgraphEdgeData edge = {.type = CU_GRAPH_DEPENDENCY_TYPE_PROGRAMMATIC,
                            .from_port = CU_GRAPH_KERNEL_NODE_PORT_PROGRAMMATIC};
    size_t count = 4;
    CUgraphNode from[4];
    CUgraphNode to[4];
    assert_ok(cu.cuGraphAddNode(&first, graph, NULL, NULL, 0, &params));
    assert_ok(cu.cuGraphAddNode(&second, graph, &first, &edge, 1, &params));
    assert_cuda(CUDA_ERROR_LOSSY_QUERY, cu.cuGraphGetEdges(graph, from, to, &count));
    assert_ok(cu.cuGraphGetEdges(graph, NULL, NULL, &count));
    assert_int_equal(1, count);
    const CUgraphEdgeData wrong[] = {
        {.type = CU_GRAPH_DEPENDENCY_TYPE_PROGRAMMATIC},
        {.type = CU_GRAPH_DEPENDENCY_TYPE_PROGRAMMATIC, .from_port = 7},
        {.from_port = CU_GRAPH_KERNEL_NODE_PORT_PROGRAMMATIC},
        {.to_port = 1},
        {.reserved = {1}},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); ++i) {
        assert_cuda(CUDA_ERROR_INVALID_VALUE,
                    cu.cuGraphAddNode(&second, graph, &first, &wrong[i], 1, &params));
    }
    params.type = CU_GRAPH_NODE_TYPE_EMPTY;
    assert_cuda(CUDA_ERROR_INVALID_VALUE,
                cu.cuGraphAddNode(&second, graph, &first, &edge, 1, &params));
    edge = (CUgraphEdgeData){.type = CU_GRAPH_DEPENDENCY_TYPE_DEFAULT};
    assert_ok(cu.cuGraphAddNode(&second, graph, &first, &edge, 1, &params));
    params.type = CU_GRAPH_NODE_TYPE_HOST;
    assert_cuda(CUDA_ERROR_NOT_SUPPORTED,
                cu.cuGraphAddNode(&second, graph, NULL, NULL, 0, &params));
    params.type = (CUgraphNodeType)99;
    assert_cuda(CUDA_ERROR_INVALID_VALUE,
                cu.cuGraphAddNode(&second, graph, NULL, NULL, 0, &params));
}

static void test_other_nodes_by_add_node(void **state)
{
    (void)state;
    CUgraphNode nodes[2];
    CUgraphNodeParams params = {.type = CU_GRAPH_NODE_TYPE_MEMSET};
    params.memset.dst = word(0);
    params.memset.value = 6;
    params.memset.elementSize = 4;
    params.memset.width = params.memset.height = 1;
    assert_ok(cu.cuGraphAddNode(&nodes[0], graph, NULL, NULL, 0, &params));
    params = (CUgraphNodeParams){.type = CU_GRAPH_NODE_TYPE_MEMCPY};
    params.memcpy.copyParams = soft_copy(word(1), word(0), 4);
    assert_ok(cu.cuGraphAddNode(&nodes[1], graph, nodes, NULL, 1, &params));
    CUgraphExec exec = soft_instantiate(graph);
    run(exec);
    assert_int_equal(6, soft_word(word(1)));
    assert_ok(cu.cuGraphExecDestroy(exec));
}

static void test_attributes_of_nodes(void **state)
{
    (void)state;
    CUgraphNode node;
    CUgraphNode empty;
    CUDA_KERNEL_NODE_PARAMS_v2 params = soft_node(soft_nothing, NULL);
    CUkernelNodeAttrValue value = {.cooperative = 1};
    params.gridDimX = 4225;
    params.blockDimX = 64;
    assert_ok(cu.cuGraphAddKernelNode(&node, graph, NULL, 0, &params));
    assert_ok(cu.cuGraphAddEmptyNode(&empty, graph, NULL, 0));
    assert_cuda(CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE,
                cu.cuGraphKernelNodeSetAttribute(node, CU_LAUNCH_ATTRIBUTE_COOPERATIVE, &value));
    memset(&value, 0, sizeof(value));
    value.clusterDim.x = 2;
    value.clusterDim.y = value.clusterDim.z = 1;
    assert_cuda(
        CUDA_ERROR_INVALID_CLUSTER_SIZE,
        cu.cuGraphKernelNodeSetAttribute(node, CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION, &value));
    value.clusterDim.x = 5;
    assert_ok(
        cu.cuGraphKernelNodeSetAttribute(node, CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION, &value));
    assert_cuda(
        CUDA_ERROR_INVALID_VALUE,
        cu.cuGraphKernelNodeSetAttribute(empty, CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION, &value));
    assert_cuda(CUDA_ERROR_INVALID_VALUE,
                cu.cuGraphKernelNodeSetAttribute(node, CU_LAUNCH_ATTRIBUTE_COOPERATIVE, NULL));
    // The attribute stays when parameters change, and holds for the new ones.
    params.gridDimX = 12;
    assert_cuda(CUDA_ERROR_INVALID_CLUSTER_SIZE, cu.cuGraphKernelNodeSetParams(node, &params));
    params.gridDimX = 20;
    assert_ok(cu.cuGraphKernelNodeSetParams(node, &params));
    assert_ok(cu.cuGraphKernelNodeGetParams(node, &params));
    assert_int_equal(20, params.gridDimX);
    assert_ptr_equal(soft_nothing, params.func);
    memset(&value, 0, sizeof(value));
    value.cooperative = 1;
    assert_ok(cu.cuGraphKernelNodeSetAttribute(node, CU_LAUNCH_ATTRIBUTE_COOPERATIVE, &value));
    params.gridDimX = 5000;
    assert_cuda(CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE,
                cu.cuGraphKernelNodeSetParams(node, &params));
}

static void test_set_params_of_nodes(void **state)
{
    (void)state;
    CUgraphNode nodes[3];
    CUDA_MEMCPY3D copy = soft_copy(word(1), word(0), 4);
    CUDA_MEMSET_NODE_PARAMS set = soft_set(word(2), 1, 1);
    nodes[0] = soft_add_store(graph, word(0), 1, NULL, 0);
    assert_ok(cu.cuGraphAddMemcpyNode(&nodes[1], graph, nodes, 1, &copy, NULL));
    assert_ok(cu.cuGraphAddMemsetNode(&nodes[2], graph, nodes, 1, &set, NULL));
    CUgraphExec before = soft_instantiate(graph);
    CUdeviceptr target = word(10);
    uint32_t value = 20;
    void *parameters[] = {&target, &value};
    CUDA_KERNEL_NODE_PARAMS_v2 params = soft_node(soft_store, parameters);
    copy = soft_copy(word(11), word(10), 4);
    set = soft_set(word(12), 30, 1);
    assert_ok(cu.cuGraphKernelNodeSetParams(nodes[0], &params));
    assert_ok(cu.cuGraphMemcpyNodeSetParams(nodes[1], &copy));
    assert_ok(cu.cuGraphMemsetNodeSetParams(nodes[2], &set));
    assert_cuda(CUDA_ERROR_INVALID_VALUE, cu.cuGraphMemsetNodeSetParams(nodes[1], &set));
    assert_cuda(CUDA_ERROR_INVALID_VALUE, cu.cuGraphMemcpyNodeSetParams(nodes[2], &copy));
    assert_cuda(CUDA_ERROR_INVALID_VALUE, cu.cuGraphKernelNodeSetParams(nodes[1], &params));
    // The exec is a snapshot.
    run(before);
    assert_int_equal(1, soft_word(word(1)));
    assert_int_equal(0, soft_word(word(11)));
    CUgraphExec after = soft_instantiate(graph);
    run(after);
    assert_int_equal(20, soft_word(word(11)));
    assert_int_equal(30, soft_word(word(12)));
    assert_ok(cu.cuGraphExecDestroy(before));
    assert_ok(cu.cuGraphExecDestroy(after));
}

static void test_graph_may_die_first(void **state)
{
    (void)state;
    CUgraph other;
    assert_ok(cu.cuGraphCreate(&other, 0));
    soft_add_store(other, word(0), 3, NULL, 0);
    CUgraphExec exec = soft_instantiate(other);
    assert_ok(cu.cuGraphDestroy(other));
    run(exec);
    assert_int_equal(3, soft_word(word(0)));
    assert_ok(cu.cuGraphExecDestroy(exec));
}

static void test_exec_destroyed_in_flight(void **state)
{
    (void)state;
    soft_add_store(graph, word(0), 3, NULL, 0);
    CUgraphExec exec = soft_instantiate(graph);
    cu.api->set_paused(true);
    assert_ok(cu.cuGraphLaunch(exec, NULL));
    assert_ok(cu.cuGraphLaunch(exec, NULL));
    assert_ok(cu.cuGraphExecDestroy(exec));
    assert_int_equal(0, soft_report().live_graph_execs);
    assert_int_equal(3, soft_word(word(0)));
    assert_cuda(CUDA_ERROR_INVALID_HANDLE, cu.cuGraphLaunch(exec, NULL));
}

// Two launches of one exec never overlap, even on streams of their own: each adds one to a word by
// way of a second node, which would be lost if they did.
static void test_launches_of_one_exec_are_serial(void **state)
{
    (void)state;
    CUgraphNode node = soft_add_step(graph, word(1), word(0), 1, NULL, 0);
    CUDA_MEMCPY3D copy = soft_copy(word(0), word(1), 4);
    assert_ok(cu.cuGraphAddMemcpyNode(&node, graph, &node, 1, &copy, NULL));
    CUgraphExec exec = soft_instantiate(graph);
    CUstream streams[4];
    for (uint64_t seed = 0; seed < 50; ++seed) {
        cu.api->set_seed(seed);
        assert_ok(cu.cuMemsetD32Async(word(0), 0, 1, NULL));
        assert_ok(cu.cuCtxSynchronize());
        for (int i = 0; i < 4; ++i) {
            assert_ok(cu.cuStreamCreate(&streams[i], CU_STREAM_NON_BLOCKING));
            assert_ok(cu.cuGraphLaunch(exec, streams[i]));
        }
        // The last one needs all before it.
        assert_ok(cu.cuStreamSynchronize(streams[3]));
        assert_int_equal(40, soft_word(word(0)));
        for (int i = 0; i < 4; ++i) {
            assert_ok(cu.cuStreamDestroy(streams[i]));
        }
    }
    assert_ok(cu.cuGraphExecDestroy(exec));
}

// Without edges, orders differ between launches; one seed gives one sequence of orders.
static void test_orders_are_random(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 6; ++i) {
        soft_add_store(graph, word(0), i + 1, NULL, 0);
    }
    CUgraphExec exec = soft_instantiate(graph);
    uint32_t seen[2][100];
    uint32_t kinds = 0;
    for (int pass = 0; pass < 2; ++pass) {
        cu.api->set_seed(9);
        for (int i = 0; i < 100; ++i) {
            run(exec);
            seen[pass][i] = soft_word(word(0));
            kinds |= 1u << seen[pass][i];
        }
    }
    assert_int_equal(0x7e, kinds);
    assert_memory_equal(seen[0], seen[1], sizeof(seen[0]));
    assert_int_equal(200 * 15, soft_report().hazard_count);
    assert_ok(cu.cuGraphExecDestroy(exec));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_kernel_copy_and_set),
        TEST(test_two_dimensions),
        TEST(test_copy_rules),
        TEST(test_set_rules),
        TEST(test_contexts_of_nodes),
        TEST(test_nodes_and_edges_are_listed),
        TEST(test_cycle),
        TEST(test_instantiate_flags),
        TEST(test_edges_with_data),
        TEST(test_other_nodes_by_add_node),
        TEST(test_attributes_of_nodes),
        TEST(test_set_params_of_nodes),
        TEST(test_graph_may_die_first),
        TEST(test_exec_destroyed_in_flight),
        TEST(test_launches_of_one_exec_are_serial),
        TEST(test_orders_are_random),
    };
    return soft_driver_load() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
