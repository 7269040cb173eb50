// SPDX-License-Identifier: Apache-2.0
// Folders that stay small: least recently used entries go, what is left is merged, corrupt copies
// never come back.
#include "folder.h"

#include "prepack/pack_format.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define KIB 1024u

static segue_packed_cache *open_cache(const char *folder)
{
    segue_packed_cache *cache = NULL;
    assert_int_equal(segue_test_open(folder, 0, &cache), SEGUE_OK);
    return cache;
}

static struct segue_packed_gc_result collect(const char *folder,
                                             struct segue_packed_gc_params params)
{
    segue_packed_cache *cache = open_cache(folder);
    struct segue_packed_gc_result result;
    assert_int_equal(segue_packed_cache_gc(cache, &params, &result), SEGUE_OK);
    segue_packed_cache_close(cache);
    return result;
}

/** Sets when the entries of the generation were last used: `used_s` per entry, in index order. */
static void set_used(const char *folder, uint64_t generation, const uint32_t *used_s,
                     uint32_t count)
{
    char name[64];
    (void)snprintf(name, sizeof(name), "generation-%016llx.used", (unsigned long long)generation);
    unsigned char bytes[64];
    assert_true(4 * count <= sizeof(bytes));
    for (uint32_t i = 0; i < 4 * count; i++)
        bytes[i] = (unsigned char)(used_s[i / 4] >> (8 * (i % 4)));
    segue_test_write_file(folder, name, bytes, 4 * (size_t)count);
}

/** Ages four tensors, one generation each, and collects down to two: the oldest two go. */
static void test_least_recently_used(void **state)
{
    (void)state;
    const char *folder = segue_test_folder();
    struct segue_test_tensor tensors[4];
    // Far in the future, so that the time of creation does not count.
    static const uint32_t used_s[4] = {4000000003u, 4000000001u, 4000000004u, 4000000002u};
    for (uint32_t i = 0; i < 4; i++) {
        tensors[i] = (struct segue_test_tensor){i + 1, 100 * KIB};
        assert_int_equal(segue_test_build(folder, &tensors[i], 1), SEGUE_OK);
        set_used(folder, i + 1, &used_s[i], 1);
    }
    const struct segue_packed_gc_params params = {.size_limit_bytes = 250 * KIB, .dry_run = true};
    struct segue_packed_gc_result result = collect(folder, params);
    assert_int_equal(result.removed_entries, 2);
    assert_int_equal(result.bytes_after, result.bytes_before);
    assert_int_equal(segue_test_count_files(folder, ".pack", NULL), 4);
    result = collect(folder, (struct segue_packed_gc_params){.size_limit_bytes = 250 * KIB});
    assert_int_equal(result.removed_entries, 2);
    assert_int_equal(result.kept_entries, 2);
    assert_true(result.bytes_after <= 250 * KIB);
    segue_packed_cache *cache = open_cache(folder);
    assert_int_equal(segue_test_look(cache, tensors[0]), SEGUE_TEST_RIGHT);
    assert_int_equal(segue_test_look(cache, tensors[1]), SEGUE_TEST_ABSENT);
    assert_int_equal(segue_test_look(cache, tensors[2]), SEGUE_TEST_RIGHT);
    assert_int_equal(segue_test_look(cache, tensors[3]), SEGUE_TEST_ABSENT);
    segue_packed_cache_close(cache);
    // Two generations with their times, and the lock.
    assert_int_equal(segue_test_count_files(folder, "", NULL), 5);
}

