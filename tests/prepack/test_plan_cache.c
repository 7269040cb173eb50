// SPDX-License-Identifier: Apache-2.0
// Plans with a cache: the second start packs nothing and reads no source; whatever the packed bytes
// depend on is part of the key; corrupt entries are packed again, wherever they became corrupt.
#include "folder.h"
#include "plans.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define WORDS TEST_PLAN_WORDS
#define BYTES TEST_PLAN_BYTES

/** How a cache is opened, and what it and the plan warn of. */
struct world {
    struct segue_test *test;
    const char *folder;
    uint32_t flags;
    enum segue_packed_verification verification;
    char warnings[4096];
};

static void keep_warning(void *context, enum segue_log_level level, const char *message)
{
    struct world *world = context;
    const size_t used = strlen(world->warnings);
    if (level <= SEGUE_LOG_WARNING)
        (void)snprintf(world->warnings + used, sizeof(world->warnings) - used, "%s\n", message);
}

static segue_packed_cache *open_cache(struct world *world)
{
    const struct segue_packed_cache_params params = {
        .path = world->folder,
        .flags = world->flags,
        .verification = world->verification,
        .lock_timeout_ns = 20000000,
        .log = keep_warning,
        .log_context = world,
    };
    segue_packed_cache *cache = NULL;
    world->warnings[0] = '\0';
    CHECK_OK(segue_packed_cache_open(&params, &cache));
    return cache;
}

static segue_prepack_plan *make_plan(struct world *world, segue_packed_cache *cache)
{
    const struct segue_prepack_params params = {
        .model = "llama", .cache = cache, .log = keep_warning, .log_context = world};
    return test_plan_make(world->test, &params);
}

/** Loads a packed and a plain constant and checks them. */
static segue_status load(struct world *world, struct segue_prepack_stats *out_stats)
{
    segue_packed_cache *cache = open_cache(world);
    segue_prepack_plan *plan = make_plan(world, cache);
    const uint32_t sum = test_plan_add_sum(world->test, plan, "sum", 1, 2);
    const uint32_t plain = test_plan_add(plan, "plain", test_plan_generated(3, BYTES), NULL);
    const segue_status status = segue_prepack_plan_run(plan);
    if (status == SEGUE_OK) {
        test_plan_wait(plan);
        test_plan_check(plan, sum, 1, 2);
        test_plan_check(plan, plain, 3, UINT32_MAX);
    }
    *out_stats = test_plan_stats(plan);
    segue_prepack_plan_destroy(plan);
    segue_packed_cache_close(cache);
    return status;
}

static void test_second_start(void **state)
{
    struct world world = {.test = *state, .folder = segue_test_folder()};
    struct segue_prepack_stats stats;
    CHECK_OK(load(&world, &stats));
    assert_int_equal(stats.packed_count, 2);
    assert_int_equal(stats.stored_bytes, 2 * BYTES);
    char name[64];
    char path[256];
    struct stat before;
    struct stat after;
    assert_int_equal(segue_test_count_files(world.folder, ".pack", name), 1);
    (void)snprintf(path, sizeof(path), "%s/%s", world.folder, name);
    assert_int_equal(stat(path, &before), 0);
    for (int i = 0; i < 3; i++) {
        world.flags = i == 1   ? SEGUE_PACKED_CACHE_STRICT
                      : i == 2 ? SEGUE_PACKED_CACHE_READ_ONLY | SEGUE_PACKED_CACHE_STRICT
                               : 0;
        CHECK_OK(load(&world, &stats));
        assert_int_equal(stats.hit_count, 2);
        assert_int_equal(stats.packed_count, 0);
        assert_int_equal(stats.source_read_bytes, 0);
        assert_int_equal(stats.cache_read_bytes, 2 * BYTES);
        assert_string_equal(world.warnings, "");
    }
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
    assert_int_equal(segue_test_count_files(world.folder, ".pack", NULL), 1);
}

