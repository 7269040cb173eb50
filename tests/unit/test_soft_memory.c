// SPDX-License-Identifier: Apache-2.0
// Memory of the software driver: what faults, what is poisoned, when bytes are read.
#include "soft_driver.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

typedef void (*action)(void *argument);

// Whether `act` ends a child process with a memory fault.
static bool faults(action act, void *argument)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        // No handler of a test framework or sanitizer in between.
        signal(SIGSEGV, SIG_DFL);
        signal(SIGBUS, SIG_DFL);
        act(argument);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(child, waitpid(child, &status, 0));
    return WIFSIGNALED(status) && (WTERMSIG(status) == SIGSEGV || WTERMSIG(status) == SIGBUS);
}

static void read_byte(void *argument)
{
    volatile const unsigned char *byte = argument;
    (void)*byte;
}

static void write_byte(void *argument)
{
    volatile unsigned char *byte = argument;
    *byte = 1;
}

static void test_device_addresses_fault(void **state)
{
    (void)state;
    CUdeviceptr address = soft_allocate(4096);
    CUstream stream;
    assert_ok(cu.cuStreamCreate(&stream, 0));
    assert_true(faults(read_byte, (void *)(uintptr_t)address));
    assert_true(faults(write_byte, (void *)(uintptr_t)(address + 4095)));
    assert_true(faults(read_byte, (void *)stream));
    assert_false(faults(read_byte, &stream));
    assert_ok(cu.cuStreamDestroy(stream));
    assert_ok(cu.cuMemFree(address));
}

static void test_pinned_memory_has_guards(void **state)
{
    (void)state;
    unsigned char *pinned = NULL;
    CUdeviceptr device = 0;
    assert_ok(cu.cuMemHostAlloc((void **)&pinned, 8192, CU_MEMHOSTALLOC_DEVICEMAP));
    assert_ok(cu.cuMemHostGetDevicePointer(&device, pinned, 0));
    assert_int_equal((uintptr_t)pinned, device);
    assert_ok(cu.cuMemHostGetDevicePointer(&device, pinned + 8, 0));
    assert_int_equal((uintptr_t)pinned + 8, device);
    assert_false(faults(write_byte, pinned));
    assert_false(faults(write_byte, pinned + 8191));
    assert_true(faults(write_byte, pinned - 1));
    assert_true(faults(write_byte, pinned + 8192));
    assert_int_equal(0xcd, pinned[100]);
    assert_cuda(CUDA_ERROR_INVALID_VALUE, cu.cuMemHostGetDevicePointer(&device, &device, 0));
    assert_cuda(CUDA_ERROR_INVALID_VALUE, cu.cuMemHostGetDevicePointer(&device, pinned, 1));
    assert_ok(cu.cuMemFreeHost(pinned));
    assert_true(faults(read_byte, pinned));
}

static void test_allocation_rules(void **state)
{
    (void)state;
    CUdeviceptr address = 0;
    void *host = &address;
    assert_cuda(CUDA_ERROR_INVALID_VALUE, cu.cuMemAlloc(&address, 0));
    assert_cuda(CUDA_ERROR_INVALID_VALUE, cu.cuMemAlloc(NULL, 4));
    assert_cuda(CUDA_ERROR_OUT_OF_MEMORY, cu.cuMemAlloc(&address, SIZE_MAX));
    assert_cuda(CUDA_ERROR_OUT_OF_MEMORY, cu.cuMemAlloc(&address, (size_t)1 << 40));
    assert_int_equal(0, address);
    assert_cuda(CUDA_ERROR_INVALID_VALUE, cu.cuMemHostAlloc(&host, 64, 0x100));
    assert_cuda(CUDA_ERROR_OUT_OF_MEMORY, cu.cuMemHostAlloc(&host, SIZE_MAX, 0));
    assert_ok(cu.cuMemHostAlloc(&host, 0, 0));
    assert_null(host);
    assert_ok(cu.cuMemFree(0));
    assert_ok(cu.cuMemFreeHost(NULL));
    assert_int_equal(0, soft_report().misuse_count);
}

static void test_free_rules(void **state)
{
    (void)state;
    CUdeviceptr address = soft_allocate(1000);
    void *host;
    assert_ok(cu.cuMemHostAlloc(&host, 64, 0));
    assert_int_equal(0, address % 256);
    assert_int_equal(2, soft_report().live_allocations);
    assert_cuda(CUDA_ERROR_INVALID_VALUE, cu.cuMemFree(address + 256));
    assert_cuda(CUDA_ERROR_INVALID_VALUE, cu.cuMemFree((CUdeviceptr)(uintptr_t)host));
    assert_cuda(CUDA_ERROR_INVALID_VALUE, cu.cuMemFreeHost((void *)(uintptr_t)address));
    assert_int_equal(3, soft_report().misuse_count);
    assert_ok(cu.cuMemFree(address));
    assert_ok(cu.cuMemFreeHost(host));
    assert_int_equal(3, soft_report().misuse_count);
    assert_cuda(CUDA_ERROR_INVALID_VALUE, cu.cuMemFree(address));
    assert_cuda(CUDA_ERROR_INVALID_VALUE, cu.cuMemFreeHost(host));
    assert_int_equal(5, soft_report().misuse_count);
}

