// SPDX-License-Identifier: Apache-2.0
#include "plan.h"

#include "event.h"

#include <inttypes.h>

/*
 * The recording is cut into epochs by its full barriers. Inside an epoch, a partial barrier (a
 * memory or buffer barrier, or an event wait) is an order node between the commands that match its
 * source and the later commands that match its target. Per command two sets of the epoch's
 * partials are kept as bits, "into" and "reach"; with them everything else is constant time per
 * pair: leaving out edges that others imply, dropping a partial that a later one replaces, and
 * asking whether two commands are ordered.
 */

/** Partials that later commands are compared with. Beyond it, the next one orders everything: more
 *  order is never wrong, and this bounds the work per command. */
#define MAX_ACTIVE_PARTIALS 16
/** Partials of one epoch, the replaced ones included: the bits of a set. */
#define MAX_PARTIALS 64
/** segue_dag_build_coarse: steps that are free, and those that each command brings. Comparing a
 *  command with a mask is one, with a range several. */
#define FREE_STEPS 4096
#define STEPS_PER_COMMAND 4
#define STEPS_PER_RANGE 8
#define NO_NODE UINT32_MAX

/** One side of a partial barrier: which commands it is about. */
struct matcher {
    uint32_t mask;
    /** NULL: any range. */
    const struct segue_range *range;
    /** Every command, also those that touch no memory. */
    bool everything;
};

struct partial {
    struct matcher target;
    /** Partials right before one of its sources, and those all of whose sources lead to it. */
    uint64_t ancestors;
    uint64_t covers;
    /** Its predecessors, in builder.sources. */
    size_t first_source;
    size_t source_count;
    /** NO_NODE until a command follows it. */
    uint32_t node;
};

struct builder {
    const struct segue_recording *recording;
    struct segue_dag *dag;
    /** Room for MAX_PARTIALS. */
    struct partial *partials;
    uint32_t partial_count;
    /** Partials not replaced by another; those that have a node. */
    uint64_t active;
    uint64_t made;
    uint32_t epoch;
    /** First node of the epoch, and the order node before it. */
    size_t epoch_first;
    uint32_t full_node;
    /** A full barrier came after the epoch's last command: the next command begins an epoch. */
    bool full_pending;
    uint32_t *sources;
    size_t source_count;
    size_t source_capacity;
    /** Steps left. */
    int64_t credit;
};

static segue_status out_of_memory(const struct builder *builder)
{
    return segue_fail(builder->recording->device, SEGUE_OUT_OF_HOST_MEMORY,
                      "command buffer \"%s\": no memory for the order of its %" PRIu32 " commands",
                      builder->recording->label, builder->recording->command_count);
}

/** Whether two ranges may be the same memory. Slots may stand for anything. */
static bool may_alias(const struct segue_range *a, const struct segue_range *b)
{
    if (segue_range_is_slot(a) || segue_range_is_slot(b)) {
        if (a->object != b->object)
            return true;
        // The end of a slot's whole range is unknown, and beyond every offset.
        bool before = a->length_bytes != SEGUE_WHOLE_SIZE &&
                      a->offset_bytes + a->length_bytes <= b->offset_bytes;
        bool after = b->length_bytes != SEGUE_WHOLE_SIZE &&
                     b->offset_bytes + b->length_bytes <= a->offset_bytes;
        return !before && !after;
    }
    struct segue_resolved_range left = segue_range_resolve(a, NULL);
    struct segue_resolved_range right = segue_range_resolve(b, NULL);
    return left.memory == right.memory &&
           left.offset_bytes < right.offset_bytes + right.length_bytes &&
           right.offset_bytes < left.offset_bytes + left.length_bytes;
}

/** Whether a command of that access mask is one of those that a barrier is about. */
static bool matches(const struct matcher *matcher, const struct segue_segment *segment,
                    uint32_t access_mask)
{
    if (matcher->everything)
        return true;
    if (!matcher->range || (access_mask & matcher->mask) == 0)
        return (access_mask & matcher->mask) != 0;
    if (segue_segment_is_opaque(segment))
        return true;
    uint32_t count = segue_segment_access_count(segment);
    for (uint32_t i = 0; i < count; i++) {
        struct segue_command_access access = segue_segment_access(segment, i);
        if ((access.mask & matcher->mask) && may_alias(&access.range, matcher->range))
            return true;
    }
    return false;
}

