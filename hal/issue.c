// SPDX-License-Identifier: Apache-2.0
#include "queue.h"

enum segue_readiness segue_work_readiness(const struct segue_work *work)
{
    enum segue_readiness readiness = SEGUE_WORK_READY;
    for (uint32_t i = 0; i < work->wait_count; i++) {
        const struct segue_wait *wait = &work->waits[i];
        if (wait->semaphore->value >= wait->value ||
            segue_semaphore_find_pending(wait->semaphore, wait->value))
            continue;
        if (wait->semaphore->failure.status != SEGUE_OK)
            return SEGUE_WORK_DOOMED;
        readiness = SEGUE_WORK_BLOCKED;
    }
    return readiness;
}

/** What the programs before `program` of the same submission leave an event in. */
static enum segue_event_effect find_effect_before(const struct segue_work *work, uint32_t program,
                                                  const segue_event *event)
{
    while (program-- > 0) {
        const struct segue_recording *recording = work->programs[program]->recording;
        for (uint32_t i = 0; i < recording->event_use_count; i++) {
            const struct segue_event_use *use = &recording->event_uses[i];
            if (use->event == event && use->effect != SEGUE_EVENT_UNCHANGED)
                return use->effect;
        }
    }
    return SEGUE_EVENT_UNCHANGED;
}

typedef segue_status (*event_visitor)(struct segue_work *work,
                                      const struct segue_recording *recording,
                                      const struct segue_event_use *use,
                                      enum segue_event_effect before);

/** Calls `visit` for every event that a recording of the work waits for. */
static segue_status visit_event_waits(struct segue_work *work, event_visitor visit)
{
    for (uint32_t p = 0; p < work->program_count; p++) {
        const struct segue_recording *recording = work->programs[p]->recording;
        for (uint32_t i = 0; i < recording->event_use_count; i++) {
            const struct segue_event_use *use = &recording->event_uses[i];
            if (!use->waits)
                continue;
            enum segue_event_effect before = find_effect_before(work, p, use->event);
            segue_status status = visit(work, recording, use, before);
            if (status != SEGUE_OK)
                return status;
        }
    }
    return SEGUE_OK;
}

static segue_status check_event(struct segue_work *work, const struct segue_recording *recording,
                                const struct segue_event_use *use, enum segue_event_effect before)
{
    if (before == SEGUE_EVENT_SIGNALLED || (before == SEGUE_EVENT_UNCHANGED && use->event->point))
        return SEGUE_OK;
    return segue_fail(work->queue->device, SEGUE_INVALID_STATE,
                      "queue \"%s\": command buffer \"%s\" waits for an event that neither it nor "
                      "an earlier submission has signalled",
                      work->queue->label, recording->label);
}

static segue_status enqueue_point_wait(segue_queue *queue, const struct segue_point *point)
{
    // A queue runs its submissions in order.
    if (point->queue_id == queue->id)
        return SEGUE_OK;
    struct segue_backend *backend = queue->device->backend;
    return backend->ops->fence_enqueue_wait(backend, queue->backend, point->fence);
}

static segue_status enqueue_event_wait(struct segue_work *work,
                                       const struct segue_recording *recording,
                                       const struct segue_event_use *use,
                                       enum segue_event_effect before)
{
    (void)recording;
    // An earlier command buffer of the same submission has been waited for by being earlier.
    if (before == SEGUE_EVENT_SIGNALLED)
        return SEGUE_OK;
    return enqueue_point_wait(work->queue, use->event->point);
}

/** Leaves the events as the work's recordings say. */
static void update_events(struct segue_work *work)
{
    for (uint32_t p = 0; p < work->program_count; p++) {
        const struct segue_recording *recording = work->programs[p]->recording;
        for (uint32_t i = 0; i < recording->event_use_count; i++) {
            const struct segue_event_use *use = &recording->event_uses[i];
            if (use->effect == SEGUE_EVENT_UNCHANGED)
                continue;
            segue_point_release(use->event->point);
            use->event->point = NULL;
            if (use->effect == SEGUE_EVENT_SIGNALLED) {
                segue_point_retain(work->end);
                use->event->point = work->end;
            }
        }
    }
}

