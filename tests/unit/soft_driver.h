// SPDX-License-Identifier: Apache-2.0
/**
 * @file soft_driver.h
 * For tests of the software driver itself: its functions, its controls, and a few kernels. Calls
 * are made as `cu.cuMemAlloc(...)`.
 */
#ifndef SEGUE_TESTS_SOFT_DRIVER_H
#define SEGUE_TESTS_SOFT_DRIVER_H

#include "driver_table.h"
#include <cuda.h>
#include <cudaTypedefs.h>

#include <segue/soft.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/** Every function of the table, and the controls. Names may be macros of cuda.h: then they are so
 *  here and in every use alike. */
struct soft_driver {
#define SOFT_DRIVER_MEMBER(name, abi) PFN_##name##_v##abi name;
    SEGUE_DRIVER_CALLS(SOFT_DRIVER_MEMBER)
    SEGUE_DRIVER_OPTIONAL_CALLS(SOFT_DRIVER_MEMBER)
#undef SOFT_DRIVER_MEMBER
    PFN_cuGetProcAddress_v12000 get_proc_address;
    const struct segue_soft_api *api;
    void *library;
};

extern struct soft_driver cu;
/** Current while a test runs. */
extern CUcontext soft_context;
extern CUmodule soft_module;
/** 32-bit words: *target = value. */
extern CUfunction soft_store;
/** target[i] = source[i] * 3 + 1 for `count` words. */
extern CUfunction soft_step;
/** Takes (u8, 24 bytes aligned to 8, 128 bytes aligned to 64, u16) and writes nothing. */
extern CUfunction soft_blob;
/** Fails. */
extern CUfunction soft_broken;
extern CUfunction soft_nothing;

/** PTX of the kernels. */
extern const char soft_ptx[];

/** Loads the library named by $SEGUE_LIBSOFT; tells why not, and returns false. */
bool soft_driver_load(void);

/** Any driver: `cu.api` is NULL if it is a real one, and no kernels are registered. */
bool soft_driver_load_from(const char *path);

/** cmocka set-up: a context, the kernels, and a fresh report. */
int soft_driver_begin(void **state);
/** cmocka tear-down: nothing may be left alive. */
int soft_driver_end(void **state);

/** Registers a kernel without ranges whose parameters have these sizes. */
void soft_register(const char *name, const uint32_t *sizes, uint32_t count);

CUresult soft_launch(CUfunction function, CUstream stream, void **parameters);
CUDA_KERNEL_NODE_PARAMS_v2 soft_node(CUfunction function, void **parameters);
CUDA_MEMCPY3D soft_copy(CUdeviceptr target, CUdeviceptr source, size_t size_bytes);
CUDA_MEMSET_NODE_PARAMS soft_set(CUdeviceptr target, unsigned value, size_t words);
CUgraphExec soft_instantiate(CUgraph graph);
/** Adds a kernel node, which must succeed. */
CUgraphNode soft_add(CUgraph graph, CUfunction function, void **parameters,
                     const CUgraphNode *dependencies, size_t count);
/** Adds soft_store of `value` to `target`. */
CUgraphNode soft_add_store(CUgraph graph, CUdeviceptr target, uint32_t value,
                           const CUgraphNode *dependencies, size_t count);
CUgraphNode soft_add_step(CUgraph graph, CUdeviceptr target, CUdeviceptr source, uint32_t count,
                          const CUgraphNode *dependencies, size_t dependency_count);
CUdeviceptr soft_allocate(size_t size_bytes);
/** Device words, read after all work is done. */
uint32_t soft_word(CUdeviceptr address);
struct segue_soft_report soft_report(void);

#define assert_cuda(expected, call) assert_int_equal((expected), (call))
#define assert_ok(call) assert_int_equal(CUDA_SUCCESS, (call))

#endif // SEGUE_TESTS_SOFT_DRIVER_H
