// SPDX-License-Identifier: Apache-2.0
// Writing traces: what is written, loaded and replayed gives the same bytes and the same dump.
#include "test.h"
#include "trace/model.h"

#include <segue/trace.h>

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/** The usual world, and a folder for traces. */
struct world {
    struct segue_test *test;
    char folder[32];
    char path[64];
};

static int setup(void **state)
{
    struct world *world = calloc(1, sizeof(*world));
    strcpy(world->folder, "/tmp/segue-test-XXXXXX");
    if (mkdtemp(world->folder) == NULL || segue_test_setup((void **)&world->test) != 0)
        return -1;
    snprintf(world->path, sizeof(world->path), "%s/t.json", world->folder);
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;
    char command[64];
    snprintf(command, sizeof(command), "rm -r '%s'", world->folder);
    int removed = system(command);
    int result = segue_test_teardown((void **)&world->test);
    free(world);
    return result != 0 ? result : removed;
}

static int count_files(const struct world *world)
{
    int count = 0;
    DIR *directory = opendir(world->folder);
    assert_non_null(directory);
    while (readdir(directory) != NULL)
        count++;
    closedir(directory);
    return count - 2;
}

static bool exists(const struct world *world, const char *name)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", world->folder, name);
    return access(path, F_OK) == 0;
}

static segue_buffer *make_buffer(struct world *world, uint64_t size, enum segue_memory_type memory,
                                 uint32_t usage, const char *label, uint64_t seed)
{
    const struct segue_buffer_params params = {size, memory, usage, label};
    const struct segue_content content = {.kind = SEGUE_CONTENT_NIBBLES, .seed = seed};
    segue_buffer *buffer = NULL;
    CHECK_OK(segue_buffer_create(world->test->device, &params, &buffer));
    if (seed != 0)
        CHECK_OK(segue_buffer_write_content(buffer, &content));
    else
        CHECK_OK(segue_buffer_write_content(buffer, &(struct segue_content){0}));
    return buffer;
}

static char *dump(segue_command_buffer *command_buffer, enum segue_dump_stage stage)
{
    char *text = NULL;
    CHECK_OK(segue_dump_command_buffer(command_buffer, stage, SEGUE_DUMP_JSON, &text));
    return text;
}

/** A loaded trace on a device. */
struct replay {
    segue_trace *trace;
    segue_trace_session *session;
};

static struct replay open_replay(struct world *world)
{
    struct replay replay = {0};
    CHECK_OK(segue_trace_load(world->path, &replay.trace));
    CHECK_OK(segue_trace_session_create(replay.trace, world->test->device, NULL, &replay.session));
    return replay;
}

static void close_replay(struct replay *replay)
{
    segue_trace_session_destroy(replay->session);
    segue_trace_destroy(replay->trace);
}

/** Dumps agree in all stages; a graph only where there is one. */
static void check_same_dump(segue_command_buffer *original, segue_command_buffer *replayed)
{
    for (int stage = SEGUE_DUMP_SEGMENTS; stage <= SEGUE_DUMP_GRAPH; stage++) {
        struct segue_command_buffer_stats stats;
        CHECK_OK(segue_command_buffer_get_stats(original, &stats));
        if (stage == SEGUE_DUMP_GRAPH && stats.mode != SEGUE_EXECUTION_GRAPH)
            continue;
        char *expected = dump(original, (enum segue_dump_stage)stage);
        char *actual = dump(replayed, (enum segue_dump_stage)stage);
        assert_string_equal(actual, expected);
        segue_dump_free(expected);
        segue_dump_free(actual);
    }
}

/** The buffer of that label in the replay holds the same bytes. */
static void check_same_bytes(segue_buffer *original, segue_trace_session *session)
{
    struct segue_trace_counts counts;
    struct segue_buffer_info info;
    segue_buffer_get_info(original, &info);
    segue_trace_session_get_counts(session, &counts);
    for (uint32_t i = 0; i < counts.buffer_count; i++) {
        segue_buffer *buffer = segue_trace_session_buffer(session, i, NULL, NULL);
        struct segue_buffer_info other;
        segue_buffer_get_info(buffer, &other);
        if (strcmp(other.label, info.label) != 0)
            continue;
        assert_int_equal(other.size_bytes, info.size_bytes);
        assert_int_equal(other.memory, info.memory);
        assert_int_equal(other.usage, info.usage);
        unsigned char *expected = malloc(info.size_bytes);
        unsigned char *actual = malloc(info.size_bytes);
        CHECK_OK(segue_buffer_read(original, 0, expected, info.size_bytes));
        CHECK_OK(segue_buffer_read(buffer, 0, actual, info.size_bytes));
        assert_memory_equal(actual, expected, info.size_bytes);
        free(expected);
        free(actual);
        return;
    }
    fail_msg("no buffer labelled %s in the trace", info.label);
}

/** What the trace says of the executable is what it was made from. */
static void check_same_executable(const segue_executable *original, const segue_trace *trace)
{
    struct segue_executable_params expected;
    const struct segue_executable_params *actual = &trace->executables[0].params;
    segue_executable_get_params(original, &expected);
    assert_int_equal(actual->format, expected.format);
    assert_string_equal(actual->data, expected.data);
    assert_int_equal(actual->option_count, expected.option_count);
    assert_int_equal(actual->entry_point_count, expected.entry_point_count);
    for (uint32_t i = 0; i < expected.entry_point_count; i++) {
        const struct segue_entry_point *from = &expected.entry_points[i];
        const struct segue_entry_point *to = &actual->entry_points[i];
        assert_string_equal(to->name, from->name);
        assert_int_equal(to->flags, from->flags);
        assert_int_equal(to->dynamic_shared_bytes, from->dynamic_shared_bytes);
        assert_memory_equal(to->block_size, from->block_size, sizeof(to->block_size));
        assert_memory_equal(to->cluster_size, from->cluster_size, sizeof(to->cluster_size));
        assert_int_equal(to->parameter_count, from->parameter_count);
        for (uint32_t k = 0; k < from->parameter_count; k++) {
            assert_int_equal(to->parameters[k].kind, from->parameters[k].kind);
            assert_int_equal(to->parameters[k].access, from->parameters[k].access);
            assert_int_equal(to->parameters[k].size_bytes, from->parameters[k].size_bytes);
            assert_int_equal(to->parameters[k].align_bytes, from->parameters[k].align_bytes);
        }
    }
}

