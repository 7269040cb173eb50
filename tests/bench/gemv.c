// SPDX-License-Identifier: Apache-2.0
#include "gemv.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_GOOD = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_NO_DEVICE = 77 };

/** Larger than any matrix, and many times the L2 cache. */
#define WEIGHTS_BYTES (1600ull << 20)
#define QUICK_WEIGHTS_BYTES (8ull << 20)
/** The largest matrix in bf16. */
#define WIDE_BYTES (1100ull << 20)
/** What a chain reads at least, in all. */
#define CHAIN_BYTES (1200ull << 20)
#define READER_THREADS 256
#define READER_BLOCK_BYTES (READER_THREADS * 8 * 16)

static const struct gemv_shape shapes[] = {
    {512, 2048},   {2048, 2048}, {3072, 2048},  {8192, 2048},   {16384, 2048},
    {2048, 8192},  {4096, 4096}, {6144, 4096},  {14336, 4096},  {28672, 4096},
    {4096, 14336}, {8192, 8192}, {8192, 28672}, {128256, 2048}, {128256, 4096},
};
static const uint32_t batches[] = {1, 2, 4, 8, 16, 32, 64};
/** Columns of a group; GROUP_ROW: a row is one. */
#define GROUP_ROW 0
static const uint32_t groups[] = {GROUP_ROW, 128, 32};
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/** Reads as a product does, and does nothing with it: loads are issued before the wait. */
static const char reader_source[] =
    "extern \"C\" __global__ void __launch_bounds__(256) segue_bench_read(const uint4 *weights,\n"
    "    const uint4 *x, unsigned *out, unsigned long long count)\n"
    "{\n"
    "#if __CUDA_ARCH__ >= 900\n"
    "    asm volatile(\"griddepcontrol.launch_dependents;\");\n"
    "#endif\n"
    "    unsigned sum = 0;\n"
    "    for (unsigned long long first = blockIdx.x * 2048ull; first < count;\n"
    "         first += gridDim.x * 2048ull) {\n"
    "        uint4 v[8];\n"
    "#pragma unroll\n"
    "        for (int i = 0; i < 8; i++) {\n"
    "            const unsigned long long at = first + i * 256 + threadIdx.x;\n"
    "            v[i] = uint4{};\n"
    "            if (at < count)\n"
    "                asm volatile(\"ld.global.nc.L1::no_allocate.v4.u32 {%0,%1,%2,%3}, [%4];\"\n"
    "                             : \"=r\"(v[i].x), \"=r\"(v[i].y), \"=r\"(v[i].z), "
    "\"=r\"(v[i].w)\n"
    "                             : \"l\"(weights + at));\n"
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

/* ---- What is measured ------------------------------------------------------------------------ */

/** A product or a reading kernel, and where its copies lie. */
struct chain {
    const struct gemv_bench *bench;
    const struct segue_quant_gemv *gemv;
    segue_executable *reader;
    const struct segue_quant_matrix *matrix;
    uint64_t bytes;
    uint64_t stride_bytes;
    uint32_t copies;
};

static struct segue_buffer_ref weights_of(const struct chain *chain, uint32_t index)
{
    return (struct segue_buffer_ref){.buffer = chain->bench->weights,
                                     .offset_bytes = index % chain->copies * chain->stride_bytes,
                                     .length_bytes = chain->bytes};
}

static struct segue_buffer_ref whole(segue_buffer *buffer)
{
    return (struct segue_buffer_ref){.buffer = buffer, .length_bytes = SEGUE_WHOLE_SIZE};
}

static segue_status record_product(segue_command_buffer *commands, const void *context,
                                   uint32_t index)
{
    const struct chain *chain = context;
    const struct segue_quant_gemv_buffers buffers = {
        .x = whole(chain->bench->x),
        .packed = weights_of(chain, index),
        .out = whole(chain->bench->out),
    };
    return segue_quant_cmd_gemv(commands, chain->gemv, &buffers);
}

