// SPDX-License-Identifier: Apache-2.0
// Replaying traces: buffers, runs, limits, verification, outputs, failures.
#include "test.h"
#include "trace/model.h"
#include "trace/safetensors.h"

#include <segue/trace.h>

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#ifndef SEGUE_TRACES
#error "SEGUE_TRACES must be the folder tests/traces"
#endif

/** tests/traces/good/everything.json, loaded and made real. */
struct replay {
    segue_trace *trace;
    segue_trace_session *session;
};

static void open_replay(struct segue_test *test, struct replay *replay,
                        const struct segue_trace_session_params *params)
{
    *replay = (struct replay){0};
    CHECK_OK(segue_trace_load(SEGUE_TRACES "/good/everything.json", &replay->trace));
    CHECK_OK(segue_trace_session_create(replay->trace, test->device, params, &replay->session));
}

static void close_replay(struct replay *replay)
{
    segue_trace_session_destroy(replay->session);
    segue_trace_destroy(replay->trace);
}

static segue_buffer *find_buffer(segue_trace_session *session, const char *name, bool *out_written)
{
    struct segue_trace_counts counts;
    segue_trace_session_get_counts(session, &counts);
    for (uint32_t i = 0; i < counts.buffer_count; i++) {
        const char *found = NULL;
        bool written = false;
        segue_buffer *buffer = segue_trace_session_buffer(session, i, &found, &written);
        if (strcmp(found, name) == 0) {
            if (out_written != NULL)
                *out_written = written;
            return buffer;
        }
    }
    fail_msg("no buffer %s", name);
    return NULL;
}

static void read_buffer(segue_trace_session *session, const char *name, void *data, uint64_t size)
{
    CHECK_OK(segue_buffer_read(find_buffer(session, name, NULL), 0, data, size));
}

/** Bytes of y and scratch after a run, made from the text of the trace. */
struct expected {
    unsigned char y[1024];
    unsigned char scratch[4096];
    unsigned char host[512];
    unsigned char x[256];
};

static void fill_words(unsigned char *data, size_t size, uint32_t word)
{
    for (size_t i = 0; i < size; i += 4)
        memcpy(data + i, &word, 4);
}

static void make_initial(struct expected *expected)
{
    memset(expected, 0, sizeof(*expected));
    fill_words(expected->y + 768, 256, 0x3f800000);
    const struct segue_content host = {.kind = SEGUE_CONTENT_NORMAL,
                                       .dtype = SEGUE_DTYPE_BF16,
                                       .seed = 0xfedcba9876543210,
                                       .a = 1,
                                       .b = 0.5};
    CHECK_OK(segue_content_generate(&host, 0, sizeof(expected->host), expected->host));
    for (int i = 0; i < 64; i++) {
        float value = (float)i / 4 - 8;
        memcpy(expected->x + 4 * i, &value, 4);
    }
}

static void make_final(struct expected *expected)
{
    make_initial(expected);
    memcpy(expected->scratch, "\xde\xad\xbe\xef", 4);
    memset(expected->scratch + 4, 0xab, 252);
    for (int i = 0; i < 512; i++)
        expected->scratch[512 + i] = (unsigned char)(i * 7 + 3);
    memcpy(expected->y + 256, expected->scratch, 256);
    fill_words(expected->y + 512, 256, 0x3f000000);
    memcpy(expected->y, expected->x, 256);
    memcpy(expected->scratch + 2048 + 256, expected->host, 512);
    fill_words(expected->scratch + 2048, 256, 0x12341234);
    memset(expected->scratch + 3072, 0xff, 1024);
}

static void check_buffers(segue_trace_session *session, const struct expected *expected)
{
    static struct expected actual;
    read_buffer(session, "y", actual.y, sizeof(actual.y));
    read_buffer(session, "scratch", actual.scratch, sizeof(actual.scratch));
    read_buffer(session, "host", actual.host, sizeof(actual.host));
    read_buffer(session, "x", actual.x, sizeof(actual.x));
    assert_memory_equal(actual.y, expected->y, sizeof(actual.y));
    assert_memory_equal(actual.scratch, expected->scratch, sizeof(actual.scratch));
    assert_memory_equal(actual.host, expected->host, sizeof(actual.host));
    assert_memory_equal(actual.x, expected->x, sizeof(actual.x));
}

