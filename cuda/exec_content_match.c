// SPDX-License-Identifier: Apache-2.0
// Comparing recordings with kept contents. This runs over every command of
// every recording that is made again, so it reads each word once and branches
// once a record.
#include "exec_content.h"

#include "slot_index.h"

#include <stddef.h>
#include <string.h>

/** What was found in one record. */
struct difference {
    /** Not 0: order or shape may differ. */
    uint64_t structure;
    uint64_t content;
    uint64_t moved;
    /** What the kernel finds in memory. */
    uint64_t pointers;
    bool inline_data;
};

/** Compares accesses with those of a wide record. Returns what is behind them. */
static const uint64_t *compare_wide(const struct segue_lowering *lowering, const uint64_t *kept,
                                    const struct segue_range *ranges, uint32_t count,
                                    struct difference *difference)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct segue_range *range = &ranges[i];
        difference->moved |= kept[i] ^ segue_range_address(range, lowering->table);
        difference->structure |= (kept[count + i] ^ range->length_bytes) |
                                 (kept[2 * (size_t)count + i] ^ segue_range_slot_word(range));
    }
    return kept + 3 * (size_t)count;
}

/** The same for a narrow record. */
static inline const uint64_t *compare_narrow(const uint64_t *kept, const struct segue_range *ranges,
                                             uint32_t count, struct difference *difference)
{
    const uint64_t *lengths = kept + count;
    // Sums in registers.
    uint64_t moved = 0;
    uint64_t structure = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct segue_range *range = &ranges[i];
        if (segue_range_is_slot(range)) {
            structure = 1;
            break;
        }
        const segue_buffer *buffer = segue_range_buffer(range);
        const uint32_t length = (uint32_t)(lengths[i / 2] >> (i % 2 * 32));
        moved |= kept[i] ^ (buffer->memory->backend.device_address + buffer->offset_bytes +
                            range->offset_bytes);
        structure |= length ^ range->length_bytes;
    }
    difference->moved |= moved;
    difference->structure |= structure;
    return lengths + ((size_t)count + 1) / 2;
}

/** Sums apart what has moved of a dispatch some of whose bindings the kernel finds in memory. */
static void split_moved(const struct segue_lowering *lowering, const uint64_t *addresses,
                        const struct segue_dispatch_segment *dispatch,
                        struct difference *difference)
{
    const struct segue_entry *entry = &dispatch->executable->entries[dispatch->entry_point];
    difference->moved = 0;
    for (uint32_t i = 0; i < dispatch->binding_count; i++) {
        const uint64_t moved =
            addresses[i] ^ segue_range_address(&dispatch->bindings[i], lowering->table);
        if (entry->bindings[i]->kind == SEGUE_PARAMETER_INDIRECT)
            difference->pointers |= moved;
        else
            difference->moved |= moved;
    }
}

/** Whether bytes differ from words that end in zeros. Small sizes are the usual
 * ones. */
static inline uint64_t compare_bytes(const uint64_t *kept, const unsigned char *data,
                                     size_t size_bytes)
{
    uint64_t different = 0;
    uint64_t word;
    for (; size_bytes >= sizeof(word); size_bytes -= sizeof(word), data += sizeof(word)) {
        memcpy(&word, data, sizeof(word));
        different |= *kept++ ^ word;
    }
    if (size_bytes != 0) {
        word = 0;
        memcpy(&word, data, size_bytes);
        different |= *kept ^ word;
    }
    return different;
}

/** Returns the words of the record, if that is the same structure. `constants` are those of the
 *  dispatch, filled in. */
