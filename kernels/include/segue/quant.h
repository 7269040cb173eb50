// SPDX-License-Identifier: Apache-2.0
/**
 * @file quant.h
 * Matrices of 4-bit and 8-bit weights: their packed layout, packing on the device and on the host,
 * and products y = W x with 1 to 64 vectors x at the speed of memory. Part of libsegue_kernels.
 *
 * W has `rows` rows (outputs) of `columns` weights. Groups of group_size weights along a row share
 * a scale and, where the format has them, a zero point or an offset. docs/int4-layout.md describes
 * the plain form, which is what is packed, and the packed layout.
 *
 * Thread-safety: functions of descriptions and of host memory may be called from any thread;
 * recording as for command buffers.
 */
#ifndef SEGUE_QUANT_H
#define SEGUE_QUANT_H

#include <segue/base.h>
#include <segue/command_buffer.h>
#include <segue/executable.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The packed layout's name and version; bytes of another version are something else. */
#define SEGUE_QUANT_LAYOUT_ID "segue.mma16"
/** See SEGUE_QUANT_LAYOUT_ID. */
#define SEGUE_QUANT_LAYOUT_VERSION 1
/** The layout's id as packed caches and traces have it: "mm16". */
#define SEGUE_QUANT_LAYOUT_NUMBER 0x6d6d3136u

/** Rows of a tile: packed ranges of rows begin at a multiple of it. */
#define SEGUE_QUANT_TILE_ROWS 16
/** Columns of a block: packed rows are filled up with weights of 0 to a multiple of it. */
#define SEGUE_QUANT_BLOCK_COLUMNS 128
/** The most vectors that one product takes. */
#define SEGUE_QUANT_MAX_BATCH 64

/** Element types of scales, activations and results. */
enum segue_quant_type {
    SEGUE_QUANT_BF16 = 0,
    SEGUE_QUANT_F16 = 1,
    SEGUE_QUANT_F32 = 2,
};

/** What a stored number q stands for, s being its group's scale: q is 0 to 15, or of 8 bits a
 *  signed byte. */
enum segue_quant_zero {
    /** (q - 8) * s; 8 bits: q * s. */
    SEGUE_QUANT_ZERO_MIDDLE = 0,
    /** (q - z) * s, z a byte for each group: 0 to 16; 8 bits: a signed byte. */
    SEGUE_QUANT_ZERO_POINTS = 1,
    /** q * s + m, m for each group of the scales' type. */
    SEGUE_QUANT_ZERO_OFFSETS = 2,
    /** (q - 8) * s + m. Not for 8 bits. */
    SEGUE_QUANT_ZERO_MIDDLE_OFFSETS = 3,
};

/** A matrix. Zero-initialise, then fill in. */
struct segue_quant_matrix {
    /** For messages. NULL: "matrix". */
    const char *name;
    uint32_t rows;
    /** A multiple of the group size, and of 8. */
    uint32_t columns;
    /** 4 or 8. */
    uint32_t bits;
    /** 32, 64, 128, or `columns`: one group a row. */
    uint32_t group_size;
    enum segue_quant_type scale_type;
    enum segue_quant_zero zero;
    /** When not 0, row r and row r + pair_stride share a tile (they end up in one thread): of every
     *  2 * pair_stride rows the first half is paired with the second. A multiple of 8; rows are a
     *  multiple of twice it. For gate and up rows, one after the other, it is the number of gate
     *  rows; for rotary embedding half a head. */
    uint32_t pair_stride;
};

/** Fails with SEGUE_INVALID_ARGUMENT (the message names the matrix and the value) where the
 *  description is not one that can be packed. */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_quant_check(const struct segue_quant_matrix *matrix);

/** Bytes of the packed matrix, of a description that passes the check. */
SEGUE_API uint64_t segue_quant_packed_size_bytes(const struct segue_quant_matrix *matrix);

/** Bytes of `row_count` plain rows. */
struct segue_quant_plain_sizes {
    /** [rows][columns / 2], even columns in the low nibble; 8 bits: [rows][columns], signed. */
    uint64_t weights_bytes;
    /** [rows][columns / group_size] of the scales' type. */
    uint64_t scales_bytes;
    /** Zero points or offsets, in the same order; 0 where the format has none. */
    uint64_t zeros_bytes;
};

/** Sizes of `row_count` rows in the plain layout. */
SEGUE_API void segue_quant_get_plain_sizes(const struct segue_quant_matrix *matrix,
                                           uint32_t row_count,
                                           struct segue_quant_plain_sizes *out_sizes);

/**
 * Rows of the packed matrix that are packed or unpacked at once. Packing in any chunks gives the
 * same bytes as packing at once.
 */
