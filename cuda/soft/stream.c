// SPDX-License-Identifier: Apache-2.0
#include "stream.h"

#include "exec.h"
#include "handle.h"

#include <stdlib.h>

struct segue_soft_stream {
    struct segue_soft_stream *next;
    /** NULL for the legacy stream, and for destroyed ones, which are freed once they are empty. */
    CUstream handle;
    struct segue_soft_op *head;
    struct segue_soft_op *tail;
    /** Does not take part in the legacy stream's order. */
    bool non_blocking;
};

static struct segue_soft_stream legacy;
/** All streams but the legacy one. */
static struct segue_soft_stream *streams;
static uint64_t last_sequence;
// Queries since work was last enqueued.
static uint64_t queries;

// Who only asks is waiting: ever more is done for each query, so that the end of a long graph does
// not take thousands of them. The first few do a step each, so that work stays in flight for a
// while.
enum { QUERIES_PER_DOUBLING = 16, MOST_DOUBLINGS = 10 };

CUresult segue_soft_stream_get(CUstream handle, struct segue_soft_stream **out_stream)
{
    if (handle == NULL || handle == CU_STREAM_LEGACY) {
        *out_stream = &legacy;
        return CUDA_SUCCESS;
    }
    if (handle == CU_STREAM_PER_THREAD) {
        return segue_soft_unsupported("the per-thread default stream");
    }
    void *object;
    CUresult result = segue_soft_handle_get(SEGUE_SOFT_KIND_STREAM, handle, &object);
    if (result == CUDA_SUCCESS) {
        *out_stream = object;
    }
    return result;
}

struct segue_soft_op *segue_soft_op_create(enum segue_soft_op_kind kind)
{
    struct segue_soft_op *op = calloc(1, sizeof(*op));
    if (op != NULL) {
        op->kind = kind;
        op->work.type = CU_GRAPH_NODE_TYPE_EMPTY;
    }
    return op;
}

void segue_soft_stream_push(struct segue_soft_stream *stream, struct segue_soft_op *op)
{
    queries = 0;
    op->sequence = ++last_sequence;
    op->stream = stream;
    op->next = NULL;
    if (stream->head == NULL) {
        stream->head = op;
    } else {
        stream->tail->next = op;
    }
    stream->tail = op;
}

void segue_soft_point_release(struct segue_soft_point *point)
{
    if (point != NULL && --point->references == 0) {
        free(point);
    }
}

// Takes the finished or dropped head off its stream.
static void pop(struct segue_soft_stream *stream)
{
    struct segue_soft_op *op = stream->head;
    stream->head = op->next;
    segue_soft_work_clear(&op->work);
    if (op->launch != NULL) {
        segue_soft_launch_destroy(op->launch);
    }
    if (op->point != NULL) {
        if (op->kind == SEGUE_SOFT_OP_RECORD) {
            op->point->done = true;
            op->point->op = NULL;
            op->point->time_ns = segue_soft_now_ns();
        }
        segue_soft_point_release(op->point);
    }
    free(op);
}

// Frees destroyed streams whose work is done. Not while any of them is being run.
static void reap(void)
{
    struct segue_soft_stream **link = &streams;
    while (*link != NULL) {
        struct segue_soft_stream *stream = *link;
        if (stream->handle == NULL && stream->head == NULL) {
            *link = stream->next;
            free(stream);
        } else {
            link = &stream->next;
        }
    }
}

// What must run before the head of `stream` can; NULL if nothing. Always something older.
static struct segue_soft_op *find_blocker(const struct segue_soft_stream *stream)
{
    const struct segue_soft_op *op = stream->head;
    if (op->kind == SEGUE_SOFT_OP_WAIT && !op->point->done) {
        return op->point->op;
    }
    if (op->kind == SEGUE_SOFT_OP_GRAPH && op->launch->previous != NULL) {
        return op->launch->previous->op;
    }
    if (stream == &legacy) {
        for (struct segue_soft_stream *it = streams; it != NULL; it = it->next) {
            if (!it->non_blocking && it->head != NULL && it->head->sequence < op->sequence) {
                return it->head;
            }
        }
    } else if (!stream->non_blocking && legacy.head != NULL &&
               legacy.head->sequence < op->sequence) {
        return legacy.head;
    }
    return NULL;
}

