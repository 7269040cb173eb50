// SPDX-License-Identifier: Apache-2.0
// Prepack plans: what arrives is right whatever the increments are, equal constants share memory,
// constants cannot be written afterwards, and a cancelled plan leaves nothing.
#include "folder.h"
#include "plans.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define WORDS TEST_PLAN_WORDS
#define BYTES TEST_PLAN_BYTES

/** All three kinds of sources, plain and packed; in increments of every size. */
static void test_sources_and_increments(void **state)
{
    struct segue_test *test = *state;
    const char *folder = segue_test_folder();
    static unsigned char file[100 + BYTES];
    (void)test_plan_generate(&test_plan_numbers[3], 0, file + 100, BYTES);
    segue_test_write_file(folder, "weights", file, sizeof(file));
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/weights", folder);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    static uint32_t host[WORDS];
    (void)test_plan_generate(&test_plan_numbers[4], 0, host, BYTES);
    static const struct segue_prepack_limits limits[] = {
        {0},
        {.staging_bytes = 8192, .slot_bytes = 4096},
        {.staging_bytes = 20000, .slot_bytes = 8192, .first_bytes = 100, .next_bytes = 7000},
        {.first_commands = 1, .next_commands = 2},
        {.age_ns = 1},
        {.first_bytes = SEGUE_PREPACK_OFF,
         .next_bytes = SEGUE_PREPACK_OFF,
         .first_commands = SEGUE_PREPACK_OFF,
         .next_commands = SEGUE_PREPACK_OFF,
         .age_ns = SEGUE_PREPACK_OFF},
    };
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        const struct segue_prepack_params params = {.limits = limits[i]};
        segue_prepack_plan *plan = test_plan_make(test, &params);
        const uint32_t of_file =
            test_plan_add(plan, "file",
                          (struct segue_prepack_source){.fd = fd,
                                                        .file = path,
                                                        .offset_bytes = 100,
                                                        .size_bytes = BYTES,
                                                        .dtype = "U32",
                                                        .shape = {WORDS / 50, 50},
                                                        .dimension_count = 2},
                          NULL);
        const uint32_t of_host =
            test_plan_add(plan, "host",
                          (struct segue_prepack_source){
                              .kind = SEGUE_PREPACK_HOST, .data = host, .size_bytes = BYTES},
                          NULL);
        const uint32_t sum = test_plan_add_sum(test, plan, "sum", 1, 2);
        CHECK_OK(segue_prepack_plan_run(plan));
        test_plan_wait(plan);
        test_plan_check(plan, of_file, 3, UINT32_MAX);
        test_plan_check(plan, of_host, 4, UINT32_MAX);
        test_plan_check(plan, sum, 1, 2);
        const struct segue_prepack_stats stats = test_plan_stats(plan);
        assert_int_equal(stats.packed_count, 3);
        assert_int_equal(stats.uploaded_bytes, 4 * BYTES);
        if (limits[i].staging_bytes != 0)
            assert_true(stats.peak_staging_bytes <= limits[i].staging_bytes);
        assert_true(stats.increment_count >= (limits[i].next_commands == 2 ? 3 : 1));
        segue_prepack_plan_destroy(plan);
    }
    (void)close(fd);
}

