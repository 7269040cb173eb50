// SPDX-License-Identifier: Apache-2.0
#include "fence_backend.h"

#include "status.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct fence_world fence_world;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct segue_backend_ops ops;
static const struct segue_backend_ops *null_ops;

enum entry_kind { ENTRY_RUN, ENTRY_RECORD, ENTRY_WAIT };

struct entry {
    struct entry *next;
    enum entry_kind kind;
    const struct segue_backend_program *program;
    struct segue_backend_fence *fence;
    /** Of the fence, when it was queued. */
    uint64_t generation;
};

struct segue_backend_queue {
    struct segue_backend_queue *next;
    struct entry *first;
    struct entry *last;
};

struct segue_backend_fence {
    /** Records queued, and reached. */
    uint64_t recorded;
    uint64_t reached;
    /** Ticks of the last record reached. */
    uint64_t ticks;
    /** Entries that wait for it. */
    uint32_t waits;
};

static struct segue_backend_queue *queues;
/** One for each program run. */
static uint64_t ticks;

/** [locked] */
static segue_status enter(struct segue_backend *backend, enum fence_call call)
{
    fence_world.calls[call]++;
    if (fence_world.lost)
        return segue_fail_driver(backend->device, SEGUE_DEVICE_LOST, 719, "fence backend: lost");
    if (fence_world.fail_at[call] != 0 && --fence_world.fail_at[call] == 0)
        return segue_fail_driver(backend->device, fence_world.fail_status, 900 + (int)call,
                                 "fence backend: call %d fails as told", (int)call);
    return SEGUE_OK;
}

/** [locked] */
static void append(struct segue_backend_queue *queue, struct entry values)
{
    struct entry *entry = malloc(sizeof *entry);
    if (!entry)
        abort();
    *entry = values;
    entry->next = NULL;
    if (queue->last)
        queue->last->next = entry;
    else
        queue->first = entry;
    queue->last = entry;
}

/** [locked] */
static bool step_queue(struct segue_backend_queue *queue)
{
    struct entry *entry = queue->first;
    if (!entry)
        return false;
    switch (entry->kind) {
    case ENTRY_RUN:
        fence_world.runs[fence_world.run_count++ % FENCE_MAX_RUNS] = entry->program;
        ticks++;
        break;
    case ENTRY_RECORD:
        entry->fence->reached = entry->generation;
        entry->fence->ticks = ticks;
        break;
    case ENTRY_WAIT:
        if (entry->fence->reached < entry->generation)
            return false;
        entry->fence->waits--;
        break;
    }
    queue->first = entry->next;
    if (!queue->first)
        queue->last = NULL;
    free(entry);
    return true;
}

/** [locked] */
static void run_all(void)
{
    bool progress = true;
    while (progress) {
        progress = false;
        for (struct segue_backend_queue *queue = queues; queue; queue = queue->next) {
            while (step_queue(queue))
                progress = true;
        }
    }
}

void fence_lose_device(void)
{
    pthread_mutex_lock(&lock);
    fence_world.lost = true;
    pthread_mutex_unlock(&lock);
}

void fence_run_all(void)
{
    pthread_mutex_lock(&lock);
    run_all();
    pthread_mutex_unlock(&lock);
}

bool fence_step(size_t index)
{
    pthread_mutex_lock(&lock);
    struct segue_backend_queue *queue = queues;
    while (queue && index-- > 0)
        queue = queue->next;
    bool stepped = queue && step_queue(queue);
    pthread_mutex_unlock(&lock);
    return stepped;
}

static segue_status queue_create(struct segue_backend *backend,
                                 struct segue_backend_queue **out_queue)
{
    pthread_mutex_lock(&lock);
    segue_status status = enter(backend, FENCE_CALL_QUEUE_CREATE);
    if (status == SEGUE_OK) {
        struct segue_backend_queue **link = &queues;
        while (*link)
            link = &(*link)->next;
        *link = calloc(1, sizeof **link);
        if (!*link)
            abort();
        *out_queue = *link;
        null_world.queues++;
    }
    pthread_mutex_unlock(&lock);
    return status;
}

static void queue_destroy(struct segue_backend *backend, struct segue_backend_queue *queue)
{
    (void)backend;
    pthread_mutex_lock(&lock);
    // A lost device never ran it.
    fence_world.misuse += queue->first && !fence_world.lost;
    while (queue->first) {
        struct entry *entry = queue->first;
        queue->first = entry->next;
        free(entry);
    }
    struct segue_backend_queue **link = &queues;
    while (*link != queue)
        link = &(*link)->next;
    *link = queue->next;
    free(queue);
    null_world.queues--;
    pthread_mutex_unlock(&lock);
}

static segue_status queue_run(struct segue_backend *backend, struct segue_backend_queue *queue,
                              struct segue_backend_program *program)
{
    pthread_mutex_lock(&lock);
    segue_status status = enter(backend, FENCE_CALL_RUN);
    if (status == SEGUE_OK)
        append(queue, (struct entry){.kind = ENTRY_RUN, .program = program});
    pthread_mutex_unlock(&lock);
    return status;
}

