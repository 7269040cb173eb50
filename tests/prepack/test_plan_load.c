// SPDX-License-Identifier: Apache-2.0
// How plans load: the pinned memory never exceeds its cap, what arrives does not depend on how it
// was cut, and what fails in the middle leaves nothing.
#include "folder.h"
#include "plans.h"

#include <segue/quant.h>

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/** Constant i of the small ones: its size in words. */
static uint32_t small_words(uint32_t i)
{
    return 1 + i * 37 % 700;
}

/** Pinned memory by the device's own count, not the plan's. */
static void test_cap(void **state)
{
    struct segue_test *test = *state;
    static const uint64_t caps[] = {8192, 12288, 65536, UINT64_C(1) << 20};
    for (size_t c = 0; c < sizeof(caps) / sizeof(caps[0]); c++) {
        const struct segue_prepack_params params = {
            .limits = {.staging_bytes = caps[c],
                       .slot_bytes = caps[c] / (c + 2),
                       .first_bytes = c % 2 != 0 ? SEGUE_PREPACK_OFF : 0,
                       .next_bytes = c % 2 != 0 ? SEGUE_PREPACK_OFF : 0,
                       .age_ns = SEGUE_PREPACK_OFF,
                       .reader_count = 4}};
        segue_prepack_plan *plan = test_plan_make(test, &params);
        for (uint32_t i = 0; i < 200; i++) {
            char name[32];
            (void)snprintf(name, sizeof(name), "small %u", i);
            (void)test_plan_add(
                plan, name, test_plan_generated(1 + i % 15, 4 * (uint64_t)small_words(i)), NULL);
        }
        const uint32_t large = test_plan_add(plan, "large", test_plan_generated(7, 150000), NULL);
        const uint32_t sum = test_plan_add_sum(test, plan, "sum", 1, 2);
        CHECK_OK(segue_prepack_plan_run(plan));
        test_plan_wait(plan);
        const struct segue_memory_stats memory = test_plan_memory(test);
        assert_true(memory.host_visible.peak_bytes <= caps[c]);
        assert_true(memory.host_visible.peak_bytes >= 8192);
        assert_int_equal(memory.host_visible.current_bytes,
                         test_plan_stats(plan).peak_staging_bytes);
        for (uint32_t i = 0; i < 200; i += 13)
            test_plan_check_words(plan, i, 1 + i % 15, UINT32_MAX, small_words(i));
        test_plan_check_words(plan, large, 7, UINT32_MAX, 37500);
        test_plan_check(plan, sum, 1, 2);
        segue_prepack_plan_destroy(plan);
        assert_int_equal(test_plan_memory(test).host_visible.current_bytes, 0);
    }
}

/** Many tensors are on their way at a time: far fewer increments than tensors. */
static void test_small_tensors_share_increments(void **state)
{
    struct segue_test *test = *state;
    const struct segue_prepack_params params = {
        .limits = {.age_ns = SEGUE_PREPACK_OFF, .reader_count = 3}};
    segue_prepack_plan *plan = test_plan_make(test, &params);
    for (uint32_t i = 0; i < 500; i++)
        (void)test_plan_add(plan, "small", test_plan_generated(i % 16, 16 + 4 * (uint64_t)i), NULL);
    CHECK_OK(segue_prepack_plan_run(plan));
    test_plan_wait(plan);
    assert_true(test_plan_stats(plan).increment_count <= 3);
    for (uint32_t i = 0; i < 500; i += 7)
        test_plan_check_words(plan, i, i % 16, UINT32_MAX, 4 + i);
    segue_prepack_plan_destroy(plan);
}

/** Readers that are at it at the same time. */
static atomic_uint readers_inside;
static atomic_uint most_inside;

/** Waits a while for two more. */
static bool generate_together(void *context, uint64_t offset_bytes, void *data, size_t length_bytes)
{
    const uint32_t inside = atomic_fetch_add(&readers_inside, 1) + 1;
    unsigned int most = atomic_load(&most_inside);
    while (inside > most && !atomic_compare_exchange_weak(&most_inside, &most, inside)) {
    }
    const struct timespec time = {.tv_nsec = 1000000};
    for (int i = 0; i < 1000 && atomic_load(&most_inside) < 3; i++)
        (void)nanosleep(&time, NULL);
    atomic_fetch_sub(&readers_inside, 1);
    return test_plan_generate(context, offset_bytes, data, length_bytes);
}

