// SPDX-License-Identifier: Apache-2.0
// How plans load: the pinned memory never exceeds its cap, what arrives does not depend on how it
// was cut, whatever the kernel refuses is done in another way, and what fails in the middle leaves
// nothing.
#include "folder.h"
#include "plans.h"

#include <segue/quant.h>

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/** What the kernel is made to do. */
static struct {
    /** pread: reads at most so many bytes; every nth is interrupted; ends here. */
    size_t most_bytes;
    uint32_t interrupt_every;
    bool refuses_direct;
    bool refuses_uring;
    bool refuses_cachestat;
    /** Reads past the page cache that were refused, and rings. */
    atomic_uint direct_refusals;
    atomic_uint uring_refusals;
    atomic_uint reads;
} kernel;

ssize_t __real_pread(int fd, void *data, size_t length_bytes, off_t offset_bytes);
ssize_t __wrap_pread(int fd, void *data, size_t length_bytes, off_t offset_bytes);
int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);

ssize_t __wrap_pread(int fd, void *data, size_t length_bytes, off_t offset_bytes)
{
    const uint32_t count = atomic_fetch_add(&kernel.reads, 1) + 1;
    if (kernel.interrupt_every != 0 && count % kernel.interrupt_every == 0) {
        errno = EINTR;
        return -1;
    }
    if (kernel.most_bytes != 0 && length_bytes > kernel.most_bytes)
        length_bytes = kernel.most_bytes;
    return __real_pread(fd, data, length_bytes, offset_bytes);
}

int __wrap_open(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    const int mode = (flags & O_CREAT) != 0 ? va_arg(arguments, int) : 0;
    va_end(arguments);
    if (kernel.refuses_direct && (flags & O_DIRECT) != 0) {
        atomic_fetch_add(&kernel.direct_refusals, 1);
        errno = EINVAL;
        return -1;
    }
    return __real_open(path, flags, mode);
}

long __wrap_syscall(long number, ...)
{
    long values[6];
    va_list arguments;
    va_start(arguments, number);
    for (size_t i = 0; i < 6; i++)
        values[i] = va_arg(arguments, long);
    va_end(arguments);
    if (kernel.refuses_uring && number == SYS_io_uring_setup) {
        atomic_fetch_add(&kernel.uring_refusals, 1);
        errno = EPERM;
        return -1;
    }
    if (kernel.refuses_cachestat && number == 451) {
        errno = ENOSYS;
        return -1;
    }
    return __real_syscall(number, values[0], values[1], values[2], values[3], values[4], values[5]);
}

static void reset_kernel(void)
{
    memset(&kernel, 0, sizeof(kernel));
}

static struct segue_memory_stats memory_of(struct segue_test *test)
{
    struct segue_memory_stats memory;
    segue_device_get_memory_stats(test->device, &memory);
    return memory;
}

/** Constant i of the small ones: its size in words. */
static uint32_t small_words(uint32_t i)
{
    return 1 + i * 37 % 700;
}

/** Pinned memory by the device's own count, not the plan's. */
static void test_cap(void **state)
{
    struct segue_test *test = *state;
    static const uint64_t caps[] = {8192, 12288, 65536, UINT64_C(1) << 20};
    for (size_t c = 0; c < sizeof(caps) / sizeof(caps[0]); c++) {
        const struct segue_prepack_params params = {
            .limits = {.staging_bytes = caps[c],
                       .slot_bytes = caps[c] / (c + 2),
                       .first_bytes = c % 2 != 0 ? SEGUE_PREPACK_OFF : 0,
                       .next_bytes = c % 2 != 0 ? SEGUE_PREPACK_OFF : 0,
                       .age_ns = SEGUE_PREPACK_OFF,
                       .reader_count = 4}};
        segue_prepack_plan *plan = test_plan_make(test, &params);
        for (uint32_t i = 0; i < 200; i++) {
            char name[32];
            (void)snprintf(name, sizeof(name), "small %u", i);
            (void)test_plan_add(
                plan, name, test_plan_generated(1 + i % 15, 4 * (uint64_t)small_words(i)), NULL);
        }
        const uint32_t large = test_plan_add(plan, "large", test_plan_generated(7, 150000), NULL);
        const uint32_t sum = test_plan_add_sum(test, plan, "sum", 1, 2);
        CHECK_OK(segue_prepack_plan_run(plan));
        test_plan_wait(plan);
        const struct segue_memory_stats memory = memory_of(test);
        assert_true(memory.host_visible.peak_bytes <= caps[c]);
        assert_true(memory.host_visible.peak_bytes >= 8192);
        assert_int_equal(memory.host_visible.current_bytes,
                         test_plan_stats(plan).peak_staging_bytes);
        for (uint32_t i = 0; i < 200; i += 13)
            test_plan_check_words(plan, i, 1 + i % 15, UINT32_MAX, small_words(i));
        test_plan_check_words(plan, large, 7, UINT32_MAX, 37500);
        test_plan_check(plan, sum, 1, 2);
        segue_prepack_plan_destroy(plan);
        assert_int_equal(memory_of(test).host_visible.current_bytes, 0);
    }
}