/** Entries that go from the middle of a file: the others move to a new one, with their times. */
static void test_compaction(void **state)
{
    (void)state;
    const char *folder = segue_test_folder();
    struct segue_test_tensor tensors[8];
    for (uint32_t i = 0; i < 8; i++)
        tensors[i] = (struct segue_test_tensor){i + 1, 50 * KIB + i};
    assert_int_equal(segue_test_build(folder, tensors, 8), SEGUE_OK);
    size_t old_bytes = 0;
    unsigned char *old = segue_test_read_file(folder, ".pack", &old_bytes);
    const struct segue_packed_gc_result result =
        collect(folder, (struct segue_packed_gc_params){.size_limit_bytes = 300 * KIB});
    assert_int_equal(result.removed_entries + result.kept_entries, 8);
    assert_true(result.kept_entries >= 4 && result.bytes_after <= 300 * KIB);
    segue_packed_cache *cache = open_cache(folder);
    uint32_t found = 0;
    for (uint32_t i = 0; i < 8; i++) {
        const enum segue_test_found look = segue_test_look(cache, tensors[i]);
        assert_true(look == SEGUE_TEST_RIGHT || look == SEGUE_TEST_ABSENT);
        found += look == SEGUE_TEST_RIGHT;
    }
    assert_int_equal(found, result.kept_entries);
    struct segue_packed_cache_stats stats;
    segue_packed_cache_get_stats(cache, &stats);
    assert_int_equal(stats.file_count, 1);
    segue_packed_cache_close(cache);
    char name[64];
    assert_int_equal(segue_test_count_files(folder, ".pack", name), 1);
    assert_string_equal(name, "generation-0000000000000002.pack");
    // Nothing more to do.
    const struct segue_packed_gc_result again =
        collect(folder, (struct segue_packed_gc_params){.size_limit_bytes = 300 * KIB});
    assert_int_equal(again.removed_entries, 0);
    assert_int_equal(again.removed_files, 0);
    assert_int_equal(segue_test_count_files(folder, ".pack", name), 1);
    assert_string_equal(name, "generation-0000000000000002.pack");
    // A collector that dies before it removes what it has replaced: that does not count, and the
    // next builder removes it.
    segue_test_write_file(folder, "generation-0000000000000001.pack", old, old_bytes);
    free(old);
    cache = open_cache(folder);
    segue_packed_cache_get_stats(cache, &stats);
    assert_int_equal(stats.file_count, 1);
    assert_int_equal(stats.entry_count, result.kept_entries);
    segue_packed_writer *writer = NULL;
    assert_int_equal(segue_packed_cache_begin(cache, &writer), SEGUE_OK);
    segue_packed_writer_abandon(writer);
    segue_packed_cache_close(cache);
    assert_int_equal(segue_test_count_files(folder, ".pack", name), 1);
    assert_string_equal(name, "generation-0000000000000002.pack");
}

/** A builder with a limit evicts by itself, and never what it has just built. */
static void test_limit_while_building(void **state)
{
    (void)state;
    const char *folder = segue_test_folder();
    const struct segue_packed_cache_params params = {.path = folder, .size_limit_bytes = 300 * KIB};
    struct segue_packed_cache_stats stats;
    for (uint32_t i = 1; i <= 12; i++) {
        segue_packed_cache *cache = NULL;
        segue_packed_writer *writer = NULL;
        assert_int_equal(segue_packed_cache_open(&params, &cache), SEGUE_OK);
        assert_int_equal(segue_packed_cache_begin(cache, &writer), SEGUE_OK);
        const struct segue_test_tensor tensor = {i, 70 * KIB};
        assert_int_equal(segue_test_add(writer, tensor), SEGUE_OK);
        assert_int_equal(segue_packed_writer_publish(writer), SEGUE_OK);
        assert_int_equal(segue_test_look(cache, tensor), SEGUE_TEST_RIGHT);
        segue_packed_cache_get_stats(cache, &stats);
        assert_true(stats.file_bytes <= 300 * KIB);
        segue_packed_cache_close(cache);
    }
    assert_int_equal(stats.evicted_entries, 1);
    assert_int_equal(stats.entry_count, 3);
}

/** Many small builds do not leave many files. */
static void test_small_files_are_merged(void **state)
{
    (void)state;
    const char *folder = segue_test_folder();
    for (uint32_t i = 1; i <= 30; i++) {
        const struct segue_test_tensor tensor = {i, 100};
        assert_int_equal(segue_test_build(folder, &tensor, 1), SEGUE_OK);
        assert_true(segue_test_count_files(folder, ".pack", NULL) <= 9);
    }
    segue_packed_cache *cache = open_cache(folder);
    for (uint32_t i = 1; i <= 30; i++)
        assert_int_equal(segue_test_look(cache, (struct segue_test_tensor){i, 100}),
                         SEGUE_TEST_RIGHT);
    segue_packed_cache_close(cache);
}

static bool visit_names(void *context, segue_packed_entry *entry)
{
    struct segue_packed_entry_info info;
    segue_packed_entry_get_info(entry, &info);
    strcat(context, info.name);
    strcat(context, ";");
    return strlen(context) < 30;
}

