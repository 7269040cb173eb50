// SPDX-License-Identifier: Apache-2.0
// Every call to the system that the compile cache makes, failing: it goes on without the cache,
// leaves nothing half written, and never takes a broken file for an image. The calls go through the
// linker's wrappers.
#include "compile_cache.h"

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/** The call that fails, the how manieth of its kind, and with what. */
static struct {
    const char *call;
    int nth;
    int error;
    /** Reads and writes move at most this many bytes at a time; 0: as many as asked for. */
    size_t piece_bytes;
    bool failed;
} fault;

static bool fails(const char *call)
{
    if (fault.call == NULL || strcmp(fault.call, call) != 0 || --fault.nth != 0)
        return false;
    fault.failed = true;
    errno = fault.error;
    return true;
}

static size_t piece(size_t size_bytes)
{
    return fault.piece_bytes != 0 && size_bytes > fault.piece_bytes ? fault.piece_bytes
                                                                    : size_bytes;
}

ssize_t __real_read(int file, void *data, size_t size_bytes);
ssize_t __real_write(int file, const void *data, size_t size_bytes);
int __real_close(int file);
int __real_rename(const char *from, const char *to);
int __real_mkdir(const char *path, mode_t mode);
int __real_mkostemp(char *path, int flags);
int __real_fstat(int file, struct stat *out);
ssize_t __wrap_read(int file, void *data, size_t size_bytes);
ssize_t __wrap_write(int file, const void *data, size_t size_bytes);
int __wrap_close(int file);
int __wrap_rename(const char *from, const char *to);
int __wrap_mkdir(const char *path, mode_t mode);
int __wrap_mkostemp(char *path, int flags);
int __wrap_fstat(int file, struct stat *out);

ssize_t __wrap_read(int file, void *data, size_t size_bytes)
{
    // Without an error number the file ends early.
    if (fails("read"))
        return fault.error != 0 ? -1 : 0;
    return __real_read(file, data, piece(size_bytes));
}

ssize_t __wrap_write(int file, const void *data, size_t size_bytes)
{
    if (fails("write"))
        return fault.error != 0 ? -1 : 0;
    return __real_write(file, data, piece(size_bytes));
}

int __wrap_close(int file)
{
    int result = __real_close(file);
    return fails("close") ? -1 : result;
}

int __wrap_rename(const char *from, const char *to)
{
    return fails("rename") ? -1 : __real_rename(from, to);
}

int __wrap_mkdir(const char *path, mode_t mode)
{
    return fails("mkdir") ? -1 : __real_mkdir(path, mode);
}

int __wrap_mkostemp(char *path, int flags)
{
    return fails("mkostemp") ? -1 : __real_mkostemp(path, flags);
}

int __wrap_fstat(int file, struct stat *out)
{
    return fails("fstat") ? -1 : __real_fstat(file, out);
}

static char base[] = "/tmp/segue-cache-XXXXXX";
static char folder[sizeof(base) + 8];
static const char image[] = "an image of a module, some words long";

static struct segue_compile_cache cache = {NULL, &segue_default_allocator, folder};

/** A key of its own for every case. */
static struct segue_compile_cache_key next_key(void)
{
    static uint32_t count;
    struct segue_compile_cache_key key = {{0}};
    count++;
    memcpy(key.digest, &count, sizeof(count));
    return key;
}

static void inject(const char *call, int nth, int error)
{
    fault.call = call;
    fault.nth = nth;
    fault.error = error;
    fault.failed = false;
}

/** Whether the image is there, whole. */
static bool load(const struct segue_compile_cache_key *key)
{
    size_t size_bytes = 0;
    void *data = segue_compile_cache_load(&cache, key, &size_bytes);
    if (data == NULL)
        return false;
    assert_int_equal(size_bytes, sizeof(image));
    assert_memory_equal(data, image, sizeof(image));
    segue_release(cache.allocator, data, size_bytes);
    return true;
}

/** Files in the cache's folder. */
static uint32_t count_files(void)
{
    uint32_t count = 0;
    DIR *directory = opendir(folder);
    if (directory == NULL)
        return 0;
    for (struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory))
        count += entry->d_name[0] != '.';
    (void)closedir(directory);
    return count;
}

