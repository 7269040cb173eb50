// SPDX-License-Identifier: Apache-2.0
/**
 * @file exec_record.h
 * One command as a content (exec_content.h) keeps it: an array of words,
 *
 *   head       kind, flags and class of the node, the duration hint: structure
 *   place      node (low half), number of the record's first access (high half)
 *   fixed      by kind; of a dispatch 6 words: executable, entry point and grid, block, shared
 *              memory, counts
 *   accesses   their device addresses; their lengths; their slots with offsets (0 for buffers)
 *   rest       by kind: constants, inline data, masks
 *
 * Most commands name no slots and no range of 4 GiB: a *narrow* record has two lengths in a word
 * and no slots. Most barriers order everything: a *plain* record is the head of such a one alone.
 * Which of these a record is follows from the command, and the head says it, so that records of
 * equal heads are laid out alike.
 */
#ifndef SEGUE_CUDA_EXEC_RECORD_H
#define SEGUE_CUDA_EXEC_RECORD_H

#include "lower.h"

#include "recording.h"

/** Words before the fixed ones. */
#define SEGUE_RECORD_HEAD_WORDS 2
/** Fixed words of a dispatch: its fields from `executable` to `first_indirect`. */
#define SEGUE_DISPATCH_WORDS 6
/** Node of commands that have none, and record of nodes (joins) that have none. */
#define SEGUE_NO_RECORD UINT32_MAX

/** Bits of a head. */
#define SEGUE_RECORD_NARROW (UINT64_C(1) << 15)
#define SEGUE_RECORD_PLAIN (UINT64_C(1) << 14)

/** The ranges of a command, those of a barrier included, in the order of a record's accesses. */
struct segue_range_list {
    const struct segue_range *first;
    /** From one to the next. */
    size_t stride_bytes;
    uint32_t count;
};

struct segue_range_list segue_segment_ranges(const struct segue_segment *segment);
static inline const struct segue_range *segue_range_list_at(const struct segue_range_list *list,
                                                            uint32_t i)
{
    return (const struct segue_range *)((const char *)list->first + i * list->stride_bytes);
}

/** Words of a command's record; and the record, all but its place, into room for that many. Returns
 *  its end. */
size_t segue_segment_record_words(const struct segue_segment *segment);
uint64_t *segue_segment_write_record(const struct segue_lowering *lowering,
                                     const struct segue_segment *segment, uint64_t *record);
/** Makes a record of equal structure that of the command. `moved`: addresses may differ, too. */
void segue_record_rewrite(const struct segue_lowering *lowering,
                          const struct segue_segment *segment, bool moved, uint64_t *record);

static inline enum segue_command_kind segue_record_kind(const uint64_t *record)
{
    return (enum segue_command_kind)(record[0] & 0xff);
}
static inline bool segue_record_is_plain(const uint64_t *record)
{
    return (record[0] & SEGUE_RECORD_PLAIN) != 0;
}
/** The node of a record, SEGUE_NO_RECORD if the command is no work. */
static inline uint32_t segue_record_node(const uint64_t *record)
{
    return segue_record_is_plain(record) ? SEGUE_NO_RECORD : (uint32_t)record[1];
}
/** Of a record with accesses. */
static inline uint32_t segue_record_first_access(const uint64_t *record)
{
    return (uint32_t)(record[1] >> 32);
}

/** The accesses of a record. */
struct segue_record_accesses {
    const uint64_t *addresses;
    const uint64_t *lengths;
    /** NULL: narrow. */
    const uint64_t *slots;
    /** Behind them. */
    const uint64_t *rest;
    uint32_t count;
};

struct segue_record_accesses segue_record_accesses(const uint64_t *record);
static inline uint64_t segue_record_length(const struct segue_record_accesses *accesses, uint32_t i)
{
    return accesses->slots != NULL ? accesses->lengths[i]
                                   : (uint32_t)(accesses->lengths[i >> 1] >> ((i & 1) * 32));
}
/** Words of so many accesses. */
static inline size_t segue_record_access_words(uint32_t count, bool narrow)
{
    return count + (narrow ? ((size_t)count + 1) / 2 : 2 * (size_t)count);
}
/** Of a dispatch: the same in fewer steps. */
static inline const uint64_t *segue_dispatch_record_addresses(const uint64_t *record)
{
    return record + SEGUE_RECORD_HEAD_WORDS + SEGUE_DISPATCH_WORDS;
}
static inline const uint64_t *segue_dispatch_record_constants(const uint64_t *record,
                                                              uint32_t binding_count)
{
    return segue_dispatch_record_addresses(record) +
           segue_record_access_words(binding_count, (record[0] & SEGUE_RECORD_NARROW) != 0);
}
/** Its size in words. */
size_t segue_record_words(const uint64_t *record);
/** Whether it is a dispatch whose kernel finds pointers in memory. */
bool segue_record_has_indirect(const uint64_t *record);

/** Slot and offset in one word; 0 for a buffer. A checked offset is far below 2^46. */
static inline uint64_t segue_range_slot_word(const struct segue_range *range)
{
    return segue_range_is_slot(range) ? (uint64_t)range->object | range->offset_bytes << 18 : 0;
}

/** The head of a plain record. A barrier without items is an execution barrier, said or not. */
static inline uint64_t segue_barrier_plain_head(const struct segue_barrier_segment *barrier)
{
    return (uint64_t)SEGUE_COMMAND_BARRIER | SEGUE_RECORD_PLAIN |
           (uint64_t)(barrier->flags | SEGUE_BARRIER_EXECUTION) << 32;
}
static inline bool segue_barrier_is_plain(const struct segue_barrier_segment *barrier)
{
    return (barrier->buffer_barrier_count | barrier->memory_barrier_count) == 0;
}

#endif // SEGUE_CUDA_EXEC_RECORD_H