/** One constant, changed in one way. */
struct variant {
    uint32_t right;
    uint32_t words;
    uint32_t layout_id;
    uint32_t layout_version;
    uint32_t grid;
    const char *dtype;
    uint64_t rows;
};

static uint32_t load_variant(struct world *world, struct variant variant, uint32_t addend)
{
    segue_packed_cache *cache = open_cache(world);
    segue_prepack_plan *plan = make_plan(world, cache);
    const uint64_t size_bytes = (uint64_t)variant.words * 4;
    struct segue_prepack_source sources[] = {test_plan_generated(1, size_bytes),
                                             test_plan_generated(variant.right, size_bytes)};
    sources[0].dtype = variant.dtype;
    if (variant.rows != 0) {
        sources[0].shape[0] = variant.rows;
        sources[0].shape[1] = variant.words / variant.rows;
        sources[0].dimension_count = 2;
    }
    struct segue_prepack_packing packing = test_plan_packing(world->test);
    packing.launch.constants = &variant.words;
    packing.launch.grid[0] = variant.grid;
    packing.layout_id = variant.layout_id;
    packing.layout_version = variant.layout_version;
    const struct segue_prepack_constant constant = {
        .name = "sum",
        .sources = sources,
        .source_count = 2,
        .packing = &packing,
        .packed_bytes = size_bytes,
    };
    CHECK_OK(segue_prepack_plan_add(plan, &constant, NULL));
    CHECK_OK(segue_prepack_plan_run(plan));
    test_plan_wait(plan);
    static uint32_t words[WORDS];
    segue_buffer *buffer = NULL;
    CHECK_OK(segue_prepack_plan_get_buffer(plan, 0, &buffer));
    test_plan_read(buffer, words, variant.words);
    for (uint32_t i = 0; i < variant.words; i++)
        assert_int_equal(
            words[i], (uint32_t)(test_plan_word(1, i) + test_plan_word(variant.right, i) + addend));
    segue_buffer_destroy(buffer);
    const uint32_t packed = test_plan_stats(plan).packed_count;
    segue_prepack_plan_destroy(plan);
    segue_packed_cache_close(cache);
    return packed;
}

/** The same weights with other scales, sizes (tails), layout, parameters, shapes or dtypes are
 * never served for each other; each is packed once, and all of them stay. */
static void test_every_input_counts(void **state)
{
    struct world world = {.test = *state, .folder = segue_test_folder()};
    static const struct variant variants[] = {
        {2, 4096, 7, 1, 4, "U32", 64}, {3, 4096, 7, 1, 4, "U32", 64}, {2, 4095, 7, 1, 4, "U32", 0},
        {2, 4097, 7, 1, 4, "U32", 0},  {2, 1, 7, 1, 4, "U32", 0},     {2, 4096, 8, 1, 4, "U32", 64},
        {2, 4096, 7, 2, 4, "U32", 64}, {2, 4096, 7, 1, 3, "U32", 64}, {2, 4096, 7, 1, 4, "I32", 64},
        {2, 4096, 7, 1, 4, "U32", 32}, {2, 4096, 7, 1, 4, NULL, 0},
    };
    for (uint32_t round = 0; round < 2; round++) {
        for (size_t i = 0; i < sizeof(variants) / sizeof(variants[0]); i++)
            assert_int_equal(load_variant(&world, variants[i], 0), round == 0);
    }
}

static const uint32_t add_sizes[] = {8, 8, 8, 4};

/** ADD, and one more: a packer that was changed. */
static bool run_changed(const struct segue_reference_launch *launch,
                        segue_reference_translate translate)
{
    if (!segue_test_references[SEGUE_TEST_ADD].run(launch, translate))
        return false;
    uint64_t address;
    uint32_t count;
    memcpy(&address, launch->parameters[2], sizeof(address));
    memcpy(&count, launch->parameters[3], sizeof(count));
    uint32_t *out = translate(launch, address, (uint64_t)count * 4);
    for (uint32_t i = 0; out != NULL && i < count; i++)
        out[i]++;
    return out != NULL;
}