static segue_status record_read(segue_command_buffer *commands, const void *context, uint32_t index)
{
    const struct chain *chain = context;
    const struct segue_buffer_ref bindings[] = {weights_of(chain, index), whole(chain->bench->x),
                                                whole(chain->bench->out)};
    const uint64_t count = chain->bytes / 16;
    const struct segue_dispatch dispatch = {
        .executable = chain->reader,
        .grid = {(uint32_t)((chain->bytes + READER_BLOCK_BYTES - 1) / READER_BLOCK_BYTES), 1, 1},
        .bindings = bindings,
        .binding_count = 3,
        .constants = &count,
        .constants_size_bytes = sizeof(count),
    };
    return segue_cmd_dispatch(commands, &dispatch);
}

static bool make_reader(struct gemv_bench *bench, uint32_t flags, segue_executable **out_executable)
{
    static const struct segue_parameter parameters[] = {
        {.access = SEGUE_ACCESS_CONSTANT, .align_bytes = 16},
        {.access = SEGUE_ACCESS_READ, .align_bytes = 16},
        {.access = SEGUE_ACCESS_WRITE, .align_bytes = 4},
        {.kind = SEGUE_PARAMETER_CONSTANT, .size_bytes = 8},
    };
    const struct segue_entry_point entry_point = {
        .name = "segue_bench_read",
        .parameters = parameters,
        .parameter_count = COUNT_OF(parameters),
        .block_size = {READER_THREADS, 1, 1},
        .flags = flags,
    };
    const struct segue_executable_params params = {
        .format = SEGUE_EXECUTABLE_CUDA_SOURCE,
        .data = reader_source,
        .size_bytes = sizeof(reader_source) - 1,
        .entry_points = &entry_point,
        .entry_point_count = 1,
        .label = "read",
    };
    return segue_bench_check(segue_executable_create(bench->device, &params, out_executable),
                             "the reader");
}

/** The same kernel, declared as one that does not wait for itself: its edges are full. */
static bool make_isolated(struct gemv_bench *bench, const struct segue_quant_gemv *gemv,
                          struct segue_quant_gemv *out_gemv)
{
    struct segue_executable_params params;
    segue_executable_get_params(gemv->executable, &params);
    struct segue_entry_point entry_point = params.entry_points[0];
    entry_point.flags = 0;
    params.entry_points = &entry_point;
    *out_gemv = *gemv;
    return segue_bench_check(segue_executable_create(bench->device, &params, &out_gemv->executable),
                             "the isolated kernel");
}