struct segue_quant_rows {
    /** A multiple of 16. */
    uint32_t first;
    /** A multiple of 16, unless the matrix ends there. Of a matrix with pairs: whole multiples of
     *  2 * pair_stride, or rows of one such stretch; then the plain rows are the chunk's first
     *  halves of all pairs, followed by the second halves. */
    uint32_t count;
};

/** Where the packed bytes of these rows lie; they are in one piece. Fails as the check does, and
 *  with SEGUE_OUT_OF_RANGE where the rows are not in the matrix. */
SEGUE_API SEGUE_MUST_CHECK segue_status
segue_quant_get_packed_range(const struct segue_quant_matrix *matrix, struct segue_quant_rows rows,
                             uint64_t *out_offset_bytes, uint64_t *out_size_bytes);

/** Plain rows in host memory. */
struct segue_quant_plain {
    void *weights;
    void *scales;
    /** NULL where the format has none. */
    void *zeros;
};

/** Packs rows: the reference of SEGUE_QUANT_PACK. @param packed the bytes of those rows alone. */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_quant_pack(const struct segue_quant_matrix *matrix,
                                                         struct segue_quant_rows rows,
                                                         const struct segue_quant_plain *plain,
                                                         void *packed);

/** The inverse, bit by bit. */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_quant_unpack(const struct segue_quant_matrix *matrix,
                                                           struct segue_quant_rows rows,
                                                           const void *packed,
                                                           const struct segue_quant_plain *plain);

/** Registers the references of all kernels below with the software driver behind `device`; on any
 *  other device it does nothing. Call it before making their executables. Fails as
 *  segue_device_register_reference_kernels does. */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_quant_register(segue_device *device);

/** Entry points of the packing executable. Constants: struct segue_quant_pack_constants. Block 128,
 *  grid 1024 (any other gives the same result). Best recorded by segue_quant_cmd_pack. */
enum segue_quant_pack_kernel {
    /** weights, scales: read; packed: write. */
    SEGUE_QUANT_PACK = 0,
    /** weights, scales, zeros: read; packed: write. */
    SEGUE_QUANT_PACK_ZEROS = 1,
    /** packed: read; weights, scales: write. */
    SEGUE_QUANT_UNPACK = 2,
    /** packed: read; weights, scales, zeros: write. */
    SEGUE_QUANT_UNPACK_ZEROS = 3,
    /** x, order: read; out: write. Constants: struct segue_quant_reorder_constants; any grid. */
    SEGUE_QUANT_REORDER = 4,
    SEGUE_QUANT_PACK_KERNEL_COUNT = 5,
};

/** Of the packing kernels: the matrix, without its name, and the rows at hand. */
struct segue_quant_pack_constants {
    uint32_t columns;
    uint32_t bits;
    uint32_t group_size;
    uint32_t scale_bytes;
    /** Bytes of a zero point or an offset; 0: none. */
    uint32_t zero_bytes;
    uint32_t row_count;
    /** Plain row of pair p of the chunk: see segue_quant_rows. 8: rows as they are. */
    uint32_t pair_stride;
};

/** What segue_executable_create needs to make the packing executable. All pointers are static. */
SEGUE_API void segue_quant_get_pack_kernels(struct segue_executable_params *out_params);

/** The memory of a packing command. */
struct segue_quant_pack_buffers {
    /** The plain rows at hand. */
    struct segue_buffer_ref weights;
    struct segue_buffer_ref scales;
    /** Not looked at where the format has none. */
    struct segue_buffer_ref zeros;
    /** The whole packed matrix, aligned to 16: the command takes the part that it needs. */
    struct segue_buffer_ref packed;
};

/** Records the packing of rows; later commands that read them need a barrier. Commands for
 *  different rows may run at the same time. Fails as segue_quant_check and segue_cmd_dispatch do.
 *  @param executable  made of segue_quant_get_pack_kernels. */
SEGUE_API SEGUE_MUST_CHECK segue_status
segue_quant_cmd_pack(segue_command_buffer *command_buffer, segue_executable *executable,
                     const struct segue_quant_matrix *matrix, struct segue_quant_rows rows,
                     const struct segue_quant_pack_buffers *buffers);

/** Records the inverse. */
SEGUE_API SEGUE_MUST_CHECK segue_status
segue_quant_cmd_unpack(segue_command_buffer *command_buffer, segue_executable *executable,
                       const struct segue_quant_matrix *matrix, struct segue_quant_rows rows,
                       const struct segue_quant_pack_buffers *buffers);