/** A packer that gives other results cannot serve what the old one made, nor the other way round.
 */
static void test_changed_packer(void **state)
{
    struct world world = {.test = *state, .folder = segue_test_folder()};
    if (world.test->soft == NULL)
        return;
    const struct variant variant = {2, 4096, 7, 1, 4, "U32", 64};
    assert_int_equal(load_variant(&world, variant, 0), 1);
    struct segue_reference_kernel changed = segue_test_references[SEGUE_TEST_ADD];
    changed.run = run_changed;
    changed.parameter_sizes = add_sizes;
    changed.parameter_count = 4;
    CHECK_OK(segue_device_register_reference_kernels(world.test->device, &changed, 1));
    assert_int_equal(load_variant(&world, variant, 1), 1);
    assert_int_equal(load_variant(&world, variant, 1), 0);
    segue_packed_cache *cache = open_cache(&world);
    struct segue_packed_cache_stats stats;
    segue_packed_cache_get_stats(cache, &stats);
    assert_int_equal(stats.entry_count, 2);
    segue_packed_cache_close(cache);
    CHECK_OK(segue_device_register_reference_kernels(world.test->device,
                                                     &segue_test_references[SEGUE_TEST_ADD], 1));
    assert_int_equal(load_variant(&world, variant, 0), 0);
}

/** Changes a byte in the data of the only file. */
static void damage(const char *folder, size_t at)
{
    char name[64];
    assert_int_equal(segue_test_count_files(folder, ".pack", name), 1);
    size_t size_bytes = 0;
    unsigned char *file = segue_test_read_file(folder, ".pack", &size_bytes);
    file[at] ^= 0x10;
    segue_test_write_file(folder, name, file, size_bytes);
    free(file);
}

/** On the disk, found by the host or by the device: packed again, reported, and mended for good. */
static void test_corrupt_entry(void **state)
{
    static const uint32_t flags[] = {0, SEGUE_PACKED_CACHE_VERIFY_ON_DEVICE};
    for (size_t i = 0; i < 2; i++) {
        struct world world = {.test = *state,
                              .folder = segue_test_folder(),
                              .flags = flags[i],
                              .verification = SEGUE_PACKED_VERIFY_FULL};
        struct segue_prepack_stats stats;
        CHECK_OK(load(&world, &stats));
        damage(world.folder, 4096 + BYTES / 2);
        world.flags |= SEGUE_PACKED_CACHE_STRICT;
        CHECK_STATUS(load(&world, &stats), SEGUE_MISMATCH);
        world.flags = flags[i];
        CHECK_OK(load(&world, &stats));
        assert_int_equal(stats.corrupt_count, 1);
        assert_int_equal(stats.hit_count, 1);
        assert_int_equal(stats.packed_count, 1);
        assert_non_null(strstr(world.warnings, i == 0 ? "on the disk" : "on the device"));
        CHECK_OK(load(&world, &stats));
        assert_int_equal(stats.hit_count, 2);
        assert_int_equal(stats.corrupt_count, 0);
        assert_string_equal(world.warnings, "");
    }
}

/** Without verification nobody looks: this is what the checks above are worth. */
static void test_verification_off(void **state)
{
    struct world world = {
        .test = *state, .folder = segue_test_folder(), .verification = SEGUE_PACKED_VERIFY_OFF};
    struct segue_prepack_stats stats;
    CHECK_OK(load(&world, &stats));
    CHECK_OK(load(&world, &stats));
    assert_int_equal(stats.hit_count, 2);
}

/** While another builds, or where nothing can be written: packed privately, said so, and not if the
 *  cache is strict. */