/** Packs one random matrix and copies it as often as the memory holds it. */
static bool prepare_weights(struct gemv_bench *bench, const struct segue_quant_matrix *matrix,
                            const struct chain *chain)
{
    struct segue_quant_plain_sizes sizes;
    segue_quant_get_plain_sizes(matrix, matrix->rows, &sizes);
    const uint64_t scales_at = (sizes.weights_bytes + 255) / 256 * 256;
    const uint64_t zeros_at = scales_at + (sizes.scales_bytes + 255) / 256 * 256;
    const uint64_t plain_bytes = zeros_at + (sizes.zeros_bytes + 255) / 256 * 256;
    const struct segue_buffer_params params = {.size_bytes = plain_bytes};
    segue_buffer *plain = NULL;
    uint8_t *bytes = malloc(plain_bytes);
    segue_command_buffer *commands = NULL;
    bool good =
        bytes && segue_bench_check(segue_buffer_create(bench->device, &params, &plain), "weights");
    uint64_t state = 88172645463325252u;
    for (uint64_t i = 0; good && i + 8 <= plain_bytes; i += 8) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        // bf16 scales from 2^-9 on, whatever the mantissa; zero points up to 15.
        const uint64_t word = i < scales_at  ? state
                              : i < zeros_at ? (state & 0x007F007F007F007Fu) | 0x3B003B003B003B00u
                                             : state & 0x0F0F0F0F0F0F0F0Fu;
        memcpy(bytes + i, &word, 8);
    }
    good =
        good && segue_bench_check(segue_buffer_write(plain, 0, bytes, plain_bytes), "weights") &&
        segue_bench_check(segue_command_buffer_create(bench->device, NULL, &commands), "weights");
    if (good) {
        const struct segue_quant_pack_buffers buffers = {
            .weights = {.buffer = plain, .length_bytes = sizes.weights_bytes},
            .scales = {.buffer = plain,
                       .offset_bytes = scales_at,
                       .length_bytes = sizes.scales_bytes},
            .zeros = {.buffer = plain, .offset_bytes = zeros_at, .length_bytes = sizes.zeros_bytes},
            .packed = weights_of(chain, 0),
        };
        segue_status status = segue_command_buffer_begin(commands);
        if (status == SEGUE_OK)
            status = segue_quant_cmd_pack(commands, bench->packing, matrix,
                                          (struct segue_quant_rows){0, matrix->rows}, &buffers);
        if (status == SEGUE_OK)
            status = segue_cmd_barrier(commands, NULL);
        for (uint32_t i = 1; i < chain->copies && status == SEGUE_OK; i++)
            status = segue_cmd_copy(commands, weights_of(chain, 0), weights_of(chain, i));
        if (status == SEGUE_OK)
            status = segue_command_buffer_end(commands);
        double time_ns = 0.0;
        good = segue_bench_check(status, "weights") &&
               segue_bench_chains_run(&bench->chains, commands, &time_ns);
    }
    if (commands)
        segue_command_buffer_destroy(commands);
    if (plain)
        segue_buffer_destroy(plain);
    free(bytes);
    return good;
}

static segue_status record_dequantise(segue_command_buffer *commands, const void *context,
                                      uint32_t index)
{
    const struct chain *chain = context;
    return gemv_dequantise_record(commands, chain->bench->dequantise, chain->matrix,
                                  weights_of(chain, index), whole(chain->bench->wide));
}

static bool measure_product(struct gemv_bench *bench, const struct chain *floor_chain,
                            const struct segue_quant_matrix *matrix, uint32_t batch, uint32_t calls,
                            struct gemv_figures *figures)
{
    const struct segue_quant_gemv_params params = {
        .matrix = *matrix, .batch = batch, .result_type = SEGUE_QUANT_BF16};
    struct segue_quant_gemv gemv = {0}, isolated = {0};
    bool good =
        segue_bench_check(segue_quant_gemv_create(bench->device, &params, &gemv), "the kernel") &&
        make_isolated(bench, &gemv, &isolated);
    struct chain chain = *floor_chain;
    chain.gemv = &gemv;
    good = good && segue_bench_chains_measure(&bench->chains, record_product, &chain, calls,
                                              &figures->chain_ns);
    chain.gemv = &isolated;
    good = good && segue_bench_chains_measure(&bench->chains, record_product, &chain, calls,
                                              &figures->isolated_ns);
    segue_quant_gemv_destroy(&gemv);
    segue_quant_gemv_destroy(&isolated);
    if (good && bench->cublas)
        figures->cublas_ns = gemv_cublas_measure(
            bench->cublas, (struct gemv_shape){matrix->rows, matrix->columns}, batch);
    return good;
}

static void print_figures(struct gemv_shape shape, uint32_t group, uint32_t batch,
                          const struct gemv_figures *f)
{
    char name[16] = "row";
    if (group != GROUP_ROW)
        (void)snprintf(name, sizeof(name), "%u", group);
    printf(
        "%6u x %5u  g%-3s m%-2u %8.2f MB  chain %8.2f us  floor %8.2f  speed %.2f  isolated %8.2f"
        "  floor %8.2f  cublas bf16 %8.2f  dequantise %8.2f\n",
        shape.rows, shape.columns, name, batch, (double)f->bytes / 1e6, f->chain_ns / 1e3,
        f->floor_ns / 1e3, f->floor_ns / f->chain_ns, f->isolated_ns / 1e3,
        f->isolated_floor_ns / 1e3, f->cublas_ns / 1e3, f->dequantise_ns / 1e3);
    fflush(stdout);
}

