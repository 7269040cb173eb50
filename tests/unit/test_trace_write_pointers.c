// SPDX-License-Identifier: Apache-2.0
// Addresses among the constants of opaque kernels where submissions give some of the constants:
// what is recorded in the place of a value is no address, even if it looks like one.
#include "test.h"
#include "trace/model.h"

#include <segue/trace.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ADDRESS (UINT64_C(5) << 32)

void __real_segue_buffer_get_info(segue_buffer *buffer, struct segue_buffer_info *out_info);
void __wrap_segue_buffer_get_info(segue_buffer *buffer, struct segue_buffer_info *out_info);

void __wrap_segue_buffer_get_info(segue_buffer *buffer, struct segue_buffer_info *out_info)
{
    __real_segue_buffer_get_info(buffer, out_info);
    out_info->device_address = ADDRESS - 64;
}

static const struct segue_constant_slot slots[] = {{"low", 4}, {"high", 4}, {"beside", 4}};
static const struct segue_constant_use uses[] = {
    {.slot = 0, .offset_bytes = 0, .size_bytes = 4},
    {.slot = 1, .offset_bytes = 4, .size_bytes = 4},
    {.slot = 2, .offset_bytes = 8, .size_bytes = 4},
};
enum { USES = sizeof(uses) / sizeof(uses[0]) };

/** Records an address and three numbers, one of which, or half of it, is given later. */
static void record_opaque(struct segue_test *test, segue_command_buffer *commands,
                          const struct segue_constant_use *use)
{
    unsigned char constants[20];
    memcpy(constants, &(uint64_t){ADDRESS + 16}, 8);
    memcpy(constants + 8, (uint32_t[]){64, 5, 9}, 12);
    CHECK_OK(segue_cmd_dispatch(commands, &(struct segue_dispatch){
                                              .executable = test->kernels,
                                              .entry_point = SEGUE_TEST_OPAQUE,
                                              .grid = {1, 1, 1},
                                              .constants = constants,
                                              .constants_size_bytes = sizeof(constants),
                                              .constant_uses = use,
                                              .constant_use_count = 1,
                                          }));
}

static void write_trace(struct segue_test *test, segue_command_buffer *commands, const char *path)
{
    const struct segue_constant_value values[USES] = {
        {.size_bytes = 4}, {.size_bytes = 4}, {.size_bytes = 4}};
    const struct segue_execution execution = {
        .command_buffer = commands, .constants = values, .constant_count = USES};
    segue_trace_writer *writer = NULL;
    CHECK_OK(segue_trace_writer_create(test->device, path, &writer));
    CHECK_OK(segue_trace_writer_add_submission(
        writer, &(struct segue_submission){.executions = &execution, .execution_count = 1}));
    CHECK_OK(segue_trace_writer_finish(writer));
    segue_trace_writer_destroy(writer);
}

static void notes_addresses_that_are_not_given(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_words(test, 64, 1);
    segue_command_buffer *commands =
        segue_test_begin_constants(test, 0, slots, sizeof(slots) / sizeof(slots[0]), 0);
    // The writer knows the buffers that it has seen.
    CHECK_OK(segue_cmd_fill(commands, segue_test_whole(data), 1, 4));
    for (uint32_t i = 0; i < USES; i++) {
        segue_test_barrier(commands);
        record_opaque(test, commands, &uses[i]);
    }
    CHECK_OK(segue_command_buffer_end(commands));
    char folder[] = "/tmp/segue-test-XXXXXX";
    assert_non_null(mkdtemp(folder));
    char path[64];
    snprintf(path, sizeof(path), "%s/t.json", folder);
    write_trace(test, commands, path);
    segue_trace *trace = NULL;
    CHECK_OK(segue_trace_load(path, &trace));
    const struct segue_trace_command *written = trace->command_buffers[0].commands;
    for (uint32_t i = 0; i < USES; i++) {
        const struct segue_trace_dispatch *dispatch = written[2 + 2 * i].as.dispatch;
        assert_int_equal(dispatch->constant_use_count, 1);
        assert_int_equal(dispatch->pointer_count, uses[i].slot == 2 ? 1 : 0);
    }
    segue_trace_destroy(trace);
    (void)unlink(path);
    (void)rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(notes_addresses_that_are_not_given, segue_test_setup,
                                        segue_test_teardown),
    };
    int prepared = segue_test_prepare();
    return prepared != 0 ? prepared : cmocka_run_group_tests(tests, NULL, NULL);
}
