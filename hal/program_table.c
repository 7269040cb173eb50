// SPDX-License-Identifier: Apache-2.0
// The programs of a command buffer with slots: one for each table that is in flight. A table that
// none has is given to one that is not in flight; only if there is none is another one made.
#include "program.h"
#include "queue.h"
#include "table.h"

#include <string.h>

/** Programs that a command buffer keeps for the tables that it was last submitted with. Those in
 *  flight beyond that go when they are done. */
#define KEPT_PROGRAMS 4

void segue_programs_release(struct segue_program *programs)
{
    while (programs) {
        struct segue_program *program = programs;
        programs = program->next;
        program->next = NULL;
        segue_program_release(program);
    }
}

static struct segue_binding_table table_of(const struct segue_program *program)
{
    return (struct segue_binding_table){
        .slots = program->slots,
        .slot_count = program->slot_count,
        .constants = program->constants,
        .constant_count = program->constant_count,
    };
}

/** Only the command buffer has it: nothing in flight, and nobody who looks at it. */
static bool is_idle(const struct segue_program *program)
{
    return atomic_load_explicit(&program->references, memory_order_acquire) == 1;
}

/** Takes a program out of the list. */
static void unlink_program(segue_command_buffer *command_buffer, struct segue_program *program)
{
    struct segue_program **link = &command_buffer->program;
    while (*link != program)
        link = &(*link)->next;
    *link = program->next;
    program->next = NULL;
}

static void put_first(segue_command_buffer *command_buffer, struct segue_program *program)
{
    program->next = command_buffer->program;
    command_buffer->program = program;
}

/** Gives up what is idle behind the first, and what is beyond the number that is kept: its graphs
 *  are the cache's then. */
static void drop_others(segue_command_buffer *command_buffer, struct segue_acquire *acquire)
{
    uint32_t kept = 1;
    struct segue_program **link = &command_buffer->program->next;
    while (*link) {
        struct segue_program *program = *link;
        if (kept < KEPT_PROGRAMS && !is_idle(program)) {
            kept++;
            link = &program->next;
            continue;
        }
        *link = program->next;
        program->next = NULL;
        segue_program_drop(program, &acquire->dead_programs);
    }
}

static struct segue_program *find_equal(const segue_command_buffer *command_buffer,
                                        const struct segue_binding_table *table)
{
    struct segue_program *program = command_buffer->program;
    for (; program; program = program->next) {
        const struct segue_binding_table own = table_of(program);
        if (segue_table_equal(&own, table))
            break;
    }
    return program;
}

/** The least recently used program that is idle and was ordered for such tables. */
static struct segue_program *find_idle(const segue_command_buffer *command_buffer,
                                       const struct segue_slot_pattern *aliases)
{
    struct segue_program *found = NULL;
    for (struct segue_program *program = command_buffer->program; program;
         program = program->next) {
        if (is_idle(program) && segue_slot_pattern_equal(&program->aliases, aliases))
            found = program;
    }
    return found;
}

/** Holds the table against the recording, as far as the last table leaves anything open. */
static segue_status check(const segue_command_buffer *command_buffer,
                          const struct segue_binding_table *table,
                          struct segue_slot_pattern *out_aliases)
{
    const struct segue_recording *recording = command_buffer->recording;
    const struct segue_program *last = command_buffer->program;
    struct segue_binding_table valid = {0};
    if (last)
        valid = table_of(last);
    segue_status status = last ? segue_table_check_since(recording, table, &valid)
                               : segue_table_check(recording, table);
    if (status == SEGUE_OK)
        status = segue_table_check_aliases(
            recording, table, last && last->aliases.count == 0 ? &valid : NULL, out_aliases);
    if (status == SEGUE_OK && command_buffer->device->validation == SEGUE_VALIDATION_FULL)
        status = segue_hazard_check(recording, table);
    return status;
}

/** Notes what a program stands for now. */
static void adopt_table(struct segue_program *program, const struct segue_binding_table *table,
                        struct segue_acquire *acquire)
{
    for (uint32_t i = 0; i < table->slot_count; i++) {
        if (segue_slot_is_same(&program->slots[i], &table->slots[i]))
            continue;
        segue_object_retain(&segue_range_buffer(&table->slots[i])->object);
        segue_object_drop(&segue_range_buffer(&program->slots[i])->object, &acquire->dead_objects);
        program->slots[i] = table->slots[i];
    }
    for (uint32_t i = 0; i < table->constant_count; i++)
        program->constants[i] = table->constants[i];
}