/** Tensors of one piece each are read by several threads at the same time. */
static void test_tensors_are_read_at_the_same_time(void **state)
{
    struct segue_test *test = *state;
    const struct segue_prepack_params params = {.limits = {.reader_count = 3}};
    segue_prepack_plan *plan = test_plan_make(test, &params);
    atomic_store(&most_inside, 0);
    for (uint32_t i = 0; i < 6; i++) {
        struct segue_prepack_source source = test_plan_generated(i, 4000 + 4 * (uint64_t)i);
        source.generate = generate_together;
        (void)test_plan_add(plan, "small", source, NULL);
    }
    CHECK_OK(segue_prepack_plan_run(plan));
    test_plan_wait(plan);
    assert_int_equal(atomic_load(&most_inside), 3);
    segue_prepack_plan_destroy(plan);
}

/** What increments had, by the progress that was reported. */
struct increments {
    uint64_t first_bytes;
    uint64_t most_bytes;
    uint64_t last_bytes;
    uint64_t count;
};

static void note_increment(void *context, const struct segue_prepack_progress *progress)
{
    struct increments *increments = context;
    const uint64_t bytes = progress->done_bytes - increments->last_bytes;
    increments->last_bytes = progress->done_bytes;
    increments->count = progress->increment_count;
    if (increments->first_bytes == 0)
        increments->first_bytes = bytes;
    else if (bytes > increments->most_bytes)
        increments->most_bytes = bytes;
}

static struct increments load_with(struct segue_test *test, struct segue_prepack_limits limits,
                                   segue_prepack_generate_fn generate)
{
    struct increments increments = {0};
    limits.staging_bytes = UINT64_C(1) << 20;
    limits.slot_bytes = UINT64_C(256) << 10;
    const struct segue_prepack_params params = {
        .limits = limits, .progress = note_increment, .progress_context = &increments};
    segue_prepack_plan *plan = test_plan_make(test, &params);
    for (uint32_t i = 0; i < 12; i++) {
        struct segue_prepack_source source = test_plan_generated(i, 32768);
        source.generate = generate;
        (void)test_plan_add(plan, "constant", source, NULL);
    }
    CHECK_OK(segue_prepack_plan_run(plan));
    test_plan_wait(plan);
    for (uint32_t i = 0; i < 12; i++)
        test_plan_check_words(plan, i, i, UINT32_MAX, 8192);
    segue_prepack_plan_destroy(plan);
    return increments;
}

static bool generate_slowly(void *context, uint64_t offset_bytes, void *data, size_t length_bytes)
{
    const struct timespec time = {.tv_nsec = 3000000};
    (void)nanosleep(&time, NULL);
    return test_plan_generate(context, offset_bytes, data, length_bytes);
}

/** Each limit alone, the others off. */
static void test_each_limit_alone(void **state)
{
    struct segue_test *test = *state;
    const struct segue_prepack_limits off = {.first_bytes = SEGUE_PREPACK_OFF,
                                             .first_commands = SEGUE_PREPACK_OFF,
                                             .next_bytes = SEGUE_PREPACK_OFF,
                                             .next_commands = SEGUE_PREPACK_OFF,
                                             .age_ns = SEGUE_PREPACK_OFF};
    struct increments got = load_with(test, off, test_plan_generate);
    assert_int_equal(got.count, 1);
    struct segue_prepack_limits limits = off;
    limits.first_bytes = 10000;
    got = load_with(test, limits, test_plan_generate);
    assert_int_equal(got.first_bytes, 10000);
    assert_int_equal(got.count, 2);
    limits = off;
    limits.first_commands = 2;
    got = load_with(test, limits, test_plan_generate);
    assert_int_equal(got.first_bytes, 2 * 32768);
    assert_int_equal(got.count, 2);
    limits = off;
    limits.first_commands = 1;
    limits.next_bytes = 65536;
    got = load_with(test, limits, test_plan_generate);
    assert_int_equal(got.first_bytes, 32768);
    assert_int_equal(got.most_bytes, 65536);
    limits = off;
    limits.first_commands = 1;
    limits.next_commands = 3;
    got = load_with(test, limits, test_plan_generate);
    assert_int_equal(got.first_bytes, 32768);
    assert_int_equal(got.most_bytes, 3 * 32768);
    limits = off;
    limits.age_ns = 1000000;
    limits.reader_count = 2;
    // On a loaded machine all may have been read before the first piece was looked at.
    got.count = 0;
    for (int i = 0; i < 20 && got.count < 2; i++)
        got = load_with(test, limits, generate_slowly);
    assert_true(got.count >= 2);
}

