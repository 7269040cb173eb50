// SPDX-License-Identifier: Apache-2.0
#include "plans.h"

#include "folder.h"

#include <stdlib.h>

#define WORDS TEST_PLAN_WORDS
#define BYTES TEST_PLAN_BYTES

/** Word i of an input. */
uint32_t test_plan_word(uint32_t input, uint64_t i)
{
    return segue_test_word(input, i);
}

bool test_plan_generate(void *context, uint64_t offset_bytes, void *data, size_t length_bytes)
{
    const uint32_t input = *(const uint32_t *)context;
    unsigned char *bytes = data;
    for (size_t i = 0; i < length_bytes; i++) {
        const uint64_t at = offset_bytes + i;
        bytes[i] = (unsigned char)(test_plan_word(input, at / 4) >> (8 * (at % 4)));
    }
    return true;
}

uint32_t test_plan_numbers[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

/** A generated input; its identity is its number. */
struct segue_prepack_source test_plan_generated(uint32_t input, uint64_t size_bytes)
{
    return (struct segue_prepack_source){
        .kind = SEGUE_PREPACK_GENERATOR,
        .generate = test_plan_generate,
        .generate_context = &test_plan_numbers[input],
        .identity = &test_plan_numbers[input],
        .identity_bytes = sizeof(test_plan_numbers[input]),
        .size_bytes = size_bytes,
    };
}

/** Packed by ADD: word i is the sum of the words of both inputs. */
struct segue_prepack_packing test_plan_packing(struct segue_test *test)
{
    static const uint32_t words = WORDS;
    static const uint32_t probe_words = 37;
    static const struct segue_prepack_probe probe = {
        .launch = {.grid = {1, 1, 1},
                   .constants = &probe_words,
                   .constants_size_bytes = sizeof(probe_words)},
        .input_bytes = {37 * 4, 37 * 4},
        .output_bytes = 37 * 4,
    };
    return (struct segue_prepack_packing){
        .executable = test->kernels,
        .entry_point = SEGUE_TEST_ADD,
        .launch = {.grid = {4, 1, 1}, .constants = &words, .constants_size_bytes = sizeof(words)},
        .layout_id = 7,
        .layout_version = 1,
        .probe = &probe,
    };
}

segue_prepack_plan *test_plan_make(struct segue_test *test,
                                   const struct segue_prepack_params *params)
{
    segue_prepack_plan *plan = NULL;
    CHECK_OK(segue_prepack_plan_create(test->device, params, &plan));
    return plan;
}

uint32_t test_plan_add(segue_prepack_plan *plan, const char *name,
                       struct segue_prepack_source source, segue_buffer *destination)
{
    const struct segue_prepack_constant constant = {
        .name = name, .sources = &source, .source_count = 1, .destination = destination};
    uint32_t index = UINT32_MAX;
    CHECK_OK(segue_prepack_plan_add(plan, &constant, &index));
    return index;
}

uint32_t test_plan_add_sum(struct segue_test *test, segue_prepack_plan *plan, const char *name,
                           uint32_t left, uint32_t right)
{
    const struct segue_prepack_source sources[] = {test_plan_generated(left, BYTES),
                                                   test_plan_generated(right, BYTES)};
    const struct segue_prepack_packing packing = test_plan_packing(test);
    const struct segue_prepack_constant constant = {
        .name = name,
        .sources = sources,
        .source_count = 2,
        .packing = &packing,
        .packed_bytes = BYTES,
    };
    uint32_t index = UINT32_MAX;
    CHECK_OK(segue_prepack_plan_add(plan, &constant, &index));
    return index;
}

void test_plan_read(segue_buffer *buffer, uint32_t *out_words, uint32_t count)
{
    CHECK_OK(segue_buffer_read(buffer, 0, out_words, (uint64_t)count * 4));
}

/** Checks that a constant holds input `left`, plus input `right` unless that is UINT32_MAX. */
void test_plan_check(segue_prepack_plan *plan, uint32_t constant, uint32_t left, uint32_t right)
{
    test_plan_check_words(plan, constant, left, right, WORDS);
}

void test_plan_check_words(segue_prepack_plan *plan, uint32_t constant, uint32_t left,
                           uint32_t right, uint32_t count)
{
    uint32_t *words = malloc((size_t)count * sizeof(*words));
    segue_buffer *buffer = NULL;
    assert_non_null(words);
    CHECK_OK(segue_prepack_plan_get_buffer(plan, constant, &buffer));
    test_plan_read(buffer, words, count);
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t expected =
            test_plan_word(left, i) + (right != UINT32_MAX ? test_plan_word(right, i) : 0);
        if (words[i] != expected)
            fail_msg("word %u of constant %u is %u, not %u", i, constant, words[i], expected);
    }
    segue_buffer_destroy(buffer);
    free(words);
}

struct segue_prepack_stats test_plan_stats(const segue_prepack_plan *plan)
{
    struct segue_prepack_stats stats;
    segue_prepack_plan_get_stats(plan, &stats);
    return stats;
}

void test_plan_wait(segue_prepack_plan *plan)
{
    struct segue_semaphore_value point;
    segue_prepack_plan_get_point(plan, &point);
    CHECK_OK(segue_semaphore_wait(point.semaphore, point.value, SEGUE_TIMEOUT_INFINITE));
}

struct segue_memory_stats test_plan_memory(struct segue_test *test)
{
    struct segue_memory_stats memory;
    segue_device_get_memory_stats(test->device, &memory);
    return memory;
}

void test_plan_check_nothing_is_left(struct segue_test *test, segue_prepack_plan *plan,
                                     const char *folder)
{
    struct segue_semaphore_value point;
    segue_prepack_plan_get_point(plan, &point);
    uint64_t reached = 0;
    CHECK_OK(segue_semaphore_query(point.semaphore, &reached));
    assert_int_equal(reached, 0);
    segue_buffer *buffer = NULL;
    CHECK_STATUS(segue_prepack_plan_get_buffer(plan, 0, &buffer), SEGUE_INVALID_STATE);
    segue_prepack_plan_destroy(plan);
    const struct segue_memory_stats memory = test_plan_memory(test);
    assert_int_equal(memory.constant.current_bytes, 0);
    assert_int_equal(memory.device.current_bytes, 0);
    assert_int_equal(memory.host_visible.current_bytes, 0);
    if (folder != NULL) {
        assert_int_equal(segue_test_count_files(folder, ".pack", NULL), 0);
        assert_int_equal(segue_test_count_files(folder, "", NULL),
                         segue_test_count_files(folder, "lock", NULL));
    }
}