static void test_private_packing(void **state)
{
    struct world world = {.test = *state, .folder = segue_test_folder()};
    struct segue_prepack_stats stats;
    segue_packed_cache *builder = open_cache(&world);
    segue_packed_writer *writer = NULL;
    CHECK_OK(segue_packed_cache_begin(builder, &writer));
    for (int waits = 0; waits < 2; waits++) {
        world.flags = waits ? 0 : SEGUE_PACKED_CACHE_NO_WAIT;
        CHECK_OK(load(&world, &stats));
        assert_true(stats.packed_privately);
        assert_int_equal(stats.stored_bytes, 0);
        assert_non_null(strstr(world.warnings, "is building"));
    }
    segue_packed_writer_abandon(writer);
    segue_packed_cache_close(builder);
    world.flags = SEGUE_PACKED_CACHE_STRICT;
    CHECK_STATUS(load(&world, &stats), SEGUE_NOT_FOUND);
    world.flags = 0;
    CHECK_OK(load(&world, &stats));
    assert_false(stats.packed_privately);
    CHECK_OK(load(&world, &stats));
    assert_int_equal(stats.hit_count, 2);
}

/** A file source: read to be hashed and uploaded, then not at all; again once it was changed. */
static void test_file_sources(void **state)
{
    struct world world = {.test = *state, .folder = segue_test_folder()};
    const char *elsewhere = segue_test_folder();
    static unsigned char content[BYTES];
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/weights", elsewhere);
    // Read twice to be packed and noted; not at all; twice after a change; only hashed where only
    // the times changed; not at all.
    static const uint64_t reads[] = {2, 0, 2, 1, 0};
    for (uint32_t i = 0; i < 5; i++) {
        const uint32_t input = i < 2 ? 4 : 5;
        if (i == 0 || i == 2) {
            (void)test_plan_generate(&test_plan_numbers[input], 0, content, BYTES);
            segue_test_write_file(elsewhere, "weights", content, BYTES);
        }
        if (i == 3) {
            const struct timespec times[2] = {{.tv_sec = 5000}, {.tv_sec = 5000}};
            assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
        }
        if (i == 0 || i == 2 || i == 3) {
            // Until it counts as settled.
            const struct timespec time = {.tv_sec = 2, .tv_nsec = 100000000};
            (void)nanosleep(&time, NULL);
        }
        const int fd = open(path, O_RDONLY | O_CLOEXEC);
        assert_true(fd >= 0);
        segue_packed_cache *cache = open_cache(&world);
        segue_prepack_plan *plan = make_plan(&world, cache);
        (void)test_plan_add(plan, "file",
                            (struct segue_prepack_source){.fd = fd, .size_bytes = BYTES}, NULL);
        CHECK_OK(segue_prepack_plan_run(plan));
        test_plan_wait(plan);
        test_plan_check(plan, 0, input, UINT32_MAX);
        assert_int_equal(test_plan_stats(plan).source_read_bytes, reads[i] * BYTES);
        segue_prepack_plan_destroy(plan);
        segue_packed_cache_close(cache);
        (void)close(fd);
    }
}

struct changing {
    segue_packed_cache *cache;
    int fd;
};

static void change_source(void *context, const struct segue_prepack_progress *progress)
{
    (void)progress;
    const struct changing *changing = context;
    assert_int_equal(pwrite(changing->fd, "changed", 7, 0), 7);
}

