// SPDX-License-Identifier: Apache-2.0
// What a session measures and how its command buffers are ordered; durations in traces.
#include "test.h"
#include "trace/model.h"

#include <segue/trace.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#ifndef SEGUE_TRACES
#error "SEGUE_TRACES must be the folder tests/traces"
#endif

#define EVERYTHING SEGUE_TRACES "/good/everything.json"

static segue_trace *load(const char *path)
{
    segue_trace *trace = NULL;
    CHECK_OK(segue_trace_load(path, &trace));
    return trace;
}

static segue_trace_session *create(struct segue_test *test, segue_trace *trace,
                                   const struct segue_trace_session_params *params)
{
    segue_trace_session *session = NULL;
    CHECK_OK(segue_trace_session_create(trace, test->device, params, &session));
    return session;
}

/** Runs and compares what the trace expects, so that measuring has changed nothing. */
static void run_and_verify(segue_trace_session *session)
{
    struct segue_verification results[4];
    CHECK_OK(segue_trace_session_restore(session));
    CHECK_OK(segue_trace_session_run(session, NULL));
    CHECK_OK(segue_trace_session_verify(session, results));
}

static void measures_every_command_that_works(void **state)
{
    struct segue_test *test = *state;
    segue_trace *trace = load(EVERYTHING);
    // Stream mode does not count: stamps need a graph, where launches are no part of the times.
    const struct segue_trace_session_params params = {.mode = SEGUE_EXECUTION_STREAM,
                                                      .profile = true};
    segue_trace_session *session = create(test, trace, &params);
    for (int runs = 0; runs < 3; runs++) {
        run_and_verify(session);
        for (uint32_t i = 0; i < trace->command_buffer_count; i++) {
            const struct segue_trace_command_buffer *model = &trace->command_buffers[i];
            uint32_t durations_ns[32];
            uint32_t count = 0;
            CHECK_OK(segue_trace_session_get_durations(session, i, durations_ns, 32, &count));
            assert_int_equal(count, model->command_count);
            for (uint32_t k = 0; k < count; k++)
                assert_int_equal(durations_ns[k] != 0,
                                 model->commands[k].kind <= SEGUE_COMMAND_DISPATCH);
        }
    }
    // Only as many as fit.
    uint32_t first[3] = {77, 77, 77};
    uint32_t count = 0;
    CHECK_OK(segue_trace_session_get_durations(session, 0, first, 2, &count));
    assert_int_equal(first[0], 0);
    assert_int_equal(first[2], 77);
    segue_command_buffer *commands = segue_trace_session_command_buffer(session, 1, NULL);
    struct segue_command_buffer_stats stats;
    CHECK_OK(segue_command_buffer_get_stats(commands, &stats));
    assert_int_equal(stats.mode, SEGUE_EXECUTION_GRAPH);
    segue_trace_session_destroy(session);
    segue_trace_destroy(trace);
}

