// SPDX-License-Identifier: Apache-2.0
// Attention over 131,072 rows, the longest context that models ask for, on a device
// ($SEGUE_TEST_DEVICE), exactly: no row is left out, taken twice or taken for another.
#include "test.h"

#include <segue/kernels.h>

#include <stdlib.h>

#define ROWS 131072u
#define HEADS 2u
#define MAX_HEAD 256u

/** 1, 4 and their sign, as bf16 and as e4m3. */
static const uint16_t one[] = {0x3F80, 0x38};
static const uint16_t four[] = {0x4080, 0x48};
static const uint16_t sign[] = {0x8000, 0x80};

/** One kv head; scores are sums of k, since q is 1 throughout. */
struct work {
    struct segue_test *test;
    segue_executable *decode;
    uint32_t head_size;
    bool fp8;
    /** Not what is chosen for so many rows, but the kernels for fewer. */
    bool by_clusters;
    enum segue_decode_kernel kernel;
    struct segue_gqa_decode_constants constants;
    struct segue_gqa_decode_sizes sizes;
    segue_buffer *q, *k_cache, *v_cache, *scales, *position, *out, *arrived, *partials;
};

/** Whether element i of row r of v is -1: a Walsh function of the row, of which any two differ in
 *  half of all rows, and each is 1 as often as -1. All together they tell every row from the
 *  others. */
static bool is_negative(uint32_t row, uint32_t i)
{
    return __builtin_popcount(row & (i + 1) * 40503u) % 2 != 0;
}

static void store(uint8_t *bytes, const struct work *work, uint64_t i, uint32_t value)
{
    if (work->fp8)
        bytes[i] = (uint8_t)value;
    else
        memcpy(bytes + i * 2, &value, 2);
}

static segue_buffer *make_values(const struct work *work)
{
    const uint64_t count = (uint64_t)ROWS * work->head_size;
    const uint64_t size_bytes = count * (work->fp8 ? 1 : 2);
    uint8_t *bytes = malloc(size_bytes);
    assert_non_null(bytes);
    for (uint64_t i = 0; i < count; i++) {
        const bool negative =
            is_negative((uint32_t)(i / work->head_size), (uint32_t)(i % work->head_size));
        store(bytes, work, i, one[work->fp8] | (negative ? sign[work->fp8] : 0u));
    }
    segue_buffer *buffer = segue_test_buffer(work->test, size_bytes);
    CHECK_OK(segue_buffer_write(buffer, 0, bytes, size_bytes));
    free(bytes);
    return buffer;
}

static void choose(struct work *work, uint32_t multiprocessor_count)
{
    if (work->by_clusters) {
        work->kernel = segue_gqa_decode_kernel(work->head_size, work->fp8);
        work->constants.splits =
            segue_gqa_decode_splits(&work->constants, work->head_size, multiprocessor_count);
        segue_gqa_decode_get_sizes(&work->constants, work->head_size, &work->sizes);
        return;
    }
    struct segue_gqa_decode chosen;
    CHECK_OK(segue_gqa_decode_choose(&work->constants, work->head_size, work->fp8,
                                     multiprocessor_count, &chosen));
    work->kernel = chosen.kernel;
    work->constants = chosen.constants;
    work->sizes = chosen.sizes;
}

static void open_work(struct work *work)
{
    struct segue_test *test = work->test;
    struct segue_device_info info;
    const uint32_t position = ROWS - 1;
    uint16_t q[HEADS * MAX_HEAD];
    const float scales[2] = {1.0f, 1.0f};
    for (uint32_t i = 0; i < HEADS * MAX_HEAD; i++)
        q[i] = one[0];
    segue_device_get_info(test->device, &info);
    choose(work, (uint32_t)info.multiprocessor_count);
    work->q = segue_test_buffer(test, (uint64_t)HEADS * work->head_size * 2);
    CHECK_OK(segue_buffer_write(work->q, 0, q, (uint64_t)HEADS * work->head_size * 2));
    work->k_cache = segue_test_zeros(test, (uint64_t)ROWS * work->head_size / (work->fp8 ? 4 : 2));
    work->v_cache = make_values(work);
    work->scales = segue_test_buffer(test, sizeof(scales));
    CHECK_OK(segue_buffer_write(work->scales, 0, scales, sizeof(scales)));
    work->position = segue_test_buffer(test, sizeof(position));
    CHECK_OK(segue_buffer_write(work->position, 0, &position, sizeof(position)));
    work->out = segue_test_buffer(test, (uint64_t)HEADS * work->head_size * 2);
    work->arrived = segue_test_zeros(test, work->sizes.arrived_bytes / 4);
    work->partials = segue_test_buffer(test, work->sizes.partials_bytes);
}

