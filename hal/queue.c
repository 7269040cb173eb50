// SPDX-License-Identifier: Apache-2.0
#include "queue.h"

#include <inttypes.h>
#include <stdio.h>

/** Submissions in flight before submitting looks for finished ones. */
#define REAP_COUNT 16
/** Failures to wait after which destroying a queue gives up what is in flight. */
#define MAX_WAIT_FAILURES 3

segue_status segue_queue_create(segue_device *device, const struct segue_queue_params *params,
                                segue_queue **out_queue)
{
    static const struct segue_queue_params defaults = {0};
    if (!params)
        params = &defaults;
    if (!device || !out_queue)
        return segue_fail(device, SEGUE_INVALID_ARGUMENT, "segue_queue_create: %s is NULL",
                          device ? "out_queue" : "device");
    segue_status status = segue_device_check(device);
    if (status != SEGUE_OK)
        return status;
    segue_queue *queue = segue_allocate_zeroed(&device->allocator, 1, sizeof *queue);
    if (!queue)
        goto fail_queue;
    queue->label = segue_copy_string(&device->allocator, params->label);
    if (!queue->label)
        goto fail_label;
    status = device->backend->ops->queue_create(device->backend, &queue->backend);
    if (status != SEGUE_OK)
        goto fail_backend;
    atomic_init(&queue->references, 1);
    queue->device = device;
    queue->timing = params->timing;
    queue->reap_count = REAP_COUNT;
    segue_device_retain(device);

    pthread_mutex_lock(&device->submission_lock);
    queue->id = atomic_fetch_add_explicit(&device->next_serial, 1, memory_order_relaxed);
    segue_queue **link = &device->queues;
    while (*link)
        link = &(*link)->next;
    *link = queue;
    pthread_mutex_unlock(&device->submission_lock);
    *out_queue = queue;
    return SEGUE_OK;

fail_backend:
    segue_release_string(&device->allocator, queue->label);
    segue_release(&device->allocator, queue, sizeof *queue);
    return status;
fail_label:
    segue_release(&device->allocator, queue, sizeof *queue);
fail_queue:
    return segue_fail(device, SEGUE_OUT_OF_HOST_MEMORY, "no memory for queue \"%s\"",
                      params->label ? params->label : "");
}

static void release_queue(segue_queue *queue)
{
    if (atomic_fetch_sub_explicit(&queue->references, 1, memory_order_acq_rel) != 1)
        return;
    segue_device *device = queue->device;
    segue_point_release(queue->timed_start);
    segue_point_release(queue->timed_end);
    device->backend->ops->queue_destroy(device->backend, queue->backend);
    segue_release_string(&device->allocator, queue->label);
    segue_release(&device->allocator, queue, sizeof *queue);
    segue_device_release(device);
}

/** Waits, without the lock, for everything in flight, and retires it. */
static segue_status drain(segue_queue *queue)
{
    segue_device *device = queue->device;
    pthread_mutex_lock(&device->submission_lock);
    bool idle = !queue->in_flight.first;
    uint64_t sequence = queue->last_sequence;
    pthread_mutex_unlock(&device->submission_lock);
    if (idle)
        return SEGUE_OK;
    segue_status status = device->backend->ops->queue_wait_idle(device->backend, queue->backend);
    if (status != SEGUE_OK)
        return status;
    struct segue_work_list finished = {0};
    pthread_mutex_lock(&device->submission_lock);
    segue_queue_retire(queue, sequence, &finished);
    pthread_mutex_unlock(&device->submission_lock);
    segue_work_list_release(device, &finished);
    return SEGUE_OK;
}

/** Takes the queue out of its device; what it still has fails. [locked] */
static void close_queue(segue_queue *queue, const struct segue_failure *in_flight_failure,
                        struct segue_work_list *finished)
{
    segue_device *device = queue->device;
    while (queue->in_flight.first) {
        struct segue_work *work = segue_work_list_pop(&queue->in_flight);
        if (!work->settled) {
            for (uint32_t i = 0; i < work->signal_count; i++)
                segue_semaphore_remove_pending(&work->signals[i]);
            segue_work_fail(work, in_flight_failure);
        }
        segue_work_list_append(finished, work);
    }
    struct segue_failure dropped = {.status = SEGUE_INVALID_STATE};
    snprintf(dropped.message, sizeof dropped.message,
             "queue \"%.100s\" was destroyed while the submission waited for a value that nobody "
             "had submitted",
             queue->label);
    while (queue->deferred.first) {
        struct segue_work *work = segue_work_list_pop(&queue->deferred);
        segue_work_fail(work, &dropped);
        segue_work_list_append(finished, work);
    }
    segue_queue **link = &device->queues;
    while (*link != queue)
        link = &(*link)->next;
    *link = queue->next;
    segue_submissions_advance(device, finished);
}

