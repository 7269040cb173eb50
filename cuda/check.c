// SPDX-License-Identifier: Apache-2.0
#include "check.h"

#include "cuda_backend.h"

#include <stdarg.h>
#include <stdio.h>

segue_status segue_cuda_status(CUresult result)
{
    switch (result) {
    case CUDA_SUCCESS:
        return SEGUE_OK;
    case CUDA_ERROR_OUT_OF_MEMORY:
        return SEGUE_OUT_OF_DEVICE_MEMORY;
    case CUDA_ERROR_NOT_FOUND:
        return SEGUE_NOT_FOUND;
    case CUDA_ERROR_NOT_SUPPORTED:
        return SEGUE_UNIMPLEMENTED;
    case CUDA_ERROR_NO_DEVICE:
    case CUDA_ERROR_INVALID_DEVICE:
    case CUDA_ERROR_STUB_LIBRARY:
    case CUDA_ERROR_DEVICE_NOT_LICENSED:
    case CUDA_ERROR_SYSTEM_NOT_READY:
    case CUDA_ERROR_SYSTEM_DRIVER_MISMATCH:
    case CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE:
    case CUDA_ERROR_MPS_CONNECTION_FAILED:
    case CUDA_ERROR_MPS_SERVER_NOT_READY:
    case CUDA_ERROR_MPS_MAX_CLIENTS_REACHED:
    case CUDA_ERROR_MPS_MAX_CONNECTIONS_REACHED:
        return SEGUE_UNAVAILABLE;
    case CUDA_ERROR_DEINITIALIZED:
    case CUDA_ERROR_DEVICE_UNAVAILABLE:
    case CUDA_ERROR_ECC_UNCORRECTABLE:
    case CUDA_ERROR_NVLINK_UNCORRECTABLE:
    case CUDA_ERROR_ILLEGAL_ADDRESS:
    case CUDA_ERROR_LAUNCH_TIMEOUT:
    case CUDA_ERROR_CONTEXT_IS_DESTROYED:
    case CUDA_ERROR_ASSERT:
    case CUDA_ERROR_HARDWARE_STACK_ERROR:
    case CUDA_ERROR_ILLEGAL_INSTRUCTION:
    case CUDA_ERROR_MISALIGNED_ADDRESS:
    case CUDA_ERROR_INVALID_ADDRESS_SPACE:
    case CUDA_ERROR_INVALID_PC:
    case CUDA_ERROR_LAUNCH_FAILED:
    case CUDA_ERROR_MPS_RPC_FAILURE:
    case CUDA_ERROR_MPS_CLIENT_TERMINATED:
    case CUDA_ERROR_EXTERNAL_DEVICE:
        return SEGUE_DEVICE_LOST;
    default:
        return SEGUE_DRIVER_ERROR;
    }
}

/** Context texts longer than this are cut: what is left of a message names call and result. */
#define CONTEXT_BYTES 3072

static segue_status raise_result(struct segue_cuda *cuda, segue_status status, CUresult result,
                                 const char *call, const char *file, int line, const char *format,
                                 va_list arguments)
{
    char context[CONTEXT_BYTES];
    const char *name = NULL;
    const char *text = NULL;
    (void)vsnprintf(context, sizeof(context), format, arguments);
    if (cuda->driver.cuGetErrorName(result, &name) != CUDA_SUCCESS || name == NULL)
        name = "an unknown CUresult";
    if (cuda->driver.cuGetErrorString(result, &text) != CUDA_SUCCESS || text == NULL)
        text = "no description";
    return segue_raise(cuda->base.device, status, (int32_t)result, file, line,
                       "%s: %s returned %s (%d): %s", context, call, name, (int)result, text);
}

segue_status segue_cuda_raise(struct segue_cuda *cuda, CUresult result, const char *call,
                              const char *file, int line, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const segue_status status =
        raise_result(cuda, segue_cuda_status(result), result, call, file, line, format, arguments);
    va_end(arguments);
    return status;
}

segue_status segue_cuda_raise_as(struct segue_cuda *cuda, segue_status status, CUresult result,
                                 const char *call, const char *file, int line, const char *format,
                                 ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)raise_result(cuda, status, result, call, file, line, format, arguments);
    va_end(arguments);
    return status;
}

void segue_cuda_note(struct segue_cuda *cuda, CUresult result, const char *call, const char *file,
                     int line, const char *format, ...)
{
    // The thread's last error must go on describing the status that the caller is about to get.
    struct segue_tolerance tolerance;
    va_list arguments;
    va_start(arguments, format);
    segue_tolerate(&tolerance, "the call goes on", NULL);
    (void)raise_result(cuda, segue_cuda_status(result), result, call, file, line, format,
                       arguments);
    segue_tolerate_end(&tolerance);
    va_end(arguments);
}
