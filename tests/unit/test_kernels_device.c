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

/* ---- Settled rows ---------------------------------------------------------------------------- */

#define LAYERS 12u
#define HEADS 8u
#define KV_HEADS 2u
#define CAPACITY 640u

/** A chain that rotates, writes a row and attends, layer by layer, as a decode step does. */
struct settled {
    uint32_t head_size;
    struct segue_gqa_decode_constants attention;
    struct segue_gqa_decode_sizes sizes;
    segue_buffer *frequencies, *position, *arrived, *partials;
    /** Of each layer. */
    segue_buffer *q[LAYERS], *k[LAYERS], *v[LAYERS], *k_cache[LAYERS], *v_cache[LAYERS],
        *out[LAYERS];
};

/** bf16 of both signs and around 1. */
static segue_buffer *make_numbers(struct world *world, uint64_t count, uint32_t seed)
{
    segue_buffer *buffer = segue_test_buffer(world->test, count * 2);
    uint16_t *numbers = malloc(count * 2);
    assert_non_null(numbers);
    for (uint64_t i = 0; i < count; i++) {
        seed = seed * 1664525u + 1013904223u;
        numbers[i] = (uint16_t)((seed >> 16 & 0x80FF) | 0x3F00);
    }
    CHECK_OK(segue_buffer_write(buffer, 0, numbers, count * 2));
    free(numbers);
    return buffer;
}

static void make_settled(struct world *world, struct settled *s, uint32_t position)
{
    const uint64_t row = (uint64_t)KV_HEADS * s->head_size;
    float frequencies[128];
    for (uint32_t i = 0; i < s->head_size / 2; i++)
        frequencies[i] = 1.0f / (float)(1 + i);
    s->attention = (struct segue_gqa_decode_constants){HEADS, KV_HEADS, CAPACITY, 0.1f, 8, 0};
    segue_gqa_decode_get_sizes(&s->attention, s->head_size, &s->sizes);
    s->frequencies = segue_test_buffer(world->test, s->head_size * 2);
    CHECK_OK(segue_buffer_write(s->frequencies, 0, frequencies, s->head_size * 2));
    s->position = segue_test_buffer(world->test, 4);
    CHECK_OK(segue_buffer_write(s->position, 0, &position, 4));
    s->arrived = segue_test_zeros(world->test, s->sizes.arrived_bytes / 4);
    s->partials = segue_test_buffer(world->test, s->sizes.partials_bytes);
    for (uint32_t i = 0; i < LAYERS; i++) {
        // Each layer rotates what the one before has come to, so that they are one chain.
        s->q[i] =
            i > 0 ? s->out[i - 1] : make_numbers(world, (uint64_t)HEADS * s->head_size, 10 * i);
        s->k[i] = make_numbers(world, row, 10 * i + 1);
        s->v[i] = make_numbers(world, row, 10 * i + 2);
        s->k_cache[i] = make_numbers(world, CAPACITY * row, 10 * i + 3);
        s->v_cache[i] = make_numbers(world, CAPACITY * row, 10 * i + 4);
        s->out[i] = make_numbers(world, (uint64_t)HEADS * s->head_size, 5);
    }
}

static void dispatch(struct world *world, segue_command_buffer *commands,
                     enum segue_decode_kernel kernel, uint32_t grid, segue_buffer *const *buffers,
                     uint32_t count, const void *constants, size_t constants_size_bytes)
{
    struct segue_buffer_ref bindings[8];
    for (uint32_t i = 0; i < count; i++)
        bindings[i] = segue_test_whole(buffers[i]);
    const struct segue_dispatch dispatch = {
        .executable = world->decode,
        .entry_point = (uint32_t)kernel,
        .grid = {grid, 1, 1},
        .bindings = bindings,
        .binding_count = count,
        .constants = constants,
        .constants_size_bytes = constants_size_bytes,
    };
    CHECK_OK(segue_cmd_dispatch(commands, &dispatch));
    segue_test_barrier(commands);
}

static void run_settled(struct world *world, const struct settled *s)
{
    const struct segue_rope_kv_constants rope = {HEADS, KV_HEADS, s->head_size, CAPACITY};
    const uint32_t rope_grid = ((HEADS + KV_HEADS) * s->head_size / 2 + 127) / 128;
    segue_command_buffer *commands = segue_test_begin(world->test);
    for (uint32_t i = 0; i < LAYERS; i++) {
        segue_buffer *const rope_buffers[] = {
            s->q[i], s->k[i], s->v[i], s->frequencies, s->position, s->k_cache[i], s->v_cache[i]};
        dispatch(world, commands, SEGUE_DECODE_ROPE_KV, rope_grid, rope_buffers, 7, &rope,
                 sizeof(rope));
        segue_buffer *const buffers[] = {s->q[i],   s->k_cache[i], s->v_cache[i], s->position,
                                         s->out[i], s->arrived,    s->partials};
        dispatch(world, commands, segue_gqa_decode_kernel(s->head_size, false), s->sizes.grid,
                 buffers, 7, &s->attention, sizeof(s->attention));
    }
    segue_test_run(world->test, commands);
    segue_test_destroy(world->test, commands);
}

/** Reading settled rows early gives the same bits as reading all of them late; the row that the
 *  kernel before writes had other numbers in it. */
static void test_settled_rows(void **state)
{
    struct world world = {.test = *state};
    struct segue_executable_params params;
    static const uint32_t positions[] = {0, 511, 590};
    segue_kernels_get_decode(&params);
    CHECK_OK(segue_kernels_register(world.test->device));
    CHECK_OK(segue_executable_create(world.test->device, &params, &world.decode));
    for (uint32_t i = 0; i < 6; i++) {
        struct settled late = {.head_size = i % 2 ? 128 : 64}, early = late;
        make_settled(&world, &late, positions[i / 2]);
        make_settled(&world, &early, positions[i / 2]);
        early.attention.settled = 1;
        run_settled(&world, &late);
        run_settled(&world, &early);
        const uint64_t count = (uint64_t)HEADS * late.head_size / 2;
        uint32_t expected[HEADS * 128 / 2];
        for (uint32_t layer = 0; layer < LAYERS; layer++) {
            segue_test_read(late.out[layer], 0, count, expected);
            segue_test_expect(early.out[layer], 0, expected, count);
        }
    }
    segue_executable_destroy(world.decode);
}

int main(void)
{
    const int unprepared = segue_test_prepare();
    if (unprepared)
        return unprepared;
    const struct CMUnitTest tests[] = {segue_test_case(test_kernels_match_formulas),
                                       segue_test_case(test_settled_rows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
