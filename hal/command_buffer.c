// SPDX-License-Identifier: Apache-2.0
#include "command_buffer.h"

#include "constant_slots.h"
#include "cost.h"
#include "event.h"
#include "program.h"
#include "record.h"
#include "slot_index.h"

#include <time.h>

#define MAX_SLOTS 65536

uint64_t segue_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static segue_status check_params(segue_device *device,
                                 const struct segue_command_buffer_params *params)
{
    const uint32_t known_flags =
        SEGUE_COMMAND_BUFFER_ONE_SHOT | SEGUE_COMMAND_BUFFER_UNRETAINED |
        SEGUE_COMMAND_BUFFER_BARRIER_ORDER | SEGUE_COMMAND_BUFFER_SLOTS_DISTINCT |
        SEGUE_COMMAND_BUFFER_FILLS_CONSTANTS | SEGUE_COMMAND_BUFFER_LOWER_ALIASES;
    const char *label = params->label ? params->label : "";
    if ((unsigned)params->mode > SEGUE_EXECUTION_STREAM)
        return segue_fail(device, SEGUE_INVALID_ARGUMENT,
                          "command buffer \"%s\": mode is %d; use a value of segue_execution_mode",
                          label, (int)params->mode);
    if ((params->flags & ~known_flags) != 0)
        return segue_fail(device, SEGUE_INVALID_ARGUMENT,
                          "command buffer \"%s\": flags 0x%x has unknown bits; use bits of "
                          "segue_command_buffer_flags",
                          label, params->flags);
    if ((params->flags & SEGUE_COMMAND_BUFFER_FILLS_CONSTANTS) != 0 &&
        (params->flags & SEGUE_COMMAND_BUFFER_ONE_SHOT) == 0)
        return segue_fail(device, SEGUE_INVALID_ARGUMENT,
                          "command buffer \"%s\": what fills constants runs once; add "
                          "SEGUE_COMMAND_BUFFER_ONE_SHOT",
                          label);
    if ((params->flags & SEGUE_COMMAND_BUFFER_LOWER_ALIASES) != 0 &&
        (params->flags & SEGUE_COMMAND_BUFFER_SLOTS_DISTINCT) == 0)
        return segue_fail(device, SEGUE_INVALID_ARGUMENT,
                          "command buffer \"%s\": SEGUE_COMMAND_BUFFER_LOWER_ALIASES says what to "
                          "do where distinct slots overlap, and all slots may; add "
                          "SEGUE_COMMAND_BUFFER_SLOTS_DISTINCT, or leave it out",
                          label);
    if (params->slot_count > MAX_SLOTS)
        return segue_fail(device, SEGUE_OUT_OF_RANGE,
                          "command buffer \"%s\": slot_count is %u; at most %d are possible", label,
                          params->slot_count, MAX_SLOTS);
    return segue_constant_slots_check(device, params);
}

segue_status segue_command_buffer_create(segue_device *device,
                                         const struct segue_command_buffer_params *params,
                                         segue_command_buffer **out_command_buffer)
{
    static const struct segue_command_buffer_params defaults = {0};
    if (!device || !out_command_buffer)
        return segue_fail(device, SEGUE_INVALID_ARGUMENT,
                          "segue_command_buffer_create: device and out_command_buffer must not be "
                          "NULL");
    if (!params)
        params = &defaults;
    segue_status status = segue_device_check(device);
    if (status == SEGUE_OK)
        status = check_params(device, params);
    if (status != SEGUE_OK)
        return status;

    const struct segue_allocator *allocator = &device->allocator;
    segue_command_buffer *command_buffer =
        segue_allocate_zeroed(allocator, 1, sizeof *command_buffer);
    if (!command_buffer)
        goto fail_command_buffer;
    command_buffer->latched = segue_allocate_zeroed(allocator, 1, sizeof *command_buffer->latched);
    if (!command_buffer->latched)
        goto fail_latched;
    command_buffer->label = segue_copy_string(allocator, params->label);
    if (!command_buffer->label)
        goto fail_label;
    if (!segue_constant_slots_copy(allocator, params, &command_buffer->constants))
        goto fail_constants;
    atomic_init(&command_buffer->references, 1);
    command_buffer->device = device;
    segue_device_retain(device);
    command_buffer->mode = params->mode;
    command_buffer->flags = params->flags;
    command_buffer->slot_count = params->slot_count;
    command_buffer->order_seed = params->order_seed;
    command_buffer->state = SEGUE_STATE_NEW;
    command_buffer->open_group = SEGUE_NO_GROUP;
    *out_command_buffer = command_buffer;
    return SEGUE_OK;

fail_constants:
    segue_release_string(allocator, command_buffer->label);
fail_label:
    segue_release(allocator, command_buffer->latched, sizeof *command_buffer->latched);
fail_latched:
    segue_release(allocator, command_buffer, sizeof *command_buffer);
fail_command_buffer:
    return segue_fail(device, SEGUE_OUT_OF_HOST_MEMORY, "no host memory for command buffer \"%s\"",
                      params->label ? params->label : "");
}

