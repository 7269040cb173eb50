// SPDX-License-Identifier: Apache-2.0
/**
 * @file alias.h
 * Which ranges of a kept content share bytes. Ranges that overlap, directly or
 * through others, form a piece. If whole pieces move, each by one distance and
 * onto no other, every two ranges overlap in the same bytes as before: so there
 * are the same hazards, and the same order holds.
 *
 * Slots take no part: order assumes of them only what the recording says, which
 * is compared.
 */
#ifndef SEGUE_CUDA_ALIAS_H
#define SEGUE_CUDA_ALIAS_H

#include "exec_content.h"

struct segue_alias_piece {
    uint64_t start;
    uint64_t end;
    uint32_t access_count;
    /** While a move is checked: its accesses that have moved, and how far. */
    uint32_t moved_count;
    uint64_t distance;
};

/** Made at the first move, as few contents ever see one. */
struct segue_alias {
    const struct segue_allocator *allocator;
    struct segue_alias_piece *pieces;
    /** Pieces by their start. */
    uint32_t *order;
    /** Pieces that move, and room to sort `order` anew. */
    uint32_t *moved;
    uint32_t piece_count;
    /** By access: its piece, SEGUE_NO_PIECE for slots and ranges without bytes.
     */
    uint32_t *pieces_of;
    uint32_t access_count;
};

#define SEGUE_NO_PIECE UINT32_MAX

enum segue_alias_result {
    SEGUE_ALIAS_SAME,
    SEGUE_ALIAS_DIFFERENT,
    SEGUE_ALIAS_NO_MEMORY,
};

/** Whether the moves of `changes` keep all aliases of `content`. If so, `alias`
 * is as after them; the content is not written. */
enum segue_alias_result segue_alias_move(struct segue_alias *alias,
                                         const struct segue_exec_content *content,
                                         const struct segue_lowering *lowering,
                                         const struct segue_changes *changes);
/** Forgets everything: the content has been replaced. */
void segue_alias_finish(struct segue_alias *alias);
uint64_t segue_alias_bytes(const struct segue_alias *alias);

#endif // SEGUE_CUDA_ALIAS_H
