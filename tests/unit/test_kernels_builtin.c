// SPDX-License-Identifier: Apache-2.0
// The references of the built-in kernels at every alignment, and their device code's entry points.
#include "builtin.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BLOCK_BYTES 128
#define OFFSET_BYTES 32

static bool is_valid_memory;
static uint64_t translated_address[4];
static uint64_t translated_bytes[4];
static uint32_t translation_count;

static void *translate(const struct segue_reference_launch *launch, uint64_t address,
                       uint64_t size_bytes)
{
    (void)launch;
    assert_true(translation_count < 4);
    translated_address[translation_count] = address;
    translated_bytes[translation_count++] = size_bytes;
    return is_valid_memory ? (void *)(uintptr_t)address : NULL;
}

struct collected {
    struct segue_reference_ranges base;
    struct segue_reference_range ranges[4];
    uint32_t count;
};

static bool add_range(struct segue_reference_ranges *ranges, uint64_t address, uint64_t size_bytes,
                      bool read, bool write)
{
    struct collected *collected = ranges->driver;
    assert_true(collected->count < 4);
    collected->ranges[collected->count++] =
        (struct segue_reference_range){address, size_bytes, read, write};
    return true;
}

static const struct segue_reference_kernel *find(const char *name)
{
    for (uint32_t i = 0; i < segue_builtin_reference_count; i++) {
        if (strcmp(segue_builtin_references[i].name, name) == 0)
            return &segue_builtin_references[i];
    }
    fail_msg("no reference of %s", name);
    return NULL;
}

static bool run(const char *name, const void *const *parameters, uint32_t parameter_count,
                struct collected *out_collected)
{
    const struct segue_reference_kernel *kernel = find(name);
    const struct segue_reference_launch launch = {
        .grid = {1, 1, 1},
        .block = {SEGUE_BUILTIN_BLOCK_SIZE, 1, 1},
        .parameters = parameters,
        .parameter_count = parameter_count,
    };
    assert_int_equal(kernel->parameter_count, parameter_count);
    *out_collected = (struct collected){.base = {.add_range = add_range, .driver = out_collected}};
    kernel->ranges(&launch, &out_collected->base);
    translation_count = 0;
    return kernel->run(&launch, translate);
}

/** All memory that was asked for is a stated range, in the same order. */
static void check_ranges(const struct collected *collected)
{
    assert_int_equal(collected->count, translation_count);
    for (uint32_t i = 0; i < collected->count; i++) {
        assert_int_equal(collected->ranges[i].address, translated_address[i]);
        assert_int_equal(collected->ranges[i].size_bytes, translated_bytes[i]);
    }
}

static void check_fill(uint32_t phase, uint64_t length_bytes, uint32_t pattern_size)
{
    const uint32_t pattern = pattern_size == 1   ? 0x5A5A5A5Au
                             : pattern_size == 2 ? 0x34123412u
                                                 : 0x78563412u;
    uint8_t block[BLOCK_BYTES], expected[BLOCK_BYTES];
    memset(block, 0xEE, sizeof(block));
    memset(expected, 0xEE, sizeof(expected));
    for (uint64_t k = 0; k < length_bytes; k++)
        expected[OFFSET_BYTES + phase + k] = (uint8_t)(pattern >> (8 * (k % pattern_size)));

    const uint64_t target = (uintptr_t)block + OFFSET_BYTES + phase;
    const void *parameters[] = {&target, &length_bytes, &pattern, &pattern_size};
    struct collected collected;
    assert_true(run(SEGUE_BUILTIN_FILL_NAME, parameters, 4, &collected));
    assert_memory_equal(block, expected, sizeof(block));
    check_ranges(&collected);
    assert_int_equal(collected.count, length_bytes > 0);
    if (length_bytes > 0) {
        assert_false(collected.ranges[0].read);
        assert_true(collected.ranges[0].write);
    }
}

static void test_fill(void **state)
{
    (void)state;
    is_valid_memory = true;
    for (uint32_t phase = 0; phase < 17; phase++) {
        for (uint64_t length_bytes = 0; length_bytes < 50; length_bytes++) {
            for (uint32_t pattern_size = 1; pattern_size <= 4; pattern_size *= 2)
                check_fill(phase, length_bytes, pattern_size);
        }
    }
}

