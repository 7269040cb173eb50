// SPDX-License-Identifier: Apache-2.0
// The packed cache as its users see it: what was put in comes out, for the right key only; builds
// happen once and change nothing else; folders stay small.
#include "folder.h"

#include <segue/prepack_kernels.h>

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define MIB (1u << 20)

/** Sizes around every border: words, pages, chunks. */
static const struct segue_test_tensor tensors[] = {
    {1, 1},       {2, 7},   {3, 8},       {4, 4095},         {5, 4096},    {6, 4097},
    {7, MIB - 1}, {8, MIB}, {9, MIB + 1}, {10, 3 * MIB + 5}, {11, 300001}, {12, 2 * MIB},
};
#define TENSOR_COUNT ((uint32_t)(sizeof(tensors) / sizeof(tensors[0])))

static segue_packed_cache *open_cache(const char *folder, uint32_t flags)
{
    segue_packed_cache *cache = NULL;
    assert_int_equal(segue_test_open(folder, flags, &cache), SEGUE_OK);
    return cache;
}

static struct segue_packed_cache_stats stats_of(segue_packed_cache *cache)
{
    struct segue_packed_cache_stats stats;
    segue_packed_cache_get_stats(cache, &stats);
    return stats;
}

static void test_round_trip(void **state)
{
    (void)state;
    const char *folder = segue_test_folder();
    assert_int_equal(segue_test_build(folder, tensors, TENSOR_COUNT), SEGUE_OK);
    assert_int_equal(segue_test_count_files(folder, ".pack", NULL), 1);
    segue_packed_cache *cache = open_cache(folder, 0);
    for (uint32_t i = 0; i < TENSOR_COUNT; i++)
        assert_int_equal(segue_test_look(cache, tensors[i]), SEGUE_TEST_RIGHT);
    const struct segue_packed_cache_stats stats = stats_of(cache);
    assert_int_equal(stats.hits, TENSOR_COUNT);
    assert_int_equal(stats.entry_count, TENSOR_COUNT);
    assert_int_equal(stats.corrupt_chunks, 0);
    // 8 of one chunk, 9 of two, 10 of four, 12 of two.
    assert_int_equal(stats.verified_chunks, 9 + 2 + 4 + 2);
    segue_packed_cache_close(cache);
}

/** Ranges within a tensor, across chunks, and outside of it. */
static void test_partial_reads(void **state)
{
    (void)state;
    const char *folder = segue_test_folder();
    const struct segue_test_tensor tensor = {10, 3 * MIB + 5};
    assert_int_equal(segue_test_build(folder, &tensor, 1), SEGUE_OK);
    segue_packed_cache *cache = open_cache(folder, 0);
    const struct segue_packed_key key = segue_test_key(10);
    segue_packed_entry *entry = NULL;
    assert_int_equal(segue_packed_cache_find(cache, &key, "model", "tensor 10", &entry, NULL),
                     SEGUE_OK);
    // The entry outlives the cache.
    segue_packed_cache_close(cache);
    static const struct {
        uint64_t offset_bytes;
        size_t length_bytes;
    } ranges[] = {{0, 0}, {0, 1}, {MIB - 1, 2}, {5, 2 * MIB}, {3 * MIB, 5}, {3 * MIB + 5, 0}};
    static unsigned char served[2 * MIB];
    static unsigned char expected[2 * MIB];
    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
        assert_int_equal(
            segue_packed_entry_read(entry, ranges[i].offset_bytes, served, ranges[i].length_bytes),
            SEGUE_OK);
        segue_test_fill(10, ranges[i].offset_bytes, expected, ranges[i].length_bytes);
        assert_memory_equal(served, expected, ranges[i].length_bytes);
    }
    assert_int_equal(segue_packed_entry_read(entry, 3 * MIB + 5, served, 1), SEGUE_OUT_OF_RANGE);
    assert_int_equal(segue_packed_entry_read(entry, 3 * MIB, served, 6), SEGUE_OUT_OF_RANGE);
    assert_int_equal(segue_packed_entry_read(entry, UINT64_MAX, served, 1), SEGUE_OUT_OF_RANGE);
    segue_packed_entry_release(entry);
}

