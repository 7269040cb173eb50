// SPDX-License-Identifier: Apache-2.0
/**
 * @file exec_content.h
 * What an executable graph was last made to do, command by command: enough to
 * tell, without a pass over order or shape, whether a new recording makes the
 * same graph, and which nodes of it differ.
 *
 * A content is one array of words with a record (exec_record.h) for each command
 * of a recording but debug groups.
 *
 * Everything that order and shape depend on is compared; addresses may differ
 * as alias.h says.
 */
#ifndef SEGUE_CUDA_EXEC_CONTENT_H
#define SEGUE_CUDA_EXEC_CONTENT_H

#include "exec_record.h"

#include "allocator.h"
#include "plan.h"
#include "slot_alias.h"

/** Words that are kept of what a slot stands for: device address, length, host address or 0. Of a
 *  constant slot one is kept, its value. */
#define SEGUE_BOUND_WORDS 3

/** What a graph depends on beside its recording. */
struct segue_variant {
    uint64_t order_seed;
    uint32_t flags;
    /** Words of segue_exec_content.bound. */
    uint32_t bound_count;
    /** Distinct slots that stand for the same memory; NULL: none. Of a content: see there. */
    const struct segue_slot_pattern *aliases;
};

struct segue_exec_content {
    const struct segue_allocator *allocator;
    uint64_t *words;
    size_t word_count;
    size_t word_capacity;
    /** By node: first word of its record, or SEGUE_NO_RECORD. */
    uint32_t *records;
    size_t node_count;
    uint32_t access_count;
    /** segue_exec_content_hash of the recording. */
    uint64_t hash;
    struct segue_variant variant;
    /** Those of the variant, kept; its own pointer is NULL. */
    struct segue_slot_pattern aliases;
    /** The recording that it is of now: with the same one, only slots can differ. */
    uint64_t serial;
    /** What the slots stand for now, SEGUE_BOUND_WORDS each, then the constant slots. */
    uint64_t *bound;
};

/** A command whose record differs from the kept one. */
struct segue_change {
    const struct segue_segment *segment;
    /** First word of the record. */
    uint32_t record;
    /** An address differs. */
    bool moved;
    /** Only inline data differs, or pointers that the kernel finds in memory: the node is as it
     *  should be. */
    bool data_only;
};

struct segue_changes {
    const struct segue_allocator *allocator;
    struct segue_change *list;
    size_t count;
    size_t capacity;
    /** Of the changes, those that moved. */
    size_t moved_count;
    /** Some inline data differs. */
    bool inline_data;
    /** Some pointers differ that kernels find in memory. */
    bool pointers;
    /** Room for one record. */
    uint64_t *scratch;
    size_t scratch_capacity;
};

/** Hash of what segue_exec_content_match never lets differ, but only what is quick
 * to tell. */
uint64_t segue_exec_content_hash(const struct segue_recording *recording,
                                 struct segue_variant variant);

/** Writes down a recording as lowered for `lowering`; the nodes are those of
 * `plan`. Fills in a zeroed content. SEGUE_OUT_OF_HOST_MEMORY. */
SEGUE_MUST_CHECK segue_status segue_exec_content_create(const struct segue_lowering *lowering,
                                                        const struct segue_plan *plan,
                                                        struct segue_variant variant,
                                                        struct segue_exec_content *out_content);
void segue_exec_content_finish(struct segue_exec_content *content);

enum segue_match {
    /** The same graph, if what has moved keeps its aliases; `changes` lists the
       commands. */
    SEGUE_MATCH_SAME,
    SEGUE_MATCH_DIFFERENT,
    SEGUE_MATCH_NO_MEMORY,
};

/** Compares a recording with a kept content, word by word. `changes` is emptied
 * first. */
enum segue_match segue_exec_content_match(const struct segue_exec_content *content,
                                          const struct segue_lowering *lowering,
                                          struct segue_changes *changes);
/** Lists the commands of which another table makes something else, for a content of the same
 * recording: looks at no command that names none of the slots that stand for something else.
 * SEGUE_MATCH_DIFFERENT: a command becomes another kind of node. `changes` is emptied first. */
enum segue_match segue_exec_content_rebind(const struct segue_exec_content *content,
                                           const struct segue_lowering *lowering,
                                           struct segue_changes *changes);
/** Writes down that it is of the lowering's recording and table. */
void segue_exec_content_bind(struct segue_exec_content *content,
                             const struct segue_lowering *lowering);
/** Words of `bound` that a recording's contents have. */
uint32_t segue_exec_content_bound_count(const struct segue_recording *recording);
/** Whether it was made with the same beside the recording. */
bool segue_exec_content_has_variant(const struct segue_exec_content *content,
                                    struct segue_variant variant);
/** Lists the nodes that differ between two contents of one structure. The
 * segments are found in `plan`, which `next` was made with. `restaged`: inline
 * data and pointers lie elsewhere than before. False when out of memory. */
bool segue_exec_content_compare(const struct segue_exec_content *kept,
                                const struct segue_exec_content *next,
                                const struct segue_plan *plan, bool restaged,
                                struct segue_changes *changes);
/** Writes a change down. */
void segue_exec_content_rewrite(struct segue_exec_content *content,
                                const struct segue_lowering *lowering,
                                const struct segue_change *change);

bool segue_changes_add(struct segue_changes *changes, struct segue_change change);
void segue_changes_finish(struct segue_changes *changes);

/** What a slot of a table stands for, as words of segue_exec_content.bound. */
static inline void segue_slot_write_bound(const struct segue_range *slot, uint64_t *words)
{
    const segue_buffer *buffer = segue_range_buffer(slot);
    const struct segue_backend_memory *memory = &buffer->memory->backend;
    const uint64_t offset_bytes = buffer->offset_bytes + slot->offset_bytes;
    words[0] = memory->device_address + offset_bytes;
    words[1] = slot->length_bytes;
    words[2] = memory->host_pointer != NULL ? (uintptr_t)memory->host_pointer + offset_bytes : 0;
}

/** Bytes of host memory that a content holds. */
uint64_t segue_exec_content_bytes(const struct segue_exec_content *content);

#endif // SEGUE_CUDA_EXEC_CONTENT_H
