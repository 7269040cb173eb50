// SPDX-License-Identifier: Apache-2.0
// segue-bench-decode: the decode kernels in chains of graph nodes, attention on distinct memory and
// beside a chain that only reads the same bytes.
#include "chain.h"
#include "decode_small.h"

#include <segue/kernels.h>
#include <segue/segue.h>

#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_GOOD = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_NO_DEVICE = 77 };

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
/** Memory that the caches of a chain take: many times the L2 cache. */
#define CACHES_BYTES (1200ull << 20)
#define QUICK_CACHES_BYTES (4ull << 20)
#define MAX_CALLS 64u
#define MAX_BINDINGS 8
#define VOCABULARY 128256u

/** Reads two ranges, its loads before the wait, and does nothing with them. */
static const char reader_source[] =
    "extern \"C\" __global__ void __launch_bounds__(256) segue_bench_read(const uint4 *first,\n"
    "    const uint4 *second, unsigned *out, unsigned long long count)\n"
    "{\n"
    "#if __CUDA_ARCH__ >= 900\n"
    "    asm volatile(\"griddepcontrol.launch_dependents;\");\n"
    "#endif\n"
    "    unsigned sum = 0;\n"
    "    for (unsigned long long at = blockIdx.x * 1024ull + threadIdx.x; at < count;\n"
    "         at += gridDim.x * 1024ull) {\n"
    "        uint4 v[8];\n"
    "#pragma unroll\n"
    "        for (int i = 0; i < 8; i++) {\n"
    "            const unsigned long long index = at + i / 2 * 256;\n"
    "            v[i] = uint4{};\n"
    "            if (index < count)\n"
    "                asm volatile(\"ld.global.nc.L1::no_allocate.v4.u32 {%0,%1,%2,%3}, [%4];\"\n"
    "                             : \"=r\"(v[i].x), \"=r\"(v[i].y), \"=r\"(v[i].z), "
    "\"=r\"(v[i].w)\n"
    "                             : \"l\"((i % 2 ? second : first) + index));\n"
    "        }\n"
    "        for (int i = 0; i < 8; i++)\n"
    "            sum ^= v[i].x ^ v[i].y ^ v[i].z ^ v[i].w;\n"
    "    }\n"
    "#if __CUDA_ARCH__ >= 900\n"
    "    asm volatile(\"griddepcontrol.wait;\" ::: \"memory\");\n"
    "#endif\n"
    "    if (sum == 0x12345)\n"
    "        out[0] = sum;\n"
    "}\n";

struct bench {
    segue_device *device;
    struct segue_device_info info;
    struct segue_bench_chains chains;
    segue_executable *decode;
    segue_executable *reader;
    segue_buffer *caches;
    uint64_t caches_bytes;
    /** Activations, logits, constants and results, one after the other. */
    segue_buffer *small;
};

/** Where things are in `small`. */
enum place {
    Q = 0,
    OUT = 1 << 16,
    ARRIVED = 2 << 16,
    POSITION = 3 << 16,
    SCALES = 4 << 16,
    SAMPLING = 5 << 16,
    X = 6 << 16,
    WEIGHT = 7 << 16,
    LOGITS = 8 << 16,
    CANDIDATES = 16 << 16,
    PARTIALS = 24 << 16,
    SMALL_BYTES = 320 << 16,
};

/** A launch; the first `rotated` bindings from `first_rotated` on move by `stride_bytes` from one
 * to the next, `copies` times. */
struct call {
    segue_executable *executable;
    uint32_t entry_point;
    uint32_t grid;
    struct segue_buffer_ref bindings[MAX_BINDINGS];
    uint32_t binding_count;
    uint32_t first_rotated;
    uint32_t rotated;
    uint64_t stride_bytes;
    uint32_t copies;
    const void *constants;
    size_t constants_size_bytes;
};