/**
 * The dispatch that packs a whole matrix, for those who bind it themselves: prepack plans, traces.
 * Its bindings are weights, scales, zeros where the format has them, and packed.
 * @param out_dispatch   executable (segue_quant_get_pack_kernels) and bindings are left open.
 * @param out_constants  what the dispatch points at.
 * @return as segue_quant_check.
 */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_quant_get_pack_dispatch(
    const struct segue_quant_matrix *matrix, struct segue_quant_pack_constants *out_constants,
    struct segue_dispatch *out_dispatch);

/** Of SEGUE_QUANT_REORDER. */
struct segue_quant_reorder_constants {
    uint32_t columns;
    uint32_t batch;
    /** Of an element of x: 2 or 4. */
    uint32_t element_bytes;
};

/** The memory of a reordering command; all of it is aligned to 4. */
struct segue_quant_reorder_buffers {
    /** [batch][columns]. */
    struct segue_buffer_ref x;
    /** u32 [columns], each below `columns`. */
    struct segue_buffer_ref order;
    /** [batch][columns]; not x itself. */
    struct segue_buffer_ref out;
};

/** Records out[m][c] = x[m][order[c]]: vectors for a matrix whose columns were imported in another
 *  order (segue_quant_import_get_order). Fails naming the value, and as segue_cmd_dispatch does.
 *  @param executable  made of segue_quant_get_pack_kernels. */
SEGUE_API SEGUE_MUST_CHECK segue_status
segue_quant_cmd_reorder(segue_command_buffer *command_buffer, segue_executable *executable,
                        const struct segue_quant_reorder_constants *constants,
                        const struct segue_quant_reorder_buffers *buffers);

/** What a product does besides multiplying. Bits. */
enum segue_quant_gemv_flags {
    /** out += bias[row]; bias: constant, f32 [rows]. */
    SEGUE_QUANT_BIAS = 1u << 0,
    /** out += residual[batch][row], of the result's type; it may be the result's own memory. */
    SEGUE_QUANT_RESIDUAL = 1u << 1,
    /** x is f32, and x / sqrt(mean(x * x) + epsilon) * norm[column] takes its place, which may be
     *  rounded to the activations' type; norm: constant, bf16 [columns],
     *  aligned to 16. */
    SEGUE_QUANT_NORM = 1u << 2,
    /** Rows are gate rows and up rows (pair_stride = rows / 2): out[rows / 2] = silu(gate) * up.
     *  Excludes SEGUE_QUANT_BIAS and SEGUE_QUANT_RESIDUAL. */
    SEGUE_QUANT_SILU_MUL = 1u << 3,
    /** Rows are those of the heads of q, then of k, then of v (segue_quant_heads). Of q and k,
     *  element i of a head is turned with element i + pair_stride by the angle
     *  position[m] * frequencies[i]. out: q, [batch][heads][2 * pair_stride]; k and v go to row
     *  position[m] of k_cache and v_cache, [capacity][kv_heads][2 * pair_stride] of the result's
     *  type, unless that is beyond the capacity. Several vectors are of one sequence: no position
     *  comes twice. frequencies: constant, f32 [pair_stride] (see segue_rope_frequencies);
     *  position: u32 [batch]. Angles are f32, as in the models' own programs: up to position
     *  131,072 they are off by 0.008 at most; beyond 400,000 nothing is promised. The result's type
     *  is BF16 or F16. Excludes all of the flags here but SEGUE_QUANT_BIAS, SEGUE_QUANT_NORM and
     *  SEGUE_QUANT_KV_FP8. */
    SEGUE_QUANT_ROPE_KV = 1u << 4,
    /** token[m] = the row of the largest result of vector m as it is stored, the lowest one among
     *  equals; NaN is never the largest. token: u32 [batch]; state: u64 [batch + 1], zeros before
     *  and after. Excludes SEGUE_QUANT_SILU_MUL and SEGUE_QUANT_ROPE_KV. */
    SEGUE_QUANT_ARGMAX = 1u << 5,
    /** With SEGUE_QUANT_ARGMAX: position[m] += 1 when all is done, for a step that follows in the
     *  same graph or in the next launch of it. position: u32 [batch]. */
    SEGUE_QUANT_ADVANCE = 1u << 6,
    /** With SEGUE_QUANT_ROPE_KV: the caches are fp8 (e4m3, to nearest even, at most 448), in units
     * of kv_scales: constant, f32 [2][kv_heads], first those of k, then those of v. As
     *  SEGUE_DECODE_ROPE_KV_FP8 writes them. */
    SEGUE_QUANT_KV_FP8 = 1u << 7,
};