/** Many tensors are on their way at a time: far fewer increments than tensors. */
static void test_small_tensors_share_increments(void **state)
{
    struct segue_test *test = *state;
    const struct segue_prepack_params params = {
        .limits = {.age_ns = SEGUE_PREPACK_OFF, .reader_count = 3}};
    segue_prepack_plan *plan = test_plan_make(test, &params);
    for (uint32_t i = 0; i < 500; i++)
        (void)test_plan_add(plan, "small", test_plan_generated(i % 16, 16 + 4 * (uint64_t)i), NULL);
    CHECK_OK(segue_prepack_plan_run(plan));
    test_plan_wait(plan);
    assert_true(test_plan_stats(plan).increment_count <= 3);
    for (uint32_t i = 0; i < 500; i += 7)
        test_plan_check_words(plan, i, i % 16, UINT32_MAX, 4 + i);
    segue_prepack_plan_destroy(plan);
}

/** What increments had, by the progress that was reported. */
struct increments {
    uint64_t first_bytes;
    uint64_t most_bytes;
    uint64_t last_bytes;
    uint64_t count;
};

static void note_increment(void *context, const struct segue_prepack_progress *progress)
{
    struct increments *increments = context;
    const uint64_t bytes = progress->done_bytes - increments->last_bytes;
    increments->last_bytes = progress->done_bytes;
    increments->count = progress->increment_count;
    if (increments->first_bytes == 0)
        increments->first_bytes = bytes;
    else if (bytes > increments->most_bytes)
        increments->most_bytes = bytes;
}

static struct increments load_with(struct segue_test *test, struct segue_prepack_limits limits,
                                   segue_prepack_generate_fn generate)
{
    struct increments increments = {0};
    limits.staging_bytes = UINT64_C(1) << 20;
    limits.slot_bytes = UINT64_C(256) << 10;
    const struct segue_prepack_params params = {
        .limits = limits, .progress = note_increment, .progress_context = &increments};
    segue_prepack_plan *plan = test_plan_make(test, &params);
    for (uint32_t i = 0; i < 12; i++) {
        struct segue_prepack_source source = test_plan_generated(i, 32768);
        source.generate = generate;
        (void)test_plan_add(plan, "constant", source, NULL);
    }
    CHECK_OK(segue_prepack_plan_run(plan));
    test_plan_wait(plan);
    for (uint32_t i = 0; i < 12; i++)
        test_plan_check_words(plan, i, i, UINT32_MAX, 8192);
    segue_prepack_plan_destroy(plan);
    return increments;
}

static bool generate_slowly(void *context, uint64_t offset_bytes, void *data, size_t length_bytes)
{
    const struct timespec time = {.tv_nsec = 3000000};
    (void)nanosleep(&time, NULL);
    return test_plan_generate(context, offset_bytes, data, length_bytes);
}

/** Each limit alone, the others off. */
static void test_each_limit_alone(void **state)
{
    struct segue_test *test = *state;
    const struct segue_prepack_limits off = {.first_bytes = SEGUE_PREPACK_OFF,
                                             .first_commands = SEGUE_PREPACK_OFF,
                                             .next_bytes = SEGUE_PREPACK_OFF,
                                             .next_commands = SEGUE_PREPACK_OFF,
                                             .age_ns = SEGUE_PREPACK_OFF};
    struct increments got = load_with(test, off, test_plan_generate);
    assert_int_equal(got.count, 1);
    struct segue_prepack_limits limits = off;
    limits.first_bytes = 10000;
    got = load_with(test, limits, test_plan_generate);
    assert_int_equal(got.first_bytes, 10000);
    assert_int_equal(got.count, 2);
    limits = off;
    limits.first_commands = 2;
    got = load_with(test, limits, test_plan_generate);
    assert_int_equal(got.first_bytes, 2 * 32768);
    assert_int_equal(got.count, 2);
    limits = off;
    limits.first_commands = 1;
    limits.next_bytes = 65536;
    got = load_with(test, limits, test_plan_generate);
    assert_int_equal(got.first_bytes, 32768);
    assert_int_equal(got.most_bytes, 65536);
    limits = off;
    limits.first_commands = 1;
    limits.next_commands = 3;
    got = load_with(test, limits, test_plan_generate);
    assert_int_equal(got.first_bytes, 32768);
    assert_int_equal(got.most_bytes, 3 * 32768);
    limits = off;
    limits.age_ns = 1000000;
    limits.reader_count = 2;
    got = load_with(test, limits, generate_slowly);
    assert_true(got.count >= 2);
}