static bool measure_matrix(struct gemv_bench *bench, struct gemv_shape shape, uint32_t group,
                           uint32_t batch_mask, segue_executable *isolated_reader)
{
    const struct segue_quant_matrix matrix = {
        .rows = shape.rows,
        .columns = shape.columns,
        .bits = bench->bits,
        .group_size = group == GROUP_ROW ? shape.columns : group,
        .zero = bench->points ? SEGUE_QUANT_ZERO_POINTS : SEGUE_QUANT_ZERO_MIDDLE,
    };
    struct chain chain = {
        .bench = bench, .matrix = &matrix, .bytes = segue_quant_packed_size_bytes(&matrix)};
    chain.stride_bytes = (chain.bytes + 255) / 256 * 256;
    const uint64_t copies = bench->weights_bytes / chain.stride_bytes;
    chain.copies = copies > GEMV_MAX_COPIES ? GEMV_MAX_COPIES : (uint32_t)copies;
    const uint64_t calls = CHAIN_BYTES / 2 / chain.bytes;
    const uint32_t call_count = bench->info.is_soft ? 1
                                : calls < 4         ? 4
                                : calls > 384       ? 384
                                                    : (uint32_t)calls;
    if (chain.copies == 0) {
        fprintf(stderr, "segue-bench-gemv: %u x %u does not fit\n", shape.rows, shape.columns);
        return false;
    }
    struct gemv_figures figures = {.bytes = chain.bytes};
    bool good = prepare_weights(bench, &matrix, &chain);
    if (!bench->info.is_soft) {
        chain.reader = bench->reader;
        good = good && segue_bench_chains_measure(&bench->chains, record_read, &chain, call_count,
                                                  &figures.floor_ns);
        chain.reader = isolated_reader;
        good = good && segue_bench_chains_measure(&bench->chains, record_read, &chain, call_count,
                                                  &figures.isolated_floor_ns);
        if (bench->dequantise)
            good = good && segue_bench_chains_measure(&bench->chains, record_dequantise, &chain,
                                                      4 + call_count / 8, &figures.dequantise_ns);
    }
    for (size_t i = 0; good && i < COUNT_OF(batches); i++) {
        if (!(batch_mask >> i & 1))
            continue;
        good = measure_product(bench, &chain, &matrix, batches[i], call_count, &figures);
        if (good)
            print_figures(shape, group, batches[i], &figures);
    }
    return good;
}

/* ---- The program ----------------------------------------------------------------------------- */

static const char usage_text[] =
    "Usage: segue-bench-gemv [OPTION]...\n"
    "\n"
    "Measures products with quantised matrices in chains of graph nodes, beside a chain that only "
    "reads\n"
    "the same bytes and beside cuBLAS with bf16 weights.\n"
    "\n"
    "  --device URI     cuda://N, soft:// or auto (default: $SEGUE_TEST_DEVICE, else auto)\n"
    "  --shape NxK      only this shape; K is a multiple of 128, N of 16\n"
    "  --group G        only groups of G: 128, 32, or row, which makes a row one group\n"
    "                   (default: 128 and 32, with 8 bits all three)\n"
    "  --bits B         weights of B bits (4 or 8; default: 4)\n"
    "  --points         with zero points\n"
    "  --batch M        only this batch (1, 2, 4, 8, 16, 32 or 64)\n"
    "  --time MS        how long each chain is repeated (default: 60)\n"
    "  --no-cublas      without cuBLAS\n"
    "  --quick          one small shape\n"
    "  --help           print this and exit\n"
    "\n"
    "Exit codes: 0 good, 1 something failed, 2 usage, 77 the device is not available.\n";

struct options {
    const char *device_uri;
    struct gemv_shape shape;
    uint32_t group_mask;
    uint32_t bits;
    bool points;
    uint32_t batch_mask;
    uint32_t time_ms;
    bool without_cublas;
    bool quick;
};

