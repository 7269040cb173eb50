// SPDX-License-Identifier: Apache-2.0
#include "queue.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

/** A thread that waits for a value that nobody has submitted yet looks this often whether the
 *  device was lost in a call that has nothing to do with submissions. */
#define LOSS_CHECK_NS 20000000

segue_status segue_semaphore_create(segue_device *device, uint64_t initial_value,
                                    segue_semaphore **out_semaphore)
{
    if (!device || !out_semaphore)
        return segue_fail(device, SEGUE_INVALID_ARGUMENT, "segue_semaphore_create: %s is NULL",
                          device ? "out_semaphore" : "device");
    segue_status status = segue_device_check(device);
    if (status != SEGUE_OK)
        return status;
    segue_semaphore *semaphore = segue_allocate_zeroed(&device->allocator, 1, sizeof *semaphore);
    if (!semaphore)
        return segue_fail(device, SEGUE_OUT_OF_HOST_MEMORY, "no memory for a semaphore");
    segue_object_init(&semaphore->object, SEGUE_OBJECT_SEMAPHORE, device);
    semaphore->value = initial_value;
    semaphore->promised = initial_value;
    *out_semaphore = semaphore;
    return SEGUE_OK;
}

void segue_semaphore_destroy(segue_semaphore *semaphore)
{
    if (semaphore)
        segue_object_release(&semaphore->object);
}

void segue_semaphore_free(segue_semaphore *semaphore)
{
    segue_release(&semaphore->object.device->allocator, semaphore, sizeof *semaphore);
}

struct segue_signal *segue_semaphore_find_pending(const struct segue_semaphore *semaphore,
                                                  uint64_t value)
{
    // From the back: most waits are for the value submitted last.
    struct segue_signal *signal = semaphore->last_pending;
    if (!signal || signal->value < value)
        return NULL;
    while (signal->previous && signal->previous->value >= value)
        signal = signal->previous;
    return signal;
}

void segue_semaphore_add_pending(struct segue_signal *signal)
{
    struct segue_semaphore *semaphore = signal->semaphore;
    // Values are submitted in ascending order, but may be issued in another by several queues.
    struct segue_signal *previous = semaphore->last_pending;
    while (previous && previous->value > signal->value)
        previous = previous->previous;
    signal->previous = previous;
    signal->next = previous ? previous->next : semaphore->first_pending;
    if (previous)
        previous->next = signal;
    else
        semaphore->first_pending = signal;
    if (signal->next)
        signal->next->previous = signal;
    else
        semaphore->last_pending = signal;
}

void segue_semaphore_remove_pending(struct segue_signal *signal)
{
    struct segue_semaphore *semaphore = signal->semaphore;
    if (signal->previous)
        signal->previous->next = signal->next;
    else
        semaphore->first_pending = signal->next;
    if (signal->next)
        signal->next->previous = signal->previous;
    else
        semaphore->last_pending = signal->previous;
}

void segue_failure_keep_last(struct segue_failure *failure)
{
    if (failure->status != SEGUE_OK)
        return;
    const struct segue_error *error = segue_last_error();
    failure->status = error->status;
    failure->driver_result = error->driver_result;
    size_t length = strnlen(error->message, sizeof failure->message - 1);
    memcpy(failure->message, error->message, length);
    failure->message[length] = '\0';
}

void segue_semaphore_fail(struct segue_semaphore *semaphore, const struct segue_failure *failure)
{
    if (semaphore->failure.status == SEGUE_OK)
        semaphore->failure = *failure;
}

segue_status segue_semaphore_raise_failure(const struct segue_semaphore *semaphore)
{
    const struct segue_failure *failure = &semaphore->failure;
    return segue_fail_driver(
        semaphore->object.device, failure->status, failure->driver_result,
        "the semaphore has reached %" PRIu64
        " and will go no further: a submission that should have raised it failed: %s",
        semaphore->value, failure->message);
}

/** Finds out which pending values are reached. [locked] */
static segue_status refresh(struct segue_semaphore *semaphore, struct segue_work_list *finished)
{
    struct segue_backend *backend = semaphore->object.device->backend;
    while (semaphore->first_pending) {
        struct segue_work *work = semaphore->first_pending->work;
        segue_status status = backend->ops->fence_query(backend, work->end->fence);
        if (status != SEGUE_OK)
            return status == SEGUE_TIMEOUT ? SEGUE_OK : status;
        segue_queue_retire(work->queue, work->sequence, finished);
    }
    return SEGUE_OK;
}

