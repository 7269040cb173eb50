// SPDX-License-Identifier: Apache-2.0
// The order of graph nodes on the software driver: hazards that are found and look-alikes that are
// not, and random graphs run in orders that respect every edge.
#include "soft_driver.h"

#include <stdio.h>
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

static CUgraphNode add_copy(uint32_t target, uint32_t source, uint32_t words,
                            const CUgraphNode *dependencies, size_t count)
{
    CUgraphNode node;
    CUDA_MEMCPY3D copy = soft_copy(word(target), word(source), words * 4);
    assert_ok(cu.cuGraphAddMemcpyNode(&node, graph, dependencies, count, &copy, NULL));
    return node;
}

static CUgraphNode add_set(uint32_t target, uint32_t words, const CUgraphNode *dependencies,
                           size_t count)
{
    CUgraphNode node;
    CUDA_MEMSET_NODE_PARAMS set = soft_set(word(target), 1, words);
    assert_ok(cu.cuGraphAddMemsetNode(&node, graph, dependencies, count, &set, NULL));
    return node;
}

// Launches the graph once and tells how many hazards that reported.
static uint64_t count_hazards(void)
{
    cu.api->reset_report();
    CUgraphExec exec = soft_instantiate(graph);
    assert_int_equal(0, soft_report().hazard_count);
    assert_ok(cu.cuGraphLaunch(exec, NULL));
    assert_ok(cu.cuCtxSynchronize());
    assert_ok(cu.cuGraphExecDestroy(exec));
    return soft_report().hazard_count;
}

static void test_write_and_write(void **state)
{
    (void)state;
    soft_add_store(graph, word(3), 1, NULL, 0);
    soft_add_store(graph, word(4), 1, NULL, 0);
    assert_int_equal(0, count_hazards());
    add_set(3, 1, NULL, 0);
    assert_int_equal(1, count_hazards());
    struct segue_soft_report report = soft_report();
    char first[64];
    snprintf(first, sizeof(first), "node 0 writes 4 bytes at 0x%llx", (unsigned long long)word(3));
    assert_non_null(strstr(report.first_hazard, "0 (kernel t_store) and 2 (memset)"));
    assert_non_null(strstr(report.first_hazard, first));
    assert_non_null(strstr(report.first_hazard, "node 2 writes 4 bytes"));
}

static void test_read_and_write(void **state)
{
    (void)state;
    CUgraphNode reader = soft_add_step(graph, word(8), word(0), 4, NULL, 0);
    soft_add_step(graph, word(12), word(0), 4, NULL, 0);
    assert_int_equal(0, count_hazards());
    // Written next to what is read, then the last word of it.
    soft_add_store(graph, word(4), 1, NULL, 0);
    assert_int_equal(0, count_hazards());
    CUgraphNode writer = soft_add_store(graph, word(3), 1, &reader, 1);
    assert_int_equal(1, count_hazards());
    assert_non_null(strstr(soft_report().first_hazard, "node 1 reads 16 bytes"));
    size_t nodes = 2;
    CUgraphNode list[2];
    assert_ok(cu.cuGraphGetNodes(graph, list, &nodes));
    assert_ok(cu.cuGraphAddDependencies(graph, &list[1], &writer, 1));
    assert_int_equal(0, count_hazards());
}

static void test_paths_through_other_nodes(void **state)
{
    (void)state;
    CUgraphNode node = soft_add_store(graph, word(0), 1, NULL, 0);
    for (int i = 0; i < 100; ++i) {
        if (i % 3 == 0) {
            assert_ok(cu.cuGraphAddEmptyNode(&node, graph, &node, 1));
        } else {
            node = soft_add(graph, soft_nothing, NULL, &node, 1);
        }
    }
    CUgraphNode last = soft_add_store(graph, word(0), 2, &node, 1);
    assert_int_equal(0, count_hazards());
    // Beside the last one, though after all others.
    soft_add_step(graph, word(9), word(0), 1, &node, 1);
    assert_int_equal(1, count_hazards());
    (void)last;
}