/** A packing by ADD that may be cut into ranges of rows of one word. */
static uint32_t add_rows(struct segue_test *test, segue_prepack_plan *plan, uint32_t words,
                         uint32_t multiple, struct segue_prepack_source sources[2])
{
    struct segue_prepack_packing packing = test_plan_packing(test);
    packing.launch.constants = &words;
    packing.launch.grid[0] = (words + 255) / 256;
    packing.rows = (struct segue_prepack_rows){
        .count = words,
        .multiple = multiple,
        .source_bytes = {4, 4},
        .packed_bytes = 4 * (uint64_t)multiple,
        .rows_per_block = 256,
    };
    const struct segue_prepack_constant constant = {
        .name = "rows",
        .sources = sources,
        .source_count = 2,
        .packing = &packing,
        .packed_bytes = 4 * (uint64_t)words,
    };
    uint32_t index = UINT32_MAX;
    CHECK_OK(segue_prepack_plan_add(plan, &constant, &index));
    return index;
}

/** Ranges of every size give the same, and the sources are never on the device as a whole. */
static void test_ranges_of_rows(void **state)
{
    struct segue_test *test = *state;
    static const uint64_t stagings[] = {8192, 20480, 65536, 0};
    for (size_t i = 0; i < sizeof(stagings) / sizeof(stagings[0]); i++) {
        const struct segue_prepack_params params = {
            .limits = {.staging_bytes = stagings[i], .reader_count = 3}};
        segue_prepack_plan *plan = test_plan_make(test, &params);
        const uint32_t words = 30011;
        struct segue_prepack_source sources[2] = {test_plan_generated(3, 4 * (uint64_t)words),
                                                  test_plan_generated(4, 4 * (uint64_t)words)};
        const uint32_t first = add_rows(test, plan, words, 64, sources);
        const uint32_t whole = test_plan_add_sum(test, plan, "whole", 5, 6);
        sources[0] = test_plan_generated(7, 4 * (uint64_t)words);
        const uint32_t second = add_rows(test, plan, words, 128, sources);
        CHECK_OK(segue_prepack_plan_run(plan));
        test_plan_wait(plan);
        test_plan_check_words(plan, first, 3, 4, words);
        test_plan_check(plan, whole, 5, 6);
        test_plan_check_words(plan, second, 7, 4, words);
        const struct segue_prepack_stats stats = test_plan_stats(plan);
        assert_int_equal(stats.packed_count, 3);
        // What is packed at a go needs all of its sources.
        const uint64_t whole_bytes = 2 * (TEST_PLAN_BYTES + 224);
        if (stagings[i] != 0)
            assert_true(stats.peak_source_bytes <=
                        stagings[i] + (whole_bytes > stagings[i] ? whole_bytes : 0));
        assert_true(memory_of(test).device.peak_bytes <=
                    stats.peak_source_bytes + (stagings[i] == 0 ? 0 : 4096));
        segue_prepack_plan_destroy(plan);
    }
}

/** The memory for sources is that of all constants, or the cap: not that of the first one. */
static void test_memory_for_sources(void **state)
{
    struct segue_test *test = *state;
    const uint32_t words[] = {64, 60000, 60000};
    static const uint64_t stagings[] = {100000, 0};
    for (uint32_t i = 0; i < 2; i++) {
        const struct segue_prepack_params params = {.limits = {.staging_bytes = stagings[i]}};
        segue_prepack_plan *plan = test_plan_make(test, &params);
        uint64_t all_bytes = 0;
        for (uint32_t k = 0; k < 3; k++) {
            struct segue_prepack_source sources[2] = {
                test_plan_generated(1 + k, 4 * (uint64_t)words[k]),
                test_plan_generated(4 + k, 4 * (uint64_t)words[k])};
            (void)add_rows(test, plan, words[k], 64, sources);
            all_bytes += 8 * (uint64_t)words[k];
        }
        CHECK_OK(segue_prepack_plan_run(plan));
        test_plan_wait(plan);
        for (uint32_t k = 0; k < 3; k++)
            test_plan_check_words(plan, k, 1 + k, 4 + k, words[k]);
        const uint64_t peak_bytes = test_plan_stats(plan).peak_source_bytes;
        if (stagings[i] != 0)
            assert_int_equal(peak_bytes, stagings[i]);
        else
            assert_in_range(peak_bytes, all_bytes, all_bytes + 4096);
        segue_prepack_plan_destroy(plan);
    }
}