static inline size_t compare_dispatch(const struct segue_lowering *lowering, const uint64_t *kept,
                                      const struct segue_dispatch_segment *dispatch,
                                      const unsigned char *constants, struct difference *difference)
{
    uint64_t fixed[SEGUE_DISPATCH_WORDS];
    const uint64_t head =
        (uint64_t)SEGUE_COMMAND_DISPATCH | (uint64_t)dispatch->base.is_empty << 8 |
        (uint64_t)(dispatch->base.is_empty ? SEGUE_NODE_JOIN : SEGUE_NODE_DISPATCH) << 24 |
        (uint64_t)dispatch->base.duration_ns << 32;
    // Which accesses it has is compared with them. Only a dispatch has as many words as are read
    // next.
    difference->structure = (kept[0] ^ head) & ~SEGUE_RECORD_NARROW;
    if (difference->structure != 0)
        return 0;
    memcpy(fixed, (const char *)dispatch + offsetof(struct segue_dispatch_segment, executable),
           sizeof(fixed));
    const uint64_t *old = kept + SEGUE_RECORD_HEAD_WORDS;
    const uint64_t launch = old[1] ^ fixed[1];
    difference->structure = (old[0] ^ fixed[0]) | (uint32_t)launch | (old[5] ^ fixed[5]);
    if (difference->structure != 0)
        return 0;
    difference->content = launch | (old[2] ^ fixed[2]) | (old[3] ^ fixed[3]) | (old[4] ^ fixed[4]);
    const uint64_t *rest =
        (kept[0] & SEGUE_RECORD_NARROW) != 0
            ? compare_narrow(old + SEGUE_DISPATCH_WORDS, dispatch->bindings,
                             dispatch->binding_count, difference)
            : compare_wide(lowering, old + SEGUE_DISPATCH_WORDS, dispatch->bindings,
                           dispatch->binding_count, difference);
    if (dispatch->first_indirect != SEGUE_NO_INDIRECT && difference->moved != 0)
        split_moved(lowering, old + SEGUE_DISPATCH_WORDS, dispatch, difference);
    const uint32_t size_bytes = dispatch->constants_size_bytes;
    difference->content |= compare_bytes(rest, constants, size_bytes);
    return (size_t)(rest - kept) + (size_bytes + 7u) / 8;
}

/** The constants of a dispatch: in the recording, or, where the table fills some in, in the
 * scratch. NULL when out of memory. */
static inline const unsigned char *constants_of(const struct segue_lowering *lowering,
                                                const struct segue_dispatch_segment *dispatch,
                                                struct segue_changes *changes)
{
    if (!dispatch->base.has_constant_uses)
        return segue_dispatch_constants(dispatch);
    const size_t words = (dispatch->constants_size_bytes + 7u) / 8;
    if (!segue_grow(changes->allocator, (void **)&changes->scratch, &changes->scratch_capacity,
                    words, sizeof(*changes->scratch)))
        return NULL;
    unsigned char *constants = (unsigned char *)changes->scratch;
    segue_dispatch_resolve_constants(dispatch, lowering->table, constants);
    return constants;
}

/** Compares a record of any other kind, written anew in `made`, of `words`
 * words. */
static void compare_records(const uint64_t *kept, const uint64_t *made, size_t words,
                            struct difference *difference)
{
    const struct segue_record_accesses accesses = segue_record_accesses(made);
    const size_t first = (size_t)(accesses.addresses - made);
    const size_t lengths = (size_t)(accesses.lengths - made);
    const size_t rest = (size_t)(accesses.rest - made);
    uint64_t fixed = 0;
    for (size_t i = SEGUE_RECORD_HEAD_WORDS; i < first; i++)
        fixed |= kept[i] ^ made[i];
    for (size_t i = first; i < lengths; i++)
        difference->moved |= kept[i] ^ made[i];
    for (size_t i = lengths; i < rest; i++)
        difference->structure |= kept[i] ^ made[i];
    const bool tail =
        rest < words && memcmp(kept + rest, made + rest, (words - rest) * sizeof(*kept)) != 0;
    // What is fixed in a barrier or an event is order.
    if (segue_record_kind(kept) > SEGUE_COMMAND_DISPATCH) {
        difference->structure |= fixed | tail;
    } else {
        difference->content |= fixed;
        difference->inline_data = tail;
    }
}

/** Returns the words of the record, 0 when out of memory. */
static size_t compare_other(const struct segue_lowering *lowering, const uint64_t *kept,
                            const struct segue_segment *segment, struct segue_changes *changes,
                            struct difference *difference)
{
    const size_t words = segue_segment_record_words(segment);
    if (!segue_grow(changes->allocator, (void **)&changes->scratch, &changes->scratch_capacity,
                    words, sizeof(*changes->scratch)))
        return 0;
    (void)segue_segment_write_record(lowering, segment, changes->scratch);
    difference->structure = kept[0] ^ changes->scratch[0];
    // With equal heads both are of one kind, and the sizes can be compared.
    if (difference->structure == 0 && segue_record_words(kept) == words)
        compare_records(kept, changes->scratch, words, difference);
    else
        difference->structure = 1;
    return words;
}