/** A source that changes while it is loaded is not stored under what it was before. */
static void test_source_changes_while_loading(void **state)
{
    struct world world = {.test = *state, .folder = segue_test_folder()};
    const char *elsewhere = segue_test_folder();
    static unsigned char content[BYTES];
    (void)test_plan_generate(&test_plan_numbers[4], 0, content, BYTES);
    segue_test_write_file(elsewhere, "weights", content, BYTES);
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/weights", elsewhere);
    const int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    segue_packed_cache *cache = open_cache(&world);
    struct changing changing = {cache, fd};
    const struct segue_prepack_params params = {.cache = cache,
                                                .progress = change_source,
                                                .progress_context = &changing,
                                                .log = keep_warning,
                                                .log_context = &world};
    segue_prepack_plan *plan = test_plan_make(world.test, &params);
    (void)test_plan_add(plan, "file", (struct segue_prepack_source){.fd = fd, .size_bytes = BYTES},
                        NULL);
    CHECK_OK(segue_prepack_plan_run(plan));
    assert_true(test_plan_stats(plan).packed_privately);
    assert_non_null(strstr(world.warnings, "changed while it was loaded"));
    segue_prepack_plan_destroy(plan);
    segue_packed_cache_close(cache);
    assert_int_equal(segue_test_count_files(world.folder, ".pack", NULL), 0);
    (void)close(fd);
}

/** Constants that the cache has can be dropped and come back; others stay. */
static void test_low_memory(void **state)
{
    struct world world = {.test = *state, .folder = segue_test_folder()};
    const struct segue_buffer_params params = {
        .size_bytes = BYTES, .memory = SEGUE_MEMORY_CONSTANT, .label = "mine"};
    segue_buffer *mine = segue_test_buffer_of(world.test, &params);
    segue_packed_cache *cache = open_cache(&world);
    segue_prepack_plan *plan = make_plan(&world, cache);
    const uint32_t sum = test_plan_add_sum(world.test, plan, "sum", 1, 2);
    const uint32_t fixed = test_plan_add(plan, "fixed", test_plan_generated(3, BYTES), mine);
    uint64_t dropped_bytes = 0;
    CHECK_STATUS(segue_prepack_plan_drop(plan, &dropped_bytes), SEGUE_INVALID_STATE);
    CHECK_OK(segue_prepack_plan_run(plan));
    test_plan_wait(plan);
    struct segue_memory_stats memory;
    for (int i = 0; i < 2; i++) {
        CHECK_OK(segue_prepack_plan_drop(plan, &dropped_bytes));
        assert_int_equal(dropped_bytes, BYTES);
        segue_device_get_memory_stats(world.test->device, &memory);
        assert_int_equal(memory.constant.current_bytes, BYTES);
        segue_buffer *buffer = NULL;
        CHECK_STATUS(segue_prepack_plan_get_buffer(plan, sum, &buffer), SEGUE_INVALID_STATE);
        test_plan_check(plan, fixed, 3, UINT32_MAX);
        CHECK_OK(segue_prepack_plan_restore(plan));
        test_plan_wait(plan);
        test_plan_check(plan, sum, 1, 2);
        // Sealed again.
        CHECK_OK(segue_prepack_plan_get_buffer(plan, sum, &buffer));
        CHECK_STATUS(segue_buffer_write(buffer, 0, "a", 1), SEGUE_INVALID_ACCESS);
        segue_buffer_destroy(buffer);
    }
    assert_int_equal(test_plan_stats(plan).hit_count, 2);
    segue_prepack_plan_destroy(plan);
    segue_packed_cache_close(cache);
}

/** What the cache has lost meanwhile stays on the device; looking for it is no miss, and no failure
 *  where the cache is strict. */
static void test_low_memory_without_entry(void **state)
{
    struct world world = {.test = *state, .folder = segue_test_folder()};
    struct segue_prepack_stats stats;
    CHECK_OK(load(&world, &stats));
    world.flags = SEGUE_PACKED_CACHE_STRICT;
    segue_packed_cache *cache = open_cache(&world);
    segue_prepack_plan *plan = make_plan(&world, cache);
    const uint32_t sum = test_plan_add_sum(world.test, plan, "sum", 1, 2);
    CHECK_OK(segue_prepack_plan_run(plan));
    test_plan_wait(plan);
    segue_test_empty_folder(world.folder);
    CHECK_OK(segue_packed_cache_refresh(cache));
    uint64_t dropped_bytes = 77;
    CHECK_OK(segue_prepack_plan_drop(plan, &dropped_bytes));
    assert_int_equal(dropped_bytes, 0);
    test_plan_check(plan, sum, 1, 2);
    struct segue_packed_cache_stats counts;
    segue_packed_cache_get_stats(cache, &counts);
    for (uint32_t i = 0; i < SEGUE_PACKED_MISS_COUNT; i++)
        assert_int_equal(counts.misses[i], 0);
    segue_prepack_plan_destroy(plan);
    segue_packed_cache_close(cache);
}