static segue_status queue_wait_idle(struct segue_backend *backend,
                                    struct segue_backend_queue *queue)
{
    pthread_mutex_lock(&lock);
    segue_status status = enter(backend, FENCE_CALL_WAIT_IDLE);
    if (status == SEGUE_OK) {
        run_all();
        // Whatever is issued can run: nothing waits for what is not issued.
        if (queue->first)
            abort();
    }
    pthread_mutex_unlock(&lock);
    return status;
}

static void program_destroy(struct segue_backend *backend, struct segue_backend_program *program)
{
    pthread_mutex_lock(&lock);
    for (struct segue_backend_queue *queue = queues; queue; queue = queue->next) {
        for (struct entry *entry = queue->first; entry; entry = entry->next)
            fence_world.misuse += entry->program == program && !fence_world.lost;
    }
    null_ops->program_destroy(backend, program);
    pthread_mutex_unlock(&lock);
}

static segue_status program_create(struct segue_backend *backend,
                                   const struct segue_program_request *request,
                                   struct segue_command_buffer_stats *stats,
                                   struct segue_backend_program **out_program)
{
    pthread_mutex_lock(&lock);
    segue_status status = null_ops->program_create(backend, request, stats, out_program);
    pthread_mutex_unlock(&lock);
    return status;
}

static segue_status fence_create(struct segue_backend *backend, bool timing,
                                 struct segue_backend_fence **out_fence)
{
    (void)timing;
    pthread_mutex_lock(&lock);
    segue_status status = enter(backend, FENCE_CALL_CREATE);
    if (status == SEGUE_OK) {
        *out_fence = calloc(1, sizeof **out_fence);
        if (!*out_fence)
            abort();
        null_world.fences++;
    }
    pthread_mutex_unlock(&lock);
    return status;
}

static void fence_destroy(struct segue_backend *backend, struct segue_backend_fence *fence)
{
    (void)backend;
    pthread_mutex_lock(&lock);
    fence_world.misuse += (fence->reached != fence->recorded || fence->waits) && !fence_world.lost;
    free(fence);
    null_world.fences--;
    pthread_mutex_unlock(&lock);
}

static segue_status fence_record(struct segue_backend *backend, struct segue_backend_queue *queue,
                                 struct segue_backend_fence *fence)
{
    pthread_mutex_lock(&lock);
    segue_status status = enter(backend, FENCE_CALL_RECORD);
    if (status == SEGUE_OK) {
        fence_world.misuse += fence->reached != fence->recorded;
        append(queue, (struct entry){
                          .kind = ENTRY_RECORD, .fence = fence, .generation = ++fence->recorded});
    }
    pthread_mutex_unlock(&lock);
    return status;
}

static segue_status fence_enqueue_wait(struct segue_backend *backend,
                                       struct segue_backend_queue *queue,
                                       struct segue_backend_fence *fence)
{
    pthread_mutex_lock(&lock);
    segue_status status = enter(backend, FENCE_CALL_ENQUEUE_WAIT);
    if (status == SEGUE_OK) {
        fence_world.misuse += fence->recorded == 0;
        fence->waits++;
        append(queue,
               (struct entry){.kind = ENTRY_WAIT, .fence = fence, .generation = fence->recorded});
    }
    pthread_mutex_unlock(&lock);
    return status;
}

static segue_status fence_query(struct segue_backend *backend, struct segue_backend_fence *fence)
{
    pthread_mutex_lock(&lock);
    segue_status status = enter(backend, FENCE_CALL_QUERY);
    if (status == SEGUE_OK) {
        if (fence_world.automatic)
            run_all();
        if (fence->reached != fence->recorded)
            status = SEGUE_TIMEOUT;
    }
    pthread_mutex_unlock(&lock);
    return status;
}

static segue_status fence_elapsed(struct segue_backend *backend, struct segue_backend_fence *start,
                                  struct segue_backend_fence *end, uint64_t *out_ns)
{
    pthread_mutex_lock(&lock);
    segue_status status = enter(backend, FENCE_CALL_ELAPSED);
    if (status == SEGUE_OK)
        *out_ns = 1000 * (end->ticks - start->ticks);
    pthread_mutex_unlock(&lock);
    return status;
}

static segue_status fence_backend_open(const struct segue_backend_open_params *params,
                                       struct segue_backend **out_backend)
{
    struct segue_backend *backend;
    segue_status status = null_backend_open(params, &backend);
    if (status != SEGUE_OK)
        return status;
    null_ops = backend->ops;
    ops = *backend->ops;
    ops.queue_create = queue_create;
    ops.queue_destroy = queue_destroy;
    ops.queue_run = queue_run;
    ops.queue_wait_idle = queue_wait_idle;
    ops.program_create = program_create;
    ops.program_destroy = program_destroy;
    ops.fence_create = fence_create;
    ops.fence_destroy = fence_destroy;
    ops.fence_record = fence_record;
    ops.fence_enqueue_wait = fence_enqueue_wait;
    ops.fence_query = fence_query;
    ops.fence_elapsed = fence_elapsed;
    backend->ops = &ops;
    *out_backend = backend;
    return SEGUE_OK;
}

segue_device *fence_device_open(const struct segue_device_params *params)
{
    segue_device *device = NULL;
    null_world_reset();
    memset(&fence_world, 0, sizeof fence_world);
    ticks = 0;
    if (segue_device_open_with(fence_backend_open, "soft://", params, &device) != SEGUE_OK)
        abort();
    return device;
}
