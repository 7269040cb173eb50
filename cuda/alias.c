// SPDX-License-Identifier: Apache-2.0
#include "alias.h"

#include <stdlib.h>
#include <string.h>

/** One access, for sorting. */
struct interval {
    uint64_t start;
    uint64_t end;
    uint32_t access;
};

static int compare_intervals(const void *left, const void *right)
{
    const struct interval *a = left;
    const struct interval *b = right;
    return (a->start > b->start) - (a->start < b->start);
}

/** Lists the accesses that take part. Returns their number. */
static uint32_t list_intervals(const struct segue_exec_content *content, struct interval *intervals)
{
    uint32_t count = 0;
    uint32_t access = 0;
    const uint64_t *end = content->words + content->word_count;
    for (const uint64_t *record = content->words; record < end;
         record += segue_record_words(record)) {
        const struct segue_record_accesses accesses = segue_record_accesses(record);
        for (uint32_t i = 0; i < accesses.count; i++, access++) {
            const uint64_t start = accesses.addresses[i];
            const uint64_t length_bytes = segue_record_length(&accesses, i);
            if ((accesses.slots == NULL || accesses.slots[i] == 0) && length_bytes != 0)
                intervals[count++] = (struct interval){
                    .start = start, .end = start + length_bytes, .access = access};
        }
    }
    return count;
}

/** Unites sorted intervals that overlap. Intervals that only touch share no
 * byte. */
static void make_pieces(struct segue_alias *alias, const struct interval *intervals, uint32_t count)
{
    struct segue_alias_piece *piece = NULL;
    for (uint32_t i = 0; i < count; i++) {
        if (piece == NULL || intervals[i].start >= piece->end) {
            piece = &alias->pieces[alias->piece_count];
            *piece = (struct segue_alias_piece){.start = intervals[i].start};
            alias->order[alias->piece_count] = alias->piece_count;
            alias->piece_count++;
        }
        if (piece->end < intervals[i].end)
            piece->end = intervals[i].end;
        piece->access_count++;
        alias->pieces_of[intervals[i].access] = alias->piece_count - 1;
    }
}

/** Everything is allocated for as many pieces as there are accesses, the most
 * there can be. */
static bool create(const struct segue_exec_content *content, struct segue_alias *alias)
{
    const struct segue_allocator *allocator = content->allocator;
    const size_t count = (size_t)content->access_count;
    struct segue_alias made = {.allocator = allocator, .access_count = content->access_count};
    struct interval *intervals = segue_allocate(allocator, count * sizeof(*intervals));
    made.pieces = segue_allocate(allocator, count * sizeof(*made.pieces));
    made.order = segue_allocate(allocator, count * sizeof(*made.order));
    made.moved = segue_allocate(allocator, count * sizeof(*made.moved));
    made.pieces_of = segue_allocate(allocator, count * sizeof(*made.pieces_of));
    const bool allocated = intervals != NULL && made.pieces != NULL && made.order != NULL &&
                           made.moved != NULL && made.pieces_of != NULL;
    if (allocated) {
        memset(made.pieces_of, 0xff, count * sizeof(*made.pieces_of));
        const uint32_t interval_count = list_intervals(content, intervals);
        qsort(intervals, interval_count, sizeof(*intervals), compare_intervals);
        make_pieces(&made, intervals, interval_count);
        *alias = made;
    } else {
        segue_alias_finish(&made);
    }
    segue_release(allocator, intervals, count * sizeof(*intervals));
    return allocated;
}

void segue_alias_finish(struct segue_alias *alias)
{
    const size_t count = alias->access_count;
    if (alias->allocator == NULL)
        return;
    segue_release(alias->allocator, alias->pieces, count * sizeof(*alias->pieces));
    segue_release(alias->allocator, alias->order, count * sizeof(*alias->order));
    segue_release(alias->allocator, alias->moved, count * sizeof(*alias->moved));
    segue_release(alias->allocator, alias->pieces_of, count * sizeof(*alias->pieces_of));
    *alias = (struct segue_alias){0};
}

uint64_t segue_alias_bytes(const struct segue_alias *alias)
{
    return (uint64_t)alias->access_count * (sizeof(*alias->pieces) + sizeof(*alias->order) +
                                            sizeof(*alias->moved) + sizeof(*alias->pieces_of));
}

/** Notes that one access has moved. False: its piece does not move as one. */
static bool note_move(struct segue_alias *alias, uint32_t access, uint64_t distance,
                      uint32_t *moved_count)
{
    if (alias->pieces_of[access] == SEGUE_NO_PIECE)
        return true;
    struct segue_alias_piece *piece = &alias->pieces[alias->pieces_of[access]];
    if (piece->moved_count == 0) {
        piece->distance = distance;
        alias->moved[(*moved_count)++] = alias->pieces_of[access];
    }
    piece->moved_count++;
    return piece->distance == distance;
}

