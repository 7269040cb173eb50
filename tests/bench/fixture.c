// SPDX-License-Identifier: Apache-2.0
#include "fixture.h"

#define BUFFER_BYTES 4096
#define BINDING_BYTES 1024

bool segue_bench_run_nothing(const struct segue_reference_launch *launch,
                             segue_reference_translate translate)
{
    (void)launch;
    (void)translate;
    return true;
}

void segue_bench_no_ranges(const struct segue_reference_launch *launch,
                           struct segue_reference_ranges *ranges)
{
    (void)launch;
    (void)ranges;
}

static segue_status register_reference(segue_device *device)
{
    static const uint32_t sizes[] = {8, 8, 8, 8, SEGUE_BENCH_CONSTANTS_BYTES};
    static const struct segue_reference_kernel references[] = {
        {
            .name = SEGUE_BENCH_KERNEL_NAME,
            .parameter_sizes = sizes,
            .parameter_count = SEGUE_BENCH_BINDING_COUNT + 1,
            .run = segue_bench_run_nothing,
            .ranges = segue_bench_no_ranges,
        },
        {
            .name = SEGUE_BENCH_INDIRECT_NAME,
            .parameter_sizes = sizes,
            .parameter_count = SEGUE_BENCH_BINDING_COUNT + 1,
            .run = segue_bench_run_nothing,
            .ranges = segue_bench_no_ranges,
        },
    };
    return segue_device_register_reference_kernels(device, references, 2);
}

static segue_status create_executable(segue_device *device, segue_executable **out_executable)
{
    static const struct segue_parameter parameters[] = {
        {.kind = SEGUE_PARAMETER_BINDING, .access = SEGUE_ACCESS_READ, .align_bytes = 16},
        {.kind = SEGUE_PARAMETER_BINDING, .access = SEGUE_ACCESS_READ, .align_bytes = 16},
        {.kind = SEGUE_PARAMETER_BINDING, .access = SEGUE_ACCESS_READ, .align_bytes = 16},
        {.kind = SEGUE_PARAMETER_BINDING, .access = SEGUE_ACCESS_WRITE, .align_bytes = 16},
        {.kind = SEGUE_PARAMETER_CONSTANT, .size_bytes = SEGUE_BENCH_CONSTANTS_BYTES},
    };
    static const struct segue_parameter indirect_parameters[] = {
        {.kind = SEGUE_PARAMETER_INDIRECT, .access = SEGUE_ACCESS_READ, .align_bytes = 16},
        {.kind = SEGUE_PARAMETER_BINDING, .access = SEGUE_ACCESS_READ, .align_bytes = 16},
        {.kind = SEGUE_PARAMETER_BINDING, .access = SEGUE_ACCESS_READ, .align_bytes = 16},
        {.kind = SEGUE_PARAMETER_BINDING, .access = SEGUE_ACCESS_WRITE, .align_bytes = 16},
        {.kind = SEGUE_PARAMETER_CONSTANT, .size_bytes = SEGUE_BENCH_CONSTANTS_BYTES},
    };
    static const struct segue_entry_point entries[] = {
        {
            .name = SEGUE_BENCH_KERNEL_NAME,
            .parameters = parameters,
            .parameter_count = SEGUE_BENCH_BINDING_COUNT + 1,
            .block_size = {SEGUE_BENCH_BLOCK_SIZE, 1, 1},
        },
        {
            .name = SEGUE_BENCH_INDIRECT_NAME,
            .parameters = indirect_parameters,
            .parameter_count = SEGUE_BENCH_BINDING_COUNT + 1,
            .block_size = {SEGUE_BENCH_BLOCK_SIZE, 1, 1},
        },
    };
    const struct segue_executable_params params = {
        .format = SEGUE_EXECUTABLE_PTX,
        .data = segue_bench_kernel_ptx,
        .size_bytes = segue_bench_kernel_ptx_bytes,
        .entry_points = entries,
        .entry_point_count = 2,
    };
    return segue_executable_create(device, &params, out_executable);
}

static segue_status create_buffers(struct segue_bench_fixture *fixture)
{
    segue_status status = SEGUE_OK;
    for (uint32_t i = 0; i < SEGUE_BENCH_BINDING_COUNT && status == SEGUE_OK; i++) {
        const struct segue_buffer_params params = {.size_bytes = BUFFER_BYTES};
        status = segue_buffer_create(fixture->device, &params, &fixture->buffers[i]);
        if (status != SEGUE_OK)
            break;
        struct segue_buffer_info info;
        segue_buffer_get_info(fixture->buffers[i], &info);
        fixture->addresses[i] = info.device_address;
    }
    return status;
}