static void submit_and_wait(struct world *world, const struct segue_submission *submission)
{
    CHECK_OK(segue_queue_submit(world->test->queue, submission));
    CHECK_OK(segue_queue_wait_idle(world->test->queue));
}

static void writes_one_command_buffer(void **state)
{
    struct world *world = *state;
    struct segue_test *test = world->test;
    segue_buffer *memory = make_buffer(world, 8192, SEGUE_MEMORY_DEVICE, 0, "memory", 1);
    segue_buffer *zero = make_buffer(world, 1000, SEGUE_MEMORY_DEVICE, 0, "zero", 0);
    segue_buffer *host = make_buffer(world, 4096, SEGUE_MEMORY_HOST_VISIBLE, 0, "host", 2);
    segue_buffer *constant = make_buffer(world, 512, SEGUE_MEMORY_CONSTANT, 0, "constant", 3);
    segue_buffer *reads = make_buffer(
        world, 512, SEGUE_MEMORY_DEVICE,
        SEGUE_BUFFER_USAGE_DISPATCH_READ | SEGUE_BUFFER_USAGE_DISPATCH_WRITE, "dispatch only", 4);
    segue_buffer *view = NULL;
    CHECK_OK(segue_buffer_create_view(memory, 4096, 1024, "view", &view));
    segue_event *event = segue_test_event(test);
    unsigned char data[1000];
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (unsigned char)(i * 31);

    segue_command_buffer *original = segue_test_begin_with(test, 1, 0);
    CHECK_OK(segue_cmd_begin_group(original, "outer \"x\"/\xc3\xa4"));
    CHECK_OK(segue_cmd_update(original, segue_test_ref(zero, 0, 1000), data));
    CHECK_OK(segue_cmd_update(original, segue_test_ref(memory, 0, 16), data + 5));
    CHECK_OK(segue_cmd_signal_event(original, event));
    CHECK_OK(segue_cmd_fill(original, segue_test_ref(memory, 16, 7), 0xab, 1));
    CHECK_OK(segue_cmd_fill(original, segue_test_ref(host, 2, 30), 0x1234, 2));
    CHECK_OK(segue_cmd_fill(original, segue_test_ref(host, 2, 0), 0x1234, 2));
    segue_test_barrier(original);
    CHECK_OK(segue_cmd_begin_group(original, ""));
    CHECK_OK(segue_cmd_copy(original, segue_test_ref(zero, 8, 512), segue_test_whole(view)));
    segue_test_memory_barrier(original, SEGUE_ACCESS_MASK_TRANSFER_WRITE,
                              SEGUE_ACCESS_MASK_DISPATCH_READ | SEGUE_ACCESS_MASK_DISPATCH_WRITE);
    segue_test_buffer_barrier(original, SEGUE_ACCESS_MASK_ALL, SEGUE_ACCESS_MASK_DISPATCH_READ,
                              segue_test_slot(0, 0, SEGUE_WHOLE_SIZE));
    segue_test_dispatch_scale(test, original, segue_test_ref(view, 0, 512), 128, 3, 7);
    segue_test_dispatch_add(test, original, segue_test_whole(constant), segue_test_whole(reads),
                            segue_test_slot(0, 256, 512), 128);
    segue_test_barrier(original);
    segue_test_dispatch_indirect(test, original, segue_test_whole(constant),
                                 segue_test_slot(0, 256, 512), 128, 1);
    CHECK_OK(segue_cmd_end_group(original));
    CHECK_OK(segue_cmd_wait_event(original, event));
    CHECK_OK(segue_cmd_reset_event(original, event));
    CHECK_OK(segue_cmd_end_group(original));
    CHECK_OK(segue_command_buffer_end(original));

    const struct segue_buffer_ref binding = segue_test_ref(host, 1024, 1024);
    CHECK_ERROR(segue_trace_write_command_buffer(original, NULL, 0, world->path),
                SEGUE_INVALID_ARGUMENT, "1 slots, bound are 0");
    const struct segue_buffer_ref none = {.length_bytes = 1024};
    CHECK_ERROR(segue_trace_write_command_buffer(original, &none, 1, world->path),
                SEGUE_INVALID_ARGUMENT, "binding 0 has no buffer");
    const struct segue_buffer_ref too_short = segue_test_ref(host, 1024, 767);
    CHECK_ERROR(segue_trace_write_command_buffer(original, &too_short, 1, world->path),
                SEGUE_OUT_OF_RANGE, "512 bytes at offset 256 of slot 0; bound are 767 bytes");
    CHECK_OK(segue_trace_write_command_buffer(original, &binding, 1, world->path));
    assert_true(exists(world, "t.json") && exists(world, "t.safetensors") && exists(world, "t.cu"));
    assert_int_equal(count_files(world), 3);

    struct replay replay = open_replay(world);
    check_same_executable(test->kernels, replay.trace);
    check_same_bytes(memory, replay.session);
    check_same_bytes(reads, replay.session);
    CHECK_OK(segue_trace_session_run(replay.session, NULL));
    const struct segue_execution execution = {
        .command_buffer = original, .bindings = &binding, .binding_count = 1};
    submit_and_wait(world,
                    &(struct segue_submission){.executions = &execution, .execution_count = 1});
    check_same_dump(original, segue_trace_session_command_buffer(replay.session, 0, NULL));
    segue_buffer *const buffers[] = {memory, zero, host, constant, reads, view};
    for (size_t i = 0; i < sizeof(buffers) / sizeof(buffers[0]); i++)
        check_same_bytes(buffers[i], replay.session);
    close_replay(&replay);
    segue_test_destroy(test, original);
    for (size_t i = 0; i < sizeof(buffers) / sizeof(buffers[0]); i++)
        segue_buffer_destroy(buffers[i]);
}