static void test_by_model_and_age(void **state)
{
    (void)state;
    const char *folder = segue_test_folder();
    struct segue_test_tensor tensors[5];
    for (uint32_t i = 0; i < 5; i++)
        tensors[i] = (struct segue_test_tensor){i + 1, 4096};
    assert_int_equal(segue_test_build(folder, tensors, 5), SEGUE_OK);
    segue_packed_cache *cache = open_cache(folder);
    char names[256] = "";
    assert_int_equal(segue_packed_cache_visit(cache, visit_names, names), SEGUE_OK);
    // By name, and stopped by the visitor.
    assert_string_equal(names, "tensor 1;tensor 2;tensor 3;tensor 4;");
    segue_packed_cache_close(cache);
    struct segue_packed_gc_result result =
        collect(folder, (struct segue_packed_gc_params){.model = "other", .max_age_s = 1000});
    assert_int_equal(result.kept_entries, 5);
    result = collect(folder, (struct segue_packed_gc_params){.model = "model"});
    assert_int_equal(result.removed_entries, 5);
    assert_int_equal(result.removed_files, 1);
    assert_int_equal(result.bytes_after, 0);
    assert_int_equal(segue_test_count_files(folder, "", NULL), 1);
}

/** A corrupt entry that was packed again is gone for good: neither eviction nor merging brings the
 *  broken copy back. */
static void test_corrupt_copy_stays_away(void **state)
{
    (void)state;
    const char *folder = segue_test_folder();
    struct segue_test_tensor tensors[3];
    for (uint32_t i = 0; i < 3; i++)
        tensors[i] = (struct segue_test_tensor){i + 1, 20 * KIB};
    assert_int_equal(segue_test_build(folder, tensors, 3), SEGUE_OK);
    size_t size_bytes = 0;
    unsigned char *file = segue_test_read_file(folder, ".pack", &size_bytes);
    file[4096 + 20 * KIB + 100] ^= 4;
    segue_test_write_file(folder, "generation-0000000000000001.pack", file, size_bytes);
    free(file);

    segue_packed_cache *cache = open_cache(folder);
    assert_int_equal(segue_test_look(cache, tensors[1]), SEGUE_TEST_REFUSED);
    assert_int_equal(segue_test_look(cache, tensors[1]), SEGUE_TEST_ABSENT);
    segue_packed_writer *writer = NULL;
    assert_int_equal(segue_packed_cache_begin(cache, &writer), SEGUE_OK);
    assert_int_equal(segue_test_add(writer, tensors[1]), SEGUE_OK);
    assert_int_equal(segue_packed_writer_publish(writer), SEGUE_OK);
    assert_int_equal(segue_test_look(cache, tensors[1]), SEGUE_TEST_RIGHT);
    segue_packed_cache_close(cache);
    // Another process finds the later, sound one.
    cache = open_cache(folder);
    assert_int_equal(segue_test_look(cache, tensors[1]), SEGUE_TEST_RIGHT);
    struct segue_packed_verify_result verified;
    assert_int_equal(segue_packed_cache_verify(cache, NULL, NULL, &verified), SEGUE_MISMATCH);
    assert_int_equal(verified.corrupt_entries, 1);
    segue_packed_cache_close(cache);
    const struct segue_packed_gc_result result =
        collect(folder, (struct segue_packed_gc_params){0});
    assert_int_equal(result.kept_entries, 3);
    cache = open_cache(folder);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(segue_test_look(cache, tensors[i]), SEGUE_TEST_RIGHT);
    assert_int_equal(segue_packed_cache_verify(cache, NULL, NULL, &verified), SEGUE_OK);
    assert_int_equal(verified.entry_count, 3);
    segue_packed_cache_close(cache);
}

/** The keys of tensors 1 to `count` in the order of an index: out_order[i] is the tensor at i. */
static void order_of_index(uint32_t count, uint32_t *out_order)
{
    struct segue_packed_digest digests[4];
    for (uint32_t i = 0; i < count; i++) {
        const struct segue_packed_key key = segue_test_key(i + 1);
        segue_pack_key_digest(&key, &digests[i]);
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t place = 0;
        for (uint32_t k = 0; k < count; k++)
            place += memcmp(&digests[k], &digests[i], sizeof(digests[i])) < 0;
        out_order[place] = i + 1;
    }
}