/** Whether all that matches `b` matches `a`. */
static bool includes(const struct matcher *a, const struct matcher *b)
{
    if (a->everything || b->everything)
        return a->everything;
    if ((b->mask & ~a->mask) != 0)
        return false;
    if (!a->range)
        return true;
    return b->range && a->range->object == b->range->object &&
           a->range->offset_bytes == b->range->offset_bytes &&
           a->range->length_bytes == b->range->length_bytes;
}

static struct matcher make_matcher(uint32_t mask, const struct segue_range *range)
{
    return (struct matcher){
        .mask = mask,
        .range = range,
        .everything = !range && (mask & SEGUE_ACCESS_MASK_ALL) == SEGUE_ACCESS_MASK_ALL,
    };
}

static inline segue_status add_node(struct builder *builder, const struct segue_segment *segment)
{
    struct segue_dag *dag = builder->dag;
    if (dag->node_count >= NO_NODE || dag->predecessor_count > UINT32_MAX ||
        !segue_grow(dag->allocator, (void **)&dag->nodes, &dag->node_capacity, dag->node_count + 1,
                    sizeof *dag->nodes))
        return out_of_memory(builder);
    dag->nodes[dag->node_count++] = (struct segue_dag_node){
        .segment = segment,
        .first_predecessor = (uint32_t)dag->predecessor_count,
        .epoch = builder->epoch,
    };
    return SEGUE_OK;
}

/** Adds a predecessor to the last node. */
static inline segue_status add_predecessor(struct builder *builder, uint32_t predecessor)
{
    struct segue_dag *dag = builder->dag;
    if (!segue_grow(dag->allocator, (void **)&dag->predecessors, &dag->predecessor_capacity,
                    dag->predecessor_count + 1, sizeof *dag->predecessors))
        return out_of_memory(builder);
    dag->predecessors[dag->predecessor_count++] = predecessor;
    dag->nodes[predecessor].successor_count++;
    dag->nodes[dag->node_count - 1].predecessor_count++;
    return SEGUE_OK;
}

/** Room for all that full barriers make; what others make beyond it is grown. */
static segue_status reserve(struct builder *builder)
{
    struct segue_dag *dag = builder->dag;
    size_t work_count = builder->recording->work_count;
    size_t barrier_count = builder->recording->command_count - work_count;
    size_t order_count = barrier_count < work_count ? barrier_count : work_count;
    size_t predecessor_count = order_count == 0 ? 0 : 2 * work_count;
    if (!segue_grow(dag->allocator, (void **)&dag->nodes, &dag->node_capacity,
                    work_count + order_count, sizeof *dag->nodes) ||
        !segue_grow(dag->allocator, (void **)&dag->predecessors, &dag->predecessor_capacity,
                    predecessor_count, sizeof *dag->predecessors))
        return out_of_memory(builder);
    return SEGUE_OK;
}

/** The epoch has a command, and no full barrier came after it. */
static bool epoch_is_open(const struct builder *builder)
{
    return !builder->full_pending && builder->dag->node_count > builder->epoch_first;
}

static void add_full(struct builder *builder)
{
    if (epoch_is_open(builder))
        builder->full_pending = true;
}

/** Makes the order node of the pending full barrier and begins the next epoch. Only commands that
 *  lead to no other command of the epoch need an edge to it. */
static segue_status begin_epoch(struct builder *builder)
{
    struct segue_dag *dag = builder->dag;
    size_t last = dag->node_count;
    segue_status status = add_node(builder, NULL);
    for (size_t i = builder->epoch_first; i < last && status == SEGUE_OK; i++) {
        if (dag->nodes[i].segment && (dag->nodes[i].into & builder->made) == 0)
            status = add_predecessor(builder, (uint32_t)i);
    }
    builder->full_node = (uint32_t)last;
    builder->epoch_first = dag->node_count;
    builder->epoch++;
    builder->full_pending = false;
    builder->partial_count = 0;
    builder->active = 0;
    builder->made = 0;
    builder->source_count = 0;
    return status;
}