static void test_diamond(void **state)
{
    (void)state;
    CUgraphNode nodes[4];
    nodes[0] = add_set(0, 8, NULL, 0);
    nodes[1] = soft_add_step(graph, word(16), word(0), 4, nodes, 1);
    nodes[2] = soft_add_step(graph, word(20), word(0), 8, nodes, 1);
    nodes[3] = add_copy(0, 16, 12, &nodes[1], 2);
    assert_int_equal(0, count_hazards());
    // One side reads what the other writes.
    add_copy(17, 30, 1, nodes, 1);
    assert_int_equal(2, count_hazards());
}

static void test_pairs_count_once(void **state)
{
    (void)state;
    // Both read and write the same two ranges: four conflicts, one pair.
    add_copy(0, 4, 4, NULL, 0);
    add_copy(4, 0, 4, NULL, 0);
    assert_int_equal(1, count_hazards());
    // Every pair of three.
    add_set(2, 4, NULL, 0);
    assert_int_equal(3, count_hazards());
}

static void test_strided_ranges(void **state)
{
    (void)state;
    CUgraphNode node;
    CUDA_MEMSET_NODE_PARAMS set = {
        .dst = word(0), .pitch = 16, .value = 1, .elementSize = 4, .width = 2, .height = 4};
    assert_ok(cu.cuGraphAddMemsetNode(&node, graph, NULL, 0, &set, NULL));
    // Between the rows, and behind the last one.
    add_set(2, 2, NULL, 0);
    soft_add_store(graph, word(14), 1, NULL, 0);
    assert_int_equal(0, count_hazards());
    soft_add_store(graph, word(13), 1, NULL, 0);
    assert_int_equal(1, count_hazards());
}

// A kernel that stores a value behind a programmatic edge.
static CUgraphNode add_programmatic_store(CUfunction function, CUdeviceptr target, CUgraphNode on)
{
    uint32_t value = 7;
    void *parameters[] = {&target, &value};
    CUgraphNodeParams params = {.type = CU_GRAPH_NODE_TYPE_KERNEL};
    params.kernel.func = function;
    params.kernel.gridDimX = params.kernel.gridDimY = params.kernel.gridDimZ = 1;
    params.kernel.blockDimX = params.kernel.blockDimY = params.kernel.blockDimZ = 1;
    params.kernel.kernelParams = parameters;
    const CUgraphEdgeData edge = {.type = CU_GRAPH_DEPENDENCY_TYPE_PROGRAMMATIC,
                                  .from_port = CU_GRAPH_KERNEL_NODE_PORT_PROGRAMMATIC};
    CUgraphNode node;
    assert_ok(cu.cuGraphAddNode(&node, graph, &on, &edge, 1, &params));
    return node;
}

static void test_programmatic_edges(void **state)
{
    (void)state;
    // In the body of the entry point itself, and of a function that it may call.
    static const char *const waiting[] = {
        ".version 8.4\n.target sm_90\n.address_size 64\n"
        ".visible .entry t_store(.param .u64 a, .param .u32 b)\n"
        "{ griddepcontrol.launch_dependents;\n\tgriddepcontrol.wait;\n\tret; }\n",
        ".version 8.4\n.target sm_90\n.address_size 64\n.func waits()\n{ griddepcontrol.wait; }\n"
        ".visible .entry t_store(.param .u64 a, .param .u32 b)\n{ call waits; ret; }\n"};
    for (uint32_t i = 0; i < 2; ++i) {
        CUmodule module;
        CUfunction function;
        assert_ok(cu.cuModuleLoadDataEx(&module, waiting[i], 0, NULL, NULL));
        assert_ok(cu.cuModuleGetFunction(&function, module, "t_store"));
        CUgraphNode first = soft_add_store(graph, word(i), 1, NULL, 0);
        CUgraphNode second = add_programmatic_store(function, word(i), first);
        // What comes after a kernel that waited comes after what that waited for.
        soft_add_store(graph, word(i), 3, &second, 1);
        assert_int_equal(0, count_hazards());
        assert_ok(cu.cuGraphDestroy(graph));
        assert_ok(cu.cuGraphCreate(&graph, 0));
        assert_ok(cu.cuModuleUnload(module));
    }
    CUgraphNode first = soft_add_store(graph, word(2), 1, NULL, 0);
    CUgraphNode second = add_programmatic_store(soft_store, word(2), first);
    assert_int_equal(1, count_hazards());
    soft_add_store(graph, word(2), 3, &second, 1);
    assert_int_equal(2, count_hazards());
}

