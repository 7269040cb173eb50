// SPDX-License-Identifier: Apache-2.0
// cuModule*: images are parsed, entry points matched with their references.
#include "module.h"

#include "limits.h"
#include "stream.h"

#include <stdlib.h>
#include <string.h>

static uint64_t unload_count;

uint64_t segue_soft_module_unload_count(void)
{
    return unload_count;
}

/** Where the caller wants the compiler's log. */
struct jit_logs {
    char *error_text;
    size_t error_size;
    void **error_written;
    char *info_text;
    size_t info_size;
    void **info_written;
};

static CUresult read_options(unsigned count, const CUjit_option *options, void **values,
                             struct jit_logs *logs)
{
    for (unsigned i = 0; i < count; ++i) {
        switch (options[i]) {
        case CU_JIT_ERROR_LOG_BUFFER:
            logs->error_text = values[i];
            break;
        case CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES:
            logs->error_size = (size_t)(uintptr_t)values[i];
            logs->error_written = &values[i];
            break;
        case CU_JIT_INFO_LOG_BUFFER:
            logs->info_text = values[i];
            break;
        case CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES:
            logs->info_size = (size_t)(uintptr_t)values[i];
            logs->info_written = &values[i];
            break;
        case CU_JIT_MAX_REGISTERS:
        case CU_JIT_THREADS_PER_BLOCK:
        case CU_JIT_WALL_TIME:
        case CU_JIT_OPTIMIZATION_LEVEL:
        case CU_JIT_TARGET_FROM_CUCONTEXT:
        case CU_JIT_TARGET:
        case CU_JIT_FALLBACK_STRATEGY:
        case CU_JIT_GENERATE_DEBUG_INFO:
        case CU_JIT_LOG_VERBOSE:
        case CU_JIT_GENERATE_LINE_INFO:
        case CU_JIT_CACHE_MODE:
            // Steer code generation, of which there is none.
            break;
        default:
            return segue_soft_unsupported("JIT option %d", (int)options[i]);
        }
    }
    return CUDA_SUCCESS;
}

// The size options are in and out: bytes written.
static void write_logs(const struct jit_logs *logs, const char *message)
{
    size_t written = 0;
    if (logs->error_text != NULL && logs->error_size > 0) {
        int length = snprintf(logs->error_text, logs->error_size, "%s", message);
        written = (size_t)length < logs->error_size ? (size_t)length : logs->error_size;
    }
    if (logs->error_written != NULL) {
        *logs->error_written = (void *)(uintptr_t)written;
    }
    if (logs->info_text != NULL && logs->info_size > 0) {
        logs->info_text[0] = '\0';
    }
    if (logs->info_written != NULL) {
        *logs->info_written = NULL;
    }
}

static bool starts_with(const unsigned char *image, const unsigned char magic[4])
{
    // Byte by byte: a short text ends before its fourth.
    return image[0] == magic[0] && image[1] == magic[1] && image[2] == magic[2] &&
           image[3] == magic[3];
}

static bool is_device_binary(const void *image)
{
    static const unsigned char magics[][4] = {
        {0x7f, 'E', 'L', 'F'},    // cubin
        {0x50, 0xed, 0x55, 0xba}, // fatbin
        {0xb1, 0x43, 0x62, 0x46}, // fatbin wrapper
    };
    return starts_with(image, magics[0]) || starts_with(image, magics[1]) ||
           starts_with(image, magics[2]);
}

static CUresult parse_image(const void *image, const struct jit_logs *logs,
                            struct segue_soft_image *out_image)
{
    const char *text = image;
    if (is_device_binary(image)) {
        write_logs(logs, "error   : a cubin or fatbin cannot run on the software driver");
        return CUDA_ERROR_NO_BINARY_FOR_GPU;
    }
    struct segue_soft_parse_error error = {.line = 0};
    bool manifest =
        strncmp(text, SEGUE_SOFT_MANIFEST_MAGIC, strlen(SEGUE_SOFT_MANIFEST_MAGIC)) == 0;
    CUresult result = manifest ? segue_soft_manifest_parse(text, out_image, &error)
                               : segue_soft_ptx_parse(text, out_image, &error);
    char message[256] = "";
    if (result != CUDA_SUCCESS && error.message[0] != '\0') {
        snprintf(message, sizeof(message), "%s application %s input, line %u; fatal   : %s",
                 manifest ? "segue" : "ptxas", manifest ? "manifest" : "ptx", error.line,
                 error.message);
    }
    write_logs(logs, message);
    return result;
}

