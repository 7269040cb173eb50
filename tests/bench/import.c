// SPDX-License-Identifier: Apache-2.0
// segue-bench-import [ROWSxCOLUMNS]: how fast one thread imports stored matrices, in stored bytes a
// second of its own CPU time, beside memcpy; in chunks of 256 rows, the best of seven runs.
#include "int4_sources.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RUNS 7
#define CHUNK_ROWS 256

static double now_s(void)
{
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static const struct {
    const char *name;
    struct int4_source_case made;
} benchmarks[] = {
    {"rows", {.format = SEGUE_QUANT_FORMAT_ROWS, .bits = 4, .group_size = 128}},
    {"rows, signed",
     {.format = SEGUE_QUANT_FORMAT_ROWS,
      .bits = 4,
      .group_size = 128,
      .zero = SEGUE_QUANT_ZERO_OFFSETS,
      .flags = SEGUE_QUANT_IMPORT_SIGNED | SEGUE_QUANT_IMPORT_GROUPS_FIRST}},
    {"rows, high first",
     {.format = SEGUE_QUANT_FORMAT_ROWS_HIGH_FIRST, .bits = 4, .group_size = 128}},
    {"GGUF Q4_0", {.format = SEGUE_QUANT_FORMAT_GGUF_Q4_0, .bits = 4, .group_size = 32}},
    {"GGUF Q4_1", {.format = SEGUE_QUANT_FORMAT_GGUF_Q4_1, .bits = 4, .group_size = 32}},
    {"GGUF Q8_0", {.format = SEGUE_QUANT_FORMAT_GGUF_Q8_0, .bits = 8, .group_size = 32}},
    {"AWQ", {.format = SEGUE_QUANT_FORMAT_AWQ, .bits = 4, .group_size = 128, .zeros = true}},
    {"GPTQ", {.format = SEGUE_QUANT_FORMAT_GPTQ, .bits = 4, .group_size = 128, .zeros = true}},
    {"GPTQ, act-order",
     {.format = SEGUE_QUANT_FORMAT_GPTQ,
      .bits = 4,
      .group_size = 128,
      .zeros = true,
      .shuffled = true}},
    {"GPTQ, 8 bits",
     {.format = SEGUE_QUANT_FORMAT_GPTQ, .bits = 8, .group_size = 128, .zeros = true}},
    {"compressed-tensors",
     {.format = SEGUE_QUANT_FORMAT_COMPRESSED_TENSORS,
      .bits = 4,
      .group_size = 128,
      .zeros = true}},
    {"compressed-tensors, act-order",
     {.format = SEGUE_QUANT_FORMAT_COMPRESSED_TENSORS,
      .bits = 4,
      .group_size = 128,
      .zeros = true,
      .shuffled = true}},
};

static void print_rate(const char *name, uint64_t size_bytes, double best_s)
{
    printf("%-30s %8.1f MB %8.2f ms %8.2f GB/s\n", name, (double)size_bytes * 1e-6, best_s * 1e3,
           (double)size_bytes / best_s * 1e-9);
}

/** Imports all rows in chunks; returns the time, or -1. */
static double import_once(const struct segue_quant_import *import,
                          const struct segue_quant_matrix *matrix,
                          const struct segue_quant_plain *plain)
{
    const double start_s = now_s();
    for (uint32_t first = 0; first < matrix->rows; first += CHUNK_ROWS) {
        const uint32_t left = matrix->rows - first;
        const struct segue_quant_rows rows = {first, left < CHUNK_ROWS ? left : CHUNK_ROWS};
        struct segue_quant_plain_sizes done;
        segue_quant_get_plain_sizes(matrix, first, &done);
        const struct segue_quant_plain out = {(uint8_t *)plain->weights + done.weights_bytes,
                                              (uint8_t *)plain->scales + done.scales_bytes,
                                              (uint8_t *)plain->zeros + done.zeros_bytes};
        if (segue_quant_import_rows(import, rows, &out) != SEGUE_OK) {
            fprintf(stderr, "segue-bench-import: %s\n", segue_last_error()->message);
            return -1.0;
        }
    }
    return now_s() - start_s;
}

static bool measure(size_t index, uint32_t rows, uint32_t columns)
{
    struct int4_source source;
    struct int4_source_case made = benchmarks[index].made;
    struct segue_quant_matrix matrix;
    struct segue_quant_plain_sizes sizes;
    made.rows = rows;
    made.columns = columns;
    made.scales = SEGUE_QUANT_ELEMENT_F16;
    int4_source_make(&source, &made, index);
    if (segue_quant_import_get_matrix(&source.import, &matrix) != SEGUE_OK) {
        fprintf(stderr, "segue-bench-import: %s\n", segue_last_error()->message);
        int4_source_free(&source);
        return false;
    }
    segue_quant_get_plain_sizes(&matrix, rows, &sizes);
    struct segue_quant_plain plain = int4_source_allocate(&sizes);
    double best_s = 1e9, copy_s = 1e9;
    bool good = true;
    for (int run = 0; run < RUNS && good; run++) {
        const double time_s = import_once(&source.import, &matrix, &plain);
        good = time_s >= 0.0;
        best_s = time_s < best_s ? time_s : best_s;
        const double start_s = now_s();
        memcpy(plain.weights, source.import.weights.data, sizes.weights_bytes);
        const double copied_s = now_s() - start_s;
        copy_s = copied_s < copy_s ? copied_s : copy_s;
    }
    if (good && index == 0)
        print_rate("memcpy", sizes.weights_bytes, copy_s);
    if (good)
        print_rate(benchmarks[index].name,
                   source.import.weights.size_bytes + source.import.scales.size_bytes +
                       source.import.zeros.size_bytes,
                   best_s);
    int4_source_free_plain(&plain);
    int4_source_free(&source);
    return good;
}

int main(int argc, char **argv)
{
    uint32_t rows = 4096, columns = 14336;
    if (argc > 2 || (argc == 2 && sscanf(argv[1], "%ux%u", &rows, &columns) != 2)) {
        fputs("usage: segue-bench-import [ROWSxCOLUMNS]\n", stderr);
        return 2;
    }
    for (size_t i = 0; i < sizeof(benchmarks) / sizeof(benchmarks[0]); i++) {
        if (!measure(i, rows, columns))
            return 1;
    }
    return 0;
}
