// SPDX-License-Identifier: Apache-2.0
// bench_load URI FOLDER [MIB [TENSORS]]: how fast a plan loads a file of weights into the device:
// with a warm and a cold file, through a cold and a warm cache, beside a mapped file that is copied
// tensor by tensor, and the rate of one pinned copy. One line each: GB/s, time to the first
// submission, pinned memory.
#include <segue/prepack.h>
#include <segue/segue.h>

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/** What is measured. */
struct bench {
    segue_device *device;
    char file[512];
    char cache[512];
    uint64_t tensor_bytes;
    uint32_t tensor_count;
    struct segue_prepack_limits limits;
};

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void check(segue_status status, const char *what)
{
    if (status == SEGUE_OK)
        return;
    fprintf(stderr, "bench_load: %s: %s\n", what, segue_last_error()->message);
    exit(4);
}

static void must(bool condition, const char *what)
{
    if (condition)
        return;
    perror(what);
    exit(4);
}

static void report(const struct bench *bench, const char *name, uint64_t time_ns,
                   const struct segue_prepack_stats *stats)
{
    const double bytes = (double)bench->tensor_bytes * bench->tensor_count;
    printf("%-34s %8.2f GB/s %9.2f ms", name, bytes / (double)time_ns, (double)time_ns / 1e6);
    if (stats != NULL)
        printf("  first %6.2f ms, keys %7.2f ms, store %7.2f ms, pinned %" PRIu64 " MiB, %" PRIu64
               " increments, %u hits",
               (double)stats->first_submit_ns / 1e6, (double)stats->key_ns / 1e6,
               (double)stats->store_ns / 1e6, stats->peak_staging_bytes >> 20,
               stats->increment_count, stats->hit_count);
    puts("");
    (void)fflush(stdout);
}

static void make_file(const struct bench *bench)
{
    const int fd = open(bench->file, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    must(fd >= 0, bench->file);
    unsigned char *data = malloc((size_t)bench->tensor_bytes);
    must(data != NULL, "malloc");
    for (uint32_t i = 0; i < bench->tensor_count; i++) {
        uint64_t state = i + 1;
        for (uint64_t k = 0; k + 8 <= bench->tensor_bytes; k += 8) {
            state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
            memcpy(data + k, &state, 8);
        }
        must(write(fd, data, (size_t)bench->tensor_bytes) == (ssize_t)bench->tensor_bytes, "write");
    }
    free(data);
    must(fsync(fd) == 0 && close(fd) == 0, "fsync");
}

/** Takes a file out of the page cache, where that is possible. */
static void cool(const char *path)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    (void)fsync(fd);
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    (void)close(fd);
}

/** One load by a plan, from the opening of the file to the point. */
static void load(const struct bench *bench, const char *name, segue_packed_cache *cache)
{
    const int fd = open(bench->file, O_RDONLY | O_CLOEXEC);
    must(fd >= 0, bench->file);
    segue_prepack_plan *plan = NULL;
    const struct segue_prepack_params params = {.cache = cache, .limits = bench->limits};
    const uint64_t start_ns = now_ns();
    check(segue_prepack_plan_create(bench->device, &params, &plan), "plan");
    for (uint32_t i = 0; i < bench->tensor_count; i++) {
        char tensor_name[32];
        (void)snprintf(tensor_name, sizeof(tensor_name), "tensor %u", i);
        const struct segue_prepack_source source = {.fd = fd,
                                                    .file = bench->file,
                                                    .offset_bytes = i * bench->tensor_bytes,
                                                    .size_bytes = bench->tensor_bytes};
        const struct segue_prepack_constant constant = {
            .name = tensor_name, .sources = &source, .source_count = 1};
        check(segue_prepack_plan_add(plan, &constant, NULL), "add");
    }
    check(segue_prepack_plan_run(plan), "run");
    struct segue_semaphore_value point;
    segue_prepack_plan_get_point(plan, &point);
    check(segue_semaphore_wait(point.semaphore, point.value, SEGUE_TIMEOUT_INFINITE), "wait");
    const uint64_t time_ns = now_ns() - start_ns;
    struct segue_prepack_stats stats;
    segue_prepack_plan_get_stats(plan, &stats);
    report(bench, name, time_ns, &stats);
    segue_prepack_plan_destroy(plan);
    (void)close(fd);
}

