// SPDX-License-Identifier: Apache-2.0
#include "depend_window.h"

#include <string.h>

/** Sets within sets looked into for one that is small. */
#define MAX_OPEN_DEPTH 16

/** A set that is being made an order node of: emptied into the list, sets in it on top. */
struct segue_depend_frame {
    segue_set_ref set;
    segue_set_ref rest;
    /** Its list begins here. Without meaning for what goes into the list below. */
    size_t first;
    bool is_inline;
};

void segue_depend_list(struct segue_depend_builder *builder, uint32_t node)
{
    if (segue_unlikely(builder->list_count == builder->list_capacity) &&
        !segue_grow(builder->sets.allocator, (void **)&builder->list, &builder->list_capacity,
                    builder->list_count + 1, sizeof *builder->list)) {
        builder->failed = true;
        return;
    }
    builder->list[builder->list_count++] = node;
}

static bool reserve_node(struct segue_depend_builder *builder, size_t count)
{
    struct segue_depend *depend = builder->depend;
    if (depend->node_count < UINT32_MAX - 1 && depend->predecessor_count + count <= UINT32_MAX &&
        segue_grow(depend->allocator, (void **)&depend->nodes, &depend->node_capacity,
                   depend->node_count + 1, sizeof *depend->nodes) &&
        segue_grow(depend->allocator, (void **)&depend->predecessors, &depend->predecessor_capacity,
                   depend->predecessor_count + count, sizeof *depend->predecessors))
        return true;
    builder->failed = true;
    return false;
}

static uint32_t add_node(struct segue_depend *depend, const struct segue_segment *segment,
                         uint32_t first, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        depend->nodes[depend->predecessors[first + i]].successor_count++;
    depend->nodes[depend->node_count] = (struct segue_depend_node){
        .segment = segment,
        .first_predecessor = first,
        .predecessor_count = count,
    };
    depend->edge_count += count;
    return (uint32_t)depend->node_count++;
}

uint32_t segue_depend_emit(struct segue_depend_builder *builder,
                           const struct segue_segment *segment, size_t first)
{
    struct segue_depend *depend = builder->depend;
    size_t count = builder->list_count - first;
    builder->list_count = first;
    if (builder->failed)
        return 0;
    uint32_t *list = count ? builder->list + first : NULL;
    count = segue_depend_reduce(builder, list, count);
    if (!segment && count == 1)
        return list[0];
    if (!reserve_node(builder, count))
        return 0;
    uint32_t begin = (uint32_t)depend->predecessor_count;
    if (count > 0)
        memcpy(depend->predecessors + begin, list, count * sizeof *list);
    depend->predecessor_count += count;
    return add_node(depend, segment, begin, (uint32_t)count);
}

/* ---- Sets ------------------------------------------------------------------------------------ */

static bool push_frame(struct segue_depend_builder *builder, segue_set_ref set, bool is_inline)
{
    if (!segue_grow(builder->sets.allocator, (void **)&builder->frames, &builder->frame_capacity,
                    builder->frame_count + 1, sizeof *builder->frames)) {
        builder->failed = true;
        return false;
    }
    builder->frames[builder->frame_count++] = (struct segue_depend_frame){
        .set = set,
        .rest = set,
        .first = builder->list_count,
        .is_inline = is_inline,
    };
    return true;
}

/** One step of emptying the topmost frame. */
static void advance_frame(struct segue_depend_builder *builder)
{
    struct segue_depend_frame *frame = &builder->frames[builder->frame_count - 1];
    segue_set_ref ref = frame->rest;
    if (ref == 0) {
        struct segue_depend_frame done = *frame;
        builder->frame_count--;
        if (!done.is_inline) {
            uint32_t node = segue_depend_emit(builder, NULL, done.first);
            segue_set_get(&builder->sets, done.set)->order = node + 1;
            segue_depend_list(builder, node);
        }
        return;
    }
    if (!segue_set_is_list(ref)) {
        frame->rest = 0;
        segue_depend_list(builder, builder->command_nodes[ref - 1]);
        return;
    }
    const struct segue_set *set = segue_set_get(&builder->sets, ref);
    if (set->order != 0 || (ref != frame->set && set->is_shared)) {
        frame->rest = 0;
        if (set->order != 0)
            segue_depend_list(builder, set->order - 1);
        else
            push_frame(builder, ref, false);
        return;
    }
    frame->rest = set->rest;
    if (!segue_set_is_list(set->member)) {
        segue_depend_list(builder, builder->command_nodes[set->member - 1]);
        return;
    }
    const struct segue_set *member = segue_set_get(&builder->sets, set->member);
    if (member->order != 0)
        segue_depend_list(builder, member->order - 1);
    else
        push_frame(builder, set->member, !member->is_shared);
}