/** Memory at the first progress that is reported. */
struct beginning {
    struct segue_test *test;
    uint64_t done_bytes;
    uint64_t pinned_bytes;
};

static void note_beginning(void *context, const struct segue_prepack_progress *progress)
{
    struct beginning *beginning = context;
    if (beginning->done_bytes != 0)
        return;
    beginning->done_bytes = progress->done_bytes;
    beginning->pinned_bytes = test_plan_memory(beginning->test).host_visible.current_bytes;
}

/** A slot is filled anew only when all increments that copy it are done, on either queue. */
static void test_slots_of_several_increments(void **state)
{
    struct segue_test *test = *state;
    const uint64_t slot_bytes = 32768;
    for (uint32_t round = 0; round < 6; round++) {
        const struct segue_prepack_params params = {.limits = {.staging_bytes = 3 * slot_bytes,
                                                               .slot_bytes = slot_bytes,
                                                               .first_bytes = 5000,
                                                               .next_bytes = 5000 + 1000 * round,
                                                               .reader_count = 1 + round % 3}};
        segue_prepack_plan *plan = test_plan_make(test, &params);
        for (uint32_t i = 0; i < 8; i++)
            (void)test_plan_add(plan, "constant",
                                test_plan_generated(i, 3 * slot_bytes + 4 * (uint64_t)i), NULL);
        CHECK_OK(segue_prepack_plan_run(plan));
        test_plan_wait(plan);
        for (uint32_t i = 0; i < 8; i++)
            test_plan_check_words(plan, i, i, UINT32_MAX, (uint32_t)(3 * slot_bytes / 4) + i);
        segue_prepack_plan_destroy(plan);
    }
}

/** How large increments were, in order. */
struct growth {
    uint64_t bytes[8];
    uint32_t count;
    uint64_t done_bytes;
};

static void note_growth(void *context, const struct segue_prepack_progress *progress)
{
    struct growth *growth = context;
    if (growth->count < 8)
        growth->bytes[growth->count++] = progress->done_bytes - growth->done_bytes;
    growth->done_bytes = progress->done_bytes;
}

/** Without limits of their own, later increments grow from the first one. */
static void test_later_increments_grow(void **state)
{
    struct segue_test *test = *state;
    for (int given = 0; given < 2; given++) {
        struct growth growth = {.count = 0};
        const uint64_t most_bytes = UINT64_C(8) << 20;
        const struct segue_prepack_params params = {
            .limits = {.first_bytes = UINT64_C(1) << 20,
                       .next_bytes = given ? most_bytes : 0,
                       .age_ns = SEGUE_PREPACK_OFF},
            .progress = note_growth,
            .progress_context = &growth,
        };
        segue_prepack_plan *plan = test_plan_make(test, &params);
        (void)test_plan_add(plan, "constant", test_plan_generated(3, 4 * most_bytes), NULL);
        CHECK_OK(segue_prepack_plan_run(plan));
        test_plan_wait(plan);
        test_plan_check_words(plan, 0, 3, UINT32_MAX, (uint32_t)most_bytes);
        segue_prepack_plan_destroy(plan);
        assert_true(growth.bytes[0] >= 1u << 20 && growth.bytes[0] < 2u << 20);
        if (given)
            assert_true(growth.bytes[1] >= most_bytes);
        for (uint32_t i = 1; i < 4 && !given; i++)
            assert_true(growth.bytes[i] >= (1u << 20) << i && growth.bytes[i] < (2u << 20) << i);
    }
}

