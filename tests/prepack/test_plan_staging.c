// SPDX-License-Identifier: Apache-2.0
// Pinned memory of plans: kept, shared, capped, and short.
#include "plans.h"

#include <dirent.h>

/** A plan of one constant of so many bytes. */
static segue_prepack_plan *
plan_of_one(struct segue_test *test, const struct segue_prepack_params *params, uint64_t size_bytes)
{
    segue_prepack_plan *plan = test_plan_make(test, params);
    (void)test_plan_add(plan, "constant", test_plan_generated(5, size_bytes), NULL);
    return plan;
}

/** Staging memory that is kept: pinned once, used by plan after plan, also while earlier ones live,
 *  and by one load at a time. */
static void test_kept_staging(void **state)
{
    struct segue_test *test = *state;
    const uint64_t cap = UINT64_C(1) << 20;
    const struct segue_prepack_limits limits = {.staging_bytes = cap, .slot_bytes = cap / 4};
    const struct segue_prepack_limits bad = {.staging_bytes = 100};
    segue_prepack_staging *staging = NULL;
    CHECK_ERROR(segue_prepack_staging_create(test->device, &bad, &staging), SEGUE_INVALID_ARGUMENT,
                "staging_bytes");
    CHECK_STATUS(segue_prepack_staging_create(NULL, NULL, &staging), SEGUE_INVALID_ARGUMENT);
    CHECK_OK(segue_prepack_staging_create(test->device, &limits, &staging));
    struct segue_memory_stats before = test_plan_memory(test);
    assert_int_equal(before.host_visible.current_bytes, cap);
    const struct segue_prepack_params params = {.limits = limits};
    segue_prepack_plan *plans[3];
    for (int i = 0; i < 3; i++) {
        plans[i] = plan_of_one(test, &params, 3 * cap);
        CHECK_OK(segue_prepack_plan_run(plans[i]));
        assert_int_equal(test_plan_memory(test).host_visible.allocation_count,
                         before.host_visible.allocation_count);
    }
    for (int i = 0; i < 3; i++) {
        test_plan_wait(plans[i]);
        test_plan_check_words(plans[i], 0, 5, UINT32_MAX, (uint32_t)(3 * cap / 4));
        segue_prepack_plan_destroy(plans[i]);
    }
    // Slots of another size: idle ones that do not fit do not stay beside them.
    const struct segue_prepack_params other = {
        .limits = {.staging_bytes = cap, .slot_bytes = cap / 8}};
    plans[0] = plan_of_one(test, &other, 3 * cap);
    CHECK_OK(segue_prepack_plan_run(plans[0]));
    assert_true(test_plan_memory(test).host_visible.current_bytes <= cap);
    segue_prepack_staging_destroy(staging);
    assert_true(test_plan_memory(test).host_visible.current_bytes != 0);
    segue_prepack_plan_destroy(plans[0]);
    assert_int_equal(test_plan_memory(test).host_visible.current_bytes, 0);
}

/** Without a segue_prepack_staging: pinned by the first plan and used by those after it, whose
 *  copies may begin before its own are done. */
static void test_staging_of_earlier_plans(void **state)
{
    struct segue_test *test = *state;
    const uint64_t cap = UINT64_C(256) << 10;
    const struct segue_prepack_params params = {
        .limits = {.staging_bytes = cap, .slot_bytes = cap / 4}};
    segue_prepack_plan *plans[6];
    uint64_t held_bytes = 0;
    for (uint32_t i = 0; i < 6; i++) {
        plans[i] = test_plan_make(test, &params);
        (void)test_plan_add(plans[i], "constant", test_plan_generated(i, 5 * cap), NULL);
        CHECK_OK(segue_prepack_plan_run(plans[i]));
        if (i == 0)
            held_bytes = test_plan_memory(test).host_visible.current_bytes;
        assert_true(held_bytes != 0 && held_bytes <= cap);
        assert_int_equal(test_plan_memory(test).host_visible.current_bytes, held_bytes);
        assert_int_equal(test_plan_stats(plans[i]).peak_staging_bytes, held_bytes);
        // Its own copies may be under way when it goes.
        if (i == 2)
            segue_prepack_plan_destroy(plans[i]);
    }
    for (uint32_t i = 0; i < 6; i++) {
        if (i == 2)
            continue;
        test_plan_wait(plans[i]);
        test_plan_check_words(plans[i], 0, i, UINT32_MAX, (uint32_t)(5 * cap / 4));
        segue_prepack_plan_destroy(plans[i]);
    }
    assert_int_equal(test_plan_memory(test).host_visible.current_bytes, 0);
}

