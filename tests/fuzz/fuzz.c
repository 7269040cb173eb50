// SPDX-License-Identifier: Apache-2.0
#include "fuzz.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static char folder[64];

/** Driver objects that earlier inputs may have left. */
static uint64_t accepted_objects;

void fuzz_fail(const char *file, int line, const char *condition, const char *format, ...)
{
    fprintf(stderr, "%s:%d: ", file, line);
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "\n    not so: %s\n", condition);
    abort();
}

static uint64_t read_number(struct fuzz_input *input, size_t size)
{
    uint64_t value = 0;
    for (size_t i = 0; i < size && input->left > 0; ++i) {
        value |= (uint64_t)*input->next++ << (8 * i);
        --input->left;
    }
    return value;
}

uint8_t fuzz_u8(struct fuzz_input *input)
{
    return (uint8_t)read_number(input, 1);
}

uint16_t fuzz_u16(struct fuzz_input *input)
{
    return (uint16_t)read_number(input, 2);
}

uint32_t fuzz_u32(struct fuzz_input *input)
{
    return (uint32_t)read_number(input, 4);
}

uint64_t fuzz_u64(struct fuzz_input *input)
{
    return read_number(input, 8);
}

static bool takes_fault(struct fuzz_memory *memory)
{
    if (memory->fail_nth == 0 || --memory->fail_nth > 0)
        return false;
    memory->fail_nth = memory->fail_forever ? 1 : 0;
    ++memory->failed_count;
    return true;
}

/** In front of each allocation. */
struct block {
    size_t size_bytes;
};
enum { BLOCK_BYTES = 64 };

static void *allocate(void *context, size_t size_bytes, size_t align_bytes)
{
    struct fuzz_memory *memory = context;
    void *block = NULL;
    FUZZ_CHECK(align_bytes <= BLOCK_BYTES, "alignment %zu", align_bytes);
    if (takes_fault(memory) || size_bytes > SIZE_MAX - BLOCK_BYTES)
        return NULL;
    // Not rounded up, so that the sanitizer sees every byte too far.
    if (posix_memalign(&block, BLOCK_BYTES, size_bytes + BLOCK_BYTES) != 0)
        return NULL;
    ((struct block *)block)->size_bytes = size_bytes;
    ++memory->live_count;
    return (char *)block + BLOCK_BYTES;
}

static void release(void *context, void *pointer, size_t size_bytes)
{
    struct fuzz_memory *memory = context;
    if (pointer == NULL)
        return;
    struct block *block = (struct block *)((char *)pointer - BLOCK_BYTES);
    FUZZ_CHECK(block->size_bytes == size_bytes, "%zu bytes are released as %zu", block->size_bytes,
               size_bytes);
    --memory->live_count;
    free(block);
}

segue_device *fuzz_open_device(struct fuzz_memory *memory, enum segue_validation validation)
{
    *memory = (struct fuzz_memory){0};
    const struct segue_allocator allocator = {allocate, release, memory};
    const struct segue_device_params params = {
        .allocator = &allocator,
        .validation = validation,
        .libsoft_path = FUZZ_LIBSOFT,
        // No compiler: it is slow, and not what is tested. Declarations take its place.
        .libnvrtc_path = "/nonexistent",
        .compile_cache_path = "",
    };
    segue_device *device = NULL;
    segue_status status = segue_device_open("soft://?seed=1", &params, &device);
    FUZZ_CHECK(status == SEGUE_OK, "soft:// could not be opened: %s", segue_last_error()->message);
    const struct segue_soft_api *soft = segue_device_get_soft_api(device);
    soft->reset_report();
    return device;
}

void fuzz_check_end(const struct segue_soft_api *soft, const struct fuzz_memory *memory)
{
    struct segue_soft_report report;
    // A kernel may have failed as late as when everything was destroyed.
    soft->set_device_lost(0);
    soft->get_report(&report);
    FUZZ_CHECK(memory->live_count == 0, "expected no allocation to be left; %llu are",
               (unsigned long long)memory->live_count);
    FUZZ_CHECK(report.live_objects == accepted_objects,
               "expected %llu driver objects to be left; %llu are: %llu allocations, %llu streams, "
               "%llu events, %llu modules, %llu graphs, %llu executable graphs",
               (unsigned long long)accepted_objects, (unsigned long long)report.live_objects,
               (unsigned long long)report.live_allocations, (unsigned long long)report.live_streams,
               (unsigned long long)report.live_events, (unsigned long long)report.live_modules,
               (unsigned long long)report.live_graphs, (unsigned long long)report.live_graph_execs);
    FUZZ_CHECK(report.misuse_count == 0, "expected no misuse of the driver; first of %llu: %s",
               (unsigned long long)report.misuse_count, report.first_misuse);
}

void fuzz_accept_leaks(const struct segue_soft_api *soft)
{
    struct segue_soft_report report;
    soft->get_report(&report);
    accepted_objects = report.live_objects;
}

static void remove_folder(void)
{
    DIR *entries = opendir(folder);
    if (entries == NULL)
        return;
    for (const struct dirent *entry = readdir(entries); entry != NULL; entry = readdir(entries))
        (void)unlinkat(dirfd(entries), entry->d_name, 0);
    closedir(entries);
    (void)rmdir(folder);
}

const char *fuzz_folder(void)
{
    if (folder[0] == '\0') {
        strcpy(folder, "/tmp/segue-fuzz-XXXXXX");
        FUZZ_CHECK(mkdtemp(folder) != NULL, "no folder could be made in /tmp");
        atexit(remove_folder);
    }
    return folder;
}

int fuzz_open_bytes(const void *data, size_t size)
{
    int file = memfd_create("fuzz", MFD_CLOEXEC);
    FUZZ_CHECK(file >= 0, "no file in memory could be made");
    FUZZ_CHECK(write(file, data, size) == (ssize_t)size, "the file could not be written");
    return file;
}