/** Nothing is pinned before the first increment is submitted but what that needs. */
static void check_beginning(struct segue_test *test, segue_packed_cache *cache)
{
    struct beginning beginning = {.test = test};
    const struct segue_prepack_params params = {
        .cache = cache,
        .limits = {.age_ns = SEGUE_PREPACK_OFF, .reader_count = 2},
        .progress = note_beginning,
        .progress_context = &beginning};
    segue_prepack_plan *plan = test_plan_make(test, &params);
    (void)test_plan_add(plan, "large", test_plan_generated(3, 3u << 20), NULL);
    if (cache != NULL)
        (void)test_plan_add_sum(test, plan, "packed", 1, 2);
    CHECK_OK(segue_prepack_plan_run(plan));
    test_plan_wait(plan);
    assert_int_equal(beginning.done_bytes, 512u << 10);
    assert_int_equal(beginning.pinned_bytes, 512u << 10);
    assert_true(test_plan_stats(plan).peak_staging_bytes > 512u << 10);
    test_plan_check_words(plan, 0, 3, UINT32_MAX, (3u << 20) / 4);
    segue_prepack_plan_destroy(plan);
}

static void test_first_increment_comes_early(void **state)
{
    check_beginning(*state, NULL);
    // Also where increments with fingerprints of packers came before.
    segue_packed_cache *cache = NULL;
    CHECK_OK(segue_test_open(segue_test_folder(), 0, &cache));
    check_beginning(*state, cache);
    segue_packed_cache_close(cache);
}

/** A packing by ADD that may be cut into ranges of rows of one word. */
static uint32_t add_rows(struct segue_test *test, segue_prepack_plan *plan, uint32_t words,
                         uint32_t multiple, struct segue_prepack_source sources[2])
{
    struct segue_prepack_packing packing = test_plan_packing(test);
    packing.launch.constants = &words;
    packing.launch.grid[0] = (words + 255) / 256;
    packing.rows = (struct segue_prepack_rows){
        .count = words,
        .multiple = multiple,
        .source_bytes = {4, 4},
        .packed_bytes = 4 * (uint64_t)multiple,
        .rows_per_block = 256,
    };
    const struct segue_prepack_constant constant = {
        .name = "rows",
        .sources = sources,
        .source_count = 2,
        .packing = &packing,
        .packed_bytes = 4 * (uint64_t)words,
    };
    uint32_t index = UINT32_MAX;
    CHECK_OK(segue_prepack_plan_add(plan, &constant, &index));
    return index;
}

/** Ranges of every size give the same, and the sources are never on the device as a whole. */
static void test_ranges_of_rows(void **state)
{
    struct segue_test *test = *state;
    static const uint64_t stagings[] = {8192, 20480, 65536, 0};
    for (size_t i = 0; i < sizeof(stagings) / sizeof(stagings[0]); i++) {
        const struct segue_prepack_params params = {
            .limits = {.staging_bytes = stagings[i], .reader_count = 3}};
        segue_prepack_plan *plan = test_plan_make(test, &params);
        const uint32_t words = 30011;
        struct segue_prepack_source sources[2] = {test_plan_generated(3, 4 * (uint64_t)words),
                                                  test_plan_generated(4, 4 * (uint64_t)words)};
        const uint32_t first = add_rows(test, plan, words, 64, sources);
        const uint32_t whole = test_plan_add_sum(test, plan, "whole", 5, 6);
        sources[0] = test_plan_generated(7, 4 * (uint64_t)words);
        const uint32_t second = add_rows(test, plan, words, 128, sources);
        CHECK_OK(segue_prepack_plan_run(plan));
        test_plan_wait(plan);
        test_plan_check_words(plan, first, 3, 4, words);
        test_plan_check(plan, whole, 5, 6);
        test_plan_check_words(plan, second, 7, 4, words);
        const struct segue_prepack_stats stats = test_plan_stats(plan);
        assert_int_equal(stats.packed_count, 3);
        // What is packed at a go needs all of its sources.
        const uint64_t whole_bytes = 2 * (TEST_PLAN_BYTES + 224);
        if (stagings[i] != 0)
            assert_true(stats.peak_source_bytes <=
                        stagings[i] + (whole_bytes > stagings[i] ? whole_bytes : 0));
        assert_true(test_plan_memory(test).device.peak_bytes <=
                    stats.peak_source_bytes + (stagings[i] == 0 ? 0 : 4096));
        segue_prepack_plan_destroy(plan);
    }
}

