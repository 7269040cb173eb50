// SPDX-License-Identifier: Apache-2.0
// Traces. Input: the JSON document. The files that it may name are those of tests/traces/good.
// Small traces that the reader accepts are made real on the software driver, run, and dumped.
#include "fuzz.h"
#include "json_mutate.h"

#include "trace/trace_read.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/** What a trace may take to be run here. */
enum {
    LARGEST_BUFFERS_BYTES = 1 << 20,
    LARGEST_COMMAND_COUNT = 2000,
    LARGEST_OBJECT_COUNT = 64,
};

static bool is_small(const struct segue_trace *trace)
{
    uint64_t total_bytes = 0;
    for (uint32_t i = 0; i < trace->buffer_count; ++i) {
        if (trace->buffers[i].size_bytes > LARGEST_BUFFERS_BYTES)
            return false;
        total_bytes += trace->buffers[i].size_bytes;
    }
    return total_bytes <= LARGEST_BUFFERS_BYTES && trace->command_count <= LARGEST_COMMAND_COUNT &&
           trace->executed_command_count <= LARGEST_COMMAND_COUNT &&
           trace->buffer_count + trace->executable_count + trace->semaphore_count +
                   trace->event_count + trace->command_buffer_count + trace->submission_count +
                   trace->queue_count <=
               LARGEST_OBJECT_COUNT;
}

static bool has_dispatch(const struct segue_trace *trace)
{
    for (uint32_t i = 0; i < trace->command_buffer_count; ++i) {
        const struct segue_trace_command_buffer *commands = &trace->command_buffers[i];
        for (uint32_t j = 0; j < commands->command_count; ++j) {
            if (commands->commands[j].kind == SEGUE_COMMAND_DISPATCH)
                return true;
        }
    }
    return false;
}

/** All dumps of all command buffers. */
static void dump(segue_trace_session *session)
{
    struct segue_trace_counts counts;
    segue_trace_session_get_counts(session, &counts);
    for (uint32_t i = 0; i < counts.command_buffer_count; ++i) {
        const char *name = NULL;
        segue_command_buffer *commands = segue_trace_session_command_buffer(session, i, &name);
        for (uint32_t kind = 0; kind < 9; ++kind) {
            enum segue_dump_stage stage = (enum segue_dump_stage)(kind / 3);
            enum segue_dump_format format = (enum segue_dump_format)(kind % 3);
            char *text = NULL;
            segue_status status = segue_dump_command_buffer(commands, stage, format, &text);
            FUZZ_CHECK((status == SEGUE_OK) == (text != NULL), "dump of %s", name);
            segue_dump_free(text);
        }
    }
}

/** The reader has checked everything that it can; what is left is up to kernels. */
static void check_run(const struct segue_trace *trace, segue_status status)
{
    bool expected = status == SEGUE_OK || status == SEGUE_HAZARD;
    if (has_dispatch(trace))
        expected = expected || status == SEGUE_DEVICE_LOST || status == SEGUE_DRIVER_ERROR ||
                   status == SEGUE_INVALID_DATA || status == SEGUE_INVALID_ARGUMENT;
    FUZZ_CHECK(expected, "a trace that was accepted does not run: %s: %s",
               segue_status_name(status), segue_last_error()->message);
}

static void verify(segue_trace_session *session)
{
    struct segue_trace_counts counts;
    segue_trace_session_get_counts(session, &counts);
    struct segue_verification *results =
        calloc((size_t)counts.expectation_count + 1, sizeof(*results));
    FUZZ_CHECK(results != NULL, "out of memory");
    segue_status status = segue_trace_session_verify(session, results);
    for (uint32_t i = 0; i < counts.expectation_count && status == SEGUE_OK; ++i)
        FUZZ_CHECK(results[i].passed, "a failed expectation was not reported");
    free(results);
}

static void run_session(const struct segue_trace *trace, segue_trace_session *session)
{
    struct segue_trace_timing timing;
    segue_status status = segue_trace_session_run(session, &timing);
    check_run(trace, status);
    if (status == SEGUE_OK)
        verify(session);
    dump(session);
    if (status == SEGUE_OK && segue_trace_session_restore(session) == SEGUE_OK)
        check_run(trace, segue_trace_session_run(session, NULL));
}

static void replay(struct segue_trace *trace, size_t size)
{
    struct fuzz_memory memory;
    segue_device *device = fuzz_open_device(&memory, SEGUE_VALIDATION_FULL);
    const struct segue_soft_api *soft = segue_device_get_soft_api(device);
    soft->set_seed(size);
    const struct segue_trace_session_params params = {.order_seed = size % 3};
    segue_trace_session *session = NULL;
    segue_status status = segue_trace_session_create(trace, device, &params, &session);
    if (status == SEGUE_OK)
        run_session(trace, session);
    else
        FUZZ_CHECK(segue_last_error()->status == status && session == NULL, "a session failed: %s",
                   segue_status_name(status));
    // A kernel of the trace may have failed.
    soft->set_device_lost(0);
    segue_trace_session_destroy(session);
    segue_device_destroy(device);
    fuzz_check_end(soft, &memory);
    struct segue_soft_report report;
    soft->get_report(&report);
    // Kernels need not keep to the ranges that the trace declares.
    FUZZ_CHECK(report.hazard_count == 0 || has_dispatch(trace), "hazard: %s", report.first_hazard);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int folder = open(FUZZ_TRACES "/good", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    FUZZ_CHECK(folder >= 0, "%s: not there", FUZZ_TRACES);
    segue_trace *trace = NULL;
    segue_status status = segue_trace_parse("fuzz", (const char *)data, size, folder, &trace);
    if (status == SEGUE_OK) {
        if (is_small(trace))
            replay(trace, size);
        segue_trace_destroy(trace);
        return 0;
    }
    FUZZ_CHECK(trace == NULL && segue_last_error()->status == status &&
                   segue_last_error()->message[0] != '\0',
               "the last error does not say why");
    FUZZ_CHECK(status == SEGUE_INVALID_DATA || status == SEGUE_IO_ERROR, "the status is %s",
               segue_status_name(status));
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    return fuzz_mutate_json(data, size, max_size, seed);
}