/** Notes the moves of one command. */
static bool note_moves(struct segue_alias *alias, const struct segue_exec_content *content,
                       const struct segue_lowering *lowering, const struct segue_change *change,
                       uint32_t *moved_count)
{
    const uint64_t *record = content->words + change->record;
    const struct segue_record_accesses kept = segue_record_accesses(record);
    const struct segue_range_list ranges = segue_segment_ranges(change->segment);
    const uint32_t first = segue_record_first_access(record);
    for (uint32_t i = 0; i < kept.count; i++) {
        const uint64_t distance =
            segue_range_address(segue_range_list_at(&ranges, i), lowering->table) -
            kept.addresses[i];
        if (distance != 0 && !note_move(alias, first + i, distance, moved_count))
            return false;
    }
    return true;
}

/** Sorts the moved pieces by where they are going. The usual move keeps the
 * order. */
static void sort_moved(struct segue_alias *alias, uint32_t moved_count)
{
    const struct segue_alias_piece *pieces = alias->pieces;
    uint32_t *moved = alias->moved;
    // Shell sort (gaps of Ciura): in place, no callback, linear where all is in
    // order.
    static const uint32_t gaps[] = {701, 301, 132, 57, 23, 10, 4, 1};
    for (size_t g = 0; g < sizeof(gaps) / sizeof(gaps[0]); g++) {
        const uint32_t gap = gaps[g];
        for (uint32_t i = gap; i < moved_count; i++) {
            const uint32_t piece = moved[i];
            const uint64_t start = pieces[piece].start + pieces[piece].distance;
            uint32_t k = i;
            for (;
                 k >= gap && pieces[moved[k - gap]].start + pieces[moved[k - gap]].distance > start;
                 k -= gap)
                moved[k] = moved[k - gap];
            moved[k] = piece;
        }
    }
}

/** First place in `order` of a piece that ends behind `address`. */
static uint32_t find_behind(const struct segue_alias *alias, uint64_t address)
{
    uint32_t low = 0;
    uint32_t high = alias->piece_count;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (alias->pieces[alias->order[middle]].end > address)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/** Whether no moved piece lands on another. */
static bool is_apart(const struct segue_alias *alias, uint32_t moved_count)
{
    uint64_t last_end = 0;
    for (uint32_t i = 0; i < moved_count; i++) {
        const struct segue_alias_piece *piece = &alias->pieces[alias->moved[i]];
        const uint64_t start = piece->start + piece->distance;
        const uint64_t end = piece->end + piece->distance;
        if (start < last_end)
            return false;
        last_end = end;
        for (uint32_t k = find_behind(alias, start);
             k < alias->piece_count && alias->pieces[alias->order[k]].start < end; k++) {
            if (alias->pieces[alias->order[k]].moved_count == 0)
                return false;
        }
    }
    return true;
}

/** Puts the moved pieces at their new places: merges those that stay with those
 * that moved. */
static void apply(struct segue_alias *alias, uint32_t moved_count)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < alias->piece_count; i++) {
        if (alias->pieces[alias->order[i]].moved_count == 0)
            alias->order[kept++] = alias->order[i];
    }
    for (uint32_t i = 0; i < moved_count; i++) {
        struct segue_alias_piece *piece = &alias->pieces[alias->moved[i]];
        piece->start += piece->distance;
        piece->end += piece->distance;
    }
    uint32_t place = alias->piece_count;
    uint32_t moved = moved_count;
    while (moved > 0) {
        const uint64_t start = alias->pieces[alias->moved[moved - 1]].start;
        if (kept > 0 && alias->pieces[alias->order[kept - 1]].start > start)
            alias->order[--place] = alias->order[--kept];
        else
            alias->order[--place] = alias->moved[--moved];
    }
}

enum segue_alias_result segue_alias_move(struct segue_alias *alias,
                                         const struct segue_exec_content *content,
                                         const struct segue_lowering *lowering,
                                         const struct segue_changes *changes)
{
    if (alias->allocator == NULL && !create(content, alias))
        return SEGUE_ALIAS_NO_MEMORY;
    uint32_t moved_count = 0;
    bool same = true;
    for (size_t i = 0; i < changes->count && same; i++)
        same = !changes->list[i].moved ||
               note_moves(alias, content, lowering, &changes->list[i], &moved_count);
    for (uint32_t i = 0; i < moved_count && same; i++)
        same = alias->pieces[alias->moved[i]].moved_count ==
               alias->pieces[alias->moved[i]].access_count;
    if (same) {
        sort_moved(alias, moved_count);
        same = is_apart(alias, moved_count);
    }
    if (same)
        apply(alias, moved_count);
    for (uint32_t i = 0; i < moved_count; i++)
        alias->pieces[alias->moved[i]].moved_count = 0;
    return same ? SEGUE_ALIAS_SAME : SEGUE_ALIAS_DIFFERENT;
}
