// SPDX-License-Identifier: Apache-2.0
// bench_load URI FOLDER [MIB [TENSORS [all]]]: how fast a plan loads a file of weights into the
// device: with a warm and a cold file, as it is and packed on the way, through a cold and a warm
// cache, beside a mapped file that is copied tensor by tensor, the rate of pinned copies, and what
// the disk gives past the page cache. With `all` also by slots, readers and thresholds. One line
// each, of the best of several loads: GB/s, its part of the pinned rate, the time until a first
// replay that uses a constant was done, the time to the first submission, what the loading thread
// spent its time on, peaks of pinned memory, of host memory that is not page cache, and of memory
// for sources on the device.
#include <segue/prepack.h>
#include <segue/quant.h>
#include <segue/segue.h>

#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
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
    /** The packing kernels, and the rows of a tensor that is packed. */
    segue_executable *packer;
    struct segue_quant_matrix matrix;
    /** Time of a pinned copy of as many bytes; 0: not known yet. */
    double pinned_ns;
    /** Loads of which the best one counts. */
    uint32_t repeats;
};

/** One load. */
struct result {
    uint64_t time_ns;
    uint64_t replay_ns;
    uint64_t host_bytes;
    struct segue_prepack_stats stats;
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

static void report_rate(const struct bench *bench, const char *name, uint64_t time_ns)
{
    const double bytes = (double)bench->tensor_bytes * bench->tensor_count;
    printf("%-34s %7.2f GB/s (%.3f of pinned) %9.2f ms", name, bytes / (double)time_ns,
           bench->pinned_ns / (double)time_ns, (double)time_ns / 1e6);
}

static void report(const struct bench *bench, const char *name, const struct result *result)
{
    const struct segue_prepack_stats *stats = &result->stats;
    report_rate(bench, name, result->time_ns);
    printf("; replayed at %9.2f ms; first %5.2f, keys %7.2f, read %7.2f, slots %6.2f, pin %5.2f, "
           "allocate %5.2f, submit %5.2f, store %7.2f ms; readers %8.2f ms; pinned %" PRIu64
           " MiB, host +%.1f MiB, sources %" PRIu64 " MiB, past the page cache %" PRIu64
           " MiB, %" PRIu64 " increments, %u hits\n",
           (double)result->replay_ns / 1e6, (double)stats->first_submit_ns / 1e6,
           (double)stats->key_ns / 1e6, (double)stats->read_wait_ns / 1e6,
           (double)stats->slot_wait_ns / 1e6, (double)stats->pin_ns / 1e6,
           (double)stats->allocate_ns / 1e6, (double)stats->submit_ns / 1e6,
           (double)stats->store_ns / 1e6, (double)stats->read_ns / 1e6,
           stats->peak_staging_bytes >> 20, (double)result->host_bytes / 1048576,
           stats->peak_source_bytes >> 20, stats->direct_file_bytes >> 20, stats->increment_count,
           stats->hit_count);
    (void)fflush(stdout);
}

/** Memory of the process that is no file's. */
static uint64_t host_bytes(void)
{
    FILE *file = fopen("/proc/self/status", "re");
    char line[128];
    uint64_t sum_kib = 0;
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, "RssAnon:", 8) == 0 || strncmp(line, "RssShmem:", 9) == 0)
            sum_kib += strtoull(strchr(line, ':') + 1, NULL, 10);
    }
    if (file != NULL)
        (void)fclose(file);
    return sum_kib << 10;
}

/** Looks every millisecond how much memory there is. */
struct watch {
    pthread_t thread;
    atomic_bool ends;
    uint64_t peak_bytes;
};