void segue_queue_destroy(segue_queue *queue)
{
    if (!queue)
        return;
    segue_device *device = queue->device;
    struct segue_tolerance tolerance;
    struct segue_failure failure = {0};
    struct segue_work_list finished = {0};
    uint32_t failures = 0;
    segue_tolerate(&tolerance, "the queue is destroyed all the same", NULL);
    for (;;) {
        if (drain(queue) != SEGUE_OK) {
            segue_failure_keep_last(&failure);
            failures++;
        }
        pthread_mutex_lock(&device->submission_lock);
        // Another thread may just have issued what was deferred. What is in flight is given up only
        // where waiting for it fails again and again.
        if (!queue->in_flight.first || failures == MAX_WAIT_FAILURES)
            break;
        pthread_mutex_unlock(&device->submission_lock);
    }
    segue_tolerate_end(&tolerance);
    close_queue(queue, &failure, &finished);
    pthread_mutex_unlock(&device->submission_lock);
    segue_work_list_release(device, &finished);
    release_queue(queue);
}

/** Retires finished work now and then, so that what is in flight stays bounded when nobody waits.
 *  [locked] */
static segue_status reap(segue_queue *queue, struct segue_work_list *finished)
{
    if (queue->in_flight_count < queue->reap_count)
        return SEGUE_OK;
    if (queue->reap_mark) {
        struct segue_backend *backend = queue->device->backend;
        segue_status status = backend->ops->fence_query(backend, queue->reap_mark->end->fence);
        if (status == SEGUE_OK) {
            segue_queue_retire(queue, queue->reap_mark->sequence, finished);
        } else if (status == SEGUE_TIMEOUT) {
            queue->reap_count = 2 * queue->in_flight_count;
            return SEGUE_OK;
        } else {
            return status;
        }
    }
    queue->reap_mark = queue->in_flight.last;
    queue->reap_count = queue->in_flight_count + REAP_COUNT;
    return SEGUE_OK;
}

/** Retires what the queue has done, the oldest first. [locked] */
static bool reap_done(segue_queue *queue, struct segue_work_list *finished)
{
    struct segue_backend *backend = queue->device->backend;
    bool any = false;
    while (queue->in_flight.first &&
           backend->ops->fence_query(backend, queue->in_flight.first->end->fence) == SEGUE_OK) {
        segue_queue_retire(queue, queue->in_flight.first->sequence, finished);
        any = true;
    }
    return any;
}

bool segue_device_reap(segue_device *device)
{
    struct segue_tolerance tolerance;
    struct segue_work_list finished = {0};
    bool any = false;
    segue_tolerate(&tolerance, "who waits for that work will ask again", NULL);
    pthread_mutex_lock(&device->submission_lock);
    for (segue_queue *queue = device->queues; queue; queue = queue->next)
        any |= reap_done(queue, &finished);
    pthread_mutex_unlock(&device->submission_lock);
    segue_work_list_release(device, &finished);
    segue_tolerate_end(&tolerance);
    return any;
}

/** [locked] */
static segue_status submit_locked(segue_queue *queue, const struct segue_submission *submission,
                                  struct segue_acquire *acquire, struct segue_work_list *finished)
{
    segue_status status = reap(queue, finished);
    if (status != SEGUE_OK)
        return status;
    struct segue_work *work;
    status = segue_work_create(queue, submission, acquire, finished, &work);
    if (status != SEGUE_OK)
        return status;
    if (queue->deferred.first || segue_work_readiness(work) != SEGUE_WORK_READY) {
        segue_work_list_append(&queue->deferred, work);
        return SEGUE_OK;
    }
    status = segue_work_issue(work, finished);
    if (status != SEGUE_OK) {
        segue_work_withdraw(work, submission);
        return status;
    }
    segue_submissions_advance(queue->device, finished);
    return SEGUE_OK;
}

segue_status segue_queue_submit(segue_queue *queue, const struct segue_submission *submission)
{
    if (!queue || !submission)
        return segue_fail(queue ? queue->device : NULL, SEGUE_INVALID_ARGUMENT,
                          "segue_queue_submit: %s is NULL", queue ? "submission" : "queue");
    segue_device *device = queue->device;
    segue_status status = segue_device_check(device);
    if (status != SEGUE_OK)
        return status;
    struct segue_acquire acquire = {0};
    for (;;) {
        struct segue_work_list finished = {0};
        pthread_mutex_lock(&device->submission_lock);
        status = submit_locked(queue, submission, &acquire, &finished);
        pthread_mutex_unlock(&device->submission_lock);
        segue_work_list_release(device, &finished);
        segue_acquire_finish(&acquire);
        if (status != SEGUE_TIMEOUT)
            return status;
        // Nothing was submitted: a graph that another table could be written into is in use.
        status = segue_acquire_prepare(device, &acquire);
        if (status != SEGUE_OK)
            return status;
    }
}