/** Constant memory may be written by it, in the trace as in the recording. */
static void writes_what_fills_constants(void **state)
{
    struct world *world = *state;
    struct segue_test *test = world->test;
    segue_buffer *constant = make_buffer(world, 4096, SEGUE_MEMORY_CONSTANT, 0, "constant", 3);
    segue_buffer *memory = make_buffer(world, 512, SEGUE_MEMORY_DEVICE, 0, "memory", 1);
    const unsigned char data[16] = {1, 2, 3};
    segue_command_buffer *original = segue_test_begin_with(
        test, 0, SEGUE_COMMAND_BUFFER_ONE_SHOT | SEGUE_COMMAND_BUFFER_FILLS_CONSTANTS);
    CHECK_OK(segue_cmd_fill(original, segue_test_ref(constant, 0, 512), 0xab, 1));
    CHECK_OK(segue_cmd_update(original, segue_test_ref(constant, 512, 16), data));
    CHECK_OK(
        segue_cmd_copy(original, segue_test_whole(memory), segue_test_ref(constant, 1024, 512)));
    segue_test_dispatch_scale(test, original, segue_test_ref(constant, 2048, 512), 128, 3, 7);
    CHECK_OK(segue_command_buffer_end(original));
    CHECK_OK(segue_trace_write_command_buffer(original, NULL, 0, world->path));

    struct replay replay = open_replay(world);
    CHECK_OK(segue_trace_session_run(replay.session, NULL));
    const struct segue_execution execution = {.command_buffer = original};
    submit_and_wait(world,
                    &(struct segue_submission){.executions = &execution, .execution_count = 1});
    check_same_bytes(constant, replay.session);
    close_replay(&replay);
    segue_test_destroy(test, original);
    segue_buffer_destroy(memory);
    segue_buffer_destroy(constant);
}

static void writes_only_views_of_a_memory(void **state)
{
    struct world *world = *state;
    struct segue_test *test = world->test;
    segue_buffer *memory = make_buffer(world, 65536, SEGUE_MEMORY_DEVICE, 0, "unseen", 9);
    segue_buffer *views[5] = {0};
    // Zeros where "zeros" is, which is as long as "c".
    CHECK_OK(segue_buffer_write(memory, 0, (unsigned char[512]){0}, 512));
    static const struct {
        uint64_t offset;
        uint64_t size;
        const char *label;
    } ranges[] = {{4096, 4096, "a"},
                  {6144, 4096, "b"},
                  {16384, 512, "c"},
                  {4096, 12800, "all"},
                  {0, 512, "zeros"}};
    for (int i = 0; i < 5; i++)
        CHECK_OK(segue_buffer_create_view(memory, ranges[i].offset, ranges[i].size, ranges[i].label,
                                          &views[i]));
    segue_command_buffer *original = segue_test_begin(test);
    CHECK_OK(segue_cmd_copy(original, segue_test_ref(views[4], 0, 256),
                            segue_test_ref(views[1], 3072, 256)));
    CHECK_OK(segue_cmd_copy(original, segue_test_ref(views[0], 0, 256),
                            segue_test_ref(views[2], 0, 256)));
    CHECK_OK(segue_cmd_fill(original, segue_test_ref(views[1], 2048, 64), 5, 4));
    segue_test_barrier(original);
    CHECK_OK(segue_cmd_copy(original, segue_test_ref(views[3], 2048, 256),
                            segue_test_ref(views[3], 8192, 256)));
    CHECK_OK(segue_command_buffer_end(original));
    CHECK_OK(segue_trace_write_command_buffer(original, NULL, 0, world->path));
    struct replay replay = open_replay(world);
    for (int i = 0; i < 5; i++)
        check_same_bytes(views[i], replay.session);
    CHECK_OK(segue_trace_session_run(replay.session, NULL));
    segue_test_wait(test, segue_test_submit(test, original));
    for (int i = 0; i < 5; i++)
        check_same_bytes(views[i], replay.session);
    check_same_dump(original, segue_trace_session_command_buffer(replay.session, 0, NULL));
    close_replay(&replay);
    segue_test_destroy(test, original);
    for (int i = 0; i < 5; i++)
        segue_buffer_destroy(views[i]);
    segue_buffer_destroy(memory);
}

static void keeps_pointers_in_constants(void **state)
{
    struct world *world = *state;
    struct segue_test *test = world->test;
    segue_buffer *data = make_buffer(world, 4096, SEGUE_MEMORY_DEVICE, 0, "data", 5);
    segue_buffer *moved = make_buffer(world, 4096, SEGUE_MEMORY_DEVICE, 0, "moved", 6);
    struct segue_buffer_info info;
    segue_buffer_get_info(data, &info);
    unsigned char constants[20];
    memcpy(constants, &(uint64_t){info.device_address + 256}, 8);
    memcpy(constants + 8, (uint32_t[]){64, 5, 9}, 12);
    segue_command_buffer *original = segue_test_begin(test);
    CHECK_OK(segue_cmd_fill(original, segue_test_ref(data, 0, 64), 1, 4));
    segue_test_barrier(original);
    const struct segue_dispatch dispatch = {.executable = test->kernels,
                                            .entry_point = SEGUE_TEST_OPAQUE,
                                            .grid = {1, 1, 1},
                                            .constants = constants,
                                            .constants_size_bytes = sizeof(constants),
                                            .duration_ns = 4321};
    CHECK_OK(segue_cmd_dispatch(original, &dispatch));
    CHECK_OK(segue_command_buffer_end(original));
    CHECK_OK(segue_trace_write_command_buffer(original, NULL, 0, world->path));
    struct replay replay = open_replay(world);
    const struct segue_trace_dispatch *model =
        replay.trace->command_buffers[0].commands[2].as.dispatch;
    assert_int_equal(model->duration_ns, 4321);
    assert_int_equal(model->pointer_count, 1);
    assert_int_equal(model->pointers[0].position_bytes, 0);
    assert_int_equal(model->pointers[0].offset_bytes, 256);
    CHECK_OK(segue_trace_session_run(replay.session, NULL));
    segue_test_wait(test, segue_test_submit(test, original));
    check_same_bytes(data, replay.session);
    close_replay(&replay);
    segue_test_destroy(test, original);
    segue_buffer_destroy(data);
    segue_buffer_destroy(moved);
}

