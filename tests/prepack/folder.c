// SPDX-License-Identifier: Apache-2.0
#include "folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folders[64][48];
static unsigned folder_count;
/** Children that end with exit() leave the folders alone. */
static pid_t owner;

static void remove_folders(void)
{
    if (getpid() != owner)
        return;
    for (unsigned i = 0; i < folder_count; i++) {
        (void)chmod(folders[i], 0700);
        segue_test_empty_folder(folders[i]);
        (void)rmdir(folders[i]);
    }
}

const char *segue_test_folder(void)
{
    if (folder_count == 0) {
        owner = getpid();
        (void)atexit(remove_folders);
    }
    assert_true(folder_count < 64);
    char *folder = folders[folder_count];
    // In memory where that is to be had: the tests flush files many thousand times.
    const bool in_memory = access("/dev/shm", W_OK | X_OK) == 0;
    (void)snprintf(folder, sizeof(folders[0]), "%s/segue-packed-XXXXXX",
                   in_memory ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(folder));
    folder_count++;
    return folder;
}

/** Calls `use` with every file's path and name. */
static void for_each_file(const char *folder,
                          void (*use)(void *context, const char *path, const char *name),
                          void *context)
{
    DIR *listing = opendir(folder);
    if (listing == NULL)
        return;
    for (struct dirent *item = readdir(listing); item != NULL; item = readdir(listing)) {
        char path[512];
        if (strcmp(item->d_name, ".") == 0 || strcmp(item->d_name, "..") == 0)
            continue;
        (void)snprintf(path, sizeof(path), "%s/%s", folder, item->d_name);
        use(context, path, item->d_name);
    }
    (void)closedir(listing);
}

static void remove_file(void *context, const char *path, const char *name)
{
    (void)context;
    (void)name;
    (void)unlink(path);
}

void segue_test_empty_folder(const char *folder)
{
    for_each_file(folder, remove_file, NULL);
}

static unsigned char *read_path(const char *path, size_t *out_size_bytes)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    struct stat info;
    assert_int_equal(fstat(fileno(file), &info), 0);
    unsigned char *data = malloc((size_t)info.st_size + 1);
    assert_non_null(data);
    *out_size_bytes = fread(data, 1, (size_t)info.st_size, file);
    assert_int_equal(*out_size_bytes, info.st_size);
    (void)fclose(file);
    return data;
}

void segue_test_write_file(const char *folder, const char *name, const void *data,
                           size_t size_bytes)
{
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    (void)unlink(path);
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, size_bytes), size_bytes);
    assert_int_equal(close(fd), 0);
}

static void copy_file(void *context, const char *path, const char *name)
{
    size_t size_bytes = 0;
    unsigned char *data = read_path(path, &size_bytes);
    segue_test_write_file(context, name, data, size_bytes);
    free(data);
}

void segue_test_copy_folder(const char *from, const char *to)
{
    segue_test_empty_folder(to);
    for_each_file(from, copy_file, (void *)(uintptr_t)to);
}

struct search {
    const char *ending;
    uint32_t count;
    char *name;
    char path[512];
};

static void match_file(void *context, const char *path, const char *name)
{
    struct search *search = context;
    const size_t length = strlen(name);
    const size_t ending_length = strlen(search->ending);
    if (length < ending_length || strcmp(name + length - ending_length, search->ending) != 0)
        return;
    search->count++;
    if (search->name != NULL)
        (void)snprintf(search->name, 64, "%.63s", name);
    (void)snprintf(search->path, sizeof(search->path), "%s", path);
}

uint32_t segue_test_count_files(const char *folder, const char *ending, char out_name[64])
{
    struct search search = {.ending = ending, .name = out_name};
    for_each_file(folder, match_file, &search);
    return search.count;
}

unsigned char *segue_test_read_file(const char *folder, const char *ending, size_t *out_size_bytes)
{
    struct search search = {.ending = ending};
    for_each_file(folder, match_file, &search);
    assert_int_equal(search.count, 1);
    return read_path(search.path, out_size_bytes);
}

struct segue_packed_key segue_test_key(uint32_t number)
{
    struct segue_packed_key key = {.layout_id = 3, .layout_version = 1, .architecture = 90};
    segue_packed_digest_bytes(&number, sizeof(number), &key.inputs);
    return key;
}

const char *segue_test_name(uint32_t number)
{
    static char name[32];
    (void)snprintf(name, sizeof(name), "tensor %u", number);
    return name;
}

