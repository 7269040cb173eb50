// SPDX-License-Identifier: Apache-2.0
#include "nvrtc.h"

#include "status.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#define OLDEST_MAJOR 12
#define NEWEST_MAJOR 13

/** The toolkit's usual place, for machines where it is not on the loader's path. */
#define TOOLKIT_FOLDER "/usr/local/cuda/lib64/"

static void *open_by_soname(int32_t driver_version, struct segue_library_reason *reason)
{
    const int driver_major = driver_version / 1000;
    const int first = driver_major < NEWEST_MAJOR ? OLDEST_MAJOR : NEWEST_MAJOR;
    const int majors[] = {first, OLDEST_MAJOR + NEWEST_MAJOR - first};
    for (size_t i = 0; i < sizeof(majors) / sizeof(majors[0]); i++) {
        static const char *const folders[] = {"", TOOLKIT_FOLDER};
        for (size_t k = 0; k < sizeof(folders) / sizeof(folders[0]); k++) {
            char file[64];
            (void)snprintf(file, sizeof(file), "%slibnvrtc.so.%d", folders[k], majors[i]);
            void *library = segue_library_open(file, reason);
            if (library != NULL)
                return library;
        }
    }
    return NULL;
}

static bool resolve_symbols(struct segue_nvrtc *nvrtc)
{
    const struct {
        const char *name;
        void *target;
    } symbols[] = {
#define SYMBOL(type, name, parameters) {#name, &nvrtc->name},
        SEGUE_NVRTC_CALLS(SYMBOL)
#undef SYMBOL
    };
    for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++) {
        void *address = dlsym(nvrtc->library, symbols[i].name);
        if (address == NULL) {
            (void)snprintf(nvrtc->reason.text, sizeof(nvrtc->reason.text),
                           "the library lacks the function %s", symbols[i].name);
            return false;
        }
        memcpy(symbols[i].target, &address, sizeof(address));
    }
    return true;
}

static bool query_version(struct segue_nvrtc *nvrtc)
{
    int major = 0;
    int minor = 0;
    int count = 0;
    int archs[64];
    if (nvrtc->nvrtcVersion(&major, &minor) != SEGUE_NVRTC_SUCCESS || major < OLDEST_MAJOR ||
        major > NEWEST_MAJOR) {
        (void)snprintf(nvrtc->reason.text, sizeof(nvrtc->reason.text),
                       "NVRTC %d.%d is not supported, only %d.x to %d.x", major, minor,
                       OLDEST_MAJOR, NEWEST_MAJOR);
        return false;
    }
    if (nvrtc->nvrtcGetNumSupportedArchs(&count) != SEGUE_NVRTC_SUCCESS || count < 1 ||
        count > (int)(sizeof(archs) / sizeof(archs[0])) ||
        nvrtc->nvrtcGetSupportedArchs(archs) != SEGUE_NVRTC_SUCCESS) {
        (void)snprintf(nvrtc->reason.text, sizeof(nvrtc->reason.text),
                       "NVRTC %d.%d does not tell its architectures", major, minor);
        return false;
    }
    for (int i = 0; i < count; i++) {
        if (nvrtc->newest_arch < archs[i])
            nvrtc->newest_arch = archs[i];
    }
    nvrtc->version = major * 1000 + minor * 10;
    return true;
}

bool segue_nvrtc_load(const char *path, int32_t driver_version, struct segue_nvrtc *out_nvrtc)
{
    struct segue_nvrtc nvrtc = {.attempted = true};
    const char *chosen = segue_library_choose_path(path, "SEGUE_LIBNVRTC");
    nvrtc.library = chosen != NULL ? segue_library_open(chosen, &nvrtc.reason)
                                   : open_by_soname(driver_version, &nvrtc.reason);
    bool loaded = nvrtc.library != NULL;
    if (loaded && !(resolve_symbols(&nvrtc) && query_version(&nvrtc))) {
        segue_library_close(nvrtc.library);
        nvrtc.library = NULL;
        nvrtc.version = 0;
        loaded = false;
    }
    *out_nvrtc = nvrtc;
    return loaded;
}

void segue_nvrtc_unload(struct segue_nvrtc *nvrtc)
{
    segue_library_close(nvrtc->library);
    nvrtc->library = NULL;
}

static segue_status raise_result(const struct segue_nvrtc *nvrtc, segue_device *device,
                                 segue_nvrtc_result result, const char *call, const char *label,
                                 const char *log)
{
    segue_status status = SEGUE_DRIVER_ERROR;
    if (result == SEGUE_NVRTC_OUT_OF_MEMORY)
        status = SEGUE_OUT_OF_HOST_MEMORY;
    else if (result == SEGUE_NVRTC_COMPILATION || result == SEGUE_NVRTC_INVALID_OPTION)
        status = SEGUE_COMPILE_FAILED;
    return segue_fail_driver(
        device, status, result,
        "compiling executable \"%s\" with NVRTC %d.%d: %s returned %s (%d)%s%s", label,
        nvrtc->version / 1000, nvrtc->version % 1000 / 10, call, nvrtc->nvrtcGetErrorString(result),
        result, log[0] != '\0' ? ":\n" : "", log);
}