/** Compares a command with its record. Returns the words of the record, 0 when out of memory. In
 *  line: a call for every command of a recording costs a fifth of its comparison. */
static inline __attribute__((always_inline)) size_t compare(const struct segue_lowering *lowering,
                                                            const uint64_t *kept,
                                                            const struct segue_segment *segment,
                                                            struct segue_changes *changes,
                                                            struct difference *difference)
{
    if (segment->kind == SEGUE_COMMAND_BARRIER &&
        segue_barrier_is_plain((const struct segue_barrier_segment *)segment)) {
        difference->structure =
            kept[0] ^ segue_barrier_plain_head((const struct segue_barrier_segment *)segment);
        return 1;
    }
    if (segment->kind != SEGUE_COMMAND_DISPATCH)
        return compare_other(lowering, kept, segment, changes, difference);
    const struct segue_dispatch_segment *dispatch = (const struct segue_dispatch_segment *)segment;
    const unsigned char *constants = constants_of(lowering, dispatch, changes);
    return constants != NULL ? compare_dispatch(lowering, kept, dispatch, constants, difference)
                             : 0;
}

/** Lists a command if anything differs. False: out of memory. */
static inline bool note(struct segue_changes *changes, const struct segue_segment *segment,
                        size_t record, const struct difference *difference)
{
    if ((difference->content | difference->moved | difference->pointers |
         difference->inline_data) == 0)
        return true;
    changes->inline_data |= difference->inline_data;
    changes->pointers |= difference->pointers != 0;
    return segue_changes_add(changes,
                             (struct segue_change){
                                 .segment = segment,
                                 .record = (uint32_t)record,
                                 .moved = (difference->moved | difference->pointers) != 0,
                                 .data_only = (difference->content | difference->moved) == 0,
                             });
}

static void begin(struct segue_changes *changes)
{
    changes->count = changes->moved_count = 0;
    changes->inline_data = changes->pointers = false;
}

enum segue_match segue_exec_content_match(const struct segue_exec_content *content,
                                          const struct segue_lowering *lowering,
                                          struct segue_changes *changes)
{
    const uint64_t *kept = content->words;
    const uint64_t *end = content->words + content->word_count;
    begin(changes);
    for (const struct segue_segment *segment = lowering->recording->first; segment != NULL;
         segment = segment->next) {
        struct difference difference = {0};
        if (segment->kind >= SEGUE_COMMAND_BEGIN_GROUP)
            continue;
        if (kept == end)
            return SEGUE_MATCH_DIFFERENT;
        const size_t words = compare(lowering, kept, segment, changes, &difference);
        if (difference.structure != 0)
            return SEGUE_MATCH_DIFFERENT;
        if (words == 0 || !note(changes, segment, (size_t)(kept - content->words), &difference))
            return SEGUE_MATCH_NO_MEMORY;
        kept += words;
    }
    return kept == end ? SEGUE_MATCH_SAME : SEGUE_MATCH_DIFFERENT;
}

/** Says where each command that names a slot has its record: the same in all contents of the
 *  recording. */
static void place_users(const struct segue_recording *recording, struct segue_slot_index *index)
{
    size_t record = 0;
    uint32_t user = 0;
    for (const struct segue_segment *segment = recording->first;
         segment != NULL && user < index->user_count; segment = segment->next) {
        if (segment->kind >= SEGUE_COMMAND_BEGIN_GROUP)
            continue;
        if (index->users[user].segment == segment)
            index->users[user++].place = (uint32_t)record;
        record += segue_segment_record_words(segment);
    }
    index->is_placed = true;
}

/** Lists what differs among the commands that name one key and have not been met. */
static enum segue_match rebind_key(const struct segue_exec_content *content,
                                   const struct segue_lowering *lowering,
                                   struct segue_slot_index *index, uint32_t key,
                                   struct segue_changes *changes)
{
    for (uint32_t k = index->first[key]; k < index->first[key + 1]; k++) {
        const struct segue_slot_user *user = segue_slot_index_meet(index, k);
        if (user == NULL)
            continue;
        struct difference difference = {0};
        const size_t words =
            compare(lowering, content->words + user->place, user->segment, changes, &difference);
        if (difference.structure != 0)
            return SEGUE_MATCH_DIFFERENT;
        if (words == 0 || !note(changes, user->segment, user->place, &difference))
            return SEGUE_MATCH_NO_MEMORY;
    }
    return SEGUE_MATCH_SAME;
}