void segue_test_fill(uint32_t number, uint64_t offset_bytes, void *data, size_t length_bytes)
{
    unsigned char *bytes = data;
    for (size_t i = 0; i < length_bytes; i++) {
        const uint64_t at = offset_bytes + i;
        const uint64_t mixed = (at / 8 + 1) * UINT64_C(0x9E3779B97F4A7C15) * (2 * number + 1);
        bytes[i] = (unsigned char)(mixed >> (8 * (at % 8)));
    }
}

uint64_t segue_test_lock_timeout_ns = UINT64_C(60000000000);

segue_status segue_test_open(const char *folder, uint32_t flags, segue_packed_cache **out_cache)
{
    const struct segue_packed_cache_params params = {
        .path = folder,
        .flags = flags,
        .verification = SEGUE_PACKED_VERIFY_FULL,
        .lock_timeout_ns = segue_test_lock_timeout_ns,
    };
    return segue_packed_cache_open(&params, out_cache);
}

segue_status segue_test_add(segue_packed_writer *writer, struct segue_test_tensor tensor)
{
    const struct segue_packed_tensor params = {
        .key = segue_test_key(tensor.number),
        .model = "model",
        .name = segue_test_name(tensor.number),
        .size_bytes = tensor.size_bytes,
    };
    segue_status status = segue_packed_writer_add(writer, &params);
    unsigned char *piece = malloc(300001);
    assert_non_null(piece);
    for (uint64_t offset = 0; status == SEGUE_OK && offset < tensor.size_bytes;) {
        const uint64_t rest = tensor.size_bytes - offset;
        const size_t length = rest < 300001 ? (size_t)rest : 300001;
        segue_test_fill(tensor.number, offset, piece, length);
        status = segue_packed_writer_append(writer, piece, length);
        offset += length;
    }
    free(piece);
    return status;
}

segue_status segue_test_build(const char *folder, const struct segue_test_tensor *tensors,
                              uint32_t count)
{
    segue_packed_cache *cache = NULL;
    segue_packed_writer *writer = NULL;
    segue_status status = segue_test_open(folder, 0, &cache);
    if (status != SEGUE_OK)
        return status;
    status = segue_packed_cache_begin(cache, &writer);
    for (uint32_t i = 0; status == SEGUE_OK && i < count; i++) {
        const struct segue_packed_key key = segue_test_key(tensors[i].number);
        segue_packed_entry *entry = NULL;
        if (segue_packed_cache_find(cache, &key, "model", segue_test_name(tensors[i].number),
                                    &entry, NULL) != SEGUE_OK)
            status = segue_test_add(writer, tensors[i]);
        segue_packed_entry_release(entry);
    }
    if (status == SEGUE_OK)
        status = segue_packed_writer_publish(writer);
    else
        segue_packed_writer_abandon(writer);
    segue_packed_cache_close(cache);
    return status;
}

enum segue_test_found segue_test_look(segue_packed_cache *cache, struct segue_test_tensor tensor)
{
    const struct segue_packed_key key = segue_test_key(tensor.number);
    segue_packed_entry *entry = NULL;
    segue_status status =
        segue_packed_cache_find(cache, &key, "model", segue_test_name(tensor.number), &entry, NULL);
    if (status != SEGUE_OK)
        return status == SEGUE_NOT_FOUND ? SEGUE_TEST_ABSENT : SEGUE_TEST_FAILED;
    struct segue_packed_entry_info info;
    segue_packed_entry_get_info(entry, &info);
    unsigned char *served = malloc(tensor.size_bytes);
    unsigned char *expected = malloc(tensor.size_bytes);
    assert_true(served != NULL && expected != NULL);
    enum segue_test_found found = SEGUE_TEST_WRONG;
    if (info.size_bytes == tensor.size_bytes) {
        status = segue_packed_entry_read(entry, 0, served, tensor.size_bytes);
        segue_test_fill(tensor.number, 0, expected, tensor.size_bytes);
        if (status != SEGUE_OK)
            found = status == SEGUE_MISMATCH ? SEGUE_TEST_REFUSED : SEGUE_TEST_FAILED;
        else if (memcmp(served, expected, tensor.size_bytes) == 0)
            found = SEGUE_TEST_RIGHT;
    }
    free(served);
    free(expected);
    segue_packed_entry_release(entry);
    return found;
}
