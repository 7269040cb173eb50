// SPDX-License-Identifier: Apache-2.0
// The pool of staging blocks: what it keeps, and what it gives back where memory has run out.
#include "command_buffer.h"
#include "cuda_backend.h"
#include "test.h"
#include <cuda.h>

#define MEBIBYTE (UINT64_C(1) << 20)
#define BLOCKS 3

/** A block of that size; its table has as many bytes of pinned memory, or none. */
static struct segue_staging_block *acquire(struct segue_cuda *cuda, uint64_t size_bytes,
                                           bool with_table)
{
    struct segue_staging_block *block;
    CHECK_OK(segue_cuda_enter(cuda));
    CHECK_OK(segue_staging_acquire(cuda, size_bytes, &block));
    if (with_table) {
        // Nothing names any of the pointers.
        const struct segue_recording recording = {.indirect_count =
                                                      (uint32_t)(size_bytes / sizeof(uint64_t))};
        const struct segue_lowering lowering = {.cuda = cuda, .recording = &recording};
        CHECK_OK(segue_pointers_lay_out(&lowering, block));
    }
    segue_cuda_leave(cuda);
    return block;
}

static void release(struct segue_cuda *cuda, struct segue_staging_block *block)
{
    CHECK_OK(segue_cuda_enter(cuda));
    segue_staging_release(cuda, block, true);
    segue_cuda_leave(cuda);
}

static uint64_t allocations_of(const struct segue_test *test)
{
    struct segue_soft_report report;
    test->soft->get_report(&report);
    return report.live_allocations;
}

/** Free blocks and the pinned copies of their tables stay within one limit. */
static void pinned_copies_count(void **state)
{
    struct segue_test *test = *state;
    struct segue_cuda *cuda = segue_cuda_of(test->device->backend);
    struct segue_staging_block *blocks[BLOCKS];
    const uint64_t before = allocations_of(test);
    for (uint32_t i = 0; i < BLOCKS; i++)
        blocks[i] = acquire(cuda, 16 * MEBIBYTE, true);
    assert_int_equal(allocations_of(test), before + 2 * BLOCKS);
    for (uint32_t i = 0; i < BLOCKS; i++)
        release(cuda, blocks[i]);
    // Two with 32 MiB each.
    assert_int_equal(cuda->staging.free_bytes, SEGUE_STAGING_KEPT_BYTES);
    assert_int_equal(allocations_of(test), before + 2 * 2);
    struct segue_staging_block *again = acquire(cuda, 16 * MEBIBYTE, false);
    assert_int_equal(cuda->staging.free_bytes, 32 * MEBIBYTE);
    release(cuda, again);
    assert_int_equal(cuda->staging.free_bytes, SEGUE_STAGING_KEPT_BYTES);
}

static void fail_call(struct segue_test *test, const char *name, bool forever)
{
    test->soft->set_fault(&(struct segue_soft_fault){.nth = 1,
                                                     .forever = forever,
                                                     .driver_result = CUDA_ERROR_OUT_OF_MEMORY,
                                                     .name_pattern = name});
}

/** Where memory of either kind cannot be had, free blocks are given back and it is tried again:
 *  once, and only if there were any. */
static void free_blocks_make_room(void **state)
{
    struct segue_test *test = *state;
    struct segue_cuda *cuda = segue_cuda_of(test->device->backend);
    static const struct {
        enum segue_memory_type memory;
        const char *call;
    } kinds[] = {{SEGUE_MEMORY_DEVICE, "cuMemAlloc*"},
                 {SEGUE_MEMORY_HOST_VISIBLE, "cuMemHostAlloc"}};
    for (uint32_t i = 0; i < 2; i++) {
        const struct segue_buffer_params params = {.size_bytes = 64, .memory = kinds[i].memory};
        const uint64_t before = allocations_of(test);
        segue_buffer *buffer;
        release(cuda, acquire(cuda, 4096, true));
        fail_call(test, kinds[i].call, false);
        CHECK_OK(segue_buffer_create(test->device, &params, &buffer));
        assert_int_equal(cuda->staging.free_bytes, 0);
        assert_int_equal(allocations_of(test), before + 1);
        segue_buffer_destroy(buffer);
        test->soft->reset_report();
        // Nothing to give back.
        fail_call(test, kinds[i].call, false);
        CHECK_STATUS(segue_buffer_create(test->device, &params, &buffer),
                     SEGUE_OUT_OF_DEVICE_MEMORY);
        release(cuda, acquire(cuda, 4096, true));
        test->soft->reset_report();
        fail_call(test, kinds[i].call, true);
        CHECK_STATUS(segue_buffer_create(test->device, &params, &buffer),
                     SEGUE_OUT_OF_DEVICE_MEMORY);
        struct segue_soft_report report;
        test->soft->get_report(&report);
        assert_int_equal(report.fault_count, 2);
        test->soft->set_fault(NULL);
        test->soft->reset_report();
    }
}

int main(void)
{
    if (strncmp(segue_test_device_uri(), "soft", 4) != 0) {
        print_message("skipped: asks the software driver what is alive\n");
        return SEGUE_TEST_EXIT_SKIPPED;
    }
    const int unprepared = segue_test_prepare();
    if (unprepared != 0)
        return unprepared;
    const struct CMUnitTest tests[] = {
        segue_test_case(pinned_copies_count),
        segue_test_case(free_blocks_make_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
