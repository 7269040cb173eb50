// SPDX-License-Identifier: Apache-2.0
// The software driver under several threads: for the thread sanitizer, and that results are right.
#include "soft_driver.h"

#include <pthread.h>
#include <stdlib.h>

enum { THREADS = 4, ROUNDS = 60 };

/** cmocka's checks are for the main thread only: the others count what went wrong. */
struct worker {
    pthread_t thread;
    uint32_t number;
    CUgraphExec shared;
    uint32_t failures;
};

static void check(struct worker *worker, bool condition)
{
    worker->failures += condition ? 0 : 1;
}

static void run_round(struct worker *worker, CUstream stream, CUdeviceptr memory, uint32_t round)
{
    CUevent event = NULL;
    uint32_t seen = 0;
    uint32_t value = worker->number * 1000 + round;
    CUdeviceptr target = memory;
    void *parameters[] = {&target, &value};
    check(worker, cu.cuEventCreate(&event, CU_EVENT_DISABLE_TIMING) == CUDA_SUCCESS);
    check(worker, soft_launch(soft_store, stream, parameters) == CUDA_SUCCESS);
    check(worker, cu.cuMemcpyDtoDAsync(memory + 4, memory, 4, stream) == CUDA_SUCCESS);
    check(worker, cu.cuGraphLaunch(worker->shared, stream) == CUDA_SUCCESS);
    check(worker, cu.cuEventRecord(event, stream) == CUDA_SUCCESS);
    CUresult result = CUDA_ERROR_NOT_READY;
    while (round % 2 == 0 && result == CUDA_ERROR_NOT_READY) {
        result = cu.cuEventQuery(event);
    }
    if (round % 2 != 0) {
        result = cu.cuEventSynchronize(event);
    }
    check(worker, result == CUDA_SUCCESS);
    check(worker, cu.cuMemcpyDtoHAsync(&seen, memory + 4, 4, stream) == CUDA_SUCCESS);
    check(worker, seen == value);
    check(worker, cu.cuEventDestroy(event) == CUDA_SUCCESS);
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    CUstream stream = NULL;
    CUdeviceptr memory = 0;
    check(worker, cu.cuCtxPushCurrent(soft_context) == CUDA_SUCCESS);
    check(worker, cu.cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING) == CUDA_SUCCESS);
    check(worker, cu.cuMemAlloc(&memory, 8) == CUDA_SUCCESS);
    for (uint32_t i = 0; i < ROUNDS && worker->failures == 0; ++i) {
        run_round(worker, stream, memory, i);
        struct segue_soft_report report;
        cu.api->get_report(&report);
        cu.api->set_seed(i);
    }
    check(worker, cu.cuMemFree(memory) == CUDA_SUCCESS);
    check(worker, cu.cuStreamDestroy(stream) == CUDA_SUCCESS);
    check(worker, cu.cuCtxPopCurrent(NULL) == CUDA_SUCCESS);
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    struct worker workers[THREADS] = {{.number = 0}};
    CUgraph graph;
    CUdeviceptr memory = soft_allocate(8);
    assert_ok(cu.cuMemsetD32Async(memory, 0, 2, NULL));
    assert_ok(cu.cuCtxSynchronize());
    assert_ok(cu.cuGraphCreate(&graph, 0));
    // Counts launches in a word (mod 2^32): 3 x + 1, there and back.
    CUgraphNode node = soft_add_step(graph, memory + 4, memory, 1, NULL, 0);
    CUDA_MEMCPY3D copy = soft_copy(memory, memory + 4, 4);
    assert_ok(cu.cuGraphAddMemcpyNode(&node, graph, &node, 1, &copy, NULL));
    CUgraphExec exec = soft_instantiate(graph);
    for (uint32_t i = 0; i < THREADS; ++i) {
        workers[i].number = i + 1;
        workers[i].shared = exec;
        assert_int_equal(0, pthread_create(&workers[i].thread, NULL, work, &workers[i]));
    }
    for (uint32_t i = 0; i < THREADS; ++i) {
        assert_int_equal(0, pthread_join(workers[i].thread, NULL));
        assert_int_equal(0, workers[i].failures);
    }
    uint32_t expected = 0;
    for (uint32_t i = 0; i < THREADS * ROUNDS; ++i) {
        expected = expected * 3 + 1;
    }
    assert_int_equal(expected, soft_word(memory));
    assert_int_equal(0, soft_report().misuse_count);
    assert_int_equal(0, soft_report().hazard_count);
    assert_ok(cu.cuGraphExecDestroy(exec));
    assert_ok(cu.cuGraphDestroy(graph));
    assert_ok(cu.cuMemFree(memory));
}

// The current context belongs to the thread.
static void *look_for_context(void *argument)
{
    CUcontext *out_context = argument;
    if (cu.cuCtxGetCurrent(out_context) != CUDA_SUCCESS) {
        *out_context = soft_context;
    }
    return NULL;
}

static void test_context_of_a_thread(void **state)
{
    (void)state;
    pthread_t thread;
    CUcontext context = soft_context;
    assert_int_equal(0, pthread_create(&thread, NULL, look_for_context, &context));
    assert_int_equal(0, pthread_join(thread, NULL));
    assert_null(context);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, soft_driver_begin, soft_driver_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_threads),
        TEST(test_context_of_a_thread),
    };
    return soft_driver_load() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
