// SPDX-License-Identifier: Apache-2.0
// The references of the decode kernels against the formulas, and their ranges against what they
// really touch.
#include "decode/philox.h"
#include "kernel_cases.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define GUARD_BYTES 256
#define GUARD_VALUE 0xA5
#define MAX_PARAMETERS 16

/** A launch whose addresses are host addresses. */
struct rig {
    const struct kernel_case *test;
    const struct segue_entry_point *entry;
    const struct segue_reference_kernel *reference;
    /** Each binding's memory between two guards. */
    uint8_t *blocks[KERNEL_CASE_MAX_BINDINGS];
    uint64_t values[MAX_PARAMETERS][2];
    const void *parameters[MAX_PARAMETERS];
    struct segue_reference_launch launch;
    struct segue_reference_range ranges[MAX_PARAMETERS];
    uint32_t range_count;
    bool outside_ranges;
};

static uint8_t *binding_data(struct rig *rig, uint32_t binding)
{
    return rig->blocks[binding] + GUARD_BYTES;
}

static void rig_open(struct rig *rig, const struct kernel_case *test)
{
    struct segue_executable_params params;
    uint32_t reference_count;
    segue_kernels_get_decode(&params);
    *rig = (struct rig){.test = test, .entry = &params.entry_points[test->kernel]};
    rig->reference = &segue_kernels_get_references(&reference_count)[test->kernel];
    assert_true(test->kernel < reference_count);

    for (uint32_t i = 0; i < test->binding_count; i++) {
        const struct kernel_case_binding *binding = &test->bindings[i];
        rig->blocks[i] = malloc(binding->size_bytes + 2 * GUARD_BYTES);
        assert_non_null(rig->blocks[i]);
        memset(rig->blocks[i], GUARD_VALUE, binding->size_bytes + 2 * GUARD_BYTES);
        memcpy(binding_data(rig, i), binding->data, binding->size_bytes);
        rig->values[i][0] = (uintptr_t)binding_data(rig, i);
    }
    for (uint32_t i = 0; i < test->constant_count; i++)
        memcpy(rig->values[test->binding_count + i], &test->constants[i], 4);
    for (uint32_t i = 0; i < MAX_PARAMETERS; i++)
        rig->parameters[i] = rig->values[i];
    rig->launch = (struct segue_reference_launch){
        .grid = {test->grid, 1, 1},
        .block = {rig->entry->block_size[0], 1, 1},
        .parameters = rig->parameters,
        .parameter_count = test->binding_count + test->constant_count,
        .user = rig->reference->user,
        .driver = rig,
    };
    assert_int_equal(rig->entry->parameter_count, rig->launch.parameter_count);
}

static void rig_close(struct rig *rig)
{
    for (uint32_t i = 0; i < rig->test->binding_count; i++)
        free(rig->blocks[i]);
}

static bool add_range(struct segue_reference_ranges *ranges, uint64_t address, uint64_t size_bytes,
                      bool read, bool write)
{
    struct rig *rig = ranges->driver;
    assert_true(rig->range_count < MAX_PARAMETERS);
    rig->ranges[rig->range_count++] =
        (struct segue_reference_range){address, size_bytes, read, write};
    return true;
}

static void collect_ranges(struct rig *rig)
{
    struct segue_reference_ranges collector = {.add_range = add_range, .driver = rig};
    rig->range_count = 0;
    rig->reference->ranges(&rig->launch, &collector);
}

static void *translate(const struct segue_reference_launch *launch, uint64_t address,
                       uint64_t size_bytes)
{
    struct rig *rig = launch->driver;
    bool inside = false;
    for (uint32_t i = 0; i < rig->range_count; i++)
        inside |= address >= rig->ranges[i].address &&
                  address + size_bytes <= rig->ranges[i].address + rig->ranges[i].size_bytes;
    rig->outside_ranges |= !inside;
    return (void *)(uintptr_t)address;
}

static void *translate_nothing(const struct segue_reference_launch *launch, uint64_t address,
                               uint64_t size_bytes)
{
    (void)launch;
    (void)address;
    (void)size_bytes;
    return NULL;
}

static void check_guards(struct rig *rig)
{
    for (uint32_t i = 0; i < rig->test->binding_count; i++) {
        const size_t size_bytes = rig->test->bindings[i].size_bytes;
        for (size_t k = 0; k < GUARD_BYTES; k++) {
            assert_int_equal(rig->blocks[i][k], GUARD_VALUE);
            assert_int_equal(rig->blocks[i][GUARD_BYTES + size_bytes + k], GUARD_VALUE);
        }
    }
}

