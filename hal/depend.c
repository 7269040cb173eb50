// SPDX-License-Identifier: Apache-2.0
#include "depend.h"

#include "depend_alias.h"
#include "depend_objects.h"
#include "plan.h"

#include <inttypes.h>

/*
 * Two passes over the recording: what is written at all, and then the commands. Where there are
 * full barriers only, epochs say which commands are ordered; else the order pass (dag.c) is asked.
 */

/** Steps that are free, and those that each access brings: an access that meets more intervals, or
 *  compares itself with more commands, lives on what others have left. */
#define FREE_STEPS 4096
#define STEPS_PER_ACCESS 4

/** Opaque dispatches: those of the last epoch that had some, those of this one, and what the next
 *  one waits for. */
struct opaque {
    segue_set_ref old;
    segue_set_ref latest;
    /** First node of the epoch of `old`: these lead to all nodes before. */
    uint32_t first;
    /** What all commands before this epoch lead to: nodes. */
    uint32_t ends[SEGUE_DEPEND_MAX_DIRECT];
    uint32_t end_count;
    uint32_t end_epoch;
};

struct pass {
    struct segue_depend_builder builder;
    struct segue_depend_objects objects;
    struct segue_depend_alias alias;
    struct opaque opaque;
    /** A full barrier comes before the next command. */
    bool full_pending;
    /** With permits: partial barriers that were made full ones. */
    uint32_t strengthened;
};

/* ---- Permission ------------------------------------------------------------------------------ */

static void begin_epoch(struct pass *pass)
{
    struct segue_depend_builder *builder = &pass->builder;
    if (pass->opaque.latest != 0) {
        pass->opaque.old = pass->opaque.latest;
        pass->opaque.first = builder->epoch_first;
        pass->opaque.latest = 0;
    }
    builder->epoch++;
    builder->epoch_first = (uint32_t)builder->depend->node_count;
}

static bool is_full_barrier(const struct segue_barrier_segment *barrier)
{
    if ((barrier->flags & SEGUE_BARRIER_EXECUTION) != 0 ||
        (barrier->memory_barrier_count == 0 && barrier->buffer_barrier_count == 0))
        return true;
    const struct segue_memory_barrier *memory = segue_barrier_memory_barriers(barrier);
    for (uint32_t i = 0; i < barrier->memory_barrier_count; i++) {
        if ((memory[i].source & memory[i].target & SEGUE_ACCESS_MASK_ALL) == SEGUE_ACCESS_MASK_ALL)
            return true;
    }
    return false;
}

/** Asks the order pass about all commands. */
static segue_status find_permits(struct pass *pass)
{
    struct segue_depend_builder *builder = &pass->builder;
    const struct segue_recording *recording = builder->recording;
    struct segue_dag dag;
    segue_status status = segue_dag_build_coarse(recording, &dag);
    if (status != SEGUE_OK)
        return status;
    builder->depend->exact &= !dag.is_coarse;
    size_t size_bytes = recording->work_count * sizeof *builder->permits;
    builder->permits = segue_allocate(builder->sets.allocator, size_bytes);
    if (!builder->permits) {
        segue_dag_finish(&dag);
        builder->failed = true;
        return SEGUE_OK;
    }
    uint32_t command = recording->work_count;
    uint64_t later = 0;
    uint32_t epoch = UINT32_MAX;
    for (size_t i = dag.node_count; i-- > 0;) {
        const struct segue_dag_node *node = &dag.nodes[i];
        if (!node->segment)
            continue;
        later = node->epoch == epoch ? later | node->reach : node->reach;
        epoch = node->epoch;
        builder->permits[--command] = (struct segue_depend_permit){
            .into = node->into,
            .reach = node->reach,
            .later = later,
            // The order pass counts from 0.
            .epoch = node->epoch + 1,
        };
    }
    segue_dag_finish(&dag);
    return SEGUE_OK;
}

static void add_barrier(struct pass *pass)
{
    struct segue_depend_builder *builder = &pass->builder;
    bool is_idle = builder->epoch_first == builder->depend->node_count;
    if (!builder->permits) {
        pass->full_pending = !is_idle;
    } else if (builder->credit < 0 && !is_idle) {
        // Too many commands before are compared one by one with each that follows.
        pass->strengthened++;
        builder->depend->exact = false;
        builder->credit = 0;
    }
}