static segue_status record_call(segue_command_buffer *commands, const void *context, uint32_t index)
{
    const struct call *call = context;
    struct segue_buffer_ref bindings[MAX_BINDINGS];
    memcpy(bindings, call->bindings, sizeof(bindings));
    for (uint32_t i = 0; i < call->rotated; i++)
        bindings[call->first_rotated + i].offset_bytes += index % call->copies * call->stride_bytes;
    const struct segue_dispatch dispatch = {
        .executable = call->executable,
        .entry_point = call->entry_point,
        .grid = {call->grid, 1, 1},
        .bindings = bindings,
        .binding_count = call->binding_count,
        .constants = call->constants,
        .constants_size_bytes = call->constants_size_bytes,
    };
    return segue_cmd_dispatch(commands, &dispatch);
}

/** Time of a call in a chain. */
static bool measure(struct bench *bench, const struct call *call, double *out_us)
{
    const uint32_t calls = bench->info.is_soft ? 1 : MAX_CALLS;
    double time_ns = 0.0;
    if (!segue_bench_chains_measure(&bench->chains, record_call, call, calls, &time_ns))
        return false;
    *out_us = time_ns / 1e3;
    return true;
}

static struct segue_buffer_ref small_at(const struct bench *bench, enum place place, uint64_t bytes)
{
    return (struct segue_buffer_ref){
        .buffer = bench->small, .offset_bytes = (uint64_t)place, .length_bytes = bytes};
}

static bool write_small(struct bench *bench, enum place place, const void *data, size_t bytes)
{
    return segue_bench_check(segue_buffer_write(bench->small, (uint64_t)place, data, bytes),
                             "writing");
}

/* ---- Attention ------------------------------------------------------------------------------- */

struct attention {
    const char *model;
    uint32_t heads;
    uint32_t kv_heads;
    uint32_t head_size;
};

static bool measure_read(struct bench *bench, const struct call *attention, uint64_t bytes,
                         double *out_us)
{
    *out_us = 0.0;
    if (bench->info.is_soft)
        return true;
    const uint64_t count = bytes / 16;
    struct call call = {
        .executable = bench->reader,
        .bindings = {attention->bindings[1], attention->bindings[2], small_at(bench, OUT, 16)},
        .binding_count = 3,
        .rotated = 2,
        .stride_bytes = attention->stride_bytes,
        .copies = attention->copies,
        .constants = &count,
        .constants_size_bytes = sizeof(count),
    };
    const uint64_t blocks = (count + 1023) / 1024;
    const uint32_t most = (uint32_t)bench->info.multiprocessor_count * 8;
    call.grid = blocks < most ? (uint32_t)blocks : most;
    return measure(bench, &call, out_us);
}

/** Attention over caches of `bytes` each, on as many of them as there is memory for. */
static struct call make_attention(const struct bench *bench, const struct segue_gqa_decode *chosen,
                                  uint64_t bytes)
{
    const struct segue_gqa_decode_constants *constants = &chosen->constants;
    const uint64_t q_bytes = (uint64_t)constants->heads * chosen->head_size * 2;
    struct call call = {
        .executable = bench->decode,
        .entry_point = (uint32_t)chosen->kernel,
        .grid = chosen->sizes.grid,
        .first_rotated = 1,
        .rotated = 2,
        .stride_bytes = 2 * bytes,
        .constants = constants,
        .constants_size_bytes = sizeof(*constants),
    };
    const uint64_t copies = bench->caches_bytes / call.stride_bytes;
    call.copies = copies > 2 * MAX_CALLS ? 2 * MAX_CALLS : (uint32_t)copies;
    struct segue_buffer_ref *next = call.bindings;
    *next++ = small_at(bench, Q, q_bytes);
    *next++ = (struct segue_buffer_ref){.buffer = bench->caches, .length_bytes = bytes};
    *next++ = (struct segue_buffer_ref){
        .buffer = bench->caches, .offset_bytes = bytes, .length_bytes = bytes};
    if (chosen->fp8)
        *next++ = small_at(bench, SCALES, constants->kv_heads * 8);
    *next++ = small_at(bench, POSITION, 4);
    *next++ = small_at(bench, OUT, q_bytes);
    *next++ = small_at(bench, ARRIVED, chosen->sizes.arrived_bytes);
    *next++ = small_at(bench, PARTIALS, chosen->sizes.partials_bytes);
    call.binding_count = (uint32_t)(next - call.bindings);
    return call;
}

