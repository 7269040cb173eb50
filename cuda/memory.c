// SPDX-License-Identifier: Apache-2.0
#include "cuda_backend.h"

#include <inttypes.h>
#include <string.h>

/** Whether a driver without memory may have some now: free staging blocks hold both kinds. */
static bool may_try_again(struct segue_cuda *cuda, CUresult result, const char *call,
                          uint64_t size_bytes)
{
    if (result != CUDA_ERROR_OUT_OF_MEMORY || !segue_staging_trim(cuda))
        return false;
    segue_cuda_note(cuda, result, call, __FILE__, __LINE__,
                    "giving back free staging memory and trying %" PRIu64 " bytes again",
                    size_bytes);
    return true;
}

static segue_status allocate_device(struct segue_cuda *cuda, uint64_t size_bytes,
                                    struct segue_backend_memory *memory)
{
    CUdeviceptr address = 0;
    CUresult result = cuda->driver.cuMemAlloc(&address, size_bytes);
    if (may_try_again(cuda, result, "cuMemAlloc", size_bytes))
        result = cuda->driver.cuMemAlloc(&address, size_bytes);
    if (result != CUDA_SUCCESS)
        return segue_cuda_raise(cuda, result, "cuMemAlloc", __FILE__, __LINE__,
                                "allocating %" PRIu64 " bytes of device memory", size_bytes);
    memory->device_address = address;
    return SEGUE_OK;
}

static segue_status allocate_host(struct segue_cuda *cuda, uint64_t size_bytes,
                                  struct segue_backend_memory *memory)
{
    const unsigned int flags = CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP;
    void *pointer = NULL;
    CUdeviceptr address = 0;
    CUresult result = cuda->driver.cuMemHostAlloc(&pointer, size_bytes, flags);
    if (may_try_again(cuda, result, "cuMemHostAlloc", size_bytes))
        result = cuda->driver.cuMemHostAlloc(&pointer, size_bytes, flags);
    if (result != CUDA_SUCCESS)
        return segue_cuda_raise(cuda, result, "cuMemHostAlloc", __FILE__, __LINE__,
                                "allocating %" PRIu64 " bytes of pinned host memory", size_bytes);
    const segue_status status =
        segue_cuda_check(cuda, cuMemHostGetDevicePointer(&address, pointer, 0),
                         "mapping %" PRIu64 " bytes of pinned host memory", size_bytes);
    if (status != SEGUE_OK) {
        segue_cuda_cleanup(cuda, cuMemFreeHost(pointer), "freeing pinned host memory");
        return status;
    }
    memory->device_address = address;
    memory->host_pointer = pointer;
    return SEGUE_OK;
}

static void release_memory(struct segue_cuda *cuda, const struct segue_backend_memory *memory)
{
    if (memory->host_pointer != NULL)
        segue_cuda_cleanup(cuda, cuMemFreeHost(memory->host_pointer),
                           "freeing %" PRIu64 " bytes of pinned host memory", memory->size_bytes);
    else
        segue_cuda_cleanup(cuda, cuMemFree(memory->device_address),
                           "freeing %" PRIu64 " bytes of device memory", memory->size_bytes);
}

segue_status segue_cuda_allocate(struct segue_backend *backend, enum segue_memory_type type,
                                 uint64_t size_bytes, struct segue_backend_memory *out_memory)
{
    struct segue_cuda *cuda = segue_cuda_of(backend);
    struct segue_backend_memory memory = {.type = type, .size_bytes = size_bytes};
    segue_status status = segue_cuda_enter(cuda);
    if (status != SEGUE_OK)
        return status;
    status = type == SEGUE_MEMORY_HOST_VISIBLE ? allocate_host(cuda, size_bytes, &memory)
                                               : allocate_device(cuda, size_bytes, &memory);
    if (status == SEGUE_OK && memory.device_address % SEGUE_BUFFER_ALIGN_BYTES != 0) {
        status =
            segue_fail(cuda->base.device, SEGUE_DRIVER_ERROR,
                       "the driver returned memory at 0x%" PRIx64 ", which is not a multiple of %d",
                       memory.device_address, SEGUE_BUFFER_ALIGN_BYTES);
        release_memory(cuda, &memory);
    }
    if (status == SEGUE_OK)
        *out_memory = memory;
    segue_cuda_leave(cuda);
    return status;
}

void segue_cuda_release(struct segue_backend *backend, const struct segue_backend_memory *memory)
{
    struct segue_cuda *cuda = segue_cuda_of(backend);
    if (segue_cuda_enter_cleanup(cuda)) {
        release_memory(cuda, memory);
        segue_cuda_leave(cuda);
    }
}

segue_status segue_cuda_upload(struct segue_cuda *cuda, CUdeviceptr target, const void *data,
                               uint64_t length_bytes)
{
    // Not cuMemcpyHtoD: that may return while pageable data is still on its way from the driver's
    // own buffer to the device, and queues do not wait for the default stream.
    segue_status status =
        segue_cuda_check(cuda, cuMemcpyHtoDAsync(target, data, length_bytes, cuda->transfer_stream),
                         "copying %" PRIu64 " bytes to the device", length_bytes);
    if (status == SEGUE_OK)
        status =
            segue_cuda_check(cuda, cuStreamSynchronize(cuda->transfer_stream),
                             "waiting for a copy of %" PRIu64 " bytes to the device", length_bytes);
    return status;
}

segue_status segue_cuda_write(struct segue_backend *backend,
                              const struct segue_backend_memory *memory, uint64_t offset_bytes,
                              const void *data, uint64_t length_bytes)
{
    struct segue_cuda *cuda = segue_cuda_of(backend);
    if (length_bytes == 0)
        return SEGUE_OK;
    if (memory->host_pointer != NULL) {
        memcpy((char *)memory->host_pointer + offset_bytes, data, length_bytes);
        return SEGUE_OK;
    }
    segue_status status = segue_cuda_enter(cuda);
    if (status != SEGUE_OK)
        return status;
    status = segue_cuda_upload(cuda, memory->device_address + offset_bytes, data, length_bytes);
    segue_cuda_leave(cuda);
    return status;
}

segue_status segue_cuda_read(struct segue_backend *backend,
                             const struct segue_backend_memory *memory, uint64_t offset_bytes,
                             void *data, uint64_t length_bytes)
{
    struct segue_cuda *cuda = segue_cuda_of(backend);
    if (length_bytes == 0)
        return SEGUE_OK;
    if (memory->host_pointer != NULL) {
        memcpy(data, (const char *)memory->host_pointer + offset_bytes, length_bytes);
        return SEGUE_OK;
    }
    segue_status status = segue_cuda_enter(cuda);
    if (status != SEGUE_OK)
        return status;
    status = segue_cuda_check(cuda,
                              cuMemcpyDtoHAsync(data, memory->device_address + offset_bytes,
                                                length_bytes, cuda->transfer_stream),
                              "copying %" PRIu64 " bytes from the device", length_bytes);
    if (status == SEGUE_OK)
        status = segue_cuda_check(cuda, cuStreamSynchronize(cuda->transfer_stream),
                                  "waiting for a copy of %" PRIu64 " bytes from the device",
                                  length_bytes);
    segue_cuda_leave(cuda);
    return status;
}