static void test_every_launch_reports(void **state)
{
    (void)state;
    CUgraphNode nodes[2];
    nodes[0] = soft_add_store(graph, word(0), 1, NULL, 0);
    nodes[1] = soft_add_store(graph, word(0), 2, NULL, 0);
    CUgraphExec exec = soft_instantiate(graph);
    assert_ok(cu.cuGraphLaunch(exec, NULL));
    assert_ok(cu.cuGraphLaunch(exec, NULL));
    assert_int_equal(2, soft_report().hazard_count);
    cu.api->reset_report();
    assert_int_equal(0, soft_report().hazard_count);
    assert_ok(cu.cuGraphLaunch(exec, NULL));
    assert_int_equal(1, soft_report().hazard_count);
    assert_true(soft_report().first_hazard[0] != '\0');
    // Changes are looked at again: another address, then the old one, then a disabled node.
    CUdeviceptr target = word(1);
    uint32_t value = 2;
    void *parameters[] = {&target, &value};
    CUDA_KERNEL_NODE_PARAMS_v2 params = soft_node(soft_store, parameters);
    // Once with nothing in flight, so that the program changes in place, and once not.
    assert_ok(cu.cuCtxSynchronize());
    assert_ok(cu.cuGraphExecKernelNodeSetParams(exec, nodes[1], &params));
    assert_ok(cu.cuGraphLaunch(exec, NULL));
    assert_int_equal(1, soft_report().hazard_count);
    target = word(0);
    assert_ok(cu.cuGraphExecKernelNodeSetParams(exec, nodes[1], &params));
    assert_ok(cu.cuGraphLaunch(exec, NULL));
    assert_int_equal(2, soft_report().hazard_count);
    assert_ok(cu.cuGraphNodeSetEnabled(exec, nodes[0], 0));
    assert_ok(cu.cuGraphLaunch(exec, NULL));
    assert_int_equal(2, soft_report().hazard_count);
    CUgraphExecUpdateResultInfo info;
    assert_ok(cu.cuGraphNodeSetEnabled(exec, nodes[0], 1));
    assert_ok(cu.cuGraphExecUpdate(exec, graph, &info));
    assert_ok(cu.cuGraphLaunch(exec, NULL));
    assert_int_equal(3, soft_report().hazard_count);
    assert_ok(cu.cuCtxSynchronize());
    assert_ok(cu.cuGraphExecDestroy(exec));
}

/** A node of a random graph, with what it reads and writes as bits of words. */
struct model_node {
    CUgraphNode node;
    uint64_t reads;
    uint64_t writes;
    uint64_t reaches_from;
};

static uint64_t span(uint32_t first, uint32_t count)
{
    return ((UINT64_C(1) << count) - 1) << first;
}

static void add_random_node(struct model_node *model, uint32_t index, uint32_t *seed)
{
    CUgraphNode dependencies[32];
    size_t count = 0;
    model[index].reaches_from = UINT64_C(1) << index;
    for (uint32_t i = 0; i < index; ++i) {
        *seed = *seed * 1664525 + 1013904223;
        if ((*seed >> 16) % 4 == 0) {
            dependencies[count++] = model[i].node;
            model[index].reaches_from |= model[i].reaches_from;
        }
    }
    *seed = *seed * 1664525 + 1013904223;
    uint32_t kind = (*seed >> 12) % 4;
    uint32_t target = (*seed >> 16) % 16;
    uint32_t source = (*seed >> 20) % 16 + 20;
    uint32_t words = (*seed >> 24) % 4 + 1;
    if (kind == 0) {
        model[index].node = soft_add_store(graph, word(source), 1, dependencies, count);
        model[index].writes = span(source, 1);
    } else if (kind == 1) {
        model[index].node =
            soft_add_step(graph, word(target), word(source), words, dependencies, count);
        model[index].writes = span(target, words);
        model[index].reads = span(source, words);
    } else if (kind == 2) {
        model[index].node = add_copy(target, source, words, dependencies, count);
        model[index].writes = span(target, words);
        model[index].reads = span(source, words);
    } else {
        model[index].node = add_set(target, words, dependencies, count);
        model[index].writes = span(target, words);
    }
}