/** Commands that use a constant may be submitted before the plan runs; they come after it. */
static void test_order_on_the_device(void **state)
{
    struct segue_test *test = *state;
    const struct segue_buffer_params constant = {
        .size_bytes = BYTES, .memory = SEGUE_MEMORY_CONSTANT, .label = "constant"};
    segue_buffer *weights = segue_test_buffer_of(test, &constant);
    segue_buffer *out = segue_test_zeros(test, WORDS);
    segue_command_buffer *command_buffer = segue_test_begin(test);
    segue_test_dispatch_add(test, command_buffer, segue_test_whole(weights),
                            segue_test_whole(weights), segue_test_whole(out), WORDS);
    CHECK_OK(segue_command_buffer_end(command_buffer));

    segue_prepack_plan *plan = test_plan_make(test, NULL);
    (void)test_plan_add(plan, "weights", test_plan_generated(5, BYTES), weights);
    struct segue_semaphore_value point;
    segue_prepack_plan_get_point(plan, &point);
    segue_semaphore *ran = segue_test_semaphore(test, 0);
    const struct segue_semaphore_value signal = {ran, 1};
    const struct segue_execution execution = {.command_buffer = command_buffer};
    const struct segue_submission submission = {.waits = &point,
                                                .wait_count = 1,
                                                .executions = &execution,
                                                .execution_count = 1,
                                                .signals = &signal,
                                                .signal_count = 1};
    CHECK_OK(segue_queue_submit(test->queue, &submission));
    CHECK_STATUS(segue_semaphore_wait(ran, 1, 0), SEGUE_TIMEOUT);
    CHECK_OK(segue_prepack_plan_run(plan));
    CHECK_OK(segue_semaphore_wait(ran, 1, SEGUE_TIMEOUT_INFINITE));
    static uint32_t words[WORDS];
    test_plan_read(out, words, WORDS);
    for (uint32_t i = 0; i < WORDS; i++)
        assert_int_equal(words[i], (uint32_t)(2 * test_plan_word(5, i)));
    segue_prepack_plan_destroy(plan);
}

/** After the plan nothing writes a constant: not commands, not the host, not another plan. */
static void test_constants_are_sealed(void **state)
{
    struct segue_test *test = *state;
    const struct segue_buffer_params params = {
        .size_bytes = BYTES, .memory = SEGUE_MEMORY_CONSTANT, .label = "constant"};
    segue_buffer *weights = segue_test_buffer_of(test, &params);
    segue_command_buffer *late = segue_test_begin_with(
        test, 0, SEGUE_COMMAND_BUFFER_ONE_SHOT | SEGUE_COMMAND_BUFFER_FILLS_CONSTANTS);
    CHECK_OK(segue_cmd_fill(late, segue_test_whole(weights), 1, 4));
    CHECK_OK(segue_command_buffer_end(late));
    segue_prepack_plan *plan = test_plan_make(test, NULL);
    (void)test_plan_add(plan, "weights", test_plan_generated(5, BYTES), weights);
    CHECK_OK(segue_prepack_plan_run(plan));
    test_plan_wait(plan);
    // Recorded before, submitted after.
    const struct segue_execution execution = {.command_buffer = late};
    const struct segue_submission submission = {.executions = &execution, .execution_count = 1};
    CHECK_ERROR(segue_queue_submit(test->queue, &submission), SEGUE_INVALID_ACCESS, "sealed");
    segue_command_buffer *command_buffer = segue_test_begin(test);
    CHECK_STATUS(segue_cmd_fill(command_buffer, segue_test_whole(weights), 1, 4),
                 SEGUE_INVALID_ACCESS);
    CHECK_ERROR(segue_buffer_write(weights, 0, "a", 1), SEGUE_INVALID_ACCESS, "sealed");
    struct segue_buffer_info info;
    segue_buffer_get_info(weights, &info);
    assert_true(info.is_sealed);
    // Another plan is told before it moves anything; one that was filled before, when it does.
    segue_prepack_plan *other = test_plan_make(test, NULL);
    const struct segue_prepack_source source = test_plan_generated(6, BYTES);
    const struct segue_prepack_constant constant = {
        .name = "again", .sources = &source, .source_count = 1, .destination = weights};
    CHECK_ERROR(segue_prepack_plan_add(other, &constant, NULL), SEGUE_INVALID_ACCESS,
                "constant again: its destination \"constant\" is sealed");
    segue_prepack_plan_destroy(other);
    segue_buffer *fresh = segue_test_buffer_of(test, &params);
    other = test_plan_make(test, NULL);
    (void)test_plan_add(other, "weights", test_plan_generated(6, BYTES), fresh);
    CHECK_OK(segue_buffer_seal(fresh));
    CHECK_STATUS(segue_prepack_plan_run(other), SEGUE_INVALID_ACCESS);
    segue_prepack_plan_destroy(other);
    test_plan_check(plan, 0, 5, UINT32_MAX);
    segue_prepack_plan_destroy(plan);
}