/** Matrices packed by the quantised kernels, against their packing on the host. */
static void test_ranges_of_matrices(void **state)
{
    struct segue_test *test = *state;
    CHECK_OK(segue_quant_register(test->device));
    struct segue_executable_params kernels;
    segue_quant_get_pack_kernels(&kernels);
    segue_executable *executable = NULL;
    CHECK_OK(segue_executable_create(test->device, &kernels, &executable));
    static const uint32_t pairs[] = {0, 8, 32, 96};
    static const uint64_t stagings[] = {8192, 65536, 0};
    for (uint32_t k = 0; k < 4 * 3; k++) {
        const struct segue_quant_matrix matrix = {.rows = pairs[k % 4] != 0 ? 192 : 200,
                                                  .columns = 256,
                                                  .bits = 4,
                                                  .group_size = 64,
                                                  .pair_stride = pairs[k % 4]};
        struct segue_quant_plain_sizes sizes;
        segue_quant_get_plain_sizes(&matrix, matrix.rows, &sizes);
        const uint64_t packed_bytes = segue_quant_packed_size_bytes(&matrix);
        uint64_t offset_bytes = 0;
        uint64_t tile_bytes = 0;
        const uint32_t unit = pairs[k % 4] > 8 ? 2 * pairs[k % 4] : 16;
        CHECK_OK(segue_quant_get_packed_range(&matrix, (struct segue_quant_rows){0, unit},
                                              &offset_bytes, &tile_bytes));
        tile_bytes /= unit / 16;
        unsigned char *weights = malloc(sizes.weights_bytes);
        unsigned char *scales = malloc(sizes.scales_bytes);
        unsigned char *expected = malloc(packed_bytes);
        unsigned char *got = malloc(packed_bytes);
        (void)test_plan_generate(&test_plan_numbers[5], 0, weights, sizes.weights_bytes);
        (void)test_plan_generate(&test_plan_numbers[6], 0, scales, sizes.scales_bytes);
        const struct segue_quant_plain plain = {weights, scales, NULL};
        CHECK_OK(
            segue_quant_pack(&matrix, (struct segue_quant_rows){0, matrix.rows}, &plain, expected));
        const struct segue_prepack_source sources[] = {
            {.kind = SEGUE_PREPACK_HOST, .data = weights, .size_bytes = sizes.weights_bytes},
            {.kind = SEGUE_PREPACK_HOST, .data = scales, .size_bytes = sizes.scales_bytes},
        };
        const struct segue_quant_pack_constants constants = {
            .columns = matrix.columns,
            .bits = matrix.bits,
            .group_size = matrix.group_size,
            .scale_bytes = 2,
            .row_count = matrix.rows,
            .pair_stride = matrix.pair_stride != 0 ? matrix.pair_stride : 8,
        };
        const struct segue_prepack_packing packing = {
            .executable = executable,
            .entry_point = SEGUE_QUANT_PACK,
            .launch = {.grid = {16, 1, 1},
                       .constants = &constants,
                       .constants_size_bytes = sizeof(constants)},
            .layout_id = 1,
            .rows = {.count = matrix.rows,
                     .multiple = 16,
                     .source_bytes = {sizes.weights_bytes / matrix.rows,
                                      sizes.scales_bytes / matrix.rows},
                     .packed_bytes = tile_bytes,
                     .count_offset_bytes = offsetof(struct segue_quant_pack_constants, row_count),
                     .pair_rows = matrix.pair_stride,
                     .pair_offset_bytes = offsetof(struct segue_quant_pack_constants, pair_stride)},
        };
        const struct segue_prepack_constant constant = {
            .name = "matrix",
            .sources = sources,
            .source_count = 2,
            .packing = &packing,
            .packed_bytes = packed_bytes,
        };
        const struct segue_prepack_params params = {.limits = {.staging_bytes = stagings[k / 4]}};
        segue_prepack_plan *plan = test_plan_make(test, &params);
        CHECK_OK(segue_prepack_plan_add(plan, &constant, NULL));
        CHECK_OK(segue_prepack_plan_run(plan));
        test_plan_wait(plan);
        segue_buffer *buffer = NULL;
        CHECK_OK(segue_prepack_plan_get_buffer(plan, 0, &buffer));
        CHECK_OK(segue_buffer_read(buffer, 0, got, packed_bytes));
        assert_memory_equal(got, expected, packed_bytes);
        segue_buffer_destroy(buffer);
        segue_prepack_plan_destroy(plan);
        free(got);
        free(expected);
        free(scales);
        free(weights);
    }
    segue_executable_destroy(executable);
}

/** A file of constants at odd places, and a plan of all of them. */
struct file_world {
    struct segue_test *test;
    char path[256];
    int fd;
    uint64_t file_bytes;
};

#define FILE_CONSTANTS 9u
#define FILE_WORDS 70001u
#define FILE_GAP_BYTES 1234u