/** The memory for sources is that of all constants, or the cap: not that of the first one. */
static void test_memory_for_sources(void **state)
{
    struct segue_test *test = *state;
    const uint32_t words[] = {64, 60000, 60000};
    static const uint64_t stagings[] = {100000, 0};
    for (uint32_t i = 0; i < 2; i++) {
        const struct segue_prepack_params params = {.limits = {.staging_bytes = stagings[i]}};
        segue_prepack_plan *plan = test_plan_make(test, &params);
        uint64_t all_bytes = 0;
        for (uint32_t k = 0; k < 3; k++) {
            struct segue_prepack_source sources[2] = {
                test_plan_generated(1 + k, 4 * (uint64_t)words[k]),
                test_plan_generated(4 + k, 4 * (uint64_t)words[k])};
            (void)add_rows(test, plan, words[k], 64, sources);
            all_bytes += 8 * (uint64_t)words[k];
        }
        CHECK_OK(segue_prepack_plan_run(plan));
        test_plan_wait(plan);
        for (uint32_t k = 0; k < 3; k++)
            test_plan_check_words(plan, k, 1 + k, 4 + k, words[k]);
        const uint64_t peak_bytes = test_plan_stats(plan).peak_source_bytes;
        if (stagings[i] != 0)
            assert_int_equal(peak_bytes, stagings[i]);
        else
            assert_in_range(peak_bytes, all_bytes, all_bytes + 4096);
        segue_prepack_plan_destroy(plan);
    }
}

/** A matrix, plain and as the host packs it. */
struct matrix {
    struct segue_quant_matrix shape;
    struct segue_quant_plain_sizes sizes;
    uint64_t packed_bytes;
    /** What 16 rows are packed into. */
    uint64_t tile_bytes;
    unsigned char *weights;
    unsigned char *scales;
    unsigned char *expected;
};

static void make_matrix(uint32_t pair_stride, struct matrix *matrix)
{
    const struct segue_quant_matrix shape = {.rows = pair_stride != 0 ? 192 : 200,
                                             .columns = 256,
                                             .bits = 4,
                                             .group_size = 64,
                                             .pair_stride = pair_stride};
    const uint32_t unit = pair_stride > 8 ? 2 * pair_stride : 16;
    uint64_t offset_bytes = 0;
    *matrix =
        (struct matrix){.shape = shape, .packed_bytes = segue_quant_packed_size_bytes(&shape)};
    segue_quant_get_plain_sizes(&shape, shape.rows, &matrix->sizes);
    CHECK_OK(segue_quant_get_packed_range(&shape, (struct segue_quant_rows){0, unit}, &offset_bytes,
                                          &matrix->tile_bytes));
    matrix->tile_bytes /= unit / 16;
    matrix->weights = malloc(matrix->sizes.weights_bytes);
    matrix->scales = malloc(matrix->sizes.scales_bytes);
    matrix->expected = malloc(matrix->packed_bytes);
    (void)test_plan_generate(&test_plan_numbers[5], 0, matrix->weights,
                             matrix->sizes.weights_bytes);
    (void)test_plan_generate(&test_plan_numbers[6], 0, matrix->scales, matrix->sizes.scales_bytes);
    const struct segue_quant_plain plain = {matrix->weights, matrix->scales, NULL};
    CHECK_OK(segue_quant_pack(&shape, (struct segue_quant_rows){0, shape.rows}, &plain,
                              matrix->expected));
}

static void free_matrix(const struct matrix *matrix)
{
    free(matrix->expected);
    free(matrix->scales);
    free(matrix->weights);
}

