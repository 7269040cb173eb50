// SPDX-License-Identifier: Apache-2.0
// The digests that a cache's keys need: computed by several threads, right whoever computes them,
// and given up with the plan.
#include "folder.h"
#include "plans.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#define INPUTS 9u
#define INPUT_BYTES ((UINT64_C(1) << 20) + 4)

/** Threads in the generator now, and at most. */
static atomic_uint inside;
static atomic_uint most_inside;
/** The input whose digest fails; UINT32_MAX: none. */
static uint32_t failing_input = UINT32_MAX;

static bool generate_slowly(void *context, uint64_t offset_bytes, void *data, size_t length_bytes)
{
    const uint32_t count = atomic_fetch_add(&inside, 1) + 1;
    uint32_t most = atomic_load(&most_inside);
    while (most < count && !atomic_compare_exchange_weak(&most_inside, &most, count)) {
    }
    const struct timespec pause = {.tv_nsec = 2000000};
    (void)nanosleep(&pause, NULL);
    const bool fails = *(const uint32_t *)context == failing_input && offset_bytes != 0;
    const bool done = !fails && test_plan_generate(context, offset_bytes, data, length_bytes);
    atomic_fetch_sub(&inside, 1);
    return done;
}

static segue_prepack_plan *make_plan(struct segue_test *test, segue_packed_cache *cache,
                                     uint32_t reader_count)
{
    const struct segue_prepack_params params = {.cache = cache,
                                                .limits = {.reader_count = reader_count}};
    segue_prepack_plan *plan = test_plan_make(test, &params);
    for (uint32_t i = 0; i < INPUTS; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "constant %u", i);
        const struct segue_prepack_source source = {.kind = SEGUE_PREPACK_GENERATOR,
                                                    .generate = generate_slowly,
                                                    .generate_context = &test_plan_numbers[i],
                                                    .size_bytes = INPUT_BYTES};
        (void)test_plan_add(plan, name, source, NULL);
    }
    return plan;
}

/** Keys are the same whoever has computed them: what one thread has stored, several find. */
static void test_keys_do_not_depend_on_threads(void **state)
{
    struct segue_test *test = *state;
    const char *folder = segue_test_folder();
    static const uint32_t reader_counts[] = {1, 4, 64};
    for (uint32_t i = 0; i < 3; i++) {
        segue_packed_cache *cache = NULL;
        CHECK_OK(segue_test_open(folder, 0, &cache));
        segue_prepack_plan *plan = make_plan(test, cache, reader_counts[i]);
        atomic_store(&most_inside, 0);
        bool done = false;
        // The first key needs the first digest only; others are computed meanwhile.
        CHECK_OK(segue_prepack_plan_step(plan, &done));
        while (!done)
            CHECK_OK(segue_prepack_plan_step(plan, &done));
        test_plan_wait(plan);
        for (uint32_t k = 0; k < INPUTS; k++)
            test_plan_check_words(plan, k, k, UINT32_MAX, INPUT_BYTES / 4);
        const struct segue_prepack_stats stats = test_plan_stats(plan);
        assert_int_equal(stats.hit_count, i == 0 ? 0 : INPUTS);
        assert_int_equal(stats.source_read_bytes, (i == 0 ? 2 : 1) * INPUTS * INPUT_BYTES);
        // One reader computes, several do at the same time.
        if (i != 0)
            assert_true(atomic_load(&most_inside) > 1);
        else
            assert_int_equal(atomic_load(&most_inside), 1);
        segue_prepack_plan_destroy(plan);
        segue_packed_cache_close(cache);
    }
}

/** A digest that fails, fails the plan; one that is given up leaves no thread behind. */
static void test_failing_digests(void **state)
{
    struct segue_test *test = *state;
    const char *folder = segue_test_folder();
    for (uint32_t i = 0; i < INPUTS; i += 4) {
        segue_packed_cache *cache = NULL;
        CHECK_OK(segue_test_open(folder, 0, &cache));
        failing_input = i;
        segue_prepack_plan *plan = make_plan(test, cache, 3);
        char name[32];
        (void)snprintf(name, sizeof(name), "constant %u", i);
        CHECK_ERROR(segue_prepack_plan_run(plan), SEGUE_INVALID_DATA, name);
        assert_int_equal(atomic_load(&inside), 0);
        assert_int_equal(test_plan_stats(plan).uploaded_bytes, 0);
        test_plan_check_nothing_is_left(test, plan, folder);
        failing_input = UINT32_MAX;
        // Given up with digests under way.
        plan = make_plan(test, cache, 3);
        bool done = false;
        for (uint32_t step = 0; step < i / 2; step++)
            CHECK_OK(segue_prepack_plan_step(plan, &done));
        segue_prepack_plan_destroy(plan);
        assert_int_equal(atomic_load(&inside), 0);
        segue_packed_cache_close(cache);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        segue_test_case(test_keys_do_not_depend_on_threads),
        segue_test_case(test_failing_digests),
    };
    const int prepared = segue_test_prepare();
    return prepared != 0 ? prepared : cmocka_run_group_tests(tests, NULL, NULL);
}
