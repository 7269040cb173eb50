// SPDX-License-Identifier: Apache-2.0
/**
 * @file nvrtc.h
 * NVRTC, the CUDA C++ compiler, loaded at run time: versions 12.x and 13.x. Declared here rather
 * than taken from nvrtc.h, so that building needs cuda.h alone.
 */
#ifndef SEGUE_CUDA_NVRTC_H
#define SEGUE_CUDA_NVRTC_H

#include "allocator.h"
#include "library.h"

/** nvrtcResult. */
typedef int segue_nvrtc_result;
/** nvrtcProgram. */
typedef struct segue_nvrtc_program_handle *segue_nvrtc_program;

#define SEGUE_NVRTC_SUCCESS 0
#define SEGUE_NVRTC_OUT_OF_MEMORY 1
#define SEGUE_NVRTC_INVALID_OPTION 5
#define SEGUE_NVRTC_COMPILATION 6

/** SEGUE_NVRTC_CALL(result type, name, parameters) */
#define SEGUE_NVRTC_CALLS(SEGUE_NVRTC_CALL)                                                       \
    SEGUE_NVRTC_CALL(const char *, nvrtcGetErrorString, (segue_nvrtc_result result))              \
    SEGUE_NVRTC_CALL(segue_nvrtc_result, nvrtcVersion, (int *major, int *minor))                  \
    SEGUE_NVRTC_CALL(segue_nvrtc_result, nvrtcGetNumSupportedArchs, (int *count))                 \
    SEGUE_NVRTC_CALL(segue_nvrtc_result, nvrtcGetSupportedArchs, (int *archs))                    \
    SEGUE_NVRTC_CALL(segue_nvrtc_result, nvrtcCreateProgram,                                      \
                     (segue_nvrtc_program * program, const char *source, const char *name,        \
                      int header_count, const char *const *headers,                               \
                      const char *const *include_names))                                          \
    SEGUE_NVRTC_CALL(segue_nvrtc_result, nvrtcDestroyProgram, (segue_nvrtc_program * program))    \
    SEGUE_NVRTC_CALL(segue_nvrtc_result, nvrtcCompileProgram,                                     \
                     (segue_nvrtc_program program, int option_count, const char *const *options)) \
    SEGUE_NVRTC_CALL(segue_nvrtc_result, nvrtcGetPTXSize,                                         \
                     (segue_nvrtc_program program, size_t * size))                                \
    SEGUE_NVRTC_CALL(segue_nvrtc_result, nvrtcGetPTX, (segue_nvrtc_program program, char *ptx))   \
    SEGUE_NVRTC_CALL(segue_nvrtc_result, nvrtcGetCUBINSize,                                       \
                     (segue_nvrtc_program program, size_t * size))                                \
    SEGUE_NVRTC_CALL(segue_nvrtc_result, nvrtcGetCUBIN,                                           \
                     (segue_nvrtc_program program, char *cubin))                                  \
    SEGUE_NVRTC_CALL(segue_nvrtc_result, nvrtcGetProgramLogSize,                                  \
                     (segue_nvrtc_program program, size_t * size))                                \
    SEGUE_NVRTC_CALL(segue_nvrtc_result, nvrtcGetProgramLog,                                      \
                     (segue_nvrtc_program program, char *log))

struct segue_nvrtc {
    /** NULL: not loaded; `reason` says why once `attempted` is set. */
    void *library;
    bool attempted;
    struct segue_library_reason reason;
    /** major * 1000 + minor * 10. */
    int32_t version;
    /** Newest architecture that it compiles for, e.g. 90. */
    int32_t newest_arch;
#define SEGUE_NVRTC_MEMBER(type, name, parameters) type(*name) parameters;
    SEGUE_NVRTC_CALLS(SEGUE_NVRTC_MEMBER)
#undef SEGUE_NVRTC_MEMBER
};

/**
 * Loads NVRTC from `path`, else $SEGUE_LIBNVRTC, else by its sonames: the major version of
 * `driver_version` first, because a driver does not load what a newer major version compiles.
 * Returns whether it is loaded; if not, `out_nvrtc->reason` says why. Raises nothing.
 */
bool segue_nvrtc_load(const char *path, int32_t driver_version, struct segue_nvrtc *out_nvrtc);
/** Gives the library back. Fine if it was not loaded. */
void segue_nvrtc_unload(struct segue_nvrtc *nvrtc);

struct segue_nvrtc_request {
    /** Zero-terminated. */
    const char *source;
    /** All of them, the architecture included. */
    const char *const *options;
    uint32_t option_count;
    /** Machine code where the architecture is a real one, else PTX. */
    bool want_cubin;
    /** Names the executable in messages. */
    const char *label;
};

/** What came out; release with the allocator and `size_bytes`. */
struct segue_nvrtc_output {
    void *data;
    size_t size_bytes;
};

/**
 * Compiles. Warnings go to the device's log. Thread-safe.
 * @return SEGUE_COMPILE_FAILED with the compiler's log; SEGUE_OUT_OF_HOST_MEMORY.
 */
segue_status segue_nvrtc_compile(const struct segue_nvrtc *nvrtc, segue_device *device,
                                 const struct segue_allocator *allocator,
                                 const struct segue_nvrtc_request *request,
                                 struct segue_nvrtc_output *out_output);

#endif // SEGUE_CUDA_NVRTC_H
