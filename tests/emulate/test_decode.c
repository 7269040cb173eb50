// SPDX-License-Identifier: Apache-2.0
// The CUDA code of the decode kernels against the formulas.
#include "entry.h"
#include "kernel_cases.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SEEDS 4

/** Memory of a case for one launch; the caller frees it. */
static void place(const struct kernel_case *test, struct entry_launch *launch)
{
    for (uint32_t i = 0; i < test->binding_count; i++) {
        launch->sizes[i] = test->bindings[i].size_bytes;
        launch->memory[i] = malloc(launch->sizes[i]);
        assert_non_null(launch->memory[i]);
        memcpy(launch->memory[i], test->bindings[i].data, launch->sizes[i]);
        launch->is_settled[i] = test->bindings[i].is_settled;
        launch->late_offset[i] = test->bindings[i].late_offset;
        launch->late_bytes[i] = test->bindings[i].late_bytes;
    }
}

static void run_case(const struct kernel_case *test, uint32_t architecture, uint64_t seed)
{
    struct segue_executable_params params;
    segue_kernels_get_decode(&params);
    struct entry_launch launch = {
        .unit = architecture == 900 ? "decode_sm_90" : "decode_sm_80",
        .entry = &params.entry_points[test->kernel],
        .architecture = architecture,
        .grid = test->grid,
        .constants = test->constants,
        .constants_size_bytes = test->constant_count * 4,
        .seed = seed,
    };
    // Attention is compiled for clusters from there on.
    if (architecture >= 900 && strstr(launch.entry->name, "gqa_decode"))
        launch.cluster = 8;
    place(test, &launch);
    entry_run(&launch, test->name);
    for (uint32_t i = 0; i < test->binding_count; i++)
        kernel_case_check(test, i, launch.memory[i]);
    for (uint32_t i = 0; i < test->binding_count; i++)
        free(launch.memory[i]);
}

static void test_kernels_match_formulas(void **state)
{
    (void)state;
    for (uint32_t index = 0; index < kernel_case_total(); index++) {
        struct kernel_case test;
        kernel_case_make(index, &test);
        for (uint64_t seed = 0; seed < SEEDS; seed++)
            run_case(&test, seed % 2 ? 800 : 900, seed);
        kernel_case_free(&test);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_kernels_match_formulas)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
