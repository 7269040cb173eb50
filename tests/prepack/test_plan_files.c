// SPDX-License-Identifier: Apache-2.0
// How plans read files: what is in the page cache from it, what is not past it, whatever the kernel
// refuses in another way; short and interrupted reads, and files that change, do no harm.
#include "folder.h"
#include "plans.h"
#include "prepack/direct.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#ifdef SEGUE_TEST_LIBURING
#include <liburing.h>
#endif

/** What the kernel is made to do. */
static struct {
    /** pread: reads at most so many bytes; every nth is interrupted; ends here. */
    size_t most_bytes;
    uint32_t interrupt_every;
    bool refuses_direct;
    bool refuses_uring;
    /** Rings are made, and nothing is taken from them; or all but the last read that is put. */
    bool refuses_enter;
    bool takes_less;
    /** Reads of rings are interrupted, this often. */
    atomic_uint interrupted_waits;
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
#ifdef SEGUE_TEST_LIBURING
int __real_io_uring_queue_init(unsigned entries, struct io_uring *ring, unsigned flags);
int __wrap_io_uring_queue_init(unsigned entries, struct io_uring *ring, unsigned flags);
int __real_io_uring_submit_and_wait(struct io_uring *ring, unsigned count);
int __wrap_io_uring_submit_and_wait(struct io_uring *ring, unsigned count);
#endif

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
    if (kernel.refuses_cachestat && number == 451) {
        errno = ENOSYS;
        return -1;
    }
    return __real_syscall(number, values[0], values[1], values[2], values[3], values[4], values[5]);
}

#ifdef SEGUE_TEST_LIBURING
int __wrap_io_uring_queue_init(unsigned entries, struct io_uring *ring, unsigned flags)
{
    if (!kernel.refuses_uring)
        return __real_io_uring_queue_init(entries, ring, flags);
    atomic_fetch_add(&kernel.uring_refusals, 1);
    return -EPERM;
}

int __wrap_io_uring_submit_and_wait(struct io_uring *ring, unsigned count)
{
    if (kernel.refuses_enter)
        return -EPERM;
    if (atomic_load(&kernel.interrupted_waits) != 0) {
        atomic_fetch_sub(&kernel.interrupted_waits, 1);
        return -EINTR;
    }
    if (!kernel.takes_less)
        return __real_io_uring_submit_and_wait(ring, count);
    // As a kernel that is short of memory: the last one stays where it is.
    if (io_uring_sq_ready(ring) <= 1)
        return -EAGAIN;
    ring->sq.sqe_tail--;
    const int taken = __real_io_uring_submit_and_wait(ring, 0);
    ring->sq.sqe_tail++;
    return taken;
}
#endif