/** Equal content with equal packing is packed once, and kept as long as one user is left. */
static void test_sharing(void **state)
{
    struct segue_test *test = *state;
    segue_prepack_plan *plan = test_plan_make(test, NULL);
    const uint32_t first = test_plan_add_sum(test, plan, "first", 1, 2);
    const uint32_t tied = test_plan_add_sum(test, plan, "tied", 1, 2);
    const uint32_t scaled = test_plan_add_sum(test, plan, "other scales", 1, 3);
    static uint32_t host[WORDS];
    (void)test_plan_generate(&test_plan_numbers[4], 0, host, BYTES);
    const uint32_t plain = test_plan_add(plan, "plain", test_plan_generated(4, BYTES), NULL);
    const uint32_t host_copy =
        test_plan_add(plan, "copy",
                      (struct segue_prepack_source){
                          .kind = SEGUE_PREPACK_HOST, .data = host, .size_bytes = BYTES},
                      NULL);
    const uint32_t host_again =
        test_plan_add(plan, "again",
                      (struct segue_prepack_source){
                          .kind = SEGUE_PREPACK_HOST, .data = host, .size_bytes = BYTES},
                      NULL);
    CHECK_OK(segue_prepack_plan_run(plan));
    test_plan_wait(plan);
    assert_int_equal(test_plan_stats(plan).shared_count, 2);
    assert_int_equal(test_plan_stats(plan).packed_count, 4);
    test_plan_check(plan, first, 1, 2);
    test_plan_check(plan, tied, 1, 2);
    test_plan_check(plan, scaled, 1, 3);
    test_plan_check(plan, plain, 4, UINT32_MAX);
    test_plan_check(plan, host_copy, 4, UINT32_MAX);
    struct segue_memory_stats memory;
    segue_device_get_memory_stats(test->device, &memory);
    assert_int_equal(memory.constant.current_bytes, 4 * BYTES);
    // One of two users goes: the memory stays. The other one goes, too.
    CHECK_OK(segue_prepack_plan_release(plan, first));
    CHECK_STATUS(segue_prepack_plan_release(plan, first), SEGUE_INVALID_STATE);
    test_plan_check(plan, tied, 1, 2);
    CHECK_OK(segue_prepack_plan_release(plan, tied));
    CHECK_OK(segue_prepack_plan_release(plan, host_copy));
    test_plan_check(plan, host_again, 4, UINT32_MAX);
    segue_device_get_memory_stats(test->device, &memory);
    assert_int_equal(memory.constant.current_bytes, 3 * BYTES);
    segue_buffer *kept = NULL;
    CHECK_OK(segue_prepack_plan_get_buffer(plan, scaled, &kept));
    segue_prepack_plan_destroy(plan);
    segue_device_get_memory_stats(test->device, &memory);
    assert_int_equal(memory.constant.current_bytes, BYTES);
    segue_buffer_destroy(kept);
}

/** Two constants of one destination: the same content is tied, another one is refused. */
static void test_tied_destination(void **state)
{
    struct segue_test *test = *state;
    const struct segue_buffer_params params = {
        .size_bytes = BYTES, .memory = SEGUE_MEMORY_CONSTANT, .label = "constant"};
    for (uint32_t other = 5; other < 7; other++) {
        segue_buffer *weights = segue_test_buffer_of(test, &params);
        segue_prepack_plan *plan = test_plan_make(test, NULL);
        (void)test_plan_add(plan, "embedding", test_plan_generated(5, BYTES), weights);
        (void)test_plan_add(plan, "head", test_plan_generated(other, BYTES), weights);
        CHECK_STATUS(segue_prepack_plan_run(plan), other == 5 ? SEGUE_OK : SEGUE_INVALID_ARGUMENT);
        if (other == 5)
            test_plan_check(plan, 1, 5, UINT32_MAX);
        segue_prepack_plan_destroy(plan);
    }
}

