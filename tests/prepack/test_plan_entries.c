// SPDX-License-Identifier: Apache-2.0
// How a cache's entries are read for an upload: whole chunks where slots hold them, in parts where
// they do not; from the page cache and past it; checked either way.
#include "folder.h"
#include "plans.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/** Two chunks and a half, and an odd end. */
#define ENTRY_BYTES ((UINT64_C(5) << 19) + 100)

/** What an entry is read with. */
struct entry_world {
    struct segue_test *test;
    const char *folder;
    uint64_t slot_bytes;
    enum segue_prepack_reading reading;
};

/** Loads the entry and a small one before it, which are packed where they are missing or corrupt.
 */
static struct segue_prepack_stats load_entries(const struct entry_world *world)
{
    segue_packed_cache *cache = NULL;
    CHECK_OK(segue_test_open(world->folder, 0, &cache));
    const struct segue_prepack_params params = {
        .cache = cache,
        .limits = {.staging_bytes = world->slot_bytes == 0 ? 0 : 6 * world->slot_bytes,
                   .slot_bytes = world->slot_bytes,
                   .reader_count = 3,
                   .reading = world->reading}};
    segue_prepack_plan *plan = test_plan_make(world->test, &params);
    (void)test_plan_add(plan, "small", test_plan_generated(4, 4000), NULL);
    (void)test_plan_add(plan, "large", test_plan_generated(3, ENTRY_BYTES), NULL);
    CHECK_OK(segue_prepack_plan_run(plan));
    test_plan_wait(plan);
    test_plan_check_words(plan, 0, 4, UINT32_MAX, 1000);
    test_plan_check_words(plan, 1, 3, UINT32_MAX, (uint32_t)(ENTRY_BYTES / 4));
    const struct segue_prepack_stats stats = test_plan_stats(plan);
    segue_prepack_plan_destroy(plan);
    segue_packed_cache_close(cache);
    return stats;
}

/** The cache's only file, as it was built. */
struct built_file {
    char name[64];
    unsigned char *data;
    size_t size_bytes;
    /** Where the large entry begins. */
    size_t begin_bytes;
    bool can_be_direct;
};

static void keep_file(const struct entry_world *world, struct built_file *out_file)
{
    assert_int_equal(segue_test_count_files(world->folder, ".pack", out_file->name), 1);
    out_file->data = segue_test_read_file(world->folder, ".pack", &out_file->size_bytes);
    unsigned char begin[64];
    (void)test_plan_generate(&test_plan_numbers[3], 0, begin, sizeof(begin));
    const unsigned char *found = memmem(out_file->data, out_file->size_bytes, begin, sizeof(begin));
    assert_non_null(found);
    out_file->begin_bytes = (size_t)(found - out_file->data);
    char path[400];
    (void)snprintf(path, sizeof(path), "%s/%s", world->folder, out_file->name);
    const int fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
    void *sector = aligned_alloc(4096, 4096);
    assert_non_null(sector);
    out_file->can_be_direct =
        world->test->soft != NULL && fd >= 0 && pread(fd, sector, 4096, 4096) == 4096;
    free(sector);
    if (fd >= 0)
        (void)close(fd);
}

/** Puts it back with one bit turned. */
static void put_damaged(const struct entry_world *world, const struct built_file *file,
                        uint64_t place_bytes)
{
    segue_test_empty_folder(world->folder);
    file->data[file->begin_bytes + place_bytes] ^= 1;
    segue_test_write_file(world->folder, file->name, file->data, file->size_bytes);
    file->data[file->begin_bytes + place_bytes] ^= 1;
}

static void test_entries_in_parts(void **state)
{
    struct entry_world world = {.test = *state};
    static const uint64_t slots[] = {0, 12288, 300000, 3u << 19};
    static const enum segue_prepack_reading readings[] = {SEGUE_PREPACK_READ_CACHED,
                                                          SEGUE_PREPACK_READ_DIRECT};
    static const uint64_t places[] = {0,        524287,   524288,         (1u << 20) - 1,
                                      1u << 20, 2u << 20, ENTRY_BYTES - 1};
    for (uint32_t i = 0; i < 8; i++) {
        world.folder = segue_test_folder();
        world.slot_bytes = slots[i / 2];
        world.reading = readings[i % 2];
        assert_int_equal(load_entries(&world).packed_count, 2);
        struct segue_prepack_stats stats = load_entries(&world);
        assert_int_equal(stats.hit_count, 2);
        struct built_file file;
        keep_file(&world, &file);
        // Not a byte in another way than it should be, and none twice.
        if (file.can_be_direct && world.reading == SEGUE_PREPACK_READ_DIRECT)
            assert_int_equal(stats.direct_file_bytes, ENTRY_BYTES + 4000);
        else if (world.reading == SEGUE_PREPACK_READ_CACHED)
            assert_int_equal(stats.cached_file_bytes, ENTRY_BYTES + 4000);
        for (size_t k = i % 2; k < sizeof(places) / sizeof(places[0]); k += 2) {
            put_damaged(&world, &file, places[k]);
            stats = load_entries(&world);
            assert_int_equal(stats.corrupt_count, 1);
            assert_int_equal(stats.hit_count, 1);
        }
        free(file.data);
        segue_test_empty_folder(world.folder);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        segue_test_case(test_entries_in_parts),
    };
    const int prepared = segue_test_prepare();
    return prepared != 0 ? prepared : cmocka_run_group_tests(tests, NULL, NULL);
}