/** Storing with that fault keeps nothing, and storing again does. */
static void expect_not_stored(const char *call, int nth, int error)
{
    const struct segue_compile_cache_key key = next_key();
    uint32_t before = count_files();
    inject(call, nth, error);
    segue_compile_cache_store(&cache, &key, image, sizeof(image));
    assert_true(fault.failed);
    assert_int_equal(count_files(), before);
    assert_false(load(&key));
    segue_compile_cache_store(&cache, &key, image, sizeof(image));
    assert_true(load(&key));
}

static void test_storing_fails(void **state)
{
    (void)state;
    // The folder and its parent.
    expect_not_stored("mkdir", 1, EACCES);
    expect_not_stored("mkdir", 2, ENOSPC);
    expect_not_stored("mkostemp", 1, EROFS);
    // Header and image.
    expect_not_stored("write", 1, ENOSPC);
    expect_not_stored("write", 2, ENOSPC);
    expect_not_stored("write", 2, 0);
    expect_not_stored("close", 1, EDQUOT);
    expect_not_stored("rename", 1, EXDEV);
}

/** Loading with that fault gives nothing, and loading again does. */
static void expect_not_loaded(const char *call, int nth, int error)
{
    const struct segue_compile_cache_key key = next_key();
    segue_compile_cache_store(&cache, &key, image, sizeof(image));
    inject(call, nth, error);
    assert_false(load(&key));
    assert_true(fault.failed);
    assert_true(load(&key));
}

static void test_loading_fails(void **state)
{
    (void)state;
    expect_not_loaded("fstat", 1, EIO);
    expect_not_loaded("read", 1, EIO);
    expect_not_loaded("read", 2, EIO);
    expect_not_loaded("read", 2, 0);
}

static void test_interruptions_and_pieces(void **state)
{
    (void)state;
    const struct segue_compile_cache_key key = next_key();
    fault.piece_bytes = 5;
    inject("write", 3, EINTR);
    segue_compile_cache_store(&cache, &key, image, sizeof(image));
    assert_true(fault.failed);
    inject("read", 3, EINTR);
    assert_true(load(&key));
    assert_true(fault.failed);
    fault.piece_bytes = 0;
}

static void *allocate_nothing(void *context, size_t size_bytes, size_t align_bytes)
{
    (void)context;
    (void)size_bytes;
    (void)align_bytes;
    return NULL;
}

static void test_no_memory(void **state)
{
    (void)state;
    const struct segue_allocator none = {.allocate = allocate_nothing};
    const struct segue_compile_cache poor = {NULL, &none, folder};
    const struct segue_compile_cache_key key = next_key();
    size_t size_bytes = 7;
    segue_compile_cache_store(&cache, &key, image, sizeof(image));
    assert_null(segue_compile_cache_load(&poor, &key, &size_bytes));
    assert_int_equal(size_bytes, 7);
}

static void test_folder_names_too_long(void **state)
{
    (void)state;
    static char endless[5000];
    memset(endless, 'a', sizeof(endless) - 1);
    endless[0] = '/';
    const struct segue_compile_cache_key key = next_key();
    struct segue_compile_cache far = {NULL, &segue_default_allocator, endless};
    size_t size_bytes = 7;
    segue_compile_cache_store(&far, &key, image, sizeof(image));
    assert_null(segue_compile_cache_load(&far, &key, &size_bytes));
    // The final name fits, the temporary one does not.
    endless[4096 - 70] = '\0';
    segue_compile_cache_store(&far, &key, image, sizeof(image));
    assert_null(segue_compile_cache_load(&far, &key, &size_bytes));
    far.folder = NULL;
    segue_compile_cache_store(&far, &key, image, sizeof(image));
    assert_null(segue_compile_cache_load(&far, &key, &size_bytes));
    assert_int_equal(size_bytes, 7);
}

int main(void)
{
    if (mkdtemp(base) == NULL)
        return 1;
    (void)snprintf(folder, sizeof(folder), "%s/a", base);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_storing_fails),
        cmocka_unit_test(test_loading_fails),
        cmocka_unit_test(test_interruptions_and_pieces),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_folder_names_too_long),
    };
    int result = cmocka_run_group_tests(tests, NULL, NULL);
    char command[64];
    (void)snprintf(command, sizeof(command), "rm -r '%s'", base);
    return system(command) != 0 ? 1 : result;
}
