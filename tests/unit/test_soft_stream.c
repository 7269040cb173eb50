// SPDX-License-Identifier: Apache-2.0
// Streams and events of the software driver: laziness, order, progress, errors.
#include "soft_driver.h"

#include <stdlib.h>

enum { WORDS = 8 };

static CUdeviceptr memory;

static int begin(void **state)
{
    int result = soft_driver_begin(state);
    memory = soft_allocate(WORDS * 4);
    assert_ok(cu.cuMemsetD32Async(memory, 0, WORDS, NULL));
    assert_ok(cu.cuCtxSynchronize());
    return result;
}

static int end(void **state)
{
    assert_ok(cu.cuMemFree(memory));
    return soft_driver_end(state);
}

static CUstream make_stream(unsigned flags)
{
    CUstream stream;
    assert_ok(cu.cuStreamCreate(&stream, flags));
    return stream;
}

static CUevent make_event(unsigned flags)
{
    CUevent event;
    assert_ok(cu.cuEventCreate(&event, flags));
    return event;
}

static void store(CUstream stream, uint32_t index, uint32_t value)
{
    CUdeviceptr target = memory + index * 4;
    void *parameters[] = {&target, &value};
    assert_ok(soft_launch(soft_store, stream, parameters));
    // Parameters are copied at the call.
    target = 0;
    value = 0xdead;
}

static void copy(CUstream stream, uint32_t target, uint32_t source)
{
    assert_ok(cu.cuMemcpyDtoDAsync(memory + target * 4, memory + source * 4, 4, stream));
}

// The word as it is now, without waiting for anything: through a stream of its own.
static uint32_t peek(uint32_t index)
{
    CUstream stream = make_stream(CU_STREAM_NON_BLOCKING);
    uint32_t word;
    assert_ok(cu.cuMemcpyDtoHAsync(&word, memory + index * 4, 4, stream));
    assert_ok(cu.cuStreamDestroy(stream));
    return word;
}

static void test_nothing_runs_while_paused(void **state)
{
    (void)state;
    CUstream stream = make_stream(CU_STREAM_NON_BLOCKING);
    CUevent event = make_event(0);
    cu.api->set_paused(true);
    store(stream, 0, 1);
    assert_ok(cu.cuEventRecord(event, stream));
    for (int i = 0; i < 200; ++i) {
        assert_cuda(CUDA_ERROR_NOT_READY, cu.cuEventQuery(event));
        assert_cuda(CUDA_ERROR_NOT_READY, cu.cuStreamQuery(stream));
    }
    assert_int_equal(0, peek(0));
    // A call that waits runs it all the same.
    assert_ok(cu.cuEventSynchronize(event));
    assert_int_equal(1, peek(0));
    assert_ok(cu.cuEventQuery(event));
    assert_ok(cu.cuEventDestroy(event));
    assert_ok(cu.cuStreamDestroy(stream));
}

static void test_queries_make_progress(void **state)
{
    (void)state;
    CUstream stream = make_stream(CU_STREAM_NON_BLOCKING);
    CUevent event = make_event(0);
    cu.api->set_paused(true);
    for (uint32_t i = 1; i <= 20; ++i) {
        store(stream, 0, i);
    }
    assert_ok(cu.cuEventRecord(event, stream));
    cu.api->set_paused(false);
    int queries = 0;
    while (cu.cuEventQuery(event) == CUDA_ERROR_NOT_READY) {
        assert_true(++queries <= 21);
    }
    assert_true(queries > 0);
    assert_int_equal(20, peek(0));
    assert_ok(cu.cuEventDestroy(event));
    assert_ok(cu.cuStreamDestroy(stream));
}

// A caller that only asks gets to the end of much work soon, but not at once.
static void test_queries_lose_patience(void **state)
{
    (void)state;
    enum { STORES = 4000 };
    for (int by_stream = 0; by_stream < 2; ++by_stream) {
        CUstream stream = make_stream(CU_STREAM_NON_BLOCKING);
        CUevent event = make_event(0);
        cu.api->set_paused(true);
        for (uint32_t i = 1; i <= STORES; ++i) {
            store(stream, 0, i);
        }
        assert_ok(cu.cuEventRecord(event, stream));
        cu.api->set_paused(false);
        int queries = 0;
        while ((by_stream ? cu.cuStreamQuery(stream) : cu.cuEventQuery(event)) ==
               CUDA_ERROR_NOT_READY) {
            assert_true(++queries <= 200);
        }
        assert_true(queries >= 32);
        assert_int_equal(STORES, peek(0));
        assert_ok(cu.cuEventDestroy(event));
        assert_ok(cu.cuStreamDestroy(stream));
    }
}