static bool measure_attention(struct bench *bench, const struct attention *shape, uint32_t context,
                              bool fp8)
{
    const uint32_t position = context - 1;
    const struct segue_gqa_decode_constants constants = {
        .heads = shape->heads,
        .kv_heads = shape->kv_heads,
        .capacity = context,
        .scale = 1.0f / sqrtf((float)shape->head_size),
    };
    struct segue_gqa_decode chosen;
    if (!segue_bench_check(segue_gqa_decode_choose(&constants, shape->head_size, fp8,
                                                   (uint32_t)bench->info.multiprocessor_count,
                                                   &chosen),
                           "attention"))
        return false;
    const uint64_t bytes = (uint64_t)context * shape->kv_heads * shape->head_size * (fp8 ? 1 : 2);
    const struct call call = make_attention(bench, &chosen, bytes);
    if (call.copies == 0 || chosen.sizes.partials_bytes > SMALL_BYTES - PARTIALS) {
        fprintf(stderr, "segue-bench-decode: a context of %u does not fit\n", context);
        return false;
    }
    double floor_us = 0.0, plain_us = 0.0, settled_us = 0.0;
    if (!write_small(bench, POSITION, &position, sizeof(position)) ||
        !measure_read(bench, &call, bytes, &floor_us) || !measure(bench, &call, &plain_us))
        return false;
    chosen.constants.settled = 1;
    if (!measure(bench, &call, &settled_us))
        return false;
    printf("attention %s %-4s %6u rows  %8.2f MB  read %8.2f us  %8.2f us  settled %8.2f us\n",
           shape->model, fp8 ? "fp8" : "bf16", context, 2.0 * (double)bytes / 1e6, floor_us,
           plain_us, settled_us);
    fflush(stdout);
    return true;
}

static bool measure_attentions(struct bench *bench, bool quick)
{
    static const struct attention shapes[] = {
        {"1B", 32, 8, 64}, {"3B", 24, 8, 128}, {"8B", 32, 8, 128}};
    static const uint32_t contexts[] = {512, 2048, 8192, 32768, 131072};
    for (size_t i = 0; i < COUNT_OF(shapes); i++) {
        for (size_t k = 0; k < 2 * COUNT_OF(contexts); k++) {
            if (!measure_attention(bench, &shapes[i], contexts[k / 2], k % 2 == 1))
                return false;
            if (quick && k == 1)
                return true;
        }
    }
    return true;
}

/* ---- The rest -------------------------------------------------------------------------------- */

static bool print_call(struct bench *bench, const struct call *call, const char *name)
{
    double time_us = 0.0;
    if (!measure(bench, call, &time_us))
        return false;
    printf("%-34s %8.2f us\n", name, time_us);
    fflush(stdout);
    return true;
}

static bool measure_choices(struct bench *bench)
{
    static const uint32_t count = VOCABULARY;
    static const uint32_t top_ks[] = {1, 10, 40, 64};
    struct segue_sample_sizes sizes;
    segue_sample_get_sizes(count, &sizes);
    struct call call = {
        .executable = bench->decode,
        .entry_point = SEGUE_DECODE_ARGMAX,
        .grid = sizes.grid,
        .bindings = {small_at(bench, LOGITS, count * 4), small_at(bench, OUT, 4),
                     small_at(bench, ARRIVED, 16)},
        .binding_count = 3,
        .copies = 1,
        .constants = &count,
        .constants_size_bytes = sizeof(count),
    };
    if (!print_call(bench, &call, "argmax 128256"))
        return false;
    call.entry_point = SEGUE_DECODE_SAMPLE_TOP_K;
    const struct segue_buffer_ref bindings[] = {
        call.bindings[0],
        small_at(bench, SAMPLING, sizeof(struct segue_sampling)),
        small_at(bench, POSITION, 4),
        small_at(bench, OUT, 4),
        small_at(bench, ARRIVED, 4),
        small_at(bench, CANDIDATES, sizes.candidates_bytes),
    };
    memcpy(call.bindings, bindings, sizeof(bindings));
    call.binding_count = COUNT_OF(bindings);
    for (size_t i = 0; i < COUNT_OF(top_ks); i++) {
        const struct segue_sampling sampling = {{1, 2}, 0.8f, top_ks[i]};
        char name[64];
        snprintf(name, sizeof(name), "sampling 128256, top %u", top_ks[i]);
        if (!write_small(bench, SAMPLING, &sampling, sizeof(sampling)) ||
            !print_call(bench, &call, name))
            return false;
    }
    return true;
}