static void runs_again_and_again(void **state)
{
    struct segue_test *test = *state;
    struct replay replay;
    struct expected expected;
    struct segue_trace_timing timing = {0};
    struct segue_verification results[4];
    open_replay(test, &replay, NULL);
    for (int i = 0; i < 3; i++) {
        make_initial(&expected);
        check_buffers(replay.session, &expected);
        CHECK_OK(segue_trace_session_run(replay.session, i == 1 ? NULL : &timing));
        make_final(&expected);
        check_buffers(replay.session, &expected);
        CHECK_OK(segue_trace_session_verify(replay.session, results));
        for (int k = 0; k < 4; k++)
            assert_true(results[k].passed);
        CHECK_OK(segue_trace_session_restore(replay.session));
    }
    assert_true(timing.issue_ns > 0 && timing.total_ns >= timing.issue_ns);
    assert_true(timing.device_ns > 0);
    close_replay(&replay);
}

static void tells_counts_names_and_what_is_written(void **state)
{
    struct segue_test *test = *state;
    struct replay replay;
    struct segue_trace_counts counts;
    const char *name = NULL;
    open_replay(test, &replay, NULL);
    segue_trace_session_get_counts(replay.session, &counts);
    assert_int_equal(counts.buffer_count, 10);
    assert_int_equal(counts.executable_count, 1);
    assert_int_equal(counts.command_buffer_count, 4);
    assert_int_equal(counts.submission_count, 4);
    assert_int_equal(counts.expectation_count, 4);
    static const struct {
        const char *name;
        bool written;
    } buffers[] = {{"x", false},       {"y", true},       {"y high", true},
                   {"y top", true},    {"host", false},   {"weights", false},
                   {"indices", false}, {"scratch", true}, {"chosen", true}};
    for (size_t i = 0; i < sizeof(buffers) / sizeof(buffers[0]); i++) {
        bool written = false;
        find_buffer(replay.session, buffers[i].name, &written);
        assert_int_equal(written, buffers[i].written);
    }
    assert_non_null(segue_trace_session_command_buffer(replay.session, 1, &name));
    assert_string_equal(name, "slots");
    close_replay(&replay);
}

static void modes_and_orders_agree(void **state)
{
    struct segue_test *test = *state;
    struct replay replay;
    struct expected expected;
    make_final(&expected);
    open_replay(test, &replay, NULL);
    for (uint64_t seed = 0; seed < 6; seed++) {
        const struct segue_trace_session_params params = {
            .mode = seed % 2 != 0 ? SEGUE_EXECUTION_GRAPH : SEGUE_EXECUTION_STREAM,
            .order_seed = seed,
            .share_buffers = replay.session};
        segue_trace_session *session = NULL;
        struct segue_command_buffer_stats stats;
        CHECK_OK(segue_trace_session_create(replay.trace, test->device, &params, &session));
        CHECK_OK(segue_command_buffer_get_stats(
            segue_trace_session_command_buffer(session, 0, NULL), &stats));
        assert_int_equal(stats.mode, params.mode);
        CHECK_OK(segue_trace_session_restore(session));
        CHECK_OK(segue_trace_session_run(session, NULL));
        check_buffers(replay.session, &expected);
        segue_trace_session_destroy(session);
    }
    check_buffers(replay.session, &expected);
    close_replay(&replay);
}

/** The buffer that the commands with constant slots fill: `second` in the first `length` bytes,
 *  before that `first` in 32. */
static void check_chosen(segue_trace_session *session, uint32_t first, uint32_t second,
                         size_t length)
{
    unsigned char expected[64] = {0};
    unsigned char actual[64];
    fill_words(expected, 32, first);
    fill_words(expected, length, second);
    read_buffer(session, "chosen", actual, sizeof(actual));
    assert_memory_equal(actual, expected, sizeof(actual));
}