static CUresult create_module(const void *image, const struct jit_logs *logs, CUmodule *out_module)
{
    struct segue_soft_module *module = calloc(1, sizeof(*module));
    if (module == NULL) {
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    CUresult result = parse_image(image, logs, &module->image);
    if (result != CUDA_SUCCESS) {
        goto fail_image;
    }
    module->functions = calloc(module->image.entry_count + 1, sizeof(*module->functions));
    if (module->functions == NULL) {
        result = CUDA_ERROR_OUT_OF_MEMORY;
        goto fail_functions;
    }
    void *handle;
    result = segue_soft_handle_create(SEGUE_SOFT_KIND_MODULE, module, &handle);
    if (result != CUDA_SUCCESS) {
        goto fail_handle;
    }
    module->handle = handle;
    *out_module = handle;
    return CUDA_SUCCESS;

fail_handle:
    free(module->functions);
fail_functions:
    segue_soft_image_clear(&module->image);
fail_image:
    free(module);
    return result;
}

static CUresult get_function(struct segue_soft_module *module, const char *name,
                             CUfunction *out_function)
{
    if (name[0] == '\0') {
        return CUDA_ERROR_INVALID_VALUE;
    }
    uint32_t index = 0;
    while (index < module->image.entry_count &&
           strcmp(module->image.entries[index].name, name) != 0) {
        ++index;
    }
    if (index == module->image.entry_count) {
        return CUDA_ERROR_NOT_FOUND;
    }
    if (module->functions[index] != NULL) {
        *out_function = module->functions[index]->handle;
        return CUDA_SUCCESS;
    }
    const struct segue_soft_entry *entry = &module->image.entries[index];
    const struct segue_soft_reference *reference = segue_soft_registry_find(name);
    if (reference == NULL) {
        segue_soft_log_note("no reference is registered for kernel", name);
        return CUDA_ERROR_NOT_FOUND;
    }
    if (!segue_soft_function_matches(entry, reference)) {
        segue_soft_log_note("the reference has other parameters than the module for kernel", name);
        return CUDA_ERROR_INVALID_SOURCE;
    }
    struct segue_soft_function *function = calloc(1, sizeof(*function));
    if (function == NULL) {
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    void *handle;
    CUresult result = segue_soft_handle_create(SEGUE_SOFT_KIND_FUNCTION, function, &handle);
    if (result != CUDA_SUCCESS) {
        free(function);
        return result;
    }
    function->handle = handle;
    function->module = module;
    function->entry = entry;
    function->reference = reference;
    function->max_dynamic_shared_bytes =
        SEGUE_SOFT_SHARED_BYTES - (int)segue_soft_function_static_shared(function);
    function->carveout = -1;
    module->functions[index] = function;
    *out_function = handle;
    return CUDA_SUCCESS;
}

bool segue_soft_function_matches(const struct segue_soft_entry *entry,
                                 const struct segue_soft_reference *reference)
{
    if (entry->parameter_count != reference->kernel.parameter_count) {
        return false;
    }
    for (uint32_t i = 0; i < entry->parameter_count; ++i) {
        if (entry->parameters[i].size_bytes != reference->parameter_sizes[i]) {
            return false;
        }
    }
    return true;
}

SEGUE_SOFT_EXPORT CUresult CUDAAPI cuModuleLoadDataEx(CUmodule *module, const void *image,
                                                      unsigned int numOptions,
                                                      CUjit_option *options, void **optionValues)
{
    SEGUE_SOFT_ENTER(SEGUE_SOFT_CONTEXT, "\"option_count\":%u", numOptions);
    struct jit_logs logs = {.error_text = NULL};
    if (module == NULL || image == NULL ||
        (numOptions > 0 && (options == NULL || optionValues == NULL))) {
        return segue_soft_leave(&call, CUDA_ERROR_INVALID_VALUE);
    }
    result = read_options(numOptions, options, optionValues, &logs);
    if (result == CUDA_SUCCESS) {
        result = create_module(image, &logs, module);
    }
    return segue_soft_leave(&call, result);
}

SEGUE_SOFT_EXPORT CUresult CUDAAPI cuModuleUnload(CUmodule hmod)
{
    SEGUE_SOFT_ENTER(SEGUE_SOFT_CONTEXT | SEGUE_SOFT_RELEASE, "\"module\":%llu",
                     (unsigned long long)(uintptr_t)hmod);
    void *object;
    result = segue_soft_handle_get(SEGUE_SOFT_KIND_MODULE, hmod, &object);
    if (result != CUDA_SUCCESS) {
        return segue_soft_leave(&call, result);
    }
    struct segue_soft_module *module = object;
    // Kernels of it may still be in flight.
    result = segue_soft_streams_finish();
    for (uint32_t i = 0; i < module->image.entry_count; ++i) {
        if (module->functions[i] != NULL) {
            segue_soft_handle_destroy(module->functions[i]->handle);
            free(module->functions[i]);
        }
    }
    segue_soft_handle_destroy(hmod);
    ++unload_count;
    free(module->functions);
    segue_soft_image_clear(&module->image);
    free(module);
    return segue_soft_leave(&call, result);
}

SEGUE_SOFT_EXPORT CUresult CUDAAPI cuModuleGetFunction(CUfunction *hfunc, CUmodule hmod,
                                                       const char *name)
{
    char escaped[128];
    SEGUE_SOFT_ENTER(SEGUE_SOFT_CONTEXT, "\"module\":%llu,\"name\":\"%s\"",
                     (unsigned long long)(uintptr_t)hmod,
                     segue_soft_log_escape(name != NULL ? name : "", escaped, sizeof(escaped)));
    void *module;
    if (hfunc == NULL || name == NULL) {
        return segue_soft_leave(&call, CUDA_ERROR_INVALID_VALUE);
    }
    result = segue_soft_handle_get(SEGUE_SOFT_KIND_MODULE, hmod, &module);
    if (result == CUDA_SUCCESS) {
        result = get_function(module, name, hfunc);
    }
    return segue_soft_leave(&call, result);
}