static void *run_watch(void *context)
{
    struct watch *watch = context;
    while (!atomic_load(&watch->ends)) {
        const uint64_t bytes = host_bytes();
        if (bytes > watch->peak_bytes)
            watch->peak_bytes = bytes;
        const struct timespec pause = {.tv_nsec = 1000000};
        (void)nanosleep(&pause, NULL);
    }
    return NULL;
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

/** The rows of 4096 4-bit weights that a tensor holds, with a scale for every 32. */
static void make_matrix(struct bench *bench)
{
    bench->matrix = (struct segue_quant_matrix){.columns = 4096, .bits = 4, .group_size = 32};
    struct segue_quant_plain_sizes row;
    segue_quant_get_plain_sizes(&bench->matrix, 1, &row);
    bench->matrix.rows =
        (uint32_t)(bench->tensor_bytes / (row.weights_bytes + row.scales_bytes)) / 16 * 16;
    struct segue_executable_params kernels;
    segue_quant_get_pack_kernels(&kernels);
    check(segue_quant_register(bench->device), "kernels");
    check(segue_executable_create(bench->device, &kernels, &bench->packer), "packing kernels");
}

/** Adds a tensor as a matrix, packed in ranges of rows, or both of its parts as they are. */
static void add_matrix(const struct bench *bench, segue_prepack_plan *plan,
                       struct segue_prepack_source source, bool packs)
{
    const struct segue_quant_matrix *matrix = &bench->matrix;
    struct segue_quant_plain_sizes row;
    segue_quant_get_plain_sizes(matrix, 1, &row);
    struct segue_prepack_source sources[2] = {source, source};
    sources[0].size_bytes = row.weights_bytes * matrix->rows;
    sources[1].offset_bytes += sources[0].size_bytes;
    sources[1].size_bytes = row.scales_bytes * matrix->rows;
    const struct segue_quant_pack_constants constants = {.columns = matrix->columns,
                                                         .bits = matrix->bits,
                                                         .group_size = matrix->group_size,
                                                         .scale_bytes = 2,
                                                         .row_count = matrix->rows,
                                                         .pair_stride = 8};
    const struct segue_prepack_packing packing = {
        .executable = bench->packer,
        .entry_point = SEGUE_QUANT_PACK,
        .launch = {.grid = {1024, 1, 1},
                   .constants = &constants,
                   .constants_size_bytes = sizeof(constants)},
        .layout_id = 1,
        .rows = {.count = matrix->rows,
                 .multiple = 16,
                 .source_bytes = {row.weights_bytes, row.scales_bytes},
                 .packed_bytes = segue_quant_packed_size_bytes(matrix) / (matrix->rows / 16),
                 .count_offset_bytes = offsetof(struct segue_quant_pack_constants, row_count)},
    };
    const struct segue_prepack_constant packed = {
        .name = "matrix",
        .sources = sources,
        .source_count = 2,
        .packing = &packing,
        .packed_bytes = segue_quant_packed_size_bytes(matrix),
    };
    if (packs) {
        check(segue_prepack_plan_add(plan, &packed, NULL), "add");
        return;
    }
    for (int i = 0; i < 2; i++) {
        const struct segue_prepack_constant part = {
            .name = "part", .sources = &sources[i], .source_count = 1};
        check(segue_prepack_plan_add(plan, &part, NULL), "add");
    }
}

/** What becomes of each tensor. */
enum form {
    PLAIN,
    PARTS,
    PACKED,
};

/** Adds all tensors to a plan. */
static void add_tensors(const struct bench *bench, segue_prepack_plan *plan, int fd, enum form form)
{
    for (uint32_t i = 0; i < bench->tensor_count; i++) {
        char tensor_name[32];
        (void)snprintf(tensor_name, sizeof(tensor_name), "tensor %u", i);
        const struct segue_prepack_source source = {.fd = fd,
                                                    .file = bench->file,
                                                    .offset_bytes = i * bench->tensor_bytes,
                                                    .size_bytes = bench->tensor_bytes};
        const struct segue_prepack_constant constant = {
            .name = tensor_name, .sources = &source, .source_count = 1};
        if (form == PLAIN)
            check(segue_prepack_plan_add(plan, &constant, NULL), "add");
        else
            add_matrix(bench, plan, source, form == PACKED);
    }
}

/** Records a graph that reads the last constant, and replays it behind the plan. */
static void replay(const struct bench *bench, segue_prepack_plan *plan, uint32_t constant)
{
    struct segue_semaphore_value point;
    segue_prepack_plan_get_point(plan, &point);
    const struct segue_buffer_params params = {.size_bytes = 256};
    segue_buffer *from = NULL;
    segue_buffer *to = NULL;
    segue_queue *queue = NULL;
    segue_command_buffer *command_buffer = NULL;
    check(segue_prepack_plan_get_buffer(plan, constant, &from), "constant");
    check(segue_buffer_create(bench->device, &params, &to), "buffer");
    check(segue_queue_create(bench->device, NULL, &queue), "queue");
    check(segue_command_buffer_create(bench->device, NULL, &command_buffer), "recording");
    check(segue_command_buffer_begin(command_buffer), "begin");
    const struct segue_buffer_ref source = {.buffer = from, .length_bytes = 256};
    const struct segue_buffer_ref target = {.buffer = to, .length_bytes = 256};
    check(segue_cmd_copy(command_buffer, source, target), "copy");
    check(segue_command_buffer_end(command_buffer), "end");
    const struct segue_execution execution = {.command_buffer = command_buffer};
    const struct segue_submission submission = {
        .waits = &point, .wait_count = 1, .executions = &execution, .execution_count = 1};
    check(segue_queue_submit(queue, &submission), "submit");
    check(segue_queue_wait_idle(queue), "replay");
    segue_command_buffer_destroy(command_buffer);
    segue_queue_destroy(queue);
    segue_buffer_destroy(to);
    segue_buffer_destroy(from);
}

/** How a load is made. */
struct way {
    enum form form;
    bool is_cached;
    bool is_watched;
    enum segue_packed_verification verification;
    uint32_t flags;
};

/** One load by a plan, from the opening of file and cache to the point. */
static struct result load_once(const struct bench *bench, const struct way *way)
{
    struct result result = {0};
    struct watch watch = {.peak_bytes = 0};
    const uint64_t before_bytes = host_bytes();
    if (way->is_watched)
        must(pthread_create(&watch.thread, NULL, run_watch, &watch) == 0, "thread");
    const uint64_t start_ns = now_ns();
    const int fd = open(bench->file, O_RDONLY | O_CLOEXEC);
    must(fd >= 0, bench->file);
    segue_packed_cache *cache = NULL;
    const struct segue_packed_cache_params cache_params = {
        .path = bench->cache, .flags = way->flags, .verification = way->verification};
    if (way->is_cached)
        check(segue_packed_cache_open(&cache_params, &cache), "cache");
    segue_prepack_plan *plan = NULL;
    const struct segue_prepack_params params = {.cache = cache, .limits = bench->limits};
    check(segue_prepack_plan_create(bench->device, &params, &plan), "plan");
    add_tensors(bench, plan, fd, way->form);
    check(segue_prepack_plan_run(plan), "run");
    struct segue_semaphore_value point;
    segue_prepack_plan_get_point(plan, &point);
    check(segue_semaphore_wait(point.semaphore, point.value, SEGUE_TIMEOUT_INFINITE), "wait");
    result.time_ns = now_ns() - start_ns;
    replay(bench, plan, bench->tensor_count - 1);
    result.replay_ns = now_ns() - start_ns;
    segue_prepack_plan_get_stats(plan, &result.stats);
    if (way->is_watched) {
        atomic_store(&watch.ends, true);
        (void)pthread_join(watch.thread, NULL);
        result.host_bytes = watch.peak_bytes > before_bytes ? watch.peak_bytes - before_bytes : 0;
    }
    segue_prepack_plan_destroy(plan);
    segue_packed_cache_close(cache);
    (void)close(fd);
    return result;
}

/** The best of several loads, each after taking `cold` (NULL: nothing) out of the page cache; the
 *  memory is that of one more, which is watched. */
static void load_way(const struct bench *bench, const char *name, const struct way *way,
                     const char *cold, uint32_t repeats)
{
    struct result best = {.time_ns = UINT64_MAX};
    for (uint32_t i = 0; i < repeats; i++) {
        if (cold != NULL)
            cool(cold);
        const struct result result = load_once(bench, way);
        if (result.time_ns < best.time_ns)
            best = result;
    }
    if (repeats > 1) {
        struct way watched = *way;
        watched.is_watched = true;
        if (cold != NULL)
            cool(cold);
        best.host_bytes = load_once(bench, &watched).host_bytes;
    }
    report(bench, name, &best);
}

static void load(const struct bench *bench, const char *name)
{
    const struct way way = {.form = PLAIN};
    load_way(bench, name, &way, NULL, bench->repeats);
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
    report_rate(bench, "mapped file, copied by tensor", now_ns() - start_ns);
    puts("");
    for (uint32_t i = 0; i < bench->tensor_count; i++)
        segue_buffer_destroy(buffers[i]);
    free(buffers);
    (void)munmap(data, size_bytes);
    (void)close(fd);
}

/** One copy of pinned memory, again and again: what the bus gives. */
static void measure_pinned(struct bench *bench)
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
    const uint64_t time_ns = now_ns() - start_ns;
    bench->pinned_ns = (double)time_ns;
    report_rate(bench, "pinned copies of a tensor each", time_ns);
    puts("");
    segue_command_buffer_destroy(command_buffer);
    segue_queue_destroy(queue);
    segue_buffer_destroy(to);
    segue_buffer_destroy(from);
}