/** The compiler's log, zero-terminated; empty if it cannot be had. NULL when out of memory. */
static char *take_log(const struct segue_nvrtc *nvrtc, const struct segue_allocator *allocator,
                      segue_nvrtc_program program, size_t *out_size_bytes)
{
    size_t size_bytes = 0;
    if (nvrtc->nvrtcGetProgramLogSize(program, &size_bytes) != SEGUE_NVRTC_SUCCESS)
        size_bytes = 0;
    char *log = segue_allocate_zeroed(allocator, size_bytes + 1, 1);
    if (log != NULL && size_bytes > 0 &&
        nvrtc->nvrtcGetProgramLog(program, log) != SEGUE_NVRTC_SUCCESS)
        log[0] = '\0';
    *out_size_bytes = size_bytes + 1;
    return log;
}

/** Compiles the program; the log goes into the failure, or to the device's log. */
static segue_status run_compiler(const struct segue_nvrtc *nvrtc, segue_device *device,
                                 const struct segue_allocator *allocator,
                                 const struct segue_nvrtc_request *request,
                                 segue_nvrtc_program program)
{
    const segue_nvrtc_result result =
        nvrtc->nvrtcCompileProgram(program, (int)request->option_count, request->options);
    size_t log_bytes = 0;
    char *log = take_log(nvrtc, allocator, program, &log_bytes);
    if (log == NULL)
        return segue_fail(device, SEGUE_OUT_OF_HOST_MEMORY,
                          "out of host memory for the compiler's log of executable \"%s\"",
                          request->label);
    segue_status status = SEGUE_OK;
    if (result != SEGUE_NVRTC_SUCCESS)
        status = raise_result(nvrtc, device, result, "nvrtcCompileProgram", request->label, log);
    else if (log[0] != '\0')
        segue_log(device, SEGUE_LOG_WARNING, "compiling executable \"%s\":\n%s", request->label,
                  log);
    segue_release(allocator, log, log_bytes);
    return status;
}

/** Asks for the size of cubin or PTX. A virtual architecture has no cubin: then it is PTX. */
static segue_status choose_output(const struct segue_nvrtc *nvrtc, segue_device *device,
                                  const struct segue_nvrtc_request *request,
                                  segue_nvrtc_program program, bool *out_cubin, size_t *out_bytes)
{
    size_t size_bytes = 0;
    segue_nvrtc_result result;
    if (request->want_cubin) {
        result = nvrtc->nvrtcGetCUBINSize(program, &size_bytes);
        if (result != SEGUE_NVRTC_SUCCESS)
            return raise_result(nvrtc, device, result, "nvrtcGetCUBINSize", request->label, "");
    }
    *out_cubin = size_bytes > 0;
    if (size_bytes == 0) {
        result = nvrtc->nvrtcGetPTXSize(program, &size_bytes);
        if (result != SEGUE_NVRTC_SUCCESS)
            return raise_result(nvrtc, device, result, "nvrtcGetPTXSize", request->label, "");
    }
    *out_bytes = size_bytes;
    return SEGUE_OK;
}

static segue_status take_output(const struct segue_nvrtc *nvrtc, segue_device *device,
                                const struct segue_allocator *allocator,
                                const struct segue_nvrtc_request *request,
                                segue_nvrtc_program program, struct segue_nvrtc_output *out_output)
{
    bool is_cubin = false;
    size_t size_bytes = 0;
    const segue_status status =
        choose_output(nvrtc, device, request, program, &is_cubin, &size_bytes);
    if (status != SEGUE_OK)
        return status;
    char *data = segue_allocate_zeroed(allocator, size_bytes, 1);
    if (data == NULL)
        return segue_fail(device, SEGUE_OUT_OF_HOST_MEMORY,
                          "out of host memory for %zu bytes of code of executable \"%s\"",
                          size_bytes, request->label);
    const segue_nvrtc_result result =
        is_cubin ? nvrtc->nvrtcGetCUBIN(program, data) : nvrtc->nvrtcGetPTX(program, data);
    if (result != SEGUE_NVRTC_SUCCESS) {
        segue_release(allocator, data, size_bytes);
        return raise_result(nvrtc, device, result, is_cubin ? "nvrtcGetCUBIN" : "nvrtcGetPTX",
                            request->label, "");
    }
    out_output->data = data;
    out_output->size_bytes = size_bytes;
    return SEGUE_OK;
}

segue_status segue_nvrtc_compile(const struct segue_nvrtc *nvrtc, segue_device *device,
                                 const struct segue_allocator *allocator,
                                 const struct segue_nvrtc_request *request,
                                 struct segue_nvrtc_output *out_output)
{
    segue_nvrtc_program program = NULL;
    segue_nvrtc_result result =
        nvrtc->nvrtcCreateProgram(&program, request->source, "source.cu", 0, NULL, NULL);
    if (result != SEGUE_NVRTC_SUCCESS)
        return raise_result(nvrtc, device, result, "nvrtcCreateProgram", request->label, "");
    struct segue_nvrtc_output output = {NULL, 0};
    segue_status status = run_compiler(nvrtc, device, allocator, request, program);
    if (status == SEGUE_OK)
        status = take_output(nvrtc, device, allocator, request, program, &output);
    result = nvrtc->nvrtcDestroyProgram(&program);
    if (result != SEGUE_NVRTC_SUCCESS)
        segue_log(device, SEGUE_LOG_WARNING,
                  "nvrtcDestroyProgram returned %s (%d); its program is left to the compiler",
                  nvrtc->nvrtcGetErrorString(result), result);
    if (status == SEGUE_OK)
        *out_output = output;
    return status;
}