/** What the file promises to those who read it by themselves: alignment, and both checksums. */
static void test_entry_info(void **state)
{
    (void)state;
    const char *folder = segue_test_folder();
    assert_int_equal(segue_test_build(folder, tensors, TENSOR_COUNT), SEGUE_OK);
    segue_packed_cache *cache = open_cache(folder, 0);
    static unsigned char expected[4 * MIB];
    for (uint32_t i = 0; i < TENSOR_COUNT; i++) {
        const struct segue_packed_key key = segue_test_key(tensors[i].number);
        segue_packed_entry *entry = NULL;
        assert_int_equal(segue_packed_cache_find(cache, &key, "model", "", &entry, NULL), SEGUE_OK);
        struct segue_packed_entry_info info;
        segue_packed_entry_get_info(entry, &info);
        const uint64_t size_bytes = tensors[i].size_bytes;
        segue_test_fill(tensors[i].number, 0, expected, size_bytes);
        struct segue_packed_digest content;
        segue_packed_digest_bytes(expected, size_bytes, &content);
        assert_memory_equal(&info.content, &content, sizeof(content));
        assert_string_equal(info.name, segue_test_name(tensors[i].number));
        assert_int_equal(info.offset_bytes % SEGUE_PACKED_ALIGN_BYTES, 0);
        assert_int_equal(info.chunk_count, (size_bytes + MIB - 1) / MIB);
        for (uint32_t k = 0; k < info.chunk_count; k++) {
            const unsigned char *chunk = expected + (size_t)k * MIB;
            const uint64_t rest = size_bytes - (uint64_t)k * MIB;
            const size_t length = rest < MIB ? (size_t)rest : MIB;
            assert_true(segue_packed_entry_check_chunk(entry, k, chunk, length));
            assert_int_equal(segue_packed_entry_device_checksum(entry, k),
                             segue_checksum(chunk, length));
            assert_false(segue_packed_entry_check_chunk(entry, k, chunk, length - 1));
        }
        assert_false(segue_packed_entry_check_chunk(entry, info.chunk_count, expected, 1));
        segue_packed_entry_release(entry);
    }
    segue_packed_cache_close(cache);
}

/** Every part of the key counts, and each miss says which part it was. */
static void test_miss_reasons(void **state)
{
    (void)state;
    const char *folder = segue_test_folder();
    const struct segue_test_tensor tensor = {1, 5000};
    assert_int_equal(segue_test_build(folder, &tensor, 1), SEGUE_OK);
    segue_packed_cache *cache = open_cache(folder, 0);
    struct {
        struct segue_packed_key key;
        const char *name;
        enum segue_packed_miss miss;
    } cases[8];
    for (size_t i = 0; i < 8; i++) {
        cases[i].key = segue_test_key(1);
        cases[i].name = "tensor 1";
    }
    cases[0].key.inputs.bytes[15] ^= 1;
    cases[0].miss = SEGUE_PACKED_MISS_INPUTS;
    cases[1].key.layout_id++;
    cases[1].miss = SEGUE_PACKED_MISS_LAYOUT;
    cases[2].key.layout_version++;
    cases[2].miss = SEGUE_PACKED_MISS_LAYOUT;
    cases[3].key.parameters.bytes[0] ^= 1;
    cases[3].miss = SEGUE_PACKED_MISS_PARAMETERS;
    cases[4].key.architecture = 80;
    cases[4].miss = SEGUE_PACKED_MISS_ARCHITECTURE;
    cases[5].key.fingerprint.bytes[7] ^= 0x80;
    cases[5].miss = SEGUE_PACKED_MISS_PACKER;
    cases[6].key.inputs.bytes[0] ^= 1;
    cases[6].name = "another tensor";
    cases[6].miss = SEGUE_PACKED_MISS_ABSENT;
    for (size_t i = 0; i < 7; i++) {
        segue_packed_entry *entry = NULL;
        enum segue_packed_miss miss = SEGUE_PACKED_MISS_COUNT;
        assert_int_equal(
            segue_packed_cache_find(cache, &cases[i].key, "model", cases[i].name, &entry, &miss),
            SEGUE_NOT_FOUND);
        assert_int_equal(miss, cases[i].miss);
        assert_null(entry);
    }
    const struct segue_packed_cache_stats stats = stats_of(cache);
    assert_int_equal(stats.hits, 0);
    assert_int_equal(stats.misses[SEGUE_PACKED_MISS_LAYOUT], 2);
    assert_int_equal(stats.misses[SEGUE_PACKED_MISS_PACKER], 1);
    segue_packed_cache_close(cache);

    // A strict cache raises what others only count.
    cache = open_cache(folder, SEGUE_PACKED_CACHE_STRICT);
    segue_packed_entry *entry = NULL;
    assert_int_equal(
        segue_packed_cache_find(cache, &cases[5].key, "model", "tensor 1", &entry, NULL),
        SEGUE_NOT_FOUND);
    assert_non_null(strstr(segue_last_error()->message, "packer"));
    assert_int_equal(segue_test_look(cache, tensor), SEGUE_TEST_RIGHT);
    segue_packed_cache_close(cache);
}