static void make_file(struct file_world *world)
{
    const uint64_t constant_bytes = 4 * (uint64_t)FILE_WORDS;
    world->file_bytes = FILE_CONSTANTS * (constant_bytes + FILE_GAP_BYTES);
    unsigned char *content = calloc(1, world->file_bytes);
    for (uint32_t i = 0; i < FILE_CONSTANTS; i++)
        (void)test_plan_generate(&test_plan_numbers[i], 0,
                                 content + FILE_GAP_BYTES + i * (constant_bytes + FILE_GAP_BYTES),
                                 constant_bytes);
    // On a disk, if there is one: test folders are in memory. Its name is not needed any more.
    (void)snprintf(world->path, sizeof(world->path), "/tmp/segue-load-XXXXXX");
    world->fd = mkstemp(world->path);
    assert_true(world->fd >= 0);
    assert_int_equal(unlink(world->path), 0);
    assert_int_equal(write(world->fd, content, world->file_bytes), world->file_bytes);
    free(content);
}

static segue_prepack_plan *plan_of_file(struct file_world *world,
                                        const struct segue_prepack_params *params)
{
    segue_prepack_plan *plan = test_plan_make(world->test, params);
    for (uint32_t i = 0; i < FILE_CONSTANTS; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "constant %u", i);
        const struct segue_prepack_source source = {
            .fd = world->fd,
            .file = world->path,
            .offset_bytes = FILE_GAP_BYTES + i * (4 * (uint64_t)FILE_WORDS + FILE_GAP_BYTES),
            .size_bytes = 4 * (uint64_t)FILE_WORDS};
        (void)test_plan_add(plan, name, source, NULL);
    }
    return plan;
}

static struct segue_prepack_stats load_file(struct file_world *world,
                                            enum segue_prepack_reading reading,
                                            uint64_t staging_bytes, uint32_t reader_count)
{
    const struct segue_prepack_params params = {.limits = {.staging_bytes = staging_bytes,
                                                           .reader_count = reader_count,
                                                           .reading = reading}};
    segue_prepack_plan *plan = plan_of_file(world, &params);
    CHECK_OK(segue_prepack_plan_run(plan));
    test_plan_wait(plan);
    for (uint32_t i = 0; i < FILE_CONSTANTS; i++)
        test_plan_check_words(plan, i, i, UINT32_MAX, FILE_WORDS);
    const struct segue_prepack_stats stats = test_plan_stats(plan);
    assert_int_equal(stats.cached_file_bytes + stats.direct_file_bytes, stats.uploaded_bytes);
    segue_prepack_plan_destroy(plan);
    return stats;
}

static void test_short_and_interrupted_reads(void **state)
{
    struct file_world world = {.test = *state};
    make_file(&world);
    for (uint32_t readers = 1; readers <= 4; readers += 3) {
        reset_kernel();
        kernel.most_bytes = 5003;
        kernel.interrupt_every = 3;
        (void)load_file(&world, SEGUE_PREPACK_READ_CACHED, 0, readers);
        assert_true(atomic_load(&kernel.reads) > FILE_CONSTANTS * (4 * FILE_WORDS / 5003));
    }
    reset_kernel();
    (void)close(world.fd);
}

/** Past the page cache, by io_uring, one read at a time without it, and through the page cache
 *  where files cannot be opened so. */
static void test_direct_reads(void **state)
{
    struct file_world world = {.test = *state};
    make_file(&world);
    reset_kernel();
    char itself[40];
    (void)snprintf(itself, sizeof(itself), "/proc/self/fd/%d", world.fd);
    const int probe = __real_open(itself, O_RDONLY | O_DIRECT | O_CLOEXEC);
    const bool is_possible = probe >= 0;
    if (is_possible)
        (void)close(probe);
    static const uint64_t stagings[] = {0, 8192, 100000};
    for (uint32_t i = 0; i < 3; i++) {
        for (uint32_t readers = 1; readers <= 3; readers += 2) {
            reset_kernel();
            const struct segue_prepack_stats stats =
                load_file(&world, SEGUE_PREPACK_READ_DIRECT, stagings[i], readers);
            if (is_possible)
                assert_true(stats.direct_file_bytes != 0);
            // Without io_uring.
            kernel.refuses_uring = true;
            const struct segue_prepack_stats refused =
                load_file(&world, SEGUE_PREPACK_READ_DIRECT, stagings[i], readers);
            if (is_possible) {
                assert_int_equal(refused.direct_file_bytes, stats.direct_file_bytes);
                assert_true(refused.uring_refusal_count != 0);
                assert_int_equal(refused.uring_refusal_count, atomic_load(&kernel.uring_refusals));
            }
            // Short reads past the page cache are made up for through it.
            kernel.most_bytes = 6000;
            const struct segue_prepack_stats fallback =
                load_file(&world, SEGUE_PREPACK_READ_DIRECT, stagings[i], readers);
            if (is_possible && i == 0) {
                assert_true(fallback.direct_fallback_count != 0);
                assert_true(fallback.cached_file_bytes != 0);
            }
            reset_kernel();
            kernel.refuses_direct = true;
            const struct segue_prepack_stats cached =
                load_file(&world, SEGUE_PREPACK_READ_DIRECT, stagings[i], readers);
            assert_int_equal(cached.direct_file_bytes, 0);
            assert_int_equal(atomic_load(&kernel.direct_refusals), 1);
            reset_kernel();
        }
    }
    (void)close(world.fd);
}