static void load_cached(const struct bench *bench, const char *name,
                        enum segue_packed_verification verification, uint32_t flags)
{
    const struct segue_packed_cache_params params = {
        .path = bench->cache, .flags = flags, .verification = verification};
    segue_packed_cache *cache = NULL;
    check(segue_packed_cache_open(&params, &cache), "cache");
    load(bench, name, cache);
    segue_packed_cache_close(cache);
}

/** The usual way: map the file, copy each tensor. */
static void load_mapped(const struct bench *bench)
{
    const int fd = open(bench->file, O_RDONLY | O_CLOEXEC);
    const uint64_t start_ns = now_ns();
    const size_t size_bytes = (size_t)(bench->tensor_bytes * bench->tensor_count);
    unsigned char *data = mmap(NULL, size_bytes, PROT_READ, MAP_PRIVATE, fd, 0);
    must(data != MAP_FAILED, "mmap");
    segue_buffer **buffers = calloc(bench->tensor_count, sizeof(segue_buffer *));
    must(buffers != NULL, "calloc");
    for (uint32_t i = 0; i < bench->tensor_count; i++) {
        const struct segue_buffer_params params = {.size_bytes = bench->tensor_bytes,
                                                   .memory = SEGUE_MEMORY_CONSTANT};
        check(segue_buffer_create(bench->device, &params, &buffers[i]), "buffer");
        check(
            segue_buffer_write(buffers[i], 0, data + i * bench->tensor_bytes, bench->tensor_bytes),
            "write");
    }
    report(bench, "mapped file, copied by tensor", now_ns() - start_ns, NULL);
    for (uint32_t i = 0; i < bench->tensor_count; i++)
        segue_buffer_destroy(buffers[i]);
    free(buffers);
    (void)munmap(data, size_bytes);
    (void)close(fd);
}

/** One copy of pinned memory, again and again: what the bus gives. */
static void measure_pinned(const struct bench *bench)
{
    const uint64_t size_bytes = bench->tensor_bytes;
    const struct segue_buffer_params host = {.size_bytes = size_bytes,
                                             .memory = SEGUE_MEMORY_HOST_VISIBLE};
    const struct segue_buffer_params target = {.size_bytes = size_bytes};
    segue_buffer *from = NULL;
    segue_buffer *to = NULL;
    segue_queue *queue = NULL;
    check(segue_buffer_create(bench->device, &host, &from), "pinned");
    check(segue_buffer_create(bench->device, &target, &to), "buffer");
    check(segue_queue_create(bench->device, NULL, &queue), "queue");
    const struct segue_command_buffer_params params = {.mode = SEGUE_EXECUTION_STREAM};
    segue_command_buffer *command_buffer = NULL;
    check(segue_command_buffer_create(bench->device, &params, &command_buffer), "recording");
    check(segue_command_buffer_begin(command_buffer), "begin");
    const struct segue_buffer_ref source = {.buffer = from, .length_bytes = SEGUE_WHOLE_SIZE};
    const struct segue_buffer_ref destination = {.buffer = to, .length_bytes = SEGUE_WHOLE_SIZE};
    check(segue_cmd_copy(command_buffer, source, destination), "copy");
    check(segue_command_buffer_end(command_buffer), "end");
    const struct segue_execution execution = {.command_buffer = command_buffer};
    const struct segue_submission submission = {.executions = &execution, .execution_count = 1};
    uint64_t start_ns = 0;
    for (uint32_t i = 0; i <= bench->tensor_count; i++) {
        if (i == 1)
            start_ns = now_ns();
        check(segue_queue_submit(queue, &submission), "submit");
        if (i == 0)
            check(segue_queue_wait_idle(queue), "wait");
    }
    check(segue_queue_wait_idle(queue), "wait");
    report(bench, "pinned copy", now_ns() - start_ns, NULL);
    segue_command_buffer_destroy(command_buffer);
    segue_queue_destroy(queue);
    segue_buffer_destroy(to);
    segue_buffer_destroy(from);
}