/** What another process builds between this plan's first look and its lock is taken from there. */
static void test_built_meanwhile(void **state)
{
    struct world world = {.test = *state, .folder = segue_test_folder()};
    segue_packed_cache *cache = open_cache(&world);
    segue_prepack_plan *plan = make_plan(&world, cache);
    (void)test_plan_add_sum(world.test, plan, "sum", 1, 2);
    (void)test_plan_add(plan, "plain", test_plan_generated(3, BYTES), NULL);
    bool done = false;
    // Both keys, and the end of that phase.
    for (int i = 0; i < 3; i++)
        CHECK_OK(segue_prepack_plan_step(plan, &done));
    struct segue_prepack_stats stats;
    CHECK_OK(load(&world, &stats));
    assert_int_equal(stats.packed_count, 2);
    CHECK_OK(segue_prepack_plan_run(plan));
    test_plan_wait(plan);
    test_plan_check(plan, 0, 1, 2);
    assert_int_equal(test_plan_stats(plan).hit_count, 2);
    assert_int_equal(test_plan_stats(plan).packed_count, 0);
    segue_prepack_plan_destroy(plan);
    segue_packed_cache_close(cache);
    assert_int_equal(segue_test_count_files(world.folder, ".pack", NULL), 1);
}

#define LARGE_BYTES ((9u << 20) + 5)

/** Where the generator of the large constant refuses; UINT64_MAX: nowhere. */
static uint64_t refused_offset = UINT64_MAX;

static bool generate_large(void *context, uint64_t offset_bytes, void *data, size_t length_bytes)
{
    (void)context;
    segue_test_fill(77, offset_bytes, data, length_bytes);
    return refused_offset < offset_bytes || refused_offset - offset_bytes >= length_bytes;
}

/** Loads a constant of many pieces with that many readers. */
static segue_status load_large(struct world *world, uint32_t reader_count, const void *expected,
                               uint32_t *out_hits)
{
    segue_packed_cache *cache = open_cache(world);
    const struct segue_prepack_params params = {
        .cache = cache,
        .limits = {.staging_bytes = 3u << 20, .slot_bytes = 1u << 20, .reader_count = reader_count},
    };
    segue_prepack_plan *plan = test_plan_make(world->test, &params);
    const uint32_t identity = 77;
    const struct segue_prepack_source source = {
        .kind = SEGUE_PREPACK_GENERATOR,
        .generate = generate_large,
        .identity = &identity,
        .identity_bytes = sizeof(identity),
        .size_bytes = LARGE_BYTES,
    };
    (void)test_plan_add(plan, "large", source, NULL);
    const segue_status status = segue_prepack_plan_run(plan);
    if (status == SEGUE_OK) {
        test_plan_wait(plan);
        unsigned char *actual = malloc(LARGE_BYTES);
        assert_non_null(actual);
        segue_buffer *buffer = NULL;
        CHECK_OK(segue_prepack_plan_get_buffer(plan, 0, &buffer));
        CHECK_OK(segue_buffer_read(buffer, 0, actual, LARGE_BYTES));
        assert_memory_equal(actual, expected, LARGE_BYTES);
        segue_buffer_destroy(buffer);
        free(actual);
        assert_true(test_plan_stats(plan).peak_staging_bytes <= 3u << 20);
    }
    *out_hits = test_plan_stats(plan).hit_count;
    segue_prepack_plan_destroy(plan);
    segue_packed_cache_close(cache);
    return status;
}

