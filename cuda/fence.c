// SPDX-License-Identifier: Apache-2.0
#include "cuda_backend.h"

segue_status segue_cuda_fence_create(struct segue_backend *backend, bool timing,
                                     struct segue_backend_fence **out_fence)
{
    struct segue_cuda *cuda = segue_cuda_of(backend);
    const struct segue_allocator *allocator = segue_cuda_allocator(cuda);
    struct segue_backend_fence *fence = segue_allocate_zeroed(allocator, 1, sizeof(*fence));
    if (fence == NULL)
        return segue_fail(cuda->base.device, SEGUE_OUT_OF_HOST_MEMORY,
                          "out of host memory for a fence");
    segue_status status = segue_cuda_enter(cuda);
    if (status != SEGUE_OK)
        goto fail_enter;
    status = segue_cuda_check(
        cuda, cuEventCreate(&fence->event, timing ? CU_EVENT_DEFAULT : CU_EVENT_DISABLE_TIMING),
        "creating a fence's event");
    segue_cuda_leave(cuda);
    if (status != SEGUE_OK)
        goto fail_enter;
    *out_fence = fence;
    return SEGUE_OK;

fail_enter:
    segue_release(allocator, fence, sizeof(*fence));
    return status;
}

void segue_cuda_fence_destroy(struct segue_backend *backend, struct segue_backend_fence *fence)
{
    struct segue_cuda *cuda = segue_cuda_of(backend);
    if (fence == NULL)
        return;
    if (segue_cuda_enter_cleanup(cuda)) {
        segue_cuda_cleanup(cuda, cuEventDestroy(fence->event), "destroying a fence's event");
        segue_cuda_leave(cuda);
    }
    segue_release(segue_cuda_allocator(cuda), fence, sizeof(*fence));
}

segue_status segue_cuda_fence_record(struct segue_backend *backend,
                                     struct segue_backend_queue *queue,
                                     struct segue_backend_fence *fence)
{
    struct segue_cuda *cuda = segue_cuda_of(backend);
    segue_status status = segue_cuda_enter(cuda);
    if (status != SEGUE_OK)
        return status;
    status = segue_cuda_check(cuda, cuEventRecord(fence->event, queue->stream),
                              "recording a fence on a queue");
    segue_cuda_leave(cuda);
    return status;
}

segue_status segue_cuda_fence_enqueue_wait(struct segue_backend *backend,
                                           struct segue_backend_queue *queue,
                                           struct segue_backend_fence *fence)
{
    struct segue_cuda *cuda = segue_cuda_of(backend);
    segue_status status = segue_cuda_enter(cuda);
    if (status != SEGUE_OK)
        return status;
    status = segue_cuda_check(cuda,
                              cuStreamWaitEvent(queue->stream, fence->event, CU_EVENT_WAIT_DEFAULT),
                              "making a queue wait for a fence");
    segue_cuda_leave(cuda);
    return status;
}

segue_status segue_cuda_fence_query(struct segue_backend *backend,
                                    struct segue_backend_fence *fence)
{
    struct segue_cuda *cuda = segue_cuda_of(backend);
    segue_status status = segue_cuda_enter(cuda);
    if (status != SEGUE_OK)
        return status;
    const CUresult result = cuda->driver.cuEventQuery(fence->event);
    if (result == CUDA_ERROR_NOT_READY)
        status = SEGUE_TIMEOUT;
    else if (result != CUDA_SUCCESS)
        status = segue_cuda_raise(cuda, result, "cuEventQuery(fence->event)", __FILE__, __LINE__,
                                  "asking whether a fence is reached");
    segue_cuda_leave(cuda);
    return status;
}

segue_status segue_cuda_fence_elapsed(struct segue_backend *backend,
                                      struct segue_backend_fence *start,
                                      struct segue_backend_fence *end, uint64_t *out_ns)
{
    struct segue_cuda *cuda = segue_cuda_of(backend);
    segue_status status = segue_cuda_enter(cuda);
    if (status != SEGUE_OK)
        return status;
    float milliseconds = 0;
    status = segue_cuda_check(cuda, cuEventElapsedTime(&milliseconds, start->event, end->event),
                              "measuring the time between two fences");
    segue_cuda_leave(cuda);
    if (status == SEGUE_OK)
        *out_ns = milliseconds > 0 ? (uint64_t)((double)milliseconds * 1e6) : 0;
    return status;
}
