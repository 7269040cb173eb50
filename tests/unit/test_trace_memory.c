// SPDX-License-Identifier: Apache-2.0
// Running out of host memory anywhere in reading, replaying, dumping and writing: a status, no
// harm, and (in builds with sanitizers) no leak. Allocations of the libraries are wrapped by the
// linker; jansson's by its own hook.
#include "test.h"

#include <segue/trace.h>

#include <dirent.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#ifndef SEGUE_TRACES
#error "SEGUE_TRACES must be the folder tests/traces"
#endif

/** Allocations until one fails; 0: none does. */
static uint64_t countdown;
static uint64_t failure_count;

static bool fails_now(void)
{
    if (countdown == 0 || --countdown != 0)
        return false;
    failure_count++;
    return true;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
char *__wrap_strdup(const char *text);

void *__wrap_malloc(size_t size)
{
    return fails_now() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails_now() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    return fails_now() ? NULL : __real_realloc(memory, size);
}

char *__wrap_strdup(const char *text)
{
    return fails_now() ? NULL : __real_strdup(text);
}

json_t *__real_json_loadb(const char *text, size_t size, size_t flags, json_error_t *error);
json_t *__wrap_json_loadb(const char *text, size_t size, size_t flags, json_error_t *error);

/** jansson's parser takes some shortages for syntax errors and loses characters in others: those
 *  are not ours to test. */
json_t *__wrap_json_loadb(const char *text, size_t size, size_t flags, json_error_t *error)
{
    uint64_t kept = countdown;
    countdown = 0;
    json_t *root = __real_json_loadb(text, size, flags, error);
    countdown = kept;
    return root;
}

static char folder[] = "/tmp/segue-test-XXXXXX";

static int count_files(void)
{
    int count = 0;
    DIR *directory = opendir(folder);
    assert_non_null(directory);
    while (readdir(directory) != NULL)
        count++;
    closedir(directory);
    return count - 2;
}

/** Everything that the library does, with one command buffer written again as a trace. */
static segue_status use_everything(struct segue_test *test)
{
    segue_trace *trace = NULL;
    segue_trace_session *session = NULL;
    struct segue_verification results[3];
    char path[64];
    snprintf(path, sizeof(path), "%s/t.json", folder);
    segue_status status = segue_trace_load(SEGUE_TRACES "/good/everything.json", &trace);
    if (status == SEGUE_OK)
        status = segue_trace_session_create(trace, test->device, NULL, &session);
    if (status == SEGUE_OK)
        status = segue_trace_session_run(session, NULL);
    if (status == SEGUE_OK)
        status = segue_trace_session_verify(session, results);
    for (int format = SEGUE_DUMP_TEXT; status == SEGUE_OK && format <= SEGUE_DUMP_JSON; format++) {
        char *text = NULL;
        status =
            segue_dump_command_buffer(segue_trace_session_command_buffer(session, 0, NULL),
                                      SEGUE_DUMP_SEGMENTS, (enum segue_dump_format)format, &text);
        segue_dump_free(text);
    }
    if (status == SEGUE_OK)
        status = segue_trace_write_command_buffer(
            segue_trace_session_command_buffer(session, 0, NULL), NULL, 0, path);
    segue_trace_session_destroy(session);
    segue_trace_destroy(trace);
    return status;
}

/** Measuring, its results in a trace, and dumps of graphs. */
static segue_status use_profile(struct segue_test *test)
{
    static const struct segue_trace_session_params params = {.profile = true};
    segue_trace *trace = NULL;
    segue_trace_session *session = NULL;
    uint32_t durations_ns[4];
    uint32_t count = 0;
    char path[64];
    snprintf(path, sizeof(path), "%s/t.json", folder);
    segue_status status = segue_trace_load(path, &trace);
    if (status == SEGUE_OK)
        status = segue_trace_session_create(trace, test->device, &params, &session);
    if (status == SEGUE_OK)
        status = segue_trace_session_run(session, NULL);
    if (status == SEGUE_OK)
        status = segue_trace_session_get_durations(session, 0, durations_ns, 4, &count);
    const struct segue_trace_durations durations = {0, durations_ns, 4};
    if (status == SEGUE_OK)
        status = segue_trace_write_durations(trace, &durations, 1, path);
    for (int stage = SEGUE_DUMP_DAG; status == SEGUE_OK && stage <= SEGUE_DUMP_GRAPH; stage++) {
        for (int format = 0; status == SEGUE_OK && format <= SEGUE_DUMP_DOT; format++) {
            char *text = NULL;
            status = segue_dump_command_buffer(segue_trace_session_command_buffer(session, 0, NULL),
                                               (enum segue_dump_stage)stage,
                                               (enum segue_dump_format)format, &text);
            segue_dump_free(text);
        }
    }
    segue_trace_session_destroy(session);
    segue_trace_destroy(trace);
    return status;
}

/** Lets one allocation after the other fail, until none does. */
static void survive(struct segue_test *test, segue_status (*use)(struct segue_test *test),
                    int file_count)
{
    bool done = false;
    for (uint64_t n = 1; !done; n++) {
        uint64_t failures = failure_count;
        countdown = n;
        segue_status status = use(test);
        countdown = 0;
        done = failure_count == failures;
        if (status != SEGUE_OK && status != SEGUE_OUT_OF_HOST_MEMORY)
            fail_msg("allocation %llu: %s: %s", (unsigned long long)n, segue_status_name(status),
                     segue_last_error()->message);
        if (status == SEGUE_OK)
            assert_int_equal(count_files(), file_count);
    }
    CHECK_OK(use(test));
    // Nothing temporary is left over from failures.
    assert_int_equal(count_files(), file_count);
}

static void survives_every_shortage(void **state)
{
    survive(*state, use_everything, 2);
    assert_true(failure_count > 100);
}

/** Of the trace that the other test has left. */
static void survives_every_shortage_of_profiles(void **state)
{
    failure_count = 0;
    survive(*state, use_profile, 2);
    assert_true(failure_count > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {segue_test_case(survives_every_shortage),
                                       segue_test_case(survives_every_shortage_of_profiles)};
    int prepared = segue_test_prepare();
    if (prepared != 0 || mkdtemp(folder) == NULL)
        return prepared != 0 ? prepared : 1;
    json_set_alloc_funcs(__wrap_malloc, free);
    int result = cmocka_run_group_tests(tests, NULL, NULL);
    char command[64];
    snprintf(command, sizeof(command), "rm -r '%s'", folder);
    return system(command) != 0 ? 1 : result;
}