/** Gives an idle program the table. `*out_rebound` false, or a failure: it is gone. */
static segue_status rebind(segue_command_buffer *command_buffer, struct segue_program *program,
                           const struct segue_binding_table *table, struct segue_acquire *acquire,
                           bool *out_rebound)
{
    struct segue_backend *backend = command_buffer->device->backend;
    struct segue_command_buffer_stats updated = command_buffer->stats;
    const struct segue_program_request request = {
        .recording = program->recording,
        .order_seed = command_buffer->order_seed,
        .table = table,
        .aliases = &program->aliases,
    };
    segue_status status = SEGUE_OK;
    *out_rebound = false;
    if (backend->ops->program_rebind)
        status = backend->ops->program_rebind(backend, program->backend, &request, &updated,
                                              out_rebound);
    unlink_program(command_buffer, program);
    if (status != SEGUE_OK || !*out_rebound) {
        segue_program_drop(program, &acquire->dead_programs);
        return status;
    }
    command_buffer->stats = updated;
    adopt_table(program, table, acquire);
    put_first(command_buffer, program);
    return SEGUE_OK;
}

/** The end of an issued submission that uses a program of the recording; NULL if there is none. */
static struct segue_point *find_point(const segue_command_buffer *command_buffer)
{
    for (const segue_queue *queue = command_buffer->device->queues; queue; queue = queue->next) {
        for (const struct segue_work *work = queue->in_flight.first; work; work = work->next) {
            for (uint32_t i = 0; i < work->program_count; i++) {
                if (work->programs[i]->recording == command_buffer->recording)
                    return work->end;
            }
        }
    }
    return NULL;
}

/** Whether one more graph must wait for another one to be done: SEGUE_TIMEOUT, or SEGUE_OK. */
static segue_status check_limit(const segue_command_buffer *command_buffer,
                                struct segue_acquire *acquire)
{
    const uint32_t limit = command_buffer->device->max_table_graphs;
    if (limit == 0 || command_buffer->resolved_mode != SEGUE_EXECUTION_GRAPH ||
        atomic_load_explicit(&command_buffer->recording->table_program_count,
                             memory_order_relaxed) < limit)
        return SEGUE_OK;
    if (!acquire->has_reaped)
        return SEGUE_TIMEOUT;
    // What only waits to be issued may never be done.
    acquire->point = find_point(command_buffer);
    if (!acquire->point)
        return SEGUE_OK;
    segue_point_retain(acquire->point);
    return SEGUE_TIMEOUT;
}

/** A program for a table that none has; it is the list's first then. */
static segue_status provide(segue_command_buffer *command_buffer,
                            const struct segue_binding_table *table,
                            struct segue_slot_pattern *aliases, struct segue_acquire *acquire)
{
    struct segue_program *program = find_idle(command_buffer, aliases);
    segue_status status;
    if (program) {
        bool rebound;
        status = rebind(command_buffer, program, table, acquire, &rebound);
        if (status != SEGUE_OK || rebound)
            return status;
    }
    status = check_limit(command_buffer, acquire);
    if (status != SEGUE_OK)
        return status;
    const struct segue_program_binding binding = {
        .table = table,
        .aliases = aliases,
        .ask_first = !acquire->has_reaped,
    };
    status = segue_program_create(command_buffer, &binding, &command_buffer->stats, &program);
    if (status == SEGUE_OK)
        put_first(command_buffer, program);
    return status;
}

segue_status segue_command_buffer_acquire_program(segue_command_buffer *command_buffer,
                                                  const struct segue_binding_table *table,
                                                  struct segue_acquire *acquire,
                                                  struct segue_program **out_program)
{
    const uint32_t slot_count = table ? table->slot_count : 0;
    if (slot_count != command_buffer->slot_count)
        return segue_fail(command_buffer->device, SEGUE_INVALID_ARGUMENT,
                          "command buffer \"%s\" has %u slots, but the table has %u",
                          command_buffer->label, command_buffer->slot_count, slot_count);
    if (table) {
        struct segue_program *program = find_equal(command_buffer, table);
        if (program) {
            unlink_program(command_buffer, program);
            put_first(command_buffer, program);
        } else {
            struct segue_slot_pattern aliases = {0};
            segue_status status = check(command_buffer, table, &aliases);
            if (status == SEGUE_OK)
                status = provide(command_buffer, table, &aliases, acquire);
            segue_slot_pattern_finish(&aliases, &command_buffer->device->allocator);
            if (status != SEGUE_OK)
                return status;
        }
        drop_others(command_buffer, acquire);
    }
    segue_program_retain(command_buffer->program);
    *out_program = command_buffer->program;
    return SEGUE_OK;
}

segue_status segue_acquire_prepare(segue_device *device, struct segue_acquire *acquire)
{
    segue_status status = SEGUE_OK;
    if (acquire->point) {
        status = segue_point_wait(acquire->point, UINT64_MAX);
        segue_point_release(acquire->point);
        acquire->point = NULL;
    }
    (void)segue_device_reap(device);
    acquire->has_reaped = true;
    return status;
}

void segue_acquire_finish(struct segue_acquire *acquire)
{
    segue_programs_free(&acquire->dead_programs);
    segue_objects_free(&acquire->dead_objects);
}