static void writes_several_submissions(void **state)
{
    struct world *world = *state;
    struct segue_test *test = world->test;
    segue_buffer *x = make_buffer(world, 1024, SEGUE_MEMORY_DEVICE, 0, "same label", 5);
    segue_buffer *y = make_buffer(world, 1024, SEGUE_MEMORY_DEVICE, 0, "y", 0);
    segue_buffer *unlabelled = make_buffer(world, 1024, SEGUE_MEMORY_DEVICE, 0, NULL, 8);
    segue_buffer *twin = make_buffer(world, 1024, SEGUE_MEMORY_DEVICE, 0, "same label", 6);
    segue_semaphore *semaphore = segue_test_semaphore(test, 3);
    segue_event *event = segue_test_event(test);
    segue_command_buffer *first = segue_test_begin_with(test, 0, SEGUE_COMMAND_BUFFER_ONE_SHOT);
    CHECK_OK(segue_cmd_copy(first, segue_test_whole(x), segue_test_whole(y)));
    CHECK_OK(segue_cmd_signal_event(first, event));
    CHECK_OK(segue_command_buffer_end(first));
    segue_command_buffer *second = segue_test_begin_with(test, 2, 0);
    CHECK_OK(segue_cmd_wait_event(second, event));
    CHECK_OK(segue_cmd_copy(second, segue_test_slot(0, 0, SEGUE_WHOLE_SIZE),
                            segue_test_slot(1, 0, SEGUE_WHOLE_SIZE)));
    CHECK_OK(segue_command_buffer_end(second));
    const struct segue_buffer_ref tables[][2] = {
        {segue_test_ref(y, 0, 512), segue_test_ref(unlabelled, 512, 512)},
        {segue_test_ref(twin, 256, 256), segue_test_ref(y, 0, 256)}};
    const struct segue_execution executions[] = {
        {.command_buffer = first},
        {.command_buffer = second, .bindings = tables[0], .binding_count = 2},
        {.command_buffer = second, .bindings = tables[1], .binding_count = 2}};
    const struct segue_semaphore_value values[] = {{semaphore, 3}, {semaphore, 4}, {semaphore, 9}};
    const struct segue_submission submissions[] = {
        {&values[0], 1, &executions[0], 1, &values[1], 1},
        {&values[1], 1, &executions[1], 2, &values[2], 1},
        {NULL, 0, NULL, 0, NULL, 0}};

    segue_trace_writer *writer = NULL;
    CHECK_OK(segue_trace_writer_create(test->device, world->path, &writer));
    // What waits for something that the trace does not have is refused, and harms nothing.
    CHECK_ERROR(segue_trace_writer_add_submission(writer, &submissions[1]), SEGUE_INVALID_STATE,
                "waits for value 4");
    const struct segue_submission only_wait = {.executions = &executions[1], .execution_count = 1};
    CHECK_ERROR(segue_trace_writer_add_submission(writer, &only_wait), SEGUE_INVALID_STATE,
                "command 0 waits for an event");
    for (int i = 0; i < 3; i++)
        CHECK_OK(segue_trace_writer_add_submission(writer, &submissions[i]));
    for (int i = 0; i < 3; i++)
        CHECK_OK(segue_queue_submit(test->queue, &submissions[i]));
    CHECK_OK(segue_queue_wait_idle(test->queue));
    unsigned char expected[1024];
    CHECK_OK(segue_buffer_read(y, 0, expected, 1024));
    struct segue_expectation expectation = {
        .range = segue_test_whole(y), .dtype = SEGUE_DTYPE_U16, .data = expected, .name = "y"};
    CHECK_OK(segue_trace_writer_expect(writer, &expectation));
    expectation.range = segue_test_ref(y, 512, 512);
    expectation.data = expected + 512;
    expectation.relative_tolerance = 1e-6;
    expectation.name = NULL;
    CHECK_OK(segue_trace_writer_expect(writer, &expectation));
    CHECK_OK(segue_trace_writer_finish(writer));
    CHECK_STATUS(segue_trace_writer_finish(writer), SEGUE_INVALID_STATE);
    CHECK_STATUS(segue_trace_writer_add_submission(writer, &submissions[2]), SEGUE_INVALID_STATE);
    CHECK_STATUS(segue_trace_writer_expect(writer, &expectation), SEGUE_INVALID_STATE);
    segue_trace_writer_destroy(writer);

    struct replay replay = open_replay(world);
    struct segue_verification results[2];
    assert_int_equal(replay.trace->submission_count, 3);
    assert_int_equal(replay.trace->command_buffer_count, 2);
    assert_int_equal(replay.trace->semaphores[0].initial_value, 3);
    // The name of a buffer is free for an expectation.
    assert_string_equal(replay.trace->expectations[0].name, "y");
    assert_string_equal(replay.trace->expectations[1].name, "y[512]");
    assert_int_equal(replay.trace->expectations[0].tensor, SEGUE_TRACE_NONE);
    for (int i = 0; i < 2; i++) {
        CHECK_OK(segue_trace_session_restore(replay.session));
        CHECK_OK(segue_trace_session_run(replay.session, NULL));
        CHECK_OK(segue_trace_session_verify(replay.session, results));
    }
    check_same_dump(second, segue_trace_session_command_buffer(replay.session, 1, NULL));
    check_same_bytes(y, replay.session);
    check_same_bytes(unlabelled, replay.session);
    close_replay(&replay);
    segue_test_destroy(test, first);
    segue_test_destroy(test, second);
    segue_buffer_destroy(x);
    segue_buffer_destroy(y);
    segue_buffer_destroy(twin);
    segue_buffer_destroy(unlabelled);
}