/** Sets the epoch of the next command. */
static void enter_epoch(struct pass *pass)
{
    struct segue_depend_builder *builder = &pass->builder;
    if (builder->permits) {
        struct segue_depend_permit *permit = &builder->permits[builder->command];
        permit->epoch += pass->strengthened;
        pass->full_pending = permit->epoch != builder->epoch;
    }
    if (pass->full_pending)
        begin_epoch(pass);
    pass->full_pending = false;
}

/* ---- Commands -------------------------------------------------------------------------------- */

/** The object of a range; NULL: out of memory. */
static inline struct segue_depend_object *
find_object(struct pass *pass, const struct segue_range *range, uint64_t *out_base)
{
    struct segue_depend_object *object =
        segue_depend_objects_find(&pass->objects, pass->builder.sets.allocator, range, out_base);
    pass->builder.failed |= !object;
    return object;
}

static void touch(struct pass *pass, const struct segue_range *range, bool writes, bool constant)
{
    struct segue_depend_builder *builder = &pass->builder;
    uint64_t base;
    struct segue_depend_object *object = find_object(pass, range, &base);
    if (segue_unlikely(range->length_bytes == 0) || !object)
        return;
    if (segue_unlikely(pass->alias.tags != NULL) && !constant)
        segue_depend_alias_touch(builder, &pass->alias, range, writes);
    // What nobody writes needs no order.
    if (!object->is_written)
        return;
    uint64_t begin = base + range->offset_bytes;
    // The end of a slot's whole range is unknown, and beyond every offset.
    uint64_t end =
        range->length_bytes > UINT64_MAX - begin ? UINT64_MAX : begin + range->length_bytes;
    builder->credit += STEPS_PER_ACCESS;
    segue_depend_touch(builder, object, begin, end, writes);
}

static inline const struct segue_entry *entry_of(const struct segue_dispatch_segment *dispatch)
{
    return &dispatch->executable->entries[dispatch->entry_point];
}

static inline bool is_write(enum segue_access access)
{
    return access != SEGUE_ACCESS_READ && access != SEGUE_ACCESS_CONSTANT;
}

static void note_write(struct pass *pass, const struct segue_range *range)
{
    uint64_t base;
    struct segue_depend_object *object = find_object(pass, range, &base);
    if (object)
        object->is_written = true;
}

/** Finds the memories and slots that something writes: most bindings of most programs are of
 *  others, weights for one, and need no more than a look at this. @return whether there are partial
 *  barriers */
static bool look_ahead(struct pass *pass)
{
    bool has_partials = false;
    const struct segue_segment *segment = pass->builder.recording->first;
    for (; segment && !pass->builder.failed; segment = segment->next) {
        switch (segment->kind) {
        case SEGUE_COMMAND_FILL:
            note_write(pass, &((const struct segue_fill_segment *)segment)->target);
            break;
        case SEGUE_COMMAND_UPDATE:
            note_write(pass, &((const struct segue_update_segment *)segment)->target);
            break;
        case SEGUE_COMMAND_COPY:
            note_write(pass, &((const struct segue_copy_segment *)segment)->target);
            break;
        case SEGUE_COMMAND_DISPATCH: {
            const struct segue_dispatch_segment *dispatch =
                (const struct segue_dispatch_segment *)segment;
            const struct segue_parameter *const *bindings = entry_of(dispatch)->bindings;
            for (uint32_t i = 0; i < dispatch->binding_count; i++) {
                if (is_write(bindings[i]->access))
                    note_write(pass, &dispatch->bindings[i]);
            }
            break;
        }
        case SEGUE_COMMAND_BARRIER:
            has_partials |= !is_full_barrier((const struct segue_barrier_segment *)segment);
            break;
        case SEGUE_COMMAND_WAIT_EVENT:
            has_partials = true;
            break;
        default:
            break;
        }
    }
    return has_partials;
}