segue_status segue_bench_fixture_open(struct segue_bench_fixture *fixture, const char *uri,
                                      const struct segue_allocator *allocator)
{
    const struct segue_device_params params = {.allocator = allocator};
    segue_status status = segue_device_open(uri, &params, &fixture->device);
    if (status != SEGUE_OK)
        return status;
    segue_device_get_info(fixture->device, &fixture->info);
    // Graphs that are no longer used would be taken again; what is measured here is making them.
    segue_device_set_cache_budget(fixture->device, &(struct segue_cache_budget){0});
    status = register_reference(fixture->device);
    if (status == SEGUE_OK)
        status = create_executable(fixture->device, &fixture->executable);
    if (status == SEGUE_OK)
        status = create_buffers(fixture);
    if (status == SEGUE_OK)
        status = segue_queue_create(fixture->device, NULL, &fixture->queue);
    if (status == SEGUE_OK)
        status = segue_semaphore_create(fixture->device, 0, &fixture->done);
    return status;
}

void segue_bench_fixture_close(struct segue_bench_fixture *fixture)
{
    segue_queue_destroy(fixture->queue);
    segue_semaphore_destroy(fixture->done);
    for (uint32_t i = 0; i < SEGUE_BENCH_BINDING_COUNT; i++)
        segue_buffer_destroy(fixture->buffers[i]);
    segue_executable_destroy(fixture->executable);
    segue_device_destroy(fixture->device);
    *fixture = (struct segue_bench_fixture){0};
}

segue_status segue_bench_dispatch(const struct segue_bench_fixture *fixture,
                                  segue_command_buffer *command_buffer, uint32_t index)
{
    struct segue_buffer_ref bindings[SEGUE_BENCH_BINDING_COUNT];
    for (uint32_t i = 0; i < SEGUE_BENCH_BINDING_COUNT; i++)
        bindings[i] = (struct segue_buffer_ref){
            .buffer = fixture->buffers[i],
            .length_bytes = BINDING_BYTES,
        };
    const uint32_t constants[SEGUE_BENCH_CONSTANTS_BYTES / 4] = {index};
    const struct segue_dispatch dispatch = {
        .executable = fixture->executable,
        .grid = {SEGUE_BENCH_GRID_SIZE, 1, 1},
        .bindings = bindings,
        .binding_count = SEGUE_BENCH_BINDING_COUNT,
        .constants = constants,
        .constants_size_bytes = sizeof(constants),
    };
    return segue_cmd_dispatch(command_buffer, &dispatch);
}

segue_status segue_bench_record_scopes(const struct segue_bench_fixture *fixture, uint32_t count,
                                       uint32_t width, enum segue_execution_mode mode,
                                       segue_command_buffer **out_command_buffer)
{
    const struct segue_command_buffer_params params = {.mode = mode};
    segue_command_buffer *command_buffer = NULL;
    segue_status status = segue_command_buffer_create(fixture->device, &params, &command_buffer);
    if (status != SEGUE_OK)
        return status;
    status = segue_command_buffer_begin(command_buffer);
    for (uint32_t i = 0; i < count && status == SEGUE_OK; i++) {
        status = segue_bench_dispatch(fixture, command_buffer, i);
        if (status == SEGUE_OK && (i + 1) % width == 0)
            status = segue_cmd_barrier(command_buffer, NULL);
    }
    if (status != SEGUE_OK) {
        segue_command_buffer_destroy(command_buffer);
        return status;
    }
    *out_command_buffer = command_buffer;
    return SEGUE_OK;
}

segue_status segue_bench_make_scopes(const struct segue_bench_fixture *fixture, uint32_t count,
                                     uint32_t width, enum segue_execution_mode mode,
                                     segue_command_buffer **out_command_buffer)
{
    segue_command_buffer *command_buffer = NULL;
    segue_status status = segue_bench_record_scopes(fixture, count, width, mode, &command_buffer);
    if (status != SEGUE_OK)
        return status;
    status = segue_command_buffer_end(command_buffer);
    if (status != SEGUE_OK) {
        segue_command_buffer_destroy(command_buffer);
        return status;
    }
    *out_command_buffer = command_buffer;
    return SEGUE_OK;
}

segue_status segue_bench_take_shape(segue_command_buffer *command_buffer,
                                    struct segue_bench_shape *out_shape)
{
    struct segue_graph_view view;
    const segue_status status =
        segue_command_buffer_get_graph(command_buffer, SEGUE_GRAPH_STAGE_GRAPH, &view);
    if (status != SEGUE_OK)
        return status;
    if (!segue_bench_shape_create(&view, out_shape))
        return segue_report_error(NULL, SEGUE_OUT_OF_HOST_MEMORY, __FILE__, __LINE__,
                                  "out of memory for a graph's shape");
    return SEGUE_OK;
}

segue_status segue_bench_submit(struct segue_bench_fixture *fixture,
                                segue_command_buffer *command_buffer)
{
    const struct segue_execution execution = {.command_buffer = command_buffer};
    const struct segue_semaphore_value signal = {fixture->done, ++fixture->done_value};
    const struct segue_submission submission = {
        .executions = &execution,
        .execution_count = command_buffer != NULL,
        .signals = &signal,
        .signal_count = 1,
    };
    return segue_queue_submit(fixture->queue, &submission);
}