static bool parse_batch(const char *text, struct options *options)
{
    for (size_t i = 0; i < COUNT_OF(batches); i++) {
        if (strtoul(text, NULL, 10) == batches[i]) {
            options->batch_mask = 1u << i;
            return true;
        }
    }
    return false;
}

/** Whole blocks: that is what the kernel beside cuBLAS takes. */
static bool parse_shape(const char *text, struct options *options)
{
    struct gemv_shape *shape = &options->shape;
    return sscanf(text, "%ux%u", &shape->rows, &shape->columns) == 2 && shape->rows != 0 &&
           shape->columns != 0 && shape->rows % 16 == 0 && shape->columns % 128 == 0;
}

static bool parse_group(const char *text, struct options *options)
{
    const unsigned long size = strtoul(text, NULL, 10);
    options->group_mask = 0;
    for (size_t i = 0; i < COUNT_OF(groups); i++) {
        if (groups[i] == GROUP_ROW ? strcmp(text, "row") == 0 : size == groups[i])
            options->group_mask = 1u << i;
    }
    return options->group_mask != 0;
}

static int parse_options(int argc, char **argv, struct options *options)
{
    enum { DEVICE = 1, SHAPE, GROUP, BITS, POINTS, BATCH, TIME, NO_CUBLAS, QUICK, HELP };
    static const struct option names[] = {
        {"device", required_argument, NULL, DEVICE},
        {"shape", required_argument, NULL, SHAPE},
        {"group", required_argument, NULL, GROUP},
        {"bits", required_argument, NULL, BITS},
        {"points", no_argument, NULL, POINTS},
        {"batch", required_argument, NULL, BATCH},
        {"time", required_argument, NULL, TIME},
        {"no-cublas", no_argument, NULL, NO_CUBLAS},
        {"quick", no_argument, NULL, QUICK},
        {"help", no_argument, NULL, HELP},
        {0},
    };
    for (int key; (key = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        bool good = true;
        if (key == DEVICE)
            options->device_uri = optarg;
        else if (key == SHAPE)
            good = parse_shape(optarg, options);
        else if (key == GROUP)
            good = parse_group(optarg, options);
        else if (key == BITS)
            good = (options->bits = (uint32_t)strtoul(optarg, NULL, 10)) == 4 || options->bits == 8;
        else if (key == POINTS)
            options->points = true;
        else if (key == BATCH)
            good = parse_batch(optarg, options);
        else if (key == TIME)
            good = (options->time_ms = (uint32_t)strtoul(optarg, NULL, 10)) != 0;
        else if (key == NO_CUBLAS)
            options->without_cublas = true;
        else if (key == QUICK)
            options->quick = true;
        else if (key == HELP)
            return fputs(usage_text, stdout) < 0 ? EXIT_FAILED : EXIT_GOOD;
        else
            good = false;
        if (!good) {
            fputs("Try segue-bench-gemv --help.\n", stderr);
            return EXIT_USAGE;
        }
    }
    if (optind == argc)
        return -1;
    fprintf(stderr, "segue-bench-gemv: \"%s\" is one argument too many\n", argv[optind]);
    return EXIT_USAGE;
}

static bool open_bench(struct gemv_bench *bench, const struct options *options)
{
    struct segue_executable_params packing;
    segue_quant_get_pack_kernels(&packing);
    bench->weights_bytes = options->quick ? QUICK_WEIGHTS_BYTES : WEIGHTS_BYTES;
    bench->bits = options->bits;
    bench->points = options->points;
    const struct segue_buffer_params weights = {.size_bytes = bench->weights_bytes};
    const struct segue_buffer_params vectors = {.size_bytes = 64ull << 20};
    segue_device_get_info(bench->device, &bench->info);
    if (!segue_bench_check(segue_quant_register(bench->device), "registering") ||
        !segue_bench_check(segue_buffer_create(bench->device, &weights, &bench->weights),
                           "memory") ||
        !segue_bench_check(segue_buffer_create(bench->device, &vectors, &bench->x), "memory") ||
        !segue_bench_check(segue_buffer_create(bench->device, &vectors, &bench->out), "memory") ||
        !segue_bench_chains_open(&bench->chains, bench->device, options->time_ms) ||
        !segue_bench_check(segue_executable_create(bench->device, &packing, &bench->packing),
                           "packing"))
        return false;
    uint32_t *ones = malloc(4 << 20);
    for (size_t i = 0; ones && i < 1 << 20; i++)
        ones[i] = 0x3F803F80u ^ (uint32_t)(i * 2654435761u & 0x007F007F);
    const bool good =
        ones && segue_bench_check(segue_buffer_write(bench->x, 0, ones, 4 << 20), "x");
    free(ones);
    if (!good || bench->info.is_soft || options->without_cublas)
        return good;
    bench->cublas = gemv_cublas_open(0);
    if (!bench->cublas)
        fputs("segue-bench-gemv: without cuBLAS, which could not be opened\n", stderr);
    const struct segue_buffer_params wide = {.size_bytes = WIDE_BYTES};
    return bench->bits != 4 || bench->points ||
           (segue_bench_check(segue_buffer_create(bench->device, &wide, &bench->wide), "memory") &&
            segue_bench_check(gemv_dequantise_create(bench->device, &bench->dequantise),
                              "dequantising"));
}

static void close_bench(struct gemv_bench *bench)
{
    gemv_cublas_close(bench->cublas);
    segue_executable_destroy(bench->reader);
    segue_executable_destroy(bench->packing);
    segue_executable_destroy(bench->dequantise);
    segue_buffer_destroy(bench->wide);
    segue_bench_chains_close(&bench->chains);
    segue_buffer_destroy(bench->out);
    segue_buffer_destroy(bench->x);
    segue_buffer_destroy(bench->weights);
    segue_device_destroy(bench->device);
}

static bool run_all(struct gemv_bench *bench, const struct options *options)
{
    segue_executable *isolated_reader = NULL;
    if (!bench->info.is_soft && (!make_reader(bench, SEGUE_ENTRY_GRID_DEPENDENCY, &bench->reader) ||
                                 !make_reader(bench, 0, &isolated_reader)))
        return false;
    const bool is_one = options->quick || options->shape.rows != 0;
    bool good = true;
    for (size_t i = 0; i < (is_one ? 1 : COUNT_OF(shapes)) && good; i++) {
        const struct gemv_shape shape = options->shape.rows != 0 ? options->shape : shapes[i];
        for (size_t k = 0; good && k < COUNT_OF(groups); k++) {
            const bool chosen = options->group_mask != 0
                                    ? options->group_mask >> k & 1
                                    : groups[k] != GROUP_ROW || bench->bits == 8;
            if (chosen)
                good =
                    measure_matrix(bench, shape, groups[k], options->batch_mask, isolated_reader);
        }
    }
    segue_executable_destroy(isolated_reader);
    return good;
}

int main(int argc, char **argv)
{
    struct options options = {
        .device_uri = getenv("SEGUE_TEST_DEVICE"), .bits = 4, .batch_mask = ~0u, .time_ms = 60};
    const int exit_code = parse_options(argc, argv, &options);
    if (exit_code >= 0)
        return exit_code;
    struct gemv_bench bench = {0};
    const segue_status status =
        segue_device_open(options.device_uri ? options.device_uri : "auto", NULL, &bench.device);
    if (status != SEGUE_OK) {
        fprintf(stderr, "segue-bench-gemv: %s\n", segue_last_error()->message);
        return status == SEGUE_UNAVAILABLE ? EXIT_NO_DEVICE : EXIT_FAILED;
    }
    const bool good = open_bench(&bench, &options) && run_all(&bench, &options);
    close_bench(&bench);
    return good ? EXIT_GOOD : EXIT_FAILED;
}