static void constants_can_be_set(void **state)
{
    struct segue_test *test = *state;
    struct replay replay;
    struct segue_constant_value word = {.size_bytes = 4, .as.u32 = 0x01020304};
    struct segue_constant_value wide = {.size_bytes = 8, .as.u64 = 16};
    open_replay(test, &replay, NULL);
    CHECK_OK(segue_trace_session_run(replay.session, NULL));
    check_chosen(replay.session, 0xdeadbeef, 257, 8);
    // The length of both executions, then the pattern, too.
    CHECK_OK(segue_trace_session_set_constant(replay.session, "length", &wide));
    CHECK_OK(segue_trace_session_restore(replay.session));
    CHECK_OK(segue_trace_session_run(replay.session, NULL));
    check_chosen(replay.session, 0, 257, 16);
    CHECK_OK(segue_trace_session_set_constant(replay.session, "pattern", &word));
    CHECK_OK(segue_trace_session_run(replay.session, NULL));
    check_chosen(replay.session, 0, 0x01020304, 16);
    CHECK_ERROR(segue_trace_session_set_constant(replay.session, "width", &word), SEGUE_NOT_FOUND,
                "constant slot \"width\" of 4 bytes");
    CHECK_ERROR(segue_trace_session_set_constant(replay.session, "length", &word), SEGUE_NOT_FOUND,
                "constant slot \"length\" of 4 bytes");
    CHECK_ERROR(segue_trace_session_set_constant(replay.session, NULL, &word),
                SEGUE_INVALID_ARGUMENT, "must not be NULL");
    CHECK_ERROR(segue_trace_session_set_constant(replay.session, "length", NULL),
                SEGUE_INVALID_ARGUMENT, "must not be NULL");
    close_replay(&replay);
}

static void limits_commands(void **state)
{
    struct segue_test *test = *state;
    for (uint32_t limit = 0; limit <= 17; limit++) {
        struct replay replay;
        struct expected expected;
        const struct segue_trace_session_params params = {
            .limit_commands = true, .limited_command_buffer = 0, .command_limit = limit};
        open_replay(test, &replay, &params);
        CHECK_OK(segue_trace_session_run(replay.session, NULL));
        make_initial(&expected);
        struct expected final;
        make_final(&final);
        memcpy(expected.scratch + 2048, final.scratch + 2048, 2048);
        if (limit > 1)
            memcpy(expected.scratch, final.scratch, 4);
        if (limit > 2)
            memcpy(expected.scratch + 512, final.scratch + 512, 512);
        if (limit > 3)
            memcpy(expected.scratch + 4, final.scratch + 4, 252);
        if (limit > 7)
            memcpy(expected.y + 256, final.y + 256, 256);
        if (limit > 12)
            memcpy(expected.y + 512, final.y + 512, 256);
        if (limit > 13)
            memcpy(expected.y, final.y, 256);
        check_buffers(replay.session, &expected);
        close_replay(&replay);
    }
}

static void reports_what_differs(void **state)
{
    struct segue_test *test = *state;
    struct replay replay;
    struct segue_verification results[4];
    open_replay(test, &replay, NULL);
    CHECK_OK(segue_trace_session_run(replay.session, NULL));
    segue_buffer *y = find_buffer(replay.session, "y", NULL);
    float value = -5.99999f; // element 8 is -6
    CHECK_OK(segue_buffer_write(y, 32, &value, 4));
    CHECK_ERROR(segue_trace_session_verify(replay.session, results), SEGUE_MISMATCH,
                "1 of 4 expectations failed; exact: bytes differ; first differing element 8: "
                "-5.99998999, expected -6");
    assert_true(results[0].passed);
    assert_true(results[0].relative_error > 0 && results[0].relative_error < 1e-6);
    assert_false(results[1].passed);
    assert_true(results[2].passed);
    assert_string_equal(results[1].name, "exact");
    value = -6;
    CHECK_OK(segue_buffer_write(y, 32, &value, 4));
    value = 30;
    CHECK_OK(segue_buffer_write(y, 80, &value, 4)); // element 20 is -3
    CHECK_ERROR(segue_trace_session_verify(replay.session, results), SEGUE_MISMATCH,
                "2 of 4 expectations failed; copied: relative error");
    assert_non_null(strstr(results[0].message, "exceeds 1e-06; first differing element"));
    value = NAN;
    CHECK_OK(segue_buffer_write(y, 80, &value, 4));
    CHECK_STATUS(segue_trace_session_verify(replay.session, results), SEGUE_MISMATCH);
    assert_false(results[0].passed);
    assert_true(isnan(results[0].relative_error));
    assert_non_null(strstr(results[0].message, "element 20: nan, expected -3"));
    CHECK_STATUS(segue_trace_session_verify(replay.session, NULL), SEGUE_INVALID_ARGUMENT);
    close_replay(&replay);
}

/** Parses a trace from text. */
static segue_trace *parse(const char *text)
{
    char path[] = "/tmp/segue-test-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    segue_trace *trace = NULL;
    CHECK_OK(segue_trace_load(path, &trace));
    unlink(path);
    return trace;
}