static void writes_constant_slots(void **state)
{
    struct world *world = *state;
    struct segue_test *test = world->test;
    static const struct segue_constant_slot slots[] = {{"spare", 8}, {"factor", 4}, {"spin", 8}};
    static const struct segue_constant_use uses[] = {
        {.slot = 1, .offset_bytes = 4, .size_bytes = 4},
        {.slot = 2, .offset_bytes = 12, .size_bytes = 8},
    };
    const unsigned char constants[20] = {8, [4] = 77, [8] = 5, [12] = 99};
    segue_buffer *data = make_buffer(world, 32, SEGUE_MEMORY_DEVICE, 0, "data", 3);
    const struct segue_buffer_ref binding = segue_test_whole(data);
    segue_command_buffer *original = segue_test_begin_constants(test, 0, slots, 3, 0);
    CHECK_OK(segue_cmd_dispatch(original, &(struct segue_dispatch){
                                              .executable = test->kernels,
                                              .entry_point = SEGUE_TEST_SLOW_SCALE,
                                              .grid = {1, 1, 1},
                                              .bindings = &binding,
                                              .binding_count = 1,
                                              .constants = constants,
                                              .constants_size_bytes = sizeof(constants),
                                              .constant_uses = uses,
                                              .constant_use_count = 2,
                                          }));
    CHECK_OK(segue_command_buffer_end(original));
    struct segue_constant_value values[] = {
        {0}, {.size_bytes = 4, .as.i32 = -3}, {.size_bytes = 8, .as.u64 = UINT64_C(1) << 63}};
    struct segue_execution execution = {
        .command_buffer = original, .constants = values, .constant_count = 3};
    const struct segue_submission submission = {.executions = &execution, .execution_count = 1};

    CHECK_ERROR(segue_trace_write_command_buffer(original, NULL, 0, world->path),
                SEGUE_INVALID_ARGUMENT, "3 constant slots, given are 0 constants");
    segue_trace_writer *writer = NULL;
    CHECK_OK(segue_trace_writer_create(test->device, world->path, &writer));
    values[2].size_bytes = 4;
    CHECK_ERROR(segue_trace_writer_add_submission(writer, &submission), SEGUE_INVALID_ARGUMENT,
                "constant 2 has 4 bytes, constant slot \"spin\" has 8");
    values[2].size_bytes = 0;
    CHECK_ERROR(segue_trace_writer_add_submission(writer, &submission), SEGUE_INVALID_ARGUMENT,
                "command 0 uses constant slot \"spin\", which has no value");
    values[2].size_bytes = 8;
    CHECK_OK(segue_trace_writer_add_submission(writer, &submission));
    // Only the values differ: one description of the commands.
    values[1].as.i32 = 5;
    values[2].as.u64 = 0;
    CHECK_OK(segue_trace_writer_add_submission(writer, &submission));
    CHECK_OK(segue_trace_writer_finish(writer));
    segue_trace_writer_destroy(writer);

    struct replay replay = open_replay(world);
    assert_int_equal(replay.trace->command_buffer_count, 1);
    const struct segue_trace_execution *first = replay.trace->submissions[0].executions;
    assert_int_equal(first->constants[0].size_bytes, 0);
    assert_int_equal(first->constants[1].as.i32, -3);
    assert_true(first->constants[2].as.u64 == UINT64_C(1) << 63);
    assert_int_equal(replay.trace->submissions[1].executions[0].constants[1].as.i32, 5);
    char *text = NULL;
    segue_command_buffer *replayed = segue_trace_session_command_buffer(replay.session, 0, NULL);
    for (int stage = SEGUE_DUMP_SEGMENTS; stage <= SEGUE_DUMP_DAG; stage++) {
        char *expected = dump(original, (enum segue_dump_stage)stage);
        text = dump(replayed, (enum segue_dump_stage)stage);
        assert_string_equal(text, expected);
        segue_dump_free(text);
        segue_dump_free(expected);
    }
    CHECK_OK(segue_dump_command_buffer(replayed, SEGUE_DUMP_SEGMENTS, SEGUE_DUMP_TEXT, &text));
    assert_non_null(strstr(text, ", constant slots spare (8 bytes), factor (4 bytes), spin (8"));
    assert_non_null(strstr(text, "20 bytes of constants, factor at 4, spin at 12)"));
    segue_dump_free(text);
    CHECK_OK(segue_dump_command_buffer(replayed, SEGUE_DUMP_SEGMENTS, SEGUE_DUMP_JSON, &text));
    assert_non_null(strstr(text, "{\"slot\": \"factor\", \"at\": 4}"));
    // What was recorded where slots are does not count.
    assert_non_null(strstr(text, "\"0800000000000000050000000000000000000000\""));
    segue_dump_free(text);
    CHECK_OK(segue_dump_command_buffer(replayed, SEGUE_DUMP_DAG, SEGUE_DUMP_DOT, &text));
    assert_non_null(strstr(text, "// Constant slots: spare (8 bytes), factor (4 bytes), spin"));
    segue_dump_free(text);
    close_replay(&replay);
    segue_test_destroy(test, original);
    segue_buffer_destroy(data);
}

