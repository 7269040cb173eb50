// SPDX-License-Identifier: Apache-2.0
/**
 * @file queue.h
 * Submissions: neutral timeline logic on top of a backend's fences, without a thread of its own.
 *
 * A submission (struct segue_work) is made and checked at segue_queue_submit. It is issued at once
 * if every value it waits for is reached or will be by something issued already; else it is
 * deferred, with all later ones of its queue, until another issue or a host signal makes it ready.
 * Issued work ends at a point (a recorded fence). What is reached is found out lazily, by whoever
 * asks; finished work is then retired, and its references are given up outside of the lock.
 *
 * device->submission_lock guards everything here. Functions marked [locked] are called with it.
 */
#ifndef SEGUE_HAL_QUEUE_H
#define SEGUE_HAL_QUEUE_H

#include "command_buffer.h"
#include "device.h"
#include "event.h"

#include <segue/queue.h>
#include <segue/sync.h>

/** Why a submission failed, kept for those who wait for it. */
struct segue_failure {
    segue_status status;
    int32_t driver_result;
    char message[240];
};

/** Keeps the thread's last failure, unless one is kept already. */
void segue_failure_keep_last(struct segue_failure *failure);

struct segue_work;

struct segue_wait {
    struct segue_semaphore *semaphore;
    uint64_t value;
};

/** A signal of a submission. */
struct segue_signal {
    struct segue_semaphore *semaphore;
    uint64_t value;
    /** What semaphore->promised was before. */
    uint64_t promised_before;
    /** Links the issued signals of one semaphore, by value. */
    struct segue_signal *previous;
    struct segue_signal *next;
    struct segue_work *work;
};

struct segue_semaphore {
    struct segue_object object;
    /** Known to be reached. */
    uint64_t value;
    /** The highest of `value` and of all signals submitted. */
    uint64_t promised;
    /** Issued signals not known to be reached, in ascending order. */
    struct segue_signal *first_pending;
    struct segue_signal *last_pending;
    /** Sticky. */
    struct segue_failure failure;
};

/** A submission. Recycled through the device's pool. */
struct segue_work {
    /** Links deferred, in-flight, finished or free work. */
    struct segue_work *next;
    segue_queue *queue;
    /** Counts the issued submissions of the queue. */
    uint64_t sequence;
    /** Its end; with timing also its beginning. NULL until issued. */
    struct segue_point *end;
    struct segue_point *start;
    struct segue_wait *waits;
    struct segue_signal *signals;
    struct segue_program **programs;
    uint32_t wait_count;
    uint32_t signal_count;
    uint32_t program_count;
    /** The signals have been raised, failed or withdrawn. */
    bool settled;
    size_t storage_bytes;
    /** Where the three arrays are. */
    _Alignas(16) unsigned char storage[];
};

struct segue_work_list {
    struct segue_work *first;
    struct segue_work *last;
};

static inline void segue_work_list_append(struct segue_work_list *list, struct segue_work *work)
{
    work->next = NULL;
    if (list->last)
        list->last->next = work;
    else
        list->first = work;
    list->last = work;
}

static inline struct segue_work *segue_work_list_pop(struct segue_work_list *list)
{
    struct segue_work *work = list->first;
    list->first = work->next;
    if (!list->first)
        list->last = NULL;
    return work;
}

struct segue_queue {
    /** The caller's handle, and whoever waits for it without the lock. */
    segue_refcount references;
    segue_device *device;
    /** Links device->queues. */
    segue_queue *next;
    /** Unique on the device, ascending along device->queues. */
    uint64_t id;
    char *label;
    bool timing;
    struct segue_backend_queue *backend;
    struct segue_work_list deferred;
    struct segue_work_list in_flight;
    size_t in_flight_count;
    uint64_t last_sequence;
    /** Submitting looks whether `reap_mark` (in flight, or NULL) is done once in_flight_count has
     *  reached `reap_count`: less than one fence query a submission. */
    struct segue_work *reap_mark;
    size_t reap_count;
    /** First failure since the last segue_queue_wait_idle. */
    struct segue_failure failure;
    /** With timing: of the last issued submission (points are NULL before the first), and sums over
     *  all that are retired. */
    struct segue_point *timed_start;
    struct segue_point *timed_end;
    uint64_t timed_sequence;
    uint64_t issue_ns;
    uint64_t total_issue_ns;
    uint64_t total_device_ns;
};