/** Puts the order node of a set on the list. */
static void list_order_node(struct segue_depend_builder *builder, segue_set_ref ref)
{
    const struct segue_set *set = segue_set_get(&builder->sets, ref);
    if (set->order != 0) {
        segue_depend_list(builder, set->order - 1);
        return;
    }
    push_frame(builder, ref, false);
    while (builder->frame_count > 0 && !builder->failed && !builder->sets.failed)
        advance_frame(builder);
    builder->frame_count = 0;
}

/** Puts a set on the list, as long as it makes no more than a few entries from `first` on. False:
 *  there are more. */
static bool list_few(struct segue_depend_builder *builder, segue_set_ref ref, size_t first,
                     uint32_t depth)
{
    while (ref != 0) {
        if (builder->list_count - first >= SEGUE_SET_FEW || depth == MAX_OPEN_DEPTH)
            return false;
        if (!segue_set_is_list(ref)) {
            segue_depend_list(builder, builder->command_nodes[ref - 1]);
            return true;
        }
        const struct segue_set *set = segue_set_get(&builder->sets, ref);
        if (set->order != 0) {
            segue_depend_list(builder, set->order - 1);
            return true;
        }
        if (!segue_set_is_list(set->member))
            segue_depend_list(builder, builder->command_nodes[set->member - 1]);
        else if (!list_few(builder, set->member, first, depth + 1))
            return false;
        ref = set->rest;
        if (!segue_set_is_list(ref) || builder->failed)
            continue;
        const struct segue_set *rest = segue_set_get(&builder->sets, ref);
        if (!rest->is_shared || rest->order != 0)
            continue;
        // Of a group it is not known whether it is small.
        size_t count = builder->list_count;
        if (rest->is_group && list_few(builder, ref, first, depth + 1))
            return true;
        builder->list_count = count;
        list_order_node(builder, ref);
        return builder->list_count - first < SEGUE_SET_FEW;
    }
    return true;
}

static void list_set(struct segue_depend_builder *builder, segue_set_ref ref)
{
    size_t first = builder->list_count;
    if (list_few(builder, ref, first, 0))
        return;
    builder->list_count = first;
    list_order_node(builder, ref);
}

/* ---- Commands -------------------------------------------------------------------------------- */

/** Whether an earlier command of the epoch waits for the same. */
static bool matches_memo(const struct segue_depend_builder *builder)
{
    const struct segue_depend_memo *memo = &builder->memo;
    if (memo->epoch != builder->epoch || memo->ref_count != builder->ref_count ||
        builder->list_count != 0 || builder->permits)
        return false;
    for (uint32_t i = 0; i < memo->ref_count; i++) {
        if (memo->refs[i] != builder->refs[i])
            return false;
    }
    return true;
}

/** Drops those of the current command's references that others imply, as far as one look at each
 *  shows: nothing in a set is newer than what leads to all that is older. */
static void drop_old(struct segue_depend_builder *builder)
{
    const struct segue_depend_window *window = builder->window;
    uint32_t next = (uint32_t)builder->depend->node_count;
    uint32_t full = 0;
    for (size_t i = 0; i < builder->ref_count; i++) {
        uint32_t newest = segue_set_newest(&builder->sets, builder->refs[i]);
        if (newest == SEGUE_SET_UNKNOWN)
            continue;
        uint32_t node = builder->command_nodes[newest];
        if (next - node < SEGUE_DEPEND_RING && window->full[node % SEGUE_DEPEND_RING] > full)
            full = window->full[node % SEGUE_DEPEND_RING];
    }
    size_t kept = 0;
    for (size_t i = 0; i < builder->ref_count; i++) {
        uint32_t newest = segue_set_newest(&builder->sets, builder->refs[i]);
        if (newest == SEGUE_SET_UNKNOWN || builder->command_nodes[newest] >= full)
            builder->refs[kept++] = builder->refs[i];
    }
    builder->ref_count = kept;
}

static void keep_memo(struct segue_depend_builder *builder, uint32_t node)
{
    struct segue_depend_memo *memo = &builder->memo;
    if (builder->ref_count > SEGUE_DEPEND_MAX_DIRECT) {
        memo->epoch = 0;
        return;
    }
    for (size_t i = 0; i < builder->ref_count; i++)
        memo->refs[i] = builder->refs[i];
    memo->ref_count = (uint32_t)builder->ref_count;
    memo->epoch = builder->epoch;
    memo->node = node;
}

uint32_t segue_depend_emit_same(struct segue_depend_builder *builder,
                                const struct segue_segment *segment, uint32_t other)
{
    struct segue_depend *depend = builder->depend;
    struct segue_depend_window *window = builder->window;
    if (!reserve_node(builder, 0))
        return 0;
    uint32_t node = (uint32_t)depend->node_count;
    uint64_t row[SEGUE_DEPEND_ROW] = {0};
    uint32_t full = 0;
    if (segue_depend_is_near(other, node)) {
        segue_depend_join_row(window, row, node, other);
        full = window->full[other % SEGUE_DEPEND_RING];
    }
    memcpy(window->rows[node % SEGUE_DEPEND_RING], row, sizeof row);
    window->full[node % SEGUE_DEPEND_RING] = full;
    return add_node(depend, segment, depend->nodes[other].first_predecessor,
                    depend->nodes[other].predecessor_count);
}

