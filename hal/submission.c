// SPDX-License-Identifier: Apache-2.0
#include "constant_slots.h"
#include "queue.h"

#include <inttypes.h>

/** Work is recycled whatever it was for, so even small work has room for some more. */
#define MIN_STORAGE_BYTES 256
/** Tables up to this many slots are built on the stack. */
#define STACK_SLOTS 32
/** The same for constant slots. */
#define STACK_CONSTANTS 32

static struct segue_work *take_free_work(segue_device *device)
{
    struct segue_submission_pool *pool = &device->submission_pool;
    pthread_mutex_lock(&pool->lock);
    struct segue_work *work = pool->works;
    if (work)
        pool->works = work->next;
    pthread_mutex_unlock(&pool->lock);
    return work;
}

static void free_work(segue_device *device, struct segue_work *work)
{
    segue_release(&device->allocator, work, sizeof *work + work->storage_bytes);
}

void segue_works_free(segue_device *device)
{
    for (struct segue_work *work = take_free_work(device); work; work = take_free_work(device))
        free_work(device, work);
}

/** Empty work with room for the counts of a submission; NULL when out of memory. */
static struct segue_work *acquire_work(segue_queue *queue,
                                       const struct segue_submission *submission)
{
    segue_device *device = queue->device;
    size_t signals_bytes = submission->signal_count * sizeof(struct segue_signal);
    size_t waits_bytes = submission->wait_count * sizeof(struct segue_wait);
    size_t storage_bytes =
        signals_bytes + waits_bytes + submission->execution_count * sizeof(struct segue_program *);
    struct segue_work *work = take_free_work(device);
    if (work && work->storage_bytes < storage_bytes) {
        free_work(device, work);
        work = NULL;
    }
    if (!work) {
        if (storage_bytes < MIN_STORAGE_BYTES)
            storage_bytes = MIN_STORAGE_BYTES;
        work = segue_allocate(&device->allocator, sizeof *work + storage_bytes);
        if (!work)
            return NULL;
        work->storage_bytes = storage_bytes;
    }
    work->next = NULL;
    work->queue = queue;
    work->sequence = 0;
    work->end = NULL;
    work->start = NULL;
    work->signals = (struct segue_signal *)work->storage;
    work->waits = (struct segue_wait *)(work->storage + signals_bytes);
    work->programs = (struct segue_program **)(work->storage + signals_bytes + waits_bytes);
    work->wait_count = 0;
    work->signal_count = 0;
    work->program_count = 0;
    work->settled = false;
    return work;
}

static segue_status check_semaphore(const segue_queue *queue, const char *role, uint32_t index,
                                    const struct segue_semaphore_value *item)
{
    if (!item->semaphore)
        return segue_fail(queue->device, SEGUE_INVALID_ARGUMENT,
                          "queue \"%s\": %s[%" PRIu32 "].semaphore is NULL", queue->label, role,
                          index);
    if (item->semaphore->object.device != queue->device)
        return segue_fail(queue->device, SEGUE_INVALID_ARGUMENT,
                          "queue \"%s\": %s[%" PRIu32
                          "].semaphore belongs to another device (%s); use "
                          "one of the queue's device",
                          queue->label, role, index, item->semaphore->object.device->uri);
    return SEGUE_OK;
}

static segue_status take_waits(struct segue_work *work, const struct segue_submission *submission)
{
    for (uint32_t i = 0; i < submission->wait_count; i++) {
        const struct segue_semaphore_value *item = &submission->waits[i];
        segue_status status = check_semaphore(work->queue, "waits", i, item);
        if (status != SEGUE_OK)
            return status;
        segue_object_retain(&item->semaphore->object);
        work->waits[work->wait_count++] =
            (struct segue_wait){.semaphore = item->semaphore, .value = item->value};
        if (item->value > item->semaphore->value && item->semaphore->failure.status != SEGUE_OK &&
            !segue_semaphore_find_pending(item->semaphore, item->value))
            return segue_semaphore_raise_failure(item->semaphore);
    }
    return SEGUE_OK;
}

/** A wait for what only this submission will raise would never end. */
static segue_status check_own_waits(const struct segue_work *work,
                                    const struct segue_submission *submission, uint32_t signal)
{
    const struct segue_semaphore_value *raise = &submission->signals[signal];
    for (uint32_t i = 0; i < submission->wait_count; i++) {
        const struct segue_semaphore_value *wait = &submission->waits[i];
        if (wait->semaphore == raise->semaphore && wait->value > raise->semaphore->promised &&
            wait->value <= raise->value)
            return segue_fail(work->queue->device, SEGUE_INVALID_ARGUMENT,
                              "queue \"%s\": waits[%" PRIu32 "].value %" PRIu64
                              " is first reached by signals[%" PRIu32
                              "] of the same submission; wait for a value that another raises",
                              work->queue->label, i, wait->value, signal);
    }
    return SEGUE_OK;
}

