// SPDX-License-Identifier: Apache-2.0
#include "format_images.h"

#include "compile.h"
#include "kernels.h"
#include "nvrtc.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/** The oldest architecture of CUDA 13. */
#define OLDEST_ARCH 75
#define MAX_ARCHS 64
#define PATH_BYTES 4096

/** Always returns false. */
static bool give_reason(struct format_image *image, const char *format, ...) SEGUE_PRINTF(2, 3);

static bool give_reason(struct format_image *image, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(image->reason, sizeof(image->reason), format, arguments);
    va_end(arguments);
    return false;
}

static bool take_copy(struct format_image *image, const void *data, size_t size_bytes)
{
    // Exactly as large as it is, so that the address sanitizer sees reads past the end.
    image->data = malloc(size_bytes);
    if (image->data == NULL)
        return give_reason(image, "out of memory");
    memcpy(image->data, data, size_bytes);
    image->size_bytes = size_bytes;
    return true;
}

/* NVRTC. */

static int32_t driver_version_of(const segue_device *device)
{
    struct segue_device_info info;
    segue_device_get_info(device, &info);
    return info.driver_version;
}

static bool make_with_nvrtc(segue_device *device, struct format_image *image)
{
    struct segue_nvrtc nvrtc = {.library = NULL};
    if (!segue_nvrtc_load(NULL, driver_version_of(device), &nvrtc))
        return give_reason(image, "no NVRTC: %s", nvrtc.reason.text);
    const bool want_cubin = image->format == SEGUE_EXECUTABLE_CUBIN;
    char option[48];
    (void)snprintf(option, sizeof(option), "--gpu-architecture=%s_%u",
                   want_cubin ? "sm" : "compute", image->arch);
    const char *const options[] = {option};
    const struct segue_nvrtc_request request = {
        .source = segue_test_source,
        .options = options,
        .option_count = 1,
        .want_cubin = want_cubin,
        .label = "test kernels",
    };
    struct segue_nvrtc_output output;
    const segue_status status =
        segue_nvrtc_compile(&nvrtc, device, &segue_default_allocator, &request, &output);
    segue_nvrtc_unload(&nvrtc);
    if (status != SEGUE_OK)
        return give_reason(image, "%s", segue_last_error()->message);
    // The driver may be older than the compiler.
    if (!want_cubin)
        segue_compile_lower_ptx_version(output.data);
    const bool taken = take_copy(image, output.data, output.size_bytes);
    segue_release(&segue_default_allocator, output.data, output.size_bytes);
    return taken;
}

static int list_archs(segue_device *device, int out_archs[MAX_ARCHS])
{
    struct segue_nvrtc nvrtc = {.library = NULL};
    int count = 0;
    if (!segue_nvrtc_load(NULL, driver_version_of(device), &nvrtc))
        return 0;
    if (nvrtc.nvrtcGetNumSupportedArchs(&count) != SEGUE_NVRTC_SUCCESS || count > MAX_ARCHS ||
        nvrtc.nvrtcGetSupportedArchs(out_archs) != SEGUE_NVRTC_SUCCESS)
        count = 0;
    segue_nvrtc_unload(&nvrtc);
    return count;
}

void format_image_other_archs(segue_device *device, uint32_t arch, uint32_t out_archs[2])
{
    int archs[MAX_ARCHS];
    const int count = list_archs(device, archs);
    out_archs[0] = out_archs[1] = 0;
    for (int i = 0; i < count; i++) {
        const uint32_t other = (uint32_t)archs[i];
        if (other / 10 < arch / 10 && other > out_archs[0])
            out_archs[0] = other;
        if (other / 10 > arch / 10 && (out_archs[1] == 0 || other < out_archs[1]))
            out_archs[1] = other;
    }
}

uint32_t format_image_ptx_arch(segue_device *device, uint32_t arch)
{
    int archs[MAX_ARCHS];
    const int count = list_archs(device, archs);
    uint32_t chosen = arch;
    for (int i = 0; i < count; i++) {
        const uint32_t other = (uint32_t)archs[i];
        if (other >= OLDEST_ARCH && other < chosen)
            chosen = other;
    }
    return chosen;
}

/* nvcc. */

/** A temporary folder, with all the files that ever are in it. */
struct workshop {
    char folder[PATH_BYTES];
    char source[PATH_BYTES + 16];
    char fatbin[PATH_BYTES + 16];
    char log[PATH_BYTES + 16];
};

static bool open_workshop(struct workshop *workshop)
{
    const char *parent = getenv("TMPDIR");
    const int length = snprintf(workshop->folder, sizeof(workshop->folder), "%s/segue-nvcc-XXXXXX",
                                parent != NULL && *parent != '\0' ? parent : "/tmp");
    if (length >= (int)sizeof(workshop->folder) || mkdtemp(workshop->folder) == NULL)
        return false;
    (void)snprintf(workshop->source, sizeof(workshop->source), "%s/kernels.cu", workshop->folder);
    (void)snprintf(workshop->fatbin, sizeof(workshop->fatbin), "%s/fatbin", workshop->folder);
    (void)snprintf(workshop->log, sizeof(workshop->log), "%s/log", workshop->folder);
    return true;
}

static void close_workshop(const struct workshop *workshop)
{
    (void)remove(workshop->source);
    (void)remove(workshop->fatbin);
    (void)remove(workshop->log);
    if (rmdir(workshop->folder) != 0)
        printf("%s could not be removed: %s\n", workshop->folder, strerror(errno));
}