static void test_capacity(void **state)
{
    (void)state;
    size_t free_before;
    size_t free_after;
    size_t total;
    CUdeviceptr rest;
    assert_ok(cu.cuMemGetInfo(&free_before, &total));
    assert_int_equal(total, free_before);
    CUdeviceptr big = soft_allocate(total - ((size_t)1 << 30));
    CUdeviceptr small = soft_allocate((size_t)1 << 30);
    assert_ok(cu.cuMemGetInfo(&free_after, &total));
    assert_true(free_after < 4096);
    assert_cuda(CUDA_ERROR_OUT_OF_MEMORY, cu.cuMemAlloc(&rest, 4096));
    assert_ok(cu.cuMemFree(small));
    assert_ok(cu.cuMemAlloc(&rest, 4096));
    assert_ok(cu.cuMemFree(rest));
    assert_ok(cu.cuMemFree(big));
    assert_ok(cu.cuMemGetInfo(&free_after, &total));
    assert_int_equal(free_before, free_after);
}

// Where the search for a gap begins again from the start, too, a page is left free in between.
static void test_guard_behind_the_first_allocation(void **state)
{
    (void)state;
    CUdeviceptr low = soft_allocate(4096);
    for (int i = 0; i < 3; ++i) {
        CUdeviceptr big = soft_allocate((size_t)130 << 30);
        assert_true(big > low);
        assert_true(big - low >= 8192);
        assert_ok(cu.cuMemFree(big));
    }
    assert_ok(cu.cuMemFree(low));
}

static void test_many_allocations_do_not_touch(void **state)
{
    (void)state;
    enum { COUNT = 500 };
    static CUdeviceptr addresses[COUNT];
    for (int round = 0; round < 4; ++round) {
        for (int i = 0; i < COUNT; ++i) {
            addresses[i] = soft_allocate((size_t)(1 + (i * 7919) % 20000));
            assert_ok(cu.cuMemsetD8(addresses[i], (unsigned char)i, 1 + (i * 7919) % 20000));
        }
        for (int i = 0; i < COUNT; ++i) {
            unsigned char byte = 0;
            assert_ok(cu.cuMemcpyDtoH(&byte, addresses[i] + (i * 7919) % 20000, 1));
            assert_int_equal((unsigned char)i, byte);
        }
        // Every other one first, so that gaps of all sizes are used again.
        for (int i = 0; i < COUNT; i += 2) {
            assert_ok(cu.cuMemFree(addresses[i]));
        }
        for (int i = 1; i < COUNT; i += 2) {
            assert_ok(cu.cuMemFree(addresses[i]));
        }
    }
}

static void test_poison_and_no_immediate_reuse(void **state)
{
    (void)state;
    CUdeviceptr first = soft_allocate(64);
    assert_int_equal(0xcdcdcdcd, soft_word(first));
    assert_ok(cu.cuMemsetD32Async(first, 7, 16, NULL));
    assert_int_equal(7, soft_word(first + 60));
    assert_ok(cu.cuMemFree(first));
    CUdeviceptr second = soft_allocate(64);
    assert_int_not_equal(first, second);
    assert_int_equal(0xcdcdcdcd, soft_word(second));
    assert_ok(cu.cuMemFree(second));
}

static void test_transfer_ranges(void **state)
{
    (void)state;
    unsigned char bytes[128] = {0};
    CUdeviceptr address = soft_allocate(64);
    assert_ok(cu.cuMemcpyHtoD(address, bytes, 64));
    assert_cuda(CUDA_ERROR_INVALID_VALUE, cu.cuMemcpyHtoD(address, bytes, 65));
    assert_cuda(CUDA_ERROR_INVALID_VALUE, cu.cuMemcpyHtoD(address + 1, bytes, 64));
    assert_cuda(CUDA_ERROR_INVALID_VALUE, cu.cuMemcpyDtoH(bytes, address, 65));
    assert_cuda(CUDA_ERROR_INVALID_VALUE, cu.cuMemcpyDtoD(address, address + 32, 33));
    assert_ok(cu.cuMemcpyDtoD(address, address + 32, 32));
    assert_cuda(CUDA_ERROR_INVALID_VALUE, cu.cuMemcpyHtoD(0x1000, bytes, 4));
    assert_cuda(CUDA_ERROR_INVALID_VALUE, cu.cuMemcpyHtoD(address, NULL, 4));
    assert_ok(cu.cuMemcpyHtoD(0, NULL, 0));
    assert_ok(cu.cuMemsetD8(address, 1, 64));
    assert_ok(cu.cuMemsetD8(address, 1, 0));
    assert_cuda(CUDA_ERROR_INVALID_VALUE, cu.cuMemsetD8(address, 1, 65));
    assert_cuda(CUDA_ERROR_INVALID_VALUE, cu.cuMemsetD32Async(address, 1, 17, NULL));
    assert_cuda(CUDA_ERROR_INVALID_VALUE, cu.cuMemsetD32Async(address + 2, 1, 1, NULL));
    assert_cuda(CUDA_ERROR_INVALID_VALUE, cu.cuMemsetD16Async(address + 1, 1, 1, NULL));
    assert_cuda(CUDA_ERROR_INVALID_VALUE, cu.cuMemsetD8((CUdeviceptr)(uintptr_t)bytes, 1, 4));
    assert_ok(cu.cuMemFree(address));
}