static bool measure_norms(struct bench *bench)
{
    static const uint32_t counts[] = {2048, 4096, 8192};
    for (size_t i = 0; i < COUNT_OF(counts); i++) {
        const struct segue_rms_norm_constants constants = {counts[i], 1e-5f};
        const struct call call = {
            .executable = bench->decode,
            .entry_point = SEGUE_DECODE_RMS_NORM,
            .grid = 1,
            .bindings = {small_at(bench, X, counts[i] * 4), small_at(bench, WEIGHT, counts[i] * 2),
                         small_at(bench, OUT, counts[i] * 2)},
            .binding_count = 3,
            .copies = 1,
            .constants = &constants,
            .constants_size_bytes = sizeof(constants),
        };
        char name[64];
        snprintf(name, sizeof(name), "rms_norm %u", counts[i]);
        if (!print_call(bench, &call, name))
            return false;
    }
    return true;
}

/* ---- The program ----------------------------------------------------------------------------- */

struct options {
    const char *device_uri;
    uint32_t time_ms;
    bool quick;
};

static bool make_reader(struct bench *bench)
{
    static const struct segue_parameter parameters[] = {
        {.access = SEGUE_ACCESS_CONSTANT, .align_bytes = 16},
        {.access = SEGUE_ACCESS_CONSTANT, .align_bytes = 16},
        {.access = SEGUE_ACCESS_WRITE, .align_bytes = 4},
        {.kind = SEGUE_PARAMETER_CONSTANT, .size_bytes = 8},
    };
    const struct segue_entry_point entry_point = {
        .name = "segue_bench_read",
        .parameters = parameters,
        .parameter_count = COUNT_OF(parameters),
        .block_size = {256, 1, 1},
        .flags = SEGUE_ENTRY_GRID_DEPENDENCY,
    };
    const struct segue_executable_params params = {
        .format = SEGUE_EXECUTABLE_CUDA_SOURCE,
        .data = reader_source,
        .size_bytes = sizeof(reader_source) - 1,
        .entry_points = &entry_point,
        .entry_point_count = 1,
        .label = "read",
    };
    return segue_bench_check(segue_executable_create(bench->device, &params, &bench->reader),
                             "the reader");
}

/** Random numbers: of both signs, around 1 as bf16, none of them NaN as fp8. */
static bool fill(segue_buffer *buffer, uint64_t from, uint64_t bytes)
{
    enum { CHUNK = 1 << 20 };
    uint8_t *chunk = malloc(CHUNK);
    uint64_t state = 88172645463325252u;
    bool good = chunk != NULL;
    for (uint32_t i = 0; good && i < CHUNK; i += 8) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        const uint64_t word = (state & 0x80BF80BF80BF80BFu) | 0x3F003F003F003F00u;
        memcpy(chunk + i, &word, 8);
    }
    for (uint64_t at = 0; good && at < bytes; at += CHUNK)
        good = segue_bench_check(
            segue_buffer_write(buffer, from + at, chunk, bytes - at < CHUNK ? bytes - at : CHUNK),
            "filling");
    free(chunk);
    return good;
}

