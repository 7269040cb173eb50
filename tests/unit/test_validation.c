// SPDX-License-Identifier: Apache-2.0
// What recording refuses beyond one case a rule (tests/pairs): all functions, values, overflows.
#include "record_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/** As command_buffer.h promises. */
#define MAX_DEPTH 64

#define test_case(function) cmocka_unit_test_setup_teardown(function, record_setup, record_teardown)

/** The command was refused with that status, and its message has all of the parts (separated by
 *  '|'). The command buffer is then made ready for the next case. */
static void refused_with(struct record_fixture *fixture, segue_status actual, segue_status expected,
                         const char *parts)
{
    assert_int_equal(actual, expected);
    const char *message = segue_last_error()->message;
    char text[512];
    snprintf(text, sizeof text, "%s", parts);
    char *rest = NULL;
    for (char *part = strtok_r(text, "|", &rest); part; part = strtok_r(NULL, "|", &rest))
        if (!strstr(message, part))
            fail_msg("\"%s\" does not contain \"%s\"", message, part);
    assert_int_equal(fixture->recording->state, SEGUE_STATE_FAILED);
    assert_int_equal(segue_command_buffer_reset(fixture->recording), SEGUE_OK);
    assert_int_equal(segue_command_buffer_begin(fixture->recording), SEGUE_OK);
}

static void messages_name_command_group_and_buffer(void **state)
{
    struct record_fixture *fixture = *state;
    segue_command_buffer *recording = fixture->recording;
    assert_int_equal(segue_cmd_begin_group(recording, "layer3"), SEGUE_OK);
    assert_int_equal(segue_cmd_begin_group(recording, "mlp"), SEGUE_OK);
    struct segue_buffer_ref bindings[4];
    const struct segue_dispatch dispatch = record_gemv(fixture, bindings);
    bindings[1] = part(fixture->b, 4000, 97);
    refused_with(fixture, segue_cmd_dispatch(recording, &dispatch), SEGUE_OUT_OF_RANGE,
                 "command buffer \"decode\", command 2 (dispatch \"gemv\", group \"layer3/mlp\")|"
                 "binding 1, buffer \"b\"|97 bytes at offset 4000|at most 96 fit");
    bindings[1] = part(fixture->b, 4000, 96);
    assert_int_equal(segue_cmd_dispatch(recording, &dispatch), SEGUE_OK);
}

static void null_command_buffers_are_refused(void **state)
{
    struct record_fixture *fixture = *state;
    const struct segue_buffer_ref ref = whole(fixture->a);
    assert_int_equal(segue_cmd_fill(NULL, ref, 0, 1), SEGUE_INVALID_ARGUMENT);
    assert_int_equal(segue_cmd_update(NULL, ref, "x"), SEGUE_INVALID_ARGUMENT);
    assert_int_equal(segue_cmd_copy(NULL, ref, ref), SEGUE_INVALID_ARGUMENT);
    assert_int_equal(segue_cmd_dispatch(NULL, NULL), SEGUE_INVALID_ARGUMENT);
    assert_int_equal(segue_cmd_barrier(NULL, NULL), SEGUE_INVALID_ARGUMENT);
    assert_int_equal(segue_cmd_signal_event(NULL, fixture->event), SEGUE_INVALID_ARGUMENT);
    assert_int_equal(segue_cmd_reset_event(NULL, fixture->event), SEGUE_INVALID_ARGUMENT);
    assert_int_equal(segue_cmd_wait_event(NULL, fixture->event), SEGUE_INVALID_ARGUMENT);
    assert_int_equal(segue_cmd_begin_group(NULL, "x"), SEGUE_INVALID_ARGUMENT);
    assert_int_equal(segue_cmd_end_group(NULL), SEGUE_INVALID_ARGUMENT);
    assert_int_equal(segue_cmd_execute(NULL, fixture->recording, NULL, 0), SEGUE_INVALID_ARGUMENT);
}