static void checks_digests(void **state)
{
    struct segue_test *test = *state;
    // XXH3-128 of 8 zero bytes and of nothing, as xxh128sum prints them.
    segue_trace *trace =
        parse("{\"segue_trace\": \"1.0\", \"buffers\": [{\"name\": \"x\", \"size\": 8}], "
              "\"expectations\": ["
              "{\"name\": \"e\", \"range\": {\"buffer\": \"x\", \"length\": 0}, \"dtype\": \"u8\","
              " \"digest\": \"99aa06d3014798d86001c324468d497f\"},"
              "{\"name\": \"z\", \"range\": {\"buffer\": \"x\"}, \"dtype\": \"u8\","
              " \"digest\": \"99aa06d3014798d86001c324468d497f\"}]}");
    segue_trace_session *session = NULL;
    struct segue_verification results[2];
    CHECK_OK(segue_trace_session_create(trace, test->device, NULL, &session));
    CHECK_ERROR(segue_trace_session_verify(session, results), SEGUE_MISMATCH,
                "1 of 2 expectations failed; z: XXH3-128 digest is ");
    assert_true(results[0].passed && !results[1].passed);
    segue_trace_session_destroy(session);
    segue_trace_destroy(trace);
}

static void check_output(const char *path, const char *const *names, const uint64_t *sizes,
                         uint32_t count)
{
    struct segue_pool pool = {0};
    struct segue_tensor_list list = {0};
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    CHECK_OK(segue_safetensors_read(path, fd, (uint64_t)lseek(fd, 0, SEEK_END), &pool, &list));
    assert_int_equal(list.tensor_count, count);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t k = 0;
        while (k < count && strcmp(list.tensors[k].name, names[i]) != 0)
            k++;
        assert_true(k < count);
        assert_int_equal(list.tensors[k].size_bytes, sizes[i]);
    }
    segue_pool_free(&pool);
    close(fd);
}

static void writes_outputs(void **state)
{
    struct segue_test *test = *state;
    struct replay replay;
    char folder[] = "/tmp/segue-test-XXXXXX";
    char path[64];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/out", folder);
    open_replay(test, &replay, NULL);
    CHECK_OK(segue_trace_session_run(replay.session, NULL));
    CHECK_OK(segue_trace_session_write_outputs(replay.session, path));
    check_output(path, (const char *[]){"copied", "exact", "empty", "chosen"},
                 (uint64_t[]){256, 256, 0, 64}, 4);
    CHECK_ERROR(segue_trace_session_write_outputs(replay.session, "/none/x"), SEGUE_IO_ERROR,
                "/none/x");
    close_replay(&replay);
    segue_trace_session *session = NULL;
    CHECK_OK(segue_trace_load(SEGUE_TRACES "/good/slots.json", &replay.trace));
    CHECK_OK(segue_trace_session_create(replay.trace, test->device, NULL, &session));
    CHECK_OK(segue_trace_session_run(session, NULL));
    CHECK_OK(segue_trace_session_write_outputs(session, path));
    check_output(path, (const char *[]){"b"}, (uint64_t[]){1024}, 1);
    segue_trace_session_destroy(session);
    segue_trace_destroy(replay.trace);
    unlink(path);
    // Nothing temporary is left.
    assert_int_equal(rmdir(folder), 0);
}

static void blames_the_trace_for_what_the_device_refuses(void **state)
{
    struct segue_test *test = *state;
    segue_trace_session *session = NULL;
    segue_trace *trace = parse(
        "{\"segue_trace\": \"1.0\", \"buffers\": [{\"name\": \"x\", \"size\": 64}],"
        " \"executables\": [{\"name\": \"e\", \"format\": \"cuda\","
        " \"source\": \"extern \\\"C\\\" __global__ void segue_builtin_fill(unsigned long long t, "
        "unsigned long long l, unsigned p, unsigned s) {}\","
        " \"entry_points\": [{\"name\": \"segue_builtin_fill\", \"block\": [32, 1, 1],"
        " \"parameters\": [{\"binding\": \"write\"}, {\"constant\": 8}, {\"constant\": 4},"
        " {\"constant\": 4}]}]}],"
        " \"command_buffers\": [{\"name\": \"c\", \"commands\": [{\"op\": \"barrier\"},"
        " {\"op\": \"dispatch\", \"executable\": \"e\", \"entry\": \"segue_builtin_fill\","
        " \"grid\": [1, 1, 1], \"dynamic_shared\": 1048576, \"bindings\": [{\"buffer\": \"x\"}],"
        " \"constants\": \"40000000000000000000000004000000\"}]}]}");
    CHECK_ERROR(segue_trace_session_create(trace, test->device, NULL, &session), SEGUE_INVALID_DATA,
                ": /command_buffers/0/commands/1: ");
    assert_null(session);
    segue_trace_destroy(trace);
    trace = parse("{\"segue_trace\": \"1.0\", \"buffers\": [{\"name\": \"x\", \"size\": "
                  "1152921504606846976}]}");
    CHECK_ERROR(segue_trace_session_create(trace, test->device, NULL, &session),
                SEGUE_OUT_OF_DEVICE_MEMORY, "1152921504606846976 bytes");
    segue_trace_destroy(trace);
}