/** Adds a matrix that is packed in ranges of its rows. */
static void add_matrix(segue_prepack_plan *plan, segue_executable *executable,
                       const struct matrix *matrix)
{
    const struct segue_quant_matrix *shape = &matrix->shape;
    const struct segue_quant_plain_sizes *sizes = &matrix->sizes;
    const struct segue_prepack_source sources[] = {
        {.kind = SEGUE_PREPACK_HOST, .data = matrix->weights, .size_bytes = sizes->weights_bytes},
        {.kind = SEGUE_PREPACK_HOST, .data = matrix->scales, .size_bytes = sizes->scales_bytes},
    };
    const struct segue_quant_pack_constants constants = {
        .columns = shape->columns,
        .bits = shape->bits,
        .group_size = shape->group_size,
        .scale_bytes = 2,
        .row_count = shape->rows,
        .pair_stride = shape->pair_stride != 0 ? shape->pair_stride : 8,
    };
    const struct segue_prepack_packing packing = {
        .executable = executable,
        .entry_point = SEGUE_QUANT_PACK,
        .launch = {.grid = {16, 1, 1},
                   .constants = &constants,
                   .constants_size_bytes = sizeof(constants)},
        .layout_id = 1,
        .rows = {.count = shape->rows,
                 .multiple = 16,
                 .source_bytes = {sizes->weights_bytes / shape->rows,
                                  sizes->scales_bytes / shape->rows},
                 .packed_bytes = matrix->tile_bytes,
                 .count_offset_bytes = offsetof(struct segue_quant_pack_constants, row_count),
                 .pair_rows = shape->pair_stride,
                 .pair_offset_bytes = offsetof(struct segue_quant_pack_constants, pair_stride)},
    };
    const struct segue_prepack_constant constant = {
        .name = "matrix",
        .sources = sources,
        .source_count = 2,
        .packing = &packing,
        .packed_bytes = matrix->packed_bytes,
    };
    CHECK_OK(segue_prepack_plan_add(plan, &constant, NULL));
}

static void expect_matrix(segue_prepack_plan *plan, const struct matrix *matrix)
{
    unsigned char *got = malloc(matrix->packed_bytes);
    segue_buffer *buffer = NULL;
    CHECK_OK(segue_prepack_plan_get_buffer(plan, 0, &buffer));
    CHECK_OK(segue_buffer_read(buffer, 0, got, matrix->packed_bytes));
    assert_memory_equal(got, matrix->expected, matrix->packed_bytes);
    segue_buffer_destroy(buffer);
    free(got);
}

/** Matrices packed by the quantised kernels, against their packing on the host. */
static void test_ranges_of_matrices(void **state)
{
    struct segue_test *test = *state;
    CHECK_OK(segue_quant_register(test->device));
    struct segue_executable_params kernels;
    segue_quant_get_pack_kernels(&kernels);
    segue_executable *executable = NULL;
    CHECK_OK(segue_executable_create(test->device, &kernels, &executable));
    static const uint32_t pairs[] = {0, 8, 32, 96};
    static const uint64_t stagings[] = {8192, 65536, 0};
    for (uint32_t k = 0; k < 4 * 3; k++) {
        const struct segue_prepack_params params = {.limits = {.staging_bytes = stagings[k / 4]}};
        struct matrix matrix;
        make_matrix(pairs[k % 4], &matrix);
        segue_prepack_plan *plan = test_plan_make(test, &params);
        add_matrix(plan, executable, &matrix);
        CHECK_OK(segue_prepack_plan_run(plan));
        test_plan_wait(plan);
        expect_matrix(plan, &matrix);
        segue_prepack_plan_destroy(plan);
        free_matrix(&matrix);
    }
    segue_executable_destroy(executable);
}

/** What can fail in the middle. */
static atomic_uint generated_pieces;

static bool generate_until(void *context, uint64_t offset_bytes, void *data, size_t length_bytes)
{
    return atomic_fetch_add(&generated_pieces, 1) < 20 &&
           test_plan_generate(context, offset_bytes, data, length_bytes);
}

static void test_failures_in_the_middle(void **state)
{
    struct segue_test *test = *state;
    const char *folder = segue_test_folder();
    for (uint32_t readers = 1; readers <= 4; readers += 3) {
        segue_packed_cache *cache = NULL;
        CHECK_OK(segue_test_open(folder, 0, &cache));
        const struct segue_prepack_params params = {
            .cache = cache, .limits = {.staging_bytes = 65536, .reader_count = readers}};
        segue_prepack_plan *plan = test_plan_make(test, &params);
        for (uint32_t i = 0; i < 3; i++) {
            struct segue_prepack_source sources[2] = {test_plan_generated(i, 400000),
                                                      test_plan_generated(i + 3, 400000)};
            sources[0].generate = generate_until;
            (void)add_rows(test, plan, 100000, 64, sources);
        }
        atomic_store(&generated_pieces, 0);
        CHECK_ERROR(segue_prepack_plan_run(plan), SEGUE_INVALID_DATA, "its generator did not make");
        test_plan_check_nothing_is_left(test, plan, folder);
        segue_packed_cache_close(cache);
    }
}