/** Pieces read by several threads arrive where they should; one that fails, fails the load. */
static void test_many_readers(void **state)
{
    struct world world = {.test = *state, .verification = SEGUE_PACKED_VERIFY_FULL};
    unsigned char *expected = malloc(LARGE_BYTES);
    assert_non_null(expected);
    segue_test_fill(77, 0, expected, LARGE_BYTES);
    static const uint32_t reader_counts[] = {1, 2, 7};
    uint32_t hits = 0;
    for (size_t i = 0; i < sizeof(reader_counts) / sizeof(reader_counts[0]); i++) {
        world.folder = segue_test_folder();
        refused_offset = (7u << 20) + 1000;
        CHECK_STATUS(load_large(&world, reader_counts[i], expected, &hits), SEGUE_INVALID_DATA);
        assert_non_null(strstr(segue_last_error()->message, "large"));
        assert_int_equal(segue_test_count_files(world.folder, ".pack", NULL), 0);
        refused_offset = UINT64_MAX;
        CHECK_OK(load_large(&world, reader_counts[i], expected, &hits));
        assert_int_equal(hits, 0);
        CHECK_OK(load_large(&world, reader_counts[i], expected, &hits));
        assert_int_equal(hits, 1);
        damage(world.folder, 4096 + (5u << 20));
        CHECK_OK(load_large(&world, reader_counts[i], expected, &hits));
        assert_int_equal(hits, 0);
        segue_test_empty_folder(world.folder);
    }
    free(expected);
}

/** Several models in one folder, in one plan each; what they have in common is stored once. */
static void test_several_models(void **state)
{
    struct world world = {.test = *state, .folder = segue_test_folder()};
    static const char *const models[] = {"base", "tuned"};
    for (uint32_t i = 0; i < 2; i++) {
        segue_packed_cache *cache = open_cache(&world);
        const struct segue_prepack_params params = {.model = models[i], .cache = cache};
        segue_prepack_plan *plan = test_plan_make(world.test, &params);
        (void)test_plan_add_sum(world.test, plan, "common", 1, 2);
        (void)test_plan_add_sum(world.test, plan, "own", 3, 4 + i);
        CHECK_OK(segue_prepack_plan_run(plan));
        test_plan_wait(plan);
        test_plan_check(plan, 0, 1, 2);
        test_plan_check(plan, 1, 3, 4 + i);
        assert_int_equal(test_plan_stats(plan).hit_count, i);
        segue_prepack_plan_destroy(plan);
        segue_packed_cache_close(cache);
    }
    segue_packed_cache *cache = open_cache(&world);
    struct segue_packed_cache_stats stats;
    segue_packed_cache_get_stats(cache, &stats);
    assert_int_equal(stats.entry_count, 3);
    segue_packed_cache_close(cache);
}

/** Takes the key of the entry "sum". */
static bool keep_key(void *context, segue_packed_entry *entry)
{
    struct segue_packed_entry_info info;
    segue_packed_entry_get_info(entry, &info);
    if (strcmp(info.name, "sum") == 0)
        *(struct segue_packed_key *)context = info.key;
    return true;
}

/** Equal constants with destinations of their own are stored once, packed or plain, and taken from
 *  there by all of them. */