static void stores_recordings_anew_only_where_they_differ(void **state)
{
    struct world *world = *state;
    struct segue_test *test = world->test;
    segue_buffer *x = make_buffer(world, 1024, SEGUE_MEMORY_DEVICE, 0, "x", 5);
    unsigned char data[512] = {1, 2, 3};
    segue_command_buffer *commands = segue_test_begin(test);
    segue_trace_writer *writer = NULL;
    CHECK_OK(segue_trace_writer_create(test->device, world->path, &writer));
    const struct segue_execution execution = {.command_buffer = commands};
    const struct segue_submission submission = {.executions = &execution, .execution_count = 1};
    CHECK_STATUS(segue_trace_writer_add_submission(writer, &submission), SEGUE_INVALID_STATE);
    CHECK_OK(segue_cmd_update(commands, segue_test_ref(x, 0, 512), data));
    CHECK_OK(segue_command_buffer_end(commands));
    CHECK_OK(segue_trace_writer_add_submission(writer, &submission));
    CHECK_OK(segue_trace_writer_add_submission(writer, &submission));
    CHECK_OK(segue_command_buffer_reset(commands));
    CHECK_OK(segue_command_buffer_begin(commands));
    CHECK_OK(segue_cmd_update(commands, segue_test_ref(x, 512, 512), data));
    CHECK_OK(segue_command_buffer_end(commands));
    CHECK_OK(segue_trace_writer_add_submission(writer, &submission));
    CHECK_OK(segue_trace_writer_finish(writer));
    segue_trace_writer_destroy(writer);
    struct replay replay = open_replay(world);
    assert_int_equal(replay.trace->submission_count, 3);
    assert_int_equal(replay.trace->command_buffer_count, 2);
    assert_int_equal(replay.trace->submissions[1].executions[0].command_buffer, 0);
    assert_int_equal(replay.trace->submissions[2].executions[0].command_buffer, 1);
    // The contents of x, and the data of both updates once.
    assert_int_equal(replay.trace->tensor_count, 2);
    close_replay(&replay);
    segue_test_destroy(test, commands);
    segue_buffer_destroy(x);
}

static void generates_what_it_is_told_to(void **state)
{
    struct world *world = *state;
    struct segue_test *test = world->test;
    static const struct segue_content contents[] = {
        {.kind = SEGUE_CONTENT_NIBBLES, .seed = UINT64_MAX},
        {.kind = SEGUE_CONTENT_NORMAL, .dtype = SEGUE_DTYPE_F16, .seed = 4, .a = 0.1, .b = 1.0 / 3},
        {.kind = SEGUE_CONTENT_UNIFORM, .dtype = SEGUE_DTYPE_I16, .seed = 5, .a = -7, .b = 1e3},
        {.kind = SEGUE_CONTENT_FILL, .pattern = 0xfedcba98},
        {.kind = SEGUE_CONTENT_ZERO},
    };
    segue_buffer *buffers[5];
    segue_command_buffer *commands = segue_test_begin(test);
    for (int i = 0; i < 5; i++) {
        char label[16];
        snprintf(label, sizeof(label), "b%d", i);
        buffers[i] = make_buffer(world, 4096, SEGUE_MEMORY_DEVICE, 0, label, 1);
        CHECK_OK(segue_buffer_write_content(buffers[i], &contents[i]));
        CHECK_OK(segue_cmd_fill(commands, segue_test_ref(buffers[i], 0, 4), 1, 4));
    }
    CHECK_OK(segue_command_buffer_end(commands));
    segue_trace_writer *writer = NULL;
    segue_buffer *view = NULL;
    CHECK_OK(segue_buffer_create_view(buffers[0], 256, 256, "view", &view));
    CHECK_OK(segue_trace_writer_create(test->device, world->path, &writer));
    for (int i = 0; i < 5; i++)
        CHECK_OK(segue_trace_writer_set_content(writer, buffers[i], &contents[i]));
    CHECK_ERROR(segue_trace_writer_set_content(writer, buffers[0], &contents[0]),
                SEGUE_INVALID_STATE, "\"b0\"");
    CHECK_ERROR(segue_trace_writer_set_content(writer, view, &contents[0]), SEGUE_INVALID_ARGUMENT,
                "view");
    const struct segue_content bad = {.kind = SEGUE_CONTENT_UNIFORM, .dtype = SEGUE_DTYPE_U8};
    CHECK_ERROR(segue_trace_writer_set_content(writer, buffers[0], &bad), SEGUE_INVALID_ARGUMENT,
                "low and high");
    const struct segue_execution execution = {.command_buffer = commands};
    CHECK_OK(segue_trace_writer_add_submission(
        writer, &(struct segue_submission){.executions = &execution, .execution_count = 1}));
    CHECK_OK(segue_trace_writer_finish(writer));
    segue_trace_writer_destroy(writer);
    assert_int_equal(count_files(world), 1);
    struct replay replay = open_replay(world);
    for (int i = 0; i < 5; i++)
        check_same_bytes(buffers[i], replay.session);
    close_replay(&replay);
    segue_buffer_destroy(view);
    segue_test_destroy(test, commands);
    for (int i = 0; i < 5; i++)
        segue_buffer_destroy(buffers[i]);
}