enum segue_match segue_exec_content_rebind(const struct segue_exec_content *content,
                                           const struct segue_lowering *lowering,
                                           struct segue_changes *changes)
{
    const struct segue_recording *recording = lowering->recording;
    struct segue_slot_index *index = recording->slot_index;
    enum segue_match match = SEGUE_MATCH_SAME;
    begin(changes);
    if (!index->is_placed)
        place_users(recording, index);
    segue_slot_index_begin_round(index);
    for (uint32_t i = 0; i < recording->slot_count && match == SEGUE_MATCH_SAME; i++) {
        uint64_t words[SEGUE_BOUND_WORDS];
        const uint64_t *bound = content->bound + (size_t)i * SEGUE_BOUND_WORDS;
        segue_slot_write_bound(&lowering->table->slots[i], words);
        if (((bound[0] ^ words[0]) | (bound[1] ^ words[1]) | (bound[2] ^ words[2])) != 0)
            match = rebind_key(content, lowering, index, i, changes);
    }
    const uint64_t *values = content->bound + (size_t)recording->slot_count * SEGUE_BOUND_WORDS;
    for (uint32_t i = 0; i < recording->constant_slot_count && match == SEGUE_MATCH_SAME; i++) {
        if (values[i] != lowering->table->constants[i])
            match = rebind_key(content, lowering, index, recording->slot_count + i, changes);
    }
    return match;
}

/** Whether the records say the same, their places aside. */
static bool equal_records(const uint64_t *a, const uint64_t *b)
{
    const size_t words = segue_record_words(a);
    return a[0] == b[0] && words == segue_record_words(b) &&
           memcmp(a + SEGUE_RECORD_HEAD_WORDS, b + SEGUE_RECORD_HEAD_WORDS,
                  (words - SEGUE_RECORD_HEAD_WORDS) * sizeof(*a)) == 0;
}

/** Whether records of one node that differ make it the same node: all that differs is what its
 *  kernel finds in memory. */
static bool is_same_node(const uint64_t *kept, const uint64_t *next,
                         const struct segue_segment *segment)
{
    const size_t words = segue_record_words(next);
    if (!segue_segment_has_indirect(segment) || kept[0] != next[0] ||
        words != segue_record_words(kept))
        return false;
    const struct segue_dispatch_segment *dispatch = (const struct segue_dispatch_segment *)segment;
    const struct segue_entry *entry = &dispatch->executable->entries[dispatch->entry_point];
    const size_t first = (size_t)(segue_record_accesses(next).addresses - next);
    uint64_t different = 0;
    for (size_t i = SEGUE_RECORD_HEAD_WORDS; i < words; i++) {
        const bool is_pointer = i >= first && i - first < dispatch->binding_count &&
                                entry->bindings[i - first]->kind == SEGUE_PARAMETER_INDIRECT;
        different |= is_pointer ? 0 : kept[i] ^ next[i];
    }
    return different == 0;
}

bool segue_exec_content_compare(const struct segue_exec_content *kept,
                                const struct segue_exec_content *next,
                                const struct segue_plan *plan, bool restaged,
                                struct segue_changes *changes)
{
    begin(changes);
    for (size_t i = 0; i < plan->node_count; i++) {
        if (plan->nodes[i].segment == NULL)
            continue;
        const uint64_t *record = next->words + next->records[i];
        const uint64_t *before = kept->words + kept->records[i];
        const bool is_update = segue_record_kind(record) == SEGUE_COMMAND_UPDATE;
        const bool is_restaged =
            restaged && (is_update || segue_segment_has_indirect(plan->nodes[i].segment));
        if (equal_records(before, record) && !is_restaged)
            continue;
        changes->inline_data |= is_update;
        if (!segue_changes_add(
                changes, (struct segue_change){
                             .segment = plan->nodes[i].segment,
                             .record = next->records[i],
                             .data_only = !is_restaged &&
                                          is_same_node(before, record, plan->nodes[i].segment),
                         }))
            return false;
    }
    return true;
}