static void refuses_bad_parameters(void **state)
{
    struct segue_test *test = *state;
    struct replay replay;
    segue_trace_session *session = NULL;
    segue_trace *other = NULL;
    open_replay(test, &replay, NULL);
    struct segue_trace_session_params params = {.mode = (enum segue_execution_mode)7};
    CHECK_STATUS(segue_trace_session_create(replay.trace, test->device, &params, &session),
                 SEGUE_INVALID_ARGUMENT);
    params =
        (struct segue_trace_session_params){.limit_commands = true, .limited_command_buffer = 4};
    CHECK_ERROR(segue_trace_session_create(replay.trace, test->device, &params, &session),
                SEGUE_OUT_OF_RANGE, "limited_command_buffer is 4");
    CHECK_OK(segue_trace_load(SEGUE_TRACES "/good/fill.json", &other));
    params = (struct segue_trace_session_params){.share_buffers = replay.session};
    CHECK_ERROR(segue_trace_session_create(other, test->device, &params, &session),
                SEGUE_INVALID_ARGUMENT, "share_buffers");
    CHECK_STATUS(segue_trace_session_create(NULL, test->device, NULL, &session),
                 SEGUE_INVALID_ARGUMENT);
    CHECK_STATUS(segue_trace_session_run(NULL, NULL), SEGUE_INVALID_ARGUMENT);
    assert_null(session);
    segue_trace_destroy(other);
    close_replay(&replay);
}

/** What a progress callback has seen. */
struct seen {
    uint64_t fill_done;
    uint64_t fill_total;
    int steps;
};

static void note_progress(void *context, const char *step, uint64_t done, uint64_t total)
{
    struct seen *seen = context;
    assert_true(done <= total);
    seen->steps++;
    if (strcmp(step, "fill buffers") == 0) {
        assert_true(done >= seen->fill_done);
        seen->fill_done = done;
        seen->fill_total = total;
    }
}

static void reports_progress(void **state)
{
    struct segue_test *test = *state;
    struct replay replay;
    struct seen seen = {0};
    const struct segue_trace_session_params params = {.progress = note_progress,
                                                      .progress_context = &seen};
    open_replay(test, &replay, &params);
    // All memories, and the one view with a content.
    assert_int_equal(seen.fill_total, 256 + 1024 + 256 + 512 + 256 + 256 + 4096 + 256 + 64);
    assert_int_equal(seen.fill_done, seen.fill_total);
    assert_true(seen.steps > 8);
    close_replay(&replay);
}

/** Command 1 of the first command buffer signals what the second, on a queue of its own that is
 *  submitted to first, waits for. */
static const char linked[] =
    "{\"segue_trace\": \"1.0\", \"buffers\": [{\"name\": \"x\", \"size\": 64}],"
    " \"semaphores\": [{\"name\": \"s\"}], \"events\": [{\"name\": \"e\"}],"
    " \"command_buffers\": [{\"name\": \"a\", \"commands\": ["
    " {\"op\": \"fill\", \"target\": {\"buffer\": \"x\"}, \"pattern\": 1},"
    " {\"op\": \"signal_event\", \"event\": \"e\"}]},"
    " {\"name\": \"b\", \"commands\": [{\"op\": \"wait_event\", \"event\": \"e\"},"
    " {\"op\": \"fill\", \"target\": {\"buffer\": \"x\", \"length\": 4}, \"pattern\": 2}]}],"
    " \"submissions\": ["
    " {\"queue\": 1, \"waits\": [{\"semaphore\": \"s\", \"value\": 1}],"
    " \"executions\": [{\"command_buffer\": \"b\"}]},"
    " {\"executions\": [{\"command_buffer\": \"a\"}],"
    " \"signals\": [{\"semaphore\": \"s\", \"value\": 1}]}]}";