static void test_set_values(void **state)
{
    (void)state;
    unsigned char bytes[16];
    CUdeviceptr address = soft_allocate(16);
    assert_ok(cu.cuMemsetD8Async(address, 0xa1, 16, NULL));
    assert_ok(cu.cuMemsetD16Async(address + 2, 0xb2c3, 2, NULL));
    assert_ok(cu.cuMemsetD32Async(address + 8, 0x01020304, 1, NULL));
    assert_ok(cu.cuMemcpyDtoH(bytes, address, 16));
    const unsigned char expected[16] = {0xa1, 0xa1, 0xc3, 0xb2, 0xc3, 0xb2, 0xa1, 0xa1,
                                        4,    3,    2,    1,    0xa1, 0xa1, 0xa1, 0xa1};
    assert_memory_equal(expected, bytes, 16);
    assert_ok(cu.cuMemFree(address));
}

// Pageable sources are read at the call, pinned ones when the copy runs.
static void test_when_sources_are_read(void **state)
{
    (void)state;
    CUdeviceptr address = soft_allocate(8);
    CUstream stream;
    uint32_t pageable = 1;
    uint32_t *pinned;
    assert_ok(cu.cuMemHostAlloc((void **)&pinned, 4, 0));
    assert_ok(cu.cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    *pinned = 1;
    cu.api->set_paused(true);
    assert_ok(cu.cuMemcpyHtoDAsync(address, &pageable, 4, stream));
    assert_ok(cu.cuMemcpyHtoDAsync(address + 4, pinned, 4, stream));
    pageable = 2;
    *pinned = 2;
    assert_ok(cu.cuStreamSynchronize(stream));
    assert_int_equal(1, soft_word(address));
    assert_int_equal(2, soft_word(address + 4));
    assert_ok(cu.cuMemcpyAsync(address, (CUdeviceptr)(uintptr_t)&pageable, 4, stream));
    pageable = 3;
    assert_int_equal(2, soft_word(address));
    assert_ok(cu.cuStreamDestroy(stream));
    assert_ok(cu.cuMemFreeHost(pinned));
    assert_ok(cu.cuMemFree(address));
}

// Copies to pageable memory are done when the call returns, to pinned memory they are not.
static void test_when_targets_are_written(void **state)
{
    (void)state;
    CUdeviceptr address = soft_allocate(8);
    CUstream stream;
    uint32_t pageable = 1;
    uint32_t *pinned;
    assert_ok(cu.cuMemHostAlloc((void **)&pinned, 4, 0));
    assert_ok(cu.cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    *pinned = 1;
    cu.api->set_paused(true);
    assert_ok(cu.cuMemsetD32Async(address, 9, 2, stream));
    assert_ok(cu.cuMemcpyDtoHAsync(pinned, address, 4, stream));
    assert_int_equal(1, *pinned);
    assert_ok(cu.cuMemcpyDtoHAsync(&pageable, address, 4, stream));
    assert_int_equal(9, pageable);
    assert_int_equal(9, *pinned);
    assert_ok(cu.cuStreamDestroy(stream));
    assert_ok(cu.cuMemFreeHost(pinned));
    assert_ok(cu.cuMemFree(address));
}

// Freeing waits for work that may still use the memory.
static void test_free_waits(void **state)
{
    (void)state;
    CUdeviceptr source = soft_allocate(4);
    CUdeviceptr target = soft_allocate(4);
    CUstream stream;
    assert_ok(cu.cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    cu.api->set_paused(true);
    assert_ok(cu.cuMemsetD32Async(source, 5, 1, stream));
    assert_ok(cu.cuMemcpyDtoDAsync(target, source, 4, stream));
    assert_ok(cu.cuMemFree(source));
    assert_ok(cu.cuStreamQuery(stream));
    assert_int_equal(5, soft_word(target));
    assert_ok(cu.cuStreamDestroy(stream));
    assert_ok(cu.cuMemFree(target));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, soft_driver_begin, soft_driver_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        // First: it needs an address space that is still empty.
        TEST(test_guard_behind_the_first_allocation),
        TEST(test_device_addresses_fault),
        TEST(test_pinned_memory_has_guards),
        TEST(test_allocation_rules),
        TEST(test_free_rules),
        TEST(test_capacity),
        TEST(test_many_allocations_do_not_touch),
        TEST(test_poison_and_no_immediate_reuse),
        TEST(test_transfer_ranges),
        TEST(test_set_values),
        TEST(test_when_sources_are_read),
        TEST(test_when_targets_are_written),
        TEST(test_free_waits),
    };
    return soft_driver_load() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
