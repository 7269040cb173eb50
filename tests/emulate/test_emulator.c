// SPDX-License-Identifier: Apache-2.0
// The emulator itself: kernels with a defect each (defects.cu) fail, with words that say what it
// is, or leave what is wrong behind; the one without does neither.
#include "emulate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define WORDS 256
#define THREADS 64
#define SEEDS 4
#define CLUSTER 4

static uint32_t in[WORDS], table[WORDS], out[WORDS];

/** Kernels of clusters have that in their names. */
static const char *run(const char *kernel, uint64_t seed)
{
    const uint32_t cluster = strstr(kernel, "cluster") ? CLUSTER : 0;
    const struct emulate_binding bindings[] = {
        {.access = EMULATE_READ, .align_bytes = 16, .data = in, .size_bytes = sizeof(in)},
        {.access = EMULATE_CONSTANT, .align_bytes = 16, .data = table, .size_bytes = sizeof(table)},
        {.access = EMULATE_WRITE, .align_bytes = 16, .data = out, .size_bytes = sizeof(out)},
    };
    const struct emulate_launch launch = {
        .unit = "defects",
        .kernel = kernel,
        .grid = cluster ? cluster : 1,
        .block = THREADS,
        .cluster = cluster,
        .dynamic_shared_bytes = WORDS * 4,
        .bindings = bindings,
        .binding_count = 3,
        .grid_dependency = true,
        .seed = seed,
    };
    for (uint32_t i = 0; i < WORDS; i++) {
        in[i] = i * i + 1;
        table[i] = i * 1000;
        out[i] = 77777;
    }
    return emulate_run(&launch);
}

static void test_good_kernel(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        const char *problem = run("good", seed);
        if (problem)
            fail_msg("%s", problem);
        uint32_t sums[2] = {0, 0};
        for (uint32_t i = 0; i < THREADS; i++)
            sums[i / 32] += in[i];
        for (uint32_t i = 0; i < THREADS; i++)
            assert_int_equal(out[i], in[63 - i] + table[i] + sums[i / 32]);
        assert_int_equal(out[THREADS], 77777);
    }
}

static uint32_t wanted_of_cluster(uint32_t block, uint32_t i)
{
    uint32_t sum = 0;
    for (uint32_t from = 0; from < CLUSTER; from++)
        sum += in[from * THREADS + (THREADS - 16 * block + i) % THREADS];
    return sum;
}

/** How many words of `out` are not what all blocks of a cluster come to. */
static uint32_t count_wrong_of_cluster(void)
{
    uint32_t wrong = 0;
    for (uint32_t block = 0; block < CLUSTER; block++) {
        for (uint32_t i = 0; i < THREADS; i++)
            wrong += out[block * THREADS + i] != wanted_of_cluster(block, i);
    }
    return wrong;
}

static void test_clusters(void **state)
{
    (void)state;
    uint32_t early = 0, late = 0;
    for (uint64_t seed = 0; seed < 4 * SEEDS; seed++) {
        const char *problem = run("good_cluster", seed);
        if (problem)
            fail_msg("%s", problem);
        assert_int_equal(count_wrong_of_cluster(), 0);
        // Which block runs first is random: not every time what is missing shows.
        problem = run("no_cluster_begin", seed);
        early += problem || count_wrong_of_cluster() > 0;
        problem = run("no_cluster_end", seed);
        late += problem || count_wrong_of_cluster() > 0;
    }
    assert_int_equal(early, 4 * SEEDS);
    assert_int_equal(late, 4 * SEEDS);
}