static void close_work(struct work *work)
{
    segue_buffer *const buffers[] = {work->q,        work->k_cache, work->v_cache, work->scales,
                                     work->position, work->out,     work->arrived, work->partials};
    for (size_t i = 0; i < sizeof(buffers) / sizeof(buffers[0]); i++)
        segue_test_destroy(work->test, buffers[i]);
}

static void attend(const struct work *work, uint16_t out[HEADS * MAX_HEAD])
{
    segue_buffer *const buffers[] = {work->q,        work->k_cache, work->v_cache, work->scales,
                                     work->position, work->out,     work->arrived, work->partials};
    struct segue_buffer_ref bindings[8];
    uint32_t count = 0;
    for (uint32_t i = 0; i < 8; i++) {
        if (work->fp8 || buffers[i] != work->scales)
            bindings[count++] = segue_test_whole(buffers[i]);
    }
    const struct segue_dispatch dispatch = {
        .executable = work->decode,
        .entry_point = (uint32_t)work->kernel,
        .grid = {work->sizes.grid, 1, 1},
        .bindings = bindings,
        .binding_count = count,
        .constants = &work->constants,
        .constants_size_bytes = sizeof(work->constants),
    };
    segue_command_buffer *commands = segue_test_begin(work->test);
    CHECK_OK(segue_cmd_dispatch(commands, &dispatch));
    segue_test_run(work->test, commands);
    segue_test_destroy(work->test, commands);
    CHECK_OK(segue_buffer_read(work->out, 0, out, (uint64_t)HEADS * work->head_size * 2));
}

/** All scores are 0: the mean over all rows, which is 0 of each element. */
static void check_all_rows(const struct work *work)
{
    uint16_t out[HEADS * MAX_HEAD];
    attend(work, out);
    for (uint32_t i = 0; i < HEADS * work->head_size; i++) {
        if ((out[i] & 0x7FFF) != 0)
            fail_msg("heads of %u, %s: element %u of the mean is 0x%04x", work->head_size,
                     work->fp8 ? "fp8" : "bf16", i, out[i]);
    }
}

/** One row's score is so much larger that the others count for nothing. */
static void check_one_row(const struct work *work, uint32_t row)
{
    uint16_t out[HEADS * MAX_HEAD];
    uint8_t k[MAX_HEAD * 2];
    const uint64_t row_bytes = (uint64_t)work->head_size * (work->fp8 ? 1 : 2);
    for (uint32_t i = 0; i < work->head_size; i++)
        store(k, work, i, four[work->fp8]);
    CHECK_OK(segue_buffer_write(work->k_cache, row * row_bytes, k, row_bytes));
    attend(work, out);
    for (uint32_t i = 0; i < HEADS * work->head_size; i++) {
        const uint16_t expected = one[0] | (is_negative(row, i % work->head_size) ? sign[0] : 0);
        if (out[i] != expected)
            fail_msg("heads of %u, %s: element %u of row %u is 0x%04x, not 0x%04x", work->head_size,
                     work->fp8 ? "fp8" : "bf16", i, row, out[i], expected);
    }
    memset(k, 0, sizeof(k));
    CHECK_OK(segue_buffer_write(work->k_cache, row * row_bytes, k, row_bytes));
}

static void check_long(struct segue_test *test, segue_executable *decode, uint32_t head_size,
                       bool fp8, bool by_clusters)
{
    static const uint32_t rows[] = {0, ROWS / 2 + 1, ROWS - 2, ROWS - 1};
    struct work work = {
        .test = test,
        .decode = decode,
        .head_size = head_size,
        .fp8 = fp8,
        .by_clusters = by_clusters,
        .constants = {.heads = HEADS,
                      .kv_heads = 1,
                      .capacity = ROWS,
                      .scale = 1.0f,
                      .settled = (head_size != 128) != fp8},
    };
    open_work(&work);
    check_all_rows(&work);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        check_one_row(&work, rows[i]);
    close_work(&work);
}

static void test_long_contexts(void **state)
{
    struct segue_test *test = *state;
    struct segue_executable_params params;
    segue_executable *decode;
    segue_kernels_get_decode(&params);
    CHECK_OK(segue_kernels_register(test->device));
    CHECK_OK(segue_executable_create(test->device, &params, &decode));
    // The software driver has one reference for all sizes of heads, and takes its time.
    struct segue_device_info info;
    segue_device_get_info(test->device, &info);
    for (uint32_t head_size = 64; head_size <= MAX_HEAD; head_size *= 2) {
        for (uint32_t i = 0; i < 4; i++) {
            const bool fp8 = i % 2, by_clusters = i / 2;
            if (!info.is_soft || (head_size == 64 && i == 0) || (head_size == 128 && i == 3))
                check_long(test, decode, head_size, fp8, by_clusters);
        }
    }
    segue_executable_destroy(decode);
}

int main(void)
{
    const int unprepared = segue_test_prepare();
    if (unprepared)
        return unprepared;
    const struct CMUnitTest tests[] = {segue_test_case(test_long_contexts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