/** A thread of several that read the file past the page cache. */
struct disk_reader {
    const struct bench *bench;
    atomic_uint_fast64_t *next_bytes;
};

#define DISK_UNIT_BYTES (UINT64_C(1) << 20)

static void *read_disk(void *context)
{
    const struct disk_reader *reader = context;
    const uint64_t size_bytes = reader->bench->tensor_bytes * reader->bench->tensor_count;
    const int fd = open(reader->bench->file, O_RDONLY | O_DIRECT | O_CLOEXEC);
    void *data = aligned_alloc(4096, DISK_UNIT_BYTES);
    must(fd >= 0 && data != NULL, "O_DIRECT");
    for (;;) {
        const uint64_t at = atomic_fetch_add(reader->next_bytes, DISK_UNIT_BYTES);
        if (at >= size_bytes)
            break;
        must(pread(fd, data, DISK_UNIT_BYTES, (off_t)at) > 0, "pread");
    }
    free(data);
    (void)close(fd);
    return NULL;
}

/** What the disk gives. */
static void measure_disk(const struct bench *bench)
{
    for (uint32_t count = 1; count <= 16; count *= 4) {
        cool(bench->file);
        pthread_t threads[16];
        atomic_uint_fast64_t next_bytes = 0;
        struct disk_reader reader = {.bench = bench, .next_bytes = &next_bytes};
        const uint64_t start_ns = now_ns();
        for (uint32_t i = 0; i < count; i++)
            must(pthread_create(&threads[i], NULL, read_disk, &reader) == 0, "thread");
        for (uint32_t i = 0; i < count; i++)
            (void)pthread_join(threads[i], NULL);
        char name[64];
        (void)snprintf(name, sizeof(name), "disk, O_DIRECT, %u threads", count);
        report_rate(bench, name, now_ns() - start_ns);
        puts("");
    }
}