/** By asking for the file's pages; UINT32_MAX where that does not work. */
static uint32_t count_cached_pages(const struct file_world *world)
{
    const size_t page_count = world->file_bytes / 4096 + 1;
    unsigned char *pages = calloc(1, page_count);
    void *memory = mmap(NULL, world->file_bytes, PROT_READ, MAP_SHARED, world->fd, 0);
    assert_true(memory != MAP_FAILED);
    uint32_t count = mincore(memory, world->file_bytes, pages) == 0 ? 0 : UINT32_MAX;
    for (size_t i = 0; i < page_count && count != UINT32_MAX; i++)
        count += pages[i] & 1u;
    (void)munmap(memory, world->file_bytes);
    free(pages);
    return count;
}

/** What is in the page cache is read from it, what is not is read past it; also where the kernel
 *  has no cachestat. */
static void test_warm_and_cold(void **state)
{
    struct file_world world = {.test = *state};
    make_file(&world);
    assert_int_equal(fsync(world.fd), 0);
    for (int i = 0; i < 2; i++) {
        reset_kernel();
        kernel.refuses_cachestat = i != 0;
        static char page[1 << 16];
        for (uint64_t at = 0; at < world.file_bytes; at += sizeof(page))
            assert_true(__real_pread(world.fd, page, sizeof(page), (off_t)at) > 0);
        struct segue_prepack_stats stats = load_file(&world, SEGUE_PREPACK_READ_AUTO, 0, 2);
        assert_int_equal(stats.direct_file_bytes, 0);
        (void)posix_fadvise(world.fd, 0, 0, POSIX_FADV_DONTNEED);
        const uint32_t cached_pages = count_cached_pages(&world);
        stats = load_file(&world, SEGUE_PREPACK_READ_AUTO, 0, 2);
        // Some pages may be in use by the kernel.
        if (cached_pages < world.file_bytes / 4096 / 8)
            assert_true(stats.direct_file_bytes > stats.uploaded_bytes / 2);
        else
            printf("%u pages of the file stay in memory\n", cached_pages);
    }
    reset_kernel();
    (void)close(world.fd);
}

/** A cache's entries past the page cache: checked all the same. */
static void test_direct_entries(void **state)
{
    struct segue_test *test = *state;
    const char *folder = segue_test_folder();
    const uint64_t size_bytes = (UINT64_C(5) << 20) + 100;
    for (int round = 0; round < 3; round++) {
        if (round == 2) {
            char name[64];
            size_t file_bytes = 0;
            assert_int_equal(segue_test_count_files(folder, ".pack", name), 1);
            unsigned char *file = segue_test_read_file(folder, ".pack", &file_bytes);
            file[4096 + (3u << 20) + 77] ^= 1;
            segue_test_write_file(folder, name, file, file_bytes);
            free(file);
        }
        segue_packed_cache *cache = NULL;
        CHECK_OK(segue_test_open(folder, 0, &cache));
        const struct segue_prepack_params params = {
            .cache = cache,
            .limits = {.reading =
                           round == 0 ? SEGUE_PREPACK_READ_AUTO : SEGUE_PREPACK_READ_DIRECT}};
        segue_prepack_plan *plan = test_plan_make(test, &params);
        (void)test_plan_add(plan, "large", test_plan_generated(3, size_bytes), NULL);
        (void)test_plan_add(plan, "small", test_plan_generated(4, 4000), NULL);
        CHECK_OK(segue_prepack_plan_run(plan));
        test_plan_wait(plan);
        test_plan_check_words(plan, 0, 3, UINT32_MAX, (uint32_t)(size_bytes / 4));
        test_plan_check_words(plan, 1, 4, UINT32_MAX, 1000);
        const struct segue_prepack_stats stats = test_plan_stats(plan);
        assert_int_equal(stats.hit_count, round == 0 ? 0 : round == 1 ? 2 : 1);
        assert_int_equal(stats.corrupt_count, round == 2);
        segue_prepack_plan_destroy(plan);
        segue_packed_cache_close(cache);
    }
}

/** What can fail in the middle. */
static atomic_uint generated_pieces;

static bool generate_until(void *context, uint64_t offset_bytes, void *data, size_t length_bytes)
{
    return atomic_fetch_add(&generated_pieces, 1) < 20 &&
           test_plan_generate(context, offset_bytes, data, length_bytes);
}