static void finds_patterns_in_contents(void **state)
{
    struct world *world = *state;
    struct segue_test *test = world->test;
    // Zero but for the last byte, a pattern, a pattern whose length is no multiple of 4, zeros.
    segue_buffer *late = make_buffer(world, 20 << 20, SEGUE_MEMORY_DEVICE, 0, "late", 0);
    segue_buffer *pattern = make_buffer(world, 20 << 20, SEGUE_MEMORY_DEVICE, 0, "pattern", 0);
    segue_buffer *odd = make_buffer(world, 7, SEGUE_MEMORY_DEVICE, 0, "odd", 0);
    segue_buffer *zero = make_buffer(world, 7, SEGUE_MEMORY_DEVICE, 0, "zero", 0);
    CHECK_OK(segue_buffer_write(late, (20 << 20) - 1, "x", 1));
    CHECK_OK(segue_buffer_write_content(
        pattern, &(struct segue_content){.kind = SEGUE_CONTENT_FILL, .pattern = 0x01020304}));
    CHECK_OK(segue_buffer_write(odd, 0, "abcdabc", 7));
    segue_command_buffer *commands = segue_test_begin(test);
    CHECK_OK(segue_cmd_fill(commands, segue_test_ref(late, 0, 4), 1, 4));
    CHECK_OK(segue_cmd_fill(commands, segue_test_ref(pattern, 0, 4), 1, 4));
    CHECK_OK(segue_cmd_fill(commands, segue_test_ref(odd, 0, 4), 1, 4));
    CHECK_OK(segue_cmd_fill(commands, segue_test_ref(zero, 0, 4), 1, 4));
    CHECK_OK(segue_command_buffer_end(commands));
    CHECK_OK(segue_trace_write_command_buffer(commands, NULL, 0, world->path));
    struct replay replay = open_replay(world);
    assert_int_equal(replay.trace->tensor_count, 2);
    assert_int_equal(replay.trace->buffers[1].content.generated.kind, SEGUE_CONTENT_FILL);
    assert_false(replay.trace->buffers[3].has_content);
    check_same_bytes(late, replay.session);
    check_same_bytes(pattern, replay.session);
    check_same_bytes(odd, replay.session);
    check_same_bytes(zero, replay.session);
    close_replay(&replay);
    segue_test_destroy(test, commands);
    segue_buffer_destroy(late);
    segue_buffer_destroy(pattern);
    segue_buffer_destroy(odd);
    segue_buffer_destroy(zero);
}

static void tames_labels(void **state)
{
    struct world *world = *state;
    struct segue_test *test = world->test;
    char long_label[1001];
    for (int i = 0; i < 500; i++)
        memcpy(long_label + 2 * i, "\xc3\xa4", 2);
    long_label[1000] = '\0';
    const char *labels[] = {"a\nb", "\xff\xfe", long_label, "y", "y", "y#4", "__metadata__"};
    segue_buffer *buffers[7];
    segue_command_buffer *commands = segue_test_begin(test);
    CHECK_OK(segue_cmd_begin_group(commands, "g\x1b[2J"));
    for (int i = 0; i < 7; i++) {
        buffers[i] = make_buffer(world, 64, SEGUE_MEMORY_DEVICE, 0, labels[i], 1);
        CHECK_OK(segue_cmd_fill(commands, segue_test_whole(buffers[i]), 1, 4));
    }
    CHECK_OK(segue_cmd_end_group(commands));
    CHECK_OK(segue_command_buffer_end(commands));
    CHECK_OK(segue_trace_write_command_buffer(commands, NULL, 0, world->path));
    struct replay replay = open_replay(world);
    assert_string_equal(replay.trace->buffers[0].name, "a?b");
    assert_string_equal(replay.trace->buffers[1].name, "??");
    assert_int_equal(strlen(replay.trace->buffers[2].name), 200);
    assert_string_equal(replay.trace->buffers[4].label, "y");
    assert_string_not_equal(replay.trace->buffers[4].name, "y");
    close_replay(&replay);
    segue_test_destroy(test, commands);
    for (int i = 0; i < 7; i++)
        segue_buffer_destroy(buffers[i]);
}

static void refuses_what_cannot_be_replayed(void **state)
{
    struct world *world = *state;
    struct segue_test *test = world->test;
    segue_trace_writer *writer = NULL;
    segue_buffer *x = make_buffer(world, 64, SEGUE_MEMORY_DEVICE, 0, "x", 0);
    uint32_t data[16] = {0};
    CHECK_STATUS(segue_trace_writer_create(NULL, world->path, &writer), SEGUE_INVALID_ARGUMENT);
    CHECK_STATUS(segue_trace_writer_create(test->device, "/tmp/", &writer), SEGUE_INVALID_ARGUMENT);
    CHECK_STATUS(segue_trace_writer_create(test->device, "a\nb.json", &writer),
                 SEGUE_INVALID_ARGUMENT);
    assert_null(writer);
    CHECK_OK(segue_trace_writer_create(test->device, "/tmp/none/none.json", &writer));
    CHECK_ERROR(segue_trace_writer_finish(writer), SEGUE_IO_ERROR, "/tmp/none/none.json");
    segue_trace_writer_destroy(writer);
    CHECK_OK(segue_trace_writer_create(test->device, world->path, &writer));
    struct segue_expectation expectation = {
        .range = segue_test_ref(x, 60, 8), .dtype = SEGUE_DTYPE_F32, .data = data};
    CHECK_ERROR(segue_trace_writer_expect(writer, &expectation), SEGUE_OUT_OF_RANGE, "\"x\"");
    expectation.range = segue_test_ref(x, 0, 6);
    CHECK_ERROR(segue_trace_writer_expect(writer, &expectation), SEGUE_INVALID_ARGUMENT, "6 bytes");
    expectation.relative_tolerance = NAN;
    CHECK_STATUS(segue_trace_writer_expect(writer, &expectation), SEGUE_INVALID_ARGUMENT);
    segue_trace_writer_destroy(writer);
    segue_trace_writer_destroy(NULL);
    // Given up before the end: nothing is left.
    assert_int_equal(count_files(world), 0);
    segue_buffer_destroy(x);
}