static segue_status take_signals(struct segue_work *work, const struct segue_submission *submission)
{
    for (uint32_t i = 0; i < submission->signal_count; i++) {
        const struct segue_semaphore_value *item = &submission->signals[i];
        segue_status status = check_semaphore(work->queue, "signals", i, item);
        if (status != SEGUE_OK)
            return status;
        struct segue_semaphore *semaphore = item->semaphore;
        if (semaphore->failure.status != SEGUE_OK)
            return segue_semaphore_raise_failure(semaphore);
        if (item->value <= semaphore->promised)
            return segue_fail(work->queue->device, SEGUE_INVALID_ARGUMENT,
                              "queue \"%s\": signals[%" PRIu32 "].value %" PRIu64
                              " must be above %" PRIu64
                              ", which its semaphore has reached or was submitted to reach",
                              work->queue->label, i, item->value, semaphore->promised);
        status = check_own_waits(work, submission, i);
        if (status != SEGUE_OK)
            return status;
        segue_object_retain(&semaphore->object);
        work->signals[work->signal_count++] = (struct segue_signal){
            .semaphore = semaphore,
            .value = item->value,
            .promised_before = semaphore->promised,
            .work = work,
        };
        semaphore->promised = item->value;
    }
    return SEGUE_OK;
}

/** What fills constants was allowed to when it was recorded; some may have been sealed since. */
static segue_status check_filled(const segue_queue *queue,
                                 const segue_command_buffer *command_buffer)
{
    const struct segue_recording *recording = command_buffer->recording;
    const uint32_t writes = SEGUE_ACCESS_MASK_TRANSFER_WRITE | SEGUE_ACCESS_MASK_DISPATCH_WRITE;
    for (const struct segue_segment *segment = recording->first; segment; segment = segment->next) {
        const uint32_t count = segue_segment_access_count(segment);
        for (uint32_t i = 0; i < count; i++) {
            const struct segue_command_access access = segue_segment_access(segment, i);
            const segue_buffer *buffer = segue_range_buffer(&access.range);
            if (buffer && (access.mask & writes) != 0 && atomic_load(&buffer->memory->sealed))
                return segue_fail(queue->device, SEGUE_INVALID_ACCESS,
                                  "queue \"%s\": command buffer \"%s\" writes buffer \"%s\", which "
                                  "has been sealed since it was recorded; leave it out",
                                  queue->label, command_buffer->label, buffer->label);
        }
    }
    return SEGUE_OK;
}

static segue_status check_command_buffer(const segue_queue *queue, uint32_t index,
                                         const struct segue_execution *execution)
{
    const segue_command_buffer *command_buffer = execution->command_buffer;
    if (!command_buffer)
        return segue_fail(queue->device, SEGUE_INVALID_ARGUMENT,
                          "queue \"%s\": executions[%" PRIu32 "].command_buffer is NULL",
                          queue->label, index);
    if (command_buffer->device != queue->device)
        return segue_fail(
            queue->device, SEGUE_INVALID_ARGUMENT,
            "queue \"%s\": command buffer \"%s\" belongs to another device (%s); use one of "
            "the queue's device",
            queue->label, command_buffer->label, command_buffer->device->uri);
    if (command_buffer->state == SEGUE_STATE_FAILED)
        return segue_fail(queue->device, SEGUE_INVALID_STATE,
                          "queue \"%s\": the recording of command buffer \"%s\" failed, reset it "
                          "first; it failed with: %s",
                          queue->label, command_buffer->label, command_buffer->latched->message);
    if (command_buffer->state != SEGUE_STATE_ENDED)
        return segue_fail(queue->device, SEGUE_INVALID_STATE,
                          "queue \"%s\": command buffer \"%s\" is not ended; call "
                          "segue_command_buffer_end first",
                          queue->label, command_buffer->label);
    if ((command_buffer->flags & SEGUE_COMMAND_BUFFER_ONE_SHOT) && command_buffer->submitted)
        return segue_fail(
            queue->device, SEGUE_INVALID_STATE,
            "queue \"%s\": one-shot command buffer \"%s\" was submitted before; reset it and "
            "record it again, or create it without SEGUE_COMMAND_BUFFER_ONE_SHOT",
            queue->label, command_buffer->label);
    if (execution->binding_count != command_buffer->slot_count ||
        (execution->binding_count != 0 && !execution->bindings))
        return segue_fail(queue->device, SEGUE_OUT_OF_RANGE,
                          "queue \"%s\": command buffer \"%s\" has %" PRIu32
                          " slots and was submitted with %" PRIu32 " bindings%s; give one per slot",
                          queue->label, command_buffer->label, command_buffer->slot_count,
                          execution->binding_count,
                          execution->binding_count == command_buffer->slot_count ? " at NULL" : "");
    uint32_t constant_count = command_buffer->constants.count;
    if (execution->constant_count != constant_count ||
        (constant_count != 0 && !execution->constants))
        return segue_fail(queue->device, SEGUE_OUT_OF_RANGE,
                          "queue \"%s\": command buffer \"%s\" has %" PRIu32
                          " constant slots and was submitted with %" PRIu32
                          " constants%s; give one per constant slot",
                          queue->label, command_buffer->label, constant_count,
                          execution->constant_count,
                          execution->constant_count == constant_count ? " at NULL" : "");
    return SEGUE_OK;
}