/** The case's memory is exactly what the kernel may touch, so the ranges must be all of it, with
 * the access that the entry point declares. */
static void check_ranges(const struct rig *rig)
{
    assert_int_equal(rig->range_count, rig->test->binding_count);
    for (uint32_t i = 0; i < rig->range_count; i++) {
        const enum segue_access access = rig->entry->parameters[i].access;
        const struct segue_reference_range *range = &rig->ranges[i];
        assert_int_equal(range->address, rig->values[i][0]);
        assert_int_equal(range->size_bytes, rig->test->bindings[i].size_bytes);
        assert_int_equal(range->read, access != SEGUE_ACCESS_WRITE);
        assert_int_equal(range->write,
                         access == SEGUE_ACCESS_WRITE || access == SEGUE_ACCESS_READ_WRITE);
    }
}

static void test_references_match_formulas(void **state)
{
    (void)state;
    for (uint32_t index = 0; index < kernel_case_total(); index++) {
        struct kernel_case test;
        struct rig rig;
        kernel_case_make(index, &test);
        rig_open(&rig, &test);
        collect_ranges(&rig);
        check_ranges(&rig);
        if (!rig.reference->run(&rig.launch, translate))
            fail_msg("%s: the launch failed", test.name);
        assert_false(rig.outside_ranges);
        check_guards(&rig);
        for (uint32_t i = 0; i < test.binding_count; i++)
            kernel_case_check(&test, i, binding_data(&rig, i));
        rig_close(&rig);
        kernel_case_free(&test);
    }
}

static void test_references_fail_without_memory(void **state)
{
    (void)state;
    for (uint32_t index = 0; index < kernel_case_total(); index++) {
        struct kernel_case test;
        struct rig rig;
        kernel_case_make(index, &test);
        rig_open(&rig, &test);
        assert_false(rig.reference->run(&rig.launch, translate_nothing));
        rig_close(&rig);
        kernel_case_free(&test);
    }
}

/** Shapes that a kernel cannot do are refused instead of computed wrongly. */
static void test_references_refuse_bad_shapes(void **state)
{
    (void)state;
    static const struct {
        enum segue_decode_kernel kernel;
        uint32_t constant;
        uint32_t value;
    } bad[] = {
        {SEGUE_DECODE_EMBED_INT4, 0, 0},    {SEGUE_DECODE_EMBED_INT4, 1, 33},
        {SEGUE_DECODE_LINEAR_INT4, 1, 48},  {SEGUE_DECODE_LINEAR_INT4_F32, 1, 0},
        {SEGUE_DECODE_ROPE_KV, 2, 7},       {SEGUE_DECODE_ROPE_KV, 3, 0},
        {SEGUE_DECODE_ROPE_KV_FP8, 2, 7},   {SEGUE_DECODE_GQA_64, 0, 0},
        {SEGUE_DECODE_GQA_64, 1, 7},        {SEGUE_DECODE_GQA_128, 1, 0},
        {SEGUE_DECODE_GQA_256, 2, 0},       {SEGUE_DECODE_GQA_FP8_64, 4, 0},
        {SEGUE_DECODE_ARGMAX, 0, 0},        {SEGUE_DECODE_SAMPLE_TOP_K, 0, 0},
        {SEGUE_DECODE_ARGMAX, 0, 1u << 31}, {SEGUE_DECODE_SAMPLE_TOP_K, 0, UINT32_MAX},
    };
    for (size_t k = 0; k < sizeof(bad) / sizeof(bad[0]); k++) {
        for (uint32_t index = 0; index < kernel_case_total(); index++) {
            struct kernel_case test;
            struct rig rig;
            if (kernel_case_kernel(index) != bad[k].kernel)
                continue;
            kernel_case_make(index, &test);
            test.constants[bad[k].constant] = bad[k].value;
            rig_open(&rig, &test);
            if (rig.reference->run(&rig.launch, translate))
                fail_msg("%s: constant %u of %u passed", test.name, bad[k].constant, bad[k].value);
            rig_close(&rig);
            kernel_case_free(&test);
        }
    }
}