// Runs the head of `stream`, or one node of it. It must not be blocked.
static void step(struct segue_soft_stream *stream)
{
    struct segue_soft_op *op = stream->head;
    CUresult result = CUDA_SUCCESS;
    bool done = true;
    if (op->kind == SEGUE_SOFT_OP_WORK) {
        result = segue_soft_work_run(&op->work);
    } else if (op->kind == SEGUE_SOFT_OP_GRAPH) {
        result = segue_soft_launch_step(op->launch, &done);
    }
    if (result != CUDA_SUCCESS) {
        segue_soft.sticky = result;
        segue_soft_streams_discard();
    } else if (done) {
        pop(stream);
    }
}

// One step of some stream that can go on, if there is one.
static void step_any(void)
{
    struct segue_soft_stream *chosen = NULL;
    uint64_t candidates = 0;
    struct segue_soft_stream *it = &legacy;
    while (it != NULL) {
        // Each of the candidates so far is kept with the same chance.
        if (it->head != NULL && find_blocker(it) == NULL &&
            segue_soft_random_below(++candidates) == 0) {
            chosen = it;
        }
        it = it == &legacy ? streams : it->next;
    }
    if (chosen != NULL) {
        step(chosen);
    }
}

// One step of what the head of `stream` needs, or of the head itself.
static void step_towards(struct segue_soft_stream *stream)
{
    // Every blocker is older than what it blocks, so this ends.
    for (struct segue_soft_op *blocker = find_blocker(stream); blocker != NULL;
         blocker = find_blocker(stream)) {
        stream = blocker->stream;
    }
    step(stream);
}

static CUresult health(void)
{
    return segue_soft.lost != CUDA_SUCCESS ? segue_soft.lost : segue_soft.sticky;
}

// Runs until `sequence` has left `stream`: what must run, with others in between by chance.
static CUresult finish(struct segue_soft_stream *stream, uint64_t sequence)
{
    while (stream->head != NULL && stream->head->sequence <= sequence) {
        if (!segue_soft.paused && segue_soft_random_below(4) == 0) {
            step_any();
        } else {
            step_towards(stream);
        }
    }
    return health();
}

// The legacy stream waits for all streams that take part in its order.
static CUresult finish_all_of(struct segue_soft_stream *stream)
{
    CUresult result = finish(stream, last_sequence);
    if (stream == &legacy) {
        for (struct segue_soft_stream *it = streams; it != NULL; it = it->next) {
            if (!it->non_blocking) {
                result = finish(it, last_sequence);
            }
        }
    }
    return result;
}

