// SPDX-License-Identifier: Apache-2.0
#include "program.h"

#include "table.h"

#include <string.h>

void segue_program_retain(struct segue_program *program)
{
    atomic_fetch_add_explicit(&program->references, 1, memory_order_relaxed);
}

/** Frees a program that has no backend program (any more). */
static void free_shell(struct segue_program *program)
{
    struct segue_recording *recording = program->recording;
    const struct segue_allocator *allocator = &recording->device->allocator;
    for (uint32_t i = 0; i < program->slot_count; i++)
        segue_object_release(&segue_range_buffer(&program->slots[i])->object);
    segue_release(allocator, program->slots, program->slot_count * sizeof *program->slots);
    segue_release(allocator, program, sizeof *program);
    segue_recording_release(recording);
}

void segue_program_release(struct segue_program *program)
{
    if (!program || atomic_fetch_sub_explicit(&program->references, 1, memory_order_acq_rel) != 1)
        return;
    struct segue_backend *backend = program->recording->device->backend;
    backend->ops->program_destroy(backend, program->backend);
    free_shell(program);
}

/** A program without a backend program, holding recording and table. */
static struct segue_program *create_shell(struct segue_recording *recording,
                                          const struct segue_binding_table *table)
{
    const struct segue_allocator *allocator = &recording->device->allocator;
    struct segue_program *program = segue_allocate_zeroed(allocator, 1, sizeof *program);
    if (!program)
        return NULL;
    if (table && table->slot_count != 0) {
        program->slots =
            segue_allocate_zeroed(allocator, table->slot_count, sizeof *program->slots);
        if (!program->slots) {
            segue_release(allocator, program, sizeof *program);
            return NULL;
        }
        memcpy(program->slots, table->slots, table->slot_count * sizeof *program->slots);
        program->slot_count = table->slot_count;
        for (uint32_t i = 0; i < program->slot_count; i++)
            segue_object_retain(&segue_range_buffer(&program->slots[i])->object);
    }
    atomic_init(&program->references, 1);
    program->recording = recording;
    segue_recording_retain(recording);
    return program;
}

segue_status segue_program_create(const segue_command_buffer *command_buffer,
                                  const struct segue_binding_table *table,
                                  struct segue_command_buffer_stats *stats,
                                  struct segue_program **out_program)
{
    segue_device *device = command_buffer->device;
    struct segue_program *program = create_shell(command_buffer->recording, table);
    if (!program)
        return segue_fail(device, SEGUE_OUT_OF_HOST_MEMORY,
                          "no host memory for the program of command buffer \"%s\"",
                          command_buffer->label);
    uint64_t start_ns = segue_now_ns();
    struct segue_plan plan = {0};
    segue_status status = segue_plan_build(program->recording, command_buffer->resolved_mode,
                                           command_buffer->order_seed, &plan);
    if (status != SEGUE_OK)
        goto fail_plan;

    struct segue_command_buffer_stats updated = *stats;
    updated.lower_ns = segue_now_ns() - start_ns;
    const struct segue_program_request request = {
        .mode = command_buffer->resolved_mode,
        .recording = program->recording,
        .plan = &plan,
        .table = table,
    };
    status = device->backend->ops->program_create(device->backend, &request, &updated,
                                                  &program->backend);
    segue_plan_finish(&plan);
    if (status != SEGUE_OK)
        goto fail_plan;
    *stats = updated;
    *out_program = program;
    return SEGUE_OK;

fail_plan:
    free_shell(program);
    return status;
}

segue_status segue_command_buffer_acquire_program(segue_command_buffer *command_buffer,
                                                  const struct segue_binding_table *table,
                                                  struct segue_program **out_program)
{
    struct segue_program *program = command_buffer->program;
    const struct segue_range *slots = table ? table->slots : NULL;
    uint32_t slot_count = table ? table->slot_count : 0;
    if (slot_count != command_buffer->slot_count)
        return segue_fail(command_buffer->device, SEGUE_INVALID_ARGUMENT,
                          "command buffer \"%s\" has %u slots, but the table has %u",
                          command_buffer->label, command_buffer->slot_count, slot_count);
    if (!program || !segue_table_equal(program->slots, program->slot_count, slots, slot_count)) {
        segue_status status = segue_table_check(command_buffer->recording, table);
        if (status == SEGUE_OK && command_buffer->device->validation == SEGUE_VALIDATION_FULL)
            status = segue_hazard_check(command_buffer->recording, table);
        if (status == SEGUE_OK)
            status = segue_program_create(command_buffer, table, &command_buffer->stats, &program);
        if (status != SEGUE_OK)
            return status;
        segue_program_release(command_buffer->program);
        command_buffer->program = program;
    }
    segue_program_retain(program);
    *out_program = program;
    return SEGUE_OK;
}