// Work is done by and by inside of other calls.
static void test_other_calls_make_progress(void **state)
{
    (void)state;
    CUstream stream = make_stream(CU_STREAM_NON_BLOCKING);
    volatile uint32_t *pinned;
    size_t free_bytes;
    size_t total_bytes;
    assert_ok(cu.cuMemHostAlloc((void **)&pinned, 4, 0));
    *pinned = 1;
    assert_ok(cu.cuMemcpyDtoHAsync((void *)pinned, memory, 4, stream));
    int calls = 0;
    while (*pinned != 0) {
        assert_true(++calls < 1000);
        assert_ok(cu.cuMemGetInfo(&free_bytes, &total_bytes));
    }
    assert_ok(cu.cuStreamDestroy(stream));
    assert_ok(cu.cuMemFreeHost((void *)pinned));
}

static void test_waiting_runs_no_more_than_needed(void **state)
{
    (void)state;
    CUstream first = make_stream(CU_STREAM_NON_BLOCKING);
    CUstream second = make_stream(CU_STREAM_NON_BLOCKING);
    cu.api->set_paused(true);
    store(first, 0, 1);
    store(second, 1, 1);
    assert_ok(cu.cuStreamSynchronize(second));
    assert_int_equal(0, peek(0));
    assert_int_equal(1, peek(1));
    assert_ok(cu.cuStreamSynchronize(first));
    assert_int_equal(1, peek(0));
    assert_ok(cu.cuStreamDestroy(first));
    assert_ok(cu.cuStreamDestroy(second));
}

static void test_wait_event_orders_streams(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 50; ++seed) {
        cu.api->set_seed(seed);
        CUstream first = make_stream(CU_STREAM_NON_BLOCKING);
        CUstream second = make_stream(CU_STREAM_NON_BLOCKING);
        CUevent event = make_event(CU_EVENT_DISABLE_TIMING);
        assert_ok(cu.cuMemsetD32Async(memory, 0, 2, NULL));
        assert_ok(cu.cuStreamSynchronize(NULL));
        store(first, 0, (uint32_t)seed + 1);
        assert_ok(cu.cuEventRecord(event, first));
        assert_ok(cu.cuStreamWaitEvent(second, event, 0));
        // Recorded again: the wait above is for the first point.
        store(first, 0, 7777);
        assert_ok(cu.cuEventRecord(event, first));
        copy(second, 1, 0);
        assert_ok(cu.cuEventDestroy(event));
        assert_ok(cu.cuStreamSynchronize(second));
        uint32_t seen = peek(1);
        assert_true(seen == seed + 1 || seen == 7777);
        assert_ok(cu.cuStreamDestroy(first));
        assert_ok(cu.cuStreamDestroy(second));
        assert_ok(cu.cuCtxSynchronize());
    }
}

// Without the wait, some seeds give one order and some the other.
static void test_missing_wait_shows(void **state)
{
    (void)state;
    int before = 0;
    int after = 0;
    for (uint64_t seed = 0; seed < 200; ++seed) {
        cu.api->set_seed(seed);
        CUstream first = make_stream(CU_STREAM_NON_BLOCKING);
        CUstream second = make_stream(CU_STREAM_NON_BLOCKING);
        assert_ok(cu.cuMemsetD32Async(memory, 0, 2, first));
        assert_ok(cu.cuStreamSynchronize(first));
        store(first, 0, 1);
        copy(second, 1, 0);
        assert_ok(cu.cuStreamSynchronize(second));
        before += peek(1) == 0;
        after += peek(1) == 1;
        assert_ok(cu.cuStreamDestroy(first));
        assert_ok(cu.cuStreamDestroy(second));
    }
    assert_true(before > 0);
    assert_true(after > 0);
    assert_int_equal(200, before + after);
}

static void test_seed_repeats(void **state)
{
    (void)state;
    uint32_t seen[2][64];
    for (int run = 0; run < 2; ++run) {
        cu.api->set_seed(42);
        for (uint32_t i = 0; i < 64; ++i) {
            CUstream stream = make_stream(CU_STREAM_NON_BLOCKING);
            assert_ok(cu.cuMemsetD32Async(memory, 0, 1, NULL));
            assert_ok(cu.cuStreamSynchronize(NULL));
            for (uint32_t j = 1; j <= 4; ++j) {
                store(stream, 0, j);
            }
            seen[run][i] = peek(0);
            assert_ok(cu.cuStreamSynchronize(stream));
            assert_ok(cu.cuStreamDestroy(stream));
        }
    }
    assert_memory_equal(seen[0], seen[1], sizeof(seen[0]));
}