CUresult segue_soft_stream_push_work(struct segue_soft_stream *stream, struct segue_soft_work *work,
                                     bool wait)
{
    struct segue_soft_op *op = segue_soft_op_create(SEGUE_SOFT_OP_WORK);
    if (op == NULL) {
        segue_soft_work_clear(work);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    op->work = *work;
    segue_soft_stream_push(stream, op);
    return wait ? finish(stream, op->sequence) : CUDA_SUCCESS;
}

CUresult segue_soft_point_finish(struct segue_soft_point *point)
{
    return point->done ? health() : finish(point->op->stream, point->op->sequence);
}

// How many steps a query does.
static uint64_t count_query_steps(void)
{
    uint64_t doublings = queries++ / QUERIES_PER_DOUBLING;
    return UINT64_C(1) << (doublings < MOST_DOUBLINGS ? doublings : MOST_DOUBLINGS);
}

void segue_soft_point_nudge(struct segue_soft_point *point)
{
    if (segue_soft.paused) {
        return;
    }
    for (uint64_t steps = count_query_steps(); steps > 0 && !point->done; --steps) {
        step_towards(point->op->stream);
    }
}

CUresult segue_soft_streams_finish(void)
{
    finish(&legacy, last_sequence);
    for (struct segue_soft_stream *it = streams; it != NULL; it = it->next) {
        finish(it, last_sequence);
    }
    return health();
}

void segue_soft_streams_wander(void)
{
    reap();
    if (segue_soft.paused || health() != CUDA_SUCCESS || segue_soft_random_below(4) != 0) {
        return;
    }
    for (uint64_t steps = 1 + segue_soft_random_below(3); steps > 0; --steps) {
        step_any();
    }
}

void segue_soft_streams_discard(void)
{
    while (legacy.head != NULL) {
        pop(&legacy);
    }
    for (struct segue_soft_stream *it = streams; it != NULL; it = it->next) {
        while (it->head != NULL) {
            pop(it);
        }
    }
}

void segue_soft_streams_close(void)
{
    segue_soft_streams_discard();
    while (streams != NULL) {
        struct segue_soft_stream *next = streams->next;
        free(streams);
        streams = next;
    }
}

SEGUE_SOFT_EXPORT CUresult CUDAAPI cuStreamCreate(CUstream *phStream, unsigned int Flags)
{
    SEGUE_SOFT_ENTER(SEGUE_SOFT_CONTEXT, "\"flags\":%u", Flags);
    if (phStream == NULL || (Flags & ~(unsigned)CU_STREAM_NON_BLOCKING) != 0) {
        return segue_soft_leave(&call, CUDA_ERROR_INVALID_VALUE);
    }
    struct segue_soft_stream *stream = calloc(1, sizeof(*stream));
    if (stream == NULL) {
        return segue_soft_leave(&call, CUDA_ERROR_OUT_OF_MEMORY);
    }
    void *handle;
    result = segue_soft_handle_create(SEGUE_SOFT_KIND_STREAM, stream, &handle);
    if (result != CUDA_SUCCESS) {
        free(stream);
        return segue_soft_leave(&call, result);
    }
    stream->handle = handle;
    stream->non_blocking = (Flags & CU_STREAM_NON_BLOCKING) != 0;
    stream->next = streams;
    streams = stream;
    *phStream = handle;
    return segue_soft_leave(&call, CUDA_SUCCESS);
}

SEGUE_SOFT_EXPORT CUresult CUDAAPI cuStreamDestroy_v2(CUstream hStream)
{
    SEGUE_SOFT_ENTER(SEGUE_SOFT_CONTEXT | SEGUE_SOFT_RELEASE, "\"stream\":%llu",
                     (unsigned long long)(uintptr_t)hStream);
    void *stream;
    result = segue_soft_handle_get(SEGUE_SOFT_KIND_STREAM, hStream, &stream);
    if (result == CUDA_SUCCESS) {
        // Its work goes on: "the resources will be released once the device has completed it".
        segue_soft_handle_destroy(hStream);
        ((struct segue_soft_stream *)stream)->handle = NULL;
    }
    return segue_soft_leave(&call, result);
}

SEGUE_SOFT_EXPORT CUresult CUDAAPI cuStreamSynchronize(CUstream hStream)
{
    SEGUE_SOFT_ENTER(SEGUE_SOFT_CONTEXT, "\"stream\":%llu", (unsigned long long)(uintptr_t)hStream);
    struct segue_soft_stream *stream = NULL;
    result = segue_soft_stream_get(hStream, &stream);
    if (result == CUDA_SUCCESS) {
        result = finish_all_of(stream);
    }
    return segue_soft_leave(&call, result);
}

SEGUE_SOFT_EXPORT CUresult CUDAAPI cuStreamQuery(CUstream hStream)
{
    SEGUE_SOFT_ENTER(SEGUE_SOFT_CONTEXT, "\"stream\":%llu", (unsigned long long)(uintptr_t)hStream);
    struct segue_soft_stream *stream = NULL;
    result = segue_soft_stream_get(hStream, &stream);
    if (result == CUDA_SUCCESS) {
        uint64_t steps = segue_soft.paused ? 0 : count_query_steps();
        for (; steps > 0 && stream->head != NULL; --steps) {
            step_towards(stream);
        }
        CUresult state = stream->head == NULL ? CUDA_SUCCESS : CUDA_ERROR_NOT_READY;
        result = health() != CUDA_SUCCESS ? health() : state;
    }
    return segue_soft_leave(&call, result);
}

SEGUE_SOFT_EXPORT CUresult CUDAAPI cuCtxSynchronize(void)
{
    SEGUE_SOFT_ENTER(SEGUE_SOFT_CONTEXT, "%s", "");
    return segue_soft_leave(&call, segue_soft_streams_finish());
}