static segue_status acquire_points(struct segue_work *work)
{
    segue_queue *queue = work->queue;
    segue_status status = segue_point_acquire(queue->device, queue->timing, &work->end);
    if (status == SEGUE_OK && queue->timing)
        status = segue_point_acquire(queue->device, true, &work->start);
    return status;
}

/** All that the backend is told about the work but its end. */
static segue_status enqueue(struct segue_work *work)
{
    segue_queue *queue = work->queue;
    struct segue_backend *backend = queue->device->backend;
    segue_status status = SEGUE_OK;
    for (uint32_t i = 0; i < work->wait_count && status == SEGUE_OK; i++) {
        const struct segue_wait *wait = &work->waits[i];
        if (wait->semaphore->value >= wait->value)
            continue;
        const struct segue_signal *signal =
            segue_semaphore_find_pending(wait->semaphore, wait->value);
        status = enqueue_point_wait(queue, signal->work->end);
    }
    if (status == SEGUE_OK)
        status = visit_event_waits(work, enqueue_event_wait);
    if (status == SEGUE_OK && work->start)
        status = backend->ops->fence_record(backend, queue->backend, work->start->fence);
    for (uint32_t i = 0; i < work->program_count && status == SEGUE_OK; i++)
        status = backend->ops->queue_run(backend, queue->backend, work->programs[i]->backend);
    return status;
}

static void add_in_flight(struct segue_work *work)
{
    segue_queue *queue = work->queue;
    work->sequence = ++queue->last_sequence;
    work->end->queue_id = queue->id;
    segue_work_list_append(&queue->in_flight, work);
    queue->in_flight_count++;
}

/** Part of the work may have been handed over before a call failed: keeps its references until that
 *  part is done. */
static void abandon(struct segue_work *work, struct segue_work_list *finished)
{
    segue_queue *queue = work->queue;
    struct segue_backend *backend = queue->device->backend;
    struct segue_tolerance tolerance;
    segue_tolerate(&tolerance, "the submission has failed before, and that is returned", NULL);
    if (backend->ops->fence_record(backend, queue->backend, work->end->fence) == SEGUE_OK) {
        add_in_flight(work);
    } else {
        // Where this fails, too, the driver is beyond waiting for.
        segue_status status = backend->ops->queue_wait_idle(backend, queue->backend);
        if (status != SEGUE_OK)
            segue_log(queue->device, SEGUE_LOG_WARNING,
                      "queue \"%s\": waiting after a failed submission failed, too", queue->label);
        segue_work_list_append(finished, work);
    }
    segue_tolerate_end(&tolerance);
}

static void note_timing(struct segue_work *work, uint64_t issue_ns)
{
    segue_queue *queue = work->queue;
    segue_point_release(queue->timed_start);
    segue_point_release(queue->timed_end);
    segue_point_retain(work->start);
    segue_point_retain(work->end);
    queue->timed_start = work->start;
    queue->timed_end = work->end;
    queue->timed_sequence = work->sequence;
    queue->issue_ns = issue_ns;
    queue->total_issue_ns += issue_ns;
}

segue_status segue_work_issue(struct segue_work *work, struct segue_work_list *finished)
{
    segue_queue *queue = work->queue;
    struct segue_backend *backend = queue->device->backend;
    segue_status status = visit_event_waits(work, check_event);
    if (status == SEGUE_OK)
        status = acquire_points(work);
    if (status != SEGUE_OK) {
        segue_work_list_append(finished, work);
        return status;
    }
    uint64_t begin_ns = queue->timing ? segue_now_ns() : 0;
    status = enqueue(work);
    if (status == SEGUE_OK)
        status = backend->ops->fence_record(backend, queue->backend, work->end->fence);
    if (status != SEGUE_OK) {
        abandon(work, finished);
        return status;
    }
    const uint64_t issue_ns = queue->timing ? segue_now_ns() - begin_ns : 0;
    add_in_flight(work);
    if (queue->timing)
        note_timing(work, issue_ns);
    for (uint32_t i = 0; i < work->signal_count; i++)
        segue_semaphore_add_pending(&work->signals[i]);
    update_events(work);
    return SEGUE_OK;
}