static const char *size_name(char name[64], const char *what, uint64_t size_bytes)
{
    if (size_bytes == SEGUE_PREPACK_OFF)
        (void)snprintf(name, 64, "%s off", what);
    else if (size_bytes == 0)
        (void)snprintf(name, 64, "%s the default", what);
    else
        (void)snprintf(name, 64, "%s %" PRIu64 " KiB", what, size_bytes >> 10);
    return name;
}

/** By slots, readers and thresholds, with pinned memory that is there already. */
static void run_curves(struct bench *bench)
{
    char name[64];
    const uint64_t off = SEGUE_PREPACK_OFF;
    for (uint64_t size_bytes = UINT64_C(1) << 20; size_bytes <= 16u << 20; size_bytes *= 2) {
        bench->limits = (struct segue_prepack_limits){.slot_bytes = size_bytes};
        segue_prepack_staging *staging = NULL;
        check(segue_prepack_staging_create(bench->device, &bench->limits, &staging), "staging");
        load(bench, size_name(name, "slots of", size_bytes));
        segue_prepack_staging_destroy(staging);
    }
    segue_prepack_staging *staging = NULL;
    check(segue_prepack_staging_create(bench->device, NULL, &staging), "staging");
    for (uint32_t readers = 1; readers <= 16; readers += readers < 8 ? readers : 2) {
        bench->limits = (struct segue_prepack_limits){.reader_count = readers};
        (void)snprintf(name, sizeof(name), "%u readers", readers);
        load(bench, name);
    }
    static const uint64_t next_bytes[] = {1u << 18, 1u << 20, 1u << 21,   1u << 22, 1u << 23,
                                          1u << 24, 1u << 25, UINT64_MAX, 0};
    for (size_t i = 0; i < sizeof(next_bytes) / sizeof(next_bytes[0]); i++) {
        bench->limits = (struct segue_prepack_limits){
            .next_bytes = next_bytes[i], .next_commands = off, .age_ns = off};
        load(bench, size_name(name, "later increments of", next_bytes[i]));
    }
    static const uint64_t first_bytes[] = {1u << 16, 1u << 18, 1u << 19, 1u << 20, 1u << 22};
    for (size_t i = 0; i < sizeof(first_bytes) / sizeof(first_bytes[0]); i++) {
        bench->limits = (struct segue_prepack_limits){.first_bytes = first_bytes[i]};
        load(bench, size_name(name, "first increment of", first_bytes[i]));
    }
    segue_prepack_staging_destroy(staging);
    // Everything staged, then submitted: what the increments are worth.
    bench->limits = (struct segue_prepack_limits){
        .staging_bytes = bench->tensor_bytes * bench->tensor_count + (64u << 20),
        .first_bytes = off,
        .first_commands = off,
        .next_bytes = off,
        .next_commands = off,
        .age_ns = off};
    check(segue_prepack_staging_create(bench->device, &bench->limits, &staging), "staging");
    load(bench, "one submission");
    segue_prepack_staging_destroy(staging);
}