static void touch_bindings(struct pass *pass, const struct segue_dispatch_segment *dispatch)
{
    const struct segue_parameter *const *bindings = entry_of(dispatch)->bindings;
    for (uint32_t i = 0; i < dispatch->binding_count; i++) {
        enum segue_access access = bindings[i]->access;
        touch(pass, &dispatch->bindings[i], is_write(access), access == SEGUE_ACCESS_CONSTANT);
    }
}

/** Finds the nodes from `first` on, before the epoch, that no other one before it waits for, and
 *  puts them on the list. */
static void list_ends(struct segue_depend_builder *builder, uint32_t first)
{
    struct segue_depend *depend = builder->depend;
    uint32_t stamp = ++builder->stamp;
    for (uint32_t i = builder->epoch_first; i-- > first;) {
        const struct segue_depend_node *node = &depend->nodes[i];
        bool is_end = node->mark != stamp;
        if (is_end && !node->segment)
            continue;
        if (is_end)
            segue_depend_list(builder, i);
        for (uint32_t k = 0; k < node->predecessor_count; k++)
            depend->nodes[depend->predecessors[node->first_predecessor + k]].mark = stamp;
    }
}

/** Makes an opaque dispatch wait for all that is permitted. */
static void wait_for_all(struct pass *pass)
{
    struct segue_depend_builder *builder = &pass->builder;
    struct opaque *opaque = &pass->opaque;
    if (opaque->end_epoch != builder->epoch) {
        list_ends(builder, opaque->first);
        if (builder->list_count > SEGUE_DEPEND_MAX_DIRECT)
            segue_depend_list(builder, segue_depend_emit(builder, NULL, 0));
        if (builder->failed)
            return;
        opaque->end_count = (uint32_t)builder->list_count;
        for (uint32_t i = 0; i < opaque->end_count; i++)
            opaque->ends[i] = builder->list[i];
        opaque->end_epoch = builder->epoch;
    } else {
        for (uint32_t i = 0; i < opaque->end_count; i++)
            segue_depend_list(builder, opaque->ends[i]);
    }
    uint32_t command = builder->permits ? builder->command : 0;
    while (command-- > 0 && builder->permits[command].epoch == builder->epoch) {
        builder->credit--;
        if (segue_depend_permits(builder, command))
            segue_depend_list(builder, builder->command_nodes[command]);
    }
    opaque->latest = segue_set_join(&builder->sets, opaque->latest, builder->self);
}

static void add_command(struct pass *pass, const struct segue_segment *segment)
{
    struct segue_depend_builder *builder = &pass->builder;
    enter_epoch(pass);
    builder->self = builder->command + 1;
    switch (segment->kind) {
    case SEGUE_COMMAND_FILL:
        touch(pass, &((const struct segue_fill_segment *)segment)->target, true, false);
        break;
    case SEGUE_COMMAND_UPDATE:
        touch(pass, &((const struct segue_update_segment *)segment)->target, true, false);
        break;
    case SEGUE_COMMAND_COPY:
        touch(pass, &((const struct segue_copy_segment *)segment)->source, false, false);
        touch(pass, &((const struct segue_copy_segment *)segment)->target, true, false);
        break;
    default: {
        const struct segue_dispatch_segment *dispatch =
            (const struct segue_dispatch_segment *)segment;
        if ((entry_of(dispatch)->declared.flags & SEGUE_ENTRY_OPAQUE) != 0)
            wait_for_all(pass);
        else
            touch_bindings(pass, dispatch);
        break;
    }
    }
    if (segue_unlikely(pass->alias.tags != NULL))
        segue_depend_alias_finish_command(builder, &pass->alias);
    if ((pass->opaque.old | pass->opaque.latest) != 0) {
        segue_depend_wait(builder, pass->opaque.old);
        if (builder->permits)
            segue_depend_wait_permitted(builder, pass->opaque.latest);
    }
    segue_depend_emit_command(builder, segment);
    builder->command++;
}

static void add_segments(struct pass *pass)
{
    struct segue_depend_builder *builder = &pass->builder;
    const struct segue_segment *segment = builder->recording->first;
    for (; segment && !builder->failed && !builder->sets.failed; segment = segment->next) {
        if (segue_segment_is_work(segment))
            add_command(pass, segment);
        else if (segment->kind == SEGUE_COMMAND_BARRIER ||
                 segment->kind == SEGUE_COMMAND_WAIT_EVENT)
            add_barrier(pass);
    }
}