/** What a new partial barrier means for the epoch so far. */
struct partial_scan {
    /** Partials right before one of its sources. */
    uint64_t ancestors;
    /** Partials that all its sources lead to. */
    uint64_t supersets;
    /** Partials that a command leads to which does not lead to the new one. */
    uint64_t not_covered;
    /** Every command of the epoch leads to it. */
    bool takes_all;
};

/** Collects the sources at the end of builder->sources: commands that match, or, for an event,
 *  those recorded before `signal`. */
static segue_status collect_sources(struct builder *builder, const struct matcher *source,
                                    uint32_t signal, struct partial_scan *scan)
{
    const struct segue_dag *dag = builder->dag;
    for (size_t i = builder->epoch_first; i < dag->node_count; i++) {
        struct segue_dag_node *node = &dag->nodes[i];
        if (!node->segment || node->segment->index >= signal)
            continue;
        if (node->access_mask == 0)
            node->access_mask = segue_segment_access_mask(node->segment) | SEGUE_DAG_MASK_KNOWN;
        if (!matches(source, node->segment, node->access_mask))
            continue;
        if (!segue_grow(dag->allocator, (void **)&builder->sources, &builder->source_capacity,
                        builder->source_count + 1, sizeof *builder->sources))
            return out_of_memory(builder);
        builder->sources[builder->source_count++] = (uint32_t)i;
        scan->ancestors |= node->reach;
        scan->supersets &= node->into;
    }
    return SEGUE_OK;
}

/** Looks at the commands that do not lead to the new partial. */
static void scan_others(const struct builder *builder, size_t first_source,
                        struct partial_scan *scan)
{
    size_t next = first_source;
    for (size_t i = builder->epoch_first; i < builder->dag->node_count; i++) {
        const struct segue_dag_node *node = &builder->dag->nodes[i];
        if (next < builder->source_count && builder->sources[next] == i) {
            next++;
        } else if (node->segment && (node->into & scan->ancestors) == 0) {
            scan->not_covered |= node->into;
            scan->takes_all = false;
        }
    }
}

/** Notes the new partial in all commands that lead to it, and keeps as its sources only those that
 *  do not lead to it through another. */
static void link_sources(struct builder *builder, struct partial *partial, uint64_t bit)
{
    size_t next = partial->first_source;
    size_t kept = partial->first_source;
    for (size_t i = builder->epoch_first; i < builder->dag->node_count; i++) {
        struct segue_dag_node *node = &builder->dag->nodes[i];
        bool matched = next < builder->source_count && builder->sources[next] == i;
        bool implied = (node->into & partial->ancestors) != 0;
        next += matched;
        if (matched && !implied)
            builder->sources[kept++] = (uint32_t)i;
        if (node->segment && (matched || implied))
            node->into |= bit;
    }
    builder->source_count = kept;
    partial->source_count = kept - partial->first_source;
}

/** Active partials that the new one leaves without a purpose. */
static uint64_t find_replaced(const struct builder *builder, const struct matcher *target,
                              const struct partial_scan *scan)
{
    uint64_t replaced = 0;
    for (uint64_t rest = builder->active & ~scan->not_covered; rest != 0; rest &= rest - 1) {
        uint32_t i = (uint32_t)__builtin_ctzll(rest);
        if (includes(target, &builder->partials[i].target))
            replaced |= UINT64_C(1) << i;
    }
    return replaced;
}

/** Whether an active partial orders already all that the new one would. */
static bool is_redundant(const struct builder *builder, const struct matcher *target,
                         const struct partial_scan *scan)
{
    for (uint64_t rest = builder->active & scan->supersets; rest != 0; rest &= rest - 1) {
        if (includes(&builder->partials[__builtin_ctzll(rest)].target, target))
            return true;
    }
    return false;
}

