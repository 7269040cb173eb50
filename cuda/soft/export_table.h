// SPDX-License-Identifier: Apache-2.0
/**
 * @file export_table.h
 * Every function of ../driver_table.h with the name under which libcuda exports that version.
 * Newer versions of one function come after older ones.
 *
 * SEGUE_SOFT_FUNCTION(name, abi, exported name)
 */
#ifndef SEGUE_CUDA_SOFT_EXPORT_TABLE_H
#define SEGUE_CUDA_SOFT_EXPORT_TABLE_H

#define SEGUE_SOFT_FUNCTIONS(SEGUE_SOFT_FUNCTION)                                                 \
    SEGUE_SOFT_FUNCTION(cuInit, 2000, cuInit)                                                     \
    SEGUE_SOFT_FUNCTION(cuDriverGetVersion, 2020, cuDriverGetVersion)                             \
    SEGUE_SOFT_FUNCTION(cuGetErrorName, 6000, cuGetErrorName)                                     \
    SEGUE_SOFT_FUNCTION(cuGetErrorString, 6000, cuGetErrorString)                                 \
    SEGUE_SOFT_FUNCTION(cuDeviceGetCount, 2000, cuDeviceGetCount)                                 \
    SEGUE_SOFT_FUNCTION(cuDeviceGet, 2000, cuDeviceGet)                                           \
    SEGUE_SOFT_FUNCTION(cuDeviceGetName, 2000, cuDeviceGetName)                                   \
    SEGUE_SOFT_FUNCTION(cuDeviceGetAttribute, 2000, cuDeviceGetAttribute)                         \
    SEGUE_SOFT_FUNCTION(cuDeviceTotalMem, 3020, cuDeviceTotalMem_v2)                              \
    SEGUE_SOFT_FUNCTION(cuDevicePrimaryCtxRetain, 7000, cuDevicePrimaryCtxRetain)                 \
    SEGUE_SOFT_FUNCTION(cuDevicePrimaryCtxRelease, 11000, cuDevicePrimaryCtxRelease_v2)           \
    SEGUE_SOFT_FUNCTION(cuCtxPushCurrent, 4000, cuCtxPushCurrent_v2)                              \
    SEGUE_SOFT_FUNCTION(cuCtxPopCurrent, 4000, cuCtxPopCurrent_v2)                                \
    SEGUE_SOFT_FUNCTION(cuCtxGetCurrent, 4000, cuCtxGetCurrent)                                   \
    SEGUE_SOFT_FUNCTION(cuCtxSetCurrent, 4000, cuCtxSetCurrent)                                   \
    SEGUE_SOFT_FUNCTION(cuCtxSynchronize, 2000, cuCtxSynchronize)                                 \
    SEGUE_SOFT_FUNCTION(cuMemGetInfo, 3020, cuMemGetInfo_v2)                                      \
    SEGUE_SOFT_FUNCTION(cuMemAlloc, 3020, cuMemAlloc_v2)                                          \
    SEGUE_SOFT_FUNCTION(cuMemFree, 3020, cuMemFree_v2)                                            \
    SEGUE_SOFT_FUNCTION(cuMemHostAlloc, 2020, cuMemHostAlloc)                                     \
    SEGUE_SOFT_FUNCTION(cuMemFreeHost, 2000, cuMemFreeHost)                                       \
    SEGUE_SOFT_FUNCTION(cuMemHostGetDevicePointer, 3020, cuMemHostGetDevicePointer_v2)            \
    SEGUE_SOFT_FUNCTION(cuMemcpyHtoD, 3020, cuMemcpyHtoD_v2)                                      \
    SEGUE_SOFT_FUNCTION(cuMemcpyDtoH, 3020, cuMemcpyDtoH_v2)                                      \
    SEGUE_SOFT_FUNCTION(cuMemcpyDtoD, 3020, cuMemcpyDtoD_v2)                                      \
    SEGUE_SOFT_FUNCTION(cuMemcpyHtoDAsync, 3020, cuMemcpyHtoDAsync_v2)                            \
    SEGUE_SOFT_FUNCTION(cuMemcpyDtoHAsync, 3020, cuMemcpyDtoHAsync_v2)                            \
    SEGUE_SOFT_FUNCTION(cuMemcpyDtoDAsync, 3020, cuMemcpyDtoDAsync_v2)                            \
    SEGUE_SOFT_FUNCTION(cuMemcpyAsync, 4000, cuMemcpyAsync)                                       \
    SEGUE_SOFT_FUNCTION(cuMemsetD8, 3020, cuMemsetD8_v2)                                          \
    SEGUE_SOFT_FUNCTION(cuMemsetD8Async, 3020, cuMemsetD8Async)                                   \
    SEGUE_SOFT_FUNCTION(cuMemsetD16Async, 3020, cuMemsetD16Async)                                 \
    SEGUE_SOFT_FUNCTION(cuMemsetD32Async, 3020, cuMemsetD32Async)                                 \
    SEGUE_SOFT_FUNCTION(cuStreamCreate, 2000, cuStreamCreate)                                     \
    SEGUE_SOFT_FUNCTION(cuStreamDestroy, 4000, cuStreamDestroy_v2)                                \
    SEGUE_SOFT_FUNCTION(cuStreamSynchronize, 2000, cuStreamSynchronize)                           \
    SEGUE_SOFT_FUNCTION(cuStreamQuery, 2000, cuStreamQuery)                                       \
    SEGUE_SOFT_FUNCTION(cuStreamWaitEvent, 3020, cuStreamWaitEvent)                               \
    SEGUE_SOFT_FUNCTION(cuEventCreate, 2000, cuEventCreate)                                       \
    SEGUE_SOFT_FUNCTION(cuEventDestroy, 4000, cuEventDestroy_v2)                                  \
    SEGUE_SOFT_FUNCTION(cuEventRecord, 2000, cuEventRecord)                                       \
    SEGUE_SOFT_FUNCTION(cuEventQuery, 2000, cuEventQuery)                                         \
    SEGUE_SOFT_FUNCTION(cuEventSynchronize, 2000, cuEventSynchronize)                             \
    SEGUE_SOFT_FUNCTION(cuEventElapsedTime, 2000, cuEventElapsedTime)                             \
    SEGUE_SOFT_FUNCTION(cuModuleLoadDataEx, 2010, cuModuleLoadDataEx)                             \
    SEGUE_SOFT_FUNCTION(cuModuleUnload, 2000, cuModuleUnload)                                     \
    SEGUE_SOFT_FUNCTION(cuModuleGetFunction, 2000, cuModuleGetFunction)                           \
    SEGUE_SOFT_FUNCTION(cuFuncGetAttribute, 2020, cuFuncGetAttribute)                             \
    SEGUE_SOFT_FUNCTION(cuFuncSetAttribute, 9000, cuFuncSetAttribute)                             \
    SEGUE_SOFT_FUNCTION(cuFuncGetParamInfo, 12040, cuFuncGetParamInfo)                            \
    SEGUE_SOFT_FUNCTION(cuLaunchKernelEx, 11060, cuLaunchKernelEx)                                \
    SEGUE_SOFT_FUNCTION(cuGraphCreate, 10000, cuGraphCreate)                                      \
    SEGUE_SOFT_FUNCTION(cuGraphDestroy, 10000, cuGraphDestroy)                                    \
    SEGUE_SOFT_FUNCTION(cuGraphAddKernelNode, 12000, cuGraphAddKernelNode_v2)                     \
    SEGUE_SOFT_FUNCTION(cuGraphAddMemcpyNode, 10000, cuGraphAddMemcpyNode)                        \
    SEGUE_SOFT_FUNCTION(cuGraphAddMemsetNode, 10000, cuGraphAddMemsetNode)                        \
    SEGUE_SOFT_FUNCTION(cuGraphAddEmptyNode, 10000, cuGraphAddEmptyNode)                          \
    SEGUE_SOFT_FUNCTION(cuGraphAddDependencies, 10000, cuGraphAddDependencies)                    \
    SEGUE_SOFT_FUNCTION(cuGraphKernelNodeSetAttribute, 11000, cuGraphKernelNodeSetAttribute)      \
    SEGUE_SOFT_FUNCTION(cuGraphNodeGetType, 10000, cuGraphNodeGetType)                            \
    SEGUE_SOFT_FUNCTION(cuGraphGetNodes, 10000, cuGraphGetNodes)                                  \
    SEGUE_SOFT_FUNCTION(cuGraphGetEdges, 10000, cuGraphGetEdges)                                  \
    SEGUE_SOFT_FUNCTION(cuGraphInstantiateWithParams, 12000, cuGraphInstantiateWithParams)        \
    SEGUE_SOFT_FUNCTION(cuGraphExecDestroy, 10000, cuGraphExecDestroy)                            \
    SEGUE_SOFT_FUNCTION(cuGraphUpload, 11010, cuGraphUpload)                                      \
    SEGUE_SOFT_FUNCTION(cuGraphLaunch, 10000, cuGraphLaunch)                                      \
    SEGUE_SOFT_FUNCTION(cuGraphKernelNodeGetParams, 12000, cuGraphKernelNodeGetParams_v2)         \
    SEGUE_SOFT_FUNCTION(cuGraphKernelNodeSetParams, 12000, cuGraphKernelNodeSetParams_v2)         \
    SEGUE_SOFT_FUNCTION(cuGraphMemcpyNodeSetParams, 10000, cuGraphMemcpyNodeSetParams)            \
    SEGUE_SOFT_FUNCTION(cuGraphMemsetNodeSetParams, 10000, cuGraphMemsetNodeSetParams)            \
    SEGUE_SOFT_FUNCTION(cuGraphExecKernelNodeSetParams, 12000, cuGraphExecKernelNodeSetParams_v2) \
    SEGUE_SOFT_FUNCTION(cuGraphExecMemcpyNodeSetParams, 10020, cuGraphExecMemcpyNodeSetParams)    \
    SEGUE_SOFT_FUNCTION(cuGraphExecMemsetNodeSetParams, 10020, cuGraphExecMemsetNodeSetParams)    \
    SEGUE_SOFT_FUNCTION(cuGraphExecUpdate, 12000, cuGraphExecUpdate_v2)                           \
    SEGUE_SOFT_FUNCTION(cuGraphNodeSetEnabled, 11060, cuGraphNodeSetEnabled)                      \
    SEGUE_SOFT_FUNCTION(cuGraphNodeGetEnabled, 11060, cuGraphNodeGetEnabled)                      \
    SEGUE_SOFT_FUNCTION(cuDeviceGraphMemTrim, 11040, cuDeviceGraphMemTrim)                        \
    SEGUE_SOFT_FUNCTION(cuOccupancyMaxActiveBlocksPerMultiprocessor, 6050,                        \
                        cuOccupancyMaxActiveBlocksPerMultiprocessor)                              \
    SEGUE_SOFT_FUNCTION(cuGraphAddNode, 12030, cuGraphAddNode_v2)

/** Newer than 12.4: seen only by profiles that have them, and only with headers that do. */
#if CUDA_VERSION >= 12080
#define SEGUE_SOFT_NEWER_FUNCTIONS(SEGUE_SOFT_FUNCTION) \
    SEGUE_SOFT_FUNCTION(cuEventElapsedTime, 12080, cuEventElapsedTime_v2)
#else
#define SEGUE_SOFT_NEWER_FUNCTIONS(SEGUE_SOFT_FUNCTION)
#endif

#endif // SEGUE_CUDA_SOFT_EXPORT_TABLE_H
