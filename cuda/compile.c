// SPDX-License-Identifier: Apache-2.0
#include "compile.h"

#include "compile_cache.h"
#include "cuda_backend.h"

#include <stdio.h>
#include <string.h>

/** Architecture of PTX for the software driver, which only reads the kernels' declarations. */
#define SOFT_ARCH 90
/** The PTX version that every driver since 12.4 takes. */
#define SOFT_PTX_VERSION "8.4"

/** All that a compilation depends on. */
struct compilation {
    const char *label;
    /** Zero-terminated copy of the source. */
    char *source;
    size_t source_bytes;
    /** "--gpu-architecture=…" (unless the caller's options have one), then the caller's. */
    const char **options;
    uint32_t option_count;
    uint32_t option_capacity;
    bool want_cubin;
    char arch_option[48];
};

const struct segue_nvrtc *segue_cuda_nvrtc(struct segue_cuda *cuda)
{
    pthread_mutex_lock(&cuda->lazy_lock);
    if (!cuda->nvrtc.attempted)
        (void)segue_nvrtc_load(cuda->nvrtc_path, cuda->driver.version, &cuda->nvrtc);
    pthread_mutex_unlock(&cuda->lazy_lock);
    return cuda->nvrtc.library != NULL ? &cuda->nvrtc : NULL;
}

static bool begins_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/** Whether the text has a directive that reads a file: "#include", also with spaces inside. */
static bool has_include(const char *source)
{
    for (const char *at = strchr(source, '#'); at != NULL; at = strchr(at + 1, '#')) {
        const char *word = at + 1 + strspn(at + 1, " \t\\\r\n");
        if (begins_with(word, "include"))
            return true;
    }
    return false;
}

bool segue_compile_uses_files(const char *source, const char *const *options, uint32_t option_count)
{
    for (uint32_t i = 0; i < option_count; i++) {
        if (strstr(options[i], "include") != NULL || strstr(options[i], "pch") != NULL ||
            begins_with(options[i], "-I"))
            return true;
    }
    return has_include(source);
}

static bool names_architecture(const char *option)
{
    return begins_with(option, "-arch") || begins_with(option, "--gpu-architecture");
}

static void choose_architecture(const struct segue_cuda *cuda, const struct segue_nvrtc *nvrtc,
                                struct compilation *compilation)
{
    const uint32_t arch = cuda->limits.compute_major * 10 + cuda->limits.compute_minor;
    compilation->want_cubin = cuda->driver.soft == NULL;
    const char *kind = "sm";
    uint32_t chosen = arch;
    if (cuda->driver.soft != NULL) {
        kind = "compute";
        chosen = SOFT_ARCH;
    } else if (arch > (uint32_t)nvrtc->newest_arch) {
        kind = "compute";
        chosen = (uint32_t)nvrtc->newest_arch;
    }
    (void)snprintf(compilation->arch_option, sizeof(compilation->arch_option),
                   "--gpu-architecture=%s_%u", kind, chosen);
}

static void finish_compilation(const struct segue_cuda *cuda, struct compilation *compilation)
{
    const struct segue_allocator *allocator = segue_cuda_allocator(cuda);
    segue_release(allocator, compilation->options,
                  compilation->option_capacity * sizeof(*compilation->options));
    segue_release(allocator, compilation->source, compilation->source_bytes + 1);
}

static segue_status begin_compilation(struct segue_cuda *cuda, const struct segue_nvrtc *nvrtc,
                                      const struct segue_executable_params *params,
                                      struct compilation *compilation)
{
    const struct segue_allocator *allocator = segue_cuda_allocator(cuda);
    memset(compilation, 0, sizeof(*compilation));
    compilation->label = params->label != NULL ? params->label : "";
    compilation->source_bytes = strnlen(params->data, params->size_bytes);
    compilation->source = segue_allocate(allocator, compilation->source_bytes + 1);
    compilation->option_capacity = params->option_count + 1;
    compilation->options = segue_allocate_zeroed(allocator, compilation->option_capacity,
                                                 sizeof(*compilation->options));
    if (compilation->source == NULL || compilation->options == NULL) {
        finish_compilation(cuda, compilation);
        return segue_fail(cuda->base.device, SEGUE_OUT_OF_HOST_MEMORY,
                          "out of host memory for compiling executable \"%s\"", compilation->label);
    }
    memcpy(compilation->source, params->data, compilation->source_bytes);
    compilation->source[compilation->source_bytes] = '\0';

