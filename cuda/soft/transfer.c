// SPDX-License-Identifier: Apache-2.0
// cuMemcpy* and cuMemset*: when host memory is read, and which calls wait.
#include "memory.h"
#include "stream.h"
#include "work.h"

#include <stdlib.h>
#include <string.h>

enum waiting {
    /** Only where the transfer cannot be asynchronous. */
    WAIT_IF_NEEDED,
    WAIT_ALWAYS,
};

// A pageable source is captured at the call: the caller may change it right after.
static CUresult capture_source(struct segue_soft_copy *copy)
{
    copy->captured = malloc(copy->width_bytes);
    if (copy->captured == NULL) {
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    memcpy(copy->captured, (const void *)(uintptr_t)copy->source.address, copy->width_bytes);
    copy->source.address = (uint64_t)(uintptr_t)copy->captured;
    return CUDA_SUCCESS;
}

static CUresult copy_linear(CUmemorytype target_type, uint64_t target, CUmemorytype source_type,
                            uint64_t source, size_t size_bytes, CUstream stream_handle,
                            enum waiting waiting)
{
    struct segue_soft_stream *stream = NULL;
    CUresult result = segue_soft_stream_get(stream_handle, &stream);
    if (result != CUDA_SUCCESS || size_bytes == 0) {
        return result;
    }
    CUDA_MEMCPY3D params = {
        .srcMemoryType = source_type,
        .srcHost = (const void *)(uintptr_t)source,
        .srcDevice = (CUdeviceptr)source,
        .dstMemoryType = target_type,
        .dstHost = (void *)(uintptr_t)target,
        .dstDevice = (CUdeviceptr)target,
        .WidthInBytes = size_bytes,
        .Height = 1,
        .Depth = 1,
    };
    struct segue_soft_work work;
    result = segue_soft_copy_make(&params, &work);
    if (result != CUDA_SUCCESS) {
        return result;
    }
    // A pageable target is written before the call returns.
    bool wait = waiting == WAIT_ALWAYS || work.copy.target.host;
    if (work.copy.source.host && !wait) {
        result = capture_source(&work.copy);
        if (result != CUDA_SUCCESS) {
            return result;
        }
    }
    return segue_soft_stream_push_work(stream, &work, wait);
}

// cuMemcpyAsync tells the sides' kinds by their addresses.
static CUmemorytype place_type(uint64_t address)
{
    return segue_soft_memory_place(address, 1) == SEGUE_SOFT_PLACE_UNKNOWN ? CU_MEMORYTYPE_HOST
                                                                           : CU_MEMORYTYPE_DEVICE;
}

static CUresult set_linear(uint64_t address, uint32_t value, uint32_t element_bytes, size_t count,
                           CUstream stream_handle)
{
    struct segue_soft_stream *stream = NULL;
    CUresult result = segue_soft_stream_get(stream_handle, &stream);
    if (result != CUDA_SUCCESS || count == 0) {
        return result;
    }
    CUDA_MEMSET_NODE_PARAMS params = {
        .dst = (CUdeviceptr)address,
        .value = value,
        .elementSize = element_bytes,
        .width = count,
        .height = 1,
    };
    struct segue_soft_work work;
    result = segue_soft_set_make(&params, &work);
    return result == CUDA_SUCCESS ? segue_soft_stream_push_work(stream, &work, false) : result;
}

#define TRANSFER_ENTER(target, source, size_bytes, stream)                                        \
    SEGUE_SOFT_ENTER(                                                                             \
        SEGUE_SOFT_CONTEXT, "\"target\":%llu,\"source\":%llu,\"size_bytes\":%zu,\"stream\":%llu", \
        (unsigned long long)(uintptr_t)(target), (unsigned long long)(uintptr_t)(source),         \
        (size_bytes), (unsigned long long)(uintptr_t)(stream))

#define SET_ENTER(address, value, count, stream)                                   \
    SEGUE_SOFT_ENTER(SEGUE_SOFT_CONTEXT,                                           \
                     "\"target\":%llu,\"value\":%u,\"count\":%zu,\"stream\":%llu", \
                     (unsigned long long)(address), (unsigned)(value), (count),    \
                     (unsigned long long)(uintptr_t)(stream))

SEGUE_SOFT_EXPORT CUresult CUDAAPI cuMemcpyHtoD_v2(CUdeviceptr dstDevice, const void *srcHost,
                                                   size_t ByteCount)
{
    TRANSFER_ENTER(dstDevice, srcHost, ByteCount, NULL);
    result = copy_linear(CU_MEMORYTYPE_DEVICE, (uint64_t)dstDevice, CU_MEMORYTYPE_HOST,
                         (uint64_t)(uintptr_t)srcHost, ByteCount, NULL, WAIT_ALWAYS);
    return segue_soft_leave(&call, result);
}

SEGUE_SOFT_EXPORT CUresult CUDAAPI cuMemcpyDtoH_v2(void *dstHost, CUdeviceptr srcDevice,
                                                   size_t ByteCount)
{
    TRANSFER_ENTER(dstHost, srcDevice, ByteCount, NULL);
    result = copy_linear(CU_MEMORYTYPE_HOST, (uint64_t)(uintptr_t)dstHost, CU_MEMORYTYPE_DEVICE,
                         (uint64_t)srcDevice, ByteCount, NULL, WAIT_ALWAYS);
    return segue_soft_leave(&call, result);
}

SEGUE_SOFT_EXPORT CUresult CUDAAPI cuMemcpyDtoD_v2(CUdeviceptr dstDevice, CUdeviceptr srcDevice,
                                                   size_t ByteCount)
{
    TRANSFER_ENTER(dstDevice, srcDevice, ByteCount, NULL);
    // "No host-side synchronization is performed" for copies inside the device.
    result = copy_linear(CU_MEMORYTYPE_DEVICE, (uint64_t)dstDevice, CU_MEMORYTYPE_DEVICE,
                         (uint64_t)srcDevice, ByteCount, NULL, WAIT_IF_NEEDED);
    return segue_soft_leave(&call, result);
}

SEGUE_SOFT_EXPORT CUresult CUDAAPI cuMemcpyHtoDAsync_v2(CUdeviceptr dstDevice, const void *srcHost,
                                                        size_t ByteCount, CUstream hStream)
{
    TRANSFER_ENTER(dstDevice, srcHost, ByteCount, hStream);
    result = copy_linear(CU_MEMORYTYPE_DEVICE, (uint64_t)dstDevice, CU_MEMORYTYPE_HOST,
                         (uint64_t)(uintptr_t)srcHost, ByteCount, hStream, WAIT_IF_NEEDED);
    return segue_soft_leave(&call, result);
}

SEGUE_SOFT_EXPORT CUresult CUDAAPI cuMemcpyDtoHAsync_v2(void *dstHost, CUdeviceptr srcDevice,
                                                        size_t ByteCount, CUstream hStream)
{
    TRANSFER_ENTER(dstHost, srcDevice, ByteCount, hStream);
    result = copy_linear(CU_MEMORYTYPE_HOST, (uint64_t)(uintptr_t)dstHost, CU_MEMORYTYPE_DEVICE,
                         (uint64_t)srcDevice, ByteCount, hStream, WAIT_IF_NEEDED);
    return segue_soft_leave(&call, result);
}

SEGUE_SOFT_EXPORT CUresult CUDAAPI cuMemcpyDtoDAsync_v2(CUdeviceptr dstDevice,
                                                        CUdeviceptr srcDevice, size_t ByteCount,
                                                        CUstream hStream)
{
    TRANSFER_ENTER(dstDevice, srcDevice, ByteCount, hStream);
    result = copy_linear(CU_MEMORYTYPE_DEVICE, (uint64_t)dstDevice, CU_MEMORYTYPE_DEVICE,
                         (uint64_t)srcDevice, ByteCount, hStream, WAIT_IF_NEEDED);
    return segue_soft_leave(&call, result);
}

SEGUE_SOFT_EXPORT CUresult CUDAAPI cuMemcpyAsync(CUdeviceptr dst, CUdeviceptr src, size_t ByteCount,
                                                 CUstream hStream)
{
    TRANSFER_ENTER(dst, src, ByteCount, hStream);
    result = copy_linear(place_type((uint64_t)dst), (uint64_t)dst, place_type((uint64_t)src),
                         (uint64_t)src, ByteCount, hStream, WAIT_IF_NEEDED);
    return segue_soft_leave(&call, result);
}

SEGUE_SOFT_EXPORT CUresult CUDAAPI cuMemsetD8_v2(CUdeviceptr dstDevice, unsigned char uc, size_t N)
{
    SET_ENTER(dstDevice, uc, N, NULL);
    // Asynchronous to the host, like every memset of device memory.
    return segue_soft_leave(&call, set_linear((uint64_t)dstDevice, uc, 1, N, NULL));
}

SEGUE_SOFT_EXPORT CUresult CUDAAPI cuMemsetD8Async(CUdeviceptr dstDevice, unsigned char uc,
                                                   size_t N, CUstream hStream)
{
    SET_ENTER(dstDevice, uc, N, hStream);
    return segue_soft_leave(&call, set_linear((uint64_t)dstDevice, uc, 1, N, hStream));
}

SEGUE_SOFT_EXPORT CUresult CUDAAPI cuMemsetD16Async(CUdeviceptr dstDevice, unsigned short us,
                                                    size_t N, CUstream hStream)
{
    SET_ENTER(dstDevice, us, N, hStream);
    return segue_soft_leave(&call, set_linear((uint64_t)dstDevice, us, 2, N, hStream));
}

SEGUE_SOFT_EXPORT CUresult CUDAAPI cuMemsetD32Async(CUdeviceptr dstDevice, unsigned int ui,
                                                    size_t N, CUstream hStream)
{
    SET_ENTER(dstDevice, ui, N, hStream);
    return segue_soft_leave(&call, set_linear((uint64_t)dstDevice, ui, 4, N, hStream));
}