/** Sources that something else reads, too, get memory; the others get none. */
static void test_kept_sources(void **state)
{
    struct segue_test *test = *state;
    for (int keeps = 0; keeps < 2; keeps++) {
        const struct segue_prepack_source sources[] = {test_plan_generated(1, BYTES),
                                                       test_plan_generated(2, BYTES)};
        const struct segue_prepack_packing packing = test_plan_packing(test);
        const struct segue_prepack_constant constant = {
            .name = "sum",
            .sources = sources,
            .source_count = 2,
            .packing = &packing,
            .packed_bytes = BYTES,
            .keeps_sources = keeps != 0,
        };
        segue_prepack_plan *plan = test_plan_make(test, NULL);
        CHECK_OK(segue_prepack_plan_add(plan, &constant, NULL));
        CHECK_OK(segue_prepack_plan_run(plan));
        test_plan_wait(plan);
        test_plan_check(plan, 0, 1, 2);
        assert_int_equal(test_plan_stats(plan).uploaded_bytes, 2 * BYTES);
        segue_buffer *source = NULL;
        if (keeps) {
            static uint32_t words[WORDS];
            CHECK_OK(segue_prepack_plan_get_source(plan, 0, 1, &source));
            test_plan_read(source, words, WORDS);
            assert_int_equal(words[WORDS - 1], test_plan_word(2, WORDS - 1));
            CHECK_STATUS(segue_buffer_write(source, 0, "a", 1), SEGUE_INVALID_ACCESS);
        } else {
            CHECK_STATUS(segue_prepack_plan_get_source(plan, 0, 1, &source), SEGUE_OUT_OF_RANGE);
        }
        segue_buffer_destroy(source);
        struct segue_memory_stats memory;
        segue_device_get_memory_stats(test->device, &memory);
        assert_int_equal(memory.constant.current_bytes, keeps ? 3 * BYTES : BYTES);
        segue_prepack_plan_destroy(plan);
    }
}

struct resolver {
    segue_buffer *known;
    struct segue_prepack_source source;
    uint32_t asked;
};

static bool resolve(void *context, segue_buffer *buffer, struct segue_prepack_constant *out)
{
    struct resolver *resolver = context;
    resolver->asked++;
    if (buffer != resolver->known)
        return false;
    *out = (struct segue_prepack_constant){
        .name = "known", .sources = &resolver->source, .source_count = 1};
    return true;
}

static void test_of_a_command_buffer(void **state)
{
    struct segue_test *test = *state;
    const struct segue_buffer_params params = {
        .size_bytes = BYTES, .memory = SEGUE_MEMORY_CONSTANT, .label = "constant"};
    struct resolver resolver = {.known = segue_test_buffer_of(test, &params),
                                .source = test_plan_generated(6, BYTES)};
    segue_buffer *unknown = segue_test_buffer_of(test, &params);
    segue_buffer *out = segue_test_zeros(test, WORDS);
    segue_command_buffer *command_buffer = segue_test_begin(test);
    for (int i = 0; i < 2; i++) {
        segue_test_dispatch_add(test, command_buffer, segue_test_whole(resolver.known),
                                segue_test_whole(unknown), segue_test_whole(out), WORDS);
        segue_test_barrier(command_buffer);
    }
    CHECK_OK(segue_command_buffer_end(command_buffer));
    segue_prepack_plan *plan = test_plan_make(test, NULL);
    uint32_t count = 0;
    CHECK_OK(
        segue_prepack_plan_add_command_buffer(plan, command_buffer, resolve, &resolver, &count));
    assert_int_equal(count, 1);
    assert_int_equal(resolver.asked, 2);
    CHECK_OK(segue_prepack_plan_run(plan));
    test_plan_wait(plan);
    test_plan_check(plan, 0, 6, UINT32_MAX);
    segue_prepack_plan_destroy(plan);
}

/** Takes every buffer; one of them as more bytes than it has. */
static bool resolve_wrongly(void *context, segue_buffer *buffer, struct segue_prepack_constant *out)
{
    struct resolver *resolver = context;
    resolver->source.size_bytes = buffer == resolver->known ? BYTES : BYTES + 4;
    *out = (struct segue_prepack_constant){
        .name = "wrong", .sources = &resolver->source, .source_count = 1};
    return true;
}

