// SPDX-License-Identifier: Apache-2.0
// Every driver call and every host allocation of a load with a cache, failing: reported, nothing is
// left, what is in the folder is right, and the next load works.
#include "folder.h"
#include "plans.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

/** Which allocation of the process fails; 0: none. */
static atomic_uint_fast64_t failing_allocation;
static atomic_uint_fast64_t allocation_count;
static atomic_bool allocation_failed;

/** Readers allocate, too. */
static bool fails(void)
{
    const uint64_t failing = atomic_load(&failing_allocation);
    if (failing == 0 || atomic_fetch_add(&allocation_count, 1) + 1 != failing)
        return false;
    atomic_store(&allocation_failed, true);
    return true;
}

void *__real_malloc(size_t size_bytes);
void *__real_calloc(size_t count, size_t size_bytes);
void *__real_realloc(void *pointer, size_t size_bytes);
char *__real_strdup(const char *text);
int __real_posix_memalign(void **pointer, size_t align_bytes, size_t size_bytes);
void *__wrap_malloc(size_t size_bytes);
void *__wrap_calloc(size_t count, size_t size_bytes);
void *__wrap_realloc(void *pointer, size_t size_bytes);
char *__wrap_strdup(const char *text);
int __wrap_posix_memalign(void **pointer, size_t align_bytes, size_t size_bytes);

void *__wrap_malloc(size_t size_bytes)
{
    return fails() ? NULL : __real_malloc(size_bytes);
}

void *__wrap_calloc(size_t count, size_t size_bytes)
{
    return fails() ? NULL : __real_calloc(count, size_bytes);
}

void *__wrap_realloc(void *pointer, size_t size_bytes)
{
    return fails() ? NULL : __real_realloc(pointer, size_bytes);
}

char *__wrap_strdup(const char *text)
{
    return fails() ? NULL : __real_strdup(text);
}

int __wrap_posix_memalign(void **pointer, size_t align_bytes, size_t size_bytes)
{
    return fails() ? 12 : __real_posix_memalign(pointer, align_bytes, size_bytes);
}

/** Loads two constants through a cache, one of them packed in ranges, by little staging memory that
 *  is kept; a third plan drops and restores. */
static segue_status load(struct segue_test *test, const char *folder, uint32_t flags)
{
    const struct segue_packed_cache_params params = {.path = folder, .flags = flags};
    segue_packed_cache *cache = NULL;
    segue_prepack_plan *plan = NULL;
    segue_status status = segue_packed_cache_open(&params, &cache);
    // How many increments there are, and so how many objects, must not depend on the machine's
    // pace.
    const struct segue_prepack_params plan_params = {
        .cache = cache,
        .limits = {.staging_bytes = 32768, .reader_count = 2, .age_ns = SEGUE_PREPACK_OFF}};
    segue_prepack_staging *staging = NULL;
    if (status == SEGUE_OK)
        status = segue_prepack_staging_create(test->device, &plan_params.limits, &staging);
    if (status == SEGUE_OK)
        status = segue_prepack_plan_create(test->device, &plan_params, &plan);
    const struct segue_prepack_source sources[] = {test_plan_generated(1, TEST_PLAN_BYTES),
                                                   test_plan_generated(2, TEST_PLAN_BYTES)};
    struct segue_prepack_packing packing = test_plan_packing(test);
    packing.rows = (struct segue_prepack_rows){
        .count = TEST_PLAN_WORDS, .multiple = 64, .source_bytes = {4, 4}, .packed_bytes = 256};
    struct segue_prepack_constant constant = {
        .name = "sum",
        .sources = sources,
        .source_count = 2,
        .packing = &packing,
        .packed_bytes = TEST_PLAN_BYTES,
    };
    if (status == SEGUE_OK)
        status = segue_prepack_plan_add(plan, &constant, NULL);
    constant.name = "plain";
    constant.packing = NULL;
    constant.source_count = 1;
    if (status == SEGUE_OK)
        status = segue_prepack_plan_add(plan, &constant, NULL);
    if (status == SEGUE_OK)
        status = segue_prepack_plan_run(plan);
    uint64_t dropped_bytes = 0;
    if (status == SEGUE_OK)
        status = segue_prepack_plan_drop(plan, &dropped_bytes);
    if (status == SEGUE_OK)
        status = segue_prepack_plan_restore(plan);
    struct segue_semaphore_value point = {0};
    if (status == SEGUE_OK) {
        segue_prepack_plan_get_point(plan, &point);
        status = segue_semaphore_wait(point.semaphore, point.value, SEGUE_TIMEOUT_INFINITE);
    }
    segue_buffer *buffer = NULL;
    if (status == SEGUE_OK)
        status = segue_prepack_plan_get_buffer(plan, 0, &buffer);
    uint32_t word = 0;
    if (status == SEGUE_OK)
        status = segue_buffer_read(buffer, 0, &word, sizeof(word));
    if (status == SEGUE_OK && word != test_plan_word(1, 0) + test_plan_word(2, 0))
        status = SEGUE_MISMATCH;
    segue_buffer_destroy(buffer);
    segue_prepack_plan_destroy(plan);
    segue_prepack_staging_destroy(staging);
    segue_packed_cache_close(cache);
    return status;
}