/** What comes from the file. */
static void run_files(struct bench *bench)
{
    static const struct way plain = {.form = PLAIN};
    static const struct way parts = {.form = PARTS};
    static const struct way packed = {.form = PACKED};
    load_way(bench, "warm file", &plain, NULL, bench->repeats);
    if (bench->matrix.rows != 0) {
        load_way(bench, "warm file, parts as they are", &parts, NULL, bench->repeats);
        load_way(bench, "warm file, packed", &packed, NULL, bench->repeats);
    }
    measure_disk(bench);
    load_way(bench, "cold file", &plain, bench->file, 2);
    bench->limits.reading = SEGUE_PREPACK_READ_CACHED;
    load_way(bench, "cold file, by the page cache", &plain, bench->file, 1);
    bench->limits.reading = SEGUE_PREPACK_READ_AUTO;
}

/** What comes from a cache, after building it. */
static void run_cache(const struct bench *bench)
{
    struct way way = {.form = PLAIN, .is_cached = true};
    way.verification = SEGUE_PACKED_VERIFY_SAMPLED;
    load_way(bench, "warm file, empty cache", &way, NULL, 1);
    // What building it has left to write is not to be measured below.
    sync();
    char pack[600];
    (void)snprintf(pack, sizeof(pack), "%s/generation-0000000000000001.pack", bench->cache);
    load_way(bench, "warm cache, sampled", &way, NULL, bench->repeats);
    way.verification = SEGUE_PACKED_VERIFY_OFF;
    load_way(bench, "warm cache, off", &way, NULL, bench->repeats);
    way.verification = SEGUE_PACKED_VERIFY_FULL;
    load_way(bench, "warm cache, full on host", &way, NULL, bench->repeats);
    way.flags = SEGUE_PACKED_CACHE_VERIFY_ON_DEVICE;
    load_way(bench, "warm cache, full on device", &way, NULL, bench->repeats);
    way.flags = 0;
    way.verification = SEGUE_PACKED_VERIFY_SAMPLED;
    load_way(bench, "cold cache, sampled", &way, pack, 2);
    (void)unlink(pack);
}

static void run(struct bench *bench, bool all)
{
    static const struct way plain = {.form = PLAIN};
    measure_pinned(bench);
    load_mapped(bench);
    load_mapped(bench);
    load_way(bench, "warm file, first in the process", &plain, NULL, 1);
    if (all)
        run_curves(bench);
    bench->limits = (struct segue_prepack_limits){.reading = SEGUE_PREPACK_READ_AUTO};
    segue_prepack_staging *staging = NULL;
    check(segue_prepack_staging_create(bench->device, NULL, &staging), "staging");
    run_files(bench);
    run_cache(bench);
    segue_prepack_staging_destroy(staging);
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fputs("usage: bench_load URI FOLDER [MIB [TENSORS [all]]]\n", stderr);
        return 2;
    }
    const uint64_t size_mib = argc > 3 ? strtoull(argv[3], NULL, 10) : 1024;
    struct bench bench = {.tensor_count = argc > 4 ? (uint32_t)strtoul(argv[4], NULL, 10) : 64,
                          .repeats = 5};
    bench.tensor_bytes = (size_mib << 20) / (bench.tensor_count != 0 ? bench.tensor_count : 1);
    bench.tensor_bytes -= bench.tensor_bytes % 4096;
    (void)snprintf(bench.file, sizeof(bench.file), "%s/weights", argv[2]);
    (void)snprintf(bench.cache, sizeof(bench.cache), "%s/cache", argv[2]);
    check(segue_device_open(argv[1], NULL, &bench.device), argv[1]);
    make_file(&bench);
    make_matrix(&bench);
    run(&bench, argc > 5 && strcmp(argv[5], "all") == 0);
    (void)unlink(bench.file);
    segue_executable_destroy(bench.packer);
    segue_device_destroy(bench.device);
    return 0;
}
