// SPDX-License-Identifier: Apache-2.0
// cuGetProcAddress over the table of functions. The table also proves, at compile time, that every
// exported function has the type that cudaTypedefs.h gives to its version.
#include <cuda.h>
#include <cudaTypedefs.h>

#include "../driver_table.h"
#include "export_table.h"
#include "state.h"

#include <string.h>

// Plain names mean the first version here, whatever cuda.h renames them to.
#undef cuEventElapsedTime
#undef cuGraphAddDependencies
#undef cuGraphGetEdges
#undef cuGetProcAddress

CUresult CUDAAPI cuEventElapsedTime(float *pMilliseconds, CUevent hStart, CUevent hEnd);
CUresult CUDAAPI cuGraphAddDependencies(CUgraph hGraph, const CUgraphNode *from,
                                        const CUgraphNode *to, size_t numDependencies);
CUresult CUDAAPI cuGraphGetEdges(CUgraph hGraph, CUgraphNode *from, CUgraphNode *to,
                                 size_t *numEdges);
CUresult CUDAAPI cuGetProcAddress(const char *symbol, void **pfn, int cudaVersion,
                                  cuuint64_t flags);
CUresult CUDAAPI cuGetProcAddress_v2(const char *symbol, void **pfn, int cudaVersion,
                                     cuuint64_t flags,
                                     CUdriverProcAddressQueryResult *symbolStatus);

/** One typed member for each function. */
struct typed_table {
#define MEMBER(name, abi, exported) PFN_##name##_v##abi name##_##abi;
    SEGUE_SOFT_FUNCTIONS(MEMBER)
    SEGUE_SOFT_NEWER_FUNCTIONS(MEMBER)
#undef MEMBER
    PFN_cuGetProcAddress_v11030 cuGetProcAddress_11030;
    PFN_cuGetProcAddress_v12000 cuGetProcAddress_12000;
};

static const struct typed_table typed = {
#define MEMBER(name, abi, exported) .name##_##abi = exported,
    SEGUE_SOFT_FUNCTIONS(MEMBER) SEGUE_SOFT_NEWER_FUNCTIONS(MEMBER)
#undef MEMBER
        .cuGetProcAddress_11030 = cuGetProcAddress,
    .cuGetProcAddress_12000 = cuGetProcAddress_v2,
};

/** Every call of the loader's table must be listed above. */
struct completeness {
#define MEMBER(name, abi) char name[sizeof(typed.name##_##abi)];
    SEGUE_DRIVER_CALLS(MEMBER)
    SEGUE_DRIVER_OPTIONAL_CALLS(MEMBER)
#undef MEMBER
};
_Static_assert(sizeof(struct completeness) > 0, "driver_table.h names a call without a function");

struct symbol {
    const char *name;
    int abi;
    size_t offset;
};

static const struct symbol symbols[] = {
#define SYMBOL(name, abi, exported) {#name, abi, offsetof(struct typed_table, name##_##abi)},
    SEGUE_SOFT_FUNCTIONS(SYMBOL) SEGUE_SOFT_NEWER_FUNCTIONS(SYMBOL)
#undef SYMBOL
        {"cuGetProcAddress", 11030, offsetof(struct typed_table, cuGetProcAddress_11030)},
    {"cuGetProcAddress", 12000, offsetof(struct typed_table, cuGetProcAddress_12000)},
};

// The newest version that is not newer than asked for, nor than the driver played.
static CUresult resolve(const char *name, void **out_function, int version, cuuint64_t flags,
                        CUdriverProcAddressQueryResult *out_status)
{
    CUdriverProcAddressQueryResult status = CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
    const struct symbol *found = NULL;
    if (name == NULL || out_function == NULL) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    if ((flags & CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM) != 0) {
        return segue_soft_unsupported("per-thread default stream versions of functions");
    }
    if ((flags & ~(cuuint64_t)CU_GET_PROC_ADDRESS_LEGACY_STREAM) != 0 ||
        version > segue_soft.profile) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); ++i) {
        const struct symbol *symbol = &symbols[i];
        if (symbol->abi > segue_soft.profile || strcmp(symbol->name, name) != 0) {
            continue;
        }
        if (symbol->abi <= version) {
            found = symbol;
            status = CU_GET_PROC_ADDRESS_SUCCESS;
        } else if (found == NULL) {
            status = CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT;
        }
    }
    if (out_status != NULL) {
        *out_status = status;
    }
    if (found == NULL) {
        *out_function = NULL;
        segue_soft_log_note("unsupported", name);
        // The second version tells by the status alone, as the real driver does.
        return out_status != NULL ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
    }
    memcpy(out_function, (const char *)&typed + found->offset, sizeof(*out_function));
    return CUDA_SUCCESS;
}

SEGUE_SOFT_EXPORT CUresult CUDAAPI cuGetProcAddress_v2(const char *symbol, void **pfn,
                                                       int cudaVersion, cuuint64_t flags,
                                                       CUdriverProcAddressQueryResult *symbolStatus)
{
    char escaped[128];
    SEGUE_SOFT_ENTER(SEGUE_SOFT_ANY, "\"name\":\"%s\",\"version\":%d",
                     segue_soft_log_escape(symbol != NULL ? symbol : "", escaped, sizeof(escaped)),
                     cudaVersion);
    return segue_soft_leave(&call, resolve(symbol, pfn, cudaVersion, flags, symbolStatus));
}

SEGUE_SOFT_EXPORT CUresult CUDAAPI cuGetProcAddress(const char *symbol, void **pfn, int cudaVersion,
                                                    cuuint64_t flags)
{
    char escaped[128];
    SEGUE_SOFT_ENTER(SEGUE_SOFT_ANY, "\"name\":\"%s\",\"version\":%d",
                     segue_soft_log_escape(symbol != NULL ? symbol : "", escaped, sizeof(escaped)),
                     cudaVersion);
    return segue_soft_leave(&call, resolve(symbol, pfn, cudaVersion, flags, NULL));
}
