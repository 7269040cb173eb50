// SPDX-License-Identifier: Apache-2.0
#include "gemv.h"

#include <cuda.h>

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** What cuBLAS's headers name: it is loaded, not linked. */
typedef struct cublas_context *cublas_handle;
#define CUBLAS_OP_N 0
#define CUBLAS_OP_T 1
#define CUDA_R_32F 0
#define CUDA_R_16BF 14
#define CUBLAS_COMPUTE_32F 68
#define CUBLAS_GEMM_DEFAULT (-1)

#define WORKSPACE_BYTES (32u << 20)
#define WEIGHTS_BYTES (2ull << 30)
#define CHAIN_BYTES (3ull << 30)
#define MAX_CALLS 256
#define REPEATS 9

struct gemv_cublas {
    void *driver_library;
    void *library;
    int (*create)(cublas_handle *out_handle);
    int (*destroy)(cublas_handle handle);
    int (*set_stream)(cublas_handle handle, CUstream stream);
    int (*set_workspace)(cublas_handle handle, void *workspace, size_t size_bytes);
    int (*gemm)(cublas_handle handle, int op_a, int op_b, int m, int n, int k, const void *alpha,
                const void *a, int a_type, int lda, const void *b, int b_type, int ldb,
                const void *beta, void *c, int c_type, int ldc, int compute_type, int algorithm);
    CUresult (*retain)(CUcontext *out_context, CUdevice device);
    CUresult (*release)(CUdevice device);
    CUresult (*set_current)(CUcontext context);
    CUresult (*stream_create)(CUstream *out_stream, unsigned flags);
    CUresult (*stream_destroy)(CUstream stream);
    CUresult (*synchronize)(CUstream stream);
    CUresult (*begin_capture)(CUstream stream, CUstreamCaptureMode mode);
    CUresult (*end_capture)(CUstream stream, CUgraph *out_graph);
    CUresult (*instantiate)(CUgraphExec *out_exec, CUgraph graph, unsigned long long flags);
    CUresult (*launch)(CUgraphExec exec, CUstream stream);
    CUresult (*destroy_exec)(CUgraphExec exec);
    CUresult (*destroy_graph)(CUgraph graph);
    CUresult (*allocate)(CUdeviceptr *out_address, size_t size_bytes);
    CUresult (*free_memory)(CUdeviceptr address);
    CUresult (*set_memory)(CUdeviceptr address, unsigned value, size_t count);
    CUresult (*event_create)(CUevent *out_event, unsigned flags);
    CUresult (*event_destroy)(CUevent event);
    CUresult (*event_record)(CUevent event, CUstream stream);
    CUresult (*elapsed)(float *out_ms, CUevent first, CUevent second);
    CUdevice device;
    CUcontext context;
    CUstream stream;
    CUevent events[2];
    cublas_handle handle;
    /** Workspace, x and out, then the weights. */
    CUdeviceptr memory;
};

static bool load(void *library, const char *name, void *out_function)
{
    void *symbol = dlsym(library, name);
    memcpy(out_function, &symbol, sizeof(symbol));
    return symbol != NULL;
}

static bool load_driver(struct gemv_cublas *cublas)
{
    void *library = cublas->driver_library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    return library && load(library, "cuDevicePrimaryCtxRetain", &cublas->retain) &&
           load(library, "cuDevicePrimaryCtxRelease_v2", &cublas->release) &&
           load(library, "cuCtxSetCurrent", &cublas->set_current) &&
           load(library, "cuStreamCreate", &cublas->stream_create) &&
           load(library, "cuStreamDestroy_v2", &cublas->stream_destroy) &&
           load(library, "cuStreamSynchronize", &cublas->synchronize) &&
           load(library, "cuStreamBeginCapture_v2", &cublas->begin_capture) &&
           load(library, "cuStreamEndCapture", &cublas->end_capture) &&
           load(library, "cuGraphInstantiateWithFlags", &cublas->instantiate) &&
           load(library, "cuGraphLaunch", &cublas->launch) &&
           load(library, "cuGraphExecDestroy", &cublas->destroy_exec) &&
           load(library, "cuGraphDestroy", &cublas->destroy_graph) &&
           load(library, "cuMemAlloc_v2", &cublas->allocate) &&
           load(library, "cuMemFree_v2", &cublas->free_memory) &&
           load(library, "cuMemsetD32_v2", &cublas->set_memory) &&
           load(library, "cuEventCreate", &cublas->event_create) &&
           load(library, "cuEventDestroy_v2", &cublas->event_destroy) &&
           load(library, "cuEventRecord", &cublas->event_record) &&
           load(library, "cuEventElapsedTime", &cublas->elapsed);
}

static bool load_cublas(struct gemv_cublas *cublas)
{
    static const char *const names[] = {"libcublas.so.13", "libcublas.so.12",
                                        "/usr/local/cuda/lib64/libcublas.so.13",
                                        "/usr/local/cuda/lib64/libcublas.so.12"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && !cublas->library; i++)
        cublas->library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    void *library = cublas->library;
    return library && load(library, "cublasCreate_v2", &cublas->create) &&
           load(library, "cublasDestroy_v2", &cublas->destroy) &&
           load(library, "cublasSetStream_v2", &cublas->set_stream) &&
           load(library, "cublasSetWorkspace_v2", &cublas->set_workspace) &&
           load(library, "cublasGemmEx", &cublas->gemm);
}

