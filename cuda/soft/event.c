// SPDX-License-Identifier: Apache-2.0
// cuEvent* and cuStreamWaitEvent. An event names the point where it was last recorded.
#include "handle.h"
#include "stream.h"

#include <stdlib.h>

struct event {
    /** NULL: never recorded, which counts as reached. */
    struct segue_soft_point *point;
    bool timing;
};

static CUresult get_event(CUevent handle, struct event **out_event)
{
    void *object;
    CUresult result = segue_soft_handle_get(SEGUE_SOFT_KIND_EVENT, handle, &object);
    if (result == CUDA_SUCCESS) {
        *out_event = object;
    }
    return result;
}

static CUresult record(struct event *event, CUstream stream_handle)
{
    struct segue_soft_stream *stream = NULL;
    CUresult result = segue_soft_stream_get(stream_handle, &stream);
    if (result != CUDA_SUCCESS) {
        return result;
    }
    struct segue_soft_op *op = segue_soft_op_create(SEGUE_SOFT_OP_RECORD);
    struct segue_soft_point *point = calloc(1, sizeof(*point));
    if (op == NULL || point == NULL) {
        free(op);
        free(point);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    point->references = 2;
    point->op = op;
    op->point = point;
    segue_soft_point_release(event->point);
    event->point = point;
    segue_soft_stream_push(stream, op);
    return CUDA_SUCCESS;
}

static CUresult wait_in_stream(CUstream stream_handle, struct event *event)
{
    struct segue_soft_stream *stream = NULL;
    CUresult result = segue_soft_stream_get(stream_handle, &stream);
    // The record that counts is the last one before this call, whatever comes later.
    if (result != CUDA_SUCCESS || event->point == NULL || event->point->done) {
        return result;
    }
    struct segue_soft_op *op = segue_soft_op_create(SEGUE_SOFT_OP_WAIT);
    if (op == NULL) {
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    op->point = event->point;
    ++op->point->references;
    segue_soft_stream_push(stream, op);
    return CUDA_SUCCESS;
}

static CUresult query(const struct event *event)
{
    if (event->point == NULL) {
        return CUDA_SUCCESS;
    }
    segue_soft_point_nudge(event->point);
    if (segue_soft.sticky != CUDA_SUCCESS) {
        return segue_soft.sticky;
    }
    return event->point->done ? CUDA_SUCCESS : CUDA_ERROR_NOT_READY;
}

static CUresult elapsed(const struct event *start, const struct event *end, float *out_ms)
{
    if (!start->timing || !end->timing || start->point == NULL || end->point == NULL) {
        return CUDA_ERROR_INVALID_HANDLE;
    }
    if (!start->point->done || !end->point->done) {
        return CUDA_ERROR_NOT_READY;
    }
    double elapsed_ns = (double)end->point->time_ns - (double)start->point->time_ns;
    *out_ms = (float)(elapsed_ns * 1e-6);
    return CUDA_SUCCESS;
}

SEGUE_SOFT_EXPORT CUresult CUDAAPI cuEventCreate(CUevent *phEvent, unsigned int Flags)
{
    SEGUE_SOFT_ENTER(SEGUE_SOFT_CONTEXT, "\"flags\":%u", Flags);
    const unsigned int known = CU_EVENT_BLOCKING_SYNC | CU_EVENT_DISABLE_TIMING;
    if ((Flags & CU_EVENT_INTERPROCESS) != 0 && (Flags & CU_EVENT_DISABLE_TIMING) != 0) {
        return segue_soft_leave(&call, segue_soft_unsupported("events between processes"));
    }
    if (phEvent == NULL || (Flags & ~known) != 0) {
        return segue_soft_leave(&call, CUDA_ERROR_INVALID_VALUE);
    }
    struct event *event = calloc(1, sizeof(*event));
    if (event == NULL) {
        return segue_soft_leave(&call, CUDA_ERROR_OUT_OF_MEMORY);
    }
    event->timing = (Flags & CU_EVENT_DISABLE_TIMING) == 0;
    void *handle;
    result = segue_soft_handle_create(SEGUE_SOFT_KIND_EVENT, event, &handle);
    if (result != CUDA_SUCCESS) {
        free(event);
    } else {
        *phEvent = handle;
    }
    return segue_soft_leave(&call, result);
}

SEGUE_SOFT_EXPORT CUresult CUDAAPI cuEventDestroy_v2(CUevent hEvent)
{
    SEGUE_SOFT_ENTER(SEGUE_SOFT_CONTEXT | SEGUE_SOFT_RELEASE, "\"event\":%llu",
                     (unsigned long long)(uintptr_t)hEvent);
    struct event *event = NULL;
    result = get_event(hEvent, &event);
    if (result == CUDA_SUCCESS) {
        // A record in flight keeps its point.
        segue_soft_point_release(event->point);
        free(event);
        segue_soft_handle_destroy(hEvent);
    }
    return segue_soft_leave(&call, result);
}

SEGUE_SOFT_EXPORT CUresult CUDAAPI cuEventRecord(CUevent hEvent, CUstream hStream)
{
    SEGUE_SOFT_ENTER(SEGUE_SOFT_CONTEXT, "\"event\":%llu,\"stream\":%llu",
                     (unsigned long long)(uintptr_t)hEvent, (unsigned long long)(uintptr_t)hStream);
    struct event *event = NULL;
    result = get_event(hEvent, &event);
    if (result == CUDA_SUCCESS) {
        result = record(event, hStream);
    }
    return segue_soft_leave(&call, result);
}

SEGUE_SOFT_EXPORT CUresult CUDAAPI cuStreamWaitEvent(CUstream hStream, CUevent hEvent,
                                                     unsigned int Flags)
{
    SEGUE_SOFT_ENTER(SEGUE_SOFT_CONTEXT, "\"stream\":%llu,\"event\":%llu,\"flags\":%u",
                     (unsigned long long)(uintptr_t)hStream, (unsigned long long)(uintptr_t)hEvent,
                     Flags);
    struct event *event = NULL;
    if (Flags != CU_EVENT_WAIT_DEFAULT) {
        // External waits are for streams being captured, and no stream is.
        return segue_soft_leave(&call, Flags == CU_EVENT_WAIT_EXTERNAL ? CUDA_ERROR_ILLEGAL_STATE
                                                                       : CUDA_ERROR_INVALID_VALUE);
    }
    result = get_event(hEvent, &event);
    if (result == CUDA_SUCCESS) {
        result = wait_in_stream(hStream, event);
    }
    return segue_soft_leave(&call, result);
}

SEGUE_SOFT_EXPORT CUresult CUDAAPI cuEventQuery(CUevent hEvent)
{
    SEGUE_SOFT_ENTER(SEGUE_SOFT_CONTEXT, "\"event\":%llu", (unsigned long long)(uintptr_t)hEvent);
    struct event *event = NULL;
    result = get_event(hEvent, &event);
    if (result == CUDA_SUCCESS) {
        result = query(event);
    }
    return segue_soft_leave(&call, result);
}

SEGUE_SOFT_EXPORT CUresult CUDAAPI cuEventSynchronize(CUevent hEvent)
{
    SEGUE_SOFT_ENTER(SEGUE_SOFT_CONTEXT, "\"event\":%llu", (unsigned long long)(uintptr_t)hEvent);
    struct event *event = NULL;
    result = get_event(hEvent, &event);
    if (result == CUDA_SUCCESS && event->point != NULL) {
        result = segue_soft_point_finish(event->point);
    }
    return segue_soft_leave(&call, result);
}

static CUresult event_elapsed_time(float *milliseconds, CUevent start, CUevent end)
{
    struct event *first = NULL;
    struct event *last = NULL;
    if (milliseconds == NULL) {
        return CUDA_ERROR_INVALID_HANDLE;
    }
    CUresult result = get_event(start, &first);
    if (result == CUDA_SUCCESS) {
        result = get_event(end, &last);
    }
    return result == CUDA_SUCCESS ? elapsed(first, last, milliseconds) : result;
}

// Headers of 12.8 and later rename the first version.
#undef cuEventElapsedTime

SEGUE_SOFT_EXPORT CUresult CUDAAPI cuEventElapsedTime(float *pMilliseconds, CUevent hStart,
                                                      CUevent hEnd);

SEGUE_SOFT_EXPORT CUresult CUDAAPI cuEventElapsedTime(float *pMilliseconds, CUevent hStart,
                                                      CUevent hEnd)
{
    SEGUE_SOFT_ENTER(SEGUE_SOFT_CONTEXT, "\"start\":%llu,\"end\":%llu",
                     (unsigned long long)(uintptr_t)hStart, (unsigned long long)(uintptr_t)hEnd);
    return segue_soft_leave(&call, event_elapsed_time(pMilliseconds, hStart, hEnd));
}

#if CUDA_VERSION >= 12080
SEGUE_SOFT_EXPORT CUresult CUDAAPI cuEventElapsedTime_v2(float *pMilliseconds, CUevent hStart,
                                                         CUevent hEnd)
{
    SEGUE_SOFT_ENTER(SEGUE_SOFT_CONTEXT, "\"start\":%llu,\"end\":%llu",
                     (unsigned long long)(uintptr_t)hStart, (unsigned long long)(uintptr_t)hEnd);
    return segue_soft_leave(&call, event_elapsed_time(pMilliseconds, hStart, hEnd));
}
#endif
