// SPDX-License-Identifier: Apache-2.0
// The decode kernels on a device ($SEGUE_TEST_DEVICE) against the formulas: on a GPU that is the
// CUDA code, on the software driver its references behind the whole path. Every binding is a view
// between guard bytes.
#include "kernel_cases.h"
#include "test.h"

#include <stdlib.h>

#define GUARD_BYTES 256
#define GUARD_VALUE 0xA5

struct world {
    struct segue_test *test;
    segue_executable *decode;
};

/** One case's memory on the device. */
struct placed {
    segue_buffer *blocks[KERNEL_CASE_MAX_BINDINGS];
    struct segue_buffer_ref bindings[KERNEL_CASE_MAX_BINDINGS];
};

static uint64_t block_size_bytes(const struct kernel_case_binding *binding)
{
    // The view begins after a guard that keeps its alignment, and ends before another.
    return binding->size_bytes + 2 * GUARD_BYTES;
}

static void place(struct world *world, const struct kernel_case *test, struct placed *out_placed)
{
    for (uint32_t i = 0; i < test->binding_count; i++) {
        const struct kernel_case_binding *binding = &test->bindings[i];
        const uint64_t size_bytes = block_size_bytes(binding);
        uint8_t *bytes = malloc(size_bytes);
        assert_non_null(bytes);
        memset(bytes, GUARD_VALUE, size_bytes);
        memcpy(bytes + GUARD_BYTES, binding->data, binding->size_bytes);
        out_placed->blocks[i] = segue_test_buffer(world->test, size_bytes);
        CHECK_OK(segue_buffer_write(out_placed->blocks[i], 0, bytes, size_bytes));
        out_placed->bindings[i] =
            segue_test_ref(out_placed->blocks[i], GUARD_BYTES, binding->size_bytes);
        free(bytes);
    }
}

static void launch(struct world *world, const struct kernel_case *test, const struct placed *placed)
{
    const struct segue_dispatch dispatch = {
        .executable = world->decode,
        .entry_point = (uint32_t)test->kernel,
        .grid = {test->grid, 1, 1},
        .bindings = placed->bindings,
        .binding_count = test->binding_count,
        .constants = test->constants,
        .constants_size_bytes = test->constant_count * 4,
    };
    segue_command_buffer *command_buffer = segue_test_begin(world->test);
    CHECK_OK(segue_cmd_dispatch(command_buffer, &dispatch));
    segue_test_run(world->test, command_buffer);
    segue_test_destroy(world->test, command_buffer);
}

static void check(struct world *world, const struct kernel_case *test, const struct placed *placed)
{
    for (uint32_t i = 0; i < test->binding_count; i++) {
        const struct kernel_case_binding *binding = &test->bindings[i];
        const uint64_t size_bytes = block_size_bytes(binding);
        uint8_t *bytes = malloc(size_bytes);
        assert_non_null(bytes);
        CHECK_OK(segue_buffer_read(placed->blocks[i], 0, bytes, size_bytes));
        for (uint64_t k = 0; k < GUARD_BYTES; k++) {
            if (bytes[k] != GUARD_VALUE || bytes[size_bytes - 1 - k] != GUARD_VALUE)
                fail_msg("%s: wrote outside binding %u", test->name, i);
        }
        kernel_case_check(test, i, bytes + GUARD_BYTES);
        free(bytes);
        segue_test_destroy(world->test, placed->blocks[i]);
    }
}

static void test_kernels_match_formulas(void **state)
{
    struct world world = {.test = *state};
    struct segue_executable_params params;
    segue_kernels_get_decode(&params);
    CHECK_OK(segue_kernels_register(world.test->device));
    CHECK_OK(segue_executable_create(world.test->device, &params, &world.decode));
    for (uint32_t index = 0; index < kernel_case_total(); index++) {
        struct kernel_case test;
        struct placed placed;
        kernel_case_make(index, &test);
        place(&world, &test, &placed);
        launch(&world, &test, &placed);
        check(&world, &test, &placed);
        kernel_case_free(&test);
    }
    segue_executable_destroy(world.decode);
}

int main(void)
{
    const int unprepared = segue_test_prepare();
    if (unprepared)
        return unprepared;
    const struct CMUnitTest tests[] = {segue_test_case(test_kernels_match_formulas)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
