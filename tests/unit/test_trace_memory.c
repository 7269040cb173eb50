// SPDX-License-Identifier: Apache-2.0
// Running out of host memory anywhere in reading, replaying, dumping and writing: a status, no
// harm, and (in builds with sanitizers) no leak. Allocations of the libraries are wrapped by the
// linker; jansson's by its own hook.
#include "gguf.h"
#include "test.h"

#include <segue/tensor_file.h>
#include <segue/trace.h>

#include <dirent.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
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
    struct segue_verification results[4];
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

/** Tensors of both kinds of files. */
static segue_status use_tensor_files(struct segue_test *test)
{
    (void)test;
    struct segue_test_gguf gguf = {0};
    segue_test_gguf_begin(&gguf, 3, 2, 0);
    segue_test_gguf_tensor(&gguf, "a", 2, 8, 0, 0);
    segue_test_gguf_tensor(&gguf, "x", 1, 8, 0, 64);
    segue_test_gguf_align(&gguf, 32);
    gguf.size_bytes += 96;
    const int memory = memfd_create("tensors", MFD_CLOEXEC);
    assert_int_equal(write(memory, gguf.bytes, gguf.size_bytes), gguf.size_bytes);
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", memory);
    const char *const paths[] = {SEGUE_TRACES "/good/everything.safetensors", path};
    segue_status status = SEGUE_OK;
    for (size_t i = 0; status == SEGUE_OK && i < 2; i++) {
        segue_tensor_file *file = NULL;
        struct segue_tensor_info info;
        status = segue_tensor_file_open(paths[i], &file);
        if (status == SEGUE_OK)
            status = segue_tensor_file_find(file, "x", &info);
        segue_tensor_file_close(file);
    }
    (void)close(memory);
    return status;
}

/** A trace with a packed constant, written, read and packed. */
static segue_status use_packing(struct segue_test *test)
{
    static const uint32_t words = 16;
    static const uint32_t data[16] = {1, 2, 3};
    static const uint64_t probe_bytes[2] = {64, 64};
    const struct segue_buffer_params params = {
        .size_bytes = 64, .memory = SEGUE_MEMORY_CONSTANT, .label = "packed"};
    const struct segue_trace_packing_source sources[] = {
        {.size_bytes = 64, .is_generated = true, .content = {.kind = SEGUE_CONTENT_NIBBLES}},
        {.size_bytes = 64, .data = data},
    };
    struct segue_trace_packing packing = {
        .sources = sources,
        .source_count = 2,
        .dispatch = {.executable = test->kernels,
                     .entry_point = SEGUE_TEST_ADD,
                     .grid = {1, 1, 1},
                     .constants = &words,
                     .constants_size_bytes = sizeof(words)},
        .layout_id = 1,
        .probe_input_bytes = probe_bytes,
        .probe_output_bytes = 64,
    };
    packing.probe = packing.dispatch;
    char path[64];
    (void)snprintf(path, sizeof(path), "%s/p.json", folder);
    segue_buffer *packed = NULL;
    segue_trace_writer *writer = NULL;
    segue_trace *trace = NULL;
    segue_trace_session *session = NULL;
    segue_status status = segue_buffer_create(test->device, &params, &packed);
    if (status == SEGUE_OK)
        status = segue_trace_writer_create(test->device, path, &writer);
    if (status == SEGUE_OK)
        status = segue_trace_writer_set_packing(writer, packed, &packing);
    if (status == SEGUE_OK)
        status = segue_trace_writer_finish(writer);
    segue_trace_writer_destroy(writer);
    if (status == SEGUE_OK)
        status = segue_trace_load(path, &trace);
    if (status == SEGUE_OK)
        status = segue_trace_session_create(trace, test->device, NULL, &session);
    segue_trace_session_destroy(session);
    segue_trace_destroy(trace);
    segue_buffer_destroy(packed);
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

static void survives_every_shortage_of_tensor_files(void **state)
{
    failure_count = 0;
    survive(*state, use_tensor_files, 2);
    assert_true(failure_count > 5);
}

static void survives_every_shortage_of_packings(void **state)
{
    failure_count = 0;
    CHECK_OK(use_packing(*state));
    survive(*state, use_packing, count_files());
    assert_true(failure_count > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {segue_test_case(survives_every_shortage),
                                       segue_test_case(survives_every_shortage_of_profiles),
                                       segue_test_case(survives_every_shortage_of_tensor_files),
                                       segue_test_case(survives_every_shortage_of_packings)};
    int prepared = segue_test_prepare();
    if (prepared != 0 || mkdtemp(folder) == NULL)
        return prepared != 0 ? prepared : 1;
    json_set_alloc_funcs(__wrap_malloc, free);
    int result = cmocka_run_group_tests(tests, NULL, NULL);
    char command[64];
    snprintf(command, sizeof(command), "rm -r '%s'", folder);
    return system(command) != 0 ? 1 : result;
}
