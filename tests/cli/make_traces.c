// SPDX-License-Identifier: Apache-2.0
// make_traces FOLDER: writes the traces that the CLI's tests replay. They are made through the
// public API and not kept as files, so that they follow the format.
#include "test_kernels.h"

#include <segue/segue.h>
#include <segue/trace.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS 1024u
#define BYTES (WORDS * 4u)

/** Ends the program: a trace that cannot be made is a failed test. */
static void check(segue_status status, const char *what)
{
    if (status == SEGUE_OK)
        return;
    fprintf(stderr, "make_traces: %s: %s: %s\n", what, segue_status_name(status),
            segue_last_error()->message);
    exit(1);
}
#define CHECK(call) check((call), #call)

/** All objects, made once; traces take what they need. */
struct world {
    const char *folder;
    segue_device *device;
    segue_executable *executable;
    segue_buffer *source;
    segue_buffer *target;
    segue_buffer *third;
};

static struct segue_buffer_ref whole(segue_buffer *buffer)
{
    return (struct segue_buffer_ref){.buffer = buffer, .length_bytes = SEGUE_WHOLE_SIZE};
}

static segue_command_buffer *begin(struct world *world, const char *label, uint32_t slot_count)
{
    const struct segue_command_buffer_params params = {
        .mode = SEGUE_EXECUTION_GRAPH,
        .slot_count = slot_count,
        .label = label,
    };
    segue_command_buffer *command_buffer;
    CHECK(segue_command_buffer_create(world->device, &params, &command_buffer));
    CHECK(segue_command_buffer_begin(command_buffer));
    return command_buffer;
}

static void dispatch(struct world *world, segue_command_buffer *command_buffer,
                     enum segue_cli_kernel kernel, segue_buffer *buffer)
{
    const struct segue_buffer_ref binding = whole(buffer);
    const uint32_t count = WORDS;
    const struct segue_dispatch params = {
        .executable = world->executable,
        .entry_point = kernel,
        .grid = {1, 1, 1},
        .bindings = &binding,
        .binding_count = 1,
        .constants = &count,
        .constants_size_bytes = sizeof(count),
    };
    CHECK(segue_cmd_dispatch(command_buffer, &params));
}

/** What a buffer full of one word must be. */
struct expected {
    segue_buffer *buffer;
    uint32_t word;
    double tolerance;
    const char *name;
};

/** Writes one trace: one submission of all command buffers, which are given up. */
static void write_trace(struct world *world, const char *name,
                        segue_command_buffer **command_buffers, uint32_t command_buffer_count,
                        const struct segue_buffer_ref *slots, uint32_t slot_count,
                        const struct expected *expected, uint32_t expected_count)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s.json", world->folder, name);
    segue_trace_writer *writer;
    CHECK(segue_trace_writer_create(world->device, path, &writer));
    struct segue_execution executions[4];
    for (uint32_t i = 0; i < command_buffer_count; ++i) {
        CHECK(segue_command_buffer_end(command_buffers[i]));
        executions[i] = (struct segue_execution){
            .command_buffer = command_buffers[i],
            .bindings = slots,
            .binding_count = slot_count,
        };
    }
    const struct segue_submission submission = {
        .executions = executions,
        .execution_count = command_buffer_count,
    };
    CHECK(segue_trace_writer_add_submission(writer, &submission));
    for (uint32_t i = 0; i < expected_count; ++i) {
        uint32_t words[WORDS];
        for (uint32_t k = 0; k < WORDS; ++k)
            words[k] = expected[i].word;
        const struct segue_expectation expectation = {
            .range = {.buffer = expected[i].buffer, .length_bytes = BYTES},
            .dtype = expected[i].tolerance > 0 ? SEGUE_DTYPE_F32 : SEGUE_DTYPE_U32,
            .data = words,
            .relative_tolerance = expected[i].tolerance,
            .name = expected[i].name,
        };
        CHECK(segue_trace_writer_expect(writer, &expectation));
    }
    CHECK(segue_trace_writer_finish(writer));
    segue_trace_writer_destroy(writer);
    for (uint32_t i = 0; i < command_buffer_count; ++i)
        segue_command_buffer_destroy(command_buffers[i]);
}

/** Fill, barrier, copy, barrier, fill: one float 2.0 and one pattern. @param last what the trace
 *  expects of the exact buffer. */
static void make_transfers(struct world *world, const char *name, uint32_t last, bool barrier)
{
    segue_command_buffer *command_buffer = begin(world, "transfers", 0);
    CHECK(segue_cmd_begin_group(command_buffer, "layer0"));
    CHECK(segue_cmd_begin_group(command_buffer, "stage"));
    CHECK(segue_cmd_fill(command_buffer, whole(world->source), 0x40000000, 4));
    if (barrier)
        CHECK(segue_cmd_barrier(command_buffer, NULL));
    CHECK(segue_cmd_copy(command_buffer, whole(world->source), whole(world->target)));
    CHECK(segue_cmd_end_group(command_buffer));
    CHECK(segue_cmd_end_group(command_buffer));
    CHECK(segue_cmd_fill(command_buffer, whole(world->third), 0x12345678, 4));
    const struct expected expected[] = {
        {world->target, 0x40000000, 1e-3, "copied"},
        {world->third, last, 0, "filled"},
    };
    write_trace(world, name, &command_buffer, 1, NULL, 0, expected, 2);
}