/** An entry that turns out to be corrupt when it is copied, as the last one: it is dropped again,
 * and the new file ends where it should. */
static void test_corrupt_while_merging(void **state)
{
    (void)state;
    const char *folder = segue_test_folder();
    const struct segue_test_tensor tensors[3] = {{1, 5 * KIB}, {2, 1400 * KIB}, {3, 100 * KIB}};
    assert_int_equal(segue_test_build(folder, tensors, 3), SEGUE_OK);
    // Copied in the order of their use: 1, then 2. 3 is the one that goes.
    static const uint32_t used_s[] = {0, 4000000001u, 4000000002u, 4000000000u};
    uint32_t order[3];
    uint32_t times_s[3];
    order_of_index(3, order);
    for (uint32_t i = 0; i < 3; i++)
        times_s[i] = used_s[order[i]];
    set_used(folder, 1, times_s, 3);
    size_t size_bytes = 0;
    unsigned char *file = segue_test_read_file(folder, ".pack", &size_bytes);
    // In its second chunk: the first one has been written by then.
    file[4096 + 8192 + 1200 * KIB] ^= 1;
    segue_test_write_file(folder, "generation-0000000000000001.pack", file, size_bytes);
    free(file);
    const struct segue_packed_gc_result result =
        collect(folder, (struct segue_packed_gc_params){.size_limit_bytes = 1430 * KIB});
    assert_int_equal(result.removed_entries, 1);
    segue_packed_cache *cache = open_cache(folder);
    assert_int_equal(segue_test_look(cache, tensors[0]), SEGUE_TEST_RIGHT);
    assert_int_equal(segue_test_look(cache, tensors[1]), SEGUE_TEST_ABSENT);
    assert_int_equal(segue_test_look(cache, tensors[2]), SEGUE_TEST_ABSENT);
    struct segue_packed_verify_result verified;
    assert_int_equal(segue_packed_cache_verify(cache, NULL, NULL, &verified), SEGUE_OK);
    assert_int_equal(verified.entry_count, 1);
    segue_packed_cache_close(cache);
}

/** The same where the limit takes the sound copy away. */
static void test_eviction_takes_all_copies(void **state)
{
    (void)state;
    const char *folder = segue_test_folder();
    const struct segue_test_tensor tensors[2] = {{1, 20 * KIB}, {2, 200 * KIB}};
    assert_int_equal(segue_test_build(folder, tensors, 2), SEGUE_OK);
    segue_packed_cache *cache = open_cache(folder);
    segue_packed_writer *writer = NULL;
    assert_int_equal(segue_packed_cache_begin(cache, &writer), SEGUE_OK);
    // A second copy of what is there already.
    assert_int_equal(segue_test_add(writer, tensors[0]), SEGUE_OK);
    assert_int_equal(segue_packed_writer_publish(writer), SEGUE_OK);
    segue_packed_cache_close(cache);
    assert_int_equal(segue_test_count_files(folder, ".pack", NULL), 2);
    static const uint32_t long_ago_s[1] = {1};
    set_used(folder, 2, long_ago_s, 1);
    static const uint32_t later_s[2] = {4000000000u, 4000000000u};
    set_used(folder, 1, later_s, 2);
    const struct segue_packed_gc_result result =
        collect(folder, (struct segue_packed_gc_params){.size_limit_bytes = 215 * KIB});
    assert_int_equal(result.removed_entries, 1);
    cache = open_cache(folder);
    assert_int_equal(segue_test_look(cache, tensors[0]), SEGUE_TEST_ABSENT);
    assert_int_equal(segue_test_look(cache, tensors[1]), SEGUE_TEST_RIGHT);
    segue_packed_cache_close(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_least_recently_used),
        cmocka_unit_test(test_compaction),
        cmocka_unit_test(test_limit_while_building),
        cmocka_unit_test(test_small_files_are_merged),
        cmocka_unit_test(test_by_model_and_age),
        cmocka_unit_test(test_corrupt_copy_stays_away),
        cmocka_unit_test(test_corrupt_while_merging),
        cmocka_unit_test(test_eviction_takes_all_copies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