/** Nothing is left of a plan that failed: not a file, not a byte, and its point is not reached. */
static void check_nothing_is_left(struct segue_test *test, segue_prepack_plan *plan,
                                  const char *folder)
{
    struct segue_semaphore_value point;
    segue_prepack_plan_get_point(plan, &point);
    uint64_t reached = 0;
    CHECK_OK(segue_semaphore_query(point.semaphore, &reached));
    assert_int_equal(reached, 0);
    segue_buffer *buffer = NULL;
    CHECK_STATUS(segue_prepack_plan_get_buffer(plan, 0, &buffer), SEGUE_INVALID_STATE);
    segue_prepack_plan_destroy(plan);
    const struct segue_memory_stats memory = memory_of(test);
    assert_int_equal(memory.constant.current_bytes, 0);
    assert_int_equal(memory.device.current_bytes, 0);
    assert_int_equal(memory.host_visible.current_bytes, 0);
    if (folder != NULL) {
        assert_int_equal(segue_test_count_files(folder, ".pack", NULL), 0);
        assert_int_equal(segue_test_count_files(folder, "", NULL),
                         segue_test_count_files(folder, "lock", NULL));
    }
}

static void test_failures_in_the_middle(void **state)
{
    struct segue_test *test = *state;
    const char *folder = segue_test_folder();
    for (uint32_t readers = 1; readers <= 4; readers += 3) {
        segue_packed_cache *cache = NULL;
        CHECK_OK(segue_test_open(folder, 0, &cache));
        const struct segue_prepack_params params = {
            .cache = cache, .limits = {.staging_bytes = 65536, .reader_count = readers}};
        segue_prepack_plan *plan = test_plan_make(test, &params);
        for (uint32_t i = 0; i < 3; i++) {
            struct segue_prepack_source sources[2] = {test_plan_generated(i, 400000),
                                                      test_plan_generated(i + 3, 400000)};
            sources[0].generate = generate_until;
            (void)add_rows(test, plan, 100000, 64, sources);
        }
        atomic_store(&generated_pieces, 0);
        CHECK_ERROR(segue_prepack_plan_run(plan), SEGUE_INVALID_DATA, "its generator did not make");
        check_nothing_is_left(test, plan, folder);
        segue_packed_cache_close(cache);
        // A file that becomes shorter once it was checked.
        struct file_world world = {.test = test};
        for (int reading = SEGUE_PREPACK_READ_CACHED; reading <= SEGUE_PREPACK_READ_DIRECT;
             reading++) {
            const struct segue_prepack_params of_file = {
                .limits = {.staging_bytes = 100000,
                           .reader_count = readers,
                           .reading = (enum segue_prepack_reading)reading}};
            make_file(&world);
            plan = plan_of_file(&world, &of_file);
            assert_int_equal(ftruncate(world.fd, (off_t)(world.file_bytes / 2)), 0);
            CHECK_ERROR(segue_prepack_plan_run(plan), SEGUE_IO_ERROR, "became shorter");
            check_nothing_is_left(test, plan, NULL);
            (void)close(world.fd);
        }
    }
}

/** Given up with pieces on their way, after every number of steps. */
static void test_given_up_under_way(void **state)
{
    struct file_world world = {.test = *state};
    make_file(&world);
    const struct segue_prepack_params params = {
        .limits = {.staging_bytes = 65536, .next_bytes = 30000, .reader_count = 3}};
    bool done = false;
    for (uint32_t steps = 0; !done; steps += 5) {
        segue_prepack_plan *plan = plan_of_file(&world, &params);
        for (uint32_t i = 0; i < steps && !done; i++)
            CHECK_OK(segue_prepack_plan_step(plan, &done));
        segue_prepack_plan_destroy(plan);
        assert_int_equal(memory_of(world.test).host_visible.current_bytes, 0);
        assert_int_equal(memory_of(world.test).constant.current_bytes, 0);
    }
    (void)close(world.fd);
}

