// SPDX-License-Identifier: Apache-2.0
#include "queue.h"

#include <sched.h>
#include <time.h>

/** How long waiting for a point is busy, and the longest pause between two looks after that. */
#define SPIN_NS 50000
#define MAX_PAUSE_NS 100000

void segue_submission_pool_init(segue_device *device)
{
    // A mutex with default attributes: cannot fail on Linux.
    pthread_mutex_init(&device->submission_pool.lock, NULL);
}

void segue_submission_pool_finish(segue_device *device)
{
    struct segue_submission_pool *pool = &device->submission_pool;
    for (int timing = 0; timing < 2; timing++) {
        while (pool->points[timing]) {
            struct segue_point *point = pool->points[timing];
            pool->points[timing] = point->next;
            device->backend->ops->fence_destroy(device->backend, point->fence);
            segue_release(&device->allocator, point, sizeof *point);
        }
    }
    segue_works_free(device);
    pthread_mutex_destroy(&pool->lock);
}

/** NULL when there is none. */
static struct segue_point *take_free_point(segue_device *device, bool timing)
{
    struct segue_submission_pool *pool = &device->submission_pool;
    pthread_mutex_lock(&pool->lock);
    struct segue_point *point = pool->points[timing];
    if (point)
        pool->points[timing] = point->next;
    pthread_mutex_unlock(&pool->lock);
    return point;
}

segue_status segue_point_acquire(segue_device *device, bool timing, struct segue_point **out_point)
{
    struct segue_point *point = take_free_point(device, timing);
    if (!point) {
        point = segue_allocate_zeroed(&device->allocator, 1, sizeof *point);
        if (!point)
            return segue_fail(device, SEGUE_OUT_OF_HOST_MEMORY, "no memory for a fence");
        segue_status status =
            device->backend->ops->fence_create(device->backend, timing, &point->fence);
        if (status != SEGUE_OK) {
            segue_release(&device->allocator, point, sizeof *point);
            return status;
        }
        point->device = device;
        point->timing = timing;
    }
    atomic_store_explicit(&point->references, 1, memory_order_relaxed);
    *out_point = point;
    return SEGUE_OK;
}

void segue_point_retain(struct segue_point *point)
{
    atomic_fetch_add_explicit(&point->references, 1, memory_order_relaxed);
}

void segue_point_release(struct segue_point *point)
{
    if (!point || atomic_fetch_sub_explicit(&point->references, 1, memory_order_acq_rel) != 1)
        return;
    struct segue_submission_pool *pool = &point->device->submission_pool;
    pthread_mutex_lock(&pool->lock);
    point->next = pool->points[point->timing];
    pool->points[point->timing] = point;
    pthread_mutex_unlock(&pool->lock);
}

static void pause_ns(uint64_t duration_ns)
{
    struct timespec duration = {.tv_nsec = (long)duration_ns};
    nanosleep(&duration, NULL);
}

segue_status segue_point_wait(struct segue_point *point, uint64_t deadline_ns)
{
    segue_device *device = point->device;
    uint64_t start_ns = segue_now_ns();
    uint64_t pause = 1000;
    for (;;) {
        segue_status status = segue_device_check(device);
        if (status != SEGUE_OK)
            return status;
        status = device->backend->ops->fence_query(device->backend, point->fence);
        if (status != SEGUE_TIMEOUT)
            return status;
        uint64_t now_ns = segue_now_ns();
        if (now_ns >= deadline_ns)
            return SEGUE_TIMEOUT;
        if (now_ns - start_ns < SPIN_NS) {
            sched_yield();
            continue;
        }
        pause_ns(pause < deadline_ns - now_ns ? pause : deadline_ns - now_ns);
        pause = 2 * pause < MAX_PAUSE_NS ? 2 * pause : MAX_PAUSE_NS;
    }
}