static void test_legacy_stream(void **state)
{
    (void)state;
    CUstream blocking = make_stream(CU_STREAM_DEFAULT);
    CUstream other = make_stream(CU_STREAM_NON_BLOCKING);
    cu.api->set_paused(true);
    store(blocking, 0, 1);
    store(other, 1, 1);
    uint32_t word;
    // The legacy stream waits for blocking streams, and for no others.
    assert_ok(cu.cuMemcpyDtoH(&word, memory, 4));
    assert_int_equal(1, word);
    assert_ok(cu.cuMemcpyDtoH(&word, memory + 4, 4));
    assert_int_equal(0, word);
    // And they wait for it.
    store(NULL, 2, 1);
    copy(blocking, 3, 2);
    copy(other, 4, 2);
    assert_ok(cu.cuStreamSynchronize(other));
    assert_int_equal(0, peek(2));
    assert_ok(cu.cuStreamSynchronize(blocking));
    assert_int_equal(1, peek(3));
    assert_int_equal(0, peek(4));
    assert_ok(cu.cuStreamDestroy(blocking));
    assert_ok(cu.cuStreamDestroy(other));
}

static void test_destroyed_stream_goes_on(void **state)
{
    (void)state;
    CUstream stream = make_stream(CU_STREAM_NON_BLOCKING);
    CUevent event = make_event(0);
    cu.api->set_paused(true);
    store(stream, 0, 5);
    assert_ok(cu.cuEventRecord(event, stream));
    assert_ok(cu.cuStreamDestroy(stream));
    assert_int_equal(0, soft_report().live_streams);
    assert_cuda(CUDA_ERROR_NOT_READY, cu.cuEventQuery(event));
    assert_ok(cu.cuEventSynchronize(event));
    assert_int_equal(5, peek(0));
    assert_ok(cu.cuEventDestroy(event));
}

static void test_events_that_were_never_recorded(void **state)
{
    (void)state;
    CUevent event = make_event(0);
    CUstream stream = make_stream(0);
    float elapsed;
    assert_ok(cu.cuEventQuery(event));
    assert_ok(cu.cuEventSynchronize(event));
    assert_ok(cu.cuStreamWaitEvent(stream, event, 0));
    assert_cuda(CUDA_ERROR_INVALID_HANDLE, cu.cuEventElapsedTime(&elapsed, event, event));
    assert_cuda(CUDA_ERROR_INVALID_VALUE, cu.cuStreamWaitEvent(stream, event, 2));
    assert_cuda(CUDA_ERROR_ILLEGAL_STATE, cu.cuStreamWaitEvent(stream, event, 1));
    assert_ok(cu.cuStreamDestroy(stream));
    assert_ok(cu.cuEventDestroy(event));
}

static void test_elapsed_time(void **state)
{
    (void)state;
    CUevent start = make_event(0);
    CUevent stop = make_event(CU_EVENT_BLOCKING_SYNC);
    CUevent untimed = make_event(CU_EVENT_DISABLE_TIMING);
    CUstream stream = make_stream(CU_STREAM_NON_BLOCKING);
    float elapsed = -1;
    cu.api->set_paused(true);
    assert_ok(cu.cuEventRecord(start, stream));
    store(stream, 0, 1);
    assert_ok(cu.cuEventRecord(stop, stream));
    assert_ok(cu.cuEventRecord(untimed, stream));
    assert_cuda(CUDA_ERROR_NOT_READY, cu.cuEventElapsedTime(&elapsed, start, stop));
    assert_ok(cu.cuStreamSynchronize(stream));
    assert_cuda(CUDA_ERROR_INVALID_HANDLE, cu.cuEventElapsedTime(&elapsed, start, untimed));
    assert_true(elapsed == -1);
    assert_ok(cu.cuEventElapsedTime(&elapsed, start, stop));
    assert_true(elapsed >= 0);
    assert_ok(cu.cuEventElapsedTime(&elapsed, stop, start));
    assert_true(elapsed <= 0);
    assert_ok(cu.cuEventDestroy(start));
    assert_ok(cu.cuEventDestroy(stop));
    assert_ok(cu.cuEventDestroy(untimed));
    assert_ok(cu.cuStreamDestroy(stream));
}