static void test_defects_that_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *kernel;
        const char *words;
    } defects[] = {
        {"early_read", "touches binding 0 before griddepcontrol.wait"},
        {"early_write", "touches binding 2 before griddepcontrol.wait"},
        {"no_wait", "no thread executes griddepcontrol.wait"},
        {"beyond", " of binding 0, which has 1024 bytes"},
        {"before", "binding 2"},
        {"constant_write", " of binding 1, which it may only read"},
        {"divergent", "32 threads wait at __syncthreads"},
        {"ended_lanes", "waits in vain for lanes 0xffffffff of its warp at __shfl_xor_sync"},
#ifndef __clang__
        {"misaligned", "alignment"}, // clang does not check copies of whole structs.
#endif
        {"unfinished_copy", "64 copies into shared memory are on their way"},
        {"endless", "waits for what never comes"},
        {"wrong_constant", "reads binding 2 past the coherent path"},
        {"past_shared", "of dynamic shared memory, which has 1024"},
        {"beyond_cluster", "reaches for block 4 of a cluster of 4"},
        {"ended_cluster", "reaches for shared memory of block 1 of its cluster, which has ended"},
        {"cluster_not_begun", "without having come there"},
        {"cluster_twice", "again without having waited there"},
        {"cluster_in_vain", "wait at __syncthreads"},
    };
    for (size_t i = 0; i < sizeof(defects) / sizeof(defects[0]); i++) {
        for (uint64_t seed = 0; seed < SEEDS; seed++) {
            // With seed 3 it is reads before the beginning that are caught.
            if (seed == 3 && strcmp(defects[i].kernel, "beyond") == 0)
                continue;
            const char *problem = run(defects[i].kernel, seed);
            if (!problem || !strstr(problem, defects[i].words))
                fail_msg("%s, seed %d: %s", defects[i].kernel, (int)seed,
                         problem ? problem : "nothing was found");
        }
    }
}

/** What each kernel would leave behind without its defect. */
static uint32_t wanted(const char *kernel, uint32_t i)
{
    uint32_t sum = 0;
    if (strcmp(kernel, "no_barrier") == 0)
        return in[63 - i];
    if (strcmp(kernel, "late_slot") == 0)
        return in[i % 4] + in[4 + i % 4];
    if (strcmp(kernel, "no_copy_wait") == 0)
        return in[i * 4];
    for (uint32_t k = i / 32 * 32; k < i / 32 * 32 + 32; k++)
        sum += in[k];
    return sum;
}

static void test_defects_that_compute_wrongly(void **state)
{
    (void)state;
    static const char *const kernels[] = {"no_barrier", "wrong_lane", "late_slot", "no_copy_wait"};
    for (size_t i = 0; i < sizeof(kernels) / sizeof(kernels[0]); i++) {
        for (uint64_t seed = 0; seed < SEEDS; seed++) {
            const char *problem = run(kernels[i], seed);
            if (problem)
                fail_msg("%s", problem);
            uint32_t wrong = 0;
            for (uint32_t k = 0; k < THREADS; k++)
                wrong += out[k] != wanted(kernels[i], k);
            if (wrong == 0)
                fail_msg("%s, seed %d: nothing is wrong", kernels[i], (int)seed);
        }
    }
}

static void test_bad_launches(void **state)
{
    (void)state;
    struct emulate_launch launch = {.unit = "defects", .kernel = "good", .grid = 1, .block = 64};
    assert_non_null(strstr(emulate_run(&launch), "parameters"));
    launch.block = 0;
    assert_non_null(strstr(emulate_run(&launch), "block"));
    launch.block = 64;
    launch.grid = 0;
    assert_non_null(strstr(emulate_run(&launch), "grid"));
    launch.grid = 1;
    launch.dynamic_shared_bytes = 228 << 10;
    assert_non_null(strstr(emulate_run(&launch), "dynamic shared memory"));
    launch.dynamic_shared_bytes = 0;
    launch.cluster = 9;
    assert_non_null(strstr(emulate_run(&launch), "cluster"));
    launch.cluster = 2;
    assert_non_null(strstr(emulate_run(&launch), "multiple of the cluster"));
    launch.cluster = 0;
    launch.kernel = "none";
    assert_non_null(strstr(emulate_run(&launch), "no such unit or kernel"));
    assert_true(emulate_has("defects", "good"));
    assert_false(emulate_has("defects", "none"));
    assert_false(emulate_has("none", "good"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_kernel),
        cmocka_unit_test(test_clusters),
        cmocka_unit_test(test_defects_that_are_named),
        cmocka_unit_test(test_defects_that_compute_wrongly),
        cmocka_unit_test(test_bad_launches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
