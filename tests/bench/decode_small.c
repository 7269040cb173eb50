// SPDX-License-Identifier: Apache-2.0
#include "decode_small.h"

#include <segue/kernels.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define MAX_BINDINGS 8
/** Each thing has a place of its own; embedding rows lie far apart. */
#define PLACE_BYTES (64ull << 10)
#define PLACES 8
#define ROW_STRIDE_BYTES (1ull << 20)
#define MAX_ROWS 64u
#define CAPACITY 64u

struct bench {
    struct segue_bench_chains *chains;
    segue_executable *decode;
    uint32_t calls;
    /** Token and position. */
    segue_buffer *zeros;
    segue_buffer *memory;
    segue_buffer *rows;
};

struct call {
    const struct bench *bench;
    enum segue_decode_kernel kernel;
    uint32_t grid;
    struct segue_buffer_ref bindings[MAX_BINDINGS];
    uint32_t binding_count;
    /** Of the first bindings of `rows`: each call takes others. */
    bool takes_rows;
    const void *constants;
    size_t constants_size_bytes;
};

static segue_status record_call(segue_command_buffer *commands, const void *context, uint32_t index)
{
    const struct call *call = context;
    struct segue_buffer_ref bindings[MAX_BINDINGS];
    memcpy(bindings, call->bindings, sizeof(bindings));
    for (uint32_t i = 0; i < call->binding_count && call->takes_rows; i++) {
        if (bindings[i].buffer == call->bench->rows)
            bindings[i].offset_bytes += index % MAX_ROWS * ROW_STRIDE_BYTES;
    }
    const struct segue_dispatch dispatch = {
        .executable = call->bench->decode,
        .entry_point = (uint32_t)call->kernel,
        .grid = {call->grid, 1, 1},
        .bindings = bindings,
        .binding_count = call->binding_count,
        .constants = call->constants,
        .constants_size_bytes = call->constants_size_bytes,
    };
    return segue_cmd_dispatch(commands, &dispatch);
}

static bool print_call(const struct call *call, const char *name)
{
    double time_ns = 0.0;
    if (!segue_bench_chains_measure(call->bench->chains, record_call, call, call->bench->calls,
                                    &time_ns))
        return false;
    printf("%-34s %8.2f us\n", name, time_ns / 1e3);
    fflush(stdout);
    return true;
}

static struct segue_buffer_ref part(segue_buffer *buffer, uint32_t place, uint64_t bytes)
{
    return (struct segue_buffer_ref){
        .buffer = buffer, .offset_bytes = place * PLACE_BYTES, .length_bytes = bytes};
}

static bool measure_embedding(const struct bench *bench, uint32_t hidden)
{
    const struct segue_embed_int4_constants constants = {1, hidden};
    const struct call call = {
        .bench = bench,
        .kernel = SEGUE_DECODE_EMBED_INT4,
        .grid = (hidden + 2047) / 2048,
        .bindings = {part(bench->zeros, 0, 4), part(bench->rows, 0, hidden / 2),
                     part(bench->rows, 1, hidden / 32 * 2), part(bench->memory, 0, hidden * 4)},
        .binding_count = 4,
        .takes_rows = true,
        .constants = &constants,
        .constants_size_bytes = sizeof(constants),
    };
    char name[64];
    snprintf(name, sizeof(name), "embedding row %u", hidden);
    return print_call(&call, name);
}

