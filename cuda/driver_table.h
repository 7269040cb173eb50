// SPDX-License-Identifier: Apache-2.0
/**
 * @file driver_table.h
 * Every driver function that Segue knows, once: the loader resolves it, the software driver
 * implements it, and a test asserts that both agree.
 *
 * SEGUE_DRIVER_CALL(name, abi) is a function as of CUDA version `abi`, which is both the version
 * asked of cuGetProcAddress and the suffix of its type in cudaTypedefs.h, so that a header of any
 * CUDA 12.4 to 13 gives the same table. Functions newer than the oldest driver supported (12.4)
 * would go into SEGUE_DRIVER_OPTIONAL_CALLS; users probe them for NULL.
 */
#ifndef SEGUE_CUDA_DRIVER_TABLE_H
#define SEGUE_CUDA_DRIVER_TABLE_H

#define SEGUE_DRIVER_CALLS(SEGUE_DRIVER_CALL)                \
    SEGUE_DRIVER_CALL(cuInit, 2000)                          \
    SEGUE_DRIVER_CALL(cuDriverGetVersion, 2020)              \
    SEGUE_DRIVER_CALL(cuGetErrorName, 6000)                  \
    SEGUE_DRIVER_CALL(cuGetErrorString, 6000)                \
    SEGUE_DRIVER_CALL(cuDeviceGetCount, 2000)                \
    SEGUE_DRIVER_CALL(cuDeviceGet, 2000)                     \
    SEGUE_DRIVER_CALL(cuDeviceGetName, 2000)                 \
    SEGUE_DRIVER_CALL(cuDeviceGetAttribute, 2000)            \
    SEGUE_DRIVER_CALL(cuDeviceTotalMem, 3020)                \
    SEGUE_DRIVER_CALL(cuDevicePrimaryCtxRetain, 7000)        \
    SEGUE_DRIVER_CALL(cuDevicePrimaryCtxRelease, 11000)      \
    SEGUE_DRIVER_CALL(cuCtxPushCurrent, 4000)                \
    SEGUE_DRIVER_CALL(cuCtxPopCurrent, 4000)                 \
    SEGUE_DRIVER_CALL(cuCtxGetCurrent, 4000)                 \
    SEGUE_DRIVER_CALL(cuCtxSetCurrent, 4000)                 \
    SEGUE_DRIVER_CALL(cuCtxSynchronize, 2000)                \
    SEGUE_DRIVER_CALL(cuMemGetInfo, 3020)                    \
    SEGUE_DRIVER_CALL(cuMemAlloc, 3020)                      \
    SEGUE_DRIVER_CALL(cuMemFree, 3020)                       \
    SEGUE_DRIVER_CALL(cuMemHostAlloc, 2020)                  \
    SEGUE_DRIVER_CALL(cuMemFreeHost, 2000)                   \
    SEGUE_DRIVER_CALL(cuMemHostGetDevicePointer, 3020)       \
    SEGUE_DRIVER_CALL(cuMemcpyHtoD, 3020)                    \
    SEGUE_DRIVER_CALL(cuMemcpyDtoH, 3020)                    \
    SEGUE_DRIVER_CALL(cuMemcpyDtoD, 3020)                    \
    SEGUE_DRIVER_CALL(cuMemcpyHtoDAsync, 3020)               \
    SEGUE_DRIVER_CALL(cuMemcpyDtoHAsync, 3020)               \
    SEGUE_DRIVER_CALL(cuMemcpyDtoDAsync, 3020)               \
    SEGUE_DRIVER_CALL(cuMemcpyAsync, 4000)                   \
    SEGUE_DRIVER_CALL(cuMemsetD8, 3020)                      \
    SEGUE_DRIVER_CALL(cuMemsetD8Async, 3020)                 \
    SEGUE_DRIVER_CALL(cuMemsetD16Async, 3020)                \
    SEGUE_DRIVER_CALL(cuMemsetD32Async, 3020)                \
    SEGUE_DRIVER_CALL(cuStreamCreate, 2000)                  \
    SEGUE_DRIVER_CALL(cuStreamDestroy, 4000)                 \
    SEGUE_DRIVER_CALL(cuStreamSynchronize, 2000)             \
    SEGUE_DRIVER_CALL(cuStreamQuery, 2000)                   \
    SEGUE_DRIVER_CALL(cuStreamWaitEvent, 3020)               \
    SEGUE_DRIVER_CALL(cuEventCreate, 2000)                   \
    SEGUE_DRIVER_CALL(cuEventDestroy, 4000)                  \
    SEGUE_DRIVER_CALL(cuEventRecord, 2000)                   \
    SEGUE_DRIVER_CALL(cuEventQuery, 2000)                    \
    SEGUE_DRIVER_CALL(cuEventSynchronize, 2000)              \
    SEGUE_DRIVER_CALL(cuEventElapsedTime, 2000)              \
    SEGUE_DRIVER_CALL(cuModuleLoadDataEx, 2010)              \
    SEGUE_DRIVER_CALL(cuModuleUnload, 2000)                  \
    SEGUE_DRIVER_CALL(cuModuleGetFunction, 2000)             \
    SEGUE_DRIVER_CALL(cuFuncGetAttribute, 2020)              \
    SEGUE_DRIVER_CALL(cuFuncSetAttribute, 9000)              \
    SEGUE_DRIVER_CALL(cuFuncGetParamInfo, 12040)             \
    SEGUE_DRIVER_CALL(cuLaunchKernelEx, 11060)               \
    SEGUE_DRIVER_CALL(cuGraphCreate, 10000)                  \
    SEGUE_DRIVER_CALL(cuGraphDestroy, 10000)                 \
    SEGUE_DRIVER_CALL(cuGraphAddKernelNode, 12000)           \
    SEGUE_DRIVER_CALL(cuGraphAddMemcpyNode, 10000)           \
    SEGUE_DRIVER_CALL(cuGraphAddMemsetNode, 10000)           \
    SEGUE_DRIVER_CALL(cuGraphAddEmptyNode, 10000)            \
    SEGUE_DRIVER_CALL(cuGraphAddDependencies, 10000)         \
    SEGUE_DRIVER_CALL(cuGraphKernelNodeSetAttribute, 11000)  \
    SEGUE_DRIVER_CALL(cuGraphNodeGetType, 10000)             \
    SEGUE_DRIVER_CALL(cuGraphGetNodes, 10000)                \
    SEGUE_DRIVER_CALL(cuGraphGetEdges, 10000)                \
    SEGUE_DRIVER_CALL(cuGraphInstantiateWithParams, 12000)   \
    SEGUE_DRIVER_CALL(cuGraphExecDestroy, 10000)             \
    SEGUE_DRIVER_CALL(cuGraphUpload, 11010)                  \
    SEGUE_DRIVER_CALL(cuGraphLaunch, 10000)                  \
    SEGUE_DRIVER_CALL(cuGraphKernelNodeGetParams, 12000)     \
    SEGUE_DRIVER_CALL(cuGraphKernelNodeSetParams, 12000)     \
    SEGUE_DRIVER_CALL(cuGraphMemcpyNodeSetParams, 10000)     \
    SEGUE_DRIVER_CALL(cuGraphMemsetNodeSetParams, 10000)     \
    SEGUE_DRIVER_CALL(cuGraphExecKernelNodeSetParams, 12000) \
    SEGUE_DRIVER_CALL(cuGraphExecMemcpyNodeSetParams, 10020) \
    SEGUE_DRIVER_CALL(cuGraphExecMemsetNodeSetParams, 10020) \
    SEGUE_DRIVER_CALL(cuGraphExecUpdate, 12000)              \
    SEGUE_DRIVER_CALL(cuGraphNodeSetEnabled, 11060)          \
    SEGUE_DRIVER_CALL(cuGraphNodeGetEnabled, 11060)          \
    SEGUE_DRIVER_CALL(cuDeviceGraphMemTrim, 11040)           \
    SEGUE_DRIVER_CALL(cuOccupancyMaxActiveBlocksPerMultiprocessor, 6050)

/** Programmatic edges: 12.3 in the driver, but reported as absent by profiles that lack them. */
#define SEGUE_DRIVER_OPTIONAL_CALLS(SEGUE_DRIVER_CALL) SEGUE_DRIVER_CALL(cuGraphAddNode, 12030)

#endif // SEGUE_CUDA_DRIVER_TABLE_H
