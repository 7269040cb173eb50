// SPDX-License-Identifier: Apache-2.0
#include "program.h"

#include "cost.h"
#include "queue.h"

#include <string.h>

void segue_program_retain(struct segue_program *program)
{
    atomic_fetch_add_explicit(&program->references, 1, memory_order_relaxed);
}

/** A program for a table counts until it has no graph any more. */
static void count_out(struct segue_program *program)
{
    if (program->is_for_table)
        atomic_fetch_sub_explicit(&program->recording->table_program_count, 1,
                                  memory_order_relaxed);
    program->is_for_table = false;
}

/** Frees a program that has no backend program, or none any more. */
static void free_shell(struct segue_program *program)
{
    struct segue_recording *recording = program->recording;
    const struct segue_allocator *allocator = &recording->device->allocator;
    for (uint32_t i = 0; i < program->slot_count; i++)
        segue_object_release(&segue_range_buffer(&program->slots[i])->object);
    segue_release(allocator, program->slots, program->slot_count * sizeof *program->slots);
    segue_release(allocator, program->constants,
                  program->constant_count * sizeof *program->constants);
    segue_slot_pattern_finish(&program->aliases, allocator);
    count_out(program);
    segue_release(allocator, program, sizeof *program);
    segue_recording_release(recording);
}

/** Frees a program. Without the lock: the driver may wait for the device. */
static void free_program(struct segue_program *program)
{
    struct segue_backend *backend = program->recording->device->backend;
    backend->ops->program_destroy(backend, program->backend);
    free_shell(program);
}

void segue_program_release(struct segue_program *program)
{
    if (!program || atomic_fetch_sub_explicit(&program->references, 1, memory_order_acq_rel) != 1)
        return;
    free_program(program);
}

void segue_program_drop(struct segue_program *program, struct segue_program **dead)
{
    if (atomic_fetch_sub_explicit(&program->references, 1, memory_order_acq_rel) != 1)
        return;
    struct segue_backend *backend = program->recording->device->backend;
    if (backend->ops->program_retire)
        backend->ops->program_retire(backend, program->backend);
    count_out(program);
    program->next = *dead;
    *dead = program;
}

void segue_programs_free(struct segue_program **dead)
{
    while (*dead) {
        struct segue_program *program = *dead;
        *dead = program->next;
        free_program(program);
    }
}

/** A program without a backend program, holding recording and table. */
static struct segue_program *create_shell(struct segue_recording *recording,
                                          const struct segue_program_binding *binding)
{
    const struct segue_binding_table *table = binding ? binding->table : NULL;
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
    if (binding) {
        program->is_for_table = true;
        atomic_fetch_add_explicit(&recording->table_program_count, 1, memory_order_relaxed);
        program->aliases = *binding->aliases;
        *binding->aliases = (struct segue_slot_pattern){0};
    }
    if (table && table->constant_count != 0) {
        size_t constants_bytes = table->constant_count * sizeof *program->constants;
        program->constants = segue_allocate(allocator, constants_bytes);
        if (!program->constants) {
            free_shell(program);
            return NULL;
        }
        memcpy(program->constants, table->constants, constants_bytes);
        program->constant_count = table->constant_count;
    }
    return program;
}

/** Takes a graph of an earlier recording, if there is one; else leaves program->backend NULL. */
static segue_status reuse(segue_device *device, const struct segue_program_request *request,
                          struct segue_command_buffer_stats *stats, struct segue_program *program,
                          struct segue_reuse *out_reuse)
{
    const struct segue_backend_ops *ops = device->backend->ops;
    *out_reuse = (struct segue_reuse){0};
    if (request->mode != SEGUE_EXECUTION_GRAPH || !ops->program_reuse)
        return SEGUE_OK;
    segue_status status =
        ops->program_reuse(device->backend, request, stats, out_reuse, &program->backend);
    // What is in use may be so only because nobody has asked yet whether its submission is done.
    // (With a table this is a submission itself, which holds the lock.)
    if (status == SEGUE_OK && !program->backend && out_reuse->is_busy && !request->table &&
        segue_device_reap(device))
        status = ops->program_reuse(device->backend, request, stats, out_reuse, &program->backend);
    return status;
}

/** Orders and shapes the recording, and has the backend build it; or leaves that where the graph
 * has more edges than are worth it (`edge_limit` 0: it has not). */
static segue_status build(segue_device *device, const struct segue_program_request *request,
                          uint64_t edge_limit, struct segue_command_buffer_stats *stats,
                          struct segue_program *program)
{
    const struct segue_plan_options options = {.aliases = request->aliases,
                                               .edge_limit = edge_limit};
    uint64_t start_ns = segue_now_ns();
    struct segue_plan plan = {0};
    segue_status status = segue_plan_build_with(request->recording, request->mode,
                                                request->order_seed, &options, &plan);
    if (status != SEGUE_OK)
        return status;
    stats->lower_ns += segue_now_ns() - start_ns;
    struct segue_program_request planned = *request;
    planned.plan = &plan;
    if (edge_limit == 0 || plan.edge_count <= edge_limit)
        status = device->backend->ops->program_create(device->backend, &planned, stats,
                                                      &program->backend);
    segue_plan_finish(&plan);
    return status;
}

