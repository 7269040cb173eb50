// SPDX-License-Identifier: Apache-2.0
// Uses each library: replays a trace with the kernels of the sample at hand, and loads a constant.
#include <segue/kernels.h>
#include <segue/prepack.h>
#include <segue/segue.h>
#include <segue/trace.h>

#include <stdio.h>
#include <stdlib.h>

static void check(segue_status status)
{
    if (status != SEGUE_OK) {
        fprintf(stderr, "%s\n", segue_last_error()->message);
        exit(1);
    }
}

static void replay(segue_device *device, const char *path)
{
    segue_trace *trace = NULL;
    segue_trace_session *session = NULL;
    struct segue_trace_counts counts;
    check(segue_trace_load(path, &trace));
    check(segue_trace_session_create(trace, device, NULL, &session));
    check(segue_trace_session_run(session, NULL));
    segue_trace_session_get_counts(session, &counts);
    struct segue_verification *results = calloc(counts.expectation_count + 1, sizeof *results);
    check(results ? segue_trace_session_verify(session, results) : SEGUE_OUT_OF_HOST_MEMORY);
    for (uint32_t i = 0; i < counts.expectation_count; i++) {
        printf("%s: %s\n", results[i].name, results[i].passed ? "as expected" : "different");
    }
    free(results);
    segue_trace_session_destroy(session);
    segue_trace_destroy(trace);
}

static void load(segue_device *device)
{
    static const unsigned char bytes[] = "a constant";
    const struct segue_prepack_source source = {
        .kind = SEGUE_PREPACK_HOST, .data = bytes, .size_bytes = sizeof(bytes)};
    const struct segue_prepack_constant constant = {
        .name = "constant", .sources = &source, .source_count = 1};
    segue_prepack_plan *plan = NULL;
    segue_buffer *buffer = NULL;
    check(segue_prepack_plan_create(device, NULL, &plan));
    check(segue_prepack_plan_add(plan, &constant, NULL));
    check(segue_prepack_plan_run(plan));
    check(segue_prepack_plan_get_buffer(plan, 0, &buffer));
    segue_buffer_destroy(buffer);
    segue_prepack_plan_destroy(plan);
    puts("loaded");
}

int main(int argc, char **argv)
{
    segue_device *device = NULL;
    check(segue_device_open("soft://", NULL, &device));
    check(segue_kernels_register(device));
    struct segue_device_info info;
    segue_device_get_info(device, &info);
    printf("%d.%d.%d on %s\n", SEGUE_VERSION_MAJOR, SEGUE_VERSION_MINOR, SEGUE_VERSION_PATCH,
           info.is_soft ? "the software driver" : "a GPU");
    if (argc > 1) {
        replay(device, argv[1]);
    }
    load(device);
    segue_device_destroy(device);
    return 0;
}