/** A command buffer one of whose constants is refused leaves none of them in the plan. */
static void test_of_a_command_buffer_refused(void **state)
{
    struct segue_test *test = *state;
    const struct segue_buffer_params params = {
        .size_bytes = BYTES, .memory = SEGUE_MEMORY_CONSTANT, .label = "constant"};
    struct resolver resolver = {.known = segue_test_buffer_of(test, &params),
                                .source = test_plan_generated(6, BYTES)};
    segue_buffer *unknown = segue_test_buffer_of(test, &params);
    segue_buffer *out = segue_test_zeros(test, WORDS);
    segue_command_buffer *command_buffer = segue_test_begin(test);
    segue_test_dispatch_add(test, command_buffer, segue_test_whole(resolver.known),
                            segue_test_whole(unknown), segue_test_whole(out), WORDS);
    CHECK_OK(segue_command_buffer_end(command_buffer));
    segue_prepack_plan *plan = test_plan_make(test, NULL);
    const uint32_t first = test_plan_add(plan, "first", test_plan_generated(1, BYTES), NULL);
    uint32_t count = 77;
    CHECK_STATUS(segue_prepack_plan_add_command_buffer(plan, command_buffer, resolve_wrongly,
                                                       &resolver, &count),
                 SEGUE_OUT_OF_RANGE);
    assert_int_equal(count, 77);
    assert_int_equal(test_plan_stats(plan).constant_count, 1);
    assert_int_equal(test_plan_add(plan, "second", test_plan_generated(2, BYTES), NULL), 1);
    CHECK_OK(segue_prepack_plan_run(plan));
    test_plan_wait(plan);
    test_plan_check(plan, first, 1, UINT32_MAX);
    test_plan_check(plan, 1, 2, UINT32_MAX);
    segue_prepack_plan_destroy(plan);
}

struct watcher {
    segue_prepack_plan *plan;
    uint64_t cancel_after;
    uint64_t calls;
    uint64_t last_done;
};

static void watch(void *context, const struct segue_prepack_progress *progress)
{
    struct watcher *watcher = context;
    watcher->calls++;
    assert_true(progress->done_bytes >= watcher->last_done);
    assert_true(progress->done_bytes <= progress->total_bytes);
    watcher->last_done = progress->done_bytes;
    if (watcher->calls == watcher->cancel_after)
        segue_prepack_plan_cancel(watcher->plan);
}

/** Cancelled after each increment: no cache, no sealed buffer, no memory is left. */
static void test_cancel(void **state)
{
    struct segue_test *test = *state;
    const char *folder = segue_test_folder();
    uint64_t increments = UINT64_MAX;
    for (uint64_t after = 1; after <= increments; after++) {
        segue_packed_cache *cache = NULL;
        CHECK_OK(segue_test_open(folder, 0, &cache));
        struct watcher watcher = {.cancel_after = after};
        const struct segue_prepack_params params = {
            .cache = cache,
            .progress = watch,
            .progress_context = &watcher,
            .limits = {.first_bytes = 8192, .next_bytes = 8192},
        };
        segue_prepack_plan *plan = test_plan_make(test, &params);
        watcher.plan = plan;
        (void)test_plan_add_sum(test, plan, "sum", 1, 2);
        (void)test_plan_add(plan, "plain", test_plan_generated(3, BYTES), NULL);
        const segue_status status = segue_prepack_plan_run(plan);
        struct segue_semaphore_value point;
        segue_prepack_plan_get_point(plan, &point);
        uint64_t reached = 0;
        CHECK_OK(segue_semaphore_query(point.semaphore, &reached));
        if (status == SEGUE_OK) {
            increments = watcher.calls;
            assert_true(increments > 4);
        } else {
            assert_int_equal(status, SEGUE_INVALID_STATE);
            assert_int_equal(reached, 0);
            segue_buffer *buffer = NULL;
            CHECK_STATUS(segue_prepack_plan_get_buffer(plan, 0, &buffer), SEGUE_INVALID_STATE);
            assert_int_equal(segue_test_count_files(folder, ".pack", NULL), 0);
            bool done = false;
            CHECK_STATUS(segue_prepack_plan_step(plan, &done), SEGUE_INVALID_STATE);
        }
        segue_prepack_plan_destroy(plan);
        segue_packed_cache_close(cache);
        struct segue_memory_stats memory;
        segue_device_get_memory_stats(test->device, &memory);
        assert_int_equal(memory.constant.current_bytes, 0);
        assert_int_equal(memory.host_visible.current_bytes, 0);
        if (status != SEGUE_OK)
            assert_int_equal(segue_test_count_files(folder, "", NULL),
                             segue_test_count_files(folder, "lock", NULL));
    }
    assert_int_equal(segue_test_count_files(folder, ".pack", NULL), 1);
}