segue_status segue_semaphore_query(segue_semaphore *semaphore, uint64_t *out_value)
{
    if (!semaphore || !out_value)
        return segue_fail(semaphore ? semaphore->object.device : NULL, SEGUE_INVALID_ARGUMENT,
                          "segue_semaphore_query: %s is NULL",
                          semaphore ? "out_value" : "semaphore");
    segue_device *device = semaphore->object.device;
    segue_status status = segue_device_check(device);
    if (status != SEGUE_OK)
        return status;
    struct segue_work_list finished = {0};
    pthread_mutex_lock(&device->submission_lock);
    status = refresh(semaphore, &finished);
    if (status == SEGUE_OK && semaphore->failure.status != SEGUE_OK)
        status = segue_semaphore_raise_failure(semaphore);
    if (status == SEGUE_OK)
        *out_value = semaphore->value;
    pthread_mutex_unlock(&device->submission_lock);
    segue_work_list_release(device, &finished);
    return status;
}

segue_status segue_semaphore_signal(segue_semaphore *semaphore, uint64_t value)
{
    if (!semaphore)
        return segue_fail(NULL, SEGUE_INVALID_ARGUMENT,
                          "segue_semaphore_signal: semaphore is NULL");
    segue_device *device = semaphore->object.device;
    segue_status status = segue_device_check(device);
    if (status != SEGUE_OK)
        return status;
    struct segue_work_list finished = {0};
    pthread_mutex_lock(&device->submission_lock);
    if (semaphore->failure.status != SEGUE_OK) {
        status = segue_semaphore_raise_failure(semaphore);
    } else if (value <= semaphore->promised) {
        status = segue_fail(device, SEGUE_INVALID_ARGUMENT,
                            "segue_semaphore_signal: value %" PRIu64 " must be above %" PRIu64
                            ", which the semaphore has reached or was submitted to reach",
                            value, semaphore->promised);
    } else {
        semaphore->value = value;
        semaphore->promised = value;
        segue_submissions_advance(device, &finished);
    }
    pthread_mutex_unlock(&device->submission_lock);
    segue_work_list_release(device, &finished);
    return status;
}

/** Waits for anything to be submitted or signalled. [locked, released meanwhile] */
static void wait_for_change(segue_device *device, uint64_t deadline_ns)
{
    uint64_t until_ns = segue_now_ns() + LOSS_CHECK_NS;
    if (until_ns > deadline_ns)
        until_ns = deadline_ns;
    struct timespec until = {
        .tv_sec = (time_t)(until_ns / 1000000000),
        .tv_nsec = (long)(until_ns % 1000000000),
    };
    pthread_cond_timedwait(&device->submission_changed, &device->submission_lock, &until);
}

/** [locked, released while waiting] */
static segue_status wait_locked(struct segue_semaphore *semaphore, uint64_t value,
                                uint64_t deadline_ns, struct segue_work_list *finished)
{
    segue_device *device = semaphore->object.device;
    while (semaphore->value < value) {
        segue_status status = segue_device_check(device);
        if (status != SEGUE_OK)
            return status;
        struct segue_signal *signal = segue_semaphore_find_pending(semaphore, value);
        if (!signal) {
            if (semaphore->failure.status != SEGUE_OK)
                return segue_semaphore_raise_failure(semaphore);
            if (segue_now_ns() >= deadline_ns)
                return SEGUE_TIMEOUT;
            wait_for_change(device, deadline_ns);
            continue;
        }
        struct segue_point *point = signal->work->end;
        uint64_t queue_id = signal->work->queue->id;
        uint64_t sequence = signal->work->sequence;
        segue_point_retain(point);
        pthread_mutex_unlock(&device->submission_lock);
        status = segue_point_wait(point, deadline_ns);
        segue_point_release(point);
        pthread_mutex_lock(&device->submission_lock);
        if (status != SEGUE_OK)
            return status;
        // The queue may be gone by now; then its work is retired.
        for (segue_queue *queue = device->queues; queue; queue = queue->next) {
            if (queue->id == queue_id)
                segue_queue_retire(queue, sequence, finished);
        }
    }
    return SEGUE_OK;
}

segue_status segue_semaphore_wait(segue_semaphore *semaphore, uint64_t value, uint64_t timeout_ns)
{
    if (!semaphore)
        return segue_fail(NULL, SEGUE_INVALID_ARGUMENT, "segue_semaphore_wait: semaphore is NULL");
    segue_device *device = semaphore->object.device;
    segue_status status = segue_device_check(device);
    if (status != SEGUE_OK)
        return status;
    uint64_t now_ns = segue_now_ns();
    uint64_t deadline_ns =
        timeout_ns > SEGUE_TIMEOUT_INFINITE - now_ns ? UINT64_MAX : now_ns + timeout_ns;
    struct segue_work_list finished = {0};
    pthread_mutex_lock(&device->submission_lock);
    status = wait_locked(semaphore, value, deadline_ns, &finished);
    uint64_t reached = semaphore->value;
    pthread_mutex_unlock(&device->submission_lock);
    segue_work_list_release(device, &finished);
    // Polling is no failure worth a message.
    if (status == SEGUE_TIMEOUT && timeout_ns != 0)
        return segue_fail(device, SEGUE_TIMEOUT,
                          "the semaphore did not reach %" PRIu64 " within %" PRIu64
                          " ns; it is known to have reached %" PRIu64,
                          value, timeout_ns, reached);
    return status;
}