/** Makes a node with one predecessor or none: there is nothing to leave out. */
static uint32_t emit_simple(struct segue_depend_builder *builder,
                            const struct segue_segment *segment, segue_set_ref ref)
{
    struct segue_depend *depend = builder->depend;
    struct segue_depend_window *window = builder->window;
    if (!reserve_node(builder, 1))
        return 0;
    uint32_t node = (uint32_t)depend->node_count;
    uint32_t begin = (uint32_t)depend->predecessor_count;
    uint64_t row[SEGUE_DEPEND_ROW] = {0};
    uint32_t full = 0;
    if (ref != 0) {
        uint32_t before = builder->command_nodes[ref - 1];
        if (segue_depend_is_near(before, node)) {
            segue_depend_join_row(window, row, node, before);
            full = window->full[before % SEGUE_DEPEND_RING];
            segue_depend_set_bit(row, before);
        }
        depend->predecessors[begin] = before;
        depend->predecessor_count++;
    }
    memcpy(window->rows[node % SEGUE_DEPEND_RING], row, sizeof row);
    window->full[node % SEGUE_DEPEND_RING] = segue_depend_extend_full(row, full, node);
    return add_node(depend, segment, begin, ref != 0);
}

void segue_depend_emit_command(struct segue_depend_builder *builder,
                               const struct segue_segment *segment)
{
    uint32_t node;
    if (builder->ref_count > 1)
        drop_old(builder);
    if (builder->list_count == 0 && builder->ref_count <= 1 &&
        (builder->ref_count == 0 || !segue_set_is_list(builder->refs[0]))) {
        node = emit_simple(builder, segment, builder->ref_count == 0 ? 0 : builder->refs[0]);
    } else if (matches_memo(builder)) {
        node = segue_depend_emit_same(builder, segment, builder->memo.node);
        builder->memo.node = node;
    } else {
        bool plain = builder->list_count == 0;
        for (size_t i = 0; i < builder->ref_count; i++) {
            segue_set_ref ref = builder->refs[i];
            if (!segue_set_is_list(ref))
                segue_depend_list(builder, builder->command_nodes[ref - 1]);
            else
                list_set(builder, ref);
        }
        node = segue_depend_emit(builder, segment, 0);
        if (plain && !builder->permits)
            keep_memo(builder, node);
        else
            builder->memo.epoch = 0;
    }
    builder->command_nodes[builder->command] = node;
    builder->ref_count = 0;
    builder->list_count = 0;
}

/* ---- The end --------------------------------------------------------------------------------- */

/** Takes the edges of order nodes without successors away, from the last on: one may be another's
 *  only successor. @return how many there are */
static size_t cut_loose(struct segue_depend *depend)
{
    size_t count = 0;
    for (size_t i = depend->node_count; i-- > 0;) {
        struct segue_depend_node *node = &depend->nodes[i];
        if (node->segment || node->successor_count != 0)
            continue;
        for (uint32_t k = 0; k < node->predecessor_count; k++)
            depend->nodes[depend->predecessors[node->first_predecessor + k]].successor_count--;
        depend->edge_count -= node->predecessor_count;
        node->predecessor_count = 0;
        count++;
    }
    return count;
}

void segue_depend_sweep(struct segue_depend_builder *builder)
{
    struct segue_depend *depend = builder->depend;
    if (depend->node_count == depend->command_count || cut_loose(depend) == 0)
        return;
    uint32_t count = 0;
    for (size_t i = 0; i < depend->node_count; i++) {
        struct segue_depend_node *node = &depend->nodes[i];
        node->mark = count;
        count += node->segment || node->successor_count != 0;
    }
    for (size_t i = 0; i < depend->predecessor_count; i++)
        depend->predecessors[i] = depend->nodes[depend->predecessors[i]].mark;
    count = 0;
    for (size_t i = 0; i < depend->node_count; i++) {
        struct segue_depend_node node = depend->nodes[i];
        if (node.segment || node.successor_count != 0)
            depend->nodes[count++] = node;
    }
    depend->node_count = count;
}

void segue_depend_builder_finish(struct segue_depend_builder *builder)
{
    const struct segue_allocator *allocator = builder->sets.allocator;
    segue_release(allocator, builder->refs, builder->ref_capacity * sizeof *builder->refs);
    segue_release(allocator, builder->list, builder->list_capacity * sizeof *builder->list);
    segue_release(allocator, builder->frames, builder->frame_capacity * sizeof *builder->frames);
}