static void get_times(const char *folder, const char *ending, struct stat *out_info)
{
    char name[64];
    char path[256];
    assert_int_equal(segue_test_count_files(folder, ending, name), 1);
    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    assert_int_equal(stat(path, out_info), 0);
}

/** 100 loads that change nothing: the same file, its time and its size, and nothing beside it. */
static void test_reloads_change_nothing(void **state)
{
    (void)state;
    const char *folder = segue_test_folder();
    assert_int_equal(segue_test_build(folder, tensors, 6), SEGUE_OK);
    struct stat before;
    get_times(folder, ".pack", &before);
    struct stat used_before;
    uint32_t files_after_first = 0;
    for (int i = 0; i < 100; i++) {
        segue_packed_cache *cache = open_cache(folder, 0);
        for (uint32_t k = 0; k < 6; k++)
            assert_int_equal(segue_test_look(cache, tensors[k]), SEGUE_TEST_RIGHT);
        segue_packed_cache_close(cache);
        // A build that finds everything there publishes nothing.
        assert_int_equal(segue_test_build(folder, tensors, 6), SEGUE_OK);
        if (i == 0) {
            files_after_first = segue_test_count_files(folder, "", NULL);
            get_times(folder, ".used", &used_before);
        }
    }
    struct stat after;
    get_times(folder, ".pack", &after);
    assert_int_equal(before.st_ino, after.st_ino);
    assert_int_equal(before.st_size, after.st_size);
    assert_int_equal(before.st_mtim.tv_sec, after.st_mtim.tv_sec);
    assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
    // A use is noted once an hour.
    get_times(folder, ".used", &after);
    assert_int_equal(used_before.st_mtim.tv_sec, after.st_mtim.tv_sec);
    assert_int_equal(used_before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
    // The lock, the generation, its times of use.
    assert_int_equal(files_after_first, 3);
    assert_int_equal(segue_test_count_files(folder, "", NULL), files_after_first);
    assert_int_equal(before.st_mode & 0777, 0600);
    assert_int_equal(after.st_mode & 0777, 0600);
}

/** What is missing is added once, in a generation of its own; the others stay where they are. */
static void test_missing_entries(void **state)
{
    (void)state;
    const char *folder = segue_test_folder();
    assert_int_equal(segue_test_build(folder, tensors, 3), SEGUE_OK);
    assert_int_equal(segue_test_build(folder, tensors, 6), SEGUE_OK);
    assert_int_equal(segue_test_build(folder, tensors, 6), SEGUE_OK);
    segue_packed_cache *cache = open_cache(folder, 0);
    assert_int_equal(stats_of(cache).file_count, 2);
    assert_int_equal(stats_of(cache).entry_count, 6);
    for (uint32_t k = 0; k < 6; k++)
        assert_int_equal(segue_test_look(cache, tensors[k]), SEGUE_TEST_RIGHT);
    segue_packed_cache_close(cache);
}

/** An open cache does not see a generation that comes later until it is refreshed, and keeps
 * serving entries whose file has been removed. */
static void test_readers_keep_what_they_have(void **state)
{
    (void)state;
    const char *folder = segue_test_folder();
    assert_int_equal(segue_test_build(folder, tensors, 2), SEGUE_OK);
    segue_packed_cache *cache = open_cache(folder, 0);
    assert_int_equal(segue_test_build(folder, tensors, 3), SEGUE_OK);
    assert_int_equal(segue_test_look(cache, tensors[2]), SEGUE_TEST_ABSENT);
    assert_int_equal(segue_packed_cache_refresh(cache), SEGUE_OK);
    assert_int_equal(segue_test_look(cache, tensors[2]), SEGUE_TEST_RIGHT);
    segue_test_empty_folder(folder);
    for (uint32_t k = 0; k < 3; k++)
        assert_int_equal(segue_test_look(cache, tensors[k]), SEGUE_TEST_RIGHT);
    // Generations begin again; none of the old files passes for a new one.
    assert_int_equal(segue_test_build(folder, tensors + 3, 1), SEGUE_OK);
    assert_int_equal(segue_packed_cache_refresh(cache), SEGUE_OK);
    assert_int_equal(segue_test_look(cache, tensors[3]), SEGUE_TEST_RIGHT);
    assert_int_equal(segue_test_look(cache, tensors[0]), SEGUE_TEST_ABSENT);
    segue_packed_cache_close(cache);
}

static void test_writer_rules(void **state)
{
    (void)state;
    const char *folder = segue_test_folder();
    segue_packed_cache *cache = open_cache(folder, 0);
    segue_packed_writer *writer = NULL;
    assert_int_equal(segue_packed_cache_begin(cache, &writer), SEGUE_OK);
    struct segue_packed_tensor tensor = {
        .key = segue_test_key(1), .model = "model", .name = "name", .size_bytes = 4};
    struct segue_packed_tensor wrong = tensor;
    wrong.size_bytes = 0;
    assert_int_equal(segue_packed_writer_add(writer, &wrong), SEGUE_INVALID_ARGUMENT);
    wrong = tensor;
    wrong.name = "";
    assert_int_equal(segue_packed_writer_add(writer, &wrong), SEGUE_INVALID_ARGUMENT);
    wrong.name = "a\nb";
    assert_int_equal(segue_packed_writer_add(writer, &wrong), SEGUE_INVALID_ARGUMENT);
    assert_int_equal(segue_packed_writer_append(writer, "abcd", 4), SEGUE_INVALID_STATE);
    assert_int_equal(segue_packed_writer_add(writer, &tensor), SEGUE_OK);
    assert_int_equal(segue_packed_writer_add(writer, &tensor), SEGUE_INVALID_STATE);
    assert_int_equal(segue_packed_writer_append(writer, "abcde", 5), SEGUE_OUT_OF_RANGE);
    assert_int_equal(segue_packed_writer_append(writer, "abcd", 4), SEGUE_OK);
    assert_int_equal(segue_packed_writer_append(writer, "e", 1), SEGUE_INVALID_STATE);
    // Twice the same key.
    assert_int_equal(segue_packed_writer_add(writer, &tensor), SEGUE_INVALID_STATE);
    assert_int_equal(segue_packed_writer_publish(writer), SEGUE_OK);

    // A tensor that is not complete is never published.
    tensor.key = segue_test_key(2);
    assert_int_equal(segue_packed_cache_begin(cache, &writer), SEGUE_OK);
    assert_int_equal(segue_packed_writer_add(writer, &tensor), SEGUE_OK);
    assert_int_equal(segue_packed_writer_append(writer, "abc", 3), SEGUE_OK);
    assert_int_equal(segue_packed_writer_publish(writer), SEGUE_INVALID_STATE);
    assert_int_equal(segue_packed_cache_begin(cache, &writer), SEGUE_OK);
    assert_int_equal(segue_packed_writer_add(writer, &tensor), SEGUE_OK);
    segue_packed_writer_abandon(writer);
    assert_int_equal(segue_test_count_files(folder, ".pack", NULL), 1);
    assert_int_equal(segue_test_count_files(folder, "", NULL), 2);
    segue_packed_cache_close(cache);
}

static void test_permissions(void **state)
{
    (void)state;
    const char *folder = segue_test_folder();
    const struct segue_test_tensor tensor = {1, 100};
    assert_int_equal(segue_test_build(folder, &tensor, 1), SEGUE_OK);
    segue_packed_cache *cache = NULL;
    for (mode_t mode = 0720; mode <= 0722; mode += 2) {
        assert_int_equal(chmod(folder, mode), 0);
        assert_int_equal(segue_test_open(folder, 0, &cache), SEGUE_INVALID_ACCESS);
        assert_null(cache);
    }
    cache = open_cache(folder, SEGUE_PACKED_CACHE_SHARED_FOLDER);
    assert_int_equal(segue_test_look(cache, tensor), SEGUE_TEST_RIGHT);
    segue_packed_cache_close(cache);
    assert_int_equal(chmod(folder, 0755), 0);
    // A file that others may write is left out, and not removed.
    char name[64];
    char path[256];
    assert_int_equal(segue_test_count_files(folder, ".pack", name), 1);
    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    assert_int_equal(chmod(path, 0666), 0);
    cache = open_cache(folder, 0);
    assert_int_equal(segue_test_look(cache, tensor), SEGUE_TEST_ABSENT);
    assert_int_equal(stats_of(cache).invalid_files, 1);
    segue_packed_cache_close(cache);
    assert_int_equal(segue_test_build(folder, &tensor, 1), SEGUE_OK);
    assert_int_equal(segue_test_count_files(folder, ".pack", NULL), 2);
    // Links and pipes are no files, wherever they lead.
    const char *elsewhere = segue_test_folder();
    char there[256];
    (void)snprintf(there, sizeof(there), "%s/%s", elsewhere, name);
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(rename(path, there), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(symlink(i == 0 ? "/dev/zero" : there, path), 0);
        cache = open_cache(folder, 0);
        assert_int_equal(segue_test_look(cache, tensor), SEGUE_TEST_RIGHT);
        assert_int_equal(stats_of(cache).invalid_files, 1);
        assert_int_equal(stats_of(cache).file_count, 1);
        segue_packed_cache_close(cache);
        assert_int_equal(unlink(path), 0);
    }
    assert_int_equal(symlink("/dev/zero", path), 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    cache = open_cache(folder, 0);
    assert_int_equal(segue_test_look(cache, tensor), SEGUE_TEST_RIGHT);
    segue_packed_cache_close(cache);
}

static void test_read_only(void **state)
{
    (void)state;
    const char *folder = segue_test_folder();
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/below/it", folder);
    segue_packed_cache *cache = NULL;
    assert_int_equal(segue_test_open(path, SEGUE_PACKED_CACHE_READ_ONLY, &cache), SEGUE_NOT_FOUND);
    const struct segue_test_tensor tensor = {1, 100};
    assert_int_equal(segue_test_build(folder, &tensor, 1), SEGUE_OK);
    cache = open_cache(folder, SEGUE_PACKED_CACHE_READ_ONLY);
    assert_int_equal(segue_test_look(cache, tensor), SEGUE_TEST_RIGHT);
    segue_packed_writer *writer = NULL;
    assert_int_equal(segue_packed_cache_begin(cache, &writer), SEGUE_INVALID_ACCESS);
    segue_packed_cache_close(cache);
    // No times of use were written.
    assert_int_equal(segue_test_count_files(folder, ".used", NULL), 0);
    // Folders are made, for the user alone.
    assert_int_equal(segue_test_build(path, &tensor, 1), SEGUE_OK);
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0700);
    segue_test_empty_folder(path);
    assert_int_equal(rmdir(path), 0);
    (void)snprintf(path, sizeof(path), "%s/below", folder);
    assert_int_equal(rmdir(path), 0);
}

/** While one builds, another waits, or does not, as it was asked to. */
static void test_lock(void **state)
{
    (void)state;
    const char *folder = segue_test_folder();
    segue_packed_cache *builder = open_cache(folder, 0);
    segue_packed_writer *writer = NULL;
    assert_int_equal(segue_packed_cache_begin(builder, &writer), SEGUE_OK);
    segue_packed_cache *other = open_cache(folder, SEGUE_PACKED_CACHE_NO_WAIT);
    segue_packed_writer *refused = NULL;
    assert_int_equal(segue_packed_cache_begin(other, &refused), SEGUE_TIMEOUT);
    assert_null(refused);
    char owner[32];
    (void)snprintf(owner, sizeof(owner), "process %ld", (long)getpid());
    assert_non_null(strstr(segue_last_error()->message, owner));
    segue_packed_cache_close(other);
    const struct segue_packed_cache_params impatient = {.path = folder,
                                                        .lock_timeout_ns = 20000000};
    assert_int_equal(segue_packed_cache_open(&impatient, &other), SEGUE_OK);
    assert_int_equal(segue_packed_cache_begin(other, &refused), SEGUE_TIMEOUT);
    assert_true(stats_of(other).lock_wait_ns >= 20000000);
    segue_packed_writer_abandon(writer);
    assert_int_equal(segue_packed_cache_begin(other, &writer), SEGUE_OK);
    assert_int_equal(stats_of(other).recovered_locks, 0);
    segue_packed_writer_abandon(writer);
    segue_packed_cache_close(other);
    segue_packed_cache_close(builder);
}

/** A builder that dies leaves its lock and its file; the next one takes both over. */
static void test_dead_builder(void **state)
{
    (void)state;
    const char *folder = segue_test_folder();
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        segue_packed_cache *cache = NULL;
        segue_packed_writer *writer = NULL;
        if (segue_test_open(folder, 0, &cache) == SEGUE_OK &&
            segue_packed_cache_begin(cache, &writer) == SEGUE_OK &&
            segue_test_add(writer, tensors[9]) == SEGUE_OK)
            (void)kill(getpid(), SIGKILL);
        _exit(1);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(segue_test_count_files(folder, "", NULL), 2);
    segue_packed_cache *cache = open_cache(folder, 0);
    segue_packed_writer *writer = NULL;
    assert_int_equal(segue_packed_cache_begin(cache, &writer), SEGUE_OK);
    assert_int_equal(stats_of(cache).recovered_locks, 1);
    assert_int_equal(stats_of(cache).removed_files, 1);
    assert_int_equal(segue_test_count_files(folder, "", NULL), 1);
    segue_packed_writer_abandon(writer);
    segue_packed_cache_close(cache);
}

/** A source that has not changed need not be read again; one that has, must. */
static void test_sources(void **state)
{
    (void)state;
    const char *folder = segue_test_folder();
    const char *elsewhere = segue_test_folder();
    segue_test_write_file(elsewhere, "weights", "0123456789", 10);
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/weights", elsewhere);
    const int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    struct segue_packed_digest identity;
    struct segue_packed_digest other;
    bool settled = true;
    assert_int_equal(segue_packed_source_identity(fd, 2, 4, &identity, &settled), SEGUE_OK);
    assert_false(settled);
    assert_int_equal(segue_packed_source_identity(fd, 3, 4, &other, &settled), SEGUE_OK);
    assert_memory_not_equal(&identity, &other, sizeof(identity));
    assert_int_equal(segue_packed_source_identity(fd, 2, 5, &other, &settled), SEGUE_OK);
    assert_memory_not_equal(&identity, &other, sizeof(identity));
    struct segue_packed_digest content;
    segue_packed_digest_bytes("2345", 4, &content);

    segue_packed_cache *cache = open_cache(folder, 0);
    struct segue_packed_digest found;
    assert_int_equal(segue_packed_cache_find_source(cache, &identity, &found), SEGUE_NOT_FOUND);
    for (int i = 0; i < 2; i++) {
        segue_packed_writer *writer = NULL;
        assert_int_equal(segue_packed_cache_begin(cache, &writer), SEGUE_OK);
        assert_int_equal(segue_packed_writer_add_source(writer, &identity, &content), SEGUE_OK);
        assert_int_equal(segue_packed_writer_add_source(writer, &other, &identity), SEGUE_OK);
        assert_int_equal(segue_packed_writer_add_source(writer, &identity, &content), SEGUE_OK);
        assert_int_equal(segue_packed_writer_publish(writer), SEGUE_OK);
    }
    assert_int_equal(segue_packed_cache_find_source(cache, &identity, &found), SEGUE_OK);
    assert_memory_equal(&found, &content, sizeof(content));
    assert_int_equal(segue_packed_cache_find_source(cache, &other, &found), SEGUE_OK);
    assert_memory_equal(&found, &identity, sizeof(identity));
    segue_packed_cache_close(cache);
    // The same size, and its time set back: still another file.
    struct stat info;
    assert_int_equal(fstat(fd, &info), 0);
    assert_int_equal(pwrite(fd, "x", 1, 3), 1);
    const struct timespec times[2] = {info.st_atim, info.st_mtim};
    assert_int_equal(futimens(fd, times), 0);
    assert_int_equal(segue_packed_source_identity(fd, 2, 4, &other, &settled), SEGUE_OK);
    assert_memory_not_equal(&identity, &other, sizeof(identity));
    assert_false(settled);
    (void)close(fd);
    segue_test_empty_folder(elsewhere);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_partial_reads),
        cmocka_unit_test(test_entry_info),
        cmocka_unit_test(test_miss_reasons),
        cmocka_unit_test(test_reloads_change_nothing),
        cmocka_unit_test(test_missing_entries),
        cmocka_unit_test(test_readers_keep_what_they_have),
        cmocka_unit_test(test_writer_rules),
        cmocka_unit_test(test_permissions),
        cmocka_unit_test(test_read_only),
        cmocka_unit_test(test_lock),
        cmocka_unit_test(test_dead_builder),
        cmocka_unit_test(test_sources),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