/** Sizes beyond 64 bits are neither small nor wrapped. */
static void test_references_refuse_sizes_beyond_64_bits(void **state)
{
    (void)state;
    static const struct {
        enum segue_decode_kernel kernel;
        uint32_t constants[4];
    } bad[] = {
        {SEGUE_DECODE_ROPE_KV, {1u << 31, 1u << 31, 1u << 16, 1u << 17}},
        {SEGUE_DECODE_ROPE_KV, {1, 1u << 31, 1u << 16, 1u << 16}},
        {SEGUE_DECODE_ROPE_KV, {UINT32_MAX, 1, UINT32_MAX - 1, 1}},
        {SEGUE_DECODE_ROPE_KV_FP8, {1, 1u << 31, 1u << 16, 1u << 17}},
        {SEGUE_DECODE_GQA_64, {1u << 31, 1u << 31, 1u << 26, 0}},
        {SEGUE_DECODE_GQA_FP8_128, {1u << 31, 1u << 31, 1u << 26, 0}},
    };
    for (size_t k = 0; k < sizeof(bad) / sizeof(bad[0]); k++) {
        uint32_t index = 0;
        while (kernel_case_kernel(index) != bad[k].kernel)
            index++;
        const bool rope =
            bad[k].kernel == SEGUE_DECODE_ROPE_KV || bad[k].kernel == SEGUE_DECODE_ROPE_KV_FP8;
        struct kernel_case test;
        struct rig rig;
        kernel_case_make(index, &test);
        for (uint32_t i = 0; i < (rope ? 4 : 3); i++)
            test.constants[i] = bad[k].constants[i];
        rig_open(&rig, &test);
        assert_false(rig.reference->run(&rig.launch, translate));
        collect_ranges(&rig);
        bool beyond = false;
        for (uint32_t i = 0; i < rig.range_count; i++) {
            assert_true(rig.ranges[i].size_bytes <= UINT64_MAX - rig.ranges[i].address);
            beyond |= rig.ranges[i].size_bytes == UINT64_MAX - rig.ranges[i].address;
        }
        assert_true(beyond);
        rig_close(&rig);
        kernel_case_free(&test);
    }
}

static void test_splits_fill_the_device(void **state)
{
    (void)state;
    static const struct {
        uint32_t heads, kv_heads, capacity, head_size, multiprocessor_count, splits;
    } cases[] = {
        {32, 8, 131072, 64, 132, 40},  // Three blocks are resident at a time, in clusters of eight.
        {32, 8, 131072, 128, 132, 24}, // Two.
        {38, 2, 131072, 128, 132, 32}, // Nineteen heads are three groups.
        {32, 8, 128, 128, 132, 2},     // No more than there are rows for.
        {1, 1, 1u << 20, 64, 1000, 512}, {32, 8, 4, 128, 132, 1},     {32, 8, 131072, 128, 4, 8},
        {32, 8, 131072, 128, 0, 8},      {0, 8, 131072, 128, 132, 1}, {8, 0, 131072, 128, 132, 1},
        {4, 8, 131072, 128, 132, 1}, // Not valid, but no division by zero.
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct segue_gqa_decode_constants constants = {
            .heads = cases[i].heads,
            .kv_heads = cases[i].kv_heads,
            .capacity = cases[i].capacity,
        };
        assert_int_equal(
            segue_gqa_decode_splits(&constants, cases[i].head_size, cases[i].multiprocessor_count),
            cases[i].splits);
    }
}

static void test_declarations_agree(void **state)
{
    (void)state;
    struct segue_executable_params params;
    uint32_t reference_count;
    const struct segue_reference_kernel *references =
        segue_kernels_get_references(&reference_count);
    segue_kernels_get_decode(&params);
    assert_int_equal(params.entry_point_count, reference_count);
    assert_int_equal(params.size_bytes, strlen(params.data));
    for (uint32_t i = 0; i < reference_count; i++) {
        const struct segue_entry_point *entry = &params.entry_points[i];
        assert_string_equal(entry->name, references[i].name);
        assert_int_equal(entry->parameter_count, references[i].parameter_count);
        for (uint32_t k = 0; k < entry->parameter_count; k++) {
            const struct segue_parameter *parameter = &entry->parameters[k];
            const bool is_binding = parameter->kind == SEGUE_PARAMETER_BINDING;
            assert_int_equal(references[i].parameter_sizes[k],
                             is_binding ? 8 : parameter->size_bytes);
        }
    }
}