/** Two command buffers; the barrier is missing in the second. */
static void make_two(struct world *world, const char *name, bool barrier)
{
    segue_command_buffer *command_buffers[] = {begin(world, "first", 0), begin(world, "second", 0)};
    CHECK(segue_cmd_fill(command_buffers[0], whole(world->third), 1, 4));
    CHECK(segue_cmd_fill(command_buffers[1], whole(world->source), 2, 4));
    if (barrier)
        CHECK(segue_cmd_barrier(command_buffers[1], NULL));
    CHECK(segue_cmd_copy(command_buffers[1], whole(world->source), whole(world->target)));
    const struct expected expected = {world->third, 1, 0, NULL};
    write_trace(world, name, command_buffers, 2, NULL, 0, &expected, 1);
}

/** A kernel and then a copy of what it made. @param barrier between them. */
static void make_kernel(struct world *world, const char *name, enum segue_cli_kernel kernel,
                        bool barrier)
{
    segue_command_buffer *command_buffer = begin(world, "kernels", 0);
    dispatch(world, command_buffer, kernel, world->source);
    if (barrier)
        CHECK(segue_cmd_barrier(command_buffer, NULL));
    CHECK(segue_cmd_copy(command_buffer, whole(world->source), whole(world->target)));
    write_trace(world, name, &command_buffer, 1, NULL, 0, NULL, 0);
}

/** A fill of a slot, and a copy from it. */
static void make_slots(struct world *world)
{
    segue_command_buffer *command_buffer = begin(world, "slots", 1);
    const struct segue_buffer_ref slot = {.length_bytes = BYTES};
    CHECK(segue_cmd_fill(command_buffer, slot, 7, 4));
    CHECK(segue_cmd_barrier(command_buffer, NULL));
    CHECK(segue_cmd_copy(command_buffer, slot, whole(world->target)));
    const struct segue_buffer_ref binding = {.buffer = world->source, .length_bytes = BYTES};
    const struct expected expected = {world->target, 7, 0, NULL};
    write_trace(world, "slots", &command_buffer, 1, &binding, 1, &expected, 1);
}

static void fill_words(struct world *world, segue_command_buffer *command_buffer, uint32_t first,
                       uint32_t count)
{
    for (uint32_t i = first; i < first + count; ++i) {
        const struct segue_buffer_ref word = {
            .buffer = world->third, .offset_bytes = i * 4, .length_bytes = 4};
        CHECK(segue_cmd_fill(command_buffer, word, i, 4));
    }
}

/** More commands than are searched one by one: a race among fills that none of it touches. */
static void make_long(struct world *world, const char *name, uint32_t before)
{
    segue_command_buffer *command_buffer = begin(world, "long", 0);
    fill_words(world, command_buffer, 0, before);
    CHECK(segue_cmd_barrier(command_buffer, NULL));
    CHECK(segue_cmd_fill(command_buffer, whole(world->source), 5, 4));
    CHECK(segue_cmd_copy(command_buffer, whole(world->source), whole(world->target)));
    CHECK(segue_cmd_barrier(command_buffer, NULL));
    fill_words(world, command_buffer, before, 101);
    write_trace(world, name, &command_buffer, 1, NULL, 0, NULL, 0);
}

static segue_buffer *make_buffer(struct world *world, const char *label)
{
    const struct segue_buffer_params params = {.size_bytes = BYTES, .label = label};
    uint32_t words[WORDS];
    for (uint32_t i = 0; i < WORDS; ++i)
        words[i] = i * 2654435761u;
    segue_buffer *buffer;
    CHECK(segue_buffer_create(world->device, &params, &buffer));
    CHECK(segue_buffer_write(buffer, 0, words, sizeof(words)));
    return buffer;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fputs("usage: make_traces FOLDER\n", stderr);
        return 2;
    }
    struct world world = {.folder = argv[1]};
    CHECK(segue_device_open("soft://", NULL, &world.device));
    uint32_t kernel_count = 0;
    const struct segue_reference_kernel *kernels = segue_plugin_kernels(&kernel_count);
    CHECK(segue_device_register_reference_kernels(world.device, kernels, kernel_count));
    struct segue_executable_params executable;
    segue_cli_get_executable(&executable);
    CHECK(segue_executable_create(world.device, &executable, &world.executable));
    world.source = make_buffer(&world, "source");
    world.target = make_buffer(&world, "target");
    world.third = make_buffer(&world, "third");

    make_transfers(&world, "good", 0x12345678, true);
    make_transfers(&world, "mismatch", 0x12345679, true);
    make_transfers(&world, "missing_barrier", 0x12345678, false);
    make_two(&world, "two", true);
    make_two(&world, "two_missing_barrier", false);
    make_kernel(&world, "honest", SEGUE_CLI_KERNEL_HONEST, true);
    make_kernel(&world, "liar", SEGUE_CLI_KERNEL_LIAR, false);
    make_kernel(&world, "counter", SEGUE_CLI_KERNEL_COUNTER, true);
    make_slots(&world);
    make_long(&world, "long", 150);
    make_long(&world, "longer", 155);

    segue_buffer_destroy(world.third);
    segue_buffer_destroy(world.target);
    segue_buffer_destroy(world.source);
    segue_executable_destroy(world.executable);
    segue_device_destroy(world.device);
    return 0;
}