static void test_flags(void **state)
{
    (void)state;
    CUstream stream;
    CUevent event;
    assert_cuda(CUDA_ERROR_INVALID_VALUE, cu.cuStreamCreate(&stream, 8));
    assert_cuda(CUDA_ERROR_INVALID_VALUE, cu.cuStreamCreate(NULL, 0));
    assert_cuda(CUDA_ERROR_INVALID_VALUE, cu.cuEventCreate(&event, 0x80));
    assert_cuda(CUDA_ERROR_INVALID_VALUE, cu.cuEventCreate(&event, CU_EVENT_INTERPROCESS));
    assert_cuda(CUDA_ERROR_NOT_SUPPORTED,
                cu.cuEventCreate(&event, CU_EVENT_INTERPROCESS | CU_EVENT_DISABLE_TIMING));
    assert_cuda(CUDA_ERROR_NOT_SUPPORTED, cu.cuStreamSynchronize(CU_STREAM_PER_THREAD));
    assert_ok(cu.cuStreamSynchronize(CU_STREAM_LEGACY));
}

// A kernel that leaves memory breaks the context for good; what was enqueued is dropped.
static void test_illegal_address_is_sticky(void **state)
{
    (void)state;
    CUstream stream = make_stream(CU_STREAM_NON_BLOCKING);
    CUevent event = make_event(0);
    CUdeviceptr beyond = memory + WORDS * 4;
    CUdeviceptr address;
    uint32_t value = 1;
    void *parameters[] = {&beyond, &value};
    cu.api->set_paused(true);
    assert_ok(soft_launch(soft_store, stream, parameters));
    store(stream, 0, 9);
    assert_ok(cu.cuEventRecord(event, stream));
    assert_cuda(CUDA_ERROR_ILLEGAL_ADDRESS, cu.cuStreamSynchronize(stream));
    assert_cuda(CUDA_ERROR_ILLEGAL_ADDRESS, cu.cuEventQuery(event));
    assert_cuda(CUDA_ERROR_ILLEGAL_ADDRESS, cu.cuMemAlloc(&address, 4));
    assert_cuda(CUDA_ERROR_ILLEGAL_ADDRESS, cu.cuMemcpyHtoD(memory, &value, 4));
    // Releases report it, and release.
    assert_cuda(CUDA_ERROR_ILLEGAL_ADDRESS, cu.cuEventDestroy(event));
    assert_int_equal(0, soft_report().live_events);
    cu.api->set_device_lost(0);
    assert_int_equal(0, peek(0));
    assert_int_equal(0, soft_report().misuse_count);
    assert_ok(cu.cuStreamDestroy(stream));
}

static void test_failing_kernel_is_sticky(void **state)
{
    (void)state;
    assert_ok(soft_launch(soft_broken, NULL, NULL));
    assert_cuda(CUDA_ERROR_LAUNCH_FAILED, cu.cuCtxSynchronize());
    assert_cuda(CUDA_ERROR_LAUNCH_FAILED, cu.cuCtxSynchronize());
    cu.api->set_device_lost(0);
    assert_ok(cu.cuCtxSynchronize());
}

static void test_device_lost(void **state)
{
    (void)state;
    CUstream stream = make_stream(CU_STREAM_NON_BLOCKING);
    CUgraph graph;
    CUcontext context;
    cu.api->set_paused(true);
    store(stream, 0, 9);
    cu.api->set_device_lost(CUDA_ERROR_DEVICE_UNAVAILABLE);
    assert_cuda(CUDA_ERROR_DEVICE_UNAVAILABLE, cu.cuStreamSynchronize(stream));
    assert_cuda(CUDA_ERROR_DEVICE_UNAVAILABLE, soft_launch(soft_nothing, stream, NULL));
    assert_cuda(CUDA_ERROR_DEVICE_UNAVAILABLE, cu.cuGraphCreate(&graph, 0));
    assert_cuda(CUDA_ERROR_DEVICE_UNAVAILABLE, cu.cuDevicePrimaryCtxRetain(&context, 0));
    assert_cuda(CUDA_ERROR_DEVICE_UNAVAILABLE, cu.cuStreamDestroy(stream));
    assert_int_equal(0, soft_report().live_streams);
    cu.api->set_device_lost(0);
    assert_int_equal(0, peek(0));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_nothing_runs_while_paused),
        TEST(test_queries_make_progress),
        TEST(test_queries_lose_patience),
        TEST(test_other_calls_make_progress),
        TEST(test_waiting_runs_no_more_than_needed),
        TEST(test_wait_event_orders_streams),
        TEST(test_missing_wait_shows),
        TEST(test_seed_repeats),
        TEST(test_legacy_stream),
        TEST(test_destroyed_stream_goes_on),
        TEST(test_events_that_were_never_recorded),
        TEST(test_elapsed_time),
        TEST(test_flags),
        TEST(test_illegal_address_is_sticky),
        TEST(test_failing_kernel_is_sticky),
        TEST(test_device_lost),
    };
    return soft_driver_load() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
