// SPDX-License-Identifier: Apache-2.0
#include "record_fixture.h"

#include <stdio.h>
#include <stdlib.h>

static const struct segue_parameter gemv_parameters[] = {
    {.kind = SEGUE_PARAMETER_BINDING, .access = SEGUE_ACCESS_READ, .align_bytes = 16},
    {.kind = SEGUE_PARAMETER_CONSTANT, .size_bytes = 4},
    {.kind = SEGUE_PARAMETER_BINDING, .access = SEGUE_ACCESS_READ},
    {.kind = SEGUE_PARAMETER_BINDING, .access = SEGUE_ACCESS_CONSTANT},
    {.kind = SEGUE_PARAMETER_BINDING, .access = SEGUE_ACCESS_WRITE},
    {.kind = SEGUE_PARAMETER_CONSTANT, .size_bytes = 12},
};
static const struct segue_parameter free_parameters[] = {
    {.kind = SEGUE_PARAMETER_BINDING},
};
static const struct segue_parameter opaque_parameters[] = {
    {.kind = SEGUE_PARAMETER_CONSTANT, .size_bytes = 8},
};

const struct segue_entry_point record_entries[RECORD_ENTRY_COUNT] = {
    [RECORD_GEMV] = {.name = "gemv",
                     .parameters = gemv_parameters,
                     .parameter_count = 6,
                     .block_size = {128, 1, 1}},
    [RECORD_FREE] = {.name = "free", .parameters = free_parameters, .parameter_count = 1},
    [RECORD_CLUSTER] = {.name = "cluster",
                        .block_size = {32, 1, 1},
                        .cluster_size = {2, 1, 1},
                        .dynamic_shared_bytes = 1000},
    [RECORD_OPAQUE] = {.name = "opaque",
                       .parameters = opaque_parameters,
                       .parameter_count = 1,
                       .block_size = {32, 1, 1},
                       .flags = SEGUE_ENTRY_OPAQUE},
};

static segue_buffer *create_buffer(segue_device *device, enum segue_memory_type memory,
                                   const char *label)
{
    const struct segue_buffer_params params = {
        .size_bytes = RECORD_BUFFER_BYTES, .memory = memory, .label = label};
    segue_buffer *buffer = NULL;
    if (segue_buffer_create(device, &params, &buffer) != SEGUE_OK)
        abort();
    return buffer;
}

segue_command_buffer *record_begin(struct record_fixture *fixture,
                                   const struct segue_command_buffer_params *params)
{
    segue_command_buffer *command_buffer = NULL;
    if (segue_command_buffer_create(fixture->device, params, &command_buffer) != SEGUE_OK ||
        segue_command_buffer_begin(command_buffer) != SEGUE_OK)
        abort();
    return command_buffer;
}

static int setup(void **state, enum segue_validation validation)
{
    struct record_fixture *fixture = calloc(1, sizeof *fixture);
    if (!fixture)
        return -1;
    null_allocator_init(&fixture->memory);
    const struct segue_device_params params = {.allocator = &fixture->memory.allocator,
                                               .validation = validation};
    fixture->device = null_device_open(&params);
    fixture->a = create_buffer(fixture->device, SEGUE_MEMORY_DEVICE, "a");
    fixture->b = create_buffer(fixture->device, SEGUE_MEMORY_DEVICE, "b");
    fixture->constant = create_buffer(fixture->device, SEGUE_MEMORY_CONSTANT, "constant");
    fixture->host = create_buffer(fixture->device, SEGUE_MEMORY_HOST_VISIBLE, "host");
    const struct segue_executable_params executable = {
        .format = SEGUE_EXECUTABLE_PTX,
        .data = ".version",
        .size_bytes = 8,
        .entry_points = record_entries,
        .entry_point_count = RECORD_ENTRY_COUNT,
        .label = "kernels",
    };
    if (segue_executable_create(fixture->device, &executable, &fixture->executable) != SEGUE_OK ||
        segue_event_create(fixture->device, &fixture->event) != SEGUE_OK)
        return -1;
    const struct segue_command_buffer_params recording = {.slot_count = 2, .label = "decode"};
    fixture->recording = record_begin(fixture, &recording);
    *state = fixture;
    return 0;
}

int record_setup(void **state)
{
    return setup(state, SEGUE_VALIDATION_BASIC);
}

int record_setup_full(void **state)
{
    return setup(state, SEGUE_VALIDATION_FULL);
}

int record_teardown(void **state)
{
    struct record_fixture *fixture = *state;
    segue_command_buffer_destroy(fixture->recording);
    segue_event_destroy(fixture->event);
    segue_executable_destroy(fixture->executable);
    segue_buffer_destroy(fixture->a);
    segue_buffer_destroy(fixture->b);
    segue_buffer_destroy(fixture->constant);
    segue_buffer_destroy(fixture->host);
    segue_device_destroy(fixture->device);
    bool clean = fixture->memory.live == 0 && fixture->memory.wrong_sizes == 0 &&
                 null_world.backends == 0 && null_world.allocations == 0 &&
                 null_world.modules == 0 && null_world.programs == 0 && null_world.fences == 0;
    if (!clean)
        fprintf(stderr,
                "left over: %lld allocations (%d of a wrong size), %d backends, %d buffers, "
                "%d modules, %d programs, %d fences\n",
                (long long)fixture->memory.live, fixture->memory.wrong_sizes, null_world.backends,
                null_world.allocations, null_world.modules, null_world.programs, null_world.fences);
    free(fixture);
    return clean ? 0 : -1;
}

struct segue_dispatch record_gemv(const struct record_fixture *fixture,
                                  struct segue_buffer_ref bindings[4])
{
    static const unsigned char constants[16] = {1, 2,  3,  4,  5,  6,  7,  8,
                                                9, 10, 11, 12, 13, 14, 15, 16};
    bindings[0] = part(fixture->a, 16, 32);
    bindings[1] = part(fixture->b, 1, 3);
    bindings[2] = whole(fixture->constant);
    bindings[3] = whole(fixture->host);
    return (struct segue_dispatch){
        .executable = fixture->executable,
        .entry_point = RECORD_GEMV,
        .grid = {7, 2, 1},
        .bindings = bindings,
        .binding_count = 4,
        .constants = constants,
        .constants_size_bytes = sizeof constants,
    };
}

struct segue_dispatch record_free(const struct record_fixture *fixture,
                                  const struct segue_buffer_ref *binding)
{
    return (struct segue_dispatch){
        .executable = fixture->executable,
        .entry_point = RECORD_FREE,
        .grid = {1, 1, 1},
        .block = {32, 1, 1},
        .bindings = binding,
        .binding_count = 1,
    };
}