static bool open_objects(struct gemv_cublas *cublas)
{
    const size_t size_bytes = WORKSPACE_BYTES * 2 + WEIGHTS_BYTES;
    return cublas->retain(&cublas->context, cublas->device) == CUDA_SUCCESS &&
           cublas->set_current(cublas->context) == CUDA_SUCCESS &&
           cublas->stream_create(&cublas->stream, CU_STREAM_NON_BLOCKING) == CUDA_SUCCESS &&
           cublas->event_create(&cublas->events[0], 0) == CUDA_SUCCESS &&
           cublas->event_create(&cublas->events[1], 0) == CUDA_SUCCESS &&
           cublas->allocate(&cublas->memory, size_bytes) == CUDA_SUCCESS &&
           cublas->set_memory(cublas->memory, 0x3C233D17, size_bytes / 4) == CUDA_SUCCESS &&
           cublas->create(&cublas->handle) == 0 &&
           cublas->set_stream(cublas->handle, cublas->stream) == 0 &&
           cublas->set_workspace(cublas->handle, (void *)(uintptr_t)cublas->memory,
                                 WORKSPACE_BYTES) == 0;
}

struct gemv_cublas *gemv_cublas_open(int32_t driver_device)
{
    struct gemv_cublas *cublas = calloc(1, sizeof(*cublas));
    if (!cublas)
        return NULL;
    cublas->device = driver_device;
    if (load_driver(cublas) && load_cublas(cublas) && open_objects(cublas))
        return cublas;
    gemv_cublas_close(cublas);
    return NULL;
}

void gemv_cublas_close(struct gemv_cublas *cublas)
{
    if (!cublas)
        return;
    if (cublas->handle)
        (void)cublas->destroy(cublas->handle);
    if (cublas->memory)
        (void)cublas->free_memory(cublas->memory);
    for (int i = 0; i < 2; i++) {
        if (cublas->events[i])
            (void)cublas->event_destroy(cublas->events[i]);
    }
    if (cublas->stream)
        (void)cublas->stream_destroy(cublas->stream);
    if (cublas->context)
        (void)cublas->release(cublas->device);
    free(cublas); // The libraries stay loaded: cuBLAS does not bear being closed.
}

static bool call_all(struct gemv_cublas *cublas, struct gemv_shape shape, uint32_t batch,
                     uint32_t calls, uint32_t copies)
{
    const float one = 1.0f, zero = 0.0f;
    const CUdeviceptr x = cublas->memory + WORKSPACE_BYTES;
    const CUdeviceptr out = x + WORKSPACE_BYTES / 2;
    const CUdeviceptr weights = x + WORKSPACE_BYTES;
    const uint64_t bytes = (uint64_t)shape.rows * shape.columns * 2;
    bool good = true;
    for (uint32_t i = 0; i < calls && good; i++)
        good = cublas->gemm(cublas->handle, CUBLAS_OP_T, CUBLAS_OP_N, (int)shape.rows, (int)batch,
                            (int)shape.columns, &one,
                            (void *)(uintptr_t)(weights + i % copies * bytes), CUDA_R_16BF,
                            (int)shape.columns, (void *)(uintptr_t)x, CUDA_R_16BF,
                            (int)shape.columns, &zero, (void *)(uintptr_t)out, CUDA_R_16BF,
                            (int)shape.rows, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT) == 0;
    return good;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double time_exec(struct gemv_cublas *cublas, CUgraphExec exec, uint32_t calls)
{
    double times[REPEATS];
    for (int i = -1; i < REPEATS; i++) {
        float ms = 0.0f;
        if (cublas->event_record(cublas->events[0], cublas->stream) != CUDA_SUCCESS ||
            cublas->launch(exec, cublas->stream) != CUDA_SUCCESS ||
            cublas->event_record(cublas->events[1], cublas->stream) != CUDA_SUCCESS ||
            cublas->synchronize(cublas->stream) != CUDA_SUCCESS ||
            cublas->elapsed(&ms, cublas->events[0], cublas->events[1]) != CUDA_SUCCESS)
            return 0.0;
        if (i >= 0)
            times[i] = (double)ms * 1e6 / calls;
    }
    qsort(times, REPEATS, sizeof(times[0]), compare);
    return times[REPEATS / 2];
}

double gemv_cublas_measure(struct gemv_cublas *cublas, struct gemv_shape shape, uint32_t batch)
{
    const uint64_t bytes = (uint64_t)shape.rows * shape.columns * 2;
    const uint64_t fitting = WEIGHTS_BYTES / bytes;
    const uint32_t copies = fitting > MAX_CALLS ? MAX_CALLS : (uint32_t)fitting;
    const uint64_t wanted = CHAIN_BYTES / bytes;
    const uint32_t calls = wanted > MAX_CALLS ? MAX_CALLS : wanted < 4 ? 4 : (uint32_t)wanted;
    CUgraph graph = NULL;
    CUgraphExec exec = NULL;
    double time_ns = 0.0;
    if (copies != 0 && cublas->set_current(cublas->context) == CUDA_SUCCESS &&
        call_all(cublas, shape, batch, 1, 1) &&
        cublas->synchronize(cublas->stream) == CUDA_SUCCESS &&
        cublas->begin_capture(cublas->stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL) ==
            CUDA_SUCCESS) {
        const bool called = call_all(cublas, shape, batch, calls, copies);
        if (cublas->end_capture(cublas->stream, &graph) == CUDA_SUCCESS && called &&
            cublas->instantiate(&exec, graph, 0) == CUDA_SUCCESS)
            time_ns = time_exec(cublas, exec, calls);
    }
    if (time_ns == 0.0)
        fprintf(stderr, "segue-bench-gemv: cuBLAS failed on %u x %u, batch %u\n", shape.rows,
                shape.columns, batch);
    if (exec)
        (void)cublas->destroy_exec(exec);
    if (graph)
        (void)cublas->destroy_graph(graph);
    return time_ns;
}
