// SPDX-License-Identifier: Apache-2.0
#include "cuda_backend.h"

segue_status segue_cuda_queue_create(struct segue_backend *backend,
                                     struct segue_backend_queue **out_queue)
{
    struct segue_cuda *cuda = segue_cuda_of(backend);
    const struct segue_allocator *allocator = segue_cuda_allocator(cuda);
    struct segue_backend_queue *queue = segue_allocate_zeroed(allocator, 1, sizeof(*queue));
    if (queue == NULL)
        return segue_fail(cuda->base.device, SEGUE_OUT_OF_HOST_MEMORY,
                          "out of host memory for a queue");
    segue_status status = segue_cuda_enter(cuda);
    if (status != SEGUE_OK)
        goto fail_enter;
    // Not blocking: queues must not wait for a program's work on the default stream.
    status = segue_cuda_check(cuda, cuStreamCreate(&queue->stream, CU_STREAM_NON_BLOCKING),
                              "creating a queue's stream");
    segue_cuda_leave(cuda);
    if (status != SEGUE_OK)
        goto fail_enter;
    *out_queue = queue;
    return SEGUE_OK;

fail_enter:
    segue_release(allocator, queue, sizeof(*queue));
    return status;
}

void segue_cuda_queue_destroy(struct segue_backend *backend, struct segue_backend_queue *queue)
{
    struct segue_cuda *cuda = segue_cuda_of(backend);
    if (queue == NULL)
        return;
    if (segue_cuda_enter_cleanup(cuda)) {
        segue_cuda_cleanup(cuda, cuStreamDestroy(queue->stream), "destroying a queue's stream");
        segue_cuda_leave(cuda);
    }
    segue_release(segue_cuda_allocator(cuda), queue, sizeof(*queue));
}

segue_status segue_cuda_queue_wait_idle(struct segue_backend *backend,
                                        struct segue_backend_queue *queue)
{
    struct segue_cuda *cuda = segue_cuda_of(backend);
    segue_status status = segue_cuda_enter(cuda);
    if (status != SEGUE_OK)
        return status;
    status = segue_cuda_check(cuda, cuStreamSynchronize(queue->stream),
                              "waiting for a queue to be idle");
    segue_cuda_leave(cuda);
    return status;
}