static void test_thread_and_steps(void **state)
{
    struct segue_test *test = *state;
    segue_prepack_plan *plan = test_plan_make(test, NULL);
    const uint32_t sum = test_plan_add_sum(test, plan, "sum", 1, 2);
    CHECK_OK(segue_prepack_plan_start(plan));
    CHECK_STATUS(segue_prepack_plan_start(plan), SEGUE_INVALID_STATE);
    CHECK_OK(segue_prepack_plan_wait(plan));
    CHECK_STATUS(segue_prepack_plan_wait(plan), SEGUE_INVALID_STATE);
    test_plan_wait(plan);
    test_plan_check(plan, sum, 1, 2);
    const struct segue_prepack_source source = test_plan_generated(1, 4);
    const struct segue_prepack_constant late = {
        .name = "late", .sources = &source, .source_count = 1};
    CHECK_STATUS(segue_prepack_plan_add(plan, &late, NULL), SEGUE_INVALID_STATE);
    segue_prepack_plan_destroy(plan);

    plan = test_plan_make(test, NULL);
    (void)test_plan_add_sum(test, plan, "sum", 1, 2);
    bool done = false;
    uint32_t steps = 0;
    while (!done) {
        CHECK_OK(segue_prepack_plan_step(plan, &done));
        steps++;
    }
    assert_true(steps > 4);
    // Ended plans stay ended.
    CHECK_OK(segue_prepack_plan_step(plan, &done));
    assert_true(done);
    test_plan_wait(plan);
    test_plan_check(plan, 0, 1, 2);
    segue_prepack_plan_destroy(plan);
    // One whose thread still runs may be destroyed.
    plan = test_plan_make(test, NULL);
    (void)test_plan_add_sum(test, plan, "sum", 1, 2);
    CHECK_OK(segue_prepack_plan_start(plan));
    segue_prepack_plan_destroy(plan);
}