static uint64_t live_objects(const struct segue_test *test)
{
    struct segue_soft_report report;
    test->soft->get_report(&report);
    return report.live_objects;
}

/** After any failure: no memory is held, and a load without one works. */
static void check_after(struct segue_test *test, const char *folder, uint32_t flags, uint64_t live)
{
    struct segue_memory_stats memory;
    segue_device_get_memory_stats(test->device, &memory);
    assert_int_equal(memory.constant.current_bytes, 0);
    assert_int_equal(memory.host_visible.current_bytes, 0);
    CHECK_OK(load(test, folder, flags));
    assert_true(live_objects(test) <= live);
    assert_int_equal(segue_test_count_files(folder, ".pack", NULL), 1);
}

/** Runs on an empty folder (packing), and on a full one (hits), with calls failing whose names
 * match `pattern` (NULL: host allocations). Returns how many failed. */
static uint32_t run_faults(struct segue_test *test, const char *folder, const char *pattern,
                           uint32_t flags)
{
    const bool of_driver = pattern != NULL;
    CHECK_OK(load(test, folder, flags));
    // The device keeps some fences for its next submissions.
    const uint64_t live = live_objects(test) + 8;
    uint32_t points = 0;
    for (int full = 0; full < 2; full++) {
        for (uint64_t nth = 1;; nth++) {
            if (!full)
                segue_test_empty_folder(folder);
            struct segue_soft_report report;
            const struct segue_soft_fault fault = {
                .nth = nth, .driver_result = 999, .name_pattern = pattern};
            test->soft->reset_report();
            allocation_count = 0;
            allocation_failed = false;
            if (of_driver)
                test->soft->set_fault(&fault);
            else
                failing_allocation = nth;
            const segue_status status = load(test, folder, flags);
            failing_allocation = 0;
            test->soft->set_fault(NULL);
            test->soft->get_report(&report);
            if (of_driver ? report.fault_count == 0 : !allocation_failed) {
                CHECK_OK(status);
                break;
            }
            points++;
            assert_int_not_equal(status, SEGUE_MISMATCH);
            if (status != SEGUE_OK)
                assert_true(segue_last_error()->message[0] != '\0');
            if (!of_driver && status != SEGUE_OK)
                assert_int_equal(status, SEGUE_OUT_OF_HOST_MEMORY);
            check_after(test, folder, flags, live);
        }
    }
    return points;
}

/** All but the calls that give something up: what these fail to, stays. */
static void test_driver_calls(void **state)
{
    struct segue_test *test = *state;
    if (test->soft == NULL)
        return;
    static const char *const patterns[] = {
        "*Alloc*",  "*Memcpy*", "*Memset*", "*Launch*", "*Record*",      "*WaitEvent*",
        "*Create*", "*Query*",  "*Load*",   "*Get*",    "*Synchronize*",
    };
    const char *folder = segue_test_folder();
    uint32_t points = 0;
    for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++)
        points += run_faults(test, folder, patterns[i], SEGUE_PACKED_CACHE_VERIFY_ON_DEVICE);
    printf("%u failing calls of the driver\n", points);
    assert_true(points > 60);
}

static void test_host_allocations(void **state)
{
    struct segue_test *test = *state;
    if (test->soft == NULL)
        return;
    const uint32_t points = run_faults(test, segue_test_folder(), NULL, 0);
    printf("%u failing allocations\n", points);
    assert_true(points > 60);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        segue_test_case(test_driver_calls),
        segue_test_case(test_host_allocations),
    };
    const int prepared = segue_test_prepare();
    return prepared != 0 ? prepared : cmocka_run_group_tests(tests, NULL, NULL);
}