/** Orders the matching commands recorded before `signal` with later ones that match `target`. */
static segue_status add_partial(struct builder *builder, const struct matcher *source,
                                uint32_t signal, const struct matcher *target)
{
    if (!epoch_is_open(builder) || (target->mask == 0 && !target->everything))
        return SEGUE_OK;
    size_t compared = builder->dag->node_count - builder->epoch_first;
    builder->credit -= (int64_t)(source->range ? STEPS_PER_RANGE * compared : compared);
    if (builder->credit < 0) {
        builder->credit = 0;
        builder->dag->is_coarse = true;
        add_full(builder);
        return SEGUE_OK;
    }
    size_t first_source = builder->source_count;
    struct partial_scan scan = {.supersets = UINT64_MAX, .takes_all = true};
    segue_status status = collect_sources(builder, source, signal, &scan);
    if (status != SEGUE_OK || builder->source_count == first_source)
        return status;
    scan_others(builder, first_source, &scan);

    if (is_redundant(builder, target, &scan)) {
        builder->source_count = first_source;
        return SEGUE_OK;
    }
    uint64_t remaining = builder->active & ~find_replaced(builder, target, &scan);
    if ((scan.takes_all && target->everything) ||
        __builtin_popcountll(remaining) >= MAX_ACTIVE_PARTIALS ||
        builder->partial_count == MAX_PARTIALS) {
        builder->source_count = first_source;
        add_full(builder);
        return SEGUE_OK;
    }
    uint64_t bit = UINT64_C(1) << builder->partial_count;
    struct partial *partial = &builder->partials[builder->partial_count++];
    *partial = (struct partial){
        .target = *target,
        .ancestors = scan.ancestors,
        .covers = (bit - 1) & ~scan.not_covered,
        .first_source = first_source,
        .node = NO_NODE,
    };
    link_sources(builder, partial, bit);
    builder->active = remaining | bit;
    return SEGUE_OK;
}

static segue_status add_barrier(struct builder *builder,
                                const struct segue_barrier_segment *barrier)
{
    uint32_t index = barrier->base.index;
    if ((barrier->flags & SEGUE_BARRIER_EXECUTION) ||
        (barrier->memory_barrier_count == 0 && barrier->buffer_barrier_count == 0)) {
        add_full(builder);
        return SEGUE_OK;
    }
    const struct segue_memory_barrier *memory = segue_barrier_memory_barriers(barrier);
    for (uint32_t i = 0; i < barrier->memory_barrier_count; i++) {
        struct matcher source = make_matcher(memory[i].source, NULL);
        struct matcher target = make_matcher(memory[i].target, NULL);
        segue_status status = add_partial(builder, &source, index, &target);
        if (status != SEGUE_OK)
            return status;
    }
    for (uint32_t i = 0; i < barrier->buffer_barrier_count; i++) {
        const struct segue_range_barrier *item = &barrier->buffer_barriers[i];
        struct matcher source = make_matcher(item->source, &item->range);
        struct matcher target = make_matcher(item->target, &item->range);
        segue_status status = add_partial(builder, &source, index, &target);
        if (status != SEGUE_OK)
            return status;
    }
    return SEGUE_OK;
}

/** An event wait orders what was recorded before the signal with everything after the wait. */
static segue_status add_wait(struct builder *builder, const struct segue_event_command *wait)
{
    if (wait->signal == SEGUE_NO_COMMAND)
        return SEGUE_OK;
    static const struct matcher everything = {.mask = SEGUE_ACCESS_MASK_ALL, .everything = true};
    return add_partial(builder, &everything, wait->signal, &everything);
}

static segue_status make_partial_node(struct builder *builder, uint32_t i)
{
    struct partial *partial = &builder->partials[i];
    if (partial->node != NO_NODE)
        return SEGUE_OK;
    partial->node = (uint32_t)builder->dag->node_count;
    builder->made |= UINT64_C(1) << i;
    segue_status status = add_node(builder, NULL);
    if (status == SEGUE_OK)
        builder->dag->nodes[partial->node].reach = partial->ancestors;
    for (size_t k = 0; k < partial->source_count && status == SEGUE_OK; k++)
        status = add_predecessor(builder, builder->sources[partial->first_source + k]);
    return status;
}