/* ---- point.c --------------------------------------------------------------------------------- */

/** Cannot fail. */
void segue_submission_pool_init(segue_device *device);
/** Frees all that is in it. Called when nothing of the device is alive, before its backend goes. */
void segue_submission_pool_finish(segue_device *device);
/** A free or a new point with one reference. */
SEGUE_MUST_CHECK segue_status segue_point_acquire(segue_device *device, bool timing,
                                                  struct segue_point **out_point);
void segue_point_retain(struct segue_point *point);
/** NULL is fine. With or without the lock. */
void segue_point_release(struct segue_point *point);
/** Waits, without the lock, until the point is reached: for a short while busily, then with
 *  growing pauses. SEGUE_TIMEOUT (not recorded) when `deadline_ns` has passed. */
SEGUE_MUST_CHECK segue_status segue_point_wait(struct segue_point *point, uint64_t deadline_ns);

/* ---- semaphore.c ----------------------------------------------------------------------------- */

/** The issued signal that will be the first to reach `value`; NULL if there is none. [locked] */
struct segue_signal *segue_semaphore_find_pending(const struct segue_semaphore *semaphore,
                                                  uint64_t value);
/** [locked] */
void segue_semaphore_add_pending(struct segue_signal *signal);
void segue_semaphore_remove_pending(struct segue_signal *signal);
/** Marks it failed, unless it is already. [locked] */
void segue_semaphore_fail(struct segue_semaphore *semaphore, const struct segue_failure *failure);
/** Raises the failure of the semaphore. */
segue_status segue_semaphore_raise_failure(const struct segue_semaphore *semaphore);

/* ---- submission.c ---------------------------------------------------------------------------- */

/** Checks a submission and makes work of it, with all references taken and all signals promised.
 *  On failure nothing is changed; what must be released without the lock is added to `finished`.
 *  SEGUE_TIMEOUT: see segue_command_buffer_acquire_program.
 *  [locked] */
SEGUE_MUST_CHECK segue_status segue_work_create(segue_queue *queue,
                                                const struct segue_submission *submission,
                                                struct segue_acquire *acquire,
                                                struct segue_work_list *finished,
                                                struct segue_work **out_work);
/** Takes promises and one-shot marks back, as if it had never been submitted. [locked] */
void segue_work_withdraw(struct segue_work *work, const struct segue_submission *submission);
/** Gives up all references of finished work and recycles it. Called without the lock. */
void segue_work_list_release(segue_device *device, struct segue_work_list *finished);
/** Frees recycled work. */
void segue_works_free(segue_device *device);

/* ---- issue.c --------------------------------------------------------------------------------- */

enum segue_readiness {
    SEGUE_WORK_READY,
    /** Waits for a value that nothing issued will reach. */
    SEGUE_WORK_BLOCKED,
    /** Waits for a value that failed. */
    SEGUE_WORK_DOOMED,
};

/** [locked] */
enum segue_readiness segue_work_readiness(const struct segue_work *work);
/**
 * Hands the work to the backend and makes its signals pending. On failure its signals are left for
 * the caller to withdraw or fail; the work is then in `finished`, or still in flight as far as it
 * went. [locked]
 */
SEGUE_MUST_CHECK segue_status segue_work_issue(struct segue_work *work,
                                               struct segue_work_list *finished);
/** Fails the signals of work and notes the failure on its queue. [locked] */
void segue_work_fail(struct segue_work *work, const struct segue_failure *failure);
/** Issues or fails all deferred work of the device that has become ready or doomed, and wakes
 *  waiting threads. The thread's last error is as before. [locked] */
void segue_submissions_advance(segue_device *device, struct segue_work_list *finished);
/** Retires what is done on all queues, with as few questions as that takes. Returns whether there
 *  was any. Without the lock. */
bool segue_device_reap(segue_device *device);
/** Retires the queue's work up to a sequence that is known to be reached. [locked] */
void segue_queue_retire(segue_queue *queue, uint64_t sequence, struct segue_work_list *finished);

#endif // SEGUE_HAL_QUEUE_H