static void fills(void **state)
{
    struct record_fixture *fixture = *state;
    segue_command_buffer *recording = fixture->recording;
    segue_buffer *a = fixture->a;
    static const uint32_t sizes[] = {0, 3, 5, 8, UINT32_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        refused_with(fixture, segue_cmd_fill(recording, whole(a), 0, sizes[i]),
                     SEGUE_INVALID_ARGUMENT, "command 0 (fill)|use 1, 2 or 4");
    refused_with(fixture, segue_cmd_fill(recording, part(a, 1, 8), 0, 2), SEGUE_INVALID_ARGUMENT,
                 "not a multiple of 2");
    refused_with(fixture, segue_cmd_fill(recording, part(a, 4097, SEGUE_WHOLE_SIZE), 0, 1),
                 SEGUE_OUT_OF_RANGE, "offset 4097");
    // Offsets and lengths whose sum wraps around.
    refused_with(fixture, segue_cmd_fill(recording, part(a, 8, UINT64_MAX - 3), 0, 4),
                 SEGUE_OUT_OF_RANGE, "buffer \"a\"");
    refused_with(fixture, segue_cmd_fill(recording, part(a, UINT64_MAX - 7, 8), 0, 4),
                 SEGUE_OUT_OF_RANGE, "buffer \"a\"");
    // The memory's alignment counts, not the view's offset alone.
    segue_buffer *view;
    assert_int_equal(segue_buffer_create_view(a, 2, 10, "view", &view), SEGUE_OK);
    assert_int_equal(segue_cmd_fill(recording, part(view, 2, 8), 0, 4), SEGUE_OK);
    assert_int_equal(segue_cmd_fill(recording, part(view, 0, 2), 0, 2), SEGUE_OK);
    assert_int_equal(segue_cmd_fill(recording, part(view, 3, 7), 0, 1), SEGUE_OK);
    segue_buffer_destroy(view);
}

static void copies(void **state)
{
    struct record_fixture *fixture = *state;
    segue_command_buffer *recording = fixture->recording;
    segue_buffer *a = fixture->a;
    segue_buffer *b = fixture->b;
    assert_int_equal(segue_cmd_copy(recording, whole(fixture->constant), whole(a)), SEGUE_OK);

    // Overlap, also through views.
    segue_buffer *view;
    assert_int_equal(segue_buffer_create_view(a, 100, 100, "view", &view), SEGUE_OK);
    refused_with(fixture, segue_cmd_copy(recording, part(a, 7, 8), part(a, 0, 8)),
                 SEGUE_INVALID_ARGUMENT, "overlap");
    refused_with(fixture, segue_cmd_copy(recording, whole(a), whole(a)), SEGUE_INVALID_ARGUMENT,
                 "overlap");
    refused_with(fixture, segue_cmd_copy(recording, part(a, 107, 8), part(view, 0, 8)),
                 SEGUE_INVALID_ARGUMENT, "overlap");
    assert_int_equal(segue_cmd_copy(recording, part(view, 0, 8), part(a, 92, 8)), SEGUE_OK);
    assert_int_equal(segue_cmd_copy(recording, part(view, 0, 8), part(a, 108, 8)), SEGUE_OK);
    assert_int_equal(segue_cmd_copy(recording, part(view, 0, 8), part(b, 100, 8)), SEGUE_OK);
    segue_buffer_destroy(view);

    refused_with(
        fixture,
        segue_cmd_copy(recording, in_slot(0, 0, SEGUE_WHOLE_SIZE), in_slot(0, 0, SEGUE_WHOLE_SIZE)),
        SEGUE_INVALID_ARGUMENT, "overlap");
    assert_int_equal(segue_cmd_copy(recording, in_slot(0, 0, 8), in_slot(0, 8, 8)), SEGUE_OK);
    assert_int_equal(segue_cmd_copy(recording, in_slot(0, 0, 8), in_slot(1, 7, 8)), SEGUE_OK);
}

static void usage_bits(void **state)
{
    struct record_fixture *fixture = *state;
    segue_command_buffer *recording = fixture->recording;
    static const struct {
        uint32_t usage;
        const char *missing_for[4];
    } cases[] = {
        // What a fill, a copy from it, a dispatch that reads and one that writes say of it.
        {SEGUE_BUFFER_USAGE_TRANSFER_TARGET,
         {NULL, "lacks SEGUE_BUFFER_USAGE_TRANSFER_SOURCE",
          "lacks SEGUE_BUFFER_USAGE_DISPATCH_READ", "lacks SEGUE_BUFFER_USAGE_DISPATCH_WRITE"}},
        {SEGUE_BUFFER_USAGE_TRANSFER_SOURCE,
         {"lacks SEGUE_BUFFER_USAGE_TRANSFER_TARGET", NULL,
          "lacks SEGUE_BUFFER_USAGE_DISPATCH_READ", "lacks SEGUE_BUFFER_USAGE_DISPATCH_WRITE"}},
        {SEGUE_BUFFER_USAGE_DISPATCH_READ, {"lacks", "lacks", NULL, "lacks"}},
        {SEGUE_BUFFER_USAGE_DISPATCH_WRITE, {"lacks", "lacks", "lacks", NULL}},
        {SEGUE_BUFFER_USAGE_ALL, {NULL, NULL, NULL, NULL}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct segue_buffer_params params = {
            .size_bytes = 64, .usage = cases[i].usage, .label = "limited"};
        segue_buffer *buffer;
        assert_int_equal(segue_buffer_create(fixture->device, &params, &buffer), SEGUE_OK);
        for (int command = 0; command < 4; command++) {
            struct segue_buffer_ref bindings[4];
            struct segue_dispatch dispatch = record_gemv(fixture, bindings);
            segue_status status;
            if (command == 0)
                status = segue_cmd_fill(recording, whole(buffer), 0, 1);
            else if (command == 1)
                status = segue_cmd_copy(recording, whole(buffer), part(fixture->b, 0, 64));
            else {
                bindings[command == 2 ? 1 : 3] = whole(buffer);
                status = segue_cmd_dispatch(recording, &dispatch);
            }
            if (cases[i].missing_for[command])
                refused_with(fixture, status, SEGUE_INVALID_ACCESS, cases[i].missing_for[command]);
            else
                assert_int_equal(status, SEGUE_OK);
        }
        segue_buffer_destroy(buffer);
    }
}

static void grids_and_blocks(void **state)
{
    struct record_fixture *fixture = *state;
    segue_command_buffer *recording = fixture->recording;
    const struct segue_buffer_ref binding = whole(fixture->a);
    static const struct {
        uint32_t grid[3];
        uint32_t block[3];
        segue_status expected;
        const char *message;
    } cases[] = {
        {{0x7FFFFFFF, 65535, 65535}, {32, 1, 1}, SEGUE_OK, NULL},
        {{1, 1, 1}, {1024, 1, 1}, SEGUE_OK, NULL},
        {{1, 1, 1}, {16, 1, 64}, SEGUE_OK, NULL},
        {{1, 1, 1}, {65536, 65536, 1}, SEGUE_INVALID_ARGUMENT, "too large"},
        {{1, 1, 1}, {0x80000000u, 0x80000000u, 4}, SEGUE_INVALID_ARGUMENT, "too large"},
        {{1, 1, 1}, {0xFFFFFFFFu, 0xFFFFFFFFu, 64}, SEGUE_INVALID_ARGUMENT, "too large"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct segue_dispatch dispatch = record_free(fixture, &binding);
        memcpy(dispatch.grid, cases[i].grid, sizeof dispatch.grid);
        memcpy(dispatch.block, cases[i].block, sizeof dispatch.block);
        segue_status status = segue_cmd_dispatch(recording, &dispatch);
        if (cases[i].message)
            refused_with(fixture, status, cases[i].expected, cases[i].message);
        else
            assert_int_equal(status, SEGUE_OK);
    }

    // A static block may be repeated, not changed.
    struct segue_buffer_ref bindings[4];
    struct segue_dispatch dispatch = record_gemv(fixture, bindings);
    dispatch.block[0] = 128;
    dispatch.block[1] = dispatch.block[2] = 1;
    assert_int_equal(segue_cmd_dispatch(recording, &dispatch), SEGUE_OK);
    dispatch.block[0] = 64;
    refused_with(fixture, segue_cmd_dispatch(recording, &dispatch), SEGUE_INVALID_ARGUMENT,
                 "block is 64 x 1 x 1, but the entry point is declared with 128 x 1 x 1");
}

static void barriers(void **state)
{
    struct record_fixture *fixture = *state;
    segue_command_buffer *recording = fixture->recording;
    static const uint32_t bad_masks[][2] = {{0, 1}, {1, 0}, {0x10, 1}, {1, 0x10}, {0, 0}};
    for (size_t i = 0; i < sizeof bad_masks / sizeof bad_masks[0]; i++) {
        const struct segue_memory_barrier memory[2] = {{1, 1}, {bad_masks[i][0], bad_masks[i][1]}};
        const struct segue_barrier memory_barrier = {.memory_barriers = memory,
                                                     .memory_barrier_count = 2};
        refused_with(fixture, segue_cmd_barrier(recording, &memory_barrier), SEGUE_INVALID_ARGUMENT,
                     "command 0 (barrier)|memory barrier 1");
        const struct segue_buffer_barrier item = {bad_masks[i][0], bad_masks[i][1],
                                                  whole(fixture->a)};
        const struct segue_barrier barrier = {.buffer_barriers = &item, .buffer_barrier_count = 1};
        refused_with(fixture, segue_cmd_barrier(recording, &barrier), SEGUE_INVALID_ARGUMENT,
                     "buffer barrier 0");
    }
    struct segue_buffer_barrier item = {1, 2, part(fixture->constant, 4096, 0)};
    struct segue_barrier barrier = {.buffer_barriers = &item, .buffer_barrier_count = 1};
    // Barriers ask for no usage, and may be empty in every way.
    assert_int_equal(segue_cmd_barrier(recording, &barrier), SEGUE_OK);
    barrier = (struct segue_barrier){0};
    assert_int_equal(segue_cmd_barrier(recording, &barrier), SEGUE_OK);
    assert_int_equal(segue_cmd_barrier(recording, NULL), SEGUE_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_case(messages_name_command_group_and_buffer),
        test_case(null_command_buffers_are_refused),
        test_case(fills),
        test_case(copies),
        test_case(usage_bits),
        test_case(grids_and_blocks),
        test_case(barriers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