/* ---- The pass -------------------------------------------------------------------------------- */

static segue_status out_of_memory(const struct segue_recording *recording)
{
    return segue_fail(recording->device, SEGUE_OUT_OF_HOST_MEMORY,
                      "command buffer \"%s\": no memory for the dependencies of its %" PRIu32
                      " commands",
                      recording->label, recording->command_count);
}

/** Room for what most recordings need. */
static bool reserve(struct segue_depend_builder *builder)
{
    struct segue_depend *depend = builder->depend;
    size_t count = builder->recording->work_count;
    builder->command_nodes =
        segue_allocate(depend->allocator, (count + 1) * sizeof *builder->command_nodes);
    return builder->command_nodes &&
           segue_grow(depend->allocator, (void **)&depend->nodes, &depend->node_capacity, count + 1,
                      sizeof *depend->nodes) &&
           segue_grow(depend->allocator, (void **)&depend->predecessors,
                      &depend->predecessor_capacity, 2 * count, sizeof *depend->predecessors);
}

static void finish_pass(struct pass *pass)
{
    struct segue_depend_builder *builder = &pass->builder;
    const struct segue_allocator *allocator = builder->sets.allocator;
    size_t work_count = builder->recording->work_count;
    segue_depend_alias_finish(&pass->alias, allocator);
    segue_depend_objects_finish(&pass->objects, allocator);
    segue_depend_builder_finish(builder);
    segue_release(allocator, builder->permits, work_count * sizeof *builder->permits);
    segue_release(allocator, builder->command_nodes,
                  (work_count + 1) * sizeof *builder->command_nodes);
    segue_sets_finish(&builder->sets);
}

static segue_status find_hazards(const struct segue_recording *recording,
                                 const struct segue_depend_options *options,
                                 struct segue_depend *depend)
{
    // Not cleared: every row is written before it is read.
    struct segue_depend_window window;
    struct pass pass = {
        .builder =
            {
                .recording = recording,
                .depend = depend,
                .window = &window,
                .sets.allocator = depend->allocator,
                .epoch = 1,
                .credit = options->extra_steps != 0 ? options->extra_steps : FREE_STEPS,
            },
    };
    bool distinct = (options->flags & SEGUE_COMMAND_BUFFER_SLOTS_DISTINCT) != 0;
    segue_status status = SEGUE_OK;
    if (reserve(&pass.builder) &&
        segue_depend_alias_init(&pass.alias, depend->allocator, recording->slot_count, distinct) &&
        (!options->aliases ||
         segue_depend_objects_alias(&pass.objects, depend->allocator, options->aliases))) {
        if (look_ahead(&pass))
            status = find_permits(&pass);
        if (status == SEGUE_OK)
            add_segments(&pass);
        if (status == SEGUE_OK && !pass.builder.failed && !pass.builder.sets.failed)
            segue_depend_sweep(&pass.builder);
    } else {
        pass.builder.failed = true;
    }
    if (status == SEGUE_OK && (pass.builder.failed || pass.builder.sets.failed))
        status = out_of_memory(recording);
    finish_pass(&pass);
    return status;
}

segue_status segue_depend_build(const struct segue_recording *recording,
                                const struct segue_depend_options *options,
                                struct segue_depend *out_depend)
{
    struct segue_depend depend = {
        .allocator = &recording->device->allocator,
        .command_count = recording->work_count,
        .exact = true,
    };
    segue_status status = (options->flags & SEGUE_COMMAND_BUFFER_BARRIER_ORDER) != 0
                              ? segue_depend_from_barriers(recording, &depend)
                              : find_hazards(recording, options, &depend);
    if (status == SEGUE_OK)
        *out_depend = depend;
    else
        segue_depend_finish(&depend);
    return status;
}

void segue_depend_finish(struct segue_depend *depend)
{
    segue_release(depend->allocator, depend->nodes, depend->node_capacity * sizeof *depend->nodes);
    segue_release(depend->allocator, depend->predecessors,
                  depend->predecessor_capacity * sizeof *depend->predecessors);
    *depend = (struct segue_depend){.allocator = depend->allocator};
}