static void keeps_events_of_cut_command_buffers(void **state)
{
    struct segue_test *test = *state;
    segue_trace *trace = parse(linked);
    for (uint32_t limit = 0; limit <= 2; limit++) {
        const struct segue_trace_session_params params = {.limit_commands = true,
                                                          .command_limit = limit};
        segue_trace_session *session = NULL;
        uint32_t words[16];
        CHECK_OK(segue_trace_session_create(trace, test->device, &params, &session));
        CHECK_OK(segue_trace_session_run(session, NULL));
        read_buffer(session, "x", words, sizeof(words));
        assert_int_equal(words[0], 2);
        assert_int_equal(words[1], limit > 0 ? 1 : 0);
        segue_trace_session_destroy(session);
    }
    segue_trace_destroy(trace);
}

/** A submission that nobody signals any more must not stop later runs. */
static void runs_again_after_half_a_run(void **state)
{
    struct segue_test *test = *state;
    if (test->soft == NULL)
        skip();
    segue_trace *trace = parse(linked);
    segue_trace_session *session = NULL;
    CHECK_OK(segue_trace_session_create(trace, test->device, NULL, &session));
    CHECK_OK(segue_trace_session_run(session, NULL));
    bool done = false;
    uint32_t failures = 0;
    for (uint64_t n = 1; !done; n++) {
        struct segue_soft_fault fault = {
            .target = SEGUE_SOFT_FAULT_DRIVER_CALL, .nth = n, .driver_result = 2};
        struct segue_soft_report before;
        struct segue_soft_report after;
        test->soft->get_report(&before);
        test->soft->set_fault(&fault);
        failures += segue_trace_session_run(session, NULL) != SEGUE_OK;
        test->soft->set_fault(NULL);
        test->soft->get_report(&after);
        done = after.fault_count == before.fault_count;
        CHECK_OK(segue_trace_session_run(session, NULL));
    }
    assert_true(failures > 5);
    segue_trace_session_destroy(session);
    segue_trace_destroy(trace);
}

/** One call after the other fails; teardown sees to it that nothing is left over. */
static void survives_failing_drivers(void **state)
{
    struct segue_test *test = *state;
    if (test->soft == NULL)
        skip();
    segue_trace *trace = NULL;
    struct expected expected;
    make_final(&expected);
    CHECK_OK(segue_trace_load(SEGUE_TRACES "/good/everything.json", &trace));
    // Packing gives memory up while calls fail, and what cannot be given up stays; that is
    // test_trace_packing's business.
    trace->buffers[trace->packings[0].buffer].packed = NULL;
    bool done = false;
    uint64_t failures = 0;
    for (uint64_t n = 1; !done && n < 2000; n++) {
        struct segue_soft_fault fault = {
            .target = SEGUE_SOFT_FAULT_DRIVER_CALL, .nth = n, .driver_result = 2};
        struct segue_soft_report before;
        struct segue_soft_report after;
        segue_trace_session *session = NULL;
        test->soft->get_report(&before);
        test->soft->set_fault(&fault);
        segue_status status = segue_trace_session_create(trace, test->device, NULL, &session);
        if (status == SEGUE_OK)
            status = segue_trace_session_run(session, NULL);
        test->soft->set_fault(NULL);
        test->soft->get_report(&after);
        done = after.fault_count == before.fault_count;
        failures += status != SEGUE_OK;
        if (session != NULL && status != SEGUE_OK) {
            // The session is still usable.
            CHECK_OK(segue_trace_session_restore(session));
            CHECK_OK(segue_trace_session_run(session, NULL));
        }
        if (session != NULL)
            check_buffers(session, &expected);
        segue_trace_session_destroy(session);
    }
    assert_true(done && failures > 20);
    segue_trace_destroy(trace);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        segue_test_case(runs_again_and_again),
        segue_test_case(tells_counts_names_and_what_is_written),
        segue_test_case(modes_and_orders_agree),
        segue_test_case(constants_can_be_set),
        segue_test_case(limits_commands),
        segue_test_case(reports_what_differs),
        segue_test_case(checks_digests),
        segue_test_case(writes_outputs),
        segue_test_case(blames_the_trace_for_what_the_device_refuses),
        segue_test_case(refuses_bad_parameters),
        segue_test_case(reports_progress),
        segue_test_case(keeps_events_of_cut_command_buffers),
        segue_test_case(runs_again_after_half_a_run),
        segue_test_case(survives_failing_drivers),
    };
    int prepared = segue_test_prepare();
    return prepared != 0 ? prepared : cmocka_run_group_tests(tests, NULL, NULL);
}