void segue_command_buffer_retain(segue_command_buffer *command_buffer)
{
    atomic_fetch_add_explicit(&command_buffer->references, 1, memory_order_relaxed);
}

void segue_command_buffer_release(segue_command_buffer *command_buffer)
{
    if (!command_buffer ||
        atomic_fetch_sub_explicit(&command_buffer->references, 1, memory_order_acq_rel) != 1)
        return;
    segue_device *device = command_buffer->device;
    segue_programs_release(command_buffer->program);
    segue_recording_release(command_buffer->recording);
    segue_release(&device->allocator, command_buffer->view_memory,
                  command_buffer->view_memory_bytes);
    segue_constant_slots_free(&device->allocator, &command_buffer->constants);
    segue_release_string(&device->allocator, command_buffer->label);
    segue_release(&device->allocator, command_buffer->latched, sizeof *command_buffer->latched);
    segue_release(&device->allocator, command_buffer, sizeof *command_buffer);
    segue_device_release(device);
}

void segue_command_buffer_destroy(segue_command_buffer *command_buffer)
{
    segue_command_buffer_release(command_buffer);
}

segue_status segue_command_buffer_begin(segue_command_buffer *command_buffer)
{
    if (!command_buffer)
        return segue_fail(NULL, SEGUE_INVALID_ARGUMENT,
                          "segue_command_buffer_begin: the command buffer is NULL");
    segue_status status = segue_device_check(command_buffer->device);
    if (status != SEGUE_OK)
        return status;
    if (command_buffer->state != SEGUE_STATE_NEW)
        return segue_fail(command_buffer->device, SEGUE_INVALID_STATE,
                          "command buffer \"%s\" %s; reset it before it begins again",
                          command_buffer->label,
                          command_buffer->state == SEGUE_STATE_RECORDING ? "is recording already"
                          : command_buffer->state == SEGUE_STATE_ENDED   ? "has ended"
                                                                         : "has failed");
    if (!command_buffer->recording)
        status = segue_recording_create(command_buffer->device, command_buffer->label,
                                        &command_buffer->recording);
    if (status != SEGUE_OK)
        return status;
    command_buffer->recording->slot_count = command_buffer->slot_count;
    command_buffer->recording->constant_slot_count = command_buffer->constants.count;
    command_buffer->recording->flags = command_buffer->flags;
    segue_constant_slots_forget(&command_buffer->constants);
    command_buffer->state = SEGUE_STATE_RECORDING;
    command_buffer->begin_ns = segue_now_ns();
    return SEGUE_OK;
}

static enum segue_execution_mode resolve_mode(const segue_command_buffer *command_buffer)
{
    if (command_buffer->mode != SEGUE_EXECUTION_AUTO)
        return command_buffer->mode;
    if ((command_buffer->flags & SEGUE_COMMAND_BUFFER_ONE_SHOT) != 0 ||
        !segue_graph_pays(&command_buffer->device->cost_model,
                          command_buffer->recording->work_count))
        return SEGUE_EXECUTION_STREAM;
    return SEGUE_EXECUTION_GRAPH;
}