/** Turns the caller's bindings into a table; what the commands do with it is checked when a program
 *  is made for it. */
static segue_status resolve_bindings(const segue_queue *queue,
                                     const struct segue_execution *execution,
                                     struct segue_range *slots)
{
    const char *label = execution->command_buffer->label;
    for (uint32_t i = 0; i < execution->binding_count; i++) {
        const struct segue_buffer_ref *binding = &execution->bindings[i];
        const segue_buffer *buffer = binding->buffer;
        if (!buffer)
            return segue_fail(queue->device, SEGUE_INVALID_ARGUMENT,
                              "command buffer \"%s\": bindings[%" PRIu32
                              "].buffer is NULL; bind a buffer to every slot",
                              label, i);
        if (buffer->object.device != queue->device)
            return segue_fail(queue->device, SEGUE_INVALID_ARGUMENT,
                              "command buffer \"%s\": bindings[%" PRIu32
                              "]: buffer \"%s\" belongs to another device (%s); use one of the "
                              "queue's device",
                              label, i, buffer->label, buffer->object.device->uri);
        bool whole = binding->length_bytes == SEGUE_WHOLE_SIZE;
        if (binding->offset_bytes > buffer->size_bytes ||
            (!whole && binding->length_bytes > buffer->size_bytes - binding->offset_bytes))
            return segue_fail(queue->device, SEGUE_OUT_OF_RANGE,
                              "command buffer \"%s\": bindings[%" PRIu32 "]: offset %" PRIu64
                              " and length %" PRIu64 " leave buffer \"%s\" of %" PRIu64 " bytes",
                              label, i, binding->offset_bytes, binding->length_bytes, buffer->label,
                              buffer->size_bytes);
        slots[i] = (struct segue_range){
            .object = (uintptr_t)buffer,
            .offset_bytes = binding->offset_bytes,
            .length_bytes =
                whole ? buffer->size_bytes - binding->offset_bytes : binding->length_bytes,
        };
    }
    return SEGUE_OK;
}

/** Turns what the caller gives for both kinds of slots into a table, for which there is room. */
static segue_status resolve_table(const segue_queue *queue, const struct segue_execution *execution,
                                  struct segue_range *slots, uint64_t *constants)
{
    segue_status status = resolve_bindings(queue, execution, slots);
    if (status == SEGUE_OK)
        status = segue_constant_values_resolve(execution->command_buffer, execution, constants);
    return status;
}

static segue_status acquire_program(const segue_queue *queue,
                                    const struct segue_execution *execution,
                                    struct segue_acquire *acquire,
                                    struct segue_program **out_program)
{
    const struct segue_allocator *allocator = &queue->device->allocator;
    const uint32_t count = execution->binding_count;
    const uint32_t constant_count = execution->constant_count;
    if (count == 0 && constant_count == 0)
        return segue_command_buffer_acquire_program(execution->command_buffer, NULL, acquire,
                                                    out_program);