static bool measure_rope(const struct bench *bench, uint32_t head_size, bool fp8)
{
    const struct segue_rope_kv_constants constants = {32, 8, head_size, CAPACITY};
    const uint64_t kv_bytes = (uint64_t)constants.kv_heads * head_size * 2;
    const uint64_t cache_bytes = CAPACITY * kv_bytes / (fp8 ? 2 : 1);
    struct call call = {
        .bench = bench,
        .kernel = fp8 ? SEGUE_DECODE_ROPE_KV_FP8 : SEGUE_DECODE_ROPE_KV,
        .grid = ((constants.heads + constants.kv_heads) * head_size / 2 + 127) / 128,
        .bindings = {part(bench->memory, 0, constants.heads * head_size * 2),
                     part(bench->memory, 1, kv_bytes), part(bench->memory, 2, kv_bytes),
                     part(bench->memory, 3, head_size / 2 * 4)},
        .binding_count = 4,
        .constants = &constants,
        .constants_size_bytes = sizeof(constants),
    };
    if (fp8)
        call.bindings[call.binding_count++] = part(bench->memory, 4, constants.kv_heads * 2 * 4);
    call.bindings[call.binding_count++] = part(bench->zeros, 0, 4);
    call.bindings[call.binding_count++] = part(bench->rows, 0, cache_bytes);
    call.bindings[call.binding_count++] = part(bench->rows, 16, cache_bytes);
    char name[64];
    snprintf(name, sizeof(name), "rope, caches %s, heads of %u", fp8 ? "fp8" : "bf16", head_size);
    return print_call(&call, name);
}

static bool measure_silu(const struct bench *bench, uint32_t count)
{
    const struct call call = {
        .bench = bench,
        .kernel = SEGUE_DECODE_SILU_MUL,
        .grid = (count + 1023) / 1024,
        .bindings = {part(bench->memory, 0, count * 2), part(bench->memory, 1, count * 2),
                     part(bench->memory, 2, count * 2)},
        .binding_count = 3,
        .constants = &count,
        .constants_size_bytes = sizeof(count),
    };
    char name[64];
    snprintf(name, sizeof(name), "silu_mul %u", count);
    return print_call(&call, name);
}

static bool measure_residual(const struct bench *bench, uint32_t count)
{
    const struct call call = {
        .bench = bench,
        .kernel = SEGUE_DECODE_RESIDUAL_ADD,
        .grid = (count + 1023) / 1024,
        .bindings = {part(bench->memory, 0, count * 4), part(bench->memory, 1, count * 2)},
        .binding_count = 2,
        .constants = &count,
        .constants_size_bytes = sizeof(count),
    };
    char name[64];
    snprintf(name, sizeof(name), "residual_add %u", count);
    return print_call(&call, name);
}

/** Memory of one byte throughout. */
static bool make_buffer(const struct bench *bench, uint64_t size_bytes, int value,
                        segue_buffer **out_buffer)
{
    const struct segue_buffer_params params = {.size_bytes = size_bytes};
    uint8_t *bytes = malloc(size_bytes);
    if (!bytes)
        return segue_bench_check(SEGUE_OUT_OF_HOST_MEMORY, "memory");
    memset(bytes, value, size_bytes);
    const bool good =
        segue_bench_check(segue_buffer_create(bench->chains->device, &params, out_buffer),
                          "memory") &&
        segue_bench_check(segue_buffer_write(*out_buffer, 0, bytes, size_bytes), "filling");
    free(bytes);
    return good;
}

bool segue_bench_decode_small(struct segue_bench_chains *chains, segue_executable *decode,
                              uint32_t calls)
{
    struct bench bench = {.chains = chains, .decode = decode, .calls = calls};
    // 0x3C3C is a little more than 0.01 as bf16, and as f32.
    bool good = make_buffer(&bench, PLACE_BYTES, 0, &bench.zeros) &&
                make_buffer(&bench, PLACES * PLACE_BYTES, 0x3C, &bench.memory) &&
                make_buffer(&bench, (MAX_ROWS + 2) * ROW_STRIDE_BYTES, 0x3C, &bench.rows);
    static const struct {
        uint32_t hidden;
        uint32_t ffn;
        uint32_t head_size;
    } models[] = {{2048, 8192, 64}, {4096, 14336, 128}};
    for (size_t i = 0; i < COUNT_OF(models) && good; i++)
        good = measure_embedding(&bench, models[i].hidden) &&
               measure_rope(&bench, models[i].head_size, false) &&
               measure_rope(&bench, models[i].head_size, true) &&
               measure_silu(&bench, models[i].ffn) && measure_residual(&bench, models[i].hidden);
    segue_buffer_destroy(bench.rows);
    segue_buffer_destroy(bench.memory);
    segue_buffer_destroy(bench.zeros);
    return good;
}