static void check_copy(uint32_t source_phase, uint32_t target_phase, uint64_t length_bytes)
{
    uint8_t from[BLOCK_BYTES], to[BLOCK_BYTES], expected[BLOCK_BYTES];
    for (uint32_t i = 0; i < BLOCK_BYTES; i++)
        from[i] = (uint8_t)(i * 37 + 1);
    memset(to, 0xEE, sizeof(to));
    memset(expected, 0xEE, sizeof(expected));
    memcpy(expected + OFFSET_BYTES + target_phase, from + OFFSET_BYTES + source_phase,
           length_bytes);

    const uint64_t source = (uintptr_t)from + OFFSET_BYTES + source_phase;
    const uint64_t target = (uintptr_t)to + OFFSET_BYTES + target_phase;
    const void *parameters[] = {&source, &target, &length_bytes};
    struct collected collected;
    assert_true(run(SEGUE_BUILTIN_COPY_NAME, parameters, 3, &collected));
    assert_memory_equal(to, expected, sizeof(to));
    check_ranges(&collected);
    assert_int_equal(collected.count, length_bytes > 0 ? 2 : 0);
    if (length_bytes > 0) {
        assert_true(collected.ranges[0].read && !collected.ranges[0].write);
        assert_true(collected.ranges[1].write && !collected.ranges[1].read);
    }
}

static void test_copy(void **state)
{
    (void)state;
    is_valid_memory = true;
    for (uint32_t phases = 0; phases < 64; phases++) {
        for (uint64_t length_bytes = 0; length_bytes < 50; length_bytes++)
            check_copy(phases / 8, phases % 8, length_bytes);
    }
}

static void test_join(void **state)
{
    (void)state;
    struct collected collected;
    assert_true(run(SEGUE_BUILTIN_JOIN_NAME, NULL, 0, &collected));
    assert_int_equal(collected.count, 0);
    assert_int_equal(translation_count, 0);
}

static void test_failures(void **state)
{
    (void)state;
    const uint64_t address = 4096, length_bytes = 16;
    const uint32_t pattern = 0, good_size = 1, bad_size = 3;
    struct collected collected;
    is_valid_memory = false;
    const void *fill[] = {&address, &length_bytes, &pattern, &good_size};
    assert_false(run(SEGUE_BUILTIN_FILL_NAME, fill, 4, &collected));
    const void *copy[] = {&address, &address, &length_bytes};
    assert_false(run(SEGUE_BUILTIN_COPY_NAME, copy, 3, &collected));
    is_valid_memory = true;
    fill[3] = &bad_size;
    assert_false(run(SEGUE_BUILTIN_FILL_NAME, fill, 4, &collected));
}

/** Any driver from 12.4 on and any GPU from sm_70 on takes the text, and it has the kernels. */
static void test_ptx(void **state)
{
    (void)state;
    assert_non_null(strstr(segue_builtin_ptx, ".version 8.4\n"));
    assert_non_null(strstr(segue_builtin_ptx, ".target sm_70\n"));
    for (uint32_t i = 0; i < segue_builtin_reference_count; i++) {
        const struct segue_reference_kernel *kernel = &segue_builtin_references[i];
        char text[96];
        snprintf(text, sizeof(text), ".visible .entry %s(", kernel->name);
        assert_non_null(strstr(segue_builtin_ptx, text));
        for (uint32_t k = 0; k < kernel->parameter_count; k++) {
            snprintf(text, sizeof(text), ".param .u%u %s_param_%u", kernel->parameter_sizes[k] * 8,
                     kernel->name, k);
            assert_non_null(strstr(segue_builtin_ptx, text));
        }
        snprintf(text, sizeof(text), "%s_param_%u", kernel->name, kernel->parameter_count);
        assert_null(strstr(segue_builtin_ptx, text));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fill),     cmocka_unit_test(test_copy), cmocka_unit_test(test_join),
        cmocka_unit_test(test_failures), cmocka_unit_test(test_ptx),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