/** Rows that do not make up what they are said to. */
static void test_refused_rows(void **state)
{
    struct segue_test *test = *state;
    segue_prepack_plan *plan = test_plan_make(test, NULL);
    const uint32_t words = 1000;
    const struct segue_prepack_source sources[] = {test_plan_generated(1, 4000),
                                                   test_plan_generated(2, 4000)};
    const struct segue_prepack_rows good = {.count = words,
                                            .multiple = 64,
                                            .source_bytes = {4, 4},
                                            .packed_bytes = 256,
                                            .rows_per_block = 256};
    struct segue_prepack_rows rows[9];
    for (size_t i = 0; i < 9; i++)
        rows[i] = good;
    rows[1].packed_bytes = 0;
    rows[2].packed_bytes = 249;
    rows[3].packed_bytes = 268;
    rows[4].count_offset_bytes = 1;
    rows[5].grid_axis = 3;
    rows[6].source_bytes[1] = 8;
    rows[7].source_bytes[0] = 0;
    rows[7].source_bytes[1] = 0;
    rows[8].pair_rows = 100;
    static const char *const texts[] = {NULL,           "packed_bytes",  "packed_bytes",
                                        "packed_bytes", "launch",        "launch",
                                        "a source",     "of any source", "paired"};
    for (size_t i = 0; i < 9; i++) {
        struct segue_prepack_packing packing = test_plan_packing(test);
        packing.launch.constants = &words;
        packing.rows = rows[i];
        const struct segue_prepack_constant constant = {
            .name = "rows",
            .sources = sources,
            .source_count = 2,
            .packing = &packing,
            .packed_bytes = 4000,
        };
        if (texts[i] == NULL)
            CHECK_OK(segue_prepack_plan_add(plan, &constant, NULL));
        else
            CHECK_ERROR(segue_prepack_plan_add(plan, &constant, NULL), SEGUE_INVALID_ARGUMENT,
                        texts[i]);
    }
    segue_prepack_plan_destroy(plan);
}

/** Sources whose sizes add up to 0 where they overflow. */
static void test_refused_sizes(void **state)
{
    struct segue_test *test = *state;
    segue_prepack_plan *plan = test_plan_make(test, NULL);
    const uint32_t words = 1;
    const uint64_t half = UINT64_C(1) << 63;
    const struct segue_prepack_source sources[] = {test_plan_generated(1, half),
                                                   test_plan_generated(2, half)};
    for (int is_cut = 0; is_cut < 2; is_cut++) {
        struct segue_prepack_packing packing = test_plan_packing(test);
        packing.launch.constants = &words;
        if (is_cut)
            packing.rows = (struct segue_prepack_rows){
                .count = 1, .source_bytes = {half, half}, .packed_bytes = 4};
        const struct segue_prepack_constant constant = {
            .name = "huge",
            .sources = sources,
            .source_count = 2,
            .packing = &packing,
            .packed_bytes = 4,
        };
        CHECK_ERROR(segue_prepack_plan_add(plan, &constant, NULL), SEGUE_OUT_OF_RANGE, "in all");
    }
    segue_prepack_plan_destroy(plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        segue_test_case(test_cap),
        segue_test_case(test_small_tensors_share_increments),
        segue_test_case(test_tensors_are_read_at_the_same_time),
        segue_test_case(test_each_limit_alone),
        segue_test_case(test_slots_of_several_increments),
        segue_test_case(test_later_increments_grow),
        segue_test_case(test_first_increment_comes_early),
        segue_test_case(test_ranges_of_rows),
        segue_test_case(test_memory_for_sources),
        segue_test_case(test_ranges_of_matrices),
        segue_test_case(test_failures_in_the_middle),
        segue_test_case(test_refused_rows),
        segue_test_case(test_refused_sizes),
    };
    const int prepared = segue_test_prepare();
    return prepared != 0 ? prepared : cmocka_run_group_tests(tests, NULL, NULL);
}