static void test_equal_destinations(void **state)
{
    struct world world = {.test = *state, .folder = segue_test_folder()};
    const struct segue_buffer_params params = {
        .size_bytes = BYTES, .memory = SEGUE_MEMORY_CONSTANT, .label = "tied"};
    for (uint32_t round = 0; round < 2; round++) {
        segue_packed_cache *cache = open_cache(&world);
        segue_prepack_plan *plan = make_plan(&world, cache);
        const struct segue_prepack_source sources[] = {test_plan_generated(1, BYTES),
                                                       test_plan_generated(2, BYTES)};
        const struct segue_prepack_packing packing = test_plan_packing(world.test);
        for (uint32_t i = 0; i < 2; i++) {
            const struct segue_prepack_constant sum = {
                .name = "sum",
                .sources = sources,
                .source_count = 2,
                .packing = &packing,
                .packed_bytes = BYTES,
                .destination = segue_test_buffer_of(world.test, &params),
            };
            CHECK_OK(segue_prepack_plan_add(plan, &sum, NULL));
            (void)test_plan_add(plan, "plain", test_plan_generated(3, BYTES),
                                segue_test_buffer_of(world.test, &params));
        }
        CHECK_OK(segue_prepack_plan_run(plan));
        test_plan_wait(plan);
        for (uint32_t i = 0; i < 2; i++) {
            test_plan_check(plan, 2 * i, 1, 2);
            test_plan_check(plan, 2 * i + 1, 3, UINT32_MAX);
        }
        const struct segue_prepack_stats stats = test_plan_stats(plan);
        assert_false(stats.packed_privately);
        assert_int_equal(stats.hit_count, round == 0 ? 0 : 4);
        assert_int_equal(stats.stored_bytes, round == 0 ? 2 * BYTES : 0);
        assert_string_equal(world.warnings, "");
        segue_prepack_plan_destroy(plan);
        segue_packed_cache_close(cache);
    }
}

/** An entry whose key is right and whose size is not, which only a forger makes: packed again, or,
 *  where the cache is strict, refused. */
static void test_entry_of_another_size(void **state)
{
    struct world world = {.test = *state, .folder = segue_test_folder()};
    struct segue_prepack_stats stats;
    CHECK_OK(load(&world, &stats));
    segue_packed_cache *cache = open_cache(&world);
    struct segue_packed_tensor forged = {.model = "llama", .name = "sum", .size_bytes = BYTES - 4};
    CHECK_OK(segue_packed_cache_visit(cache, keep_key, &forged.key));
    segue_packed_cache_close(cache);
    segue_test_empty_folder(world.folder);
    cache = open_cache(&world);
    segue_packed_writer *writer = NULL;
    static const unsigned char zeros[BYTES];
    CHECK_OK(segue_packed_cache_begin(cache, &writer));
    CHECK_OK(segue_packed_writer_add(writer, &forged));
    CHECK_OK(segue_packed_writer_append(writer, zeros, BYTES - 4));
    CHECK_OK(segue_packed_writer_publish(writer));
    segue_packed_cache_close(cache);
    world.flags = SEGUE_PACKED_CACHE_STRICT;
    CHECK_STATUS(load(&world, &stats), SEGUE_MISMATCH);
    world.flags = 0;
    CHECK_OK(load(&world, &stats));
    assert_int_equal(stats.packed_count, 2);
    assert_non_null(strstr(world.warnings, "has 19996 bytes, not 20000"));
    world.flags = SEGUE_PACKED_CACHE_STRICT;
    CHECK_OK(load(&world, &stats));
    assert_int_equal(stats.hit_count, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        segue_test_case(test_second_start),
        segue_test_case(test_every_input_counts),
        segue_test_case(test_changed_packer),
        segue_test_case(test_corrupt_entry),
        segue_test_case(test_verification_off),
        segue_test_case(test_private_packing),
        segue_test_case(test_file_sources),
        segue_test_case(test_source_changes_while_loading),
        segue_test_case(test_low_memory),
        segue_test_case(test_many_readers),
        segue_test_case(test_built_meanwhile),
        segue_test_case(test_several_models),
        segue_test_case(test_low_memory_without_entry),
        segue_test_case(test_equal_destinations),
        segue_test_case(test_entry_of_another_size),
    };
    const int prepared = segue_test_prepare();
    return prepared != 0 ? prepared : cmocka_run_group_tests(tests, NULL, NULL);
}