    choose_architecture(cuda, nvrtc, compilation);
    bool named = false;
    for (uint32_t i = 0; i < params->option_count; i++)
        named = named || names_architecture(params->options[i]);
    if (!named)
        compilation->options[compilation->option_count++] = compilation->arch_option;
    for (uint32_t i = 0; i < params->option_count; i++)
        compilation->options[compilation->option_count++] = params->options[i];
    return SEGUE_OK;
}

static void hash_number(struct segue_sha256 *hash, uint64_t value)
{
    segue_sha256_update(hash, &value, sizeof(value));
}

/** With its length in front, so that no two lists of texts hash alike. */
static void hash_text(struct segue_sha256 *hash, const char *text, size_t length)
{
    hash_number(hash, length);
    segue_sha256_update(hash, text, length);
}

static struct segue_compile_cache_key make_key(const struct segue_nvrtc *nvrtc,
                                               const struct compilation *compilation)
{
    struct segue_compile_cache_key key;
    struct segue_sha256 hash;
    segue_sha256_init(&hash);
    hash_number(&hash, (uint64_t)nvrtc->version);
    hash_number(&hash, compilation->want_cubin);
    hash_number(&hash, compilation->option_count);
    for (uint32_t i = 0; i < compilation->option_count; i++)
        hash_text(&hash, compilation->options[i], strlen(compilation->options[i]));
    hash_text(&hash, compilation->source, compilation->source_bytes);
    segue_sha256_finish(&hash, key.digest);
    return key;
}

static segue_status compile_through_cache(struct segue_cuda *cuda, const struct segue_nvrtc *nvrtc,
                                          const struct compilation *compilation,
                                          struct segue_nvrtc_output *output)
{
    const struct segue_allocator *allocator = segue_cuda_allocator(cuda);
    const bool uses_files = segue_compile_uses_files(compilation->source, compilation->options,
                                                     compilation->option_count);
    const struct segue_compile_cache cache = {cuda->base.device, allocator,
                                              uses_files ? NULL : cuda->cache_folder};
    const struct segue_compile_cache_key key = make_key(nvrtc, compilation);
    output->data = segue_compile_cache_load(&cache, &key, &output->size_bytes);
    if (output->data != NULL)
        return SEGUE_OK;
    const struct segue_nvrtc_request request = {
        .source = compilation->source,
        .options = compilation->options,
        .option_count = compilation->option_count,
        .want_cubin = compilation->want_cubin,
        .label = compilation->label,
    };
    const segue_status status =
        segue_nvrtc_compile(nvrtc, cuda->base.device, allocator, &request, output);
    if (status == SEGUE_OK)
        segue_compile_cache_store(&cache, &key, output->data, output->size_bytes);
    return status;
}

void segue_compile_lower_ptx_version(char *ptx)
{
    static const char directive[] = ".version ";
    char *version = strstr(ptx, directive);
    if (version == NULL)
        return;
    version += sizeof(directive) - 1;
    const size_t length = strspn(version, "0123456789.");
    if (length < sizeof(SOFT_PTX_VERSION) - 1)
        return;
    memset(version, ' ', length);
    memcpy(version, SOFT_PTX_VERSION, sizeof(SOFT_PTX_VERSION) - 1);
}

segue_status segue_compile_source(struct segue_cuda *cuda,
                                  const struct segue_executable_params *params,
                                  struct segue_image *out_image)
{
    const struct segue_nvrtc *nvrtc = segue_cuda_nvrtc(cuda);
    if (nvrtc == NULL)
        return segue_fail(cuda->base.device, SEGUE_UNAVAILABLE,
                          "executable \"%s\" is CUDA source, and its compiler NVRTC could not be "
                          "loaded (%s); install it, or give its path in libnvrtc_path or "
                          "$SEGUE_LIBNVRTC",
                          params->label != NULL ? params->label : "", cuda->nvrtc.reason.text);
    struct compilation compilation;
    segue_status status = begin_compilation(cuda, nvrtc, params, &compilation);
    if (status != SEGUE_OK)
        return status;
    struct segue_nvrtc_output output = {NULL, 0};
    status = compile_through_cache(cuda, nvrtc, &compilation, &output);
    finish_compilation(cuda, &compilation);
    if (status != SEGUE_OK)
        return status;
    const bool is_elf = output.size_bytes >= 4 && memcmp(output.data, "\177ELF", 4) == 0;
    if (cuda->driver.soft != NULL && !is_elf)
        segue_compile_lower_ptx_version(output.data);
    *out_image = (struct segue_image){output.data, output.size_bytes, output.data,
                                      output.size_bytes, !is_elf};
    return SEGUE_OK;
}