void segue_work_fail(struct segue_work *work, const struct segue_failure *failure)
{
    for (uint32_t i = 0; i < work->signal_count; i++)
        segue_semaphore_fail(work->signals[i].semaphore, failure);
    if (work->queue->failure.status == SEGUE_OK)
        work->queue->failure = *failure;
    work->settled = true;
}

/** Deferred work whose wait failed fails with what failed there. */
static const struct segue_failure *find_doom(const struct segue_work *work)
{
    for (uint32_t i = 0; i < work->wait_count; i++) {
        const struct segue_wait *wait = &work->waits[i];
        if (wait->semaphore->failure.status != SEGUE_OK && wait->semaphore->value < wait->value &&
            !segue_semaphore_find_pending(wait->semaphore, wait->value))
            return &wait->semaphore->failure;
    }
    return NULL;
}

/** Issues or fails deferred work of one queue until the first is blocked. */
static bool advance_queue(segue_queue *queue, struct segue_work_list *finished)
{
    bool progress = false;
    while (queue->deferred.first) {
        struct segue_work *work = queue->deferred.first;
        enum segue_readiness readiness = segue_work_readiness(work);
        if (readiness == SEGUE_WORK_BLOCKED)
            break;
        segue_work_list_pop(&queue->deferred);
        progress = true;
        if (readiness == SEGUE_WORK_DOOMED) {
            segue_work_fail(work, find_doom(work));
            segue_work_list_append(finished, work);
        } else if (segue_work_issue(work, finished) != SEGUE_OK) {
            struct segue_failure failure = {0};
            segue_failure_keep_last(&failure);
            segue_work_fail(work, &failure);
        }
    }
    return progress;
}

void segue_submissions_advance(segue_device *device, struct segue_work_list *finished)
{
    bool deferred = false;
    for (segue_queue *queue = device->queues; queue; queue = queue->next)
        deferred |= queue->deferred.first != NULL;
    if (deferred) {
        struct segue_tolerance tolerance;
        bool progress = true;
        segue_tolerate(&tolerance, "the submission's semaphores and its queue will return it",
                       NULL);
        while (progress) {
            progress = false;
            for (segue_queue *queue = device->queues; queue; queue = queue->next)
                progress |= advance_queue(queue, finished);
        }
        segue_tolerate_end(&tolerance);
    }
    pthread_cond_broadcast(&device->submission_changed);
}

/** Adds the time of retired work to its queue's sum. */
static void sum_timing(struct segue_work *work)
{
    segue_queue *queue = work->queue;
    struct segue_backend *backend = queue->device->backend;
    struct segue_tolerance tolerance;
    uint64_t elapsed_ns;
    segue_tolerate(&tolerance, "waiting for the queue to be idle will return it", NULL);
    if (backend->ops->fence_elapsed(backend, work->start->fence, work->end->fence, &elapsed_ns) ==
        SEGUE_OK)
        queue->total_device_ns += elapsed_ns;
    else
        segue_failure_keep_last(&queue->failure);
    segue_tolerate_end(&tolerance);
}

void segue_queue_retire(segue_queue *queue, uint64_t sequence, struct segue_work_list *finished)
{
    while (queue->in_flight.first && queue->in_flight.first->sequence <= sequence) {
        struct segue_work *work = segue_work_list_pop(&queue->in_flight);
        queue->in_flight_count--;
        if (queue->reap_mark == work)
            queue->reap_mark = NULL;
        if (!work->settled) {
            for (uint32_t i = 0; i < work->signal_count; i++) {
                struct segue_signal *signal = &work->signals[i];
                segue_semaphore_remove_pending(signal);
                if (signal->semaphore->value < signal->value)
                    signal->semaphore->value = signal->value;
            }
            if (work->start)
                sum_timing(work);
            work->settled = true;
        }
        segue_work_list_append(finished, work);
    }
}