/** A random program over a few buffers and views, an execution barrier after each command. */
static void record_randomly(struct world *world, segue_command_buffer *commands,
                            segue_buffer *const *buffers, uint32_t buffer_count, uint64_t *random)
{
    static unsigned char data[4096];
    uint32_t count = 5 + segue_test_random_below(random, 30);
    uint32_t depth = 0;
    for (uint32_t i = 0; i < count; i++) {
        segue_buffer *target = buffers[segue_test_random_below(random, buffer_count)];
        segue_buffer *source = buffers[segue_test_random_below(random, buffer_count)];
        uint32_t offset = segue_test_random_below(random, 64) * 16;
        uint32_t length = (1 + segue_test_random_below(random, 32)) * 16;
        struct segue_buffer_ref range = segue_test_ref(target, offset, length);
        struct segue_buffer_info from;
        struct segue_buffer_info to;
        segue_buffer_get_info(source, &from);
        segue_buffer_get_info(target, &to);
        switch (segue_test_random_below(random, 6)) {
        case 0:
            CHECK_OK(segue_cmd_fill(commands, range, (uint32_t)segue_test_random(random),
                                    1u << segue_test_random_below(random, 3)));
            break;
        case 1:
            memset(data, (int)i, sizeof(data));
            data[i] = 77;
            CHECK_OK(segue_cmd_update(commands, range, data));
            break;
        case 2:
            if (from.memory_id != to.memory_id)
                CHECK_OK(segue_cmd_copy(commands, segue_test_ref(source, offset, length), range));
            break;
        case 3:
            segue_test_dispatch_scale(world->test, commands, range, length / 4, 3, i);
            break;
        case 4:
            if (from.memory_id != to.memory_id)
                segue_test_dispatch_mix(world->test, commands,
                                        segue_test_ref(source, offset, length), range, length / 4,
                                        1);
            break;
        default:
            if (depth != 0 && segue_test_random_below(random, 2) != 0) {
                CHECK_OK(segue_cmd_end_group(commands));
                depth--;
            } else {
                CHECK_OK(segue_cmd_begin_group(commands, i % 2 != 0 ? "odd" : "even"));
                depth++;
            }
        }
        segue_test_barrier(commands);
    }
    for (; depth != 0; depth--)
        CHECK_OK(segue_cmd_end_group(commands));
    CHECK_OK(segue_command_buffer_end(commands));
}

static void round_trips_random_programs(void **state)
{
    struct world *world = *state;
    struct segue_test *test = world->test;
    uint64_t random = segue_test_environment_number("SEGUE_TEST_SEED", 1);
    uint64_t rounds = segue_test_environment_number("SEGUE_TEST_ROUNDS", 40);
    for (uint64_t round = 0; round < rounds; round++) {
        segue_buffer *buffers[5];
        for (uint32_t i = 0; i < 3; i++) {
            char label[16];
            snprintf(label, sizeof(label), "b%u", i);
            buffers[i] = make_buffer(world, 4096, i == 2 ? SEGUE_MEMORY_HOST_VISIBLE : 0, 0, label,
                                     1 + segue_test_random(&random) % 1000);
        }
        CHECK_OK(segue_buffer_create_view(buffers[0], 1024, 2048, "v0", &buffers[3]));
        CHECK_OK(segue_buffer_create_view(buffers[3], 256, 1536, "v1", &buffers[4]));
        segue_command_buffer *commands = segue_test_begin(test);
        record_randomly(world, commands, buffers, 5, &random);
        CHECK_OK(segue_trace_write_command_buffer(commands, NULL, 0, world->path));
        struct replay replay = open_replay(world);
        CHECK_OK(segue_trace_session_run(replay.session, NULL));
        segue_test_wait(test, segue_test_submit(test, commands));
        segue_trace_session *session = replay.session;
        for (uint32_t i = 0; i < 5; i++) {
            struct segue_buffer_info info;
            segue_buffer_get_info(buffers[i], &info);
            uint32_t index = 0;
            // Buffers that no command touches are not in the trace.
            if (segue_names_find(&replay.trace->buffer_names, info.label, &index))
                check_same_bytes(buffers[i], session);
        }
        check_same_dump(commands, segue_trace_session_command_buffer(session, 0, NULL));
        // Written again, the replay makes the same trace.
        char again[64];
        char command[256];
        snprintf(again, sizeof(again), "%s/again.json", world->folder);
        CHECK_OK(segue_trace_session_restore(session));
        CHECK_OK(segue_trace_write_command_buffer(
            segue_trace_session_command_buffer(session, 0, NULL), NULL, 0, again));
        struct replay second = {0};
        CHECK_OK(segue_trace_load(again, &second.trace));
        assert_int_equal(second.trace->command_count, replay.trace->command_count);
        segue_trace_destroy(second.trace);
        snprintf(command, sizeof(command), "sed 's/again\\./t./' '%s' | diff -q - '%s' >/dev/null",
                 again, world->path);
        assert_int_equal(system(command), 0);
        close_replay(&replay);
        segue_test_destroy(test, commands);
        for (uint32_t i = 5; i != 0; i--)
            segue_buffer_destroy(buffers[i - 1]);
    }
}

#define world_test(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        world_test(writes_one_command_buffer),
        world_test(writes_what_fills_constants),
        world_test(writes_only_views_of_a_memory),
        world_test(keeps_pointers_in_constants),
        world_test(writes_several_submissions),
        world_test(writes_constant_slots),
        world_test(stores_recordings_anew_only_where_they_differ),
        world_test(generates_what_it_is_told_to),
        world_test(finds_patterns_in_contents),
        world_test(tames_labels),
        world_test(refuses_what_cannot_be_replayed),
        world_test(round_trips_random_programs),
    };
    int prepared = segue_test_prepare();
    return prepared != 0 ? prepared : cmocka_run_group_tests(tests, NULL, NULL);
}