// Against a comparison of all pairs.
static void test_random_graphs_report_what_they_must(void **state)
{
    (void)state;
    uint32_t seed = 1;
    uint64_t clean = 0;
    uint64_t total = 0;
    for (int round = 0; round < 1000; ++round) {
        struct model_node model[32] = {{.node = NULL}};
        uint32_t nodes = 2 + (uint32_t)round % 14;
        uint64_t expected = 0;
        for (uint32_t i = 0; i < nodes; ++i) {
            add_random_node(model, i, &seed);
            for (uint32_t j = 0; j < i; ++j) {
                bool ordered = (model[i].reaches_from >> j & 1) != 0;
                uint64_t conflicts = (model[i].writes & (model[j].reads | model[j].writes)) |
                                     (model[j].writes & model[i].reads);
                expected += !ordered && conflicts != 0;
            }
        }
        assert_int_equal(expected, count_hazards());
        clean += expected == 0;
        total += expected;
        assert_ok(cu.cuGraphDestroy(graph));
        assert_ok(cu.cuGraphCreate(&graph, 0));
    }
    // Both kinds occur.
    assert_true(clean > 50);
    assert_true(total > 1000);
}

// More nodes than the bits for one sweep: several sweeps find the same.
static void test_large_graph(void **state)
{
    (void)state;
    enum { NODES = 40000 };
    CUdeviceptr wide = soft_allocate((size_t)NODES * 4);
    CUgraphNode previous = NULL;
    CUgraphNode middle = NULL;
    for (uint32_t i = 0; i < NODES; ++i) {
        previous = soft_add_store(graph, wide + i * 4, i, &previous, i > 0 ? 1 : 0);
        middle = i == NODES / 2 ? previous : middle;
    }
    assert_int_equal(0, count_hazards());
    // Beside the second half of the chain, early and late in it.
    soft_add_step(graph, word(0), wide + (NODES - 2) * 4, 2, &middle, 1);
    soft_add_step(graph, word(8), wide + 4, 2, NULL, 0);
    assert_int_equal(4, count_hazards());
    assert_ok(cu.cuMemFree(wide));
}

// A long chain on one word is looked at neighbour by neighbour; one node beside it conflicts with
// all.
static void test_long_chain_on_one_word(void **state)
{
    (void)state;
    enum { NODES = 50000 };
    CUgraphNode previous = NULL;
    for (uint32_t i = 0; i < NODES; ++i) {
        previous = soft_add_store(graph, word(0), i, &previous, i > 0 ? 1 : 0);
    }
    assert_int_equal(0, count_hazards());
    // Beside the first two writes.
    soft_add_step(graph, word(10), word(0), 1, NULL, 0);
    assert_int_equal(2, count_hazards());
    // Two readers of the last one, and a write behind one of them.
    CUgraphNode reader = soft_add_step(graph, word(8), word(0), 1, &previous, 1);
    soft_add_step(graph, word(9), word(0), 1, &previous, 1);
    soft_add_store(graph, word(0), 1, &reader, 1);
    assert_int_equal(3, count_hazards());
}

// Of two readers, the second in line is the one that does not wait for the write.
static void test_second_reader(void **state)
{
    (void)state;
    CUgraphNode writer = soft_add_store(graph, word(0), 1, NULL, 0);
    CUgraphNode other = soft_add(graph, soft_nothing, NULL, NULL, 0);
    soft_add_step(graph, word(8), word(0), 1, &writer, 1);
    other = soft_add(graph, soft_nothing, NULL, &other, 1);
    other = soft_add(graph, soft_nothing, NULL, &other, 1);
    CUgraphNode second = soft_add_step(graph, word(9), word(0), 1, &other, 1);
    assert_int_equal(1, count_hazards());
    assert_ok(cu.cuGraphAddDependencies(graph, &writer, &second, 1));
    assert_int_equal(0, count_hazards());
}

