// SPDX-License-Identifier: Apache-2.0
// The packing of a whole matrix as a dispatch, for whoever binds and records it.
#include "layout.h"

/** Threads go over all blocks of 128 columns, so any grid does; this one fills a device. */
#define GRID_BLOCKS 1024

segue_status segue_quant_get_pack_dispatch(const struct segue_quant_matrix *matrix,
                                           struct segue_quant_pack_constants *out_constants,
                                           struct segue_dispatch *out_dispatch)
{
    const struct segue_quant_rows rows = {.count = matrix->rows};
    const segue_status status = segue_quant_chunk_constants(matrix, rows, out_constants);
    if (status != SEGUE_OK)
        return status;
    *out_dispatch = (struct segue_dispatch){
        .entry_point = out_constants->zero_bytes != 0 ? SEGUE_QUANT_PACK_ZEROS : SEGUE_QUANT_PACK,
        .grid = {GRID_BLOCKS, 1, 1},
        .constants = out_constants,
        .constants_size_bytes = sizeof(*out_constants),
    };
    return SEGUE_OK;
}