/** Raises and forgets the queue's failure; else says what is still deferred. [locked] */
static segue_status report_idle(segue_queue *queue)
{
    if (queue->failure.status != SEGUE_OK) {
        struct segue_failure failure = queue->failure;
        queue->failure = (struct segue_failure){0};
        return segue_fail_driver(queue->device, failure.status, failure.driver_result,
                                 "queue \"%s\": a submission failed: %s", queue->label,
                                 failure.message);
    }
    if (queue->deferred.first)
        return segue_fail(queue->device, SEGUE_INVALID_STATE,
                          "queue \"%s\": a submission waits for a semaphore value that nobody has "
                          "submitted; signal it first",
                          queue->label);
    return SEGUE_OK;
}

segue_status segue_queue_wait_idle(segue_queue *queue)
{
    if (!queue)
        return segue_fail(NULL, SEGUE_INVALID_ARGUMENT, "segue_queue_wait_idle: queue is NULL");
    segue_device *device = queue->device;
    segue_status status = segue_device_check(device);
    if (status != SEGUE_OK)
        return status;

    // Deferred work gets the next sequences once it is issued.
    pthread_mutex_lock(&device->submission_lock);
    uint64_t target = queue->last_sequence;
    for (const struct segue_work *work = queue->deferred.first; work; work = work->next)
        target++;
    pthread_mutex_unlock(&device->submission_lock);
    for (;;) {
        status = drain(queue);
        if (status != SEGUE_OK)
            return status;
        pthread_mutex_lock(&device->submission_lock);
        if (!queue->in_flight.first || queue->in_flight.first->sequence > target)
            break;
        pthread_mutex_unlock(&device->submission_lock);
    }
    status = report_idle(queue);
    pthread_mutex_unlock(&device->submission_lock);
    return status;
}

segue_status segue_device_wait_queues(segue_device *device)
{
    segue_status result = SEGUE_OK;
    uint64_t last_id = 0;
    for (;;) {
        pthread_mutex_lock(&device->submission_lock);
        segue_queue *queue = device->queues;
        while (queue && queue->id <= last_id)
            queue = queue->next;
        if (queue)
            atomic_fetch_add_explicit(&queue->references, 1, memory_order_relaxed);
        pthread_mutex_unlock(&device->submission_lock);
        if (!queue)
            return result;
        last_id = queue->id;
        segue_status status = drain(queue);
        if (result == SEGUE_OK)
            result = status;
        release_queue(queue);
    }
}

/** [locked] */
static segue_status get_timing_locked(segue_queue *queue, struct segue_queue_timing *out_timing,
                                      struct segue_work_list *finished)
{
    struct segue_backend *backend = queue->device->backend;
    if (!queue->timing)
        return segue_fail(queue->device, SEGUE_INVALID_STATE,
                          "queue \"%s\" was created without timing; set it in segue_queue_params",
                          queue->label);
    if (!queue->timed_end)
        return segue_fail(queue->device, SEGUE_INVALID_STATE,
                          "queue \"%s\" has issued nothing yet; submit and wait first",
                          queue->label);
    segue_status status = backend->ops->fence_query(backend, queue->timed_end->fence);
    if (status == SEGUE_TIMEOUT)
        return segue_fail(queue->device, SEGUE_INVALID_STATE,
                          "queue \"%s\": the last submission still runs; wait for it first",
                          queue->label);
    if (status != SEGUE_OK)
        return status;
    // What failed on its way may still run behind it.
    segue_queue_retire(queue, queue->timed_sequence, finished);
    struct segue_queue_timing timing = {
        .issue_ns = queue->issue_ns,
        .total_issue_ns = queue->total_issue_ns,
        .total_device_ns = queue->total_device_ns,
    };
    status = backend->ops->fence_elapsed(backend, queue->timed_start->fence,
                                         queue->timed_end->fence, &timing.device_ns);
    if (status == SEGUE_OK)
        *out_timing = timing;
    return status;
}

segue_status segue_queue_get_timing(segue_queue *queue, struct segue_queue_timing *out_timing)
{
    if (!queue || !out_timing)
        return segue_fail(queue ? queue->device : NULL, SEGUE_INVALID_ARGUMENT,
                          "segue_queue_get_timing: %s is NULL", queue ? "out_timing" : "queue");
    segue_device *device = queue->device;
    segue_status status = segue_device_check(device);
    if (status != SEGUE_OK)
        return status;
    struct segue_work_list finished = {0};
    pthread_mutex_lock(&device->submission_lock);
    status = get_timing_locked(queue, out_timing, &finished);
    pthread_mutex_unlock(&device->submission_lock);
    segue_work_list_release(device, &finished);
    return status;
}
