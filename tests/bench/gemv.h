// SPDX-License-Identifier: Apache-2.0
/**
 * @file gemv.h
 * segue-bench-gemv: products with quantised matrices in a chain, beside a chain that only reads the
 * same bytes and beside cuBLAS with bf16. Weights are rotated so that the L2 cache cannot serve
 * them.
 *
 * One thread.
 */
#ifndef SEGUE_BENCH_GEMV_H
#define SEGUE_BENCH_GEMV_H

#include "chain.h"

#include <segue/quant.h>
#include <segue/segue.h>

/** Rows and columns of a matrix. */
struct gemv_shape {
    uint32_t rows;
    uint32_t columns;
};

/** The most copies of a matrix in a chain. */
#define GEMV_MAX_COPIES 1024

struct gemv_bench {
    segue_device *device;
    struct segue_device_info info;
    struct segue_bench_chains chains;
    /** Copies of the packed matrix at hand, one after the other, and what is not read of them. */
    segue_buffer *weights;
    uint64_t weights_bytes;
    segue_buffer *x;
    segue_buffer *out;
    segue_executable *packing;
    segue_executable *reader;
    struct gemv_cublas *cublas;
    /** Makes a matrix bf16, and where to; NULL for formats that it does not know. */
    segue_executable *dequantise;
    segue_buffer *wide;
    /** Of a weight, and whether each group has a zero point. */
    uint32_t bits;
    bool points;
};

/** What one case took, in ns a call; 0: not measured. */
struct gemv_figures {
    /** Programmatic edges, and full ones. */
    double chain_ns;
    double isolated_ns;
    /** Reading the same bytes with the same edges. */
    double floor_ns;
    double isolated_floor_ns;
    double cublas_ns;
    /** Making the matrix bf16, which is to be added to cuBLAS's time; a chain with full edges. */
    double dequantise_ns;
    uint64_t bytes;
};

/** The kernel that makes a matrix of 4 bits, counted from the middle and with bf16 scales, one of
 *  bf16; rows and columns are multiples of a block's. */
segue_status gemv_dequantise_create(segue_device *device, segue_executable **out_executable);
segue_status gemv_dequantise_record(segue_command_buffer *commands, segue_executable *executable,
                                    const struct segue_quant_matrix *matrix,
                                    struct segue_buffer_ref packed, struct segue_buffer_ref out);

/** cuBLAS on its own stream of the device's primary context; NULL if the library is not there. */
struct gemv_cublas *gemv_cublas_open(int32_t driver_device);
void gemv_cublas_close(struct gemv_cublas *cublas);

/** Time of y = W x with W bf16, a graph of many calls on distinct weights; 0 on failure, which is
 *  on stderr. */
double gemv_cublas_measure(struct gemv_cublas *cublas, struct gemv_shape shape, uint32_t batch);

#endif // SEGUE_BENCH_GEMV_H