static void reset_kernel(void)
{
    memset(&kernel, 0, sizeof(kernel));
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

/** Whether the file's file system reads past the page cache: some open files so and read none. */
static bool reads_direct(const struct file_world *world)
{
    char itself[40];
    (void)snprintf(itself, sizeof(itself), "/proc/self/fd/%d", world->fd);
    const int fd = __real_open(itself, O_RDONLY | O_DIRECT | O_CLOEXEC);
    if (fd < 0)
        return false;
    void *sector = aligned_alloc(4096, 4096);
    assert_non_null(sector);
    const bool reads = __real_pread(fd, sector, 4096, 4096) == 4096;
    free(sector);
    (void)close(fd);
    return reads;
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
    // A GPU's driver may have pinned memory that files cannot be read into.
    const bool is_possible = reads_direct(&world) && world.test->soft != NULL;
    static const uint64_t stagings[] = {0, 8192, 100000};
    for (uint32_t i = 0; i < 3; i++) {
        for (uint32_t readers = 1; readers <= 3; readers += 2) {
            reset_kernel();
            const struct segue_prepack_stats stats =
                load_file(&world, SEGUE_PREPACK_READ_DIRECT, stagings[i], readers);
            if (is_possible)
                assert_true(stats.direct_file_bytes != 0);
#ifdef SEGUE_TEST_LIBURING
            // All of it by io_uring, if there is any, interrupted now and then.
            atomic_store(&kernel.interrupted_waits, 5);
            const struct segue_prepack_stats interrupted =
                load_file(&world, SEGUE_PREPACK_READ_DIRECT, stagings[i], readers);
            assert_int_equal(interrupted.direct_file_bytes, stats.direct_file_bytes);
            assert_int_equal(interrupted.uring_refusal_count, stats.uring_refusal_count);
            if (is_possible && stats.uring_refusal_count == 0)
                assert_int_equal(atomic_load(&kernel.interrupted_waits), 0);
            // Rings that take some and then no more.
            kernel.takes_less = true;
            const struct segue_prepack_stats less =
                load_file(&world, SEGUE_PREPACK_READ_DIRECT, stagings[i], readers);
            assert_int_equal(less.direct_file_bytes, stats.direct_file_bytes);
            if (is_possible)
                assert_true(less.uring_refusal_count != 0);
#else
            // Not built with io_uring: as where it is refused.
            if (is_possible)
                assert_true(stats.uring_refusal_count != 0);
#endif
            // Without io_uring.
            kernel.refuses_enter = true;
            const struct segue_prepack_stats useless =
                load_file(&world, SEGUE_PREPACK_READ_DIRECT, stagings[i], readers);
            if (is_possible) {
                assert_int_equal(useless.direct_file_bytes, stats.direct_file_bytes);
                assert_true(useless.uring_refusal_count != 0);
            }
            kernel.refuses_uring = true;
            const struct segue_prepack_stats refused =
                load_file(&world, SEGUE_PREPACK_READ_DIRECT, stagings[i], readers);
            if (is_possible) {
                assert_int_equal(refused.direct_file_bytes, stats.direct_file_bytes);
                assert_true(refused.uring_refusal_count != 0);
#ifdef SEGUE_TEST_LIBURING
                assert_int_equal(refused.uring_refusal_count, atomic_load(&kernel.uring_refusals));
#endif
            }
            // Short reads past the page cache are made up for through it.
            kernel.most_bytes = 8192;
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

/** What is read past the page cache comes with whole sectors: not over what lies beside it. */
static void test_neighbours_of_direct_reads(void **state)
{
    struct file_world world = {.test = *state};
    make_file(&world);
    static uint32_t host[FILE_CONSTANTS * 40][300];
    for (uint32_t readers = 1; readers <= 4; readers++) {
        const struct segue_prepack_params params = {
            .limits = {.reader_count = readers, .reading = SEGUE_PREPACK_READ_DIRECT}};
        segue_prepack_plan *plan = test_plan_make(world.test, &params);
        for (uint32_t i = 0; i < FILE_CONSTANTS * 40; i++) {
            (void)test_plan_generate(&test_plan_numbers[i % 16], 4 * i, host[i], sizeof(host[i]));
            const struct segue_prepack_source of_host = {
                .kind = SEGUE_PREPACK_HOST, .data = host[i], .size_bytes = sizeof(host[i])};
            const struct segue_prepack_source of_file = {.fd = world.fd,
                                                         .offset_bytes = FILE_GAP_BYTES +
                                                                         4 * (uint64_t)(i * 1500),
                                                         .size_bytes = 4 * (uint64_t)(5000 + i)};
            (void)test_plan_add(plan, "file", of_file, NULL);
            (void)test_plan_add(plan, "host", of_host, NULL);
        }
        CHECK_OK(segue_prepack_plan_run(plan));
        test_plan_wait(plan);
        for (uint32_t i = 0; i < FILE_CONSTANTS * 40; i++) {
            uint32_t words[300];
            segue_buffer *buffer = NULL;
            CHECK_OK(segue_prepack_plan_get_buffer(plan, 2 * i + 1, &buffer));
            test_plan_read(buffer, words, 300);
            assert_memory_equal(words, host[i], sizeof(words));
            segue_buffer_destroy(buffer);
        }
        segue_prepack_plan_destroy(plan);
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
    const bool is_possible = reads_direct(&world);
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
        if (!is_possible)
            printf("the file system does not read past the page cache\n");
        else if (cached_pages < world.file_bytes / 4096 / 8)
            assert_true(stats.direct_file_bytes > stats.uploaded_bytes / 2 ||
                        (world.test->soft == NULL && stats.direct_fallback_count != 0));
        else
            printf("%u pages of the file stay in memory\n", cached_pages);
    }
    reset_kernel();
    (void)close(world.fd);
}

/** Long ranges are judged by samples of them. */
static void test_samples_of_long_ranges(void **state)
{
    (void)state;
    struct file_world world = {.file_bytes = UINT64_C(8) << 20};
    (void)snprintf(world.path, sizeof(world.path), "/tmp/segue-load-XXXXXX");
    world.fd = mkstemp(world.path);
    assert_true(world.fd >= 0);
    assert_int_equal(unlink(world.path), 0);
    unsigned char *content = calloc(1, world.file_bytes);
    assert_non_null(content);
    assert_int_equal(write(world.fd, content, world.file_bytes), world.file_bytes);
    assert_int_equal(fsync(world.fd), 0);
    reset_kernel();
    for (int i = 0; i < 2; i++) {
        kernel.refuses_cachestat = i != 0;
        assert_int_equal(__real_pread(world.fd, content, world.file_bytes, 0), world.file_bytes);
        assert_false(segue_prepack_is_cold(world.fd, 0, world.file_bytes));
        assert_false(segue_prepack_is_cold(world.fd, 12345, world.file_bytes - 54321));
        (void)posix_fadvise(world.fd, 0, 0, POSIX_FADV_DONTNEED);
        if (count_cached_pages(&world) > world.file_bytes / 4096 / 8) {
            printf("the file stays in memory\n");
            continue;
        }
        assert_true(segue_prepack_is_cold(world.fd, 0, world.file_bytes));
        // Most of it, not all: all but the last quarter, then all but the first.
        const uint64_t quarter_bytes = world.file_bytes / 4;
        (void)posix_fadvise(world.fd, 0, 0, POSIX_FADV_RANDOM);
        for (uint64_t from = 0; from < 2; from++) {
            assert_int_equal(
                __real_pread(world.fd, content, 3 * quarter_bytes, (off_t)(from * quarter_bytes)),
                3 * quarter_bytes);
            assert_false(segue_prepack_is_cold(world.fd, 0, world.file_bytes));
            assert_true(
                segue_prepack_is_cold(world.fd, from == 0 ? 3 * quarter_bytes : 0, quarter_bytes));
            (void)posix_fadvise(world.fd, 0, 0, POSIX_FADV_DONTNEED);
        }
        (void)posix_fadvise(world.fd, 0, 0, POSIX_FADV_NORMAL);
    }
    reset_kernel();
    free(content);
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

static void test_file_becomes_shorter(void **state)
{
    struct segue_test *test = *state;
    for (uint32_t readers = 1; readers <= 4; readers += 3) {
        struct file_world world = {.test = test};
        for (int reading = SEGUE_PREPACK_READ_CACHED; reading <= SEGUE_PREPACK_READ_DIRECT;
             reading++) {
            const struct segue_prepack_params of_file = {
                .limits = {.staging_bytes = 100000,
                           .reader_count = readers,
                           .reading = (enum segue_prepack_reading)reading}};
            make_file(&world);
            segue_prepack_plan *plan = plan_of_file(&world, &of_file);
            assert_int_equal(ftruncate(world.fd, (off_t)(world.file_bytes / 2)), 0);
            CHECK_ERROR(segue_prepack_plan_run(plan), SEGUE_IO_ERROR, "became shorter");
            test_plan_check_nothing_is_left(test, plan, NULL);
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
        assert_int_equal(test_plan_memory(world.test).host_visible.current_bytes, 0);
        assert_int_equal(test_plan_memory(world.test).constant.current_bytes, 0);
    }
    (void)close(world.fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        segue_test_case(test_short_and_interrupted_reads), segue_test_case(test_direct_reads),
        segue_test_case(test_neighbours_of_direct_reads),  segue_test_case(test_warm_and_cold),
        segue_test_case(test_samples_of_long_ranges),      segue_test_case(test_direct_entries),
        segue_test_case(test_file_becomes_shorter),        segue_test_case(test_given_up_under_way),
    };
    const int prepared = segue_test_prepare();
    return prepared != 0 ? prepared : cmocka_run_group_tests(tests, NULL, NULL);
}