/** One thing wrong at a time; each is named, and before anything is read. */
static void test_refusals(void **state)
{
    struct segue_test *test = *state;
    segue_prepack_plan *plan = test_plan_make(test, NULL);
    const struct segue_prepack_source good_sources[] = {test_plan_generated(1, BYTES),
                                                        test_plan_generated(2, BYTES)};
    const struct segue_prepack_packing good_packing = test_plan_packing(test);
    const struct segue_prepack_constant good = {
        .name = "sum",
        .sources = good_sources,
        .source_count = 2,
        .packing = &good_packing,
        .packed_bytes = BYTES,
    };
    struct segue_prepack_source sources[2];
    struct segue_prepack_packing packing;
    struct segue_prepack_constant constant;
#define START()                                          \
    memcpy(sources, good_sources, sizeof(good_sources)); \
    packing = good_packing;                              \
    constant = good;                                     \
    constant.sources = sources;                          \
    constant.packing = &packing
#define REFUSED(status, text) \
    CHECK_ERROR(segue_prepack_plan_add(plan, &constant, NULL), status, text)
    START();
    constant.name = "";
    REFUSED(SEGUE_INVALID_ARGUMENT, "name");
    START();
    constant.source_count = 0;
    REFUSED(SEGUE_OUT_OF_RANGE, "0 sources");
    START();
    constant.packing = NULL;
    REFUSED(SEGUE_OUT_OF_RANGE, "2 sources");
    START();
    sources[1].size_bytes = 0;
    REFUSED(SEGUE_INVALID_ARGUMENT, "no bytes");
    START();
    sources[0].generate = NULL;
    REFUSED(SEGUE_INVALID_ARGUMENT, "generate");
    START();
    sources[0] = (struct segue_prepack_source){.kind = SEGUE_PREPACK_HOST, .size_bytes = BYTES};
    REFUSED(SEGUE_INVALID_ARGUMENT, "data is NULL");
    START();
    sources[0] = (struct segue_prepack_source){.fd = -1, .size_bytes = BYTES};
    REFUSED(SEGUE_INVALID_ARGUMENT, "plain file");
    START();
    sources[0].kind = (enum segue_prepack_source_kind)7;
    REFUSED(SEGUE_INVALID_ARGUMENT, "kind is 7");
    START();
    sources[0].dtype = "X9";
    REFUSED(SEGUE_INVALID_ARGUMENT, "\"X9\"");
    START();
    sources[0].dtype = "U32";
    sources[0].shape[0] = WORDS - 1;
    sources[0].dimension_count = 1;
    REFUSED(SEGUE_INVALID_ARGUMENT, "shape makes 19996 bytes");
    sources[0].shape[0] = UINT64_MAX;
    REFUSED(SEGUE_INVALID_ARGUMENT, "shape makes 0 bytes");
    sources[0].dimension_count = 9;
    REFUSED(SEGUE_OUT_OF_RANGE, "9 dimensions");
    START();
    packing.executable = NULL;
    REFUSED(SEGUE_INVALID_ARGUMENT, "no executable");
    START();
    packing.entry_point = SEGUE_TEST_KERNEL_COUNT;
    REFUSED(SEGUE_OUT_OF_RANGE, "entry point");
    START();
    packing.entry_point = SEGUE_TEST_SCALE;
    REFUSED(SEGUE_INCOMPATIBLE, "takes 1 buffers");
    START();
    packing.layout_id = 0;
    REFUSED(SEGUE_INVALID_ARGUMENT, "layout 0");
    START();
    constant.packed_bytes = 0;
    REFUSED(SEGUE_INVALID_ARGUMENT, "packed_bytes is 0");
    START();
    constant.align_bytes = 48;
    REFUSED(SEGUE_INVALID_ARGUMENT, "align_bytes is 48");
    START();
    constant.destination = segue_test_buffer(test, BYTES);
    REFUSED(SEGUE_INVALID_ACCESS, "constant memory");
    const struct segue_buffer_params memory = {
        .size_bytes = 2 * BYTES, .memory = SEGUE_MEMORY_CONSTANT, .label = "large"};
    segue_buffer *large = segue_test_buffer_of(test, &memory);
    constant.destination = large;
    REFUSED(SEGUE_OUT_OF_RANGE, "\"large\" has 40000");
    constant.destination = segue_test_view(test, large, 0, BYTES);
    REFUSED(SEGUE_INVALID_ACCESS, "dedicated");
    START();
    CHECK_OK(segue_prepack_plan_add(plan, &constant, NULL));
    segue_prepack_plan_destroy(plan);

    const char *folder = segue_test_folder();
    segue_packed_cache *cache = NULL;
    CHECK_OK(segue_test_open(folder, 0, &cache));
    const struct segue_prepack_params with_cache = {.cache = cache};
    plan = test_plan_make(test, &with_cache);
    START();
    packing.probe = NULL;
    REFUSED(SEGUE_INVALID_ARGUMENT, "needs a probe");
    segue_prepack_plan_destroy(plan);
    segue_packed_cache_close(cache);
    const struct segue_prepack_params tiny = {.limits = {.staging_bytes = 100}};
    CHECK_ERROR(segue_prepack_plan_create(test->device, &tiny, &plan), SEGUE_INVALID_ARGUMENT,
                "staging_bytes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        segue_test_case(test_sources_and_increments),
        segue_test_case(test_order_on_the_device),
        segue_test_case(test_constants_are_sealed),
        segue_test_case(test_sharing),
        segue_test_case(test_tied_destination),
        segue_test_case(test_kept_sources),
        segue_test_case(test_of_a_command_buffer),
        segue_test_case(test_of_a_command_buffer_refused),
        segue_test_case(test_cancel),
        segue_test_case(test_thread_and_steps),
        segue_test_case(test_refusals),
    };
    const int prepared = segue_test_prepare();
    return prepared != 0 ? prepared : cmocka_run_group_tests(tests, NULL, NULL);
}