static bool open_bench(struct bench *bench, const struct options *options)
{
    struct segue_executable_params decode;
    segue_kernels_get_decode(&decode);
    segue_device_get_info(bench->device, &bench->info);
    bench->caches_bytes = options->quick ? QUICK_CACHES_BYTES : CACHES_BYTES;
    const struct segue_buffer_params caches = {.size_bytes = bench->caches_bytes};
    const struct segue_buffer_params small = {.size_bytes = SMALL_BYTES};
    const uint32_t zeros[1024] = {0};
    float *logits = malloc(VOCABULARY * sizeof(*logits));
    float scales[64];
    for (size_t i = 0; i < COUNT_OF(scales); i++)
        scales[i] = 0.02f;
    srand(1);
    for (uint32_t i = 0; logits && i < VOCABULARY; i++)
        logits[i] = (float)(rand() % 100000) / 5000.0f;
    const bool good =
        logits && segue_bench_check(segue_kernels_register(bench->device), "registering") &&
        segue_bench_check(segue_executable_create(bench->device, &decode, &bench->decode),
                          "the kernels") &&
        (bench->info.is_soft || make_reader(bench)) &&
        segue_bench_check(segue_buffer_create(bench->device, &caches, &bench->caches), "memory") &&
        segue_bench_check(segue_buffer_create(bench->device, &small, &bench->small), "memory") &&
        segue_bench_chains_open(&bench->chains, bench->device, options->time_ms) &&
        fill(bench->caches, 0, bench->caches_bytes) && fill(bench->small, 0, LOGITS) &&
        write_small(bench, ARRIVED, zeros, sizeof(zeros)) &&
        write_small(bench, SCALES, scales, sizeof(scales)) &&
        write_small(bench, LOGITS, logits, VOCABULARY * sizeof(*logits));
    free(logits);
    return good;
}

static void close_bench(struct bench *bench)
{
    segue_bench_chains_close(&bench->chains);
    segue_buffer_destroy(bench->small);
    segue_buffer_destroy(bench->caches);
    segue_executable_destroy(bench->reader);
    segue_executable_destroy(bench->decode);
    segue_device_destroy(bench->device);
}

static const char usage_text[] =
    "Usage: segue-bench-decode [OPTION]...\n"
    "\n"
    "Measures the decode kernels in chains of graph nodes, attention beside a chain that only "
    "reads\n"
    "the same bytes.\n"
    "\n"
    "  --device URI     cuda://N, soft:// or auto (default: $SEGUE_TEST_DEVICE, else auto)\n"
    "  --time MS        how long each chain is repeated (default: 60)\n"
    "  --quick          one small shape of attention\n"
    "  --help           print this and exit\n"
    "\n"
    "Exit codes: 0 good, 1 something failed, 2 usage, 77 the device is not available.\n";

static int parse_options(int argc, char **argv, struct options *options)
{
    enum { DEVICE = 1, TIME, QUICK, HELP };
    static const struct option names[] = {
        {"device", required_argument, NULL, DEVICE},
        {"time", required_argument, NULL, TIME},
        {"quick", no_argument, NULL, QUICK},
        {"help", no_argument, NULL, HELP},
        {0},
    };
    for (int key; (key = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        bool good = true;
        if (key == DEVICE)
            options->device_uri = optarg;
        else if (key == TIME)
            good = (options->time_ms = (uint32_t)strtoul(optarg, NULL, 10)) != 0;
        else if (key == QUICK)
            options->quick = true;
        else if (key == HELP)
            return fputs(usage_text, stdout) < 0 ? EXIT_FAILED : EXIT_GOOD;
        else
            good = false;
        if (!good) {
            fputs("Try segue-bench-decode --help.\n", stderr);
            return EXIT_USAGE;
        }
    }
    if (optind == argc)
        return -1;
    fprintf(stderr, "segue-bench-decode: \"%s\" is one argument too many\n", argv[optind]);
    return EXIT_USAGE;
}

int main(int argc, char **argv)
{
    struct options options = {.device_uri = getenv("SEGUE_TEST_DEVICE"), .time_ms = 60};
    const int exit_code = parse_options(argc, argv, &options);
    if (exit_code >= 0)
        return exit_code;
    struct bench bench = {0};
    const segue_status status =
        segue_device_open(options.device_uri ? options.device_uri : "auto", NULL, &bench.device);
    if (status != SEGUE_OK) {
        fprintf(stderr, "segue-bench-decode: %s\n", segue_last_error()->message);
        return status == SEGUE_UNAVAILABLE ? EXIT_NO_DEVICE : EXIT_FAILED;
    }
    const bool good =
        open_bench(&bench, &options) && measure_attentions(&bench, options.quick) &&
        measure_choices(&bench) && measure_norms(&bench) &&
        segue_bench_decode_small(&bench.chains, bench.decode, bench.info.is_soft ? 1 : MAX_CALLS);
    close_bench(&bench);
    return good ? EXIT_GOOD : EXIT_FAILED;
}