/** Loads at the same time share the cap, but for the two slots that each has. */
static void test_loads_at_the_same_time(void **state)
{
    struct segue_test *test = *state;
    const uint64_t cap = UINT64_C(256) << 10;
    const uint64_t slot_bytes = cap / 8;
    const struct segue_prepack_params params = {
        .limits = {.staging_bytes = cap, .slot_bytes = slot_bytes, .next_bytes = slot_bytes}};
    for (int threads = 0; threads < 2; threads++) {
        segue_prepack_plan *plans[4];
        bool done[4] = {false};
        for (uint32_t i = 0; i < 4; i++) {
            plans[i] = test_plan_make(test, &params);
            (void)test_plan_add(plans[i], "constant", test_plan_generated(i, 9 * cap), NULL);
            if (threads)
                CHECK_OK(segue_prepack_plan_start(plans[i]));
        }
        uint32_t left = threads ? 0 : 4;
        while (left != 0) {
            left = 0;
            for (uint32_t i = 0; i < 4; i++) {
                if (!done[i])
                    CHECK_OK(segue_prepack_plan_step(plans[i], &done[i]));
                left += !done[i];
            }
            assert_true(test_plan_memory(test).host_visible.current_bytes <=
                        cap + 2 * 3 * slot_bytes);
        }
        uint64_t held_bytes = 0;
        for (uint32_t i = 0; i < 4; i++) {
            if (threads)
                CHECK_OK(segue_prepack_plan_wait(plans[i]));
            test_plan_wait(plans[i]);
            test_plan_check_words(plans[i], 0, i, UINT32_MAX, (uint32_t)(9 * cap / 4));
            held_bytes = test_plan_memory(test).host_visible.current_bytes;
            assert_true(held_bytes <= cap + 2 * 3 * slot_bytes);
        }
        for (uint32_t i = 0; i < 4; i++)
            segue_prepack_plan_destroy(plans[i]);
    }
    assert_int_equal(test_plan_memory(test).host_visible.current_bytes, 0);
}

/** Where memory cannot be pinned any more, a load goes on with what there is; not without any. */
static void test_pinning_fails(void **state)
{
    struct segue_test *test = *state;
    if (test->soft == NULL)
        return;
    const uint64_t slot_bytes = 65536;
    const struct segue_prepack_params params = {
        .limits = {.staging_bytes = 8 * slot_bytes, .slot_bytes = slot_bytes}};
    for (uint64_t nth = 1; nth <= 4; nth++) {
        segue_prepack_plan *plan = plan_of_one(test, &params, 40 * slot_bytes);
        const struct segue_soft_fault fault = {
            .nth = nth, .driver_result = 2, .forever = true, .name_pattern = "cuMemHostAlloc"};
        test->soft->set_fault(&fault);
        const segue_status status = segue_prepack_plan_run(plan);
        test->soft->set_fault(NULL);
        const struct segue_prepack_stats stats = test_plan_stats(plan);
        if (nth == 1) {
            assert_int_not_equal(status, SEGUE_OK);
        } else {
            assert_int_equal(status, SEGUE_OK);
            test_plan_wait(plan);
            test_plan_check_words(plan, 0, 5, UINT32_MAX, (uint32_t)(40 * slot_bytes / 4));
            assert_int_equal(stats.peak_staging_bytes, (nth - 1) * slot_bytes);
            assert_int_equal(stats.unpinned_slot_count, 1);
        }
        segue_prepack_plan_destroy(plan);
    }
    // Another failure is one.
    segue_prepack_plan *plan = plan_of_one(test, &params, 40 * slot_bytes);
    const struct segue_soft_fault fault = {
        .nth = 2, .driver_result = 999, .name_pattern = "cuMemHostAlloc"};
    test->soft->set_fault(&fault);
    assert_int_not_equal(segue_prepack_plan_run(plan), SEGUE_OK);
    test->soft->set_fault(NULL);
    segue_prepack_plan_destroy(plan);
}

/** More readers than anybody needs are as many as there may be. */
static void test_too_many_readers(void **state)
{
    struct segue_test *test = *state;
    const struct segue_prepack_params params = {.limits = {.reader_count = UINT32_MAX}};
    segue_prepack_plan *plan = plan_of_one(test, &params, UINT64_C(1) << 20);
    CHECK_OK(segue_prepack_plan_run(plan));
    test_plan_wait(plan);
    test_plan_check_words(plan, 0, 5, UINT32_MAX, 1u << 18);
    DIR *threads = opendir("/proc/self/task");
    assert_non_null(threads);
    uint32_t count = 0;
    while (readdir(threads) != NULL)
        count++;
    (void)closedir(threads);
    // Sixty-three, this one, those of the driver, and two names of folders.
    assert_true(count < 90);
    segue_prepack_plan_destroy(plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        segue_test_case(test_kept_staging),
        segue_test_case(test_staging_of_earlier_plans),
        segue_test_case(test_loads_at_the_same_time),
        segue_test_case(test_pinning_fails),
        segue_test_case(test_too_many_readers),
    };
    const int prepared = segue_test_prepare();
    return prepared != 0 ? prepared : cmocka_run_group_tests(tests, NULL, NULL);
}