/** Whether a failure is one that a stream may get around. */
static bool is_graph_trouble(segue_status status)
{
    return status == SEGUE_DRIVER_ERROR || status == SEGUE_OUT_OF_DEVICE_MEMORY ||
           status == SEGUE_UNIMPLEMENTED;
}

/** Whether a one-shot command buffer that would run as a stream is worth a look at the graphs that
 *  are there: writing and launching one must be cheaper than launching its commands. */
static bool may_find_graph(const segue_command_buffer *command_buffer)
{
    return command_buffer->mode == SEGUE_EXECUTION_AUTO &&
           (command_buffer->flags & SEGUE_COMMAND_BUFFER_ONE_SHOT) != 0 &&
           segue_kept_graph_pays(&command_buffer->device->cost_model,
                                 command_buffer->recording->work_count);
}

/** Makes a graph (or asks first, see segue_program_binding); where there is to be a stream instead,
 * because the driver fails or the command buffer is not worth one, returns SEGUE_OK and says so in
 * `request`. */
static segue_status make_graph(segue_command_buffer *command_buffer, bool ask_first,
                               struct segue_program_request *request,
                               struct segue_command_buffer_stats *stats,
                               struct segue_program *program)
{
    segue_device *device = command_buffer->device;
    struct segue_reuse found;
    struct segue_tolerance tolerance;
    const bool may_fall = command_buffer->mode == SEGUE_EXECUTION_AUTO;
    if (may_fall)
        segue_tolerate(&tolerance, "a stream is tried instead", is_graph_trouble);
    segue_status status = reuse(device, request, stats, program, &found);
    if (status == SEGUE_OK && !program->backend && found.is_busy && ask_first)
        status = SEGUE_TIMEOUT;
    // What comes a second time will come again: from now on it is a graph, whatever that takes now.
    const bool must_pay = request->is_one_shot && !found.is_known;
    if (status == SEGUE_OK && !program->backend) {
        const uint64_t edge_limit =
            must_pay ? segue_built_graph_edge_limit(&device->cost_model, request->recording) : 0;
        if (!must_pay || edge_limit != 0)
            status = build(device, request, edge_limit, stats, program);
    }
    if (must_pay && !program->backend)
        request->mode = SEGUE_EXECUTION_STREAM;
    if (!may_fall)
        return status;
    if (status == SEGUE_TIMEOUT) {
        segue_tolerate_end(&tolerance);
        return status;
    }
    if (status != SEGUE_OK && !is_graph_trouble(status)) {
        segue_tolerate_refuse(&tolerance);
        return status;
    }
    if (status != SEGUE_OK) {
        if (device->backend->ops->note_stream)
            device->backend->ops->note_stream(device->backend, segue_last_error());
        request->mode = SEGUE_EXECUTION_STREAM;
    }
    segue_tolerate_end(&tolerance);
    return SEGUE_OK;
}

/** Makes the program in the mode that the command buffer has come to, which may turn out to be
 *  another one: see segue_execution_mode. */
static segue_status make(segue_command_buffer *command_buffer,
                         const struct segue_program_binding *binding,
                         struct segue_command_buffer_stats *stats, struct segue_program *program)
{
    segue_device *device = command_buffer->device;
    struct segue_program_request request = {
        .mode = command_buffer->resolved_mode,
        .recording = program->recording,
        .order_seed = command_buffer->order_seed,
        .table = binding ? binding->table : NULL,
        .aliases = &program->aliases,
    };
    if (request.mode == SEGUE_EXECUTION_STREAM && may_find_graph(command_buffer)) {
        request.mode = SEGUE_EXECUTION_GRAPH;
        request.is_one_shot = true;
    }
    stats->lower_ns = 0;
    segue_status status =
        request.mode == SEGUE_EXECUTION_GRAPH
            ? make_graph(command_buffer, binding && binding->ask_first, &request, stats, program)
            : SEGUE_OK;
    if (status == SEGUE_OK && !program->backend)
        status = build(device, &request, 0, stats, program);
    command_buffer->resolved_mode = request.mode;
    stats->mode = request.mode;
    return status;
}

segue_status segue_program_create(segue_command_buffer *command_buffer,
                                  const struct segue_program_binding *binding,
                                  struct segue_command_buffer_stats *stats,
                                  struct segue_program **out_program)
{
    segue_device *device = command_buffer->device;
    struct segue_program *program = create_shell(command_buffer->recording, binding);
    if (!program)
        return segue_fail(device, SEGUE_OUT_OF_HOST_MEMORY,
                          "no host memory for the program of command buffer \"%s\"",
                          command_buffer->label);
    struct segue_command_buffer_stats updated = *stats;
    segue_status status = make(command_buffer, binding, &updated, program);
    if (status != SEGUE_OK) {
        // A second attempt wants the aliases, too.
        if (binding) {
            *binding->aliases = program->aliases;
            program->aliases = (struct segue_slot_pattern){0};
        }
        free_shell(program);
        return status;
    }
    *stats = updated;
    *out_program = program;
    return SEGUE_OK;
}
