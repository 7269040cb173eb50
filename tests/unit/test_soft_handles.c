// SPDX-License-Identifier: Apache-2.0
// Misuse of objects of the software driver: each rule with a neighbour that passes.
#include "soft_driver.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void assert_misuse(uint64_t count, const char *text)
{
    struct segue_soft_report report = soft_report();
    assert_int_equal(count, report.misuse_count);
    if (count > 0) {
        assert_non_null(strstr(report.first_misuse, text));
    }
    cu.api->reset_report();
}

static void test_destroyed_stream(void **state)
{
    (void)state;
    CUstream stream;
    assert_ok(cu.cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    assert_ok(cu.cuStreamSynchronize(stream));
    assert_ok(cu.cuStreamDestroy(stream));
    assert_misuse(0, "");
    assert_cuda(CUDA_ERROR_INVALID_HANDLE, cu.cuStreamSynchronize(stream));
    assert_misuse(1, "cuStreamSynchronize");
    assert_cuda(CUDA_ERROR_INVALID_HANDLE, cu.cuStreamDestroy(stream));
    assert_misuse(1, "was destroyed");
}

static void test_destroyed_event_and_new_one(void **state)
{
    (void)state;
    CUevent event;
    assert_ok(cu.cuEventCreate(&event, 0));
    assert_ok(cu.cuEventDestroy(event));
    // Whatever takes its place in the table, the old handle stays dead.
    enum { OTHERS = 300 };
    static CUevent others[OTHERS];
    for (int round = 0; round < 2; ++round) {
        for (int i = 0; i < OTHERS; ++i) {
            assert_ok(cu.cuEventCreate(&others[i], 0));
            assert_ptr_not_equal(event, others[i]);
            assert_ok(cu.cuEventQuery(others[i]));
        }
        for (int i = 0; round == 0 && i < OTHERS; ++i) {
            assert_ok(cu.cuEventDestroy(others[i]));
        }
    }
    assert_misuse(0, "");
    assert_cuda(CUDA_ERROR_INVALID_HANDLE, cu.cuEventQuery(event));
    assert_misuse(1, "cuEventQuery");
    for (int i = 0; i < OTHERS; ++i) {
        assert_ok(cu.cuEventDestroy(others[i]));
    }
}

static void test_wrong_kind(void **state)
{
    (void)state;
    CUevent event;
    assert_ok(cu.cuEventCreate(&event, 0));
    assert_cuda(CUDA_ERROR_INVALID_HANDLE, cu.cuStreamSynchronize((CUstream)event));
    assert_misuse(1, "is of kind event, not stream");
    assert_cuda(CUDA_ERROR_INVALID_HANDLE, cu.cuGraphLaunch((CUgraphExec)event, NULL));
    assert_misuse(1, "graph exec");
    assert_ok(cu.cuEventDestroy(event));
}

static void test_made_up(void **state)
{
    (void)state;
    int here;
    assert_cuda(CUDA_ERROR_INVALID_HANDLE, cu.cuEventQuery((CUevent)&here));
    assert_misuse(1, "no handle (of kind event)");
    assert_cuda(CUDA_ERROR_INVALID_HANDLE, cu.cuEventQuery(NULL));
    assert_misuse(1, "no handle (of kind event)");
    assert_cuda(CUDA_ERROR_INVALID_VALUE, cu.cuGraphDestroy(NULL));
    assert_misuse(0, "");
}

static void test_module_and_function(void **state)
{
    (void)state;
    CUmodule module;
    CUfunction function;
    assert_ok(cu.cuModuleLoadDataEx(&module, soft_ptx, 0, NULL, NULL));
    assert_ok(cu.cuModuleGetFunction(&function, module, "t_nothing"));
    assert_ok(soft_launch(function, NULL, NULL));
    assert_ok(cu.cuModuleUnload(module));
    assert_misuse(0, "");
    assert_cuda(CUDA_ERROR_INVALID_HANDLE, soft_launch(function, NULL, NULL));
    assert_misuse(1, "function");
    assert_cuda(CUDA_ERROR_INVALID_HANDLE, cu.cuModuleUnload(module));
    assert_misuse(1, "module");
}

static void test_unloaded_module_of_a_graph(void **state)
{
    (void)state;
    CUmodule module;
    CUfunction function;
    CUgraph graph;
    assert_ok(cu.cuModuleLoadDataEx(&module, soft_ptx, 0, NULL, NULL));
    assert_ok(cu.cuModuleGetFunction(&function, module, "t_nothing"));
    assert_ok(cu.cuGraphCreate(&graph, 0));
    soft_add(graph, function, NULL, NULL, 0);
    CUgraphExec exec = soft_instantiate(graph);
    assert_ok(cu.cuGraphLaunch(exec, NULL));
    assert_ok(cu.cuModuleUnload(module));
    assert_misuse(0, "");
    assert_cuda(CUDA_ERROR_INVALID_HANDLE, cu.cuGraphLaunch(exec, NULL));
    assert_misuse(1, "function");
    CUgraphExec second;
    CUDA_GRAPH_INSTANTIATE_PARAMS params = {.flags = 0};
    assert_cuda(CUDA_ERROR_INVALID_HANDLE,
                cu.cuGraphInstantiateWithParams(&second, graph, &params));
    assert_non_null(params.hErrNode_out);
    assert_misuse(1, "function");
    assert_ok(cu.cuGraphExecDestroy(exec));
    assert_ok(cu.cuGraphDestroy(graph));
}

static void test_graph_nodes_die_with_it(void **state)
{
    (void)state;
    CUgraph graph;
    CUgraph other;
    assert_ok(cu.cuGraphCreate(&graph, 0));
    assert_ok(cu.cuGraphCreate(&other, 0));
    CUgraphNode node = soft_add(graph, soft_nothing, NULL, NULL, 0);
    CUDA_KERNEL_NODE_PARAMS_v2 params = soft_node(soft_nothing, NULL);
    CUgraphNode second = NULL;
    assert_cuda(CUDA_ERROR_INVALID_VALUE,
                cu.cuGraphAddKernelNode(&second, other, &node, 1, &params));
    assert_null(second);
    assert_misuse(1, "another graph");
    CUgraphNode twice[] = {node, node};
    assert_cuda(CUDA_ERROR_INVALID_VALUE,
                cu.cuGraphAddKernelNode(&second, graph, twice, 2, &params));
    assert_misuse(1, "twice");
    assert_ok(cu.cuGraphAddKernelNode(&second, graph, &node, 1, &params));
    assert_misuse(0, "");
    assert_ok(cu.cuGraphDestroy(graph));
    CUgraphNodeType type;
    assert_cuda(CUDA_ERROR_INVALID_HANDLE, cu.cuGraphNodeGetType(node, &type));
    assert_misuse(1, "graph node");
    assert_cuda(CUDA_ERROR_INVALID_HANDLE, cu.cuGraphDestroy(graph));
    assert_misuse(1, "graph");
    assert_ok(cu.cuGraphDestroy(other));
}

static void test_contexts(void **state)
{
    (void)state;
    CUcontext current = NULL;
    CUdeviceptr address;
    assert_ok(cu.cuCtxSetCurrent(NULL));
    assert_cuda(CUDA_ERROR_INVALID_CONTEXT, cu.cuMemAlloc(&address, 4));
    assert_misuse(1, "no context is current");
    assert_ok(cu.cuCtxPushCurrent(soft_context));
    assert_ok(cu.cuCtxPushCurrent(soft_context));
    assert_ok(cu.cuCtxPopCurrent(&current));
    assert_ptr_equal(soft_context, current);
    assert_ok(cu.cuCtxGetCurrent(&current));
    assert_ptr_equal(soft_context, current);
    assert_ok(cu.cuCtxPopCurrent(NULL));
    assert_ok(cu.cuCtxGetCurrent(&current));
    assert_null(current);
    assert_misuse(0, "");
    assert_cuda(CUDA_ERROR_INVALID_CONTEXT, cu.cuCtxPopCurrent(NULL));
    assert_misuse(1, "no context to pop");
    assert_cuda(CUDA_ERROR_INVALID_CONTEXT, cu.cuCtxPushCurrent((CUcontext)&address));
    assert_misuse(1, "no handle (of kind context)");
    assert_cuda(CUDA_ERROR_INVALID_VALUE, cu.cuCtxPushCurrent(NULL));
    assert_ok(cu.cuCtxSetCurrent(soft_context));
}

// Objects outlive their context as leaks, and cannot be used with the next one.
static void test_context_of_an_object(void **state)
{
    (void)state;
    CUstream stream;
    CUdeviceptr address = soft_allocate(64);
    assert_ok(cu.cuStreamCreate(&stream, 0));
    assert_ok(cu.cuModuleUnload(soft_module));
    assert_ok(cu.cuDevicePrimaryCtxRelease(0));
    assert_cuda(CUDA_ERROR_CONTEXT_IS_DESTROYED, cu.cuStreamSynchronize(stream));
    assert_misuse(1, "context");
    CUcontext old_context = soft_context;
    assert_ok(cu.cuDevicePrimaryCtxRetain(&soft_context, 0));
    assert_ptr_not_equal(old_context, soft_context);
    assert_ok(cu.cuCtxSetCurrent(soft_context));
    assert_misuse(0, "");
    assert_cuda(CUDA_ERROR_INVALID_CONTEXT, cu.cuStreamSynchronize(stream));
    assert_misuse(1, "belongs to context");
    assert_cuda(CUDA_ERROR_INVALID_CONTEXT, cu.cuMemFree(address));
    assert_misuse(1, "another context");
    assert_int_equal(1, soft_report().live_streams);
    assert_int_equal(1, soft_report().live_allocations);
    assert_ok(cu.cuDevicePrimaryCtxRelease(0));
}

// Work in flight ends before the context does.
static void test_context_waits_for_its_work(void **state)
{
    (void)state;
    unsigned char *pinned;
    assert_ok(cu.cuModuleUnload(soft_module));
    assert_ok(cu.cuMemHostAlloc((void **)&pinned, 4, 0));
    pinned[0] = 1;
    cu.api->set_paused(true);
    assert_ok(cu.cuMemsetD8Async((CUdeviceptr)(uintptr_t)pinned, 2, 4, NULL));
    assert_int_equal(1, pinned[0]);
    assert_ok(cu.cuDevicePrimaryCtxRelease(0));
    assert_int_equal(2, pinned[0]);
}

static void test_primary_context_counts(void **state)
{
    (void)state;
    CUcontext again;
    const uint64_t holders = soft_report().context_holders;
    assert_ok(cu.cuDevicePrimaryCtxRetain(&again, 0));
    assert_ptr_equal(soft_context, again);
    assert_int_equal(soft_report().context_holders, holders + 1);
    assert_ok(cu.cuDevicePrimaryCtxRelease(0));
    assert_int_equal(soft_report().context_holders, holders);
    assert_ok(cu.cuCtxSynchronize());
    assert_ok(cu.cuModuleUnload(soft_module));
    assert_ok(cu.cuDevicePrimaryCtxRelease(0));
    assert_misuse(0, "");
    assert_cuda(CUDA_ERROR_INVALID_CONTEXT, cu.cuDevicePrimaryCtxRelease(0));
    assert_misuse(1, "not retained");
    assert_ok(cu.cuDevicePrimaryCtxRetain(&soft_context, 0));
    assert_ok(cu.cuCtxSetCurrent(soft_context));
    assert_ok(cu.cuModuleLoadDataEx(&soft_module, soft_ptx, 0, NULL, NULL));
}

static void *push_and_leave(void *context)
{
    return cu.cuCtxPushCurrent(context) == CUDA_SUCCESS ? context : NULL;
}

static void test_pushed_contexts_are_counted(void **state)
{
    (void)state;
    const uint64_t before = soft_report().pushed_contexts;
    CUcontext popped;
    assert_ok(cu.cuCtxPushCurrent(soft_context));
    assert_ok(cu.cuCtxPushCurrent(soft_context));
    assert_int_equal(soft_report().pushed_contexts, before + 2);
    assert_ok(cu.cuCtxPopCurrent(&popped));
    assert_int_equal(soft_report().pushed_contexts, before + 1);
    // Setting replaces what is on top; NULL takes it away.
    assert_ok(cu.cuCtxSetCurrent(soft_context));
    assert_int_equal(soft_report().pushed_contexts, before + 1);
    assert_ok(cu.cuCtxSetCurrent(NULL));
    assert_int_equal(soft_report().pushed_contexts, before);
    // What a thread leaves stays counted: there is no way to put that right.
    pthread_t thread;
    void *done = NULL;
    assert_int_equal(pthread_create(&thread, NULL, push_and_leave, soft_context), 0);
    pthread_join(thread, &done);
    assert_non_null(done);
    assert_int_equal(soft_report().pushed_contexts, before + 1);
}

// What a child process that leaks prints as it ends.
static void run_leaking_child(const char *wanted, bool leak, char *out, size_t out_size)
{
    int pipe_ends[2];
    assert_int_equal(0, pipe(pipe_ends));
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(pipe_ends[1], STDERR_FILENO);
        close(pipe_ends[0]);
        close(pipe_ends[1]);
        setenv("SEGUE_SOFT_LEAKS", wanted, 1);
        CUevent event;
        bool made = !leak || cu.cuEventCreate(&event, 0) == CUDA_SUCCESS;
        if (!leak) {
            made = cu.cuModuleUnload(soft_module) == CUDA_SUCCESS &&
                   cu.cuDevicePrimaryCtxRelease(0) == CUDA_SUCCESS;
        }
        // Unloads the library as a normal end would, and nothing else.
        dlclose(cu.library);
        _exit(made ? 0 : 1);
    }
    close(pipe_ends[1]);
    size_t length = 0;
    ssize_t got;
    while ((got = read(pipe_ends[0], out + length, out_size - 1 - length)) > 0) {
        length += (size_t)got;
    }
    out[length] = '\0';
    close(pipe_ends[0]);
    int status = 0;
    assert_int_equal(child, waitpid(child, &status, 0));
    assert_true(WIFEXITED(status));
    assert_int_equal(0, WEXITSTATUS(status));
}

static void test_leaks_are_told_at_the_end(void **state)
{
    (void)state;
    char text[1024];
    run_leaking_child("1", true, text, sizeof(text));
    assert_non_null(strstr(text, "left alive"));
    assert_non_null(strstr(text, "1 events, 1 modules"));
    run_leaking_child("0", true, text, sizeof(text));
    assert_string_equal("", text);
    run_leaking_child("1", false, text, sizeof(text));
    assert_string_equal("", text);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, soft_driver_begin, soft_driver_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_destroyed_stream),
        TEST(test_destroyed_event_and_new_one),
        TEST(test_wrong_kind),
        TEST(test_made_up),
        TEST(test_module_and_function),
        TEST(test_unloaded_module_of_a_graph),
        TEST(test_graph_nodes_die_with_it),
        TEST(test_contexts),
        TEST(test_primary_context_counts),
        TEST(test_pushed_contexts_are_counted),
        TEST(test_leaks_are_told_at_the_end),
        // Last: they leak on purpose.
        cmocka_unit_test_setup(test_context_of_an_object, soft_driver_begin),
        cmocka_unit_test_setup(test_context_waits_for_its_work, soft_driver_begin),
    };
    return soft_driver_load() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