/** Kernel that writes down when it ran. */
static uint32_t run_order[64];
static uint32_t run_count;

static bool run_trace(const struct segue_reference_launch *launch,
                      segue_reference_translate translate)
{
    (void)translate;
    run_order[*(const uint32_t *)launch->parameters[0]] = run_count++;
    return true;
}

static void ranges_trace(const struct segue_reference_launch *launch,
                         struct segue_reference_ranges *ranges)
{
    (void)launch;
    (void)ranges;
}

static CUfunction load_trace_kernel(CUmodule *out_module)
{
    static const uint32_t sizes[] = {4};
    const struct segue_reference_kernel kernel = {.name = "t_trace",
                                                  .parameter_sizes = sizes,
                                                  .parameter_count = 1,
                                                  .run = run_trace,
                                                  .ranges = ranges_trace};
    CUfunction function;
    assert_true(cu.api->register_kernel(&kernel));
    assert_ok(cu.cuModuleLoadDataEx(out_module, "SEGUE-SOFT-MODULE 1\nt_trace 4\n", 0, NULL, NULL));
    assert_ok(cu.cuModuleGetFunction(&function, *out_module, "t_trace"));
    return function;
}

// A thousand random graphs: every node runs once, behind all that it depends on, and unordered
// nodes run in both orders.
static void test_random_graphs_respect_edges(void **state)
{
    (void)state;
    CUmodule module;
    CUfunction trace = load_trace_kernel(&module);
    uint32_t seed = 77;
    uint64_t forward = 0;
    uint64_t backward = 0;
    for (int round = 0; round < 1000; ++round) {
        CUgraphNode nodes[40];
        bool edges[40][40] = {{false}};
        uint32_t count = 2 + (uint32_t)round % 39;
        for (uint32_t i = 0; i < count; ++i) {
            CUgraphNode dependencies[40];
            size_t dependency_count = 0;
            for (uint32_t j = 0; j < i; ++j) {
                seed = seed * 1664525 + 1013904223;
                edges[j][i] = (seed >> 16) % 6 == 0;
                if (edges[j][i]) {
                    dependencies[dependency_count++] = nodes[j];
                }
            }
            void *parameters[] = {&i};
            nodes[i] = soft_add(graph, trace, parameters, dependencies, dependency_count);
        }
        CUgraphExec exec = soft_instantiate(graph);
        run_count = 0;
        memset(run_order, 0xff, sizeof(run_order));
        assert_ok(cu.cuGraphLaunch(exec, NULL));
        assert_ok(cu.cuCtxSynchronize());
        assert_int_equal(count, run_count);
        for (uint32_t i = 0; i < count; ++i) {
            for (uint32_t j = 0; j < i; ++j) {
                assert_true(!edges[j][i] || run_order[j] < run_order[i]);
            }
        }
        forward += run_order[0] < run_order[1];
        backward += run_order[0] > run_order[1];
        assert_ok(cu.cuGraphExecDestroy(exec));
        assert_ok(cu.cuGraphDestroy(graph));
        assert_ok(cu.cuGraphCreate(&graph, 0));
    }
    assert_true(forward > 300);
    assert_true(backward > 300);
    assert_ok(cu.cuModuleUnload(module));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_write_and_write),
        TEST(test_read_and_write),
        TEST(test_paths_through_other_nodes),
        TEST(test_diamond),
        TEST(test_pairs_count_once),
        TEST(test_strided_ranges),
        TEST(test_programmatic_edges),
        TEST(test_every_launch_reports),
        TEST(test_random_graphs_report_what_they_must),
        TEST(test_large_graph),
        TEST(test_long_chain_on_one_word),
        TEST(test_second_reader),
        TEST(test_random_graphs_respect_edges),
    };
    return soft_driver_load() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