static void test_rope_frequencies(void **state)
{
    (void)state;
    const struct segue_rope_scaling plain = {.theta = 5e5, .factor = 1.0};
    const struct segue_rope_scaling llama3 = {
        .theta = 5e5,
        .factor = 32.0,
        .low_factor = 1.0,
        .high_factor = 4.0,
        .original_context = 8192.0,
    };
    float unscaled[32], scaled[32];
    segue_rope_frequencies(&plain, 64, unscaled);
    segue_rope_frequencies(&llama3, 64, scaled);
    for (int i = 0; i < 32; i++) {
        const double exact = exp(-2.0 * i / 64.0 * log(5e5));
        assert_true(fabs(unscaled[i] - exact) <= 1e-6 * exact);
        // 8192 / 4 and 8192 / 1 positions a turn are where the mix begins and ends.
        const double turn = 2.0 * acos(-1.0) / exact;
        if (turn < 2048.0)
            assert_true(scaled[i] == unscaled[i]);
        else if (turn > 8192.0)
            assert_true(fabs(scaled[i] - exact / 32.0) <= 1e-6 * exact);
        else
            assert_true(scaled[i] < unscaled[i] && scaled[i] > unscaled[i] / 32.0f);
    }
    // Frequency 15 of Llama 3.2 1B: 5e5^(-15/32), one turn in 2948.3 positions.
    assert_true(fabs(scaled[15] / 0.00129054793 - 1.0) < 1e-6);
}

/** The known answers that come with the generator's authors' library (Random123, kat_vectors). */
static void test_random_numbers(void **state)
{
    (void)state;
    static const struct {
        uint32_t counter[4], key[2], result[4];
    } known[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8}},
        {{0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF},
         {0xFFFFFFFF, 0xFFFFFFFF},
         {0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD}},
        {{0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344},
         {0xA4093822, 0x299F31D0},
         {0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1}},
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        uint32_t words[4];
        memcpy(words, known[i].counter, sizeof(words));
        philox4x32_10(known[i].key, words);
        assert_memory_equal(words, known[i].result, sizeof(words));
    }
}

/** Over many positions tokens come as often as their probabilities say. */
static void test_sampled_frequencies(void **state)
{
    (void)state;
    enum { LOGITS = 6, TOP_K = 4, DRAWS = 20000 };
    float logits[LOGITS] = {1.0f, -1.0f, 2.0f, 0.5f, 1.5f, -3.0f};
    const struct segue_sampling sampling = {{1, 2}, 0.8f, TOP_K};
    uint32_t position, token, arrived = 0, count = LOGITS, counts[LOGITS] = {0};
    uint64_t candidates[SEGUE_SAMPLE_MAX_TOP_K];
    const void *const memory[] = {logits, &sampling, &position, &token, &arrived, candidates};
    struct rig rig = {.range_count = 0};
    for (uint32_t i = 0; i < 6; i++) {
        rig.values[i][0] = (uintptr_t)memory[i];
        rig.parameters[i] = rig.values[i];
    }
    rig.parameters[6] = &count;
    rig.launch = (struct segue_reference_launch){
        .parameters = rig.parameters, .parameter_count = 7, .driver = &rig};
    uint32_t reference_count;
    const struct segue_reference_kernel *reference =
        &segue_kernels_get_references(&reference_count)[SEGUE_DECODE_SAMPLE_TOP_K];
    for (position = 0; position < DRAWS; position++) {
        assert_true(reference->run(&rig.launch, translate));
        assert_true(token < LOGITS);
        counts[token]++;
    }
    double total = 0.0;
    for (uint32_t i = 0; i < LOGITS; i++)
        total += logits[i] >= 0.5f ? exp(logits[i] / 0.8) : 0.0;
    for (uint32_t i = 0; i < LOGITS; i++) {
        const double share = logits[i] >= 0.5f ? exp(logits[i] / 0.8) / total : 0.0;
        const double deviation = sqrt(DRAWS * share * (1.0 - share));
        assert_true(fabs(counts[i] - DRAWS * share) <= 4.0 * deviation);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_references_match_formulas),
        cmocka_unit_test(test_references_fail_without_memory),
        cmocka_unit_test(test_references_refuse_bad_shapes),
        cmocka_unit_test(test_references_refuse_sizes_beyond_64_bits),
        cmocka_unit_test(test_splits_fill_the_device),
        cmocka_unit_test(test_declarations_agree),
        cmocka_unit_test(test_rope_frequencies),
        cmocka_unit_test(test_random_numbers),
        cmocka_unit_test(test_sampled_frequencies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