static void run(struct bench *bench)
{
    measure_pinned(bench);
    load_mapped(bench);
    load_mapped(bench);
    load(bench, "warm file, no cache", NULL);
    load(bench, "warm file, no cache", NULL);
    cool(bench->file);
    load(bench, "cold file, no cache", NULL);
    load_cached(bench, "warm file, empty cache", SEGUE_PACKED_VERIFY_SAMPLED, 0);
    char pack[600];
    (void)snprintf(pack, sizeof(pack), "%s/generation-0000000000000001.pack", bench->cache);
    load_cached(bench, "warm cache, sampled", SEGUE_PACKED_VERIFY_SAMPLED, 0);
    load_cached(bench, "warm cache, sampled", SEGUE_PACKED_VERIFY_SAMPLED, 0);
    load_cached(bench, "warm cache, off", SEGUE_PACKED_VERIFY_OFF, 0);
    load_cached(bench, "warm cache, full on host", SEGUE_PACKED_VERIFY_FULL, 0);
    load_cached(bench, "warm cache, full on device", SEGUE_PACKED_VERIFY_FULL,
                SEGUE_PACKED_CACHE_VERIFY_ON_DEVICE);
    cool(pack);
    load_cached(bench, "cold cache, sampled", SEGUE_PACKED_VERIFY_SAMPLED, 0);
    static const uint64_t sizes_mib[] = {1, 2, 4, 8, 16, 32};
    for (size_t i = 0; i < sizeof(sizes_mib) / sizeof(sizes_mib[0]); i++) {
        char name[64];
        bench->limits = (struct segue_prepack_limits){.slot_bytes = sizes_mib[i] << 20,
                                                      .next_bytes = sizes_mib[i] << 20};
        (void)snprintf(name, sizeof(name), "warm file, slots of %" PRIu64 " MiB", sizes_mib[i]);
        load(bench, name, NULL);
    }
    for (uint32_t readers = 1; readers <= 16; readers *= 2) {
        char name[64];
        bench->limits = (struct segue_prepack_limits){.reader_count = readers};
        (void)snprintf(name, sizeof(name), "warm file, %u readers", readers);
        load(bench, name, NULL);
    }
    bench->limits = (struct segue_prepack_limits){.first_bytes = SEGUE_PREPACK_OFF,
                                                  .next_bytes = SEGUE_PREPACK_OFF,
                                                  .age_ns = SEGUE_PREPACK_OFF};
    load(bench, "warm file, submitted when full", NULL);
    (void)unlink(pack);
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fputs("usage: bench_load URI FOLDER [MIB [TENSORS]]\n", stderr);
        return 2;
    }
    const uint64_t size_mib = argc > 3 ? strtoull(argv[3], NULL, 10) : 1024;
    struct bench bench = {.tensor_count = argc > 4 ? (uint32_t)strtoul(argv[4], NULL, 10) : 64};
    bench.tensor_bytes = (size_mib << 20) / (bench.tensor_count != 0 ? bench.tensor_count : 1);
    bench.tensor_bytes -= bench.tensor_bytes % 4096;
    (void)snprintf(bench.file, sizeof(bench.file), "%s/weights", argv[2]);
    (void)snprintf(bench.cache, sizeof(bench.cache), "%s/cache", argv[2]);
    check(segue_device_open(argv[1], NULL, &bench.device), argv[1]);
    make_file(&bench);
    run(&bench);
    (void)unlink(bench.file);
    segue_device_destroy(bench.device);
    return 0;
}