static segue_status check_groups(segue_command_buffer *command_buffer)
{
    if (command_buffer->open_group == SEGUE_NO_GROUP)
        return SEGUE_OK;
    char path[256];
    segue_recording_group_path(command_buffer->recording, command_buffer->open_group, path,
                               sizeof path);
    return segue_fail(command_buffer->device, SEGUE_INVALID_STATE,
                      "command buffer \"%s\" ends with %u open debug groups (\"%s\"); call "
                      "segue_cmd_end_group for each",
                      command_buffer->label, command_buffer->open_group_depth, path);
}

/** Everything between the last command and the state ENDED. */
static segue_status finish_recording(segue_command_buffer *command_buffer)
{
    struct segue_recording *recording = command_buffer->recording;
    segue_status status = segue_device_check(command_buffer->device);
    if (status == SEGUE_OK)
        status = check_groups(command_buffer);
    if (status == SEGUE_OK)
        status = segue_recording_collect_events(recording);
    if (status == SEGUE_OK)
        status = segue_slot_index_create(recording);
    if (status != SEGUE_OK)
        return status;

    struct segue_command_buffer_stats stats = {
        .command_count = recording->command_count,
        .work_count = recording->work_count,
        .record_ns = segue_now_ns() - command_buffer->begin_ns,
    };
    if (command_buffer->device->validation == SEGUE_VALIDATION_FULL) {
        status = segue_hazard_check(recording, NULL);
        if (status != SEGUE_OK)
            return status;
    }
    command_buffer->resolved_mode = resolve_mode(command_buffer);
    stats.mode = command_buffer->resolved_mode;
    if (command_buffer->slot_count == 0 && command_buffer->constants.count == 0)
        status = segue_program_create(command_buffer, NULL, &stats, &command_buffer->program);
    if (status != SEGUE_OK)
        return status;
    command_buffer->stats = stats;
    return SEGUE_OK;
}

segue_status segue_command_buffer_end(segue_command_buffer *command_buffer)
{
    segue_status status = segue_record_check(command_buffer);
    if (status != SEGUE_OK)
        return status;
    status = finish_recording(command_buffer);
    if (status != SEGUE_OK)
        return segue_record_latch(command_buffer);
    command_buffer->state = SEGUE_STATE_ENDED;
    return SEGUE_OK;
}

segue_status segue_command_buffer_reset(segue_command_buffer *command_buffer)
{
    if (!command_buffer)
        return segue_fail(NULL, SEGUE_INVALID_ARGUMENT,
                          "segue_command_buffer_reset: the command buffer is NULL");
    segue_device *device = command_buffer->device;
    pthread_mutex_lock(&device->submission_lock);
    struct segue_program *program = command_buffer->program;
    command_buffer->program = NULL;
    command_buffer->submitted = false;
    command_buffer->stats = (struct segue_command_buffer_stats){0};
    pthread_mutex_unlock(&device->submission_lock);
    segue_programs_release(program);

    // With nothing in flight the recording is used again: recording the same anew allocates little.
    struct segue_recording *recording = command_buffer->recording;
    if (recording && atomic_load_explicit(&recording->references, memory_order_acquire) == 1) {
        segue_recording_clear(recording);
    } else {
        segue_recording_release(recording);
        command_buffer->recording = NULL;
    }
    segue_release(&device->allocator, command_buffer->view_memory,
                  command_buffer->view_memory_bytes);
    command_buffer->view_memory = NULL;
    command_buffer->view_memory_bytes = 0;
    command_buffer->view = (struct segue_graph_view){0};
    command_buffer->open_group = SEGUE_NO_GROUP;
    command_buffer->open_group_depth = 0;
    command_buffer->state = SEGUE_STATE_NEW;
    return SEGUE_OK;
}