/** Staging memory that is kept: pinned once, used by plan after plan, and by one at a time. */
static void test_kept_staging(void **state)
{
    struct segue_test *test = *state;
    const uint64_t cap = UINT64_C(1) << 20;
    const struct segue_prepack_limits limits = {.staging_bytes = cap, .slot_bytes = cap / 4};
    const struct segue_prepack_limits bad = {.staging_bytes = 100};
    segue_prepack_staging *staging = NULL;
    CHECK_ERROR(segue_prepack_staging_create(test->device, &bad, &staging), SEGUE_INVALID_ARGUMENT,
                "staging_bytes");
    CHECK_STATUS(segue_prepack_staging_create(NULL, NULL, &staging), SEGUE_INVALID_ARGUMENT);
    CHECK_OK(segue_prepack_staging_create(test->device, &limits, &staging));
    struct segue_memory_stats before = memory_of(test);
    assert_int_equal(before.host_visible.current_bytes, cap);
    const struct segue_prepack_params params = {.limits = limits};
    for (int i = 0; i < 3; i++) {
        segue_prepack_plan *plan = test_plan_make(test, &params);
        (void)test_plan_add(plan, "constant", test_plan_generated(5, 3 * cap), NULL);
        CHECK_OK(segue_prepack_plan_run(plan));
        test_plan_wait(plan);
        test_plan_check_words(plan, 0, 5, UINT32_MAX, (uint32_t)(3 * cap / 4));
        assert_int_equal(memory_of(test).host_visible.allocation_count,
                         before.host_visible.allocation_count);
        segue_prepack_plan_destroy(plan);
    }
    // Two plans at a time have two rings, and what is pinned is given back with the last user.
    segue_prepack_plan *plans[2];
    for (int i = 0; i < 2; i++) {
        plans[i] = test_plan_make(test, &params);
        (void)test_plan_add(plans[i], "constant", test_plan_generated(5, 3 * cap), NULL);
        CHECK_OK(segue_prepack_plan_run(plans[i]));
        test_plan_wait(plans[i]);
    }
    const uint64_t both = memory_of(test).host_visible.current_bytes;
    assert_true(both > cap && both <= 2 * cap);
    segue_prepack_staging_destroy(staging);
    segue_prepack_plan_destroy(plans[0]);
    assert_int_equal(memory_of(test).host_visible.current_bytes, both);
    // Slots of another size: idle ones that do not fit do not stay beside them.
    const struct segue_prepack_params other = {
        .limits = {.staging_bytes = cap, .slot_bytes = cap / 8}};
    plans[0] = test_plan_make(test, &other);
    assert_true(memory_of(test).host_visible.current_bytes < both);
    segue_prepack_plan_destroy(plans[1]);
    segue_prepack_plan_destroy(plans[0]);
    assert_int_equal(memory_of(test).host_visible.current_bytes, 0);
}

/** Rows that do not make up what they are said to. */
static void test_refused_rows(void **state)
{
    struct segue_test *test = *state;
    segue_prepack_plan *plan = test_plan_make(test, NULL);
    const uint32_t words = 1000;
    const struct segue_prepack_source sources[] = {test_plan_generated(1, 4000),
                                                   test_plan_generated(2, 4000)};
    const struct segue_prepack_rows good = {.count = words,
                                            .multiple = 64,
                                            .source_bytes = {4, 4},
                                            .packed_bytes = 256,
                                            .rows_per_block = 256};
    struct segue_prepack_rows rows[9];
    for (size_t i = 0; i < 9; i++)
        rows[i] = good;
    rows[1].packed_bytes = 0;
    rows[2].packed_bytes = 249;
    rows[3].packed_bytes = 268;
    rows[4].count_offset_bytes = 1;
    rows[5].grid_axis = 3;
    rows[6].source_bytes[1] = 8;
    rows[7].source_bytes[0] = 0;
    rows[7].source_bytes[1] = 0;
    rows[8].pair_rows = 100;
    static const char *const texts[] = {NULL,           "packed_bytes",  "packed_bytes",
                                        "packed_bytes", "launch",        "launch",
                                        "a source",     "of any source", "paired"};
    for (size_t i = 0; i < 9; i++) {
        struct segue_prepack_packing packing = test_plan_packing(test);
        packing.launch.constants = &words;
        packing.rows = rows[i];
        const struct segue_prepack_constant constant = {
            .name = "rows",
            .sources = sources,
            .source_count = 2,
            .packing = &packing,
            .packed_bytes = 4000,
        };
        if (texts[i] == NULL)
            CHECK_OK(segue_prepack_plan_add(plan, &constant, NULL));
        else
            CHECK_ERROR(segue_prepack_plan_add(plan, &constant, NULL), SEGUE_INVALID_ARGUMENT,
                        texts[i]);
    }
    segue_prepack_plan_destroy(plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        segue_test_case(test_cap),
        segue_test_case(test_small_tensors_share_increments),
        segue_test_case(test_each_limit_alone),
        segue_test_case(test_ranges_of_rows),
        segue_test_case(test_memory_for_sources),
        segue_test_case(test_ranges_of_matrices),
        segue_test_case(test_short_and_interrupted_reads),
        segue_test_case(test_direct_reads),
        segue_test_case(test_warm_and_cold),
        segue_test_case(test_direct_entries),
        segue_test_case(test_failures_in_the_middle),
        segue_test_case(test_given_up_under_way),
        segue_test_case(test_kept_staging),
        segue_test_case(test_refused_rows),
    };
    const int prepared = segue_test_prepare();
    return prepared != 0 ? prepared : cmocka_run_group_tests(tests, NULL, NULL);
}