static segue_status add_command(struct builder *builder, const struct segue_segment *segment)
{
    segue_status status = SEGUE_OK;
    if (builder->full_pending)
        status = begin_epoch(builder);

    uint64_t before = 0;
    uint64_t covered = 0;
    uint32_t access_mask = builder->active == 0 ? 0 : segue_segment_access_mask(segment);
    for (uint64_t rest = builder->active; rest != 0; rest &= rest - 1) {
        uint32_t i = (uint32_t)__builtin_ctzll(rest);
        if (matches(&builder->partials[i].target, segment, access_mask)) {
            before |= UINT64_C(1) << i;
            covered |= builder->partials[i].covers;
        }
    }
    before &= ~covered;

    for (uint64_t rest = before; rest != 0 && status == SEGUE_OK; rest &= rest - 1)
        status = make_partial_node(builder, (uint32_t)__builtin_ctzll(rest));
    if (status == SEGUE_OK)
        status = add_node(builder, segment);
    if (status != SEGUE_OK)
        return status;

    builder->dag->nodes[builder->dag->node_count - 1].reach = before;
    if (builder->credit < INT64_MAX - STEPS_PER_COMMAND)
        builder->credit += STEPS_PER_COMMAND;
    if (before == 0 && builder->full_node != NO_NODE)
        return add_predecessor(builder, builder->full_node);
    for (uint64_t rest = before; rest != 0 && status == SEGUE_OK; rest &= rest - 1)
        status = add_predecessor(builder, builder->partials[__builtin_ctzll(rest)].node);
    return status;
}

static segue_status build(struct builder *builder, const struct segue_event_commands *events)
{
    size_t next_event = 0;
    segue_status status = reserve(builder);
    const struct segue_segment *segment = builder->recording->first;
    for (; segment && status == SEGUE_OK; segment = segment->next) {
        if (next_event < events->count && events->items[next_event].segment == segment) {
            if (segment->kind == SEGUE_COMMAND_WAIT_EVENT)
                status = add_wait(builder, &events->items[next_event]);
            next_event++;
        } else if (segment->kind == SEGUE_COMMAND_BARRIER) {
            status = add_barrier(builder, (const struct segue_barrier_segment *)segment);
        } else if (segue_segment_is_work(segment)) {
            status = add_command(builder, segment);
        }
    }
    return status;
}

static segue_status build_within(const struct segue_recording *recording, int64_t credit,
                                 struct segue_dag *out_dag)
{
    struct segue_event_commands events;
    segue_status status = segue_event_commands_collect(recording, &events);
    if (status != SEGUE_OK)
        return status;
    segue_event_commands_sort_by_index(&events);

    struct segue_dag dag = {.allocator = &recording->device->allocator};
    // Outside the builder: there is nothing to clear before the first partial barrier.
    struct partial partials[MAX_PARTIALS];
    struct builder builder = {
        .recording = recording,
        .dag = &dag,
        .partials = partials,
        .full_node = NO_NODE,
        .credit = credit,
    };
    status = build(&builder, &events);
    segue_release(dag.allocator, builder.sources,
                  builder.source_capacity * sizeof *builder.sources);
    segue_event_commands_finish(&events);
    if (status == SEGUE_OK)
        *out_dag = dag;
    else
        segue_dag_finish(&dag);
    return status;
}

segue_status segue_dag_build(const struct segue_recording *recording, struct segue_dag *out_dag)
{
    return build_within(recording, INT64_MAX, out_dag);
}

segue_status segue_dag_build_coarse(const struct segue_recording *recording,
                                    struct segue_dag *out_dag)
{
    return build_within(recording, FREE_STEPS, out_dag);
}

void segue_dag_finish(struct segue_dag *dag)
{
    segue_release(dag->allocator, dag->nodes, dag->node_capacity * sizeof *dag->nodes);
    segue_release(dag->allocator, dag->predecessors,
                  dag->predecessor_capacity * sizeof *dag->predecessors);
    *dag = (struct segue_dag){.allocator = dag->allocator};
}