/** Of SEGUE_QUANT_ROPE_KV: heads of 2 * pair_stride rows. rows is that times
 *  heads + 2 * kv_heads. */
struct segue_quant_heads {
    uint32_t heads;
    uint32_t kv_heads;
    /** Rows of the caches. */
    uint32_t capacity;
};

/**
 * A product. Zero-initialise, then fill in.
 *
 * Weights are exact, sums are f32, the result is rounded once, and every run gives the same bits.
 * x may be counted in units of 2^-14 to 2^-13 of the largest number of its part of the columns:
 * then its error is at most half a unit, and a part with an infinity or a NaN gives NaN in all
 * rows. Together (as vectors) the results differ from those of double precision by less than 2e-3
 * where x or they are BF16, by less than 5e-4 where neither is. SEGUE_QUANT_NORM, which rounds x,
 * adds as much again (as squares add); and with more than 8192 columns, one number of x hundreds of
 * times larger than the rest and BF16 for both, it may be 2.5e-3.
 */
struct segue_quant_gemv_params {
    struct segue_quant_matrix matrix;
    /** 1 to 64 vectors. */
    uint32_t batch;
    /** BF16 or F16: what is multiplied. With SEGUE_QUANT_NORM x itself is f32. */
    enum segue_quant_type activation_type;
    enum segue_quant_type result_type;
    /** Bits of segue_quant_gemv_flags. */
    uint32_t flags;
    /** Of SEGUE_QUANT_NORM. */
    float epsilon;
    struct segue_quant_heads heads;
};

/** The one entry point's constants; filled in by segue_quant_gemv_create. */
struct segue_quant_gemv_constants {
    uint32_t rows;
    uint32_t columns;
    uint32_t bits;
    uint32_t group_size;
    uint32_t scale_type;
    uint32_t zero;
    uint32_t pair_stride;
    uint32_t batch;
    uint32_t activation_type;
    uint32_t result_type;
    uint32_t flags;
    float epsilon;
    struct segue_quant_heads heads;
};

/** A product made ready: a kernel compiled for its shape and formats. */
struct segue_quant_gemv {
    segue_executable *executable;
    struct segue_quant_gemv_constants constants;
    uint32_t grid;
    /** Bytes that its bindings must have. */
    uint64_t x_size_bytes;
    uint64_t packed_size_bytes;
    uint64_t out_size_bytes;
    /** Of each of the two caches. */
    uint64_t cache_size_bytes;
};

/**
 * Compiles the kernel, or takes it from the compile cache. One serves all matrices of the shape and
 * format.
 * @return SEGUE_INVALID_ARGUMENT naming matrix and value; SEGUE_UNIMPLEMENTED where
 * SEGUE_QUANT_NORM is asked for more vectors than fit the shared memory; else as
 * segue_executable_create.
 */
SEGUE_API SEGUE_MUST_CHECK segue_status
segue_quant_gemv_create(segue_device *device, const struct segue_quant_gemv_params *params,
                        struct segue_quant_gemv *out_gemv);

/** Gives up the executable; recorded work keeps it. A zeroed one is fine. */
SEGUE_API void segue_quant_gemv_destroy(struct segue_quant_gemv *gemv);

/** The memory of a product. References that its flags do not ask for are not looked at. Where
 *  nothing is said they are aligned to 4; caches to their elements. */
struct segue_quant_gemv_buffers {
    /** [batch][columns], aligned to 16. */
    struct segue_buffer_ref x;
    /** Aligned to 16. Written by nothing in the same command buffer. */
    struct segue_buffer_ref packed;
    /** [batch][rows], [batch][rows / 2] with SEGUE_QUANT_SILU_MUL, or q with SEGUE_QUANT_ROPE_KV.
     */
    struct segue_buffer_ref out;
    /** Aligned to 16. */
    struct segue_buffer_ref norm;
    struct segue_buffer_ref bias;
    struct segue_buffer_ref residual;
    struct segue_buffer_ref frequencies;
    struct segue_buffer_ref position;
    struct segue_buffer_ref k_cache;
    struct segue_buffer_ref v_cache;
    struct segue_buffer_ref token;
    /** Aligned to 8. */
    struct segue_buffer_ref state;
    struct segue_buffer_ref kv_scales;
};

/** Records the product. Fails as segue_cmd_dispatch does. */
SEGUE_API SEGUE_MUST_CHECK segue_status
segue_quant_cmd_gemv(segue_command_buffer *command_buffer, const struct segue_quant_gemv *gemv,
                     const struct segue_quant_gemv_buffers *buffers);

#ifdef __cplusplus
}
#endif

#endif // SEGUE_QUANT_H
