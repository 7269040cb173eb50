// SPDX-License-Identifier: Apache-2.0
#include "compile_cache.h"

#include "status.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/** Begins every file, in the machine's byte order: images are for this machine's GPU anyhow. */
struct file_header {
    char magic[8];
    uint64_t size_bytes;
    struct segue_compile_cache_key key;
    unsigned char checksum[SEGUE_SHA256_BYTES];
};

static const char magic[8] = {'S', 'E', 'G', 'U', 'E', 'C', 'C', '1'};

/** No image is larger; keeps a broken file from asking for all memory. */
#define LARGEST_IMAGE_BYTES (UINT64_C(1) << 30)

static bool make_path(const struct segue_compile_cache *cache,
                      const struct segue_compile_cache_key *key, const char *suffix,
                      char out_path[PATH_MAX])
{
    char name[2 * SEGUE_SHA256_BYTES + 1];
    for (size_t i = 0; i < SEGUE_SHA256_BYTES; i++)
        (void)snprintf(name + 2 * i, 3, "%02x", key->digest[i]);
    const int length = snprintf(out_path, PATH_MAX, "%s/%s.bin%s", cache->folder, name, suffix);
    return length > 0 && length < PATH_MAX;
}

static bool read_all(int file, void *data, size_t size_bytes)
{
    char *cursor = data;
    while (size_bytes > 0) {
        const ssize_t count = read(file, cursor, size_bytes);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return false;
        cursor += count;
        size_bytes -= (size_t)count;
    }
    return true;
}

static bool write_all(int file, const void *data, size_t size_bytes)
{
    const char *cursor = data;
    while (size_bytes > 0) {
        const ssize_t count = write(file, cursor, size_bytes);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return false;
        cursor += count;
        size_bytes -= (size_t)count;
    }
    return true;
}

static void take_checksum(const void *data, size_t size_bytes,
                          unsigned char out_checksum[SEGUE_SHA256_BYTES])
{
    struct segue_sha256 hash;
    segue_sha256_init(&hash);
    segue_sha256_update(&hash, data, size_bytes);
    segue_sha256_finish(&hash, out_checksum);
}

/** Reads the image from an open file; NULL with a reason if it does not verify. */
static void *read_image(const struct segue_compile_cache *cache,
                        const struct segue_compile_cache_key *key, int file, size_t *out_size_bytes,
                        const char **out_reason)
{
    struct file_header header;
    struct stat info;
    *out_reason = "its header is not valid";
    if (fstat(file, &info) != 0 || !S_ISREG(info.st_mode) ||
        !read_all(file, &header, sizeof(header)) ||
        memcmp(header.magic, magic, sizeof(magic)) != 0 ||
        memcmp(&header.key, key, sizeof(*key)) != 0)
        return NULL;
    *out_reason = "its length is not what its header says";
    if (header.size_bytes == 0 || header.size_bytes > LARGEST_IMAGE_BYTES ||
        (uint64_t)info.st_size != sizeof(header) + header.size_bytes)
        return NULL;
    *out_reason = "there is no memory for it";
    const size_t size_bytes = (size_t)header.size_bytes;
    void *data = segue_allocate(cache->allocator, size_bytes);
    if (data == NULL)
        return NULL;
    unsigned char checksum[SEGUE_SHA256_BYTES] = {0};
    *out_reason = "its checksum does not match";
    if (read_all(file, data, size_bytes))
        take_checksum(data, size_bytes, checksum);
    if (memcmp(checksum, header.checksum, sizeof(checksum)) != 0) {
        segue_release(cache->allocator, data, size_bytes);
        return NULL;
    }
    *out_size_bytes = size_bytes;
    return data;
}

void *segue_compile_cache_load(const struct segue_compile_cache *cache,
                               const struct segue_compile_cache_key *key, size_t *out_size_bytes)
{
    char path[PATH_MAX];
    if (cache->folder == NULL || !make_path(cache, key, "", path))
        return NULL;
    // Not blocking: a pipe of that name must not hang the compiler.
    const int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0)
        return NULL;
    const char *reason = NULL;
    void *data = read_image(cache, key, file, out_size_bytes, &reason);
    if (data == NULL)
        segue_log(cache->device, SEGUE_LOG_WARNING,
                  "compile cache: %s is ignored and will be replaced: %s", path, reason);
    (void)close(file);
    return data;
}

/** mkdir -p with access for the user alone. */
static bool make_folders(const char *folder)
{
    char path[PATH_MAX];
    if (strlen(folder) >= sizeof(path))
        return false;
    strcpy(path, folder);
    for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(path, 0700) != 0 && errno != EEXIST)
            return false;
        *slash = '/';
    }
    return mkdir(path, 0700) == 0 || errno == EEXIST;
}

static bool write_file(const char *temporary, int file, const char *path,
                       const struct segue_compile_cache_key *key, const void *data,
                       size_t size_bytes)
{
    struct file_header header = {.size_bytes = size_bytes, .key = *key};
    memcpy(header.magic, magic, sizeof(magic));
    take_checksum(data, size_bytes, header.checksum);
    const bool written =
        write_all(file, &header, sizeof(header)) && write_all(file, data, size_bytes);
    // A full disk may only show when the file is closed.
    const bool closed = close(file) == 0;
    return written && closed && rename(temporary, path) == 0;
}

void segue_compile_cache_store(const struct segue_compile_cache *cache,
                               const struct segue_compile_cache_key *key, const void *data,
                               size_t size_bytes)
{
    char path[PATH_MAX];
    char temporary[PATH_MAX];
    if (cache->folder == NULL || !make_path(cache, key, "", path) ||
        !make_path(cache, key, ".XXXXXX", temporary))
        return;
    const char *step = "making the folder";
    if (!make_folders(cache->folder))
        goto fail;
    step = "creating a file";
    const int file = mkostemp(temporary, O_CLOEXEC);
    if (file < 0)
        goto fail;
    step = "writing a file";
    if (!write_file(temporary, file, path, key, data, size_bytes))
        goto fail_written;
    return;

fail_written:;
    const int write_error = errno;
    (void)unlink(temporary);
    errno = write_error;
fail:
    segue_log(cache->device, SEGUE_LOG_WARNING,
              "compile cache: %s in %s failed (%s); the compiled code is not kept", step,
              cache->folder, strerror(errno));
}