    struct segue_range stack_slots[STACK_SLOTS];
    uint64_t stack_constants[STACK_CONSTANTS];
    struct segue_range *slots = stack_slots;
    uint64_t *constants = stack_constants;
    segue_status status = SEGUE_OK;
    if (count > STACK_SLOTS)
        slots = segue_allocate(allocator, count * sizeof *slots);
    if (constant_count > STACK_CONSTANTS)
        constants = segue_allocate(allocator, constant_count * sizeof *constants);
    if (!slots || !constants)
        status = segue_fail(queue->device, SEGUE_OUT_OF_HOST_MEMORY,
                            "command buffer \"%s\": no memory for its %" PRIu32
                            " bindings and %" PRIu32 " constants",
                            execution->command_buffer->label, count, constant_count);
    if (status == SEGUE_OK)
        status = resolve_table(queue, execution, slots, constants);
    if (status == SEGUE_OK) {
        const struct segue_binding_table table = {
            .slots = slots,
            .slot_count = count,
            .constants = constants,
            .constant_count = constant_count,
        };
        status = segue_command_buffer_acquire_program(execution->command_buffer, &table, acquire,
                                                      out_program);
    }
    if (constants != stack_constants)
        segue_release(allocator, constants, constant_count * sizeof *constants);
    if (slots != stack_slots)
        segue_release(allocator, slots, count * sizeof *slots);
    return status;
}

static segue_status take_programs(struct segue_work *work,
                                  const struct segue_submission *submission,
                                  struct segue_acquire *acquire)
{
    for (uint32_t i = 0; i < submission->execution_count; i++) {
        const struct segue_execution *execution = &submission->executions[i];
        segue_status status = check_command_buffer(work->queue, i, execution);
        if (status == SEGUE_OK &&
            (execution->command_buffer->flags & SEGUE_COMMAND_BUFFER_FILLS_CONSTANTS) != 0)
            status = check_filled(work->queue, execution->command_buffer);
        if (status == SEGUE_OK)
            status = acquire_program(work->queue, execution, acquire, &work->programs[i]);
        if (status != SEGUE_OK)
            return status;
        work->program_count++;
        execution->command_buffer->submitted = true;
    }
    return SEGUE_OK;
}

static segue_status check_arrays(const segue_queue *queue,
                                 const struct segue_submission *submission)
{
    const char *missing = NULL;
    if (submission->wait_count != 0 && !submission->waits)
        missing = "waits";
    if (submission->execution_count != 0 && !submission->executions)
        missing = "executions";
    if (submission->signal_count != 0 && !submission->signals)
        missing = "signals";
    if (missing)
        return segue_fail(queue->device, SEGUE_INVALID_ARGUMENT,
                          "queue \"%s\": submission.%s is NULL, but its count is not 0",
                          queue->label, missing);
    return SEGUE_OK;
}

segue_status segue_work_create(segue_queue *queue, const struct segue_submission *submission,
                               struct segue_acquire *acquire, struct segue_work_list *finished,
                               struct segue_work **out_work)
{
    segue_status status = check_arrays(queue, submission);
    if (status != SEGUE_OK)
        return status;
    struct segue_work *work = acquire_work(queue, submission);
    if (!work)
        return segue_fail(queue->device, SEGUE_OUT_OF_HOST_MEMORY,
                          "queue \"%s\": no memory for a submission", queue->label);
    status = take_waits(work, submission);
    if (status == SEGUE_OK)
        status = take_signals(work, submission);
    if (status == SEGUE_OK)
        status = take_programs(work, submission, acquire);
    if (status != SEGUE_OK) {
        segue_work_withdraw(work, submission);
        segue_work_list_append(finished, work);
        return status;
    }
    *out_work = work;
    return SEGUE_OK;
}

void segue_work_withdraw(struct segue_work *work, const struct segue_submission *submission)
{
    for (uint32_t i = work->signal_count; i-- > 0;)
        work->signals[i].semaphore->promised = work->signals[i].promised_before;
    for (uint32_t i = 0; i < work->program_count; i++)
        submission->executions[i].command_buffer->submitted = false;
    work->settled = true;
}

static void release_references(struct segue_work *work)
{
    for (uint32_t i = 0; i < work->wait_count; i++)
        segue_object_release(&work->waits[i].semaphore->object);
    for (uint32_t i = 0; i < work->signal_count; i++)
        segue_object_release(&work->signals[i].semaphore->object);
    for (uint32_t i = 0; i < work->program_count; i++)
        segue_program_release(work->programs[i]);
    segue_point_release(work->start);
    segue_point_release(work->end);
}

void segue_work_list_release(segue_device *device, struct segue_work_list *finished)
{
    if (!finished->first)
        return;
    for (struct segue_work *work = finished->first; work; work = work->next)
        release_references(work);
    struct segue_submission_pool *pool = &device->submission_pool;
    pthread_mutex_lock(&pool->lock);
    finished->last->next = pool->works;
    pool->works = finished->first;
    pthread_mutex_unlock(&pool->lock);
    *finished = (struct segue_work_list){0};
}