/** A program of that name in one of the folders, which are separated by colons. */
static bool find_program(const char *folders, const char *suffix, char out_path[PATH_BYTES])
{
    while (folders != NULL && *folders != '\0') {
        const size_t length = strcspn(folders, ":");
        const int used = snprintf(out_path, PATH_BYTES, "%.*s/%s", (int)length, folders, suffix);
        if (length > 0 && used < PATH_BYTES && access(out_path, X_OK) == 0)
            return true;
        folders += length + (folders[length] == ':');
    }
    return false;
}

static bool find_nvcc(char out_path[PATH_BYTES])
{
    return find_program(getenv("PATH"), "nvcc", out_path) ||
           find_program(getenv("CUDA_HOME"), "bin/nvcc", out_path) ||
           find_program("/usr/local/cuda/bin", "nvcc", out_path);
}

/** The file's content, zero-terminated; NULL if it cannot be read. The caller frees it. */
static char *read_file(const char *path, size_t *out_size_bytes)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return NULL;
    char *data = NULL;
    if (fseek(file, 0, SEEK_END) == 0) {
        const long size = ftell(file);
        rewind(file);
        data = size >= 0 ? malloc((size_t)size + 1) : NULL;
        *out_size_bytes = (size_t)size;
    }
    if (data != NULL && fread(data, 1, *out_size_bytes, file) != *out_size_bytes) {
        free(data);
        data = NULL;
    }
    if (data != NULL)
        data[*out_size_bytes] = '\0';
    (void)fclose(file);
    return data;
}

static bool write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "wb");
    if (file == NULL)
        return false;
    const bool written = fputs(text, file) >= 0;
    return fclose(file) == 0 && written;
}

/** Runs a program to its end, its output in the workshop's log. */
static bool run(const struct workshop *workshop, char *const arguments[])
{
    posix_spawn_file_actions_t actions;
    if (posix_spawn_file_actions_init(&actions) != 0)
        return false;
    pid_t process = 0;
    int result = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    if (result == 0)
        result = posix_spawn_file_actions_addopen(&actions, 1, workshop->log,
                                                  O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (result == 0)
        result = posix_spawn_file_actions_adddup2(&actions, 1, 2);
    if (result == 0)
        result = posix_spawn(&process, arguments[0], &actions, NULL, arguments, environ);
    (void)posix_spawn_file_actions_destroy(&actions);
    if (result != 0)
        return false;
    int status = 0;
    while (waitpid(process, &status, 0) < 0) {
        if (errno != EINTR)
            return false;
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool give_log(struct format_image *image, const struct workshop *workshop, const char *nvcc)
{
    size_t size_bytes = 0;
    char *log = read_file(workshop->log, &size_bytes);
    (void)give_reason(image, "%s failed: %.800s", nvcc, log != NULL ? log : "it could not be run");
    free(log);
    return false;
}

/** A driver does not load what a newer major version has compiled. */
static bool fits_driver(segue_device *device, const struct workshop *workshop, char *nvcc,
                        struct format_image *image)
{
    char version[] = "--version";
    char *const arguments[] = {nvcc, version, NULL};
    if (!run(workshop, arguments))
        return give_log(image, workshop, nvcc);
    size_t size_bytes = 0;
    char *text = read_file(workshop->log, &size_bytes);
    const char *release = text != NULL ? strstr(text, "release ") : NULL;
    const long major = release != NULL ? strtol(release + strlen("release "), NULL, 10) : 0;
    free(text);
    const int32_t driver_major = driver_version_of(device) / 1000;
    if (major == 0 || major > driver_major)
        return give_reason(image, "%s is of CUDA %ld, the driver of CUDA %d", nvcc, major,
                           (int)driver_major);
    return true;
}

static bool make_with_nvcc(segue_device *device, struct format_image *image)
{
    struct workshop workshop;
    char nvcc[PATH_BYTES];
    if (!find_nvcc(nvcc))
        return give_reason(image, "no nvcc in $PATH, $CUDA_HOME/bin or /usr/local/cuda/bin");
    if (!open_workshop(&workshop))
        return give_reason(image, "no temporary folder: %s", strerror(errno));
    char kind[] = "-fatbin";
    char output[] = "-o";
    char code[64];
    (void)snprintf(code, sizeof(code), "-gencode=arch=compute_%u,code=sm_%u", image->arch,
                   image->arch);
    char *const arguments[] = {nvcc, kind, code, output, workshop.fatbin, workshop.source, NULL};
    bool made = fits_driver(device, &workshop, nvcc, image);
    if (made && !write_file(workshop.source, segue_test_source))
        made = give_reason(image, "%s could not be written", workshop.source);
    if (made && !run(&workshop, arguments))
        made = give_log(image, &workshop, nvcc);
    size_t size_bytes = 0;
    char *data = made ? read_file(workshop.fatbin, &size_bytes) : NULL;
    if (made)
        made = data != NULL ? take_copy(image, data, size_bytes)
                            : give_reason(image, "%s wrote nothing", nvcc);
    free(data);
    close_workshop(&workshop);
    return made;
}

void format_image_make(segue_device *device, enum segue_executable_format format, uint32_t arch,
                       struct format_image *out_image)
{
    memset(out_image, 0, sizeof(*out_image));
    out_image->format = format;
    out_image->arch = arch;
    if (format == SEGUE_EXECUTABLE_CUDA_SOURCE)
        (void)take_copy(out_image, segue_test_source, strlen(segue_test_source));
    else if (format == SEGUE_EXECUTABLE_FATBIN)
        (void)make_with_nvcc(device, out_image);
    else
        (void)make_with_nvrtc(device, out_image);
}

void format_image_free(struct format_image *image)
{
    free(image->data);
    image->data = NULL;
}
