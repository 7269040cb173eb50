// SPDX-License-Identifier: Apache-2.0
// The compile cache and its hash.
#include "cache_folder.h"
#include "compile_cache.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    char base[64];
    char folder[80];
    struct segue_compile_cache cache;
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    if (fixture == NULL)
        return -1;
    strcpy(fixture->base, "/tmp/segue-cache-XXXXXX");
    if (mkdtemp(fixture->base) == NULL)
        return -1;
    (void)snprintf(fixture->folder, sizeof(fixture->folder), "%s/a/b", fixture->base);
    fixture->cache = (struct segue_compile_cache){NULL, &segue_default_allocator, fixture->folder};
    *state = fixture;
    return 0;
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *position)
{
    (void)info;
    (void)kind;
    (void)position;
    return remove(path);
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    const int result = nftw(fixture->base, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    free(fixture);
    return result;
}

static struct segue_compile_cache_key key_of(const char *text)
{
    struct segue_compile_cache_key key;
    struct segue_sha256 hash;
    segue_sha256_init(&hash);
    segue_sha256_update(&hash, text, strlen(text));
    segue_sha256_finish(&hash, key.digest);
    return key;
}

/** Finds the only file in the cache's folder. */
static void only_file(const struct fixture *fixture, char out_path[PATH_MAX])
{
    DIR *folder = opendir(fixture->folder);
    assert_non_null(folder);
    uint32_t count = 0;
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        if (entry->d_name[0] == '.')
            continue;
        (void)snprintf(out_path, PATH_MAX, "%s/%s", fixture->folder, entry->d_name);
        count++;
    }
    (void)closedir(folder);
    assert_int_equal(count, 1);
}

static void expect_stored(const struct fixture *fixture, const char *key_text, const char *content)
{
    const struct segue_compile_cache_key key = key_of(key_text);
    size_t size_bytes = 0;
    char *data = segue_compile_cache_load(&fixture->cache, &key, &size_bytes);
    assert_non_null(data);
    assert_int_equal(size_bytes, strlen(content));
    assert_memory_equal(data, content, size_bytes);
    segue_release(&segue_default_allocator, data, size_bytes);
}

static void expect_missing(const struct fixture *fixture, const char *key_text)
{
    const struct segue_compile_cache_key key = key_of(key_text);
    size_t size_bytes = 77;
    assert_null(segue_compile_cache_load(&fixture->cache, &key, &size_bytes));
    assert_int_equal(size_bytes, 77);
}

static void store(const struct fixture *fixture, const char *key_text, const char *content)
{
    const struct segue_compile_cache_key key = key_of(key_text);
    segue_compile_cache_store(&fixture->cache, &key, content, strlen(content));
}

static void expect_digest(const char *data, size_t size_bytes, size_t repeat, const char *expected)
{
    struct segue_sha256 hash;
    unsigned char digest[SEGUE_SHA256_BYTES];
    char text[2 * SEGUE_SHA256_BYTES + 1];
    segue_sha256_init(&hash);
    for (size_t i = 0; i < repeat; i++)
        segue_sha256_update(&hash, data, size_bytes);
    segue_sha256_finish(&hash, digest);
    for (size_t i = 0; i < sizeof(digest); i++)
        (void)snprintf(text + 2 * i, 3, "%02x", digest[i]);
    assert_string_equal(text, expected);
}