/** A command that is slow is measured as slow, and as slower than one that does nothing. */
static void tells_long_from_short(void **state)
{
    struct segue_test *test = *state;
    char path[] = "/tmp/segue-profile-XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    static const char text[] =
        "{\"segue_trace\": \"1.1\", \"buffers\": [{\"name\": \"x\", \"size\": 33554432}],"
        " \"command_buffers\": [{\"name\": \"a\", \"commands\": ["
        " {\"op\": \"fill\", \"target\": {\"buffer\": \"x\", \"length\": 4}, \"pattern\": 1},"
        " {\"op\": \"fill\", \"target\": {\"buffer\": \"x\"}, \"pattern\": 2},"
        " {\"op\": \"fill\", \"target\": {\"buffer\": \"x\", \"length\": 4}, \"pattern\": 3}]}],"
        " \"submissions\": [{\"executions\": [{\"command_buffer\": \"a\"}]}]}";
    assert_int_equal(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
    close(fd);
    segue_trace *trace = load(path);
    const struct segue_trace_session_params params = {.profile = true};
    segue_trace_session *session = create(test, trace, &params);
    for (int i = 0; i < 4; i++)
        CHECK_OK(segue_trace_session_run(session, NULL));
    uint32_t durations_ns[3];
    uint32_t count = 0;
    CHECK_OK(segue_trace_session_get_durations(session, 0, durations_ns, 3, &count));
    assert_int_equal(count, 3);
    // 32 MiB take 6 us at the very least; 4 bytes come nowhere near.
    assert_true(durations_ns[1] > 6000);
    assert_true(durations_ns[1] > 2 * durations_ns[0] && durations_ns[1] > 2 * durations_ns[2]);
    segue_trace_session_destroy(session);
    segue_trace_destroy(trace);
    unlink(path);
}

static void refuses_to_tell_what_it_has_not_measured(void **state)
{
    struct segue_test *test = *state;
    segue_trace *trace = load(EVERYTHING);
    const struct segue_trace_session_params params = {.profile = true};
    segue_trace_session *plain = create(test, trace, NULL);
    segue_trace_session *session = create(test, trace, &params);
    uint32_t count = 7;
    CHECK_ERROR(segue_trace_session_get_durations(plain, 0, NULL, 0, &count), SEGUE_INVALID_STATE,
                "create it with `profile`");
    CHECK_ERROR(segue_trace_session_get_durations(session, 0, NULL, 0, &count), SEGUE_INVALID_STATE,
                "run it first");
    run_and_verify(session);
    CHECK_OK(segue_trace_session_get_durations(session, 2, NULL, 0, &count));
    CHECK_ERROR(segue_trace_session_get_durations(session, 4, NULL, 0, &count), SEGUE_OUT_OF_RANGE,
                "command_buffer is 4, the trace has 4");
    CHECK_ERROR(segue_trace_session_get_durations(session, 0, NULL, 1, &count),
                SEGUE_INVALID_ARGUMENT, "out_durations_ns");
    assert_int_equal(count, 1);
    segue_trace_session_destroy(session);
    segue_trace_session_destroy(plain);
    segue_trace_destroy(trace);
}

static void orders_as_asked(void **state)
{
    struct segue_test *test = *state;
    segue_trace *trace = load(EVERYTHING);
    const uint32_t flag = SEGUE_COMMAND_BUFFER_BARRIER_ORDER;
    // Recorded without the flag, and with it.
    static const struct {
        enum segue_trace_order order;
        bool first;
        bool second;
    } cases[] = {
        {SEGUE_TRACE_ORDER_AUTO, false, true},
        {SEGUE_TRACE_ORDER_HAZARD, false, false},
        {SEGUE_TRACE_ORDER_BARRIER, true, true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct segue_trace_session_params params = {.order = cases[i].order};
        segue_trace_session *session = create(test, trace, &params);
        struct segue_command_buffer_info first;
        struct segue_command_buffer_info second;
        segue_command_buffer_get_info(segue_trace_session_command_buffer(session, 0, NULL), &first);
        segue_command_buffer_get_info(segue_trace_session_command_buffer(session, 1, NULL),
                                      &second);
        assert_int_equal((first.flags & flag) != 0, cases[i].first);
        assert_int_equal((second.flags & flag) != 0, cases[i].second);
        assert_true((second.flags & SEGUE_COMMAND_BUFFER_UNRETAINED) != 0);
        run_and_verify(session);
        segue_trace_session_destroy(session);
    }
    const struct segue_trace_session_params unknown = {.order = (enum segue_trace_order)3};
    segue_trace_session *session = NULL;
    CHECK_ERROR(segue_trace_session_create(trace, test->device, &unknown, &session),
                SEGUE_INVALID_ARGUMENT, "order is 3");
    segue_trace_destroy(trace);
}

/** A copy of everything.json in a folder of its own. */
struct copy {
    char folder[64];
    char path[96];
    char other[96];
};

static void copy_file(const char *from, const char *to)
{
    char command[512];
    snprintf(command, sizeof(command), "cp '%s' '%s'", from, to);
    assert_int_equal(system(command), 0);
}

static void make_copy(struct copy *copy)
{
    char tensors[128];
    snprintf(copy->folder, sizeof(copy->folder), "/tmp/segue-durations-XXXXXX");
    assert_non_null(mkdtemp(copy->folder));
    snprintf(copy->path, sizeof(copy->path), "%s/everything.json", copy->folder);
    snprintf(copy->other, sizeof(copy->other), "%s/other.json", copy->folder);
    snprintf(tensors, sizeof(tensors), "%s/everything.safetensors", copy->folder);
    copy_file(EVERYTHING, copy->path);
    copy_file(SEGUE_TRACES "/good/everything.safetensors", tensors);
}

static void remove_copy(const struct copy *copy)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -rf '%s'", copy->folder);
    assert_int_equal(system(command), 0);
}

static void writes_durations_of_dispatches(void **state)
{
    (void)state;
    struct copy copy;
    make_copy(&copy);
    segue_trace *trace = load(copy.path);
    uint32_t durations_ns[16];
    for (uint32_t i = 0; i < 16; i++)
        durations_ns[i] = 1000 + i;
    durations_ns[13] = 0;
    const struct segue_trace_durations durations = {0, durations_ns, 16};
    CHECK_OK(segue_trace_write_durations(trace, &durations, 1, copy.other));
    segue_trace *other = load(copy.other);
    assert_int_equal(other->command_buffers[0].commands[12].as.dispatch->duration_ns, 1012);
    // 0 says nothing: what was there stays.
    assert_int_equal(other->command_buffers[0].commands[13].as.dispatch->duration_ns, 2600);
    assert_int_equal(other->expectation_count, trace->expectation_count);
    assert_int_equal(other->submission_count, trace->submission_count);
    segue_trace_destroy(other);

    // In its own place.
    durations_ns[13] = 5;
    CHECK_OK(segue_trace_write_durations(trace, &durations, 1, copy.path));
    other = load(copy.path);
    assert_int_equal(other->command_buffers[0].commands[13].as.dispatch->duration_ns, 5);
    segue_trace_destroy(other);
    segue_trace_destroy(trace);
    remove_copy(&copy);
}

static void refuses_durations_that_do_not_fit(void **state)
{
    (void)state;
    struct copy copy;
    make_copy(&copy);
    segue_trace *trace = load(copy.path);
    const uint32_t durations_ns[17] = {0};
    const struct segue_trace_durations good = {0, durations_ns, 16};
    const struct segue_trace_durations long_ones = {0, durations_ns, 17};
    const struct segue_trace_durations beyond = {4, durations_ns, 0};
    CHECK_ERROR(segue_trace_write_durations(trace, NULL, 1, copy.other), SEGUE_INVALID_ARGUMENT,
                "must not be NULL");
    CHECK_ERROR(segue_trace_write_durations(trace, &long_ones, 1, copy.other), SEGUE_OUT_OF_RANGE,
                "17 commands of command buffer 0");
    CHECK_ERROR(segue_trace_write_durations(trace, &beyond, 1, copy.other), SEGUE_OUT_OF_RANGE,
                "of command buffer 4");
    CHECK_ERROR(segue_trace_write_durations(trace, &good, 1, "/tmp/elsewhere.json"),
                SEGUE_INVALID_ARGUMENT, "must be in the folder of");
    assert_int_equal(access(copy.other, F_OK), -1);
    // A document that is not what was loaded.
    copy_file(SEGUE_TRACES "/good/fill.json", copy.path);
    CHECK_ERROR(segue_trace_write_durations(trace, &good, 1, copy.other), SEGUE_INVALID_DATA,
                "has changed since it was loaded");
    char command[512];
    snprintf(command, sizeof(command), "sed 's/\"op\": \"dispatch\"/\"op\": \"copy\"/' '%s' > '%s'",
             EVERYTHING, copy.path);
    assert_int_equal(system(command), 0);
    CHECK_ERROR(segue_trace_write_durations(trace, &good, 1, copy.other), SEGUE_INVALID_DATA,
                "has changed since it was loaded");
    unlink(copy.path);
    CHECK_ERROR(segue_trace_write_durations(trace, &good, 1, copy.other), SEGUE_IO_ERROR,
                "could not be opened");
    segue_trace_destroy(trace);
    remove_copy(&copy);
}

/** One call after the other fails; teardown sees to it that nothing is left over. */
static void survives_failing_drivers(void **state)
{
    struct segue_test *test = *state;
    if (test->soft == NULL)
        skip();
    segue_trace *trace = load(EVERYTHING);
    const struct segue_trace_session_params params = {.profile = true};
    // Packing gives memory up while calls fail, and what cannot be given up stays; that is
    // test_trace_packing's business.
    trace->buffers[trace->packings[0].buffer].packed = NULL;
    bool done = false;
    uint64_t failures = 0;
    for (uint64_t n = 1; !done && n < 4000; n++) {
        struct segue_soft_fault fault = {
            .target = SEGUE_SOFT_FAULT_DRIVER_CALL, .nth = n, .driver_result = 2};
        struct segue_soft_report before;
        struct segue_soft_report after;
        segue_trace_session *session = NULL;
        test->soft->get_report(&before);
        test->soft->set_fault(&fault);
        segue_status status = segue_trace_session_create(trace, test->device, &params, &session);
        if (status == SEGUE_OK)
            status = segue_trace_session_run(session, NULL);
        test->soft->set_fault(NULL);
        test->soft->get_report(&after);
        segue_trace_session_destroy(session);
        done = after.fault_count == before.fault_count;
        failures += status != SEGUE_OK;
    }
    assert_true(done);
    assert_true(failures > 50);
    segue_trace_destroy(trace);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        segue_test_case(measures_every_command_that_works),
        segue_test_case(tells_long_from_short),
        segue_test_case(refuses_to_tell_what_it_has_not_measured),
        segue_test_case(orders_as_asked),
        segue_test_case(writes_durations_of_dispatches),
        segue_test_case(refuses_durations_that_do_not_fit),
        segue_test_case(survives_failing_drivers),
    };
    int prepared = segue_test_prepare();
    return prepared != 0 ? prepared : cmocka_run_group_tests(tests, NULL, NULL);
}