/** Examples of FIPS 180-4, and lengths around the padding's limits. */
static void test_sha256(void **state)
{
    (void)state;
    expect_digest("", 0, 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    expect_digest("abc", 3, 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    expect_digest("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56, 1,
                  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    expect_digest("a", 1, 1000000,
                  "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    expect_digest("a", 1, 55, "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318");
    expect_digest("aaaaaaaaaa", 10, 12,
                  "2f3d335432c70b580af0e8e1b3674a7c020d683aa5f73aaaedfdc55af904c21c");
}

static void test_folder(void **state)
{
    (void)state;
    char folder[PATH_MAX];
    const char *old_cache = getenv("XDG_CACHE_HOME");
    const char *old_home = getenv("HOME");
    char *kept_cache = old_cache != NULL ? strdup(old_cache) : NULL;
    char *kept_home = old_home != NULL ? strdup(old_home) : NULL;

    assert_true(segue_cache_find_folder("/given", folder, sizeof(folder)));
    assert_string_equal(folder, "/given");
    assert_false(segue_cache_find_folder("", folder, sizeof(folder)));
    assert_false(segue_cache_find_folder("/given", folder, 6));
    assert_int_equal(setenv("XDG_CACHE_HOME", "/xdg", 1), 0);
    assert_int_equal(setenv("HOME", "/home/me", 1), 0);
    assert_true(segue_cache_find_folder(NULL, folder, sizeof(folder)));
    assert_string_equal(folder, "/xdg/segue");
    assert_int_equal(setenv("XDG_CACHE_HOME", "relative", 1), 0);
    assert_true(segue_cache_find_folder(NULL, folder, sizeof(folder)));
    assert_string_equal(folder, "/home/me/.cache/segue");
    assert_int_equal(unsetenv("XDG_CACHE_HOME"), 0);
    assert_int_equal(unsetenv("HOME"), 0);
    assert_false(segue_cache_find_folder(NULL, folder, sizeof(folder)));

    if (kept_cache != NULL)
        assert_int_equal(setenv("XDG_CACHE_HOME", kept_cache, 1), 0);
    if (kept_home != NULL)
        assert_int_equal(setenv("HOME", kept_home, 1), 0);
    free(kept_cache);
    free(kept_home);
}

static void test_round_trip(void **state)
{
    const struct fixture *fixture = *state;
    char path[PATH_MAX];
    struct stat info;
    expect_missing(fixture, "one");
    store(fixture, "one", "first image");
    expect_stored(fixture, "one", "first image");
    expect_missing(fixture, "two");
    // The name alone is left: no temporary file. Nobody else may look.
    only_file(fixture, path);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0600);
    assert_int_equal(stat(fixture->folder, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0700);
    (void)snprintf(path, sizeof(path), "%s/a", fixture->base);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0700);
    store(fixture, "one", "another image");
    expect_stored(fixture, "one", "another image");
    only_file(fixture, path);
}

/** Every byte of the file matters. */
static void test_corrupt_file(void **state)
{
    const struct fixture *fixture = *state;
    char path[PATH_MAX];
    store(fixture, "key", "content");
    only_file(fixture, path);
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    for (off_t at = 0; at < info.st_size; at++) {
        const int file = open(path, O_RDWR);
        unsigned char byte;
        assert_true(file >= 0);
        assert_int_equal(pread(file, &byte, 1, at), 1);
        byte ^= 0x10;
        assert_int_equal(pwrite(file, &byte, 1, at), 1);
        assert_int_equal(close(file), 0);
        expect_missing(fixture, "key");
        store(fixture, "key", "content");
        expect_stored(fixture, "key", "content");
    }
    assert_int_equal(truncate(path, info.st_size - 1), 0);
    expect_missing(fixture, "key");
    assert_int_equal(truncate(path, info.st_size + 1), 0);
    expect_missing(fixture, "key");
    assert_int_equal(truncate(path, 0), 0);
    expect_missing(fixture, "key");
}

/** A valid file under another key's name. */
static void test_misplaced_file(void **state)
{
    const struct fixture *fixture = *state;
    char from[PATH_MAX];
    char to[PATH_MAX];
    store(fixture, "one", "content");
    only_file(fixture, from);
    assert_int_equal(unlink(from), 0);
    store(fixture, "two", "content");
    only_file(fixture, to);
    assert_int_equal(rename(to, from), 0);
    expect_missing(fixture, "one");
}

static void test_unusable_folder(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    // A folder cannot be made below a file.
    (void)snprintf(path, sizeof(path), "%s/a", fixture->base);
    const int file = open(path, O_CREAT | O_WRONLY, 0600);
    assert_true(file >= 0);
    assert_int_equal(close(file), 0);
    store(fixture, "key", "content");
    expect_missing(fixture, "key");
    fixture->cache.folder = NULL;
    store(fixture, "key", "content");
    expect_missing(fixture, "key");
}

static void *store_many(void *argument)
{
    const struct fixture *fixture = argument;
    for (uint32_t i = 0; i < 50; i++)
        store(fixture, "shared", "the same content from everyone");
    return NULL;
}

/** Readers never see half a file. */
static void test_concurrent_stores(void **state)
{
    struct fixture *fixture = *state;
    pthread_t threads[3];
    char path[PATH_MAX];
    store(fixture, "shared", "the same content from everyone");
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, store_many, fixture), 0);
    for (uint32_t i = 0; i < 200; i++)
        expect_stored(fixture, "shared", "the same content from everyone");
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    only_file(fixture, path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sha256),
        cmocka_unit_test(test_folder),
        cmocka_unit_test_setup_teardown(test_round_trip, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_corrupt_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_misplaced_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_unusable_folder, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_concurrent_stores, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
